/* Proves coin.h: the bytes of a coin that a hash over coins takes, field by field. */
#include <check.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/primitives/coin.h"
#include "unit.h"

#define LONG_SIZE_B 10000 /* no spendable script is longer */

static const struct {
    int64_t value_sat;
    int32_t height;
    bool is_coinbase;
    const char *script, *expected; /* hex; behind the txid's 32 bytes */
} rows[] = {
    {0, 0, false, "", "04030201" "00000000" "0000000000000000" "00"},
    {5000000000, 1, true, "51", "04030201" "03000000" "00f2052a01000000" "0151"},
    {1, 840000, false, "0014ffffffffffffffffffffffffffffffffffffffff",
        "04030201" "80a21900" "0100000000000000" "160014ffffffffffffffffffffffffffffffffffffffff"},
    {2100000000000000, 0x7ffffffe, true, "ab", "04030201" "fdffffff" "0040075af0750700" "01ab"},
};

static struct outpoint made_outpoint(void)
{
    struct outpoint o = {.index = 0x01020304};
    for (uint8_t i = 0; i < 32; i++)
        o.txid.b[i] = i;
    return o;
}

START_TEST(encoded_for_a_hash)
{
    struct outpoint outpoint = made_outpoint();
    struct buf script, expected, out;
    buf_init(&script, 1000);
    buf_init(&expected, 1000);
    buf_init(&out, 1000);
    ck_assert(hex_to_buf(&script, span_text(rows[_i].script)));
    buf_put(&expected, outpoint.txid.b, 32);
    ck_assert(hex_to_buf(&expected, span_text(rows[_i].expected)));
    struct coin coin = {rows[_i].value_sat, rows[_i].height, rows[_i].is_coinbase, buf_span(&script)};
    coin_encode_for_hash(&out, &outpoint, &coin);
    ck_assert(span_equal(buf_span(&out), buf_span(&expected)));
    buf_clear(&script);
    buf_clear(&expected);
    buf_clear(&out);
}
END_TEST

START_TEST(long_scripts)
{
    static const struct { size_t size_b; const char *length; } lengths[] = {
        {252, "\xfc"}, {253, "\xfd\xfd\x00"}, {LONG_SIZE_B, "\xfd\x10\x27"}};
    struct outpoint outpoint = made_outpoint();
    static uint8_t script[LONG_SIZE_B];
    memset(script, 7, sizeof script);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t length_b = lengths[i].size_b < 253 ? 1 : 3;
        struct coin coin = {1, 1, false, span_of(script, lengths[i].size_b)};
        struct buf out;
        buf_init(&out, 2 * LONG_SIZE_B);
        coin_encode_for_hash(&out, &outpoint, &coin);
        ck_assert_uint_eq(out.size_b, 48 + length_b + lengths[i].size_b);
        ck_assert_mem_eq(out.data + 48, lengths[i].length, length_b);
        ck_assert_mem_eq(out.data + 48 + length_b, script, lengths[i].size_b);
        buf_clear(&out);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coin");
    TCase *tc = tcase_create("coin");
    tcase_add_loop_test(tc, encoded_for_a_hash, 0, (int)(sizeof rows / sizeof *rows));
    tcase_add_test(tc, long_scripts);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
