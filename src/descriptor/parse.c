/* parse.c - descriptors from text: functions, where each may stand, and their arguments. Sentences are
 * Bitcoin's, since getdescriptorinfo and importdescriptors hand them to the user.
 *
 * The nesting that exists is sh(wsh(x)), sh(x), wsh(x) and x, so functions are peeled off in a loop, not by
 * recursion: no text can go deeper. */
#include <inttypes.h>
#include <string.h>

#include "coin/script/address.h"
#include "parts.h"

#define BARE_MULTI_KEYS_MAX 3 /* policy calls no more standard */
#define MULTI_FRAME_B 3       /* m, n, OP_CHECKMULTISIG, each one byte up to 16 */

enum place { AT_TOP, IN_SH, IN_WSH };

static bool parse_function(struct descriptor *d, enum function function, struct span arguments,
    enum place place, struct fail *why);
static bool check_place(enum function function, enum place place, struct fail *why);
static bool parse_one_key(struct descriptor *d, struct span text, bool uncompressed, bool xonly,
    struct fail *why);
static bool parse_multi(struct descriptor *d, struct span arguments, enum place place, struct fail *why);
static bool check_multi(const struct descriptor *d, enum place place, struct fail *why);
static bool parse_addr(struct descriptor *d, struct span text, struct fail *why);
static bool parse_raw(struct descriptor *d, struct span text, struct fail *why);
static bool keep_script(struct descriptor *d, struct buf *script, struct fail *why);
static bool unknown_function(struct span text, enum place place, struct fail *why);
static struct span next_argument(struct span *rest);

/* "name(...)": true and what is between. */
static bool peel(struct span *inner, struct span text, const char *name)
{
    size_t name_b = strlen(name);
    if (text.size_b < name_b + 2 || memcmp(text.data, name, name_b) != 0 || text.data[name_b] != '(' ||
        text.data[text.size_b - 1] != ')')
        return false;
    *inner = span_of(text.data + name_b + 1, text.size_b - name_b - 2);
    return true;
}

bool descriptor_parse_text(struct descriptor *d, struct span text, struct fail *why)
{
    enum place place = AT_TOP;
    struct span inner;

    for (;;) {
        uint32_t f = 0;
        while (f < FUNCTIONS && !peel(&inner, text, function_names[f]))
            f++;
        if (f == FUNCTIONS)
            return unknown_function(text, place, why);
        if (!check_place((enum function)f, place, why))
            return false;
        if (f == FUNCTION_SH) {
            d->in_sh = true;
            place = IN_SH;
        } else if (f == FUNCTION_WSH) {
            d->in_wsh = true;
            place = IN_WSH;
        } else {
            d->function = (enum function)f;
            return parse_function(d, d->function, inner, place, why);
        }
        text = inner;
    }
}

static bool check_place(enum function function, enum place place, struct fail *why)
{
    switch (function) {
    case FUNCTION_PK:
    case FUNCTION_PKH:
    case FUNCTION_MULTI:
    case FUNCTION_SORTEDMULTI:
        return true;
    case FUNCTION_WPKH:
        return place != IN_WSH || refuse(why, "Can only have wpkh() at top level or inside sh()");
    case FUNCTION_SH:
        return place == AT_TOP || refuse(why, "Can only have sh() at top level");
    case FUNCTION_WSH:
        return place != IN_WSH || refuse(why, "Can only have wsh() at top level or inside sh()");
    case FUNCTION_COMBO:
        return place == AT_TOP || refuse(why, "Can only have combo() at top level");
    case FUNCTION_ADDR:
        return place == AT_TOP || refuse(why, "Can only have addr() at top level");
    case FUNCTION_RAW:
        return place == AT_TOP || refuse(why, "Can only have raw() at top level");
    case FUNCTION_TR:
        return place == AT_TOP || refuse(why, "Can only have tr at top level");
    case FUNCTION_RAWTR:
        return place == AT_TOP || refuse(why, "Can only have rawtr at top level");
    }
    return false;
}

static bool parse_function(struct descriptor *d, enum function function, struct span arguments,
    enum place place, struct fail *why)
{
    bool uncompressed = place != IN_WSH;
    switch (function) {
    case FUNCTION_PK:
    case FUNCTION_PKH:
    case FUNCTION_COMBO:
        return parse_one_key(d, arguments, uncompressed, false, why);
    case FUNCTION_WPKH:
        return parse_one_key(d, arguments, false, false, why);
    case FUNCTION_MULTI:
    case FUNCTION_SORTEDMULTI:
        return parse_multi(d, arguments, place, why);
    case FUNCTION_ADDR:
        return parse_addr(d, arguments, why);
    case FUNCTION_RAW:
        return parse_raw(d, arguments, why);
    case FUNCTION_TR:
        if (arguments.size_b > 0 && memchr(arguments.data, ',', arguments.size_b) != NULL)
            return refuse(why, "tr(): script trees are not supported by this program yet, only tr(KEY)");
        return parse_one_key(d, arguments, false, true, why);
    case FUNCTION_RAWTR:
        if (arguments.size_b > 0 && memchr(arguments.data, ',', arguments.size_b) != NULL)
            return refuse(why, "rawtr(): only one key expected.");
        return parse_one_key(d, arguments, false, true, why);
    case FUNCTION_SH:
    case FUNCTION_WSH:
        break;
    }
    return false;
}

static bool parse_one_key(struct descriptor *d, struct span text, bool uncompressed, bool xonly,
    struct fail *why)
{
    d->keys = arena_array(&d->arena, 1, sizeof *d->keys);
    if (d->keys == NULL)
        return fail_oom(why, "descriptor");
    d->key_count = 1;
    if (!key_expr_parse(&d->keys[0], d, text, uncompressed, xonly, why))
        return fail_prefix(why, "%s(): ", function_names[d->function]);
    return true;
}

/* ---- multi ---- */

static bool parse_multi(struct descriptor *d, struct span arguments, enum place place, struct fail *why)
{
    struct span number = next_argument(&arguments);
    uint64_t required = 0;
    bool valid = number.size_b > 0 && number.size_b <= 9;
    for (size_t i = 0; valid && i < number.size_b; i++) {
        valid = number.data[i] >= '0' && number.data[i] <= '9';
        required = required * 10 + number.data[i] - '0';
    }
    if (!valid)
        return refuse(why, "Multi threshold '%.*s' is not valid", (int)(number.size_b & 0xff),
            (const char *)number.data);
    d->required = (uint32_t)required;
    d->keys = arena_array(&d->arena, DESCRIPTOR_KEYS_MAX, sizeof *d->keys);
    if (d->keys == NULL)
        return fail_oom(why, "descriptor");
    uint32_t given = 0;
    for (; arguments.data != NULL; given++) {
        struct span text = next_argument(&arguments);
        if (given >= DESCRIPTOR_KEYS_MAX)
            continue; /* counted for the sentence below */
        d->key_count = given + 1;
        if (!key_expr_parse(&d->keys[given], d, text, place != IN_WSH, false, why))
            return fail_prefix(why, "Multi: ");
    }
    if (given == 0 || given > DESCRIPTOR_KEYS_MAX)
        return refuse(why, "Cannot have %" PRIu32 " keys in multisig; must have between 1 and %d keys, "
            "inclusive", given, DESCRIPTOR_KEYS_MAX);
    return check_multi(d, place, why);
}

static bool check_multi(const struct descriptor *d, enum place place, struct fail *why)
{
    if (d->required < 1)
        return refuse(why, "Multisig threshold cannot be %" PRIu32 ", must be at least 1", d->required);
    if (d->required > d->key_count)
        return refuse(why, "Multisig threshold cannot be larger than the number of keys; threshold is %"
            PRIu32 " but only %" PRIu32 " keys specified", d->required, d->key_count);
    if (place == AT_TOP && d->key_count > BARE_MULTI_KEYS_MAX)
        return refuse(why, "Cannot have %" PRIu32 " pubkeys in bare multisig; only at most %d pubkeys",
            d->key_count, BARE_MULTI_KEYS_MAX);
    if (place == IN_SH) {
        uint32_t size_b = MULTI_FRAME_B;
        for (uint32_t i = 0; i < d->key_count; i++)
            size_b += 1 + d->keys[i].pubkey_size_b;
        if (size_b > SCRIPT_ELEMENT_MAX_B)
            return refuse(why, "P2SH script is too large, %" PRIu32 " bytes is larger than %d bytes", size_b,
                SCRIPT_ELEMENT_MAX_B);
    }
    return true;
}

/* Up to the next comma; rest becomes what is behind it, its data NULL when there was none. */
static struct span next_argument(struct span *rest)
{
    const uint8_t *comma = rest->size_b > 0 ? memchr(rest->data, ',', rest->size_b) : NULL;
    struct span argument = *rest;
    if (comma == NULL) {
        *rest = (struct span){ 0 };
        return argument;
    }
    argument.size_b = (size_t)(comma - rest->data);
    *rest = span_of(comma + 1, rest->size_b - argument.size_b - 1);
    return argument;
}

/* ---- addr, raw ---- */

static bool parse_addr(struct descriptor *d, struct span text, struct fail *why)
{
    struct buf script;
    buf_init(&script, SCRIPT_ELEMENT_MAX_B);
    bool ok = address_to_script(&script, d->chain, text, why) ? keep_script(d, &script, why)
                                                              : refuse(why, "Address is not valid");
    buf_clear(&script);
    return ok;
}

static bool parse_raw(struct descriptor *d, struct span text, struct fail *why)
{
    struct buf script;
    buf_init(&script, DESCRIPTOR_TEXT_MAX_B);
    bool ok = text.size_b > 0 && hex_to_buf(&script, text) ? keep_script(d, &script, why)
                                                           : refuse(why, "Raw script is not hex");
    buf_clear(&script);
    return ok;
}

static bool keep_script(struct descriptor *d, struct buf *script, struct fail *why)
{
    uint8_t *copy = arena_new(&d->arena, script->size_b);
    if (copy == NULL)
        return fail_oom(why, "descriptor");
    memcpy(copy, script->data, script->size_b);
    d->script = span_of(copy, script->size_b);
    return true;
}

static bool unknown_function(struct span text, enum place place, struct fail *why)
{
    static const char *const later[] = { "musig", "sortedmulti_a", "multi_a" };
    struct span inner;
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
        if (peel(&inner, text, later[i]))
            return refuse(why, "%s() is not supported by this program yet", later[i]);
    }
    /* In wsh, Bitcoin takes what is no descriptor function for miniscript. */
    if (place == IN_WSH && text.size_b > 0 && memchr(text.data, '(', text.size_b) != NULL)
        return refuse(why, "miniscript is not supported by this program yet: '%.*s'",
            text.size_b < 100 ? (int)text.size_b : 100, (const char *)text.data);
    if (place != AT_TOP)
        return refuse(why, "A function is needed within %s", place == IN_SH ? "P2SH" : "P2WSH");
    return refuse(why, "'%.*s' is not a valid descriptor function",
        text.size_b < 200 ? (int)text.size_b : 200, (const char *)text.data);
}
