/* What the user asks of the connections by RPC: more of them, fewer of them, none at all. */
#include <stdio.h>
#include <string.h>

#include "coin/base/mem.h"
#include "internal.h"

#define RPC_MISC (-1)
#define RPC_INVALID_PARAMETER (-8)
#define RPC_NODE_ADDED (-23)
#define RPC_NODE_NOT_ADDED (-24)
#define RPC_NOT_CONNECTED (-29)
#define RPC_NO_CAPACITY (-34)

static bool dial_once(struct p2p *p2p, const char *text, bool plain);
static struct peer *find_by_name(const struct p2p *p2p, struct span name);

void p2p_set_active(struct p2p *p2p, bool active)
{
    if (p2p->active == active)
        return;
    log_info("The network is turned %s", active ? "on" : "off");
    p2p->active = active;
    for (uint32_t i = 0; i < p2p->peer_count && !active; i++)
        peer_close(p2p->peers[i], "the network is turned off");
    for (uint32_t i = 0; i < p2p->added_count && active; i++)
        p2p->added[i].next_dial_us = p2p->added[i].backoff_us = 0;
    p2p_reap(p2p);
}

bool p2p_add_node(struct p2p *p2p, struct span node, const char *command, bool v2, struct fail *why)
{
    char text[NET_NAME_SIZE_B + 8];
    if (node.size_b == 0 || node.size_b >= sizeof text || memchr(node.data, 0, node.size_b) != NULL)
        return fail_request(why, RPC_INVALID_PARAMETER, "Error: Invalid node address");
    memcpy(text, node.data, node.size_b);
    text[node.size_b] = 0;
    struct added_node *added = connect_find_added(p2p, node);
    if (strcmp(command, "add") == 0) {
        if (added != NULL)
            return fail_request(why, RPC_NODE_ADDED, "Error: Node already added");
        if (p2p->added_count == ADDED_NODES_MAX)
            return fail_request(why, RPC_MISC, "Error: there is no room for more than %u added nodes",
                ADDED_NODES_MAX);
        if (!connect_add(p2p, text, !v2))
            return fail_request(why, RPC_INVALID_PARAMETER, "Error: Invalid node address");
    } else if (strcmp(command, "remove") == 0) {
        if (added == NULL)
            return fail_request(why, RPC_NODE_NOT_ADDED,
                "Error: Node could not be removed. It has not been added previously.");
        *added = p2p->added[--p2p->added_count]; /* the connection stays, as in Bitcoin */
    } else if (strcmp(command, "onetry") == 0) {
        if (!dial_once(p2p, text, !v2))
            return fail_request(why, RPC_INVALID_PARAMETER, "Error: Invalid node address");
    } else {
        return fail_request(why, RPC_INVALID_PARAMETER, "Invalid command: use add, remove or onetry");
    }
    if (p2p->started && p2p->active)
        connect_on_tick(p2p, p2p_now_us(p2p));
    p2p_reap(p2p);
    return true;
}

bool p2p_disconnect(struct p2p *p2p, struct span address, int64_t id, struct fail *why)
{
    struct peer *peer = address.size_b > 0 ? find_by_name(p2p, address) : p2p_peer(p2p, id);
    if (peer == NULL)
        return fail_request(why, RPC_NOT_CONNECTED, "Node not found in connected nodes");
    peer_close(peer, "the user disconnects it");
    p2p_reap(p2p);
    return true;
}

void p2p_ping_all(struct p2p *p2p)
{
    for (uint32_t i = 0; i < p2p->peer_count; i++)
        p2p->peers[i]->ping_asked = true;
}

bool p2p_add_connection(struct p2p *p2p, struct span address, enum conn_type type, bool v2, struct fail *why)
{
    struct net_addr addr;
    if (!net_addr_parse(&addr, address, p2p->chain->p2p_port))
        return fail_request(why, RPC_INVALID_PARAMETER, "Error: Invalid address");
    if ((type == CONN_FULL && connect_count(p2p, CONN_FULL) >= OUTBOUND_FULL_MAX) ||
        (type == CONN_BLOCKS && connect_count(p2p, CONN_BLOCKS) >= OUTBOUND_BLOCKS_MAX) ||
        (type == CONN_FEELER && connect_count(p2p, CONN_FEELER) > 0) || type == CONN_INBOUND ||
        !connect_dial(p2p, &addr, type, v2 ? TRANSPORT_V2 : TRANSPORT_V1, NULL))
        return fail_request(
            why, RPC_NO_CAPACITY, "Error: Already at capacity for specified connection type.");
    return true;
}

bool p2p_send_message(struct p2p *p2p, int64_t id, struct span command, struct span payload, struct fail *why)
{
    struct peer *peer = p2p_peer(p2p, id);
    char name[COMMAND_SIZE_B + 1] = "";
    if (command.size_b > COMMAND_SIZE_B)
        return fail_request(
            why, RPC_INVALID_PARAMETER, "Error: msg_type too long, max length is %d", COMMAND_SIZE_B);
    if (peer == NULL || peer->state == PEER_DIALING || payload.size_b > PAYLOAD_MAX_B)
        return fail_request(why, RPC_MISC, "Error: Could not send message to peer");
    memcpy(name, command.data, command.size_b);
    peer_send_raw(peer, name, payload);
    p2p_reap(p2p);
    return true;
}

bool p2p_add_address(struct p2p *p2p, const struct net_addr *addr, bool tried)
{
    int64_t now_s = env_wall_s(p2p->env);
    if (!addrman_add(p2p->addrman, addr, SERVICE_NETWORK | SERVICE_WITNESS, now_s, addr, 0))
        return false;
    return !tried || addrman_good(p2p->addrman, addr);
}

bool p2p_is_added(const struct p2p *p2p, struct span node)
{
    return connect_find_added(p2p, node) != NULL;
}

bool p2p_offers_v2(const struct p2p *p2p)
{
    return p2p->options.v2_transport;
}

bool p2p_is_active(const struct p2p *p2p)
{
    return p2p->active;
}

static bool dial_once(struct p2p *p2p, const char *text, bool plain)
{
    struct net_addr addr;
    if (!net_addr_parse(&addr, span_text(text), p2p->chain->p2p_port))
        return discover_lookup(p2p, text, RESOLVE_ONCE, CONN_MANUAL, plain);
    connect_dial(p2p, &addr, CONN_MANUAL, plain ? TRANSPORT_V1 : TRANSPORT_V2, NULL); /* there already: then the wish is fulfilled */
    return true;
}

/* As getpeerinfo writes it, or as the user did. */
static struct peer *find_by_name(const struct p2p *p2p, struct span name)
{
    for (uint32_t i = 0; i < p2p->peer_count; i++)
        if (p2p->peers[i]->state != PEER_CLOSED && span_is(name, p2p->peers[i]->name))
            return p2p->peers[i];
    const struct added_node *added = connect_find_added(p2p, name);
    return added != NULL ? p2p_peer(p2p, added->peer_id) : NULL;
}
