/* HTTP: a connection's bytes give the same requests in one piece and one by one. */
#include "coin/rpc/http.h"
#include "fuzz.h"

/* Appends what a stream means: the events, and for requests their target and body. */
static void meaning(struct buf *out, struct span bytes, size_t piece_b)
{
    struct http http;
    http_init(&http);
    enum http_event event = HTTP_MORE;
    while (bytes.size_b > 0 && event != HTTP_BAD) {
        struct span piece = span_of(bytes.data, bytes.size_b < piece_b ? bytes.size_b : piece_b);
        size_t given_b = piece.size_b;
        do {
            event = http_feed(&http, &piece);
            if (event != HTTP_MORE)
                buf_put_u8(out, (uint8_t)event);
            if (event == HTTP_REQUEST) {
                buf_put(out, http.target.data, http.target.size_b);
                buf_put(out, http.body.data, http.body.size_b);
                http_next(&http);
            }
        } while (event == HTTP_HEAD || event == HTTP_REQUEST);
        FUZZ_HOLDS(event == HTTP_BAD || piece.size_b == 0);
        bytes = span_of(bytes.data + given_b, bytes.size_b - given_b);
    }
    if (event == HTTP_BAD) {
        FUZZ_HOLDS(http.status >= 400 && http.status < 600);
        buf_put_u8(out, (uint8_t)(http.status - 400));
    }
    http_clear(&http);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_b)
{
    struct buf whole, pieces, unquoted;
    buf_init(&whole, UINT32_MAX);
    buf_init(&pieces, UINT32_MAX);
    buf_init(&unquoted, UINT32_MAX);
    meaning(&whole, span_of(data, size_b), SIZE_MAX);
    meaning(&pieces, span_of(data, size_b), 1);
    FUZZ_HOLDS(span_equal(buf_span(&whole), buf_span(&pieces)));
    FUZZ_HOLDS(!http_unquote(&unquoted, span_of(data, size_b)) || unquoted.size_b <= size_b);
    buf_clear(&whole);
    buf_clear(&pieces);
    buf_clear(&unquoted);
    return 0;
}
