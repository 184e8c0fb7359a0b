/* The live line: what a person watching a terminal wants to know, most important first. While the chain is
 * being fetched that is how far and how long; afterwards height, peers, mempool; when mining the hash rate
 * and what was earned; and always a warning when mined coins may still vanish. */

#include "coin/node/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "coin/base/env.h"
#include "coin/base/json.h"
#include "coin/ledger/ledger.h"
#include "coin/mempool/mempool.h"
#include "coin/mine/miner.h"
#include "coin/p2p/p2p.h"
#include "coin/wallet/wallet.h"

#define RATE_WINDOW_US (INT64_C(5) * 1000000) /* the block rate is an average over this long */
#define MINUTE_S 60
#define HOUR_S 3600

struct line {
    char *at;
    size_t left_b;
};

static void put(struct line *line, const char *format, ...) PRINTF_LIKE(2, 3);
static void put_sync(struct line *line, struct status *status, struct node *node, int64_t now_us);
static void put_left(struct line *line, int64_t left_s);
static void put_money(struct line *line, struct node *node);
static void put_hash_rate(struct line *line, double rate);
static void put_coins(struct line *line, const char *name, int64_t sat);

void status_line(char out[STATUS_SIZE_B], struct status *status, struct node *node, int64_t now_us)
{
    struct line line = {out, STATUS_SIZE_B};
    out[0] = 0;
    struct p2p *p2p = node_p2p(node);
    put_sync(&line, status, node, now_us);
    put(&line, " | peers %" PRIu32, p2p_count(p2p, true, true));
    struct mempool_stats pool = mempool_stats(node_mempool(node));
    if (pool.count > 0)
        put(&line, " | mempool %" PRIu32, pool.count);
    if (miner_is_running(node_miner(node)))
        put_hash_rate(&line, miner_hash_rate(node_miner(node)));
    if (node_wallets(node) != NULL)
        put_money(&line, node);
    if (miner_is_running(node_miner(node)) && !p2p_has_agreed(p2p))
        put(&line, " | mining alone: a longer chain would replace these blocks");
}

static void put_sync(struct line *line, struct status *status, struct node *node, int64_t now_us)
{
    const struct ledger *ledger = node_ledger(node);
    int32_t height = ledger_tip(ledger)->height;
    int32_t best = ledger_best_header(ledger)->height;
    int64_t passed_us = now_us - status->since_us;
    if (status->since_us == 0 || height < status->since_height) {
        status->since_us = now_us;
        status->since_height = height;
    } else if (passed_us >= RATE_WINDOW_US) {
        status->blocks_per_s = (double)(height - status->since_height) * 1e6 / (double)passed_us;
        status->since_us = now_us;
        status->since_height = height;
    }
    struct ledger_import import = ledger_import(ledger);
    if (import.is_running && import.all_b > 0) {
        put(line, "%s %.1f%%, %.1f MB/s, ", import.is_reindex ? "reindexing" : "loading",
            100 * (double)import.done_b / (double)import.all_b, import.rate_b_s / 1e6);
        put_left(line, import.left_s);
        put(line, " | ");
    }
    put(line, "height %" PRId32, height);
    if (height >= best)
        return;
    put(line, " of %" PRId32 " (%.1f%%", best, 100 * ledger_progress(ledger));
    if (status->blocks_per_s > 0) {
        int64_t left_s = (int64_t)((double)(best - height) / status->blocks_per_s);
        put(line, ", %.0f blocks/s, ", status->blocks_per_s);
        put_left(line, left_s);
    }
    put(line, ")");
}

static void put_left(struct line *line, int64_t left_s)
{
    if (left_s < HOUR_S)
        put(line, "%" PRId64 ":%02" PRId64 " left", left_s / MINUTE_S, left_s % MINUTE_S);
    else
        put(line, "%" PRId64 " h left", left_s / HOUR_S + 1);
}

static void put_money(struct line *line, struct node *node)
{
    struct wallets_summary sum = wallets_summary(node_wallets(node));
    if (sum.count == 0)
        return;
    put_coins(line, "balance", sum.spendable_sat);
    if (sum.pending_sat != 0)
        put_coins(line, "pending", sum.pending_sat);
    if (sum.immature_sat != 0)
        put_coins(line, "immature", sum.immature_sat);
    if (sum.unprotected)
        put(line, " | wallet not backed up");
}

static void put_hash_rate(struct line *line, double rate)
{
    static const char *const units[] = {"H/s", "kH/s", "MH/s", "GH/s", "TH/s"};
    uint32_t unit = 0;
    while (rate >= 1000 && unit + 1 < sizeof units / sizeof *units) {
        rate /= 1000;
        unit++;
    }
    put(line, " | mining %.1f %s", rate, units[unit]);
}

static void put_coins(struct line *line, const char *name, int64_t sat)
{
    char text[32];
    decimal_print(text, sat, 8);
    put(line, " | %s %s", name, text);
}

static void put(struct line *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line->at, line->left_b, format, args);
    va_end(args);
    if (n <= 0 || line->left_b == 0)
        return;
    size_t used = (size_t)n < line->left_b ? (size_t)n : line->left_b - 1;
    line->at += used;
    line->left_b -= used;
}
