/* gettxspendingprevout: who spends an output, in the mempool and, with -txospenderindex, in the chain. */
#include "chain_calls.h"
#include "coin/base/mem.h"
#include "coin/ledger/indexes.h"
#include "coin/mempool/mempool.h"

struct spenders_call {
    struct spender_query query; /* first: the callback gets it; its outpoints are those not in the mempool */
    struct rpc_call *call;
    bool mempool_only, with_tx;
    uint32_t count;
    struct outpoint *asked, *rest;
    struct tx **spenders; /* by outpoint asked: references, or NULL */
    struct tx_found *found;
};

static void spenders_free(struct spenders_call *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        tx_unref(s->spenders[i]);
    for (uint32_t i = 0; i < s->query.count; i++)
        tx_unref(s->found[i].tx);
    mem_free(s->asked);
    mem_free(s->rest);
    mem_free(s->spenders);
    mem_free(s->found);
    mem_free(s);
}

static bool read_outpoint(struct outpoint *out, const struct json *v, struct fail *why)
{
    int64_t vout;
    if (!rpc_expect(v, JSON_OBJECT, why) || !rpc_hash_value(out->txid.b, json_get(v, "txid"), "txid", why))
        return false;
    if (json_get(v, "vout") == NULL || !json_to_i64(&vout, json_get(v, "vout"), "vout", why))
        return fail_request(why, RPC_INVALID_PARAMETER, "Invalid parameter, missing vout key");
    if (vout < 0 || vout > UINT32_MAX)
        return fail_request(why, RPC_INVALID_PARAMETER, "Invalid parameter, vout cannot be negative");
    out->index = (uint32_t)vout;
    return true;
}

static bool read_all(struct spenders_call *s, struct fail *why)
{
    struct rpc_call *call = s->call;
    const struct json *list = call->args[0];
    const struct json *options = rpc_has_arg(call, 1) ? call->args[1] : NULL;
    const struct json *only = options != NULL ? json_get(options, "mempool_only") : NULL;
    const struct json *with = options != NULL ? json_get(options, "return_spending_tx") : NULL;
    bool has_index = ledger_index_state(call->ctx->ledger, INDEX_SPENDER).enabled;
    if (list->count == 0 || list->count > SPENDER_QUERY_MAX)
        return fail_request(why, RPC_INVALID_PARAMETER, "Invalid parameter, outputs are missing");
    s->mempool_only = !has_index;
    if ((only != NULL && !json_to_bool(&s->mempool_only, only, "mempool_only", why)) ||
        (with != NULL && !json_to_bool(&s->with_tx, with, "return_spending_tx", why)))
        return false;
    s->asked = mem_new(list->count * sizeof *s->asked);
    s->rest = mem_new(list->count * sizeof *s->rest);
    s->spenders = mem_new(list->count * sizeof *s->spenders);
    s->found = mem_new(list->count * sizeof *s->found);
    s->count = list->count;
    uint32_t i = 0;
    for (const struct json *v = list->first; v != NULL; v = v->next, i++) {
        if (!read_outpoint(&s->asked[i], v, why))
            return false;
        const struct mempool_entry *entry = mempool_spender(call->ctx->mempool, &s->asked[i]);
        if (entry != NULL)
            s->spenders[i] = tx_ref(entry->tx);
        else
            s->rest[s->query.count++] = s->asked[i];
    }
    if (s->query.count > 0 && !s->mempool_only && !has_index) {
        s->query.count = 0;
        return fail_request(
            why, RPC_MISC_ERROR, "Mempool lacks a relevant spend, and txospenderindex is unavailable.");
    }
    return true;
}

static void show_one(
    struct json_writer *w, const struct outpoint *outpoint, const struct tx *spender, const struct block_id *block, bool with_tx)
{
    char hex[ID_HEX_SIZE_B];
    jw_object(w);
    hash_to_hex(hex, outpoint->txid.b);
    jw_key_text(w, "txid", hex);
    jw_key_u64(w, "vout", outpoint->index);
    if (spender != NULL) {
        hash_to_hex(hex, spender->txid.b);
        jw_key_text(w, "spendingtxid", hex);
        if (with_tx)
            jw_key_hex(w, "spendingtx", spender->raw.data, spender->raw.size_b);
    }
    if (block != NULL) {
        hash_to_hex(hex, block->b);
        jw_key_text(w, "blockhash", hex);
    }
    jw_end_object(w);
}

static void show_all(struct spenders_call *s)
{
    struct rpc_call *call = s->call;
    uint32_t next = 0;
    jw_array(&call->out);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct tx_found *found = s->spenders[i] == NULL ? &s->found[next++] : NULL;
        if (found != NULL && found->found)
            show_one(&call->out, &s->asked[i], found->tx, &found->block, s->with_tx);
        else
            show_one(&call->out, &s->asked[i], s->spenders[i], NULL, s->with_tx);
    }
    jw_end_array(&call->out);
    spenders_free(s);
    rpc_ok(call);
}

static void on_found(struct index_query *query, const struct fail *why)
{
    struct spenders_call *s = (struct spenders_call *)query;
    struct rpc_call *call = s->call;
    if (why->kind == FAIL_NONE) {
        show_all(s);
        return;
    }
    spenders_free(s);
    rpc_fail(call, why);
}

void rpc_gettxspendingprevout(struct rpc_call *call)
{
    struct fail why;
    struct spenders_call *s = mem_new(sizeof *s);
    s->call = call;
    if (!read_all(s, &why)) {
        spenders_free(s);
        rpc_fail(call, &why);
        return;
    }
    if (s->mempool_only || s->query.count == 0) {
        show_all(s);
        return;
    }
    if (!ledger_index_state(call->ctx->ledger, INDEX_SPENDER).synced) {
        spenders_free(s);
        rpc_error(call, RPC_MISC_ERROR, "Mempool lacks a relevant spend, and txospenderindex is still being synced.");
        return;
    }
    s->query.query.kind = INDEX_SPENDER;
    s->query.query.done = on_found;
    s->query.outpoints = s->rest;
    s->query.results = s->found;
    if (ledger_ask_index(call->ctx->ledger, &s->query.query))
        return;
    spenders_free(s);
    rpc_error(call, RPC_MISC_ERROR, "The index is busy, try again");
}
