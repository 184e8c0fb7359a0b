/* BIP32. */

#include "coin/crypto/hdkey.h"

#include <string.h>

#include "coin/base/mem.h"
#include "coin/crypto/base58.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/secp.h"

#define HD_SIZE_B 78

bool hdkey_from_seed(struct hdkey *out, struct span seed, struct fail *why)
{
    uint8_t i[64];
    memset(out, 0, sizeof *out);
    hmac_sha512(i, span_text("Bitcoin seed"), seed);
    memcpy(out->key, i, 32);
    memcpy(out->chain_code, i + 32, 32);
    out->is_private = true;
    mem_wipe(i, sizeof i);
    return (secp_key_is_valid(out->key) && secp_pubkey_create(out->pubkey, out->key)) ||
           fail_set(why, FAIL_INVALID, "bip32", "this seed has no master key");
}

bool hdkey_child(struct hdkey *out, const struct hdkey *parent, uint32_t index, struct fail *why)
{
    uint8_t data[37] = {0}, i[64];
    struct hdkey child = *parent;
    if (index >= HD_HARDENED && !parent->is_private)
        return fail_set(why, FAIL_INVALID, "bip32", "a hardened child needs the private key");
    if (parent->depth == UINT8_MAX)
        return fail_set(why, FAIL_INVALID, "bip32", "a key path has at most 255 steps");
    if (index >= HD_HARDENED)
        memcpy(data + 1, parent->key, 32);
    else
        memcpy(data, parent->pubkey, 33);
    put_u32be(data + 33, index);
    hmac_sha512(i, span_of(parent->chain_code, 32), span_of(data, sizeof data));
    bool ok;
    if (parent->is_private)
        ok = secp_key_add(child.key, i) && secp_pubkey_create(child.pubkey, child.key);
    else
        ok = secp_pubkey_add(child.pubkey, i);
    memcpy(child.chain_code, i + 32, 32);
    hdkey_fingerprint(child.parent_fingerprint, parent);
    child.child = index;
    child.depth++;
    if (ok)
        *out = child;
    mem_wipe(data, sizeof data);
    mem_wipe(i, sizeof i);
    mem_wipe(&child, sizeof child);
    return ok || fail_set(why, FAIL_INVALID, "bip32", "there is no key at this index: use the next");
}

void hdkey_to_public(struct hdkey *key)
{
    mem_wipe(key->key, sizeof key->key);
    key->is_private = false;
}

void hdkey_fingerprint(uint8_t out[4], const struct hdkey *key)
{
    uint8_t hash[20];
    hash160(hash, key->pubkey, 33);
    memcpy(out, hash, 4);
}

void hdkey_to_text(char out[HD_TEXT_SIZE_B], const struct hdkey *key, const uint8_t version[4])
{
    uint8_t b[HD_SIZE_B] = {0};
    struct buf text;
    buf_init(&text, HD_TEXT_SIZE_B);
    memcpy(b, version, 4);
    b[4] = key->depth;
    memcpy(b + 5, key->parent_fingerprint, 4);
    put_u32be(b + 9, key->child);
    memcpy(b + 13, key->chain_code, 32);
    if (key->is_private)
        memcpy(b + 46, key->key, 32);
    else
        memcpy(b + 45, key->pubkey, 33);
    out[0] = 0;
    if (base58check_encode(&text, span_of(b, sizeof b)) && text.size_b < HD_TEXT_SIZE_B) {
        memcpy(out, text.data, text.size_b);
        out[text.size_b] = 0;
    }
    mem_wipe(b, sizeof b);
    if (text.data != NULL)
        mem_wipe(text.data, text.size_b);
    buf_clear(&text);
}

bool hdkey_from_text(struct hdkey *out, struct span text, const uint8_t version_public[4],
    const uint8_t version_private[4], struct fail *why)
{
    struct buf b;
    buf_init(&b, HD_SIZE_B + 4);
    memset(out, 0, sizeof *out);
    bool ok = base58check_decode(&b, text) && b.size_b == HD_SIZE_B;
    if (ok) {
        out->is_private = memcmp(b.data, version_private, 4) == 0;
        out->depth = b.data[4];
        memcpy(out->parent_fingerprint, b.data + 5, 4);
        out->child = get_u32be(b.data + 9);
        memcpy(out->chain_code, b.data + 13, 32);
        memcpy(out->key, b.data + 46, 32);
        if (out->is_private)
            ok = b.data[45] == 0 && secp_key_is_valid(out->key) && secp_pubkey_create(out->pubkey, out->key);
        else
            ok = memcmp(b.data, version_public, 4) == 0 && secp_pubkey_is_valid(span_of(b.data + 45, 33));
        if (ok && !out->is_private) {
            memcpy(out->pubkey, b.data + 45, 33);
            memset(out->key, 0, 32);
        }
        /* BIP32: a master key has no parent and no index */
        if (out->depth == 0 && (out->child != 0 || get_u32be(out->parent_fingerprint) != 0))
            ok = false;
    }
    if (b.data != NULL)
        mem_wipe(b.data, b.size_b);
    buf_clear(&b);
    if (!ok)
        mem_wipe(out, sizeof *out);
    return ok || fail_set(why, FAIL_INVALID, "bip32", "not an extended key of this chain");
}
