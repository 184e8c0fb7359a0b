/* vec_real_blocks.c - proves that real blocks hold: merkle root, commitments, weight, sigop cost, every
 * fee and every script of blockN.raw with the coins of blockN-undo.raw; and that a copy with one bit
 * changed in a script, a witness, an amount or the root is refused. Block 300025 is Bitcoin's; higher
 * numbers than Bitcoin's segwit are the old testnet 3's, all of whose soft forks had long been active. */
#include "vec.h"

#include "coin/consensus/check.h"
#include "coin/primitives/block.h"

#define TESTNET3_FROM 900000 /* the vectors' testnet blocks have heights beyond this */

static struct chain *chain; /* Bitcoin's rules: testnet 3 had the same */

struct case_block {
    struct block *block;
    struct coin *coins; /* for each input of each transaction but the coinbase, in order */
    uint32_t coin_count;
    int32_t height;
    uint32_t flags;
    struct arena arena;
    struct buf undo;
};

static bool read_coins(struct case_block *c)
{
    struct reader r;
    uint64_t inputs = 0;
    for (uint32_t t = 1; t < c->block->tx_count; t++)
        inputs += c->block->txs[t].in_count;
    c->coins = arena_array(&c->arena, inputs, sizeof *c->coins);
    rd_init(&r, buf_span(&c->undo));
    for (uint64_t i = 0; i < inputs; i++) {
        c->coins[i].value_sat = rd_i64le(&r);
        c->coins[i].script = rd_string(&r, VEC_FILE_MAX_B);
    }
    c->coin_count = (uint32_t)inputs;
    return !r.failed && rd_left(&r) == 0;
}

static bool decode(struct block **out, struct span raw, struct fail *why)
{
    struct buf copy;
    buf_init(&copy, VEC_FILE_MAX_B);
    buf_put(&copy, raw.data, raw.size_b);
    return block_decode(out, &copy, why);
}

/* All that a node asks of the block, its coins given. */
static bool check_all(const struct case_block *c, const struct block *block, struct fail *why)
{
    struct block_context ctx = { .height = c->height, .median_time_past_s = block->header.time_s };
    int64_t fees_sat = 0, cost = tx_sigop_cost(&block->txs[0], NULL, c->flags), out_sat = 0;
    uint32_t at = 0;

    if (!check_block(chain, block, why) || !check_block_context(chain, block, &ctx, why))
        return false;
    for (uint32_t t = 1; t < block->tx_count; t++) {
        const struct tx *tx = &block->txs[t];
        const struct coin *spent = c->coins + at;
        struct sighash_pre pre;
        int64_t fee_sat;
        at += tx->in_count;
        if (at > c->coin_count)
            return fail_set(why, FAIL_INVALID, "inputs", "more inputs than coins");
        if (!check_tx_inputs(chain, tx, spent, c->height, &fee_sat, why))
            return false;
        fees_sat += fee_sat;
        cost += tx_sigop_cost(tx, spent, c->flags);
        sighash_pre_init(&pre, tx, spent);
        for (uint32_t i = 0; i < tx->in_count; i++) {
            enum script_error e = script_verify_input(&pre, i, c->flags);
            if (e != SCRIPT_OK)
                return fail_set(why, FAIL_INVALID, "script", "transaction %u input %u: %s", t, i,
                    script_error_text(e));
        }
    }
    for (uint32_t o = 0; o < block->txs[0].out_count; o++)
        out_sat += block->txs[0].out[o].value_sat;
    /* Testnet 3's subsidy at these heights is the rest of its halvings. */
    int64_t subsidy_sat = chain_subsidy_sat(chain, c->height);
    if (out_sat > fees_sat + subsidy_sat)
        return fail_set(why, FAIL_INVALID, "bad-cb-amount", "%lld > %lld + %lld", (long long)out_sat,
            (long long)fees_sat, (long long)subsidy_sat);
    if (cost > chain->block_sigop_cost_max)
        return fail_set(why, FAIL_INVALID, "bad-blk-sigops", "%lld", (long long)cost);
    return true;
}

/* A copy with the bit at this place of the raw block changed must be refused, or not even decode. */
static void refuse_bit(struct vec *v, const struct case_block *c, const uint8_t *place, const char *what)
{
    struct span raw = buf_span(&c->block->raw);
    struct block *block = NULL;
    struct fail why = { 0 };
    size_t offset = (size_t)(place - raw.data);
    struct buf copy;
    buf_init(&copy, VEC_FILE_MAX_B);
    buf_put(&copy, raw.data, raw.size_b);
    copy.data[offset] ^= 0x04;
    bool taken = block_decode(&block, &copy, &why) && check_all(c, block, &why);
    vec_case(v, !taken, "accepted with a bit changed in %s at %zu", what, offset);
    block_unref(block);
    buf_clear(&copy);
}

/* The scripts themselves, apart from the commitments that would catch a changed copy first. */
static void refuse_signature(struct vec *v, const struct case_block *c, uint32_t t, uint32_t coin_at)
{
    const struct tx *tx = &c->block->txs[t];
    struct coin spent[64];
    struct sighash_pre pre;
    if (tx->in_count > 64)
        return;
    memcpy(spent, c->coins + coin_at, tx->in_count * sizeof spent[0]);
    struct tx changed = *tx; /* a shallow copy: hashing reads no more */
    changed.lock_time ^= 1;
    sighash_pre_init(&pre, &changed, spent);
    bool all = true;
    for (uint32_t i = 0; i < tx->in_count; i++)
        all = all && script_verify_input(&pre, i, c->flags) == SCRIPT_OK;
    bool anyone_can_spend = true; /* some testnet inputs carry no signature */
    for (uint32_t i = 0; i < tx->in_count; i++) {
        struct script_match m = script_match(spent[i].script);
        bool keyed = m.kind == SCRIPT_PUBKEYHASH || m.kind == SCRIPT_WITNESS_V0_KEYHASH ||
                     m.kind == SCRIPT_PUBKEY;
        anyone_can_spend = anyone_can_spend && !keyed;
    }
    if (!anyone_can_spend)
        vec_case(v, !all, "transaction %u verifies with another lock time", t);
}

static void run_cases(struct vec *v, struct case_block *c)
{
    struct fail why = { 0 };
    vec_case(v, check_all(c, c->block, &why), "%s: %s", why.code, why.detail);
    refuse_bit(v, c, c->block->raw.data + 36, "the merkle root");
    uint32_t coin_at = 0;
    for (uint32_t t = 1; t < c->block->tx_count; t++) {
        const struct tx *tx = &c->block->txs[t];
        refuse_signature(v, c, t, coin_at);
        if (t % 97 == 1) {
            if (tx->in[0].script_sig.size_b > 10)
                refuse_bit(v, c, tx->in[0].script_sig.data + 10, "a scriptSig");
            if (tx->in[0].witness_count > 0 && tx->in[0].witness[0].size_b > 10)
                refuse_bit(v, c, tx->in[0].witness[0].data + 10, "a witness");
            if (tx->out[0].script.size_b > 5) {
                refuse_bit(v, c, tx->out[0].script.data + 4, "an output script");
                refuse_bit(v, c, tx->out[0].script.data - 9, "an amount");
            }
        }
        coin_at += tx->in_count;
    }
    /* A coin that was worth less than is spent. */
    if (c->coin_count > 0) {
        int64_t was_sat = c->coins[0].value_sat;
        c->coins[0].value_sat = 0;
        int64_t fee_sat;
        vec_case(v, !check_tx_inputs(chain, &c->block->txs[1], c->coins, c->height, &fee_sat, &why) ||
            c->block->txs[1].in_count > 1, "an input without value pays");
        c->coins[0].value_sat = was_sat;
    }
}

static bool run_file(struct vec *v, struct span content)
{
    struct case_block c = { 0 };
    struct fail why = { 0 };
    char undo[1024];
    const char *number = strstr(v->name, "block") + strlen("block");
    number = strstr(number, "block") != NULL ? strstr(number, "block") + strlen("block") : number;
    if (strstr(v->name, "-undo") != NULL)
        return false;
    c.height = (int32_t)strtol(number, NULL, 10);
    snprintf(undo, sizeof undo, "blocks/block%d-undo.raw", c.height);
    arena_init(&c.arena, 0);
    bool ok = decode(&c.block, content, &why) && vec_read(&c.undo, v->dir, undo) && read_coins(&c);
    if (!ok) {
        vec_case(v, false, "not understood: %s", why.detail);
    } else {
        c.flags = c.height < TESTNET3_FROM ? block_script_flags(chain, c.height, &c.block->id)
                                           : SCRIPT_FLAGS_CONSENSUS;
        run_cases(v, &c);
    }
    block_unref(c.block);
    buf_clear(&c.undo);
    arena_clear(&c.arena);
    return true;
}

int main(int argc, char **argv)
{
    struct vec v;
    struct fail why;
    if (!vec_start(&v, argc, argv))
        return 2;
    chain = chain_load("bitcoin", &why);
    if (chain == NULL) {
        fprintf(stderr, "%s\n", why.detail);
        return 2;
    }
    vec_folder(&v, "blocks", "block", ".raw", run_file);
    chain_free(chain);
    return vec_end(&v);
}
