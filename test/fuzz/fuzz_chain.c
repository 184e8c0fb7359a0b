/* Chain files: a chain that parses can be run; one that does not says which key is wrong. */
#include "coin/consensus/pow.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_b)
{
    struct fail why = { 0 };
    struct chain *chain = chain_parse(span_of(data, size_b), &why);
    if (chain == NULL) {
        FUZZ_HOLDS(why.detail[0] != 0);
        return 0;
    }
    FUZZ_HOLDS(chain->genesis != NULL && chain->spacing_s > 0 && chain->halving_interval > 0);
    FUZZ_HOLDS(chain_subsidy_sat(chain, 0) == chain->subsidy_sat && pow_window(chain) >= 0);
    (void)chain_subsidy_sat(chain, INT32_MAX);
    FUZZ_HOLDS(chain_set_activation_height(chain, "segwit@7", &why) == chain_is_for_tests(chain));
    FUZZ_HOLDS(chain_set_deployment(chain, "testdummy:0:99:5", &why) ||
               why.kind == FAIL_REQUEST); /* it may have no such deployment */
    chain_free(chain);
    return 0;
}
