/* vec_bip54.c - proves the consensus clean-up (BIP54) on its vectors: coinbases (whole blocks on Bitcoin's
 * first ones), time stamps of difficulty periods (trees of mined headers) and transactions of 64 bytes. What is
 * refused there must pass without the rule. Signature operations have no vectors: test_check.c counts them. */
#include "vec.h"

#include "coin/consensus/check.h"
#include "coin/primitives/block.h"

#define HEADERS_MAX 20000
#define FOREVER_S INT64_MAX / 2

static struct chain *chain, *before; /* Bitcoin with the rule, and as it is */

struct header_chain {
    struct header headers[HEADERS_MAX];
    int32_t count;
};
static struct header_chain line;

static struct pow_point point_at(const void *ctx, int32_t height)
{
    const struct header *h = &((const struct header_chain *)ctx)->headers[height];
    return (struct pow_point){ .height = height, .time_s = h->time_s, .bits = h->bits };
}

static int by_time(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int64_t median_time_past_s(void)
{
    uint32_t times[MEDIAN_TIME_BLOCKS];
    int32_t n = line.count < MEDIAN_TIME_BLOCKS ? line.count : MEDIAN_TIME_BLOCKS;
    for (int32_t i = 0; i < n; i++)
        times[i] = line.headers[line.count - 1 - i].time_s;
    qsort(times, (size_t)n, sizeof *times, by_time);
    return times[n / 2];
}

/* The header after those in the line; it joins them. */
static bool add_header(const struct chain *rules, const struct header *h, struct fail *why)
{
    struct block_id id = header_id(h);
    bool ok = true;
    if (line.count == HEADERS_MAX)
        return fail_set(why, FAIL_NO_ROOM, "vectors", "more than %d headers", HEADERS_MAX);
    if (line.count > 0) {
        struct header_context ctx = {
            .view = { .ctx = &line, .at = point_at, .tip_height = line.count - 1 },
            .parent_time_s = line.headers[line.count - 1].time_s,
            .median_time_past_s = median_time_past_s(),
            .now_s = FOREVER_S,
        };
        struct block_id prev = header_id(&line.headers[line.count - 1]);
        ok = block_id_equal(&prev, &h->prev) ? check_header(rules, h, &id, &ctx, why)
                                             : fail_set(why, FAIL_INVALID, "vectors", "another parent");
    }
    line.headers[line.count++] = *h;
    return ok;
}

/* ---- coinbases ---- */

static bool check_all(const struct chain *rules, const struct block *block, struct fail *why)
{
    struct block_context ctx = { .height = line.count, .median_time_past_s = median_time_past_s() };
    return check_block(rules, block, why) && check_block_context(rules, block, &ctx, why) &&
           add_header(rules, &block->header, why);
}

static bool read_block(struct block **out, const struct json *hex, struct fail *why)
{
    struct buf raw;
    buf_init(&raw, BLOCK_SIZE_MAX_B);
    if (!vec_hex(&raw, hex))
        return fail_set(why, FAIL_INVALID, "vectors", "no hex");
    return block_decode(out, &raw, why);
}

static void coinbase_row(struct vec *v, const struct json *row)
{
    struct fail why = { 0 };
    bool ok = true, old = true;
    uint32_t left = json_get(row, "block_chain")->count;
    line.count = 0;
    for (const struct json *hex = json_get(row, "block_chain")->first; ok && hex != NULL; hex = hex->next, left--) {
        struct block *block = NULL;
        ok = read_block(&block, hex, &why);
        if (ok && line.count == 0) {
            ok = add_header(before, &block->header, &why);
        } else if (ok) { /* the rule counts from the last one on */
            old = check_all(before, block, &why);
            line.count -= left == 1;
            ok = left > 1 ? old : check_all(chain, block, &why);
        }
        block_unref(block);
    }
    bool valid = json_get(row, "valid")->type == JSON_TRUE;
    vec_case(v, ok == valid, "%s: %s %s", vec_text(json_get(row, "comment")->text), why.code, why.detail);
    if (!valid) /* a lock time that is too high was refused before, too */
        vec_case(v, old ? strncmp(why.code, "bad-cb-", 7) == 0 : strcmp(why.code, "bad-txns-nonfinal") == 0,
            "%s: refused for %s", vec_text(json_get(row, "comment")->text), why.code);
}

/* ---- time stamps ---- */

static bool add_headers(const struct chain *rules, const struct json *list, struct fail *why)
{
    bool ok = true;
    for (const struct json *hex = list->first; ok && hex != NULL; hex = hex->next) {
        struct buf raw;
        struct header h;
        buf_init(&raw, HEADER_SIZE_B);
        ok = vec_hex(&raw, hex) && raw.size_b == HEADER_SIZE_B;
        if (!ok)
            fail_set(why, FAIL_INVALID, "vectors", "no header");
        header_decode(&h, raw.data);
        buf_clear(&raw);
        ok = ok && add_header(rules, &h, why);
    }
    return ok;
}

static void header_tree(struct vec *v, const struct json *node)
{
    const struct json *comment = json_get(node, "comment"), *verdict = json_get(node, "valid");
    const char *text = comment != NULL ? vec_text(comment->text) : "the trunk";
    bool valid = verdict == NULL || verdict->type == JSON_TRUE;
    int32_t start = line.count;
    struct fail why = { 0 };
    bool ok = add_headers(chain, json_get(node, "block_headers"), &why);
    vec_case(v, ok == valid, "%s: %s %s", text, why.code, why.detail);
    if (!valid) {
        vec_case(v, strcmp(why.code, "time-timewarp-attack") == 0, "%s: refused for %s", text, why.code);
        line.count = start;
        vec_case(v, add_headers(before, json_get(node, "block_headers"), &why), "%s: not valid without the rule: %s",
            text, why.detail);
    }
    const struct json *below = json_get(node, "extensions");
    for (const struct json *e = below != NULL ? below->first : NULL; e != NULL; e = e->next) {
        int32_t here = line.count;
        header_tree(v, e);
        line.count = here;
    }
}

/* ---- sizes ---- */

static void size_row(struct vec *v, const struct json *row)
{
    struct buf raw;
    struct tx *tx = NULL;
    struct fail why = { 0 };
    buf_init(&raw, VEC_FILE_MAX_B);
    bool valid = json_get(row, "valid")->type == JSON_TRUE;
    bool ok = vec_hex(&raw, json_get(row, "tx")) && tx_decode(&tx, buf_span(&raw), &why) &&
              check_tx(before, tx, &why);
    vec_case(v, ok, "%s: %s", vec_text(json_get(row, "comment")->text), why.detail);
    if (ok)
        vec_case(v, check_tx(chain, tx, &why) == valid, "%s", vec_text(json_get(row, "comment")->text));
    tx_unref(tx);
    buf_clear(&raw);
}

static bool run_rows(struct vec *v, struct span content, void (*run)(struct vec *, const struct json *))
{
    struct json_doc doc;
    struct fail why;
    if (!json_parse(&doc, content, &why)) {
        vec_case(v, false, "%s", why.detail);
        return true;
    }
    if (doc.root->type == JSON_OBJECT) {
        line.count = 0;
        run(v, doc.root);
    } else {
        for (const struct json *row = doc.root->first; row != NULL; row = row->next)
            run(v, row);
    }
    json_doc_clear(&doc);
    return true;
}

static bool coinbases(struct vec *v, struct span content) { return run_rows(v, content, coinbase_row); }
static bool timestamps(struct vec *v, struct span content) { return run_rows(v, content, header_tree); }
static bool sizes(struct vec *v, struct span content) { return run_rows(v, content, size_row); }

int main(int argc, char **argv)
{
    struct vec v;
    struct fail why;
    if (!vec_start(&v, argc, argv))
        return 2;
    chain = chain_load("bitcoin", &why);
    before = chain_load("bitcoin", &why);
    if (chain == NULL || before == NULL) {
        fprintf(stderr, "%s\n", why.detail);
        return 2;
    }
    chain->bip54 = true;
    vec_folder(&v, "consensus", "bip54_coinbases", ".json", coinbases);
    vec_folder(&v, "consensus", "bip54_timestamps", ".json", timestamps);
    vec_folder(&v, "consensus", "bip54_txsize", ".json", sizes);
    chain_free(chain);
    chain_free(before);
    return vec_end(&v);
}
