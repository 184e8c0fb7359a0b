/* Bytes: views, owned buffers, the sticky reader, hex. A buffer doubles up to its limit, so
 * appending is linear in all; once a write did not fit, nothing more is written, and the one
 * question at the end tells. A reader that failed stands at its end, so that every later read is
 * short by itself and each read needs one comparison only. */
#include "coin/base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "coin/base/mem.h"

#define BUF_FIRST_B 64u

static const uint8_t *rd_take(struct reader *r, size_t size_b);
static int hex_digit(uint8_t c);

struct span span_of(const void *data, size_t size_b)
{
    return (struct span){ data, size_b };
}

struct span span_text(const char *text)
{
    return (struct span){ (const uint8_t *)text, text != NULL ? strlen(text) : 0 };
}

bool span_equal(struct span a, struct span b)
{
    return a.size_b == b.size_b && (a.size_b == 0 || memcmp(a.data, b.data, a.size_b) == 0);
}

bool span_is(struct span a, const char *text)
{
    return span_equal(a, span_text(text));
}

/* ---- buf ---- */

void buf_init(struct buf *buf, size_t limit_b)
{
    memset(buf, 0, sizeof *buf);
    buf->limit_b = limit_b;
}

void buf_clear(struct buf *buf)
{
    mem_free(buf->data);
    buf_init(buf, buf->limit_b);
}

bool buf_ok(const struct buf *buf, const char *what, struct fail *why)
{
    if (!buf->failed)
        return true;
    return fail_set(why, FAIL_NO_ROOM, "no-room", "%s: no room for more than %zu bytes (at most %zu)",
        what, buf->size_b, buf->limit_b);
}

uint8_t *buf_reserve(struct buf *buf, size_t size_b)
{
    if (buf->failed)
        return NULL;
    if (size_b <= buf->capacity_b - buf->size_b && buf->data != NULL)
        return buf->data + buf->size_b;
    if (size_b > buf->limit_b - buf->size_b) {
        buf->failed = true;
        return NULL;
    }
    size_t want_b = buf->size_b + size_b;
    size_t next_b = buf->capacity_b > buf->limit_b / 2 ? buf->limit_b : buf->capacity_b * 2;
    if (next_b < BUF_FIRST_B)
        next_b = BUF_FIRST_B;
    if (next_b < want_b)
        next_b = want_b;
    if (next_b > buf->limit_b)
        next_b = buf->limit_b;
    uint8_t *grown = mem_try_resize(buf->data, next_b);
    if (grown == NULL) {
        buf->failed = true;
        return NULL;
    }
    buf->data = grown;
    buf->capacity_b = next_b;
    return buf->data + buf->size_b;
}

void buf_put(struct buf *buf, const void *data, size_t size_b)
{
    uint8_t *room = buf_reserve(buf, size_b);
    if (room == NULL || size_b == 0)
        return;
    memcpy(room, data, size_b);
    buf->size_b += size_b;
}

void buf_put_text(struct buf *buf, const char *text)
{
    buf_put(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    char text[256];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(text, sizeof text, format, args);
    if (length < 0) {
        buf->failed = true;
    } else if ((size_t)length < sizeof text) {
        buf_put(buf, text, (size_t)length);
    } else {
        /* One byte more for the NUL that vsnprintf insists on; it is not kept. */
        uint8_t *room = buf_reserve(buf, (size_t)length + 1);
        if (room != NULL) {
            vsnprintf((char *)room, (size_t)length + 1, format, again);
            buf->size_b += (size_t)length;
        }
    }
    va_end(again);
    va_end(args);
}

void buf_put_u8(struct buf *buf, uint8_t v)
{
    buf_put(buf, &v, 1);
}

void buf_put_u16le(struct buf *buf, uint16_t v)
{
    uint8_t bytes[2] = { (uint8_t)v, (uint8_t)(v >> 8) };
    buf_put(buf, bytes, sizeof bytes);
}

void buf_put_u16be(struct buf *buf, uint16_t v)
{
    uint8_t bytes[2] = { (uint8_t)(v >> 8), (uint8_t)v };
    buf_put(buf, bytes, sizeof bytes);
}

void buf_put_u32le(struct buf *buf, uint32_t v)
{
    uint8_t bytes[4];
    put_u32le(bytes, v);
    buf_put(buf, bytes, sizeof bytes);
}

void buf_put_u32be(struct buf *buf, uint32_t v)
{
    uint8_t bytes[4];
    put_u32be(bytes, v);
    buf_put(buf, bytes, sizeof bytes);
}

void buf_put_u64le(struct buf *buf, uint64_t v)
{
    uint8_t bytes[8];
    put_u64le(bytes, v);
    buf_put(buf, bytes, sizeof bytes);
}

void buf_put_i32le(struct buf *buf, int32_t v)
{
    buf_put_u32le(buf, (uint32_t)v);
}

void buf_put_i64le(struct buf *buf, int64_t v)
{
    buf_put_u64le(buf, (uint64_t)v);
}

void buf_put_count(struct buf *buf, uint64_t v)
{
    uint8_t bytes[9];
    size_t size_b;
    put_u64le(bytes + 1, v);
    if (v < 253) {
        bytes[0] = (uint8_t)v;
        size_b = 1;
    } else if (v <= UINT16_MAX) {
        bytes[0] = 253;
        size_b = 3;
    } else if (v <= UINT32_MAX) {
        bytes[0] = 254;
        size_b = 5;
    } else {
        bytes[0] = 255;
        size_b = 9;
    }
    buf_put(buf, bytes, size_b);
}

void buf_put_string(struct buf *buf, struct span bytes)
{
    buf_put_count(buf, bytes.size_b);
    buf_put(buf, bytes.data, bytes.size_b);
}

void buf_put_hex(struct buf *buf, const void *data, size_t size_b)
{
    static const char digits[] = "0123456789abcdef";
    if (size_b > SIZE_MAX / 4) {
        buf->failed = true;
        return;
    }
    uint8_t *room = buf_reserve(buf, size_b * 2);
    if (room == NULL)
        return;
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size_b; i++) {
        room[2 * i] = (uint8_t)digits[bytes[i] >> 4];
        room[2 * i + 1] = (uint8_t)digits[bytes[i] & 15];
    }
    buf->size_b += size_b * 2;
}

void buf_remove_front(struct buf *buf, size_t size_b)
{
    if (size_b >= buf->size_b) {
        buf->size_b = 0;
        return;
    }
    if (size_b == 0)
        return;
    memmove(buf->data, buf->data + size_b, buf->size_b - size_b);
    buf->size_b -= size_b;
}

struct span buf_span(const struct buf *buf)
{
    return (struct span){ buf->data, buf->size_b };
}

void buf_move(struct buf *to, struct buf *from)
{
    if (to == from)
        return;
    mem_free(to->data);
    *to = *from;
    buf_init(from, from->limit_b);
}

/* ---- reader ---- */

void rd_init(struct reader *r, struct span bytes)
{
    static const uint8_t nothing[1];
    r->at = bytes.data != NULL ? bytes.data : nothing;
    r->end = r->at + (bytes.data != NULL ? bytes.size_b : 0);
    r->failed = false;
    r->complaint = NULL;
}

size_t rd_left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

uint8_t rd_u8(struct reader *r)
{
    const uint8_t *p = rd_take(r, 1);
    return p != NULL ? p[0] : 0;
}

uint16_t rd_u16le(struct reader *r)
{
    const uint8_t *p = rd_take(r, 2);
    if (p == NULL)
        return 0;
    return (uint16_t)((unsigned)p[0] | (unsigned)p[1] << 8);
}

uint16_t rd_u16be(struct reader *r)
{
    const uint8_t *p = rd_take(r, 2);
    if (p == NULL)
        return 0;
    return (uint16_t)((unsigned)p[0] << 8 | (unsigned)p[1]);
}

uint32_t rd_u32le(struct reader *r)
{
    const uint8_t *p = rd_take(r, 4);
    return p != NULL ? get_u32le(p) : 0;
}

uint32_t rd_u32be(struct reader *r)
{
    const uint8_t *p = rd_take(r, 4);
    return p != NULL ? get_u32be(p) : 0;
}

uint64_t rd_u64le(struct reader *r)
{
    const uint8_t *p = rd_take(r, 8);
    return p != NULL ? get_u64le(p) : 0;
}

int32_t rd_i32le(struct reader *r)
{
    return (int32_t)rd_u32le(r);
}

int64_t rd_i64le(struct reader *r)
{
    return (int64_t)rd_u64le(r);
}

uint64_t rd_compact(struct reader *r, uint64_t max)
{
    uint64_t v = rd_u8(r), least = 0;
    if (v == 253) {
        v = rd_u16le(r);
        least = 253;
    } else if (v == 254) {
        v = rd_u32le(r);
        least = (uint64_t)UINT16_MAX + 1;
    } else if (v == 255) {
        v = rd_u64le(r);
        least = (uint64_t)UINT32_MAX + 1;
    }
    if (r->failed)
        return 0;
    if (v < least) {
        rd_fail(r, "non-canonical compact size");
        return 0;
    }
    if (v > max) {
        rd_fail(r, "compact size over its bound");
        return 0;
    }
    return v;
}

uint32_t rd_count(struct reader *r, size_t element_size_b, uint32_t max)
{
    uint64_t v = rd_compact(r, max);
    if (element_size_b > 0 && v > rd_left(r) / element_size_b) {
        rd_fail(r, "more elements announced than bytes are left");
        return 0;
    }
    return (uint32_t)v;
}

void rd_copy(struct reader *r, void *out, size_t size_b)
{
    if (size_b == 0)
        return;
    const uint8_t *p = rd_take(r, size_b);
    if (p != NULL)
        memcpy(out, p, size_b);
    else
        memset(out, 0, size_b);
}

struct span rd_bytes(struct reader *r, size_t size_b)
{
    const uint8_t *p = rd_take(r, size_b);
    if (p == NULL)
        return (struct span){ r->end, 0 };
    return (struct span){ p, size_b };
}

struct span rd_string(struct reader *r, size_t max_b)
{
    uint64_t size_b = rd_compact(r, max_b);
    if (size_b > rd_left(r)) {
        rd_fail(r, "short");
        size_b = 0;
    }
    return rd_bytes(r, (size_t)size_b);
}

void rd_fail(struct reader *r, const char *complaint)
{
    if (!r->failed)
        r->complaint = complaint;
    r->failed = true;
    r->at = r->end;
}

bool rd_ok(const struct reader *r, const char *what, struct fail *why)
{
    if (!r->failed)
        return true;
    return fail_set(why, FAIL_PROTOCOL, "decode-failed", "%s: %s", what, r->complaint);
}

bool rd_done(const struct reader *r, const char *what, struct fail *why)
{
    if (!rd_ok(r, what, why))
        return false;
    if (r->at == r->end)
        return true;
    return fail_set(why, FAIL_PROTOCOL, "decode-failed", "%s: %zu bytes too many", what, rd_left(r));
}

/* ---- plain access ---- */

uint32_t get_u32le(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t get_u32be(const uint8_t *p)
{
    return (uint32_t)p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[0] << 24;
}

uint64_t get_u64le(const uint8_t *p)
{
    return (uint64_t)get_u32le(p) | (uint64_t)get_u32le(p + 4) << 32;
}

void put_u32le(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

void put_u32be(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

void put_u64le(uint8_t *p, uint64_t v)
{
    put_u32le(p, (uint32_t)v);
    put_u32le(p + 4, (uint32_t)(v >> 32));
}

/* ---- hex ---- */

void hex_encode(char *out, const void *data, size_t size_b)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size_b; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * size_b] = '\0';
}

bool hex_decode(uint8_t *out, size_t size_b, struct span hex)
{
    if (hex.size_b / 2 != size_b || hex.size_b % 2 != 0)
        return false;
    int wrong = 0;
    for (size_t i = 0; i < size_b; i++) {
        int high = hex_digit(hex.data[2 * i]), low = hex_digit(hex.data[2 * i + 1]);
        wrong |= high | low; /* negative as soon as one was */
        out[i] = (uint8_t)((unsigned)high << 4 | ((unsigned)low & 15u));
    }
    return wrong >= 0;
}

bool hex_to_buf(struct buf *out, struct span hex)
{
    uint8_t *room = hex.size_b % 2 == 0 ? buf_reserve(out, hex.size_b / 2) : NULL;
    if (room == NULL || !hex_decode(room, hex.size_b / 2, hex))
        return false;
    out->size_b += hex.size_b / 2;
    return true;
}

/* ---- UTF-8 ---- */

const uint8_t *utf8_next(const uint8_t *at, const uint8_t *end)
{
    uint8_t c = *at;
    if (c < 0x80)
        return at + 1;
    size_t more = c >= 0xc2 && c <= 0xdf ? 1 : (c & 0xf0) == 0xe0 ? 2 : c >= 0xf0 && c <= 0xf4 ? 3 : 0;
    if (more == 0 || (size_t)(end - at) <= more)
        return NULL;
    uint8_t least = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    uint8_t most = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < least || at[1] > most)
        return NULL;
    for (size_t i = 2; i <= more; i++)
        if ((at[i] & 0xc0) != 0x80)
            return NULL;
    return at + more + 1;
}

/* ---- narrowing ---- */

bool to_u32(uint32_t *out, uint64_t v, struct fail *why)
{
    if (v > UINT32_MAX)
        return fail_set(why, FAIL_INVALID, "out-of-range", "%llu does not fit 32 bits",
            (unsigned long long)v);
    *out = (uint32_t)v;
    return true;
}

bool to_i32(int32_t *out, int64_t v, struct fail *why)
{
    if (v > INT32_MAX || v < INT32_MIN)
        return fail_set(why, FAIL_INVALID, "out-of-range", "%lld does not fit 32 bits", (long long)v);
    *out = (int32_t)v;
    return true;
}

static const uint8_t *rd_take(struct reader *r, size_t size_b)
{
    const uint8_t *p = r->at;
    if ((size_t)(r->end - p) < size_b) {
        rd_fail(r, "short");
        return NULL;
    }
    r->at = p + size_b;
    return p;
}

static int hex_digit(uint8_t c)
{
    /* One more than the digit's value, so that what is not listed reads as "no digit". */
    static const uint8_t values[256] = {
        ['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8,
        ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
        ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
    };
    return (int)values[c] - 1;
}
