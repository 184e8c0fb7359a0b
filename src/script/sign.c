/* sign.c - makes scriptSigs and witnesses for the templates that wallets use: P2PK, P2PKH, multisig, and
 * these in P2SH and P2WSH; P2WPKH, alone and in P2SH; P2TR by its key path.
 *
 * The way is Bitcoin's: find what the template wants on the stack, look for signatures that are there
 * already, make what is missing, put scripts around it, and run the interpreter to know whether it is
 * enough. A multisig input with too few signatures keeps those it has, so that the next signer adds his.
 * Secrets are fetched for one signature at a time and wiped behind it. */
#include "coin/script/sign.h"

#include <string.h>

#include "coin/base/mem.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/secp.h"

#define SIG_ROOM_B 73        /* 72 of DER, one of hash type; Schnorr has 65 */
#define SIG_MADE_MAX_B 71    /* of ours: low R, low S, hash type */
#define SCHNORR_MADE_B 64    /* SIGHASH_DEFAULT */
#define ITEMS_MAX (SCRIPT_PUBKEYS_MAX + 4) /* dummy, signatures, redeem and witness script */
#define PUBKEY_B 33
#define WITNESS_SCALE 4

enum wrap { WRAP_NONE, WRAP_V0 }; /* which signature hash counts */

struct signer {
    const struct sign_keys *keys;
    struct sighash_pre pre;
    struct tx tx;          /* a shallow view of the draft */
    uint32_t input, hash_type;
    const uint8_t *aux;
    /* what was there before, for signatures to keep */
    uint32_t old_count;
    struct span old[ITEMS_MAX * 2];
    /* what is made */
    uint32_t count;
    struct span items[ITEMS_MAX];
    uint8_t sigs[SCRIPT_PUBKEYS_MAX][SIG_ROOM_B];
    uint32_t sig_count;
    uint8_t pubkey[65];
    bool any; /* something of worth is among the items */
};

static void collect_old(struct signer *s, const struct tx_in *in);
static bool make_stack(struct signer *s, struct span script, enum wrap wrap);
static bool make_multisig(struct signer *s, struct span script, enum wrap wrap, uint32_t required);
static bool put_signature(struct signer *s, struct span script, enum wrap wrap, const uint8_t key[32]);
static bool keep_signature(struct signer *s, struct span script, enum wrap wrap, struct span pubkey);
static bool make_taproot(struct signer *s, const uint8_t xonly[32]);
static void ecdsa_hash(const struct signer *s, uint8_t out[32], struct span script, enum wrap wrap,
    uint32_t hash_type);
static bool store(struct signer *s, struct tx_draft *draft, struct span redeem, bool in_witness,
    struct fail *why);
static void put_item(struct signer *s, struct span item);
static uint32_t template_weight_wu(struct span script, const struct sign_keys *keys, bool nested);
static uint32_t template_items_b(struct span script, const struct sign_keys *keys, bool in_witness,
    uint32_t *items);
static uint32_t item_size_b(uint32_t size_b, bool in_witness);
static uint32_t count_size_b(uint32_t n);

bool sign_input(struct tx_draft *draft, uint32_t i, const struct coin *spent, const struct sign_keys *keys,
    uint32_t hash_type, const uint8_t aux[32], bool *complete, struct fail *why)
{
    struct signer s = { .keys = keys, .input = i, .hash_type = hash_type, .aux = aux };
    struct span script = spent[i].script, redeem = { 0 }, witness_script = { 0 };
    bool in_witness = false;

    /* The hashes read version, lock time, inputs and outputs only: the draft's own arrays serve. */
    s.tx.version = draft->version;
    s.tx.lock_time = draft->lock_time;
    s.tx.in_count = draft->in_count;
    s.tx.out_count = draft->out_count;
    s.tx.in = draft->in;
    s.tx.out = draft->out;
    sighash_pre_init(&s.pre, &s.tx, spent);

    *complete = script_verify_input(&s.pre, i, SCRIPT_FLAGS_STANDARD) == SCRIPT_OK;
    if (*complete)
        return true;
    collect_old(&s, &draft->in[i]);

    struct script_match m = script_match(script);
    if (m.kind == SCRIPT_SCRIPTHASH) {
        if (!keys->script(keys->ctx, &redeem, m.payload))
            return true;
        script = redeem;
        m = script_match(script);
    }
    enum wrap wrap = WRAP_NONE;
    uint8_t p2pkh[25];
    if (m.kind == SCRIPT_WITNESS_V0_SCRIPTHASH) {
        if (!keys->script(keys->ctx, &witness_script, m.payload))
            return true;
        script = witness_script;
        wrap = WRAP_V0;
        in_witness = true;
    } else if (m.kind == SCRIPT_WITNESS_V0_KEYHASH) {
        struct buf b = { .data = p2pkh, .capacity_b = sizeof p2pkh, .limit_b = sizeof p2pkh };
        script_put_p2pkh(&b, m.payload.data);
        script = span_of(p2pkh, sizeof p2pkh);
        wrap = WRAP_V0;
        in_witness = true;
    }
    if (m.kind == SCRIPT_WITNESS_V1_TAPROOT) {
        in_witness = true;
        make_taproot(&s, m.payload.data);
    } else {
        make_stack(&s, script, wrap);
    }
    if (!s.any)
        return true;
    if (witness_script.size_b > 0)
        put_item(&s, witness_script);
    if (!store(&s, draft, redeem, in_witness, why))
        return false;
    s.tx.in = draft->in;
    *complete = script_verify_input(&s.pre, i, SCRIPT_FLAGS_STANDARD) == SCRIPT_OK;
    return true;
}

/* ---- templates ---- */

/* Puts what the script wants onto the items; false: not all of it, or not a template. */
static bool make_stack(struct signer *s, struct span script, enum wrap wrap)
{
    const struct sign_keys *keys = s->keys;
    struct script_match m = script_match(script);
    uint8_t key[32];
    size_t pubkey_b = 0;
    bool ok = false;

    switch (m.kind) {
    case SCRIPT_PUBKEY:
        if (keys->by_pubkey(keys->ctx, key, m.payload))
            ok = put_signature(s, script, wrap, key);
        break;
    case SCRIPT_PUBKEYHASH:
        if (keys->by_hash(keys->ctx, key, s->pubkey, &pubkey_b, m.payload.data) &&
            put_signature(s, script, wrap, key)) {
            put_item(s, span_of(s->pubkey, pubkey_b));
            ok = true;
        }
        break;
    case SCRIPT_MULTISIG:
        ok = make_multisig(s, script, wrap, m.required);
        break;
    case SCRIPT_SCRIPTHASH:
    case SCRIPT_NULLDATA:
    case SCRIPT_WITNESS_V0_KEYHASH:
    case SCRIPT_WITNESS_V0_SCRIPTHASH:
    case SCRIPT_WITNESS_V1_TAPROOT:
    case SCRIPT_ANCHOR:
    case SCRIPT_WITNESS_UNKNOWN:
    case SCRIPT_NONSTANDARD:
        break;
    }
    mem_wipe(key, sizeof key);
    return ok;
}

/* Signatures in the order of their keys, as many as are required; places left over stay empty. */
static bool make_multisig(struct signer *s, struct span script, enum wrap wrap, uint32_t required)
{
    struct span pubkeys[SCRIPT_PUBKEYS_MAX];
    uint32_t count = script_multisig_keys(script, pubkeys), have = 0;
    uint8_t key[32];

    put_item(s, (struct span){ 0 }); /* OP_CHECKMULTISIG takes one too many */
    for (uint32_t k = 0; k < count && have < required; k++) {
        if (keep_signature(s, script, wrap, pubkeys[k])) {
            have++;
        } else if (s->keys->by_pubkey(s->keys->ctx, key, pubkeys[k])) {
            have += put_signature(s, script, wrap, key);
            mem_wipe(key, sizeof key);
        }
    }
    for (uint32_t k = have; k < required; k++)
        put_item(s, (struct span){ 0 });
    return have == required;
}

static bool put_signature(struct signer *s, struct span script, enum wrap wrap, const uint8_t key[32])
{
    uint32_t type = s->hash_type == SIGHASH_DEFAULT ? SIGHASH_ALL : s->hash_type;
    uint8_t hash[32], *sig = s->sigs[s->sig_count];
    size_t size_b;
    ecdsa_hash(s, hash, script, wrap, type);
    if (!secp_ecdsa_sign(sig, &size_b, key, hash, true))
        return false;
    sig[size_b++] = (uint8_t)type;
    s->sig_count++;
    put_item(s, span_of(sig, size_b));
    s->any = true;
    return true;
}

/* A signature for this key that the input already had. */
static bool keep_signature(struct signer *s, struct span script, enum wrap wrap, struct span pubkey)
{
    uint8_t hash[32];
    for (uint32_t i = 0; i < s->old_count; i++) {
        struct span sig = s->old[i];
        if (sig.size_b < 9 || sig.size_b > SIG_ROOM_B || sig.data[0] != 0x30)
            continue;
        ecdsa_hash(s, hash, script, wrap, sig.data[sig.size_b - 1]);
        if (secp_ecdsa_verify(pubkey, span_of(sig.data, sig.size_b - 1), hash)) {
            uint8_t *copy = s->sigs[s->sig_count++];
            memcpy(copy, sig.data, sig.size_b);
            put_item(s, span_of(copy, sig.size_b));
            s->any = true;
            return true;
        }
    }
    return false;
}

static bool make_taproot(struct signer *s, const uint8_t xonly[32])
{
    struct sighash_tap tap = { 0 };
    uint8_t key[32], tweak[32], hash[32], *sig = s->sigs[0];
    size_t size_b = SCHNORR_MADE_B;
    bool ok = false;

    if (!s->keys->by_output(s->keys->ctx, key, tweak, xonly))
        return false;
    if (sighash_taproot(hash, &s->pre, s->input, s->hash_type, &tap) &&
        secp_schnorr_sign(sig, key, tweak, hash, s->aux)) {
        if (s->hash_type != SIGHASH_DEFAULT)
            sig[size_b++] = (uint8_t)s->hash_type;
        put_item(s, span_of(sig, size_b));
        s->sig_count = 1;
        s->any = ok = true;
    }
    mem_wipe(key, sizeof key);
    mem_wipe(tweak, sizeof tweak);
    return ok;
}

static void ecdsa_hash(const struct signer *s, uint8_t out[32], struct span script, enum wrap wrap,
    uint32_t hash_type)
{
    if (wrap == WRAP_V0)
        sighash_v0(out, &s->pre, s->input, script, s->pre.spent[s->input].value_sat, hash_type);
    else
        sighash_legacy(out, &s->tx, s->input, script, hash_type);
}

static void put_item(struct signer *s, struct span item)
{
    if (s->count < ITEMS_MAX)
        s->items[s->count++] = item;
}

/* ---- what was there, what will be ---- */

static void collect_old(struct signer *s, const struct tx_in *in)
{
    const uint32_t room = (uint32_t)(sizeof s->old / sizeof s->old[0]);
    struct reader r;
    struct span push;
    uint8_t op;
    rd_init(&r, in->script_sig);
    while (s->old_count < room && script_next(&r, &op, &push)) {
        if (push.size_b > 0)
            s->old[s->old_count++] = push;
    }
    for (uint32_t i = 0; i < in->witness_count && s->old_count < room; i++)
        s->old[s->old_count++] = in->witness[i];
}

/* Legacy: items, then the redeem script, in the scriptSig. Witness: items there, and the scriptSig only
 * shows the program where P2SH hides it. */
static bool store(struct signer *s, struct tx_draft *draft, struct span redeem, bool in_witness,
    struct fail *why)
{
    struct buf script_sig;
    buf_init(&script_sig, SCRIPT_SIZE_MAX_B);
    for (uint32_t i = 0; !in_witness && i < s->count; i++)
        script_put_push(&script_sig, s->items[i]);
    if (redeem.size_b > 0)
        script_put_data(&script_sig, redeem);
    bool ok = buf_ok(&script_sig, "scriptSig", why);
    if (ok && (!tx_draft_set_script_sig(draft, s->input, buf_span(&script_sig)) ||
               !tx_draft_set_witness(draft, s->input, s->items, in_witness ? s->count : 0)))
        ok = fail_oom(why, "signed input");
    buf_clear(&script_sig);
    return ok;
}

/* ---- weight ---- */

uint32_t sign_input_weight_wu(struct span script_pubkey, const struct sign_keys *keys)
{
    return template_weight_wu(script_pubkey, keys, false);
}

static uint32_t count_size_b(uint32_t n)
{
    return n < 0xfd ? 1 : n <= UINT16_MAX ? 3 : 5;
}

/* Size of a push in a scriptSig, or of an item in a witness. */
static uint32_t item_size_b(uint32_t size_b, bool in_witness)
{
    if (in_witness)
        return count_size_b(size_b) + size_b;
    return size_b + (size_b <= 75 ? 1 : size_b <= UINT8_MAX ? 2 : 3);
}

static uint32_t template_items_b(struct span script, const struct sign_keys *keys, bool in_witness,
    uint32_t *items)
{
    struct script_match m = script_match(script);
    uint8_t key[32], pubkey[65];
    size_t pubkey_b = PUBKEY_B;

    if (m.kind == SCRIPT_PUBKEY) {
        *items = 1;
        return item_size_b(SIG_MADE_MAX_B, in_witness);
    }
    if (m.kind == SCRIPT_PUBKEYHASH) {
        if (keys == NULL || !keys->by_hash(keys->ctx, key, pubkey, &pubkey_b, m.payload.data))
            pubkey_b = PUBKEY_B;
        mem_wipe(key, sizeof key);
        *items = 2;
        return item_size_b(SIG_MADE_MAX_B, in_witness) + item_size_b((uint32_t)pubkey_b, in_witness);
    }
    if (m.kind == SCRIPT_MULTISIG) {
        *items = 1 + m.required;
        return 1 + m.required * item_size_b(SIG_MADE_MAX_B, in_witness);
    }
    return 0;
}

static uint32_t template_weight_wu(struct span script, const struct sign_keys *keys, bool nested)
{
    struct script_match m = script_match(script);
    struct span inner;
    uint32_t items = 0;

    if (m.kind == SCRIPT_WITNESS_V1_TAPROOT)
        return nested ? 0 : 1 + item_size_b(SCHNORR_MADE_B, true);
    if (m.kind == SCRIPT_WITNESS_V0_KEYHASH)
        return 1 + item_size_b(SIG_MADE_MAX_B, true) + item_size_b(PUBKEY_B, true);
    if (m.kind == SCRIPT_WITNESS_V0_SCRIPTHASH) {
        if (keys == NULL || !keys->script(keys->ctx, &inner, m.payload))
            return 0;
        uint32_t size_b = template_items_b(inner, keys, true, &items);
        return size_b == 0 ? 0 : count_size_b(items + 1) + size_b +
                                     item_size_b((uint32_t)inner.size_b, true);
    }
    if (m.kind == SCRIPT_SCRIPTHASH) {
        uint32_t program_version;
        struct span program;
        if (nested || keys == NULL || !keys->script(keys->ctx, &inner, m.payload))
            return 0;
        uint32_t push_b = item_size_b((uint32_t)inner.size_b, false);
        if (script_witness_program(inner, &program_version, &program)) {
            uint32_t witness_wu = template_weight_wu(inner, keys, true);
            return witness_wu == 0 ? 0 : witness_wu + push_b * WITNESS_SCALE;
        }
        uint32_t size_b = template_items_b(inner, keys, false, &items);
        if (size_b == 0)
            return 0;
        size_b += push_b;
        return (size_b + count_size_b(size_b) - 1) * WITNESS_SCALE;
    }
    uint32_t size_b = template_items_b(script, keys, false, &items);
    return size_b == 0 ? 0 : (size_b + count_size_b(size_b) - 1) * WITNESS_SCALE;
}
