/* -maxuploadtarget: how much we send in a day. When it runs low, old blocks are no longer served, so that new
 * ones and transactions always are: for each block still to come in the day's rest, room for a full one is kept. */
#include "internal.h"

#define CYCLE_US (24 * HOUR_US)

static int64_t cycle_left_us(const struct p2p *p2p)
{
    int64_t left_us = p2p->upload_cycle_us + CYCLE_US - p2p_now_us(p2p);
    return p2p->upload_cycle_us == 0 ? CYCLE_US : left_us > 0 ? left_us : 0;
}

static uint64_t cycle_sent_b(const struct p2p *p2p)
{
    return cycle_left_us(p2p) > 0 ? p2p->upload_cycle_b : 0;
}

void upload_count(struct p2p *p2p, size_t size_b)
{
    int64_t now_us = p2p_now_us(p2p);
    if (p2p->upload_cycle_us == 0 || now_us >= p2p->upload_cycle_us + CYCLE_US) {
        p2p->upload_cycle_us = now_us;
        p2p->upload_cycle_b = 0;
    }
    p2p->upload_cycle_b += size_b;
}

bool upload_is_spent(const struct p2p *p2p, bool for_old_blocks)
{
    uint64_t target_b = p2p->options.upload_target_b, reserved_b = 0;
    if (target_b == 0)
        return false;
    if (for_old_blocks)
        reserved_b = (uint64_t)(cycle_left_us(p2p) / SECOND_US / p2p->chain->spacing_s) * p2p->chain->block_weight_max_wu;
    return reserved_b >= target_b || cycle_sent_b(p2p) >= target_b - reserved_b;
}

void p2p_show_upload(const struct p2p *p2p, struct json_writer *w)
{
    uint64_t target_b = p2p->options.upload_target_b, sent_b = cycle_sent_b(p2p);
    jw_object(w);
    jw_key_u64(w, "timeframe", CYCLE_US / SECOND_US);
    jw_key_u64(w, "target", target_b);
    jw_key_bool(w, "target_reached", upload_is_spent(p2p, false));
    jw_key_bool(w, "serve_historical_blocks", !upload_is_spent(p2p, true));
    jw_key_u64(w, "bytes_left_in_cycle", target_b > sent_b ? target_b - sent_b : 0);
    jw_key_i64(w, "time_left_in_cycle", target_b == 0 ? 0 : cycle_left_us(p2p) / SECOND_US);
    jw_end_object(w);
}
