/* net.h - the real world: libevent's loop, sockets, DNS, signals, timers, the LAN beacon and the worker pool,
 * handed to the core as a struct env. The only layer that touches a socket. Bytes go in and out; nothing is
 * decided here.
 *
 * Owner: the process. Thread: loop (the one that calls net_run). Bounded: CONN_INPUT_MAX_B waits per
 * connection to be read, CONN_OUTPUT_MAX_B to be sent (beyond, the connection is closed: the peer does not
 * read), connections by what on_accept lets in. */
#ifndef COIN_NET_NET_H
#define COIN_NET_NET_H

#include "coin/base/env.h"
#include "coin/p2p/netaddr.h"

#define CONN_INPUT_MAX_B (256u << 10)
#define CONN_OUTPUT_MAX_B (32u << 20)  /* a few full blocks; p2p stops serving long before */
#define CONN_WRITABLE_B (64u << 10)    /* on_writable when less than this is left to send */
#define NET_TICK_MS 100
#define NET_RESOLVED_MAX 256           /* addresses of one DNS answer that are used */

struct net;
struct event_base;

struct net_options {
    uint32_t workers, mine_threads;
    int64_t dial_timeout_ms;
    bool lan_discovery;   /* opens the beacon's socket */
};
struct net_events { /* all are called on the loop; ctx first */
    void *ctx;
    bool (*on_accept)(void *ctx, uint64_t conn_id, const struct net_addr *remote, const struct net_addr *local);
    void (*on_dialed)(void *ctx, uint64_t conn_id);
    void (*on_closed)(void *ctx, uint64_t conn_id, const char *reason);
    /* How many bytes were taken; the rest is offered again after env.pause(conn, false) or with new bytes. */
    size_t (*on_bytes)(void *ctx, uint64_t conn_id, struct span bytes);
    void (*on_writable)(void *ctx, uint64_t conn_id);
    void (*on_resolved)(void *ctx, uint64_t token, const struct net_addr *addrs, uint32_t count);
    void (*on_beacon)(void *ctx, const struct net_addr *from, struct span datagram);
    /* The router forwards this address to the port that was to be mapped, or no longer does. */
    void (*on_mapped)(void *ctx, const struct net_addr *addr, bool there);
    bool (*on_turn)(void *ctx); /* after every batch of events; true: more work, call again soon */
    void (*on_tick)(void *ctx);
    void (*on_signal)(void *ctx, int signal_number);
};

/* Starts workers; FAIL_LOCAL. The env is ready at once; events flow once net_run is called. */
struct net *net_new(const struct net_options *options, struct fail *why);
void net_set_events(struct net *net, const struct net_events *events);
const struct env *net_env(const struct net *net);
struct event_base *net_base(struct net *net); /* for the HTTP port, in this layer */
/* Listens on "host", "host:port", "[v6]:port" ("" = all). FAIL_REQUEST with Bitcoin's words when it cannot. */
bool net_listen(struct net *net, const char *where, uint16_t default_port, struct fail *why) MUST_USE;
/* Of the machine's interfaces that are up, with this port; at most max. Returns how many. */
uint32_t net_own_addresses(struct net_addr *out, uint32_t max, uint16_t port);
/* Asks the router (NAT-PMP) to forward a port to us, now and for as long as we run. gateway: an IPv4 one; NULL: that of the
 * machine's default route. Once, after net_set_events. */
void net_map_port(struct net *net, uint16_t port, const struct net_addr *gateway);
void net_run(struct net *net);  /* until net_break */
void net_break(struct net *net);
/* Runs jobs and their results until nothing is left: for start-up and shutdown, outside net_run. */
void net_drain(struct net *net);
void net_free(struct net *net); /* NULL is accepted */

/* setmocktime: the wall clock stands at time_s (0: real again); moving it forward moves intervals too. */
void net_set_mock_time(struct net *net, int64_t time_s);
void net_mock_forward(struct net *net, int64_t seconds);
/* After something happened outside the core's own events (an RPC): on_turn runs before the loop sleeps. */
void net_touch(struct net *net);

#endif
