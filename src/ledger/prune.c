/* Old block files deleted (-prune): a file goes whole, when all its blocks lie deep enough below the tip and
 * nobody needs them any more. First the entries say that the data is gone, and are flushed together with the
 * tip that has left those blocks behind; then the file is unlinked. So a crash in between leaves a file that
 * nothing refers to, never an entry without its file; the next start removes such files.
 *
 * What a file holds is kept by number in memory: it follows from the entries, so nothing of it is stored. */
#include <string.h>

#include "coin/base/log.h"
#include "state.h"

#define PRUNE_RESERVE_B (UINT64_C(17) << 20) /* as Bitcoin: what the file being written may still grow by */
#define PRUNE_FILES_MAX 64 /* deleted at a time: the entries of each are walked on the loop */

struct prune_job {
    struct job job;
    struct ledger *ledger;
    uint32_t files[PRUNE_FILES_MAX];
    uint32_t count;
    uint64_t disk_b;
    struct fail why;
};

static bool choose(struct ledger *ledger, struct prune_job *prune);
static bool may_go(const struct ledger *ledger, uint32_t file, int32_t last_height);
static int32_t last_prunable(const struct ledger *ledger, int32_t asked);
static void forget_file(struct ledger *ledger, uint32_t file);
static void forget_entry(struct ledger *ledger, struct block_index *index, uint32_t file);
static void forget_branches(struct ledger *ledger, struct block_index *parent, uint32_t file, int32_t high);
static void flushed(void *ctx, const struct fail *why);
static void remove_run(struct job *job);
static void remove_done(struct job *job);
static void answer(struct ledger *ledger, const struct fail *why);

bool ledger_is_pruning(const struct ledger *ledger)
{
    return ledger->options.prune_target_b > 0;
}

int32_t ledger_prune_height(const struct ledger *ledger)
{
    return ledger->prune_height;
}

void ledger_keep_from(struct ledger *ledger, int32_t height)
{
    ledger->keep_from = height;
}

void ledger_prune(struct ledger *ledger, int32_t height, struct ledger_done done)
{
    struct fail why;
    if (ledger->prune_asked || ledger->stopping || ledger->fatal) {
        fail_set(&why, FAIL_NO_ROOM, "busy", "a pruning is under way, or the node is stopping");
        ledger_done_later(ledger, done, &why);
    } else {
        ledger->prune_asked = true;
        ledger->prune_asked_height = height;
        ledger->prune_done = done;
    }
    ledger_pump(ledger);
}

/* ---- what each file holds ---- */
bool prune_note_block(struct ledger *ledger, const struct block_index *index)
{
    if (!mem_try_grow(&ledger->file_uses, &ledger->file_use_capacity, index->file + 1, BLOCKFILES_MAX,
            sizeof *ledger->file_uses))
        return false;
    if (index->file >= ledger->file_use_count)
        ledger->file_use_count = index->file + 1;
    struct file_use *use = &ledger->file_uses[index->file];
    if (use->blocks == 0 || index->height < use->low)
        use->low = index->height;
    if (use->blocks == 0 || index->height > use->high)
        use->high = index->height;
    use->blocks++;
    use->size_b += index->data_size_b + RECORD_HEAD_B;
    ledger->file_use_b += index->data_size_b + RECORD_HEAD_B;
    return true;
}

void prune_note_undo(struct ledger *ledger, const struct block_index *index)
{
    uint64_t size_b = index->undo_size_b + RECORD_HEAD_B + UNDO_CHECKSUM_B;
    if (index->file >= ledger->file_use_count)
        return;
    ledger->file_uses[index->file].size_b += size_b;
    ledger->file_use_b += size_b;
}

bool prune_load(struct ledger *ledger, struct fail *why)
{
    for (struct block_index *at = ledger->genesis; at != NULL; at = tree_next(ledger->genesis, at, false)) {
        if ((at->status & BLOCK_PRUNED) != 0 && at->height >= ledger->prune_height &&
            ledger_is_active(ledger, at))
            ledger->prune_height = at->height + 1;
        if ((at->status & BLOCK_HAVE_DATA) == 0)
            continue;
        if (!prune_note_block(ledger, at))
            return fail_oom(why, "list of block files");
        if ((at->status & BLOCK_HAVE_UNDO) != 0)
            prune_note_undo(ledger, at);
    }
    if (ledger->prune_height == 0)
        return true;
    if (!ledger_is_pruning(ledger))
        return fail_request(why, -1,
            "You need to rebuild the database using -reindex to go back to unpruned mode.  This will "
            "redownload the entire blockchain");
    for (uint32_t i = 0; i + 1 < ledger->file_use_count; i++)
        if (ledger->file_uses[i].blocks == 0 && !blockfiles_remove(&ledger->files, i, why))
            return false;
    return true;
}

/* ---- choosing ---- */
void prune_advance(struct ledger *ledger)
{
    if (!ledger_is_pruning(ledger) || ledger->pruning || ledger->stopping || ledger->switching || ledger->fatal ||
        ledger->reindexing) {
        if (!ledger->pruning && ledger->prune_asked) {
            struct fail why;
            fail_request(&why, -1, "Cannot prune blocks because node is not in prune mode, or not ready.");
            answer(ledger, &why);
        }
        return;
    }
    bool automatic = ledger->options.prune_target_b != PRUNE_MANUAL &&
                     ledger->file_use_b + PRUNE_RESERVE_B > ledger->options.prune_target_b &&
                     (ledger->prune_tried_height != last_prunable(ledger, INT32_MAX) ||
                         ledger->prune_tried_b != ledger->file_use_b);
    if (!automatic && !ledger->prune_asked)
        return;
    struct prune_job *prune = mem_new(sizeof *prune);
    prune->ledger = ledger;
    if (!choose(ledger, prune)) {
        mem_free(prune);
        ledger->prune_tried_height = last_prunable(ledger, INT32_MAX); /* nothing changes before that does */
        ledger->prune_tried_b = ledger->file_use_b;
        if (indexes_want_flush(ledger, ledger->tip->height - PRUNE_KEEP_BLOCKS))
            ledger->flush_wanted = true;
        if (ledger->prune_asked)
            answer(ledger, &(struct fail){.kind = FAIL_NONE});
        return;
    }
    for (uint32_t i = 0; i < prune->count; i++)
        forget_file(ledger, prune->files[i]);
    ledger->pruning = true;
    ledger_flush(ledger, (struct ledger_done){flushed, prune});
}

/* Lowest numbers first; automatic pruning stops at the target. */
static bool choose(struct ledger *ledger, struct prune_job *prune)
{
    int32_t last_height = last_prunable(ledger, ledger->prune_asked ? ledger->prune_asked_height : INT32_MAX);
    uint64_t left_b = ledger->file_use_b;
    for (uint32_t i = 0; i + 1 < ledger->file_use_count && prune->count < PRUNE_FILES_MAX; i++) {
        if (!ledger->prune_asked && left_b + PRUNE_RESERVE_B <= ledger->options.prune_target_b)
            break;
        if (!may_go(ledger, i, last_height))
            continue;
        prune->files[prune->count++] = i;
        left_b -= ledger->file_uses[i].size_b;
    }
    return prune->count > 0;
}

static bool may_go(const struct ledger *ledger, uint32_t file, int32_t last_height)
{
    const struct file_use *use = &ledger->file_uses[file];
    if (use->blocks == 0 || use->high > last_height)
        return false;
    for (int32_t h = use->low; h <= use->high; h++) {
        const struct block_index *index = ledger_at(ledger, h);
        bool lies_there = index->data_size_b > 0 && index->file == file;
        if (lies_there && h > 0 && (index->status & BLOCK_HAVE_UNDO) == 0)
            return false; /* its undo data is on its way there */
    }
    return true;
}

static int32_t last_prunable(const struct ledger *ledger, int32_t asked)
{
    int32_t last = ledger->tip->height - PRUNE_KEEP_BLOCKS;
    int32_t keep_from = indexes_keep_from(ledger);
    keep_from = keep_from < ledger->keep_from ? keep_from : ledger->keep_from;
    if (ledger->background != NULL && background_keep_from(ledger->background) < keep_from)
        keep_from = background_keep_from(ledger->background);
    keep_from = keep_from < ledger->verify_from ? keep_from : ledger->verify_from;
    last = asked < last ? asked : last;
    return keep_from - 1 < last ? keep_from - 1 : last;
}

/* ---- forgetting ---- */
static void forget_file(struct ledger *ledger, uint32_t file)
{
    struct file_use *use = &ledger->file_uses[file];
    for (int32_t h = use->low; h <= use->high; h++) {
        struct block_index *index = ledger_at(ledger, h);
        if (h > 0)
            forget_branches(ledger, index->prev, file, use->high);
        forget_entry(ledger, index, file);
    }
    if (use->high >= ledger->prune_height)
        ledger->prune_height = use->high + 1;
    ledger->file_use_b -= use->size_b;
    memset(use, 0, sizeof *use);
    log_info("Pruning blk%05u.dat: blocks from height %d on are kept", (unsigned)file,
        (int)ledger->prune_height);
}

static void forget_entry(struct ledger *ledger, struct block_index *index, uint32_t file)
{
    if ((index->status & BLOCK_HAVE_DATA) == 0 || index->file != file || index->data_size_b == 0)
        return;
    index->status &= ~(uint32_t)(BLOCK_HAVE_DATA | BLOCK_HAVE_UNDO);
    index->status |= BLOCK_PRUNED;
    index->file = index->data_pos_b = index->data_size_b = index->undo_pos_b = index->undo_size_b = 0;
    held_release(ledger, index);
    index_mark_dirty(ledger, index);
}

/* Branches beside the chain cannot become it any more once a block of theirs is gone. */
static void forget_branches(struct ledger *ledger, struct block_index *parent, uint32_t file, int32_t high)
{
    for (struct block_index *child = parent->child; child != NULL; child = child->sibling) {
        if (ledger_is_active(ledger, child))
            continue;
        for (struct block_index *at = child; at != NULL; at = tree_next(child, at, at->height > high))
            if (at->height <= high) {
                forget_entry(ledger, at, file);
                if ((at->status & BLOCK_PRUNED) != 0)
                    index_unlink(ledger, at);
            }
    }
}

/* ---- deleting ---- */
static void flushed(void *ctx, const struct fail *why)
{
    struct prune_job *prune = ctx;
    struct ledger *ledger = prune->ledger;
    if (why->kind != FAIL_NONE) {
        ledger->pruning = false;
        mem_free(prune);
        return;
    }
    prune->job = (struct job){
        .run = remove_run, .done = remove_done, .lane = JOB_WRITE, .serial = &ledger->writer};
    ledger_submit(ledger, &prune->job);
}

static void remove_run(struct job *job)
{
    struct prune_job *prune = (struct prune_job *)job;
    struct blockfiles *files = &prune->ledger->files; /* the writer's: this serial */
    for (uint32_t i = 0; i < prune->count; i++)
        if (!blockfiles_remove(files, prune->files[i], &prune->why))
            return;
    prune->disk_b = blockfiles_size_b(files);
    fail_clear(&prune->why);
}

static void remove_done(struct job *job)
{
    struct prune_job *prune = (struct prune_job *)job;
    struct ledger *ledger = prune->ledger;
    struct fail why = prune->why;
    uint32_t count = prune->count;
    ledger_job_back(ledger);
    ledger->pruning = false;
    if (why.kind == FAIL_NONE)
        ledger->disk_b = prune->disk_b;
    else
        log_warning("An old block file cannot be deleted: %s", why.detail);
    mem_free(prune);
    if (ledger->prune_asked && (count < PRUNE_FILES_MAX || why.kind != FAIL_NONE))
        answer(ledger, &why);
    ledger->prune_tried_height = -1; /* perhaps more of them */
    ledger_pump(ledger);
}

static void answer(struct ledger *ledger, const struct fail *why)
{
    ledger->prune_asked = false;
    ledger_done_later(ledger, ledger->prune_done, why);
}
