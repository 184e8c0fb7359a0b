/* Addresses and keys as people type them: what is read is written back the same (but for letter case). */
#include <strings.h>

#include "coin/script/address.h"
#include "fuzz.h"

#define SCRIPT_ROOM_B 256

static void try_address(const struct chain *chain, struct span text)
{
    struct buf script;
    struct fail why = { 0 };
    char again[ADDRESS_SIZE_B];
    buf_init(&script, SCRIPT_ROOM_B);
    if (address_to_script(&script, chain, text, &why)) {
        FUZZ_HOLDS(address_from_script(again, chain, buf_span(&script)));
        FUZZ_HOLDS(strlen(again) == text.size_b &&
                   strncasecmp(again, (const char *)text.data, text.size_b) == 0);
    } else {
        FUZZ_HOLDS(why.kind == FAIL_REQUEST && why.detail[0] != 0);
    }
    buf_clear(&script);
}

static void try_key(const struct chain *chain, struct span text)
{
    uint8_t key[32];
    bool compressed;
    char again[ADDRESS_SIZE_B];
    if (!wif_decode(key, &compressed, chain, text))
        return;
    FUZZ_HOLDS(wif_encode(again, chain, key, compressed));
    FUZZ_HOLDS(span_is(text, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_b)
{
    static const char *const chains[] = { "bitcoin", "regtest", "coin" };
    struct span text = span_of(data, size_b);
    char out[ADDRESS_SIZE_B];
    for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) {
        const struct chain *chain = fuzz_chain(chains[i]);
        try_address(chain, text);
        try_key(chain, text);
        (void)address_from_script(out, chain, text);
    }
    return 0;
}
