/* mem.h - memory, in three kinds.
 * mem_try_*: for sizes that an outsider chooses; may return NULL, the caller says FAIL_NO_ROOM.
 * mem_new:   for our own small, fixed structs; never NULL: says what it wanted, exits with status 70.
 * arena:     many small things of one lifetime, released at once.
 * All memory is zeroed. Thread: any; an arena belongs to one thread at a time. */
#ifndef COIN_BASE_MEM_H
#define COIN_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

#include "coin/base/fail.h"

#define MEM_EXIT_STATUS 70

void *mem_new(size_t size_b) MUST_USE;
void *mem_try_new(size_t size_b) MUST_USE;
/* count * size_b with the overflow checked; NULL as well when it would exceed half the address space. */
void *mem_try_array(size_t count, size_t size_b) MUST_USE;
/* Makes room for `want` elements, doubling; false leaves the array as it was. New room is zeroed.
 * limit: elements; want > limit fails. *array is void** in disguise: pass &pointer. */
bool mem_try_grow(void *array, uint32_t *capacity, uint32_t want, uint32_t limit, size_t size_b) MUST_USE;
/* For buffers: memory (may be NULL) at a new size, its bytes kept up to the smaller of both sizes. NULL:
 * memory is as it was. New room is not zeroed: a buffer's bytes count from when they are written. */
void *mem_try_resize(void *memory, size_t size_b) MUST_USE;
void mem_free(void *memory);
/* Overwrites in a way the compiler may not drop. */
void mem_wipe(void *memory, size_t size_b);
/* true when equal; the time taken depends on size_b only. */
bool mem_equal_secret(const void *a, const void *b, size_t size_b);
char *mem_text(const char *text) MUST_USE; /* a copy of a short string of our own; never NULL */

/* Tests only: the nth mem_try_* from now fails (0: none). */
void mem_fail_nth(uint32_t nth);

/* ---- arena ---- */
struct arena_chunk;
struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t used_b, limit_b;     /* bytes handed out; ceiling, 0 = none */
};

void arena_init(struct arena *arena, size_t limit_b);
void arena_clear(struct arena *arena); /* frees all; the arena may be used again */
/* 8-byte aligned, zeroed; NULL when the limit or memory is exhausted. size 0 gives a valid pointer. */
void *arena_new(struct arena *arena, size_t size_b) MUST_USE;
void *arena_array(struct arena *arena, size_t count, size_t size_b) MUST_USE;
char *arena_text(struct arena *arena, const char *text, size_t length) MUST_USE; /* NUL added */
/* Bytes the arena holds from the system, chunk headers included. */
size_t arena_size_b(const struct arena *arena);

#endif
