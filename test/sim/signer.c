/* Signs by hand what the templates ask for, with none of the code that chooses a template. */
#include "signer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coin/crypto/hash.h"
#include "coin/crypto/secp.h"
#include "coin/script/script.h"
#include "coin/script/sighash.h"

#define SIGHASH_ALL_BYTE 1

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "signer: %s failed\n", what);
    exit(2);
}

static void key_of(uint8_t key[32], uint8_t pubkey[33], uint32_t number)
{
    memset(key, 0x11, 32);
    for (int i = 0; i < 4; i++)
        key[28 + i] = (uint8_t)(number >> (8 * i));
    must(secp_pubkey_create(pubkey, key), "key");
}

size_t signer_script(uint8_t out[SIGNER_SCRIPT_MAX_B], enum signer_kind kind, uint32_t number)
{
    uint8_t key[32], pubkey[33];
    key_of(key, pubkey, number);
    if (kind == SIGNER_SCHNORR) { /* the key itself is the output key: nothing is tweaked */
        out[0] = OP_1;
        out[1] = 32;
        memcpy(out + 2, pubkey + 1, 32);
        return 34;
    }
    out[0] = OP_0;
    out[1] = 20;
    hash160(out + 2, pubkey, sizeof pubkey);
    return 22;
}

static void sign_ecdsa(struct tx_draft *draft, const struct sighash_pre *pre, const struct coin *spent,
    const uint8_t key[32], const uint8_t pubkey[33])
{
    uint8_t code[25] = {OP_DUP, OP_HASH160, 20}, hash[32], der[73];
    size_t size_b;
    memcpy(code + 3, spent->script.data + 2, 20);
    code[23] = OP_EQUALVERIFY;
    code[24] = OP_CHECKSIG;
    sighash_v0(hash, pre, 0, span_of(code, sizeof code), spent->value_sat, SIGHASH_ALL_BYTE);
    must(secp_ecdsa_sign(der, &size_b, key, hash, false), "ECDSA");
    der[size_b++] = SIGHASH_ALL_BYTE;
    struct span items[2] = {span_of(der, size_b), span_of(pubkey, 33)};
    must(tx_draft_set_witness(draft, 0, items, 2), "witness");
}

static void sign_schnorr(
    struct tx_draft *draft, const struct sighash_pre *pre, const uint8_t key[32])
{
    uint8_t hash[32], sig[64];
    static const uint8_t aux[32] = {0};
    struct sighash_tap tap = {.codeseparator_position = UINT32_MAX};
    must(sighash_taproot(hash, pre, 0, 0, &tap), "taproot hash");
    must(secp_schnorr_sign(sig, key, NULL, hash, aux), "Schnorr");
    struct span item = span_of(sig, sizeof sig);
    must(tx_draft_set_witness(draft, 0, &item, 1), "witness");
}

struct tx *signer_spend(const struct outpoint *from, const struct coin *spent,
    enum signer_kind kind, uint32_t number, struct span to, uint32_t outputs)
{
    struct tx_draft draft;
    struct tx *bare = NULL, *tx = NULL;
    struct fail why;
    uint8_t key[32], pubkey[33];
    key_of(key, pubkey, number);
    tx_draft_init(&draft);
    draft.version = 2;
    must(tx_draft_add_in(&draft, from, SEQUENCE_FINAL) != NULL, "input");
    for (uint32_t i = 0; i < outputs; i++)
        must(tx_draft_add_out(&draft, spent->value_sat / outputs, to) != NULL, "output");
    must(tx_draft_finish(&bare, &draft, &why), "transaction");
    struct sighash_pre pre;
    memset(&pre, 0, sizeof pre);
    static const struct span one = {(const uint8_t *)"\1", 1};
    must(tx_draft_set_witness(&draft, 0, &one, 1), "witness"); /* so that the segwit hashes are made */
    tx_unref(bare);
    must(tx_draft_finish(&bare, &draft, &why), "transaction");
    sighash_pre_init(&pre, bare, spent);
    if (kind == SIGNER_ECDSA)
        sign_ecdsa(&draft, &pre, spent, key, pubkey);
    else
        sign_schnorr(&draft, &pre, key);
    must(tx_draft_finish(&tx, &draft, &why), "transaction");
    tx_unref(bare);
    tx_draft_clear(&draft);
    return tx;
}
