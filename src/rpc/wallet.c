/* Calls about wallets as such: making, loading, keys, addresses, labels, keeping. */

#include <stdlib.h>
#include <string.h>

#include "coin/base/log.h"
#include "coin/descriptor/descriptor.h"
#include "coin/script/address.h"
#include "coin/wallet/bip39.h"
#include "wallet_common.h"

#define PATH_MAX_B 1024
#define RESTORE_WORDS_MAX_B 1024

/* ---- create, load, unload, list ---- */

static void answer_name(void *ctx, struct wallet *wallet, const struct fail *why)
{
    struct rpc_call *call = ctx;
    if (why->kind != FAIL_NONE) {
        rpc_fail(call, why);
        return;
    }
    jw_object(&call->out);
    if (wallet != NULL)
        jw_key_text(&call->out, "name", wallet_name(wallet));
    jw_end_object(&call->out);
    rpc_ok(call);
}

static bool wallets_enabled(struct rpc_call *call)
{
    if (call->ctx->wallets != NULL)
        return true;
    rpc_error(call, RPC_METHOD_NOT_FOUND, "Method not found (wallet is disabled: -disablewallet)");
    return false;
}

/* Flags of the reference wallet that this one does not have are refused, not ignored: money hangs on them. */
static bool refuse_flag(struct rpc_call *call, uint32_t i, bool unwanted, const char *text, struct fail *why)
{
    bool value;
    if (!rpc_arg_bool(&value, call, i, !unwanted, why))
        return false;
    return value != unwanted || fail_request(why, RPC_WALLET_ERROR, "%s", text);
}

static bool arg_on_startup(int *out, struct rpc_call *call, uint32_t i, struct fail *why)
{
    bool value;
    *out = -1;
    if (!rpc_has_arg(call, i))
        return true;
    if (!rpc_arg_bool(&value, call, i, false, why))
        return false;
    *out = value ? 1 : 0;
    return true;
}

static void rpc_createwallet(struct rpc_call *call)
{
    struct fail why;
    struct span name, passphrase;
    int on_startup;
    if (!wallets_enabled(call))
        return;
    if (!rpc_arg_text(&name, call, 0, "", &why) || !rpc_arg_text(&passphrase, call, 3, "", &why) ||
        !refuse_flag(call, 1, true, "Wallets without private keys are not supported", &why) ||
        !refuse_flag(call, 2, true, "Blank wallets are not supported", &why) ||
        !refuse_flag(call, 4, true, "avoid_reuse is not supported", &why) ||
        !refuse_flag(call, 5, false,
            "descriptors argument must be set to \"true\"; it is no longer possible to create a legacy wallet.", &why) ||
        !arg_on_startup(&on_startup, call, 6, &why) ||
        !refuse_flag(call, 7, true, "Compiled without external signing support (required for external signing)", &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (passphrase.size_b > 0) {
        rpc_error(call, RPC_WALLET_ENCRYPTION_FAILED, "Encrypted wallets are not supported yet: leave the passphrase out");
        return;
    }
    struct wallet_create options = {.birth_s = -1, .load_on_startup = on_startup != 0};
    wallets_create(call->ctx->wallets, name, &options, (struct wallet_done){answer_name, call});
}

static void rpc_restorewords(struct rpc_call *call)
{
    struct fail why;
    struct span name, words, passphrase;
    int64_t birth_s;
    if (!wallets_enabled(call))
        return;
    if (!rpc_arg_text(&name, call, 0, "", &why) || !rpc_arg_text(&words, call, 1, "", &why) ||
        !rpc_arg_text(&passphrase, call, 2, "", &why) || !rpc_arg_i64(&birth_s, call, 3, 0, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (words.size_b == 0 || words.size_b > RESTORE_WORDS_MAX_B) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Give the 12, 15, 18, 21 or 24 recovery words as one string");
        return;
    }
    struct wallet_create options = {.words = words, .passphrase = passphrase, .birth_s = birth_s < 0 ? 0 : birth_s,
        .load_on_startup = 1};
    wallets_create(call->ctx->wallets, name, &options, (struct wallet_done){answer_name, call});
}

static void rpc_restorewallet(struct rpc_call *call)
{
    struct fail why;
    struct span name, file;
    char path[PATH_SIZE_B];
    int on_startup;
    if (!wallets_enabled(call))
        return;
    if (!rpc_arg_text(&name, call, 0, "", &why) || !rpc_arg_text(&file, call, 1, "", &why) ||
        !arg_on_startup(&on_startup, call, 2, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (file.size_b == 0 || file.size_b >= sizeof path || memchr(file.data, 0, file.size_b) != NULL) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Backup file does not exist");
        return;
    }
    memcpy(path, file.data, file.size_b);
    path[file.size_b] = 0;
    struct wallet_create options = {.backup = path, .load_on_startup = on_startup != 0};
    wallets_create(call->ctx->wallets, name, &options, (struct wallet_done){answer_name, call});
}

static void rpc_loadwallet(struct rpc_call *call)
{
    struct fail why;
    struct span name;
    int on_startup;
    if (!wallets_enabled(call))
        return;
    if (!rpc_arg_text(&name, call, 0, "", &why) || !arg_on_startup(&on_startup, call, 1, &why))
        rpc_fail(call, &why);
    else
        wallets_load(call->ctx->wallets, name, on_startup, (struct wallet_done){answer_name, call});
}

static void rpc_unloadwallet(struct rpc_call *call)
{
    struct fail why;
    struct span name;
    int on_startup;
    if (!wallets_enabled(call))
        return;
    if (!rpc_arg_text(&name, call, 0, "", &why) || !arg_on_startup(&on_startup, call, 1, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (rpc_has_arg(call, 0) && call->wallet_name.data != NULL && !span_equal(name, call->wallet_name)) {
        rpc_error(call, RPC_INVALID_PARAMETER,
            "The RPC endpoint wallet and the wallet name parameter specify different wallets");
        return;
    }
    if (rpc_has_arg(call, 0))
        call->wallet_name = name;
    struct wallet *wallet = wallet_of_call(call);
    if (wallet != NULL)
        wallets_unload(call->ctx->wallets, wallet, on_startup, (struct wallet_done){answer_name, call});
}

static void rpc_listwallets(struct rpc_call *call)
{
    if (!wallets_enabled(call))
        return;
    jw_array(&call->out);
    for (uint32_t i = 0; i < wallets_count(call->ctx->wallets); i++)
        jw_text(&call->out, wallet_name(wallets_at(call->ctx->wallets, i)));
    jw_end_array(&call->out);
    rpc_ok(call);
}

static void show_dir_entry(void *ctx, const char *name)
{
    struct rpc_call *call = ctx;
    jw_object(&call->out);
    jw_key_text(&call->out, "name", name);
    jw_end_object(&call->out);
}

static void finish_dir(void *ctx, const struct fail *why)
{
    struct rpc_call *call = ctx;
    if (why->kind != FAIL_NONE) {
        rpc_fail(call, why);
        return;
    }
    jw_end_array(&call->out);
    jw_end_object(&call->out);
    rpc_ok(call);
}

static void rpc_listwalletdir(struct rpc_call *call)
{
    if (!wallets_enabled(call))
        return;
    jw_object(&call->out);
    jw_key(&call->out, "wallets");
    jw_array(&call->out);
    wallets_list_dir(call->ctx->wallets, show_dir_entry, (struct ledger_done){finish_dir, call});
}

static void rpc_getwalletinfo(struct rpc_call *call)
{
    double progress;
    int64_t duration_s;
    struct wallet *wallet = wallet_of_call(call);
    struct json_writer *w = &call->out;
    if (wallet == NULL)
        return;
    jw_object(w);
    jw_key_text(w, "walletname", wallet_name(wallet));
    jw_key_i64(w, "walletversion", 169900);
    jw_key_text(w, "format", "sqlite");
    jw_key_u64(w, "txcount", wallet_tx_count(wallet));
    jw_key_u64(w, "keypoolsize", wallet_keypool_left(wallet, false));
    jw_key_u64(w, "keypoolsize_hd_internal", wallet_keypool_left(wallet, true));
    jw_key_bool(w, "private_keys_enabled", true);
    jw_key_bool(w, "avoid_reuse", false);
    jw_key(w, "scanning");
    if (wallet_is_scanning(wallet, &progress, &duration_s)) {
        jw_object(w);
        jw_key_i64(w, "duration", duration_s);
        jw_key_double(w, "progress", progress);
        jw_end_object(w);
    } else {
        jw_bool(w, false);
    }
    jw_key_bool(w, "descriptors", true);
    jw_key_bool(w, "external_signer", false);
    jw_key_bool(w, "blank", false);
    if (wallet_birth_s(wallet) > 0)
        jw_key_i64(w, "birthtime", wallet_birth_s(wallet));
    jw_key(w, "flags");
    jw_array(w);
    jw_text(w, "descriptor_wallet");
    jw_end_array(w);
    wallet_show_last_block(w, wallet);
    jw_end_object(w);
    rpc_ok(call);
}

/* ---- addresses ---- */

static bool arg_kind(enum wallet_kind *out, struct rpc_call *call, uint32_t i, struct fail *why)
{
    struct span text;
    const char *configured = config_text(call->ctx->config, "addresstype");
    if (!rpc_arg_text(&text, call, i, configured != NULL && *configured != 0 ? configured : "bech32", why))
        return false;
    if (span_is(text, "bech32"))
        *out = WALLET_BIP84;
    else if (span_is(text, "bech32m"))
        *out = WALLET_BIP86;
    else if (span_is(text, "legacy") || span_is(text, "p2sh-segwit"))
        return fail_request(why, RPC_WALLET_KEYPOOL_RAN_OUT, "Error: No %.*s addresses available.",
            (int)text.size_b, (const char *)text.data);
    else
        return fail_request(why, RPC_INVALID_ADDRESS_OR_KEY, "Unknown address type '%.*s'",
            text.size_b > 64 ? 64 : (int)text.size_b, (const char *)text.data);
    return true;
}

static void answer_address(void *ctx, struct span script, const struct fail *why)
{
    struct rpc_call *call = ctx;
    char text[ADDRESS_SIZE_B];
    if (why->kind != FAIL_NONE) {
        rpc_fail(call, why);
        return;
    }
    if (!address_from_script(text, call->ctx->chain, script)) {
        rpc_error(call, RPC_WALLET_ERROR, "Error: the new script has no address");
        return;
    }
    jw_text(&call->out, text);
    rpc_ok(call);
}

static void rpc_getnewaddress(struct rpc_call *call)
{
    struct fail why;
    struct span label;
    enum wallet_kind kind;
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    if (!rpc_arg_text(&label, call, 0, "", &why) || !arg_kind(&kind, call, 1, &why))
        rpc_fail(call, &why);
    else if (span_is(label, "*"))
        rpc_error(call, RPC_WALLET_INVALID_LABEL_NAME, "Invalid label name");
    else
        wallet_new_address(wallet, kind, false, label, (struct wallet_address_done){answer_address, call});
}

static void rpc_getrawchangeaddress(struct rpc_call *call)
{
    struct fail why;
    enum wallet_kind kind;
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    if (!arg_kind(&kind, call, 0, &why))
        rpc_fail(call, &why);
    else
        wallet_new_address(
            wallet, kind, true, span_text(""), (struct wallet_address_done){answer_address, call});
}

struct address_info {
    struct rpc_call *call;
    struct wallet *wallet;
    struct buf script;
};

static void show_address_info(void *ctx, const char *path, const uint8_t pubkey[33], const uint8_t fingerprint[4],
    const struct fail *why)
{
    struct address_info *info = ctx;
    struct rpc_call *call = info->call;
    struct json_writer *w = &call->out;
    struct span script = buf_span(&info->script), program;
    struct wallet_key_info key = {0};
    struct wallet_descriptor_info ignored;
    struct buf text;
    uint32_t version;
    bool mine = wallet_is_mine(info->wallet, script, &key), has_label;
    buf_init(&text, DESCRIPTOR_TEXT_MAX_B);
    jw_object(w);
    wallet_show_address(w, call->ctx->chain, script);
    jw_key_hex(w, "scriptPubKey", script.data, script.size_b);
    jw_key_bool(w, "ismine", mine);
    jw_key_bool(w, "solvable", mine);
    if (mine && why->kind == FAIL_NONE) {
        char hex[67], checksum[DESCRIPTOR_CHECKSUM_SIZE_B], finger[9];
        bool taproot = key.kind == WALLET_BIP86;
        hex_encode(finger, fingerprint, 4);
        hex_encode(hex, taproot ? pubkey + 1 : pubkey, taproot ? 32 : 33);
        buf_printf(&text, "%s([%s%s]%s)", taproot ? "tr" : "wpkh", finger, path + 1, hex);
        if (descriptor_checksum(checksum, buf_span(&text)))
            buf_printf(&text, "#%s", checksum);
        jw_key(w, "desc");
        jw_string(w, buf_span(&text));
        buf_clear(&text);
        if (wallet_descriptor(info->wallet, key.descriptor, false, &text, &ignored)) {
            jw_key(w, "parent_desc");
            jw_string(w, buf_span(&text));
        }
    }
    jw_key_bool(w, "iswatchonly", false);
    struct script_match match = script_match(script);
    bool is_script = match.kind == SCRIPT_SCRIPTHASH || match.kind == SCRIPT_WITNESS_V0_SCRIPTHASH ||
                     match.kind == SCRIPT_WITNESS_V1_TAPROOT;
    jw_key_bool(w, "isscript", is_script);
    bool witness = script_witness_program(script, &version, &program);
    jw_key_bool(w, "iswitness", witness);
    if (witness) {
        jw_key_u64(w, "witness_version", version);
        jw_key_hex(w, "witness_program", program.data, program.size_b);
    }
    if (mine && why->kind == FAIL_NONE && key.kind == WALLET_BIP84)
        jw_key_hex(w, "pubkey", pubkey, 33);
    jw_key_bool(w, "ischange", mine && wallet_is_change(info->wallet, script));
    if (mine && why->kind == FAIL_NONE) {
        jw_key_i64(w, "timestamp", wallet_birth_s(info->wallet));
        jw_key_text(w, "hdkeypath", path);
        jw_key_text(w, "hdseedid", "0000000000000000000000000000000000000000");
        jw_key_hex(w, "hdmasterfingerprint", fingerprint, 4);
    }
    jw_key(w, "labels");
    jw_array(w);
    struct span label = wallet_label(info->wallet, script, &has_label);
    if (has_label)
        jw_string(w, label);
    jw_end_array(w);
    jw_end_object(w);
    rpc_ok(call);
    buf_clear(&text);
    buf_clear(&info->script);
    mem_free(info);
}

static void rpc_getaddressinfo(struct rpc_call *call)
{
    struct fail why;
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    struct address_info *info = mem_new(sizeof *info);
    info->call = call;
    info->wallet = wallet;
    buf_init(&info->script, SCRIPT_SIZE_MAX_B);
    if (!wallet_arg_address(&info->script, call, 0, &why)) {
        rpc_fail(call, &why);
        buf_clear(&info->script);
        mem_free(info);
        return;
    }
    wallet_key(wallet, buf_span(&info->script), (struct wallet_key_done){show_address_info, info});
}

/* ---- labels ---- */

static void rpc_setlabel(struct rpc_call *call)
{
    struct fail why;
    struct span label;
    struct buf script;
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    buf_init(&script, SCRIPT_SIZE_MAX_B);
    if (!wallet_arg_address(&script, call, 0, &why) || !rpc_arg_text(&label, call, 1, "", &why))
        rpc_fail(call, &why);
    else if (span_is(label, "*"))
        rpc_error(call, RPC_WALLET_INVALID_LABEL_NAME, "Invalid label name");
    else
        wallet_set_label(wallet, buf_span(&script), label,
            span_text(wallet_is_mine(wallet, buf_span(&script), NULL) ? "receive" : "send"),
            (struct ledger_done){wallet_answer_null, call});
    buf_clear(&script);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void rpc_listlabels(struct rpc_call *call)
{
    struct fail why;
    struct span wanted, script, label, purpose;
    uint32_t cursor = 0, count = 0, capacity = 0;
    const char **labels = NULL;
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    if (!rpc_arg_text(&wanted, call, 0, "", &why)) {
        rpc_fail(call, &why);
        return;
    }
    while (wallet_next_label(wallet, &cursor, &script, &label, &purpose)) {
        if (wanted.size_b > 0 && !span_equal(wanted, purpose))
            continue;
        if (!mem_try_grow(&labels, &capacity, count + 1, UINT32_MAX, sizeof *labels))
            break;
        labels[count++] = (const char *)label.data; /* NUL-terminated where it lies */
    }
    if (count > 0)
        qsort(labels, count, sizeof *labels, by_text);
    jw_array(&call->out);
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(labels[i], labels[i - 1]) != 0)
            jw_text(&call->out, labels[i]);
    }
    jw_end_array(&call->out);
    mem_free(labels);
    rpc_ok(call);
}

static void rpc_getaddressesbylabel(struct rpc_call *call)
{
    struct fail why;
    struct span wanted, script, label, purpose;
    uint32_t cursor = 0, found = 0;
    char text[ADDRESS_SIZE_B];
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    if (!rpc_arg_text(&wanted, call, 0, "", &why)) {
        rpc_fail(call, &why);
        return;
    }
    while (wallet_next_label(wallet, &cursor, &script, &label, &purpose))
        found += span_equal(label, wanted);
    if (found == 0) {
        rpc_error(call, RPC_WALLET_INVALID_LABEL_NAME, "No addresses with label %.*s",
            wanted.size_b > 128 ? 128 : (int)wanted.size_b, (const char *)wanted.data);
        return;
    }
    jw_object(&call->out);
    cursor = 0;
    while (wallet_next_label(wallet, &cursor, &script, &label, &purpose)) {
        if (!span_equal(label, wanted) || !address_from_script(text, call->ctx->chain, script))
            continue;
        jw_key(&call->out, text);
        jw_object(&call->out);
        jw_key(&call->out, "purpose");
        jw_string(&call->out, purpose);
        jw_end_object(&call->out);
    }
    jw_end_object(&call->out);
    rpc_ok(call);
}

/* ---- keys and keeping ---- */

static void rpc_listdescriptors(struct rpc_call *call)
{
    struct fail why;
    bool with_secret;
    struct wallet_descriptor_info info;
    struct buf text;
    struct json_writer *w = &call->out;
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    if (!rpc_arg_bool(&with_secret, call, 0, false, &why)) {
        rpc_fail(call, &why);
        return;
    }
    buf_init(&text, DESCRIPTOR_TEXT_MAX_B);
    jw_object(w);
    jw_key_text(w, "wallet_name", wallet_name(wallet));
    jw_key(w, "descriptors");
    jw_array(w);
    for (uint32_t i = 0; wallet_descriptor(wallet, i, with_secret, &text, &info); i++) {
        jw_object(w);
        jw_key(w, "desc");
        jw_string(w, buf_span(&text));
        jw_key_i64(w, "timestamp", info.created_s);
        jw_key_bool(w, "active", info.active);
        jw_key_bool(w, "internal", info.internal);
        jw_key(w, "range");
        jw_array(w);
        jw_u64(w, 0);
        jw_u64(w, info.range_end > 0 ? info.range_end - 1 : 0);
        jw_end_array(w);
        jw_key_u64(w, "next", info.next);
        jw_key_u64(w, "next_index", info.next);
        jw_end_object(w);
        mem_wipe(text.data, text.size_b);
        buf_clear(&text);
    }
    jw_end_array(w);
    jw_end_object(w);
    rpc_ok(call);
}

static void rpc_getwalletwords(struct rpc_call *call)
{
    struct fail why;
    struct buf words;
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    buf_init(&words, BIP39_TEXT_SIZE_B);
    if (!wallet_words(wallet, &words, &why)) {
        rpc_fail(call, &why);
    } else {
        jw_string(&call->out, buf_span(&words));
        wallet_mark_backed_up(wallet);
        rpc_ok(call);
    }
    if (words.data != NULL)
        mem_wipe(words.data, words.size_b);
    buf_clear(&words);
}

static void rpc_backupwallet(struct rpc_call *call)
{
    struct fail why;
    struct span path;
    char text[PATH_MAX_B];
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    if (!rpc_arg_text(&path, call, 0, "", &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (path.size_b == 0 || path.size_b >= sizeof text || memchr(path.data, 0, path.size_b) != NULL) {
        rpc_error(call, RPC_WALLET_ERROR, "Error: Wallet backup failed! The destination is not a usable path");
        return;
    }
    memcpy(text, path.data, path.size_b);
    text[path.size_b] = 0;
    wallet_backup(wallet, text, (struct ledger_done){wallet_answer_null, call});
}

static void rpc_keypoolrefill(struct rpc_call *call)
{
    if (wallet_of_call(call) == NULL)
        return;
    jw_null(&call->out); /* every branch is kept filled by itself */
    rpc_ok(call);
}

struct rescan {
    struct rpc_call *call;
    struct wallet *wallet;
    int32_t start;
};

static void answer_rescan(void *ctx, const struct fail *why)
{
    struct rescan *rescan = ctx;
    struct rpc_call *call = rescan->call;
    if (why->kind != FAIL_NONE) {
        rpc_fail(call, why);
    } else {
        jw_object(&call->out);
        jw_key_i64(&call->out, "start_height", rescan->start);
        jw_key_i64(&call->out, "stop_height", wallet_synced(rescan->wallet)->height);
        jw_end_object(&call->out);
        rpc_ok(call);
    }
    mem_free(rescan);
}

static void rpc_rescanblockchain(struct rpc_call *call)
{
    struct fail why;
    int64_t start, stop;
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    int32_t tip = ledger_tip(call->ctx->ledger)->height;
    if (!rpc_arg_i64(&start, call, 0, 0, &why) || !rpc_arg_i64(&stop, call, 1, tip, &why)) {
        rpc_fail(call, &why);
    } else if (start < 0 || start > tip) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Invalid start_height");
    } else if (stop < start) {
        rpc_error(call, RPC_INVALID_PARAMETER, "stop_height must be greater than start_height");
    } else if (stop > tip) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Invalid stop_height");
    } else {
        struct rescan *rescan = mem_new(sizeof *rescan);
        *rescan = (struct rescan){.call = call, .wallet = wallet, .start = (int32_t)start};
        wallet_rescan(wallet, (int32_t)start, (struct ledger_done){answer_rescan, rescan});
    }
}

static void rpc_abortrescan(struct rpc_call *call)
{
    double progress;
    int64_t duration_s;
    struct wallet *wallet = wallet_of_call(call);
    if (wallet == NULL)
        return;
    bool scanning = wallet_is_scanning(wallet, &progress, &duration_s);
    if (scanning)
        wallet_abort_rescan(wallet);
    jw_bool(&call->out, scanning);
    rpc_ok(call);
}

/* ---- the table ---- */

static const struct rpc_arg createwallet_args[] = {
    {"wallet_name", RPC_STRING, true, NULL, "The name for the new wallet: a folder below wallets/."},
    {"disable_private_keys", RPC_BOOL, false, "false", "Not supported: must be false."},
    {"blank", RPC_BOOL, false, "false", "Not supported: must be false."},
    {"passphrase", RPC_STRING, false, NULL, "Not supported yet: must be empty."},
    {"avoid_reuse", RPC_BOOL, false, "false", "Not supported: must be false."},
    {"descriptors", RPC_BOOL, false, "true", "Must be true."},
    {"load_on_startup", RPC_BOOL, false, "true", "Load it at the next start too."},
    {"external_signer", RPC_BOOL, false, "false", "Not supported: must be false."},
    RPC_ARGS_END,
};
static const struct rpc_arg restorewallet_args[] = {
    {"wallet_name", RPC_STRING, true, NULL, "What the wallet is called from now on."},
    {"backup_file", RPC_STRING, true, NULL, "A file that backupwallet wrote."},
    {"load_on_startup", RPC_BOOL, false, "true", "Load it at each start."},
    RPC_ARGS_END,
};
static const struct rpc_arg restorewords_args[] = {
    {"wallet_name", RPC_STRING, true, NULL, "The name for the restored wallet."},
    {"words", RPC_STRING, true, NULL, "12, 15, 18, 21 or 24 BIP39 words (English) in one string."},
    {"passphrase", RPC_STRING, false, "\"\"", "The BIP39 passphrase, if there was one."},
    {"birthtime", RPC_NUMBER, false, "0", "When the first key may have been used, seconds since 1970."},
    RPC_ARGS_END,
};
static const struct rpc_arg loadwallet_args[] = {
    {"filename", RPC_STRING, true, NULL, "The wallet's name."},
    {"load_on_startup", RPC_BOOL, false, "null", "Remember for the next start; null leaves it as it is."},
    RPC_ARGS_END,
};
static const struct rpc_arg unloadwallet_args[] = {
    {"wallet_name", RPC_STRING, false, "the RPC endpoint wallet", "The wallet to unload."},
    {"load_on_startup", RPC_BOOL, false, "null", "Remember for the next start; null leaves it as it is."},
    RPC_ARGS_END,
};
static const struct rpc_arg getnewaddress_args[] = {
    {"label", RPC_STRING, false, "\"\"", "The label of the address."},
    {"address_type", RPC_STRING, false, "-addresstype", "\"bech32\" or \"bech32m\"."},
    RPC_ARGS_END,
};
static const struct rpc_arg address_type_args[] = {
    {"address_type", RPC_STRING, false, "-addresstype", "\"bech32\" or \"bech32m\"."},
    RPC_ARGS_END,
};
static const struct rpc_arg address_args[] = {
    {"address", RPC_STRING, true, NULL, "The address."},
    RPC_ARGS_END,
};
static const struct rpc_arg setlabel_args[] = {
    {"address", RPC_STRING, true, NULL, "The address."},
    {"label", RPC_STRING, true, NULL, "The label to give it."},
    RPC_ARGS_END,
};
static const struct rpc_arg listlabels_args[] = {
    {"purpose", RPC_STRING, false, "\"\"", "\"receive\", \"send\", or empty for all."},
    RPC_ARGS_END,
};
static const struct rpc_arg label_args[] = {
    {"label", RPC_STRING, true, NULL, "The label."},
    RPC_ARGS_END,
};
static const struct rpc_arg listdescriptors_args[] = {
    {"private", RPC_BOOL, false, "false", "Show private descriptors."},
    RPC_ARGS_END,
};
static const struct rpc_arg backupwallet_args[] = {
    {"destination", RPC_STRING, true, NULL, "The file to write; it must not exist."},
    RPC_ARGS_END,
};
static const struct rpc_arg keypoolrefill_args[] = {
    {"newsize", RPC_NUMBER, false, "-keypool", "Accepted; every descriptor is kept filled by itself."},
    RPC_ARGS_END,
};
static const struct rpc_arg rescan_args[] = {
    {"start_height", RPC_NUMBER, false, "0", "Where to begin."},
    {"stop_height", RPC_NUMBER, false, "tip", "The last block that must be looked at."},
    RPC_ARGS_END,
};

const struct rpc_method rpc_wallet_methods[] = {
    {.name = "abortrescan", .summary = "Stops a rescan that rescanblockchain began.", .result = "true or false: whether one was running",
        .example = "", .run = rpc_abortrescan},
    {.name = "backupwallet", .summary = "Writes a consistent copy of the wallet file.", .args = backupwallet_args,
        .result = "null", .example = "\"/tmp/wallet.backup\"", .run = rpc_backupwallet},
    {.name = "createwallet", .summary = "Creates and loads a new wallet with fresh recovery words.",
        .args = createwallet_args, .result = "{\"name\": ...}", .example = "\"savings\"", .run = rpc_createwallet},
    {.name = "getaddressesbylabel", .summary = "Lists the addresses that carry a label.", .args = label_args,
        .result = "{\"address\": {\"purpose\": ...}, ...}", .example = "\"tabby\"", .run = rpc_getaddressesbylabel},
    {.name = "getaddressinfo", .summary = "Tells what the wallet knows of an address.", .args = address_args,
        .result = "an object", .example = "\"address\"", .run = rpc_getaddressinfo},
    {.name = "getnewaddress", .summary = "Returns a new address for receiving.", .args = getnewaddress_args,
        .result = "the address", .example = "", .run = rpc_getnewaddress},
    {.name = "getrawchangeaddress", .summary = "Returns a new address for change.", .args = address_type_args,
        .result = "the address", .example = "", .run = rpc_getrawchangeaddress},
    {.name = "getwalletinfo", .summary = "Tells the state of the wallet.", .result = "an object", .example = "",
        .run = rpc_getwalletinfo},
    {.name = "getwalletwords", .summary = "Shows the recovery words (BIP39): whoever has them has the money. Write them on paper.",
        .result = "the words in one string", .example = "", .run = rpc_getwalletwords},
    {.name = "keypoolrefill", .summary = "Keeps the keypool filled (it is, always).", .args = keypoolrefill_args,
        .result = "null", .example = "", .run = rpc_keypoolrefill},
    {.name = "listdescriptors", .summary = "Lists the descriptors of the wallet.", .args = listdescriptors_args,
        .result = "an object", .example = "", .run = rpc_listdescriptors},
    {.name = "listlabels", .summary = "Lists all labels.", .args = listlabels_args, .result = "an array of strings",
        .example = "", .run = rpc_listlabels},
    {.name = "listwalletdir", .summary = "Lists the wallets in the wallet folder.", .result = "{\"wallets\": [{\"name\": ...}, ...]}",
        .example = "", .run = rpc_listwalletdir},
    {.name = "listwallets", .summary = "Lists the loaded wallets.", .result = "an array of names", .example = "",
        .run = rpc_listwallets},
    {.name = "loadwallet", .summary = "Loads a wallet.", .args = loadwallet_args, .result = "{\"name\": ...}",
        .example = "\"savings\"", .run = rpc_loadwallet},
    {.name = "rescanblockchain", .summary = "Looks through the chain again for transactions of this wallet.",
        .args = rescan_args, .result = "{\"start_height\": n, \"stop_height\": n}", .example = "0", .run = rpc_rescanblockchain},
    {.name = "restorewallet", .summary = "Makes a wallet from a backup of its file.", .args = restorewallet_args,
        .result = "{\"name\": ...}", .example = "\"again\" \"FILE\"", .run = rpc_restorewallet},
    {.name = "restorewords", .summary = "Makes a wallet from recovery words and looks through the chain for its coins.",
        .args = restorewords_args, .result = "{\"name\": ...}",
        .example = "\"restored\" \"abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about\"",
        .run = rpc_restorewords},
    {.name = "setlabel", .summary = "Sets the label of an address.", .args = setlabel_args, .result = "null",
        .example = "\"address\" \"tabby\"", .run = rpc_setlabel},
    {.name = "unloadwallet", .summary = "Unloads a wallet.", .args = unloadwallet_args, .result = "{}",
        .example = "\"savings\"", .run = rpc_unloadwallet},
    {.name = NULL},
};
