/* Measures script checks: signed inputs verified by the worker pool on all cores, against the bare library
 * verifying the same signatures on the same cores through the same pool, in turn. The bare library reads key
 * and signature from their bytes each time, as every verifier must; so the ratio is what the interpreter, the
 * signature hashes and the memory of real transactions cost. `one` is its time for one signature, already
 * read, again and again, which no real block has: the processor learns its branches by heart. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../sim/real.h"
#include "../sim/signer.h"
#include "coin/base/mem.h"
#include "coin/crypto/secp.h"
#include "coin/script/interpreter.h"
#include "coin/script/script.h"

#define SPENDS 8192
#define PER_JOB 64 /* as a block's batches */
#define KEYS 64
#define ROUNDS 5

struct spend {
    struct tx *tx;
    struct coin coin;
    uint8_t script[SIGNER_SCRIPT_MAX_B], message[32]; /* what its signature signs */
};
enum way { WAY_OURS, WAY_ECDSA, WAY_SCHNORR, WAY_ONE };
struct work {
    struct job job;
    const struct spend *spends;
    uint32_t count, good, *left;
    enum way way;
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
    work->good = work->way == WAY_ONE ? secp_bench_verify(work->count) : 0;
    for (uint32_t i = 0; i < work->count; i++) {
        const struct spend *spend = &work->spends[i];
        const struct span *witness = spend->tx->in[0].witness;
        struct span message = span_of(spend->message, sizeof spend->message);
        struct sighash_pre pre;
        switch (work->way) {
        case WAY_OURS:
            sighash_pre_init(&pre, spend->tx, &spend->coin);
            work->good += script_verify_input(&pre, 0, SCRIPT_FLAGS_CONSENSUS) == SCRIPT_OK;
            break;
        case WAY_ECDSA:
            work->good += secp_ecdsa_verify(
                witness[1], span_of(witness[0].data, witness[0].size_b - 1), message.data);
            break;
        case WAY_SCHNORR:
            work->good += secp_schnorr_verify(spend->script + 2, witness[0].data, message);
            break;
        case WAY_ONE:
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
    uint32_t left = SPENDS / PER_JOB, good = 0;
    double cpu_s = 0;
    double begin_s = real_now_s();
    for (uint32_t i = 0; i < SPENDS / PER_JOB; i++) {
        works[i] = (struct work){.job = {.run = work_run, .done = work_done, .lane = JOB_VERIFY},
            .spends = spends + (size_t)i * PER_JOB,
            .count = PER_JOB,
            .left = &left,
            .way = way};
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

static void message_of(struct spend *s, enum signer_kind kind)
{
    struct sighash_pre pre;
    struct sighash_tap tap = {.codeseparator_position = UINT32_MAX};
    uint8_t code[25] = {OP_DUP, OP_HASH160, 20};
    memcpy(code + 3, s->script + 2, 20);
    code[23] = OP_EQUALVERIFY;
    code[24] = OP_CHECKSIG;
    sighash_pre_init(&pre, s->tx, &s->coin);
    if (kind == SIGNER_ECDSA)
        sighash_v0(s->message, &pre, 0, span_of(code, sizeof code), s->coin.value_sat, 1);
    else if (!sighash_taproot(s->message, &pre, 0, 0, &tap))
        exit(2);
}

static void measure(struct real *real, enum signer_kind kind, const char *name)
{
    struct spend *spends = mem_try_array(SPENDS, sizeof *spends);
    struct result ours[ROUNDS], raw[ROUNDS], one[ROUNDS];
    if (spends == NULL)
        exit(2);
    for (uint32_t i = 0; i < SPENDS; i++) {
        struct spend *s = &spends[i];
        struct outpoint from = {.index = i};
        s->coin.script = span_of(s->script, signer_script(s->script, kind, i % KEYS));
        s->coin.value_sat = 100000;
        s->tx = signer_spend(&from, &s->coin, kind, i % KEYS, s->coin.script, 2);
        message_of(s, kind);
    }
    for (int i = 0; i < ROUNDS; i++) { /* in turn, so that both see the same machine */
        ours[i] = measure_once(real, spends, WAY_OURS);
        raw[i] = measure_once(real, spends, kind == SIGNER_SCHNORR ? WAY_SCHNORR : WAY_ECDSA);
        one[i] = measure_once(real, spends, WAY_ONE);
    }
    qsort(ours, ROUNDS, sizeof *ours, order);
    qsort(raw, ROUNDS, sizeof *raw, order);
    qsort(one, ROUNDS, sizeof *one, order);
    const int mid = ROUNDS / 2;
    printf("script checks, %-7s on %u cores: %6.0f/s, bare library %6.0f/s; CPU %.1f us and %.1f us: "
           "ratio %.2f (goal 0.90); one ECDSA signature again and again %.1f us\n",
        name, real_processors(), ours[mid].rate, raw[mid].rate, ours[mid].cpu_us, raw[mid].cpu_us,
        raw[mid].cpu_us / ours[mid].cpu_us, one[mid].cpu_us);
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
