/* wallet.h - descriptor wallets: keys, coins that are ours, history, sending. It hears of blocks and
 * transactions only through the effects that everyone gets.
 *
 * Owner: the node owns struct wallets, which owns each struct wallet. Thread: loop. Opening files, key
 * derivation, signing and every write are jobs; each wallet has one ordered writer (job.serial), and an
 * answer that shows an address or sends money waits for its commit.
 * Storage: SQLite, one wallet.dat per wallet (wallet/store.c). */
#ifndef COIN_WALLET_WALLET_H
#define COIN_WALLET_WALLET_H

#include "coin/ledger/ledger.h"
#include "coin/mempool/mempool.h"

struct wallets;
struct wallet;
struct wallets_options {
    const char *dir;             /* <datadir>/wallets; NULL: in memory (simulation) */
    const char *settings_path;   /* settings.json: names to load at start; NULL: none */
    const char *const *load;     /* -wallet=NAME, NULL-terminated; may be NULL */
    bool autowallet;             /* create "main" when there is none */
    int64_t fallback_sat_kvb, discard_sat_kvb, max_fee_sat;
    uint32_t keypool;            /* gap limit: addresses watched ahead */
    bool spend_zero_conf_change, broadcast;
};
struct wallets *wallets_new(const struct env *env, const struct chain *chain, struct ledger *ledger,
    struct mempool *pool, const struct wallets_options *options);
/* Loads and, if asked, creates; each wallet catches up with the chain afterwards, in slices. */
void wallets_start(struct wallets *wallets, struct ledger_done done);
void wallets_stop(struct wallets *wallets, struct ledger_done done); /* all written and closed */
void wallets_free(struct wallets *wallets);

void wallets_on_ledger(struct wallets *wallets, const struct ledger_effect *effect);
void wallets_on_mempool(struct wallets *wallets, const struct mempool_effect *effect);
void wallets_on_tick(struct wallets *wallets); /* rebroadcast, timed lock */
bool wallets_are_idle(const struct wallets *wallets); /* every effect so far is applied and written */

/* For the status line, over all wallets. */
struct wallets_summary {
    uint32_t count;
    int64_t spendable_sat, immature_sat, pending_sat;
    bool unprotected; /* holds money, and is neither encrypted nor ever backed up */
};
struct wallets_summary wallets_summary(const struct wallets *wallets);
/* A receive script of the first wallet, for the miner: the last one made for it, until that was paid. */
void wallets_mining_script(struct wallets *wallets,
    void (*done)(void *ctx, struct span script, const struct fail *why), void *ctx);

/* ---- the wallets ---- */
#define WALLETS_MAX 256          /* loaded at once */
#define WALLET_NAME_MAX 128      /* bytes; a folder's name below wallets/, so no '/' and no leading '.' */
#define WALLET_COINS_PER_TX 1500 /* inputs of one payment at most: stays a standard transaction */

enum wallet_kind { WALLET_BIP84, WALLET_BIP86, WALLET_KINDS }; /* bech32, bech32m */
struct wallet_done { /* wallet is NULL when why->kind is not FAIL_NONE */
    void (*fn)(void *ctx, struct wallet *wallet, const struct fail *why);
    void *ctx;
};
/* words: recovery words to restore from; empty: fresh ones (12). birth_s: when the first key may have been
 * used (seconds since 1970); 0: scan from genesis; -1: now. */
struct wallet_create {
    struct span words, passphrase;
    int64_t birth_s;
    const char *backup;  /* the copy of a wallet's file to start from (restorewallet); NULL: none */
    int load_on_startup; /* 1 yes, 0 no */
};
/* Errors: -4, -8, -36 (exists). The name is kept in settings.json for the next start. */
void wallets_create(struct wallets *wallets, struct span name, const struct wallet_create *options,
    struct wallet_done done);
/* -18 not found, -35 already loaded. load_on_startup: 1 yes, 0 no, -1 as it was. */
void wallets_load(struct wallets *wallets, struct span name, int load_on_startup, struct wallet_done done);
/* done's wallet is NULL. What was begun is finished and written first. */
void wallets_unload(struct wallets *wallets, struct wallet *wallet, int load_on_startup,
    struct wallet_done done);
uint32_t wallets_count(const struct wallets *wallets);
struct wallet *wallets_at(const struct wallets *wallets, uint32_t i);
struct wallet *wallets_find(const struct wallets *wallets, struct span name); /* NULL: not loaded */
/* Names of the folders below wallets/ that hold a wallet; a job. each is called on the loop, then done. */
void wallets_list_dir(struct wallets *wallets, void (*each)(void *ctx, const char *name),
    struct ledger_done done);

/* ---- one wallet ---- */
const char *wallet_name(const struct wallet *wallet);
struct wallet_balances {
    int64_t trusted_sat;   /* confirmed and mature, and our own unconfirmed change */
    int64_t untrusted_sat; /* unconfirmed, from others */
    int64_t immature_sat;  /* mined, fewer than the chain's maturity deep */
};
struct wallet_balances wallet_balances(const struct wallet *wallet);
int64_t wallet_nonmempool_sat(const struct wallet *wallet); /* in payments that no mempool holds now */
int64_t wallet_birth_s(const struct wallet *wallet);
/* The block up to which this wallet knows the chain; equals the tip when it has caught up. */
const struct block_index *wallet_synced(const struct wallet *wallet);
uint32_t wallet_keypool_left(const struct wallet *wallet, bool internal);

/* A fresh address; kind: receive or change. done after it is durable. label may be empty. */
struct wallet_address_done {
    void (*fn)(void *ctx, struct span script, const struct fail *why);
    void *ctx;
};
void wallet_new_address(struct wallet *wallet, enum wallet_kind kind, bool internal, struct span label,
    struct wallet_address_done done);

struct wallet_key_info { /* of a script that is ours */
    uint32_t descriptor; /* index for wallet_descriptor_text */
    uint32_t index;
    bool internal;
    enum wallet_kind kind;
};
bool wallet_is_mine(const struct wallet *wallet, struct span script, struct wallet_key_info *info);
/* Descriptors: i from 0; false past the end. With the checksum; public keys only unless with_secret. */
struct wallet_descriptor_info {
    bool active, internal;
    enum wallet_kind kind;
    uint32_t next, range_end;
    int64_t created_s;
};
bool wallet_descriptor(const struct wallet *wallet, uint32_t i, bool with_secret, struct buf *text,
    struct wallet_descriptor_info *info);
/* "m/84'/28777'/0'/0/5" and the public key of a script of ours: derives a key, so it is a job. */
struct wallet_key_done {
    void (*fn)(void *ctx, const char *path, const uint8_t pubkey[33], const uint8_t fingerprint[4],
        const struct fail *why);
    void *ctx;
};
void wallet_key(struct wallet *wallet, struct span script, struct wallet_key_done done);
/* The recovery words; the caller wipes them. FAIL_REQUEST -4 when the wallet has none. */
bool wallet_words(const struct wallet *wallet, struct buf *out, struct fail *why) MUST_USE;

/* ---- labels ---- */
struct span wallet_label(const struct wallet *wallet, struct span script, bool *has);
void wallet_set_label(struct wallet *wallet, struct span script, struct span label, struct span purpose,
    struct ledger_done done);
/* Walks labelled scripts: *cursor from 0; false ends. */
bool wallet_next_label(const struct wallet *wallet, uint32_t *cursor, struct span *script,
    struct span *label, struct span *purpose);

/* ---- history ---- */
enum wallet_tx_state { WALLET_TX_CONFIRMED, WALLET_TX_MEMPOOL, WALLET_TX_INACTIVE, WALLET_TX_ABANDONED, WALLET_TX_CONFLICTED };
struct wallet_tx { /* read-only outside */
    struct tx *tx;
    enum wallet_tx_state state;
    const struct block_index *block; /* of WALLET_TX_CONFIRMED (or the conflicting block), else NULL */
    uint32_t position;               /* in the block */
    int64_t received_s, block_time_s;
    uint64_t ordering;               /* rises with every new transaction */
    bool is_coinbase;
};
/* 0 unconfirmed, -n conflicted by a transaction n deep. */
int32_t wallet_tx_confirmations(const struct wallet *wallet, const struct wallet_tx *wtx);
const struct wallet_tx *wallet_find_tx(const struct wallet *wallet, const struct txid *id);
/* In order of arrival: i from 0; NULL past the end. */
const struct wallet_tx *wallet_tx_at(const struct wallet *wallet, uint32_t i);
uint32_t wallet_tx_count(const struct wallet *wallet);
/* What it took from us and gave to us; fee_sat is set when every input is ours (else has_fee is false). */
struct wallet_tx_money { int64_t debit_sat, credit_sat, fee_sat; bool has_fee; };
struct wallet_tx_money wallet_tx_money(const struct wallet *wallet, const struct wallet_tx *wtx);
/* Other transactions of this wallet that spend an input of wtx too: *cursor from 0; NULL ends. */
const struct txid *wallet_next_rival(const struct wallet *wallet, const struct wallet_tx *wtx, uint32_t *cursor);
/* Is this output change: ours, on an internal descriptor, and without a label? */
bool wallet_is_change(const struct wallet *wallet, struct span script);

/* ---- coins ---- */
struct wallet_coin { /* read-only outside */
    struct outpoint outpoint;
    const struct wallet_tx *wtx;
    int64_t value_sat;
    struct span script; /* a view into the transaction */
};
/* Unspent outputs of ours that are confirmed or in the mempool: *cursor from 0; false ends. */
bool wallet_next_coin(const struct wallet *wallet, uint32_t *cursor, struct wallet_coin *out);
bool wallet_coin_is_mature(const struct wallet *wallet, const struct wallet_coin *coin);
/* May it be spent without trusting strangers? Confirmed, or our own unconfirmed change. */
bool wallet_coin_is_trusted(const struct wallet *wallet, const struct wallet_coin *coin);
bool wallet_is_locked(const struct wallet *wallet, const struct outpoint *outpoint);
bool wallet_lock_coin(struct wallet *wallet, const struct outpoint *outpoint, bool lock, bool persist,
    struct fail *why) MUST_USE;
bool wallet_next_locked(const struct wallet *wallet, uint32_t *cursor, struct outpoint *out);

/* ---- spending ---- */
#define WALLET_PAYMENTS_MAX 2500
struct wallet_payment {
    struct span script; /* where to */
    int64_t value_sat;
    bool subtract_fee;  /* the fee (or its share) is taken from this output */
};
struct wallet_spend {
    const struct wallet_payment *payments;
    uint32_t payment_count;
    int64_t feerate_sat_kvb; /* 0: the wallet's fallback */
    bool replaceable;        /* BIP125 signal; sequence fffffffd, else fffffffe */
    int32_t min_confirmations;
    bool include_unsafe;
    const struct outpoint *inputs; /* coins that must be used */
    uint32_t input_count;
    bool only_inputs;              /* and no others */
    enum wallet_kind change_kind;
    struct span comment;
};
struct wallet_spend_done { /* tx and fee on success; the transaction is durable and in the mempool */
    void (*fn)(void *ctx, struct tx *tx, int64_t fee_sat, const struct fail *why);
    void *ctx;
};
/* Copies what it is given. -6 insufficient funds, -4 and so on. */
void wallet_send(struct wallet *wallet, const struct wallet_spend *spend, struct wallet_spend_done done);
/* -5 not ours / not eligible: only unconfirmed transactions out of the mempool can be abandoned. */
void wallet_abandon(struct wallet *wallet, const struct txid *id, struct ledger_done done);

/* ---- keeping ---- */
/* The words were shown, or a copy was made: the wallet no longer says that it is unprotected. */
void wallet_mark_backed_up(struct wallet *wallet);
/* A consistent copy of the file while the wallet is in use. */
void wallet_backup(struct wallet *wallet, const char *path, struct ledger_done done);
/* Looks at the blocks from a height on again; done when it has caught up. */
void wallet_rescan(struct wallet *wallet, int32_t from_height, struct ledger_done done);
/* The lowest height whose block a loaded wallet still has to read; INT32_MAX: none. */
int32_t wallets_need_from(const struct wallets *all);
bool wallet_is_scanning(const struct wallet *wallet, double *progress, int64_t *duration_s);
void wallet_abort_rescan(struct wallet *wallet);

#endif
