/* Writing JSON straight into a buffer, laid out as Bitcoin's clients are used to: compact from a
 * server, or two spaces a level with every member on its own line. One bit says whether a comma is
 * due; closing a container sets it for the level outside, so no stack is needed and depth has no
 * limit here. */
#include "coin/base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void begin_item(struct json_writer *w);
static void new_line(struct json_writer *w);
static void open_with(struct json_writer *w, char bracket);
static void close_with(struct json_writer *w, char bracket);
static void put_quoted(struct buf *out, struct span utf8);
static void put_scalar(struct json_writer *w, const struct json *v);

void jw_init(struct json_writer *w, struct buf *out, uint32_t indent)
{
    memset(w, 0, sizeof *w);
    w->out = out;
    w->indent = indent;
}

void jw_object(struct json_writer *w)
{
    open_with(w, '{');
}

void jw_array(struct json_writer *w)
{
    open_with(w, '[');
}

void jw_end_object(struct json_writer *w)
{
    close_with(w, '}');
}

void jw_end_array(struct json_writer *w)
{
    close_with(w, ']');
}

void jw_key(struct json_writer *w, const char *key)
{
    jw_key_span(w, span_text(key));
}

void jw_key_span(struct json_writer *w, struct span key)
{
    begin_item(w);
    put_quoted(w->out, key);
    buf_put(w->out, ": ", w->indent > 0 ? 2 : 1);
    w->after_key = true;
}

void jw_null(struct json_writer *w)
{
    jw_raw(w, span_text("null"));
}

void jw_bool(struct json_writer *w, bool v)
{
    jw_raw(w, span_text(v ? "true" : "false"));
}

void jw_i64(struct json_writer *w, int64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, v);
    jw_raw(w, span_text(text));
}

void jw_u64(struct json_writer *w, uint64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, v);
    jw_raw(w, span_text(text));
}

void jw_double(struct json_writer *w, double v)
{
    char text[40];
    if (v - v != 0) { /* JSON has no infinity */
        jw_null(w);
        return;
    }
    snprintf(text, sizeof text, "%.16g", v);
    jw_raw(w, span_text(text));
}

void jw_text(struct json_writer *w, const char *text)
{
    jw_string(w, span_text(text));
}

void jw_string(struct json_writer *w, struct span utf8)
{
    begin_item(w);
    put_quoted(w->out, utf8);
}

void jw_hex(struct json_writer *w, const void *data, size_t size_b)
{
    begin_item(w);
    buf_put_u8(w->out, '"');
    buf_put_hex(w->out, data, size_b);
    buf_put_u8(w->out, '"');
}

void jw_amount(struct json_writer *w, int64_t sat)
{
    char text[32];
    decimal_print(text, sat, 8);
    jw_raw(w, span_text(text));
}

void jw_raw(struct json_writer *w, struct span json)
{
    begin_item(w);
    buf_put(w->out, json.data, json.size_b);
}

void jw_value(struct json_writer *w, const struct json *v)
{
    const struct json *open[JSON_DEPTH_MAX];
    uint32_t depth = 0;
    if (v == NULL) {
        jw_null(w);
        return;
    }
    for (const struct json *at = v;;) {
        bool is_container = at->type == JSON_ARRAY || at->type == JSON_OBJECT;
        if (depth > 0 && open[depth - 1]->type == JSON_OBJECT)
            jw_key_span(w, at->key);
        if (!is_container) {
            put_scalar(w, at);
        } else {
            open_with(w, at->type == JSON_ARRAY ? '[' : '{');
            if (at->first != NULL && depth < JSON_DEPTH_MAX) { /* parsed values are never deeper */
                open[depth++] = at;
                at = at->first;
                continue;
            }
            close_with(w, at->type == JSON_ARRAY ? ']' : '}');
        }
        while (depth > 0 && at->next == NULL) {
            at = open[--depth];
            close_with(w, at->type == JSON_ARRAY ? ']' : '}');
        }
        if (depth == 0)
            return;
        at = at->next;
    }
}

void jw_key_bool(struct json_writer *w, const char *key, bool v)
{
    jw_key(w, key);
    jw_bool(w, v);
}

void jw_key_i64(struct json_writer *w, const char *key, int64_t v)
{
    jw_key(w, key);
    jw_i64(w, v);
}

void jw_key_u64(struct json_writer *w, const char *key, uint64_t v)
{
    jw_key(w, key);
    jw_u64(w, v);
}

void jw_key_text(struct json_writer *w, const char *key, const char *text)
{
    jw_key(w, key);
    jw_text(w, text);
}

void jw_key_hex(struct json_writer *w, const char *key, const void *data, size_t size_b)
{
    jw_key(w, key);
    jw_hex(w, data, size_b);
}

void jw_key_amount(struct json_writer *w, const char *key, int64_t sat)
{
    jw_key(w, key);
    jw_amount(w, sat);
}

void jw_key_double(struct json_writer *w, const char *key, double v)
{
    jw_key(w, key);
    jw_double(w, v);
}

static void begin_item(struct json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->comma_due)
        buf_put_u8(w->out, ',');
    w->comma_due = true;
    if (w->depth > 0)
        new_line(w);
}

static void new_line(struct json_writer *w)
{
    if (w->indent == 0)
        return;
    buf_put_u8(w->out, '\n');
    for (uint32_t i = 0; i < w->depth * w->indent; i++)
        buf_put_u8(w->out, ' ');
}

static void open_with(struct json_writer *w, char bracket)
{
    begin_item(w);
    buf_put_u8(w->out, (uint8_t)bracket);
    w->depth++;
    w->comma_due = false;
}

static void close_with(struct json_writer *w, char bracket)
{
    w->depth--;
    w->comma_due = true;
    new_line(w);
    buf_put_u8(w->out, (uint8_t)bracket);
}

static void put_quoted(struct buf *out, struct span utf8)
{
    static const char short_escapes[256] = {
        ['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't',
    };
    const uint8_t *at = utf8.data, *end = utf8.size_b > 0 ? at + utf8.size_b : at;
    buf_put_u8(out, '"');
    while (at < end) {
        const uint8_t *plain = at;
        while (at < end && *at >= 0x20 && *at < 0x7f && *at != '"' && *at != '\\')
            at++;
        buf_put(out, plain, (size_t)(at - plain));
        if (at >= end)
            break;
        if (*at >= 0x80) {
            const uint8_t *next = utf8_next(at, end);
            if (next != NULL)
                buf_put(out, at, (size_t)(next - at));
            else
                buf_put(out, "\xef\xbf\xbd", 3); /* U+FFFD: names of peers and files may be anything */
            at = next != NULL ? next : at + 1;
            continue;
        }
        if (short_escapes[*at] != 0)
            buf_printf(out, "\\%c", short_escapes[*at]);
        else
            buf_printf(out, "\\u%04x", *at);
        at++;
    }
    buf_put_u8(out, '"');
}

static void put_scalar(struct json_writer *w, const struct json *v)
{
    if (v->type == JSON_STRING)
        jw_string(w, v->text);
    else
        jw_raw(w, v->raw);
}
