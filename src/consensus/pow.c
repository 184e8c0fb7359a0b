/* Proof of work: is a hash good enough for its bits, and which bits are due next. Each chain names one of
 * four algorithms; all see past headers through a struct pow_view only.
 *
 *   none     the bits of the parent, for ever (regtest)
 *   bitcoin  every `window` blocks by the time they took, which is that of window - 1 intervals: the
 *            off-by-one of 2009 that is now a rule; with testnet's 20-minute blocks and BIP94 by option
 *   asert    aserti3-2d: an absolute schedule from an anchor block
 *   lwma     linearly weighted average of the last `window` solve times, with relief: while a block is
 *            late its target doubles again and again, so that a chain that lost its miners goes on
 *
 * Numbers never leave 256 bits unnoticed: where a product could, it is taken in another order. */
#include "coin/consensus/pow.h"

#include <stddef.h>

#define BITCOIN_STEP 4       /* a retarget moves by at most this factor */
#define MIN_BLOCK_SPACINGS 2 /* testnet: after so many spacings a block may have the limit */
#define LWMA_SOLVE_MAX 20    /* spacings that one block may count for */
#define LWMA_STEP_MIN 10     /* the average counts for at least a tenth */
#define ASERT_RADIX_BITS 16
#define TARGET_BITS 256

__extension__ typedef __int128 wide_signed;

static uint32_t bitcoin_bits_due(const struct chain *chain, const struct pow_view *view, uint32_t time_s);
static uint32_t bitcoin_min_bits(const struct chain *chain, const struct pow_view *view, struct pow_point tip, uint32_t time_s);
static uint32_t lwma_bits_due(const struct chain *chain, const struct pow_view *view);
static uint32_t asert_bits_due(const struct chain *chain, struct pow_point tip);
static bool bitcoin_permitted(const struct chain *chain, int32_t height, uint32_t old_bits, uint32_t new_bits);
static bool lwma_permitted(const struct chain *chain, int32_t height, const struct u256 *old, const struct u256 *new);
static struct u256 scale(const struct u256 *target, uint64_t numerator, uint64_t denominator, const struct u256 *limit);
static struct u256 at_most(const struct u256 *v, const struct u256 *limit);
static bool decode_target(const struct chain *chain, uint32_t bits, struct u256 *target);

int32_t pow_window(const struct chain *chain)
{
    switch (chain->difficulty.kind) {
    case DIFFICULTY_BITCOIN:
    case DIFFICULTY_LWMA:
    case DIFFICULTY_NONE:
        return (int32_t)chain->difficulty.window;
    case DIFFICULTY_ASERT:
        return 0;
    }
    return 0;
}

uint32_t pow_bits_due(const struct chain *chain, const struct pow_view *view, uint32_t time_s)
{
    switch (chain->difficulty.kind) {
    case DIFFICULTY_BITCOIN:
        return bitcoin_bits_due(chain, view, time_s);
    case DIFFICULTY_LWMA:
        return lwma_bits_due(chain, view);
    case DIFFICULTY_ASERT:
        return asert_bits_due(chain, view->at(view->ctx, view->tip_height));
    case DIFFICULTY_NONE:
        break;
    }
    return view->at(view->ctx, view->tip_height).bits;
}

struct u256 pow_target(const struct chain *chain, uint32_t bits, uint32_t time_s, uint32_t parent_time_s)
{
    struct u256 target = compact_decode(bits, NULL, NULL);
    int64_t late_s = (int64_t)time_s - parent_time_s;
    int64_t step_s = chain->difficulty.relief_spacings * chain->spacing_s;
    if (step_s == 0 || late_s < step_s || u256_is_zero(&target))
        return target;
    int64_t doublings = late_s / step_s;
    if (doublings >= TARGET_BITS - (int64_t)u256_bits(&target))
        return chain->pow_limit;
    target = u256_shift_left(&target, (uint32_t)doublings);
    return at_most(&target, &chain->pow_limit);
}

bool pow_check(const struct chain *chain, const struct block_id *id, uint32_t bits, uint32_t time_s,
    uint32_t parent_time_s, struct fail *why)
{
    struct u256 target;
    if (!decode_target(chain, bits, &target))
        return fail_set(why, FAIL_INVALID, "high-hash", "bits %08x are no target within the limit", bits);
    target = pow_target(chain, bits, time_s, parent_time_s);
    struct u256 hash = u256_from_le(id->b);
    if (u256_compare(&hash, &target) > 0)
        return fail_set(why, FAIL_INVALID, "high-hash", "proof of work failed: %s misses bits %08x",
            hash_show(id->b), bits);
    return true;
}

struct u256 pow_work(const struct chain *chain, uint32_t bits, uint32_t time_s, uint32_t parent_time_s)
{
    bool negative, overflow;
    struct u256 target = compact_decode(bits, &negative, &overflow);
    if (negative || overflow || u256_is_zero(&target))
        return u256_from_u64(0);
    target = pow_target(chain, bits, time_s, parent_time_s);
    return work_of_target(&target);
}

bool pow_permitted(const struct chain *chain, int32_t height, uint32_t old_bits, uint32_t new_bits)
{
    struct u256 old_target, new_target;
    if (!decode_target(chain, old_bits, &old_target) || !decode_target(chain, new_bits, &new_target))
        return false;
    switch (chain->difficulty.kind) {
    case DIFFICULTY_NONE:
        return old_bits == new_bits;
    case DIFFICULTY_BITCOIN:
        return bitcoin_permitted(chain, height, old_bits, new_bits);
    case DIFFICULTY_LWMA:
        return lwma_permitted(chain, height, &old_target, &new_target);
    case DIFFICULTY_ASERT:
        return true; /* the schedule is absolute: any wait is followed by any ease */
    }
    return true;
}

double pow_difficulty(uint32_t bits)
{
    uint32_t digits = bits & 0x00ffffffu;
    if (digits == 0)
        return 0;
    double difficulty = (double)0x0000ffff / (double)digits;
    for (uint32_t size_b = bits >> 24; size_b < 29; size_b++)
        difficulty *= 256.0;
    for (uint32_t size_b = bits >> 24; size_b > 29; size_b--)
        difficulty /= 256.0;
    return difficulty;
}

static uint32_t bitcoin_bits_due(const struct chain *chain, const struct pow_view *view, uint32_t time_s)
{
    const struct chain_difficulty *d = &chain->difficulty;
    int32_t window = (int32_t)d->window;
    struct pow_point tip = view->at(view->ctx, view->tip_height);
    if ((view->tip_height + 1) % window != 0)
        return d->allow_min_blocks ? bitcoin_min_bits(chain, view, tip, time_s) : tip.bits;

    struct pow_point first = view->at(view->ctx, view->tip_height - (window - 1));
    int64_t span_s = window * chain->spacing_s;
    int64_t took_s = (int64_t)tip.time_s - first.time_s;
    if (took_s < span_s / BITCOIN_STEP)
        took_s = span_s / BITCOIN_STEP;
    if (took_s > span_s * BITCOIN_STEP)
        took_s = span_s * BITCOIN_STEP;
    /* BIP94: the first block's bits, for the last one's may be those of a 20-minute block. */
    struct u256 target = compact_decode(d->bip94 ? first.bits : tip.bits, NULL, NULL);
    target = scale(&target, (uint64_t)took_s, (uint64_t)span_s, &chain->pow_limit);
    return compact_encode(&target);
}

/* Between retargets on a testnet: the limit for a block that comes late, else the bits of the last block
 * that had not come late. */
static uint32_t bitcoin_min_bits(const struct chain *chain, const struct pow_view *view, struct pow_point tip, uint32_t time_s)
{
    if ((int64_t)time_s > tip.time_s + MIN_BLOCK_SPACINGS * chain->spacing_s)
        return chain->pow_limit_bits;
    while (tip.height > 0 && tip.height % (int32_t)chain->difficulty.window != 0 &&
           tip.bits == chain->pow_limit_bits)
        tip = view->at(view->ctx, tip.height - 1);
    return tip.bits;
}

/* sum of target_i / (N * K), times the weighted solve times, K being what they come to when all is well:
 * doc/difficulty.md has the formula and why. */
static uint32_t lwma_bits_due(const struct chain *chain, const struct pow_view *view)
{
    int64_t n = chain->difficulty.window;
    if (view->tip_height < n)
        return chain->pow_limit_bits;
    int64_t k = n * (n + 1) / 2 * chain->spacing_s;
    int64_t weighted = 0;
    struct u256 sum = u256_from_u64(0);
    int64_t prev_s = view->at(view->ctx, view->tip_height - (int32_t)n).time_s;
    for (int64_t i = 1; i <= n; i++) {
        struct pow_point point = view->at(view->ctx, view->tip_height - (int32_t)(n - i));
        int64_t t = point.time_s > prev_s ? point.time_s : prev_s + 1;
        int64_t solve = t - prev_s;
        if (solve > LWMA_SOLVE_MAX * chain->spacing_s)
            solve = LWMA_SOLVE_MAX * chain->spacing_s;
        weighted += i * solve;
        struct u256 target = compact_decode(point.bits, NULL, NULL);
        target = u256_div_u64(&target, (uint64_t)(n * k));
        sum = u256_add(&sum, &target);
        prev_s = t;
    }
    if (weighted < k / LWMA_STEP_MIN)
        weighted = k / LWMA_STEP_MIN;
    bool overflow;
    struct u256 due = u256_mul_u64(&sum, (uint64_t)weighted, &overflow);
    due = overflow ? chain->pow_limit : at_most(&due, &chain->pow_limit);
    return compact_encode(&due);
}

/* aserti3-2d (Bitcoin Cash, 2020): target = anchor * 2^((time - ideal time) / half life), the power as a
 * shift and a cubic approximation in 16 binary digits. */
static uint32_t asert_bits_due(const struct chain *chain, struct pow_point tip)
{
    const struct chain_difficulty *d = &chain->difficulty;
    if (tip.height < d->anchor_height)
        return d->anchor_bits;
    int64_t time_s = (int64_t)tip.time_s - d->anchor_parent_time_s;
    int64_t ideal_s = chain->spacing_s * ((int64_t)tip.height - d->anchor_height + 1);
    wide_signed exponent = (wide_signed)(time_s - ideal_s) * (1 << ASERT_RADIX_BITS) / d->half_life_s;
    int64_t shifts = (int64_t)(exponent >> ASERT_RADIX_BITS);
    uint64_t x = (uint64_t)exponent & ((1u << ASERT_RADIX_BITS) - 1);
    uint64_t factor = ((UINT64_C(195766423245049) * x + UINT64_C(971821376) * x * x +
                           UINT64_C(5127) * x * x * x + (UINT64_C(1) << 47)) >> 48) + (1u << ASERT_RADIX_BITS);

    struct u256 target = compact_decode(d->anchor_bits, NULL, NULL);
    bool overflow;
    struct u256 due = u256_mul_u64(&target, factor, &overflow);
    if (overflow) { /* a limit above 2^239: give up the lowest digits instead of the highest */
        due = u256_shift_right(&target, ASERT_RADIX_BITS);
        due = u256_mul_u64(&due, factor, NULL);
    } else {
        shifts -= ASERT_RADIX_BITS;
    }
    if (shifts <= -TARGET_BITS)
        due = u256_from_u64(0);
    else if (shifts <= 0)
        due = u256_shift_right(&due, (uint32_t)-shifts);
    else if (shifts > TARGET_BITS - (int64_t)u256_bits(&due))
        due = chain->pow_limit;
    else
        due = u256_shift_left(&due, (uint32_t)shifts);
    if (u256_is_zero(&due))
        due = u256_from_u64(1);
    due = at_most(&due, &chain->pow_limit);
    return compact_encode(&due);
}

static bool bitcoin_permitted(const struct chain *chain, int32_t height, uint32_t old_bits, uint32_t new_bits)
{
    if (chain->difficulty.allow_min_blocks)
        return true;
    if (height % (int32_t)chain->difficulty.window != 0)
        return old_bits == new_bits;
    /* The bounds are rounded as real targets are, or an honest one at the edge would be refused. */
    struct u256 old_target = compact_decode(old_bits, NULL, NULL), new_target = compact_decode(new_bits, NULL, NULL);
    uint64_t span_s = chain->difficulty.window * (uint64_t)chain->spacing_s;
    struct u256 high = scale(&old_target, span_s * BITCOIN_STEP, span_s, &chain->pow_limit);
    struct u256 low = scale(&old_target, span_s / BITCOIN_STEP, span_s, &chain->pow_limit);
    high = compact_decode(compact_encode(&high), NULL, NULL);
    low = compact_decode(compact_encode(&low), NULL, NULL);
    return u256_compare(&new_target, &low) >= 0 && u256_compare(&new_target, &high) <= 0;
}

/* Any rise of the target can be honest (blocks that leave the window were easier), and it may fall to
 * what the newest block alone contributes to the sum. */
static bool lwma_permitted(const struct chain *chain, int32_t height, const struct u256 *old, const struct u256 *new)
{
    uint64_t n = chain->difficulty.window, k = n * (n + 1) / 2 * (uint64_t)chain->spacing_s;
    if (height <= (int32_t)n)
        return u256_compare(new, &chain->pow_limit) == 0 || compact_encode(new) == chain->pow_limit_bits;
    struct u256 low = u256_div_u64(old, n * k);
    low = u256_mul_u64(&low, k / LWMA_STEP_MIN, NULL);
    low = compact_decode(compact_encode(&low), NULL, NULL);
    return u256_compare(new, &low) >= 0;
}

/* target * numerator / denominator, rounded down, at most the limit. */
static struct u256 scale(const struct u256 *target, uint64_t numerator, uint64_t denominator, const struct u256 *limit)
{
    bool overflow;
    struct u256 v = u256_mul_u64(target, numerator, &overflow);
    if (!overflow) {
        v = u256_div_u64(&v, denominator);
        return at_most(&v, limit);
    }
    v = u256_div_u64(target, denominator); /* easy chains only: what is lost is far below the digits of bits */
    v = u256_mul_u64(&v, numerator, &overflow);
    return overflow ? *limit : at_most(&v, limit);
}

static struct u256 at_most(const struct u256 *v, const struct u256 *limit)
{
    return u256_compare(v, limit) > 0 ? *limit : *v;
}

static bool decode_target(const struct chain *chain, uint32_t bits, struct u256 *target)
{
    bool negative, overflow;
    *target = compact_decode(bits, &negative, &overflow);
    return !negative && !overflow && !u256_is_zero(target) && u256_compare(target, &chain->pow_limit) <= 0;
}
