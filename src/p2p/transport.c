/* The transports (transport.h has the layout). Garbage: the bytes between the key and the terminator, by
 * which a listener shall not know us; the first packet's tag covers them. Its contents say the transport's
 * version: nothing so far. Packets are decrypted as their bytes come; the tag decides whether they count. */
#include "transport.h"

#include <string.h>

#include "coin/base/mem.h"
#include "coin/crypto/bip324.h"
#include "coin/crypto/ellswift.h"
#include "messages.h"

#define MESSAGE_LONG_SIZE_B (1 + COMMAND_SIZE_B)
#define HEAD_MAX_B (BIP324_LENGTH_SIZE_B + BIP324_HEADER_SIZE_B + MESSAGE_LONG_SIZE_B)
#define GARBAGE_SENT_MAX_B 512u /* up to BIP324_GARBAGE_MAX_B is allowed; more hides little more */
#define HEARD_MAX_B (BIP324_GARBAGE_MAX_B + BIP324_TERMINATOR_SIZE_B)

enum phase { PHASE_KEY, PHASE_GARBAGE, PHASE_VERSION, PHASE_MESSAGES };
enum part { PART_LENGTH, PART_HEAD, PART_BODY, PART_TAG };

struct v2 {
    enum phase phase;
    bool initiating, answered; /* answered: our terminator is out */
    uint8_t key[32], ours[ELLSWIFT_SIZE_B], theirs[ELLSWIFT_SIZE_B];
    uint32_t theirs_b;
    uint8_t garbage[GARBAGE_SENT_MAX_B]; /* ours */
    uint32_t garbage_b;
    struct buf heard; /* theirs, and the terminator */
    struct bip324_keys keys;
    /* the packet that is coming */
    enum part part;
    uint8_t front[BIP324_TAG_SIZE_B]; /* of the part: length, head, tag */
    uint32_t front_b, content_b, left_b;
    bool ignored, keep, insane;
    struct frame frame;
};

static bool is_v1(const struct transport *t);
static enum framer_result detect(struct transport *t, struct span bytes, size_t *taken, struct buf *out,
    struct fail *why);
static enum framer_result feed_v2(struct transport *t, struct span bytes, size_t *taken, struct frame *frame,
    struct buf *out, struct fail *why);
static bool take_key(struct transport *t, struct span bytes, size_t *taken, struct buf *out, struct fail *why);
static bool take_garbage(struct v2 *v, struct span bytes, size_t *taken, struct fail *why);
static enum framer_result take_packet(struct v2 *v, struct span bytes, size_t *taken, struct frame *frame,
    struct fail *why);
static bool take_length(struct v2 *v, struct fail *why);
static bool take_head(struct v2 *v, struct fail *why);
static enum framer_result packet_done(struct v2 *v, struct frame *frame, struct fail *why);
static bool take_body(struct v2 *v, struct span piece, struct fail *why);
static bool answer(struct v2 *v, struct buf *out, struct fail *why);
static size_t put_head(uint8_t head[HEAD_MAX_B], const char *command);

void transport_init(struct transport *t, const struct env *env, const uint8_t magic[4], enum transport_kind kind)
{
    memset(t, 0, sizeof *t);
    t->kind = kind;
    t->env = env;
    framer_init(&t->v1, magic);
}

void transport_clear(struct transport *t)
{
    framer_clear(&t->v1);
    if (t->v2 == NULL)
        return;
    bip324_keys_clear(&t->v2->keys);
    buf_clear(&t->v2->heard);
    buf_clear(&t->v2->frame.payload);
    mem_wipe(t->v2, sizeof *t->v2);
    mem_free(t->v2);
    t->v2 = NULL;
}

bool transport_start(struct transport *t, struct buf *out, struct fail *why)
{
    struct v2 *v = mem_try_new(sizeof *v);
    if (v == NULL)
        return fail_oom(why, "connection");
    v->initiating = t->kind == TRANSPORT_V2;
    t->kind = TRANSPORT_V2;
    t->v2 = v;
    buf_init(&v->heard, HEARD_MAX_B);
    do /* a chance of 2^-128 to be no key */
        env_random(t->env, v->key, sizeof v->key);
    while (!ellswift_create(v->ours, v->key, t->env));
    v->garbage_b = (uint32_t)env_random_below(t->env, GARBAGE_SENT_MAX_B + 1);
    env_random(t->env, v->garbage, v->garbage_b);
    buf_put(out, v->ours, sizeof v->ours);
    buf_put(out, v->garbage, v->garbage_b);
    return buf_ok(out, "handshake", why);
}

enum framer_result transport_feed(struct transport *t, struct span bytes, size_t *taken, struct frame *frame,
    struct buf *out, struct fail *why)
{
    *taken = 0;
    if (t->kind == TRANSPORT_DETECTING) {
        enum framer_result result = detect(t, bytes, taken, out, why);
        if (result != FRAMER_MORE || t->kind == TRANSPORT_DETECTING)
            return result;
        size_t of_prefix_b;
        result = t->kind == TRANSPORT_V1
                     ? framer_feed(&t->v1, span_of(t->prefix, t->prefix_b), &of_prefix_b, frame, why)
                     : feed_v2(t, span_of(t->prefix, t->prefix_b), &of_prefix_b, frame, out, why);
        return result; /* shorter than any message */
    }
    return t->kind == TRANSPORT_V1 ? framer_feed(&t->v1, bytes, taken, frame, why)
                                   : feed_v2(t, bytes, taken, frame, out, why);
}

bool transport_is_open(const struct transport *t)
{
    return t->kind == TRANSPORT_V1 || (t->kind == TRANSPORT_V2 && t->v2->answered);
}

bool transport_is_unheard(const struct transport *t)
{
    return t->v2 != NULL && t->v2->initiating && t->v2->phase == PHASE_KEY && t->v2->theirs_b == 0;
}

uint32_t transport_partial_b(const struct transport *t)
{
    return t->v2 == NULL ? framer_partial_b(&t->v1) : (uint32_t)t->v2->frame.payload.size_b;
}

const uint8_t *transport_session_id(const struct transport *t)
{
    return t->v2 != NULL && t->v2->phase >= PHASE_VERSION ? t->v2->keys.session_id : NULL;
}

/* ---- which one? ---- */
static enum framer_result detect(struct transport *t, struct span bytes, size_t *taken, struct buf *out,
    struct fail *why)
{
    while (*taken < bytes.size_b && t->prefix_b < sizeof t->prefix && is_v1(t))
        t->prefix[t->prefix_b++] = bytes.data[(*taken)++];
    if (!is_v1(t))
        return transport_start(t, out, why) ? FRAMER_MORE : FRAMER_BAD;
    if (t->prefix_b == sizeof t->prefix)
        t->kind = TRANSPORT_V1;
    return FRAMER_MORE;
}

/* Every v1 peer begins with the chain's magic and "version". */
static bool is_v1(const struct transport *t)
{
    static const char version[COMMAND_SIZE_B] = "version";
    uint8_t first[sizeof t->prefix];
    memcpy(first, t->v1.magic, 4);
    memcpy(first + 4, version, sizeof version);
    return memcmp(t->prefix, first, t->prefix_b) == 0;
}

/* ---- in ---- */
static enum framer_result feed_v2(struct transport *t, struct span bytes, size_t *taken, struct frame *frame,
    struct buf *out, struct fail *why)
{
    struct v2 *v = t->v2;
    *taken = 0;
    while (*taken < bytes.size_b) {
        struct span rest = span_of(bytes.data + *taken, bytes.size_b - *taken);
        size_t part_b = 0;
        enum framer_result result = FRAMER_MORE;
        switch (v->phase) {
        case PHASE_KEY:
            result = take_key(t, rest, &part_b, out, why) ? FRAMER_MORE : FRAMER_BAD;
            break;
        case PHASE_GARBAGE:
            result = take_garbage(v, rest, &part_b, why) ? FRAMER_MORE : FRAMER_BAD;
            break;
        case PHASE_VERSION:
        case PHASE_MESSAGES:
            result = take_packet(v, rest, &part_b, frame, why);
            break;
        }
        *taken += part_b;
        if (result != FRAMER_MORE)
            return result;
    }
    return FRAMER_MORE;
}

static bool take_key(struct transport *t, struct span bytes, size_t *taken, struct buf *out, struct fail *why)
{
    static const char version[COMMAND_SIZE_B] = "version";
    struct v2 *v = t->v2;
    uint8_t secret[32];
    size_t part_b = ELLSWIFT_SIZE_B - v->theirs_b;
    if (part_b > bytes.size_b)
        part_b = bytes.size_b;
    memcpy(v->theirs + v->theirs_b, bytes.data, part_b);
    v->theirs_b += (uint32_t)part_b;
    *taken = part_b;
    if (!v->initiating && v->theirs_b >= 4 + sizeof version && memcmp(v->theirs + 4, version, sizeof version) == 0)
        return fail_set(why, FAIL_PROTOCOL, "bad-magic", "these are not the first bytes of this network");
    if (v->theirs_b < ELLSWIFT_SIZE_B)
        return true;
    bool ok = ellswift_secret(secret, v->key, v->ours, v->theirs, v->initiating)
                  ? bip324_keys_init(&v->keys, secret, t->v1.magic, v->initiating, why)
                  : fail_oom(why, "shared secret");
    mem_wipe(secret, sizeof secret);
    mem_wipe(v->key, sizeof v->key);
    v->phase = PHASE_GARBAGE;
    return ok && answer(v, out, why);
}

/* Our terminator, and the packet that says our version of the transport. */
static bool answer(struct v2 *v, struct buf *out, struct fail *why)
{
    uint8_t packet[BIP324_OVERHEAD_B] = {0};
    buf_put(out, v->keys.send_terminator, BIP324_TERMINATOR_SIZE_B);
    bip324_put_length(&v->keys.send, packet, 0);
    bip324_begin(&v->keys.send, span_of(v->garbage, v->garbage_b));
    bip324_crypt(&v->keys.send, packet + BIP324_LENGTH_SIZE_B, packet + BIP324_LENGTH_SIZE_B, BIP324_HEADER_SIZE_B);
    bip324_end_send(&v->keys.send, packet + BIP324_LENGTH_SIZE_B + BIP324_HEADER_SIZE_B);
    buf_put(out, packet, sizeof packet);
    v->answered = true;
    return buf_ok(out, "handshake", why);
}

static bool take_garbage(struct v2 *v, struct span bytes, size_t *taken, struct fail *why)
{
    while (*taken < bytes.size_b) {
        buf_put_u8(&v->heard, bytes.data[(*taken)++]);
        if (v->heard.failed)
            return fail_oom(why, "garbage");
        size_t size_b = v->heard.size_b;
        if (size_b >= BIP324_TERMINATOR_SIZE_B && memcmp(v->heard.data + size_b - BIP324_TERMINATOR_SIZE_B,
                                                      v->keys.receive_terminator, BIP324_TERMINATOR_SIZE_B) == 0) {
            v->heard.size_b -= BIP324_TERMINATOR_SIZE_B;
            v->phase = PHASE_VERSION;
            return true;
        }
        if (size_b == HEARD_MAX_B)
            return fail_set(why, FAIL_PROTOCOL, "v2-garbage", "no terminator after %u bytes of garbage",
                BIP324_GARBAGE_MAX_B);
    }
    return true;
}

static enum framer_result take_packet(struct v2 *v, struct span bytes, size_t *taken, struct frame *frame,
    struct fail *why)
{
    static const uint32_t front_b[] = {[PART_LENGTH] = BIP324_LENGTH_SIZE_B, [PART_TAG] = BIP324_TAG_SIZE_B};
    while (*taken < bytes.size_b || (v->part == PART_BODY && v->left_b == 0)) {
        struct span rest = span_of(bytes.data + *taken, bytes.size_b - *taken);
        if (v->part == PART_BODY) {
            size_t part_b = rest.size_b < v->left_b ? rest.size_b : v->left_b;
            if (!take_body(v, span_of(rest.data, part_b), why))
                return FRAMER_BAD;
            *taken += part_b;
            v->left_b -= (uint32_t)part_b;
            if (v->left_b == 0)
                v->part = PART_TAG;
            continue;
        }
        if (v->part == PART_HEAD) { /* the header, then what names the message, byte by byte */
            bip324_crypt(&v->keys.receive, &v->front[v->front_b++], rest.data, 1);
            (*taken)++;
            if (!take_head(v, why))
                return FRAMER_BAD;
            continue;
        }
        v->front[v->front_b++] = rest.data[0];
        (*taken)++;
        if (v->front_b < front_b[v->part])
            continue;
        v->front_b = 0;
        if (v->part == PART_TAG)
            return packet_done(v, frame, why);
        if (!take_length(v, why))
            return FRAMER_BAD;
    }
    return FRAMER_MORE;
}

static bool take_length(struct v2 *v, struct fail *why)
{
    v->content_b = bip324_get_length(&v->keys.receive, v->front);
    if (v->content_b > PAYLOAD_MAX_B + MESSAGE_LONG_SIZE_B)
        return fail_set(why, FAIL_PROTOCOL, "oversized", "a packet of %u bytes", v->content_b);
    bip324_begin(&v->keys.receive, v->phase == PHASE_VERSION ? buf_span(&v->heard) : span_of(NULL, 0));
    v->part = PART_HEAD;
    v->ignored = v->keep = v->insane = false;
    v->left_b = v->content_b;
    v->frame = (struct frame){.message = -1};
    buf_init(&v->frame.payload, 0);
    return true;
}

/* front: the header, then the first bytes of the contents as far as they came. */
static bool take_head(struct v2 *v, struct fail *why)
{
    uint32_t named_b = v->front_b - BIP324_HEADER_SIZE_B;
    const uint8_t *name = v->front + BIP324_HEADER_SIZE_B;
    v->ignored = (v->front[0] & BIP324_IGNORE) != 0;
    if (v->ignored || v->phase == PHASE_VERSION || v->content_b == 0) { /* decoys, and nothing but a packet */
        v->part = PART_BODY;
        v->front_b = 0;
        return true;
    }
    if (named_b == 0 || (name[0] == 0 && named_b < MESSAGE_LONG_SIZE_B && named_b < v->content_b))
        return true; /* more to come */
    v->left_b = v->content_b - named_b;
    v->part = PART_BODY;
    v->front_b = 0;
    if (name[0] != 0)
        v->frame.message = message_find_short(name[0]);
    else if (named_b == MESSAGE_LONG_SIZE_B && command_is_sane(name + 1))
        v->frame.message = message_find(name + 1);
    else
        v->insane = true;
    v->frame.size_b = v->left_b;
    v->keep = v->frame.message >= 0;
    if (v->keep && v->left_b > message_rules[v->frame.message].size_max_b)
        return fail_set(why, FAIL_PROTOCOL, "oversized", "%s of %u bytes; the most is %u",
            message_rules[v->frame.message].command, v->left_b, message_rules[v->frame.message].size_max_b);
    buf_init(&v->frame.payload, v->left_b);
    return true;
}

static bool take_body(struct v2 *v, struct span piece, struct fail *why)
{
    uint8_t nowhere[4096];
    if (v->keep) {
        size_t at = v->frame.payload.size_b;
        buf_put(&v->frame.payload, piece.data, piece.size_b);
        if (v->frame.payload.failed)
            return fail_oom(why, "payload");
        if (piece.size_b > 0)
            bip324_crypt(&v->keys.receive, v->frame.payload.data + at, v->frame.payload.data + at, piece.size_b);
        return true;
    }
    for (size_t at = 0; at < piece.size_b;) {
        size_t part_b = piece.size_b - at < sizeof nowhere ? piece.size_b - at : sizeof nowhere;
        bip324_crypt(&v->keys.receive, nowhere, piece.data + at, part_b);
        at += part_b;
    }
    return true;
}

static enum framer_result packet_done(struct v2 *v, struct frame *frame, struct fail *why)
{
    v->part = PART_LENGTH;
    if (!bip324_end_receive(&v->keys.receive, v->front)) {
        fail_set(why, FAIL_PROTOCOL, "v2-tag", "a packet that the other side did not make");
        return FRAMER_BAD;
    }
    buf_clear(&v->heard); /* the first packet covered it */
    if (v->ignored)
        return FRAMER_MORE;
    if (v->phase == PHASE_VERSION) {
        v->phase = PHASE_MESSAGES;
        return FRAMER_MORE;
    }
    if (v->content_b == 0 || v->insane) {
        fail_set(why, FAIL_PROTOCOL, "bad-command", "a packet that names no message");
        return FRAMER_SKIP;
    }
    *frame = v->frame;
    frame->wire_b = v->content_b + BIP324_OVERHEAD_B;
    memset(&v->frame.payload, 0, sizeof v->frame.payload);
    return FRAMER_FRAME;
}

/* ---- out ---- */
void transport_begin(struct transport *t, struct buf *bytes, const char *command)
{
    uint8_t head[HEAD_MAX_B] = {0};
    if (t->kind == TRANSPORT_V1)
        frame_begin(bytes);
    else
        buf_put(bytes, head, put_head(head, command));
}

bool transport_end(struct transport *t, struct buf *bytes, const char *command)
{
    uint8_t tag[BIP324_TAG_SIZE_B];
    if (bytes->failed)
        return false;
    if (t->kind == TRANSPORT_V1) {
        frame_end(bytes, t->v1.magic, command);
        return true;
    }
    struct bip324_cipher *cipher = &t->v2->keys.send;
    uint8_t *sealed = bytes->data + BIP324_LENGTH_SIZE_B;
    bip324_put_length(cipher, bytes->data, (uint32_t)(bytes->size_b - BIP324_LENGTH_SIZE_B - BIP324_HEADER_SIZE_B));
    bip324_begin(cipher, span_of(NULL, 0));
    bip324_crypt(cipher, sealed, sealed, bytes->size_b - BIP324_LENGTH_SIZE_B);
    bip324_end_send(cipher, tag);
    buf_put(bytes, tag, sizeof tag);
    return !bytes->failed && !cipher->failed;
}

bool transport_wrap(struct transport *t, struct buf *front, struct buf *payload, struct buf *back,
    const char *command)
{
    if (payload->failed)
        return false;
    if (t->kind == TRANSPORT_V1) {
        uint8_t header[FRAME_HEADER_SIZE_B];
        frame_header(header, t->v1.magic, command, buf_span(payload));
        buf_put(front, header, sizeof header);
        return !front->failed;
    }
    struct bip324_cipher *cipher = &t->v2->keys.send;
    uint8_t head[HEAD_MAX_B] = {0}, tag[BIP324_TAG_SIZE_B];
    size_t head_b = put_head(head, command), sealed_b = head_b - BIP324_LENGTH_SIZE_B;
    bip324_put_length(cipher, head, (uint32_t)(sealed_b - BIP324_HEADER_SIZE_B + payload->size_b));
    bip324_begin(cipher, span_of(NULL, 0));
    bip324_crypt(cipher, head + BIP324_LENGTH_SIZE_B, head + BIP324_LENGTH_SIZE_B, sealed_b);
    bip324_crypt(cipher, payload->data, payload->data, payload->size_b);
    bip324_end_send(cipher, tag);
    buf_put(front, head, head_b);
    buf_put(back, tag, sizeof tag);
    return !front->failed && !back->failed && !cipher->failed;
}

/* Room for the length, the header, and what names the message; the size of all. */
static size_t put_head(uint8_t head[HEAD_MAX_B], const char *command)
{
    uint8_t *name = head + BIP324_LENGTH_SIZE_B + BIP324_HEADER_SIZE_B, padded[COMMAND_SIZE_B] = {0};
    memcpy(padded, command, strnlen(command, COMMAND_SIZE_B));
    int message = message_find(padded);
    name[0] = message >= 0 ? message_rules[message].number : 0;
    if (name[0] != 0)
        return HEAD_MAX_B - COMMAND_SIZE_B;
    memcpy(name + 1, padded, COMMAND_SIZE_B);
    return HEAD_MAX_B;
}
