/* coins.h - unspent outputs in memory, in front of the chainstate store. Private to the ledger.
 * Owner: the ledger. Thread: loop; a frozen generation is immutable and is also read by the flush job.
 * Bounded by its owner, who flushes when coins_size_b is over the limit.
 *
 * Two generations: live takes all changes; frozen is what a flush is writing, looked at behind live. When
 * its rows are in the store it is retired and the generation number rises. A reader of the store keeps the
 * number from before its read; if it has risen since, what was read may be a coin spent meanwhile, and the
 * read is repeated. */
#ifndef COIN_LEDGER_COINS_H
#define COIN_LEDGER_COINS_H

#include "coin/base/mem.h"
#include "coin/ledger/kv.h"
#include "coin/primitives/coin.h"

#define COINS_SHARDS 64 /* each grows on its own, so that no single growth is long */
#define COINS_SCRIPT_INLINE_B 37 /* every standard script but bare multisig; fills the slot to 88 bytes */
#define COINS_CHUNK 32 /* slots allocated at a time */

enum coins_flag { /* or-ed */
    COINS_DIRTY = 1, /* the store does not know it yet */
    COINS_FRESH = 2, /* neither the store nor the frozen generation has this outpoint at all */
    COINS_SPENT = 4 /* known to be absent */
};
struct coins_slot {
    struct outpoint outpoint;
    uint32_t height_coinbase; /* 2 * height + coinbase */
    int64_t value_sat;
    uint16_t script_size_b;
    uint8_t flags;
    uint8_t script[COINS_SCRIPT_INLINE_B]; /* when larger: a pointer to it */
};
struct coins_entry {
    uint32_t tag; /* 0: empty */
    uint32_t place; /* of its slot: chunk * COINS_CHUNK + which */
};
struct coins_shard {
    struct coins_entry *entries;
    struct coins_slot **chunks;
    uint32_t count, capacity, chunk_count, chunk_capacity;
    uint32_t used; /* places given out so far */
    uint32_t free; /* the first place that was given back + 1, linked by outpoint.index; 0: none */
};
struct coins_generation {
    struct coins_shard shards[COINS_SHARDS];
    size_t size_b; /* all memory */
    uint32_t count, dirty;
};
struct coins {
    struct coins_generation live, *frozen; /* frozen: NULL when nothing is being flushed */
    uint64_t generation;
    uint64_t seed[6];
};
enum coins_answer_kind { COINS_UNKNOWN, COINS_ABSENT, COINS_PRESENT };

void coins_init(struct coins *coins, const uint64_t seed[6]);
void coins_clear(struct coins *coins);
/* Another store lies below from now on. Nothing may be dirty. */
void coins_forget(struct coins *coins);
/* PRESENT fills *out; its script is a view until the next change. */
enum coins_answer_kind coins_find(
    const struct coins *coins, const struct outpoint *outpoint, struct coin *out);
/* A hint: this outpoint is asked for soon. */
void coins_prefetch(const struct coins *coins, const struct outpoint *outpoint);
/* From the store, read under the present generation; nothing happens when it is known already. */
bool coins_learn(
    struct coins *coins, const struct outpoint *outpoint, const struct coin *coin) MUST_USE;
/* Finds and spends in one go; script copied to arena. *answer: PRESENT only when spent now. false: no
 * memory, nothing changed. */
bool coins_take(struct coins *coins, const struct outpoint *outpoint, struct coin *out,
    struct arena *arena, enum coins_answer_kind *answer) MUST_USE;
/* A new output. may_exist: the store may hold an older one of that name (coinbases before BIP34). */
bool coins_create(struct coins *coins, const struct outpoint *outpoint, const struct coin *coin,
    bool may_exist) MUST_USE;
/* The inverses: a created output never was; a taken one is back. */
bool coins_uncreate(struct coins *coins, const struct outpoint *outpoint) MUST_USE;
bool coins_untake(
    struct coins *coins, const struct outpoint *outpoint, const struct coin *coin) MUST_USE;

size_t coins_size_b(const struct coins *coins); /* live and frozen */
uint64_t coins_count(const struct coins *coins);

/* live becomes frozen. There must be no frozen one. */
void coins_freeze(struct coins *coins);
/* The frozen generation is in the store: hands it out to be freed (by any thread; it can be large). */
struct coins_generation *coins_retire(struct coins *coins) MUST_USE;
void coins_generation_free(struct coins_generation *generation); /* NULL is accepted */
/* All dirty rows of a frozen generation into a batch, sorted. Thread: any. */
bool coins_encode(
    struct kv_batch *batch, const struct coins_generation *generation, struct fail *why) MUST_USE;

#endif
