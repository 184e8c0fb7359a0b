/* Blocks coming in: an offer becomes an intake, a job decodes and checks it without context and with its
 * parent's, and then the block is known: kept in memory for the pipeline, sent to its file by the writer,
 * linked to its ancestors. The verdict follows when the activation has settled what becomes of it.
 * Invariant: every intake ends in exactly one verdict, called from the pump, never from an offer. */
#include <string.h>

#include "coin/base/log.h"
#include "state.h"

struct store_job { /* appends one block to its file */
    struct job job;
    struct ledger *ledger;
    struct block_index *index;
    struct block *block;
    uint32_t file, pos_b;
    uint64_t disk_b;
    struct fail why;
};

static bool offer_raw(struct ledger *ledger, struct buf *raw, bool requested,
    const struct block_place *place, struct block_verdict verdict);
static bool has_room(struct ledger *ledger, size_t size_b);
static struct intake *intake_new(
    struct ledger *ledger, size_t size_b, struct block_verdict verdict);
static void intake_bounce(
    struct intake *intake, enum block_outcome outcome, const struct fail *why);
static bool intake_begin(
    struct intake *intake, const struct header *header, const struct block_id *id);
static bool is_wanted(const struct ledger *ledger, const struct intake *intake, struct fail *why);
static bool lacks_ancestor(const struct block_index *index);
static void admit_run(struct job *job);
static void admit_done(struct job *job);
static void bounce_run(struct job *job);
static void bounce_done(struct job *job);
static void held_add(struct ledger *ledger, struct block_index *index, struct block *block);
static void note_stored(struct ledger *ledger, struct block_index *index,
    const struct block_place *place, uint32_t size_b);
static void store_run(struct job *job);
static void store_done(struct job *job);
static void test_run(struct job *job);
static void test_done(struct job *job);

bool ledger_offer_block(
    struct ledger *ledger, struct buf *raw, bool requested, struct block_verdict verdict)
{
    return !ledger->reindexing && offer_raw(ledger, raw, requested, NULL, verdict);
}

bool ledger_offer_stored(struct ledger *ledger, struct buf *raw, const struct block_place *place,
    struct block_verdict verdict)
{
    return offer_raw(ledger, raw, true, place, verdict);
}

static bool offer_raw(struct ledger *ledger, struct buf *raw, bool requested,
    const struct block_place *place, struct block_verdict verdict)
{
    if (!has_room(ledger, raw->size_b))
        return false;
    struct intake *intake = intake_new(ledger, raw->size_b, verdict);
    intake->requested = requested;
    intake->stored = place != NULL;
    if (place != NULL)
        intake->place = *place;
    buf_move(&intake->raw, raw);
    if (intake->raw.size_b < HEADER_SIZE_B) {
        fail_set(&intake->why, FAIL_PROTOCOL, "block-decode", "%zu bytes are no block",
            intake->raw.size_b);
        intake_bounce(intake, BLOCK_OUTCOME_REFUSED, NULL);
        return true;
    }
    struct header header;
    header_decode(&header, intake->raw.data);
    struct block_id id = header_id(&header);
    return intake_begin(intake, &header, &id);
}

bool ledger_offer_built(struct ledger *ledger, struct block *block, struct block_verdict verdict)
{
    if (ledger->reindexing || !has_room(ledger, block->size_b))
        return false;
    struct intake *intake = intake_new(ledger, block->size_b, verdict);
    intake->requested = true;
    intake->block = block_ref(block);
    return intake_begin(intake, &block->header, &block->id);
}

static bool has_room(struct ledger *ledger, size_t size_b)
{
    if (ledger->stopping || ledger->fatal || ledger->low_space)
        return false;
    if (ledger->switching) {
        ledger->intake_refused = true;
        return false;
    }
    /* A verdict may be given while the writer still has the block: it counts until it is stored. */
    size_t there_b = ledger->intake_b + ledger->unstored_b;
    bool room = ledger->intake_count < INTAKE_MAX &&
                (there_b == 0 || there_b + size_b <= INTAKE_MAX_B);
    if (!room)
        ledger->intake_refused = true;
    return room;
}

void intake_tell_room(struct ledger *ledger)
{
    if (!ledger->intake_refused)
        return;
    ledger->intake_refused = false;
    ledger_effect_add(ledger, LEDGER_IDLE, NULL, NULL, NULL);
}

static struct intake *intake_new(struct ledger *ledger, size_t size_b, struct block_verdict verdict)
{
    struct intake *intake = mem_new(sizeof *intake);
    intake->ledger = ledger;
    intake->size_b = size_b;
    intake->verdict = verdict;
    buf_init(&intake->raw, BLOCK_SIZE_MAX_B);
    ledger->intake_count++;
    ledger->intake_b += size_b;
    return intake;
}

static bool intake_begin(
    struct intake *intake, const struct header *header, const struct block_id *id)
{
    struct ledger *ledger = intake->ledger;
    struct fail *why = &intake->why;
    if (!header_admit(ledger, header, id, &intake->index, why)) {
        bool known = intake->index != NULL;
        intake_bounce(intake, known ? BLOCK_OUTCOME_DUPLICATE : BLOCK_OUTCOME_REFUSED, NULL);
    } else if ((intake->index->status & BLOCK_HAVE_DATA) != 0) {
        fail_set(why, FAIL_POLICY, "duplicate", "block %s is here already", hash_show(id->b));
        intake_bounce(intake, BLOCK_OUTCOME_DUPLICATE, NULL);
    } else if (!is_wanted(ledger, intake, why)) {
        intake_bounce(intake, BLOCK_OUTCOME_REFUSED, NULL);
    } else {
        intake->context.height = intake->index->height;
        intake->context.median_time_past_s = index_median_time_past_s(intake->index->prev);
        intake->index->in_flight++;
        intake->job = (struct job){.run = admit_run, .done = admit_done, .lane = JOB_VERIFY};
        ledger_submit(ledger, &intake->job);
    }
    return true;
}

/* What nobody asked for is only taken when it could soon be part of the best chain (Bitcoin's rule):
 * otherwise old low-work branches would fill the disk. */
static bool is_wanted(const struct ledger *ledger, const struct intake *intake, struct fail *why)
{
    const struct block_index *index = intake->index;
    if (intake->requested)
        return true;
    if (u256_compare(&index->chain_work, &ledger->tip->chain_work) < 0 ||
        u256_compare(&index->chain_work, &ledger->minimum_chain_work) < 0)
        return fail_set(why, FAIL_POLICY, "too-little-chainwork",
            "block %s was not asked for and has less work than the tip", hash_show(index->id.b));
    if (index->height > ledger->tip->height + UNREQUESTED_AHEAD_MAX)
        return fail_set(why, FAIL_POLICY, "unrequested",
            "block %s was not asked for and is %d above the tip", hash_show(index->id.b),
            (int)(index->height - ledger->tip->height));
    return true;
}

/* ---- the job ---- */
static void admit_run(struct job *job)
{
    struct intake *intake = (struct intake *)job;
    const struct chain *chain = intake->ledger->chain; /* immutable */
    struct fail *why = &intake->why;
    if (intake->block == NULL && !block_decode(&intake->block, &intake->raw, why))
        return;
    if (check_block(chain, intake->block, why) &&
        check_block_context(chain, intake->block, &intake->context, why) &&
        check_signet(chain, intake->block, why))
        fail_clear(why);
}

static void admit_done(struct job *job)
{
    struct intake *intake = (struct intake *)job;
    struct ledger *ledger = intake->ledger;
    struct block_index *index = intake->index;
    ledger_job_back(ledger);
    index->in_flight--;
    if (intake->why.kind == FAIL_INVALID && (index->status & BLOCK_HAVE_DATA) == 0)
        index_mark_failed(ledger, index, &intake->why);
    if (intake->why.kind == FAIL_NONE && index_is_failed(index))
        fail_set(&intake->why, FAIL_INVALID, "bad-prevblk", "an ancestor of block %s is invalid",
            hash_show(index->id.b));
    if (intake->why.kind != FAIL_NONE) {
        intake_finish(ledger, intake, BLOCK_OUTCOME_REFUSED, NULL);
    } else if ((index->status & BLOCK_HAVE_DATA) != 0) { /* another copy was quicker */
        fail_set(&intake->why, FAIL_POLICY, "duplicate", "block %s is here already",
            hash_show(index->id.b));
        intake_finish(ledger, intake, BLOCK_OUTCOME_DUPLICATE, NULL);
    } else {
        intake->next = ledger->waiting;
        ledger->waiting = intake;
        block_arrived(ledger, index, intake->block, intake->stored ? &intake->place : NULL);
        if (!ledger->initial_download && index->prev == pipeline_end(ledger))
            ledger_effect_add(ledger, LEDGER_BLOCK_SEEN, index, intake->block, NULL);
        block_unref(intake->block);
        intake->block = NULL;
    }
    ledger_pump(ledger);
}

/* Verdicts are never given inside the offer: an empty job brings us back to the loop. */
static void intake_bounce(struct intake *intake, enum block_outcome outcome, const struct fail *why)
{
    if (why != NULL)
        intake->why = *why;
    intake->bounced = true;
    intake->outcome = outcome;
    intake->job = (struct job){.run = bounce_run, .done = bounce_done, .lane = JOB_VERIFY};
    ledger_submit(intake->ledger, &intake->job);
}

static void bounce_run(struct job *job)
{
    (void)job;
}

static void bounce_done(struct job *job)
{
    struct intake *intake = (struct intake *)job;
    struct ledger *ledger = intake->ledger;
    ledger_job_back(ledger);
    intake_finish(ledger, intake, intake->outcome, NULL);
    ledger_pump(ledger);
}

/* ---- known blocks ---- */
void block_arrived(struct ledger *ledger, struct block_index *index, struct block *block,
    const struct block_place *place)
{
    index->status |= BLOCK_HAVE_DATA;
    index->tx_count = block->tx_count;
    index_mark_dirty(ledger, index);
    held_add(ledger, index, block);
    if (place != NULL) {
        index->held->stored = true;
        note_stored(ledger, index, place, (uint32_t)block->size_b);
        index->writer_file = place->file; /* no append of ours is under way for it */
        index_link(ledger, index);
        return;
    }
    struct store_job *store = mem_new(sizeof *store);
    store->job = (struct job){
        .run = store_run, .done = store_done, .lane = JOB_WRITE, .serial = &ledger->writer};
    store->ledger = ledger;
    store->index = index;
    store->block = block_ref(block);
    ledger->unstored_b += block->size_b;
    ledger_submit(ledger, &store->job);
    index_link(ledger, index);
}

static void note_stored(struct ledger *ledger, struct block_index *index,
    const struct block_place *place, uint32_t size_b)
{
    index->file = place->file;
    index->data_pos_b = place->pos_b;
    index->data_size_b = size_b;
    index->status &= ~(uint32_t)BLOCK_PRUNED; /* it may have been, and was fetched again */
    index_mark_dirty(ledger, index);
    struct fail why;
    if (!prune_note_block(ledger, index)) {
        fail_oom(&why, "list of block files");
        ledger_die(ledger, &why);
    }
}

static void store_run(struct job *job)
{
    struct store_job *store = (struct store_job *)job;
    struct blockfiles *files = &store->ledger->files; /* the writer's: this serial */
    if (blockfiles_append(
            files, buf_span(&store->block->raw), &store->file, &store->pos_b, &store->why))
        fail_clear(&store->why);
    store->index->writer_file =
        store->file; /* where the undo data, appended by this serial too, belongs */
    store->disk_b = blockfiles_size_b(files);
}

static void store_done(struct job *job)
{
    struct store_job *store = (struct store_job *)job;
    struct ledger *ledger = store->ledger;
    struct block_index *index = store->index;
    ledger_job_back(ledger);
    ledger->unstored_b -= store->block->size_b;
    intake_tell_room(ledger);
    if (store->why.kind != FAIL_NONE) {
        ledger_die(ledger, &store->why);
    } else {
        struct block_place place = {store->file, store->pos_b};
        note_stored(ledger, index, &place, (uint32_t)store->block->size_b);
        ledger->disk_b = store->disk_b;
        ledger->unsynced = true;
        if (index->held != NULL) {
            index->held->stored = true; /* memory may forget it now */
            if (ledger_is_active(ledger, index) || index_is_failed(index))
                held_release(ledger, index); /* it was kept only until it could be read back */
        }
    }
    block_unref(store->block);
    mem_free(store);
    ledger_pump(ledger);
}

static void held_add(struct ledger *ledger, struct block_index *index, struct block *block)
{
    struct held_block *held = mem_new(sizeof *held);
    held->index = index;
    held->block = block_ref(block);
    held->prev = ledger->held_last;
    if (ledger->held_last != NULL)
        ledger->held_last->next = held;
    else
        ledger->held_first = held;
    ledger->held_last = held;
    index->held = held;
    ledger->held_b += block->size_b;
    /* Over the bound the oldest that can be read back go first; the pipeline has references of its own. */
    struct held_block *old = ledger->held_first;
    while (ledger->held_b > HELD_MAX_B && old != NULL) {
        struct held_block *next = old->next;
        if (old->stored)
            held_release(ledger, old->index);
        old = next;
    }
}

void held_release(struct ledger *ledger, struct block_index *index)
{
    struct held_block *held = index->held;
    if (held == NULL)
        return;
    index->held = NULL;
    ledger->held_b -= held->block->size_b;
    if (held->prev != NULL)
        held->prev->next = held->next;
    else
        ledger->held_first = held->next;
    if (held->next != NULL)
        held->next->prev = held->prev;
    else
        ledger->held_last = held->prev;
    block_unref(held->block);
    mem_free(held);
}

/* ---- verdicts ---- */
void intake_finish(struct ledger *ledger, struct intake *intake, enum block_outcome outcome,
    const struct fail *why)
{
    if (why != NULL)
        intake->why = *why;
    intake->outcome = outcome;
    intake->next = NULL;
    buf_clear(&intake->raw);
    block_unref(intake->block);
    intake->block = NULL;
    if (ledger->verdict_last != NULL)
        ledger->verdict_last->next = intake;
    else
        ledger->verdict_first = intake;
    ledger->verdict_last = intake;
}

void intakes_connected(struct ledger *ledger, struct block_index *index)
{
    for (struct intake *intake = ledger->waiting; intake != NULL; intake = intake->next)
        if (intake->index == index)
            intake->connected = true;
}

void intakes_failed(struct ledger *ledger, struct block_index *index, const struct fail *why)
{
    for (struct intake *intake = ledger->waiting; intake != NULL; intake = intake->next)
        if (intake->index == index)
            intake->why = *why;
}

void intakes_settle(struct ledger *ledger)
{
    bool settled = activation_is_settled(ledger);
    struct intake **link = &ledger->waiting;
    while (*link != NULL) {
        struct intake *intake = *link;
        struct block_index *index = intake->index;
        bool failed = index_is_failed(index) && !intake->connected;
        /* A block that lacks an ancestor, or whose branch has less work, waits for nothing here. One whose
         * ancestors are all here or being decoded waits for those, whatever the rest has come to. */
        bool unlinked = index->chain_tx_count == 0;
        bool aside = unlinked ? lacks_ancestor(index)
                              : !ledger_is_active(ledger, index) &&
                                    u256_compare(&index->chain_work, &ledger->tip->chain_work) <
                                        0 &&
                                    ledger->reorg_from == NULL;
        bool waits = unlinked || !settled;
        if (!intake->connected && !failed && waits && !aside && !ledger->fatal &&
            !ledger->stopping) {
            link = &intake->next;
            continue;
        }
        *link = intake->next;
        if (intake->connected) {
            intake_finish(ledger, intake, BLOCK_OUTCOME_CONNECTED, NULL);
        } else if (failed) {
            if (intake->why.kind == FAIL_NONE)
                fail_set(&intake->why, FAIL_INVALID, "bad-prevblk",
                    "an ancestor of block %s is invalid", hash_show(index->id.b));
            intake_finish(ledger, intake, BLOCK_OUTCOME_REFUSED, NULL);
        } else if (ledger->fatal || ledger->stopping) {
            struct fail why = ledger->fatal_why;
            if (!ledger->fatal)
                fail_set(&why, FAIL_NO_ROOM, "stopping", "the node is stopping");
            intake_finish(ledger, intake, BLOCK_OUTCOME_REFUSED, &why);
        } else {
            intake_finish(ledger, intake, BLOCK_OUTCOME_STORED, NULL);
        }
    }
}

/* Some ancestor is neither here nor being decoded. */
static bool lacks_ancestor(const struct block_index *index)
{
    for (const struct block_index *at = index; at->chain_tx_count == 0; at = at->prev)
        if ((at->status & BLOCK_HAVE_DATA) == 0 && at->in_flight == 0)
            return true;
    return false;
}

/* ---- proposals ---- */
bool ledger_test_block(struct ledger *ledger, struct block *block, struct block_verdict verdict)
{
    if (ledger->test_count >= TESTS_MAX || !has_room(ledger, block->size_b))
        return false;
    struct intake *intake = intake_new(ledger, block->size_b, verdict);
    intake->block = block_ref(block);
    struct block_index *tip = ledger->tip;
    intake->index = tip; /* its parent: the block itself never gets an entry */
    if (!block_id_equal(&block->header.prev, &tip->id)) {
        fail_set(&intake->why, FAIL_POLICY, "inconclusive-not-best-prevblk",
            "its parent %s is not the tip", hash_show(block->header.prev.b));
        intake_bounce(intake, BLOCK_OUTCOME_REFUSED, NULL);
        return true;
    }
    struct index_view view;
    index_view_init(&view, tip);
    struct header_context context = {
        .view = view.view,
        .parent_time_s = tip->time_s,
        .median_time_past_s = index_median_time_past_s(tip),
        .now_s = env_wall_s(ledger->env),
    };
    if (!check_header(ledger->chain, &block->header, &block->id, &context, &intake->why) &&
        strcmp(intake->why.code, "high-hash") != 0) {
        intake_bounce(intake, BLOCK_OUTCOME_REFUSED, NULL);
        return true;
    }
    fail_clear(&intake->why);
    ledger->test_count++;
    intake->context = (struct block_context){tip->height + 1, context.median_time_past_s};
    intake->job = (struct job){.run = test_run, .done = test_done, .lane = JOB_VERIFY};
    ledger_submit(ledger, &intake->job);
    return true;
}

static void test_run(struct job *job)
{
    struct intake *intake = (struct intake *)job;
    const struct chain *chain = intake->ledger->chain;
    if (check_block(chain, intake->block, &intake->why) &&
        check_block_context(chain, intake->block, &intake->context, &intake->why))
        fail_clear(&intake->why);
}

static void test_done(struct job *job)
{
    struct intake *intake = (struct intake *)job;
    struct ledger *ledger = intake->ledger;
    ledger_job_back(ledger);
    if (intake->why.kind != FAIL_NONE) {
        ledger->test_count--;
        intake_finish(ledger, intake, BLOCK_OUTCOME_REFUSED, NULL);
    } else {
        intake->next = NULL;
        if (ledger->tests_last != NULL)
            ledger->tests_last->next = intake;
        else
            ledger->tests_first = intake;
        ledger->tests_last = intake;
    }
    ledger_pump(ledger);
}

static void test_conclude(struct ledger *ledger, struct intake *intake, const struct fail *why)
{
    ledger->test_count--;
    bool good = why == NULL || why->kind == FAIL_NONE;
    intake->index = ledger->tip;
    intake_finish(
        ledger, intake, good ? BLOCK_OUTCOME_CONNECTED : BLOCK_OUTCOME_REFUSED, good ? NULL : why);
}

/* One test at a time goes through fetch, apply, undo at once, scripts. The coins are as before when the
 * loop goes on, so nothing but this function sees the tested block. */
void tests_advance(struct ledger *ledger)
{
    struct connecting *c = ledger->test;
    if (c != NULL && c->stage == CONNECT_CHECKED) {
        ledger->test = NULL;
        connecting_conclude(c);
        test_conclude(ledger, c->test, &c->why);
        connecting_abandon(ledger, c);
        c = NULL;
    }
    if (c == NULL && ledger->tests_first != NULL) {
        struct intake *intake = ledger->tests_first;
        ledger->tests_first = intake->next;
        if (ledger->tests_first == NULL)
            ledger->tests_last = NULL;
        ledger->test = c = connecting_new(ledger, NULL);
        c->test = intake;
        c->block = block_ref(intake->block);
        c->stage = CONNECT_LOADED;
    }
    if (c == NULL || (c->stage != CONNECT_LOADED && c->stage != CONNECT_FETCHED) ||
        ledger->applied_count > 0 || ledger->disconnect != NULL || ledger->switching)
        return; /* not between blocks */
    struct block_index *tip = ledger->tip;
    struct fail why = {0};
    if (!block_id_equal(&c->block->header.prev, &tip->id)) {
        fail_set(&why, FAIL_POLICY, "inconclusive-not-best-prevblk", "the tip moved on meanwhile");
        ledger->test = NULL;
        test_conclude(ledger, c->test, &why);
        connecting_abandon(ledger, c);
        return;
    }
    if (c->stage == CONNECT_LOADED) {
        c->as_index = (struct block_index){.id = c->block->id,
            .prev = tip,
            .height = tip->height + 1,
            .time_s = c->block->header.time_s,
            .bits = c->block->header.bits,
            .version = c->block->header.version};
        c->index = &c->as_index;
        connecting_fetch(ledger, c);
        if (c->stage != CONNECT_FETCHED)
            return;
    }
    bool applied = connecting_apply(ledger, c);
    if (!applied && c->why.kind == FAIL_NONE) { /* the coins moved meanwhile: it fetches again */
        ledger->pump_again = ledger->pump_again || c->stage == CONNECT_FETCHED;
        return;
    }
    if (applied && !connecting_unapply(c, &why)) {
        ledger_die(ledger, &why);
        return;
    }
    if (applied) {
        c->scripts = true;
        connecting_check(ledger, c);
    } else {
        c->stage = CONNECT_CHECKED;
        ledger->pump_again = true;
    }
}

bool tests_need_quiet(const struct ledger *ledger)
{
    const struct connecting *c = ledger->test;
    return ledger->tests_first != NULL ||
           (c != NULL && (c->stage == CONNECT_LOADED || c->stage == CONNECT_FETCHED));
}

/* At the stop: those that have not begun. */
void tests_drop(struct ledger *ledger)
{
    struct fail why;
    fail_set(&why, FAIL_NO_ROOM, "stopping", "the node is stopping");
    while (ledger->tests_first != NULL) {
        struct intake *intake = ledger->tests_first;
        ledger->tests_first = intake->next;
        test_conclude(ledger, intake, &why);
    }
    ledger->tests_last = NULL;
}
