/* vec_bip39.c - proves recovery words against BIP39's: words from entropy and back, seeds, and the master key
 * that follows; and the list of words itself. */
#include "vec.h"

#include "coin/crypto/hdkey.h"
#include "coin/wallet/bip39.h"

static bool one(const struct json *row)
{
    static const uint8_t xprv[4] = {0x04, 0x88, 0xad, 0xe4};
    struct fail why;
    struct buf entropy;
    struct hdkey key;
    char words[BIP39_TEXT_SIZE_B], hex[2 * BIP39_SEED_SIZE_B + 1], text[HD_TEXT_SIZE_B];
    uint8_t back[BIP39_ENTROPY_MAX_B], seed[BIP39_SEED_SIZE_B];
    size_t size_b;
    buf_init(&entropy, BIP39_ENTROPY_MAX_B);
    bool ok = vec_hex(&entropy, json_at(row, 0)) && bip39_words_from_entropy(words, buf_span(&entropy)) &&
              span_is(json_at(row, 1)->text, words) &&
              bip39_entropy_from_words(back, &size_b, json_at(row, 1)->text, &why) &&
              span_equal(span_of(back, size_b), buf_span(&entropy)) &&
              bip39_seed(seed, span_text(words), json_at(row, 2)->text, &why);
    if (ok) {
        hex_encode(hex, seed, sizeof seed);
        ok = span_is(json_at(row, 3)->text, hex) && hdkey_from_seed(&key, span_of(seed, sizeof seed), &why);
    }
    if (ok) {
        hdkey_to_text(text, &key, xprv);
        ok = span_is(json_at(row, 4)->text, text);
    }
    buf_clear(&entropy);
    return ok;
}

static bool each_vectors(struct vec *v, struct span content)
{
    struct json_doc doc;
    struct fail why;
    if (!json_parse(&doc, content, &why) || doc.root->type != JSON_ARRAY)
        return false;
    for (const struct json *row = doc.root->first; row != NULL; row = row->next)
        vec_case(v, row->count == 5 && one(row), "%s", vec_text(row->raw));
    json_doc_clear(&doc);
    return true;
}

/* Every word of the list, at its place: the first word of entropy that begins with its eleven bits. */
static bool each_list(struct vec *v, struct span content)
{
    uint32_t index = 0;
    for (size_t at = 0; at < content.size_b;) {
        const uint8_t *end = memchr(content.data + at, '\n', content.size_b - at);
        size_t length = end != NULL ? (size_t)(end - content.data) - at : content.size_b - at;
        uint8_t entropy[16] = {(uint8_t)(index >> 3), (uint8_t)(index << 5)};
        char words[BIP39_TEXT_SIZE_B];
        bool ok = bip39_words_from_entropy(words, span_of(entropy, sizeof entropy)) &&
                  span_equal(span_of(words, strcspn(words, " ")), span_of(content.data + at, length));
        vec_case(v, ok, "word %u", index);
        index++;
        at += length + 1;
    }
    vec_case(v, index == 2048, "%u words", index);
    return true;
}

int main(int argc, char **argv)
{
    struct vec v;
    if (!vec_start(&v, argc, argv))
        return 2;
    vec_folder(&v, "wallet", "bip39_english_vectors", ".json", each_vectors);
    vec_folder(&v, "wallet", "bip39_english", ".txt", each_list);
    return vec_end(&v);
}
