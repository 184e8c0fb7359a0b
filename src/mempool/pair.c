/* A parent that pays too little and the child that pays for both. The parent goes its way first; when the pool refuses it
 * for its feerate only, and its scripts are fine, it is parked: its outputs count for its child and for nobody else. The
 * child then goes its way, and its commit puts both into the pool within one step of the loop, or neither. While a parent
 * is parked its child waits for no other candidate, so that nobody waits in a circle; whatever ends the child also ends
 * the parent, with the refusal that it had. */
#include <inttypes.h>
#include <string.h>

#include "internal.h"

static void start_over(struct candidate *child);
static bool judge_parent(struct candidate *child, struct mempool_entry **entry);
static void both_are_in(struct candidate *child, const struct mempool_entry *parent, const struct mempool_entry *entry);

bool mempool_offer_pair(struct mempool *pool, struct tx *parent, struct tx_verdict parent_verdict, struct tx *child,
    struct tx_verdict child_verdict)
{
    int64_t now_s = env_wall_s(pool->env);
    struct candidate *p = candidate_new(pool, parent, 0, 0, now_s, false, false, parent_verdict);
    struct candidate *c = p != NULL ? candidate_new(pool, child, 0, 0, now_s, false, false, child_verdict) : NULL;
    if (c == NULL) {
        if (p != NULL)
            candidate_free(p);
        return false;
    }
    for (uint32_t i = 0; i < child->in_count; i++)
        if (txid_equal(&child->in[i].prevout.txid, &parent->txid)) { /* else each is judged for itself */
            p->child = c;
            c->parent = p;
        }
    candidate_begin(p);
    candidate_begin(c);
    return true;
}

bool pair_may_park(const struct candidate *c)
{
    return c->child != NULL && mempool_is_too_cheap(&c->why);
}

bool mempool_is_too_cheap(const struct fail *why)
{
    return why->kind == FAIL_POLICY &&
           (strcmp(why->code, "min relay fee not met") == 0 || strcmp(why->code, "mempool min fee not met") == 0);
}

void pair_park(struct candidate *c)
{
    c->wait = WAIT_CHILD;
    wake_children(c->pool, &c->tx->txid);
}

bool pair_is_parked(const struct candidate *child)
{
    return child->parent != NULL && child->parent->wait == WAIT_CHILD;
}

bool pair_coin(const struct candidate *child, const struct outpoint *prevout, struct coin *out)
{
    if (!pair_is_parked(child) || !txid_equal(&prevout->txid, &child->parent->tx->txid) ||
        prevout->index >= child->parent->tx->out_count)
        return false;
    const struct tx_out *from = &child->parent->tx->out[prevout->index];
    *out = (struct coin){.value_sat = from->value_sat, .script = from->script};
    return true;
}

bool pair_pays(struct candidate *child)
{
    const struct candidate *p = child->parent;
    const struct mempool *pool = child->pool;
    uint64_t vsize_vb = (uint64_t)child->vsize_vb + p->vsize_vb;
    int64_t fee_sat = child->fee_sat + pool_delta_sat(pool, &child->tx->txid) + p->fee_sat + pool_delta_sat(pool, &p->tx->txid);
    int64_t pool_sat = fee_of(pool_min_fee_sat_kvb(pool), vsize_vb), relay_sat = fee_of(pool->options.min_relay_sat_kvb, vsize_vb);
    if (pool_sat > 0 && fee_sat < pool_sat)
        return fail_set(&child->why, FAIL_POLICY, "mempool min fee not met", "with its parent: %" PRId64 " < %" PRId64, fee_sat, pool_sat);
    if (fee_sat < relay_sat)
        return fail_set(&child->why, FAIL_POLICY, "min relay fee not met", "with its parent: %" PRId64 " < %" PRId64, fee_sat, relay_sat);
    return true;
}

void pair_commit(struct candidate *child)
{
    struct mempool *pool = child->pool;
    struct mempool_entry *parent = NULL, *entry = NULL;
    struct pool_change change;
    if (child->parent->tip_sequence != ledger_tip_sequence(pool->ledger)) {
        start_over(child);
        return;
    }
    if (!pair_pays(child) || !judge_parent(child, &parent)) {
        step_finish(child);
        return;
    }
    if (parent == NULL) {
        start_over(child);
        return;
    }
    enum judgement judgement = judge(child, &change, &entry);
    if (judgement == JUDGE_PASS && change_commit(&change, pool, entry)) {
        both_are_in(child, parent, entry);
        return;
    }
    if (judgement == JUDGE_PASS) {
        fail_oom(&child->why, "mempool");
        change_clear(&change);
        entry_free(entry);
    }
    pool_undo(pool, parent);
    if (judgement == JUDGE_REDO)
        step_resolve(child); /* another parent has left */
    else
        step_finish(child);
}

void pair_unlink(struct candidate *c)
{
    if (c->child != NULL)
        c->child->parent = NULL;
    if (c->parent != NULL) {
        struct candidate *p = c->parent;
        p->child = NULL;
        if (p->wait == WAIT_CHILD) {
            p->why = p->short_of;
            candidate_ready(p, step_finish);
        }
    }
    c->child = c->parent = NULL;
}

/* The chain or the pool has moved: the parent first, as at the beginning. */
static void start_over(struct candidate *child)
{
    struct candidate *p = child->parent;
    candidate_ready(p, step_resolve);
    candidate_await(child, &p->tx->txid);
}

/* Puts the parent into the pool, where nobody hears of it yet. false: child->why; entry NULL: it has to start over. */
static bool judge_parent(struct candidate *child, struct mempool_entry **entry)
{
    struct candidate *p = child->parent;
    struct pool_change change;
    enum judgement judgement = judge(p, &change, entry);
    if (judgement == JUDGE_REDO) {
        *entry = NULL;
        return true;
    }
    bool replaces = false;
    for (uint32_t i = 0; judgement == JUDGE_PASS && i < change.old_count; i++)
        replaces = replaces || change.gone[i] != 0;
    if (judgement == JUDGE_PASS && !replaces && change_commit(&change, p->pool, *entry))
        return true;
    if (judgement == JUDGE_REFUSE) {
        p->short_of = p->why; /* something else meanwhile */
        fail_clear(&p->why);
    } else {
        change_clear(&change);
        entry_free(*entry);
    }
    return fail_set(&child->why, FAIL_TOO_EARLY, "bad-txns-inputs-missingorspent", "its parent %s was refused",
        hash_show(p->tx->txid.b));
}

static void both_are_in(struct candidate *child, const struct mempool_entry *parent, const struct mempool_entry *entry)
{
    struct mempool *pool = child->pool;
    struct candidate *p = child->parent;
    uint64_t parent_sequence = parent->sequence, sequence = entry->sequence;
    p->wait = WAIT_NOTHING;
    pair_unlink(p);
    pool_expire(pool, EXPIRY_SLICE_COMMIT);
    pool_trim(pool);
    parent = candidate_settle(p, parent, parent_sequence);
    entry = candidate_settle(child, entry, sequence);
    candidate_finish(p, parent);
    candidate_finish(child, entry);
}
