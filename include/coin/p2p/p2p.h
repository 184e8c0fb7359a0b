/* p2p.h - the peer-to-peer side: handshakes, headers and block sync, relay, addresses, defence.
 * A state machine: events and the time go in, bytes go out through struct env. It never touches a socket.
 *
 * Owner: the node. Thread: loop. Bounded: peers by max_connections, each peer's inbox, outbox, in-flight
 * requests and pending work by the constants in p2p/limits.h; a full inbox is not read from. */
#ifndef COIN_P2P_P2P_H
#define COIN_P2P_P2P_H

#include "coin/base/env.h"
#include "coin/base/json.h"
#include "coin/ledger/ledger.h"
#include "coin/mempool/mempool.h"
#include "coin/p2p/limits.h"
#include "coin/p2p/netaddr.h"

struct p2p;
#define P2P_NETWORKS 7 /* numbers of enum net_network that can be reached: below this */

struct p2p_options {
    const char *dir;         /* peers.dat, anchors.dat, banlist.json; NULL: keep nothing */
    const char *user_agent;  /* "/coind:0.1.0/" */
    uint16_t listen_port;    /* ours, told to others; 0: we do not listen */
    uint32_t connections_max;
    bool discover, dns_seed, fixed_seeds, lan_discovery, blocks_only;
    bool block_filters;      /* serve them (BIP157); needs the index */
    bool inactive;           /* -networkactive=0: until setnetworkactive */
    bool no_lookup;          /* -dns=0: names of nodes are not looked up */
    bool force_dns_seed;     /* ask them though addresses are known */
    bool cjdns;              /* fc00::/8 is CJDNS here, and reached */
    struct net_addr proxies[P2P_NETWORKS]; /* SOCKS5 by network; network 0 there: none, dialed directly */
    struct net_addr name_proxy; /* looks up names and dials them; network 0: none */
    struct net_addr tor_control; /* Tor's control port; network 0: no onion service */
    const char *tor_password; /* NULL: none */
    bool no_onion_proxy;     /* -onion=0: not even when Tor tells its port */
    bool proxy_randomize;    /* other credentials for each connection, so that Tor takes other ways */
    unsigned only_networks;  /* bits 1 << enum net_network that are dialed automatically; 0: all reached ones */
    uint64_t upload_target_b; /* a day; 0: no limit */
    uint32_t receive_buffer_b, send_buffer_b; /* per peer; 0: INBOX_MAX_B, OUTBOX_MAX_B */
    bool whitelist_no_relay, whitelist_forcerelay;
    bool v2_transport;       /* offer BIP324, and dial by it who may know it */
    bool connect_only;       /* -connect given: no automatic connections */
    uint32_t peer_timeout_s; /* -peertimeout: handshake */
    uint32_t ban_time_s;
    const char *const *add_nodes;   /* -addnode, NULL-terminated (may be NULL) */
    const char *const *connect;     /* -connect */
    const char *const *seed_nodes;  /* -seednode */
    const char *const *whitelist;   /* -whitelist: "perm,perm@subnet" */
    const char *const *white_binds; /* -whitebind: "perm,perm@address:port" */
    const char *const *external_ips; /* -externalip */
    const struct u256 *minimum_chain_work; /* NULL: the chain file's */
};
enum conn_type { CONN_INBOUND, CONN_MANUAL, CONN_FULL, CONN_BLOCKS, CONN_FEELER, CONN_ADDR_FETCH };
/* Dials are numbered by us from 1; net numbers accepted connections from here on. */
#define CONN_ACCEPTED_FIRST (UINT64_C(1) << 63)
struct p2p *p2p_new(const struct env *env, const struct chain *chain, struct ledger *ledger,
    struct mempool *mempool, const struct p2p_options *options, struct fail *why);
/* Where an onion service shall forward to; NULL: nowhere. only_tor: a port of its own, all who come in there come by Tor. */
void p2p_serve_onion(struct p2p *p2p, const struct net_addr *target, bool only_tor);
bool p2p_wants_onion_port(const struct p2p *p2p); /* Tor is there, and has nowhere to forward to yet */
void p2p_start(struct p2p *p2p); /* dials begin */
void p2p_save(struct p2p *p2p);  /* peers.dat, banlist.json by jobs */
/* Blocking save, for shutdown after the loop ended; closes nothing on the wire by itself. */
void p2p_free(struct p2p *p2p);

/* ---- events from net ---- */
bool p2p_on_accept(struct p2p *p2p, uint64_t conn_id, const struct net_addr *remote, const struct net_addr *local);
void p2p_on_dialed(struct p2p *p2p, uint64_t conn_id);
void p2p_on_closed(struct p2p *p2p, uint64_t conn_id, const char *reason);
/* How many of the bytes were taken; the rest stays with the connection (back-pressure). */
size_t p2p_on_bytes(struct p2p *p2p, uint64_t conn_id, struct span bytes);
/* What was given to env->send for this connection has (nearly all) left: more may be sent. */
void p2p_on_writable(struct p2p *p2p, uint64_t conn_id);
void p2p_on_resolved(struct p2p *p2p, uint64_t token, const struct net_addr *addrs, uint32_t count);
void p2p_on_beacon(struct p2p *p2p, const struct net_addr *from, struct span datagram);
/* One round-robin turn over the inboxes with a work budget; true: something is left to do. */
bool p2p_turn(struct p2p *p2p);
void p2p_on_tick(struct p2p *p2p); /* about ten times a second: timers */
/* ---- events from the core ---- */
void p2p_on_ledger(struct p2p *p2p, const struct ledger_effect *effect);
void p2p_on_mempool(struct p2p *p2p, const struct mempool_effect *effect);

/* ---- looking and steering (RPC) ---- */
uint32_t p2p_count(const struct p2p *p2p, bool inbound, bool outbound); /* with a finished handshake */
void p2p_show_peers(const struct p2p *p2p, struct json_writer *w);      /* getpeerinfo's array */
void p2p_show_addresses(const struct p2p *p2p, struct json_writer *w, uint32_t count, uint8_t network); /* 0: any */
struct p2p_totals { uint64_t received_b, sent_b; };
struct p2p_totals p2p_totals(const struct p2p *p2p);
bool p2p_is_active(const struct p2p *p2p);
void p2p_set_active(struct p2p *p2p, bool active);
/* "add", "remove", "onetry": -23, -24 */
/* v2: try the encrypted transport. */
bool p2p_add_node(struct p2p *p2p, struct span node, const char *command, bool v2, struct fail *why) MUST_USE;
bool p2p_disconnect(struct p2p *p2p, struct span address, int64_t id, struct fail *why) MUST_USE; /* -29 */
bool p2p_ban(struct p2p *p2p, struct span subnet, bool add, int64_t until_s, struct fail *why) MUST_USE;
void p2p_clear_bans(struct p2p *p2p);
void p2p_ping_all(struct p2p *p2p);
/* "ip:port" with a type of Bitcoin's addconnection: -8, -34 when there is no room. */
bool p2p_add_connection(struct p2p *p2p, struct span address, enum conn_type type, bool v2, struct fail *why) MUST_USE;
bool p2p_offers_v2(const struct p2p *p2p); /* -v2transport */
/* A raw message to a peer (tests): -8. */
bool p2p_send_message(struct p2p *p2p, int64_t id, struct span command, struct span payload, struct fail *why) MUST_USE;
bool p2p_add_address(struct p2p *p2p, const struct net_addr *addr, bool tried);
/* Our own addresses (Bitcoin's scores: where we know one from). port 0: where we listen. false: not told to others. */
enum { LOCAL_INTERFACE = 1, LOCAL_BIND, LOCAL_MAPPED, LOCAL_MANUAL };
bool p2p_add_local(struct p2p *p2p, const struct net_addr *addr, uint32_t score);
void p2p_remove_local(struct p2p *p2p, const struct net_addr *addr);
void p2p_show_local(const struct p2p *p2p, struct json_writer *w);    /* array of {address, port, score} */
void p2p_show_networks(const struct p2p *p2p, struct json_writer *w); /* array: getnetworkinfo's networks */
void p2p_show_upload(const struct p2p *p2p, struct json_writer *w);   /* object: getnettotals' uploadtarget */
void p2p_show_added(const struct p2p *p2p, struct json_writer *w, struct span node); /* empty: all */
bool p2p_is_added(const struct p2p *p2p, struct span node);
void p2p_show_bans(const struct p2p *p2p, struct json_writer *w);
void p2p_show_addrman(const struct p2p *p2p, struct json_writer *w, bool raw);
uint64_t p2p_services(const struct p2p *p2p);
void p2p_show_services(struct json_writer *w, uint64_t services); /* array of names */
const char *p2p_user_agent(const struct p2p *p2p);
bool p2p_relays_transactions(const struct p2p *p2p);
int64_t p2p_time_offset_s(const struct p2p *p2p); /* of the clocks of peers we dialed less ours: the median; 0: too few */
bool p2p_clock_is_off(const struct p2p *p2p);     /* by so much that it must be ours that is wrong */
/* Has any peer that we did not get from ourselves shown our tip or less? (coins mined alone may vanish) */
bool p2p_has_agreed(const struct p2p *p2p);
/* The best height that peers claim with headers we know. */
int32_t p2p_best_known_height(const struct p2p *p2p);

#endif
