/* The core. It holds no rule of its own: the rules live in the layers below, and the node only carries
 * what one of them reports to the others, in a fixed order, so that a run is a function of its events.
 *
 * Stopping is a small chain of steps, since everything that must reach the disk is a job: miner and peers
 * first (nothing new comes in), then the mempool file, then the wallets, then the ledger; each step begins
 * when the one before has answered. */

#include "coin/node/node.h"

#include <inttypes.h>
#include <string.h>

#include "coin/base/log.h"
#include "coin/base/mem.h"
#include "coin/ledger/ledger.h"
#include "coin/mempool/mempool.h"
#include "coin/mine/miner.h"
#include "coin/node/status.h"
#include "coin/p2p/p2p.h"
#include "coin/rpc/blockchain.h"
#include "coin/rpc/rpc.h"
#include "coin/wallet/wallet.h"
#include "setup.h"

#define TICKS_PER_SECOND 10
/* Effects handed on in one turn before the loop serves sockets again. */
#define EFFECTS_PER_TURN 256
/* A reorganisation deeper than this is worth an alert: payments so deep count as settled. */
#define REORG_ALERT_BLOCKS 6
/* A node that has heard of nothing better for this long is as synced as it can be. */
#define ALONE_AFTER_US (INT64_C(5) * 1000000)

enum node_phase { NODE_OPENED, NODE_RUNNING, NODE_STOPPING, NODE_STOPPED };

struct node {
    const struct env *env;
    const struct chain *chain;
    struct node_hooks hooks;
    enum node_phase phase;
    struct fail stop_why;
    char mempool_path[PATH_SIZE_B];

    struct setup setup; /* options made from the config, with what they point to */
    struct ledger *ledger;
    struct mempool *mempool;
    struct miner *miner;
    struct p2p *p2p;
    struct wallets *wallets;
    struct rpc_ctx rpc_ctx;
    struct rpc_server *rpc;

    bool persist_mempool, mempool_loaded, mine_pending;
    int32_t disconnected_in_row;
    int64_t start_us;
    uint32_t ticks;
    struct status status;
};

static void on_second(struct node *node);
static void hand_on(struct node *node, const struct ledger_effect *effect);
static void watch_for_reorg(struct node *node, const struct ledger_effect *effect);
static void on_wallets_started(void *ctx, const struct fail *why);
static void on_mempool_loaded(void *ctx, const struct fail *why);
static void start_mining(struct node *node);
static void on_mining_script(void *ctx, struct span script, const struct fail *why);
static void stop_wallets(void *ctx, const struct fail *why);
static void stop_ledger(void *ctx, const struct fail *why);
static void on_ledger_stopped(void *ctx);
static void rpc_stop(void *ctx);
static void rpc_set_mock_time(void *ctx, int64_t time_s);
static void rpc_mock_forward(void *ctx, int64_t seconds);

static const struct fail no_fail = {.kind = FAIL_NONE};

struct node *node_open(const struct env *env, const struct chain *chain, const struct config *config,
    const char *datadir, const struct node_hooks *hooks, struct fail *why)
{
    struct node *node = mem_new(sizeof *node);
    node->env = env;
    node->chain = chain;
    node->hooks = *hooks;
    node->start_us = env_steady_us(env);
    node->persist_mempool = config_flag(config, "persistmempool");
    if (!setup_read(&node->setup, config, chain, datadir, why) ||
        !path_join(node->mempool_path, datadir, "mempool.dat", why))
        goto out;
    node->ledger = ledger_open(env, chain, &node->setup.ledger, why);
    if (node->ledger == NULL)
        goto out;
    node->mempool = mempool_new(env, chain, node->ledger, &node->setup.mempool);
    node->miner = miner_new(env, chain, node->ledger, node->mempool, &node->setup.template);
    node->p2p = p2p_new(env, chain, node->ledger, node->mempool, &node->setup.p2p, why);
    if (node->p2p == NULL)
        goto out;
    if (!config_flag(config, "disablewallet"))
        node->wallets =
            wallets_new(env, chain, node->ledger, node->mempool, &node->setup.wallets);
    node->rpc_ctx = (struct rpc_ctx){
        .env = env,
        .chain = chain,
        .config = config,
        .ledger = node->ledger,
        .mempool = node->mempool,
        .miner = node->miner,
        .p2p = node->p2p,
        .wallets = node->wallets,
        .datadir = node->setup.datadir,
        .start_us = node->start_us,
        .node = node,
        .stop = rpc_stop,
        .set_mock_time = rpc_set_mock_time,
        .mock_forward = rpc_mock_forward,
    };
    node->rpc = node->rpc_ctx.server = rpc_server_new(&node->rpc_ctx);
    rpc_server_set_warmup(node->rpc, "Loading wallets…");
    return node;
out:
    node_free(node);
    return NULL;
}

void node_start(struct node *node)
{
    node->phase = NODE_RUNNING;
    node->mine_pending = node->setup.mine_threads > 0;
    ledger_start(node->ledger);
    p2p_start(node->p2p);
    if (node->wallets != NULL)
        wallets_start(node->wallets, (struct ledger_done){on_wallets_started, node});
    else
        on_wallets_started(node, &no_fail);
    if (node->persist_mempool)
        mempool_load(
            node->mempool, node->mempool_path, (struct ledger_done){on_mempool_loaded, node});
}

void node_stop(struct node *node, const struct fail *why)
{
    if (node->phase == NODE_STOPPING || node->phase == NODE_STOPPED)
        return;
    log_info("Shutdown in progress...");
    node->phase = NODE_STOPPING;
    node->stop_why = *why;
    miner_stop(node->miner);
    rpc_blockchain_on_stop(&node->rpc_ctx);
    p2p_save(node->p2p);
    p2p_set_active(node->p2p, false);
    /* An unfinished load must not overwrite the file that it was reading. */
    if (node->persist_mempool && node->mempool_loaded)
        mempool_save(node->mempool, node->mempool_path, (struct ledger_done){stop_wallets, node});
    else
        stop_wallets(node, &no_fail);
}

void node_free(struct node *node)
{
    if (node == NULL)
        return;
    rpc_server_free(node->rpc);
    wallets_free(node->wallets);
    p2p_free(node->p2p);
    miner_free(node->miner);
    mempool_free(node->mempool);
    ledger_free(node->ledger);
    setup_clear(&node->setup);
    mem_free(node);
}

struct rpc_server *node_rpc(struct node *node)
{
    return node->rpc;
}

struct ledger *node_ledger(struct node *node)
{
    return node->ledger;
}

struct mempool *node_mempool(struct node *node)
{
    return node->mempool;
}

struct miner *node_miner(struct node *node)
{
    return node->miner;
}

struct p2p *node_p2p(struct node *node)
{
    return node->p2p;
}

struct wallets *node_wallets(struct node *node)
{
    return node->wallets;
}

bool node_on_accept(struct node *node, uint64_t conn_id, const struct net_addr *remote,
    const struct net_addr *local)
{
    return node->phase == NODE_RUNNING && p2p_on_accept(node->p2p, conn_id, remote, local);
}

void node_on_dialed(struct node *node, uint64_t conn_id)
{
    p2p_on_dialed(node->p2p, conn_id);
}

void node_on_closed(struct node *node, uint64_t conn_id, const char *reason)
{
    p2p_on_closed(node->p2p, conn_id, reason);
}

size_t node_on_bytes(struct node *node, uint64_t conn_id, struct span bytes)
{
    return p2p_on_bytes(node->p2p, conn_id, bytes);
}

void node_on_writable(struct node *node, uint64_t conn_id)
{
    p2p_on_writable(node->p2p, conn_id);
}

void node_on_resolved(struct node *node, uint64_t token, const struct net_addr *addrs, uint32_t count)
{
    p2p_on_resolved(node->p2p, token, addrs, count);
}

void node_on_beacon(struct node *node, const struct net_addr *from, struct span datagram)
{
    if (node->phase == NODE_RUNNING)
        p2p_on_beacon(node->p2p, from, datagram);
}

void node_on_tick(struct node *node)
{
    if (node->phase != NODE_RUNNING)
        return;
    p2p_on_tick(node->p2p);
    rpc_blockchain_on_tick(&node->rpc_ctx);
    if (++node->ticks % TICKS_PER_SECOND == 0)
        on_second(node);
}

/* The pool's effects. false: the turn is over, more are left. */
static bool hand_on_mempool(struct node *node, uint32_t *handed)
{
    struct mempool_effect moved;
    while (*handed < EFFECTS_PER_TURN && mempool_next_effect(node->mempool, &moved)) {
        if (node->wallets != NULL)
            wallets_on_mempool(node->wallets, &moved);
        p2p_on_mempool(node->p2p, &moved);
        tx_unref(moved.tx);
        ++*handed;
    }
    return *handed < EFFECTS_PER_TURN;
}

bool node_turn(struct node *node)
{
    struct ledger_effect effect;
    uint32_t handed = 0;
    /* The pool's own effects first: they came before what the ledger reports now. */
    while (hand_on_mempool(node, &handed) && ledger_next_effect(node->ledger, &effect)) {
        hand_on(node, &effect);
        block_unref(effect.block);
        handed++;
    }
    bool whole = hand_on_mempool(node, &handed); /* what verdicts led to, which the ledger told at its end */
    bool more = node->phase == NODE_RUNNING && p2p_turn(node->p2p);
    return more || !whole;
}

static void on_second(struct node *node)
{
    int64_t now_us = env_steady_us(node->env);
    if (node->wallets != NULL)
        ledger_keep_from(node->ledger, wallets_need_from(node->wallets));
    ledger_on_tick(node->ledger);
    mempool_on_tick(node->mempool);
    miner_on_tick(node->miner);
    if (node->wallets != NULL)
        wallets_on_tick(node->wallets);
    /* A node of our own chains that hears of no better chain is a legitimate first one. */
    if (!node->chain->is_bitcoin && ledger_is_initial_download(node->ledger) &&
        now_us - node->start_us > ALONE_AFTER_US && ledger_is_settled(node->ledger) &&
        p2p_best_known_height(node->p2p) <= ledger_tip(node->ledger)->height)
        ledger_leave_initial_download(node->ledger);
    if (node->mine_pending && !ledger_is_initial_download(node->ledger))
        start_mining(node);
    if (node->hooks.status != NULL) {
        char line[STATUS_SIZE_B];
        status_line(line, &node->status, node, now_us);
        node->hooks.status(node->hooks.ctx, line);
    }
}

static void hand_on(struct node *node, const struct ledger_effect *effect)
{
    if (effect->kind == LEDGER_FATAL) {
        log_error("%s", effect->why.detail);
        node_stop(node, &effect->why);
        if (node->stop_why.kind == FAIL_NONE)
            node->stop_why = effect->why; /* it was stopping already: now not in order any more */
        return;
    }
    watch_for_reorg(node, effect);
    mempool_on_ledger(node->mempool, effect);
    if (node->wallets != NULL)
        wallets_on_ledger(node->wallets, effect);
    miner_on_ledger(node->miner, effect);
    p2p_on_ledger(node->p2p, effect);
    if (effect->kind != LEDGER_TIP)
        return;
    rpc_blockchain_on_tip(&node->rpc_ctx);
    int32_t stop_at = node->setup.ledger.stop_at_height;
    if (stop_at > 0 && effect->index->height >= stop_at)
        node_stop(node, &no_fail);
}

static void watch_for_reorg(struct node *node, const struct ledger_effect *effect)
{
    if (effect->kind == LEDGER_DISCONNECTED) {
        node->disconnected_in_row++;
    } else if (effect->kind == LEDGER_TIP) {
        if (node->disconnected_in_row > REORG_ALERT_BLOCKS)
            log_warning("Reorganisation: %" PRId32 " blocks were replaced; payments in them may be undone. "
                        "New tip %s at height %" PRId32,
                node->disconnected_in_row, hash_show(effect->index->id.b), effect->index->height);
        node->disconnected_in_row = 0;
    }
}

static void on_wallets_started(void *ctx, const struct fail *why)
{
    struct node *node = ctx;
    if (why->kind != FAIL_NONE) {
        node_stop(node, why);
        return;
    }
    rpc_server_set_warmup(node->rpc, NULL);
    log_info("Done loading");
}

static void on_mempool_loaded(void *ctx, const struct fail *why)
{
    struct node *node = ctx;
    node->mempool_loaded = true;
    if (why->kind != FAIL_NONE && strcmp(why->code, "mempool-file-missing") != 0)
        log_warning("mempool.dat was not loaded whole: %s", why->detail);
}

static void start_mining(struct node *node)
{
    node->mine_pending = false;
    if (node->setup.mine_script.size_b > 0)
        on_mining_script(node, buf_span(&node->setup.mine_script), &no_fail);
    else if (node->wallets != NULL)
        wallets_mining_script(node->wallets, on_mining_script, node);
    else
        log_error("-mine needs a wallet or -mineaddress=ADDRESS: this node does not mine");
}

static void on_mining_script(void *ctx, struct span script, const struct fail *asked)
{
    struct node *node = ctx;
    struct fail why = *asked;
    if (node->phase != NODE_RUNNING)
        return;
    if (why.kind == FAIL_NONE && miner_start(node->miner, node->setup.mine_threads, script, &why))
        return;
    log_error("Mining does not start: %s", why.detail);
}

static void stop_wallets(void *ctx, const struct fail *why)
{
    struct node *node = ctx;
    if (why->kind != FAIL_NONE)
        log_warning("mempool.dat was not saved: %s", why->detail);
    if (node->wallets != NULL)
        wallets_stop(node->wallets, (struct ledger_done){stop_ledger, node});
    else
        stop_ledger(node, &no_fail);
}

static void stop_ledger(void *ctx, const struct fail *why)
{
    struct node *node = ctx;
    if (why->kind != FAIL_NONE && node->stop_why.kind == FAIL_NONE)
        node->stop_why = *why;
    ledger_stop(node->ledger, on_ledger_stopped, node);
}

static void on_ledger_stopped(void *ctx)
{
    struct node *node = ctx;
    struct ledger_effect effect;
    while (ledger_next_effect(node->ledger, &effect)) { /* only a failure of the last flush matters any more */
        if (effect.kind == LEDGER_FATAL)
            hand_on(node, &effect);
        block_unref(effect.block);
    }
    node->phase = NODE_STOPPED;
    if (node->hooks.stopped != NULL)
        node->hooks.stopped(node->hooks.ctx, &node->stop_why);
}

static void rpc_stop(void *ctx)
{
    node_stop(ctx, &no_fail);
}

static void rpc_set_mock_time(void *ctx, int64_t time_s)
{
    struct node *node = ctx;
    if (node->hooks.set_mock_time != NULL)
        node->hooks.set_mock_time(node->hooks.ctx, time_s);
}

static void rpc_mock_forward(void *ctx, int64_t seconds)
{
    struct node *node = ctx;
    if (node->hooks.mock_forward != NULL)
        node->hooks.mock_forward(node->hooks.ctx, seconds);
}
