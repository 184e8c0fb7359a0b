/* How scripts and transactions look in answers. */

#include <string.h>

#include "coin/descriptor/descriptor.h"
#include "coin/primitives/coin.h"
#include "coin/rpc/rpc.h"
#include "coin/script/address.h"
#include "coin/script/script.h"

#define ASM_MAX_B ((size_t)64 << 20)

void rpc_show_script(struct json_writer *w, const struct chain *chain, struct span script, bool with_hex)
{
    jw_object(w);
    rpc_show_script_fields(w, chain, script, span_of(NULL, 0), with_hex);
    jw_end_object(w);
}

void rpc_show_script_fields(struct json_writer *w, const struct chain *chain, struct span script, struct span inner,
    bool with_hex)
{
    struct buf text;
    char address[ADDRESS_SIZE_B];
    struct fail why;
    buf_init(&text, ASM_MAX_B);
    script_to_asm(&text, script, false);
    jw_key(w, "asm");
    jw_string(w, buf_span(&text));
    text.size_b = 0;
    if (descriptor_infer_wsh(&text, chain, script, inner, &why)) {
        jw_key(w, "desc");
        jw_string(w, buf_span(&text));
    }
    if (with_hex)
        jw_key_hex(w, "hex", script.data, script.size_b);
    if (address_from_script(address, chain, script))
        jw_key_text(w, "address", address);
    jw_key_text(w, "type", script_kind_name(script_match(script).kind));
    buf_clear(&text);
}

static void show_prevout(struct json_writer *w, const struct chain *chain, const struct coin *coin)
{
    jw_key(w, "prevout");
    jw_object(w);
    jw_key_bool(w, "generated", coin->is_coinbase);
    jw_key_i64(w, "height", coin->height);
    jw_key_amount(w, "value", coin->value_sat);
    jw_key(w, "scriptPubKey");
    rpc_show_script(w, chain, coin->script, true);
    jw_end_object(w);
}

static void show_input(struct json_writer *w, const struct chain *chain, const struct tx_in *in, bool is_coinbase,
    const struct coin *prevout)
{
    char hex[ID_HEX_SIZE_B];
    jw_object(w);
    if (is_coinbase) {
        jw_key_hex(w, "coinbase", in->script_sig.data, in->script_sig.size_b);
    } else {
        struct buf text;
        buf_init(&text, ASM_MAX_B);
        hash_to_hex(hex, in->prevout.txid.b);
        jw_key_text(w, "txid", hex);
        jw_key_u64(w, "vout", in->prevout.index);
        jw_key(w, "scriptSig");
        jw_object(w);
        script_to_asm(&text, in->script_sig, true);
        jw_key(w, "asm");
        jw_string(w, buf_span(&text));
        jw_key_hex(w, "hex", in->script_sig.data, in->script_sig.size_b);
        jw_end_object(w);
        buf_clear(&text);
    }
    if (in->witness_count > 0) {
        jw_key(w, "txinwitness");
        jw_array(w);
        for (uint32_t i = 0; i < in->witness_count; i++)
            jw_hex(w, in->witness[i].data, in->witness[i].size_b);
        jw_end_array(w);
    }
    if (prevout != NULL)
        show_prevout(w, chain, prevout);
    jw_key_u64(w, "sequence", in->sequence);
    jw_end_object(w);
}

void rpc_show_tx(struct json_writer *w, const struct chain *chain, const struct tx *tx,
    const struct rpc_tx_view *view)
{
    char hex[ID_HEX_SIZE_B];
    bool is_coinbase = tx_is_coinbase(tx);
    hash_to_hex(hex, tx->txid.b);
    jw_key_text(w, "txid", hex);
    hash_to_hex(hex, tx->wtxid.b);
    jw_key_text(w, "hash", hex);
    jw_key_u64(w, "version", tx->version);
    jw_key_u64(w, "size", tx->size_b);
    jw_key_u64(w, "vsize", tx_vsize_b(tx));
    jw_key_u64(w, "weight", tx_weight_wu(tx));
    jw_key_u64(w, "locktime", tx->lock_time);
    jw_key(w, "vin");
    jw_array(w);
    for (uint32_t i = 0; i < tx->in_count; i++)
        show_input(w, chain, &tx->in[i], is_coinbase,
            view->spent != NULL && view->with_prevout && !is_coinbase ? &view->spent[i] : NULL);
    jw_end_array(w);
    jw_key(w, "vout");
    jw_array(w);
    for (uint32_t i = 0; i < tx->out_count; i++) {
        jw_object(w);
        jw_key_amount(w, "value", tx->out[i].value_sat);
        jw_key_u64(w, "n", i);
        jw_key(w, "scriptPubKey");
        rpc_show_script(w, chain, tx->out[i].script, true);
        jw_end_object(w);
    }
    jw_end_array(w);
    if (view->spent != NULL && !is_coinbase) {
        int64_t fee_sat = 0;
        for (uint32_t i = 0; i < tx->in_count; i++)
            fee_sat += view->spent[i].value_sat;
        for (uint32_t i = 0; i < tx->out_count; i++)
            fee_sat -= tx->out[i].value_sat;
        jw_key_amount(w, "fee", fee_sat);
    }
    if (view->with_hex)
        jw_key_hex(w, "hex", tx->raw.data, tx->raw.size_b);
}
