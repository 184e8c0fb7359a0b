/* The loop and the world. One libevent base; workers wake it through an eventfd. Whatever happened in a pass of
 * the loop (bytes, results of jobs, timers, a request), on_turn runs once before the loop sleeps again: it is an
 * event that `net_touch` makes active.
 * Sockets, results and turns stand in one queue, and after a few of them, or a few milliseconds, the loop looks what
 * else has happened: so none of them starves another, and an RPC client is answered in the middle of a sync.
 *
 * Signals arrive as events. SIGPIPE is ignored: a peer that went away is an error of write. */

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "coin/base/log.h"
#include "coin/base/mem.h"
#include "coin/crypto/hash.h"
#include "coin/ledger/kv.h"
#include "internal.h"

#define PRIORITIES 2 /* 0: signals, 1 (the default): all else */
#define DISPATCH_TIME_US 4000
#define DISPATCH_CALLBACKS 16
#define RESULTS_TIME_US 4000
#define LISTEN_BACKLOG 128

static struct event_base *make_base(void);
static void on_wake(evutil_socket_t fd, short what, void *ctx);
static void on_tick(evutil_socket_t fd, short what, void *ctx);
static void on_turn(evutil_socket_t fd, short what, void *ctx);
static void on_signal(evutil_socket_t number, short what, void *ctx);
static void on_connection(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int size,
    void *ctx);
static void wake_loop(void *ctx);
static int64_t clock_us(clockid_t id);
static int64_t env_wall(void *ctx);
static int64_t env_steady(void *ctx);
static void env_fill(void *ctx, void *out, size_t size_b);
static bool env_run(void *ctx, struct job *job);
static void env_again(void *ctx);
static bool listen_on(struct net *net, const struct net_addr *at, struct fail *why);

static struct event_base *make_base(void)
{
    static const struct timeval longest = {.tv_usec = DISPATCH_TIME_US};
    struct event_config *config = event_config_new();
    if (config == NULL)
        return NULL;
    event_config_set_max_dispatch_interval(config, &longest, DISPATCH_CALLBACKS, 1);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

struct net *net_new(const struct net_options *options, struct fail *why)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct net *net = mem_new(sizeof *net);
    uint64_t seed[2];
    net->options = *options;
    net->beacon_fd = -1;
    net->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    random_bytes(seed, sizeof seed);
    table_init(&net->conns, sizeof(uint64_t), sizeof(struct conn *), CONNS_MAX, seed);
    net->next_id = 1;
    signal(SIGPIPE, SIG_IGN);
    net->base = make_base();
    if (net->base == NULL || net->wake_fd < 0 || event_base_priority_init(net->base, PRIORITIES) != 0) {
        fail_set(why, FAIL_LOCAL, "event-loop", "the event loop cannot be started: %s", strerror(errno));
        goto out;
    }
    net->wake = event_new(net->base, net->wake_fd, EV_READ | EV_PERSIST, on_wake, net);
    net->tick = event_new(net->base, -1, EV_PERSIST, on_tick, net);
    net->turn = event_new(net->base, -1, 0, on_turn, net);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        net->signals[i] = evsignal_new(net->base, numbers[i], on_signal, net);
        if (net->signals[i] != NULL)
            event_priority_set(net->signals[i], 0);
        net->signal_count++;
    }
    if (net->wake == NULL || net->tick == NULL || net->turn == NULL) {
        fail_oom(why, "event loop");
        goto out;
    }
    net->pool = pool_new(options->workers, options->mine_threads, wake_loop, net);
    if (net->pool == NULL) {
        fail_set(why, FAIL_LOCAL, "threads", "the worker threads cannot be started: %s", strerror(errno));
        goto out;
    }
    net->env = (struct env){
        .ctx = net,
        .wall_ms = env_wall,
        .steady_us = env_steady,
        .random = env_fill,
        .submit = env_run,
        .disk = &disk_posix,
        .kv_open = kv_leveldb_open,
        .dial = conn_dial,
        .send = conn_send,
        .close = conn_close,
        .pause = conn_pause,
        .resolve = resolve_start,
        .beacon = beacon_send,
        .again = env_again,
    };
    return net;
out:
    net_free(net);
    return NULL;
}

void net_set_events(struct net *net, const struct net_events *events)
{
    net->events = *events;
}

const struct env *net_env(const struct net *net)
{
    return &net->env;
}

struct event_base *net_base(struct net *net)
{
    return net->base;
}

bool net_listen(struct net *net, const char *where, uint16_t default_port, struct fail *why)
{
    struct net_addr at;
    if (*where != 0) {
        if (!net_addr_parse(&at, span_text(where), default_port))
            return fail_request(why, 0, "Cannot resolve -bind address: '%s'", where);
        return listen_on(net, &at, why);
    }
    /* All addresses: IPv6 where the machine has it, IPv4 always. */
    struct fail ignored;
    if (net_addr_parse(&at, span_text("::"), default_port) && !listen_on(net, &at, &ignored))
        log_debug(LOG_NET, "%s", ignored.detail);
    return net_addr_parse(&at, span_text("0.0.0.0"), default_port) && listen_on(net, &at, why);
}

void net_run(struct net *net)
{
    const struct timeval period = {0, NET_TICK_MS * 1000};
    event_add(net->wake, NULL);
    event_add(net->tick, &period);
    for (uint32_t i = 0; i < net->signal_count; i++)
        if (net->signals[i] != NULL)
            event_add(net->signals[i], NULL);
    if (net->options.lan_discovery)
        beacon_open(net);
    net_touch(net);
    event_base_dispatch(net->base);
}

void net_break(struct net *net)
{
    event_base_loopbreak(net->base);
}

void net_drain(struct net *net)
{
    pool_drain(net->pool);
}

void net_free(struct net *net)
{
    if (net == NULL)
        return;
    if (net->pool != NULL)
        pool_free(net->pool);
    conn_free_all(net);
    port_map_free(net);
    beacon_close(net);
    for (uint32_t i = 0; i < net->listener_count; i++)
        evconnlistener_free(net->listeners[i]);
    if (net->dns != NULL)
        evdns_base_free(net->dns, 0);
    struct event *const events[] = {
        net->wake, net->tick, net->turn, net->signals[0], net->signals[1], net->signals[2]};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        if (events[i] != NULL)
            event_free(events[i]);
    }
    if (net->base != NULL)
        event_base_free(net->base);
    if (net->wake_fd >= 0)
        close(net->wake_fd);
    table_clear(&net->conns);
    mem_free(net);
}

void net_set_mock_time(struct net *net, int64_t time_s)
{
    int64_t before_ms = env_wall(net);
    net->mock_wall_ms = time_s * 1000;
    int64_t jump_ms = env_wall(net) - before_ms;
    if (jump_ms > 0)
        net->mock_ahead_us += jump_ms * 1000;
}

void net_mock_forward(struct net *net, int64_t seconds)
{
    net->mock_ahead_us += seconds * 1000000;
    if (net->mock_wall_ms != 0)
        net->mock_wall_ms += seconds * 1000;
}

void net_touch(struct net *net)
{
    if (net->turn_due)
        return;
    net->turn_due = true;
    event_active(net->turn, EV_TIMEOUT, 0);
}

static void on_wake(evutil_socket_t fd, short what, void *ctx)
{
    struct net *net = ctx;
    uint64_t count;
    (void)what;
    if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN)
        log_error("the loop's wake-up cannot be read: %s", strerror(errno));
    pool_collect_for(net->pool, RESULTS_TIME_US);
    net_touch(net);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    struct net *net = ctx;
    (void)fd, (void)what;
    if (net->events.on_tick != NULL)
        net->events.on_tick(net->events.ctx);
    net_touch(net);
}

static void on_turn(evutil_socket_t fd, short what, void *ctx)
{
    struct net *net = ctx;
    (void)fd, (void)what;
    net->turn_due = false;
    if (net->events.on_turn != NULL && net->events.on_turn(net->events.ctx))
        net_touch(net);
}

static void on_signal(evutil_socket_t number, short what, void *ctx)
{
    struct net *net = ctx;
    (void)what;
    if (net->events.on_signal != NULL)
        net->events.on_signal(net->events.ctx, (int)number);
    net_touch(net);
}

static void on_connection(
    struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int size, void *ctx)
{
    (void)listener, (void)size;
    conn_accept(ctx, fd, from);
}

static bool listen_on(struct net *net, const struct net_addr *at, struct fail *why)
{
    struct sockaddr_storage sa;
    char text[NET_ADDR_TEXT_SIZE_B];
    int on = 1;
    net_addr_to_text(text, at, true);
    socklen_t size = addr_to_sockaddr(&sa, at);
    if (size == 0)
        return fail_request(why, 0, "-bind address %s is not an IP address", text);
    if (net->listener_count == LISTENERS_MAX)
        return fail_request(why, 0, "At most %d -bind addresses can be given", LISTENERS_MAX);
    evutil_socket_t fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0;
    if (ok) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (sa.ss_family == AF_INET6)
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        ok = bind(fd, (const struct sockaddr *)&sa, size) == 0;
    }
    if (!ok) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return fail_request(why, 0, "Unable to bind to %s on this computer. %s", text,
            error == EADDRINUSE ? "coind is probably already running." : strerror(error));
    }
    struct evconnlistener *listener = evconnlistener_new(net->base, on_connection, net,
        LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, LISTEN_BACKLOG, fd);
    if (listener == NULL) {
        close(fd);
        return fail_oom(why, "listener");
    }
    net->listeners[net->listener_count++] = listener;
    log_info("Bound to %s", text);
    return true;
}

static void wake_loop(void *ctx)
{
    const struct net *net = ctx;
    const uint64_t one = 1;
    if (write(net->wake_fd, &one, sizeof one) < 0)
        return; /* full: it is awake already */
}

static int64_t clock_us(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t env_wall(void *ctx)
{
    const struct net *net = ctx;
    return net->mock_wall_ms != 0 ? net->mock_wall_ms : clock_us(CLOCK_REALTIME) / 1000;
}

static int64_t env_steady(void *ctx)
{
    return clock_us(CLOCK_MONOTONIC) + ((const struct net *)ctx)->mock_ahead_us;
}

static void env_fill(void *ctx, void *out, size_t size_b)
{
    (void)ctx;
    random_bytes(out, size_b);
}

static bool env_run(void *ctx, struct job *job)
{
    return pool_submit(((struct net *)ctx)->pool, job);
}

static void env_again(void *ctx)
{
    net_touch(ctx);
}
