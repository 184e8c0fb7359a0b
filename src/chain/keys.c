/* Reading and hashing by table. A value's canonical form in the rules hash does not depend on how the
 * file wrote it: integers as 8 bytes little-endian with their sign, bytes as they are, texts and variable
 * bytes behind their length. */
#include "keys.h"

#include <stdio.h>
#include <string.h>

#define PATH_MAX_B 96 /* "deployments[7].min_activation_height" and room */

static const struct { const char *name; enum difficulty_kind kind; } algorithms[] = {
    { "none", DIFFICULTY_NONE }, { "bitcoin", DIFFICULTY_BITCOIN },
    { "lwma", DIFFICULTY_LWMA }, { "asert", DIFFICULTY_ASERT },
};

/* Script flags that an exception may leave on; numbers as in coin/script/interpreter.h. */
static const struct { const char *name; uint32_t flag; } script_flags[] = {
    { "P2SH", 1u << 0 }, { "DERSIG", 1u << 2 }, { "NULLDUMMY", 1u << 4 },
    { "CHECKLOCKTIMEVERIFY", 1u << 9 }, { "CHECKSEQUENCEVERIFY", 1u << 10 },
    { "WITNESS", 1u << 11 }, { "TAPROOT", 1u << 17 },
};

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static bool read_value(void *base, const struct key *key, const struct json *v, const char *path,
    struct fail *why) MUST_USE;

bool key_failed(struct fail *why, const char *path, const char *name, const char *what)
{
    return fail_set(why, FAIL_REQUEST, "chain-file", "key \"%s%s\" %s", path, name, what);
}

bool keys_read(void *base, const struct key *table, const struct json *object, const char *path,
    struct fail *why)
{
    if (object == NULL || object->type != JSON_OBJECT)
        return fail_set(why, FAIL_REQUEST, "chain-file", "%s%s must be an object, not %s",
            *path != 0 ? "key " : "the file", path, json_type_name(object));
    for (const struct json *v = object->first; v != NULL; v = v->next) {
        const struct key *key = table;
        while (key->name != NULL && !span_is(v->key, key->name))
            key++;
        if (key->name == NULL) {
            char name[PATH_MAX_B];
            snprintf(name, sizeof name, "%.*s", (int)(v->key.size_b < 64 ? v->key.size_b : 64),
                (const char *)v->key.data);
            return key_failed(why, path, name, "is unknown");
        }
        if (!read_value(base, key, v, path, why))
            return false;
    }
    for (const struct key *key = table; key->name != NULL; key++) {
        if ((key->flags & KEY_REQUIRED) != 0 && json_get(object, key->name) == NULL)
            return key_failed(why, path, key->name, "is missing");
    }
    return true;
}

static bool read_text(void *at, const struct key *key, const struct json *v, const char *name, struct fail *why)
{
    struct span text;
    if (!json_to_text(&text, v, name, why))
        return false;
    if ((int64_t)text.size_b < key->min || text.size_b >= key->size_b || memchr(text.data, 0, text.size_b) != NULL)
        return key_failed(why, "", name, "is too short or too long");
    memset(at, 0, key->size_b);
    memcpy(at, text.data, text.size_b);
    return true;
}

static bool read_int(void *at, const struct key *key, const struct json *v, const char *name, struct fail *why)
{
    int64_t number;
    if (!json_to_i64(&number, v, name, why))
        return false;
    if (number < key->min || number > key->max)
        return fail_set(why, FAIL_REQUEST, "chain-file", "key \"%s\" must be from %lld to %lld", name,
            (long long)key->min, (long long)key->max);
    uint8_t bytes[8];
    put_u64le(bytes, (uint64_t)number);
    /* Host order by value, not by byte. */
    switch (key->size_b) {
    case 1: *(uint8_t *)at = bytes[0]; return true;
    case 2: *(uint16_t *)at = (uint16_t)(bytes[0] | bytes[1] << 8); return true;
    case 4: { uint32_t u = get_u32le(bytes); memcpy(at, &u, sizeof u); return true; }
    default: memcpy(at, &number, sizeof number); return true;
    }
}

/* A number, or one of two words for numbers that mean something else. */
static bool read_word(int64_t *out, const struct json *v, const char *word, int64_t meaning)
{
    if (v->type != JSON_STRING || !span_is(v->text, word))
        return false;
    *out = meaning;
    return true;
}

static bool read_height(void *at, const struct json *v, const char *name, struct fail *why)
{
    int64_t height;
    if (!read_word(&height, v, "never", INT32_MAX)) {
        if (!json_to_i64(&height, v, name, why))
            return false;
        if (height < 0 || height >= INT32_MAX)
            return key_failed(why, "", name, "must be a height or \"never\"");
    }
    int32_t narrow = (int32_t)height;
    memcpy(at, &narrow, sizeof narrow);
    return true;
}

static bool read_time(void *at, const struct json *v, const char *name, struct fail *why)
{
    int64_t time_s;
    if (!read_word(&time_s, v, "always", BIP9_ALWAYS_ACTIVE) &&
        !read_word(&time_s, v, "never", BIP9_NEVER_ACTIVE)) {
        if (!json_to_i64(&time_s, v, name, why))
            return false;
        if (time_s < 0)
            return key_failed(why, "", name, "must be a time, \"always\" or \"never\"");
    }
    memcpy(at, &time_s, sizeof time_s);
    return true;
}

static bool read_digits(void *at, const struct key *key, const struct json *v, const char *name, struct fail *why)
{
    struct span text;
    if (!json_to_text(&text, v, name, why))
        return false;
    uint8_t bits[4];
    bool ok = false;
    switch (key->type) {
    case KEY_BYTES:
        ok = hex_decode(at, key->size_b, text);
        break;
    case KEY_HASH:
        ok = hash_from_hex(at, text);
        break;
    case KEY_U256:
        ok = u256_from_hex(at, text);
        break;
    case KEY_BITS:
        ok = hex_decode(bits, sizeof bits, text);
        if (ok) {
            uint32_t value = get_u32be(bits);
            memcpy(at, &value, sizeof value);
        }
        break;
    case KEY_HEX:
        buf_init(at, (size_t)key->max);
        ok = hex_to_buf(at, text);
        break;
    case KEY_TEXT: case KEY_BOOL: case KEY_INT: case KEY_HEIGHT: case KEY_TIME: case KEY_ALGORITHM:
    case KEY_FLAGS: case KEY_PART:
        break;
    }
    return ok || key_failed(why, "", name, "is not hex of the right length");
}

static bool read_algorithm(void *at, const struct json *v, const char *name, struct fail *why)
{
    for (size_t i = 0; v->type == JSON_STRING && i < COUNT_OF(algorithms); i++) {
        if (span_is(v->text, algorithms[i].name)) {
            memcpy(at, &algorithms[i].kind, sizeof algorithms[i].kind);
            return true;
        }
    }
    return key_failed(why, "", name, "must be none, bitcoin, lwma or asert");
}

static bool read_flags(void *at, const struct json *v, const char *name, struct fail *why)
{
    uint32_t flags = 0;
    if (v->type != JSON_ARRAY)
        return key_failed(why, "", name, "must be an array of script flags");
    for (const struct json *e = v->first; e != NULL; e = e->next) {
        size_t i = 0;
        while (i < COUNT_OF(script_flags) && (e->type != JSON_STRING || !span_is(e->text, script_flags[i].name)))
            i++;
        if (i == COUNT_OF(script_flags))
            return key_failed(why, "", name, "has an unknown script flag");
        flags |= script_flags[i].flag;
    }
    memcpy(at, &flags, sizeof flags);
    return true;
}

static bool read_value(void *base, const struct key *key, const struct json *v, const char *path,
    struct fail *why)
{
    char name[PATH_MAX_B];
    snprintf(name, sizeof name, "%s%s", path, key->name);
    void *at = (uint8_t *)base + key->offset;
    switch (key->type) {
    case KEY_TEXT: return read_text(at, key, v, name, why);
    case KEY_BOOL: return json_to_bool(at, v, name, why);
    case KEY_INT: return read_int(at, key, v, name, why);
    case KEY_HEIGHT: return read_height(at, v, name, why);
    case KEY_TIME: return read_time(at, v, name, why);
    case KEY_BYTES: case KEY_HASH: case KEY_U256: case KEY_BITS: case KEY_HEX:
        return read_digits(at, key, v, name, why);
    case KEY_ALGORITHM: return read_algorithm(at, v, name, why);
    case KEY_FLAGS: return read_flags(at, v, name, why);
    case KEY_PART: return key->read(base, v, name, why);
    }
    return false;
}

void keys_hash_u64(struct sha256 *s, uint64_t v)
{
    uint8_t bytes[8];
    put_u64le(bytes, v);
    sha256_add(s, bytes, sizeof bytes);
}

static void hash_int(struct sha256 *s, const void *at, size_t size_b)
{
    uint64_t number = 0;
    uint16_t two;
    int32_t four;
    if (size_b == 1)
        number = *(const uint8_t *)at;
    else if (size_b == 2)
        number = (memcpy(&two, at, sizeof two), two);
    else if (size_b == 4)
        number = (uint64_t)(memcpy(&four, at, sizeof four), four);
    else
        memcpy(&number, at, sizeof number);
    keys_hash_u64(s, number);
}

static void hash_value(struct sha256 *s, const struct key *key, const void *base)
{
    const void *at = (const uint8_t *)base + key->offset;
    uint8_t bytes[32];
    switch (key->type) {
    case KEY_TEXT:
        keys_hash_u64(s, strlen(at));
        sha256_add(s, at, strlen(at));
        break;
    case KEY_BOOL:
        keys_hash_u64(s, *(const bool *)at ? 1 : 0);
        break;
    case KEY_INT:
        hash_int(s, at, key->size_b);
        break;
    case KEY_HEIGHT: case KEY_BITS: case KEY_FLAGS: case KEY_ALGORITHM:
        hash_int(s, at, 4);
        break;
    case KEY_TIME:
        hash_int(s, at, 8);
        break;
    case KEY_BYTES:
        sha256_add(s, at, key->size_b);
        break;
    case KEY_HASH:
        sha256_add(s, at, 32);
        break;
    case KEY_U256:
        u256_to_le(bytes, at);
        sha256_add(s, bytes, sizeof bytes);
        break;
    case KEY_HEX:
        keys_hash_u64(s, ((const struct buf *)at)->size_b);
        sha256_add(s, ((const struct buf *)at)->data, ((const struct buf *)at)->size_b);
        break;
    case KEY_PART:
        key->hash(s, base);
        break;
    }
}

void keys_hash(struct sha256 *s, const struct key *table, const void *base)
{
    for (const struct key *key = table; key->name != NULL; key++) {
        if ((key->flags & KEY_RULE) == 0)
            continue;
        sha256_add(s, key->name, strlen(key->name) + 1);
        hash_value(s, key, base);
    }
}
