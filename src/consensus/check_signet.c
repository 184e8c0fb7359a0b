/* check_signet.c - BIP325: a signed chain's blocks carry a solution to the chain's challenge script.
 *
 * Two transactions are made up, never published: to_spend commits to the block (version, parent, merkle
 * root without the solution, time) and pays to the challenge; spending takes the solution, which lies in
 * the coinbase's witness commitment behind a header of four bytes. The solution verifies or the block is
 * bad. A challenge like OP_TRUE needs no solution, so a missing one is an empty one. */
#include <string.h>

#include "coin/base/mem.h"
#include "coin/consensus/check.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/sha256.h"
#include "coin/primitives/tx.h"
#include "coin/script/script.h"

#define SOLUTION_MAX_B BLOCK_SIZE_MAX_B
#define SIGNET_FLAGS \
    (SCRIPT_VERIFY_P2SH | SCRIPT_VERIFY_WITNESS | SCRIPT_VERIFY_DERSIG | SCRIPT_VERIFY_NULLDUMMY)
#define COMMITTED_SIZE_B (4 + 32 + 32 + 4)

static const uint8_t solution_header[4] = { 0xec, 0xc7, 0xda, 0xa2 };

struct signet { /* what the check makes and gives back at its end */
    struct span solution;    /* a view into the block */
    struct buf commitment;   /* the output's script without the solution */
    struct tx_draft draft;
    struct tx *spending;
    struct outpoint spent;
};

static bool split_commitment(struct signet *s, struct span script, struct fail *why);
static bool modified_root(struct signet *s, const struct block *block, int32_t index, uint8_t root[32],
    struct fail *why);
static bool make_to_spend(struct signet *s, const struct chain *chain, const struct block *block,
    const uint8_t root[32], struct fail *why);
static bool make_spending(struct signet *s, struct fail *why);
static bool verify(const struct signet *s, const struct chain *chain, struct fail *why);
static bool bad(struct fail *why, const char *detail);

bool check_signet(const struct chain *chain, const struct block *block, struct fail *why)
{
    struct signet s = { 0 };
    uint8_t root[32];

    if (chain->signet_challenge.size_b == 0 || block_id_equal(&block->id, &chain->genesis->id))
        return true;
    int32_t index = block->tx_count > 0 ? block_commitment_index(block) : -1;
    if (index < 0)
        return bad(why, "no witness commitment to carry the solution");
    buf_init(&s.commitment, SOLUTION_MAX_B);
    tx_draft_init(&s.draft);
    bool ok = split_commitment(&s, block->txs[0].out[index].script, why) &&
              modified_root(&s, block, index, root, why) &&
              make_to_spend(&s, chain, block, root, why) && make_spending(&s, why) &&
              verify(&s, chain, why);
    tx_unref(s.spending);
    tx_draft_clear(&s.draft);
    buf_clear(&s.commitment);
    return ok;
}

/* The first push that begins with the header keeps only the header; the rest of it is the solution. */
static bool split_commitment(struct signet *s, struct span script, struct fail *why)
{
    struct reader r;
    struct span push;
    uint8_t op;
    bool found = false;
    rd_init(&r, script);
    while (script_next(&r, &op, &push)) {
        if (push.size_b == 0) {
            buf_put_u8(&s->commitment, op);
            continue;
        }
        if (!found && push.size_b > sizeof solution_header &&
            memcmp(push.data, solution_header, sizeof solution_header) == 0) {
            s->solution = span_of(push.data + sizeof solution_header, push.size_b - sizeof solution_header);
            push.size_b = sizeof solution_header;
            found = true;
        }
        script_put_data(&s->commitment, push);
    }
    if (!found) { /* unchanged, byte for byte */
        s->commitment.size_b = 0;
        buf_put(&s->commitment, script.data, script.size_b);
    }
    return buf_ok(&s->commitment, "signet commitment", why);
}

static bool modified_root(struct signet *s, const struct block *block, int32_t index, uint8_t root[32],
    struct fail *why)
{
    struct buf coinbase;
    uint8_t *hashes = mem_try_array(block->tx_count, 32);
    if (hashes == NULL || !tx_draft_from_tx(&s->draft, &block->txs[0])) {
        mem_free(hashes);
        return fail_oom(why, "signet merkle tree");
    }
    s->draft.out[index].script = buf_span(&s->commitment);
    buf_init(&coinbase, BLOCK_SIZE_MAX_B);
    tx_draft_encode(&coinbase, &s->draft, false);
    bool ok = buf_ok(&coinbase, "signet coinbase", why);
    if (ok) {
        sha256d(hashes, coinbase.data, coinbase.size_b);
        for (uint32_t i = 1; i < block->tx_count; i++)
            memcpy(hashes + 32 * (size_t)i, block->txs[i].txid.b, 32);
        merkle_root(root, hashes, block->tx_count, NULL);
    }
    buf_clear(&coinbase);
    tx_draft_clear(&s->draft);
    mem_free(hashes);
    return ok;
}

static bool make_to_spend(struct signet *s, const struct chain *chain, const struct block *block,
    const uint8_t root[32], struct fail *why)
{
    static const struct outpoint null = { .index = UINT32_MAX };
    uint8_t committed[COMMITTED_SIZE_B], script[2 + COMMITTED_SIZE_B];
    struct tx *to_spend = NULL;

    put_u32le(committed, (uint32_t)block->header.version);
    memcpy(committed + 4, block->header.prev.b, 32);
    memcpy(committed + 36, root, 32);
    put_u32le(committed + 68, block->header.time_s);
    script[0] = OP_0;
    script[1] = COMMITTED_SIZE_B;
    memcpy(script + 2, committed, sizeof committed);

    s->draft.version = 0;
    if (tx_draft_add_in(&s->draft, &null, 0) == NULL ||
        !tx_draft_set_script_sig(&s->draft, 0, span_of(script, sizeof script)) ||
        tx_draft_add_out(&s->draft, 0, buf_span(&chain->signet_challenge)) == NULL)
        return fail_oom(why, "signet transaction");
    if (!tx_draft_finish(&to_spend, &s->draft, why))
        return false;
    s->spent.txid = to_spend->txid;
    s->spent.index = 0;
    tx_unref(to_spend);
    tx_draft_clear(&s->draft);
    return true;
}

/* Solution: scriptSig, then the witness stack, then nothing. */
static bool make_spending(struct signet *s, struct fail *why)
{
    static const uint8_t op_return[] = { OP_RETURN };
    struct span script_sig = { 0 };
    struct span *items = NULL;
    uint32_t count = 0;
    struct arena arena;
    bool ok = true;

    arena_init(&arena, 0);
    if (s->solution.size_b > 0) {
        struct reader r;
        rd_init(&r, s->solution);
        script_sig = rd_string(&r, SOLUTION_MAX_B);
        count = rd_count(&r, 1, SOLUTION_MAX_B);
        items = arena_array(&arena, count, sizeof *items);
        ok = items != NULL || fail_oom(why, "signet witness");
        for (uint32_t i = 0; ok && i < count; i++)
            items[i] = rd_string(&r, SOLUTION_MAX_B);
        if (ok && (r.failed || rd_left(&r) > 0))
            ok = bad(why, "the solution does not parse");
    }
    s->draft.version = 0;
    if (ok && (tx_draft_add_in(&s->draft, &s->spent, 0) == NULL ||
               !tx_draft_set_script_sig(&s->draft, 0, script_sig) ||
               !tx_draft_set_witness(&s->draft, 0, items, count) ||
               tx_draft_add_out(&s->draft, 0, span_of(op_return, sizeof op_return)) == NULL))
        ok = fail_oom(why, "signet transaction");
    ok = ok && tx_draft_finish(&s->spending, &s->draft, why);
    arena_clear(&arena);
    return ok;
}

static bool verify(const struct signet *s, const struct chain *chain, struct fail *why)
{
    struct coin coin = { .value_sat = 0, .script = buf_span(&chain->signet_challenge) };
    struct sighash_pre pre;
    sighash_pre_init(&pre, s->spending, &coin);
    enum script_error e = script_verify_input(&pre, 0, SIGNET_FLAGS);
    return e == SCRIPT_OK || bad(why, script_error_text(e));
}

static bool bad(struct fail *why, const char *detail)
{
    return fail_set(why, FAIL_INVALID, "bad-signet-blksig", "signet block signature validation failure: %s",
        detail);
}
