/* The rig: each node gets its events from the network and a tick ten times a second; after every event of
 * the world the effects of all ledgers and pools are handed on, as the node's core does it. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coin/base/mem.h"

#define TICK_US 100000
#define TICKS_PER_SECOND 10
#define WIRE_FRAMES_MAX 100000u
#define BLOCK_BACK_S 3000 /* the first blocks lie this far in the past */

static void must(bool ok, const char *what, const char *detail);
static void turn(struct rig_node *node);

/* ---- what the network tells a node ---- */
static bool node_accept(void *ctx, uint64_t conn_id, const struct net_addr *remote, const struct net_addr *local)
{
    struct rig_node *node = ctx;
    bool ok = p2p_on_accept(node->p2p, conn_id, remote, local);
    turn(node);
    return ok;
}

static void node_dialed(void *ctx, uint64_t conn_id)
{
    struct rig_node *node = ctx;
    p2p_on_dialed(node->p2p, conn_id);
    turn(node);
}

static void node_closed(void *ctx, uint64_t conn_id, const char *reason)
{
    struct rig_node *node = ctx;
    p2p_on_closed(node->p2p, conn_id, reason);
    turn(node);
}

static size_t node_bytes(void *ctx, uint64_t conn_id, struct span bytes)
{
    struct rig_node *node = ctx;
    size_t taken_b = p2p_on_bytes(node->p2p, conn_id, bytes);
    turn(node);
    return taken_b;
}

static void node_writable(void *ctx, uint64_t conn_id)
{
    struct rig_node *node = ctx;
    p2p_on_writable(node->p2p, conn_id);
    turn(node);
}

static void node_resolved(void *ctx, uint64_t token, const struct net_addr *addrs, uint32_t count)
{
    struct rig_node *node = ctx;
    p2p_on_resolved(node->p2p, token, addrs, count);
    turn(node);
}

static void node_beacon(void *ctx, const struct net_addr *from, struct span datagram)
{
    struct rig_node *node = ctx;
    p2p_on_beacon(node->p2p, from, datagram);
    turn(node);
}

static void node_tick(void *ctx, uint64_t count)
{
    struct rig_node *node = ctx;
    p2p_on_tick(node->p2p);
    if (count % TICKS_PER_SECOND == 0) {
        ledger_on_tick(node->ledger);
        mempool_on_tick(node->mempool);
    }
    turn(node);
    world_at(node->rig->world, node->sim, TICK_US, node_tick, node, count + 1);
}

static void turn(struct rig_node *node)
{
    struct ledger_effect effect;
    struct mempool_effect moved;
    bool any = true;
    while (node->p2p != NULL && any) {
        any = false;
        while (mempool_next_effect(node->mempool, &moved)) {
            p2p_on_mempool(node->p2p, &moved);
            tx_unref(moved.tx);
            any = true;
        }
        if (ledger_next_effect(node->ledger, &effect)) {
            must(effect.kind != LEDGER_FATAL, "ledger", effect.why.detail);
            mempool_on_ledger(node->mempool, &effect);
            p2p_on_ledger(node->p2p, &effect);
            block_unref(effect.block);
            any = true;
        }
        any = p2p_turn(node->p2p) || any;
    }
}

/* ---- nodes ---- */
struct rig *rig_new(uint64_t seed)
{
    struct fail why;
    struct rig *rig = mem_new(sizeof *rig);
    rig->world = world_new(seed, RIG_START_S * 1000);
    rig->network = network_new(rig->world, CONN_ACCEPTED_FIRST);
    rig->chain = chain_load("regtest", &why);
    must(rig->chain != NULL, "chain", why.detail);
    rig->chain->coinbase_maturity = 2;
    return rig;
}

void rig_free(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->node_count; i++)
        rig_stop(&rig->nodes[i]);
    for (uint32_t i = 0; i < rig->wire_count; i++) {
        struct wire *wire = rig->wires[i];
        for (uint32_t k = 0; k < wire->frame_count; k++)
            buf_clear(&wire->frames[k].payload);
        mem_free(wire->frames);
        framer_clear(&wire->framer);
        arena_clear(&wire->arena);
        buf_clear(&wire->last);
        mem_free(wire);
    }
    network_free(rig->network);
    world_free(rig->world);
    chain_free(rig->chain);
    mem_free(rig);
}

struct rig_node *rig_add(struct rig *rig, const char *addr)
{
    must(rig->node_count < RIG_NODES_MAX, "rig_add", "too many nodes");
    struct rig_node *node = &rig->nodes[rig->node_count++];
    node->rig = rig;
    node->sim = world_add_node(rig->world);
    must(net_addr_parse(&node->addr, span_text(addr), 0), "address", addr);
    node->ledger_options = (struct ledger_options){ .dir = "data", .dbcache_b = 8u << 20, .workers = 2,
        .tip_age_max_s = 86400, .check_blocks = 6, .check_level = 1 };
    node->mempool_options = (struct mempool_options){ .limit_b = 20u << 20, .expiry_s = 14 * 86400,
        .min_relay_sat_kvb = 100, .incremental_sat_kvb = 100, .dust_relay_sat_kvb = 3000,
        .datacarrier_size_b = 100000, .permit_bare_multisig = true, .require_standard = false,
        .bytes_per_sigop = 20, .cluster_count_max = 64, .cluster_size_max_vb = 101000 };
    node->options = (struct p2p_options){ .dir = "data", .user_agent = "/rig:1/",
        .listen_port = node->addr.port, .connections_max = 125, .discover = true, .connect_only = true,
        .peer_timeout_s = 60, .ban_time_s = 86400 };
    return node;
}

void rig_start(struct rig_node *node)
{
    struct fail why = { .kind = FAIL_NONE };
    struct network_events events = { node, node_accept, node_dialed, node_closed, node_bytes, node_writable,
        node_resolved, node_beacon };
    const struct env *env = &node->sim->env;
    node->ledger = ledger_open(env, node->rig->chain, &node->ledger_options, &why);
    must(node->ledger != NULL, "ledger_open", why.detail);
    node->mempool = mempool_new(env, node->rig->chain, node->ledger, &node->mempool_options);
    node->p2p = p2p_new(env, node->rig->chain, node->ledger, node->mempool, &node->options, &why);
    must(node->p2p != NULL, "p2p_new", why.detail);
    network_attach(node->rig->network, node->sim, &node->addr, node->options.listen_port != 0, &events);
    ledger_start(node->ledger);
    p2p_start(node->p2p);
    world_at(node->rig->world, node->sim, TICK_US, node_tick, node, 0);
}

static void on_stopped(void *ctx)
{
    ((struct rig_node *)ctx)->stopped = true;
}

static bool is_stopped(void *ctx)
{
    return ((struct rig_node *)ctx)->stopped;
}

static bool is_idle(void *ctx)
{
    struct rig_node *node = ctx;
    return mempool_is_idle(node->mempool) && ledger_is_settled(node->ledger);
}

void rig_stop(struct rig_node *node)
{
    if (node->ledger == NULL)
        return;
    p2p_save(node->p2p);
    p2p_set_active(node->p2p, false);
    must(rig_until(node->rig, is_idle, node), "rig_stop", "never idle");
    node->stopped = false;
    ledger_stop(node->ledger, on_stopped, node);
    must(rig_until(node->rig, is_stopped, node), "ledger_stop", "never done");
    world_node_drain(node->sim);
    network_detach(node->rig->network, node->sim);
    world_node_forget(node->sim);
    p2p_free(node->p2p);
    mempool_free(node->mempool);
    ledger_free(node->ledger);
    node->p2p = NULL;
    node->mempool = NULL;
    node->ledger = NULL;
}

/* ---- blocks ---- */
struct verdict {
    bool called;
    enum block_outcome outcome;
    struct fail why;
};

static void on_verdict(void *ctx, enum block_outcome outcome, struct block_index *index, const struct fail *why)
{
    struct verdict *v = ctx;
    (void)index;
    v->called = true;
    v->outcome = outcome;
    v->why = *why;
}

static bool is_judged(void *ctx)
{
    return ((struct verdict *)ctx)->called;
}

struct block *rig_build(struct rig *rig, const struct block_index *prev, struct tx *const *txs, uint32_t count,
    int64_t fees_sat)
{
    int64_t time_s = world_wall_ms(rig->world) / 1000 - BLOCK_BACK_S;
    if (time_s <= prev->time_s)
        time_s = (int64_t)prev->time_s + 1;
    struct maker_block spec = { .prev = prev->id, .height = prev->height + 1, .time_s = (uint32_t)time_s,
        .bits = rig->chain->pow_limit_bits, .txs = txs, .tx_count = count, .fees_sat = fees_sat,
        .salt = ++rig->salt };
    return maker_build(rig->chain, &spec);
}

struct block_index *rig_mine(struct rig_node *node, struct tx *const *txs, uint32_t count, int64_t fees_sat)
{
    struct verdict v = { .called = false };
    struct block *block = rig_build(node->rig, ledger_tip(node->ledger), txs, count, fees_sat);
    must(ledger_offer_built(node->ledger, block, (struct block_verdict){ on_verdict, &v }), "rig_mine", "no room");
    must(rig_until(node->rig, is_judged, &v), "rig_mine", "no verdict");
    must(v.outcome == BLOCK_OUTCOME_CONNECTED, "rig_mine", v.why.detail);
    block_unref(block);
    return ledger_tip(node->ledger);
}

void rig_mine_many(struct rig_node *node, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        rig_mine(node, NULL, 0, 0);
}

struct reading {
    struct block_read read; /* first */
    bool called;
};

static void on_read(struct block_read *read, const struct fail *why)
{
    must(why->kind == FAIL_NONE, "read", why->detail);
    ((struct reading *)read)->called = true;
}

static bool is_read(void *ctx)
{
    return ((struct reading *)ctx)->called;
}

struct block *rig_block(struct rig_node *node, int32_t height)
{
    struct reading r = { .read = { .index = ledger_at(node->ledger, height), .want_block = true,
                             .done = on_read } };
    must(r.read.index != NULL && ledger_read_block(node->ledger, &r.read), "rig_block", "refused");
    must(rig_until(node->rig, is_read, &r), "rig_block", "no answer");
    return r.read.block;
}

struct tx *rig_spend_coinbase(struct rig_node *node, int32_t height, uint32_t outputs, int64_t fee_sat)
{
    struct block *block = rig_block(node, height);
    struct outpoint from = { block->txs[0].txid, 0 };
    struct tx *tx = maker_spend(&from, 1, block->txs[0].out[0].value_sat - fee_sat, outputs);
    block_unref(block);
    return tx;
}

/* ---- time ---- */
struct until {
    struct rig *rig;
    bool (*is_done)(void *ctx);
    void *ctx;
    int64_t end_us;
};

static bool step(void *ctx)
{
    struct until *u = ctx;
    for (uint32_t i = 0; i < u->rig->node_count; i++)
        if (u->rig->nodes[i].p2p != NULL)
            turn(&u->rig->nodes[i]);
    if (u->is_done != NULL)
        return u->is_done(u->ctx);
    return world_now_us(u->rig->world) >= u->end_us;
}

void rig_run(struct rig *rig, int64_t duration_us)
{
    struct until u = { .rig = rig, .end_us = world_now_us(rig->world) + duration_us };
    world_run_until(rig->world, step, &u, duration_us);
}

bool rig_until(struct rig *rig, bool (*is_done)(void *ctx), void *ctx)
{
    struct until u = { rig, is_done, ctx, 0 };
    return world_run_until(rig->world, step, &u, RIG_WAIT_US);
}

struct wish {
    struct rig_node *node;
    int32_t height;
    uint32_t peers;
    const struct txid *txid;
};

static bool has_height(void *ctx)
{
    const struct wish *w = ctx;
    return ledger_tip(w->node->ledger)->height == w->height;
}

static bool has_peers(void *ctx)
{
    const struct wish *w = ctx;
    return p2p_count(w->node->p2p, true, true) == w->peers;
}

static bool has_tx(void *ctx)
{
    const struct wish *w = ctx;
    return mempool_find(w->node->mempool, w->txid) != NULL;
}

bool rig_until_height(struct rig_node *node, int32_t height)
{
    struct wish w = { .node = node, .height = height };
    return rig_until(node->rig, has_height, &w);
}

bool rig_until_peers(struct rig_node *node, uint32_t count)
{
    struct wish w = { .node = node, .peers = count };
    return rig_until(node->rig, has_peers, &w);
}

bool rig_until_tx(struct rig_node *node, const struct txid *id)
{
    struct wish w = { .node = node, .txid = id };
    return rig_until(node->rig, has_tx, &w);
}

/* ---- wires ---- */
static void keep_frame(struct wire *wire, struct frame *frame)
{
    struct reader r;
    union message m;
    struct fail why;
    if (frame->message < 0)
        return;
    wire->seen[frame->message]++;
    if (frame->message == MSG_PING && !wire->no_answers) {
        rd_init(&r, buf_span(&frame->payload));
        if (nonce_decode(&m, &r, &wire->arena, &why))
            wire_send(wire, MSG_PONG, &m);
    }
    must(mem_try_grow(&wire->frames, &wire->frame_capacity, wire->frame_count + 1, WIRE_FRAMES_MAX,
             sizeof *wire->frames),
        "wire", "too many frames");
    wire->frames[wire->frame_count++] = (struct rig_frame){ frame->message, frame->payload };
}

static bool wire_accept(void *ctx, uint64_t conn_id, const struct net_addr *remote, const struct net_addr *local)
{
    struct wire *wire = ctx;
    (void)remote, (void)local;
    if (wire->open)
        return false;
    framer_clear(&wire->framer);
    wire->conn_id = conn_id;
    wire->open = true;
    wire->closed = false;
    return true;
}

static void wire_dialed(void *ctx, uint64_t conn_id)
{
    struct wire *wire = ctx;
    wire->open = wire->conn_id == conn_id;
}

static void wire_closed(void *ctx, uint64_t conn_id, const char *reason)
{
    struct wire *wire = ctx;
    (void)reason;
    if (wire->conn_id != conn_id)
        return;
    wire->open = false;
    wire->closed = true;
}

static size_t wire_bytes(void *ctx, uint64_t conn_id, struct span bytes)
{
    struct wire *wire = ctx;
    (void)conn_id;
    for (size_t used_b = 0; used_b < bytes.size_b;) {
        struct frame frame;
        struct fail why;
        size_t taken_b;
        enum framer_result result = framer_feed(
            &wire->framer, span_of(bytes.data + used_b, bytes.size_b - used_b), &taken_b, &frame, &why);
        must(result == FRAMER_MORE || result == FRAMER_FRAME, "a node sent what no framer takes", why.detail);
        used_b += taken_b;
        if (result == FRAMER_FRAME)
            keep_frame(wire, &frame);
    }
    return bytes.size_b;
}

struct wire *wire_new(struct rig *rig, const char *addr)
{
    struct wire *wire = mem_new(sizeof *wire);
    struct network_events events = { .ctx = wire, .on_accept = wire_accept, .on_dialed = wire_dialed,
        .on_closed = wire_closed, .on_bytes = wire_bytes };
    must(rig->wire_count < RIG_WIRES_MAX, "wire_new", "too many wires");
    rig->wires[rig->wire_count++] = wire;
    wire->rig = rig;
    wire->sim = world_add_node(rig->world);
    must(net_addr_parse(&wire->addr, span_text(addr), 0), "address", addr);
    framer_init(&wire->framer, rig->chain->magic);
    buf_init(&wire->last, PAYLOAD_MAX_B);
    network_attach(rig->network, wire->sim, &wire->addr, true, &events);
    return wire;
}

static bool is_dialed(void *ctx)
{
    const struct wire *wire = ctx;
    return wire->open || wire->closed;
}

void wire_dial(struct wire *wire, const struct rig_node *to)
{
    const struct env *env = &wire->sim->env;
    framer_clear(&wire->framer);
    wire->open = wire->closed = false;
    wire->conn_id++;
    env->dial(env->ctx, wire->conn_id, &to->addr);
    must(rig_until(wire->rig, is_dialed, wire), "wire_dial", "no answer");
}

void wire_send(struct wire *wire, enum message_id id, const union message *m)
{
    const struct env *env = &wire->sim->env;
    struct buf bytes;
    buf_init(&bytes, FRAME_HEADER_SIZE_B + PAYLOAD_MAX_B);
    frame_begin(&bytes);
    if (m != NULL)
        message_rules[id].encode(&bytes, m);
    frame_end(&bytes, wire->rig->chain->magic, message_rules[id].command);
    env->send(env->ctx, wire->conn_id, &bytes);
}

void wire_send_bytes(struct wire *wire, const char *command, struct span payload)
{
    const struct env *env = &wire->sim->env;
    struct buf bytes;
    buf_init(&bytes, FRAME_HEADER_SIZE_B + PAYLOAD_MAX_B);
    frame_begin(&bytes);
    buf_put(&bytes, payload.data, payload.size_b);
    frame_end(&bytes, wire->rig->chain->magic, command);
    env->send(env->ctx, wire->conn_id, &bytes);
}

void wire_send_garbage(struct wire *wire, struct span bytes)
{
    const struct env *env = &wire->sim->env;
    struct buf out;
    buf_init(&out, bytes.size_b);
    buf_put(&out, bytes.data, bytes.size_b);
    env->send(env->ctx, wire->conn_id, &out);
}

void wire_greet(struct wire *wire, uint64_t services, bool relay)
{
    union message m;
    memset(&m, 0, sizeof m);
    m.version = (struct msg_version){ .version = PROTOCOL_VERSION, .services = services,
        .time_s = world_wall_ms(wire->rig->world) / 1000, .nonce = wire->conn_id + 1000,
        .user_agent = span_text("/wire/"), .relay = relay };
    wire_send(wire, MSG_VERSION, &m);
    must(wire_wait(wire, MSG_VERSION) != NULL, "wire_greet", "no version");
    wire_send(wire, MSG_WTXIDRELAY, NULL);
    wire_send(wire, MSG_SENDADDRV2, NULL);
    wire_send(wire, MSG_VERACK, NULL);
    must(wire_wait(wire, MSG_VERACK) != NULL, "wire_greet", "no verack");
    wire_sync(wire);
}

struct wanted {
    struct wire *wire;
    int message;
};

static bool has_come(void *ctx)
{
    const struct wanted *w = ctx;
    for (uint32_t i = 0; i < w->wire->frame_count; i++)
        if (w->wire->frames[i].message == w->message)
            return true;
    return w->wire->closed;
}

const union message *wire_wait(struct wire *wire, enum message_id id)
{
    static union message m;
    struct wanted w = { wire, (int)id };
    struct reader r;
    struct fail why;
    uint32_t at = 0;
    if (!rig_until(wire->rig, has_come, &w))
        return NULL;
    while (at < wire->frame_count && wire->frames[at].message != (int)id)
        at++;
    if (at == wire->frame_count)
        return NULL;
    buf_move(&wire->last, &wire->frames[at].payload);
    for (uint32_t i = 0; i < at; i++)
        buf_clear(&wire->frames[i].payload);
    memmove(wire->frames, wire->frames + at + 1, (wire->frame_count - at - 1) * sizeof *wire->frames);
    wire->frame_count -= at + 1;
    memset(&m, 0, sizeof m);
    arena_clear(&wire->arena);
    arena_init(&wire->arena, 0);
    rd_init(&r, buf_span(&wire->last));
    must(message_rules[id].decode == NULL || message_rules[id].decode(&m, &r, &wire->arena, &why),
        "a node sent what does not decode", message_rules[id].command);
    return &m;
}

static bool is_closed(void *ctx)
{
    return ((const struct wire *)ctx)->closed;
}

bool wire_wait_closed(struct wire *wire)
{
    return rig_until(wire->rig, is_closed, wire);
}

void wire_sync(struct wire *wire)
{
    union message m;
    memset(&m, 0, sizeof m);
    m.nonce = (struct msg_nonce){ 77, true };
    wire_send(wire, MSG_PING, &m);
    const union message *answer = wire_wait(wire, MSG_PONG);
    must(answer == NULL || answer->nonce.nonce == 77, "wire_sync", "a pong with another nonce");
}

void wire_close(struct wire *wire)
{
    const struct env *env = &wire->sim->env;
    if (wire->open)
        env->close(env->ctx, wire->conn_id, false);
    wire->open = false;
    wire->closed = true;
}

static void must(bool ok, const char *what, const char *detail)
{
    if (ok)
        return;
    fprintf(stderr, "rig: %s: %s\n", what, detail);
    exit(2);
}
