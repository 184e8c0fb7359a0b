/* JSON-RPC: from the body of a request to the body of its answer.
 *
 * A request is one call or a batch. Each call gets its arguments by position (named ones are moved to their
 * places), its types are checked against the method's table, and it writes its result behind an envelope that is
 * already begun, so that a big result is never copied. The request is answered when its last call has answered;
 * calls of a batch start in order and may finish in any.
 *
 * Two dialects: without "jsonrpc":"2.0" the old form (both result and error, HTTP status by error), with it the
 * standard one (one of both, always 200, no answer to notifications). */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "coin/base/log.h"
#include "coin/base/mem.h"
#include "coin/rpc/rpc.h"
#include "server.h"

#define RESULT_MAX_B ((size_t)1 << 30) /* no answer is bigger: a 4 MB block in JSON is under 100 MB */
#define BATCH_MAX 100000               /* calls in one batch */

struct rpc_request {
    struct rpc_server *server;
    struct rpc_request *prev, *next;
    struct buf body, wallet;
    char user[64];
    struct json_doc doc;
    struct rpc_reply reply;
    struct rpc_slot *slots;
    uint32_t count, pending;
    bool is_batch, cancelled, starting;
};
struct rpc_slot { /* one call of a request */
    struct rpc_call call;
    const struct json *id;
    bool is_v2, is_notification, answered;
    int32_t error_code; /* 0: fine */
};
struct rpc_server {
    struct rpc_ctx *ctx;
    struct rpc_request *active; /* newest first */
    uint32_t active_count;
    char warmup[128];
    bool is_warming_up;
};

static void start_slot(struct rpc_request *request, uint32_t i, const struct json *json);
static bool read_envelope(struct rpc_slot *slot, const struct json *json, struct span *method,
    const struct json **params, struct fail *why);
static bool place_arguments(struct rpc_call *call, const struct json *params, struct fail *why);
static bool place_named(struct rpc_call *call, const struct json *params, struct fail *why);
static bool check_arguments(struct rpc_call *call, uint32_t given, struct fail *why);
static bool type_fits(enum rpc_type type, const struct json *v);
static const char *type_wanted(enum rpc_type type);
static int32_t argument_index(const struct rpc_method *method, struct span name);
static void begin_result(struct rpc_slot *slot);
static void end_result(struct rpc_slot *slot);
static void put_error(struct rpc_slot *slot, int32_t code, const char *message);
static void put_id(struct rpc_slot *slot);
static void answered(struct rpc_call *call);
static void finish(struct rpc_request *request);
static void free_request(struct rpc_request *request);
static int32_t code_of(const struct fail *why);

struct rpc_server *rpc_server_new(struct rpc_ctx *ctx)
{
    struct rpc_server *server = mem_new(sizeof *server);
    server->ctx = ctx;
    return server;
}

void rpc_server_free(struct rpc_server *server)
{
    if (server == NULL)
        return;
    while (server->active != NULL)
        free_request(server->active);
    mem_free(server);
}

void rpc_server_set_warmup(struct rpc_server *server, const char *text)
{
    server->is_warming_up = text != NULL;
    snprintf(server->warmup, sizeof server->warmup, "%s", text != NULL ? text : "");
}

uint32_t rpc_server_active(const struct rpc_server *server)
{
    return server->active_count;
}

struct rpc_request *rpc_server_handle(struct rpc_server *server, struct buf *body, struct span wallet,
    const char *user, struct rpc_reply reply)
{
    struct fail why;
    struct rpc_request *request = mem_new(sizeof *request);
    request->server = server;
    request->reply = reply;
    request->next = server->active;
    if (server->active != NULL)
        server->active->prev = request;
    server->active = request;
    server->active_count++;
    snprintf(request->user, sizeof request->user, "%s", user != NULL ? user : "");
    buf_move(&request->body, body);
    buf_init(&request->wallet, 1024);
    if (wallet.data != NULL)
        buf_put(&request->wallet, wallet.data, wallet.size_b);

    bool ok = json_parse(&request->doc, buf_span(&request->body), &why);
    const struct json *root = request->doc.root;
    request->is_batch = ok && root->type == JSON_ARRAY;
    request->count = request->is_batch ? root->count : 1;
    if (request->count > BATCH_MAX) {
        ok = fail_request(&why, RPC_INVALID_REQUEST, "A batch holds at most %d calls", BATCH_MAX);
        request->is_batch = false;
        request->count = 1;
    }
    request->slots = mem_try_array(request->count + 1, sizeof *request->slots);
    if (request->slots == NULL) {
        struct buf empty;
        buf_init(&empty, 0);
        free_request(request);
        reply.fn(reply.ctx, 503, &empty);
        return NULL;
    }
    request->pending = request->count;
    request->starting = true;
    if (!ok) {
        struct rpc_slot *slot = &request->slots[0];
        buf_init(&slot->call.result, RESULT_MAX_B);
        put_error(slot, why.rpc_code == RPC_INVALID_REQUEST ? why.rpc_code : RPC_PARSE_ERROR,
            why.rpc_code == RPC_INVALID_REQUEST ? why.detail : "Parse error");
        request->pending = 0;
    } else if (!request->is_batch) {
        start_slot(request, 0, root);
    } else {
        uint32_t i = 0;
        for (const struct json *item = root->first; item != NULL; item = item->next)
            start_slot(request, i++, item);
    }
    request->starting = false;
    if (request->pending > 0)
        return request;
    finish(request);
    return NULL;
}

void rpc_server_cancel(struct rpc_server *server, struct rpc_request *request)
{
    (void)server;
    request->cancelled = true;
    request->starting = true; /* answers given from inside on_cancel must not free it yet */
    for (uint32_t i = 0; i < request->count; i++) {
        struct rpc_call *call = &request->slots[i].call;
        if (request->slots[i].answered)
            continue;
        call->cancelled = true;
        if (call->on_cancel != NULL)
            call->on_cancel(call);
    }
    request->starting = false;
    if (request->pending == 0)
        finish(request);
}

uint32_t rpc_server_each_active(struct rpc_server *server, void (*each)(void *ctx, const char *method, int64_t since_us),
    void *ctx)
{
    uint32_t count = 0;
    for (struct rpc_request *r = server->active; r != NULL; r = r->next) {
        for (uint32_t i = 0; i < r->count; i++) {
            if (r->slots == NULL || r->slots[i].answered || r->slots[i].call.method == NULL)
                continue;
            each(ctx, r->slots[i].call.method->name, r->slots[i].call.start_us);
            count++;
        }
    }
    return count;
}

void rpc_ok(struct rpc_call *call)
{
    struct rpc_slot *slot = (struct rpc_slot *)call;
    if (call->result.failed) {
        rpc_error(call, RPC_OUT_OF_MEMORY, "The answer does not fit into memory: ask for less");
        return;
    }
    end_result(slot);
    answered(call);
}

void rpc_fail(struct rpc_call *call, const struct fail *why)
{
    const char *text = why->detail;
    /* Verdicts are known by their reject string; what a person needs besides follows it. */
    char joined[FAIL_CODE_SIZE_B + FAIL_DETAIL_SIZE_B + 4];
    if (why->kind != FAIL_REQUEST && why->code[0] != 0) {
        if (why->kind == FAIL_LOCAL || why->kind == FAIL_NO_ROOM)
            snprintf(joined, sizeof joined, "%s", why->detail);
        else
            snprintf(joined, sizeof joined, "%s%s%s", why->code, why->detail[0] != 0 ? ", " : "", why->detail);
        text = joined;
    }
    put_error((struct rpc_slot *)call, code_of(why), text);
    answered(call);
}

void rpc_error(struct rpc_call *call, int32_t code, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put_error((struct rpc_slot *)call, code, text);
    answered(call);
}

const struct rpc_method *rpc_find_method(struct span name)
{
    for (const struct rpc_group *group = rpc_groups; group->title != NULL; group++) {
        for (const struct rpc_method *m = group->methods; m->name != NULL; m++) {
            if (span_is(name, m->name))
                return m;
        }
    }
    return NULL;
}

/* ---- one call ---- */

static void start_slot(struct rpc_request *request, uint32_t i, const struct json *json)
{
    struct rpc_slot *slot = &request->slots[i];
    struct rpc_call *call = &slot->call;
    struct rpc_server *server = request->server;
    const struct json *params = NULL;
    struct span name;
    struct fail why;
    call->ctx = server->ctx;
    call->request = request;
    call->slot = i;
    call->start_us = env_steady_us(server->ctx->env);
    if (request->wallet.size_b > 0 || request->wallet.data != NULL)
        call->wallet_name = buf_span(&request->wallet);
    buf_init(&call->result, RESULT_MAX_B);
    if (!read_envelope(slot, json, &name, &params, &why)) {
        rpc_fail(call, &why);
        return;
    }
    call->method = rpc_find_method(name);
    if (server->is_warming_up && (call->method == NULL || !call->method->during_warmup))
        rpc_error(call, RPC_IN_WARMUP, "%s", server->warmup);
    else if (call->method == NULL || !rpc_user_may(server->ctx, request->user, name))
        rpc_error(call, RPC_METHOD_NOT_FOUND, "Method not found");
    else if (!place_arguments(call, params, &why))
        rpc_fail(call, &why);
    else {
        begin_result(slot);
        call->method->run(call);
    }
}

static bool read_envelope(struct rpc_slot *slot, const struct json *json, struct span *method,
    const struct json **params, struct fail *why)
{
    if (json->type != JSON_OBJECT)
        return fail_request(why, RPC_INVALID_REQUEST, "Invalid Request object");
    slot->id = json_get(json, "id");
    const struct json *version = json_get(json, "jsonrpc");
    if (version != NULL && version->type != JSON_NULL) {
        if (version->type != JSON_STRING)
            return fail_request(why, RPC_INVALID_REQUEST, "jsonrpc field must be a string");
        if (span_is(version->text, "2.0"))
            slot->is_v2 = true;
        else if (!span_is(version->text, "1.0") && !span_is(version->text, "1.1"))
            return fail_request(why, RPC_INVALID_REQUEST, "JSON-RPC version not supported");
    }
    slot->is_notification = slot->is_v2 && slot->id == NULL;
    const struct json *name = json_get(json, "method");
    if (name == NULL || name->type == JSON_NULL)
        return fail_request(why, RPC_INVALID_REQUEST, "Missing method");
    if (name->type != JSON_STRING)
        return fail_request(why, RPC_INVALID_REQUEST, "Method must be a string");
    *method = name->text;
    *params = json_get(json, "params");
    if (*params != NULL && (*params)->type != JSON_NULL && (*params)->type != JSON_ARRAY &&
        (*params)->type != JSON_OBJECT)
        return fail_request(why, RPC_INVALID_REQUEST, "Params must be an array or object");
    return true;
}

static uint32_t arguments_known(const struct rpc_method *method)
{
    uint32_t n = 0;
    while (method->args != NULL && method->args[n].name != NULL)
        n++;
    return n;
}

static bool place_arguments(struct rpc_call *call, const struct json *params, struct fail *why)
{
    if (params != NULL && params->type == JSON_OBJECT)
        return place_named(call, params, why);
    uint32_t given = 0;
    for (const struct json *v = params != NULL ? params->first : NULL; v != NULL; v = v->next, given++) {
        if (given < RPC_ARGS_MAX)
            call->args[given] = v;
    }
    return check_arguments(call, given, why);
}

static bool place_named(struct rpc_call *call, const struct json *params, struct fail *why)
{
    const struct json *positional = json_get(params, "args");
    uint32_t given = 0;
    if (positional != NULL && positional->type == JSON_ARRAY && argument_index(call->method, span_text("args")) < 0) {
        for (const struct json *v = positional->first; v != NULL; v = v->next, given++) {
            if (given < RPC_ARGS_MAX)
                call->args[given] = v;
        }
    } else {
        positional = NULL;
    }
    for (const struct json *v = params->first; v != NULL; v = v->next) {
        if (v == positional)
            continue;
        int32_t at = argument_index(call->method, v->key);
        int shown = v->key.size_b > 64 ? 64 : (int)v->key.size_b;
        if (at < 0)
            return fail_request(
                why, RPC_INVALID_PARAMETER, "Unknown named parameter %.*s", shown, (const char *)v->key.data);
        if ((uint32_t)at < given && positional != NULL)
            return fail_request(why, RPC_INVALID_PARAMETER,
                "Parameter %.*s specified twice both as positional and named argument", shown,
                (const char *)v->key.data);
        if (call->args[at] != NULL)
            return fail_request(why, RPC_INVALID_PARAMETER, "Parameter %.*s specified multiple times", shown,
                (const char *)v->key.data);
        call->args[at] = v;
    }
    for (uint32_t i = given; i < RPC_ARGS_MAX; i++) {
        if (call->args[i] != NULL)
            given = i + 1;
    }
    return check_arguments(call, given, why);
}

static bool check_arguments(struct rpc_call *call, uint32_t given, struct fail *why)
{
    const struct rpc_method *method = call->method;
    uint32_t known = arguments_known(method), mismatches = 0;
    bool complete = given <= known;
    for (uint32_t i = 0; i < known && complete; i++)
        complete = !method->args[i].required || rpc_has_arg(call, i);
    if (!complete) {
        struct buf help;
        buf_init(&help, 65536);
        rpc_help_text(&help, method);
        buf_put_u8(&help, 0);
        call->long_error = help.failed ? NULL : mem_text((const char *)help.data);
        buf_clear(&help);
        return fail_request(why, RPC_MISC_ERROR, "%s", method->name);
    }
    struct buf wrong;
    buf_init(&wrong, FAIL_DETAIL_SIZE_B);
    for (uint32_t i = 0; i < known; i++) {
        const struct json *v = call->args[i];
        if (v == NULL || v->type == JSON_NULL || type_fits(method->args[i].type, v))
            continue;
        const char *name = method->args[i].name;
        buf_printf(&wrong, "%s\n    \"Position %u (%.*s)\": \"JSON value of type %s is not of expected type %s\"",
            mismatches++ > 0 ? "," : "", (unsigned)i + 1, (int)strcspn(name, "|"), name, json_type_name(v),
            type_wanted(method->args[i].type));
    }
    if (mismatches > 0)
        fail_request(why, RPC_TYPE_ERROR, "Wrong type passed:\n{%.*s\n}", (int)wrong.size_b, (const char *)wrong.data);
    buf_clear(&wrong);
    return mismatches == 0;
}

static bool type_fits(enum rpc_type type, const struct json *v)
{
    switch (type) {
    case RPC_ANY:
        return true;
    case RPC_STRING:
    case RPC_HEX:
        return v->type == JSON_STRING;
    case RPC_NUMBER:
        return v->type == JSON_NUMBER;
    case RPC_BOOL:
        return json_is_bool(v);
    case RPC_ARRAY:
        return v->type == JSON_ARRAY;
    case RPC_OBJECT:
        return v->type == JSON_OBJECT;
    case RPC_AMOUNT:
        return v->type == JSON_NUMBER || v->type == JSON_STRING;
    case RPC_RANGE:
        return v->type == JSON_NUMBER || v->type == JSON_ARRAY;
    case RPC_VERBOSITY:
        return v->type == JSON_NUMBER || json_is_bool(v);
    }
    return false;
}

static const char *type_wanted(enum rpc_type type)
{
    switch (type) {
    case RPC_STRING:
    case RPC_HEX:
        return "string";
    case RPC_BOOL:
        return "bool";
    case RPC_ARRAY:
        return "array";
    case RPC_OBJECT:
        return "object";
    case RPC_ANY:
    case RPC_NUMBER:
    case RPC_AMOUNT:
    case RPC_RANGE:
    case RPC_VERBOSITY:
        break;
    }
    return "number";
}

/* A name in the table may have aliases: "verbosity|verbose". */
static int32_t argument_index(const struct rpc_method *method, struct span name)
{
    for (int32_t i = 0; method->args != NULL && method->args[i].name != NULL && i < RPC_ARGS_MAX; i++) {
        const char *at = method->args[i].name;
        while (*at != 0) {
            size_t length = strcspn(at, "|");
            if (span_equal(span_of(at, length), name))
                return i;
            at += length + (at[length] == '|');
        }
    }
    return -1;
}

/* ---- envelopes ---- */

static void begin_result(struct rpc_slot *slot)
{
    struct buf *out = &slot->call.result;
    buf_put_text(out, slot->is_v2 ? "{\"jsonrpc\":\"2.0\",\"result\":" : "{\"result\":");
    jw_init(&slot->call.out, out, 0);
}

static void end_result(struct rpc_slot *slot)
{
    buf_put_text(&slot->call.result, slot->is_v2 ? ",\"id\":" : ",\"error\":null,\"id\":");
    put_id(slot);
}

static void put_error(struct rpc_slot *slot, int32_t code, const char *message)
{
    struct buf *out = &slot->call.result;
    struct json_writer w;
    buf_clear(out);
    out->failed = false;
    slot->error_code = code;
    buf_put_text(out, slot->is_v2 ? "{\"jsonrpc\":\"2.0\",\"error\":" : "{\"result\":null,\"error\":");
    jw_init(&w, out, 0);
    jw_object(&w);
    jw_key_i64(&w, "code", code);
    jw_key_text(&w, "message", slot->call.long_error != NULL ? slot->call.long_error : message);
    jw_end_object(&w);
    buf_put_text(out, ",\"id\":");
    put_id(slot);
}

static void put_id(struct rpc_slot *slot)
{
    struct buf *out = &slot->call.result;
    if (slot->id != NULL)
        buf_put(out, slot->id->raw.data, slot->id->raw.size_b);
    else
        buf_put_text(out, "null");
    buf_put_u8(out, '}');
}

static void answered(struct rpc_call *call)
{
    struct rpc_slot *slot = (struct rpc_slot *)call;
    struct rpc_request *request = call->request;
    slot->answered = true;
    request->pending--;
    if (request->pending == 0 && !request->starting)
        finish(request);
}

static void finish(struct rpc_request *request)
{
    struct rpc_reply reply = request->reply;
    bool cancelled = request->cancelled;
    int status = 200;
    struct buf out;
    buf_init(&out, RESULT_MAX_B);
    if (!request->is_batch) {
        struct rpc_slot *slot = &request->slots[0];
        if (slot->is_notification) {
            status = 204;
        } else {
            buf_move(&out, &slot->call.result);
            buf_put_u8(&out, '\n');
            if (slot->error_code != 0 && !slot->is_v2)
                status = slot->error_code == RPC_INVALID_REQUEST    ? 400
                         : slot->error_code == RPC_METHOD_NOT_FOUND ? 404
                                                                    : 500;
        }
    } else {
        uint32_t shown = 0;
        buf_put_u8(&out, '[');
        for (uint32_t i = 0; i < request->count; i++) {
            struct rpc_slot *slot = &request->slots[i];
            if (slot->is_notification)
                continue;
            if (shown++ > 0)
                buf_put_u8(&out, ',');
            buf_put(&out, slot->call.result.data, slot->call.result.size_b);
            buf_clear(&slot->call.result);
        }
        buf_put_text(&out, "]\n");
        if (shown == 0 && request->count > 0) {
            buf_clear(&out);
            status = 204;
        }
    }
    if (out.failed) {
        buf_clear(&out);
        out.failed = false;
        status = 500;
        buf_put_text(&out, "{\"result\":null,\"error\":{\"code\":-7,\"message\":\"The answers do not fit into memory\"},"
                           "\"id\":null}\n");
    }
    free_request(request);
    if (!cancelled)
        reply.fn(reply.ctx, status, &out);
    buf_clear(&out);
}

static void free_request(struct rpc_request *request)
{
    struct rpc_server *server = request->server;
    for (uint32_t i = 0; request->slots != NULL && i < request->count; i++) {
        buf_clear(&request->slots[i].call.result);
        mem_free(request->slots[i].call.long_error);
    }
    mem_free(request->slots);
    json_doc_clear(&request->doc);
    if (request->body.data != NULL)
        mem_wipe(request->body.data, request->body.size_b); /* it may have held a passphrase */
    buf_clear(&request->body);
    buf_clear(&request->wallet);
    if (request->prev != NULL)
        request->prev->next = request->next;
    else
        server->active = request->next;
    if (request->next != NULL)
        request->next->prev = request->prev;
    server->active_count--;
    mem_free(request);
}

static int32_t code_of(const struct fail *why)
{
    switch (why->kind) {
    case FAIL_REQUEST:
        return why->rpc_code != 0 ? why->rpc_code : RPC_MISC_ERROR;
    case FAIL_INVALID:
    case FAIL_MUTATED:
    case FAIL_POLICY:
        return RPC_VERIFY_REJECTED;
    case FAIL_TOO_EARLY:
        return RPC_VERIFY_ERROR;
    case FAIL_PROTOCOL:
        return RPC_DESERIALIZATION_ERROR;
    case FAIL_NO_ROOM:
        return RPC_OUT_OF_MEMORY;
    case FAIL_LOCAL:
        return RPC_DATABASE_ERROR;
    case FAIL_NONE:
        break;
    }
    return RPC_INTERNAL_ERROR;
}
