/* Whole nodes, as coind runs them (node/node.h), in one process: each with its world_node, its RPC server and its
 * place on the simulated wires. A node's turns follow each of its events and each result of its jobs. */
#include "swarm.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/base/table.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/secp.h"
#include "coin/crypto/sha256.h"
#include "coin/ledger/ledger.h"
#include "coin/node/options.h"
#include "coin/rpc/rpc.h"
#include "maker.h"

#define START_MS (INT64_C(1700000000) * 1000)
#define TICK_US (INT64_C(100) * 1000)
#define TURNS_MAX 1000
#define ARGS_MAX 16u
#define ARG_SIZE_B 96u
#define ANYONE "raw(51)#8lvh9jxk" /* pays to OP_TRUE */

void swarm_demand(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "swarm: %s\n", what);
    exit(1);
}

void swarm_crypto(void)
{
    static const uint8_t blinding[32] = {1};
    struct fail why;
    swarm_demand(sha256_init(NULL, &why) && hash_init(&why) && secp_init(blinding, &why), "crypto");
}

/* ---- one node ---- */

static void note(struct swarm *sim, const struct swarm_node *at, const char *what, struct span bytes)
{
    if (!sim->traces)
        return;
    struct { uint64_t before, now_us, id, what, bytes; } mix = {sim->trace[0], (uint64_t)world_now_us(sim->world),
        at->place->id, siphash(sim->trace, what, strlen(what)), siphash(sim->trace, bytes.data, bytes.size_b)};
    sim->trace[1] = sim->trace[0];
    sim->trace[0] = siphash(sim->trace, &mix, sizeof mix);
}

static void turn(struct swarm_node *w)
{
    for (int i = 0; i < TURNS_MAX && w->node != NULL && node_turn(w->node); i++)
        ;
    if (w->sim->on_turn != NULL && w->node != NULL)
        w->sim->on_turn(w->sim->ctx, w);
}

static void on_done(struct world_node *place)
{
    if (place->user != NULL)
        turn(place->user);
}

static bool on_accept(void *ctx, uint64_t conn_id, const struct net_addr *remote, const struct net_addr *local)
{
    struct swarm_node *w = ctx;
    note(w->sim, w, "accept", span_of(&conn_id, sizeof conn_id));
    bool taken = node_on_accept(w->node, conn_id, remote, local);
    turn(w);
    return taken;
}

static void on_dialed(void *ctx, uint64_t conn_id)
{
    struct swarm_node *w = ctx;
    note(w->sim, w, "dialed", span_of(&conn_id, sizeof conn_id));
    node_on_dialed(w->node, conn_id);
    turn(w);
}

static void on_closed(void *ctx, uint64_t conn_id, const char *reason)
{
    struct swarm_node *w = ctx;
    note(w->sim, w, "closed", span_text(reason));
    node_on_closed(w->node, conn_id, reason);
    turn(w);
}

static size_t on_bytes(void *ctx, uint64_t conn_id, struct span bytes)
{
    struct swarm_node *w = ctx;
    note(w->sim, w, "bytes", bytes);
    size_t taken = node_on_bytes(w->node, conn_id, bytes);
    turn(w);
    return taken;
}

static void on_writable(void *ctx, uint64_t conn_id)
{
    struct swarm_node *w = ctx;
    node_on_writable(w->node, conn_id);
    turn(w);
}

static void on_beacon(void *ctx, const struct net_addr *from, struct span datagram)
{
    struct swarm_node *w = ctx;
    note(w->sim, w, "beacon", datagram);
    node_on_beacon(w->node, from, datagram);
    turn(w);
}

static void on_tick(void *ctx, uint64_t arg)
{
    struct swarm_node *w = ctx;
    (void)arg;
    if (w->node == NULL)
        return;
    node_on_tick(w->node);
    turn(w);
    world_at(w->sim->world, w->place, w->sim->tick_us, on_tick, w, 0);
}

static void on_stopped(void *ctx, const struct fail *why)
{
    struct swarm_node *w = ctx;
    swarm_demand(why->kind == FAIL_NONE || w->crashed, why->detail);
    w->stopped = true;
}

void swarm_start(struct swarm_node *w)
{
    struct fail why;
    struct node_hooks hooks = {.ctx = w, .stopped = on_stopped};
    struct network_events events = {w, on_accept, on_dialed, on_closed, on_bytes, on_writable, NULL, on_beacon};
    w->crashed = w->stopped = false;
    w->node = node_open(&w->place->env, w->sim->chain, w->config, "data", &hooks, &why);
    swarm_demand(w->node != NULL, why.detail);
    network_attach(w->sim->network, w->place, &w->addr, w->listens, &events);
    node_start(w->node);
    turn(w);
    world_at(w->sim->world, w->place, w->sim->tick_us, on_tick, w, 0);
}

void swarm_crash(struct swarm_node *w)
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

void swarm_stop(struct swarm_node *w)
{
    static const struct fail none = {.kind = FAIL_NONE};
    node_stop(w->node, &none);
    for (int i = 0; i < 100000 && !w->stopped; i++) {
        turn(w);
        world_step(w->sim->world);
    }
    swarm_demand(w->stopped, "a node does not stop");
    network_detach(w->sim->network, w->place);
    world_node_drain(w->place);
    node_free(w->node);
    w->node = NULL;
    world_node_forget(w->place);
}

/* ---- asking a node ---- */

static void on_reply(void *ctx, int status, struct buf *body)
{
    struct swarm_answer *answer = ctx;
    answer->status = status;
    buf_move(&answer->body, body);
    answer->done = true;
}

void swarm_run_us(struct swarm *sim, int64_t us)
{
    world_run_us(sim->world, us);
}

const struct json *swarm_ask(struct swarm_node *w, struct swarm_answer *answer, const char *method, const char *params)
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
        world_step(w->sim->world);
    swarm_demand(answer->done && json_parse(&answer->doc, buf_span(&answer->body), &why), method);
    if (answer->status != 200)
        fprintf(stderr, "%.*s\n", (int)answer->body.size_b, (const char *)answer->body.data);
    swarm_demand(answer->status == 200, method);
    return json_get(answer->doc.root, "result");
}

void swarm_forget(struct swarm_answer *answer)
{
    json_doc_clear(&answer->doc);
    buf_clear(&answer->body);
}

void swarm_mine(struct swarm_node *w, uint32_t count)
{
    struct swarm_answer answer;
    char params[64];
    snprintf(params, sizeof params, "[%" PRIu32 ",\"" ANYONE "\"]", count);
    const struct json *made = swarm_ask(w, &answer, "generatetodescriptor", params);
    swarm_demand(made->count == count, "blocks are missing");
    swarm_forget(&answer);
}

void swarm_pay(struct swarm_node *w, int32_t height)
{
    struct swarm_answer answer;
    char params[96], hex[ID_HEX_SIZE_B];
    struct outpoint from = {.index = 0};
    hash_to_hex(hex, ledger_at(node_ledger(w->node), height)->id.b);
    snprintf(params, sizeof params, "[\"%s\",1]", hex);
    const struct json *block = swarm_ask(w, &answer, "getblock", params);
    swarm_demand(hash_from_hex(from.txid.b, json_at(json_get(block, "tx"), 0)->text), "a block without coinbase");
    swarm_forget(&answer);
    struct tx *tx = maker_spend(&from, 1, chain_subsidy_sat(w->sim->chain, height) - COIN_SAT / 1000, 2);
    struct buf text;
    buf_init(&text, 1u << 20);
    buf_put_text(&text, "[\"");
    buf_put_hex(&text, tx->raw.data, tx->raw.size_b);
    buf_put_text(&text, "\",0]");
    buf_put_u8(&text, 0);
    swarm_ask(w, &answer, "sendrawtransaction", (const char *)text.data);
    swarm_forget(&answer);
    buf_clear(&text);
    tx_unref(tx);
}

const struct block_index *swarm_tip(const struct swarm_node *w)
{
    return ledger_tip(node_ledger(w->node));
}

/* ---- the swarm ---- */

struct swarm *swarm_new(uint64_t seed, const char *chain)
{
    struct swarm *sim = mem_new(sizeof *sim);
    struct fail why;
    sim->world = world_new(seed, START_MS);
    world_on_done(sim->world, on_done);
    sim->network = network_new(sim->world, CONN_ACCEPTED_FIRST);
    sim->tick_us = TICK_US;
    sim->chain = chain_load(chain, &why);
    swarm_demand(sim->chain != NULL, why.detail);
    return sim;
}

struct swarm_node *swarm_add(struct swarm *sim, const char *host, bool listens, const char *const *options)
{
    struct swarm_node *w = mem_new(sizeof *w);
    struct fail why;
    static const char *const always[] = {"coind", "-disablewallet", "-acceptnonstdtxn", "-landiscovery=0", "-listenonion=0"};
    char text[ARGS_MAX][ARG_SIZE_B], *argv[ARGS_MAX];
    int argc = 0;
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        snprintf(text[argc++], ARG_SIZE_B, "%s", always[i]);
    for (; options != NULL && *options != NULL && argc < (int)ARGS_MAX; options++)
        snprintf(text[argc++], ARG_SIZE_B, "%s", *options);
    for (int i = 0; i < argc; i++)
        argv[i] = text[i];
    swarm_demand(sim->count < SWARM_MAX, "no room for another node");
    w->sim = sim;
    w->listens = listens;
    w->id = sim->count;
    w->place = world_add_node(sim->world);
    w->place->user = w;
    swarm_demand(net_addr_parse(&w->addr, span_text(host), SWARM_PORT), "an address");
    w->config = config_new(node_options);
    swarm_demand(config_parse_args(w->config, argc, argv, &why), why.detail);
    config_select_chain(w->config, sim->chain->name, false);
    sim->nodes[sim->count++] = w;
    swarm_start(w);
    return w;
}

void swarm_free(struct swarm *sim)
{
    for (uint32_t i = 0; i < sim->count; i++) {
        if (sim->nodes[i]->node != NULL)
            swarm_stop(sim->nodes[i]);
        config_free(sim->nodes[i]->config);
        mem_free(sim->nodes[i]);
    }
    network_free(sim->network);
    chain_free(sim->chain);
    world_free(sim->world);
    mem_free(sim);
}
