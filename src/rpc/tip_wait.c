/* Calls that wait for the tip to move. Each is one entry of a list that hangs on the context; a new tip, a
 * tick, a stop and the client's leaving all ask the same question of it: is it over? */

#include <string.h>

#include "chain_calls.h"
#include "coin/base/mem.h"
#include "coin/mempool/mempool.h"
#include "coin/rpc/blockchain.h"

enum wait_for { WAIT_ANY_OTHER, WAIT_BLOCK, WAIT_HEIGHT, WAIT_MEMPOOL };

struct tip_wait {
    struct rpc_call *call;
    struct tip_wait *next;
    enum wait_for what;
    struct block_id id;
    int32_t height;
    int64_t until_us; /* 0: no end */
};

static bool is_over(const struct tip_wait *wait, const struct rpc_ctx *ctx)
{
    const struct block_index *tip = ledger_tip(ctx->ledger);
    if (wait->call->cancelled || (wait->until_us > 0 && env_steady_us(ctx->env) >= wait->until_us))
        return true;
    switch (wait->what) {
    case WAIT_ANY_OTHER:
        return !block_id_equal(&tip->id, &wait->id);
    case WAIT_BLOCK:
        return block_id_equal(&tip->id, &wait->id);
    case WAIT_HEIGHT:
        return tip->height >= wait->height;
    case WAIT_MEMPOOL:
        return mempool_is_idle(ctx->mempool);
    }
    return true;
}

static void answer(struct rpc_call *call, enum wait_for what)
{
    const struct block_index *tip = ledger_tip(call->ctx->ledger);
    char hex[ID_HEX_SIZE_B];
    if (what == WAIT_MEMPOOL) {
        jw_null(&call->out);
        rpc_ok(call);
        return;
    }
    hash_to_hex(hex, tip->id.b);
    jw_object(&call->out);
    jw_key_text(&call->out, "hash", hex);
    jw_key_i64(&call->out, "height", tip->height);
    jw_end_object(&call->out);
    rpc_ok(call);
}

/* Takes what is over out of the list first: an answer may bring the next request at once. */
static void look(struct rpc_ctx *ctx, bool all)
{
    struct tip_wait *over = NULL;
    struct tip_wait **last = &over;
    for (struct tip_wait **at = &ctx->tip_waits; *at != NULL;) {
        struct tip_wait *wait = *at;
        if (!all && !is_over(wait, ctx)) {
            at = &wait->next;
            continue;
        }
        *at = wait->next;
        wait->next = NULL;
        *last = wait;
        last = &wait->next;
    }
    while (over != NULL) {
        struct tip_wait *wait = over;
        over = wait->next;
        answer(wait->call, wait->what);
        mem_free(wait);
    }
}

static void on_cancel(struct rpc_call *call)
{
    look(call->ctx, false);
}

static void add(struct rpc_call *call, const struct tip_wait *what)
{
    struct tip_wait *wait = mem_new(sizeof *wait);
    *wait = *what;
    wait->call = call;
    if (is_over(wait, call->ctx)) {
        mem_free(wait);
        answer(call, what->what);
        return;
    }
    call->on_cancel = on_cancel;
    wait->next = call->ctx->tip_waits;
    call->ctx->tip_waits = wait;
}

static void begin(struct rpc_call *call, uint32_t timeout_arg, struct tip_wait *what)
{
    struct fail why;
    int64_t timeout_ms;
    if (!rpc_arg_i64(&timeout_ms, call, timeout_arg, 0, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (timeout_ms < 0) {
        rpc_error(call, RPC_MISC_ERROR, "Negative timeout");
        return;
    }
    if (timeout_ms > 0 && timeout_ms < INT64_MAX / 2000)
        what->until_us = env_steady_us(call->ctx->env) + timeout_ms * 1000;
    add(call, what);
}

void rpc_answer_when_pool_is_idle(struct rpc_call *call)
{
    struct tip_wait wait = {.what = WAIT_MEMPOOL, .call = call};
    add(call, &wait);
}

void rpc_waitfornewblock(struct rpc_call *call)
{
    struct fail why;
    struct tip_wait wait = {.what = WAIT_ANY_OTHER, .id = ledger_tip(call->ctx->ledger)->id};
    if (rpc_has_arg(call, 1) && !rpc_arg_hash(wait.id.b, call, 1, &why))
        rpc_fail(call, &why);
    else
        begin(call, 0, &wait);
}

void rpc_waitforblock(struct rpc_call *call)
{
    struct fail why;
    struct tip_wait wait = {.what = WAIT_BLOCK};
    if (!rpc_arg_hash(wait.id.b, call, 0, &why))
        rpc_fail(call, &why);
    else
        begin(call, 1, &wait);
}

void rpc_waitforblockheight(struct rpc_call *call)
{
    struct fail why;
    struct tip_wait wait = {.what = WAIT_HEIGHT};
    int64_t height;
    if (!rpc_arg_i64(&height, call, 0, 0, &why) || !to_i32(&wait.height, height, &why))
        rpc_fail(call, &why);
    else
        begin(call, 1, &wait);
}

void rpc_blockchain_on_tip(struct rpc_ctx *ctx)
{
    look(ctx, false);
}

void rpc_blockchain_on_tick(struct rpc_ctx *ctx)
{
    if (ctx->tip_waits != NULL)
        look(ctx, false);
}

void rpc_blockchain_on_stop(struct rpc_ctx *ctx)
{
    look(ctx, true);
    rpc_scan_on_stop(ctx);
    rpc_scanblocks_on_stop(ctx);
}
