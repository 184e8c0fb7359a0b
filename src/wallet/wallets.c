/* All wallets of a node: which exist, which are loaded, which load at the next start (settings.json).
 * A wallet lives in wallets/<name>/wallet.dat. Making and loading run in one job each, on a struct wallet that
 * becomes visible only when it is whole. */

#include <stdio.h>
#include <string.h>

#include "coin/base/json.h"
#include "coin/base/log.h"
#include "internal.h"

#define AUTOWALLET_NAME "main"
#define SETTINGS_SIZE_MAX_B 65536
#define REBROADCAST_US (INT64_C(600) * 1000000) /* our own unconfirmed payments are offered again this often */

struct open_job { /* creates or loads */
    struct job job;
    struct wallets *all;
    struct wallet *wallet;
    bool create;
    struct buf words, passphrase;
    int64_t birth_s, now_s;
    uint8_t entropy[16];
    struct block_id locator[LOCATOR_MAX];
    uint32_t locator_count;
    char path[PATH_SIZE_B];
    char backup[PATH_SIZE_B]; /* create from this file; empty: from words */
    int load_on_startup;
    struct wallet_done done;
    bool ok;
    struct fail why;
};
struct list_job {
    struct job job;
    struct wallets *all;
    char names[WALLETS_MAX][WALLET_NAME_MAX + 1];
    uint32_t count;
    void (*each)(void *ctx, const char *name);
    struct ledger_done done;
    bool ok;
    struct fail why;
};
struct settings_job {
    struct job job;
    struct wallets *all;
    struct wallet *wallet; /* whose answer waits for it; not freed before */
    struct wallet_done done; /* or fn NULL */
    char path[PATH_SIZE_B];
    struct buf text;
    bool ok;
    struct fail why;
};

static void open_wallet(struct wallets *all, struct span name, bool create, const struct wallet_create *options,
    int load_on_startup, struct wallet_done done);
static bool check_name(struct span name, struct fail *why);
static void open_free(struct open_job *open);
static void open_run(struct job *job);
static void open_done(struct job *job);
static void list_run(struct job *job);
static bool list_entry(void *arg, const char *name);
static void list_done(struct job *job);
static bool read_settings(struct wallets *all, struct fail *why) MUST_USE;
static bool read_names(struct wallets *all, const struct json *names, struct fail *why) MUST_USE;
static void look_at_pool(struct wallet *wallet);
static bool set_autoload(struct wallet *wallet, int load, struct wallet_done done);
static bool write_settings(struct wallet *wallet, struct wallet_done done);
static void settings_run(struct job *job);
static void settings_done(struct job *job);
static void on_start_list(void *ctx, const char *name);
static void on_start_listed(void *ctx, const struct fail *why);
static void on_start_opened(void *ctx, struct wallet *wallet, const struct fail *why);
static void start_one(struct wallets *all, const char *name);
static bool stands_before(const char *const *names, uint32_t end, const char *name);
static void finish_start(struct wallets *all);
static void on_flushed(void *ctx, const struct fail *why);
static void check_stopped(struct wallets *all);

static void begin_unload(struct wallet *wallet);

static const struct fail no_fail = {.kind = FAIL_NONE};

struct wallets *wallets_new(const struct env *env, const struct chain *chain, struct ledger *ledger,
    struct mempool *pool, const struct wallets_options *options)
{
    struct wallets *all = mem_new(sizeof *all);
    all->env = env;
    all->chain = chain;
    all->ledger = ledger;
    all->pool = pool;
    all->options = *options;
    if (options->dir != NULL)
        snprintf(all->dir, sizeof all->dir, "%s", options->dir);
    if (options->settings_path != NULL)
        snprintf(all->settings_path, sizeof all->settings_path, "%s", options->settings_path);
    return all;
}

/* Before the loop serves anyone: reading one small file here is allowed to wait. */
void wallets_start(struct wallets *all, struct ledger_done done)
{
    all->start_done = done;
    all->start_pending = 1;
    if ((all->dir[0] != 0 && !all->env->disk->make_dir(all->env->disk->ctx, all->dir, &all->start_fail)) ||
        !read_settings(all, &all->start_fail)) {
        finish_start(all);
        return;
    }
    const char *const none[] = {NULL}, *const *wanted = all->options.load != NULL ? all->options.load : none;
    for (uint32_t i = 0; wanted[i] != NULL; i++) {
        if (!stands_before(wanted, i, wanted[i]))
            start_one(all, wanted[i]);
    }
    for (uint32_t i = 0; i < all->autoload_count; i++) {
        if (!stands_before(wanted, UINT32_MAX, all->autoload[i]))
            start_one(all, all->autoload[i]);
    }
    if (all->options.autowallet && all->start_pending == 1) {
        wallets_list_dir(all, on_start_list, (struct ledger_done){on_start_listed, all});
        return;
    }
    finish_start(all);
}

void wallets_stop(struct wallets *all, struct ledger_done done)
{
    all->stopping = true;
    all->stop_done = done;
    for (uint32_t i = 0; i < all->count; i++) {
        struct wallet *wallet = all->loaded[i];
        begin_unload(wallet);
        all->busy++;
        wallet_write(wallet, on_flushed, all);
    }
    check_stopped(all);
}

void wallets_free(struct wallets *all)
{
    if (all == NULL)
        return;
    for (uint32_t i = 0; i < all->count; i++)
        wallet_free(all->loaded[i]);
    mem_free(all);
}

void wallets_on_ledger(struct wallets *all, const struct ledger_effect *effect)
{
    for (uint32_t i = 0; i < all->count; i++)
        scan_on_ledger(all->loaded[i], effect);
}

void wallets_on_mempool(struct wallets *all, const struct mempool_effect *effect)
{
    for (uint32_t i = 0; i < all->count; i++) {
        struct wallet *wallet = all->loaded[i];
        struct wtx *known = history_find(wallet, &effect->tx->txid);
        uint32_t rows = wallet->batch.count;
        if (effect->kind == MEMPOOL_ADDED) {
            if (known == NULL || known->pub.state != WALLET_TX_CONFIRMED)
                history_note(wallet, effect->tx, WALLET_TX_MEMPOOL, NULL, 0);
        } else if (known != NULL && known->pub.state == WALLET_TX_MEMPOOL &&
                   effect->reason != MEMPOOL_CONFIRMED) {
            bool rival = effect->reason == MEMPOOL_CONFLICT;
            history_set_state(wallet, known, rival ? WALLET_TX_CONFLICTED : WALLET_TX_INACTIVE,
                rival ? ledger_tip(all->ledger) : NULL);
        }
        if (wallet->batch.count > rows)
            wallet_write(wallet, NULL, NULL);
    }
}

void wallets_on_tick(struct wallets *all)
{
    int64_t now_us = env_steady_us(all->env);
    for (uint32_t i = 0; i < all->count; i++) {
        struct wallet *wallet = all->loaded[i];
        wallet_write_retry(wallet);
        addresses_top_up_all(wallet);
        scan_follow(wallet);
        if (now_us >= wallet->next_rebroadcast_us) {
            wallet->next_rebroadcast_us =
                now_us + REBROADCAST_US + (int64_t)env_random_below(all->env, REBROADCAST_US);
            spend_rebroadcast(wallet);
        }
    }
    for (uint32_t i = all->count; i-- > 0;) { /* from the end: it may leave the list */
        if (all->loaded[i]->unloading)
            wallets_check_unload(all->loaded[i]);
    }
}

bool wallets_are_idle(const struct wallets *all)
{
    bool idle = all->busy == 0;
    for (uint32_t i = 0; i < all->count; i++)
        idle = idle && wallet_write_idle(all->loaded[i]) && all->loaded[i]->jobs == 0 &&
               all->loaded[i]->again == NULL && all->loaded[i]->synced == ledger_tip(all->ledger);
    return idle;
}

struct wallets_summary wallets_summary(const struct wallets *all)
{
    struct wallets_summary sum = {.count = all->count};
    for (uint32_t i = 0; i < all->count; i++) {
        const struct wallet *wallet = all->loaded[i];
        struct wallet_balances b = wallet_balances(wallet);
        sum.spendable_sat += b.trusted_sat;
        sum.pending_sat += b.untrusted_sat;
        sum.immature_sat += b.immature_sat;
        if (!wallet->backed_up && b.trusted_sat + b.immature_sat > 0)
            sum.unprotected = true;
    }
    return sum;
}

void wallets_create(struct wallets *all, struct span name, const struct wallet_create *options,
    struct wallet_done done)
{
    open_wallet(all, name, true, options, options->load_on_startup, done);
}

void wallets_load(struct wallets *all, struct span name, int load_on_startup, struct wallet_done done)
{
    open_wallet(all, name, false, NULL, load_on_startup, done);
}

void wallets_unload(struct wallets *all, struct wallet *wallet, int load_on_startup, struct wallet_done done)
{
    (void)all;
    (void)set_autoload(wallet, load_on_startup, (struct wallet_done){NULL, NULL});
    wallet->unload_done = done;
    begin_unload(wallet);
    wallet_write(wallet, NULL, NULL); /* its end looks whether all is done, and so does each tick */
}

static void begin_unload(struct wallet *wallet)
{
    struct fail why;
    wallet->unloading = true;
    fail_request(&why, -4, "Rescan aborted: the wallet is being unloaded.");
    scan_cancel(wallet, &why);
    if (wallet->synced_dirty)
        scan_save_synced(wallet);
}

void wallets_check_unload(struct wallet *wallet)
{
    struct wallets *all = wallet->all;
    if (!wallet->unloading || wallet->jobs > 0 || !wallet_write_idle(wallet))
        return;
    if (all->stopping) {
        check_stopped(all);
        return;
    }
    struct wallet_done done = wallet->unload_done;
    for (uint32_t i = 0; i < all->count; i++) {
        if (all->loaded[i] == wallet) {
            memmove(&all->loaded[i], &all->loaded[i + 1], (all->count - i - 1) * sizeof *all->loaded);
            all->count--;
            break;
        }
    }
    wallet_free(wallet);
    if (done.fn != NULL)
        done.fn(done.ctx, NULL, &no_fail);
}

uint32_t wallets_count(const struct wallets *all)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < all->count; i++)
        count += !all->loaded[i]->unloading;
    return count;
}

struct wallet *wallets_at(const struct wallets *all, uint32_t i)
{
    for (uint32_t k = 0; k < all->count; k++) {
        if (!all->loaded[k]->unloading && i-- == 0)
            return all->loaded[k];
    }
    return NULL;
}

struct wallet *wallets_find(const struct wallets *all, struct span name)
{
    for (uint32_t i = 0; i < all->count; i++) {
        if (span_is(name, all->loaded[i]->name) && !all->loaded[i]->unloading)
            return all->loaded[i];
    }
    return NULL;
}

void wallets_list_dir(struct wallets *all, void (*each)(void *ctx, const char *name), struct ledger_done done)
{
    struct list_job *list = mem_new(sizeof *list);
    list->job = (struct job){.run = list_run, .done = list_done, .lane = JOB_SLOW};
    list->all = all;
    list->each = each;
    list->done = done;
    if (!env_submit(all->env, &list->job)) {
        mem_free(list);
        struct fail why;
        fail_set(&why, FAIL_NO_ROOM, "busy", "Too many requests wait: try again");
        done.fn(done.ctx, &why);
        return;
    }
    all->busy++;
}

const char *wallet_name(const struct wallet *wallet)
{
    return wallet->name;
}

int64_t wallet_birth_s(const struct wallet *wallet)
{
    return wallet->birth_s;
}

/* ---- opening ---- */

static void open_wallet(struct wallets *all, struct span name, bool create, const struct wallet_create *options,
    int load_on_startup, struct wallet_done done)
{
    struct fail why;
    uint64_t seeds[10];
    if (!check_name(name, &why)) {
        done.fn(done.ctx, NULL, &why);
        return;
    }
    for (uint32_t i = 0; i < all->count; i++) {
        if (!span_is(name, all->loaded[i]->name))
            continue;
        if (create)
            fail_request(&why, -36, "Wallet file verification failed. Failed to create database path '%s/%s'. "
                "Database already exists.", all->dir, all->loaded[i]->name);
        else
            fail_request(&why, -35, "Wallet \"%s\" is already loaded.", all->loaded[i]->name);
        done.fn(done.ctx, NULL, &why);
        return;
    }
    if (all->count + all->busy >= WALLETS_MAX || all->stopping) {
        fail_request(&why, -4, "At most %d wallets can be loaded at once: unload one first", WALLETS_MAX);
        done.fn(done.ctx, NULL, &why);
        return;
    }
    struct open_job *open = mem_new(sizeof *open);
    env_random(all->env, seeds, sizeof seeds);
    open->job = (struct job){.run = open_run, .done = open_done, .lane = JOB_SLOW};
    open->all = all;
    open->wallet = wallet_new_empty(all, name, seeds);
    open->create = create;
    open->load_on_startup = load_on_startup;
    open->done = done;
    open->now_s = env_wall_s(all->env);
    buf_init(&open->words, BIP39_TEXT_SIZE_B * 4);
    buf_init(&open->passphrase, 2048);
    if (options != NULL) {
        snprintf(open->backup, sizeof open->backup, "%s", options->backup != NULL ? options->backup : "");
        buf_put(&open->words, options->words.data, options->words.size_b);
        buf_put(&open->passphrase, options->passphrase.data, options->passphrase.size_b);
        open->birth_s = options->birth_s;
        env_random(all->env, open->entropy, sizeof open->entropy);
        /* A wallet born now has nothing to find behind the tip. */
        struct block_index *from =
            options->birth_s < 0 ? ledger_tip(all->ledger) : ledger_genesis(all->ledger);
        open->locator_count = ledger_locator(all->ledger, from, open->locator);
    }
    if (all->dir[0] != 0)
        snprintf(open->path, sizeof open->path, "%.700s/%s", all->dir, open->wallet->name);
    if (!env_submit(all->env, &open->job)) {
        wallet_free(open->wallet);
        open_free(open);
        fail_set(&why, FAIL_NO_ROOM, "busy", "Too many requests wait: try again");
        done.fn(done.ctx, NULL, &why);
        return;
    }
    all->busy++;
}

/* Names become folders: nothing that leaves wallets/, nothing hidden. */
static bool check_name(struct span name, struct fail *why)
{
    bool good = name.size_b > 0 && name.size_b <= WALLET_NAME_MAX && name.data[0] != '.';
    for (size_t i = 0; good && i < name.size_b; i++)
        good = name.data[i] != '/' && name.data[i] >= ' ' && name.data[i] != 0x7f && name.data[i] != '\\';
    if (!good)
        return fail_request(why, -8,
            "Invalid wallet name: 1 to %d characters, no '/' or '\\', not starting with '.'", WALLET_NAME_MAX);
    return true;
}

static void open_run(struct job *job)
{
    struct open_job *open = (struct open_job *)job;
    const struct disk *disk = open->all->env->disk;
    struct fail *why = &open->why;
    char file[PATH_SIZE_B];
    const char *path = open->path[0] != 0 ? file : NULL;
    open->ok = path == NULL || path_join(file, open->path, "wallet.dat", why);
    if (open->ok && open->create) {
        struct wallet_create options = {
            .words = buf_span(&open->words), .passphrase = buf_span(&open->passphrase), .birth_s = open->birth_s};
        open->ok = path == NULL || (!disk->exists(disk->ctx, file) && disk->make_dir(disk->ctx, open->path, why)) ||
                   fail_request(why, -36, "Wallet file verification failed. Failed to create database path '%s'. "
                       "Database already exists.", open->path);
        open->ok = open->ok && (open->backup[0] != 0 ? image_restore(open->wallet, path, open->backup, why)
                                                     : image_create(open->wallet, path, &options, open->entropy,
                                                           open->locator, open->locator_count, open->now_s, why));
    } else if (open->ok) {
        if (path != NULL && !disk->exists(disk->ctx, file))
            open->ok = fail_request(why, -18,
                "Wallet file verification failed. Failed to load database path '%s'. Path does not exist.",
                open->path);
        else
            open->ok = image_load(open->wallet, path, why);
    }
}

static void open_done(struct job *job)
{
    struct open_job *open = (struct open_job *)job;
    struct wallets *all = open->all;
    struct wallet *wallet = open->wallet;
    struct wallet_done done = open->done;
    all->busy--;
    if (open->ok && wallets_find(all, span_text(wallet->name)) != NULL)
        open->ok = fail_request(&open->why, -35, "Wallet \"%s\" is already loaded.", wallet->name);
    open->ok = open->ok && scan_may_go_live(wallet, &open->why);
    if (open->ok) {
        fail_clear(&open->why);
        all->loaded[all->count++] = wallet;
        if (set_autoload(wallet, open->load_on_startup, done))
            done.fn = NULL; /* the answer promises it */
        scan_go_live(wallet);
        look_at_pool(wallet);
        addresses_top_up_all(wallet);
        log_info("Wallet \"%s\": %s, %u transactions", wallet->name, open->create ? "created" : "loaded",
            (unsigned)wallet->tx_count);
    } else {
        wallet_free(wallet);
        wallet = NULL;
    }
    if (done.fn != NULL)
        done.fn(done.ctx, wallet, &open->why);
    open_free(open);
    if (all->stopping) {
        if (wallet != NULL)
            wallet->unloading = true;
        check_stopped(all);
    }
}

static void open_free(struct open_job *open)
{
    if (open->words.data != NULL)
        mem_wipe(open->words.data, open->words.size_b);
    if (open->passphrase.data != NULL)
        mem_wipe(open->passphrase.data, open->passphrase.size_b);
    buf_clear(&open->words);
    buf_clear(&open->passphrase);
    mem_wipe(open, sizeof *open);
    mem_free(open);
}

/* What is unconfirmed and concerns a wallet that has just come: the pool will not tell it again. A payment and
 * its child stand in the pool in any order, so it goes round until nothing new is found. */
static void look_at_pool(struct wallet *wallet)
{
    const struct mempool *pool = wallet->all->pool;
    uint32_t rows = wallet->batch.count, known;
    do {
        const struct mempool_entry *entry;
        uint32_t cursor = 0;
        known = wallet->tx_count;
        while ((entry = mempool_next(pool, &cursor)) != NULL)
            history_note(wallet, entry->tx, WALLET_TX_MEMPOOL, NULL, 0);
    } while (wallet->tx_count > known);
    if (wallet->batch.count > rows)
        wallet_write(wallet, NULL, NULL);
}

/* ---- listing ---- */

static void list_run(struct job *job)
{
    struct list_job *list = (struct list_job *)job;
    const struct disk *disk = list->all->env->disk;
    list->ok = list->all->dir[0] == 0 || !disk->exists(disk->ctx, list->all->dir) ||
               disk->list(disk->ctx, list->all->dir, list_entry, list, &list->why);
}

static bool list_entry(void *arg, const char *name)
{
    struct list_job *list = arg;
    const struct disk *disk = list->all->env->disk;
    char path[PATH_SIZE_B];
    int n = snprintf(path, sizeof path, "%s/%s/wallet.dat", list->all->dir, name);
    if (name[0] != '.' && strlen(name) <= WALLET_NAME_MAX && n > 0 && (size_t)n < sizeof path &&
        disk->exists(disk->ctx, path))
        snprintf(list->names[list->count++], sizeof *list->names, "%s", name);
    return list->count < WALLETS_MAX;
}

static void list_done(struct job *job)
{
    struct list_job *list = (struct list_job *)job;
    list->all->busy--;
    if (list->ok)
        fail_clear(&list->why);
    for (uint32_t i = 0; list->ok && i < list->count; i++)
        list->each(list->done.ctx, list->names[i]);
    list->done.fn(list->done.ctx, &list->why);
    struct wallets *all = list->all;
    mem_free(list);
    check_stopped(all);
}

/* ---- settings.json: {"wallet": ["name", ...]} ---- */

/* A file that cannot be understood stops the start: the next write would lose what it says. */
static bool read_settings(struct wallets *all, struct fail *why)
{
    struct buf text;
    struct json_doc doc;
    if (all->settings_path[0] == 0 || !all->env->disk->exists(all->env->disk->ctx, all->settings_path))
        return true;
    buf_init(&text, SETTINGS_SIZE_MAX_B);
    bool ok = file_read_all(all->env->disk, all->settings_path, &text, why) && json_parse(&doc, buf_span(&text), why);
    if (ok) {
        ok = read_names(all, json_get(doc.root, "wallet"), why);
        json_doc_clear(&doc);
    }
    buf_clear(&text);
    if (ok)
        return true;
    fail_prefix(why, "Settings file %s could not be read, mend or remove it: ", all->settings_path);
    return false;
}

static bool read_names(struct wallets *all, const struct json *names, struct fail *why)
{
    if (names != NULL && (names->type != JSON_ARRAY || names->count > WALLETS_MAX))
        return fail_request(why, -4, "\"wallet\" must be an array of at most %d names", WALLETS_MAX);
    for (const struct json *v = names != NULL ? names->first : NULL; v != NULL; v = v->next) {
        struct span name;
        if (!json_to_text(&name, v, "wallet", why) || !check_name(name, why))
            return false;
        memcpy(all->autoload[all->autoload_count++], name.data, name.size_b);
    }
    return true;
}

/* true: the file is being written, and done is called after that. load: 1, 0, or -1: as it was. */
static bool set_autoload(struct wallet *wallet, int load, struct wallet_done done)
{
    struct wallets *all = wallet->all;
    const char *name = wallet->name;
    for (uint32_t i = 0; i < all->autoload_count; i++) {
        if (strcmp(all->autoload[i], name) != 0)
            continue;
        if (load == 0) {
            memmove(&all->autoload[i], &all->autoload[i + 1],
                (all->autoload_count - i - 1) * sizeof *all->autoload);
            all->autoload_count--;
            return write_settings(wallet, done);
        }
        return false;
    }
    if (load == 1 && all->autoload_count < WALLETS_MAX) {
        snprintf(all->autoload[all->autoload_count++], sizeof *all->autoload, "%s", name);
        return write_settings(wallet, done);
    }
    return false;
}

static bool write_settings(struct wallet *wallet, struct wallet_done done)
{
    struct wallets *all = wallet->all;
    struct json_writer w;
    if (all->settings_path[0] == 0)
        return false;
    struct settings_job *save = mem_new(sizeof *save);
    save->job = (struct job){
        .run = settings_run, .done = settings_done, .lane = JOB_WRITE, .serial = &all->settings_writer};
    save->all = all;
    save->wallet = wallet;
    save->done = done;
    snprintf(save->path, sizeof save->path, "%s", all->settings_path);
    buf_init(&save->text, SETTINGS_SIZE_MAX_B);
    jw_init(&w, &save->text, 4);
    jw_object(&w);
    jw_key(&w, "wallet");
    jw_array(&w);
    for (uint32_t i = 0; i < all->autoload_count; i++)
        jw_text(&w, all->autoload[i]);
    jw_end_array(&w);
    jw_end_object(&w);
    buf_put_text(&save->text, "\n");
    if (!env_submit(all->env, &save->job)) {
        log_warning("%s was not written: too much waits for the disk", all->settings_path);
        buf_clear(&save->text);
        mem_free(save);
        return false;
    }
    all->busy++;
    wallet->jobs++;
    return true;
}

static void settings_run(struct job *job)
{
    struct settings_job *save = (struct settings_job *)job;
    save->ok = file_replace(save->all->env->disk, save->path, buf_span(&save->text), &save->why);
}

static void settings_done(struct job *job)
{
    struct settings_job *save = (struct settings_job *)job;
    struct wallets *all = save->all;
    struct wallet *wallet = save->wallet;
    all->busy--;
    wallet->jobs--;
    if (!save->ok)
        log_warning("%s was not written: %s", save->path, save->why.detail);
    if (save->done.fn != NULL)
        save->done.fn(save->done.ctx, wallet, &no_fail);
    buf_clear(&save->text);
    mem_free(save);
    wallets_check_unload(wallet);
    check_stopped(all);
}

/* ---- start and stop ---- */

/* Is the name among the first `end` of a list that NULL ends? -wallet and settings.json may name it twice. */
static bool stands_before(const char *const *names, uint32_t end, const char *name)
{
    for (uint32_t i = 0; i < end && names[i] != NULL; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

static void start_one(struct wallets *all, const char *name)
{
    if (*name == 0)
        return; /* -wallet= with nothing: Bitcoin's default wallet, which we do not have */
    for (uint32_t i = 0; i < all->count; i++) {
        if (strcmp(all->loaded[i]->name, name) == 0)
            return;
    }
    all->start_pending++;
    wallets_load(all, span_text(name), -1, (struct wallet_done){on_start_opened, all});
}

static void on_start_list(void *ctx, const char *name)
{
    struct wallets *all = ctx;
    if (strcmp(name, AUTOWALLET_NAME) == 0)
        start_one(all, name);
}

static void on_start_listed(void *ctx, const struct fail *why)
{
    struct wallets *all = ctx;
    if (why->kind == FAIL_NONE && all->start_pending == 1 && all->count == 0) {
        struct wallet_create fresh = {.birth_s = -1, .load_on_startup = 1};
        all->start_pending++;
        wallets_create(
            all, span_text(AUTOWALLET_NAME), &fresh, (struct wallet_done){on_start_opened, all});
    }
    finish_start(all);
}

static void on_start_opened(void *ctx, struct wallet *wallet, const struct fail *why)
{
    struct wallets *all = ctx;
    (void)wallet;
    if (why->kind != FAIL_NONE && why->rpc_code != -35) {
        /* As Bitcoin does: a wallet that is gone is only missed, one that cannot be read stops the start. */
        if (why->rpc_code == -18)
            log_warning("Skipping -wallet path that doesn't exist. %s", why->detail);
        else
            all->start_fail = *why;
    }
    finish_start(all);
}

static void finish_start(struct wallets *all)
{
    if (--all->start_pending > 0)
        return;
    all->start_done.fn(all->start_done.ctx, &all->start_fail);
}

static void on_flushed(void *ctx, const struct fail *why)
{
    struct wallets *all = ctx;
    all->busy--;
    if (why->kind != FAIL_NONE)
        all->start_fail = *why;
}

static void check_stopped(struct wallets *all)
{
    if (!all->stopping || all->stop_done.fn == NULL || all->busy > 0)
        return;
    for (uint32_t i = 0; i < all->count; i++) {
        if (all->loaded[i]->jobs > 0 || !wallet_write_idle(all->loaded[i]))
            return;
    }
    struct ledger_done done = all->stop_done;
    all->stop_done.fn = NULL;
    done.fn(done.ctx, &all->start_fail);
}
