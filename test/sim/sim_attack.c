/* Proves that a network of whole nodes lives with bad company, over virtual time:
 *
 *   eclipse   a hundred strangers of twenty networks fill a node with their addresses for an hour; after its restart it still finds others
 *   spam      twenty strangers pour announcements, orphans, headers and requests over a node; it serves the rest, in bounded memory
 *   withhold  strangers announce each block first and never deliver it, and a payment; both come soon from elsewhere
 *   silent    a newcomer half of whose addresses accept and say nothing more syncs
 *   split     two halves that mined apart for half an hour come to one chain when they meet
 *
 *   sim_attack [--scenario NAME] [--seed S]
 *
 * A failure prints the line that plays the same run again. */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/p2p/messages.h"
#include "coin/base/mem.h"
#include "coin/ledger/ledger.h"
#include "coin/mempool/mempool.h"
#include "maker.h"
#include "swarm.h"

#define BACKBONE 4u
#define ENEMIES_MAX 512u
#define LINES_MAX 16u /* connections of one enemy */
#define GROUPS 20u    /* networks (/16) that the enemies have */
#define KNOWN 15u     /* other honest nodes that each knows of */
#define BYTES_MAX (8u << 20)

struct enemy;
struct line {
    uint64_t conn_id; /* 0: free */
    bool open;
    struct framer framer;
};
struct enemy {
    struct story *story;
    struct world_node *place;
    struct net_addr addr;
    struct line lines[LINES_MAX];
    uint64_t dials;
    bool mute; /* says nothing behind the handshake, not even pong */
};
struct story {
    const char *name;
    uint64_t seed;
    struct swarm *sim;
    struct enemy enemies[ENEMIES_MAX];
    uint32_t enemy_count;
};

static struct story *telling;

static void demand(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "sim_attack: %s\nagain: sim_attack --scenario %s --seed %" PRIu64 "\n", what, telling->name, telling->seed);
    exit(1);
}

/* ---- enemies: peers made by hand ---- */

static void enemy_send(struct enemy *e, uint64_t conn_id, enum message_id id, struct span payload)
{
    struct buf bytes;
    buf_init(&bytes, BYTES_MAX);
    frame_begin(&bytes);
    buf_put(&bytes, payload.data, payload.size_b);
    frame_end(&bytes, e->story->sim->chain->magic, message_rules[id].command);
    e->place->env.send(e->place->env.ctx, conn_id, &bytes);
    buf_clear(&bytes);
}

static void enemy_say(struct enemy *e, enum message_id id, struct span payload)
{
    for (uint32_t i = 0; i < LINES_MAX; i++)
        if (e->lines[i].open)
            enemy_send(e, e->lines[i].conn_id, id, payload);
}

static void greet(struct enemy *e, uint64_t conn_id)
{
    union message m = {.version = {.version = 70016, .services = SERVICE_NETWORK | SERVICE_WITNESS, .relay = true,
        .nonce = sim_random_below(world_random(e->story->sim->world), UINT64_MAX), .user_agent = span_text("/nobody/"),
        .time_s = world_wall_ms(e->story->sim->world) / 1000}};
    struct buf payload;
    buf_init(&payload, 1000);
    version_encode(&payload, &m);
    enemy_send(e, conn_id, MSG_VERSION, buf_span(&payload));
    enemy_send(e, conn_id, MSG_WTXIDRELAY, span_of(NULL, 0));
    enemy_send(e, conn_id, MSG_VERACK, span_of(NULL, 0));
    buf_clear(&payload);
}

static struct line *line_of(struct enemy *e, uint64_t conn_id)
{
    for (uint32_t i = 0; i < LINES_MAX; i++)
        if (e->lines[i].conn_id == conn_id)
            return &e->lines[i];
    return NULL;
}

static struct line *open_line(struct enemy *e, uint64_t conn_id)
{
    struct line *line = line_of(e, 0);
    if (line == NULL)
        return NULL;
    line->conn_id = conn_id;
    framer_init(&line->framer, e->story->sim->chain->magic);
    return line;
}

static bool on_accept(void *ctx, uint64_t conn_id, const struct net_addr *remote, const struct net_addr *local)
{
    struct enemy *e = ctx;
    (void)remote, (void)local;
    struct line *line = open_line(e, conn_id);
    if (line == NULL)
        return false;
    line->open = true;
    greet(e, conn_id);
    return true;
}

static void on_dialed(void *ctx, uint64_t conn_id)
{
    struct line *line = line_of(ctx, conn_id);
    if (line == NULL)
        return;
    line->open = true;
    greet(ctx, conn_id);
}

static void on_closed(void *ctx, uint64_t conn_id, const char *reason)
{
    struct line *line = line_of(ctx, conn_id);
    (void)reason;
    if (line == NULL)
        return;
    framer_clear(&line->framer);
    memset(line, 0, sizeof *line);
}

static size_t on_bytes(void *ctx, uint64_t conn_id, struct span bytes)
{
    struct enemy *e = ctx;
    struct line *line = line_of(e, conn_id);
    size_t used_b = 0;
    while (line != NULL && used_b < bytes.size_b) {
        struct frame frame;
        struct fail why;
        size_t taken_b;
        enum framer_result result = framer_feed(&line->framer, span_of(bytes.data + used_b, bytes.size_b - used_b), &taken_b, &frame, &why);
        used_b += taken_b;
        if (result == FRAMER_BAD)
            break; /* the encrypted transport: not for us */
        if (result != FRAMER_FRAME)
            continue;
        if (frame.message == MSG_PING && !e->mute)
            enemy_send(e, conn_id, MSG_PONG, buf_span(&frame.payload));
        buf_clear(&frame.payload);
    }
    return bytes.size_b;
}

static struct enemy *add_enemy(struct story *s, bool mute)
{
    demand(s->enemy_count < ENEMIES_MAX, "too many enemies");
    struct enemy *e = &s->enemies[s->enemy_count];
    uint32_t i = s->enemy_count++;
    char host[32];
    e->story = s;
    e->mute = mute;
    e->place = world_add_node(s->sim->world);
    snprintf(host, sizeof host, "150.%u.%u.1", 1 + i % GROUPS, 1 + i / GROUPS);
    demand(net_addr_parse(&e->addr, span_text(host), SWARM_PORT), "an address");
    struct network_events events = {e, on_accept, on_dialed, on_closed, on_bytes, NULL, NULL, NULL};
    network_attach(s->sim->network, e->place, &e->addr, true, &events);
    return e;
}

static void enemy_dial(struct enemy *e, const struct swarm_node *to)
{
    if (open_line(e, ++e->dials) != NULL)
        e->place->env.dial(e->place->env.ctx, e->dials, &to->addr);
}

static bool is_enemy(const struct net_addr *addr)
{
    return addr->network == NET_IPV4 && addr->bytes[0] == 150;
}

/* ---- honest nodes ---- */

static struct swarm_node *add_node(struct story *s, bool listens)
{
    struct swarm *sim = s->sim;
    uint32_t i = sim->count, other = i < BACKBONE ? (i + BACKBONE - 1) % BACKBONE
                                                  : (uint32_t)sim_random_below(world_random(sim->world), BACKBONE);
    char host[32], known[64];
    snprintf(host, sizeof host, "20.%u.1.1", 1 + i);
    snprintf(known, sizeof known, "-%s=20.%u.1.1", i < BACKBONE ? "addnode" : "seednode", 1 + other);
    const char *options[] = {known, "-v2transport=0", "-dbcache=4", NULL};
    struct swarm_node *w = swarm_add(sim, host, listens, options);
    network_set_line(sim->network, w->place, 1000000, 1000000, 5000 + (int64_t)sim_random_below(world_random(sim->world), 50000));
    return w;
}

static void tell_of(struct story *s, struct swarm_node *w, uint32_t count)
{
    struct swarm *sim = s->sim;
    for (uint32_t i = 0; i < count; i++)
        p2p_add_address(node_p2p(w->node), &sim->nodes[sim_random_below(world_random(sim->world), sim->count)]->addr, false);
}

static void begin(struct story *s, uint32_t honest)
{
    telling = s;
    s->sim = swarm_new(s->seed, "regtest");
    s->sim->tick_us = SECOND_US / 4;
    for (uint32_t i = 0; i < honest; i++)
        add_node(s, true);
    for (uint32_t i = 0; i < honest; i++) /* as if they had lived for long */
        tell_of(s, s->sim->nodes[i], KNOWN);
    swarm_run_us(s->sim, MINUTE_US);
    swarm_mine(s->sim->nodes[0], 110);
    swarm_run_us(s->sim, 10 * MINUTE_US);
}

static void end(struct story *s)
{
    for (uint32_t i = 0; i < s->enemy_count; i++) {
        network_detach(s->sim->network, s->enemies[i].place);
        for (uint32_t k = 0; k < LINES_MAX; k++)
            framer_clear(&s->enemies[i].lines[k].framer);
    }
    swarm_free(s->sim);
}

static bool has_tip_of(const struct swarm_node *w, const struct swarm_node *of)
{
    return block_id_equal(&swarm_tip(w)->id, &swarm_tip(of)->id);
}

static uint32_t outbound(struct swarm_node *w, bool enemies)
{
    struct swarm_answer answer;
    const struct json *peers = swarm_ask(w, &answer, "getpeerinfo", "[]");
    uint32_t count = 0;
    for (const struct json *p = peers->first; p != NULL; p = p->next) {
        struct net_addr addr;
        bool in = true;
        struct fail why;
        demand(json_to_bool(&in, json_get(p, "inbound"), "inbound", &why), why.detail);
        char text[NET_ADDR_TEXT_SIZE_B];
        snprintf(text, sizeof text, "%.*s", (int)json_get(p, "addr")->text.size_b, (const char *)json_get(p, "addr")->text.data);
        demand(net_addr_parse(&addr, span_text(text), 0), "a peer's address");
        count += !in && is_enemy(&addr) == enemies;
    }
    swarm_forget(&answer);
    return count;
}

static void show_those_behind(struct story *s)
{
    for (uint32_t i = 0; i < s->sim->count; i++)
        if (!has_tip_of(s->sim->nodes[i], s->sim->nodes[0]))
            fprintf(stderr, "node %u: height %d; outbound peers: %u honest, %u others; %u inbound\n", i, swarm_tip(s->sim->nodes[i])->height,
                outbound(s->sim->nodes[i], false), outbound(s->sim->nodes[i], true),
                p2p_count(node_p2p(s->sim->nodes[i]->node), true, false));
}

/* Seconds until all honest nodes have the tip of the first one. */
static double until_all_agree_s(struct story *s, uint32_t most_s, const char *what)
{
    struct swarm *sim = s->sim;
    int64_t began_us = world_now_us(sim->world);
    for (uint32_t i = 0; i < sim->count; i++)
        while (!has_tip_of(sim->nodes[i], sim->nodes[0])) {
            if (world_now_us(sim->world) - began_us >= most_s * SECOND_US) {
                show_those_behind(s);
                demand(false, what);
            }
            swarm_run_us(sim, SECOND_US / 10);
            i = 0;
        }
    return (double)(world_now_us(sim->world) - began_us) / 1e6;
}

/* ---- eclipse ---- */

#define ECLIPSE_MINUTES 60u
#define ADDRS_A_MESSAGE 1000u

/* A fifth are enemies that answer; the others are of nobody and shall only push good addresses out. */
static void put_addresses(struct story *s, struct buf *out)
{
    struct sim_random *random = world_random(s->sim->world);
    struct addr_entry entries[ADDRS_A_MESSAGE];
    union message m = {.addr = {.count = ADDRS_A_MESSAGE, .entries = entries}};
    for (uint32_t i = 0; i < ADDRS_A_MESSAGE; i++) {
        struct enemy *e = &s->enemies[sim_random_below(random, s->enemy_count)];
        entries[i] = (struct addr_entry){(uint32_t)(world_wall_ms(s->sim->world) / 1000), SERVICE_NETWORK | SERVICE_WITNESS, e->addr};
        if (i % 5 != 0)
            for (int b = 1; b < 4; b++)
                entries[i].addr.bytes[b] = (uint8_t)sim_random_below(random, 256);
    }
    buf_init(out, BYTES_MAX);
    addr_encode(out, &m);
}

static void eclipse(struct story *s)
{
    begin(s, 30);
    struct swarm_node *victim = s->sim->nodes[20];
    swarm_run_us(s->sim, 30 * MINUTE_US);
    for (uint32_t i = 0; i < 400; i++)
        add_enemy(s, false);
    for (uint32_t minute = 0; minute < ECLIPSE_MINUTES; minute++) {
        for (uint32_t i = 0; i < 100; i++)
            if (s->enemies[i].lines[0].conn_id == 0)
                enemy_dial(&s->enemies[i], victim);
        swarm_run_us(s->sim, MINUTE_US);
        for (uint32_t i = 0; i < 100; i++) {
            struct buf payload;
            put_addresses(s, &payload);
            enemy_say(&s->enemies[i], MSG_ADDR, buf_span(&payload));
            buf_clear(&payload);
        }
    }
    uint32_t before = outbound(victim, true);
    struct swarm_answer answer;
    const struct json *known = json_get(swarm_ask(victim, &answer, "getaddrmaninfo", "[]"), "all_networks");
    struct fail why;
    uint32_t fresh = 0, tried = 0;
    demand(json_to_u32(&fresh, json_get(known, "new"), "new", &why) && json_to_u32(&tried, json_get(known, "tried"), "tried", &why), why.detail);
    swarm_forget(&answer);
    uint32_t worst = UINT32_MAX;
    for (uint32_t round = 0; round < 5; round++) {
        if (round % 2 == 0)
            swarm_stop(victim);
        else
            swarm_crash(victim);
        swarm_mine(s->sim->nodes[0], 1);
        swarm_start(victim);
        for (uint32_t i = 0; i < 100; i++)
            enemy_dial(&s->enemies[i], victim);
        until_all_agree_s(s, 300, "an eclipsed node does not hear of a block within five minutes of its start");
        swarm_run_us(s->sim, 5 * MINUTE_US);
        uint32_t honest = outbound(victim, false);
        worst = honest < worst ? honest : worst;
    }
    printf("eclipse: seed %" PRIu64 ", 30 nodes, 100 strangers of %u networks for %u minutes: %u addresses in new, %u in tried; %u of the "
           "outbound peers are theirs; after five restarts never less than %u honest ones\n", s->seed, GROUPS, ECLIPSE_MINUTES, fresh, tried, before, worst);
    demand(worst >= 3, "hardly any honest outbound peer is left");
    end(s);
}

/* ---- spam ---- */

#define SPAM_SECONDS 300u
#define SPAM_MEMORY_MAX_B (96u << 20) /* announcements, orphans, rejects, inboxes: see p2p/limits.h */

static void put_invs(struct sim_random *random, struct buf *out, uint32_t count, uint32_t type)
{
    struct inv_item *items = mem_try_array(count, sizeof *items);
    union message m = {.inv = {.count = count, .items = items}};
    demand(items != NULL, "memory");
    for (uint32_t i = 0; i < count; i++) {
        items[i].type = type;
        for (int b = 0; b < 32; b++)
            items[i].hash[b] = (uint8_t)sim_random_below(random, 256);
    }
    buf_init(out, BYTES_MAX);
    inv_encode(out, &m);
    mem_free(items);
}

static void spam_once(struct story *s, struct enemy *e)
{
    struct sim_random *random = world_random(s->sim->world);
    struct buf payload;
    static const uint8_t ping[8] = {1};
    static const uint32_t types[] = {INV_WTX, INV_TX, INV_WITNESS_BLOCK};
    for (int i = 0; i < 3; i++) {
        put_invs(random, &payload, 1000, types[i]);
        enemy_say(e, i == 2 ? MSG_GETDATA : MSG_INV, buf_span(&payload));
        buf_clear(&payload);
    }
    for (int i = 0; i < 5; i++) {
        struct outpoint nothing = {.index = 0};
        for (int b = 0; b < 32; b++)
            nothing.txid.b[b] = (uint8_t)sim_random_below(random, 256);
        struct tx *orphan = maker_spend(&nothing, 1, COIN_SAT, 500);
        enemy_say(e, MSG_TX, orphan->raw);
        tx_unref(orphan);
        enemy_say(e, MSG_PING, span_of(ping, sizeof ping));
        enemy_say(e, MSG_GETADDR, span_of(NULL, 0));
    }
}

static void spam(struct story *s)
{
    begin(s, 20);
    struct swarm_node *victim = s->sim->nodes[10];
    network_set_line(s->sim->network, victim->place, 0, 0, 20000); /* else they fill the line, and no node helps */
    for (uint32_t i = 0; i < 20; i++)
        enemy_dial(add_enemy(s, false), victim);
    swarm_run_us(s->sim, MINUTE_US);
    size_t before_b = mallinfo2().uordblks, most_b = 0;
    double slowest_s = 0;
    for (uint32_t second = 0; second < SPAM_SECONDS; second++) {
        for (uint32_t i = 0; i < s->enemy_count; i++)
            spam_once(s, &s->enemies[i]);
        swarm_run_us(s->sim, SECOND_US);
        size_t now_b = mallinfo2().uordblks;
        most_b = now_b > before_b && now_b - before_b > most_b ? now_b - before_b : most_b;
        if (second % 60 != 30)
            continue;
        swarm_mine(s->sim->nodes[0], 1);
        double took_s = until_all_agree_s(s, 30, "blocks do not reach the others over a node that is poured over");
        slowest_s = took_s > slowest_s ? took_s : slowest_s;
    }
    swarm_pay(victim, 2);
    swarm_run_us(s->sim, MINUTE_US);
    for (uint32_t i = 0; i < s->sim->count; i++)
        demand(mempool_stats(node_mempool(s->sim->nodes[i]->node)).count == 1, "its payment is lost among theirs");
    printf("spam: seed %" PRIu64 ", 20 strangers for %u s: blocks at all 20 nodes in %.1f s at most, memory +%.1f MiB at most\n", s->seed,
        SPAM_SECONDS, slowest_s, (double)most_b / (1 << 20));
    demand(slowest_s < 5, "a block takes over five seconds");
    demand(most_b < SPAM_MEMORY_MAX_B, "spam takes more memory than the limits add up to");
    end(s);
}

/* ---- withhold ---- */

static void withhold(struct story *s)
{
    begin(s, 20);
    struct swarm *sim = s->sim;
    struct swarm_node *victim = sim->nodes[10];
    for (uint32_t i = 0; i < 20; i++)
        enemy_dial(add_enemy(s, false), victim);
    swarm_run_us(sim, MINUTE_US);
    double slowest_s = 0;
    for (int round = 0; round < 10; round++) {
        swarm_mine(sim->nodes[0], 1);
        const struct block_index *tip = swarm_tip(sim->nodes[0]);
        struct header header = index_header(tip);
        union message m = {.headers = {.count = 1, .headers = &header}};
        struct buf payload;
        buf_init(&payload, 1000);
        headers_encode(&payload, &m);
        for (uint32_t i = 0; i < s->enemy_count; i++)
            enemy_say(&s->enemies[i], MSG_HEADERS, buf_span(&payload));
        buf_clear(&payload);
        double took_s = until_all_agree_s(s, 120, "a block that strangers announced first does not come");
        slowest_s = took_s > slowest_s ? took_s : slowest_s;
        swarm_run_us(sim, 20 * SECOND_US);
    }
    /* A payment that they are the first to announce. */
    swarm_pay(sim->nodes[1], 3);
    struct buf ids;
    struct inv_item item = {.type = INV_WTX};
    struct swarm_answer answer;
    const struct json *pool = swarm_ask(sim->nodes[1], &answer, "getrawmempool", "[]");
    demand(hash_from_hex(item.hash, json_at(pool, 0)->text), "a payment");
    swarm_forget(&answer);
    union message m = {.inv = {.count = 1, .items = &item}};
    buf_init(&ids, 1000);
    inv_encode(&ids, &m);
    for (uint32_t i = 0; i < s->enemy_count; i++)
        enemy_say(&s->enemies[i], MSG_INV, buf_span(&ids));
    buf_clear(&ids);
    int64_t began_us = world_now_us(sim->world);
    while (mempool_stats(node_mempool(victim->node)).count == 0) {
        demand(world_now_us(sim->world) - began_us < 3 * MINUTE_US, "a payment that strangers announced first does not come");
        swarm_run_us(sim, SECOND_US);
    }
    printf("withhold: seed %" PRIu64 ", 20 strangers announce first and never deliver: blocks at all 20 nodes in %.1f s at most, a payment in "
           "%.0f s\n", s->seed, slowest_s, (double)(world_now_us(sim->world) - began_us) / 1e6);
    demand(slowest_s < 10, "a block takes over ten seconds");
    end(s);
}

/* ---- silent ---- */

static void silent(struct story *s)
{
    begin(s, 20);
    struct swarm *sim = s->sim;
    for (uint32_t i = 0; i < 60; i++)
        add_enemy(s, true);
    const char *options[] = {"-v2transport=0", "-dbcache=4", NULL};
    struct swarm_node *joiner = swarm_add(sim, "99.1.1.1", false, options);
    tell_of(s, joiner, KNOWN);
    for (uint32_t i = 0; i < s->enemy_count; i++)
        p2p_add_address(node_p2p(joiner->node), &s->enemies[i].addr, false);
    double took_s = until_all_agree_s(s, 300, "a newcomer among the silent does not sync within five minutes");
    int64_t began_us = world_now_us(sim->world);
    while (outbound(joiner, false) < 4) {
        demand(world_now_us(sim->world) - began_us < 60 * MINUTE_US, "the silent keep their places for over an hour");
        swarm_mine(sim->nodes[0], 1);
        swarm_run_us(sim, MINUTE_US);
    }
    printf("silent: seed %" PRIu64 ", 60 silent addresses and some good ones: a newcomer has the chain in %.1f s, four honest outbound peers after %.0f "
           "minutes\n", s->seed, took_s, (double)(world_now_us(sim->world) - began_us) / 6e7);
    end(s);
}

/* ---- split ---- */

static void split(struct story *s)
{
    begin(s, 60);
    struct swarm *sim = s->sim;
    network_split(sim->network, (UINT64_C(1) << 30) - 1);
    for (int minute = 0; minute < 30; minute++) {
        swarm_mine(sim->nodes[minute % 30], 1);
        if (minute % 3 != 0)
            swarm_mine(sim->nodes[30 + minute % 30], 1);
        swarm_run_us(sim, MINUTE_US);
    }
    demand(!has_tip_of(sim->nodes[40], sim->nodes[0]), "the split does not split");
    network_split(sim->network, 0);
    double took_s = until_all_agree_s(s, 1200, "two halves do not come together");
    demand(swarm_tip(sim->nodes[59])->height == 140, "the branch with less work has won");
    printf("split: seed %" PRIu64 ", 30 and 30 nodes mined apart for 30 minutes: one chain after %.1f s\n", s->seed, took_s);
    end(s);
}

int main(int argc, char **argv)
{
    static struct story s; /* large */
    static const struct {
        const char *name;
        void (*tell)(struct story *s);
    } stories[] = {{"eclipse", eclipse}, {"spam", spam}, {"withhold", withhold}, {"silent", silent}, {"split", split}};
    const char *only = NULL;
    uint64_t seed = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--scenario") == 0)
            only = argv[i + 1];
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
    }
    swarm_crypto();
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        if (only != NULL && strcmp(only, stories[i].name) != 0)
            continue;
        memset(&s, 0, sizeof s);
        s.name = stories[i].name;
        s.seed = seed;
        stories[i].tell(&s);
    }
    return 0;
}
