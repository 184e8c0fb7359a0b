/* swarm.h - many whole nodes in one process over virtual time, for stories about networks.
 * Owner: the test. Thread: one. A failure ends the process loudly. */
#ifndef COIN_SIM_SWARM_H
#define COIN_SIM_SWARM_H

#include "coin/base/json.h"
#include "coin/chain/chain.h"
#include "coin/node/node.h"
#include "coin/p2p/p2p.h"
#include "network.h"

#define SWARM_MAX 1000u
#define SWARM_PORT 18444

struct swarm_node;
struct swarm {
    struct world *world;
    struct network *network;
    struct chain *chain;
    struct swarm_node *nodes[SWARM_MAX];
    uint32_t count;
    int64_t tick_us;   /* of node_on_tick; default 100 ms */
    bool traces;
    uint64_t trace[2]; /* a running SipHash over all that the network delivered */
    void (*on_turn)(void *ctx, struct swarm_node *node); /* after each event of a node; NULL: none */
    void *ctx;
};
struct swarm_node {
    struct swarm *sim;
    uint32_t id;
    struct world_node *place;
    struct net_addr addr;
    struct config *config;
    struct node *node; /* NULL: down */
    bool listens, crashed, stopped;
    void *user;
};
struct swarm_answer {
    bool done;
    int status;
    struct buf body;
    struct json_doc doc;
};

void swarm_demand(bool ok, const char *what);
void swarm_crypto(void); /* first of all */
struct swarm *swarm_new(uint64_t seed, const char *chain);
void swarm_free(struct swarm *sim); /* stops those that run */
/* A node at "1.2.3.4", started with these options (NULL-terminated; may be NULL). */
struct swarm_node *swarm_add(struct swarm *sim, const char *host, bool listens, const char *const *options);
void swarm_start(struct swarm_node *w);
void swarm_stop(struct swarm_node *w);  /* says goodbye to its peers */
void swarm_crash(struct swarm_node *w); /* power cut: what was not synced is lost */
void swarm_run_us(struct swarm *sim, int64_t us);
/* The result of a call, which must succeed. Free with swarm_forget. */
const struct json *swarm_ask(struct swarm_node *w, struct swarm_answer *answer, const char *method, const char *params);
void swarm_forget(struct swarm_answer *answer);
void swarm_mine(struct swarm_node *w, uint32_t count); /* to OP_TRUE */
/* Spends the coinbase of the active block at a height; the fee is a thousandth of a coin. */
void swarm_pay(struct swarm_node *w, int32_t height);
const struct block_index *swarm_tip(const struct swarm_node *w);

#endif
