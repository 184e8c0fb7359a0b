/* Blocks: what decodes has the bytes it came in, and every rule that needs no coins gives a verdict. */
#include "coin/consensus/check.h"
#include "coin/primitives/block.h"
#include "fuzz.h"

static void verdict(bool ok, const struct fail *why)
{
    FUZZ_HOLDS(ok || (why->code[0] != 0 && (why->kind == FAIL_INVALID || why->kind == FAIL_MUTATED)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_b)
{
    struct block *block = NULL;
    struct fail why = { 0 };
    struct buf raw;
    buf_init(&raw, BLOCK_SIZE_MAX_B);
    buf_put(&raw, data, size_b);
    if (!buf_ok(&raw, "input", &why) || !block_decode(&block, &raw, &why)) {
        buf_clear(&raw);
        return 0;
    }
    FUZZ_HOLDS(block->size_b == size_b && memcmp(block->raw.data, data, size_b) == 0);
    FUZZ_HOLDS(block_weight_wu(block) == 3 * block->stripped_size_b + block->size_b);
    static const char *const chains[] = { "regtest", "signet", "coin" };
    for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) {
        const struct chain *chain = fuzz_chain(chains[i]);
        struct block_context ctx = { .height = 200, .median_time_past_s = block->header.time_s };
        bool ok = check_block(chain, block, &why);
        verdict(ok, &why);
        if (!ok)
            continue;
        ok = check_block_context(chain, block, &ctx, &why);
        verdict(ok, &why);
        ok = check_signet(chain, block, &why);
        verdict(ok, &why);
    }
    block_unref(block);
    return 0;
}
