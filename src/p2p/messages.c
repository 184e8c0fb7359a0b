/* Every message that is understood: its name, its ceiling in bytes, what handling costs, in which states
 * of a peer it counts, its codec pair and its handler. A new message is one row and a codec pair. */
#include "messages.h"

#include <string.h>

#include "internal.h"

#define FRESH (1u << PEER_FRESH)
#define GREETED (1u << PEER_GREETED)
#define READY (1u << PEER_READY)
#define ANY (FRESH | GREETED | READY)

#define INV_MAX_B (INV_COUNT_MAX * 36u + 9)
#define LOCATOR_MAX_B (MESSAGE_SMALL_MAX_B + LOCATOR_COUNT_MAX * 32u)
#define HEADERS_MAX_B (HEADERS_COUNT_MAX * 81u + 9)
#define ADDR_MAX_B (ADDR_COUNT_MAX * 30u + 9)
#define ADDRV2_MAX_B (ADDR_COUNT_MAX * (4 + 9 + 1 + 3 + ADDRV2_BYTES_MAX + 2) + 9)
#define INDEXES_MAX_B (COMPACT_TX_MAX * 3 + MESSAGE_SMALL_MAX_B)

const struct message_rule message_rules[MSG_COUNT] = {
    [MSG_VERSION] = { "version", MESSAGE_SMALL_MAX_B, 20, ANY, version_decode, version_encode,
        peer_on_version },
    [MSG_VERACK] = { "verack", MESSAGE_SMALL_MAX_B, 20, ANY, NULL, NULL, peer_on_verack },
    [MSG_WTXIDRELAY] = { "wtxidrelay", MESSAGE_SMALL_MAX_B, 1, ANY, NULL, NULL, peer_on_wtxidrelay },
    [MSG_SENDADDRV2] = { "sendaddrv2", MESSAGE_SMALL_MAX_B, 1, ANY, NULL, NULL, peer_on_sendaddrv2 },
    [MSG_SENDHEADERS] = { "sendheaders", MESSAGE_SMALL_MAX_B, 1, READY, NULL, NULL,
        peer_on_sendheaders },
    [MSG_SENDCMPCT] = { "sendcmpct", MESSAGE_SMALL_MAX_B, 1, READY, sendcmpct_decode, sendcmpct_encode,
        compact_on_sendcmpct },
    [MSG_FEEFILTER] = { "feefilter", MESSAGE_SMALL_MAX_B, 1, READY, feefilter_decode, feefilter_encode,
        relay_on_feefilter },
    [MSG_PING] = { "ping", MESSAGE_SMALL_MAX_B, 2, READY, nonce_decode, nonce_encode, peer_on_ping },
    [MSG_PONG] = { "pong", MESSAGE_SMALL_MAX_B, 1, READY, nonce_decode, nonce_encode, peer_on_pong },
    [MSG_ADDR] = { "addr", ADDR_MAX_B, 300, READY, addr_decode, addr_encode, gossip_on_addr },
    [MSG_ADDRV2] = { "addrv2", ADDRV2_MAX_B, 300, READY, addrv2_decode, addrv2_encode, gossip_on_addr },
    [MSG_GETADDR] = { "getaddr", MESSAGE_SMALL_MAX_B, 100, READY, NULL, NULL, gossip_on_getaddr },
    [MSG_INV] = { "inv", INV_MAX_B, 50, READY, inv_decode, inv_encode, relay_on_inv },
    [MSG_GETDATA] = { "getdata", INV_MAX_B, 20, READY, inv_decode, inv_encode, serve_on_getdata },
    [MSG_NOTFOUND] = { "notfound", INV_MAX_B, 20, READY, inv_decode, inv_encode, relay_on_notfound },
    [MSG_GETHEADERS] = { "getheaders", LOCATOR_MAX_B, 100, READY, locator_decode, locator_encode,
        serve_on_getheaders },
    [MSG_GETBLOCKS] = { "getblocks", LOCATOR_MAX_B, 50, READY, locator_decode, locator_encode,
        serve_on_getblocks },
    [MSG_HEADERS] = { "headers", HEADERS_MAX_B, 500, READY, headers_decode, headers_encode,
        headers_on_headers },
    [MSG_TX] = { "tx", PAYLOAD_MAX_B, 10, READY, bytes_decode, bytes_encode, relay_on_tx },
    [MSG_BLOCK] = { "block", PAYLOAD_MAX_B, 30, READY, bytes_decode, bytes_encode, blocks_on_block },
    [MSG_MEMPOOL] = { "mempool", MESSAGE_SMALL_MAX_B, 500, READY, NULL, NULL, relay_on_mempool },
    [MSG_CMPCTBLOCK] = { "cmpctblock", PAYLOAD_MAX_B, 500, READY, cmpctblock_decode, cmpctblock_encode,
        compact_on_cmpctblock },
    [MSG_GETBLOCKTXN] = { "getblocktxn", INDEXES_MAX_B, 50, READY, getblocktxn_decode,
        getblocktxn_encode, serve_on_getblocktxn },
    [MSG_BLOCKTXN] = { "blocktxn", PAYLOAD_MAX_B, 200, READY, blocktxn_decode, blocktxn_encode,
        compact_on_blocktxn },
    /* BIP37 and BIP157 are not offered (no such service bit): asking for them is a mistake. */
    [MSG_FILTERLOAD] = { "filterload", PAYLOAD_MAX_B, 1, READY, NULL, NULL, peer_on_unoffered },
    [MSG_FILTERADD] = { "filteradd", PAYLOAD_MAX_B, 1, READY, NULL, NULL, peer_on_unoffered },
    [MSG_FILTERCLEAR] = { "filterclear", MESSAGE_SMALL_MAX_B, 1, READY, NULL, NULL, peer_on_unoffered },
    [MSG_GETCFILTERS] = { "getcfilters", MESSAGE_SMALL_MAX_B, 1, READY, NULL, NULL, peer_on_unoffered },
    [MSG_GETCFHEADERS] = { "getcfheaders", MESSAGE_SMALL_MAX_B, 1, READY, NULL, NULL,
        peer_on_unoffered },
    [MSG_GETCFCHECKPT] = { "getcfcheckpt", MESSAGE_SMALL_MAX_B, 1, READY, NULL, NULL,
        peer_on_unoffered },
};

int message_find(const uint8_t command[COMMAND_SIZE_B])
{
    for (int i = 0; i < MSG_COUNT; i++) {
        const char *name = message_rules[i].command;
        size_t length = strlen(name);
        uint8_t padded[COMMAND_SIZE_B] = { 0 };
        if (memcmp(name, command, length) != 0)
            continue;
        memcpy(padded, name, length);
        if (memcmp(padded, command, COMMAND_SIZE_B) == 0)
            return i;
    }
    return -1;
}
