/* select.h - which coins pay. Pure. Thread: any. */
#ifndef COIN_WALLET_SELECT_H
#define COIN_WALLET_SELECT_H

#include "coin/base/bytes.h"

struct select_coin {
    int64_t value_sat;
    int64_t fee_sat;           /* to spend it now */
    int64_t long_term_fee_sat; /* to spend it later, at a usual rate */
    uint32_t tag;              /* the caller's */
    bool chosen;               /* result */
    bool required;             /* must be chosen */
};
struct select_params {
    int64_t target_sat;         /* payments and the fee of all but inputs and change */
    int64_t change_fee_sat;     /* to make a change output now */
    int64_t change_cost_sat;    /* that, and spending it later */
    int64_t change_min_sat;     /* smaller change is left to the miner */
    uint32_t count_max;         /* inputs at most */
    uint64_t random;            /* seed for the random draw */
};
struct select_result {
    int64_t value_sat, fees_sat; /* of the chosen coins */
    int64_t change_sat;          /* 0: no change output */
    int64_t waste_sat;
};
/* Branch and bound for an exact match, single random draw and largest first otherwise; the one with the least
 * waste wins (Bitcoin's metric). coins are reordered. false: they cannot pay. */
bool select_coins(struct select_coin *coins, uint32_t count, const struct select_params *params,
    struct select_result *out);

#endif
