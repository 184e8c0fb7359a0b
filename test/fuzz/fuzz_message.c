/* Peers: the first byte picks a row of the message table for the rest as its payload; what decodes and
 * encodes again must decode to the same bytes. The rest is fed to the framer as well, in pieces. */
#include "../../src/p2p/messages.h"
#include "fuzz.h"

static void try_payload(const struct message_rule *rule, struct span payload)
{
    union message m;
    struct arena arena;
    struct reader r;
    struct fail why = { 0 };
    struct buf first, second;
    if (rule->decode == NULL || rule->encode == NULL || payload.size_b > rule->size_max_b)
        return;
    arena_init(&arena, 0);
    buf_init(&first, UINT32_MAX);
    buf_init(&second, UINT32_MAX);
    memset(&m, 0, sizeof m);
    rd_init(&r, payload);
    if (rule->decode(&m, &r, &arena, &why)) {
        rule->encode(&first, &m);
        memset(&m, 0, sizeof m);
        rd_init(&r, buf_span(&first));
        FUZZ_HOLDS(rule->decode(&m, &r, &arena, &why));
        rule->encode(&second, &m);
        FUZZ_HOLDS(span_equal(buf_span(&first), buf_span(&second)));
    }
    buf_clear(&first);
    buf_clear(&second);
    arena_clear(&arena);
}

static void try_stream(struct span bytes, size_t piece_b)
{
    static const uint8_t magic[4] = { 0xfa, 0xbf, 0xb5, 0xda };
    struct framer f;
    framer_init(&f, magic);
    for (enum framer_result result = FRAMER_MORE; result != FRAMER_BAD && bytes.size_b > 0;) {
        struct frame frame;
        struct fail why = { 0 };
        size_t taken = 0, give_b = bytes.size_b < piece_b ? bytes.size_b : piece_b;
        result = framer_feed(&f, span_of(bytes.data, give_b), &taken, &frame, &why);
        FUZZ_HOLDS(taken <= give_b && (taken > 0 || result != FRAMER_MORE));
        if (result == FRAMER_FRAME)
            buf_clear(&frame.payload);
        else
            FUZZ_HOLDS(result == FRAMER_MORE || why.detail[0] != 0);
        bytes = span_of(bytes.data + taken, bytes.size_b - taken);
    }
    framer_clear(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_b)
{
    if (size_b == 0)
        return 0;
    struct span rest = span_of(data + 1, size_b - 1);
    try_payload(&message_rules[data[0] % MSG_COUNT], rest);
    try_stream(rest, 1 + data[0] % 64);
    try_stream(rest, SIZE_MAX);
    return 0;
}
