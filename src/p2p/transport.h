/* transport.h - how frames travel: plain (v1: framer.h) or encrypted (v2: BIP324). A pure byte machine.
 *
 *   who dials v2:     64 bytes of key, garbage | terminator, version packet | packets
 *   who is called:    waits for the first byte that no v1 peer sends, then the same
 *
 * A packet:  length 3 | header 1, contents (encrypted) | tag 16; the contents of a message:
 *   message number 1, or 0 and command 12 | payload
 *
 * Owner of all: the struct; clear wipes keys. Thread: the owner of the struct. Bounded: one message's
 * payload, which grows with the bytes that came. */
#ifndef COIN_P2P_TRANSPORT_H
#define COIN_P2P_TRANSPORT_H

#include "coin/base/env.h"
#include "framer.h"

enum transport_kind {
    TRANSPORT_DETECTING, /* called, and nothing has come that tells */
    TRANSPORT_V1,
    TRANSPORT_V2
};
struct v2; /* private */
struct transport {
    enum transport_kind kind;
    const struct env *env; /* borrowed: randomness */
    struct framer v1;
    uint8_t prefix[16]; /* of what came while detecting */
    uint32_t prefix_b;
    struct v2 *v2; /* NULL in v1 */
};

void transport_init(struct transport *t, const struct env *env, const uint8_t magic[4], enum transport_kind kind);
void transport_clear(struct transport *t);
/* v2 only: what goes out first, appended. false: out of memory. */
bool transport_start(struct transport *t, struct buf *out, struct fail *why) MUST_USE;
/* Takes bytes from the front, like framer_feed. What the handshake answers is appended to out. */
enum framer_result transport_feed(struct transport *t, struct span bytes, size_t *taken, struct frame *frame,
    struct buf *out, struct fail *why);
/* May messages be sent? In v2 from the moment that the other's key came. */
bool transport_is_open(const struct transport *t);
/* A v2 dial that got not a single byte back: the other side may know v1 only. */
bool transport_is_unheard(const struct transport *t);
/* Bytes of the payload that is on its way. */
uint32_t transport_partial_b(const struct transport *t);
const uint8_t *transport_session_id(const struct transport *t); /* 32 bytes; NULL: none */

/* Writing: begin puts the room for what stands before the payload into bytes, then the payload is appended,
 * end completes the message. false: the buffer failed, or the cipher: the connection must end. */
void transport_begin(struct transport *t, struct buf *bytes, const char *command);
bool transport_end(struct transport *t, struct buf *bytes, const char *command) MUST_USE;
/* The same around a payload in a buf of its own, which v2 encrypts where it is: front, payload, back. */
bool transport_wrap(struct transport *t, struct buf *front, struct buf *payload, struct buf *back,
    const char *command) MUST_USE;

#endif
