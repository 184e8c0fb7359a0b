/* What the wallet's groups of calls share: which wallet a call means, and how a transaction looks. */

#include "wallet_common.h"

#include <string.h>

#include "coin/script/address.h"

#define SEQUENCE_REPLACEABLE_MAX 0xfffffffdu /* BIP125 */
#define DESCRIPTOR_SHOWN_MAX_B 512

static void show_row(struct json_writer *w, struct rpc_call *call, const struct wallet *wallet,
    const struct wallet_tx *wtx, const char *category, uint32_t vout, int64_t amount_sat, const int64_t *fee_sat,
    bool with_tx);
static bool label_wanted(const struct wallet *wallet, struct span script, struct span label);
static const char *receive_category(const struct wallet *wallet, struct rpc_call *call, const struct wallet_tx *wtx);

struct wallet *wallet_of_call(struct rpc_call *call)
{
    struct wallets *all = call->ctx->wallets;
    if (all == NULL) {
        rpc_error(call, RPC_METHOD_NOT_FOUND, "Method not found (wallet is disabled: -disablewallet)");
        return NULL;
    }
    if (call->wallet_name.data != NULL) {
        struct wallet *wallet = wallets_find(all, call->wallet_name);
        if (wallet == NULL)
            rpc_error(call, RPC_WALLET_NOT_FOUND, "Requested wallet does not exist or is not loaded");
        return wallet;
    }
    if (wallets_count(all) == 1)
        return wallets_at(all, 0);
    if (wallets_count(all) == 0)
        rpc_error(call, RPC_WALLET_NOT_FOUND,
            "No wallet is loaded. Load a wallet using loadwallet or create a new one with createwallet. (Note: "
            "A default wallet is no longer automatically created)");
    else
        rpc_error(call, RPC_WALLET_NOT_SPECIFIED,
            "Multiple wallets are loaded. Please select which wallet to use by requesting the RPC through the "
            "/wallet/<walletname> URI path. Or for the CLI, specify the \"-rpcwallet=<walletname>\" option "
            "before the command (run \"coin-cli -h\" for help or \"coin-cli listwallets\" to see which wallets "
            "are currently loaded).");
    return NULL;
}

void wallet_show_last_block(struct json_writer *w, const struct wallet *wallet)
{
    char hex[ID_HEX_SIZE_B];
    const struct block_index *synced = wallet_synced(wallet);
    hash_to_hex(hex, synced->id.b);
    jw_key(w, "lastprocessedblock");
    jw_object(w);
    jw_key_text(w, "hash", hex);
    jw_key_i64(w, "height", synced->height);
    jw_end_object(w);
}

void wallet_show_address(struct json_writer *w, const struct chain *chain, struct span script)
{
    char text[ADDRESS_SIZE_B];
    if (address_from_script(text, chain, script))
        jw_key_text(w, "address", text);
}

void wallet_show_parent_descs(struct json_writer *w, const struct wallet *wallet, struct span script)
{
    struct wallet_key_info info;
    struct wallet_descriptor_info ignored;
    struct buf text;
    if (!wallet_is_mine(wallet, script, &info))
        return;
    buf_init(&text, DESCRIPTOR_SHOWN_MAX_B);
    jw_key(w, "parent_descs");
    jw_array(w);
    if (wallet_descriptor(wallet, info.descriptor, false, &text, &ignored))
        jw_string(w, buf_span(&text));
    jw_end_array(w);
    buf_clear(&text);
}

void wallet_show_tx_fields(
    struct json_writer *w, struct rpc_call *call, const struct wallet *wallet, const struct wallet_tx *wtx)
{
    char hex[ID_HEX_SIZE_B];
    int32_t deep = wallet_tx_confirmations(wallet, wtx);
    bool replaceable = false;
    for (uint32_t i = 0; i < wtx->tx->in_count; i++)
        replaceable = replaceable || wtx->tx->in[i].sequence <= SEQUENCE_REPLACEABLE_MAX;
    (void)call;
    jw_key_i64(w, "confirmations", deep);
    if (wtx->is_coinbase)
        jw_key_bool(w, "generated", true);
    if (wtx->state == WALLET_TX_CONFIRMED && wtx->block != NULL) {
        hash_to_hex(hex, wtx->block->id.b);
        jw_key_text(w, "blockhash", hex);
        jw_key_i64(w, "blockheight", wtx->block->height);
        jw_key_u64(w, "blockindex", wtx->position);
        jw_key_i64(w, "blocktime", wtx->block->time_s);
    } else {
        jw_key_bool(w, "trusted",
            wtx->state == WALLET_TX_MEMPOOL && wallet_tx_money(wallet, wtx).debit_sat > 0);
    }
    hash_to_hex(hex, wtx->tx->txid.b);
    jw_key_text(w, "txid", hex);
    hash_to_hex(hex, wtx->tx->wtxid.b);
    jw_key_text(w, "wtxid", hex);
    jw_key(w, "alternate_wtxids");
    jw_array(w);
    jw_end_array(w);
    jw_key(w, "walletconflicts");
    jw_array(w);
    const struct txid *rival;
    uint32_t cursor = 0;
    while ((rival = wallet_next_rival(wallet, wtx, &cursor)) != NULL) {
        hash_to_hex(hex, rival->b);
        jw_text(w, hex);
    }
    jw_end_array(w);
    jw_key(w, "mempoolconflicts");
    jw_array(w);
    jw_end_array(w);
    /* Bitcoin's "smart" time: when it came, but not after the block that holds it. */
    int64_t time_s = wtx->block_time_s != 0 && wtx->block_time_s < wtx->received_s ? wtx->block_time_s : wtx->received_s;
    jw_key_i64(w, "time", time_s);
    jw_key_i64(w, "timereceived", wtx->received_s);
    jw_key_text(w, "bip125-replaceable", deep == 0 ? (replaceable ? "yes" : "no") : "no");
}

void wallet_show_tx_rows(struct json_writer *w, struct rpc_call *call, const struct wallet *wallet,
    const struct wallet_tx *wtx, struct span label, bool with_tx)
{
    const struct tx *tx = wtx->tx;
    struct wallet_tx_money money = wallet_tx_money(wallet, wtx);
    int64_t fee_sat = -money.fee_sat;
    bool sent = money.debit_sat > 0;
    for (uint32_t i = 0; sent && i < tx->out_count; i++) {
        if (wallet_is_change(wallet, tx->out[i].script) || !label_wanted(wallet, tx->out[i].script, label))
            continue;
        show_row(w, call, wallet, wtx, "send", i, -tx->out[i].value_sat, money.has_fee ? &fee_sat : NULL, with_tx);
    }
    for (uint32_t i = 0; i < tx->out_count; i++) {
        struct span script = tx->out[i].script;
        if (!wallet_is_mine(wallet, script, NULL) || wallet_is_change(wallet, script) ||
            !label_wanted(wallet, script, label))
            continue;
        show_row(w, call, wallet, wtx, receive_category(wallet, call, wtx), i, tx->out[i].value_sat, NULL, with_tx);
    }
}

void wallet_answer_null(void *ctx, const struct fail *why)
{
    struct rpc_call *call = ctx;
    if (why->kind != FAIL_NONE) {
        rpc_fail(call, why);
        return;
    }
    jw_null(&call->out);
    rpc_ok(call);
}

bool wallet_arg_address(struct buf *script, struct rpc_call *call, uint32_t i, struct fail *why)
{
    struct span text;
    return rpc_arg_text(&text, call, i, "", why) && address_to_script(script, call->ctx->chain, text, why);
}

static void show_row(struct json_writer *w, struct rpc_call *call, const struct wallet *wallet,
    const struct wallet_tx *wtx, const char *category, uint32_t vout, int64_t amount_sat, const int64_t *fee_sat,
    bool with_tx)
{
    struct span script = wtx->tx->out[vout].script;
    bool has_label;
    struct span label = wallet_label(wallet, script, &has_label);
    jw_object(w);
    wallet_show_address(w, call->ctx->chain, script);
    if (amount_sat >= 0)
        wallet_show_parent_descs(w, wallet, script);
    jw_key_text(w, "category", category);
    jw_key_amount(w, "amount", amount_sat);
    if (has_label) {
        jw_key(w, "label");
        jw_string(w, label);
    }
    jw_key_u64(w, "vout", vout);
    if (fee_sat != NULL)
        jw_key_amount(w, "fee", *fee_sat);
    if (with_tx)
        wallet_show_tx_fields(w, call, wallet, wtx);
    jw_key_bool(w, "abandoned", wtx->state == WALLET_TX_ABANDONED);
    jw_end_object(w);
}

static bool label_wanted(const struct wallet *wallet, struct span script, struct span label)
{
    bool has;
    if (label.data == NULL)
        return true;
    struct span own = wallet_label(wallet, script, &has);
    return has && span_equal(own, label);
}

static const char *receive_category(
    const struct wallet *wallet, struct rpc_call *call, const struct wallet_tx *wtx)
{
    int32_t deep = wallet_tx_confirmations(wallet, wtx);
    if (!wtx->is_coinbase)
        return "receive";
    if (deep < 1)
        return "orphan";
    return deep > call->ctx->chain->coinbase_maturity ? "generate" : "immature";
}
