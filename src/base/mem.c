/* Memory. The only file that calls the C allocator. What an outsider sizes may fail and says so;
 * what we size ourselves exits loudly, which is safe because the disk is valid at every instant.
 * An arena is a list of chunks that double up to a ceiling, newest first; a request larger than a
 * chunk gets one of its own behind the newest, so that the newest's free room is not lost.
 * Invariant: every byte handed out is zero and 8-byte aligned. */
#include "coin/base/mem.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_CHUNK_MIN_B 256u
#define ARENA_CHUNK_MAX_B (256u * 1024u)
#define ALIGN_B 8u

struct arena_chunk {
    struct arena_chunk *next;
    size_t size_b, used_b; /* of data */
    uint64_t data[];
};

/* Counts down; the allocation that takes it from 1 to 0 fails. Atomic because jobs allocate as
 * well. */
static atomic_uint fail_countdown;

static bool must_fail(void);
static struct arena_chunk *arena_chunk_new(struct arena *arena, size_t need_b);

void *mem_new(size_t size_b)
{
    void *memory = calloc(1, size_b > 0 ? size_b : 1);
    if (memory == NULL) {
        fprintf(stderr, "Error: out of memory: %zu bytes for a structure of our own\n", size_b);
        _Exit(MEM_EXIT_STATUS);
    }
    return memory;
}

void *mem_try_new(size_t size_b)
{
    return mem_try_array(1, size_b);
}

void *mem_try_array(size_t count, size_t size_b)
{
    size_t total_b;
    if (__builtin_mul_overflow(count, size_b, &total_b) || total_b > SIZE_MAX / 2 || must_fail())
        return NULL;
    return calloc(1, total_b > 0 ? total_b : 1);
}

bool mem_try_grow(void *array, uint32_t *capacity, uint32_t want, uint32_t limit, size_t size_b)
{
    if (want > limit)
        return false;
    if (want <= *capacity)
        return true;
    uint64_t next = *capacity < 4 ? 4 : (uint64_t)*capacity * 2;
    if (next < want)
        next = want;
    if (next > limit)
        next = limit;
    size_t total_b;
    if (__builtin_mul_overflow((size_t)next, size_b, &total_b) || total_b > SIZE_MAX / 2 || must_fail())
        return false;
    uint8_t *old;
    memcpy(&old, array, sizeof old);
    uint8_t *grown = realloc(old, total_b > 0 ? total_b : 1);
    if (grown == NULL)
        return false;
    size_t before_b = (size_t)*capacity * size_b;
    memset(grown + before_b, 0, total_b - before_b);
    memcpy(array, &grown, sizeof grown);
    *capacity = (uint32_t)next;
    return true;
}

void *mem_try_resize(void *memory, size_t size_b)
{
    if (size_b > SIZE_MAX / 2 || must_fail())
        return NULL;
    return realloc(memory, size_b > 0 ? size_b : 1);
}

void mem_free(void *memory)
{
    free(memory);
}

void mem_wipe(void *memory, size_t size_b)
{
    if (size_b > 0)
        explicit_bzero(memory, size_b);
}

bool mem_equal_secret(const void *a, const void *b, size_t size_b)
{
    const volatile uint8_t *x = a, *y = b;
    unsigned difference = 0;
    for (size_t i = 0; i < size_b; i++)
        difference |= (unsigned)(x[i] ^ y[i]);
    return difference == 0;
}

char *mem_text(const char *text)
{
    size_t size_b = strlen(text) + 1;
    char *copy = mem_new(size_b);
    memcpy(copy, text, size_b);
    return copy;
}

void mem_fail_nth(uint32_t nth)
{
    atomic_store(&fail_countdown, nth);
}

void arena_init(struct arena *arena, size_t limit_b)
{
    memset(arena, 0, sizeof *arena);
    arena->limit_b = limit_b;
}

void arena_clear(struct arena *arena)
{
    for (struct arena_chunk *chunk = arena->chunks, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    arena->chunks = NULL;
    arena->used_b = 0;
}

void *arena_new(struct arena *arena, size_t size_b)
{
    if (size_b > SIZE_MAX / 4)
        return NULL;
    size_t need_b = size_b > 0 ? (size_b + ALIGN_B - 1) & ~(size_t)(ALIGN_B - 1) : ALIGN_B;
    if (arena->limit_b != 0 &&
        (need_b > arena->limit_b || arena->used_b > arena->limit_b - need_b))
        return NULL;
    struct arena_chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->size_b - chunk->used_b < need_b) {
        chunk = arena_chunk_new(arena, need_b);
        if (chunk == NULL)
            return NULL;
    }
    void *memory = (uint8_t *)chunk->data + chunk->used_b;
    chunk->used_b += need_b;
    arena->used_b += need_b;
    return memory;
}

void *arena_array(struct arena *arena, size_t count, size_t size_b)
{
    size_t total_b;
    if (__builtin_mul_overflow(count, size_b, &total_b))
        return NULL;
    return arena_new(arena, total_b);
}

char *arena_text(struct arena *arena, const char *text, size_t length)
{
    if (length == SIZE_MAX)
        return NULL;
    char *copy = arena_new(arena, length + 1);
    if (copy != NULL && length > 0)
        memcpy(copy, text, length);
    return copy;
}

size_t arena_size_b(const struct arena *arena)
{
    size_t total_b = 0;
    for (const struct arena_chunk *chunk = arena->chunks; chunk != NULL; chunk = chunk->next)
        total_b += sizeof *chunk + chunk->size_b;
    return total_b;
}

static bool must_fail(void)
{
    unsigned left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    while (left > 0) {
        if (atomic_compare_exchange_weak(&fail_countdown, &left, left - 1))
            return left == 1;
    }
    return false;
}

static struct arena_chunk *arena_chunk_new(struct arena *arena, size_t need_b)
{
    /* As much again as was used so far: few chunks for large messages, little waste for small
     * ones. */
    size_t size_b = arena->used_b;
    if (size_b < ARENA_CHUNK_MIN_B)
        size_b = ARENA_CHUNK_MIN_B;
    if (size_b > ARENA_CHUNK_MAX_B)
        size_b = ARENA_CHUNK_MAX_B;
    size_b = (size_b + ALIGN_B - 1) & ~(size_t)(ALIGN_B - 1);
    bool own = need_b > size_b / 2; /* large ones get exactly their size */
    if (own)
        size_b = need_b;
    struct arena_chunk *chunk = mem_try_new(sizeof *chunk + size_b);
    if (chunk == NULL)
        return NULL;
    chunk->size_b = size_b;
    if (own && arena->chunks != NULL) {
        chunk->next = arena->chunks->next;
        arena->chunks->next = chunk;
    } else {
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    return chunk;
}
