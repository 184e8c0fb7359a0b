/* values.h - an option's text as the value it means, or the sentence that says what it should be. Thread: any. */
#ifndef COIN_NODE_VALUES_H
#define COIN_NODE_VALUES_H

#include "coin/base/config.h"

#define SETUP_LIST_MAX 256 /* values of one list option that are used */

/* A whole number from min to max; otherwise: when the option is not set. FAIL_REQUEST. */
bool value_number(int64_t *out, const struct config *config, const char *name, int64_t otherwise, int64_t min,
    int64_t max, struct fail *why) MUST_USE;
/* Coins, with up to 8 decimals, as satoshis. FAIL_REQUEST. */
bool value_fee_rate(int64_t *out, const struct config *config, const char *name, int64_t otherwise,
    struct fail *why) MUST_USE;
bool value_flag(const struct config *config, const char *name, bool otherwise);
void value_list(const char *out[SETUP_LIST_MAX + 1], const struct config *config, const char *name);

#endif
