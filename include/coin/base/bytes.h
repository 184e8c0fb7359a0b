/* bytes.h - views, owned buffers and cursors over bytes.
 * struct span is a view, valid until its owner changes. struct buf owns and is born with its ceiling.
 * struct reader is sticky: after the first short read it returns zeroes and remembers, so a decoder
 * reads straight through and asks once. Integers on the wire are little-endian unless "be".
 * Thread: any; each object belongs to one thread at a time. */
#ifndef COIN_BASE_BYTES_H
#define COIN_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "coin/base/fail.h"

struct span {
    const uint8_t *data;
    size_t size_b;
};

struct span span_of(const void *data, size_t size_b);
struct span span_text(const char *text);
bool span_equal(struct span a, struct span b);
bool span_is(struct span a, const char *text);

/* ---- buf ---- */
struct buf {
    uint8_t *data;
    size_t size_b, capacity_b, limit_b;
    bool failed; /* a write did not fit: nothing more is written; ask buf_ok once at the end */
};

void buf_init(struct buf *buf, size_t limit_b);
void buf_clear(struct buf *buf); /* frees; the limit stays */
bool buf_ok(const struct buf *buf, const char *what, struct fail *why) MUST_USE;
/* Room for size_b more bytes; NULL when over the limit or out of memory (buf->failed is set). Does not
 * advance size_b. */
uint8_t *buf_reserve(struct buf *buf, size_t size_b);
void buf_put(struct buf *buf, const void *data, size_t size_b);
void buf_put_text(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_put_u8(struct buf *buf, uint8_t v);
void buf_put_u16le(struct buf *buf, uint16_t v);
void buf_put_u16be(struct buf *buf, uint16_t v);
void buf_put_u32le(struct buf *buf, uint32_t v);
void buf_put_u32be(struct buf *buf, uint32_t v);
void buf_put_u64le(struct buf *buf, uint64_t v);
void buf_put_i32le(struct buf *buf, int32_t v);
void buf_put_i64le(struct buf *buf, int64_t v);
void buf_put_count(struct buf *buf, uint64_t v);                 /* compact size */
void buf_put_string(struct buf *buf, struct span bytes);         /* compact size, then bytes */
void buf_put_hex(struct buf *buf, const void *data, size_t size_b);
void buf_remove_front(struct buf *buf, size_t size_b);
struct span buf_span(const struct buf *buf);
/* Moves the bytes to *to (cleared first); from is left empty with its limit. */
void buf_move(struct buf *to, struct buf *from);

/* ---- reader ---- */
struct reader {
    const uint8_t *at, *end;
    bool failed;           /* short, non-canonical or over a bound */
    const char *complaint; /* static text: what was wrong first */
};

void rd_init(struct reader *r, struct span bytes);
size_t rd_left(const struct reader *r);
uint8_t rd_u8(struct reader *r);
uint16_t rd_u16le(struct reader *r);
uint16_t rd_u16be(struct reader *r);
uint32_t rd_u32le(struct reader *r);
uint32_t rd_u32be(struct reader *r);
uint64_t rd_u64le(struct reader *r);
int32_t rd_i32le(struct reader *r);
int64_t rd_i64le(struct reader *r);
/* A compact size: canonical (shortest form), at most max. */
uint64_t rd_compact(struct reader *r, uint64_t max);
/* A compact size that counts elements of at least element_size_b bytes each: canonical, at most max,
 * and covered by the bytes that are left, so memory is bounded by input. */
uint32_t rd_count(struct reader *r, size_t element_size_b, uint32_t max);
void rd_copy(struct reader *r, void *out, size_t size_b); /* zeroes when short */
struct span rd_bytes(struct reader *r, size_t size_b);    /* a view; empty when short */
struct span rd_string(struct reader *r, size_t max_b);    /* compact size, then that many bytes */
void rd_fail(struct reader *r, const char *complaint);    /* static text */
/* rd_ok tolerates trailing bytes (peers may extend messages), rd_done does not. FAIL_PROTOCOL. */
bool rd_ok(const struct reader *r, const char *what, struct fail *why) MUST_USE;
bool rd_done(const struct reader *r, const char *what, struct fail *why) MUST_USE;

/* ---- plain access to memory, no bounds ---- */
uint32_t get_u32le(const uint8_t *p);
uint32_t get_u32be(const uint8_t *p);
uint64_t get_u64le(const uint8_t *p);
void put_u32le(uint8_t *p, uint32_t v);
void put_u32be(uint8_t *p, uint32_t v);
void put_u64le(uint8_t *p, uint64_t v);

/* ---- hex ---- */
/* out has 2 * size_b + 1 bytes; lower case, NUL at the end. */
void hex_encode(char *out, const void *data, size_t size_b);
/* Exactly size_b bytes from 2 * size_b hex digits. */
bool hex_decode(uint8_t *out, size_t size_b, struct span hex) MUST_USE;
bool hex_to_buf(struct buf *out, struct span hex) MUST_USE; /* even length, hex only, within the limit */

/* ---- UTF-8 ---- */
/* Behind the character that starts at `at` (at < end); NULL when it is overlong, a surrogate, beyond
 * U+10FFFF, cut, or no start (Unicode 15, table 3-7). */
const uint8_t *utf8_next(const uint8_t *at, const uint8_t *end);

/* ---- narrowing, checked (FAIL_INVALID, code "out-of-range") ---- */
bool to_u32(uint32_t *out, uint64_t v, struct fail *why) MUST_USE;
bool to_i32(int32_t *out, int64_t v, struct fail *why) MUST_USE;

#endif
