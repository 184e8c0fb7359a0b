/* Proves what peer-to-peer promises, on networks of many whole nodes, far apart, with slow lines and lost packets:
 *
 *   hour    blocks and payments reach everybody soon, nothing is sent twice over a link, a newcomer's address spreads
 *   churn   the same while half of the peers lose power and come back every minute
 *   joiner  a late joiner syncs at the sum of its peers' lines, and a slow peer costs it next to nothing
 *
 *   sim_swarm [--scenario NAME] [--nodes N] [--minutes M] [--seed S]
 *
 * A failure prints the line that plays the same run again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coin/base/mem.h"
#include "coin/base/table.h"
#include "coin/ledger/ledger.h"
#include "coin/mempool/mempool.h"
#include "maker.h"
#include "swarm.h"

#define BACKBONE 8u        /* reachable from the start, never down; each knows the one before it */
#define COINS 1000u        /* made for payments, of one coinbase */
#define FEE_SAT 1000
#define EVENTS_MAX 4096u   /* blocks and payments that are followed */
#define NEWCOMER_HOURS_MAX 48u
#define NEWCOMER_NODES_MAX 100u
#define FIRST_BLOCKS 110u
#define TICK_SWARM_US 250000

struct happening { /* a block or payment on its way to everybody */
    struct txid id; /* block id, or txid */
    bool is_block;
    int64_t born_us;
    uint32_t missing;
    uint32_t mined_in; /* a payment: the block's place among the happenings; 0: in none */
    uint8_t *seen; /* by node */
};
struct spread { /* times until shares of the nodes had something, over all happenings; microseconds */
    int64_t *half, *most, *nearly, *all;
    uint32_t count;
};
struct stream { /* one direction of a connection, being cut into messages */
    uint8_t header[24];
    uint32_t header_b, left_b;
    uint64_t hash[2];
};
struct story {
    const char *name;
    uint64_t seed;
    uint32_t nodes, minutes;
    struct swarm *sim;
    struct happening happenings[EVENTS_MAX];
    uint32_t first, count; /* open ones are from first on */
    struct spread blocks, payments;
    struct outpoint coins;
    uint32_t coins_used;
    int64_t coin_sat;
    struct table streams, said;
    uint64_t messages, twice, bytes;
    uint32_t restarts;
};

static struct story *telling; /* for the line that plays it again */

static void demand(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "sim_swarm: %s\nagain: sim_swarm --scenario %s --nodes %u --minutes %u --seed %" PRIu64 "\n", what,
        telling->name, telling->nodes, telling->minutes, telling->seed);
    exit(1);
}

/* ---- what goes over the links ---- */

static void say(struct story *s, const struct stream *stream, const void *at)
{
    struct { const void *at; uint64_t hash; } key = {at, stream->hash[0]};
    bool existed;
    s->messages++;
    demand(table_put(&s->said, &key, &existed) != NULL, "too many messages to remember");
    s->twice += existed;
}

/* Bodies only: pings, addresses and requests may well be repeated. */
static bool is_body(const struct stream *stream)
{
    const char *command = (const char *)stream->header + 4;
    return strcmp(command, "tx") == 0 || strcmp(command, "block") == 0 || strcmp(command, "cmpctblock") == 0;
}

static void watch(void *ctx, const struct world_node *from, const struct world_node *to, const void *at, struct span bytes)
{
    struct story *s = ctx;
    (void)from, (void)to;
    struct stream *stream = table_put(&s->streams, &at, NULL);
    demand(stream != NULL, "too many streams");
    s->bytes += bytes.size_b;
    while (bytes.size_b > 0) {
        if (stream->header_b < sizeof stream->header) {
            stream->header[stream->header_b++] = bytes.data[0];
            bytes = span_of(bytes.data + 1, bytes.size_b - 1);
            if (stream->header_b < sizeof stream->header)
                continue;
            stream->left_b = get_u32le(stream->header + 16);
            stream->hash[0] = stream->hash[1] = 0;
            memcpy(stream->hash, stream->header + 20, 4); /* the checksum tells payloads apart, */
            stream->hash[0] |= (uint64_t)stream->left_b << 32; /* with the size */
        }
        size_t part_b = stream->left_b < bytes.size_b ? stream->left_b : bytes.size_b;
        stream->left_b -= (uint32_t)part_b;
        bytes = span_of(bytes.data + part_b, bytes.size_b - part_b);
        if (stream->left_b > 0)
            return;
        if (is_body(stream))
            say(s, stream, at);
        stream->header_b = 0;
    }
}

/* ---- how fast things spread ---- */

static void follow(struct story *s, const uint8_t id[32], bool is_block)
{
    demand(s->count < EVENTS_MAX, "too many happenings");
    struct happening *h = &s->happenings[s->count++];
    memcpy(h->id.b, id, sizeof h->id.b);
    h->is_block = is_block;
    h->born_us = world_now_us(s->sim->world);
    h->missing = s->sim->count;
    h->seen = mem_new(SWARM_MAX);
}

static void note_share(struct story *s, struct happening *h)
{
    struct spread *spread = h->is_block ? &s->blocks : &s->payments;
    uint32_t total = s->sim->count, have = total - h->missing;
    int64_t took_us = world_now_us(s->sim->world) - h->born_us;
    uint32_t i = (uint32_t)(h - s->happenings);
    if (have == (total + 1) / 2)
        spread->half[i] = took_us;
    if (have == total * 9 / 10)
        spread->most[i] = took_us;
    if (have == total * 99 / 100)
        spread->nearly[i] = took_us;
    if (have == total)
        spread->all[i] = took_us;
}

static bool has(const struct story *s, const struct swarm_node *w, const struct happening *h)
{
    if (!h->is_block)
        return mempool_find(node_mempool(w->node), &h->id) != NULL ||
               (h->mined_in != 0 && has(s, w, &s->happenings[h->mined_in]));
    struct block_id id;
    memcpy(id.b, h->id.b, sizeof id.b);
    const struct block_index *index = ledger_find(node_ledger(w->node), &id);
    return index != NULL && ledger_at(node_ledger(w->node), index->height) == index;
}

static void on_turn(void *ctx, struct swarm_node *w)
{
    struct story *s = ctx;
    for (uint32_t i = s->first; i < s->count; i++) {
        struct happening *h = &s->happenings[i];
        if (h->seen[w->id] || !has(s, w, h))
            continue;
        h->seen[w->id] = 1;
        h->missing--;
        note_share(s, h);
    }
    while (s->first < s->count && s->happenings[s->first].missing == 0)
        s->first++;
}

static int compare(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* The middle and the worst of those that came so far, in milliseconds. */
static void figures(int64_t *times, uint32_t count, int64_t *middle_ms, int64_t *worst_ms)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (times[i] > 0)
            times[kept++] = times[i];
    qsort(times, kept, sizeof *times, compare);
    *middle_ms = kept > 0 ? times[kept / 2] / 1000 : -1;
    *worst_ms = kept > 0 ? times[kept - 1] / 1000 : -1;
}

static void print_spread(const struct story *s, const char *what, const struct spread *spread)
{
    int64_t m[4], w[4];
    int64_t *const lists[] = {spread->half, spread->most, spread->nearly, spread->all};
    for (int i = 0; i < 4; i++)
        figures(lists[i], s->count, &m[i], &w[i]);
    printf("  %s: ms to 50/90/99/100%% of nodes: median %" PRId64 "/%" PRId64 "/%" PRId64 "/%" PRId64 ", worst %" PRId64
           "/%" PRId64 "/%" PRId64 "/%" PRId64 "\n",
        what, m[0], m[1], m[2], m[3], w[0], w[1], w[2], w[3]);
}

/* ---- the network ---- */

static void spread_init(struct spread *spread)
{
    spread->half = mem_try_array(EVENTS_MAX, sizeof(int64_t));
    spread->most = mem_try_array(EVENTS_MAX, sizeof(int64_t));
    spread->nearly = mem_try_array(EVENTS_MAX, sizeof(int64_t));
    spread->all = mem_try_array(EVENTS_MAX, sizeof(int64_t));
    demand(spread->half != NULL && spread->most != NULL && spread->nearly != NULL && spread->all != NULL, "memory");
}

static void spread_clear(struct spread *spread)
{
    mem_free(spread->half);
    mem_free(spread->most);
    mem_free(spread->nearly);
    mem_free(spread->all);
}

static void host_of(char out[32], uint32_t i)
{
    snprintf(out, 32, "%u.%u.1.1", 20 + i / 200, 1 + i % 200);
}

/* One in four cannot be reached; lines of 0.5 to 8 MB/s, 2 to 100 ms away; clocks up to 30 s off. */
static struct swarm_node *add_node(struct story *s)
{
    struct swarm *sim = s->sim;
    struct sim_random *random = world_random(sim->world);
    uint32_t i = sim->count;
    char host[32], first[64], second[64];
    host_of(host, i);
    char other[32];
    host_of(other, i < BACKBONE ? (i + BACKBONE - 1) % BACKBONE : (uint32_t)sim_random_below(random, BACKBONE));
    snprintf(first, sizeof first, "-%s=%s", i < BACKBONE ? "addnode" : "seednode", other);
    host_of(other, (uint32_t)sim_random_below(random, BACKBONE));
    snprintf(second, sizeof second, "-seednode=%s", other);
    const char *options[] = {first, "-v2transport=0", "-dbcache=4", i < BACKBONE ? NULL : second, NULL};
    struct swarm_node *w = swarm_add(sim, host, i < BACKBONE || sim_random_below(random, 4) > 0, options);
    int64_t b_s = 500000 << sim_random_below(random, 5);
    network_set_line(sim->network, w->place, b_s, b_s, 2000 + (int64_t)sim_random_below(random, 98000));
    w->place->clock_skew_ms = (int64_t)sim_random_below(random, 60001) - 30000;
    return w;
}

static void story_begin(struct story *s)
{
    static const uint64_t seed[2] = {7, 9};
    telling = s;
    s->sim = swarm_new(s->seed, "regtest");
    s->sim->tick_us = TICK_SWARM_US;
    s->sim->on_turn = on_turn;
    s->sim->ctx = s;
    network_set_loss(s->sim->network, 5);
    table_init(&s->streams, sizeof(void *), sizeof(struct stream), 1u << 22, seed);
    table_init(&s->said, sizeof(struct { const void *at; uint64_t hash; }), 1, 1u << 26, seed);
    network_watch(s->sim->network, watch, s);
    spread_init(&s->blocks);
    spread_init(&s->payments);
}

static void story_end(struct story *s)
{
    s->sim->on_turn = NULL;
    swarm_free(s->sim);
    for (uint32_t i = 0; i < s->count; i++)
        mem_free(s->happenings[i].seen);
    table_clear(&s->streams);
    table_clear(&s->said);
    spread_clear(&s->blocks);
    spread_clear(&s->payments);
}

static struct swarm_node *anyone(struct story *s)
{
    struct swarm_node *w;
    do
        w = s->sim->nodes[sim_random_below(world_random(s->sim->world), s->sim->count)];
    while (w->node == NULL);
    return w;
}

static void mine_one(struct story *s, struct swarm_node *w)
{
    swarm_mine(w, 1);
    for (uint32_t i = 0; i < s->count; i++)
        if (!s->happenings[i].is_block && s->happenings[i].seen[w->id] && s->happenings[i].mined_in == 0)
            s->happenings[i].mined_in = s->count;
    follow(s, swarm_tip(w)->id.b, true);
    on_turn(s, w);
}

static void submit(struct swarm_node *w, const struct tx *tx)
{
    struct swarm_answer answer;
    struct buf text;
    buf_init(&text, 1u << 20);
    buf_put_text(&text, "[\"");
    buf_put_hex(&text, tx->raw.data, tx->raw.size_b);
    buf_put_text(&text, "\",0]");
    buf_put_u8(&text, 0);
    swarm_ask(w, &answer, "sendrawtransaction", (const char *)text.data);
    swarm_forget(&answer);
    buf_clear(&text);
}

/* The coinbase of the first block becomes many coins. */
static void make_coins(struct story *s)
{
    struct swarm_node *w = s->sim->nodes[0];
    struct swarm_answer answer;
    char params[96], hex[ID_HEX_SIZE_B];
    struct outpoint from = {.index = 0};
    hash_to_hex(hex, ledger_at(node_ledger(w->node), 1)->id.b);
    snprintf(params, sizeof params, "[\"%s\",1]", hex);
    const struct json *block = swarm_ask(w, &answer, "getblock", params);
    demand(hash_from_hex(from.txid.b, json_at(json_get(block, "tx"), 0)->text), "a block without coinbase");
    swarm_forget(&answer);
    int64_t all_sat = chain_subsidy_sat(s->sim->chain, 1) - 100 * FEE_SAT;
    struct tx *tx = maker_spend(&from, 1, all_sat, COINS);
    s->coins.txid = tx->txid;
    s->coin_sat = all_sat / COINS;
    submit(w, tx);
    tx_unref(tx);
    swarm_mine(w, 1);
}

static void pay_one(struct story *s, struct swarm_node *w)
{
    demand(s->coins_used < COINS, "no coins are left");
    struct outpoint from = s->coins;
    from.index = s->coins_used++;
    struct tx *tx = maker_spend(&from, 1, s->coin_sat - FEE_SAT, 2);
    submit(w, tx);
    follow(s, tx->txid.b, false);
    on_turn(s, w);
    tx_unref(tx);
}

static bool agree(const struct swarm *sim)
{
    for (uint32_t i = 1; i < sim->count; i++)
        if (sim->nodes[i]->node != NULL &&
            !block_id_equal(&swarm_tip(sim->nodes[i])->id, &swarm_tip(sim->nodes[0])->id))
            return false;
    return true;
}

static void await_agreement(struct story *s, uint32_t minutes, const char *what)
{
    for (uint32_t i = 0; i < minutes * 6 && !agree(s->sim); i++)
        swarm_run_us(s->sim, 10 * SECOND_US);
    for (uint32_t i = 0; i < s->sim->count && !agree(s->sim); i++) {
        const struct swarm_node *w = s->sim->nodes[i];
        if (w->node != NULL && !block_id_equal(&swarm_tip(w)->id, &swarm_tip(s->sim->nodes[0])->id))
            fprintf(stderr, "node %u, %s: height %d, %u peers\n", i, w->listens ? "reachable" : "hidden", swarm_tip(w)->height,
                p2p_count(node_p2p(w->node), true, true));
    }
    demand(agree(s->sim), what);
}

static void settle(struct story *s)
{
    for (uint32_t i = 0; i < BACKBONE; i++)
        add_node(s);
    swarm_run_us(s->sim, MINUTE_US);
    swarm_mine(s->sim->nodes[0], FIRST_BLOCKS);
    await_agreement(s, 10, "the backbone does not agree");
    while (s->sim->count < s->nodes) { /* they come over ten minutes */
        add_node(s);
        swarm_run_us(s->sim, 10 * MINUTE_US / s->nodes);
    }
    swarm_run_us(s->sim, 5 * MINUTE_US);
    make_coins(s);
    await_agreement(s, 30, "the nodes do not agree on the first blocks");
}

static double resident_mib(void)
{
    long pages = 0, ignored;
    FILE *f = fopen("/proc/self/statm", "r");
    demand(f != NULL && fscanf(f, "%ld %ld", &ignored, &pages) == 2, "/proc/self/statm");
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

/* ---- hour and churn ---- */

/* Nodes that have this address; 100 * share. */
static uint32_t know(struct story *s, const struct net_addr *addr)
{
    uint32_t count = 0;
    char text[NET_ADDR_TEXT_SIZE_B];
    net_addr_to_text(text, addr, false);
    for (uint32_t i = 0; i < s->sim->count; i++) {
        struct swarm_answer answer;
        const struct json *all = swarm_ask(s->sim->nodes[i], &answer, "getnodeaddresses", "[0]");
        bool found = false;
        for (const struct json *v = all->first; v != NULL && !found; v = v->next)
            found = span_is(json_get(v, "address")->text, text);
        count += found;
        swarm_forget(&answer);
    }
    return 100 * count / s->sim->count;
}

static void newcomer(struct story *s)
{
    struct swarm_node *w = add_node(s);
    while (!w->listens) /* one that others can use */
        w = add_node(s);
    uint32_t first = 0, hours = 1, share = 0;
    swarm_run_us(s->sim, HOUR_US);
    first = share = know(s, &w->addr);
    s->sim->tick_us = SECOND_US; /* nothing else happens */
    for (; hours < NEWCOMER_HOURS_MAX && share < 95; hours++) {
        swarm_run_us(s->sim, HOUR_US);
        share = know(s, &w->addr);
    }
    printf("  address of a newcomer: known to %u%% of nodes after an hour, to %u%% after %u\n", first, share, hours);
    demand(first >= 70, "the address of a newcomer does not reach 70% of the nodes within an hour");
    demand(share >= 95, "the address of a newcomer does not reach 95% of the nodes within two days");
}

static void restart_half(struct story *s)
{
    struct swarm *sim = s->sim;
    for (uint32_t i = BACKBONE; i < sim->count; i++)
        if (sim->nodes[i]->node == NULL)
            swarm_start(sim->nodes[i]);
        else if (sim_random_below(world_random(sim->world), 2) == 0) {
            swarm_crash(sim->nodes[i]);
            s->restarts++;
        }
}

static void live(struct story *s, bool churns)
{
    story_begin(s);
    settle(s);
    int64_t began_us = world_now_us(s->sim->world);
    uint64_t events = world_events(s->sim->world);
    for (uint32_t minute = 0; minute < s->minutes; minute++) {
        if (churns)
            restart_half(s);
        mine_one(s, churns ? s->sim->nodes[minute % BACKBONE] : anyone(s));
        for (int i = 0; i < 6; i++) {
            pay_one(s, churns ? s->sim->nodes[i] : anyone(s));
            swarm_run_us(s->sim, 10 * SECOND_US);
        }
    }
    for (uint32_t i = BACKBONE; i < s->sim->count; i++)
        if (s->sim->nodes[i]->node == NULL)
            swarm_start(s->sim->nodes[i]);
    swarm_run_us(s->sim, MINUTE_US);
    mine_one(s, s->sim->nodes[0]);
    await_agreement(s, 20, "the nodes do not agree in the end");
    uint32_t peers = 0, alone = 0;
    for (uint32_t i = 0; i < s->sim->count; i++) {
        uint32_t of_it = p2p_count(node_p2p(s->sim->nodes[i]->node), true, true);
        peers += of_it;
        alone += of_it < 2;
    }
    printf("%s: seed %" PRIu64 ", %u nodes, %" PRId64 " minutes, %" PRIu64 " events, %u restarts\n", s->name, s->seed,
        s->sim->count, (world_now_us(s->sim->world) - began_us) / MINUTE_US, world_events(s->sim->world) - events,
        s->restarts);
    printf("  %.1f peers a node, %u with less than two; %" PRIu64 " bodies on %.0f MB, %" PRIu64
           " sent twice over a link; %.1f MiB a node\n",
        (double)peers / s->sim->count, alone, s->messages, (double)s->bytes / 1e6, s->twice, resident_mib() / s->sim->count);
    print_spread(s, "blocks", &s->blocks);
    print_spread(s, "payments", &s->payments);
    demand(s->twice == 0, "a body went twice over one link");
    demand(alone == 0, "a node has hardly any peers");
    if (!churns) {
        for (uint32_t i = 0; i < s->count; i++)
            demand(s->happenings[i].missing == 0, "a block or payment has not reached everybody");
        if (s->nodes <= NEWCOMER_NODES_MAX) /* days of many nodes take long */
            newcomer(s);
    }
    story_end(s);
}

/* ---- the late joiner ---- */

#define JOIN_SERVERS 8u
#define JOIN_BLOCKS 200u
#define JOIN_BLOCK_B 60000u
#define JOIN_LINE_B_S 100000

static void offer(struct swarm_node *w, const struct block *block)
{
    struct swarm_answer answer;
    struct buf text;
    buf_init(&text, 1u << 20);
    buf_put_text(&text, "[\"");
    buf_put_hex(&text, block->raw.data, block->raw.size_b);
    buf_put_text(&text, "\"]");
    buf_put_u8(&text, 0);
    swarm_ask(w, &answer, "submitblock", (const char *)text.data);
    swarm_forget(&answer);
    buf_clear(&text);
}

/* Seconds that a newcomer needs for the chain with these peers: `good` with full lines, `slow` with hardly any. */
static double join_s(struct story *s, uint32_t good, uint32_t slow)
{
    uint8_t *script = mem_new(JOIN_BLOCK_B);
    struct swarm *sim = swarm_new(s->seed, "regtest");
    char text[JOIN_SERVERS + 1][64];
    const char *options[JOIN_SERVERS + 3] = {"-v2transport=0"};
    script[0] = 0x6a; /* OP_RETURN: bulk */
    for (uint32_t i = 0; i < good + slow; i++) {
        char host[32];
        host_of(host, i);
        static const char *const alone[] = {"-v2transport=0", "-connect=0", "-listen=1", NULL};
        swarm_add(sim, host, true, alone);
        network_set_line(sim->network, sim->nodes[i]->place, i < good ? JOIN_LINE_B_S : JOIN_LINE_B_S / 100, 0, 20000);
        snprintf(text[i], sizeof text[i], "-connect=%s", host);
        options[i + 1] = text[i];
    }
    struct block_id prev = sim->chain->genesis->id;
    int64_t now_s = world_wall_ms(sim->world) / 1000;
    for (uint32_t k = 1; k <= JOIN_BLOCKS; k++) {
        struct maker_block spec = {.prev = prev, .height = (int32_t)k, .bits = sim->chain->genesis->header.bits,
            .time_s = (uint32_t)(now_s - 60 * (int64_t)(JOIN_BLOCKS - k)), .script = span_of(script, JOIN_BLOCK_B)};
        struct block *block = maker_build(sim->chain, &spec);
        prev = block->id;
        for (uint32_t i = 0; i < good + slow; i++)
            offer(sim->nodes[i], block);
        block_unref(block);
    }
    struct swarm_node *joiner = swarm_add(sim, "99.1.1.1", false, options);
    int64_t began_us = world_now_us(sim->world);
    while (swarm_tip(joiner)->height < (int32_t)JOIN_BLOCKS && world_now_us(sim->world) - began_us < 30 * MINUTE_US)
        swarm_run_us(sim, SECOND_US / 20);
    demand(swarm_tip(joiner)->height == (int32_t)JOIN_BLOCKS, "the joiner does not arrive");
    double took_s = (double)(world_now_us(sim->world) - began_us) / 1e6;
    swarm_free(sim);
    mem_free(script);
    return took_s;
}

static void joiner(struct story *s)
{
    telling = s;
    double ideal_s = (double)JOIN_BLOCKS * JOIN_BLOCK_B / JOIN_LINE_B_S;
    double one_s = join_s(s, 1, 0), seven_s = join_s(s, JOIN_SERVERS - 1, 0), all_s = join_s(s, JOIN_SERVERS, 0);
    double slow_s = join_s(s, JOIN_SERVERS - 1, 1);
    printf("joiner: seed %" PRIu64 ": %.0f MB from 1/7/8 peers of %d kB/s in %.1f/%.1f/%.1f s (%.2f/%.2f/%.2f of the sum of "
           "their lines), from 7 and one of 1 kB/s in %.1f s (%+.1f%%)\n",
        s->seed, JOIN_BLOCKS * JOIN_BLOCK_B / 1e6, JOIN_LINE_B_S / 1000, one_s, seven_s, all_s, ideal_s / one_s,
        ideal_s / seven_s / 7, ideal_s / all_s / 8, slow_s, 100 * (slow_s / seven_s - 1));
    demand(ideal_s / all_s / 8 > 0.8, "eight peers are not used in full");
    demand(slow_s < 1.05 * seven_s, "a slow peer costs more than 5%");
}

int main(int argc, char **argv)
{
    static struct story s; /* large */
    const char *only = NULL;
    uint32_t nodes = 0, minutes = 0;
    uint64_t seed = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--scenario") == 0)
            only = argv[i + 1];
        else if (strcmp(argv[i], "--nodes") == 0)
            nodes = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--minutes") == 0)
            minutes = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
    }
    swarm_crypto();
    static const struct {
        const char *name;
        uint32_t nodes, minutes;
    } stories[] = {{"hour", 60, 10}, {"churn", 40, 10}, {"joiner", JOIN_SERVERS, 0}};
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        if (only != NULL && strcmp(only, stories[i].name) != 0)
            continue;
        memset(&s, 0, sizeof s);
        s.name = stories[i].name;
        s.seed = seed;
        s.nodes = nodes != 0 ? nodes : stories[i].nodes;
        s.minutes = minutes != 0 ? minutes : stories[i].minutes;
        if (i == 2)
            joiner(&s);
        else
            live(&s, i == 1);
    }
    return 0;
}
