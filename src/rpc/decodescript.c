/* decodescript: a script in words, and the addresses of its hash where it can have one. */
#include "chain_calls.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/sha256.h"
#include "coin/script/address.h"

/* Scripts that a hash may stand for: not what is hidden already, can never be spent, or means another thing
 * in tapscript. */
static bool can_be_hashed(struct span script, enum script_kind kind)
{
    struct reader r;
    struct span push;
    uint8_t op;
    if (kind == SCRIPT_NULLDATA || kind == SCRIPT_SCRIPTHASH || kind == SCRIPT_WITNESS_UNKNOWN ||
        kind == SCRIPT_WITNESS_V1_TAPROOT || kind == SCRIPT_ANCHOR || script_is_unspendable(script))
        return false;
    rd_init(&r, script);
    while (script_next(&r, &op, &push)) {
        if (op > OP_NOP10 || push.size_b > SCRIPT_ELEMENT_MAX_B || opcode_is_success(op))
            return false;
    }
    return !r.failed;
}

/* Segwit wants compressed keys, and takes no hash of a hash. */
static bool can_be_segwit(struct span script, const struct script_match *match)
{
    struct span keys[SCRIPT_PUBKEYS_MAX];
    uint32_t count = match->kind == SCRIPT_MULTISIG ? script_multisig_keys(script, keys) : 0;
    for (uint32_t i = 0; i < count; i++) {
        if (keys[i].size_b != 33)
            return false;
    }
    if (match->kind == SCRIPT_PUBKEY)
        return match->payload.size_b == 33;
    return match->kind == SCRIPT_MULTISIG || match->kind == SCRIPT_NONSTANDARD || match->kind == SCRIPT_PUBKEYHASH;
}

static void show_p2sh(struct json_writer *w, const struct chain *chain, const char *key, struct span script)
{
    uint8_t hash[20], bytes[32];
    struct buf p2sh = {.data = bytes, .capacity_b = sizeof bytes, .limit_b = sizeof bytes};
    char address[ADDRESS_SIZE_B];
    hash160(hash, script.data, script.size_b);
    script_put_p2sh(&p2sh, hash);
    if (address_from_script(address, chain, buf_span(&p2sh)))
        jw_key_text(w, key, address);
}

static void show_segwit(struct json_writer *w, const struct chain *chain, struct span script,
    const struct script_match *match)
{
    uint8_t hash[32], bytes[64];
    struct buf program = {.data = bytes, .capacity_b = sizeof bytes, .limit_b = sizeof bytes};
    if (match->kind == SCRIPT_PUBKEYHASH) {
        script_put_witness(&program, 0, match->payload);
    } else if (match->kind == SCRIPT_PUBKEY) {
        hash160(hash, match->payload.data, match->payload.size_b);
        script_put_witness(&program, 0, span_of(hash, 20));
    } else {
        sha256(hash, script.data, script.size_b);
        script_put_witness(&program, 0, span_of(hash, 32));
    }
    jw_key(w, "segwit");
    jw_object(w);
    rpc_show_script_fields(w, chain, buf_span(&program), script, true);
    show_p2sh(w, chain, "p2sh-segwit", buf_span(&program));
    jw_end_object(w);
}

void rpc_decodescript(struct rpc_call *call)
{
    const struct chain *chain = call->ctx->chain;
    struct json_writer *w = &call->out;
    struct fail why;
    struct buf bytes;
    buf_init(&bytes, BLOCK_SIZE_MAX_B);
    if (!rpc_hex_value(&bytes, call->args[0], "argument", &why)) {
        buf_clear(&bytes);
        rpc_fail(call, &why);
        return;
    }
    struct span script = buf_span(&bytes);
    struct script_match match = script_match(script);
    jw_object(w);
    rpc_show_script_fields(w, chain, script, span_of(NULL, 0), false);
    if (can_be_hashed(script, match.kind)) {
        show_p2sh(w, chain, "p2sh", script);
        if (can_be_segwit(script, &match))
            show_segwit(w, chain, script, &match);
    }
    jw_end_object(w);
    buf_clear(&bytes);
    rpc_ok(call);
}
