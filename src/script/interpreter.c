/* interpreter.c - runs scripts: the table of opcodes, the loop over it, and what spending an output means
 * (scriptSig, scriptPubKey, P2SH, witness programs, taproot).
 *
 * The loop does what all opcodes share: limits, disabled ones, branches not taken, how deep the stack must
 * be. Each opcode is a row of op_rules and a function in op_*.c. Order of the checks is consensus' (and
 * script_tests.json's), error by error.
 * A run allocates nothing: two stacks of 1,004 elements (40 KiB) lie on the C stack, untouched where
 * unused. No recursion: P2SH and witness each run once more at most. */
#include "coin/script/interpreter.h"

#include <string.h>

#include "coin/crypto/secp.h"
#include "coin/crypto/sha256.h"
#include "run.h"

#define ANNEX_TAG 0x50
#define TAPROOT_LEAF_MASK 0xfe
#define TAPROOT_LEAF_TAPSCRIPT 0xc0
#define CONTROL_BASE_B 33 /* leaf version and internal key */
#define CONTROL_NODE_B 32
#define CONTROL_NODES_MAX 128
#define TAPSCRIPT_BUDGET_BASE_WU 50
#define P2PKH_SIZE_B 25

const struct op_rule op_rules[256] = {
    /* pushes of data run in the loop itself */
    [OP_1NEGATE] = { .run = op_small_number }, [OP_1] = { .run = op_small_number },
    [OP_2] = { .run = op_small_number }, [OP_3] = { .run = op_small_number },
    [OP_4] = { .run = op_small_number }, [OP_5] = { .run = op_small_number },
    [OP_6] = { .run = op_small_number }, [OP_7] = { .run = op_small_number },
    [OP_8] = { .run = op_small_number }, [OP_9] = { .run = op_small_number },
    [OP_10] = { .run = op_small_number }, [OP_11] = { .run = op_small_number },
    [OP_12] = { .run = op_small_number }, [OP_13] = { .run = op_small_number },
    [OP_14] = { .run = op_small_number }, [OP_15] = { .run = op_small_number },
    [OP_16] = { .run = op_small_number },

    [OP_NOP] = { .run = op_nop }, [OP_IF] = { .run = op_if, .is_branch = true },
    [OP_NOTIF] = { .run = op_notif, .is_branch = true },
    [OP_VERIF] = { .run = op_invalid, .is_branch = true },
    [OP_VERNOTIF] = { .run = op_invalid, .is_branch = true },
    [OP_ELSE] = { .run = op_else, .is_branch = true },
    [OP_ENDIF] = { .run = op_endif, .is_branch = true },
    [OP_VERIFY] = { .run = op_verify, .pops = 1 }, [OP_RETURN] = { .run = op_return },

    [OP_TOALTSTACK] = { .run = op_toaltstack, .pops = 1 },
    [OP_FROMALTSTACK] = { .run = op_fromaltstack }, [OP_2DROP] = { .run = op_2drop, .pops = 2 },
    [OP_2DUP] = { .run = op_2dup, .pops = 2 }, [OP_3DUP] = { .run = op_3dup, .pops = 3 },
    [OP_2OVER] = { .run = op_2over, .pops = 4 }, [OP_2ROT] = { .run = op_2rot, .pops = 6 },
    [OP_2SWAP] = { .run = op_2swap, .pops = 4 }, [OP_IFDUP] = { .run = op_ifdup, .pops = 1 },
    [OP_DEPTH] = { .run = op_depth }, [OP_DROP] = { .run = op_drop, .pops = 1 },
    [OP_DUP] = { .run = op_dup, .pops = 1 }, [OP_NIP] = { .run = op_nip, .pops = 2 },
    [OP_OVER] = { .run = op_over, .pops = 2 }, [OP_PICK] = { .run = op_pick, .pops = 2 },
    [OP_ROLL] = { .run = op_roll, .pops = 2 }, [OP_ROT] = { .run = op_rot, .pops = 3 },
    [OP_SWAP] = { .run = op_swap, .pops = 2 }, [OP_TUCK] = { .run = op_tuck, .pops = 2 },
    [OP_SIZE] = { .run = op_size, .pops = 1 }, [OP_EQUAL] = { .run = op_equal, .pops = 2 },
    [OP_EQUALVERIFY] = { .run = op_equalverify, .pops = 2 },

    [OP_CAT] = { .run = op_disabled, .is_disabled = true },
    [OP_SUBSTR] = { .run = op_disabled, .is_disabled = true },
    [OP_LEFT] = { .run = op_disabled, .is_disabled = true },
    [OP_RIGHT] = { .run = op_disabled, .is_disabled = true },
    [OP_INVERT] = { .run = op_disabled, .is_disabled = true },
    [OP_AND] = { .run = op_disabled, .is_disabled = true },
    [OP_OR] = { .run = op_disabled, .is_disabled = true },
    [OP_XOR] = { .run = op_disabled, .is_disabled = true },
    [OP_2MUL] = { .run = op_disabled, .is_disabled = true },
    [OP_2DIV] = { .run = op_disabled, .is_disabled = true },
    [OP_MUL] = { .run = op_disabled, .is_disabled = true },
    [OP_DIV] = { .run = op_disabled, .is_disabled = true },
    [OP_MOD] = { .run = op_disabled, .is_disabled = true },
    [OP_LSHIFT] = { .run = op_disabled, .is_disabled = true },
    [OP_RSHIFT] = { .run = op_disabled, .is_disabled = true },

    [OP_1ADD] = { .run = op_unary, .pops = 1 }, [OP_1SUB] = { .run = op_unary, .pops = 1 },
    [OP_NEGATE] = { .run = op_unary, .pops = 1 }, [OP_ABS] = { .run = op_unary, .pops = 1 },
    [OP_NOT] = { .run = op_unary, .pops = 1 }, [OP_0NOTEQUAL] = { .run = op_unary, .pops = 1 },
    [OP_ADD] = { .run = op_binary, .pops = 2 }, [OP_SUB] = { .run = op_binary, .pops = 2 },
    [OP_BOOLAND] = { .run = op_binary, .pops = 2 }, [OP_BOOLOR] = { .run = op_binary, .pops = 2 },
    [OP_NUMEQUAL] = { .run = op_binary, .pops = 2 },
    [OP_NUMEQUALVERIFY] = { .run = op_numequalverify, .pops = 2 },
    [OP_NUMNOTEQUAL] = { .run = op_binary, .pops = 2 },
    [OP_LESSTHAN] = { .run = op_binary, .pops = 2 },
    [OP_GREATERTHAN] = { .run = op_binary, .pops = 2 },
    [OP_LESSTHANOREQUAL] = { .run = op_binary, .pops = 2 },
    [OP_GREATERTHANOREQUAL] = { .run = op_binary, .pops = 2 },
    [OP_MIN] = { .run = op_binary, .pops = 2 }, [OP_MAX] = { .run = op_binary, .pops = 2 },
    [OP_WITHIN] = { .run = op_within, .pops = 3 },

    [OP_RIPEMD160] = { .run = op_ripemd160, .pops = 1 }, [OP_SHA1] = { .run = op_sha1, .pops = 1 },
    [OP_SHA256] = { .run = op_sha256, .pops = 1 }, [OP_HASH160] = { .run = op_hash160, .pops = 1 },
    [OP_HASH256] = { .run = op_hash256, .pops = 1 },
    [OP_CODESEPARATOR] = { .run = op_codeseparator },
    [OP_CHECKSIG] = { .run = op_checksig, .pops = 2 },
    [OP_CHECKSIGVERIFY] = { .run = op_checksigverify, .pops = 2 },
    [OP_CHECKMULTISIG] = { .run = op_checkmultisig },
    [OP_CHECKMULTISIGVERIFY] = { .run = op_checkmultisigverify },
    [OP_CHECKSIGADD] = { .run = op_checksigadd },

    [OP_NOP1] = { .run = op_upgradable_nop },
    [OP_CHECKLOCKTIMEVERIFY] = { .run = op_checklocktimeverify },
    [OP_CHECKSEQUENCEVERIFY] = { .run = op_checksequenceverify },
    [OP_NOP4] = { .run = op_upgradable_nop }, [OP_NOP5] = { .run = op_upgradable_nop },
    [OP_NOP6] = { .run = op_upgradable_nop }, [OP_NOP7] = { .run = op_upgradable_nop },
    [OP_NOP8] = { .run = op_upgradable_nop }, [OP_NOP9] = { .run = op_upgradable_nop },
    [OP_NOP10] = { .run = op_upgradable_nop },
    /* no row: BAD_OPCODE when it runs */
};

/* One spend being verified: what all its runs share. */
struct spend {
    const struct sighash_pre *pre;
    uint32_t input, flags;
    const struct span *witness;
    uint32_t witness_count;
};

static enum script_error run_script(struct stack *stack, struct span script, const struct spend *spend,
    enum sig_version version, struct tap_run *tap);
static enum script_error run_op(struct run *run, struct span push);
static enum script_error run_redeem(struct stack *stack, const struct element *redeem,
    struct span script_sig, const struct spend *spend, bool *had_witness);
static enum script_error verify_program(uint32_t version, struct span program, bool in_p2sh,
    const struct spend *spend);
static enum script_error verify_v0(struct span program, const struct spend *spend);
static enum script_error verify_taproot(const uint8_t program[32], const struct spend *spend);
static enum script_error verify_leaf(const uint8_t program[32], const struct spend *spend,
    uint32_t stack_count, struct tap_run *tap);
static enum script_error run_witness(struct span script, uint32_t stack_count, const struct spend *spend,
    enum sig_version version, struct tap_run *tap);
static void leaf_hash(uint8_t out[32], uint8_t version, struct span script);
static bool commitment_holds(const uint8_t program[32], struct span control, const uint8_t leaf[32]);
static void add_string(struct sha256 *s, struct span bytes);
static int64_t witness_size_b(const struct span *witness, uint32_t count);

/* ---- entry ---- */

enum script_error script_verify_input(const struct sighash_pre *pre, uint32_t input, uint32_t flags)
{
    const struct tx_in *in = &pre->tx->in[input];
    return script_verify(in->script_sig, pre->spent[input].script, in->witness, in->witness_count, flags,
        pre, input);
}

enum script_error script_verify(struct span script_sig, struct span script_pubkey,
    const struct span *witness, uint32_t witness_count, uint32_t flags, const struct sighash_pre *pre,
    uint32_t input)
{
    struct spend spend = { pre, input, flags, witness, witness_count };
    struct stack stack;
    struct span program;
    uint32_t version;
    bool had_witness = false;
    enum script_error e;

    stack.count = 0;
    if ((flags & SCRIPT_VERIFY_SIGPUSHONLY) && !script_is_push_only(script_sig))
        return SCRIPT_ERR_SIG_PUSHONLY;
    if ((e = run_script(&stack, script_sig, &spend, SIG_LEGACY, NULL)) != SCRIPT_OK)
        return e;
    /* A P2SH output replaces the last element and touches none below: keep that one, and have them all. */
    struct element redeem = { 0 };
    if (stack.count > 0)
        redeem = *stack_top(&stack, 1);
    if ((e = run_script(&stack, script_pubkey, &spend, SIG_LEGACY, NULL)) != SCRIPT_OK)
        return e;
    if (stack.count == 0 || !element_is_true(stack_top(&stack, 1)))
        return SCRIPT_ERR_EVAL_FALSE;

    if ((flags & SCRIPT_VERIFY_WITNESS) && script_witness_program(script_pubkey, &version, &program)) {
        had_witness = true;
        if (script_sig.size_b != 0) /* or anybody could change the txid */
            return SCRIPT_ERR_WITNESS_MALLEATED;
        if ((e = verify_program(version, program, false, &spend)) != SCRIPT_OK)
            return e;
        stack.count = 1; /* the witness has been checked for clean stacks by itself */
    }
    if ((flags & SCRIPT_VERIFY_P2SH) && script_is_p2sh(script_pubkey)) {
        if (!script_is_push_only(script_sig))
            return SCRIPT_ERR_SIG_PUSHONLY;
        if ((e = run_redeem(&stack, &redeem, script_sig, &spend, &had_witness)) != SCRIPT_OK)
            return e;
    }
    if ((flags & SCRIPT_VERIFY_CLEANSTACK) && stack.count != 1)
        return SCRIPT_ERR_CLEANSTACK;
    if ((flags & SCRIPT_VERIFY_WITNESS) && !had_witness && witness_count > 0)
        return SCRIPT_ERR_WITNESS_UNEXPECTED;
    return SCRIPT_OK;
}

/* BIP16. On success the stack is as the redeem script left it (one element after a witness program). */
static enum script_error run_redeem(struct stack *stack, const struct element *redeem,
    struct span script_sig, const struct spend *spend, bool *had_witness)
{
    struct span script = element_span(redeem), program;
    uint32_t version;

    stack->count--; /* the result of OP_EQUAL; below it lies what the redeem script takes */
    enum script_error e = run_script(stack, script, spend, SIG_LEGACY, NULL);
    if (e != SCRIPT_OK)
        return e;
    if (stack->count == 0 || !element_is_true(stack_top(stack, 1)))
        return SCRIPT_ERR_EVAL_FALSE;
    if ((spend->flags & SCRIPT_VERIFY_WITNESS) && script_witness_program(script, &version, &program)) {
        *had_witness = true;
        /* Exactly one direct push (a program has at most 42 bytes): no other form, or txids could change. */
        if (script_sig.size_b != script.size_b + 1 || script_sig.data[0] != script.size_b)
            return SCRIPT_ERR_WITNESS_MALLEATED_P2SH;
        if ((e = verify_program(version, program, true, spend)) != SCRIPT_OK)
            return e;
        stack->count = 1;
    }
    return SCRIPT_OK;
}

/* ---- the loop ---- */

static enum script_error run_script(struct stack *stack, struct span script, const struct spend *spend,
    enum sig_version version, struct tap_run *tap)
{
    struct run run = { .stack = stack, .script = script, .code_start = script.data,
        .separator_position = UINT32_MAX, .flags = spend->flags, .version = version, .pre = spend->pre,
        .input = spend->input, .tap = tap };
    struct span push;

    if (version != SIG_TAPSCRIPT && script.size_b > SCRIPT_SIZE_MAX_B)
        return SCRIPT_ERR_SCRIPT_SIZE;
    stack->alt_count = 0;
    rd_init(&run.at, script);
    for (; rd_left(&run.at) > 0; run.position++) {
        if (!script_next(&run.at, &run.op, &push))
            return SCRIPT_ERR_BAD_OPCODE;
        enum script_error e = run_op(&run, push);
        if (e != SCRIPT_OK)
            return e;
        if (stack->count + stack->alt_count > SCRIPT_STACK_MAX)
            return SCRIPT_ERR_STACK_SIZE;
    }
    return run.if_depth == 0 ? SCRIPT_OK : SCRIPT_ERR_UNBALANCED_CONDITIONAL;
}

static enum script_error run_op(struct run *run, struct span push)
{
    const struct op_rule *rule = &op_rules[run->op];
    bool taken = run->if_false_at == 0;

    if (push.size_b > SCRIPT_ELEMENT_MAX_B)
        return SCRIPT_ERR_PUSH_SIZE;
    if (run->version != SIG_TAPSCRIPT && run->op > OP_16 && ++run->op_count > SCRIPT_OPS_MAX)
        return SCRIPT_ERR_OP_COUNT;
    if (rule->is_disabled)
        return SCRIPT_ERR_DISABLED_OPCODE;
    if (run->op == OP_CODESEPARATOR && run->version == SIG_LEGACY &&
        (run->flags & SCRIPT_VERIFY_CONST_SCRIPTCODE))
        return SCRIPT_ERR_OP_CODESEPARATOR;
    if (!taken && !rule->is_branch)
        return SCRIPT_OK;
    if (run->op <= OP_PUSHDATA4) {
        if ((run->flags & SCRIPT_VERIFY_MINIMALDATA) && !script_push_is_minimal(run->op, push))
            return SCRIPT_ERR_MINIMALDATA;
        stack_push_view(run->stack, push);
        return SCRIPT_OK;
    }
    if (rule->run == NULL)
        return SCRIPT_ERR_BAD_OPCODE;
    if (run->stack->count < rule->pops)
        return SCRIPT_ERR_INVALID_STACK_OPERATION;
    return rule->run(run);
}

/* ---- witness programs ---- */

static enum script_error verify_program(uint32_t version, struct span program, bool in_p2sh,
    const struct spend *spend)
{
    if (version == 0)
        return verify_v0(program, spend);
    if (version == 1 && program.size_b == 32 && !in_p2sh) {
        if (!(spend->flags & SCRIPT_VERIFY_TAPROOT))
            return SCRIPT_OK;
        return verify_taproot(program.data, spend);
    }
    if (!in_p2sh && version == 1 && program.size_b == 2 && program.data[0] == 0x4e && program.data[1] == 0x73)
        return SCRIPT_OK; /* pay to anchor */
    return spend->flags & SCRIPT_VERIFY_DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM
               ? SCRIPT_ERR_DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM : SCRIPT_OK;
}

/* BIP141. */
static enum script_error verify_v0(struct span program, const struct spend *spend)
{
    if (program.size_b == 32) {
        uint8_t hash[32];
        if (spend->witness_count == 0)
            return SCRIPT_ERR_WITNESS_PROGRAM_WITNESS_EMPTY;
        struct span script = spend->witness[spend->witness_count - 1];
        sha256(hash, script.data, script.size_b);
        if (memcmp(hash, program.data, sizeof hash) != 0)
            return SCRIPT_ERR_WITNESS_PROGRAM_MISMATCH;
        return run_witness(script, spend->witness_count - 1, spend, SIG_WITNESS_V0, NULL);
    }
    if (program.size_b == 20) {
        uint8_t p2pkh[P2PKH_SIZE_B] = { OP_DUP, OP_HASH160, 20 };
        if (spend->witness_count != 2)
            return SCRIPT_ERR_WITNESS_PROGRAM_MISMATCH;
        memcpy(p2pkh + 3, program.data, 20);
        p2pkh[23] = OP_EQUALVERIFY;
        p2pkh[24] = OP_CHECKSIG;
        return run_witness(span_of(p2pkh, sizeof p2pkh), 2, spend, SIG_WITNESS_V0, NULL);
    }
    return SCRIPT_ERR_WITNESS_PROGRAM_WRONG_LENGTH;
}

/* BIP341. */
static enum script_error verify_taproot(const uint8_t program[32], const struct spend *spend)
{
    struct tap_run tap = { 0 };
    uint8_t annex_hash[32];
    uint32_t count = spend->witness_count;

    if (count == 0)
        return SCRIPT_ERR_WITNESS_PROGRAM_WITNESS_EMPTY;
    struct span last = spend->witness[count - 1];
    if (count >= 2 && last.size_b > 0 && last.data[0] == ANNEX_TAG) {
        struct sha256 s;
        sha256_begin(&s);
        add_string(&s, last);
        sha256_end(&s, annex_hash);
        tap.annex_hash = annex_hash;
        count--;
    }
    if (count == 1) {
        struct sighash_tap key_path = { .annex_hash = tap.annex_hash };
        return check_schnorr(spend->pre, spend->input, spend->witness[0], program, &key_path);
    }
    return verify_leaf(program, spend, count, &tap);
}

static enum script_error verify_leaf(const uint8_t program[32], const struct spend *spend,
    uint32_t stack_count, struct tap_run *tap)
{
    struct span control = spend->witness[stack_count - 1];
    struct span script = spend->witness[stack_count - 2];

    if (control.size_b < CONTROL_BASE_B ||
        control.size_b > CONTROL_BASE_B + CONTROL_NODE_B * CONTROL_NODES_MAX ||
        (control.size_b - CONTROL_BASE_B) % CONTROL_NODE_B != 0)
        return SCRIPT_ERR_TAPROOT_WRONG_CONTROL_SIZE;
    uint8_t version = control.data[0] & TAPROOT_LEAF_MASK;
    leaf_hash(tap->leaf_hash, version, script);
    if (!commitment_holds(program, control, tap->leaf_hash))
        return SCRIPT_ERR_WITNESS_PROGRAM_MISMATCH;
    if (version != TAPROOT_LEAF_TAPSCRIPT)
        return spend->flags & SCRIPT_VERIFY_DISCOURAGE_UPGRADABLE_TAPROOT_VERSION
                   ? SCRIPT_ERR_DISCOURAGE_UPGRADABLE_TAPROOT_VERSION : SCRIPT_OK;
    /* The budget counts the whole witness, annex and all. */
    tap->weight_left_wu =
        witness_size_b(spend->witness, spend->witness_count) + TAPSCRIPT_BUDGET_BASE_WU;
    return run_witness(script, stack_count - 2, spend, SIG_TAPSCRIPT, tap);
}

static enum script_error run_witness(struct span script, uint32_t stack_count, const struct spend *spend,
    enum sig_version version, struct tap_run *tap)
{
    struct stack stack;

    if (version == SIG_TAPSCRIPT) {
        /* BIP342: one OP_SUCCESSx anywhere, even behind what would fail, makes the script succeed */
        struct reader r;
        uint8_t op;
        struct span push;
        rd_init(&r, script);
        while (script_next(&r, &op, &push)) {
            if (opcode_is_success(op))
                return spend->flags & SCRIPT_VERIFY_DISCOURAGE_OP_SUCCESS ? SCRIPT_ERR_DISCOURAGE_OP_SUCCESS
                                                                          : SCRIPT_OK;
        }
        if (r.failed)
            return SCRIPT_ERR_BAD_OPCODE;
    }
    if (stack_count > SCRIPT_STACK_MAX) /* v0 fails at its first opcode; here a little sooner */
        return SCRIPT_ERR_STACK_SIZE;
    stack.count = 0;
    for (uint32_t i = 0; i < stack_count; i++) {
        if (spend->witness[i].size_b > SCRIPT_ELEMENT_MAX_B)
            return SCRIPT_ERR_PUSH_SIZE;
        stack_push_view(&stack, spend->witness[i]);
    }
    enum script_error e = run_script(&stack, script, spend, version, tap);
    if (e != SCRIPT_OK)
        return e;
    if (stack.count != 1) /* consensus in witnesses, unlike in scriptSigs */
        return SCRIPT_ERR_CLEANSTACK;
    return element_is_true(stack_top(&stack, 1)) ? SCRIPT_OK : SCRIPT_ERR_EVAL_FALSE;
}

/* ---- taproot's hashes ---- */

static void leaf_hash(uint8_t out[32], uint8_t version, struct span script)
{
    struct sha256 s;
    sha256_tagged_begin(&s, "TapLeaf");
    sha256_add(&s, &version, 1);
    add_string(&s, script);
    sha256_end(&s, out);
}

/* Climbs from the leaf to the root, then tweaks the internal key: is that the output key? */
static bool commitment_holds(const uint8_t program[32], struct span control, const uint8_t leaf[32])
{
    const uint8_t *internal = control.data + 1;
    size_t nodes = (control.size_b - CONTROL_BASE_B) / CONTROL_NODE_B;
    uint8_t root[32], tweak[32];
    struct sha256 s;

    memcpy(root, leaf, sizeof root);
    for (size_t i = 0; i < nodes; i++) {
        const uint8_t *node = control.data + CONTROL_BASE_B + i * CONTROL_NODE_B;
        bool root_first = memcmp(root, node, CONTROL_NODE_B) < 0;
        sha256_tagged_begin(&s, "TapBranch");
        sha256_add(&s, root_first ? root : node, CONTROL_NODE_B);
        sha256_add(&s, root_first ? node : root, CONTROL_NODE_B);
        sha256_end(&s, root);
    }
    sha256_tagged_begin(&s, "TapTweak");
    sha256_add(&s, internal, 32);
    sha256_add(&s, root, sizeof root);
    sha256_end(&s, tweak);
    return secp_tweak_check(program, control.data[0] & 1, internal, tweak);
}

static void add_string(struct sha256 *s, struct span bytes)
{
    uint8_t count[9];
    struct buf b = { .data = count, .capacity_b = sizeof count, .limit_b = sizeof count };
    buf_put_count(&b, bytes.size_b);
    sha256_add(s, count, b.size_b);
    sha256_add(s, bytes.data, bytes.size_b);
}

static int64_t witness_size_b(const struct span *witness, uint32_t count)
{
    struct { uint64_t limit; int64_t size_b; } const widths[] = {
        { 0xfc, 1 }, { UINT16_MAX, 3 }, { UINT32_MAX, 5 }, { UINT64_MAX, 9 } };
    int64_t total_b = 0;
    for (uint32_t i = 0; i <= count; i++) { /* the last round: the count itself */
        uint64_t n = i < count ? witness[i].size_b : count;
        uint32_t w = 0;
        while (n > widths[w].limit)
            w++;
        total_b += widths[w].size_b + (i < count ? (int64_t)n : 0);
    }
    return total_b;
}
