/* check_tx.c - what is true of a transaction by itself, and with the coins it spends. Order and strings of
 * the checks are Bitcoin's: clients match on the first one that fails. */
#include <stdlib.h>
#include <string.h>

#include <inttypes.h>

#include "coin/base/mem.h"
#include "coin/consensus/check.h"
#include "coin/primitives/tx.h"

#define WITNESS_SCALE 4 /* BIP141 */
#define COINBASE_SCRIPT_MIN_B 2
#define COINBASE_SCRIPT_MAX_B 100
#define DUPLICATES_BY_PAIRS_MAX 16 /* inputs: up to here comparing all pairs beats sorting */

static bool check_outputs(const struct chain *chain, const struct tx *tx, struct fail *why);
static bool check_distinct_inputs(const struct tx *tx, struct fail *why);
static int compare_outpoints(const void *a, const void *b);

bool check_tx(const struct chain *chain, const struct tx *tx, struct fail *why)
{
    if (tx->in_count == 0)
        return fail_set(why, FAIL_INVALID, "bad-txns-vin-empty", "no inputs");
    if (tx->out_count == 0)
        return fail_set(why, FAIL_INVALID, "bad-txns-vout-empty", "no outputs");
    if ((uint64_t)tx->stripped_size_b * WITNESS_SCALE > chain->block_weight_max_wu)
        return fail_set(why, FAIL_INVALID, "bad-txns-oversize", "%" PRIu32 " bytes without witness",
            tx->stripped_size_b);
    if (chain->bip54 && tx->stripped_size_b == MERKLE_PAIR_SIZE_B) /* CVE-2017-12842 */
        return fail_set(why, FAIL_INVALID, "bad-txns-64-byte", "64 bytes without witness look like two hashes");
    if (!check_outputs(chain, tx, why) || !check_distinct_inputs(tx, why))
        return false;
    if (tx_is_coinbase(tx)) {
        size_t size_b = tx->in[0].script_sig.size_b;
        if (size_b < COINBASE_SCRIPT_MIN_B || size_b > COINBASE_SCRIPT_MAX_B)
            return fail_set(why, FAIL_INVALID, "bad-cb-length", "coinbase script of %zu bytes", size_b);
        return true;
    }
    for (uint32_t i = 0; i < tx->in_count; i++) {
        if (outpoint_is_null(&tx->in[i].prevout))
            return fail_set(why, FAIL_INVALID, "bad-txns-prevout-null", "input %" PRIu32, i);
    }
    return true;
}

static bool check_outputs(const struct chain *chain, const struct tx *tx, struct fail *why)
{
    int64_t total_sat = 0;
    for (uint32_t i = 0; i < tx->out_count; i++) {
        int64_t sat = tx->out[i].value_sat;
        if (sat < 0)
            return fail_set(why, FAIL_INVALID, "bad-txns-vout-negative", "output %" PRIu32 ": %" PRId64,
                i, sat);
        if (sat > chain->max_money_sat)
            return fail_set(why, FAIL_INVALID, "bad-txns-vout-toolarge", "output %" PRIu32 ": %" PRId64,
                i, sat);
        if (!amount_add(&total_sat, sat, chain->max_money_sat)) /* CVE-2010-5139 */
            return fail_set(why, FAIL_INVALID, "bad-txns-txouttotal-toolarge", "up to output %" PRIu32, i);
    }
    return true;
}

/* CVE-2018-17144: one input spent twice by one transaction. */
static bool check_distinct_inputs(const struct tx *tx, struct fail *why)
{
    bool twice = false;
    if (tx->in_count <= DUPLICATES_BY_PAIRS_MAX) {
        for (uint32_t i = 1; i < tx->in_count; i++) {
            for (uint32_t j = 0; j < i; j++)
                twice |= outpoint_equal(&tx->in[i].prevout, &tx->in[j].prevout);
        }
    } else {
        const struct outpoint **sorted = mem_try_array(tx->in_count, sizeof *sorted);
        if (sorted == NULL)
            return fail_oom(why, "inputs to compare");
        for (uint32_t i = 0; i < tx->in_count; i++)
            sorted[i] = &tx->in[i].prevout;
        qsort(sorted, tx->in_count, sizeof *sorted, compare_outpoints);
        for (uint32_t i = 1; i < tx->in_count; i++)
            twice |= outpoint_equal(sorted[i - 1], sorted[i]);
        mem_free(sorted);
    }
    return !twice || fail_set(why, FAIL_INVALID, "bad-txns-inputs-duplicate", "an output is spent twice");
}

static int compare_outpoints(const void *a, const void *b)
{
    const struct outpoint *x = *(const struct outpoint *const *)a;
    const struct outpoint *y = *(const struct outpoint *const *)b;
    int order = memcmp(x->txid.b, y->txid.b, sizeof x->txid.b);
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

/* ---- with coins ---- */

bool check_tx_inputs(const struct chain *chain, const struct tx *tx, const struct coin *spent,
    int32_t height, int64_t *fee_sat, struct fail *why)
{
    int64_t in_sat = 0, out_sat = 0;
    uint32_t sigops = chain->bip54 ? tx_spending_sigops(tx, spent) : 0;
    if (sigops > BIP54_SIGOPS_MAX)
        return fail_set(why, FAIL_INVALID, "bad-txns-legacy-sigops", "%" PRIu32 " signature operations may run to "
            "spend its inputs", sigops);
    for (uint32_t i = 0; i < tx->in_count; i++) {
        if (spent[i].is_coinbase && (int64_t)height - spent[i].height < chain->coinbase_maturity)
            return fail_set(why, FAIL_INVALID, "bad-txns-premature-spend-of-coinbase",
                "tried to spend coinbase at depth %" PRId64, (int64_t)height - spent[i].height);
        if (!amount_add(&in_sat, spent[i].value_sat, chain->max_money_sat))
            return fail_set(why, FAIL_INVALID, "bad-txns-inputvalues-outofrange", "up to input %" PRIu32, i);
    }
    for (uint32_t i = 0; i < tx->out_count; i++) {
        if (!amount_add(&out_sat, tx->out[i].value_sat, chain->max_money_sat))
            return fail_set(why, FAIL_INVALID, "bad-txns-txouttotal-toolarge", "up to output %" PRIu32, i);
    }
    if (in_sat < out_sat)
        return fail_set(why, FAIL_INVALID, "bad-txns-in-belowout",
            "value in (%" PRId64 ") < value out (%" PRId64 ")", in_sat, out_sat);
    *fee_sat = in_sat - out_sat;
    if (!amount_in_range(*fee_sat, chain->max_money_sat))
        return fail_set(why, FAIL_INVALID, "bad-txns-fee-outofrange", "%" PRId64, *fee_sat);
    return true;
}

/* ---- locks ---- */

bool tx_is_final(const struct tx *tx, int32_t height, int64_t time_s)
{
    int64_t passed = tx->lock_time < LOCKTIME_THRESHOLD ? (int64_t)height : time_s;
    if (tx->lock_time == 0 || (int64_t)tx->lock_time < passed)
        return true;
    for (uint32_t i = 0; i < tx->in_count; i++) {
        if (tx->in[i].sequence != SEQUENCE_FINAL)
            return false;
    }
    return true; /* every input says that nLockTime does not count */
}

/* BIP68. */
struct sequence_lock tx_sequence_lock(const struct tx *tx, const struct coin *spent,
    const int64_t *prev_mtp_s, bool enforce)
{
    struct sequence_lock lock = { .height = -1, .time_s = -1 };
    if (!enforce || tx->version < 2)
        return lock;
    for (uint32_t i = 0; i < tx->in_count; i++) {
        uint32_t sequence = tx->in[i].sequence;
        int32_t value = (int32_t)(sequence & SEQUENCE_LOCKTIME_MASK);
        if (sequence & SEQUENCE_LOCKTIME_DISABLE)
            continue;
        /* minus one: nLockTime's meaning, "the last block that is too early" */
        if (sequence & SEQUENCE_LOCKTIME_TYPE) {
            int64_t time_s = prev_mtp_s[i] + ((int64_t)value << SEQUENCE_LOCKTIME_GRANULARITY) - 1;
            lock.time_s = time_s > lock.time_s ? time_s : lock.time_s;
        } else {
            int64_t height = (int64_t)spent[i].height + value - 1;
            if (height > INT32_MAX)
                height = INT32_MAX;
            lock.height = height > lock.height ? (int32_t)height : lock.height;
        }
    }
    return lock;
}

bool tx_in_needs_mtp(const struct tx *tx, uint32_t i)
{
    return tx->version >= 2 && !(tx->in[i].sequence & SEQUENCE_LOCKTIME_DISABLE) &&
           (tx->in[i].sequence & SEQUENCE_LOCKTIME_TYPE);
}
