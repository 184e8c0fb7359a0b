/* Proves that coin's difficulty holds doc/difficulty.md's figures when power comes and goes by factors of
 * thousands: whole years of blocks in virtual time, drawn from a seed, judged by the code that nodes run.
 *
 * A block is found after an exponential time whose rate is power * target / 2^256; relief doubles the
 * target on the way, and phases change the power, so the time is drawn once (as a hazard to use up) and
 * spent piece by piece. Every line says the bound that it was held to. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/consensus/pow.h"

#define BLOCKS_MAX 120000
#define EPOCH_S 1800000000.0
#define MEDIAN_BLOCKS 11
#define MHS 1e6
#define HOUR_S 3600.0
#define DAY_S 86400.0
#define POWER_S (50 * MHS) /* the honest network of doc/difficulty.md */
#define SEEDS 20
#define RECOVERY_BLOCKS 60 /* "normal" means: the mean of so many */
#define SHARE 0.3

struct sim {
    const struct chain *chain;
    struct pow_point *points;
    int32_t tip;
    uint64_t state;
    double now_s;
    double power, next_power, change_s; /* power until change_s, next_power from then on */
};

static int failures;

static double uniform(struct sim *sim)
{
    sim->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = sim->state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return ((double)(z >> 11) + 0.5) / 9007199254740992.0; /* 2^53 */
}

static struct pow_point at(const void *ctx, int32_t height)
{
    return ((const struct sim *)ctx)->points[height];
}

static void sim_init(struct sim *sim, const struct chain *chain, uint64_t seed, double power)
{
    memset(sim, 0, sizeof *sim);
    sim->chain = chain;
    sim->points = mem_try_array(BLOCKS_MAX, sizeof *sim->points);
    if (sim->points == NULL)
        exit(1);
    sim->points[0] = (struct pow_point){ .time_s = (uint32_t)EPOCH_S, .bits = chain->pow_limit_bits };
    sim->state = seed;
    sim->now_s = EPOCH_S;
    sim->power = sim->next_power = power;
    sim->change_s = INFINITY;
}

static void sim_clear(struct sim *sim)
{
    mem_free(sim->points);
}

static int by_time(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t median_time_s(const struct sim *sim)
{
    uint32_t times[MEDIAN_BLOCKS];
    int32_t count = 0;
    for (int32_t h = sim->tip; h >= 0 && count < MEDIAN_BLOCKS; h--)
        times[count++] = sim->points[h].time_s;
    qsort(times, (size_t)count, sizeof *times, by_time);
    return times[count / 2];
}

/* The time at which a miner of a share of the power finds the next block, whose time says `now + ahead`,
 * or always `fixed_s` when that is not 0. Does not move the clock. */
static double find_s(struct sim *sim, uint32_t bits, double share, double ahead_s, uint32_t fixed_s)
{
    const double step_s = (double)(sim->chain->difficulty.relief_spacings * sim->chain->spacing_s);
    double hazard = -log(uniform(sim)), now_s = sim->now_s;
    double parent_s = sim->points[sim->tip].time_s;
    for (;;) {
        double stamp_s = fixed_s != 0 ? fixed_s : floor(now_s + ahead_s);
        struct u256 target = pow_target(sim->chain, bits, (uint32_t)stamp_s, sim->points[sim->tip].time_s);
        double power = share * (now_s >= sim->change_s ? sim->next_power : sim->power);
        double rate = power * ldexp(u256_to_double(&target), -256);
        double end_s = INFINITY;
        if (fixed_s == 0) {
            double doublings = floor((stamp_s - parent_s) / step_s);
            end_s = parent_s + (doublings < 0 ? 1 : doublings + 1) * step_s - ahead_s;
            if (end_s <= now_s)
                end_s = now_s + 1;
        }
        if (now_s < sim->change_s && sim->change_s < end_s)
            end_s = sim->change_s;
        if (rate > 0 && now_s + hazard / rate <= end_s)
            return now_s + hazard / rate;
        hazard -= rate > 0 ? rate * (end_s - now_s) : 0;
        now_s = end_s;
    }
}

static uint32_t due(struct sim *sim)
{
    struct pow_view view = { .ctx = sim, .at = at, .tip_height = sim->tip };
    return pow_bits_due(sim->chain, &view, 0);
}

static void append(struct sim *sim, double found_s, uint32_t time_s, uint32_t bits)
{
    if (sim->tip + 1 >= BLOCKS_MAX) {
        fprintf(stderr, "more than %d blocks\n", BLOCKS_MAX);
        exit(1);
    }
    sim->now_s = found_s;
    sim->tip++;
    sim->points[sim->tip] = (struct pow_point){ .height = sim->tip, .time_s = time_s, .bits = bits };
}

/* An honest block: its time is the clock's, or as little above the median as the rule asks. */
static void mine(struct sim *sim)
{
    uint32_t bits = due(sim), floor_s = median_time_s(sim) + 1;
    double found_s = find_s(sim, bits, 1, 0, 0);
    uint32_t time_s = (uint32_t)found_s;
    if (time_s < floor_s) {
        time_s = floor_s;
        if (found_s < time_s - (double)sim->chain->future_limit_s)
            found_s = time_s - (double)sim->chain->future_limit_s;
    }
    append(sim, found_s, time_s, bits);
}

static void mine_until(struct sim *sim, double end_s)
{
    while (sim->now_s < end_s)
        mine(sim);
}

static void change_power(struct sim *sim, double when_s, double power)
{
    if (sim->now_s >= sim->change_s)
        sim->power = sim->next_power;
    sim->change_s = when_s;
    sim->next_power = power;
}

static void settle_power(struct sim *sim)
{
    sim->power = sim->next_power;
    sim->change_s = INFINITY;
}

/* Mines until the mean spacing of the last RECOVERY_BLOCKS is within a quarter of what it should be;
 * returns when that stretch began. */
static double recover_s(struct sim *sim)
{
    const double spacing_s = (double)sim->chain->spacing_s;
    double times[RECOVERY_BLOCKS] = { 0 };
    for (int32_t i = 0;; i++) {
        double first_s = times[i % RECOVERY_BLOCKS]; /* RECOVERY_BLOCKS ago */
        double mean_s = (sim->now_s - first_s) / RECOVERY_BLOCKS;
        if (i >= RECOVERY_BLOCKS && mean_s > 0.75 * spacing_s && mean_s < 1.25 * spacing_s)
            return first_s;
        times[i % RECOVERY_BLOCKS] = sim->now_s;
        mine(sim);
    }
}

static void hold(const char *what, double value, double low, double high, const char *unit)
{
    bool ok = value >= low && value <= high;
    printf("%-66s %9.2f %s (%g to %g)%s\n", what, value, unit, low, high, ok ? "" : "  BROKEN");
    if (!ok)
        failures++;
}

static void launch(const struct chain *chain, double power_mhs, double low_s, double high_s)
{
    double first_s = 0, spacing_s = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim sim;
        sim_init(&sim, chain, seed, power_mhs * MHS);
        while (sim.tip < 101)
            mine(&sim);
        first_s += (sim.now_s - EPOCH_S) / SEEDS;
        while (sim.tip < 1000)
            mine(&sim);
        double at_s = sim.now_s;
        while (sim.tip < 2000)
            mine(&sim);
        spacing_s += (sim.now_s - at_s) / 1000 / SEEDS;
        sim_clear(&sim);
    }
    char what[96];
    snprintf(what, sizeof what, "launch at %g MH/s: 101 blocks take", power_mhs);
    hold(what, first_s, low_s, high_s, "s");
    snprintf(what, sizeof what, "launch at %g MH/s: mean spacing of blocks 1001 to 2000", power_mhs);
    hold(what, spacing_s, 56, 64, "s");
}

/* A settled network at POWER_S. */
static void settled(struct sim *sim, const struct chain *chain, uint64_t seed)
{
    sim_init(sim, chain, seed, POWER_S);
    while (sim->tip < 600)
        mine(sim);
}

struct change_figures {
    double blocks_first_hour, first_gap_h, longest_gap_h, recovered_h;
};

static struct change_figures power_changes(const struct chain *chain, double factor)
{
    struct change_figures f = { 0, 0, 0, 0 };
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim sim;
        settled(&sim, chain, seed);
        double start_s = sim.now_s;
        sim.power = sim.next_power = POWER_S * factor;
        int32_t tip = sim.tip;
        mine(&sim);
        f.first_gap_h += (sim.now_s - start_s) / HOUR_S / SEEDS;
        double longest_s = sim.now_s - start_s;
        while (sim.now_s < start_s + HOUR_S) {
            double before_s = sim.now_s;
            mine(&sim);
            if (sim.now_s - before_s > longest_s)
                longest_s = sim.now_s - before_s;
        }
        f.blocks_first_hour += (double)(sim.tip - tip) / SEEDS;
        f.longest_gap_h += longest_s / HOUR_S / SEEDS;
        f.recovered_h += (recover_s(&sim) - start_s) / HOUR_S / SEEDS;
        sim_clear(&sim);
    }
    return f;
}

static void twenty(const struct chain *chain)
{
    struct change_figures up = power_changes(chain, 20), down = power_changes(chain, 0.05);
    hold("power x 20: blocks of the first hour", up.blocks_first_hour, 60, 400, "blocks");
    hold("power x 20: normal spacing after", up.recovered_h, 0, 3, "h");
    hold("power / 20: longest gap of the first hour", down.longest_gap_h, 0, 1.5, "h");
    hold("power / 20: normal spacing after", down.recovered_h, 0, 15, "h");
}

static void visitor(const struct chain *chain)
{
    double gap_h = 0, back_h = 0, blocks = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim sim;
        settled(&sim, chain, seed);
        double start_s = sim.now_s;
        int32_t tip = sim.tip;
        sim.power = sim.next_power = POWER_S * 20000;
        change_power(&sim, start_s + HOUR_S, POWER_S);
        while (sim.now_s < start_s + HOUR_S)
            mine(&sim);
        blocks += (double)(sim.tip - tip) / SEEDS;
        double first_h = (sim.now_s - start_s - HOUR_S) / HOUR_S; /* the block that the change fell into */
        settle_power(&sim);
        gap_h += first_h / SEEDS;
        back_h += (recover_s(&sim) - start_s - HOUR_S) / HOUR_S / SEEDS;
        sim_clear(&sim);
    }
    hold("a visitor with 20,000 times the power for an hour: blocks", blocks, 60, 1500, "blocks");
    hold("power / 20,000: first gap", gap_h, 1, 4.5, "h");
    hold("power / 20,000: normal spacing after", back_h, 20, 75, "h");
}

static void pause_two_weeks(const struct chain *chain)
{
    double blocks = 0, first_s = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim sim;
        settled(&sim, chain, seed);
        sim.now_s += 14 * DAY_S;
        double start_s = sim.now_s;
        int32_t tip = sim.tip;
        mine(&sim);
        first_s += (sim.now_s - start_s) / SEEDS;
        mine_until(&sim, start_s + 600);
        blocks += (double)(sim.tip - tip) / SEEDS;
        sim_clear(&sim);
    }
    hold("two weeks of nothing: the first block after", first_s, 0, 1, "s");
    hold("two weeks of nothing: blocks of the first 10 minutes", blocks, 5, 20, "blocks");
}

enum forgery { FORGE_NOTHING, FORGE_AHEAD, FORGE_BACK, FORGE_TURNS, FORGE_LEAP, FORGERIES };
static const char *const forgery_names[] = {
    "nothing", "always as far ahead as allowed", "always as far back as allowed", "ahead and back in turns",
    "back twice, then ahead",
};

/* Blocks a day of a miner with SHARE of the power who writes what times he likes. */
static double forged_blocks_a_day(const struct chain *chain, enum forgery forgery, int32_t count)
{
    struct sim sim;
    settled(&sim, chain, 7);
    double start_s = sim.now_s;
    int32_t end = sim.tip + count, own = 0;
    while (sim.tip < end) {
        uint32_t bits = due(&sim), floor_s = median_time_s(&sim) + 1;
        bool ahead = forgery == FORGE_AHEAD || (forgery == FORGE_TURNS && own % 2 == 0) ||
                     (forgery == FORGE_LEAP && own % 3 == 2);
        bool back = forgery != FORGE_NOTHING && !ahead;
        double ahead_s = ahead ? (double)chain->future_limit_s : 0;
        double honest_s = find_s(&sim, bits, 1 - SHARE, 0, 0);
        double liar_s = find_s(&sim, bits, SHARE, ahead_s, back ? floor_s : 0);
        bool liar = liar_s < honest_s;
        double found_s = liar ? liar_s : honest_s;
        uint32_t time_s = (uint32_t)(found_s + (liar ? ahead_s : 0));
        if ((liar && back) || time_s < floor_s)
            time_s = floor_s;
        append(&sim, found_s, time_s, bits);
        own += liar;
    }
    double days = (sim.now_s - start_s) / DAY_S;
    sim_clear(&sim);
    return own / days;
}

static void forge(const struct chain *chain)
{
    const int32_t count = 60000;
    double honest = forged_blocks_a_day(chain, FORGE_NOTHING, count);
    hold("an honest miner with 30 %: blocks a day", honest, 1440 * SHARE * 0.97, 1440 * SHARE * 1.03, "blocks");
    for (int f = FORGE_AHEAD; f < FORGERIES; f++) {
        double gain = forged_blocks_a_day(chain, (enum forgery)f, count) / honest * 100 - 100;
        char what[96];
        snprintf(what, sizeof what, "he forges times, %s: gain", forgery_names[f]);
        hold(what, gain, -50, 5, "%");
    }
}

int main(void)
{
    struct fail why;
    struct chain *chain = chain_load("coin", &why);
    if (chain == NULL) {
        fprintf(stderr, "%s\n", why.detail);
        return 1;
    }
    launch(chain, 1, 160, 330);
    launch(chain, 3, 50, 120);
    launch(chain, 25, 5, 14);
    launch(chain, 50, 2.5, 7);
    twenty(chain);
    visitor(chain);
    pause_two_weeks(chain);
    forge(chain);
    chain_free(chain);
    printf("%d bounds broken\n", failures);
    return failures == 0 ? 0 : 1;
}
