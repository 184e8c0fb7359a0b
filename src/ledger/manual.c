/* Manual overrides: invalidateblock, reconsiderblock, preciousblock. One at a time, begun when no block is
 * half-way in; each is done once the activation has settled on what it left. */
#include "state.h"

static void manual_add(struct ledger *ledger, enum manual_kind kind, struct block_index *index,
    struct ledger_done done);
static void manual_begin(struct ledger *ledger, struct manual *manual);
static void reconsider(struct ledger *ledger, struct block_index *index);
static void forgive(struct ledger *ledger, struct block_index *index);
static void make_precious(struct ledger *ledger, struct block_index *index);

void ledger_invalidate(struct ledger *ledger, struct block_index *index, struct ledger_done done)
{
    manual_add(ledger, MANUAL_INVALIDATE, index, done);
}

void ledger_reconsider(struct ledger *ledger, struct block_index *index, struct ledger_done done)
{
    manual_add(ledger, MANUAL_RECONSIDER, index, done);
}

void ledger_precious(struct ledger *ledger, struct block_index *index, struct ledger_done done)
{
    manual_add(ledger, MANUAL_PRECIOUS, index, done);
}

static void manual_add(struct ledger *ledger, enum manual_kind kind, struct block_index *index,
    struct ledger_done done)
{
    if (ledger->manual_count >= MANUAL_MAX || ledger->stopping || ledger->fatal) {
        struct fail why;
        fail_set(&why, FAIL_NO_ROOM, "busy", "too many overrides are waiting, or the node is stopping");
        ledger_done_later(ledger, done, &why);
        ledger_pump(ledger);
        return;
    }
    struct manual *manual = mem_new(sizeof *manual);
    manual->kind = kind;
    manual->index = index;
    manual->done = done;
    if (ledger->manual_last != NULL)
        ledger->manual_last->next = manual;
    else
        ledger->manual_first = manual;
    ledger->manual_last = manual;
    ledger->manual_count++;
    ledger_pump(ledger);
}

bool manual_needs_quiet(const struct ledger *ledger)
{
    return ledger->manual_first != NULL && !ledger->manual_first->begun;
}

void manual_advance(struct ledger *ledger)
{
    struct manual *manual = ledger->manual_first;
    if (manual == NULL)
        return;
    if (!manual->begun) {
        pipeline_drop_idle(ledger);
        if (ledger->applied_count > 0 || ledger->disconnect != NULL)
            return;
        manual->begun = true;
        manual_begin(ledger, manual);
        ledger->pump_again = true;
        return;
    }
    if (manual->why.kind == FAIL_NONE && !activation_is_settled(ledger))
        return;
    ledger->manual_first = manual->next;
    if (ledger->manual_first == NULL)
        ledger->manual_last = NULL;
    ledger->manual_count--;
    ledger_done_later(ledger, manual->done, &manual->why);
    mem_free(manual);
    ledger->pump_again = true;
}

void manual_drop(struct ledger *ledger)
{
    while (ledger->manual_first != NULL) {
        struct manual *manual = ledger->manual_first;
        ledger->manual_first = manual->next;
        fail_set(&manual->why, FAIL_NO_ROOM, "stopping", "the node is stopping");
        ledger_done_later(ledger, manual->done, &manual->why);
        mem_free(manual);
    }
    ledger->manual_last = NULL;
    ledger->manual_count = 0;
}

static void manual_begin(struct ledger *ledger, struct manual *manual)
{
    struct block_index *index = manual->index;
    struct fail why;
    switch (manual->kind) {
    case MANUAL_INVALIDATE:
        if (index == ledger->genesis) {
            fail_request(&manual->why, -8, "The first block cannot be invalidated");
            return;
        }
        if (ledger->background != NULL && index->height <= background_base(ledger->background)->height &&
            ledger_is_active(ledger, index)) {
            fail_request(&manual->why, -1, "The history below the snapshot in use is not verified yet");
            return;
        }
        if (index->height < ledger->prune_height && ledger_is_active(ledger, index)) {
            fail_request(&manual->why, -1, "Block not available (pruned data)");
            return;
        }
        fail_set(&why, FAIL_INVALID, "invalidated", "the user declared block %s invalid",
            hash_show(index->id.b));
        index_mark_failed(ledger, index, &why);
        return;
    case MANUAL_RECONSIDER:
        reconsider(ledger, index);
        return;
    case MANUAL_PRECIOUS:
        make_precious(ledger, index);
        return;
    }
}

/* The block, what stands on it and what it stands on count as never judged. */
static void reconsider(struct ledger *ledger, struct block_index *index)
{
    for (struct block_index *at = index; at != NULL; at = at->prev)
        forgive(ledger, at);
    for (struct block_index *at = index; at != NULL; at = tree_next(index, at, false))
        forgive(ledger, at);
    for (struct block_index *at = ledger->genesis; at != NULL;
         at = tree_next(ledger->genesis, at, false)) {
        bool failed_parent = at->prev != NULL && index_is_failed(at->prev);
        uint32_t status = failed_parent ? at->status | BLOCK_FAILED_PARENT
                                        : at->status & ~(uint32_t)BLOCK_FAILED_PARENT;
        if (at->status != status)
            index_mark_dirty(ledger, at);
        at->status = status;
    }
    candidates_rebuild(ledger);
    headers_rebuild_best(ledger);
}

static void forgive(struct ledger *ledger, struct block_index *index)
{
    if ((index->status & BLOCK_FAILED) == 0)
        return;
    index->status &= ~(uint32_t)BLOCK_FAILED;
    index_mark_dirty(ledger, index);
}

static void make_precious(struct ledger *ledger, struct block_index *index)
{
    if (u256_compare(&index->chain_work, &ledger->tip->chain_work) < 0)
        return;
    index->sequence = ledger->precious_sequence--;
    if (index->chain_tx_count > 0 && !index_is_failed(index))
        candidate_add(ledger, index);
}
