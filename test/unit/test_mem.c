/* Proves that memory comes zeroed and aligned, that sizes which overflow or pass a limit are refused, and
 * that when the nth allocation fails, for every n, what was there stays whole. */
#include "coin/base/bytes.h"
#include "coin/base/json.h"
#include "coin/base/mem.h"
#include "coin/base/table.h"
#include "unit.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_zero(const void *memory, size_t size_b)
{
    const uint8_t *bytes = memory;
    for (size_t i = 0; i < size_b; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

START_TEST(zeroed)
{
    uint8_t *a = mem_new(1000);
    ck_assert(is_zero(a, 1000));
    memset(a, 0xff, 1000);
    mem_free(a);
    uint8_t *b = mem_try_array(10, 100);
    ck_assert(b != NULL && is_zero(b, 1000));
    mem_free(b);
    void *nothing = mem_try_new(0);
    ck_assert_ptr_nonnull(nothing);
    mem_free(nothing);
    mem_free(NULL);
}
END_TEST

START_TEST(overflow_refused)
{
    ck_assert_ptr_null(mem_try_array(SIZE_MAX / 2, 3));
    ck_assert_ptr_null(mem_try_array(SIZE_MAX, SIZE_MAX));
    ck_assert_ptr_null(mem_try_new(SIZE_MAX / 2 + 1));
    ck_assert_ptr_null(mem_try_resize(NULL, SIZE_MAX));
}
END_TEST

START_TEST(growing)
{
    uint64_t *array = NULL;
    uint32_t capacity = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        ck_assert(mem_try_grow(&array, &capacity, i + 1, 1000, sizeof *array));
        ck_assert_uint_ge(capacity, i + 1);
        ck_assert_uint_eq(array[i], 0);
        array[i] = i;
    }
    ck_assert_uint_le(capacity, 1000);
    ck_assert(!mem_try_grow(&array, &capacity, 1001, 1000, sizeof *array));
    for (uint32_t i = 0; i < 1000; i++)
        ck_assert_uint_eq(array[i], i);
    uint32_t before = capacity;
    mem_fail_nth(1);
    ck_assert(!mem_try_grow(&array, &capacity, 2000, 4000, sizeof *array));
    ck_assert_uint_eq(capacity, before);
    ck_assert_uint_eq(array[999], 999);
    ck_assert(mem_try_grow(&array, &capacity, 2000, 4000, sizeof *array));
    ck_assert(is_zero(array + 1000, 1000 * sizeof *array));
    mem_free(array);
}
END_TEST

START_TEST(secrets)
{
    uint8_t a[33], b[33];
    memset(a, 7, sizeof a);
    memset(b, 7, sizeof b);
    ck_assert(mem_equal_secret(a, b, sizeof a));
    for (size_t i = 0; i < sizeof a; i++) {
        b[i] ^= 0x80;
        ck_assert(!mem_equal_secret(a, b, sizeof a));
        b[i] ^= 0x80;
    }
    ck_assert(mem_equal_secret(a, b, 0));
    mem_wipe(a, sizeof a);
    ck_assert(is_zero(a, sizeof a));
    mem_wipe(NULL, 0);
    char *copy = mem_text("text");
    ck_assert_str_eq(copy, "text");
    mem_free(copy);
}
END_TEST

START_TEST(arena_gives_aligned_zeroes)
{
    struct arena arena;
    arena_init(&arena, 0);
    uint8_t *blocks[500];
    size_t sizes[500];
    for (uint32_t i = 0; i < 500; i++) {
        sizes[i] = i % 7 == 0 ? 10000 : i;
        blocks[i] = arena_new(&arena, sizes[i]);
        ck_assert_ptr_nonnull(blocks[i]);
        ck_assert_uint_eq((uintptr_t)blocks[i] % 8, 0);
        ck_assert(is_zero(blocks[i], sizes[i]));
        memset(blocks[i], (int)(i & 0xff), sizes[i]);
    }
    for (uint32_t i = 0; i < 500; i++) /* none lies in another */
        for (size_t j = 0; j < sizes[i]; j++)
            ck_assert_uint_eq(blocks[i][j], i & 0xff);
    ck_assert_uint_ge(arena_size_b(&arena), arena.used_b);
    ck_assert_uint_le(arena_size_b(&arena), 2 * arena.used_b + 1024);
    ck_assert_str_eq(arena_text(&arena, "abcdef", 3), "abc");
    arena_clear(&arena);
    ck_assert_uint_eq(arena_size_b(&arena), 0);
    ck_assert_ptr_nonnull(arena_new(&arena, 1));
    arena_clear(&arena);
}
END_TEST

START_TEST(arena_has_a_limit)
{
    struct arena arena;
    arena_init(&arena, 100);
    ck_assert_ptr_null(arena_new(&arena, 101));
    ck_assert_ptr_null(arena_new(&arena, SIZE_MAX));
    ck_assert_ptr_null(arena_array(&arena, SIZE_MAX / 2, 4));
    ck_assert_ptr_nonnull(arena_new(&arena, 64));
    ck_assert_ptr_null(arena_new(&arena, 64));
    ck_assert_ptr_nonnull(arena_new(&arena, 32));
    arena_clear(&arena);
    ck_assert_ptr_nonnull(arena_new(&arena, 96));
    arena_clear(&arena);
}
END_TEST

/* Everything in base that allocates what outsiders size. true: all went well. */
static bool use_everything(void)
{
    static const char text[] = "{\"a\":[1,2,{\"b\":\"\\u0041\"}],\"k0\":0,\"k1\":0,\"k2\":0,\"k3\":0,\"k4\":0,"
        "\"k5\":0,\"k6\":0,\"k7\":0,\"k8\":0,\"k9\":0,\"l0\":0,\"l1\":0,\"l2\":0,\"l3\":0,\"l4\":0,\"l5\":0}";
    static const uint64_t seed[2] = { 1, 2 };
    struct fail why = { 0 };
    struct json_doc doc;
    struct table table;
    struct buf buf;
    table_init(&table, 4, 4, 100, seed);
    buf_init(&buf, 10000);
    bool good = json_parse(&doc, span_text(text), &why);
    if (good) {
        struct json_writer w;
        jw_init(&w, &buf, 0);
        jw_value(&w, doc.root);
        json_doc_clear(&doc);
    } else {
        ck_assert_int_eq(why.kind, FAIL_NO_ROOM);
    }
    for (uint32_t i = 0; good && i < 50; i++) {
        uint32_t *value = table_put(&table, &i, NULL);
        good = value != NULL;
        ck_assert_uint_eq(table.count, good ? i + 1 : i); /* a refusal changes nothing */
        for (uint32_t j = 0; j < table.count; j++)
            ck_assert_ptr_nonnull(table_find(&table, &j));
    }
    for (uint32_t i = 0; good && i < 500; i++)
        buf_put_u32le(&buf, i);
    good = good && buf_ok(&buf, "everything", &why);
    if (buf.failed) {
        ck_assert(!buf_ok(&buf, "everything", &why));
        ck_assert_int_eq(why.kind, FAIL_NO_ROOM);
    }
    table_clear(&table);
    buf_clear(&buf);
    return good;
}

START_TEST(every_allocation_may_fail)
{
    uint32_t nth = 1;
    for (;; nth++) {
        ck_assert_uint_lt(nth, 1000);
        mem_fail_nth(nth);
        if (use_everything())
            break;
    }
    mem_fail_nth(0);
    ck_assert_uint_gt(nth, 10); /* there were that many to fail */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mem");
    TCase *cases = tcase_create("mem");
    tcase_add_test(cases, zeroed);
    tcase_add_test(cases, overflow_refused);
    tcase_add_test(cases, growing);
    tcase_add_test(cases, secrets);
    tcase_add_test(cases, arena_gives_aligned_zeroes);
    tcase_add_test(cases, arena_has_a_limit);
    tcase_add_test(cases, every_allocation_may_fail);
    suite_add_tcase(suite, cases);
    return unit_run(suite);
}
