/* Proves the talk with a SOCKS5 proxy (RFC 1928, 1929): the bytes, however they are cut, and every refusal. */
#include <check.h>
#include <string.h>

#include "../../src/p2p/socks5.h"
#include "unit.h"

#define NAME "abc.onion"

static struct socks5 s;
static struct buf out;
static struct fail why;

static void begin(const char *secret)
{
    ck_assert(socks5_init(&s, NAME, 8333, secret, secret));
    buf_init(&out, SOCKS5_HELLO_MAX_B);
    socks5_hello(&s, &out);
}

static void end(void)
{
    buf_clear(&out);
}

/* Byte by byte; the result of the last one. */
static enum socks5_result feed(const void *bytes, size_t size_b)
{
    enum socks5_result result = SOCKS5_MORE;
    for (size_t i = 0; i < size_b && result == SOCKS5_MORE; i++) {
        size_t taken_b;
        result = socks5_feed(&s, span_of((const uint8_t *)bytes + i, 1), &taken_b, &out, &why);
        ck_assert_uint_eq(taken_b, 1);
    }
    return result;
}

static void expect_out(const void *bytes, size_t size_b)
{
    ck_assert_uint_eq(out.size_b, size_b);
    ck_assert_mem_eq(out.data, bytes, size_b);
    out.size_b = 0;
}

static const char request[] = "\x05\x01\x00\x03\x09" NAME "\x20\x8d";

START_TEST(without_credentials)
{
    begin("");
    expect_out("\x05\x01\x00", 3);
    ck_assert_int_eq(feed("\x05\x00", 2), SOCKS5_MORE);
    expect_out(request, sizeof request - 1);
    ck_assert_int_eq(feed("\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34", 10), SOCKS5_OPEN);
    end();
}
END_TEST

START_TEST(with_credentials)
{
    begin("sesame");
    expect_out("\x05\x02\x00\x02", 4);
    ck_assert_int_eq(feed("\x05\x02", 2), SOCKS5_MORE);
    expect_out("\x01\x06sesame\x06sesame", 15);
    ck_assert_int_eq(feed("\x01\x00", 2), SOCKS5_MORE);
    expect_out(request, sizeof request - 1);
    ck_assert_int_eq(feed("\x05\x00\x00\x03\x02me\x00\x01", 9), SOCKS5_OPEN);
    end();
}
END_TEST

/* What follows the proxy's last word belongs to the destination. */
START_TEST(rest_is_left)
{
    static const char all[] = "\x05\x00\x05\x00\x00\x04" "0123456789abcdef" "\x00\x01" "hello";
    size_t taken_b;
    begin("");
    ck_assert_int_eq(socks5_feed(&s, span_of(all, sizeof all - 1), &taken_b, &out, &why), SOCKS5_OPEN);
    ck_assert_uint_eq(taken_b, sizeof all - 1 - 5);
    end();
}
END_TEST

START_TEST(refusals)
{
    static const struct {
        const char *secret, *bytes;
        size_t size_b;
        const char *words;
    } cases[] = {
        {"", "\x04\x00", 2, "SOCKS5"},
        {"", "HT", 2, "SOCKS5"},
        {"", "\x05\xff", 2, "authentication"},
        {"", "\x05\x02", 2, "authentication"}, /* not offered */
        {"x", "\x05\x02\x01\x01", 4, "refuses"},
        {"x", "\x05\x02\x05\x00", 4, "SOCKS5"},
        {"", "\x05\x00\x05\x01", 4, "general failure"},
        {"", "\x05\x00\x05\x05", 4, "connection refused"},
        {"", "\x05\x00\x05\x08", 4, "address type"},
        {"", "\x05\x00\x05\xf0", 4, "descriptor"},
        {"", "\x05\x00\x05\x77", 4, "unknown"},
        {"", "\x05\x00\x05\x00\x00\x02\x00", 7, "type 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(cases[i].secret);
        ck_assert_int_eq(feed(cases[i].bytes, cases[i].size_b), SOCKS5_FAILED);
        ck_assert_msg(strstr(why.detail, cases[i].words) != NULL, "%zu: %s", i, why.detail);
        end();
    }
}
END_TEST

/* The longest name there and back; nothing longer. */
START_TEST(limits)
{
    char name[SOCKS5_NAME_MAX_B + 2];
    uint8_t answer[SOCKS5_ANSWER_MAX_B] = {5, 0, 0, 3, 255};
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    ck_assert(!socks5_init(&s, name, 1, "", ""));
    name[SOCKS5_NAME_MAX_B] = 0;
    ck_assert(!socks5_init(&s, name, 1, "0123456789abcdefg", ""));
    ck_assert(!socks5_init(&s, name, 1, "", "0123456789abcdefg"));
    ck_assert(socks5_init(&s, name, 1, "", ""));
    buf_init(&out, SOCKS5_HELLO_MAX_B);
    ck_assert_int_eq(feed("\x05\x00", 2), SOCKS5_MORE);
    ck_assert_uint_eq(out.size_b, 4 + 1 + SOCKS5_NAME_MAX_B + 2);
    ck_assert_int_eq(feed(answer, sizeof answer - 1), SOCKS5_MORE);
    ck_assert_int_eq(feed(answer, 1), SOCKS5_OPEN);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("socks5");
    TCase *tc = tcase_create("socks5");
    tcase_add_test(tc, without_credentials);
    tcase_add_test(tc, with_credentials);
    tcase_add_test(tc, rest_is_left);
    tcase_add_test(tc, refusals);
    tcase_add_test(tc, limits);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
