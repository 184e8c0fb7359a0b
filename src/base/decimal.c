/* Decimal numbers as exact integers. An amount is never a double here: "0.1" with 8 decimals is
 * 10,000,000, and a text that has no such integer is refused rather than rounded. */
#include "coin/base/json.h"

#include <ctype.h>
#include <string.h>

#define DECIMALS_MAX 18u
#define EXPONENT_MAX 1000000000 /* far beyond any number; only keeps the sum from overflowing */

struct decimal {
    uint64_t digits; /* without the zeros at its end */
    int64_t power;   /* times ten to this */
    bool overflow;
};

static void decimal_digit(struct decimal *d, uint8_t c);

bool decimal_parse(int64_t *out, struct span text, uint32_t decimals)
{
    const uint8_t *at = text.data, *end = text.data != NULL ? text.data + text.size_b : NULL;
    struct decimal d = { 0 };
    int64_t fraction_count = 0, exponent = 0;
    bool negative = at < end && *at == '-';
    if (negative)
        at++;
    if (at >= end || !isdigit(*at))
        return false;
    if (*at == '0' && end - at > 1 && isdigit(at[1]))
        return false;
    for (; at < end && isdigit(*at); at++)
        decimal_digit(&d, *at);
    if (at < end && *at == '.') {
        at++;
        if (at >= end || !isdigit(*at))
            return false;
        for (; at < end && isdigit(*at); at++, fraction_count++)
            decimal_digit(&d, *at);
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        bool down = at < end && *at == '-';
        if (at < end && (*at == '-' || *at == '+'))
            at++;
        if (at >= end || !isdigit(*at))
            return false;
        for (; at < end && isdigit(*at); at++)
            if (exponent < EXPONENT_MAX)
                exponent = exponent * 10 + (*at - '0');
        if (down)
            exponent = -exponent;
    }
    if (at != end || d.overflow)
        return false;
    int64_t power = d.power - fraction_count + exponent + (int64_t)decimals;
    if (d.digits != 0 && (power < 0 || power > (int64_t)DECIMALS_MAX))
        return false;
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    for (; d.digits != 0 && power > 0; power--)
        if (__builtin_mul_overflow(d.digits, (uint64_t)10, &d.digits))
            return false;
    if (d.digits > limit)
        return false;
    *out = (int64_t)(negative ? 0 - d.digits : d.digits);
    return true;
}

void decimal_print(char out[32], int64_t v, uint32_t decimals)
{
    char text[32];
    char *at = text + sizeof text;
    uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    if (decimals > DECIMALS_MAX)
        decimals = DECIMALS_MAX;
    *--at = '\0';
    for (uint32_t i = 0; i <= decimals || left > 0; i++) {
        if (i == decimals && decimals > 0)
            *--at = '.';
        *--at = (char)('0' + left % 10);
        left /= 10;
    }
    if (v < 0)
        *--at = '-';
    memcpy(out, at, (size_t)(text + sizeof text - at));
}

/* Zeros are held back as a power until a digit follows, so that "1.000000000000000000000" is one. */
static void decimal_digit(struct decimal *d, uint8_t c)
{
    if (c == '0') {
        if (d->digits != 0)
            d->power++;
        return;
    }
    for (; d->power > 0 && !d->overflow; d->power--)
        d->overflow = __builtin_mul_overflow(d->digits, (uint64_t)10, &d->digits);
    if (d->overflow || __builtin_mul_overflow(d->digits, (uint64_t)10, &d->digits) ||
        __builtin_add_overflow(d->digits, (uint64_t)(c - '0'), &d->digits))
        d->overflow = true;
}
