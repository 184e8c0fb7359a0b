/* parse.h - the steps from a chain file to a chain. */
#ifndef COIN_CHAIN_PARSE_H
#define COIN_CHAIN_PARSE_H

#include "coin/base/json.h"
#include "coin/chain/chain.h"

#define CHAIN_CHALLENGE_MAX_B 10000 /* a script that can be spent (BIP325) */

bool chain_read(struct chain *chain, const struct json *file, struct fail *why) MUST_USE;
/* Do the values make sense together? Fills what follows from others (pow_limit_bits). */
bool chain_check(struct chain *chain, struct fail *why) MUST_USE;
void chain_hash_rules(struct chain *chain);
/* BIP325: the first bytes of the double hash of the challenge as a string. */
void signet_magic(uint8_t out[4], struct span challenge);

#endif
