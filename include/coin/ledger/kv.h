/* kv.h - an ordered key-value store. Real: LevelDB (kv_leveldb.c). Simulated: in memory (test/sim), where
 * batches that were not synced are lost at a crash, whole.
 * Every operation may wait: call from jobs, or before the loop starts and after it ends. Reads may run
 * beside each other and beside one writer. Thread: any. */
#ifndef COIN_LEDGER_KV_H
#define COIN_LEDGER_KV_H

#include "coin/base/bytes.h"

struct kv_options {
    size_t cache_b;        /* block cache */
    size_t write_buffer_b; /* memtable */
    bool compress;
    /* 0: as measured best for coins (test/bench/bench_kv.c, doc/performance.md) */
    uint32_t bloom_bits; /* per key */
    size_t block_b, file_b;
};

/* Puts and deletes in order, kept encoded in one buffer:
 *   u8 1 | compact key size | key | compact value size | value    put
 *   u8 0 | compact key size | key                                 delete */
struct kv_batch {
    struct buf ops;
    uint32_t count;
};
void kv_batch_init(struct kv_batch *batch, size_t limit_b);
void kv_batch_clear(struct kv_batch *batch);
void kv_batch_put(struct kv_batch *batch, struct span key, struct span value);
void kv_batch_delete(struct kv_batch *batch, struct span key);
void kv_batch_reset(struct kv_batch *batch); /* empty again, its memory kept */
/* Walks a batch: rd_init(&r, buf_span(&batch->ops)), then until false. */
struct kv_op {
    bool is_put;
    struct span key, value; /* views into the batch */
};
bool kv_batch_next(struct reader *r, struct kv_op *out);

struct kv;
struct kv_iter;
struct kv_ops {
    bool (*get)(struct kv *kv, struct span key, struct buf *value, bool *found, struct fail *why);
    /* Atomic: all or nothing, also at power loss; sync: durable on return. */
    bool (*write)(struct kv *kv, const struct kv_batch *batch, bool sync, struct fail *why);
    struct kv_iter *(*iterate)(struct kv *kv, struct span first_key); /* over a snapshot taken now */
    bool (*iter_get)(struct kv_iter *it, struct span *key, struct span *value); /* false: at the end */
    void (*iter_next)(struct kv_iter *it);
    void (*iter_seek)(struct kv_iter *it, struct span key); /* to the first row not below key */
    bool (*iter_close)(struct kv_iter *it, struct fail *why); /* false: a read had failed */
    uint64_t (*size_b)(struct kv *kv);                        /* estimate, on disk */
    void (*close)(struct kv *kv);
};
struct kv {
    const struct kv_ops *ops;
};
bool kv_get(struct kv *kv, struct span key, struct buf *value, bool *found, struct fail *why) MUST_USE;
bool kv_write(struct kv *kv, const struct kv_batch *batch, bool sync, struct fail *why) MUST_USE;
/* The row of a key, in the iterator's snapshot. */
bool kv_iter_find(struct kv *kv, struct kv_iter *it, struct span key, struct buf *value, bool *found, struct fail *why) MUST_USE;
void kv_close(struct kv *kv); /* NULL is accepted */

/* Names the store in a failure: FAIL_LOCAL, code "database", detail "path: text; remedy". */
bool kv_fail(struct fail *why, const char *path, const char *text);
/* FAIL_LOCAL: damaged, locked, unreadable; the detail names the folder and the remedy. */
struct kv *kv_leveldb_open(void *unused, const char *path, const struct kv_options *options, struct fail *why);

#endif
