/* mempool.dat, the format that Bitcoin's tools read and write:
 *
 *   offset  size  what
 *   0       8     version: 1 plain, 2 with a key
 *   8       1+8   version 2 only: compact size 8 and the key; every byte behind is XORed with
 *                 key[offset in the file % 8], so that nobody's virus scanner finds what others sent
 *   then    8     number of transactions
 *           each  transaction with witness, int64 time, int64 fee delta
 *           map   compact size; txid, int64: fee deltas of transactions that are not here
 *           set   compact size; txid: ours that no peer has asked for yet
 *
 * Saving: the loop takes references, a job sorts them by arrival (parents first) and writes in pieces to
 * a new file that takes the old one's place. Loading: a job reads and decodes a window at a time, the loop
 * offers what it holds, a bounded number at once. The numbers in the file are never believed: it ends when
 * its bytes end. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coin/base/log.h"
#include "internal.h"

#define VERSION_PLAIN 1u
#define VERSION_KEYED 2u
#define KEY_SIZE_B 8u
#define PIECE_SIZE_B (1u << 20)
#define RECORD_MAX_B (BLOCK_SIZE_MAX_B + 16u) /* a transaction, its time and delta */
#define WINDOW_SIZE_B (2u * RECORD_MAX_B)
#define BATCH_MAX 512 /* records decoded by one job */

struct record {
    struct tx *tx; /* NULL: only a delta for id */
    struct txid id;
    int64_t time_s, delta_sat;
    uint64_t sequence;
    bool unbroadcast;
};

struct save { /* a job */
    struct job job;
    struct mempool *pool;
    char path[PATH_SIZE_B];
    struct record *records;
    uint32_t count;
    struct record *deltas;
    uint32_t delta_count;
    uint8_t key[KEY_SIZE_B];
    const struct disk *disk;
    struct file *file;
    struct buf piece;
    uint64_t offset_b; /* of the piece */
    struct ledger_done done;
    struct fail why;
};

enum load_part { LOAD_TXS, LOAD_DELTAS, LOAD_UNBROADCAST, LOAD_END };
struct load { /* a job while `reading`, else the loop's */
    struct job job;
    struct load *next_load; /* loads are done one after the other */
    struct mempool *pool;
    char path[PATH_SIZE_B];
    const struct disk *disk;
    struct file *file;
    uint64_t size_b, read_b; /* of the file; so far */
    bool opened, has_key, reading;
    uint8_t key[KEY_SIZE_B];
    struct buf window;
    enum load_part part;
    uint64_t left; /* items of the part, as the file claims */
    struct record records[BATCH_MAX];
    uint32_t count, next;
    uint32_t in_flight, accepted, refused, expired;
    struct ledger_done done;
    struct fail why;
};

static bool save_collect(struct save *save);
static void save_run(struct job *job);
static bool save_write(struct save *save);
static bool save_piece(struct save *save, bool last);
static void save_done(struct job *job);
static int compare_sequence(const void *a, const void *b);
static void load_run(struct job *job);
static bool load_open(struct load *load);
static bool load_fill(struct load *load);
static bool load_decode(struct load *load);
static bool read_record(struct load *load, struct reader *r, struct record *record);
static bool damaged(struct load *load, const char *what);
static void load_done(struct job *job);
static void load_next(struct load *load);
static void load_finish(struct load *load);
static void load_verdict(
    void *ctx, struct tx *tx, const struct mempool_entry *entry, const struct fail *why);
static void unmask(uint8_t *bytes, size_t size_b, uint64_t offset_b, const uint8_t key[KEY_SIZE_B]);

/* ---- saving ---- */
void mempool_save(struct mempool *pool, const char *path, struct ledger_done done)
{
    struct save *save = mem_new(sizeof *save);
    save->pool = pool;
    save->disk = pool->env->disk;
    save->done = done;
    snprintf(save->path, sizeof save->path, "%s", path);
    env_random(pool->env, save->key, sizeof save->key);
    if (strlen(path) + sizeof ".new" > sizeof save->path)
        fail_set(&save->why, FAIL_REQUEST, "path-too-long", "%.200s...", path);
    else if (!save_collect(save))
        fail_oom(&save->why, "mempool to save");
    save->job = (struct job){
        .run = save_run, .done = save_done, .lane = JOB_WRITE, .serial = &pool->file_serial};
    pool_run_job(pool, &save->job);
}

static bool save_collect(struct save *save)
{
    const struct mempool *pool = save->pool;
    uint32_t cursor = 0;
    struct txid id;
    int64_t delta_sat;
    save->records = mem_try_array(pool->count + 1u, sizeof *save->records);
    save->deltas = mem_try_array(pool->deltas.count + 1u, sizeof *save->deltas);
    if (save->records == NULL || save->deltas == NULL)
        return false;
    for (uint32_t i = 0; i < pool->count; i++) {
        const struct mempool_entry *entry = pool->entries[i];
        save->records[save->count++] = (struct record){.tx = tx_ref(entry->tx),
            .time_s = entry->time_s,
            .delta_sat = entry->modified_fee_sat - entry->fee_sat,
            .sequence = entry->sequence,
            .unbroadcast = entry->unbroadcast};
    }
    while (mempool_next_delta(pool, &cursor, &id, &delta_sat))
        if (pool_find(pool, &id) == NULL)
            save->deltas[save->delta_count++] = (struct record){.id = id, .delta_sat = delta_sat};
    return true;
}

static void save_run(struct job *job)
{
    struct save *save = (struct save *)job;
    char fresh[PATH_SIZE_B + sizeof ".new"];
    if (save->why.kind != FAIL_NONE)
        return;
    if (save->count > 1)
        qsort(save->records, save->count, sizeof *save->records, compare_sequence);
    snprintf(fresh, sizeof fresh, "%s.new", save->path);
    buf_init(&save->piece, PIECE_SIZE_B + RECORD_MAX_B);
    save->file = save->disk->open(save->disk->ctx, fresh, FILE_NEW, &save->why);
    if (save->file == NULL)
        return;
    bool ok = save_write(save) && file_sync(save->file, &save->why);
    file_close(save->file);
    buf_clear(&save->piece);
    char folder[PATH_SIZE_B];
    snprintf(folder, sizeof folder, "%s", save->path);
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        *slash = 0;
    ok = ok && save->disk->rename(save->disk->ctx, fresh, save->path, &save->why) &&
         save->disk->sync_dir(save->disk->ctx, slash != NULL ? folder : ".", &save->why);
    if (ok)
        fail_clear(&save->why);
}

static bool save_write(struct save *save)
{
    struct buf *out = &save->piece;
    uint32_t unbroadcast = 0;
    buf_put_u64le(out, VERSION_KEYED);
    buf_put_string(out, span_of(save->key, KEY_SIZE_B));
    buf_put_u64le(out, save->count);
    for (uint32_t i = 0; i < save->count; i++) {
        const struct record *record = &save->records[i];
        buf_put(out, record->tx->raw.data, record->tx->raw.size_b);
        buf_put_i64le(out, record->time_s);
        buf_put_i64le(out, record->delta_sat);
        unbroadcast += record->unbroadcast;
        if (!save_piece(save, false))
            return false;
    }
    buf_put_count(out, save->delta_count);
    for (uint32_t i = 0; i < save->delta_count; i++) {
        buf_put(out, save->deltas[i].id.b, sizeof save->deltas[i].id.b);
        buf_put_i64le(out, save->deltas[i].delta_sat);
        if (!save_piece(save, false))
            return false;
    }
    buf_put_count(out, unbroadcast);
    for (uint32_t i = 0; i < save->count; i++) {
        if (save->records[i].unbroadcast)
            buf_put(out, save->records[i].tx->txid.b, sizeof save->records[i].tx->txid.b);
        if (!save_piece(save, false))
            return false;
    }
    return save_piece(save, true);
}

static bool save_piece(struct save *save, bool last)
{
    struct buf *piece = &save->piece;
    const size_t plain_b = 8 + 1 + KEY_SIZE_B;
    if (!last && piece->size_b < PIECE_SIZE_B && !piece->failed)
        return true;
    if (!buf_ok(piece, "mempool.dat", &save->why))
        return false;
    size_t skip_b = save->offset_b == 0 ? plain_b : 0;
    unmask(piece->data + skip_b, piece->size_b - skip_b, save->offset_b + skip_b, save->key);
    if (!file_write_at(save->file, save->offset_b, buf_span(piece), &save->why))
        return false;
    save->offset_b += piece->size_b;
    buf_remove_front(piece, piece->size_b);
    return true;
}

static void save_done(struct job *job)
{
    struct save *save = (struct save *)job;
    struct mempool *pool = save->pool;
    pool_job_back(pool);
    for (uint32_t i = 0; i < save->count; i++)
        tx_unref(save->records[i].tx);
    mem_free(save->records);
    mem_free(save->deltas);
    if (save->done.fn != NULL)
        save->done.fn(save->done.ctx, &save->why);
    mem_free(save);
}

static int compare_sequence(const void *a, const void *b)
{
    const struct record *x = a, *y = b;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static void unmask(uint8_t *bytes, size_t size_b, uint64_t offset_b, const uint8_t key[KEY_SIZE_B])
{
    for (size_t i = 0; i < size_b; i++)
        bytes[i] ^= key[(offset_b + i) % KEY_SIZE_B];
}

/* ---- loading ---- */
bool mempool_is_loaded(const struct mempool *pool)
{
    return pool->load == NULL;
}

void mempool_load(struct mempool *pool, const char *path, struct ledger_done done)
{
    struct load *load = mem_new(sizeof *load), **link = &pool->load;
    load->pool = pool;
    load->disk = pool->env->disk;
    load->done = done;
    snprintf(load->path, sizeof load->path, "%s", path);
    buf_init(&load->window, WINDOW_SIZE_B);
    if (strlen(path) >= sizeof load->path)
        fail_set(&load->why, FAIL_REQUEST, "path-too-long", "%.200s...", path);
    while (*link != NULL)
        link = &(*link)->next_load;
    *link = load;
    if (pool->load == load)
        load_next(load);
}

static void load_next(struct load *load)
{
    load->reading = true;
    load->job = (struct job){
        .run = load_run, .done = load_done, .lane = JOB_READ, .serial = &load->pool->file_serial};
    pool_run_job(load->pool, &load->job);
}

static void load_run(struct job *job)
{
    struct load *load = (struct load *)job;
    load->count = load->next = 0;
    if (load->why.kind == FAIL_NONE && (load->opened || load_open(load)))
        load_decode(load);
}

static bool load_open(struct load *load)
{
    const struct disk *disk = load->disk;
    uint8_t head[8 + 1 + KEY_SIZE_B];
    if (!disk->exists(disk->ctx, load->path))
        return fail_set(
            &load->why, FAIL_REQUEST, "mempool-file-missing", "there is no file %s", load->path);
    load->file = disk->open(disk->ctx, load->path, FILE_READ, &load->why);
    if (load->file == NULL || !file_size(load->file, &load->size_b, &load->why))
        return false;
    if (load->size_b < 16)
        return damaged(load, "it is too short");
    size_t size_b = load->size_b < sizeof head ? 16 : sizeof head;
    if (!file_read_at(load->file, 0, head, size_b, &load->why))
        return false;
    uint64_t version = get_u64le(head);
    if (version != VERSION_PLAIN && version != VERSION_KEYED)
        return damaged(load, "its version is unknown");
    load->has_key = version == VERSION_KEYED;
    load->read_b = 8;
    if (load->has_key) {
        if (size_b < sizeof head || head[8] != KEY_SIZE_B)
            return damaged(load, "its key has a wrong size");
        memcpy(load->key, head + 9, KEY_SIZE_B);
        load->read_b = sizeof head;
    }
    struct reader r;
    if (!load_fill(load))
        return false;
    rd_init(&r, buf_span(&load->window));
    load->left = rd_u64le(&r);
    if (r.failed)
        return damaged(load, "it ends early");
    buf_remove_front(&load->window, 8);
    load->opened = true;
    return true;
}

/* Reads until the window holds a record of the largest size, or the rest of the file. */
static bool load_fill(struct load *load)
{
    struct buf *window = &load->window;
    if (window->size_b >= RECORD_MAX_B || load->read_b == load->size_b)
        return true;
    uint64_t left_b = load->size_b - load->read_b;
    size_t size_b = WINDOW_SIZE_B - window->size_b;
    size_b = left_b < size_b ? (size_t)left_b : size_b;
    uint8_t *to = buf_reserve(window, size_b);
    if (to == NULL)
        return fail_oom(&load->why, "mempool.dat");
    if (!file_read_at(load->file, load->read_b, to, size_b, &load->why))
        return false;
    if (load->has_key)
        unmask(to, size_b, load->read_b, load->key);
    window->size_b += size_b;
    load->read_b += size_b;
    return true;
}

static bool load_decode(struct load *load)
{
    struct reader r;
    if (!load_fill(load))
        return false;
    rd_init(&r, buf_span(&load->window));
    const uint8_t *start = r.at, *good = r.at;
    bool ok = true;
    while (ok && load->part != LOAD_END && load->count < BATCH_MAX &&
           (rd_left(&r) >= RECORD_MAX_B || load->read_b == load->size_b)) {
        if (load->left == 0) {
            load->part++;
            if (load->part != LOAD_END)
                load->left = rd_compact(&r, UINT64_MAX);
            ok = !r.failed || damaged(load, "it ends early");
        } else {
            ok = read_record(load, &r, &load->records[load->count]);
            load->left--;
            load->count += ok;
        }
        good = ok ? r.at : good;
    }
    buf_remove_front(&load->window, (size_t)(good - start));
    return ok;
}

static bool read_record(struct load *load, struct reader *r, struct record *record)
{
    struct tx view;
    struct arena arena;
    memset(record, 0, sizeof *record);
    if (load->part == LOAD_TXS) {
        arena_init(&arena, 0);
        bool ok = tx_read(&view, r, &arena, true) && tx_decode(&record->tx, view.raw, &load->why);
        arena_clear(&arena);
        record->time_s = rd_i64le(r);
        record->delta_sat = rd_i64le(r);
        if (ok && !r->failed)
            return true;
        tx_unref(ok ? record->tx : NULL);
        record->tx = NULL;
        return damaged(load, "a transaction in it does not decode");
    }
    rd_copy(r, record->id.b, sizeof record->id.b);
    record->delta_sat = load->part == LOAD_DELTAS ? rd_i64le(r) : 0;
    record->unbroadcast = load->part == LOAD_UNBROADCAST;
    return !r->failed || damaged(load, "it ends early");
}

static bool damaged(struct load *load, const char *what)
{
    return fail_set(&load->why, FAIL_PROTOCOL, "mempool-file",
        "%s is damaged: %s; it is written anew when the node stops", load->path, what);
}

static void load_done(struct job *job)
{
    struct load *load = (struct load *)job;
    pool_job_back(load->pool);
    load->reading = false;
    candidates_pump(load->pool);
}

/* Called by the pump whenever there may be room. */
void load_feed(struct mempool *pool)
{
    struct load *load = pool->load;
    int64_t oldest_s = env_wall_s(pool->env) - pool->options.expiry_s;
    if (load->reading)
        return;
    while (load->next < load->count && pool->feed_in_flight < FEED_IN_FLIGHT_MAX) {
        struct record *record = &load->records[load->next];
        struct tx_verdict verdict = {load_verdict, load};
        if (record->tx == NULL) {
            /* The set of unbroadcast ones is about what must be in the pool by then. */
            if (record->unbroadcast && load->in_flight > 0)
                return;
            if (record->unbroadcast)
                mempool_set_unbroadcast(pool, &record->id, true);
            else if (!mempool_prioritise(pool, &record->id, record->delta_sat))
                load->refused++;
        } else if (record->time_s <= oldest_s) {
            load->expired++;
        } else {
            if (!candidates_have_room(pool, record->tx->size_b))
                return;
            if (record->delta_sat != 0 && pool_delta_sat(pool, &record->tx->txid) == 0 &&
                !mempool_prioritise(pool, &record->tx->txid, record->delta_sat))
                load->refused++;
            if (!candidate_offer(pool, record->tx, 0, 0, record->time_s, false, true, verdict))
                return;
            pool->feed_in_flight++;
            load->in_flight++;
        }
        tx_unref(record->tx);
        load->next++;
    }
    if (load->next < load->count)
        return;
    if (load->part != LOAD_END && load->why.kind == FAIL_NONE)
        load_next(load);
    else if (load->in_flight == 0)
        load_finish(load);
}

static void load_verdict(
    void *ctx, struct tx *tx, const struct mempool_entry *entry, const struct fail *why)
{
    struct load *load = ctx;
    (void)tx;
    load->in_flight--;
    load->accepted += entry != NULL;
    load->refused += entry == NULL && why->kind != FAIL_NONE;
}

static void load_finish(struct load *load)
{
    struct mempool *pool = load->pool;
    struct ledger_done done = load->done;
    struct fail why = load->why;
    if (load->opened)
        log_info("mempool: %" PRIu32 " transactions came back from %s, %" PRIu32
                 " were refused, %" PRIu32 " had expired",
            load->accepted, load->path, load->refused, load->expired);
    pool->load = load->next_load;
    load->next_load = NULL;
    file_close(load->file);
    buf_clear(&load->window);
    mem_free(load);
    if (pool->load != NULL)
        load_next(pool->load);
    if (done.fn != NULL)
        done.fn(done.ctx, &why);
}

void load_free(struct mempool *pool)
{
    while (pool->load != NULL) {
        struct load *load = pool->load;
        pool->load = load->next_load;
        for (uint32_t i = load->next; i < load->count; i++)
            tx_unref(load->records[i].tx);
        file_close(load->file);
        buf_clear(&load->window);
        mem_free(load);
    }
}
