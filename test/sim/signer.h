/* signer.h - signed spends for tests and measurements: keys by number, the two common kinds of output.
 * Owner: the test. Thread: any (pure). */
#ifndef COIN_SIM_SIGNER_H
#define COIN_SIM_SIGNER_H

#include "coin/primitives/coin.h"
#include "coin/primitives/tx.h"

enum signer_kind { SIGNER_ECDSA /* P2WPKH */, SIGNER_SCHNORR /* P2TR, key path */ };
#define SIGNER_SCRIPT_MAX_B 34
/* The output script of a key; its size. */
size_t signer_script(uint8_t out[SIGNER_SCRIPT_MAX_B], enum signer_kind kind, uint32_t key);
/* One input, that spends `spent` of this key and kind, to outputs that share its value. Ends the process
 * loudly when it fails. */
struct tx *signer_spend(const struct outpoint *from, const struct coin *spent,
    enum signer_kind kind, uint32_t key, struct span to, uint32_t outputs);

#endif
