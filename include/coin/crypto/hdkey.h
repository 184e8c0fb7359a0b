/* hdkey.h - BIP32 keys. Thread: any (pure). */
#ifndef COIN_CRYPTO_HDKEY_H
#define COIN_CRYPTO_HDKEY_H

#include "coin/base/bytes.h"

#define HD_HARDENED 0x80000000u
#define HD_TEXT_SIZE_B 120

struct hdkey {
    uint8_t key[32];    /* private; zero when is_private is false */
    uint8_t pubkey[33];
    uint8_t chain_code[32];
    uint8_t parent_fingerprint[4];
    uint32_t child;
    uint8_t depth;
    bool is_private;
};

bool hdkey_from_seed(struct hdkey *out, struct span seed, struct fail *why) MUST_USE;
/* index >= HD_HARDENED needs a private parent. */
bool hdkey_child(struct hdkey *out, const struct hdkey *parent, uint32_t index, struct fail *why) MUST_USE;
void hdkey_to_public(struct hdkey *key);
void hdkey_fingerprint(uint8_t out[4], const struct hdkey *key);
/* versions: 4 bytes each, the chain's (xpub 0488b21e, xprv 0488ade4). */
void hdkey_to_text(char out[HD_TEXT_SIZE_B], const struct hdkey *key, const uint8_t version[4]);
bool hdkey_from_text(struct hdkey *out, struct span text, const uint8_t version_public[4],
    const uint8_t version_private[4], struct fail *why) MUST_USE;

#endif
