/* A wallet's file. Six tables, all alike to this code: a key, up to six numbers and two blobs; which columns a
 * table really has is in `tables`, from which the statements are made. Synchronous FULL with a rollback
 * journal: a commit that has returned survives a power cut, and a kill at any instant leaves the old or the new
 * state whole.
 *
 *   meta        key TEXT, value BLOB
 *   descriptors id, flags, next, range_end, created, kind | public text, secret
 *   scripts     script -> descriptor, index
 *   labels      script -> label, purpose
 *   txs         txid -> height, position, time received, state, time of block, order | raw, block id
 *   locked      outpoint
 *
 * PRAGMA application_id and user_version tell a wallet of ours and its schema; a newer one is refused. */

#include "store.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct table_shape {
    const char *name, *key;
    uint32_t numbers;
    const char *columns; /* of the numbers and blobs, in order */
    const char *a, *b;   /* blob columns or NULL */
};
static const struct table_shape tables[STORE_TABLES] = {
    [STORE_META] = {"meta", "key", 0, "", "value", NULL},
    [STORE_DESCRIPTOR] = {"descriptors", "id", 5, "flags,next,range_end,created,kind", "text", "secret"},
    [STORE_SCRIPT] = {"scripts", "script", 2, "descriptor,idx", NULL, NULL},
    [STORE_LABEL] = {"labels", "script", 0, "", "label", "purpose"},
    [STORE_TX] = {"txs", "txid", 6, "height,position,received,state,block_time,ordering", "raw", "block"},
    [STORE_LOCKED] = {"locked", "outpoint", 0, "", NULL, NULL},
};

static const char schema[] =
    "CREATE TABLE meta(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE descriptors(id BLOB PRIMARY KEY, flags INTEGER NOT NULL, next INTEGER NOT NULL,"
    " range_end INTEGER NOT NULL, created INTEGER NOT NULL, kind INTEGER NOT NULL, text BLOB NOT NULL,"
    " secret BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE scripts(script BLOB PRIMARY KEY, descriptor INTEGER NOT NULL, idx INTEGER NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE labels(script BLOB PRIMARY KEY, label BLOB NOT NULL, purpose BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE txs(txid BLOB PRIMARY KEY, height INTEGER NOT NULL, position INTEGER NOT NULL,"
    " received INTEGER NOT NULL, state INTEGER NOT NULL, block_time INTEGER NOT NULL, ordering INTEGER NOT NULL,"
    " raw BLOB NOT NULL, block BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE locked(outpoint BLOB PRIMARY KEY) WITHOUT ROWID;";

#define SQL_SIZE_B 512

struct store {
    sqlite3 *db;
    char path[1024];
    sqlite3_stmt *put[STORE_TABLES], *remove[STORE_TABLES];
};

static bool fail_sqlite(struct store *store, const char *what, struct fail *why);
static bool run_sql(struct store *store, const char *sql, const char *what, struct fail *why);
static bool read_pragma(struct store *store, const char *name, int64_t *out, struct fail *why);
static bool make_schema(struct store *store, struct fail *why);
static bool check_schema(struct store *store, struct fail *why);
static bool prepare(struct store *store, struct fail *why);
static bool apply_row(struct store *store, const struct store_row *row, struct fail *why);
static struct span column(sqlite3_stmt *st, int i);

struct store *store_open(const char *path, bool create, struct fail *why)
{
    struct store *store = mem_new(sizeof *store);
    snprintf(store->path, sizeof store->path, "%s", path == NULL ? ":memory:" : path);
    if (path != NULL && create && access(path, F_OK) == 0) {
        fail_request(why, -36, "A wallet file exists already: %s", path);
        goto out;
    }
    mode_t before = umask(0077); /* nobody but its owner reads a wallet */
    int flags = SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0);
    int rc = sqlite3_open_v2(store->path, &store->db, flags, NULL);
    umask(before);
    if (rc != SQLITE_OK) {
        fail_request(why, create ? -4 : -18, "The wallet file %s cannot be opened: %s", store->path,
            store->db != NULL ? sqlite3_errmsg(store->db) : "out of memory");
        goto out;
    }
    sqlite3_extended_result_codes(store->db, 1);
    if (!run_sql(store, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL;",
            "settings", why))
        goto out;
    /* The lock is taken by the first transaction: take it now, so that a second node is refused at once. */
    rc = sqlite3_exec(store->db, "BEGIN EXCLUSIVE; COMMIT;", NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        if ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED)
            fail_request(why, -4, "The wallet file %s is in use: is another coind running with it?", path);
        else
            fail_sqlite(store, "open", why);
        goto out;
    }
    if (!(create ? make_schema(store, why) : check_schema(store, why)) || !prepare(store, why))
        goto out;
    return store;
out:
    store_close(store);
    return NULL;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    for (int t = 0; t < STORE_TABLES; t++) {
        sqlite3_finalize(store->put[t]);
        sqlite3_finalize(store->remove[t]);
    }
    sqlite3_close(store->db);
    mem_free(store);
}

void store_batch_init(struct store_batch *batch)
{
    memset(batch, 0, sizeof *batch);
    arena_init(&batch->arena, 0);
}

void store_batch_clear(struct store_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) { /* keys and words pass through here */
        const struct store_row *row = &batch->rows[i];
        if (row->table == STORE_DESCRIPTOR)
            mem_wipe((void *)(uintptr_t)row->b.data, row->b.size_b);
        else if (row->table == STORE_META)
            mem_wipe((void *)(uintptr_t)row->a.data, row->a.size_b);
    }
    arena_clear(&batch->arena);
    mem_free(batch->rows);
    store_batch_init(batch);
}

void store_batch_put(struct store_batch *batch, const struct store_row *row)
{
    if (batch->failed ||
        !mem_try_grow(&batch->rows, &batch->capacity, batch->count + 1, UINT32_MAX, sizeof *batch->rows)) {
        batch->failed = true;
        return;
    }
    struct store_row *copy = &batch->rows[batch->count];
    *copy = *row;
    struct span *const bytes[] = {&copy->key, &copy->a, &copy->b};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        uint8_t *room = arena_new(&batch->arena, bytes[i]->size_b);
        if (room == NULL) {
            batch->failed = true;
            return;
        }
        if (bytes[i]->size_b > 0)
            memcpy(room, bytes[i]->data, bytes[i]->size_b);
        bytes[i]->data = room;
    }
    batch->count++;
}

bool store_apply(struct store *store, const struct store_batch *batch, struct fail *why)
{
    if (batch->failed)
        return fail_oom(why, "wallet change");
    if (batch->count == 0)
        return true;
    if (!run_sql(store, "BEGIN IMMEDIATE", "begin", why))
        return false;
    for (uint32_t i = 0; i < batch->count; i++) {
        if (!apply_row(store, &batch->rows[i], why)) {
            sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
            return false;
        }
    }
    if (run_sql(store, "COMMIT", "commit", why))
        return true;
    sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    return false;
}

bool store_each(struct store *store, enum store_table table,
    bool (*each)(void *ctx, const struct store_row *row, struct fail *why), void *ctx, struct fail *why)
{
    const struct table_shape *shape = &tables[table];
    char sql[SQL_SIZE_B];
    snprintf(sql, sizeof sql, "SELECT %s%s%s%s%s%s%s FROM %s", shape->key, shape->numbers > 0 ? "," : "",
        shape->columns, shape->a != NULL ? "," : "", shape->a != NULL ? shape->a : "",
        shape->b != NULL ? "," : "", shape->b != NULL ? shape->b : "", shape->name);
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(store->db, sql, -1, &st, NULL) != SQLITE_OK)
        return fail_sqlite(store, shape->name, why);
    bool ok = true;
    int rc;
    while (ok && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct store_row row = {.table = table};
        int i = 0;
        row.key = column(st, i++);
        for (uint32_t n = 0; n < shape->numbers; n++)
            row.n[n] = sqlite3_column_int64(st, i++);
        if (shape->a != NULL)
            row.a = column(st, i++);
        if (shape->b != NULL)
            row.b = column(st, i++);
        ok = each(ctx, &row, why);
    }
    if (ok && rc != SQLITE_DONE)
        ok = fail_sqlite(store, shape->name, why);
    sqlite3_finalize(st);
    return ok;
}

bool store_backup(struct store *store, const char *path, struct fail *why)
{
    sqlite3 *to = NULL;
    if (access(path, F_OK) == 0)
        return fail_request(why, -4, "The backup file exists already: %s", path);
    mode_t before = umask(0077);
    int rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    umask(before);
    bool ok = rc == SQLITE_OK;
    if (ok) {
        sqlite3_backup *copy = sqlite3_backup_init(to, "main", store->db, "main");
        ok = copy != NULL && sqlite3_backup_step(copy, -1) == SQLITE_DONE;
        ok = copy != NULL && sqlite3_backup_finish(copy) == SQLITE_OK && ok;
    }
    if (!ok)
        fail_request(why, -4, "The wallet cannot be copied to %s: %s", path,
            to != NULL ? sqlite3_errmsg(to) : "out of memory");
    sqlite3_close(to);
    if (!ok)
        unlink(path); /* it was not there before */
    return ok;
}

static bool make_schema(struct store *store, struct fail *why)
{
    char sql[SQL_SIZE_B];
    snprintf(sql, sizeof sql, "PRAGMA application_id=%d; PRAGMA user_version=%d;", STORE_APPLICATION_ID,
        STORE_SCHEMA_VERSION);
    return run_sql(store, "BEGIN", "schema", why) && run_sql(store, schema, "schema", why) &&
           run_sql(store, sql, "schema", why) && run_sql(store, "COMMIT", "schema", why);
}

static bool check_schema(struct store *store, struct fail *why)
{
    int64_t application, version;
    if (!read_pragma(store, "application_id", &application, why) ||
        !read_pragma(store, "user_version", &version, why))
        return false;
    if (application != STORE_APPLICATION_ID)
        return fail_request(why, -4, "%s is not a wallet of coind", store->path);
    if (version > STORE_SCHEMA_VERSION)
        return fail_request(why, -4,
            "%s was written by a newer coind (schema %" PRId64 ", this one knows %d): use that version",
            store->path, version, STORE_SCHEMA_VERSION);
    return true;
}

static bool prepare(struct store *store, struct fail *why)
{
    for (int t = 0; t < STORE_TABLES; t++) {
        const struct table_shape *shape = &tables[t];
        uint32_t values = 1 + shape->numbers + (shape->a != NULL) + (shape->b != NULL);
        char marks[32] = "?";
        for (uint32_t i = 1; i < values; i++)
            memcpy(marks + 2 * i - 1, ",?", 3);
        char sql[SQL_SIZE_B];
        snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO %s(%s%s%s%s%s%s%s) VALUES(%s)", shape->name,
            shape->key, shape->numbers > 0 ? "," : "", shape->columns, shape->a != NULL ? "," : "",
            shape->a != NULL ? shape->a : "", shape->b != NULL ? "," : "", shape->b != NULL ? shape->b : "",
            marks);
        if (sqlite3_prepare_v2(store->db, sql, -1, &store->put[t], NULL) != SQLITE_OK)
            return fail_sqlite(store, shape->name, why);
        snprintf(sql, sizeof sql, "DELETE FROM %s WHERE %s=?", shape->name, shape->key);
        if (sqlite3_prepare_v2(store->db, sql, -1, &store->remove[t], NULL) != SQLITE_OK)
            return fail_sqlite(store, shape->name, why);
    }
    return true;
}

static bool apply_row(struct store *store, const struct store_row *row, struct fail *why)
{
    const struct table_shape *shape = &tables[row->table];
    sqlite3_stmt *st = row->remove ? store->remove[row->table] : store->put[row->table];
    int i = 1;
    sqlite3_reset(st);
    sqlite3_bind_blob64(st, i++, row->key.data, row->key.size_b, SQLITE_STATIC);
    if (!row->remove) {
        for (uint32_t n = 0; n < shape->numbers; n++)
            sqlite3_bind_int64(st, i++, row->n[n]);
        if (shape->a != NULL)
            sqlite3_bind_blob64(st, i++, row->a.data, row->a.size_b, SQLITE_STATIC);
        if (shape->b != NULL)
            sqlite3_bind_blob64(st, i++, row->b.data, row->b.size_b, SQLITE_STATIC);
    }
    int rc = sqlite3_step(st);
    bool ok = rc == SQLITE_DONE || fail_sqlite(store, shape->name, why);
    sqlite3_reset(st);
    sqlite3_clear_bindings(st); /* nothing points to the batch any more */
    return ok;
}

static struct span column(sqlite3_stmt *st, int i)
{
    const void *data = sqlite3_column_blob(st, i);
    int size_b = sqlite3_column_bytes(st, i);
    return span_of(data, size_b > 0 ? (size_t)size_b : 0);
}

static bool read_pragma(struct store *store, const char *name, int64_t *out, struct fail *why)
{
    char sql[64];
    sqlite3_stmt *st = NULL;
    snprintf(sql, sizeof sql, "PRAGMA %s", name);
    bool ok = sqlite3_prepare_v2(store->db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW;
    if (ok)
        *out = sqlite3_column_int64(st, 0);
    else if (sqlite3_errcode(store->db) == SQLITE_NOTADB)
        fail_request(why, -4, "%s is not a wallet of coind, or it is damaged: restore a backup with restorewallet",
            store->path);
    else
        fail_sqlite(store, name, why);
    sqlite3_finalize(st);
    return ok;
}

static bool run_sql(struct store *store, const char *sql, const char *what, struct fail *why)
{
    int rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        return true;
    if ((rc & 0xff) == SQLITE_NOTADB)
        return fail_request(why, -4, "%s is not a wallet of coind, or it is damaged: restore a backup",
            store->path);
    if ((rc & 0xff) == SQLITE_BUSY)
        return fail_request(
            why, -4, "The wallet file %s is in use: is another coind running with it?", store->path);
    return fail_sqlite(store, what, why);
}

static bool fail_sqlite(struct store *store, const char *what, struct fail *why)
{
    int system = (sqlite3_errcode(store->db) & 0xff) == SQLITE_IOERR ? sqlite3_system_errno(store->db) : 0;
    return fail_set(why, FAIL_LOCAL, "wallet-io", "wallet file %s (%s): %s%s%s", store->path, what,
        sqlite3_errmsg(store->db), system != 0 ? ": " : "", system != 0 ? strerror(system) : "");
}
