/* Proves check_signet (BIP325) on the first real block of the default signet, whose signers were not us, and
 * on what becomes of it when any part changes that the signature covers, or the solution itself. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "coin/consensus/check.h"
#include "coin/crypto/secp.h"
#include "coin/script/script.h"
#include "unit.h"

static const char block_1[] =
    "00000020f61eee3b63a380a477a063af32b2bbc97c9ff9f01f2c4225e973988108000000f575c83235984e7dc4afc1f30944c170462e84"
    "437ab6f2d52e16878a79e4678bd1914d5fae77031eccf4070001"
    "010000000001010000000000000000000000000000000000000000000000000000000000000000ffffffff025151feffffff02"
    "00f2052a010000001600149243f727dd5343293eb83174324019ec16c2630f"
    "0000000000000000776a24aa21a9ede2f61c3f71d1defd3fa999dfa36953755c690689799962b48bebd836974e8cf94c4fecc7daa249"
    "0047304402205e423a8754336ca99dbe16509b877ef1bf98d008836c725005b3c787c41ebe4602"
    "2047246e4467ad7cc7f1ad98662afcaf14c115e0095a227c7b05c5182591c23e7e0100"
    "0120000000000000000000000000000000000000000000000000000000000000000000000000";

static struct chain *chain;

static void setup(void)
{
    static const uint8_t blinding[32] = { 1 };
    struct fail why;
    ck_assert(secp_init(blinding, &why));
    chain = chain_load("signet", &why);
    ck_assert_ptr_nonnull(chain);
}

static void teardown(void)
{
    chain_free(chain);
}

/* The block after `change`, its merkle root made right again. */
static struct block *changed(void (*change)(struct buf *raw))
{
    struct block *block = NULL;
    struct fail why;
    struct buf raw;
    buf_init(&raw, BLOCK_SIZE_MAX_B);
    ck_assert(hex_to_buf(&raw, span_text(block_1)));
    if (change != NULL)
        change(&raw);
    ck_assert_msg(block_decode(&block, &raw, &why), "%s", why.detail);
    block_merkle_root(block->header.merkle_root, block, NULL);
    return block;
}

static size_t place_of(const struct buf *raw, const char *hex)
{
    uint8_t bytes[64];
    struct buf found = { .data = bytes, .capacity_b = sizeof bytes, .limit_b = sizeof bytes };
    ck_assert(hex_to_buf(&found, span_text(hex)));
    uint8_t *at = memmem(raw->data, raw->size_b, found.data, found.size_b);
    ck_assert_ptr_nonnull(at);
    return (size_t)(at - raw->data);
}

START_TEST(the_first_block)
{
    struct block *block = changed(NULL);
    struct fail why = { 0 };
    struct block_context ctx = { .height = 1, .median_time_past_s = chain->genesis->header.time_s };
    char id[65];
    hash_to_hex(id, block->id.b);
    ck_assert_str_eq(id, "00000086d6b2636cb2a392d45edc4ec544a10024d30141c9adf4bfd9de533b53");
    ck_assert(pow_check(chain, &block->id, block->header.bits, block->header.time_s, 0, &why));
    ck_assert_msg(check_block(chain, block, &why), "%s", why.detail);
    ck_assert_msg(check_block_context(chain, block, &ctx, &why), "%s", why.detail);
    ck_assert_msg(check_signet(chain, block, &why), "%s", why.detail);
    block_unref(block);
}
END_TEST

static void other_version(struct buf *raw) { raw->data[1] ^= 1; }
static void other_parent(struct buf *raw) { raw->data[4] ^= 1; }
static void other_time(struct buf *raw) { raw->data[68] ^= 1; }
static void other_nonce(struct buf *raw) { raw->data[76] ^= 1; }
static void other_bits(struct buf *raw) { raw->data[72] ^= 1; }
static void other_payee(struct buf *raw) { raw->data[place_of(raw, "9243f727dd")] ^= 1; }
static void other_commitment(struct buf *raw) { raw->data[place_of(raw, "e2f61c3f71")] ^= 1; }
static void other_signature(struct buf *raw) { raw->data[place_of(raw, "5e423a8754")] ^= 1; }
static void other_hash_type(struct buf *raw) { raw->data[place_of(raw, "c23e7e01") + 3] = 0x81; }
static void other_tag(struct buf *raw) { raw->data[place_of(raw, "ecc7daa2")] ^= 1; }
static void other_end(struct buf *raw) { raw->data[place_of(raw, "c23e7e01") + 4] = 1; } /* a witness that is cut */
static void other_push(struct buf *raw) { raw->data[place_of(raw, "4fecc7daa2")] -= 1; }

static const struct { void (*change)(struct buf *raw); bool holds; } changes[] = {
    { other_version, false }, { other_parent, false }, { other_time, false }, { other_payee, false },
    { other_commitment, false }, { other_signature, false }, { other_hash_type, false }, { other_tag, false },
    { other_push, false }, { other_end, false },
    { other_nonce, true }, /* signed before it is mined */
    { other_bits, true },
};

START_TEST(what_is_signed)
{
    struct fail why = { 0 };
    struct block *block = changed(changes[_i].change);
    bool ok = check_signet(chain, block, &why);
    ck_assert_msg(ok == changes[_i].holds, "change %d: %s", _i, why.detail);
    if (!ok) {
        ck_assert_str_eq(why.code, "bad-signet-blksig");
        ck_assert_int_eq(why.kind, FAIL_INVALID);
    }
    block_unref(block);
}
END_TEST

START_TEST(other_challenges)
{
    struct fail why;
    struct block *block = changed(NULL), *unsigned_block = changed(other_tag);
    ck_assert(check_signet(chain, chain->genesis, &why)); /* the genesis block is not signed */
    ck_assert(chain_set_signet_challenge(chain, "51", &why));
    ck_assert(check_signet(chain, unsigned_block, &why)); /* OP_TRUE asks for no solution */
    ck_assert(chain_set_signet_challenge(chain, "00", &why));
    ck_assert(!check_signet(chain, unsigned_block, &why));
    ck_assert(chain_set_signet_challenge(chain,
        "21030000000000000000000000000000000000000000000000000000000000000001ac", &why));
    ck_assert(!check_signet(chain, block, &why));
    chain->signet_challenge.size_b = 0; /* no signet at all */
    ck_assert(check_signet(chain, unsigned_block, &why));
    block_unref(block);
    block_unref(unsigned_block);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("signet");
    TCase *tc = tcase_create("signet");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_first_block);
    tcase_add_loop_test(tc, what_is_signed, 0, (int)(sizeof changes / sizeof *changes));
    tcase_add_test(tc, other_challenges);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
