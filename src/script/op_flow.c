/* op_flow.c - opcodes that steer: branches, verify, return, lock times and the NOPs.
 *
 * Branch state is two numbers: how deep, and the depth of the first branch not taken. Nothing runs while
 * the latter is set, and branches opened inside it need no memory of their own; so nesting costs O(1)
 * however deep a tapscript goes. */
#include "run.h"

#define SEQUENCE_DISABLE (1u << 31) /* BIP68 */
#define SEQUENCE_TYPE (1u << 22)
#define SEQUENCE_MASK 0xffffu
#define LOCKTIME_IS_TIME 500000000 /* from here on a lock time is in seconds, below it is a height */

static enum script_error open_branch(struct run *run, bool taken_when);

enum script_error op_invalid(struct run *run)
{
    (void)run;
    return SCRIPT_ERR_BAD_OPCODE;
}

enum script_error op_disabled(struct run *run)
{
    (void)run;
    return SCRIPT_ERR_DISABLED_OPCODE;
}

enum script_error op_nop(struct run *run)
{
    (void)run;
    return SCRIPT_OK;
}

enum script_error op_upgradable_nop(struct run *run)
{
    return run->flags & SCRIPT_VERIFY_DISCOURAGE_UPGRADABLE_NOPS ? SCRIPT_ERR_DISCOURAGE_UPGRADABLE_NOPS
                                                                 : SCRIPT_OK;
}

enum script_error op_if(struct run *run)
{
    return open_branch(run, true);
}

enum script_error op_notif(struct run *run)
{
    return open_branch(run, false);
}

static enum script_error open_branch(struct run *run, bool taken_when)
{
    bool taken = false;
    if (run->if_false_at == 0) {
        if (run->stack->count < 1) /* not by the table: a branch that is not taken needs none */
            return SCRIPT_ERR_INVALID_STACK_OPERATION;
        const struct element *top = stack_top(run->stack, 1);
        struct span v = element_span(top);
        bool minimal = v.size_b == 0 || (v.size_b == 1 && v.data[0] == 1);
        if (run->version == SIG_TAPSCRIPT && !minimal)
            return SCRIPT_ERR_TAPSCRIPT_MINIMALIF; /* consensus there (BIP342) */
        if (run->version == SIG_WITNESS_V0 && (run->flags & SCRIPT_VERIFY_MINIMALIF) && !minimal)
            return SCRIPT_ERR_MINIMALIF;
        taken = element_is_true(top) == taken_when;
        run->stack->count--;
    }
    run->if_depth++;
    if (run->if_false_at == 0 && !taken)
        run->if_false_at = run->if_depth;
    return SCRIPT_OK;
}

enum script_error op_else(struct run *run)
{
    if (run->if_depth == 0)
        return SCRIPT_ERR_UNBALANCED_CONDITIONAL;
    if (run->if_false_at == 0)
        run->if_false_at = run->if_depth;
    else if (run->if_false_at == run->if_depth)
        run->if_false_at = 0;
    return SCRIPT_OK;
}

enum script_error op_endif(struct run *run)
{
    if (run->if_depth == 0)
        return SCRIPT_ERR_UNBALANCED_CONDITIONAL;
    if (run->if_false_at == run->if_depth)
        run->if_false_at = 0;
    run->if_depth--;
    return SCRIPT_OK;
}

enum script_error op_verify(struct run *run)
{
    if (!element_is_true(stack_top(run->stack, 1)))
        return SCRIPT_ERR_VERIFY;
    run->stack->count--;
    return SCRIPT_OK;
}

enum script_error op_return(struct run *run)
{
    (void)run;
    return SCRIPT_ERR_OP_RETURN;
}

/* BIP65. */
enum script_error op_checklocktimeverify(struct run *run)
{
    if (!(run->flags & SCRIPT_VERIFY_CHECKLOCKTIMEVERIFY))
        return SCRIPT_OK; /* still OP_NOP2 */
    if (run->stack->count < 1)
        return SCRIPT_ERR_INVALID_STACK_OPERATION;
    int64_t wanted;
    enum script_error e = run_number(run, &wanted, 1, SCRIPT_LOCKTIME_MAX_B);
    if (e != SCRIPT_OK)
        return e;
    if (wanted < 0)
        return SCRIPT_ERR_NEGATIVE_LOCKTIME;
    const struct tx *tx = run->pre->tx;
    int64_t has = tx->lock_time;
    if ((wanted < LOCKTIME_IS_TIME) != (has < LOCKTIME_IS_TIME) || wanted > has)
        return SCRIPT_ERR_UNSATISFIED_LOCKTIME;
    /* A final input would switch nLockTime off and make the check worth nothing. */
    if (tx->in[run->input].sequence == SEQUENCE_FINAL)
        return SCRIPT_ERR_UNSATISFIED_LOCKTIME;
    return SCRIPT_OK;
}

/* BIP112. */
enum script_error op_checksequenceverify(struct run *run)
{
    if (!(run->flags & SCRIPT_VERIFY_CHECKSEQUENCEVERIFY))
        return SCRIPT_OK; /* still OP_NOP3 */
    if (run->stack->count < 1)
        return SCRIPT_ERR_INVALID_STACK_OPERATION;
    int64_t wanted;
    enum script_error e = run_number(run, &wanted, 1, SCRIPT_LOCKTIME_MAX_B);
    if (e != SCRIPT_OK)
        return e;
    if (wanted < 0)
        return SCRIPT_ERR_NEGATIVE_LOCKTIME;
    if (wanted & SEQUENCE_DISABLE)
        return SCRIPT_OK;
    const struct tx *tx = run->pre->tx;
    uint32_t has = tx->in[run->input].sequence;
    if (tx->version < 2 || (has & SEQUENCE_DISABLE))
        return SCRIPT_ERR_UNSATISFIED_LOCKTIME;
    uint32_t want = (uint32_t)wanted & (SEQUENCE_TYPE | SEQUENCE_MASK);
    has &= SEQUENCE_TYPE | SEQUENCE_MASK;
    if ((want < SEQUENCE_TYPE) != (has < SEQUENCE_TYPE) || want > has)
        return SCRIPT_ERR_UNSATISFIED_LOCKTIME;
    return SCRIPT_OK;
}
