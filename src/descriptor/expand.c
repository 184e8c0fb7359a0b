/* expand.c - a descriptor at an index: its keys, its scripts, and a signer's view of them; and the way
 * back, from a script that was seen to the descriptor it shows. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "coin/crypto/hash.h"
#include "coin/crypto/secp.h"
#include "coin/crypto/sha256.h"
#include "coin/script/address.h"
#include "parts.h"

#define EXPANSION_ARENA_MAX_B ((size_t)64 << 10) /* 20 keys with paths of 510 steps, and scripts */
#define SCRIPT_ROOM_B (DESCRIPTOR_KEYS_MAX * 66 + 8)

static bool expand_key(struct descriptor_key *out, const struct key_expr *key, uint32_t index,
    struct arena *arena, struct fail *why);
static bool expand_path(struct descriptor_key *out, const struct key_expr *key, uint32_t index,
    struct arena *arena, struct fail *why);
static bool expand_scripts(struct descriptor_expansion *out, const struct descriptor *d, struct fail *why);
static bool expand_combo(struct descriptor_expansion *out, struct fail *why);
static bool expand_taproot(struct descriptor_expansion *out, bool tweak, struct fail *why);
static bool add_script(struct descriptor_expansion *out, struct span inner, bool wsh, bool sh,
    struct fail *why);
static void put_inner(struct buf *script, const struct descriptor *d, const struct descriptor_key *keys);
static int compare_spans(const void *a, const void *b);
static bool keep(struct span *out, struct arena *arena, struct span bytes, struct fail *why);

bool descriptor_expand(struct descriptor_expansion *out, const struct descriptor *d, uint32_t index,
    struct fail *why)
{
    memset(out, 0, sizeof *out);
    arena_init(&out->arena, EXPANSION_ARENA_MAX_B);
    bool ok = index <= DESCRIPTOR_INDEX_MAX || refuse(why, "Index %" PRIu32 " is out of range", index);
    for (uint32_t i = 0; ok && i < d->key_count; i++) {
        out->key_count = i + 1;
        ok = expand_key(&out->keys[i], &d->keys[i], index, &out->arena, why);
    }
    ok = ok && expand_scripts(out, d, why);
    if (!ok)
        descriptor_expansion_clear(out);
    return ok;
}

void descriptor_expansion_clear(struct descriptor_expansion *e)
{
    mem_wipe(e->keys, sizeof e->keys);
    arena_clear(&e->arena);
    e->script_count = e->key_count = 0;
}

/* ---- keys ---- */

static bool expand_key(struct descriptor_key *out, const struct key_expr *key, uint32_t index,
    struct arena *arena, struct fail *why)
{
    struct hdkey child;
    struct fail cause;

    if (!key->is_extended) {
        memcpy(out->pubkey, key->pubkey, sizeof out->pubkey);
        memcpy(out->key, key->key, sizeof out->key);
        out->pubkey_size_b = key->pubkey_size_b;
        out->has_private = key->has_private;
        return expand_path(out, key, index, arena, why);
    }
    if (!key->base_known || (key->range == RANGE_HARDENED && !key->base.is_private))
        return refuse(why, "Cannot derive script without private keys");
    if (key->range == RANGE_NONE)
        child = key->base;
    else if (!hdkey_child(&child, &key->base, index | (key->range == RANGE_HARDENED ? HD_HARDENED : 0),
                 &cause))
        return refuse(why, "index %" PRIu32 ": %s", index, cause.detail);
    memcpy(out->pubkey, child.pubkey, sizeof child.pubkey);
    out->pubkey_size_b = sizeof child.pubkey;
    out->has_private = child.is_private;
    if (child.is_private)
        memcpy(out->key, child.key, sizeof out->key);
    mem_wipe(&child, sizeof child);
    return expand_path(out, key, index, arena, why);
}

/* Where the key comes from: the origin when one is written, else the extended key itself is the master. */
static bool expand_path(struct descriptor_key *out, const struct key_expr *key, uint32_t index,
    struct arena *arena, struct fail *why)
{
    uint32_t range = key->range != RANGE_NONE ? 1 : 0;
    uint32_t count = key->origin_count + key->path_count + range;
    uint8_t hash[20];

    uint32_t *path = arena_array(arena, count, sizeof *path);
    if (path == NULL)
        return fail_oom(why, "descriptor");
    if (key->origin_count > 0)
        memcpy(path, key->origin_path, key->origin_count * sizeof *path);
    if (key->path_count > 0)
        memcpy(path + key->origin_count, key->path, key->path_count * sizeof *path);
    if (range)
        path[count - 1] = index | (key->range == RANGE_HARDENED ? HD_HARDENED : 0);
    out->path = path;
    out->path_count = count;
    out->has_origin = true;
    if (key->has_origin) {
        memcpy(out->fingerprint, key->origin, sizeof out->fingerprint);
    } else {
        hash160(hash, key->pubkey, key->pubkey_size_b);
        memcpy(out->fingerprint, hash, sizeof out->fingerprint);
    }
    return true;
}

/* ---- scripts ---- */

static bool expand_scripts(struct descriptor_expansion *out, const struct descriptor *d, struct fail *why)
{
    uint8_t room[SCRIPT_ROOM_B];
    struct buf inner = { .data = room, .capacity_b = sizeof room, .limit_b = sizeof room };

    switch (d->function) {
    case FUNCTION_ADDR:
    case FUNCTION_RAW:
        return add_script(out, d->script, false, false, why);
    case FUNCTION_COMBO:
        return expand_combo(out, why);
    case FUNCTION_TR:
    case FUNCTION_RAWTR:
        return expand_taproot(out, d->function == FUNCTION_TR, why);
    case FUNCTION_PK:
    case FUNCTION_PKH:
    case FUNCTION_WPKH:
    case FUNCTION_MULTI:
    case FUNCTION_SORTEDMULTI:
    case FUNCTION_SH:
    case FUNCTION_WSH:
        break;
    }
    put_inner(&inner, d, out->keys);
    return buf_ok(&inner, "descriptor script", why) &&
           add_script(out, buf_span(&inner), d->in_wsh, d->in_sh, why);
}

static void put_inner(struct buf *script, const struct descriptor *d, const struct descriptor_key *keys)
{
    struct span sorted[DESCRIPTOR_KEYS_MAX];
    uint8_t hash[20];

    if (d->function == FUNCTION_PK) {
        script_put_data(script, span_of(keys[0].pubkey, keys[0].pubkey_size_b));
        buf_put_u8(script, OP_CHECKSIG);
        return;
    }
    if (d->function == FUNCTION_PKH || d->function == FUNCTION_WPKH) {
        hash160(hash, keys[0].pubkey, keys[0].pubkey_size_b);
        if (d->function == FUNCTION_PKH)
            script_put_p2pkh(script, hash);
        else
            script_put_witness(script, 0, span_of(hash, sizeof hash));
        return;
    }
    for (uint32_t i = 0; i < d->key_count; i++)
        sorted[i] = span_of(keys[i].pubkey, keys[i].pubkey_size_b);
    if (d->function == FUNCTION_SORTEDMULTI) /* BIP67 */
        qsort(sorted, d->key_count, sizeof sorted[0], compare_spans);
    script_put_multisig(script, d->required, sorted, d->key_count);
}

static int compare_spans(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    size_t shorter_b = x->size_b < y->size_b ? x->size_b : y->size_b;
    int order = memcmp(x->data, y->data, shorter_b);
    return order != 0 ? order : (x->size_b > y->size_b) - (x->size_b < y->size_b);
}

/* Wraps the inner script as asked and adds the output script. */
static bool add_script(struct descriptor_expansion *out, struct span inner, bool wsh, bool sh,
    struct fail *why)
{
    struct descriptor_script *s = &out->scripts[out->script_count++];
    uint8_t hash[32], room[SCRIPT_ELEMENT_MAX_B];
    struct buf wrapped = { .data = room, .capacity_b = sizeof room, .limit_b = sizeof room };

    if (!keep(&s->script, &out->arena, inner, why))
        return false;
    if (wsh) {
        s->witness = s->script;
        sha256(hash, s->witness.data, s->witness.size_b);
        script_put_witness(&wrapped, 0, span_of(hash, 32));
        if (!keep(&s->script, &out->arena, buf_span(&wrapped), why))
            return false;
        wrapped.size_b = 0;
    }
    if (sh) {
        s->redeem = s->script;
        hash160(hash, s->redeem.data, s->redeem.size_b);
        script_put_p2sh(&wrapped, hash);
        return keep(&s->script, &out->arena, buf_span(&wrapped), why);
    }
    return true;
}

/* pk, pkh and, for a compressed key, wpkh and sh(wpkh). */
static bool expand_combo(struct descriptor_expansion *out, struct fail *why)
{
    static const struct { enum function function; bool sh; } forms[DESCRIPTOR_SCRIPTS_MAX] = {
        { FUNCTION_PK, false }, { FUNCTION_PKH, false }, { FUNCTION_WPKH, false }, { FUNCTION_WPKH, true },
    };
    uint32_t count = out->keys[0].pubkey_size_b == 33 ? 4 : 2;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t room[SCRIPT_ROOM_B];
        struct buf inner = { .data = room, .capacity_b = sizeof room, .limit_b = sizeof room };
        struct descriptor form = { .function = forms[i].function, .key_count = 1 };
        put_inner(&inner, &form, out->keys);
        if (!add_script(out, buf_span(&inner), false, forms[i].sh, why))
            return false;
    }
    return true;
}

/* BIP341: without scripts the tweak commits to the internal key alone, so nobody can hide one later. */
static bool expand_taproot(struct descriptor_expansion *out, bool tweak, struct fail *why)
{
    const uint8_t *internal = out->keys[0].pubkey + 1;
    struct descriptor_script *s = &out->scripts[0];
    uint8_t room[34];
    struct buf script = { .data = room, .capacity_b = sizeof room, .limit_b = sizeof room };
    struct sha256 hash;
    int parity;

    s->is_taproot = true;
    s->has_tweak = tweak;
    memcpy(s->tap_output, internal, 32);
    if (tweak) {
        sha256_tagged_begin(&hash, "TapTweak");
        sha256_add(&hash, internal, 32);
        sha256_end(&hash, s->tap_tweak);
        if (!secp_xonly_add(s->tap_output, &parity, internal, s->tap_tweak))
            return refuse(why, "Taproot key cannot be tweaked");
    }
    script_put_witness(&script, 1, span_of(s->tap_output, 32));
    return add_script(out, buf_span(&script), false, false, why);
}

static bool keep(struct span *out, struct arena *arena, struct span bytes, struct fail *why)
{
    uint8_t *copy = arena_new(arena, bytes.size_b);
    if (copy == NULL)
        return fail_oom(why, "descriptor script");
    if (bytes.size_b > 0)
        memcpy(copy, bytes.data, bytes.size_b);
    *out = span_of(copy, bytes.size_b);
    return true;
}

/* ---- signing ---- */

static bool key_by_hash(void *ctx, uint8_t key[32], uint8_t pubkey[65], size_t *pubkey_size_b,
    const uint8_t hash[20])
{
    const struct descriptor_expansion *e = ctx;
    for (uint32_t i = 0; i < e->key_count; i++) {
        uint8_t own[20];
        hash160(own, e->keys[i].pubkey, e->keys[i].pubkey_size_b);
        if (!e->keys[i].has_private || memcmp(own, hash, sizeof own) != 0)
            continue;
        memcpy(key, e->keys[i].key, 32);
        memcpy(pubkey, e->keys[i].pubkey, e->keys[i].pubkey_size_b);
        *pubkey_size_b = e->keys[i].pubkey_size_b;
        return true;
    }
    return false;
}

static bool key_by_pubkey(void *ctx, uint8_t key[32], struct span pubkey)
{
    const struct descriptor_expansion *e = ctx;
    for (uint32_t i = 0; i < e->key_count; i++) {
        if (e->keys[i].has_private &&
            span_equal(pubkey, span_of(e->keys[i].pubkey, e->keys[i].pubkey_size_b))) {
            memcpy(key, e->keys[i].key, 32);
            return true;
        }
    }
    return false;
}

static bool key_by_output(void *ctx, uint8_t key[32], uint8_t tweak[32], const uint8_t xonly[32])
{
    const struct descriptor_expansion *e = ctx;
    const struct descriptor_script *s = &e->scripts[0];
    if (e->key_count == 0 || !e->keys[0].has_private || !s->is_taproot ||
        memcmp(s->tap_output, xonly, 32) != 0)
        return false;
    memcpy(key, e->keys[0].key, 32);
    memcpy(tweak, s->tap_tweak, 32); /* rawtr: zero, which adds nothing */
    return true;
}

static bool script_by_hash(void *ctx, struct span *out, struct span hash)
{
    const struct descriptor_expansion *e = ctx;
    for (uint32_t i = 0; i < e->script_count; i++) {
        uint8_t own[32];
        struct span candidate = hash.size_b == 20 ? e->scripts[i].redeem : e->scripts[i].witness;
        if (candidate.size_b == 0)
            continue;
        if (hash.size_b == 20)
            hash160(own, candidate.data, candidate.size_b);
        else
            sha256(own, candidate.data, candidate.size_b);
        if (span_equal(hash, span_of(own, hash.size_b))) {
            *out = candidate;
            return true;
        }
    }
    return false;
}

void descriptor_sign_keys(struct sign_keys *out, struct descriptor_expansion *e)
{
    *out = (struct sign_keys){ .ctx = e, .by_hash = key_by_hash, .by_pubkey = key_by_pubkey,
        .by_output = key_by_output, .script = script_by_hash };
}

/* ---- inferring ---- */

static bool is_hybrid(struct span key)
{
    return key.size_b == 65 && key.data[0] != 4;
}

static bool infer_multi(struct buf *out, struct span script, uint32_t required)
{
    struct span keys[SCRIPT_PUBKEYS_MAX];
    uint32_t count = script_multisig_keys(script, keys);
    for (uint32_t i = 0; i < count; i++) {
        if (is_hybrid(keys[i]))
            return false;
    }
    buf_printf(out, "multi(%" PRIu32, required);
    for (uint32_t i = 0; i < count; i++) {
        buf_put_u8(out, ',');
        buf_put_hex(out, keys[i].data, keys[i].size_b);
    }
    buf_put_u8(out, ')');
    return true;
}

bool descriptor_infer(struct buf *out, const struct chain *chain, struct span script, struct fail *why)
{
    return descriptor_infer_wsh(out, chain, script, span_of(NULL, 0), why);
}

bool descriptor_infer_wsh(struct buf *out, const struct chain *chain, struct span script, struct span inner,
    struct fail *why)
{
    struct script_match m = script_match(script);
    char address[ADDRESS_SIZE_B], checksum[DESCRIPTOR_CHECKSUM_SIZE_B];
    size_t start_b = out->size_b;

    if (m.kind == SCRIPT_PUBKEY && !is_hybrid(m.payload)) {
        buf_put_text(out, "pk(");
        buf_put_hex(out, m.payload.data, m.payload.size_b);
        buf_put_u8(out, ')');
    } else if (m.kind == SCRIPT_WITNESS_V1_TAPROOT && secp_xonly_is_valid(m.payload.data)) {
        buf_put_text(out, "rawtr(");
        buf_put_hex(out, m.payload.data, m.payload.size_b);
        buf_put_u8(out, ')');
    } else if (m.kind == SCRIPT_MULTISIG && infer_multi(out, script, m.required)) {
        /* written */
    } else if (m.kind == SCRIPT_WITNESS_V0_SCRIPTHASH && script_match(inner).kind == SCRIPT_MULTISIG) {
        buf_put_text(out, "wsh(");
        infer_multi(out, inner, script_match(inner).required);
        buf_put_u8(out, ')');
    } else if (address_from_script(address, chain, script)) {
        buf_printf(out, "addr(%s)", address);
    } else {
        buf_put_text(out, "raw(");
        buf_put_hex(out, script.data, script.size_b);
        buf_put_u8(out, ')');
    }
    if (!buf_ok(out, "descriptor", why))
        return false;
    if (!descriptor_checksum(checksum, span_of(out->data + start_b, out->size_b - start_b)))
        return refuse(why, "Invalid characters in payload");
    buf_put_u8(out, '#');
    buf_put_text(out, checksum);
    return buf_ok(out, "descriptor", why);
}
