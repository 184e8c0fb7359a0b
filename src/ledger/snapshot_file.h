/* snapshot_file.h - a set of coins as a file, in the reference node's format (version 2). Private to the ledger.
 *   5 bytes "utxo" 0xff | u16le 2 | network magic 4 | id of the block whose set it is | u64le count of coins
 *   then by transaction, in the order of txids:
 *   txid | compact count of its coins | for each: compact index of the output | the coin's row (codec.h)
 * Owner: a job. Thread: any, one at a time. May wait. */
#ifndef COIN_LEDGER_SNAPSHOT_FILE_H
#define COIN_LEDGER_SNAPSHOT_FILE_H

#include "coin/base/file.h"
#include "coin/ledger/set_hash.h"

#define SNAPSHOT_HEAD_SIZE_B (5 + 2 + 4 + 32 + 8)
#define SNAPSHOT_VERSION 2

/* ---- writing ---- */
struct snapshot_writer {
    const struct disk *disk;
    char path[PATH_SIZE_B], part_path[PATH_SIZE_B]; /* written as PATH.incomplete, then renamed */
    struct file *file;
    uint64_t at_b, coins;
    struct buf out;   /* on its way to the file */
    struct txid txid; /* the transaction whose coins are gathered */
    struct buf group;
    uint32_t group_count;
    struct set_hash hash;
};
bool snapshot_writer_open(struct snapshot_writer *w, const struct disk *disk, const char *path, struct fail *why) MUST_USE;
/* In the order of keys. row: the coin as it lies in the store; it is unpacked for the hash only. */
bool snapshot_writer_add(struct snapshot_writer *w, const struct outpoint *outpoint, struct span row, struct fail *why) MUST_USE;
/* All is durable under its name. hash: hash_serialized_3. */
bool snapshot_writer_end(struct snapshot_writer *w, const uint8_t magic[4], const struct block_id *base,
    uint8_t hash[32], struct fail *why) MUST_USE;
void snapshot_writer_close(struct snapshot_writer *w); /* always; what was not ended is removed */

/* ---- reading ---- */
struct snapshot_reader {
    struct file *file;
    uint64_t size_b, at_b; /* at_b: behind what is in `chunk` */
    struct buf chunk;
    size_t used_b; /* of chunk */
    struct block_id base;
    uint64_t coins, taken;
    struct txid txid;
    uint64_t group_left;
    struct arena arena;
};
/* FAIL_REQUEST -8 when it cannot be opened, -22 when it is not a snapshot of this network. */
bool snapshot_reader_open(struct snapshot_reader *r, const struct disk *disk, const char *path,
    const uint8_t magic[4], struct fail *why) MUST_USE;
/* *found false: there are no more, and the file ends here. coin and row: valid until the next call. */
bool snapshot_reader_next(struct snapshot_reader *r, struct outpoint *outpoint, struct coin *coin, struct span *row,
    bool *found, struct fail *why) MUST_USE;
void snapshot_reader_close(struct snapshot_reader *r);

#endif
