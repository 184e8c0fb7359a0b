/* Proves that whole nodes agree: ten of them in one process find each other, mine and pay, fall apart into two
 * networks, lose one by a power cut, and come together again to one ledger and one mempool; that the same
 * seed gives the same run; that a peer that sends noise, or reads nothing, changes nothing for the others.
 *
 * The nodes are what coind runs (node/node.h), with their RPC servers; only the world below is simulated. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coin/base/json.h"
#include "coin/base/mem.h"
#include "coin/base/table.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/secp.h"
#include "coin/crypto/sha256.h"
#include "coin/ledger/ledger.h"
#include "coin/mempool/mempool.h"
#include "coin/node/node.h"
#include "coin/node/options.h"
#include "coin/p2p/p2p.h"
#include "coin/rpc/rpc.h"
#include "maker.h"
#include "network.h"

#define NODES 10u
#define START_MS (INT64_C(1700000000) * 1000)
#define PORT 18444
#define TICK_US (INT64_C(100) * 1000)
#define TURNS_MAX 1000
#define ANYONE "raw(51)#8lvh9jxk" /* pays to OP_TRUE */

struct sim {
    struct world *world;
    struct network *network;
    struct chain *chain;
    uint64_t trace[2]; /* a running SipHash over all that the network delivered */
    struct whole *nodes[NODES];
    struct world_node *stranger; /* a peer made by hand */
    bool stranger_dropped;
};
struct whole {
    struct sim *sim;
    struct world_node *place;
    struct net_addr addr;
    struct config *config;
    struct node *node; /* NULL: down */
    bool crashed, stopped;
};
struct answer {
    bool done;
    int status;
    struct buf body;
    struct json_doc doc;
};

static void demand(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "sim_network: %s\n", what);
    exit(1);
}

/* ---- one node ---- */

static void note(struct sim *sim, const struct whole *at, const char *what, struct span bytes)
{
    struct { uint64_t before, now_us, id, what, bytes; } mix = {sim->trace[0], (uint64_t)world_now_us(sim->world),
        at->place->id, siphash(sim->trace, what, strlen(what)), siphash(sim->trace, bytes.data, bytes.size_b)};
    sim->trace[1] = sim->trace[0];
    sim->trace[0] = siphash(sim->trace, &mix, sizeof mix);
}

static void turn(struct whole *w)
{
    for (int i = 0; i < TURNS_MAX && w->node != NULL && node_turn(w->node); i++)
        ;
}

static bool on_accept(void *ctx, uint64_t conn_id, const struct net_addr *remote, const struct net_addr *local)
{
    struct whole *w = ctx;
    note(w->sim, w, "accept", span_of(&conn_id, sizeof conn_id));
    bool taken = node_on_accept(w->node, conn_id, remote, local);
    turn(w);
    return taken;
}

static void on_dialed(void *ctx, uint64_t conn_id)
{
    struct whole *w = ctx;
    note(w->sim, w, "dialed", span_of(&conn_id, sizeof conn_id));
    node_on_dialed(w->node, conn_id);
    turn(w);
}

static void on_closed(void *ctx, uint64_t conn_id, const char *reason)
{
    struct whole *w = ctx;
    note(w->sim, w, "closed", span_text(reason));
    node_on_closed(w->node, conn_id, reason);
    turn(w);
}

static size_t on_bytes(void *ctx, uint64_t conn_id, struct span bytes)
{
    struct whole *w = ctx;
    note(w->sim, w, "bytes", bytes);
    size_t taken = node_on_bytes(w->node, conn_id, bytes);
    turn(w);
    return taken;
}

static void on_writable(void *ctx, uint64_t conn_id)
{
    struct whole *w = ctx;
    node_on_writable(w->node, conn_id);
    turn(w);
}

static void on_beacon(void *ctx, const struct net_addr *from, struct span datagram)
{
    struct whole *w = ctx;
    note(w->sim, w, "beacon", datagram);
    node_on_beacon(w->node, from, datagram);
    turn(w);
}

static void on_tick(void *ctx, uint64_t arg)
{
    struct whole *w = ctx;
    (void)arg;
    if (w->node == NULL)
        return;
    node_on_tick(w->node);
    turn(w);
    world_at(w->sim->world, w->place, TICK_US, on_tick, w, 0);
}

static void on_stopped(void *ctx, const struct fail *why)
{
    struct whole *w = ctx;
    demand(why->kind == FAIL_NONE || w->crashed, why->detail);
    w->stopped = true;
}

static void start(struct whole *w)
{
    struct fail why;
    struct node_hooks hooks = {.ctx = w, .stopped = on_stopped};
    struct network_events events = {w, on_accept, on_dialed, on_closed, on_bytes, on_writable, NULL, on_beacon};
    w->crashed = w->stopped = false;
    w->node = node_open(&w->place->env, w->sim->chain, w->config, "data", &hooks, &why);
    demand(w->node != NULL, why.detail);
    network_attach(w->sim->network, w->place, &w->addr, true, &events);
    node_start(w->node);
    turn(w);
    world_at(w->sim->world, w->place, TICK_US, on_tick, w, 0);
}

/* The power goes: what was not synced is lost, and nobody is told goodbye. */
static void crash(struct whole *w)
{
    static const struct fail none = {.kind = FAIL_NONE};
    w->crashed = true;
    sim_disk_die(w->place->disk);
    network_detach(w->sim->network, w->place);
    struct node *node = w->node;
    node_stop(node, &none); /* its memory comes home; nothing reaches the disk */
    world_node_drain(w->place);
    node_free(node);
    w->node = NULL;
    world_node_forget(w->place);
    sim_disk_restart(w->place->disk, true);
}

static void stop(struct whole *w)
{
    static const struct fail none = {.kind = FAIL_NONE};
    node_stop(w->node, &none);
    for (int i = 0; i < 100000 && !w->stopped; i++) {
        turn(w);
        world_step(w->sim->world);
    }
    demand(w->stopped, "a node does not stop");
    network_detach(w->sim->network, w->place);
    world_node_drain(w->place);
    node_free(w->node);
    w->node = NULL;
    world_node_forget(w->place);
}

/* ---- asking a node ---- */

static void on_reply(void *ctx, int status, struct buf *body)
{
    struct answer *answer = ctx;
    answer->status = status;
    buf_move(&answer->body, body);
    answer->done = true;
}

/* One event, then everybody's turn: results of jobs come without a call to the node. */
static bool step(struct sim *sim)
{
    bool any = world_step(sim->world);
    for (uint32_t i = 0; i < NODES; i++) {
        if (sim->nodes[i] != NULL)
            turn(sim->nodes[i]);
    }
    return any;
}

static void run_us(struct sim *sim, int64_t us)
{
    int64_t end_us = world_now_us(sim->world) + us;
    while (world_now_us(sim->world) < end_us && step(sim))
        ;
}

/* The result of a call, which must succeed. Free with forget. */
static const struct json *ask(struct whole *w, struct answer *answer, const char *method, const char *params)
{
    struct buf body;
    struct fail why;
    memset(answer, 0, sizeof *answer);
    buf_init(&answer->body, 64u << 20);
    buf_init(&body, 64u << 20);
    buf_printf(&body, "{\"method\":\"%s\",\"params\":%s}", method, params);
    (void)rpc_server_handle(node_rpc(w->node), &body, (struct span){NULL, 0}, "test", (struct rpc_reply){on_reply, answer});
    buf_clear(&body);
    for (int i = 0; i < 1000000 && !answer->done; i++)
        step(w->sim);
    demand(answer->done && json_parse(&answer->doc, buf_span(&answer->body), &why), method);
    if (answer->status != 200)
        fprintf(stderr, "%.*s\n", (int)answer->body.size_b, (const char *)answer->body.data);
    demand(answer->status == 200, method);
    return json_get(answer->doc.root, "result");
}

static void forget(struct answer *answer)
{
    json_doc_clear(&answer->doc);
    buf_clear(&answer->body);
}

static void mine(struct whole *w, uint32_t count)
{
    struct answer answer;
    char params[64];
    snprintf(params, sizeof params, "[%" PRIu32 ",\"" ANYONE "\"]", count);
    const struct json *made = ask(w, &answer, "generatetodescriptor", params);
    demand(made->count == count, "blocks are missing");
    forget(&answer);
}

/* Spends the coinbase of the active block at a height; the fee is a thousandth of a coin. */
static void pay(struct whole *w, int32_t height)
{
    struct answer answer;
    char params[96], hex[ID_HEX_SIZE_B];
    struct outpoint from = {.index = 0};
    hash_to_hex(hex, ledger_at(node_ledger(w->node), height)->id.b);
    snprintf(params, sizeof params, "[\"%s\",1]", hex);
    const struct json *block = ask(w, &answer, "getblock", params);
    demand(hash_from_hex(from.txid.b, json_at(json_get(block, "tx"), 0)->text), "a block without coinbase");
    forget(&answer);
    struct tx *tx = maker_spend(&from, 1, chain_subsidy_sat(w->sim->chain, height) - COIN_SAT / 1000, 2);
    struct buf text;
    buf_init(&text, 1u << 20);
    buf_put_text(&text, "[\"");
    buf_put_hex(&text, tx->raw.data, tx->raw.size_b);
    buf_put_text(&text, "\",0]");
    buf_put_u8(&text, 0);
    ask(w, &answer, "sendrawtransaction", (const char *)text.data);
    forget(&answer);
    buf_clear(&text);
    tx_unref(tx);
}

static const struct block_index *tip(const struct whole *w)
{
    return ledger_tip(node_ledger(w->node));
}

/* ---- the network ---- */

static void add(struct sim *sim, uint32_t i, const char *friend_option)
{
    struct whole *w = mem_new(sizeof *w);
    struct fail why;
    char text[5][64] = {"coind", "-disablewallet", "-acceptnonstdtxn", "-landiscovery=0", ""}, addr[32];
    char *argv[5];
    snprintf(text[4], sizeof text[4], "%s", friend_option);
    for (uint32_t k = 0; k < 5; k++)
        argv[k] = text[k];
    snprintf(addr, sizeof addr, "%u.1.2.3", 20 + i);
    w->sim = sim;
    w->place = world_add_node(sim->world);
    demand(net_addr_parse(&w->addr, span_text(addr), PORT), "an address");
    w->config = config_new(node_options);
    demand(config_parse_args(w->config, 5, argv, &why), why.detail);
    config_select_chain(w->config, "regtest", false);
    sim->nodes[i] = w;
    start(w);
}

/* Node i knows only node i - 1; the first knows nobody. */
static struct sim *sim_new(uint64_t seed, uint32_t count)
{
    struct sim *sim = mem_new(sizeof *sim);
    struct fail why;
    char option[64];
    sim->world = world_new(seed, START_MS);
    sim->network = network_new(sim->world, CONN_ACCEPTED_FIRST);
    sim->chain = chain_load("regtest", &why);
    demand(sim->chain != NULL, why.detail);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(option, sizeof option, "-addnode=%u.1.2.3:%d", 20 + i - 1, PORT);
        add(sim, i, i == 0 ? "-discover=0" : option);
    }
    return sim;
}

static void sim_free(struct sim *sim)
{
    for (uint32_t i = 0; i < NODES; i++) {
        if (sim->nodes[i] == NULL)
            continue;
        stop(sim->nodes[i]);
        config_free(sim->nodes[i]->config);
        mem_free(sim->nodes[i]);
        sim->nodes[i] = NULL;
    }
    network_free(sim->network);
    chain_free(sim->chain);
    world_free(sim->world);
    mem_free(sim);
}

static bool agree(struct sim *sim, uint32_t from, uint32_t to)
{
    const struct whole *first = sim->nodes[from];
    struct mempool_stats pool = mempool_stats(node_mempool(first->node));
    for (uint32_t i = from + 1; i < to; i++) {
        struct whole *w = sim->nodes[i];
        struct mempool_stats other = mempool_stats(node_mempool(w->node));
        if (!block_id_equal(&tip(w)->id, &tip(first)->id) || pool.count != other.count ||
            pool.total_fee_sat != other.total_fee_sat)
            return false;
    }
    return true;
}

static void await_agreement(struct sim *sim, uint32_t from, uint32_t to, const char *what)
{
    for (int minutes = 0; minutes < 60; minutes++) {
        if (agree(sim, from, to))
            return;
        run_us(sim, MINUTE_US / 4);
    }
    for (uint32_t i = from; i < to; i++)
        fprintf(stderr, "node %u: height %d, %u transactions, %u peers\n", i, tip(sim->nodes[i])->height,
            mempool_stats(node_mempool(sim->nodes[i]->node)).count, p2p_count(node_p2p(sim->nodes[i]->node), true, true));
    demand(false, what);
}

static void expect_same_coins(struct sim *sim)
{
    char first[65] = "";
    for (uint32_t i = 0; i < NODES; i++) {
        struct answer answer;
        const struct json *hash = json_get(ask(sim->nodes[i], &answer, "gettxoutsetinfo", "[]"), "hash_serialized_3");
        if (i == 0)
            snprintf(first, sizeof first, "%.*s", (int)hash->text.size_b, (const char *)hash->text.data);
        demand(span_is(hash->text, first), "the nodes have other coins");
        forget(&answer);
    }
}

/* ---- the stories ---- */

static uint64_t apart_and_together(uint64_t seed)
{
    struct sim *sim = sim_new(seed, NODES);
    run_us(sim, 2 * MINUTE_US);
    mine(sim->nodes[0], 110);
    await_agreement(sim, 0, NODES, "ten nodes do not agree on the first blocks");
    mine(sim->nodes[7], 1);
    await_agreement(sim, 0, NODES, "one block does not reach ten nodes");
    demand(network_connections(sim->network) >= NODES - 1, "they do not know each other");
    for (int i = 1; i <= 4; i++)
        pay(sim->nodes[2 * i], i);
    await_agreement(sim, 0, NODES, "payments do not reach everybody");
    demand(mempool_stats(node_mempool(sim->nodes[0]->node)).count == 4, "a payment is lost");

    network_split(sim->network, 0x3e0); /* 5 to 9 on their own */
    mine(sim->nodes[1], 2);
    pay(sim->nodes[2], 6);
    mine(sim->nodes[8], 4);
    pay(sim->nodes[9], 7);
    run_us(sim, 2 * MINUTE_US);
    demand(!block_id_equal(&tip(sim->nodes[0])->id, &tip(sim->nodes[9])->id), "the split does not split");
    crash(sim->nodes[3]);
    mine(sim->nodes[4], 1);
    run_us(sim, MINUTE_US);
    start(sim->nodes[3]);

    network_split(sim->network, 0);
    run_us(sim, 10 * MINUTE_US);
    mine(sim->nodes[6], 1);
    await_agreement(sim, 0, NODES, "the halves do not come together");
    demand(tip(sim->nodes[0])->height == 116, "the branch with less work has won");
    mine(sim->nodes[3], 1);
    await_agreement(sim, 0, NODES, "the node that lost power does not mine for all");
    expect_same_coins(sim);
    uint64_t trace = sim->trace[0];
    sim_free(sim);
    return trace;
}

/* ---- a peer made by hand ---- */

static void stranger_closed(void *ctx, uint64_t conn_id, const char *reason)
{
    (void)conn_id, (void)reason;
    ((struct sim *)ctx)->stranger_dropped = true;
}

static size_t stranger_reads_nothing(void *ctx, uint64_t conn_id, struct span bytes)
{
    (void)ctx, (void)conn_id, (void)bytes;
    return 0;
}

static void stranger_dials(struct sim *sim, const struct whole *to)
{
    struct net_addr addr;
    struct network_events events = {.ctx = sim, .on_closed = stranger_closed, .on_bytes = stranger_reads_nothing};
    sim->stranger = world_add_node(sim->world);
    demand(net_addr_parse(&addr, span_text("99.1.2.3"), PORT), "an address");
    network_attach(sim->network, sim->stranger, &addr, false, &events);
    sim->stranger->env.dial(sim->stranger->env.ctx, 1, &to->addr);
    run_us(sim, MINUTE_US / 60);
}

static void noise(uint64_t seed)
{
    struct sim *sim = sim_new(seed, 3);
    mine(sim->nodes[0], 5);
    await_agreement(sim, 0, 3, "three nodes do not agree");
    stranger_dials(sim, sim->nodes[1]);
    struct buf bytes;
    buf_init(&bytes, 1u << 20);
    for (uint32_t i = 0; i < 100000; i++)
        buf_put_u8(&bytes, (uint8_t)(i * 7 + i / 251));
    sim->stranger->env.send(sim->stranger->env.ctx, 1, &bytes);
    buf_clear(&bytes);
    run_us(sim, MINUTE_US);
    demand(sim->stranger_dropped, "noise is listened to");
    mine(sim->nodes[2], 1);
    await_agreement(sim, 0, 3, "noise has done harm");
    network_detach(sim->network, sim->stranger);
    sim_free(sim);
}

/* It completes no read, so what is sent to it piles up; the others do not wait for it. */
static void silence(uint64_t seed)
{
    struct sim *sim = sim_new(seed, 3);
    await_agreement(sim, 0, 3, "three nodes do not agree");
    stranger_dials(sim, sim->nodes[1]);
    run_us(sim, MINUTE_US / 4);
    int64_t began_us = world_now_us(sim->world);
    for (int i = 0; i < 20; i++)
        mine(sim->nodes[0], 1);
    await_agreement(sim, 0, 3, "a peer that reads nothing holds the others up");
    demand(world_now_us(sim->world) - began_us < MINUTE_US, "a peer that reads nothing slows the others down");
    run_us(sim, 5 * MINUTE_US);
    demand(sim->stranger_dropped, "a peer that never answers is kept for ever");
    network_detach(sim->network, sim->stranger);
    sim_free(sim);
}

int main(void)
{
    static const uint8_t blinding[32] = {1};
    struct fail why;
    demand(sha256_init(NULL, &why) && hash_init(&why) && secp_init(blinding, &why), "crypto");
    uint64_t trace = apart_and_together(1);
    demand(apart_and_together(1) == trace, "the same seed gives another run");
    demand(apart_and_together(2) != trace, "another seed gives the same run");
    for (uint64_t seed = 3; seed < 6; seed++)
        apart_and_together(seed);
    for (uint64_t seed = 1; seed < 4; seed++) {
        noise(seed);
        silence(seed);
    }
    printf("sim_network: 6 runs of ten nodes agree, one of them twice the same; 6 runs with bad peers\n");
    return 0;
}
