/* addrman.h - the addresses we know, in two tables of keyed buckets: "new" (heard of) and "tried" (once
 * connected to). Which bucket an address may fall into follows from a secret key and the group of whoever
 * told us, so that an attacker with few groups fills few buckets (eclipse resistance, as Bitcoin's).
 *
 * Owner: struct p2p. Thread: loop. Bounded: 1024 * 64 new and 256 * 64 tried places. */
#ifndef COIN_P2P_ADDRMAN_H
#define COIN_P2P_ADDRMAN_H

#include "coin/base/env.h"
#include "coin/base/json.h"
#include "coin/p2p/netaddr.h"

struct addrman;
struct addrman_entry { /* what callers see */
    struct net_addr addr;
    uint64_t services;
    int64_t time_s; /* last heard of alive */
    int64_t last_try_s, last_success_s;
};
struct addrman *addrman_new(const struct env *env);
void addrman_free(struct addrman *am);
uint32_t addrman_count(const struct addrman *am, uint8_t network, bool is_new, bool is_tried); /* 0: any */

/* Heard of addr from source; penalty_s is taken off time_s unless it speaks for itself. true: it is new. */
bool addrman_add(struct addrman *am, const struct net_addr *addr, uint64_t services, int64_t time_s,
    const struct net_addr *source, int64_t penalty_s);
void addrman_attempt(struct addrman *am, const struct net_addr *addr, bool count_failure);
/* A handshake succeeded: moves to tried. When its place there is taken, the old one is tested first
 * (addrman_collision) and keeps its place if it answers. false: not moved now. */
bool addrman_good(struct addrman *am, const struct net_addr *addr);
void addrman_connected(struct addrman *am, const struct net_addr *addr); /* still alive at disconnection */
void addrman_set_services(struct addrman *am, const struct net_addr *addr, uint64_t services);
/* A random address worth dialing; network 0: any. false: none. */
bool addrman_select(struct addrman *am, struct addrman_entry *out, bool new_only, uint8_t network);
/* A tried address that stands in the way of another and should be tested by a feeler. */
bool addrman_collision(struct addrman *am, struct addrman_entry *out);
void addrman_resolve_collisions(struct addrman *am);
/* Random addresses that are not terrible: at most max, and max_percent of all (0: no such limit). */
uint32_t addrman_sample(const struct addrman *am, struct addrman_entry *out, uint32_t max,
    uint32_t max_percent, uint8_t network);

/* peers.dat: see addrman_file.c. decode: FAIL_LOCAL says what is wrong; am is empty then. */
void addrman_encode(const struct addrman *am, struct buf *out);
bool addrman_decode(struct addrman *am, struct span bytes, struct fail *why) MUST_USE;
void addrman_show_raw(const struct addrman *am, struct json_writer *w); /* getrawaddrman */

#endif
