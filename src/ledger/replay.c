/* Blocks one after the other over coins of one's own. Every coin that a block names is read from the store below
 * first; from then on the block meets the same functions as in the pipeline (connect.c). */
#include "replay.h"

#include <string.h>

#include "codec.h"
#include "coin/script/script.h"
#include "state.h"

#define ROW_MAX_B (BLOCK_SIZE_MAX_B + 64)

static bool learn(struct replay *replay, const struct outpoint *outpoint, struct fail *why);
static bool disagrees(const struct stored_block *b, struct fail *why);
static bool take_outputs(struct replay *replay, const struct stored_block *b, uint32_t t, struct fail *why);
static bool give_back_inputs(
    struct replay *replay, const struct stored_block *b, uint32_t t, uint32_t *left, struct fail *why);
static bool same_coin(const struct coin *a, const struct coin *b);

void replay_init(struct replay *replay, struct ledger *ledger,
    bool (*read)(void *ctx, struct span key, struct buf *value, bool *found, struct fail *why), void *ctx)
{
    memset(replay, 0, sizeof *replay);
    replay->ledger = ledger;
    replay->read = read;
    replay->ctx = ctx;
    coins_init(&replay->coins, ledger->coins.seed); /* secret like those, and never changed */
}

void replay_clear(struct replay *replay)
{
    coins_clear(&replay->coins);
}

/* What the store does not have stays unknown, which is as good as absent here. */
static bool learn(struct replay *replay, const struct outpoint *outpoint, struct fail *why)
{
    uint8_t key[COIN_KEY_MAX_B];
    struct coin coin;
    struct buf row;
    struct arena arena;
    bool found = false;
    if (coins_find(&replay->coins, outpoint, &coin) != COINS_UNKNOWN)
        return true;
    buf_init(&row, ROW_MAX_B);
    arena_init(&arena, 0);
    bool ok = replay->read(replay->ctx, span_of(key, coin_key(key, outpoint)), &row, &found, why);
    if (ok && found)
        ok = coin_unpack(&coin, buf_span(&row), &arena, why) &&
             (coins_learn(&replay->coins, outpoint, &coin) || fail_oom(why, "coins"));
    arena_clear(&arena);
    buf_clear(&row);
    return ok;
}

/* ---- forwards ---- */
bool replay_connect(
    struct replay *replay, struct stored_block *b, bool scripts, struct buf *undo, struct fail *why)
{
    struct ledger *ledger = replay->ledger;
    struct block_context context = {
        .height = b->index->height, .median_time_past_s = index_median_time_past_s(b->index->prev)};
    if (!check_block(ledger->chain, b->block, why) ||
        !check_block_context(ledger->chain, b->block, &context, why))
        return false;
    struct connecting *c = connecting_new(ledger, b->index);
    c->block = block_ref(b->block);
    c->coins = &replay->coins;
    c->scripts = scripts;
    bool ok = connecting_unknown(ledger, c) || fail_oom(&c->why, "coins of a block");
    for (uint32_t i = 0; ok && i < c->fetch.count; i++)
        ok = learn(replay, &c->fetch.outpoints[i], &c->why);
    c->fetch.generation = c->coins->generation;
    ok = ok && connecting_spend(ledger, c);
    if (ok) {
        connecting_check_here(c);
        ok = c->why.kind == FAIL_NONE;
    }
    if (ok && undo != NULL)
        undo_pack(undo, c->block, c->spent);
    *why = c->why;
    connecting_free(c);
    return ok;
}

/* ---- backwards ---- */
bool replay_disconnect(struct replay *replay, const struct stored_block *b, struct fail *why)
{
    uint32_t left = b->undo->count;
    for (uint32_t t = b->block->tx_count; t-- > 0;)
        if (!take_outputs(replay, b, t, why) ||
            (t > 0 && !give_back_inputs(replay, b, t, &left, why)))
            return false;
    return true;
}

static bool disagrees(const struct stored_block *b, struct fail *why)
{
    return fail_set(why, FAIL_LOCAL, "damaged",
        "the chainstate does not hold what block %d left; start with -reindex-chainstate", (int)b->index->height);
}

static bool take_outputs(struct replay *replay, const struct stored_block *b, uint32_t t, struct fail *why)
{
    const struct tx *tx = &b->block->txs[t];
    struct arena arena;
    bool ok = true;
    /* Before BIP34 a coinbase could come twice (BIP30): the earlier one's outputs are the later one's. */
    bool may_lack = t == 0 && !buried_active(replay->ledger->chain, BURIED_BIP34, b->index->height);
    arena_init(&arena, 0);
    for (uint32_t i = 0; i < tx->out_count && ok; i++) {
        struct coin left = {.value_sat = tx->out[i].value_sat,
            .height = b->index->height,
            .is_coinbase = t == 0,
            .script = tx->out[i].script};
        struct outpoint outpoint = {tx->txid, i};
        struct coin coin;
        enum coins_answer_kind answer;
        if (script_is_unspendable(left.script))
            continue;
        if (!learn(replay, &outpoint, why))
            ok = false;
        else if (!coins_take(&replay->coins, &outpoint, &coin, &arena, &answer))
            ok = fail_oom(why, "coins");
        else if (answer != COINS_PRESENT ? !may_lack : !same_coin(&coin, &left) && !may_lack)
            ok = disagrees(b, why);
    }
    arena_clear(&arena);
    return ok;
}

static bool give_back_inputs(
    struct replay *replay, const struct stored_block *b, uint32_t t, uint32_t *left, struct fail *why)
{
    const struct tx *tx = &b->block->txs[t];
    for (uint32_t i = tx->in_count; i-- > 0;) {
        struct coin coin;
        if (!learn(replay, &tx->in[i].prevout, why))
            return false;
        if (coins_find(&replay->coins, &tx->in[i].prevout, &coin) == COINS_PRESENT)
            return disagrees(b, why);
        if (!coins_untake(&replay->coins, &tx->in[i].prevout, &b->undo->coins[--*left]))
            return fail_oom(why, "coins");
    }
    return true;
}

static bool same_coin(const struct coin *a, const struct coin *b)
{
    return a->value_sat == b->value_sat && a->height == b->height && a->is_coinbase == b->is_coinbase &&
           span_equal(a->script, b->script);
}
