/* BIP158 basic block filters, built and searched. Each of the N elements becomes a number below N * 784,931:
 * its SipHash under the block's id, scaled by a multiplication. The numbers are sorted, and the distances
 * between neighbours written in a Golomb-Rice code: the quotient by 2^19 in ones and a zero, then 19 bits.
 *
 * Scaling keeps the order, so elements are sorted once, by hash and then by bytes, which puts equal ones side by
 * side too: N counts different elements, though two of them may have one number.
 *
 * A filter: compact size N | bits, highest first, zeroes up to the byte's end. A reader here is stricter than
 * BIP158 asks: numbers stay below the range, and the padding is zero and less than a byte. */

#include "coin/ledger/filter.h"

#include <stdlib.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/base/table.h"
#include "coin/crypto/sha256.h"
#include "coin/script/script.h"

#define FILTER_P 19        /* bits of a remainder */
#define FILTER_M 784931    /* one false match in so many: 1.497137 * 2^P, the best for that P */
#define WINDOW_BITS 64

__extension__ typedef unsigned __int128 u128;

struct element {
    uint64_t hash;
    struct span bytes;
};
struct key { /* what turns an element into its number */
    uint64_t sip[2];
};
struct bits_out {
    struct buf *to;
    uint8_t byte;
    uint32_t count; /* bits in byte */
};
struct bits_in {
    const uint8_t *at, *end;
    uint64_t window; /* the next bits, highest first; zeroes behind them */
    uint32_t count;  /* bits in the window */
};
struct numbers_in { /* a filter that is being read */
    struct bits_in bits;
    uint64_t range, last; /* numbers are below range; the one before */
    uint32_t left;
};

static struct key key_of(const struct block_id *id);
static bool encode(struct buf *out, const struct key *key, struct element *elements, uint32_t count, struct fail *why);
static bool numbers_begin(struct numbers_in *in, struct span filter, struct fail *why);
static bool numbers_next(struct numbers_in *in, uint64_t *number, struct fail *why);
static bool numbers_end(const struct numbers_in *in, struct fail *why);

static bool is_wanted_output(struct span script) /* what OP_RETURN burns nobody looks for */
{
    return script.size_b > 0 && script.data[0] != OP_RETURN;
}

/* Fills in the elements' bytes (NULL: counts only). */
static uint32_t collect(struct element *out, const struct block *block, const struct block_undo *undo)
{
    uint32_t count = 0;
    for (uint32_t t = 0; t < block->tx_count; t++) {
        const struct tx *tx = &block->txs[t];
        for (uint32_t i = 0; i < tx->out_count; i++) {
            if (!is_wanted_output(tx->out[i].script))
                continue;
            if (out != NULL)
                out[count].bytes = tx->out[i].script;
            count++;
        }
    }
    for (uint32_t i = 0; undo != NULL && i < undo->count; i++) {
        if (undo->coins[i].script.size_b == 0)
            continue;
        if (out != NULL)
            out[count].bytes = undo->coins[i].script;
        count++;
    }
    return count;
}

bool block_filter_build(struct buf *out, const struct block *block, const struct block_undo *undo, struct fail *why)
{
    struct key key = key_of(&block->id);
    uint32_t count = collect(NULL, block, undo);
    struct element *elements = mem_try_array(count > 0 ? count : 1, sizeof *elements);
    if (elements == NULL)
        return fail_oom(why, "a block's filter");
    (void)collect(elements, block, undo);
    bool ok = encode(out, &key, elements, count, why);
    mem_free(elements);
    return ok;
}

bool block_filter_encode(struct buf *out, const struct block_id *id, const struct span *elements, uint32_t count,
    struct fail *why)
{
    struct key key = key_of(id);
    struct element *copy = mem_try_array(count > 0 ? count : 1, sizeof *copy);
    if (copy == NULL)
        return fail_oom(why, "a filter");
    for (uint32_t i = 0; i < count; i++)
        copy[i].bytes = elements[i];
    bool ok = encode(out, &key, copy, count, why);
    mem_free(copy);
    return ok;
}

void block_filter_id(uint8_t out[32], struct span filter)
{
    sha256d(out, filter.data, filter.size_b);
}

void block_filter_header(uint8_t out[32], const uint8_t filter_id[32], const uint8_t previous_header[32])
{
    uint8_t both[64];
    memcpy(both, filter_id, 32);
    memcpy(both + 32, previous_header, 32);
    sha256d(out, both, sizeof both);
}

/* ---- elements and numbers ---- */

static struct key key_of(const struct block_id *id)
{
    return (struct key){{get_u64le(id->b), get_u64le(id->b + 8)}};
}

static uint64_t scale(uint64_t hash, uint64_t range) /* evenly onto [0, range) without a division */
{
    return (uint64_t)((u128)hash * range >> 64);
}

static int by_hash(const void *a, const void *b)
{
    const struct element *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    if (x->bytes.size_b != y->bytes.size_b)
        return x->bytes.size_b < y->bytes.size_b ? -1 : 1;
    return x->bytes.size_b == 0 ? 0 : memcmp(x->bytes.data, y->bytes.data, x->bytes.size_b);
}

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* ---- writing ---- */

static void put_bits(struct bits_out *bits, uint64_t value, uint32_t count)
{
    while (count > 0) {
        uint32_t take = 8 - bits->count < count ? 8 - bits->count : count;
        uint64_t top = value >> (count - take) & ((1u << take) - 1);
        bits->byte = (uint8_t)(bits->byte | top << (8 - bits->count - take));
        bits->count += take;
        count -= take;
        if (bits->count == 8) {
            buf_put_u8(bits->to, bits->byte);
            bits->byte = 0;
            bits->count = 0;
        }
    }
}

static void put_number(struct bits_out *bits, uint64_t distance)
{
    for (uint64_t ones = distance >> FILTER_P; ones > 0; ones--)
        put_bits(bits, 1, 1);
    put_bits(bits, 0, 1);
    put_bits(bits, distance, FILTER_P);
}

static bool encode(struct buf *out, const struct key *key, struct element *elements, uint32_t count, struct fail *why)
{
    struct bits_out bits = {.to = out};
    uint32_t different = 0;
    uint64_t last = 0;
    for (uint32_t i = 0; i < count; i++)
        elements[i].hash = siphash(key->sip, elements[i].bytes.data, elements[i].bytes.size_b);
    qsort(elements, count, sizeof *elements, by_hash);
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || by_hash(&elements[different - 1], &elements[i]) != 0)
            elements[different++] = elements[i];
    }
    if (different > FILTER_ELEMENTS_MAX)
        return fail_set(why, FAIL_NO_ROOM, "filter-size", "%u elements, at most %u fit into a filter", different,
            FILTER_ELEMENTS_MAX);
    buf_put_count(out, different);
    for (uint32_t i = 0; i < different; i++) {
        uint64_t number = scale(elements[i].hash, (uint64_t)different * FILTER_M);
        put_number(&bits, number - last);
        last = number;
    }
    if (bits.count > 0)
        buf_put_u8(out, bits.byte);
    return buf_ok(out, "a block's filter", why);
}

/* ---- reading ---- */

static void refill(struct bits_in *bits)
{
    while (bits->count <= WINDOW_BITS - 8 && bits->at < bits->end) {
        bits->window |= (uint64_t)*bits->at++ << (WINDOW_BITS - 8 - bits->count);
        bits->count += 8;
    }
}

static void drop(struct bits_in *bits, uint32_t count)
{
    bits->window = count == WINDOW_BITS ? 0 : bits->window << count;
    bits->count -= count;
}

static bool read_quotient(struct bits_in *bits, uint64_t *out)
{
    *out = 0;
    for (;;) {
        refill(bits);
        uint32_t ones = bits->window == UINT64_MAX ? WINDOW_BITS : (uint32_t)__builtin_clzll(~bits->window);
        *out += ones;
        if (ones < bits->count) {
            drop(bits, ones + 1); /* and the zero that ends them */
            return true;
        }
        if (bits->count == 0)
            return false;
        drop(bits, ones); /* ones only: the window's bits are used up */
    }
}

static bool numbers_begin(struct numbers_in *in, struct span filter, struct fail *why)
{
    struct reader r;
    rd_init(&r, filter);
    in->left = (uint32_t)rd_compact(&r, FILTER_ELEMENTS_MAX);
    if (!rd_ok(&r, "filter", why))
        return fail_set(why, FAIL_PROTOCOL, "filter-decode", "a filter's count is cut off, too large or not minimal");
    in->bits = (struct bits_in){.at = r.at, .end = r.end};
    in->range = (uint64_t)in->left * FILTER_M;
    in->last = 0;
    return true;
}

static bool numbers_next(struct numbers_in *in, uint64_t *number, struct fail *why)
{
    uint64_t quotient;
    if (!read_quotient(&in->bits, &quotient))
        return fail_set(why, FAIL_PROTOCOL, "filter-decode", "a filter ends %u elements early", in->left);
    refill(&in->bits);
    if (in->bits.count < FILTER_P)
        return fail_set(why, FAIL_PROTOCOL, "filter-decode", "a filter ends %u elements early", in->left);
    /* The quotient counts bits of the filter, so nothing here overflows. */
    in->last += quotient << FILTER_P | in->bits.window >> (WINDOW_BITS - FILTER_P);
    drop(&in->bits, FILTER_P);
    if (in->last >= in->range)
        return fail_set(why, FAIL_PROTOCOL, "filter-decode", "a filter's number is beyond its range");
    in->left--;
    *number = in->last;
    return true;
}

static bool numbers_end(const struct numbers_in *in, struct fail *why)
{
    if (in->bits.at == in->bits.end && in->bits.count < 8 && in->bits.window == 0)
        return true;
    return fail_set(why, FAIL_PROTOCOL, "filter-decode", "a filter goes on behind its last element");
}

/* Both lists rise: one walk over each. */
static bool search(struct numbers_in *in, const uint64_t *wanted, uint32_t count, bool *match, struct fail *why)
{
    uint32_t at = 0;
    uint64_t number = 0;
    while (in->left > 0) {
        if (!numbers_next(in, &number, why))
            return false;
        while (at < count && wanted[at] < number)
            at++;
        *match = *match || (at < count && wanted[at] == number);
    }
    return numbers_end(in, why);
}

bool block_filter_matches_any(struct span filter, const struct block_id *id, const struct span *elements,
    uint32_t count, bool *match, struct fail *why)
{
    struct key key = key_of(id);
    struct numbers_in in = {0};
    *match = false;
    if (!numbers_begin(&in, filter, why))
        return false;
    uint64_t *wanted = mem_try_array(count > 0 ? count : 1, sizeof *wanted);
    if (wanted == NULL)
        return fail_oom(why, "the elements to look for");
    for (uint32_t i = 0; i < count; i++)
        wanted[i] = scale(siphash(key.sip, elements[i].data, elements[i].size_b), in.range);
    qsort(wanted, count, sizeof *wanted, by_number);
    bool ok = search(&in, wanted, count, match, why);
    *match = *match && ok;
    mem_free(wanted);
    return ok;
}
