/* HTTP/1.1, the part that a JSON-RPC port needs: POST with Content-Length or chunks, keep-alive, pipelining
 * (bytes after one request wait for the next), Expect: 100-continue. A request that could be read two ways
 * (two lengths, a length and chunks, a bare LF inside the head, folded headers) is refused: an intermediary may
 * have read it the other way. */

#include "coin/rpc/http.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum state { AT_HEAD, AT_WAIT_BODY, AT_BODY, AT_CHUNK_SIZE, AT_CHUNK_DATA, AT_CHUNK_END, AT_TRAILER, AT_DONE, AT_BAD };

#define CHUNK_LINE_MAX_B 32 /* a size in hex; extensions are not accepted */

static enum http_event bad(struct http *http, int status);
static bool take_head(struct http *http, struct span *input);
static bool parse_head(struct http *http);
static bool parse_request_line(struct http *http, struct span line);
static bool parse_header(struct http *http, struct span line);
static bool parse_length(uint64_t *out, struct span text);
static bool take_line(struct http *http, struct span *input, bool *whole);
static struct span trim(struct span s);
static bool equals(struct span s, const char *text);
static bool has_token(struct span list, const char *token);

void http_init(struct http *http)
{
    memset(http, 0, sizeof *http);
    buf_init(&http->head, HTTP_HEAD_MAX_B);
    (void)buf_reserve(&http->head, HTTP_HEAD_MAX_B); /* at once: views into it must not move */
    buf_init(&http->body, HTTP_BODY_MAX_B);
}

void http_clear(struct http *http)
{
    buf_clear(&http->head);
    buf_clear(&http->body);
}

void http_next(struct http *http)
{
    struct buf head = http->head, body = http->body;
    head.size_b = body.size_b = 0;
    head.failed = body.failed = false;
    memset(http, 0, sizeof *http);
    http->head = head;
    http->body = body;
}

enum http_event http_feed(struct http *http, struct span *input)
{
    for (;;) {
        switch ((enum state)http->state) {
        case AT_HEAD: {
            bool whole = take_head(http, input);
            if (!whole)
                return http->head.size_b >= HTTP_HEAD_MAX_B ? bad(http, 431) : HTTP_MORE;
            if (!parse_head(http))
                return bad(http, http->status != 0 ? http->status : 400);
            http->state = AT_WAIT_BODY;
            return HTTP_HEAD;
        }
        case AT_WAIT_BODY: /* the caller has authorised it by feeding on */
            if (http->chunked) {
                http->state = AT_CHUNK_SIZE;
                break;
            }
            if (http->content_b > HTTP_BODY_MAX_B)
                return bad(http, 413);
            http->body_left_b = http->content_b;
            http->state = AT_BODY;
            break;
        case AT_BODY:
        case AT_CHUNK_DATA: {
            size_t take = input->size_b < http->body_left_b ? input->size_b : (size_t)http->body_left_b;
            buf_put(&http->body, input->data, take);
            if (http->body.failed)
                return bad(http, 413);
            http->body_left_b -= take;
            *input = span_of(input->data + take, input->size_b - take);
            if (http->body_left_b > 0)
                return HTTP_MORE;
            if (http->state == AT_BODY) {
                http->state = AT_DONE;
                return HTTP_REQUEST;
            }
            http->state = AT_CHUNK_END;
            break;
        }
        case AT_CHUNK_SIZE:
        case AT_CHUNK_END:
        case AT_TRAILER: {
            bool whole;
            if (!take_line(http, input, &whole))
                return bad(http, 400);
            if (!whole)
                return HTTP_MORE;
            if (http->state == AT_DONE)
                return HTTP_REQUEST;
            break;
        }
        case AT_DONE: /* waits for http_next */
            return HTTP_MORE;
        case AT_BAD:
            return HTTP_BAD;
        }
    }
}

void http_put_head(struct buf *out, int status, const char *content_type, int64_t body_size_b, bool keep_alive)
{
    buf_printf(out, "HTTP/1.1 %d %s\r\n", status, http_reason(status));
    if (status == 401)
        buf_put_text(out, "WWW-Authenticate: Basic realm=\"jsonrpc\"\r\n");
    if (content_type != NULL)
        buf_printf(out, "Content-Type: %s\r\n", content_type);
    if (body_size_b >= 0)
        buf_printf(out, "Content-Length: %lld\r\n", (long long)body_size_b);
    buf_put_text(out, keep_alive ? "\r\n" : "Connection: close\r\n\r\n");
}

const char *http_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {{100, "Continue"}, {200, "OK"}, {204, "No Content"}, {400, "Bad Request"}, {401, "Unauthorized"},
        {403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"}, {411, "Length Required"},
        {413, "Content Too Large"}, {417, "Expectation Failed"}, {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"}, {501, "Not Supported"}, {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Unknown";
}

bool http_unquote(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.size_b; i++) {
        uint8_t c = text.data[i];
        if (c == '%') {
            if (text.size_b - i < 3 || !hex_decode(&c, 1, span_of(text.data + i + 1, 2)) || c == 0)
                return false;
            i += 2;
        }
        buf_put_u8(out, c);
    }
    return !out->failed;
}

static enum http_event bad(struct http *http, int status)
{
    http->state = AT_BAD;
    http->status = status;
    http->keep_alive = false;
    return HTTP_BAD;
}

/* Moves bytes up to and with the empty line that ends the head; true when it is there. */
static bool take_head(struct http *http, struct span *input)
{
    while (http->head.size_b == 0 && input->size_b > 0 && (*input->data == '\r' || *input->data == '\n'))
        *input = span_of(input->data + 1, input->size_b - 1); /* RFC 9112 2.2: empty lines before are skipped */
    size_t before = http->head.size_b, room = HTTP_HEAD_MAX_B - before;
    size_t copied = input->size_b < room ? input->size_b : room;
    buf_put(&http->head, input->data, copied);
    size_t from = before > 3 ? before - 3 : 0; /* the end may straddle two pieces */
    const uint8_t *end = http->head.size_b > from
                             ? memmem(http->head.data + from, http->head.size_b - from, "\r\n\r\n", 4)
                             : NULL;
    if (end != NULL) { /* what follows belongs to the body */
        http->head.size_b = (size_t)(end - http->head.data) + 4;
        copied = http->head.size_b - before;
    }
    *input = span_of(input->data + copied, input->size_b - copied);
    return end != NULL;
}

static bool parse_head(struct http *http)
{
    const uint8_t *at = http->head.data, *end = at + http->head.size_b - 2; /* the empty line */
    bool first = true;
    while (at < end) {
        const uint8_t *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL || line_end == at || line_end[-1] != '\r' ||
            memchr(at, '\r', (size_t)(line_end - at - 1)) != NULL || memchr(at, 0, (size_t)(line_end - at)) != NULL)
            return false;
        struct span line = span_of(at, (size_t)(line_end - 1 - at));
        if (!(first ? parse_request_line(http, line) : parse_header(http, line)))
            return false;
        first = false;
        at = line_end + 1;
    }
    return !(http->chunked && http->has_length); /* request smuggling */
}

static bool parse_request_line(struct http *http, struct span line)
{
    const uint8_t *space = memchr(line.data, ' ', line.size_b);
    if (space == NULL)
        return false;
    struct span method = span_of(line.data, (size_t)(space - line.data));
    struct span rest = span_of(space + 1, line.size_b - method.size_b - 1);
    const uint8_t *second = memchr(rest.data, ' ', rest.size_b);
    if (second == NULL || second == rest.data)
        return false;
    http->target = span_of(rest.data, (size_t)(second - rest.data));
    struct span version = span_of(second + 1, rest.size_b - http->target.size_b - 1);
    http->method = span_is(method, "POST") ? HTTP_POST : span_is(method, "GET") ? HTTP_GET : HTTP_OTHER;
    if (span_is(version, "HTTP/1.1")) {
        http->keep_alive = true;
    } else if (!span_is(version, "HTTP/1.0")) {
        http->status = 505;
        return false;
    }
    return true;
}

static bool parse_header(struct http *http, struct span line)
{
    const uint8_t *colon = memchr(line.data, ':', line.size_b);
    if (colon == NULL || colon == line.data || line.data[0] == ' ' || line.data[0] == '\t' || colon[-1] == ' ')
        return false;
    struct span name = span_of(line.data, (size_t)(colon - line.data));
    struct span value = trim(span_of(colon + 1, line.size_b - name.size_b - 1));
    if (equals(name, "content-length")) {
        uint64_t length;
        if (!parse_length(&length, value) || (http->has_length && length != http->content_b))
            return false;
        http->content_b = length;
        http->has_length = true;
    } else if (equals(name, "transfer-encoding")) {
        if (!equals(value, "chunked")) {
            http->status = 501;
            return false;
        }
        http->chunked = true;
    } else if (equals(name, "connection")) {
        if (has_token(value, "close"))
            http->keep_alive = false;
        else if (has_token(value, "keep-alive"))
            http->keep_alive = true;
    } else if (equals(name, "authorization")) {
        http->authorization = value;
    } else if (equals(name, "expect")) {
        if (!equals(value, "100-continue")) {
            http->status = 417;
            return false;
        }
        http->expects_continue = true;
    }
    return true;
}

static bool parse_length(uint64_t *out, struct span text)
{
    *out = 0;
    if (text.size_b == 0 || text.size_b > 18)
        return false;
    for (size_t i = 0; i < text.size_b; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *out = *out * 10 + (uint64_t)(text.data[i] - '0');
    }
    return true;
}

/* Lines between chunks gather behind the head, which stays untouched in front. */
static bool take_line(struct http *http, struct span *input, bool *whole)
{
    size_t start = http->content_b; /* of the line, in head; content_b is free for this when chunked */
    if (start == 0)
        start = http->content_b = http->head.size_b;
    *whole = false;
    while (input->size_b > 0 && !*whole) {
        uint8_t c = input->data[0];
        *input = span_of(input->data + 1, input->size_b - 1);
        buf_put_u8(&http->head, c);
        if (http->head.failed || http->head.size_b - start > CHUNK_LINE_MAX_B)
            return false;
        *whole = c == '\n';
    }
    if (!*whole)
        return true;
    size_t size_b = http->head.size_b - start;
    struct span line = span_of(http->head.data + start, size_b - 1);
    if (line.size_b == 0 || line.data[line.size_b - 1] != '\r')
        return false;
    line.size_b--;
    http->head.size_b = start;
    if (http->state == AT_CHUNK_END || http->state == AT_TRAILER) {
        if (line.size_b != 0)
            return false; /* trailers are not accepted */
        http->state = http->state == AT_TRAILER ? AT_DONE : AT_CHUNK_SIZE;
        return true;
    }
    uint64_t size = 0;
    if (line.size_b == 0 || line.size_b > 8)
        return false;
    for (size_t i = 0; i < line.size_b; i++) {
        if (!isxdigit(line.data[i]))
            return false;
        int digit = tolower(line.data[i]);
        size = size * 16 + (uint64_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    http->body_left_b = size;
    http->state = size == 0 ? AT_TRAILER : AT_CHUNK_DATA;
    return true;
}

static struct span trim(struct span s)
{
    while (s.size_b > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = span_of(s.data + 1, s.size_b - 1);
    while (s.size_b > 0 && (s.data[s.size_b - 1] == ' ' || s.data[s.size_b - 1] == '\t'))
        s.size_b--;
    return s;
}

static bool equals(struct span s, const char *text)
{
    return s.size_b == strlen(text) && strncasecmp((const char *)s.data, text, s.size_b) == 0;
}

static bool has_token(struct span list, const char *token)
{
    size_t at = 0;
    while (at <= list.size_b) {
        size_t end = at;
        while (end < list.size_b && list.data[end] != ',')
            end++;
        if (equals(trim(span_of(list.data + at, end - at)), token))
            return true;
        at = end + 1;
    }
    return false;
}
