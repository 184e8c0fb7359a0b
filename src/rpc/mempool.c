/* The Mempool group: what waits for a block. */

#include <string.h>

#include "chain_calls.h"
#include "coin/base/mem.h"
#include "coin/mempool/mempool.h"
#include "coin/rpc/groups.h"

static void rpc_getmempoolinfo(struct rpc_call *call)
{
    struct json_writer *w = &call->out;
    const struct mempool *pool = call->ctx->mempool;
    struct mempool_stats stats = mempool_stats(pool);
    const struct mempool_options *options = mempool_options_of(pool);
    uint32_t unbroadcast = 0, cursor = 0;
    for (const struct mempool_entry *at; (at = mempool_next(pool, &cursor)) != NULL;)
        unbroadcast += at->unbroadcast;
    jw_object(w);
    jw_key_bool(w, "loaded", mempool_is_loaded(pool));
    jw_key_u64(w, "size", stats.count);
    jw_key_u64(w, "bytes", stats.vsize_vb);
    jw_key_u64(w, "usage", stats.usage_b);
    jw_key_amount(w, "total_fee", stats.total_fee_sat);
    jw_key_u64(w, "maxmempool", stats.limit_b);
    jw_key_amount(w, "mempoolminfee", stats.min_fee_sat_kvb);
    jw_key_amount(w, "minrelaytxfee", options->min_relay_sat_kvb);
    jw_key_amount(w, "incrementalrelayfee", options->incremental_sat_kvb);
    jw_key_u64(w, "unbroadcastcount", unbroadcast);
    jw_key_bool(w, "fullrbf", true);
    jw_key_bool(w, "permitbaremultisig", options->permit_bare_multisig);
    jw_key_u64(w, "maxdatacarriersize", options->datacarrier_size_b);
    jw_key_u64(w, "limitclustercount", options->cluster_count_max);
    jw_key_u64(w, "limitclustersize", options->cluster_size_max_vb);
    jw_key_bool(w, "optimal", true);
    jw_end_object(w);
    rpc_ok(call);
}

/* ---- entries ---- */

struct relatives {
    uint32_t count; /* with the entry itself */
    uint64_t vsize_vb;
    int64_t fee_sat;
};

static struct relatives sum_relatives(const struct mempool *pool, const struct mempool_entry *entry, bool descendants)
{
    const struct mempool_entry *others[CLUSTER_COUNT_MAX];
    struct relatives sum = {1, entry->vsize_vb, entry->modified_fee_sat};
    uint32_t count = mempool_relatives(pool, entry, descendants, others);
    for (uint32_t i = 0; i < count; i++) {
        sum.count++;
        sum.vsize_vb += others[i]->vsize_vb;
        sum.fee_sat += others[i]->modified_fee_sat;
    }
    return sum;
}

static void show_id(struct json_writer *w, const struct txid *id)
{
    char hex[ID_HEX_SIZE_B];
    hash_to_hex(hex, id->b);
    jw_text(w, hex);
}

static void show_neighbours(struct json_writer *w, const struct mempool *pool, const struct mempool_entry *entry)
{
    const struct tx *tx = entry->tx;
    jw_key(w, "depends");
    jw_array(w);
    for (uint32_t i = 0; i < tx->in_count; i++) {
        bool seen = mempool_find(pool, &tx->in[i].prevout.txid) == NULL;
        for (uint32_t k = 0; k < i && !seen; k++)
            seen = txid_equal(&tx->in[k].prevout.txid, &tx->in[i].prevout.txid);
        if (!seen)
            show_id(w, &tx->in[i].prevout.txid);
    }
    jw_end_array(w);
    jw_key(w, "spentby");
    jw_array(w);
    const struct mempool_entry *shown[CLUSTER_COUNT_MAX];
    uint32_t shown_count = 0;
    for (uint32_t i = 0; i < tx->out_count && shown_count < CLUSTER_COUNT_MAX; i++) {
        struct outpoint outpoint = {tx->txid, i};
        const struct mempool_entry *child = mempool_spender(pool, &outpoint);
        bool seen = child == NULL;
        for (uint32_t k = 0; k < shown_count && !seen; k++)
            seen = shown[k] == child;
        if (seen)
            continue;
        shown[shown_count++] = child;
        show_id(w, &child->tx->txid);
    }
    jw_end_array(w);
}

static void show_entry(struct json_writer *w, const struct mempool *pool, const struct mempool_entry *entry)
{
    struct relatives ancestors = sum_relatives(pool, entry, false), descendants = sum_relatives(pool, entry, true);
    int64_t chunk_fee_sat;
    uint64_t chunk_vsize_vb;
    char hex[ID_HEX_SIZE_B];
    mempool_chunk_of(pool, entry, &chunk_fee_sat, &chunk_vsize_vb);
    jw_object(w);
    jw_key_u64(w, "vsize", entry->vsize_vb);
    jw_key_u64(w, "vsize_bip141", tx_vsize_b(entry->tx));
    jw_key_u64(w, "vsize_adjusted", entry->vsize_vb);
    jw_key_u64(w, "weight", entry->weight_wu);
    jw_key_i64(w, "time", entry->time_s);
    jw_key_i64(w, "height", entry->height);
    jw_key_u64(w, "descendantcount", descendants.count);
    jw_key_u64(w, "descendantsize", descendants.vsize_vb);
    jw_key_u64(w, "ancestorcount", ancestors.count);
    jw_key_u64(w, "ancestorsize", ancestors.vsize_vb);
    jw_key_u64(w, "chunkweight", chunk_vsize_vb * 4);
    hash_to_hex(hex, entry->tx->wtxid.b);
    jw_key_text(w, "wtxid", hex);
    jw_key(w, "fees");
    jw_object(w);
    jw_key_amount(w, "base", entry->fee_sat);
    jw_key_amount(w, "modified", entry->modified_fee_sat);
    jw_key_amount(w, "ancestor", ancestors.fee_sat);
    jw_key_amount(w, "descendant", descendants.fee_sat);
    jw_key_amount(w, "chunk", chunk_fee_sat);
    jw_end_object(w);
    show_neighbours(w, pool, entry);
    jw_key_bool(w, "bip125-replaceable", entry->replaceable);
    jw_key_bool(w, "unbroadcast", entry->unbroadcast);
    jw_end_object(w);
}

static void rpc_getrawmempool(struct rpc_call *call)
{
    struct fail why;
    struct json_writer *w = &call->out;
    const struct mempool *pool = call->ctx->mempool;
    bool verbose, with_sequence;
    uint32_t cursor = 0;
    char hex[ID_HEX_SIZE_B];
    if (!rpc_arg_bool(&verbose, call, 0, false, &why) || !rpc_arg_bool(&with_sequence, call, 1, false, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (verbose && with_sequence) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Verbose results cannot contain mempool sequence values.");
        return;
    }
    if (verbose || with_sequence)
        jw_object(w);
    if (with_sequence)
        jw_key(w, "txids");
    if (!verbose)
        jw_array(w);
    for (const struct mempool_entry *at; (at = mempool_next(pool, &cursor)) != NULL;) {
        hash_to_hex(hex, at->tx->txid.b);
        if (!verbose) {
            jw_text(w, hex);
            continue;
        }
        jw_key(w, hex);
        show_entry(w, pool, at);
    }
    if (!verbose)
        jw_end_array(w);
    if (with_sequence)
        jw_key_u64(w, "mempool_sequence", mempool_sequence(pool));
    if (verbose || with_sequence)
        jw_end_object(w);
    rpc_ok(call);
}

/* -5 when it is not in the pool. */
static const struct mempool_entry *find_entry(struct rpc_call *call)
{
    struct fail why;
    struct txid id;
    if (!rpc_arg_hash(id.b, call, 0, &why)) {
        rpc_fail(call, &why);
        return NULL;
    }
    const struct mempool_entry *entry = mempool_find(call->ctx->mempool, &id);
    if (entry == NULL)
        rpc_error(call, RPC_INVALID_ADDRESS_OR_KEY, "Transaction not in mempool");
    return entry;
}

static void rpc_getmempoolentry(struct rpc_call *call)
{
    const struct mempool_entry *entry = find_entry(call);
    if (entry == NULL)
        return;
    show_entry(&call->out, call->ctx->mempool, entry);
    rpc_ok(call);
}

static void show_relatives(struct rpc_call *call, bool descendants)
{
    struct fail why;
    struct json_writer *w = &call->out;
    const struct mempool_entry *others[CLUSTER_COUNT_MAX];
    const struct mempool *pool = call->ctx->mempool;
    bool verbose;
    char hex[ID_HEX_SIZE_B];
    if (!rpc_arg_bool(&verbose, call, 1, false, &why)) {
        rpc_fail(call, &why);
        return;
    }
    const struct mempool_entry *entry = find_entry(call);
    if (entry == NULL)
        return;
    uint32_t count = mempool_relatives(pool, entry, descendants, others);
    if (verbose)
        jw_object(w);
    else
        jw_array(w);
    for (uint32_t i = 0; i < count; i++) {
        hash_to_hex(hex, others[i]->tx->txid.b);
        if (verbose) {
            jw_key(w, hex);
            show_entry(w, pool, others[i]);
        } else {
            jw_text(w, hex);
        }
    }
    if (verbose)
        jw_end_object(w);
    else
        jw_end_array(w);
    rpc_ok(call);
}

static void rpc_getmempoolancestors(struct rpc_call *call)
{
    show_relatives(call, false);
}

static void rpc_getmempooldescendants(struct rpc_call *call)
{
    show_relatives(call, true);
}

/* ---- the file ---- */

static void on_saved(void *ctx, const struct fail *why)
{
    struct rpc_call *call = ctx;
    struct fail wrong;
    char path[PATH_SIZE_B];
    if (why->kind != FAIL_NONE) {
        rpc_error(call, RPC_MISC_ERROR, "Unable to dump mempool to disk: %s", why->detail);
        return;
    }
    jw_object(&call->out);
    jw_key_text(&call->out, "filename", path_join(path, call->ctx->datadir, "mempool.dat", &wrong) ? path : "");
    jw_end_object(&call->out);
    rpc_ok(call);
}

static void rpc_savemempool(struct rpc_call *call)
{
    struct fail why;
    char path[PATH_SIZE_B];
    if (!mempool_is_loaded(call->ctx->mempool))
        rpc_error(call, RPC_MISC_ERROR, "The mempool was not loaded yet");
    else if (!path_join(path, call->ctx->datadir, "mempool.dat", &why))
        rpc_fail(call, &why);
    else
        mempool_save(call->ctx->mempool, path, (struct ledger_done){on_saved, call});
}

/* ---- the table ---- */

static const struct rpc_arg raw_args[] = {
    {"verbose", RPC_BOOL, false, "false", "An object by id instead of a list."},
    {"mempool_sequence", RPC_BOOL, false, "false", "Tell the pool's sequence number too."},
    RPC_ARGS_END,
};
static const struct rpc_arg entry_args[] = {{"txid", RPC_HEX, true, NULL, "The transaction, in the mempool."}, RPC_ARGS_END};
static const struct rpc_arg relatives_args[] = {
    {"txid", RPC_HEX, true, NULL, "The transaction, in the mempool."},
    {"verbose", RPC_BOOL, false, "false", "An object by id instead of a list."},
    RPC_ARGS_END,
};
static const struct rpc_arg spending_args[] = {
    {"outputs", RPC_ARRAY, true, NULL, "[{\"txid\":…, \"vout\":n}, …]"},
    {"options", RPC_OBJECT, false, NULL, "{\"mempool_only\":bool, \"return_spending_tx\":bool}"},
    RPC_ARGS_END,
};

const struct rpc_method rpc_mempool_methods[] = {
    {.name = "getmempoolinfo", .summary = "Tells the state of the mempool.", .result = "an object", .example = "",
        .run = rpc_getmempoolinfo},
    {.name = "getrawmempool", .summary = "Lists the transactions of the mempool.", .args = raw_args,
        .result = "an array of ids, or an object", .example = "true", .run = rpc_getrawmempool},
    {.name = "getmempoolentry", .summary = "Tells about a transaction of the mempool.", .args = entry_args,
        .result = "an object", .example = "TXID", .run = rpc_getmempoolentry},
    {.name = "getmempoolancestors", .summary = "Lists what a transaction of the mempool depends on.",
        .args = relatives_args, .result = "an array of ids, or an object", .example = "TXID",
        .run = rpc_getmempoolancestors},
    {.name = "getmempooldescendants", .summary = "Lists what depends on a transaction of the mempool.",
        .args = relatives_args, .result = "an array of ids, or an object", .example = "TXID",
        .run = rpc_getmempooldescendants},
    {.name = "gettxspendingprevout", .summary = "Finds who spends outputs, in the mempool and (with -txospenderindex) in the chain.",
        .args = spending_args, .result = "an array of objects",
        .example = "\"[{\\\"txid\\\":\\\"TXID\\\",\\\"vout\\\":0}]\"", .run = rpc_gettxspendingprevout},
    {.name = "savemempool", .summary = "Writes the mempool to disk.", .result = "{\"filename\":…}", .example = "",
        .run = rpc_savemempool},
    {.name = NULL},
};
