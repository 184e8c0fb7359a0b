/* Every message that is understood: its name, its number in encrypted packets (BIP324), its ceiling in bytes,
 * what handling costs, in which states of a peer it counts, its codec pair and its handler. A new message is one row and a codec pair. */
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
    [MSG_VERSION] = { "version", 0, MESSAGE_SMALL_MAX_B, 20, ANY, version_decode, version_encode,
        peer_on_version },
    [MSG_VERACK] = { "verack", 0, MESSAGE_SMALL_MAX_B, 20, ANY, NULL, NULL, peer_on_verack },
    [MSG_WTXIDRELAY] = { "wtxidrelay", 0, MESSAGE_SMALL_MAX_B, 1, ANY, NULL, NULL, peer_on_wtxidrelay },
    [MSG_SENDADDRV2] = { "sendaddrv2", 0, MESSAGE_SMALL_MAX_B, 1, ANY, NULL, NULL, peer_on_sendaddrv2 },
    [MSG_SENDHEADERS] = { "sendheaders", 0, MESSAGE_SMALL_MAX_B, 1, READY, NULL, NULL,
        peer_on_sendheaders },
    [MSG_SENDCMPCT] = { "sendcmpct", 20, MESSAGE_SMALL_MAX_B, 1, READY, sendcmpct_decode, sendcmpct_encode,
        compact_on_sendcmpct },
    [MSG_FEEFILTER] = { "feefilter", 5, MESSAGE_SMALL_MAX_B, 1, READY, feefilter_decode, feefilter_encode,
        relay_on_feefilter },
    [MSG_PING] = { "ping", 18, MESSAGE_SMALL_MAX_B, 2, READY, nonce_decode, nonce_encode, peer_on_ping },
    [MSG_PONG] = { "pong", 19, MESSAGE_SMALL_MAX_B, 1, READY, nonce_decode, nonce_encode, peer_on_pong },
    [MSG_ADDR] = { "addr", 1, ADDR_MAX_B, 300, READY, addr_decode, addr_encode, gossip_on_addr },
    [MSG_ADDRV2] = { "addrv2", 28, ADDRV2_MAX_B, 300, READY, addrv2_decode, addrv2_encode, gossip_on_addr },
    [MSG_GETADDR] = { "getaddr", 0, MESSAGE_SMALL_MAX_B, 100, READY, NULL, NULL, gossip_on_getaddr },
    [MSG_INV] = { "inv", 14, INV_MAX_B, 50, READY, inv_decode, inv_encode, relay_on_inv },
    [MSG_GETDATA] = { "getdata", 11, INV_MAX_B, 20, READY, inv_decode, inv_encode, serve_on_getdata },
    [MSG_NOTFOUND] = { "notfound", 17, INV_MAX_B, 20, READY, inv_decode, inv_encode, relay_on_notfound },
    [MSG_GETHEADERS] = { "getheaders", 12, LOCATOR_MAX_B, 100, READY, locator_decode, locator_encode,
        serve_on_getheaders },
    [MSG_GETBLOCKS] = { "getblocks", 9, LOCATOR_MAX_B, 50, READY, locator_decode, locator_encode,
        serve_on_getblocks },
    [MSG_HEADERS] = { "headers", 13, HEADERS_MAX_B, 500, READY, headers_decode, headers_encode,
        headers_on_headers },
    [MSG_TX] = { "tx", 21, PAYLOAD_MAX_B, 10, READY, bytes_decode, bytes_encode, relay_on_tx },
    [MSG_BLOCK] = { "block", 2, PAYLOAD_MAX_B, 30, READY, bytes_decode, bytes_encode, blocks_on_block },
    [MSG_MEMPOOL] = { "mempool", 15, MESSAGE_SMALL_MAX_B, 500, READY, NULL, NULL, relay_on_mempool },
    [MSG_CMPCTBLOCK] = { "cmpctblock", 4, PAYLOAD_MAX_B, 500, READY, cmpctblock_decode, cmpctblock_encode,
        compact_on_cmpctblock },
    [MSG_GETBLOCKTXN] = { "getblocktxn", 10, INDEXES_MAX_B, 50, READY, getblocktxn_decode,
        getblocktxn_encode, serve_on_getblocktxn },
    [MSG_BLOCKTXN] = { "blocktxn", 3, PAYLOAD_MAX_B, 200, READY, blocktxn_decode, blocktxn_encode,
        compact_on_blocktxn },
    [MSG_GETCFILTERS] = { "getcfilters", 22, MESSAGE_SMALL_MAX_B, 500, READY, getcf_decode, getcf_encode,
        filters_on_getcfilters },
    [MSG_GETCFHEADERS] = { "getcfheaders", 24, MESSAGE_SMALL_MAX_B, 500, READY, getcf_decode, getcf_encode,
        filters_on_getcfheaders },
    [MSG_GETCFCHECKPT] = { "getcfcheckpt", 26, MESSAGE_SMALL_MAX_B, 500, READY, getcfcheckpt_decode,
        getcfcheckpt_encode, filters_on_getcfcheckpt },
    /* What we say and never ask for. */
    [MSG_CFILTER] = { "cfilter", 23, PAYLOAD_MAX_B, 1, READY, bytes_decode, bytes_encode, peer_on_unasked },
    [MSG_CFHEADERS] = { "cfheaders", 25, PAYLOAD_MAX_B, 1, READY, bytes_decode, bytes_encode, peer_on_unasked },
    [MSG_CFCHECKPT] = { "cfcheckpt", 27, PAYLOAD_MAX_B, 1, READY, bytes_decode, bytes_encode, peer_on_unasked },
    /* BIP37 is not offered (no such service bit): asking for it is a mistake. */
    [MSG_FILTERLOAD] = { "filterload", 8, PAYLOAD_MAX_B, 1, READY, NULL, NULL, peer_on_unoffered },
    [MSG_FILTERADD] = { "filteradd", 6, PAYLOAD_MAX_B, 1, READY, NULL, NULL, peer_on_unoffered },
    [MSG_FILTERCLEAR] = { "filterclear", 7, MESSAGE_SMALL_MAX_B, 1, READY, NULL, NULL, peer_on_unoffered },
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

int message_find_short(uint8_t number)
{
    for (int i = 0; i < MSG_COUNT; i++)
        if (number != 0 && message_rules[i].number == number)
            return i;
    return -1;
}
