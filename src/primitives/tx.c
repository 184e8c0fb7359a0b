/* Transactions: one pass over the bytes fills the struct and finds the three pieces that the txid is
 * made of; both ids are then hashed from the raw bytes while they are in cache. Nothing is copied:
 * scripts and witness items are views into `raw`.
 *
 *   offset  what (BIP144; the stripped form lacks marker, flag and witness)
 *   0       version, 4 bytes
 *   4       marker 00, flag 01
 *   6       inputs: count, then prevout 36, scriptSig string, sequence 4 each
 *           outputs: count, then value 8, script string each
 *           witness: per input count, then strings
 *   last 4  lock time
 *
 * A count of inputs of zero is the marker, so a transaction without inputs can only be told from one with a witness
 * by trying (tx_decode_lenient). Invariant: refs > 0 while anyone may look; a tx of a block is counted
 * by the block and has no count of its own. */
#include "coin/primitives/tx.h"

#include <stdatomic.h>
#include <string.h>

#include "coin/crypto/sha256.h"
#include "coin/primitives/block.h"
#include "parts.h"

#define VERSION_SIZE_B 4
#define LOCK_TIME_SIZE_B 4
#define MARKER_SIZE_B 2 /* with the flag */
#define WITNESS_FLAG 1
#define TX_COUNT_BOUND UINT32_MAX /* of inputs, outputs, items: the bytes that are left bound them */
/* Worst case: a span of 16 bytes per empty witness item of 1 byte, plus the bytes themselves. */
#define TX_ARENA_MAX_B ((size_t)BLOCK_SIZE_MAX_B * 20)
#define WEIGHT_SCALE 4 /* BIP141 */
#define SCRIPT_PLAUSIBLE_MAX_B 10000
#define OPCODE_MAX 0xb9 /* OP_NOP10 */

const char tx_no_memory[] = "out of memory";

static void *array_in(struct arena *arena, struct reader *r, uint32_t count, size_t size_b);
static bool read_inputs(struct tx *out, struct reader *r, struct arena *arena);
static bool read_outputs(struct tx *out, struct reader *r, struct arena *arena);
static bool read_witnesses(struct tx *out, struct reader *r, struct arena *arena);
static void compute_ids(struct tx *tx);
static bool decode(struct tx **out, struct span bytes, bool allow_witness, struct fail *why) MUST_USE;
static bool scripts_are_plausible(const struct tx *tx);

uint32_t tx_weight_wu(const struct tx *tx)
{
    return tx->stripped_size_b * (WEIGHT_SCALE - 1) + tx->size_b;
}

uint32_t tx_vsize_b(const struct tx *tx)
{
    return (tx_weight_wu(tx) + WEIGHT_SCALE - 1) / WEIGHT_SCALE;
}

bool tx_is_coinbase(const struct tx *tx)
{
    return tx->in_count == 1 && outpoint_is_null(&tx->in[0].prevout);
}

bool tx_decode(struct tx **out, struct span bytes, struct fail *why)
{
    return decode(out, bytes, true, why);
}

bool tx_decode_stripped(struct tx **out, struct span bytes, struct fail *why)
{
    return decode(out, bytes, false, why);
}

bool tx_decode_lenient(struct tx **out, struct span bytes, struct fail *why)
{
    *out = NULL;
    struct tx *with = NULL, *without = NULL;
    struct fail why_without;
    if (!decode(&with, bytes, true, why) && why->kind == FAIL_NO_ROOM)
        return false;
    if (with != NULL && scripts_are_plausible(with)) {
        *out = with;
        return true;
    }
    if (!decode(&without, bytes, false, &why_without) && why_without.kind == FAIL_NO_ROOM) {
        tx_unref(with);
        *why = why_without;
        return false;
    }
    if (without != NULL && (with == NULL || scripts_are_plausible(without))) {
        tx_unref(with);
        *out = without;
        return true;
    }
    tx_unref(without);
    *out = with;
    return with != NULL;
}

bool tx_read(struct tx *out, struct reader *r, struct arena *arena, bool allow_witness)
{
    const uint8_t *start = r->at;
    memset(out, 0, sizeof *out);
    out->version = rd_u32le(r);
    bool extended = false;
    if (allow_witness && rd_left(r) > 1 && r->at[0] == 0 && r->at[1] != 0) {
        rd_u8(r);
        if (rd_u8(r) != WITNESS_FLAG)
            rd_fail(r, "unknown transaction flag");
        extended = true;
    }
    if (!read_inputs(out, r, arena) || !read_outputs(out, r, arena))
        return false;
    const uint8_t *witness_start = r->at;
    if (extended && !read_witnesses(out, r, arena))
        return false;
    size_t witness_size_b = (size_t)(r->at - witness_start);
    out->lock_time = rd_u32le(r);
    if (r->failed)
        return false;
    out->raw = span_of(start, (size_t)(r->at - start));
    if (out->raw.size_b > BLOCK_SIZE_MAX_B) {
        rd_fail(r, "transaction larger than any block");
        return false;
    }
    out->size_b = (uint32_t)out->raw.size_b;
    out->stripped_size_b = out->size_b - (uint32_t)(extended ? witness_size_b + MARKER_SIZE_B : 0);
    compute_ids(out);
    return true;
}

struct tx *tx_ref(struct tx *tx)
{
    if (tx->block != NULL)
        block_ref(tx->block);
    else
        atomic_fetch_add_explicit(&tx->refs, 1, memory_order_relaxed);
    return tx;
}

void tx_unref(struct tx *tx)
{
    if (tx == NULL)
        return;
    if (tx->block != NULL) {
        block_unref(tx->block);
        return;
    }
    if (atomic_fetch_sub_explicit(&tx->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_clear(&tx->arena);
    mem_free(tx);
}

bool amount_add(int64_t *sum, int64_t add, int64_t max_money_sat)
{
    int64_t total;
    if (__builtin_add_overflow(*sum, add, &total) || !amount_in_range(total, max_money_sat))
        return false;
    *sum = total;
    return true;
}

bool amount_in_range(int64_t sat, int64_t max_money_sat)
{
    return sat >= 0 && sat <= max_money_sat;
}

void tx_encode_stripped(struct buf *out, const struct tx *tx)
{
    if (tx->size_b == tx->stripped_size_b) {
        buf_put(out, tx->raw.data, tx->raw.size_b);
        return;
    }
    const uint8_t *raw = tx->raw.data;
    buf_put(out, raw, VERSION_SIZE_B);
    buf_put(out, raw + VERSION_SIZE_B + MARKER_SIZE_B, tx->stripped_size_b - VERSION_SIZE_B - LOCK_TIME_SIZE_B);
    buf_put(out, raw + tx->size_b - LOCK_TIME_SIZE_B, LOCK_TIME_SIZE_B);
}

void rd_outpoint(struct reader *r, struct outpoint *o)
{
    rd_copy(r, o->txid.b, sizeof o->txid.b);
    o->index = rd_u32le(r);
}

void outpoint_encode(struct buf *out, const struct outpoint *o)
{
    buf_put(out, o->txid.b, sizeof o->txid.b);
    buf_put_u32le(out, o->index);
}

bool decode_failed(const struct reader *r, const char *code, struct fail *why)
{
    if (r->complaint == tx_no_memory)
        return fail_oom(why, code);
    return fail_set(why, FAIL_PROTOCOL, code, "%s", r->complaint != NULL ? r->complaint : "trailing bytes");
}

static void *array_in(struct arena *arena, struct reader *r, uint32_t count, size_t size_b)
{
    void *array = arena_array(arena, count, size_b);
    if (array == NULL)
        rd_fail(r, tx_no_memory);
    return array;
}

static bool read_inputs(struct tx *out, struct reader *r, struct arena *arena)
{
    uint32_t count = rd_count(r, TX_INPUT_SIZE_MIN_B, TX_COUNT_BOUND);
    if (r->failed)
        return false;
    out->in = array_in(arena, r, count, sizeof *out->in);
    if (out->in == NULL)
        return false;
    for (uint32_t i = 0; i < count && !r->failed; i++) {
        struct tx_in *in = &out->in[i];
        rd_outpoint(r, &in->prevout);
        in->script_sig = rd_string(r, BLOCK_SIZE_MAX_B);
        in->sequence = rd_u32le(r);
    }
    out->in_count = count;
    return !r->failed;
}

static bool read_outputs(struct tx *out, struct reader *r, struct arena *arena)
{
    uint32_t count = rd_count(r, TX_OUTPUT_SIZE_MIN_B, TX_COUNT_BOUND);
    if (r->failed)
        return false;
    out->out = array_in(arena, r, count, sizeof *out->out);
    if (out->out == NULL)
        return false;
    for (uint32_t i = 0; i < count && !r->failed; i++) {
        out->out[i].value_sat = rd_i64le(r);
        out->out[i].script = rd_string(r, BLOCK_SIZE_MAX_B);
    }
    out->out_count = count;
    return !r->failed;
}

static bool read_witnesses(struct tx *out, struct reader *r, struct arena *arena)
{
    for (uint32_t i = 0; i < out->in_count; i++) {
        uint32_t count = rd_count(r, 1, TX_COUNT_BOUND);
        if (r->failed)
            return false;
        if (count == 0)
            continue;
        struct span *items = array_in(arena, r, count, sizeof *items);
        if (items == NULL)
            return false;
        for (uint32_t k = 0; k < count && !r->failed; k++)
            items[k] = rd_string(r, BLOCK_SIZE_MAX_B);
        out->in[i].witness = items;
        out->in[i].witness_count = count;
        out->has_witness = true;
    }
    if (!out->has_witness)
        rd_fail(r, "superfluous witness"); /* or one transaction would have two encodings */
    return !r->failed;
}

static void compute_ids(struct tx *tx)
{
    const uint8_t *raw = tx->raw.data;
    if (!tx->has_witness) {
        sha256d(tx->txid.b, raw, tx->size_b);
        memcpy(tx->wtxid.b, tx->txid.b, sizeof tx->wtxid.b);
        return;
    }
    struct sha256 hash;
    sha256_begin(&hash);
    sha256_add(&hash, raw, VERSION_SIZE_B);
    sha256_add(&hash, raw + VERSION_SIZE_B + MARKER_SIZE_B,
        tx->stripped_size_b - VERSION_SIZE_B - LOCK_TIME_SIZE_B);
    sha256_add(&hash, raw + tx->size_b - LOCK_TIME_SIZE_B, LOCK_TIME_SIZE_B);
    sha256d_end(&hash, tx->txid.b);
    sha256d(tx->wtxid.b, raw, tx->size_b);
}

static bool decode(struct tx **out, struct span bytes, bool allow_witness, struct fail *why)
{
    *out = NULL;
    if (bytes.size_b > BLOCK_SIZE_MAX_B)
        return fail_set(why, FAIL_PROTOCOL, "tx-decode", "transaction larger than any block");
    struct arena arena;
    arena_init(&arena, TX_ARENA_MAX_B);
    struct tx *tx = mem_try_new(sizeof *tx);
    uint8_t *copy = tx != NULL ? arena_new(&arena, bytes.size_b) : NULL;
    if (copy == NULL) {
        mem_free(tx);
        return fail_oom(why, "tx-decode");
    }
    if (bytes.size_b > 0)
        memcpy(copy, bytes.data, bytes.size_b);
    struct reader r;
    rd_init(&r, span_of(copy, bytes.size_b));
    if (!tx_read(tx, &r, &arena, allow_witness) || rd_left(&r) > 0) {
        arena_clear(&arena);
        mem_free(tx);
        return decode_failed(&r, "tx-decode", why);
    }
    tx->arena = arena;
    atomic_init(&tx->refs, 1);
    *out = tx;
    return true;
}

/* Do the bytes look like a script: known opcodes, whole pushes, a length that can be spent? */
static bool script_is_plausible(struct span script)
{
    if (script.size_b > SCRIPT_PLAUSIBLE_MAX_B)
        return false;
    struct reader r;
    rd_init(&r, script);
    while (rd_left(&r) > 0) {
        uint8_t op = rd_u8(&r);
        size_t push_b = op;
        if (op > OPCODE_MAX)
            return false;
        if (op > 0x4e) /* not a push by length */
            continue;
        if (op == 0x4c)
            push_b = rd_u8(&r);
        else if (op == 0x4d)
            push_b = rd_u16le(&r);
        else if (op == 0x4e)
            push_b = rd_u32le(&r);
        rd_bytes(&r, push_b);
        if (r.failed)
            return false;
    }
    return true;
}

/* Tells a transaction from the same bytes read the other way, where scripts come out as noise. */
static bool scripts_are_plausible(const struct tx *tx)
{
    if (!tx_is_coinbase(tx)) {
        for (uint32_t i = 0; i < tx->in_count; i++) {
            if (!script_is_plausible(tx->in[i].script_sig))
                return false;
        }
    }
    for (uint32_t i = 0; i < tx->out_count; i++) {
        if (!script_is_plausible(tx->out[i].script))
            return false;
    }
    return true;
}
