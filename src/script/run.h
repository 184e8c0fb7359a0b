/* run.h - one run of a script: its stacks, its place, and the functions behind the opcodes.
 * Private to script/. A struct run lives on the C stack of the one who verifies; nothing is allocated.
 *
 * Elements are views into scripts and witnesses, which outlive the run; results (numbers, hashes) are at
 * most 32 bytes and lie inside the element. So copying an element copies 40 bytes, whatever it shows. */
#ifndef COIN_SRC_SCRIPT_RUN_H
#define COIN_SRC_SCRIPT_RUN_H

#include "coin/script/interpreter.h"
#include "coin/script/script.h"
#include "script_number.h"

#define ELEMENT_INLINE_MAX_B 32
#define STACK_SLACK 4 /* an opcode pushes at most three more before the limit is looked at */

struct element {
    uint32_t size_b;
    bool is_inline;
    union {
        const uint8_t *view;
        uint8_t bytes[ELEMENT_INLINE_MAX_B];
    } u;
};

/* Both stacks share the limit, so they share the room: main grows up from 0, alt down from the end. */
struct stack {
    uint32_t count, alt_count;
    struct element items[SCRIPT_STACK_MAX + STACK_SLACK];
};

enum sig_version { SIG_LEGACY, SIG_WITNESS_V0, SIG_TAPSCRIPT };

struct tap_run { /* BIP342: what a tapscript run carries besides */
    const uint8_t *annex_hash; /* NULL: no annex */
    uint8_t leaf_hash[32];
    int64_t weight_left_wu;    /* budget for signatures */
};

struct run {
    struct stack *stack;
    struct span script;
    struct reader at;           /* behind the opcode that runs */
    const uint8_t *code_start;  /* behind the last OP_CODESEPARATOR that ran */
    uint32_t separator_position; /* its number among the opcodes; 0xffffffff: none (BIP342) */
    uint32_t position;          /* number of the opcode that runs */
    uint32_t op_count;          /* legacy and v0: counted ones */
    uint32_t flags;
    enum sig_version version;
    uint8_t op;
    /* Branches: only how deep, and which one is the first that is not taken; the rest follows. */
    uint32_t if_depth, if_false_at; /* if_false_at: 1-based depth; 0: all taken */
    const struct sighash_pre *pre;
    uint32_t input;
    struct tap_run *tap;        /* SIG_TAPSCRIPT only */
};

struct op_rule {
    enum script_error (*run)(struct run *run);
    uint8_t pops;     /* elements it needs; fewer: INVALID_STACK_OPERATION */
    bool is_branch;   /* runs also where the branch is not taken */
    bool is_disabled; /* fails even where the branch is not taken (CVE-2010-5137) */
};
extern const struct op_rule op_rules[256]; /* interpreter.c */

/* ---- stack (op_stack.c) ---- */
struct span element_span(const struct element *e);
bool element_is_true(const struct element *e); /* any byte set, but for a negative zero */
struct element *stack_top(struct stack *stack, uint32_t depth); /* 1: the uppermost; depth <= count */
void stack_push_view(struct stack *stack, struct span bytes);
void stack_push_bytes(struct stack *stack, const void *bytes, size_t size_b); /* at most 32 */
void stack_push_bool(struct stack *stack, bool v);
void stack_push_number(struct stack *stack, int64_t n);

/* ---- signatures (op_crypto.c) ---- */
/* A Schnorr signature with its hash type, for key path (run->tap->leaf_hash unused) and tapscript. */
enum script_error check_schnorr(const struct sighash_pre *pre, uint32_t input, struct span sig,
    const uint8_t xonly[32], const struct sighash_tap *tap);

/* ---- opcodes: op_flow.c ---- */
enum script_error op_invalid(struct run *run); /* BAD_OPCODE */
enum script_error op_disabled(struct run *run);
enum script_error op_nop(struct run *run);
enum script_error op_upgradable_nop(struct run *run);
enum script_error op_if(struct run *run);
enum script_error op_notif(struct run *run);
enum script_error op_else(struct run *run);
enum script_error op_endif(struct run *run);
enum script_error op_verify(struct run *run);
enum script_error op_return(struct run *run);
enum script_error op_checklocktimeverify(struct run *run);
enum script_error op_checksequenceverify(struct run *run);
/* ---- op_stack.c ---- */
enum script_error op_toaltstack(struct run *run);
enum script_error op_fromaltstack(struct run *run);
enum script_error op_2drop(struct run *run);
enum script_error op_2dup(struct run *run);
enum script_error op_3dup(struct run *run);
enum script_error op_2over(struct run *run);
enum script_error op_2rot(struct run *run);
enum script_error op_2swap(struct run *run);
enum script_error op_ifdup(struct run *run);
enum script_error op_depth(struct run *run);
enum script_error op_drop(struct run *run);
enum script_error op_dup(struct run *run);
enum script_error op_nip(struct run *run);
enum script_error op_over(struct run *run);
enum script_error op_pick(struct run *run);
enum script_error op_roll(struct run *run);
enum script_error op_rot(struct run *run);
enum script_error op_swap(struct run *run);
enum script_error op_tuck(struct run *run);
enum script_error op_size(struct run *run);
enum script_error op_equal(struct run *run);
enum script_error op_equalverify(struct run *run);
/* ---- op_number.c ---- */
enum script_error op_small_number(struct run *run); /* OP_1NEGATE, OP_1 to OP_16 */
enum script_error op_unary(struct run *run);        /* 1ADD 1SUB NEGATE ABS NOT 0NOTEQUAL */
enum script_error op_binary(struct run *run);       /* ADD to MAX */
enum script_error op_numequalverify(struct run *run);
enum script_error op_within(struct run *run);
/* Number at depth; fails as SCRIPTNUM. */
enum script_error run_number(const struct run *run, int64_t *out, uint32_t depth, size_t max_b);
/* ---- op_crypto.c ---- */
enum script_error op_ripemd160(struct run *run);
enum script_error op_sha1(struct run *run);
enum script_error op_sha256(struct run *run);
enum script_error op_hash160(struct run *run);
enum script_error op_hash256(struct run *run);
enum script_error op_codeseparator(struct run *run);
enum script_error op_checksig(struct run *run);
enum script_error op_checksigverify(struct run *run);
enum script_error op_checksigadd(struct run *run);
enum script_error op_checkmultisig(struct run *run);
enum script_error op_checkmultisigverify(struct run *run);

#endif
