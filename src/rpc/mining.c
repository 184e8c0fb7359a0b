/* The Mining group: blocks at the user's word, blocks from outside, and what mining looks like. */

#include <string.h>

#include "chain_calls.h"
#include "coin/base/mem.h"
#include "coin/descriptor/descriptor.h"
#include "coin/mine/miner.h"
#include "coin/rpc/groups.h"
#include "coin/script/address.h"

#define TRIES_DEFAULT 1000000
#define GENERATE_TXS_MAX 100000
#define HASHPS_BLOCKS 120

/* ---- generate* ---- */

struct generating {
    struct generate_request request; /* first: the callback gets it */
    struct rpc_call *call;
    struct buf payout;
    int64_t left;
    bool one; /* generateblock: an object instead of the list */
};

static void generating_free(struct generating *g)
{
    buf_clear(&g->payout);
    mem_free(g);
}

static void generating_fail(struct generating *g, const struct fail *why)
{
    struct rpc_call *call = g->call;
    struct fail kept = *why;
    if (g->one && kept.kind != FAIL_REQUEST && kept.kind != FAIL_NO_ROOM)
        fail_request(&kept, RPC_VERIFY_ERROR, "TestBlockValidity failed: %s", why->code);
    generating_free(g);
    call->out.out->size_b = 0; /* the list that was begun */
    rpc_fail(call, &kept);
}

static void show_generated(struct generating *g, const struct block *block)
{
    struct json_writer *w = &g->call->out;
    char hex[ID_HEX_SIZE_B];
    hash_to_hex(hex, block->id.b);
    if (!g->one) {
        jw_text(w, hex);
        return;
    }
    jw_object(w);
    jw_key_text(w, "hash", hex);
    if (!g->request.submit)
        jw_key_hex(w, "hex", block->raw.data, block->raw.size_b);
    jw_end_object(w);
}

static void generating_end(struct generating *g)
{
    struct rpc_call *call = g->call;
    if (!g->one)
        jw_end_array(&call->out);
    generating_free(g);
    rpc_ok(call);
}

static void on_generated(struct generate_request *request, struct block *block, const struct fail *failed)
{
    struct generating *g = (struct generating *)request;
    struct fail why = *failed;
    if (why.kind != FAIL_NONE) {
        generating_fail(g, &why);
    } else if (block == NULL && g->one) {
        fail_request(&why, RPC_MISC_ERROR, "Failed to make block.");
        generating_fail(g, &why);
    } else if (block == NULL) {
        generating_end(g); /* out of tries: what there is */
    } else {
        show_generated(g, block);
        if (--g->left == 0 || g->call->cancelled)
            generating_end(g);
        else if (!miner_generate(g->call->ctx->miner, request, &why))
            generating_fail(g, &why);
    }
}

/* Takes g. txs: for generateblock. */
static void generating_begin(struct generating *g)
{
    struct fail why;
    g->request.payout = buf_span(&g->payout);
    g->request.done = on_generated;
    if (!g->one)
        jw_array(&g->call->out);
    if (g->left == 0)
        generating_end(g);
    else if (!miner_generate(g->call->ctx->miner, &g->request, &why))
        generating_fail(g, &why);
}

static struct generating *generating_new(struct rpc_call *call)
{
    struct generating *g = mem_new(sizeof *g);
    g->call = call;
    g->left = 1;
    g->request.submit = true;
    g->request.tries_left = TRIES_DEFAULT;
    buf_init(&g->payout, 10000);
    return g;
}

/* The script of a descriptor that stands for exactly one. */
static bool script_of_descriptor(struct buf *out, const struct chain *chain, struct span text, struct fail *why)
{
    struct descriptor *d;
    struct descriptor_expansion e;
    if (!descriptor_parse(&d, chain, text, false, why))
        return false;
    bool ok = !descriptor_is_range(d) ||
              fail_request(why, RPC_INVALID_PARAMETER,
                  "Ranged descriptor not accepted. Maybe pass through deriveaddresses first?");
    if (ok && !descriptor_expand(&e, d, 0, why))
        ok = fail_request(why, RPC_INVALID_ADDRESS_OR_KEY, "Cannot derive script without private keys");
    else if (ok) {
        /* combo: the witness script when there is one, as the reference node chooses */
        const struct descriptor_script *script = &e.scripts[e.script_count > 2 ? 2 : e.script_count - 1];
        buf_put(out, script->script.data, script->script.size_b);
        descriptor_expansion_clear(&e);
    }
    descriptor_free(d);
    return ok;
}

static bool read_counts(struct generating *g, const struct rpc_call *call, struct fail *why)
{
    int64_t tries;
    if (!rpc_arg_i64(&g->left, call, 0, 0, why) || !rpc_arg_i64(&tries, call, 2, TRIES_DEFAULT, why))
        return false;
    if (g->left < 0)
        return fail_request(why, RPC_INVALID_PARAMETER, "nblocks must not be negative");
    g->request.tries_left = tries > 0 ? (uint64_t)tries : 0;
    return true;
}

static void rpc_generatetoaddress(struct rpc_call *call)
{
    struct fail why;
    struct span text;
    struct generating *g = generating_new(call);
    bool ok = read_counts(g, call, &why) && rpc_arg_text(&text, call, 1, "", &why);
    if (ok && !address_to_script(&g->payout, call->ctx->chain, text, &why))
        ok = fail_request(&why, RPC_INVALID_ADDRESS_OR_KEY, "Error: Invalid address");
    if (ok && g->request.tries_left > 0) {
        generating_begin(g);
        return;
    }
    if (ok) {
        g->left = 0;
        generating_begin(g);
        return;
    }
    generating_fail(g, &why);
}

static void rpc_generatetodescriptor(struct rpc_call *call)
{
    struct fail why;
    struct span text;
    struct generating *g = generating_new(call);
    if (!read_counts(g, call, &why) || !rpc_arg_text(&text, call, 1, "", &why) ||
        !script_of_descriptor(&g->payout, call->ctx->chain, text, &why)) {
        generating_fail(g, &why);
        return;
    }
    if (g->request.tries_left == 0)
        g->left = 0;
    generating_begin(g);
}

static bool read_one_tx(struct tx **out, const struct rpc_call *call, const struct json *v, struct fail *why)
{
    struct txid id;
    struct buf raw;
    if (!rpc_expect(v, JSON_STRING, why))
        return false;
    int shown = v->text.size_b > 128 ? 128 : (int)v->text.size_b;
    if (hash_from_hex(id.b, v->text)) {
        const struct mempool_entry *entry = mempool_find(call->ctx->mempool, &id);
        if (entry == NULL)
            return fail_request(why, RPC_INVALID_ADDRESS_OR_KEY, "Transaction %.*s not in mempool.", shown,
                (const char *)v->text.data);
        *out = tx_ref(entry->tx);
        return true;
    }
    buf_init(&raw, BLOCK_SIZE_MAX_B);
    bool ok = hex_to_buf(&raw, v->text) && tx_decode_lenient(out, buf_span(&raw), why);
    buf_clear(&raw);
    return ok || fail_request(why, RPC_DESERIALIZATION_ERROR,
                     "Transaction decode failed for %.*s. Make sure the tx has at least one input.", shown,
                     (const char *)v->text.data);
}

static bool read_txs(struct generating *g, const struct rpc_call *call, struct fail *why)
{
    const struct json *list = call->args[1];
    if (list->count > GENERATE_TXS_MAX)
        return fail_request(why, RPC_INVALID_PARAMETER, "At most %d transactions", GENERATE_TXS_MAX);
    g->request.exact = true;
    g->request.txs = mem_try_array(list->count > 0 ? list->count : 1, sizeof *g->request.txs);
    if (g->request.txs == NULL)
        return fail_oom(why, "the block's transactions");
    for (const struct json *v = list->first; v != NULL; v = v->next) {
        if (!read_one_tx(&g->request.txs[g->request.tx_count], call, v, why))
            return false;
        g->request.tx_count++;
    }
    return true;
}

static void rpc_generateblock(struct rpc_call *call)
{
    struct fail why;
    struct span text;
    struct generating *g = generating_new(call);
    const struct chain *chain = call->ctx->chain;
    g->one = true;
    bool ok = rpc_arg_text(&text, call, 0, "", &why) && rpc_arg_bool(&g->request.submit, call, 2, true, &why);
    if (ok && !script_of_descriptor(&g->payout, chain, text, &why)) {
        g->payout.size_b = 0;
        ok = why.rpc_code == RPC_INVALID_PARAMETER ? false : address_to_script(&g->payout, chain, text, &why);
        if (!ok && why.rpc_code != RPC_INVALID_PARAMETER)
            fail_request(&why, RPC_INVALID_ADDRESS_OR_KEY, "Error: Invalid address or descriptor");
    }
    ok = ok && read_txs(g, call, &why);
    struct tx **txs = g->request.txs;
    uint32_t count = g->request.tx_count;
    if (ok)
        generating_begin(g); /* takes its own references */
    else
        generating_fail(g, &why);
    for (uint32_t i = 0; i < count; i++)
        tx_unref(txs[i]);
    mem_free(txs);
}

/* ---- blocks from outside ---- */

/* BIP22's words. */
static void on_submitted(void *ctx, enum block_outcome outcome, struct block_index *index, const struct fail *why)
{
    struct rpc_call *call = ctx;
    struct json_writer *w = &call->out;
    if (outcome == BLOCK_OUTCOME_REFUSED && why->kind == FAIL_PROTOCOL) {
        rpc_error(call, RPC_DESERIALIZATION_ERROR, "Block decode failed");
        return;
    }
    switch (outcome) {
    case BLOCK_OUTCOME_CONNECTED:
        jw_null(w);
        break;
    case BLOCK_OUTCOME_STORED:
        jw_text(w, "inconclusive");
        break;
    case BLOCK_OUTCOME_DUPLICATE:
        if (index->status & (BLOCK_FAILED | BLOCK_FAILED_PARENT))
            jw_text(w, "duplicate-invalid");
        else
            jw_text(w, index->status & BLOCK_SCRIPTS_OK ? "duplicate" : "duplicate-inconclusive");
        break;
    case BLOCK_OUTCOME_REFUSED:
        jw_text(w, why->code);
        break;
    }
    rpc_ok(call);
}

static void rpc_submitblock(struct rpc_call *call)
{
    struct buf raw;
    buf_init(&raw, BLOCK_SIZE_MAX_B);
    if (!hex_to_buf(&raw, call->args[0]->text))
        rpc_error(call, RPC_DESERIALIZATION_ERROR, "Block decode failed");
    else if (!ledger_offer_block(call->ctx->ledger, &raw, true, (struct block_verdict){on_submitted, call}))
        rpc_error(call, RPC_MISC_ERROR, "Too many blocks are being checked now, try again");
    buf_clear(&raw);
}

static void rpc_submitheader(struct rpc_call *call)
{
    struct fail why;
    uint8_t bytes[HEADER_SIZE_B];
    struct header header;
    struct block_index *last;
    uint32_t accepted;
    char hex[ID_HEX_SIZE_B];
    if (!hex_decode(bytes, sizeof bytes, call->args[0]->text)) {
        rpc_error(call, RPC_DESERIALIZATION_ERROR, "Block header decode failed");
        return;
    }
    header_decode(&header, bytes);
    if (ledger_find(call->ctx->ledger, &header.prev) == NULL) {
        hash_to_hex(hex, header.prev.b);
        rpc_error(call, RPC_VERIFY_ERROR, "Must submit previous header (%s) first", hex);
    } else if (!ledger_accept_headers(call->ctx->ledger, &header, 1, &last, &accepted, &why)) {
        rpc_error(call, RPC_VERIFY_ERROR, "%s", why.code);
    } else {
        jw_null(&call->out);
        rpc_ok(call);
    }
}

/* ---- what mining looks like ---- */

/* Hashes a second that `blocks` blocks up to `last` took, by their chain work and times. */
static double network_hashps(const struct chain *chain, struct block_index *last, int64_t blocks)
{
    if (blocks <= 0) /* since the last change of difficulty */
        blocks = last->height % (int32_t)(chain->difficulty.window > 0 ? chain->difficulty.window : 2016) + 1;
    if (blocks > last->height)
        blocks = last->height;
    if (blocks <= 0)
        return 0;
    const struct block_index *first = index_ancestor(last, last->height - (int32_t)blocks);
    uint32_t from_s = last->time_s, to_s = last->time_s;
    const struct block_index *at = last;
    for (int64_t i = 0; i < blocks; i++) {
        at = at->prev;
        from_s = at->time_s < from_s ? at->time_s : from_s;
        to_s = at->time_s > to_s ? at->time_s : to_s;
    }
    struct u256 work = u256_sub(&last->chain_work, &first->chain_work);
    return to_s == from_s ? 0 : u256_to_double(&work) / (double)(to_s - from_s);
}

static void rpc_getnetworkhashps(struct rpc_call *call)
{
    struct fail why;
    int64_t blocks, height;
    struct block_index *tip = ledger_tip(call->ctx->ledger);
    if (!rpc_arg_i64(&blocks, call, 0, HASHPS_BLOCKS, &why) || !rpc_arg_i64(&height, call, 1, -1, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (blocks < -1 || blocks == 0) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Invalid nblocks. Must be a positive number or -1.");
        return;
    }
    if (height < -1 || height > tip->height) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Block does not exist at specified height");
        return;
    }
    jw_double(&call->out, network_hashps(call->ctx->chain,
                              height >= 0 ? ledger_at(call->ctx->ledger, (int32_t)height) : tip, blocks));
    rpc_ok(call);
}

static void show_next(struct json_writer *w, const struct rpc_ctx *ctx, const struct block_index *tip)
{
    struct index_view view;
    index_view_init(&view, tip);
    int64_t now_s = env_wall_s(ctx->env), least_s = index_median_time_past_s(tip) + 1;
    uint32_t time_s = (uint32_t)(now_s > least_s ? now_s : least_s);
    uint32_t bits = pow_bits_due(ctx->chain, &view.view, time_s);
    jw_key(w, "next");
    jw_object(w);
    jw_key_i64(w, "height", tip->height + 1);
    rpc_show_bits(w, bits);
    jw_key_double(w, "difficulty", pow_difficulty(bits));
    jw_end_object(w);
}

static void rpc_getmininginfo(struct rpc_call *call)
{
    struct json_writer *w = &call->out;
    const struct rpc_ctx *ctx = call->ctx;
    struct block_index *tip = ledger_tip(ctx->ledger);
    jw_object(w);
    jw_key_i64(w, "blocks", tip->height);
    rpc_show_bits(w, tip->bits);
    jw_key_double(w, "difficulty", rpc_difficulty(tip));
    jw_key_double(w, "networkhashps", network_hashps(ctx->chain, tip, HASHPS_BLOCKS));
    jw_key_u64(w, "pooledtx", mempool_stats(ctx->mempool).count);
    jw_key_amount(w, "blockmintxfee", miner_options(ctx->miner)->min_fee_sat_kvb);
    jw_key_text(w, "chain", ctx->chain->rpc_name);
    if (ctx->chain->signet_challenge.size_b > 0)
        jw_key_hex(w, "signet_challenge", ctx->chain->signet_challenge.data, ctx->chain->signet_challenge.size_b);
    show_next(w, ctx, tip);
    jw_key_u64(w, "minerthreads", miner_threads(ctx->miner));
    jw_key_double(w, "minerhashps", miner_hash_rate(ctx->miner));
    rpc_show_warnings(w, call->ctx);
    jw_end_object(w);
    rpc_ok(call);
}

static void rpc_prioritisetransaction(struct rpc_call *call)
{
    struct fail why;
    struct txid id;
    double dummy = 0;
    int64_t delta_sat;
    if (!rpc_arg_hash(id.b, call, 0, &why) ||
        (rpc_has_arg(call, 1) && !json_to_double(&dummy, call->args[1], "dummy", &why)) ||
        !rpc_arg_i64(&delta_sat, call, 2, 0, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (dummy != 0) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Priority is no longer supported, dummy argument to "
                                               "prioritisetransaction must be 0.");
        return;
    }
    mempool_prioritise(call->ctx->mempool, &id, delta_sat);
    jw_bool(&call->out, true);
    rpc_ok(call);
}

/* ---- the table ---- */

static const struct rpc_arg to_address_args[] = {
    {"nblocks", RPC_NUMBER, true, NULL, "How many blocks."},
    {"address", RPC_STRING, true, NULL, "Where the coins go."},
    {"maxtries", RPC_NUMBER, false, "1000000", "How many hashes to try."},
    RPC_ARGS_END,
};
static const struct rpc_arg to_descriptor_args[] = {
    {"num_blocks", RPC_NUMBER, true, NULL, "How many blocks."},
    {"descriptor", RPC_STRING, true, NULL, "Where the coins go."},
    {"maxtries", RPC_NUMBER, false, "1000000", "How many hashes to try."},
    RPC_ARGS_END,
};
static const struct rpc_arg generate_block_args[] = {
    {"output", RPC_STRING, true, NULL, "Address or descriptor where the coins go."},
    {"transactions", RPC_ARRAY, true, NULL, "Ids of the mempool's, or raw ones in hex, parents first."},
    {"submit", RPC_BOOL, false, "true", "false: return the block only."},
    RPC_ARGS_END,
};
static const struct rpc_arg submit_args[] = {
    {"hexdata", RPC_HEX, true, NULL, "The block."},
    {"dummy", RPC_STRING, false, NULL, "Accepted for old callers (BIP22)."},
    RPC_ARGS_END,
};
static const struct rpc_arg submit_header_args[] = {{"hexdata", RPC_HEX, true, NULL, "The 80 bytes."}, RPC_ARGS_END};
static const struct rpc_arg hashps_args[] = {
    {"nblocks", RPC_NUMBER, false, "120", "Over so many blocks; -1: since the last change of difficulty."},
    {"height", RPC_NUMBER, false, "-1", "At this height; -1: the tip."},
    RPC_ARGS_END,
};
static const struct rpc_arg prioritise_args[] = {
    {"txid", RPC_HEX, true, NULL, "The transaction."},
    {"dummy", RPC_NUMBER, false, NULL, "Must be 0 or left out."},
    {"fee_delta", RPC_NUMBER, true, NULL, "Satoshis to add to its fee when it is weighed; not paid."},
    RPC_ARGS_END,
};

const struct rpc_method rpc_mining_methods[] = {
    {.name = "generatetoaddress", .summary = "Mines blocks now, paying to an address.", .args = to_address_args,
        .result = "an array of block hashes", .example = "1 ADDRESS", .hidden = true, .run = rpc_generatetoaddress},
    {.name = "generatetodescriptor", .summary = "Mines blocks now, paying to a descriptor.",
        .args = to_descriptor_args, .result = "an array of block hashes", .example = "1 \"addr(ADDRESS)\"",
        .hidden = true, .run = rpc_generatetodescriptor},
    {.name = "generateblock", .summary = "Mines a block with exactly these transactions.",
        .args = generate_block_args, .result = "{\"hash\":…}, and hex when it was not submitted",
        .example = "ADDRESS []", .hidden = true, .run = rpc_generateblock},
    {.name = "submitblock", .summary = "Offers a block to the network (BIP22).", .args = submit_args,
        .result = "null, or why it was not accepted", .example = "HEX", .run = rpc_submitblock},
    {.name = "submitheader", .summary = "Offers a block header.", .args = submit_header_args, .result = "null",
        .example = "HEX", .run = rpc_submitheader},
    {.name = "getmininginfo", .summary = "Tells about mining.", .result = "an object", .example = "",
        .run = rpc_getmininginfo},
    {.name = "getnetworkhashps", .summary = "Estimates the network's hashes per second.", .args = hashps_args,
        .result = "a number", .example = "", .run = rpc_getnetworkhashps},
    {.name = "prioritisetransaction", .summary = "Weighs a transaction as if it paid more or less.",
        .args = prioritise_args, .result = "true", .example = "TXID 0 10000", .run = rpc_prioritisetransaction},
    {.name = NULL},
};
