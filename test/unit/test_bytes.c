/* Proves that buffers keep their limit, that readers are sticky and believe no count beyond the bytes
 * left, that what was written reads back, and that hex and UTF-8 take exactly what they should. */
#include "coin/base/bytes.h"
#include "unit.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(spans)
{
    ck_assert(span_is(span_text("abc"), "abc"));
    ck_assert(!span_is(span_text("abc"), "ab"));
    ck_assert(span_equal(span_of(NULL, 0), span_text("")));
    ck_assert(!span_equal(span_text("abc"), span_text("abd")));
    ck_assert_uint_eq(span_text(NULL).size_b, 0);
}
END_TEST

START_TEST(buffer_keeps_its_limit)
{
    struct buf buf;
    struct fail why = { 0 };
    for (size_t limit_b = 0; limit_b < 300; limit_b++) {
        buf_init(&buf, limit_b);
        for (size_t i = 0; i < limit_b; i++)
            buf_put_u8(&buf, (uint8_t)i);
        ck_assert(buf_ok(&buf, "bytes", &why));
        ck_assert_uint_eq(buf.size_b, limit_b);
        ck_assert_uint_le(buf.capacity_b, limit_b > 0 ? limit_b : 1);
        buf_put_u8(&buf, 1);
        ck_assert(!buf_ok(&buf, "bytes", &why));
        ck_assert_int_eq(why.kind, FAIL_NO_ROOM);
        ck_assert_uint_eq(buf.size_b, limit_b);
        for (size_t i = 0; i < limit_b; i++)
            ck_assert_uint_eq(buf.data[i], (uint8_t)i);
        buf_remove_front(&buf, limit_b); /* room again, but what failed stays failed */
        buf_put_u8(&buf, 1);
        ck_assert_uint_eq(buf.size_b, 0);
        buf_clear(&buf);
        ck_assert_uint_eq(buf.limit_b, limit_b);
        ck_assert(!buf.failed);
    }
    buf_init(&buf, 10);
    buf_put(&buf, "x", SIZE_MAX);
    ck_assert(buf.failed);
    buf_clear(&buf);
}
END_TEST

START_TEST(buffer_moves_and_shrinks)
{
    struct buf a, b;
    buf_init(&a, 1000);
    buf_init(&b, 500);
    buf_put_text(&a, "hello world");
    buf_put_text(&b, "old");
    buf_remove_front(&a, 6);
    ck_assert(span_is(buf_span(&a), "world"));
    buf_move(&b, &a);
    ck_assert(span_is(buf_span(&b), "world"));
    ck_assert_uint_eq(a.size_b, 0);
    ck_assert_uint_eq(a.limit_b, 1000);
    buf_printf(&a, "%s %d", "n", 5);
    ck_assert(span_is(buf_span(&a), "n 5"));
    char text[600];
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    buf_printf(&a, "%s", text);
    ck_assert_uint_eq(a.size_b, 3 + 599);
    ck_assert_uint_eq(a.data[601], 'y');
    buf_remove_front(&a, 5000);
    ck_assert_uint_eq(a.size_b, 0);
    buf_clear(&a);
    buf_clear(&b);
}
END_TEST

/* One of each, and the same again read. */
static void write_all(struct buf *buf)
{
    buf_put_u8(buf, 0xfe);
    buf_put_u16le(buf, 0x1234);
    buf_put_u16be(buf, 0x1234);
    buf_put_u32le(buf, 0x89abcdef);
    buf_put_u32be(buf, 0x89abcdef);
    buf_put_u64le(buf, 0x0123456789abcdef);
    buf_put_i32le(buf, -2);
    buf_put_i64le(buf, INT64_MIN);
    buf_put_count(buf, 300);
    buf_put_string(buf, span_text("text"));
}

static bool read_all(struct reader *r)
{
    bool same = rd_u8(r) == 0xfe;
    same &= rd_u16le(r) == 0x1234;
    same &= rd_u16be(r) == 0x1234;
    same &= rd_u32le(r) == 0x89abcdef;
    same &= rd_u32be(r) == 0x89abcdef;
    same &= rd_u64le(r) == 0x0123456789abcdef;
    same &= rd_i32le(r) == -2;
    same &= rd_i64le(r) == INT64_MIN;
    same &= rd_compact(r, 1000) == 300;
    same &= span_is(rd_string(r, 10), "text");
    return same;
}

START_TEST(round_trip_and_every_truncation)
{
    struct buf buf;
    struct reader r;
    struct fail why = { 0 };
    buf_init(&buf, 100);
    write_all(&buf);
    static const uint8_t expect[] = { 0xfe, 0x34, 0x12, 0x12, 0x34, 0xef, 0xcd, 0xab, 0x89, 0x89, 0xab, 0xcd,
        0xef, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, 0xfe, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0,
        0x80, 0xfd, 0x2c, 0x01, 4, 't', 'e', 'x', 't' };
    ck_assert(span_equal(buf_span(&buf), span_of(expect, sizeof expect)));
    rd_init(&r, buf_span(&buf));
    ck_assert(read_all(&r));
    ck_assert(rd_done(&r, "all", &why));
    for (size_t cut_b = 0; cut_b < buf.size_b; cut_b++) {
        rd_init(&r, span_of(buf.data, cut_b));
        ck_assert(!read_all(&r));
        ck_assert(!rd_ok(&r, "all", &why));
        ck_assert_int_eq(why.kind, FAIL_PROTOCOL);
        ck_assert_uint_eq(rd_left(&r), 0);
        ck_assert_uint_eq(rd_u64le(&r), 0); /* sticky */
    }
    buf_put_u8(&buf, 0);
    rd_init(&r, buf_span(&buf));
    ck_assert(read_all(&r));
    ck_assert(rd_ok(&r, "all", &why));
    ck_assert(!rd_done(&r, "all", &why));
    buf_clear(&buf);
}
END_TEST

static const struct {
    const char *hex;
    uint64_t max, value;
    bool good;
} compact_rows[] = {
    { "00", 0, 0, true },
    { "fc", 252, 252, true },
    { "fc", 251, 0, false },
    { "fdfd00", 253, 253, true },
    { "fdfc00", 1000, 0, false }, /* one byte would do */
    { "fdffff", 65535, 65535, true },
    { "fe00000100", 65536, 65536, true },
    { "feffff0000", UINT64_MAX, 0, false },
    { "feffffffff", UINT64_MAX, 0xffffffff, true },
    { "ff0000000001000000", UINT64_MAX, 0x100000000, true },
    { "ffffffffff00000000", UINT64_MAX, 0, false },
    { "ffffffffffffffffff", UINT64_MAX, UINT64_MAX, true },
    { "ffffffffffffffff", UINT64_MAX, 0, false }, /* short */
    { "fd00", UINT64_MAX, 0, false },
    { "", UINT64_MAX, 0, false },
};

START_TEST(compact_sizes)
{
    struct buf buf, again;
    struct reader r;
    buf_init(&buf, 100);
    buf_init(&again, 100);
    ck_assert(hex_to_buf(&buf, span_text(compact_rows[_i].hex)));
    rd_init(&r, buf_span(&buf));
    ck_assert_uint_eq(rd_compact(&r, compact_rows[_i].max), compact_rows[_i].value);
    ck_assert(r.failed == !compact_rows[_i].good);
    if (compact_rows[_i].good) {
        buf_put_count(&again, compact_rows[_i].value);
        ck_assert(span_equal(buf_span(&buf), buf_span(&again)));
    }
    buf_clear(&buf);
    buf_clear(&again);
}
END_TEST

START_TEST(counts_are_covered_by_bytes)
{
    static const uint8_t bytes[] = { 3, 1, 1, 2, 2, 3, 3 };
    struct reader r;
    rd_init(&r, span_of(bytes, sizeof bytes));
    ck_assert_uint_eq(rd_count(&r, 2, 10), 3);
    rd_init(&r, span_of(bytes, sizeof bytes));
    ck_assert_uint_eq(rd_count(&r, 3, 10), 0);
    ck_assert(r.failed);
    rd_init(&r, span_of(bytes, sizeof bytes));
    ck_assert_uint_eq(rd_count(&r, 1, 2), 0);
    ck_assert(r.failed);
    static const uint8_t huge[] = { 0xfe, 0xff, 0xff, 0xff, 0xff, 1 };
    rd_init(&r, span_of(huge, sizeof huge));
    ck_assert_uint_eq(rd_count(&r, SIZE_MAX, UINT32_MAX), 0); /* no overflow in the product */
    ck_assert(r.failed);
    rd_init(&r, span_of(huge, sizeof huge));
    ck_assert_uint_eq(rd_string(&r, SIZE_MAX).size_b, 0);
    ck_assert(r.failed);
}
END_TEST

START_TEST(first_complaint_stays)
{
    static const uint8_t bytes[] = { 1, 2, 3 };
    struct reader r;
    struct fail why = { 0 };
    uint8_t copy[4] = { 9, 9, 9, 9 };
    rd_init(&r, span_of(bytes, sizeof bytes));
    rd_fail(&r, "wrong colour");
    rd_copy(&r, copy, sizeof copy);
    ck_assert_uint_eq(copy[0] | copy[1] | copy[2] | copy[3], 0);
    ck_assert(!rd_done(&r, "thing", &why));
    ck_assert_str_eq(why.detail, "thing: wrong colour");
    rd_init(&r, span_of(NULL, 0));
    ck_assert_uint_eq(rd_bytes(&r, 0).size_b, 0);
    ck_assert(rd_done(&r, "nothing", &why));
}
END_TEST

START_TEST(hex)
{
    uint8_t bytes[4] = { 0x00, 0x9f, 0xa0, 0xff }, back[4];
    char text[9];
    struct buf buf;
    hex_encode(text, bytes, 4);
    ck_assert_str_eq(text, "009fa0ff");
    ck_assert(hex_decode(back, 4, span_text("009FA0fF")));
    ck_assert_int_eq(memcmp(bytes, back, 4), 0);
    static const char *const wrong[] = { "009fa0f", "009fa0ff0", "009fa0fg", "g09fa0ff", "009fa0f ", "",
        "0x9fa0ff", "009fa0f\x80" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(!hex_decode(back, 4, span_text(wrong[i])), "%s", wrong[i]);
    buf_init(&buf, 3);
    ck_assert(!hex_to_buf(&buf, span_text("abc")));
    ck_assert(!buf.failed);
    ck_assert(!hex_to_buf(&buf, span_text("zz")));
    ck_assert_uint_eq(buf.size_b, 0);
    ck_assert(hex_to_buf(&buf, span_text("")));
    ck_assert(hex_to_buf(&buf, span_text("abcdef")));
    ck_assert(!hex_to_buf(&buf, span_text("00")));
    buf_clear(&buf);
    buf_init(&buf, 100);
    buf_put_hex(&buf, bytes, 4);
    ck_assert(span_is(buf_span(&buf), "009fa0ff"));
    buf_clear(&buf);
}
END_TEST

static const struct {
    const char *text;
    size_t size_b; /* of its first character; 0: none */
} utf8_rows[] = {
    { "a", 1 }, { "\x7f", 1 }, { "\x80", 0 }, { "\xbf", 0 }, { "\xc0\x80", 0 }, { "\xc1\xbf", 0 },
    { "\xc2\x80", 2 }, { "\xdf\xbf", 2 }, { "\xc2", 0 }, { "\xc2" "a", 0 }, { "\xe0\x9f\xbf", 0 },
    { "\xe0\xa0\x80", 3 }, { "\xed\x9f\xbf", 3 }, { "\xed\xa0\x80", 0 }, { "\xee\x80\x80", 3 },
    { "\xef\xbf\xbf", 3 }, { "\xe2\x82", 0 }, { "\xf0\x8f\xbf\xbf", 0 }, { "\xf0\x90\x80\x80", 4 },
    { "\xf4\x8f\xbf\xbf", 4 }, { "\xf4\x90\x80\x80", 0 }, { "\xf5\x80\x80\x80", 0 }, { "\xff", 0 },
    { "\xf0\x90\x80", 0 }, { "\xf0\x90\x80" "a", 0 },
};

START_TEST(utf8)
{
    const uint8_t *text = (const uint8_t *)utf8_rows[_i].text;
    const uint8_t *next = utf8_next(text, text + strlen(utf8_rows[_i].text));
    ck_assert_msg((next != NULL ? (size_t)(next - text) : 0) == utf8_rows[_i].size_b, "row %d", _i);
}
END_TEST

START_TEST(narrowing)
{
    struct fail why = { 0 };
    uint32_t u = 0;
    int32_t i = 0;
    ck_assert(to_u32(&u, UINT32_MAX, &why) && u == UINT32_MAX);
    ck_assert(!to_u32(&u, (uint64_t)UINT32_MAX + 1, &why));
    ck_assert_str_eq(why.code, "out-of-range");
    ck_assert(to_i32(&i, INT32_MIN, &why) && i == INT32_MIN);
    ck_assert(to_i32(&i, INT32_MAX, &why) && i == INT32_MAX);
    ck_assert(!to_i32(&i, (int64_t)INT32_MAX + 1, &why));
    ck_assert(!to_i32(&i, (int64_t)INT32_MIN - 1, &why));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bytes");
    TCase *cases = tcase_create("bytes");
    tcase_add_test(cases, spans);
    tcase_add_test(cases, buffer_keeps_its_limit);
    tcase_add_test(cases, buffer_moves_and_shrinks);
    tcase_add_test(cases, round_trip_and_every_truncation);
    tcase_add_loop_test(cases, compact_sizes, 0, (int)(sizeof compact_rows / sizeof *compact_rows));
    tcase_add_test(cases, counts_are_covered_by_bytes);
    tcase_add_test(cases, first_complaint_stays);
    tcase_add_test(cases, hex);
    tcase_add_loop_test(cases, utf8, 0, (int)(sizeof utf8_rows / sizeof *utf8_rows));
    tcase_add_test(cases, narrowing);
    suite_add_tcase(suite, cases);
    return unit_run(suite);
}
