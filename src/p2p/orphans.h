/* orphans.h - transactions whose inputs we do not know yet, kept a while for their parents to come.
 * Owner: struct p2p. Thread: loop. Bounded: ORPHANS_MAX in all; a peer's share by count and weight, and the
 * oldest of a peer over its share goes first. */
#ifndef COIN_P2P_ORPHANS_H
#define COIN_P2P_ORPHANS_H

#include "coin/base/table.h"
#include "coin/p2p/limits.h"
#include "coin/primitives/tx.h"

struct orphan {
    struct tx *tx; /* a reference; NULL: a free slot */
    int64_t peer;  /* who gave it */
    int64_t time_us;
    uint32_t weight_wu;
    bool judging;  /* offered again, its verdict is on its way */
    uint32_t serial;
};
struct orphan_link;
struct orphans {
    struct orphan slots[ORPHANS_MAX];
    uint32_t count, serial;
    struct table by_wtxid;  /* wtxid -> u32 slot */
    struct table by_parent; /* txid of a parent -> u32 first link */
    struct orphan_link *links;
    uint32_t link_capacity, link_used, link_free;
};
void orphans_init(struct orphans *o, const uint64_t seed[2]);
void orphans_clear(struct orphans *o);
/* Keeps a reference; makes room by dropping others. false: known already, or too large to keep. */
bool orphans_add(struct orphans *o, struct tx *tx, int64_t peer, int64_t now_us);
bool orphans_has(const struct orphans *o, const struct wtxid *id);
/* Slots of those that spend an output of parent, at most max. */
uint32_t orphans_children(const struct orphans *o, const struct txid *parent, uint32_t *out, uint32_t max);
void orphans_remove(struct orphans *o, uint32_t slot);
void orphans_remove_wtxid(struct orphans *o, const struct wtxid *id);
void orphans_forget_peer(struct orphans *o, int64_t peer);
void orphans_expire(struct orphans *o, int64_t now_us);

#endif
