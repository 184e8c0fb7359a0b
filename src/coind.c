/* The node's process: reads options, takes the data directory, builds the world (net) and the core (node),
 * and runs the loop until it is told to stop. It owns what a process has once: the lock, the pid file, the
 * log, the terminal and the signals. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coin/base/log.h"
#include "coin/base/mem.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/secp.h"
#include "coin/crypto/sha256.h"
#include "coin/net/http_port.h"
#include "coin/net/net.h"
#include "coin/node/node.h"
#include "coin/p2p/p2p.h"
#include "coin/node/options.h"
#include "coin/node/place.h"
#include "coin/node/threads.h"

#define HELP_MAX_B (1u << 20)
#define OWN_ADDRS_MAX 16
#define LIST_MAX 64
/* How long answers that are being sent may hold up the end. */
#define FAREWELL_US (INT64_C(1500) * 1000)

struct daemon {
    struct config *config;
    struct place place;
    struct net *net;
    struct node *node;
    struct rpc_auth *auth;
    struct http_port *http;
    int lock;
    char pid_path[PATH_SIZE_B];
    bool has_pid, on_terminal, line_shown;
    int64_t stopped_us; /* the node has ended; only answers are still being sent. 0: it runs */
    struct fail why;    /* why it ended */
};

static void open_onion_port(struct daemon *d);

static int complain(const char *prefix, const struct fail *why)
{
    fprintf(stderr, "Error: %s%s\n", prefix, why->detail);
    return EXIT_FAILURE;
}

/* ---- before the loop ---- */

static int print_text(const struct config *config, bool debug)
{
    struct buf text;
    buf_init(&text, HELP_MAX_B);
    config_print_help(config, &text, debug);
    printf("coind version v%s\n\nUsage: coind [options]\n\n", COIN_VERSION);
    fwrite(text.data, 1, text.size_b, stdout);
    buf_clear(&text);
    return EXIT_SUCCESS;
}

/* The folder is one node's at a time: two would tear its files. */
static bool lock_folder(struct daemon *d, struct fail *why)
{
    char path[PATH_SIZE_B];
    const struct disk *disk = &disk_posix;
    if (!disk->make_dir(disk->ctx, d->place.dir, why) || !path_join(path, d->place.dir, ".lock", why))
        return false;
    d->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock < 0)
        return fail_request(why, 0, "Cannot write to directory '%s'; check permissions.", d->place.dir);
    if (flock(d->lock, LOCK_EX | LOCK_NB) != 0)
        return fail_request(why, 0, "Cannot obtain a lock on directory %s. coind is probably already running.",
            d->place.dir);
    return true;
}

static bool write_pid(struct daemon *d, struct fail *why)
{
    const char *name = config_text(d->config, "pid");
    if (config_is_negated(d->config, "pid") || name == NULL || *name == 0)
        return true;
    if (!place_resolve(d->pid_path, d->place.dir, name, why))
        return false;
    FILE *file = fopen(d->pid_path, "we");
    if (file == NULL)
        return fail_request(why, 0, "Unable to create the PID file '%s': %s", d->pid_path, strerror(errno));
    fprintf(file, "%ld\n", (long)getpid());
    fclose(file);
    d->has_pid = true;
    return true;
}

static bool begin_log(struct daemon *d, struct fail *why)
{
    char path[PATH_SIZE_B];
    const char *name = config_text(d->config, "debuglogfile"), *category;
    bool to_file = !config_is_negated(d->config, "debuglogfile") && name != NULL && strcmp(name, "0") != 0;
    if (to_file && !place_resolve(path, d->place.dir, name, why))
        return false;
    d->on_terminal = isatty(STDOUT_FILENO) && !config_flag(d->config, "daemon");
    struct log_options options = {
        .path = to_file ? path : NULL,
        .to_stdout = config_is_set(d->config, "printtoconsole") ? config_flag(d->config, "printtoconsole")
                                                                : !d->on_terminal && !config_flag(d->config, "daemon"),
        .json = config_text(d->config, "logformat") != NULL && strcmp(config_text(d->config, "logformat"), "json") == 0,
        .timestamps = config_flag(d->config, "logtimestamps"),
    };
    for (uint32_t i = 0; (category = config_list(d->config, "debug", i)) != NULL; i++) {
        if (!log_enable(category, true))
            return fail_request(why, 0, "Unsupported logging category -debug=%s", category);
    }
    for (uint32_t i = 0; (category = config_list(d->config, "debugexclude", i)) != NULL; i++) {
        if (!log_enable(category, false))
            return fail_request(why, 0, "Unsupported logging category -debugexclude=%s", category);
    }
    return log_open(&options, why);
}

/* Sockets and tables count as open files. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool begin_crypto(struct fail *why)
{
    uint8_t blinding[32];
    if (!sha256_init(NULL, why) || !hash_init(why))
        return false;
    random_bytes(blinding, sizeof blinding);
    bool ok = secp_init(blinding, why);
    mem_wipe(blinding, sizeof blinding);
    return ok;
}

/* ---- the node's hooks ---- */

static void on_stopped(void *ctx, const struct fail *why)
{
    struct daemon *d = ctx;
    d->why = *why;
    d->stopped_us = env_steady_us(net_env(d->net));
    if (d->http != NULL)
        http_port_stop(d->http);
    else
        net_break(d->net);
}

static void on_set_mock_time(void *ctx, int64_t time_s)
{
    net_set_mock_time(((struct daemon *)ctx)->net, time_s);
}

static void on_mock_forward(void *ctx, int64_t seconds)
{
    net_mock_forward(((struct daemon *)ctx)->net, seconds);
}

static void on_status(void *ctx, const char *line)
{
    struct daemon *d = ctx;
    if (!d->on_terminal)
        return;
    printf("\r\x1b[K%s", line);
    fflush(stdout);
    d->line_shown = true;
}

/* ---- events ---- */

static bool on_accept(void *ctx, uint64_t conn_id, const struct net_addr *remote, const struct net_addr *local)
{
    return node_on_accept(((struct daemon *)ctx)->node, conn_id, remote, local);
}

static void on_dialed(void *ctx, uint64_t conn_id)
{
    node_on_dialed(((struct daemon *)ctx)->node, conn_id);
}

static void on_closed(void *ctx, uint64_t conn_id, const char *reason)
{
    node_on_closed(((struct daemon *)ctx)->node, conn_id, reason);
}

static size_t on_bytes(void *ctx, uint64_t conn_id, struct span bytes)
{
    return node_on_bytes(((struct daemon *)ctx)->node, conn_id, bytes);
}

static void on_writable(void *ctx, uint64_t conn_id)
{
    node_on_writable(((struct daemon *)ctx)->node, conn_id);
}

static void on_resolved(void *ctx, uint64_t token, const struct net_addr *addrs, uint32_t count)
{
    node_on_resolved(((struct daemon *)ctx)->node, token, addrs, count);
}

static void on_beacon(void *ctx, const struct net_addr *from, struct span datagram)
{
    node_on_beacon(((struct daemon *)ctx)->node, from, datagram);
}

static bool on_turn(void *ctx)
{
    return node_turn(((struct daemon *)ctx)->node);
}

static void on_tick(void *ctx)
{
    struct daemon *d = ctx;
    node_on_tick(d->node);
    if (p2p_wants_onion_port(node_p2p(d->node)))
        open_onion_port(d);
    if (d->stopped_us != 0 && (http_port_is_idle(d->http) ||
                                  env_steady_us(net_env(d->net)) - d->stopped_us > FAREWELL_US))
        net_break(d->net);
}

static void on_signal(void *ctx, int number)
{
    static const struct fail wanted = {.kind = FAIL_NONE};
    struct daemon *d = ctx;
    struct fail why;
    if (number != SIGHUP)
        node_stop(d->node, &wanted);
    else if (!log_reopen(&why))
        log_error("%s", why.detail);
}

static void on_mapped(void *ctx, const struct net_addr *addr, bool there)
{
    struct daemon *d = ctx;
    if (there)
        p2p_add_local(node_p2p(d->node), addr, LOCAL_MAPPED);
    else
        p2p_remove_local(node_p2p(d->node), addr);
}

/* ---- ports ---- */

static uint32_t collect(const char *out[LIST_MAX + 1], const struct config *config, const char *name)
{
    uint32_t count = 0;
    const char *text;
    while (count < LIST_MAX && (text = config_list(config, name, count)) != NULL)
        out[count++] = text;
    out[count] = NULL;
    return count;
}

static bool is_onion_bind(const char *bind)
{
    return strcmp(bind + strcspn(bind, "="), "=onion") == 0;
}

/* Where Tor shall forward to: to a place that is its own, -bind=...=onion; else, for whoever binds, to the first of those
 * places; else to a port that is opened when Tor is there (open_onion_port). */
static bool find_onion_port(struct daemon *d, const char *const *binds, uint32_t count, uint16_t port, struct fail *why)
{
    static const char *const any[] = {"0.0.0.0", "::"}, *const here[] = {"127.0.0.1", "::1"};
    struct net_addr at, other;
    const char *chosen = count > 0 ? binds[0] : NULL;
    for (uint32_t i = 0; i < count; i++)
        if (is_onion_bind(binds[i])) {
            chosen = binds[i];
            break;
        }
    if (chosen == NULL)
        return true;
    bool ok = net_addr_parse(&at, span_of(chosen, strcspn(chosen, "=")), port);
    for (int k = 0; k < 2 && ok; k++)
        if (net_addr_parse(&other, span_text(any[k]), at.port) && net_addr_equal(&other, &at))
            ok = net_addr_parse(&at, span_text(here[k]), other.port);
    if (!ok)
        return fail_request(why, 0, "Cannot resolve -bind address: '%s'", chosen);
    p2p_serve_onion(node_p2p(d->node), &at, is_onion_bind(chosen));
    return true;
}

/* A port of its own, so that nobody behind Tor passes for somebody here. */
static void open_onion_port(struct daemon *d)
{
    struct net_addr at;
    struct fail why;
    char where[NET_ADDR_TEXT_SIZE_B];
    uint16_t port = (uint16_t)config_int(d->config, "port", d->place.chain->p2p_port);
    snprintf(where, sizeof where, "127.0.0.1:%d", port < UINT16_MAX ? port + 1 : port - 1);
    bool ok = net_addr_parse(&at, span_text(where), 0) && net_listen(d->net, where, port, &why);
    if (!ok)
        log_warning("%s", why.detail);
    p2p_serve_onion(node_p2p(d->node), ok ? &at : NULL, true);
}

static bool listen_on_p2p(struct daemon *d, struct fail *why)
{
    const char *binds[LIST_MAX + 1];
    uint16_t port = (uint16_t)config_int(d->config, "port", d->place.chain->p2p_port);
    if (!config_flag(d->config, "listen"))
        return true;
    uint32_t count = collect(binds, d->config, "bind");
    for (uint32_t i = 0; i < count; i++) {
        char where[256];
        snprintf(where, sizeof where, "%.*s", (int)strcspn(binds[i], "="), binds[i]); /* without "=onion" */
        if (!net_listen(d->net, where, port, why))
            return false;
    }
    uint32_t white = collect(binds, d->config, "whitebind");
    for (uint32_t i = 0; i < white; i++) {
        const char *at = strchr(binds[i], '@');
        if (!net_listen(d->net, at != NULL ? at + 1 : binds[i], port, why))
            return false;
    }
    if (count + white == 0 && !net_listen(d->net, "", port, why))
        return false;
    count = collect(binds, d->config, "bind");
    return find_onion_port(d, binds, count, port, why);
}

/* Others may reach us at the addresses that we listen on, or at all of them. */
static void tell_own_addresses(struct daemon *d)
{
    const char *binds[LIST_MAX + 1];
    struct net_addr own[OWN_ADDRS_MAX];
    uint16_t port = (uint16_t)config_int(d->config, "port", d->place.chain->p2p_port);
    if (!config_flag(d->config, "listen"))
        return;
    uint32_t count = collect(binds, d->config, "bind");
    for (uint32_t i = 0; i < count; i++)
        if (strchr(binds[i], '=') == NULL && net_addr_parse(&own[0], span_text(binds[i]), port))
            p2p_add_local(node_p2p(d->node), &own[0], LOCAL_BIND);
    uint32_t found = count == 0 ? net_own_addresses(own, OWN_ADDRS_MAX, port) : 0;
    for (uint32_t i = 0; i < found; i++)
        p2p_add_local(node_p2p(d->node), &own[i], LOCAL_INTERFACE);
}

/* -natpmp. */
static bool open_way_in(struct daemon *d, struct fail *why)
{
    struct net_addr gateway;
    const char *text = config_text(d->config, "natpmpgateway");
    if (!config_flag(d->config, "natpmp") || !config_flag(d->config, "listen"))
        return true;
    if (text != NULL && (!net_addr_parse(&gateway, span_text(text), 0) || gateway.network != NET_IPV4))
        return fail_request(why, 0, "Invalid -natpmpgateway: '%s'", text);
    net_map_port(d->net, (uint16_t)config_int(d->config, "port", d->place.chain->p2p_port), text != NULL ? &gateway : NULL);
    return true;
}

static bool open_rpc(struct daemon *d, struct fail *why)
{
    const char *binds[LIST_MAX + 1], *allow[LIST_MAX + 1];
    char cookie[PATH_SIZE_B];
    const char *name = config_text(d->config, "rpccookiefile");
    int64_t port = config_int(d->config, "rpcport", d->place.chain->rpc_port);
    if (!config_flag(d->config, "server"))
        return true;
    if (port < 1 || port > 65535)
        return fail_request(why, 0, "Invalid port specified in -rpcport: '%" PRId64 "'", port);
    if (!place_resolve(cookie, d->place.dir, name != NULL && *name != 0 ? name : ".cookie", why))
        return false;
    d->auth = rpc_auth_new(d->config, net_env(d->net), cookie, why);
    if (d->auth == NULL)
        return false;
    collect(binds, d->config, "rpcbind");
    collect(allow, d->config, "rpcallowip");
    struct http_port_options options = {
        .port = (uint16_t)port,
        .bind = binds,
        .allow = allow,
        .work_queue = (uint32_t)config_int(d->config, "rpcworkqueue", 64),
    };
    d->http = http_port_new(d->net, node_rpc(d->node), d->auth, &options, why);
    return d->http != NULL;
}

/* ---- from start to end ---- */

static bool open_net(struct daemon *d, struct fail *why)
{
    struct net_options options = {
        .workers = setup_workers(d->config),
        .mine_threads = setup_mine_threads(d->config),
        .dial_timeout_ms = config_int(d->config, "timeout", 5000),
        .lan_discovery = config_is_implied(d->config, "landiscovery")
                             ? config_flag(d->config, "landiscovery")
                             : d->place.chain->lan_discovery && !config_is_set(d->config, "connect"),
    };
    d->net = net_new(&options, why);
    if (d->net == NULL)
        return false;
    int64_t mock_s = config_int(d->config, "mocktime", 0);
    if (mock_s > 0)
        net_set_mock_time(d->net, mock_s);
    struct net_events events = {
        .ctx = d,
        .on_accept = on_accept,
        .on_dialed = on_dialed,
        .on_closed = on_closed,
        .on_bytes = on_bytes,
        .on_writable = on_writable,
        .on_resolved = on_resolved,
        .on_beacon = on_beacon,
        .on_mapped = on_mapped,
        .on_turn = on_turn,
        .on_tick = on_tick,
        .on_signal = on_signal,
    };
    net_set_events(d->net, &events);
    return true;
}

static bool open_all(struct daemon *d, struct fail *why)
{
    struct node_hooks hooks = {
        .ctx = d,
        .stopped = on_stopped,
        .set_mock_time = on_set_mock_time,
        .mock_forward = on_mock_forward,
        .status = on_status,
    };
    const char *misplaced;
    if (!write_pid(d, why) || !begin_log(d, why) || !begin_crypto(why))
        return false;
    log_info("coind version v%s on chain %s, data in %s", COIN_VERSION, d->place.chain->name, d->place.dir);
    log_info("SHA-256: %s, %u threads", sha256_name(), setup_workers(d->config));
    for (uint32_t i = 0; (misplaced = config_misplaced(d->config, i)) != NULL; i++)
        log_warning("Config setting for -%s only applied on %s network when in [%s] section.", misplaced,
            d->place.chain->rpc_name, d->place.chain->rpc_name);
    if (!open_net(d, why))
        return false;
    d->node = node_open(net_env(d->net), d->place.chain, d->config, d->place.dir, &hooks, why);
    return d->node != NULL && open_rpc(d, why) && listen_on_p2p(d, why) && open_way_in(d, why);
}

/* Both at a good end and after a failed start. */
static void close_all(struct daemon *d)
{
    if (d->net != NULL)
        net_drain(d->net);
    http_port_free(d->http);
    node_free(d->node);
    rpc_auth_free(d->auth);
    net_free(d->net);
    if (d->line_shown)
        printf("\n");
    log_info("Shutdown: done");
    log_close();
    if (d->has_pid)
        unlink(d->pid_path);
    if (d->lock >= 0)
        close(d->lock);
}

/* The child goes on, without terminal; threads do not exist yet. */
static bool into_background(struct daemon *d, bool *is_parent, struct fail *why)
{
    *is_parent = false;
    if (!config_flag(d->config, "daemon"))
        return true;
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        return fail_request(why, 0, "fork() failed: %s", strerror(errno));
    if (child > 0) {
        printf("coind starting\n");
        *is_parent = true;
        return true;
    }
    setsid();
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        close(null);
    }
    return true;
}

/* What one option says about others that were not given (Bitcoin's). */
static void imply(struct config *config)
{
    const char *proxy = config_list(config, "proxy", 0);
    bool hides = proxy != NULL && strcmp(proxy, "0") != 0;
    if (config_is_set(config, "bind") || config_is_set(config, "whitebind"))
        config_soft_set(config, "listen", "1");
    else if (hides || (config_is_set(config, "connect") && config_list(config, "connect", 0) != NULL))
        config_soft_set(config, "listen", "0");
    if (hides || config_is_set(config, "externalip") || !config_flag(config, "listen"))
        config_soft_set(config, "discover", "0");
    if (hides)
        config_soft_set(config, "landiscovery", "0");
    if (!config_flag(config, "listen"))
        config_soft_set(config, "listenonion", "0");
}

static int run(struct daemon *d)
{
    struct fail why;
    bool is_parent;
    if (!place_find(&d->place, d->config, &why) || !place_override_rules(&d->place, d->config, &why))
        return complain("", &why);
    imply(d->config);
    if (!into_background(d, &is_parent, &why))
        return complain("", &why);
    if (is_parent)
        return EXIT_SUCCESS;
    raise_file_limit();
    umask(077);
    bool ok = lock_folder(d, &why) && open_all(d, &why);
    if (ok) {
        node_start(d->node);
        tell_own_addresses(d);
        net_run(d->net);
        why = d->why;
        ok = why.kind == FAIL_NONE;
    }
    close_all(d);
    return ok ? EXIT_SUCCESS : complain("", &why);
}

int main(int argc, char **argv)
{
    struct daemon d = {.lock = -1};
    struct fail why;
    int status;
    d.config = config_new(node_options);
    if (!config_parse_args(d.config, argc, argv, &why)) {
        status = complain("Error parsing command line arguments: ", &why);
    } else if (config_flag(d.config, "version")) {
        printf("coind version v%s\n", COIN_VERSION);
        status = EXIT_SUCCESS;
    } else if (config_flag(d.config, "help") || config_flag(d.config, "h") || config_flag(d.config, "?") ||
               config_flag(d.config, "help-debug")) {
        status = print_text(d.config, config_flag(d.config, "help-debug"));
    } else {
        status = run(&d);
    }
    place_clear(&d.place);
    config_free(d.config);
    return status;
}
