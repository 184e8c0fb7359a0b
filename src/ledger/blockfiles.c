/* Block files: blkNNNNN.dat and revNNNNN.dat in Bitcoin's layout (blockfiles.h has it), so that the tools
 * which read them read ours. One write per record, files kept open, synced together by the flush. What a
 * crash left half-written lies behind the last whole record of a file and is cut off at the next start.
 * Invariant: data_end_b and undo_end_b are the sizes of the files while no append is running. */
#include "blockfiles.h"

#include <stdio.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/crypto/sha256.h"

#define XOR_NAME "xor.dat"
#define RECORD_MAX_B (BLOCK_SIZE_MAX_B * 2u)
#define REMEDY "stop the node and start it with -reindex"

static bool file_path(
    const struct blockfiles *files, bool undo, uint32_t number, char *path, struct fail *why);
static bool load_key(
    struct blockfiles *files, const uint8_t new_key[8], bool is_new, struct fail *why);
static bool find_files(struct blockfiles *files, struct fail *why);
static bool count_file(void *arg, const char *name);
static bool room_for(struct blockfiles *files, uint32_t count, struct fail *why);
static void apply_key(const uint8_t key[8], uint64_t offset_b, uint8_t *bytes, size_t size_b);
static bool append_record(struct blockfiles *files, bool undo, uint32_t number, struct span body,
    struct span tail, uint32_t *pos_b, struct fail *why);
static bool open_for_append(
    struct blockfiles *files, bool undo, uint32_t number, struct file **out, struct fail *why);
static bool note_unsynced(struct blockfiles *files, uint32_t code, struct fail *why);
static bool read_record(const struct blockfiles *files, bool undo, uint32_t number, uint32_t pos_b,
    size_t size_b, size_t tail_b, struct buf *out, struct fail *why);
static bool cut_file(
    struct blockfiles *files, bool undo, uint32_t number, uint64_t end_b, struct fail *why);
static bool find_magic(struct record_walk *walk, struct fail *why);
static bool may_write(const struct blockfiles *files, struct fail *why);
static bool sync_all(struct blockfiles *files, struct fail *why);

bool blockfiles_open(struct blockfiles *files, const struct disk *disk, const char *dir,
    const uint8_t magic[4], const uint8_t new_key[8], bool fast, struct fail *why)
{
    memset(files, 0, sizeof *files);
    files->disk = disk;
    memcpy(files->magic, magic, sizeof files->magic);
    files->file_size_max_b = fast ? BLOCKFILE_FAST_SIZE_MAX_B : BLOCKFILE_SIZE_MAX_B;
    buf_init(&files->scratch, RECORD_MAX_B + RECORD_HEAD_B + UNDO_CHECKSUM_B);
    if (strlen(dir) >= sizeof files->dir)
        return fail_set(why, FAIL_REQUEST, "path", "the path of the blocks folder is too long");
    memcpy(files->dir, dir, strlen(dir) + 1);
    if (!disk->make_dir(disk->ctx, dir, why) || !find_files(files, why))
        return false;
    bool is_new = files->count == 0;
    return load_key(files, new_key, is_new, why) && room_for(files, is_new ? 1 : files->count, why);
}

void blockfiles_close(struct blockfiles *files)
{
    file_close(files->data);
    file_close(files->undo);
    files->data = files->undo = NULL;
    mem_free(files->data_end_b);
    mem_free(files->undo_end_b);
    files->data_end_b = files->undo_end_b = NULL;
    files->count = 0;
    buf_clear(&files->scratch);
}

bool blockfiles_path(
    const struct blockfiles *files, uint32_t number, char *path, struct fail *why)
{
    return file_path(files, false, number, path, why);
}

bool record_walk_open(struct record_walk *walk, const struct blockfiles *files, const char *path,
    bool plain, uint64_t from_b, uint64_t to_b, struct fail *why)
{
    memset(walk, 0, sizeof *walk);
    memcpy(walk->magic, files->magic, sizeof walk->magic);
    if (!plain)
        memcpy(walk->key, files->key, sizeof walk->key);
    walk->file = files->disk->open(files->disk->ctx, path, FILE_READ, why);
    if (walk->file == NULL)
        return false;
    uint64_t size_b = 0;
    if (!file_size(walk->file, &size_b, why)) {
        record_walk_close(walk);
        return false;
    }
    walk->at_b = from_b;
    walk->end_b = size_b;
    walk->to_b = to_b < size_b ? to_b : size_b;
    return true;
}

bool record_walk_next(
    struct record_walk *walk, struct buf *block, uint64_t *pos_b, bool *found, struct fail *why)
{
    *found = false;
    while (walk->at_b < walk->to_b && walk->at_b + RECORD_HEAD_B <= walk->end_b) {
        uint8_t head[RECORD_HEAD_B];
        if (!file_read_at(walk->file, walk->at_b, head, sizeof head, why))
            return false;
        apply_key(walk->key, walk->at_b, head, sizeof head);
        uint32_t body_b = get_u32le(head + 4);
        *pos_b = walk->at_b + RECORD_HEAD_B;
        if (memcmp(head, walk->magic, sizeof walk->magic) != 0 || body_b > BLOCK_SIZE_MAX_B ||
            body_b < HEADER_SIZE_B || *pos_b + body_b > walk->end_b) {
            walk->at_b++;
            if (!find_magic(walk, why))
                return false;
            continue;
        }
        buf_clear(block);
        uint8_t *room = buf_reserve(block, body_b);
        if (room == NULL)
            return fail_oom(why, "block");
        if (!file_read_at(walk->file, *pos_b, room, body_b, why))
            return false;
        apply_key(walk->key, *pos_b, room, body_b);
        block->size_b = body_b;
        walk->at_b = *pos_b + body_b;
        *found = true;
        return true;
    }
    if (walk->at_b < walk->to_b)
        walk->at_b = walk->to_b;
    return true;
}

/* To the next magic, or to the end. */
static bool find_magic(struct record_walk *walk, struct fail *why)
{
    uint8_t window[16384];
    const size_t overlap_b = sizeof walk->magic - 1;
    while (walk->at_b < walk->to_b && walk->at_b + sizeof walk->magic <= walk->end_b) {
        uint64_t left_b = walk->end_b - walk->at_b;
        size_t part_b = left_b < sizeof window ? (size_t)left_b : sizeof window;
        if (!file_read_at(walk->file, walk->at_b, window, part_b, why))
            return false;
        apply_key(walk->key, walk->at_b, window, part_b);
        const uint8_t *found = memmem(window, part_b, walk->magic, sizeof walk->magic);
        if (found != NULL) {
            walk->at_b += (uint64_t)(found - window);
            return true;
        }
        walk->at_b += part_b - overlap_b;
    }
    if (walk->at_b < walk->to_b)
        walk->at_b = walk->to_b;
    return true;
}

void record_walk_refuse(struct record_walk *walk, uint64_t pos_b)
{
    walk->at_b = pos_b - RECORD_HEAD_B + 1;
}

void record_walk_close(struct record_walk *walk)
{
    file_close(walk->file);
    walk->file = NULL;
}

bool blockfiles_scan(struct blockfiles *files, uint32_t number, uint64_t from_b,
    bool (*each)(void *ctx, uint32_t file, uint32_t pos_b, struct buf *block), void *ctx,
    uint64_t *end_b, struct fail *why)
{
    char path[PATH_SIZE_B];
    struct record_walk walk;
    *end_b = from_b;
    if (from_b + RECORD_HEAD_B > files->data_end_b[number])
        return true;
    if (!file_path(files, false, number, path, why) ||
        !record_walk_open(&walk, files, path, false, from_b, UINT32_MAX, why))
        return false;
    struct buf block;
    buf_init(&block, BLOCK_SIZE_MAX_B);
    uint64_t pos_b;
    bool found = true, ok = true;
    while (ok && found) {
        ok = record_walk_next(&walk, &block, &pos_b, &found, why);
        if (!ok || !found)
            break;
        if (each(ctx, number, (uint32_t)pos_b, &block))
            *end_b = walk.at_b;
        else
            record_walk_refuse(&walk, pos_b);
    }
    buf_clear(&block);
    record_walk_close(&walk);
    return ok;
}

bool blockfiles_cut(struct blockfiles *files, uint32_t number, uint64_t data_end_b,
    uint64_t undo_end_b, struct fail *why)
{
    if (!cut_file(files, false, number, data_end_b, why) ||
        !cut_file(files, true, number, undo_end_b, why))
        return false;
    files->new_names = true;
    return data_end_b == 0 || note_unsynced(files, number * 2, why);
}

bool blockfiles_remove(struct blockfiles *files, uint32_t number, struct fail *why)
{
    const struct disk *disk = files->disk;
    for (int undo = 0; undo < 2; undo++) {
        char path[PATH_SIZE_B];
        struct file **open = undo != 0 ? &files->undo : &files->data;
        if (!file_path(files, undo != 0, number, path, why))
            return false;
        if (*open != NULL && (undo != 0 ? files->undo_number : files->data_number) == number) {
            file_close(*open);
            *open = NULL;
        }
        for (uint32_t i = files->unsynced_count; i-- > 0;)
            if (files->unsynced[i] == number * 2 + (uint32_t)undo)
                files->unsynced[i] = files->unsynced[--files->unsynced_count];
        if (disk->exists(disk->ctx, path) && !disk->remove(disk->ctx, path, why))
            return false;
    }
    files->data_end_b[number] = files->undo_end_b[number] = 0;
    return disk->sync_dir(disk->ctx, files->dir, why);
}

bool blockfiles_remove_all(struct blockfiles *files, struct fail *why)
{
    for (uint32_t i = 0; i < files->count; i++)
        if (!blockfiles_remove(files, i, why))
            return false;
    files->count = 1;
    return true;
}

bool blockfiles_append(
    struct blockfiles *files, struct span block, uint32_t *file, uint32_t *pos_b, struct fail *why)
{
    uint32_t number = files->count - 1;
    uint64_t end_b = files->data_end_b[number];
    if (end_b > 0 && end_b + RECORD_HEAD_B + block.size_b > files->file_size_max_b) {
        number++;
        if (!room_for(files, number + 1, why))
            return false;
    }
    *file = number;
    return append_record(files, false, number, block, span_of(NULL, 0), pos_b, why);
}

bool blockfiles_append_undo(struct blockfiles *files, uint32_t number, const struct block_id *prev,
    struct span undo, uint32_t *pos_b, struct fail *why)
{
    if (!room_for(files, number + 1, why))
        return false;
    struct sha256 hash;
    uint8_t checksum[UNDO_CHECKSUM_B];
    sha256_begin(&hash);
    sha256_add(&hash, prev->b, sizeof prev->b);
    sha256_add(&hash, undo.data, undo.size_b);
    sha256d_end(&hash, checksum);
    return append_record(files, true, number, undo, span_of(checksum, sizeof checksum), pos_b, why);
}

/* After a failure a second sync may succeed although the data is gone, so none is tried. */
static bool may_write(const struct blockfiles *files, struct fail *why)
{
    return !files->broken || fail_set(why, FAIL_LOCAL, "disk",
                                 "%s: nothing is written after an earlier failure", files->dir);
}

bool blockfiles_sync(struct blockfiles *files, struct fail *why)
{
    if (!may_write(files, why))
        return false;
    files->broken = !sync_all(files, why);
    return !files->broken;
}

static bool sync_all(struct blockfiles *files, struct fail *why)
{
    for (uint32_t i = 0; i < files->unsynced_count; i++) {
        bool undo = (files->unsynced[i] & 1) != 0;
        struct file *file = NULL;
        if (!open_for_append(files, undo, files->unsynced[i] >> 1, &file, why) ||
            !file_sync(file, why))
            return false;
    }
    files->unsynced_count = 0;
    if (files->new_names && !files->disk->sync_dir(files->disk->ctx, files->dir, why))
        return false;
    files->new_names = false;
    return true;
}

uint64_t blockfiles_size_b(const struct blockfiles *files)
{
    uint64_t size_b = 0;
    for (uint32_t i = 0; i < files->count; i++)
        size_b += files->data_end_b[i] + files->undo_end_b[i];
    return size_b;
}

bool blockfiles_read(const struct blockfiles *files, uint32_t number, uint32_t pos_b,
    uint32_t size_b, struct buf *out, struct fail *why)
{
    return read_record(files, false, number, pos_b, size_b, 0, out, why);
}

bool blockfiles_read_part(const struct blockfiles *files, uint32_t number, uint32_t pos_b,
    uint32_t size_b, struct buf *out, struct fail *why)
{
    char path[PATH_SIZE_B];
    if (!file_path(files, false, number, path, why))
        return false;
    struct file *file = files->disk->open(files->disk->ctx, path, FILE_READ, why);
    if (file == NULL)
        return false;
    uint8_t *room = buf_reserve(out, size_b);
    bool ok = room != NULL ? file_read_at(file, pos_b, room, size_b, why) : fail_oom(why, "block from disk");
    file_close(file);
    if (!ok)
        return false;
    apply_key(files->key, pos_b, room, size_b);
    out->size_b += size_b;
    return true;
}

bool blockfiles_read_undo(const struct blockfiles *files, uint32_t number, uint32_t pos_b,
    uint32_t size_b, const struct block_id *prev, struct buf *out, struct fail *why)
{
    if (!read_record(files, true, number, pos_b, size_b, UNDO_CHECKSUM_B, out, why))
        return false;
    struct sha256 hash;
    uint8_t checksum[UNDO_CHECKSUM_B];
    sha256_begin(&hash);
    sha256_add(&hash, prev->b, sizeof prev->b);
    sha256_add(&hash, out->data, size_b);
    sha256d_end(&hash, checksum);
    if (memcmp(checksum, out->data + size_b, sizeof checksum) != 0)
        return fail_set(why, FAIL_LOCAL, "damaged",
            "%s/rev%05u.dat: wrong checksum at byte %u; " REMEDY, files->dir, (unsigned)number,
            (unsigned)pos_b);
    out->size_b = size_b;
    return true;
}

/* ---- opening ---- */
static bool file_path(
    const struct blockfiles *files, bool undo, uint32_t number, char *path, struct fail *why)
{
    char name[32];
    snprintf(name, sizeof name, "%s%05u.dat", undo ? "rev" : "blk", (unsigned)number);
    return path_join(path, files->dir, name, why);
}

static bool load_key(
    struct blockfiles *files, const uint8_t new_key[8], bool is_new, struct fail *why)
{
    char path[PATH_SIZE_B];
    if (!path_join(path, files->dir, XOR_NAME, why))
        return false;
    if (!files->disk->exists(files->disk->ctx, path)) {
        /* A folder with blocks but without a key was written without one. */
        if (is_new)
            memcpy(files->key, new_key, sizeof files->key);
        return file_replace(files->disk, path, span_of(files->key, sizeof files->key), why);
    }
    struct buf key;
    buf_init(&key, sizeof files->key + 1);
    bool ok = file_read_all(files->disk, path, &key, why);
    if (ok && key.size_b != sizeof files->key)
        ok = fail_set(why, FAIL_LOCAL, "damaged",
            "%s has %zu bytes instead of 8; restore it from a backup, or delete %s", path,
            key.size_b, files->dir);
    if (ok)
        memcpy(files->key, key.data, sizeof files->key);
    buf_clear(&key);
    return ok;
}

static bool count_file(void *arg, const char *name)
{
    struct blockfiles *files = arg;
    bool is_block_file =
        strlen(name) == 12 && strncmp(name, "blk", 3) == 0 && strcmp(name + 8, ".dat") == 0;
    uint32_t number = 0;
    for (int i = 3; i < 8 && is_block_file; i++) {
        is_block_file = name[i] >= '0' && name[i] <= '9';
        number = number * 10 + (uint32_t)(name[i] - '0');
    }
    if (is_block_file && number + 1 > files->count)
        files->count = number + 1;
    return true;
}

static bool find_files(struct blockfiles *files, struct fail *why)
{
    if (!files->disk->list(files->disk->ctx, files->dir, count_file, files, why))
        return false;
    uint32_t count = files->count;
    if (!room_for(files, count, why))
        return false;
    for (uint32_t i = 0; i < count * 2; i++) {
        bool undo = (i & 1) != 0;
        char path[PATH_SIZE_B];
        if (!file_path(files, undo, i / 2, path, why))
            return false;
        if (!files->disk->exists(files->disk->ctx, path))
            continue;
        struct file *file = files->disk->open(files->disk->ctx, path, FILE_READ, why);
        if (file == NULL)
            return false;
        bool ok =
            file_size(file, undo ? &files->undo_end_b[i / 2] : &files->data_end_b[i / 2], why);
        file_close(file);
        if (!ok)
            return false;
    }
    return true;
}

static bool room_for(struct blockfiles *files, uint32_t count, struct fail *why)
{
    if (!mem_try_grow(
            &files->data_end_b, &files->data_capacity, count, BLOCKFILES_MAX, sizeof(uint64_t)) ||
        !mem_try_grow(
            &files->undo_end_b, &files->undo_capacity, count, BLOCKFILES_MAX, sizeof(uint64_t)))
        return fail_oom(why, "list of block files");
    if (count > files->count)
        files->count = count;
    return true;
}

static bool cut_file(
    struct blockfiles *files, bool undo, uint32_t number, uint64_t end_b, struct fail *why)
{
    uint64_t *now_b = undo ? &files->undo_end_b[number] : &files->data_end_b[number];
    if (*now_b == end_b)
        return true;
    char path[PATH_SIZE_B];
    if (!file_path(files, undo, number, path, why))
        return false;
    if (*now_b < end_b)
        return fail_set(why, FAIL_LOCAL, "damaged",
            "%s ends at byte %llu, but data up to %llu is known to be in it; " REMEDY, path,
            (unsigned long long)*now_b, (unsigned long long)end_b);
    struct file *file = files->disk->open(files->disk->ctx, path, FILE_APPEND, why);
    if (file == NULL)
        return false;
    bool ok = file_truncate(file, end_b, why) && file_sync(file, why);
    file_close(file);
    if (ok)
        *now_b = end_b;
    return ok;
}

/* ---- appending ---- */
static void apply_key(const uint8_t key[8], uint64_t offset_b, uint8_t *bytes, size_t size_b)
{
    uint8_t turned[8];
    uint64_t pattern, word;
    for (unsigned i = 0; i < 8; i++)
        turned[i] = key[(offset_b + i) & 7];
    memcpy(&pattern, turned, sizeof pattern);
    if (pattern == 0)
        return;
    size_t i = 0;
    for (; i + 8 <= size_b; i += 8) {
        memcpy(&word, bytes + i, sizeof word);
        word ^= pattern;
        memcpy(bytes + i, &word, sizeof word);
    }
    for (; i < size_b; i++)
        bytes[i] ^= turned[i & 7];
}

static bool append_record(struct blockfiles *files, bool undo, uint32_t number, struct span body,
    struct span tail, uint32_t *pos_b, struct fail *why)
{
    struct file *file = NULL;
    if (!may_write(files, why))
        return false;
    uint64_t *end_b = undo ? &files->undo_end_b[number] : &files->data_end_b[number];
    struct buf *record = &files->scratch;
    record->size_b = 0;
    record->failed = false;
    buf_put(record, files->magic, sizeof files->magic);
    buf_put_u32le(record, (uint32_t)body.size_b);
    buf_put(record, body.data, body.size_b);
    buf_put(record, tail.data, tail.size_b);
    if (!buf_ok(record, "block file record", why) ||
        !open_for_append(files, undo, number, &file, why))
        return false;
    apply_key(files->key, *end_b, record->data, record->size_b);
    if (*end_b + record->size_b > UINT32_MAX)
        return fail_set(
            why, FAIL_LOCAL, "block-file", "%s/rev%05u.dat is full", files->dir, (unsigned)number);
    if (!file_write_at(file, *end_b, buf_span(record), why)) {
        files->broken = true;
        return fail_prefix(why, "%s: ", files->dir);
    }
    *pos_b = (uint32_t)(*end_b + RECORD_HEAD_B);
    *end_b += record->size_b;
    return note_unsynced(files, number * 2 + undo, why);
}

/* The file open for appending; of each kind one is kept open. */
static bool open_for_append(
    struct blockfiles *files, bool undo, uint32_t number, struct file **out, struct fail *why)
{
    struct file **slot = undo ? &files->undo : &files->data;
    uint32_t *slot_number = undo ? &files->undo_number : &files->data_number;
    if (*slot == NULL || *slot_number != number) {
        char path[PATH_SIZE_B];
        if (!file_path(files, undo, number, path, why))
            return false;
        file_close(*slot);
        files->new_names = files->new_names || !files->disk->exists(files->disk->ctx, path);
        *slot = files->disk->open(files->disk->ctx, path, FILE_APPEND, why);
        *slot_number = number;
    }
    *out = *slot;
    return *slot != NULL;
}

static bool note_unsynced(struct blockfiles *files, uint32_t code, struct fail *why)
{
    for (uint32_t i = 0; i < files->unsynced_count; i++)
        if (files->unsynced[i] == code)
            return true;
    files->unsynced[files->unsynced_count++] = code;
    return files->unsynced_count < BLOCKFILES_UNSYNCED_MAX || blockfiles_sync(files, why);
}

/* ---- reading ---- */
static bool read_record(const struct blockfiles *files, bool undo, uint32_t number, uint32_t pos_b,
    size_t size_b, size_t tail_b, struct buf *out, struct fail *why)
{
    char path[PATH_SIZE_B];
    uint8_t head[RECORD_HEAD_B];
    if (!file_path(files, undo, number, path, why))
        return false;
    if (pos_b < RECORD_HEAD_B || size_b > RECORD_MAX_B)
        return fail_set(why, FAIL_LOCAL, "damaged", "%s: impossible position %u; " REMEDY, path,
            (unsigned)pos_b);
    struct file *file = files->disk->open(files->disk->ctx, path, FILE_READ, why);
    if (file == NULL)
        return false;
    uint8_t *room = buf_reserve(out, RECORD_HEAD_B + size_b + tail_b);
    bool ok = room != NULL ? file_read_at(file, pos_b - RECORD_HEAD_B, room,
                                 RECORD_HEAD_B + size_b + tail_b, why)
                           : fail_oom(why, "block from disk");
    file_close(file);
    if (!ok)
        return false;
    apply_key(files->key, pos_b - RECORD_HEAD_B, room, RECORD_HEAD_B + size_b + tail_b);
    memcpy(head, room, sizeof head);
    if (memcmp(head, files->magic, sizeof files->magic) != 0 || get_u32le(head + 4) != size_b)
        return fail_set(
            why, FAIL_LOCAL, "damaged", "%s: no record at byte %u; " REMEDY, path, (unsigned)pos_b);
    memmove(room, room + RECORD_HEAD_B, size_b + tail_b);
    out->size_b += size_b + tail_b;
    return true;
}
