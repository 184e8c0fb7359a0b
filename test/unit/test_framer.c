/* Proves the v1 transport: frames come out the same however their bytes are cut; every wrong header is refused
 * or skipped as framer.h says; and what is promised costs nothing until it arrives. */
#include <check.h>
#include <string.h>

#include "../../src/p2p/messages.h"
#include "../sim/disk.h"
#include "coin/base/mem.h"
#include "unit.h"

static const uint8_t magic[4] = { 0xfa, 0xbf, 0xb5, 0xda };

static void put_frame(struct buf *out, const char *command, struct span payload)
{
    uint8_t header[FRAME_HEADER_SIZE_B];
    frame_header(header, magic, command, payload);
    buf_put(out, header, sizeof header);
    buf_put(out, payload.data, payload.size_b);
}

/* Feeds all of it in pieces; appends what comes out: row, size, payload, or '!' for a skipped one. */
static enum framer_result feed(struct buf *out, struct span bytes, struct sim_random *chance, uint64_t piece_max_b)
{
    struct framer f;
    enum framer_result result = FRAMER_MORE;
    framer_init(&f, magic);
    while (bytes.size_b > 0 && result != FRAMER_BAD) {
        struct frame frame;
        struct fail why = { 0 };
        size_t taken, give_b = 1 + sim_random_below(chance, piece_max_b);
        if (give_b > bytes.size_b)
            give_b = bytes.size_b;
        result = framer_feed(&f, span_of(bytes.data, give_b), &taken, &frame, &why);
        ck_assert_uint_le(taken, give_b);
        bytes = span_of(bytes.data + taken, bytes.size_b - taken);
        if (result == FRAMER_FRAME) {
            buf_put_u8(out, (uint8_t)frame.message);
            buf_put_u32le(out, frame.size_b);
            buf_put(out, frame.payload.data, frame.payload.size_b);
            buf_clear(&frame.payload);
        } else if (result == FRAMER_SKIP) {
            buf_put_u8(out, '!');
        }
    }
    framer_clear(&f);
    return result;
}

START_TEST(cuts_do_not_matter)
{
    struct sim_random chance = { .state = 7 };
    struct buf stream, whole;
    uint8_t noise[3000];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)sim_random_below(&chance, 256);
    buf_init(&stream, 100000);
    buf_init(&whole, 100000);
    put_frame(&stream, "verack", span_of(NULL, 0));
    put_frame(&stream, "ping", span_of(noise, 8));
    put_frame(&stream, "tx", span_of(noise, sizeof noise));
    put_frame(&stream, "whatisthis", span_of(noise, 700)); /* unknown: told, not kept */
    size_t bad_at = stream.size_b;
    put_frame(&stream, "pong", span_of(noise, 8));
    stream.data[bad_at + 20] ^= 1; /* a wrong checksum: this one is skipped */
    put_frame(&stream, "pong", span_of(noise + 1, 8));
    feed(&whole, buf_span(&stream), &chance, 100000);
    ck_assert_uint_eq(whole.size_b, 5 * 5 + 1 + 8 + sizeof noise + 8);
    for (int round = 0; round < 200; round++) {
        struct buf pieces;
        buf_init(&pieces, 100000);
        ck_assert_int_ne(feed(&pieces, buf_span(&stream), &chance, 1 + (uint64_t)round * 7), FRAMER_BAD);
        ck_assert(span_equal(buf_span(&pieces), buf_span(&whole)));
        buf_clear(&pieces);
    }
    buf_clear(&stream);
    buf_clear(&whole);
}
END_TEST

static const struct { size_t at; uint8_t byte; enum framer_result result; const char *code; } wrong[] = {
    { 0, 0xfb, FRAMER_BAD, "bad-magic" }, { 3, 0, FRAMER_BAD, "bad-magic" },
    { 18, 0xff, FRAMER_BAD, "oversized" },            /* 16 MB of ping */
    { 19, 1, FRAMER_BAD, "oversized" },
    { 4, 'P', FRAMER_FRAME, "" },                     /* "Ping" is another command */
    { 4, 7, FRAMER_SKIP, "bad-command" },             /* not text */
    { 9, 'x', FRAMER_SKIP, "bad-command" },           /* something behind the padding */
    { 23, 0x55, FRAMER_SKIP, "bad-checksum" },
    { 24, 0x55, FRAMER_SKIP, "bad-checksum" },        /* the payload itself */
};

START_TEST(wrong_headers)
{
    struct buf stream;
    struct framer f;
    struct frame frame = { 0 };
    struct fail why = { 0 };
    size_t taken;
    buf_init(&stream, 1000);
    put_frame(&stream, "ping", span_of("12345678", 8));
    stream.data[wrong[_i].at] = wrong[_i].byte;
    framer_init(&f, magic);
    enum framer_result result = framer_feed(&f, buf_span(&stream), &taken, &frame, &why);
    ck_assert_int_eq(result, wrong[_i].result);
    ck_assert_str_eq(why.code, wrong[_i].code);
    if (result == FRAMER_FRAME)
        ck_assert_int_eq(frame.message, -1);
    buf_clear(&frame.payload);
    framer_clear(&f);
    buf_clear(&stream);
}
END_TEST

/* Each message at its limit, and one byte beyond. */
START_TEST(sizes_of_messages)
{
    for (int m = 0; m < MSG_COUNT; m++) {
        for (uint32_t more = 0; more < 2; more++) {
            uint8_t header[FRAME_HEADER_SIZE_B];
            struct framer f;
            struct frame frame;
            struct fail why = { 0 };
            size_t taken;
            frame_header(header, magic, message_rules[m].command, span_of(NULL, 0));
            put_u32le(header + 16, message_rules[m].size_max_b + more);
            ck_assert_uint_le(message_rules[m].size_max_b, PAYLOAD_MAX_B);
            framer_init(&f, magic);
            enum framer_result result = framer_feed(&f, span_of(header, sizeof header), &taken, &frame, &why);
            bool empty = message_rules[m].size_max_b == 0 && more == 0;
            ck_assert_msg(result == (more ? FRAMER_BAD : empty ? FRAMER_FRAME : FRAMER_MORE), "%s + %u",
                message_rules[m].command, more);
            ck_assert_uint_eq(f.frame.payload.capacity_b, 0); /* a promise costs nothing */
            framer_clear(&f);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("framer");
    TCase *tc = tcase_create("framer");
    tcase_add_test(tc, cuts_do_not_matter);
    tcase_add_loop_test(tc, wrong_headers, 0, (int)(sizeof wrong / sizeof *wrong));
    tcase_add_test(tc, sizes_of_messages);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
