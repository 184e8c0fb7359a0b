/* tx_request.h - who announced which transaction, and whom to ask for it when. One request at a time per
 * hash; when it fails or takes too long, the next announcer is asked, preferred ones first.
 * Owner: struct p2p. Thread: loop. Bounded: TX_ANNOUNCE_MAX per peer, TX_ANNOUNCES_MAX in all. */
#ifndef COIN_P2P_TX_REQUEST_H
#define COIN_P2P_TX_REQUEST_H

#include "coin/base/table.h"
#include "coin/p2p/limits.h"

struct tx_key { /* 33 bytes, no padding */
    uint8_t hash[32];
    uint8_t is_wtxid; /* 1: hash is a wtxid (BIP339), 0: a txid */
};
struct tx_announce;
struct tx_requests {
    struct tx_announce *slots; /* slot 0 is nobody */
    uint32_t capacity, used, free_first, count;
    struct table wanted; /* struct tx_key -> struct tx_wanted */
    struct table peers;  /* int64_t peer id -> struct tx_peer */
};
void tx_requests_init(struct tx_requests *r, const uint64_t seed[2]);
void tx_requests_clear(struct tx_requests *r);
/* peer may be asked from ready_us on. false: known already from this peer, or over a limit. */
bool tx_requests_announce(
    struct tx_requests *r, int64_t peer, const struct tx_key *key, bool preferred, int64_t ready_us);
/* What to ask peer now; these count as asked, until now_us + TX_REQUEST_MAX_US. Returns how many. */
uint32_t tx_requests_due(
    struct tx_requests *r, int64_t peer, int64_t now_us, struct tx_key *out, uint32_t max);
void tx_requests_failed(struct tx_requests *r, int64_t peer, const struct tx_key *key); /* notfound */
void tx_requests_forget(struct tx_requests *r, const struct tx_key *key); /* we have it, or never want it */
void tx_requests_forget_peer(struct tx_requests *r, int64_t peer);
bool tx_requests_was_asked(const struct tx_requests *r, int64_t peer, const struct tx_key *key);
uint32_t tx_requests_in_flight(const struct tx_requests *r, int64_t peer);
uint32_t tx_requests_of_peer(const struct tx_requests *r, int64_t peer);

#endif
