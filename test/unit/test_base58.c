/* Proves base58 and its checksum: answers, round trips of every length, leading zeroes, every changed
 * character, and the limits. bech32 shares the header and has test_bech32.c. */
#include <check.h>
#include <string.h>

#include "coin/crypto/base58.h"
#include "unit.h"

#define BYTES_MAX 1024 /* what the functions take */

static const struct { const char *hex, *text; } answers[] = {
    { "", "" }, { "61", "2g" }, { "626262", "a3gV" }, { "00", "1" }, { "0000", "11" }, { "39", "z" }, { "3a", "21" },
    { "ff", "5Q" }, { "73696d706c792061206c6f6e6720737472696e67", "2cFupjhnEsSn59qHXstmK2ffpLv2" },
    { "00eb15231dfceb60925886b67d065299925915aeb172c06647", "1NS17iag9jJgTHD1VXjvLCEnZuQ3rJDE9L" },
    { "10c8511e", "Rt5zm" }, { "00000000000000000000", "1111111111" },
};

START_TEST(plain)
{
    struct buf bytes, out;
    buf_init(&bytes, BYTES_MAX);
    buf_init(&out, BYTES_MAX);
    ck_assert(hex_to_buf(&bytes, span_text(answers[_i].hex)));
    ck_assert(base58_encode(&out, buf_span(&bytes)));
    ck_assert(span_is(buf_span(&out), answers[_i].text));
    out.size_b = 0;
    ck_assert(base58_decode(&out, span_text(answers[_i].text)));
    ck_assert(span_equal(buf_span(&out), buf_span(&bytes)));
    buf_clear(&bytes);
    buf_clear(&out);
}
END_TEST

static const struct { const char *hex, *text; } checked[] = {
    { "0062e907b15cbf27d5425399ebf6f0fb50ebb88f18", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa" }, /* the first coinbase */
    { "000000000000000000000000000000000000000000", "1111111111111111111114oLvT2" },
    { "800c28fca386c7a227600b2fe50b7cae11ec86d3bf1fbe471be89827e19d72aa1d",
        "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ" },
    { "", "3QJmnh" },
};

START_TEST(with_checksum)
{
    struct buf bytes, out;
    buf_init(&bytes, BYTES_MAX);
    buf_init(&out, BYTES_MAX);
    ck_assert(hex_to_buf(&bytes, span_text(checked[_i].hex)));
    ck_assert(base58check_encode(&out, buf_span(&bytes)));
    ck_assert(span_is(buf_span(&out), checked[_i].text));
    out.size_b = 0;
    buf_put_text(&out, "kept");
    ck_assert(base58check_decode(&out, span_text(checked[_i].text))); /* appended */
    ck_assert_uint_eq(out.size_b, 4 + bytes.size_b);
    ck_assert(bytes.size_b == 0 || memcmp(out.data + 4, bytes.data, bytes.size_b) == 0);
    ck_assert_mem_eq(out.data, "kept", 4);
    buf_clear(&bytes);
    buf_clear(&out);
}
END_TEST

START_TEST(every_change_is_seen)
{
    static const char digits[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    char text[64];
    struct buf out;
    size_t length = strlen(checked[0].text);
    buf_init(&out, BYTES_MAX);
    memcpy(text, checked[0].text, length);
    for (size_t i = 0; i < length; i++) {
        for (const char *d = digits; *d != 0; d++) {
            if (*d == checked[0].text[i])
                continue;
            text[i] = *d;
            out.size_b = 0;
            ck_assert(!base58check_decode(&out, span_of(text, length)));
        }
        text[i] = checked[0].text[i];
    }
    for (size_t i = 0; i < length; i++) {
        out.size_b = 0;
        ck_assert(!base58check_decode(&out, span_of(text, i)));
    }
    buf_clear(&out);
}
END_TEST

START_TEST(bad_characters)
{
    struct buf out;
    buf_init(&out, BYTES_MAX);
    for (unsigned c = 0; c < 256; c++) {
        char text[3] = { '2', (char)c, '2' };
        bool digit = c > 0 && c < 128 &&
                     strchr("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", (int)c) != NULL;
        out.size_b = 0;
        ck_assert_msg(base58_decode(&out, span_of(text, 3)) == digit, "character %u", c);
    }
    buf_clear(&out);
}
END_TEST

START_TEST(round_trips)
{
    uint8_t bytes[300];
    struct buf text, back;
    buf_init(&text, BYTES_MAX);
    buf_init(&back, BYTES_MAX);
    for (size_t zeroes = 0; zeroes < 3; zeroes++) {
        for (size_t size_b = zeroes; size_b <= sizeof bytes; size_b++) {
            for (size_t i = 0; i < size_b; i++)
                bytes[i] = i < zeroes ? 0 : (uint8_t)(size_b * 31 + i * 7 + 1);
            text.size_b = back.size_b = 0;
            ck_assert(base58check_encode(&text, span_of(bytes, size_b)));
            ck_assert(base58check_decode(&back, buf_span(&text)));
            ck_assert(span_equal(buf_span(&back), span_of(bytes, size_b)));
        }
    }
    buf_clear(&text);
    buf_clear(&back);
}
END_TEST

START_TEST(limits)
{
    static uint8_t big[BYTES_MAX + 1];
    struct buf out, little;
    memset(big, 0xff, sizeof big);
    buf_init(&out, 4 * BYTES_MAX);
    ck_assert(base58_encode(&out, span_of(big, BYTES_MAX)));
    ck_assert(!base58_encode(&out, span_of(big, BYTES_MAX + 1)));
    ck_assert(!base58check_encode(&out, span_of(big, BYTES_MAX - 3)));
    memset(big, 'z', sizeof big);
    out.size_b = 0;
    ck_assert(base58_decode(&out, span_of(big, BYTES_MAX)));
    ck_assert(!base58_decode(&out, span_of(big, BYTES_MAX + 1)));
    buf_init(&little, 24); /* an address has 25 bytes with its checksum */
    ck_assert(!base58check_decode(&little, span_text(checked[0].text)));
    buf_clear(&little);
    buf_init(&little, 33);
    ck_assert(!base58_encode(&little, span_of(big, 30)));
    buf_clear(&little);
    buf_clear(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base58");
    TCase *tc = tcase_create("base58");
    tcase_add_loop_test(tc, plain, 0, (int)(sizeof answers / sizeof *answers));
    tcase_add_loop_test(tc, with_checksum, 0, (int)(sizeof checked / sizeof *checked));
    tcase_add_test(tc, every_change_is_seen);
    tcase_add_test(tc, bad_characters);
    tcase_add_test(tc, round_trips);
    tcase_add_test(tc, limits);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
