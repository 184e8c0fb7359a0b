/* Proves the transports between two ends: what is sent arrives, however its bytes are cut; who is called finds
 * out which transport the caller speaks; and what nobody could have sent ends the connection. */
#include <check.h>
#include <string.h>

#include "../../src/p2p/messages.h"
#include "../../src/p2p/transport.h"
#include "../sim/world.h"
#include "coin/base/mem.h"
#include "coin/crypto/bip324.h"
#include "coin/crypto/ellswift.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/secp.h"
#include "unit.h"

#define STREAM_MAX_B ((size_t)16 << 20)

static const uint8_t magic[4] = {0xfa, 0xbf, 0xb5, 0xda};

struct end {
    struct transport t;
    struct buf out;  /* on its way to the other */
    struct buf got;  /* frames: row, size, payload; '!' for a skipped one */
    bool dead;
    struct fail why;
};
struct line {
    struct world *world;
    struct world_node *place;
    struct sim_random chance;
    struct end caller, called;
};

static void line_init(struct line *l, enum transport_kind caller, enum transport_kind called, uint64_t seed)
{
    static const uint8_t blinding[32] = {1};
    struct fail why;
    memset(l, 0, sizeof *l);
    ck_assert(secp_init(blinding, &why) && hash_init(&why));
    l->world = world_new(seed, 0);
    l->place = world_add_node(l->world);
    l->chance.state = seed;
    struct end *ends[] = {&l->caller, &l->called};
    enum transport_kind kinds[] = {caller, called};
    for (int i = 0; i < 2; i++) {
        transport_init(&ends[i]->t, &l->place->env, magic, kinds[i]);
        buf_init(&ends[i]->out, STREAM_MAX_B);
        buf_init(&ends[i]->got, STREAM_MAX_B);
    }
    if (caller == TRANSPORT_V2)
        ck_assert(transport_start(&l->caller.t, &l->caller.out, &why));
}

static void line_clear(struct line *l)
{
    struct end *ends[] = {&l->caller, &l->called};
    for (int i = 0; i < 2; i++) {
        transport_clear(&ends[i]->t);
        buf_clear(&ends[i]->out);
        buf_clear(&ends[i]->got);
    }
    world_free(l->world);
}

/* All that is on its way arrives, in pieces of at most piece_max_b. */
static void flow(struct line *l, struct end *from, struct end *to, uint64_t piece_max_b)
{
    struct span bytes = buf_span(&from->out);
    while (bytes.size_b > 0 && !to->dead) {
        struct frame frame;
        size_t taken, give_b = 1 + sim_random_below(&l->chance, piece_max_b);
        if (give_b > bytes.size_b)
            give_b = bytes.size_b;
        enum framer_result result =
            transport_feed(&to->t, span_of(bytes.data, give_b), &taken, &frame, &to->out, &to->why);
        ck_assert_uint_le(taken, give_b);
        bytes = span_of(bytes.data + taken, bytes.size_b - taken);
        if (result == FRAMER_FRAME) {
            buf_put_u8(&to->got, (uint8_t)frame.message);
            buf_put_u32le(&to->got, frame.size_b);
            buf_put(&to->got, frame.payload.data, frame.payload.size_b);
            buf_clear(&frame.payload);
        } else if (result == FRAMER_SKIP) {
            buf_put_u8(&to->got, '!');
        }
        to->dead = result == FRAMER_BAD;
    }
    from->out.size_b = 0;
}

static void shake_hands(struct line *l, uint64_t piece_max_b)
{
    for (int i = 0; i < 3; i++) {
        flow(l, &l->caller, &l->called, piece_max_b);
        flow(l, &l->called, &l->caller, piece_max_b);
    }
}

static void say(struct end *end, const char *command, struct span payload)
{
    struct buf bytes;
    buf_init(&bytes, STREAM_MAX_B);
    transport_begin(&end->t, &bytes, command);
    buf_put(&bytes, payload.data, payload.size_b);
    ck_assert(transport_end(&end->t, &bytes, command));
    buf_put(&end->out, bytes.data, bytes.size_b);
    buf_clear(&bytes);
}

static void say_wrapped(struct end *end, const char *command, struct span bytes)
{
    struct buf front, payload, back;
    buf_init(&front, 64);
    buf_init(&payload, STREAM_MAX_B);
    buf_init(&back, 64);
    buf_put(&payload, bytes.data, bytes.size_b);
    ck_assert(transport_wrap(&end->t, &front, &payload, &back, command));
    buf_put(&end->out, front.data, front.size_b);
    buf_put(&end->out, payload.data, payload.size_b);
    if (back.size_b > 0)
        buf_put(&end->out, back.data, back.size_b);
    buf_clear(&front);
    buf_clear(&payload);
    buf_clear(&back);
}

static void expect(struct buf *want, int message, struct span payload)
{
    buf_put_u8(want, (uint8_t)message);
    buf_put_u32le(want, (uint32_t)payload.size_b);
    if (message >= 0)
        buf_put(want, payload.data, payload.size_b);
}

static void talk(enum transport_kind kind, uint64_t piece_max_b, uint64_t seed)
{
    struct line l;
    struct buf want;
    uint8_t noise[5000];
    line_init(&l, kind, TRANSPORT_DETECTING, seed);
    buf_init(&want, STREAM_MAX_B);
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)sim_random_below(&l.chance, 256);
    if (kind == TRANSPORT_V2)
        shake_hands(&l, piece_max_b);
    ck_assert(transport_is_open(&l.caller.t));
    say(&l.caller, "version", span_of(noise, 90)); /* named by twelve bytes, ping by one */
    say(&l.caller, "ping", span_of(noise, 8));
    say_wrapped(&l.caller, "block", span_of(noise, sizeof noise));
    say_wrapped(&l.caller, "verack", span_of(NULL, 0));
    say(&l.caller, "whatisthis", span_of(noise, 4200));
    expect(&want, MSG_VERSION, span_of(noise, 90));
    expect(&want, MSG_PING, span_of(noise, 8));
    expect(&want, MSG_BLOCK, span_of(noise, sizeof noise));
    expect(&want, MSG_VERACK, span_of(NULL, 0));
    expect(&want, -1, span_of(noise, 4200));
    for (int i = 0; i < 500; i++) { /* beyond two changes of keys */
        size_t size_b = sim_random_below(&l.chance, 60);
        say(&l.caller, "tx", span_of(noise, size_b));
        expect(&want, MSG_TX, span_of(noise, size_b));
    }
    flow(&l, &l.caller, &l.called, piece_max_b);
    ck_assert(!l.called.dead);
    ck_assert_int_eq(l.called.t.kind, kind);
    ck_assert(span_equal(buf_span(&want), buf_span(&l.called.got)));
    want.size_b = 0;
    say(&l.called, "pong", span_of(noise, 8)); /* and back */
    expect(&want, MSG_PONG, span_of(noise, 8));
    flow(&l, &l.called, &l.caller, piece_max_b);
    ck_assert(span_equal(buf_span(&want), buf_span(&l.caller.got)));
    const uint8_t *one = transport_session_id(&l.caller.t), *other = transport_session_id(&l.called.t);
    ck_assert(kind == TRANSPORT_V2 ? memcmp(one, other, 32) == 0 : one == NULL && other == NULL);
    buf_clear(&want);
    line_clear(&l);
}

START_TEST(arrives_in_any_pieces)
{
    static const uint64_t pieces[] = {1, 2, 3, 16, 17, 64, 1000, 100000};
    for (unsigned i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        talk(TRANSPORT_V2, pieces[i], 100 + i);
        talk(TRANSPORT_V1, pieces[i], 200 + i);
    }
}
END_TEST

/* A peer made by hand from BIP324, who does what coind never does. */
struct handmade {
    uint8_t key[32], ours[64], garbage[BIP324_GARBAGE_MAX_B];
    struct bip324_keys keys;
};

static void packet(struct handmade *h, struct buf *out, uint8_t header, struct span contents, struct span extra)
{
    uint8_t front[4] = {0, 0, 0, header}, tag[16], body[5000];
    bip324_put_length(&h->keys.send, front, (uint32_t)contents.size_b);
    bip324_begin(&h->keys.send, extra);
    bip324_crypt(&h->keys.send, front + 3, front + 3, 1);
    bip324_crypt(&h->keys.send, body, contents.data, contents.size_b);
    bip324_end_send(&h->keys.send, tag);
    buf_put(out, front, sizeof front);
    buf_put(out, body, contents.size_b);
    buf_put(out, tag, sizeof tag);
}

/* Up to the keys: the called end has ours, we have its. */
static void meet(struct line *l, struct handmade *h)
{
    uint8_t secret[32];
    struct fail why;
    memset(h, 0, sizeof *h);
    memset(h->key, 7, sizeof h->key);
    ck_assert(ellswift_create(h->ours, h->key, &l->place->env));
    buf_put(&l->caller.out, h->ours, sizeof h->ours);
    flow(l, &l->caller, &l->called, 1000);
    ck_assert_uint_ge(l->called.out.size_b, 64);
    ck_assert(ellswift_secret(secret, h->key, h->ours, l->called.out.data, true));
    ck_assert(bip324_keys_init(&h->keys, secret, magic, true, &why));
}

START_TEST(decoys_and_the_longest_garbage)
{
    static const uint8_t ping[] = {18, 1, 2, 3, 4, 5, 6, 7, 8}, unknown[] = {200, 1}, version[] = {1, 2, 3},
                         short_name[] = {0, 'v', 'e'};
    struct line l;
    struct handmade h;
    struct buf want, *out = &l.caller.out;
    line_init(&l, TRANSPORT_V1, TRANSPORT_DETECTING, 11);
    meet(&l, &h);
    for (size_t i = 0; i < sizeof h.garbage; i++)
        h.garbage[i] = (uint8_t)sim_random_below(&l.chance, 256);
    memcpy(h.garbage + 100, h.keys.send_terminator, 15); /* nearly */
    buf_put(out, h.garbage, sizeof h.garbage);
    buf_put(out, h.keys.send_terminator, 16);
    packet(&h, out, BIP324_IGNORE, span_of(h.garbage, 4999 - 1000), span_of(h.garbage, sizeof h.garbage));
    packet(&h, out, BIP324_IGNORE, span_of(NULL, 0), span_of(NULL, 0));
    packet(&h, out, 0, span_of(version, sizeof version), span_of(NULL, 0)); /* of a later transport */
    packet(&h, out, BIP324_IGNORE | 1, span_of(ping, sizeof ping), span_of(NULL, 0));
    packet(&h, out, 0x7f, span_of(ping, sizeof ping), span_of(NULL, 0)); /* other bits mean nothing */
    packet(&h, out, 0, span_of(NULL, 0), span_of(NULL, 0));              /* names no message */
    packet(&h, out, 0, span_of(unknown, sizeof unknown), span_of(NULL, 0));
    packet(&h, out, 0, span_of(short_name, sizeof short_name), span_of(NULL, 0));
    packet(&h, out, 0, span_of(ping, sizeof ping), span_of(NULL, 0));
    flow(&l, &l.caller, &l.called, 50);
    ck_assert_msg(!l.called.dead, "%s", l.called.why.detail);
    buf_init(&want, 1000);
    expect(&want, MSG_PING, span_of(ping + 1, 8));
    buf_put_u8(&want, '!');
    expect(&want, -1, span_of(unknown + 1, 1));
    buf_put_u8(&want, '!');
    expect(&want, MSG_PING, span_of(ping + 1, 8));
    ck_assert(span_equal(buf_span(&want), buf_span(&l.called.got)));
    buf_clear(&want);
    bip324_keys_clear(&h.keys);
    line_clear(&l);
}
END_TEST

/* The garbage is covered by the first packet's tag; a message has its own ceiling, all have one. */
START_TEST(what_ends_it)
{
    for (int i = 0; i < 3; i++) {
        static const uint8_t ping[1 + MESSAGE_SMALL_MAX_B + 1] = {18};
        struct line l;
        struct handmade h;
        struct buf *out = &l.caller.out;
        line_init(&l, TRANSPORT_V1, TRANSPORT_DETECTING, 12);
        meet(&l, &h);
        buf_put(out, h.garbage, 10);
        buf_put(out, h.keys.send_terminator, 16);
        packet(&h, out, 0, span_of(NULL, 0), span_of(h.garbage, i == 0 ? 9 : 10));
        if (i == 1)
            packet(&h, out, 0, span_of(ping, sizeof ping), span_of(NULL, 0));
        flow(&l, &l.caller, &l.called, 50);
        if (i == 2) {
            uint8_t length[3];
            bip324_put_length(&h.keys.send, length, PAYLOAD_MAX_B + 14);
            buf_put(out, length, sizeof length);
            flow(&l, &l.caller, &l.called, 50);
        }
        ck_assert(l.called.dead);
        ck_assert_str_eq(l.called.why.code, i == 0 ? "v2-tag" : "oversized");
        bip324_keys_clear(&h.keys);
        line_clear(&l);
    }
}
END_TEST

START_TEST(a_changed_byte_ends_it)
{
    for (uint64_t i = 0; i < 60; i++) {
        struct line l;
        line_init(&l, TRANSPORT_V2, TRANSPORT_DETECTING, 300 + i);
        shake_hands(&l, 1000);
        say(&l.caller, "ping", span_of(magic, 4));
        size_t at = (size_t)i % l.caller.out.size_b;
        l.caller.out.data[at] ^= (uint8_t)(1u << i % 8);
        for (int k = 0; k < 3000; k++) /* a length that grew waits for more bytes, not longer */
            say(&l.caller, "tx", span_of(NULL, 0));
        static const uint8_t more[4096];
        for (int k = 0; k < 1100 && !l.called.dead; k++) {
            flow(&l, &l.caller, &l.called, 100000);
            buf_put(&l.caller.out, more, sizeof more);
        }
        ck_assert(l.called.dead);
        ck_assert_uint_eq(l.called.got.size_b, 0);
        line_clear(&l);
    }
}
END_TEST

START_TEST(a_key_and_no_terminator)
{
    struct line l;
    uint8_t noise[64 + BIP324_GARBAGE_MAX_B + BIP324_TERMINATOR_SIZE_B];
    line_init(&l, TRANSPORT_V1, TRANSPORT_DETECTING, 7);
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)sim_random_below(&l.chance, 256);
    buf_put(&l.caller.out, noise, sizeof noise - 1);
    flow(&l, &l.caller, &l.called, 100);
    ck_assert(!l.called.dead && transport_is_open(&l.called.t));
    buf_put(&l.caller.out, noise, 1);
    flow(&l, &l.caller, &l.called, 100);
    ck_assert(l.called.dead);
    ck_assert_str_eq(l.called.why.code, "v2-garbage");
    line_clear(&l);
}
END_TEST

START_TEST(another_chains_plain_peer)
{
    struct line l;
    line_init(&l, TRANSPORT_V1, TRANSPORT_DETECTING, 8);
    say(&l.caller, "version", span_of(magic, 4));
    l.caller.out.data[0] ^= 1;
    flow(&l, &l.caller, &l.called, 1);
    ck_assert(l.called.dead);
    ck_assert_str_eq(l.called.why.code, "bad-magic");
    line_clear(&l);
}
END_TEST

START_TEST(other_magic_never_meets) /* the keys hold the chain's magic */
{
    struct line l;
    line_init(&l, TRANSPORT_V2, TRANSPORT_DETECTING, 9);
    l.called.t.v1.magic[0] ^= 1;
    shake_hands(&l, 1000);
    uint8_t more[BIP324_GARBAGE_MAX_B] = {0};
    buf_put(&l.caller.out, more, sizeof more);
    flow(&l, &l.caller, &l.called, 1000);
    ck_assert(l.called.dead);
    line_clear(&l);
}
END_TEST

START_TEST(unheard_until_a_byte_comes)
{
    struct line l;
    line_init(&l, TRANSPORT_V2, TRANSPORT_DETECTING, 10);
    ck_assert(transport_is_unheard(&l.caller.t) && !transport_is_open(&l.caller.t));
    flow(&l, &l.caller, &l.called, 1000);
    l.called.out.size_b = 1;
    flow(&l, &l.called, &l.caller, 1);
    ck_assert(!transport_is_unheard(&l.caller.t) && !transport_is_open(&l.caller.t));
    ck_assert(!transport_is_unheard(&l.called.t));
    line_clear(&l);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transport");
    TCase *tc = tcase_create("transport");
    tcase_add_test(tc, arrives_in_any_pieces);
    tcase_add_test(tc, decoys_and_the_longest_garbage);
    tcase_add_test(tc, what_ends_it);
    tcase_add_test(tc, a_changed_byte_ends_it);
    tcase_add_test(tc, a_key_and_no_terminator);
    tcase_add_test(tc, another_chains_plain_peer);
    tcase_add_test(tc, other_magic_never_meets);
    tcase_add_test(tc, unheard_until_a_byte_comes);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
