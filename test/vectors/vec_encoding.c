/* vec_encoding.c - proves base58 in both directions and SipHash-2-4 against Core's rows. (Addresses and
 * WIF keys are vec_key_io's.) */
#include "vec.h"

#include "coin/base/table.h"
#include "coin/crypto/base58.h"

#define BYTES_MAX 4096

static bool run_base58(struct vec *v, struct span content)
{
    struct json_doc doc;
    struct fail why;
    if (!json_parse(&doc, content, &why))
        return false;
    for (const struct json *row = doc.root->first; row != NULL; row = row->next) {
        struct buf bytes, out;
        const struct json *text = json_at(row, 1);
        buf_init(&bytes, BYTES_MAX);
        buf_init(&out, BYTES_MAX);
        bool ok = vec_hex(&bytes, json_at(row, 0)) && text != NULL && text->type == JSON_STRING &&
                  base58_encode(&out, buf_span(&bytes)) && span_equal(buf_span(&out), text->text);
        out.size_b = 0;
        ok = ok && base58_decode(&out, text->text) && span_equal(buf_span(&out), buf_span(&bytes));
        vec_case(v, ok, "%s", vec_text(row->raw));
        buf_clear(&bytes);
        buf_clear(&out);
    }
    json_doc_clear(&doc);
    return true;
}

static bool number_of(uint64_t *out, const struct json *hex) /* written as a number, highest digit first */
{
    uint8_t b[8];
    if (hex == NULL || hex->type != JSON_STRING || !hex_decode(b, 8, hex->text))
        return false;
    *out = (uint64_t)get_u32be(b) << 32 | get_u32be(b + 4);
    return true;
}

static void siphash_row(struct vec *v, const struct json *row)
{
    uint64_t key[2], want;
    struct buf input, piece;
    const struct json *expected = json_get(json_get(row, "expected"), "siphash24");
    buf_init(&input, BYTES_MAX);
    buf_init(&piece, BYTES_MAX);
    bool ok = number_of(&key[0], json_at(json_get(row, "key"), 0)) &&
              number_of(&key[1], json_at(json_get(row, "key"), 1)) && number_of(&want, expected);
    const struct json *pieces = json_get(row, "input");
    for (const struct json *p = pieces != NULL ? pieces->first : NULL; p != NULL; p = p->next) {
        ok = ok && vec_hex(&piece, p);
        buf_put(&input, piece.data, piece.size_b);
    }
    ok = ok && siphash(key, input.data, input.size_b) == want;
    if (ok && input.size_b == 32)
        ok = siphash_u256(key, input.data) == want;
    vec_case(v, ok, "%s", vec_text(row->raw));
    buf_clear(&input);
    buf_clear(&piece);
}

static bool run_siphash(struct vec *v, struct span content)
{
    struct json_doc doc;
    struct fail why;
    if (!json_parse(&doc, content, &why))
        return false;
    for (const struct json *row = doc.root->first; row != NULL; row = row->next) {
        if (json_get(json_get(row, "expected"), "siphash24") == NULL)
            v->skipped++; /* another variant alone */
        else
            siphash_row(v, row);
    }
    json_doc_clear(&doc);
    return true;
}

int main(int argc, char **argv)
{
    struct vec v;
    if (!vec_start(&v, argc, argv))
        return 2;
    vec_folder(&v, "encoding", "base58", ".json", run_base58);
    vec_folder(&v, "encoding", "siphash", ".json", run_siphash);
    return vec_end(&v);
}
