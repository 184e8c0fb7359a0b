/* Scripts: an input against the coin that it spends, with any flags. What passes must pass with fewer
 * flags too, for every flag is a soft fork or a rule of relay.
 *   0 flags u32 | 4 flags to take away u32 | 8 tx: compact size, bytes | then per input: value i64, script:
 *   compact size, bytes */
#include "coin/primitives/coin.h"
#include "coin/script/interpreter.h"
#include "coin/script/script.h"
#include "fuzz.h"

#define INPUTS_MAX 32
#define FLAGS_ALL ((SCRIPT_VERIFY_DISCOURAGE_UPGRADABLE_PUBKEYTYPE << 1) - 1)

/* Some flags mean nothing without others. */
static uint32_t sound(uint32_t flags)
{
    if (!(flags & SCRIPT_VERIFY_P2SH))
        flags &= ~(uint32_t)(SCRIPT_VERIFY_WITNESS | SCRIPT_VERIFY_CLEANSTACK);
    if (!(flags & SCRIPT_VERIFY_WITNESS))
        flags &= ~(uint32_t)(SCRIPT_VERIFY_CLEANSTACK | SCRIPT_VERIFY_TAPROOT);
    return flags;
}

static void try_scripts(struct span script)
{
    struct buf out;
    buf_init(&out, UINT32_MAX);
    script_to_asm(&out, script, true);
    (void)script_match(script);
    (void)script_sigops(script, true);
    (void)script_is_push_only(script);
    buf_clear(&out);
}

static void try_inputs(const struct tx *tx, const struct coin *coins, uint32_t flags, uint32_t fewer)
{
    struct sighash_pre pre;
    sighash_pre_init(&pre, tx, coins);
    for (uint32_t i = 0; i < tx->in_count; i++) {
        enum script_error e = script_verify_input(&pre, i, flags);
        FUZZ_HOLDS(e < SCRIPT_ERR_COUNT && script_error_name(e) != NULL);
        if (e == SCRIPT_OK)
            FUZZ_HOLDS(script_verify_input(&pre, i, fewer) == SCRIPT_OK);
        try_scripts(coins[i].script);
        try_scripts(tx->in[i].script_sig);
    }
    FUZZ_HOLDS(tx_sigop_cost(tx, coins, flags) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_b)
{
    struct coin coins[INPUTS_MAX];
    struct tx *tx = NULL;
    struct fail why;
    struct reader r;
    rd_init(&r, span_of(data, size_b));
    uint32_t flags = sound(rd_u32le(&r) & FLAGS_ALL), fewer = sound(flags & ~rd_u32le(&r));
    struct span raw = rd_string(&r, size_b);
    if (r.failed || !tx_decode(&tx, raw, &why))
        return 0;
    if (tx->in_count > 0 && tx->in_count <= INPUTS_MAX) {
        memset(coins, 0, sizeof coins);
        for (uint32_t i = 0; i < tx->in_count; i++) {
            coins[i].value_sat = rd_i64le(&r);
            coins[i].script = rd_string(&r, size_b);
        }
        if (!r.failed)
            try_inputs(tx, coins, flags, fewer);
    }
    tx_unref(tx);
    return 0;
}
