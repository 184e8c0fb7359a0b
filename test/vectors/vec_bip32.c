/* vec_bip32.c - proves derivation of extended keys against BIP32's chains: every key from its seed and from
 * its parent, private and public, and through its text. */
#include "vec.h"

#include "coin/crypto/hdkey.h"

/* The key at m/44'/0'/0'/0/0' of a master that begins with zero bytes: who drops those gets another. */
#define ZERO_CHILD "3348069561d2a0fb925e74bf198762acc47dce7db27372257d2d959a9e6f8aeb"

static const uint8_t xpub[4] = { 0x04, 0x88, 0xb2, 0x1e }, xprv[4] = { 0x04, 0x88, 0xad, 0xe4 };

static bool text_is(const struct hdkey *key, const struct json *want)
{
    char text[HD_TEXT_SIZE_B];
    struct hdkey back;
    struct fail why;
    hdkey_to_text(text, key, key->is_private ? xprv : xpub);
    return want != NULL && want->type == JSON_STRING && span_is(want->text, text) &&
           hdkey_from_text(&back, want->text, xpub, xprv, &why) && back.is_private == key->is_private &&
           back.depth == key->depth && back.child == key->child &&
           memcmp(back.chain_code, key->chain_code, 32) == 0 && memcmp(back.pubkey, key->pubkey, 33) == 0 &&
           memcmp(back.key, key->key, 32) == 0;
}

static bool both_are(const struct hdkey *key, const struct json *want_private, const struct json *want_public)
{
    struct hdkey watched = *key;
    hdkey_to_public(&watched);
    return (want_private == NULL || text_is(key, want_private)) &&
           (want_public == NULL || text_is(&watched, want_public));
}

/* "m/0'/1": walks privately; where a step is not hardened the public walk must meet it. */
static bool walk(struct hdkey *key, struct span path)
{
    const uint8_t *at = path.data + 1, *end = path.data + path.size_b;
    struct fail why;
    while (at < end) {
        uint32_t index = 0;
        if (*at++ != '/' || at == end)
            return false;
        for (; at < end && *at >= '0' && *at <= '9'; at++)
            index = index * 10 + (uint32_t)(*at - '0');
        bool hardened = at < end && (*at == '\'' || *at == 'h');
        at += hardened;
        struct hdkey child, watched = *key, met;
        hdkey_to_public(&watched);
        if (!hdkey_child(&child, key, hardened ? index | HD_HARDENED : index, &why))
            return false;
        bool known = hdkey_child(&met, &watched, child.child, &why);
        if (known == hardened || (known && memcmp(met.pubkey, child.pubkey, 33) != 0))
            return false;
        *key = child;
    }
    return true;
}

static bool master(struct hdkey *out, const struct json *seed_hex)
{
    struct buf seed;
    struct fail why;
    buf_init(&seed, 64);
    bool ok = vec_hex(&seed, seed_hex) && hdkey_from_seed(out, buf_span(&seed), &why);
    buf_clear(&seed);
    return ok;
}

static void chain(struct vec *v, const struct json *about)
{
    struct hdkey top;
    vec_case(v, master(&top, json_get(about, "seed")), "%s: seed", vec_text(about->key));
    for (const struct json *m = about->first; m != NULL; m = m->next) {
        struct hdkey key = top;
        if (m->type != JSON_OBJECT)
            continue;
        vec_case(v, walk(&key, m->key) && both_are(&key, json_get(m, "prv"), json_get(m, "pub")), "%s %s",
            vec_text(about->key), vec_text(m->key));
    }
}

/* The keys under one seed that have names instead of paths. */
static void named(struct vec *v, const struct json *root)
{
    static const struct { const char *prefix, *path; } rows[] = {
        { "master", "m" }, { "child1", "m/0" }, { "child2", "m/1" }, { "child3", "m/1" }, { "child4", "m/2" },
        { "child5", "m/2/0" }, { "child6", "m/2/1" },
    };
    struct hdkey top;
    if (json_get(root, "seed") == NULL)
        return;
    vec_case(v, master(&top, json_get(root, "seed")), "seed");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char want_private[32], want_public[32];
        struct hdkey key = top;
        snprintf(want_private, sizeof want_private, "%s_priv", rows[i].prefix);
        snprintf(want_public, sizeof want_public, "%s_pub", rows[i].prefix);
        const struct json *prv = json_get(root, want_private), *pub = json_get(root, want_public);
        vec_case(v, (prv != NULL || pub != NULL) && walk(&key, span_text(rows[i].path)) && both_are(&key, prv, pub),
            "%s", rows[i].prefix);
    }
    const struct json *zero = json_get(root, "zero_priv");
    if (zero != NULL) {
        struct fail why;
        struct hdkey key;
        uint8_t want[32];
        bool ok = hdkey_from_text(&key, zero->text, xpub, xprv, &why) && text_is(&key, zero) && key.key[0] == 0 &&
                  walk(&key, span_text("m/44'/0'/0'/0/0'")) && hex_decode(want, 32, span_text(ZERO_CHILD)) &&
                  memcmp(key.key, want, 32) == 0;
        vec_case(v, ok, "zero_priv");
    }
}

static bool run(struct vec *v, struct span content)
{
    struct json_doc doc;
    struct fail why;
    if (!json_parse(&doc, content, &why))
        return false;
    bool fits = doc.root->type == JSON_OBJECT;
    for (const struct json *m = fits ? doc.root->first : NULL; m != NULL; m = m->next) {
        if (m->type == JSON_OBJECT)
            chain(v, m);
    }
    if (fits)
        named(v, doc.root);
    json_doc_clear(&doc);
    return fits;
}

int main(int argc, char **argv)
{
    struct vec v;
    if (!vec_start(&v, argc, argv))
        return 2;
    vec_folder(&v, "wallet", "bip32", ".json", run);
    return vec_end(&v);
}
