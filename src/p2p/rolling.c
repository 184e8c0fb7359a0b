/* A rolling set. Bitcoin uses bloom filters here; two open-addressing tables of fingerprints cost about
 * the same memory when full, none when idle, and have no false positives worth the name. */
#include "rolling.h"

#include <string.h>

#include "coin/base/mem.h"
#include "coin/base/table.h"

#define FIRST_CAPACITY 64u

static bool slots_have(const uint64_t *slots, uint32_t capacity, uint64_t print);
static void slots_put(uint64_t *slots, uint32_t capacity, uint64_t print);
static bool grow(struct rolling *r);
static uint64_t fingerprint(const struct rolling *r, const void *key, size_t size_b);

void rolling_init(struct rolling *r, uint32_t limit, const uint64_t seed[2])
{
    memset(r, 0, sizeof *r);
    r->limit = limit;
    memcpy(r->seed, seed, sizeof r->seed);
}

void rolling_clear(struct rolling *r)
{
    for (unsigned i = 0; i < 2; i++) {
        mem_free(r->slots[i]);
        r->slots[i] = NULL;
        r->capacity[i] = r->count[i] = 0;
    }
}

void rolling_add(struct rolling *r, const void *key, size_t size_b)
{
    uint64_t print = fingerprint(r, key, size_b);
    if (slots_have(r->slots[0], r->capacity[0], print))
        return;
    if (r->count[0] >= r->limit) {
        mem_free(r->slots[1]);
        r->slots[1] = r->slots[0];
        r->capacity[1] = r->capacity[0];
        r->count[1] = r->count[0];
        r->slots[0] = NULL;
        r->capacity[0] = r->count[0] = 0;
    }
    if (r->count[0] >= r->capacity[0] - r->capacity[0] / 4 && !grow(r))
        return;
    slots_put(r->slots[0], r->capacity[0], print);
    r->count[0]++;
}

bool rolling_has(const struct rolling *r, const void *key, size_t size_b)
{
    if (r->count[0] == 0 && r->count[1] == 0)
        return false;
    uint64_t print = fingerprint(r, key, size_b);
    return slots_have(r->slots[0], r->capacity[0], print) ||
           slots_have(r->slots[1], r->capacity[1], print);
}

static bool slots_have(const uint64_t *slots, uint32_t capacity, uint64_t print)
{
    if (capacity == 0)
        return false;
    for (uint32_t i = (uint32_t)print & (capacity - 1); slots[i] != 0; i = (i + 1) & (capacity - 1))
        if (slots[i] == print)
            return true;
    return false;
}

static void slots_put(uint64_t *slots, uint32_t capacity, uint64_t print)
{
    uint32_t i = (uint32_t)print & (capacity - 1);
    while (slots[i] != 0)
        i = (i + 1) & (capacity - 1);
    slots[i] = print;
}

static bool grow(struct rolling *r)
{
    uint32_t next = r->capacity[0] == 0 ? FIRST_CAPACITY : r->capacity[0] * 2;
    uint64_t *slots = mem_try_array(next, sizeof *slots);
    if (slots == NULL)
        return false;
    for (uint32_t i = 0; i < r->capacity[0]; i++)
        if (r->slots[0][i] != 0)
            slots_put(slots, next, r->slots[0][i]);
    mem_free(r->slots[0]);
    r->slots[0] = slots;
    r->capacity[0] = next;
    return true;
}

static uint64_t fingerprint(const struct rolling *r, const void *key, size_t size_b)
{
    uint64_t print = siphash(r->seed, key, size_b);
    return print != 0 ? print : 1;
}
