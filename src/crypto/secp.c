/* The curve: libsecp256k1 behind plain functions. */

#include "coin/crypto/secp.h"

#include <secp256k1.h>
#include <secp256k1_ecdh.h>
#include <secp256k1_extrakeys.h>
#include <secp256k1_recovery.h>
#include <secp256k1_schnorrsig.h>
#include <string.h>

#include "coin/base/mem.h"

static secp256k1_context *ctx;

bool secp_init(const uint8_t blinding[32], struct fail *why)
{
    if (ctx == NULL)
        ctx = secp256k1_context_create(SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY);
    if (ctx == NULL || !secp256k1_context_randomize(ctx, blinding))
        return fail_set(why, FAIL_LOCAL, "secp256k1", "libsecp256k1 cannot be set up");
    return true;
}

/* An empty key may have no memory at all, which the library takes for a mistake of ours and aborts. */
static bool parse_pubkey(secp256k1_pubkey *out, struct span bytes)
{
    return (bytes.size_b == 33 || bytes.size_b == 65) &&
           secp256k1_ec_pubkey_parse(ctx, out, bytes.data, bytes.size_b) == 1;
}

static int give_x(unsigned char *out, const unsigned char *x32, const unsigned char *y32, void *data)
{
    (void)y32, (void)data;
    memcpy(out, x32, 32);
    return 1;
}

bool secp_ecdh_x(uint8_t x[32], struct span pubkey, const uint8_t key[32])
{
    secp256k1_pubkey point;
    return parse_pubkey(&point, pubkey) && secp256k1_ecdh(ctx, x, &point, key, give_x, NULL) == 1;
}

/* DER as blocks before BIP66 hold it: lengths in any form, trailing bytes, negative or padded numbers. */
static bool lax_length(const uint8_t **at, const uint8_t *end, size_t *length)
{
    if (*at == end)
        return false;
    uint8_t first = *(*at)++;
    if (!(first & 0x80)) {
        *length = first;
    } else {
        size_t bytes = first & 0x7fu;
        if (bytes > (size_t)(end - *at))
            return false;
        while (bytes > 0 && **at == 0) {
            (*at)++;
            bytes--;
        }
        if (bytes >= sizeof *length)
            return false;
        *length = 0;
        while (bytes-- > 0)
            *length = *length << 8 | *(*at)++;
    }
    return *length <= (size_t)(end - *at);
}

static bool lax_integer(const uint8_t **at, const uint8_t *end, uint8_t out[32], bool *overflow)
{
    size_t length;
    if (*at == end || *(*at)++ != 0x02 || !lax_length(at, end, &length))
        return false;
    const uint8_t *p = *at;
    *at += length;
    while (length > 0 && *p == 0) {
        p++;
        length--;
    }
    memset(out, 0, 32);
    if (length > 32)
        *overflow = true;
    else if (length > 0)
        memcpy(out + 32 - length, p, length);
    return true;
}

static bool parse_lax(secp256k1_ecdsa_signature *sig, struct span der)
{
    const uint8_t *at = der.data, *end = der.data + der.size_b;
    uint8_t compact[64];
    bool overflow = false;
    if (at == end || *at++ != 0x30 || at == end)
        return false;
    uint8_t length = *at++;
    if (length & 0x80) { /* the sequence's length is skipped, not believed */
        if ((size_t)(length & 0x7f) > (size_t)(end - at))
            return false;
        at += length & 0x7f;
    }
    if (!lax_integer(&at, end, compact, &overflow) || !lax_integer(&at, end, compact + 32, &overflow))
        return false;
    if (overflow || !secp256k1_ecdsa_signature_parse_compact(ctx, sig, compact)) {
        memset(compact, 0, sizeof compact); /* a signature that never verifies */
        return secp256k1_ecdsa_signature_parse_compact(ctx, sig, compact) == 1;
    }
    return true;
}

bool secp_ecdsa_verify(struct span pubkey, struct span der, const uint8_t hash[32])
{
    secp256k1_pubkey key;
    secp256k1_ecdsa_signature sig;
    if (!parse_pubkey(&key, pubkey) || !parse_lax(&sig, der))
        return false;
    secp256k1_ecdsa_signature_normalize(ctx, &sig, &sig);
    return secp256k1_ecdsa_verify(ctx, &sig, hash, &key) == 1;
}

bool secp_ecdsa_is_low_s(struct span der)
{
    secp256k1_ecdsa_signature sig;
    return parse_lax(&sig, der) && !secp256k1_ecdsa_signature_normalize(ctx, NULL, &sig);
}

bool secp_schnorr_verify(const uint8_t xonly[32], const uint8_t sig[64], struct span message)
{
    secp256k1_xonly_pubkey key;
    return secp256k1_xonly_pubkey_parse(ctx, &key, xonly) &&
           secp256k1_schnorrsig_verify(ctx, sig, message.data, message.size_b, &key) == 1;
}

bool secp_pubkey_is_valid(struct span pubkey)
{
    secp256k1_pubkey key;
    return parse_pubkey(&key, pubkey);
}

bool secp_xonly_is_valid(const uint8_t xonly[32])
{
    secp256k1_xonly_pubkey key;
    return secp256k1_xonly_pubkey_parse(ctx, &key, xonly) == 1;
}

bool secp_tweak_check(const uint8_t output_xonly[32], int parity, const uint8_t internal_xonly[32],
    const uint8_t tweak[32])
{
    secp256k1_xonly_pubkey key;
    return secp256k1_xonly_pubkey_parse(ctx, &key, internal_xonly) &&
           secp256k1_xonly_pubkey_tweak_add_check(ctx, output_xonly, parity, &key, tweak) == 1;
}

bool secp_key_is_valid(const uint8_t key[32])
{
    return secp256k1_ec_seckey_verify(ctx, key) == 1;
}

static bool put_pubkey(uint8_t *out, size_t size_b, const secp256k1_pubkey *key)
{
    size_t n = size_b;
    return secp256k1_ec_pubkey_serialize(ctx, out, &n, key,
               size_b == 33 ? SECP256K1_EC_COMPRESSED : SECP256K1_EC_UNCOMPRESSED) == 1;
}

bool secp_pubkey_create(uint8_t out[33], const uint8_t key[32])
{
    secp256k1_pubkey pubkey;
    return secp256k1_ec_pubkey_create(ctx, &pubkey, key) && put_pubkey(out, 33, &pubkey);
}

bool secp_pubkey_convert(uint8_t *out, size_t out_size_b, struct span pubkey)
{
    secp256k1_pubkey key;
    return parse_pubkey(&key, pubkey) && put_pubkey(out, out_size_b, &key);
}

bool secp_key_add(uint8_t key[32], const uint8_t tweak[32])
{
    return secp256k1_ec_seckey_tweak_add(ctx, key, tweak) == 1;
}

bool secp_pubkey_add(uint8_t pubkey[33], const uint8_t tweak[32])
{
    secp256k1_pubkey key;
    return secp256k1_ec_pubkey_parse(ctx, &key, pubkey, 33) && secp256k1_ec_pubkey_tweak_add(ctx, &key, tweak) &&
           put_pubkey(pubkey, 33, &key);
}

bool secp_xonly_add(uint8_t out[32], int *parity, const uint8_t xonly[32], const uint8_t tweak[32])
{
    secp256k1_xonly_pubkey key, result;
    secp256k1_pubkey sum;
    return secp256k1_xonly_pubkey_parse(ctx, &key, xonly) &&
           secp256k1_xonly_pubkey_tweak_add(ctx, &sum, &key, tweak) &&
           secp256k1_xonly_pubkey_from_pubkey(ctx, &result, parity, &sum) &&
           secp256k1_xonly_pubkey_serialize(ctx, out, &result);
}

bool secp_ecdsa_sign(uint8_t der[72], size_t *size_b, const uint8_t key[32], const uint8_t hash[32], bool grind)
{
    secp256k1_ecdsa_signature sig;
    uint8_t extra[32] = {0}, compact[64];
    for (uint32_t n = 0;; n++) {
        put_u32le(extra, n);
        if (!secp256k1_ecdsa_sign(ctx, &sig, hash, key, NULL, n > 0 ? extra : NULL))
            return false;
        secp256k1_ecdsa_signature_serialize_compact(ctx, compact, &sig);
        if (!grind || compact[0] < 0x80)
            break;
    }
    *size_b = 72;
    return secp256k1_ecdsa_signature_serialize_der(ctx, der, size_b, &sig) == 1;
}

bool secp_schnorr_sign(uint8_t sig[64], const uint8_t key[32], const uint8_t *tweak, const uint8_t message[32],
    const uint8_t aux[32])
{
    secp256k1_keypair pair;
    bool ok = secp256k1_keypair_create(ctx, &pair, key) &&
              (tweak == NULL || secp256k1_keypair_xonly_tweak_add(ctx, &pair, tweak)) &&
              secp256k1_schnorrsig_sign32(ctx, sig, message, &pair, aux);
    mem_wipe(&pair, sizeof pair);
    return ok;
}

bool secp_sign_compact(uint8_t sig[65], const uint8_t key[32], const uint8_t hash[32], bool compressed)
{
    secp256k1_ecdsa_recoverable_signature rsig;
    int recid;
    if (!secp256k1_ecdsa_sign_recoverable(ctx, &rsig, hash, key, NULL, NULL) ||
        !secp256k1_ecdsa_recoverable_signature_serialize_compact(ctx, sig + 1, &recid, &rsig))
        return false;
    sig[0] = (uint8_t)(27 + recid + (compressed ? 4 : 0));
    return true;
}

bool secp_recover_compact(uint8_t pubkey[65], size_t *size_b, const uint8_t sig[65], const uint8_t hash[32])
{
    secp256k1_ecdsa_recoverable_signature rsig;
    secp256k1_pubkey key;
    int recid = (sig[0] - 27) & 3;
    if (sig[0] < 27 || sig[0] > 34 ||
        !secp256k1_ecdsa_recoverable_signature_parse_compact(ctx, &rsig, sig + 1, recid) ||
        !secp256k1_ecdsa_recover(ctx, &key, &rsig, hash))
        return false;
    *size_b = sig[0] >= 31 ? 33 : 65;
    return put_pubkey(pubkey, *size_b, &key);
}

uint32_t secp_bench_verify(uint32_t count)
{
    uint8_t key[32] = {1}, hash[32] = {2};
    secp256k1_ecdsa_signature sig;
    secp256k1_pubkey pubkey;
    uint32_t good = 0;
    if (!secp256k1_ec_pubkey_create(ctx, &pubkey, key) || !secp256k1_ecdsa_sign(ctx, &sig, hash, key, NULL, NULL))
        return 0;
    for (uint32_t i = 0; i < count; i++)
        good += (uint32_t)secp256k1_ecdsa_verify(ctx, &sig, hash, &pubkey);
    return good;
}
