/* Connections of the peer-to-peer side: bytes in, bytes out. What the core does not take stays in libevent's
 * input buffer, whose high mark stops the socket from being read: that is the whole back-pressure.
 *
 * A callback may close its own connection. It is freed only when the callback returns (`offering`), and the core
 * never hears of a connection again once it has closed it. */

#include <errno.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "coin/base/log.h"
#include "coin/base/mem.h"
#include "internal.h"

#define FLUSH_SECONDS 5 /* how long a closing connection may take to send what is queued */

static struct conn *conn_find(struct net *net, uint64_t id);
static struct conn *conn_add(struct net *net, uint64_t id, struct bufferevent *bev);
static void conn_remove(struct conn *conn);
static void conn_offer(struct conn *conn);
static void conn_lost(struct conn *conn, const char *reason);
static void on_read(struct bufferevent *bev, void *ctx);
static void on_write(struct bufferevent *bev, void *ctx);
static void on_event(struct bufferevent *bev, short what, void *ctx);
static void dial_refused(evutil_socket_t fd, short what, void *ctx);
static void free_bytes(const void *data, size_t size_b, void *ctx);
static void set_no_delay(struct bufferevent *bev);

struct refused { /* a dial that failed at once is reported later, never from inside env.dial */
    struct net *net;
    uint64_t id;
    const char *reason;
};

void conn_dial(void *ctx, uint64_t conn_id, const struct net_addr *to)
{
    struct net *net = ctx;
    struct sockaddr_storage sa;
    const char *reason = "address family not supported";
    socklen_t size = addr_to_sockaddr(&sa, to);
    if (size > 0) {
        struct bufferevent *bev = bufferevent_socket_new(net->base, -1, BEV_OPT_CLOSE_ON_FREE);
        struct conn *conn = bev != NULL ? conn_add(net, conn_id, bev) : NULL;
        int64_t ms = net->options.dial_timeout_ms;
        const struct timeval limit = {ms / 1000, ms % 1000 * 1000};
        reason = "too many connections";
        if (conn != NULL) {
            conn->dialing = true;
            bufferevent_set_timeouts(bev, NULL, &limit);
            bufferevent_enable(bev, EV_WRITE);
            if (bufferevent_socket_connect(bev, (const struct sockaddr *)&sa, (int)size) == 0)
                return;
            reason = "connection refused";
            conn_remove(conn);
        } else if (bev != NULL) {
            bufferevent_free(bev);
        }
    }
    struct refused *refused = mem_new(sizeof *refused);
    *refused = (struct refused){net, conn_id, reason};
    const struct timeval soon = {0, 0};
    if (event_base_once(net->base, -1, EV_TIMEOUT, dial_refused, refused, &soon) != 0)
        mem_free(refused);
}

void conn_accept(struct net *net, evutil_socket_t fd, const struct sockaddr *from)
{
    struct net_addr remote, local;
    struct sockaddr_storage own;
    socklen_t size = sizeof own;
    struct conn *conn = NULL;
    uint64_t id = net->next_id++ | UINT64_C(1) << 63; /* dials are numbered by the core, from 1 */
    if (getsockname(fd, (struct sockaddr *)&own, &size) != 0 || !addr_from_sockaddr(&remote, from) ||
        !addr_from_sockaddr(&local, (const struct sockaddr *)&own)) {
        close(fd);
        return;
    }
    struct bufferevent *bev = bufferevent_socket_new(net->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (bev != NULL)
        conn = conn_add(net, id, bev);
    if (conn == NULL) {
        if (bev != NULL)
            bufferevent_free(bev);
        else
            close(fd);
        return;
    }
    set_no_delay(bev);
    if (net->events.on_accept == NULL || !net->events.on_accept(net->events.ctx, id, &remote, &local)) {
        conn_remove(conn);
        return;
    }
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    net_touch(net);
}

void conn_send(void *ctx, uint64_t conn_id, struct buf *bytes)
{
    struct conn *conn = conn_find(ctx, conn_id);
    struct evbuffer *out = conn != NULL ? bufferevent_get_output(conn->bev) : NULL;
    if (conn == NULL || conn->closing || bytes->size_b == 0) {
        buf_clear(bytes);
        return;
    }
    if (evbuffer_get_length(out) + bytes->size_b > CONN_OUTPUT_MAX_B) {
        buf_clear(bytes);
        bufferevent_trigger_event(conn->bev, BEV_EVENT_EOF, BEV_OPT_DEFER_CALLBACKS);
        return;
    }
    /* The bytes change hands without a copy. */
    if (evbuffer_add_reference(out, bytes->data, bytes->size_b, free_bytes, NULL) != 0) {
        buf_clear(bytes);
        return;
    }
    size_t limit_b = bytes->limit_b;
    buf_init(bytes, limit_b);
}

void conn_close(void *ctx, uint64_t conn_id, bool flush)
{
    struct conn *conn = conn_find(ctx, conn_id);
    const struct timeval limit = {FLUSH_SECONDS, 0};
    if (conn == NULL || conn->closed)
        return;
    if (flush && !conn->dialing && evbuffer_get_length(bufferevent_get_output(conn->bev)) > 0) {
        conn->closing = true;
        bufferevent_disable(conn->bev, EV_READ);
        bufferevent_set_timeouts(conn->bev, NULL, &limit);
        return;
    }
    if (conn->offering)
        conn->closed = true;
    else
        conn_remove(conn);
}

void conn_pause(void *ctx, uint64_t conn_id, bool paused)
{
    struct conn *conn = conn_find(ctx, conn_id);
    if (conn == NULL || conn->paused == paused || conn->closing)
        return;
    conn->paused = paused;
    if (paused) {
        bufferevent_disable(conn->bev, EV_READ);
    } else {
        bufferevent_enable(conn->bev, EV_READ);
        if (evbuffer_get_length(bufferevent_get_input(conn->bev)) > 0)
            bufferevent_trigger(conn->bev, EV_READ, BEV_OPT_DEFER_CALLBACKS | BEV_TRIG_IGNORE_WATERMARKS);
    }
}

void conn_free_all(struct net *net)
{
    uint32_t cursor = 0;
    const void *key;
    void *value;
    while (table_next(&net->conns, &cursor, &key, &value)) {
        struct conn *conn = *(struct conn **)value;
        bufferevent_free(conn->bev);
        mem_free(conn);
    }
    table_clear(&net->conns);
}

static void on_read(struct bufferevent *bev, void *ctx)
{
    struct conn *conn = ctx;
    struct net *net = conn->net;
    (void)bev;
    if (!conn->paused && !conn->closing)
        conn_offer(conn);
    net_touch(net);
}

/* Hands the input on piece by piece until the core takes no more. */
static void conn_offer(struct conn *conn)
{
    struct net *net = conn->net;
    struct evbuffer *in = bufferevent_get_input(conn->bev);
    conn->offering = true;
    while (!conn->closed && !conn->paused && !conn->closing && evbuffer_get_length(in) > 0) {
        struct evbuffer_iovec piece;
        if (evbuffer_peek(in, -1, NULL, &piece, 1) < 1)
            break;
        size_t taken = net->events.on_bytes(net->events.ctx, conn->id, span_of(piece.iov_base, piece.iov_len));
        if (conn->closed)
            break;
        evbuffer_drain(in, taken);
        if (taken < piece.iov_len)
            break;
    }
    conn->offering = false;
    if (conn->closed)
        conn_remove(conn);
}

static void on_write(struct bufferevent *bev, void *ctx)
{
    struct conn *conn = ctx;
    struct net *net = conn->net;
    if (conn->closing) {
        if (evbuffer_get_length(bufferevent_get_output(bev)) == 0)
            conn_remove(conn);
        return;
    }
    if (!conn->dialing && net->events.on_writable != NULL)
        net->events.on_writable(net->events.ctx, conn->id);
    net_touch(net);
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
    struct conn *conn = ctx;
    struct net *net = conn->net;
    if (what & BEV_EVENT_CONNECTED) {
        conn->dialing = false;
        bufferevent_set_timeouts(bev, NULL, NULL);
        set_no_delay(bev);
        bufferevent_enable(bev, EV_READ | EV_WRITE);
        net->events.on_dialed(net->events.ctx, conn->id);
        net_touch(net);
        return;
    }
    if (what & BEV_EVENT_TIMEOUT)
        conn_lost(conn, "connection timeout");
    else if (what & BEV_EVENT_ERROR)
        conn_lost(conn, evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
    else if (evbuffer_get_length(bufferevent_get_output(bev)) >= CONN_OUTPUT_MAX_B / 2)
        conn_lost(conn, "send buffer full");
    else
        conn_lost(conn, "socket closed");
}

static void conn_lost(struct conn *conn, const char *reason)
{
    struct net *net = conn->net;
    uint64_t id = conn->id;
    bool told = conn->closing;
    /* Bytes that came before the end still count, unless the core wanted no more. */
    if (!told && !conn->dialing && !conn->paused && evbuffer_get_length(bufferevent_get_input(conn->bev)) > 0) {
        conn_offer(conn);
        if (conn_find(net, id) == NULL)
            return; /* it was closed meanwhile */
    }
    conn_remove(conn);
    if (!told)
        net->events.on_closed(net->events.ctx, id, reason);
    net_touch(net);
}

static void dial_refused(evutil_socket_t fd, short what, void *ctx)
{
    struct refused *refused = ctx;
    (void)fd, (void)what;
    refused->net->events.on_closed(refused->net->events.ctx, refused->id, refused->reason);
    net_touch(refused->net);
    mem_free(refused);
}

static struct conn *conn_find(struct net *net, uint64_t id)
{
    struct conn **found = table_find(&net->conns, &id);
    return found != NULL ? *found : NULL;
}

static struct conn *conn_add(struct net *net, uint64_t id, struct bufferevent *bev)
{
    struct conn **slot = table_put(&net->conns, &id, NULL);
    if (slot == NULL)
        return NULL;
    struct conn *conn = mem_new(sizeof *conn);
    conn->net = net;
    conn->id = id;
    conn->bev = bev;
    *slot = conn;
    bufferevent_setwatermark(bev, EV_READ, 0, CONN_INPUT_MAX_B);
    bufferevent_setwatermark(bev, EV_WRITE, CONN_WRITABLE_B, 0);
    bufferevent_setcb(bev, on_read, on_write, on_event, conn);
    return conn;
}

static void conn_remove(struct conn *conn)
{
    table_remove(&conn->net->conns, &conn->id);
    bufferevent_free(conn->bev);
    mem_free(conn);
}

static void free_bytes(const void *data, size_t size_b, void *ctx)
{
    (void)size_b, (void)ctx;
    mem_free((void *)data);
}

static void set_no_delay(struct bufferevent *bev)
{
    int on = 1;
    evutil_socket_t fd = bufferevent_getfd(bev);
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}
