/* The Indexes group: how far each index is, and what the filter index knows of a block. */
#include "chain_calls.h"
#include "coin/base/mem.h"
#include "coin/ledger/indexes.h"
#include "coin/rpc/groups.h"

/* ---- getindexinfo ---- */
static void rpc_getindexinfo(struct rpc_call *call)
{
    struct fail why;
    struct span name;
    if (!rpc_arg_text(&name, call, 0, "", &why)) {
        rpc_fail(call, &why);
        return;
    }
    jw_object(&call->out);
    for (int k = 0; k < INDEX_KINDS; k++) {
        struct index_state index = ledger_index_state(call->ctx->ledger, (enum ledger_index)k);
        if (!index.enabled || (name.size_b > 0 && !span_is(name, index.name)))
            continue;
        jw_key(&call->out, index.name);
        jw_object(&call->out);
        jw_key_bool(&call->out, "synced", index.synced);
        jw_key_i64(&call->out, "best_block_height", index.best_height < 0 ? 0 : index.best_height);
        jw_end_object(&call->out);
    }
    jw_end_object(&call->out);
    rpc_ok(call);
}

/* ---- getblockfilter ---- */
struct filter_call {
    struct filter_query query; /* first: the callbacks get it */
    struct rpc_call *call;
    struct block_index *block;
    struct buf filter;
    uint8_t header[32];
};

static bool keep_filter(struct filter_query *query, uint32_t i, struct span filter, const uint8_t header[32]) /* worker */
{
    struct filter_call *get = (struct filter_call *)query;
    (void)i;
    buf_put(&get->filter, filter.data, filter.size_b);
    for (int n = 0; header != NULL && n < 32; n++)
        get->header[n] = header[n];
    return true;
}

static void on_filter(struct index_query *query, const struct fail *why)
{
    struct filter_call *get = (struct filter_call *)query;
    struct rpc_call *call = get->call;
    struct fail failed = *why;
    char hex[ID_HEX_SIZE_B];
    if (failed.kind == FAIL_NONE && !buf_ok(&get->filter, "block filter", &failed)) {
        rpc_fail(call, &failed);
    } else if (failed.kind != FAIL_NONE) {
        rpc_fail(call, &failed);
    } else if (get->filter.size_b > 0) {
        jw_object(&call->out);
        jw_key_hex(&call->out, "filter", get->filter.data, get->filter.size_b);
        hash_to_hex(hex, get->header);
        jw_key_text(&call->out, "header", hex);
        jw_end_object(&call->out);
        rpc_ok(call);
    } else if ((get->block->status & BLOCK_SCRIPTS_OK) == 0) {
        rpc_error(call, RPC_INVALID_ADDRESS_OR_KEY, "Filter not found. Block was not connected to active chain.");
    } else if (!ledger_index_state(call->ctx->ledger, INDEX_FILTER).synced) {
        rpc_error(call, RPC_MISC_ERROR, "Filter not found. Block filters are still in the process of being indexed.");
    } else { /* it was connected and left again while the index was off */
        rpc_error(call, RPC_INTERNAL_ERROR, "Filter not found. The block has left the active chain before it was indexed.");
    }
    buf_clear(&get->filter);
    mem_free(get);
}

bool rpc_wants_filters(const struct rpc_call *call, uint32_t i, struct fail *why)
{
    struct span type;
    if (!rpc_arg_text(&type, call, i, "basic", why))
        return false;
    if (!span_is(type, "basic"))
        return fail_request(why, RPC_INVALID_ADDRESS_OR_KEY, "Unknown filtertype");
    if (!ledger_index_state(call->ctx->ledger, INDEX_FILTER).enabled)
        return fail_request(why, RPC_MISC_ERROR, "Index is not enabled for filtertype basic");
    return true;
}

static void rpc_getblockfilter(struct rpc_call *call)
{
    struct fail why;
    struct block_index *block = NULL;
    if (!rpc_wants_filters(call, 1, &why) || (block = rpc_arg_block(call, 0, &why)) == NULL) {
        rpc_fail(call, &why);
        return;
    }
    struct filter_call *get = mem_new(sizeof *get);
    get->call = call;
    get->block = block;
    buf_init(&get->filter, BLOCK_SIZE_MAX_B);
    get->query.query.kind = INDEX_FILTER;
    get->query.query.done = on_filter;
    get->query.blocks = &get->block;
    get->query.count = 1;
    get->query.each = keep_filter;
    if (ledger_ask_index(call->ctx->ledger, &get->query.query))
        return;
    mem_free(get);
    rpc_error(call, RPC_MISC_ERROR, "The index is busy, try again");
}

static const struct rpc_arg info_args[] = {
    {"index_name", RPC_STRING, false, NULL, "This one only."},
    RPC_ARGS_END,
};
static const struct rpc_arg filter_args[] = {
    {"blockhash", RPC_HEX, true, NULL, "The block."},
    {"filtertype", RPC_STRING, false, "\"basic\"", "The type of filter: \"basic\"."},
    RPC_ARGS_END,
};
static const struct rpc_arg scan_args[] = {
    {"action", RPC_STRING, true, NULL, "\"start\", \"status\" or \"abort\"."},
    {"scanobjects", RPC_ARRAY, false, NULL, "For \"start\": descriptors, or objects with desc and range."},
    {"start_height", RPC_NUMBER, false, "0", "From this height."},
    {"stop_height", RPC_NUMBER, false, "the tip's", "Up to this height."},
    {"filtertype", RPC_STRING, false, "\"basic\"", "The type of filter: \"basic\"."},
    {"options", RPC_OBJECT, false, NULL, "{\"filter_false_positives\":bool} (false): look into each block that matches."},
    RPC_ARGS_END,
};

const struct rpc_method rpc_index_methods[] = {
    {.name = "getindexinfo", .summary = "Tells how far the indexes are that are switched on.", .args = info_args,
        .result = "an object by name", .example = "", .run = rpc_getindexinfo},
    {.name = "getblockfilter", .summary = "Returns a block's filter (BIP157). Needs -blockfilterindex.",
        .args = filter_args, .result = "{\"filter\":hex, \"header\":hash}", .example = "BLOCKHASH",
        .run = rpc_getblockfilter},
    {.name = "scanblocks", .summary = "Finds the blocks that pay or spend descriptors. Needs -blockfilterindex.",
        .args = scan_args, .result = "an object; null or a bool for \"status\" and \"abort\"",
        .example = "start [\\\"addr(ADDRESS)\\\"]", .run = rpc_scanblocks},
    {.name = NULL},
};
