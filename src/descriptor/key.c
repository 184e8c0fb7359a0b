/* key.c - key expressions: [fingerprint/origin path] and a key in hex, WIF, or an extended one with its
 * path and range. The path behind an extended key is walked once, when it is parsed; after that each index
 * is a single derivation. */
#include <inttypes.h>
#include <string.h>

#include "coin/crypto/hash.h"
#include "coin/crypto/secp.h"
#include "coin/script/address.h"
#include "parts.h"

static bool parse_origin(struct key_expr *out, struct descriptor *d, struct span *text, struct fail *why);
static bool parse_plain(struct key_expr *out, const struct descriptor *d, struct span text,
    bool uncompressed, bool xonly, bool *understood, struct fail *why);
static bool parse_hex(struct key_expr *out, struct span text, bool uncompressed, bool xonly,
    struct fail *why);
static bool parse_extended(struct key_expr *out, struct descriptor *d, struct span key, struct span path,
    struct fail *why);
static bool parse_path(const uint32_t **out, uint32_t *count, bool *apostrophe, struct descriptor *d,
    struct span text, struct fail *why);
static bool parse_step(uint32_t *out, bool *apostrophe, struct span text, struct fail *why);
static bool walk_path(struct key_expr *key, struct fail *why);
static void put_path(struct buf *out, const uint32_t *path, uint32_t count, bool apostrophe);
static void put_origin(struct buf *out, const struct key_expr *key, bool apostrophe);
static void put_normalized(struct buf *out, const struct descriptor *d, const struct key_expr *key);
static int shown(struct span text);

bool key_expr_parse(struct key_expr *out, struct descriptor *d, struct span text, bool uncompressed,
    bool xonly, struct fail *why)
{
    bool understood = false;

    *out = (struct key_expr){ 0 };
    if (!parse_origin(out, d, &text, why))
        return false;
    if (text.size_b == 0)
        return refuse(why, "No key provided");
    if (text.data[0] == ' ' || text.data[text.size_b - 1] == ' ')
        return refuse(why, "Key '%.*s' is invalid due to whitespace", shown(text), (const char *)text.data);
    const uint8_t *slash = memchr(text.data, '/', text.size_b);
    if (slash == NULL) {
        bool ok = parse_plain(out, d, text, uncompressed, xonly, &understood, why);
        if (understood)
            return ok;
    }
    struct span key = span_of(text.data, slash != NULL ? (size_t)(slash - text.data) : text.size_b);
    struct span path = slash != NULL ? span_of(slash, text.size_b - key.size_b) : (struct span){ 0 };
    return parse_extended(out, d, key, path, why);
}

static bool parse_origin(struct key_expr *out, struct descriptor *d, struct span *text, struct fail *why)
{
    const uint8_t *close = text->size_b > 0 ? memchr(text->data, ']', text->size_b) : NULL;
    if (close == NULL)
        return true;
    struct span inner = span_of(text->data + 1, (size_t)(close - text->data) - 1);
    struct span rest = span_of(close + 1, text->size_b - (size_t)(close + 1 - text->data));
    if (rest.size_b > 0 && memchr(rest.data, ']', rest.size_b) != NULL)
        return refuse(why, "Multiple ']' characters found for a single pubkey");
    if (text->data[0] != '[')
        return refuse(why, "Key origin start '[ character expected but not found, got '%c' instead",
            text->data[0]);
    const uint8_t *slash = inner.size_b > 0 ? memchr(inner.data, '/', inner.size_b) : NULL;
    struct span print = span_of(inner.data, slash != NULL ? (size_t)(slash - inner.data) : inner.size_b);
    if (print.size_b != 2 * sizeof out->origin)
        return refuse(why, "Fingerprint is not 4 bytes (%zu characters instead of 8 characters)",
            print.size_b);
    if (!hex_decode(out->origin, sizeof out->origin, print))
        return refuse(why, "Fingerprint '%.8s' is not hex", (const char *)print.data);
    if (slash != NULL && !parse_path(&out->origin_path, &out->origin_count, &out->apostrophe, d,
                             span_of(slash, inner.size_b - print.size_b), why))
        return false;
    out->has_origin = true;
    *text = rest;
    return true;
}

/* ---- one key ---- */

static bool parse_plain(struct key_expr *out, const struct descriptor *d, struct span text,
    bool uncompressed, bool xonly, bool *understood, struct fail *why)
{
    struct buf bytes;
    buf_init(&bytes, DESCRIPTOR_TEXT_MAX_B);
    bool is_hex = hex_to_buf(&bytes, text);
    buf_clear(&bytes);
    *understood = true;
    if (is_hex)
        return parse_hex(out, text, uncompressed, xonly, why);
    if (!wif_decode(out->key, &out->is_compressed, d->chain, text)) {
        *understood = false;
        return false;
    }
    if (!out->is_compressed && !uncompressed)
        return refuse(why, "Uncompressed keys are not allowed");
    out->has_private = true;
    out->pubkey_size_b = out->is_compressed ? 33 : 65;
    uint8_t pubkey[33];
    if (!secp_pubkey_create(pubkey, out->key) ||
        !secp_pubkey_convert(out->pubkey, out->pubkey_size_b, span_of(pubkey, sizeof pubkey)))
        return refuse(why, "Private key is invalid");
    out->is_xonly = xonly; /* taproot writes its keys with 32 bytes */
    return true;
}

static bool parse_hex(struct key_expr *out, struct span text, bool uncompressed, bool xonly,
    struct fail *why)
{
    size_t size_b = text.size_b / 2;
    if ((size_b == 33 || size_b == 65) && hex_decode(out->pubkey, size_b, text)) {
        struct span key = span_of(out->pubkey, size_b);
        if (size_b == 65 && (out->pubkey[0] == 6 || out->pubkey[0] == 7))
            return refuse(why, "Hybrid public keys are not allowed");
        if (script_pubkey_size_fits(key) && secp_pubkey_is_valid(key)) {
            if (size_b == 65 && !uncompressed)
                return refuse(why, "Uncompressed keys are not allowed");
            out->pubkey_size_b = (uint32_t)size_b;
            out->is_compressed = size_b == 33;
            return true;
        }
    }
    if (size_b == 32 && xonly && hex_decode(out->pubkey + 1, 32, text) &&
        secp_xonly_is_valid(out->pubkey + 1)) {
        out->pubkey[0] = 2;
        out->pubkey_size_b = 33;
        out->is_compressed = out->is_xonly = true;
        return true;
    }
    return refuse(why, "Pubkey '%.*s' is invalid", shown(text), (const char *)text.data);
}

/* ---- extended ---- */

static bool parse_extended(struct key_expr *out, struct descriptor *d, struct span key, struct span path,
    struct fail *why)
{
    struct fail ignored;
    if (!hdkey_from_text(&out->root, key, d->chain->xpub, d->chain->xprv, &ignored))
        return refuse(why, "key '%.*s' is not valid", shown(key), (const char *)key.data);
    out->is_extended = true;
    out->has_private = out->root.is_private;
    memcpy(out->pubkey, out->root.pubkey, sizeof out->root.pubkey);
    out->pubkey_size_b = sizeof out->root.pubkey;
    out->is_compressed = true;

    size_t n = path.size_b;
    if (n >= 2 && path.data[n - 1] == '*' && path.data[n - 2] == '/') {
        out->range = RANGE_PLAIN;
        path.size_b -= 2;
    } else if (n >= 3 && path.data[n - 2] == '*' && path.data[n - 3] == '/' &&
               (path.data[n - 1] == '\'' || path.data[n - 1] == 'h')) {
        out->range = RANGE_HARDENED;
        out->apostrophe = path.data[n - 1] == '\'';
        path.size_b -= 3;
    }
    if (path.size_b > 0 && memchr(path.data, '<', path.size_b) != NULL)
        return refuse(why, "multipath key expressions (<a;b>) are not supported by this program yet");
    if (path.size_b > 0 &&
        !parse_path(&out->path, &out->path_count, &out->apostrophe, d, path, why))
        return false;
    return walk_path(out, why);
}

static bool walk_path(struct key_expr *key, struct fail *why)
{
    struct hdkey next;
    struct fail cause;
    key->base = key->root;
    key->base_known = true;
    for (uint32_t i = 0; i < key->path_count; i++) {
        if (key->path[i] >= HD_HARDENED && !key->base.is_private) {
            key->base_known = false;
            return true;
        }
        if (!hdkey_child(&next, &key->base, key->path[i], &cause))
            return refuse(why, "key path: %s", cause.detail);
        key->base = next;
    }
    mem_wipe(&next, sizeof next);
    return true;
}

/* "/1/2h/3'" */
static bool parse_path(const uint32_t **out, uint32_t *count, bool *apostrophe, struct descriptor *d,
    struct span text, struct fail *why)
{
    uint32_t steps = 0;
    for (size_t i = 0; i < text.size_b; i++)
        steps += text.data[i] == '/';
    if (steps > DESCRIPTOR_PATH_MAX)
        return refuse(why, "Key path has more than %d steps", DESCRIPTOR_PATH_MAX);
    uint32_t *path = arena_array(&d->arena, steps, sizeof *path);
    if (path == NULL)
        return fail_oom(why, "descriptor");
    size_t at = 1;
    for (uint32_t i = 0; i < steps; i++) {
        size_t from = at;
        while (at < text.size_b && text.data[at] != '/')
            at++;
        if (!parse_step(&path[i], apostrophe, span_of(text.data + from, at - from), why))
            return false;
        at++;
    }
    *out = path;
    *count = steps;
    return true;
}

static bool parse_step(uint32_t *out, bool *apostrophe, struct span text, struct fail *why)
{
    uint64_t n = 0;
    struct span digits = text;
    bool hardened = false;
    if (text.size_b > 0 && (text.data[text.size_b - 1] == '\'' || text.data[text.size_b - 1] == 'h')) {
        hardened = true;
        *apostrophe = text.data[text.size_b - 1] == '\'';
        digits.size_b--;
    }
    bool valid = digits.size_b > 0 && digits.size_b <= 10;
    for (size_t i = 0; valid && i < digits.size_b; i++) {
        valid = digits.data[i] >= '0' && digits.data[i] <= '9';
        n = n * 10 + digits.data[i] - '0';
    }
    if (!valid || n > UINT32_MAX)
        return refuse(why, "Key path value '%.*s' is not a valid uint32", shown(digits),
            digits.size_b > 0 ? (const char *)digits.data : "");
    if (n >= HD_HARDENED)
        return refuse(why, "Key path value %" PRIu64 " is out of range", n);
    *out = (uint32_t)n | (hardened ? HD_HARDENED : 0);
    return true;
}

/* ---- back to text ---- */

void key_expr_put(struct buf *out, const struct descriptor *d, const struct key_expr *key,
    enum descriptor_form form)
{
    char text[HD_TEXT_SIZE_B], wif[ADDRESS_SIZE_B];
    bool secret = form == DESCRIPTOR_PRIVATE && key->has_private;

    if (form == DESCRIPTOR_NORMALIZED) {
        put_normalized(out, d, key);
        return;
    }
    put_origin(out, key, key->apostrophe);
    if (!key->is_extended) {
        if (secret && wif_encode(wif, d->chain, key->key, key->is_compressed))
            buf_put_text(out, wif);
        else if (key->is_xonly)
            buf_put_hex(out, key->pubkey + 1, 32);
        else
            buf_put_hex(out, key->pubkey, key->pubkey_size_b);
        mem_wipe(wif, sizeof wif);
        return;
    }
    struct hdkey root = key->root;
    if (!secret)
        hdkey_to_public(&root);
    hdkey_to_text(text, &root, secret ? d->chain->xprv : d->chain->xpub);
    buf_put_text(out, text);
    put_path(out, key->path, key->path_count, key->apostrophe);
    if (key->range != RANGE_NONE)
        buf_put_text(out, key->range == RANGE_PLAIN ? "/*" : key->apostrophe ? "/*'" : "/*h");
    mem_wipe(&root, sizeof root);
    mem_wipe(text, sizeof text);
}

/* Public, with h; hardened steps walked, so that the reader needs no private key. */
static void put_normalized(struct buf *out, const struct descriptor *d, const struct key_expr *key)
{
    char text[HD_TEXT_SIZE_B];
    uint8_t print[4];
    uint32_t walked = key->path_count;

    while (walked > 0 && key->path[walked - 1] < HD_HARDENED)
        walked--;
    if (!key->is_extended || key->range == RANGE_HARDENED || walked == 0) {
        struct key_expr plain = *key;
        plain.apostrophe = false;
        key_expr_put(out, d, &plain, DESCRIPTOR_PUBLIC);
        mem_wipe(&plain, sizeof plain);
        return;
    }
    struct hdkey at = key->root, next;
    struct fail ignored;
    for (uint32_t i = 0; i < walked; i++) {
        if (!hdkey_child(&next, &at, key->path[i], &ignored))
            break; /* it could when the path was parsed */
        at = next;
    }
    hdkey_to_public(&at);
    hdkey_to_text(text, &at, d->chain->xpub);
    mem_wipe(&next, sizeof next);
    hdkey_fingerprint(print, &key->root);
    buf_put_u8(out, '[');
    buf_put_hex(out, key->has_origin ? key->origin : print, sizeof print);
    put_path(out, key->origin_path, key->origin_count, false);
    put_path(out, key->path, walked, false);
    buf_put_u8(out, ']');
    buf_put_text(out, text);
    put_path(out, key->path + walked, key->path_count - walked, false);
    buf_put_text(out, key->range == RANGE_PLAIN ? "/*" : "");
}

static void put_origin(struct buf *out, const struct key_expr *key, bool apostrophe)
{
    if (!key->has_origin)
        return;
    buf_put_u8(out, '[');
    buf_put_hex(out, key->origin, sizeof key->origin);
    put_path(out, key->origin_path, key->origin_count, apostrophe);
    buf_put_u8(out, ']');
}

static void put_path(struct buf *out, const uint32_t *path, uint32_t count, bool apostrophe)
{
    for (uint32_t i = 0; i < count; i++)
        buf_printf(out, "/%" PRIu32 "%s", path[i] & ~HD_HARDENED,
            path[i] < HD_HARDENED ? "" : apostrophe ? "'" : "h");
}

/* How much of a text goes into a sentence. */
static int shown(struct span text)
{
    return text.size_b < 130 ? (int)text.size_b : 130;
}
