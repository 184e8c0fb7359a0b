/* network.h - wires between the nodes of a world: dials, bytes in order with seeded latency and cuts at odd
 * places, back-pressure, closes, names, beacons. Ends are told of events through functions, so a node and
 * a hand-written peer of a test are ends alike.
 * Owner: the test. Thread: one. Events never come from inside an env function. */
#ifndef COIN_SIM_NETWORK_H
#define COIN_SIM_NETWORK_H

#include "coin/p2p/netaddr.h"
#include "world.h"

struct network;
struct network_events { /* as p2p.h has them; a NULL function does nothing */
    void *ctx;
    bool (*on_accept)(void *ctx, uint64_t conn_id, const struct net_addr *remote, const struct net_addr *local);
    void (*on_dialed)(void *ctx, uint64_t conn_id);
    void (*on_closed)(void *ctx, uint64_t conn_id, const char *reason);
    size_t (*on_bytes)(void *ctx, uint64_t conn_id, struct span bytes);
    void (*on_writable)(void *ctx, uint64_t conn_id);
    void (*on_resolved)(void *ctx, uint64_t token, const struct net_addr *addrs, uint32_t count);
    void (*on_beacon)(void *ctx, const struct net_addr *from, struct span datagram);
};
/* Sets itself as the world's net. first_accepted: number of the first accepted connection of each end. */
struct network *network_new(struct world *world, uint64_t first_accepted);
void network_free(struct network *network);
/* The node is reached at addr from now on, when it listens; what it dials comes from addr. */
void network_attach(struct network *network, struct world_node *node, const struct net_addr *addr,
    bool listens, const struct network_events *events);
/* The node is gone: its connections break, nobody hears from it, it hears nothing. */
void network_detach(struct network *network, struct world_node *node);
/* Bytes and dials between the two groups of nodes (bit i: node i) are lost while it is set. 0: none. */
void network_split(struct network *network, uint64_t group);
/* A node's line: bytes a second each way (0: any), and its distance, added to each piece's latency. */
void network_set_line(struct network *network, struct world_node *node, int64_t up_b_s, int64_t down_b_s, int64_t distance_us);
/* So many of a thousand pieces come a retransmission late, and hold up those behind them. */
void network_set_loss(struct network *network, uint32_t permille);
/* Sees each piece as it arrives; stream: the same for all pieces of one direction of a connection. */
typedef void (*network_watcher)(void *ctx, const struct world_node *from, const struct world_node *to, const void *stream,
    struct span bytes);
void network_watch(struct network *network, network_watcher watch, void *ctx);
void network_set_latency(struct network *network, int64_t min_us, int64_t spread_us);
/* What a name resolves to. */
void network_name(struct network *network, const char *name, const struct net_addr *addr);
uint32_t network_connections(const struct network *network); /* open ones */

#endif
