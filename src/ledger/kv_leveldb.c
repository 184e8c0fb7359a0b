/* Key-value stores in LevelDB, through its C interface: the only file that knows LevelDB.
 * Every call's status is checked. LevelDB reports a failed background write only at the next write, so
 * the first failure is final for the store: whoever sees it stops the node before anything is torn.
 * Checksums are verified on every read: a damaged block is an error, never wrong data. */
#include <leveldb/c.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/ledger/kv.h"

/* Tables whose index and filter stay in memory: looking into another one costs four reads more. LevelDB maps most
 * of them and limits its descriptors by itself. 8 GiB of coins are covered, at a 100th of their size. */
#define KV_OPEN_FILES_MAX 512
#define KV_BLOOM_BITS 10 /* per key: one percent of look-ups for absent keys read a block in vain */
#define KV_BLOCK_B ((size_t)4 << 10)
#define KV_FILE_B ((size_t)16 << 20)

struct kv_leveldb {
    struct kv base;
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *bloom;
    leveldb_readoptions_t *read;
    leveldb_writeoptions_t *write, *write_sync;
    char *path;
};

struct kv_iter {
    struct kv_leveldb *kv;
    const leveldb_snapshot_t *snapshot;
    leveldb_readoptions_t *read;
    leveldb_iterator_t *it;
};

static bool level_get(
    struct kv *kv, struct span key, struct buf *value, bool *found, struct fail *why);
static bool level_write(struct kv *kv, const struct kv_batch *batch, bool sync, struct fail *why);
static struct kv_iter *level_iterate(struct kv *kv, struct span first_key);
static bool level_iter_get(struct kv_iter *it, struct span *key, struct span *value);
static void level_iter_next(struct kv_iter *it);
static void level_iter_seek(struct kv_iter *it, struct span key);
static bool level_iter_close(struct kv_iter *it, struct fail *why);
static uint64_t level_size_b(struct kv *kv);
static void level_close(struct kv *kv);
static void level_set_options(struct kv_leveldb *level, const struct kv_options *options);
static bool level_failed(const struct kv_leveldb *level, char *error, struct fail *why);

static const struct kv_ops level_ops = {
    .get = level_get,
    .write = level_write,
    .iterate = level_iterate,
    .iter_get = level_iter_get,
    .iter_next = level_iter_next,
    .iter_seek = level_iter_seek,
    .iter_close = level_iter_close,
    .size_b = level_size_b,
    .close = level_close,
};

struct kv *kv_leveldb_open(
    void *unused, const char *path, const struct kv_options *options, struct fail *why)
{
    (void)unused;
    struct kv_leveldb *level = mem_new(sizeof *level);
    level->base.ops = &level_ops;
    level->path = mem_text(path);
    level_set_options(level, options);
    char *error = NULL;
    level->db = leveldb_open(level->options, path, &error);
    if (error != NULL) {
        level_failed(level, error, why);
        level_close(&level->base);
        return NULL;
    }
    return &level->base;
}

static void level_set_options(struct kv_leveldb *level, const struct kv_options *options)
{
    level->options = leveldb_options_create();
    level->cache = leveldb_cache_create_lru(options->cache_b);
    level->bloom =
        leveldb_filterpolicy_create_bloom(options->bloom_bits > 0 ? (int)options->bloom_bits : KV_BLOOM_BITS);
    leveldb_options_set_create_if_missing(level->options, 1);
    leveldb_options_set_paranoid_checks(level->options, 1);
    leveldb_options_set_cache(level->options, level->cache);
    leveldb_options_set_filter_policy(level->options, level->bloom);
    leveldb_options_set_write_buffer_size(level->options, options->write_buffer_b);
    leveldb_options_set_block_size(level->options, options->block_b > 0 ? options->block_b : KV_BLOCK_B);
    leveldb_options_set_max_file_size(level->options, options->file_b > 0 ? options->file_b : KV_FILE_B);
    leveldb_options_set_max_open_files(level->options, KV_OPEN_FILES_MAX);
    leveldb_options_set_compression(
        level->options, options->compress ? leveldb_snappy_compression : leveldb_no_compression);
    level->read = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(level->read, 1);
    level->write = leveldb_writeoptions_create();
    level->write_sync = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(level->write_sync, 1);
}

static bool level_get(
    struct kv *kv, struct span key, struct buf *value, bool *found, struct fail *why)
{
    struct kv_leveldb *level = (struct kv_leveldb *)kv;
    char *error = NULL;
    size_t size_b = 0;
    char *data =
        leveldb_get(level->db, level->read, (const char *)key.data, key.size_b, &size_b, &error);
    if (error != NULL)
        return level_failed(level, error, why);
    *found = data != NULL;
    if (data != NULL)
        buf_put(value, data, size_b);
    leveldb_free(data);
    return buf_ok(value, "database value", why);
}

static bool level_write(struct kv *kv, const struct kv_batch *batch, bool sync, struct fail *why)
{
    struct kv_leveldb *level = (struct kv_leveldb *)kv;
    leveldb_writebatch_t *rows = leveldb_writebatch_create();
    struct reader r;
    struct kv_op op;
    rd_init(&r, buf_span(&batch->ops));
    while (kv_batch_next(&r, &op)) {
        if (op.is_put)
            leveldb_writebatch_put(rows, (const char *)op.key.data, op.key.size_b,
                (const char *)op.value.data, op.value.size_b);
        else
            leveldb_writebatch_delete(rows, (const char *)op.key.data, op.key.size_b);
    }
    char *error = NULL;
    bool ok = rd_done(&r, "database batch", why);
    if (ok) {
        leveldb_write(level->db, sync ? level->write_sync : level->write, rows, &error);
        ok = error == NULL || level_failed(level, error, why);
    }
    leveldb_writebatch_destroy(rows);
    return ok;
}

static struct kv_iter *level_iterate(struct kv *kv, struct span first_key)
{
    struct kv_leveldb *level = (struct kv_leveldb *)kv;
    struct kv_iter *it = mem_new(sizeof *it);
    it->kv = level;
    it->snapshot = leveldb_create_snapshot(level->db);
    it->read = leveldb_readoptions_create();
    leveldb_readoptions_set_snapshot(it->read, it->snapshot);
    leveldb_readoptions_set_verify_checksums(it->read, 1);
    leveldb_readoptions_set_fill_cache(
        it->read, 0); /* a walk over all would push out what is hot */
    it->it = leveldb_create_iterator(level->db, it->read);
    if (first_key.size_b == 0)
        leveldb_iter_seek_to_first(it->it);
    else
        leveldb_iter_seek(it->it, (const char *)first_key.data, first_key.size_b);
    return it;
}

static bool level_iter_get(struct kv_iter *it, struct span *key, struct span *value)
{
    if (!leveldb_iter_valid(it->it))
        return false;
    size_t size_b;
    const char *data = leveldb_iter_key(it->it, &size_b);
    *key = span_of(data, size_b);
    data = leveldb_iter_value(it->it, &size_b);
    *value = span_of(data, size_b);
    return true;
}

static void level_iter_next(struct kv_iter *it)
{
    if (leveldb_iter_valid(it->it))
        leveldb_iter_next(it->it);
}

static void level_iter_seek(struct kv_iter *it, struct span key)
{
    leveldb_iter_seek(it->it, (const char *)key.data, key.size_b);
}

static bool level_iter_close(struct kv_iter *it, struct fail *why)
{
    char *error = NULL;
    leveldb_iter_get_error(it->it, &error);
    leveldb_iter_destroy(it->it);
    leveldb_readoptions_destroy(it->read);
    leveldb_release_snapshot(it->kv->db, it->snapshot);
    bool ok = error == NULL || level_failed(it->kv, error, why);
    mem_free(it);
    return ok;
}

static uint64_t level_size_b(struct kv *kv)
{
    struct kv_leveldb *level = (struct kv_leveldb *)kv;
    const char *first = "", *last = "\xff\xff\xff\xff";
    size_t first_b = 0, last_b = 4;
    uint64_t size_b = 0;
    leveldb_approximate_sizes(level->db, 1, &first, &first_b, &last, &last_b, &size_b);
    return size_b;
}

static void level_close(struct kv *kv)
{
    struct kv_leveldb *level = (struct kv_leveldb *)kv;
    if (level->db != NULL)
        leveldb_close(level->db);
    leveldb_writeoptions_destroy(level->write_sync);
    leveldb_writeoptions_destroy(level->write);
    leveldb_readoptions_destroy(level->read);
    leveldb_options_destroy(level->options);
    leveldb_cache_destroy(level->cache);
    leveldb_filterpolicy_destroy(level->bloom);
    mem_free(level->path);
    mem_free(level);
}

/* Frees LevelDB's words. */
static bool level_failed(const struct kv_leveldb *level, char *error, struct fail *why)
{
    kv_fail(why, level->path, error);
    leveldb_free(error);
    return false;
}
