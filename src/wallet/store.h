/* store.h - a wallet's file: SQLite, one database per wallet, every change in a transaction.
 *
 * Opening, loading and writing wait for the disk: they run inside jobs. A wallet collects what changed in a
 * struct store_batch on the loop and hands it to a job of its one ordered writer, which applies it in one
 * transaction. Owner: the wallet. Thread: jobs of the wallet's serial, one at a time. */
#ifndef COIN_WALLET_STORE_H
#define COIN_WALLET_STORE_H

#include "coin/base/bytes.h"
#include "coin/base/mem.h"

#define STORE_SCHEMA_VERSION 1
#define STORE_APPLICATION_ID 0x636f696e /* "coin": tells our files from other SQLite files */

/* Bounds of what one file may hold; beyond, loading says so instead of eating all memory. */
#define STORE_TXS_MAX 5000000
#define STORE_RAW_TX_MAX_B 4000000

struct store;

/* path NULL: in memory. create: the file must not exist; otherwise it must. The file is held exclusively
 * while it is open, so that two nodes never write one wallet. FAIL_REQUEST with RPC numbers -4, -18, -35, -36;
 * FAIL_LOCAL when the disk fails. */
struct store *store_open(const char *path, bool create, struct fail *why);
void store_close(struct store *store); /* NULL is accepted */

/* ---- writing ---- */
enum store_table {
    STORE_META,       /* key: text; a: value */
    STORE_DESCRIPTOR, /* key: 8-byte id (big-endian); n: see store_descriptor; a: text, b: secret */
    STORE_SCRIPT,     /* key: script; n[0] descriptor, n[1] index */
    STORE_LABEL,      /* key: script; a: label, b: purpose */
    STORE_TX,         /* key: txid; n: see store_tx; a: raw, b: block id or empty */
    STORE_LOCKED,     /* key: outpoint (36 bytes) */
    STORE_TABLES
};
#define STORE_NUMBERS 6
struct store_row {
    enum store_table table;
    bool remove;
    struct span key, a, b;
    int64_t n[STORE_NUMBERS];
};
struct store_batch {
    struct arena arena;
    struct store_row *rows;
    uint32_t count, capacity;
    bool failed; /* out of memory: store_apply refuses */
};
void store_batch_init(struct store_batch *batch);
void store_batch_clear(struct store_batch *batch);
/* Copies the row's bytes. */
void store_batch_put(struct store_batch *batch, const struct store_row *row);
/* All rows or none; durable on return. FAIL_LOCAL. */
bool store_apply(struct store *store, const struct store_batch *batch, struct fail *why) MUST_USE;

/* ---- reading: every row of a table, in no order; the row's bytes live for the call ---- */
bool store_each(struct store *store, enum store_table table,
    bool (*each)(void *ctx, const struct store_row *row, struct fail *why), void *ctx, struct fail *why) MUST_USE;
/* A consistent copy while the store is open (SQLite's backup). The target must not exist. */
bool store_backup(struct store *store, const char *path, struct fail *why) MUST_USE;

#endif
