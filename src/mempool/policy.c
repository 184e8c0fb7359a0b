/* Policy: what we relay and mine beyond what consensus asks. Limits, order of the checks and strings are
 * Bitcoin's, since wallets match on the first one that fails. Pure: any thread. */
#include <inttypes.h>
#include <string.h>

#include "coin/script/script.h"
#include "internal.h"

#define TX_VERSION_MIN 1
#define TX_VERSION_MAX 3
#define TX_WEIGHT_MAX_WU 400000
#define SCRIPT_SIG_MAX_B 1650 /* fits 15-of-15 P2SH multisig with compressed keys */
#define MULTISIG_KEYS_MAX 3 /* bare */
#define P2SH_SIGOPS_MAX 15
#define P2WSH_SCRIPT_MAX_B 3600
#define P2WSH_ITEMS_MAX 100
#define WITNESS_ITEM_MAX_B 80 /* of P2WSH and tapscript */
#define ANNEX_TAG 0x50
#define TAPSCRIPT_LEAF 0xc0
#define TAPROOT_LEAF_MASK 0xfe
#define SPEND_SIZE_B 148 /* an input that spends P2PKH: 32 + 4 + 1 + 107 + 4 */
#define SPEND_WITNESS_SIZE_B                                                                       \
    67 /* the same with its script in the witness: 32 + 4 + 1 + 107 / 4 + 4 */
#define VALUE_SIZE_B 8

__extension__ typedef __int128 wide;

static bool check_output(const struct mempool_options *options, const struct tx_out *out,
    uint32_t i, uint32_t *carrier_b, struct fail *why);
static bool is_standard_output(const struct script_match *match);
static bool push_result(struct span script_sig, struct span *top);
static bool check_input(
    const struct tx_in *in, const struct coin *spent, uint32_t i, struct fail *why);
static bool is_witness_standard(const struct tx_in *in, struct span spent_script);
static bool is_taproot_standard(const struct tx_in *in);

int64_t fee_of(int64_t sat_kvb, uint64_t vsize_vb)
{
    wide product = (wide)sat_kvb * (wide)vsize_vb;
    wide fee = product > 0 ? (product + 999) / 1000 : product / 1000;
    return fee > INT64_MAX ? INT64_MAX : fee < INT64_MIN ? INT64_MIN : (int64_t)fee;
}

int64_t policy_dust_sat(struct span script, int64_t dust_relay_sat_kvb)
{
    uint32_t version;
    struct span program;
    if (script_is_unspendable(script))
        return 0;
    size_t count_b = script.size_b < 0xfd ? 1 : script.size_b <= 0xffff ? 3 : 5;
    bool witness = script_witness_program(script, &version, &program);
    return fee_of(dust_relay_sat_kvb,
        VALUE_SIZE_B + count_b + script.size_b + (witness ? SPEND_WITNESS_SIZE_B : SPEND_SIZE_B));
}

bool policy_is_dust(const struct tx_out *out, int64_t dust_relay_sat_kvb)
{
    return out->value_sat < policy_dust_sat(out->script, dust_relay_sat_kvb);
}

uint32_t policy_dust_count(const struct tx *tx, int64_t dust_relay_sat_kvb)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < tx->out_count; i++)
        count += policy_is_dust(&tx->out[i], dust_relay_sat_kvb);
    return count;
}

bool policy_check_standard(
    const struct mempool_options *options, const struct tx *tx, struct fail *why)
{
    if (tx->version < TX_VERSION_MIN || tx->version > TX_VERSION_MAX)
        return fail_set(why, FAIL_POLICY, "version", "version %" PRIu32, tx->version);
    /* Huge transactions cost a sender as much to make as us to check: quadratic for legacy inputs. */
    if (tx_weight_wu(tx) > TX_WEIGHT_MAX_WU)
        return fail_set(why, FAIL_POLICY, "tx-size", "%" PRIu32 " weight units", tx_weight_wu(tx));
    for (uint32_t i = 0; i < tx->in_count; i++) {
        struct span script_sig = tx->in[i].script_sig;
        if (script_sig.size_b > SCRIPT_SIG_MAX_B)
            return fail_set(why, FAIL_POLICY, "scriptsig-size", "input %" PRIu32 ": %zu bytes", i,
                script_sig.size_b);
        if (!script_is_push_only(script_sig))
            return fail_set(why, FAIL_POLICY, "scriptsig-not-pushonly", "input %" PRIu32, i);
    }
    uint32_t carrier_b = options->datacarrier_size_b;
    for (uint32_t i = 0; i < tx->out_count; i++)
        if (!check_output(options, &tx->out[i], i, &carrier_b, why))
            return false;
    if (policy_dust_count(tx, options->dust_relay_sat_kvb) > DUST_OUTPUTS_MAX)
        return fail_set(why, FAIL_POLICY, "dust", "%" PRIu32 " outputs are dust",
            policy_dust_count(tx, options->dust_relay_sat_kvb));
    return true;
}

static bool check_output(const struct mempool_options *options, const struct tx_out *out,
    uint32_t i, uint32_t *carrier_b, struct fail *why)
{
    struct script_match match = script_match(out->script);
    if (!is_standard_output(&match))
        return fail_set(why, FAIL_POLICY, "scriptpubkey", "output %" PRIu32, i);
    if (match.kind == SCRIPT_NULLDATA) {
        if (out->script.size_b > *carrier_b)
            return fail_set(why, FAIL_POLICY, "datacarrier", "output %" PRIu32 ": %zu bytes", i,
                out->script.size_b);
        *carrier_b -= (uint32_t)out->script.size_b;
    } else if (match.kind == SCRIPT_MULTISIG && !options->permit_bare_multisig) {
        return fail_set(why, FAIL_POLICY, "bare-multisig", "output %" PRIu32, i);
    }
    return true;
}

static bool is_standard_output(const struct script_match *match)
{
    if (match->kind == SCRIPT_MULTISIG)
        return match->keys >= 1 && match->keys <= MULTISIG_KEYS_MAX && match->required >= 1 &&
               match->required <= match->keys;
    return match->kind != SCRIPT_NONSTANDARD;
}

/* ---- inputs ---- */
bool policy_check_inputs(const struct tx *tx, const struct coin *spent, struct fail *why)
{
    uint32_t sigops = tx_spending_sigops(tx, spent);
    if (sigops > BIP54_SIGOPS_MAX)
        return fail_set(why, FAIL_POLICY, "bad-txns-nonstandard-inputs",
            "non-witness sigops exceed bip54 limit: %" PRIu32, sigops);
    for (uint32_t i = 0; i < tx->in_count; i++)
        if (!check_input(&tx->in[i], &spent[i], i, why))
            return false;
    return true;
}

static bool check_input(
    const struct tx_in *in, const struct coin *spent, uint32_t i, struct fail *why)
{
    struct script_match match = script_match(spent->script);
    struct span redeem;
    if (match.kind == SCRIPT_NONSTANDARD)
        return fail_set(
            why, FAIL_POLICY, "bad-txns-nonstandard-inputs", "input %" PRIu32 " script unknown", i);
    if (match.kind == SCRIPT_WITNESS_UNKNOWN) /* a later soft fork may give it a meaning */
        return fail_set(why, FAIL_POLICY, "bad-txns-nonstandard-inputs",
            "input %" PRIu32 " witness program is undefined", i);
    if (match.kind != SCRIPT_SCRIPTHASH)
        return true;
    if (!push_result(in->script_sig, &redeem))
        return fail_set(why, FAIL_POLICY, "bad-txns-nonstandard-inputs",
            "input %" PRIu32 ": no redeem script is pushed", i);
    uint32_t sigops = script_sigops(redeem, true);
    if (sigops > P2SH_SIGOPS_MAX)
        return fail_set(why, FAIL_POLICY, "bad-txns-nonstandard-inputs",
            "p2sh redeemscript sigops exceed limit (input %" PRIu32 ": %" PRIu32 " > %d)", i,
            sigops, P2SH_SIGOPS_MAX);
    return true;
}

/* Runs a scriptSig that only pushes: false when it does not, or when the pushes break the interpreter's
 * limits. OP_1 and its like give an empty top here: no script of one byte matters to the callers. */
static bool push_result(struct span script_sig, struct span *top)
{
    struct reader r;
    struct span push;
    uint8_t op;
    uint32_t depth = 0;
    rd_init(&r, script_sig);
    while (script_next(&r, &op, &push)) {
        if (op > OP_16 || op == OP_RESERVED || push.size_b > SCRIPT_ELEMENT_MAX_B)
            return false;
        *top = push;
        depth++;
    }
    return !r.failed && depth > 0 && depth <= SCRIPT_STACK_MAX;
}

/* ---- witness ---- */
bool policy_check_witness(const struct tx *tx, const struct coin *spent, struct fail *why)
{
    for (uint32_t i = 0; i < tx->in_count; i++)
        if (tx->in[i].witness_count > 0 && !is_witness_standard(&tx->in[i], spent[i].script))
            return fail_set(why, FAIL_POLICY, "bad-witness-nonstandard", "input %" PRIu32, i);
    return true;
}

static bool is_witness_standard(const struct tx_in *in, struct span spent_script)
{
    uint32_t version;
    struct span program, script = spent_script;
    if (script_is_anchor(spent_script)) /* anybody may stuff it */
        return false;
    bool p2sh = script_is_p2sh(spent_script);
    if (p2sh && !push_result(in->script_sig, &script))
        return false;
    if (!script_witness_program(script, &version, &program))
        return false;
    if (version == 0 && program.size_b == 32) {
        uint32_t items = in->witness_count - 1;
        if (in->witness[items].size_b > P2WSH_SCRIPT_MAX_B || items > P2WSH_ITEMS_MAX)
            return false;
        for (uint32_t i = 0; i < items; i++)
            if (in->witness[i].size_b > WITNESS_ITEM_MAX_B)
                return false;
    }
    if (version == 1 && program.size_b == 32 && !p2sh)
        return is_taproot_standard(in);
    return true;
}

static bool is_taproot_standard(const struct tx_in *in)
{
    uint32_t count = in->witness_count;
    if (count < 2) /* key path */
        return true;
    struct span control = in->witness[count - 1];
    if (control.size_b == 0 || control.data[0] == ANNEX_TAG) /* an annex has no meaning yet */
        return false;
    if ((control.data[0] & TAPROOT_LEAF_MASK) != TAPSCRIPT_LEAF)
        return true;
    for (uint32_t i = 0; i + 2 < count; i++)
        if (in->witness[i].size_b > WITNESS_ITEM_MAX_B)
            return false;
    return true;
}

bool policy_is_stripped(const struct tx *tx, const struct coin *spent)
{
    uint32_t version;
    struct span program, script;
    if (tx->has_witness)
        return false;
    for (uint32_t i = 0; i < tx->in_count; i++) {
        script = spent[i].script;
        if (script_is_p2sh(script) && !push_result(tx->in[i].script_sig, &script))
            continue;
        if (script_witness_program(script, &version, &program) && !script_is_anchor(script))
            return true;
    }
    return false;
}
