/* node.h - the core: owns one of everything and turns events into calls. No sockets, no clock: the
 * simulator links up to here and drives hundreds of nodes in one process.
 *
 *   node owns: ledger, mempool, miner, p2p, wallets, rpc server. What one of them appends to its effects
 *   reaches the others through node_turn, always in this order: mempool, wallets, miner, peers, waiters.
 *
 * Thread: loop. */
#ifndef COIN_NODE_NODE_H
#define COIN_NODE_NODE_H

#include "coin/base/config.h"
#include "coin/base/env.h"
#include "coin/chain/chain.h"
#include "coin/p2p/netaddr.h"

struct node;
struct rpc_server;

/* What the process around the node does for it. Any may be NULL (a simulation). */
struct node_hooks {
    void *ctx;
    void (*stopped)(void *ctx, const struct fail *why); /* all is flushed: end the loop; kind NONE: wanted */
    void (*set_mock_time)(void *ctx, int64_t time_s);   /* 0: the real clock again */
    void (*mock_forward)(void *ctx, int64_t seconds);
    void (*status)(void *ctx, const char *line); /* once a second; see node/status.h */
};

/* Opens everything below `datadir` (the chain's folder, which exists). May wait. chain and config must
 * outlive the node. NULL: why is the sentence for the user. */
struct node *node_open(const struct env *env, const struct chain *chain, const struct config *config,
    const char *datadir, const struct node_hooks *hooks, struct fail *why);
/* The loop runs: connect what lies on disk, load wallets and mempool, dial, mine. */
void node_start(struct node *node);
/* Asks for a clean end; hooks.stopped is called once. A second call changes nothing. */
void node_stop(struct node *node, const struct fail *why);
/* After hooks.stopped (or, in a simulation, after a crash with nothing in flight). May wait. */
void node_free(struct node *node);

struct rpc_server *node_rpc(struct node *node);
struct ledger *node_ledger(struct node *node);
struct mempool *node_mempool(struct node *node);
struct miner *node_miner(struct node *node);
struct p2p *node_p2p(struct node *node);
struct wallets *node_wallets(struct node *node); /* NULL: -disablewallet */

/* ---- events ---- */
bool node_on_accept(struct node *node, uint64_t conn_id, const struct net_addr *remote,
    const struct net_addr *local);
void node_on_dialed(struct node *node, uint64_t conn_id);
void node_on_closed(struct node *node, uint64_t conn_id, const char *reason);
size_t node_on_bytes(struct node *node, uint64_t conn_id, struct span bytes);
void node_on_writable(struct node *node, uint64_t conn_id);
void node_on_resolved(struct node *node, uint64_t token, const struct net_addr *addrs, uint32_t count);
void node_on_beacon(struct node *node, const struct net_addr *from, struct span datagram);
void node_on_tick(struct node *node); /* about ten times a second */
/* After every event or batch of results: hands effects on, serves inboxes. true: more to do. */
bool node_turn(struct node *node);

#endif
