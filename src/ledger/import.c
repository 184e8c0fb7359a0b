/* Blocks from files, while the node runs: its own after -reindex, others' by -loadblock. A job reads some
 * records ahead; the loop offers them like blocks from a peer, except that those of our own files keep their
 * place. What breaks off can go on: the flush stores the place before which every record is dealt with.
 *
 * A record whose parent is not known yet (files hold blocks in the order in which they came) is remembered
 * by its place and read again when the parent has come. One that turns out to be no block is looked into
 * for others, since a damaged size would swallow those behind it. Both are ranges to be read once more.
 *
 * Invariant: every record that was read is open until its verdict, in `open` in the order of reading. */
#include <stdio.h>
#include <string.h>

#include "coin/base/log.h"
#include "coin/consensus/pow.h"
#include "state.h"

#define IMPORT_CHUNK_B (1u << 20) /* read by one job, or one record: while one is offered the next is read */
#define IMPORT_FLIGHT_MAX_B (8u << 20) /* offered and without verdict: keeps the pipeline full, no more */
#define IMPORT_STRAYS_MAX 1000000u
#define IMPORT_RANGES_MAX 1000000u
#define IMPORT_LOG_INTERVAL_US (INT64_C(10) * 1000000)

struct import_place { /* of a record's bytes */
    uint32_t source; /* file of ours, or own_count + number of -loadblock */
    uint64_t pos_b;
};
struct import_record { /* from its reading to its verdict */
    struct import_record *next, *prev;
    struct import *import;
    struct import_place place;
    uint32_t size_b;
    struct buf raw; /* empty once offered */
};
struct import_range { /* to be read once more */
    struct import_place from;
    uint64_t to_b;
};
struct import_stray {
    struct import_place place;
    uint32_t size_b;
    uint32_t next; /* number + 1 of the next one of the same parent */
    bool is_waiting;
};
struct import_read { /* a job: some records */
    struct job job;
    struct import *import;
    char path[PATH_SIZE_B];
    bool plain, is_range, at_end, unreadable;
    struct import_place from;
    uint64_t to_b;
    struct import_record *first, *last;
    struct fail why;
};
struct import {
    struct ledger *ledger;
    uint32_t own_count, source_count;
    char (*load_paths)[PATH_SIZE_B];
    uint64_t *sizes_b; /* by source, at the start */
    struct import_place next; /* to be read */
    struct import_range *ranges;
    uint32_t range_count, range_capacity;
    struct table strays_by_parent; /* block_id -> number + 1 of the first */
    struct import_stray *strays;
    uint32_t stray_count, stray_capacity, strays_waiting;
    struct import_record *open_first, *open_last;
    struct import_record *offer_first; /* the first in `open` that is not offered yet */
    size_t flight_b;
    bool reading;
    uint64_t all_b, done_b, begun_b;
    int64_t begun_us, logged_us;
    uint64_t blocks;
};

static bool find_sources(struct import *import, struct fail *why);
static bool read_more(struct import *import);
static void read_run(struct job *job);
static void read_done(struct job *job);
static void open_add(struct import *import, struct import_record *record);
static void open_remove(struct import_record *record);
static bool offer(struct import *import, struct import_record *record);
static void keep_stray(
    struct import *import, struct import_record *record, const struct block_id *parent);
static void wake_strays(struct import *import, const struct block_id *id);
static void look_inside(struct import *import, const struct import_record *record);
static void add_range(struct import *import, struct import_place from, uint64_t to_b);
static void on_verdict(void *ctx, enum block_outcome outcome, struct block_index *index,
    const struct fail *why);
static void finish(struct ledger *ledger);

bool import_open(struct ledger *ledger, const char *const *load_files, uint64_t from_place,
    struct fail *why)
{
    uint32_t loads = 0;
    while (load_files != NULL && load_files[loads] != NULL)
        loads++;
    if (!ledger->reindexing && loads == 0)
        return true;
    struct import *import = mem_new(sizeof *import);
    uint64_t seed[2];
    env_random(ledger->env, seed, sizeof seed);
    ledger->import = import;
    import->ledger = ledger;
    import->own_count = ledger->reindexing ? ledger->files.count : 0;
    import->source_count = import->own_count + loads;
    import->next = (struct import_place){(uint32_t)(from_place >> 32), from_place & UINT32_MAX};
    if (import->next.source >= import->own_count)
        import->next = (struct import_place){import->own_count, 0};
    table_init(&import->strays_by_parent, sizeof(struct block_id), sizeof(uint32_t),
        IMPORT_STRAYS_MAX, seed);
    import->load_paths = mem_try_array(loads + 1u, PATH_SIZE_B);
    import->sizes_b = mem_try_array(import->source_count + 1u, sizeof *import->sizes_b);
    if (import->load_paths == NULL || import->sizes_b == NULL)
        return fail_oom(why, "list of block files");
    for (uint32_t i = 0; i < loads; i++)
        snprintf(import->load_paths[i], PATH_SIZE_B, "%s", load_files[i]);
    return find_sources(import, why);
}

/* How much there is to read; a file that cannot be read stops the start, not a long import in its midst. */
static bool find_sources(struct import *import, struct fail *why)
{
    const struct disk *disk = import->ledger->env->disk;
    for (uint32_t i = 0; i < import->source_count; i++) {
        uint64_t *size_b = &import->sizes_b[i];
        if (i < import->own_count) {
            *size_b = import->ledger->files.data_end_b[i];
        } else {
            const char *path = import->load_paths[i - import->own_count];
            struct file *file = disk->open(disk->ctx, path, FILE_READ, why);
            bool ok = file != NULL && file_size(file, size_b, why);
            file_close(file);
            if (!ok)
                return fail_prefix(why, "-loadblock: ");
        }
        import->all_b += *size_b;
        if (i < import->next.source)
            import->done_b += *size_b;
    }
    import->done_b += import->next.pos_b;
    import->begun_b = import->done_b;
    import->begun_us = import->logged_us = env_steady_us(import->ledger->env);
    return true;
}

void import_free(struct import *import)
{
    if (import == NULL)
        return;
    while (import->open_first != NULL)
        open_remove(import->open_first);
    table_clear(&import->strays_by_parent);
    mem_free(import->strays);
    mem_free(import->ranges);
    mem_free(import->sizes_b);
    mem_free(import->load_paths);
    mem_free(import);
}

/* ---- the loop's part ---- */
void import_advance(struct ledger *ledger)
{
    struct import *import = ledger->import;
    if (import == NULL || ledger->stopping || ledger->fatal)
        return;
    while (import->offer_first != NULL) {
        struct import_record *record = import->offer_first;
        if (!offer(import, record))
            break;
    }
    if (!import->reading && import->offer_first == NULL && !read_more(import) &&
        import->open_first == NULL)
        finish(ledger);
}

/* Ranges first: what waits for them is older. false: nothing is left. */
static bool read_more(struct import *import)
{
    while (import->range_count == 0 && import->next.source < import->source_count &&
           import->next.pos_b >= import->sizes_b[import->next.source])
        import->next = (struct import_place){import->next.source + 1, 0};
    if (import->range_count == 0 && import->next.source == import->source_count)
        return false;
    struct import_read *read = mem_new(sizeof *read);
    read->job = (struct job){.run = read_run, .done = read_done, .lane = JOB_READ};
    read->import = import;
    read->is_range = import->range_count > 0;
    if (read->is_range) {
        struct import_range range = import->ranges[--import->range_count];
        read->from = range.from;
        read->to_b = range.to_b;
    } else {
        read->from = import->next;
        read->to_b = import->sizes_b[read->from.source];
    }
    read->plain = read->from.source >= import->own_count;
    if (read->plain)
        snprintf(read->path, sizeof read->path, "%s",
            import->load_paths[read->from.source - import->own_count]);
    else if (!blockfiles_path(
                 &import->ledger->files, read->from.source, read->path, &read->why))
        read->unreadable = true;
    import->reading = true;
    ledger_submit(import->ledger, &read->job);
    return true;
}

static void read_run(struct job *job)
{
    struct import_read *read = (struct import_read *)job;
    const struct ledger *ledger = read->import->ledger; /* what never changes of it */
    struct record_walk walk;
    if (read->unreadable)
        return;
    if (!read->plain && !ledger->env->disk->exists(ledger->env->disk->ctx, read->path)) {
        read->from.pos_b = read->to_b; /* a pruned file */
        read->at_end = true;
        return;
    }
    read->unreadable = !record_walk_open(
        &walk, &ledger->files, read->path, read->plain, read->from.pos_b, read->to_b, &read->why);
    size_t taken_b = 0;
    bool found = true;
    while (!read->unreadable && found && taken_b < IMPORT_CHUNK_B) {
        struct import_record *record = mem_new(sizeof *record);
        buf_init(&record->raw, BLOCK_SIZE_MAX_B);
        record->place.source = read->from.source;
        read->unreadable =
            !record_walk_next(&walk, &record->raw, &record->place.pos_b, &found, &read->why);
        if (read->unreadable || !found) {
            buf_clear(&record->raw);
            mem_free(record);
            break;
        }
        record->size_b = (uint32_t)record->raw.size_b;
        taken_b += record->size_b;
        record->prev = read->last;
        if (read->last != NULL)
            read->last->next = record;
        else
            read->first = record;
        read->last = record;
    }
    read->at_end = !found;
    if (!read->unreadable)
        read->from.pos_b = walk.at_b;
    record_walk_close(&walk);
}

static void read_done(struct job *job)
{
    struct import_read *read = (struct import_read *)job;
    struct import *import = read->import;
    struct ledger *ledger = import->ledger;
    ledger_job_back(ledger);
    import->reading = false;
    while (read->first != NULL) {
        struct import_record *record = read->first;
        read->first = record->next;
        record->import = import;
        open_add(import, record);
    }
    if (read->unreadable && read->plain) {
        log_warning("%s: %s; the rest of it is left out", read->path, read->why.detail);
        read->from.pos_b = read->to_b;
    } else if (read->unreadable) {
        ledger_die(ledger, &read->why);
    }
    if (!read->is_range) {
        import->done_b += read->from.pos_b - import->next.pos_b;
        import->next.pos_b = read->at_end ? read->to_b : read->from.pos_b;
    } else if (!read->at_end && read->from.pos_b < read->to_b) {
        add_range(import, read->from, read->to_b);
    }
    mem_free(read);
    ledger_pump(ledger);
}

/* false: no room now. */
static bool offer(struct import *import, struct import_record *record)
{
    struct ledger *ledger = import->ledger;
    if (import->flight_b > 0 && import->flight_b + record->size_b > IMPORT_FLIGHT_MAX_B)
        return false;
    struct header header;
    header_decode(&header, record->raw.data);
    struct block_id id = header_id(&header);
    const struct block_index *index = tree_find(&ledger->tree, &id);
    if (index != NULL && (index->status & BLOCK_HAVE_DATA) != 0) {
        import->offer_first = record->next;
        open_remove(record);
        return true;
    }
    if (index == NULL && tree_find(&ledger->tree, &header.prev) == NULL) {
        struct fail why;
        import->offer_first = record->next;
        if (pow_check(ledger->chain, &id, header.bits, header.time_s, header.time_s, &why))
            keep_stray(import, record, &header.prev);
        else
            look_inside(import, record);
        open_remove(record);
        return true;
    }
    struct block_place place = {record->place.source, (uint32_t)record->place.pos_b};
    struct block_verdict verdict = {on_verdict, record};
    bool own = record->place.source < import->own_count;
    if (!ledger_offer_stored(ledger, &record->raw, own ? &place : NULL, verdict))
        return false;
    import->offer_first = record->next;
    import->flight_b += record->size_b;
    wake_strays(import, &id);
    return true;
}

static void on_verdict(void *ctx, enum block_outcome outcome, struct block_index *index,
    const struct fail *why)
{
    struct import_record *record = ctx;
    struct import *import = record->import;
    struct ledger *ledger = import->ledger;
    (void)index;
    import->flight_b -= record->size_b;
    bool refused = outcome == BLOCK_OUTCOME_REFUSED;
    if (refused && (why->kind == FAIL_NO_ROOM || why->kind == FAIL_LOCAL))
        return; /* the node is stopping: it stays open, so the next start begins with it */
    if (refused && (why->kind == FAIL_PROTOCOL || why->kind == FAIL_MUTATED))
        look_inside(import, record);
    import->blocks += outcome == BLOCK_OUTCOME_CONNECTED || outcome == BLOCK_OUTCOME_STORED;
    open_remove(record);
    ledger->pump_again = true;
    ledger_pump(ledger);
}

static void open_add(struct import *import, struct import_record *record)
{
    record->next = NULL;
    record->prev = import->open_last;
    if (import->open_last != NULL)
        import->open_last->next = record;
    else
        import->open_first = record;
    import->open_last = record;
    if (import->offer_first == NULL)
        import->offer_first = record;
}

static void open_remove(struct import_record *record)
{
    struct import *import = record->import;
    *(record->prev != NULL ? &record->prev->next : &import->open_first) = record->next;
    *(record->next != NULL ? &record->next->prev : &import->open_last) = record->prev;
    buf_clear(&record->raw);
    mem_free(record);
}

/* ---- to be read once more ---- */
static void keep_stray(
    struct import *import, struct import_record *record, const struct block_id *parent)
{
    uint32_t *first = table_put(&import->strays_by_parent, parent, NULL);
    if (first == NULL || !mem_try_grow(&import->strays, &import->stray_capacity,
                             import->stray_count + 1, IMPORT_STRAYS_MAX, sizeof *import->strays))
        return; /* it is left out, and fetched from peers if it is of use */
    import->strays[import->stray_count++] =
        (struct import_stray){record->place, record->size_b, *first, true};
    import->strays_waiting++;
    *first = import->stray_count;
}

static void wake_strays(struct import *import, const struct block_id *id)
{
    const uint32_t *first = table_find(&import->strays_by_parent, id);
    uint32_t at = first != NULL ? *first : 0;
    if (at == 0)
        return;
    table_remove(&import->strays_by_parent, id);
    while (at != 0) {
        struct import_stray *stray = &import->strays[at - 1];
        struct import_place from = {stray->place.source, stray->place.pos_b - RECORD_HEAD_B};
        stray->is_waiting = false;
        import->strays_waiting--;
        add_range(import, from, stray->place.pos_b + stray->size_b);
        at = stray->next;
    }
    if (import->strays_waiting == 0)
        import->stray_count = 0;
}

static void look_inside(struct import *import, const struct import_record *record)
{
    struct import_place from = {record->place.source, record->place.pos_b - RECORD_HEAD_B + 1};
    add_range(import, from, record->place.pos_b + record->size_b);
}

static void add_range(struct import *import, struct import_place from, uint64_t to_b)
{
    if (!mem_try_grow(&import->ranges, &import->range_capacity, import->range_count + 1,
            IMPORT_RANGES_MAX, sizeof *import->ranges)) {
        log_warning("Too many block records to be read again: one at byte %llu is left out",
            (unsigned long long)from.pos_b);
        return;
    }
    import->ranges[import->range_count++] = (struct import_range){from, to_b};
}

/* ---- how far it has come ---- */
static void lower(uint64_t *least, struct import_place place)
{
    uint64_t code = (uint64_t)place.source << 32 | place.pos_b;
    if (code < *least)
        *least = code;
}

/* Every record of our files before this place is in the index, or no block of the chain. */
uint64_t import_place_done(const struct import *import)
{
    uint64_t least = (uint64_t)import->own_count << 32;
    if (import->next.source < import->own_count)
        lower(&least, import->next);
    for (const struct import_record *r = import->open_first; r != NULL; r = r->next)
        if (r->place.source < import->own_count)
            lower(&least,
                (struct import_place){r->place.source, r->place.pos_b - RECORD_HEAD_B});
    for (uint32_t i = 0; i < import->range_count; i++)
        if (import->ranges[i].from.source < import->own_count)
            lower(&least, import->ranges[i].from);
    for (uint32_t i = 0; i < import->stray_count; i++)
        if (import->strays[i].is_waiting && import->strays[i].place.source < import->own_count)
            lower(&least, (struct import_place){import->strays[i].place.source,
                              import->strays[i].place.pos_b - RECORD_HEAD_B});
    return least;
}

struct ledger_import ledger_import(const struct ledger *ledger)
{
    const struct import *import = ledger->import;
    struct ledger_import out = {0};
    if (import == NULL)
        return out;
    int64_t passed_us = env_steady_us(ledger->env) - import->begun_us;
    uint64_t read_b = import->done_b - import->begun_b;
    out.is_running = true;
    out.is_reindex = ledger->reindexing;
    out.blocks = import->blocks;
    out.done_b = import->done_b;
    out.all_b = import->all_b;
    out.rate_b_s = passed_us > 0 ? (double)read_b * 1e6 / (double)passed_us : 0;
    out.left_s = out.rate_b_s > 0 ? (int64_t)((double)(out.all_b - out.done_b) / out.rate_b_s) : 0;
    return out;
}

bool ledger_is_reindexing(const struct ledger *ledger)
{
    return ledger->reindexing;
}

void import_tick(struct ledger *ledger)
{
    struct import *import = ledger->import;
    int64_t now_us = env_steady_us(ledger->env);
    if (import == NULL || now_us - import->logged_us < IMPORT_LOG_INTERVAL_US)
        return;
    import->logged_us = now_us;
    struct ledger_import p = ledger_import(ledger);
    log_info("%s block files: %.1f of %.1f MB, %.1f MB/s, %lld s left, height %d",
        p.is_reindex ? "Reindexing" : "Loading", (double)p.done_b / 1e6, (double)p.all_b / 1e6,
        p.rate_b_s / 1e6, (long long)p.left_s, (int)ledger->tip->height);
}

static void finish(struct ledger *ledger)
{
    struct import *import = ledger->import;
    if (ledger->reindexing) {
        ledger->reindexing = false;
        ledger->flush_wanted = true; /* which forgets that a reindex was under way */
    }
    if (import->strays_waiting > 0)
        log_info("%u blocks of the files have no known ancestors and are left aside",
            (unsigned)import->strays_waiting);
    log_info("%llu blocks taken from %u files, %.1f MB", (unsigned long long)import->blocks,
        (unsigned)import->source_count, (double)import->all_b / 1e6);
    ledger->import = NULL;
    import_free(import);
    ledger_effect_add(ledger, LEDGER_IDLE, NULL, NULL, NULL);
}
