/* parts.h - a parsed descriptor, as this layer's files share it. Private to descriptor/.
 *
 * Wrappers and functions form at most sh(wsh(multi(...))), so a descriptor is flat: two flags, one inner
 * function, its keys. */
#ifndef COIN_SRC_DESCRIPTOR_PARTS_H
#define COIN_SRC_DESCRIPTOR_PARTS_H

#include "coin/base/mem.h"
#include "coin/descriptor/descriptor.h"

#define RPC_INVALID_ADDRESS_OR_KEY (-5)

enum function {
    FUNCTION_PK, FUNCTION_PKH, FUNCTION_WPKH, FUNCTION_MULTI, FUNCTION_SORTEDMULTI, FUNCTION_COMBO,
    FUNCTION_ADDR, FUNCTION_RAW, FUNCTION_TR, FUNCTION_RAWTR, FUNCTION_SH, FUNCTION_WSH
};
#define FUNCTIONS (FUNCTION_WSH + 1)
extern const char *const function_names[FUNCTIONS];

enum range { RANGE_NONE, RANGE_PLAIN, RANGE_HARDENED };

struct key_expr {
    bool has_origin, apostrophe; /* apostrophe: hardened steps are written ' instead of h */
    uint8_t origin[4];
    uint32_t origin_count;
    const uint32_t *origin_path;

    bool is_extended;            /* xpub or xprv; else one key */
    /* one key */
    bool is_xonly, is_compressed; /* xonly: written with 32 bytes */
    /* extended */
    enum range range;
    uint32_t path_count;
    const uint32_t *path;        /* behind the extended key, without the range's step */
    struct hdkey root;           /* as it was written */
    bool base_known;             /* false: a hardened step and no private key */
    struct hdkey base;           /* root after path: one step away from each key */
    /* both: one key; or of the root */
    bool has_private;
    uint8_t key[32];             /* one key only */
    uint8_t pubkey[65];
    uint32_t pubkey_size_b;
};

struct descriptor {
    const struct chain *chain;   /* borrowed; outlives it */
    bool in_sh, in_wsh;
    enum function function;
    uint32_t required;           /* multi */
    uint32_t key_count;
    struct key_expr *keys;       /* in the arena; wiped when freed */
    struct span script;          /* addr, raw */
    struct arena arena;
};

/* Fills d (chain set, arena ready) from text without checksum. */
bool descriptor_parse_text(struct descriptor *d, struct span text, struct fail *why) MUST_USE;
/* One key expression. uncompressed, xonly: allowed here. */
bool key_expr_parse(struct key_expr *out, struct descriptor *d, struct span text, bool uncompressed,
    bool xonly, struct fail *why) MUST_USE;
/* Appends a key as `form` writes it. */
void key_expr_put(struct buf *out, const struct descriptor *d, const struct key_expr *key,
    enum descriptor_form form);
bool refuse(struct fail *why, const char *format, ...) PRINTF_LIKE(2, 3); /* -5 */

#endif
