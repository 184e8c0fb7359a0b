/* sig_encoding.c - BIP66's strict DER, checked by position: no parser, so nothing to disagree with.
 *
 *   0  0x30            2  0x02            4  R (r_b bytes)      5+r_b  s_b
 *   1  size - 3        3  r_b         4+r_b  0x02             6+r_b  S, then one byte of hash type */
#include "sig_encoding.h"

#define SIG_SIZE_MIN_B 9
#define SIG_SIZE_MAX_B 73

static bool integer_is_strict(const uint8_t *at, size_t size_b)
{
    if (size_b == 0 || (at[0] & 0x80) != 0)
        return false; /* negative */
    return !(size_b > 1 && at[0] == 0 && (at[1] & 0x80) == 0); /* needless zero in front */
}

bool sig_is_strict_der(struct span sig)
{
    const uint8_t *s = sig.data;
    if (sig.size_b < SIG_SIZE_MIN_B || sig.size_b > SIG_SIZE_MAX_B)
        return false;
    if (s[0] != 0x30 || s[1] != sig.size_b - 3)
        return false;
    size_t r_b = s[3];
    if (5 + r_b >= sig.size_b)
        return false;
    size_t s_b = s[5 + r_b];
    if (r_b + s_b + 7 != sig.size_b)
        return false;
    return s[2] == 0x02 && integer_is_strict(s + 4, r_b) && s[r_b + 4] == 0x02 &&
           integer_is_strict(s + r_b + 6, s_b);
}
