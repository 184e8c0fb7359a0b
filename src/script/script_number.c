/* script_number.c - the stack's numbers. The encoding is sign and magnitude, so zero has several forms
 * (empty, 80, 0080); results always take the shortest, and MINIMALDATA asks the same of operands. */
#include "script_number.h"

bool script_number_decode(int64_t *out, struct span bytes, bool minimal, size_t max_b)
{
    *out = 0;
    if (bytes.size_b > max_b)
        return false;
    if (minimal && bytes.size_b > 0 && (bytes.data[bytes.size_b - 1] & 0x7f) == 0) {
        /* A last byte of only a sign is allowed when the byte before needs its own top bit. */
        if (bytes.size_b == 1 || (bytes.data[bytes.size_b - 2] & 0x80) == 0)
            return false;
    }
    *out = script_number_read(bytes);
    return true;
}

int64_t script_number_read(struct span bytes)
{
    uint64_t n = 0;
    if (bytes.size_b == 0 || bytes.size_b > 8)
        return 0;
    for (size_t i = 0; i < bytes.size_b; i++)
        n |= (uint64_t)bytes.data[i] << (8 * i);
    uint64_t sign = UINT64_C(0x80) << (8 * (bytes.size_b - 1));
    return n & sign ? -(int64_t)(n & ~sign) : (int64_t)n;
}

size_t script_number_encode(uint8_t out[SCRIPT_NUMBER_SIZE_B], int64_t n)
{
    size_t size_b = 0;
    uint64_t magnitude = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    while (magnitude > 0) {
        out[size_b++] = (uint8_t)(magnitude & 0xff);
        magnitude >>= 8;
    }
    if (size_b == 0)
        return 0;
    if (out[size_b - 1] & 0x80)
        out[size_b++] = (uint8_t)(n < 0 ? 0x80 : 0);
    else if (n < 0)
        out[size_b - 1] = (uint8_t)(out[size_b - 1] | 0x80);
    return size_b;
}
