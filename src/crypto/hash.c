/* The other hashes and ciphers, from OpenSSL; each algorithm is fetched once. */

#include "coin/crypto/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/random.h>

#include "coin/crypto/sha256.h"

#define SEALED_MAX_B (1 << 30)

static EVP_MD *md_ripemd160, *md_sha1, *md_sha512;

static bool fetch(EVP_MD **md, const char *name, struct fail *why)
{
    if (*md == NULL)
        *md = EVP_MD_fetch(NULL, name, NULL);
    return *md != NULL || fail_set(why, FAIL_LOCAL, "openssl", "this OpenSSL has no %s", name);
}

bool hash_init(struct fail *why)
{
    return fetch(&md_ripemd160, "RIPEMD160", why) && fetch(&md_sha1, "SHA1", why) &&
           fetch(&md_sha512, "SHA512", why);
}

void ripemd160(uint8_t out[20], const void *data, size_t size_b)
{
    EVP_Digest(data, size_b, out, NULL, md_ripemd160, NULL);
}

void hash160(uint8_t out[20], const void *data, size_t size_b)
{
    uint8_t hash[32];
    sha256(hash, data, size_b);
    ripemd160(out, hash, sizeof hash);
}

void sha1(uint8_t out[20], const void *data, size_t size_b)
{
    EVP_Digest(data, size_b, out, NULL, md_sha1, NULL);
}

void sha512(uint8_t out[64], const void *data, size_t size_b)
{
    EVP_Digest(data, size_b, out, NULL, md_sha512, NULL);
}

void hmac_sha256(uint8_t out[32], struct span key, struct span data)
{
    HMAC(EVP_sha256(), key.data, (int)key.size_b, data.data, data.size_b, out, NULL);
}

void hmac_sha512(uint8_t out[64], struct span key, struct span data)
{
    HMAC(EVP_sha512(), key.data, (int)key.size_b, data.data, data.size_b, out, NULL);
}

bool pbkdf2_sha512(uint8_t *out, size_t out_size_b, struct span password, struct span salt, uint32_t iterations,
    struct fail *why)
{
    if (PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.size_b, salt.data, (int)salt.size_b,
            (int)iterations, EVP_sha512(), (int)out_size_b, out) == 1)
        return true;
    return fail_set(why, FAIL_LOCAL, "openssl", "PBKDF2 failed");
}

bool scrypt_key(uint8_t *out, size_t out_size_b, struct span password, struct span salt, uint64_t n, uint32_t r,
    uint32_t p, struct fail *why)
{
    if (EVP_PBE_scrypt((const char *)password.data, password.size_b, salt.data, salt.size_b, n, r, p,
            (uint64_t)256 * n * r + (1 << 20), out, out_size_b) == 1)
        return true;
    return fail_set(why, FAIL_LOCAL, "openssl", "scrypt failed");
}

static bool fits(struct span text, struct span extra) /* OpenSSL counts in int */
{
    return text.size_b <= SEALED_MAX_B && extra.size_b <= SEALED_MAX_B;
}

bool aead_seal(uint8_t *out, const uint8_t key[32], const uint8_t nonce[12], struct span plain, struct span extra,
    struct fail *why)
{
    if (!fits(plain, extra))
        return fail_set(why, FAIL_NO_ROOM, "too-large", "more than %d bytes to seal", SEALED_MAX_B);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n;
    bool ok = ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
              EVP_EncryptUpdate(ctx, NULL, &n, extra.data, (int)extra.size_b) == 1 &&
              EVP_EncryptUpdate(ctx, out, &n, plain.data, (int)plain.size_b) == 1 &&
              EVP_EncryptFinal_ex(ctx, out + n, &n) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, out + plain.size_b) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok || fail_set(why, FAIL_LOCAL, "openssl", "AES-GCM failed");
}

bool aead_open(uint8_t *out, const uint8_t key[32], const uint8_t nonce[12], struct span sealed, struct span extra,
    struct fail *why)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n;
    bool ok = sealed.size_b >= 16 && fits(sealed, extra) && ctx != NULL &&
              EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
              EVP_DecryptUpdate(ctx, NULL, &n, extra.data, (int)extra.size_b) == 1 &&
              EVP_DecryptUpdate(ctx, out, &n, sealed.data, (int)(sealed.size_b - 16)) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, 16, (uint8_t *)sealed.data + sealed.size_b - 16) == 1 &&
              EVP_DecryptFinal_ex(ctx, out + n, &n) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok || fail_set(why, FAIL_INVALID, "bad-tag", "the sealed bytes were altered, or the key is wrong");
}

void random_bytes(void *out, size_t size_b)
{
    uint8_t *at = out;
    while (size_b > 0) { /* never go on with predictable bytes: a key may be made of them */
        ssize_t got = getrandom(at, size_b, 0);
        if (got < 0 && errno != EINTR && RAND_bytes(at, 1) == 1)
            got = 1; /* a kernel or sandbox without the call: OpenSSL knows other sources */
        if (got > 0) {
            at += got;
            size_b -= (size_t)got;
        }
    }
}

void merkle_root(uint8_t out[32], uint8_t *hashes, size_t count, bool *mutated)
{
    bool twice = false;
    memset(out, 0, 32);
    while (count > 1) {
        for (size_t i = 0; i + 1 < count; i += 2)
            twice = twice || memcmp(hashes + 32 * i, hashes + 32 * (i + 1), 32) == 0;
        size_t pairs = count / 2;
        uint8_t last[64];
        bool odd = count % 2 == 1;
        if (odd) {
            memcpy(last, hashes + 32 * (count - 1), 32);
            memcpy(last + 32, last, 32);
        }
        sha256d_64(hashes, hashes, pairs);
        if (odd)
            sha256d_64(hashes + 32 * pairs, last, 1);
        count = pairs + odd;
    }
    if (count == 1)
        memcpy(out, hashes, 32);
    if (mutated != NULL)
        *mutated = twice;
}
