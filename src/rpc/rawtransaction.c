/* The Rawtransactions group: transactions as bytes, in and out. */

#include <string.h>

#include "chain_calls.h"
#include "coin/base/mem.h"
#include "coin/ledger/indexes.h"
#include "coin/mempool/mempool.h"
#include "coin/rpc/groups.h"
#include "coin/script/address.h"
#include "coin/script/script.h"

#define SEQUENCE_REPLACEABLE 0xfffffffdu /* BIP125 */
#define TX_PARTS_MAX 100000              /* inputs or outputs of createrawtransaction */
#define DECODE_FAILED "TX decode failed. Make sure the tx has at least one input."

static void show_whole(struct rpc_call *call, const struct tx *tx, bool with_hex)
{
    jw_object(&call->out);
    rpc_show_tx(&call->out, call->ctx->chain, tx, &(struct rpc_tx_view){.with_hex = with_hex});
    jw_end_object(&call->out);
}

static bool read_tx(struct tx **out, const struct json *v, bool (*decode)(struct tx **, struct span, struct fail *),
    const char *failure, struct fail *why)
{
    struct buf raw;
    buf_init(&raw, BLOCK_SIZE_MAX_B);
    bool ok = hex_to_buf(&raw, v->text) && decode(out, buf_span(&raw), why);
    buf_clear(&raw);
    return ok || fail_request(why, RPC_DESERIALIZATION_ERROR, "%s", failure);
}

static void rpc_decoderawtransaction(struct rpc_call *call)
{
    struct fail why;
    struct tx *tx;
    bool is_witness;
    if (!rpc_arg_bool(&is_witness, call, 1, true, &why) ||
        !read_tx(&tx, call->args[0],
            !rpc_has_arg(call, 1) ? tx_decode_lenient : is_witness ? tx_decode : tx_decode_stripped,
            "TX decode failed", &why)) {
        rpc_fail(call, &why);
        return;
    }
    show_whole(call, tx, false);
    tx_unref(tx);
    rpc_ok(call);
}

/* ---- getrawtransaction ---- */

struct get_tx {
    struct block_read read; /* first: the callback gets it */
    struct rpc_call *call;
    struct txid id;
    int64_t verbosity;
    bool named_block;
};

static void show_place(struct json_writer *w, struct ledger *ledger, const struct block_index *index, bool named)
{
    char hex[ID_HEX_SIZE_B];
    if (named)
        jw_key_bool(w, "in_active_chain", ledger_is_active(ledger, index));
    hash_to_hex(hex, index->id.b);
    jw_key_text(w, "blockhash", hex);
    int32_t confirmations = rpc_confirmations(ledger, index);
    jw_key_i64(w, "confirmations", confirmations < 0 ? 0 : confirmations);
    if (confirmations > 0) {
        jw_key_u64(w, "time", index->time_s);
        jw_key_u64(w, "blocktime", index->time_s);
    }
}

static void show_found(struct get_tx *get, const struct tx *tx, const struct coin *spent)
{
    struct rpc_call *call = get->call;
    struct json_writer *w = &call->out;
    if (get->verbosity <= 0) {
        jw_hex(w, tx->raw.data, tx->raw.size_b);
    } else {
        jw_object(w);
        show_place(w, call->ctx->ledger, get->read.index, get->named_block);
        rpc_show_tx(w, call->ctx->chain, tx,
            &(struct rpc_tx_view){.with_hex = true, .with_prevout = true, .spent = spent});
        jw_end_object(w);
    }
    rpc_ok(call);
}

static void on_read(struct block_read *read, const struct fail *why)
{
    struct get_tx *get = (struct get_tx *)read;
    const struct tx *found = NULL;
    const struct coin *spent = NULL;
    uint32_t first_coin = 0;
    for (uint32_t i = 0; why->kind == FAIL_NONE && i < read->block->tx_count && found == NULL; i++) {
        const struct tx *tx = &read->block->txs[i];
        if (txid_equal(&tx->txid, &get->id)) {
            found = tx;
            spent = i > 0 && read->undo != NULL ? &read->undo->coins[first_coin] : NULL;
        }
        first_coin += i > 0 ? tx->in_count : 0;
    }
    if (why->kind != FAIL_NONE)
        rpc_fail(get->call, why);
    else if (found == NULL)
        rpc_error(get->call, RPC_INVALID_ADDRESS_OR_KEY, "No such transaction found in the provided block. Use "
                                                         "gettransaction for wallet transactions.");
    else
        show_found(get, found, spent);
    block_unref(read->block);
    block_undo_free(read->undo);
    mem_free(get);
}

static void read_from(
    struct rpc_call *call, struct block_index *index, const struct txid *id, int64_t verbosity, bool named)
{
    struct get_tx *get = mem_new(sizeof *get);
    get->call = call;
    get->id = *id;
    get->verbosity = verbosity;
    get->named_block = named;
    get->read = (struct block_read){
        .index = index,
        .want_block = true,
        .want_undo = verbosity >= 2 && ledger_keeps_undo(index),
        .done = on_read,
    };
    if (ledger_read_block(call->ctx->ledger, &get->read))
        return;
    mem_free(get);
    rpc_error(call, RPC_MISC_ERROR, "Too many blocks are being read now, try again");
}

static bool read_verbosity(int64_t *out, const struct rpc_call *call, struct fail *why)
{
    *out = 0;
    if (rpc_has_arg(call, 1) && json_is_bool(call->args[1])) {
        *out = call->args[1]->type == JSON_TRUE;
        return true;
    }
    return rpc_arg_i64(out, call, 1, 0, why);
}

static void find_in_block(struct rpc_call *call, const struct txid *id, int64_t verbosity)
{
    struct fail why;
    struct block_index *index = rpc_arg_block(call, 2, &why);
    if (index == NULL) {
        if (why.rpc_code == RPC_INVALID_ADDRESS_OR_KEY)
            fail_request(&why, RPC_INVALID_ADDRESS_OR_KEY, "Block hash not found");
        rpc_fail(call, &why);
        return;
    }
    read_from(call, index, id, verbosity, true);
}

/* By the index: its answer names the block, which is then read. */
struct find_tx {
    struct tx_query query; /* first: the callback gets it */
    struct rpc_call *call;
    int64_t verbosity;
};

static void not_found(struct rpc_call *call)
{
    struct index_state index = ledger_index_state(call->ctx->ledger, INDEX_TX);
    rpc_error(call, RPC_INVALID_ADDRESS_OR_KEY, "%s. Use gettransaction for wallet transactions.",
        !index.enabled  ? "No such mempool transaction. Use -txindex or provide a block hash to enable blockchain "
                          "transaction queries"
        : !index.synced ? "No such mempool transaction. Blockchain transactions are still in the process of being "
                          "indexed"
                        : "No such mempool or blockchain transaction");
}

static void on_found(struct index_query *query, const struct fail *why)
{
    struct find_tx *find = (struct find_tx *)query;
    struct rpc_call *call = find->call;
    struct tx *tx = find->query.result.tx;
    struct block_index *index = NULL;
    if (find->query.result.found)
        index = ledger_find(call->ctx->ledger, &find->query.result.block);
    if (why->kind != FAIL_NONE) {
        rpc_fail(call, why);
    } else if (index == NULL) {
        not_found(call);
    } else if (find->verbosity <= 0) {
        jw_hex(&call->out, tx->raw.data, tx->raw.size_b);
        rpc_ok(call);
    } else {
        read_from(call, index, &find->query.txid, find->verbosity, false);
    }
    tx_unref(tx);
    mem_free(find);
}

static void find_in_index(struct rpc_call *call, const struct txid *id, int64_t verbosity)
{
    struct find_tx *find = mem_new(sizeof *find);
    find->call = call;
    find->verbosity = verbosity;
    find->query.txid = *id;
    find->query.query.kind = INDEX_TX;
    find->query.query.done = on_found;
    if (ledger_ask_index(call->ctx->ledger, &find->query.query))
        return;
    mem_free(find);
    if (ledger_index_state(call->ctx->ledger, INDEX_TX).enabled)
        rpc_error(call, RPC_MISC_ERROR, "The index is busy, try again");
    else
        not_found(call);
}

static void rpc_getrawtransaction(struct rpc_call *call)
{
    struct fail why;
    struct txid id;
    int64_t verbosity;
    if (!rpc_arg_hash(id.b, call, 0, &why) || !read_verbosity(&verbosity, call, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (rpc_has_arg(call, 2)) {
        find_in_block(call, &id, verbosity);
        return;
    }
    if (txid_equal(&id, &call->ctx->chain->genesis->txs[0].txid)) {
        rpc_error(call, RPC_INVALID_ADDRESS_OR_KEY,
            "The genesis block coinbase is not considered an ordinary transaction and cannot be retrieved");
        return;
    }
    const struct mempool_entry *entry = mempool_find(call->ctx->mempool, &id);
    if (entry == NULL) {
        find_in_index(call, &id, verbosity);
        return;
    }
    if (verbosity <= 0)
        jw_hex(&call->out, entry->tx->raw.data, entry->tx->raw.size_b);
    else
        show_whole(call, entry->tx, true);
    rpc_ok(call);
}

/* ---- sendrawtransaction ---- */

struct send_tx {
    struct coins_request request; /* first: the callback gets it */
    struct rpc_call *call;
    struct tx *tx;
    struct outpoint *outpoints;
    struct coin *coins;
    bool *found;
};

static void send_free(struct send_tx *send)
{
    tx_unref(send->tx);
    arena_clear(&send->request.arena);
    mem_free(send->outpoints);
    mem_free(send->coins);
    mem_free(send->found);
    mem_free(send);
}

static void send_ok(struct send_tx *send)
{
    char hex[ID_HEX_SIZE_B];
    struct rpc_call *call = send->call;
    hash_to_hex(hex, send->tx->txid.b);
    jw_text(&call->out, hex);
    send_free(send);
    rpc_ok(call);
}

static void on_outputs(struct coins_request *request, const struct fail *why)
{
    struct send_tx *send = (struct send_tx *)request;
    struct rpc_call *call = send->call;
    bool any = false;
    for (uint32_t i = 0; why->kind == FAIL_NONE && i < request->count; i++)
        any |= request->found[i];
    send_free(send);
    if (any)
        rpc_error(call, RPC_VERIFY_ALREADY_IN_UTXO_SET, "Transaction outputs already in utxo set");
    else
        rpc_error(call, RPC_VERIFY_ERROR, "bad-txns-inputs-missingorspent");
}

/* Inputs are missing: perhaps because the transaction is in the chain already. */
static void look_for_outputs(struct send_tx *send)
{
    static const struct fail none = {.kind = FAIL_NONE};
    uint32_t count = send->tx->out_count;
    send->outpoints = mem_try_array(count, sizeof *send->outpoints);
    send->coins = mem_try_array(count, sizeof *send->coins);
    send->found = mem_try_array(count, sizeof *send->found);
    if (send->outpoints == NULL || send->coins == NULL || send->found == NULL)
        count = 0;
    for (uint32_t i = 0; i < count; i++)
        send->outpoints[i] = (struct outpoint){send->tx->txid, i};
    send->request.outpoints = send->outpoints;
    send->request.count = count;
    send->request.coins = send->coins;
    send->request.found = send->found;
    send->request.done = on_outputs;
    arena_init(&send->request.arena, 0);
    enum coins_answer answer = count > 0 ? ledger_coins(send->call->ctx->ledger, &send->request) : COINS_READY;
    if (answer == COINS_REFUSED)
        send->request.count = 0;
    if (answer != COINS_PENDING)
        on_outputs(&send->request, &none);
}

static void on_offered(void *ctx, struct tx *tx, const struct mempool_entry *entry, const struct fail *why)
{
    struct send_tx *send = ctx;
    (void)tx;
    if (why->kind == FAIL_NONE || entry != NULL) {
        send_ok(send);
        return;
    }
    if (strcmp(why->code, "bad-txns-inputs-missingorspent") == 0 || strcmp(why->code, "missing-inputs") == 0) {
        look_for_outputs(send);
        return;
    }
    struct rpc_call *call = send->call;
    struct fail kept = *why;
    send_free(send);
    if (strcmp(kept.code, "max-fee-exceeded") == 0)
        rpc_error(call, RPC_VERIFY_ERROR, "Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)");
    else
        rpc_fail(call, &kept);
}

static bool burns_more(const struct tx *tx, int64_t most_sat)
{
    for (uint32_t i = 0; i < tx->out_count; i++) {
        if (script_is_unspendable(tx->out[i].script) && tx->out[i].value_sat > most_sat)
            return true;
    }
    return false;
}

static void rpc_sendrawtransaction(struct rpc_call *call)
{
    struct fail why;
    struct tx *tx;
    int64_t max_feerate_sat = COIN_SAT / 10, max_burn_sat = 0;
    if ((rpc_has_arg(call, 1) && !rpc_amount_value(&max_feerate_sat, call, call->args[1], &why)) ||
        (rpc_has_arg(call, 2) && !rpc_amount_value(&max_burn_sat, call, call->args[2], &why)) ||
        !read_tx(&tx, call->args[0], tx_decode_lenient, DECODE_FAILED, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (max_feerate_sat >= COIN_SAT) {
        tx_unref(tx);
        rpc_error(call, RPC_INVALID_PARAMETER, "Fee rates larger than or equal to 1BTC/kvB are not accepted");
        return;
    }
    if (burns_more(tx, max_burn_sat)) {
        tx_unref(tx);
        rpc_error(call, RPC_VERIFY_ERROR, "Unspendable output exceeds maximum configured by user (maxburnamount)");
        return;
    }
    struct send_tx *send = mem_new(sizeof *send);
    send->call = call;
    send->tx = tx;
    if (mempool_offer(call->ctx->mempool, tx, 0, max_feerate_sat, (struct tx_verdict){on_offered, send}))
        return;
    send_free(send);
    rpc_error(call, RPC_MISC_ERROR, "Too many transactions are being checked now, try again");
}

/* ---- createrawtransaction ---- */

static bool add_input(struct tx_draft *draft, const struct json *v, uint32_t sequence, struct fail *why)
{
    struct outpoint outpoint;
    int64_t vout, given;
    if (!rpc_expect(v, JSON_OBJECT, why) || !rpc_hash_value(outpoint.txid.b, json_get(v, "txid"), "txid", why))
        return false;
    if (json_get(v, "vout") == NULL || !json_to_i64(&vout, json_get(v, "vout"), "vout", why))
        return fail_request(why, RPC_INVALID_PARAMETER, "Invalid parameter, missing vout key");
    if (vout < 0 || vout > UINT32_MAX)
        return fail_request(why, RPC_INVALID_PARAMETER, "Invalid parameter, vout cannot be negative");
    outpoint.index = (uint32_t)vout;
    if (json_get(v, "sequence") != NULL) {
        if (!json_to_i64(&given, json_get(v, "sequence"), "sequence", why) || given < 0 || given > UINT32_MAX)
            return fail_request(why, RPC_INVALID_PARAMETER, "Invalid parameter, sequence number is out of range");
        sequence = (uint32_t)given;
    }
    return tx_draft_add_in(draft, &outpoint, sequence) != NULL || fail_oom(why, "the inputs");
}

/* {"address": amount} or {"data": "hex"} */
static bool add_output(struct tx_draft *draft, const struct rpc_call *call, const struct json *v, struct fail *why)
{
    struct buf script, data;
    int64_t value_sat = 0;
    bool ok;
    buf_init(&script, BLOCK_SIZE_MAX_B);
    buf_init(&data, BLOCK_SIZE_MAX_B);
    if (span_is(v->key, "data")) {
        ok = rpc_hex_value(&data, v, "Data", why);
        buf_put_u8(&script, OP_RETURN);
        script_put_data(&script, buf_span(&data));
    } else {
        ok = rpc_amount_value(&value_sat, call, v, why);
        if (ok && !address_to_script(&script, call->ctx->chain, v->key, why))
            ok = fail_request(why, RPC_INVALID_ADDRESS_OR_KEY, "Invalid Bitcoin address: %.*s",
                v->key.size_b > 128 ? 128 : (int)v->key.size_b, (const char *)v->key.data);
    }
    if (ok && tx_draft_add_out(draft, value_sat, buf_span(&script)) == NULL)
        ok = fail_oom(why, "the outputs");
    buf_clear(&script);
    buf_clear(&data);
    return ok;
}

static bool add_outputs(struct tx_draft *draft, const struct rpc_call *call, const struct json *list, struct fail *why)
{
    for (const struct json *v = list->first; v != NULL; v = v->next) {
        const struct json *pair = v;
        if (list->type == JSON_ARRAY) {
            if (v->type != JSON_OBJECT)
                return fail_request(why, RPC_INVALID_PARAMETER,
                    "Invalid parameter, key-value pair not an object as expected");
            if (v->count != 1)
                return fail_request(why, RPC_INVALID_PARAMETER,
                    "Invalid parameter, key-value pair must contain exactly one key");
            pair = v->first;
        }
        for (const struct json *k = list->first; k != v; k = k->next) {
            struct span other = list->type == JSON_ARRAY ? k->first->key : k->key;
            if (span_equal(other, pair->key))
                return span_is(other, "data")
                           ? fail_request(why, RPC_INVALID_PARAMETER, "Invalid parameter, duplicate key: data")
                           : fail_request(why, RPC_INVALID_PARAMETER, "Invalid parameter, duplicated address: %.*s",
                                 other.size_b > 128 ? 128 : (int)other.size_b, (const char *)other.data);
        }
        if (!add_output(draft, call, pair, why))
            return false;
    }
    return true;
}

static bool fill_draft(struct tx_draft *draft, const struct rpc_call *call, struct fail *why)
{
    const struct json *inputs = call->args[0], *outputs = call->args[1];
    int64_t lock_time, version;
    bool replaceable;
    if (outputs->type != JSON_ARRAY && outputs->type != JSON_OBJECT)
        return fail_request(why, RPC_TYPE_ERROR, "JSON value of type %s is not of expected type array",
            json_type_name(outputs));
    if (inputs->count > TX_PARTS_MAX || outputs->count > TX_PARTS_MAX)
        return fail_request(why, RPC_INVALID_PARAMETER, "At most %d inputs and outputs", TX_PARTS_MAX);
    if (!rpc_arg_i64(&lock_time, call, 2, 0, why) || !rpc_arg_bool(&replaceable, call, 3, true, why) ||
        !rpc_arg_i64(&version, call, 4, TX_VERSION_DEFAULT, why))
        return false;
    if (lock_time < 0 || lock_time > UINT32_MAX)
        return fail_request(why, RPC_INVALID_PARAMETER, "Invalid parameter, locktime out of range");
    if (version < 1 || version > 3)
        return fail_request(why, RPC_INVALID_PARAMETER, "Invalid parameter, version out of range(1~3)");
    draft->lock_time = (uint32_t)lock_time;
    draft->version = (uint32_t)version;
    uint32_t sequence = replaceable ? SEQUENCE_REPLACEABLE : lock_time > 0 ? SEQUENCE_FINAL - 1 : SEQUENCE_FINAL;
    for (const struct json *v = inputs->first; v != NULL; v = v->next) {
        if (!add_input(draft, v, sequence, why))
            return false;
    }
    return add_outputs(draft, call, outputs, why);
}

static void rpc_createrawtransaction(struct rpc_call *call)
{
    struct fail why;
    struct tx_draft draft;
    struct buf raw;
    tx_draft_init(&draft);
    buf_init(&raw, BLOCK_SIZE_MAX_B);
    bool ok = fill_draft(&draft, call, &why);
    if (ok) {
        tx_draft_encode(&raw, &draft, false);
        ok = buf_ok(&raw, "the transaction", &why);
    }
    if (ok) {
        jw_hex(&call->out, raw.data, raw.size_b);
        rpc_ok(call);
    } else {
        rpc_fail(call, &why);
    }
    buf_clear(&raw);
    tx_draft_clear(&draft);
}

/* ---- the table ---- */

static const struct rpc_arg script_args[] = {{"hexstring", RPC_HEX, true, NULL, "The script."}, RPC_ARGS_END};
static const struct rpc_arg decode_args[] = {
    {"hexstring", RPC_HEX, true, NULL, "The transaction."},
    {"iswitness", RPC_BOOL, false, "guessed", "Is it in the form with witnesses?"},
    RPC_ARGS_END,
};
static const struct rpc_arg get_args[] = {
    {"txid", RPC_HEX, true, NULL, "The transaction."},
    {"verbosity|verbose", RPC_VERBOSITY, false, "0", "0: hex, 1: an object, 2: with fee and the outputs it spends."},
    {"blockhash", RPC_HEX, false, NULL, "The block to look in."},
    RPC_ARGS_END,
};
static const struct rpc_arg send_args[] = {
    {"hexstring", RPC_HEX, true, NULL, "The signed transaction."},
    {"maxfeerate", RPC_AMOUNT, false, "0.10", "Refuse it above this fee rate per kvB; 0: any."},
    {"maxburnamount", RPC_AMOUNT, false, "0.00", "Refuse outputs that burn more."},
    RPC_ARGS_END,
};
static const struct rpc_arg create_args[] = {
    {"inputs", RPC_ARRAY, true, NULL, "[{\"txid\":…, \"vout\":n, \"sequence\":n}, …]"},
    {"outputs", RPC_ANY, true, NULL, "[{address: amount}, …, {\"data\": hex}], or one such object"},
    {"locktime", RPC_NUMBER, false, "0", "Height or time before which it is not mined."},
    {"replaceable", RPC_BOOL, false, "true", "Signal that it may be replaced (BIP125)."},
    {"version", RPC_NUMBER, false, "2", "Transaction version."},
    RPC_ARGS_END,
};

const struct rpc_method rpc_rawtransaction_methods[] = {
    {.name = "createrawtransaction", .summary = "Makes an unsigned transaction.", .args = create_args,
        .result = "hex", .example = "\"[]\" \"{\\\"ADDRESS\\\":0.01}\"", .run = rpc_createrawtransaction},
    {.name = "decodescript", .summary = "Explains a script, and the addresses of its hash.", .args = script_args,
        .result = "an object", .example = "51", .run = rpc_decodescript},
    {.name = "decoderawtransaction", .summary = "Explains a transaction.", .args = decode_args,
        .result = "an object", .example = "HEX", .run = rpc_decoderawtransaction},
    {.name = "getrawtransaction", .summary = "Returns a transaction of the mempool or of a block.",
        .args = get_args, .result = "hex, or an object", .example = "TXID 1", .run = rpc_getrawtransaction},
    {.name = "sendrawtransaction", .summary = "Offers a transaction to the mempool and the network.",
        .args = send_args, .result = "its id", .example = "HEX", .run = rpc_sendrawtransaction},
    {.name = NULL},
};
