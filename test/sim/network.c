/* The wires. A connection has two ends; what one sends is cut into pieces, each an event at the other, in
 * order. An end that paused or took less than it got keeps the rest until it resumes. The sender hears
 * on_writable when its pieces have arrived. */
#include "network.h"

#include <stdio.h>
#include <string.h>

#include "coin/base/mem.h"

#define ENDS_MAX 4096u
#define LINKS_MAX (1u << 20)
#define NAMES_MAX 16u
#define PIECE_MAX_B 65536u
#define ARRIVED_MAX_B (64u << 20)
#define DIAL_FAILS_US 2000

struct end {
    struct world_node *node;
    struct net_addr addr;
    struct network_events events;
    bool attached, listens;
    uint64_t next_accepted;
    uint16_t next_port;
};
struct side {
    uint32_t end;
    uint64_t conn_id;
    struct buf arrived; /* not taken yet */
    bool paused, open;
    int64_t last_us; /* when the latest piece for this side arrives */
};
struct link {
    struct network *network;
    struct side sides[2]; /* 0: who dialed */
};
struct piece {
    struct link *link;
    uint32_t to;
    struct buf bytes;
};
struct delivery { /* resolved names, beacons, dials */
    struct network *network;
    uint32_t from, to;
    uint64_t number;
    struct net_addr addr;
    struct buf bytes;
};
struct network {
    struct world *world;
    uint64_t first_accepted, group;
    struct end ends[ENDS_MAX];
    uint32_t end_count;
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
static int64_t latency(struct network *network);
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
    for (uint32_t i = 0; i < network->piece_count; i++)
        if (network->pieces[i] == piece)
            network->pieces[i] = network->pieces[--network->piece_count];
    if (to->open && !are_apart(network, to->end, from->end)) {
        buf_put(&to->arrived, piece->bytes.data, piece->bytes.size_b);
        hand_over(link, piece->to);
        const struct end *sender = &network->ends[from->end];
        if (from->open && sender->attached && sender->events.on_writable != NULL)
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
    for (uint32_t i = 0; i < network->delivery_count; i++)
        if (network->deliveries[i] == d)
            network->deliveries[i] = network->deliveries[--network->delivery_count];
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
    if (mem_try_grow(&network->deliveries, &network->delivery_capacity, network->delivery_count + 1,
            LINKS_MAX, sizeof d))
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
    struct delivery *d = delivery_new(network, link->sides[0].end);
    d->to = network->end_count;
    d->number = conn_id;
    for (uint32_t i = 0; i < network->end_count; i++)
        if (net_addr_equal(&network->ends[i].addr, to))
            d->to = i;
    world_at(network->world, NULL, latency(network) + DIAL_FAILS_US, on_dial_arrives, d, 0);
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
    int64_t at_us = world_now_us(network->world) + latency(network);
    for (size_t at_b = 0; at_b < bytes->size_b;) {
        size_t part_b = 1 + sim_random_below(world_random(network->world), PIECE_MAX_B);
        if (part_b > bytes->size_b - at_b)
            part_b = bytes->size_b - at_b;
        struct piece *piece = mem_new(sizeof *piece);
        piece->link = link;
        piece->to = 1 - side;
        buf_init(&piece->bytes, PIECE_MAX_B);
        buf_put(&piece->bytes, bytes->data + at_b, part_b);
        at_b += part_b;
        if (mem_try_grow(&network->pieces, &network->piece_capacity, network->piece_count + 1, LINKS_MAX,
                sizeof piece))
            network->pieces[network->piece_count++] = piece;
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
    world_at(network->world, NULL, latency(network), on_name, d, known);
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
        world_at(network->world, NULL, latency(network), on_beacon, d, 0);
    }
}

/* ---- for the test ---- */
struct network *network_new(struct world *world, uint64_t first_accepted)
{
    struct network *network = mem_new(sizeof *network);
    network->world = world;
    network->first_accepted = first_accepted;
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
        end = &network->ends[network->end_count++];
        end->next_accepted = network->first_accepted;
        end->next_port = 40000;
    }
    end->node = node;
    end->addr = *addr;
    end->events = *events;
    end->attached = true;
    end->listens = listens;
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
    for (uint32_t i = 0; i < network->end_count; i++)
        if (network->ends[i].node == node)
            return &network->ends[i];
    return NULL;
}

static struct link *find(struct network *network, uint32_t end, uint64_t conn_id, uint32_t *side)
{
    for (uint32_t i = network->link_count; i-- > 0;) {
        struct link *link = network->links[i];
        for (*side = 0; *side < 2; ++*side)
            if (link->sides[*side].end == end && link->sides[*side].conn_id == conn_id)
                return link;
    }
    return NULL;
}

static bool are_apart(const struct network *network, uint32_t a, uint32_t b)
{
    uint32_t x = network->ends[a].node->id, y = network->ends[b].node->id;
    uint64_t left = x < 64 ? network->group >> x & 1 : 0, right = y < 64 ? network->group >> y & 1 : 0;
    return left != right;
}

static int64_t latency(struct network *network)
{
    return network->latency_us +
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
}
