/* Blocks: the bytes as they came, one arena for everything parsed from them, and ids hashed on the way.
 * Transactions lie in one array in the arena; each points back to its block and is counted by it, so one
 * reference, on whatever, keeps the whole alive, and one release frees it.
 *
 * Merkle roots fold 256 leaves at a time on the stack, so that no memory is asked for where a check
 * could not say that there is none. */
#include "coin/primitives/block.h"

#include <stdatomic.h>
#include <string.h>

#include "coin/crypto/hash.h"
#include "coin/crypto/sha256.h"
#include "parts.h"

#define HASH_SIZE_B 32
/* A transaction that any rule allows has an input and an output: 60 bytes. More per block than this can
 * never be valid, so they are not given memory. */
#define TX_VALID_MIN_B (10 + TX_INPUT_SIZE_MIN_B + TX_OUTPUT_SIZE_MIN_B)
#define BLOCK_TXS_MAX (BLOCK_SIZE_MAX_B / TX_VALID_MIN_B)
#define TX_SHORTEST_B 10 /* that decodes: version, two zero counts, lock time */
/* Empty witness items, 16 bytes of span for each byte, or transactions as short as they can be. */
#define BLOCK_ARENA_MAX_B ((size_t)BLOCK_SIZE_MAX_B * 20)

#define FOLD_LEVELS 8
#define FOLD_LEAVES (1u << FOLD_LEVELS)
#define FOLD_ROOTS (BLOCK_TXS_MAX / FOLD_LEAVES + 1)

#define COMMITMENT_SIZE_MIN_B 38 /* BIP141: OP_RETURN, push of 36, aa21a9ed, 32 bytes */

static bool read_block(struct block *block, struct reader *r);
static void put_leaf(uint8_t out[32], const struct block *block, uint32_t i, bool witness);
static void root_of(uint8_t out[32], const struct block *block, bool witness, bool *mutated);
static void fold(uint8_t *leaves, size_t count, bool *mutated);

void header_decode(struct header *out, const uint8_t bytes[HEADER_SIZE_B])
{
    struct reader r;
    rd_init(&r, span_of(bytes, HEADER_SIZE_B));
    (void)!rd_header(&r, out); /* the length is right */
}

void header_encode(uint8_t out[HEADER_SIZE_B], const struct header *h)
{
    put_u32le(out, (uint32_t)h->version);
    memcpy(out + 4, h->prev.b, HASH_SIZE_B);
    memcpy(out + 36, h->merkle_root, HASH_SIZE_B);
    put_u32le(out + 68, h->time_s);
    put_u32le(out + 72, h->bits);
    put_u32le(out + 76, h->nonce);
}

struct block_id header_id(const struct header *h)
{
    uint8_t bytes[HEADER_SIZE_B];
    struct block_id id;
    header_encode(bytes, h);
    sha256d(id.b, bytes, sizeof bytes);
    return id;
}

bool rd_header(struct reader *r, struct header *out)
{
    out->version = rd_i32le(r);
    rd_copy(r, out->prev.b, HASH_SIZE_B);
    rd_copy(r, out->merkle_root, HASH_SIZE_B);
    out->time_s = rd_u32le(r);
    out->bits = rd_u32le(r);
    out->nonce = rd_u32le(r);
    return !r->failed;
}

bool block_decode(struct block **out, struct buf *raw, struct fail *why)
{
    *out = NULL;
    if (raw->size_b > BLOCK_SIZE_MAX_B) {
        buf_clear(raw);
        return fail_set(why, FAIL_PROTOCOL, "block-decode", "larger than any block");
    }
    struct block *block = mem_try_new(sizeof *block);
    if (block == NULL) {
        buf_clear(raw);
        return fail_oom(why, "block-decode");
    }
    atomic_init(&block->refs, 1);
    arena_init(&block->arena, BLOCK_ARENA_MAX_B);
    buf_init(&block->raw, BLOCK_SIZE_MAX_B);
    buf_move(&block->raw, raw);
    struct reader r;
    rd_init(&r, buf_span(&block->raw));
    if (!read_block(block, &r) || rd_left(&r) > 0) {
        block_unref(block);
        return decode_failed(&r, "block-decode", why);
    }
    *out = block;
    return true;
}

struct block *block_ref(struct block *block)
{
    atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    return block;
}

void block_unref(struct block *block)
{
    if (block == NULL || atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_clear(&block->arena);
    buf_clear(&block->raw);
    mem_free(block);
}

uint32_t block_weight_wu(const struct block *block)
{
    return block->stripped_size_b * 3 + block->size_b;
}

void block_merkle_root(uint8_t out[32], const struct block *block, bool *mutated)
{
    root_of(out, block, false, mutated);
}

void block_witness_root(uint8_t out[32], const struct block *block)
{
    root_of(out, block, true, NULL);
}

int32_t block_commitment_index(const struct block *block)
{
    static const uint8_t prefix[] = { 0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed };
    if (block->tx_count == 0)
        return -1;
    const struct tx *coinbase = &block->txs[0];
    for (uint32_t i = coinbase->out_count; i-- > 0;) {
        struct span script = coinbase->out[i].script;
        if (script.size_b >= COMMITMENT_SIZE_MIN_B && memcmp(script.data, prefix, sizeof prefix) == 0)
            return (int32_t)i;
    }
    return -1;
}

static bool read_block(struct block *block, struct reader *r)
{
    const uint8_t *start = r->at;
    if (!rd_header(r, &block->header))
        return false;
    sha256d(block->id.b, start, HEADER_SIZE_B);
    uint32_t count = rd_count(r, TX_SHORTEST_B, BLOCK_TXS_MAX);
    if (r->failed)
        return false;
    block->stripped_size_b = (uint32_t)(r->at - start);
    block->txs = arena_array(&block->arena, count, sizeof *block->txs);
    if (block->txs == NULL) {
        rd_fail(r, tx_no_memory);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!tx_read(&block->txs[i], r, &block->arena, true))
            return false;
        block->txs[i].block = block;
        block->stripped_size_b += block->txs[i].stripped_size_b;
    }
    block->tx_count = count;
    block->size_b = (uint32_t)(r->at - start);
    return true;
}

static void put_leaf(uint8_t out[32], const struct block *block, uint32_t i, bool witness)
{
    if (!witness)
        memcpy(out, block->txs[i].txid.b, HASH_SIZE_B);
    else if (i == 0)
        memset(out, 0, HASH_SIZE_B); /* BIP141: it cannot commit to itself */
    else
        memcpy(out, block->txs[i].wtxid.b, HASH_SIZE_B);
}

static void root_of(uint8_t out[32], const struct block *block, bool witness, bool *mutated)
{
    uint8_t leaves[FOLD_LEAVES * HASH_SIZE_B], roots[FOLD_ROOTS * HASH_SIZE_B];
    bool same = false, same_above = false;
    size_t root_count = 0;
    for (uint32_t first = 0; first < block->tx_count; first += FOLD_LEAVES) {
        uint32_t count = block->tx_count - first < FOLD_LEAVES ? block->tx_count - first : FOLD_LEAVES;
        for (uint32_t i = 0; i < count; i++)
            put_leaf(leaves + i * HASH_SIZE_B, block, first + i, witness);
        if (block->tx_count <= FOLD_LEAVES) {
            merkle_root(out, leaves, count, mutated);
            return;
        }
        fold(leaves, count, &same);
        memcpy(roots + root_count++ * HASH_SIZE_B, leaves, HASH_SIZE_B);
    }
    merkle_root(out, roots, root_count, &same_above);
    if (mutated != NULL)
        *mutated = same || same_above;
}

/* Goes up FOLD_LEVELS levels of a larger tree, in place: an odd last one is paired with itself on each
 * level, even alone, for it is not the root yet. */
static void fold(uint8_t *leaves, size_t count, bool *mutated)
{
    for (int level = 0; level < FOLD_LEVELS; level++) {
        for (size_t i = 0; i + 1 < count; i += 2) {
            if (memcmp(leaves + i * HASH_SIZE_B, leaves + (i + 1) * HASH_SIZE_B, HASH_SIZE_B) == 0)
                *mutated = true;
        }
        if (count % 2 != 0) {
            memcpy(leaves + count * HASH_SIZE_B, leaves + (count - 1) * HASH_SIZE_B, HASH_SIZE_B);
            count++;
        }
        count /= 2;
        sha256d_64(leaves, leaves, count);
    }
}
