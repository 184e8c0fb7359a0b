/* Measures the store with rows like coins under different settings: what the defaults of kv_leveldb.c rest on.
 * Flushes of sorted rows, each followed by as many that delete half of the ones before; then single look-ups of rows
 * that are there and of others, with a small cache, so that most of them go to the files.
 *     bench_kv [ROWS] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/ledger/codec.h"
#include "../sim/real.h"
#include "coin/base/mem.h"
#include "coin/ledger/kv.h"

#define ROWS 600000
#define FLUSHES 6
#define LOOKUPS 40000
#define CACHE_B ((size_t)2 << 20)
#define BATCH_MAX_B ((size_t)1 << 30)

static void must(bool ok, const struct fail *why)
{
    if (ok)
        return;
    fprintf(stderr, "bench_kv: %s\n", why->detail);
    exit(1);
}

static uint64_t mix(uint64_t n)
{
    struct sim_random random = {.state = n};
    return sim_random_next(&random);
}

static struct outpoint outpoint_of(uint32_t n)
{
    struct outpoint o = {.index = (uint32_t)(mix(n) % 4)};
    for (int i = 0; i < 4; i++)
        put_u64le(o.txid.b + 8 * i, mix((uint64_t)n * 4 + (uint64_t)i));
    return o;
}

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct txid));
}

/* Rows first..end in the order of keys; every second of the earlier ones goes. */
static void flush(struct kv *kv, uint32_t first, uint32_t end)
{
    struct fail why;
    struct kv_batch batch;
    uint8_t key[COIN_KEY_MAX_B], script[22] = {0, 20};
    struct buf row;
    struct outpoint *order = mem_try_array(end - first, sizeof *order);
    must(order != NULL || fail_oom(&why, "rows"), &why);
    kv_batch_init(&batch, BATCH_MAX_B);
    buf_init(&row, 1000);
    for (uint32_t i = first; i < end; i++)
        order[i - first] = outpoint_of(i);
    qsort(order, end - first, sizeof *order, by_key);
    for (uint32_t i = 0; i < end - first; i++) {
        struct coin coin = {.value_sat = (int64_t)(mix(i) >> 30), .height = (int32_t)(mix(i) % 900000)};
        for (int k = 0; k < 2; k++) /* random, as in life */
            put_u64le(script + 2 + 8 * k, mix((uint64_t)(first + i) * 31 + (uint64_t)k + 5));
        put_u32le(script + 18, (uint32_t)mix((uint64_t)(first + i) * 31 + 9));
        coin.script = span_of(script, sizeof script);
        row.size_b = 0;
        coin_pack(&row, &coin);
        kv_batch_put(&batch, span_of(key, coin_key(key, &order[i])), buf_span(&row));
    }
    for (uint32_t i = first > end - first ? first - (end - first) : 0; i < first; i += 2) {
        struct outpoint o = outpoint_of(i);
        kv_batch_delete(&batch, span_of(key, coin_key(key, &o)));
    }
    must(kv_write(kv, &batch, true, &why), &why);
    kv_batch_clear(&batch);
    buf_clear(&row);
    mem_free(order);
}

static double look_up(struct kv *kv, uint32_t first, uint32_t count, bool there)
{
    struct fail why;
    struct buf row;
    uint8_t key[COIN_KEY_MAX_B];
    bool found = false;
    buf_init(&row, 1000);
    double begin_s = real_now_s();
    for (uint32_t i = 0; i < LOOKUPS; i++) {
        struct outpoint o = outpoint_of(first + (uint32_t)((uint64_t)i * 7919 % count));
        row.size_b = 0;
        must(kv_get(kv, span_of(key, coin_key(key, &o)), &row, &found, &why), &why);
        must(found == there || fail_set(&why, FAIL_LOCAL, "bench", "a wrong answer"), &why);
    }
    double took_s = real_now_s() - begin_s;
    buf_clear(&row);
    return took_s / LOOKUPS * 1e6;
}

static void measure(struct real *real, uint32_t rows, const char *name, const struct kv_options *options)
{
    struct fail why;
    char path[128];
    static int number;
    snprintf(path, sizeof path, "%s/kv%d", real->folder, number++);
    struct kv *kv = kv_leveldb_open(NULL, path, options, &why);
    must(kv != NULL, &why);
    double begin_s = real_now_s();
    for (uint32_t f = 0; f < FLUSHES; f++)
        flush(kv, rows / FLUSHES * f, rows / FLUSHES * (f + 1));
    double write_s = real_now_s() - begin_s;
    kv_close(kv); /* waits for the compaction under way */
    double closed_s = real_now_s() - begin_s;
    kv = kv_leveldb_open(NULL, path, options, &why);
    must(kv != NULL, &why);
    uint32_t last = rows / FLUSHES * (FLUSHES - 1);
    double there_us = look_up(kv, last, rows / FLUSHES, true), absent_us = look_up(kv, rows, rows, false);
    printf("kv %-34s %9.0f rows/s  %9.0f with its end  %6.1f MiB  there %5.2f us  absent %5.2f us\n", name,
        rows / write_s, rows / closed_s, (double)kv->ops->size_b(kv) / (1 << 20), there_us, absent_us);
    kv_close(kv);
}

int main(int argc, char **argv)
{
    uint32_t rows = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : ROWS;
    static const struct {
        const char *name;
        struct kv_options options;
    } settings[] = {
        {"as it is", {.write_buffer_b = 4u << 20}},
        {"files of 2 MiB", {.write_buffer_b = 4u << 20, .file_b = 2u << 20}},
        {"bloom 4", {.write_buffer_b = 4u << 20, .bloom_bits = 4}},
        {"bloom 14", {.write_buffer_b = 4u << 20, .bloom_bits = 14}},
        {"blocks of 1 KiB", {.write_buffer_b = 4u << 20, .block_b = 1u << 10}},
        {"blocks of 16 KiB", {.write_buffer_b = 4u << 20, .block_b = 16u << 10}},
        {"write buffer 1 MiB", {.write_buffer_b = 1u << 20}},
        {"write buffer 16 MiB", {.write_buffer_b = 16u << 20}},
        {"files of 32 MiB, buffer 16", {.write_buffer_b = 16u << 20, .file_b = 32u << 20}},
        {"compressed", {.write_buffer_b = 4u << 20, .compress = true}},
    };
    struct real real;
    real_open(&real, 1);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct kv_options options = settings[i].options;
        options.cache_b = CACHE_B;
        measure(&real, rows, settings[i].name, &options);
    }
    real_close(&real);
    return 0;
}
