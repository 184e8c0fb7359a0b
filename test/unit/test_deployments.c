/* Proves ledger/deployments.h: the state of every block of two branches equals that of a model that counts
 * each period anew, with minimum height and timeout; what a miner signals follows from it; and no order
 * of questions, and no full cache, changes an answer. */
#include "ledger_rig.h"

#include "coin/ledger/deployments.h"
#include "unit.h"

#define BLOCKS 130
#define PERIOD 10

struct branch {
    struct block_index *blocks[BLOCKS + 1];
};

/* Headers only: states need no more. signals: one character a block, '#' signals. */
static void grow(struct rig *rig, struct branch *b, struct block_index *from, const char *signals)
{
    struct block_index *prev = from;
    for (struct block_index *at = from; at != NULL; at = at->prev)
        b->blocks[at->height] = at;
    for (; *signals != 0; signals++) {
        struct header header = { .version = *signals == '#' ? 0x30000000 : 0x20000000, .prev = prev->id,
            .time_s = prev->time_s + 100, .bits = prev->bits, .merkle_root = { (uint8_t)*signals } };
        struct block_id id = header_id(&header);
        struct fail why;
        while (!pow_check(rig->chain, &id, header.bits, header.time_s, prev->time_s, &why)) {
            header.nonce++;
            id = header_id(&header);
        }
        uint32_t accepted;
        ck_assert_msg(ledger_accept_headers(rig->ledger, &header, 1, &prev, &accepted, &why), "%s", why.detail);
        b->blocks[prev->height] = prev;
    }
}

static enum bip9_state model(const struct chain_deployment *d, const struct branch *b, int32_t height)
{
    enum bip9_state state = BIP9_DEFINED;
    for (int32_t end = d->period - 1; end < height; end += d->period) {
        struct bip9_period ended = { .end_height = end,
            .median_time_past_s = index_median_time_past_s(b->blocks[end]) };
        for (int32_t h = end - d->period + 1; h <= end; h++)
            ended.signals += bip9_signals(d, b->blocks[h]->version);
        state = bip9_next(d, state, &ended);
    }
    return state;
}

static void compare(struct rig *rig, const struct branch *b, int32_t tip)
{
    const struct chain_deployment *d = &rig->chain->deployments[0];
    for (int32_t h = tip; h > 0; h -= 3) { /* from above: the longest walk comes first */
        enum bip9_state state = ledger_deployment_state(rig->ledger, 0, b->blocks[h - 1]);
        ck_assert_msg(state == model(d, b, h), "height %d: %s, not %s", h, bip9_state_name(state),
            bip9_state_name(model(d, b, h)));
        int32_t since = ledger_deployment_since(rig->ledger, 0, b->blocks[h - 1]);
        ck_assert_int_eq(since % d->period, 0);
        ck_assert(model(d, b, since) == state);
        ck_assert(since == 0 || model(d, b, since - 1) != state);
        bool signals = state == BIP9_STARTED || state == BIP9_LOCKED_IN;
        uint32_t version = (uint32_t)ledger_block_version(rig->ledger, b->blocks[h - 1]);
        ck_assert_uint_eq(version, VERSION_BITS_TOP | (signals ? 1u << d->bit : 0));
    }
}

static const char *const histories[] = {
    "--------- ---------- ########-- ---------- ---------- ---------- ---------- ---------- ---------- ---------- ",
    "######### ########## ---------- ########-- ---------- ---------- ---------- ---------- ---------- ---------- ",
    "--------- ---------- #######--- #######--- #######--- #######--- #######--- #######--- #######--- #######--- ",
    "--------- ---------- ---------- ---------- ---------- ######---- --######## ---------- ---------- ---------- ",
};
static const struct { int64_t start_s, timeout_s; int32_t min_height; } forks[] = {
    { 0, INT64_MAX, 0 }, { 2000, INT64_MAX, 0 }, { 2000, 5500, 0 }, { 0, INT64_MAX, 71 }, { 2000, 2001, 0 },
    { BIP9_ALWAYS_ACTIVE, INT64_MAX, 0 }, { BIP9_NEVER_ACTIVE, INT64_MAX, 0 },
};

static void squeeze(char *out, const char *text)
{
    for (; *text != 0; text++) {
        if (*text != ' ')
            *out++ = *text;
    }
    *out = 0;
}

START_TEST(states_follow_the_blocks)
{
    struct rig rig;
    struct branch a = { { NULL } }, b;
    char signals[BLOCKS];
    rig_init(&rig, 77);
    struct chain_deployment *d = &rig.chain->deployments[0];
    int64_t origin_s = ledger_genesis(rig.ledger)->time_s;
    d->start_time_s = forks[_i].start_s > 0 ? origin_s + forks[_i].start_s : forks[_i].start_s;
    d->timeout_s = forks[_i].timeout_s == INT64_MAX ? INT64_MAX : origin_s + forks[_i].timeout_s;
    d->min_activation_height = forks[_i].min_height;
    d->period = PERIOD;
    d->threshold = 8;
    rig.chain->deployment_count = 1;
    for (size_t h = 0; h < sizeof histories / sizeof *histories; h++) {
        squeeze(signals, histories[h]);
        grow(&rig, &a, ledger_genesis(rig.ledger), signals);
        int32_t tip = (int32_t)strlen(signals);
        if (forks[_i].start_s >= 0)
            compare(&rig, &a, tip);
        enum bip9_state fixed;
        if (bip9_is_fixed(d, &fixed)) {
            ck_assert(ledger_deployment_state(rig.ledger, 0, a.blocks[tip]) == fixed);
            ck_assert_int_eq(ledger_deployment_since(rig.ledger, 0, a.blocks[tip]), 0);
        }
        b = a;
        grow(&rig, &b, a.blocks[35], "+++++++++++++++++++++++++++++++++"); /* another branch, silent */
        if (forks[_i].start_s >= 0)
            compare(&rig, &b, 35 + 33);
    }
    rig_stop(&rig);
    rig_clear(&rig);
}
END_TEST

START_TEST(counts_of_a_period)
{
    struct rig rig;
    struct branch a = { { NULL } };
    rig_init(&rig, 78);
    rig.chain->deployments[0].period = PERIOD;
    rig.chain->deployments[0].threshold = 8;
    grow(&rig, &a, ledger_genesis(rig.ledger), "#########" "##-#-#-");
    static const struct { int32_t height, elapsed, signals; bool possible; } counts[] = {
        { 9, 10, 9, true }, { 10, 1, 1, true }, { 12, 3, 2, true }, { 14, 5, 3, true }, { 15, 6, 4, true },
        { 16, 7, 4, false },
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct deployment_count count = ledger_deployment_count(rig.ledger, 0, a.blocks[counts[i].height]);
        ck_assert_int_eq(count.elapsed, counts[i].elapsed);
        ck_assert_int_eq(count.signals, counts[i].signals);
        ck_assert_int_eq(count.possible, counts[i].possible);
    }
    rig_stop(&rig);
    rig_clear(&rig);
}
END_TEST

/* More states than the cache holds: it starts anew, the answers stay. */
START_TEST(full_cache)
{
    struct rig rig;
    rig_init(&rig, 79);
    struct chain *chain = rig.chain;
    struct chain_deployment d = { .name = "fork", .timeout_s = INT64_MAX, .period = 1, .threshold = 1,
        .min_activation_height = INT32_MAX };
    chain->deployment_count = CHAIN_DEPLOYMENTS_MAX;
    for (int i = 0; i < CHAIN_DEPLOYMENTS_MAX; i++) {
        chain->deployments[i] = d;
        chain->deployments[i].bit = 20 + i;
    }
    static struct block_index *path[DEPLOYMENT_STATES_MAX / CHAIN_DEPLOYMENTS_MAX + 200];
    struct block_index *tip = ledger_genesis(rig.ledger);
    int32_t last = (int32_t)(sizeof path / sizeof *path) - 1;
    for (int32_t h = 1; h <= last; h++) {
        struct header header = { .version = 0x3ff00000, .prev = tip->id, .time_s = tip->time_s + 1, .bits = tip->bits };
        struct block_id id = header_id(&header);
        struct fail why;
        uint32_t accepted;
        for (; !pow_check(chain, &id, header.bits, header.time_s, tip->time_s, &why); id = header_id(&header))
            header.nonce++;
        ck_assert(ledger_accept_headers(rig.ledger, &header, 1, &tip, &accepted, &why));
        path[h] = tip;
    }
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < CHAIN_DEPLOYMENTS_MAX; i++)
            ck_assert(ledger_deployment_state(rig.ledger, i, tip) == BIP9_LOCKED_IN);
        ck_assert(ledger_deployment_state(rig.ledger, 3, path[1]) == BIP9_LOCKED_IN);
        ck_assert(ledger_deployment_state(rig.ledger, 3, NULL) == BIP9_DEFINED);
    }
    rig_stop(&rig);
    rig_clear(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("deployments");
    TCase *tc = tcase_create("deployments");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, states_follow_the_blocks, 0, (int)(sizeof forks / sizeof *forks));
    tcase_add_test(tc, counts_of_a_period);
    tcase_add_test(tc, full_cache);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
