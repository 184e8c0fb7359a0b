/* sigops.c - counts signature operations, the measure that bounds what a block costs to verify. Counting is
 * by reading, not by running: what Satoshi's code counted once is consensus, opcodes in dead branches and
 * behind truncated pushes included and excluded exactly so. BIP141 weighs: legacy and P2SH count four
 * times, witness once; tapscript has its own budget and counts nothing here. */
#include "coin/primitives/tx.h"
#include "coin/script/interpreter.h"
#include "coin/script/script.h"

#define SIGOP_LEGACY_COST 4

static bool last_push(struct span script_sig, struct span *out);
static uint32_t witness_sigops(const struct tx_in *in, struct span spent_script, uint32_t flags);
static uint32_t program_sigops(const struct tx_in *in, uint32_t version, struct span program);

uint32_t script_sigops(struct span script, bool accurate)
{
    struct reader r;
    struct span push;
    uint8_t op, before = OP_INVALIDOPCODE;
    uint32_t count = 0;
    rd_init(&r, script);
    while (script_next(&r, &op, &push)) {
        if (op == OP_CHECKSIG || op == OP_CHECKSIGVERIFY)
            count++;
        else if (op == OP_CHECKMULTISIG || op == OP_CHECKMULTISIGVERIFY)
            count += accurate && before >= OP_1 && before <= OP_16 ? before - (uint32_t)OP_1 + 1
                                                                   : SCRIPT_PUBKEYS_MAX;
        before = op;
    }
    return count;
}

uint32_t tx_legacy_sigops(const struct tx *tx)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < tx->in_count; i++)
        count += script_sigops(tx->in[i].script_sig, false);
    for (uint32_t i = 0; i < tx->out_count; i++)
        count += script_sigops(tx->out[i].script, false);
    return count;
}

uint32_t tx_p2sh_sigops(const struct tx *tx, const struct coin *prevouts)
{
    uint32_t count = 0;
    struct span redeem;
    if (tx_is_coinbase(tx))
        return 0;
    for (uint32_t i = 0; i < tx->in_count; i++) {
        if (script_is_p2sh(prevouts[i].script) && last_push(tx->in[i].script_sig, &redeem))
            count += script_sigops(redeem, true);
    }
    return count;
}

uint32_t tx_spending_sigops(const struct tx *tx, const struct coin *prevouts)
{
    uint32_t count = tx_p2sh_sigops(tx, prevouts);
    for (uint32_t i = 0; i < tx->in_count; i++)
        count += script_sigops(tx->in[i].script_sig, true) + script_sigops(prevouts[i].script, true);
    return count;
}

int64_t tx_sigop_cost(const struct tx *tx, const struct coin *prevouts, uint32_t flags)
{
    int64_t cost = (int64_t)tx_legacy_sigops(tx) * SIGOP_LEGACY_COST;
    if (tx_is_coinbase(tx))
        return cost;
    if (flags & SCRIPT_VERIFY_P2SH)
        cost += (int64_t)tx_p2sh_sigops(tx, prevouts) * SIGOP_LEGACY_COST;
    for (uint32_t i = 0; i < tx->in_count; i++)
        cost += witness_sigops(&tx->in[i], prevouts[i].script, flags);
    return cost;
}

static uint32_t witness_sigops(const struct tx_in *in, struct span spent_script, uint32_t flags)
{
    uint32_t version;
    struct span program, redeem;
    if (!(flags & SCRIPT_VERIFY_WITNESS))
        return 0;
    if (script_witness_program(spent_script, &version, &program))
        return program_sigops(in, version, program);
    if (script_is_p2sh(spent_script) && last_push(in->script_sig, &redeem) &&
        script_witness_program(redeem, &version, &program))
        return program_sigops(in, version, program);
    return 0;
}

static uint32_t program_sigops(const struct tx_in *in, uint32_t version, struct span program)
{
    if (version != 0)
        return 0;
    if (program.size_b == 20)
        return 1;
    if (program.size_b == 32 && in->witness_count > 0)
        return script_sigops(in->witness[in->witness_count - 1], true);
    return 0;
}

/* The data of the last push of a scriptSig that only pushes; false when it does anything else. */
static bool last_push(struct span script_sig, struct span *out)
{
    struct reader r;
    struct span push;
    uint8_t op;
    *out = (struct span){ 0 };
    rd_init(&r, script_sig);
    while (script_next(&r, &op, &push)) {
        if (op > OP_16)
            return false;
        *out = push;
    }
    return !r.failed;
}
