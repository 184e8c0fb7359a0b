/* Paying. The loop chooses coins and a change address; a job signs; the signed transaction is written to the
 * wallet's file together with the change address that it uses; then the mempool judges it; then the caller
 * hears of it. So whatever was sent was durable before anyone could see it, and a transaction that the mempool
 * refuses is abandoned at once and its coins are free again. Coins in use are held meanwhile. */

#include <string.h>

#include "coin/base/log.h"
#include "coin/crypto/secp.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/sha256.h"
#include "coin/script/sign.h"
#include "internal.h"
#include "select.h"

#define LONG_TERM_SAT_KVB 10000 /* Bitcoin's -consolidatefeerate: what spending costs in quiet times */
#define SEQUENCE_REPLACEABLE 0xfffffffdu
#define SEQUENCE_LOCKTIME 0xfffffffeu
#define TX_BASE_WEIGHT_WU 42    /* version, locktime, marker and flag */
#define INPUT_P2WPKH_WU 272     /* 41 * 4 + count, 72-byte signature, 33-byte key */
#define INPUT_P2TR_WU 230       /* 41 * 4 + count, 64-byte signature */
#define OUTPUT_BASE_B 9         /* value 8, script length 1 */
#define CHANGE_SIZE_VB (OUTPUT_BASE_B + 34) /* the larger of our two kinds of script */
#define WITNESS_SCALE 4
#define AUX_SIZE_B 32

struct spend_input {
    struct coin coin;            /* script points into the wallet transaction, which `holds` keeps */
    struct tx *holds;
    struct wallet_branch branch; /* to derive the key from, in the job */
    uint32_t index;
};
struct spend_job {
    struct job job;
    struct wallet *wallet;
    struct tx_draft draft;
    struct spend_input *inputs;
    uint32_t input_count;
    uint8_t aux[AUX_SIZE_B];
    int64_t fee_sat;
    struct tx *tx;
    bool ok;
    struct fail why;
    struct wallet_spend_done done;
};
struct signer { /* the key of the one input that is being signed */
    uint8_t key[32], pubkey[33], hash[20], tweak[32], output[32];
};

static struct select_coin *gather(struct wallet *wallet, const struct wallet_spend *spend, int64_t feerate,
    struct wallet_coin **coins, uint32_t *count, struct fail *why);
static bool required_coin(struct wallet *wallet, const struct outpoint *outpoint, struct wallet_coin *out,
    struct fail *why);
static bool is_listed(const struct wallet_spend *spend, const struct outpoint *outpoint);
static int64_t rate_of(const struct wallet *wallet, const struct wallet_spend *spend);
static int64_t input_weight_wu(struct span script);
static bool check_payments(struct wallet *wallet, const struct wallet_spend *spend, int64_t *total_sat,
    uint32_t *sharers, int64_t *outputs_wu, struct fail *why);
static struct spend_job *plan(struct wallet *wallet, const struct wallet_spend *spend, struct fail *why);
static bool build(struct spend_job *job, const struct wallet_spend *spend, const struct select_coin *chosen,
    const struct wallet_coin *coins, uint32_t count, const struct select_result *result, int64_t fixed_fee_sat,
    uint32_t sharers, struct fail *why);
static bool add_change(struct spend_job *job, const struct wallet_spend *spend, int64_t change_sat,
    struct fail *why);
static void hold_coins(struct spend_job *job, bool hold);
static void sign_run(struct job *job);
static bool sign_one(struct spend_job *job, const struct coin *spent, uint32_t i, struct fail *why);
static void sign_done(struct job *job);
static void on_written(void *ctx, const struct fail *why);
static void on_verdict(void *ctx, struct tx *tx, const struct mempool_entry *entry, const struct fail *why);
static void finish(struct spend_job *job, const struct fail *why);
static void on_rebroadcast(void *ctx, struct tx *tx, const struct mempool_entry *entry, const struct fail *why);

void wallet_send(struct wallet *wallet, const struct wallet_spend *spend, struct wallet_spend_done done)
{
    struct fail why;
    struct spend_job *job;
    if (wallet->broken)
        fail_set(&why, FAIL_LOCAL, "wallet-io", "The wallet file cannot be written: see debug.log");
    else if ((job = plan(wallet, spend, &why)) != NULL) {
        job->done = done;
        if (env_submit(wallet->all->env, &job->job)) {
            wallet->jobs++;
            hold_coins(job, true);
            return;
        }
        fail_set(&why, FAIL_NO_ROOM, "busy", "Too many requests wait for signatures: try again");
        finish(job, &why);
        return;
    }
    done.fn(done.ctx, NULL, 0, &why);
}

void wallet_abandon(struct wallet *wallet, const struct txid *id, struct ledger_done done)
{
    struct fail why;
    struct wtx *wtx = history_find(wallet, id);
    if (wtx == NULL) {
        fail_request(&why, -5, "Invalid or non-wallet transaction id");
        done.fn(done.ctx, &why);
    } else if (wtx->pub.state != WALLET_TX_INACTIVE) {
        fail_request(&why, -5, "Transaction not eligible for abandonment");
        done.fn(done.ctx, &why);
    } else {
        history_set_state(wallet, wtx, WALLET_TX_ABANDONED, NULL);
        wallet_write(wallet, done.fn, done.ctx);
    }
}

void spend_rebroadcast(struct wallet *wallet)
{
    if (!wallet->all->options.broadcast)
        return;
    for (uint32_t i = 0; i < wallet->tx_count; i++) {
        const struct wallet_tx *wtx = &wallet->ordered[i]->pub;
        if (wtx->state != WALLET_TX_INACTIVE || wtx->is_coinbase || wallet_tx_money(wallet, wtx).debit_sat == 0)
            continue;
        struct tx_verdict verdict = {on_rebroadcast, wallet};
        if (!mempool_offer(wallet->all->pool, wtx->tx, 0, 0, verdict))
            return; /* the pool is busy: the rest next time */
        wallet->jobs++;
    }
}

/* ---- planning (loop) ---- */

static struct spend_job *plan(struct wallet *wallet, const struct wallet_spend *spend, struct fail *why)
{
    const struct wallets *all = wallet->all;
    int64_t total_sat, outputs_wu;
    uint32_t sharers, count = 0;
    struct wallet_coin *coins = NULL;
    struct select_coin *choice = NULL;
    struct select_result result;
    struct spend_job *job = NULL;
    int64_t rate = rate_of(wallet, spend);
    if (rate <= 0) {
        fail_request(why, -6, "Fee estimation failed. Fallbackfee is disabled. Wait a few blocks or enable "
                              "-fallbackfee.");
        return NULL;
    }
    if (!check_payments(wallet, spend, &total_sat, &sharers, &outputs_wu, why))
        return NULL;
    choice = gather(wallet, spend, rate, &coins, &count, why);
    if (choice == NULL)
        goto out;
    int64_t fixed_fee = fee_of(rate, (uint64_t)(TX_BASE_WEIGHT_WU + 16 + outputs_wu + WITNESS_SCALE - 1) / WITNESS_SCALE);
    struct select_params params = {
        .target_sat = total_sat + (sharers > 0 ? 0 : fixed_fee),
        .change_fee_sat = fee_of(rate, CHANGE_SIZE_VB),
        .change_cost_sat = fee_of(rate, CHANGE_SIZE_VB) + fee_of(all->options.discard_sat_kvb, INPUT_P2WPKH_WU / WITNESS_SCALE),
        .change_min_sat = fee_of(all->options.discard_sat_kvb, INPUT_P2WPKH_WU / WITNESS_SCALE),
        .count_max = WALLET_COINS_PER_TX,
        .random = env_random_u64(all->env),
    };
    if (sharers > 0) { /* the receivers pay: inputs and change cost the sender nothing */
        params.change_fee_sat = 0;
        for (uint32_t i = 0; i < count; i++)
            choice[i].fee_sat = 0;
    }
    if (!select_coins(choice, count, &params, &result)) {
        int64_t have_sat = 0;
        for (uint32_t i = 0; i < count; i++)
            have_sat += choice[i].value_sat;
        if (have_sat >= total_sat)
            fail_request(why, -6, "The total exceeds your balance when the transaction fee is included.");
        else
            fail_request(why, -6, "Insufficient funds");
        goto out;
    }
    job = mem_new(sizeof *job);
    job->job = (struct job){.run = sign_run, .done = sign_done, .lane = JOB_SLOW};
    job->wallet = wallet;
    tx_draft_init(&job->draft);
    env_random(all->env, job->aux, sizeof job->aux);
    if (!build(job, spend, choice, coins, count, &result, fixed_fee, sharers, why)) {
        finish(job, NULL);
        job = NULL;
    }
out:
    mem_free(coins);
    mem_free(choice);
    return job;
}

static bool check_payments(struct wallet *wallet, const struct wallet_spend *spend, int64_t *total_sat,
    uint32_t *sharers, int64_t *outputs_wu, struct fail *why)
{
    int64_t max = wallet->all->chain->max_money_sat;
    *total_sat = *outputs_wu = 0;
    *sharers = 0;
    if (spend->payment_count == 0 || spend->payment_count > WALLET_PAYMENTS_MAX)
        return fail_request(why, -8, "Transaction must have at least one recipient");
    for (uint32_t i = 0; i < spend->payment_count; i++) {
        const struct wallet_payment *p = &spend->payments[i];
        struct tx_out out = {.value_sat = p->value_sat, .script = p->script};
        if (p->value_sat < 0 || !amount_add(total_sat, p->value_sat, max))
            return fail_request(why, -3, "Amount out of range");
        if (!p->subtract_fee && policy_is_dust(&out, 3000) && !script_is_unspendable(p->script))
            return fail_request(why, -4, "Transaction amount too small");
        *sharers += p->subtract_fee;
        *outputs_wu += WITNESS_SCALE * (int64_t)(OUTPUT_BASE_B + 2 + p->script.size_b);
    }
    return true;
}

static struct select_coin *gather(struct wallet *wallet, const struct wallet_spend *spend, int64_t feerate,
    struct wallet_coin **coins, uint32_t *count, struct fail *why)
{
    struct wallet_coin coin;
    uint32_t cursor = 0, capacity = 0, choice_capacity = 0;
    struct select_coin *choice = NULL;
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0;; i++) {
            bool required = pass == 0;
            if (required) {
                if (i == spend->input_count)
                    break;
                if (!required_coin(wallet, &spend->inputs[i], &coin, why))
                    goto fail;
            } else {
                if (spend->only_inputs || !wallet_next_coin(wallet, &cursor, &coin))
                    break;
                const struct coin_entry *entry = history_coin(wallet, &coin.outpoint);
                int32_t deep = wallet_tx_confirmations(wallet, coin.wtx);
                if (entry->locked || entry->in_use || is_listed(spend, &coin.outpoint) ||
                    !wallet_coin_is_mature(wallet, &coin) || deep < spend->min_confirmations ||
                    (!spend->include_unsafe && !wallet_coin_is_trusted(wallet, &coin)))
                    continue;
            }
            if (!mem_try_grow(coins, &capacity, *count + 1, WALLET_COINS_MAX, sizeof **coins) ||
                !mem_try_grow(&choice, &choice_capacity, *count + 1, WALLET_COINS_MAX, sizeof *choice)) {
                fail_oom(why, "coins to choose from");
                goto fail;
            }
            uint64_t vb = (uint64_t)(input_weight_wu(coin.script) + WITNESS_SCALE - 1) / WITNESS_SCALE;
            choice[*count] = (struct select_coin){
                .value_sat = coin.value_sat,
                .fee_sat = fee_of(feerate, vb),
                .long_term_fee_sat = fee_of(LONG_TERM_SAT_KVB, vb),
                .tag = *count,
                .required = required,
            };
            (*coins)[(*count)++] = coin;
        }
    }
    if (choice == NULL)
        fail_request(why, -6, "Insufficient funds");
    return choice;
fail:
    mem_free(choice);
    return NULL;
}

static bool required_coin(
    struct wallet *wallet, const struct outpoint *outpoint, struct wallet_coin *out, struct fail *why)
{
    const struct coin_entry *entry = history_coin(wallet, outpoint);
    if (entry == NULL)
        return fail_request(why, -8, "An input is not an output of this wallet");
    if (history_is_spent(wallet, outpoint) || entry->in_use)
        return fail_request(why, -8, "An input is spent already, or in use by another payment");
    const struct tx_out *o = &entry->wtx->pub.tx->out[outpoint->index];
    *out = (struct wallet_coin){
        .outpoint = *outpoint, .wtx = &entry->wtx->pub, .value_sat = o->value_sat, .script = o->script};
    return true;
}

static bool is_listed(const struct wallet_spend *spend, const struct outpoint *outpoint)
{
    for (uint32_t i = 0; i < spend->input_count; i++) {
        if (outpoint_equal(&spend->inputs[i], outpoint))
            return true;
    }
    return false;
}

static int64_t rate_of(const struct wallet *wallet, const struct wallet_spend *spend)
{
    return spend->feerate_sat_kvb > 0 ? spend->feerate_sat_kvb : wallet->all->options.fallback_sat_kvb;
}

static int64_t input_weight_wu(struct span script)
{
    return script_match(script).kind == SCRIPT_WITNESS_V1_TAPROOT ? INPUT_P2TR_WU : INPUT_P2WPKH_WU;
}

static bool build(struct spend_job *job, const struct wallet_spend *spend, const struct select_coin *chosen,
    const struct wallet_coin *coins, uint32_t count, const struct select_result *result, int64_t fixed_fee_sat,
    uint32_t sharers, struct fail *why)
{
    struct wallet *wallet = job->wallet;
    int64_t inputs_fee = 0, out_sat = 0, rate = rate_of(wallet, spend);
    uint32_t sequence = spend->replaceable ? SEQUENCE_REPLACEABLE : SEQUENCE_LOCKTIME;
    job->draft.version = TX_VERSION_DEFAULT;
    /* Against fee sniping: this transaction cannot go into a block that replaces the tip. */
    job->draft.lock_time = (uint32_t)ledger_tip(wallet->all->ledger)->height;
    job->inputs = mem_try_array(count + 1, sizeof *job->inputs);
    if (job->inputs == NULL)
        return fail_oom(why, "payment");
    for (uint32_t i = 0; i < count; i++) {
        struct wallet_key_info info;
        const struct wallet_coin *coin = &coins[chosen[i].tag];
        if (!chosen[i].chosen)
            continue;
        if (!wallet_is_mine(wallet, coin->script, &info) ||
            tx_draft_add_in(&job->draft, &coin->outpoint, sequence) == NULL)
            return fail_oom(why, "payment");
        inputs_fee += fee_of(rate, (uint64_t)(input_weight_wu(coin->script) + WITNESS_SCALE - 1) / WITNESS_SCALE);
        job->inputs[job->input_count++] = (struct spend_input){
            .coin = {.value_sat = coin->value_sat, .script = coin->script, .height = 0},
            .holds = tx_ref(coin->wtx->tx),
            .branch = wallet->branches[info.descriptor],
            .index = info.index,
        };
    }
    int64_t shared = fixed_fee_sat + inputs_fee + (result->change_sat > 0 ? fee_of(rate, CHANGE_SIZE_VB) : 0);
    int64_t share = sharers > 0 ? shared / sharers : 0;
    int64_t rest = sharers > 0 ? shared % sharers : 0;
    for (uint32_t i = 0; i < spend->payment_count; i++) {
        const struct wallet_payment *p = &spend->payments[i];
        int64_t value = p->value_sat;
        if (p->subtract_fee) {
            value -= share + rest;
            rest = 0; /* the first pays what does not divide */
            struct tx_out out = {.value_sat = value, .script = p->script};
            if (value <= 0)
                return fail_request(why, -6, "The transaction amount is too small to pay the fee");
            if (policy_is_dust(&out, 3000))
                return fail_request(why, -6, "The transaction amount is too small to send after the fee has been deducted");
        }
        if (tx_draft_add_out(&job->draft, value, p->script) == NULL)
            return fail_oom(why, "payment");
        out_sat += value;
    }
    if (result->change_sat > 0) {
        if (!add_change(job, spend, result->change_sat, why))
            return false;
        out_sat += result->change_sat;
    }
    job->fee_sat = result->value_sat - out_sat;
    if (job->fee_sat > wallet->all->options.max_fee_sat)
        return fail_request(why, -4, "Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)");
    return true;
}

/* Change goes to a random place among the outputs, so that its position tells nothing. */
static bool add_change(
    struct spend_job *job, const struct wallet_spend *spend, int64_t change_sat, struct fail *why)
{
    struct wallet *wallet = job->wallet;
    int32_t branch = addresses_branch(wallet, spend->change_kind, true);
    if (branch < 0 || wallet->branches[branch].next >= wallet->branches[branch].range_end)
        return fail_request(why, -12, "Error: Keypool ran out, please call keypoolrefill first");
    struct wallet_branch *b = &wallet->branches[branch];
    struct script_key key = b->scripts[b->next++];
    if (tx_draft_add_out(&job->draft, change_sat, script_key_span(&key)) == NULL)
        return fail_oom(why, "payment");
    uint32_t last = job->draft.out_count - 1;
    uint32_t at = (uint32_t)env_random_below(wallet->all->env, job->draft.out_count);
    struct tx_out moved = job->draft.out[at];
    job->draft.out[at] = job->draft.out[last];
    job->draft.out[last] = moved;
    image_put_branch(wallet, &wallet->batch, (uint32_t)branch);
    addresses_top_up(wallet, (uint32_t)branch);
    return true;
}

static void hold_coins(struct spend_job *job, bool hold)
{
    for (uint32_t i = 0; i < job->draft.in_count; i++) {
        struct coin_entry *entry = history_coin(job->wallet, &job->draft.in[i].prevout);
        if (entry != NULL)
            entry->in_use = hold;
    }
}

/* ---- signing (job) ---- */

static void sign_run(struct job *base)
{
    struct spend_job *job = (struct spend_job *)base;
    struct coin *spent = mem_try_array(job->input_count, sizeof *spent);
    job->ok = spent != NULL || fail_oom(&job->why, "signatures");
    for (uint32_t i = 0; job->ok && i < job->input_count; i++)
        spent[i] = job->inputs[i].coin;
    for (uint32_t i = 0; job->ok && i < job->input_count; i++)
        job->ok = sign_one(job, spent, i, &job->why);
    job->ok = job->ok && tx_draft_finish(&job->tx, &job->draft, &job->why);
    mem_free(spent);
}

static bool key_by_hash(void *ctx, uint8_t key[32], uint8_t pubkey[65], size_t *pubkey_size_b, const uint8_t hash160[20])
{
    const struct signer *s = ctx;
    if (memcmp(hash160, s->hash, sizeof s->hash) != 0)
        return false;
    memcpy(key, s->key, 32);
    memcpy(pubkey, s->pubkey, 33);
    *pubkey_size_b = 33;
    return true;
}

static bool key_by_pubkey(void *ctx, uint8_t key[32], struct span pubkey)
{
    const struct signer *s = ctx;
    if (!span_equal(pubkey, span_of(s->pubkey, 33)))
        return false;
    memcpy(key, s->key, 32);
    return true;
}

static bool key_by_output(void *ctx, uint8_t key[32], uint8_t tweak[32], const uint8_t xonly[32])
{
    const struct signer *s = ctx;
    if (memcmp(xonly, s->output, 32) != 0)
        return false;
    memcpy(key, s->key, 32);
    memcpy(tweak, s->tweak, 32);
    return true;
}

static bool no_script(void *ctx, struct span *out, struct span hash)
{
    (void)ctx, (void)out, (void)hash;
    return false;
}

static bool sign_one(struct spend_job *job, const struct coin *spent, uint32_t i, struct fail *why)
{
    struct signer signer;
    struct sha256 s;
    int parity;
    const struct spend_input *input = &job->inputs[i];
    bool complete = false;
    memset(&signer, 0, sizeof signer);
    bool ok = keys_derive(&input->branch, input->index, NULL, signer.pubkey, signer.key, why);
    if (ok) {
        hash160(signer.hash, signer.pubkey, 33);
        sha256_tagged_begin(&s, "TapTweak");
        sha256_add(&s, signer.pubkey + 1, 32);
        sha256_end(&s, signer.tweak);
        ok = secp_xonly_add(signer.output, &parity, signer.pubkey + 1, signer.tweak) ||
             fail_set(why, FAIL_LOCAL, "key", "a key of this wallet cannot be tweaked");
    }
    const struct sign_keys keys = {&signer, key_by_hash, key_by_pubkey, key_by_output, no_script};
    ok = ok && sign_input(&job->draft, i, spent, &keys, SIGHASH_DEFAULT, job->aux, &complete, why);
    mem_wipe(&signer, sizeof signer);
    if (ok && !complete)
        ok = fail_request(why, -4, "Signing transaction failed");
    return ok;
}

static void sign_done(struct job *base)
{
    struct spend_job *job = (struct spend_job *)base;
    struct wallet *wallet = job->wallet;
    wallet->jobs--;
    if (!job->ok) {
        finish(job, &job->why);
        return;
    }
    if (!history_note(wallet, job->tx, WALLET_TX_INACTIVE, NULL, 0)) {
        fail_oom(&job->why, "a payment that cannot be recorded and was not sent");
        finish(job, &job->why);
        return;
    }
    hold_coins(job, false); /* the transaction itself spends them now */
    wallet->jobs++;
    wallet_write(wallet, on_written, job);
}

static void on_written(void *ctx, const struct fail *why)
{
    struct spend_job *job = ctx;
    struct wallet *wallet = job->wallet;
    wallet->jobs--;
    if (why->kind != FAIL_NONE || !wallet->all->options.broadcast) {
        finish(job, why);
        return;
    }
    struct tx_verdict verdict = {on_verdict, job};
    if (mempool_offer(wallet->all->pool, job->tx, 0, 0, verdict)) {
        wallet->jobs++;
        return;
    }
    finish(job, why); /* the pool is busy: it is kept, and offered again with the next rebroadcast */
    wallet->next_rebroadcast_us = 0;
}

static void on_verdict(void *ctx, struct tx *tx, const struct mempool_entry *entry, const struct fail *why)
{
    struct spend_job *job = ctx;
    struct wallet *wallet = job->wallet;
    wallet->jobs--;
    /* entry without success: it is in the pool already, offered by the rebroadcast a moment earlier. */
    if (entry == NULL && why->kind != FAIL_NONE && why->kind != FAIL_NO_ROOM) {
        struct wtx *wtx = history_find(wallet, &tx->txid);
        if (wtx != NULL && wtx->pub.state == WALLET_TX_INACTIVE)
            history_set_state(wallet, wtx, WALLET_TX_ABANDONED, NULL);
        wallet_write(wallet, NULL, NULL);
        struct fail told;
        fail_request(&told, -4, "Transaction was rejected: %s", why->code);
        finish(job, &told);
        return;
    }
    finish(job, &(struct fail){.kind = FAIL_NONE});
}

/* why NULL: the plan was never begun, nobody waits. */
static void finish(struct spend_job *job, const struct fail *why)
{
    struct wallet *wallet = job->wallet;
    if (why != NULL) {
        if (why->kind != FAIL_NONE)
            hold_coins(job, false);
        job->done.fn(job->done.ctx, why->kind == FAIL_NONE ? job->tx : NULL, job->fee_sat, why);
    }
    for (uint32_t i = 0; i < job->input_count; i++) {
        tx_unref(job->inputs[i].holds);
        mem_wipe(&job->inputs[i].branch, sizeof job->inputs[i].branch);
    }
    mem_free(job->inputs);
    tx_draft_clear(&job->draft);
    tx_unref(job->tx);
    mem_free(job);
    wallets_check_unload(wallet);
}

static void on_rebroadcast(void *ctx, struct tx *tx, const struct mempool_entry *entry, const struct fail *why)
{
    struct wallet *wallet = ctx;
    (void)tx, (void)entry, (void)why; /* accepted: the pool's effect tells; refused: it stays inactive */
    wallet->jobs--;
    wallets_check_unload(wallet);
}
