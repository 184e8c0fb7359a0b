/* codec.h - the payloads of Bitcoin's messages as structs, and their way from and to bytes.
 * What decode returns lies in the arena or is a view into the reader's bytes. Trailing bytes are
 * tolerated: peers may extend messages. Thread: any (pure). */
#ifndef COIN_P2P_CODEC_H
#define COIN_P2P_CODEC_H

#include "coin/base/mem.h"
#include "coin/p2p/limits.h"
#include "coin/p2p/netaddr.h"
#include "coin/primitives/block.h"

#define LOCATOR_COUNT_MAX 101

enum service_bits {
    SERVICE_NETWORK = 1u << 0,
    SERVICE_BLOOM = 1u << 2,
    SERVICE_WITNESS = 1u << 3,
    SERVICE_COMPACT_FILTERS = 1u << 6,
    SERVICE_NETWORK_LIMITED = 1u << 10,
    SERVICE_P2P_V2 = 1u << 11
};
enum inv_type {
    INV_TX = 1,
    INV_BLOCK = 2,
    INV_FILTERED_BLOCK = 3,
    INV_COMPACT_BLOCK = 4,
    INV_WTX = 5,
    INV_WITNESS_FLAG = 1 << 30,
    INV_WITNESS_TX = INV_TX | INV_WITNESS_FLAG,
    INV_WITNESS_BLOCK = INV_BLOCK | INV_WITNESS_FLAG
};

struct msg_version {
    int32_t version;
    uint64_t services;
    int64_t time_s;
    uint64_t remote_services, local_services;
    struct net_addr remote, local; /* network 0: not set */
    uint64_t nonce;
    struct span user_agent;
    int32_t start_height;
    bool relay; /* BIP37: true when left out */
};
struct msg_nonce { /* ping, pong */
    uint64_t nonce;
    bool has_nonce; /* BIP31: very old pings have none */
};
struct addr_entry {
    uint32_t time_s;
    uint64_t services;
    struct net_addr addr; /* network 0: of a network we do not know, to be skipped */
};
struct msg_addr { /* addr, addrv2 */
    uint32_t count;
    struct addr_entry *entries;
};
struct inv_item {
    uint32_t type;
    uint8_t hash[32];
};
struct msg_inv { /* inv, getdata, notfound */
    uint32_t count;
    struct inv_item *items;
};
struct msg_locator { /* getheaders, getblocks */
    uint32_t version, count;
    struct block_id *ids;
    struct block_id stop;
};
struct msg_headers {
    uint32_t count;
    struct header *headers;
};
struct msg_bytes { /* tx, block: decoded by those who keep them */
    struct span bytes;
};
struct msg_feefilter {
    int64_t sat_kvb;
};
struct msg_getcf { /* BIP157: getcfilters, getcfheaders; getcfcheckpt has no start */
    uint8_t type;
    uint32_t start; /* height */
    struct block_id stop;
};
struct msg_sendcmpct {
    bool high_bandwidth;
    uint64_t version;
};
struct compact_prefilled {
    uint32_t index; /* absolute */
    struct tx tx;   /* views into the payload */
};
struct msg_cmpctblock { /* BIP152 */
    struct header header;
    uint64_t nonce;
    uint32_t short_count, prefilled_count;
    uint64_t *short_ids; /* 48 bits each */
    struct compact_prefilled *prefilled;
};
struct msg_getblocktxn {
    struct block_id id;
    uint32_t count;
    uint32_t *indexes; /* absolute, rising */
};
struct msg_blocktxn {
    struct block_id id;
    uint32_t count;
    struct tx *txs; /* views into the payload */
};
union message {
    struct msg_version version;
    struct msg_nonce nonce;
    struct msg_addr addr;
    struct msg_inv inv;
    struct msg_locator locator;
    struct msg_headers headers;
    struct msg_bytes bytes;
    struct msg_feefilter feefilter;
    struct msg_sendcmpct sendcmpct;
    struct msg_cmpctblock cmpctblock;
    struct msg_getblocktxn getblocktxn;
    struct msg_blocktxn blocktxn;
    struct msg_getcf getcf;
};

bool version_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why);
void version_encode(struct buf *out, const union message *m);
bool nonce_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why);
void nonce_encode(struct buf *out, const union message *m);
bool addr_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why);
void addr_encode(struct buf *out, const union message *m); /* only IPv4 and IPv6 have a place there */
bool addrv2_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why);
void addrv2_encode(struct buf *out, const union message *m);
bool inv_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why);
void inv_encode(struct buf *out, const union message *m);
bool locator_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why);
void locator_encode(struct buf *out, const union message *m);
bool headers_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why);
void headers_encode(struct buf *out, const union message *m);
bool bytes_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why);
void bytes_encode(struct buf *out, const union message *m);
bool feefilter_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why);
void feefilter_encode(struct buf *out, const union message *m);
bool sendcmpct_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why);
void sendcmpct_encode(struct buf *out, const union message *m);
bool cmpctblock_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why);
void cmpctblock_encode(struct buf *out, const union message *m);
bool getblocktxn_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why);
void getblocktxn_encode(struct buf *out, const union message *m);
bool blocktxn_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why);
void blocktxn_encode(struct buf *out, const union message *m);
bool getcf_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why);
void getcf_encode(struct buf *out, const union message *m);
bool getcfcheckpt_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why);
void getcfcheckpt_encode(struct buf *out, const union message *m);

/* The 16-byte form of version and addr: IPv4 mapped into IPv6. Others give zeroes. */
void net_addr_to_ip16(uint8_t out[16], const struct net_addr *a);
void net_addr_from_ip16(struct net_addr *out, const uint8_t ip[16], uint16_t port);

#endif
