/* The Blockchain group: what the chain looks like, and the manual overrides. */

#include <stdlib.h>
#include <string.h>

#include "chain_calls.h"
#include "coin/base/mem.h"
#include "coin/mempool/mempool.h"
#include "coin/rpc/groups.h"

#define TIPS_MAX 100000
/* getchaintxstats looks at this much of the past unless told otherwise. */
#define STATS_WINDOW_S (INT64_C(30) * 24 * 3600)

static void rpc_getbestblockhash(struct rpc_call *call)
{
    char hex[ID_HEX_SIZE_B];
    hash_to_hex(hex, ledger_tip(call->ctx->ledger)->id.b);
    jw_text(&call->out, hex);
    rpc_ok(call);
}

static void rpc_getblockcount(struct rpc_call *call)
{
    jw_i64(&call->out, ledger_tip(call->ctx->ledger)->height);
    rpc_ok(call);
}

static void rpc_getdifficulty(struct rpc_call *call)
{
    jw_double(&call->out, rpc_difficulty(ledger_tip(call->ctx->ledger)));
    rpc_ok(call);
}

static void rpc_getblockhash(struct rpc_call *call)
{
    struct fail why;
    int64_t height;
    char hex[ID_HEX_SIZE_B];
    if (!rpc_arg_i64(&height, call, 0, 0, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (height < 0 || height > ledger_tip(call->ctx->ledger)->height) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Block height out of range");
        return;
    }
    hash_to_hex(hex, ledger_at(call->ctx->ledger, (int32_t)height)->id.b);
    jw_text(&call->out, hex);
    rpc_ok(call);
}

/* Ours alone: how far -reindex or -loadblock has come. */
static void show_import(struct json_writer *w, const struct ledger *ledger)
{
    struct ledger_import import = ledger_import(ledger);
    if (!import.is_running)
        return;
    jw_key(w, "import");
    jw_object(w);
    jw_key_bool(w, "reindex", import.is_reindex);
    jw_key_u64(w, "blocks", import.blocks);
    jw_key_u64(w, "bytes", import.done_b);
    jw_key_u64(w, "bytes_all", import.all_b);
    jw_key_double(w, "bytes_per_second", import.rate_b_s);
    jw_key_i64(w, "seconds_left", import.left_s);
    jw_end_object(w);
}

static void rpc_getblockchaininfo(struct rpc_call *call)
{
    struct json_writer *w = &call->out;
    struct ledger *ledger = call->ctx->ledger;
    const struct chain *chain = call->ctx->chain;
    const struct block_index *tip = ledger_tip(ledger);
    char hex[65];
    jw_object(w);
    jw_key_text(w, "chain", chain->rpc_name);
    jw_key_i64(w, "blocks", tip->height);
    jw_key_i64(w, "headers", ledger_best_header(ledger)->height);
    hash_to_hex(hex, tip->id.b);
    jw_key_text(w, "bestblockhash", hex);
    rpc_show_bits(w, tip->bits);
    jw_key_double(w, "difficulty", rpc_difficulty(tip));
    jw_key_u64(w, "time", tip->time_s);
    jw_key_i64(w, "mediantime", index_median_time_past_s(tip));
    jw_key_double(w, "verificationprogress", ledger_progress(ledger));
    jw_key_bool(w, "initialblockdownload", ledger_is_initial_download(ledger));
    show_import(w, ledger);
    rpc_show_background(w, ledger);
    u256_to_hex(hex, &tip->chain_work);
    jw_key_text(w, "chainwork", hex);
    jw_key_u64(w, "size_on_disk", ledger_stats(ledger).disk_b);
    jw_key_bool(w, "pruned", ledger_is_pruning(ledger));
    if (ledger_is_pruning(ledger)) {
        uint64_t target_b = ledger_stats(ledger).prune_target_b;
        jw_key_i64(w, "pruneheight", ledger_prune_height(ledger));
        jw_key_bool(w, "automatic_pruning", target_b != PRUNE_MANUAL);
        if (target_b != PRUNE_MANUAL)
            jw_key_u64(w, "prune_target_size", target_b);
    }
    if (chain->signet_challenge.size_b > 0)
        jw_key_hex(w, "signet_challenge", chain->signet_challenge.data, chain->signet_challenge.size_b);
    rpc_show_warnings(w, call->ctx);
    jw_end_object(w);
    rpc_ok(call);
}

/* ---- branches ---- */

static const char *tip_status(const struct ledger *ledger, const struct block_index *index)
{
    if (ledger_is_active(ledger, index))
        return "active";
    if (index->status & (BLOCK_FAILED | BLOCK_FAILED_PARENT))
        return "invalid";
    if (index->chain_tx_count == 0)
        return "headers-only";
    return index->status & BLOCK_SCRIPTS_OK ? "valid-fork" : "valid-headers";
}

static int by_height(const void *a, const void *b)
{
    const struct block_index *x = *(const struct block_index *const *)a;
    const struct block_index *y = *(const struct block_index *const *)b;
    if (x->height != y->height)
        return x->height > y->height ? -1 : 1;
    return memcmp(x->id.b, y->id.b, sizeof x->id.b);
}

static void show_tip(struct json_writer *w, const struct ledger *ledger, const struct block_index *index)
{
    char hex[ID_HEX_SIZE_B];
    jw_object(w);
    jw_key_i64(w, "height", index->height);
    hash_to_hex(hex, index->id.b);
    jw_key_text(w, "hash", hex);
    jw_key_i64(w, "branchlen", index->height - index_fork(index, ledger_tip(ledger))->height);
    jw_key_text(w, "status", tip_status(ledger, index));
    jw_end_object(w);
}

static void rpc_getchaintips(struct rpc_call *call)
{
    struct ledger *ledger = call->ctx->ledger;
    struct block_index *tip = ledger_tip(ledger);
    const struct block_index **tips = NULL;
    uint32_t count = 0, capacity = 0, cursor = 0;
    bool whole = mem_try_grow(&tips, &capacity, 1, TIPS_MAX, sizeof *tips);
    if (whole)
        tips[count++] = tip;
    for (struct block_index *at; whole && (at = ledger_next(ledger, &cursor)) != NULL;) {
        if (at->child != NULL || at == tip)
            continue;
        whole = mem_try_grow(&tips, &capacity, count + 1, TIPS_MAX, sizeof *tips);
        if (whole)
            tips[count++] = at;
    }
    if (!whole) {
        mem_free(tips);
        rpc_error(call, RPC_OUT_OF_MEMORY, "Too many branches to list");
        return;
    }
    qsort(tips, count, sizeof *tips, by_height);
    jw_array(&call->out);
    for (uint32_t i = 0; i < count; i++)
        show_tip(&call->out, ledger, tips[i]);
    jw_end_array(&call->out);
    mem_free(tips);
    rpc_ok(call);
}

static bool stats_window(const struct rpc_call *call, struct block_index **last, int32_t *blocks, struct fail *why)
{
    const struct chain *chain = call->ctx->chain;
    *last = rpc_has_arg(call, 1) ? rpc_arg_block(call, 1, why) : ledger_tip(call->ctx->ledger);
    if (*last == NULL)
        return false;
    if (!ledger_is_active(call->ctx->ledger, *last))
        return fail_request(why, RPC_INVALID_PARAMETER, "Block is not in main chain");
    int64_t wanted = STATS_WINDOW_S / chain->spacing_s;
    int64_t most = (*last)->height > 0 ? (*last)->height - 1 : 0;
    if (!rpc_arg_i64(&wanted, call, 0, wanted > most ? most : wanted, why))
        return false;
    if (wanted < 0 || (wanted > 0 && wanted >= (*last)->height))
        return fail_request(why, RPC_INVALID_PARAMETER,
            "Invalid block count: should be between 0 and the block's height - 1");
    *blocks = (int32_t)wanted;
    return true;
}

static void rpc_getchaintxstats(struct rpc_call *call)
{
    struct fail why;
    struct json_writer *w = &call->out;
    struct block_index *last = NULL;
    int32_t blocks = 0;
    char hex[ID_HEX_SIZE_B];
    if (!stats_window(call, &last, &blocks, &why)) {
        rpc_fail(call, &why);
        return;
    }
    const struct block_index *first = index_ancestor(last, last->height - blocks);
    int64_t interval_s = index_median_time_past_s(last) - index_median_time_past_s(first);
    jw_object(w);
    jw_key_u64(w, "time", last->time_s);
    if (last->chain_tx_count > 0)
        jw_key_u64(w, "txcount", last->chain_tx_count);
    hash_to_hex(hex, last->id.b);
    jw_key_text(w, "window_final_block_hash", hex);
    jw_key_i64(w, "window_final_block_height", last->height);
    jw_key_i64(w, "window_block_count", blocks);
    if (blocks > 0) {
        uint64_t txs = last->chain_tx_count - first->chain_tx_count;
        jw_key_i64(w, "window_interval", interval_s);
        jw_key_u64(w, "window_tx_count", txs);
        if (interval_s > 0)
            jw_key_double(w, "txrate", (double)txs / (double)interval_s);
    }
    jw_end_object(w);
    rpc_ok(call);
}

/* ---- one coin ---- */

struct get_coin {
    struct coins_request request; /* first: the callback gets it */
    struct rpc_call *call;
    struct outpoint outpoint;
    struct coin coin;
    bool found;
};

static void show_coin(struct rpc_call *call, const struct coin *coin)
{
    struct json_writer *w = &call->out;
    const struct block_index *tip = ledger_tip(call->ctx->ledger);
    char hex[ID_HEX_SIZE_B];
    jw_object(w);
    hash_to_hex(hex, tip->id.b);
    jw_key_text(w, "bestblock", hex);
    jw_key_i64(w, "confirmations", coin->height == MEMPOOL_HEIGHT ? 0 : tip->height - coin->height + 1);
    jw_key_amount(w, "value", coin->value_sat);
    jw_key(w, "scriptPubKey");
    rpc_show_script(w, call->ctx->chain, coin->script, true);
    jw_key_bool(w, "coinbase", coin->is_coinbase);
    jw_end_object(w);
    rpc_ok(call);
}

static void on_coin(struct coins_request *request, const struct fail *why)
{
    struct get_coin *get = (struct get_coin *)request;
    if (why->kind != FAIL_NONE) {
        rpc_fail(get->call, why);
    } else if (get->found) {
        show_coin(get->call, &get->coin);
    } else {
        jw_null(&get->call->out);
        rpc_ok(get->call);
    }
    arena_clear(&request->arena);
    mem_free(get);
}

static void look_up_coin(struct rpc_call *call, const struct outpoint *outpoint)
{
    static const struct fail none = {.kind = FAIL_NONE};
    struct get_coin *get = mem_new(sizeof *get);
    get->call = call;
    get->outpoint = *outpoint;
    get->request.outpoints = &get->outpoint;
    get->request.count = 1;
    get->request.coins = &get->coin;
    get->request.found = &get->found;
    get->request.done = on_coin;
    arena_init(&get->request.arena, 0);
    switch (ledger_coins(call->ctx->ledger, &get->request)) {
    case COINS_READY:
        on_coin(&get->request, &none);
        break;
    case COINS_PENDING:
        break;
    case COINS_REFUSED:
        mem_free(get);
        rpc_error(call, RPC_MISC_ERROR, "Too many coins are being looked up now, try again");
        break;
    }
}

static void rpc_gettxout(struct rpc_call *call)
{
    struct fail why;
    struct outpoint outpoint;
    struct coin coin;
    int64_t n;
    bool with_mempool;
    if (!rpc_arg_hash(outpoint.txid.b, call, 0, &why) || !rpc_arg_i64(&n, call, 1, 0, &why) ||
        !rpc_arg_bool(&with_mempool, call, 2, true, &why)) {
        rpc_fail(call, &why);
        return;
    }
    outpoint.index = (uint32_t)n;
    bool exists = n >= 0 && n <= UINT32_MAX;
    if (!exists || (with_mempool && mempool_spender(call->ctx->mempool, &outpoint) != NULL)) {
        jw_null(&call->out);
        rpc_ok(call);
    } else if (with_mempool && mempool_coin(call->ctx->mempool, &outpoint, &coin)) {
        show_coin(call, &coin);
    } else {
        look_up_coin(call, &outpoint);
    }
}

/* ---- overrides ---- */

static void on_overridden(void *ctx, const struct fail *why)
{
    struct rpc_call *call = ctx;
    if (why->kind != FAIL_NONE) {
        rpc_fail(call, why);
        return;
    }
    rpc_answer_when_pool_is_idle(call);
}

static void override(struct rpc_call *call,
    void (*how)(struct ledger *ledger, struct block_index *index, struct ledger_done done))
{
    struct fail why;
    struct block_index *index = rpc_arg_block(call, 0, &why);
    if (index == NULL)
        rpc_fail(call, &why);
    else
        how(call->ctx->ledger, index, (struct ledger_done){on_overridden, call});
}

static void rpc_invalidateblock(struct rpc_call *call)
{
    override(call, ledger_invalidate);
}

static void rpc_reconsiderblock(struct rpc_call *call)
{
    override(call, ledger_reconsider);
}

static void rpc_preciousblock(struct rpc_call *call)
{
    override(call, ledger_precious);
}

/* ---- the table ---- */

static const struct rpc_arg block_args[] = {
    {"blockhash", RPC_HEX, true, NULL, "The block's hash."},
    {"verbosity|verbose", RPC_VERBOSITY, false, "1",
        "0: hex, 1: an object with transaction ids, 2: with transactions and fees, 3: with the outputs they spend."},
    RPC_ARGS_END,
};
static const struct rpc_arg header_args[] = {
    {"blockhash", RPC_HEX, true, NULL, "The block's hash."},
    {"verbose", RPC_BOOL, false, "true", "false: hex."},
    RPC_ARGS_END,
};
static const struct rpc_arg hash_args[] = {{"blockhash", RPC_HEX, true, NULL, "The block's hash."}, RPC_ARGS_END};
static const struct rpc_arg deployment_args[] = {{"blockhash", RPC_HEX, false, "the tip", "The block to look from."}, RPC_ARGS_END};
static const struct rpc_arg height_args[] = {{"height", RPC_NUMBER, true, NULL, "Height on the active chain."}, RPC_ARGS_END};
static const struct rpc_arg stats_args[] = {
    {"nblocks", RPC_NUMBER, false, "one month", "How many blocks to look at."},
    {"blockhash", RPC_HEX, false, "the tip", "The last of them."},
    RPC_ARGS_END,
};
static const struct rpc_arg txout_args[] = {
    {"txid", RPC_STRING, true, NULL, "The transaction."},
    {"n", RPC_NUMBER, true, NULL, "The output's number."},
    {"include_mempool", RPC_BOOL, false, "true", "Look at the mempool too: what is spent there is gone."},
    RPC_ARGS_END,
};
static const struct rpc_arg wait_new_args[] = {
    {"timeout", RPC_NUMBER, false, "0", "Milliseconds to wait; 0: for ever."},
    {"current_tip", RPC_HEX, false, "the tip", "Waits until the tip is another than this."},
    RPC_ARGS_END,
};
static const struct rpc_arg wait_block_args[] = {
    {"blockhash", RPC_HEX, true, NULL, "The block that should be the tip."},
    {"timeout", RPC_NUMBER, false, "0", "Milliseconds to wait; 0: for ever."},
    RPC_ARGS_END,
};
static const struct rpc_arg wait_height_args[] = {
    {"height", RPC_NUMBER, true, NULL, "The height that the tip should reach."},
    {"timeout", RPC_NUMBER, false, "0", "Milliseconds to wait; 0: for ever."},
    RPC_ARGS_END,
};
static const struct rpc_arg scan_args[] = {
    {"action", RPC_STRING, true, NULL, "\"start\", \"status\" or \"abort\"."},
    {"scanobjects", RPC_ARRAY, false, NULL, "For \"start\": descriptors, or objects with desc and range."},
    RPC_ARGS_END,
};
static const struct rpc_arg set_info_args[] = {
    {"hash_type", RPC_STRING, false, "\"hash_serialized_3\"", "\"hash_serialized_3\", \"muhash\" or \"none\"."},
    {"hash_or_height", RPC_ANY, false, "the tip", "Needs an index of coin statistics."},
    {"use_index", RPC_BOOL, false, "true", "Use such an index if there is one."},
    RPC_ARGS_END,
};

const struct rpc_method rpc_blockchain_methods[] = {
    {.name = "getbestblockhash", .summary = "Returns the hash of the tip of the best chain.", .result = "the hash",
        .example = "", .run = rpc_getbestblockhash},
    {.name = "getblockcount", .summary = "Returns the height of the tip; the genesis block has height 0.",
        .result = "a number", .example = "", .run = rpc_getblockcount},
    {.name = "getblockhash", .summary = "Returns the hash of the block at a height.", .args = height_args,
        .result = "the hash", .example = "0", .run = rpc_getblockhash},
    {.name = "getblockheader", .summary = "Returns a block's header.", .args = header_args,
        .result = "an object, or hex", .example = "BLOCKHASH", .run = rpc_getblockheader},
    {.name = "getblock", .summary = "Returns a block.", .args = block_args, .result = "an object, or hex",
        .example = "BLOCKHASH", .run = rpc_getblock},
    {.name = "getblockchaininfo", .summary = "Tells the state of the chain.", .result = "an object", .example = "",
        .run = rpc_getblockchaininfo},
    {.name = "getchaintips", .summary = "Lists the tips of all known branches.", .result = "an array of objects",
        .example = "", .run = rpc_getchaintips},
    {.name = "getchaintxstats", .summary = "Counts transactions in a window of blocks.", .args = stats_args,
        .result = "an object", .example = "", .run = rpc_getchaintxstats},
    {.name = "getdeploymentinfo", .summary = "Tells which soft forks count, and how far those are that miners signal for.",
        .args = deployment_args, .result = "an object", .example = "", .run = rpc_getdeploymentinfo},
    {.name = "getdifficulty", .summary = "Returns the difficulty as a multiple of the easiest one.",
        .result = "a number", .example = "", .run = rpc_getdifficulty},
    {.name = "gettxout", .summary = "Tells about an unspent output.", .args = txout_args,
        .result = "an object, or null when it is spent or unknown", .example = "TXID 0", .run = rpc_gettxout},
    {.name = "gettxoutsetinfo", .summary = "Counts and hashes all unspent outputs. Takes a while.",
        .args = set_info_args, .result = "an object", .example = "", .run = rpc_gettxoutsetinfo},
    {.name = "scantxoutset", .summary = "Finds the unspent outputs of descriptors.", .args = scan_args,
        .result = "an object; null or false when no scan runs", .example = "start [\\\"addr(ADDRESS)\\\"]",
        .run = rpc_scantxoutset},
    {.name = "invalidateblock", .summary = "Treats a block as invalid.", .args = hash_args, .result = "null",
        .example = "BLOCKHASH", .hidden = true, .run = rpc_invalidateblock},
    {.name = "reconsiderblock", .summary = "Takes invalidateblock back.", .args = hash_args, .result = "null",
        .example = "BLOCKHASH", .hidden = true, .run = rpc_reconsiderblock},
    {.name = "preciousblock", .summary = "Prefers a block among those with as much work.", .args = hash_args,
        .result = "null", .example = "BLOCKHASH", .run = rpc_preciousblock},
    {.name = "waitfornewblock", .summary = "Waits until the tip changes.", .args = wait_new_args,
        .result = "{\"hash\":…, \"height\":…} of the tip", .example = "1000", .run = rpc_waitfornewblock},
    {.name = "waitforblock", .summary = "Waits until a block is the tip.", .args = wait_block_args,
        .result = "{\"hash\":…, \"height\":…} of the tip", .example = "BLOCKHASH 1000", .run = rpc_waitforblock},
    {.name = "waitforblockheight", .summary = "Waits until the tip has reached a height.", .args = wait_height_args,
        .result = "{\"hash\":…, \"height\":…} of the tip", .example = "100 1000", .run = rpc_waitforblockheight},
    {.name = NULL},
};
