/* table.h - a hash table with fixed-size keys and values held inline; keyed with SipHash so that nobody
 * outside can choose collisions. Bounded at birth; what happens when it is full is the caller's choice
 * (table_put returns NULL). Thread: one owner.
 *
 * Pointers to values stay valid until the next table_put or table_remove. */
#ifndef COIN_BASE_TABLE_H
#define COIN_BASE_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "coin/base/fail.h"

struct table {
    uint8_t *slots;
    uint32_t key_size_b, value_size_b, slot_size_b, value_offset_b;
    uint32_t count, capacity, limit; /* entries, slots (a power of two or 0), ceiling on entries */
    uint64_t seed[2];
};

/* seed: two random words (env_random); limit: most entries it may hold. Nothing is allocated yet. */
void table_init(struct table *table, uint32_t key_size_b, uint32_t value_size_b, uint32_t limit,
    const uint64_t seed[2]);
void table_clear(struct table *table); /* frees; may be used again with the same sizes */
void *table_find(const struct table *table, const void *key);
/* The value of key, new ones zeroed; *existed (may be NULL) tells which. NULL: full or out of memory. */
void *table_put(struct table *table, const void *key, bool *existed) MUST_USE;
bool table_remove(struct table *table, const void *key);
/* Walks all entries: start with *cursor = 0, ends with false. table_remove_at removes the entry just
 * returned and sets the cursor back so that the walk goes on; an entry may then be seen twice. */
bool table_next(const struct table *table, uint32_t *cursor, const void **key, void **value);
void table_remove_at(struct table *table, uint32_t *cursor);
size_t table_size_b(const struct table *table);

/* SipHash-2-4 (Aumasson, Bernstein 2012). */
uint64_t siphash(const uint64_t key[2], const void *data, size_t size_b);
/* The special case of 32 bytes and a number that BIP152 and the coins use, unrolled. */
uint64_t siphash_u256(const uint64_t key[2], const uint8_t hash[32]);

#endif
