/* bip39.h - recovery words (BIP39, English). Secrets: the caller wipes what it gets.
 * Thread: any (pure); bip39_seed stretches 2,048 times, so it runs in a job. */
#ifndef COIN_WALLET_BIP39_H
#define COIN_WALLET_BIP39_H

#include "coin/base/bytes.h"

#define BIP39_ENTROPY_MAX_B 32
#define BIP39_TEXT_SIZE_B 256 /* 24 words of at most 8 letters, blanks and NUL */
#define BIP39_SEED_SIZE_B 64

/* entropy: 16, 20, 24, 28 or 32 bytes make 12, 15, 18, 21 or 24 words. */
bool bip39_words_from_entropy(char out[BIP39_TEXT_SIZE_B], struct span entropy) MUST_USE;
/* Accepts any blanks between words; FAIL_REQUEST names the word that is unknown, a wrong count, or says
 * that the checksum does not fit. */
bool bip39_entropy_from_words(uint8_t out[BIP39_ENTROPY_MAX_B], size_t *size_b, struct span words,
    struct fail *why) MUST_USE;
/* words: as bip39_words_from_entropy writes them. passphrase: already NFKD; may be empty. */
bool bip39_seed(uint8_t seed[BIP39_SEED_SIZE_B], struct span words, struct span passphrase,
    struct fail *why) MUST_USE;

#endif
