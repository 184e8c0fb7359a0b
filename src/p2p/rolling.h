/* rolling.h - "have I seen this lately?" over 64-bit fingerprints: two generations, the older forgotten
 * when the newer is full. Remembers the last `limit` to 2 * limit additions exactly, up to collisions of
 * keyed fingerprints. Grows with use; out of memory it forgets, which its users can bear. Thread: loop. */
#ifndef COIN_P2P_ROLLING_H
#define COIN_P2P_ROLLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rolling {
    uint64_t *slots[2]; /* newer, older; 0: empty slot */
    uint32_t capacity[2], count[2];
    uint32_t limit; /* entries per generation */
    uint64_t seed[2];
};
void rolling_init(struct rolling *r, uint32_t limit, const uint64_t seed[2]);
void rolling_clear(struct rolling *r); /* empty again, memory freed */
void rolling_add(struct rolling *r, const void *key, size_t size_b);
bool rolling_has(const struct rolling *r, const void *key, size_t size_b);

#endif
