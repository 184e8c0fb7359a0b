/* check_header.c - what is true of a header after its parent: work, difficulty, time, version. */
#include <inttypes.h>
#include <stdio.h>

#include "coin/consensus/check.h"

/* How far a period's first block may lie before its parent. */
#define BIP94_TIMEWARP_S 600
#define BIP54_TIMEWARP_S 7200

static bool check_time(const struct chain *chain, const struct header *h,
    const struct header_context *ctx, struct fail *why);
static bool check_version(const struct chain *chain, const struct header *h, int32_t height,
    struct fail *why);

bool check_header(const struct chain *chain, const struct header *h, const struct block_id *id,
    const struct header_context *ctx, struct fail *why)
{
    if (!pow_check(chain, id, h->bits, h->time_s, ctx->parent_time_s, why))
        return false;
    uint32_t due = pow_bits_due(chain, &ctx->view, h->time_s);
    if (h->bits != due)
        return fail_set(why, FAIL_INVALID, "bad-diffbits",
            "incorrect proof of work: bits %08" PRIx32 ", due %08" PRIx32, h->bits, due);
    return check_time(chain, h, ctx, why) && check_version(chain, h, ctx->view.tip_height + 1, why);
}

/* The time warp: a first block far in the past makes each period look long. Murch-Zawy: a last block before the
 * first makes it look negative. */
int64_t header_period_time_min_s(const struct chain *chain, const struct header_context *ctx, bool as_miner)
{
    const struct chain_difficulty *d = &chain->difficulty;
    int32_t height = ctx->view.tip_height + 1, window = (int32_t)d->window;
    if (d->kind == DIFFICULTY_LWMA || window == 0) /* no periods */
        return 0;
    if (height % window == 0 && (d->bip94 || as_miner))
        return (int64_t)ctx->parent_time_s - BIP94_TIMEWARP_S;
    if (height % window == 0 && chain->bip54)
        return (int64_t)ctx->parent_time_s - BIP54_TIMEWARP_S;
    if (height % window == window - 1 && (chain->bip54 || as_miner))
        return ctx->view.at(ctx->view.ctx, height - (window - 1)).time_s;
    return 0;
}

static bool check_time(const struct chain *chain, const struct header *h,
    const struct header_context *ctx, struct fail *why)
{
    if (h->time_s <= ctx->median_time_past_s)
        return fail_set(why, FAIL_INVALID, "time-too-old",
            "block's timestamp is too early: %" PRIu32 ", median of the last 11 is %" PRId64, h->time_s,
            ctx->median_time_past_s);
    int64_t min_s = header_period_time_min_s(chain, ctx, false);
    if ((int64_t)h->time_s < min_s)
        return fail_set(why, FAIL_INVALID, "time-timewarp-attack", "block's timestamp is too early for its place in "
            "the difficulty period: %" PRIu32 ", at least %" PRId64, h->time_s, min_s);
    if ((int64_t)h->time_s > ctx->now_s + chain->future_limit_s) /* only our clock says so */
        return fail_set(why, FAIL_TOO_EARLY, "time-too-new",
            "block timestamp too far in the future: %" PRId64 " s ahead of our clock",
            (int64_t)h->time_s - ctx->now_s);
    return true;
}

/* Blocks of the versions that a soft fork left behind. */
static bool check_version(const struct chain *chain, const struct header *h, int32_t height,
    struct fail *why)
{
    char code[32];
    if ((h->version >= 2 || !buried_active(chain, BURIED_BIP34, height)) &&
        (h->version >= 3 || !buried_active(chain, BURIED_BIP66, height)) &&
        (h->version >= 4 || !buried_active(chain, BURIED_BIP65, height)))
        return true;
    snprintf(code, sizeof code, "bad-version(0x%08" PRIx32 ")", (uint32_t)h->version);
    return fail_set(why, FAIL_INVALID, code, "rejected nVersion=0x%08" PRIx32 " block",
        (uint32_t)h->version);
}
