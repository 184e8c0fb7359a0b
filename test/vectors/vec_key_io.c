/* vec_key_io.c - proves that addresses and WIF keys are read and written as Core's key_io vectors say, and
 * that none of the invalid ones is taken on any of Bitcoin's chains. */
#include "vec.h"

#include "coin/script/address.h"

#define CHAINS 4

static struct chain *chains[CHAINS];
static const struct { const char *name, *alias; } chain_names[CHAINS] = {
    { "bitcoin", "main" }, { "testnet4", "test" }, { "signet", "signet" }, { "regtest", "regtest" },
};

static const struct chain *chain_named(struct span name)
{
    for (int i = 0; i < CHAINS; i++) {
        if (span_is(name, chain_names[i].name) || span_is(name, chain_names[i].alias))
            return chains[i];
    }
    return NULL;
}

static bool flag(const struct json *row, const char *key)
{
    const struct json *v = json_get(row, key);
    return v != NULL && v->type == JSON_TRUE;
}

static void valid_key(struct vec *v, const struct chain *chain, const struct json *row, struct span hex)
{
    struct span text = json_at(row, 0)->text;
    uint8_t key[32], want[32];
    bool compressed = false;
    char again[ADDRESS_SIZE_B];
    struct buf script;
    struct fail why;
    bool ok = wif_decode(key, &compressed, chain, text) && hex_decode(want, 32, hex) &&
              memcmp(key, want, 32) == 0 && compressed == flag(json_at(row, 2), "isCompressed") &&
              wif_encode(again, chain, key, compressed) && span_is(text, again);
    vec_case(v, ok, "key %s", vec_text(text));
    buf_init(&script, 100);
    vec_case(v, !address_to_script(&script, chain, text, &why), "a key is no address: %s", vec_text(text));
    buf_clear(&script);
}

static void valid_address(struct vec *v, const struct chain *chain, const struct json *row, struct span hex)
{
    struct span text = json_at(row, 0)->text;
    struct buf script, want, flipped;
    struct fail why = { 0 };
    char again[ADDRESS_SIZE_B];
    uint8_t key[32];
    bool compressed;
    buf_init(&script, 100);
    buf_init(&want, 100);
    buf_init(&flipped, 200);
    bool ok = address_to_script(&script, chain, text, &why) && hex_to_buf(&want, hex) &&
              span_equal(buf_span(&script), buf_span(&want)) &&
              address_from_script(again, chain, buf_span(&script)) &&
              (span_is(text, again) || flag(json_at(row, 2), "tryCaseFlip"));
    vec_case(v, ok, "address %s: %s", vec_text(text), why.detail);
    vec_case(v, !wif_decode(key, &compressed, chain, text), "an address is no key: %s", vec_text(text));
    if (json_get(json_at(row, 2), "tryCaseFlip") != NULL) {
        for (size_t i = 0; i < text.size_b; i++) {
            uint8_t c = text.data[i];
            bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            buf_put_u8(&flipped, letter ? c ^ 0x20 : c);
        }
        script.size_b = 0;
        bool taken = address_to_script(&script, chain, buf_span(&flipped), &why);
        vec_case(v, taken == flag(json_at(row, 2), "tryCaseFlip"), "other case of %s", vec_text(text));
    }
    buf_clear(&script);
    buf_clear(&want);
    buf_clear(&flipped);
}

static bool run_valid(struct vec *v, struct span content)
{
    struct json_doc doc;
    struct fail why;
    if (!json_parse(&doc, content, &why))
        return false;
    for (const struct json *row = doc.root->first; row != NULL; row = row->next) {
        const struct json *about = json_at(row, 2), *name = json_get(about, "chain");
        const struct chain *chain = name != NULL ? chain_named(name->text) : NULL;
        if (chain == NULL)
            v->skipped++; /* the old testnet: testnet4's prefixes stand for it */
        else if (flag(about, "isPrivkey"))
            valid_key(v, chain, row, json_at(row, 1)->text);
        else
            valid_address(v, chain, row, json_at(row, 1)->text);
    }
    json_doc_clear(&doc);
    return true;
}

static bool run_invalid(struct vec *v, struct span content)
{
    struct json_doc doc;
    struct fail why;
    if (!json_parse(&doc, content, &why))
        return false;
    for (const struct json *row = doc.root->first; row != NULL; row = row->next) {
        struct span text = json_at(row, 0)->text;
        for (int i = 0; i < CHAINS; i++) {
            struct buf script;
            uint8_t key[32];
            bool compressed;
            buf_init(&script, 100);
            bool taken = address_to_script(&script, chains[i], text, &why);
            vec_case(v, !taken && why.rpc_code == -5 && !wif_decode(key, &compressed, chains[i], text),
                "accepted on %s: %s", chain_names[i].name, vec_text(text));
            buf_clear(&script);
        }
    }
    json_doc_clear(&doc);
    return true;
}

int main(int argc, char **argv)
{
    struct vec v;
    struct fail why;
    if (!vec_start(&v, argc, argv))
        return 2;
    for (int i = 0; i < CHAINS; i++) {
        chains[i] = chain_load(chain_names[i].name, &why);
        if (chains[i] == NULL) {
            fprintf(stderr, "%s\n", why.detail);
            return 2;
        }
    }
    vec_folder(&v, "encoding", "key_io_valid", ".json", run_valid);
    vec_folder(&v, "encoding", "key_io_invalid", ".json", run_invalid);
    for (int i = 0; i < CHAINS; i++)
        chain_free(chains[i]);
    return vec_end(&v);
}
