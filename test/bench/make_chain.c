/* Writes a chain for measurements (test/sim/history.h) as a file for -loadblock, of regtest: magic | size | block.
 *     make_chain small|coins|signed N FILE   N blocks, coins made, or signatures
 *     make_chain rate                        bare libsecp256k1: signatures verified per second on all cores */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sim/history.h"
#include "../sim/real.h"
#include "coin/base/mem.h"
#include "coin/crypto/secp.h"

#define SIGNED_TXS 1500
#define RATE_BLOCKS 14
#define RATE_JOB 50 /* divides SIGNED_TXS */
#define LIMIT_S 600.0

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "make_chain: %s failed\n", what);
    exit(1);
}

static struct history make(const struct chain *chain, const char *kind, uint32_t count)
{
    if (strcmp(kind, "small") == 0)
        return history_small(chain, count);
    if (strcmp(kind, "coins") == 0)
        return history_coins(chain, count / (2 * HISTORY_TXS), HISTORY_TXS);
    must(strcmp(kind, "signed") == 0, "the kind");
    return history_signed(chain, count / SIGNED_TXS, SIGNED_TXS);
}

static void write_file(const struct chain *chain, const struct history *history, const char *path)
{
    FILE *file = fopen(path, "wb");
    must(file != NULL, path);
    for (uint32_t i = 0; i < history->count; i++) {
        const struct buf *raw = &history->blocks[i]->raw;
        uint8_t head[8];
        memcpy(head, chain->magic, 4);
        put_u32le(head + 4, (uint32_t)raw->size_b);
        must(fwrite(head, sizeof head, 1, file) == 1 && fwrite(raw->data, raw->size_b, 1, file) == 1, path);
    }
    must(fclose(file) == 0, path);
    printf("%u blocks, %llu inputs\n", history->count, (unsigned long long)history->inputs);
}

/* ---- the bare rate ---- */
struct work { /* signatures of a block, of messages that they do not sign, which takes as long */
    struct job job;
    const struct block *block;
    uint32_t first, good, *left;
};

static void work_run(struct job *job)
{
    struct work *work = (struct work *)job;
    for (uint32_t t = work->first; t < work->first + RATE_JOB; t++) {
        const struct tx *tx = &work->block->txs[t];
        const struct tx_in *in = &tx->in[0];
        if (in->witness_count == 2)
            work->good += secp_ecdsa_verify(
                in->witness[1], span_of(in->witness[0].data, in->witness[0].size_b - 1), tx->txid.b);
        else /* it pays to its own key */
            work->good += secp_schnorr_verify(
                tx->out[0].script.data + 2, in->witness[0].data, span_of(tx->txid.b, sizeof tx->txid));
    }
}

static void work_done(struct job *job)
{
    (*((struct work *)job)->left)--;
}

static bool none_left(void *ctx)
{
    return *(uint32_t *)ctx == 0;
}

static void measure_rate(struct real *real, const struct chain *chain)
{
    static struct work works[RATE_BLOCKS * SIGNED_TXS / RATE_JOB];
    struct history history = history_signed(chain, RATE_BLOCKS, SIGNED_TXS);
    uint32_t jobs = 0, left = RATE_BLOCKS * SIGNED_TXS / RATE_JOB;
    double begin_s = real_now_s();
    for (uint32_t b = history.plain; b < history.count; b++)
        for (uint32_t t = 1; t < history.blocks[b]->tx_count; t += RATE_JOB) {
            works[jobs] = (struct work){.job = {.run = work_run, .done = work_done, .lane = JOB_VERIFY},
                .block = history.blocks[b],
                .first = t,
                .left = &left};
            must(env_submit(&real->env, &works[jobs++].job), "submitting");
        }
    must(real_run_until(real, none_left, &left, LIMIT_S), "verifying");
    printf("%.0f\n", RATE_BLOCKS * SIGNED_TXS / (real_now_s() - begin_s));
    history_free(&history);
}

int main(int argc, char **argv)
{
    struct real real;
    struct fail why;
    real_open(&real, 0); /* hashes and keys are set up */
    struct chain *chain = chain_load("regtest", &why);
    must(chain != NULL, "regtest");
    if (argc == 2 && strcmp(argv[1], "rate") == 0) {
        measure_rate(&real, chain);
    } else if (argc == 4) {
        struct history history = make(chain, argv[1], (uint32_t)strtoul(argv[2], NULL, 10));
        write_file(chain, &history, argv[3]);
        history_free(&history);
    } else {
        fprintf(stderr, "usage: make_chain small|coins|signed N FILE, or make_chain rate\n");
        return 1;
    }
    chain_free(chain);
    real_close(&real);
    return 0;
}
