/* op_stack.c - opcodes that move elements, and the stack itself. The run loop has checked the depth that
 * each opcode's row asks for; what remains here is moving 40-byte elements. */
#include "run.h"

#include <string.h>

static struct element *stack_grow(struct stack *stack);
static void push_copy(struct stack *stack, uint32_t depth);
static void remove_at(struct stack *stack, uint32_t depth);
static void swap_at(struct stack *stack, uint32_t a, uint32_t b);
static enum script_error take_index(struct run *run, uint32_t *index);

/* ---- the stack ---- */

struct span element_span(const struct element *e)
{
    return span_of(e->is_inline ? e->u.bytes : e->u.view, e->size_b);
}

bool element_is_true(const struct element *e)
{
    struct span v = element_span(e);
    for (size_t i = 0; i < v.size_b; i++) {
        if (v.data[i] != 0) /* 0x80 in the last place alone is negative zero */
            return !(i == v.size_b - 1 && v.data[i] == 0x80);
    }
    return false;
}

struct element *stack_top(struct stack *stack, uint32_t depth)
{
    return &stack->items[stack->count - depth];
}

static struct element *stack_grow(struct stack *stack)
{
    return &stack->items[stack->count++];
}

void stack_push_view(struct stack *stack, struct span bytes)
{
    struct element *e = stack_grow(stack);
    e->size_b = (uint32_t)bytes.size_b;
    e->is_inline = false;
    e->u.view = bytes.data;
}

void stack_push_bytes(struct stack *stack, const void *bytes, size_t size_b)
{
    struct element *e = stack_grow(stack);
    e->size_b = (uint32_t)size_b;
    e->is_inline = true;
    memcpy(e->u.bytes, bytes, size_b);
}

void stack_push_bool(struct stack *stack, bool v)
{
    static const uint8_t one[1] = { 1 };
    stack_push_bytes(stack, one, v ? 1 : 0);
}

void stack_push_number(struct stack *stack, int64_t n)
{
    uint8_t bytes[SCRIPT_NUMBER_SIZE_B];
    size_t size_b = script_number_encode(bytes, n);
    stack_push_bytes(stack, bytes, size_b);
}

/* ---- opcodes ---- */

enum script_error op_toaltstack(struct run *run)
{
    struct stack *s = run->stack;
    const uint32_t last = (uint32_t)(sizeof s->items / sizeof s->items[0]) - 1;
    struct element moved = *stack_top(s, 1);
    s->count--;
    s->items[last - s->alt_count] = moved;
    s->alt_count++;
    return SCRIPT_OK;
}

enum script_error op_fromaltstack(struct run *run)
{
    struct stack *s = run->stack;
    const uint32_t last = (uint32_t)(sizeof s->items / sizeof s->items[0]) - 1;
    if (s->alt_count < 1)
        return SCRIPT_ERR_INVALID_ALTSTACK_OPERATION;
    s->alt_count--;
    struct element moved = s->items[last - s->alt_count];
    *stack_grow(s) = moved;
    return SCRIPT_OK;
}

enum script_error op_2drop(struct run *run)
{
    run->stack->count -= 2;
    return SCRIPT_OK;
}

enum script_error op_2dup(struct run *run)
{
    push_copy(run->stack, 2);
    push_copy(run->stack, 2);
    return SCRIPT_OK;
}

enum script_error op_3dup(struct run *run)
{
    push_copy(run->stack, 3);
    push_copy(run->stack, 3);
    push_copy(run->stack, 3);
    return SCRIPT_OK;
}

enum script_error op_2over(struct run *run) /* x1 x2 x3 x4 -> x1 x2 x3 x4 x1 x2 */
{
    push_copy(run->stack, 4);
    push_copy(run->stack, 4);
    return SCRIPT_OK;
}

enum script_error op_2rot(struct run *run) /* x1 x2 x3 x4 x5 x6 -> x3 x4 x5 x6 x1 x2 */
{
    push_copy(run->stack, 6);
    push_copy(run->stack, 6);
    remove_at(run->stack, 8);
    remove_at(run->stack, 7);
    return SCRIPT_OK;
}

enum script_error op_2swap(struct run *run) /* x1 x2 x3 x4 -> x3 x4 x1 x2 */
{
    swap_at(run->stack, 4, 2);
    swap_at(run->stack, 3, 1);
    return SCRIPT_OK;
}

enum script_error op_ifdup(struct run *run)
{
    if (element_is_true(stack_top(run->stack, 1)))
        push_copy(run->stack, 1);
    return SCRIPT_OK;
}

enum script_error op_depth(struct run *run)
{
    stack_push_number(run->stack, run->stack->count);
    return SCRIPT_OK;
}

enum script_error op_drop(struct run *run)
{
    run->stack->count--;
    return SCRIPT_OK;
}

enum script_error op_dup(struct run *run)
{
    push_copy(run->stack, 1);
    return SCRIPT_OK;
}

enum script_error op_nip(struct run *run)
{
    remove_at(run->stack, 2);
    return SCRIPT_OK;
}

enum script_error op_over(struct run *run)
{
    push_copy(run->stack, 2);
    return SCRIPT_OK;
}

enum script_error op_pick(struct run *run)
{
    uint32_t index;
    enum script_error e = take_index(run, &index);
    if (e == SCRIPT_OK)
        push_copy(run->stack, index + 1);
    return e;
}

enum script_error op_roll(struct run *run)
{
    uint32_t index;
    enum script_error e = take_index(run, &index);
    if (e == SCRIPT_OK) {
        push_copy(run->stack, index + 1);
        remove_at(run->stack, index + 2);
    }
    return e;
}

/* PICK and ROLL: pops the number, which must name an element below it. */
static enum script_error take_index(struct run *run, uint32_t *index)
{
    int64_t n;
    enum script_error e = run_number(run, &n, 1, SCRIPT_NUMBER_MAX_B);
    if (e != SCRIPT_OK)
        return e;
    run->stack->count--;
    if (n < 0 || n >= run->stack->count)
        return SCRIPT_ERR_INVALID_STACK_OPERATION;
    *index = (uint32_t)n;
    return SCRIPT_OK;
}

enum script_error op_rot(struct run *run) /* x1 x2 x3 -> x2 x3 x1 */
{
    swap_at(run->stack, 3, 2);
    swap_at(run->stack, 2, 1);
    return SCRIPT_OK;
}

enum script_error op_swap(struct run *run)
{
    swap_at(run->stack, 2, 1);
    return SCRIPT_OK;
}

enum script_error op_tuck(struct run *run) /* x1 x2 -> x2 x1 x2 */
{
    swap_at(run->stack, 2, 1);
    push_copy(run->stack, 2);
    return SCRIPT_OK;
}

enum script_error op_size(struct run *run)
{
    stack_push_number(run->stack, stack_top(run->stack, 1)->size_b);
    return SCRIPT_OK;
}

enum script_error op_equal(struct run *run)
{
    struct stack *s = run->stack;
    bool equal = span_equal(element_span(stack_top(s, 2)), element_span(stack_top(s, 1)));
    s->count -= 2;
    stack_push_bool(s, equal);
    return SCRIPT_OK;
}

enum script_error op_equalverify(struct run *run)
{
    struct stack *s = run->stack;
    bool equal = span_equal(element_span(stack_top(s, 2)), element_span(stack_top(s, 1)));
    s->count -= 2;
    return equal ? SCRIPT_OK : SCRIPT_ERR_EQUALVERIFY;
}

/* ---- moving ---- */

static void push_copy(struct stack *stack, uint32_t depth)
{
    struct element copy = *stack_top(stack, depth);
    *stack_grow(stack) = copy;
}

static void remove_at(struct stack *stack, uint32_t depth)
{
    struct element *at = stack_top(stack, depth);
    memmove(at, at + 1, (depth - 1) * sizeof *at);
    stack->count--;
}

static void swap_at(struct stack *stack, uint32_t a, uint32_t b)
{
    struct element was = *stack_top(stack, a);
    *stack_top(stack, a) = *stack_top(stack, b);
    *stack_top(stack, b) = was;
}
