/* The coins cache: flat open-addressing tables. Each shard has an array of entries (32 bits of the keyed hash,
 * 0 = empty, and the place of the slot), and slots, key and coin inline, that never move: so growing copies
 * eight bytes a coin, and no room is kept for coins that are not there. A probe walks the entries, 8 to a cache
 * line, and touches one slot. A tag's home is tag * capacity / 2^32, so capacities need not be powers of two.
 * Removal shifts back the entries that follow: no tombstones.
 *
 * The hash is two multiply-and-fold rounds over 36 bytes under six secret words: nobody outside can
 * choose collisions, and it costs a tenth of SipHash.
 *
 * Invariants: between a tag's home and its place no tag is empty. FRESH implies DIRTY. A SPENT slot is
 * DIRTY and not FRESH (otherwise it would simply not be there). FRESH is never set for an outpoint that
 * the frozen generation holds: the store will have heard of it by the time the row would be dropped. */
#include "coins.h"

#include <stdlib.h>
#include <string.h>

#include "codec.h"

#define SHARD_FIRST 16u
#define SHARD_COUNT_MAX (1u << 28)

static uint64_t hash_of(const struct coins *coins, const struct outpoint *outpoint);
static struct coins_slot *slot_find(
    const struct coins_generation *generation, uint64_t hash, const struct outpoint *outpoint);
static struct coins_slot *slot_add(
    struct coins_generation *generation, uint64_t hash, const struct outpoint *outpoint);
static void slot_remove(
    struct coins_generation *generation, uint64_t hash, struct coins_slot *slot);
static bool slot_set(struct coins_generation *generation, struct coins_slot *slot,
    const struct coin *coin, uint8_t flags);
static void slot_set_spent(struct coins_generation *generation, struct coins_slot *slot);
static void slot_drop_script(struct coins_generation *generation, struct coins_slot *slot);
static void slot_coin(const struct coins_slot *slot, struct coin *out);
static bool slot_put(struct coins *coins, uint64_t hash, const struct outpoint *outpoint,
    const struct coin *coin, uint8_t flags);
static bool slot_mark_spent(struct coins *coins, uint64_t hash, const struct outpoint *outpoint);
static struct coins_shard *shard_of(struct coins_generation *generation, uint64_t hash);
static uint32_t next_of(const struct coins_shard *shard, uint32_t i);
static struct coins_slot *slot_at(const struct coins_shard *shard, uint32_t place);
static uint8_t *script_there(const struct coins_slot *slot);
static bool shard_grow(struct coins_generation *generation, struct coins_shard *shard);
static bool shard_add_chunk(struct coins_generation *generation, struct coins_shard *shard);
static void generation_clear(struct coins_generation *generation);
static int slot_order(const void *a, const void *b);

void coins_init(struct coins *coins, const uint64_t seed[6])
{
    memset(coins, 0, sizeof *coins);
    memcpy(coins->seed, seed, sizeof coins->seed);
}

void coins_clear(struct coins *coins)
{
    generation_clear(&coins->live);
    coins_generation_free(coins->frozen);
    coins->frozen = NULL;
}

void coins_forget(struct coins *coins)
{
    coins_clear(coins);
    memset(&coins->live, 0, sizeof coins->live);
    coins->generation++;
}

enum coins_answer_kind coins_find(
    const struct coins *coins, const struct outpoint *outpoint, struct coin *out)
{
    uint64_t hash = hash_of(coins, outpoint);
    const struct coins_slot *slot = slot_find(&coins->live, hash, outpoint);
    if (slot == NULL && coins->frozen != NULL)
        slot = slot_find(coins->frozen, hash, outpoint);
    if (slot == NULL)
        return COINS_UNKNOWN;
    if ((slot->flags & COINS_SPENT) != 0)
        return COINS_ABSENT;
    slot_coin(slot, out);
    return COINS_PRESENT;
}

void coins_prefetch(const struct coins *coins, const struct outpoint *outpoint)
{
    uint64_t hash = hash_of(coins, outpoint);
    const struct coins_shard *shard = &coins->live.shards[hash >> 58];
    if (shard->capacity > 0)
        __builtin_prefetch(&shard->entries[(uint64_t)((uint32_t)hash | 1u) * shard->capacity >> 32]);
}

bool coins_learn(struct coins *coins, const struct outpoint *outpoint, const struct coin *coin)
{
    uint64_t hash = hash_of(coins, outpoint);
    if (slot_find(&coins->live, hash, outpoint) != NULL ||
        (coins->frozen != NULL && slot_find(coins->frozen, hash, outpoint) != NULL))
        return true;
    return slot_put(coins, hash, outpoint, coin, 0);
}

bool coins_take(struct coins *coins, const struct outpoint *outpoint, struct coin *out,
    struct arena *arena, enum coins_answer_kind *answer)
{
    uint64_t hash = hash_of(coins, outpoint);
    struct coins_slot *live = slot_find(&coins->live, hash, outpoint);
    const struct coins_slot *slot = live;
    if (slot == NULL && coins->frozen != NULL)
        slot = slot_find(coins->frozen, hash, outpoint);
    *answer = slot == NULL                       ? COINS_UNKNOWN
              : (slot->flags & COINS_SPENT) != 0 ? COINS_ABSENT
                                                 : COINS_PRESENT;
    if (*answer != COINS_PRESENT)
        return true;
    slot_coin(slot, out);
    uint8_t *script = arena_new(arena, out->script.size_b);
    if (script == NULL)
        return false;
    if (out->script.size_b > 0)
        memcpy(script, out->script.data, out->script.size_b);
    out->script.data = script;
    if (live == NULL)
        return slot_mark_spent(coins, hash, outpoint);
    if ((live->flags & COINS_FRESH) != 0)
        slot_remove(&coins->live, hash, live);
    else
        slot_set_spent(&coins->live, live);
    return true;
}

bool coins_create(
    struct coins *coins, const struct outpoint *outpoint, const struct coin *coin, bool may_exist)
{
    uint64_t hash = hash_of(coins, outpoint);
    struct coins_slot *live = slot_find(&coins->live, hash, outpoint);
    if (live != NULL) {
        /* Spent here and dirty, or overwritten: what the store has of it must be replaced in any case,
         * unless this slot was fresh already. */
        return slot_set(
            &coins->live, live, coin, (uint8_t)(COINS_DIRTY | (live->flags & COINS_FRESH)));
    }
    bool in_frozen = coins->frozen != NULL && slot_find(coins->frozen, hash, outpoint) != NULL;
    return slot_put(coins, hash, outpoint, coin,
        (uint8_t)(COINS_DIRTY | (may_exist || in_frozen ? 0 : COINS_FRESH)));
}

bool coins_uncreate(struct coins *coins, const struct outpoint *outpoint)
{
    uint64_t hash = hash_of(coins, outpoint);
    struct coins_slot *live = slot_find(&coins->live, hash, outpoint);
    if (live == NULL)
        return slot_mark_spent(coins, hash, outpoint);
    if ((live->flags & COINS_FRESH) != 0)
        slot_remove(&coins->live, hash, live);
    else
        slot_set_spent(&coins->live, live);
    return true;
}

bool coins_untake(struct coins *coins, const struct outpoint *outpoint, const struct coin *coin)
{
    /* Not fresh: whether the store has it is not known here, and writing it again is harmless. */
    uint64_t hash = hash_of(coins, outpoint);
    struct coins_slot *live = slot_find(&coins->live, hash, outpoint);
    if (live != NULL)
        return slot_set(&coins->live, live, coin, COINS_DIRTY);
    return slot_put(coins, hash, outpoint, coin, COINS_DIRTY);
}

size_t coins_size_b(const struct coins *coins)
{
    return coins->live.size_b + (coins->frozen != NULL ? coins->frozen->size_b : 0);
}

uint64_t coins_count(const struct coins *coins)
{
    return (uint64_t)coins->live.count + (coins->frozen != NULL ? coins->frozen->count : 0);
}

void coins_freeze(struct coins *coins)
{
    coins->frozen = mem_new(sizeof *coins->frozen);
    *coins->frozen = coins->live;
    memset(&coins->live, 0, sizeof coins->live);
}

struct coins_generation *coins_retire(struct coins *coins)
{
    struct coins_generation *retired = coins->frozen;
    coins->frozen = NULL;
    if (retired != NULL)
        coins->generation++;
    return retired;
}

void coins_generation_free(struct coins_generation *generation)
{
    if (generation == NULL)
        return;
    generation_clear(generation);
    mem_free(generation);
}

bool coins_encode(
    struct kv_batch *batch, const struct coins_generation *generation, struct fail *why)
{
    const struct coins_slot **dirty = mem_try_array(generation->count, sizeof *dirty);
    if (dirty == NULL)
        return fail_oom(why, "sorting of coins");
    size_t count = 0;
    for (uint32_t s = 0; s < COINS_SHARDS; s++) {
        const struct coins_shard *shard = &generation->shards[s];
        for (uint32_t i = 0; i < shard->capacity; i++)
            if (shard->entries[i].tag != 0) {
                const struct coins_slot *slot = slot_at(shard, shard->entries[i].place);
                if ((slot->flags & COINS_DIRTY) != 0)
                    dirty[count++] = slot;
            }
    }
    /* Sorted rows enter the store twice as fast as scattered ones. */
    qsort(dirty, count, sizeof *dirty, slot_order);
    struct buf value;
    buf_init(&value, BLOCK_SIZE_MAX_B);
    for (size_t i = 0; i < count; i++) {
        uint8_t key[COIN_KEY_MAX_B];
        struct span k = span_of(key, coin_key(key, &dirty[i]->outpoint));
        if ((dirty[i]->flags & COINS_SPENT) != 0) {
            kv_batch_delete(batch, k);
            continue;
        }
        struct coin coin;
        slot_coin(dirty[i], &coin);
        value.size_b = 0;
        coin_pack(&value, &coin);
        kv_batch_put(batch, k, buf_span(&value));
    }
    bool ok = buf_ok(&value, "coin", why);
    buf_clear(&value);
    mem_free(dirty);
    return ok;
}

/* ---- slots ---- */
static bool slot_put(struct coins *coins, uint64_t hash, const struct outpoint *outpoint,
    const struct coin *coin, uint8_t flags)
{
    struct coins_slot *slot = slot_add(&coins->live, hash, outpoint);
    if (slot == NULL)
        return false;
    if (slot_set(&coins->live, slot, coin, flags))
        return true;
    slot_remove(&coins->live, hash, slot);
    return false;
}

/* live does not hold it; what lies behind live is overruled. */
static bool slot_mark_spent(struct coins *coins, uint64_t hash, const struct outpoint *outpoint)
{
    struct coins_slot *slot = slot_add(&coins->live, hash, outpoint);
    if (slot == NULL)
        return false;
    slot_set_spent(&coins->live, slot);
    return true;
}

static bool slot_set(struct coins_generation *generation, struct coins_slot *slot,
    const struct coin *coin, uint8_t flags)
{
    uint8_t *there = NULL;
    size_t size_b = coin->script.size_b;
    if (size_b > UINT16_MAX)
        return false; /* cannot be: over 10,000 bytes a script is unspendable and never kept */
    if (size_b > COINS_SCRIPT_INLINE_B) {
        there = mem_try_new(size_b);
        if (there == NULL)
            return false;
    }
    slot_drop_script(generation, slot);
    if (there != NULL) {
        memcpy(there, coin->script.data, size_b);
        memcpy(slot->script, &there, sizeof there);
        generation->size_b += size_b;
    } else if (size_b > 0) {
        memcpy(slot->script, coin->script.data, size_b);
    }
    slot->script_size_b = (uint16_t)size_b;
    slot->height_coinbase = (uint32_t)coin->height << 1 | coin->is_coinbase;
    slot->value_sat = coin->value_sat;
    generation->dirty += (flags & COINS_DIRTY) != 0 && (slot->flags & COINS_DIRTY) == 0;
    slot->flags = flags;
    return true;
}

static void slot_set_spent(struct coins_generation *generation, struct coins_slot *slot)
{
    slot_drop_script(generation, slot);
    generation->dirty += (slot->flags & COINS_DIRTY) == 0;
    slot->flags = COINS_DIRTY | COINS_SPENT;
}

static uint8_t *script_there(const struct coins_slot *slot)
{
    uint8_t *there;
    memcpy(&there, slot->script, sizeof there);
    return there;
}

static void slot_drop_script(struct coins_generation *generation, struct coins_slot *slot)
{
    if (slot->script_size_b > COINS_SCRIPT_INLINE_B) {
        generation->size_b -= slot->script_size_b;
        mem_free(script_there(slot));
    }
    slot->script_size_b = 0;
}

static void slot_coin(const struct coins_slot *slot, struct coin *out)
{
    out->value_sat = slot->value_sat;
    out->height = (int32_t)(slot->height_coinbase >> 1);
    out->is_coinbase = (slot->height_coinbase & 1) != 0;
    out->script = span_of(
        slot->script_size_b > COINS_SCRIPT_INLINE_B ? script_there(slot) : slot->script,
        slot->script_size_b);
}

/* ---- tables ---- */
static uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const struct coins *coins, const struct outpoint *outpoint)
{
    const uint8_t *id = outpoint->txid.b;
    const uint64_t *seed = coins->seed;
    uint64_t h = fold(get_u64le(id) ^ seed[0], get_u64le(id + 8) ^ seed[1]) ^
                 fold(get_u64le(id + 16) ^ seed[2], get_u64le(id + 24) ^ seed[3]);
    return fold(h ^ seed[4], outpoint->index ^ seed[5]);
}

static uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)hash | 1u;
}

static struct coins_shard *shard_of(struct coins_generation *generation, uint64_t hash)
{
    return &generation->shards[hash >> 58]; /* 64 shards: the top 6 bits */
}

static uint32_t home_of(const struct coins_shard *shard, uint32_t tag)
{
    return (uint32_t)((uint64_t)tag * shard->capacity >> 32);
}

static uint32_t next_of(const struct coins_shard *shard, uint32_t i)
{
    return i + 1 < shard->capacity ? i + 1 : 0;
}

static struct coins_slot *slot_at(const struct coins_shard *shard, uint32_t place)
{
    return &shard->chunks[place / COINS_CHUNK][place % COINS_CHUNK];
}

static struct coins_slot *slot_find(
    const struct coins_generation *generation, uint64_t hash, const struct outpoint *outpoint)
{
    const struct coins_shard *shard = &generation->shards[hash >> 58];
    if (shard->count == 0)
        return NULL;
    uint32_t tag = tag_of(hash);
    for (uint32_t i = home_of(shard, tag); shard->entries[i].tag != 0; i = next_of(shard, i))
        if (shard->entries[i].tag == tag) {
            struct coins_slot *slot = slot_at(shard, shard->entries[i].place);
            if (memcmp(&slot->outpoint, outpoint, sizeof *outpoint) == 0)
                return slot;
        }
    return NULL;
}

static struct coins_slot *slot_add(
    struct coins_generation *generation, uint64_t hash, const struct outpoint *outpoint)
{
    struct coins_shard *shard = shard_of(generation, hash);
    if ((uint64_t)(shard->count + 1) * 5 > (uint64_t)shard->capacity * 4 &&
        !shard_grow(generation, shard))
        return NULL;
    if (shard->free == 0 && shard->used == shard->chunk_count * COINS_CHUNK && !shard_add_chunk(generation, shard))
        return NULL;
    uint32_t place = shard->free != 0 ? shard->free - 1 : shard->used++;
    struct coins_slot *slot = slot_at(shard, place);
    if (shard->free != 0)
        shard->free = slot->outpoint.index;
    uint32_t tag = tag_of(hash);
    uint32_t i = home_of(shard, tag);
    while (shard->entries[i].tag != 0)
        i = next_of(shard, i);
    shard->entries[i] = (struct coins_entry){tag, place};
    shard->count++;
    generation->count++;
    memset(slot, 0, sizeof *slot);
    slot->outpoint = *outpoint;
    return slot;
}

static void slot_remove(struct coins_generation *generation, uint64_t hash, struct coins_slot *slot)
{
    struct coins_shard *shard = shard_of(generation, hash);
    slot_drop_script(generation, slot);
    generation->dirty -= (slot->flags & COINS_DIRTY) != 0;
    generation->count--;
    shard->count--;
    uint32_t hole = home_of(shard, tag_of(hash));
    while (slot_at(shard, shard->entries[hole].place) != slot)
        hole = next_of(shard, hole);
    slot->outpoint.index = shard->free;
    shard->free = shard->entries[hole].place + 1;
    for (uint32_t i = hole;;) {
        i = next_of(shard, i);
        if (shard->entries[i].tag == 0)
            break;
        /* May the entry at i move to the hole? Only if its home is not between the two. */
        uint32_t home = home_of(shard, shard->entries[i].tag);
        bool between = hole <= i ? hole < home && home <= i : hole < home || home <= i;
        if (between)
            continue;
        shard->entries[hole] = shard->entries[i];
        hole = i;
    }
    shard->entries[hole].tag = 0;
}

static bool shard_grow(struct coins_generation *generation, struct coins_shard *shard)
{
    struct coins_shard grown = *shard;
    grown.capacity = shard->capacity == 0 ? SHARD_FIRST : shard->capacity / 4 * 5;
    if (grown.capacity > SHARD_COUNT_MAX)
        return false;
    grown.entries = mem_try_array(grown.capacity, sizeof *grown.entries);
    if (grown.entries == NULL)
        return false;
    for (uint32_t i = 0; i < shard->capacity; i++) {
        if (shard->entries[i].tag == 0)
            continue;
        uint32_t at = home_of(&grown, shard->entries[i].tag);
        while (grown.entries[at].tag != 0)
            at = next_of(&grown, at);
        grown.entries[at] = shard->entries[i];
    }
    generation->size_b += (size_t)(grown.capacity - shard->capacity) * sizeof *grown.entries;
    mem_free(shard->entries);
    *shard = grown;
    return true;
}

static bool shard_add_chunk(struct coins_generation *generation, struct coins_shard *shard)
{
    uint32_t capacity = shard->chunk_capacity;
    if (!mem_try_grow(&shard->chunks, &shard->chunk_capacity, shard->chunk_count + 1, SHARD_COUNT_MAX / COINS_CHUNK,
            sizeof *shard->chunks))
        return false;
    generation->size_b += (size_t)(shard->chunk_capacity - capacity) * sizeof *shard->chunks;
    struct coins_slot *chunk = mem_try_array(COINS_CHUNK, sizeof *chunk);
    if (chunk == NULL)
        return false;
    shard->chunks[shard->chunk_count++] = chunk;
    generation->size_b += COINS_CHUNK * sizeof *chunk;
    return true;
}

static void generation_clear(struct coins_generation *generation)
{
    for (uint32_t s = 0; s < COINS_SHARDS; s++) {
        struct coins_shard *shard = &generation->shards[s];
        for (uint32_t i = 0; i < shard->used; i++) { /* a slot that was given back has no script */
            const struct coins_slot *slot = slot_at(shard, i);
            if (slot->script_size_b > COINS_SCRIPT_INLINE_B)
                mem_free(script_there(slot));
        }
        for (uint32_t i = 0; i < shard->chunk_count; i++)
            mem_free(shard->chunks[i]);
        mem_free(shard->chunks);
        mem_free(shard->entries);
    }
    memset(generation, 0, sizeof *generation);
}

static int slot_order(const void *a, const void *b)
{
    const struct coins_slot *const *x = a, *const *y = b;
    int order = memcmp((*x)->outpoint.txid.b, (*y)->outpoint.txid.b, sizeof(struct txid));
    if (order != 0)
        return order;
    return (*x)->outpoint.index < (*y)->outpoint.index
               ? -1
               : (*x)->outpoint.index > (*y)->outpoint.index;
}
