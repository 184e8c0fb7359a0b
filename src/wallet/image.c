/* A wallet between file and memory. Making one and loading one both happen in a job, on a struct wallet that
 * nobody else sees yet: seed stretching, thousands of key derivations and reading the file would stop the loop
 * for a second. Rows of `meta`:
 *
 *   genesis     32 bytes: the chain that this wallet belongs to
 *   entropy     the recovery words as entropy (absent for a wallet without)
 *   birth       int64 LE: first key's time, seconds since 1970
 *   locator     block ids (32 bytes each), newest first: the chain as far as it was followed
 *   backed_up   one byte: a backup was made, or the words were shown
 *
 * A descriptor row holds its branch in binary beside the text that people read, so that loading derives
 * nothing:  flags (1 active, 2 internal), kind, next, range_end, created; text = public descriptor;
 * secret = fingerprint (4) | account chain code (32) | key (32) | parent fingerprint (4) | child (4) | depth (1). */

#include <stdio.h>
#include <string.h>

#include "coin/crypto/secp.h"
#include "internal.h"

#define SECRET_SIZE_B (4 + 32 + 32 + 4 + 4 + 1)
#define BRANCH_ACTIVE 1
#define BRANCH_INTERNAL 2
#define DESCRIPTOR_TEXT_MAX_B 512

static bool put_standard_scripts(struct wallet *wallet, struct store_batch *batch, struct fail *why);
static bool put_file(struct wallet *wallet, const char *path, const struct store_batch *batch, struct fail *why);
static bool part_path(char out[PATH_SIZE_B], const struct wallet *wallet, const char *path, struct fail *why);
static bool take_file(struct wallet *wallet, const char *path, const char *part, struct fail *why);
static bool check_ranges(const struct wallet *wallet, struct fail *why);
static void put_meta(struct store_batch *batch, const char *key, struct span value);
static bool load_meta(void *ctx, const struct store_row *row, struct fail *why);
static bool load_branch(void *ctx, const struct store_row *row, struct fail *why);
static bool load_script(void *ctx, const struct store_row *row, struct fail *why);
static bool load_label(void *ctx, const struct store_row *row, struct fail *why);
static bool load_tx(void *ctx, const struct store_row *row, struct fail *why);
static bool load_locked(void *ctx, const struct store_row *row, struct fail *why);
static bool fail_damaged(struct fail *why, const char *table);

struct wallet *wallet_new_empty(struct wallets *all, struct span name, const uint64_t seeds[10])
{
    struct wallet *w = mem_new(sizeof *w);
    w->all = all;
    memcpy(w->name, name.data, name.size_b <= WALLET_NAME_MAX ? name.size_b : WALLET_NAME_MAX);
    table_init(&w->scripts, sizeof(struct script_key), sizeof(struct script_home), WALLET_SCRIPTS_MAX, seeds);
    table_init(&w->labels, sizeof(struct script_key), sizeof(struct label_entry), WALLET_SCRIPTS_MAX, seeds + 2);
    table_init(&w->txs, sizeof(struct txid), sizeof(struct wtx *), STORE_TXS_MAX, seeds + 4);
    table_init(&w->coins, sizeof(struct outpoint), sizeof(struct coin_entry), WALLET_COINS_MAX, seeds + 6);
    table_init(&w->spends, sizeof(struct outpoint), sizeof(struct spend *), WALLET_COINS_MAX, seeds + 8);
    arena_init(&w->spend_arena, 0);
    store_batch_init(&w->batch);
    return w;
}

void wallet_free(struct wallet *wallet)
{
    if (wallet == NULL)
        return;
    uint32_t cursor = 0;
    const void *key;
    void *value;
    while (table_next(&wallet->labels, &cursor, &key, &value)) {
        struct label_entry *entry = value;
        mem_free(entry->label);
        mem_free(entry->purpose);
    }
    for (uint32_t i = 0; i < wallet->branch_count; i++)
        mem_free(wallet->branches[i].scripts);
    history_clear(wallet);
    table_clear(&wallet->labels);
    table_clear(&wallet->scripts);
    store_batch_clear(&wallet->batch);
    mem_free(wallet->waiters);
    store_close(wallet->store);
    mem_wipe(wallet, sizeof *wallet);
    mem_free(wallet);
}

bool image_create(struct wallet *wallet, const char *path, const struct wallet_create *options,
    uint8_t fresh_entropy[16], const struct block_id *locator, uint32_t locator_count, int64_t now_s,
    struct fail *why)
{
    char words[BIP39_TEXT_SIZE_B];
    uint8_t seed[BIP39_SEED_SIZE_B], number[8];
    struct store_batch batch;
    store_batch_init(&batch);
    bool ok = true;
    if (options->words.size_b > 0) {
        ok = bip39_entropy_from_words(wallet->entropy, &wallet->entropy_size_b, options->words, why);
    } else {
        wallet->entropy_size_b = 16;
        memcpy(wallet->entropy, fresh_entropy, 16);
    }
    struct span entropy = span_of(wallet->entropy, wallet->entropy_size_b);
    if (ok && !bip39_words_from_entropy(words, entropy))
        ok = fail_request(why, -8, "These recovery words cannot be used");
    wallet->birth_s = options->birth_s < 0 ? now_s : options->birth_s;
    ok = ok && bip39_seed(seed, span_text(words), options->passphrase, why) &&
         keys_branches_from_seed(wallet, seed, wallet->birth_s, why) &&
         put_standard_scripts(wallet, &batch, why);
    if (ok) {
        put_meta(&batch, "genesis", span_of(wallet->all->chain->genesis->id.b, 32));
        put_meta(&batch, "entropy", entropy);
        put_u64le(number, (uint64_t)wallet->birth_s);
        put_meta(&batch, "birth", span_of(number, sizeof number));
        image_put_locator(&batch, locator, locator_count);
        memcpy(wallet->locator, locator, locator_count * sizeof *locator);
        wallet->locator_count = locator_count;
        ok = put_file(wallet, path, &batch, why);
    }
    mem_wipe(words, sizeof words);
    mem_wipe(seed, sizeof seed);
    store_batch_clear(&batch);
    return ok;
}

bool image_load(struct wallet *wallet, const char *path, struct fail *why)
{
    wallet->store = store_open(path, false, why);
    if (wallet->store == NULL)
        return false;
    /* Descriptors before scripts, scripts before transactions: each needs what came before. */
    if (!store_each(wallet->store, STORE_META, load_meta, wallet, why) ||
        !store_each(wallet->store, STORE_DESCRIPTOR, load_branch, wallet, why) ||
        !store_each(wallet->store, STORE_SCRIPT, load_script, wallet, why) ||
        !store_each(wallet->store, STORE_LABEL, load_label, wallet, why) ||
        !store_each(wallet->store, STORE_TX, load_tx, wallet, why) ||
        !store_each(wallet->store, STORE_LOCKED, load_locked, wallet, why))
        return false;
    history_sort(wallet);
    if (!wallet->is_whole || wallet->branch_count == 0)
        return fail_damaged(why, "it was never finished, and holds no keys");
    return check_ranges(wallet, why);
}

bool image_restore(struct wallet *wallet, const char *path, const char *backup, struct fail *why)
{
    char part[PATH_SIZE_B];
    const struct disk *disk = wallet->all->env->disk;
    if (path == NULL)
        return fail_request(why, -4, "There is no folder for wallets");
    if (!disk->exists(disk->ctx, backup))
        return fail_request(why, -8, "Backup file does not exist");
    struct store *source = store_open(backup, false, why);
    bool ok = source != NULL && part_path(part, wallet, path, why) && store_backup(source, part, why);
    store_close(source);
    return ok && take_file(wallet, path, part, why) && image_load(wallet, path, why);
}

/* Each branch watches what it says, every index of it: code that hands out addresses relies on that. */
static bool check_ranges(const struct wallet *wallet, struct fail *why)
{
    const void *key;
    void *value;
    uint32_t cursor = 0, counts[WALLET_DESCRIPTORS_MAX] = {0};
    while (table_next(&wallet->scripts, &cursor, &key, &value)) {
        const struct script_home *home = value;
        const struct wallet_branch *b = &wallet->branches[home->descriptor];
        if (home->index >= b->range_end || memcmp(&b->scripts[home->index], key, sizeof *b->scripts) != 0)
            return fail_damaged(why, "scripts");
        counts[home->descriptor]++;
    }
    for (uint32_t i = 0; i < wallet->branch_count; i++) {
        if (counts[i] != wallet->branches[i].range_end || wallet->branches[i].account.depth == 0)
            return fail_damaged(why, "descriptors");
    }
    return true;
}

/* A wallet in the making has another name, so that a file of the right name is always whole. */
static bool part_path(char out[PATH_SIZE_B], const struct wallet *wallet, const char *path, struct fail *why)
{
    const struct disk *disk = wallet->all->env->disk;
    int n = snprintf(out, PATH_SIZE_B, "%s.part", path);
    if (n < 0 || n >= PATH_SIZE_B)
        return fail_request(why, -4, "The path of the wallet is too long: %s", path);
    return !disk->exists(disk->ctx, out) || disk->remove(disk->ctx, out, why); /* of one that was never finished */
}

static bool take_file(struct wallet *wallet, const char *path, const char *part, struct fail *why)
{
    const struct disk *disk = wallet->all->env->disk;
    char folder[PATH_SIZE_B];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = 0; /* path is folder/wallet.dat */
    return disk->rename(disk->ctx, part, path, why) && disk->sync_dir(disk->ctx, folder, why);
}

static bool put_file(struct wallet *wallet, const char *path, const struct store_batch *batch, struct fail *why)
{
    char part[PATH_SIZE_B];
    if (path != NULL && !part_path(part, wallet, path, why))
        return false;
    wallet->store = store_open(path != NULL ? part : NULL, true, why);
    bool ok = wallet->store != NULL && store_apply(wallet->store, batch, why);
    if (path == NULL)
        return ok;
    store_close(wallet->store);
    wallet->store = NULL;
    ok = ok && take_file(wallet, path, part, why);
    if (ok)
        wallet->store = store_open(path, false, why);
    return ok && wallet->store != NULL;
}

bool wallet_add_script(struct wallet *wallet, const struct script_key *key, uint32_t branch, uint32_t index)
{
    bool existed;
    struct wallet_branch *b = &wallet->branches[branch];
    struct script_home *home = table_put(&wallet->scripts, key, &existed);
    if (home == NULL || !mem_try_grow(&b->scripts, &b->script_capacity, index + 1, WALLET_SCRIPTS_MAX,
                            sizeof *b->scripts))
        return false;
    if (!existed)
        *home = (struct script_home){.descriptor = branch, .index = index};
    b->scripts[index] = *key;
    return true;
}

void image_put_branch(struct wallet *wallet, struct store_batch *batch, uint32_t branch)
{
    const struct wallet_branch *b = &wallet->branches[branch];
    uint8_t id[8] = {0}, secret[SECRET_SIZE_B];
    struct buf text;
    buf_init(&text, DESCRIPTOR_TEXT_MAX_B);
    put_u32be(id + 4, branch);
    memcpy(secret, b->master_fingerprint, 4);
    memcpy(secret + 4, b->account.chain_code, 32);
    memcpy(secret + 36, b->account.key, 32);
    memcpy(secret + 68, b->account.parent_fingerprint, 4);
    put_u32be(secret + 72, b->account.child);
    secret[76] = b->account.depth;
    if (!keys_descriptor_text(&text, wallet->all->chain, b, false))
        batch->failed = true;
    struct store_row row = {
        .table = STORE_DESCRIPTOR,
        .key = span_of(id, sizeof id),
        .a = buf_span(&text),
        .b = span_of(secret, sizeof secret),
        .n = {(b->active ? BRANCH_ACTIVE : 0) | (b->internal ? BRANCH_INTERNAL : 0), b->next, b->range_end,
            b->created_s, b->kind},
    };
    store_batch_put(batch, &row);
    mem_wipe(secret, sizeof secret);
    buf_clear(&text);
}

void image_put_script(struct store_batch *batch, const struct script_key *key, const struct script_home *home)
{
    struct store_row row = {
        .table = STORE_SCRIPT, .key = script_key_span(key), .n = {home->descriptor, home->index}};
    store_batch_put(batch, &row);
}

void image_put_locator(struct store_batch *batch, const struct block_id *ids, uint32_t count)
{
    put_meta(batch, "locator", span_of(ids, count * sizeof *ids));
}

void image_put_backed_up(struct store_batch *batch)
{
    put_meta(batch, "backed_up", span_text("1"));
}

static bool put_standard_scripts(struct wallet *wallet, struct store_batch *batch, struct fail *why)
{
    uint32_t gap = wallet->all->options.keypool;
    struct script_key *keys = mem_try_array(gap, sizeof *keys);
    if (keys == NULL)
        return fail_oom(why, "keypool");
    bool ok = true;
    for (uint32_t b = 0; ok && b < wallet->branch_count; b++) {
        ok = keys_derive_range(&wallet->branches[b], 0, gap, keys, why);
        wallet->branches[b].range_end = gap;
        for (uint32_t i = 0; ok && i < gap; i++) {
            struct script_home home = {.descriptor = b, .index = i};
            image_put_script(batch, &keys[i], &home);
            if (!wallet_add_script(wallet, &keys[i], b, i))
                ok = fail_oom(why, "keypool");
        }
        image_put_branch(wallet, batch, b);
    }
    mem_free(keys);
    return ok;
}

static void put_meta(struct store_batch *batch, const char *key, struct span value)
{
    struct store_row row = {.table = STORE_META, .key = span_text(key), .a = value};
    store_batch_put(batch, &row);
}

static bool load_meta(void *ctx, const struct store_row *row, struct fail *why)
{
    struct wallet *w = ctx;
    if (span_is(row->key, "genesis")) {
        if (!span_equal(row->a, span_of(w->all->chain->genesis->id.b, 32)))
            return fail_request(why, -4, "Wallet \"%s\" belongs to another chain than %s", w->name,
                w->all->chain->name);
        w->is_whole = true;
    } else if (span_is(row->key, "entropy")) {
        if (row->a.size_b > sizeof w->entropy)
            return fail_damaged(why, "entropy");
        memcpy(w->entropy, row->a.data, row->a.size_b);
        w->entropy_size_b = row->a.size_b;
    } else if (span_is(row->key, "birth")) {
        if (row->a.size_b != 8)
            return fail_damaged(why, "birth");
        w->birth_s = (int64_t)get_u64le(row->a.data);
    } else if (span_is(row->key, "locator")) {
        if (row->a.size_b % 32 != 0 || row->a.size_b > sizeof w->locator)
            return fail_damaged(why, "locator");
        memcpy(w->locator, row->a.data, row->a.size_b);
        w->locator_count = (uint32_t)(row->a.size_b / 32);
    } else if (span_is(row->key, "backed_up")) {
        w->backed_up = true;
    }
    return true; /* rows of later versions with the same schema are left alone */
}

static bool load_branch(void *ctx, const struct store_row *row, struct fail *why)
{
    struct wallet *w = ctx;
    if (row->key.size_b != 8 || row->b.size_b != SECRET_SIZE_B || row->n[4] < 0 || row->n[4] >= WALLET_KINDS ||
        row->n[1] < 0 || row->n[2] < row->n[1] || row->n[2] > (int64_t)WALLET_SCRIPTS_MAX)
        return fail_damaged(why, "descriptors");
    uint32_t id = get_u32be(row->key.data + 4);
    if (id >= WALLET_DESCRIPTORS_MAX)
        return fail_damaged(why, "descriptors");
    struct wallet_branch *b = &w->branches[id];
    const uint8_t *secret = row->b.data;
    *b = (struct wallet_branch){
        .kind = (enum wallet_kind)row->n[4],
        .active = (row->n[0] & BRANCH_ACTIVE) != 0,
        .internal = (row->n[0] & BRANCH_INTERNAL) != 0,
        .next = (uint32_t)row->n[1],
        .range_end = (uint32_t)row->n[2],
        .created_s = row->n[3],
        .account = {.is_private = true, .child = get_u32be(secret + 72), .depth = secret[76]},
    };
    memcpy(b->master_fingerprint, secret, 4);
    memcpy(b->account.chain_code, secret + 4, 32);
    memcpy(b->account.key, secret + 36, 32);
    memcpy(b->account.parent_fingerprint, secret + 68, 4);
    if (!secp_pubkey_create(b->account.pubkey, b->account.key))
        return fail_damaged(why, "descriptors");
    if (id >= w->branch_count)
        w->branch_count = id + 1;
    return true;
}

static bool load_script(void *ctx, const struct store_row *row, struct fail *why)
{
    struct wallet *w = ctx;
    struct script_key key;
    if (!script_key_of(&key, row->key) || row->n[0] < 0 || row->n[0] >= (int64_t)w->branch_count ||
        row->n[1] < 0 || row->n[1] >= (int64_t)w->branches[row->n[0]].range_end)
        return fail_damaged(why, "scripts");
    if (!wallet_add_script(w, &key, (uint32_t)row->n[0], (uint32_t)row->n[1]))
        return fail_oom(why, "wallet scripts");
    return true;
}

static bool load_label(void *ctx, const struct store_row *row, struct fail *why)
{
    struct wallet *w = ctx;
    if (row->a.size_b > WALLET_LABEL_MAX_B || row->b.size_b > WALLET_LABEL_MAX_B)
        return fail_damaged(why, "labels");
    return label_put(w, row->key, row->a, row->b) || fail_oom(why, "wallet labels");
}

static bool load_tx(void *ctx, const struct store_row *row, struct fail *why)
{
    struct wallet *w = ctx;
    struct tx *tx = NULL;
    struct block_id block_id = {{0}};
    struct wallet_tx as = {
        .position = (uint32_t)row->n[1],
        .received_s = row->n[2],
        .state = (enum wallet_tx_state)row->n[3],
        .block_time_s = row->n[4],
        .ordering = (uint64_t)row->n[5],
    };
    if (row->n[3] < 0 || row->n[3] > WALLET_TX_CONFLICTED || !tx_decode(&tx, row->a, why))
        return fail_damaged(why, "txs");
    if (!span_equal(row->key, span_of(tx->txid.b, 32))) {
        tx_unref(tx);
        return fail_damaged(why, "txs");
    }
    if (row->b.size_b == 32)
        memcpy(block_id.b, row->b.data, 32);
    if (as.state == WALLET_TX_MEMPOOL)
        as.state = WALLET_TX_INACTIVE; /* the pool tells again which it holds */
    bool ok = history_insert_loaded(w, tx, &as, &block_id);
    tx_unref(tx);
    return ok || fail_oom(why, "wallet transactions");
}

static bool load_locked(void *ctx, const struct store_row *row, struct fail *why)
{
    struct wallet *w = ctx;
    struct outpoint outpoint;
    if (row->key.size_b != sizeof outpoint)
        return fail_damaged(why, "locked");
    memcpy(&outpoint, row->key.data, sizeof outpoint);
    struct coin_entry *entry = history_coin(w, &outpoint);
    if (entry != NULL)
        entry->locked = true;
    return true;
}

static bool fail_damaged(struct fail *why, const char *table)
{
    return fail_request(
        why, -4, "The wallet file is damaged (%s): restore a backup with restorewallet, or from the words", table);
}
