/* What concerns the node's files: pruning, and verifying what they hold. */
#include "chain_calls.h"
#include "coin/base/log.h"
#include "coin/base/mem.h"
#include "coin/mempool/mempool.h"
#include "coin/rpc/groups.h"

#define VERIFY_LEVEL_DEFAULT 3
#define VERIFY_LEVEL_MAX 4
#define VERIFY_BLOCKS_DEFAULT 6
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

/* ---- verifying ---- */
struct verify_call {
    struct ledger_verify verify; /* first: the callback gets it */
    struct rpc_call *call;
};

static void on_verified(struct ledger_verify *verify, const struct fail *why)
{
    struct rpc_call *call = ((struct verify_call *)verify)->call;
    if (why->kind == FAIL_LOCAL)
        log_error("verifychain: %s", why->detail);
    if (why->kind == FAIL_NONE || why->kind == FAIL_LOCAL) {
        jw_bool(&call->out, why->kind == FAIL_NONE && verify->complete);
        rpc_ok(call);
    } else {
        rpc_fail(call, why);
    }
    mem_free(verify);
}

static void on_cancel(struct rpc_call *call)
{
    struct ledger_verify *verify = call->state;
    if (verify->scan != NULL)
        verify->scan->abort = true;
}

static void rpc_verifychain(struct rpc_call *call)
{
    struct fail why;
    int64_t level, count;
    if (!rpc_arg_i64(&level, call, 0, VERIFY_LEVEL_DEFAULT, &why) ||
        !rpc_arg_i64(&count, call, 1, VERIFY_BLOCKS_DEFAULT, &why)) {
        rpc_fail(call, &why);
        return;
    }
    struct verify_call *state = mem_new(sizeof *state);
    state->call = call;
    state->verify.level = level < 0 ? 0 : level > VERIFY_LEVEL_MAX ? VERIFY_LEVEL_MAX : (int32_t)level;
    state->verify.count = count < 0 || count > INT32_MAX ? 0 : (int32_t)count;
    state->verify.done = on_verified;
    call->state = state;
    call->on_cancel = on_cancel;
    if (ledger_verify_chain(call->ctx->ledger, &state->verify))
        return;
    call->on_cancel = NULL;
    mem_free(state);
    rpc_error(call, RPC_MISC_ERROR, "The chain is being verified already, or the chainstate is busy");
}

static const struct rpc_arg verify_args[] = {
    {"checklevel", RPC_NUMBER, false, "3",
        "0: blocks can be read, 1: are valid by themselves, 2: undo data, 3: coins agree, 4: all rules again."},
    {"nblocks", RPC_NUMBER, false, "6", "So many from the tip down; 0: all."},
    RPC_ARGS_END,
};
static const struct rpc_arg prune_args[] = {
    {"height", RPC_NUMBER, true, NULL, "Up to this height, or before this time (seconds since 1970)."},
    RPC_ARGS_END,
};

const struct rpc_method rpc_storage_methods[] = {
    {.name = "pruneblockchain", .summary = "Deletes old block files. Needs -prune.", .args = prune_args,
        .result = "the height of the last block deleted", .example = "1000", .run = rpc_pruneblockchain},
    {.name = "verifychain", .summary = "Checks the last blocks and their coins once more.", .args = verify_args,
        .result = "true: all is well, and nothing was left out", .example = "3 100", .run = rpc_verifychain},
    {.name = NULL},
};
