/* script.c - script bytes: walking opcodes, making pushes, writing assembly, recognising templates.
 *
 * A script is opcodes, some followed by data: 0x01 to 0x4b push that many bytes, OP_PUSHDATA1/2/4 (0x4c to
 * 0x4e) carry a length of 1, 2 or 4 bytes first. Everything here is a walk with script_next, which never
 * reads past the end; nothing executes (interpreter.c does). Templates are recognised byte for byte as
 * Bitcoin's Solver does: wallets and policy depend on the exact edges. */
#include "coin/script/script.h"

#include <string.h>

#include "sig_encoding.h"
#include "script_number.h"

#define PUSH_DIRECT_MAX_B 75 /* one length byte; longer ones need OP_PUSHDATA1 and up */
#define ASM_NUMBER_MAX_B 4   /* shorter pushes are shown as numbers */

static const char *const opcode_names[256] = {
    [OP_0] = "0", [OP_PUSHDATA1] = "OP_PUSHDATA1", [OP_PUSHDATA2] = "OP_PUSHDATA2",
    [OP_PUSHDATA4] = "OP_PUSHDATA4", [OP_1NEGATE] = "-1", [OP_RESERVED] = "OP_RESERVED",
    [OP_1] = "1", [OP_2] = "2", [OP_3] = "3", [OP_4] = "4", [OP_5] = "5", [OP_6] = "6", [OP_7] = "7",
    [OP_8] = "8", [OP_9] = "9", [OP_10] = "10", [OP_11] = "11", [OP_12] = "12", [OP_13] = "13",
    [OP_14] = "14", [OP_15] = "15", [OP_16] = "16",
    [OP_NOP] = "OP_NOP", [OP_VER] = "OP_VER", [OP_IF] = "OP_IF", [OP_NOTIF] = "OP_NOTIF",
    [OP_VERIF] = "OP_VERIF", [OP_VERNOTIF] = "OP_VERNOTIF", [OP_ELSE] = "OP_ELSE",
    [OP_ENDIF] = "OP_ENDIF", [OP_VERIFY] = "OP_VERIFY", [OP_RETURN] = "OP_RETURN",
    [OP_TOALTSTACK] = "OP_TOALTSTACK", [OP_FROMALTSTACK] = "OP_FROMALTSTACK", [OP_2DROP] = "OP_2DROP",
    [OP_2DUP] = "OP_2DUP", [OP_3DUP] = "OP_3DUP", [OP_2OVER] = "OP_2OVER", [OP_2ROT] = "OP_2ROT",
    [OP_2SWAP] = "OP_2SWAP", [OP_IFDUP] = "OP_IFDUP", [OP_DEPTH] = "OP_DEPTH", [OP_DROP] = "OP_DROP",
    [OP_DUP] = "OP_DUP", [OP_NIP] = "OP_NIP", [OP_OVER] = "OP_OVER", [OP_PICK] = "OP_PICK",
    [OP_ROLL] = "OP_ROLL", [OP_ROT] = "OP_ROT", [OP_SWAP] = "OP_SWAP", [OP_TUCK] = "OP_TUCK",
    [OP_CAT] = "OP_CAT", [OP_SUBSTR] = "OP_SUBSTR", [OP_LEFT] = "OP_LEFT", [OP_RIGHT] = "OP_RIGHT",
    [OP_SIZE] = "OP_SIZE", [OP_INVERT] = "OP_INVERT", [OP_AND] = "OP_AND", [OP_OR] = "OP_OR",
    [OP_XOR] = "OP_XOR", [OP_EQUAL] = "OP_EQUAL", [OP_EQUALVERIFY] = "OP_EQUALVERIFY",
    [OP_RESERVED1] = "OP_RESERVED1", [OP_RESERVED2] = "OP_RESERVED2", [OP_1ADD] = "OP_1ADD",
    [OP_1SUB] = "OP_1SUB", [OP_2MUL] = "OP_2MUL", [OP_2DIV] = "OP_2DIV", [OP_NEGATE] = "OP_NEGATE",
    [OP_ABS] = "OP_ABS", [OP_NOT] = "OP_NOT", [OP_0NOTEQUAL] = "OP_0NOTEQUAL", [OP_ADD] = "OP_ADD",
    [OP_SUB] = "OP_SUB", [OP_MUL] = "OP_MUL", [OP_DIV] = "OP_DIV", [OP_MOD] = "OP_MOD",
    [OP_LSHIFT] = "OP_LSHIFT", [OP_RSHIFT] = "OP_RSHIFT", [OP_BOOLAND] = "OP_BOOLAND",
    [OP_BOOLOR] = "OP_BOOLOR", [OP_NUMEQUAL] = "OP_NUMEQUAL",
    [OP_NUMEQUALVERIFY] = "OP_NUMEQUALVERIFY", [OP_NUMNOTEQUAL] = "OP_NUMNOTEQUAL",
    [OP_LESSTHAN] = "OP_LESSTHAN", [OP_GREATERTHAN] = "OP_GREATERTHAN",
    [OP_LESSTHANOREQUAL] = "OP_LESSTHANOREQUAL", [OP_GREATERTHANOREQUAL] = "OP_GREATERTHANOREQUAL",
    [OP_MIN] = "OP_MIN", [OP_MAX] = "OP_MAX", [OP_WITHIN] = "OP_WITHIN",
    [OP_RIPEMD160] = "OP_RIPEMD160", [OP_SHA1] = "OP_SHA1", [OP_SHA256] = "OP_SHA256",
    [OP_HASH160] = "OP_HASH160", [OP_HASH256] = "OP_HASH256", [OP_CODESEPARATOR] = "OP_CODESEPARATOR",
    [OP_CHECKSIG] = "OP_CHECKSIG", [OP_CHECKSIGVERIFY] = "OP_CHECKSIGVERIFY",
    [OP_CHECKMULTISIG] = "OP_CHECKMULTISIG", [OP_CHECKMULTISIGVERIFY] = "OP_CHECKMULTISIGVERIFY",
    [OP_NOP1] = "OP_NOP1", [OP_CHECKLOCKTIMEVERIFY] = "OP_CHECKLOCKTIMEVERIFY",
    [OP_CHECKSEQUENCEVERIFY] = "OP_CHECKSEQUENCEVERIFY", [OP_NOP4] = "OP_NOP4", [OP_NOP5] = "OP_NOP5",
    [OP_NOP6] = "OP_NOP6", [OP_NOP7] = "OP_NOP7", [OP_NOP8] = "OP_NOP8", [OP_NOP9] = "OP_NOP9",
    [OP_NOP10] = "OP_NOP10", [OP_CHECKSIGADD] = "OP_CHECKSIGADD", [OP_INVALIDOPCODE] = "OP_INVALIDOPCODE",
};

static const char *const kind_names[] = {
    [SCRIPT_NONSTANDARD] = "nonstandard", [SCRIPT_PUBKEY] = "pubkey", [SCRIPT_PUBKEYHASH] = "pubkeyhash",
    [SCRIPT_SCRIPTHASH] = "scripthash", [SCRIPT_MULTISIG] = "multisig", [SCRIPT_NULLDATA] = "nulldata",
    [SCRIPT_WITNESS_V0_KEYHASH] = "witness_v0_keyhash",
    [SCRIPT_WITNESS_V0_SCRIPTHASH] = "witness_v0_scripthash",
    [SCRIPT_WITNESS_V1_TAPROOT] = "witness_v1_taproot", [SCRIPT_ANCHOR] = "anchor",
    [SCRIPT_WITNESS_UNKNOWN] = "witness_unknown",
};

static void put_asm_push(struct buf *out, struct span push, bool sighash_names);
static bool match_pubkey(struct span script, struct span *key);
static bool match_multisig(struct span script, struct script_match *match, struct span *keys);
static bool small_number(uint8_t op, struct span push, uint32_t min, uint32_t *out);

/* ---- walking ---- */

bool script_next(struct reader *r, uint8_t *op, struct span *push)
{
    *push = (struct span){ 0 };
    if (r->failed || r->at >= r->end)
        return false;
    *op = *r->at++;
    if (*op > OP_PUSHDATA4)
        return true;
    size_t size_b = *op, left_b = (size_t)(r->end - r->at);
    if (*op >= OP_PUSHDATA1) {
        uint32_t length_b = 1u << (*op - OP_PUSHDATA1);
        if (left_b < length_b) {
            rd_fail(r, "script ends inside a push's length");
            return false;
        }
        size_b = length_b == 1 ? r->at[0]
               : length_b == 2 ? (size_t)(r->at[0] | r->at[1] << 8) : get_u32le(r->at);
        r->at += length_b;
        left_b -= length_b;
    }
    if (left_b < size_b) {
        rd_fail(r, "script ends inside a push");
        return false;
    }
    *push = span_of(r->at, size_b);
    r->at += size_b;
    return true;
}

const char *opcode_name(uint8_t op)
{
    return opcode_names[op] != NULL ? opcode_names[op] : "OP_UNKNOWN";
}

bool opcode_is_success(uint8_t op)
{
    return op == 80 || op == 98 || (op >= 126 && op <= 129) || (op >= 131 && op <= 134) ||
           (op >= 137 && op <= 138) || (op >= 141 && op <= 142) || (op >= 149 && op <= 153) ||
           (op >= 187 && op <= 254);
}

bool script_is_push_only(struct span script)
{
    struct reader r;
    uint8_t op;
    struct span push;
    rd_init(&r, script);
    while (script_next(&r, &op, &push)) {
        if (op > OP_16) /* OP_RESERVED counts as a push here, as in Bitcoin: it fails when it runs */
            return false;
    }
    return !r.failed;
}

bool script_is_unspendable(struct span script)
{
    return (script.size_b > 0 && script.data[0] == OP_RETURN) || script.size_b > SCRIPT_SIZE_MAX_B;
}

/* ---- making ---- */

void script_put_push(struct buf *out, struct span data)
{
    if (data.size_b == 0) {
        buf_put_u8(out, OP_0);
    } else if (data.size_b == 1 && data.data[0] >= 1 && data.data[0] <= 16) {
        buf_put_u8(out, (uint8_t)(OP_1 - 1 + data.data[0]));
    } else if (data.size_b == 1 && data.data[0] == 0x81) {
        buf_put_u8(out, OP_1NEGATE);
    } else {
        script_put_data(out, data);
    }
}

void script_put_data(struct buf *out, struct span data)
{
    if (data.size_b <= PUSH_DIRECT_MAX_B) {
        buf_put_u8(out, (uint8_t)data.size_b);
    } else if (data.size_b <= UINT8_MAX) {
        buf_put_u8(out, OP_PUSHDATA1);
        buf_put_u8(out, (uint8_t)data.size_b);
    } else if (data.size_b <= UINT16_MAX) {
        buf_put_u8(out, OP_PUSHDATA2);
        buf_put_u16le(out, (uint16_t)data.size_b);
    } else {
        buf_put_u8(out, OP_PUSHDATA4);
        buf_put_u32le(out, (uint32_t)data.size_b);
    }
    buf_put(out, data.data, data.size_b);
}

void script_put_number(struct buf *out, int64_t n)
{
    uint8_t bytes[SCRIPT_NUMBER_SIZE_B];
    script_put_push(out, span_of(bytes, script_number_encode(bytes, n)));
}

void script_put_p2pkh(struct buf *out, const uint8_t hash[20])
{
    buf_put(out, (const uint8_t[]){ OP_DUP, OP_HASH160, 20 }, 3);
    buf_put(out, hash, 20);
    buf_put(out, (const uint8_t[]){ OP_EQUALVERIFY, OP_CHECKSIG }, 2);
}

void script_put_p2sh(struct buf *out, const uint8_t hash[20])
{
    buf_put(out, (const uint8_t[]){ OP_HASH160, 20 }, 2);
    buf_put(out, hash, 20);
    buf_put_u8(out, OP_EQUAL);
}

void script_put_witness(struct buf *out, uint32_t version, struct span program)
{
    script_put_number(out, version);
    script_put_data(out, program);
}

void script_put_multisig(struct buf *out, uint32_t required, const struct span *keys, uint32_t count)
{
    script_put_number(out, required);
    for (uint32_t i = 0; i < count; i++)
        script_put_data(out, keys[i]);
    script_put_number(out, count);
    buf_put_u8(out, OP_CHECKMULTISIG);
}

/* ---- assembly ---- */

void script_to_asm(struct buf *out, struct span script, bool sighash_names)
{
    struct reader r;
    rd_init(&r, script);
    sighash_names = sighash_names && !script_is_unspendable(script);
    for (bool first = true; rd_left(&r) > 0; first = false) {
        uint8_t op;
        struct span push;
        if (!first)
            buf_put_u8(out, ' ');
        if (!script_next(&r, &op, &push)) {
            buf_put_text(out, "[error]");
            return;
        }
        if (op <= OP_PUSHDATA4)
            put_asm_push(out, push, sighash_names);
        else
            buf_put_text(out, opcode_name(op));
    }
}

static void put_asm_push(struct buf *out, struct span push, bool sighash_names)
{
    static const struct { uint8_t type; const char *name; } types[] = {
        { 0x01, "[ALL]" }, { 0x81, "[ALL|ANYONECANPAY]" }, { 0x02, "[NONE]" },
        { 0x82, "[NONE|ANYONECANPAY]" }, { 0x03, "[SINGLE]" }, { 0x83, "[SINGLE|ANYONECANPAY]" },
    };
    if (push.size_b <= ASM_NUMBER_MAX_B) {
        buf_printf(out, "%lld", (long long)script_number_read(push));
        return;
    }
    if (sighash_names && sig_is_strict_der(push)) {
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
            if (push.data[push.size_b - 1] == types[i].type) {
                buf_put_hex(out, push.data, push.size_b - 1);
                buf_put_text(out, types[i].name);
                return;
            }
        }
    }
    buf_put_hex(out, push.data, push.size_b);
}

/* ---- templates ---- */

bool script_witness_program(struct span script, uint32_t *version, struct span *program)
{
    /* BIP141: OP_0 or OP_1..16, then one direct push of 2 to 40 bytes, and nothing else */
    if (script.size_b < 4 || script.size_b > 42 || script.data[1] + 2u != script.size_b)
        return false;
    uint8_t op = script.data[0];
    if (op != OP_0 && (op < OP_1 || op > OP_16))
        return false;
    *version = op == OP_0 ? 0 : op - (uint32_t)OP_1 + 1;
    *program = span_of(script.data + 2, script.size_b - 2);
    return true;
}

bool script_is_p2sh(struct span script)
{
    return script.size_b == 23 && script.data[0] == OP_HASH160 && script.data[1] == 20 &&
           script.data[22] == OP_EQUAL;
}

bool script_pubkey_size_fits(struct span key)
{
    if (key.size_b == 33)
        return key.data[0] == 2 || key.data[0] == 3;
    return key.size_b == 65 && (key.data[0] == 4 || key.data[0] == 6 || key.data[0] == 7);
}

struct script_match script_match(struct span script)
{
    struct script_match m = { .kind = SCRIPT_NONSTANDARD };
    const uint8_t *s = script.data;
    size_t n = script.size_b;

    if (script_is_p2sh(script)) {
        m.kind = SCRIPT_SCRIPTHASH;
        m.payload = span_of(s + 2, 20);
    } else if (script_witness_program(script, &m.witness_version, &m.payload)) {
        if (m.witness_version == 0) {
            m.kind = m.payload.size_b == 20 ? SCRIPT_WITNESS_V0_KEYHASH
                   : m.payload.size_b == 32 ? SCRIPT_WITNESS_V0_SCRIPTHASH : SCRIPT_NONSTANDARD;
        } else if (m.witness_version == 1 && m.payload.size_b == 32) {
            m.kind = SCRIPT_WITNESS_V1_TAPROOT;
        } else if (script_is_anchor(script)) {
            m.kind = SCRIPT_ANCHOR;
        } else {
            m.kind = SCRIPT_WITNESS_UNKNOWN;
        }
    } else if (n >= 1 && s[0] == OP_RETURN && script_is_push_only(span_of(s + 1, n - 1))) {
        m.kind = SCRIPT_NULLDATA;
        m.payload = span_of(s + 1, n - 1);
    } else if (match_pubkey(script, &m.payload)) {
        m.kind = SCRIPT_PUBKEY;
    } else if (n == 25 && s[0] == OP_DUP && s[1] == OP_HASH160 && s[2] == 20 && s[23] == OP_EQUALVERIFY &&
               s[24] == OP_CHECKSIG) {
        m.kind = SCRIPT_PUBKEYHASH;
        m.payload = span_of(s + 3, 20);
    } else if (match_multisig(script, &m, NULL)) {
        m.kind = SCRIPT_MULTISIG;
    }
    return m;
}

const char *script_kind_name(enum script_kind kind)
{
    return kind_names[kind];
}

bool script_is_anchor(struct span script)
{
    static const uint8_t anchor[] = { OP_1, 2, 0x4e, 0x73 }; /* "bc1pfees" */
    return script.size_b == sizeof anchor && memcmp(script.data, anchor, sizeof anchor) == 0;
}

uint32_t script_multisig_keys(struct span script, struct span keys[SCRIPT_PUBKEYS_MAX])
{
    struct script_match m = { .kind = SCRIPT_NONSTANDARD };
    return match_multisig(script, &m, keys) ? m.keys : 0;
}

static bool match_pubkey(struct span script, struct span *key)
{
    if (script.size_b != 35 && script.size_b != 67)
        return false;
    if (script.data[0] + 2u != script.size_b || script.data[script.size_b - 1] != OP_CHECKSIG)
        return false;
    *key = span_of(script.data + 1, script.size_b - 2);
    return script_pubkey_size_fits(*key);
}

/* m <key>... n OP_CHECKMULTISIG with 1 <= m <= n <= 20. */
static bool match_multisig(struct span script, struct script_match *match, struct span *keys)
{
    struct reader r;
    uint8_t op;
    struct span push;
    uint32_t count = 0, total;

    if (script.size_b == 0 || script.data[script.size_b - 1] != OP_CHECKMULTISIG)
        return false;
    rd_init(&r, script);
    if (!script_next(&r, &op, &push) || !small_number(op, push, 1, &match->required))
        return false;
    for (;;) {
        if (!script_next(&r, &op, &push))
            return false;
        if (!script_pubkey_size_fits(push))
            break;
        if (count >= SCRIPT_PUBKEYS_MAX)
            return false;
        if (keys != NULL)
            keys[count] = push;
        count++;
    }
    if (!small_number(op, push, match->required, &total) || total != count || rd_left(&r) != 1)
        return false;
    match->keys = count;
    return true;
}

/* OP_1 to OP_16, or a minimal push of 17 to 20. */
static bool small_number(uint8_t op, struct span push, uint32_t min, uint32_t *out)
{
    int64_t n;
    if (op >= OP_1 && op <= OP_16)
        n = op - OP_1 + 1;
    else if (op > OP_0 && op <= OP_PUSHDATA4 && script_push_is_minimal(op, push)) {
        if (!script_number_decode(&n, push, true, SCRIPT_NUMBER_MAX_B))
            return false;
    } else {
        return false;
    }
    if (n < min || n > SCRIPT_PUBKEYS_MAX)
        return false;
    *out = (uint32_t)n;
    return true;
}

bool script_push_is_minimal(uint8_t op, struct span push)
{
    if (push.size_b == 0)
        return op == OP_0;
    if (push.size_b == 1 && ((push.data[0] >= 1 && push.data[0] <= 16) || push.data[0] == 0x81))
        return false; /* OP_1..OP_16 and OP_1NEGATE are shorter */
    if (push.size_b <= PUSH_DIRECT_MAX_B)
        return op == push.size_b;
    if (push.size_b <= UINT8_MAX)
        return op == OP_PUSHDATA1;
    if (push.size_b <= UINT16_MAX)
        return op == OP_PUSHDATA2;
    return true;
}
