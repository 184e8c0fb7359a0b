/* The peer-to-peer side as the node sees it: events come in here, are led to the peer or the part they
 * concern, and closed peers are freed when the event ends, so that nothing below meets a peer that vanished
 * under its hands. */
#include "coin/p2p/p2p.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/ledger/indexes.h"
#include "internal.h"

#define TURN_BUDGET 5000u /* units of about a microsecond: then sockets are served again */
#define PEER_BUDGET 1000u
#define PEERS_TABLE_MAX (1u << 20)
#define IN_FLIGHT_TABLE_MAX (1u << 17) /* BLOCKS_IN_FLIGHT_MAX for every connection there can be */
#define PEERS_FILE_MAX_B (16u << 20)
#define ANCHORS_FILE_MAX_B 4096u

static bool read_lists(struct p2p *p2p, struct fail *why);
static void load_addresses(struct p2p *p2p);
static struct peer *by_conn(const struct p2p *p2p, uint64_t conn_id);
static void save_all(struct p2p *p2p);

/* Who has pruned, or began with a snapshot, does not have all blocks (BIP159). */
static void update_services(struct p2p *p2p)
{
    p2p->services = SERVICE_WITNESS | SERVICE_NETWORK_LIMITED | (p2p->options.v2_transport ? SERVICE_P2P_V2 : 0);
    if (p2p->options.block_filters && ledger_index_state(p2p->ledger, INDEX_FILTER).synced)
        p2p->services |= SERVICE_COMPACT_FILTERS;
    if (!ledger_is_pruning(p2p->ledger) && ledger_background_tip(p2p->ledger) == NULL)
        p2p->services |= SERVICE_NETWORK;
}

struct p2p *p2p_new(const struct env *env, const struct chain *chain, struct ledger *ledger,
    struct mempool *mempool, const struct p2p_options *options, struct fail *why)
{
    struct p2p *p2p = mem_new(sizeof *p2p);
    p2p->env = env;
    p2p->chain = chain;
    p2p->ledger = ledger;
    p2p->mempool = mempool;
    p2p->options = *options;
    update_services(p2p);
    p2p->active = !options->inactive;
    if (options->receive_buffer_b == 0)
        p2p->options.receive_buffer_b = INBOX_MAX_B;
    if (options->send_buffer_b == 0)
        p2p->options.send_buffer_b = OUTBOX_MAX_B;
    p2p->next_conn = 1;
    p2p->next_token = 1;
    p2p->stall_us = STALL_START_US;
    snprintf(p2p->user_agent, sizeof p2p->user_agent, "%s",
        options->user_agent != NULL ? options->user_agent : "/coind/");
    for (unsigned i = 0; i < 3; i++)
        p2p->compact_peers[i] = NO_PEER;
    env_random(env, p2p->seed, sizeof p2p->seed);
    p2p->lan_nonce = env_random_u64(env);
    table_init(&p2p->by_conn, sizeof(uint64_t), sizeof(struct peer *), PEERS_TABLE_MAX, p2p->seed);
    table_init(&p2p->by_id, sizeof(int64_t), sizeof(struct peer *), PEERS_TABLE_MAX, p2p->seed);
    table_init(&p2p->in_flight, sizeof(struct block_id), sizeof(struct asked), IN_FLIGHT_TABLE_MAX,
        p2p->seed);
    table_init(&p2p->tx_judging, sizeof(struct txid), 1, TX_JUDGING_MAX, p2p->seed);
    tx_requests_init(&p2p->requests, p2p->seed);
    p2p->orphans = mem_new(sizeof *p2p->orphans);
    orphans_init(p2p->orphans, p2p->seed);
    rolling_init(&p2p->rejects, REJECTS_MAX, p2p->seed);
    rolling_init(&p2p->confirmed, REJECTS_MAX, p2p->seed);
    rolling_init(&p2p->cheap, REJECTS_MAX, p2p->seed);
    rolling_init(&p2p->discouraged, DISCOURAGED_MAX, p2p->seed);
    p2p->addrman = addrman_new(env);
    if (!read_lists(p2p, why)) {
        p2p_free(p2p);
        return NULL;
    }
    load_addresses(p2p);
    ban_load(p2p);
    onion_load(p2p);
    return p2p;
}

void p2p_start(struct p2p *p2p)
{
    int64_t now_us = p2p_now_us(p2p);
    p2p->started = true;
    p2p->started_us = p2p->tip_us = now_us;
    p2p->announced_tip = ledger_tip(p2p->ledger);
    p2p->next_feeler_us = now_us + p2p_poisson_us(p2p, FEELER_US);
    p2p->next_extra_blocks_us = now_us + p2p_poisson_us(p2p, EXTRA_BLOCKS_US);
    p2p->next_save_us = now_us + PEERS_SAVE_US;
    p2p->next_stale_us = now_us + chain_scaled_s(p2p->chain, 1) * SECOND_US;
    connect_on_tick(p2p, now_us);
}

void p2p_save(struct p2p *p2p)
{
    save_all(p2p);
}

void p2p_free(struct p2p *p2p)
{
    if (p2p == NULL)
        return;
    if (p2p->started && p2p->options.dir != NULL) {
        struct fail why;
        char path[PATH_SIZE_B];
        struct buf bytes;
        buf_init(&bytes, PEERS_FILE_MAX_B);
        addrman_encode(p2p->addrman, &bytes);
        if (!path_join(path, p2p->options.dir, "peers.dat", &why) || !buf_ok(&bytes, "peers.dat", &why) ||
            !file_replace(p2p->env->disk, path, buf_span(&bytes), &why))
            log_warning("peers.dat was not saved: %s", why.detail);
        buf_clear(&bytes);
    }
    for (uint32_t i = 0; i < p2p->peer_count; i++)
        peer_free(p2p->peers[i]);
    mem_free(p2p->peers);
    table_clear(&p2p->by_conn);
    table_clear(&p2p->by_id);
    table_clear(&p2p->in_flight);
    table_clear(&p2p->tx_judging);
    tx_requests_clear(&p2p->requests);
    if (p2p->orphans != NULL)
        orphans_clear(p2p->orphans);
    mem_free(p2p->orphans);
    mem_free(p2p->orphan_work);
    mem_free(p2p->orphan_serials);
    rolling_clear(&p2p->rejects);
    rolling_clear(&p2p->confirmed);
    rolling_clear(&p2p->cheap);
    rolling_clear(&p2p->discouraged);
    addrman_free(p2p->addrman);
    block_unref(p2p->recent_block);
    block_unref(p2p->seen_block);
    arena_clear(&p2p->scratch);
    mem_free(p2p->bans);
    mem_free(p2p->added);
    for (uint32_t i = 0; i < P2P_NETWORKS; i++)
        mem_free(p2p->answers[i].entries);
    onion_clear(p2p);
    mem_free(p2p);
}

/* ---- events from net ---- */
bool p2p_on_accept(struct p2p *p2p, uint64_t conn_id, const struct net_addr *from, const struct net_addr *local)
{
    const struct net_addr entered = route_entered(p2p, from), *remote = &entered;
    bool by_onion = onion_came_in(p2p, local);
    unsigned permissions = by_onion ? 0 : whitelist_permissions(p2p, remote, local); /* 127.0.0.1 is anybody there */
    bool noban = (permissions & PERMIT_NOBAN) == PERMIT_NOBAN;
    if (!p2p->active || !p2p->started)
        return false;
    uint32_t inbound = connect_count(p2p, CONN_INBOUND);
    uint32_t slots = p2p->options.connections_max > OUTBOUND_FULL_MAX + OUTBOUND_BLOCKS_MAX + 1
                         ? p2p->options.connections_max - OUTBOUND_FULL_MAX - OUTBOUND_BLOCKS_MAX - 1
                         : 0;
    bool refused = !noban && ban_is_banned(p2p, remote);
    refused = refused || (!noban && inbound + 1 >= slots && ban_is_discouraged(p2p, remote));
    if (!refused && inbound >= slots && !evict_one(p2p))
        refused = true;
    struct peer *peer = refused ? NULL : peer_new(
        p2p, conn_id, CONN_INBOUND, p2p->options.v2_transport ? TRANSPORT_DETECTING : TRANSPORT_V1, remote);
    if (peer != NULL) {
        peer->local = *local;
        peer->by_onion = by_onion;
        peer->permissions = permissions;
        peer_enter(peer, PEER_FRESH, "accepted");
    } else if (log_allow(&p2p->log, p2p_now_us(p2p), 10, MINUTE_US)) {
        char text[NET_ADDR_TEXT_SIZE_B];
        net_addr_to_text(text, remote, true);
        log_debug(LOG_NET, "connection from %s dropped: banned, or no room", text);
    }
    p2p_reap(p2p);
    return peer != NULL;
}

void p2p_on_dialed(struct p2p *p2p, uint64_t conn_id)
{
    struct peer *peer = by_conn(p2p, conn_id);
    if (onion_is_control(p2p, conn_id))
        onion_on_dialed(p2p);
    if (peer != NULL && peer->state == PEER_DIALING)
        peer_start_handshake(peer);
    p2p_reap(p2p);
}

void p2p_on_closed(struct p2p *p2p, uint64_t conn_id, const char *reason)
{
    struct peer *peer = by_conn(p2p, conn_id);
    if (onion_is_control(p2p, conn_id))
        onion_on_closed(p2p, reason);
    if (peer != NULL) {
        peer->try_plain = peer->state == PEER_FRESH && transport_is_unheard(&peer->transport);
        peer_close(peer, reason);
    }
    p2p_reap(p2p);
}

size_t p2p_on_bytes(struct p2p *p2p, uint64_t conn_id, struct span bytes)
{
    struct peer *peer = by_conn(p2p, conn_id);
    if (onion_is_control(p2p, conn_id))
        return onion_on_bytes(p2p, bytes);
    if (peer == NULL || peer->state == PEER_CLOSED)
        return bytes.size_b;
    size_t taken = peer_take_bytes(peer, bytes);
    p2p_reap(p2p);
    return taken;
}

void p2p_on_writable(struct p2p *p2p, uint64_t conn_id)
{
    struct peer *peer = by_conn(p2p, conn_id);
    if (peer == NULL)
        return;
    peer->outbox_b = 0;
    peer->blocked = false;
    serve_advance(peer);
    filters_advance(peer);
    p2p_reap(p2p);
}

bool p2p_turn(struct p2p *p2p)
{
    uint32_t spent = 0, idle = 0;
    bool orphans_left = relay_orphan_work(p2p);
    while (p2p->peer_count > 0 && idle < p2p->peer_count && spent < TURN_BUDGET) {
        if (p2p->turn_next >= p2p->peer_count)
            p2p->turn_next = 0;
        struct peer *peer = p2p->peers[p2p->turn_next++];
        uint32_t cost = peer_has_work(peer) ? peer_turn(peer, PEER_BUDGET) : 0;
        idle = cost == 0 ? idle + 1 : 0;
        spent += cost;
    }
    p2p_reap(p2p);
    bool more = orphans_left;
    for (uint32_t i = 0; i < p2p->peer_count && !more; i++)
        more = peer_has_work(p2p->peers[i]);
    return more;
}

void p2p_on_tick(struct p2p *p2p)
{
    int64_t now_us = p2p_now_us(p2p);
    if (!p2p->started)
        return;
    p2p_unblock(p2p);
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        struct peer *peer = p2p->peers[i];
        if (peer->state == PEER_CLOSED)
            continue;
        peer_on_tick(peer, now_us);
        if (peer->state != PEER_READY)
            continue;
        serve_advance(peer);
        filters_advance(peer);
        headers_on_tick(peer, now_us);
        blocks_on_tick(peer, now_us);
        relay_on_tick(peer, now_us);
        gossip_on_tick(peer, now_us);
    }
    p2p_reap(p2p);
    if (now_us >= p2p->next_second_us) {
        p2p->next_second_us = now_us + SECOND_US;
        update_services(p2p);
        headers_on_second(p2p);
        onion_on_tick(p2p, now_us);
        orphans_expire(p2p->orphans, now_us);
        addrman_resolve_collisions(p2p->addrman);
    }
    if (p2p->active)
        connect_on_tick(p2p, now_us);
    if (now_us >= p2p->next_save_us) {
        p2p->next_save_us = now_us + PEERS_SAVE_US;
        save_all(p2p);
    }
    p2p_reap(p2p);
}

/* ---- events from the core ---- */
void p2p_on_ledger(struct p2p *p2p, const struct ledger_effect *effect)
{
    switch (effect->kind) {
    case LEDGER_BLOCK_SEEN:
        compact_announce(p2p, effect->index, effect->block);
        break;
    case LEDGER_CONNECTED:
        if (effect->block != NULL) {
            relay_block_connected(p2p, effect->block);
            block_unref(p2p->recent_block);
            p2p->recent_block = block_ref(effect->block);
        }
        serve_connected(p2p);
        p2p->stall_us = p2p->stall_us * 85 / 100;
        if (p2p->stall_us < STALL_START_US)
            p2p->stall_us = STALL_START_US;
        break;
    case LEDGER_DISCONNECTED:
        rolling_clear(&p2p->confirmed); /* what it confirmed may have to be asked for again */
        break;
    case LEDGER_TIP:
        p2p->tip_us = p2p_now_us(p2p);
        p2p->extra_outbound = false;
        for (uint32_t i = 0; i < p2p->peer_count && !p2p->agreed; i++)
            p2p->agreed = effect->index->height > 0 && blocks_can_serve(p2p->peers[i], effect->index);
        relay_tip_changed(p2p);
        serve_announce_tip(p2p, effect->index);
        break;
    case LEDGER_INVALID:
    case LEDGER_HEADER:
    case LEDGER_IDLE:
    case LEDGER_FATAL:
        break;
    }
    p2p_unblock(p2p);
    p2p_reap(p2p);
}

void p2p_on_mempool(struct p2p *p2p, const struct mempool_effect *effect)
{
    if (effect->kind == MEMPOOL_ADDED)
        relay_added(p2p, effect->tx, effect->vsize_vb, effect->fee_sat);
    p2p_reap(p2p);
}

/* ---- shared ---- */
struct peer *p2p_peer(const struct p2p *p2p, int64_t id)
{
    struct peer **found = table_find(&p2p->by_id, &id);
    return found != NULL && (*found)->state != PEER_CLOSED ? *found : NULL;
}

void p2p_reap(struct p2p *p2p)
{
    if (!p2p->any_closed)
        return;
    p2p->any_closed = false;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        struct peer *peer = p2p->peers[i];
        if (peer->state != PEER_CLOSED) {
            p2p->peers[kept++] = peer;
            continue;
        }
        if (i < p2p->turn_next && p2p->turn_next > 0)
            p2p->turn_next--;
        table_remove(&p2p->by_conn, &peer->conn_id);
        table_remove(&p2p->by_id, &peer->id);
        peer_free(peer);
    }
    p2p->peer_count = kept;
}

void p2p_unblock(struct p2p *p2p)
{
    for (uint32_t i = 0; i < p2p->peer_count; i++)
        p2p->peers[i]->blocked = false;
}

int64_t p2p_now_us(const struct p2p *p2p)
{
    return env_steady_us(p2p->env);
}

int64_t p2p_poisson_us(const struct p2p *p2p, int64_t mean_us)
{
    /* (0, 1]: log never meets zero */
    double u = ((double)env_random_below(p2p->env, UINT64_C(1) << 48) + 1) / (double)(UINT64_C(1) << 48);
    return (int64_t)(-log(u) * (double)mean_us) + 1;
}

bool p2p_near_tip(const struct p2p *p2p)
{
    int64_t now_s = env_wall_s(p2p->env);
    return ledger_tip(p2p->ledger)->time_s > now_s - chain_scaled_s(p2p->chain, 20);
}

static bool read_lists(struct p2p *p2p, struct fail *why)
{
    const struct p2p_options *o = &p2p->options;
    for (uint32_t i = 0; o->whitelist != NULL && o->whitelist[i] != NULL; i++) {
        if (p2p->whitelist_count == WHITELIST_MAX)
            return fail_request(why, 0, "more than %u -whitelist entries", WHITELIST_MAX);
        if (!whitelist_parse(&p2p->whitelist[p2p->whitelist_count++], o->whitelist[i], o, why))
            return false;
    }
    for (uint32_t i = 0; o->white_binds != NULL && o->white_binds[i] != NULL; i++) {
        if (p2p->whitelist_count == 2 * WHITELIST_MAX)
            return fail_request(why, 0, "more than %u -whitebind entries", WHITELIST_MAX);
        if (!whitebind_parse(&p2p->whitelist[p2p->whitelist_count++], o->white_binds[i], o, why))
            return false;
    }
    for (uint32_t i = 0; o->external_ips != NULL && o->external_ips[i] != NULL; i++) {
        struct net_addr addr;
        if (!net_addr_parse(&addr, span_text(o->external_ips[i]), o->listen_port))
            return fail_request(why, 0, "Cannot resolve -externalip address: '%s'", o->external_ips[i]);
        p2p_add_local(p2p, &addr, LOCAL_MANUAL);
    }
    const char *const *lists[] = { o->add_nodes, o->connect };
    for (unsigned l = 0; l < 2; l++)
        for (uint32_t i = 0; lists[l] != NULL && lists[l][i] != NULL; i++)
            if (strcmp(lists[l][i], "0") != 0 && !connect_add(p2p, lists[l][i], false) &&
                p2p->added_count == ADDED_NODES_MAX)
                return fail_request(why, 0, "more than %u -addnode and -connect", ADDED_NODES_MAX);
    return true;
}

/* Before the loop runs, so it may wait. A damaged file costs addresses, which come again, not the start. */
static void load_addresses(struct p2p *p2p)
{
    char path[PATH_SIZE_B];
    struct fail why;
    struct buf bytes;
    const struct disk *disk = p2p->env->disk;
    if (p2p->options.dir == NULL || !path_join(path, p2p->options.dir, "peers.dat", &why) ||
        !disk->exists(disk->ctx, path)) {
        connect_load_anchors(p2p);
        return;
    }
    buf_init(&bytes, PEERS_FILE_MAX_B);
    if (!file_read_all(disk, path, &bytes, &why) ||
        !addrman_decode(p2p->addrman, buf_span(&bytes), &why)) {
        log_warning("%s is damaged (%s): the list of known addresses starts empty", path, why.detail);
        addrman_free(p2p->addrman);
        p2p->addrman = addrman_new(p2p->env);
    }
    buf_clear(&bytes);
    connect_load_anchors(p2p);
}

static struct peer *by_conn(const struct p2p *p2p, uint64_t conn_id)
{
    struct peer **found = table_find(&p2p->by_conn, &conn_id);
    return found != NULL ? *found : NULL;
}

static void save_all(struct p2p *p2p)
{
    struct buf bytes;
    buf_init(&bytes, PEERS_FILE_MAX_B);
    addrman_encode(p2p->addrman, &bytes);
    save_file(p2p, "peers.dat", &bytes);
    buf_init(&bytes, ANCHORS_FILE_MAX_B);
    connect_encode_anchors(p2p, &bytes);
    save_file(p2p, "anchors.dat", &bytes);
    if (p2p->bans_dirty)
        ban_save(p2p);
}
