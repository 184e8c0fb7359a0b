/* Blocks, torrent style: each peer is asked for a few of the lowest blocks that nobody else was asked for,
 * within a window ahead of the first one missing. How many follows the peer's measured speed. A peer that
 * delivers nothing for a few seconds has its blocks asked elsewhere; one that is merely slow loses those that the
 * others wait for: the first one missing, and, when nothing else is left to ask, any. A quick peer fetches them once
 * they have waited for longer than it would have needed. What the slow one still sends is welcome.
 *
 * p2p.in_flight counts the peers asked per block, and marks those that arrived and are being judged, so
 * that nothing is asked for twice without need. Invariant: its `peers` is the number of unreleased flights
 * for the block over all peers. */
#include <inttypes.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/consensus/pow.h"
#include "internal.h"

#define WALK_BATCH 128
#define LIMITED_DEPTH 288       /* BIP159 */
#define LIMITED_MARGIN 2
#define ASK_PEERS_MAX 3u        /* of one block at the same time */
#define QUEUE_GOAL_US (2 * SECOND_US) /* blocks in flight cover about this much of a peer's time */
#define TIMEOUT_MIN_US MINUTE_US
#define GAP_WEIGHT 4 /* of the moving average */

struct block_work {
    struct work work;
    struct block_id id;
    struct block_index *index;
    bool punish;
};

static void on_verdict(void *ctx, enum block_outcome outcome, struct block_index *index, const struct fail *why);
static bool prepare(struct peer *peer);
static uint32_t find_next(struct peer *peer, struct block_index **out, uint32_t max);
static uint32_t find_history(struct peer *peer, struct block_index **out, uint32_t max);
static bool wanted(const struct peer *peer, const struct block_index *index, struct block_index **late);
static void ask(struct peer *peer, struct block_index **blocks, uint32_t count);
static void measure(struct peer *peer, int64_t now_us);
static void release(struct peer *peer);
static void flight_free(struct peer *peer, uint32_t i);
static bool offer_unknown(struct peer *peer, struct frame *frame, const struct header *header,
    struct block_index **index, struct fail *why, enum message_result *result);

enum message_result blocks_on_block(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    struct p2p *p2p = peer->p2p;
    struct header header;
    if (m->bytes.bytes.size_b < HEADER_SIZE_B + 1) {
        fail_set(why, FAIL_PROTOCOL, "block-decode", "a block of %zu bytes", m->bytes.bytes.size_b);
        return MESSAGE_BAD;
    }
    if (ledger_is_reindexing(p2p->ledger))
        return MESSAGE_DONE; /* not asked for meanwhile: it may lie in our files */
    if (peer->work_pending >= WORK_PENDING_MAX)
        return MESSAGE_WAIT;
    header_decode(&header, m->bytes.bytes.data);
    struct block_id id = header_id(&header);
    struct block_index *index = ledger_find(p2p->ledger, &id);
    enum message_result result;
    if (index == NULL && !offer_unknown(peer, frame, &header, &index, why, &result))
        return result;
    headers_known(peer, index);
    bool requested = blocks_asked(p2p, &id) > 0 || blocks_find_flight(peer, index) != NULL;
    if (blocks_is_judging(p2p, &id)) {
        blocks_arrived(peer, index);
        return MESSAGE_DONE; /* another copy of it is on its way through */
    }
    bool keep = requested || peer_permits(peer, PERMIT_NOBAN) || (index->status & BLOCK_HAVE_DATA) != 0;
    if (!keep) {
        struct block_index *tip = ledger_tip(p2p->ledger);
        keep = u256_compare(&index->chain_work, &tip->chain_work) >= 0 &&
               index->height <= tip->height + LIMITED_DEPTH;
    }
    if (!keep)
        return MESSAGE_DONE; /* unasked, and not better than what we have */
    if (!blocks_offer(peer, index, &frame->payload, requested, true))
        return MESSAGE_WAIT;
    blocks_arrived(peer, index);
    blocks_request(peer);
    return MESSAGE_DONE;
}

/* A block whose header is new: it came by itself, or faster than its announcement. */
static bool offer_unknown(struct peer *peer, struct frame *frame, const struct header *header,
    struct block_index **index, struct fail *why, enum message_result *result)
{
    (void)frame;
    struct p2p *p2p = peer->p2p;
    *result = MESSAGE_DONE;
    *index = headers_accept_one(peer, header, why);
    if (*index != NULL)
        return true;
    if (why->kind == FAIL_TOO_EARLY) {
        if (ledger_find(p2p->ledger, &header->prev) == NULL)
            headers_request(peer, ledger_best_header(p2p->ledger));
    } else if (why->kind == FAIL_INVALID || why->kind == FAIL_PROTOCOL) {
        *result = MESSAGE_BAD;
    }
    return false;
}

bool blocks_offer(struct peer *peer, struct block_index *index, struct buf *raw, bool requested, bool punish)
{
    struct p2p *p2p = peer->p2p;
    struct asked *asked = table_put(&p2p->in_flight, &index->id, NULL);
    if (asked == NULL)
        return false;
    struct block_work *w = mem_new(sizeof *w);
    w->id = index->id;
    w->index = index;
    w->punish = punish;
    w->work = work_begin(peer);
    if (!ledger_offer_block(p2p->ledger, raw, requested, (struct block_verdict){ on_verdict, w })) {
        work_end(&w->work);
        mem_free(w);
        if (asked->peers == 0)
            table_remove(&p2p->in_flight, &index->id);
        return false;
    }
    asked->judging = true;
    return true;
}

static void on_verdict(void *ctx, enum block_outcome outcome, struct block_index *index, const struct fail *why)
{
    struct block_work *w = ctx;
    struct p2p *p2p = w->work.p2p;
    struct peer *peer = p2p_peer(p2p, w->work.peer_id);
    struct asked *asked = table_find(&p2p->in_flight, &w->id);
    if (asked != NULL) {
        asked->judging = false;
        if (asked->peers == 0)
            table_remove(&p2p->in_flight, &w->id);
    }
    if (peer != NULL) {
        switch (outcome) {
        case BLOCK_OUTCOME_CONNECTED:
            peer->last_block_s = env_wall_s(p2p->env);
            if (index == NULL || index == ledger_tip(p2p->ledger))
                compact_prefer(peer);
            break;
        case BLOCK_OUTCOME_STORED:
            peer->last_block_s = env_wall_s(p2p->env);
            break;
        case BLOCK_OUTCOME_DUPLICATE:
            break;
        case BLOCK_OUTCOME_REFUSED:
            log_debug(LOG_NET, "peer %" PRId64 ": block %s was refused: %s", peer->id,
                hash_show(w->id.b), why->detail);
            if (w->punish && (why->kind == FAIL_INVALID || why->kind == FAIL_MUTATED ||
                                 why->kind == FAIL_PROTOCOL))
                peer_misbehaved(peer, why);
            else if (why->kind == FAIL_MUTATED)
                peer->compact_ok = false; /* a compact block put together wrongly: whole ones from now on */
            break;
        }
        if (peer->state == PEER_READY)
            blocks_request(peer);
    }
    work_end(&w->work); /* last: a pong may leave now */
    mem_free(w);
    p2p_reap(p2p);
}

/* ---- asking ---- */
void blocks_request(struct peer *peer)
{
    struct block_index *blocks[BLOCKS_IN_FLIGHT_MAX];
    if (peer->state != PEER_READY || peer->flight_count >= peer->flight_limit ||
        ledger_is_reindexing(peer->p2p->ledger) ||
        (peer->services & (SERVICE_NETWORK | SERVICE_NETWORK_LIMITED)) == 0 ||
        (peer->services & SERVICE_WITNESS) == 0 || peer->type == CONN_FEELER ||
        peer->type == CONN_ADDR_FETCH)
        return;
    uint32_t room = peer->flight_limit - peer->flight_count;
    uint32_t count = prepare(peer) ? find_next(peer, blocks, room) : 0;
    if (count < room) /* the tip comes first */
        count += find_history(peer, blocks + count, room - count);
    if (count > 0)
        ask(peer, blocks, count);
}

/* Blocks below a snapshot in use, the lowest first. */
static uint32_t find_history(struct peer *peer, struct block_index **out, uint32_t max)
{
    struct ledger *ledger = peer->p2p->ledger;
    struct block_index *late = NULL;
    int32_t first, last;
    uint32_t count = 0;
    if ((peer->services & SERVICE_NETWORK) == 0 || !ledger_wants_history(ledger, &first, &last) ||
        !blocks_can_serve(peer, ledger_at(ledger, last)))
        return 0;
    if (last - first >= BLOCK_WINDOW)
        last = first + BLOCK_WINDOW - 1;
    for (int32_t h = first; h <= last && count < max; h++) {
        struct block_index *index = ledger_at(ledger, h);
        if ((index->status & BLOCK_HAVE_DATA) == 0 && wanted(peer, index, &late))
            out[count++] = index;
    }
    if (count == 0 && late != NULL && max > 0)
        out[count++] = late;
    return count;
}

void blocks_on_tick(struct peer *peer, int64_t now_us)
{
    struct p2p *p2p = peer->p2p;
    if (peer->flight_count > 0) {
        uint32_t partial_b = transport_partial_b(&peer->transport);
        if (partial_b != peer->progress_b) { /* bytes of something large are coming */
            peer->progress_b = partial_b;
            peer->progress_us = now_us;
        }
        if (peer->inbox.count > 0)
            peer->progress_us = now_us; /* it is us who are slow */
        int64_t since_us = peer->flights[0].asked_us;
        if (peer->last_block_us > since_us)
            since_us = peer->last_block_us;
        if (peer->progress_us > since_us)
            since_us = peer->progress_us;
        if (now_us - since_us > p2p->stall_us && !peer->flights[0].released)
            release(peer);
        int64_t limit_us = chain_scaled_s(p2p->chain, 1) * SECOND_US;
        if (limit_us < TIMEOUT_MIN_US)
            limit_us = TIMEOUT_MIN_US;
        if (now_us - since_us > limit_us) {
            if (peer->type != CONN_MANUAL && !peer_permits(peer, PERMIT_NOBAN)) {
                peer_close(peer, "it does not deliver the blocks that it announced");
                return;
            }
            blocks_forget_peer(peer); /* the user wants this one: it is asked again */
        }
    }
    blocks_request(peer);
}

void blocks_forget_peer(struct peer *peer)
{
    while (peer->flight_count > 0)
        flight_free(peer, peer->flight_count - 1);
}

bool blocks_can_serve(const struct peer *peer, const struct block_index *index)
{
    return peer->best_known != NULL && index->height <= peer->best_known->height &&
           index_ancestor(peer->best_known, index->height) == index;
}

struct flight *blocks_find_flight(struct peer *peer, const struct block_index *index)
{
    for (uint32_t i = 0; i < peer->flight_count; i++)
        if (peer->flights[i].index == index)
            return &peer->flights[i];
    return NULL;
}

struct flight *blocks_add_flight(struct peer *peer, struct block_index *index)
{
    struct p2p *p2p = peer->p2p;
    struct asked *asked;
    if (peer->flight_count == BLOCKS_IN_FLIGHT_MAX ||
        (asked = table_put(&p2p->in_flight, &index->id, NULL)) == NULL)
        return NULL;
    asked->peers++;
    asked->asked_us = p2p_now_us(p2p);
    struct flight *f = &peer->flights[peer->flight_count++];
    *f = (struct flight){ .index = index, .asked_us = asked->asked_us };
    if (peer->flight_count == 1) {
        peer->progress_us = asked->asked_us;
        peer->progress_b = transport_partial_b(&peer->transport);
    }
    return f;
}

void blocks_drop_flight(struct peer *peer, struct block_index *index)
{
    for (uint32_t i = 0; i < peer->flight_count; i++)
        if (peer->flights[i].index == index) {
            flight_free(peer, i);
            return;
        }
}

void blocks_arrived(struct peer *peer, struct block_index *index)
{
    struct p2p *p2p = peer->p2p;
    if (blocks_find_flight(peer, index) != NULL)
        measure(peer, p2p_now_us(p2p));
    if (blocks_asked(p2p, &index->id) == 0) {
        blocks_drop_flight(peer, index);
        return;
    }
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        struct peer *other = p2p->peers[i];
        if (other != peer && blocks_find_flight(other, index) != NULL)
            other->flight_limit = BLOCKS_IN_FLIGHT_MIN; /* somebody else was quicker */
        blocks_drop_flight(other, index);
    }
}

bool blocks_is_judging(const struct p2p *p2p, const struct block_id *id)
{
    const struct asked *asked = table_find(&p2p->in_flight, id);
    return asked != NULL && asked->judging;
}

uint32_t blocks_asked(const struct p2p *p2p, const struct block_id *id)
{
    const struct asked *asked = table_find(&p2p->in_flight, id);
    return asked != NULL ? asked->peers : 0;
}

/* Does the peer have anything that we want? Sets last_common. */
static bool prepare(struct peer *peer)
{
    struct p2p *p2p = peer->p2p;
    struct block_index *tip = ledger_tip(p2p->ledger);
    const struct u256 *least = p2p->options.minimum_chain_work != NULL ? p2p->options.minimum_chain_work
                                                                      : &p2p->chain->minimum_chain_work;
    if (peer->best_known == NULL || peer->best_known == tip ||
        u256_compare(&peer->best_known->chain_work, &tip->chain_work) < 0 ||
        u256_compare(&peer->best_known->chain_work, least) < 0 ||
        (peer->best_known->status & (BLOCK_FAILED | BLOCK_FAILED_PARENT)) != 0)
        return false;
    int32_t height = tip->height < peer->best_known->height ? tip->height : peer->best_known->height;
    if (peer->last_common == NULL)
        peer->last_common = ledger_at(p2p->ledger, height);
    if (peer->last_common == NULL)
        return false;
    if (index_ancestor(peer->best_known, peer->last_common->height) != peer->last_common) {
        const struct block_index *fork = index_fork(peer->last_common, peer->best_known);
        peer->last_common = fork != NULL ? index_ancestor(peer->best_known, fork->height) : NULL;
        if (peer->last_common == NULL)
            return false;
    }
    /* The tip may have passed it by. */
    if (tip->height > peer->last_common->height && height == tip->height &&
        index_ancestor(peer->best_known, tip->height) == tip)
        peer->last_common = tip;
    return peer->last_common != peer->best_known;
}

/* The lowest blocks on the way to what the peer has that nobody was asked for; or, when the whole window
 * is asked for, the first that takes too long elsewhere. */
static uint32_t find_next(struct peer *peer, struct block_index **out, uint32_t max)
{
    struct p2p *p2p = peer->p2p;
    struct block_index *batch[WALK_BATCH], *late = NULL;
    int32_t at = peer->last_common->height, window = at + BLOCK_WINDOW;
    int32_t end = peer->best_known->height < window ? peer->best_known->height : window;
    uint32_t count = 0;
    bool gap = false; /* a block before this one is missing */
    while (at < end && count < max) {
        int32_t size = end - at < WALK_BATCH ? end - at : WALK_BATCH;
        struct block_index *walk = index_ancestor(peer->best_known, at + size);
        for (int32_t i = size - 1; i >= 0; i--, walk = walk->prev)
            batch[i] = walk;
        for (int32_t i = 0; i < size && count < max; i++) {
            struct block_index *index = batch[i];
            if (index->status & (BLOCK_FAILED | BLOCK_FAILED_PARENT))
                goto done;
            if ((index->status & BLOCK_HAVE_DATA) || ledger_is_active(p2p->ledger, index)) {
                if (!gap)
                    peer->last_common = index;
                continue;
            }
            bool is_first = !gap;
            gap = true;
            if ((peer->services & SERVICE_NETWORK) == 0 &&
                index->height < peer->best_known->height - LIMITED_DEPTH + LIMITED_MARGIN)
                goto done; /* BIP159: it keeps only the last ones */
            if (wanted(peer, index, &late) || (is_first && late == index && count == 0))
                out[count++] = index;
        }
        at += size;
    }
done:
    if (count == 0 && late != NULL && max > 0) {
        /* The others wait for it: ask here as well. Rarer each time, since the fault may be our own line. */
        if (peer->block_gap_us == 0)
            p2p->stall_us = p2p->stall_us * 2 < STALL_MAX_US ? p2p->stall_us * 2 : STALL_MAX_US;
        out[count++] = late;
    }
    return count;
}

/* How long a block may have been waiting for somebody else before this peer is asked for it: as long as a queue is,
 * and twice what it takes itself. Whose speed is unknown is asked when the other stalls. */
static int64_t patience_us(const struct peer *peer)
{
    return peer->block_gap_us > 0 ? QUEUE_GOAL_US + 2 * peer->block_gap_us : peer->p2p->stall_us;
}

static bool wanted(const struct peer *peer, const struct block_index *index, struct block_index **late)
{
    const struct p2p *p2p = peer->p2p;
    const struct asked *asked = table_find(&p2p->in_flight, &index->id);
    if (asked != NULL && asked->judging)
        return false;
    for (uint32_t i = 0; i < peer->flight_count; i++)
        if (peer->flights[i].index == index)
            return false; /* this peer was asked, released or not */
    if (asked == NULL || asked->peers == 0)
        return true;
    if (*late == NULL && asked->peers < ASK_PEERS_MAX &&
        p2p_now_us(p2p) - asked->asked_us > patience_us(peer))
        memcpy(late, &index, sizeof index); /* index entries are written by the ledger alone */
    return false;
}

static void ask(struct peer *peer, struct block_index **blocks, uint32_t count)
{
    struct p2p *p2p = peer->p2p;
    struct inv_item items[BLOCKS_IN_FLIGHT_MAX];
    uint32_t asked = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (blocks_add_flight(peer, blocks[i]) == NULL)
            break;
        /* One new block on our tip: most of its transactions are here already. */
        bool compact = count == 1 && peer->compact_ok && blocks[i]->prev == ledger_tip(p2p->ledger) &&
                       p2p_near_tip(p2p) && peer->flight_count == 1;
        items[asked].type = compact ? INV_COMPACT_BLOCK : INV_WITNESS_BLOCK;
        memcpy(items[asked].hash, blocks[i]->id.b, sizeof items[asked].hash);
        asked++;
    }
    if (asked > 0)
        peer_send_inv(peer, MSG_GETDATA, items, asked);
}

/* ---- what came, and what did not ---- */
/* How long a block takes from this peer when it has several to send; the queue covers QUEUE_GOAL_US. */
static void measure(struct peer *peer, int64_t now_us)
{
    int64_t since_us = peer->last_block_us > peer->flights[0].asked_us ? peer->last_block_us
                                                                       : peer->flights[0].asked_us;
    int64_t gap_us = now_us - since_us;
    peer->last_block_us = now_us;
    peer->block_gap_us = peer->block_gap_us == 0
                             ? gap_us
                             : (peer->block_gap_us * (GAP_WEIGHT - 1) + gap_us) / GAP_WEIGHT;
    int64_t limit = QUEUE_GOAL_US / (peer->block_gap_us > 0 ? peer->block_gap_us : 1);
    if (limit > BLOCKS_IN_FLIGHT_MAX)
        limit = BLOCKS_IN_FLIGHT_MAX;
    if (limit < BLOCKS_IN_FLIGHT_MIN)
        limit = BLOCKS_IN_FLIGHT_MIN;
    peer->flight_limit = (uint32_t)limit;
}

/* The peer is silent: whatever it was asked for may be asked elsewhere. */
static void release(struct peer *peer)
{
    struct p2p *p2p = peer->p2p;
    log_debug(LOG_NET, "peer %" PRId64 " is slow: its %u blocks are asked for elsewhere", peer->id,
        peer->flight_count);
    for (uint32_t i = 0; i < peer->flight_count; i++) {
        struct flight *f = &peer->flights[i];
        struct asked *asked = table_find(&p2p->in_flight, &f->index->id);
        if (f->released || asked == NULL)
            continue;
        f->released = true;
        if (--asked->peers == 0 && !asked->judging)
            table_remove(&p2p->in_flight, &f->index->id);
    }
    peer->flight_limit = BLOCKS_IN_FLIGHT_MIN;
    for (uint32_t i = 0; i < p2p->peer_count; i++)
        if (p2p->peers[i] != peer)
            blocks_request(p2p->peers[i]);
}

static void flight_free(struct peer *peer, uint32_t i)
{
    struct p2p *p2p = peer->p2p;
    struct flight *f = &peer->flights[i];
    struct asked *asked = table_find(&p2p->in_flight, &f->index->id);
    if (!f->released && asked != NULL && asked->peers > 0 && --asked->peers == 0 && !asked->judging)
        table_remove(&p2p->in_flight, &f->index->id);
    partial_free(f->partial);
    memmove(f, f + 1, (peer->flight_count - i - 1) * sizeof *f);
    peer->flight_count--;
}
