/* One block at the user's word (generatetoaddress and so on). The search runs in jobs of SLICE hashes on
 * the lane for long calls, so that it neither holds the loop nor needs mining threads. */

#include <stdatomic.h>
#include <string.h>

#include "coin/base/mem.h"
#include "internal.h"

#define SLICE (UINT64_C(1) << 20)

struct generate {
    struct grind grind; /* first */
    struct miner *miner;
    struct generate_request *request;
    struct block_template *template;
    struct block *block; /* as built; later the one with the right nonce */
    uint64_t next_nonce;
};

static bool grind_next(struct generate *g, struct fail *why);

static void finish(struct generate *g, const struct fail *why)
{
    struct generate_request *request = g->request;
    struct block *block = g->block;
    bool failed = why->kind != FAIL_NONE;
    template_free(g->template);
    if (failed || !g->grind.found) {
        block_unref(block);
        block = NULL;
    }
    mem_free(g);
    request->done(request, block, why);
    block_unref(block);
}

static void on_verdict(void *ctx, enum block_outcome outcome, struct block_index *index, const struct fail *why)
{
    static const struct fail none = {.kind = FAIL_NONE};
    (void)index;
    finish(ctx, outcome == BLOCK_OUTCOME_REFUSED ? why : &none);
}

/* A block with the right nonce: checked without keeping it, or offered. */
static void conclude(struct generate *g)
{
    struct fail why = {.kind = FAIL_NONE};
    struct block *solved;
    if (!block_with_header(&solved, g->block, g->grind.header, &why)) {
        finish(g, &why);
        return;
    }
    block_unref(g->block);
    g->block = solved;
    struct block_verdict verdict = {on_verdict, g};
    bool taken = g->request->submit ? ledger_offer_built(g->miner->ledger, solved, verdict)
                                    : ledger_test_block(g->miner->ledger, solved, verdict);
    if (!taken) {
        fail_set(&why, FAIL_NO_ROOM, "busy", "too many blocks are being checked now, try again");
        finish(g, &why);
    }
}

static void on_slice(struct job *job)
{
    struct generate *g = (struct generate *)job;
    struct fail why = {.kind = FAIL_NONE};
    g->next_nonce += g->grind.hashes;
    g->request->tries_left -= g->grind.hashes;
    if (g->grind.found)
        conclude(g);
    else if (atomic_load(&g->miner->halt_epoch) != g->grind.begun_epoch) {
        fail_request(&why, -1, "Shutting down");
        finish(g, &why);
    } else if (g->request->tries_left == 0) {
        finish(g, &why);
    } else if (!grind_next(g, &why)) {
        finish(g, &why);
    }
}

static bool grind_next(struct generate *g, struct fail *why)
{
    struct miner *miner = g->miner;
    if (g->block == NULL || g->next_nonce > UINT32_MAX) {
        struct block *block;
        template_set_time(g->template, miner->chain, env_wall_s(miner->env));
        if (!template_build(&block, g->template, miner->chain, g->request->payout, miner->extra_nonce++, why))
            return false;
        block_unref(g->block);
        g->block = block;
        g->next_nonce = 0;
    }
    grind_prepare(&g->grind, g->block, g->template, miner->chain, &miner->halt_epoch);
    uint64_t count = (UINT64_C(1) << 32) - g->next_nonce;
    if (count > SLICE)
        count = SLICE;
    if (count > g->request->tries_left)
        count = g->request->tries_left;
    g->grind.first = (uint32_t)g->next_nonce;
    g->grind.count = count;
    g->grind.job = (struct job){.run = grind_run, .done = on_slice, .lane = JOB_SLOW};
    return env_submit(miner->env, &g->grind.job) ||
           fail_set(why, FAIL_NO_ROOM, "busy", "too many long calls are running, try again");
}

static bool add_exact(struct block_template *t, const struct generate_request *request, struct fail *why)
{
    t->txs = mem_try_array(request->tx_count > 0 ? request->tx_count : 1, sizeof *t->txs);
    if (t->txs == NULL)
        return fail_oom(why, "the block's transactions");
    for (uint32_t i = 0; i < request->tx_count; i++) {
        t->txs[t->count++].tx = tx_ref(request->txs[i]);
        t->weight_wu += tx_weight_wu(request->txs[i]);
    }
    return true;
}

bool miner_generate(struct miner *miner, struct generate_request *request, struct fail *why)
{
    struct block_template *t = template_new(miner->chain, miner->ledger, request->exact ? NULL : miner->pool,
        &miner->options, env_wall_s(miner->env), why);
    if (t == NULL)
        return false;
    struct generate *g = mem_new(sizeof *g);
    g->miner = miner;
    g->request = request;
    g->template = t;
    if ((request->exact && !add_exact(t, request, why)) || !grind_next(g, why)) {
        template_free(t);
        block_unref(g->block);
        mem_free(g);
        return false;
    }
    return true;
}
