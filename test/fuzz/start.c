/* start.c - what every target needs before its first input. */
#include "coin/crypto/secp.h"
#include "fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const uint8_t blinding[32] = { 1 };
    struct fail why;
    (void)argc;
    (void)argv;
    FUZZ_HOLDS(secp_init(blinding, &why));
    return 0;
}
