/* base58.h - base58check and bech32/bech32m (BIP173, BIP350). Thread: any (pure). */
#ifndef COIN_CRYPTO_BASE58_H
#define COIN_CRYPTO_BASE58_H

#include "coin/base/bytes.h"

#define BECH32_TEXT_MAX 90 /* BIP173 */

/* With the four bytes of checksum. decode fails on bad characters, checksum, or beyond out->limit_b. */
bool base58check_encode(struct buf *out, struct span bytes) MUST_USE;
bool base58check_decode(struct buf *out, struct span text) MUST_USE;
bool base58_encode(struct buf *out, struct span bytes) MUST_USE;
bool base58_decode(struct buf *out, struct span text) MUST_USE;

enum bech32_kind { BECH32, BECH32M };
/* values: 5 bits each. */
bool bech32_encode(struct buf *out, const char *hrp, struct span values, enum bech32_kind kind) MUST_USE;
/* hrp is written lower-case into hrp_out[84]. */
bool bech32_decode(struct buf *values, char hrp_out[84], enum bech32_kind *kind, struct span text) MUST_USE;
/* Witness program addresses: version 0 uses bech32, others bech32m. */
bool segwit_encode(struct buf *out, const char *hrp, uint32_t version, struct span program) MUST_USE;
bool segwit_decode(uint32_t *version, struct buf *program, const char *hrp, struct span text) MUST_USE;

#endif
