/* One connection: its states, its inbox, handshake, ping, and the barrier behind a pong.
 *
 * The handshake (BIP339, BIP155 order): who dialed sends version; the other answers version, then both send
 * wtxidrelay, sendaddrv2, verack between the other's version and verack. An inbound peer hears nothing
 * before its version came.
 *
 * The barrier: frames are acted on in order, but what they start (checking a transaction, connecting a
 * block, reading one for it) ends later and in any order. All work started between two pings belongs to one
 * generation with a counter; a ping closes its generation, and its pong leaves when this and all earlier
 * counters are zero. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "coin/base/mem.h"
#include "internal.h"

#define SCRATCH_MAX_B (64u << 20) /* decoded form of the largest message; arrays are bounded by its bytes */
#define FRAME_COST_B 64u          /* what a queued frame costs beyond its payload */
#define LOG_BURST 20u
#define HANDSHAKE_MAX_B 8192u /* what the transport says in one go */

static bool inbox_full(const struct peer *peer);
static bool inbox_put(struct peer *peer, struct frame *frame);
static void inbox_drop(struct peer *peer);
static size_t take_from_proxy(struct peer *peer, struct span bytes);
static void resume_reading(struct peer *peer);
static enum message_result handle_frame(struct peer *peer, struct frame *frame, struct fail *why);
static void say_version(struct peer *peer);
static void send_version(struct peer *peer);
static bool is_self(const struct p2p *p2p, uint64_t nonce);
static bool lacks_services(const struct peer *peer);
static void answer_pings(struct peer *peer);
static struct barrier *barrier_of(struct peer *peer, uint32_t generation);
static const char *state_name(enum peer_state state);
static void copy_agent(char out[USER_AGENT_MAX_B + 1], struct span agent);

struct peer *peer_new(struct p2p *p2p, uint64_t conn_id, enum conn_type type, enum transport_kind transport,
    const struct net_addr *addr)
{
    struct peer *peer = mem_try_new(sizeof *peer);
    if (peer == NULL)
        return NULL;
    peer->id = p2p->next_id;
    peer->conn_id = conn_id;
    struct peer **slot = table_put(&p2p->by_conn, &conn_id, NULL);
    struct peer **id_slot = table_put(&p2p->by_id, &peer->id, NULL);
    if (slot == NULL || id_slot == NULL ||
        !mem_try_grow(&p2p->peers, &p2p->peer_capacity, p2p->peer_count + 1, UINT16_MAX,
            sizeof *p2p->peers)) {
        table_remove(&p2p->by_conn, &conn_id);
        table_remove(&p2p->by_id, &peer->id);
        mem_free(peer);
        return NULL;
    }
    *slot = *id_slot = peer;
    p2p->peers[p2p->peer_count++] = peer;
    p2p->next_id++;
    peer->p2p = p2p;
    peer->type = type;
    peer->state = PEER_DIALING;
    peer->addr = *addr;
    net_addr_to_text(peer->name, addr, true);
    peer->connected_us = p2p_now_us(p2p);
    peer->connected_s = env_wall_s(p2p->env);
    peer->nonce = env_random_u64(p2p->env);
    peer->ping_min_us = INT64_MAX;
    peer->flight_limit = BLOCKS_IN_FLIGHT_START;
    transport_init(&peer->transport, p2p->env, p2p->chain->magic, transport);
    table_init(&peer->tx_to_send, sizeof(struct wtxid), 1, TX_TO_SEND_MAX, p2p->seed);
    rolling_init(&peer->tx_known, TX_KNOWN_MAX, p2p->seed);
    rolling_init(&peer->addr_known, ADDR_KNOWN_MAX, p2p->seed);
    return peer;
}

void peer_free(struct peer *peer)
{
    transport_clear(&peer->transport);
    while (peer->inbox.count > 0)
        inbox_drop(peer);
    mem_free(peer->inbox.frames);
    serve_forget_peer(peer);
    filters_forget_peer(peer);
    mem_free(peer->serve.items);
    for (uint32_t i = 0; i < peer->flight_count; i++)
        partial_free(peer->flights[i].partial);
    table_clear(&peer->tx_to_send);
    rolling_clear(&peer->tx_known);
    rolling_clear(&peer->addr_known);
    mem_free(peer->addrs_to_send);
    mem_free(peer->host);
    mem_free(peer->proxy);
    mem_free(peer);
}

void peer_enter(struct peer *peer, enum peer_state state, const char *reason)
{
    log_debug(LOG_NET, "peer %" PRId64 " %s: %s -> %s (%s)", peer->id, peer->name,
        state_name(peer->state), state_name(state), reason);
    peer->state = state;
}

void peer_close(struct peer *peer, const char *reason)
{
    struct p2p *p2p = peer->p2p;
    if (peer->state == PEER_CLOSED)
        return;
    bool was_ready = peer->state == PEER_READY;
    peer_enter(peer, PEER_CLOSED, reason);
    p2p->any_closed = true;
    p2p->env->close(p2p->env->ctx, peer->conn_id, was_ready);
    blocks_forget_peer(peer);
    compact_forget_peer(peer);
    tx_requests_forget_peer(&p2p->requests, peer->id);
    orphans_forget_peer(p2p->orphans, peer->id);
    if (was_ready && peer_is_outbound(peer))
        addrman_connected(p2p->addrman, &peer->addr);
    connect_closed(peer);
}

void peer_misbehaved(struct peer *peer, const struct fail *why)
{
    struct p2p *p2p = peer->p2p;
    if (peer->state == PEER_CLOSED)
        return;
    log_info("Misbehaving: peer=%" PRId64 ": %s (%s)", peer->id, why->detail, why->code);
    if (peer_permits(peer, PERMIT_NOBAN)) {
        log_debug(LOG_NET, "peer %" PRId64 " is not punished: noban", peer->id);
        return;
    }
    if (peer->type == CONN_MANUAL) {
        log_debug(LOG_NET, "peer %" PRId64 " is not punished: added by hand", peer->id);
        return;
    }
    if (!net_addr_is_local(&peer->addr) && peer->host == NULL)
        ban_discourage(p2p, &peer->addr); /* all of a shared local address would suffer for one */
    peer_close(peer, why->code);
}

bool peer_is_outbound(const struct peer *peer)
{
    return peer->type != CONN_INBOUND;
}

uint8_t peer_network(const struct peer *peer)
{
    return peer->by_onion ? NET_TORV3 : peer->addr.network;
}

bool peer_permits(const struct peer *peer, unsigned permission)
{
    return (peer->permissions & permission) == permission;
}

/* ---- the inbox ---- */
size_t peer_take_bytes(struct peer *peer, struct span bytes)
{
    struct p2p *p2p = peer->p2p;
    size_t used_b = peer->proxy != NULL ? take_from_proxy(peer, bytes) : 0;
    while (used_b < bytes.size_b && peer->state != PEER_CLOSED) {
        if (inbox_full(peer)) {
            peer->paused = true;
            p2p->env->pause(p2p->env->ctx, peer->conn_id, true);
            break;
        }
        struct fail why;
        struct frame frame;
        struct buf answer;
        size_t taken_b;
        buf_init(&answer, HANDSHAKE_MAX_B);
        enum framer_result result = transport_feed(&peer->transport,
            span_of(bytes.data + used_b, bytes.size_b - used_b), &taken_b, &frame, &answer, &why);
        used_b += taken_b;
        peer_send_handshake(peer, &answer);
        say_version(peer);
        if (result == FRAMER_FRAME) {
            peer->received_by_message_b[frame.message >= 0 ? frame.message : MSG_COUNT] += frame.wire_b;
            if (!inbox_put(peer, &frame))
                peer_close(peer, "out of memory");
        } else if (result == FRAMER_SKIP) {
            if (log_allow(&peer->log, p2p_now_us(p2p), LOG_BURST, MINUTE_US))
                log_debug(LOG_NET, "peer %" PRId64 ": message dropped: %s", peer->id, why.detail);
        } else if (result == FRAMER_BAD) {
            if (log_allow(&peer->log, p2p_now_us(p2p), LOG_BURST, MINUTE_US))
                log_debug(LOG_NET, "peer %" PRId64 ": %s", peer->id, why.detail);
            peer_close(peer, why.code);
        }
    }
    peer->received_b += used_b;
    p2p->totals.received_b += used_b;
    peer->last_received_us = p2p_now_us(p2p);
    peer->last_received_s = env_wall_s(p2p->env);
    return peer->state == PEER_CLOSED ? bytes.size_b : used_b;
}

static size_t take_from_proxy(struct peer *peer, struct span bytes)
{
    struct fail why;
    struct buf answer;
    size_t taken_b;
    buf_init(&answer, SOCKS5_HELLO_MAX_B);
    enum socks5_result result = socks5_feed(peer->proxy, bytes, &taken_b, &answer, &why);
    peer_send_handshake(peer, &answer);
    if (result == SOCKS5_FAILED) {
        log_debug(LOG_NET, "peer %" PRId64 " %s: %s", peer->id, peer->name, why.detail);
        peer_close(peer, "the proxy did not connect it");
    } else if (result == SOCKS5_OPEN) {
        mem_free(peer->proxy);
        peer->proxy = NULL;
        peer_start_handshake(peer);
    }
    return taken_b;
}

bool peer_has_work(const struct peer *peer)
{
    return peer->inbox.count > 0 && !peer->blocked && peer->state != PEER_CLOSED &&
           peer->state != PEER_DIALING && !peer_outbox_full(peer);
}

uint32_t peer_turn(struct peer *peer, uint32_t budget)
{
    uint32_t spent = 0;
    while (spent < budget && peer_has_work(peer)) {
        struct frame *frame = &peer->inbox.frames[peer->inbox.first];
        struct fail why = { .kind = FAIL_NONE };
        spent += frame->message >= 0 ? message_rules[frame->message].cost + frame->size_b / 4096 : 1;
        enum message_result result = handle_frame(peer, frame, &why);
        if (result == MESSAGE_WAIT) {
            peer->blocked = true;
            break;
        }
        if (result == MESSAGE_BAD) {
            if (why.kind == FAIL_NO_ROOM || why.kind == FAIL_LOCAL)
                log_debug(LOG_NET, "peer %" PRId64 ": a message was dropped: %s", peer->id, why.detail);
            else
                peer_misbehaved(peer, &why);
        }
        inbox_drop(peer);
    }
    resume_reading(peer);
    return spent;
}

static enum message_result handle_frame(struct peer *peer, struct frame *frame, struct fail *why)
{
    struct p2p *p2p = peer->p2p;
    if (frame->message < 0)
        return MESSAGE_DONE;
    const struct message_rule *rule = &message_rules[frame->message];
    if (!(rule->states & 1u << peer->state)) {
        if (log_allow(&peer->log, p2p_now_us(p2p), LOG_BURST, MINUTE_US))
            log_debug(LOG_NET, "peer %" PRId64 ": %s comes too early and is ignored", peer->id,
                rule->command);
        return MESSAGE_DONE;
    }
    union message m;
    memset(&m, 0, sizeof m);
    arena_init(&p2p->scratch, SCRATCH_MAX_B);
    enum message_result result = MESSAGE_BAD;
    struct reader r;
    rd_init(&r, buf_span(&frame->payload));
    if (rule->decode == NULL || rule->decode(&m, &r, &p2p->scratch, why))
        result = rule->handle(peer, &m, frame, why);
    else
        fail_prefix(why, "%s: ", rule->command);
    arena_clear(&p2p->scratch);
    return result;
}

static bool inbox_full(const struct peer *peer)
{
    return peer->inbox.size_b >= peer->p2p->options.receive_buffer_b || peer->inbox.count >= INBOX_FRAMES_MAX;
}

/* Takes the frame in any case. */
static bool inbox_put(struct peer *peer, struct frame *frame)
{
    struct frame_queue *q = &peer->inbox;
    if (q->count == q->capacity) {
        uint32_t next = q->capacity == 0 ? 8 : q->capacity * 2;
        struct frame *frames = mem_try_array(next, sizeof *frames);
        if (frames == NULL) {
            buf_clear(&frame->payload);
            return false;
        }
        for (uint32_t i = 0; i < q->count; i++)
            frames[i] = q->frames[(q->first + i) % q->capacity];
        mem_free(q->frames);
        q->frames = frames;
        q->capacity = next;
        q->first = 0;
    }
    q->frames[(q->first + q->count++) % q->capacity] = *frame;
    q->size_b += frame->size_b + FRAME_COST_B;
    return true;
}

static void inbox_drop(struct peer *peer)
{
    struct frame_queue *q = &peer->inbox;
    struct frame *frame = &q->frames[q->first];
    q->size_b -= frame->size_b + FRAME_COST_B;
    buf_clear(&frame->payload);
    q->first = (q->first + 1) % q->capacity;
    q->count--;
}

static void resume_reading(struct peer *peer)
{
    struct p2p *p2p = peer->p2p;
    if (!peer->paused || peer->state == PEER_CLOSED || peer->inbox.size_b > p2p->options.receive_buffer_b / 2 ||
        peer->inbox.count > INBOX_FRAMES_MAX / 2)
        return;
    peer->paused = false;
    p2p->env->pause(p2p->env->ctx, peer->conn_id, false);
}

/* ---- the handshake ---- */
void peer_start_handshake(struct peer *peer)
{
    if (peer->proxy != NULL) {
        struct buf hello;
        buf_init(&hello, SOCKS5_HELLO_MAX_B);
        socks5_hello(peer->proxy, &hello);
        peer_send_handshake(peer, &hello);
        return;
    }
    peer_enter(peer, PEER_FRESH, "connected");
    peer->connected_us = p2p_now_us(peer->p2p);
    peer->connected_s = env_wall_s(peer->p2p->env);
    if (peer->transport.kind == TRANSPORT_V2) {
        struct buf first;
        struct fail why;
        buf_init(&first, HANDSHAKE_MAX_B);
        if (!transport_start(&peer->transport, &first, &why))
            peer_close(peer, "out of memory");
        else
            peer_send_handshake(peer, &first);
        buf_clear(&first);
    }
    say_version(peer);
}

/* Who dialed speaks first, as soon as the transport lets it. */
static void say_version(struct peer *peer)
{
    if (peer->said_version || peer->type == CONN_INBOUND || peer->state != PEER_FRESH ||
        !transport_is_open(&peer->transport))
        return;
    peer->said_version = true;
    send_version(peer);
}

enum message_result peer_on_version(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    struct p2p *p2p = peer->p2p;
    const struct msg_version *v = &m->version;
    (void)frame, (void)why;
    if (peer->got_version)
        return MESSAGE_DONE; /* a second one says nothing new */
    peer->got_version = true;
    peer->version = v->version;
    peer->services = v->services;
    peer->start_height = v->start_height;
    peer->remote_relays = v->relay;
    peer->seen_as = v->remote;
    peer->listen_port = v->local.port;
    peer->time_offset_s = (v->time_s > 0 ? v->time_s : 0) - env_wall_s(p2p->env);
    copy_agent(peer->user_agent, v->user_agent);
    if (peer->version < PROTOCOL_VERSION_MIN) {
        peer_close(peer, "its protocol version is too old");
        return MESSAGE_DONE;
    }
    if (peer->type == CONN_INBOUND && is_self(p2p, v->nonce)) {
        peer_close(peer, "connected to ourselves");
        return MESSAGE_DONE;
    }
    if (peer_is_outbound(peer)) {
        clock_heard(p2p, peer->time_offset_s);
        addrman_set_services(p2p->addrman, &peer->addr, peer->services);
    }
    if (peer_is_outbound(peer) && lacks_services(peer)) {
        peer_close(peer, "it does not offer what we need");
        return MESSAGE_DONE;
    }
    peer_enter(peer, PEER_GREETED, "version");
    if (peer->type == CONN_INBOUND) {
        local_seen(p2p, &peer->seen_as);
        send_version(peer);
    }
    if (peer->version >= PROTOCOL_WTXID_RELAY) {
        peer_send(peer, MSG_WTXIDRELAY, NULL);
        peer_send(peer, MSG_SENDADDRV2, NULL);
    }
    peer_send(peer, MSG_VERACK, NULL);
    return MESSAGE_DONE;
}

enum message_result peer_on_verack(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    (void)m, (void)frame, (void)why;
    struct p2p *p2p = peer->p2p;
    if (peer->state != PEER_GREETED)
        return MESSAGE_DONE;
    peer_enter(peer, PEER_READY, "verack");
    peer->ready_us = p2p_now_us(p2p);
    log_info("New peer connected: id=%" PRId64 " %s %s version %d, height %d, %s", peer->id, peer->name,
        peer->type == CONN_INBOUND ? "inbound" : "outbound", peer->version, peer->start_height,
        peer->user_agent);
    connect_ready(peer);
    if (peer->state == PEER_CLOSED)
        return MESSAGE_DONE;
    peer_ping(peer);
    if (peer->type == CONN_FEELER)
        return MESSAGE_DONE;
    if (peer->version >= PROTOCOL_SENDHEADERS)
        peer_send(peer, MSG_SENDHEADERS, NULL);
    compact_greet(peer);
    gossip_greet(peer);
    headers_on_tick(peer, peer->ready_us);
    return MESSAGE_DONE;
}

enum message_result peer_on_wtxidrelay(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    (void)m, (void)frame, (void)why;
    if (peer->state == PEER_READY)
        peer_close(peer, "wtxidrelay after verack"); /* BIP339 */
    else if (peer->state == PEER_GREETED && peer->version >= PROTOCOL_WTXID_RELAY)
        peer->wtxid_relay = true;
    return MESSAGE_DONE;
}

enum message_result peer_on_sendaddrv2(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    (void)m, (void)frame, (void)why;
    if (peer->state == PEER_READY)
        peer_close(peer, "sendaddrv2 after verack"); /* BIP155 */
    else if (peer->state == PEER_GREETED)
        peer->addrv2 = true;
    return MESSAGE_DONE;
}

enum message_result peer_on_sendheaders(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    (void)m, (void)frame, (void)why;
    peer->prefers_headers = true;
    return MESSAGE_DONE;
}

/* Answers to questions that we do not put. */
enum message_result peer_on_unasked(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    (void)peer, (void)m, (void)frame, (void)why;
    return MESSAGE_DONE;
}

enum message_result peer_on_unoffered(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    (void)m, (void)why;
    log_debug(LOG_NET, "peer %" PRId64 ": %s asks for a service that we do not offer", peer->id,
        message_rules[frame->message].command);
    peer_close(peer, "it asked for a service that we do not offer");
    return MESSAGE_DONE;
}

static void send_version(struct peer *peer)
{
    struct p2p *p2p = peer->p2p;
    union message m;
    memset(&m, 0, sizeof m);
    m.version = (struct msg_version){
        .version = PROTOCOL_VERSION,
        .services = p2p->services,
        .time_s = env_wall_s(p2p->env),
        .remote_services = 0,
        .local_services = p2p->services,
        .nonce = peer->nonce,
        .user_agent = span_text(p2p->user_agent),
        .start_height = ledger_tip(p2p->ledger)->height,
        .relay = !p2p->options.blocks_only && peer->type != CONN_BLOCKS && peer->type != CONN_FEELER,
    };
    if ((peer->addr.network == NET_IPV4 || peer->addr.network == NET_IPV6) && route_proxy(p2p, peer->addr.network) == NULL)
        m.version.remote = peer->addr;
    if (peer->is_lan) /* a neighbour shall not dial us back; others learn nothing here, as in Bitcoin */
        m.version.local.port = p2p->options.listen_port;
    peer_send(peer, MSG_VERSION, &m);
}

/* The nonce of one of our own dials whose handshake is not over comes back: we called ourselves. */
static bool is_self(const struct p2p *p2p, uint64_t nonce)
{
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        const struct peer *other = p2p->peers[i];
        if (peer_is_outbound(other) && other->state == PEER_FRESH && other->nonce == nonce && nonce != 0)
            return true;
    }
    return false;
}

static bool lacks_services(const struct peer *peer)
{
    if (peer->type == CONN_MANUAL || peer->type == CONN_FEELER)
        return false;
    uint64_t blocks = peer->services & (SERVICE_NETWORK | SERVICE_NETWORK_LIMITED);
    return blocks == 0 || (peer->services & SERVICE_WITNESS) == 0;
}

/* ---- ping ---- */
void peer_ping(struct peer *peer)
{
    union message m;
    memset(&m, 0, sizeof m);
    peer->ping_asked = false;
    peer->ping_sent_us = p2p_now_us(peer->p2p);
    if (peer->version < PROTOCOL_PONG) {
        peer->ping_nonce = 0; /* no answer will come */
        peer_send(peer, MSG_PING, NULL);
        return;
    }
    do
        peer->ping_nonce = env_random_u64(peer->p2p->env);
    while (peer->ping_nonce == 0);
    m.nonce = (struct msg_nonce){ peer->ping_nonce, true };
    peer_send(peer, MSG_PING, &m);
}

enum message_result peer_on_ping(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    (void)frame, (void)why;
    if (!m->nonce.has_nonce)
        return MESSAGE_DONE;
    if (peer->generation - peer->generation_first >= PINGS_WAITING_MAX)
        return MESSAGE_WAIT;
    barrier_of(peer, peer->generation)->nonce = m->nonce.nonce;
    peer->generation++;
    *barrier_of(peer, peer->generation) = (struct barrier){ 0, 0 };
    answer_pings(peer);
    return MESSAGE_DONE;
}

enum message_result peer_on_pong(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    (void)frame, (void)why;
    if (peer->ping_nonce == 0 || !m->nonce.has_nonce)
        return MESSAGE_DONE;
    if (m->nonce.nonce == peer->ping_nonce) {
        int64_t took_us = p2p_now_us(peer->p2p) - peer->ping_sent_us;
        peer->ping_last_us = took_us;
        if (took_us < peer->ping_min_us)
            peer->ping_min_us = took_us;
        peer->ping_nonce = 0;
    } else if (m->nonce.nonce == 0) {
        peer->ping_nonce = 0; /* a peer that answers so never answers better */
    }
    return MESSAGE_DONE;
}

void peer_on_tick(struct peer *peer, int64_t now_us)
{
    struct p2p *p2p = peer->p2p;
    int64_t handshake_us = (int64_t)p2p->options.peer_timeout_s * SECOND_US;
    switch (peer->state) {
    case PEER_DIALING:
        if (now_us - peer->connected_us > (peer->proxy != NULL ? PROXY_DIAL_MAX_US : DIAL_MAX_US))
            peer_close(peer, "no answer to the dial");
        return;
    case PEER_FRESH:
    case PEER_GREETED:
        if (now_us - peer->connected_us > handshake_us) {
            peer->try_plain = transport_is_unheard(&peer->transport);
            peer_close(peer, "handshake timeout");
        }
        return;
    case PEER_READY:
        break;
    case PEER_CLOSED:
        return;
    }
    if (now_us - peer->last_received_us > INACTIVITY_MAX_US)
        peer_close(peer, "nothing received for 20 minutes");
    else if (now_us - peer->last_sent_us > INACTIVITY_MAX_US)
        peer_close(peer, "nothing sent for 20 minutes");
    else if (peer->ping_nonce != 0 && now_us - peer->ping_sent_us > INACTIVITY_MAX_US)
        peer_close(peer, "ping timeout");
    else if (peer->ping_asked ||
             (peer->ping_nonce == 0 && now_us - peer->ping_sent_us > PING_INTERVAL_US))
        peer_ping(peer);
}

/* ---- the barrier ---- */
struct work work_begin(struct peer *peer)
{
    work_count(peer, peer->generation, 1);
    return (struct work){ peer->p2p, peer->id, peer->generation };
}

struct work work_more(struct peer *peer, const struct work *of)
{
    work_count(peer, of->generation, 1);
    return *of;
}

void work_end(const struct work *work)
{
    struct peer *peer = p2p_peer(work->p2p, work->peer_id);
    p2p_unblock(work->p2p);
    if (peer != NULL)
        work_count(peer, work->generation, -1);
}

void work_count(struct peer *peer, uint32_t generation, int change)
{
    struct barrier *b = barrier_of(peer, generation);
    b->pending = (uint32_t)((int64_t)b->pending + change);
    peer->work_pending = (uint32_t)((int64_t)peer->work_pending + change);
    if (change < 0)
        answer_pings(peer);
}

static void answer_pings(struct peer *peer)
{
    while (peer->generation_first != peer->generation &&
           barrier_of(peer, peer->generation_first)->pending == 0) {
        union message m;
        memset(&m, 0, sizeof m);
        m.nonce = (struct msg_nonce){ barrier_of(peer, peer->generation_first)->nonce, true };
        peer->generation_first++;
        peer->blocked = false;
        peer_send(peer, MSG_PONG, &m);
    }
}

static struct barrier *barrier_of(struct peer *peer, uint32_t generation)
{
    return &peer->barriers[generation % (PINGS_WAITING_MAX + 1)];
}

/* ---- helpers ---- */
static const char *state_name(enum peer_state state)
{
    switch (state) {
    case PEER_DIALING:
        return "dialing";
    case PEER_FRESH:
        return "fresh";
    case PEER_GREETED:
        return "greeted";
    case PEER_READY:
        return "ready";
    case PEER_CLOSED:
        return "closed";
    }
    return "";
}

/* Bitcoin's SanitizeString: it lands in logs and JSON. */
static void copy_agent(char out[USER_AGENT_MAX_B + 1], struct span agent)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,;-_/:?@()";
    size_t used = 0;
    for (size_t i = 0; i < agent.size_b && used < USER_AGENT_MAX_B; i++)
        if (agent.data[i] != 0 && strchr(allowed, agent.data[i]) != NULL)
            out[used++] = (char)agent.data[i];
    out[used] = 0;
}
