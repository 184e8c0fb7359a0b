/* Measures the ledger on a real disk with real threads: prebuilt blocks offered until they are connected
 * (nearly empty ones; ones that spend many coins without signatures; signed ones, with their verdicts unknown
 * and known), the flush, and looking coins up. Where a bare library does the same work, LevelDB or
 * libsecp256k1, it is measured in the same run and the ratio is given. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/ledger/codec.h"
#include "../sim/history.h"
#include "../sim/maker.h"
#include "../sim/real.h"
#include "coin/base/mem.h"
#include "coin/crypto/secp.h"
#include "coin/ledger/ledger.h"
#include "coin/script/script.h"

#define SMALL_BLOCKS 5000
#define UTXO_BLOCKS 60
#define UTXO_TXS 2000 /* per block: one input, two outputs */
#define SIGS_BLOCKS 12
#define SIGS_TXS 1500
#define LIMIT_S 600.0
#define LOOKUPS 20000
#define PER_REQUEST 200
#define DBCACHE_B ((size_t)450 << 20)

struct run {
    struct real real;
    struct chain *chain;
    struct ledger *ledger;
    bool stopped, flushed;
    uint32_t asked;
};

struct rows { /* the store's content, as LevelDB would take it */
    struct buf keys, values;
    struct outpoint *outpoints;
    uint32_t *key_ends, *value_ends;
    uint32_t count, capacity, key_capacity, value_capacity;
};

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench_ledger: %s failed\n", what);
    exit(1);
}

/* ---- a node's ledger ---- */
static void drain(struct run *run)
{
    struct ledger_effect effect;
    while (ledger_next_effect(run->ledger, &effect)) {
        if (effect.kind == LEDGER_FATAL)
            fprintf(stderr, "bench_ledger: %s\n", effect.why.detail);
        must(effect.kind != LEDGER_FATAL && effect.kind != LEDGER_INVALID, "connecting");
        block_unref(effect.block);
    }
}

static void ledger_begin(struct run *run)
{
    struct fail why;
    struct ledger_options options = {.dir = run->real.folder,
        .dbcache_b = DBCACHE_B,
        .workers = real_processors(),
        .xor_blocks = true,
        .tip_age_max_s = 86400,
        .check_blocks = 6,
        .check_level = 3};
    run->ledger = ledger_open(&run->real.env, run->chain, &options, &why);
    must(run->ledger != NULL, why.detail);
    ledger_start(run->ledger);
}

static void run_begin(struct run *run)
{
    struct fail why;
    memset(run, 0, sizeof *run);
    real_open(&run->real, 0);
    run->chain = chain_load("regtest", &why);
    must(run->chain != NULL, why.detail);
    ledger_begin(run);
}

static void on_stopped(void *ctx)
{
    ((struct run *)ctx)->stopped = true;
}

static bool is_stopped(void *ctx)
{
    drain(ctx);
    return ((struct run *)ctx)->stopped;
}

static void ledger_end(struct run *run)
{
    run->stopped = false;
    ledger_stop(run->ledger, on_stopped, run);
    must(real_run_until(&run->real, is_stopped, run, LIMIT_S), "the stop");
    ledger_free(run->ledger);
}

static void run_end(struct run *run)
{
    ledger_end(run);
    chain_free(run->chain);
    real_close(&run->real);
}

static bool is_settled(void *ctx)
{
    struct run *run = ctx;
    drain(run);
    return ledger_is_settled(run->ledger);
}

static void on_verdict(
    void *ctx, enum block_outcome outcome, struct block_index *index, const struct fail *why)
{
    (void)ctx;
    (void)outcome;
    (void)index;
    must(why->kind == FAIL_NONE, why->detail);
}

/* Seconds from the first offer to the last commit. */
static double connect_all(struct run *run, const struct history *history)
{
    double begin_s = real_now_s();
    for (uint32_t i = 0; i < history->count; i++) {
        struct buf raw;
        maker_raw(&raw, history->blocks[i]);
        while (!ledger_offer_block(
            run->ledger, &raw, true, (struct block_verdict){on_verdict, run})) {
            real_step(&run->real);
            drain(run);
        }
        buf_clear(&raw);
    }
    must(real_run_until(&run->real, is_settled, run, LIMIT_S), "settling");
    must(ledger_tip(run->ledger)->height == (int32_t)history->count, "reaching the end");
    return real_now_s() - begin_s;
}

static void show(const char *name, const struct history *history, double took_s)
{
    printf("ledger %-26s %7.0f blocks/s, %8.0f inputs/s (%u blocks, %llu inputs, %.2f s)\n", name,
        history->count / took_s, (double)history->inputs / took_s, history->count,
        (unsigned long long)history->inputs, took_s);
}

/* ---- signatures ---- */
struct raw_work { /* a block's signatures, of messages that they do not sign, which takes as long */
    struct job job;
    const struct block *block;
    uint32_t first, count, good, *left;
};

static void raw_run(struct job *job)
{
    struct raw_work *work = (struct raw_work *)job;
    for (uint32_t t = work->first; t < work->first + work->count; t++) {
        const struct tx *tx = &work->block->txs[t];
        const struct tx_in *in = &tx->in[0];
        if (in->witness_count == 2)
            work->good += secp_ecdsa_verify(in->witness[1],
                span_of(in->witness[0].data, in->witness[0].size_b - 1), tx->txid.b);
        else if (in->witness_count == 1) /* it pays to its own key */
            work->good += secp_schnorr_verify(
                tx->out[0].script.data + 2, in->witness[0].data, span_of(tx->txid.b, sizeof tx->txid));
    }
}

static void raw_done(struct job *job)
{
    (*((struct raw_work *)job)->left)--;
}

static bool none_left(void *ctx)
{
    return *(uint32_t *)ctx == 0;
}

#define RAW_JOB 50 /* signatures; divides SIGS_TXS */
static double raw_verify_rate(struct run *run, const struct history *history)
{
    static struct raw_work works[SIGS_BLOCKS * SIGS_TXS / RAW_JOB];
    uint32_t jobs = 0, left = SIGS_BLOCKS * SIGS_TXS / RAW_JOB;
    double begin_s = real_now_s();
    for (uint32_t b = history->count - SIGS_BLOCKS; b < history->count; b++)
        for (uint32_t t = 1; t < history->blocks[b]->tx_count; t += RAW_JOB) {
            works[jobs] = (struct raw_work){
                .job = {.run = raw_run, .done = raw_done, .lane = JOB_VERIFY},
                .block = history->blocks[b],
                .first = t,
                .count = RAW_JOB,
                .left = &left};
            must(env_submit(&run->real.env, &works[jobs++].job), "submitting");
        }
    must(real_run_until(&run->real, none_left, &left, LIMIT_S), "verifying");
    return SIGS_BLOCKS * SIGS_TXS / (real_now_s() - begin_s);
}

static void measure_sigs(const struct chain *chain)
{
    struct history history = history_signed(chain, SIGS_BLOCKS, SIGS_TXS);
    for (int known = 0; known < 2; known++) {
        struct run run;
        run_begin(&run);
        for (uint32_t b = 0; known == 1 && b < history.count; b++)
            for (uint32_t t = 1; t < history.blocks[b]->tx_count; t++)
                ledger_verdict_add(run.ledger, &history.blocks[b]->txs[t].wtxid);
        double took_s = connect_all(&run, &history);
        show(known == 0 ? "signed, not seen before" : "signed, verdicts known", &history, took_s);
        if (known == 0) {
            double raw = raw_verify_rate(&run, &history);
            printf("    bare libsecp256k1 on all cores %.0f/s: ratio %.2f (goal 0.90)\n", raw,
                (double)history.inputs / took_s / raw);
        }
        run_end(&run);
    }
    history_free(&history);
}

/* ---- coins ---- */
struct gather {
    struct coins_scan scan;
    struct rows *rows;
    bool done;
};

static bool gather_each(
    struct coins_scan *scan, const struct outpoint *outpoint, const struct coin *coin)
{
    struct rows *rows = ((struct gather *)scan)->rows;
    uint8_t key[COIN_KEY_MAX_B];
    uint32_t want = rows->count + 1;
    must(mem_try_grow(&rows->outpoints, &rows->capacity, want, 1u << 24, sizeof *rows->outpoints) &&
             mem_try_grow(&rows->key_ends, &rows->key_capacity, want, 1u << 24, 4) &&
             mem_try_grow(&rows->value_ends, &rows->value_capacity, want, 1u << 24, 4),
        "memory");
    buf_put(&rows->keys, key, coin_key(key, outpoint));
    coin_pack(&rows->values, coin);
    rows->outpoints[rows->count] = *outpoint;
    rows->key_ends[rows->count] = (uint32_t)rows->keys.size_b;
    rows->value_ends[rows->count++] = (uint32_t)rows->values.size_b;
    return true;
}

static void gather_done(struct coins_scan *scan, const struct fail *why)
{
    must(why->kind == FAIL_NONE, why->detail);
    ((struct gather *)scan)->done = true;
}

static bool gather_is_done(void *ctx)
{
    return ((struct gather *)ctx)->done;
}

static struct span row_part(const struct buf *all, const uint32_t *ends, uint32_t i)
{
    uint32_t from = i == 0 ? 0 : ends[i - 1];
    return span_of(all->data + from, ends[i] - from);
}

static void on_flushed(void *ctx, const struct fail *why)
{
    must(why->kind == FAIL_NONE, why->detail);
    ((struct run *)ctx)->flushed = true;
}

static bool is_flushed(void *ctx)
{
    drain(ctx);
    return ((struct run *)ctx)->flushed;
}

static struct kv *raw_open(struct run *run)
{
    char path[96];
    struct fail why;
    struct kv_options options = {.cache_b = (size_t)56 << 20, .write_buffer_b = 4u << 20}; /* the ledger's */
    snprintf(path, sizeof path, "%s/raw", run->real.folder);
    struct kv *kv = kv_leveldb_open(NULL, path, &options, &why);
    must(kv != NULL, why.detail);
    return kv;
}

static double raw_put(struct run *run, const struct rows *rows)
{
    struct kv *kv = raw_open(run);
    struct fail why;
    double begin_s = real_now_s();
    struct kv_batch batch;
    kv_batch_init(&batch, (size_t)1 << 30);
    for (uint32_t i = 0; i < rows->count; i++)
        kv_batch_put(&batch, row_part(&rows->keys, rows->key_ends, i),
            row_part(&rows->values, rows->value_ends, i));
    must(kv_write(kv, &batch, true, &why), "LevelDB");
    double took_s = real_now_s() - begin_s;
    kv_batch_clear(&batch);
    kv_close(kv);
    return took_s;
}

static double raw_get(struct run *run, const struct rows *rows)
{
    struct kv *kv = raw_open(run);
    struct fail why;
    struct buf value;
    bool found = false;
    buf_init(&value, 1u << 20);
    double begin_s = real_now_s();
    for (uint32_t i = 0; i < LOOKUPS; i++) {
        value.size_b = 0;
        must(kv_get(kv, row_part(&rows->keys, rows->key_ends, (uint32_t)((uint64_t)i * 7919 % rows->count)),
                 &value, &found, &why) &&
                 found,
            "LevelDB");
    }
    double took_s = real_now_s() - begin_s;
    buf_clear(&value);
    kv_close(kv);
    return took_s;
}

struct ask {
    struct coins_request request;
    struct run *run;
    struct outpoint outpoints[PER_REQUEST];
    struct coin coins[PER_REQUEST];
    bool found[PER_REQUEST];
};

static void ask_done(struct coins_request *request, const struct fail *why)
{
    must(why->kind == FAIL_NONE, why->detail);
    ((struct ask *)request)->run->asked--;
}

static bool all_answered(void *ctx)
{
    drain(ctx);
    return ((struct run *)ctx)->asked == 0;
}

static double look_up(struct run *run, const struct rows *rows)
{
    const uint32_t count = LOOKUPS / PER_REQUEST;
    struct ask *asks = mem_try_array(count, sizeof *asks);
    must(asks != NULL, "memory");
    double begin_s = real_now_s();
    for (uint32_t a = 0; a < count; a++) {
        struct ask *ask = &asks[a];
        ask->run = run;
        for (uint32_t i = 0; i < PER_REQUEST; i++)
            ask->outpoints[i] =
                rows->outpoints[(uint64_t)(a * PER_REQUEST + i) * 7919 % rows->count];
        ask->request = (struct coins_request){.outpoints = ask->outpoints,
            .count = PER_REQUEST,
            .coins = ask->coins,
            .found = ask->found,
            .done = ask_done};
        enum coins_answer answer = ledger_coins(run->ledger, &ask->request);
        must(answer != COINS_REFUSED, "asking for coins");
        run->asked += answer == COINS_PENDING;
    }
    must(real_run_until(&run->real, all_answered, run, LIMIT_S), "looking up");
    double took_s = real_now_s() - begin_s;
    for (uint32_t a = 0; a < count; a++) {
        for (uint32_t i = 0; i < PER_REQUEST; i++)
            must(asks[a].found[i], "finding a coin");
        arena_clear(&asks[a].request.arena);
    }
    mem_free(asks);
    return took_s;
}

static void measure_coins(const struct chain *chain)
{
    struct history history = history_coins(chain, UTXO_BLOCKS, UTXO_TXS);
    struct run run;
    run_begin(&run);
    show("coins, no signatures", &history, connect_all(&run, &history));
    struct ledger_stats stats = ledger_stats(run.ledger);
    printf("    cache: %.1f bytes per coin, all included (%llu coins; goal 110)\n",
        (double)stats.cache_b / (double)stats.coins_cached, (unsigned long long)stats.coins_cached);
    sync(); /* the block files': what follows is about the coins */
    double begin_s = real_now_s();
    ledger_flush(run.ledger, (struct ledger_done){on_flushed, &run});
    must(real_run_until(&run.real, is_flushed, &run, LIMIT_S), "flushing");
    double flush_s = real_now_s() - begin_s;
    struct rows rows = {0};
    struct gather gather = {.scan = {.each = gather_each, .done = gather_done}, .rows = &rows};
    buf_init(&rows.keys, (size_t)1 << 30);
    buf_init(&rows.values, (size_t)1 << 30);
    must(ledger_scan_coins(run.ledger, &gather.scan), "scanning");
    must(real_run_until(&run.real, gather_is_done, &gather, LIMIT_S), "scanning");
    double put_s = raw_put(&run, &rows);
    printf("ledger flush                     %8.0f coins/s, bare LevelDB %8.0f/s: ratio %.2f (%u coins)\n",
        rows.count / flush_s, rows.count / put_s, put_s / flush_s, rows.count);
    ledger_end(&run);
    ledger_begin(&run); /* an empty cache */
    double cold_s = look_up(&run, &rows), get_s = raw_get(&run, &rows), warm_s = look_up(&run, &rows);
    printf("ledger coins from the store      %8.0f/s, bare LevelDB on one core %8.0f/s: ratio %.2f\n",
        LOOKUPS / cold_s, LOOKUPS / get_s, get_s / cold_s);
    printf("ledger coins from the cache      %8.0f/s (%.0f ns each, copied)\n", LOOKUPS / warm_s,
        warm_s / LOOKUPS * 1e9);
    buf_clear(&rows.keys);
    buf_clear(&rows.values);
    mem_free(rows.outpoints);
    mem_free(rows.key_ends);
    mem_free(rows.value_ends);
    run_end(&run);
    history_free(&history);
}

static void measure_small(const struct chain *chain)
{
    struct history history = history_small(chain, SMALL_BLOCKS);
    struct run run;
    run_begin(&run);
    show("nearly empty blocks", &history, connect_all(&run, &history));
    run_end(&run);
    history_free(&history);
}

/* bench_ledger [small | coins | sigs] */
int main(int argc, char **argv)
{
    const char *only = argc > 1 ? argv[1] : "";
    struct fail why;
    struct real real;
    real_open(&real, 1); /* hashes and keys are set up before the first block is made */
    real_close(&real);
    struct chain *chain = chain_load("regtest", &why);
    must(chain != NULL, why.detail);
    if (*only == 0 || strcmp(only, "small") == 0)
        measure_small(chain);
    if (*only == 0 || strcmp(only, "coins") == 0)
        measure_coins(chain);
    if (*only == 0 || strcmp(only, "sigs") == 0)
        measure_sigs(chain);
    chain_free(chain);
    return 0;
}
