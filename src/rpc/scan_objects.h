/* scan_objects.h - the "scanobjects" of scantxoutset and scanblocks: descriptors, some with a range, and the scripts
 * that they stand for. Private to the RPC layer. Owner: one call; a job may have it meanwhile. */
#ifndef COIN_RPC_SCAN_OBJECTS_H
#define COIN_RPC_SCAN_OBJECTS_H

#include "coin/rpc/rpc.h"

struct scan_objects {
    struct span *scripts; /* sorted once expanded; what block_filter_matches_any takes */
    uint32_t script_count;
    /* private: */
    struct arena arena;
    struct scan_wanted *wanted;
    uint32_t wanted_count, script_capacity;
};

void scan_objects_init(struct scan_objects *objects);
void scan_objects_clear(struct scan_objects *objects);
/* The forms only; copies what it needs of argument i. Thread: loop. */
bool scan_objects_read(struct scan_objects *objects, const struct rpc_call *call, uint32_t i, struct fail *why) MUST_USE;
/* Parses the descriptors and derives every script: a job's work. Stops early, and still succeeds, once *abort. */
bool scan_objects_expand(struct scan_objects *objects, const struct chain *chain, const _Atomic bool *abort,
    struct fail *why) MUST_USE;
bool scan_objects_have(const struct scan_objects *objects, struct span script);

#endif
