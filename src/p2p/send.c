/* Messages out: framed, counted, handed to env. Nothing here can fail: what does not fit into memory is
 * a connection that ends. */
#include <string.h>

#include "internal.h"

static void send_framed(struct peer *peer, enum message_id id, struct buf *bytes);
static void count(struct peer *peer, uint32_t row, size_t size_b);

void peer_send(struct peer *peer, enum message_id id, const union message *m)
{
    if (peer->state == PEER_CLOSED || peer->state == PEER_DIALING)
        return;
    struct buf bytes;
    buf_init(&bytes, FRAME_HEADER_SIZE_B + PAYLOAD_MAX_B);
    frame_begin(&bytes);
    if (m != NULL && message_rules[id].encode != NULL)
        message_rules[id].encode(&bytes, m);
    send_framed(peer, id, &bytes);
}

void peer_send_bytes(struct peer *peer, enum message_id id, struct span payload)
{
    union message m = { .bytes = { payload } };
    if (peer->state == PEER_CLOSED || peer->state == PEER_DIALING)
        return;
    struct buf bytes;
    buf_init(&bytes, FRAME_HEADER_SIZE_B + PAYLOAD_MAX_B);
    frame_begin(&bytes);
    bytes_encode(&bytes, &m);
    send_framed(peer, id, &bytes);
}

void peer_send_buf(struct peer *peer, enum message_id id, struct buf *payload)
{
    if (peer->state != PEER_CLOSED && peer->state != PEER_DIALING) {
        struct p2p *p2p = peer->p2p;
        uint8_t header[FRAME_HEADER_SIZE_B];
        struct buf front;
        size_t size_b = payload->size_b + sizeof header;
        frame_header(header, p2p->chain->magic, message_rules[id].command, buf_span(payload));
        buf_init(&front, sizeof header);
        buf_put(&front, header, sizeof header);
        count(peer, id, size_b);
        p2p->env->send(p2p->env->ctx, peer->conn_id, &front);
        p2p->env->send(p2p->env->ctx, peer->conn_id, payload);
        buf_clear(&front);
    }
    buf_clear(payload);
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
    struct p2p *p2p = peer->p2p;
    struct buf bytes;
    buf_init(&bytes, FRAME_HEADER_SIZE_B + PAYLOAD_MAX_B);
    frame_begin(&bytes);
    buf_put(&bytes, payload.data, payload.size_b);
    frame_end(&bytes, p2p->chain->magic, command);
    if (!bytes.failed) {
        count(peer, MSG_COUNT, bytes.size_b);
        p2p->env->send(p2p->env->ctx, peer->conn_id, &bytes);
    }
    buf_clear(&bytes);
}

bool peer_outbox_full(const struct peer *peer)
{
    return peer->outbox_b > OUTBOX_MAX_B;
}

static void send_framed(struct peer *peer, enum message_id id, struct buf *bytes)
{
    struct p2p *p2p = peer->p2p;
    frame_end(bytes, p2p->chain->magic, message_rules[id].command);
    struct fail why;
    if (!buf_ok(bytes, message_rules[id].command, &why)) {
        log_debug(LOG_NET, "peer %lld: %s is not sent: %s", (long long)peer->id,
            message_rules[id].command, why.detail);
        buf_clear(bytes);
        peer_close(peer, "out of memory");
        return;
    }
    count(peer, id, bytes->size_b);
    p2p->env->send(p2p->env->ctx, peer->conn_id, bytes);
    buf_clear(bytes);
}

static void count(struct peer *peer, uint32_t row, size_t size_b)
{
    peer->sent_b += size_b;
    peer->outbox_b += size_b;
    peer->sent_by_message_b[row] += size_b;
    peer->p2p->totals.sent_b += size_b;
    peer->last_sent_us = p2p_now_us(peer->p2p);
    peer->last_sent_s = env_wall_s(peer->p2p->env);
}
