/* vec_script_tests.c - proves that the interpreter gives every verdict of script_tests.json, error by
 * error, taproot rows with automatically built commitments included. Shape: an array of rows
 * [[witness..., amount]?, scriptSig, scriptPubKey, flags, expected, comment?]. */
#include "vec.h"

#include "coin/primitives/tx.h"

#define WITNESS_ITEMS_MAX 64
#define SCRIPT_ROOM_B 65536

struct row {
    struct buf script_sig, script_pubkey, leaf;
    struct buf items[WITNESS_ITEMS_MAX];
    struct span witness[WITNESS_ITEMS_MAX];
    uint32_t witness_count;
    int64_t amount_sat;
    bool control_asked;
    uint8_t output[32], control[33];
};

/* BIP341's point without known discrete logarithm: any valid internal key does. */
static const char internal_key_hex[] = "50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0";

static bool build_taproot(struct row *row)
{
    struct sha256 s;
    uint8_t leaf[32], tweak[32], internal[32], version = 0xc0;
    struct buf size;
    int parity;
    if (!hex_decode(internal, sizeof internal, span_text(internal_key_hex)))
        return false;
    buf_init(&size, 9);
    buf_put_count(&size, row->leaf.size_b);
    sha256_tagged_begin(&s, "TapLeaf");
    sha256_add(&s, &version, 1);
    sha256_add(&s, size.data, size.size_b);
    sha256_add(&s, row->leaf.data, row->leaf.size_b);
    sha256_end(&s, leaf);
    buf_clear(&size);
    sha256_tagged_begin(&s, "TapTweak");
    sha256_add(&s, internal, 32);
    sha256_add(&s, leaf, 32);
    sha256_end(&s, tweak);
    if (!secp_xonly_add(row->output, &parity, internal, tweak))
        return false;
    row->control[0] = (uint8_t)(version | parity);
    memcpy(row->control + 1, internal, 32);
    return true;
}

static bool read_witness(struct row *row, const struct json *list)
{
    static const char script_mark[] = "#SCRIPT#";
    for (const struct json *item = list->first; item != NULL; item = item->next) {
        if (item->next == NULL) { /* the amount in coins */
            return item->type == JSON_NUMBER && decimal_parse(&row->amount_sat, item->text, 8);
        }
        if (row->witness_count == WITNESS_ITEMS_MAX || item->type != JSON_STRING)
            return false;
        struct buf *out = &row->items[row->witness_count];
        if (item->text.size_b >= 8 && memcmp(item->text.data, script_mark, 8) == 0) {
            if (!vec_asm(&row->leaf, span_of(item->text.data + 8, item->text.size_b - 8)) ||
                !build_taproot(row))
                return false;
            buf_put(out, row->leaf.data, row->leaf.size_b);
        } else if (span_is(item->text, "#CONTROLBLOCK#")) {
            buf_put(out, row->control, sizeof row->control);
        } else if (!hex_to_buf(out, item->text)) {
            return false;
        }
        row->witness[row->witness_count] = buf_span(out);
        row->witness_count++;
    }
    return false;
}

static bool read_pubkey_script(struct row *row, struct span text)
{
    static const char mark[] = "#TAPROOTOUTPUT#";
    const uint8_t *at = memmem(text.data, text.size_b, mark, strlen(mark));
    if (at == NULL)
        return vec_asm(&row->script_pubkey, text);
    char hex[65];
    struct buf filled;
    buf_init(&filled, SCRIPT_ROOM_B);
    hex_encode(hex, row->output, 32);
    buf_put(&filled, text.data, (size_t)(at - text.data));
    buf_printf(&filled, "0x%s", hex);
    buf_put(&filled, at + strlen(mark), text.size_b - (size_t)(at - text.data) - strlen(mark));
    bool ok = vec_asm(&row->script_pubkey, buf_span(&filled));
    buf_clear(&filled);
    return ok;
}

/* The crediting and spending transactions that the signatures in the rows were made for. */
static bool build_spend(struct tx **out, const struct row *row, struct fail *why)
{
    static const struct outpoint null = { .index = UINT32_MAX };
    static const uint8_t two_zeros[] = { OP_0, OP_0 };
    struct tx_draft credit, spend;
    struct tx *credited = NULL;
    bool ok = false;

    tx_draft_init(&credit);
    tx_draft_init(&spend);
    credit.version = spend.version = 1;
    if (tx_draft_add_in(&credit, &null, SEQUENCE_FINAL) == NULL ||
        !tx_draft_set_script_sig(&credit, 0, span_of(two_zeros, sizeof two_zeros)) ||
        tx_draft_add_out(&credit, row->amount_sat, buf_span(&row->script_pubkey)) == NULL ||
        !tx_draft_finish(&credited, &credit, why))
        goto out;
    struct outpoint from = { .txid = credited->txid, .index = 0 };
    if (tx_draft_add_in(&spend, &from, SEQUENCE_FINAL) == NULL ||
        !tx_draft_set_script_sig(&spend, 0, buf_span(&row->script_sig)) ||
        !tx_draft_set_witness(&spend, 0, row->witness, row->witness_count) ||
        tx_draft_add_out(&spend, row->amount_sat, (struct span){ 0 }) == NULL)
        goto out;
    ok = tx_draft_finish(out, &spend, why);
out:
    tx_unref(credited);
    tx_draft_clear(&credit);
    tx_draft_clear(&spend);
    return ok;
}

static void run_row(struct vec *v, const struct json *json)
{
    struct row row = { 0 };
    struct tx *tx = NULL;
    struct fail why = { 0 };
    uint32_t at = 0, flags = 0;
    buf_init(&row.script_sig, SCRIPT_ROOM_B);
    buf_init(&row.script_pubkey, SCRIPT_ROOM_B);
    buf_init(&row.leaf, SCRIPT_ROOM_B);
    for (uint32_t i = 0; i < WITNESS_ITEMS_MAX; i++)
        buf_init(&row.items[i], SCRIPT_ROOM_B);

    bool ok = true;
    if (json->first->type == JSON_ARRAY) {
        ok = read_witness(&row, json->first);
        at = 1;
    }
    const struct json *sig = json_at(json, at), *key = json_at(json, at + 1), *flag = json_at(json, at + 2),
                      *expected = json_at(json, at + 3);
    ok = ok && expected != NULL && vec_asm(&row.script_sig, sig->text) &&
         read_pubkey_script(&row, key->text) && vec_flags(&flags, flag->text) &&
         build_spend(&tx, &row, &why);
    if (!ok) {
        vec_case(v, false, "row not understood: %s %s", vec_text(json->raw), why.detail);
    } else {
        if (flags & SCRIPT_VERIFY_CLEANSTACK) /* as Core's test: it needs these to mean anything */
            flags |= SCRIPT_VERIFY_P2SH | SCRIPT_VERIFY_WITNESS;
        struct coin coin = { .value_sat = row.amount_sat, .script = buf_span(&row.script_pubkey) };
        struct sighash_pre pre;
        sighash_pre_init(&pre, tx, &coin);
        enum script_error e = script_verify(buf_span(&row.script_sig), buf_span(&row.script_pubkey),
            row.witness, row.witness_count, flags, &pre, 0);
        vec_case(v, span_is(expected->text, script_error_name(e)), "%s: got %s", vec_text(json->raw),
            script_error_name(e));
    }
    tx_unref(tx);
    buf_clear(&row.script_sig);
    buf_clear(&row.script_pubkey);
    buf_clear(&row.leaf);
    for (uint32_t i = 0; i < WITNESS_ITEMS_MAX; i++)
        buf_clear(&row.items[i]);
}

static bool run_file(struct vec *v, struct span content)
{
    struct json_doc doc;
    struct fail why;
    if (!json_parse(&doc, content, &why)) {
        vec_case(v, false, "%s", why.detail);
        return true;
    }
    for (const struct json *row = doc.root->first; row != NULL; row = row->next) {
        if (row->type == JSON_ARRAY && row->count >= 4)
            run_row(v, row);
    }
    json_doc_clear(&doc);
    return true;
}

int main(int argc, char **argv)
{
    struct vec v;
    if (!vec_start(&v, argc, argv))
        return 2;
    vec_folder(&v, "script", "script_tests", ".json", run_file);
    return vec_end(&v);
}
