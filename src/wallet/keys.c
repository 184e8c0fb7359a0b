/* Keys of a wallet: BIP32 branches below one seed, by BIP84 (bech32) and BIP86 (bech32m), receive and change.
 * All of this costs elliptic-curve operations and runs in jobs. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/secp.h"
#include "coin/crypto/sha256.h"
#include "coin/descriptor/descriptor.h"
#include "internal.h"

#define WITNESS_KEYHASH_SIZE_B 22
#define TAPROOT_SIZE_B 34

static const uint32_t kind_purpose[WALLET_KINDS] = {[WALLET_BIP84] = 84, [WALLET_BIP86] = 86};

static bool script_of_pubkey(struct script_key *out, enum wallet_kind kind, const uint8_t pubkey[33],
    struct fail *why);
static bool derive_branch(struct hdkey *out, const struct wallet_branch *branch, struct fail *why);

bool script_key_of(struct script_key *out, struct span script)
{
    if (script.size_b > SCRIPT_KEY_MAX_B)
        return false;
    memset(out, 0, sizeof *out);
    out->size_b = (uint8_t)script.size_b;
    if (script.size_b > 0)
        memcpy(out->bytes, script.data, script.size_b);
    return true;
}

struct span script_key_span(const struct script_key *key)
{
    return span_of(key->bytes, key->size_b);
}

bool keys_branches_from_seed(struct wallet *wallet, const uint8_t seed[BIP39_SEED_SIZE_B], int64_t created_s,
    struct fail *why)
{
    struct hdkey master, purpose, coin, account;
    uint8_t fingerprint[4];
    bool ok = hdkey_from_seed(&master, span_of(seed, BIP39_SEED_SIZE_B), why);
    if (ok)
        hdkey_fingerprint(fingerprint, &master);
    for (int kind = 0; ok && kind < WALLET_KINDS; kind++) {
        ok = hdkey_child(&purpose, &master, kind_purpose[kind] | HD_HARDENED, why) &&
             hdkey_child(&coin, &purpose, wallet->all->chain->bip44_type | HD_HARDENED, why) &&
             hdkey_child(&account, &coin, HD_HARDENED, why);
        for (int internal = 0; ok && internal < 2; internal++) {
            struct wallet_branch *branch = &wallet->branches[wallet->branch_count++];
            *branch = (struct wallet_branch){
                .kind = (enum wallet_kind)kind,
                .internal = internal == 1,
                .active = true,
                .created_s = created_s,
                .account = account,
            };
            memcpy(branch->master_fingerprint, fingerprint, sizeof fingerprint);
        }
    }
    mem_wipe(&master, sizeof master);
    mem_wipe(&purpose, sizeof purpose);
    mem_wipe(&coin, sizeof coin);
    mem_wipe(&account, sizeof account);
    return ok;
}

bool keys_derive(const struct wallet_branch *branch, uint32_t index, struct script_key *script,
    uint8_t pubkey[33], uint8_t key[32], struct fail *why)
{
    struct hdkey parent, child;
    bool ok = derive_branch(&parent, branch, why) && hdkey_child(&child, &parent, index, why) &&
              (script == NULL || script_of_pubkey(script, branch->kind, child.pubkey, why));
    if (ok && pubkey != NULL)
        memcpy(pubkey, child.pubkey, 33);
    if (ok && key != NULL)
        memcpy(key, child.key, 32);
    mem_wipe(&parent, sizeof parent);
    mem_wipe(&child, sizeof child);
    return ok;
}

bool keys_derive_range(const struct wallet_branch *branch, uint32_t first, uint32_t count,
    struct script_key *scripts, struct fail *why)
{
    struct hdkey parent, child;
    bool ok = derive_branch(&parent, branch, why);
    hdkey_to_public(&parent); /* scripts need no secret: from here on none is in reach */
    for (uint32_t i = 0; ok && i < count; i++)
        ok = hdkey_child(&child, &parent, first + i, why) &&
             script_of_pubkey(&scripts[i], branch->kind, child.pubkey, why);
    return ok;
}

void keys_path(char out[64], const struct chain *chain, const struct wallet_branch *branch, uint32_t index)
{
    snprintf(out, 64, "m/%" PRIu32 "h/%" PRIu32 "h/0h/%d/%" PRIu32, kind_purpose[branch->kind],
        chain->bip44_type, branch->internal ? 1 : 0, index);
}

bool keys_descriptor_text(
    struct buf *out, const struct chain *chain, const struct wallet_branch *branch, bool with_secret)
{
    char fingerprint[9], text[HD_TEXT_SIZE_B], checksum[DESCRIPTOR_CHECKSUM_SIZE_B];
    struct hdkey account = branch->account;
    size_t start = out->size_b;
    if (!with_secret)
        hdkey_to_public(&account);
    hex_encode(fingerprint, branch->master_fingerprint, 4);
    hdkey_to_text(text, &account, with_secret ? chain->xprv : chain->xpub);
    buf_printf(out, "%s([%s/%" PRIu32 "h/%" PRIu32 "h/0h]%s/%d/*)", branch->kind == WALLET_BIP86 ? "tr" : "wpkh",
        fingerprint, kind_purpose[branch->kind], chain->bip44_type, text, branch->internal ? 1 : 0);
    mem_wipe(&account, sizeof account);
    mem_wipe(text, sizeof text);
    if (out->failed || !descriptor_checksum(checksum, span_of(out->data + start, out->size_b - start)))
        return false;
    buf_printf(out, "#%s", checksum);
    return !out->failed;
}

static bool derive_branch(struct hdkey *out, const struct wallet_branch *branch, struct fail *why)
{
    return hdkey_child(out, &branch->account, branch->internal ? 1 : 0, why);
}

static bool script_of_pubkey(
    struct script_key *out, enum wallet_kind kind, const uint8_t pubkey[33], struct fail *why)
{
    memset(out, 0, sizeof *out);
    if (kind == WALLET_BIP84) {
        out->size_b = WITNESS_KEYHASH_SIZE_B;
        out->bytes[1] = 20;
        hash160(out->bytes + 2, pubkey, 33);
        return true;
    }
    struct sha256 s;
    uint8_t tweak[32];
    int parity;
    sha256_tagged_begin(&s, "TapTweak"); /* BIP86: no script path */
    sha256_add(&s, pubkey + 1, 32);
    sha256_end(&s, tweak);
    out->size_b = TAPROOT_SIZE_B;
    out->bytes[0] = 0x51; /* OP_1 */
    out->bytes[1] = 32;
    if (!secp_xonly_add(out->bytes + 2, &parity, pubkey + 1, tweak))
        return fail_set(why, FAIL_INVALID, "taproot-tweak", "no taproot key for this index");
    return true;
}
