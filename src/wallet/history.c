/* What a wallet knows of the past: its transactions, the outputs that are its own, and who spends them.
 *
 * Three tables carry it: txs (txid -> wtx), coins (outpoint -> output of ours) and spends (outpoint -> who
 * spends it). Rivals may spend one outpoint until one is confirmed; an output counts as spent while any of
 * them is alive (confirmed, in the mempool, or ours and waiting to be sent again). When a block confirms one
 * rival, the others are conflicted, and what spends their outputs with them; when that block leaves the chain
 * they may live again.
 *
 * Invariant: a wtx once inserted stays; only its state, block and position change, and every change is put
 * into the write batch in the same call. */

#include <stdlib.h>
#include <string.h>

#include "coin/base/log.h"
#include "coin/script/script.h"
#include "internal.h"

#define WALLET_TXS_MAX STORE_TXS_MAX
/* Our unconfirmed chain that is followed to decide trust: the pool's own cluster bound. */
#define TRUST_DEPTH_MAX CLUSTER_COUNT_MAX

static int by_ordering(const void *a, const void *b);
static bool concerns_us(const struct wallet *wallet, const struct tx *tx);
static struct wtx *insert(struct wallet *wallet, struct tx *tx);
static bool index_outputs(struct wallet *wallet, struct wtx *wtx);
static bool index_spends(struct wallet *wallet, struct wtx *wtx);
static struct spend *spenders(const struct wallet *wallet, const struct outpoint *outpoint);
static void settle_rivals(struct wallet *wallet, struct wtx *wtx);
static void kill_with_children(struct wallet *wallet, struct wtx *first, enum wallet_tx_state state,
    const struct block_index *block);
static bool is_alive(const struct wtx *wtx);
static void set_place(struct wtx *wtx, enum wallet_tx_state state, const struct block_index *block);
static bool is_trusted(const struct wallet *wallet, const struct wtx *wtx);
static struct wallet_coin coin_of(const struct outpoint *outpoint, const struct coin_entry *entry);
static bool is_mature(const struct wallet *wallet, const struct wallet_tx *wtx);

bool history_note(struct wallet *wallet, struct tx *tx, enum wallet_tx_state state,
    const struct block_index *block, uint32_t position)
{
    struct wtx *wtx = history_find(wallet, &tx->txid);
    bool same = wtx != NULL && wtx->pub.state == state && wtx->pub.block == block && wtx->pub.position == position;
    if (wtx == NULL) {
        if (!concerns_us(wallet, tx))
            return false;
        wtx = insert(wallet, tx);
        if (wtx == NULL) {
            log_error("Wallet \"%s\": no room for transaction %s; rescan after a restart", wallet->name,
                hash_show(tx->txid.b));
            return false;
        }
    } else if (!index_outputs(wallet, wtx)) {
        log_error("Wallet \"%s\": no room for the outputs of %s", wallet->name, hash_show(tx->txid.b));
    }
    wallet->cache_valid = false;
    wtx->pub.position = position;
    if (!same) /* a block seen twice changes nothing */
        history_set_state(wallet, wtx, state, block);
    for (uint32_t i = 0; i < tx->out_count; i++)
        addresses_on_used(wallet, tx->out[i].script);
    return true;
}

bool history_insert_loaded(struct wallet *wallet, struct tx *tx, const struct wallet_tx *as,
    const struct block_id *block_id)
{
    struct wtx *wtx = insert(wallet, tx);
    if (wtx == NULL)
        return false;
    struct tx *own = wtx->pub.tx;
    wtx->pub = *as;
    wtx->pub.tx = own;
    wtx->pub.is_coinbase = tx_is_coinbase(own);
    wtx->block_id = *block_id;
    if (as->ordering >= wallet->next_ordering)
        wallet->next_ordering = as->ordering + 1;
    return true;
}

void history_set_state(
    struct wallet *wallet, struct wtx *wtx, enum wallet_tx_state state, const struct block_index *block)
{
    if (state == WALLET_TX_CONFLICTED || state == WALLET_TX_ABANDONED) {
        kill_with_children(wallet, wtx, state, block);
        return;
    }
    set_place(wtx, state, block);
    wallet->cache_valid = false;
    if (state == WALLET_TX_CONFIRMED)
        settle_rivals(wallet, wtx);
    history_put(wallet, wtx);
}

static void set_place(struct wtx *wtx, enum wallet_tx_state state, const struct block_index *block)
{
    wtx->pub.state = state;
    wtx->pub.block = block;
    wtx->pub.block_time_s = block != NULL ? (int64_t)block->time_s : 0;
}

void history_block_connected(
    struct wallet *wallet, const struct block *block, const struct block_index *index)
{
    for (uint32_t i = 0; i < block->tx_count; i++)
        history_note(wallet, &block->txs[i], WALLET_TX_CONFIRMED, index, i);
    wallet->cache_valid = false; /* coinbases ripen */
}

void history_block_disconnected(struct wallet *wallet, const struct block_index *index)
{
    for (uint32_t i = wallet->tx_count; i-- > 0;) {
        struct wtx *wtx = wallet->ordered[i];
        if (wtx->pub.block == index) /* confirmed there, or in conflict with one that was */
            history_set_state(wallet, wtx, WALLET_TX_INACTIVE, NULL);
    }
    wallet->cache_valid = false;
}

struct wtx *history_find(const struct wallet *wallet, const struct txid *id)
{
    struct wtx **found = table_find(&wallet->txs, id);
    return found != NULL ? *found : NULL;
}

struct coin_entry *history_coin(const struct wallet *wallet, const struct outpoint *outpoint)
{
    return table_find(&wallet->coins, outpoint);
}

bool history_is_spent(const struct wallet *wallet, const struct outpoint *outpoint)
{
    for (const struct spend *s = spenders(wallet, outpoint); s != NULL; s = s->next) {
        if (is_alive(s->by))
            return true;
    }
    return false;
}

void history_put(struct wallet *wallet, struct wtx *wtx)
{
    const struct wallet_tx *t = &wtx->pub;
    struct store_row row = {
        .table = STORE_TX,
        .key = span_of(t->tx->txid.b, 32),
        .a = t->tx->raw,
        .n = {t->block != NULL ? t->block->height : -1, t->position, t->received_s, t->state, t->block_time_s,
            (int64_t)t->ordering},
    };
    if (t->block != NULL)
        row.b = span_of(t->block->id.b, 32);
    store_batch_put(&wallet->batch, &row);
}

void history_clear(struct wallet *wallet)
{
    for (uint32_t i = 0; i < wallet->tx_count; i++) {
        tx_unref(wallet->ordered[i]->pub.tx);
        mem_free(wallet->ordered[i]);
    }
    mem_free(wallet->ordered);
    table_clear(&wallet->txs);
    table_clear(&wallet->coins);
    table_clear(&wallet->spends);
    arena_clear(&wallet->spend_arena);
}

void history_sort(struct wallet *wallet)
{
    if (wallet->tx_count > 0)
        qsort(wallet->ordered, wallet->tx_count, sizeof *wallet->ordered, by_ordering);
}

/* ---- what others may ask ---- */

const struct wallet_tx *wallet_find_tx(const struct wallet *wallet, const struct txid *id)
{
    struct wtx *wtx = history_find(wallet, id);
    return wtx != NULL ? &wtx->pub : NULL;
}

const struct wallet_tx *wallet_tx_at(const struct wallet *wallet, uint32_t i)
{
    return i < wallet->tx_count ? &wallet->ordered[i]->pub : NULL;
}

uint32_t wallet_tx_count(const struct wallet *wallet)
{
    return wallet->tx_count;
}

int32_t wallet_tx_confirmations(const struct wallet *wallet, const struct wallet_tx *wtx)
{
    if (wtx->block == NULL || wallet->synced == NULL)
        return 0;
    int32_t deep = wallet->synced->height - wtx->block->height + 1;
    if (deep < 0)
        deep = 0;
    return wtx->state == WALLET_TX_CONFLICTED ? -deep : deep;
}

struct wallet_tx_money wallet_tx_money(const struct wallet *wallet, const struct wallet_tx *wtx)
{
    struct wallet_tx_money money = {0};
    const struct tx *tx = wtx->tx;
    int64_t out_sat = 0;
    bool all_ours = !wtx->is_coinbase;
    for (uint32_t i = 0; i < tx->in_count; i++) {
        const struct coin_entry *entry = history_coin(wallet, &tx->in[i].prevout);
        if (entry != NULL)
            money.debit_sat += entry->wtx->pub.tx->out[tx->in[i].prevout.index].value_sat;
        else
            all_ours = false;
    }
    for (uint32_t i = 0; i < tx->out_count; i++) {
        out_sat += tx->out[i].value_sat;
        if (wallet_is_mine(wallet, tx->out[i].script, NULL))
            money.credit_sat += tx->out[i].value_sat;
    }
    money.has_fee = all_ours;
    if (all_ours)
        money.fee_sat = money.debit_sat - out_sat;
    return money;
}

/* The cursor counts rivals over all inputs. */
const struct txid *wallet_next_rival(const struct wallet *wallet, const struct wallet_tx *wtx, uint32_t *cursor)
{
    uint32_t seen = 0;
    for (uint32_t i = 0; i < wtx->tx->in_count && !wtx->is_coinbase; i++) {
        for (const struct spend *s = spenders(wallet, &wtx->tx->in[i].prevout); s != NULL; s = s->next) {
            if (&s->by->pub == wtx || seen++ < *cursor)
                continue;
            *cursor = seen;
            return &s->by->pub.tx->txid;
        }
    }
    return NULL;
}

bool wallet_next_coin(const struct wallet *wallet, uint32_t *cursor, struct wallet_coin *out)
{
    const void *key;
    void *value;
    while (table_next(&wallet->coins, cursor, &key, &value)) {
        const struct coin_entry *entry = value;
        enum wallet_tx_state state = entry->wtx->pub.state;
        struct outpoint outpoint;
        memcpy(&outpoint, key, sizeof outpoint);
        if ((state != WALLET_TX_CONFIRMED && state != WALLET_TX_MEMPOOL) || history_is_spent(wallet, &outpoint))
            continue;
        *out = coin_of(&outpoint, entry);
        return true;
    }
    return false;
}

bool wallet_coin_is_mature(const struct wallet *wallet, const struct wallet_coin *coin)
{
    return is_mature(wallet, coin->wtx);
}

bool wallet_coin_is_trusted(const struct wallet *wallet, const struct wallet_coin *coin)
{
    struct wtx *wtx = history_find(wallet, &coin->outpoint.txid);
    return wtx != NULL && is_trusted(wallet, wtx);
}

struct wallet_balances wallet_balances(const struct wallet *wallet)
{
    struct wallet *cache = (struct wallet *)wallet; /* a cache is not a change */
    if (wallet->cache_valid)
        return wallet->cached;
    struct wallet_balances sum = {0};
    struct wallet_coin coin;
    uint32_t cursor = 0;
    while (wallet_next_coin(wallet, &cursor, &coin)) {
        if (!is_mature(wallet, coin.wtx))
            sum.immature_sat += coin.value_sat;
        else if (wallet_coin_is_trusted(wallet, &coin))
            sum.trusted_sat += coin.value_sat;
        else
            sum.untrusted_sat += coin.value_sat;
    }
    cache->cached = sum;
    cache->cache_valid = true;
    return sum;
}

int64_t wallet_nonmempool_sat(const struct wallet *wallet)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < wallet->tx_count; i++) {
        const struct wallet_tx *wtx = &wallet->ordered[i]->pub;
        if (wtx->state == WALLET_TX_INACTIVE && !wtx->is_coinbase)
            sum += wallet_tx_money(wallet, wtx).credit_sat;
    }
    return sum;
}

bool wallet_is_locked(const struct wallet *wallet, const struct outpoint *outpoint)
{
    const struct coin_entry *entry = history_coin(wallet, outpoint);
    return entry != NULL && entry->locked;
}

bool wallet_lock_coin(struct wallet *wallet, const struct outpoint *outpoint, bool lock, bool persist,
    struct fail *why)
{
    struct wtx *wtx = history_find(wallet, &outpoint->txid);
    if (wtx == NULL)
        return fail_request(why, -8, "Invalid parameter, unknown transaction");
    if (outpoint->index >= wtx->pub.tx->out_count)
        return fail_request(why, -8, "Invalid parameter, vout index out of bounds");
    struct coin_entry *entry = history_coin(wallet, outpoint);
    if (entry == NULL || history_is_spent(wallet, outpoint))
        return fail_request(why, -8, "Invalid parameter, expected unspent output");
    if (lock && entry->locked && !persist)
        return fail_request(why, -8, "Invalid parameter, output already locked");
    if (!lock && !entry->locked)
        return fail_request(why, -8, "Invalid parameter, expected locked output");
    entry->locked = lock;
    if (persist || !lock) {
        struct store_row row = {
            .table = STORE_LOCKED, .remove = !lock, .key = span_of(outpoint, sizeof *outpoint)};
        store_batch_put(&wallet->batch, &row);
        wallet_write(wallet, NULL, NULL);
    }
    return true;
}

bool wallet_next_locked(const struct wallet *wallet, uint32_t *cursor, struct outpoint *out)
{
    const void *key;
    void *value;
    while (table_next(&wallet->coins, cursor, &key, &value)) {
        if (!((const struct coin_entry *)value)->locked)
            continue;
        memcpy(out, key, sizeof *out);
        return true;
    }
    return false;
}

/* ---- below ---- */

static int by_ordering(const void *a, const void *b)
{
    uint64_t x = (*(struct wtx *const *)a)->pub.ordering, y = (*(struct wtx *const *)b)->pub.ordering;
    return x < y ? -1 : x > y;
}

static bool concerns_us(const struct wallet *wallet, const struct tx *tx)
{
    for (uint32_t i = 0; i < tx->out_count; i++) {
        if (wallet_is_mine(wallet, tx->out[i].script, NULL))
            return true;
    }
    for (uint32_t i = 0; i < tx->in_count; i++) {
        if (history_coin(wallet, &tx->in[i].prevout) != NULL)
            return true;
    }
    return false;
}

/* The wallet keeps a copy of its own: a reference would keep the transaction's whole block in memory. */
static struct wtx *insert(struct wallet *wallet, struct tx *tx)
{
    struct fail ignored;
    struct tx *own = NULL;
    if (!mem_try_grow(&wallet->ordered, &wallet->ordered_capacity, wallet->tx_count + 1, WALLET_TXS_MAX,
            sizeof *wallet->ordered) ||
        !tx_decode(&own, tx->raw, &ignored))
        return NULL;
    struct wtx *wtx = mem_new(sizeof *wtx);
    wtx->pub = (struct wallet_tx){
        .tx = own,
        .state = WALLET_TX_INACTIVE,
        .received_s = env_wall_s(wallet->all->env),
        .ordering = wallet->next_ordering,
        .is_coinbase = tx_is_coinbase(own),
    };
    struct wtx **slot = table_put(&wallet->txs, &own->txid, NULL);
    if (slot == NULL) {
        tx_unref(own);
        mem_free(wtx);
        return NULL;
    }
    *slot = wtx;
    wallet->ordered[wallet->tx_count++] = wtx;
    wallet->next_ordering++;
    if (!index_outputs(wallet, wtx) || !index_spends(wallet, wtx))
        log_error("Wallet \"%s\": no room for the outputs of %s", wallet->name, hash_show(own->txid.b));
    return wtx;
}

/* Again whenever the transaction is seen: scripts that are watched only since then may be among its outputs. */
static bool index_outputs(struct wallet *wallet, struct wtx *wtx)
{
    const struct tx *tx = wtx->pub.tx;
    for (uint32_t i = 0; i < tx->out_count; i++) {
        if (!wallet_is_mine(wallet, tx->out[i].script, NULL))
            continue;
        struct outpoint outpoint = {.txid = tx->txid, .index = i};
        struct coin_entry *entry = table_put(&wallet->coins, &outpoint, NULL);
        if (entry == NULL)
            return false;
        entry->wtx = wtx;
    }
    return true;
}

static bool index_spends(struct wallet *wallet, struct wtx *wtx)
{
    const struct tx *tx = wtx->pub.tx;
    for (uint32_t i = 0; i < tx->in_count && !wtx->pub.is_coinbase; i++) {
        struct spend **first = table_put(&wallet->spends, &tx->in[i].prevout, NULL);
        struct spend *spend = arena_new(&wallet->spend_arena, sizeof *spend);
        if (first == NULL || spend == NULL)
            return false;
        *spend = (struct spend){.by = wtx, .next = *first};
        *first = spend;
    }
    return true;
}

static struct spend *spenders(const struct wallet *wallet, const struct outpoint *outpoint)
{
    struct spend **first = table_find(&wallet->spends, outpoint);
    return first != NULL ? *first : NULL;
}

static void settle_rivals(struct wallet *wallet, struct wtx *wtx)
{
    const struct tx *tx = wtx->pub.tx;
    for (uint32_t i = 0; i < tx->in_count; i++) {
        for (struct spend *s = spenders(wallet, &tx->in[i].prevout); s != NULL; s = s->next) {
            if (s->by != wtx && s->by->pub.state != WALLET_TX_CONFIRMED)
                kill_with_children(wallet, s->by, WALLET_TX_CONFLICTED, wtx->pub.block);
        }
    }
}

/* Nothing can confirm what spends an output that will never be; it shares the block, so that both may come back
 * together. */
static void kill_with_children(struct wallet *wallet, struct wtx *first, enum wallet_tx_state state,
    const struct block_index *block)
{
    struct wtx *last = first;
    set_place(first, state, block);
    first->next_dead = NULL;
    for (struct wtx *at = first; at != NULL; at = at->next_dead) {
        struct outpoint outpoint = {.txid = at->pub.tx->txid};
        history_put(wallet, at);
        for (; outpoint.index < at->pub.tx->out_count; outpoint.index++) {
            for (struct spend *s = spenders(wallet, &outpoint); s != NULL; s = s->next) {
                if (s->by->pub.state == WALLET_TX_CONFIRMED || !is_alive(s->by))
                    continue;
                set_place(s->by, state, block); /* at once: nobody stands in the list twice */
                s->by->next_dead = NULL;
                last->next_dead = s->by;
                last = s->by;
            }
        }
    }
    wallet->cache_valid = false;
}

static bool is_alive(const struct wtx *wtx)
{
    return wtx->pub.state != WALLET_TX_ABANDONED && wtx->pub.state != WALLET_TX_CONFLICTED;
}

static bool is_trusted(const struct wallet *wallet, const struct wtx *wtx)
{
    const struct wtx *open[TRUST_DEPTH_MAX];
    uint32_t count = 0, seen = 0;
    open[count++] = wtx;
    while (count > 0) {
        const struct wtx *at = open[--count];
        if (at->pub.state == WALLET_TX_CONFIRMED)
            continue;
        if (at->pub.state != WALLET_TX_MEMPOOL || !wallet->all->options.spend_zero_conf_change ||
            ++seen > TRUST_DEPTH_MAX)
            return false;
        for (uint32_t i = 0; i < at->pub.tx->in_count; i++) {
            const struct coin_entry *entry = history_coin(wallet, &at->pub.tx->in[i].prevout);
            if (entry == NULL)
                return false; /* somebody else pays for it, and may change their mind */
            if (entry->wtx->pub.state != WALLET_TX_CONFIRMED) {
                if (count == TRUST_DEPTH_MAX)
                    return false;
                open[count++] = entry->wtx;
            }
        }
    }
    return true;
}

static bool is_mature(const struct wallet *wallet, const struct wallet_tx *wtx)
{
    /* Spendable in the next block: Bitcoin's wallets show one confirmation more than the rule asks. */
    return !wtx->is_coinbase ||
           wallet_tx_confirmations(wallet, wtx) > wallet->all->chain->coinbase_maturity;
}

static struct wallet_coin coin_of(const struct outpoint *outpoint, const struct coin_entry *entry)
{
    const struct tx_out *out = &entry->wtx->pub.tx->out[outpoint->index];
    return (struct wallet_coin){
        .outpoint = *outpoint, .wtx = &entry->wtx->pub, .value_sat = out->value_sat, .script = out->script};
}
