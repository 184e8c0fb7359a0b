/* vec_ledger.h - a real ledger in a simulated world, for vectors that are chains. Owner: the runner. */
#ifndef COIN_TEST_VEC_LEDGER_H
#define COIN_TEST_VEC_LEDGER_H

#include <string.h>

#include "../sim/world.h"
#include "coin/ledger/ledger.h"

#define VEC_WALL_MS (INT64_C(1700000000) * 1000)
#define VEC_PATIENCE_US (INT64_C(86400) * 1000000)

struct vec_ledger {
    struct world *world;
    struct world_node *node;
    const struct chain *chain;
    struct ledger *ledger;
    /* of the last block offered: */
    uint32_t verdicts;
    enum block_outcome outcome;
    struct fail why;
    bool stopped, scanned;
};

static inline bool vec_ledger_open(struct vec_ledger *l, struct fail *why)
{
    struct ledger_options options = { .dir = "data", .dbcache_b = 8u << 20, .workers = 2, .xor_blocks = true,
        .tip_age_max_s = 86400, .check_blocks = 6, .check_level = 3 };
    l->ledger = ledger_open(&l->node->env, l->chain, &options, why);
    if (l->ledger != NULL)
        ledger_start(l->ledger);
    return l->ledger != NULL;
}

static inline bool vec_ledger_init(struct vec_ledger *l, const struct chain *chain, struct fail *why)
{
    memset(l, 0, sizeof *l);
    l->chain = chain;
    l->world = world_new(1, VEC_WALL_MS);
    l->node = world_add_node(l->world);
    return vec_ledger_open(l, why);
}

static inline void vec_ledger_drain(struct vec_ledger *l)
{
    struct ledger_effect effect;
    while (ledger_next_effect(l->ledger, &effect))
        block_unref(effect.block);
}

static inline bool vec_ledger_settled(void *ctx)
{
    struct vec_ledger *l = ctx;
    vec_ledger_drain(l);
    return ledger_is_settled(l->ledger) && l->verdicts > 0;
}

static inline void vec_ledger_verdict(void *ctx, enum block_outcome outcome, struct block_index *index,
    const struct fail *why)
{
    struct vec_ledger *l = ctx;
    (void)index;
    l->verdicts++;
    l->outcome = outcome;
    l->why = *why;
}

/* Offers a block and waits for its verdict; true: it was connected. l->why has the reason if not. */
static inline bool vec_ledger_offer(struct vec_ledger *l, struct span bytes)
{
    struct buf raw;
    l->verdicts = 0;
    buf_init(&raw, BLOCK_SIZE_MAX_B);
    buf_put(&raw, bytes.data, bytes.size_b);
    bool taken = ledger_offer_block(l->ledger, &raw, true, (struct block_verdict){ vec_ledger_verdict, l });
    buf_clear(&raw);
    return taken && world_run_until(l->world, vec_ledger_settled, l, VEC_PATIENCE_US) && l->verdicts == 1 &&
           l->outcome == BLOCK_OUTCOME_CONNECTED;
}

struct vec_sum {
    struct coins_scan scan; /* first */
    struct vec_ledger *l;
    int64_t sat;
    uint32_t coins;
    bool ok;
};

static inline bool vec_sum_each(struct coins_scan *scan, const struct outpoint *outpoint, const struct coin *coin)
{
    struct vec_sum *sum = (struct vec_sum *)scan;
    (void)outpoint;
    sum->sat += coin->value_sat;
    sum->coins++;
    return true;
}

static inline void vec_sum_done(struct coins_scan *scan, const struct fail *why)
{
    struct vec_sum *sum = (struct vec_sum *)scan;
    sum->ok = why->kind == FAIL_NONE;
    sum->l->scanned = true;
}

static inline bool vec_ledger_scanned(void *ctx)
{
    struct vec_ledger *l = ctx;
    vec_ledger_drain(l);
    return l->scanned;
}

/* All coins together. */
static inline bool vec_ledger_sum(struct vec_ledger *l, struct vec_sum *sum)
{
    *sum = (struct vec_sum){ .scan = { .each = vec_sum_each, .done = vec_sum_done }, .l = l };
    l->scanned = false;
    return ledger_scan_coins(l->ledger, &sum->scan) &&
           world_run_until(l->world, vec_ledger_scanned, l, VEC_PATIENCE_US) && sum->ok;
}

static inline void vec_ledger_on_stop(void *ctx)
{
    ((struct vec_ledger *)ctx)->stopped = true;
}

static inline bool vec_ledger_stopped(void *ctx)
{
    struct vec_ledger *l = ctx;
    vec_ledger_drain(l);
    return l->stopped;
}

static inline void vec_ledger_stop(struct vec_ledger *l)
{
    l->stopped = false;
    ledger_stop(l->ledger, vec_ledger_on_stop, l);
    if (!world_run_until(l->world, vec_ledger_stopped, l, VEC_PATIENCE_US))
        abort();
    vec_ledger_drain(l);
    ledger_free(l->ledger);
    l->ledger = NULL;
}

static inline void vec_ledger_clear(struct vec_ledger *l)
{
    if (l->ledger != NULL)
        vec_ledger_stop(l);
    world_free(l->world);
}

#endif
