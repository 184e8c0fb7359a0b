/* descriptor.c - a descriptor's life, its properties, and its way back to text.
 *
 * The checksum is BIP380's: a BCH code over the text, in which characters are grouped so that case errors
 * and mistyped neighbours cost few symbols. */
#include "coin/descriptor/descriptor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "coin/crypto/sha256.h"
#include "coin/script/address.h"
#include "parts.h"

const char *const function_names[FUNCTIONS] = {
    [FUNCTION_PK] = "pk", [FUNCTION_PKH] = "pkh", [FUNCTION_WPKH] = "wpkh", [FUNCTION_MULTI] = "multi",
    [FUNCTION_SORTEDMULTI] = "sortedmulti", [FUNCTION_COMBO] = "combo", [FUNCTION_ADDR] = "addr",
    [FUNCTION_RAW] = "raw", [FUNCTION_TR] = "tr", [FUNCTION_RAWTR] = "rawtr", [FUNCTION_SH] = "sh",
    [FUNCTION_WSH] = "wsh",
};

static bool split_checksum(struct span *text, bool require, struct fail *why);
static uint64_t polymod(uint64_t c, unsigned value);
static void put_body(struct buf *out, const struct descriptor *d, enum descriptor_form form);

bool refuse(struct fail *why, const char *format, ...)
{
    char text[FAIL_DETAIL_SIZE_B];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fail_request(why, RPC_INVALID_ADDRESS_OR_KEY, "%s", text);
}

bool descriptor_parse(struct descriptor **out, const struct chain *chain, struct span text,
    bool require_checksum, struct fail *why)
{
    *out = NULL;
    if (text.size_b > DESCRIPTOR_TEXT_MAX_B)
        return refuse(why, "Descriptor is longer than %d characters", DESCRIPTOR_TEXT_MAX_B);
    if (!split_checksum(&text, require_checksum, why))
        return false;
    struct descriptor *d = mem_new(sizeof *d);
    d->chain = chain;
    arena_init(&d->arena, 0);
    if (!descriptor_parse_text(d, text, why)) {
        descriptor_free(d);
        return false;
    }
    *out = d;
    return true;
}

void descriptor_free(struct descriptor *d)
{
    if (d == NULL)
        return;
    if (d->keys != NULL)
        mem_wipe(d->keys, d->key_count * sizeof *d->keys);
    arena_clear(&d->arena);
    mem_free(d);
}

/* ---- checksum ---- */

static bool split_checksum(struct span *text, bool require, struct fail *why)
{
    char computed[DESCRIPTOR_CHECKSUM_SIZE_B];
    const uint8_t *hash = text->size_b > 0 ? memchr(text->data, '#', text->size_b) : NULL;
    struct span given = { 0 };

    if (hash != NULL) {
        given = span_of(hash + 1, text->size_b - (size_t)(hash + 1 - text->data));
        text->size_b = (size_t)(hash - text->data);
        if (given.size_b > 0 && memchr(given.data, '#', given.size_b) != NULL)
            return refuse(why, "Multiple '#' symbols");
        if (given.size_b != DESCRIPTOR_CHECKSUM_SIZE_B - 1)
            return refuse(why, "Expected 8 character checksum, not %zu characters", given.size_b);
    } else if (require) {
        return refuse(why, "Missing checksum");
    }
    if (!descriptor_checksum(computed, *text))
        return refuse(why, "Invalid characters in payload");
    if (hash != NULL && !span_is(given, computed))
        return refuse(why, "Provided checksum '%.8s' does not match computed checksum '%s'",
            (const char *)given.data, computed);
    return true;
}

bool descriptor_checksum(char out[DESCRIPTOR_CHECKSUM_SIZE_B], struct span text)
{
    static const char input[] = "0123456789()[],'/*abcdefgh@:$%{}"
                                "IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~"
                                "ijklmnopqrstuvwxyzABCDEFGH`#\"\\ ";
    static const char symbols[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    uint64_t c = 1;
    unsigned group = 0, group_count = 0;

    for (size_t i = 0; i < text.size_b; i++) {
        const char *at = text.data[i] != 0 ? strchr(input, text.data[i]) : NULL;
        if (at == NULL)
            return false;
        unsigned position = (unsigned)(at - input);
        c = polymod(c, position & 31);
        group = group * 3 + (position >> 5); /* the class of three characters makes one more symbol */
        if (++group_count == 3) {
            c = polymod(c, group);
            group = group_count = 0;
        }
    }
    if (group_count > 0)
        c = polymod(c, group);
    for (int i = 0; i < 8; i++)
        c = polymod(c, 0);
    c ^= 1;
    for (int i = 0; i < 8; i++)
        out[i] = symbols[c >> (5 * (7 - i)) & 31];
    out[8] = 0;
    return true;
}

static uint64_t polymod(uint64_t c, unsigned value)
{
    static const uint64_t generator[5] = { 0xf5dee51989, 0xa9fdca3312, 0x1bab10e32d, 0x3706b1677a,
        0x644d626ffd };
    uint64_t top = c >> 35;
    c = (c & 0x7ffffffff) << 5 ^ value;
    for (int i = 0; i < 5; i++) {
        if (top >> i & 1)
            c ^= generator[i];
    }
    return c;
}

/* ---- properties ---- */

bool descriptor_is_range(const struct descriptor *d)
{
    for (uint32_t i = 0; i < d->key_count; i++) {
        if (d->keys[i].range != RANGE_NONE)
            return true;
    }
    return false;
}

bool descriptor_is_solvable(const struct descriptor *d)
{
    return d->function != FUNCTION_ADDR && d->function != FUNCTION_RAW;
}

bool descriptor_has_private(const struct descriptor *d)
{
    for (uint32_t i = 0; i < d->key_count; i++) {
        if (d->keys[i].has_private)
            return true;
    }
    return false;
}

bool descriptor_has_all_private(const struct descriptor *d)
{
    for (uint32_t i = 0; i < d->key_count; i++) {
        if (!d->keys[i].has_private)
            return false;
    }
    return d->key_count > 0;
}

bool descriptor_is_combo(const struct descriptor *d)
{
    return d->function == FUNCTION_COMBO;
}

uint32_t descriptor_key_count(const struct descriptor *d)
{
    return d->key_count;
}

enum script_kind descriptor_kind(const struct descriptor *d)
{
    if (d->in_sh)
        return SCRIPT_SCRIPTHASH;
    if (d->in_wsh)
        return SCRIPT_WITNESS_V0_SCRIPTHASH;
    switch (d->function) {
    case FUNCTION_PK: return SCRIPT_PUBKEY;
    case FUNCTION_PKH: return SCRIPT_PUBKEYHASH;
    case FUNCTION_WPKH: return SCRIPT_WITNESS_V0_KEYHASH;
    case FUNCTION_MULTI:
    case FUNCTION_SORTEDMULTI: return SCRIPT_MULTISIG;
    case FUNCTION_COMBO:
        return d->keys[0].pubkey_size_b == 33 ? SCRIPT_SCRIPTHASH : SCRIPT_PUBKEYHASH;
    case FUNCTION_ADDR:
    case FUNCTION_RAW: return script_match(d->script).kind;
    case FUNCTION_TR:
    case FUNCTION_RAWTR: return SCRIPT_WITNESS_V1_TAPROOT;
    case FUNCTION_SH: return SCRIPT_SCRIPTHASH;
    case FUNCTION_WSH: return SCRIPT_WITNESS_V0_SCRIPTHASH;
    }
    return SCRIPT_NONSTANDARD;
}

const char *descriptor_address_type(const struct descriptor *d)
{
    if (d->function == FUNCTION_COMBO)
        return NULL;
    if (d->in_sh)
        return d->in_wsh || d->function == FUNCTION_WPKH ? "p2sh-segwit" : "legacy";
    switch (descriptor_kind(d)) {
    case SCRIPT_PUBKEYHASH:
    case SCRIPT_SCRIPTHASH: return "legacy";
    case SCRIPT_WITNESS_V0_KEYHASH:
    case SCRIPT_WITNESS_V0_SCRIPTHASH: return "bech32";
    case SCRIPT_WITNESS_V1_TAPROOT:
    case SCRIPT_ANCHOR:
    case SCRIPT_WITNESS_UNKNOWN: return "bech32m";
    case SCRIPT_PUBKEY:
    case SCRIPT_MULTISIG:
    case SCRIPT_NULLDATA:
    case SCRIPT_NONSTANDARD: return NULL;
    }
    return NULL;
}

/* ---- text ---- */

bool descriptor_to_text(struct buf *out, const struct descriptor *d, enum descriptor_form form,
    struct fail *why)
{
    char checksum[DESCRIPTOR_CHECKSUM_SIZE_B];
    size_t start_b = out->size_b;

    if (form == DESCRIPTOR_PRIVATE && !descriptor_has_private(d))
        return refuse(why, "Can't get private descriptor string: no private key is known");
    if (form == DESCRIPTOR_NORMALIZED) {
        for (uint32_t i = 0; i < d->key_count; i++) {
            if (d->keys[i].is_extended && d->keys[i].range != RANGE_HARDENED && !d->keys[i].base_known)
                return refuse(why, "Can't get normalized descriptor string: a hardened step lacks its "
                    "private key");
        }
    }
    put_body(out, d, form);
    if (!buf_ok(out, "descriptor", why))
        return false;
    if (!descriptor_checksum(checksum, span_of(out->data + start_b, out->size_b - start_b)))
        return refuse(why, "Invalid characters in payload");
    buf_put_u8(out, '#');
    buf_put_text(out, checksum);
    return buf_ok(out, "descriptor", why);
}

static void put_body(struct buf *out, const struct descriptor *d, enum descriptor_form form)
{
    char address[ADDRESS_SIZE_B];

    buf_put_text(out, d->in_sh ? "sh(" : "");
    buf_put_text(out, d->in_wsh ? "wsh(" : "");
    buf_printf(out, "%s(", function_names[d->function]);
    if (d->function == FUNCTION_ADDR) {
        if (address_from_script(address, d->chain, d->script))
            buf_put_text(out, address);
    } else if (d->function == FUNCTION_RAW) {
        buf_put_hex(out, d->script.data, d->script.size_b);
    } else if (d->function == FUNCTION_MULTI || d->function == FUNCTION_SORTEDMULTI) {
        buf_printf(out, "%" PRIu32 ",", d->required);
    }
    for (uint32_t i = 0; i < d->key_count; i++) {
        if (i > 0)
            buf_put_u8(out, ',');
        key_expr_put(out, d, &d->keys[i], form);
    }
    buf_put_u8(out, ')');
    buf_put_text(out, d->in_wsh ? ")" : "");
    buf_put_text(out, d->in_sh ? ")" : "");
}

bool descriptor_id(uint8_t out[32], const struct descriptor *d, struct fail *why)
{
    struct buf text;
    buf_init(&text, 2 * DESCRIPTOR_TEXT_MAX_B);
    bool ok = descriptor_to_text(&text, d, DESCRIPTOR_PUBLIC, why);
    if (ok)
        sha256(out, text.data, text.size_b);
    buf_clear(&text);
    return ok;
}
