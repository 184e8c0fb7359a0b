/* vec_filters.c - proves block filters against BIP158's: the filter and its header from each block and the scripts
 * it spends, and that every one of its scripts is found in it. */
#include "vec.h"

#include "coin/ledger/filter.h"

static bool read_block(struct block **out, const struct json *hex, struct fail *why)
{
    struct buf raw;
    buf_init(&raw, BLOCK_SIZE_MAX_B);
    bool ok = vec_hex(&raw, hex) && block_decode(out, &raw, why);
    buf_clear(&raw);
    return ok;
}

/* The scripts in place of the whole coins: a filter looks at nothing else. */
static bool read_undo(struct block_undo *undo, const struct json *scripts)
{
    struct buf script;
    buf_init(&script, BLOCK_SIZE_MAX_B);
    undo->coins = arena_array(&undo->arena, scripts->count > 0 ? scripts->count : 1, sizeof *undo->coins);
    bool ok = undo->coins != NULL;
    for (const struct json *v = scripts->first; ok && v != NULL; v = v->next) {
        ok = vec_hex(&script, v);
        char *copy = ok ? arena_text(&undo->arena, (const char *)script.data, script.size_b) : NULL;
        ok = copy != NULL;
        if (ok)
            undo->coins[undo->count++].script = span_of(copy, script.size_b);
    }
    buf_clear(&script);
    return ok;
}

static bool is_found(const struct buf *filter, const struct block *block, const struct block_undo *undo)
{
    struct fail why;
    bool match;
    for (uint32_t t = 0; t < block->tx_count; t++) {
        for (uint32_t i = 0; i < block->txs[t].out_count; i++) {
            struct span script = block->txs[t].out[i].script;
            bool left_out = script.size_b == 0 || script.data[0] == OP_RETURN;
            if (!block_filter_matches_any(buf_span(filter), &block->id, &script, 1, &match, &why) || match == left_out)
                return false;
        }
    }
    for (uint32_t i = 0; i < undo->count; i++) {
        struct span script = undo->coins[i].script;
        if (!block_filter_matches_any(buf_span(filter), &block->id, &script, 1, &match, &why) ||
            match != (script.size_b > 0))
            return false;
    }
    return true;
}

static bool same_hash(const uint8_t hash[32], const struct json *hex)
{
    uint8_t expected[32];
    return hash_from_hex(expected, hex->text) && memcmp(hash, expected, 32) == 0;
}

/* [height, block id, block, [scripts], previous header, filter, header, notes] */
static bool one(const struct json *row)
{
    struct fail why;
    struct block *block = NULL;
    struct block_undo undo = {0};
    struct buf filter, expected;
    uint8_t id[32], header[32];
    arena_init(&undo.arena, 0);
    buf_init(&filter, FILTER_SIZE_MAX_B);
    buf_init(&expected, FILTER_SIZE_MAX_B);
    bool ok = read_block(&block, json_at(row, 2), &why) && same_hash(block->id.b, json_at(row, 1)) &&
              read_undo(&undo, json_at(row, 3)) && hash_from_hex(header, json_at(row, 4)->text) &&
              vec_hex(&expected, json_at(row, 5)) && block_filter_build(&filter, block, &undo, &why) &&
              span_equal(buf_span(&filter), buf_span(&expected));
    if (ok) {
        block_filter_id(id, buf_span(&filter));
        block_filter_header(header, id, header);
        ok = same_hash(header, json_at(row, 6)) && is_found(&filter, block, &undo);
    }
    buf_clear(&filter);
    buf_clear(&expected);
    arena_clear(&undo.arena);
    block_unref(block);
    return ok;
}

static bool each_filters(struct vec *v, struct span content)
{
    struct json_doc doc;
    struct fail why;
    if (!json_parse(&doc, content, &why) || doc.root->type != JSON_ARRAY)
        return false;
    for (const struct json *row = doc.root->first; row != NULL; row = row->next) {
        if (row->count > 1) /* the first row names the columns */
            vec_case(v, row->count == 8 && one(row), "%s: %s", vec_text(json_at(row, 1)->text), vec_text(json_at(row, 7)->text));
    }
    json_doc_clear(&doc);
    return true;
}

int main(int argc, char **argv)
{
    struct vec v;
    if (!vec_start(&v, argc, argv))
        return 2;
    vec_folder(&v, "filters", "bip158", ".json", each_filters);
    return vec_end(&v);
}
