/* The Util group: addresses and descriptors, without wallet or chain state. */

#include <string.h>

#include "coin/base/mem.h"
#include "coin/descriptor/descriptor.h"
#include "coin/rpc/groups.h"
#include "coin/script/address.h"
#include "coin/script/script.h"

#define DERIVE_MAX 1000000

/* ---- validateaddress ---- */

static void rpc_validateaddress(struct rpc_call *call)
{
    struct json_writer *w = &call->out;
    struct fail why;
    struct buf script;
    char address[ADDRESS_SIZE_B];
    buf_init(&script, 256);
    bool ok = address_to_script(&script, call->ctx->chain, call->args[0]->text, &why);
    jw_object(w);
    jw_key_bool(w, "isvalid", ok);
    if (ok && address_from_script(address, call->ctx->chain, buf_span(&script))) {
        struct script_match match = script_match(buf_span(&script));
        jw_key_text(w, "address", address);
        jw_key_hex(w, "scriptPubKey", script.data, script.size_b);
        bool is_witness = match.kind == SCRIPT_WITNESS_V0_KEYHASH || match.kind == SCRIPT_WITNESS_V0_SCRIPTHASH ||
                          match.kind == SCRIPT_WITNESS_V1_TAPROOT || match.kind == SCRIPT_WITNESS_UNKNOWN;
        if (match.kind == SCRIPT_SCRIPTHASH || match.kind == SCRIPT_WITNESS_V0_SCRIPTHASH ||
            match.kind == SCRIPT_WITNESS_V1_TAPROOT)
            jw_key_bool(w, "isscript", true);
        else if (!is_witness || match.kind == SCRIPT_WITNESS_V0_KEYHASH)
            jw_key_bool(w, "isscript", false);
        jw_key_bool(w, "iswitness", is_witness);
        if (is_witness) {
            jw_key_u64(w, "witness_version", script.data[0] == 0 ? 0 : (uint64_t)script.data[0] - 0x50);
            jw_key_hex(w, "witness_program", script.data + 2, script.size_b - 2);
        }
    } else if (!ok) {
        jw_key(w, "error_locations");
        jw_array(w);
        jw_end_array(w);
        jw_key_text(w, "error", why.detail);
    }
    jw_end_object(w);
    buf_clear(&script);
    rpc_ok(call);
}

/* ---- descriptors ---- */

static void rpc_getdescriptorinfo(struct rpc_call *call)
{
    struct json_writer *w = &call->out;
    struct fail why;
    struct descriptor *d;
    struct buf text;
    char checksum[DESCRIPTOR_CHECKSUM_SIZE_B];
    struct span given = call->args[0]->text;
    if (!descriptor_parse(&d, call->ctx->chain, given, false, &why)) {
        rpc_fail(call, &why);
        return;
    }
    const uint8_t *hash = given.size_b > 0 ? memchr(given.data, '#', given.size_b) : NULL;
    if (hash != NULL)
        given.size_b = (size_t)(hash - given.data);
    buf_init(&text, DESCRIPTOR_TEXT_MAX_B * 2);
    bool ok = descriptor_to_text(&text, d, DESCRIPTOR_PUBLIC, &why);
    if (ok) {
        jw_object(w);
        jw_key(w, "descriptor");
        jw_string(w, buf_span(&text));
        jw_key_text(w, "checksum", descriptor_checksum(checksum, given) ? checksum : "");
        jw_key_bool(w, "isrange", descriptor_is_range(d));
        jw_key_bool(w, "issolvable", descriptor_is_solvable(d));
        jw_key_bool(w, "hasprivatekeys", descriptor_has_private(d));
        jw_end_object(w);
        rpc_ok(call);
    } else {
        rpc_fail(call, &why);
    }
    buf_clear(&text);
    descriptor_free(d);
}

struct derive { /* a job: a range means many key derivations */
    struct job job; /* first */
    struct rpc_call *call;
    struct descriptor *descriptor;
    uint32_t first, last;
    struct fail why;
};

static bool derive_one(struct derive *derive, uint32_t index)
{
    struct descriptor_expansion e;
    char address[ADDRESS_SIZE_B];
    if (!descriptor_expand(&e, derive->descriptor, index, &derive->why))
        return fail_request(&derive->why, RPC_INVALID_ADDRESS_OR_KEY, "Cannot derive script without private keys");
    bool ok = true;
    for (uint32_t i = 0; ok && i < e.script_count; i++) {
        ok = address_from_script(address, derive->call->ctx->chain, e.scripts[i].script);
        if (ok)
            jw_text(&derive->call->out, address);
        else if (e.script_count > 1 && i == 0)
            ok = true; /* combo's bare key has no address, the others do */
    }
    descriptor_expansion_clear(&e);
    return ok || fail_request(&derive->why, RPC_INVALID_ADDRESS_OR_KEY, "Descriptor does not have a corresponding address");
}

static void derive_run(struct job *job) /* worker */
{
    struct derive *derive = (struct derive *)job;
    jw_array(&derive->call->out);
    for (uint64_t i = derive->first; i <= derive->last; i++) {
        if (!derive_one(derive, (uint32_t)i))
            return;
    }
    jw_end_array(&derive->call->out);
}

static void derive_done(struct job *job)
{
    struct derive *derive = (struct derive *)job;
    struct rpc_call *call = derive->call;
    struct fail why = derive->why;
    descriptor_free(derive->descriptor);
    mem_free(derive);
    if (why.kind != FAIL_NONE)
        rpc_fail(call, &why);
    else
        rpc_ok(call);
}

static bool read_range(struct derive *derive, struct fail *why)
{
    struct rpc_call *call = derive->call;
    bool is_range = descriptor_is_range(derive->descriptor);
    if (!is_range && rpc_has_arg(call, 1))
        return fail_request(why, RPC_INVALID_PARAMETER, "Range should not be specified for an un-ranged descriptor");
    if (!is_range)
        return true;
    if (!rpc_has_arg(call, 1))
        return fail_request(why, RPC_INVALID_PARAMETER, "Range must be specified for a ranged descriptor");
    return rpc_range_value(&derive->first, &derive->last, call->args[1], DERIVE_MAX, why);
}

static void rpc_deriveaddresses(struct rpc_call *call)
{
    struct fail why;
    struct derive *derive = mem_new(sizeof *derive);
    derive->call = call;
    bool ok = descriptor_parse(&derive->descriptor, call->ctx->chain, call->args[0]->text, true, &why) &&
              read_range(derive, &why);
    derive->job = (struct job){.run = derive_run, .done = derive_done, .lane = JOB_SLOW};
    if (ok && env_submit(call->ctx->env, &derive->job))
        return;
    if (ok)
        fail_request(&why, RPC_MISC_ERROR, "Too many long calls are running, try again");
    descriptor_free(derive->descriptor);
    mem_free(derive);
    rpc_fail(call, &why);
}

/* ---- the table ---- */

static const struct rpc_arg address_args[] = {{"address", RPC_STRING, true, NULL, "The address."}, RPC_ARGS_END};
static const struct rpc_arg descriptor_args[] = {{"descriptor", RPC_STRING, true, NULL, "The descriptor."}, RPC_ARGS_END};
static const struct rpc_arg derive_args[] = {
    {"descriptor", RPC_STRING, true, NULL, "The descriptor, with checksum."},
    {"range", RPC_RANGE, false, NULL, "End, or [begin,end], of a ranged one."},
    RPC_ARGS_END,
};

const struct rpc_method rpc_util_methods[] = {
    {.name = "validateaddress", .summary = "Tells whether an address is one of this chain.", .args = address_args,
        .result = "an object", .example = "ADDRESS", .run = rpc_validateaddress},
    {.name = "getdescriptorinfo", .summary = "Checks a descriptor and adds its checksum.",
        .args = descriptor_args, .result = "an object", .example = "\"addr(ADDRESS)\"",
        .run = rpc_getdescriptorinfo},
    {.name = "deriveaddresses", .summary = "Lists the addresses of a descriptor.", .args = derive_args,
        .result = "an array of addresses", .example = "\"DESCRIPTOR\" \"[0,2]\"", .run = rpc_deriveaddresses},
    {.name = NULL},
};
