/* sign.h - makes signatures for the standard templates. Runs in jobs (a signature costs more than the
 * loop may spend). Thread: any (pure). */
#ifndef COIN_SCRIPT_SIGN_H
#define COIN_SCRIPT_SIGN_H

#include "coin/script/interpreter.h"
#include "coin/script/script.h"

/* Where the signer finds secrets; answers are for the duration of the call. */
struct sign_keys {
    void *ctx;
    /* The private key whose compressed (or uncompressed) public key hashes to hash160 / equals pubkey /
     * whose BIP341 output key is xonly. false: not ours. */
    bool (*by_hash)(void *ctx, uint8_t key[32], uint8_t pubkey[65], size_t *pubkey_size_b, const uint8_t hash160[20]);
    bool (*by_pubkey)(void *ctx, uint8_t key[32], struct span pubkey);
    /* tweak: 32 bytes of taproot tweak for the internal key that `key` is. */
    bool (*by_output)(void *ctx, uint8_t key[32], uint8_t tweak[32], const uint8_t xonly[32]);
    /* The redeem or witness script with this hash (20 or 32 bytes); a view. */
    bool (*script)(void *ctx, struct span *out, struct span hash);
};

/* Signs input `i` of the draft in place with what keys offers; complete: the input verifies afterwards,
 * under the standard flags. spent: the coins of all inputs (taproot signs them all).
 * hash_type: SIGHASH_ALL for ECDSA, SIGHASH_DEFAULT means ALL there. aux: 32 random bytes (BIP340).
 * Existing signatures are kept. false only on FAIL_NO_ROOM. */
bool sign_input(struct tx_draft *draft, uint32_t i, const struct coin *spent, const struct sign_keys *keys,
    uint32_t hash_type, const uint8_t aux[32], bool *complete, struct fail *why) MUST_USE;
/* Weight that signing adds at most to an empty input's (4 * TX_INPUT_SIZE_MIN_B): scriptSig, the longer
 * length in front of it, and the witness with its count. 0: unknown template. keys may be NULL: then
 * scripts behind hashes are unknown and keys taken to be compressed. */
uint32_t sign_input_weight_wu(struct span script_pubkey, const struct sign_keys *keys);

#endif
