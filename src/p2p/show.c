/* What people and programs see of the connections: getpeerinfo and its kin, field by field as Bitcoin's. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coin/base/mem.h"
#include "internal.h"

static void show_peer(const struct peer *peer, struct json_writer *w);
static void show_traffic(const struct peer *peer, struct json_writer *w);
static void show_sync(const struct peer *peer, struct json_writer *w);
static void show_ping(const struct peer *peer, struct json_writer *w);
static void show_bytes(struct json_writer *w, const char *key, const uint64_t by_message_b[MSG_COUNT + 1]);
static const char *type_name(enum conn_type type);

uint32_t p2p_count(const struct p2p *p2p, bool inbound, bool outbound)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        const struct peer *peer = p2p->peers[i];
        count += peer->state == PEER_READY && (peer_is_outbound(peer) ? outbound : inbound);
    }
    return count;
}

void p2p_show_peers(const struct p2p *p2p, struct json_writer *w)
{
    jw_array(w);
    for (uint32_t i = 0; i < p2p->peer_count; i++)
        if (p2p->peers[i]->state != PEER_DIALING && p2p->peers[i]->state != PEER_CLOSED)
            show_peer(p2p->peers[i], w);
    jw_end_array(w);
}

void p2p_show_addresses(const struct p2p *p2p, struct json_writer *w, uint32_t count, uint8_t network)
{
    uint32_t known = addrman_count(p2p->addrman, network, true, true);
    uint32_t max = count == 0 || count > known ? known : count;
    struct addrman_entry *found = mem_try_array(max + 1, sizeof *found);
    uint32_t shown = found != NULL ? addrman_sample(p2p->addrman, found, max, 0, network) : 0;
    jw_array(w);
    for (uint32_t i = 0; i < shown; i++) {
        char text[NET_ADDR_TEXT_SIZE_B];
        net_addr_to_text(text, &found[i].addr, false);
        jw_object(w);
        jw_key_i64(w, "time", found[i].time_s);
        jw_key_u64(w, "services", found[i].services);
        jw_key_text(w, "address", text);
        jw_key_u64(w, "port", found[i].addr.port);
        jw_key_text(w, "network", net_network_name(found[i].addr.network));
        jw_end_object(w);
    }
    jw_end_array(w);
    mem_free(found);
}

struct p2p_totals p2p_totals(const struct p2p *p2p)
{
    return p2p->totals;
}

void p2p_show_added(const struct p2p *p2p, struct json_writer *w, struct span node)
{
    jw_array(w);
    for (uint32_t i = 0; i < p2p->added_count; i++) {
        const struct added_node *added = &p2p->added[i];
        const struct peer *peer = p2p_peer(p2p, added->peer_id);
        if (node.size_b > 0 && !span_is(node, added->text))
            continue;
        for (uint32_t k = 0; k < p2p->peer_count && peer == NULL && added->addr.network != 0; k++)
            if (net_addr_equal(&p2p->peers[k]->addr, &added->addr))
                peer = p2p->peers[k];
        bool connected = peer != NULL && peer->state != PEER_DIALING && peer->state != PEER_CLOSED;
        jw_object(w);
        jw_key_text(w, "addednode", added->text);
        jw_key_bool(w, "connected", connected);
        jw_key(w, "addresses");
        jw_array(w);
        if (connected) {
            jw_object(w);
            jw_key_text(w, "address", peer->name);
            jw_key_text(w, "connected", peer_is_outbound(peer) ? "outbound" : "inbound");
            jw_end_object(w);
        }
        jw_end_array(w);
        jw_end_object(w);
    }
    jw_end_array(w);
}

void p2p_show_addrman(const struct p2p *p2p, struct json_writer *w, bool raw)
{
    static const uint8_t networks[] = { NET_IPV4, NET_IPV6, NET_TORV3, NET_I2P, NET_CJDNS, 0 };
    if (raw) {
        addrman_show_raw(p2p->addrman, w);
        return;
    }
    jw_object(w);
    for (size_t i = 0; i < sizeof networks; i++) {
        uint32_t fresh = addrman_count(p2p->addrman, networks[i], true, false);
        uint32_t tried = addrman_count(p2p->addrman, networks[i], false, true);
        jw_key(w, networks[i] != 0 ? net_network_name(networks[i]) : "all_networks");
        jw_object(w);
        jw_key_u64(w, "new", fresh);
        jw_key_u64(w, "tried", tried);
        jw_key_u64(w, "total", fresh + tried);
        jw_end_object(w);
    }
    jw_end_object(w);
}

uint64_t p2p_services(const struct p2p *p2p)
{
    return p2p->services;
}

void p2p_show_services(struct json_writer *w, uint64_t services)
{
    static const struct {
        uint64_t bit;
        const char *name;
    } known[] = {
        { SERVICE_NETWORK, "NETWORK" },
        { SERVICE_BLOOM, "BLOOM" },
        { SERVICE_WITNESS, "WITNESS" },
        { SERVICE_COMPACT_FILTERS, "COMPACT_FILTERS" },
        { SERVICE_NETWORK_LIMITED, "NETWORK_LIMITED" },
        { SERVICE_P2P_V2, "P2P_V2" },
    };
    jw_array(w);
    for (uint32_t bit = 0; bit < 64; bit++) {
        char text[32];
        const char *name = NULL;
        if ((services >> bit & 1) == 0)
            continue;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            if (known[i].bit == UINT64_C(1) << bit)
                name = known[i].name;
        snprintf(text, sizeof text, "UNKNOWN[2^%" PRIu32 "]", bit);
        jw_text(w, name != NULL ? name : text);
    }
    jw_end_array(w);
}

const char *p2p_user_agent(const struct p2p *p2p)
{
    return p2p->user_agent;
}

bool p2p_relays_transactions(const struct p2p *p2p)
{
    return !p2p->options.blocks_only;
}

bool p2p_has_agreed(const struct p2p *p2p)
{
    return p2p->agreed;
}

int32_t p2p_best_known_height(const struct p2p *p2p)
{
    int32_t best = 0;
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        const struct peer *peer = p2p->peers[i];
        if (peer->state == PEER_READY && peer->best_known != NULL && peer->best_known->height > best)
            best = peer->best_known->height;
    }
    return best;
}

/* ---- one peer ---- */
static void show_peer(const struct peer *peer, struct json_writer *w)
{
    char text[NET_ADDR_TEXT_SIZE_B];
    jw_object(w);
    jw_key_i64(w, "id", peer->id);
    jw_key_text(w, "addr", peer->name);
    if (peer->local.network != 0) {
        net_addr_to_text(text, &peer->local, true);
        jw_key_text(w, "addrbind", text);
    }
    if (peer->seen_as.network != 0) {
        net_addr_to_text(text, &peer->seen_as, true);
        jw_key_text(w, "addrlocal", text);
    }
    jw_key_text(w, "network", net_network_name(net_addr_is_routable(&peer->addr) || peer->by_onion ? peer_network(peer) : 0));
    snprintf(text, sizeof text, "%016" PRIx64, peer->services);
    jw_key_text(w, "services", text);
    jw_key(w, "servicesnames");
    p2p_show_services(w, peer->services);
    jw_key_bool(w, "relaytxes", peer->remote_relays && peer->type != CONN_BLOCKS);
    jw_key_u64(w, "last_inv_sequence", peer->last_inv_sequence);
    jw_key_u64(w, "inv_to_send", peer->tx_to_send.count);
    show_traffic(peer, w);
    show_ping(peer, w);
    jw_key_i64(w, "version", peer->version);
    jw_key_text(w, "subver", peer->user_agent);
    jw_key_bool(w, "inbound", peer->type == CONN_INBOUND);
    jw_key_bool(w, "bip152_hb_to", peer->compact_to_us);
    jw_key_bool(w, "bip152_hb_from", peer->compact_from_us);
    show_sync(peer, w);
    jw_key_bool(w, "addr_relay_enabled", peer->addr_relay);
    jw_key_u64(w, "addr_processed", peer->addr_processed);
    jw_key_u64(w, "addr_rate_limited", peer->addr_limited);
    jw_key(w, "permissions");
    whitelist_show(w, peer->permissions);
    jw_key_amount(w, "minfeefilter", peer->fee_filter_sat_kvb);
    show_bytes(w, "bytessent_per_msg", peer->sent_by_message_b);
    show_bytes(w, "bytesrecv_per_msg", peer->received_by_message_b);
    jw_key_text(w, "connection_type", type_name(peer->type));
    static const char *const transports[] = {"detecting", "v1", "v2"};
    const uint8_t *session = transport_session_id(&peer->transport);
    char hex[65] = "";
    if (session != NULL)
        hex_encode(hex, session, 32);
    jw_key_text(w, "transport_protocol_type", transports[peer->transport.kind]);
    jw_key_text(w, "session_id", hex);
    jw_end_object(w);
}

static void show_traffic(const struct peer *peer, struct json_writer *w)
{
    jw_key_i64(w, "lastsend", peer->last_sent_s);
    jw_key_i64(w, "lastrecv", peer->last_received_s);
    jw_key_i64(w, "last_transaction", peer->last_tx_s);
    jw_key_i64(w, "last_block", peer->last_block_s);
    jw_key_u64(w, "bytessent", peer->sent_b);
    jw_key_u64(w, "bytesrecv", peer->received_b);
    jw_key_i64(w, "conntime", peer->connected_s);
    jw_key_i64(w, "timeoffset", peer->time_offset_s);
}

static void show_ping(const struct peer *peer, struct json_writer *w)
{
    const double second_us = (double)SECOND_US;
    if (peer->ping_min_us != INT64_MAX) {
        jw_key_double(w, "pingtime", (double)peer->ping_last_us / second_us);
        jw_key_double(w, "minping", (double)peer->ping_min_us / second_us);
    }
    int64_t waited_us = p2p_now_us(peer->p2p) - peer->ping_sent_us;
    if (peer->ping_nonce != 0 && waited_us > 0)
        jw_key_double(w, "pingwait", (double)waited_us / second_us);
}

static void show_sync(const struct peer *peer, struct json_writer *w)
{
    jw_key_i64(w, "presynced_headers", peer->presync.counting ? peer->presync.height : -1);
    jw_key_i64(w, "synced_headers", peer->best_known != NULL ? peer->best_known->height : -1);
    jw_key_i64(w, "synced_blocks", peer->last_common != NULL ? peer->last_common->height : -1);
    jw_key(w, "inflight");
    jw_array(w);
    for (uint32_t i = 0; i < peer->flight_count; i++)
        jw_i64(w, peer->flights[i].index->height);
    jw_end_array(w);
}

static void show_bytes(struct json_writer *w, const char *key, const uint64_t by_message_b[MSG_COUNT + 1])
{
    jw_key(w, key);
    jw_object(w);
    for (int i = 0; i < MSG_COUNT; i++)
        if (by_message_b[i] > 0)
            jw_key_u64(w, message_rules[i].command, by_message_b[i]);
    if (by_message_b[MSG_COUNT] > 0)
        jw_key_u64(w, "*other*", by_message_b[MSG_COUNT]);
    jw_end_object(w);
}

static const char *type_name(enum conn_type type)
{
    switch (type) {
    case CONN_INBOUND:
        return "inbound";
    case CONN_MANUAL:
        return "manual";
    case CONN_FULL:
        return "outbound-full-relay";
    case CONN_BLOCKS:
        return "block-relay-only";
    case CONN_FEELER:
        return "feeler";
    case CONN_ADDR_FETCH:
        return "addr-fetch";
    }
    return "";
}
