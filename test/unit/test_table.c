/* Proves that a table answers like a plain list under a long random mix of puts and removals, keeps its
 * limit, survives removal while walking, and that SipHash gives its authors' numbers. */
#include "coin/base/table.h"
#include "unit.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 600u

static const uint64_t seed[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16) % limit;
}

static const uint32_t key_sizes[] = { 4, 8, 20, 32, 36 };

static void make_key(uint8_t *key, uint32_t size_b, uint32_t number)
{
    memset(key, 0x5a, size_b);
    memcpy(key + size_b - 4, &number, 4);
}

/* Every key in the model is found with its value, no other is, and a walk sees each once. */
static void check_same(const struct table *table, const uint32_t *model, uint32_t size_b)
{
    uint8_t key[64];
    uint32_t count = 0, cursor = 0, seen = 0;
    const void *at;
    void *value;
    for (uint32_t i = 0; i < KEYS; i++) {
        make_key(key, size_b, i);
        uint32_t *found = table_find(table, key);
        ck_assert((found != NULL) == (model[i] != 0));
        if (found != NULL) {
            ck_assert_uint_eq(*found, model[i]);
            count++;
        }
    }
    ck_assert_uint_eq(table->count, count);
    while (table_next(table, &cursor, &at, &value)) {
        uint32_t number;
        memcpy(&number, (const uint8_t *)at + size_b - 4, 4);
        ck_assert_uint_lt(number, KEYS);
        ck_assert_uint_eq(*(uint32_t *)value, model[number]);
        seen++;
    }
    ck_assert_uint_eq(seen, count);
}

START_TEST(like_a_list)
{
    struct table table;
    uint32_t model[KEYS] = { 0 }, size_b = key_sizes[_i];
    uint8_t key[64];
    random_state = 88172645463325252u + (uint64_t)_i;
    table_init(&table, size_b, 12, KEYS, seed);
    for (uint32_t step = 1; step < 20000; step++) {
        uint32_t number = random_below(KEYS);
        make_key(key, size_b, number);
        if (random_below(100) < (step / 2000 % 2 != 0 ? 30u : 70u)) {
            bool existed;
            uint32_t *value = table_put(&table, key, &existed);
            ck_assert_ptr_nonnull(value);
            ck_assert_uint_eq((uintptr_t)value % 8, 0);
            ck_assert(existed == (model[number] != 0));
            if (!existed) /* also where another entry lay before */
                ck_assert(value[0] == 0 && value[1] == 0 && value[2] == 0);
            value[0] = model[number] = step;
            value[2] = step;
        } else {
            ck_assert(table_remove(&table, key) == (model[number] != 0));
            model[number] = 0;
        }
        if (step % 500 == 0)
            check_same(&table, model, size_b);
    }
    table_clear(&table);
    ck_assert_ptr_null(table_find(&table, key));
    ck_assert_ptr_nonnull(table_put(&table, key, NULL));
    table_clear(&table);
}
END_TEST

START_TEST(keeps_its_limit)
{
    struct table table;
    table_init(&table, 4, 0, 100, seed);
    for (uint32_t i = 0; i < 100; i++)
        ck_assert_ptr_nonnull(table_put(&table, &i, NULL));
    uint32_t more = 100, known = 50;
    bool existed;
    ck_assert_ptr_null(table_put(&table, &more, &existed));
    ck_assert(!existed);
    ck_assert_ptr_nonnull(table_put(&table, &known, &existed));
    ck_assert(existed);
    ck_assert_uint_eq(table_size_b(&table), (size_t)table.capacity * table.slot_size_b);
    ck_assert(table_remove(&table, &known));
    ck_assert_ptr_nonnull(table_put(&table, &more, NULL));
    table_clear(&table);
    ck_assert_uint_eq(table_size_b(&table), 0);
}
END_TEST

START_TEST(removal_while_walking)
{
    for (uint32_t count = 1; count < 200; count++) {
        struct table table;
        table_init(&table, 4, 4, 1000, seed);
        for (uint32_t i = 0; i < count; i++)
            ck_assert_ptr_nonnull(table_put(&table, &i, NULL));
        uint32_t cursor = 0;
        const void *key;
        void *value;
        while (table_next(&table, &cursor, &key, &value)) {
            uint32_t number;
            memcpy(&number, key, sizeof number);
            if (number % 2 == 0)
                table_remove_at(&table, &cursor);
            else
                *(uint32_t *)value = 1;
        }
        ck_assert_uint_eq(table.count, count / 2);
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t *found = table_find(&table, &i);
            ck_assert((found != NULL) == (i % 2 == 1));
            ck_assert(found == NULL || *found == 1); /* none was skipped */
        }
        table_clear(&table);
    }
}
END_TEST

/* From the paper's reference code: key 00..0f, message 00, 01, ... of the row's length. */
static const struct {
    size_t size_b;
    uint64_t hash;
} sip_rows[] = {
    { 0, 0x726fdb47dd0e0e31 }, { 1, 0x74f839c593dc67fd }, { 7, 0xab0200f58b01d137 },
    { 8, 0x93f5f5799a932462 }, { 15, 0xa129ca6149be45e5 }, { 16, 0x3f2acc7f57c29bdb },
    { 63, 0x958a324ceb064572 },
};

START_TEST(siphash_numbers)
{
    uint8_t message[64];
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t)i;
    ck_assert_uint_eq(siphash(seed, message, sip_rows[_i].size_b), sip_rows[_i].hash);
    ck_assert_uint_eq(siphash_u256(seed, message), siphash(seed, message, 32));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("table");
    TCase *cases = tcase_create("table");
    tcase_add_loop_test(cases, like_a_list, 0, (int)(sizeof key_sizes / sizeof *key_sizes));
    tcase_add_test(cases, keeps_its_limit);
    tcase_add_test(cases, removal_while_walking);
    tcase_add_loop_test(cases, siphash_numbers, 0, (int)(sizeof sip_rows / sizeof *sip_rows));
    suite_add_tcase(suite, cases);
    return unit_run(suite);
}
