/* Proves that blocks decode to the ids and roots of Bitcoin's, refuse every cut, share one count of
 * references with their transactions, and find malleated trees at every size. */
#include <check.h>
#include <string.h>

#include "coin/crypto/hash.h"
#include "coin/crypto/sha256.h"
#include "coin/primitives/block.h"
#include "unit.h"

#define BYTES_MAX 2000000

static const char genesis[] =
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e"
    "67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c01010000000100000000000000000000"
    "00000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f"
    "4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f75742066"
    "6f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a6"
    "7962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000";

static struct buf from_hex(const char *hex)
{
    struct buf raw;
    buf_init(&raw, BYTES_MAX);
    ck_assert(hex_to_buf(&raw, span_text(hex)));
    return raw;
}

static struct block *decode(struct buf raw)
{
    struct block *block;
    struct fail why;
    ck_assert_msg(block_decode(&block, &raw, &why), "%s", why.detail);
    ck_assert_uint_eq(raw.size_b, 0);
    return block;
}

START_TEST(genesis_block)
{
    struct block *block = decode(from_hex(genesis));
    uint8_t root[32], header[HEADER_SIZE_B];
    bool mutated = true;
    ck_assert_str_eq(hash_show(block->id.b), "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f");
    ck_assert_uint_eq(block->header.time_s, 1231006505);
    ck_assert_uint_eq(block->header.bits, 0x1d00ffff);
    ck_assert_uint_eq(block->header.nonce, 2083236893);
    ck_assert_uint_eq(block->tx_count, 1);
    ck_assert(tx_is_coinbase(&block->txs[0]));
    block_merkle_root(root, block, &mutated);
    ck_assert(!mutated);
    ck_assert_int_eq(memcmp(root, block->header.merkle_root, 32), 0);
    header_encode(header, &block->header);
    ck_assert_int_eq(memcmp(header, block->raw.data, HEADER_SIZE_B), 0);
    struct header back;
    header_decode(&back, header);
    struct block_id id = header_id(&back);
    ck_assert(block_id_equal(&id, &block->id));
    ck_assert_uint_eq(block->size_b, 285);
    ck_assert_uint_eq(block->stripped_size_b, 285);
    ck_assert_uint_eq(block_weight_wu(block), 285 * 4);
    ck_assert_int_eq(block_commitment_index(block), -1);
    block_unref(block);
}
END_TEST

START_TEST(every_cut_is_refused)
{
    for (size_t size_b = 0; size_b < sizeof genesis / 2; size_b++) {
        struct buf raw = from_hex(genesis);
        raw.size_b = size_b;
        struct block *block;
        struct fail why;
        ck_assert_msg(!block_decode(&block, &raw, &why), "%zu bytes", size_b);
        ck_assert_int_eq(why.kind, FAIL_PROTOCOL);
        ck_assert_str_eq(why.code, "block-decode");
        ck_assert_ptr_null(block);
        ck_assert_uint_eq(raw.size_b, 0);
        buf_clear(&raw);
    }
    struct buf raw = from_hex(genesis);
    buf_put_u8(&raw, 0);
    struct block *block;
    struct fail why;
    ck_assert(!block_decode(&block, &raw, &why));
    ck_assert_int_eq(why.kind, FAIL_PROTOCOL);
    buf_clear(&raw);
}
END_TEST

/* A block of count small transactions, each different by its lock time; `twice`: the last repeated. */
static struct buf make_block(uint32_t count, bool twice, bool witness)
{
    struct buf raw;
    buf_init(&raw, BYTES_MAX);
    uint8_t header[HEADER_SIZE_B] = { 1 };
    buf_put(&raw, header, sizeof header);
    buf_put_count(&raw, count);
    for (uint32_t i = 0; i < count; i++) {
        struct tx_draft draft;
        tx_draft_init(&draft);
        struct outpoint o = { .index = 0 };
        o.txid.b[0] = 1;
        ck_assert_ptr_nonnull(tx_draft_add_in(&draft, &o, 0));
        ck_assert_ptr_nonnull(tx_draft_add_out(&draft, 1, (struct span){ NULL, 0 }));
        struct span item = span_text("w");
        if (witness)
            ck_assert(tx_draft_set_witness(&draft, 0, &item, 1));
        draft.lock_time = twice && i == count - 1 ? i - 1 : i;
        tx_draft_encode(&raw, &draft, true);
        tx_draft_clear(&draft);
    }
    return raw;
}

/* The plain algorithm over all leaves at once. */
static bool plain_root(uint8_t out[32], const struct block *block, bool witness)
{
    uint8_t *leaves = mem_try_array(block->tx_count + 2, 32);
    bool mutated;
    for (uint32_t i = 0; i < block->tx_count; i++) {
        if (witness && i > 0)
            memcpy(leaves + 32 * i, block->txs[i].wtxid.b, 32);
        else if (!witness)
            memcpy(leaves + 32 * i, block->txs[i].txid.b, 32);
    }
    size_t count = block->tx_count;
    mutated = false;
    while (count > 1) {
        for (size_t i = 0; i + 1 < count; i += 2)
            mutated |= memcmp(leaves + 32 * i, leaves + 32 * (i + 1), 32) == 0;
        if (count % 2 != 0) {
            memcpy(leaves + 32 * count, leaves + 32 * (count - 1), 32);
            count++;
        }
        for (size_t i = 0; i < count / 2; i++)
            sha256d(leaves + 32 * i, leaves + 64 * i, 64);
        count /= 2;
    }
    memcpy(out, leaves, 32);
    mem_free(leaves);
    return mutated;
}

static const uint32_t sizes[] = { 1, 2, 3, 4, 5, 7, 8, 255, 256, 257, 258, 259, 511, 512, 513, 514, 1000, 1023, 1024, 1025, 4097 };

START_TEST(roots_at_every_size)
{
    struct block *block = decode(make_block(sizes[_i], false, true));
    uint8_t got[32], want[32];
    bool mutated;
    ck_assert_uint_eq(block->tx_count, sizes[_i]);
    block_merkle_root(got, block, &mutated);
    ck_assert(mutated == plain_root(want, block, false));
    ck_assert(!mutated);
    ck_assert_msg(memcmp(got, want, 32) == 0, "%u transactions", sizes[_i]);
    block_witness_root(got, block);
    plain_root(want, block, true);
    ck_assert_msg(memcmp(got, want, 32) == 0, "%u transactions, witness", sizes[_i]);
    block_merkle_root(got, block, NULL);
    block_unref(block);
}
END_TEST

START_TEST(malleation_at_every_size)
{
    if (sizes[_i] < 2 || sizes[_i] % 2 != 0)
        return;
    struct block *block = decode(make_block(sizes[_i], true, false)), *honest = decode(make_block(sizes[_i] - 1, false, false));
    uint8_t root[32], root_honest[32];
    bool mutated;
    block_merkle_root(root, block, &mutated);
    ck_assert_msg(mutated, "%u transactions", sizes[_i]); /* CVE-2012-2459 */
    block_merkle_root(root_honest, honest, &mutated);
    ck_assert(!mutated);
    if (sizes[_i] > 2) /* the root of one is not hashed */
        ck_assert_int_eq(memcmp(root, root_honest, 32), 0); /* why it must be noticed */
    block_unref(block);
    block_unref(honest);
}
END_TEST

START_TEST(malleation_above_the_fold)
{
    /* 512 leaves repeated: equal subtrees meet only above the levels that are folded at once. */
    struct buf raw = make_block(512, false, false), twice;
    buf_init(&twice, BYTES_MAX);
    struct block *half = decode(raw);
    uint8_t header[HEADER_SIZE_B] = { 1 };
    buf_put(&twice, header, sizeof header);
    buf_put_count(&twice, 1024);
    for (int k = 0; k < 2; k++)
        buf_put(&twice, half->raw.data + HEADER_SIZE_B + 3, half->raw.size_b - HEADER_SIZE_B - 3);
    struct block *whole = decode(twice);
    uint8_t root[32];
    bool mutated = false;
    block_merkle_root(root, whole, &mutated);
    ck_assert(mutated);
    block_unref(half);
    block_unref(whole);
}
END_TEST

START_TEST(transactions_keep_their_block)
{
    struct block *block = decode(make_block(3, false, true));
    struct tx *tx = tx_ref(&block->txs[2]);
    block_unref(block);
    ck_assert_uint_eq(tx->in_count, 1); /* the sanitizer watches */
    ck_assert(span_is(tx->in[0].witness[0], "w"));
    tx_unref(tx_ref(tx));
    tx_unref(tx);
    block_unref(NULL);
}
END_TEST

START_TEST(sizes_add_up)
{
    struct block *block = decode(make_block(5, false, true));
    uint32_t size_b = HEADER_SIZE_B + 1, stripped_b = size_b;
    for (uint32_t i = 0; i < block->tx_count; i++) {
        size_b += block->txs[i].size_b;
        stripped_b += block->txs[i].stripped_size_b;
    }
    ck_assert_uint_eq(block->size_b, size_b);
    ck_assert_uint_eq(block->stripped_size_b, stripped_b);
    ck_assert_uint_eq(block->raw.size_b, size_b);
    ck_assert_uint_lt(stripped_b, size_b);
    block_unref(block);
}
END_TEST

START_TEST(commitment_is_the_last)
{
    uint8_t script[40] = { 0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed };
    struct tx_draft draft;
    tx_draft_init(&draft);
    struct outpoint none = { .index = 0xffffffffu };
    ck_assert_ptr_nonnull(tx_draft_add_in(&draft, &none, 0));
    ck_assert_ptr_nonnull(tx_draft_add_out(&draft, 0, span_of(script, 38)));
    ck_assert_ptr_nonnull(tx_draft_add_out(&draft, 0, span_of(script, 40)));
    ck_assert_ptr_nonnull(tx_draft_add_out(&draft, 0, span_of(script, 37))); /* too short */
    struct buf raw;
    buf_init(&raw, BYTES_MAX);
    uint8_t header[HEADER_SIZE_B] = { 1 };
    buf_put(&raw, header, sizeof header);
    buf_put_count(&raw, 1);
    tx_draft_encode(&raw, &draft, true);
    struct block *block = decode(raw);
    ck_assert_int_eq(block_commitment_index(block), 1);
    block_unref(block);
    tx_draft_clear(&draft);
}
END_TEST

START_TEST(counts_are_bounded)
{
    /* A count that the bytes could cover, of transactions that no rule allows: no memory is given. */
    struct buf raw;
    buf_init(&raw, BYTES_MAX);
    uint8_t header[HEADER_SIZE_B] = { 1 };
    buf_put(&raw, header, sizeof header);
    buf_put_count(&raw, 100000);
    memset(buf_reserve(&raw, 1000000), 0, 1000000);
    raw.size_b += 1000000;
    struct block *block;
    struct fail why;
    ck_assert(!block_decode(&block, &raw, &why));
    ck_assert_int_eq(why.kind, FAIL_PROTOCOL);
    buf_clear(&raw);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    for (uint32_t nth = 1;; nth++) {
        struct buf raw = make_block(40, false, true);
        struct block *block;
        struct fail why;
        mem_fail_nth(nth);
        bool ok = block_decode(&block, &raw, &why);
        mem_fail_nth(0);
        buf_clear(&raw);
        if (ok) {
            block_unref(block);
            ck_assert_uint_gt(nth, 2);
            return;
        }
        ck_assert_int_eq(why.kind, FAIL_NO_ROOM);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("block");
    TCase *tc = tcase_create("block");
    tcase_add_test(tc, genesis_block);
    tcase_add_test(tc, every_cut_is_refused);
    tcase_add_loop_test(tc, roots_at_every_size, 0, (int)(sizeof sizes / sizeof *sizes));
    tcase_add_loop_test(tc, malleation_at_every_size, 0, (int)(sizeof sizes / sizeof *sizes));
    tcase_add_test(tc, malleation_above_the_fold);
    tcase_add_test(tc, transactions_keep_their_block);
    tcase_add_test(tc, sizes_add_up);
    tcase_add_test(tc, commitment_is_the_last);
    tcase_add_test(tc, counts_are_bounded);
    tcase_add_test(tc, every_allocation_may_fail);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
