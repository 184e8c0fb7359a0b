/* base58 and its checksum. */

#include "coin/crypto/base58.h"

#include <string.h>

#include "coin/base/mem.h"
#include "coin/crypto/sha256.h"

#define BASE58_BYTES_MAX 1024 /* the conversion is quadratic; nothing real is longer than 120 */

static const char digits[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

bool base58_encode(struct buf *out, struct span bytes)
{
    uint8_t d[BASE58_BYTES_MAX * 2];
    size_t zeroes = 0, count = 0;
    if (bytes.size_b > BASE58_BYTES_MAX)
        return false;
    while (zeroes < bytes.size_b && bytes.data[zeroes] == 0)
        zeroes++;
    for (size_t i = zeroes; i < bytes.size_b; i++) {
        uint32_t carry = bytes.data[i];
        for (size_t j = 0; j < count; j++) {
            carry += (uint32_t)d[j] << 8;
            d[j] = (uint8_t)(carry % 58);
            carry /= 58;
        }
        for (; carry > 0; carry /= 58)
            d[count++] = (uint8_t)(carry % 58);
    }
    for (size_t i = 0; i < zeroes; i++)
        buf_put_u8(out, '1');
    for (size_t i = count; i > 0; i--)
        buf_put_u8(out, (uint8_t)digits[d[i - 1]]);
    mem_wipe(d, count); /* it may have been a private key */
    return !out->failed;
}

bool base58_decode(struct buf *out, struct span text)
{
    uint8_t b[BASE58_BYTES_MAX * 2];
    size_t zeroes = 0, count = 0;
    if (text.size_b > BASE58_BYTES_MAX)
        return false;
    while (zeroes < text.size_b && text.data[zeroes] == '1')
        zeroes++;
    for (size_t i = zeroes; i < text.size_b; i++) {
        const char *at = text.data[i] != 0 ? strchr(digits, text.data[i]) : NULL;
        if (at == NULL) {
            mem_wipe(b, count);
            return false;
        }
        uint32_t carry = (uint32_t)(at - digits);
        for (size_t j = 0; j < count; j++) {
            carry += (uint32_t)b[j] * 58;
            b[j] = (uint8_t)carry;
            carry >>= 8;
        }
        for (; carry > 0; carry >>= 8)
            b[count++] = (uint8_t)carry;
    }
    for (size_t i = 0; i < zeroes; i++)
        buf_put_u8(out, 0);
    for (size_t i = count; i > 0; i--)
        buf_put_u8(out, b[i - 1]);
    mem_wipe(b, count);
    return !out->failed;
}

bool base58check_encode(struct buf *out, struct span bytes)
{
    uint8_t hash[32];
    struct buf with;
    buf_init(&with, BASE58_BYTES_MAX);
    sha256d(hash, bytes.data, bytes.size_b);
    buf_put(&with, bytes.data, bytes.size_b);
    buf_put(&with, hash, 4);
    bool ok = !with.failed && base58_encode(out, buf_span(&with));
    if (with.data != NULL)
        mem_wipe(with.data, with.size_b);
    buf_clear(&with);
    return ok;
}

bool base58check_decode(struct buf *out, struct span text)
{
    uint8_t hash[32];
    size_t start = out->size_b;
    if (!base58_decode(out, text) || out->size_b - start < 4)
        return false;
    size_t size_b = out->size_b - start - 4;
    sha256d(hash, out->data + start, size_b);
    if (memcmp(hash, out->data + start + size_b, 4) != 0)
        return false;
    out->size_b -= 4;
    return true;
}
