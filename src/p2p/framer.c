/* The v1 transport (framer.h has its layout). The checksum is computed while bytes arrive, so that no
 * event costs more than the bytes it brought. A payload's buffer grows with what has come, never with what
 * was promised: a liar costs us no more memory than he spends bytes. */
#include "framer.h"

#include <string.h>

#include "messages.h"

static enum framer_result start_payload(struct framer *f, struct fail *why);
static enum framer_result finish(struct framer *f, struct frame *out, struct fail *why);

void framer_init(struct framer *f, const uint8_t magic[4])
{
    memset(f, 0, sizeof *f);
    memcpy(f->magic, magic, sizeof f->magic);
}

void framer_clear(struct framer *f)
{
    buf_clear(&f->frame.payload);
    f->header_used_b = 0;
    f->collecting = false;
}

enum framer_result framer_feed(struct framer *f, struct span bytes, size_t *taken, struct frame *out,
    struct fail *why)
{
    *taken = 0;
    if (!f->collecting) {
        size_t part_b = FRAME_HEADER_SIZE_B - f->header_used_b;
        if (part_b > bytes.size_b)
            part_b = bytes.size_b;
        if (part_b > 0)
            memcpy(f->header + f->header_used_b, bytes.data, part_b);
        f->header_used_b += (uint32_t)part_b;
        *taken = part_b;
        size_t known_b = f->header_used_b < sizeof f->magic ? f->header_used_b : sizeof f->magic;
        if (memcmp(f->header, f->magic, known_b) != 0) {
            fail_set(why, FAIL_PROTOCOL, "bad-magic", "these are not the first bytes of this network");
            return FRAMER_BAD;
        }
        if (f->header_used_b < FRAME_HEADER_SIZE_B)
            return FRAMER_MORE;
        enum framer_result result = start_payload(f, why);
        if (result != FRAMER_MORE)
            return result;
    }
    size_t part_b = bytes.size_b - *taken < f->left_b ? bytes.size_b - *taken : f->left_b;
    if (part_b > 0 && f->keep) {
        sha256_add(&f->hash, bytes.data + *taken, part_b);
        buf_put(&f->frame.payload, bytes.data + *taken, part_b);
        if (f->frame.payload.failed) {
            fail_oom(why, "payload");
            return FRAMER_BAD;
        }
    }
    *taken += part_b;
    f->left_b -= (uint32_t)part_b;
    return f->left_b > 0 ? FRAMER_MORE : finish(f, out, why);
}

uint32_t framer_partial_b(const struct framer *f)
{
    return f->collecting ? f->frame.size_b - f->left_b : 0;
}

void frame_begin(struct buf *out)
{
    static const uint8_t room[FRAME_HEADER_SIZE_B];
    buf_put(out, room, sizeof room);
}

void frame_end(struct buf *out, const uint8_t magic[4], const char *command)
{
    if (out->failed)
        return;
    frame_header(out->data, magic, command,
        span_of(out->data + FRAME_HEADER_SIZE_B, out->size_b - FRAME_HEADER_SIZE_B));
}

void frame_header(uint8_t out[FRAME_HEADER_SIZE_B], const uint8_t magic[4], const char *command,
    struct span payload)
{
    uint8_t hash[32];
    size_t length = strnlen(command, COMMAND_SIZE_B);
    memset(out, 0, FRAME_HEADER_SIZE_B);
    memcpy(out, magic, 4);
    memcpy(out + 4, command, length);
    put_u32le(out + 16, (uint32_t)payload.size_b);
    sha256d(hash, payload.data, payload.size_b);
    memcpy(out + 20, hash, 4);
}

static enum framer_result start_payload(struct framer *f, struct fail *why)
{
    uint32_t size_b = get_u32le(f->header + 16);
    if (size_b > PAYLOAD_MAX_B) {
        fail_set(why, FAIL_PROTOCOL, "oversized", "a message of %u bytes; the most is %u", size_b,
            PAYLOAD_MAX_B);
        return FRAMER_BAD;
    }
    const uint8_t *command = f->header + 4;
    int message = message_find(command);
    if (message >= 0 && size_b > message_rules[message].size_max_b) {
        fail_set(why, FAIL_PROTOCOL, "oversized", "%s of %u bytes; the most is %u",
            message_rules[message].command, size_b, message_rules[message].size_max_b);
        return FRAMER_BAD;
    }
    f->collecting = true;
    f->keep = message >= 0;
    f->left_b = size_b;
    f->frame.message = message;
    f->frame.size_b = size_b;
    f->frame.wire_b = size_b + FRAME_HEADER_SIZE_B;
    buf_init(&f->frame.payload, size_b);
    sha256_begin(&f->hash);
    return FRAMER_MORE;
}

static enum framer_result finish(struct framer *f, struct frame *out, struct fail *why)
{
    f->collecting = false;
    f->header_used_b = 0;
    if (!f->keep && !command_is_sane(f->header + 4)) {
        fail_set(why, FAIL_PROTOCOL, "bad-command", "the command is not text");
        return FRAMER_SKIP;
    }
    if (f->keep) {
        uint8_t hash[32];
        sha256d_end(&f->hash, hash);
        if (memcmp(hash, f->header + 20, 4) != 0) {
            buf_clear(&f->frame.payload);
            fail_set(why, FAIL_PROTOCOL, "bad-checksum", "%s of %u bytes with a wrong checksum",
                message_rules[f->frame.message].command, f->frame.size_b);
            return FRAMER_SKIP;
        }
    }
    *out = f->frame;
    memset(&f->frame.payload, 0, sizeof f->frame.payload);
    return FRAMER_FRAME;
}

bool command_is_sane(const uint8_t command[COMMAND_SIZE_B])
{
    bool ended = false;
    for (unsigned i = 0; i < COMMAND_SIZE_B; i++) {
        if (command[i] == 0)
            ended = true;
        else if (ended || command[i] < 0x20 || command[i] > 0x7e)
            return false;
    }
    return true;
}
