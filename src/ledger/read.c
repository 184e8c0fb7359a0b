/* Blocks read back, for peers and RPC: from memory when it still has them, from the files otherwise. What
 * is missing or damaged on disk answers with words; only the chain's own steps stop the node for it. */
#include "state.h"

struct read_job { /* one read; before it, when the undo data is still being written, a barrier */
    struct job job;
    struct ledger *ledger;
    struct block_read *read;
    struct block *held; /* the block, when memory had it */
    struct block_id id, prev;
    uint32_t status, file, data_pos_b, data_size_b, undo_pos_b, undo_size_b;
    struct fail why;
};

static void barrier_run(struct job *job);
static void barrier_done(struct job *job);
static void begin(struct read_job *job);
static void read_run(struct job *job);
static bool read_block(struct read_job *job);
static bool read_undo(struct read_job *job);
static void read_done(struct job *job);

bool ledger_keeps_undo(const struct block_index *index)
{
    return (index->status & BLOCK_HAVE_DATA) != 0 && index->prev != NULL &&
           (index->status & (BLOCK_HAVE_UNDO | BLOCK_SCRIPTS_OK)) != 0;
}

bool ledger_read_block(struct ledger *ledger, struct block_read *read)
{
    if (ledger->read_count >= READS_MAX || ledger->stopping)
        return false;
    const struct block_index *index = read->index;
    struct read_job *job = mem_new(sizeof *job);
    job->ledger = ledger;
    job->read = read;
    job->held = index->held != NULL ? block_ref(index->held->block) : NULL;
    read->block = NULL;
    read->undo = NULL;
    buf_init(&read->raw, BLOCK_SIZE_MAX_B + RECORD_HEAD_B);
    read->state = job;
    ledger->read_count++;
    bool undo_to_come = (index->status & (BLOCK_SCRIPTS_OK | BLOCK_HAVE_UNDO)) == BLOCK_SCRIPTS_OK;
    if (!read->want_undo || !undo_to_come || ledger->undo_jobs == 0) {
        begin(job);
        return true;
    }
    job->job = (struct job){
        .run = barrier_run, .done = barrier_done, .lane = JOB_WRITE, .serial = &ledger->writer};
    ledger_submit(ledger, &job->job);
    return true;
}

static void barrier_run(struct job *job)
{
    (void)job;
}

static void barrier_done(struct job *job)
{
    struct ledger *ledger = ((struct read_job *)job)->ledger;
    ledger_job_back(ledger);
    begin((struct read_job *)job);
    ledger_pump(ledger);
}

static void begin(struct read_job *job)
{
    const struct block_index *index = job->read->index;
    job->job = (struct job){.run = read_run, .done = read_done, .lane = JOB_READ};
    job->id = index->id;
    job->status = index->status;
    job->file = index->file;
    job->data_pos_b = index->data_pos_b;
    job->data_size_b = index->data_size_b;
    job->undo_pos_b = index->undo_pos_b;
    job->undo_size_b = index->undo_size_b;
    if (index->prev != NULL)
        job->prev = index->prev->id;
    ledger_submit(job->ledger, &job->job);
}

static void read_run(struct job *base)
{
    struct read_job *job = (struct read_job *)base;
    struct block_read *read = job->read;
    if (!read_block(job) || (read->want_undo && !read_undo(job)))
        return;
    if (!read->want_block) {
        block_unref(read->block);
        read->block = NULL;
    }
    fail_clear(&job->why);
}

static bool read_block(struct read_job *job)
{
    struct block_read *read = job->read;
    bool want = read->want_block || read->want_raw;
    if ((job->status & BLOCK_HAVE_DATA) == 0)
        return fail_request(&job->why, -1, "Block not available (%s)",
            (job->status & BLOCK_PRUNED) != 0 ? "pruned data" : "not fully downloaded");
    if (job->held != NULL) {
        if (read->want_raw)
            buf_put(&read->raw, job->held->raw.data, job->held->raw.size_b);
        read->block = block_ref(job->held);
        return buf_ok(&read->raw, "block", &job->why);
    }
    if (!want)
        return true;
    struct buf raw;
    struct fail why;
    buf_init(&raw, BLOCK_SIZE_MAX_B + RECORD_HEAD_B);
    bool ok = blockfiles_read(
        &job->ledger->files, job->file, job->data_pos_b, job->data_size_b, &raw, &why);
    if (ok && read->want_raw && !read->want_block) {
        buf_move(&read->raw, &raw);
        return true;
    }
    if (ok && read->want_raw)
        buf_put(&read->raw, raw.data, raw.size_b);
    ok = ok && block_decode(&read->block, &raw, &why) && block_id_equal(&read->block->id, &job->id);
    buf_clear(&raw);
    return ok || fail_request(&job->why, -1, "Block not available (cannot be read from disk)");
}

static bool read_undo(struct read_job *job)
{
    struct block_read *read = job->read;
    if ((job->status & BLOCK_HAVE_UNDO) == 0)
        return true; /* never connected, or genesis: undo stays NULL */
    struct buf raw;
    struct fail why;
    buf_init(&raw, (size_t)BLOCK_SIZE_MAX_B * 64);
    bool ok = blockfiles_read_undo(
        &job->ledger->files, job->file, job->undo_pos_b, job->undo_size_b, &job->prev, &raw, &why);
    ok = ok && (read->block != NULL ? undo_unpack(&read->undo, read->block, buf_span(&raw), &why)
                                    : undo_unpack_alone(&read->undo, buf_span(&raw), &why));
    buf_clear(&raw);
    return ok || fail_request(&job->why, -1,
                     "Undo data expected but can't be read. This could be due to disk corruption "
                     "or a conflict with a "
                     "pruning event.");
}

static void read_done(struct job *base)
{
    struct read_job *job = (struct read_job *)base;
    struct ledger *ledger = job->ledger;
    struct block_read *read = job->read;
    struct fail why = job->why;
    ledger_job_back(ledger);
    ledger->read_count--;
    block_unref(job->held);
    mem_free(job);
    if (why.kind != FAIL_NONE) {
        block_unref(read->block);
        block_undo_free(read->undo);
        buf_clear(&read->raw);
        read->block = NULL;
        read->undo = NULL;
    }
    read->state = NULL;
    read->done(read, &why);
    ledger_pump(ledger);
}
