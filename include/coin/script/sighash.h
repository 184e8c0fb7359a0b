/* sighash.h - what a signature signs: legacy, BIP143, BIP341. Thread: any (pure); a struct sighash_pre is
 * immutable once made and may be shared by workers checking inputs of one transaction. */
#ifndef COIN_SCRIPT_SIGHASH_H
#define COIN_SCRIPT_SIGHASH_H

#include "coin/primitives/coin.h"

#define SIGHASH_DEFAULT 0x00u
#define SIGHASH_ALL 0x01u
#define SIGHASH_NONE 0x02u
#define SIGHASH_SINGLE 0x03u
#define SIGHASH_ANYONECANPAY 0x80u

struct sighash_pre {
    const struct tx *tx;        /* borrowed */
    const struct coin *spent;   /* borrowed; one per input; NULL: unknown (taproot fails then) */
    bool has_v0, has_taproot;   /* which groups below are filled */
    uint8_t prevouts_d[32], sequences_d[32], outputs_d[32];          /* BIP143: double */
    uint8_t prevouts[32], amounts[32], scripts[32], sequences[32], outputs[32]; /* BIP341: single */
};
/* Fills the hashes that the kinds of spent scripts can need. */
void sighash_pre_init(struct sighash_pre *pre, const struct tx *tx, const struct coin *spent);

/* hash_type as signed 32 bit, for the legacy oddities. script_code: after OP_CODESEPARATOR handling. */
void sighash_legacy(uint8_t out[32], const struct tx *tx, uint32_t input, struct span script_code,
    uint32_t hash_type);
void sighash_v0(uint8_t out[32], const struct sighash_pre *pre, uint32_t input, struct span script_code,
    int64_t amount_sat, uint32_t hash_type);

struct sighash_tap { /* per input, BIP341/342 */
    const uint8_t *annex_hash;   /* 32 bytes or NULL */
    const uint8_t *leaf_hash;    /* 32 bytes: tapscript; NULL: key path */
    uint32_t codeseparator_position;
};
/* false: the hash type is not allowed for this input (SIGHASH_SINGLE without output, bad type). */
bool sighash_taproot(uint8_t out[32], const struct sighash_pre *pre, uint32_t input, uint32_t hash_type,
    const struct sighash_tap *tap) MUST_USE;

#endif
