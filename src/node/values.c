/* Options as numbers, rates, switches and lists. */
#include "values.h"

#include <inttypes.h>
#include <string.h>

#include "coin/base/json.h"

bool value_number(int64_t *out, const struct config *config, const char *name, int64_t otherwise,
    int64_t min, int64_t max, struct fail *why)
{
    *out = otherwise;
    const char *text = config_text(config, name);
    if (text == NULL || !config_is_set(config, name))
        return true;
    if (!decimal_parse(out, span_text(text), 0))
        return fail_request(why, 0, "-%s=%s is not a whole number", name, text);
    if (*out < min || *out > max)
        return fail_request(why, 0, "-%s=%s is out of range: it must be from %" PRId64 " to %" PRId64,
            name, text, min, max);
    return true;
}

bool value_fee_rate(int64_t *out, const struct config *config, const char *name, int64_t otherwise,
    struct fail *why)
{
    *out = otherwise;
    const char *text = config_text(config, name);
    if (text == NULL || !config_is_set(config, name))
        return true;
    if (!decimal_parse(out, span_text(text), 8) || *out < 0)
        return fail_request(why, 0, "Invalid amount for -%s=<amount>: '%s'", name, text);
    return true;
}

bool value_flag(const struct config *config, const char *name, bool otherwise)
{
    return config_is_implied(config, name) ? config_flag(config, name) : otherwise;
}

void value_list(const char *out[SETUP_LIST_MAX + 1], const struct config *config, const char *name)
{
    uint32_t n = 0;
    const char *value;
    while (n < SETUP_LIST_MAX && (value = config_list(config, name, n)) != NULL)
        out[n++] = value;
    out[n] = NULL;
}
