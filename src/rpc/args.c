/* Arguments of a call, with Bitcoin's words when they do not fit. */

#include <string.h>

#include "coin/descriptor/descriptor.h"
#include "coin/rpc/rpc.h"

#define NAME_SHOWN_MAX 64

bool rpc_for_tests(struct rpc_call *call, const char *name)
{
    if (chain_is_for_tests(call->ctx->chain))
        return true;
    rpc_error(call, RPC_MISC_ERROR, "%s is for regression testing (-regtest mode) only", name);
    return false;
}

bool rpc_has_arg(const struct rpc_call *call, uint32_t i)
{
    return i < RPC_ARGS_MAX && call->args[i] != NULL && call->args[i]->type != JSON_NULL;
}

bool rpc_arg_i64(int64_t *out, const struct rpc_call *call, uint32_t i, int64_t otherwise, struct fail *why)
{
    *out = otherwise;
    if (!rpc_has_arg(call, i))
        return true;
    if (!json_to_i64(out, call->args[i], "argument", why))
        return fail_request(why, RPC_MISC_ERROR, "JSON integer out of range");
    return true;
}

bool rpc_arg_bool(bool *out, const struct rpc_call *call, uint32_t i, bool otherwise, struct fail *why)
{
    *out = otherwise;
    return !rpc_has_arg(call, i) || json_to_bool(out, call->args[i], "argument", why);
}

bool rpc_arg_text(struct span *out, const struct rpc_call *call, uint32_t i, const char *otherwise, struct fail *why)
{
    *out = span_text(otherwise);
    return !rpc_has_arg(call, i) || json_to_text(out, call->args[i], "argument", why);
}

bool rpc_arg_hash(uint8_t out[32], const struct rpc_call *call, uint32_t i, struct fail *why)
{
    char name[NAME_SHOWN_MAX];
    const char *full = call->method->args[i].name;
    size_t length = strcspn(full, "|");
    if (length >= sizeof name)
        length = sizeof name - 1;
    memcpy(name, full, length);
    name[length] = 0;
    return rpc_hash_value(out, rpc_has_arg(call, i) ? call->args[i] : NULL, name, why);
}

bool rpc_hash_value(uint8_t out[32], const struct json *v, const char *name, struct fail *why)
{
    if (v == NULL)
        return fail_request(why, RPC_INVALID_PARAMETER, "Missing %s", name);
    if (!rpc_expect(v, JSON_STRING, why))
        return false;
    int shown = v->text.size_b > 128 ? 128 : (int)v->text.size_b;
    if (v->text.size_b != 64)
        return fail_request(why, RPC_INVALID_PARAMETER, "%s must be of length 64 (not %zu, for '%.*s')", name,
            v->text.size_b, shown, (const char *)v->text.data);
    if (!hash_from_hex(out, v->text))
        return fail_request(why, RPC_INVALID_PARAMETER, "%s must be hexadecimal string (not '%.*s')", name, shown,
            (const char *)v->text.data);
    return true;
}

bool rpc_amount_value(int64_t *sat, const struct rpc_call *call, const struct json *v, struct fail *why)
{
    if (v == NULL || (v->type != JSON_NUMBER && v->type != JSON_STRING))
        return fail_request(why, RPC_TYPE_ERROR, "Amount is not a number or string");
    if (!decimal_parse(sat, v->text, 8))
        return fail_request(why, RPC_TYPE_ERROR, "Invalid amount");
    if (*sat < 0 || *sat > call->ctx->chain->max_money_sat)
        return fail_request(why, RPC_TYPE_ERROR, "Amount out of range");
    return true;
}

bool rpc_expect(const struct json *v, enum json_type type, struct fail *why)
{
    static const char *const names[] = {
        [JSON_NULL] = "null",
        [JSON_FALSE] = "bool",
        [JSON_TRUE] = "bool",
        [JSON_NUMBER] = "number",
        [JSON_STRING] = "string",
        [JSON_ARRAY] = "array",
        [JSON_OBJECT] = "object",
    };
    if (v->type == type || (json_is_bool(v) && (type == JSON_TRUE || type == JSON_FALSE)))
        return true;
    return fail_request(why, RPC_TYPE_ERROR, "JSON value of type %s is not of expected type %s", json_type_name(v),
        names[type]);
}

bool rpc_hex_value(struct buf *out, const struct json *v, const char *name, struct fail *why)
{
    if (!rpc_expect(v, JSON_STRING, why))
        return false;
    if (hex_to_buf(out, v->text))
        return true;
    int shown = v->text.size_b > 128 ? 128 : (int)v->text.size_b;
    return fail_request(why, RPC_INVALID_PARAMETER, "%s must be hexadecimal string (not '%.*s')", name, shown,
        (const char *)v->text.data);
}

bool rpc_range_value(uint32_t *first, uint32_t *last, const struct json *v, uint32_t count_max, struct fail *why)
{
    int64_t begin = 0, end = 0;
    if (v->type == JSON_ARRAY) {
        if (v->count != 2 || !json_to_i64(&begin, json_at(v, 0), "range", why) ||
            !json_to_i64(&end, json_at(v, 1), "range", why))
            return fail_request(why, RPC_INVALID_PARAMETER, "Range must have specified begin and end "
                                                            "(i.e., [begin,end])");
    } else if (!json_to_i64(&end, v, "range", why)) {
        return fail_request(why, RPC_INVALID_PARAMETER, "Range must be specified as end or as [begin,end]");
    }
    if (end < begin)
        return fail_request(why, RPC_INVALID_PARAMETER, "Range specified as [begin,end] must not have begin after end");
    if (begin < 0)
        return fail_request(why, RPC_INVALID_PARAMETER, "Range should be greater or equal than 0");
    if (end > DESCRIPTOR_INDEX_MAX)
        return fail_request(why, RPC_INVALID_PARAMETER, "End of range is too high");
    if (end - begin >= (int64_t)count_max)
        return fail_request(why, RPC_INVALID_PARAMETER, "Range is too large");
    *first = (uint32_t)begin;
    *last = (uint32_t)end;
    return true;
}
