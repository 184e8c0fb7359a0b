/* keys.h - tables of the keys of a chain file: one row says where a value goes, what it may be, whether
 * it must be there, and whether it belongs to the rules hash. */
#ifndef COIN_CHAIN_KEYS_H
#define COIN_CHAIN_KEYS_H

#include "coin/base/json.h"
#include "coin/chain/chain.h"
#include "coin/crypto/sha256.h"

enum key_type {
    KEY_TEXT,      /* char[size_b]; min, max: length */
    KEY_BOOL,
    KEY_INT,       /* of size_b bytes; min, max */
    KEY_HEIGHT,    /* int32_t; a number or "never" */
    KEY_TIME,      /* int64_t; seconds, or "always", "never" (BIP9) */
    KEY_BYTES,     /* uint8_t[size_b], hex in wire order */
    KEY_HASH,      /* 32 bytes, hex reversed as people write ids */
    KEY_U256,      /* hex */
    KEY_BITS,      /* uint32_t, 8 hex digits */
    KEY_HEX,       /* struct buf; max: bytes */
    KEY_ALGORITHM, /* enum difficulty_kind */
    KEY_FLAGS,     /* uint32_t, array of names of script flags */
    KEY_PART       /* read and hashed by the row's own functions */
};
enum key_flag { KEY_REQUIRED = 1, KEY_RULE = 2 };

struct key {
    const char *name; /* NULL ends a table */
    enum key_type type;
    unsigned flags;
    size_t offset, size_b;
    int64_t min, max;
    bool (*read)(void *base, const struct json *v, const char *path, struct fail *why);
    void (*hash)(struct sha256 *s, const void *base);
};

/* Reads a whole object by a table: unknown and missing keys and wrong types are failures that name the
 * key. path is its name with a dot behind ("genesis."), or "". */
bool keys_read(void *base, const struct key *table, const struct json *object, const char *path,
    struct fail *why) MUST_USE;
/* Adds every KEY_RULE row: name with NUL, then its value in one canonical form. */
void keys_hash(struct sha256 *s, const struct key *table, const void *base);
void keys_hash_u64(struct sha256 *s, uint64_t v);
/* FAIL_REQUEST "chain-file"; returns false. */
bool key_failed(struct fail *why, const char *path, const char *name, const char *what);

#endif
