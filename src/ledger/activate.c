/* Which branch is the chain, and the steps towards it. Candidates are the ends of branches whose blocks
 * are all here; the best one is the goal: most work, and among equal ones the one that came first. The
 * pump brings the pipeline nearer to the goal, or disconnects blocks when the goal lies on another branch,
 * and tells the others what happened.
 * Invariant: outside the pump's steps, tip and coins agree but for the applied blocks of the pipeline. */
#include <string.h>

#include "coin/base/log.h"
#include "coin/script/script.h"
#include "state.h"

#define CANDIDATES_MAX (1u << 26)
#define DIRTY_ROWS_MAX TREE_HEADERS_MAX

static struct block_index *choose_goal(struct ledger *ledger);
static bool is_better(const struct block_index *a, const struct block_index *b);
static void candidate_remove(struct ledger *ledger, struct block_index *index);
static bool may_begin(const struct ledger *ledger);
static void seek_goal(struct ledger *ledger);
static void extend(struct ledger *ledger, struct block_index *goal);
static void load_run(struct job *job);
static void load_done(struct job *job);
static void advance(struct ledger *ledger);
static void commit_ready(struct ledger *ledger);
static void commit(struct ledger *ledger, struct connecting *c);
static void undo_run(struct job *job);
static void undo_done(struct job *job);
static void fail_first(struct ledger *ledger);
static void disconnect_begin(struct ledger *ledger);
static void disconnect_run(struct job *job);
static void disconnect_done(struct job *job);
static bool disconnect_coins(struct ledger *ledger, const struct disconnecting *d);
static void tell_tip(struct ledger *ledger);
static void drop_all(struct ledger *ledger);
static void deliver(struct ledger *ledger);

/* ---- the pump ---- */
void ledger_pump(struct ledger *ledger)
{
    if (ledger->pumping || (!ledger->started && !ledger->stopping)) {
        ledger->pump_again = true;
        return;
    }
    ledger->pumping = true;
    ledger_backlog_submit(ledger);
    do {
        ledger->pump_again = false;
        if (ledger->fatal) {
            drop_all(ledger);
        } else {
            commit_ready(ledger);
            if (ledger->stopping)
                drop_all(ledger);
            else
                manual_advance(ledger);
            import_advance(ledger);
            seek_goal(ledger);
            tests_advance(ledger);
            advance(ledger);
        }
        snapshot_advance(ledger);
        background_advance(ledger);
        indexes_advance(ledger);
        prune_advance(ledger);
        flush_advance(ledger);
        coins_requests_advance(ledger);
        tell_tip(ledger);
        intakes_settle(ledger);
        deliver(ledger);
    } while (ledger->pump_again);
    ledger->pumping = false;
    ledger_try_stop(ledger); /* last: the one who is told may free us */
}

bool ledger_is_settled(const struct ledger *ledger)
{
    return ledger->import == NULL && ledger->intake_count == 0 && ledger->manual_first == NULL &&
           activation_is_settled(ledger);
}

bool activation_is_settled(const struct ledger *ledger)
{
    return ledger->first == NULL && ledger->disconnect == NULL && !index_is_failed(ledger->tip) &&
           choose_goal((struct ledger *)(uintptr_t)ledger) == ledger->tip;
}

struct block_index *pipeline_end(const struct ledger *ledger)
{
    return ledger->last != NULL ? ledger->last->index : ledger->tip;
}

bool index_is_failed(const struct block_index *index)
{
    return (index->status & (BLOCK_FAILED | BLOCK_FAILED_PARENT)) != 0;
}

void index_mark_dirty(struct ledger *ledger, struct block_index *index)
{
    if (index->is_dirty)
        return;
    if (!mem_try_grow(&ledger->dirty, &ledger->dirty_capacity, ledger->dirty_count + 1,
            DIRTY_ROWS_MAX, sizeof *ledger->dirty)) {
        struct fail why;
        fail_oom(&why, "changed headers");
        ledger_die(ledger, &why);
        return;
    }
    index->is_dirty = true;
    ledger->dirty[ledger->dirty_count++] = index;
}

void index_mark_failed(struct ledger *ledger, struct block_index *index, const struct fail *why)
{
    index->status |= BLOCK_FAILED;
    for (struct block_index *at = index; at != NULL; at = tree_next(index, at, false)) {
        if (at != index)
            at->status |= BLOCK_FAILED_PARENT;
        index_mark_dirty(ledger, at);
        if (at->held != NULL && at->held->stored && !ledger_is_active(ledger, at))
            held_release(ledger, at);
    }
    intakes_failed(ledger, index, why);
    ledger_effect_add(ledger, LEDGER_INVALID, index, NULL, why);
    candidates_rebuild(ledger);
    headers_rebuild_best(ledger);
}

/* ---- candidates ---- */
/* index has its data. When all its ancestors have theirs too, it and what waited for it are linked. */
void index_link(struct ledger *ledger, struct block_index *index)
{
    if (index->prev->chain_tx_count == 0)
        return;
    bool skip;
    for (struct block_index *at = index; at != NULL; at = tree_next(index, at, skip)) {
        skip = (at->status & BLOCK_HAVE_DATA) == 0 || at->chain_tx_count > 0;
        if (skip)
            continue;
        at->chain_tx_count = at->prev->chain_tx_count + at->tx_count;
        at->sequence = ledger->next_sequence++;
        if (!index_is_failed(at))
            candidate_add(ledger, at);
    }
}

void index_unlink(struct ledger *ledger, struct block_index *index)
{
    bool skip;
    for (struct block_index *at = index; at != NULL; at = tree_next(index, at, skip)) {
        skip = at->chain_tx_count == 0;
        at->chain_tx_count = 0;
        if (at->candidate != 0)
            candidate_remove(ledger, at);
    }
}

void candidate_add(struct ledger *ledger, struct block_index *index)
{
    if (index->candidate != 0 ||
        (ledger->background != NULL && !background_admits(ledger->background, index)))
        return;
    if (index->prev != NULL && index->prev->candidate != 0) { /* always better than its parent */
        index->candidate = index->prev->candidate;
        index->prev->candidate = 0;
        ledger->candidates[index->candidate - 1] = index;
        return;
    }
    if (!mem_try_grow(&ledger->candidates, &ledger->candidate_capacity, ledger->candidate_count + 1,
            CANDIDATES_MAX, sizeof *ledger->candidates)) {
        struct fail why;
        fail_oom(&why, "branches");
        ledger_die(ledger, &why);
        return;
    }
    ledger->candidates[ledger->candidate_count++] = index;
    index->candidate = ledger->candidate_count;
}

static void candidate_remove(struct ledger *ledger, struct block_index *index)
{
    uint32_t at = index->candidate - 1;
    index->candidate = 0;
    struct block_index *last = ledger->candidates[--ledger->candidate_count];
    if (last != index) {
        ledger->candidates[at] = last;
        last->candidate = at + 1;
    }
}

void candidates_rebuild(struct ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->candidate_count; i++)
        ledger->candidates[i]->candidate = 0;
    ledger->candidate_count = 0;
    /* With a snapshot in use blocks are missing between the first one and its own. */
    struct block_index *root =
        ledger->background != NULL ? background_base(ledger->background) : ledger->genesis;
    bool skip;
    for (struct block_index *at = root; at != NULL; at = tree_next(root, at, skip)) {
        skip = at->chain_tx_count == 0 || index_is_failed(at);
        if (!skip)
            candidate_add(ledger, at);
    }
}

static bool is_better(const struct block_index *a, const struct block_index *b)
{
    int order = u256_compare(&a->chain_work, &b->chain_work);
    return order != 0 ? order > 0 : a->sequence < b->sequence;
}

static struct block_index *choose_goal(struct ledger *ledger)
{
    struct block_index *tip = ledger->tip;
    bool tip_failed = index_is_failed(tip);
    struct block_index *best = tip_failed ? NULL : tip;
    for (uint32_t i = 0; i < ledger->candidate_count; i++) {
        struct block_index *c = ledger->candidates[i];
        if (best == NULL || (c != best && is_better(c, best)))
            best = c;
    }
    if (best == NULL)
        best = ledger->genesis;
    int32_t stop = ledger->options.stop_at_height;
    if (stop > 0 && best->height > stop && best != tip)
        best = tip->height >= stop && !tip_failed ? tip : index_ancestor(best, stop);
    return best;
}

/* Branches that fell behind will not be chosen again unless something fails, and then all are looked at. */
static void forget_worse(struct ledger *ledger)
{
    for (uint32_t i = ledger->candidate_count; i-- > 0;) {
        struct block_index *c = ledger->candidates[i];
        if (c != ledger->tip && u256_compare(&c->chain_work, &ledger->tip->chain_work) < 0) {
            candidate_remove(ledger, c);
            if (c->held != NULL && c->held->stored)
                held_release(ledger, c);
        }
    }
}

/* ---- towards the goal ---- */
static bool may_begin(const struct ledger *ledger)
{
    return !ledger->stopping && !ledger->fatal && !ledger->low_space && !ledger->switching &&
           ledger->disconnect == NULL && !manual_needs_quiet(ledger);
}

static void seek_goal(struct ledger *ledger)
{
    if (!may_begin(ledger))
        return;
    struct block_index *goal = choose_goal(ledger);
    if (index_ancestor(goal, pipeline_end(ledger)->height) == pipeline_end(ledger)) {
        extend(ledger, goal);
        return;
    }
    pipeline_drop_idle(ledger);
    struct block_index *end = pipeline_end(ledger);
    if (index_ancestor(goal, end->height) == end)
        extend(ledger, goal);
    else if (ledger->first == NULL && !flush_needs_quiet(ledger) && ledger->test == NULL)
        disconnect_begin(ledger);
}

static void extend(struct ledger *ledger, struct block_index *goal)
{
    struct block_index *end = pipeline_end(ledger);
    while (end != goal && ledger->pipeline_count < PIPELINE_MAX &&
           ledger->pipeline_b < PIPELINE_MAX_B && ledger->undo_b < UNDO_MAX_B) {
        struct block_index *next = index_ancestor(goal, end->height + 1);
        struct connecting *c = connecting_new(ledger, next);
        if (ledger->last != NULL)
            ledger->last->next = c;
        else
            ledger->first = c;
        ledger->last = c;
        ledger->pipeline_count++;
        ledger->pipeline_b += next->held != NULL ? next->held->block->size_b : next->data_size_b;
        c->scripts = !ledger_assumes_valid(ledger, next);
        if (next->held != NULL) {
            c->block = block_ref(next->held->block);
            c->stage = CONNECT_LOADED;
        } else {
            c->job = (struct job){.run = load_run, .done = load_done, .lane = JOB_READ};
            c->undo_file = next->file;
            c->undo_pos_b = next->data_pos_b;
            c->undo_size_b = next->data_size_b;
            c->jobs++;
            ledger_submit(ledger, &c->job);
        }
        end = next;
    }
}

/* While loading, the three numbers say where the block lies. */
static void load_run(struct job *job)
{
    struct connecting *c = (struct connecting *)job;
    struct buf raw;
    buf_init(&raw, BLOCK_SIZE_MAX_B + RECORD_HEAD_B);
    if (blockfiles_read(
            &c->ledger->files, c->undo_file, c->undo_pos_b, c->undo_size_b, &raw, &c->why) &&
        block_decode(&c->block, &raw, &c->why)) {
        bool mutated = false;
        uint8_t root[32];
        block_merkle_root(root, c->block, &mutated);
        if (memcmp(root, c->block->header.merkle_root, sizeof root) == 0)
            fail_clear(&c->why);
        else
            fail_set(&c->why, FAIL_LOCAL, "damaged", "merkle root of a stored block is wrong");
    }
    buf_clear(&raw);
}

static void load_done(struct job *job)
{
    struct connecting *c = (struct connecting *)job;
    struct ledger *ledger = c->ledger;
    ledger_job_back(ledger);
    c->jobs--;
    if (c->abandoned) {
        if (c->jobs == 0)
            connecting_free(c);
    } else {
        if (c->why.kind == FAIL_NONE && !block_id_equal(&c->block->id, &c->index->id))
            fail_set(&c->why, FAIL_LOCAL, "damaged", "another block lies in its place");
        if (c->why.kind != FAIL_NONE) {
            /* Our disk, not the block: whatever the decoder called it. A lack of memory damages nothing. */
            struct fail why = c->why;
            if (why.kind != FAIL_NO_ROOM)
                fail_set(&why, FAIL_LOCAL, "damaged",
                    "block %d in %s cannot be read (%s); start with -reindex",
                    (int)c->index->height, ledger->blocks_dir, c->why.detail);
            c->why = why;
            ledger_die(ledger, &why);
        }
        c->stage = CONNECT_LOADED;
    }
    ledger_pump(ledger);
}

/* Prefetches for all, applies in order. */
static void advance(struct ledger *ledger)
{
    bool in_order = ledger->disconnect == NULL && !ledger->stopping && !ledger->low_space &&
                    ledger->test == NULL;
    for (struct connecting *c = ledger->first; c != NULL && !ledger->fatal; c = c->next) {
        if (c->stage == CONNECT_LOADED && c->why.kind == FAIL_NONE)
            connecting_fetch(ledger, c);
        if (in_order && c->stage == CONNECT_FETCHED && !flush_needs_quiet(ledger) &&
            !coins_requests_need_quiet(ledger) && !tests_need_quiet(ledger) &&
            !manual_needs_quiet(ledger)) {
            if (connecting_apply(ledger, c)) {
                ledger->applied_count++;
                connecting_check(ledger, c);
            } else if (c->why.kind != FAIL_NONE) {
                c->stage = CONNECT_CHECKED;
                ledger->pump_again = ledger->pump_again || c == ledger->first;
            } else if (c->stage == CONNECT_FETCHED) { /* fetched again, and all was known */
                ledger->pump_again = true;
            }
        }
        in_order = in_order && c->applied;
    }
}

static void commit_ready(struct ledger *ledger)
{
    while (ledger->first != NULL && ledger->first->stage == CONNECT_CHECKED && !ledger->fatal) {
        connecting_conclude(ledger->first);
        if (ledger->first->why.kind != FAIL_NONE) {
            fail_first(ledger);
            return;
        }
        commit(ledger, ledger->first);
    }
}

static void commit(struct ledger *ledger, struct connecting *c)
{
    struct block_index *index = c->index;
    struct fail why;
    if (!ledger_set_active(ledger, index, &why)) {
        ledger_die(ledger, &why);
        return;
    }
    ledger->first = c->next;
    if (ledger->first == NULL)
        ledger->last = NULL;
    c->next = NULL;
    ledger->pipeline_count--;
    ledger->pipeline_b -= c->block->size_b;
    ledger->applied_count--;
    index->status |= BLOCK_SCRIPTS_OK;
    index_mark_dirty(ledger, index);
    ledger->tip = index;
    ledger->tip_sequence++;
    intakes_connected(ledger, index);
    ledger_effect_add(ledger, LEDGER_CONNECTED, index, c->block, NULL);
    if (index->held != NULL && index->held->stored)
        held_release(ledger, index);
    ledger_update_initial_download(ledger);
    forget_worse(ledger);
    if ((index->status & BLOCK_HAVE_UNDO) != 0) {
        connecting_free(c);
        return;
    }
    c->job = (struct job){
        .run = undo_run, .done = undo_done, .lane = JOB_WRITE, .serial = &ledger->writer};
    ledger->undo_jobs++;
    ledger->undo_b += c->block->size_b;
    ledger_submit(ledger, &c->job);
}

static void undo_run(struct job *job)
{
    struct connecting *c = (struct connecting *)job;
    struct ledger *ledger = c->ledger; /* the writer's parts only */
    struct buf undo;
    buf_init(&undo, (size_t)BLOCK_SIZE_MAX_B * 64);
    undo_pack(&undo, c->block, c->spent);
    c->undo_size_b = (uint32_t)undo.size_b;
    if (buf_ok(&undo, "undo data", &c->why) &&
        blockfiles_append_undo(&ledger->files, c->index->writer_file, &c->block->header.prev,
            buf_span(&undo), &c->undo_pos_b, &c->why))
        fail_clear(&c->why);
    buf_clear(&undo);
}

static void undo_done(struct job *job)
{
    struct connecting *c = (struct connecting *)job;
    struct ledger *ledger = c->ledger;
    struct block_index *index = c->index;
    ledger_job_back(ledger);
    ledger->undo_jobs--;
    ledger->undo_b -= c->block->size_b;
    if (c->why.kind == FAIL_NONE) {
        index->undo_pos_b = c->undo_pos_b;
        index->undo_size_b = c->undo_size_b;
        index->status |= BLOCK_HAVE_UNDO;
        prune_note_undo(ledger, index);
        ledger->unsynced = true;
        index_mark_dirty(ledger, index);
    } else {
        ledger_die(ledger, &c->why);
    }
    connecting_free(c);
    ledger_pump(ledger);
}

/* The lowest block of the pipeline broke a rule: it and all above it are taken back. */
static void fail_first(struct ledger *ledger)
{
    struct connecting *bad = ledger->first, *order[PIPELINE_MAX];
    struct fail why = bad->why;
    uint32_t count = 0;
    for (struct connecting *c = bad; c != NULL; c = c->next)
        order[count++] = c;
    ledger->first = ledger->last = NULL;
    ledger->pipeline_count = ledger->applied_count = 0;
    ledger->pipeline_b = 0;
    struct block_index *index = bad->index;
    bool ok = true;
    struct fail undo_why;
    while (count-- > 0) {
        ok = ok && connecting_unapply(order[count], &undo_why);
        connecting_abandon(ledger, order[count]);
    }
    if (!ok) {
        ledger_die(ledger, &undo_why);
    } else if (why.kind == FAIL_INVALID) {
        log_warning("Block %s at height %d is invalid: %s, %s", hash_show(index->id.b),
            (int)index->height, why.code, why.detail);
        index_mark_failed(ledger, index, &why);
    } else {
        ledger_die(ledger, &why);
    }
    ledger->pump_again = true;
}

void pipeline_drop_idle(struct ledger *ledger)
{
    struct connecting **link = &ledger->first;
    struct connecting *kept = NULL;
    while (*link != NULL && (*link)->applied) {
        kept = *link;
        link = &(*link)->next;
    }
    struct connecting *c = *link;
    *link = NULL;
    ledger->last = kept;
    while (c != NULL) {
        struct connecting *next = c->next;
        ledger->pipeline_count--;
        connecting_abandon(ledger, c);
        c = next;
    }
    ledger->pipeline_b = 0;
    for (c = ledger->first; c != NULL; c = c->next)
        ledger->pipeline_b += c->block->size_b;
}

/* At the stop or after a failure of our own: what is not applied goes; applied blocks finish first, unless
 * nothing can be committed any more. */
static void drop_all(struct ledger *ledger)
{
    pipeline_drop_idle(ledger);
    manual_drop(ledger);
    tests_drop(ledger);
    while (ledger->fatal && ledger->first != NULL) {
        struct connecting *c = ledger->first;
        ledger->first = c->next;
        c->applied = false; /* these coins are never written */
        connecting_abandon(ledger, c);
    }
    if (!ledger->fatal)
        return;
    ledger->last = NULL;
    ledger->pipeline_count = ledger->applied_count = 0;
    ledger->pipeline_b = 0;
    coins_requests_drop(ledger);
    if (ledger->test != NULL) {
        struct connecting *c = ledger->test;
        ledger->test = NULL;
        struct intake *intake = c->test;
        ledger->test_count--;
        intake_finish(ledger, intake, BLOCK_OUTCOME_REFUSED, &ledger->fatal_why);
        connecting_abandon(ledger, c);
    }
}

/* ---- disconnect ---- */
static void disconnect_begin(struct ledger *ledger)
{
    struct block_index *index = ledger->tip;
    struct fail why;
    if (index->prev == NULL) {
        fail_set(&why, FAIL_LOCAL, "damaged", "the first block cannot be disconnected");
        ledger_die(ledger, &why);
        return;
    }
    if ((index->status & BLOCK_HAVE_UNDO) == 0) {
        if (ledger->undo_jobs > 0)
            return; /* it is being written: the pump runs again when it is */
        if ((index->status & BLOCK_PRUNED) != 0)
            fail_set(&why, FAIL_LOCAL, "pruned",
                "another branch has more work, but leaving ours needs block %d, which was pruned; start "
                "with -reindex to download the chain again",
                (int)index->height);
        else
            fail_set(&why, FAIL_LOCAL, "damaged",
                "undo data of block %d is missing; start with -reindex-chainstate", (int)index->height);
        ledger_die(ledger, &why);
        return;
    }
    struct disconnecting *d = mem_new(sizeof *d);
    d->job = (struct job){.run = disconnect_run, .done = disconnect_done, .lane = JOB_READ};
    d->ledger = ledger;
    if (stored_block_find(&d->at, index, NEED_NOTHING) && index->held != NULL) /* perhaps it is in memory only */
        d->at.block = block_ref(index->held->block);
    ledger->disconnect = d;
    ledger_submit(ledger, &d->job);
}

static void disconnect_run(struct job *job)
{
    struct disconnecting *d = (struct disconnecting *)job;
    if (stored_block_read(&d->at, &d->ledger->files, NEED_UNDO, &d->why))
        fail_clear(&d->why);
}

static void disconnect_done(struct job *job)
{
    struct disconnecting *d = (struct disconnecting *)job;
    struct ledger *ledger = d->ledger;
    struct block_index *index = d->at.index;
    struct fail why;
    ledger_job_back(ledger);
    ledger->disconnect = NULL;
    if (d->why.kind != FAIL_NONE) {
        ledger_die(ledger, &d->why);
    } else if (!ledger->fatal && !disconnect_coins(ledger, d)) {
        fail_oom(&why, "disconnecting a block");
        ledger_die(ledger, &why);
    } else if (!ledger->fatal) {
        if (ledger->reorg_from == NULL)
            ledger->reorg_from = index;
        ledger->tip = index->prev;
        ledger->tip_sequence++;
        ledger_effect_add(ledger, LEDGER_DISCONNECTED, index, d->at.block, NULL);
    }
    stored_block_clear(&d->at);
    mem_free(d);
    ledger_pump(ledger);
}

static bool disconnect_coins(struct ledger *ledger, const struct disconnecting *d)
{
    const struct block *block = d->at.block;
    uint32_t left = d->at.undo->count;
    for (uint32_t t = block->tx_count; t-- > 0;) {
        const struct tx *tx = &block->txs[t];
        for (uint32_t i = 0; i < tx->out_count; i++) {
            struct outpoint outpoint = {tx->txid, i};
            if (!script_is_unspendable(tx->out[i].script) &&
                !coins_uncreate(&ledger->coins, &outpoint))
                return false;
        }
        for (uint32_t i = t > 0 ? tx->in_count : 0; i-- > 0;)
            if (!coins_untake(&ledger->coins, &tx->in[i].prevout, &d->at.undo->coins[--left]))
                return false;
    }
    return true;
}

/* ---- telling ---- */
static void tell_tip(struct ledger *ledger)
{
    struct block_index *tip = ledger->tip, *told = ledger->told_tip;
    if (tip == told) {
        if (ledger->reorg_from != NULL && activation_is_settled(ledger))
            ledger->reorg_from = NULL;
        return;
    }
    bool settled = activation_is_settled(ledger);
    if (!settled && (ledger->disconnect != NULL || index_is_failed(tip) ||
                        u256_compare(&tip->chain_work, &told->chain_work) <= 0))
        return; /* in the middle of a reorganisation */
    int32_t depth = told->height - index_fork(told, tip)->height;
    if (depth > REORG_ALERT_DEPTH)
        log_warning("Reorganisation %d blocks deep, from %s to %s", (int)depth,
            hash_show(told->id.b), hash_show(tip->id.b));
    if (!ledger->initial_download)
        log_info("New tip %s height %d, %llu transactions", hash_show(tip->id.b), (int)tip->height,
            (unsigned long long)tip->chain_tx_count);
    ledger->told_tip = tip;
    ledger->reorg_from = NULL;
    ledger_effect_add(ledger, LEDGER_TIP, tip, NULL, NULL);
}

/* A verdict is told after the effects that belong to it: whoever hears "connected" may count on mempool and
 * wallets having heard of the block before. ledger_next_effect comes back here when the last is taken. */
static void deliver(struct ledger *ledger)
{
    coins_requests_deliver(ledger);
    if (ledger->effect_first != ledger->effect_count)
        return;
    while (ledger->done_first != NULL) {
        struct done_item *item = ledger->done_first;
        ledger->done_first = item->next;
        if (ledger->done_first == NULL)
            ledger->done_last = NULL;
        struct done_item called = *item;
        mem_free(item);
        if (called.done.fn != NULL)
            called.done.fn(called.done.ctx, &called.why);
    }
    while (ledger->verdict_first != NULL) {
        struct intake *intake = ledger->verdict_first;
        ledger->verdict_first = intake->next;
        if (ledger->verdict_first == NULL)
            ledger->verdict_last = NULL;
        ledger->intake_count--;
        ledger->intake_b -= intake->size_b;
        intake_tell_room(ledger);
        struct intake called = *intake;
        mem_free(intake);
        if (called.verdict.fn != NULL)
            called.verdict.fn(called.verdict.ctx, called.outcome, called.index, &called.why);
    }
}

/* Bitcoin's conditions for leaving scripts of old blocks unchecked: the assumed-valid block is known, this
 * block is among its ancestors, it is on the best header's branch, that branch has the minimum work, and
 * as much work lies on top of this block as two weeks would bring. */
bool ledger_assumes_valid(const struct ledger *ledger, const struct block_index *index)
{
    static const int64_t two_weeks_s = 14 * 24 * 3600;
    if (block_id_is_zero(&ledger->assumed_valid))
        return false;
    struct block_index *assumed = tree_find(&ledger->tree, &ledger->assumed_valid);
    struct block_index *best = ledger->best_header;
    if (assumed == NULL || index_ancestor(assumed, index->height) != index ||
        index_ancestor(best, assumed->height) != assumed ||
        u256_compare(&best->chain_work, &ledger->minimum_chain_work) < 0)
        return false;
    struct u256 above = u256_sub(&best->chain_work, &index->chain_work);
    struct u256 last =
        u256_sub(&best->chain_work, &best->prev->chain_work); /* work of one block today */
    bool overflow = false;
    struct u256 needed =
        u256_mul_u64(&last, (uint64_t)(two_weeks_s / ledger->chain->spacing_s), &overflow);
    return !overflow && u256_compare(&above, &needed) > 0;
}
