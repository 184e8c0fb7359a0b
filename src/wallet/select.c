/* Coin selection. A coin counts with its effective value: what remains of it after the fee that spending it
 * costs. Three ways are tried, and the one that wastes least is taken; waste is what spending now costs more
 * than spending later, plus the cost of change, or, without change, what is left to the miner.
 *
 *   branch and bound   searches a subset that needs no change output; stops after SEARCH_MAX steps
 *   random draw        coins in random order until the target and a useful change are reached
 *   largest first      few inputs: succeeds whenever anything can within count_max */

#include "select.h"

#include <stdlib.h>
#include <string.h>

#include "coin/base/mem.h"

#define SEARCH_MAX 100000 /* steps of branch and bound: about a millisecond */

struct best {
    bool found;
    struct select_result result;
    bool *chosen;
};

static int by_effective(const void *a, const void *b);
static int64_t effective(const struct select_coin *coin);
static void branch_and_bound(const struct select_coin *coins, uint32_t count, const struct select_params *p,
    bool *chosen, struct best *best);
static void draw(const struct select_coin *coins, uint32_t count, const struct select_params *p, bool shuffle,
    bool *chosen, struct best *best);
static void consider(const struct select_coin *coins, uint32_t count, const struct select_params *p,
    const bool *chosen, struct best *best);
static uint64_t next_random(uint64_t *state);

bool select_coins(struct select_coin *coins, uint32_t count, const struct select_params *params,
    struct select_result *out)
{
    struct best best = {.chosen = mem_try_array(count + 1, sizeof(bool))};
    bool *chosen = mem_try_array(count + 1, sizeof *chosen);
    if (best.chosen != NULL && chosen != NULL) {
        qsort(coins, count, sizeof *coins, by_effective);
        branch_and_bound(coins, count, params, chosen, &best);
        draw(coins, count, params, true, chosen, &best);
        draw(coins, count, params, false, chosen, &best);
        for (uint32_t i = 0; i < count; i++)
            coins[i].chosen = best.found && best.chosen[i];
        *out = best.result;
    }
    mem_free(chosen);
    mem_free(best.chosen);
    return best.found;
}

/* Depth first over coins sorted by falling effective value: at each coin first take it, then leave it out. */
static void branch_and_bound(const struct select_coin *coins, uint32_t count, const struct select_params *p,
    bool *chosen, struct best *best)
{
    int64_t sum = 0, left = 0;
    uint32_t taken = 0, depth = 0;
    memset(chosen, 0, count * sizeof *chosen);
    for (uint32_t i = 0; i < count; i++)
        left += effective(&coins[i]) > 0 || coins[i].required ? effective(&coins[i]) : 0;
    for (uint32_t step = 0; step < SEARCH_MAX; step++) {
        bool retreat = sum + left < p->target_sat || sum > p->target_sat + p->change_cost_sat ||
                       taken > p->count_max;
        if (!retreat && sum >= p->target_sat) {
            bool complete = true;
            for (uint32_t i = depth; i < count; i++)
                complete = complete && !coins[i].required;
            if (complete) {
                consider(coins, count, p, chosen, best);
                retreat = true;
            }
        }
        if (!retreat && depth == count)
            retreat = true;
        if (!retreat) {
            int64_t value = effective(&coins[depth]);
            if (value > 0 || coins[depth].required) {
                left -= value;
                sum += value;
                taken++;
                chosen[depth] = true;
            }
            depth++;
            continue;
        }
        /* Back to the last coin that was taken by choice; leave that one out. */
        while (depth > 0) {
            depth--;
            int64_t value = effective(&coins[depth]);
            bool counted = value > 0 || coins[depth].required;
            if (chosen[depth] && !coins[depth].required)
                break;
            if (chosen[depth]) {
                sum -= value;
                taken--;
                chosen[depth] = false;
            }
            if (counted)
                left += value;
            if (depth == 0)
                return;
        }
        if (!chosen[depth])
            return;
        chosen[depth] = false;
        sum -= effective(&coins[depth]);
        taken--;
        depth++;
    }
}

static void draw(const struct select_coin *coins, uint32_t count, const struct select_params *p, bool shuffle,
    bool *chosen, struct best *best)
{
    uint32_t *order = mem_try_array(count + 1, sizeof *order);
    int64_t sum = 0;
    uint32_t taken = 0;
    uint64_t state = p->random;
    if (order == NULL)
        return;
    memset(chosen, 0, count * sizeof *chosen);
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    for (uint32_t i = count; shuffle && i > 1; i--) { /* Fisher-Yates */
        uint32_t j = (uint32_t)(next_random(&state) % i), other = order[i - 1];
        order[i - 1] = order[j];
        order[j] = other;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!coins[i].required)
            continue;
        chosen[i] = true;
        sum += effective(&coins[i]);
        taken++;
    }
    /* First aim at a change worth having; if the coins do not reach that far, the target alone will do. */
    int64_t goal = p->target_sat + p->change_fee_sat + p->change_min_sat;
    for (uint32_t i = 0; i < count && sum < goal && taken < p->count_max; i++) {
        const struct select_coin *coin = &coins[order[i]];
        if (chosen[order[i]] || effective(coin) <= 0)
            continue;
        chosen[order[i]] = true;
        sum += effective(coin);
        taken++;
    }
    if (taken <= p->count_max)
        consider(coins, count, p, chosen, best);
    mem_free(order);
}

static void consider(const struct select_coin *coins, uint32_t count, const struct select_params *p,
    const bool *chosen, struct best *best)
{
    struct select_result r = {0};
    int64_t excess, timing = 0;
    uint32_t taken = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!chosen[i])
            continue;
        r.value_sat += coins[i].value_sat;
        r.fees_sat += coins[i].fee_sat;
        timing += coins[i].fee_sat - coins[i].long_term_fee_sat;
        taken++;
    }
    excess = r.value_sat - r.fees_sat - p->target_sat;
    if (excess < 0 || taken == 0)
        return;
    int64_t change = excess - p->change_fee_sat;
    if (change >= p->change_min_sat && change > 0) {
        r.change_sat = change;
        r.waste_sat = timing + p->change_cost_sat;
    } else {
        r.waste_sat = timing + excess;
    }
    if (best->found && r.waste_sat >= best->result.waste_sat)
        return;
    best->found = true;
    best->result = r;
    memcpy(best->chosen, chosen, count * sizeof *chosen);
}

static int by_effective(const void *a, const void *b)
{
    int64_t x = effective(a), y = effective(b);
    return x > y ? -1 : x < y;
}

static int64_t effective(const struct select_coin *coin)
{
    return coin->value_sat - coin->fee_sat;
}

/* xorshift64*: only spreads choices; privacy needs no more of it than the seed, which is random. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state | 1;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(2685821657736338717);
}
