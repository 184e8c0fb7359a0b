/* vec_bip341.c - proves BIP341's own vectors: output keys, tweaks and addresses; every control block
 * commits to its leaf and no altered one does; shared hashes, signature hashes and signatures of the key
 * path; and that the whole signed transaction verifies. */
#include "vec.h"

#include "coin/primitives/tx.h"
#include "coin/script/address.h"

#define INPUTS_MAX 64
#define LEAVES_MAX 64

static struct chain *chain;

static bool hex32(uint8_t out[32], const struct json *v)
{
    return v != NULL && v->type == JSON_STRING && hex_decode(out, 32, v->text);
}

static void tap_tweak(uint8_t out[32], const uint8_t internal[32], const uint8_t *root)
{
    struct sha256 s;
    sha256_tagged_begin(&s, "TapTweak");
    sha256_add(&s, internal, 32);
    if (root != NULL)
        sha256_add(&s, root, 32);
    sha256_end(&s, out);
}

/* ---- outputs ---- */

/* Leaves in the order of their ids, as the control blocks are listed. */
static void collect_leaves(const struct json *tree, const struct json **leaves, uint32_t *count)
{
    const struct json *stack[LEAVES_MAX];
    uint32_t depth = 0;
    stack[depth++] = tree;
    while (depth > 0) {
        const struct json *at = stack[--depth];
        if (at->type == JSON_ARRAY) {
            for (const struct json *c = at->first; c != NULL && depth < LEAVES_MAX; c = c->next)
                stack[depth++] = c;
        } else if (at->type == JSON_OBJECT && *count < LEAVES_MAX) {
            uint32_t id = 0;
            struct fail why;
            if (json_to_u32(&id, json_get(at, "id"), "id", &why) && id < LEAVES_MAX) {
                leaves[id] = at;
                *count = *count > id + 1 ? *count : id + 1;
            }
        }
    }
}

/* What the interpreter says to a spend of `output` by this leaf; the script itself may fail. */
static enum script_error try_leaf(struct span output, struct span script, struct span control)
{
    const struct outpoint from = { .index = 0 };
    struct span witness[2] = { script, control };
    struct coin coin = { .value_sat = 1, .script = output };
    struct tx_draft draft;
    struct tx *tx = NULL;
    struct fail why;
    struct sighash_pre pre;
    enum script_error e = SCRIPT_ERR_UNKNOWN_ERROR;
    tx_draft_init(&draft);
    if (tx_draft_add_in(&draft, &from, 0) != NULL && tx_draft_set_witness(&draft, 0, witness, 2) &&
        tx_draft_add_out(&draft, 1, output) != NULL && tx_draft_finish(&tx, &draft, &why)) {
        sighash_pre_init(&pre, tx, &coin);
        e = script_verify_input(&pre, 0, SCRIPT_FLAGS_CONSENSUS);
    }
    tx_unref(tx);
    tx_draft_clear(&draft);
    return e;
}

static void output_leaves(struct vec *v, const struct json *row, struct span output)
{
    const struct json *leaves[LEAVES_MAX] = { 0 };
    const struct json *blocks = json_get(json_get(row, "expected"), "scriptPathControlBlocks");
    uint32_t count = 0;
    collect_leaves(json_get(json_get(row, "given"), "scriptTree"), leaves, &count);
    for (uint32_t i = 0; i < count; i++) {
        struct buf script, control;
        buf_init(&script, VEC_FILE_MAX_B);
        buf_init(&control, VEC_FILE_MAX_B);
        bool ok = vec_hex(&script, json_get(leaves[i], "script")) && vec_hex(&control, json_at(blocks, i));
        vec_case(v, ok && try_leaf(output, buf_span(&script), buf_span(&control)) !=
            SCRIPT_ERR_WITNESS_PROGRAM_MISMATCH, "leaf %u of %s", i, vec_text(row->raw));
        for (size_t at = 0; ok && at < control.size_b; at += 7) {
            control.data[at] ^= 0x02;
            vec_case(v, try_leaf(output, buf_span(&script), buf_span(&control)) ==
                SCRIPT_ERR_WITNESS_PROGRAM_MISMATCH, "leaf %u, byte %zu altered: accepted", i, at);
            control.data[at] ^= 0x02;
        }
        buf_clear(&script);
        buf_clear(&control);
    }
}

static void run_output(struct vec *v, const struct json *row)
{
    uint8_t internal[32], root[32], tweak[32], want[32], key[32];
    const struct json *inner = json_get(row, "intermediary"), *expected = json_get(row, "expected");
    bool has_root = hex32(root, json_get(inner, "merkleRoot"));
    char address[ADDRESS_SIZE_B];
    struct buf script, output;
    int parity;
    buf_init(&script, 64);
    buf_init(&output, 64);
    bool ok = hex32(internal, json_get(json_get(row, "given"), "internalPubkey")) &&
              hex32(want, json_get(inner, "tweak")) && vec_hex(&output, json_get(expected, "scriptPubKey"));
    tap_tweak(tweak, internal, has_root ? root : NULL);
    vec_case(v, ok && memcmp(tweak, want, 32) == 0, "tweak of %s", vec_text(row->raw));
    ok = ok && secp_xonly_add(key, &parity, internal, tweak);
    script_put_witness(&script, 1, span_of(key, 32));
    vec_case(v, ok && span_equal(buf_span(&script), buf_span(&output)), "script of %s", vec_text(row->raw));
    vec_case(v, address_from_script(address, chain, buf_span(&script)) &&
        span_is(json_get(expected, "bip350Address")->text, address), "address %s", address);
    if (has_root)
        output_leaves(v, row, buf_span(&output));
    buf_clear(&script);
    buf_clear(&output);
}

/* ---- key path ---- */

struct spending {
    struct tx *tx, *signed_tx;
    struct coin coins[INPUTS_MAX];
    struct buf scripts[INPUTS_MAX];
};

static bool read_spending(struct spending *s, const struct json *row)
{
    struct buf raw;
    struct fail why;
    uint32_t i = 0;
    buf_init(&raw, VEC_FILE_MAX_B);
    bool ok = vec_hex(&raw, json_get(json_get(row, "given"), "rawUnsignedTx")) &&
              tx_decode_lenient(&s->tx, buf_span(&raw), &why);
    ok = ok && vec_hex(&raw, json_get(json_get(row, "auxiliary"), "fullySignedTx")) &&
         tx_decode_lenient(&s->signed_tx, buf_span(&raw), &why);
    buf_clear(&raw);
    const struct json *spent = json_get(json_get(row, "given"), "utxosSpent")->first;
    for (; ok && spent != NULL && i < INPUTS_MAX; spent = spent->next, i++) {
        buf_init(&s->scripts[i], VEC_FILE_MAX_B);
        ok = vec_hex(&s->scripts[i], json_get(spent, "scriptPubKey")) &&
             json_to_i64(&s->coins[i].value_sat, json_get(spent, "amountSats"), "amount", &why);
        s->coins[i].script = buf_span(&s->scripts[i]);
    }
    return ok && i == s->tx->in_count;
}

static void run_input(struct vec *v, const struct sighash_pre *pre, const struct json *row)
{
    static const uint8_t aux[32];
    const struct json *given = json_get(row, "given"), *inner = json_get(row, "intermediary");
    uint8_t key[32], root[32], internal[32], tweak[32], hash[32], want[32], sig[65];
    struct sighash_tap tap = { 0 };
    struct buf expected;
    struct fail why;
    uint32_t index = 0, type = 0;
    size_t sig_b = 64;
    bool has_root = hex32(root, json_get(given, "merkleRoot"));
    buf_init(&expected, 100);
    bool ok = json_to_u32(&index, json_get(given, "txinIndex"), "index", &why) &&
              json_to_u32(&type, json_get(given, "hashType"), "type", &why) &&
              hex32(key, json_get(given, "internalPrivkey")) &&
              hex32(internal, json_get(inner, "internalPubkey")) && hex32(want, json_get(inner, "sigHash")) &&
              vec_hex(&expected, json_get(json_get(row, "expected"), "witness")->first);
    vec_case(v, ok && sighash_taproot(hash, pre, index, type, &tap) && memcmp(hash, want, 32) == 0,
        "sighash of input %u", index);
    tap_tweak(tweak, internal, has_root ? root : NULL);
    ok = ok && secp_schnorr_sign(sig, key, tweak, hash, aux);
    if (type != SIGHASH_DEFAULT)
        sig[sig_b++] = (uint8_t)type;
    vec_case(v, ok && span_equal(span_of(sig, sig_b), buf_span(&expected)), "signature of input %u", index);
    buf_clear(&expected);
}

static void run_spending(struct vec *v, const struct json *row)
{
    static struct spending s;
    const struct json *inner = json_get(row, "intermediary");
    struct sighash_pre pre;
    memset(&s, 0, sizeof s);
    if (!read_spending(&s, row)) {
        vec_case(v, false, "spending not understood");
        return;
    }
    sighash_pre_init(&pre, s.tx, s.coins);
    const struct { const char *name; const uint8_t *hash; } shared[] = {
        { "hashAmounts", pre.amounts }, { "hashOutputs", pre.outputs }, { "hashPrevouts", pre.prevouts },
        { "hashScriptPubkeys", pre.scripts }, { "hashSequences", pre.sequences },
    };
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++) {
        uint8_t want[32];
        vec_case(v, hex32(want, json_get(inner, shared[i].name)) && memcmp(want, shared[i].hash, 32) == 0,
            "%s", shared[i].name);
    }
    for (const struct json *in = json_get(row, "inputSpending")->first; in != NULL; in = in->next)
        run_input(v, &pre, in);
    sighash_pre_init(&pre, s.signed_tx, s.coins);
    for (uint32_t i = 0; i < s.signed_tx->in_count; i++)
        vec_case(v, script_verify_input(&pre, i, SCRIPT_FLAGS_STANDARD) == SCRIPT_OK, "signed input %u", i);
    tx_unref(s.tx);
    tx_unref(s.signed_tx);
    for (uint32_t i = 0; i < INPUTS_MAX; i++)
        buf_clear(&s.scripts[i]);
}

static bool run_file(struct vec *v, struct span content)
{
    struct json_doc doc;
    struct fail why;
    if (!json_parse(&doc, content, &why)) {
        vec_case(v, false, "%s", why.detail);
        return true;
    }
    bool fits = doc.root->type == JSON_OBJECT && json_get(doc.root, "keyPathSpending") != NULL;
    const struct json *outputs = fits ? json_get(doc.root, "scriptPubKey")->first : NULL;
    const struct json *spendings = fits ? json_get(doc.root, "keyPathSpending")->first : NULL;
    for (; outputs != NULL; outputs = outputs->next)
        run_output(v, outputs);
    for (; spendings != NULL; spendings = spendings->next)
        run_spending(v, spendings);
    json_doc_clear(&doc);
    return fits;
}

int main(int argc, char **argv)
{
    struct vec v;
    struct fail why;
    if (!vec_start(&v, argc, argv))
        return 2;
    chain = chain_load("bitcoin", &why);
    if (chain == NULL) {
        fprintf(stderr, "%s\n", why.detail);
        return 2;
    }
    vec_folder(&v, "taproot", "", ".json", run_file);
    chain_free(chain);
    return vec_end(&v);
}
