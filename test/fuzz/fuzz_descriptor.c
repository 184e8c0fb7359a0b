/* Descriptors: what is read can be written, reads again to the same text, and expands without falling over. */
#include "coin/descriptor/descriptor.h"
#include "fuzz.h"

#define TEXT_MAX_B 65536

static void try_descriptor(const struct chain *chain, const struct descriptor *d)
{
    struct descriptor_expansion e;
    struct descriptor *again = NULL;
    struct fail why;
    struct buf text, second;
    buf_init(&text, TEXT_MAX_B);
    buf_init(&second, TEXT_MAX_B);
    FUZZ_HOLDS(descriptor_to_text(&text, d, DESCRIPTOR_PUBLIC, &why));
    FUZZ_HOLDS(descriptor_parse(&again, chain, buf_span(&text), true, &why));
    FUZZ_HOLDS(descriptor_to_text(&second, again, DESCRIPTOR_PUBLIC, &why));
    FUZZ_HOLDS(span_equal(buf_span(&text), buf_span(&second)));
    FUZZ_HOLDS(descriptor_is_range(d) == descriptor_is_range(again));
    if (descriptor_expand(&e, d, 7, &why)) {
        FUZZ_HOLDS(e.script_count > 0 && e.script_count <= DESCRIPTOR_SCRIPTS_MAX);
        for (uint32_t i = 0; i < e.script_count; i++) {
            second.size_b = 0;
            FUZZ_HOLDS(descriptor_infer(&second, chain, e.scripts[i].script, &why));
        }
        descriptor_expansion_clear(&e);
    }
    descriptor_free(again);
    buf_clear(&text);
    buf_clear(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_b)
{
    const struct chain *chain = fuzz_chain("bitcoin");
    struct descriptor *d = NULL;
    struct fail why = { 0 };
    struct buf text;
    char sum[DESCRIPTOR_CHECKSUM_SIZE_B];
    FUZZ_HOLDS(!descriptor_checksum(sum, span_of(data, size_b)) || strlen(sum) == 8);
    if (descriptor_parse(&d, chain, span_of(data, size_b), false, &why))
        try_descriptor(chain, d);
    else
        FUZZ_HOLDS(why.kind == FAIL_REQUEST && why.detail[0] != 0);
    descriptor_free(d);
    /* any bytes are a script, too */
    buf_init(&text, UINT32_MAX);
    FUZZ_HOLDS(descriptor_infer(&text, chain, span_of(data, size_b), &why));
    buf_clear(&text);
    return 0;
}
