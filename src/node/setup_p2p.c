/* The peer-to-peer side's options: lists of nodes, limits, and the ways to other networks. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "coin/base/json.h"
#include "coin/p2p/limits.h"
#include "setup.h"

#define CONNECTIONS_LIMIT 10000
#define BUFFER_MAX_KB 1000000
#define PROXY_PORT 9050 /* Tor's */
#define TOR_CONTROL_PORT 9051
#define TOR_CONTROL "127.0.0.1:9051"

static bool make_user_agent(struct setup *s, const struct config *config, const struct chain *chain,
    struct fail *why);
static bool byte_amount(uint64_t *out, const struct config *config, const char *name, struct fail *why);
static bool read_proxies(struct p2p_options *o, const struct config *config, struct fail *why);
static bool read_proxy(struct p2p_options *o, const char *text, struct fail *why);
static bool read_networks(struct p2p_options *o, const struct config *config, struct fail *why);
static bool read_tor(struct p2p_options *o, const struct config *config, struct fail *why);
static bool is_off(const char *text);

bool setup_p2p(struct setup *s, const struct config *config, const struct chain *chain, struct fail *why)
{
    struct p2p_options *o = &s->p2p;
    int64_t port, connections, timeout, ban, receive_kb, send_kb;
    if (!value_number(&port, config, "port", chain->p2p_port, 1, 65535, why) ||
        !value_number(&connections, config, "maxconnections", 125, 0, CONNECTIONS_LIMIT, why) ||
        !value_number(&timeout, config, "peertimeout", 60, 1, INT32_MAX, why) ||
        !value_number(&ban, config, "bantime", 86400, 1, INT32_MAX, why) ||
        !value_number(&receive_kb, config, "maxreceivebuffer", INBOX_MAX_B / 1000, 1, BUFFER_MAX_KB, why) ||
        !value_number(&send_kb, config, "maxsendbuffer", OUTBOX_MAX_B / 1000, 1, BUFFER_MAX_KB, why) ||
        !byte_amount(&o->upload_target_b, config, "maxuploadtarget", why) || !read_proxies(o, config, why) ||
        !read_tor(o, config, why) ||
        !read_networks(o, config, why) || !make_user_agent(s, config, chain, why))
        return false;
    if (config_flag(config, "forcednsseed") && !value_flag(config, "dnsseed", true))
        return fail_request(why, 0, "Cannot set -forcednsseed to true when setting -dnsseed to false.");
    value_list(s->add_nodes, config, "addnode");
    value_list(s->connect, config, "connect");
    value_list(s->seed_nodes, config, "seednode");
    value_list(s->whitelist, config, "whitelist");
    value_list(s->white_binds, config, "whitebind");
    value_list(s->external_ips, config, "externalip");
    bool connect_only = config_is_set(config, "connect");
    o->dir = s->datadir;
    o->user_agent = s->user_agent;
    o->listen_port = value_flag(config, "listen", true) ? (uint16_t)port : 0;
    o->connections_max = (uint32_t)connections;
    o->discover = value_flag(config, "discover", true);
    o->dns_seed = value_flag(config, "dnsseed", !connect_only);
    o->fixed_seeds = value_flag(config, "fixedseeds", !connect_only);
    o->lan_discovery = value_flag(config, "landiscovery", chain->lan_discovery && !connect_only);
    o->blocks_only = value_flag(config, "blocksonly", false);
    o->v2_transport = value_flag(config, "v2transport", true);
    o->block_filters = config_flag(config, "peerblockfilters");
    o->connect_only = connect_only;
    o->peer_timeout_s = (uint32_t)timeout;
    o->ban_time_s = (uint32_t)ban;
    o->add_nodes = s->add_nodes;
    o->connect = s->connect;
    o->seed_nodes = s->seed_nodes;
    o->whitelist = s->whitelist;
    o->white_binds = s->white_binds;
    o->external_ips = s->external_ips;
    o->inactive = !value_flag(config, "networkactive", true);
    o->no_lookup = !value_flag(config, "dns", true);
    o->force_dns_seed = config_flag(config, "forcednsseed");
    o->whitelist_no_relay = !value_flag(config, "whitelistrelay", true);
    o->whitelist_forcerelay = config_flag(config, "whitelistforcerelay");
    o->receive_buffer_b = (uint32_t)receive_kb * 1000;
    o->send_buffer_b = (uint32_t)send_kb * 1000;
    return true;
}

/* BIP14. Bitcoin's chains are told Bitcoin's version first: clients gate features on that prefix. */
static bool make_user_agent(struct setup *s, const struct config *config, const struct chain *chain,
    struct fail *why)
{
    char comments[128] = "";
    size_t used = 0;
    const char *comment;
    for (uint32_t i = 0; (comment = config_list(config, "uacomment", i)) != NULL; i++) {
        if (comment[strspn(comment, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,;-_?@")] != 0)
            return fail_request(
                why, 0, "User Agent comment (%s) contains unsafe characters.", comment);
        size_t room = sizeof comments - used;
        int n = snprintf(comments + used, room, "%s%s", used == 0 ? "(" : "; ", comment);
        if (n < 0 || (size_t)n + 2 > room)
            return fail_request(why, 0,
                "Total length of network version string exceeds maximum length. Reduce the number or size "
                "of uacomments.");
        used += (size_t)n;
    }
    if (used > 0)
        snprintf(comments + used, sizeof comments - used, ")");
    snprintf(s->user_agent, sizeof s->user_agent, "%s/coind:" COIN_VERSION "%s/",
        chain->is_bitcoin ? "/Satoshi:31.0.0" : "", comments);
    return true;
}

/* "500M", "2g": a unit of a thousand in small, of 1024 in capital letters; without one MiB, as in Bitcoin. */
static bool byte_amount(uint64_t *out, const struct config *config, const char *name, struct fail *why)
{
    static const char units[] = "kmgt";
    const char *text = config_text(config, name);
    struct span digits = span_text(text != NULL ? text : "0");
    uint64_t scale = UINT64_C(1) << 20;
    int64_t number;
    char last = digits.size_b > 0 ? (char)digits.data[digits.size_b - 1] : 0;
    for (unsigned i = 0; units[i] != 0; i++) {
        bool small = last == units[i], capital = last == units[i] - 'a' + 'A';
        if (!small && !capital)
            continue;
        digits.size_b--;
        scale = 1;
        for (unsigned k = 0; k <= i; k++)
            scale *= small ? 1000 : 1024;
    }
    if (!decimal_parse(&number, digits, 0) || number < 0 || (uint64_t)number > UINT64_MAX / scale)
        return fail_request(why, 0, "Unable to parse -%s: '%s'", name, text);
    *out = (uint64_t)number * scale;
    return true;
}

/* -proxy=host:port reaches every network and looks names up; -proxy=host:port=network that one; -onion overrides. */
static bool read_proxies(struct p2p_options *o, const struct config *config, struct fail *why)
{
    const char *text;
    for (uint32_t i = 0; (text = config_list(config, "proxy", i)) != NULL; i++)
        if (!read_proxy(o, text, why))
            return false;
    o->proxy_randomize = value_flag(config, "proxyrandomize", true);
    o->cjdns = config_flag(config, "cjdnsreachable");
    text = config_text(config, "onion");
    if (text == NULL || *text == 0)
        return true;
    memset(&o->proxies[NET_TORV3], 0, sizeof o->proxies[NET_TORV3]);
    o->no_onion_proxy = is_off(text);
    if (!o->no_onion_proxy && !net_addr_parse(&o->proxies[NET_TORV3], span_text(text), PROXY_PORT))
        return fail_request(why, 0, "Invalid -onion address or hostname: '%s'", text);
    return true;
}

static bool read_proxy(struct p2p_options *o, const char *text, struct fail *why)
{
    struct net_addr proxy = {.network = 0};
    const char *equals = strchr(text, '=');
    struct span host = equals != NULL ? span_of(text, (size_t)(equals - text)) : span_text(text);
    if (equals != NULL && equals[1] == 0)
        return fail_request(why, 0, "Invalid -proxy address or hostname, ends with '=': '%s'", text);
    if (!span_is(host, "0") && !net_addr_parse(&proxy, host, PROXY_PORT))
        return fail_request(why, 0, "Invalid -proxy address or hostname: '%s'", text);
    if (equals != NULL) {
        struct span name = span_text(equals + 1);
        uint8_t network = span_is(name, "tor") ? (uint8_t)NET_TORV3 : net_network_by_name(name);
        if (network == 0 || network == NET_I2P)
            return fail_request(why, 0, "Unrecognized network in -proxy='%s': '%s'", text, equals + 1);
        o->proxies[network] = proxy;
        return true;
    }
    o->proxies[NET_IPV4] = o->proxies[NET_IPV6] = o->proxies[NET_TORV3] = o->proxies[NET_CJDNS] = proxy;
    o->name_proxy = proxy;
    return true;
}

static bool read_networks(struct p2p_options *o, const struct config *config, struct fail *why)
{
    const char *name;
    for (uint32_t i = 0; (name = config_list(config, "onlynet", i)) != NULL; i++) {
        uint8_t network = net_network_by_name(span_text(name));
        if (network == 0)
            return fail_request(why, 0, "Unknown network specified in -onlynet: '%s'", name);
        o->only_networks |= 1u << network;
    }
    const char *onion = config_text(config, "onion");
    bool tor_will_tell = o->tor_control.network != 0 && !o->no_onion_proxy;
    if (o->only_networks & 1u << NET_TORV3 && o->proxies[NET_TORV3].network == 0 && !tor_will_tell)
        return onion != NULL && is_off(onion)
                   ? fail_request(why, 0, "Outbound connections restricted to Tor (-onlynet=onion) but the proxy for "
                                          "reaching the Tor network is explicitly forbidden: -onion=0")
                   : fail_request(why, 0, "Outbound connections restricted to Tor (-onlynet=onion) but the proxy for "
                                          "reaching the Tor network is not provided: none of -proxy, -onion or "
                                          "-listenonion is given");
    if (o->only_networks & 1u << NET_I2P)
        return fail_request(why, 0, "Outbound connections restricted to i2p (-onlynet=i2p) but this version has no "
                                    "I2P connections");
    if (o->only_networks & 1u << NET_CJDNS && !o->cjdns)
        return fail_request(why, 0, "Outbound connections restricted to CJDNS (-onlynet=cjdns) but -cjdnsreachable "
                                    "is not provided");
    return true;
}

static bool read_tor(struct p2p_options *o, const struct config *config, struct fail *why)
{
    const char *text = config_text(config, "torcontrol");
    o->tor_password = config_text(config, "torpassword");
    if (text == NULL || *text == 0)
        text = TOR_CONTROL;
    if (!value_flag(config, "listen", true) || !value_flag(config, "listenonion", true))
        return true;
    return net_addr_parse(&o->tor_control, span_text(text), TOR_CONTROL_PORT) ||
           fail_request(why, 0, "Invalid -torcontrol address: '%s'", text);
}

static bool is_off(const char *text)
{
    return strcmp(text, "0") == 0;
}
