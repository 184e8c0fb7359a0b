/* descriptor.h - output descriptors (BIP380 to 386): text that says which scripts a wallet watches and how
 * they are spent. pk pkh wpkh sh wsh multi sortedmulti combo addr raw tr(KEY) rawtr; keys in hex, WIF,
 * xpub and xprv with origins, paths, and one range each. Script trees, miniscript and musig are refused
 * with a sentence that says so.
 *
 * Owner: the caller of descriptor_parse. A descriptor is immutable once parsed; its secrets are wiped when
 * it is freed. Thread: any (pure); parsing and expanding derive keys, so they belong into jobs. */
#ifndef COIN_DESCRIPTOR_DESCRIPTOR_H
#define COIN_DESCRIPTOR_DESCRIPTOR_H

#include "coin/chain/chain.h"
#include "coin/crypto/hdkey.h"
#include "coin/script/sign.h"

#define DESCRIPTOR_TEXT_MAX_B 16384 /* guess: 20 keys of 111 characters with long origins need 5 KiB */
#define DESCRIPTOR_CHECKSUM_SIZE_B 9 /* 8 characters and NUL */
#define DESCRIPTOR_SCRIPTS_MAX 4    /* combo with a compressed key */
#define DESCRIPTOR_KEYS_MAX 20      /* multi in wsh */
#define DESCRIPTOR_PATH_MAX 255     /* BIP32: depth is one byte */
#define DESCRIPTOR_INDEX_MAX 0x7fffffffu

struct descriptor;

/* text: with or without "#checksum"; require_checksum refuses it without. Surrounding white space is not
 * accepted. FAIL_REQUEST with rpc_code -5 and Bitcoin's words. */
bool descriptor_parse(struct descriptor **out, const struct chain *chain, struct span text,
    bool require_checksum, struct fail *why) MUST_USE;
void descriptor_free(struct descriptor *d); /* NULL is accepted */

/* The checksum of text without "#..."; false: a character that descriptors do not have. */
bool descriptor_checksum(char out[DESCRIPTOR_CHECKSUM_SIZE_B], struct span text) MUST_USE;

bool descriptor_is_range(const struct descriptor *d);
bool descriptor_is_solvable(const struct descriptor *d);    /* all but addr and raw */
bool descriptor_has_private(const struct descriptor *d);    /* any private key */
bool descriptor_has_all_private(const struct descriptor *d); /* every key private: it can sign alone */
bool descriptor_is_combo(const struct descriptor *d);       /* more than one script per index */
uint32_t descriptor_key_count(const struct descriptor *d);
/* The kind of its (last) script: SCRIPT_WITNESS_V0_KEYHASH for wpkh, SCRIPT_SCRIPTHASH for sh(...). */
enum script_kind descriptor_kind(const struct descriptor *d);
/* pkh: "legacy"; sh(wpkh): "p2sh-segwit"; wpkh: "bech32"; tr: "bech32m"; NULL: none (as Bitcoin's types). */
const char *descriptor_address_type(const struct descriptor *d);

/* How keys are written. All forms carry their checksum. */
enum descriptor_form {
    DESCRIPTOR_PUBLIC,    /* xpub, hex */
    DESCRIPTOR_PRIVATE,   /* xprv, WIF where known; FAIL_REQUEST -5 when no private key is known */
    DESCRIPTOR_NORMALIZED /* public, with hardened steps moved into the origin (listdescriptors) */
};
bool descriptor_to_text(struct buf *out, const struct descriptor *d, enum descriptor_form form,
    struct fail *why) MUST_USE;
/* Equal for two texts of one descriptor: the first 32 bytes of its public text's SHA-256 (its id). */
bool descriptor_id(uint8_t out[32], const struct descriptor *d, struct fail *why) MUST_USE;

/* ---- expanding ---- */
struct descriptor_key { /* one key of the scripts, in the order of the text (sortedmulti: not sorted) */
    uint8_t pubkey[65];
    uint32_t pubkey_size_b;    /* 33 or 65; taproot too (its x-only key is pubkey + 1) */
    uint8_t key[32];           /* private; zero when has_private is false */
    bool has_private;
    bool has_origin;           /* fingerprint and path say where it comes from (PSBT, hdkeypath) */
    uint8_t fingerprint[4];    /* of the master */
    uint32_t path_count;
    const uint32_t *path;      /* in the expansion's arena */
};
struct descriptor_script {
    struct span script;        /* the output script */
    struct span redeem;        /* sh: empty otherwise */
    struct span witness;       /* wsh: empty otherwise */
    bool is_taproot;           /* tr: internal key is keys[0]; tweak below */
    uint8_t tap_output[32];    /* tr: x-only output key */
    uint8_t tap_tweak[32];     /* tr: H_TapTweak(internal key); rawtr: all zero, and has_tweak false */
    bool has_tweak;
};
struct descriptor_expansion {
    uint32_t script_count, key_count;
    struct descriptor_script scripts[DESCRIPTOR_SCRIPTS_MAX];
    struct descriptor_key keys[DESCRIPTOR_KEYS_MAX];
    struct arena arena; /* all spans point in here */
};
/* index counts for ranged ones only, at most DESCRIPTOR_INDEX_MAX. out is filled from scratch; clear it
 * after true (after false nothing is left to clear). FAIL_REQUEST -5 when a hardened step lacks its
 * private key, or this index gives no valid key (probability 2^-127). */
bool descriptor_expand(struct descriptor_expansion *out, const struct descriptor *d, uint32_t index,
    struct fail *why) MUST_USE;
void descriptor_expansion_clear(struct descriptor_expansion *e); /* wipes the private keys */

/* A signer's view of one expansion, which must outlive its use: the answers come from keys[] and
 * scripts[]. Good for exactly the scripts of that index. */
void descriptor_sign_keys(struct sign_keys *out, struct descriptor_expansion *e);

/* ---- inferring ---- */
/* "desc" of RPC: appends the descriptor with checksum that a script shows of itself: pk, multi, rawtr where
 * it has the keys, addr where it has an address, else raw. */
bool descriptor_infer(struct buf *out, const struct chain *chain, struct span script, struct fail *why) MUST_USE;
/* The same for a P2WSH script whose inner script is known: wsh(multi) where it is that. */
bool descriptor_infer_wsh(struct buf *out, const struct chain *chain, struct span script, struct span inner,
    struct fail *why) MUST_USE;

#endif
