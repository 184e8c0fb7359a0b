/* Transactions: what decodes, encodes to the same bytes; the checks that need no coins never fall over. */
#include "coin/consensus/check.h"
#include "coin/primitives/tx.h"
#include "fuzz.h"

static void same_bytes(const struct tx *tx, struct span bytes)
{
    struct tx_draft draft;
    struct buf out;
    tx_draft_init(&draft);
    buf_init(&out, BLOCK_SIZE_MAX_B * 2);
    FUZZ_HOLDS(tx_draft_from_tx(&draft, tx));
    tx_draft_encode(&out, &draft, tx->has_witness);
    FUZZ_HOLDS(span_equal(buf_span(&out), bytes));
    FUZZ_HOLDS(tx->size_b == bytes.size_b && tx->stripped_size_b <= tx->size_b);
    out.size_b = 0;
    tx_encode_stripped(&out, tx);
    FUZZ_HOLDS(out.size_b == tx->stripped_size_b);
    buf_clear(&out);
    tx_draft_clear(&draft);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_b)
{
    struct span bytes = span_of(data, size_b);
    struct tx *tx = NULL;
    struct fail why = { 0 };
    if (tx_decode(&tx, bytes, &why)) {
        same_bytes(tx, bytes);
        FUZZ_HOLDS(tx->has_witness || memcmp(tx->txid.b, tx->wtxid.b, 32) == 0);
        bool ok = check_tx(fuzz_chain("bitcoin"), tx, &why);
        FUZZ_HOLDS(ok || why.code[0] != 0);
        (void)tx_is_final(tx, 500000, 1600000000);
        (void)tx_legacy_sigops(tx);
    } else {
        FUZZ_HOLDS(why.kind == FAIL_PROTOCOL && why.code[0] != 0);
    }
    tx_unref(tx);
    tx = NULL;
    if (tx_decode_lenient(&tx, bytes, &why))
        FUZZ_HOLDS(tx->size_b == size_b);
    tx_unref(tx);
    return 0;
}
