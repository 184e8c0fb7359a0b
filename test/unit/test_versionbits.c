/* Proves consensus/versionbits.h against BIP9's state machine as Bitcoin uses it: every edge of every state,
 * a hair on both sides of threshold, start, timeout and minimum activation height. */
#include <check.h>
#include <stdlib.h>

#include "coin/consensus/versionbits.h"
#include "unit.h"

static const struct chain_deployment fork_of = { .name = "fork", .bit = 5, .start_time_s = 1000, .timeout_s = 2000,
    .min_activation_height = 5000, .period = 144, .threshold = 108 };

static const struct {
    enum bip9_state from;
    int32_t end_height, signals;
    int64_t median_time_past_s;
    enum bip9_state to;
} steps[] = {
    { BIP9_DEFINED, 143, 144, 999, BIP9_DEFINED },
    { BIP9_DEFINED, 143, 0, 1000, BIP9_STARTED },
    { BIP9_DEFINED, 143, 0, 2000, BIP9_STARTED }, /* one period to lock in, even after the timeout */
    { BIP9_STARTED, 287, 107, 1999, BIP9_STARTED },
    { BIP9_STARTED, 287, 108, 1999, BIP9_LOCKED_IN },
    { BIP9_STARTED, 287, 107, 2000, BIP9_FAILED },
    { BIP9_STARTED, 287, 108, 2000, BIP9_LOCKED_IN }, /* signals win over the timeout */
    { BIP9_LOCKED_IN, 4998, 0, 9999, BIP9_LOCKED_IN },
    { BIP9_LOCKED_IN, 4999, 0, 9999, BIP9_ACTIVE },
    { BIP9_ACTIVE, 9999, 0, 9999, BIP9_ACTIVE },
    { BIP9_FAILED, 9999, 144, 1500, BIP9_FAILED },
};

START_TEST(steps_between_periods)
{
    struct bip9_period ended = { .end_height = steps[_i].end_height, .signals = steps[_i].signals,
        .median_time_past_s = steps[_i].median_time_past_s };
    ck_assert_str_eq(bip9_state_name(bip9_next(&fork_of, steps[_i].from, &ended)), bip9_state_name(steps[_i].to));
}
END_TEST

static const struct { uint32_t version; bool signals; } versions[] = {
    { 0x20000020, true }, { 0x20000000, false }, { 0x3fffffff, true }, { 0x2000001f, false },
    { 0x00000020, false }, { 0x40000020, false }, { 0x60000020, false }, { 0xffffffff, false }, { 4, false },
};

START_TEST(versions_that_signal)
{
    ck_assert_int_eq(bip9_signals(&fork_of, (int32_t)versions[_i].version), versions[_i].signals);
}
END_TEST

START_TEST(fixed_states)
{
    struct chain_deployment d = fork_of;
    enum bip9_state state = BIP9_STARTED;
    ck_assert(!bip9_is_fixed(&d, &state) && state == BIP9_STARTED);
    d.start_time_s = BIP9_ALWAYS_ACTIVE;
    ck_assert(bip9_is_fixed(&d, &state) && state == BIP9_ACTIVE);
    d.start_time_s = BIP9_NEVER_ACTIVE;
    ck_assert(bip9_is_fixed(&d, &state) && state == BIP9_FAILED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("versionbits");
    TCase *tc = tcase_create("versionbits");
    tcase_add_loop_test(tc, steps_between_periods, 0, (int)(sizeof steps / sizeof *steps));
    tcase_add_loop_test(tc, versions_that_signal, 0, (int)(sizeof versions / sizeof *versions));
    tcase_add_test(tc, fixed_states);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
