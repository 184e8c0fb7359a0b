/* Proves that bits due, relief, work and bounds follow the rules of each algorithm: lwma against vectors
 * that an independent implementation made (test/reference/lwma.py), the others by cases worked by hand. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "coin/base/file.h"
#include "coin/base/json.h"
#include "coin/consensus/pow.h"
#include "unit.h"

#define VECTORS "test/reference/lwma_vectors.json"
#define HEADERS_MAX 5000

struct history {
    struct pow_point points[HEADERS_MAX];
};
static struct history history;

static struct pow_point at(const void *ctx, int32_t height)
{
    ck_assert_int_ge(height, 0);
    ck_assert_int_lt(height, HEADERS_MAX);
    return ((const struct history *)ctx)->points[height];
}

static void put(int32_t height, uint32_t time_s, uint32_t bits)
{
    history.points[height] = (struct pow_point){ .height = height, .time_s = time_s, .bits = bits };
}

static struct pow_view view_of(int32_t tip)
{
    return (struct pow_view){ .ctx = &history, .at = at, .tip_height = tip };
}

static struct chain chain_of(enum difficulty_kind kind, uint32_t window, int64_t spacing_s, uint32_t limit_bits)
{
    struct chain chain;
    memset(&chain, 0, sizeof chain);
    chain.difficulty.kind = kind;
    chain.difficulty.window = window;
    chain.spacing_s = spacing_s;
    chain.pow_limit = compact_decode(limit_bits, NULL, NULL);
    chain.pow_limit_bits = limit_bits;
    return chain;
}

static int64_t number(const struct json *v)
{
    int64_t out;
    struct fail why;
    ck_assert(json_to_i64(&out, v, "number", &why));
    return out;
}

static void read_vectors(struct buf *text, struct json_doc *doc)
{
    struct fail why;
    buf_init(text, 1 << 20);
    ck_assert_msg(file_read_all(&disk_posix, VECTORS, text, &why), "%s (run from the project's root)", why.detail);
    ck_assert_msg(json_parse(doc, buf_span(text), &why), "%s", why.detail);
}

START_TEST(lwma_vectors)
{
    struct buf text;
    struct json_doc doc;
    read_vectors(&text, &doc);
    uint32_t compared = 0;
    const struct json *list = json_get(doc.root, "scenarios");
    ck_assert(list != NULL && list->count > 5);
    for (const struct json *s = list->first; s != NULL; s = s->next) {
        uint32_t limit_bits = (uint32_t)number(json_get(s, "limit_bits"));
        struct chain chain = chain_of(DIFFICULTY_LWMA, (uint32_t)number(json_get(s, "window")),
            number(json_get(s, "spacing")), limit_bits);
        uint32_t time_s = (uint32_t)number(json_get(s, "start"));
        put(0, time_s, limit_bits);
        const struct json *gap = json_get(s, "gaps")->first, *bits = json_get(s, "bits")->first;
        for (int32_t height = 1; gap != NULL; height++, gap = gap->next, bits = bits->next) {
            struct pow_view view = view_of(height - 1);
            uint32_t due = pow_bits_due(&chain, &view, 0);
            ck_assert_msg(due == (uint32_t)number(bits), "%.*s, height %d: %08x is due, not %08x",
                (int)json_get(s, "name")->text.size_b, (const char *)json_get(s, "name")->text.data, height,
                (unsigned)number(bits), due);
            ck_assert(pow_permitted(&chain, height, history.points[height - 1].bits, due));
            time_s = (uint32_t)(time_s + number(gap));
            put(height, time_s, due);
            compared++;
        }
    }
    ck_assert_uint_gt(compared, 3000);
    json_doc_clear(&doc);
    buf_clear(&text);
}
END_TEST

START_TEST(relief_vectors)
{
    struct buf text;
    struct json_doc doc;
    read_vectors(&text, &doc);
    struct chain chain = chain_of(DIFFICULTY_LWMA, 90, 60, 0x1e0fffff);
    chain.difficulty.relief_spacings = 20;
    const struct json *list = json_get(doc.root, "relief");
    ck_assert(list != NULL && list->count > 50);
    for (const struct json *row = list->first; row != NULL; row = row->next) {
        uint32_t bits = (uint32_t)number(json_at(row, 0)), time_s = (uint32_t)number(json_at(row, 1));
        uint32_t parent_s = (uint32_t)number(json_at(row, 2));
        struct u256 want_target, want_work;
        ck_assert(u256_from_hex(&want_target, json_at(row, 3)->text));
        ck_assert(u256_from_hex(&want_work, json_at(row, 4)->text));
        struct u256 target = pow_target(&chain, bits, time_s, parent_s);
        struct u256 work = pow_work(&chain, bits, time_s, parent_s);
        ck_assert_int_eq(u256_compare(&target, &want_target), 0);
        ck_assert_int_eq(u256_compare(&work, &want_work), 0);
    }
    json_doc_clear(&doc);
    buf_clear(&text);
}
END_TEST

/* ---- bitcoin: real retargets of Bitcoin's history, and the edges ---- */
static const struct {
    const char *name;
    int32_t tip;
    uint32_t first_time, tip_time, bits, due;
} retargets[] = {
    { "the first that changed", 32255, 1261130161, 1262152739, 0x1d00ffff, 0x1d00d86a },
    { "held by the limit", 2015, 1231006505, 1233061996, 0x1d00ffff, 0x1d00ffff },
    { "at most down to a quarter", 68543, 1279008237, 1279297671, 0x1c05a3f4, 0x1c0168fd },
    { "at most up by four", 46367, 1263163443, 1269211443, 0x1c387f6f, 0x1d00e1fd },
    { "times that run backwards", 2015, 1269211443, 1263163443, 0x1d00ffff, 0x1c3fffc0 },
};

START_TEST(bitcoin_retarget)
{
    struct chain chain = chain_of(DIFFICULTY_BITCOIN, 2016, 600, 0x1d00ffff);
    ck_assert(u256_from_hex(&chain.pow_limit,
        span_text("00000000ffffffffffffffffffffffffffffffffffffffffffffffffffffffff")));
    /* Heights relative to the window only matter modulo it. */
    int32_t tip = 2015;
    for (int32_t h = 0; h <= tip; h++)
        put(h, retargets[_i].first_time, retargets[_i].bits);
    put(tip, retargets[_i].tip_time, retargets[_i].bits);
    struct pow_view view = view_of(tip);
    ck_assert_msg(pow_bits_due(&chain, &view, 0) == retargets[_i].due, "%s: %08x", retargets[_i].name,
        pow_bits_due(&chain, &view, 0));
    ck_assert(pow_permitted(&chain, tip + 1, retargets[_i].bits, retargets[_i].due));
    view.tip_height = tip - 1;
    ck_assert_uint_eq(pow_bits_due(&chain, &view, 0), retargets[_i].bits);
    ck_assert(!pow_permitted(&chain, tip, retargets[_i].bits, retargets[_i].bits ^ 1));
    ck_assert_int_eq(pow_window(&chain), 2016);
}
END_TEST

START_TEST(bitcoin_bounds)
{
    struct chain chain = chain_of(DIFFICULTY_BITCOIN, 2016, 600, 0x1d00ffff);
    ck_assert(pow_permitted(&chain, 2016 * 9, 0x1c05a3f4, 0x1c0168fd));
    ck_assert(!pow_permitted(&chain, 2016 * 9, 0x1c05a3f4, 0x1c0168fc));
    ck_assert(pow_permitted(&chain, 2016 * 9, 0x1c05a3f4, 0x1c168fd0));
    ck_assert(!pow_permitted(&chain, 2016 * 9, 0x1c05a3f4, 0x1c168fd1));
    ck_assert(!pow_permitted(&chain, 2016 * 9, 0x1c05a3f4, 0x1e00ffff)); /* above the limit */
    ck_assert(!pow_permitted(&chain, 2016 * 9, 0x1c05a3f4, 0x1c85a3f4)); /* negative */
    chain.difficulty.allow_min_blocks = true;
    ck_assert(pow_permitted(&chain, 2016 * 9, 0x1c05a3f4, 0x1d00ffff));
}
END_TEST

START_TEST(bitcoin_min_blocks)
{
    struct chain chain = chain_of(DIFFICULTY_BITCOIN, 2016, 600, 0x1d00ffff);
    chain.difficulty.allow_min_blocks = true;
    for (int32_t h = 0; h < 2016; h++)
        put(h, 1000 + (uint32_t)h * 600, 0x1c05a3f4);
    put(2016, 1000 + 2016 * 600, 0x1c04a3f4);
    put(2017, 1000 + 2017 * 600, 0x1c04a3f4);
    put(2018, 1000 + 2019 * 600 + 1, 0x1d00ffff);
    put(2019, 1000 + 2021 * 600 + 2, 0x1d00ffff);
    struct pow_view view = view_of(2019);
    uint32_t tip_s = history.points[2019].time_s;
    ck_assert_uint_eq(pow_bits_due(&chain, &view, tip_s + 1201), 0x1d00ffff); /* late: the limit */
    ck_assert_uint_eq(pow_bits_due(&chain, &view, tip_s + 1200), 0x1c04a3f4); /* in time: the last real bits */
    put(2016, 1000, 0x1d00ffff); /* a retarget block at the limit ends the walk */
    put(2017, 1000, 0x1d00ffff);
    ck_assert_uint_eq(pow_bits_due(&chain, &view, tip_s + 1200), 0x1d00ffff);
}
END_TEST

START_TEST(bip94_takes_the_first)
{
    struct chain chain = chain_of(DIFFICULTY_BITCOIN, 2016, 600, 0x1d00ffff);
    for (int32_t h = 0; h < 2016; h++)
        put(h, 1000 + (uint32_t)h * 600, 0x1c05a3f4);
    put(2015, 1000 + 2016 * 600, 0x1d00ffff); /* the last is a minimum block; exactly two weeks */
    struct pow_view view = view_of(2015);
    ck_assert_uint_eq(pow_bits_due(&chain, &view, 0), 0x1d00ffff);
    chain.difficulty.bip94 = true;
    ck_assert_uint_eq(pow_bits_due(&chain, &view, 0), 0x1c05a3f4);
}
END_TEST

START_TEST(easy_chain_does_not_overflow)
{
    /* Bitcoin's own arithmetic wraps here; a chain whose targets are this easy must still retarget. */
    struct chain chain = chain_of(DIFFICULTY_BITCOIN, 144, 600, 0x207fffff);
    for (int32_t h = 0; h < 144; h++)
        put(h, 1000 + (uint32_t)h * 1200, 0x201fffff);
    put(143, 1000 + 144 * 1200, 0x201fffff);
    struct pow_view view = view_of(143);
    uint32_t due = pow_bits_due(&chain, &view, 0);
    ck_assert_msg(due >= 0x203ffff0 && due <= 0x203ffffe, "%08x", due);
}
END_TEST

START_TEST(none_keeps_bits)
{
    struct chain chain = chain_of(DIFFICULTY_NONE, 0, 600, 0x207fffff);
    put(0, 5, 0x207fffff);
    struct pow_view view = view_of(0);
    ck_assert_uint_eq(pow_bits_due(&chain, &view, 999999), 0x207fffff);
    ck_assert(pow_permitted(&chain, 1, 0x207fffff, 0x207fffff));
    ck_assert(!pow_permitted(&chain, 1, 0x207fffff, 0x207ffffe));
}
END_TEST

START_TEST(lwma_bounds)
{
    struct chain chain = chain_of(DIFFICULTY_LWMA, 90, 60, 0x1e0fffff);
    ck_assert(pow_permitted(&chain, 90, 0x1e0fffff, 0x1e0fffff));
    ck_assert(!pow_permitted(&chain, 90, 0x1e0fffff, 0x1e0ffffe)); /* the first window is at the limit */
    ck_assert(pow_permitted(&chain, 91, 0x1e0fffff, 0x1e0ffffe));
    ck_assert(!pow_permitted(&chain, 5000, 0x1d00ffff, 0x1a00ffff)); /* no window of 90 falls so far */
    ck_assert(!pow_permitted(&chain, 5000, 0x1d00ffff, 0x1e100000)); /* above the limit */
    ck_assert_int_eq(pow_window(&chain), 90);
}
END_TEST

static const struct {
    const char *name;
    uint32_t bits;
    const char *hash; /* as people write it */
    bool ok;
} checks[] = {
    { "genesis of Bitcoin", 0x1d00ffff, "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f", true },
    { "exactly the target", 0x1d00ffff, "00000000ffff0000000000000000000000000000000000000000000000000000", true },
    { "one above", 0x1d00ffff, "00000000ffff0000000000000000000000000000000000000000000000000001", false },
    { "bits above the limit", 0x1d010000, "0000000000000000000000000000000000000000000000000000000000000001", false },
    { "zero target", 0x1d000000, "0000000000000000000000000000000000000000000000000000000000000000", false },
    { "negative", 0x1d80ffff, "0000000000000000000000000000000000000000000000000000000000000001", false },
    { "overflow", 0xff00ffff, "0000000000000000000000000000000000000000000000000000000000000001", false },
};

START_TEST(check_hash)
{
    struct chain chain = chain_of(DIFFICULTY_BITCOIN, 2016, 600, 0x1d00ffff);
    struct block_id id;
    struct fail why;
    ck_assert(hash_from_hex(id.b, span_text(checks[_i].hash)));
    bool ok = pow_check(&chain, &id, checks[_i].bits, 100, 50, &why);
    ck_assert_msg(ok == checks[_i].ok, "%s", checks[_i].name);
    if (!ok) {
        ck_assert_int_eq(why.kind, FAIL_INVALID);
        ck_assert_str_eq(why.code, "high-hash");
    }
}
END_TEST

START_TEST(difficulty_numbers)
{
    ck_assert_double_eq(pow_difficulty(0x1d00ffff), 1.0);
    ck_assert_double_eq_tol(pow_difficulty(0x1b0404cb), 16307.420938523983, 1e-9);
    ck_assert_double_eq_tol(pow_difficulty(0x207fffff), 4.6565423739069247e-10, 1e-24);
    ck_assert_double_eq(pow_difficulty(0), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pow");
    TCase *tc = tcase_create("pow");
    tcase_add_test(tc, lwma_vectors);
    tcase_add_test(tc, relief_vectors);
    tcase_add_loop_test(tc, bitcoin_retarget, 0, (int)(sizeof retargets / sizeof *retargets));
    tcase_add_test(tc, bitcoin_bounds);
    tcase_add_test(tc, bitcoin_min_blocks);
    tcase_add_test(tc, bip94_takes_the_first);
    tcase_add_test(tc, easy_chain_does_not_overflow);
    tcase_add_test(tc, none_keeps_bits);
    tcase_add_test(tc, lwma_bounds);
    tcase_add_loop_test(tc, check_hash, 0, (int)(sizeof checks / sizeof *checks));
    tcase_add_test(tc, difficulty_numbers);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
