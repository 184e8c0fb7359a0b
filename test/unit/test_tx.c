/* Proves that a transaction reads back as it was written, that ids are those of real transactions, and
 * that every cut, every non-canonical length, every misuse of the witness flag and every failed
 * allocation is refused without harm. */
#include <check.h>
#include <string.h>

#include "coin/primitives/tx.h"
#include "coin/primitives/block.h"
#include "unit.h"

#define BYTES_MAX 20000

/* The first payment of Bitcoin (block 170), and the first example of BIP143. */
static const char payment[] =
    "0100000001c997a5e56e104102fa209c6a852dd90660a20b2d9c352423edce25857fcd3704000000004847304402"
    "204e45e16932b8af514961a1d3a1a25fdf3f4f7732e9d624c6c61548ab5fb8cd410220181522ec8eca07de4860a4"
    "acdd12909d831cc56cbbac4622082221a8768d1d0901ffffffff0200ca9a3b00000000434104ae1a62fe09c5f51b"
    "13905f07f06b99a2f7159b2225f374cd378d71302fa28414e7aab37397f554a7df5f142c21c1b7303b8a0626f1ba"
    "ded5c72a704f7e6cd84cac00286bee0000000043410411db93e1dcdb8a016b49840f8c53bc1eb68a382e97b1482e"
    "cad7b148a6909a5cb2e0eaddfb84ccf9744464f82e160bfa9b8b64f9d4c03f999b8643f656b412a3ac00000000";
static const char witness[] =
    "01000000000102fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f00000000494830"
    "450221008b9d1dc26ba6a9cb62127b02742fa9d754cd3bebf337f7a55d114c8e5cdd30be022040529b194ba3f928"
    "1a99f2b1c0a19c0489bc22ede944ccf4ecbab4cc618ef3ed01eeffffffef51e1b804cc89d182d279655c3aa89e81"
    "5b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f6"
    "6f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988"
    "ac000247304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0220573a954c"
    "4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee0121025476c2e83188368da1ff3e292e7aca"
    "fcdb3566bb0ad253f62fc70f07aeee635711000000";

static struct span from_hex(uint8_t *out, const char *text)
{
    size_t size_b = strlen(text) / 2;
    ck_assert_uint_le(size_b, BYTES_MAX);
    ck_assert(hex_decode(out, size_b, span_text(text)));
    return span_of(out, size_b);
}

static const struct {
    const char *name, *bytes, *txid;
    uint32_t ins, outs, weight, vsize;
    bool has_witness;
} rows[] = {
    { "payment", payment, "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16", 1, 2, 1100, 275, false },
    { "witness", witness, "e8151a2af31c368a35053ddd4bdb285a8595c769a3ad83e0fa02314a602d4609", 2, 2, 0, 0, true },
};

START_TEST(decodes)
{
    uint8_t bytes[BYTES_MAX];
    struct span raw = from_hex(bytes, rows[_i].bytes);
    struct tx *tx;
    struct fail why;
    ck_assert_msg(tx_decode(&tx, raw, &why), "%s", why.detail);
    ck_assert_uint_eq(tx->in_count, rows[_i].ins);
    ck_assert_uint_eq(tx->out_count, rows[_i].outs);
    ck_assert(tx->has_witness == rows[_i].has_witness);
    ck_assert(span_equal(tx->raw, raw));
    ck_assert(tx->raw.data != raw.data); /* a copy: ours may go */
    ck_assert(!tx_is_coinbase(tx));
    if (!rows[_i].has_witness) {
        ck_assert_str_eq(hash_show(tx->txid.b), rows[_i].txid);
        ck_assert_int_eq(memcmp(tx->txid.b, tx->wtxid.b, 32), 0);
        ck_assert_uint_eq(tx_weight_wu(tx), rows[_i].weight);
        ck_assert_uint_eq(tx_vsize_b(tx), rows[_i].vsize);
        ck_assert_int_eq(tx->out[0].value_sat, 10 * COIN_SAT);
    } else {
        ck_assert_str_eq(hash_show(tx->txid.b), rows[_i].txid);
        ck_assert(memcmp(tx->txid.b, tx->wtxid.b, 32) != 0);
        ck_assert_uint_eq(tx->in[0].witness_count, 0);
        ck_assert_ptr_null(tx->in[0].witness);
        ck_assert_uint_eq(tx->in[1].witness_count, 2);
        ck_assert_uint_eq(tx->in[1].witness[1].size_b, 33);
        ck_assert_uint_eq(tx_weight_wu(tx), tx->stripped_size_b * 3 + tx->size_b);
        ck_assert_uint_eq(tx_vsize_b(tx), (tx_weight_wu(tx) + 3) / 4);
        ck_assert_uint_eq(tx->lock_time, 17);
    }
    tx_unref(tx);
}
END_TEST

/* decode -> draft -> encode gives the same bytes; stripped, the same txid. */
START_TEST(round_trip)
{
    uint8_t bytes[BYTES_MAX];
    struct span raw = from_hex(bytes, rows[_i].bytes);
    struct tx *tx, *again, *bare;
    struct fail why;
    struct tx_draft draft;
    struct buf out;
    ck_assert(tx_decode(&tx, raw, &why));
    tx_draft_init(&draft);
    buf_init(&out, BYTES_MAX);
    ck_assert(tx_draft_from_tx(&draft, tx));
    tx_draft_encode(&out, &draft, true);
    ck_assert(span_equal(buf_span(&out), raw));
    ck_assert(tx_draft_finish(&again, &draft, &why));
    ck_assert(wtxid_equal(&tx->wtxid, &again->wtxid) && txid_equal(&tx->txid, &again->txid));

    struct buf stripped;
    buf_init(&stripped, BYTES_MAX);
    tx_encode_stripped(&stripped, tx);
    ck_assert_uint_eq(stripped.size_b, tx->stripped_size_b);
    ck_assert(tx_decode(&bare, buf_span(&stripped), &why));
    ck_assert(txid_equal(&bare->txid, &tx->txid));
    ck_assert(!bare->has_witness);
    buf_clear(&out);
    tx_draft_encode(&out, &draft, false);
    ck_assert(span_equal(buf_span(&out), buf_span(&stripped)));
    tx_unref(tx);
    tx_unref(again);
    tx_unref(bare);
    buf_clear(&out);
    buf_clear(&stripped);
    tx_draft_clear(&draft);
}
END_TEST

START_TEST(every_cut_is_refused)
{
    uint8_t bytes[BYTES_MAX];
    struct span raw = from_hex(bytes, rows[_i].bytes);
    for (size_t size_b = 0; size_b < raw.size_b; size_b++) {
        struct tx *tx = (struct tx *)&raw;
        struct fail why;
        ck_assert_msg(!tx_decode(&tx, span_of(bytes, size_b), &why), "%zu bytes", size_b);
        ck_assert_int_eq(why.kind, FAIL_PROTOCOL);
        ck_assert_str_eq(why.code, "tx-decode");
        ck_assert_ptr_null(tx);
    }
    struct tx *tx;
    struct fail why;
    ck_assert(!tx_decode(&tx, span_of(bytes, raw.size_b + 1), &why)); /* trailing */
    ck_assert_int_eq(why.kind, FAIL_PROTOCOL);
}
END_TEST

#define IN "0000000000000000000000000000000000000000000000000000000000000001" "00000000"
static const struct { const char *name, *bytes; } refused[] = {
    { "flag 0 with a body", "01000000" "00" "00" "01" IN "00" "ffffffff" "00" "00000000" },
    { "flag 2", "01000000" "00" "02" "01" IN "00" "ffffffff" "00" "00" "00000000" },
    { "flag 3", "01000000" "00" "03" "01" IN "00" "ffffffff" "00" "0101aa" "00000000" },
    { "superfluous witness", "01000000" "00" "01" "01" IN "00" "ffffffff" "00" "00" "00000000" },
    { "witness without inputs", "01000000" "00" "01" "00" "00" "00000000" },
    { "count of inputs in 3 bytes", "01000000" "fd0100" IN "00" "ffffffff" "00" "00000000" },
    { "count of inputs in 5 bytes", "01000000" "fe01000000" IN "00" "ffffffff" "00" "00000000" },
    { "count of inputs in 9 bytes", "01000000" "ff0100000000000000" IN "00" "ffffffff" "00" "00000000" },
    { "length of script in 3 bytes", "01000000" "01" IN "fd0100aa" "ffffffff" "00" "00000000" },
    { "length of output script in 3 bytes", "01000000" "01" IN "00" "ffffffff" "01" "0000000000000000" "fd0100aa" "00000000" },
    { "count of witness in 3 bytes", "01000000" "00" "01" "01" IN "00" "ffffffff" "00" "fd010001aa" "00000000" },
    { "2^32 inputs", "01000000" "ffffffffff00000000" IN "00" "ffffffff" "00" "00000000" },
    { "2^64 outputs", "01000000" "01" IN "00" "ffffffff" "ffffffffffffffffff" "00000000" },
    { "script longer than the rest", "01000000" "01" IN "fe00000002" "ffffffff" "00" "00000000" },
};

START_TEST(malformed_is_refused)
{
    uint8_t bytes[BYTES_MAX];
    struct tx *tx;
    struct fail why;
    ck_assert_msg(!tx_decode(&tx, from_hex(bytes, refused[_i].bytes), &why), "%s", refused[_i].name);
    ck_assert_int_eq(why.kind, FAIL_PROTOCOL);
}
END_TEST

START_TEST(empty_decodes)
{
    /* Bitcoin reads this one: no inputs, no outputs (refused later, by a rule with a name). */
    uint8_t bytes[BYTES_MAX];
    struct tx *tx;
    struct fail why;
    ck_assert(tx_decode(&tx, from_hex(bytes, "01000000" "0000" "00000000"), &why));
    ck_assert_uint_eq(tx->in_count + tx->out_count, 0);
    tx_unref(tx);
}
END_TEST

START_TEST(lenient_reads_drafts)
{
    /* No inputs, one output: with a witness this would be marker and flag. */
    uint8_t bytes[BYTES_MAX];
    struct tx *tx;
    struct fail why;
    struct span raw = from_hex(bytes, "02000000" "00" "01" "00e1f505000000001976a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac" "00000000");
    ck_assert(!tx_decode(&tx, raw, &why));
    ck_assert_msg(tx_decode_lenient(&tx, raw, &why), "%s", why.detail);
    ck_assert_uint_eq(tx->in_count, 0);
    ck_assert_uint_eq(tx->out_count, 1);
    ck_assert_int_eq(tx->out[0].value_sat, COIN_SAT);
    tx_unref(tx);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert(tx_decode_lenient(&tx, from_hex(bytes, rows[i].bytes), &why));
        ck_assert(tx->has_witness == rows[i].has_witness);
        tx_unref(tx);
    }
    ck_assert(!tx_decode_lenient(&tx, from_hex(bytes, "deadbeef"), &why));
    ck_assert_ptr_null(tx);
}
END_TEST

START_TEST(drafts)
{
    struct tx_draft draft;
    struct tx *tx;
    struct fail why;
    tx_draft_init(&draft);
    ck_assert_uint_eq(draft.version, TX_VERSION_DEFAULT);
    uint8_t script[300];
    memset(script, 0x51, sizeof script);
    for (uint32_t i = 0; i < 300; i++) { /* grows over many doublings */
        struct outpoint o = { .index = i };
        o.txid.b[0] = (uint8_t)i;
        ck_assert_ptr_nonnull(tx_draft_add_in(&draft, &o, i));
        ck_assert_ptr_nonnull(tx_draft_add_out(&draft, i, span_of(script, i)));
    }
    struct span items[2] = { span_text("one"), { NULL, 0 } };
    ck_assert(tx_draft_set_witness(&draft, 7, items, 2));
    ck_assert(tx_draft_set_script_sig(&draft, 8, span_text("sig")));
    ck_assert(!tx_draft_set_witness(&draft, 300, items, 2));
    ck_assert(!tx_draft_set_script_sig(&draft, 300, span_text("sig")));
    memset(script, 0, sizeof script); /* copies were taken */
    ck_assert(tx_draft_finish(&tx, &draft, &why));
    ck_assert_uint_eq(tx->in_count, 300);
    for (uint32_t i = 0; i < 300; i++) {
        ck_assert_uint_eq(tx->in[i].prevout.index, i);
        ck_assert_uint_eq(tx->in[i].sequence, i);
        ck_assert_int_eq(tx->out[i].value_sat, i);
        ck_assert_uint_eq(tx->out[i].script.size_b, i);
        ck_assert(i == 0 || tx->out[i].script.data[i - 1] == 0x51);
    }
    ck_assert_uint_eq(tx->in[7].witness_count, 2);
    ck_assert(span_is(tx->in[7].witness[0], "one"));
    ck_assert(span_is(tx->in[8].script_sig, "sig"));
    tx_unref(tx);
    ck_assert(tx_draft_set_witness(&draft, 7, NULL, 0));
    ck_assert(tx_draft_finish(&tx, &draft, &why));
    ck_assert(!tx->has_witness);
    tx_unref(tx);
    tx_draft_clear(&draft);
    ck_assert_ptr_nonnull(tx_draft_add_out(&draft, 5, span_text("x"))); /* without inputs */
    ck_assert(tx_draft_finish(&tx, &draft, &why));
    ck_assert_uint_eq(tx->out_count, 1);
    tx_unref(tx);
    tx_draft_clear(&draft);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    uint8_t bytes[BYTES_MAX];
    struct span raw = from_hex(bytes, witness);
    for (uint32_t nth = 1;; nth++) {
        struct tx *tx;
        struct fail why;
        mem_fail_nth(nth);
        bool ok = tx_decode(&tx, raw, &why);
        mem_fail_nth(0);
        if (ok) {
            tx_unref(tx);
            ck_assert_uint_gt(nth, 2);
            return;
        }
        ck_assert_int_eq(why.kind, FAIL_NO_ROOM);
        ck_assert_ptr_null(tx);
    }
}
END_TEST

START_TEST(references)
{
    uint8_t bytes[BYTES_MAX];
    struct tx *tx;
    struct fail why;
    ck_assert(tx_decode(&tx, from_hex(bytes, payment), &why));
    ck_assert_ptr_eq(tx_ref(tx), tx);
    tx_unref(tx);
    ck_assert_uint_eq(tx->in_count, 1); /* still there (the sanitizer watches) */
    tx_unref(tx);
    tx_unref(NULL);
}
END_TEST

START_TEST(money)
{
    int64_t sum = 0, max = 100;
    ck_assert(amount_add(&sum, 100, max));
    ck_assert_int_eq(sum, 100);
    ck_assert(!amount_add(&sum, 1, max));
    ck_assert(!amount_add(&sum, -101, max));
    ck_assert_int_eq(sum, 100); /* untouched by a failure */
    sum = INT64_MAX;
    ck_assert(!amount_add(&sum, 1, INT64_MAX)); /* CVE-2010-5139 */
    ck_assert(amount_in_range(0, max) && amount_in_range(100, max));
    ck_assert(!amount_in_range(-1, max) && !amount_in_range(101, max));
}
END_TEST

START_TEST(too_large)
{
    struct buf big;
    struct tx *tx;
    struct fail why;
    buf_init(&big, BLOCK_SIZE_MAX_B + 10);
    memset(buf_reserve(&big, BLOCK_SIZE_MAX_B + 1), 0, BLOCK_SIZE_MAX_B + 1);
    big.size_b = BLOCK_SIZE_MAX_B + 1;
    ck_assert(!tx_decode(&tx, buf_span(&big), &why));
    ck_assert_int_eq(why.kind, FAIL_PROTOCOL);
    buf_clear(&big);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tx");
    TCase *tc = tcase_create("tx");
    int row_count = (int)(sizeof rows / sizeof *rows);
    tcase_add_loop_test(tc, decodes, 0, row_count);
    tcase_add_loop_test(tc, round_trip, 0, row_count);
    tcase_add_loop_test(tc, every_cut_is_refused, 0, row_count);
    tcase_add_loop_test(tc, malformed_is_refused, 0, (int)(sizeof refused / sizeof *refused));
    tcase_add_test(tc, empty_decodes);
    tcase_add_test(tc, lenient_reads_drafts);
    tcase_add_test(tc, drafts);
    tcase_add_test(tc, every_allocation_may_fail);
    tcase_add_test(tc, references);
    tcase_add_test(tc, money);
    tcase_add_test(tc, too_large);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
