/* bip39_words.h - the word list that recovery words come from. Thread: any (constant). */
#ifndef COIN_WALLET_BIP39_WORDS_H
#define COIN_WALLET_BIP39_WORDS_H

#define BIP39_WORDS 2048
extern const char *const bip39_words[BIP39_WORDS]; /* sorted */

#endif
