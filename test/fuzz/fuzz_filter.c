/* Block filters: a block's id, a list of elements and a filter that may be anything. Reading never goes beyond the
 * filter, and what is accepted has one form; a filter that is made of the elements holds them all. */
#include "coin/ledger/filter.h"
#include "fuzz.h"

#define ELEMENTS_MAX 64
#define ELEMENT_MAX_B 64

static bool matches(bool *match, struct span filter, const struct block_id *id, const struct span *list, uint32_t count)
{
    struct fail why = { 0 };
    bool ok = block_filter_matches_any(filter, id, list, count, match, &why);
    FUZZ_HOLDS(ok || (why.kind == FAIL_PROTOCOL && !*match));
    return ok;
}

static void try_given(struct span given, const struct block_id *id, const struct span *list, uint32_t count)
{
    bool match, alone, any = false;
    struct buf more;
    if (!matches(&match, given, id, list, count))
        return;
    for (uint32_t i = 0; i < count; i++) {
        FUZZ_HOLDS(matches(&alone, given, id, &list[i], 1));
        any = any || alone;
    }
    FUZZ_HOLDS(match == any);
    FUZZ_HOLDS(!matches(&alone, span_of(given.data, given.size_b - 1), id, list, count));
    buf_init(&more, given.size_b + 1);
    buf_put(&more, given.data, given.size_b);
    buf_put_u8(&more, 0);
    FUZZ_HOLDS(!matches(&alone, buf_span(&more), id, list, count));
    buf_clear(&more);
}

static void try_made(const struct block_id *id, const struct span *list, uint32_t count)
{
    struct buf filter;
    struct fail why;
    bool match;
    buf_init(&filter, FILTER_SIZE_MAX_B);
    FUZZ_HOLDS(block_filter_encode(&filter, id, list, count, &why));
    for (uint32_t i = 0; i < count; i++) {
        FUZZ_HOLDS(matches(&match, buf_span(&filter), id, &list[i], 1));
        FUZZ_HOLDS(match);
    }
    try_given(buf_span(&filter), id, list, count);
    buf_clear(&filter);
}

/* 32 bytes of id | a count of elements, each a string | the rest: a filter */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_b)
{
    struct reader r;
    struct block_id id;
    struct span list[ELEMENTS_MAX];
    rd_init(&r, span_of(data, size_b));
    rd_copy(&r, id.b, sizeof id.b);
    uint32_t count = rd_count(&r, 1, ELEMENTS_MAX);
    for (uint32_t i = 0; i < count; i++)
        list[i] = rd_string(&r, ELEMENT_MAX_B);
    if (r.failed)
        return 0;
    try_given(rd_bytes(&r, rd_left(&r)), &id, list, count);
    try_made(&id, list, count);
    return 0;
}
