/* A candidate's way from its offer to its verdict:
 *
 *   offer -> job: checks without context -> resolve (final? known? inputs from the pool and the ledger)
 *         -> job: inputs by policy, signature operations -> judge -> job: scripts -> judge again -> commit
 *
 * Each arrow ends in a job or a coins request, so a verdict is never called from inside an offer. A step
 * that can go on puts the candidate on the ready list; candidates_pump is the only place that takes steps,
 * so a chain of waiting children is a loop, not a recursion. When the tip has moved since the coins were
 * read, or a parent has left the pool, the candidate starts again at resolve. A candidate whose parent is
 * being judged waits for that verdict: a parent in flight is pending, not missing. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "coin/base/log.h"
#include "internal.h"

#define TX_STRIPPED_SIZE_MIN_B 65 /* CVE-2017-12842: 64 bytes look like a merkle node */

static void candidate_run(
    struct candidate *c, void (*run)(struct job *job), void (*step)(struct candidate *c));
static void job_done(struct job *job);
static void check_run(struct job *job);
static bool check_alone(struct candidate *c);
static void step_checked(struct candidate *c);
static bool resolve_inputs(struct candidate *c);
static void ask_coins(struct candidate *c, void (*step)(struct candidate *c));
static void coins_done(struct coins_request *request, const struct fail *why);
static void step_gathered(struct candidate *c);
static bool wait_for_parent(struct candidate *c, const bool *missing);
static void ask_known(struct candidate *c);
static void step_known(struct candidate *c);
static bool check_with_coins(struct candidate *c);
static bool check_sequence_locks(struct candidate *c, const struct block_index *tip);
static void inputs_run(struct job *job);
static void step_inputs(struct candidate *c);
static void scripts_done(struct job *job);
static void step_scripts(struct candidate *c);
static void step_commit(struct candidate *c);
static void commit(struct candidate *c, struct pool_change *change, struct mempool_entry *entry);
static struct candidate *candidate_of(struct coins_request *request);

bool mempool_offer(struct mempool *pool, struct tx *tx, unsigned flags, int64_t max_feerate_sat_kvb,
    struct tx_verdict verdict)
{
    return candidate_offer(
        pool, tx, flags, max_feerate_sat_kvb, env_wall_s(pool->env), false, false, verdict);
}

bool mempool_is_idle(const struct mempool *pool)
{
    return pool->candidate_count == 0 && pool->blocks == NULL && pool->txs == NULL;
}

bool candidates_have_room(const struct mempool *pool, size_t size_b)
{
    return pool->candidate_count < CANDIDATES_MAX &&
           (pool->candidate_count == 0 || pool->candidates_b + size_b <= CANDIDATES_MAX_B);
}

bool candidate_offer(struct mempool *pool, struct tx *tx, unsigned flags,
    int64_t max_feerate_sat_kvb, int64_t time_s, bool unbroadcast, bool is_fed,
    struct tx_verdict verdict)
{
    struct candidate *c = candidate_new(pool, tx, flags, max_feerate_sat_kvb, time_s, unbroadcast, is_fed, verdict);
    if (c != NULL)
        candidate_begin(c);
    return c != NULL;
}

struct candidate *candidate_new(struct mempool *pool, struct tx *tx, unsigned flags, int64_t max_feerate_sat_kvb,
    int64_t time_s, bool unbroadcast, bool is_fed, struct tx_verdict verdict)
{
    struct fail why;
    struct tx *own = tx;
    if (!candidates_have_room(pool, tx->size_b))
        return NULL;
    uint32_t *same = table_put(&pool->in_flight, &tx->txid, NULL);
    if (same == NULL)
        return NULL;
    /* One that lies in a block would keep all of the block alive. */
    if (tx->block != NULL ? !tx_decode(&own, tx->raw, &why) : tx_ref(tx) == NULL) {
        if (*same == 0)
            table_remove(&pool->in_flight, &tx->txid);
        return NULL;
    }
    ++*same;
    struct candidate *c = mem_new(sizeof *c);
    c->pool = pool;
    c->tx = own;
    c->flags = flags;
    c->max_feerate_sat_kvb = max_feerate_sat_kvb;
    c->verdict = verdict;
    c->time_s = time_s;
    c->unbroadcast = unbroadcast;
    c->is_fed = is_fed;
    arena_init(&c->arena, 0); /* bounded by the transaction's inputs */
    c->prev = pool->last;
    if (pool->last != NULL)
        pool->last->next = c;
    else
        pool->first = c;
    pool->last = c;
    pool->candidate_count++;
    pool->candidates_b += own->size_b;
    return c;
}

void candidate_begin(struct candidate *c)
{
    candidate_run(c, check_run, step_checked);
}

/* ---- the machine ---- */
void candidate_ready(struct candidate *c, void (*step)(struct candidate *c))
{
    struct mempool *pool = c->pool;
    c->wait = WAIT_NOTHING;
    c->step = step;
    c->next_ready = NULL;
    if (pool->ready_last != NULL)
        pool->ready_last->next_ready = c;
    else
        pool->ready_first = c;
    pool->ready_last = c;
}

void candidates_pump(struct mempool *pool)
{
    if (pool->pumping)
        return;
    pool->pumping = true;
    while (pool->ready_first != NULL) {
        struct candidate *c = pool->ready_first;
        pool->ready_first = c->next_ready;
        if (pool->ready_first == NULL)
            pool->ready_last = NULL;
        c->step(c);
        if (pool->ready_first == NULL)
            feed(pool);
    }
    feed(pool);
    pool->pumping = false;
}

void candidates_retry(struct mempool *pool)
{
    for (struct candidate *c = pool->first; c != NULL; c = c->next)
        if (c->wait == WAIT_COINS_ROOM)
            candidate_ready(c, step_resolve);
}

static void candidate_run(
    struct candidate *c, void (*run)(struct job *job), void (*step)(struct candidate *c))
{
    c->wait = WAIT_JOB;
    c->step = step;
    c->check.job = (struct job){.run = run, .done = job_done, .lane = JOB_VERIFY};
    pool_run_job(c->pool, &c->check.job);
}

static void job_done(struct job *job)
{
    struct candidate *c = (struct candidate *)job;
    pool_job_back(c->pool);
    candidate_ready(c, c->step);
    candidates_pump(c->pool);
}

static struct candidate *candidate_of(struct coins_request *request)
{
    return (struct candidate *)((uint8_t *)request - offsetof(struct candidate, request));
}

void candidate_free(struct candidate *c)
{
    struct mempool *pool = c->pool;
    pair_unlink(c);
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        pool->first = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    else
        pool->last = c->prev;
    pool->candidate_count--;
    pool->candidates_b -= c->tx->size_b;
    pool->waiting_count -= c->wait == WAIT_PARENT;
    uint32_t *same = table_find(&pool->in_flight, &c->tx->txid);
    if (same != NULL && --*same == 0)
        table_remove(&pool->in_flight, &c->tx->txid);
    arena_clear(&c->arena);
    arena_clear(&c->request.arena);
    tx_unref(c->tx);
    mem_free(c);
}

void candidates_free(struct mempool *pool)
{
    for (struct candidate *c = pool->first; c != NULL; c = c->next)
        c->parent = c->child = NULL;
    while (pool->first != NULL)
        candidate_free(pool->first);
    pool->ready_first = pool->ready_last = NULL;
}

/* ---- checks without context (worker) ---- */
static void check_run(struct job *job)
{
    struct candidate *c = (struct candidate *)job;
    if (check_alone(c))
        fail_clear(&c->why);
}

static bool check_alone(struct candidate *c)
{
    const struct mempool_options *options = &c->pool->options; /* immutable */
    if (!check_tx(c->pool->chain, c->tx, &c->why))
        return false;
    if (tx_is_coinbase(c->tx))
        return fail_set(&c->why, FAIL_INVALID, "coinbase", "a coinbase is only valid in a block");
    if (options->require_standard && !policy_check_standard(options, c->tx, &c->why))
        return false;
    if (c->tx->stripped_size_b < TX_STRIPPED_SIZE_MIN_B)
        return fail_set(&c->why, FAIL_POLICY, "tx-size-small", "%" PRIu32 " bytes without witness",
            c->tx->stripped_size_b);
    return true;
}

static void step_checked(struct candidate *c)
{
    if (c->why.kind != FAIL_NONE)
        step_finish(c);
    else
        step_resolve(c);
}

/* ---- inputs ---- */
void step_resolve(struct candidate *c)
{
    const struct mempool *pool = c->pool;
    const struct block_index *tip = ledger_tip(pool->ledger);
    arena_clear(&c->arena);
    arena_clear(&c->request.arena);
    c->tip_sequence = ledger_tip_sequence(pool->ledger);
    c->too_cheap = false;
    if (++c->tries > CANDIDATE_TRIES_MAX)
        fail_set(&c->why, FAIL_NO_ROOM, "busy", "the chain moved %d times meanwhile",
            CANDIDATE_TRIES_MAX);
    else if (!tx_is_final(c->tx, tip->height + 1, index_median_time_past_s(tip))) /* BIP113 */
        fail_set(&c->why, FAIL_POLICY, "non-final", "locked until %" PRIu32, c->tx->lock_time);
    else if (judge_duplicate(c) && !resolve_inputs(c))
        fail_oom(&c->why, "inputs");
    if (c->why.kind != FAIL_NONE)
        step_finish(c);
    else if (c->asked_count > 0)
        ask_coins(c, step_gathered);
    else
        step_gathered(c);
}

static bool resolve_inputs(struct candidate *c)
{
    uint32_t count = c->tx->in_count;
    int32_t height = ledger_tip(c->pool->ledger)->height;
    c->spent = arena_array(&c->arena, count, sizeof *c->spent);
    c->from_pool = arena_array(&c->arena, count, sizeof *c->from_pool);
    c->asked = arena_array(&c->arena, count, sizeof *c->asked);
    c->asked_for = arena_array(&c->arena, count, sizeof *c->asked_for);
    c->request.coins = arena_array(&c->arena, count, sizeof *c->request.coins);
    c->request.found = arena_array(&c->arena, count, sizeof *c->request.found);
    if (c->spent == NULL || c->from_pool == NULL || c->asked == NULL || c->asked_for == NULL ||
        c->request.coins == NULL || c->request.found == NULL)
        return false;
    c->asked_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct coin *coin = &c->spent[i];
        c->from_pool[i] = mempool_coin(c->pool, &c->tx->in[i].prevout, coin) || pair_coin(c, &c->tx->in[i].prevout, coin);
        if (!c->from_pool[i]) {
            c->asked_for[c->asked_count] = i;
            c->asked[c->asked_count++] = c->tx->in[i].prevout;
            continue;
        }
        /* The worker reads it while its transaction may leave the pool. */
        uint8_t *script = arena_new(&c->arena, coin->script.size_b);
        if (script == NULL)
            return false;
        if (coin->script.size_b > 0)
            memcpy(script, coin->script.data, coin->script.size_b);
        coin->script.data = script;
        coin->height = height + 1; /* the earliest block it can be in */
    }
    return true;
}

static void ask_coins(struct candidate *c, void (*step)(struct candidate *c))
{
    c->request.outpoints = c->asked;
    c->request.count = c->asked_count;
    c->request.done = coins_done;
    c->step = step;
    c->wait = WAIT_COINS;
    switch (ledger_coins(c->pool->ledger, &c->request)) {
    case COINS_READY:
        c->wait = WAIT_NOTHING;
        step(c);
        break;
    case COINS_PENDING:
        break;
    case COINS_REFUSED:
        c->wait = WAIT_COINS_ROOM; /* the next tick, or the next answer, begins again */
        c->tries--;
        break;
    }
}

static void coins_done(struct coins_request *request, const struct fail *why)
{
    struct candidate *c = candidate_of(request);
    if (why->kind != FAIL_NONE) {
        c->why = *why;
        candidate_ready(c, step_finish);
    } else {
        candidate_ready(c, c->step);
    }
    candidates_retry(c->pool);
    candidates_pump(c->pool);
}

static void step_gathered(struct candidate *c)
{
    uint32_t missing = 0;
    if (c->asked_count > 0)
        c->tip_sequence = c->request.tip_sequence;
    for (uint32_t i = 0; i < c->asked_count; i++) {
        if (c->request.found[i])
            c->spent[c->asked_for[i]] = c->request.coins[i];
        else
            missing++;
    }
    if (missing > 0) {
        if (!wait_for_parent(c, c->request.found))
            ask_known(c);
        return;
    }
    if (c->tip_sequence != ledger_tip_sequence(c->pool->ledger)) {
        step_resolve(c);
    } else if (!check_with_coins(c)) {
        step_finish(c);
    } else {
        candidate_run(c, inputs_run, step_inputs);
    }
}

/* A missing coin may be an output of what is being judged now, or has come into the pool meanwhile. */
static bool wait_for_parent(struct candidate *c, const bool *found)
{
    struct mempool *pool = c->pool;
    for (uint32_t i = 0; i < c->asked_count; i++) {
        struct coin coin;
        const struct outpoint *prevout = &c->asked[i];
        if (found[i])
            continue;
        if (mempool_coin(pool, prevout, &coin) || pair_coin(c, prevout, &coin)) {
            step_resolve(c);
            return true;
        }
        if (pair_is_parked(c) || table_find(&pool->in_flight, &prevout->txid) == NULL)
            continue; /* whoever is waited for by its parent waits for nobody */
        candidate_await(c, &prevout->txid);
        return true;
    }
    return false;
}

void candidate_await(struct candidate *c, const struct txid *parent)
{
    c->awaited = *parent;
    c->wait = WAIT_PARENT;
    c->pool->waiting_count++;
}

/* Inputs are missing: because it is in the chain already? */
static void ask_known(struct candidate *c)
{
    char hex[ID_HEX_SIZE_B] = "";
    uint32_t index = 0;
    for (uint32_t i = c->asked_count; i-- > 0;)
        if (!c->request.found[i]) {
            hash_to_hex(hex, c->asked[i].txid.b);
            index = c->asked[i].index;
        }
    arena_clear(&c->arena);
    arena_clear(&c->request.arena);
    uint32_t count = c->tx->out_count < KNOWN_OUTPUTS_MAX ? c->tx->out_count : KNOWN_OUTPUTS_MAX;
    c->asked = arena_array(&c->arena, count, sizeof *c->asked);
    c->request.coins = arena_array(&c->arena, count, sizeof *c->request.coins);
    c->request.found = arena_array(&c->arena, count, sizeof *c->request.found);
    fail_set(&c->why, FAIL_TOO_EARLY, "bad-txns-inputs-missingorspent",
        "%s:%" PRIu32 " is unknown or spent", hex, index);
    if (c->asked == NULL || c->request.coins == NULL || c->request.found == NULL) {
        step_finish(c);
        return;
    }
    c->asked_count = count;
    for (uint32_t i = 0; i < count; i++)
        c->asked[i] = (struct outpoint){c->tx->txid, i};
    ask_coins(c, step_known);
}

static void step_known(struct candidate *c)
{
    for (uint32_t i = 0; i < c->asked_count; i++)
        if (c->request.found[i]) {
            fail_set(&c->why, FAIL_POLICY, "txn-already-known", "its outputs are in the chain");
            break;
        }
    step_finish(c);
}

/* ---- with coins ---- */
static bool check_with_coins(struct candidate *c)
{
    const struct mempool *pool = c->pool;
    const struct block_index *tip = ledger_tip(pool->ledger);
    c->coinbase_height = -1;
    for (uint32_t i = 0; i < c->tx->in_count; i++)
        if (c->spent[i].is_coinbase && c->spent[i].height > c->coinbase_height)
            c->coinbase_height = c->spent[i].height;
    if (!check_sequence_locks(c, tip))
        return false;
    if (check_tx_inputs(pool->chain, c->tx, c->spent, tip->height + 1, &c->fee_sat, &c->why))
        return true;
    if (strcmp(c->why.code, "bad-txns-premature-spend-of-coinbase") == 0)
        c->why.kind = FAIL_POLICY; /* it will be fine: its sender has only seen more blocks */
    return false;
}

static bool check_sequence_locks(struct candidate *c, const struct block_index *tip)
{
    int64_t *prev_mtp_s = arena_array(&c->arena, c->tx->in_count, sizeof *prev_mtp_s);
    if (prev_mtp_s == NULL)
        return fail_oom(&c->why, "sequence locks");
    for (uint32_t i = 0; i < c->tx->in_count; i++) {
        if (!tx_in_needs_mtp(c->tx, i))
            continue;
        int32_t height = c->spent[i].height > 0 ? c->spent[i].height - 1 : 0;
        const struct block_index *before = ledger_at(c->pool->ledger, height);
        prev_mtp_s[i] = index_median_time_past_s(before != NULL ? before : tip);
    }
    c->lock = tx_sequence_lock(c->tx, c->spent, prev_mtp_s, true);
    return lock_is_passed(c->pool, &c->lock) ||
           fail_set(&c->why, FAIL_POLICY, "non-BIP68-final",
               "locked until height %" PRId32 ", time %" PRId64, c->lock.height + 1,
               c->lock.time_s + 1);
}

bool lock_is_passed(const struct mempool *pool, const struct sequence_lock *lock)
{
    const struct block_index *tip = ledger_tip(pool->ledger);
    return lock->height < tip->height + 1 && lock->time_s < index_median_time_past_s(tip);
}

/* Worker: what may take long for a large transaction. */
static void inputs_run(struct job *job)
{
    struct candidate *c = (struct candidate *)job;
    const struct mempool_options *options = &c->pool->options;
    if (options->require_standard && (!policy_check_inputs(c->tx, c->spent, &c->why) ||
                                         !policy_check_witness(c->tx, c->spent, &c->why)))
        return;
    c->sigop_cost = tx_sigop_cost(c->tx, c->spent, SCRIPT_FLAGS_STANDARD);
    uint64_t weight_wu = tx_weight_wu(c->tx),
             sigop_wu = (uint64_t)c->sigop_cost * options->bytes_per_sigop;
    if (sigop_wu > weight_wu)
        weight_wu = sigop_wu;
    c->adjusted_wu = weight_wu < UINT32_MAX ? (uint32_t)weight_wu : UINT32_MAX;
    c->vsize_vb = (uint32_t)(((uint64_t)c->adjusted_wu + WITNESS_SCALE - 1) / WITNESS_SCALE);
}

static void step_inputs(struct candidate *c)
{
    struct pool_change change;
    struct mempool_entry *entry;
    if (c->why.kind != FAIL_NONE || (pair_is_parked(c) && !pair_pays(c))) {
        step_finish(c);
        return;
    }
    switch (pair_is_parked(c) ? JUDGE_LATER : judge(c, &change, &entry)) {
    case JUDGE_PASS:
        change_clear(&change);
        entry_free(entry);
        break;
    case JUDGE_REFUSE:
        if (!pair_may_park(c)) {
            step_finish(c);
            return;
        }
        c->too_cheap = true;
        c->short_of = c->why;
        fail_clear(&c->why);
        break;
    case JUDGE_REDO:
        step_resolve(c);
        return;
    case JUDGE_LATER: /* its parent is not in the pool yet */
        break;
    }
    if (ledger_verdict_known(c->pool->ledger, &c->tx->wtxid)) {
        step_commit(c);
        return;
    }
    c->wait = WAIT_JOB;
    script_check_init(&c->check, c->tx, c->spent, SCRIPT_FLAGS_STANDARD, scripts_done);
    pool_run_job(c->pool, &c->check.job);
}

static void scripts_done(struct job *job)
{
    struct candidate *c = (struct candidate *)job;
    pool_job_back(c->pool);
    candidate_ready(c, step_scripts);
    candidates_pump(c->pool);
}

static void step_scripts(struct candidate *c)
{
    if (c->check.ok) {
        ledger_verdict_add(c->pool->ledger, &c->tx->wtxid);
        step_commit(c);
        return;
    }
    char code[FAIL_CODE_SIZE_B], spending[ID_HEX_SIZE_B], id[ID_HEX_SIZE_B], wtxid[ID_HEX_SIZE_B];
    uint32_t i = c->check.failed_input;
    const struct outpoint *prevout = &c->tx->in[i].prevout;
    snprintf(code, sizeof code, "mempool-script-verify-flag-failed (%s)",
        script_error_text((enum script_error)c->check.error));
    hash_to_hex(id, c->tx->txid.b);
    hash_to_hex(wtxid, c->tx->wtxid.b);
    hash_to_hex(spending, prevout->txid.b);
    fail_set(&c->why, policy_is_stripped(c->tx, c->spent) ? FAIL_MUTATED : FAIL_POLICY, code,
        "input %" PRIu32 " of %s (wtxid %s), spending %s:%" PRIu32, i, id, wtxid, spending,
        prevout->index);
    step_finish(c);
}

/* ---- commit ---- */
static void step_commit(struct candidate *c)
{
    struct pool_change change;
    struct mempool_entry *entry;
    if (c->tip_sequence != ledger_tip_sequence(c->pool->ledger)) {
        step_resolve(c);
        return;
    }
    if (c->too_cheap && c->child != NULL) {
        pair_park(c);
        return;
    }
    if (pair_is_parked(c)) {
        pair_commit(c);
        return;
    }
    switch (judge(c, &change, &entry)) {
    case JUDGE_PASS:
        commit(c, &change, entry);
        break;
    case JUDGE_REFUSE:
        step_finish(c);
        break;
    case JUDGE_REDO:
        step_resolve(c);
        break;
    case JUDGE_LATER:
        break;
    }
}

static void commit(struct candidate *c, struct pool_change *change, struct mempool_entry *entry)
{
    struct mempool *pool = c->pool;
    int64_t fee_max_sat = fee_of(c->max_feerate_sat_kvb, tx_vsize_b(c->tx));
    bool too_dear = c->max_feerate_sat_kvb > 0 && c->fee_sat > fee_max_sat;
    bool test = (c->flags & MEMPOOL_TEST_ONLY) != 0;
    if (too_dear)
        fail_set(&c->why, FAIL_POLICY, "max-fee-exceeded", "fee %" PRId64 " > %" PRId64, c->fee_sat,
            fee_max_sat);
    if (too_dear || test || !change_commit(change, pool, entry)) {
        if (!too_dear && !test)
            fail_oom(&c->why, "mempool");
        change_clear(change);
        candidate_finish(c, test && !too_dear ? entry : NULL);
        entry_free(entry);
        return;
    }
    uint64_t sequence = entry->sequence;
    pool_expire(pool, EXPIRY_SLICE_COMMIT);
    pool_trim(pool);
    candidate_finish(c, candidate_settle(c, entry, sequence));
}

const struct mempool_entry *candidate_settle(struct candidate *c, const struct mempool_entry *entry, uint64_t sequence)
{
    if (pool_find(c->pool, &c->tx->txid) != entry) {
        fail_set(&c->why, FAIL_POLICY, "mempool full", "all that is there pays more per byte");
        return NULL;
    }
    pool_tell(c->pool, MEMPOOL_ADDED, MEMPOOL_EVICTED, entry, sequence);
    return entry;
}

void step_finish(struct candidate *c)
{
    candidate_finish(c, mempool_find_wtxid(c->pool, &c->tx->wtxid));
}

void candidate_finish(struct candidate *c, const struct mempool_entry *entry)
{
    struct mempool *pool = c->pool;
    struct tx_verdict verdict = c->verdict;
    struct tx *tx = tx_ref(c->tx);
    struct fail why = c->why;
    pool->feed_in_flight -= c->is_fed;
    if (why.kind != FAIL_NONE)
        log_debug(LOG_MEMPOOLREJ, "%s was not accepted: %s, %s", hash_show(tx->txid.b), why.code,
            why.detail);
    candidate_free(c);
    wake_children(pool, &tx->txid);
    verdict.fn(verdict.ctx, tx, entry, &why);
    tx_unref(tx);
}

void wake_children(struct mempool *pool, const struct txid *id)
{
    if (pool->waiting_count == 0)
        return;
    for (struct candidate *c = pool->first; c != NULL; c = c->next)
        if (c->wait == WAIT_PARENT && txid_equal(&c->awaited, id)) {
            pool->waiting_count--;
            candidate_ready(c, step_resolve);
        }
}
