/* vec_script_assets.c - proves segwit, taproot and tapscript spends against Core's generated assets: put
 * `success` into the input and it must pass with the flags (and with any subset that Bitcoin has lived
 * through), put `failure` there and it must not. Any taproot file of that shape counts. */
#include "vec.h"

#include "coin/primitives/tx.h"

#define WITNESS_ITEMS_MAX 2048

struct asset {
    struct tx_draft draft;
    struct coin *coins;
    uint32_t coin_count, index, flags;
    struct arena arena;
};

static bool hex_to_arena(struct arena *arena, struct span *out, struct span hex)
{
    uint8_t *bytes = arena_new(arena, hex.size_b / 2);
    *out = span_of(bytes, hex.size_b / 2);
    return bytes != NULL && hex.size_b % 2 == 0 && hex_decode(bytes, hex.size_b / 2, hex);
}

static bool read_asset(struct asset *a, const struct json *row)
{
    struct span raw;
    struct tx *tx = NULL;
    struct fail why;
    const struct json *prevouts = json_get(row, "prevouts");
    if (!hex_to_arena(&a->arena, &raw, json_get(row, "tx")->text) || !tx_decode_lenient(&tx, raw, &why))
        return false;
    bool ok = tx_draft_from_tx(&a->draft, tx);
    a->coins = arena_array(&a->arena, prevouts->count, sizeof *a->coins);
    for (const struct json *p = prevouts->first; ok && p != NULL; p = p->next) {
        struct span bytes;
        struct reader r;
        struct coin *coin = &a->coins[a->coin_count++];
        ok = hex_to_arena(&a->arena, &bytes, p->text);
        rd_init(&r, bytes);
        coin->value_sat = rd_i64le(&r);
        coin->script = rd_string(&r, VEC_FILE_MAX_B);
        ok = ok && !r.failed && rd_left(&r) == 0;
    }
    ok = ok && a->coin_count == tx->in_count && vec_flags(&a->flags, json_get(row, "flags")->text) &&
         json_to_u32(&a->index, json_get(row, "index"), "index", &why) && a->index < tx->in_count;
    tx_unref(tx);
    return ok;
}

/* SCRIPT_ERR_COUNT: the spend could not be built. */
static enum script_error verify(struct asset *a, const struct json *spend, uint32_t flags)
{
    static struct span items[WITNESS_ITEMS_MAX];
    struct span script_sig;
    struct tx *tx = NULL;
    struct fail why;
    struct sighash_pre pre;
    uint32_t count = 0;
    if (!hex_to_arena(&a->arena, &script_sig, json_get(spend, "scriptSig")->text))
        return SCRIPT_ERR_COUNT;
    for (const struct json *w = json_get(spend, "witness")->first; w != NULL; w = w->next) {
        if (count == WITNESS_ITEMS_MAX || !hex_to_arena(&a->arena, &items[count++], w->text))
            return SCRIPT_ERR_COUNT;
    }
    if (!tx_draft_set_script_sig(&a->draft, a->index, script_sig) ||
        !tx_draft_set_witness(&a->draft, a->index, items, count) || !tx_draft_finish(&tx, &a->draft, &why))
        return SCRIPT_ERR_COUNT;
    sighash_pre_init(&pre, tx, a->coins);
    enum script_error e = script_verify_input(&pre, a->index, flags);
    tx_unref(tx);
    return e;
}

static void run_row(struct vec *v, const struct json *row)
{
    /* what Bitcoin's blocks were held to, one soft fork after the other */
    static const uint32_t eras[] = { 0, SCRIPT_VERIFY_P2SH, SCRIPT_VERIFY_P2SH | SCRIPT_VERIFY_DERSIG,
        SCRIPT_VERIFY_P2SH | SCRIPT_VERIFY_DERSIG | SCRIPT_VERIFY_CHECKLOCKTIMEVERIFY,
        SCRIPT_FLAGS_CONSENSUS & ~(uint32_t)(SCRIPT_VERIFY_WITNESS | SCRIPT_VERIFY_NULLDUMMY | SCRIPT_VERIFY_TAPROOT),
        SCRIPT_FLAGS_CONSENSUS & ~(uint32_t)SCRIPT_VERIFY_TAPROOT, SCRIPT_FLAGS_CONSENSUS };
    struct asset a = { 0 };
    const struct json *success = json_get(row, "success"), *failure = json_get(row, "failure");
    const char *comment = vec_text(json_get(row, "comment")->text);
    arena_init(&a.arena, 0);
    tx_draft_init(&a.draft);
    if (!read_asset(&a, row)) {
        vec_case(v, false, "not understood: %s", comment);
    } else {
        /* The flags are the only ones that matter for this case: with more eras it must pass too when it is
         * final, with fewer whatever it is. */
        bool final = json_get(row, "final") != NULL && json_get(row, "final")->type == JSON_TRUE;
        for (size_t i = 0; success != NULL && i < sizeof eras / sizeof eras[0]; i++) {
            if (!final && (eras[i] & a.flags) != eras[i])
                continue;
            enum script_error e = verify(&a, success, eras[i]);
            vec_case(v, e == SCRIPT_OK, "%s, input %u, flags %x: %s", comment, a.index, eras[i],
                script_error_name(e));
        }
        for (size_t i = 0; failure != NULL && i < sizeof eras / sizeof eras[0]; i++) {
            if ((eras[i] & a.flags) != a.flags)
                continue;
            enum script_error e = verify(&a, failure, eras[i]);
            vec_case(v, e != SCRIPT_OK && e != SCRIPT_ERR_COUNT, "%s, input %u, flags %x: accepted", comment,
                a.index, eras[i]);
        }
    }
    tx_draft_clear(&a.draft);
    arena_clear(&a.arena);
}

static bool run_file(struct vec *v, struct span content)
{
    struct json_doc doc;
    struct fail why;
    if (!json_parse(&doc, content, &why)) {
        vec_case(v, false, "%s", why.detail);
        return true;
    }
    bool fits = doc.root->type == JSON_ARRAY && json_get(doc.root->first, "prevouts") != NULL;
    for (const struct json *row = fits ? doc.root->first : NULL; row != NULL; row = row->next)
        run_row(v, row);
    json_doc_clear(&doc);
    return fits;
}

int main(int argc, char **argv)
{
    struct vec v;
    if (!vec_start(&v, argc, argv))
        return 2;
    vec_folder(&v, "taproot", "", ".json", run_file);
    return vec_end(&v);
}
