/* Looking for a nonce: pure work on one header, in steps short enough to be called off at once. */

#include <stdatomic.h>
#include <string.h>

#include "coin/crypto/sha256.h"
#include "internal.h"

#define NONCES (UINT64_C(1) << 32)

void grind_prepare(struct grind *grind, const struct block *block, const struct block_template *t,
    const struct chain *chain, const _Atomic uint64_t *epoch)
{
    struct header header = block->header;
    struct u256 target = template_target(t, chain, t->time_s);
    header.time_s = (uint32_t)t->time_s;
    header.bits = t->bits;
    header_encode(grind->header, &header);
    u256_to_le(grind->target_le, &target);
    grind->first = 0;
    grind->count = NONCES;
    grind->epoch = epoch;
    grind->begun_epoch = atomic_load(epoch);
    grind->hashes = 0;
    grind->found = false;
}

void grind_run(struct job *job)
{
    struct grind *grind = (struct grind *)job;
    while (grind->hashes < grind->count && atomic_load_explicit(grind->epoch, memory_order_relaxed) == grind->begun_epoch) {
        uint64_t left = grind->count - grind->hashes;
        uint32_t step = left < GRIND_STEP ? (uint32_t)left : GRIND_STEP;
        uint32_t first = grind->first + (uint32_t)grind->hashes, nonce;
        if (sha256d_grind(&nonce, grind->header, first, step, grind->target_le)) {
            put_u32le(grind->header + HEADER_SIZE_B - 4, nonce);
            grind->hashes += (uint64_t)(nonce - first) + 1;
            grind->found = true;
            return;
        }
        grind->hashes += step;
    }
}
