/* vec_sighash.c - proves legacy signature hashes against Core's random transactions: rows of
 * [tx, script, input, hash type (signed), hash]. */
#include "vec.h"

#include "coin/primitives/tx.h"

static void run_row(struct vec *v, const struct json *row)
{
    struct buf raw, script;
    struct tx *tx = NULL;
    struct fail why = { 0 };
    uint8_t want[32], got[32];
    int64_t input = 0, type = 0;
    buf_init(&raw, VEC_FILE_MAX_B);
    buf_init(&script, VEC_FILE_MAX_B);
    bool ok = vec_hex(&raw, json_at(row, 0)) && vec_hex(&script, json_at(row, 1)) &&
              json_to_i64(&input, json_at(row, 2), "input", &why) &&
              json_to_i64(&type, json_at(row, 3), "hash type", &why) &&
              hash_from_hex(want, json_at(row, 4)->text) && tx_decode(&tx, buf_span(&raw), &why);
    if (ok)
        sighash_legacy(got, tx, (uint32_t)input, buf_span(&script), (uint32_t)(int32_t)type);
    vec_case(v, ok && memcmp(got, want, 32) == 0, "%s %s", vec_text(row->raw), why.detail);
    tx_unref(tx);
    buf_clear(&raw);
    buf_clear(&script);
}

static bool run_file(struct vec *v, struct span content)
{
    struct json_doc doc;
    struct fail why;
    if (!json_parse(&doc, content, &why))
        return false;
    for (const struct json *row = doc.root->first; row != NULL; row = row->next) {
        if (row->count == 5)
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
    vec_folder(&v, "tx", "sighash", ".json", run_file);
    return vec_end(&v);
}
