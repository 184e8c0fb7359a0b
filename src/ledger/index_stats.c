/* The index of statistics about the set of coins, by block (-coinstatsindex), with Bitcoin's fields.
 *   's' | u32be height | id -> u64le x 11 in the order of struct coin_stats, its hash | muhash 32
 * The state is the running hash before it is finished, and the totals: a block adds what it creates and removes
 * what it spends. Sums within a block wrap around instead of overflowing; only their differences are told. */
#include <string.h>

#include "coin/crypto/muhash.h"
#include "coin/script/script.h"
#include "indexer.h"

#define NUMBERS 11
#define ROW_SIZE_B (NUMBERS * 8 + 32)
#define STATE_NUMBERS 4
#define STATE_SIZE_B (MUHASH_SIZE_B + STATE_NUMBERS * 8)
#define COIN_CODED_MAX_B (2u * BLOCK_SIZE_MAX_B)

_Static_assert(STATE_SIZE_B <= INDEXER_STATE_MAX_B, "the state fits");

/* Bitcoin's two blocks whose coinbase came once more before it was spent (BIP30): only the later one counts. */
static const char *const overwritten[] = {
    "00000000000271a2dc26e7667f8419f2e15416dc6955e5a6c6cdf3f2574dd08e",
    "00000000000af0aed4792b1acee3d966af36cf5def14935db8de83d6f9306f2f",
};

struct running { /* the state, as it is worked with */
    struct muhash set;
    struct coin_stats stats;
    struct buf coded;
};

static bool is_overwritten(const struct block_id *id)
{
    struct block_id other;
    for (size_t i = 0; i < sizeof overwritten / sizeof *overwritten; i++)
        if (hash_from_hex(other.b, span_text(overwritten[i])) && block_id_equal(&other, id))
            return true;
    return false;
}

/* ---- state and rows ---- */
static void state_init(uint8_t *state)
{
    struct muhash empty;
    muhash_init(&empty);
    muhash_put(state, &empty);
    memset(state + MUHASH_SIZE_B, 0, STATE_NUMBERS * 8);
}

static bool state_get(struct running *run, const uint8_t *state, struct fail *why)
{
    struct reader r;
    memset(run, 0, sizeof *run);
    buf_init(&run->coded, COIN_CODED_MAX_B);
    if (!muhash_get(&run->set, span_of(state, MUHASH_SIZE_B), why))
        return index_damaged(why, index_stats_ops.folder);
    rd_init(&r, span_of(state + MUHASH_SIZE_B, STATE_NUMBERS * 8));
    run->stats.coins = rd_u64le(&r);
    run->stats.bogosize_b = rd_u64le(&r);
    run->stats.total_sat = rd_i64le(&r);
    run->stats.unspendable_sat = rd_i64le(&r);
    return true;
}

static void state_put(uint8_t *state, const struct running *run)
{
    uint8_t *p = state + MUHASH_SIZE_B;
    muhash_put(state, &run->set);
    put_u64le(p, run->stats.coins);
    put_u64le(p + 8, run->stats.bogosize_b);
    put_u64le(p + 16, (uint64_t)run->stats.total_sat);
    put_u64le(p + 24, (uint64_t)run->stats.unspendable_sat);
}

static void put_row(struct kv_batch *batch, const struct block_index *index, const struct coin_stats *s)
{
    uint8_t key[BLOCK_KEY_SIZE_B], row[ROW_SIZE_B];
    const uint64_t numbers[NUMBERS] = {s->coins, s->bogosize_b, (uint64_t)s->total_sat,
        (uint64_t)s->unspendable_sat, s->spent_sat, s->created_sat, s->coinbase_sat, (uint64_t)s->genesis_sat,
        (uint64_t)s->bip30_sat, (uint64_t)s->scripts_sat, (uint64_t)s->unclaimed_sat};
    for (int i = 0; i < NUMBERS; i++)
        put_u64le(row + 8 * i, numbers[i]);
    memcpy(row + NUMBERS * 8, s->muhash, sizeof s->muhash);
    block_key(key, 's', index);
    kv_batch_put(batch, span_of(key, sizeof key), span_of(row, sizeof row));
}

static bool get_row(struct kv *kv, const struct block_index *index, struct coin_stats *s, bool *found, struct fail *why)
{
    uint8_t key[BLOCK_KEY_SIZE_B];
    struct buf row;
    struct reader r;
    block_key(key, 's', index);
    buf_init(&row, ROW_SIZE_B);
    bool ok = kv_get(kv, span_of(key, sizeof key), &row, found, why);
    if (ok && *found && row.size_b != ROW_SIZE_B)
        ok = index_damaged(why, index_stats_ops.folder);
    rd_init(&r, buf_span(&row));
    if (ok && *found) {
        s->coins = rd_u64le(&r);
        s->bogosize_b = rd_u64le(&r);
        s->total_sat = rd_i64le(&r);
        s->unspendable_sat = rd_i64le(&r);
        s->spent_sat = rd_u64le(&r);
        s->created_sat = rd_u64le(&r);
        s->coinbase_sat = rd_u64le(&r);
        s->genesis_sat = rd_i64le(&r);
        s->bip30_sat = rd_i64le(&r);
        s->scripts_sat = rd_i64le(&r);
        s->unclaimed_sat = rd_i64le(&r);
        rd_copy(&r, s->muhash, sizeof s->muhash);
    }
    buf_clear(&row);
    return ok;
}

/* ---- a block ---- */
static struct span coded(struct running *run, const struct tx *tx, uint32_t i, const struct coin *coin)
{
    struct outpoint outpoint = {tx->txid, i};
    run->coded.size_b = 0;
    coin_encode_for_hash(&run->coded, &outpoint, coin);
    return buf_span(&run->coded);
}

static void add_outputs(struct running *run, const struct tx *tx, int32_t height, bool is_coinbase)
{
    struct coin_stats *s = &run->stats;
    for (uint32_t i = 0; i < tx->out_count; i++) {
        struct coin coin = {.value_sat = tx->out[i].value_sat,
            .height = height,
            .is_coinbase = is_coinbase,
            .script = tx->out[i].script};
        if (script_is_unspendable(coin.script)) {
            s->scripts_sat += coin.value_sat;
            continue;
        }
        muhash_add(&run->set, coded(run, tx, i, &coin));
        *(is_coinbase ? &s->coinbase_sat : &s->created_sat) += (uint64_t)coin.value_sat;
        s->coins++;
        s->total_sat += coin.value_sat;
        s->bogosize_b += COIN_BOGOSIZE_B + coin.script.size_b;
    }
}

static void remove_inputs(struct running *run, const struct tx *tx, const struct coin *spent)
{
    struct coin_stats *s = &run->stats;
    for (uint32_t i = 0; i < tx->in_count; i++) {
        struct tx from = {.txid = tx->in[i].prevout.txid};
        muhash_remove(&run->set, coded(run, &from, tx->in[i].prevout.index, &spent[i]));
        s->spent_sat += (uint64_t)spent[i].value_sat;
        s->coins--;
        s->total_sat -= spent[i].value_sat;
        s->bogosize_b -= COIN_BOGOSIZE_B + spent[i].script.size_b;
    }
}

static bool connect(struct indexer_step *step, const struct stored_block *b, struct fail *why)
{
    struct running run;
    if (!state_get(&run, step->state, why)) {
        buf_clear(&run.coded);
        return false;
    }
    struct coin_stats *s = &run.stats;
    int32_t height = b->index->height;
    int64_t subsidy_sat = chain_subsidy_sat(step->chain, height);
    uint32_t first_spent = 0;
    if (height == 0)
        s->genesis_sat = subsidy_sat;
    else if (is_overwritten(&b->index->id))
        s->bip30_sat = subsidy_sat;
    else
        add_outputs(&run, &b->block->txs[0], height, true);
    for (uint32_t t = 1; t < b->block->tx_count; t++) {
        const struct tx *tx = &b->block->txs[t];
        add_outputs(&run, tx, height, false);
        remove_inputs(&run, tx, &b->undo->coins[first_spent]);
        first_spent += tx->in_count;
    }
    /* What the miner could have taken and did not can never be spent either. */
    int64_t known_sat = s->genesis_sat + s->bip30_sat + s->scripts_sat;
    s->unclaimed_sat = (int64_t)(s->spent_sat + (uint64_t)subsidy_sat - s->created_sat - s->coinbase_sat -
                                 (uint64_t)known_sat);
    s->unspendable_sat += known_sat + s->unclaimed_sat;
    bool ok = buf_ok(&run.coded, "statistics of coins", why) && muhash_end(&run.set, s->muhash, why);
    if (ok) {
        put_row(&step->batch, b->index, s);
        state_put(step->state, &run);
    }
    buf_clear(&run.coded);
    return ok;
}

/* The hash goes back by its own steps reversed, the totals come from the parent's row. */
static bool disconnect(struct indexer_step *step, const struct stored_block *b, struct fail *why)
{
    struct running run, back;
    if (!state_get(&run, step->state, why)) {
        buf_clear(&run.coded);
        return false;
    }
    memset(&back, 0, sizeof back);
    muhash_init(&back.set);
    buf_init(&back.coded, COIN_CODED_MAX_B);
    uint32_t first_spent = 0;
    if (!is_overwritten(&b->index->id))
        add_outputs(&back, &b->block->txs[0], b->index->height, true);
    for (uint32_t t = 1; t < b->block->tx_count; t++) {
        add_outputs(&back, &b->block->txs[t], b->index->height, false);
        remove_inputs(&back, &b->block->txs[t], &b->undo->coins[first_spent]);
        first_spent += b->block->txs[t].in_count;
    }
    struct muhash reversed;
    memcpy(reversed.numerator, back.set.denominator, sizeof reversed.numerator);
    memcpy(reversed.denominator, back.set.numerator, sizeof reversed.denominator);
    muhash_combine(&run.set, &reversed);
    bool found = false;
    bool ok = buf_ok(&back.coded, "statistics of coins", why) &&
              get_row(step->kv, b->index->prev, &run.stats, &found, why) &&
              (found || index_damaged(why, index_stats_ops.folder));
    if (ok)
        state_put(step->state, &run);
    buf_clear(&run.coded);
    buf_clear(&back.coded);
    return ok;
}

static bool answer(struct ledger *ledger, struct kv *kv, struct index_query *base, struct fail *why)
{
    struct stats_query *query = (struct stats_query *)base;
    (void)ledger;
    return get_row(kv, query->block, &query->result, &query->found, why);
}

const struct indexer_ops index_stats_ops = {
    .name = "coinstatsindex",
    .folder = "coinstatsindex",
    .connect_needs = NEED_UNDO,
    .disconnect_needs = NEED_UNDO,
    .state_size_b = STATE_SIZE_B,
    .state_init = state_init,
    .connect = connect,
    .disconnect = disconnect,
    .answer = answer,
};
