/* rig.h - nodes (ledger, pool, p2p) on simulated wires, and wires to them whose every byte the test writes
 * itself. Chain: regtest with short maturity. Owner: the test. Thread: one. Failures of the rig itself end
 * the process loudly. */
#ifndef COIN_SIM_RIG_H
#define COIN_SIM_RIG_H

#include "../../src/p2p/messages.h"
#include "coin/p2p/p2p.h"
#include "maker.h"
#include "network.h"

#define RIG_NODES_MAX 16u
#define RIG_WIRES_MAX 160u
#define RIG_START_S INT64_C(1700000000)
#define RIG_WAIT_US (INT64_C(600) * 1000000) /* virtual: everything that is to happen does by then */

struct rig;
struct rig_node {
    struct rig *rig;
    struct world_node *sim;
    struct net_addr addr;
    struct ledger_options ledger_options;
    struct mempool_options mempool_options;
    struct p2p_options options; /* set before rig_start */
    struct ledger *ledger;      /* NULL: not running */
    struct mempool *mempool;
    struct p2p *p2p;
    bool stopped;
};
struct rig_frame {
    int message; /* enum message_id */
    struct buf payload;
};
struct wire { /* a peer made by hand */
    struct rig *rig;
    struct world_node *sim;
    struct net_addr addr;
    uint64_t conn_id;
    bool open, closed, no_answers; /* no_answers: pings are not answered by themselves */
    struct framer framer;
    struct rig_frame *frames; /* received, not waited for yet */
    uint32_t frame_count, frame_capacity;
    uint32_t seen[MSG_COUNT];
    struct arena arena; /* of the last message waited for */
    struct buf last;
};
struct rig {
    struct world *world;
    struct network *network;
    struct chain *chain;
    struct rig_node nodes[RIG_NODES_MAX];
    struct wire *wires[RIG_WIRES_MAX];
    uint32_t node_count, wire_count, salt;
};

struct rig *rig_new(uint64_t seed);
void rig_free(struct rig *rig);
struct rig_node *rig_add(struct rig *rig, const char *addr); /* "10.0.0.1:18444"; not started */
void rig_start(struct rig_node *node);
void rig_stop(struct rig_node *node); /* all is saved; rig_start brings it back */
/* A block on the node's tip with these transactions (which leave `fees_sat`), connected when it returns. */
struct block_index *rig_mine(struct rig_node *node, struct tx *const *txs, uint32_t count, int64_t fees_sat);
void rig_mine_many(struct rig_node *node, uint32_t count);
/* The block's bytes for a wire; a reference that the caller unrefs. */
struct block *rig_build(struct rig *rig, const struct block_index *prev, struct tx *const *txs, uint32_t count,
    int64_t fees_sat);
/* Spends the coinbase of an active block to `outputs` OP_TRUE outputs, less a fee. */
struct tx *rig_spend_coinbase(struct rig_node *node, int32_t height, uint32_t outputs, int64_t fee_sat);
struct block *rig_block(struct rig_node *node, int32_t height); /* read back; a reference */

void rig_run(struct rig *rig, int64_t duration_us);
bool rig_until(struct rig *rig, bool (*is_done)(void *ctx), void *ctx); /* false: not within RIG_WAIT_US */
bool rig_until_height(struct rig_node *node, int32_t height);
bool rig_until_peers(struct rig_node *node, uint32_t count);
bool rig_until_tx(struct rig_node *node, const struct txid *id);

struct wire *wire_new(struct rig *rig, const char *addr);
void wire_dial(struct wire *wire, const struct rig_node *to); /* open when it returns, or closed */
void wire_send(struct wire *wire, enum message_id id, const union message *m);
void wire_send_bytes(struct wire *wire, const char *command, struct span payload);
void wire_send_garbage(struct wire *wire, struct span bytes); /* without a frame */
void wire_greet(struct wire *wire, uint64_t services, bool relay); /* the whole handshake, by wtxid */
/* The next message of this kind, decoded; others before it are dropped. NULL: closed, or it never came. */
const union message *wire_wait(struct wire *wire, enum message_id id);
bool wire_wait_closed(struct wire *wire);
void wire_sync(struct wire *wire); /* ping and pong: the node has acted on all before */
void wire_close(struct wire *wire);

#endif
