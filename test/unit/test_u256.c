/* Proves the 256-bit arithmetic against cases worked out with unbounded integers, against its own
 * inverses, and nBits against every quirk of Bitcoin's. */
#include <check.h>
#include <string.h>

#include "coin/primitives/u256.h"
#include "unit.h"

#define MAX_HEX "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

static struct u256 hex(const char *text)
{
    struct u256 v;
    ck_assert_msg(u256_from_hex(&v, span_text(text)), "%s", text);
    return v;
}

static void same(const struct u256 *got, const char *want)
{
    char text[65];
    struct u256 w = hex(want);
    u256_to_hex(text, got);
    ck_assert_msg(u256_compare(got, &w) == 0, "%s, not %s", text, want);
}

static uint64_t dice(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 11 ^ *state << 31;
}

static const struct { const char *a, *b, *sum, *difference, *quotient; } pairs[] = {
    { "0", "1", "1", MAX_HEX, "0" },
    { MAX_HEX, "1", "0", "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe", MAX_HEX },
    { "10000000000000000", "ffffffffffffffff", "1ffffffffffffffff", "1", "1" },
    { "100000000000000000000000000000000", "3", "100000000000000000000000000000003",
        "fffffffffffffffffffffffffffffffd", "55555555555555555555555555555555" },
    { MAX_HEX, MAX_HEX, "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe", "0", "1" },
    { "7", "8", "f", MAX_HEX, "0" },
};

START_TEST(arithmetic)
{
    struct u256 a = hex(pairs[_i].a), b = hex(pairs[_i].b);
    struct u256 r = u256_add(&a, &b);
    same(&r, pairs[_i].sum);
    r = u256_sub(&a, &b);
    same(&r, pairs[_i].difference);
    r = u256_div(&a, &b);
    same(&r, pairs[_i].quotient);
}
END_TEST

START_TEST(division_inverts_multiplication)
{
    uint64_t state = 1;
    for (int i = 0; i < 2000; i++) {
        struct u256 a = { { dice(&state), dice(&state), dice(&state), 0 } };
        a = u256_shift_right(&a, (uint32_t)(dice(&state) % 192));
        uint64_t b = dice(&state) >> (dice(&state) % 63) | 1;
        bool overflow;
        struct u256 product = u256_mul_u64(&a, b, &overflow), wide = u256_from_u64(b);
        ck_assert(!overflow);
        struct u256 back = u256_div_u64(&product, b);
        ck_assert_int_eq(u256_compare(&back, &a), 0);
        back = u256_div(&product, &wide);
        ck_assert_int_eq(u256_compare(&back, &a), 0);
        if (!u256_is_zero(&a)) {
            back = u256_div(&product, &a);
            ck_assert_int_eq(u256_compare(&back, &wide), 0);
        }
    }
}
END_TEST

START_TEST(overflow_is_told)
{
    struct u256 max = hex(MAX_HEX);
    bool overflow;
    struct u256 r = u256_mul_u64(&max, 2, &overflow);
    ck_assert(overflow);
    same(&r, "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe");
    r = u256_mul_u64(&max, 1, &overflow);
    ck_assert(!overflow);
    u256_mul_u64(&max, 3, NULL);
}
END_TEST

START_TEST(shifts)
{
    struct u256 one = u256_from_u64(1), max = hex(MAX_HEX);
    for (uint32_t i = 0; i < 256; i++) {
        struct u256 up = u256_shift_left(&one, i);
        ck_assert_uint_eq(u256_bits(&up), i + 1);
        struct u256 down = u256_shift_right(&up, i);
        ck_assert_int_eq(u256_compare(&down, &one), 0);
        struct u256 high = u256_shift_right(&max, i);
        ck_assert_uint_eq(u256_bits(&high), 256 - i);
    }
    struct u256 gone = u256_shift_left(&max, 256);
    ck_assert(u256_is_zero(&gone));
    gone = u256_shift_right(&max, 300);
    ck_assert(u256_is_zero(&gone));
    ck_assert_uint_eq(u256_bits(&gone), 0);
    struct u256 none = u256_not(&max);
    ck_assert(u256_is_zero(&none));
}
END_TEST

START_TEST(bytes_and_text)
{
    struct u256 v = hex("0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20");
    uint8_t le[32];
    char text[65];
    u256_to_le(le, &v);
    ck_assert_uint_eq(le[0], 0x20);
    ck_assert_uint_eq(le[31], 0x01);
    struct u256 back = u256_from_le(le);
    ck_assert_int_eq(u256_compare(&v, &back), 0);
    u256_to_hex(text, &v);
    ck_assert_str_eq(text, "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20");
    ck_assert(!u256_from_hex(&v, span_text("")));
    ck_assert(!u256_from_hex(&v, span_text("xyz")));
    ck_assert(!u256_from_hex(&v, span_text("0" MAX_HEX)));
    v = hex("10000000000000001");
    ck_assert_double_eq(u256_to_double(&v), 18446744073709551617.0);
}
END_TEST

static const struct {
    uint32_t bits;
    const char *value;
    bool negative, overflow;
    uint32_t again; /* what the value is encoded as */
} compacts[] = {
    { 0, "0", false, false, 0 }, { 0x00123456, "0", false, false, 0 },
    { 0x01003456, "0", false, false, 0 }, { 0x02000056, "0", false, false, 0 },
    { 0x03000000, "0", false, false, 0 }, { 0x04000000, "0", false, false, 0 },
    { 0x00923456, "0", false, false, 0 }, { 0x01803456, "0", false, false, 0 },
    { 0x02800056, "0", false, false, 0 }, { 0x03800000, "0", false, false, 0 },
    { 0x01123456, "12", false, false, 0x01120000 }, { 0x02123456, "1234", false, false, 0x02123400 },
    { 0x03123456, "123456", false, false, 0x03123456 }, { 0x04123456, "12345600", false, false, 0x04123456 },
    { 0x01fedcba, "7e", true, false, 0x017e0000 }, { 0x04923456, "12345600", true, false, 0x04123456 },
    { 0x05009234, "92340000", false, false, 0x05009234 },
    { 0x20123456, "1234560000000000000000000000000000000000000000000000000000000000", false, false, 0x20123456 },
    { 0x1d00ffff, "ffff0000000000000000000000000000000000000000000000000000", false, false, 0x1d00ffff },
    { 0x21010000, "0", false, true, 0 }, { 0x2100ff00, "ff00000000000000000000000000000000000000000000000000000000000000", false, false, 0x2100ff00 },
    { 0x22000100, "0", false, true, 0 }, { 0x23000001, "0", false, true, 0 }, { 0xff123456, "0", false, true, 0 },
};

START_TEST(compact)
{
    bool negative, overflow;
    struct u256 v = compact_decode(compacts[_i].bits, &negative, &overflow);
    ck_assert_msg(negative == compacts[_i].negative, "%08x", compacts[_i].bits);
    ck_assert_msg(overflow == compacts[_i].overflow, "%08x", compacts[_i].bits);
    if (overflow)
        return;
    same(&v, compacts[_i].value);
    ck_assert_uint_eq(compact_encode(&v), compacts[_i].again);
}
END_TEST

START_TEST(compact_rounds_down)
{
    struct u256 v = u256_from_u64(0x80);
    ck_assert_uint_eq(compact_encode(&v), 0x02008000);
    v = u256_from_u64(0x12345678);
    ck_assert_uint_eq(compact_encode(&v), 0x04123456);
    v = u256_from_u64(0xffffffff);
    ck_assert_uint_eq(compact_encode(&v), 0x0500ffff);
}
END_TEST

START_TEST(work)
{
    static const struct { const char *target, *work; } rows[] = {
        { "1", "8000000000000000000000000000000000000000000000000000000000000000" },
        { "ffff0000000000000000000000000000000000000000000000000000", "100010001" },
        { "7fffff0000000000000000000000000000000000000000000000000000000000", "2" },
        { MAX_HEX, "1" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct u256 target = hex(rows[i].target), w = work_of_target(&target);
        same(&w, rows[i].work);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("u256");
    TCase *tc = tcase_create("u256");
    tcase_add_loop_test(tc, arithmetic, 0, (int)(sizeof pairs / sizeof *pairs));
    tcase_add_test(tc, division_inverts_multiplication);
    tcase_add_test(tc, overflow_is_told);
    tcase_add_test(tc, shifts);
    tcase_add_test(tc, bytes_and_text);
    tcase_add_loop_test(tc, compact, 0, (int)(sizeof compacts / sizeof *compacts));
    tcase_add_test(tc, compact_rounds_down);
    tcase_add_test(tc, work);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
