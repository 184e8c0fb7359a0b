/* set_hash.h - the hash of a set of coins, as gettxoutsetinfo tells it and a snapshot is known by it. Coins come
 * in the order of their keys, as ledger_scan_coins walks them. Thread: any; one owner. */
#ifndef COIN_LEDGER_SET_HASH_H
#define COIN_LEDGER_SET_HASH_H

#include "coin/crypto/muhash.h"
#include "coin/crypto/sha256.h"
#include "coin/ledger/ledger.h"

enum set_hash_kind {
    SET_HASH_NONE,
    SET_HASH_SERIALIZED, /* hash_serialized_3: double SHA-256 over all coins, by outpoint */
    SET_HASH_MUHASH      /* the set's, whatever the order */
};
struct set_hash {
    enum set_hash_kind kind;
    /* private: */
    struct sha256 serialized;
    struct muhash muhash;
    struct txid txid;  /* the transaction whose coins are gathered */
    struct buf coded;  /* their bytes, one after the other */
    struct set_hash_coin *coins;
    uint32_t count, capacity;
};

void set_hash_init(struct set_hash *h, enum set_hash_kind kind);
void set_hash_clear(struct set_hash *h);
/* FAIL_NO_ROOM. All coins of one transaction come together, in any order. */
bool set_hash_add(struct set_hash *h, const struct outpoint *outpoint, const struct coin *coin, struct fail *why) MUST_USE;
/* Once, after the last coin; SET_HASH_NONE gives zeroes. */
bool set_hash_end(struct set_hash *h, uint8_t out[32], struct fail *why) MUST_USE;

#endif
