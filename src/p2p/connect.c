/* Whom we call. Three kinds of outbound connections: to nodes that the user named, again and again with a
 * growing pause; automatic ones, at most one per group of addresses, so that one party cannot surround us;
 * and feelers, short calls that find out whether a heard-of address is alive. One automatic dial at a time,
 * half a second apart.
 *
 * anchors.dat keeps the block-only peers of the last run, which are called first, so that an attacker who
 * makes us restart does not get to choose all our peers:
 *   magic "CPAN" 4 | version u8 | count u8 | count * (network u8 | size u8 | bytes | port u16) | SHA256d 32 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/crypto/sha256.h"
#include "internal.h"

#define DIAL_SPACING_US (SECOND_US / 2)    /* Bitcoin */
#define PICK_TRIES_MAX 100u                /* Bitcoin */
#define PICK_TRIES_FRESH 30u               /* so long only addresses not tried lately */
#define TRIED_LATELY_S (10 * 60)
#define COUNT_FAILURES_FROM 2u             /* outbound peers: without any the fault may be our own line */
#define EXTRA_GRACE_US (30 * SECOND_US)    /* Bitcoin: MINIMUM_CONNECT_TIME */
#define ALREADY_THERE_US (10 * SECOND_US)
#define ANCHORS_NAME "anchors.dat"
#define ANCHORS_MAGIC "CPAN"
#define ANCHORS_VERSION 1
#define ANCHORS_SIZE_MAX_B 4096u

static bool dial(struct p2p *p2p, const struct net_addr *addr, const char *host, enum conn_type type,
    enum transport_kind transport, struct peer **out);
static void name_peer(struct peer *peer, const char *host, uint16_t port);
static bool ask_proxy(struct peer *peer);
static void dial_added(struct p2p *p2p, int64_t now_us);
static void try_added(struct p2p *p2p, struct added_node *node, int64_t now_us);
static void postpone(const struct p2p *p2p, struct added_node *node);
static void drop_extra(struct p2p *p2p, int64_t now_us);
static void drop_extra_blocks(struct p2p *p2p, int64_t now_us);
static void open_one(struct p2p *p2p, int64_t now_us);
static bool pick(struct p2p *p2p, struct addrman_entry *out, enum conn_type type);
static bool may_pick(const struct p2p *p2p, const struct addrman_entry *e, enum conn_type type, uint32_t tries);
static bool is_connected(const struct p2p *p2p, const struct net_addr *addr);
static bool has_host(const struct p2p *p2p, const struct net_addr *addr);
static bool has_group(const struct p2p *p2p, const struct net_addr *addr);
static bool decode_anchors(struct p2p *p2p, struct span bytes, struct fail *why);

bool connect_dial(struct p2p *p2p, const struct net_addr *to, enum conn_type type, enum transport_kind transport,
    struct peer **out)
{
    struct net_addr addr = route_entered(p2p, to);
    return dial(p2p, &addr, NULL, type, transport, out);
}

bool connect_dial_name(struct p2p *p2p, const char *host, uint16_t port, enum conn_type type,
    enum transport_kind transport, struct peer **out)
{
    struct net_addr nowhere = {.port = port};
    return dial(p2p, &nowhere, host, type, transport, out);
}

/* host NULL: addr is dialed; else the proxy for names is asked for it. */
static bool dial(struct p2p *p2p, const struct net_addr *addr, const char *host, enum conn_type type,
    enum transport_kind transport, struct peer **out)
{
    const struct net_addr *proxy = route_proxy(p2p, addr->network);
    if (out != NULL)
        *out = NULL;
    if (!p2p->active || !p2p->started || addr->port == 0 || (host == NULL && is_connected(p2p, addr)))
        return false;
    if (host == NULL ? !route_can_dial(p2p, addr->network) : proxy == NULL)
        return false;
    if (type != CONN_MANUAL && (ban_is_banned(p2p, addr) || ban_is_discouraged(p2p, addr)))
        return false;
    uint32_t alive = p2p_count(p2p, false, true);
    if (!p2p->options.v2_transport)
        transport = TRANSPORT_V1;
    struct peer *peer = peer_new(p2p, p2p->next_conn++, type, transport, addr);
    if (peer == NULL)
        return false;
    peer->permissions = whitelist_permissions(p2p, addr, NULL);
    if (host != NULL)
        name_peer(peer, host, addr->port);
    if (proxy != NULL && !ask_proxy(peer)) {
        peer_close(peer, "out of memory");
        return false;
    }
    addrman_attempt(p2p->addrman, addr, alive >= COUNT_FAILURES_FROM);
    log_debug(LOG_NET, "peer %" PRId64 ": dialing %s%s", peer->id, peer->name, proxy != NULL ? " by proxy" : "");
    p2p->env->dial(p2p->env->ctx, peer->conn_id, proxy != NULL ? proxy : addr);
    if (out != NULL)
        *out = peer;
    return true;
}

static void name_peer(struct peer *peer, const char *host, uint16_t port)
{
    size_t size_b = strlen(host) + 1;
    peer->host = mem_new(size_b);
    memcpy(peer->host, host, size_b);
    snprintf(peer->name, sizeof peer->name, "%.80s:%u", host, port);
}

/* The proxy learns no more of one connection from another: each comes with credentials of its own. */
static bool ask_proxy(struct peer *peer)
{
    struct p2p *p2p = peer->p2p;
    char text[NET_ADDR_TEXT_SIZE_B], secret[SOCKS5_SECRET_SIZE_B] = "";
    net_addr_to_text(text, &peer->addr, false);
    if (p2p->options.proxy_randomize)
        snprintf(secret, sizeof secret, "%016" PRIx64, env_random_u64(p2p->env));
    peer->proxy = mem_try_new(sizeof *peer->proxy);
    return peer->proxy != NULL &&
           socks5_init(peer->proxy, peer->host != NULL ? peer->host : text, peer->addr.port, secret, secret);
}

void connect_on_tick(struct p2p *p2p, int64_t now_us)
{
    dial_added(p2p, now_us);
    discover_on_tick(p2p, now_us);
    if (p2p->options.connect_only)
        return;
    drop_extra(p2p, now_us);
    drop_extra_blocks(p2p, now_us);
    if (now_us < p2p->next_dial_us)
        return;
    p2p->next_dial_us = now_us + DIAL_SPACING_US;
    open_one(p2p, now_us);
}

void connect_closed(struct peer *peer)
{
    struct p2p *p2p = peer->p2p;
    int64_t now_us = p2p_now_us(p2p);
    struct peer *heir = NULL; /* to our encrypted hello it hung up: once more in plain */
    if (peer->try_plain)
        dial(p2p, &peer->addr, peer->host, peer->type, TRANSPORT_V1, &heir);
    for (uint32_t i = 0; i < p2p->added_count; i++) {
        struct added_node *node = &p2p->added[i];
        struct net_addr numeric;
        if (node->peer_id != peer->id)
            continue;
        node->peer_id = heir != NULL ? heir->id : NO_PEER;
        if (heir != NULL)
            continue;
        if (peer->ready_us != 0 && now_us - peer->ready_us > MINUTE_US)
            node->backoff_us = 0; /* it served well: back to short pauses */
        if (!net_addr_parse(&numeric, span_text(node->text), p2p->chain->p2p_port))
            node->addr.network = 0; /* a name: it may point elsewhere by now */
        postpone(p2p, node);
    }
}

void connect_ready(struct peer *peer)
{
    if (!peer_is_outbound(peer))
        return;
    addrman_good(peer->p2p->addrman, &peer->addr);
    if (peer->type == CONN_FEELER)
        peer_close(peer, "the feeler has its answer");
}

/* CONN_FULL without those found by beacon, which have slots of their own. */
uint32_t connect_count(const struct p2p *p2p, enum conn_type type)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        const struct peer *peer = p2p->peers[i];
        count += peer->state != PEER_CLOSED && peer->type == type && !peer->is_lan;
    }
    return count;
}

bool connect_add(struct p2p *p2p, const char *text, bool plain)
{
    char host[NET_NAME_SIZE_B];
    uint16_t port;
    struct added_node node = { .peer_id = NO_PEER, .plain = plain };
    if (strlen(text) >= sizeof node.text || connect_find_added(p2p, span_text(text)) != NULL ||
        !net_split_host(host, &port, span_text(text), p2p->chain->p2p_port) ||
        !mem_try_grow(&p2p->added, &p2p->added_capacity, p2p->added_count + 1, ADDED_NODES_MAX,
            sizeof *p2p->added))
        return false;
    snprintf(node.text, sizeof node.text, "%s", text);
    if (!net_addr_parse(&node.addr, span_text(text), p2p->chain->p2p_port))
        memset(&node.addr, 0, sizeof node.addr);
    p2p->added[p2p->added_count++] = node;
    return true;
}

struct added_node *connect_find_added(const struct p2p *p2p, struct span text)
{
    for (uint32_t i = 0; i < p2p->added_count; i++)
        if (span_is(text, p2p->added[i].text))
            return &p2p->added[i];
    return NULL;
}

void connect_resolved(struct p2p *p2p, const char *text, const struct net_addr *addr)
{
    struct added_node *node = connect_find_added(p2p, span_text(text));
    if (node == NULL)
        return; /* removed meanwhile */
    node->resolving = false;
    if (addr == NULL) {
        postpone(p2p, node);
        return;
    }
    node->addr = *addr;
    node->next_dial_us = 0;
}

/* Before the loop runs, so it may wait. */
void connect_load_anchors(struct p2p *p2p)
{
    char path[PATH_SIZE_B];
    struct fail why;
    struct buf bytes;
    const struct disk *disk = p2p->env->disk;
    if (p2p->options.dir == NULL || !path_join(path, p2p->options.dir, ANCHORS_NAME, &why) ||
        !disk->exists(disk->ctx, path))
        return;
    buf_init(&bytes, ANCHORS_SIZE_MAX_B);
    if (!file_read_all(disk, path, &bytes, &why) || !decode_anchors(p2p, buf_span(&bytes), &why)) {
        log_warning("%s is damaged (%s): it is ignored", path, why.detail);
        p2p->anchor_count = 0;
    }
    buf_clear(&bytes);
}

void connect_encode_anchors(const struct p2p *p2p, struct buf *out)
{
    const struct net_addr *anchors[ANCHORS_MAX];
    uint8_t count = 0, hash[32];
    for (uint32_t i = 0; i < p2p->peer_count && count < ANCHORS_MAX; i++)
        if (p2p->peers[i]->state == PEER_READY && p2p->peers[i]->type == CONN_BLOCKS)
            anchors[count++] = &p2p->peers[i]->addr;
    buf_put(out, ANCHORS_MAGIC, 4);
    buf_put_u8(out, ANCHORS_VERSION);
    buf_put_u8(out, count);
    for (uint8_t i = 0; i < count; i++) {
        buf_put_u8(out, anchors[i]->network);
        buf_put_u8(out, anchors[i]->size_b);
        buf_put(out, anchors[i]->bytes, anchors[i]->size_b);
        buf_put_u16le(out, anchors[i]->port);
    }
    if (out->failed)
        return;
    sha256d(hash, out->data, out->size_b);
    buf_put(out, hash, sizeof hash);
}

/* ---- nodes that the user named ---- */
static void dial_added(struct p2p *p2p, int64_t now_us)
{
    for (uint32_t i = 0; i < p2p->added_count; i++) {
        struct added_node *node = &p2p->added[i];
        if (node->peer_id == NO_PEER && !node->resolving && now_us >= node->next_dial_us)
            try_added(p2p, node, now_us);
    }
}

static void try_added(struct p2p *p2p, struct added_node *node, int64_t now_us)
{
    struct peer *peer;
    char host[NET_NAME_SIZE_B];
    uint16_t port;
    enum transport_kind transport = node->plain ? TRANSPORT_V1 : TRANSPORT_V2;
    if (node->addr.network == 0 && route_proxy(p2p, 0) != NULL) {
        if (net_split_host(host, &port, span_text(node->text), p2p->chain->p2p_port) &&
            connect_dial_name(p2p, host, port, CONN_MANUAL, transport, &peer))
            node->peer_id = peer->id;
        else
            postpone(p2p, node);
    } else if (node->addr.network == 0) {
        node->resolving = discover_lookup(p2p, node->text, RESOLVE_ADDED, CONN_MANUAL, node->plain);
        if (!node->resolving)
            postpone(p2p, node);
    } else if (is_connected(p2p, &node->addr)) {
        node->next_dial_us = now_us + ALREADY_THERE_US;
    } else if (connect_dial(p2p, &node->addr, CONN_MANUAL, transport, &peer)) {
        node->peer_id = peer->id;
    } else {
        postpone(p2p, node);
    }
}

/* Twice as long each time, and a little more by chance, so that two who lost each other do not keep step. */
static void postpone(const struct p2p *p2p, struct added_node *node)
{
    node->backoff_us = node->backoff_us == 0 ? RECONNECT_MIN_US : node->backoff_us * 2;
    if (node->backoff_us > RECONNECT_MAX_US)
        node->backoff_us = RECONNECT_MAX_US;
    int64_t more_us = (int64_t)env_random_below(p2p->env, (uint64_t)node->backoff_us / 4 + 1);
    node->next_dial_us = p2p_now_us(p2p) + node->backoff_us + more_us;
}

/* ---- automatic ones ---- */
static uint32_t full_max(const struct p2p *p2p)
{
    uint32_t most = p2p->options.connections_max;
    return most < OUTBOUND_FULL_MAX ? most : OUTBOUND_FULL_MAX;
}

static uint32_t blocks_max(const struct p2p *p2p)
{
    uint32_t left = p2p->options.connections_max - full_max(p2p);
    return left < OUTBOUND_BLOCKS_MAX ? left : OUTBOUND_BLOCKS_MAX;
}

/* The stale tip is over: of one peer too many the one goes that has been silent about blocks the longest. */
static void drop_extra(struct p2p *p2p, int64_t now_us)
{
    struct peer *worst = NULL;
    if (p2p->extra_outbound || connect_count(p2p, CONN_FULL) <= full_max(p2p))
        return;
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        struct peer *peer = p2p->peers[i];
        if (peer->type != CONN_FULL || peer->is_lan || peer->state != PEER_READY ||
            peer->flight_count > 0 || now_us - peer->ready_us < EXTRA_GRACE_US)
            continue;
        if (worst == NULL || peer->last_announcement_us <= worst->last_announcement_us)
            worst = peer;
    }
    if (worst != NULL)
        peer_close(worst, "one outbound peer too many");
}

/* Of one block-relay-only peer too many the newest goes, unless it has shown a block since the one before it did (Bitcoin). */
static void drop_extra_blocks(struct p2p *p2p, int64_t now_us)
{
    struct peer *newest = NULL, *next = NULL;
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        struct peer *peer = p2p->peers[i];
        if (peer->type != CONN_BLOCKS || peer->state == PEER_CLOSED)
            continue;
        if (newest == NULL || peer->id > newest->id) {
            next = newest;
            newest = peer;
        } else if (next == NULL || peer->id > next->id) {
            next = peer;
        }
    }
    if (connect_count(p2p, CONN_BLOCKS) <= blocks_max(p2p) || newest == NULL || next == NULL)
        return;
    struct peer *worse = newest->last_block_s > next->last_block_s ? next : newest;
    if (worse->state == PEER_READY && worse->flight_count == 0 && now_us - newest->ready_us >= EXTRA_GRACE_US)
        peer_close(worse, "one block-relay-only peer too many");
}

static void open_one(struct p2p *p2p, int64_t now_us)
{
    struct addrman_entry found;
    uint32_t blocks = connect_count(p2p, CONN_BLOCKS);
    if (p2p->anchor_count > 0 && blocks < blocks_max(p2p)) {
        struct net_addr addr = p2p->anchors[--p2p->anchor_count];
        if (!has_group(p2p, &addr) && !has_host(p2p, &addr))
            connect_dial(p2p, &addr, CONN_BLOCKS, TRANSPORT_V2, NULL);
        return;
    }
    enum conn_type type = CONN_FULL;
    if (connect_count(p2p, CONN_FULL) >= full_max(p2p) + (p2p->extra_outbound ? 1 : 0)) {
        if (blocks < blocks_max(p2p)) {
            type = CONN_BLOCKS;
        } else if (now_us >= p2p->next_extra_blocks_us && blocks == blocks_max(p2p) && blocks > 0 &&
                   !ledger_is_initial_download(p2p->ledger)) { /* another view of the chain, against walls around us */
            p2p->next_extra_blocks_us = now_us + p2p_poisson_us(p2p, EXTRA_BLOCKS_US);
            type = CONN_BLOCKS;
        } else if (now_us >= p2p->next_feeler_us) {
            p2p->next_feeler_us = now_us + p2p_poisson_us(p2p, FEELER_US);
            type = CONN_FEELER;
        } else {
            return;
        }
    }
    if (pick(p2p, &found, type))
        connect_dial(p2p, &found.addr, type, found.services & SERVICE_P2P_V2 ? TRANSPORT_V2 : TRANSPORT_V1, NULL);
}

static bool pick(struct p2p *p2p, struct addrman_entry *out, enum conn_type type)
{
    for (uint32_t tries = 0; tries < PICK_TRIES_MAX; tries++) {
        bool found = type == CONN_FEELER && addrman_collision(p2p->addrman, out);
        if (!found && !addrman_select(p2p->addrman, out, type == CONN_FEELER, 0))
            return false;
        if (may_pick(p2p, out, type, tries))
            return true;
    }
    return false;
}

static bool may_pick(const struct p2p *p2p, const struct addrman_entry *e, enum conn_type type, uint32_t tries)
{
    uint64_t blocks = e->services & (SERVICE_NETWORK | SERVICE_NETWORK_LIMITED);
    if (!route_is_reachable(p2p, e->addr.network) || local_is_ours(p2p, &e->addr))
        return false;
    if (!net_addr_is_routable(&e->addr) || ban_is_banned(p2p, &e->addr) ||
        ban_is_discouraged(p2p, &e->addr) || has_host(p2p, &e->addr))
        return false;
    if (type != CONN_FEELER && (has_group(p2p, &e->addr) || blocks == 0 || !(e->services & SERVICE_WITNESS)))
        return false;
    return tries >= PICK_TRIES_FRESH || env_wall_s(p2p->env) - e->last_try_s >= TRIED_LATELY_S;
}

static bool is_connected(const struct p2p *p2p, const struct net_addr *addr)
{
    for (uint32_t i = 0; i < p2p->peer_count; i++)
        if (p2p->peers[i]->state != PEER_CLOSED && net_addr_equal(&p2p->peers[i]->addr, addr))
            return true;
    return false;
}

static bool has_host(const struct p2p *p2p, const struct net_addr *addr)
{
    for (uint32_t i = 0; i < p2p->peer_count; i++)
        if (p2p->peers[i]->state != PEER_CLOSED && net_addr_same_host(&p2p->peers[i]->addr, addr))
            return true;
    return false;
}

/* Do we have an automatic outbound peer in this address's group? */
static bool has_group(const struct p2p *p2p, const struct net_addr *addr)
{
    uint8_t group[8], other[8];
    uint32_t size_b = net_addr_group(group, addr);
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        const struct peer *peer = p2p->peers[i];
        if (peer->state == PEER_CLOSED || peer->is_lan ||
            (peer->type != CONN_FULL && peer->type != CONN_BLOCKS))
            continue;
        if (net_addr_group(other, &peer->addr) == size_b && memcmp(group, other, size_b) == 0)
            return true;
    }
    return false;
}

static bool decode_anchors(struct p2p *p2p, struct span bytes, struct fail *why)
{
    struct reader r;
    uint8_t hash[32], magic[4];
    if (bytes.size_b < sizeof hash)
        return fail_set(why, FAIL_LOCAL, "anchors", "the file is too short");
    sha256d(hash, bytes.data, bytes.size_b - sizeof hash);
    if (memcmp(hash, bytes.data + bytes.size_b - sizeof hash, sizeof hash) != 0)
        return fail_set(why, FAIL_LOCAL, "anchors", "its checksum does not match");
    rd_init(&r, span_of(bytes.data, bytes.size_b - sizeof hash));
    rd_copy(&r, magic, sizeof magic);
    if (memcmp(magic, ANCHORS_MAGIC, 4) != 0 || rd_u8(&r) != ANCHORS_VERSION)
        return fail_set(why, FAIL_LOCAL, "anchors", "it is of another program or version");
    uint8_t count = rd_u8(&r);
    for (uint8_t i = 0; i < count && !r.failed; i++) {
        struct net_addr a = { .network = rd_u8(&r) };
        uint8_t size_b = rd_u8(&r);
        if (size_b > NET_ADDR_BYTES_MAX) {
            rd_fail(&r, "address too long");
            break;
        }
        a.size_b = size_b;
        rd_copy(&r, a.bytes, size_b);
        a.port = rd_u16le(&r);
        if (!r.failed && p2p->anchor_count < ANCHORS_MAX && net_addr_is_routable(&a))
            p2p->anchors[p2p->anchor_count++] = a;
    }
    return rd_done(&r, ANCHORS_NAME, why);
}
