/* Following the chain. A wallet has one pointer, `synced`: the block up to which it knows everything. Whatever
 * happened (a new block, a reorganisation, a restart, an import that asks to look again), one step moves it
 * towards the tip: back when it stands on a branch that is no longer active, forward otherwise. A block that
 * the node has just connected is taken from the effect; others are read from disk, one at a time.
 *
 * A block can pay so far ahead that more scripts must be watched from then on. They are derived by a job, and
 * that block and all after it may pay them already: `again` is the first such block. Until it has been looked at
 * once more no new block is read, and the file keeps a place before it. Seeing a block twice changes nothing. */

#include "coin/base/log.h"
#include "internal.h"

#define SYNCED_SAVE_US (INT64_C(10) * 1000000) /* how much scanning a crash may cost */

struct follow_read {
    struct block_read read;
    struct wallet *wallet;
};

static void forget_block(struct wallet *wallet, const struct block_index *index);
static void step_back(struct wallet *wallet);
static void advance(struct wallet *wallet, const struct block *block, struct block_index *index);
static void read_next(struct wallet *wallet, struct block_index *next);
static void look(struct wallet *wallet, const struct block *block, struct block_index *index);
static struct block_index *look_again(struct wallet *wallet);
static void on_read(struct block_read *read, const struct fail *why);
static void finish_scan(struct wallet *wallet, const struct fail *why);
static void resolve_blocks(struct wallet *wallet);

static const struct fail no_fail = {.kind = FAIL_NONE};

bool scan_may_go_live(const struct wallet *wallet, struct fail *why)
{
    struct ledger *ledger = wallet->all->ledger;
    const struct block_index *synced = ledger_find_fork(ledger, wallet->locator, wallet->locator_count);
    return synced->height + 1 >= ledger_prune_height(ledger) ||
           fail_request(why, -4, "Prune: last wallet synchronisation goes beyond pruned data. You need to -reindex "
               "(download the whole blockchain again in case of a pruned node)");
}

void scan_go_live(struct wallet *wallet)
{
    wallet->synced = ledger_find_fork(wallet->all->ledger, wallet->locator, wallet->locator_count);
    wallet->scan_from = wallet->synced->height;
    wallet->scan_start_us = env_steady_us(wallet->all->env);
    resolve_blocks(wallet);
    scan_follow(wallet);
}

void scan_follow(struct wallet *wallet)
{
    struct ledger *ledger = wallet->all->ledger;
    if (wallet->reading || wallet->unloading)
        return;
    if (wallet->scanning && wallet->abort_scan)
        finish_scan(wallet, &(struct fail){.kind = FAIL_REQUEST, .rpc_code = -1, .detail = "Rescan aborted by user."});
    while (!ledger_is_active(ledger, wallet->synced))
        step_back(wallet);
    if (addresses_are_short(wallet))
        return; /* derive_done goes on */
    struct block_index *again = look_again(wallet);
    if (again != NULL) {
        read_next(wallet, again);
        return;
    }
    struct block_index *next = ledger_at(ledger, wallet->synced->height + 1);
    if (next != NULL && (next->status & (BLOCK_HAVE_DATA | BLOCK_PRUNED)) == 0) { /* below a snapshot: still to come */
        if (wallet->scanning)
            finish_scan(wallet, &(struct fail){.kind = FAIL_REQUEST, .rpc_code = -1,
                .detail = "Failed to rescan unavailable blocks, potentially caused by an ongoing assumeutxo background "
                          "sync. Wait until it is over"});
    } else if (next != NULL)
        read_next(wallet, next);
    else if (wallet->scanning)
        finish_scan(wallet, &no_fail);
}

void scan_on_ledger(struct wallet *wallet, const struct ledger_effect *effect)
{
    if (effect->kind == LEDGER_CONNECTED && effect->index->prev == wallet->synced)
        advance(wallet, effect->block, effect->index);
    else if (effect->kind == LEDGER_DISCONNECTED)
        forget_block(wallet, effect->index);
    else if (effect->kind == LEDGER_TIP)
        scan_follow(wallet);
}

void scan_save_synced(struct wallet *wallet)
{
    struct block_id ids[LOCATOR_MAX];
    const struct block_index *known = wallet->synced;
    if (wallet->again != NULL && wallet->again->prev != NULL && wallet->again->height <= known->height)
        known = wallet->again->prev;
    uint32_t count = ledger_locator(wallet->all->ledger, known, ids);
    image_put_locator(&wallet->batch, ids, count);
    wallet->synced_dirty = false;
    wallet->synced_saved_us = env_steady_us(wallet->all->env);
}

const struct block_index *wallet_synced(const struct wallet *wallet)
{
    return wallet->synced;
}

void wallet_rescan(struct wallet *wallet, int32_t from_height, struct ledger_done done)
{
    struct fail why;
    if (wallet->scanning) {
        fail_request(&why, -4, "Wallet is currently rescanning. Abort existing rescan or wait.");
        done.fn(done.ctx, &why);
        return;
    }
    struct block_index *start =
        from_height > 0 ? ledger_at(wallet->all->ledger, from_height - 1) : ledger_genesis(wallet->all->ledger);
    if (start == NULL) {
        fail_request(&why, -8, "Invalid start_height");
        done.fn(done.ctx, &why);
        return;
    }
    if (start->height + 1 < ledger_prune_height(wallet->all->ledger)) {
        fail_request(&why, -1, "Can't rescan beyond pruned data. Use RPC call getblockchaininfo to determine your "
            "pruned height.");
        done.fn(done.ctx, &why);
        return;
    }
    wallet->scanning = true;
    wallet->abort_scan = false;
    wallet->scan_from = start->height;
    wallet->scan_start_us = env_steady_us(wallet->all->env);
    wallet->scan_done = done;
    wallet->before_scan = wallet->synced;
    if (start->height < wallet->synced->height)
        wallet->synced = start; /* what is known stays; seeing it twice changes nothing */
    scan_follow(wallet);
}

bool wallet_is_scanning(const struct wallet *wallet, double *progress, int64_t *duration_s)
{
    const struct block_index *tip = ledger_tip(wallet->all->ledger);
    /* New blocks come without reading: who reads, or waits to read, is behind. */
    bool behind = wallet->reading || wallet->again != NULL || (wallet->synced != tip && addresses_are_short(wallet));
    if (!wallet->scanning && !behind)
        return false;
    int32_t all = tip->height - wallet->scan_from, past = wallet->synced->height - wallet->scan_from;
    *progress = all > 0 ? (double)past / (double)all : 1;
    *duration_s = (env_steady_us(wallet->all->env) - wallet->scan_start_us) / 1000000;
    return true;
}

int32_t wallets_need_from(const struct wallets *all)
{
    int32_t least = INT32_MAX;
    const struct block_index *tip = ledger_tip(all->ledger);
    for (uint32_t i = 0; i < all->count; i++) {
        const struct wallet *wallet = all->loaded[i];
        const struct block_index *again = wallet->again;
        if (wallet->synced != tip && wallet->synced->height + 1 < least)
            least = wallet->synced->height + 1;
        if (again != NULL && again->height < least)
            least = again->height;
    }
    return least;
}

void wallet_abort_rescan(struct wallet *wallet)
{
    wallet->abort_scan = true;
}

/* A block has left the chain. While a rescan is under way it may lie above `synced`, and what it confirmed was
 * known before. */
static void forget_block(struct wallet *wallet, const struct block_index *index)
{
    if (index == wallet->synced) {
        step_back(wallet);
        return;
    }
    uint32_t rows = wallet->batch.count;
    history_block_disconnected(wallet, index);
    if (wallet->batch.count > rows)
        wallet_write(wallet, NULL, NULL);
}

static void step_back(struct wallet *wallet)
{
    history_block_disconnected(wallet, wallet->synced);
    wallet->synced = wallet->synced->prev;
    wallet->synced_dirty = true;
    scan_save_synced(wallet);
    wallet_write(wallet, NULL, NULL);
}

static void advance(struct wallet *wallet, const struct block *block, struct block_index *index)
{
    uint32_t rows = wallet->batch.count;
    look(wallet, block, index);
    wallet->synced = index;
    wallet->synced_dirty = true;
    int64_t now_us = env_steady_us(wallet->all->env);
    /* A block that concerns us is written with the place it takes us to; others only now and then. */
    if (wallet->batch.count > rows || now_us - wallet->synced_saved_us > SYNCED_SAVE_US) {
        scan_save_synced(wallet);
        wallet_write(wallet, NULL, NULL);
    }
}

static void look(struct wallet *wallet, const struct block *block, struct block_index *index)
{
    history_block_connected(wallet, block, index);
    if (addresses_are_short(wallet) && (wallet->again == NULL || wallet->again->height > index->height))
        wallet->again = index;
}

/* The next block to look at once more, or NULL: none. */
static struct block_index *look_again(struct wallet *wallet)
{
    while (wallet->again != NULL && !ledger_is_active(wallet->all->ledger, wallet->again))
        wallet->again = wallet->again->prev; /* what replaces it is looked at as well */
    if (wallet->again != NULL && wallet->again->height > wallet->synced->height) {
        wallet->again = NULL;
        wallet->synced_dirty = true;
    }
    return wallet->again;
}

static void read_next(struct wallet *wallet, struct block_index *next)
{
    struct follow_read *follow = mem_new(sizeof *follow);
    follow->read = (struct block_read){.index = next, .want_block = true, .done = on_read};
    follow->wallet = wallet;
    if (!ledger_read_block(wallet->all->ledger, &follow->read)) {
        mem_free(follow); /* the lane is full: the next tick goes on */
        return;
    }
    wallet->reading = true;
    wallet->jobs++;
}

static void on_read(struct block_read *read, const struct fail *why)
{
    struct follow_read *follow = (struct follow_read *)read;
    struct wallet *wallet = follow->wallet;
    wallet->reading = false;
    wallet->jobs--;
    if (why->kind != FAIL_NONE) {
        log_error("Wallet \"%s\" cannot read block %s: %s", wallet->name, hash_show(read->index->id.b),
            why->detail);
        if (wallet->scanning)
            finish_scan(wallet, why);
    } else {
        /* Meanwhile an effect may have brought it, or a reorganisation taken it away. */
        struct ledger *ledger = wallet->all->ledger;
        if (read->index == wallet->again && ledger_is_active(ledger, read->index)) {
            wallet->again = ledger_at(ledger, read->index->height + 1);
            look(wallet, read->block, read->index);
            wallet_write(wallet, NULL, NULL);
        } else if (read->index->prev == wallet->synced && ledger_is_active(ledger, read->index)) {
            advance(wallet, read->block, read->index);
        }
        block_unref(read->block);
        scan_follow(wallet);
    }
    mem_free(follow);
    wallets_check_unload(wallet);
}

void scan_cancel(struct wallet *wallet, const struct fail *why)
{
    if (!wallet->scanning)
        return;
    wallet->abort_scan = true;
    finish_scan(wallet, why);
}

static void finish_scan(struct wallet *wallet, const struct fail *why)
{
    struct ledger_done done = wallet->scan_done;
    wallet->scanning = false;
    /* What an aborted rescan skipped was known before; what came meanwhile is still to be seen. */
    if (wallet->abort_scan && wallet->before_scan->height > wallet->synced->height)
        wallet->synced = wallet->before_scan;
    wallet->abort_scan = false;
    wallet->cache_valid = false;
    scan_save_synced(wallet);
    if (why->kind == FAIL_NONE) {
        wallet_write(wallet, done.fn, done.ctx);
    } else {
        wallet_write(wallet, NULL, NULL);
        done.fn(done.ctx, why);
    }
}

/* The file names blocks by id; here they become entries of the index. A transaction whose block is not active
 * any more waits to be confirmed again. */
static void resolve_blocks(struct wallet *wallet)
{
    struct ledger *ledger = wallet->all->ledger;
    for (uint32_t i = 0; i < wallet->tx_count; i++) {
        struct wtx *wtx = wallet->ordered[i];
        if (wtx->pub.state != WALLET_TX_CONFIRMED && wtx->pub.state != WALLET_TX_CONFLICTED)
            continue;
        struct block_index *block = ledger_find(ledger, &wtx->block_id);
        if (block != NULL && ledger_is_active(ledger, block) && block->height <= wallet->synced->height) {
            wtx->pub.block = block;
        } else {
            wtx->pub.state = WALLET_TX_INACTIVE;
            wtx->pub.block = NULL;
        }
    }
    wallet->cache_valid = false;
}
