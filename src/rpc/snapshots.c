/* The Snapshots group: the set of coins as a file, written and taken into use. */
#include <stdio.h>
#include <string.h>

#include "chain_calls.h"
#include "coin/base/mem.h"
#include "coin/mempool/mempool.h"
#include "coin/rpc/groups.h"

/* A relative path lies in the chain's folder. */
static bool read_path(char out[PATH_SIZE_B], const struct rpc_call *call, struct fail *why)
{
    struct span path;
    char name[PATH_SIZE_B];
    if (!rpc_arg_text(&path, call, 0, "", why))
        return false;
    if (path.size_b == 0 || path.size_b >= PATH_SIZE_B || memchr(path.data, 0, path.size_b) != NULL)
        return fail_request(why, RPC_INVALID_PARAMETER, "The path is empty or too long");
    memcpy(name, path.data, path.size_b);
    name[path.size_b] = 0;
    if (*name != '/')
        return path_join(out, call->ctx->datadir, name, why);
    memcpy(out, name, path.size_b + 1);
    return true;
}

/* ---- dumptxoutset ---- */
struct dump_call {
    struct ledger_dump dump; /* first: the callback gets it */
    struct rpc_call *call;
};

static void on_dumped(struct ledger_dump *dump, const struct fail *why)
{
    struct rpc_call *call = ((struct dump_call *)dump)->call;
    struct json_writer *w = &call->out;
    char hex[ID_HEX_SIZE_B];
    if (why->kind != FAIL_NONE) {
        rpc_fail(call, why);
    } else {
        jw_object(w);
        jw_key_u64(w, "coins_written", dump->coins);
        hash_to_hex(hex, dump->base->id.b);
        jw_key_text(w, "base_hash", hex);
        jw_key_i64(w, "base_height", dump->base->height);
        jw_key_text(w, "path", dump->path);
        hash_to_hex(hex, dump->hash);
        jw_key_text(w, "txoutset_hash", hex);
        jw_key_u64(w, "nchaintx", dump->base->chain_tx_count);
        jw_end_object(w);
        rpc_ok(call);
    }
    mem_free(dump);
}

static void on_cancel(struct rpc_call *call)
{
    struct ledger_dump *dump = call->state;
    if (dump->scan != NULL)
        dump->scan->abort = true;
}

/* The highest one of the chain file's snapshots that the chain has reached. */
static struct block_index *last_listed(const struct rpc_ctx *ctx)
{
    struct block_index *best = NULL;
    for (uint32_t i = 0; i < ctx->chain->snapshot_count; i++) {
        struct block_index *index = ledger_at(ctx->ledger, ctx->chain->snapshots[i].height);
        if (index != NULL && (best == NULL || index->height > best->height))
            best = index;
    }
    return best;
}

static bool which_block(struct block_index **out, const struct rpc_call *call, struct fail *why)
{
    struct span type;
    const struct json *rollback = rpc_has_arg(call, 2) ? json_get(call->args[2], "rollback") : NULL;
    if (!rpc_arg_text(&type, call, 1, "", why))
        return false;
    int shown = type.size_b > 64 ? 64 : (int)type.size_b;
    if (rollback != NULL) {
        if (type.size_b > 0 && !span_is(type, "rollback"))
            return fail_request(why, RPC_INVALID_PARAMETER, "Invalid snapshot type \"%.*s\" specified with rollback option",
                shown, (const char *)type.data);
        *out = rpc_hash_or_height_value(call, rollback, "rollback", why);
        if (*out != NULL && !ledger_is_active(call->ctx->ledger, *out))
            return fail_request(why, RPC_INVALID_ADDRESS_OR_KEY, "The block is not in the active chain");
        return *out != NULL;
    }
    if (span_is(type, "latest")) {
        *out = NULL;
        return true;
    }
    if (!span_is(type, "rollback"))
        return fail_request(why, RPC_INVALID_PARAMETER, "Invalid snapshot type \"%.*s\" specified. Please specify "
            "\"rollback\" or \"latest\"", shown, (const char *)type.data);
    *out = last_listed(call->ctx);
    return *out != NULL || fail_request(why, RPC_MISC_ERROR, "The chain has not reached a snapshot that its file lists");
}

static void rpc_dumptxoutset(struct rpc_call *call)
{
    const struct disk *disk = call->ctx->env->disk;
    struct fail why;
    struct dump_call *state = mem_new(sizeof *state);
    state->call = call;
    state->dump.done = on_dumped;
    call->state = state;
    if (!read_path(state->dump.path, call, &why) || !which_block(&state->dump.base, call, &why)) {
        rpc_fail(call, &why);
    } else if (disk->exists(disk->ctx, state->dump.path)) {
        rpc_error(call, RPC_INVALID_PARAMETER,
            "%s already exists. If you are sure this is what you want, move it out of the way first", state->dump.path);
    } else {
        call->on_cancel = on_cancel;
        if (ledger_dump_coins(call->ctx->ledger, &state->dump))
            return;
        call->on_cancel = NULL;
        rpc_error(call, RPC_MISC_ERROR, "The chainstate is busy, try again");
    }
    mem_free(state);
}

/* ---- loadtxoutset ---- */
struct load_call {
    struct ledger_load load; /* first: the callback gets it */
    struct rpc_call *call;
};

static void on_loaded(void *ctx, const struct fail *why)
{
    struct load_call *state = ctx;
    struct rpc_call *call = state->call;
    struct json_writer *w = &call->out;
    char hex[ID_HEX_SIZE_B];
    if (why->kind == FAIL_REQUEST && why->rpc_code == RPC_INTERNAL_ERROR) {
        rpc_error(call, RPC_INTERNAL_ERROR, "Unable to load UTXO snapshot: %s (%s)", why->detail, state->load.path);
    } else if (why->kind != FAIL_NONE) {
        rpc_fail(call, why);
    } else {
        jw_object(w);
        jw_key_u64(w, "coins_loaded", state->load.coins);
        hash_to_hex(hex, state->load.base->id.b);
        jw_key_text(w, "tip_hash", hex);
        jw_key_i64(w, "base_height", state->load.base->height);
        jw_key_text(w, "path", state->load.path);
        jw_end_object(w);
        rpc_ok(call);
    }
    mem_free(state);
}

static void rpc_loadtxoutset(struct rpc_call *call)
{
    struct fail why;
    struct load_call *state = mem_new(sizeof *state);
    state->call = call;
    state->load.done = on_loaded;
    if (!read_path(state->load.path, call, &why)) {
        rpc_fail(call, &why);
        mem_free(state);
        return;
    }
    if (mempool_stats(call->ctx->mempool).count > 0) {
        fail_request(&why, RPC_INTERNAL_ERROR, "Can't activate a snapshot when mempool not empty");
        on_loaded(state, &why);
        return;
    }
    ledger_load_coins(call->ctx->ledger, &state->load);
}

/* ---- getchainstates ---- */
static double progress_of(const struct ledger *ledger, const struct block_index *tip)
{
    int32_t all = ledger_best_header(ledger)->height;
    return all > 0 ? (double)tip->height / (double)all : 1;
}

static void show_chainstate(struct json_writer *w, const struct rpc_ctx *ctx, const struct block_index *tip,
    const struct block_index *snapshot, bool active, bool validated)
{
    struct ledger_stats stats = ledger_stats(ctx->ledger);
    char hex[ID_HEX_SIZE_B];
    jw_object(w);
    jw_key_i64(w, "blocks", tip->height);
    hash_to_hex(hex, tip->id.b);
    jw_key_text(w, "bestblockhash", hex);
    rpc_show_bits(w, tip->bits);
    jw_key_double(w, "difficulty", rpc_difficulty(tip));
    jw_key_double(w, "verificationprogress", active ? ledger_progress(ctx->ledger) : progress_of(ctx->ledger, tip));
    if (snapshot != NULL) {
        hash_to_hex(hex, snapshot->id.b);
        jw_key_text(w, "snapshot_blockhash", hex);
    }
    jw_key_u64(w, "coins_db_cache_bytes", active ? stats.store_cache_b : stats.background_store_cache_b);
    jw_key_u64(w, "coins_tip_cache_bytes", active ? stats.cache_limit_b : stats.background_cache_b);
    jw_key_bool(w, "validated", validated);
    jw_end_object(w);
}

static void rpc_getchainstates(struct rpc_call *call)
{
    struct json_writer *w = &call->out;
    struct ledger *ledger = call->ctx->ledger;
    const struct block_index *behind = ledger_background_tip(ledger);
    jw_object(w);
    jw_key_i64(w, "headers", ledger_best_header(ledger)->height);
    jw_key(w, "chainstates");
    jw_array(w);
    if (behind != NULL)
        show_chainstate(w, call->ctx, behind, NULL, false, true);
    show_chainstate(w, call->ctx, ledger_tip(ledger), ledger_snapshot_base(ledger), true, behind == NULL);
    jw_end_array(w);
    jw_end_object(w);
    rpc_ok(call);
}

void rpc_show_background(struct json_writer *w, const struct ledger *ledger)
{
    const struct block_index *tip = ledger_background_tip(ledger);
    char hex[65];
    if (tip == NULL)
        return;
    jw_key(w, "backgroundvalidation");
    jw_object(w);
    jw_key_i64(w, "snapshotheight", ledger_snapshot_base(ledger)->height);
    jw_key_i64(w, "blocks", tip->height);
    hash_to_hex(hex, tip->id.b);
    jw_key_text(w, "bestblockhash", hex);
    jw_key_i64(w, "mediantime", index_median_time_past_s(tip));
    jw_key_double(w, "verificationprogress", (double)tip->height / (double)ledger_snapshot_base(ledger)->height);
    u256_to_hex(hex, &tip->chain_work);
    jw_key_text(w, "chainwork", hex);
    jw_end_object(w);
}

static const struct rpc_arg dump_args[] = {
    {"path", RPC_STRING, true, NULL, "The file, which must not exist; a relative path lies in the chain's folder."},
    {"type", RPC_STRING, false, "\"\"", "\"latest\": the tip's coins; \"rollback\": those of the last listed snapshot's block."},
    {"options", RPC_OBJECT, false, NULL, "{\"rollback\": hash or height}: the coins of that block. \"in_memory\" is always so."},
    RPC_ARGS_END,
};
static const struct rpc_arg load_args[] = {
    {"path", RPC_STRING, true, NULL, "A file of dumptxoutset; a relative path lies in the chain's folder."},
    RPC_ARGS_END,
};

const struct rpc_method rpc_snapshot_methods[] = {
    {.name = "dumptxoutset", .summary = "Writes all unspent outputs into a file.", .args = dump_args,
        .result = "an object", .example = "utxo.dat latest", .run = rpc_dumptxoutset},
    {.name = "loadtxoutset", .summary = "Goes on from a file of unspent outputs that the chain file vouches for; blocks "
                                        "before it are verified in the background.",
        .args = load_args, .result = "an object", .example = "utxo.dat", .run = rpc_loadtxoutset},
    {.name = "getchainstates", .summary = "Tells about the chainstate, and about the one that verifies the history of a "
                                          "snapshot in use.",
        .result = "an object", .example = "", .run = rpc_getchainstates},
    {.name = NULL},
};
