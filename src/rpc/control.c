/* Calls about the process itself. */

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coin/base/log.h"
#include "coin/base/mem.h"
#include "coin/rpc/groups.h"
#include "server.h"

#define HELP_MAX_B (1u << 20)
#define LOG_NAMES_MAX 64

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct rpc_method *const *)a)->name, (*(const struct rpc_method *const *)b)->name);
}

static void list_all(struct buf *out)
{
    bool first = true;
    for (const struct rpc_group *group = rpc_groups; group->title != NULL; group++) {
        const struct rpc_method *sorted[256];
        size_t count = 0;
        for (const struct rpc_method *m = group->methods; m->name != NULL && count < 256; m++) {
            if (!m->hidden)
                sorted[count++] = m;
        }
        if (count == 0)
            continue;
        qsort(sorted, count, sizeof *sorted, by_name);
        buf_printf(out, "%s== %s ==\n", first ? "" : "\n", group->title);
        first = false;
        for (size_t i = 0; i < count; i++) {
            rpc_usage_line(out, sorted[i]);
            buf_put_u8(out, '\n');
        }
    }
    if (out->size_b > 0)
        out->size_b--; /* no newline at the end */
}

static void rpc_help(struct rpc_call *call)
{
    struct fail why;
    struct span name;
    struct buf text;
    if (!rpc_arg_text(&name, call, 0, "", &why)) {
        rpc_fail(call, &why);
        return;
    }
    buf_init(&text, HELP_MAX_B);
    const struct rpc_method *method = name.size_b > 0 ? rpc_find_method(name) : NULL;
    if (name.size_b == 0)
        list_all(&text);
    else if (method != NULL)
        rpc_help_text(&text, method);
    else
        buf_printf(&text, "help: unknown command: %.*s", name.size_b > 64 ? 64 : (int)name.size_b, (const char *)name.data);
    jw_string(&call->out, buf_span(&text));
    buf_clear(&text);
    rpc_ok(call);
}

static void rpc_stop(struct rpc_call *call)
{
    struct rpc_ctx *ctx = call->ctx;
    jw_text(&call->out, "coind stopping");
    rpc_ok(call);
    ctx->stop(ctx->node);
}

static void rpc_uptime(struct rpc_call *call)
{
    jw_i64(&call->out, (env_steady_us(call->ctx->env) - call->ctx->start_us) / 1000000);
    rpc_ok(call);
}

struct active_list {
    struct json_writer *w;
    int64_t now_us;
};

static void show_active(void *arg, const char *method, int64_t since_us)
{
    const struct active_list *list = arg;
    jw_object(list->w);
    jw_key_text(list->w, "method", method);
    jw_key_i64(list->w, "duration", list->now_us - since_us);
    jw_end_object(list->w);
}

static void rpc_getrpcinfo(struct rpc_call *call)
{
    struct json_writer *w = &call->out;
    struct active_list list = {w, env_steady_us(call->ctx->env)};
    char path[PATH_SIZE_B];
    struct fail why;
    jw_object(w);
    jw_key(w, "active_commands");
    jw_array(w);
    rpc_server_each_active(call->ctx->server, show_active, &list);
    jw_end_array(w);
    jw_key_text(w, "logpath", path_join(path, call->ctx->datadir, "debug.log", &why) ? path : "");
    jw_end_object(w);
    rpc_ok(call);
}

static void rpc_getmemoryinfo(struct rpc_call *call)
{
    struct fail why;
    struct span mode;
    struct json_writer *w = &call->out;
    if (!rpc_arg_text(&mode, call, 0, "stats", &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (span_is(mode, "mallocinfo")) {
        char *text = NULL;
        size_t size_b = 0;
        FILE *out = open_memstream(&text, &size_b);
        if (out == NULL || malloc_info(0, out) != 0) {
            if (out != NULL)
                fclose(out);
            rpc_error(call, RPC_MISC_ERROR, "mallocinfo is not available");
            return;
        }
        fclose(out);
        jw_string(w, span_of(text, size_b));
        mem_free(text);
        rpc_ok(call);
        return;
    }
    if (!span_is(mode, "stats")) {
        rpc_error(call, RPC_INVALID_PARAMETER, "unknown mode %.*s", mode.size_b > 64 ? 64 : (int)mode.size_b,
            (const char *)mode.data);
        return;
    }
    struct mallinfo2 info = mallinfo2();
    jw_object(w);
    jw_key(w, "locked");
    jw_object(w);
    jw_key_u64(w, "used", info.uordblks);
    jw_key_u64(w, "free", info.fordblks);
    jw_key_u64(w, "total", info.arena + info.hblkhd);
    jw_key_u64(w, "locked", 0);
    jw_key_u64(w, "chunks_used", info.hblks);
    jw_key_u64(w, "chunks_free", info.ordblks);
    jw_end_object(w);
    jw_end_object(w);
    rpc_ok(call);
}

static bool switch_logs(struct rpc_call *call, uint32_t i, bool on, struct fail *why)
{
    if (!rpc_has_arg(call, i))
        return true;
    for (const struct json *v = call->args[i]->first; v != NULL; v = v->next) {
        char name[LOG_NAMES_MAX];
        if (!rpc_expect(v, JSON_STRING, why))
            return false;
        int length = v->text.size_b < sizeof name ? (int)v->text.size_b : (int)sizeof name - 1;
        memcpy(name, v->text.data, (size_t)length);
        name[length] = 0;
        if (!log_enable(name, on))
            return fail_request(why, RPC_INVALID_PARAMETER, "unknown logging category %s", name);
    }
    return true;
}

static void rpc_logging(struct rpc_call *call)
{
    struct fail why;
    struct json_writer *w = &call->out;
    if (!switch_logs(call, 0, true, &why) || !switch_logs(call, 1, false, &why)) {
        rpc_fail(call, &why);
        return;
    }
    jw_object(w);
    for (int c = LOG_ALWAYS + 1; c < LOG_CATEGORIES; c++)
        jw_key_bool(w, log_category_name((enum log_category)c), log_enabled((enum log_category)c));
    jw_end_object(w);
    rpc_ok(call);
}

static void rpc_echo(struct rpc_call *call)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < 10; i++) {
        if (call->args[i] != NULL)
            last = i + 1;
    }
    jw_array(&call->out);
    for (uint32_t i = 0; i < last; i++) {
        if (call->args[i] != NULL)
            jw_raw(&call->out, call->args[i]->raw);
        else
            jw_null(&call->out);
    }
    jw_end_array(&call->out);
    rpc_ok(call);
}

static void rpc_setmocktime(struct rpc_call *call)
{
    struct fail why;
    int64_t time_s;
    if (!rpc_for_tests(call, "setmocktime"))
        return;
    if (!rpc_arg_i64(&time_s, call, 0, 0, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (time_s < 0 || time_s > INT64_C(9223372036)) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Mocktime must be in the range [0, 9223372036], not %lld.", (long long)time_s);
        return;
    }
    call->ctx->set_mock_time(call->ctx->node, time_s);
    jw_null(&call->out);
    rpc_ok(call);
}

static void rpc_mockscheduler(struct rpc_call *call)
{
    struct fail why;
    int64_t seconds;
    if (!rpc_for_tests(call, "mockscheduler"))
        return;
    if (!rpc_arg_i64(&seconds, call, 0, 0, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (seconds <= 0 || seconds > 3600) {
        rpc_error(call, RPC_MISC_ERROR, "delta_time must be between 1 and 3600 seconds (1 hr)");
        return;
    }
    call->ctx->mock_forward(call->ctx->node, seconds);
    jw_null(&call->out);
    rpc_ok(call);
}

/* What happened before this call has reached pool, wallets and peers by the time its answer leaves: the
 * node hands all effects on before it reads the next request. */
static void rpc_syncwithvalidationinterfacequeue(struct rpc_call *call)
{
    jw_null(&call->out);
    rpc_ok(call);
}

static const struct rpc_arg help_args[] = {
    {"command", RPC_STRING, false, "all commands", "The command to get help on."},
    {NULL, RPC_ANY, false, NULL, NULL},
};
static const struct rpc_arg stop_args[] = {
    {"wait", RPC_NUMBER, false, NULL, "Accepted for old callers."},
    {NULL, RPC_ANY, false, NULL, NULL},
};
static const struct rpc_arg memory_args[] = {
    {"mode", RPC_STRING, false, "\"stats\"", "\"stats\" or \"mallocinfo\"."},
    {NULL, RPC_ANY, false, NULL, NULL},
};
static const struct rpc_arg logging_args[] = {
    {"include", RPC_ARRAY, false, NULL, "Categories to switch on."},
    {"exclude", RPC_ARRAY, false, NULL, "Categories to switch off."},
    {NULL, RPC_ANY, false, NULL, NULL},
};
static const struct rpc_arg echo_args[] = {
    {"arg0", RPC_ANY, false, NULL, ""}, {"arg1", RPC_ANY, false, NULL, ""}, {"arg2", RPC_ANY, false, NULL, ""},
    {"arg3", RPC_ANY, false, NULL, ""}, {"arg4", RPC_ANY, false, NULL, ""}, {"arg5", RPC_ANY, false, NULL, ""},
    {"arg6", RPC_ANY, false, NULL, ""}, {"arg7", RPC_ANY, false, NULL, ""}, {"arg8", RPC_ANY, false, NULL, ""},
    {"arg9", RPC_ANY, false, NULL, ""}, {NULL, RPC_ANY, false, NULL, NULL},
};
static const struct rpc_arg mocktime_args[] = {
    {"timestamp", RPC_NUMBER, true, NULL, "Seconds since 1970; 0: the real clock again."},
    {NULL, RPC_ANY, false, NULL, NULL},
};
static const struct rpc_arg mockscheduler_args[] = {
    {"delta_time", RPC_NUMBER, true, NULL, "Seconds to go forward."},
    {NULL, RPC_ANY, false, NULL, NULL},
};

const struct rpc_method rpc_control_methods[] = {
    {.name = "help", .summary = "Lists all commands, or explains one.", .args = help_args, .result = "the text",
        .example = "getblock", .during_warmup = true, .run = rpc_help},
    {.name = "stop", .summary = "Stops coind cleanly.", .args = stop_args, .result = "\"coind stopping\"", .example = "",
        .during_warmup = true, .run = rpc_stop},
    {.name = "uptime", .summary = "Returns the seconds since coind started.", .result = "a number", .example = "",
        .run = rpc_uptime},
    {.name = "getrpcinfo", .summary = "Tells which calls are being answered.", .result = "an object", .example = "",
        .run = rpc_getrpcinfo},
    {.name = "getmemoryinfo", .summary = "Tells about memory usage.", .args = memory_args, .result = "an object or text",
        .example = "", .run = rpc_getmemoryinfo},
    {.name = "logging", .summary = "Shows and switches the categories of the debug log.", .args = logging_args,
        .result = "{\"category\": true|false, ...}", .example = "\"[\\\"net\\\"]\" \"[]\"", .run = rpc_logging},
    {.name = "echo", .summary = "Gives its arguments back; for testing.", .args = echo_args, .result = "an array",
        .example = "a b", .hidden = true, .run = rpc_echo},
    {.name = "echojson", .summary = "Gives its arguments back; for testing.", .args = echo_args, .result = "an array",
        .example = "1", .hidden = true, .run = rpc_echo},
    {.name = "syncwithvalidationinterfacequeue", .summary = "Returns when all that happened so far has been seen by "
        "mempool and wallets.", .result = "null", .example = "", .hidden = true,
        .run = rpc_syncwithvalidationinterfacequeue},
    {.name = "setmocktime", .summary = "Sets the clock (regtest only).", .args = mocktime_args, .result = "null",
        .example = "1700000000", .hidden = true, .run = rpc_setmocktime},
    {.name = "mockscheduler", .summary = "Lets time pass at once (regtest only).", .args = mockscheduler_args,
        .result = "null", .example = "60", .hidden = true, .run = rpc_mockscheduler},
    {.name = NULL},
};
