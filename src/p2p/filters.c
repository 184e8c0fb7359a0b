/* Block filters for light wallets (BIP157): getcfilters, getcfheaders, getcfcheckpt, answered from the index of
 * filters when -peerblockfilters offers them. One request of a peer is answered at a time; the index hands over a
 * run of rows, as many as fit RUN_MAX_B, and goes on when they have left. */
#include <inttypes.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/ledger/filter.h"
#include "coin/ledger/indexes.h"
#include "internal.h"

#define FILTER_BASIC 0 /* BIP158 */
#define RUN_MAX_B (1u << 20)
#define RUN_HARD_MAX_B (RUN_MAX_B + PAYLOAD_MAX_B)

struct filter_ask {
    struct filter_query query; /* first: the index's callbacks get it */
    struct work work;
    enum message_id answer;
    struct block_index *stop, **blocks;
    uint32_t count, done; /* done: rows taken */
    bool before; /* cfheaders: the first row is of the block before the range */
    bool in_flight, lacking, abandoned;
    struct buf bytes; /* cfilter: payloads, a size u32 before each; else hashes */
};

static enum message_result refuse(struct peer *peer, const char *reason);
static bool start(struct peer *peer, enum message_id answer, struct block_index *stop, uint32_t count);
static bool take_row(struct filter_query *query, uint32_t i, struct span filter, const uint8_t header[32]);
static void on_rows(struct index_query *query, const struct fail *why);
static void send_filters(struct peer *peer, const struct filter_ask *ask);
static void send_hashes(struct peer *peer, const struct filter_ask *ask);
static void ask_free(struct filter_ask *ask);

/* getcfilters and getcfheaders differ in their ceilings and answers. */
static enum message_result on_range(struct peer *peer, const struct msg_getcf *g, enum message_id answer, int64_t most)
{
    struct p2p *p2p = peer->p2p;
    struct block_index *stop = ledger_find(p2p->ledger, &g->stop);
    if (!p2p->options.block_filters)
        return refuse(peer, "it asked for a service that we do not offer");
    if (g->type != FILTER_BASIC || stop == NULL || !serve_may(p2p, stop))
        return refuse(peer, "it asked for filters of an unknown kind or block");
    if ((int64_t)g->start > stop->height || stop->height - (int64_t)g->start >= most)
        return refuse(peer, "it asked for filters of no range, or too many");
    if (peer->filter_ask != NULL)
        return MESSAGE_WAIT;
    bool before = answer == MSG_CFHEADERS && g->start > 0; /* the header that the first one builds on */
    uint32_t count = (uint32_t)stop->height - g->start + 1 + before;
    struct block_index *at = stop;
    if (!start(peer, answer, stop, count))
        return MESSAGE_DONE; /* out of memory: it asks elsewhere */
    peer->filter_ask->before = before;
    for (uint32_t i = count; i-- > 0; at = at->prev)
        peer->filter_ask->blocks[i] = at;
    filters_advance(peer);
    return MESSAGE_DONE;
}

enum message_result filters_on_getcfilters(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    (void)frame, (void)why;
    return on_range(peer, &m->getcf, MSG_CFILTER, GETCFILTERS_MAX);
}

enum message_result filters_on_getcfheaders(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    (void)frame, (void)why;
    return on_range(peer, &m->getcf, MSG_CFHEADERS, GETCFHEADERS_MAX);
}

enum message_result filters_on_getcfcheckpt(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    struct p2p *p2p = peer->p2p;
    struct block_index *stop = ledger_find(p2p->ledger, &m->getcf.stop);
    (void)frame, (void)why;
    if (!p2p->options.block_filters)
        return refuse(peer, "it asked for a service that we do not offer");
    if (m->getcf.type != FILTER_BASIC || stop == NULL || !serve_may(p2p, stop))
        return refuse(peer, "it asked for filters of an unknown kind or block");
    if (peer->filter_ask != NULL)
        return MESSAGE_WAIT;
    uint32_t count = (uint32_t)stop->height / CFCHECKPT_INTERVAL;
    if (!start(peer, MSG_CFCHECKPT, stop, count))
        return MESSAGE_DONE;
    for (uint32_t i = 0; i < count; i++)
        peer->filter_ask->blocks[i] = index_ancestor(stop, (int32_t)((i + 1) * CFCHECKPT_INTERVAL));
    filters_advance(peer);
    return MESSAGE_DONE;
}

void filters_advance(struct peer *peer)
{
    struct filter_ask *ask = peer->filter_ask;
    if (ask == NULL || ask->in_flight || peer->state != PEER_READY || peer_outbox_full(peer))
        return;
    ask->query.blocks = ask->blocks + ask->done;
    ask->query.count = ask->count - ask->done;
    ask->in_flight = ledger_ask_index(peer->p2p->ledger, &ask->query.query); /* else the next tick asks again */
}

void filters_forget_peer(struct peer *peer)
{
    struct filter_ask *ask = peer->filter_ask;
    peer->filter_ask = NULL;
    if (ask != NULL && ask->in_flight)
        ask->abandoned = true; /* the index holds it still */
    else if (ask != NULL)
        ask_free(ask);
}

static enum message_result refuse(struct peer *peer, const char *reason)
{
    peer_close(peer, reason); /* as in Bitcoin: no punishment */
    return MESSAGE_DONE;
}

static bool start(struct peer *peer, enum message_id answer, struct block_index *stop, uint32_t count)
{
    struct filter_ask *ask = mem_try_new(sizeof *ask);
    struct block_index **blocks = mem_try_array(count + 1, sizeof *blocks);
    if (ask == NULL || blocks == NULL) {
        mem_free(ask);
        mem_free(blocks);
        return false;
    }
    ask->answer = answer;
    ask->stop = stop;
    ask->blocks = blocks;
    ask->count = count;
    ask->query.query.kind = INDEX_FILTER;
    ask->query.query.done = on_rows;
    ask->query.each = take_row;
    ask->work = work_begin(peer);
    buf_init(&ask->bytes, RUN_HARD_MAX_B);
    peer->filter_ask = ask;
    return true;
}

/* Worker. */
static bool take_row(struct filter_query *query, uint32_t i, struct span filter, const uint8_t header[32])
{
    struct filter_ask *ask = (struct filter_ask *)query;
    struct buf *out = &ask->bytes;
    uint8_t id[32];
    if (header == NULL) {
        ask->lacking = true;
        return false;
    }
    bool first = ask->done++ == 0;
    if (ask->answer == MSG_CFILTER) {
        size_t at = out->size_b;
        buf_put_u32le(out, 0);
        buf_put_u8(out, FILTER_BASIC);
        buf_put(out, query->blocks[i]->id.b, sizeof id);
        buf_put_count(out, filter.size_b);
        buf_put(out, filter.data, filter.size_b);
        if (!out->failed)
            put_u32le(out->data + at, (uint32_t)(out->size_b - at - 4));
        return out->size_b < RUN_MAX_B;
    }
    if (ask->answer == MSG_CFCHECKPT || (first && ask->before)) {
        buf_put(out, header, sizeof id);
    } else {
        block_filter_id(id, filter);
        buf_put(out, id, sizeof id);
    }
    return true;
}

static void on_rows(struct index_query *query, const struct fail *why)
{
    struct filter_ask *ask = (struct filter_ask *)query;
    struct p2p *p2p = ask->work.p2p;
    struct peer *peer = ask->abandoned ? NULL : p2p_peer(p2p, ask->work.peer_id);
    ask->in_flight = false;
    if (peer == NULL) {
        ask_free(ask);
        return;
    }
    bool over = why->kind != FAIL_NONE || ask->lacking || ask->bytes.failed;
    if (over) /* Bitcoin says nothing then */
        log_debug(LOG_NET, "peer %" PRId64 ": block filters cannot be served: %s", peer->id,
            why->kind != FAIL_NONE ? why->detail : "the index lacks them");
    if (ask->answer == MSG_CFILTER)
        send_filters(peer, ask); /* those before the one that lacks too */
    else if (!over)
        send_hashes(peer, ask);
    ask->bytes.size_b = 0;
    if (over || ask->done == ask->count) {
        peer->filter_ask = NULL;
        work_end(&ask->work);
        ask_free(ask);
    } else {
        filters_advance(peer);
    }
    p2p_reap(p2p);
}

static void send_filters(struct peer *peer, const struct filter_ask *ask)
{
    struct span left = buf_span(&ask->bytes);
    while (!ask->bytes.failed && left.size_b > 0) {
        uint32_t size_b = get_u32le(left.data);
        peer_send_bytes(peer, MSG_CFILTER, span_of(left.data + 4, size_b));
        left = span_of(left.data + 4 + size_b, left.size_b - 4 - size_b);
    }
}

static void send_hashes(struct peer *peer, const struct filter_ask *ask)
{
    static const uint8_t zero[32]; /* what the first header of all builds on */
    struct buf bytes;
    struct reader hashes;
    rd_init(&hashes, buf_span(&ask->bytes));
    const uint8_t *previous = ask->before ? rd_bytes(&hashes, sizeof zero).data : zero;
    buf_init(&bytes, PAYLOAD_MAX_B);
    buf_put_u8(&bytes, FILTER_BASIC);
    buf_put(&bytes, ask->stop->id.b, sizeof ask->stop->id.b);
    if (ask->answer == MSG_CFHEADERS)
        buf_put(&bytes, previous, sizeof zero);
    buf_put_count(&bytes, ask->count - ask->before);
    struct span rest = rd_bytes(&hashes, rd_left(&hashes));
    buf_put(&bytes, rest.data, rest.size_b);
    if (!bytes.failed)
        peer_send_buf(peer, ask->answer, &bytes);
    buf_clear(&bytes);
}

static void ask_free(struct filter_ask *ask)
{
    buf_clear(&ask->bytes);
    mem_free(ask->blocks);
    mem_free(ask);
}
