/* 256-bit numbers as four 64-bit words, least significant first: targets and chain work. Plain school
 * arithmetic through 128-bit products; division is by shifting and subtracting, whose cost is the
 * difference in length of its operands: about 80 steps for the work of a block. */
#include "coin/primitives/u256.h"

#include <string.h>

#define WORDS 4
#define WORD_BITS 64
#define U256_BITS 256
#define U256_HEX 64

__extension__ typedef unsigned __int128 wide; /* a product of two words */

struct u256 u256_from_u64(uint64_t v)
{
    return (struct u256){ { v, 0, 0, 0 } };
}

struct u256 u256_from_le(const uint8_t bytes[32])
{
    struct u256 v;
    for (size_t i = 0; i < WORDS; i++)
        v.w[i] = get_u64le(bytes + 8 * i);
    return v;
}

void u256_to_le(uint8_t bytes[32], const struct u256 *v)
{
    for (size_t i = 0; i < WORDS; i++)
        put_u64le(bytes + 8 * i, v->w[i]);
}

int u256_compare(const struct u256 *a, const struct u256 *b)
{
    for (size_t i = WORDS; i-- > 0;) {
        if (a->w[i] != b->w[i])
            return a->w[i] < b->w[i] ? -1 : 1;
    }
    return 0;
}

bool u256_is_zero(const struct u256 *v)
{
    return (v->w[0] | v->w[1] | v->w[2] | v->w[3]) == 0;
}

struct u256 u256_add(const struct u256 *a, const struct u256 *b)
{
    struct u256 sum;
    wide carry = 0;
    for (size_t i = 0; i < WORDS; i++) {
        carry += (wide)a->w[i] + b->w[i];
        sum.w[i] = (uint64_t)carry;
        carry >>= WORD_BITS;
    }
    return sum;
}

struct u256 u256_sub(const struct u256 *a, const struct u256 *b)
{
    struct u256 difference;
    uint64_t borrow = 0;
    for (size_t i = 0; i < WORDS; i++) {
        wide d = (wide)a->w[i] - b->w[i] - borrow;
        difference.w[i] = (uint64_t)d;
        borrow = (uint64_t)(d >> WORD_BITS) & 1;
    }
    return difference;
}

struct u256 u256_not(const struct u256 *a)
{
    return (struct u256){ { ~a->w[0], ~a->w[1], ~a->w[2], ~a->w[3] } };
}

struct u256 u256_shift_left(const struct u256 *a, uint32_t bits)
{
    struct u256 out = { { 0, 0, 0, 0 } };
    if (bits >= U256_BITS)
        return out;
    size_t words = bits / WORD_BITS;
    uint32_t rest = bits % WORD_BITS;
    for (size_t i = WORDS; i-- > words;) {
        out.w[i] = a->w[i - words] << rest;
        if (rest != 0 && i > words)
            out.w[i] |= a->w[i - words - 1] >> (WORD_BITS - rest);
    }
    return out;
}

struct u256 u256_shift_right(const struct u256 *a, uint32_t bits)
{
    struct u256 out = { { 0, 0, 0, 0 } };
    if (bits >= U256_BITS)
        return out;
    size_t words = bits / WORD_BITS;
    uint32_t rest = bits % WORD_BITS;
    for (size_t i = 0; i + words < WORDS; i++) {
        out.w[i] = a->w[i + words] >> rest;
        if (rest != 0 && i + words + 1 < WORDS)
            out.w[i] |= a->w[i + words + 1] << (WORD_BITS - rest);
    }
    return out;
}

struct u256 u256_mul_u64(const struct u256 *a, uint64_t b, bool *overflow)
{
    struct u256 out;
    wide carry = 0;
    for (size_t i = 0; i < WORDS; i++) {
        carry += (wide)a->w[i] * b;
        out.w[i] = (uint64_t)carry;
        carry >>= WORD_BITS;
    }
    if (overflow != NULL)
        *overflow = carry != 0;
    return out;
}

struct u256 u256_div(const struct u256 *a, const struct u256 *b)
{
    struct u256 quotient = { { 0, 0, 0, 0 } };
    uint32_t a_bits = u256_bits(a), b_bits = u256_bits(b);
    if (b_bits == 0 || b_bits > a_bits)
        return quotient; /* b > 0 is the caller's promise; 0 keeps a broken one harmless */
    struct u256 rest = *a;
    struct u256 step = u256_shift_left(b, a_bits - b_bits);
    for (uint32_t i = a_bits - b_bits + 1; i-- > 0;) {
        if (u256_compare(&rest, &step) >= 0) {
            rest = u256_sub(&rest, &step);
            quotient.w[i / WORD_BITS] |= UINT64_C(1) << (i % WORD_BITS);
        }
        step = u256_shift_right(&step, 1);
    }
    return quotient;
}

struct u256 u256_div_u64(const struct u256 *a, uint64_t b)
{
    struct u256 quotient = { { 0, 0, 0, 0 } };
    if (b == 0)
        return quotient;
    wide rest = 0;
    for (size_t i = WORDS; i-- > 0;) {
        wide part = rest << WORD_BITS | a->w[i];
        quotient.w[i] = (uint64_t)(part / b);
        rest = part % b;
    }
    return quotient;
}

uint32_t u256_bits(const struct u256 *v)
{
    for (uint32_t i = WORDS; i-- > 0;) {
        if (v->w[i] != 0)
            return i * WORD_BITS + WORD_BITS - (uint32_t)__builtin_clzll(v->w[i]);
    }
    return 0;
}

double u256_to_double(const struct u256 *v)
{
    const double word = 18446744073709551616.0; /* 2^64 */
    double sum = 0;
    for (size_t i = WORDS; i-- > 0;)
        sum = sum * word + (double)v->w[i];
    return sum;
}

void u256_to_hex(char out[65], const struct u256 *v)
{
    uint8_t bytes[32];
    for (size_t i = 0; i < WORDS; i++) {
        for (size_t k = 0; k < 8; k++)
            bytes[31 - 8 * i - k] = (uint8_t)(v->w[i] >> (8 * k));
    }
    hex_encode(out, bytes, sizeof bytes);
}

bool u256_from_hex(struct u256 *out, struct span hex)
{
    if (hex.size_b == 0 || hex.size_b > U256_HEX)
        return false;
    uint8_t digits[U256_HEX], bytes[32];
    memset(digits, '0', sizeof digits);
    memcpy(digits + U256_HEX - hex.size_b, hex.data, hex.size_b);
    if (!hex_decode(bytes, sizeof bytes, span_of(digits, sizeof digits)))
        return false;
    uint8_t le[32];
    for (size_t i = 0; i < sizeof le; i++)
        le[i] = bytes[sizeof bytes - 1 - i];
    *out = u256_from_le(le);
    return true;
}

/* nBits: one byte of length, then a sign bit and 23 bits, as OpenSSL's MPI format that Bitcoin began with. */
struct u256 compact_decode(uint32_t bits, bool *negative, bool *overflow)
{
    uint32_t size_b = bits >> 24;
    uint32_t word = bits & 0x007fffffu;
    struct u256 v;
    if (size_b <= 3) {
        word >>= 8 * (3 - size_b);
        v = u256_from_u64(word);
    } else {
        v = u256_from_u64(word);
        v = u256_shift_left(&v, 8 * (size_b - 3));
    }
    if (negative != NULL)
        *negative = word != 0 && (bits & 0x00800000u) != 0;
    if (overflow != NULL)
        *overflow = word != 0 && (size_b > 34 || (word > 0xff && size_b > 33) || (word > 0xffff && size_b > 32));
    return v;
}

uint32_t compact_encode(const struct u256 *v)
{
    uint32_t size_b = (u256_bits(v) + 7) / 8;
    uint32_t word;
    if (size_b <= 3) {
        word = (uint32_t)(v->w[0] << (8 * (3 - size_b)));
    } else {
        struct u256 top = u256_shift_right(v, 8 * (size_b - 3));
        word = (uint32_t)top.w[0];
    }
    if ((word & 0x00800000u) != 0) { /* would read as the sign: one byte more, one digit less */
        word >>= 8;
        size_b++;
    }
    return word | size_b << 24;
}

struct u256 work_of_target(const struct u256 *target)
{
    /* floor(2^256 / (t+1)) = floor((2^256 - t - 1) / (t+1)) + 1, which fits in 256 bits. */
    struct u256 one = u256_from_u64(1);
    struct u256 above = u256_add(target, &one);
    if (u256_is_zero(&above))
        return one;
    struct u256 rest = u256_not(target);
    struct u256 work = u256_div(&rest, &above);
    return u256_add(&work, &one);
}
