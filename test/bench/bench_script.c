/* Measures script checks: signed inputs verified by the worker pool on all cores, against the bare library
 * verifying as many signatures on the same cores through the same pool, in turn. The bare library reads key
 * and signature from their bytes each time, as every verifier must; so the ratio is what the interpreter, the
 * signature hashes and the memory of real transactions cost. `parsed` is its rate for one key and signature
 * that were read before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../sim/real.h"
#include "../sim/signer.h"
#include "coin/base/mem.h"
#include "coin/crypto/secp.h"
#include "coin/script/interpreter.h"

#define SPENDS 8192
#define PER_JOB 64 /* as a block's batches */
#define KEYS 64
#define ROUNDS 5

struct spend {
    struct tx *tx;
    struct coin coin;
    uint8_t script[SIGNER_SCRIPT_MAX_B];
};
enum way { WAY_OURS, WAY_ECDSA, WAY_SCHNORR, WAY_PARSED };
struct one { /* a signature of the bare library's */
    uint8_t pubkey[33], message[32], schnorr[64], der[72];
    size_t der_size_b;
};
struct work {
    struct job job;
    const struct spend *spends;
    uint32_t count, good, *left;
    enum way way;
    const struct one *one;
    double cpu_s;
};
struct result {
    double rate, cpu_us; /* per second of all cores; per signature on one */
};

static double cpu_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void verify(struct work *work)
{
    const struct one *one = work->one;
    work->good = work->way == WAY_PARSED ? secp_bench_verify(work->count) : 0;
    for (uint32_t i = 0; i < work->count; i++) {
        struct sighash_pre pre;
        switch (work->way) {
        case WAY_OURS:
            sighash_pre_init(&pre, work->spends[i].tx, &work->spends[i].coin);
            work->good += script_verify_input(&pre, 0, SCRIPT_FLAGS_CONSENSUS) == SCRIPT_OK;
            break;
        case WAY_ECDSA:
            work->good += secp_ecdsa_verify(span_of(one->pubkey, sizeof one->pubkey),
                span_of(one->der, one->der_size_b), one->message);
            break;
        case WAY_SCHNORR:
            work->good += secp_schnorr_verify(
                one->pubkey + 1, one->schnorr, span_of(one->message, sizeof one->message));
            break;
        case WAY_PARSED:
            break;
        }
    }
}

static void work_run(struct job *job)
{
    struct work *work = (struct work *)job;
    double begin_s = cpu_now_s();
    verify(work);
    work->cpu_s = cpu_now_s() - begin_s;
}

static void work_done(struct job *job)
{
    (*((struct work *)job)->left)--;
}

static bool none_left(void *ctx)
{
    return *(uint32_t *)ctx == 0;
}

static struct result measure_once(struct real *real, const struct spend *spends, enum way way)
{
    static struct work works[SPENDS / PER_JOB];
    static const uint8_t aux[32], key[32] = {1};
    struct one one = {.message = {3}};
    uint32_t left = SPENDS / PER_JOB, good = 0;
    double cpu_s = 0;
    if (!secp_pubkey_create(one.pubkey, key) ||
        !secp_ecdsa_sign(one.der, &one.der_size_b, key, one.message, false) ||
        !secp_schnorr_sign(one.schnorr, key, NULL, one.message, aux))
        exit(2);
    double begin_s = real_now_s();
    for (uint32_t i = 0; i < SPENDS / PER_JOB; i++) {
        works[i] = (struct work){.job = {.run = work_run, .done = work_done, .lane = JOB_VERIFY},
            .spends = spends + (size_t)i * PER_JOB,
            .count = PER_JOB,
            .left = &left,
            .way = way,
            .one = &one};
        if (!env_submit(&real->env, &works[i].job))
            exit(2);
    }
    if (!real_run_until(real, none_left, &left, 300))
        exit(2);
    double took_s = real_now_s() - begin_s;
    for (uint32_t i = 0; i < SPENDS / PER_JOB; i++) {
        good += works[i].good;
        cpu_s += works[i].cpu_s;
    }
    if (good != SPENDS) {
        fprintf(stderr, "bench_script: only %u of %u signatures are valid\n", good, SPENDS);
        exit(1);
    }
    return (struct result){SPENDS / took_s, cpu_s / SPENDS * 1e6};
}

static int order(const void *a, const void *b)
{
    const struct result *x = a, *y = b;
    return x->cpu_us < y->cpu_us ? -1 : x->cpu_us > y->cpu_us;
}

static void measure(struct real *real, enum signer_kind kind, const char *name)
{
    struct spend *spends = mem_try_array(SPENDS, sizeof *spends);
    struct result ours[ROUNDS], raw[ROUNDS], parsed[ROUNDS];
    if (spends == NULL)
        exit(2);
    for (uint32_t i = 0; i < SPENDS; i++) {
        struct spend *s = &spends[i];
        struct outpoint from = {.index = i};
        s->coin.script = span_of(s->script, signer_script(s->script, kind, i % KEYS));
        s->coin.value_sat = 100000;
        s->tx = signer_spend(&from, &s->coin, kind, i % KEYS, s->coin.script, 2);
    }
    for (int i = 0; i < ROUNDS; i++) { /* in turn, so that both see the same machine */
        ours[i] = measure_once(real, spends, WAY_OURS);
        raw[i] = measure_once(real, spends, kind == SIGNER_SCHNORR ? WAY_SCHNORR : WAY_ECDSA);
        parsed[i] = measure_once(real, spends, WAY_PARSED);
    }
    qsort(ours, ROUNDS, sizeof *ours, order);
    qsort(raw, ROUNDS, sizeof *raw, order);
    qsort(parsed, ROUNDS, sizeof *parsed, order);
    const int mid = ROUNDS / 2;
    printf("script checks, %-7s on %u cores: %6.0f/s, bare library %6.0f/s; CPU %.1f us and %.1f us: "
           "ratio %.2f (goal 0.90); parsed ECDSA %.1f us\n",
        name, real_processors(), ours[mid].rate, raw[mid].rate, ours[mid].cpu_us, raw[mid].cpu_us,
        raw[mid].cpu_us / ours[mid].cpu_us, parsed[mid].cpu_us);
    for (uint32_t i = 0; i < SPENDS; i++)
        tx_unref(spends[i].tx);
    mem_free(spends);
}

int main(void)
{
    struct real real;
    real_open(&real, 0);
    measure(&real, SIGNER_ECDSA, "ECDSA");
    measure(&real, SIGNER_SCHNORR, "Schnorr");
    real_close(&real);
    return 0;
}
