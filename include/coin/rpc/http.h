/* http.h - HTTP/1.1 as a pure byte machine: bytes of a connection in, requests out; and the bytes of a reply.
 * Strict and bounded: what RFC 9112 does not allow is an error, never a guess. Thread: loop. */
#ifndef COIN_RPC_HTTP_H
#define COIN_RPC_HTTP_H

#include "coin/base/bytes.h"

#define HTTP_HEAD_MAX_B 8192          /* request line and headers, as the reference node */
#define HTTP_BODY_MAX_B (32u << 20)   /* CONTRACT: requests up to 32 MB */

enum http_method { HTTP_POST, HTTP_GET, HTTP_OTHER };
enum http_event {
    HTTP_MORE,    /* all bytes were taken, nothing to do yet */
    HTTP_HEAD,    /* the head is whole: authorise, then http_want_body */
    HTTP_REQUEST, /* the body is whole (maybe empty) */
    HTTP_BAD      /* answer with http->status and close */
};
struct http {
    int state; /* private */
    struct buf head, body;
    struct span target;        /* path and query, a view into head */
    struct span authorization; /* value of the header, empty when it is missing */
    enum http_method method;
    uint64_t content_b, body_left_b;
    bool keep_alive, expects_continue, chunked, has_length;
    int status;                /* of HTTP_BAD */
};
void http_init(struct http *http);
void http_clear(struct http *http);
/* Takes from *input what it needs for the next event (input is advanced). */
enum http_event http_feed(struct http *http, struct span *input);
/* After HTTP_REQUEST was answered: the next request of the connection. */
void http_next(struct http *http);
/* Head of a reply; the body's bytes follow. body_size_b < 0: no body and no length (204). */
void http_put_head(struct buf *out, int status, const char *content_type, int64_t body_size_b, bool keep_alive);
const char *http_reason(int status);
/* %XX decoded; false on a bad escape or a NUL. */
bool http_unquote(struct buf *out, struct span text) MUST_USE;

#endif
