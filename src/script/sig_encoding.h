/* sig_encoding.h - the shape of ECDSA signatures and public keys on the stack. Private to script/.
 * Thread: any (pure). */
#ifndef COIN_SRC_SIG_ENCODING_H
#define COIN_SRC_SIG_ENCODING_H

#include "coin/base/bytes.h"

/* BIP66: 30 len 02 len R 02 len S hashtype, with R and S positive and without padding. */
bool sig_is_strict_der(struct span sig_with_hash_type);

#endif
