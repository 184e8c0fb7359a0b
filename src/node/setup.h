/* setup.h - from options as text to the option structs of the layers. Owner: the node. */
#ifndef COIN_NODE_SETUP_H
#define COIN_NODE_SETUP_H

#include "coin/base/config.h"
#include "coin/base/file.h"
#include "coin/ledger/ledger.h"
#include "coin/mempool/mempool.h"
#include "coin/mine/template.h"
#include "coin/node/threads.h"
#include "coin/p2p/p2p.h"
#include "coin/wallet/wallet.h"
#include "values.h"

struct setup {
    char datadir[PATH_SIZE_B];
    char wallet_dir[PATH_SIZE_B], settings_path[PATH_SIZE_B];
    char user_agent[256];
    struct u256 minimum_chain_work;
    const char *add_nodes[SETUP_LIST_MAX + 1], *connect[SETUP_LIST_MAX + 1];
    const char *seed_nodes[SETUP_LIST_MAX + 1], *whitelist[SETUP_LIST_MAX + 1];
    const char *white_binds[SETUP_LIST_MAX + 1], *external_ips[SETUP_LIST_MAX + 1];
    const char *load_files[SETUP_LIST_MAX + 1];
    const char *wallets_load[SETUP_LIST_MAX + 1];
    struct ledger_options ledger;
    struct mempool_options mempool;
    struct template_options template;
    struct p2p_options p2p;
    struct wallets_options wallets;
    uint32_t mine_threads;  /* 0: do not mine */
    struct buf mine_script; /* of -mineaddress; empty: ask the wallet */
};

/* FAIL_REQUEST: the sentence that names the option and what it should be. */
bool setup_read(struct setup *setup, const struct config *config, const struct chain *chain,
    const char *datadir, struct fail *why) MUST_USE;
void setup_clear(struct setup *setup);
/* The part of it for the peer-to-peer side: setup_p2p.c. */
bool setup_p2p(struct setup *setup, const struct config *config, const struct chain *chain, struct fail *why) MUST_USE;

#endif
