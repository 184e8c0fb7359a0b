/* Messages out: framed, counted, handed to env. Nothing here can fail: what does not fit into memory is
 * a connection that ends. */
#include <string.h>

#include "internal.h"

#define FRONT_MAX_B 64 /* what a transport puts around a payload */

static bool can_send(const struct peer *peer);
static void send_framed(struct peer *peer, uint32_t row, const char *command, struct buf *bytes);
static void give_up(struct peer *peer, const char *command);
static void count(struct peer *peer, uint32_t row, size_t size_b);

void peer_send(struct peer *peer, enum message_id id, const union message *m)
{
    if (!can_send(peer))
        return;
    struct buf bytes;
    buf_init(&bytes, FRONT_MAX_B + PAYLOAD_MAX_B);
    transport_begin(&peer->transport, &bytes, message_rules[id].command);
    if (m != NULL && message_rules[id].encode != NULL)
        message_rules[id].encode(&bytes, m);
    send_framed(peer, id, message_rules[id].command, &bytes);
}

void peer_send_bytes(struct peer *peer, enum message_id id, struct span payload)
{
    union message m = { .bytes = { payload } };
    if (!can_send(peer))
        return;
    struct buf bytes;
    buf_init(&bytes, FRONT_MAX_B + PAYLOAD_MAX_B);
    transport_begin(&peer->transport, &bytes, message_rules[id].command);
    bytes_encode(&bytes, &m);
    send_framed(peer, id, message_rules[id].command, &bytes);
}

void peer_send_buf(struct peer *peer, enum message_id id, struct buf *payload)
{
    const struct env *env = peer->p2p->env;
    struct buf front, back;
    buf_init(&front, FRONT_MAX_B);
    buf_init(&back, FRONT_MAX_B);
    if (can_send(peer)) {
        if (transport_wrap(&peer->transport, &front, payload, &back, message_rules[id].command)) {
            count(peer, id, front.size_b + payload->size_b + back.size_b);
            env->send(env->ctx, peer->conn_id, &front);
            env->send(env->ctx, peer->conn_id, payload);
            if (back.size_b > 0)
                env->send(env->ctx, peer->conn_id, &back);
        } else {
            give_up(peer, message_rules[id].command);
        }
    }
    buf_clear(&front);
    buf_clear(payload);
    buf_clear(&back);
}

void peer_send_inv(struct peer *peer, enum message_id id, const struct inv_item *items, uint32_t item_count)
{
    /* encode only reads them */
    for (uint32_t at = 0; at < item_count;) {
        uint32_t part = item_count - at < INV_COUNT_MAX ? item_count - at : INV_COUNT_MAX;
        struct inv_item *first;
        const struct inv_item *from = items + at;
        memcpy(&first, &from, sizeof first);
        union message m = { .inv = { part, first } };
        peer_send(peer, id, &m);
        at += part;
    }
}

void peer_send_raw(struct peer *peer, const char *command, struct span payload)
{
    struct buf bytes;
    if (!can_send(peer))
        return;
    buf_init(&bytes, FRONT_MAX_B + PAYLOAD_MAX_B);
    transport_begin(&peer->transport, &bytes, command);
    buf_put(&bytes, payload.data, payload.size_b);
    send_framed(peer, MSG_COUNT, command, &bytes);
}

void peer_send_handshake(struct peer *peer, struct buf *bytes)
{
    const struct env *env = peer->p2p->env;
    if (bytes->size_b > 0) {
        count(peer, MSG_COUNT, bytes->size_b);
        env->send(env->ctx, peer->conn_id, bytes);
    }
    buf_clear(bytes);
}

bool peer_outbox_full(const struct peer *peer)
{
    return peer->outbox_b > peer->p2p->options.send_buffer_b;
}

static bool can_send(const struct peer *peer)
{
    return peer->state != PEER_CLOSED && peer->state != PEER_DIALING && transport_is_open(&peer->transport);
}

static void send_framed(struct peer *peer, uint32_t row, const char *command, struct buf *bytes)
{
    struct p2p *p2p = peer->p2p;
    if (transport_end(&peer->transport, bytes, command)) {
        count(peer, row, bytes->size_b);
        p2p->env->send(p2p->env->ctx, peer->conn_id, bytes);
    } else {
        give_up(peer, command);
    }
    buf_clear(bytes);
}

static void give_up(struct peer *peer, const char *command)
{
    log_debug(LOG_NET, "peer %lld: %s cannot be sent", (long long)peer->id, command);
    peer_close(peer, "out of memory");
}

static void count(struct peer *peer, uint32_t row, size_t size_b)
{
    peer->sent_b += size_b;
    peer->outbox_b += size_b;
    peer->sent_by_message_b[row] += size_b;
    peer->p2p->totals.sent_b += size_b;
    upload_count(peer->p2p, size_b);
    peer->last_sent_us = p2p_now_us(peer->p2p);
    peer->last_sent_s = env_wall_s(peer->p2p->env);
}
