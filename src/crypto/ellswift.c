/* ElligatorSwift with OpenSSL's big numbers. A computation takes its numbers from one context, and any
 * failure (memory) sticks to it, so that formulas read as in BIP324. */
#include "coin/crypto/ellswift.h"

#include <openssl/bn.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/crypto/secp.h"
#include "coin/crypto/sha256.h"

#define B 7 /* the curve is y^2 = x^3 + 7 */
#define CREATE_TRIES_MAX 1000 /* each succeeds with a chance of about 1/4 */

struct field { /* numbers modulo p */
    BN_CTX *ctx;
    BIGNUM *p, *root_power; /* (p + 1) / 4 */
    BIGNUM *c;              /* the square root of -3 that is a square */
    bool failed;
};

static bool field_begin(struct field *f);
static bool field_end(struct field *f);
static bool x_swift_ec(struct field *f, BIGNUM *x, BIGNUM *u, BIGNUM *t);
static bool x_swift_ec_inv(struct field *f, BIGNUM *t, const BIGNUM *x, const BIGNUM *u, unsigned which);
static bool choose_v(struct field *f, BIGNUM *v, BIGNUM *s, const BIGNUM *x, const BIGNUM *u, unsigned which);

bool ellswift_decode(uint8_t x[32], const uint8_t encoded[ELLSWIFT_SIZE_B])
{
    struct field f;
    bool found = false;
    if (field_begin(&f)) {
        BIGNUM *u = BN_CTX_get(f.ctx), *t = BN_CTX_get(f.ctx), *out = BN_CTX_get(f.ctx);
        found = out != NULL && BN_bin2bn(encoded, 32, u) != NULL && BN_bin2bn(encoded + 32, 32, t) != NULL &&
                x_swift_ec(&f, out, u, t) && BN_bn2binpad(out, x, 32) == 32;
    }
    return field_end(&f) && found;
}

bool ellswift_invert(uint8_t t[32], const uint8_t x[32], const uint8_t u[32], unsigned which)
{
    struct field f;
    bool found = false;
    if (field_begin(&f)) {
        BIGNUM *bn_x = BN_CTX_get(f.ctx), *bn_u = BN_CTX_get(f.ctx), *out = BN_CTX_get(f.ctx);
        found = out != NULL && BN_bin2bn(x, 32, bn_x) != NULL && BN_bin2bn(u, 32, bn_u) != NULL &&
                x_swift_ec_inv(&f, out, bn_x, bn_u, which) && BN_bn2binpad(out, t, 32) == 32;
    }
    return field_end(&f) && found;
}

bool ellswift_create(uint8_t encoded[ELLSWIFT_SIZE_B], const uint8_t key[32], const struct env *env)
{
    uint8_t pubkey[33];
    if (!secp_pubkey_create(pubkey, key))
        return false;
    for (unsigned i = 0; i < CREATE_TRIES_MAX; i++) {
        uint8_t which, x[32];
        env_random(env, encoded, 32);
        env_random(env, &which, sizeof which);
        /* u of 0, or of p and above, is what nobody ever draws; decoding tells that it is what we meant. */
        if (ellswift_invert(encoded + 32, pubkey + 1, encoded, which & 7) && ellswift_decode(x, encoded) &&
            memcmp(x, pubkey + 1, sizeof x) == 0)
            return true;
    }
    return false;
}

bool ellswift_secret(uint8_t secret[32], const uint8_t key[32], const uint8_t ours[ELLSWIFT_SIZE_B],
    const uint8_t theirs[ELLSWIFT_SIZE_B], bool initiating)
{
    static const char tag[] = "bip324_ellswift_xonly_ecdh";
    uint8_t point[33] = {2}, shared[32], tag_hash[32]; /* either Y gives the same X in the end */
    if (!ellswift_decode(point + 1, theirs) || !secp_ecdh_x(shared, span_of(point, sizeof point), key))
        return false;
    struct sha256 hash;
    sha256(tag_hash, tag, sizeof tag - 1);
    sha256_begin(&hash);
    sha256_add(&hash, tag_hash, sizeof tag_hash);
    sha256_add(&hash, tag_hash, sizeof tag_hash);
    sha256_add(&hash, initiating ? ours : theirs, ELLSWIFT_SIZE_B);
    sha256_add(&hash, initiating ? theirs : ours, ELLSWIFT_SIZE_B);
    sha256_add(&hash, shared, sizeof shared);
    sha256_end(&hash, secret);
    mem_wipe(shared, sizeof shared);
    mem_wipe(&hash, sizeof hash);
    return true;
}

/* ---- the field ---- */
static bool field_begin(struct field *f)
{
    static const char *const p_hex = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f";
    static const char *const c_hex = "0a2d2ba93507f1df233770c2a797962cc61f6d15da14ecd47d8d27ae1cd5f852";
    memset(f, 0, sizeof *f);
    f->ctx = BN_CTX_new();
    if (f->ctx == NULL)
        return false;
    BN_CTX_start(f->ctx);
    f->p = BN_CTX_get(f->ctx);
    f->c = BN_CTX_get(f->ctx);
    f->root_power = BN_CTX_get(f->ctx);
    f->failed = f->root_power == NULL || BN_hex2bn(&f->p, p_hex) == 0 || BN_hex2bn(&f->c, c_hex) == 0 ||
                !BN_add(f->root_power, f->p, BN_value_one()) || !BN_rshift(f->root_power, f->root_power, 2);
    return !f->failed;
}

static bool field_end(struct field *f)
{
    if (f->ctx == NULL)
        return false;
    BN_CTX_end(f->ctx);
    BN_CTX_free(f->ctx);
    return !f->failed;
}

static BIGNUM *take(struct field *f)
{
    BIGNUM *n = BN_CTX_get(f->ctx);
    f->failed = f->failed || n == NULL;
    return n;
}

static void add(struct field *f, BIGNUM *out, const BIGNUM *a, const BIGNUM *b)
{
    f->failed = f->failed || !BN_mod_add(out, a, b, f->p, f->ctx);
}

static void subtract(struct field *f, BIGNUM *out, const BIGNUM *a, const BIGNUM *b)
{
    f->failed = f->failed || !BN_mod_sub(out, a, b, f->p, f->ctx);
}

static void multiply(struct field *f, BIGNUM *out, const BIGNUM *a, const BIGNUM *b)
{
    f->failed = f->failed || !BN_mod_mul(out, a, b, f->p, f->ctx);
}

static void multiply_by(struct field *f, BIGNUM *out, const BIGNUM *a, BN_ULONG small)
{
    f->failed = f->failed || (out != a && BN_copy(out, a) == NULL) || !BN_mul_word(out, small) ||
                !BN_nnmod(out, out, f->p, f->ctx);
}

static void negate(struct field *f, BIGNUM *n)
{
    f->failed = f->failed || (!BN_is_zero(n) && !BN_sub(n, f->p, n));
}

static void divide(struct field *f, BIGNUM *out, const BIGNUM *a, const BIGNUM *b) /* b != 0; out is neither */
{
    f->failed = f->failed || BN_mod_inverse(out, b, f->p, f->ctx) == NULL;
    multiply(f, out, out, a);
}

static void halve(struct field *f, BIGNUM *n)
{
    f->failed = f->failed || (BN_is_odd(n) && !BN_add(n, n, f->p)) || !BN_rshift1(n, n);
}

/* The root that is a square itself. false: there is none. */
static bool square_root(struct field *f, BIGNUM *out, const BIGNUM *a)
{
    BIGNUM *check = take(f);
    f->failed = f->failed || !BN_mod_exp(out, a, f->root_power, f->p, f->ctx);
    if (f->failed)
        return false;
    multiply(f, check, out, out);
    return !f->failed && BN_cmp(check, a) == 0;
}

static void curve(struct field *f, BIGNUM *out, const BIGNUM *x) /* x^3 + 7 */
{
    BIGNUM *square = take(f);
    if (f->failed)
        return;
    multiply(f, square, x, x);
    multiply(f, out, square, x);
    f->failed = f->failed || !BN_add_word(out, B) || !BN_nnmod(out, out, f->p, f->ctx);
}

static bool is_on_curve(struct field *f, const BIGNUM *x)
{
    BIGNUM *square = take(f), *root = take(f);
    if (f->failed)
        return false;
    curve(f, square, x);
    return square_root(f, root, square);
}

/* ---- BIP324 ---- */
static bool x_swift_ec(struct field *f, BIGNUM *x, BIGNUM *u, BIGNUM *t)
{
    BIGNUM *g = take(f), *square = take(f), *sum = take(f), *big_x = take(f), *big_y = take(f), *half = take(f);
    if (f->failed || !BN_nnmod(u, u, f->p, f->ctx) || !BN_nnmod(t, t, f->p, f->ctx) ||
        (BN_is_zero(u) && !BN_one(u)) || (BN_is_zero(t) && !BN_one(t)))
        return false;
    curve(f, g, u);
    multiply(f, square, t, t);
    add(f, sum, g, square);
    if (BN_is_zero(sum)) {
        add(f, t, t, t);
        multiply(f, square, t, t);
    }
    subtract(f, sum, g, square); /* X = (u^3 + 7 - t^2) / 2t */
    divide(f, big_x, sum, t);
    halve(f, big_x);
    add(f, sum, big_x, t); /* Y = (X + t) / cu */
    multiply(f, half, f->c, u);
    divide(f, big_y, sum, half);
    multiply(f, square, big_y, big_y); /* u + 4Y^2 */
    multiply_by(f, square, square, 4);
    add(f, x, u, square);
    if (f->failed || is_on_curve(f, x))
        return !f->failed;
    divide(f, half, big_x, big_y); /* (-X/Y - u) / 2 */
    add(f, x, half, u);
    negate(f, x);
    halve(f, x);
    if (f->failed || is_on_curve(f, x))
        return !f->failed;
    subtract(f, x, half, u); /* (X/Y - u) / 2 */
    halve(f, x);
    return !f->failed;
}

static bool x_swift_ec_inv(struct field *f, BIGNUM *t, const BIGNUM *x, const BIGNUM *u, unsigned which)
{
    BIGNUM *v = take(f), *s = take(f), *w = take(f), *one_c = take(f);
    if (f->failed || !choose_v(f, v, s, x, u, which) || !square_root(f, w, s))
        return false;
    if (which & 1)
        add(f, one_c, BN_value_one(), f->c);
    else
        subtract(f, one_c, BN_value_one(), f->c);
    multiply(f, t, u, one_c); /* w (u (1 -+ c) / 2 + v) */
    halve(f, t);
    add(f, t, t, v);
    multiply(f, t, t, w);
    if ((which & 5) == 0 || (which & 5) == 5)
        negate(f, t);
    return !f->failed;
}

static bool choose_v(struct field *f, BIGNUM *v, BIGNUM *s, const BIGNUM *x, const BIGNUM *u, unsigned which)
{
    BIGNUM *g = take(f), *a = take(f), *b = take(f), *r = take(f);
    if (f->failed)
        return false;
    curve(f, g, u);
    if (!(which & 2)) {
        add(f, a, x, u);
        negate(f, a);
        if (f->failed || is_on_curve(f, a))
            return false;
        multiply(f, a, x, x); /* s = -(u^3 + 7) / (u^2 + uv + v^2) */
        add(f, b, u, x);
        multiply(f, b, b, u);
        add(f, a, a, b);
        negate(f, g);
        if (BN_is_zero(a))
            return false;
        divide(f, s, g, a);
        f->failed = f->failed || BN_copy(v, x) == NULL;
        return !f->failed;
    }
    subtract(f, s, x, u);
    if (f->failed || BN_is_zero(s))
        return false;
    multiply_by(f, g, g, 4); /* r^2 = -s (4 (u^3 + 7) + 3 u^2 s) */
    multiply(f, a, u, u);
    multiply(f, a, a, s);
    multiply_by(f, a, a, 3);
    add(f, a, a, g);
    multiply(f, a, a, s);
    negate(f, a);
    if (!square_root(f, r, a) || ((which & 1) && BN_is_zero(r)))
        return false;
    divide(f, v, r, s); /* v = (r/s - u) / 2 */
    subtract(f, v, v, u);
    halve(f, v);
    return !f->failed;
}
