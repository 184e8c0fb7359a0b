/* deployments.c - BIP9 states along the tree of headers. All blocks of a period share a state, which
 * follows from the period before it; so the state of a block is that of its period, named by the last block
 * before it. The walk goes back to the first period whose state is known, then forward by bip9_next.
 *
 * The cache maps (deployment, that last block) to a state. An entry is true for ever, since a block's
 * ancestors never change; when the cache is full it starts anew. */
#include "coin/ledger/deployments.h"

#include "state.h"

struct state_key {
    uint64_t which;
    const struct block_index *end; /* the last block before the period */
};

static const struct block_index *period_end(const struct block_index *prev, int32_t period);
static const struct block_index *ancestor(const struct block_index *from, int32_t height);
static int32_t count_signals(const struct chain_deployment *d, const struct block_index *last, int32_t blocks);
static bool cached(const struct ledger *ledger, uint32_t which, const struct block_index *end,
    enum bip9_state *state);
static void cache(struct ledger *ledger, uint32_t which, const struct block_index *end, enum bip9_state state);

void deployments_init(struct ledger *ledger, const uint64_t seed[2])
{
    table_init(&ledger->deployment_states, sizeof(struct state_key), 1, DEPLOYMENT_STATES_MAX, seed);
}

enum bip9_state ledger_deployment_state(struct ledger *ledger, uint32_t which, const struct block_index *prev)
{
    const struct chain_deployment *d = &ledger->chain->deployments[which];
    enum bip9_state state = BIP9_DEFINED;
    if (bip9_is_fixed(d, &state))
        return state;

    /* Back: to a period that is known, or that ended before the start, or to the first. */
    const struct block_index *goal = period_end(prev, d->period), *at = goal;
    while (at != NULL && !cached(ledger, which, at, &state)) {
        if (index_median_time_past_s(at) < d->start_time_s) {
            cache(ledger, which, at, BIP9_DEFINED);
            break;
        }
        at = ancestor(at, at->height - d->period);
    }
    while (at != goal) {
        int32_t height = at != NULL ? at->height + d->period : d->period - 1;
        at = ancestor(goal, height);
        struct bip9_period ended = {
            .end_height = height,
            .median_time_past_s = index_median_time_past_s(at),
            .signals = state == BIP9_STARTED ? count_signals(d, at, d->period) : 0,
        };
        state = bip9_next(d, state, &ended);
        cache(ledger, which, at, state);
    }
    return state;
}

int32_t ledger_deployment_since(struct ledger *ledger, uint32_t which, const struct block_index *prev)
{
    const struct chain_deployment *d = &ledger->chain->deployments[which];
    enum bip9_state fixed, state = ledger_deployment_state(ledger, which, prev);
    if (bip9_is_fixed(d, &fixed) || state == BIP9_DEFINED)
        return 0;
    const struct block_index *end = period_end(prev, d->period);
    for (;;) { /* a state that is not DEFINED began at the end of some period, so end is not NULL */
        const struct block_index *before = ancestor(end, end->height - d->period);
        if (before == NULL || ledger_deployment_state(ledger, which, before) != state)
            return end->height + 1;
        end = before;
    }
}

struct deployment_count ledger_deployment_count(const struct ledger *ledger, uint32_t which,
    const struct block_index *index)
{
    const struct chain_deployment *d = &ledger->chain->deployments[which];
    struct deployment_count count = { .elapsed = 1 + index->height % d->period };
    count.signals = count_signals(d, index, count.elapsed);
    count.possible = d->period - d->threshold >= count.elapsed - count.signals;
    return count;
}

int32_t ledger_block_version(struct ledger *ledger, const struct block_index *prev)
{
    uint32_t version = VERSION_BITS_TOP;
    for (uint32_t i = 0; i < ledger->chain->deployment_count; i++) {
        enum bip9_state state = ledger_deployment_state(ledger, i, prev);
        if (state == BIP9_STARTED || state == BIP9_LOCKED_IN)
            version |= 1u << ledger->chain->deployments[i].bit;
    }
    return (int32_t)version;
}

/* The last block of the period before the one that the block after prev lies in; NULL: it is the first. */
static const struct block_index *period_end(const struct block_index *prev, int32_t period)
{
    return prev == NULL ? NULL : ancestor(prev, prev->height - (prev->height + 1) % period);
}

static const struct block_index *ancestor(const struct block_index *from, int32_t height)
{
    return index_ancestor((struct block_index *)(uintptr_t)from, height); /* it only finds */
}

static int32_t count_signals(const struct chain_deployment *d, const struct block_index *last, int32_t blocks)
{
    int32_t signals = 0;
    for (const struct block_index *at = last; at != NULL && blocks > 0; at = at->prev, blocks--)
        signals += bip9_signals(d, at->version);
    return signals;
}

static bool cached(const struct ledger *ledger, uint32_t which, const struct block_index *end,
    enum bip9_state *state)
{
    struct state_key key = { .which = which, .end = end };
    const uint8_t *known = table_find(&ledger->deployment_states, &key);
    if (known != NULL)
        *state = (enum bip9_state)*known;
    return known != NULL;
}

static void cache(struct ledger *ledger, uint32_t which, const struct block_index *end, enum bip9_state state)
{
    struct state_key key = { .which = which, .end = end };
    if (ledger->deployment_states.count >= DEPLOYMENT_STATES_MAX)
        table_clear(&ledger->deployment_states);
    uint8_t *slot = table_put(&ledger->deployment_states, &key, NULL);
    if (slot != NULL) /* no memory: it is computed again */
        *slot = (uint8_t)state;
}
