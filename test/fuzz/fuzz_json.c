/* JSON: what is read can be printed, and the print reads again to the same print. */
#include "coin/base/json.h"
#include "fuzz.h"

static void print(struct buf *out, const struct json *v, uint32_t indent)
{
    struct json_writer w;
    jw_init(&w, out, indent);
    jw_value(&w, v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_b)
{
    struct json_doc doc, again;
    struct fail why = { 0 };
    struct buf first, second;
    int64_t number;
    char decimal[32];
    if (decimal_parse(&number, span_of(data, size_b), 8))
        decimal_print(decimal, number, 8);
    if (!json_parse(&doc, span_of(data, size_b), &why)) {
        FUZZ_HOLDS(why.kind == FAIL_REQUEST && why.detail[0] != 0);
        return 0;
    }
    buf_init(&first, UINT32_MAX);
    buf_init(&second, UINT32_MAX);
    print(&first, doc.root, 2);
    FUZZ_HOLDS(json_parse(&again, buf_span(&first), &why));
    print(&second, again.root, 2);
    FUZZ_HOLDS(span_equal(buf_span(&first), buf_span(&second)));
    json_doc_clear(&again);
    json_doc_clear(&doc);
    buf_clear(&first);
    buf_clear(&second);
    return 0;
}
