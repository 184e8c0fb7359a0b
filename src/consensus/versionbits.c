/* versionbits.c - the state machine of BIP9, amended as Bitcoin uses it since taproot: a deployment that is
 * started can lock in at the period in which its timeout passes, and a locked-in one waits for its minimum
 * activation height. States change between periods only, so one step per period is all there is. */
#include "coin/consensus/versionbits.h"

const char *bip9_state_name(enum bip9_state state)
{
    static const char *const names[] = { "defined", "started", "locked_in", "active", "failed" };
    return names[state];
}

enum bip9_state bip9_next(const struct chain_deployment *d, enum bip9_state state,
    const struct bip9_period *ended)
{
    switch (state) {
    case BIP9_DEFINED:
        return ended->median_time_past_s >= d->start_time_s ? BIP9_STARTED : BIP9_DEFINED;
    case BIP9_STARTED:
        if (ended->signals >= d->threshold)
            return BIP9_LOCKED_IN;
        return ended->median_time_past_s >= d->timeout_s ? BIP9_FAILED : BIP9_STARTED;
    case BIP9_LOCKED_IN:
        return ended->end_height + 1 >= d->min_activation_height ? BIP9_ACTIVE : BIP9_LOCKED_IN;
    case BIP9_ACTIVE:
    case BIP9_FAILED:
        break;
    }
    return state;
}

bool bip9_is_fixed(const struct chain_deployment *d, enum bip9_state *state)
{
    if (d->start_time_s != BIP9_ALWAYS_ACTIVE && d->start_time_s != BIP9_NEVER_ACTIVE)
        return false;
    *state = d->start_time_s == BIP9_ALWAYS_ACTIVE ? BIP9_ACTIVE : BIP9_FAILED;
    return true;
}

bool bip9_signals(const struct chain_deployment *d, int32_t version)
{
    uint32_t bits = (uint32_t)version;
    return (bits & VERSION_BITS_TOP_MASK) == VERSION_BITS_TOP && ((bits >> d->bit) & 1u) != 0;
}
