/* framer.h - the v1 transport: bytes in, frames out, and back.
 *   0 magic 4 | 4 command 12, padded with zeroes | 16 payload size u32 | 20 first 4 bytes of SHA256d(payload)
 * A pure byte machine. Thread: the owner of the struct. Bounded: a payload is collected as it arrives, at
 * most the limit of its message; what nobody wants is counted and dropped without being kept. */
#ifndef COIN_P2P_FRAMER_H
#define COIN_P2P_FRAMER_H

#include "coin/base/bytes.h"
#include "coin/crypto/sha256.h"
#include "coin/p2p/limits.h"

#define COMMAND_SIZE_B 12

struct frame {
    int message;        /* row of the message table, or -1: unknown, payload not kept */
    uint32_t size_b;    /* of the payload */
    uint32_t wire_b;    /* with all that was around it */
    struct buf payload; /* the taker clears or moves it */
};
struct framer {
    uint8_t magic[4];
    uint8_t header[FRAME_HEADER_SIZE_B];
    uint32_t header_used_b, left_b;
    bool collecting, keep;
    struct frame frame;
    struct sha256 hash;
};
enum framer_result {
    FRAMER_MORE,  /* all bytes were taken, no frame is complete */
    FRAMER_FRAME, /* out holds one */
    FRAMER_SKIP,  /* a frame was dropped: bad checksum or command; why says it, the peer may stay */
    FRAMER_BAD    /* the stream is beyond repair: disconnect */
};
void framer_init(struct framer *f, const uint8_t magic[4]);
void framer_clear(struct framer *f);
/* Takes bytes from the front; *taken says how many. */
enum framer_result framer_feed(struct framer *f, struct span bytes, size_t *taken, struct frame *out,
    struct fail *why);
/* Printable, and nothing but zeroes behind the first zero. */
bool command_is_sane(const uint8_t command[COMMAND_SIZE_B]);
/* Bytes of the payload that is on its way. */
uint32_t framer_partial_b(const struct framer *f);

/* Writing: frame_begin puts a header's room into out, then the payload is appended, frame_end fills the
 * header in. */
void frame_begin(struct buf *out);
void frame_end(struct buf *out, const uint8_t magic[4], const char *command);
/* A header for a payload that travels in a buf of its own. */
void frame_header(uint8_t out[FRAME_HEADER_SIZE_B], const uint8_t magic[4], const char *command,
    struct span payload);

#endif
