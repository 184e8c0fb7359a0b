/* Where the first addresses come from: DNS seeds, nodes named by -seednode, the chain file's fixed seeds,
 * and neighbours on the same network who send beacons.
 *
 * A beacon is one datagram; whoever hears it may dial its sender:
 *   magic "CPLB" 4 | version u8 | the chain's magic 4 | first bytes of the genesis id 8 | port u16 be |
 *   nonce u64
 * Of two that hear each other the one with the lower nonce dials, the other only when nothing came. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "coin/base/mem.h"
#include "internal.h"

#define BEACON_MAGIC "CPLB"
#define BEACON_VERSION 1
#define BEACON_SIZE_MAX_B 64u
#define BEACON_EAGER_US (5 * SECOND_US)   /* pause in the first minute */
#define BEACON_CALM_US (30 * SECOND_US)
#define BEACONS_PER_MINUTE_MAX 256u
#define LAN_FIRST_US (SECOND_US / 4)
#define LAN_SECOND_US (3 * SECOND_US)
#define SEED_WAIT_US (11 * SECOND_US)     /* Bitcoin: DNSSEEDS_DELAY_FEW_PEERS */
#define SEED_WAIT_MANY_US (5 * MINUTE_US) /* Bitcoin: when a thousand addresses are known */
#define SEED_MANY 1000u
#define SEED_ADDRESSES_MAX 256u           /* of one answer */
#define SEED_AGE_MIN_S (3 * 24 * 60 * 60) /* Bitcoin: what a seed says counts as a few days old */
#define SEED_AGE_SPREAD_S (4 * 24 * 60 * 60)
#define FIXED_WAIT_US MINUTE_US           /* Bitcoin */
#define SEED_NODE_WAIT_US (30 * SECOND_US)
#define SEED_NODE_SPACING_US (10 * SECOND_US)
#define SEED_NODES_AGAIN_US MINUTE_US     /* when all were asked, and peers are lacking still */
#define SEEDS_AGAIN_US (10 * MINUTE_US)
#define OUTBOUND_ENOUGH 2u                /* outbound peers with which seeds are not asked */
#define SEED_SERVICES (SERVICE_NETWORK | SERVICE_WITNESS)

static void take_seed_answer(struct p2p *p2p, const struct net_addr *addrs, uint32_t count);
static void ask_dns(struct p2p *p2p, int64_t now_us);
static void ask_seed_nodes(struct p2p *p2p, int64_t now_us);
static void use_fixed(struct p2p *p2p, int64_t now_us);
static bool lacks_peers(const struct p2p *p2p);
static void send_beacon(struct p2p *p2p, int64_t now_us);
static void dial_candidates(struct p2p *p2p, int64_t now_us);
static bool hears_from(const struct p2p *p2p, const struct net_addr *addr);
static uint32_t count_lan(const struct p2p *p2p);

bool discover_lookup(struct p2p *p2p, const char *text, enum resolve_purpose purpose, enum conn_type type,
    bool plain)
{
    char host[NET_NAME_SIZE_B];
    uint16_t port;
    if (!net_split_host(host, &port, span_text(text), p2p->chain->p2p_port))
        return false;
    if (route_proxy(p2p, 0) != NULL) /* it looks names up; a seed is asked as a peer */
        return connect_dial_name(p2p, host, port, purpose == RESOLVE_SEED ? CONN_ADDR_FETCH : type,
            plain ? TRANSPORT_V1 : TRANSPORT_V2, NULL);
    if (p2p->options.no_lookup && purpose != RESOLVE_SEED) {
        log_debug(LOG_NET, "%s is not looked up: -dns=0", text);
        return false;
    }
    for (uint32_t i = 0; i < RESOLVES_MAX; i++) {
        struct resolve *r = &p2p->resolves[i];
        if (r->token != 0)
            continue;
        r->token = p2p->next_token++;
        r->purpose = purpose;
        r->type = type;
        r->plain = plain;
        snprintf(r->text, sizeof r->text, "%s", text);
        p2p->env->resolve(p2p->env->ctx, r->token, host, port);
        return true;
    }
    return false;
}

void p2p_on_resolved(struct p2p *p2p, uint64_t token, const struct net_addr *addrs, uint32_t count)
{
    struct resolve r = { .token = 0 };
    for (uint32_t i = 0; i < RESOLVES_MAX && token != 0; i++) {
        if (p2p->resolves[i].token == token) {
            r = p2p->resolves[i];
            p2p->resolves[i].token = 0;
        }
    }
    if (r.token == 0)
        return;
    if (count == 0)
        log_debug(LOG_NET, "%s has no address", r.text);
    const struct net_addr *one = count > 0 ? &addrs[env_random_below(p2p->env, count)] : NULL;
    switch (r.purpose) {
    case RESOLVE_SEED:
        take_seed_answer(p2p, addrs, count);
        break;
    case RESOLVE_ADDED:
        connect_resolved(p2p, r.text, one);
        break;
    case RESOLVE_ONCE:
    case RESOLVE_FETCH:
        if (one != NULL)
            connect_dial(p2p, one, r.type, r.plain ? TRANSPORT_V1 : TRANSPORT_V2, NULL);
        break;
    }
    p2p_reap(p2p);
}

void p2p_on_beacon(struct p2p *p2p, const struct net_addr *from, struct span datagram)
{
    struct reader r;
    uint8_t magic[4], chain_magic[4], genesis[8];
    int64_t now_us = p2p_now_us(p2p);
    if (!p2p->options.lan_discovery || !p2p->active ||
        !log_allow(&p2p->lan_limit, now_us, BEACONS_PER_MINUTE_MAX, MINUTE_US))
        return;
    rd_init(&r, datagram);
    rd_copy(&r, magic, sizeof magic);
    uint8_t version = rd_u8(&r);
    rd_copy(&r, chain_magic, sizeof chain_magic);
    rd_copy(&r, genesis, sizeof genesis);
    struct net_addr addr = *from;
    addr.port = rd_u16be(&r);
    uint64_t nonce = rd_u64le(&r);
    if (r.failed || memcmp(magic, BEACON_MAGIC, 4) != 0 || version != BEACON_VERSION ||
        memcmp(chain_magic, p2p->chain->magic, 4) != 0 || addr.port == 0 || nonce == p2p->lan_nonce ||
        memcmp(genesis, p2p->chain->genesis->id.b, sizeof genesis) != 0)
        return;
    struct lan_candidate *place = NULL;
    for (uint32_t i = 0; i < LAN_CANDIDATES_MAX; i++) {
        struct lan_candidate *c = &p2p->lan[i];
        if (c->due_us == 0)
            place = c;
        else if (net_addr_equal(&c->addr, &addr))
            return;
    }
    if (place == NULL || count_lan(p2p) >= LAN_PEERS_MAX)
        return;
    int64_t wait_us = p2p->lan_nonce < nonce ? 0 : LAN_SECOND_US;
    wait_us += (int64_t)env_random_below(p2p->env, LAN_FIRST_US);
    *place = (struct lan_candidate){ addr, now_us + wait_us + 1, nonce };
}

void discover_on_tick(struct p2p *p2p, int64_t now_us)
{
    if (p2p->options.lan_discovery) {
        if (now_us >= p2p->next_beacon_us && p2p->options.listen_port != 0)
            send_beacon(p2p, now_us);
        dial_candidates(p2p, now_us);
    }
    if (p2p->options.connect_only)
        return;
    ask_seed_nodes(p2p, now_us);
    ask_dns(p2p, now_us);
    use_fixed(p2p, now_us);
}

/* ---- seeds ---- */
static void take_seed_answer(struct p2p *p2p, const struct net_addr *addrs, uint32_t count)
{
    uint32_t added = 0;
    for (uint32_t i = 0; i < count && i < SEED_ADDRESSES_MAX; i++) {
        int64_t age_s = SEED_AGE_MIN_S + (int64_t)env_random_below(p2p->env, SEED_AGE_SPREAD_S);
        /* One source for all, so that a lying seed fills the buckets of one group only. */
        added += addrman_add(
            p2p->addrman, &addrs[i], SEED_SERVICES, env_wall_s(p2p->env) - age_s, &addrs[0], 0);
    }
    log_info("%u addresses found from DNS seeds", added);
}

static void ask_dns(struct p2p *p2p, int64_t now_us)
{
    uint32_t known = addrman_count(p2p->addrman, 0, true, true);
    int64_t wait_us = known == 0 || p2p->options.force_dns_seed ? 0 : known < SEED_MANY ? SEED_WAIT_US : SEED_WAIT_MANY_US;
    if (!p2p->options.dns_seed || now_us < p2p->next_seeds_us || now_us - p2p->started_us < wait_us ||
        (!lacks_peers(p2p) && (!p2p->options.force_dns_seed || p2p->next_seeds_us != 0)))
        return;
    p2p->next_seeds_us = now_us + SEEDS_AGAIN_US;
    for (uint32_t i = 0; i < p2p->chain->seed_count; i++)
        discover_lookup(p2p, p2p->chain->seeds[i], RESOLVE_SEED, CONN_FULL, false);
}

/* They are asked for addresses, one at a time, and left. */
static void ask_seed_nodes(struct p2p *p2p, int64_t now_us)
{
    const char *const *nodes = p2p->options.seed_nodes;
    bool none_known = addrman_count(p2p->addrman, 0, true, true) == 0;
    if (nodes == NULL || nodes[0] == NULL || now_us < p2p->next_seed_node_us ||
        !lacks_peers(p2p) || (!none_known && now_us - p2p->started_us < SEED_NODE_WAIT_US))
        return;
    struct net_addr addr;
    const char *text = nodes[p2p->seed_node_next++];
    p2p->next_seed_node_us = now_us + SEED_NODE_SPACING_US;
    if (nodes[p2p->seed_node_next] == NULL) { /* once around */
        p2p->seed_node_next = 0;
        p2p->next_seed_node_us = now_us + SEED_NODES_AGAIN_US;
    }
    if (net_addr_parse(&addr, span_text(text), p2p->chain->p2p_port))
        connect_dial(p2p, &addr, CONN_ADDR_FETCH, TRANSPORT_V2, NULL);
    else
        discover_lookup(p2p, text, RESOLVE_FETCH, CONN_ADDR_FETCH, false);
}

static void use_fixed(struct p2p *p2p, int64_t now_us)
{
    const struct p2p_options *o = &p2p->options;
    if (!o->fixed_seeds || p2p->fixed_used || addrman_count(p2p->addrman, 0, true, true) > 0)
        return;
    bool others = (o->dns_seed && p2p->chain->seed_count > 0) ||
                  (o->seed_nodes != NULL && o->seed_nodes[0] != NULL) || p2p->added_count > 0;
    if (others && now_us - p2p->started_us < FIXED_WAIT_US)
        return;
    p2p->fixed_used = true;
    for (uint32_t i = 0; i < p2p->chain->fixed_seed_count; i++) {
        struct net_addr addr;
        struct span text = span_text(p2p->chain->fixed_seeds[i]);
        if (net_addr_parse(&addr, text, p2p->chain->p2p_port))
            take_seed_answer(p2p, &addr, 1);
        else
            discover_lookup(p2p, p2p->chain->fixed_seeds[i], RESOLVE_SEED, CONN_FULL, false);
    }
}

static bool lacks_peers(const struct p2p *p2p)
{
    return p2p_count(p2p, false, true) < OUTBOUND_ENOUGH;
}

/* ---- neighbours ---- */
static void send_beacon(struct p2p *p2p, int64_t now_us)
{
    struct buf bytes;
    bool eager = now_us - p2p->started_us < MINUTE_US;
    p2p->next_beacon_us = now_us + (eager ? BEACON_EAGER_US : BEACON_CALM_US);
    buf_init(&bytes, BEACON_SIZE_MAX_B);
    buf_put(&bytes, BEACON_MAGIC, 4);
    buf_put_u8(&bytes, BEACON_VERSION);
    buf_put(&bytes, p2p->chain->magic, 4);
    buf_put(&bytes, p2p->chain->genesis->id.b, 8);
    buf_put_u16be(&bytes, p2p->options.listen_port);
    buf_put_u64le(&bytes, p2p->lan_nonce);
    p2p->env->beacon(p2p->env->ctx, buf_span(&bytes));
    buf_clear(&bytes);
}

static void dial_candidates(struct p2p *p2p, int64_t now_us)
{
    for (uint32_t i = 0; i < LAN_CANDIDATES_MAX; i++) {
        struct lan_candidate *c = &p2p->lan[i];
        struct peer *peer;
        if (c->due_us == 0 || now_us < c->due_us)
            continue;
        c->due_us = 0;
        if (count_lan(p2p) >= LAN_PEERS_MAX || hears_from(p2p, &c->addr))
            continue;
        if (connect_dial(p2p, &c->addr, CONN_FULL, TRANSPORT_V2, &peer))
            peer->is_lan = true;
    }
}

/* Has this node dialed us? Its connection comes from another port; the one it listens on it told us. */
static bool hears_from(const struct p2p *p2p, const struct net_addr *addr)
{
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        const struct peer *peer = p2p->peers[i];
        if (peer->type == CONN_INBOUND && peer->state != PEER_CLOSED && peer->listen_port == addr->port &&
            net_addr_same_host(&peer->addr, addr))
            return true;
    }
    return false;
}

static uint32_t count_lan(const struct p2p *p2p)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < p2p->peer_count; i++)
        count += p2p->peers[i]->is_lan && p2p->peers[i]->state != PEER_CLOSED;
    return count;
}
