/* The simulated disk: inodes, names and key-value stores in memory.
 * An inode holds its present bytes and a journal of the writes since its last sync, each with the bytes
 * and the size it replaced; a power cut walks the journal back and plays a random selection again. Names
 * are a sorted array with a journal of changes of which a power cut keeps a random number of the first. A
 * store is a sorted array of immutable reference-counted rows; a snapshot is a copy of the array. What it
 * will hold after a power cut is a second array plus the batches since the last synced one. */
#include "disk.h"

#include <string.h>

#include "coin/base/mem.h"

#define SIM_FILE_MAX_B (1u << 30)
#define SIM_NAMES_MAX (1u << 20)
#define SIM_JOURNAL_MAX (1u << 20)
#define SIM_ROWS_MAX (1u << 26)
#define STORE_FILE "CURRENT"
#define SIM_FREE_SPACE_B (UINT64_C(1) << 40)
#define SIM_BATCHES_KEPT 256u /* older ones were written back by the operating system meanwhile */

struct change { /* one write or truncation that was not synced */
    uint64_t offset_b;
    struct buf bytes, replaced; /* replaced: what lay there and existed */
    uint64_t old_size_b, new_size_b;
};
struct inode {
    uint32_t refs;
    struct buf data;
    struct change *journal;
    uint32_t journal_count, journal_capacity;
};
struct name {
    char *path;
    struct inode *inode; /* NULL: a folder */
};
struct names {
    struct name *rows;
    uint32_t count, capacity;
};
enum name_change_kind { NAME_SET, NAME_REMOVED, NAME_RENAMED };
struct name_change {
    enum name_change_kind kind;
    char *path, *to;
    struct inode *inode;
};
struct sim_disk {
    struct disk ops;
    struct sim_random random;
    struct names names, durable;
    struct name_change *journal;
    uint32_t journal_count, journal_capacity;
    struct sim_store *stores; /* list */
    uint64_t count, fail_at, die_at, free_b;
    bool dead;
};
struct sim_file {
    struct file base;
    struct sim_disk *sim;
    struct inode *inode;
};

static bool admit(struct sim_disk *sim, bool *dying, struct fail *why);
static bool alive(const struct sim_disk *sim, struct fail *why);
static bool change_apply(
    struct inode *inode, uint64_t offset_b, struct span bytes, uint64_t new_size_b, bool grow_only);
static void journal_drop(struct inode *inode);
static struct inode *inode_new(void);
static void inode_unref(struct inode *inode);
static bool names_find(const struct names *names, const char *path, uint32_t *at);
static void names_set(struct names *names, const char *path, struct inode *inode);
static void names_remove(struct names *names, const char *path);
static void names_clear(struct names *names);
static void names_change(struct sim_disk *sim, enum name_change_kind kind, const char *path,
    const char *to, struct inode *inode);
static void names_play(struct names *names, const struct name_change *change);
static void name_changes_drop(struct sim_disk *sim);
static uint32_t survivors(struct sim_disk *sim, enum sim_loss loss, uint32_t count);
static void inode_power_cut(struct sim_disk *sim, struct inode *inode, enum sim_loss loss);
static void stores_restart(struct sim_disk *sim, enum sim_loss loss);
static void stores_free(struct sim_disk *sim);
static bool store_is_there(const struct sim_disk *sim, const char *path);
static bool store_rename(struct sim_disk *sim, const char *from, const char *to);
static bool store_remove(struct sim_disk *sim, const char *path);

uint64_t sim_random_next(struct sim_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t sim_random_below(struct sim_random *random, uint64_t limit)
{
    return limit == 0 ? 0 : sim_random_next(random) % limit;
}

/* ---- struct disk ---- */
static struct file *sim_open(void *ctx, const char *path, enum file_mode mode, struct fail *why)
{
    struct sim_disk *sim = ctx;
    uint32_t at;
    if (!alive(sim, why))
        return NULL;
    bool exists = names_find(&sim->names, path, &at);
    if (exists && sim->names.rows[at].inode == NULL) {
        fail_set(why, FAIL_LOCAL, "io-error", "%s: is a folder", path);
        return NULL;
    }
    if (!exists && mode == FILE_READ) {
        fail_set(why, FAIL_LOCAL, "io-error", "%s: No such file or directory", path);
        return NULL;
    }
    if (!exists || mode == FILE_NEW) {
        bool dying = false;
        if (!admit(sim, &dying, why))
            return NULL;
        struct inode *inode = inode_new();
        names_change(sim, NAME_SET, path, NULL, inode);
        inode_unref(inode);
        if (dying)
            return NULL;
        names_find(&sim->names, path, &at);
    }
    struct sim_file *file = mem_new(sizeof *file);
    file->base.disk = &sim->ops;
    file->sim = sim;
    file->inode = sim->names.rows[at].inode;
    file->inode->refs++;
    return &file->base;
}

static bool write_change(struct sim_file *file, uint64_t offset_b, struct span bytes,
    uint64_t new_size_b, bool cut, struct fail *why)
{
    struct inode *inode = file->inode;
    if (cut) {
        bytes.size_b = (size_t)sim_random_below(&file->sim->random, bytes.size_b + 1);
        if (new_size_b > inode->data.size_b)
            new_size_b = offset_b + bytes.size_b > inode->data.size_b ? offset_b + bytes.size_b
                                                                      : inode->data.size_b;
    }
    if (!mem_try_grow(&inode->journal, &inode->journal_capacity, inode->journal_count + 1,
            SIM_JOURNAL_MAX, sizeof *inode->journal))
        return fail_oom(why, "simulated disk");
    struct change *change = &inode->journal[inode->journal_count++];
    memset(change, 0, sizeof *change);
    buf_init(&change->bytes, SIM_FILE_MAX_B);
    buf_init(&change->replaced, SIM_FILE_MAX_B);
    change->offset_b = offset_b;
    change->old_size_b = inode->data.size_b;
    change->new_size_b = new_size_b;
    buf_put(&change->bytes, bytes.data, bytes.size_b);
    uint64_t from_b = new_size_b < offset_b ? new_size_b : offset_b;
    uint64_t to_b = new_size_b < inode->data.size_b ? inode->data.size_b : offset_b + bytes.size_b;
    if (to_b > inode->data.size_b)
        to_b = inode->data.size_b;
    if (from_b < to_b) /* offset_b stays: a truncation writes nothing */
        buf_put(&change->replaced, inode->data.data + from_b, (size_t)(to_b - from_b));
    return change_apply(inode, offset_b, bytes, new_size_b, false) ||
           fail_oom(why, "simulated disk");
}

static bool sim_write_at(struct file *base, uint64_t offset_b, struct span bytes, struct fail *why)
{
    struct sim_file *file = (struct sim_file *)base;
    bool dying = false;
    if (!admit(file->sim, &dying, why))
        return false;
    uint64_t end_b = offset_b + bytes.size_b;
    uint64_t size_b = end_b > file->inode->data.size_b ? end_b : file->inode->data.size_b;
    return write_change(file, offset_b, bytes, size_b, dying, why) && alive(file->sim, why);
}

static bool sim_read_at(
    struct file *base, uint64_t offset_b, void *out, size_t size_b, struct fail *why)
{
    struct sim_file *file = (struct sim_file *)base;
    if (!alive(file->sim, why))
        return false;
    const struct buf *data = &file->inode->data;
    if (offset_b > data->size_b || size_b > data->size_b - offset_b)
        return fail_set(why, FAIL_LOCAL, "short-read", "simulated file ends at %zu", data->size_b);
    if (size_b > 0)
        memcpy(out, data->data + offset_b, size_b);
    return true;
}

static bool sim_size(struct file *base, uint64_t *size_b, struct fail *why)
{
    struct sim_file *file = (struct sim_file *)base;
    *size_b = file->inode->data.size_b;
    return alive(file->sim, why);
}

static bool sim_truncate(struct file *base, uint64_t size_b, struct fail *why)
{
    struct sim_file *file = (struct sim_file *)base;
    bool dying = false;
    if (!admit(file->sim, &dying, why))
        return false;
    return dying ? alive(file->sim, why)
                 : write_change(file, size_b, span_of(NULL, 0), size_b, false, why);
}

static bool sim_sync(struct file *base, struct fail *why)
{
    struct sim_file *file = (struct sim_file *)base;
    bool dying = false;
    if (!admit(file->sim, &dying, why))
        return false;
    if (dying)
        return alive(file->sim, why);
    journal_drop(file->inode);
    return true;
}

static void sim_close(struct file *base)
{
    struct sim_file *file = (struct sim_file *)base;
    if (file == NULL)
        return;
    inode_unref(file->inode);
    mem_free(file);
}

static bool sim_rename(void *ctx, const char *from, const char *to, struct fail *why)
{
    struct sim_disk *sim = ctx;
    uint32_t at;
    bool dying = false;
    if (!admit(sim, &dying, why))
        return false;
    if (dying)
        return alive(sim, why);
    if (store_rename(sim, from, to))
        return true;
    if (!names_find(&sim->names, from, &at))
        return fail_set(why, FAIL_LOCAL, "io-error", "%s: No such file or directory", from);
    names_change(sim, NAME_RENAMED, from, to, NULL);
    return true;
}

static bool sim_remove(void *ctx, const char *path, struct fail *why)
{
    struct sim_disk *sim = ctx;
    uint32_t at;
    bool dying = false;
    if (!admit(sim, &dying, why))
        return false;
    if (dying)
        return alive(sim, why);
    if (store_remove(sim, path))
        return true;
    if (!names_find(&sim->names, path, &at))
        return fail_set(why, FAIL_LOCAL, "io-error", "%s: No such file or directory", path);
    names_change(sim, NAME_REMOVED, path, NULL, NULL);
    return true;
}

static bool sim_exists(void *ctx, const char *path)
{
    struct sim_disk *sim = ctx;
    uint32_t at;
    return names_find(&sim->names, path, &at) || store_is_there(sim, path);
}

static bool sim_make_dir(void *ctx, const char *path, struct fail *why)
{
    struct sim_disk *sim = ctx;
    uint32_t at;
    if (!alive(sim, why))
        return false;
    if (names_find(&sim->names, path, &at))
        return true;
    names_change(sim, NAME_SET, path, NULL, NULL);
    return true;
}

static bool sim_sync_dir(void *ctx, const char *path, struct fail *why)
{
    struct sim_disk *sim = ctx;
    (void)path;
    bool dying = false;
    if (!admit(sim, &dying, why))
        return false;
    if (dying)
        return alive(sim, why);
    for (uint32_t i = 0; i < sim->journal_count; i++)
        names_play(&sim->durable, &sim->journal[i]);
    name_changes_drop(sim);
    return true;
}

static bool sim_list(void *ctx, const char *path, bool (*each)(void *arg, const char *name),
    void *arg, struct fail *why)
{
    struct sim_disk *sim = ctx;
    if (!alive(sim, why))
        return false;
    size_t length = strlen(path);
    for (uint32_t i = 0; i < sim->names.count; i++) {
        const char *full = sim->names.rows[i].path;
        if (strncmp(full, path, length) != 0 || full[length] != '/' ||
            strchr(full + length + 1, '/') != NULL)
            continue;
        if (!each(arg, full + length + 1))
            return true;
    }
    if (store_is_there(sim, path))
        (void)each(arg, STORE_FILE);
    return true;
}

static bool sim_free_space(void *ctx, const char *path, uint64_t *free_b, struct fail *why)
{
    struct sim_disk *sim = ctx;
    (void)path;
    *free_b = sim->free_b;
    return alive(sim, why);
}

/* ---- life ---- */
struct sim_disk *sim_disk_new(uint64_t seed)
{
    struct sim_disk *sim = mem_new(sizeof *sim);
    sim->random.state = seed;
    sim->free_b = SIM_FREE_SPACE_B;
    sim->ops = (struct disk){
        .ctx = sim,
        .open = sim_open,
        .write_at = sim_write_at,
        .read_at = sim_read_at,
        .size = sim_size,
        .truncate = sim_truncate,
        .sync = sim_sync,
        .close = sim_close,
        .rename = sim_rename,
        .remove = sim_remove,
        .exists = sim_exists,
        .make_dir = sim_make_dir,
        .sync_dir = sim_sync_dir,
        .list = sim_list,
        .free_space = sim_free_space,
    };
    return sim;
}

void sim_disk_free(struct sim_disk *sim)
{
    if (sim == NULL)
        return;
    name_changes_drop(sim);
    mem_free(sim->journal);
    names_clear(&sim->names);
    names_clear(&sim->durable);
    stores_free(sim);
    mem_free(sim);
}

const struct disk *sim_disk_ops(struct sim_disk *sim)
{
    return &sim->ops;
}

uint64_t sim_disk_count(const struct sim_disk *sim)
{
    return sim->count;
}

void sim_disk_fail_at(struct sim_disk *sim, uint64_t nth)
{
    sim->fail_at = nth == 0 ? 0 : sim->count + nth;
}

void sim_disk_die_at(struct sim_disk *sim, uint64_t nth)
{
    sim->die_at = nth == 0 ? 0 : sim->count + nth;
}

void sim_disk_die(struct sim_disk *sim)
{
    sim->dead = true;
}

bool sim_disk_is_dead(const struct sim_disk *sim)
{
    return sim->dead;
}

void sim_disk_restart(struct sim_disk *sim, bool power_cut)
{
    enum sim_loss loss = power_cut ? SIM_TORN : SIM_KEPT;
    sim_disk_restart_as(sim, loss, loss);
}

void sim_disk_restart_as(struct sim_disk *sim, enum sim_loss files, enum sim_loss stores)
{
    sim->dead = false;
    sim->fail_at = sim->die_at = 0;
    if (files != SIM_KEPT) {
        uint32_t kept = survivors(sim, files, sim->journal_count);
        for (uint32_t i = 0; i < kept; i++)
            names_play(&sim->durable, &sim->journal[i]);
        name_changes_drop(sim);
        names_clear(&sim->names);
        for (uint32_t i = 0; i < sim->durable.count; i++)
            names_set(&sim->names, sim->durable.rows[i].path, sim->durable.rows[i].inode);
        for (uint32_t i = 0; i < sim->names.count; i++)
            if (sim->names.rows[i].inode != NULL)
                inode_power_cut(sim, sim->names.rows[i].inode, files);
    }
    stores_restart(sim, stores);
}

/* How many of the first changes are still there. */
static uint32_t survivors(struct sim_disk *sim, enum sim_loss loss, uint32_t count)
{
    switch (loss) {
    case SIM_KEPT:
        return count;
    case SIM_LOST:
        return 0;
    case SIM_TORN:
        break;
    }
    return (uint32_t)sim_random_below(&sim->random, (uint64_t)count + 1);
}

void sim_disk_set_free_space(struct sim_disk *sim, uint64_t free_b)
{
    sim->free_b = free_b;
}

bool sim_disk_damage(struct sim_disk *sim, const char *path, uint64_t offset_b)
{
    uint32_t at;
    if (!names_find(&sim->names, path, &at) || sim->names.rows[at].inode == NULL)
        return false;
    struct buf *data = &sim->names.rows[at].inode->data;
    if (offset_b >= data->size_b)
        return false;
    data->data[offset_b] ^= 1;
    return true;
}

/* Counts an operation. false: it fails, having done nothing. *dying: it is to be done by half. */
static bool admit(struct sim_disk *sim, bool *dying, struct fail *why)
{
    if (!alive(sim, why))
        return false;
    sim->count++;
    if (sim->count == sim->fail_at)
        return fail_set(why, FAIL_LOCAL, "io-error", "simulated: Input/output error");
    *dying = sim->count == sim->die_at;
    if (*dying)
        sim->dead = true;
    return true;
}

static bool alive(const struct sim_disk *sim, struct fail *why)
{
    return !sim->dead || fail_set(why, FAIL_LOCAL, "io-error", "simulated: the process is dead");
}

/* ---- inodes ---- */
static struct inode *inode_new(void)
{
    struct inode *inode = mem_new(sizeof *inode);
    inode->refs = 1;
    buf_init(&inode->data, SIM_FILE_MAX_B);
    return inode;
}

static void inode_unref(struct inode *inode)
{
    if (inode == NULL || --inode->refs > 0)
        return;
    journal_drop(inode);
    mem_free(inode->journal);
    buf_clear(&inode->data);
    mem_free(inode);
}

static void journal_drop(struct inode *inode)
{
    for (uint32_t i = 0; i < inode->journal_count; i++) {
        buf_clear(&inode->journal[i].bytes);
        buf_clear(&inode->journal[i].replaced);
    }
    inode->journal_count = 0;
}

/* Bytes to their place, the size to new_size_b (grow_only: never smaller); what lies between is zero. */
static bool change_apply(
    struct inode *inode, uint64_t offset_b, struct span bytes, uint64_t new_size_b, bool grow_only)
{
    struct buf *data = &inode->data;
    if (new_size_b > data->size_b) {
        size_t more_b = (size_t)new_size_b - data->size_b;
        uint8_t *room = buf_reserve(data, more_b);
        if (room == NULL)
            return false;
        memset(room, 0, more_b);
        data->size_b = (size_t)new_size_b;
    } else if (!grow_only) {
        data->size_b = (size_t)new_size_b;
    }
    if (bytes.size_b > 0 && offset_b + bytes.size_b <= data->size_b)
        memcpy(data->data + offset_b, bytes.data, bytes.size_b);
    return true;
}

static void inode_power_cut(struct sim_disk *sim, struct inode *inode, enum sim_loss loss)
{
    for (uint32_t i = inode->journal_count; i-- > 0;) {
        const struct change *c = &inode->journal[i];
        uint64_t from_b = c->new_size_b < c->offset_b ? c->new_size_b : c->offset_b;
        change_apply(inode, from_b, buf_span(&c->replaced), c->old_size_b, false);
    }
    for (uint32_t i = 0; i < inode->journal_count && loss != SIM_LOST; i++) {
        const struct change *c = &inode->journal[i];
        struct span bytes = buf_span(&c->bytes);
        bool truncates = c->new_size_b < c->old_size_b;
        switch (sim_random_below(&sim->random, 4)) {
        case 0: /* gone */
            break;
        case 1: /* torn */
            if (truncates)
                break;
            bytes.size_b = (size_t)sim_random_below(&sim->random, bytes.size_b + 1);
            change_apply(inode, c->offset_b, bytes, c->offset_b + bytes.size_b, true);
            break;
        default:
            if (truncates)
                change_apply(inode, 0, span_of(NULL, 0), c->new_size_b, false);
            else
                change_apply(inode, c->offset_b, bytes, c->offset_b + bytes.size_b, true);
            break;
        }
    }
    journal_drop(inode);
}

/* ---- names ---- */
static bool names_find(const struct names *names, const char *path, uint32_t *at)
{
    uint32_t low = 0, high = names->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(names->rows[middle].path, path);
        if (order == 0) {
            *at = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *at = low;
    return false;
}

static void names_set(struct names *names, const char *path, struct inode *inode)
{
    uint32_t at;
    if (inode != NULL)
        inode->refs++;
    if (names_find(names, path, &at)) {
        inode_unref(names->rows[at].inode);
        names->rows[at].inode = inode;
        return;
    }
    if (!mem_try_grow(
            &names->rows, &names->capacity, names->count + 1, SIM_NAMES_MAX, sizeof *names->rows)) {
        inode_unref(inode);
        return;
    }
    memmove(&names->rows[at + 1], &names->rows[at], (names->count - at) * sizeof *names->rows);
    names->rows[at] = (struct name){mem_text(path), inode};
    names->count++;
}

static void names_remove(struct names *names, const char *path)
{
    uint32_t at;
    if (!names_find(names, path, &at))
        return;
    inode_unref(names->rows[at].inode);
    mem_free(names->rows[at].path);
    names->count--;
    memmove(&names->rows[at], &names->rows[at + 1], (names->count - at) * sizeof *names->rows);
}

static void names_clear(struct names *names)
{
    for (uint32_t i = 0; i < names->count; i++) {
        inode_unref(names->rows[i].inode);
        mem_free(names->rows[i].path);
    }
    mem_free(names->rows);
    memset(names, 0, sizeof *names);
}

static void names_change(struct sim_disk *sim, enum name_change_kind kind, const char *path,
    const char *to, struct inode *inode)
{
    if (!mem_try_grow(&sim->journal, &sim->journal_capacity, sim->journal_count + 1,
            SIM_JOURNAL_MAX, sizeof *sim->journal))
        return;
    struct name_change *change = &sim->journal[sim->journal_count++];
    *change = (struct name_change){kind, mem_text(path), to != NULL ? mem_text(to) : NULL, inode};
    if (inode != NULL)
        inode->refs++;
    names_play(&sim->names, change);
}

static void names_play(struct names *names, const struct name_change *change)
{
    uint32_t at;
    switch (change->kind) {
    case NAME_SET:
        names_set(names, change->path, change->inode);
        break;
    case NAME_REMOVED:
        names_remove(names, change->path);
        break;
    case NAME_RENAMED:
        if (names_find(names, change->path, &at)) {
            names_set(names, change->to, names->rows[at].inode);
            names_remove(names, change->path);
        }
        break;
    }
}

static void name_changes_drop(struct sim_disk *sim)
{
    for (uint32_t i = 0; i < sim->journal_count; i++) {
        mem_free(sim->journal[i].path);
        mem_free(sim->journal[i].to);
        inode_unref(sim->journal[i].inode);
    }
    sim->journal_count = 0;
}

/* ---- key-value stores ---- */
struct row {
    uint32_t refs;
    uint32_t key_size_b, value_size_b;
    uint8_t bytes[]; /* key, then value */
};
struct rows {
    struct row **at;
    uint32_t count, capacity;
};
struct sim_store {
    struct kv base;
    struct sim_disk *sim;
    struct sim_store *next;
    char *path;
    bool open;
    struct rows now, durable;
    struct buf *pending; /* encoded batches since the last synced one */
    uint32_t pending_count, pending_capacity;
};
struct kv_iter {
    struct sim_store *store;
    struct rows rows;
    uint32_t at;
};

static bool rows_find(const struct rows *rows, struct span key, uint32_t *at)
{
    uint32_t low = 0, high = rows->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct row *row = rows->at[middle];
        size_t common_b = row->key_size_b < key.size_b ? row->key_size_b : key.size_b;
        int order = common_b > 0 ? memcmp(row->bytes, key.data, common_b) : 0;
        if (order == 0 && row->key_size_b == key.size_b) {
            *at = middle;
            return true;
        }
        if (order < 0 || (order == 0 && row->key_size_b < key.size_b))
            low = middle + 1;
        else
            high = middle;
    }
    *at = low;
    return false;
}

static void row_unref(struct row *row)
{
    if (--row->refs == 0)
        mem_free(row);
}

static bool rows_apply(struct rows *rows, struct span ops)
{
    struct reader r;
    struct kv_op op;
    rd_init(&r, ops);
    while (kv_batch_next(&r, &op)) {
        uint32_t at;
        bool found = rows_find(rows, op.key, &at);
        if (!op.is_put) {
            if (!found)
                continue;
            row_unref(rows->at[at]);
            rows->count--;
            memmove(&rows->at[at], &rows->at[at + 1], (rows->count - at) * sizeof *rows->at);
            continue;
        }
        struct row *row = mem_try_new(sizeof *row + op.key.size_b + op.value.size_b);
        if (row == NULL)
            return false;
        row->refs = 1;
        row->key_size_b = (uint32_t)op.key.size_b;
        row->value_size_b = (uint32_t)op.value.size_b;
        if (op.key.size_b > 0)
            memcpy(row->bytes, op.key.data, op.key.size_b);
        if (op.value.size_b > 0)
            memcpy(row->bytes + op.key.size_b, op.value.data, op.value.size_b);
        if (found) {
            row_unref(rows->at[at]);
        } else {
            if (!mem_try_grow(
                    &rows->at, &rows->capacity, rows->count + 1, SIM_ROWS_MAX, sizeof *rows->at)) {
                mem_free(row);
                return false;
            }
            memmove(&rows->at[at + 1], &rows->at[at], (rows->count - at) * sizeof *rows->at);
            rows->count++;
        }
        rows->at[at] = row;
    }
    return !r.failed;
}

static void rows_clear(struct rows *rows)
{
    for (uint32_t i = 0; i < rows->count; i++)
        row_unref(rows->at[i]);
    mem_free(rows->at);
    memset(rows, 0, sizeof *rows);
}

static bool rows_copy(struct rows *to, const struct rows *from)
{
    memset(to, 0, sizeof *to);
    if (!mem_try_grow(&to->at, &to->capacity, from->count, SIM_ROWS_MAX, sizeof *to->at))
        return false;
    for (uint32_t i = 0; i < from->count; i++) {
        to->at[i] = from->at[i];
        to->at[i]->refs++;
    }
    to->count = from->count;
    return true;
}

static void pending_settle(struct sim_store *store, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        rows_apply(&store->durable, buf_span(&store->pending[i]));
    for (uint32_t i = 0; i < count; i++)
        buf_clear(&store->pending[i]);
    if (count < store->pending_count)
        memmove(store->pending, store->pending + count,
            (store->pending_count - count) * sizeof *store->pending);
    store->pending_count -= count;
}

static bool store_get(
    struct kv *kv, struct span key, struct buf *value, bool *found, struct fail *why)
{
    struct sim_store *store = (struct sim_store *)kv;
    uint32_t at;
    if (!alive(store->sim, why))
        return false;
    *found = rows_find(&store->now, key, &at);
    if (*found) {
        const struct row *row = store->now.at[at];
        buf_put(value, row->bytes + row->key_size_b, row->value_size_b);
    }
    return buf_ok(value, "database value", why);
}

static bool store_write(struct kv *kv, const struct kv_batch *batch, bool sync, struct fail *why)
{
    struct sim_store *store = (struct sim_store *)kv;
    bool dying = false;
    if (!admit(store->sim, &dying, why))
        return false;
    /* Dying in a batch: it is in the log whole, or not at all. */
    if (dying && sim_random_below(&store->sim->random, 2) == 0)
        return alive(store->sim, why);
    struct span ops = buf_span(&batch->ops);
    if (!rows_apply(&store->now, ops) ||
        !mem_try_grow(&store->pending, &store->pending_capacity, store->pending_count + 1,
            SIM_JOURNAL_MAX, sizeof *store->pending))
        return fail_oom(why, "simulated store");
    struct buf *kept = &store->pending[store->pending_count++];
    memset(kept, 0, sizeof *kept);
    buf_init(kept, SIM_FILE_MAX_B);
    buf_put(kept, ops.data, ops.size_b);
    if (sync && !dying)
        pending_settle(store, store->pending_count);
    else if (store->pending_count > SIM_BATCHES_KEPT)
        pending_settle(store, 1);
    return alive(store->sim, why);
}

static struct kv_iter *store_iterate(struct kv *kv, struct span first_key)
{
    struct sim_store *store = (struct sim_store *)kv;
    struct kv_iter *it = mem_new(sizeof *it);
    it->store = store;
    if (rows_copy(&it->rows, &store->now))
        rows_find(&it->rows, first_key, &it->at);
    return it;
}

static bool store_iter_get(struct kv_iter *it, struct span *key, struct span *value)
{
    if (it->at >= it->rows.count || it->store->sim->dead)
        return false;
    const struct row *row = it->rows.at[it->at];
    *key = span_of(row->bytes, row->key_size_b);
    *value = span_of(row->bytes + row->key_size_b, row->value_size_b);
    return true;
}

static void store_iter_next(struct kv_iter *it)
{
    if (it->at < it->rows.count)
        it->at++;
}

static void store_iter_seek(struct kv_iter *it, struct span key)
{
    rows_find(&it->rows, key, &it->at);
}

static bool store_iter_close(struct kv_iter *it, struct fail *why)
{
    bool ok = alive(it->store->sim, why);
    rows_clear(&it->rows);
    mem_free(it);
    return ok;
}

static uint64_t store_size_b(struct kv *kv)
{
    const struct sim_store *store = (const struct sim_store *)kv;
    uint64_t size_b = 0;
    for (uint32_t i = 0; i < store->now.count; i++)
        size_b += store->now.at[i]->key_size_b + store->now.at[i]->value_size_b;
    return size_b;
}

static void store_close(struct kv *kv)
{
    struct sim_store *store = (struct sim_store *)kv;
    store->open = false;
}

static const struct kv_ops store_ops = {
    .get = store_get,
    .write = store_write,
    .iterate = store_iterate,
    .iter_get = store_iter_get,
    .iter_next = store_iter_next,
    .iter_seek = store_iter_seek,
    .iter_close = store_iter_close,
    .size_b = store_size_b,
    .close = store_close,
};

struct kv *sim_kv_open(
    void *sim_disk, const char *path, const struct kv_options *options, struct fail *why)
{
    struct sim_disk *sim = sim_disk;
    (void)options;
    if (!alive(sim, why))
        return NULL;
    struct sim_store *store = sim->stores;
    while (store != NULL && strcmp(store->path, path) != 0)
        store = store->next;
    if (store == NULL) {
        store = mem_new(sizeof *store);
        store->base.ops = &store_ops;
        store->sim = sim;
        store->path = mem_text(path);
        store->next = sim->stores;
        sim->stores = store;
    }
    if (store->open) {
        kv_fail(why, path, "lock store/LOCK: already held");
        return NULL;
    }
    store->open = true;
    return &store->base;
}

static void stores_restart(struct sim_disk *sim, enum sim_loss loss)
{
    for (struct sim_store *store = sim->stores; store != NULL; store = store->next) {
        store->open = false;
        if (loss == SIM_KEPT)
            continue;
        pending_settle(store, survivors(sim, loss, store->pending_count));
        for (uint32_t i = 0; i < store->pending_count; i++)
            buf_clear(&store->pending[i]);
        store->pending_count = 0;
        rows_clear(&store->now);
        rows_copy(&store->now, &store->durable);
    }
}

static void stores_free(struct sim_disk *sim)
{
    while (sim->stores != NULL) {
        struct sim_store *store = sim->stores;
        sim->stores = store->next;
        for (uint32_t i = 0; i < store->pending_count; i++)
            buf_clear(&store->pending[i]);
        mem_free(store->pending);
        rows_clear(&store->now);
        rows_clear(&store->durable);
        mem_free(store->path);
        mem_free(store);
    }
}

/* To those who look into its folder a store is one file; with it the store goes. */
static struct sim_store *store_at(const struct sim_disk *sim, const char *path, size_t size_b)
{
    struct sim_store *store = sim->stores;
    while (store != NULL && (strlen(store->path) != size_b || memcmp(store->path, path, size_b) != 0))
        store = store->next;
    return store;
}

static bool store_is_there(const struct sim_disk *sim, const char *path)
{
    const struct sim_store *store = store_at(sim, path, strlen(path));
    return store != NULL && store->now.count > 0;
}

static void store_empty(struct sim_store *store)
{
    pending_settle(store, store->pending_count);
    rows_clear(&store->now);
    rows_clear(&store->durable);
}

static bool store_remove(struct sim_disk *sim, const char *path)
{
    size_t size_b = strlen(path), name_b = strlen("/" STORE_FILE);
    if (size_b <= name_b || strcmp(path + size_b - name_b, "/" STORE_FILE) != 0)
        return false;
    struct sim_store *store = store_at(sim, path, size_b - name_b);
    if (store == NULL || store->open)
        return false;
    store_empty(store);
    return true;
}

static bool store_rename(struct sim_disk *sim, const char *from, const char *to)
{
    struct sim_store *store = store_at(sim, from, strlen(from));
    struct sim_store *old = store_at(sim, to, strlen(to));
    if (store == NULL || store->open || (old != NULL && (old->open || old->now.count > 0)))
        return false;
    if (old != NULL) { /* the empty one takes the other name */
        mem_free(old->path);
        old->path = mem_text(from);
    }
    mem_free(store->path);
    store->path = mem_text(to);
    return true;
}

void sim_disk_forget_stores(struct sim_disk *sim, const char *prefix)
{
    for (struct sim_store *store = sim->stores; store != NULL; store = store->next) {
        if (store->open || strncmp(store->path, prefix, strlen(prefix)) != 0)
            continue;
        store_empty(store);
    }
}
