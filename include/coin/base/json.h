/* json.h - strict JSON (RFC 8259): a reader into a compact tree and a streaming writer.
 * Numbers keep their text, so amounts are exact. Duplicate keys, depth and size are refused beyond their
 * bounds; memory is proportional to the input. Thread: any; a document belongs to one thread. */
#ifndef COIN_BASE_JSON_H
#define COIN_BASE_JSON_H

#include "coin/base/bytes.h"
#include "coin/base/mem.h"

#define JSON_DEPTH_MAX 64 /* nesting; guess: RPC and chain files need under 10 */

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json { /* one value; immutable once parsed */
    enum json_type type;
    uint32_t count;          /* elements or members */
    struct span text;        /* JSON_NUMBER: its digits; JSON_STRING: unescaped UTF-8 */
    struct span raw;         /* the value as it stood in the input */
    struct span key;         /* unescaped name, when it is a member */
    const struct json *first; /* first element or member */
    const struct json *next;  /* next sibling */
};

struct json_doc {
    struct arena arena;
    const struct json *root;
};
/* text must outlive the doc (raw and unescaped strings point into it). FAIL_REQUEST, code "json"; the
 * detail says line, column and what was expected. */
bool json_parse(struct json_doc *doc, struct span text, struct fail *why) MUST_USE;
void json_doc_clear(struct json_doc *doc);

/* NULL in, NULL out, so look-ups can be chained. */
const struct json *json_get(const struct json *object, const char *key);
const struct json *json_at(const struct json *array, uint32_t index);
const char *json_type_name(const struct json *v); /* null bool number string array object */
bool json_is_bool(const struct json *v);

/* Typed access; FAIL_REQUEST names `what` and the type found. Numbers must be whole for ints. */
bool json_to_i64(int64_t *out, const struct json *v, const char *what, struct fail *why) MUST_USE;
bool json_to_u32(uint32_t *out, const struct json *v, const char *what, struct fail *why) MUST_USE;
bool json_to_bool(bool *out, const struct json *v, const char *what, struct fail *why) MUST_USE;
bool json_to_text(struct span *out, const struct json *v, const char *what, struct fail *why) MUST_USE;
bool json_to_double(double *out, const struct json *v, const char *what, struct fail *why) MUST_USE;

/* A decimal number (number or string text such as "0.1" or "1e-8") to an integer of 10^-decimals, exact;
 * false: not a number, too many decimals, or beyond int64. */
bool decimal_parse(int64_t *out, struct span text, uint32_t decimals) MUST_USE;
/* Writes v / 10^decimals with all decimals ("-0.00000001"). out holds 32 bytes. */
void decimal_print(char out[32], int64_t v, uint32_t decimals);

/* ---- writer: appends to a buf; commas and quoting are its business ---- */
struct json_writer {
    struct buf *out;
    uint32_t depth;
    bool comma_due, after_key;
    uint32_t indent; /* spaces per level; 0: compact, as servers send */
};
void jw_init(struct json_writer *w, struct buf *out, uint32_t indent);
void jw_object(struct json_writer *w); /* opens */
void jw_array(struct json_writer *w);
void jw_end_object(struct json_writer *w);
void jw_end_array(struct json_writer *w);
void jw_key(struct json_writer *w, const char *key);
void jw_key_span(struct json_writer *w, struct span key);
void jw_null(struct json_writer *w);
void jw_bool(struct json_writer *w, bool v);
void jw_i64(struct json_writer *w, int64_t v);
void jw_u64(struct json_writer *w, uint64_t v);
void jw_double(struct json_writer *w, double v); /* 16 digits, as Bitcoin's; not finite: null */
void jw_text(struct json_writer *w, const char *text);
void jw_string(struct json_writer *w, struct span utf8); /* escapes; invalid UTF-8 becomes U+FFFD */
void jw_hex(struct json_writer *w, const void *data, size_t size_b);
void jw_amount(struct json_writer *w, int64_t sat); /* a number with 8 decimals */
void jw_raw(struct json_writer *w, struct span json); /* already JSON */
void jw_value(struct json_writer *w, const struct json *v); /* re-prints a parsed value */
/* key and value in one call */
void jw_key_bool(struct json_writer *w, const char *key, bool v);
void jw_key_i64(struct json_writer *w, const char *key, int64_t v);
void jw_key_u64(struct json_writer *w, const char *key, uint64_t v);
void jw_key_text(struct json_writer *w, const char *key, const char *text);
void jw_key_hex(struct json_writer *w, const char *key, const void *data, size_t size_b);
void jw_key_amount(struct json_writer *w, const char *key, int64_t sat);
void jw_key_double(struct json_writer *w, const char *key, double v);

#endif
