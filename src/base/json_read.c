/* Reading JSON, strictly by RFC 8259: one pass over the text, one node per value in an arena,
 * strings are views of the text unless they hold escapes. There is no recursion: open containers
 * lie on a small stack, so depth costs nothing and is bounded. Duplicate names are looked for when
 * an object closes, by sorting its names when there are many; text-long prefixes in common cost no
 * more than the text itself times a logarithm, so no input is quadratic.
 *
 * Numbers are not converted: an amount such as 0.1 has no exact double, its text has. */
#include "coin/base/json.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What one document may take: a value of two bytes of text takes a node, so the text alone is no
 * useful bound. 3.7 million values; the largest answers of a node have a tenth of that. */
#define JSON_MEMORY_MAX_B ((size_t)256 * 1024 * 1024)
#define SORT_FROM_COUNT 16u
#define NUMBER_TEXT_MAX_B 64u

#define RPC_MISC_ERROR (-1)
#define RPC_TYPE_ERROR (-3)

struct level {
    struct json *container, *last;
};

struct parser {
    const uint8_t *start, *at, *end;
    struct arena *arena;
    struct level stack[JSON_DEPTH_MAX];
    uint32_t depth;
    struct span key; /* of the member about to be read */
    struct json *root;
    struct fail *why;
};

static bool parse_document(struct parser *p);
static bool parse_after_value(struct parser *p, bool *more);
static bool parse_key(struct parser *p);
static struct json *parse_value(struct parser *p);
static bool open_container(struct parser *p, struct json *v);
static bool close_container(struct parser *p);
static bool check_names(struct parser *p, const struct json *object);
static int compare_names(const void *a, const void *b);
static bool complain_duplicate(struct parser *p, const struct json *member);
static bool parse_word(struct parser *p, const char *word);
static bool parse_number(struct parser *p, struct span *text);
static bool parse_string(struct parser *p, struct span *text);
static const uint8_t *skip_plain(const uint8_t *at, const uint8_t *end);
static bool unescape(struct parser *p, const uint8_t *from, const uint8_t *to, struct span *text);
static bool unescape_one(struct parser *p, const uint8_t **at, const uint8_t *to, uint8_t **out);
static bool unescape_unicode(struct parser *p, const uint8_t **at, const uint8_t *to, uint8_t **out);
static bool hex4(const uint8_t *at, const uint8_t *to, uint32_t *v);
static void skip_space(struct parser *p);
static bool complain(struct parser *p, const uint8_t *where, const char *expected);
static bool type_mismatch(const struct json *v, const char *what, const char *expected,
    struct fail *why);
static bool out_of_range(const char *what, struct fail *why);

bool json_parse(struct json_doc *doc, struct span text, struct fail *why)
{
    struct parser parser = { .start = text.data, .at = text.data, .end = text.data, .why = why };
    if (text.data != NULL)
        parser.end = text.data + text.size_b;
    arena_init(&doc->arena, JSON_MEMORY_MAX_B);
    doc->root = NULL;
    parser.arena = &doc->arena;
    if (!parse_document(&parser)) {
        arena_clear(&doc->arena);
        return false;
    }
    doc->root = parser.root;
    return true;
}

void json_doc_clear(struct json_doc *doc)
{
    arena_clear(&doc->arena);
    doc->root = NULL;
}

const struct json *json_get(const struct json *object, const char *key)
{
    if (object == NULL || object->type != JSON_OBJECT)
        return NULL;
    struct span name = span_text(key);
    for (const struct json *member = object->first; member != NULL; member = member->next)
        if (span_equal(member->key, name))
            return member;
    return NULL;
}

const struct json *json_at(const struct json *array, uint32_t index)
{
    if (array == NULL || array->type != JSON_ARRAY || index >= array->count)
        return NULL;
    const struct json *element = array->first;
    while (index-- > 0)
        element = element->next;
    return element;
}

const char *json_type_name(const struct json *v)
{
    static const char *const names[] = {
        [JSON_NULL] = "null", [JSON_FALSE] = "bool", [JSON_TRUE] = "bool", [JSON_NUMBER] = "number",
        [JSON_STRING] = "string", [JSON_ARRAY] = "array", [JSON_OBJECT] = "object",
    };
    return v == NULL ? "null" : names[v->type];
}

bool json_is_bool(const struct json *v)
{
    return v != NULL && (v->type == JSON_TRUE || v->type == JSON_FALSE);
}

bool json_to_i64(int64_t *out, const struct json *v, const char *what, struct fail *why)
{
    if (v == NULL || v->type != JSON_NUMBER)
        return type_mismatch(v, what, "number", why);
    for (size_t i = 0; i < v->text.size_b; i++)
        if (v->text.data[i] != '-' && !isdigit(v->text.data[i]))
            return out_of_range(what, why);
    return decimal_parse(out, v->text, 0) || out_of_range(what, why);
}

bool json_to_u32(uint32_t *out, const struct json *v, const char *what, struct fail *why)
{
    int64_t wide;
    if (!json_to_i64(&wide, v, what, why))
        return false;
    if (wide < 0 || wide > UINT32_MAX)
        return out_of_range(what, why);
    *out = (uint32_t)wide;
    return true;
}

bool json_to_bool(bool *out, const struct json *v, const char *what, struct fail *why)
{
    if (!json_is_bool(v))
        return type_mismatch(v, what, "bool", why);
    *out = v->type == JSON_TRUE;
    return true;
}

bool json_to_text(struct span *out, const struct json *v, const char *what, struct fail *why)
{
    if (v == NULL || v->type != JSON_STRING)
        return type_mismatch(v, what, "string", why);
    *out = v->text;
    return true;
}

bool json_to_double(double *out, const struct json *v, const char *what, struct fail *why)
{
    if (v == NULL || v->type != JSON_NUMBER)
        return type_mismatch(v, what, "number", why);
    char text[NUMBER_TEXT_MAX_B];
    if (v->text.size_b >= sizeof text)
        return out_of_range(what, why);
    memcpy(text, v->text.data, v->text.size_b);
    text[v->text.size_b] = '\0';
    double value = strtod(text, NULL);
    if (value - value != 0) /* infinite */
        return out_of_range(what, why);
    *out = value;
    return true;
}

/* ---- the parser ---- */

static bool parse_document(struct parser *p)
{
    for (;;) {
        skip_space(p);
        struct json *v = parse_value(p);
        if (v == NULL)
            return false;
        if (v->type == JSON_ARRAY || v->type == JSON_OBJECT) {
            if (!open_container(p, v))
                return false;
            skip_space(p);
            bool is_empty = p->at < p->end && *p->at == (v->type == JSON_ARRAY ? ']' : '}');
            if (!is_empty) {
                if (v->type == JSON_OBJECT && !parse_key(p))
                    return false;
                continue;
            }
        }
        bool more;
        if (!parse_after_value(p, &more))
            return false;
        if (!more)
            return true;
    }
}

/* Closes what ends here. *more: another value follows; otherwise the text has ended as it should. */
static bool parse_after_value(struct parser *p, bool *more)
{
    for (;;) {
        skip_space(p);
        *more = p->depth > 0;
        if (p->depth == 0)
            return p->at == p->end || complain(p, p->at, "the end of the text");
        const struct json *container = p->stack[p->depth - 1].container;
        bool is_array = container->type == JSON_ARRAY;
        uint8_t c = p->at < p->end ? *p->at : 0;
        if (c == ',' && container->count > 0) {
            p->at++;
            if (is_array)
                return true;
            skip_space(p);
            return parse_key(p);
        }
        if (c != (is_array ? ']' : '}'))
            return complain(p, p->at, is_array ? "',' or ']'" : "',' or '}'");
        p->at++;
        if (!close_container(p))
            return false;
    }
}

static bool parse_key(struct parser *p)
{
    if (p->at >= p->end || *p->at != '"')
        return complain(p, p->at, "a name in double quotes");
    if (!parse_string(p, &p->key))
        return false;
    skip_space(p);
    if (p->at >= p->end || *p->at != ':')
        return complain(p, p->at, "':'");
    p->at++;
    return true;
}

/* Reads a scalar, or the opening bracket of a container, and hangs it below its parent. */
static struct json *parse_value(struct parser *p)
{
    struct json *v = arena_new(p->arena, sizeof *v);
    if (v == NULL) {
        fail_oom(p->why, "a JSON document");
        return NULL;
    }
    const uint8_t *from = p->at;
    bool good;
    switch (p->at < p->end ? *p->at : 0) {
    case '{':
        v->type = JSON_OBJECT;
        p->at++;
        good = true;
        break;
    case '[':
        v->type = JSON_ARRAY;
        p->at++;
        good = true;
        break;
    case '"':
        v->type = JSON_STRING;
        good = parse_string(p, &v->text);
        break;
    case 't':
        v->type = JSON_TRUE;
        good = parse_word(p, "true");
        break;
    case 'f':
        v->type = JSON_FALSE;
        good = parse_word(p, "false");
        break;
    case 'n':
        v->type = JSON_NULL;
        good = parse_word(p, "null");
        break;
    default:
        v->type = JSON_NUMBER;
        good = parse_number(p, &v->text);
        break;
    }
    if (!good)
        return NULL;
    v->raw = span_of(from, (size_t)(p->at - from));
    if (p->depth == 0) {
        p->root = v;
        return v;
    }
    struct level *level = &p->stack[p->depth - 1];
    if (level->last == NULL)
        level->container->first = v;
    else
        level->last->next = v;
    level->last = v;
    level->container->count++;
    if (level->container->type == JSON_OBJECT)
        v->key = p->key;
    return v;
}

static bool open_container(struct parser *p, struct json *v)
{
    if (p->depth == JSON_DEPTH_MAX)
        return complain(p, p->at - 1, "at most 64 levels of nesting");
    p->stack[p->depth].container = v;
    p->stack[p->depth].last = NULL;
    p->depth++;
    return true;
}

static bool close_container(struct parser *p)
{
    struct json *v = p->stack[--p->depth].container;
    v->raw.size_b = (size_t)(p->at - v->raw.data);
    return v->type == JSON_ARRAY || v->count < 2 || check_names(p, v);
}

static bool check_names(struct parser *p, const struct json *object)
{
    if (object->count < SORT_FROM_COUNT) {
        for (const struct json *a = object->first; a != NULL; a = a->next)
            for (const struct json *b = a->next; b != NULL; b = b->next)
                if (span_equal(a->key, b->key))
                    return complain_duplicate(p, b);
        return true;
    }
    const struct json **sorted = mem_try_array(object->count, sizeof *sorted);
    if (sorted == NULL)
        return fail_oom(p->why, "the names of a JSON object");
    uint32_t count = 0;
    for (const struct json *member = object->first; member != NULL; member = member->next)
        sorted[count++] = member;
    qsort(sorted, count, sizeof(struct json *), compare_names);
    const struct json *duplicate = NULL;
    for (uint32_t i = 1; i < count && duplicate == NULL; i++)
        if (span_equal(sorted[i - 1]->key, sorted[i]->key))
            duplicate = sorted[i];
    mem_free(sorted);
    return duplicate == NULL || complain_duplicate(p, duplicate);
}

static int compare_names(const void *a, const void *b)
{
    const struct json *x, *y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    if (x->key.size_b != y->key.size_b)
        return x->key.size_b < y->key.size_b ? -1 : 1;
    return x->key.size_b == 0 ? 0 : memcmp(x->key.data, y->key.data, x->key.size_b);
}

static bool complain_duplicate(struct parser *p, const struct json *member)
{
    char text[96];
    snprintf(text, sizeof text, "another name than \"%.*s\", which was given before",
        (int)(member->key.size_b < 40 ? member->key.size_b : 40), (const char *)member->key.data);
    return complain(p, member->raw.data, text);
}

static bool parse_word(struct parser *p, const char *word)
{
    size_t size_b = strlen(word);
    if ((size_t)(p->end - p->at) < size_b || memcmp(p->at, word, size_b) != 0)
        return complain(p, p->at, "a value");
    p->at += size_b;
    return true;
}

static bool parse_number(struct parser *p, struct span *text)
{
    const uint8_t *from = p->at, *at = p->at, *end = p->end;
    if (at < end && *at == '-')
        at++;
    if (at >= end || !isdigit(*at))
        return complain(p, at, at == from ? "a value" : "a digit");
    if (*at == '0')
        at++;
    else
        while (at < end && isdigit(*at))
            at++;
    if (at < end && *at == '.') {
        at++;
        if (at >= end || !isdigit(*at))
            return complain(p, at, "a digit");
        while (at < end && isdigit(*at))
            at++;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        if (at >= end || !isdigit(*at))
            return complain(p, at, "a digit");
        while (at < end && isdigit(*at))
            at++;
    }
    *text = span_of(from, (size_t)(at - from));
    p->at = at;
    return true;
}

static bool parse_string(struct parser *p, struct span *text)
{
    const uint8_t *from = p->at + 1, *at = from;
    bool has_escape = false;
    for (;;) {
        at = skip_plain(at, p->end);
        if (at >= p->end)
            return complain(p, p->end, "the closing quote of a string");
        if (*at == '"')
            break;
        if (*at == '\\') {
            has_escape = true;
            if (p->end - at < 2)
                return complain(p, p->end, "the closing quote of a string");
            at += 2; /* what follows is judged by unescape; it may be a quote */
        } else if (*at < 0x20) {
            return complain(p, at, "control characters to be escaped");
        } else {
            const uint8_t *next = utf8_next(at, p->end);
            if (next == NULL)
                return complain(p, at, "valid UTF-8");
            at = next;
        }
    }
    p->at = at + 1;
    if (has_escape)
        return unescape(p, from, at, text);
    *text = span_of(from, (size_t)(at - from));
    return true;
}

/* The first byte that is a quote, a backslash, a control character or not ASCII. Eight at a time:
 * most of a large request is hex. */
static const uint8_t *skip_plain(const uint8_t *at, const uint8_t *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = UINT64_C(0x8080808080808080);
    while (end - at >= 8) {
        uint64_t v;
        memcpy(&v, at, sizeof v);
        uint64_t quote = v ^ (ones * '"'), slash = v ^ (ones * '\\');
        uint64_t odd = (quote - ones) | (slash - ones) | (v - ones * 0x20) | v;
        if ((odd & tops) != 0)
            break;
        at += 8;
    }
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* Every escape is longer than what it stands for, so the result fits the length of its source. */
static bool unescape(struct parser *p, const uint8_t *from, const uint8_t *to, struct span *text)
{
    uint8_t *copy = arena_new(p->arena, (size_t)(to - from));
    if (copy == NULL)
        return fail_oom(p->why, "a JSON string");
    uint8_t *out = copy;
    while (from < to) {
        if (*from != '\\') {
            const uint8_t *stop = memchr(from, '\\', (size_t)(to - from));
            size_t size_b = (size_t)((stop != NULL ? stop : to) - from);
            memcpy(out, from, size_b);
            out += size_b;
            from += size_b;
        } else if (!unescape_one(p, &from, to, &out)) {
            return false;
        }
    }
    *text = span_of(copy, (size_t)(out - copy));
    return true;
}

static bool unescape_one(struct parser *p, const uint8_t **at, const uint8_t *to, uint8_t **out)
{
    static const char letters[] = "\"\\/bfnrt";
    static const uint8_t values[] = { '"', '\\', '/', '\b', '\f', '\n', '\r', '\t' };
    uint8_t letter = (*at)[1];
    if (letter == 'u')
        return unescape_unicode(p, at, to, out);
    const char *found = letter != 0 ? strchr(letters, letter) : NULL;
    if (found == NULL)
        return complain(p, *at, "an escape that JSON knows");
    *(*out)++ = values[found - letters];
    *at += 2;
    return true;
}

static bool unescape_unicode(struct parser *p, const uint8_t **at, const uint8_t *to, uint8_t **out)
{
    uint32_t c, low;
    if (!hex4(*at + 2, to, &c))
        return complain(p, *at, "four hex digits");
    const uint8_t *next = *at + 6;
    if (c >= 0xd800 && c <= 0xdfff) {
        if (c > 0xdbff || to - next < 6 || next[0] != '\\' || next[1] != 'u' ||
            !hex4(next + 2, to, &low) || low < 0xdc00 || low > 0xdfff)
            return complain(p, *at, "both halves of a surrogate pair");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        next += 6;
    }
    uint8_t *o = *out;
    if (c < 0x80) {
        *o++ = (uint8_t)c;
    } else if (c < 0x800) {
        *o++ = (uint8_t)(0xc0 | c >> 6);
        *o++ = (uint8_t)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *o++ = (uint8_t)(0xe0 | c >> 12);
        *o++ = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        *o++ = (uint8_t)(0x80 | (c & 0x3f));
    } else {
        *o++ = (uint8_t)(0xf0 | c >> 18);
        *o++ = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        *o++ = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        *o++ = (uint8_t)(0x80 | (c & 0x3f));
    }
    *out = o;
    *at = next;
    return true;
}

static bool hex4(const uint8_t *at, const uint8_t *to, uint32_t *v)
{
    uint8_t bytes[2];
    if (to - at < 4 || !hex_decode(bytes, sizeof bytes, span_of(at, 4)))
        return false;
    *v = (uint32_t)bytes[0] << 8 | bytes[1];
    return true;
}

static void skip_space(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\t' || *p->at == '\r'))
        p->at++;
}

static bool complain(struct parser *p, const uint8_t *where, const char *expected)
{
    size_t line = 1, column = 1;
    for (const uint8_t *at = p->start; at < where; at++) {
        column++;
        if (*at == '\n') {
            line++;
            column = 1;
        }
    }
    return fail_set(p->why, FAIL_REQUEST, "json", "line %zu, column %zu: expected %s", line, column,
        expected);
}

static bool type_mismatch(const struct json *v, const char *what, const char *expected,
    struct fail *why)
{
    bool named = what != NULL && what[0] != '\0';
    return fail_request(why, RPC_TYPE_ERROR, "%s%sJSON value of type %s is not of expected type %s",
        named ? what : "", named ? ": " : "", json_type_name(v), expected);
}

static bool out_of_range(const char *what, struct fail *why)
{
    bool named = what != NULL && what[0] != '\0';
    return fail_request(why, RPC_MISC_ERROR, "%s%sJSON integer out of range", named ? what : "",
        named ? ": " : "");
}
