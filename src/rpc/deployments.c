/* getdeploymentinfo: which soft forks count on a branch, by height or by signals (BIP9). */
#include "coin/ledger/deployments.h"

#include <string.h>

#include "chain_calls.h"
#include "coin/consensus/check.h"

static const struct { const char *name; enum buried which; } buried_names[] = {
    { "bip34", BURIED_BIP34 }, { "bip66", BURIED_BIP66 }, { "bip65", BURIED_BIP65 }, { "csv", BURIED_CSV },
    { "segwit", BURIED_SEGWIT }, { "taproot", BURIED_TAPROOT },
};

static void show_flags(struct json_writer *w, uint32_t flags);
static void show_buried(struct json_writer *w, const struct chain *chain, const struct block_index *index);
static void show_deployment(struct json_writer *w, struct ledger *ledger, const struct chain *chain, uint32_t which,
    const struct block_index *index);

void rpc_getdeploymentinfo(struct rpc_call *call)
{
    struct ledger *ledger = call->ctx->ledger;
    const struct chain *chain = call->ctx->chain;
    struct json_writer *w = &call->out;
    const struct block_index *index = ledger_tip(ledger);
    struct fail why;
    char hex[ID_HEX_SIZE_B];
    if (rpc_has_arg(call, 0) && (index = rpc_arg_block(call, 0, &why)) == NULL) {
        rpc_fail(call, &why);
        return;
    }
    jw_object(w);
    hash_to_hex(hex, index->id.b);
    jw_key_text(w, "hash", hex);
    jw_key_i64(w, "height", index->height);
    show_flags(w, block_script_flags(chain, index->height, &index->id));
    jw_key(w, "deployments");
    jw_object(w);
    show_buried(w, chain, index);
    for (uint32_t i = 0; i < chain->deployment_count; i++) {
        if (chain->deployments[i].start_time_s != BIP9_NEVER_ACTIVE)
            show_deployment(w, ledger, chain, i, index);
    }
    jw_end_object(w);
    jw_end_object(w);
    rpc_ok(call);
}

static void show_flags(struct json_writer *w, uint32_t flags)
{
    static const struct { const char *name; uint32_t flag; } names[] = { /* by name */
        { "CHECKLOCKTIMEVERIFY", SCRIPT_VERIFY_CHECKLOCKTIMEVERIFY },
        { "CHECKSEQUENCEVERIFY", SCRIPT_VERIFY_CHECKSEQUENCEVERIFY }, { "DERSIG", SCRIPT_VERIFY_DERSIG },
        { "NULLDUMMY", SCRIPT_VERIFY_NULLDUMMY }, { "P2SH", SCRIPT_VERIFY_P2SH },
        { "TAPROOT", SCRIPT_VERIFY_TAPROOT }, { "WITNESS", SCRIPT_VERIFY_WITNESS },
    };
    jw_key(w, "script_flags");
    jw_array(w);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (flags & names[i].flag)
            jw_text(w, names[i].name);
    }
    jw_end_array(w);
}

static bool has_deployment(const struct chain *chain, const char *name)
{
    for (uint32_t i = 0; i < chain->deployment_count; i++) {
        if (strcmp(chain->deployments[i].name, name) == 0)
            return true;
    }
    return false;
}

/* "active" speaks of the block that comes next. */
static void show_buried(struct json_writer *w, const struct chain *chain, const struct block_index *index)
{
    for (size_t i = 0; i < sizeof buried_names / sizeof *buried_names; i++) {
        int32_t height = chain->buried[buried_names[i].which];
        if (height == INT32_MAX || has_deployment(chain, buried_names[i].name))
            continue;
        jw_key(w, buried_names[i].name);
        jw_object(w);
        jw_key_text(w, "type", "buried");
        jw_key_bool(w, "active", index->height + 1 >= height);
        jw_key_i64(w, "height", height);
        jw_end_object(w);
    }
}

static void show_count(struct json_writer *w, const struct ledger *ledger, const struct chain_deployment *d,
    uint32_t which, const struct block_index *index, enum bip9_state state)
{
    struct deployment_count count = ledger_deployment_count(ledger, which, index);
    jw_key(w, "statistics");
    jw_object(w);
    jw_key_i64(w, "period", d->period);
    if (state == BIP9_STARTED)
        jw_key_i64(w, "threshold", d->threshold);
    jw_key_i64(w, "elapsed", count.elapsed);
    jw_key_i64(w, "count", count.signals);
    if (state == BIP9_STARTED)
        jw_key_bool(w, "possible", count.possible);
    jw_end_object(w);

    struct buf signalling;
    buf_init(&signalling, (size_t)count.elapsed);
    for (int32_t i = 0; i < count.elapsed; i++)
        buf_put_u8(&signalling, '-');
    if (!signalling.failed) {
        const struct block_index *at = index;
        for (int32_t i = count.elapsed; i > 0; i--, at = at->prev) {
            if (bip9_signals(d, at->version))
                signalling.data[i - 1] = '#';
        }
    }
    jw_key(w, "signalling");
    jw_string(w, buf_span(&signalling));
    buf_clear(&signalling);
}

static void show_deployment(struct json_writer *w, struct ledger *ledger, const struct chain *chain, uint32_t which,
    const struct block_index *index)
{
    const struct chain_deployment *d = &chain->deployments[which];
    enum bip9_state state = ledger_deployment_state(ledger, which, index->prev);
    enum bip9_state next = ledger_deployment_state(ledger, which, index);
    int32_t since = ledger_deployment_since(ledger, which, index->prev);
    bool signals = state == BIP9_STARTED || state == BIP9_LOCKED_IN;
    jw_key(w, d->name);
    jw_object(w);
    jw_key_text(w, "type", "bip9");
    if (next == BIP9_ACTIVE)
        jw_key_i64(w, "height", state == BIP9_ACTIVE ? since : index->height + 1);
    jw_key_bool(w, "active", next == BIP9_ACTIVE);
    jw_key(w, "bip9");
    jw_object(w);
    if (signals)
        jw_key_i64(w, "bit", d->bit);
    jw_key_i64(w, "start_time", d->start_time_s);
    jw_key_i64(w, "timeout", d->timeout_s);
    jw_key_i64(w, "min_activation_height", d->min_activation_height);
    jw_key_text(w, "status", bip9_state_name(state));
    jw_key_i64(w, "since", since);
    jw_key_text(w, "status_next", bip9_state_name(next));
    if (signals)
        show_count(w, ledger, d, which, index, state);
    jw_end_object(w);
    jw_end_object(w);
}
