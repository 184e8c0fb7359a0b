/* What a table cannot say about a chain file: values that must fit each other. Every rule here protects
 * code that relies on it: a name becomes a folder, a limit bounds an allocation, a bit sits in a mask. */
#include <string.h>

#include "coin/crypto/sha256.h"
#include "keys.h"
#include "parse.h"

static bool check_names(const struct chain *chain, struct fail *why) MUST_USE;
static bool check_work(struct chain *chain, struct fail *why) MUST_USE;
static bool check_deployments(const struct chain *chain, struct fail *why) MUST_USE;

bool chain_check(struct chain *chain, struct fail *why)
{
    if (!check_names(chain, why) || !check_work(chain, why) || !check_deployments(chain, why))
        return false;
    if (chain->subsidy_sat > chain->max_money_sat || chain->genesis_reward_sat > chain->max_money_sat)
        return key_failed(why, "", "max_money_sat", "is less than a block's reward");
    if (chain->signet_challenge.size_b > 0) {
        uint8_t magic[4];
        signet_magic(magic, buf_span(&chain->signet_challenge));
        if (memcmp(magic, chain->magic, sizeof magic) != 0)
            return key_failed(why, "", "magic", "does not follow from signet_challenge (BIP325)");
    }
    return true;
}

void signet_magic(uint8_t out[4], struct span challenge)
{
    uint8_t length[3], hash[32];
    size_t length_b = 1;
    length[0] = (uint8_t)challenge.size_b;
    if (challenge.size_b >= 253) {
        length[0] = 253;
        length[1] = (uint8_t)challenge.size_b;
        length[2] = (uint8_t)(challenge.size_b >> 8);
        length_b = sizeof length;
    }
    struct sha256 s;
    sha256_begin(&s);
    sha256_add(&s, length, length_b);
    sha256_add(&s, challenge.data, challenge.size_b);
    sha256d_end(&s, hash);
    memcpy(out, hash, 4);
}

static bool check_names(const struct chain *chain, struct fail *why)
{
    for (const char *c = chain->name; *c != 0; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_' ||
                      (*c == '-' && c > chain->name);
        if (!letter)
            return key_failed(why, "", "name", "may have letters a to z, digits, - and _ only");
    }
    for (const char *c = chain->hrp; *c != 0; c++) {
        if (*c < 33 || *c > 126 || (*c >= 'A' && *c <= 'Z')) /* BIP173 */
            return key_failed(why, "", "hrp", "must be printable ASCII in lower case");
    }
    if (chain->base58_p2pkh == chain->base58_p2sh)
        return key_failed(why, "", "base58_p2sh", "must differ from base58_p2pkh");
    if (memcmp(chain->xpub, chain->xprv, sizeof chain->xpub) == 0)
        return key_failed(why, "", "xprv", "must differ from xpub");
    return true;
}

static bool check_bits(const struct chain *chain, uint32_t bits, struct u256 *target)
{
    bool negative, overflow;
    *target = compact_decode(bits, &negative, &overflow);
    return !negative && !overflow && !u256_is_zero(target) && u256_compare(target, &chain->pow_limit) <= 0;
}

static bool check_work(struct chain *chain, struct fail *why)
{
    struct u256 target;
    if (u256_is_zero(&chain->pow_limit) || u256_bits(&chain->pow_limit) > 255)
        return key_failed(why, "", "pow_limit", "must be above zero and below 2^255");
    chain->pow_limit_bits = compact_encode(&chain->pow_limit);
    if (!check_bits(chain, chain->genesis->header.bits, &target))
        return key_failed(why, "genesis.", "bits", "must be a target within pow_limit");
    struct u256 hash = u256_from_le(chain->genesis->id.b);
    if (u256_compare(&hash, &target) > 0)
        return key_failed(why, "genesis.", "nonce", "does not give the work that bits ask for");
    if (chain->difficulty.kind == DIFFICULTY_ASERT && !check_bits(chain, chain->difficulty.anchor_bits, &target))
        return key_failed(why, "difficulty.", "anchor_bits", "must be a target within pow_limit");
    return true;
}

static bool check_deployments(const struct chain *chain, struct fail *why)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < chain->deployment_count; i++) {
        const struct chain_deployment *d = &chain->deployments[i];
        if (d->threshold > d->period)
            return key_failed(why, "deployments.", d->name, "has a threshold above its period");
        if ((bits >> d->bit & 1u) != 0)
            return key_failed(why, "deployments.", d->name, "shares its bit with another");
        bits |= 1u << d->bit;
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(d->name, chain->deployments[k].name) == 0)
                return key_failed(why, "deployments.", d->name, "is there twice");
        }
    }
    return true;
}
