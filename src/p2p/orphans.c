/* The orphanage. Each orphan is linked under the txid of every input's transaction, so that a parent's
 * arrival finds its children without a walk over all. */
#include "orphans.h"

#include <string.h>

#include "coin/base/mem.h"

#define LINKS_MAX (ORPHANS_MAX * 64u) /* inputs of all orphans together; guess: measure */

struct orphan_link {
    uint32_t slot, next; /* index 0: none */
};

static uint32_t worst_slot(const struct orphans *o, int64_t peer);
static void peer_share(const struct orphans *o, int64_t peer, uint32_t *count, uint32_t *weight_wu);
static uint32_t free_slot(const struct orphans *o);
static bool link_parents(struct orphans *o, uint32_t slot);
static void unlink_parents(struct orphans *o, uint32_t slot);

void orphans_init(struct orphans *o, const uint64_t seed[2])
{
    memset(o, 0, sizeof *o);
    o->link_used = 1;
    table_init(&o->by_wtxid, sizeof(struct wtxid), sizeof(uint32_t), ORPHANS_MAX, seed);
    table_init(&o->by_parent, sizeof(struct txid), sizeof(uint32_t), LINKS_MAX, seed);
}

void orphans_clear(struct orphans *o)
{
    for (uint32_t i = 0; i < ORPHANS_MAX; i++)
        tx_unref(o->slots[i].tx);
    memset(o->slots, 0, sizeof o->slots);
    o->count = 0;
    table_clear(&o->by_wtxid);
    table_clear(&o->by_parent);
    mem_free(o->links);
    o->links = NULL;
    o->link_capacity = o->link_free = 0;
    o->link_used = 1;
}

bool orphans_add(struct orphans *o, struct tx *tx, int64_t peer, int64_t now_us)
{
    uint32_t weight_wu = tx_weight_wu(tx), count, used_wu;
    if (weight_wu > ORPHAN_WEIGHT_PER_PEER_WU || orphans_has(o, &tx->wtxid))
        return false;
    peer_share(o, peer, &count, &used_wu);
    while (count >= ORPHANS_PER_PEER_MAX || used_wu + weight_wu > ORPHAN_WEIGHT_PER_PEER_WU) {
        uint32_t slot = worst_slot(o, peer);
        if (slot == ORPHANS_MAX)
            return false;
        orphans_remove(o, slot);
        peer_share(o, peer, &count, &used_wu);
    }
    if (o->count == ORPHANS_MAX)
        orphans_remove(o, worst_slot(o, -1));
    uint32_t slot = free_slot(o);
    uint32_t *value = table_put(&o->by_wtxid, &tx->wtxid, NULL);
    if (slot == ORPHANS_MAX || value == NULL)
        return false;
    *value = slot;
    o->slots[slot] = (struct orphan){ .tx = tx_ref(tx), .peer = peer, .time_us = now_us,
        .weight_wu = weight_wu, .serial = ++o->serial };
    o->count++;
    if (!link_parents(o, slot)) {
        orphans_remove(o, slot);
        return false;
    }
    return true;
}

bool orphans_has(const struct orphans *o, const struct wtxid *id)
{
    return table_find(&o->by_wtxid, id) != NULL;
}

uint32_t orphans_children(const struct orphans *o, const struct txid *parent, uint32_t *out, uint32_t max)
{
    uint32_t count = 0;
    const uint32_t *first = table_find(&o->by_parent, parent);
    for (uint32_t link = first != NULL ? *first : 0; link != 0 && count < max; link = o->links[link].next) {
        bool seen = false; /* one link per input: a child may spend two outputs */
        for (uint32_t i = 0; i < count && !seen; i++)
            seen = out[i] == o->links[link].slot;
        if (!seen)
            out[count++] = o->links[link].slot;
    }
    return count;
}

void orphans_remove(struct orphans *o, uint32_t slot)
{
    if (slot >= ORPHANS_MAX || o->slots[slot].tx == NULL)
        return;
    unlink_parents(o, slot);
    table_remove(&o->by_wtxid, &o->slots[slot].tx->wtxid);
    tx_unref(o->slots[slot].tx);
    memset(&o->slots[slot], 0, sizeof o->slots[slot]);
    o->count--;
}

void orphans_remove_wtxid(struct orphans *o, const struct wtxid *id)
{
    const uint32_t *slot = table_find(&o->by_wtxid, id);
    if (slot != NULL)
        orphans_remove(o, *slot);
}

void orphans_forget_peer(struct orphans *o, int64_t peer)
{
    for (uint32_t i = 0; o->count > 0 && i < ORPHANS_MAX; i++)
        if (o->slots[i].tx != NULL && o->slots[i].peer == peer)
            orphans_remove(o, i);
}

void orphans_expire(struct orphans *o, int64_t now_us)
{
    for (uint32_t i = 0; o->count > 0 && i < ORPHANS_MAX; i++)
        if (o->slots[i].tx != NULL && now_us - o->slots[i].time_us > ORPHAN_AGE_MAX_US)
            orphans_remove(o, i);
}

/* The oldest of a peer; peer -1: of the peer with the most weight, so that a flood drowns itself. */
static uint32_t worst_slot(const struct orphans *o, int64_t peer)
{
    uint32_t worst = ORPHANS_MAX, most_wu = 0;
    for (uint32_t i = 0; peer < 0 && i < ORPHANS_MAX; i++) {
        uint32_t count, weight_wu;
        if (o->slots[i].tx == NULL || (worst < ORPHANS_MAX && o->slots[i].peer == o->slots[worst].peer))
            continue;
        peer_share(o, o->slots[i].peer, &count, &weight_wu);
        if (weight_wu > most_wu) {
            most_wu = weight_wu;
            worst = i;
        }
    }
    if (peer < 0 && worst < ORPHANS_MAX)
        peer = o->slots[worst].peer;
    for (uint32_t i = 0; i < ORPHANS_MAX; i++)
        if (o->slots[i].tx != NULL && o->slots[i].peer == peer &&
            (worst == ORPHANS_MAX || o->slots[i].serial < o->slots[worst].serial))
            worst = i;
    return worst;
}

static void peer_share(const struct orphans *o, int64_t peer, uint32_t *count, uint32_t *weight_wu)
{
    *count = *weight_wu = 0;
    for (uint32_t i = 0; o->count > 0 && i < ORPHANS_MAX; i++) {
        if (o->slots[i].tx == NULL || o->slots[i].peer != peer)
            continue;
        (*count)++;
        *weight_wu += o->slots[i].weight_wu;
    }
}

static uint32_t free_slot(const struct orphans *o)
{
    uint32_t slot = 0;
    while (slot < ORPHANS_MAX && o->slots[slot].tx != NULL)
        slot++;
    return slot;
}

static bool link_parents(struct orphans *o, uint32_t slot)
{
    const struct tx *tx = o->slots[slot].tx;
    for (uint32_t i = 0; i < tx->in_count; i++) {
        uint32_t link = o->link_free;
        if (link != 0)
            o->link_free = o->links[link].next;
        else if (mem_try_grow(&o->links, &o->link_capacity, o->link_used + 1, LINKS_MAX, sizeof *o->links))
            link = o->link_used++;
        else
            return false;
        uint32_t *first = table_put(&o->by_parent, &tx->in[i].prevout.txid, NULL);
        if (first == NULL) {
            o->links[link].next = o->link_free;
            o->link_free = link;
            return false;
        }
        o->links[link] = (struct orphan_link){ slot, *first };
        *first = link;
    }
    return true;
}

static void unlink_parents(struct orphans *o, uint32_t slot)
{
    const struct tx *tx = o->slots[slot].tx;
    for (uint32_t i = 0; i < tx->in_count; i++) {
        uint32_t *first = table_find(&o->by_parent, &tx->in[i].prevout.txid);
        if (first == NULL)
            continue; /* linking stopped half-way, or an earlier input had the same parent */
        for (uint32_t *at = first; *at != 0;) {
            uint32_t link = *at;
            if (o->links[link].slot != slot) {
                at = &o->links[link].next;
                continue;
            }
            *at = o->links[link].next;
            o->links[link].next = o->link_free;
            o->link_free = link;
        }
        if (*first == 0)
            table_remove(&o->by_parent, &tx->in[i].prevout.txid);
    }
}
