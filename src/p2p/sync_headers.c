/* Headers: asked for with locators, 2000 a message, until a peer has no more. One peer is asked at a time
 * while we are far behind, and another as soon as it is slow; near the tip all are.
 *
 * A chain whose work is far below ours (or below the chain file's minimum) costs us nothing but its peer's
 * time: its headers are counted in a first pass (proof of work, possible difficulty steps), keeping only
 * the last one. When their work suffices, they are asked for again, and in this second pass as many as
 * were counted are stored. So to fill our memory a liar must have done real work first.
 *
 * A header ahead of our clock is nobody's fault: it waits in a bounded list and is tried again. */
#include <inttypes.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/consensus/pow.h"
#include "internal.h"

#define NEAR_TIP_BLOCKS 144 /* Bitcoin: a fork this much behind our tip may still be stored at once */
#define RECENT_S (24 * 60 * 60)
#define CHAIN_SYNC_SPACINGS 2  /* an outbound peer behind us gets 20 minutes to catch up (Bitcoin) */
#define CHAIN_ANSWER_US (2 * MINUTE_US)
#define STALE_TIP_SPACINGS 3

static struct u256 least_work(const struct p2p *p2p);
static struct u256 min_chain_work(const struct p2p *p2p);
static bool check_run(const struct peer *peer, const struct msg_headers *m, struct block_id *ids,
    uint32_t parent_time_s, struct u256 *work, struct fail *why);
static enum message_result accept_run(struct peer *peer, const struct msg_headers *m, struct fail *why);
static void low_work_start(struct peer *peer, const struct msg_headers *m, const struct block_id *last,
    struct block_index *parent, const struct u256 *work);
static enum message_result low_work_continue(struct peer *peer, const struct msg_headers *m,
    struct block_id *ids, struct fail *why);
static void low_work_request(struct peer *peer);
static bool bits_permitted(const struct p2p *p2p, const struct msg_headers *m, int32_t height, uint32_t bits);
static void keep_early(struct p2p *p2p, const struct header *header, int64_t peer_id);
static bool may_start(const struct peer *peer, int64_t now_us);
static void check_chain(struct peer *peer, int64_t now_us);
static bool send_getheaders(struct peer *peer, struct block_index *from, bool force);

enum message_result headers_on_headers(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    struct p2p *p2p = peer->p2p;
    const struct msg_headers *h = &m->headers;
    (void)frame;
    peer->getheaders_us = 0;
    if (h->count == 0) {
        peer->presync.counting = peer->presync.trusted = false;
        peer->sync_done = true;
        return MESSAGE_DONE;
    }
    struct block_id *ids = arena_array(&p2p->scratch, h->count, sizeof *ids);
    if (ids == NULL) {
        fail_oom(why, "headers");
        return MESSAGE_BAD;
    }
    for (uint32_t i = 0; i < h->count; i++) {
        ids[i] = header_id(&h->headers[i]);
        if (i > 0 && !block_id_equal(&h->headers[i].prev, &ids[i - 1])) {
            fail_set(why, FAIL_PROTOCOL, "non-continuous-headers", "non-continuous headers sequence");
            return MESSAGE_BAD;
        }
    }
    if (peer->presync.counting)
        return low_work_continue(peer, h, ids, why);
    struct block_index *parent = ledger_find(p2p->ledger, &h->headers[0].prev);
    const struct block_id *last_id = &ids[h->count - 1];
    if (parent == NULL && ledger_find(p2p->ledger, &ids[0]) == NULL) {
        /* Announced on top of what we have not: ask for what lies between. */
        peer->claimed = *last_id;
        headers_request(peer, ledger_best_header(p2p->ledger));
        return MESSAGE_DONE;
    }
    struct block_index *known = ledger_find(p2p->ledger, last_id);
    if (known == NULL && parent != NULL) {
        struct u256 work = parent->chain_work;
        if (!check_run(peer, h, ids, parent->time_s, &work, why))
            return MESSAGE_BAD;
        struct u256 least = least_work(p2p);
        bool enough = u256_compare(&work, &least) >= 0 || peer_permits(peer, PERMIT_NOBAN);
        if (!enough && peer->presync.trusted && peer->presync.trusted_left >= h->count) {
            peer->presync.trusted_left -= h->count;
            enough = true;
        } else if (enough) {
            peer->presync.trusted = false;
        }
        if (!enough) {
            low_work_start(peer, h, last_id, parent, &work);
            return MESSAGE_DONE;
        }
    }
    return accept_run(peer, h, why);
}

bool headers_request(struct peer *peer, struct block_index *from)
{
    return send_getheaders(peer, from, false);
}

void headers_announced(struct peer *peer, const struct block_id *id)
{
    struct p2p *p2p = peer->p2p;
    struct block_index *index = ledger_find(p2p->ledger, id);
    peer->last_announcement_us = p2p_now_us(p2p);
    if (index != NULL) {
        headers_known(peer, index);
        return;
    }
    peer->claimed = *id;
    headers_request(peer, ledger_best_header(p2p->ledger));
}

void headers_known(struct peer *peer, struct block_index *index)
{
    /* The latest of equal ones (Bitcoin): the one before may have turned out to be invalid. */
    if (peer->best_known == NULL ||
        u256_compare(&index->chain_work, &peer->best_known->chain_work) >= 0)
        peer->best_known = index;
    if (index->height > 0 && ledger_is_active(peer->p2p->ledger, index))
        peer->p2p->agreed = true;
}

bool headers_peer_has(const struct peer *peer, const struct block_index *index)
{
    return (peer->best_known != NULL && index_ancestor(peer->best_known, index->height) == index) ||
           (peer->best_header_sent != NULL && index_ancestor(peer->best_header_sent, index->height) == index);
}

struct block_index *headers_accept_one(struct peer *peer, const struct header *header, struct fail *why)
{
    struct p2p *p2p = peer->p2p;
    struct block_index *index = NULL;
    uint32_t accepted = 0;
    struct block_id id = header_id(header);
    if ((index = ledger_find(p2p->ledger, &id)) != NULL) {
        headers_known(peer, index);
        return index;
    }
    struct block_index *parent = ledger_find(p2p->ledger, &header->prev);
    if (parent == NULL) {
        fail_set(why, FAIL_TOO_EARLY, "prev-blk-not-found", "the block before %s is not known",
            hash_show(id.b));
        return NULL;
    }
    if (!headers_enough_work(p2p, parent, header) && !peer_permits(peer, PERMIT_NOBAN)) {
        fail_set(why, FAIL_POLICY, "too-little-chainwork", "block %s has too little work behind it",
            hash_show(id.b));
        return NULL;
    }
    if (!ledger_accept_headers(p2p->ledger, header, 1, &index, &accepted, why)) {
        if (why->kind == FAIL_TOO_EARLY)
            keep_early(p2p, header, peer->id);
        return NULL;
    }
    if (index != NULL)
        headers_known(peer, index);
    return index;
}

bool headers_enough_work(const struct p2p *p2p, const struct block_index *parent, const struct header *h)
{
    struct u256 own = pow_work(p2p->chain, h->bits, h->time_s, parent->time_s);
    struct u256 work = u256_add(&parent->chain_work, &own), least = least_work(p2p);
    return u256_compare(&work, &least) >= 0;
}

void headers_on_tick(struct peer *peer, int64_t now_us)
{
    struct p2p *p2p = peer->p2p;
    if (peer->state != PEER_READY || peer->type == CONN_FEELER || peer->type == CONN_ADDR_FETCH)
        return;
    if (!block_id_is_zero(&peer->claimed)) {
        struct block_index *index = ledger_find(p2p->ledger, &peer->claimed);
        if (index != NULL) {
            headers_known(peer, index);
            memset(&peer->claimed, 0, sizeof peer->claimed);
        }
    }
    if (!peer->sync_started && may_start(peer, now_us)) {
        /* From one before our best header: even a peer that has nothing more answers with one then, and
         * so tells what it knows. */
        struct block_index *from = ledger_best_header(p2p->ledger);
        if (from->prev != NULL)
            from = from->prev;
        peer->sync_started = send_getheaders(peer, from, true);
        log_debug(LOG_NET, "peer %" PRId64 ": headers are asked for from height %" PRId32, peer->id,
            from->height);
    }
    if (peer->type != CONN_INBOUND && peer->type != CONN_MANUAL && peer->sync_started)
        check_chain(peer, now_us);
}

void headers_on_second(struct p2p *p2p)
{
    int64_t now_s = env_wall_s(p2p->env), now_us = p2p_now_us(p2p);
    for (uint32_t i = 0; i < p2p->early_count;) {
        struct early_header e = p2p->early[i];
        struct block_index *index = NULL;
        uint32_t accepted;
        struct fail why;
        if ((int64_t)e.header.time_s > now_s + p2p->chain->future_limit_s) {
            i++;
            continue;
        }
        p2p->early[i] = p2p->early[--p2p->early_count];
        bool ok = ledger_accept_headers(p2p->ledger, &e.header, 1, &index, &accepted, &why);
        struct peer *peer = p2p_peer(p2p, e.peer_id);
        if (ok && index != NULL && peer != NULL) {
            headers_known(peer, index);
            blocks_request(peer);
        }
    }
    if (now_us < p2p->next_stale_us)
        return;
    /* Nothing new for long and nothing on its way: perhaps all our peers are behind a wall. */
    int64_t stale_us = chain_scaled_s(p2p->chain, STALE_TIP_SPACINGS) * SECOND_US;
    p2p->next_stale_us = now_us + chain_scaled_s(p2p->chain, 1) * SECOND_US;
    if (now_us - p2p->tip_us > stale_us && p2p->in_flight.count == 0 && !p2p->extra_outbound) {
        log_debug(LOG_NET, "the tip is stale: one more outbound connection is tried");
        p2p->extra_outbound = true;
    }
}

/* ---- accepting ---- */
static enum message_result accept_run(struct peer *peer, const struct msg_headers *m, struct fail *why)
{
    struct p2p *p2p = peer->p2p;
    struct block_index *last = NULL;
    uint32_t accepted = 0;
    bool ok = ledger_accept_headers(p2p->ledger, m->headers, m->count, &last, &accepted, why);
    if (last != NULL) {
        headers_known(peer, last);
        peer->last_announcement_us = p2p_now_us(p2p);
    }
    if (!ok && why->kind == FAIL_TOO_EARLY) {
        if (accepted < m->count)
            keep_early(p2p, &m->headers[accepted], peer->id);
    } else if (!ok) {
        return MESSAGE_BAD;
    }
    if (m->count == HEADERS_COUNT_MAX && last != NULL && ok) {
        send_getheaders(peer, last, true);
    } else {
        peer->presync.trusted = false;
        peer->sync_done = true;
        /* A peer that ends below the least work has nothing for us while we have nothing ourselves. */
        struct u256 least = min_chain_work(p2p);
        if (ok && ledger_is_initial_download(p2p->ledger) && peer->best_known != NULL &&
            u256_compare(&peer->best_known->chain_work, &least) < 0 && peer->type != CONN_INBOUND &&
            peer->type != CONN_MANUAL) {
            peer_close(peer, "its chain has too little work");
            return MESSAGE_DONE;
        }
    }
    blocks_request(peer);
    return MESSAGE_DONE;
}

/* Proof of work of each; *work grows by theirs. */
static bool check_run(const struct peer *peer, const struct msg_headers *m, struct block_id *ids,
    uint32_t parent_time_s, struct u256 *work, struct fail *why)
{
    const struct chain *chain = peer->p2p->chain;
    for (uint32_t i = 0; i < m->count; i++) {
        const struct header *h = &m->headers[i];
        if (!pow_check(chain, &ids[i], h->bits, h->time_s, parent_time_s, why))
            return fail_prefix(why, "header %s: ", hash_show(ids[i].b));
        struct u256 own = pow_work(chain, h->bits, h->time_s, parent_time_s);
        *work = u256_add(work, &own);
        parent_time_s = h->time_s;
    }
    return true;
}

static struct u256 min_chain_work(const struct p2p *p2p)
{
    return p2p->options.minimum_chain_work != NULL ? *p2p->options.minimum_chain_work
                                                   : p2p->chain->minimum_chain_work;
}

/* Below this much total work headers are not stored on sight. */
static struct u256 least_work(const struct p2p *p2p)
{
    const struct block_index *tip = ledger_tip(p2p->ledger);
    struct u256 own = pow_work(p2p->chain, tip->bits, tip->time_s, tip->prev != NULL ? tip->prev->time_s : tip->time_s);
    struct u256 span = u256_mul_u64(&own, NEAR_TIP_BLOCKS, NULL);
    struct u256 near = u256_from_u64(0), least = min_chain_work(p2p);
    if (u256_compare(&tip->chain_work, &span) > 0)
        near = u256_sub(&tip->chain_work, &span);
    return u256_compare(&near, &least) > 0 ? near : least;
}

/* ---- chains of too little work ---- */
static void low_work_start(struct peer *peer, const struct msg_headers *m, const struct block_id *last,
    struct block_index *parent, const struct u256 *work)
{
    struct presync *p = &peer->presync;
    p->trusted = false;
    if (m->count < HEADERS_COUNT_MAX || p->restarts >= LOW_WORK_RESTARTS_MAX ||
        !bits_permitted(peer->p2p, m, parent->height, parent->bits)) {
        log_debug(LOG_NET, "peer %" PRId64 ": a chain of %u headers from height %" PRId32
            " has too little work and is ignored", peer->id, m->count, parent->height);
        peer->sync_done = true;
        return;
    }
    p->restarts++;
    p->counting = true;
    p->start = parent;
    p->last = m->headers[m->count - 1];
    p->last_id = *last;
    p->work = *work;
    p->height = parent->height + (int32_t)m->count;
    low_work_request(peer);
}

static enum message_result low_work_continue(struct peer *peer, const struct msg_headers *m,
    struct block_id *ids, struct fail *why)
{
    struct presync *p = &peer->presync;
    if (!block_id_equal(&m->headers[0].prev, &p->last_id)) {
        p->counting = false; /* it announces something else meanwhile: the next getheaders sorts it out */
        headers_request(peer, ledger_best_header(peer->p2p->ledger));
        return MESSAGE_DONE;
    }
    if (!check_run(peer, m, ids, p->last.time_s, &p->work, why))
        return MESSAGE_BAD;
    if (!bits_permitted(peer->p2p, m, p->height, p->last.bits)) {
        p->counting = false;
        fail_set(why, FAIL_INVALID, "bad-diffbits", "a difficulty step that no honest chain makes");
        return MESSAGE_BAD;
    }
    p->last = m->headers[m->count - 1];
    p->last_id = ids[m->count - 1];
    p->height += (int32_t)m->count;
    struct u256 least = least_work(peer->p2p);
    if (u256_compare(&p->work, &least) >= 0) {
        p->counting = false;
        p->trusted = true;
        p->trusted_left = (uint32_t)(p->height - p->start->height);
        send_getheaders(peer, p->start, true);
    } else if (m->count == HEADERS_COUNT_MAX) {
        low_work_request(peer);
    } else {
        p->counting = false;
        peer->sync_done = true;
        log_debug(LOG_NET, "peer %" PRId64 ": its chain of height %" PRId32 " has too little work",
            peer->id, p->height);
    }
    return MESSAGE_DONE;
}

static void low_work_request(struct peer *peer)
{
    struct block_id ids[LOCATOR_MAX + 1];
    ids[0] = peer->presync.last_id;
    uint32_t count = 1 + ledger_locator(peer->p2p->ledger, peer->presync.start, ids + 1);
    union message m;
    memset(&m, 0, sizeof m);
    m.locator = (struct msg_locator){ .version = PROTOCOL_VERSION,
        .count = count < LOCATOR_COUNT_MAX ? count : LOCATOR_COUNT_MAX, .ids = ids };
    peer->getheaders_us = p2p_now_us(peer->p2p);
    peer_send(peer, MSG_GETHEADERS, &m);
}

static bool bits_permitted(const struct p2p *p2p, const struct msg_headers *m, int32_t height, uint32_t bits)
{
    for (uint32_t i = 0; i < m->count; i++) {
        if (!pow_permitted(p2p->chain, ++height, bits, m->headers[i].bits))
            return false;
        bits = m->headers[i].bits;
    }
    return true;
}

/* ---- helpers ---- */
static void keep_early(struct p2p *p2p, const struct header *header, int64_t peer_id)
{
    struct block_id id = header_id(header);
    for (uint32_t i = 0; i < p2p->early_count; i++) {
        struct block_id other = header_id(&p2p->early[i].header);
        if (block_id_equal(&id, &other))
            return;
    }
    uint32_t place = p2p->early_count;
    if (place == EARLY_HEADERS_MAX) /* full: one at random gives way, so that nobody can hold all */
        place = (uint32_t)env_random_below(p2p->env, EARLY_HEADERS_MAX);
    else
        p2p->early_count++;
    p2p->early[place] = (struct early_header){ *header, peer_id };
}

/* While far behind one peer is asked at a time, outbound ones first; a silent one is not waited for. */
static bool may_start(const struct peer *peer, int64_t now_us)
{
    const struct p2p *p2p = peer->p2p;
    if ((peer->services & (SERVICE_NETWORK | SERVICE_NETWORK_LIMITED)) == 0)
        return false;
    if (ledger_best_header(p2p->ledger)->time_s > env_wall_s(p2p->env) - RECENT_S)
        return true;
    bool outbound_waits = false;
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        const struct peer *other = p2p->peers[i];
        if (other->state != PEER_READY || other == peer)
            continue;
        if (other->sync_started && !other->sync_done &&
            (other->getheaders_us == 0 || now_us - other->getheaders_us < HEADERS_ANSWER_US))
            return false;
        outbound_waits = outbound_waits || (peer_is_outbound(other) && !other->sync_started);
    }
    return peer_is_outbound(peer) || !outbound_waits;
}

/* Bitcoin's ConsiderEviction: an outbound peer whose chain stays behind ours is asked, then replaced, or
 * an attacker could surround us with peers on a dead branch. */
static void check_chain(struct peer *peer, int64_t now_us)
{
    struct p2p *p2p = peer->p2p;
    /* Our first question is one that any peer can answer: who does not holds a place that another could have. */
    if (!peer->sync_done && peer->getheaders_us != 0 && now_us - peer->getheaders_us > GETHEADERS_AGAIN_US &&
        now_us - peer->last_received_us > HEADERS_ANSWER_US) {
        peer_close(peer, "it does not answer getheaders");
        return;
    }
    struct block_index *tip = ledger_tip(p2p->ledger);
    int64_t patience_us = chain_scaled_s(p2p->chain, CHAIN_SYNC_SPACINGS) * SECOND_US;
    if (peer->best_known != NULL && u256_compare(&peer->best_known->chain_work, &tip->chain_work) >= 0) {
        peer->chain_deadline_us = 0;
        return;
    }
    bool caught_up = peer->chain_work_index != NULL && peer->best_known != NULL &&
                     u256_compare(&peer->best_known->chain_work, &peer->chain_work_index->chain_work) >= 0;
    if (peer->chain_deadline_us == 0 || caught_up) {
        peer->chain_deadline_us = now_us + patience_us;
        peer->chain_work_index = tip;
        peer->chain_asked = false;
    } else if (now_us > peer->chain_deadline_us) {
        if (peer->chain_asked) {
            peer_close(peer, "its chain stays behind ours");
            return;
        }
        struct block_index *from = peer->chain_work_index;
        peer->chain_asked = true;
        peer->chain_deadline_us = now_us + CHAIN_ANSWER_US;
        send_getheaders(peer, from->prev != NULL ? from->prev : from, true);
    }
}

static bool send_getheaders(struct peer *peer, struct block_index *from, bool force)
{
    struct p2p *p2p = peer->p2p;
    int64_t now_us = p2p_now_us(p2p);
    if (!force && peer->getheaders_us != 0 && now_us - peer->getheaders_us < GETHEADERS_AGAIN_US)
        return false;
    struct block_id ids[LOCATOR_MAX];
    union message m;
    memset(&m, 0, sizeof m);
    m.locator = (struct msg_locator){ .version = PROTOCOL_VERSION,
        .count = ledger_locator(p2p->ledger, from, ids), .ids = ids };
    peer->getheaders_us = now_us;
    peer_send(peer, MSG_GETHEADERS, &m);
    return true;
}
