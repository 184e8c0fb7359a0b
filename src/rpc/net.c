/* The Network group: peers, addresses, bans. */

#include <stdio.h>
#include <string.h>

#include "chain_calls.h"
#include "coin/p2p/p2p.h"
#include "coin/rpc/groups.h"

#define PROTOCOL_VERSION 70016
/* Clients of Bitcoin's chains gate features on the reference node's version. */
#define VERSION_BITCOIN 310000
#define VERSION_OURS 100

static void done(struct rpc_call *call)
{
    jw_null(&call->out);
    rpc_ok(call);
}

static void show_services(struct json_writer *w, uint64_t services)
{
    char hex[17];
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)services);
    jw_key_text(w, "localservices", hex);
    jw_key(w, "localservicesnames");
    p2p_show_services(w, services);
}

static void rpc_getnetworkinfo(struct rpc_call *call)
{
    struct json_writer *w = &call->out;
    const struct p2p *p2p = call->ctx->p2p;
    const struct mempool_options *options = mempool_options_of(call->ctx->mempool);
    uint32_t in = p2p_count(p2p, true, false), out = p2p_count(p2p, false, true);
    jw_object(w);
    jw_key_i64(w, "version", call->ctx->chain->is_bitcoin ? VERSION_BITCOIN : VERSION_OURS);
    jw_key_text(w, "subversion", p2p_user_agent(p2p));
    jw_key_i64(w, "protocolversion", PROTOCOL_VERSION);
    show_services(w, p2p_services(p2p));
    jw_key_bool(w, "localrelay", p2p_relays_transactions(p2p));
    jw_key_i64(w, "timeoffset", p2p_time_offset_s(p2p));
    jw_key_u64(w, "connections", in + out);
    jw_key_u64(w, "connections_in", in);
    jw_key_u64(w, "connections_out", out);
    jw_key_bool(w, "networkactive", p2p_is_active(p2p));
    jw_key(w, "networks");
    p2p_show_networks(p2p, w);
    jw_key_amount(w, "relayfee", options->min_relay_sat_kvb);
    jw_key_amount(w, "incrementalfee", options->incremental_sat_kvb);
    jw_key(w, "localaddresses");
    p2p_show_local(p2p, w);
    rpc_show_warnings(w, call->ctx);
    jw_end_object(w);
    rpc_ok(call);
}

static void rpc_getpeerinfo(struct rpc_call *call)
{
    p2p_show_peers(call->ctx->p2p, &call->out);
    rpc_ok(call);
}

static void rpc_getconnectioncount(struct rpc_call *call)
{
    jw_u64(&call->out, p2p_count(call->ctx->p2p, true, true));
    rpc_ok(call);
}

static void rpc_getnettotals(struct rpc_call *call)
{
    struct json_writer *w = &call->out;
    struct p2p_totals totals = p2p_totals(call->ctx->p2p);
    jw_object(w);
    jw_key_u64(w, "totalbytesrecv", totals.received_b);
    jw_key_u64(w, "totalbytessent", totals.sent_b);
    jw_key_i64(w, "timemillis", env_wall_ms(call->ctx->env));
    jw_key(w, "uploadtarget");
    p2p_show_upload(call->ctx->p2p, w);
    jw_end_object(w);
    rpc_ok(call);
}

static void rpc_addnode(struct rpc_call *call)
{
    struct fail why;
    struct span node, text;
    char command[16];
    bool offers_v2 = p2p_offers_v2(call->ctx->p2p), v2;
    if (!rpc_arg_text(&node, call, 0, "", &why) || !rpc_arg_text(&text, call, 1, "", &why) ||
        !rpc_arg_bool(&v2, call, 2, offers_v2, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (!span_is(text, "add") && !span_is(text, "remove") && !span_is(text, "onetry")) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Invalid command: use add, remove or onetry");
        return;
    }
    if (v2 && !offers_v2) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Error: v2transport requested but not enabled (see -v2transport)");
        return;
    }
    snprintf(command, sizeof command, "%.*s", (int)text.size_b, (const char *)text.data);
    if (!p2p_add_node(call->ctx->p2p, node, command, v2, &why))
        rpc_fail(call, &why);
    else
        done(call);
}

static void rpc_disconnectnode(struct rpc_call *call)
{
    struct fail why;
    struct span address;
    int64_t id;
    if (!rpc_arg_text(&address, call, 0, "", &why) || !rpc_arg_i64(&id, call, 1, -1, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if ((address.size_b > 0) == rpc_has_arg(call, 1)) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Only one of address and nodeid should be provided.");
        return;
    }
    if (!p2p_disconnect(call->ctx->p2p, address, id, &why))
        rpc_fail(call, &why);
    else
        done(call);
}

static void rpc_getaddednodeinfo(struct rpc_call *call)
{
    struct fail why;
    struct span node;
    if (!rpc_arg_text(&node, call, 0, "", &why)) {
        rpc_fail(call, &why);
    } else if (node.size_b > 0 && !p2p_is_added(call->ctx->p2p, node)) {
        rpc_error(call, RPC_CLIENT_NODE_NOT_ADDED, "Error: Node has not been added.");
    } else {
        p2p_show_added(call->ctx->p2p, &call->out, node);
        rpc_ok(call);
    }
}

static void rpc_setban(struct rpc_call *call)
{
    struct fail why;
    struct span subnet, command;
    int64_t time_s;
    bool absolute;
    if (!rpc_arg_text(&subnet, call, 0, "", &why) || !rpc_arg_text(&command, call, 1, "", &why) ||
        !rpc_arg_i64(&time_s, call, 2, 0, &why) || !rpc_arg_bool(&absolute, call, 3, false, &why)) {
        rpc_fail(call, &why);
        return;
    }
    bool add = span_is(command, "add");
    if (!add && !span_is(command, "remove")) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Invalid command: use add or remove");
        return;
    }
    int64_t now_s = env_wall_s(call->ctx->env);
    if (add && absolute && time_s < now_s) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Error: Absolute timestamp is in the past");
        return;
    }
    if (time_s <= 0)
        time_s = config_int(call->ctx->config, "bantime", 86400);
    if (!p2p_ban(call->ctx->p2p, subnet, add, absolute ? time_s : now_s + time_s, &why))
        rpc_fail(call, &why);
    else
        done(call);
}

static void rpc_listbanned(struct rpc_call *call)
{
    p2p_show_bans(call->ctx->p2p, &call->out);
    rpc_ok(call);
}

static void rpc_clearbanned(struct rpc_call *call)
{
    p2p_clear_bans(call->ctx->p2p);
    done(call);
}

static void rpc_ping(struct rpc_call *call)
{
    p2p_ping_all(call->ctx->p2p);
    done(call);
}

static void rpc_setnetworkactive(struct rpc_call *call)
{
    struct fail why;
    bool active;
    if (!rpc_arg_bool(&active, call, 0, true, &why)) {
        rpc_fail(call, &why);
        return;
    }
    p2p_set_active(call->ctx->p2p, active);
    jw_bool(&call->out, p2p_is_active(call->ctx->p2p));
    rpc_ok(call);
}

/* Names of BIP155's networks. */
static bool network_number(uint8_t *out, struct span name)
{
    static const struct { const char *name; uint8_t number; } networks[] = {
        {"ipv4", 1}, {"ipv6", 2}, {"onion", 4}, {"i2p", 5}, {"cjdns", 6},
    };
    *out = 0;
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
        if (span_is(name, networks[i].name))
            *out = networks[i].number;
    }
    return *out != 0;
}

static void rpc_getnodeaddresses(struct rpc_call *call)
{
    struct fail why;
    int64_t count;
    struct span name;
    uint8_t network = 0;
    if (!rpc_arg_i64(&count, call, 0, 1, &why) || !rpc_arg_text(&name, call, 1, "", &why)) {
        rpc_fail(call, &why);
    } else if (count < 0 || count > UINT32_MAX) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Address count out of range");
    } else if (name.size_b > 0 && !network_number(&network, name)) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Network not recognized: %.*s", name.size_b > 64 ? 64 : (int)name.size_b,
            (const char *)name.data);
    } else {
        p2p_show_addresses(call->ctx->p2p, &call->out, (uint32_t)count, network);
        rpc_ok(call);
    }
}

static void rpc_getaddrmaninfo(struct rpc_call *call)
{
    p2p_show_addrman(call->ctx->p2p, &call->out, false);
    rpc_ok(call);
}

/* ---- for tests ---- */

static void rpc_getrawaddrman(struct rpc_call *call)
{
    p2p_show_addrman(call->ctx->p2p, &call->out, true);
    rpc_ok(call);
}

static void rpc_addconnection(struct rpc_call *call)
{
    static const struct { const char *name; enum conn_type type; } types[] = {
        {"outbound-full-relay", CONN_FULL}, {"block-relay-only", CONN_BLOCKS}, {"addr-fetch", CONN_ADDR_FETCH},
        {"feeler", CONN_FEELER},
    };
    struct fail why;
    struct span address, name;
    if (!rpc_for_tests(call, "addconnection"))
        return;
    bool v2;
    if (!rpc_arg_text(&address, call, 0, "", &why) || !rpc_arg_text(&name, call, 1, "", &why) ||
        !rpc_arg_bool(&v2, call, 2, false, &why)) {
        rpc_fail(call, &why);
        return;
    }
    if (v2 && !p2p_offers_v2(call->ctx->p2p)) {
        rpc_error(call, RPC_INVALID_PARAMETER, "Error: Adding v2transport connections requires -v2transport init flag to be set.");
        return;
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (!span_is(name, types[i].name))
            continue;
        if (!p2p_add_connection(call->ctx->p2p, address, types[i].type, v2, &why)) {
            rpc_fail(call, &why);
            return;
        }
        jw_object(&call->out);
        jw_key(&call->out, "address");
        jw_string(&call->out, address);
        jw_key_text(&call->out, "connection_type", types[i].name);
        jw_end_object(&call->out);
        rpc_ok(call);
        return;
    }
    rpc_error(call, RPC_INVALID_PARAMETER, "Error: unknown connection_type");
}

static void rpc_addpeeraddress(struct rpc_call *call)
{
    struct fail why;
    struct span text;
    int64_t port;
    bool tried;
    struct net_addr addr;
    if (!rpc_arg_text(&text, call, 0, "", &why) || !rpc_arg_i64(&port, call, 1, 0, &why) ||
        !rpc_arg_bool(&tried, call, 2, false, &why)) {
        rpc_fail(call, &why);
        return;
    }
    bool ok = port > 0 && port <= 65535 && net_addr_parse(&addr, text, (uint16_t)port) &&
              p2p_add_address(call->ctx->p2p, &addr, tried);
    jw_object(&call->out);
    jw_key_bool(&call->out, "success", ok);
    jw_end_object(&call->out);
    rpc_ok(call);
}

static void rpc_sendmsgtopeer(struct rpc_call *call)
{
    struct fail why;
    struct buf payload;
    struct span command;
    int64_t id;
    buf_init(&payload, 4u << 20);
    if (!rpc_arg_i64(&id, call, 0, 0, &why) || !rpc_arg_text(&command, call, 1, "", &why) ||
        !rpc_hex_value(&payload, call->args[2], "msg", &why) ||
        !p2p_send_message(call->ctx->p2p, id, command, buf_span(&payload), &why)) {
        rpc_fail(call, &why);
    } else {
        jw_object(&call->out);
        jw_end_object(&call->out);
        rpc_ok(call);
    }
    buf_clear(&payload);
}

/* ---- the table ---- */

static const struct rpc_arg addnode_args[] = {
    {"node", RPC_STRING, true, NULL, "host or host:port"},
    {"command", RPC_STRING, true, NULL, "\"add\", \"remove\", or \"onetry\" for a single attempt."},
    {"v2transport", RPC_BOOL, false, "-v2transport", "Try the encrypted transport (BIP324)."},
    RPC_ARGS_END,
};
static const struct rpc_arg disconnect_args[] = {
    {"address", RPC_STRING, false, "nodeid", "The peer's address and port,"},
    {"nodeid", RPC_NUMBER, false, "address", "or its id."},
    RPC_ARGS_END,
};
static const struct rpc_arg added_args[] = {{"node", RPC_STRING, false, "all", "Only this one."}, RPC_ARGS_END};
static const struct rpc_arg ban_args[] = {
    {"subnet", RPC_STRING, true, NULL, "Address, or address/bits."},
    {"command", RPC_STRING, true, NULL, "\"add\" or \"remove\"."},
    {"bantime", RPC_NUMBER, false, "-bantime", "Seconds, or with absolute: until then (seconds since 1970)."},
    {"absolute", RPC_BOOL, false, "false", "See bantime."},
    RPC_ARGS_END,
};
static const struct rpc_arg active_args[] = {{"state", RPC_BOOL, true, NULL, "true: be on the network."}, RPC_ARGS_END};
static const struct rpc_arg addresses_args[] = {
    {"count", RPC_NUMBER, false, "1", "At most so many; 0: all."},
    {"network", RPC_STRING, false, "all", "ipv4, ipv6, onion, i2p or cjdns."},
    RPC_ARGS_END,
};
static const struct rpc_arg connection_args[] = {
    {"address", RPC_STRING, true, NULL, "ip:port"},
    {"connection_type", RPC_STRING, true, NULL, "outbound-full-relay, block-relay-only, addr-fetch or feeler."},
    {"v2transport", RPC_BOOL, false, "false", "Try the encrypted transport."},
    RPC_ARGS_END,
};
static const struct rpc_arg peer_address_args[] = {
    {"address", RPC_STRING, true, NULL, "The address."},
    {"port", RPC_NUMBER, true, NULL, "The port."},
    {"tried", RPC_BOOL, false, "false", "As if a connection had succeeded."},
    RPC_ARGS_END,
};
static const struct rpc_arg send_args[] = {
    {"peer_id", RPC_NUMBER, true, NULL, "The peer."},
    {"msg_type", RPC_STRING, true, NULL, "The message's name."},
    {"msg", RPC_HEX, true, NULL, "Its payload."},
    RPC_ARGS_END,
};

const struct rpc_method rpc_net_methods[] = {
    {.name = "getnetworkinfo", .summary = "Tells about this node on the network.", .result = "an object",
        .example = "", .run = rpc_getnetworkinfo},
    {.name = "getpeerinfo", .summary = "Lists the peers.", .result = "an array of objects", .example = "",
        .run = rpc_getpeerinfo},
    {.name = "getconnectioncount", .summary = "Returns the number of connections.", .result = "a number",
        .example = "", .run = rpc_getconnectioncount},
    {.name = "getnettotals", .summary = "Counts the bytes sent and received.", .result = "an object", .example = "",
        .run = rpc_getnettotals},
    {.name = "addnode", .summary = "Adds or removes a node to stay connected with.", .args = addnode_args,
        .result = "null", .example = "192.0.2.1 add", .run = rpc_addnode},
    {.name = "disconnectnode", .summary = "Disconnects a peer.", .args = disconnect_args, .result = "null",
        .example = "192.0.2.1:8333", .run = rpc_disconnectnode},
    {.name = "getaddednodeinfo", .summary = "Lists the added nodes.", .args = added_args,
        .result = "an array of objects", .example = "", .run = rpc_getaddednodeinfo},
    {.name = "setban", .summary = "Bans an address or subnet, or lifts the ban.", .args = ban_args,
        .result = "null", .example = "192.0.2.0/24 add 86400", .run = rpc_setban},
    {.name = "listbanned", .summary = "Lists the bans.", .result = "an array of objects", .example = "",
        .run = rpc_listbanned},
    {.name = "clearbanned", .summary = "Lifts all bans.", .result = "null", .example = "", .run = rpc_clearbanned},
    {.name = "ping", .summary = "Pings all peers; getpeerinfo shows the times.", .result = "null", .example = "",
        .run = rpc_ping},
    {.name = "setnetworkactive", .summary = "Leaves or joins the network.", .args = active_args,
        .result = "the new state", .example = "true", .run = rpc_setnetworkactive},
    {.name = "getnodeaddresses", .summary = "Lists known addresses of nodes.", .args = addresses_args,
        .result = "an array of objects", .example = "8", .run = rpc_getnodeaddresses},
    {.name = "getaddrmaninfo", .summary = "Counts the known addresses by network.", .result = "an object",
        .example = "", .run = rpc_getaddrmaninfo},
    {.name = "getrawaddrman", .summary = "Shows where each known address lies; for testing.", .result = "an object",
        .example = "", .hidden = true, .run = rpc_getrawaddrman},
    {.name = "addconnection", .summary = "Opens a connection of a kind (regtest only).", .args = connection_args,
        .result = "an object", .example = "192.168.0.6:18444 outbound-full-relay", .hidden = true,
        .run = rpc_addconnection},
    {.name = "addpeeraddress", .summary = "Adds an address to those known; for testing.", .args = peer_address_args,
        .result = "{\"success\":bool}", .example = "1.2.3.4 8333", .hidden = true, .run = rpc_addpeeraddress},
    {.name = "sendmsgtopeer", .summary = "Sends a raw message to a peer; for testing.", .args = send_args,
        .result = "{}", .example = "0 addr ffffff", .hidden = true, .run = rpc_sendmsgtopeer},
    {.name = NULL},
};
