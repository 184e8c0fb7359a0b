/* The JSON-RPC port: libevent moves the bytes, rpc/http.c finds requests in them, rpc/server.c answers. A cheap
 * call is parsed, run and answered inside one read callback, with one write. Requests on one connection are
 * answered in order: while one is being answered, the bytes behind it wait unread. */

#include "coin/net/http_port.h"

#include <errno.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "coin/base/log.h"
#include "coin/base/mem.h"
#include "coin/rpc/http.h"
#include "internal.h"

#define HTTP_INPUT_MAX_B (1u << 20) /* read ahead per connection */
#define ALLOW_MAX 64
#define WALLET_NAME_QUOTED_MAX_B 1024

struct http_conn {
    struct http_port *port;
    struct http_conn *prev, *next;
    struct bufferevent *bev;
    struct http http;
    struct rpc_request *request; /* being answered */
    struct event *delay;         /* before a 401 */
    struct net_addr from;
    char user[64];
    bool busy, close_after, lost, serving;
};
struct http_port {
    struct net *net;
    struct rpc_server *server;
    struct rpc_auth *auth;
    struct http_port_options options;
    struct evconnlistener *listeners[LISTENERS_MAX];
    uint32_t listener_count;
    struct net_subnet allow[ALLOW_MAX];
    uint32_t allow_count;
    struct http_conn *conns;
    uint32_t conn_count;
    bool stopping;
};

static bool bind_all(struct http_port *port, struct fail *why);
static bool bind_one(struct http_port *port, const char *where, struct fail *why);
static void on_connection(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int size, void *ctx);
static bool is_allowed(const struct http_port *port, const struct net_addr *from);
static void on_read(struct bufferevent *bev, void *ctx);
static void on_write(struct bufferevent *bev, void *ctx);
static void on_event(struct bufferevent *bev, short what, void *ctx);
static void serve(struct http_conn *conn);
static bool on_head(struct http_conn *conn);
static void on_request(struct http_conn *conn);
static void on_delay_over(evutil_socket_t fd, short what, void *ctx);
static void reply(void *ctx, int status, struct buf *body);
static void refuse(struct http_conn *conn, int status, const char *text);
static void send_reply(struct http_conn *conn, int status, const char *type, struct buf *body, bool keep_alive);
static void free_bytes(const void *data, size_t size_b, void *ctx);
static void conn_end(struct http_conn *conn);

struct http_port *http_port_new(struct net *net, struct rpc_server *server, struct rpc_auth *auth,
    const struct http_port_options *options, struct fail *why)
{
    struct http_port *port = mem_new(sizeof *port);
    port->net = net;
    port->server = server;
    port->auth = auth;
    port->options = *options;
    for (uint32_t i = 0; options->allow != NULL && options->allow[i] != NULL; i++) {
        if (port->allow_count == ALLOW_MAX || !net_subnet_parse(&port->allow[port->allow_count], span_text(options->allow[i]))) {
            fail_request(why, 0,
                "Invalid -rpcallowip subnet specification: %s. Valid values are a single IP (e.g. 1.2.3.4), a "
                "network/netmask (e.g. 1.2.3.4/255.255.255.0) or a network/CIDR (e.g. 1.2.3.4/24).",
                options->allow[i]);
            http_port_free(port);
            return NULL;
        }
        port->allow_count++;
    }
    if (!bind_all(port, why)) {
        http_port_free(port);
        return NULL;
    }
    return port;
}

void http_port_stop(struct http_port *port)
{
    port->stopping = true;
    for (uint32_t i = 0; i < port->listener_count; i++)
        evconnlistener_free(port->listeners[i]);
    port->listener_count = 0;
    struct http_conn *next;
    for (struct http_conn *conn = port->conns; conn != NULL; conn = next) {
        next = conn->next;
        conn->close_after = true;
        if (!conn->busy && !conn->serving && evbuffer_get_length(bufferevent_get_output(conn->bev)) == 0)
            conn_end(conn);
    }
}

bool http_port_is_idle(const struct http_port *port)
{
    for (const struct http_conn *conn = port->conns; conn != NULL; conn = conn->next) {
        if (conn->busy || evbuffer_get_length(bufferevent_get_output(conn->bev)) > 0)
            return false;
    }
    return true;
}

void http_port_free(struct http_port *port)
{
    if (port == NULL)
        return;
    for (uint32_t i = 0; i < port->listener_count; i++)
        evconnlistener_free(port->listeners[i]);
    while (port->conns != NULL) {
        port->conns->serving = false;
        conn_end(port->conns);
    }
    mem_free(port);
}

static bool bind_all(struct http_port *port, struct fail *why)
{
    const char *const *bind = port->options.bind;
    struct fail first;
    fail_clear(&first);
    /* Without -rpcallowip nobody else could call: then only loopback is bound, as the reference does. */
    bool loopback = bind == NULL || bind[0] == NULL || port->allow_count == 0;
    if (loopback) {
        if (bind != NULL && bind[0] != NULL)
            log_warning("Option -rpcbind was ignored because -rpcallowip was not specified, refusing to allow everyone to connect");
        bool v4 = bind_one(port, "127.0.0.1", &first), v6 = bind_one(port, "::1", why);
        if (!v4 && first.kind != FAIL_NONE)
            *why = first;
        return v4 || (v6 && first.kind == FAIL_NONE);
    }
    for (uint32_t i = 0; bind[i] != NULL; i++) {
        if (!bind_one(port, bind[i], why))
            return false;
    }
    return true;
}

static bool bind_one(struct http_port *port, const char *where, struct fail *why)
{
    struct net_addr at;
    struct sockaddr_storage sa;
    int on = 1;
    if (!net_addr_parse(&at, span_text(where), port->options.port) || port->listener_count == LISTENERS_MAX)
        return fail_request(why, 0, "Invalid -rpcbind address: %s", where);
    socklen_t size = addr_to_sockaddr(&sa, &at);
    evutil_socket_t fd = size > 0 ? socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) : -1;
    bool ok = fd >= 0;
    if (ok) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (sa.ss_family == AF_INET6)
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        ok = bind(fd, (const struct sockaddr *)&sa, size) == 0;
    }
    struct evconnlistener *listener =
        ok ? evconnlistener_new(port->net->base, on_connection, port, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 128, fd)
           : NULL;
    if (listener != NULL) {
        port->listeners[port->listener_count++] = listener;
        return true;
    }
    int error = errno;
    if (fd >= 0)
        close(fd);
    return fail_request(why, 0, "Unable to start HTTP server: %s port %u cannot be bound: %s", where,
        (unsigned)at.port, strerror(error));
}

static void on_connection(
    struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int size, void *ctx)
{
    struct http_port *port = ctx;
    struct net_addr addr;
    int on = 1;
    (void)listener, (void)size;
    struct bufferevent *bev = NULL;
    if (!port->stopping && port->conn_count < HTTP_CONNS_MAX && addr_from_sockaddr(&addr, from))
        bev = bufferevent_socket_new(port->net->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (bev == NULL) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct http_conn *conn = mem_new(sizeof *conn);
    conn->port = port;
    conn->bev = bev;
    conn->from = addr;
    conn->next = port->conns;
    if (port->conns != NULL)
        port->conns->prev = conn;
    port->conns = conn;
    port->conn_count++;
    http_init(&conn->http);
    bufferevent_setwatermark(bev, EV_READ, 0, HTTP_INPUT_MAX_B);
    bufferevent_setcb(bev, on_read, on_write, on_event, conn);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static bool is_allowed(const struct http_port *port, const struct net_addr *from)
{
    bool allowed = net_addr_is_local(from);
    for (uint32_t i = 0; i < port->allow_count && !allowed; i++)
        allowed = net_subnet_has(&port->allow[i], from);
    return allowed;
}

static void on_read(struct bufferevent *bev, void *ctx)
{
    struct http_conn *conn = ctx;
    struct http_port *port = conn->port;
    (void)bev;
    serve(conn);
    net_touch(port->net);
}

static void on_write(struct bufferevent *bev, void *ctx)
{
    struct http_conn *conn = ctx;
    (void)bev;
    if (conn->close_after && !conn->busy && !conn->serving)
        conn_end(conn);
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
    struct http_conn *conn = ctx;
    (void)bev, (void)what;
    conn_end(conn); /* the client has gone: what it asked for is cancelled */
}

/* Takes requests from the input until one has to be waited for. */
static void serve(struct http_conn *conn)
{
    struct evbuffer *in = bufferevent_get_input(conn->bev);
    if (conn->serving)
        return;
    conn->serving = true;
    while (!conn->busy && !conn->lost && !conn->close_after && evbuffer_get_length(in) > 0) {
        struct evbuffer_iovec piece;
        if (evbuffer_peek(in, -1, NULL, &piece, 1) < 1)
            break;
        struct span input = span_of(piece.iov_base, piece.iov_len);
        enum http_event event = http_feed(&conn->http, &input);
        evbuffer_drain(in, piece.iov_len - input.size_b);
        bool empty = false;
        if (event == HTTP_HEAD) {
            if (!on_head(conn))
                continue;
            /* A request without a body is whole now, whether or not more bytes follow. */
            struct span none = {NULL, 0};
            empty = conn->http.content_b == 0 && !conn->http.chunked;
            if (empty)
                event = http_feed(&conn->http, &none);
        }
        if (event == HTTP_REQUEST)
            on_request(conn);
        else if (event == HTTP_BAD)
            refuse(conn, conn->http.status, NULL);
    }
    conn->serving = false;
    if (conn->lost)
        conn_end(conn);
    else if (conn->close_after && !conn->busy && evbuffer_get_length(bufferevent_get_output(conn->bev)) == 0)
        conn_end(conn);
}

/* false: it was refused. */
static bool on_head(struct http_conn *conn)
{
    struct http *http = &conn->http;
    struct http_port *port = conn->port;
    if (!is_allowed(port, &conn->from)) {
        refuse(conn, 403, NULL);
        return false;
    }
    bool rpc_path = span_is(http->target, "/") || (http->target.size_b >= 8 && memcmp(http->target.data, "/wallet/", 8) == 0);
    if (!rpc_path) {
        refuse(conn, 404, NULL);
        return false;
    }
    if (http->method != HTTP_POST) {
        refuse(conn, 405, "JSONRPC server handles only POST requests");
        return false;
    }
    const char *user = http->authorization.size_b > 0 ? rpc_auth_check(port->auth, http->authorization) : NULL;
    if (user == NULL) {
        if (http->authorization.size_b == 0) {
            refuse(conn, 401, NULL);
            return false;
        }
        /* Deter guessing: the answer is late, and nothing else is read meanwhile. */
        const struct timeval wait = {0, RPC_AUTH_DELAY_MS * 1000};
        char from[NET_ADDR_TEXT_SIZE_B];
        net_addr_to_text(from, &conn->from, true);
        log_warning("ThreadRPCServer incorrect password attempt from %s", from);
        conn->busy = true;
        conn->delay = evtimer_new(port->net->base, on_delay_over, conn);
        if (conn->delay == NULL)
            refuse(conn, 401, NULL);
        else
            evtimer_add(conn->delay, &wait);
        return false;
    }
    snprintf(conn->user, sizeof conn->user, "%s", user);
    if (http->expects_continue && http->content_b <= HTTP_BODY_MAX_B) {
        static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
        bufferevent_write(conn->bev, text, sizeof text - 1);
    }
    return true;
}

static void on_request(struct http_conn *conn)
{
    struct http_port *port = conn->port;
    struct buf wallet;
    struct span name = {NULL, 0};
    if (rpc_server_active(port->server) >= port->options.work_queue) {
        log_warning("Request rejected because http work queue depth exceeded, it can be increased with the -rpcworkqueue= setting");
        refuse(conn, 503, "Work queue depth exceeded");
        return;
    }
    buf_init(&wallet, WALLET_NAME_QUOTED_MAX_B);
    if (conn->http.target.size_b >= 8) {
        if (!http_unquote(&wallet, span_of(conn->http.target.data + 8, conn->http.target.size_b - 8))) {
            buf_clear(&wallet);
            refuse(conn, 404, NULL);
            return;
        }
        name = wallet.data != NULL ? buf_span(&wallet) : span_text("");
    }
    conn->busy = true;
    conn->request = NULL;
    struct rpc_request *request = rpc_server_handle(
        port->server, &conn->http.body, name, conn->user, (struct rpc_reply){reply, conn});
    if (conn->busy)
        conn->request = request;
    buf_clear(&wallet);
}

static void on_delay_over(evutil_socket_t fd, short what, void *ctx)
{
    struct http_conn *conn = ctx;
    (void)fd, (void)what;
    conn->busy = false;
    refuse(conn, 401, NULL);
}

static void reply(void *ctx, int status, struct buf *body)
{
    struct http_conn *conn = ctx;
    bool keep_alive = conn->http.keep_alive && !conn->port->stopping;
    conn->busy = false;
    conn->request = NULL;
    send_reply(conn, status, status == 204 ? NULL : "application/json", body, keep_alive);
    http_next(&conn->http);
    if (!conn->serving) { /* answered later: what was pipelined behind waits in the input */
        struct http_port *port = conn->port;
        serve(conn);
        net_touch(port->net);
    }
}

static void refuse(struct http_conn *conn, int status, const char *text)
{
    struct buf body;
    buf_init(&body, 256);
    if (text != NULL)
        buf_put_text(&body, text);
    send_reply(conn, status, text != NULL ? "text/html; charset=ISO-8859-1" : NULL, &body, false);
}

/* Head and body leave in one write; a large body changes hands without a copy. Takes body's bytes. */
static void send_reply(struct http_conn *conn, int status, const char *type, struct buf *body, bool keep_alive)
{
    struct evbuffer *out = bufferevent_get_output(conn->bev);
    struct buf head;
    buf_init(&head, 512);
    http_put_head(&head, status, type, status == 204 ? -1 : (int64_t)body->size_b, keep_alive);
    if (body->size_b < 4096) {
        evbuffer_expand(out, head.size_b + body->size_b);
        evbuffer_add(out, head.data, head.size_b);
        evbuffer_add(out, body->data, body->size_b);
        buf_clear(body);
    } else {
        evbuffer_add(out, head.data, head.size_b);
        if (evbuffer_add_reference(out, body->data, body->size_b, free_bytes, NULL) == 0)
            buf_init(body, body->limit_b);
        else
            buf_clear(body);
    }
    buf_clear(&head);
    if (!keep_alive)
        conn->close_after = true;
}

static void free_bytes(const void *data, size_t size_b, void *ctx)
{
    (void)size_b, (void)ctx;
    mem_free((void *)data);
}

static void conn_end(struct http_conn *conn)
{
    struct http_port *port = conn->port;
    if (conn->serving) {
        conn->lost = true; /* serve ends it */
        return;
    }
    if (conn->request != NULL)
        rpc_server_cancel(port->server, conn->request);
    if (conn->delay != NULL)
        event_free(conn->delay);
    if (conn->prev != NULL)
        conn->prev->next = conn->next;
    else
        port->conns = conn->next;
    if (conn->next != NULL)
        conn->next->prev = conn->prev;
    port->conn_count--;
    http_clear(&conn->http);
    bufferevent_free(conn->bev);
    mem_free(conn);
}
