/* Proves set_hash.h: hash_serialized_3 goes by the numbers of outputs, though keys on disk sort otherwise; muhash by
 * nothing; and both see every field of every coin. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/ledger/codec.h"
#include "coin/base/mem.h"
#include "coin/ledger/set_hash.h"
#include "unit.h"

#define OUTPUTS 20000 /* beyond 16,512, where a key's third byte begins */
#define COINS (OUTPUTS + 300)

struct row {
    struct outpoint outpoint;
    struct coin coin;
    uint8_t script[3];
    uint8_t key[COIN_KEY_MAX_B];
    size_t key_size_b;
};
static struct row rows[COINS]; /* by outpoint; then by key */

static int by_key(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    size_t size_b = x->key_size_b < y->key_size_b ? x->key_size_b : y->key_size_b;
    int order = memcmp(x->key, y->key, size_b);
    return order != 0 ? order : (x->key_size_b > y->key_size_b) - (x->key_size_b < y->key_size_b);
}

static void setup(void)
{
    for (uint32_t i = 0; i < COINS; i++) {
        struct row *row = &rows[i];
        memset(row, 0, sizeof *row);
        row->outpoint.index = i < 100 ? 0 : i < 100 + OUTPUTS ? i - 100 : 1;
        row->outpoint.txid.b[0] = (uint8_t)(i < 100 ? i : i < 100 + OUTPUTS ? 100 : 101);
        row->outpoint.txid.b[31] = (uint8_t)(i < 100 + OUTPUTS ? 0 : i - 100 - OUTPUTS);
        row->coin.value_sat = i * INT64_C(1000);
        row->coin.height = (int32_t)(i / 7);
        row->coin.is_coinbase = i % 3 == 0;
        row->script[0] = (uint8_t)i;
        row->script[1] = (uint8_t)(i >> 8);
        row->key_size_b = coin_key(row->key, &row->outpoint);
    }
}

static const char *hash_of(enum set_hash_kind kind)
{
    static char text[2][2 * 32 + 1];
    static unsigned next;
    struct set_hash h;
    struct fail why;
    uint8_t hash[32];
    char *out = text[next++ % 2];
    set_hash_init(&h, kind);
    for (uint32_t i = 0; i < COINS; i++) {
        struct coin coin = rows[i].coin;
        coin.script = span_of(rows[i].script, (size_t)coin.height % 4);
        ck_assert(set_hash_add(&h, &rows[i].outpoint, &coin, &why));
    }
    ck_assert(set_hash_end(&h, hash, &why));
    set_hash_clear(&h);
    hex_encode(out, hash, sizeof hash);
    return out;
}

START_TEST(by_number_not_by_key)
{
    struct buf all; /* in order of outpoints, hashed at once */
    uint8_t hash[32];
    char expected[65];
    buf_init(&all, 100 * (size_t)COINS);
    for (uint32_t i = 0; i < COINS; i++) {
        struct coin coin = rows[i].coin;
        coin.script = span_of(rows[i].script, (size_t)coin.height % 4);
        coin_encode_for_hash(&all, &rows[i].outpoint, &coin);
    }
    sha256d(hash, all.data, all.size_b);
    hex_encode(expected, hash, sizeof hash);
    buf_clear(&all);
    ck_assert_str_eq(hash_of(SET_HASH_SERIALIZED), expected);
    qsort(rows, COINS, sizeof *rows, by_key);
    bool moved = false;
    for (uint32_t i = 1; i < COINS; i++)
        moved = moved || (txid_equal(&rows[i - 1].outpoint.txid, &rows[i].outpoint.txid) &&
                             rows[i - 1].outpoint.index > rows[i].outpoint.index);
    ck_assert(moved); /* or this would prove nothing */
    ck_assert_str_eq(hash_of(SET_HASH_SERIALIZED), expected);
}
END_TEST

START_TEST(the_sets_whatever_the_order)
{
    struct muhash m;
    struct fail why;
    uint8_t hash[32];
    char expected[65];
    muhash_init(&m);
    for (uint32_t i = COINS; i-- > 0;) {
        struct buf one;
        struct coin coin = rows[i].coin;
        buf_init(&one, 100);
        coin.script = span_of(rows[i].script, (size_t)coin.height % 4);
        coin_encode_for_hash(&one, &rows[i].outpoint, &coin);
        muhash_add(&m, buf_span(&one));
        buf_clear(&one);
    }
    ck_assert(muhash_end(&m, hash, &why));
    hex_encode(expected, hash, sizeof hash);
    ck_assert_str_eq(hash_of(SET_HASH_MUHASH), expected);
    qsort(rows, COINS, sizeof *rows, by_key);
    ck_assert_str_eq(hash_of(SET_HASH_MUHASH), expected);
}
END_TEST

START_TEST(every_field_counts)
{
    static const enum set_hash_kind kinds[] = {SET_HASH_SERIALIZED, SET_HASH_MUHASH};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        char before[65];
        memcpy(before, hash_of(kinds[k]), sizeof before);
        struct row kept = rows[150], *row = &rows[150];
        row->coin.value_sat++;
        ck_assert_str_ne(hash_of(kinds[k]), before);
        *row = kept;
        row->coin.height += 4; /* the script stays as long */
        ck_assert_str_ne(hash_of(kinds[k]), before);
        *row = kept;
        row->coin.is_coinbase = !row->coin.is_coinbase;
        ck_assert_str_ne(hash_of(kinds[k]), before);
        *row = kept;
        row->script[0] ^= 1;
        ck_assert_str_ne(hash_of(kinds[k]), before);
        *row = kept;
        row->outpoint.index = OUTPUTS;
        ck_assert_str_ne(hash_of(kinds[k]), before);
        *row = kept;
        ck_assert_str_eq(hash_of(kinds[k]), before);
    }
}
END_TEST

START_TEST(none_and_empty)
{
    struct set_hash h;
    struct fail why;
    uint8_t hash[32], expected[32] = {0};
    set_hash_init(&h, SET_HASH_NONE);
    ck_assert(set_hash_add(&h, &rows[0].outpoint, &rows[0].coin, &why));
    ck_assert(set_hash_end(&h, hash, &why));
    ck_assert_mem_eq(hash, expected, 32);
    set_hash_clear(&h);
    set_hash_init(&h, SET_HASH_SERIALIZED);
    ck_assert(set_hash_end(&h, hash, &why));
    sha256d(expected, "", 0);
    ck_assert_mem_eq(hash, expected, 32);
    set_hash_clear(&h);
    set_hash_clear(&h); /* empty is fine */
}
END_TEST

START_TEST(memory_that_fails)
{
    static const enum set_hash_kind kinds[] = {SET_HASH_SERIALIZED, SET_HASH_MUHASH};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        for (uint32_t nth = 1; nth <= 3; nth++) {
            struct set_hash h;
            struct fail why;
            set_hash_init(&h, kinds[k]);
            mem_fail_nth(nth);
            bool ok = set_hash_add(&h, &rows[0].outpoint, &rows[0].coin, &why);
            mem_fail_nth(0);
            ck_assert(ok || why.kind == FAIL_NO_ROOM);
            ck_assert(nth > 1 || !ok);
            set_hash_clear(&h);
        }
    }
}
END_TEST

int main(void)
{
    struct fail why;
    if (!sha256_init(NULL, &why))
        return EXIT_FAILURE;
    Suite *suite = suite_create("set_hash");
    TCase *tc = tcase_create("set_hash");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, by_number_not_by_key);
    tcase_add_test(tc, the_sets_whatever_the_order);
    tcase_add_test(tc, every_field_counts);
    tcase_add_test(tc, none_and_empty);
    tcase_add_test(tc, memory_that_fails);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
