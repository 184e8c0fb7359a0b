/* messages.h - the table of all messages: one row each, and nothing else knows their list. */
#ifndef COIN_P2P_MESSAGES_H
#define COIN_P2P_MESSAGES_H

#include "codec.h"
#include "framer.h"

enum message_id {
    MSG_VERSION, MSG_VERACK, MSG_WTXIDRELAY, MSG_SENDADDRV2, MSG_SENDHEADERS, MSG_SENDCMPCT, MSG_FEEFILTER,
    MSG_PING, MSG_PONG, MSG_ADDR, MSG_ADDRV2, MSG_GETADDR, MSG_INV, MSG_GETDATA, MSG_NOTFOUND,
    MSG_GETHEADERS, MSG_GETBLOCKS, MSG_HEADERS, MSG_TX, MSG_BLOCK, MSG_MEMPOOL, MSG_CMPCTBLOCK,
    MSG_GETBLOCKTXN, MSG_BLOCKTXN, MSG_GETCFILTERS, MSG_GETCFHEADERS, MSG_GETCFCHECKPT, MSG_CFILTER,
    MSG_CFHEADERS, MSG_CFCHECKPT, MSG_FILTERLOAD, MSG_FILTERADD, MSG_FILTERCLEAR,
    MSG_COUNT
};

struct peer;
enum message_result {
    MESSAGE_DONE,
    MESSAGE_WAIT, /* cannot be acted on yet: the frame stays at the head of the inbox */
    MESSAGE_BAD   /* why says it: the peer broke a rule */
};
struct message_rule {
    const char *command;
    uint8_t number; /* BIP324: names it in one byte; 0: has none */
    uint32_t size_max_b;
    uint32_t cost;   /* of handling, in units of about a microsecond */
    unsigned states; /* bits 1 << enum peer_state; in others it is ignored */
    bool (*decode)(union message *out, struct reader *r, struct arena *mem, struct fail *why); /* NULL: empty */
    void (*encode)(struct buf *out, const union message *m);
    enum message_result (*handle)(
        struct peer *peer, union message *m, struct frame *frame, struct fail *why);
};
extern const struct message_rule message_rules[MSG_COUNT];
/* The row of a command as it stands in a frame's header, or -1. */
int message_find(const uint8_t command[COMMAND_SIZE_B]);
int message_find_short(uint8_t number);

#endif
