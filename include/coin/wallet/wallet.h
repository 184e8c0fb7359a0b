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
/* A fresh receive script of the first wallet, for the miner; reused until it was paid. */
void wallets_mining_script(struct wallets *wallets,
    void (*done)(void *ctx, struct span script, const struct fail *why), void *ctx);

#endif
