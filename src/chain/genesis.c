/* Genesis blocks, byte for byte as Bitcoin's are made: one coinbase whose script pushes the number
 * 0x1d00ffff, the number 4 and the message, and one output. Kept the same for every chain, so that
 * Bitcoin's own come out right and need no case of their own. */
#include "coin/chain/genesis.h"

#include <string.h>

#define PUSH_DIRECT_MAX_B 75
#define OP_PUSHDATA1 0x4c

static bool put_coinbase(struct tx_draft *draft, const struct genesis_recipe *recipe);

bool genesis_build(struct block **out, const struct genesis_recipe *recipe, struct fail *why)
{
    *out = NULL;
    if (recipe->message.size_b > GENESIS_MESSAGE_MAX_B || recipe->script.size_b > GENESIS_SCRIPT_MAX_B)
        return fail_set(why, FAIL_REQUEST, "chain-file", "genesis message over %d or script over %d bytes",
            GENESIS_MESSAGE_MAX_B, GENESIS_SCRIPT_MAX_B);
    struct tx_draft draft;
    struct tx *coinbase = NULL;
    struct buf raw;
    tx_draft_init(&draft);
    buf_init(&raw, BLOCK_SIZE_MAX_B);
    bool ok = put_coinbase(&draft, recipe) || fail_oom(why, "genesis block");
    ok = ok && tx_draft_finish(&coinbase, &draft, why);
    if (ok) {
        struct header h = { .version = recipe->version, .time_s = recipe->time_s, .bits = recipe->bits,
            .nonce = recipe->nonce };
        memcpy(h.merkle_root, coinbase->txid.b, sizeof h.merkle_root);
        uint8_t header[HEADER_SIZE_B];
        header_encode(header, &h);
        buf_put(&raw, header, sizeof header);
        buf_put_count(&raw, 1);
        buf_put(&raw, coinbase->raw.data, coinbase->raw.size_b);
        ok = buf_ok(&raw, "genesis block", why) && block_decode(out, &raw, why);
    }
    buf_clear(&raw);
    tx_unref(coinbase);
    tx_draft_clear(&draft);
    return ok;
}

static bool put_coinbase(struct tx_draft *draft, const struct genesis_recipe *recipe)
{
    static const uint8_t prefix[] = { 4, 0xff, 0xff, 0x00, 0x1d, 1, 4 };
    uint8_t script[sizeof prefix + 2 + GENESIS_MESSAGE_MAX_B];
    size_t size_b = sizeof prefix;
    memcpy(script, prefix, sizeof prefix);
    if (recipe->message.size_b > PUSH_DIRECT_MAX_B)
        script[size_b++] = OP_PUSHDATA1;
    script[size_b++] = (uint8_t)recipe->message.size_b;
    if (recipe->message.size_b > 0)
        memcpy(script + size_b, recipe->message.data, recipe->message.size_b);
    size_b += recipe->message.size_b;

    const struct outpoint none = { .index = 0xffffffffu };
    draft->version = 1;
    return tx_draft_add_in(draft, &none, SEQUENCE_FINAL) != NULL &&
           tx_draft_set_script_sig(draft, 0, span_of(script, size_b)) &&
           tx_draft_add_out(draft, recipe->reward_sat, recipe->script) != NULL;
}
