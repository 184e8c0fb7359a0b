/* Answers to peers: transactions, blocks, headers. What a getdata asks for waits in the peer's queue and is
 * answered in order; a block that is not the newest is read by a job, a few ahead, while all reads together
 * stay under a ceiling of memory. Nothing is answered while the peer's outbox is full, so a peer that asks
 * for much and takes little costs a queue of hashes and no more.
 *
 * Each item counts as work of its peer (see peer.c), so a pong leaves after the answers asked before it. */
#include <inttypes.h>
#include <string.h>

#include "coin/base/mem.h"
#include "internal.h"

#define ITEMS_PER_ADVANCE 2000u /* then others have their turn */
#define COMPACT_DEPTH_MAX 5     /* Bitcoin: MAX_CMPCTBLOCK_DEPTH; deeper ones go whole */
#define BLOCKTXN_DEPTH_MAX 10   /* Bitcoin: MAX_BLOCKTXN_DEPTH */
#define STALE_AGE_MAX_S (30 * 24 * 60 * 60) /* Bitcoin: of a block off the active chain */
#define LIMITED_RACE 2
#define READ_SIZE_UNKNOWN_B BLOCK_SIZE_MAX_B

struct serve_read {
    struct block_read read; /* first */
    struct p2p *p2p;
    uint32_t size_b;
    bool finished, abandoned;
    struct fail why;
};
enum step { STEP_DONE, STEP_WAIT };

static struct serve_item *push(struct peer *peer, uint32_t type, const uint8_t hash[32]);
static void pop(struct peer *peer);
static struct serve_item *item_at(struct peer *peer, uint32_t i);
static enum step serve_block(struct peer *peer, struct serve_item *item);
static void read_ahead(struct peer *peer);
static bool start_read(struct peer *peer, struct serve_item *item, struct block_index *index);
static void on_read(struct block_read *read, const struct fail *why);
static void read_drop(struct serve_read *sr); /* NULL is accepted */
static void read_free(struct serve_read *sr);
static bool send_tx(struct peer *peer, const struct serve_item *item);
static struct block *in_memory(const struct p2p *p2p, const uint8_t hash[32]);
static void send_from_memory(struct peer *peer, struct serve_item *item, struct block *block);
static void send_from_read(struct peer *peer, struct serve_item *item);
static void send_stripped(struct peer *peer, const struct block *block);
static void send_block_txs(struct peer *peer, const struct serve_item *item, const struct block *block);
static void continue_getblocks(struct peer *peer, const struct block_id *id);
static bool is_too_deep(const struct p2p *p2p, const struct block_index *index);
static bool is_history(const struct p2p *p2p, const struct block_index *index);
static const char *refusal_of(const struct peer *peer, const struct block_index *index);
static bool is_being_judged(const struct p2p *p2p, const struct block_index *index);
static struct block_index *index_of(const struct p2p *p2p, const uint8_t hash[32]);
static bool is_block(uint32_t type);
static bool wants_decoded(const struct p2p *p2p, uint32_t type, const struct block_index *index);
static bool announce_headers(struct peer *peer, struct block_index **blocks, uint32_t count);
static void note_agreement(struct p2p *p2p, const struct block_index *index);

enum message_result serve_on_getdata(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    (void)frame, (void)why;
    if (peer->serve.count > 0 && peer->serve.count + m->inv.count > SERVE_QUEUE_MAX)
        return MESSAGE_WAIT;
    for (uint32_t i = 0; i < m->inv.count; i++)
        if (push(peer, m->inv.items[i].type, m->inv.items[i].hash) == NULL)
            break; /* out of memory: it asks again, or elsewhere */
    serve_advance(peer);
    return MESSAGE_DONE;
}

enum message_result serve_on_getheaders(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    struct p2p *p2p = peer->p2p;
    const struct msg_locator *l = &m->locator;
    struct block_index *tip = ledger_tip(p2p->ledger), *at;
    const struct u256 *least = p2p->options.minimum_chain_work != NULL ? p2p->options.minimum_chain_work
                                                                      : &p2p->chain->minimum_chain_work;
    union message answer;
    (void)frame;
    memset(&answer, 0, sizeof answer);
    if (u256_compare(&tip->chain_work, least) < 0 && !peer_permits(peer, PERMIT_DOWNLOAD)) {
        /* Our chain may be a liar's still. An empty answer, so that the peer asks somebody else. */
        peer_send(peer, MSG_HEADERS, &answer);
        return MESSAGE_DONE;
    }
    if (l->count == 0) {
        at = ledger_find(p2p->ledger, &l->stop);
        if (at == NULL || !serve_may(p2p, at))
            return MESSAGE_DONE;
    } else {
        struct block_index *fork = ledger_find_fork(p2p->ledger, l->ids, l->count);
        note_agreement(p2p, fork);
        at = ledger_at(p2p->ledger, fork->height + 1);
    }
    struct header *headers = arena_array(&p2p->scratch, HEADERS_COUNT_MAX, sizeof *headers);
    if (headers == NULL) {
        fail_oom(why, "headers");
        return MESSAGE_BAD;
    }
    struct block_index *last = NULL;
    uint32_t count = 0;
    while (at != NULL && count < HEADERS_COUNT_MAX) {
        headers[count++] = index_header(at);
        last = at;
        if (block_id_equal(&at->id, &l->stop))
            break;
        at = ledger_is_active(p2p->ledger, at) ? ledger_at(p2p->ledger, at->height + 1) : NULL;
    }
    answer.headers = (struct msg_headers){ count, headers };
    peer_send(peer, MSG_HEADERS, &answer);
    peer->best_header_sent = last != NULL ? last : tip;
    return MESSAGE_DONE;
}

enum message_result serve_on_getblocks(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    struct p2p *p2p = peer->p2p;
    const struct msg_locator *l = &m->locator;
    struct inv_item *items = arena_array(&p2p->scratch, GETBLOCKS_INV_MAX, sizeof *items);
    (void)frame;
    if (items == NULL) {
        fail_oom(why, "inv");
        return MESSAGE_BAD;
    }
    struct block_index *at = ledger_find_fork(p2p->ledger, l->ids, l->count);
    uint32_t count = 0;
    while ((at = ledger_at(p2p->ledger, at->height + 1)) != NULL) {
        if (block_id_equal(&at->id, &l->stop))
            break;
        if (is_too_deep(p2p, at))
            continue; /* may be gone when it is asked for */
        items[count].type = INV_BLOCK;
        memcpy(items[count].hash, at->id.b, sizeof items[count].hash);
        if (++count == GETBLOCKS_INV_MAX) {
            peer->continue_at = at->id; /* when this one is asked for, the tip is told */
            break;
        }
    }
    if (count > 0)
        peer_send_inv(peer, MSG_INV, items, count);
    return MESSAGE_DONE;
}

enum message_result serve_on_getblocktxn(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    struct p2p *p2p = peer->p2p;
    const struct msg_getblocktxn *g = &m->getblocktxn;
    (void)frame, (void)why;
    if (peer->serve.count >= SERVE_QUEUE_MAX)
        return MESSAGE_WAIT;
    struct block_index *index = ledger_find(p2p->ledger, &g->id);
    bool deep = index != NULL && index->height < ledger_tip(p2p->ledger)->height - BLOCKTXN_DEPTH_MAX;
    if (index == NULL || (in_memory(p2p, g->id.b) == NULL && !(index->status & BLOCK_HAVE_DATA)))
        return MESSAGE_DONE;
    struct serve_item *item = push(peer, deep ? INV_WITNESS_BLOCK : SERVE_BLOCKTXN, g->id.b);
    if (item != NULL && !deep) {
        item->indexes = mem_try_array(g->count, sizeof *item->indexes);
        if (item->indexes != NULL) {
            memcpy(item->indexes, g->indexes, g->count * sizeof *item->indexes);
            item->index_count = g->count;
        }
    }
    serve_advance(peer);
    return MESSAGE_DONE;
}

void serve_advance(struct peer *peer)
{
    struct inv_item missing[64];
    uint32_t missing_count = 0, steps = 0;
    while (peer->state == PEER_READY && peer->serve.count > 0 && !peer_outbox_full(peer) &&
           steps++ < ITEMS_PER_ADVANCE) {
        struct serve_item *item = item_at(peer, 0);
        if (is_block(item->type)) {
            read_ahead(peer);
            if (serve_block(peer, item) == STEP_WAIT)
                break;
        } else if (!send_tx(peer, item)) {
            missing[missing_count].type = item->type;
            memcpy(missing[missing_count].hash, item->hash, sizeof item->hash);
            missing_count++;
        }
        /* Before the item goes: a pong behind it must not overtake its answer. */
        bool last = peer->serve.count == 1 || item_at(peer, 1)->generation != item->generation;
        if (missing_count == sizeof missing / sizeof missing[0] || (missing_count > 0 && last)) {
            peer_send_inv(peer, MSG_NOTFOUND, missing, missing_count);
            missing_count = 0;
        }
        pop(peer);
    }
    if (missing_count > 0)
        peer_send_inv(peer, MSG_NOTFOUND, missing, missing_count);
}

void serve_connected(struct p2p *p2p)
{
    for (uint32_t i = 0; i < p2p->peer_count; i++)
        if (p2p->peers[i]->serve.count > 0)
            serve_advance(p2p->peers[i]);
}

void serve_forget_peer(struct peer *peer)
{
    while (peer->serve.count > 0) {
        struct serve_item *item = item_at(peer, 0);
        read_drop(item->read);
        mem_free(item->indexes);
        peer->serve.first = (peer->serve.first + 1) % peer->serve.capacity;
        peer->serve.count--;
    }
}

void serve_announce_tip(struct p2p *p2p, struct block_index *tip)
{
    struct block_index *blocks[BLOCK_ANNOUNCE_MAX];
    const struct block_index *fork = p2p->announced_tip != NULL ? index_fork(p2p->announced_tip, tip) : NULL;
    uint32_t count = 0;
    bool too_many = false;
    p2p->announced_tip = tip;
    if (ledger_is_initial_download(p2p->ledger))
        return;
    for (struct block_index *at = tip; at != NULL && at != fork; at = at->prev) {
        if (count == BLOCK_ANNOUNCE_MAX) {
            too_many = true;
            break;
        }
        blocks[count++] = at;
    }
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        struct peer *peer = p2p->peers[i];
        struct inv_item item = { .type = INV_BLOCK };
        if (peer->state != PEER_READY || peer->type == CONN_FEELER || peer->type == CONN_ADDR_FETCH ||
            headers_peer_has(peer, tip))
            continue;
        if (!too_many && (peer->prefers_headers || (peer->compact_from_us && count == 1)) &&
            announce_headers(peer, blocks, count))
            continue;
        memcpy(item.hash, tip->id.b, sizeof item.hash);
        peer_send_inv(peer, MSG_INV, &item, 1);
    }
}

/* blocks: from the tip down. false: they would not connect to what the peer has. */
static bool announce_headers(struct peer *peer, struct block_index **blocks, uint32_t count)
{
    struct p2p *p2p = peer->p2p;
    struct header headers[BLOCK_ANNOUNCE_MAX];
    uint32_t used = 0;
    for (uint32_t i = count; i-- > 0;) {
        if (used == 0 && headers_peer_has(peer, blocks[i]))
            continue;
        if (used == 0 && (blocks[i]->prev == NULL || !headers_peer_has(peer, blocks[i]->prev)))
            return false;
        headers[used++] = index_header(blocks[i]);
    }
    if (used == 0)
        return true;
    struct block *block = in_memory(p2p, blocks[0]->id.b);
    if (used == 1 && peer->compact_from_us && block != NULL) {
        compact_send(peer, block);
    } else {
        union message m;
        memset(&m, 0, sizeof m);
        m.headers = (struct msg_headers){ used, headers };
        peer_send(peer, MSG_HEADERS, &m);
    }
    peer->best_header_sent = blocks[0];
    return true;
}

/* ---- the queue ---- */
static struct serve_item *push(struct peer *peer, uint32_t type, const uint8_t hash[32])
{
    struct serve_queue *q = &peer->serve;
    if (q->count == q->capacity) {
        uint32_t next = q->capacity == 0 ? 16 : q->capacity * 2;
        struct serve_item *items = mem_try_array(next, sizeof *items);
        if (items == NULL)
            return NULL;
        for (uint32_t i = 0; i < q->count; i++)
            items[i] = q->items[(q->first + i) % q->capacity];
        mem_free(q->items);
        q->items = items;
        q->capacity = next;
        q->first = 0;
    }
    struct serve_item *item = item_at(peer, q->count++);
    *item = (struct serve_item){ .type = type, .generation = peer->generation };
    memcpy(item->hash, hash, sizeof item->hash);
    work_count(peer, item->generation, 1);
    return item;
}

static void pop(struct peer *peer)
{
    struct serve_item *item = item_at(peer, 0);
    uint32_t generation = item->generation;
    read_drop(item->read);
    mem_free(item->indexes);
    memset(item, 0, sizeof *item);
    peer->serve.first = (peer->serve.first + 1) % peer->serve.capacity;
    peer->serve.count--;
    work_count(peer, generation, -1);
}

static struct serve_item *item_at(struct peer *peer, uint32_t i)
{
    return &peer->serve.items[(peer->serve.first + i) % peer->serve.capacity];
}

/* ---- blocks ---- */
static enum step serve_block(struct peer *peer, struct serve_item *item)
{
    struct p2p *p2p = peer->p2p;
    struct block_index *index = index_of(p2p, item->hash);
    note_agreement(p2p, index);
    const char *refusal = index != NULL ? refusal_of(peer, index) : NULL;
    if (refusal != NULL) {
        peer_close(peer, refusal);
        return STEP_DONE;
    }
    if (item->read != NULL) {
        if (!item->read->finished)
            return STEP_WAIT;
        peer->serve_reads--;
        send_from_read(peer, item);
        return STEP_DONE;
    }
    struct block *block = in_memory(p2p, item->hash);
    if (block != NULL) {
        send_from_memory(peer, item, block);
        return STEP_DONE;
    }
    if (index != NULL && is_being_judged(p2p, index))
        return STEP_WAIT; /* announced already, or soon: serve_connected goes on */
    if (index == NULL || !serve_may(p2p, index) || !(index->status & BLOCK_HAVE_DATA))
        return STEP_DONE; /* Bitcoin says nothing here */
    return STEP_WAIT;     /* no room to read it yet: the next tick tries again */
}

/* Why this peer loses its connection over a request for this block; NULL: it does not. */
static const char *refusal_of(const struct peer *peer, const struct block_index *index)
{
    const struct p2p *p2p = peer->p2p;
    if (is_too_deep(p2p, index) && !peer_permits(peer, PERMIT_NOBAN))
        return "it asks for blocks that a limited peer does not have";
    if (is_history(p2p, index) && upload_is_spent(p2p, true) && !peer_permits(peer, PERMIT_DOWNLOAD))
        return "it asks for old blocks, and the day's upload is spent";
    return NULL;
}

static bool is_history(const struct p2p *p2p, const struct block_index *index)
{
    return (int64_t)ledger_best_header(p2p->ledger)->time_s - index->time_s > HISTORICAL_AGE_S;
}

/* BIP159: a pruning node promises its last 288 blocks only. That others may still be here is not told, since
 * it would mark us; the peer is let go, so that it does not wait for what never comes (Bitcoin: with a margin
 * of two for races). */
static bool is_too_deep(const struct p2p *p2p, const struct block_index *index)
{
    return ledger_is_pruning(p2p->ledger) && ledger_is_active(p2p->ledger, index) &&
           ledger_tip(p2p->ledger)->height - index->height > PRUNE_KEEP_BLOCKS + LIMITED_RACE;
}

/* Starts reads for the blocks at the front of the queue. */
static void read_ahead(struct peer *peer)
{
    struct p2p *p2p = peer->p2p;
    for (uint32_t i = 0; i < peer->serve.count && i < SERVE_READS_MAX && peer->serve_reads < SERVE_READS_MAX;
         i++) {
        struct serve_item *item = item_at(peer, i);
        if (!is_block(item->type))
            return;
        if (item->read != NULL || in_memory(p2p, item->hash) != NULL)
            continue;
        struct block_index *index = index_of(p2p, item->hash);
        if (index == NULL || refusal_of(peer, index) != NULL || !serve_may(p2p, index) || !(index->status & BLOCK_HAVE_DATA))
            continue;
        if (!start_read(peer, item, index))
            return;
    }
}

static bool start_read(struct peer *peer, struct serve_item *item, struct block_index *index)
{
    struct p2p *p2p = peer->p2p;
    uint32_t size_b = index->data_size_b != 0 ? index->data_size_b : READ_SIZE_UNKNOWN_B;
    if (p2p->serve_read_b > 0 && p2p->serve_read_b + size_b > SERVE_MEMORY_MAX_B)
        return false;
    struct serve_read *sr = mem_try_new(sizeof *sr);
    if (sr == NULL)
        return false;
    bool decoded = wants_decoded(p2p, item->type, index);
    sr->read = (struct block_read){ .index = index, .want_block = decoded, .want_raw = !decoded,
        .done = on_read };
    sr->p2p = p2p;
    sr->size_b = size_b;
    if (!ledger_read_block(p2p->ledger, &sr->read)) {
        mem_free(sr);
        return false;
    }
    p2p->serve_read_b += size_b;
    peer->serve_reads++;
    item->read = sr;
    return true;
}

static void on_read(struct block_read *read, const struct fail *why)
{
    struct serve_read *sr = (struct serve_read *)read;
    struct p2p *p2p = sr->p2p;
    sr->finished = true;
    sr->why = *why;
    if (sr->abandoned) {
        read_free(sr);
        return;
    }
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        struct peer *peer = p2p->peers[i];
        if (peer->serve.count > 0 && item_at(peer, 0)->read == sr) {
            peer->blocked = false;
            serve_advance(peer);
            break;
        }
    }
    p2p_reap(p2p);
}

static void read_drop(struct serve_read *sr)
{
    if (sr != NULL && sr->finished)
        read_free(sr);
    else if (sr != NULL)
        sr->abandoned = true; /* the job holds it still */
}

static void read_free(struct serve_read *sr)
{
    sr->p2p->serve_read_b -= sr->size_b;
    block_unref(sr->read.block);
    buf_clear(&sr->read.raw);
    mem_free(sr);
}

static void send_from_read(struct peer *peer, struct serve_item *item)
{
    struct serve_read *sr = item->read;
    if (sr->why.kind != FAIL_NONE) {
        log_debug(LOG_NET, "peer %" PRId64 ": block %s cannot be served: %s", peer->id,
            hash_show(item->hash), sr->why.detail);
        peer_close(peer, "a block that it asks for is not here any more");
        return;
    }
    if (sr->read.block != NULL) {
        send_from_memory(peer, item, sr->read.block);
        return;
    }
    struct block_id id = sr->read.index->id;
    peer_send_buf(peer, MSG_BLOCK, &sr->read.raw);
    continue_getblocks(peer, &id);
}

static void send_from_memory(struct peer *peer, struct serve_item *item, struct block *block)
{
    struct block_index *index = index_of(peer->p2p, item->hash);
    if (item->type == SERVE_BLOCKTXN) {
        send_block_txs(peer, item, block);
        return;
    }
    if (item->type == INV_BLOCK)
        send_stripped(peer, block);
    else if (item->type == INV_COMPACT_BLOCK && index != NULL && wants_decoded(peer->p2p, item->type, index))
        compact_send(peer, block);
    else
        peer_send_bytes(peer, MSG_BLOCK, buf_span(&block->raw));
    continue_getblocks(peer, &block->id);
}

static void send_stripped(struct peer *peer, const struct block *block)
{
    struct buf bytes;
    uint8_t header[HEADER_SIZE_B];
    buf_init(&bytes, BLOCK_SIZE_MAX_B);
    header_encode(header, &block->header);
    buf_put(&bytes, header, sizeof header);
    buf_put_count(&bytes, block->tx_count);
    for (uint32_t i = 0; i < block->tx_count; i++)
        tx_encode_stripped(&bytes, &block->txs[i]);
    if (bytes.failed)
        buf_clear(&bytes);
    else
        peer_send_buf(peer, MSG_BLOCK, &bytes);
}

static void send_block_txs(struct peer *peer, const struct serve_item *item, const struct block *block)
{
    struct buf bytes;
    struct fail why;
    buf_init(&bytes, BLOCK_SIZE_MAX_B);
    buf_put(&bytes, block->id.b, sizeof block->id.b);
    buf_put_count(&bytes, item->index_count);
    for (uint32_t i = 0; i < item->index_count; i++) {
        if (item->indexes[i] >= block->tx_count) {
            fail_set(&why, FAIL_PROTOCOL, "getblocktxn", "transaction %u of a block of %u",
                item->indexes[i], block->tx_count);
            buf_clear(&bytes);
            peer_misbehaved(peer, &why);
            return;
        }
        struct span raw = block->txs[item->indexes[i]].raw;
        buf_put(&bytes, raw.data, raw.size_b);
    }
    if (bytes.failed)
        buf_clear(&bytes);
    else
        peer_send_buf(peer, MSG_BLOCKTXN, &bytes);
}

/* The last block of a getblocks answer has been fetched: the tip's inv makes the peer ask for more. */
static void continue_getblocks(struct peer *peer, const struct block_id *id)
{
    if (block_id_is_zero(&peer->continue_at) || !block_id_equal(id, &peer->continue_at))
        return;
    struct inv_item item = { .type = INV_BLOCK };
    memcpy(item.hash, ledger_tip(peer->p2p->ledger)->id.b, sizeof item.hash);
    memset(&peer->continue_at, 0, sizeof peer->continue_at);
    peer_send_inv(peer, MSG_INV, &item, 1);
}

/* ---- transactions ---- */
/* Only what the peer has been told of, or could have been: an answer about others would tell when they
 * came to us, and so from where. */
static bool send_tx(struct peer *peer, const struct serve_item *item)
{
    const struct p2p *p2p = peer->p2p;
    const struct mempool_entry *entry = NULL;
    if (peer->type == CONN_BLOCKS || (item->type != INV_WTX && item->type != INV_TX &&
                                         item->type != INV_WITNESS_TX))
        return false;
    if (item->type == INV_WTX) {
        struct wtxid id;
        memcpy(id.b, item->hash, sizeof id.b);
        entry = mempool_find_wtxid(p2p->mempool, &id);
    } else {
        struct txid id;
        memcpy(id.b, item->hash, sizeof id.b);
        entry = mempool_find(p2p->mempool, &id);
    }
    if (entry == NULL)
        return false;
    const uint8_t *known = peer->wtxid_relay ? entry->tx->wtxid.b : entry->tx->txid.b;
    if (entry->sequence > peer->last_inv_sequence && !rolling_has(&peer->tx_known, known, 32))
        return false;
    if (item->type != INV_TX || !entry->tx->has_witness) {
        peer_send_bytes(peer, MSG_TX, entry->tx->raw);
        return true;
    }
    struct buf bytes;
    buf_init(&bytes, PAYLOAD_MAX_B);
    tx_encode_stripped(&bytes, entry->tx);
    bool ok = !bytes.failed;
    if (ok)
        peer_send_buf(peer, MSG_TX, &bytes);
    buf_clear(&bytes);
    return ok;
}

/* ---- helpers ---- */
static struct block *in_memory(const struct p2p *p2p, const uint8_t hash[32])
{
    struct block *const recent[] = { p2p->recent_block, p2p->seen_block };
    for (unsigned i = 0; i < sizeof recent / sizeof recent[0]; i++)
        if (recent[i] != NULL && memcmp(recent[i]->id.b, hash, sizeof recent[i]->id.b) == 0)
            return recent[i];
    return NULL;
}

bool serve_may(const struct p2p *p2p, const struct block_index *index)
{
    if (ledger_is_active(p2p->ledger, index))
        return true;
    const struct block_index *best = ledger_best_header(p2p->ledger);
    return (index->status & BLOCK_SCRIPTS_OK) != 0 &&
           (index->status & (BLOCK_FAILED | BLOCK_FAILED_PARENT)) == 0 &&
           (int64_t)best->time_s - index->time_s < STALE_AGE_MAX_S;
}

/* On its way to become the tip: whoever asks for it gets it a moment later (Bitcoin validates it first, too). */
static bool is_being_judged(const struct p2p *p2p, const struct block_index *index)
{
    return (index->status & BLOCK_HAVE_DATA) != 0 && index->chain_tx_count > 0 &&
           (index->status & (BLOCK_SCRIPTS_OK | BLOCK_FAILED | BLOCK_FAILED_PARENT)) == 0 &&
           u256_compare(&index->chain_work, &ledger_tip(p2p->ledger)->chain_work) > 0;
}

static struct block_index *index_of(const struct p2p *p2p, const uint8_t hash[32])
{
    struct block_id id;
    memcpy(id.b, hash, sizeof id.b);
    return ledger_find(p2p->ledger, &id);
}

/* Who builds on our chain, or fetches its blocks, is no longer of another opinion about it. */
static void note_agreement(struct p2p *p2p, const struct block_index *index)
{
    if (index != NULL && index->height > 0 && ledger_is_active(p2p->ledger, index))
        p2p->agreed = true;
}

static bool is_block(uint32_t type)
{
    return type == INV_BLOCK || type == INV_WITNESS_BLOCK || type == INV_COMPACT_BLOCK ||
           type == SERVE_BLOCKTXN;
}

static bool wants_decoded(const struct p2p *p2p, uint32_t type, const struct block_index *index)
{
    if (type == INV_COMPACT_BLOCK)
        return index->height >= ledger_tip(p2p->ledger)->height - COMPACT_DEPTH_MAX;
    return type == INV_BLOCK || type == SERVE_BLOCKTXN;
}
