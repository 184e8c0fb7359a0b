/* internal.h - struct p2p and struct peer, shared by the files of this layer, and what each file offers to
 * the others. Owner of all: struct p2p; a peer owns its queues. Thread: loop.
 *
 * States of a peer (peer_enter in peer.c is the only place that changes one, and logs it):
 *
 *   DIALING --p2p_on_dialed--> FRESH --peer_on_version--> GREETED --peer_on_verack--> READY
 *                                ^ accepted ones start here
 *   any of these --peer_close--> CLOSED, freed by p2p_reap at the end of the event
 */
#ifndef COIN_P2P_INTERNAL_H
#define COIN_P2P_INTERNAL_H

#include "addrman.h"
#include "coin/base/log.h"
#include "coin/base/table.h"
#include "coin/chain/chain.h"
#include "coin/p2p/p2p.h"
#include "messages.h"
#include "orphans.h"
#include "rolling.h"
#include "tor_control.h"
#include "socks5.h"
#include "transport.h"
#include "tx_request.h"

enum peer_state { PEER_DIALING, PEER_FRESH, PEER_GREETED, PEER_READY, PEER_CLOSED };

enum permission { /* of -whitelist */
    PERMIT_BLOOM = 1u << 0,
    PERMIT_RELAY = 1u << 1,
    PERMIT_FORCERELAY = 1u << 2 | PERMIT_RELAY,
    PERMIT_DOWNLOAD = 1u << 3,
    PERMIT_NOBAN = 1u << 4 | PERMIT_DOWNLOAD,
    PERMIT_MEMPOOL = 1u << 5,
    PERMIT_ADDR = 1u << 6
};

#define NO_PEER INT64_C(-1)
#define BLOCK_ANNOUNCE_MAX 8 /* Bitcoin: MAX_BLOCKS_TO_ANNOUNCE; more are announced by the tip alone */

struct frame_queue { /* a ring of frames */
    struct frame *frames;
    uint32_t capacity, first, count;
    size_t size_b; /* payloads and headers */
};
/* Work that a peer's messages started, counted between its pings: see peer.c. */
struct barrier {
    uint64_t nonce;
    uint32_t pending;
};
struct work { /* a piece of it, kept by whoever does it */
    struct p2p *p2p;
    int64_t peer_id;
    uint32_t generation;
};
struct partial; /* a compact block being put together: compact.c */
struct flight { /* a block that we asked a peer for */
    struct block_index *index;
    int64_t asked_us;
    bool released; /* too slow: others may be asked for it */
    struct partial *partial;
};
struct filter_ask;
struct serve_read; /* a block being read for it: serve.c */
struct serve_item {
    uint32_t type; /* enum inv_type, or SERVE_BLOCKTXN */
    uint8_t hash[32];
    uint32_t generation;
    struct serve_read *read; /* NULL: not begun */
    uint32_t *indexes; /* SERVE_BLOCKTXN */
    uint32_t index_count;
};
#define SERVE_BLOCKTXN 0x7fffffffu
struct serve_queue {
    struct serve_item *items;
    uint32_t capacity, first, count;
};
/* Headers of a chain that has not shown enough work are counted, not stored: sync_headers.c. */
struct presync {
    bool counting;  /* first pass */
    bool trusted;   /* second pass: as many as were counted may be stored */
    struct block_index *start;
    struct header last;
    struct block_id last_id;
    struct u256 work;
    int32_t height;
    uint32_t trusted_left, restarts;
};

struct peer {
    struct p2p *p2p; /* borrowed */
    int64_t id;
    uint64_t conn_id;
    enum peer_state state;
    enum conn_type type;
    unsigned permissions;
    struct net_addr addr, local;
    char name[NET_ADDR_TEXT_SIZE_B]; /* addr as text, for logs and RPC */
    uint32_t close_after_b;
    int64_t connected_us, connected_s, ready_us;
    bool by_onion; /* came in through our onion service: its address says nothing */
    bool is_lan;
    char *host;           /* owned: a name that the proxy looks up; NULL: addr */
    struct socks5 *proxy; /* owned: it is being asked for a connection; NULL: direct, or done */

    /* wire */
    struct transport transport;
    bool said_version;
    bool try_plain; /* closed unheard: it may know the plain transport only */
    struct frame_queue inbox;
    bool paused;  /* net was told not to read */
    bool blocked; /* the head of the inbox waits for something; p2p_unblock */
    uint64_t received_b, sent_b, outbox_b;
    int64_t last_received_us, last_sent_us, last_received_s, last_sent_s;
    uint64_t sent_by_message_b[MSG_COUNT + 1], received_by_message_b[MSG_COUNT + 1];
    struct log_limit log;

    /* handshake */
    uint64_t nonce; /* ours */
    int32_t version, start_height;
    uint64_t services;
    char user_agent[USER_AGENT_MAX_B + 1];
    bool got_version, wtxid_relay, addrv2, prefers_headers, sent_getaddr;
    bool remote_relays; /* wants transactions */
    struct net_addr seen_as; /* how it sees us */
    uint16_t listen_port;    /* where it listens, if it told (neighbours do); 0: unknown */
    int64_t time_offset_s;
    int64_t addr_heard_us; /* the first addr; 0: none yet */

    /* ping and the barrier */
    uint64_t ping_nonce;
    int64_t ping_sent_us, ping_last_us, ping_min_us;
    bool ping_asked;
    struct barrier barriers[PINGS_WAITING_MAX + 1]; /* a ring; the last is open */
    uint32_t generation_first, generation;          /* open one: generation */
    uint32_t work_pending;

    /* headers */
    struct block_index *best_known, *last_common, *best_header_sent;
    struct block_id claimed; /* announced, not known yet; zero: none */
    bool sync_started, sync_done;
    int64_t getheaders_us; /* asked at; 0: answered */
    struct presync presync;
    int64_t chain_deadline_us; /* an outbound peer with less work than ours must catch up */
    bool chain_asked;
    struct block_index *chain_work_index;
    int64_t last_announcement_us;

    /* blocks */
    struct flight flights[BLOCKS_IN_FLIGHT_MAX];
    uint32_t flight_count, flight_limit;
    int64_t last_block_us, block_gap_us, progress_us;
    uint32_t progress_b;
    int64_t last_block_s, last_tx_s; /* for eviction and RPC */

    /* compact blocks */
    bool compact_ok, compact_to_us, compact_from_us; /* high bandwidth: it sends to us, we send to it */

    /* serving */
    struct serve_queue serve;
    uint32_t serve_reads;
    struct block_id continue_at; /* getblocks goes on when this is asked for */
    struct filter_ask *filter_ask; /* block filters on their way to it: filters.c */

    /* transactions */
    struct table tx_to_send; /* wtxid -> nothing */
    struct rolling tx_known; /* ids that it has, or that were announced to it */
    int64_t next_trickle_us, next_feefilter_us;
    uint64_t last_inv_sequence;
    int64_t fee_filter_sat_kvb, fee_filter_sent;

    /* addresses */
    bool addr_relay, getaddr_answered;
    double addr_tokens;
    int64_t addr_tokens_us, next_addr_us, next_self_us;
    uint64_t addr_processed, addr_limited;
    struct addr_entry *addrs_to_send;
    uint32_t addr_send_count, addr_send_capacity;
    struct rolling addr_known;
};

struct addr_answer { /* what getaddr is answered with for a day */
    struct addr_entry *entries;
    uint32_t count;
    int64_t until_us;
};

struct onion { /* onion.c */
    struct net_addr target; /* where Tor forwards to; network 0: nowhere */
    bool only_tor;          /* nobody else connects there */
    uint64_t conn_id;       /* of the control connection; 0: none */
    int64_t next_dial_us, retry_us;
    char key[TOR_KEY_SIZE_B];
    struct tor_control control;
};

struct clock_samples {
    int64_t offsets_s[CLOCK_SAMPLES_MAX]; /* the newest ones, in a ring */
    uint32_t heard;
    bool off;
};

struct local_addr {
    struct net_addr addr;
    uint32_t score;
};
struct whitelist_entry {
    struct net_subnet subnet;
    struct net_addr bound; /* network 0: subnet counts */
    unsigned permissions;
    bool in, out;
};
struct ban {
    struct net_subnet subnet;
    int64_t created_s, until_s;
};
struct added_node { /* -addnode, -connect, RPC addnode: dialed again and again */
    char text[NET_NAME_SIZE_B + 8];
    struct net_addr addr; /* network 0: not looked up yet */
    int64_t next_dial_us, backoff_us;
    int64_t peer_id; /* the connection that serves it; NO_PEER */
    bool resolving, plain; /* plain: v1 only, as the user wants */
};
enum resolve_purpose { RESOLVE_SEED, RESOLVE_ADDED, RESOLVE_ONCE, RESOLVE_FETCH };
struct resolve {
    uint64_t token; /* 0: a free place */
    enum resolve_purpose purpose;
    enum conn_type type;
    bool plain;
    char text[NET_NAME_SIZE_B + 8];
};
struct lan_candidate {
    struct net_addr addr;
    int64_t due_us; /* 0: a free place */
    uint64_t nonce;
};
struct early_header { /* ahead of our clock: tried again */
    struct header header;
    int64_t peer_id;
};
struct asked { /* a block on its way: value of p2p.in_flight */
    uint8_t peers;
    bool judging; /* arrived; its verdict is on its way */
    int64_t asked_us;
};

struct p2p {
    const struct env *env;
    const struct chain *chain;
    struct ledger *ledger;
    struct mempool *mempool;
    struct p2p_options options;
    char user_agent[USER_AGENT_MAX_B + 1];
    uint64_t services;
    bool started, active;
    int64_t started_us;
    uint64_t seed[2];

    struct peer **peers; /* by rising id; CLOSED ones until reaped */
    uint32_t peer_count, peer_capacity, turn_next;
    bool any_closed;
    struct table by_conn, by_id; /* -> struct peer * */
    int64_t next_id;
    uint64_t next_conn;
    struct p2p_totals totals;
    int64_t upload_cycle_us; /* began at; 0: nothing sent yet */
    uint64_t upload_cycle_b;
    struct arena scratch; /* of the message being handled */

    /* defence */
    struct whitelist_entry whitelist[2 * WHITELIST_MAX];
    uint32_t whitelist_count;
    struct ban *bans;
    uint32_t ban_count, ban_capacity;
    bool bans_dirty;
    struct rolling discouraged;
    struct log_limit log;

    /* sync */
    struct table in_flight; /* block_id -> struct asked */
    int64_t stall_us;
    struct early_header early[EARLY_HEADERS_MAX];
    uint32_t early_count;
    struct block_index *announced_tip;
    int64_t tip_us; /* when it last moved */
    bool agreed, extra_outbound;
    int64_t next_stale_us;
    struct block *recent_block; /* the newest tip's, to serve without the disk */
    struct block *seen_block;   /* the newest announced one, not connected yet */
    int64_t compact_peers[3];   /* those who send to us in high bandwidth, oldest first */
    struct block_id compact_sent;
    uint64_t serve_read_b;

    /* transactions */
    struct tx_requests requests;
    struct table tx_judging; /* txids and wtxids that the pool is judging for us -> nothing */
    struct orphans *orphans;
    struct rolling rejects, confirmed;
    struct rolling cheap; /* wtxids of those refused for their feerate: a child may still pay for one */
    uint32_t *orphan_work; /* slots to offer again */
    uint32_t *orphan_serials;
    uint32_t orphan_work_count, orphan_work_capacity;
    int64_t next_inbound_trickle_us;

    struct clock_samples clocks;

    /* addresses and connections */
    struct addrman *addrman;
    struct local_addr locals[LOCAL_ADDRS_MAX];
    uint32_t local_count;
    struct added_node *added;
    uint32_t added_count, added_capacity;
    struct resolve resolves[RESOLVES_MAX];
    uint64_t next_token;
    struct net_addr anchors[ANCHORS_MAX];
    uint32_t anchor_count;
    struct lan_candidate lan[LAN_CANDIDATES_MAX];
    struct log_limit lan_limit;
    uint64_t lan_nonce;
    int64_t next_beacon_us, next_feeler_us, next_extra_blocks_us, next_save_us, next_dial_us, next_second_us,
        next_seed_node_us, next_seeds_us;
    bool fixed_used;
    uint32_t seed_node_next;
    struct addr_answer answers[P2P_NETWORKS]; /* by the network where one asks, so that none shows what we are called in another */
    struct onion onion;
    uint32_t saves; /* jobs on their way */
    struct job_serial save_serial;
};

/* ---- p2p.c ---- */
struct peer *p2p_peer(const struct p2p *p2p, int64_t id); /* NULL: gone */
void p2p_reap(struct p2p *p2p);
void p2p_unblock(struct p2p *p2p); /* whoever waits for room tries again */
int64_t p2p_now_us(const struct p2p *p2p);
int64_t p2p_poisson_us(const struct p2p *p2p, int64_t mean_us); /* an exponential interval */

/* ---- peer.c ---- */
struct peer *peer_new(struct p2p *p2p, uint64_t conn_id, enum conn_type type, enum transport_kind transport,
    const struct net_addr *addr);
void peer_free(struct peer *peer);
void peer_enter(struct peer *peer, enum peer_state state, const char *reason);
void peer_close(struct peer *peer, const char *reason); /* peer stays valid until p2p_reap */
/* It broke a rule: disconnected, and discouraged unless we or the user owe it patience. */
void peer_misbehaved(struct peer *peer, const struct fail *why);
size_t peer_take_bytes(struct peer *peer, struct span bytes);
/* Handles frames up to a budget; what it cost. */
uint32_t peer_turn(struct peer *peer, uint32_t budget);
bool peer_has_work(const struct peer *peer);
void peer_on_tick(struct peer *peer, int64_t now_us);
void peer_start_handshake(struct peer *peer); /* of a dialed one */
void peer_ping(struct peer *peer);
bool peer_is_outbound(const struct peer *peer); /* any that we dialed */
uint8_t peer_network(const struct peer *peer);  /* that it is connected through: an inbound onion peer comes from 127.0.0.1 */
bool peer_permits(const struct peer *peer, unsigned permission);
/* The barrier. */
struct work work_begin(struct peer *peer);
struct work work_more(struct peer *peer, const struct work *of); /* that follows from what is not over yet */
void work_end(const struct work *work); /* the last thing that work does: a pong may leave now */
void work_count(struct peer *peer, uint32_t generation, int change); /* for queues that hold generations */
enum message_result peer_on_version(struct peer *, union message *, struct frame *, struct fail *);
enum message_result peer_on_verack(struct peer *, union message *, struct frame *, struct fail *);
enum message_result peer_on_wtxidrelay(struct peer *, union message *, struct frame *, struct fail *);
enum message_result peer_on_sendaddrv2(struct peer *, union message *, struct frame *, struct fail *);
enum message_result peer_on_sendheaders(struct peer *, union message *, struct frame *, struct fail *);
enum message_result peer_on_ping(struct peer *, union message *, struct frame *, struct fail *);
enum message_result peer_on_pong(struct peer *, union message *, struct frame *, struct fail *);
enum message_result peer_on_unasked(struct peer *, union message *, struct frame *, struct fail *);
enum message_result peer_on_unoffered(struct peer *, union message *, struct frame *, struct fail *);

/* ---- send.c ---- */
void peer_send(struct peer *peer, enum message_id id, const union message *m); /* m NULL: empty */
void peer_send_bytes(struct peer *peer, enum message_id id, struct span payload);
void peer_send_buf(struct peer *peer, enum message_id id, struct buf *payload); /* takes it */
void peer_send_inv(struct peer *peer, enum message_id id, const struct inv_item *items, uint32_t count);
void peer_send_handshake(struct peer *peer, struct buf *bytes); /* of the transport; takes it */
void peer_send_raw(struct peer *peer, const char *command, struct span payload); /* any command (tests) */
bool peer_outbox_full(const struct peer *peer);

/* ---- filters.c ---- */
enum message_result filters_on_getcfilters(struct peer *, union message *, struct frame *, struct fail *);
enum message_result filters_on_getcfheaders(struct peer *, union message *, struct frame *, struct fail *);
enum message_result filters_on_getcfcheckpt(struct peer *, union message *, struct frame *, struct fail *);
void filters_advance(struct peer *peer);
void filters_forget_peer(struct peer *peer);

/* ---- sync_headers.c ---- */
enum message_result headers_on_headers(struct peer *, union message *, struct frame *, struct fail *);
void headers_on_tick(struct peer *peer, int64_t now_us);
void headers_on_second(struct p2p *p2p); /* early headers, stale tip */
/* Asks for what follows `from`; false: one is on its way already. */
bool headers_request(struct peer *peer, struct block_index *from);
void headers_announced(struct peer *peer, const struct block_id *id); /* by inv or compact block */
void headers_known(struct peer *peer, struct block_index *index);     /* peer has this block */
/* Has the peer this block, as far as it told us or we told it? */
bool headers_peer_has(const struct peer *peer, const struct block_index *index);
/* Header of a block that came by itself: is it worth keeping? NULL: why says no. */
struct block_index *headers_accept_one(struct peer *peer, const struct header *header, struct fail *why);
bool headers_enough_work(const struct p2p *p2p, const struct block_index *parent, const struct header *h);

/* ---- sync_blocks.c ---- */
enum message_result blocks_on_block(struct peer *, union message *, struct frame *, struct fail *);
void blocks_request(struct peer *peer);
void blocks_on_tick(struct peer *peer, int64_t now_us);
void blocks_forget_peer(struct peer *peer);
bool blocks_can_serve(const struct peer *peer, const struct block_index *index);
struct flight *blocks_find_flight(struct peer *peer, const struct block_index *index);
struct flight *blocks_add_flight(struct peer *peer, struct block_index *index); /* NULL: no room */
void blocks_drop_flight(struct peer *peer, struct block_index *index);
/* It came from peer: nobody else is waited for. */
void blocks_arrived(struct peer *peer, struct block_index *index);
bool blocks_is_judging(const struct p2p *p2p, const struct block_id *id);
uint32_t blocks_asked(const struct p2p *p2p, const struct block_id *id);
/* Hands raw bytes to the ledger; punish: its sender answers for them. false: no room, raw untouched. */
bool blocks_offer(struct peer *peer, struct block_index *index, struct buf *raw, bool requested, bool punish);
bool p2p_near_tip(const struct p2p *p2p); /* our tip is recent: fetch announced blocks at once */

/* ---- serve.c ---- */
enum message_result serve_on_getdata(struct peer *, union message *, struct frame *, struct fail *);
enum message_result serve_on_getheaders(struct peer *, union message *, struct frame *, struct fail *);
enum message_result serve_on_getblocks(struct peer *, union message *, struct frame *, struct fail *);
enum message_result serve_on_getblocktxn(struct peer *, union message *, struct frame *, struct fail *);
void serve_advance(struct peer *peer);
/* Blocks off the active chain only while they are young and were valid: old ones would tell who we are. */
bool serve_may(const struct p2p *p2p, const struct block_index *index);
void serve_connected(struct p2p *p2p); /* a block was: somebody may wait for it */
void serve_forget_peer(struct peer *peer);
/* Tells all peers of a new tip. */
void serve_announce_tip(struct p2p *p2p, struct block_index *tip);

/* ---- compact.c ---- */
enum message_result compact_on_sendcmpct(struct peer *, union message *, struct frame *, struct fail *);
enum message_result compact_on_cmpctblock(struct peer *, union message *, struct frame *, struct fail *);
enum message_result compact_on_blocktxn(struct peer *, union message *, struct frame *, struct fail *);
void compact_greet(struct peer *peer);
void compact_send(struct peer *peer, const struct block *block);
void compact_announce(struct p2p *p2p, struct block_index *index, const struct block *block);
void compact_prefer(struct peer *peer); /* it brought a new block first: let it send at once */
void compact_forget_peer(struct peer *peer);
void partial_free(struct partial *partial);

/* ---- relay.c ---- */
enum message_result relay_on_inv(struct peer *, union message *, struct frame *, struct fail *);
enum message_result relay_on_notfound(struct peer *, union message *, struct frame *, struct fail *);
enum message_result relay_on_tx(struct peer *, union message *, struct frame *, struct fail *);
enum message_result relay_on_mempool(struct peer *, union message *, struct frame *, struct fail *);
enum message_result relay_on_feefilter(struct peer *, union message *, struct frame *, struct fail *);
void relay_on_tick(struct peer *peer, int64_t now_us);
void relay_added(struct p2p *p2p, struct tx *tx, uint32_t vsize_vb, int64_t fee_sat);
void relay_block_connected(struct p2p *p2p, const struct block *block);
void relay_tip_changed(struct p2p *p2p);
bool relay_orphan_work(struct p2p *p2p); /* offers waiting children again; true: some are left */
bool relay_wanted(const struct peer *peer); /* transactions go to this peer */

/* ---- gossip.c ---- */
enum message_result gossip_on_addr(struct peer *, union message *, struct frame *, struct fail *);
enum message_result gossip_on_getaddr(struct peer *, union message *, struct frame *, struct fail *);
void gossip_greet(struct peer *peer);
void gossip_on_tick(struct peer *peer, int64_t now_us);

/* ---- connect.c ---- */
bool connect_dial(struct p2p *p2p, const struct net_addr *addr, enum conn_type type, enum transport_kind transport,
    struct peer **out);
/* Through the proxy for names, which looks the host up. */
bool connect_dial_name(struct p2p *p2p, const char *host, uint16_t port, enum conn_type type,
    enum transport_kind transport, struct peer **out);
void connect_on_tick(struct p2p *p2p, int64_t now_us);
void connect_closed(struct peer *peer); /* frees its slot, plans the next attempt */
void connect_ready(struct peer *peer);
uint32_t connect_count(const struct p2p *p2p, enum conn_type type);
bool connect_add(struct p2p *p2p, const char *text, bool plain); /* to the list of added nodes */
struct added_node *connect_find_added(const struct p2p *p2p, struct span text); /* NULL: none */
void connect_resolved(struct p2p *p2p, const char *text, const struct net_addr *addr); /* NULL: no address */
void connect_load_anchors(struct p2p *p2p);
void connect_encode_anchors(const struct p2p *p2p, struct buf *out);

/* ---- discover.c ---- */
void discover_on_tick(struct p2p *p2p, int64_t now_us);
/* Asks env for the addresses of a name; false: not a name, or too many are being looked up. */
bool discover_lookup(struct p2p *p2p, const char *text, enum resolve_purpose purpose, enum conn_type type,
    bool plain);

/* ---- ban.c ---- */
bool ban_is_banned(const struct p2p *p2p, const struct net_addr *addr);
bool ban_is_discouraged(const struct p2p *p2p, const struct net_addr *addr);
void ban_discourage(struct p2p *p2p, const struct net_addr *addr);
void ban_load(struct p2p *p2p);
void ban_encode(const struct p2p *p2p, struct buf *out);
void ban_save(struct p2p *p2p);

/* ---- whitelist.c ---- */
bool whitelist_parse(struct whitelist_entry *out, const char *text, const struct p2p_options *o, struct fail *why);
bool whitebind_parse(struct whitelist_entry *out, const char *text, const struct p2p_options *o, struct fail *why);
/* local: where an inbound peer came in; NULL: an outbound one. */
unsigned whitelist_permissions(const struct p2p *p2p, const struct net_addr *addr, const struct net_addr *local);
void whitelist_show(struct json_writer *w, unsigned permissions); /* their names */

/* ---- route.c ---- */
const struct net_addr *route_proxy(const struct p2p *p2p, uint8_t network); /* 0: of names; NULL: none */
bool route_can_dial(const struct p2p *p2p, uint8_t network);
bool route_is_reachable(const struct p2p *p2p, uint8_t network); /* and wanted: -onlynet */
struct net_addr route_entered(const struct p2p *p2p, const struct net_addr *addr); /* CJDNS told from IPv6 */

/* ---- clock.c ---- */
void clock_heard(struct p2p *p2p, int64_t offset_s); /* a peer's clock less ours */

/* ---- onion.c ---- */
void onion_load(struct p2p *p2p); /* blocks: at the start */
void onion_on_tick(struct p2p *p2p, int64_t now_us);
bool onion_came_in(const struct p2p *p2p, const struct net_addr *local); /* there only Tor connects */
bool onion_is_control(const struct p2p *p2p, uint64_t conn_id); /* then the events are for: */
void onion_on_dialed(struct p2p *p2p);
size_t onion_on_bytes(struct p2p *p2p, struct span bytes);
void onion_on_closed(struct p2p *p2p, const char *reason);
void onion_clear(struct p2p *p2p);

/* ---- local.c ---- */
bool local_is_ours(const struct p2p *p2p, const struct net_addr *addr);
void local_seen(struct p2p *p2p, const struct net_addr *addr); /* an inbound peer reached us there */
bool local_for_peer(const struct peer *peer, struct net_addr *out); /* what it is told; false: nothing */

/* ---- upload.c ---- */
void upload_count(struct p2p *p2p, size_t size_b);
bool upload_is_spent(const struct p2p *p2p, bool for_old_blocks);

/* ---- evict.c ---- */
bool evict_one(struct p2p *p2p); /* makes room for an inbound connection; false: nobody may go */

/* ---- save.c ---- */
/* Writes bytes (taken) to a file of the data directory in a job. */
void save_file(struct p2p *p2p, const char *name, struct buf *bytes);

#endif
