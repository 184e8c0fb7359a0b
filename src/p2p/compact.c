/* Compact blocks (BIP152, version 2), both ways.
 *
 * Out: a block that looks good is announced to high-bandwidth peers before it is connected, encoded once.
 * In: the short ids are looked up in the pool and among the orphans; what is missing is asked for once
 * (getblocktxn), and if the whole does not fit together the full block is. Nobody is blamed for a block
 * that turns out wrong: BIP152 lets peers announce before they have checked.
 *
 * At most three peers send to us in high bandwidth: those who brought new blocks first, and always one
 * that we dialed, so that no inbound peers can take all three places. */
#include <inttypes.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/crypto/sha256.h"
#include "internal.h"

#define COMPACT_VERSION 2
#define SHORT_ID_MASK UINT64_C(0xffffffffffff)
#define HEIGHT_AHEAD_MAX 2   /* Bitcoin: further ahead than this we miss more than a block */
#define PARALLEL_MAX 3u      /* Bitcoin: MAX_CMPCTBLOCKS_INFLIGHT_PER_BLOCK */
#define PREFERRED_MAX 3u     /* BIP152 */
#define TX_SIZE_MIN_B 60u

struct partial {
    struct header header;
    uint64_t key[2];
    uint32_t tx_count, missing_count;
    struct tx **txs;      /* references; NULL: missing */
    uint64_t *short_ids;  /* of those that were not prefilled */
    uint32_t *missing;    /* indexes, rising */
};

static void short_key(uint64_t key[2], const struct header *header, uint64_t nonce);
static void encode_block(struct buf *out, const struct block *block, uint64_t nonce);
static bool is_worth_it(struct peer *peer, const struct block_index *index);
static enum message_result put_together(struct peer *peer, struct flight *flight, const struct msg_cmpctblock *c,
    struct fail *why);
static bool partial_new(struct partial **out, const struct msg_cmpctblock *c, struct fail *why);
static bool place_prefilled(struct partial *p, const struct msg_cmpctblock *c, struct fail *why);
static bool find_known(struct p2p *p2p, struct partial *p, const struct msg_cmpctblock *c);
static void offer_tx(struct partial *p, struct table *wanted, struct tx *tx);
static bool list_missing(struct partial *p);
static void ask_missing(struct peer *peer, const struct block_index *index, struct partial *p);
static void ask_whole(struct peer *peer, struct flight *flight);
static enum message_result finish(struct peer *peer, struct flight *flight);
static void prefer(struct peer *peer, bool high_bandwidth);

void compact_greet(struct peer *peer)
{
    if (peer->version >= PROTOCOL_SHORT_IDS)
        prefer(peer, false);
}

enum message_result compact_on_sendcmpct(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    (void)frame, (void)why;
    if (m->sendcmpct.version != COMPACT_VERSION)
        return MESSAGE_DONE;
    peer->compact_ok = true;
    peer->compact_from_us = m->sendcmpct.high_bandwidth;
    return MESSAGE_DONE;
}

/* ---- out ---- */
void compact_send(struct peer *peer, const struct block *block)
{
    struct buf bytes;
    buf_init(&bytes, PAYLOAD_MAX_B);
    encode_block(&bytes, block, env_random_u64(peer->p2p->env));
    if (!bytes.failed)
        peer_send_buf(peer, MSG_CMPCTBLOCK, &bytes);
    buf_clear(&bytes);
}

void compact_announce(struct p2p *p2p, struct block_index *index, const struct block *block)
{
    struct buf bytes;
    if (block == NULL || block_id_equal(&p2p->compact_sent, &index->id))
        return;
    p2p->compact_sent = index->id;
    block_unref(p2p->seen_block);
    struct block *shared;
    memcpy(&shared, &block, sizeof shared); /* only its count of references changes */
    p2p->seen_block = block_ref(shared);
    buf_init(&bytes, PAYLOAD_MAX_B);
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        struct peer *peer = p2p->peers[i];
        if (peer->state != PEER_READY || !peer->compact_from_us || headers_peer_has(peer, index) ||
            index->prev == NULL || !headers_peer_has(peer, index->prev))
            continue;
        if (bytes.size_b == 0)
            encode_block(&bytes, block, env_random_u64(p2p->env));
        if (bytes.failed)
            break;
        peer_send_bytes(peer, MSG_CMPCTBLOCK, buf_span(&bytes));
        peer->best_header_sent = index;
    }
    buf_clear(&bytes);
}

void compact_prefer(struct peer *peer)
{
    struct p2p *p2p = peer->p2p;
    uint32_t outbound = 0, place = 0;
    if (!peer->compact_ok || peer->compact_to_us || p2p->options.blocks_only ||
        ledger_is_initial_download(p2p->ledger))
        return;
    for (uint32_t i = 0; i < PREFERRED_MAX; i++) {
        const struct peer *other = p2p_peer(p2p, p2p->compact_peers[i]);
        outbound += other != NULL && peer_is_outbound(other);
    }
    /* The oldest goes, unless it is the last that we dialed and its heir is not. */
    struct peer *oldest = p2p_peer(p2p, p2p->compact_peers[0]);
    if (oldest != NULL && !peer_is_outbound(peer) && peer_is_outbound(oldest) && outbound == 1)
        place = 1;
    struct peer *leaver = p2p_peer(p2p, p2p->compact_peers[place]);
    if (leaver != NULL)
        prefer(leaver, false);
    for (uint32_t i = place; i + 1 < PREFERRED_MAX; i++)
        p2p->compact_peers[i] = p2p->compact_peers[i + 1];
    p2p->compact_peers[PREFERRED_MAX - 1] = peer->id;
    prefer(peer, true);
}

void compact_forget_peer(struct peer *peer)
{
    struct p2p *p2p = peer->p2p;
    for (uint32_t i = 0; i < PREFERRED_MAX; i++) {
        if (p2p->compact_peers[i] != peer->id)
            continue;
        for (uint32_t k = i; k > 0; k--) /* free places come first */
            p2p->compact_peers[k] = p2p->compact_peers[k - 1];
        p2p->compact_peers[0] = NO_PEER;
    }
}

/* ---- in ---- */
enum message_result compact_on_cmpctblock(
    struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    struct p2p *p2p = peer->p2p;
    const struct msg_cmpctblock *c = &m->cmpctblock;
    struct block_id id = header_id(&c->header);
    (void)frame;
    if (c->short_count + c->prefilled_count == 0) {
        fail_set(why, FAIL_PROTOCOL, "invalid-compact-block", "a compact block without transactions");
        return MESSAGE_BAD;
    }
    if (peer->work_pending >= WORK_PENDING_MAX)
        return MESSAGE_WAIT;
    struct block_index *index = headers_accept_one(peer, &c->header, why);
    if (index == NULL) {
        if (why->kind == FAIL_INVALID || why->kind == FAIL_PROTOCOL)
            return MESSAGE_BAD;
        if (ledger_find(p2p->ledger, &c->header.prev) == NULL && !ledger_is_initial_download(p2p->ledger))
            headers_announced(peer, &id);
        return MESSAGE_DONE;
    }
    headers_known(peer, index);
    peer->last_announcement_us = p2p_now_us(p2p);
    if ((index->status & (BLOCK_HAVE_DATA | BLOCK_FAILED | BLOCK_FAILED_PARENT)) != 0 ||
        blocks_is_judging(p2p, &id) || ledger_is_reindexing(p2p->ledger))
        return MESSAGE_DONE;
    if (!is_worth_it(peer, index)) {
        blocks_request(peer);
        return MESSAGE_DONE;
    }
    struct flight *flight = blocks_find_flight(peer, index);
    if (flight == NULL)
        flight = blocks_add_flight(peer, index);
    if (flight == NULL)
        return MESSAGE_DONE;
    return put_together(peer, flight, c, why);
}

enum message_result compact_on_blocktxn(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    const struct msg_blocktxn *b = &m->blocktxn;
    struct block_index *index = ledger_find(peer->p2p->ledger, &b->id);
    struct flight *flight = index != NULL ? blocks_find_flight(peer, index) : NULL;
    struct partial *p = flight != NULL ? flight->partial : NULL;
    (void)frame;
    if (p == NULL)
        return MESSAGE_DONE; /* not asked, or somebody else was faster */
    if (p->missing_count == 0)
        return finish(peer, flight);
    if (b->count != p->missing_count) {
        fail_set(why, FAIL_PROTOCOL, "invalid-blocktxn", "%u transactions where %u were asked for", b->count,
            p->missing_count);
        return MESSAGE_BAD;
    }
    for (uint32_t i = 0; i < b->count; i++) {
        uint32_t at = p->missing[i];
        uint64_t short_id = siphash_u256(p->key, b->txs[i].wtxid.b) & SHORT_ID_MASK;
        if (short_id != p->short_ids[at]) {
            fail_set(why, FAIL_PROTOCOL, "invalid-blocktxn", "transaction %u is another than announced", at);
            return MESSAGE_BAD;
        }
        if (p->txs[at] == NULL && !tx_decode(&p->txs[at], b->txs[i].raw, why))
            return MESSAGE_BAD;
    }
    p->missing_count = 0;
    return finish(peer, flight);
}

void partial_free(struct partial *p)
{
    if (p == NULL)
        return;
    for (uint32_t i = 0; p->txs != NULL && i < p->tx_count; i++)
        tx_unref(p->txs[i]);
    mem_free(p->txs);
    mem_free(p->short_ids);
    mem_free(p->missing);
    mem_free(p);
}

/* Is it worth putting together from this peer's compact form? Else the ordinary way fetches it. */
static bool is_worth_it(struct peer *peer, const struct block_index *index)
{
    struct p2p *p2p = peer->p2p;
    const struct block_index *tip = ledger_tip(p2p->ledger);
    if (!peer->compact_ok || u256_compare(&index->chain_work, &tip->chain_work) <= 0 ||
        index->height > tip->height + HEIGHT_AHEAD_MAX)
        return false;
    if (blocks_find_flight(peer, index) != NULL)
        return true;
    return blocks_asked(p2p, &index->id) < PARALLEL_MAX;
}

static enum message_result put_together(struct peer *peer, struct flight *flight, const struct msg_cmpctblock *c,
    struct fail *why)
{
    struct p2p *p2p = peer->p2p;
    if (flight->partial != NULL)
        return flight->partial->missing_count == 0 ? finish(peer, flight) : MESSAGE_DONE;
    if (!partial_new(&flight->partial, c, why)) {
        if (why->kind == FAIL_NO_ROOM)
            ask_whole(peer, flight);
        return why->kind == FAIL_NO_ROOM ? MESSAGE_DONE : MESSAGE_BAD;
    }
    struct partial *p = flight->partial;
    if (!find_known(p2p, p, c) || !list_missing(p)) {
        ask_whole(peer, flight);
        return MESSAGE_DONE;
    }
    log_debug(LOG_CMPCTBLOCK, "peer %" PRId64 ": compact block %s: %u of %u transactions are missing",
        peer->id, hash_show(flight->index->id.b), p->missing_count, p->tx_count);
    if (p->missing_count == 0)
        return finish(peer, flight);
    ask_missing(peer, flight->index, p);
    return MESSAGE_DONE;
}

static bool partial_new(struct partial **out, const struct msg_cmpctblock *c, struct fail *why)
{
    uint32_t count = c->short_count + c->prefilled_count;
    *out = NULL;
    if (count > BLOCK_SIZE_MAX_B / TX_SIZE_MIN_B)
        return fail_set(why, FAIL_PROTOCOL, "invalid-compact-block", "%u transactions fit no block", count);
    struct partial *p = mem_new(sizeof *p);
    p->header = c->header;
    p->tx_count = count;
    p->txs = mem_try_array(count, sizeof *p->txs);
    p->short_ids = mem_try_array(count, sizeof *p->short_ids);
    if (p->txs == NULL || p->short_ids == NULL)
        fail_oom(why, "compact block");
    else if (place_prefilled(p, c, why)) {
        short_key(p->key, &c->header, c->nonce);
        *out = p;
        return true;
    }
    partial_free(p);
    return false;
}

/* The decoder has checked that prefilled indexes rise and leave room for the short ids before them. */
static bool place_prefilled(struct partial *p, const struct msg_cmpctblock *c, struct fail *why)
{
    for (uint32_t i = 0; i < c->prefilled_count; i++) {
        uint32_t at = c->prefilled[i].index;
        if (at >= p->tx_count)
            return fail_set(why, FAIL_PROTOCOL, "invalid-compact-block", "transaction %u of %u", at, p->tx_count);
        if (!tx_decode(&p->txs[at], c->prefilled[i].tx.raw, why))
            return false;
    }
    return true;
}

/* false: two short ids are the same (an accident, or somebody's work): only the whole block helps. */
static bool find_known(struct p2p *p2p, struct partial *p, const struct msg_cmpctblock *c)
{
    struct table wanted; /* short id -> index */
    const struct mempool_entry *entry;
    uint32_t next = 0, cursor = 0;
    bool unique = true;
    table_init(&wanted, sizeof(uint64_t), sizeof(uint32_t), c->short_count + 1, p2p->seed);
    for (uint32_t i = 0; i < p->tx_count && unique && next < c->short_count; i++) {
        if (p->txs[i] != NULL)
            continue;
        bool existed = false;
        p->short_ids[i] = c->short_ids[next++];
        uint32_t *at = table_put(&wanted, &p->short_ids[i], &existed);
        unique = at != NULL && !existed;
        if (unique)
            *at = i;
    }
    while (unique && (entry = mempool_next(p2p->mempool, &cursor)) != NULL)
        offer_tx(p, &wanted, entry->tx);
    for (uint32_t i = 0; unique && i < ORPHANS_MAX && p2p->orphans->count > 0; i++)
        if (p2p->orphans->slots[i].tx != NULL)
            offer_tx(p, &wanted, p2p->orphans->slots[i].tx);
    table_clear(&wanted);
    return unique;
}

static void offer_tx(struct partial *p, struct table *wanted, struct tx *tx)
{
    uint64_t short_id = siphash_u256(p->key, tx->wtxid.b) & SHORT_ID_MASK;
    const uint32_t *at = table_find(wanted, &short_id);
    if (at == NULL)
        return;
    if (p->txs[*at] == NULL) {
        p->txs[*at] = tx_ref(tx);
    } else if (!wtxid_equal(&p->txs[*at]->wtxid, &tx->wtxid)) {
        /* Two of ours have this short id: ask which one it is, and match no third. */
        tx_unref(p->txs[*at]);
        p->txs[*at] = NULL;
        table_remove(wanted, &short_id);
    }
}

static bool list_missing(struct partial *p)
{
    for (uint32_t i = 0; i < p->tx_count; i++)
        p->missing_count += p->txs[i] == NULL;
    p->missing = mem_try_array(p->missing_count, sizeof *p->missing);
    if (p->missing == NULL && p->missing_count > 0)
        return false;
    for (uint32_t i = 0, k = 0; i < p->tx_count; i++)
        if (p->txs[i] == NULL)
            p->missing[k++] = i;
    return true;
}

static void ask_missing(struct peer *peer, const struct block_index *index, struct partial *p)
{
    union message m;
    memset(&m, 0, sizeof m);
    m.getblocktxn = (struct msg_getblocktxn){ index->id, p->missing_count, p->missing };
    peer_send(peer, MSG_GETBLOCKTXN, &m);
}

static void ask_whole(struct peer *peer, struct flight *flight)
{
    struct inv_item item = { .type = INV_WITNESS_BLOCK };
    partial_free(flight->partial);
    flight->partial = NULL;
    memcpy(item.hash, flight->index->id.b, sizeof item.hash);
    peer_send_inv(peer, MSG_GETDATA, &item, 1);
}

/* All is here: to the ledger with it. WAIT: no room there yet; the partial stays for the next try. */
static enum message_result finish(struct peer *peer, struct flight *flight)
{
    struct partial *p = flight->partial;
    struct block_index *index = flight->index;
    struct buf raw;
    uint8_t header[HEADER_SIZE_B];
    buf_init(&raw, BLOCK_SIZE_MAX_B);
    header_encode(header, &p->header);
    buf_put(&raw, header, sizeof header);
    buf_put_count(&raw, p->tx_count);
    for (uint32_t i = 0; i < p->tx_count; i++)
        buf_put(&raw, p->txs[i]->raw.data, p->txs[i]->raw.size_b);
    if (raw.failed) {
        buf_clear(&raw);
        ask_whole(peer, flight);
        return MESSAGE_DONE;
    }
    bool taken = blocks_offer(peer, index, &raw, true, false);
    buf_clear(&raw);
    if (!taken)
        return MESSAGE_WAIT;
    blocks_arrived(peer, index);
    blocks_request(peer);
    return MESSAGE_DONE;
}

/* ---- helpers ---- */
static void short_key(uint64_t key[2], const struct header *header, uint64_t nonce)
{
    uint8_t bytes[HEADER_SIZE_B + 8], hash[32];
    header_encode(bytes, header);
    put_u64le(bytes + HEADER_SIZE_B, nonce);
    sha256(hash, bytes, sizeof bytes);
    key[0] = get_u64le(hash);
    key[1] = get_u64le(hash + 8);
}

/* The coinbase goes along, since nobody has it; all others by their short ids. */
static void encode_block(struct buf *out, const struct block *block, uint64_t nonce)
{
    uint8_t header[HEADER_SIZE_B];
    uint64_t key[2];
    short_key(key, &block->header, nonce);
    header_encode(header, &block->header);
    buf_put(out, header, sizeof header);
    buf_put_u64le(out, nonce);
    buf_put_count(out, block->tx_count - 1);
    for (uint32_t i = 1; i < block->tx_count; i++) {
        uint64_t short_id = siphash_u256(key, block->txs[i].wtxid.b) & SHORT_ID_MASK;
        buf_put_u32le(out, (uint32_t)short_id);
        buf_put_u16le(out, (uint16_t)(short_id >> 32));
    }
    buf_put_count(out, 1);
    buf_put_count(out, 0);
    buf_put(out, block->txs[0].raw.data, block->txs[0].raw.size_b);
}

static void prefer(struct peer *peer, bool high_bandwidth)
{
    union message m;
    memset(&m, 0, sizeof m);
    m.sendcmpct = (struct msg_sendcmpct){ high_bandwidth, COMPACT_VERSION };
    peer->compact_to_us = high_bandwidth;
    peer_send(peer, MSG_SENDCMPCT, &m);
}
