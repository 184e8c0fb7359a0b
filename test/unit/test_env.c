/* Proves that the short names of env reach the world behind them, and that a number below a limit is
 * uniform: values that would favour small remainders are drawn again. */
#include "coin/base/env.h"
#include "unit.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct world {
    uint64_t script[4]; /* what random gives, in order */
    uint32_t drawn;
    struct job *submitted;
};

static int64_t wall(void *ctx)
{
    (void)ctx;
    return 1700000001999;
}

static int64_t steady(void *ctx)
{
    (void)ctx;
    return 42;
}

static void scripted(void *ctx, void *out, size_t size_b)
{
    struct world *world = ctx;
    uint8_t bytes[8];
    put_u64le(bytes, world->script[world->drawn++ % 4]);
    ck_assert_uint_le(size_b, sizeof bytes);
    memcpy(out, bytes, size_b);
}

static bool take(void *ctx, struct job *job)
{
    ((struct world *)ctx)->submitted = job;
    return true;
}

START_TEST(short_names)
{
    struct world world = { .script = { 0x1122334455667788 } };
    struct env env = { .ctx = &world, .wall_ms = wall, .steady_us = steady, .random = scripted, .submit = take };
    struct job job = { 0 };
    uint8_t bytes[2];
    ck_assert_int_eq(env_wall_s(&env), 1700000001);
    ck_assert_int_eq(env_wall_ms(&env), 1700000001999);
    ck_assert_int_eq(env_steady_us(&env), 42);
    ck_assert_uint_eq(env_random_u64(&env), 0x1122334455667788);
    world.drawn = 0;
    env_random(&env, bytes, sizeof bytes);
    ck_assert_uint_eq(bytes[0], 0x88);
    ck_assert(env_submit(&env, &job));
    ck_assert_ptr_eq(world.submitted, &job);
}
END_TEST

START_TEST(below_a_limit)
{
    struct world world = { 0 };
    struct env env = { .ctx = &world, .random = scripted };
    ck_assert_uint_eq(env_random_below(&env, 1), 0);
    ck_assert_uint_eq(world.drawn, 0);
    /* 2^64 mod 10 = 6: 0 to 5 are drawn again */
    world = (struct world){ .script = { 5, 0, 6, 7 } };
    ck_assert_uint_eq(env_random_below(&env, 10), 6);
    ck_assert_uint_eq(world.drawn, 3);
    world = (struct world){ .script = { 0, 1, 2, 3 } };
    ck_assert_uint_eq(env_random_below(&env, 8), 0); /* a power of two wastes none */
    ck_assert_uint_eq(world.drawn, 1);
    world = (struct world){ .script = { UINT64_MAX } };
    ck_assert_uint_eq(env_random_below(&env, UINT64_MAX), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("env");
    TCase *cases = tcase_create("env");
    tcase_add_test(cases, short_names);
    tcase_add_test(cases, below_a_limit);
    suite_add_tcase(suite, cases);
    return unit_run(suite);
}
