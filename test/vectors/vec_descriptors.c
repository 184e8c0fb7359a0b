/* vec_descriptors.c - proves that descriptors are read, written, expanded and refused as the vectors say:
 * descriptors_valid.json (text, checksum, properties), _invalid.json (must be refused), _privatekeys.json
 * (private form) and _addresses.json (every address of a range). Forms that this program does not know yet
 * are counted aloud as skipped. Words of errors are another program's, so only the refusal counts. */
#include "vec.h"

#include "coin/descriptor/descriptor.h"
#include "coin/script/address.h"

#define TEXT_ROOM_B 32768

static struct chain *chains[3]; /* main, testnet, regtest */

static const struct chain *chain_of(const struct json *row)
{
    const struct json *network = json_get(row, "network");
    if (network == NULL || span_is(network->text, "main"))
        return chains[0];
    return span_is(network->text, "testnet") ? chains[1] : chains[2];
}

static bool is_later_form(const struct fail *why)
{
    return strstr(why->detail, "not supported by this program yet") != NULL;
}

static bool flag_is(const struct json *row, const char *key, bool have)
{
    const struct json *v = json_get(row, key);
    return v == NULL || !json_is_bool(v) || (v->type == JSON_TRUE) == have;
}

/* ' and h are the same step: bcoin's texts choose one for all, Bitcoin's the last one that was written. */
static void unify(struct buf *out, struct span text)
{
    const uint8_t *hash = memchr(text.data, '#', text.size_b);
    size_t n = hash != NULL ? (size_t)(hash - text.data) : text.size_b;
    out->size_b = 0;
    for (size_t i = 0; i < n; i++) {
        bool prime = text.data[i] == '\'';
        buf_put_u8(out, prime ? 'h' : text.data[i]);
    }
}

static bool same_text(struct span ours, struct span theirs)
{
    struct buf a, b;
    buf_init(&a, TEXT_ROOM_B);
    buf_init(&b, TEXT_ROOM_B);
    unify(&a, ours);
    unify(&b, theirs);
    bool same = span_equal(buf_span(&a), buf_span(&b));
    buf_clear(&a);
    buf_clear(&b);
    return same;
}

static bool checksum_holds(const struct json *row)
{
    char sum[DESCRIPTOR_CHECKSUM_SIZE_B];
    struct span text = json_get(row, "input")->text;
    const uint8_t *hash = memchr(text.data, '#', text.size_b);
    if (hash != NULL)
        text.size_b = (size_t)(hash - text.data);
    return descriptor_checksum(sum, text) && span_is(json_get(row, "checksum")->text, sum);
}

static void valid_row(struct vec *v, const struct json *row)
{
    struct span text = json_get(row, "input")->text;
    struct descriptor *d = NULL, *again = NULL;
    struct fail why;
    struct buf out;
    if (!descriptor_parse(&d, chain_of(row), text, false, &why)) {
        if (is_later_form(&why))
            v->skipped++;
        else
            vec_case(v, false, "%s: %s", vec_text(text), why.detail);
        return;
    }
    buf_init(&out, TEXT_ROOM_B);
    bool ok = descriptor_to_text(&out, d, DESCRIPTOR_PUBLIC, &why);
    vec_case(v, ok && same_text(buf_span(&out), json_get(row, "descriptor")->text) && checksum_holds(row),
        "%s: text %s", vec_text(text), vec_text(buf_span(&out)));
    vec_case(v, ok && flag_is(row, "isrange", descriptor_is_range(d)) &&
        flag_is(row, "issolvable", descriptor_is_solvable(d)) &&
        flag_is(row, "hasprivatekeys", descriptor_has_private(d)), "%s: properties", vec_text(text));
    /* what we write must be read by us, with its checksum */
    vec_case(v, ok && descriptor_parse(&again, chain_of(row), buf_span(&out), true, &why),
        "%s: not read again", vec_text(text));
    descriptor_free(again);
    descriptor_free(d);
    buf_clear(&out);
}

static void invalid_row(struct vec *v, const struct json *row)
{
    struct span text = json_get(row, "input")->text;
    struct descriptor *d = NULL;
    struct fail why;
    bool require = json_get(row, "requirechecksum") != NULL;
    bool parsed = descriptor_parse(&d, chain_of(row), text, require, &why);
    if (!parsed && is_later_form(&why) && strstr(vec_text(json_get(row, "error")->text), "function") == NULL)
        v->skipped++;
    else
        vec_case(v, !parsed && why.kind == FAIL_REQUEST && why.rpc_code == -5 && why.detail[0] != 0,
            "accepted: %s", vec_text(text));
    descriptor_free(d);
}

static void private_row(struct vec *v, const struct json *row)
{
    struct span text = json_get(row, "input")->text;
    struct descriptor *d = NULL;
    struct fail why;
    struct buf out;
    const struct json *expected = json_get(row, "expected");
    if (!descriptor_parse(&d, chain_of(row), text, false, &why)) {
        vec_case(v, false, "%s: %s", vec_text(text), why.detail);
        return;
    }
    buf_init(&out, TEXT_ROOM_B);
    if (expected == NULL) {
        vec_case(v, !descriptor_has_all_private(d), "%s: not every key is private", vec_text(text));
    } else {
        bool ok = descriptor_to_text(&out, d, DESCRIPTOR_PRIVATE, &why);
        vec_case(v, ok && span_equal(buf_span(&out), expected->text), "%s: %s", vec_text(text),
            vec_text(buf_span(&out)));
    }
    descriptor_free(d);
    buf_clear(&out);
}

/* bcoin gives pay-to-pubkey scripts the address of their key's hash; Bitcoin gives them none. */
static bool address_is(const struct chain *chain, struct span script, struct span address)
{
    char text[ADDRESS_SIZE_B];
    uint8_t room[25], hash[20];
    struct buf p2pkh = { .data = room, .capacity_b = sizeof room, .limit_b = sizeof room };
    struct script_match m = script_match(script);
    if (m.kind == SCRIPT_PUBKEY) {
        hash160(hash, m.payload.data, m.payload.size_b);
        script_put_p2pkh(&p2pkh, hash);
        script = buf_span(&p2pkh);
    }
    return address_from_script(text, chain, script) && span_is(address, text);
}

static void address_row(struct vec *v, const struct json *row)
{
    struct span text = json_get(row, "input")->text;
    const struct json *range = json_get(row, "range"), *addresses = json_get(row, "addresses");
    const struct chain *chain = chain_of(row);
    struct descriptor *d = NULL;
    struct descriptor_expansion e;
    struct fail why;
    int64_t from = 0, to = 0;

    if (!descriptor_parse(&d, chain, text, false, &why)) {
        if (is_later_form(&why))
            v->skipped++;
        else
            vec_case(v, false, "%s: %s", vec_text(text), why.detail);
        return;
    }
    if (range != NULL && (!json_to_i64(&from, json_at(range, 0), "from", &why) ||
                          !json_to_i64(&to, json_at(range, 1), "to", &why))) {
        vec_case(v, false, "%s: %s", vec_text(text), why.detail);
        descriptor_free(d);
        return;
    }
    const struct json *want = addresses != NULL ? addresses->first : NULL;
    for (int64_t i = from; i <= to; i++) {
        if (!descriptor_expand(&e, d, (uint32_t)i, &why)) {
            vec_case(v, addresses == NULL && why.rpc_code == -5, "%s: %s", vec_text(text), why.detail);
            continue;
        }
        for (uint32_t s = 0; s < e.script_count; s++) {
            char address[ADDRESS_SIZE_B];
            if (addresses == NULL) {
                vec_case(v, !address_from_script(address, chain, e.scripts[s].script),
                    "%s: has an address", vec_text(text));
                continue;
            }
            vec_case(v, want != NULL && address_is(chain, e.scripts[s].script, want->text),
                "%s: index %lld", vec_text(text), (long long)i);
            want = want != NULL ? want->next : NULL;
        }
        descriptor_expansion_clear(&e);
    }
    if (want != NULL)
        vec_case(v, false, "%s: addresses left over", vec_text(text));
    descriptor_free(d);
}

static bool each_row(struct vec *v, struct span content, void (*run)(struct vec *, const struct json *))
{
    struct json_doc doc;
    struct fail why;
    if (!json_parse(&doc, content, &why)) {
        vec_case(v, false, "%s", why.detail);
        return true;
    }
    for (const struct json *at = doc.root->first; at != NULL; at = at->next) {
        if (at->type == JSON_OBJECT)
            run(v, at);
        for (const struct json *row = at->type == JSON_ARRAY ? at->first : NULL; row != NULL; row = row->next)
            run(v, row);
    }
    json_doc_clear(&doc);
    return true;
}

static bool run_valid(struct vec *v, struct span content) { return each_row(v, content, valid_row); }
static bool run_invalid(struct vec *v, struct span content) { return each_row(v, content, invalid_row); }
static bool run_private(struct vec *v, struct span content) { return each_row(v, content, private_row); }
static bool run_addresses(struct vec *v, struct span content) { return each_row(v, content, address_row); }

int main(int argc, char **argv)
{
    static const char *const names[] = { "bitcoin", "testnet4", "regtest" };
    struct vec v;
    struct fail why;
    if (!vec_start(&v, argc, argv))
        return 2;
    for (int i = 0; i < 3; i++) {
        chains[i] = chain_load(names[i], &why);
        if (chains[i] == NULL) {
            fprintf(stderr, "%s\n", why.detail);
            return 2;
        }
    }
    vec_folder(&v, "wallet", "descriptors_valid", ".json", run_valid);
    vec_folder(&v, "wallet", "descriptors_invalid", ".json", run_invalid);
    vec_folder(&v, "wallet", "descriptors_privatekeys", ".json", run_private);
    vec_folder(&v, "wallet", "descriptors_addresses", ".json", run_addresses);
    for (int i = 0; i < 3; i++)
        chain_free(chains[i]);
    return vec_end(&v);
}
