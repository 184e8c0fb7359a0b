/* Calls about a wallet's money: balances, coins, history, paying. */

#include <string.h>

#include "coin/descriptor/descriptor.h"
#include "coin/mempool/mempool.h"
#include "coin/script/address.h"
#include "wallet_common.h"

#define CONFIRMATIONS_MAX 9999999
#define LIST_COUNT_MAX 1000000
#define SAT_VB_TO_KVB 1000

/* ---- balances and coins ---- */

static void rpc_getbalance(struct rpc_call *call)
{
    struct fail why;
    struct span dummy;
    int64_t minconf, sum = 0;
    struct wallet_coin coin;
    uint32_t cursor = 0;
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    if (!rpc_arg_text(&dummy, call, 0, "*", &why) || !rpc_arg_i64(&minconf, call, 1, 0, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (!span_is(dummy, "*")) {
        rpc_error(call, -32, "dummy first argument must be excluded or set to \"*\".");
        return;
    }
    if (minconf <= 0) {
        sum = wallet_balances(wallet).trusted_sat;
    } else {
        while (wallet_next_coin(wallet, &cursor, &coin)) {
            if (wallet_tx_confirmations(wallet, coin.wtx) >= minconf && wallet_coin_is_mature(wallet, &coin))
                sum += coin.value_sat;
        }
    }
    jw_amount(&call->out, sum);
    rpc_ok(call);
}

static void rpc_getbalances(struct rpc_call *call)
{
    struct wallet *wallet = wallet_of_call(call);
    struct json_writer *w = &call->out;
    if (wallet == NULL)
        return;
    struct wallet_balances sum = wallet_balances(wallet);
    jw_object(w);
    jw_key(w, "mine");
    jw_object(w);
    jw_key_amount(w, "trusted", sum.trusted_sat);
    jw_key_amount(w, "untrusted_pending", sum.untrusted_sat);
    jw_key_amount(w, "immature", sum.immature_sat);
    jw_key_amount(w, "nonmempool", wallet_nonmempool_sat(wallet));
    jw_end_object(w);
    wallet_show_last_block(w, wallet);
    jw_end_object(w);
    rpc_ok(call);
}

struct coin_filter {
    int64_t minconf, maxconf, minimum_sat, maximum_sat;
    bool include_unsafe, include_immature;
    struct buf scripts; /* wanted: compact size and bytes each; empty: all */
};

static bool read_addresses(struct coin_filter *filter, struct rpc_call *call, const struct json *list, struct fail *why)
{
    struct buf script;
    bool ok = true;
    buf_init(&script, SCRIPT_SIZE_MAX_B);
    for (uint32_t i = 0; ok && list != NULL && i < list->count; i++) {
        struct span text;
        script.size_b = 0;
        ok = json_to_text(&text, json_at(list, i), "address", why);
        if (ok && !address_to_script(&script, call->ctx->chain, text, why))
            ok = fail_request(why, RPC_INVALID_ADDRESS_OR_KEY, "Invalid address: %.*s",
                text.size_b > 128 ? 128 : (int)text.size_b, (const char *)text.data);
        buf_put_string(&filter->scripts, buf_span(&script));
    }
    buf_clear(&script);
    return ok;
}

static bool is_wanted(const struct coin_filter *filter, struct span script)
{
    struct reader r;
    if (filter->scripts.size_b == 0)
        return true;
    rd_init(&r, buf_span(&filter->scripts));
    while (rd_left(&r) > 0) {
        if (span_equal(rd_string(&r, SCRIPT_SIZE_MAX_B), script))
            return true;
    }
    return false;
}

static void show_coin(struct rpc_call *call, const struct wallet *wallet, const struct wallet_coin *coin)
{
    struct json_writer *w = &call->out;
    char hex[ID_HEX_SIZE_B];
    bool has_label;
    struct span label = wallet_label(wallet, coin->script, &has_label);
    jw_object(w);
    hash_to_hex(hex, coin->outpoint.txid.b);
    jw_key_text(w, "txid", hex);
    jw_key_u64(w, "vout", coin->outpoint.index);
    wallet_show_address(w, call->ctx->chain, coin->script);
    if (has_label) {
        jw_key(w, "label");
        jw_string(w, label);
    }
    jw_key_hex(w, "scriptPubKey", coin->script.data, coin->script.size_b);
    jw_key_amount(w, "amount", coin->value_sat);
    jw_key_i64(w, "confirmations", wallet_tx_confirmations(wallet, coin->wtx));
    const struct mempool_entry *entry = mempool_find(call->ctx->mempool, &coin->outpoint.txid);
    if (entry != NULL) {
        const struct mempool_entry *relatives[CLUSTER_COUNT_MAX];
        uint32_t n = mempool_relatives(call->ctx->mempool, entry, false, relatives);
        uint64_t size_vb = entry->vsize_vb;
        int64_t fees_sat = entry->modified_fee_sat;
        for (uint32_t i = 0; i < n; i++) {
            size_vb += relatives[i]->vsize_vb;
            fees_sat += relatives[i]->modified_fee_sat;
        }
        jw_key_u64(w, "ancestorcount", n + 1);
        jw_key_u64(w, "ancestorsize", size_vb);
        jw_key_i64(w, "ancestorfees", fees_sat); /* in satoshis, as the reference gives it */
    }
    jw_key_bool(w, "spendable", true);
    jw_key_bool(w, "solvable", true);
    wallet_show_parent_descs(w, wallet, coin->script);
    jw_key_bool(w, "safe", wallet_coin_is_trusted(wallet, coin));
    jw_end_object(w);
}

static bool read_filter(struct coin_filter *filter, struct rpc_call *call, struct fail *why)
{
    const struct json *options = rpc_has_arg(call, 4) ? call->args[4] : NULL, *v;
    *filter = (struct coin_filter){.minimum_sat = 0, .maximum_sat = INT64_MAX};
    buf_init(&filter->scripts, (size_t)16 << 20);
    if (!rpc_arg_i64(&filter->minconf, call, 0, 1, why) ||
        !rpc_arg_i64(&filter->maxconf, call, 1, CONFIRMATIONS_MAX, why) ||
        !rpc_arg_bool(&filter->include_unsafe, call, 3, true, why) ||
        !read_addresses(filter, call, rpc_has_arg(call, 2) ? call->args[2] : NULL, why))
        return false;
    if ((v = json_get(options, "minimumAmount")) != NULL && !rpc_amount_value(&filter->minimum_sat, call, v, why))
        return false;
    if ((v = json_get(options, "maximumAmount")) != NULL && !rpc_amount_value(&filter->maximum_sat, call, v, why))
        return false;
    if ((v = json_get(options, "include_immature_coinbase")) != NULL &&
        !json_to_bool(&filter->include_immature, v, "include_immature_coinbase", why))
        return false;
    return buf_ok(&filter->scripts, "addresses", why);
}

static void rpc_listunspent(struct rpc_call *call)
{
    struct fail why;
    struct coin_filter filter;
    struct wallet_coin coin;
    uint32_t cursor = 0;
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    if (!read_filter(&filter, call, &why)) {
        rpc_fail(call, &why);
        buf_clear(&filter.scripts);
        return;
    }
    jw_array(&call->out);
    while (wallet_next_coin(wallet, &cursor, &coin)) {
        int32_t deep = wallet_tx_confirmations(wallet, coin.wtx);
        if (deep < filter.minconf || deep > filter.maxconf || coin.value_sat < filter.minimum_sat ||
            coin.value_sat > filter.maximum_sat || wallet_is_locked(wallet, &coin.outpoint) ||
            (!filter.include_immature && !wallet_coin_is_mature(wallet, &coin)) ||
            (!filter.include_unsafe && !wallet_coin_is_trusted(wallet, &coin)) || !is_wanted(&filter, coin.script))
            continue;
        show_coin(call, wallet, &coin);
    }
    jw_end_array(&call->out);
    buf_clear(&filter.scripts);
    rpc_ok(call);
}

static bool lock_outputs(struct rpc_call *call, struct wallet *wallet, bool lock, bool persist, struct fail *why)
{
    const struct json *list = call->args[1];
    for (uint32_t i = 0; i < list->count; i++) {
        const struct json *item = json_at(list, i);
        struct outpoint outpoint;
        int64_t vout;
        if (!rpc_hash_value(outpoint.txid.b, json_get(item, "txid"), "txid", why) ||
            !json_to_i64(&vout, json_get(item, "vout"), "vout", why))
            return false;
        if (vout < 0 || vout > UINT32_MAX)
            return fail_request(why, RPC_INVALID_PARAMETER, "Invalid parameter, vout cannot be negative");
        outpoint.index = (uint32_t)vout;
        if (!wallet_lock_coin(wallet, &outpoint, lock, persist, why))
            return false;
    }
    return true;
}

static void rpc_lockunspent(struct rpc_call *call)
{
    struct fail why;
    bool unlock, persist;
    struct outpoint outpoint;
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    if (!rpc_arg_bool(&unlock, call, 0, false, &why) || !rpc_arg_bool(&persist, call, 2, false, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (!rpc_has_arg(call, 1)) {
        for (uint32_t cursor = 0; unlock && wallet_next_locked(wallet, &cursor, &outpoint); cursor = 0) {
            if (!wallet_lock_coin(wallet, &outpoint, false, true, &why))
                break;
        }
    } else if (!lock_outputs(call, wallet, !unlock, persist, &why)) {
        rpc_fail(call, &why);
        return;
    }
    jw_bool(&call->out, true);
    rpc_ok(call);
}

static void rpc_listlockunspent(struct rpc_call *call)
{
    struct outpoint outpoint;
    uint32_t cursor = 0;
    char hex[ID_HEX_SIZE_B];
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    jw_array(&call->out);
    while (wallet_next_locked(wallet, &cursor, &outpoint)) {
        hash_to_hex(hex, outpoint.txid.b);
        jw_object(&call->out);
        jw_key_text(&call->out, "txid", hex);
        jw_key_u64(&call->out, "vout", outpoint.index);
        jw_end_object(&call->out);
    }
    jw_end_array(&call->out);
    rpc_ok(call);
}

/* ---- history ---- */

/* The reference counts rows, not transactions, from the newest back, and shows them oldest first. */
static void rpc_listtransactions(struct rpc_call *call)
{
    struct fail why;
    struct span label;
    int64_t count, skip;
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    if (!rpc_arg_text(&label, call, 0, "*", &why) || !rpc_arg_i64(&count, call, 1, 10, &why) ||
        !rpc_arg_i64(&skip, call, 2, 0, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (count < 0 || skip < 0) {
        rpc_error(call, RPC_INVALID_PARAMETER, count < 0 ? "Negative count" : "Negative from");
        return;
    }
    if (count > LIST_COUNT_MAX)
        count = LIST_COUNT_MAX;
    struct span only = span_is(label, "*") ? (struct span){NULL, 0} : label;
    /* Walk back until enough rows are gathered, then write from there. */
    struct buf scratch;
    struct json_writer rows;
    struct json_doc doc;
    buf_init(&scratch, (size_t)256 << 20);
    jw_init(&rows, &scratch, 0);
    uint32_t first = wallet_tx_count(wallet);
    uint32_t have = 0;
    while (first > 0 && have < count + skip) {
        size_t before = scratch.size_b;
        first--;
        jw_init(&rows, &scratch, 0);
        jw_array(&rows);
        wallet_show_tx_rows(&rows, call, wallet, wallet_tx_at(wallet, first), only, false);
        jw_end_array(&rows);
        if (json_parse(&doc, span_of(scratch.data + before, scratch.size_b - before), &why)) {
            have += doc.root->count;
            json_doc_clear(&doc);
        }
        scratch.size_b = before;
    }
    jw_init(&rows, &scratch, 0);
    jw_array(&rows);
    for (uint32_t i = first; i < wallet_tx_count(wallet); i++)
        wallet_show_tx_rows(&rows, call, wallet, wallet_tx_at(wallet, i), only, true);
    jw_end_array(&rows);
    if (!buf_ok(&scratch, "transactions", &why) || !json_parse(&doc, buf_span(&scratch), &why)) {
        rpc_fail(call, &why);
        buf_clear(&scratch);
        return;
    }
    uint32_t total = doc.root->count;
    uint32_t end = total > skip ? total - (uint32_t)skip : 0;
    uint32_t begin = end > count ? end - (uint32_t)count : 0, at = 0;
    jw_array(&call->out);
    for (const struct json *row = doc.root->first; row != NULL; row = row->next, at++) {
        if (at >= begin && at < end)
            jw_raw(&call->out, row->raw);
    }
    jw_end_array(&call->out);
    json_doc_clear(&doc);
    buf_clear(&scratch);
    rpc_ok(call);
}

static void rpc_gettransaction(struct rpc_call *call)
{
    struct fail why;
    struct txid id;
    bool verbose;
    struct json_writer *w = &call->out;
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    if (!rpc_arg_hash(id.b, call, 0, &why) || !rpc_arg_bool(&verbose, call, 2, false, &why)) {
        rpc_fail(call, &why);
        return;
    }
    const struct wallet_tx *wtx = wallet_find_tx(wallet, &id);
    if (wtx == NULL) {
        rpc_error(call, RPC_INVALID_ADDRESS_OR_KEY, "Invalid or non-wallet transaction id");
        return;
    }
    struct wallet_tx_money money = wallet_tx_money(wallet, wtx);
    int64_t net = money.credit_sat - money.debit_sat;
    jw_object(w);
    jw_key_amount(w, "amount", money.has_fee ? net + money.fee_sat : net);
    if (money.has_fee)
        jw_key_amount(w, "fee", -money.fee_sat);
    wallet_show_tx_fields(w, call, wallet, wtx);
    jw_key(w, "details");
    jw_array(w);
    wallet_show_tx_rows(w, call, wallet, wtx, (struct span){NULL, 0}, false);
    jw_end_array(w);
    jw_key_hex(w, "hex", wtx->tx->raw.data, wtx->tx->raw.size_b);
    if (verbose) {
        jw_key(w, "decoded");
        jw_object(w);
        rpc_show_tx(w, call->ctx->chain, wtx->tx, &(struct rpc_tx_view){0});
        jw_end_object(w);
    }
    wallet_show_last_block(w, wallet);
    jw_end_object(w);
    rpc_ok(call);
}

static void rpc_abandontransaction(struct rpc_call *call)
{
    struct fail why;
    struct txid id;
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    if (!rpc_arg_hash(id.b, call, 0, &why))
        rpc_fail(call, &why);
    else
        wallet_abandon(wallet, &id, (struct ledger_done){wallet_answer_null, call});
}

static int64_t received_by(const struct wallet *wallet, struct span script, int64_t minconf, bool immature,
    uint32_t *txs)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < wallet_tx_count(wallet); i++) {
        const struct wallet_tx *wtx = wallet_tx_at(wallet, i);
        int32_t deep = wallet_tx_confirmations(wallet, wtx);
        if (deep < minconf || (wtx->state != WALLET_TX_CONFIRMED && wtx->state != WALLET_TX_MEMPOOL))
            continue;
        struct wallet_coin as_coin = {.wtx = wtx};
        if (wtx->is_coinbase && !immature && !wallet_coin_is_mature(wallet, &as_coin))
            continue;
        for (uint32_t j = 0; j < wtx->tx->out_count; j++) {
            if (!span_equal(wtx->tx->out[j].script, script))
                continue;
            sum += wtx->tx->out[j].value_sat;
            (*txs)++;
        }
    }
    return sum;
}

static void rpc_getreceivedbyaddress(struct rpc_call *call)
{
    struct fail why;
    struct buf script;
    int64_t minconf;
    bool immature;
    uint32_t txs = 0;
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    buf_init(&script, SCRIPT_SIZE_MAX_B);
    if (!wallet_arg_address(&script, call, 0, &why) || !rpc_arg_i64(&minconf, call, 1, 1, &why) ||
        !rpc_arg_bool(&immature, call, 2, false, &why)) {
        rpc_fail(call, &why);
    } else if (!wallet_is_mine(wallet, buf_span(&script), NULL)) {
        rpc_error(call, RPC_WALLET_ERROR, "Address not found in wallet");
    } else {
        jw_amount(&call->out, received_by(wallet, buf_span(&script), minconf, immature, &txs));
        rpc_ok(call);
    }
    buf_clear(&script);
}

/* ---- paying ---- */

struct payment_call {
    struct rpc_call *call;
    bool verbose;
};

static void answer_sent(void *ctx, struct tx *tx, int64_t fee_sat, const struct fail *why)
{
    struct payment_call *payment = ctx;
    struct rpc_call *call = payment->call;
    char hex[ID_HEX_SIZE_B];
    (void)fee_sat;
    if (why->kind != FAIL_NONE) {
        rpc_fail(call, why);
    } else {
        hash_to_hex(hex, tx->txid.b);
        if (payment->verbose) {
            jw_object(&call->out);
            jw_key_text(&call->out, "txid", hex);
            jw_key_text(&call->out, "fee_reason", "Fallback fee");
            jw_end_object(&call->out);
        } else {
            jw_text(&call->out, hex);
        }
        rpc_ok(call);
    }
    mem_free(payment);
}

/* fee_rate: sat/vB, exact to a thousandth. */
static bool read_fee_rate(int64_t *sat_kvb, struct rpc_call *call, uint32_t i, struct fail *why)
{
    *sat_kvb = 0;
    if (!rpc_has_arg(call, i))
        return true;
    const struct json *v = call->args[i];
    if ((v->type != JSON_NUMBER && v->type != JSON_STRING) || !decimal_parse(sat_kvb, v->text, 3))
        return fail_request(why, RPC_TYPE_ERROR, "Invalid amount");
    if (*sat_kvb <= 0)
        return fail_request(why, RPC_TYPE_ERROR, "Amount out of range");
    return true;
}

static bool read_kind_of_change(enum wallet_kind *kind, struct rpc_call *call)
{
    const char *type = config_text(call->ctx->config, "changetype");
    *kind = type != NULL && strcmp(type, "bech32m") == 0 ? WALLET_BIP86 : WALLET_BIP84;
    return true;
}

static void send_payments(struct rpc_call *call, struct wallet *wallet, struct wallet_spend *spend, bool verbose)
{
    struct payment_call *payment = mem_new(sizeof *payment);
    *payment = (struct payment_call){.call = call, .verbose = verbose};
    read_kind_of_change(&spend->change_kind, call);
    wallet_send(wallet, spend, (struct wallet_spend_done){answer_sent, payment});
}

static void rpc_sendtoaddress(struct rpc_call *call)
{
    struct fail why;
    struct buf script;
    struct wallet_payment payment = {0};
    struct wallet_spend spend = {.payments = &payment, .payment_count = 1};
    bool verbose;
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    buf_init(&script, SCRIPT_SIZE_MAX_B);
    if (!wallet_arg_address(&script, call, 0, &why) ||
        !rpc_amount_value(&payment.value_sat, call, call->args[1], &why) ||
        !rpc_arg_bool(&payment.subtract_fee, call, 4, false, &why) ||
        !rpc_arg_bool(&spend.replaceable, call, 5, true, &why) ||
        !read_fee_rate(&spend.feerate_sat_kvb, call, 9, &why) || !rpc_arg_bool(&verbose, call, 10, false, &why)) {
        rpc_fail(call, &why);
    } else if (payment.value_sat <= 0) {
        rpc_error(call, RPC_TYPE_ERROR, "Invalid amount for send");
    } else {
        payment.script = buf_span(&script);
        send_payments(call, wallet, &spend, verbose);
    }
    buf_clear(&script);
}

static bool names_address(const struct json *list, struct span address)
{
    for (uint32_t i = 0; list != NULL && i < list->count; i++) {
        const struct json *item = json_at(list, i);
        if (item->type == JSON_STRING && span_equal(item->text, address))
            return true;
    }
    return false;
}

static bool read_payments(struct wallet_payment *payments, struct buf *scripts, struct rpc_call *call, struct fail *why)
{
    const struct json *amounts = call->args[1];
    const struct json *subtract = rpc_has_arg(call, 4) ? call->args[4] : NULL;
    uint32_t n = 0;
    for (const struct json *v = amounts->first; v != NULL; v = v->next, n++) {
        if (!address_to_script(&scripts[n], call->ctx->chain, v->key, why))
            return fail_request(why, RPC_INVALID_ADDRESS_OR_KEY, "Invalid %s address: %.*s", call->ctx->chain->ticker,
                v->key.size_b > 128 ? 128 : (int)v->key.size_b, (const char *)v->key.data);
        if (!rpc_amount_value(&payments[n].value_sat, call, v, why))
            return false;
        if (payments[n].value_sat <= 0)
            return fail_request(why, RPC_TYPE_ERROR, "Invalid amount for send");
        payments[n].script = buf_span(&scripts[n]);
        payments[n].subtract_fee = names_address(subtract, v->key);
    }
    return true;
}

static void rpc_sendmany(struct rpc_call *call)
{
    struct fail why;
    bool verbose;
    struct wallet_spend spend = {0};
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    uint32_t count = call->args[1]->count;
    if (count == 0 || count > WALLET_PAYMENTS_MAX) {
        rpc_error(call, RPC_INVALID_PARAMETER, "From 1 to %d payments can be sent at once", WALLET_PAYMENTS_MAX);
        return;
    }
    struct wallet_payment *payments = mem_try_array(count, sizeof *payments);
    struct buf *scripts = mem_try_array(count, sizeof *scripts);
    if (payments == NULL || scripts == NULL) {
        fail_oom(&why, "payments");
        rpc_fail(call, &why);
        count = 0;
    }
    for (uint32_t i = 0; i < count; i++)
        buf_init(&scripts[i], SCRIPT_SIZE_MAX_B);
    if (count > 0) {
        if (!read_payments(payments, scripts, call, &why) ||
            !rpc_arg_bool(&spend.replaceable, call, 5, true, &why) ||
            !read_fee_rate(&spend.feerate_sat_kvb, call, 8, &why) || !rpc_arg_bool(&verbose, call, 9, false, &why)) {
            rpc_fail(call, &why);
        } else {
            spend.payments = payments;
            spend.payment_count = count;
            send_payments(call, wallet, &spend, verbose);
        }
    }
    for (uint32_t i = 0; i < count; i++)
        buf_clear(&scripts[i]);
    mem_free(scripts);
    mem_free(payments);
}

/* ---- the table ---- */

static const struct rpc_arg getbalance_args[] = {
    {"dummy", RPC_STRING, false, "\"*\"", "Remains for old callers: leave it out or give \"*\"."},
    {"minconf", RPC_NUMBER, false, "0", "Only coins confirmed at least so many times."},
    {"include_watchonly", RPC_BOOL, false, "false", "Without effect."},
    {"avoid_reuse", RPC_BOOL, false, "true", "Without effect."},
    RPC_ARGS_END,
};
static const struct rpc_arg listunspent_args[] = {
    {"minconf", RPC_NUMBER, false, "1", "The least confirmations."},
    {"maxconf", RPC_NUMBER, false, "9999999", "The most confirmations."},
    {"addresses", RPC_ARRAY, false, "[]", "Only coins of these addresses."},
    {"include_unsafe", RPC_BOOL, false, "true", "Also unconfirmed coins from others."},
    {"query_options", RPC_OBJECT, false, "{}", "minimumAmount, maximumAmount, include_immature_coinbase."},
    RPC_ARGS_END,
};
static const struct rpc_arg lockunspent_args[] = {
    {"unlock", RPC_BOOL, true, NULL, "true unlocks, false locks."},
    {"transactions", RPC_ARRAY, false, "[]", "[{\"txid\": ..., \"vout\": n}, ...]; none with unlock: all."},
    {"persistent", RPC_BOOL, false, "false", "Keep the lock over restarts."},
    RPC_ARGS_END,
};
static const struct rpc_arg listtransactions_args[] = {
    {"label|account|dummy", RPC_STRING, false, "\"*\"", "Only rows with this label; \"*\" for all."},
    {"count", RPC_NUMBER, false, "10", "How many rows."},
    {"skip", RPC_NUMBER, false, "0", "How many of the newest to leave out."},
    {"include_watchonly", RPC_BOOL, false, "false", "Without effect."},
    RPC_ARGS_END,
};
static const struct rpc_arg gettransaction_args[] = {
    {"txid", RPC_HEX, true, NULL, "The transaction id."},
    {"include_watchonly", RPC_BOOL, false, "false", "Without effect."},
    {"verbose", RPC_BOOL, false, "false", "Also the decoded transaction."},
    RPC_ARGS_END,
};
static const struct rpc_arg txid_args[] = {
    {"txid", RPC_HEX, true, NULL, "The transaction id."},
    RPC_ARGS_END,
};
static const struct rpc_arg getreceived_args[] = {
    {"address", RPC_STRING, true, NULL, "The address."},
    {"minconf", RPC_NUMBER, false, "1", "Only transactions confirmed at least so many times."},
    {"include_immature_coinbase", RPC_BOOL, false, "false", "Also young coinbases."},
    RPC_ARGS_END,
};
static const struct rpc_arg sendtoaddress_args[] = {
    {"address", RPC_STRING, true, NULL, "Where to."},
    {"amount", RPC_AMOUNT, true, NULL, "How much."},
    {"comment", RPC_STRING, false, "\"\"", "Accepted, not kept."},
    {"comment_to", RPC_STRING, false, "\"\"", "Accepted, not kept."},
    {"subtractfeefromamount", RPC_BOOL, false, "false", "The receiver pays the fee."},
    {"replaceable", RPC_BOOL, false, "-walletrbf", "Signal that it may be replaced (BIP125)."},
    {"conf_target", RPC_NUMBER, false, "-txconfirmtarget", "Without effect while fees are not estimated."},
    {"estimate_mode", RPC_STRING, false, "\"unset\"", "Without effect while fees are not estimated."},
    {"avoid_reuse", RPC_BOOL, false, "true", "Without effect."},
    {"fee_rate", RPC_AMOUNT, false, "-fallbackfee", "Fee rate in sat/vB."},
    {"verbose", RPC_BOOL, false, "false", "Answer an object."},
    RPC_ARGS_END,
};
static const struct rpc_arg sendmany_args[] = {
    {"dummy", RPC_STRING, true, "\"\"", "Must be \"\"."},
    {"amounts", RPC_OBJECT, true, NULL, "{\"address\": amount, ...}"},
    {"minconf", RPC_NUMBER, false, NULL, "Without effect."},
    {"comment", RPC_STRING, false, "\"\"", "Accepted, not kept."},
    {"subtractfeefrom", RPC_ARRAY, false, "[]", "Addresses that share the fee."},
    {"replaceable", RPC_BOOL, false, "-walletrbf", "Signal that it may be replaced (BIP125)."},
    {"conf_target", RPC_NUMBER, false, "-txconfirmtarget", "Without effect while fees are not estimated."},
    {"estimate_mode", RPC_STRING, false, "\"unset\"", "Without effect while fees are not estimated."},
    {"fee_rate", RPC_AMOUNT, false, "-fallbackfee", "Fee rate in sat/vB."},
    {"verbose", RPC_BOOL, false, "false", "Answer an object."},
    RPC_ARGS_END,
};

const struct rpc_method rpc_wallet_money_methods[] = {
    {.name = "abandontransaction", .summary = "Frees the coins of an unconfirmed transaction that the mempool does not hold.",
        .args = txid_args, .result = "null", .example = "\"txid\"", .run = rpc_abandontransaction},
    {.name = "getbalance", .summary = "Returns the balance that can be spent.", .args = getbalance_args,
        .result = "an amount", .example = "", .run = rpc_getbalance},
    {.name = "getbalances", .summary = "Returns all balances.", .result = "an object", .example = "", .run = rpc_getbalances},
    {.name = "getreceivedbyaddress", .summary = "Returns what an address has received.", .args = getreceived_args,
        .result = "an amount", .example = "\"address\"", .run = rpc_getreceivedbyaddress},
    {.name = "gettransaction", .summary = "Shows a transaction of the wallet.", .args = gettransaction_args,
        .result = "an object", .example = "\"txid\"", .run = rpc_gettransaction},
    {.name = "listlockunspent", .summary = "Lists the coins that are locked.", .result = "an array", .example = "",
        .run = rpc_listlockunspent},
    {.name = "listtransactions", .summary = "Lists the newest transactions, oldest first.", .args = listtransactions_args,
        .result = "an array", .example = "", .run = rpc_listtransactions},
    {.name = "listunspent", .summary = "Lists the coins of the wallet.", .args = listunspent_args, .result = "an array",
        .example = "", .run = rpc_listunspent},
    {.name = "lockunspent", .summary = "Locks or unlocks coins: locked ones are not chosen for payments.",
        .args = lockunspent_args, .result = "true", .example = "false", .run = rpc_lockunspent},
    {.name = "sendmany", .summary = "Pays several addresses with one transaction.", .args = sendmany_args,
        .result = "the txid", .example = "\"\" {\"address\":0.01}", .run = rpc_sendmany},
    {.name = "sendtoaddress", .summary = "Pays an address.", .args = sendtoaddress_args, .result = "the txid",
        .example = "\"address\" 0.1", .run = rpc_sendtoaddress},
    {.name = NULL},
};
