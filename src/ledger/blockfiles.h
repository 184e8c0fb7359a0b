/* blockfiles.h - blocks and undo data in append-only files. Private to the ledger.
 * Owner: the ledger. Writing: one at a time (the ledger's writer serial), or before the loop runs.
 * Reading: any thread, beside the writer; it sees only the fields that never change after opening.
 *
 *   blkNNNNN.dat  records: u32 magic | u32 size | block
 *   revNNNNN.dat  records: u32 magic | u32 size | undo | sha256d(id of the parent | undo), not counted in size
 *   xor.dat       8 bytes with which every byte of both is XORed, by offset; virus scanners see no patterns
 * A position points behind the 8 bytes. rev files have the number of the blk file that holds the block. */
#ifndef COIN_LEDGER_BLOCKFILES_H
#define COIN_LEDGER_BLOCKFILES_H

#include "coin/base/file.h"
#include "coin/primitives/block.h"

#define BLOCKFILE_SIZE_MAX_B (128u << 20)
#define BLOCKFILE_FAST_SIZE_MAX_B (64u << 10)
#define BLOCKFILES_MAX 1000000u
#define BLOCKFILES_UNSYNCED_MAX 32 /* files with unsynced bytes; more are synced at once */
#define RECORD_HEAD_B 8u
#define UNDO_CHECKSUM_B 32u

struct blockfiles {
    /* never change: */
    const struct disk *disk;
    char dir[PATH_SIZE_B];
    uint8_t magic[4], key[8];
    uint32_t file_size_max_b;
    /* the writer's: */
    uint32_t count; /* files, at least 1 */
    uint64_t *data_end_b, *undo_end_b;
    uint32_t data_capacity, undo_capacity;
    struct file *data, *undo; /* open for appending, or NULL */
    uint32_t data_number, undo_number;
    uint32_t unsynced[BLOCKFILES_UNSYNCED_MAX * 2]; /* 2 * number + is_undo */
    uint32_t unsynced_count;
    bool new_names; /* the folder must be synced */
    bool broken; /* a write or sync failed: what is durable is not known any more, so nothing follows */
    struct buf scratch;
};

/* Makes the folder and xor.dat when missing. May wait. Ends are as the file sizes say, until the ledger
 * has looked (blockfiles_cut). */
bool blockfiles_open(struct blockfiles *files, const struct disk *disk, const char *dir,
    const uint8_t magic[4], const uint8_t new_key[8], bool fast, struct fail *why) MUST_USE;
void blockfiles_close(struct blockfiles *files);
/* A walk over the whole records of a file in this layout. What is no record is passed over up to the next
 * magic: power loss may take a write and leave the one after it. Thread: any, beside the writer. */
struct record_walk {
    struct file *file;
    uint8_t magic[4], key[8];
    uint64_t at_b, to_b, end_b; /* to_b: no record that begins there or behind; end_b: of the file */
};
/* plain: not XORed, as files from elsewhere are. */
bool record_walk_open(struct record_walk *walk, const struct blockfiles *files, const char *path,
    bool plain, uint64_t from_b, uint64_t to_b, struct fail *why) MUST_USE;
/* *found false: no further one. block: its bytes; *pos_b: where they begin. */
bool record_walk_next(struct record_walk *walk, struct buf *block, uint64_t *pos_b, bool *found,
    struct fail *why) MUST_USE;
/* What lies there was none after all: the walk goes on inside it. */
void record_walk_refuse(struct record_walk *walk, uint64_t pos_b);
void record_walk_close(struct record_walk *walk);
bool blockfiles_path(
    const struct blockfiles *files, uint32_t file, char *path, struct fail *why) MUST_USE;

/* Whole records of file from offset on that `each` does not refuse. *end_b: where the last of them ends.
 * block: bytes, valid during the call. */
bool blockfiles_scan(struct blockfiles *files, uint32_t file, uint64_t from_b,
    bool (*each)(void *ctx, uint32_t file, uint32_t pos_b, struct buf *block), void *ctx,
    uint64_t *end_b, struct fail *why) MUST_USE;
/* Cuts what lies behind the given ends. Before the first append. The data file counts as unsynced: what a
 * killed process wrote is there, but not yet for certain. */
bool blockfiles_cut(struct blockfiles *files, uint32_t file, uint64_t data_end_b,
    uint64_t undo_end_b, struct fail *why) MUST_USE;

/* Deletes a file and its undo data; the name's absence is durable on return. */
bool blockfiles_remove(struct blockfiles *files, uint32_t file, struct fail *why) MUST_USE;
bool blockfiles_remove_all(struct blockfiles *files, struct fail *why) MUST_USE;

bool blockfiles_append(struct blockfiles *files, struct span block, uint32_t *file, uint32_t *pos_b,
    struct fail *why) MUST_USE;
bool blockfiles_append_undo(struct blockfiles *files, uint32_t file, const struct block_id *prev,
    struct span undo, uint32_t *pos_b, struct fail *why) MUST_USE;
bool blockfiles_sync(struct blockfiles *files, struct fail *why) MUST_USE;
uint64_t blockfiles_size_b(const struct blockfiles *files);

/* Thread: any. FAIL_LOCAL names the file and the remedy. */
bool blockfiles_read(const struct blockfiles *files, uint32_t file, uint32_t pos_b, uint32_t size_b,
    struct buf *out, struct fail *why) MUST_USE;
/* Some bytes, from anywhere in a block. */
bool blockfiles_read_part(const struct blockfiles *files, uint32_t file, uint32_t pos_b, uint32_t size_b,
    struct buf *out, struct fail *why) MUST_USE;
bool blockfiles_read_undo(const struct blockfiles *files, uint32_t file, uint32_t pos_b,
    uint32_t size_b, const struct block_id *prev, struct buf *out, struct fail *why) MUST_USE;

#endif
