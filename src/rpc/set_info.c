/* gettxoutsetinfo: from the index of statistics where it serves, otherwise by a walk over all coins. What the hashes
 * of the set are is told in set_hash.h. */
#include <stddef.h>

#include "chain_calls.h"
#include "coin/base/mem.h"
#include "coin/ledger/indexes.h"
#include "coin/ledger/set_hash.h"

static const char *const hash_names[] = {
    [SET_HASH_NONE] = "none", [SET_HASH_SERIALIZED] = "hash_serialized_3", [SET_HASH_MUHASH] = "muhash"};
#define HASH_KINDS (sizeof hash_names / sizeof *hash_names)

static void show_first(struct json_writer *w, const struct block_index *block, uint64_t coins, uint64_t bogosize_b)
{
    char hex[ID_HEX_SIZE_B];
    jw_object(w);
    jw_key_i64(w, "height", block->height);
    hash_to_hex(hex, block->id.b);
    jw_key_text(w, "bestblock", hex);
    jw_key_u64(w, "txouts", coins);
    jw_key_u64(w, "bogosize", bogosize_b);
}

static void show_hash(struct json_writer *w, enum set_hash_kind kind, const uint8_t hash[32])
{
    char hex[ID_HEX_SIZE_B];
    if (kind == SET_HASH_NONE)
        return;
    hash_to_hex(hex, hash);
    jw_key_text(w, hash_names[kind], hex);
}

/* ---- by the walk ---- */
struct set_walk {
    struct coins_scan scan; /* first: the callbacks get it */
    struct rpc_call *call;
    struct fail why;
    struct set_hash hash;
    struct txid last_txid;
    uint64_t coins, txs, bogosize_b;
    int64_t total_sat;
};

static bool count_coin(struct coins_scan *scan, const struct outpoint *outpoint, const struct coin *coin) /* worker */
{
    struct set_walk *walk = (struct set_walk *)scan;
    if (walk->coins == 0 || !txid_equal(&walk->last_txid, &outpoint->txid)) {
        walk->txs++;
        walk->last_txid = outpoint->txid;
    }
    walk->coins++;
    walk->total_sat += coin->value_sat;
    walk->bogosize_b += COIN_BOGOSIZE_B + coin->script.size_b;
    return set_hash_add(&walk->hash, outpoint, coin, &walk->why);
}

static void on_counted(struct coins_scan *scan, const struct fail *why)
{
    struct set_walk *walk = (struct set_walk *)scan;
    struct rpc_call *call = walk->call;
    struct json_writer *w = &call->out;
    struct fail failed = why->kind != FAIL_NONE ? *why : walk->why;
    uint8_t hash[32];
    if (failed.kind == FAIL_NONE && scan->abort)
        fail_request(&failed, RPC_MISC_ERROR, "Shutting down");
    /* On the loop: nothing was ever removed from the set, so all that is left are the coins of one transaction. */
    if (failed.kind == FAIL_NONE && set_hash_end(&walk->hash, hash, &failed)) {
        show_first(w, scan->tip, walk->coins, walk->bogosize_b);
        show_hash(w, walk->hash.kind, hash);
        jw_key_amount(w, "total_amount", walk->total_sat);
        jw_key_u64(w, "transactions", walk->txs);
        jw_key_u64(w, "disk_size", ledger_stats(call->ctx->ledger).disk_b);
        jw_end_object(w);
        rpc_ok(call);
    } else {
        rpc_fail(call, &failed);
    }
    set_hash_clear(&walk->hash);
    mem_free(walk);
}

static void on_cancel(struct rpc_call *call)
{
    ((struct set_walk *)call->state)->scan.abort = true;
}

static void walk_begin(struct rpc_call *call, enum set_hash_kind kind)
{
    struct set_walk *walk = mem_new(sizeof *walk);
    walk->call = call;
    set_hash_init(&walk->hash, kind);
    walk->scan.each = count_coin;
    walk->scan.done = on_counted;
    call->state = walk;
    call->on_cancel = on_cancel;
    if (ledger_scan_coins(call->ctx->ledger, &walk->scan))
        return;
    set_hash_clear(&walk->hash);
    mem_free(walk);
    rpc_error(call, RPC_MISC_ERROR, "The chainstate is busy, try again");
}

/* ---- by the index ---- */
struct set_lookup {
    struct stats_query query; /* first: the callback gets it */
    struct rpc_call *call;
    enum set_hash_kind kind;
};

static void show_block_info(struct json_writer *w, const struct coin_stats *s)
{
    jw_key(w, "block_info");
    jw_object(w);
    jw_key_amount(w, "prevout_spent", (int64_t)s->spent_sat);
    jw_key_amount(w, "coinbase", (int64_t)s->coinbase_sat);
    jw_key_amount(w, "new_outputs_ex_coinbase", (int64_t)s->created_sat);
    jw_key_amount(w, "unspendable", s->genesis_sat + s->bip30_sat + s->scripts_sat + s->unclaimed_sat);
    jw_key(w, "unspendables");
    jw_object(w);
    jw_key_amount(w, "genesis_block", s->genesis_sat);
    jw_key_amount(w, "bip30", s->bip30_sat);
    jw_key_amount(w, "scripts", s->scripts_sat);
    jw_key_amount(w, "unclaimed_rewards", s->unclaimed_sat);
    jw_end_object(w);
    jw_end_object(w);
}

static void on_looked_up(struct index_query *query, const struct fail *why)
{
    struct set_lookup *lookup = (struct set_lookup *)query;
    struct rpc_call *call = lookup->call;
    struct json_writer *w = &call->out;
    const struct coin_stats *s = &lookup->query.result;
    if (why->kind != FAIL_NONE) {
        rpc_fail(call, why);
    } else if (!lookup->query.found) {
        rpc_error(call, RPC_INTERNAL_ERROR, "Unable to read UTXO set");
    } else {
        show_first(w, lookup->query.block, s->coins, s->bogosize_b);
        show_hash(w, lookup->kind, s->muhash);
        jw_key_amount(w, "total_amount", s->total_sat);
        jw_key_amount(w, "total_unspendable_amount", s->unspendable_sat);
        show_block_info(w, s);
        jw_end_object(w);
        rpc_ok(call);
    }
    mem_free(lookup);
}

static void look_up(struct rpc_call *call, struct block_index *block, enum set_hash_kind kind)
{
    struct set_lookup *lookup = mem_new(sizeof *lookup);
    lookup->call = call;
    lookup->kind = kind;
    lookup->query.query.kind = INDEX_STATS;
    lookup->query.query.done = on_looked_up;
    lookup->query.block = block;
    if (ledger_ask_index(call->ctx->ledger, &lookup->query.query))
        return;
    mem_free(lookup);
    rpc_error(call, RPC_MISC_ERROR, "The index is busy, try again");
}

/* ---- the call ---- */
static bool hash_kind(enum set_hash_kind *out, const struct rpc_call *call, struct fail *why)
{
    struct span type;
    if (!rpc_arg_text(&type, call, 0, "hash_serialized_3", why))
        return false;
    for (uint32_t kind = 0; kind < HASH_KINDS; kind++)
        if (span_is(type, hash_names[kind])) {
            *out = (enum set_hash_kind)kind;
            return true;
        }
    return fail_request(why, RPC_INVALID_PARAMETER, "'%.*s' is not a valid hash_type",
        type.size_b > 64 ? 64 : (int)type.size_b, (const char *)type.data);
}

/* The block that was asked for, or the tip. */
static bool which_block(struct block_index **out, const struct rpc_call *call, enum set_hash_kind kind, bool use_index,
    bool has_index, struct fail *why)
{
    *out = ledger_tip(call->ctx->ledger);
    if (!rpc_has_arg(call, 1))
        return true;
    if (!has_index)
        return fail_request(why, RPC_INVALID_PARAMETER, "Querying specific block heights requires coinstatsindex");
    if (kind == SET_HASH_SERIALIZED)
        return fail_request(
            why, RPC_INVALID_PARAMETER, "hash_serialized_3 hash type cannot be queried for a specific block");
    if (!use_index)
        return fail_request(
            why, RPC_INVALID_PARAMETER, "Cannot set use_index to false when querying for a specific block");
    *out = rpc_arg_hash_or_height(call, 1, why);
    return *out != NULL;
}

void rpc_gettxoutsetinfo(struct rpc_call *call)
{
    struct fail why;
    enum set_hash_kind kind = SET_HASH_NONE;
    bool use_index;
    struct block_index *block;
    struct index_state index = ledger_index_state(call->ctx->ledger, INDEX_STATS);
    if (!hash_kind(&kind, call, &why) || !rpc_arg_bool(&use_index, call, 2, true, &why) ||
        !which_block(&block, call, kind, use_index, index.enabled, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (!use_index || !index.enabled || kind == SET_HASH_SERIALIZED)
        walk_begin(call, kind);
    else if (!index.synced && block->height > index.best_height)
        rpc_error(call, RPC_INTERNAL_ERROR,
            "Unable to get data because coinstatsindex is still syncing. Current height: %d", (int)index.best_height);
    else
        look_up(call, block, kind);
}
