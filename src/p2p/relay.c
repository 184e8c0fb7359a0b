/* Transactions from and to peers.
 *
 * In: announced by id, asked for from one peer at a time (tx_request.h), offered to the pool. A transaction
 * whose inputs we do not know waits in the orphanage while its parents are asked for; when one arrives, its
 * children are offered again. What was refused is not asked for again until the next block.
 *
 * Out: each peer has a set of what it should hear of, sent in batches at random times, so that nobody can
 * see from the times where a transaction entered the network. All inbound peers share one clock: more
 * connections to us do not give a spy more samples. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "coin/base/mem.h"
#include "internal.h"

#define ORPHAN_CHILDREN_MAX 100u   /* of one parent, offered again */
#define ORPHAN_WORK_MAX 2000u      /* slots waiting to be offered again; the rest wait for their expiry */
#define ORPHAN_OFFERS_PER_TURN 16u
#define FEE_FILTER_STEP 1.1        /* Bitcoin: FEE_FILTER_SPACING; exact fees would mark us */
#define FEE_CHANGE_US (5 * MINUTE_US) /* Bitcoin: MAX_FEEFILTER_CHANGE_DELAY */

struct tx_work {
    struct work work;
    struct tx *tx; /* a reference */
    bool paired;   /* offered with its parent or child */
};
struct batch_item { /* one that may be announced now */
    const struct mempool_entry *entry;
    uint32_t ancestors;
};

static bool in_hand(const struct p2p *p2p, const struct tx_key *key);
static bool wants_from(const struct peer *peer);
static struct tx_key announced_key(const struct peer *peer, const struct tx *tx);
static void announced(struct peer *peer, uint32_t type, const uint8_t hash[32]);
static void request_due(struct peer *peer, int64_t now_us);
static bool offer(struct p2p *p2p, int64_t peer_id, struct tx *tx);
static void offer_with_child(struct peer *peer, struct tx *parent, const struct work *cause);
static void judging_begins(struct p2p *p2p, const struct tx *tx);
static void abandon(struct tx_work *w);
static void on_verdict(void *ctx, struct tx *tx, const struct mempool_entry *entry, const struct fail *why);
static void forget_requests(struct p2p *p2p, const struct tx *tx);
static void keep_orphan(struct peer *peer, struct tx *tx);
static void refused(struct p2p *p2p, const struct tx *tx, const struct fail *why);
static void wake_children(struct p2p *p2p, const struct txid *parent);
static void send_fee_filter(struct peer *peer, int64_t now_us);
static int64_t round_fee(const struct p2p *p2p, int64_t sat_kvb);
static void trickle(struct peer *peer, int64_t now_us);
static uint32_t pick_batch(struct peer *peer, struct batch_item *items, uint32_t count);
static void announce_batch(struct peer *peer, struct batch_item *items, uint32_t count);
static int by_sequence(const void *a, const void *b);
static int by_depth(const void *a, const void *b);

enum message_result relay_on_inv(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    (void)frame, (void)why;
    for (uint32_t i = 0; i < m->inv.count && peer->state == PEER_READY; i++) {
        const struct inv_item *item = &m->inv.items[i];
        if ((item->type & ~(uint32_t)INV_WITNESS_FLAG) == INV_BLOCK) {
            struct block_id id;
            memcpy(id.b, item->hash, sizeof id.b);
            headers_announced(peer, &id);
        } else if (item->type == (peer->wtxid_relay ? (uint32_t)INV_WTX : (uint32_t)INV_TX)) {
            announced(peer, item->type, item->hash);
        }
    }
    if (peer->state == PEER_READY)
        request_due(peer, p2p_now_us(peer->p2p));
    return MESSAGE_DONE;
}

enum message_result relay_on_notfound(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    struct p2p *p2p = peer->p2p;
    (void)frame, (void)why;
    for (uint32_t i = 0; i < m->inv.count; i++) {
        const struct inv_item *item = &m->inv.items[i];
        struct tx_key key = { .is_wtxid = item->type == INV_WTX };
        struct block_id id;
        memcpy(key.hash, item->hash, sizeof key.hash);
        memcpy(id.b, item->hash, sizeof id.b);
        if (item->type == INV_WTX || (item->type & ~(uint32_t)INV_WITNESS_FLAG) == INV_TX) {
            tx_requests_failed(&p2p->requests, peer->id, &key);
        } else if (peer->flight_count > 0) {
            struct block_index *index = ledger_find(p2p->ledger, &id);
            if (index != NULL)
                blocks_drop_flight(peer, index);
        }
    }
    return MESSAGE_DONE;
}

enum message_result relay_on_tx(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    struct p2p *p2p = peer->p2p;
    struct tx *tx;
    (void)frame;
    if (!wants_from(peer)) {
        peer_close(peer, "a transaction, although we asked for none");
        return MESSAGE_DONE;
    }
    if (ledger_is_initial_download(p2p->ledger))
        return MESSAGE_DONE; /* it could not be judged yet */
    if (peer->work_pending >= WORK_PENDING_MAX)
        return MESSAGE_WAIT;
    if (!tx_decode(&tx, m->bytes.bytes, why))
        return MESSAGE_BAD;
    struct tx_key key = announced_key(peer, tx), by_wtxid = { .is_wtxid = 1 };
    memcpy(by_wtxid.hash, tx->wtxid.b, sizeof by_wtxid.hash);
    rolling_add(&peer->tx_known, key.hash, sizeof key.hash);
    enum message_result result = MESSAGE_DONE;
    if (rolling_has(&p2p->cheap, by_wtxid.hash, sizeof by_wtxid.hash)) { /* asked for again, or sent unasked */
        forget_requests(p2p, tx);
        offer_with_child(peer, tx, NULL);
    } else if (in_hand(p2p, &by_wtxid)) {
        const struct mempool_entry *entry = mempool_find_wtxid(p2p->mempool, &tx->wtxid);
        forget_requests(p2p, tx);
        if (entry != NULL && peer_permits(peer, PERMIT_FORCERELAY))
            relay_added(p2p, entry->tx, entry->vsize_vb, entry->fee_sat);
    } else if (!offer(p2p, peer->id, tx)) {
        result = MESSAGE_WAIT;
    }
    tx_unref(tx);
    return result;
}

enum message_result relay_on_mempool(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    struct p2p *p2p = peer->p2p;
    const struct mempool_entry *entry;
    uint32_t cursor = 0, count = 0;
    (void)m, (void)frame;
    if (!peer_permits(peer, PERMIT_MEMPOOL)) { /* BIP35: it would show all we know, at no cost */
        if (!peer_permits(peer, PERMIT_NOBAN))
            peer_close(peer, "it asked for our pool");
        return MESSAGE_DONE;
    }
    struct inv_item *items = arena_array(&p2p->scratch, INV_COUNT_MAX, sizeof *items);
    if (items == NULL) {
        fail_oom(why, "inv");
        return MESSAGE_BAD;
    }
    while (count < INV_COUNT_MAX && (entry = mempool_next(p2p->mempool, &cursor)) != NULL) {
        struct tx_key key = announced_key(peer, entry->tx);
        items[count].type = key.is_wtxid ? INV_WTX : INV_TX;
        memcpy(items[count++].hash, key.hash, sizeof key.hash);
        rolling_add(&peer->tx_known, key.hash, sizeof key.hash);
    }
    peer->last_inv_sequence = mempool_sequence(p2p->mempool);
    if (count > 0)
        peer_send_inv(peer, MSG_INV, items, count);
    return MESSAGE_DONE;
}

enum message_result relay_on_feefilter(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    (void)frame, (void)why;
    if (amount_in_range(m->feefilter.sat_kvb, peer->p2p->chain->max_money_sat))
        peer->fee_filter_sat_kvb = m->feefilter.sat_kvb;
    return MESSAGE_DONE;
}

void relay_on_tick(struct peer *peer, int64_t now_us)
{
    request_due(peer, now_us);
    send_fee_filter(peer, now_us);
    trickle(peer, now_us);
}

void relay_added(struct p2p *p2p, struct tx *tx, uint32_t vsize_vb, int64_t fee_sat)
{
    (void)vsize_vb, (void)fee_sat; /* the fee filter is asked when the announcement leaves */
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        struct peer *peer = p2p->peers[i];
        struct tx_key key = announced_key(peer, tx);
        if (!relay_wanted(peer) || rolling_has(&peer->tx_known, key.hash, sizeof key.hash))
            continue;
        if (table_put(&peer->tx_to_send, &tx->wtxid, NULL) == NULL)
            continue; /* full: a peer this slow hears of it from others */
    }
    wake_children(p2p, &tx->txid);
}

void relay_block_connected(struct p2p *p2p, const struct block *block)
{
    if (ledger_is_initial_download(p2p->ledger))
        return; /* nothing was asked for yet */
    for (uint32_t i = 0; i < block->tx_count; i++) {
        const struct tx *tx = &block->txs[i];
        rolling_add(&p2p->confirmed, tx->txid.b, sizeof tx->txid.b);
        if (tx->has_witness)
            rolling_add(&p2p->confirmed, tx->wtxid.b, sizeof tx->wtxid.b);
        forget_requests(p2p, tx);
        orphans_remove_wtxid(p2p->orphans, &tx->wtxid);
        wake_children(p2p, &tx->txid);
    }
}

void relay_tip_changed(struct p2p *p2p)
{
    rolling_clear(&p2p->rejects); /* time locks, fees and rules may say otherwise now */
    rolling_clear(&p2p->cheap);
}

bool relay_orphan_work(struct p2p *p2p)
{
    uint32_t done = 0;
    while (p2p->orphan_work_count > 0 && done < ORPHAN_OFFERS_PER_TURN) {
        uint32_t last = p2p->orphan_work_count - 1;
        struct orphan *o = &p2p->orphans->slots[p2p->orphan_work[last]];
        if (o->tx != NULL && o->serial == p2p->orphan_serials[last] && !o->judging) {
            o->judging = true;
            if (!offer(p2p, o->peer, o->tx)) {
                o->judging = false;
                return false; /* the pool is busy: its next verdict brings us back */
            }
        }
        p2p->orphan_work_count = last;
        done++;
    }
    return p2p->orphan_work_count > 0;
}

bool relay_wanted(const struct peer *peer)
{
    return peer->state == PEER_READY && peer->remote_relays &&
           (peer->type == CONN_INBOUND || peer->type == CONN_MANUAL || peer->type == CONN_FULL);
}

/* ---- in ---- */
/* Here already, being judged, or refused: not worth asking for. */
static bool in_hand(const struct p2p *p2p, const struct tx_key *key)
{
    if (rolling_has(&p2p->rejects, key->hash, sizeof key->hash) ||
        rolling_has(&p2p->confirmed, key->hash, sizeof key->hash) ||
        table_find(&p2p->tx_judging, key->hash) != NULL)
        return true;
    if (key->is_wtxid) {
        struct wtxid id;
        memcpy(id.b, key->hash, sizeof id.b);
        return orphans_has(p2p->orphans, &id) || mempool_find_wtxid(p2p->mempool, &id) != NULL;
    }
    struct txid id;
    memcpy(id.b, key->hash, sizeof id.b);
    return mempool_find(p2p->mempool, &id) != NULL;
}

/* -blocksonly and block-relay-only connections said in version that they take none. */
static bool wants_from(const struct peer *peer)
{
    return peer->type != CONN_BLOCKS &&
           (!peer->p2p->options.blocks_only || peer_permits(peer, PERMIT_RELAY));
}

static struct tx_key announced_key(const struct peer *peer, const struct tx *tx)
{
    struct tx_key key = { .is_wtxid = peer->wtxid_relay };
    memcpy(key.hash, peer->wtxid_relay ? tx->wtxid.b : tx->txid.b, sizeof key.hash);
    return key;
}

static void announced(struct peer *peer, uint32_t type, const uint8_t hash[32])
{
    struct p2p *p2p = peer->p2p;
    struct tx_key key = { .is_wtxid = type == INV_WTX };
    int64_t ready_us = p2p_now_us(p2p);
    memcpy(key.hash, hash, sizeof key.hash);
    rolling_add(&peer->tx_known, hash, sizeof key.hash);
    if (!wants_from(peer)) {
        peer_close(peer, "it announces transactions, although we asked for none");
        return;
    }
    if (ledger_is_initial_download(p2p->ledger) || in_hand(p2p, &key) || rolling_has(&p2p->cheap, key.hash, sizeof key.hash))
        return;
    bool preferred = peer_is_outbound(peer) || peer_permits(peer, PERMIT_NOBAN);
    /* Bitcoin: those who call us wait for those whom we chose, ids without witness for those with. */
    if (!preferred)
        ready_us += TX_DELAY_US;
    if (!key.is_wtxid && !peer_permits(peer, PERMIT_RELAY))
        ready_us += TX_DELAY_US;
    tx_requests_announce(&p2p->requests, peer->id, &key, preferred, ready_us);
}

static void request_due(struct peer *peer, int64_t now_us)
{
    struct p2p *p2p = peer->p2p;
    struct tx_key keys[TX_IN_FLIGHT_MAX];
    struct inv_item items[TX_IN_FLIGHT_MAX];
    uint32_t busy = tx_requests_in_flight(&p2p->requests, peer->id), count = 0;
    uint32_t room = busy < TX_IN_FLIGHT_MAX ? TX_IN_FLIGHT_MAX - busy : 0;
    uint32_t due = tx_requests_due(&p2p->requests, peer->id, now_us, keys, room);
    for (uint32_t i = 0; i < due; i++) {
        if (in_hand(p2p, &keys[i])) {
            tx_requests_forget(&p2p->requests, &keys[i]);
            continue;
        }
        items[count].type = keys[i].is_wtxid ? INV_WTX : INV_WITNESS_TX;
        memcpy(items[count++].hash, keys[i].hash, sizeof keys[i].hash);
    }
    if (count > 0)
        peer_send_inv(peer, MSG_GETDATA, items, count);
}

/* peer_id: who answers for it; it may be gone. false: the pool is busy. */
static bool offer(struct p2p *p2p, int64_t peer_id, struct tx *tx)
{
    struct peer *peer = p2p_peer(p2p, peer_id);
    struct tx_work *w = mem_new(sizeof *w);
    w->tx = tx_ref(tx);
    w->work = peer != NULL ? work_begin(peer) : (struct work){ p2p, NO_PEER, 0 };
    if (!mempool_offer(p2p->mempool, tx, 0, 0, (struct tx_verdict){ on_verdict, w })) {
        abandon(w);
        return false;
    }
    judging_begins(p2p, tx);
    return true;
}

static void judging_begins(struct p2p *p2p, const struct tx *tx)
{
    /* Full: then it may be asked for twice, which costs bytes only. */
    if (table_put(&p2p->tx_judging, tx->wtxid.b, NULL) != NULL)
        if (table_put(&p2p->tx_judging, tx->txid.b, NULL) == NULL)
            log_debug(LOG_NET, "more transactions are being judged than are remembered");
    forget_requests(p2p, tx);
}

static void abandon(struct tx_work *w)
{
    struct peer *peer = p2p_peer(w->work.p2p, w->work.peer_id);
    if (peer != NULL)
        work_count(peer, w->work.generation, -1);
    tx_unref(w->tx);
    mem_free(w);
}

/* A parent that was too cheap alone, with a child of it that the same peer has sent (Bitcoin's one-parent-one-child package):
 * another peer's child could be one that is bad on purpose. cause: the parent's own verdict; NULL: it has just come. */
static void offer_with_child(struct peer *peer, struct tx *parent, const struct work *cause)
{
    struct p2p *p2p = peer->p2p;
    uint32_t slots[ORPHAN_CHILDREN_MAX];
    struct orphan *child = NULL;
    uint32_t count = orphans_children(p2p->orphans, &parent->txid, slots, ORPHAN_CHILDREN_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct orphan *o = &p2p->orphans->slots[slots[i]];
        if (o->peer == peer->id && !o->judging && (child == NULL || o->serial > child->serial))
            child = o;
    }
    if (child == NULL)
        return;
    struct tx_work *works[2];
    struct tx *txs[2] = {parent, child->tx};
    for (int i = 0; i < 2; i++) {
        works[i] = mem_new(sizeof *works[i]);
        works[i]->tx = tx_ref(txs[i]);
        works[i]->work = cause != NULL ? work_more(peer, cause) : work_begin(peer);
        works[i]->paired = true;
    }
    if (!mempool_offer_pair(p2p->mempool, txs[0], (struct tx_verdict){on_verdict, works[0]}, txs[1], (struct tx_verdict){on_verdict, works[1]})) {
        abandon(works[0]);
        abandon(works[1]);
        return; /* the pool is busy; the parent may be asked for once more */
    }
    child->judging = true;
    judging_begins(p2p, txs[0]);
    judging_begins(p2p, txs[1]);
}

static void on_verdict(void *ctx, struct tx *tx, const struct mempool_entry *entry, const struct fail *why)
{
    struct tx_work *w = ctx;
    struct p2p *p2p = w->work.p2p;
    struct tx *own = w->tx;
    (void)tx;
    table_remove(&p2p->tx_judging, own->wtxid.b);
    table_remove(&p2p->tx_judging, own->txid.b);
    struct peer *peer = p2p_peer(p2p, w->work.peer_id);
    if (why->kind == FAIL_TOO_EARLY) {
        if (peer != NULL)
            keep_orphan(peer, own);
    } else {
        orphans_remove_wtxid(p2p->orphans, &own->wtxid);
        if (entry != NULL && why->kind == FAIL_NONE) {
            if (peer != NULL)
                peer->last_tx_s = env_wall_s(p2p->env);
        } else if (entry == NULL) {
            refused(p2p, own, why);
            if (peer != NULL && !w->paired && mempool_is_too_cheap(why))
                offer_with_child(peer, own, &w->work);
        }
    }
    work_end(&w->work); /* last: a pong may leave now */
    tx_unref(own);
    mem_free(w);
    p2p_reap(p2p);
}

static void forget_requests(struct p2p *p2p, const struct tx *tx)
{
    struct tx_key key = { .is_wtxid = 1 };
    memcpy(key.hash, tx->wtxid.b, sizeof key.hash);
    tx_requests_forget(&p2p->requests, &key);
    key.is_wtxid = 0;
    memcpy(key.hash, tx->txid.b, sizeof key.hash);
    tx_requests_forget(&p2p->requests, &key);
}

static void keep_orphan(struct peer *peer, struct tx *tx)
{
    struct p2p *p2p = peer->p2p;
    int64_t now_us = p2p_now_us(p2p);
    const uint32_t *slot = table_find(&p2p->orphans->by_wtxid, &tx->wtxid);
    if (slot != NULL) {
        p2p->orphans->slots[*slot].judging = false; /* another parent is missing still */
        return;
    }
    for (uint32_t i = 0; i < tx->in_count; i++) {
        if (rolling_has(&p2p->rejects, tx->in[i].prevout.txid.b, sizeof tx->in[i].prevout.txid.b)) {
            rolling_add(&p2p->rejects, tx->wtxid.b, sizeof tx->wtxid.b); /* its parent was refused */
            return;
        }
    }
    if (!orphans_add(p2p->orphans, tx, peer->id, now_us))
        return;
    bool preferred = peer_is_outbound(peer);
    for (uint32_t i = 0; i < tx->in_count; i++) {
        struct tx_key parent = { .is_wtxid = 0 };
        memcpy(parent.hash, tx->in[i].prevout.txid.b, sizeof parent.hash);
        if (!in_hand(p2p, &parent))
            tx_requests_announce(&p2p->requests, peer->id, &parent, preferred,
                preferred ? now_us : now_us + TX_DELAY_US);
    }
}

/* Only what is about the transaction itself is remembered; the copy with another witness may be good. */
static void refused(struct p2p *p2p, const struct tx *tx, const struct fail *why)
{
    log_debug(LOG_MEMPOOLREJ, "%s was not accepted: %s %s", hash_show(tx->txid.b), why->code, why->detail);
    if (why->kind != FAIL_INVALID && why->kind != FAIL_POLICY)
        return;
    rolling_add(mempool_is_too_cheap(why) ? &p2p->cheap : &p2p->rejects, tx->wtxid.b, sizeof tx->wtxid.b);
}

static void wake_children(struct p2p *p2p, const struct txid *parent)
{
    uint32_t slots[ORPHAN_CHILDREN_MAX];
    if (p2p->orphans->count == 0)
        return;
    uint32_t count = orphans_children(p2p->orphans, parent, slots, ORPHAN_CHILDREN_MAX);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t serial_capacity = p2p->orphan_work_capacity;
        if (!mem_try_grow(&p2p->orphan_serials, &serial_capacity, p2p->orphan_work_count + 1,
                ORPHAN_WORK_MAX, sizeof *p2p->orphan_serials) ||
            !mem_try_grow(&p2p->orphan_work, &p2p->orphan_work_capacity, p2p->orphan_work_count + 1,
                ORPHAN_WORK_MAX, sizeof *p2p->orphan_work))
            return;
        p2p->orphan_work[p2p->orphan_work_count] = slots[i];
        p2p->orphan_serials[p2p->orphan_work_count++] = p2p->orphans->slots[slots[i]].serial;
    }
}

/* ---- out ---- */
static void send_fee_filter(struct peer *peer, int64_t now_us)
{
    struct p2p *p2p = peer->p2p;
    union message m;
    if (peer->version < PROTOCOL_FEEFILTER || p2p->options.blocks_only || peer->type == CONN_BLOCKS ||
        peer_permits(peer, PERMIT_FORCERELAY))
        return;
    bool loading = ledger_is_initial_download(p2p->ledger);
    int64_t now_sat = loading ? p2p->chain->max_money_sat : mempool_stats(p2p->mempool).min_fee_sat_kvb;
    if (!loading && peer->fee_filter_sent == p2p->chain->max_money_sat)
        peer->next_feefilter_us = 0; /* we can judge now: tell at once */
    if (now_us >= peer->next_feefilter_us) {
        int64_t rounded_sat = loading ? now_sat : round_fee(p2p, now_sat);
        if (rounded_sat != peer->fee_filter_sent) {
            memset(&m, 0, sizeof m);
            m.feefilter.sat_kvb = rounded_sat;
            peer_send(peer, MSG_FEEFILTER, &m);
            peer->fee_filter_sent = rounded_sat;
        }
        peer->next_feefilter_us = now_us + p2p_poisson_us(p2p, FEEFILTER_US);
    } else if (peer->next_feefilter_us - now_us > FEE_CHANGE_US &&
               (now_sat < peer->fee_filter_sent / 4 * 3 || now_sat > peer->fee_filter_sent / 3 * 4)) {
        peer->next_feefilter_us = now_us + (int64_t)env_random_below(p2p->env, (uint64_t)FEE_CHANGE_US);
    }
}

/* The least relay fee goes out as it is; above it, a step of a ladder, below or above by chance. */
static int64_t round_fee(const struct p2p *p2p, int64_t sat_kvb)
{
    double step = 100; /* sat/kvB: the ladder's first rung, today's least relay fee */
    if (sat_kvb <= (int64_t)step)
        return sat_kvb;
    while (step * FEE_FILTER_STEP <= (double)sat_kvb)
        step *= FEE_FILTER_STEP;
    if (step < (double)sat_kvb && env_random_below(p2p->env, 3) == 0)
        step *= FEE_FILTER_STEP;
    return (int64_t)step;
}

static void trickle(struct peer *peer, int64_t now_us)
{
    struct p2p *p2p = peer->p2p;
    if (peer->tx_to_send.count > 0 && !relay_wanted(peer))
        table_clear(&peer->tx_to_send);
    if (now_us < peer->next_trickle_us && !peer_permits(peer, PERMIT_NOBAN))
        return;
    if (peer_is_outbound(peer)) {
        peer->next_trickle_us = now_us + p2p_poisson_us(p2p, TRICKLE_OUTBOUND_US);
    } else {
        if (p2p->next_inbound_trickle_us <= now_us)
            p2p->next_inbound_trickle_us = now_us + p2p_poisson_us(p2p, TRICKLE_INBOUND_US);
        peer->next_trickle_us = p2p->next_inbound_trickle_us;
    }
    uint32_t waiting = peer->tx_to_send.count;
    if (waiting == 0 || peer_outbox_full(peer) || peer->fee_filter_sat_kvb >= FEE_FILTER_LOADING_SAT_KVB)
        return;
    struct batch_item *items = mem_try_array(waiting, sizeof *items);
    if (items == NULL)
        return;
    announce_batch(peer, items, pick_batch(peer, items, waiting));
    mem_free(items);
}

/* Those still in the pool, unknown to the peer and dear enough for it, oldest first; the others leave. */
static uint32_t pick_batch(struct peer *peer, struct batch_item *items, uint32_t count)
{
    struct p2p *p2p = peer->p2p;
    const void *key;
    void *value;
    uint32_t cursor = 0, used = 0;
    while (table_next(&peer->tx_to_send, &cursor, &key, &value)) {
        const struct mempool_entry *entry = mempool_find_wtxid(p2p->mempool, key);
        if (entry != NULL) {
            struct tx_key id = announced_key(peer, entry->tx);
            if (!rolling_has(&peer->tx_known, id.hash, sizeof id.hash) &&
                entry->fee_sat >= fee_of(peer->fee_filter_sat_kvb, entry->vsize_vb)) {
                if (used < count)
                    items[used++].entry = entry;
                continue;
            }
        }
        table_remove_at(&peer->tx_to_send, &cursor);
    }
    /* A removal may have shown an entry twice. */
    uint32_t kept = 0;
    qsort(items, used, sizeof *items, by_sequence);
    for (uint32_t i = 0; i < used; i++)
        if (kept == 0 || items[kept - 1].entry != items[i].entry)
            items[kept++] = items[i];
    return kept;
}

static int by_sequence(const void *a, const void *b)
{
    const struct batch_item *x = a, *y = b;
    return x->entry->sequence < y->entry->sequence ? -1 : x->entry->sequence > y->entry->sequence;
}

/* Parents before children, else by feerate: the order of arrival stays ours. */
static int by_depth(const void *a, const void *b)
{
    const struct batch_item *x = a, *y = b;
    if (x->ancestors != y->ancestors)
        return x->ancestors < y->ancestors ? -1 : 1;
    double left = (double)x->entry->fee_sat * y->entry->vsize_vb;
    double right = (double)y->entry->fee_sat * x->entry->vsize_vb;
    if (left < right || left > right)
        return left > right ? -1 : 1;
    return memcmp(x->entry->tx->wtxid.b, y->entry->tx->wtxid.b, sizeof x->entry->tx->wtxid.b);
}

static void announce_batch(struct peer *peer, struct batch_item *items, uint32_t count)
{
    struct p2p *p2p = peer->p2p;
    struct inv_item out[TRICKLE_BATCH_MAX];
    uint32_t max = TRICKLE_BATCH + count / 1000 * 5; /* Bitcoin: faster when much waits */
    if (max > TRICKLE_BATCH_MAX)
        max = TRICKLE_BATCH_MAX;
    if (count > max)
        count = max;
    for (uint32_t i = 0; i < count; i++) {
        const struct mempool_entry *relatives[CLUSTER_COUNT_MAX];
        items[i].ancestors = mempool_relatives(p2p->mempool, items[i].entry, false, relatives);
    }
    qsort(items, count, sizeof *items, by_depth);
    for (uint32_t i = 0; i < count; i++) {
        const struct tx *tx = items[i].entry->tx;
        struct tx_key key = announced_key(peer, tx);
        out[i].type = key.is_wtxid ? INV_WTX : INV_TX;
        memcpy(out[i].hash, key.hash, sizeof key.hash);
        rolling_add(&peer->tx_known, key.hash, sizeof key.hash);
        table_remove(&peer->tx_to_send, &tx->wtxid);
    }
    peer->last_inv_sequence = mempool_sequence(p2p->mempool);
    if (count > 0)
        peer_send_inv(peer, MSG_INV, out, count);
}
