/* Proves that the HTTP machine takes good requests however they are cut into pieces, and refuses what could be
 * read in two ways. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "coin/rpc/http.h"
#include "unit.h"

#define GOOD "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"

/* Feeds text in pieces of `step` bytes; returns the event that ended it, HTTP_REQUEST or HTTP_BAD or HTTP_MORE. */
static enum http_event feed(struct http *http, const char *text, size_t size_b, size_t step, size_t *used_b)
{
    enum http_event event = HTTP_MORE;
    size_t at = 0;
    while (at < size_b) {
        size_t take = size_b - at < step ? size_b - at : step;
        struct span input = span_of(text + at, take);
        do {
            event = http_feed(http, &input);
        } while (event == HTTP_HEAD);
        at += take - input.size_b;
        if (event != HTTP_MORE)
            break;
        ck_assert_uint_eq(input.size_b, 0);
    }
    *used_b = at;
    return event;
}

START_TEST(whole_in_any_pieces)
{
    static const char chunked[] = "POST /wallet/a%20b HTTP/1.1\r\nTransfer-Encoding: chunked\r\nAuthorization: Basic eA==\r\n\r\n"
                                  "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    const char *cases[] = {GOOD, chunked};
    for (int i = 0; i < 2; i++) {
        for (size_t step = 1; step <= strlen(cases[i]); step++) {
            struct http http;
            size_t used_b;
            http_init(&http);
            ck_assert_int_eq(feed(&http, cases[i], strlen(cases[i]), step, &used_b), HTTP_REQUEST);
            ck_assert_uint_eq(used_b, strlen(cases[i]));
            ck_assert_int_eq(http.method, HTTP_POST);
            ck_assert(span_is(buf_span(&http.body), "hello"));
            ck_assert(span_is(http.target, i == 0 ? "/" : "/wallet/a%20b"));
            ck_assert(span_is(http.authorization, i == 0 ? "" : "Basic eA=="));
            ck_assert(http.keep_alive);
            http_clear(&http);
        }
    }
}
END_TEST

START_TEST(pipelined)
{
    struct http http;
    size_t used_b;
    static const char two[] = GOOD "GET /x HTTP/1.0\r\n\r\n";
    http_init(&http);
    ck_assert_int_eq(feed(&http, two, strlen(two), sizeof two, &used_b), HTTP_REQUEST);
    ck_assert_uint_eq(used_b, strlen(GOOD));
    http_next(&http);
    ck_assert_int_eq(feed(&http, two + used_b, strlen(two) - used_b, 3, &used_b), HTTP_REQUEST);
    ck_assert_int_eq(http.method, HTTP_GET);
    ck_assert(span_is(http.target, "/x"));
    ck_assert(!http.keep_alive);
    http_clear(&http);
}
END_TEST

static const struct {
    const char *text;
    int status;
} refused[] = {
    {"POST / HTTP/9.9\r\n\r\n", 505},
    {"POST /\r\n\r\n", 400},
    {"POST  / HTTP/1.1\r\n\r\n", 400},
    {"POST / HTTP/1.1\nHost: a\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nContent-Length: 5x\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
    {"POST / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nContent-Length: 33554433\r\n\r\nx", 413},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400},
};

START_TEST(two_readings_are_none)
{
    struct http http;
    size_t used_b;
    http_init(&http);
    enum http_event event = feed(&http, refused[_i].text, strlen(refused[_i].text), 7, &used_b);
    ck_assert_msg(event == HTTP_BAD, "%s was taken", refused[_i].text);
    ck_assert_msg(http.status == refused[_i].status, "%s gave %d", refused[_i].text, http.status);
    http_clear(&http);
}
END_TEST

START_TEST(bounded_head)
{
    struct http http;
    char line[64];
    enum http_event event = HTTP_MORE;
    http_init(&http);
    struct span input = span_text("POST / HTTP/1.1\r\n");
    ck_assert_int_eq(http_feed(&http, &input), HTTP_MORE);
    for (int i = 0; i < 1000 && event == HTTP_MORE; i++) {
        snprintf(line, sizeof line, "X-%d: yyyyyyyyyyyyyyyyyyyyyyyyy\r\n", i);
        input = span_text(line);
        event = http_feed(&http, &input);
        ck_assert_uint_le(http.head.size_b, HTTP_HEAD_MAX_B);
    }
    ck_assert_int_eq(event, HTTP_BAD);
    ck_assert_int_eq(http.status, 431);
    http_clear(&http);
}
END_TEST

START_TEST(escapes)
{
    struct buf out;
    buf_init(&out, 64);
    ck_assert(http_unquote(&out, span_text("a%20b%2Fc%c3%A4")));
    ck_assert(span_is(buf_span(&out), "a b/c\xc3\xa4"));
    const char *bad[] = {"%", "%2", "%zz", "a%00b", "%-1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        out.size_b = 0;
        ck_assert_msg(!http_unquote(&out, span_text(bad[i])), "%s", bad[i]);
    }
    buf_clear(&out);
}
END_TEST

START_TEST(replies)
{
    struct buf out;
    buf_init(&out, 512);
    http_put_head(&out, 200, "application/json", 12, true);
    ck_assert(span_is(buf_span(&out), "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n"));
    out.size_b = 0;
    http_put_head(&out, 204, NULL, -1, false);
    ck_assert(span_is(buf_span(&out), "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"));
    out.size_b = 0;
    http_put_head(&out, 401, NULL, 0, true);
    buf_put_u8(&out, 0);
    ck_assert_ptr_nonnull(strstr((const char *)out.data, "WWW-Authenticate: Basic"));
    buf_clear(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, whole_in_any_pieces);
    tcase_add_test(tests, pipelined);
    tcase_add_loop_test(tests, two_readings_are_none, 0, (int)(sizeof refused / sizeof *refused));
    tcase_add_test(tests, bounded_head);
    tcase_add_test(tests, escapes);
    tcase_add_test(tests, replies);
    suite_add_tcase(suite, tests);
    return unit_run(suite);
}
