/* Snapshot files. The writer gathers the coins of a transaction, because their number comes first; the count of all
 * coins is known last and is written into the head at the end. The reader checks every length against what is left,
 * so that a file from anywhere can do no more than be refused. */
#include "snapshot_file.h"

#include <stdio.h>
#include <string.h>

#include "codec.h"
#include "coin/script/script.h"

#define OUT_MAX_B (1u << 20)
#define CHUNK_B (1u << 20)
#define GROUP_MAX_B (BLOCK_SIZE_MAX_B * 4u) /* a transaction's coins come from one block */
#define COIN_CODED_MAX_B (9 + 10 + 10 + 5 + SCRIPT_SIZE_MAX_B) /* index, height, amount, script with its size */
#define GROUP_HEAD_MAX_B (32 + 9)

static const uint8_t magic_bytes[5] = {'u', 't', 'x', 'o', 0xff};

/* ---- writing ---- */
bool snapshot_writer_open(struct snapshot_writer *w, const struct disk *disk, const char *path, struct fail *why)
{
    memset(w, 0, sizeof *w);
    w->disk = disk;
    buf_init(&w->out, OUT_MAX_B + GROUP_MAX_B);
    buf_init(&w->group, GROUP_MAX_B);
    set_hash_init(&w->hash, SET_HASH_SERIALIZED);
    if ((size_t)snprintf(w->path, sizeof w->path, "%s", path) >= sizeof w->path ||
        (size_t)snprintf(w->part_path, sizeof w->part_path, "%s.incomplete", path) >= sizeof w->part_path)
        return fail_request(why, -8, "The path is too long");
    w->file = disk->open(disk->ctx, w->part_path, FILE_NEW, why);
    w->at_b = SNAPSHOT_HEAD_SIZE_B;
    return w->file != NULL;
}

static bool write_out(struct snapshot_writer *w, size_t over_b, struct fail *why)
{
    if (!buf_ok(&w->out, "snapshot", why))
        return false;
    if (w->out.size_b <= over_b)
        return true;
    bool ok = file_write_at(w->file, w->at_b, buf_span(&w->out), why);
    w->at_b += w->out.size_b;
    w->out.size_b = 0;
    return ok;
}

static bool end_group(struct snapshot_writer *w, struct fail *why)
{
    if (w->group_count > 0) {
        buf_put(&w->out, w->txid.b, sizeof w->txid.b);
        buf_put_count(&w->out, w->group_count);
        buf_put(&w->out, w->group.data, w->group.size_b);
    }
    w->coins += w->group_count;
    w->group_count = 0;
    w->group.size_b = 0;
    return write_out(w, OUT_MAX_B, why);
}

bool snapshot_writer_add(
    struct snapshot_writer *w, const struct outpoint *outpoint, struct span row, struct fail *why)
{
    struct coin coin;
    struct arena arena;
    if (!txid_equal(&w->txid, &outpoint->txid) && !end_group(w, why))
        return false;
    w->txid = outpoint->txid;
    w->group_count++;
    buf_put_count(&w->group, outpoint->index);
    buf_put(&w->group, row.data, row.size_b);
    arena_init(&arena, 0);
    bool ok = buf_ok(&w->group, "snapshot", why) && coin_unpack(&coin, row, &arena, why) &&
              set_hash_add(&w->hash, outpoint, &coin, why);
    arena_clear(&arena);
    return ok;
}

bool snapshot_writer_end(struct snapshot_writer *w, const uint8_t magic[4], const struct block_id *base,
    uint8_t hash[32], struct fail *why)
{
    uint8_t head[SNAPSHOT_HEAD_SIZE_B];
    if (!end_group(w, why) || !write_out(w, 0, why) || !set_hash_end(&w->hash, hash, why))
        return false;
    memcpy(head, magic_bytes, 5);
    head[5] = SNAPSHOT_VERSION;
    head[6] = 0;
    memcpy(head + 7, magic, 4);
    memcpy(head + 11, base->b, 32);
    put_u64le(head + 43, w->coins);
    if (!file_write_at(w->file, 0, span_of(head, sizeof head), why) || !file_sync(w->file, why))
        return false;
    file_close(w->file);
    w->file = NULL;
    if (w->disk->rename(w->disk->ctx, w->part_path, w->path, why))
        return true;
    struct fail ignored;
    (void)!w->disk->remove(w->disk->ctx, w->part_path, &ignored);
    return false;
}

void snapshot_writer_close(struct snapshot_writer *w)
{
    struct fail ignored;
    if (w->file != NULL) {
        file_close(w->file);
        (void)!w->disk->remove(w->disk->ctx, w->part_path, &ignored);
    }
    w->file = NULL;
    buf_clear(&w->out);
    buf_clear(&w->group);
    set_hash_clear(&w->hash);
}

/* ---- reading ---- */
bool snapshot_reader_open(struct snapshot_reader *r, const struct disk *disk, const char *path,
    const uint8_t magic[4], struct fail *why)
{
    uint8_t head[SNAPSHOT_HEAD_SIZE_B];
    memset(r, 0, sizeof *r);
    buf_init(&r->chunk, CHUNK_B + COIN_CODED_MAX_B + GROUP_HEAD_MAX_B);
    arena_init(&r->arena, 0);
    r->file = disk->open(disk->ctx, path, FILE_READ, why);
    if (r->file == NULL)
        return fail_request(why, -8, "Couldn't open file %s for reading.", path);
    if (!file_size(r->file, &r->size_b, why) || r->size_b < sizeof head ||
        !file_read_at(r->file, 0, head, sizeof head, why))
        return fail_request(why, -22, "Unable to parse metadata: the file is too short");
    if (memcmp(head, magic_bytes, 5) != 0)
        return fail_request(why, -22, "Unable to parse metadata: Invalid UTXO set snapshot magic bytes. Please check "
            "if this is indeed a snapshot file or if you are using an outdated snapshot format.");
    uint32_t version = head[5] | (uint32_t)head[6] << 8;
    if (version != SNAPSHOT_VERSION)
        return fail_request(why, -22, "Unable to parse metadata: Version of snapshot %u does not match any of the "
            "supported versions.", (unsigned)version);
    if (memcmp(head + 7, magic, 4) != 0)
        return fail_request(why, -22, "Unable to parse metadata: This snapshot has been created for an unrecognized "
            "network. This could be a custom signet, a new testnet or possibly caused by data corruption.");
    memcpy(r->base.b, head + 11, 32);
    r->coins = get_u64le(head + 43);
    r->at_b = sizeof head;
    return true;
}

/* At least so many bytes are in the chunk, unless the file ends before. */
static bool fill(struct snapshot_reader *r, size_t want_b, struct fail *why)
{
    size_t have_b = r->chunk.size_b - r->used_b;
    uint64_t left_b = r->size_b - r->at_b;
    if (have_b >= want_b || left_b == 0)
        return true;
    if (have_b > 0)
        memmove(r->chunk.data, r->chunk.data + r->used_b, have_b);
    r->chunk.size_b = have_b;
    r->used_b = 0;
    size_t size_b = left_b < CHUNK_B ? (size_t)left_b : CHUNK_B;
    uint8_t *room = buf_reserve(&r->chunk, size_b);
    if (room == NULL)
        return fail_oom(why, "snapshot");
    if (!file_read_at(r->file, r->at_b, room, size_b, why))
        return false;
    r->chunk.size_b += size_b;
    r->at_b += size_b;
    return true;
}

static bool broken(const struct snapshot_reader *r, struct fail *why)
{
    return fail_request(why, -32603, "Bad snapshot format or truncated snapshot after deserializing %llu coins.",
        (unsigned long long)r->taken);
}

static bool next_group(struct snapshot_reader *r, struct fail *why)
{
    struct reader in;
    if (!fill(r, GROUP_HEAD_MAX_B, why))
        return false;
    rd_init(&in, span_of(r->chunk.data + r->used_b, r->chunk.size_b - r->used_b));
    rd_copy(&in, r->txid.b, 32);
    r->group_left = rd_compact(&in, UINT64_MAX);
    if (in.failed)
        return broken(r, why);
    if (r->group_left == 0 || r->group_left > r->coins - r->taken)
        return fail_request(
            why, -32603, "Mismatch in coins count in snapshot metadata and actual snapshot data");
    r->used_b = r->chunk.size_b - rd_left(&in);
    return true;
}

bool snapshot_reader_next(struct snapshot_reader *r, struct outpoint *outpoint, struct coin *coin, struct span *row,
    bool *found, struct fail *why)
{
    *found = r->taken < r->coins;
    if (!*found)
        return (r->used_b == r->chunk.size_b && r->at_b == r->size_b) ||
               fail_request(why, -32603, "Bad snapshot - coins left over after deserializing %llu coins.",
                   (unsigned long long)r->taken);
    if (r->group_left == 0 && !next_group(r, why))
        return false;
    if (!fill(r, COIN_CODED_MAX_B, why))
        return false;
    struct reader in;
    arena_clear(&r->arena);
    rd_init(&in, span_of(r->chunk.data + r->used_b, r->chunk.size_b - r->used_b));
    uint64_t index = rd_compact(&in, UINT64_MAX);
    size_t row_left_b = rd_left(&in);
    rd_coin(coin, &in, &r->arena);
    if (in.failed)
        return broken(r, why);
    const uint8_t *row_data = r->chunk.data + r->chunk.size_b - row_left_b;
    *row = span_of(row_data, row_left_b - rd_left(&in));
    if (index >= UINT32_MAX)
        return fail_request(why, -32603, "Bad snapshot data after deserializing %llu coins",
            (unsigned long long)r->taken);
    outpoint->txid = r->txid;
    outpoint->index = (uint32_t)index;
    r->used_b = r->chunk.size_b - rd_left(&in);
    r->taken++;
    r->group_left--;
    return true;
}

void snapshot_reader_close(struct snapshot_reader *r)
{
    file_close(r->file);
    r->file = NULL;
    buf_clear(&r->chunk);
    arena_clear(&r->arena);
}
