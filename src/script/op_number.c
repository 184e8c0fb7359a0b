/* op_number.c - opcodes that calculate. Operands are at most four bytes, so results fit 33 bits and no sum
 * here can overflow; a result of five bytes may lie on the stack but cannot be calculated with again. */
#include "run.h"

enum script_error run_number(const struct run *run, int64_t *out, uint32_t depth, size_t max_b)
{
    bool minimal = (run->flags & SCRIPT_VERIFY_MINIMALDATA) != 0;
    struct span bytes = element_span(stack_top(run->stack, depth));
    return script_number_decode(out, bytes, minimal, max_b) ? SCRIPT_OK : SCRIPT_ERR_SCRIPTNUM;
}

enum script_error op_small_number(struct run *run)
{
    stack_push_number(run->stack, (int)run->op - (OP_1 - 1));
    return SCRIPT_OK;
}

enum script_error op_unary(struct run *run)
{
    int64_t n;
    enum script_error e = run_number(run, &n, 1, SCRIPT_NUMBER_MAX_B);
    if (e != SCRIPT_OK)
        return e;
    switch (run->op) {
    case OP_1ADD: n += 1; break;
    case OP_1SUB: n -= 1; break;
    case OP_NEGATE: n = -n; break;
    case OP_ABS: n = n < 0 ? -n : n; break;
    case OP_NOT: n = n == 0; break;
    case OP_0NOTEQUAL: n = n != 0; break;
    default: return SCRIPT_ERR_BAD_OPCODE;
    }
    run->stack->count--;
    stack_push_number(run->stack, n);
    return SCRIPT_OK;
}

enum script_error op_binary(struct run *run)
{
    int64_t a, b, n;
    enum script_error e = run_number(run, &a, 2, SCRIPT_NUMBER_MAX_B);
    if (e == SCRIPT_OK)
        e = run_number(run, &b, 1, SCRIPT_NUMBER_MAX_B);
    if (e != SCRIPT_OK)
        return e;
    switch (run->op) {
    case OP_ADD: n = a + b; break;
    case OP_SUB: n = a - b; break;
    case OP_BOOLAND: n = a != 0 && b != 0; break;
    case OP_BOOLOR: n = a != 0 || b != 0; break;
    case OP_NUMEQUAL:
    case OP_NUMEQUALVERIFY: n = a == b; break;
    case OP_NUMNOTEQUAL: n = a != b; break;
    case OP_LESSTHAN: n = a < b; break;
    case OP_GREATERTHAN: n = a > b; break;
    case OP_LESSTHANOREQUAL: n = a <= b; break;
    case OP_GREATERTHANOREQUAL: n = a >= b; break;
    case OP_MIN: n = a < b ? a : b; break;
    case OP_MAX: n = a > b ? a : b; break;
    default: return SCRIPT_ERR_BAD_OPCODE;
    }
    run->stack->count -= 2;
    stack_push_number(run->stack, n);
    return SCRIPT_OK;
}

enum script_error op_numequalverify(struct run *run)
{
    enum script_error e = op_binary(run);
    if (e != SCRIPT_OK)
        return e;
    if (!element_is_true(stack_top(run->stack, 1)))
        return SCRIPT_ERR_NUMEQUALVERIFY;
    run->stack->count--;
    return SCRIPT_OK;
}

enum script_error op_within(struct run *run) /* x min max -> min <= x < max */
{
    int64_t n[3];
    for (uint32_t i = 0; i < 3; i++) {
        enum script_error e = run_number(run, &n[i], 3 - i, SCRIPT_NUMBER_MAX_B);
        if (e != SCRIPT_OK)
            return e;
    }
    run->stack->count -= 3;
    stack_push_bool(run->stack, n[1] <= n[0] && n[0] < n[2]);
    return SCRIPT_OK;
}
