/* internal.h - what the files of this layer share: a wallet from inside.
 * A struct wallet is built whole by a job (create or load) that nobody else sees; from then on it belongs to
 * the loop. Its store belongs to the writer jobs. */
#ifndef COIN_WALLET_INTERNAL_H
#define COIN_WALLET_INTERNAL_H

#include "coin/base/env.h"
#include "coin/base/table.h"
#include "coin/crypto/hdkey.h"
#include "coin/wallet/bip39.h"
#include "coin/wallet/wallet.h"
#include "store.h"

#define WALLET_DESCRIPTORS_MAX 64
#define WALLET_SCRIPTS_MAX 50000000u
#define WALLET_COINS_MAX 50000000u
#define WALLET_LABEL_MAX_B 4096
#define SCRIPT_KEY_MAX_B 35 /* the longest script of ours: pay to a 33-byte key */

struct script_key { /* key of the script table: a script, padded with zeroes */
    uint8_t size_b;
    uint8_t bytes[SCRIPT_KEY_MAX_B];
};
struct script_home { /* where a script comes from */
    uint32_t descriptor, index;
    bool used; /* it was paid at least once */
};

struct wallet_branch { /* an active ranged descriptor: account key, then receive (0) or change (1), then index */
    enum wallet_kind kind;
    bool internal, active;
    uint32_t next, range_end; /* scripts of [0, range_end) are watched */
    int64_t created_s;
    uint8_t master_fingerprint[4];
    struct hdkey account;      /* private */
    struct script_key *scripts; /* by index: [0, range_end) */
    uint32_t script_capacity;
    bool topping_up;           /* a job derives more */
};

struct wtx { /* a transaction that concerns us */
    struct wallet_tx pub;
    struct block_id block_id; /* as loaded; becomes pub.block when the wallet goes live */
    struct wtx *next_dead;    /* while history_kill walks */
};
struct spend { /* who spends an outpoint, of those that concern us; rivals form a list */
    struct wtx *by;
    struct spend *next;
};
struct coin_entry { /* an output of ours */
    struct wtx *wtx;
    bool locked;       /* lockunspent */
    bool in_use;       /* a payment that is being made holds it */
};
struct label_entry {
    char *label;
    char *purpose;
};

struct waiter {
    void (*fn)(void *ctx, const struct fail *why);
    void *ctx;
};
struct write_job;

struct wallet {
    struct wallets *all;
    char name[WALLET_NAME_MAX + 1];
    struct store *store;
    struct job_serial writer;

    /* keys */
    uint8_t entropy[BIP39_ENTROPY_MAX_B];
    size_t entropy_size_b;
    struct wallet_branch branches[WALLET_DESCRIPTORS_MAX];
    uint32_t branch_count;
    struct table scripts; /* script_key -> script_home */
    struct table labels;  /* script_key -> label_entry */
    int64_t birth_s;
    bool backed_up, is_whole; /* is_whole: the file names its chain */

    /* history */
    struct table txs;       /* txid -> struct wtx * */
    struct wtx **ordered;   /* by ordering */
    uint32_t tx_count, ordered_capacity;
    struct table coins;     /* outpoint -> coin_entry */
    struct table spends;    /* outpoint -> struct spend *: every input of every transaction in txs */
    struct arena spend_arena;
    uint64_t next_ordering;
    struct wallet_balances cached;
    bool cache_valid;

    /* following the chain */
    struct block_index *synced, *before_scan; /* before_scan: where synced stood when a rescan began */
    struct block_index *again; /* from here on blocks are looked at once more: they made us watch more scripts */
    struct block_id locator[LOCATOR_MAX]; /* as loaded; resolved when the wallet goes live */
    uint32_t locator_count;
    bool synced_dirty, reading, scanning, abort_scan;
    int32_t scan_from;
    int64_t scan_start_us, synced_saved_us;
    struct ledger_done scan_done;

    /* writing */
    struct store_batch batch;  /* collected since the last write began */
    struct waiter *waiters;    /* for the batch */
    uint32_t waiter_count, waiter_capacity;
    struct write_job *in_flight;
    bool broken;               /* a write failed: nothing is promised any more */
    struct fail broken_why;
    uint32_t jobs;             /* other jobs that hold this wallet */
    bool unloading;
    struct wallet_done unload_done;
    int64_t next_rebroadcast_us;
};

struct wallets {
    const struct env *env;
    const struct chain *chain;
    struct ledger *ledger;
    struct mempool *pool;
    struct wallets_options options;
    char dir[PATH_SIZE_B], settings_path[PATH_SIZE_B];
    struct wallet *loaded[WALLETS_MAX];
    uint32_t count;
    uint32_t busy; /* creates, loads, lists under way */
    char autoload[WALLETS_MAX][WALLET_NAME_MAX + 1]; /* settings.json */
    uint32_t autoload_count;
    struct job_serial settings_writer;
    struct ledger_done start_done, stop_done;
    uint32_t start_pending;
    struct fail start_fail;
    bool stopping;
};

/* ---- keys.c: any thread ---- */
bool script_key_of(struct script_key *out, struct span script); /* false: too long to be ours */
struct span script_key_span(const struct script_key *key);
/* Fills the four standard branches of a seed. */
bool keys_branches_from_seed(struct wallet *wallet, const uint8_t seed[BIP39_SEED_SIZE_B], int64_t created_s,
    struct fail *why) MUST_USE;
/* The script and (when wanted) the public and private key at an index. */
bool keys_derive(const struct wallet_branch *branch, uint32_t index, struct script_key *script,
    uint8_t pubkey[33], uint8_t key[32], struct fail *why) MUST_USE;
/* Same for [first, first + count): the branch's own key is derived once. */
bool keys_derive_range(const struct wallet_branch *branch, uint32_t first, uint32_t count,
    struct script_key *scripts, struct fail *why) MUST_USE;
void keys_path(char out[64], const struct chain *chain, const struct wallet_branch *branch, uint32_t index);
bool keys_descriptor_text(struct buf *out, const struct chain *chain, const struct wallet_branch *branch,
    bool with_secret) MUST_USE;

/* ---- image.c: building, loading; in jobs ---- */
struct wallet *wallet_new_empty(struct wallets *all, struct span name, const uint64_t seeds[10]);
void wallet_free(struct wallet *wallet);
/* path (NULL: in memory) holds the whole wallet or nothing afterwards, whenever the process dies. */
bool image_create(struct wallet *wallet, const char *path, const struct wallet_create *options,
    uint8_t fresh_entropy[16], const struct block_id *locator, uint32_t locator_count, int64_t now_s,
    struct fail *why) MUST_USE;
bool image_load(struct wallet *wallet, const char *path, struct fail *why) MUST_USE;
/* A checked copy of a backup becomes path, then is loaded. */
bool image_restore(struct wallet *wallet, const char *path, const char *backup, struct fail *why) MUST_USE;
bool wallet_add_script(struct wallet *wallet, const struct script_key *key, uint32_t branch, uint32_t index) MUST_USE;
void image_put_branch(struct wallet *wallet, struct store_batch *batch, uint32_t branch);
void image_put_script(struct store_batch *batch, const struct script_key *key, const struct script_home *home);
void image_put_backed_up(struct store_batch *batch);
void image_put_locator(struct store_batch *batch, const struct block_id *ids, uint32_t count);

/* ---- write.c ---- */
/* Hands the batch to the writer; fn (may be NULL) is called when it is durable, or failed. */
void wallet_write(struct wallet *wallet, void (*fn)(void *ctx, const struct fail *why), void *ctx);
bool wallet_write_idle(const struct wallet *wallet);
void wallet_write_retry(struct wallet *wallet); /* the pool was full: try again */

/* ---- history.c ---- */
/* The transaction concerns us? Adds it or moves it to the new state; true when it does. */
bool history_note(struct wallet *wallet, struct tx *tx, enum wallet_tx_state state,
    const struct block_index *block, uint32_t position);
bool history_insert_loaded(struct wallet *wallet, struct tx *tx, const struct wallet_tx *as,
    const struct block_id *block_id) MUST_USE;
void history_block_connected(struct wallet *wallet, const struct block *block, const struct block_index *index);
void history_block_disconnected(struct wallet *wallet, const struct block_index *index);
void history_set_state(struct wallet *wallet, struct wtx *wtx, enum wallet_tx_state state,
    const struct block_index *block);
struct wtx *history_find(const struct wallet *wallet, const struct txid *id);
struct coin_entry *history_coin(const struct wallet *wallet, const struct outpoint *outpoint);
bool history_is_spent(const struct wallet *wallet, const struct outpoint *outpoint);
void history_put(struct wallet *wallet, struct wtx *wtx);
void history_clear(struct wallet *wallet);
void history_sort(struct wallet *wallet); /* after loading, by ordering */

/* ---- addresses.c ---- */
/* Scripts up to next + keypool are watched; derives what is missing in a job. */
void addresses_top_up(struct wallet *wallet, uint32_t branch);
void addresses_top_up_all(struct wallet *wallet);
bool addresses_are_short(const struct wallet *wallet); /* some of them are not watched yet */
void addresses_on_used(struct wallet *wallet, struct span script);
bool label_put(struct wallet *wallet, struct span script, struct span label, struct span purpose) MUST_USE;
void label_store(struct wallet *wallet, struct span script, struct span label, struct span purpose);
int32_t addresses_branch(const struct wallet *wallet, enum wallet_kind kind, bool internal); /* -1: none */

/* ---- scan.c ---- */
bool scan_may_go_live(const struct wallet *wallet, struct fail *why) MUST_USE; /* its blocks are still there */
void scan_go_live(struct wallet *wallet); /* resolves the locator, blocks of transactions; starts following */
void scan_follow(struct wallet *wallet);
void scan_on_ledger(struct wallet *wallet, const struct ledger_effect *effect);
void scan_save_synced(struct wallet *wallet); /* puts the locator into the batch */
void scan_cancel(struct wallet *wallet, const struct fail *why); /* answers who waits for a rescan */

/* ---- spend.c ---- */
void spend_rebroadcast(struct wallet *wallet); /* offers our unconfirmed transactions to the pool again */

/* ---- wallets.c ---- */
void wallets_check_unload(struct wallet *wallet);

#endif
