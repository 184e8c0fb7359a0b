/* Our own addresses, as far as we know them, and which one a peer is told. Each has a score: where we know it
 * from, and one more for every inbound peer that reached us there. */
#include <string.h>

#include "internal.h"

#define DOUBT 2u          /* one in so many times the peer's view counts more than our own (Bitcoin) */
#define DOUBT_OF_SURE 8u  /* ... when we were told by the user or the router */

static struct local_addr *find(struct p2p *p2p, const struct net_addr *addr);
static const struct local_addr *best_for(const struct p2p *p2p, const struct peer *peer);
static bool is_private(uint8_t network);

bool p2p_add_local(struct p2p *p2p, const struct net_addr *given, uint32_t score)
{
    struct net_addr addr = route_entered(p2p, given);
    if (addr.port == 0)
        addr.port = p2p->options.listen_port;
    if (!net_addr_is_routable(&addr) || (score < LOCAL_MANUAL && !p2p->options.discover))
        return false;
    struct local_addr *known = find(p2p, &addr);
    if (known == NULL && p2p->local_count == LOCAL_ADDRS_MAX)
        return false;
    if (known == NULL)
        p2p->locals[p2p->local_count++] = (struct local_addr){addr, score};
    else if (score >= known->score)
        *known = (struct local_addr){addr, score + 1};
    char text[NET_ADDR_TEXT_SIZE_B];
    net_addr_to_text(text, &addr, true);
    log_debug(LOG_NET, "one of our own addresses is %s", text);
    return true;
}

void p2p_remove_local(struct p2p *p2p, const struct net_addr *addr)
{
    struct local_addr *known = find(p2p, addr);
    if (known != NULL)
        *known = p2p->locals[--p2p->local_count];
}

void p2p_show_local(const struct p2p *p2p, struct json_writer *w)
{
    jw_array(w);
    for (uint32_t i = 0; i < p2p->local_count; i++) {
        char text[NET_ADDR_TEXT_SIZE_B];
        net_addr_to_text(text, &p2p->locals[i].addr, false);
        jw_object(w);
        jw_key_text(w, "address", text);
        jw_key_u64(w, "port", p2p->locals[i].addr.port);
        jw_key_u64(w, "score", p2p->locals[i].score);
        jw_end_object(w);
    }
    jw_end_array(w);
}

bool local_is_ours(const struct p2p *p2p, const struct net_addr *addr)
{
    for (uint32_t i = 0; i < p2p->local_count; i++)
        if (net_addr_equal(&p2p->locals[i].addr, addr))
            return true;
    return false;
}

void local_seen(struct p2p *p2p, const struct net_addr *addr)
{
    struct local_addr *known = find(p2p, addr);
    if (known != NULL && known->score < UINT32_MAX)
        known->score++;
}

bool local_for_peer(const struct peer *peer, struct net_addr *out)
{
    const struct p2p *p2p = peer->p2p;
    const struct local_addr *best = best_for(p2p, peer);
    bool peer_knows = p2p->options.discover && !is_private(peer_network(peer)) && net_addr_is_routable(&peer->seen_as);
    if (best != NULL)
        *out = best->addr;
    if (peer_knows &&
        (best == NULL || env_random_below(p2p->env, best->score > LOCAL_MANUAL ? DOUBT_OF_SURE : DOUBT) == 0)) {
        *out = peer->seen_as;
        if (peer_is_outbound(peer) || out->port == 0)
            out->port = p2p->options.listen_port; /* it saw the port that we dialed from */
        return true;
    }
    return best != NULL;
}

static struct local_addr *find(struct p2p *p2p, const struct net_addr *addr)
{
    for (uint32_t i = 0; i < p2p->local_count; i++)
        if (net_addr_same_host(&p2p->locals[i].addr, addr))
            return &p2p->locals[i];
    return NULL;
}

/* Of the peer's own network before others, then by score. A hidden network's address is told within it only, and
 * nothing else is told there: it would show who is behind it (Bitcoin). */
static const struct local_addr *best_for(const struct p2p *p2p, const struct peer *peer)
{
    const struct local_addr *best = NULL;
    uint8_t network = peer_network(peer);
    for (uint32_t i = 0; i < p2p->local_count; i++) {
        const struct local_addr *l = &p2p->locals[i];
        bool same = l->addr.network == network;
        if (!same && (is_private(l->addr.network) || is_private(network)))
            continue;
        bool best_same = best != NULL && best->addr.network == network;
        if (best == NULL || (same && !best_same) || (same == best_same && l->score > best->score))
            best = l;
    }
    return best;
}

static bool is_private(uint8_t network)
{
    return network == NET_TORV3 || network == NET_I2P;
}
