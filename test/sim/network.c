/* The wires. A connection has two ends; what one sends is cut into pieces, each an event at the other, in
 * order. A piece takes its time through the sender's line, over the distance, and through the receiver's line;
 * a lost one comes a retransmission later, and those behind it wait. An end that paused or took less than it got
 * keeps the rest until it resumes. The sender hears on_writable when little of its bytes is left on the way. */
#include "network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/base/table.h"

#define ENDS_MAX 4096u
#define LINKS_MAX (1u << 20)
#define NAMES_MAX 16u
#define PIECES_MAX (1u << 22)
#define PIECE_MAX_B 65536u
#define ARRIVED_MAX_B (64u << 20)
#define DIAL_FAILS_US 2000
#define WRITABLE_B 65536u
#define RETRANSMISSION_US 200000
#define PIECE_LINE_B 1400u /* pieces when lines have a speed: packets */

struct end {
    struct world_node *node;
    struct net_addr addr;
    struct network_events events;
    bool attached, listens;
    int64_t up_b_s, down_b_s;       /* bytes a second; 0: any */
    int64_t up_free_us, down_free_us; /* when the line has sent what it has */
    int64_t distance_us;            /* added to each way */
    uint64_t next_accepted;
    uint16_t next_port;
};
struct side {
    uint32_t end;
    uint64_t conn_id;
    struct buf arrived; /* not taken yet */
    bool paused, open;
    int64_t last_us; /* when the latest piece for this side arrives */
    size_t coming_b;
};
struct link {
    struct network *network;
    struct side sides[2]; /* 0: who dialed */
};
struct piece {
    struct link *link;
    uint32_t to, place; /* place: in network.pieces */
    struct buf bytes;
};
struct delivery { /* resolved names, beacons, dials */
    struct network *network;
    uint32_t from, to, place; /* place: in network.deliveries */
    uint64_t number;
    struct net_addr addr;
    struct buf bytes;
};
struct conn_key {
    uint64_t end, conn_id;
};
struct conn_place {
    struct link *link;
    uint32_t side;
};
struct addr_key {
    uint8_t network, bytes[NET_ADDR_BYTES_MAX];
    uint16_t port;
};
struct network {
    struct world *world;
    uint64_t first_accepted, group;
    struct end ends[ENDS_MAX];
    uint32_t end_count, of_node[ENDS_MAX]; /* of_node: world_node.id -> end + 1 */
    struct table by_conn; /* struct conn_key -> struct conn_place */
    struct table by_addr; /* struct addr_key -> uint32_t end */
    uint32_t loss_permille;
    network_watcher watch;
    void *watch_ctx;
    struct link **links;
    uint32_t link_count, link_capacity;
    struct delivery **deliveries;
    uint32_t delivery_count, delivery_capacity;
    struct piece **pieces;
    uint32_t piece_count, piece_capacity;
    int64_t latency_us, spread_us;
    struct {
        char name[64];
        struct net_addr addr;
    } names[NAMES_MAX];
    uint32_t name_count;
};

static struct end *end_of(struct network *network, const struct world_node *node);
static struct link *find(struct network *network, uint32_t end, uint64_t conn_id, uint32_t *side);
static bool are_apart(const struct network *network, uint32_t a, uint32_t b);
static int64_t latency(struct network *network, uint32_t from, uint32_t to);
static void register_side(struct link *link, uint32_t side);
static struct addr_key key_of(const struct net_addr *a);
static int64_t through(int64_t *free_us, int64_t b_s, int64_t from_us, size_t size_b);
static void give_up(const char *what);
static void break_link(struct link *link, uint32_t teller);
static void hand_over(struct link *link, uint32_t to);

/* ---- events of the world ---- */
static void on_piece(void *ctx, uint64_t arg)
{
    struct piece *piece = ctx;
    struct link *link = piece->link;
    struct network *network = link->network;
    (void)arg;
    struct side *to = &link->sides[piece->to], *from = &link->sides[1 - piece->to];
    network->pieces[piece->place] = network->pieces[--network->piece_count];
    network->pieces[piece->place]->place = piece->place;
    bool was_much = to->coming_b >= WRITABLE_B;
    to->coming_b -= piece->bytes.size_b;
    if (to->open && !are_apart(network, to->end, from->end)) {
        if (network->watch != NULL)
            network->watch(network->watch_ctx, network->ends[from->end].node, network->ends[to->end].node, to,
                buf_span(&piece->bytes));
        buf_put(&to->arrived, piece->bytes.data, piece->bytes.size_b);
        hand_over(link, piece->to);
        const struct end *sender = &network->ends[from->end];
        bool is_little = to->coming_b == 0 || (was_much && to->coming_b < WRITABLE_B);
        if (is_little && from->open && sender->attached && sender->events.on_writable != NULL)
            sender->events.on_writable(sender->events.ctx, from->conn_id);
    }
    buf_clear(&piece->bytes);
    mem_free(piece);
}

static void on_resume(void *ctx, uint64_t side)
{
    hand_over(ctx, (uint32_t)side);
}

static void on_broken(void *ctx, uint64_t side)
{
    struct link *link = ctx;
    struct side *s = &link->sides[side];
    const struct end *end = &link->network->ends[s->end];
    if (!s->open)
        return;
    s->open = false;
    if (end->attached && end->events.on_closed != NULL)
        end->events.on_closed(end->events.ctx, s->conn_id, "closed by the other side");
}

static void forget_delivery(struct delivery *d)
{
    struct network *network = d->network;
    network->deliveries[d->place] = network->deliveries[--network->delivery_count];
    network->deliveries[d->place]->place = d->place;
    buf_clear(&d->bytes);
    mem_free(d);
}

static void on_dial_arrives(void *ctx, uint64_t arg)
{
    struct delivery *d = ctx;
    struct network *network = d->network;
    struct end *from = &network->ends[d->from];
    struct end *to = d->to < network->end_count ? &network->ends[d->to] : NULL;
    uint32_t side;
    (void)arg;
    struct link *link = find(network, d->from, d->number, &side);
    if (link == NULL || !link->sides[0].open || !from->attached) {
        forget_delivery(d);
        return; /* given up meanwhile */
    }
    bool reached = to != NULL && to->attached && to->listens && !are_apart(network, d->from, d->to);
    if (reached) {
        struct net_addr remote = from->addr, local = to->addr;
        remote.port = ++from->next_port;
        link->sides[1].end = d->to;
        link->sides[1].conn_id = to->next_accepted++;
        link->sides[1].open = true;
        register_side(link, 1);
        reached = to->events.on_accept == NULL ||
                  to->events.on_accept(to->events.ctx, link->sides[1].conn_id, &remote, &local);
        link->sides[1].open = reached;
    }
    if (reached && from->events.on_dialed != NULL) {
        from->events.on_dialed(from->events.ctx, link->sides[0].conn_id);
    } else if (!reached) {
        link->sides[0].open = false;
        if (from->events.on_closed != NULL)
            from->events.on_closed(from->events.ctx, link->sides[0].conn_id, "refused");
    }
    forget_delivery(d);
}

static void on_name(void *ctx, uint64_t known)
{
    struct delivery *d = ctx;
    const struct end *end = &d->network->ends[d->from];
    if (end->attached && end->events.on_resolved != NULL)
        end->events.on_resolved(end->events.ctx, d->number, &d->addr, (uint32_t)known);
    forget_delivery(d);
}

static void on_beacon(void *ctx, uint64_t arg)
{
    struct delivery *d = ctx;
    const struct end *to = &d->network->ends[d->to];
    (void)arg;
    if (to->attached && to->events.on_beacon != NULL && !are_apart(d->network, d->from, d->to))
        to->events.on_beacon(to->events.ctx, &d->addr, buf_span(&d->bytes));
    forget_delivery(d);
}

/* ---- what env asks for ---- */
static struct delivery *delivery_new(struct network *network, uint32_t from)
{
    struct delivery *d = mem_new(sizeof *d);
    d->network = network;
    d->from = from;
    buf_init(&d->bytes, PIECE_MAX_B);
    if (!mem_try_grow(&network->deliveries, &network->delivery_capacity, network->delivery_count + 1, LINKS_MAX,
            sizeof d))
        give_up("deliveries");
    d->place = network->delivery_count;
    network->deliveries[network->delivery_count++] = d;
    return d;
}

static void net_dial(void *ctx, struct world_node *node, uint64_t conn_id, const struct net_addr *to)
{
    struct network *network = ctx;
    struct end *from = end_of(network, node);
    if (from == NULL || !mem_try_grow(&network->links, &network->link_capacity, network->link_count + 1,
                            LINKS_MAX, sizeof *network->links))
        return;
    struct link *link = mem_new(sizeof *link);
    link->network = network;
    link->sides[0].end = (uint32_t)(from - network->ends);
    link->sides[0].conn_id = conn_id;
    link->sides[0].open = true;
    for (unsigned i = 0; i < 2; i++)
        buf_init(&link->sides[i].arrived, ARRIVED_MAX_B);
    network->links[network->link_count++] = link;
    register_side(link, 0);
    struct delivery *d = delivery_new(network, link->sides[0].end);
    d->to = network->end_count;
    d->number = conn_id;
    struct addr_key key = key_of(to);
    const uint32_t *found = table_find(&network->by_addr, &key);
    if (found != NULL)
        d->to = *found;
    world_at(network->world, NULL, latency(network, d->from, d->to) + DIAL_FAILS_US, on_dial_arrives, d, 0);
}

static void net_send(void *ctx, struct world_node *node, uint64_t conn_id, struct buf *bytes)
{
    struct network *network = ctx;
    struct end *end = end_of(network, node);
    uint32_t side;
    struct link *link = end != NULL ? find(network, (uint32_t)(end - network->ends), conn_id, &side) : NULL;
    if (link == NULL || !link->sides[side].open)
        return;
    struct side *to = &link->sides[1 - side];
    int64_t distance_us = latency(network, link->sides[side].end, to->end);
    struct end *sender = &network->ends[link->sides[side].end], *receiver = &network->ends[to->end];
    bool by_packet = sender->up_b_s != 0 || receiver->down_b_s != 0;
    for (size_t at_b = 0; at_b < bytes->size_b;) {
        size_t part_b = by_packet ? PIECE_LINE_B : 1 + sim_random_below(world_random(network->world), PIECE_MAX_B);
        if (part_b > bytes->size_b - at_b)
            part_b = bytes->size_b - at_b;
        struct piece *piece = mem_new(sizeof *piece);
        piece->link = link;
        piece->to = 1 - side;
        buf_init(&piece->bytes, PIECE_MAX_B);
        buf_put(&piece->bytes, bytes->data + at_b, part_b);
        at_b += part_b;
        if (!mem_try_grow(&network->pieces, &network->piece_capacity, network->piece_count + 1, PIECES_MAX, sizeof piece))
            give_up("pieces");
        piece->place = network->piece_count;
        network->pieces[network->piece_count++] = piece;
        int64_t at_us = through(&sender->up_free_us, sender->up_b_s, world_now_us(network->world), part_b) + distance_us;
        if (network->loss_permille > 0 &&
            sim_random_below(world_random(network->world), 1000) < network->loss_permille)
            at_us += RETRANSMISSION_US;
        at_us = through(&receiver->down_free_us, receiver->down_b_s, at_us, part_b);
        to->coming_b += part_b;
        if (at_us < to->last_us)
            at_us = to->last_us; /* in order: equal times keep the order in which they were made */
        to->last_us = at_us;
        world_at(network->world, NULL, at_us - world_now_us(network->world), on_piece, piece, 0);
    }
}

static void net_close(void *ctx, struct world_node *node, uint64_t conn_id, bool flush)
{
    struct network *network = ctx;
    struct end *end = end_of(network, node);
    uint32_t side;
    (void)flush; /* what was sent arrives in any case */
    struct link *link = end != NULL ? find(network, (uint32_t)(end - network->ends), conn_id, &side) : NULL;
    if (link == NULL)
        return;
    link->sides[side].open = false;
    break_link(link, side);
}

static void net_pause(void *ctx, struct world_node *node, uint64_t conn_id, bool paused)
{
    struct network *network = ctx;
    struct end *end = end_of(network, node);
    uint32_t side;
    struct link *link = end != NULL ? find(network, (uint32_t)(end - network->ends), conn_id, &side) : NULL;
    if (link == NULL)
        return;
    link->sides[side].paused = paused;
    if (!paused)
        world_at(network->world, NULL, 0, on_resume, link, side);
}

static void net_resolve(void *ctx, struct world_node *node, uint64_t token, const char *name, uint16_t port)
{
    struct network *network = ctx;
    struct end *end = end_of(network, node);
    bool known = false;
    if (end == NULL)
        return;
    struct delivery *d = delivery_new(network, (uint32_t)(end - network->ends));
    d->number = token;
    for (uint32_t i = 0; i < network->name_count; i++) {
        if (strcmp(network->names[i].name, name) != 0)
            continue;
        d->addr = network->names[i].addr;
        d->addr.port = port;
        known = true;
    }
    world_at(network->world, NULL, latency(network, d->from, d->from), on_name, d, known);
}

static void net_beacon(void *ctx, struct world_node *node, struct span datagram)
{
    struct network *network = ctx;
    struct end *end = end_of(network, node);
    for (uint32_t i = 0; end != NULL && i < network->end_count; i++) {
        struct delivery *d = delivery_new(network, (uint32_t)(end - network->ends));
        d->to = i; /* its own comes back too, as multicast does */
        d->addr = end->addr;
        d->addr.port = 28778;
        buf_put(&d->bytes, datagram.data, datagram.size_b);
        world_at(network->world, NULL, latency(network, d->from, d->to), on_beacon, d, 0);
    }
}

/* ---- for the test ---- */
struct network *network_new(struct world *world, uint64_t first_accepted)
{
    struct network *network = mem_new(sizeof *network);
    network->world = world;
    network->first_accepted = first_accepted;
    static const uint64_t seed[2] = {1, 2};
    table_init(&network->by_conn, sizeof(struct conn_key), sizeof(struct conn_place), 2 * LINKS_MAX, seed);
    table_init(&network->by_addr, sizeof(struct addr_key), sizeof(uint32_t), ENDS_MAX, seed);
    network_set_latency(network, 5000, 20000);
    struct world_net net = { network, net_dial, net_send, net_close, net_pause, net_resolve, net_beacon, NULL };
    world_set_net(world, &net);
    return network;
}

void network_free(struct network *network)
{
    static const struct world_net nothing;
    world_set_net(network->world, &nothing);
    for (uint32_t i = 0; i < network->piece_count; i++) {
        buf_clear(&network->pieces[i]->bytes);
        mem_free(network->pieces[i]);
    }
    while (network->delivery_count > 0)
        forget_delivery(network->deliveries[0]);
    for (uint32_t i = 0; i < network->link_count; i++) {
        buf_clear(&network->links[i]->sides[0].arrived);
        buf_clear(&network->links[i]->sides[1].arrived);
        mem_free(network->links[i]);
    }
    table_clear(&network->by_conn);
    table_clear(&network->by_addr);
    mem_free(network->links);
    mem_free(network->pieces);
    mem_free(network->deliveries);
    mem_free(network);
}

void network_attach(struct network *network, struct world_node *node, const struct net_addr *addr,
    bool listens, const struct network_events *events)
{
    struct end *end = end_of(network, node);
    if (end == NULL) {
        if (network->end_count == ENDS_MAX || node->id >= ENDS_MAX)
            give_up("ends");
        end = &network->ends[network->end_count++];
        network->of_node[node->id] = network->end_count;
        end->next_accepted = network->first_accepted;
        end->next_port = 40000;
    }
    end->node = node;
    end->addr = *addr;
    end->events = *events;
    end->attached = true;
    end->listens = listens;
    struct addr_key key = key_of(addr);
    uint32_t *place = table_put(&network->by_addr, &key, NULL);
    if (place == NULL)
        give_up("addresses");
    *place = (uint32_t)(end - network->ends);
}

void network_detach(struct network *network, struct world_node *node)
{
    struct end *end = end_of(network, node);
    if (end == NULL)
        return;
    uint32_t at = (uint32_t)(end - network->ends);
    end->attached = false;
    for (uint32_t i = 0; i < network->link_count; i++) {
        struct link *link = network->links[i];
        for (uint32_t side = 0; side < 2; side++) {
            if (!link->sides[side].open || link->sides[side].end != at)
                continue;
            link->sides[side].open = false;
            break_link(link, side);
        }
    }
}

void network_split(struct network *network, uint64_t group)
{
    network->group = group;
}

void network_set_latency(struct network *network, int64_t min_us, int64_t spread_us)
{
    network->latency_us = min_us;
    network->spread_us = spread_us;
}

void network_set_line(struct network *network, struct world_node *node, int64_t up_b_s, int64_t down_b_s, int64_t distance_us)
{
    struct end *end = end_of(network, node);
    end->up_b_s = up_b_s;
    end->down_b_s = down_b_s;
    end->distance_us = distance_us;
}

void network_set_loss(struct network *network, uint32_t permille)
{
    network->loss_permille = permille;
}

void network_watch(struct network *network, network_watcher watch, void *ctx)
{
    network->watch = watch;
    network->watch_ctx = ctx;
}

void network_name(struct network *network, const char *name, const struct net_addr *addr)
{
    if (network->name_count == NAMES_MAX)
        return;
    snprintf(network->names[network->name_count].name, sizeof network->names[0].name, "%s", name);
    network->names[network->name_count++].addr = *addr;
}

uint32_t network_connections(const struct network *network)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < network->link_count; i++)
        count += network->links[i]->sides[0].open && network->links[i]->sides[1].open;
    return count;
}

/* ---- helpers ---- */
static struct end *end_of(struct network *network, const struct world_node *node)
{
    uint32_t place = node->id < ENDS_MAX ? network->of_node[node->id] : 0;
    return place != 0 ? &network->ends[place - 1] : NULL;
}

static struct link *find(struct network *network, uint32_t end, uint64_t conn_id, uint32_t *side)
{
    struct conn_key key = {end, conn_id};
    const struct conn_place *found = table_find(&network->by_conn, &key);
    *side = found != NULL ? found->side : 0;
    return found != NULL ? found->link : NULL;
}

static void register_side(struct link *link, uint32_t side)
{
    struct conn_key key = {link->sides[side].end, link->sides[side].conn_id};
    struct conn_place *place = table_put(&link->network->by_conn, &key, NULL);
    if (place == NULL)
        give_up("connections");
    *place = (struct conn_place){link, side};
}

static struct addr_key key_of(const struct net_addr *a)
{
    struct addr_key key;
    memset(&key, 0, sizeof key);
    key.network = a->network;
    key.port = a->port;
    memcpy(key.bytes, a->bytes, a->size_b);
    return key;
}

/* When a line that is busy until *free_us has passed these bytes on, which reach it at from_us. */
static int64_t through(int64_t *free_us, int64_t b_s, int64_t from_us, size_t size_b)
{
    if (b_s == 0)
        return from_us;
    int64_t start_us = *free_us > from_us ? *free_us : from_us;
    return *free_us = start_us + (int64_t)size_b * 1000000 / b_s;
}

static void give_up(const char *what)
{
    fprintf(stderr, "the simulated network has no room for more %s\n", what);
    exit(1);
}

static bool are_apart(const struct network *network, uint32_t a, uint32_t b)
{
    uint32_t x = network->ends[a].node->id, y = network->ends[b].node->id;
    uint64_t left = x < 64 ? network->group >> x & 1 : 0, right = y < 64 ? network->group >> y & 1 : 0;
    return left != right;
}

static int64_t latency(struct network *network, uint32_t from, uint32_t to)
{
    int64_t far_us = network->ends[from].distance_us + (to < network->end_count ? network->ends[to].distance_us : 0);
    return far_us + network->latency_us +
           (int64_t)sim_random_below(world_random(network->world), (uint64_t)network->spread_us + 1);
}

/* The other side hears of it after what was sent to it. */
static void break_link(struct link *link, uint32_t teller)
{
    struct network *network = link->network;
    struct side *other = &link->sides[1 - teller];
    if (!other->open)
        return;
    int64_t at_us = world_now_us(network->world) + network->latency_us;
    if (at_us < other->last_us)
        at_us = other->last_us;
    world_at(network->world, NULL, at_us - world_now_us(network->world), on_broken, link, 1 - teller);
}

static void hand_over(struct link *link, uint32_t to)
{
    struct side *s = &link->sides[to];
    const struct end *end = &link->network->ends[s->end];
    while (s->open && !s->paused && s->arrived.size_b > 0 && end->attached) {
        size_t taken_b = end->events.on_bytes != NULL
                             ? end->events.on_bytes(end->events.ctx, s->conn_id, buf_span(&s->arrived))
                             : s->arrived.size_b;
        if (taken_b == 0)
            return;
        buf_remove_front(&s->arrived, taken_b);
    }
    if (!s->open || s->arrived.size_b == 0)
        buf_clear(&s->arrived);
}
