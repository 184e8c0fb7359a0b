/* vec_tx.c - proves whole transactions: tx_valid.json must verify with every flag but those it excludes,
 * and no longer when one of the excluded flags comes back; tx_invalid.json must fail with the flags it
 * names, or in the checks without context when it says BADTX, and pass once a flag is taken away. Rows:
 * [[[txid, index, scriptPubKey, amount?]...], tx hex, flags]. */
#include "vec.h"

#include "coin/consensus/check.h"
#include "coin/primitives/tx.h"

#define COINS_MAX 64

static struct chain *chain;

struct row {
    struct tx *tx;
    struct coin coins[COINS_MAX]; /* by input */
    struct buf scripts[COINS_MAX];
    struct outpoint outpoints[COINS_MAX];
    int64_t values[COINS_MAX];
    uint32_t count;
};

/* Some flags mean nothing without others; Core's tests fill them in and take them out. */
static uint32_t fill_flags(uint32_t flags)
{
    if (flags & SCRIPT_VERIFY_CLEANSTACK)
        flags |= SCRIPT_VERIFY_WITNESS;
    if (flags & SCRIPT_VERIFY_WITNESS)
        flags |= SCRIPT_VERIFY_P2SH;
    return flags;
}

static uint32_t trim_flags(uint32_t flags)
{
    if (!(flags & SCRIPT_VERIFY_P2SH))
        flags &= ~(uint32_t)SCRIPT_VERIFY_WITNESS;
    if (!(flags & SCRIPT_VERIFY_WITNESS))
        flags &= ~(uint32_t)SCRIPT_VERIFY_CLEANSTACK;
    return flags;
}

static bool verifies(const struct row *row, uint32_t flags, bool expected)
{
    struct sighash_pre pre;
    sighash_pre_init(&pre, row->tx, row->coins);
    enum script_error e = SCRIPT_OK;
    for (uint32_t i = 0; i < row->tx->in_count && e == SCRIPT_OK; i++)
        e = script_verify_input(&pre, i, flags);
    return (e == SCRIPT_OK) == expected;
}

static bool read_coins(struct row *row, const struct json *list)
{
    for (const struct json *c = list->first; c != NULL; c = c->next) {
        uint32_t i = row->count;
        struct fail why;
        int64_t index = 0;
        if (i == COINS_MAX)
            return false;
        row->count++;
        if (!hash_from_hex(row->outpoints[i].txid.b, json_at(c, 0)->text) ||
            !json_to_i64(&index, json_at(c, 1), "index", &why) ||
            !vec_asm(&row->scripts[i], json_at(c, 2)->text))
            return false;
        row->outpoints[i].index = (uint32_t)(int32_t)index;
        if (c->count > 3 && !json_to_i64(&row->values[i], json_at(c, 3), "amount", &why))
            return false;
    }
    return true;
}

static bool match_coins(struct row *row)
{
    if (row->tx->in_count > COINS_MAX)
        return false;
    for (uint32_t i = 0; i < row->tx->in_count; i++) {
        uint32_t c = 0;
        while (c < row->count && !outpoint_equal(&row->outpoints[c], &row->tx->in[i].prevout))
            c++;
        if (c == row->count)
            return false;
        row->coins[i] = (struct coin){ .value_sat = row->values[c], .script = buf_span(&row->scripts[c]) };
    }
    return true;
}

static void run_valid(struct vec *v, const struct row *row, uint32_t excluded, const char *text)
{
    struct fail why;
    bool ok = check_tx(chain, row->tx, &why) && verifies(row, trim_flags(VEC_FLAGS_ALL & ~excluded), true);
    vec_case(v, ok, "not valid: %s", text);
    /* taking away any flag more never hurts */
    for (uint32_t bit = 1; bit <= VEC_FLAGS_ALL; bit <<= 1) {
        uint32_t flags = trim_flags(VEC_FLAGS_ALL & ~(excluded | bit));
        vec_case(v, verifies(row, flags, true), "less flags (%x) break: %s", bit, text);
    }
    /* and each of the excluded ones is excluded for a reason */
    for (uint32_t bit = 1; bit <= VEC_FLAGS_ALL; bit <<= 1) {
        if (excluded & bit)
            vec_case(v, verifies(row, trim_flags(VEC_FLAGS_ALL & ~(excluded & ~bit)), false),
                "flag %x need not be excluded: %s", bit, text);
    }
}

static void run_invalid(struct vec *v, const struct row *row, uint32_t flags, const char *text)
{
    struct fail why;
    vec_case(v, check_tx(chain, row->tx, &why) && verifies(row, fill_flags(flags), false),
        "not invalid: %s", text);
    for (uint32_t bit = 1; bit <= VEC_FLAGS_ALL; bit <<= 1)
        vec_case(v, verifies(row, fill_flags(flags | bit), false), "more flags (%x) mend: %s", bit, text);
    for (uint32_t bit = 1; bit <= VEC_FLAGS_ALL; bit <<= 1) {
        if (flags & bit)
            vec_case(v, verifies(row, trim_flags(flags & ~bit), true), "flag %x is not needed: %s", bit, text);
    }
}

static void run_row(struct vec *v, const struct json *json, bool valid)
{
    struct row row = { 0 };
    struct fail why = { 0 };
    struct buf raw;
    uint32_t flags = 0;
    const char *text = vec_text(json->raw);
    bool bad = span_is(json_at(json, 2)->text, "BADTX");

    buf_init(&raw, VEC_FILE_MAX_B);
    for (uint32_t i = 0; i < COINS_MAX; i++)
        buf_init(&row.scripts[i], VEC_FILE_MAX_B);
    bool ok = vec_hex(&raw, json_at(json, 1)) && (bad || vec_flags(&flags, json_at(json, 2)->text)) &&
              read_coins(&row, json_at(json, 0));
    bool decoded = ok && tx_decode_lenient(&row.tx, buf_span(&raw), &why);
    if (!ok)
        vec_case(v, false, "not understood: %s", text);
    else if (bad)
        vec_case(v, !decoded || !check_tx(chain, row.tx, &why), "not bad: %s", text);
    else if (!decoded || !match_coins(&row))
        vec_case(v, false, "%s: %s", decoded ? "a coin is missing" : why.detail, text);
    else if (valid)
        run_valid(v, &row, flags, text);
    else
        run_invalid(v, &row, flags, text);
    tx_unref(row.tx);
    buf_clear(&raw);
    for (uint32_t i = 0; i < COINS_MAX; i++)
        buf_clear(&row.scripts[i]);
}

static bool run_file(struct vec *v, struct span content, bool valid)
{
    struct json_doc doc;
    struct fail why;
    if (!json_parse(&doc, content, &why)) {
        vec_case(v, false, "%s", why.detail);
        return true;
    }
    for (const struct json *row = doc.root->first; row != NULL; row = row->next) {
        if (row->type == JSON_ARRAY && row->count == 3)
            run_row(v, row, valid);
    }
    json_doc_clear(&doc);
    return true;
}

static bool run_valid_file(struct vec *v, struct span content) { return run_file(v, content, true); }
static bool run_invalid_file(struct vec *v, struct span content) { return run_file(v, content, false); }

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
    vec_folder(&v, "tx", "tx_valid", ".json", run_valid_file);
    vec_folder(&v, "tx", "tx_invalid", ".json", run_invalid_file);
    chain_free(chain);
    return vec_end(&v);
}
