/* scantxoutset: a walk over all coins. One at a time, since it reads the whole chainstate; a second is refused.
 * A job expands the descriptors before the walk. */

#include <string.h>

#include "chain_calls.h"
#include "coin/base/mem.h"
#include "coin/descriptor/descriptor.h"
#include "scan_objects.h"

#define SCAN_HITS_MAX 1000000

struct hit {
    struct outpoint outpoint;
    struct coin coin; /* script in the arena */
};
struct coin_scan {
    struct coins_scan scan; /* first: the callbacks get it */
    struct job job;
    struct rpc_call *call;
    struct fail why;
    bool aborted;
    struct scan_objects objects;
    struct arena arena; /* scripts of the hits */
    struct hit *hits;
    uint32_t hit_count, hit_capacity;
    bool too_many;
    uint64_t seen;
};

static void scan_free(struct coin_scan *scan)
{
    scan_objects_clear(&scan->objects);
    mem_free(scan->hits);
    arena_clear(&scan->arena);
    mem_free(scan);
}

/* The answer is written; the next walk may begin. */
static void scan_end(struct coin_scan *scan, const struct fail *why)
{
    struct rpc_call *call = scan->call;
    struct fail kept = *why;
    call->ctx->scan = NULL;
    scan_free(scan);
    if (kept.kind != FAIL_NONE)
        rpc_fail(call, &kept);
    else
        rpc_ok(call);
}

static struct coin_scan *scan_begin(struct rpc_call *call)
{
    if (call->ctx->scan != NULL) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Scan already in progress, use action \"abort\" or \"status\"");
        return NULL;
    }
    struct coin_scan *scan = mem_new(sizeof *scan);
    scan->call = call;
    scan_objects_init(&scan->objects);
    arena_init(&scan->arena, 0);
    call->ctx->scan = scan;
    return scan;
}

static void on_cancel(struct rpc_call *call)
{
    if (call->ctx->scan != NULL && call->ctx->scan->call == call)
        rpc_scan_on_stop(call->ctx);
}

void rpc_scan_on_stop(struct rpc_ctx *ctx)
{
    if (ctx->scan == NULL)
        return;
    ctx->scan->aborted = true;
    ctx->scan->scan.abort = true;
}

static void walk(struct coin_scan *scan)
{
    struct fail why;
    scan->scan.abort = scan->aborted;
    scan->call->on_cancel = on_cancel;
    if (ledger_scan_coins(scan->call->ctx->ledger, &scan->scan))
        return;
    fail_request(&why, RPC_MISC_ERROR, "The chainstate is busy, try again");
    scan_end(scan, &why);
}

/* ---- scantxoutset ---- */

static void expand_all(struct job *job) /* worker */
{
    struct coin_scan *scan = (struct coin_scan *)((char *)job - offsetof(struct coin_scan, job));
    if (!scan_objects_expand(&scan->objects, scan->call->ctx->chain, &scan->scan.abort, &scan->why))
        return;
    fail_clear(&scan->why);
}

static bool each_hit(struct coins_scan *walker, const struct outpoint *outpoint, const struct coin *coin) /* worker */
{
    struct coin_scan *scan = (struct coin_scan *)walker;
    scan->seen++;
    if (!scan_objects_have(&scan->objects, coin->script))
        return true;
    char *copy = arena_text(&scan->arena, (const char *)coin->script.data, coin->script.size_b);
    if (copy == NULL ||
        !mem_try_grow(&scan->hits, &scan->hit_capacity, scan->hit_count + 1, SCAN_HITS_MAX, sizeof *scan->hits)) {
        scan->too_many = true;
        return false;
    }
    struct hit *hit = &scan->hits[scan->hit_count++];
    hit->outpoint = *outpoint;
    hit->coin = *coin;
    hit->coin.script = span_of(copy, coin->script.size_b);
    return true;
}

static void show_hit(struct json_writer *w, const struct coin_scan *scan, const struct hit *hit)
{
    const struct rpc_ctx *ctx = scan->call->ctx;
    char hex[ID_HEX_SIZE_B];
    struct buf text;
    struct fail why;
    buf_init(&text, DESCRIPTOR_TEXT_MAX_B * 4);
    jw_object(w);
    hash_to_hex(hex, hit->outpoint.txid.b);
    jw_key_text(w, "txid", hex);
    jw_key_u64(w, "vout", hit->outpoint.index);
    jw_key_hex(w, "scriptPubKey", hit->coin.script.data, hit->coin.script.size_b);
    jw_key(w, "desc");
    jw_string(w, descriptor_infer(&text, ctx->chain, hit->coin.script, &why) ? buf_span(&text) : span_text(""));
    jw_key_amount(w, "amount", hit->coin.value_sat);
    jw_key_bool(w, "coinbase", hit->coin.is_coinbase);
    jw_key_i64(w, "height", hit->coin.height);
    const struct block_index *block = index_ancestor(scan->scan.tip, hit->coin.height);
    hash_to_hex(hex, block->id.b);
    jw_key_text(w, "blockhash", hex);
    jw_key_i64(w, "confirmations", scan->scan.tip->height - hit->coin.height + 1);
    jw_end_object(w);
    buf_clear(&text);
}

static void on_scanned(struct coins_scan *walker, const struct fail *failed)
{
    struct coin_scan *scan = (struct coin_scan *)walker;
    struct json_writer *w = &scan->call->out;
    struct fail why = *failed;
    char hex[ID_HEX_SIZE_B];
    if (scan->too_many)
        fail_request(&why, RPC_OUT_OF_MEMORY, "More coins were found than fit into one answer");
    if (why.kind != FAIL_NONE && !scan->aborted) {
        scan_end(scan, &why);
        return;
    }
    int64_t total_sat = 0;
    jw_object(w);
    jw_key_bool(w, "success", !scan->aborted);
    jw_key_u64(w, "txouts", scan->seen);
    jw_key_i64(w, "height", scan->scan.tip->height);
    hash_to_hex(hex, scan->scan.tip->id.b);
    jw_key_text(w, "bestblock", hex);
    jw_key(w, "unspents");
    jw_array(w);
    for (uint32_t i = 0; i < scan->hit_count; i++) {
        show_hit(w, scan, &scan->hits[i]);
        total_sat += scan->hits[i].coin.value_sat;
    }
    jw_end_array(w);
    jw_key_amount(w, "total_amount", total_sat);
    jw_end_object(w);
    why.kind = FAIL_NONE;
    scan_end(scan, &why);
}

static void on_expanded(struct job *job)
{
    struct coin_scan *scan = (struct coin_scan *)((char *)job - offsetof(struct coin_scan, job));
    if (scan->why.kind != FAIL_NONE) {
        scan_end(scan, &scan->why);
        return;
    }
    scan->scan.each = each_hit;
    scan->scan.done = on_scanned;
    walk(scan);
}

static void scan_start(struct rpc_call *call)
{
    struct fail why;
    struct coin_scan *scan = scan_begin(call);
    if (scan == NULL)
        return;
    if (!scan_objects_read(&scan->objects, call, 1, &why)) {
        scan_end(scan, &why);
        return;
    }
    call->on_cancel = on_cancel;
    scan->job = (struct job){.run = expand_all, .done = on_expanded, .lane = JOB_SLOW};
    if (!env_submit(call->ctx->env, &scan->job)) {
        fail_request(&why, RPC_MISC_ERROR, "Too many long calls are running, try again");
        scan_end(scan, &why);
    }
}

void rpc_scantxoutset(struct rpc_call *call)
{
    struct fail why;
    struct span action;
    struct coin_scan *scan = call->ctx->scan;
    if (!rpc_arg_text(&action, call, 0, "", &why)) {
        rpc_fail(call, &why);
    } else if (span_is(action, "start")) {
        scan_start(call);
    } else if (span_is(action, "status")) {
        if (scan == NULL) {
            jw_null(&call->out);
        } else {
            jw_object(&call->out);
            jw_key_u64(&call->out, "progress", (uint64_t)scan->scan.progress * 100 / 65536);
            jw_end_object(&call->out);
        }
        rpc_ok(call);
    } else if (span_is(action, "abort")) {
        bool running = scan != NULL;
        if (running)
            rpc_scan_on_stop(call->ctx);
        jw_bool(&call->out, running);
        rpc_ok(call);
    } else {
        rpc_error(call, RPC_INVALID_PARAMETER, "Invalid action '%.*s'", action.size_b > 64 ? 64 : (int)action.size_b,
            (const char *)action.data);
    }
}
