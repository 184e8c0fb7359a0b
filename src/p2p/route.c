/* Which networks we reach, and by which proxy. With a proxy for names nothing is looked up here. */
#include <stdio.h>
#include <string.h>

#include "internal.h"

static const uint8_t networks[] = {NET_IPV4, NET_IPV6, NET_TORV3, NET_I2P, NET_CJDNS};

const struct net_addr *route_proxy(const struct p2p *p2p, uint8_t network)
{
    if (network >= P2P_NETWORKS)
        return NULL;
    const struct net_addr *proxy = network == 0 ? &p2p->options.name_proxy : &p2p->options.proxies[network];
    return proxy->network != 0 ? proxy : NULL;
}

bool route_can_dial(const struct p2p *p2p, uint8_t network)
{
    switch (network) {
    case NET_IPV4:
    case NET_IPV6:
        return true;
    case NET_CJDNS:
        return p2p->options.cjdns || route_proxy(p2p, network) != NULL;
    default:
        return route_proxy(p2p, network) != NULL;
    }
}

bool route_is_reachable(const struct p2p *p2p, uint8_t network)
{
    unsigned only = p2p->options.only_networks;
    return route_can_dial(p2p, network) && (only == 0 || only & 1u << network);
}

struct net_addr route_entered(const struct p2p *p2p, const struct net_addr *addr)
{
    struct net_addr entered = *addr;
    if (p2p->options.cjdns && addr->network == NET_IPV6 && addr->bytes[0] == 0xfc)
        entered.network = NET_CJDNS;
    return entered;
}

void p2p_show_networks(const struct p2p *p2p, struct json_writer *w)
{
    jw_array(w);
    for (size_t i = 0; i < sizeof networks; i++) {
        const struct net_addr *proxy = route_proxy(p2p, networks[i]);
        char text[NET_ADDR_TEXT_SIZE_B] = "";
        if (proxy != NULL)
            net_addr_to_text(text, proxy, true);
        jw_object(w);
        jw_key_text(w, "name", net_network_name(networks[i]));
        jw_key_bool(w, "limited", !route_is_reachable(p2p, networks[i]));
        jw_key_bool(w, "reachable", route_is_reachable(p2p, networks[i]));
        jw_key_text(w, "proxy", text);
        jw_key_bool(w, "proxy_randomize_credentials", proxy != NULL && p2p->options.proxy_randomize);
        jw_end_object(w);
    }
    jw_end_array(w);
}
