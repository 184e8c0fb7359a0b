/* The indexes' way along the chain: which blocks the next step takes, forwards or back, the job that reads them
 * and writes the rows, the marker, and the questions. What the rows are is told in index_*.c.
 * Invariant: an index stands at one block (best), its state is that after it, and while a step runs nothing but
 * the step touches either. */
#include "coin/ledger/indexes.h"

#include <string.h>

#include "coin/base/log.h"
#include "indexer.h"
#include "state.h"

#define STEP_BLOCKS_MAX 64
#define STEP_SIZE_MAX_B (8u << 20)
#define INDEX_CACHE_B (2u << 20)
#define INDEX_WRITE_BUFFER_B (4u << 20)
#define MARKER_LAYOUT 1
#define LOG_INTERVAL_US (INT64_C(30) * 1000000)

struct step_job {
    struct job job;
    struct indexer *indexer;
    struct ledger *ledger;
    bool back, mark;
    uint32_t count;
    struct stored_block blocks[STEP_BLOCKS_MAX];
    struct block_index *best; /* after it */
    struct indexer_step step;
    struct fail why;
};

struct indexer {
    const struct indexer_ops *ops; /* NULL: this index is off */
    struct kv *kv;
    struct block_index *best, *marked; /* NULL: nothing */
    uint8_t state[INDEXER_STATE_MAX_B];
    bool busy, synced;
    struct index_query *waiting_first, *waiting_last;
    uint32_t query_count;
    int64_t logged_us;
};
struct indexes {
    struct indexer all[INDEX_KINDS];
};

static const struct indexer_ops *const kinds[INDEX_KINDS] = {
    [INDEX_TX] = &index_tx_ops,
    [INDEX_SPENDER] = &index_spender_ops,
    [INDEX_FILTER] = &index_filter_ops,
    [INDEX_STATS] = &index_stats_ops,
};

static bool open_one(struct ledger *ledger, struct indexer *x, const struct indexer_ops *ops, struct fail *why);
static bool index_path(const struct ledger *ledger, const struct indexer_ops *ops, char *path, struct fail *why);
static bool load_marker(struct ledger *ledger, struct indexer *x, struct fail *why);
static void start_over(struct indexer *x);
static bool within_pruned(const struct ledger *ledger, const struct indexer *x, struct fail *why);
static int32_t next_height(const struct ledger *ledger, const struct block_index *from);
static void advance_one(struct ledger *ledger, struct indexer *x);
static bool is_flushed(const struct ledger *ledger, const struct block_index *index);
static bool choose_forward(struct ledger *ledger, const struct indexer *x, struct step_job *step);
static bool choose_back(struct ledger *ledger, struct indexer *x, struct step_job *step);
static bool take(struct step_job *step, struct block_index *index, enum stored_need need, uint32_t *size_b);
static void step_run(struct job *job);
static void put_marker(struct step_job *step);
static void step_done(struct job *job);
static void tell_progress(struct ledger *ledger, struct indexer *x);
static void answer_waiting(struct ledger *ledger, struct indexer *x);
static void query_run(struct job *job);
static void query_done(struct job *job);

/* ---- opening ---- */
bool indexes_open(struct ledger *ledger, struct fail *why)
{
    const struct disk *disk = ledger->env->disk;
    char path[PATH_SIZE_B];
    if (ledger->options.indexes == 0)
        return true;
    ledger->indexes = mem_new(sizeof *ledger->indexes);
    if (!path_join(path, ledger->dir, "indexes", why) || !disk->make_dir(disk->ctx, path, why))
        return false;
    for (uint32_t k = 0; k < INDEX_KINDS; k++)
        if ((ledger->options.indexes & (1u << k)) != 0 &&
            !open_one(ledger, &ledger->indexes->all[k], kinds[k], why))
            return false;
    return true;
}

static bool open_one(struct ledger *ledger, struct indexer *x, const struct indexer_ops *ops, struct fail *why)
{
    const struct disk *disk = ledger->env->disk;
    struct kv_options options = {.cache_b = INDEX_CACHE_B, .write_buffer_b = INDEX_WRITE_BUFFER_B};
    char path[PATH_SIZE_B];
    if (ops->bars_pruning && ledger_is_pruning(ledger))
        return fail_request(why, -1, "Prune mode is incompatible with -%s.", ops->name);
    if (!index_path(ledger, ops, path, why) || !disk->make_dir(disk->ctx, path, why))
        return false;
    x->kv = ledger->env->kv_open(ledger->env->ctx, path, &options, why);
    if (x->kv == NULL)
        return false;
    x->ops = ops;
    x->logged_us = env_steady_us(ledger->env);
    if (!load_marker(ledger, x, why) || !within_pruned(ledger, x, why))
        return false;
    x->synced = x->best == ledger->tip && !ledger->reindexing;
    log_info("%s: read up to height %d", ops->name, x->best != NULL ? (int)x->best->height : -1);
    return true;
}

static bool index_path(const struct ledger *ledger, const struct indexer_ops *ops, char *path, struct fail *why)
{
    char folder[PATH_SIZE_B];
    return path_join(folder, ledger->dir, "indexes", why) && path_join(path, folder, ops->folder, why);
}

static bool load_marker(struct ledger *ledger, struct indexer *x, struct fail *why)
{
    struct buf value;
    bool found = false;
    buf_init(&value, 1 + 32 + INDEXER_STATE_MAX_B);
    bool ok = kv_get(x->kv, span_text("B"), &value, &found, why);
    start_over(x);
    if (ok && found && value.size_b == 1 + 32 + x->ops->state_size_b && value.data[0] == MARKER_LAYOUT) {
        struct block_id id;
        memcpy(id.b, value.data + 1, sizeof id.b);
        struct block_index *best = tree_find(&ledger->tree, &id);
        if (best != NULL) { /* else the chain's index was made anew */
            x->best = x->marked = best;
            memcpy(x->state, value.data + 33, x->ops->state_size_b);
        }
    }
    buf_clear(&value);
    return ok;
}

static void start_over(struct indexer *x)
{
    x->best = x->marked = NULL;
    memset(x->state, 0, sizeof x->state);
    if (x->ops->state_init != NULL)
        x->ops->state_init(x->state);
}

static bool within_pruned(const struct ledger *ledger, const struct indexer *x, struct fail *why)
{
    return next_height(ledger, x->best) >= ledger_prune_height(ledger) ||
           fail_request(why, -1,
               "%s best block of the index goes beyond pruned data (including undo data). Please disable the "
               "index or reindex (which will download the whole blockchain again)",
               x->ops->name);
}

bool indexes_wipe(struct ledger *ledger, struct fail *why)
{
    for (uint32_t k = 0; k < INDEX_KINDS; k++) {
        char path[PATH_SIZE_B];
        if (!index_path(ledger, kinds[k], path, why) || !ledger_remove_folder(ledger, path, why))
            return false;
    }
    return true;
}

void indexes_free(struct ledger *ledger)
{
    for (uint32_t k = 0; ledger->indexes != NULL && k < INDEX_KINDS; k++)
        kv_close(ledger->indexes->all[k].kv);
    mem_free(ledger->indexes);
}

void indexes_tip_jumped(struct ledger *ledger)
{
    for (uint32_t k = 0; ledger->indexes != NULL && k < INDEX_KINDS; k++)
        ledger->indexes->all[k].synced = false;
}

/* ---- looking ---- */
struct index_state ledger_index_state(const struct ledger *ledger, enum ledger_index kind)
{
    struct index_state state = {.name = kinds[kind]->name, .best_height = -1};
    if (ledger->indexes == NULL || ledger->indexes->all[kind].ops == NULL)
        return state;
    const struct indexer *x = &ledger->indexes->all[kind];
    state.enabled = true;
    state.synced = x->synced;
    state.best_height = x->best != NULL ? x->best->height : -1;
    return state;
}

static int32_t next_height(const struct ledger *ledger, const struct block_index *from)
{
    return from == NULL ? 0 : index_fork(from, ledger->tip)->height + 1;
}

int32_t indexes_keep_from(const struct ledger *ledger)
{
    int32_t from = INT32_MAX;
    for (uint32_t k = 0; ledger->indexes != NULL && k < INDEX_KINDS; k++) {
        const struct indexer *x = &ledger->indexes->all[k];
        /* After a crash it begins at its marker, not where it stands now. */
        int32_t next = x->ops != NULL ? next_height(ledger, x->marked) : INT32_MAX;
        from = next < from ? next : from;
    }
    return from;
}

bool indexes_want_flush(const struct ledger *ledger, int32_t height)
{
    for (uint32_t k = 0; ledger->indexes != NULL && k < INDEX_KINDS; k++) {
        const struct indexer *x = &ledger->indexes->all[k];
        if (x->ops != NULL && next_height(ledger, x->best) > height && next_height(ledger, x->marked) <= height)
            return true;
    }
    return false;
}

/* ---- the next step ---- */
void indexes_advance(struct ledger *ledger)
{
    for (uint32_t k = 0; ledger->indexes != NULL && k < INDEX_KINDS; k++)
        if (ledger->indexes->all[k].ops != NULL)
            advance_one(ledger, &ledger->indexes->all[k]);
}

static void advance_one(struct ledger *ledger, struct indexer *x)
{
    if (ledger->fatal)
        return;
    x->synced = x->synced || (x->best == ledger->tip && ledger_is_settled(ledger));
    answer_waiting(ledger, x);
    if (x->busy)
        return;
    /* While the chain is being flushed the index waits: afterwards it stands at a flushed block. */
    bool may_step = !ledger->stopping && !ledger->switching && ledger->flush_stage == FLUSH_NONE;
    struct step_job *step = mem_new(sizeof *step);
    step->best = x->best;
    if (may_step && x->best != NULL && !ledger_is_active(ledger, x->best))
        step->back = choose_back(ledger, x, step);
    else if (may_step)
        (void)choose_forward(ledger, x, step);
    step->mark = step->best != NULL && step->best != x->marked && is_flushed(ledger, step->best);
    if (step->count == 0 && !step->mark) {
        mem_free(step);
        return;
    }
    step->job = (struct job){.run = step_run, .done = step_done, .lane = JOB_SLOW};
    step->indexer = x;
    step->ledger = ledger;
    step->step.chain = ledger->chain;
    step->step.kv = x->kv;
    memcpy(step->step.state, x->state, sizeof x->state);
    x->busy = true;
    ledger_submit(ledger, &step->job);
}

static bool is_flushed(const struct ledger *ledger, const struct block_index *index)
{
    return ledger->flush_stage == FLUSH_NONE &&
           index_ancestor(ledger->flushed_tip, index->height) == index;
}

static bool choose_forward(struct ledger *ledger, const struct indexer *x, struct step_job *step)
{
    uint32_t size_b = 0;
    for (int32_t h = x->best != NULL ? x->best->height + 1 : 0; h <= ledger->tip->height; h++) {
        if (!take(step, ledger->active[h], x->ops->connect_needs, &size_b))
            break;
        step->best = ledger->active[h];
    }
    return step->count > 0;
}

/* Back to the active chain, once it is known which that is. */
static bool choose_back(struct ledger *ledger, struct indexer *x, struct step_job *step)
{
    uint32_t size_b = 0;
    if (!activation_is_settled(ledger))
        return false;
    while (!ledger_is_active(ledger, step->best) &&
           take(step, step->best, x->ops->disconnect_needs, &size_b))
        step->best = step->best->prev;
    if (step->count > 0)
        return true;
    log_warning("%s: block %d has left the chain and cannot be read any more; the index is built anew",
        x->ops->name, (int)step->best->height);
    start_over(x);
    step->best = NULL;
    ledger->pump_again = true;
    return false;
}

/* false: the step is full, or the block is not in its file yet. */
static bool take(struct step_job *step, struct block_index *index, enum stored_need need, uint32_t *size_b)
{
    if (step->count == STEP_BLOCKS_MAX || *size_b > STEP_SIZE_MAX_B ||
        !stored_block_find(&step->blocks[step->count], index, need))
        return false;
    step->count++;
    *size_b += index->data_size_b;
    return true;
}

/* ---- the job ---- */
static void step_run(struct job *job) /* worker */
{
    struct step_job *step = (struct step_job *)job;
    const struct indexer_ops *ops = step->indexer->ops;
    bool ok = true;
    kv_batch_init(&step->step.batch, INDEXER_BATCH_MAX_B);
    for (uint32_t i = 0; i < step->count && ok; i++) {
        struct stored_block *b = &step->blocks[i];
        ok = stored_block_read(b, &step->ledger->files,
            step->back ? ops->disconnect_needs : ops->connect_needs, &step->why);
        if (ok && !step->back)
            ok = ops->connect(&step->step, b, &step->why);
        else if (ok && ops->disconnect != NULL)
            ok = ops->disconnect(&step->step, b, &step->why);
        stored_block_clear(b);
    }
    if (ok && step->mark)
        put_marker(step);
    bool sync = step->mark && ledger_is_pruning(step->ledger); /* pruning relies on it */
    ok = ok && (step->step.batch.count == 0 || kv_write(step->step.kv, &step->step.batch, sync, &step->why));
    if (ok)
        fail_clear(&step->why);
    kv_batch_clear(&step->step.batch);
}

static void put_marker(struct step_job *step) /* worker */
{
    uint8_t value[1 + 32 + INDEXER_STATE_MAX_B] = {MARKER_LAYOUT};
    size_t state_size_b = step->indexer->ops->state_size_b;
    memcpy(value + 1, step->best->id.b, 32);
    memcpy(value + 33, step->step.state, state_size_b);
    kv_batch_put(&step->step.batch, span_text("B"), span_of(value, 33 + state_size_b));
}

static void step_done(struct job *job)
{
    struct step_job *step = (struct step_job *)job;
    struct ledger *ledger = step->ledger;
    struct indexer *x = step->indexer;
    ledger_job_back(ledger);
    x->busy = false;
    if (step->why.kind == FAIL_NONE) {
        x->best = step->best;
        memcpy(x->state, step->step.state, sizeof x->state);
        if (step->mark)
            x->marked = step->best;
        tell_progress(ledger, x);
    } else {
        ledger_die(ledger, &step->why);
    }
    mem_free(step);
    ledger_pump(ledger);
}

static void tell_progress(struct ledger *ledger, struct indexer *x)
{
    int64_t now_us = env_steady_us(ledger->env);
    if (x->synced || now_us - x->logged_us < LOG_INTERVAL_US)
        return;
    x->logged_us = now_us;
    log_info("%s: read up to height %d of %d", x->ops->name, x->best != NULL ? (int)x->best->height : -1,
        (int)ledger->tip->height);
}

/* ---- questions ---- */
bool ledger_ask_index(struct ledger *ledger, struct index_query *query)
{
    struct indexer *x = ledger->indexes != NULL ? &ledger->indexes->all[query->kind] : NULL;
    if (x == NULL || x->ops == NULL || x->query_count >= INDEX_QUERIES_MAX || ledger->stopping || ledger->fatal)
        return false;
    query->ledger = ledger;
    query->next = NULL;
    if (x->waiting_last != NULL)
        x->waiting_last->next = query;
    else
        x->waiting_first = query;
    x->waiting_last = query;
    x->query_count++;
    ledger_pump(ledger);
    return true;
}

static void answer_waiting(struct ledger *ledger, struct indexer *x)
{
    if (x->synced && x->best != ledger->tip && !ledger->stopping)
        return;
    while (x->waiting_first != NULL) {
        struct index_query *query = x->waiting_first;
        x->waiting_first = query->next;
        if (query->next == NULL)
            x->waiting_last = NULL;
        query->job = (struct job){.run = query_run, .done = query_done, .lane = JOB_READ};
        ledger_submit(ledger, &query->job);
    }
}

static void query_run(struct job *job) /* worker */
{
    struct index_query *query = (struct index_query *)job;
    const struct indexer *x = &query->ledger->indexes->all[query->kind]; /* what never changes of it */
    if (x->ops->answer(query->ledger, x->kv, query, &query->why))
        fail_clear(&query->why);
}

static void query_done(struct job *job)
{
    struct index_query *query = (struct index_query *)job;
    struct ledger *ledger = query->ledger;
    struct fail why = query->why;
    ledger_job_back(ledger);
    ledger->indexes->all[query->kind].query_count--;
    query->done(query, &why);
    ledger_pump(ledger);
}

void indexes_drop_queries(struct ledger *ledger)
{
    struct fail why;
    fail_request(&why, -1, "Shutting down");
    for (uint32_t k = 0; ledger->indexes != NULL && k < INDEX_KINDS; k++) {
        struct indexer *x = &ledger->indexes->all[k];
        while (x->waiting_first != NULL) {
            struct index_query *query = x->waiting_first;
            x->waiting_first = query->next;
            x->query_count--;
            query->done(query, &why);
        }
        x->waiting_last = NULL;
    }
}

/* ---- what the rows share ---- */
void block_key(uint8_t out[BLOCK_KEY_SIZE_B], uint8_t kind, const struct block_index *index)
{
    out[0] = kind;
    put_u32be(out + 1, (uint32_t)index->height);
    memcpy(out + 5, index->id.b, 32);
}

bool index_damaged(struct fail *why, const char *name)
{
    return fail_set(why, FAIL_LOCAL, "damaged",
        "indexes/%s is damaged; remove that folder, and the index is built anew", name);
}
