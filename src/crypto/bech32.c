/* bech32 (BIP173) and bech32m (BIP350). */

#include "coin/crypto/base58.h"

#include <string.h>

#define CHECKSUM_SIZE 6
#define HRP_MAX 83

static const char charset[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
static const uint32_t final_xor[] = {[BECH32] = 1, [BECH32M] = 0x2bc830a3};

static uint32_t step(uint32_t c, uint8_t value)
{
    static const uint32_t generator[5] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
    uint32_t top = c >> 25;
    c = (c & 0x1ffffff) << 5 ^ value;
    for (int i = 0; i < 5; i++)
        c ^= top >> i & 1 ? generator[i] : 0;
    return c;
}

static uint32_t start_with(const char *hrp)
{
    uint32_t c = 1;
    for (const char *p = hrp; *p != 0; p++)
        c = step(c, (uint8_t)*p >> 5);
    c = step(c, 0);
    for (const char *p = hrp; *p != 0; p++)
        c = step(c, (uint8_t)*p & 0x1f);
    return c;
}

static bool hrp_is_valid(const char *hrp) /* BIP173; written in lower case only */
{
    size_t length = strlen(hrp);
    for (const char *p = hrp; *p != 0; p++) {
        if (*p < 33 || *p > 126 || (*p >= 'A' && *p <= 'Z'))
            return false;
    }
    return length >= 1 && length <= HRP_MAX;
}

bool bech32_encode(struct buf *out, const char *hrp, struct span values, enum bech32_kind kind)
{
    if (!hrp_is_valid(hrp) || values.size_b > BECH32_TEXT_MAX ||
        strlen(hrp) + 1 + values.size_b + CHECKSUM_SIZE > BECH32_TEXT_MAX)
        return false;
    for (size_t i = 0; i < values.size_b; i++) {
        if (values.data[i] > 0x1f)
            return false;
    }
    uint32_t c = start_with(hrp);
    buf_put_text(out, hrp);
    buf_put_u8(out, '1');
    for (size_t i = 0; i < values.size_b; i++) {
        c = step(c, values.data[i]);
        buf_put_u8(out, (uint8_t)charset[values.data[i]]);
    }
    for (int i = 0; i < CHECKSUM_SIZE; i++)
        c = step(c, 0);
    c ^= final_xor[kind];
    for (int i = 0; i < CHECKSUM_SIZE; i++)
        buf_put_u8(out, (uint8_t)charset[c >> 5 * (5 - i) & 0x1f]);
    return !out->failed;
}

bool bech32_decode(struct buf *values, char hrp_out[84], enum bech32_kind *kind, struct span text)
{
    bool lower = false, upper = false;
    size_t one = 0;
    if (text.size_b > BECH32_TEXT_MAX || text.size_b < 8)
        return false;
    for (size_t i = 0; i < text.size_b; i++) {
        uint8_t ch = text.data[i];
        if (ch < 33 || ch > 126)
            return false;
        lower = lower || (ch >= 'a' && ch <= 'z');
        upper = upper || (ch >= 'A' && ch <= 'Z');
        if (ch == '1')
            one = i;
    }
    if ((lower && upper) || one == 0 || one > HRP_MAX || one + 1 + CHECKSUM_SIZE > text.size_b)
        return false;
    for (size_t i = 0; i < one; i++) {
        uint8_t ch = text.data[i];
        hrp_out[i] = (char)(ch >= 'A' && ch <= 'Z' ? ch + ('a' - 'A') : ch);
    }
    hrp_out[one] = 0;
    uint32_t c = start_with(hrp_out);
    for (size_t i = one + 1; i < text.size_b; i++) {
        uint8_t ch = text.data[i];
        const char *at = strchr(charset, ch >= 'A' && ch <= 'Z' ? ch + ('a' - 'A') : ch);
        if (at == NULL)
            return false;
        uint8_t value = (uint8_t)(at - charset);
        c = step(c, value);
        if (i + CHECKSUM_SIZE < text.size_b)
            buf_put_u8(values, value);
    }
    if (c != final_xor[BECH32] && c != final_xor[BECH32M])
        return false;
    *kind = c == final_xor[BECH32] ? BECH32 : BECH32M;
    return !values->failed;
}

static bool regroup(struct buf *out, struct span in, unsigned from, unsigned to, bool pad)
{
    uint32_t held = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < in.size_b; i++) {
        held = (held << from | in.data[i]) & 0xfffu;
        bits += from;
        while (bits >= to) {
            bits -= to;
            buf_put_u8(out, (uint8_t)(held >> bits & ((1u << to) - 1)));
        }
    }
    if (pad && bits > 0)
        buf_put_u8(out, (uint8_t)(held << (to - bits) & ((1u << to) - 1)));
    else if (!pad && (bits >= from || (held & ((1u << bits) - 1)) != 0))
        return false;
    return !out->failed;
}

/* BIP141: what an address can stand for. */
static bool program_is_valid(uint32_t version, size_t size_b)
{
    if (version == 0)
        return size_b == 20 || size_b == 32;
    return version <= 16 && size_b >= 2 && size_b <= 40;
}

bool segwit_encode(struct buf *out, const char *hrp, uint32_t version, struct span program)
{
    struct buf values;
    if (!program_is_valid(version, program.size_b))
        return false;
    buf_init(&values, 80);
    buf_put_u8(&values, (uint8_t)version);
    bool ok = regroup(&values, program, 8, 5, true) &&
              bech32_encode(out, hrp, buf_span(&values), version == 0 ? BECH32 : BECH32M);
    buf_clear(&values);
    return ok;
}

bool segwit_decode(uint32_t *version, struct buf *program, const char *hrp, struct span text)
{
    struct buf values;
    char found[84];
    enum bech32_kind kind;
    size_t start = program->size_b;
    buf_init(&values, BECH32_TEXT_MAX);
    bool ok = bech32_decode(&values, found, &kind, text) && strcmp(found, hrp) == 0 && values.size_b > 0 &&
              kind == (values.data[0] == 0 ? BECH32 : BECH32M) &&
              regroup(program, span_of(values.data + 1, values.size_b - 1), 5, 8, false);
    if (ok) {
        *version = values.data[0];
        ok = program_is_valid(*version, program->size_b - start);
    }
    buf_clear(&values);
    return ok;
}
