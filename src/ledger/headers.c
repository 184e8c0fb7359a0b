/* Headers: checked one after the other against their parents and added to the tree. A header from ahead of
 * our clock is not judged: it waits in a bounded list and is tried again when the clock has come nearer. */
#include "coin/base/log.h"
#include "state.h"

#include <string.h>

static void future_keep(struct ledger *ledger, const struct header *header);

bool ledger_accept_headers(struct ledger *ledger, const struct header *headers, uint32_t count,
    struct block_index **last, uint32_t *accepted, struct fail *why)
{
    *accepted = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct block_id id = header_id(&headers[i]);
        struct block_index *index;
        if (!header_admit(ledger, &headers[i], &id, &index, why))
            return false;
        if (last != NULL)
            *last = index;
        (*accepted)++;
    }
    return true;
}

bool header_admit(struct ledger *ledger, const struct header *header, const struct block_id *id,
    struct block_index **out, struct fail *why)
{
    struct block_index *index = tree_find(&ledger->tree, id);
    *out = index;
    if (index != NULL)
        return !index_is_failed(index) || fail_set(why, FAIL_INVALID, "duplicate-invalid",
                                              "block %s is known to be invalid", hash_show(id->b));
    struct block_index *prev = tree_find(&ledger->tree, &header->prev);
    if (prev == NULL)
        return fail_set(why, FAIL_TOO_EARLY, "prev-blk-not-found",
            "parent %s of block %s is not known", hash_show(header->prev.b), hash_show(id->b));
    if (index_is_failed(prev))
        return fail_set(why, FAIL_INVALID, "bad-prevblk", "parent %s of block %s is invalid",
            hash_show(prev->id.b), hash_show(id->b));
    struct index_view view;
    index_view_init(&view, prev);
    struct header_context context = {
        .view = view.view,
        .parent_time_s = prev->time_s,
        .median_time_past_s = index_median_time_past_s(prev),
        .now_s = env_wall_s(ledger->env),
    };
    if (!check_header(ledger->chain, header, id, &context, why)) {
        /* Only real work may wait: otherwise the list would be free to fill for anybody. */
        struct fail no_work;
        if (why->kind == FAIL_TOO_EARLY &&
            pow_check(ledger->chain, id, header->bits, header->time_s, prev->time_s, &no_work))
            future_keep(ledger, header);
        return false;
    }
    index = tree_add(&ledger->tree, ledger->chain, header, id, prev);
    if (index == NULL)
        return fail_oom(why, "header");
    index_mark_dirty(ledger, index);
    *out = index;
    headers_consider(ledger, index);
    return true;
}

void headers_consider(struct ledger *ledger, struct block_index *index)
{
    if (u256_compare(&index->chain_work, &ledger->best_header->chain_work) <= 0)
        return;
    ledger->best_header = index;
    if (ledger->started)
        ledger_effect_add(ledger, LEDGER_HEADER, index, NULL, NULL);
}

/* After an entry of the best header's branch was found invalid, or was reconsidered. */
void headers_rebuild_best(struct ledger *ledger)
{
    struct block_index *best = index_is_failed(ledger->tip) ? ledger->genesis : ledger->tip;
    struct block_index *at = ledger->genesis;
    while (at != NULL) {
        bool failed = index_is_failed(at);
        if (!failed && u256_compare(&at->chain_work, &best->chain_work) > 0)
            best = at;
        at = tree_next(ledger->genesis, at, failed);
    }
    if (best == ledger->best_header)
        return;
    ledger->best_header = best;
    ledger_effect_add(ledger, LEDGER_HEADER, best, NULL, NULL);
}

void headers_retry_future(struct ledger *ledger)
{
    uint32_t count = ledger->future_count;
    struct header waiting[FUTURE_HEADERS_MAX];
    memcpy(waiting, ledger->future, count * sizeof *waiting);
    ledger->future_count = 0; /* those still ahead come back through future_keep */
    for (uint32_t i = 0; i < count; i++) {
        struct block_id id = header_id(&waiting[i]);
        struct block_index *index;
        struct fail why;
        if (!header_admit(ledger, &waiting[i], &id, &index, &why) && why.kind != FAIL_TOO_EARLY)
            log_debug(LOG_VALIDATION, "header %s, kept because of its time, failed: %s",
                hash_show(id.b), why.code);
    }
}

static void future_keep(struct ledger *ledger, const struct header *header)
{
    for (uint32_t i = 0; i < ledger->future_count; i++)
        if (memcmp(&ledger->future[i], header, sizeof *header) == 0)
            return;
    if (ledger->future_count < FUTURE_HEADERS_MAX) {
        ledger->future[ledger->future_count++] = *header;
        return;
    }
    /* Full: what is furthest ahead makes room, if the new one is nearer. */
    uint32_t far = 0;
    for (uint32_t i = 1; i < FUTURE_HEADERS_MAX; i++)
        if (ledger->future[i].time_s > ledger->future[far].time_s)
            far = i;
    if (header->time_s < ledger->future[far].time_s)
        ledger->future[far] = *header;
}
