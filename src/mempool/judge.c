/* What the pool says to a candidate whose inputs are known: fees, replacement, TRUC (BIP431), cluster
 * limits, ephemeral dust. Asked twice, before the scripts are checked (a refusal is then cheap) and at the
 * commit (the pool may have changed): it changes nothing and takes time bounded by the cluster limits.
 * Rules, order and strings are Bitcoin's of cluster mempool: a replacement may have unconfirmed inputs,
 * must pay for what it drives out and for its own relay, and must improve the feerate diagram. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

#define SEQUENCE_RBF_MAX 0xfffffffdu /* BIP125: up to here the sender says "replaceable" */
#define TRUC_ANCESTORS_MAX 2

struct judging {
    struct candidate *c;
    struct pool_change *change;
    struct mempool_entry *entry;
    struct mempool_entry *parent; /* one of its parents in the pool */
    uint32_t parent_count; /* different ones, counted up to 2 only as far as TRUC asks */
    bool has_conflicts, sibling_evicted, too_many_parents;
};

static struct mempool_entry *entry_new(const struct candidate *c);
static bool check_fees(struct judging *j);
static bool find_conflicts(struct judging *j);
static bool add_conflict(struct judging *j, struct mempool_entry *entry);
static bool find_parents(struct judging *j);
static bool check_truc(struct judging *j);
static bool truc_fail(struct judging *j, const char *text);
static bool check_truc_parent(struct judging *j);
static bool check_disjoint(struct judging *j);
static bool check_pays(struct judging *j);
static bool check_diagram(struct judging *j);
static bool check_ephemeral(struct judging *j);
static bool check_room(struct judging *j);

enum judgement judge(struct candidate *c, struct pool_change *change, struct mempool_entry **entry)
{
    struct judging j = {.c = c, .change = change};
    memset(change, 0, sizeof *change);
    *entry = NULL;
    for (uint32_t i = 0; i < c->tx->in_count; i++)
        if (c->from_pool[i] && pool_find(c->pool, &c->tx->in[i].prevout.txid) == NULL)
            return JUDGE_REDO;
    if (!judge_duplicate(c))
        return JUDGE_REFUSE;
    j.entry = entry_new(c);
    if (j.entry == NULL) {
        fail_oom(&c->why, "mempool entry");
        return JUDGE_REFUSE;
    }
    bool ok = check_fees(&j) && find_conflicts(&j) && find_parents(&j) && check_truc(&j) &&
              check_disjoint(&j) && (!j.has_conflicts || check_pays(&j));
    if (ok && (j.too_many_parents || !change_build(change, c->pool, j.entry)))
        ok = fail_set(&c->why, FAIL_POLICY, "too-large-cluster",
            "more than %" PRIu32 " transactions or %" PRIu32 " vB would depend on each other",
            c->pool->options.cluster_count_max, c->pool->options.cluster_size_max_vb);
    ok = ok && (!j.has_conflicts || check_diagram(&j)) && check_ephemeral(&j) && check_room(&j);
    if (!ok) {
        change_clear(change);
        entry_free(j.entry);
        return JUDGE_REFUSE;
    }
    *entry = j.entry;
    return JUDGE_PASS;
}

bool judge_duplicate(struct candidate *c)
{
    if (mempool_find_wtxid(c->pool, &c->tx->wtxid) != NULL)
        return fail_set(
            &c->why, FAIL_POLICY, "txn-already-in-mempool", "it waits in the pool already");
    if (pool_find(c->pool, &c->tx->txid) != NULL)
        return fail_set(&c->why, FAIL_POLICY, "txn-same-nonwitness-data-in-mempool",
            "the pool has it with another witness");
    return true;
}

static struct mempool_entry *entry_new(const struct candidate *c)
{
    struct mempool_entry *entry = mem_try_new(sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->tx = tx_ref(c->tx);
    entry->fee_sat = c->fee_sat;
    entry->modified_fee_sat = c->fee_sat + pool_delta_sat(c->pool, &c->tx->txid);
    entry->time_s = c->time_s;
    entry->height = ledger_tip(c->pool->ledger)->height;
    entry->vsize_vb = c->vsize_vb;
    entry->weight_wu = tx_weight_wu(c->tx);
    entry->adjusted_wu = c->adjusted_wu;
    entry->sigop_cost = c->sigop_cost;
    entry->unbroadcast = c->unbroadcast;
    entry->lock = c->lock;
    entry->coinbase_height = c->coinbase_height;
    entry->usage_b = sizeof *entry + sizeof *entry->tx + arena_size_b(&c->tx->arena);
    for (uint32_t i = 0; i < c->tx->in_count; i++) {
        entry->replaceable |= c->tx->in[i].sequence <= SEQUENCE_RBF_MAX;
        if (c->from_pool[i]) /* BIP125: inherited from unconfirmed ancestors */
            entry->replaceable |= pool_find(c->pool, &c->tx->in[i].prevout.txid)->replaceable;
    }
    return entry;
}

void entry_free(struct mempool_entry *entry)
{
    if (entry == NULL)
        return;
    tx_unref(entry->tx);
    mem_free(entry);
}

static bool check_fees(struct judging *j)
{
    const struct candidate *c = j->c;
    const struct mempool_options *options = &c->pool->options;
    struct fail *why = &j->c->why;
    int64_t fee_sat = j->entry->modified_fee_sat;
    /* Dust that the next transaction must sweep: no fee, so that nobody mines it alone. */
    if (options->require_standard && (c->fee_sat != 0 || fee_sat != 0) &&
        policy_dust_count(c->tx, options->dust_relay_sat_kvb) > 0)
        return fail_set(why, FAIL_POLICY, "dust", "tx with dust output must be 0-fee");
    if (c->sigop_cost > TX_SIGOP_COST_MAX)
        return fail_set(why, FAIL_POLICY, "bad-txns-too-many-sigops", "%" PRId64, c->sigop_cost);
    if ((c->flags & MEMPOOL_BYPASS_LIMITS) != 0 || c->wait == WAIT_CHILD || pair_is_parked(c)) /* a pair's feerate: pair_pays */
        return true;
    int64_t pool_sat = fee_of(pool_min_fee_sat_kvb(c->pool), c->vsize_vb);
    int64_t relay_sat = fee_of(options->min_relay_sat_kvb, c->vsize_vb);
    if (pool_sat > 0 && fee_sat < pool_sat)
        return fail_set(why, FAIL_POLICY, "mempool min fee not met", "%" PRId64 " < %" PRId64,
            fee_sat, pool_sat);
    if (fee_sat < relay_sat)
        return fail_set(why, FAIL_POLICY, "min relay fee not met", "%" PRId64 " < %" PRId64,
            fee_sat, relay_sat);
    return true;
}

/* ---- who is in the way, who is needed ---- */
static bool find_conflicts(struct judging *j)
{
    const struct tx *tx = j->c->tx;
    for (uint32_t i = 0; i < tx->in_count; i++) {
        struct mempool_entry *spender = pool_spender(j->c->pool, &tx->in[i].prevout);
        if (spender != NULL && !add_conflict(j, spender))
            return false;
    }
    return true;
}

static bool add_conflict(struct judging *j, struct mempool_entry *entry)
{
    struct pool_change *change = j->change;
    j->has_conflicts = true;
    uint32_t i = change_touch(change, entry->cluster);
    if (i >= REPLACED_CLUSTERS_MAX) {
        char code[FAIL_CODE_SIZE_B];
        snprintf(code, sizeof code, "too many potential replacements%s",
            j->sibling_evicted ? " (including sibling eviction)" : "");
        return fail_set(&j->c->why, FAIL_POLICY, code,
            "rejecting replacement %s; too many conflicting clusters (%d > %d)",
            hash_show(j->c->tx->txid.b), REPLACED_CLUSTERS_MAX + 1, REPLACED_CLUSTERS_MAX);
    }
    change->gone[i] |= entry->cluster->txs[entry->cluster_index].descendants;
    return true;
}

static bool find_parents(struct judging *j)
{
    const struct candidate *c = j->c;
    for (uint32_t i = 0; i < c->tx->in_count; i++) {
        if (!c->from_pool[i])
            continue;
        struct mempool_entry *parent = pool_find(c->pool, &c->tx->in[i].prevout.txid);
        uint32_t at = change_touch(j->change, parent->cluster);
        if (at == UINT32_MAX) {
            j->too_many_parents = true; /* more clusters than a cluster has members */
            continue;
        }
        uint64_t bit = UINT64_C(1) << parent->cluster_index;
        j->parent_count += (j->change->parents[at] & bit) == 0;
        j->change->parents[at] |= bit;
        j->parent = parent;
    }
    return true;
}

/* An ancestor that it replaces as well: it could never be mined. */
static bool check_disjoint(struct judging *j)
{
    for (uint32_t i = 0; i < j->change->old_count; i++)
        if ((j->change->parents[i] & j->change->gone[i]) != 0)
            return fail_set(&j->c->why, FAIL_INVALID, "bad-txns-spends-conflicting-tx",
                "%s spends conflicting transaction", hash_show(j->c->tx->txid.b));
    return true;
}

/* ---- BIP431 ---- */
static bool check_truc(struct judging *j)
{
    const struct candidate *c = j->c;
    bool truc = c->tx->version == TRUC_VERSION;
    if ((c->flags & MEMPOOL_BYPASS_LIMITS) != 0)
        return true;
    for (uint32_t i = 0; i < c->tx->in_count; i++) {
        if (!c->from_pool[i])
            continue;
        bool parent_truc =
            pool_find(c->pool, &c->tx->in[i].prevout.txid)->tx->version == TRUC_VERSION;
        if (truc != parent_truc)
            return truc_fail(j, truc ? "version=3 tx cannot spend from a non-version=3 tx"
                                     : "non-version=3 tx cannot spend from a version=3 tx");
    }
    if (!truc)
        return true;
    if (c->vsize_vb > TRUC_SIZE_MAX_VB)
        return truc_fail(j, "version=3 tx is too big");
    if (j->parent_count == 0)
        return true;
    if (j->parent_count + 1 > TRUC_ANCESTORS_MAX)
        return truc_fail(j, "tx would have too many ancestors");
    return check_truc_parent(j);
}

static bool check_truc_parent(struct judging *j)
{
    struct mempool_cluster *cluster = j->parent->cluster;
    const struct cluster_tx *parent = &cluster->txs[j->parent->cluster_index];
    uint64_t self = UINT64_C(1) << j->parent->cluster_index, children = parent->descendants & ~self;
    if (parent->ancestors != self)
        return truc_fail(j, "tx would have too many ancestors");
    if (j->c->vsize_vb > TRUC_CHILD_SIZE_MAX_VB)
        return truc_fail(j, "version=3 child tx is too big");
    uint32_t at = change_touch(j->change, cluster); /* find_parents has put it there */
    if (children == 0 || (children & j->change->gone[at]) != 0)
        return true;
    struct mempool_entry *sibling = cluster->txs[bits_first(children)].entry;
    if (bits_count(children) > 1 ||
        bits_count(cluster->txs[sibling->cluster_index].ancestors) > TRUC_ANCESTORS_MAX)
        return truc_fail(j, "tx would exceed descendant count limit");
    j->sibling_evicted = true; /* the one child that a TRUC parent may have, outbid */
    return add_conflict(j, sibling);
}

static bool truc_fail(struct judging *j, const char *text)
{
    return fail_set(
        &j->c->why, FAIL_POLICY, "TRUC-violation", "%s (%s)", text, hash_show(j->c->tx->txid.b));
}

/* ---- replacement ---- */
static bool check_pays(struct judging *j)
{
    const struct pool_change *change = j->change;
    const struct candidate *c = j->c;
    const char *code =
        j->sibling_evicted ? "insufficient fee (including sibling eviction)" : "insufficient fee";
    int64_t gone_sat = 0, fee_sat = j->entry->modified_fee_sat;
    for (uint32_t i = 0; i < change->old_count; i++)
        for (uint64_t left = change->gone[i]; left != 0; left &= left - 1)
            gone_sat += change->old[i]->txs[bits_first(left)].entry->modified_fee_sat;
    if (fee_sat < gone_sat)
        return fail_set(&j->c->why, FAIL_POLICY, code,
            "rejecting replacement %s, less fees than conflicting txs; %" PRId64 " < %" PRId64,
            hash_show(c->tx->txid.b), fee_sat, gone_sat);
    int64_t relay_sat = fee_of(c->pool->options.incremental_sat_kvb, c->vsize_vb);
    if (fee_sat - gone_sat < relay_sat)
        return fail_set(&j->c->why, FAIL_POLICY, code,
            "rejecting replacement %s, not enough additional fees to relay; %" PRId64 " < %" PRId64,
            hash_show(c->tx->txid.b), fee_sat - gone_sat, relay_sat);
    return true;
}

static uint32_t chunks_copy(struct diagram_chunk *out, const struct mempool_cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->chunk_count; i++)
        out[i] = (struct diagram_chunk){cluster->chunks[i].fee_sat, cluster->chunks[i].size_wu};
    return cluster->chunk_count;
}

static bool check_diagram(struct judging *j)
{
    const struct pool_change *change = j->change;
    uint32_t before = 0, after = change->joined->chunk_count;
    for (uint32_t i = 0; i < change->old_count; i++)
        before += change->old[i]->chunk_count;
    for (const struct mempool_cluster *part = change->rest; part != NULL; part = part->next)
        after += part->chunk_count;
    struct diagram_chunk *chunks = mem_try_array((size_t)before + after, sizeof *chunks);
    if (chunks == NULL)
        return fail_oom(&j->c->why, "feerate diagram");
    struct diagram_chunk *at = chunks;
    for (uint32_t i = 0; i < change->old_count; i++)
        at += chunks_copy(at, change->old[i]);
    at += chunks_copy(at, change->joined);
    for (const struct mempool_cluster *part = change->rest; part != NULL; part = part->next)
        at += chunks_copy(at, part);
    bool better = diagram_improves(chunks, before, chunks + before, after);
    mem_free(chunks);
    return better || fail_set(&j->c->why, FAIL_POLICY, "replacement-failed",
                         "insufficient feerate: does not improve feerate diagram");
}

/* ---- the rest ---- */
/* Who spends from a parent with dust must spend all its dust. */
static bool check_ephemeral(struct judging *j)
{
    const struct candidate *c = j->c;
    const struct mempool_cluster *joined = j->change->joined;
    int64_t dust_relay_sat_kvb = c->pool->options.dust_relay_sat_kvb;
    uint64_t parents =
        c->pool->options.require_standard ? joined->txs[joined->count - 1].parents : 0;
    for (; parents != 0; parents &= parents - 1) {
        const struct tx *parent = joined->txs[bits_first(parents)].entry->tx;
        for (uint32_t k = 0; k < parent->out_count; k++) {
            bool fine = !policy_is_dust(&parent->out[k], dust_relay_sat_kvb);
            for (uint32_t i = 0; !fine && i < c->tx->in_count; i++)
                fine = c->tx->in[i].prevout.index == k &&
                       txid_equal(&c->tx->in[i].prevout.txid, &parent->txid);
            if (!fine)
                return fail_set(&j->c->why, FAIL_POLICY, "missing-ephemeral-spends",
                    "tx %s did not spend parent's ephemeral dust", hash_show(c->tx->txid.b));
        }
    }
    return true;
}

/* Would it be the first to be evicted? Then it does not come in at all, and the pool stays as it is. */
static bool check_room(struct judging *j)
{
    const struct mempool *pool = j->c->pool;
    const struct mempool_cluster *joined = j->change->joined;
    const struct cluster_heap *worst = &pool->heaps[HEAP_WORST];
    size_t leaving_b = 0;
    for (uint32_t i = 0; i < j->change->old_count; i++)
        for (uint64_t left = j->change->gone[i]; left != 0; left &= left - 1)
            leaving_b += j->change->old[i]->txs[bits_first(left)].entry->usage_b;
    size_t usage_b = pool_usage_b(pool) + j->entry->usage_b;
    if (usage_b <= pool->options.limit_b + leaving_b)
        return true;
    const struct cluster_chunk *own =
        &joined->chunks[cluster_chunk_index(joined, joined->count - 1)];
    if (worst->count > 0) {
        const struct mempool_cluster *other = worst->items[0];
        const struct cluster_chunk *last = &other->chunks[other->chunk_count - 1];
        if (feerate_compare(own->fee_sat, own->size_wu, last->fee_sat, last->size_wu) > 0)
            return true;
    }
    return fail_set(
        &j->c->why, FAIL_POLICY, "mempool full", "all that is there pays more per byte");
}
