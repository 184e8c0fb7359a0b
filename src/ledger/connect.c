/* One block on its way into the chain: its coins fetched, spent and created in place, its scripts checked
 * by jobs. Contextual checks that need the chain or the coins are here, in Bitcoin's order.
 * Invariant: with c->applied, c->spent holds the coins of all inputs in order, and walking the block
 * backwards over it gives the coins as they were. */
#include <string.h>

#include "coin/base/log.h"
#include "coin/script/script.h"
#include "state.h"

static bool wants_bip30(const struct ledger *ledger, const struct connecting *c);
static void fetched(struct fetch *fetch);
static bool apply_bip30(struct ledger *ledger, struct connecting *c);
static bool apply_tx(struct ledger *ledger, struct connecting *c, uint32_t t);
static bool take_inputs(struct connecting *c, const struct tx *tx);
static bool check_sequence(
    struct ledger *ledger, struct connecting *c, const struct tx *tx, const struct coin *spent);
static bool create_outputs(struct connecting *c, const struct tx *tx);
static uint32_t count_checks(const struct connecting *c);
static bool make_batches(struct connecting *c, uint32_t target);
static void batch_run(struct job *job);
static void batch_done(struct job *job);
static void batch_check_tx(struct check_batch *batch, uint32_t t, uint32_t from, uint32_t to);

struct connecting *connecting_new(struct ledger *ledger, struct block_index *index)
{
    struct connecting *c = mem_new(sizeof *c);
    c->ledger = ledger;
    c->index = index;
    c->coins = &ledger->coins;
    arena_init(&c->arena, 0);
    return c;
}

void connecting_free(struct connecting *c)
{
    if (c == NULL)
        return;
    fetch_clear(&c->fetch);
    arena_clear(&c->arena);
    block_unref(c->block);
    mem_free(c);
}

/* Out of the pipeline; memory goes when the last of its jobs is back. */
void connecting_abandon(struct ledger *ledger, struct connecting *c)
{
    (void)ledger;
    c->abandoned = true;
    if (c->jobs == 0)
        connecting_free(c);
}

/* ---- fetch ---- */
void connecting_fetch(struct ledger *ledger, struct connecting *c)
{
    fetch_clear(&c->fetch);
    memset(&c->fetch, 0, sizeof c->fetch);
    c->stage = CONNECT_FETCHING;
    if (!connecting_unknown(ledger, c)) {
        fail_oom(&c->why, "coins of a block");
        c->stage = CONNECT_FETCHED;
        return;
    }
    c->fetch.generation = c->coins->generation;
    if (c->fetch.count == 0) {
        c->stage = CONNECT_FETCHED;
        return;
    }
    c->jobs++;
    if (!fetch_begin(&c->fetch, ledger, &c->arena, fetched, c)) {
        c->jobs--;
        fail_oom(&c->why, "coins of a block");
        c->stage = CONNECT_FETCHED;
    }
}

/* What the coins in memory do not know of the block's. */
bool connecting_unknown(struct ledger *ledger, struct connecting *c)
{
    const struct block *block = c->block;
    bool bip30 = wants_bip30(ledger, c);
    uint32_t inputs = 0, outputs = 0;
    for (uint32_t t = 0; t < block->tx_count; t++) {
        inputs += t > 0 ? block->txs[t].in_count : 0;
        outputs += block->txs[t].out_count;
        for (uint32_t i = 0; t > 0 && i < block->txs[t].in_count; i++)
            coins_prefetch(c->coins, &block->txs[t].in[i].prevout);
    }
    struct outpoint *unknown =
        arena_array(&c->arena, inputs + (bip30 ? outputs : 0), sizeof *unknown);
    if (unknown == NULL)
        return false;
    uint32_t count = 0;
    struct coin coin;
    for (uint32_t t = 1; t < block->tx_count; t++)
        for (uint32_t i = 0; i < block->txs[t].in_count; i++)
            if (coins_find(c->coins, &block->txs[t].in[i].prevout, &coin) == COINS_UNKNOWN)
                unknown[count++] = block->txs[t].in[i].prevout;
    for (uint32_t t = 0; bip30 && t < block->tx_count; t++)
        for (uint32_t i = 0; i < block->txs[t].out_count; i++) {
            struct outpoint outpoint = {block->txs[t].txid, i};
            if (coins_find(c->coins, &outpoint, &coin) == COINS_UNKNOWN)
                unknown[count++] = outpoint;
        }
    c->fetch.outpoints = unknown;
    c->fetch.count = count;
    return true;
}

static bool wants_bip30(const struct ledger *ledger, const struct connecting *c)
{
    const struct chain *chain = ledger->chain;
    bool known_bip34 = false;
    if (!block_id_is_zero(&chain->bip34_id)) {
        const struct block_index *at = index_ancestor(c->index, chain->buried[BURIED_BIP34]);
        known_bip34 = at != NULL && block_id_equal(&at->id, &chain->bip34_id);
    }
    return block_needs_bip30(chain, c->index->height, &c->index->id, known_bip34);
}

static void fetched(struct fetch *fetch)
{
    struct connecting *c = fetch->ctx;
    struct ledger *ledger = c->ledger;
    c->jobs--;
    if (c->abandoned) {
        if (c->jobs == 0)
            connecting_free(c);
        return;
    }
    if (fetch->why.kind != FAIL_NONE)
        c->why = fetch->why;
    c->stage = CONNECT_FETCHED;
    ledger->pump_again = true;
}

/* ---- apply ---- */
/* Spends and creates in the live coins. false with c->why set: it breaks a rule and nothing is applied.
 * false without: coins must be fetched again, since a flush ended meanwhile. */
bool connecting_apply(struct ledger *ledger, struct connecting *c)
{
    if (c->why.kind != FAIL_NONE)
        return false;
    bool ok = connecting_spend(ledger, c);
    c->applied = true;
    if (ok)
        return true;
    struct fail why;
    if (!connecting_unapply(c, &why)) {
        ledger_die(ledger, &why);
        return false;
    }
    if (c->why.kind == FAIL_NONE)
        connecting_fetch(ledger, c);
    return false;
}

/* The block's effect on the coins, without a way back. */
bool connecting_spend(struct ledger *ledger, struct connecting *c)
{
    const struct block *block = c->block;
    uint32_t inputs = 0;
    c->flags = block_script_flags(ledger->chain, c->index->height, &c->index->id);
    c->spent_count = c->txs_done = 0;
    c->fees_sat = c->sigop_cost = 0;
    if (c->spent == NULL) {
        c->first_spent =
            arena_array(&c->arena, (size_t)block->tx_count + 1, sizeof *c->first_spent);
        for (uint32_t t = 1; c->first_spent != NULL && t < block->tx_count; t++) {
            c->first_spent[t] = inputs;
            inputs += block->txs[t].in_count;
        }
        c->spent = arena_array(&c->arena, inputs, sizeof *c->spent);
        c->skip_scripts = arena_new(&c->arena, block->tx_count);
        if (c->first_spent == NULL || c->spent == NULL || c->skip_scripts == NULL)
            return fail_oom(&c->why, "spent coins of a block");
        c->first_spent[block->tx_count] = inputs;
    }
    if (!apply_bip30(ledger, c))
        return false;
    for (uint32_t t = 0; t < block->tx_count; t++)
        if (!apply_tx(ledger, c, t))
            return false;
    int64_t reward_sat = chain_subsidy_sat(ledger->chain, c->index->height), out_sat = 0;
    for (uint32_t i = 0; i < block->txs[0].out_count; i++)
        out_sat += block->txs[0].out[i].value_sat; /* each and their sum are in range: check_tx */
    if (out_sat > reward_sat + c->fees_sat)
        return fail_set(&c->why, FAIL_INVALID, "bad-cb-amount",
            "coinbase pays %lld, subsidy and fees are %lld", (long long)out_sat,
            (long long)(reward_sat + c->fees_sat));
    return true;
}

static bool apply_bip30(struct ledger *ledger, struct connecting *c)
{
    if (!wants_bip30(ledger, c))
        return true;
    for (uint32_t t = 0; t < c->block->tx_count; t++)
        for (uint32_t i = 0; i < c->block->txs[t].out_count; i++) {
            struct outpoint outpoint = {c->block->txs[t].txid, i};
            struct coin coin;
            if (coins_find(c->coins, &outpoint, &coin) == COINS_PRESENT)
                return fail_set(&c->why, FAIL_INVALID, "bad-txns-BIP30",
                    "tried to overwrite transaction %s", hash_show(outpoint.txid.b));
        }
    /* What is unknown now and was fetched under another generation must be asked for again. */
    return c->fetch.generation == c->coins->generation;
}

static bool apply_tx(struct ledger *ledger, struct connecting *c, uint32_t t)
{
    const struct tx *tx = &c->block->txs[t];
    if (t > 0) {
        const struct coin *spent = &c->spent[c->first_spent[t]];
        int64_t fee_sat = 0;
        if (!take_inputs(c, tx))
            return false;
        if (!check_tx_inputs(ledger->chain, tx, spent, c->index->height, &fee_sat, &c->why))
            return fail_prefix(&c->why, "transaction %s: ", hash_show(tx->txid.b));
        if (!amount_add(&c->fees_sat, fee_sat, ledger->chain->max_money_sat))
            return fail_set(&c->why, FAIL_INVALID, "bad-txns-accumulated-fee-outofrange",
                "fees of the block overflow");
        if (!check_sequence(ledger, c, tx, spent))
            return false;
        c->skip_scripts[t] = c->coins == &ledger->coins && (c->flags & ~(uint32_t)SCRIPT_FLAGS_STANDARD) == 0 &&
                             ledger_verdict_known(ledger, &tx->wtxid);
    }
    if (!create_outputs(c, tx))
        return fail_oom(&c->why, "coins");
    c->txs_done = t + 1;
    return true;
}

static bool take_inputs(struct connecting *c, const struct tx *tx)
{
    for (uint32_t i = 0; i < tx->in_count; i++) {
        enum coins_answer_kind answer;
        if (!coins_take(
                c->coins, &tx->in[i].prevout, &c->spent[c->spent_count], &c->arena, &answer))
            return fail_oom(&c->why, "coins");
        if (answer == COINS_PRESENT) {
            c->spent_count++;
            continue;
        }
        if (answer == COINS_UNKNOWN && c->fetch.generation != c->coins->generation)
            return false; /* the store may know it by now: fetched again, c->why stays empty */
        return fail_set(&c->why, FAIL_INVALID, "bad-txns-inputs-missingorspent",
            "transaction %s spends %s:%u, which is not there", hash_show(tx->txid.b),
            hash_show(tx->in[i].prevout.txid.b), (unsigned)tx->in[i].prevout.index);
    }
    return true;
}

/* BIP68: relative locks, counted from the blocks that made the coins. */
static bool check_sequence(
    struct ledger *ledger, struct connecting *c, const struct tx *tx, const struct coin *spent)
{
    bool enforce = buried_active(ledger->chain, BURIED_CSV, c->index->height);
    if (!enforce || tx->version < 2) /* unsigned, says BIP68 */
        return true;
    int64_t few[8], *times_s = few;
    if (tx->in_count > sizeof few / sizeof *few) {
        times_s = arena_array(&c->arena, tx->in_count, sizeof *times_s);
        if (times_s == NULL)
            return fail_oom(&c->why, "sequence locks");
    }
    for (uint32_t i = 0; i < tx->in_count; i++) {
        int32_t before = spent[i].height > 0 ? spent[i].height - 1 : 0;
        times_s[i] =
            tx_in_needs_mtp(tx, i) ? index_median_time_past_s(index_ancestor(c->index, before)) : 0;
    }
    struct sequence_lock lock = tx_sequence_lock(tx, spent, times_s, enforce);
    if (lock.height < c->index->height && lock.time_s < index_median_time_past_s(c->index->prev))
        return true;
    return fail_set(&c->why, FAIL_INVALID, "bad-txns-nonfinal",
        "transaction %s has a relative lock that is not over", hash_show(tx->txid.b));
}

static bool create_outputs(struct connecting *c, const struct tx *tx)
{
    bool is_coinbase = tx == &c->block->txs[0];
    for (uint32_t i = 0; i < tx->out_count; i++) {
        struct coin coin = {.value_sat = tx->out[i].value_sat,
            .height = c->index->height,
            .is_coinbase = is_coinbase,
            .script = tx->out[i].script};
        struct outpoint outpoint = {tx->txid, i};
        if (script_is_unspendable(coin.script))
            continue;
        if (!coins_create(c->coins, &outpoint, &coin, is_coinbase)) {
            while (i-- > 0) /* as if this transaction had not begun to create */
                if (!script_is_unspendable(tx->out[i].script)) {
                    struct outpoint made = {tx->txid, i};
                    if (!coins_uncreate(c->coins, &made))
                        break;
                }
            return false;
        }
    }
    return true;
}

bool connecting_unapply(struct connecting *c, struct fail *why)
{
    if (!c->applied)
        return true;
    c->applied = false;
    uint32_t left = c->spent_count;
    uint32_t t = c->txs_done;
    /* Inputs of a transaction that was not finished come after those of the finished ones. */
    uint32_t begun =
        t < c->block->tx_count && left > (t > 0 ? c->first_spent[t] : 0) ? t : UINT32_MAX;
    if (begun != UINT32_MAX) {
        const struct tx *tx = &c->block->txs[begun];
        while (left > c->first_spent[begun]) {
            left--;
            if (!coins_untake(
                    c->coins, &tx->in[left - c->first_spent[begun]].prevout, &c->spent[left]))
                return fail_oom(why, "taking back a block");
        }
    }
    while (t-- > 0) {
        const struct tx *tx = &c->block->txs[t];
        for (uint32_t i = 0; i < tx->out_count; i++) {
            struct outpoint outpoint = {tx->txid, i};
            if (!script_is_unspendable(tx->out[i].script) &&
                !coins_uncreate(c->coins, &outpoint))
                return fail_oom(why, "taking back a block");
        }
        while (t > 0 && left > c->first_spent[t]) {
            left--;
            if (!coins_untake(
                    c->coins, &tx->in[left - c->first_spent[t]].prevout, &c->spent[left]))
                return fail_oom(why, "taking back a block");
        }
    }
    c->spent_count = c->txs_done = 0;
    return true;
}

/* ---- scripts ---- */
void connecting_check(struct ledger *ledger, struct connecting *c)
{
    c->stage = CONNECT_CHECKING;
    uint32_t checks = count_checks(c);
    /* Enough batches to keep every worker busy to the end, none so small that waking its worker costs more
     * than the checks. Without scripts only signature operations are counted. */
    uint32_t target = checks / (ledger->options.workers * 4) + 1;
    target = target < CHUNK_CHECKS_MIN   ? CHUNK_CHECKS_MIN
             : target > CHUNK_CHECKS_MAX ? CHUNK_CHECKS_MAX
                                         : target;
    if (!c->scripts)
        target = UINT32_MAX / 2;
    if (!make_batches(c, target)) {
        fail_oom(&c->why, "script checks");
        c->stage = CONNECT_CHECKED;
        ledger->pump_again = true;
        return;
    }
    c->jobs += c->batch_count;
    for (uint32_t i = 0; i < c->batch_count; i++)
        ledger_submit(ledger, &c->batches[i].job);
}

/* All of it now, where the caller runs. */
void connecting_check_here(struct connecting *c)
{
    if (!make_batches(c, UINT32_MAX / 2)) {
        fail_oom(&c->why, "script checks");
        return;
    }
    for (uint32_t i = 0; i < c->batch_count; i++)
        batch_run(&c->batches[i].job);
    connecting_conclude(c);
}

static uint32_t count_checks(const struct connecting *c)
{
    return c->first_spent[c->block->tx_count];
}

static bool make_batches(struct connecting *c, uint32_t target)
{
    uint32_t most = count_checks(c) / target + 1;
    c->batches = arena_array(&c->arena, most, sizeof *c->batches);
    if (c->batches == NULL)
        return false;
    uint32_t tx = 0, in = 0;
    while (tx < c->block->tx_count && c->batch_count < most) {
        struct check_batch *batch = &c->batches[c->batch_count++];
        batch->job = (struct job){.run = batch_run, .done = batch_done, .lane = JOB_VERIFY};
        batch->connecting = c;
        batch->tx_first = tx;
        batch->in_first = in;
        uint32_t room = c->batch_count == most ? UINT32_MAX : target;
        while (tx < c->block->tx_count && room > 0) {
            uint32_t inputs = tx > 0 ? c->block->txs[tx].in_count : 0;
            uint32_t step = inputs - in < room ? inputs - in : room;
            in += step;
            room -= step;
            if (in < inputs)
                break;
            tx++;
            in = 0;
        }
        batch->tx_end = tx;
        batch->in_end = in;
    }
    return true;
}

static void batch_run(struct job *job)
{
    struct check_batch *batch = (struct check_batch *)job;
    const struct connecting *c = batch->connecting; /* immutable while its batches run */
    for (uint32_t t = batch->tx_first; t <= batch->tx_end && t < c->block->tx_count; t++) {
        const struct tx *tx = &c->block->txs[t];
        uint32_t from = t == batch->tx_first ? batch->in_first : 0;
        uint32_t to = t == batch->tx_end ? batch->in_end : t > 0 ? tx->in_count : 0;
        if (t == batch->tx_end && to == 0)
            break;
        const struct coin *spent = t > 0 ? &c->spent[c->first_spent[t]] : NULL;
        if (from == 0)
            batch->sigop_cost += tx_sigop_cost(tx, spent, c->flags);
        if (t > 0 && c->scripts && !c->skip_scripts[t] && batch->why.kind == FAIL_NONE)
            batch_check_tx(batch, t, from, to);
    }
}

static void batch_check_tx(struct check_batch *batch, uint32_t t, uint32_t from, uint32_t to)
{
    const struct connecting *c = batch->connecting;
    const struct tx *tx = &c->block->txs[t];
    const struct coin *spent = &c->spent[c->first_spent[t]];
    struct sighash_pre pre;
    sighash_pre_init(&pre, tx, spent);
    for (uint32_t i = from; i < to; i++) {
        enum script_error error = script_verify_input(&pre, i, c->flags);
        if (error == SCRIPT_OK)
            continue;
        batch->failed_tx = t;
        char code[FAIL_CODE_SIZE_B];
        struct buf text;
        buf_init(&text, sizeof code - 1);
        buf_printf(&text, "block-script-verify-flag-failed (%s)", script_error_text(error));
        size_t size_b = text.size_b < sizeof code ? text.size_b : sizeof code - 1;
        memcpy(code, text.data, size_b);
        code[size_b] = 0;
        buf_clear(&text);
        fail_set(&batch->why, FAIL_INVALID, code, "input %u of %s (wtxid %s), spending %s:%u",
            (unsigned)i, hash_show(tx->txid.b), hash_show(tx->wtxid.b),
            hash_show(tx->in[i].prevout.txid.b), (unsigned)tx->in[i].prevout.index);
        return;
    }
}

static void batch_done(struct job *job)
{
    struct check_batch *batch = (struct check_batch *)job;
    struct connecting *c = batch->connecting;
    struct ledger *ledger = c->ledger;
    ledger_job_back(ledger);
    c->jobs--;
    if (c->jobs == 0 && c->abandoned)
        connecting_free(c);
    else if (c->jobs == 0)
        c->stage = CONNECT_CHECKED;
    ledger_pump(ledger);
}

/* All batches are back. As in Bitcoin too many signature operations are named before a failed script; of
 * failed scripts the earliest transaction's counts, whatever order they came in. */
void connecting_conclude(struct connecting *c)
{
    if (c->why.kind != FAIL_NONE)
        return;
    const struct check_batch *worst = NULL;
    for (uint32_t i = 0; i < c->batch_count; i++) {
        c->sigop_cost += c->batches[i].sigop_cost;
        if (c->batches[i].why.kind != FAIL_NONE &&
            (worst == NULL || c->batches[i].failed_tx < worst->failed_tx))
            worst = &c->batches[i];
    }
    if (c->sigop_cost > (int64_t)c->ledger->chain->block_sigop_cost_max)
        fail_set(&c->why, FAIL_INVALID, "bad-blk-sigops",
            "signature operations cost %lld, allowed are %u", (long long)c->sigop_cost,
            (unsigned)c->ledger->chain->block_sigop_cost_max);
    else if (worst != NULL)
        c->why = worst->why;
}
