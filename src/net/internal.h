/* internal.h - what the files of this layer share. Thread: loop. */
#ifndef COIN_NET_INTERNAL_H
#define COIN_NET_INTERNAL_H

#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <sys/socket.h>

#include "coin/base/table.h"
#include "coin/net/net.h"

#define LISTENERS_MAX 64
#define CONNS_MAX 20000

struct conn { /* one TCP connection of the peer-to-peer side */
    struct net *net;
    uint64_t id;
    struct bufferevent *bev;
    bool dialing, paused, offering, closing; /* closing: flush, then free */
    bool closed; /* freed as soon as its callback returns */
};

struct net {
    struct net_options options;
    struct net_events events;
    struct env env;
    struct event_base *base;
    struct evdns_base *dns;
    struct pool *pool;
    struct event *wake, *tick, *turn, *signals[4];
    int wake_fd;
    uint32_t signal_count;
    struct table conns; /* id -> struct conn * */
    uint64_t next_id;
    struct evconnlistener *listeners[LISTENERS_MAX];
    uint32_t listener_count;
    struct port_map *port_map; /* NULL: none */
    struct event *beacon;
    int beacon_fd;
    bool beacon_failed;
    bool turn_due;
    int64_t mock_wall_ms;   /* 0: the real clock */
    int64_t mock_ahead_us;  /* added to the steady clock */
};

/* sockaddr.c */
bool addr_from_sockaddr(struct net_addr *out, const struct sockaddr *sa);
socklen_t addr_to_sockaddr(struct sockaddr_storage *out, const struct net_addr *a); /* 0: not an IP address */

/* conn.c */
void conn_dial(void *ctx, uint64_t conn_id, const struct net_addr *to);
void conn_send(void *ctx, uint64_t conn_id, struct buf *bytes);
void conn_close(void *ctx, uint64_t conn_id, bool flush);
void conn_pause(void *ctx, uint64_t conn_id, bool paused);
void conn_accept(struct net *net, evutil_socket_t fd, const struct sockaddr *from);
void conn_free_all(struct net *net);

/* resolve.c */
void resolve_start(void *ctx, uint64_t token, const char *name, uint16_t port);

/* port_map.c */
void port_map_free(struct net *net);

/* beacon.c */
void beacon_open(struct net *net);
void beacon_send(void *ctx, struct span datagram);
void beacon_close(struct net *net);

#endif
