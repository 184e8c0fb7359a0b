/* Room for one more inbound peer. After Bitcoin's: those who were useful or are hard to replace in ways
 * that an attacker cannot all imitate at once are protected (a keyed choice of groups, low ping, new
 * transactions, new blocks, long presence, rare networks); of the rest the largest group gives up its
 * youngest. Who protects himself in one way must outdo the honest in another to drive them out. */
#include <stdlib.h>
#include <string.h>

#include "coin/base/mem.h"
#include "internal.h"

#define PROTECT_GROUPS 4u
#define PROTECT_PING 8u
#define PROTECT_TX 4u
#define PROTECT_BLOCKS_ONLY 8u
#define PROTECT_BLOCKS 4u

struct candidate {
    struct peer *peer;
    uint64_t group;
    bool rare; /* of a network with few peers: local, onion, i2p, cjdns */
};

static uint32_t collect(struct p2p *p2p, struct candidate *out);
static uint32_t protect(struct candidate *c, uint32_t count, uint32_t keep,
    int (*compare)(const void *, const void *), bool (*eligible)(const struct candidate *));
static struct peer *youngest_of_largest(const struct candidate *c, uint32_t count);
static int by_group(const void *a, const void *b);
static int by_ping(const void *a, const void *b);
static int by_tx(const void *a, const void *b);
static int by_block(const void *a, const void *b);
static int by_age(const void *a, const void *b);
static bool is_blocks_only(const struct candidate *c);
static bool is_rare(const struct candidate *c);

bool evict_one(struct p2p *p2p)
{
    struct candidate *c = mem_try_array(p2p->peer_count + 1, sizeof *c);
    if (c == NULL)
        return false;
    uint32_t count = collect(p2p, c);
    count = protect(c, count, PROTECT_GROUPS, by_group, NULL);
    count = protect(c, count, PROTECT_PING, by_ping, NULL);
    count = protect(c, count, PROTECT_TX, by_tx, NULL);
    count = protect(c, count, PROTECT_BLOCKS_ONLY, by_block, is_blocks_only);
    count = protect(c, count, PROTECT_BLOCKS, by_block, NULL);
    /* Half of what is left stays for its age, half of those for being rare. */
    uint32_t half = count / 2, before = count;
    count = protect(c, count, half / 2, by_age, is_rare);
    count = protect(c, count, half - (before - count), by_age, NULL);
    struct peer *victim = count > 0 ? youngest_of_largest(c, count) : NULL;
    mem_free(c);
    if (victim == NULL)
        return false;
    peer_close(victim, "makes room for another inbound peer");
    return true;
}

static uint32_t collect(struct p2p *p2p, struct candidate *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        struct peer *peer = p2p->peers[i];
        uint8_t group[8];
        if (peer->type != CONN_INBOUND || peer->state == PEER_CLOSED || peer_permits(peer, PERMIT_NOBAN))
            continue;
        uint32_t size_b = net_addr_group(group, &peer->addr);
        uint8_t network = peer_network(peer);
        bool is_ip = network == NET_IPV4 || network == NET_IPV6;
        out[count++] = (struct candidate){ peer, siphash(p2p->seed, group, size_b),
            !is_ip || net_addr_is_local(&peer->addr) };
    }
    return count;
}

/* Takes the `keep` best out of the list; the best come first by compare. */
static uint32_t protect(struct candidate *c, uint32_t count, uint32_t keep,
    int (*compare)(const void *, const void *), bool (*eligible)(const struct candidate *))
{
    qsort(c, count, sizeof *c, compare);
    uint32_t left = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (keep > 0 && (eligible == NULL || eligible(&c[i])))
            keep--;
        else
            c[left++] = c[i];
    }
    return left;
}

static struct peer *youngest_of_largest(const struct candidate *c, uint32_t count)
{
    uint32_t best_size = 0;
    const struct candidate *best = NULL;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = 0;
        const struct candidate *youngest = &c[i];
        for (uint32_t j = 0; j < count; j++) {
            if (c[j].group != c[i].group)
                continue;
            size++;
            if (c[j].peer->id > youngest->peer->id)
                youngest = &c[j];
        }
        if (size > best_size || (size == best_size && youngest->peer->id > best->peer->id)) {
            best_size = size;
            best = youngest;
        }
    }
    return best != NULL ? best->peer : NULL;
}

/* ---- orders; ids break ties, so that a run is the same each time ---- */
static int order(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int order_id(const struct candidate *a, const struct candidate *b)
{
    return order(a->peer->id, b->peer->id);
}

static int by_group(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return x->group != y->group ? (x->group < y->group ? -1 : 1) : order_id(x, y);
}

static int by_ping(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    int by = order(x->peer->ping_min_us, y->peer->ping_min_us);
    return by != 0 ? by : order_id(x, y);
}

static int by_tx(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    int by = order(y->peer->last_tx_s, x->peer->last_tx_s);
    return by != 0 ? by : order_id(x, y);
}

static int by_block(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    int by = order(y->peer->last_block_s, x->peer->last_block_s);
    return by != 0 ? by : order_id(x, y);
}

static int by_age(const void *a, const void *b)
{
    return order_id(a, b);
}

static bool is_blocks_only(const struct candidate *c)
{
    return !c->peer->remote_relays && c->peer->last_block_s > 0;
}

static bool is_rare(const struct candidate *c)
{
    return c->rare;
}
