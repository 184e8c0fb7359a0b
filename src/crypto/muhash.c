/* MuHash3072 (Bellare, Micciancio 1997; with Bitcoin's numbers): an element becomes a number of 3072 bits, the
 * ChaCha20 keystream under its SHA-256; a set is the product of its elements modulo p = 2^3072 - 1103717, the
 * largest safe prime below 2^3072. Removed elements are multiplied into a denominator, so that the one slow
 * operation, the inverse, is done once at the end, by OpenSSL.
 *
 * Multiplication is ours because it is what adding costs: a library's would copy and divide, while p's form
 * makes a reduction of "times 1103717, add". Numbers lie in memory as little-endian bytes and are below p
 * after each operation; any other value that someone puts there is still multiplied correctly. ChaCha20 is ours
 * since six blocks under a fresh key are dearer to set up in OpenSSL than to compute, and cannot fail here.
 *
 * On disk (muhash_put):
 *     0  384  numerator, little-endian
 *   384  384  denominator, little-endian */

#include "coin/crypto/muhash.h"

#include <openssl/bn.h>
#include <string.h>

#include "coin/crypto/sha256.h"

#define LIMBS 48
#define LIMB_SIZE_B 8
#define MODULUS_BELOW 1103717 /* p = 2^3072 - this */

__extension__ typedef unsigned __int128 u128;

struct number { /* least significant limb first */
    uint64_t limb[LIMBS];
};

static void number_load(struct number *out, const uint8_t bytes[MUHASH_NUMBER_SIZE_B]);
static void number_store(uint8_t bytes[MUHASH_NUMBER_SIZE_B], const struct number *n);
static bool number_is_overflow(const struct number *n);
static void number_multiply(struct number *a, const struct number *b);
static void number_of_element(struct number *out, struct span element);
static bool is_one(const uint8_t bytes[MUHASH_NUMBER_SIZE_B]);
static bool is_good(const uint8_t bytes[MUHASH_NUMBER_SIZE_B]);
static bool divide(struct number *out, const struct muhash *m, struct fail *why);

static void multiply_into(uint8_t bytes[MUHASH_NUMBER_SIZE_B], const struct number *by)
{
    struct number n;
    number_load(&n, bytes);
    number_multiply(&n, by);
    number_store(bytes, &n);
}

void muhash_init(struct muhash *m)
{
    memset(m, 0, sizeof *m);
    m->numerator[0] = 1;
    m->denominator[0] = 1;
}

void muhash_add(struct muhash *m, struct span element)
{
    struct number n;
    number_of_element(&n, element);
    multiply_into(m->numerator, &n);
}

void muhash_remove(struct muhash *m, struct span element)
{
    struct number n;
    number_of_element(&n, element);
    multiply_into(m->denominator, &n);
}

void muhash_combine(struct muhash *into, const struct muhash *other)
{
    struct number n;
    number_load(&n, other->numerator);
    multiply_into(into->numerator, &n);
    number_load(&n, other->denominator);
    multiply_into(into->denominator, &n);
}

bool muhash_end(const struct muhash *m, uint8_t out[32], struct fail *why)
{
    struct number n;
    uint8_t bytes[MUHASH_NUMBER_SIZE_B];
    if (is_one(m->denominator)) { /* nothing was removed, as in a walk over all coins */
        static const struct number one = {{1}};
        number_load(&n, m->numerator);
        number_multiply(&n, &one); /* below p, whatever it was */
    } else if (!divide(&n, m, why)) {
        return false;
    }
    number_store(bytes, &n);
    sha256(out, bytes, sizeof bytes);
    return true;
}

void muhash_put(uint8_t out[MUHASH_SIZE_B], const struct muhash *m)
{
    memcpy(out, m->numerator, MUHASH_NUMBER_SIZE_B);
    memcpy(out + MUHASH_NUMBER_SIZE_B, m->denominator, MUHASH_NUMBER_SIZE_B);
}

bool muhash_get(struct muhash *out, struct span bytes, struct fail *why)
{
    if (bytes.size_b != MUHASH_SIZE_B)
        return fail_set(why, FAIL_INVALID, "muhash-decode", "%zu bytes, not %d", bytes.size_b, MUHASH_SIZE_B);
    if (!is_good(bytes.data) || !is_good(bytes.data + MUHASH_NUMBER_SIZE_B))
        return fail_set(why, FAIL_INVALID, "muhash-decode", "a number is zero or beyond the modulus");
    memcpy(out->numerator, bytes.data, MUHASH_NUMBER_SIZE_B);
    memcpy(out->denominator, bytes.data + MUHASH_NUMBER_SIZE_B, MUHASH_NUMBER_SIZE_B);
    return true;
}

/* ---- numbers modulo p ---- */

static void number_load(struct number *out, const uint8_t bytes[MUHASH_NUMBER_SIZE_B])
{
    for (size_t i = 0; i < LIMBS; i++)
        out->limb[i] = get_u64le(bytes + LIMB_SIZE_B * i);
}

static void number_store(uint8_t bytes[MUHASH_NUMBER_SIZE_B], const struct number *n)
{
    for (size_t i = 0; i < LIMBS; i++)
        put_u64le(bytes + LIMB_SIZE_B * i, n->limb[i]);
}

static bool number_is_overflow(const struct number *n) /* >= p: all ones but for the lowest limb */
{
    if (n->limb[0] < UINT64_MAX - (MODULUS_BELOW - 1))
        return false;
    for (size_t i = 1; i < LIMBS; i++) {
        if (n->limb[i] != UINT64_MAX)
            return false;
    }
    return true;
}

static uint64_t number_add_small(struct number *n, u128 carry) /* the carry out */
{
    for (size_t i = 0; i < LIMBS && carry != 0; i++) {
        carry += n->limb[i];
        n->limb[i] = (uint64_t)carry;
        carry >>= 64;
    }
    return (uint64_t)carry;
}

/* What lies above 2^3072 counts MODULUS_BELOW times below: 2^3072 = 1103717 (mod p). */
static void number_reduce(struct number *out, const uint64_t product[2 * LIMBS])
{
    u128 carry = 0;
    for (size_t i = 0; i < LIMBS; i++) {
        carry += (u128)product[LIMBS + i] * MODULUS_BELOW + product[i];
        out->limb[i] = (uint64_t)carry;
        carry >>= 64;
    }
    /* Now carry <= 2^21. The second fold carries at most once, and then leaves a tiny number behind. */
    while (carry != 0)
        carry = number_add_small(out, carry * MODULUS_BELOW);
    if (number_is_overflow(out))
        (void)number_add_small(out, MODULUS_BELOW); /* minus p: the carry out is the 2^3072 */
}

/* a = a * b mod p. Column by column, since one running sum of three limbs keeps the processor's multiplier busy;
 * a row at a time waits for each carry. */
static void number_multiply(struct number *a, const struct number *b)
{
    uint64_t product[2 * LIMBS];
    u128 low = 0;      /* the running sum: its lower two limbs */
    uint64_t high = 0; /* and the third */
    for (size_t column = 0; column < 2 * LIMBS - 1; column++) {
        size_t first = column < LIMBS ? 0 : column - (LIMBS - 1);
        size_t last = column < LIMBS ? column : LIMBS - 1;
        for (size_t i = first; i <= last; i++) {
            u128 term = (u128)a->limb[i] * b->limb[column - i];
            low += term;
            high += low < term;
        }
        product[column] = (uint64_t)low;
        low = low >> 64 | (u128)high << 64;
        high = 0;
    }
    product[2 * LIMBS - 1] = (uint64_t)low;
    number_reduce(a, product);
}

/* ---- elements ---- */

#define CHACHA_WORDS 16
#define CHACHA_DOUBLE_ROUNDS 10
#define CHACHA_BLOCK_SIZE_B 64

static uint32_t rotate(uint32_t v, int by)
{
    return v << by | v >> (32 - by);
}

static void quarter_round(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    *a += *b, *d = rotate(*d ^ *a, 16);
    *c += *d, *b = rotate(*b ^ *c, 12);
    *a += *b, *d = rotate(*d ^ *a, 8);
    *c += *d, *b = rotate(*b ^ *c, 7);
}

/* One block of keystream (RFC 8439, 2.3). */
static void chacha20_block(uint8_t out[CHACHA_BLOCK_SIZE_B], const uint32_t start[CHACHA_WORDS])
{
    uint32_t x[CHACHA_WORDS];
    memcpy(x, start, sizeof x);
    for (int i = 0; i < CHACHA_DOUBLE_ROUNDS; i++) {
        quarter_round(&x[0], &x[4], &x[8], &x[12]);
        quarter_round(&x[1], &x[5], &x[9], &x[13]);
        quarter_round(&x[2], &x[6], &x[10], &x[14]);
        quarter_round(&x[3], &x[7], &x[11], &x[15]);
        quarter_round(&x[0], &x[5], &x[10], &x[15]);
        quarter_round(&x[1], &x[6], &x[11], &x[12]);
        quarter_round(&x[2], &x[7], &x[8], &x[13]);
        quarter_round(&x[3], &x[4], &x[9], &x[14]);
    }
    for (size_t i = 0; i < CHACHA_WORDS; i++)
        put_u32le(out + 4 * i, x[i] + start[i]);
}

/* Key: the element's SHA-256; nonce and counter begin at zero. */
static void number_of_element(struct number *out, struct span element)
{
    static const uint32_t sigma[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}; /* "expand 32-byte k" */
    uint32_t start[CHACHA_WORDS] = {sigma[0], sigma[1], sigma[2], sigma[3]};
    uint8_t key[32], stream[MUHASH_NUMBER_SIZE_B];
    sha256(key, element.data, element.size_b);
    for (size_t i = 0; i < 8; i++)
        start[4 + i] = get_u32le(key + 4 * i);
    for (size_t at = 0; at < sizeof stream; at += CHACHA_BLOCK_SIZE_B) {
        chacha20_block(stream + at, start);
        start[12]++; /* the counter */
    }
    number_load(out, stream);
}

/* ---- the quotient ---- */

static bool is_one(const uint8_t bytes[MUHASH_NUMBER_SIZE_B])
{
    static const uint8_t one[MUHASH_NUMBER_SIZE_B] = {1};
    return memcmp(bytes, one, sizeof one) == 0;
}

static bool is_good(const uint8_t bytes[MUHASH_NUMBER_SIZE_B])
{
    static const uint8_t zero[MUHASH_NUMBER_SIZE_B];
    struct number n;
    number_load(&n, bytes);
    return memcmp(bytes, zero, sizeof zero) != 0 && !number_is_overflow(&n);
}

static bool invert(uint8_t out[MUHASH_NUMBER_SIZE_B], const uint8_t bytes[MUHASH_NUMBER_SIZE_B], struct fail *why)
{
    uint8_t modulus[MUHASH_NUMBER_SIZE_B];
    memset(modulus, 0xff, sizeof modulus);
    put_u64le(modulus, UINT64_MAX - (MODULUS_BELOW - 1));
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *n = BN_lebin2bn(bytes, MUHASH_NUMBER_SIZE_B, NULL);
    BIGNUM *p = BN_lebin2bn(modulus, sizeof modulus, NULL);
    BIGNUM *inverse = ctx != NULL && n != NULL && p != NULL ? BN_mod_inverse(NULL, n, p, ctx) : NULL;
    bool ok = inverse != NULL && BN_bn2lebinpad(inverse, out, MUHASH_NUMBER_SIZE_B) == MUHASH_NUMBER_SIZE_B;
    BN_free(inverse);
    BN_free(p);
    BN_free(n);
    BN_CTX_free(ctx);
    return ok || fail_oom(why, "the inverse of a set's hash");
}

static bool divide(struct number *out, const struct muhash *m, struct fail *why)
{
    static const struct number one = {{1}};
    struct number inverse;
    uint8_t bytes[MUHASH_NUMBER_SIZE_B];
    number_load(out, m->denominator);
    number_multiply(out, &one); /* below p, whatever it was */
    number_store(bytes, out);
    if (!is_good(bytes)) /* zero has no inverse; p is prime, so everything else has */
        return fail_set(why, FAIL_INVALID, "muhash-zero", "the hash of removed elements is zero");
    if (!invert(bytes, bytes, why))
        return false;
    number_load(&inverse, bytes);
    number_load(out, m->numerator);
    number_multiply(out, &inverse);
    return true;
}
