/* Proves filter.h: every script of a block that is not burnt is found in its filter, foreign ones hardly ever; equal
 * scripts count once; and a filter that was cut, lengthened or altered in its form is refused without reading
 * beyond it. */
#include <check.h>
#include <string.h>

#include "../sim/disk.h"
#include "coin/base/mem.h"
#include "coin/crypto/sha256.h"
#include "coin/ledger/filter.h"
#include "coin/script/script.h"
#include "unit.h"

#define ELEMENTS 1000
#define ELEMENT_SIZE_B 25

static struct block_id id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}};
static uint8_t bytes[2 * ELEMENTS][ELEMENT_SIZE_B];
static struct span elements[2 * ELEMENTS];

static void setup(void)
{
    struct sim_random chance = {.state = 5};
    for (uint32_t i = 0; i < 2 * ELEMENTS; i++) {
        for (uint32_t j = 0; j < ELEMENT_SIZE_B; j++)
            bytes[i][j] = (uint8_t)sim_random_below(&chance, 256);
        elements[i] = span_of(bytes[i], ELEMENT_SIZE_B);
    }
}

static struct buf encoded(const struct span *list, uint32_t count)
{
    struct buf filter;
    struct fail why;
    buf_init(&filter, FILTER_SIZE_MAX_B);
    ck_assert(block_filter_encode(&filter, &id, list, count, &why));
    return filter;
}

/* 1: matches, 0: does not, -1: refused. The filter is read from memory of exactly its size, where a sanitizer
 * sees each step beyond. */
static int ask(struct span filter, const struct span *list, uint32_t count)
{
    struct fail why;
    bool match = true;
    uint8_t *exact = mem_try_new(filter.size_b > 0 ? filter.size_b : 1);
    ck_assert_ptr_nonnull(exact);
    if (filter.size_b > 0)
        memcpy(exact, filter.data, filter.size_b);
    bool ok = block_filter_matches_any(span_of(exact, filter.size_b), &id, list, count, &match, &why);
    mem_free(exact);
    if (ok)
        return match;
    ck_assert(!match);
    ck_assert_int_eq(why.kind, FAIL_PROTOCOL);
    ck_assert_str_eq(why.code, "filter-decode");
    return -1;
}

static int ask_hex(const char *hex, const struct span *list, uint32_t count)
{
    struct buf filter;
    buf_init(&filter, FILTER_SIZE_MAX_B);
    ck_assert(hex_to_buf(&filter, span_text(hex)));
    int answer = ask(buf_span(&filter), list, count);
    buf_clear(&filter);
    return answer;
}

START_TEST(what_is_in_is_found)
{
    struct buf filter = encoded(elements, ELEMENTS);
    for (uint32_t i = 0; i < ELEMENTS; i++)
        ck_assert_int_eq(ask(buf_span(&filter), &elements[i], 1), 1);
    ck_assert_uint_le(filter.size_b, 3 + ELEMENTS * 43 / 16); /* 21.5 bits each at the most */
    ck_assert_int_eq(ask(buf_span(&filter), elements, 2 * ELEMENTS), 1);
    ck_assert_int_eq(ask(buf_span(&filter), elements + ELEMENTS - 1, ELEMENTS + 1), 1); /* one among many others */
    ck_assert_int_eq(ask(buf_span(&filter), elements, 0), 0);
    buf_clear(&filter);
}
END_TEST

START_TEST(what_is_not_in_is_hardly_ever_found)
{
    struct buf filter = encoded(elements, ELEMENTS);
    int found = 0;
    for (uint32_t i = ELEMENTS; i < 2 * ELEMENTS; i++)
        found += ask(buf_span(&filter), &elements[i], 1);
    ck_assert_int_eq(found, 0); /* these elements are always the same; one in 785 such lists has a false match */
    ck_assert_int_eq(ask(buf_span(&filter), elements + ELEMENTS, ELEMENTS), 0);
    id.b[0] ^= 1; /* under another block's id the same elements are other numbers */
    ck_assert_int_eq(ask(buf_span(&filter), elements, 10), 0);
    id.b[0] ^= 1;
    id.b[16] ^= 1; /* its second half is no part of the key */
    ck_assert_int_eq(ask(buf_span(&filter), &elements[3], 1), 1);
    id.b[16] ^= 1;
    buf_clear(&filter);
}
END_TEST

START_TEST(order_and_repetition_do_not_count)
{
    struct span list[2 * ELEMENTS];
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        list[i] = elements[ELEMENTS - 1 - i];
        list[ELEMENTS + i] = elements[i];
    }
    struct buf once = encoded(elements, ELEMENTS), twice = encoded(list, 2 * ELEMENTS);
    ck_assert(span_equal(buf_span(&once), buf_span(&twice)));
    buf_clear(&once);
    buf_clear(&twice);
}
END_TEST

START_TEST(no_elements)
{
    struct buf filter = encoded(elements, 0);
    ck_assert(span_equal(buf_span(&filter), span_of("", 1)));
    ck_assert_int_eq(ask(buf_span(&filter), elements, 2 * ELEMENTS), 0);
    buf_clear(&filter);
}
END_TEST

START_TEST(every_cut_and_addition_is_refused)
{
    struct buf filter = encoded(elements, 300);
    for (size_t size_b = 0; size_b < filter.size_b; size_b++)
        ck_assert_int_eq(ask(span_of(filter.data, size_b), elements, 3), -1);
    ck_assert_int_eq(ask(buf_span(&filter), elements, 3), 1);
    buf_put_u8(&filter, 0);
    ck_assert_int_eq(ask(buf_span(&filter), elements, 3), -1);
    buf_clear(&filter);
}
END_TEST

/* One element, number 0x12345: a zero for its quotient, nineteen bits, four of padding. */
START_TEST(forms_that_no_encoder_writes)
{
    static const char *const good[] = {
        "00", "01123450",
        "019fd110" /* 784,930: the highest number of one element */
    };
    static const char *const bad[] = {
        "", "01", "0112", "011234",               /* cut */
        "01123451", "01123458",                   /* padding that is not zero */
        "0112345000",                             /* a byte too many */
        "fd0100123450", "fe01000000123450",       /* a count in a longer form */
        "00ff", "0000",                           /* elements of an empty filter */
        "02123450",                               /* a count of more than there are */
        "01ffffffff", "01fffffffffffffffffffe",   /* ones without an end; over a window's edge */
        "01ffffffffffffffff", "01ffffffffffffffff7f",
        "019fd118",                               /* 784,931: beyond the range of one */
        "fe1dc80600", "feffffffff", "ffffffffffffffffff", "fe00000100" /* counts without elements */
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_msg(ask_hex(good[i], elements, 1) == 0, "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(ask_hex(bad[i], elements, 1) == -1, "%s", bad[i]);
}
END_TEST

/* Any change of one bit gives an answer or a refusal; what is read stays within the filter. */
START_TEST(altered_bits)
{
    struct buf filter = encoded(elements, 50);
    int refused = 0;
    for (size_t bit = 0; bit < filter.size_b * 8; bit++) {
        filter.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        refused += ask(buf_span(&filter), elements, 50) == -1;
        filter.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_int_gt(refused, 0);
    buf_clear(&filter);
}
END_TEST

START_TEST(limits)
{
    struct fail why;
    struct buf filter;
    uint8_t number[4];
    uint32_t count = FILTER_ELEMENTS_MAX + 1;
    uint8_t *memory = mem_try_array(count, sizeof number);
    struct span *list = mem_try_array(count, sizeof *list);
    ck_assert(memory != NULL && list != NULL);
    for (uint32_t i = 0; i < count; i++) {
        put_u32le(memory + 4 * (size_t)i, i);
        list[i] = span_of(memory + 4 * (size_t)i, 4);
    }
    buf_init(&filter, FILTER_SIZE_MAX_B);
    ck_assert(!block_filter_encode(&filter, &id, list, count, &why));
    ck_assert_int_eq(why.kind, FAIL_NO_ROOM);
    ck_assert_str_eq(why.code, "filter-size");
    list[count - 1] = list[0]; /* an equal one does not count */
    ck_assert(block_filter_encode(&filter, &id, list, count, &why));
    ck_assert_uint_le(filter.size_b, FILTER_SIZE_MAX_B);
    ck_assert_int_eq(ask(buf_span(&filter), &list[77777], 1), 1);
    buf_clear(&filter);

    buf_init(&filter, 20); /* a buffer that is too small says so */
    ck_assert(!block_filter_encode(&filter, &id, list, 100, &why));
    ck_assert_int_eq(why.kind, FAIL_NO_ROOM);
    buf_clear(&filter);
    mem_free(list);
    mem_free(memory);
}
END_TEST

START_TEST(memory_that_fails)
{
    struct fail why;
    struct buf filter = encoded(elements, 10), other;
    bool match;
    for (uint32_t nth = 1; nth < 4; nth++) {
        buf_init(&other, FILTER_SIZE_MAX_B);
        mem_fail_nth(nth);
        bool ok = block_filter_encode(&other, &id, elements, 10, &why);
        mem_fail_nth(0);
        if (ok)
            ck_assert(span_equal(buf_span(&other), buf_span(&filter)));
        else
            ck_assert_int_eq(why.kind, FAIL_NO_ROOM);
        ck_assert(nth != 1 || !ok);
        buf_clear(&other);
    }
    mem_fail_nth(1);
    ck_assert(!block_filter_matches_any(buf_span(&filter), &id, elements, 10, &match, &why));
    mem_fail_nth(0);
    ck_assert_int_eq(why.kind, FAIL_NO_ROOM);
    buf_clear(&filter);
}
END_TEST

/* A block that pays a script, an empty one, a burnt one and a bare OP_RETURN behind another opcode. */
static struct block *made_block(void)
{
    struct tx_draft draft;
    struct fail why;
    struct buf raw, tx;
    struct block *block = NULL;
    static const uint8_t burnt[] = {OP_RETURN, 1, 7}, late[] = {OP_NOP, OP_RETURN};
    struct outpoint none = {.index = 0xffffffff};
    uint8_t header[HEADER_SIZE_B];
    tx_draft_init(&draft);
    draft.version = 2;
    struct tx_in *in = tx_draft_add_in(&draft, &none, SEQUENCE_FINAL);
    ck_assert_ptr_nonnull(in);
    ck_assert(tx_draft_set_script_sig(&draft, 0, span_text("\1\1")));
    ck_assert_ptr_nonnull(tx_draft_add_out(&draft, 1, elements[0]));
    ck_assert_ptr_nonnull(tx_draft_add_out(&draft, 2, span_of("", 0)));
    ck_assert_ptr_nonnull(tx_draft_add_out(&draft, 3, span_of(burnt, sizeof burnt)));
    ck_assert_ptr_nonnull(tx_draft_add_out(&draft, 4, span_of(late, sizeof late)));
    ck_assert_ptr_nonnull(tx_draft_add_out(&draft, 5, elements[0]));
    buf_init(&tx, BLOCK_SIZE_MAX_B);
    tx_draft_encode(&tx, &draft, true);
    header_encode(header, &(struct header){.version = 4});
    buf_init(&raw, BLOCK_SIZE_MAX_B);
    buf_put(&raw, header, sizeof header);
    buf_put_count(&raw, 1);
    buf_put(&raw, tx.data, tx.size_b);
    ck_assert(block_decode(&block, &raw, &why));
    buf_clear(&tx);
    tx_draft_clear(&draft);
    return block;
}

START_TEST(of_a_block)
{
    struct fail why;
    struct buf filter, expected;
    struct block *block = made_block();
    static const uint8_t late[] = {OP_NOP, OP_RETURN}, burnt[] = {OP_RETURN, 1, 7};
    struct coin coins[3] = {{.script = elements[1]}, {.script = span_of("", 0)}, {.script = elements[0]}};
    struct block_undo undo = {.count = 3, .coins = coins};
    struct span list[] = {elements[0], span_of(late, sizeof late), elements[1], span_of(burnt, sizeof burnt)};
    id = block->id;

    buf_init(&filter, FILTER_SIZE_MAX_B);
    ck_assert(block_filter_build(&filter, block, &undo, &why));
    expected = encoded(list, 3);
    ck_assert(span_equal(buf_span(&filter), buf_span(&expected)));
    ck_assert_int_eq(ask(buf_span(&filter), &list[3], 1), 0);
    buf_clear(&filter);
    buf_clear(&expected);

    ck_assert(block_filter_build(&filter, block, NULL, &why)); /* nothing spent */
    expected = encoded(list, 2);
    ck_assert(span_equal(buf_span(&filter), buf_span(&expected)));
    buf_clear(&filter);
    buf_clear(&expected);
    block_unref(block);
}
END_TEST

START_TEST(ids_and_headers)
{
    uint8_t filter_id[32], header[32], both[64], expected[32];
    block_filter_id(filter_id, span_of("\1\2", 2));
    sha256d(expected, "\1\2", 2);
    ck_assert_mem_eq(filter_id, expected, 32);
    memset(header, 9, 32);
    memcpy(both, filter_id, 32);
    memcpy(both + 32, header, 32);
    sha256d(expected, both, 64);
    block_filter_header(header, filter_id, header);
    ck_assert_mem_eq(header, expected, 32);
}
END_TEST

int main(void)
{
    struct fail why;
    if (!sha256_init(NULL, &why))
        return EXIT_FAILURE;
    Suite *suite = suite_create("filter");
    TCase *tc = tcase_create("filter");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, what_is_in_is_found);
    tcase_add_test(tc, what_is_not_in_is_hardly_ever_found);
    tcase_add_test(tc, order_and_repetition_do_not_count);
    tcase_add_test(tc, no_elements);
    tcase_add_test(tc, every_cut_and_addition_is_refused);
    tcase_add_test(tc, forms_that_no_encoder_writes);
    tcase_add_test(tc, altered_bits);
    tcase_add_test(tc, limits);
    tcase_add_test(tc, memory_that_fails);
    tcase_add_test(tc, of_a_block);
    tcase_add_test(tc, ids_and_headers);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
