/* What the clocks of the peers that we dialed say about ours. Inbound peers are not asked: anybody can be many of them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define SAMPLES_MIN 5u            /* Bitcoin: fewer clocks say nothing */
#define OFF_MAX_S INT64_C(600)    /* Bitcoin: WARN_THRESHOLD */

static int by_value(const void *a, const void *b);

void clock_heard(struct p2p *p2p, int64_t offset_s)
{
    struct clock_samples *c = &p2p->clocks;
    c->offsets_s[c->heard++ % CLOCK_SAMPLES_MAX] = offset_s;
    bool was_off = c->off;
    c->off = p2p_clock_is_off(p2p);
    if (c->off && !was_off)
        log_warning("this computer's clock seems to be wrong: the clocks of peers are %" PRId64 " s ahead of it; "
                    "set it right, or good blocks may be refused", p2p_time_offset_s(p2p));
    if (was_off && !c->off)
        log_info("this computer's clock agrees with those of peers again");
}

int64_t p2p_time_offset_s(const struct p2p *p2p)
{
    const struct clock_samples *c = &p2p->clocks;
    int64_t sorted[CLOCK_SAMPLES_MAX];
    uint32_t count = c->heard < CLOCK_SAMPLES_MAX ? c->heard : CLOCK_SAMPLES_MAX;
    if (count < SAMPLES_MIN)
        return 0;
    memcpy(sorted, c->offsets_s, count * sizeof sorted[0]);
    qsort(sorted, count, sizeof sorted[0], by_value);
    return sorted[count / 2];
}

bool p2p_clock_is_off(const struct p2p *p2p)
{
    int64_t offset_s = p2p_time_offset_s(p2p), most_s = p2p->chain->future_limit_s / 2;
    if (most_s > OFF_MAX_S)
        most_s = OFF_MAX_S;
    return offset_s > most_s || offset_s < -most_s;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}
