/* getblock and getblockheader. A block is read by a job and turned into JSON by another: a full block with
 * its scripts takes many milliseconds, which the loop does not have. The header's part, which depends on
 * the active chain, is written on the loop just before. */

#include <stdio.h>

#include "chain_calls.h"
#include "coin/base/mem.h"

enum { SHOW_RAW, SHOW_IDS, SHOW_TXS, SHOW_PREVOUTS };

struct show_block {
    struct block_read read; /* first: the callback gets it */
    struct job job;
    struct rpc_call *call;
    int verbosity;
};

void rpc_show_bits(struct json_writer *w, uint32_t bits)
{
    char hex[65];
    struct u256 target = compact_decode(bits, NULL, NULL);
    snprintf(hex, sizeof hex, "%08x", bits);
    jw_key_text(w, "bits", hex);
    u256_to_hex(hex, &target);
    jw_key_text(w, "target", hex);
}

double rpc_difficulty(const struct block_index *index)
{
    return pow_difficulty(index->bits);
}

int32_t rpc_confirmations(const struct ledger *ledger, const struct block_index *index)
{
    return ledger_is_active(ledger, index) ? ledger_tip(ledger)->height - index->height + 1 : -1;
}

struct block_index *rpc_arg_block(const struct rpc_call *call, uint32_t i, struct fail *why)
{
    struct block_id id;
    if (!rpc_arg_hash(id.b, call, i, why))
        return NULL;
    struct block_index *index = ledger_find(call->ctx->ledger, &id);
    if (index == NULL)
        fail_request(why, RPC_INVALID_ADDRESS_OR_KEY, "Block not found");
    return index;
}

struct block_index *rpc_arg_hash_or_height(const struct rpc_call *call, uint32_t i, struct fail *why)
{
    return rpc_hash_or_height_value(call, call->args[i], "hash_or_height", why);
}

struct block_index *rpc_hash_or_height_value(const struct rpc_call *call, const struct json *v, const char *name,
    struct fail *why)
{
    struct ledger *ledger = call->ctx->ledger;
    struct block_id id;
    int64_t height;
    int32_t tip = ledger_tip(ledger)->height;
    if (v->type != JSON_NUMBER) {
        if (!rpc_expect(v, JSON_STRING, why) || !rpc_hash_value(id.b, v, name, why))
            return NULL;
        struct block_index *index = ledger_find(ledger, &id);
        if (index == NULL)
            fail_request(why, RPC_INVALID_ADDRESS_OR_KEY, "Block not found");
        return index;
    }
    if (!json_to_i64(&height, v, name, why))
        return NULL;
    if (height < 0)
        fail_request(why, RPC_INVALID_PARAMETER, "Target block height %lld is negative", (long long)height);
    else if (height > tip)
        fail_request(why, RPC_INVALID_PARAMETER, "Target block height %lld after current tip %d", (long long)height,
            (int)tip);
    return height < 0 || height > tip ? NULL : ledger_at(ledger, (int32_t)height);
}

static void show_header(struct json_writer *w, const struct ledger *ledger, const struct block_index *index)
{
    char hex[65];
    hash_to_hex(hex, index->id.b);
    jw_key_text(w, "hash", hex);
    jw_key_i64(w, "confirmations", rpc_confirmations(ledger, index));
    jw_key_i64(w, "height", index->height);
    jw_key_i64(w, "version", index->version);
    snprintf(hex, sizeof hex, "%08x", (uint32_t)index->version);
    jw_key_text(w, "versionHex", hex);
    hash_to_hex(hex, index->merkle_root);
    jw_key_text(w, "merkleroot", hex);
    jw_key_u64(w, "time", index->time_s);
    jw_key_i64(w, "mediantime", index_median_time_past_s(index));
    jw_key_u64(w, "nonce", index->nonce);
    rpc_show_bits(w, index->bits);
    jw_key_double(w, "difficulty", rpc_difficulty(index));
    u256_to_hex(hex, &index->chain_work);
    jw_key_text(w, "chainwork", hex);
    jw_key_u64(w, "nTx", index->tx_count);
    if (index->prev != NULL) {
        hash_to_hex(hex, index->prev->id.b);
        jw_key_text(w, "previousblockhash", hex);
    }
    const struct block_index *next =
        ledger_is_active(ledger, index) ? ledger_at(ledger, index->height + 1) : NULL;
    if (next != NULL) {
        hash_to_hex(hex, next->id.b);
        jw_key_text(w, "nextblockhash", hex);
    }
}

void rpc_getblockheader(struct rpc_call *call)
{
    struct fail why;
    bool verbose;
    struct block_index *index = rpc_arg_block(call, 0, &why);
    if (index == NULL || !rpc_arg_bool(&verbose, call, 1, true, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (verbose) {
        jw_object(&call->out);
        show_header(&call->out, call->ctx->ledger, index);
        jw_end_object(&call->out);
    } else {
        uint8_t bytes[HEADER_SIZE_B];
        struct header header = index_header(index);
        header_encode(bytes, &header);
        jw_hex(&call->out, bytes, sizeof bytes);
    }
    rpc_ok(call);
}

static void show_coinbase(struct json_writer *w, const struct tx *tx)
{
    const struct tx_in *in = &tx->in[0];
    jw_key(w, "coinbase_tx");
    jw_object(w);
    jw_key_u64(w, "version", tx->version);
    jw_key_u64(w, "locktime", tx->lock_time);
    jw_key_u64(w, "sequence", in->sequence);
    jw_key_hex(w, "coinbase", in->script_sig.data, in->script_sig.size_b);
    if (in->witness_count > 0)
        jw_key_hex(w, "witness", in->witness[0].data, in->witness[0].size_b);
    jw_end_object(w);
}

static void render(struct job *job) /* worker */
{
    struct show_block *show = (struct show_block *)((char *)job - offsetof(struct show_block, job));
    struct json_writer *w = &show->call->out;
    const struct block *block = show->read.block;
    char hex[ID_HEX_SIZE_B];
    uint32_t spent = 0;
    if (show->verbosity == SHOW_RAW) {
        jw_hex(w, show->read.raw.data, show->read.raw.size_b);
        return;
    }
    jw_key_u64(w, "strippedsize", block->stripped_size_b);
    jw_key_u64(w, "size", block->size_b);
    jw_key_u64(w, "weight", block_weight_wu(block));
    show_coinbase(w, &block->txs[0]);
    jw_key(w, "tx");
    jw_array(w);
    for (uint32_t i = 0; i < block->tx_count; i++) {
        const struct tx *tx = &block->txs[i];
        if (show->verbosity == SHOW_IDS) {
            hash_to_hex(hex, tx->txid.b);
            jw_text(w, hex);
            continue;
        }
        struct rpc_tx_view view = {.with_hex = true, .with_prevout = show->verbosity == SHOW_PREVOUTS};
        if (show->read.undo != NULL && i > 0) {
            view.spent = &show->read.undo->coins[spent];
            spent += tx->in_count;
        }
        jw_object(w);
        rpc_show_tx(w, show->call->ctx->chain, tx, &view);
        jw_end_object(w);
    }
    jw_end_array(w);
    jw_end_object(w);
}

static void free_show(struct show_block *show)
{
    block_unref(show->read.block);
    block_undo_free(show->read.undo);
    buf_clear(&show->read.raw);
    mem_free(show);
}

static void on_rendered(struct job *job)
{
    struct show_block *show = (struct show_block *)((char *)job - offsetof(struct show_block, job));
    struct rpc_call *call = show->call;
    free_show(show);
    rpc_ok(call);
}

static void on_read(struct block_read *read, const struct fail *why)
{
    struct show_block *show = (struct show_block *)read;
    struct rpc_call *call = show->call;
    if (why->kind != FAIL_NONE) {
        rpc_fail(call, why);
        free_show(show);
        return;
    }
    if (show->verbosity > SHOW_RAW) {
        jw_object(&call->out);
        show_header(&call->out, call->ctx->ledger, read->index);
    }
    show->job = (struct job){.run = render, .done = on_rendered, .lane = JOB_SLOW};
    if (!env_submit(call->ctx->env, &show->job)) { /* every worker is busy with long answers: do it here */
        render(&show->job);
        on_rendered(&show->job);
    }
}

void rpc_getblock(struct rpc_call *call)
{
    struct fail why;
    int64_t verbosity = SHOW_IDS;
    struct block_index *index = rpc_arg_block(call, 0, &why);
    bool ok = index != NULL;
    if (ok && rpc_has_arg(call, 1) && json_is_bool(call->args[1]))
        verbosity = call->args[1]->type == JSON_TRUE ? SHOW_IDS : SHOW_RAW;
    else if (ok)
        ok = rpc_arg_i64(&verbosity, call, 1, SHOW_IDS, &why);
    if (!ok) {
        rpc_fail(call, &why);
        return;
    }
    struct show_block *show = mem_new(sizeof *show);
    show->call = call;
    show->verbosity = verbosity <= SHOW_RAW ? SHOW_RAW : verbosity > SHOW_PREVOUTS ? SHOW_PREVOUTS : (int)verbosity;
    show->read = (struct block_read){
        .index = index,
        .want_raw = show->verbosity == SHOW_RAW,
        .want_block = show->verbosity != SHOW_RAW,
        .want_undo = show->verbosity >= SHOW_TXS && ledger_keeps_undo(index),
        .done = on_read,
    };
    if (ledger_read_block(call->ctx->ledger, &show->read))
        return;
    mem_free(show);
    rpc_error(call, RPC_MISC_ERROR, "Too many blocks are being read now, try again");
}
