/* Proves the coins cache against a plain list: every operation in random order over few outpoints, so that places
 * are given back and taken again, with scripts that fit into a slot and others; and what it says it takes. */
#include "../../src/ledger/coins.h"

#include <check.h>
#include <string.h>

#include "../sim/disk.h"
#include "unit.h"

#define OUTPOINTS 700
#define ROUNDS 200000
#define SCRIPT_MAX_B 300
#define BYTES_PER_COIN 110 /* the promise, for a typical coin, when many are there */

enum state { UNKNOWN, ABSENT, PRESENT };
struct expected {
    enum state state;
    int64_t value_sat;
    int32_t height;
    uint32_t script_size_b;
};

static const uint64_t seed[6] = {1, 2, 3, 4, 5, 6};

static struct outpoint outpoint_of(uint32_t n)
{
    struct outpoint o = {.index = n};
    put_u32le(o.txid.b, n * 2654435761u);
    put_u32le(o.txid.b + 8, n);
    return o;
}

static void script_of(uint8_t *out, uint32_t n, uint32_t size_b)
{
    for (uint32_t i = 0; i < size_b; i++)
        out[i] = (uint8_t)(n + i);
}

static struct coin coin_of(uint8_t *script, uint32_t n, const struct expected *e)
{
    script_of(script, n, e->script_size_b);
    return (struct coin){.value_sat = e->value_sat, .height = e->height, .script = span_of(script, e->script_size_b)};
}

static void expect(const struct coins *coins, uint32_t n, const struct expected *e)
{
    static const enum coins_answer_kind kinds[] = {
        [UNKNOWN] = COINS_UNKNOWN, [ABSENT] = COINS_ABSENT, [PRESENT] = COINS_PRESENT};
    struct outpoint o = outpoint_of(n);
    struct coin coin;
    uint8_t script[SCRIPT_MAX_B];
    ck_assert_int_eq(coins_find(coins, &o, &coin), kinds[e->state]);
    if (e->state != PRESENT)
        return;
    ck_assert_int_eq(coin.value_sat, e->value_sat);
    ck_assert_int_eq(coin.height, e->height);
    script_of(script, n, e->script_size_b);
    ck_assert(span_equal(coin.script, span_of(script, e->script_size_b)));
}

/* What the ledger does with one outpoint; it never takes what is not there, nor makes what is. */
static void act(struct coins *coins, struct sim_random *random, uint32_t n, struct expected *e)
{
    struct outpoint o = outpoint_of(n);
    struct arena arena;
    struct coin coin;
    uint8_t script[SCRIPT_MAX_B];
    enum coins_answer_kind answer;
    arena_init(&arena, 0);
    if (e->state == PRESENT && sim_random_below(random, 3) == 0) { /* a block that made it is taken back */
        ck_assert(coins_uncreate(coins, &o));
        e->state = coins_find(coins, &o, &coin) == COINS_UNKNOWN ? UNKNOWN : ABSENT;
    } else if (e->state == PRESENT) {
        ck_assert(coins_take(coins, &o, &coin, &arena, &answer));
        ck_assert_int_eq(answer, COINS_PRESENT);
        ck_assert_int_eq(coin.value_sat, e->value_sat);
        e->state = coins_find(coins, &o, &coin) == COINS_UNKNOWN ? UNKNOWN : ABSENT;
    } else {
        *e = (struct expected){PRESENT, (int64_t)sim_random_below(random, 1u << 30), (int32_t)sim_random_below(random, 1u << 20),
            (uint32_t)sim_random_below(random, sim_random_below(random, 4) == 0 ? SCRIPT_MAX_B : COINS_SCRIPT_INLINE_B + 1)};
        coin = coin_of(script, n, e);
        uint64_t how = sim_random_below(random, 3);
        if (how == 0 && coins_find(coins, &o, &(struct coin){0}) == COINS_UNKNOWN)
            ck_assert(coins_learn(coins, &o, &coin));
        else if (how == 1)
            ck_assert(coins_untake(coins, &o, &coin));
        else
            ck_assert(coins_create(coins, &o, &coin, true));
    }
    arena_clear(&arena);
}

START_TEST(as_a_plain_list)
{
    struct sim_random random = {.state = 7 + (uint64_t)_i};
    struct coins coins;
    static struct expected all[OUTPOINTS];
    memset(all, 0, sizeof all);
    coins_init(&coins, seed);
    size_t most_b = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t n = (uint32_t)sim_random_below(&random, OUTPOINTS);
        expect(&coins, n, &all[n]);
        act(&coins, &random, n, &all[n]);
        expect(&coins, n, &all[n]);
        most_b = coins_size_b(&coins) > most_b ? coins_size_b(&coins) : most_b;
        if (round % 20000 == 0)
            for (uint32_t i = 0; i < OUTPOINTS; i++)
                expect(&coins, i, &all[i]);
    }
    ck_assert_uint_lt(most_b, OUTPOINTS * 1000); /* places are taken again, scripts freed */
    coins_clear(&coins);
    ck_assert_uint_eq(coins_size_b(&coins), 0);
}
END_TEST

START_TEST(a_coin_takes_little)
{
    struct coins coins;
    uint8_t script[22] = {0, 20};
    struct coin coin = {.value_sat = 1000, .height = 5, .script = span_of(script, sizeof script)};
    coins_init(&coins, seed);
    for (uint32_t n = 0; n < 300000; n++) {
        struct outpoint o = outpoint_of(n);
        ck_assert(coins_create(&coins, &o, &coin, false));
        if (n >= 50000 && n % 1000 == 0 && coins_size_b(&coins) > (size_t)(n + 1) * BYTES_PER_COIN)
            ck_abort_msg("%u coins take %zu bytes", n + 1, coins_size_b(&coins));
    }
    coins_clear(&coins);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coins");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, as_a_plain_list, 0, 4);
    tcase_add_test(tests, a_coin_takes_little);
    suite_add_tcase(suite, tests);
    return unit_run(suite);
}
