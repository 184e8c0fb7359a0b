/* scanblocks: the blocks of the active chain whose filter knows a descriptor's script. A job expands the
 * descriptors; then the index hands over the filters of a run of blocks at a time. Filters err once in 784,931
 * scripts; on demand each block that matches is read and looked into. One scan at a time. */
#include <stddef.h>
#include <string.h>

#include "chain_calls.h"
#include "coin/base/mem.h"
#include "coin/ledger/filter.h"
#include "coin/ledger/indexes.h"
#include "scan_objects.h"

#define RUN_BLOCKS 500 /* filters of one question */
#define HITS_MAX 10000000

struct block_scan {
    struct filter_query query; /* first: the index's callbacks get it */
    struct block_read read;
    struct job job; /* expands, then looks into a block */
    struct rpc_call *call;
    struct scan_objects objects;
    struct fail why;
    _Atomic bool abort;
    bool look_inside, is_match;
    int32_t from, to, next; /* heights; next: not looked at yet */
    struct block_index *run[RUN_BLOCKS];
    bool run_hits[RUN_BLOCKS];
    uint32_t at; /* of the run: what is looked into now */
    struct block_index **hits;
    uint32_t hit_count, hit_capacity;
};

static void next_run(struct block_scan *scan);
static void next_hit(struct block_scan *scan);

static struct block_scan *of_job(struct job *job)
{
    return (struct block_scan *)((char *)job - offsetof(struct block_scan, job));
}

static void end(struct block_scan *scan, const struct fail *why)
{
    struct rpc_call *call = scan->call;
    struct json_writer *w = &call->out;
    char hex[ID_HEX_SIZE_B];
    call->ctx->block_scan = NULL;
    if (why != NULL) {
        rpc_fail(call, why);
    } else {
        jw_object(w);
        jw_key_i64(w, "from_height", scan->from);
        jw_key_i64(w, "to_height", scan->abort ? scan->next - 1 : scan->to);
        jw_key(w, "relevant_blocks");
        jw_array(w);
        for (uint32_t i = 0; i < scan->hit_count; i++) {
            hash_to_hex(hex, scan->hits[i]->id.b);
            jw_text(w, hex);
        }
        jw_end_array(w);
        jw_key_bool(w, "completed", !scan->abort);
        jw_end_object(w);
        rpc_ok(call);
    }
    scan_objects_clear(&scan->objects);
    mem_free(scan->hits);
    mem_free(scan);
}

static void on_cancel(struct rpc_call *call)
{
    if (call->ctx->block_scan != NULL && call->ctx->block_scan->call == call)
        rpc_scanblocks_on_stop(call->ctx);
}

void rpc_scanblocks_on_stop(struct rpc_ctx *ctx)
{
    if (ctx->block_scan != NULL)
        ctx->block_scan->abort = true;
}

/* ---- a run of filters ---- */
static bool match_filter(struct filter_query *query, uint32_t i, struct span filter, const uint8_t header[32]) /* worker */
{
    struct block_scan *scan = (struct block_scan *)query;
    (void)header;
    scan->run_hits[i] = false;
    if (filter.size_b == 0)
        return fail_request(&scan->why, RPC_MISC_ERROR,
            "Filter not found. Block filters are still in the process of being indexed.");
    return block_filter_matches_any(filter, &query->blocks[i]->id, scan->objects.scripts, scan->objects.script_count,
               &scan->run_hits[i], &scan->why) &&
           !scan->abort;
}

static void on_run(struct index_query *query, const struct fail *why)
{
    struct block_scan *scan = (struct block_scan *)query;
    if (why->kind != FAIL_NONE || scan->why.kind != FAIL_NONE) {
        end(scan, why->kind != FAIL_NONE ? why : &scan->why);
        return;
    }
    scan->at = 0;
    next_hit(scan);
}

static void next_run(struct block_scan *scan)
{
    struct ledger *ledger = scan->call->ctx->ledger;
    uint32_t count = 0;
    int32_t tip = ledger_tip(ledger)->height; /* after a reorganisation the chain may be shorter */
    if (scan->abort || scan->next > scan->to || scan->next > tip) {
        end(scan, NULL);
        return;
    }
    for (int32_t h = scan->next; h <= scan->to && h <= tip && count < RUN_BLOCKS; h++)
        scan->run[count++] = ledger_at(ledger, h);
    memset(scan->run_hits, 0, sizeof scan->run_hits);
    fail_clear(&scan->why);
    scan->query.query.kind = INDEX_FILTER;
    scan->query.query.done = on_run;
    scan->query.blocks = scan->run;
    scan->query.count = count;
    scan->query.each = match_filter;
    if (ledger_ask_index(ledger, &scan->query.query))
        return;
    fail_request(&scan->why, RPC_MISC_ERROR, "The index is busy, try again");
    end(scan, &scan->why);
}

/* ---- looking into a block ---- */
static void look(struct job *job) /* worker */
{
    struct block_scan *scan = of_job(job);
    const struct block *block = scan->read.block;
    const struct block_undo *undo = scan->read.undo;
    scan->is_match = false;
    for (uint32_t t = 0; t < block->tx_count && !scan->is_match; t++)
        for (uint32_t i = 0; i < block->txs[t].out_count && !scan->is_match; i++)
            scan->is_match = scan_objects_have(&scan->objects, block->txs[t].out[i].script);
    for (uint32_t i = 0; undo != NULL && i < undo->count && !scan->is_match; i++)
        scan->is_match = scan_objects_have(&scan->objects, undo->coins[i].script);
}

static bool add_hit(struct block_scan *scan)
{
    if (!mem_try_grow(&scan->hits, &scan->hit_capacity, scan->hit_count + 1, HITS_MAX, sizeof *scan->hits)) {
        fail_oom(&scan->why, "blocks found");
        return false;
    }
    scan->hits[scan->hit_count++] = scan->run[scan->at];
    return true;
}

static void on_looked(struct job *job)
{
    struct block_scan *scan = of_job(job);
    block_unref(scan->read.block);
    block_undo_free(scan->read.undo);
    if (scan->is_match && !add_hit(scan)) {
        end(scan, &scan->why);
        return;
    }
    scan->at++;
    next_hit(scan);
}

static void on_read(struct block_read *read, const struct fail *why)
{
    struct block_scan *scan = (struct block_scan *)((char *)read - offsetof(struct block_scan, read));
    if (why->kind != FAIL_NONE) {
        end(scan, why);
        return;
    }
    scan->job = (struct job){.run = look, .done = on_looked, .lane = JOB_SLOW};
    if (env_submit(scan->call->ctx->env, &scan->job))
        return;
    block_unref(read->block);
    block_undo_free(read->undo);
    fail_request(&scan->why, RPC_MISC_ERROR, "Too many long calls are running, try again");
    end(scan, &scan->why);
}

static void next_hit(struct block_scan *scan)
{
    for (; scan->at < scan->query.count && !scan->abort; scan->at++) {
        scan->next = scan->run[scan->at]->height + 1;
        if (!scan->run_hits[scan->at])
            continue;
        if (!scan->look_inside) {
            if (add_hit(scan))
                continue;
            end(scan, &scan->why);
            return;
        }
        scan->read = (struct block_read){
            .index = scan->run[scan->at], .want_block = true, .want_undo = true, .done = on_read};
        if (!ledger_read_block(scan->call->ctx->ledger, &scan->read)) {
            fail_request(&scan->why, RPC_MISC_ERROR, "Too many blocks are being read now, try again");
            end(scan, &scan->why);
        }
        return;
    }
    next_run(scan);
}

/* ---- the call ---- */
static void expand(struct job *job) /* worker */
{
    struct block_scan *scan = of_job(job);
    if (scan_objects_expand(&scan->objects, scan->call->ctx->chain, &scan->abort, &scan->why))
        fail_clear(&scan->why);
}

static void on_expanded(struct job *job)
{
    struct block_scan *scan = of_job(job);
    if (scan->why.kind != FAIL_NONE)
        end(scan, &scan->why);
    else
        next_run(scan);
}

static bool read_args(struct block_scan *scan, struct fail *why)
{
    const struct rpc_call *call = scan->call;
    int32_t tip = ledger_tip(call->ctx->ledger)->height;
    int64_t from, to;
    if (!rpc_wants_filters(call, 4, why) || !rpc_arg_i64(&from, call, 2, 0, why) ||
        !rpc_arg_i64(&to, call, 3, tip, why))
        return false;
    if (from < 0 || from > tip)
        return fail_request(why, RPC_MISC_ERROR, "Invalid start_height");
    if (to < from || to > tip)
        return fail_request(why, RPC_MISC_ERROR, "Invalid stop_height");
    scan->from = scan->next = (int32_t)from;
    scan->to = (int32_t)to;
    const struct json *inside = rpc_has_arg(call, 5) ? json_get(call->args[5], "filter_false_positives") : NULL;
    return (inside == NULL || json_to_bool(&scan->look_inside, inside, "filter_false_positives", why)) &&
           scan_objects_read(&scan->objects, call, 1, why);
}

static void start(struct rpc_call *call)
{
    struct fail why;
    if (call->ctx->block_scan != NULL) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Scan already in progress, use action \"abort\" or \"status\"");
        return;
    }
    struct block_scan *scan = mem_new(sizeof *scan);
    scan->call = call;
    scan_objects_init(&scan->objects);
    call->ctx->block_scan = scan;
    if (!read_args(scan, &why)) {
        end(scan, &why);
        return;
    }
    call->on_cancel = on_cancel;
    scan->job = (struct job){.run = expand, .done = on_expanded, .lane = JOB_SLOW};
    if (!env_submit(call->ctx->env, &scan->job)) {
        fail_request(&why, RPC_MISC_ERROR, "Too many long calls are running, try again");
        end(scan, &why);
    }
}

static void show_status(struct json_writer *w, const struct block_scan *scan)
{
    if (scan == NULL) {
        jw_null(w);
        return;
    }
    int64_t all = (int64_t)scan->to - scan->from + 1;
    jw_object(w);
    jw_key_i64(w, "progress", ((int64_t)scan->next - scan->from) * 100 / all);
    jw_key_i64(w, "current_height", scan->next);
    jw_end_object(w);
}

void rpc_scanblocks(struct rpc_call *call)
{
    struct fail why;
    struct span action;
    struct block_scan *scan = call->ctx->block_scan;
    if (!rpc_arg_text(&action, call, 0, "", &why)) {
        rpc_fail(call, &why);
    } else if (span_is(action, "start")) {
        start(call);
    } else if (span_is(action, "status")) {
        show_status(&call->out, scan);
        rpc_ok(call);
    } else if (span_is(action, "abort")) {
        rpc_scanblocks_on_stop(call->ctx);
        jw_bool(&call->out, scan != NULL);
        rpc_ok(call);
    } else {
        rpc_error(call, RPC_INVALID_PARAMETER, "Invalid action '%.*s'", action.size_b > 64 ? 64 : (int)action.size_b,
            (const char *)action.data);
    }
}
