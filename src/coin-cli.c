/* coin-cli: one JSON-RPC call from the command line, as bitcoin-cli makes it. Other programs start it and
 * read its output and exit status, so both are exact: a result goes to stdout (text bare, null as nothing),
 * an error to stderr, and the status is the error's number.
 *
 * Which arguments are JSON and which are text comes from the tables of the calls (rpc/groups.h). */

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "coin/base/json.h"
#include "coin/base/mem.h"
#include "coin/node/options.h"
#include "coin/node/place.h"
#include "coin/rpc/auth.h"
#include "coin/rpc/rpc.h"

#define ANSWER_MAX_B ((size_t)1 << 30)
#define REQUEST_MAX_B ((size_t)64 << 20)
#define ARGS_MAX 4096
#define LINE_MAX_B ((size_t)32 << 20)
#define WAIT_STEP_MS 250

struct cli {
    struct config *config;
    struct place place;
    const char **args; /* the method and its arguments */
    uint32_t count;
    struct arena arena;
    char host[256];
    char port[8];
    struct buf credentials; /* "Basic ..." */
    struct buf password;    /* from standard input */
    struct fail why;
};
enum outcome { ANSWERED, NOT_REACHED, FAILED };

static int complain(const struct fail *why)
{
    fprintf(stderr, "error: %s\n", why->detail);
    return EXIT_FAILURE;
}

/* ---- arguments ---- */

static bool add_arg(struct cli *cli, const char *text)
{
    if (cli->count == ARGS_MAX)
        return fail_request(&cli->why, 0, "too many arguments");
    cli->args[cli->count++] = text;
    return true;
}

/* One line without its end, or NULL at the end of standard input. */
static char *read_line(struct cli *cli)
{
    struct buf line;
    int c;
    buf_init(&line, LINE_MAX_B);
    while ((c = getchar()) != EOF && c != '\n')
        buf_put_u8(&line, (uint8_t)c);
    if (line.size_b > 0 && line.data[line.size_b - 1] == '\r')
        line.size_b--;
    bool ended = c == EOF && line.size_b == 0;
    char *kept = ended || line.failed ? NULL : arena_text(&cli->arena, (const char *)line.data, line.size_b);
    mem_wipe(line.data, line.size_b);
    buf_clear(&line);
    return kept;
}

static bool read_stdin(struct cli *cli)
{
    const char *line;
    if (config_flag(cli->config, "stdinrpcpass")) {
        line = read_line(cli);
        if (line == NULL)
            return fail_request(&cli->why, 0, "-stdinrpcpass specified but failed to read from standard input");
        buf_put_text(&cli->password, line);
    }
    if (config_flag(cli->config, "stdinwalletpassphrase")) {
        if (cli->count == 0 || strncmp(cli->args[0], "walletpassphrase", 16) != 0)
            return fail_request(&cli->why, 0, "-stdinwalletpassphrase is only applicable for walletpassphrase(change)");
        line = read_line(cli);
        if (line == NULL)
            return fail_request(&cli->why, 0, "-stdinwalletpassphrase specified but failed to read from standard input");
        if (!add_arg(cli, ""))
            return false;
        memmove(cli->args + 2, cli->args + 1, (cli->count - 2) * sizeof *cli->args);
        cli->args[1] = line;
    }
    if (config_flag(cli->config, "stdin")) {
        while ((line = read_line(cli)) != NULL) {
            if (!add_arg(cli, line))
                return false;
        }
    }
    return true;
}

/* ---- the request ---- */

static const struct rpc_method *find_method(const char *name)
{
    for (const struct rpc_group *group = rpc_groups; group->title != NULL; group++) {
        for (const struct rpc_method *m = group->methods; m->name != NULL; m++) {
            if (strcmp(m->name, name) == 0)
                return m;
        }
    }
    return NULL;
}

static bool takes_text(enum rpc_type type)
{
    return type == RPC_STRING || type == RPC_HEX;
}

/* An argument as JSON, or as text where the call wants text (or is not known). */
static bool put_value(struct cli *cli, struct json_writer *w, const struct rpc_arg *arg, const char *text)
{
    struct json_doc doc;
    struct fail why;
    if (arg == NULL || takes_text(arg->type)) {
        jw_text(w, text);
        return true;
    }
    bool ok = json_parse(&doc, span_text(text), &why);
    if (ok)
        jw_value(w, doc.root);
    else if (arg->type == RPC_ANY || arg->type == RPC_AMOUNT)
        jw_text(w, text);
    else
        return fail_request(&cli->why, 0, "Error parsing JSON: %.200s", text);
    json_doc_clear(&doc);
    return true;
}

/* Is `name` one of the names in "verbosity|verbose"? */
static bool is_named(const struct rpc_arg *arg, const char *name, size_t length)
{
    for (const char *at = arg->name; at != NULL; at = strchr(at, '|') != NULL ? strchr(at, '|') + 1 : NULL) {
        if (strcspn(at, "|") == length && memcmp(at, name, length) == 0)
            return true;
    }
    return false;
}

static const struct rpc_arg *arg_at(const struct rpc_method *method, uint32_t i)
{
    if (method == NULL || method->args == NULL)
        return NULL;
    for (uint32_t k = 0; method->args[k].name != NULL; k++) {
        if (k == i)
            return &method->args[k];
    }
    return NULL;
}

static bool put_named(struct cli *cli, struct json_writer *w, const struct rpc_method *method)
{
    uint32_t bare = 0;
    jw_object(w);
    for (uint32_t i = 1; i < cli->count; i++) {
        const char *text = cli->args[i], *equals = strchr(text, '=');
        if (equals == NULL) {
            bare++;
            continue;
        }
        const struct rpc_arg *arg = NULL;
        for (uint32_t k = 0; arg_at(method, k) != NULL && arg == NULL; k++) {
            if (is_named(arg_at(method, k), text, (size_t)(equals - text)))
                arg = arg_at(method, k);
        }
        jw_key_span(w, span_of(text, (size_t)(equals - text)));
        if (!put_value(cli, w, arg, equals + 1))
            return false;
    }
    if (bare > 0) { /* these go by position */
        jw_key(w, "args");
        jw_array(w);
        for (uint32_t i = 1, at = 0; i < cli->count; i++) {
            if (strchr(cli->args[i], '=') == NULL && !put_value(cli, w, arg_at(method, at++), cli->args[i]))
                return false;
        }
        jw_end_array(w);
    }
    jw_end_object(w);
    return true;
}

static bool put_call(struct cli *cli, struct json_writer *w)
{
    const struct rpc_method *method = find_method(cli->args[0]);
    jw_object(w);
    jw_key_i64(w, "id", 1);
    jw_key_text(w, "method", cli->args[0]);
    jw_key(w, "params");
    if (config_flag(cli->config, "named")) {
        if (!put_named(cli, w, method))
            return false;
    } else {
        jw_array(w);
        for (uint32_t i = 1; i < cli->count; i++) {
            if (!put_value(cli, w, arg_at(method, i - 1), cli->args[i]))
                return false;
        }
        jw_end_array(w);
    }
    jw_end_object(w);
    return true;
}

/* ---- the connection ---- */

/* "host", "host:port", "[v6]:port"; -rpcport counts for those without. */
static bool find_server(struct cli *cli)
{
    const char *text = config_text(cli->config, "rpcconnect");
    char *host = cli->host;
    int64_t port = config_int(cli->config, "rpcport", cli->place.chain->rpc_port);
    snprintf(cli->host, sizeof cli->host, "%s", text != NULL && *text != 0 ? text : "127.0.0.1");
    char *colon = strrchr(host, ':');
    if (colon != NULL && (strchr(host, ':') == colon || colon[-1] == ']') && !config_is_set(cli->config, "rpcport")) {
        port = strtol(colon + 1, NULL, 10);
        *colon = 0;
    }
    size_t length = strlen(host);
    if (length > 1 && host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = 0;
        memmove(host, host + 1, length - 1);
    }
    if (port < 1 || port > 65535)
        return fail_request(&cli->why, 0, "Invalid port provided in -rpcport or -rpcconnect: %" PRId64, port);
    snprintf(cli->port, sizeof cli->port, "%" PRId64, port);
    return true;
}

static bool find_credentials(struct cli *cli)
{
    struct buf pair;
    struct fail why;
    char path[PATH_SIZE_B];
    const char *password = config_text(cli->config, "rpcpassword"), *user = config_text(cli->config, "rpcuser");
    const char *cookie = config_text(cli->config, "rpccookiefile");
    buf_init(&pair, 1024);
    bool ok = true;
    if (cli->password.size_b > 0 || (password != NULL && *password != 0)) {
        buf_printf(&pair, "%s:", user != NULL ? user : "");
        if (cli->password.size_b > 0)
            buf_put(&pair, cli->password.data, cli->password.size_b);
        else
            buf_put_text(&pair, password);
    } else if (!place_resolve(path, cli->place.dir, cookie != NULL && *cookie != 0 ? cookie : ".cookie", &cli->why)) {
        ok = false;
    } else if (!file_read_all(&disk_posix, path, &pair, &why)) {
        pair.size_b = 0;
        pair.failed = false;
    }
    cli->credentials.size_b = 0;
    if (ok && pair.size_b > 0)
        rpc_auth_basic(&cli->credentials, buf_span(&pair));
    mem_wipe(pair.data, pair.size_b);
    buf_clear(&pair);
    return ok;
}

static int dial(const struct cli *cli)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int64_t timeout_s = config_int(cli->config, "rpcclienttimeout", 900);
    struct timeval limit = {.tv_sec = timeout_s > 0 ? (time_t)timeout_s : 0};
    int sock = -1;
    if (getaddrinfo(cli->host, cli->port, &hints, &found) != 0)
        return -1;
    for (const struct addrinfo *at = found; at != NULL && sock < 0; at = at->ai_next) {
        sock = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
        if (sock >= 0 && connect(sock, at->ai_addr, at->ai_addrlen) != 0) {
            close(sock);
            sock = -1;
        }
    }
    freeaddrinfo(found);
    if (sock >= 0) {
        setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    }
    return sock;
}

static bool send_all(int sock, struct span bytes)
{
    while (bytes.size_b > 0) {
        ssize_t n = send(sock, bytes.data, bytes.size_b, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes = span_of(bytes.data + n, bytes.size_b - (size_t)n);
    }
    return true;
}

static bool receive_all(int sock, struct buf *out)
{
    for (;;) {
        uint8_t *room = buf_reserve(out, 65536);
        if (room == NULL)
            return false;
        ssize_t n = recv(sock, room, 65536, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        if (n == 0)
            return out->size_b > 0;
        out->size_b += (size_t)n;
    }
}

static void put_path(struct buf *out, const struct cli *cli)
{
    const char *wallet = config_text(cli->config, "rpcwallet");
    if (wallet == NULL) {
        buf_put_text(out, "/");
        return;
    }
    buf_put_text(out, "/wallet/");
    for (const char *at = wallet; *at != 0; at++) {
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~", *at) != NULL)
            buf_put_u8(out, (uint8_t)*at);
        else
            buf_printf(out, "%%%02X", (unsigned)(uint8_t)*at);
    }
}

/* Sends body, gets the status and the answer's body (a view into `answer`). */
static enum outcome exchange(struct cli *cli, struct span body, struct buf *answer, int *status, struct span *text)
{
    struct buf request;
    int sock = dial(cli);
    if (sock < 0)
        return NOT_REACHED;
    buf_init(&request, REQUEST_MAX_B);
    buf_put_text(&request, "POST ");
    put_path(&request, cli);
    buf_printf(&request, " HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Type: application/json\r\n", cli->host);
    if (cli->credentials.size_b > 0)
        buf_printf(&request, "Authorization: %.*s\r\n", (int)cli->credentials.size_b,
            (const char *)cli->credentials.data);
    buf_printf(&request, "Content-Length: %zu\r\n\r\n", body.size_b);
    buf_put(&request, body.data, body.size_b);
    bool sent = !request.failed && send_all(sock, buf_span(&request));
    bool got = receive_all(sock, answer);
    mem_wipe(request.data, request.size_b);
    buf_clear(&request);
    close(sock);
    buf_put_u8(answer, 0);
    const char *head = (const char *)answer->data, *end = got && !answer->failed ? strstr(head, "\r\n\r\n") : NULL;
    if (end == NULL || sscanf(head, "HTTP/1.%*1[01] %d", status) != 1) {
        fail_request(&cli->why, 0, sent || got ? "no answer from the server %s:%s within -rpcclienttimeout, or it was cut"
                                               : "the connection to the server %s:%s broke", cli->host, cli->port);
        return FAILED;
    }
    *text = span_of(end + 4, answer->size_b - 1 - (size_t)(end + 4 - head));
    return ANSWERED;
}

/* ---- the answer ---- */

static void print_json(FILE *out, const struct json *v)
{
    struct buf text;
    struct json_writer w;
    if (v->type == JSON_NULL)
        return;
    if (v->type == JSON_STRING) {
        fwrite(v->text.data, 1, v->text.size_b, out);
        fputc('\n', out);
        return;
    }
    buf_init(&text, ANSWER_MAX_B);
    jw_init(&w, &text, 2);
    jw_value(&w, v);
    fwrite(text.data, 1, text.size_b, out);
    fputc('\n', out);
    buf_clear(&text);
}

/* The exit status is the number without its sign, as far as a status goes. */
static int print_error(const struct json *error)
{
    const struct json *code = json_get(error, "code"), *message = json_get(error, "message");
    struct fail why;
    int64_t number = 0;
    if (code == NULL || !json_to_i64(&number, code, "code", &why)) {
        fprintf(stderr, "error: %.*s\n", (int)error->raw.size_b, (const char *)error->raw.data);
        return EXIT_FAILURE;
    }
    fprintf(stderr, "error code: %" PRId64 "\n", number);
    if (message != NULL && message->type == JSON_STRING)
        fprintf(stderr, "error message:\n%.*s\n", (int)message->text.size_b, (const char *)message->text.data);
    if (number == RPC_WALLET_NOT_SPECIFIED)
        fprintf(stderr, "Try adding \"-rpcwallet=<filename>\" option to coin-cli command line.\n");
    return abs((int)number);
}

static bool is_warming_up(const struct json *root)
{
    struct fail why;
    int64_t code = 0;
    const struct json *v = json_get(json_get(root, "error"), "code");
    return v != NULL && json_to_i64(&code, v, "code", &why) && code == RPC_IN_WARMUP;
}

static int not_reached(const struct cli *cli)
{
    bool is_local = strcmp(cli->host, "127.0.0.1") == 0 || strcmp(cli->host, "localhost") == 0;
    fprintf(stderr, "error: Could not connect to the server %s:%s\n\n"
                    "Make sure the coind server is running and that you are connecting to the correct RPC port.\n",
        cli->host, cli->port);
    if (is_local)
        fprintf(stderr, "To start one here: coind -daemon%s%s\n",
            strcmp(cli->place.chain->name, "coin") != 0 ? " -chain=" : "",
            strcmp(cli->place.chain->name, "coin") != 0 ? cli->place.chain->name : "");
    fprintf(stderr, "Use \"coin-cli -help\" for more info.\n");
    return EXIT_FAILURE;
}

static int refused(const struct cli *cli, int status, struct span text)
{
    if (status == 401 && cli->credentials.size_b == 0)
        fprintf(stderr, "error: Could not locate RPC credentials. No authentication cookie could be found, and RPC "
                        "password is not set.  See -rpcpassword and -stdinrpcpass.  Configuration file: (%s)\n",
            cli->place.conf);
    else if (status == 401)
        fprintf(stderr, "error: Authorization failed: Incorrect rpcuser or rpcpassword\n");
    else if (status == 503)
        fprintf(stderr, "error: Server response: %.*s\n", text.size_b > 200 ? 200 : (int)text.size_b,
            (const char *)text.data);
    else
        fprintf(stderr, "error: server returned HTTP error %d\n", status);
    return EXIT_FAILURE;
}

/* Waits one step of -rpcwait; false when its time is over. */
static bool wait_more(const struct cli *cli, int64_t *waited_ms)
{
    int64_t limit_s = config_int(cli->config, "rpcwaittimeout", 0);
    struct timespec pause = {.tv_nsec = WAIT_STEP_MS * 1000000L};
    if (!config_flag(cli->config, "rpcwait") || (limit_s > 0 && *waited_ms >= limit_s * 1000))
        return false;
    nanosleep(&pause, NULL);
    *waited_ms += WAIT_STEP_MS;
    return true;
}

/* One call; print(result) when it went well. Returns the exit status. */
static int call(struct cli *cli, struct span body, int (*print)(struct cli *cli, const struct json *root))
{
    int64_t waited_ms = 0;
    for (;;) {
        struct buf answer;
        struct span text;
        struct json_doc doc;
        int status = 0, exit_status = EXIT_FAILURE;
        bool again = false;
        buf_init(&answer, ANSWER_MAX_B);
        if (!find_credentials(cli))
            return complain(&cli->why);
        enum outcome outcome = exchange(cli, body, &answer, &status, &text);
        if (outcome == NOT_REACHED) {
            again = wait_more(cli, &waited_ms);
            if (!again)
                exit_status = not_reached(cli);
        } else if (outcome == FAILED) {
            exit_status = complain(&cli->why);
        } else if (text.size_b == 0 || !json_parse(&doc, text, &cli->why)) {
            exit_status = refused(cli, status, text);
        } else {
            again = is_warming_up(doc.root) && wait_more(cli, &waited_ms);
            if (!again)
                exit_status = print(cli, doc.root);
            json_doc_clear(&doc);
        }
        mem_wipe(answer.data, answer.size_b); /* it may hold recovery words */
        buf_clear(&answer);
        if (!again)
            return exit_status;
    }
}

static int print_result(struct cli *cli, const struct json *root)
{
    (void)cli;
    const struct json *error = json_get(root, "error"), *result = json_get(root, "result");
    if (error != NULL && error->type != JSON_NULL)
        return print_error(error);
    if (result != NULL)
        print_json(stdout, result);
    return EXIT_SUCCESS;
}

static int one_call(struct cli *cli, int (*print)(struct cli *cli, const struct json *root))
{
    struct buf body;
    struct json_writer w;
    int status;
    buf_init(&body, REQUEST_MAX_B);
    jw_init(&w, &body, 0);
    if (put_call(cli, &w))
        status = call(cli, buf_span(&body), print);
    else
        status = complain(&cli->why);
    mem_wipe(body.data, body.size_b);
    buf_clear(&body);
    return status;
}

/* ---- -getinfo and -generate ---- */

static void print_field(const char *label, const struct json *object, const char *key)
{
    const struct json *v = json_get(object, key);
    if (v != NULL && v->type == JSON_STRING)
        printf("%s: %.*s\n", label, (int)v->text.size_b, (const char *)v->text.data);
    else if (v != NULL)
        printf("%s: %.*s\n", label, (int)v->raw.size_b, (const char *)v->raw.data);
}

/* A batch answers in the order of its calls: network, chain, wallet, balances. */
static int print_info(struct cli *cli, const struct json *root)
{
    struct fail why;
    double progress = 0;
    const struct json *network = json_get(json_at(root, 0), "result"), *chain = json_get(json_at(root, 1), "result");
    const struct json *wallet = json_get(json_at(root, 2), "result");
    const struct json *mine = json_get(json_get(json_at(root, 3), "result"), "mine");
    if (network == NULL || network->type != JSON_OBJECT || chain == NULL || chain->type != JSON_OBJECT)
        return print_result(cli, root->type == JSON_ARRAY && root->first != NULL ? root->first : root);
    if (!json_to_double(&progress, json_get(chain, "verificationprogress"), "progress", &why))
        progress = 0;
    print_field("Chain", chain, "chain");
    print_field("Blocks", chain, "blocks");
    print_field("Headers", chain, "headers");
    printf("Verification progress: %.4f%%\n", progress * 100);
    print_field("Difficulty", chain, "difficulty");
    const struct json *in = json_get(network, "connections_in"), *out = json_get(network, "connections_out");
    const struct json *total = json_get(network, "connections");
    if (in != NULL && out != NULL && total != NULL)
        printf("\nNetwork: in %.*s, out %.*s, total %.*s\n", (int)in->raw.size_b, (const char *)in->raw.data,
            (int)out->raw.size_b, (const char *)out->raw.data, (int)total->raw.size_b, (const char *)total->raw.data);
    print_field("Version", network, "version");
    print_field("Time offset (s)", network, "timeoffset");
    print_field("Min tx relay fee rate (per kvB)", network, "relayfee");
    if (wallet != NULL && wallet->type == JSON_OBJECT) {
        printf("\n");
        print_field("Wallet", wallet, "walletname");
        print_field("Keypool size", wallet, "keypoolsize");
        if (mine != NULL) {
            printf("\n");
            print_field("Balance", mine, "trusted");
        }
    }
    return EXIT_SUCCESS;
}

static int get_info(struct cli *cli)
{
    static const char batch[] = "[{\"id\":0,\"method\":\"getnetworkinfo\"},{\"id\":1,\"method\":\"getblockchaininfo\"},"
                                "{\"id\":2,\"method\":\"getwalletinfo\"},{\"id\":3,\"method\":\"getbalances\"}]";
    return call(cli, span_text(batch), print_info);
}

static int keep_address(struct cli *cli, const struct json *root)
{
    const struct json *result = json_get(root, "result");
    if (result == NULL || result->type != JSON_STRING)
        return print_result(cli, root);
    cli->args[2] = arena_text(&cli->arena, (const char *)result->text.data, result->text.size_b);
    return EXIT_SUCCESS;
}

static int print_generated(struct cli *cli, const struct json *root)
{
    const struct json *result = json_get(root, "result");
    if (result == NULL || result->type != JSON_ARRAY)
        return print_result(cli, root);
    struct buf text;
    struct json_writer w;
    buf_init(&text, ANSWER_MAX_B);
    jw_init(&w, &text, 2);
    jw_object(&w);
    jw_key_text(&w, "address", cli->args[2]);
    jw_key(&w, "blocks");
    jw_value(&w, result);
    jw_end_object(&w);
    printf("%.*s\n", (int)text.size_b, (const char *)text.data);
    buf_clear(&text);
    return EXIT_SUCCESS;
}

/* -generate [blocks [tries]]: a new address, then blocks to it. */
static int generate(struct cli *cli)
{
    const char *blocks = cli->count > 0 ? cli->args[0] : "1", *tries = cli->count > 1 ? cli->args[1] : "1000000";
    if (cli->count > 2) {
        fail_request(&cli->why, 0, "too many arguments (maximum 2 for nblocks and maxtries)");
        return complain(&cli->why);
    }
    cli->args[0] = "getnewaddress";
    cli->args[2] = NULL;
    cli->count = 1;
    int status = one_call(cli, keep_address);
    if (status != EXIT_SUCCESS || cli->args[2] == NULL)
        return status;
    cli->args[0] = "generatetoaddress";
    cli->args[1] = blocks;
    cli->args[3] = tries;
    cli->count = 4;
    return one_call(cli, print_generated);
}

/* ---- from start to end ---- */

static int print_help(const struct config *config)
{
    struct buf text;
    buf_init(&text, REQUEST_MAX_B);
    config_print_help(config, &text, false);
    printf("coin-cli version v%s\n\n"
           "Usage: coin-cli [options] <command> [params]            Send a command to coind\n"
           "   or: coin-cli [options] -named <command> [name=value]...\n"
           "   or: coin-cli [options] help [command]                What commands there are\n\n",
        COIN_VERSION);
    fwrite(text.data, 1, text.size_b, stdout);
    buf_clear(&text);
    return EXIT_SUCCESS;
}

static int run(struct cli *cli)
{
    if (!place_find(&cli->place, cli->config, &cli->why) || !read_stdin(cli) || !find_server(cli))
        return complain(&cli->why);
    if (config_flag(cli->config, "getinfo"))
        return get_info(cli);
    if (config_flag(cli->config, "generate"))
        return generate(cli);
    if (cli->count == 0) {
        fail_request(&cli->why, 0, "too few parameters (need at least command)");
        return complain(&cli->why);
    }
    return one_call(cli, print_result);
}

int main(int argc, char **argv)
{
    struct cli cli = {.count = 0};
    int options = 1, status;
    while (options < argc && argv[options][0] == '-' && argv[options][1] != 0)
        options++;
    cli.args = mem_try_array(ARGS_MAX + 4, sizeof *cli.args);
    cli.config = config_new(cli_options);
    config_skip_unknown(cli.config); /* the file is the node's too */
    arena_init(&cli.arena, 0);
    buf_init(&cli.credentials, 4096);
    buf_init(&cli.password, 4096);
    for (int i = options; i < argc && cli.args != NULL && cli.count < ARGS_MAX; i++)
        cli.args[cli.count++] = argv[i];
    if (cli.args == NULL) {
        fail_oom(&cli.why, "the arguments");
        status = complain(&cli.why);
    } else if (!config_parse_args(cli.config, options, argv, &cli.why)) {
        fprintf(stderr, "Error parsing command line arguments: %s\n", cli.why.detail);
        status = EXIT_FAILURE;
    } else if (config_flag(cli.config, "version")) {
        printf("coin-cli version v%s\n", COIN_VERSION);
        status = EXIT_SUCCESS;
    } else if (config_flag(cli.config, "help") || config_flag(cli.config, "h") || config_flag(cli.config, "?")) {
        status = print_help(cli.config);
    } else {
        status = run(&cli);
    }
    mem_wipe(cli.password.data, cli.password.size_b);
    buf_clear(&cli.password);
    buf_clear(&cli.credentials);
    arena_clear(&cli.arena);
    mem_free(cli.args);
    place_clear(&cli.place);
    config_free(cli.config);
    return status;
}
