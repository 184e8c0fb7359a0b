/* http_port.h - the sockets of the JSON-RPC port. What is said on them is rpc/http.h and rpc/rpc.h.
 * Owner: the process. Thread: loop. Bounded: HTTP_CONNS_MAX connections, workqueue requests at once. */
#ifndef COIN_NET_HTTP_PORT_H
#define COIN_NET_HTTP_PORT_H

#include "coin/net/net.h"
#include "coin/rpc/auth.h"
#include "coin/rpc/rpc.h"

#define HTTP_CONNS_MAX 1024

struct http_port_options {
    uint16_t port;
    const char *const *bind;   /* -rpcbind, NULL-terminated; empty: loopback only */
    const char *const *allow;  /* -rpcallowip; loopback is always allowed */
    uint32_t work_queue;       /* -rpcworkqueue: requests being answered at once */
};
struct http_port;
/* FAIL_REQUEST when nothing can be bound. auth and server are borrowed. */
struct http_port *http_port_new(struct net *net, struct rpc_server *server, struct rpc_auth *auth,
    const struct http_port_options *options, struct fail *why);
/* No new connection or request; idle connections are closed, busy ones after their answer. */
void http_port_stop(struct http_port *port);
bool http_port_is_idle(const struct http_port *port); /* every answer has been sent */
void http_port_free(struct http_port *port);

#endif
