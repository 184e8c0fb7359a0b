/* Proves that whole nodes agree: ten of them in one process find each other, mine and pay, fall apart into two
 * networks, lose one by a power cut, and come together again to one ledger and one mempool; that the same
 * seed gives the same run; that a peer that sends noise, or reads nothing, changes nothing for the others.
 *
 * The nodes are what coind runs (node/node.h), with their RPC servers; only the world below is simulated. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "coin/ledger/ledger.h"
#include "coin/mempool/mempool.h"
#include "swarm.h"

#define NODES 10u

struct stranger { /* a peer made by hand */
    struct world_node *place;
    bool dropped;
};

/* ---- the network ---- */

/* Node i knows only node i - 1; the first knows nobody. */
static struct swarm *sim_new(uint64_t seed, uint32_t count)
{
    struct swarm *sim = swarm_new(seed, "regtest");
    char option[64], host[32];
    sim->traces = true;
    for (uint32_t i = 0; i < count; i++) {
        snprintf(option, sizeof option, "-addnode=%u.1.2.3:%d", 20 + i - 1, SWARM_PORT);
        snprintf(host, sizeof host, "%u.1.2.3", 20 + i);
        const char *options[] = {i == 0 ? "-discover=0" : option, NULL};
        swarm_add(sim, host, true, options);
    }
    return sim;
}

static bool agree(struct swarm *sim, uint32_t from, uint32_t to)
{
    const struct swarm_node *first = sim->nodes[from];
    struct mempool_stats pool = mempool_stats(node_mempool(first->node));
    for (uint32_t i = from + 1; i < to; i++) {
        struct swarm_node *w = sim->nodes[i];
        struct mempool_stats other = mempool_stats(node_mempool(w->node));
        if (!block_id_equal(&swarm_tip(w)->id, &swarm_tip(first)->id) || pool.count != other.count ||
            pool.total_fee_sat != other.total_fee_sat)
            return false;
    }
    return true;
}

static void await_agreement(struct swarm *sim, uint32_t from, uint32_t to, const char *what)
{
    for (int minutes = 0; minutes < 60; minutes++) {
        if (agree(sim, from, to))
            return;
        swarm_run_us(sim, MINUTE_US / 4);
    }
    for (uint32_t i = from; i < to; i++)
        fprintf(stderr, "node %u: height %d, %u transactions, %u peers\n", i, swarm_tip(sim->nodes[i])->height,
            mempool_stats(node_mempool(sim->nodes[i]->node)).count, p2p_count(node_p2p(sim->nodes[i]->node), true, true));
    swarm_demand(false, what);
}

static void expect_same_coins(struct swarm *sim)
{
    char first[65] = "";
    for (uint32_t i = 0; i < NODES; i++) {
        struct swarm_answer answer;
        const struct json *hash = json_get(swarm_ask(sim->nodes[i], &answer, "gettxoutsetinfo", "[]"), "hash_serialized_3");
        if (i == 0)
            snprintf(first, sizeof first, "%.*s", (int)hash->text.size_b, (const char *)hash->text.data);
        swarm_demand(span_is(hash->text, first), "the nodes have other coins");
        swarm_forget(&answer);
    }
}

/* ---- the stories ---- */

static uint64_t apart_and_together(uint64_t seed)
{
    struct swarm *sim = sim_new(seed, NODES);
    swarm_run_us(sim, 2 * MINUTE_US);
    swarm_mine(sim->nodes[0], 110);
    await_agreement(sim, 0, NODES, "ten nodes do not agree on the first blocks");
    swarm_mine(sim->nodes[7], 1);
    await_agreement(sim, 0, NODES, "one block does not reach ten nodes");
    swarm_demand(network_connections(sim->network) >= NODES - 1, "they do not know each other");
    for (int i = 1; i <= 4; i++)
        swarm_pay(sim->nodes[2 * i], i);
    await_agreement(sim, 0, NODES, "payments do not reach everybody");
    swarm_demand(mempool_stats(node_mempool(sim->nodes[0]->node)).count == 4, "a payment is lost");

    network_split(sim->network, 0x3e0); /* 5 to 9 on their own */
    swarm_mine(sim->nodes[1], 2);
    swarm_pay(sim->nodes[2], 6);
    swarm_mine(sim->nodes[8], 4);
    swarm_pay(sim->nodes[9], 7);
    swarm_run_us(sim, 2 * MINUTE_US);
    swarm_demand(!block_id_equal(&swarm_tip(sim->nodes[0])->id, &swarm_tip(sim->nodes[9])->id), "the split does not split");
    swarm_crash(sim->nodes[3]);
    swarm_mine(sim->nodes[4], 1);
    swarm_run_us(sim, MINUTE_US);
    swarm_start(sim->nodes[3]);

    network_split(sim->network, 0);
    swarm_run_us(sim, 10 * MINUTE_US);
    swarm_mine(sim->nodes[6], 1);
    await_agreement(sim, 0, NODES, "the halves do not come together");
    swarm_demand(swarm_tip(sim->nodes[0])->height == 116, "the branch with less work has won");
    swarm_mine(sim->nodes[3], 1);
    await_agreement(sim, 0, NODES, "the node that lost power does not mine for all");
    expect_same_coins(sim);
    uint64_t trace = sim->trace[0];
    swarm_free(sim);
    return trace;
}

/* ---- a peer made by hand ---- */

static void stranger_closed(void *ctx, uint64_t conn_id, const char *reason)
{
    (void)conn_id, (void)reason;
    ((struct stranger *)ctx)->dropped = true;
}

static size_t stranger_reads_nothing(void *ctx, uint64_t conn_id, struct span bytes)
{
    (void)ctx, (void)conn_id, (void)bytes;
    return 0;
}

static struct stranger *stranger_dials(struct swarm *sim, const struct swarm_node *to)
{
    static struct stranger stranger;
    struct net_addr addr;
    struct network_events events = {.ctx = &stranger, .on_closed = stranger_closed, .on_bytes = stranger_reads_nothing};
    stranger = (struct stranger){world_add_node(sim->world), false};
    swarm_demand(net_addr_parse(&addr, span_text("99.1.2.3"), SWARM_PORT), "an address");
    network_attach(sim->network, stranger.place, &addr, false, &events);
    stranger.place->env.dial(stranger.place->env.ctx, 1, &to->addr);
    swarm_run_us(sim, MINUTE_US / 60);
    return &stranger;
}

static void noise(uint64_t seed)
{
    struct swarm *sim = sim_new(seed, 3);
    swarm_mine(sim->nodes[0], 5);
    await_agreement(sim, 0, 3, "three nodes do not agree");
    struct stranger *stranger = stranger_dials(sim, sim->nodes[1]);
    struct buf bytes;
    buf_init(&bytes, 1u << 20);
    for (uint32_t i = 0; i < 100000; i++)
        buf_put_u8(&bytes, (uint8_t)(i * 7 + i / 251));
    stranger->place->env.send(stranger->place->env.ctx, 1, &bytes);
    buf_clear(&bytes);
    swarm_run_us(sim, MINUTE_US);
    swarm_demand(stranger->dropped, "noise is listened to");
    swarm_mine(sim->nodes[2], 1);
    await_agreement(sim, 0, 3, "noise has done harm");
    network_detach(sim->network, stranger->place);
    swarm_free(sim);
}

/* It completes no read, so what is sent to it piles up; the others do not wait for it. */
static void silence(uint64_t seed)
{
    struct swarm *sim = sim_new(seed, 3);
    await_agreement(sim, 0, 3, "three nodes do not agree");
    struct stranger *stranger = stranger_dials(sim, sim->nodes[1]);
    swarm_run_us(sim, MINUTE_US / 4);
    int64_t began_us = world_now_us(sim->world);
    for (int i = 0; i < 20; i++)
        swarm_mine(sim->nodes[0], 1);
    await_agreement(sim, 0, 3, "a peer that reads nothing holds the others up");
    swarm_demand(world_now_us(sim->world) - began_us < MINUTE_US, "a peer that reads nothing slows the others down");
    swarm_run_us(sim, 5 * MINUTE_US);
    swarm_demand(stranger->dropped, "a peer that never answers is kept for ever");
    network_detach(sim->network, stranger->place);
    swarm_free(sim);
}

/* Five that it dialed tell a node that its clock is wrong; nobody who only dialed in does. */
static void wrong_clock(int64_t skew_s)
{
    static const char *const known[] = {"-addnode=20.1.2.3", "-addnode=21.1.2.3", "-addnode=22.1.2.3", "-addnode=23.1.2.3",
        "-addnode=24.1.2.3", NULL};
    struct swarm *sim = sim_new(1, 5);
    struct swarm_node *odd = swarm_add(sim, "25.1.2.3", true, known);
    odd->place->clock_skew_ms = -skew_s * 1000;
    swarm_run_us(sim, 2 * MINUTE_US);
    for (uint32_t i = 0; i < sim->count; i++) {
        struct swarm_answer answer;
        const struct json *info = swarm_ask(sim->nodes[i], &answer, "getnetworkinfo", "[]");
        bool wrong = sim->nodes[i] == odd && skew_s != 0;
        int64_t offset_s = -1;
        struct fail why;
        swarm_demand(json_to_i64(&offset_s, json_get(info, "timeoffset"), "timeoffset", &why) && offset_s - (wrong ? skew_s : 0) <= 1 &&
            offset_s - (wrong ? skew_s : 0) >= -1, "the offset of its clock");
        swarm_demand(json_get(info, "warnings")->count == (wrong && (skew_s > 600 || skew_s < -600) ? 1 : 0), "a wrong clock and its warning");
        swarm_forget(&answer);
    }
    swarm_free(sim);
}

int main(void)
{
    swarm_crypto();
    uint64_t trace = apart_and_together(1);
    swarm_demand(apart_and_together(1) == trace, "the same seed gives another run");
    swarm_demand(apart_and_together(2) != trace, "another seed gives the same run");
    for (uint64_t seed = 3; seed < 6; seed++)
        apart_and_together(seed);
    for (uint64_t seed = 1; seed < 4; seed++) {
        noise(seed);
        silence(seed);
    }
    static const int64_t skews_s[] = {0, 500, 1200, -1200};
    for (size_t i = 0; i < sizeof skews_s / sizeof skews_s[0]; i++)
        wrong_clock(skews_s[i]);
    printf("sim_network: 6 runs of ten nodes agree, one of them twice the same; 6 runs with bad peers, 4 with other clocks\n");
    return 0;
}
