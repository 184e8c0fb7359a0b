/* address.h - addresses and WIF keys of a chain. Thread: any (pure). */
#ifndef COIN_SCRIPT_ADDRESS_H
#define COIN_SCRIPT_ADDRESS_H

#include "coin/chain/chain.h"
#include "coin/script/script.h"

#define ADDRESS_SIZE_B 128 /* longest text, NUL included */

/* true and the text when the script has an address on this chain. */
bool address_from_script(char out[ADDRESS_SIZE_B], const struct chain *chain, struct span script);
/* FAIL_REQUEST with rpc_code -5 and Bitcoin's words ("Invalid or unsupported Segwit (Bech32) or Base58
 * encoding." and so on). script: appended. */
bool address_to_script(struct buf *script, const struct chain *chain, struct span text, struct fail *why) MUST_USE;

bool wif_encode(char out[ADDRESS_SIZE_B], const struct chain *chain, const uint8_t key[32], bool compressed);
bool wif_decode(uint8_t key[32], bool *compressed, const struct chain *chain, struct span text) MUST_USE;

#endif
