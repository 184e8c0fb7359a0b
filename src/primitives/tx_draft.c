/* Drafts: transactions while they are being made. Everything a draft holds is copied into its arena, so
 * its maker may forget where it came from; replaced scripts stay there until the draft is cleared, which
 * is cheap because a draft lives for one call. A finished tx comes out of tx_decode, so that there is one
 * way only to make one.
 *
 * Invariant: the arrays have room for the next power of two above their count (0 has none). */
#include <string.h>

#include "coin/primitives/block.h"
#include "coin/primitives/tx.h"

#define DRAFT_ARENA_MAX_B ((size_t)BLOCK_SIZE_MAX_B * 32)

static void *grow(struct arena *arena, void *array, uint32_t count, size_t size_b);
static bool copy_span(struct arena *arena, struct span *out, struct span from) MUST_USE;
static bool has_witness(const struct tx_draft *draft);

void tx_draft_init(struct tx_draft *draft)
{
    memset(draft, 0, sizeof *draft);
    draft->version = TX_VERSION_DEFAULT;
    arena_init(&draft->arena, DRAFT_ARENA_MAX_B);
}

void tx_draft_clear(struct tx_draft *draft)
{
    arena_clear(&draft->arena);
    tx_draft_init(draft);
}

struct tx_in *tx_draft_add_in(struct tx_draft *draft, const struct outpoint *prevout, uint32_t sequence)
{
    struct tx_in *in = grow(&draft->arena, draft->in, draft->in_count, sizeof *in);
    if (in == NULL)
        return NULL;
    draft->in = in;
    in = &draft->in[draft->in_count++];
    *in = (struct tx_in){ .prevout = *prevout, .sequence = sequence };
    return in;
}

struct tx_out *tx_draft_add_out(struct tx_draft *draft, int64_t value_sat, struct span script)
{
    struct span copy;
    if (!copy_span(&draft->arena, &copy, script))
        return NULL;
    struct tx_out *out = grow(&draft->arena, draft->out, draft->out_count, sizeof *out);
    if (out == NULL)
        return NULL;
    draft->out = out;
    out = &draft->out[draft->out_count++];
    *out = (struct tx_out){ .value_sat = value_sat, .script = copy };
    return out;
}

bool tx_draft_set_script_sig(struct tx_draft *draft, uint32_t i, struct span script)
{
    return i < draft->in_count && copy_span(&draft->arena, &draft->in[i].script_sig, script);
}

bool tx_draft_set_witness(struct tx_draft *draft, uint32_t i, const struct span *items, uint32_t count)
{
    if (i >= draft->in_count)
        return false;
    struct tx_in *in = &draft->in[i];
    if (count == 0) {
        in->witness = NULL;
        in->witness_count = 0;
        return true;
    }
    struct span *copies = arena_array(&draft->arena, count, sizeof *copies);
    if (copies == NULL)
        return false;
    for (uint32_t k = 0; k < count; k++) {
        if (!copy_span(&draft->arena, &copies[k], items[k]))
            return false;
    }
    in->witness = copies;
    in->witness_count = count;
    return true;
}

bool tx_draft_from_tx(struct tx_draft *draft, const struct tx *tx)
{
    tx_draft_clear(draft);
    draft->version = tx->version;
    draft->lock_time = tx->lock_time;
    for (uint32_t i = 0; i < tx->in_count; i++) {
        const struct tx_in *in = &tx->in[i];
        if (tx_draft_add_in(draft, &in->prevout, in->sequence) == NULL ||
            !tx_draft_set_script_sig(draft, i, in->script_sig) ||
            !tx_draft_set_witness(draft, i, in->witness, in->witness_count))
            return false;
    }
    for (uint32_t i = 0; i < tx->out_count; i++) {
        if (tx_draft_add_out(draft, tx->out[i].value_sat, tx->out[i].script) == NULL)
            return false;
    }
    return true;
}

void tx_draft_encode(struct buf *out, const struct tx_draft *draft, bool with_witness)
{
    bool extended = with_witness && has_witness(draft);
    buf_put_u32le(out, draft->version);
    if (extended) {
        buf_put_u8(out, 0);
        buf_put_u8(out, 1);
    }
    buf_put_count(out, draft->in_count);
    for (uint32_t i = 0; i < draft->in_count; i++) {
        outpoint_encode(out, &draft->in[i].prevout);
        buf_put_string(out, draft->in[i].script_sig);
        buf_put_u32le(out, draft->in[i].sequence);
    }
    buf_put_count(out, draft->out_count);
    for (uint32_t i = 0; i < draft->out_count; i++) {
        buf_put_i64le(out, draft->out[i].value_sat);
        buf_put_string(out, draft->out[i].script);
    }
    for (uint32_t i = 0; extended && i < draft->in_count; i++) {
        buf_put_count(out, draft->in[i].witness_count);
        for (uint32_t k = 0; k < draft->in[i].witness_count; k++)
            buf_put_string(out, draft->in[i].witness[k]);
    }
    buf_put_u32le(out, draft->lock_time);
}

bool tx_draft_finish(struct tx **out, const struct tx_draft *draft, struct fail *why)
{
    struct buf bytes;
    buf_init(&bytes, BLOCK_SIZE_MAX_B);
    tx_draft_encode(&bytes, draft, true);
    *out = NULL;
    bool ok = buf_ok(&bytes, "transaction", why);
    /* Without inputs the count of inputs would read as the witness marker. */
    if (ok)
        ok = draft->in_count == 0 ? tx_decode_stripped(out, buf_span(&bytes), why)
                                  : tx_decode(out, buf_span(&bytes), why);
    buf_clear(&bytes);
    return ok;
}

/* The array with room for one more element; it doubles whenever count is a power of two. */
static void *grow(struct arena *arena, void *array, uint32_t count, size_t size_b)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return array;
    void *larger = arena_array(arena, count == 0 ? 1 : (size_t)count * 2, size_b);
    if (larger != NULL && count > 0)
        memcpy(larger, array, count * size_b);
    return larger;
}

static bool copy_span(struct arena *arena, struct span *out, struct span from)
{
    uint8_t *copy = arena_new(arena, from.size_b);
    if (copy == NULL)
        return false;
    if (from.size_b > 0)
        memcpy(copy, from.data, from.size_b);
    *out = span_of(copy, from.size_b);
    return true;
}

static bool has_witness(const struct tx_draft *draft)
{
    for (uint32_t i = 0; i < draft->in_count; i++) {
        if (draft->in[i].witness_count > 0)
            return true;
    }
    return false;
}
