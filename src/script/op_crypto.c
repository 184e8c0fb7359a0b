/* op_crypto.c - hashes and signatures: what OP_CHECKSIG and its kin mean in legacy, v0 and tapscript.
 *
 * Legacy alone removes the signature from the code it signs (FindAndDelete); that needs a copy of at most
 * SCRIPT_SIZE_MAX_B bytes, made only when the bytes really occur. OP_CHECKMULTISIG tries one signature
 * against several keys: what it signs is hashed once per signature, not once per key. */
#include <string.h>

#include "coin/crypto/hash.h"
#include "coin/crypto/secp.h"
#include "coin/crypto/sha256.h"
#include "run.h"
#include "sig_encoding.h"

#define SCHNORR_SIG_B 64
#define XONLY_B 32
#define TAP_SIGNATURE_COST_WU 50 /* BIP342: per signature that is not empty */
#define PUSH_HEADER_MAX_B 3      /* signatures are elements: at most 520 bytes */

/* Code that signatures sign, and room for the copy that FindAndDelete makes. */
struct sign_code {
    struct span code;
    uint8_t copy[SCRIPT_SIZE_MAX_B];
};

static enum script_error hash_with(struct run *run, void (*hash)(uint8_t *, const void *, size_t),
    size_t out_b);
static enum script_error pop_verify(struct run *run, enum script_error e, enum script_error otherwise);
static enum script_error check_signature(struct run *run, bool *ok, struct span sig, struct span key);
static enum script_error check_ecdsa(struct run *run, bool *ok, struct span sig, struct span key);
static enum script_error check_tapscript(struct run *run, bool *ok, struct span sig, struct span key);
static enum script_error delete_signature(const struct run *run, struct sign_code *code, struct span sig);
static enum script_error check_sig_encoding(const struct run *run, struct span sig);
static enum script_error check_key_encoding(const struct run *run, struct span key);
static void ecdsa_hash(const struct run *run, uint8_t out[32], struct span code, uint8_t hash_type);

/* ---- hashes ---- */

enum script_error op_ripemd160(struct run *run) { return hash_with(run, ripemd160, 20); }
enum script_error op_sha1(struct run *run) { return hash_with(run, sha1, 20); }
enum script_error op_sha256(struct run *run) { return hash_with(run, sha256, 32); }
enum script_error op_hash160(struct run *run) { return hash_with(run, hash160, 20); }
enum script_error op_hash256(struct run *run) { return hash_with(run, sha256d, 32); }

static enum script_error hash_with(struct run *run, void (*hash)(uint8_t *, const void *, size_t),
    size_t out_b)
{
    uint8_t out[ELEMENT_INLINE_MAX_B];
    struct span v = element_span(stack_top(run->stack, 1));
    hash(out, v.data, v.size_b);
    run->stack->count--;
    stack_push_bytes(run->stack, out, out_b);
    return SCRIPT_OK;
}

enum script_error op_codeseparator(struct run *run)
{
    run->code_start = run->at.at;
    run->separator_position = run->position;
    return SCRIPT_OK;
}

/* ---- one signature ---- */

enum script_error op_checksig(struct run *run)
{
    bool ok = false;
    struct stack *s = run->stack;
    enum script_error e = check_signature(run, &ok, element_span(stack_top(s, 2)),
        element_span(stack_top(s, 1)));
    if (e != SCRIPT_OK)
        return e;
    s->count -= 2;
    stack_push_bool(s, ok);
    return SCRIPT_OK;
}

enum script_error op_checksigverify(struct run *run)
{
    return pop_verify(run, op_checksig(run), SCRIPT_ERR_CHECKSIGVERIFY);
}

static enum script_error pop_verify(struct run *run, enum script_error e, enum script_error otherwise)
{
    if (e != SCRIPT_OK)
        return e;
    if (!element_is_true(stack_top(run->stack, 1)))
        return otherwise;
    run->stack->count--;
    return SCRIPT_OK;
}

/* BIP342: sig n key -> n + 1, or n for an empty signature. */
enum script_error op_checksigadd(struct run *run)
{
    struct stack *s = run->stack;
    int64_t n;
    bool ok = false;

    if (run->version != SIG_TAPSCRIPT)
        return SCRIPT_ERR_BAD_OPCODE;
    if (s->count < 3)
        return SCRIPT_ERR_INVALID_STACK_OPERATION;
    enum script_error e = run_number(run, &n, 2, SCRIPT_NUMBER_MAX_B);
    if (e == SCRIPT_OK)
        e = check_signature(run, &ok, element_span(stack_top(s, 3)), element_span(stack_top(s, 1)));
    if (e != SCRIPT_OK)
        return e;
    s->count -= 3;
    stack_push_number(s, n + (ok ? 1 : 0));
    return SCRIPT_OK;
}

static enum script_error check_signature(struct run *run, bool *ok, struct span sig, struct span key)
{
    return run->version == SIG_TAPSCRIPT ? check_tapscript(run, ok, sig, key)
                                         : check_ecdsa(run, ok, sig, key);
}

static enum script_error check_ecdsa(struct run *run, bool *ok, struct span sig, struct span key)
{
    struct sign_code code;
    uint8_t hash[32];
    code.code = span_of(run->code_start, (size_t)(run->script.data + run->script.size_b - run->code_start));
    enum script_error e = delete_signature(run, &code, sig);
    if (e == SCRIPT_OK)
        e = check_sig_encoding(run, sig);
    if (e == SCRIPT_OK)
        e = check_key_encoding(run, key);
    if (e != SCRIPT_OK)
        return e;
    if (sig.size_b > 0 && script_pubkey_size_fits(key)) {
        ecdsa_hash(run, hash, code.code, sig.data[sig.size_b - 1]);
        *ok = secp_ecdsa_verify(key, span_of(sig.data, sig.size_b - 1), hash);
    }
    if (!*ok && (run->flags & SCRIPT_VERIFY_NULLFAIL) && sig.size_b > 0)
        return SCRIPT_ERR_SIG_NULLFAIL;
    return SCRIPT_OK;
}

static enum script_error check_tapscript(struct run *run, bool *ok, struct span sig, struct span key)
{
    *ok = sig.size_b > 0;
    if (*ok) {
        run->tap->weight_left_wu -= TAP_SIGNATURE_COST_WU;
        if (run->tap->weight_left_wu < 0)
            return SCRIPT_ERR_TAPSCRIPT_VALIDATION_WEIGHT;
    }
    if (key.size_b == 0)
        return SCRIPT_ERR_TAPSCRIPT_EMPTY_PUBKEY;
    if (key.size_b != XONLY_B) /* a later soft fork's: succeeds */
        return run->flags & SCRIPT_VERIFY_DISCOURAGE_UPGRADABLE_PUBKEYTYPE
                   ? SCRIPT_ERR_DISCOURAGE_UPGRADABLE_PUBKEYTYPE : SCRIPT_OK;
    if (!*ok)
        return SCRIPT_OK;
    struct sighash_tap tap = { .annex_hash = run->tap->annex_hash, .leaf_hash = run->tap->leaf_hash,
        .codeseparator_position = run->separator_position };
    return check_schnorr(run->pre, run->input, sig, key.data, &tap);
}

enum script_error check_schnorr(const struct sighash_pre *pre, uint32_t input, struct span sig,
    const uint8_t xonly[32], const struct sighash_tap *tap)
{
    uint32_t hash_type = SIGHASH_DEFAULT;
    uint8_t hash[32];
    if (sig.size_b != SCHNORR_SIG_B && sig.size_b != SCHNORR_SIG_B + 1)
        return SCRIPT_ERR_SCHNORR_SIG_SIZE;
    if (sig.size_b == SCHNORR_SIG_B + 1) {
        hash_type = sig.data[SCHNORR_SIG_B];
        if (hash_type == SIGHASH_DEFAULT) /* or a signature would have two forms */
            return SCRIPT_ERR_SCHNORR_SIG_HASHTYPE;
    }
    if (!sighash_taproot(hash, pre, input, hash_type, tap))
        return SCRIPT_ERR_SCHNORR_SIG_HASHTYPE;
    return secp_schnorr_verify(xonly, sig.data, span_of(hash, sizeof hash)) ? SCRIPT_OK
                                                                           : SCRIPT_ERR_SCHNORR_SIG;
}

/* ---- many signatures ---- */

/* The stack of dummy sig... m key... n, by depth. */
struct multisig {
    uint32_t keys, sigs;         /* n, m */
    uint32_t key_depth, sig_depth; /* of the last key and signature: checked first */
    uint32_t depth;              /* of the lowest element besides the dummy */
};

static enum script_error multisig_layout(struct run *run, struct multisig *m)
{
    struct stack *s = run->stack;
    int64_t n;
    enum script_error e;

    if (s->count < 1)
        return SCRIPT_ERR_INVALID_STACK_OPERATION;
    if ((e = run_number(run, &n, 1, SCRIPT_NUMBER_MAX_B)) != SCRIPT_OK)
        return e;
    if (n < 0 || n > SCRIPT_PUBKEYS_MAX)
        return SCRIPT_ERR_PUBKEY_COUNT;
    m->keys = (uint32_t)n;
    run->op_count += m->keys;
    if (run->op_count > SCRIPT_OPS_MAX)
        return SCRIPT_ERR_OP_COUNT;
    m->key_depth = 2;
    uint32_t m_depth = 2 + m->keys;
    if (s->count < m_depth)
        return SCRIPT_ERR_INVALID_STACK_OPERATION;
    if ((e = run_number(run, &n, m_depth, SCRIPT_NUMBER_MAX_B)) != SCRIPT_OK)
        return e;
    if (n < 0 || n > m->keys)
        return SCRIPT_ERR_SIG_COUNT;
    m->sigs = (uint32_t)n;
    m->sig_depth = m_depth + 1;
    m->depth = m_depth + m->sigs;
    return s->count < m->depth ? SCRIPT_ERR_INVALID_STACK_OPERATION : SCRIPT_OK;
}

/* Signatures must stand in the order of their keys. Encodings are checked as pairs are tried, so a bad key
 * behind the last match is never looked at: consensus. */
static enum script_error multisig_match(struct run *run, const struct multisig *m, struct span code, bool *ok)
{
    uint32_t keys = m->keys, sigs = m->sigs, key_depth = m->key_depth, sig_depth = m->sig_depth;
    uint8_t hash[32];
    bool hashed = false;

    *ok = true;
    while (*ok && sigs > 0) {
        struct span sig = element_span(stack_top(run->stack, sig_depth));
        struct span key = element_span(stack_top(run->stack, key_depth));
        enum script_error e = check_sig_encoding(run, sig);
        if (e == SCRIPT_OK)
            e = check_key_encoding(run, key);
        if (e != SCRIPT_OK)
            return e;
        bool match = false;
        if (sig.size_b > 0 && script_pubkey_size_fits(key)) {
            if (!hashed)
                ecdsa_hash(run, hash, code, sig.data[sig.size_b - 1]);
            hashed = true;
            match = secp_ecdsa_verify(key, span_of(sig.data, sig.size_b - 1), hash);
        }
        if (match) {
            sig_depth++;
            sigs--;
            hashed = false;
        }
        key_depth++;
        keys--;
        *ok = sigs <= keys;
    }
    return SCRIPT_OK;
}

enum script_error op_checkmultisig(struct run *run)
{
    struct stack *s = run->stack;
    struct sign_code code;
    struct multisig m;
    bool ok;

    if (run->version == SIG_TAPSCRIPT)
        return SCRIPT_ERR_TAPSCRIPT_CHECKMULTISIG;
    enum script_error e = multisig_layout(run, &m);
    if (e != SCRIPT_OK)
        return e;
    code.code = span_of(run->code_start, (size_t)(run->script.data + run->script.size_b - run->code_start));
    for (uint32_t i = 0; i < m.sigs; i++) {
        e = delete_signature(run, &code, element_span(stack_top(s, m.sig_depth + i)));
        if (e != SCRIPT_OK)
            return e;
    }
    if ((e = multisig_match(run, &m, code.code, &ok)) != SCRIPT_OK)
        return e;
    for (uint32_t i = 0; !ok && (run->flags & SCRIPT_VERIFY_NULLFAIL) && i < m.sigs; i++) {
        if (stack_top(s, m.sig_depth + i)->size_b > 0)
            return SCRIPT_ERR_SIG_NULLFAIL;
    }
    s->count -= m.depth;
    /* Satoshi's off-by-one: one element more is taken. BIP147 wants it empty. */
    if (s->count < 1)
        return SCRIPT_ERR_INVALID_STACK_OPERATION;
    if ((run->flags & SCRIPT_VERIFY_NULLDUMMY) && stack_top(s, 1)->size_b > 0)
        return SCRIPT_ERR_SIG_NULLDUMMY;
    s->count--;
    stack_push_bool(s, ok);
    return SCRIPT_OK;
}

enum script_error op_checkmultisigverify(struct run *run)
{
    return pop_verify(run, op_checkmultisig(run), SCRIPT_ERR_CHECKMULTISIGVERIFY);
}

/* ---- pieces ---- */

static void ecdsa_hash(const struct run *run, uint8_t out[32], struct span code, uint8_t hash_type)
{
    if (run->version == SIG_LEGACY)
        sighash_legacy(out, run->pre->tx, run->input, code, hash_type);
    else
        sighash_v0(out, run->pre, run->input, code,
            run->pre->spent != NULL ? run->pre->spent[run->input].value_sat : 0, hash_type);
}

/* Bitcoin's FindAndDelete: takes every push of sig out of the code, where an opcode starts. */
static enum script_error delete_signature(const struct run *run, struct sign_code *code, struct span sig)
{
    uint8_t push[PUSH_HEADER_MAX_B + SCRIPT_ELEMENT_MAX_B];
    struct buf pattern = { .data = push, .capacity_b = sizeof push, .limit_b = sizeof push };
    struct reader r;
    uint8_t op, *to = code->copy;
    struct span data;

    if (run->version != SIG_LEGACY)
        return SCRIPT_OK;
    script_put_data(&pattern, sig);
    size_t pattern_b = pattern.size_b;
    if (code->code.size_b < pattern_b ||
        memmem(code->code.data, code->code.size_b, push, pattern_b) == NULL)
        return SCRIPT_OK;

    bool found = false;
    const uint8_t *from = code->code.data, *end = from + code->code.size_b;
    rd_init(&r, code->code);
    do {
        const uint8_t *at = r.at;
        memmove(to, from, (size_t)(at - from));
        to += at - from;
        while ((size_t)(end - at) >= pattern_b && memcmp(at, push, pattern_b) == 0) {
            at += pattern_b;
            found = true;
        }
        from = r.at = at;
    } while (script_next(&r, &op, &data));
    if (!found)
        return SCRIPT_OK;
    memmove(to, from, (size_t)(end - from));
    to += end - from;
    code->code = span_of(code->copy, (size_t)(to - code->copy));
    return run->flags & SCRIPT_VERIFY_CONST_SCRIPTCODE ? SCRIPT_ERR_SIG_FINDANDDELETE : SCRIPT_OK;
}

static enum script_error check_sig_encoding(const struct run *run, struct span sig)
{
    const uint32_t strict =
        SCRIPT_VERIFY_DERSIG | SCRIPT_VERIFY_LOW_S | SCRIPT_VERIFY_STRICTENC;
    if (sig.size_b == 0) /* the compact way to fail */
        return SCRIPT_OK;
    if ((run->flags & strict) && !sig_is_strict_der(sig))
        return SCRIPT_ERR_SIG_DER;
    if ((run->flags & SCRIPT_VERIFY_LOW_S) && !secp_ecdsa_is_low_s(span_of(sig.data, sig.size_b - 1)))
        return SCRIPT_ERR_SIG_HIGH_S;
    if (run->flags & SCRIPT_VERIFY_STRICTENC) {
        uint32_t type = sig.data[sig.size_b - 1] & ~SIGHASH_ANYONECANPAY;
        if (type < SIGHASH_ALL || type > SIGHASH_SINGLE)
            return SCRIPT_ERR_SIG_HASHTYPE;
    }
    return SCRIPT_OK;
}

static enum script_error check_key_encoding(const struct run *run, struct span key)
{
    bool compressed = key.size_b == 33 && (key.data[0] == 2 || key.data[0] == 3);
    bool uncompressed = key.size_b == 65 && key.data[0] == 4;
    if ((run->flags & SCRIPT_VERIFY_STRICTENC) && !compressed && !uncompressed)
        return SCRIPT_ERR_PUBKEYTYPE; /* hybrid keys too */
    if ((run->flags & SCRIPT_VERIFY_WITNESS_PUBKEYTYPE) && run->version == SIG_WITNESS_V0 && !compressed)
        return SCRIPT_ERR_WITNESS_PUBKEYTYPE;
    return SCRIPT_OK;
}
