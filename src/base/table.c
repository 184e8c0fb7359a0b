/* Hash tables: open addressing with linear probing, removal by shifting back, so there are no
 * tombstones and a table that lives for months does not decay. The hash is SipHash under a secret
 * key: an outsider who chooses the keys cannot choose collisions.
 *
 * A slot: u32 tag (low half of the hash, 0 = empty) | key | padding to 8 | value. The tag makes a
 * failed comparison cheap and lets the table grow without hashing again. Invariant: between a
 * key's home slot and the slot it lies in, no slot is empty. */
#include "coin/base/table.h"

#include <string.h>

#include "coin/base/bytes.h"
#include "coin/base/mem.h"

#define TABLE_FIRST 8u
#define TABLE_LIMIT_MAX (1u << 30)

static uint32_t tag_of(const struct table *table, const void *key);
static uint8_t *slot_at(const struct table *table, uint32_t index);
static uint32_t slot_tag(const uint8_t *slot);
static uint32_t key_offset_b(const struct table *table);
static bool table_locate(const struct table *table, const void *key, uint32_t tag, uint32_t *index);
static bool table_grow(struct table *table);
static void table_remove_slot(struct table *table, uint32_t hole);

void table_init(struct table *table, uint32_t key_size_b, uint32_t value_size_b, uint32_t limit,
    const uint64_t seed[2])
{
    memset(table, 0, sizeof *table);
    table->key_size_b = key_size_b;
    table->value_size_b = value_size_b;
    table->value_offset_b = (key_offset_b(table) + key_size_b + 7) & ~7u;
    table->slot_size_b = (table->value_offset_b + value_size_b + 7) & ~7u;
    table->limit = limit < TABLE_LIMIT_MAX ? limit : TABLE_LIMIT_MAX;
    table->seed[0] = seed[0];
    table->seed[1] = seed[1];
}

void table_clear(struct table *table)
{
    mem_free(table->slots);
    table->slots = NULL;
    table->count = 0;
    table->capacity = 0;
}

void *table_find(const struct table *table, const void *key)
{
    uint32_t index;
    if (table->count == 0 || !table_locate(table, key, tag_of(table, key), &index))
        return NULL;
    return slot_at(table, index) + table->value_offset_b;
}

void *table_put(struct table *table, const void *key, bool *existed)
{
    uint32_t tag = tag_of(table, key), index = 0;
    bool found = table->capacity > 0 && table_locate(table, key, tag, &index);
    if (existed != NULL)
        *existed = found;
    if (found)
        return slot_at(table, index) + table->value_offset_b;
    if (table->count >= table->limit)
        return NULL;
    if (table->count >= table->capacity - table->capacity / 4) {
        if (!table_grow(table))
            return NULL;
        table_locate(table, key, tag, &index);
    }
    uint8_t *slot = slot_at(table, index);
    memcpy(slot, &tag, sizeof tag);
    memcpy(slot + key_offset_b(table), key, table->key_size_b);
    memset(slot + table->value_offset_b, 0, table->slot_size_b - table->value_offset_b);
    table->count++;
    return slot + table->value_offset_b;
}

bool table_remove(struct table *table, const void *key)
{
    uint32_t index;
    if (table->count == 0 || !table_locate(table, key, tag_of(table, key), &index))
        return false;
    table_remove_slot(table, index);
    return true;
}

bool table_next(const struct table *table, uint32_t *cursor, const void **key, void **value)
{
    while (*cursor < table->capacity) {
        uint8_t *slot = slot_at(table, (*cursor)++);
        if (slot_tag(slot) == 0)
            continue;
        if (key != NULL)
            *key = slot + key_offset_b(table);
        if (value != NULL)
            *value = slot + table->value_offset_b;
        return true;
    }
    return false;
}

void table_remove_at(struct table *table, uint32_t *cursor)
{
    /* What is shifted into the hole comes from behind it, or, around the end, from what was seen. */
    (*cursor)--;
    table_remove_slot(table, *cursor);
}

size_t table_size_b(const struct table *table)
{
    return (size_t)table->capacity * table->slot_size_b;
}

static uint32_t tag_of(const struct table *table, const void *key)
{
    uint64_t hash = table->key_size_b == 32 ? siphash_u256(table->seed, key)
                                            : siphash(table->seed, key, table->key_size_b);
    return (uint32_t)hash != 0 ? (uint32_t)hash : 1;
}

static uint8_t *slot_at(const struct table *table, uint32_t index)
{
    return table->slots + (size_t)index * table->slot_size_b;
}

static uint32_t slot_tag(const uint8_t *slot)
{
    uint32_t tag;
    memcpy(&tag, slot, sizeof tag);
    return tag;
}

static uint32_t key_offset_b(const struct table *table)
{
    /* Keys that may hold 64-bit members lie aligned for them. */
    return table->key_size_b % 8 == 0 ? 8 : 4;
}

/* true: *index holds key. false: *index is the empty slot where it belongs. */
static bool table_locate(const struct table *table, const void *key, uint32_t tag, uint32_t *index)
{
    uint32_t mask = table->capacity - 1;
    for (uint32_t i = tag & mask;; i = (i + 1) & mask) {
        const uint8_t *slot = slot_at(table, i);
        uint32_t found = slot_tag(slot);
        *index = i;
        if (found == 0)
            return false;
        if (found == tag && memcmp(slot + key_offset_b(table), key, table->key_size_b) == 0)
            return true;
    }
}

static bool table_grow(struct table *table)
{
    uint32_t capacity = table->capacity > 0 ? table->capacity * 2 : TABLE_FIRST;
    uint8_t *slots = mem_try_array(capacity, table->slot_size_b);
    if (slots == NULL)
        return false;
    uint32_t mask = capacity - 1;
    for (uint32_t i = 0; i < table->capacity; i++) {
        const uint8_t *from = slot_at(table, i);
        uint32_t tag = slot_tag(from);
        if (tag == 0)
            continue;
        uint32_t to = tag & mask;
        while (slot_tag(slots + (size_t)to * table->slot_size_b) != 0)
            to = (to + 1) & mask;
        memcpy(slots + (size_t)to * table->slot_size_b, from, table->slot_size_b);
    }
    mem_free(table->slots);
    table->slots = slots;
    table->capacity = capacity;
    return true;
}

static void table_remove_slot(struct table *table, uint32_t hole)
{
    uint32_t mask = table->capacity - 1;
    for (uint32_t i = (hole + 1) & mask;; i = (i + 1) & mask) {
        uint8_t *slot = slot_at(table, i);
        uint32_t tag = slot_tag(slot);
        if (tag == 0)
            break;
        /* It may move back to the hole unless its home lies between the hole and itself. */
        if (((i - tag) & mask) >= ((i - hole) & mask)) {
            memcpy(slot_at(table, hole), slot, table->slot_size_b);
            hole = i;
        }
    }
    memset(slot_at(table, hole), 0, table->slot_size_b);
    table->count--;
}

/* ---- SipHash ---- */

#define SIP_ROTATE(x, n) ((x) << (n) | (x) >> (64 - (n)))
#define SIP_ROUND(v0, v1, v2, v3) \
    do { \
        v0 += v1; v1 = SIP_ROTATE(v1, 13); v1 ^= v0; v0 = SIP_ROTATE(v0, 32); \
        v2 += v3; v3 = SIP_ROTATE(v3, 16); v3 ^= v2; \
        v0 += v3; v3 = SIP_ROTATE(v3, 21); v3 ^= v0; \
        v2 += v1; v1 = SIP_ROTATE(v1, 17); v1 ^= v2; v2 = SIP_ROTATE(v2, 32); \
    } while (0)
#define SIP_WORD(word) \
    do { \
        uint64_t word_now = (word); \
        v3 ^= word_now; \
        SIP_ROUND(v0, v1, v2, v3); \
        SIP_ROUND(v0, v1, v2, v3); \
        v0 ^= word_now; \
    } while (0)
#define SIP_BEGIN(key) \
    uint64_t v0 = (key)[0] ^ 0x736f6d6570736575u, v1 = (key)[1] ^ 0x646f72616e646f6du, \
             v2 = (key)[0] ^ 0x6c7967656e657261u, v3 = (key)[1] ^ 0x7465646279746573u
#define SIP_END() \
    do { \
        v2 ^= 0xff; \
        SIP_ROUND(v0, v1, v2, v3); \
        SIP_ROUND(v0, v1, v2, v3); \
        SIP_ROUND(v0, v1, v2, v3); \
        SIP_ROUND(v0, v1, v2, v3); \
    } while (0)

uint64_t siphash(const uint64_t key[2], const void *data, size_t size_b)
{
    SIP_BEGIN(key);
    const uint8_t *bytes = data;
    size_t left_b = size_b;
    for (; left_b >= 8; left_b -= 8, bytes += 8)
        SIP_WORD(get_u64le(bytes));
    uint64_t last = (uint64_t)(size_b & 0xff) << 56;
    for (size_t i = 0; i < left_b; i++)
        last |= (uint64_t)bytes[i] << (8 * i);
    SIP_WORD(last);
    SIP_END();
    return v0 ^ v1 ^ v2 ^ v3;
}

uint64_t siphash_u256(const uint64_t key[2], const uint8_t hash[32])
{
    SIP_BEGIN(key);
    SIP_WORD(get_u64le(hash));
    SIP_WORD(get_u64le(hash + 8));
    SIP_WORD(get_u64le(hash + 16));
    SIP_WORD(get_u64le(hash + 24));
    SIP_WORD((uint64_t)32 << 56);
    SIP_END();
    return v0 ^ v1 ^ v2 ^ v3;
}
