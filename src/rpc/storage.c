/* What concerns the node's files: pruning. */
#include "chain_calls.h"
#include "coin/mempool/mempool.h"
#include "coin/rpc/groups.h"

#define TIMESTAMP_WINDOW_S 7200 /* Bitcoin: block times may lie so far beside the real ones */
#define TIMESTAMPS_FROM 1000000000 /* Bitcoin: larger numbers are times, not heights */

static bool prune_height(int32_t *out, const struct rpc_call *call, struct fail *why);
static void on_pruned(void *ctx, const struct fail *why);

/* ---- pruning ---- */
static void rpc_pruneblockchain(struct rpc_call *call)
{
    struct fail why;
    int32_t height = 0;
    if (!prune_height(&height, call, &why))
        rpc_fail(call, &why);
    else
        ledger_prune(call->ctx->ledger, height, (struct ledger_done){on_pruned, call});
}

static bool prune_height(int32_t *out, const struct rpc_call *call, struct fail *why)
{
    const struct ledger *ledger = call->ctx->ledger;
    int32_t tip = ledger_tip(ledger)->height;
    int64_t height;
    if (!ledger_is_pruning(ledger))
        return fail_request(why, RPC_MISC_ERROR, "Cannot prune blocks because node is not in prune mode.");
    if (!rpc_arg_i64(&height, call, 0, 0, why))
        return false;
    if (height < 0)
        return fail_request(why, RPC_INVALID_PARAMETER, "Negative block height.");
    if (height > TIMESTAMPS_FROM) {
        int64_t time_s = height - TIMESTAMP_WINDOW_S;
        for (height = 0; height <= tip && ledger_at(ledger, (int32_t)height)->time_s < time_s;)
            height++;
        if (height > tip)
            return fail_request(why, RPC_INVALID_PARAMETER,
                "Could not find block with at least the specified timestamp.");
    }
    if (tip <= PRUNE_KEEP_BLOCKS)
        return fail_request(why, RPC_MISC_ERROR, "Blockchain is too short for pruning.");
    if (height > tip)
        return fail_request(
            why, RPC_INVALID_PARAMETER, "Blockchain is shorter than the attempted prune height.");
    *out = height > tip - PRUNE_KEEP_BLOCKS ? tip - PRUNE_KEEP_BLOCKS : (int32_t)height;
    return true;
}

static void on_pruned(void *ctx, const struct fail *why)
{
    struct rpc_call *call = ctx;
    if (why->kind != FAIL_NONE) {
        rpc_fail(call, why);
        return;
    }
    jw_i64(&call->out, ledger_prune_height(call->ctx->ledger) - 1);
    rpc_ok(call);
}

static const struct rpc_arg prune_args[] = {
    {"height", RPC_NUMBER, true, NULL, "Up to this height, or before this time (seconds since 1970)."},
    RPC_ARGS_END,
};

const struct rpc_method rpc_storage_methods[] = {
    {.name = "pruneblockchain", .summary = "Deletes old block files. Needs -prune.", .args = prune_args,
        .result = "the height of the last block deleted", .example = "1000", .run = rpc_pruneblockchain},
    {.name = NULL},
};
