/* Proves the standardness rules row by row: each limit at its edge and one beyond, with Bitcoin's strings. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/mempool/internal.h"
#include "coin/script/script.h"
#include "unit.h"

#define SCRIPT_ROOM_B 450000

static const struct mempool_options defaults = {.min_relay_sat_kvb = 100,
    .incremental_sat_kvb = 100,
    .dust_relay_sat_kvb = 3000,
    .datacarrier_size_b = 100000,
    .permit_bare_multisig = true,
    .require_standard = true,
    .bytes_per_sigop = 20};

/* "51*20" means the byte 0x51 twenty times; spaces separate. */
static void script_write(struct buf *out, const char *text)
{
    buf_init(out, SCRIPT_ROOM_B);
    while (*text != 0) {
        char *end;
        uint8_t hex[3] = {(uint8_t)text[0], (uint8_t)text[1], 0};
        uint8_t byte = (uint8_t)strtoul((const char *)hex, NULL, 16);
        unsigned long times = 1;
        text += 2;
        if (*text == '*') {
            times = strtoul(text + 1, &end, 10);
            text = end;
        }
        while (times-- > 0)
            buf_put_u8(out, byte);
        while (*text == ' ')
            text++;
    }
    ck_assert(!out->failed);
}

struct shape { /* one transaction, one or two outputs */
    uint32_t version;
    const char *script_sig, *witness[4], *script, *script2;
    int64_t value_sat;
};
#define P2PKH "76 a9 14 11*20 88 ac"
#define P2SH "a9 14 11*20 87"
#define P2WSH "00 20 11*32"
#define P2TR "51 20 11*32"
#define KEY "21 02 11*32"

static struct tx *build(const struct shape *shape)
{
    struct tx_draft draft;
    struct outpoint from = {.index = 3};
    struct buf script;
    struct fail why;
    struct tx *tx = NULL;
    memset(from.txid.b, 7, sizeof from.txid.b);
    tx_draft_init(&draft);
    draft.version = shape->version;
    ck_assert_ptr_nonnull(tx_draft_add_in(&draft, &from, SEQUENCE_FINAL));
    if (shape->script_sig != NULL) {
        script_write(&script, shape->script_sig);
        ck_assert(tx_draft_set_script_sig(&draft, 0, buf_span(&script)));
        buf_clear(&script);
    }
    struct buf items[4];
    struct span spans[4];
    uint32_t count = 0;
    for (; count < 4 && shape->witness[count] != NULL; count++) {
        script_write(&items[count], shape->witness[count]);
        spans[count] = buf_span(&items[count]);
    }
    if (count > 0)
        ck_assert(tx_draft_set_witness(&draft, 0, spans, count));
    for (uint32_t i = 0; i < count; i++)
        buf_clear(&items[i]);
    const char *outputs[2] = {shape->script != NULL ? shape->script : P2PKH, shape->script2};
    for (uint32_t i = 0; i < 2 && outputs[i] != NULL; i++) {
        script_write(&script, outputs[i]);
        ck_assert_ptr_nonnull(tx_draft_add_out(&draft, shape->value_sat, buf_span(&script)));
        buf_clear(&script);
    }
    ck_assert_msg(tx_draft_finish(&tx, &draft, &why), "%s", why.detail);
    tx_draft_clear(&draft);
    return tx;
}

struct standard_row {
    const char *name;
    struct shape shape;
    bool no_multisig;
    uint32_t carrier_b; /* 0: the default */
    const char *code; /* NULL: standard */
};
#define VALUE 100000

static const struct standard_row standard_rows[] = {
    {"plain", {.version = 2, .value_sat = VALUE}, false, 0, NULL},
    {"version 0", {.version = 0, .value_sat = VALUE}, false, 0, "version"},
    {"version 1", {.version = 1, .value_sat = VALUE}, false, 0, NULL},
    {"version 3", {.version = 3, .value_sat = VALUE}, false, 0, NULL},
    {"version 4", {.version = 4, .value_sat = VALUE}, false, 0, "version"},
    {"version is unsigned", {.version = 0xffffffffu, .value_sat = VALUE}, false, 0, "version"},
    {"scriptSig at its limit", {.version = 2, .script_sig = "00*1650", .value_sat = VALUE}, false,
        0, NULL},
    {"scriptSig over it", {.version = 2, .script_sig = "00*1651", .value_sat = VALUE}, false, 0,
        "scriptsig-size"},
    {"scriptSig that computes", {.version = 2, .script_sig = "51 76", .value_sat = VALUE}, false, 0,
        "scriptsig-not-pushonly"},
    {"scriptSig that is cut", {.version = 2, .script_sig = "05 01", .value_sat = VALUE}, false, 0,
        "scriptsig-not-pushonly"},
    {"weight too large", {.version = 2, .witness = {"11*400000"}, .value_sat = VALUE}, false, 0,
        "tx-size"},
    {"weight fits", {.version = 2, .witness = {"11*399000"}, .value_sat = VALUE}, false, 0, NULL},
    {"P2SH", {.version = 2, .script = P2SH, .value_sat = VALUE}, false, 0, NULL},
    {"P2WSH", {.version = 2, .script = P2WSH, .value_sat = VALUE}, false, 0, NULL},
    {"taproot", {.version = 2, .script = P2TR, .value_sat = VALUE}, false, 0, NULL},
    {"anchor", {.version = 2, .script = "51 02 4e 73", .value_sat = VALUE}, false, 0, NULL},
    {"future witness version", {.version = 2, .script = "60 10 11*16", .value_sat = VALUE}, false,
        0, NULL},
    {"P2PK", {.version = 2, .script = KEY " ac", .value_sat = VALUE}, false, 0, NULL},
    {"OP_TRUE", {.version = 2, .script = "51", .value_sat = VALUE}, false, 0, "scriptpubkey"},
    {"empty", {.version = 2, .script = "", .value_sat = VALUE}, false, 0, "scriptpubkey"},
    {"1 of 3", {.version = 2, .script = "51 " KEY " " KEY " " KEY " 53 ae", .value_sat = VALUE},
        false, 0, NULL},
    {"1 of 4",
        {.version = 2, .script = "51 " KEY " " KEY " " KEY " " KEY " 54 ae", .value_sat = VALUE},
        false, 0, "scriptpubkey"},
    {"bare multisig is off", {.version = 2, .script = "51 " KEY " 51 ae", .value_sat = VALUE}, true,
        0, "bare-multisig"},
    {"data", {.version = 2, .script = "6a 04 11*4", .value_sat = 0}, false, 0, NULL},
    {"data at its limit", {.version = 2, .script = "6a 4c 50 11*80", .value_sat = 0}, false, 83,
        NULL},
    {"data over it", {.version = 2, .script = "6a 4c 51 11*81", .value_sat = 0}, false, 83,
        "datacarrier"},
    {"two that share the limit",
        {.version = 2, .script = "6a 04 11*4", .script2 = "6a 04 11*4", .value_sat = 0}, false, 12,
        NULL},
    {"two that exceed it",
        {.version = 2, .script = "6a 04 11*4", .script2 = "6a 04 11*4", .value_sat = 0}, false, 11,
        "datacarrier"},
    {"one dust output", {.version = 2, .value_sat = 545}, false, 0, NULL},
    {"two dust outputs", {.version = 2, .script2 = P2PKH, .value_sat = 545}, false, 0, "dust"},
    {"two at the threshold", {.version = 2, .script2 = P2PKH, .value_sat = 546}, false, 0, NULL},
};

START_TEST(standard_transactions)
{
    const struct standard_row *row = &standard_rows[_i];
    struct mempool_options options = defaults;
    struct fail why = {0};
    options.permit_bare_multisig = !row->no_multisig;
    if (row->carrier_b > 0)
        options.datacarrier_size_b = row->carrier_b;
    struct tx *tx = build(&row->shape);
    bool ok = policy_check_standard(&options, tx, &why);
    ck_assert_msg(ok == (row->code == NULL), "%s: %s", row->name, ok ? "passed" : why.code);
    if (!ok) {
        ck_assert_str_eq(why.code, row->code);
        ck_assert_int_eq(why.kind, FAIL_POLICY);
    }
    tx_unref(tx);
}
END_TEST

START_TEST(no_carrier_means_no_data)
{
    struct mempool_options options = defaults;
    struct shape shape = {.version = 2, .script = "6a", .value_sat = 0};
    struct fail why = {0};
    options.datacarrier_size_b = 0;
    struct tx *tx = build(&shape);
    ck_assert(!policy_check_standard(&options, tx, &why));
    ck_assert_str_eq(why.code, "datacarrier");
    tx_unref(tx);
}
END_TEST

/* Thresholds that wallets know by heart. */
static const struct {
    const char *script;
    int64_t rate, dust_sat;
} dust_rows[] = {
    {P2PKH, 3000, 546},
    {P2SH, 3000, 540},
    {"00 14 11*20", 3000, 294},
    {P2WSH, 3000, 330},
    {P2TR, 3000, 330},
    {"51 02 4e 73", 3000, 240},
    {"6a 01 01", 3000, 0},
    {P2PKH, 1000, 182},
    {P2PKH, 1001, 183}, /* rounded up */
    {P2PKH, 0, 0},
};

START_TEST(dust_thresholds)
{
    struct buf script;
    script_write(&script, dust_rows[_i].script);
    int64_t dust_sat = policy_dust_sat(buf_span(&script), dust_rows[_i].rate);
    ck_assert_int_eq(dust_sat, dust_rows[_i].dust_sat);
    struct tx_out out = {dust_sat, buf_span(&script)};
    ck_assert(!policy_is_dust(&out, dust_rows[_i].rate));
    out.value_sat--;
    ck_assert(dust_sat == 0 || policy_is_dust(&out, dust_rows[_i].rate));
    buf_clear(&script);
}
END_TEST

START_TEST(fees_round_up)
{
    ck_assert_int_eq(fee_of(1000, 250), 250);
    ck_assert_int_eq(fee_of(1001, 250), 251);
    ck_assert_int_eq(fee_of(1, 1), 1);
    ck_assert_int_eq(fee_of(0, 1000), 0);
    ck_assert_int_eq(fee_of(100, 95), 10);
    ck_assert_int_eq(fee_of(INT64_MAX, UINT64_MAX), INT64_MAX); /* no overflow */
}
END_TEST

struct input_row {
    const char *name, *spent, *script_sig, *witness[4];
    bool inputs, is_standard_witness;
};
#define REDEEM_15 "4c 0f ac*15" /* fifteen OP_CHECKSIGs */
#define REDEEM_16 "4c 10 ac*16"

static const struct input_row input_rows[] = {
    {"P2PKH", P2PKH, "01 01", {NULL}, true, true},
    {"unknown script", "51", "51", {NULL}, false, true},
    {"future program", "60 10 11*16", NULL, {NULL}, false, true},
    {"anchor", "51 02 4e 73", NULL, {NULL}, true, true},
    {"stuffed anchor", "51 02 4e 73", NULL, {"11"}, true, false},
    {"P2SH, 15 sigops", P2SH, REDEEM_15, {NULL}, true, true},
    {"P2SH, 16 sigops", P2SH, REDEEM_16, {NULL}, false, true},
    {"P2SH, 1 of 16", P2SH, "03 51 60 ae", {NULL}, false, true},
    {"P2SH with nothing", P2SH, NULL, {NULL}, false, true},
    {"P2SH with too large a push", P2SH, "4d 09 02 11*521", {NULL}, false, true},
    {"P2SH with the largest push", P2SH, "4d 08 02 61*520", {NULL}, true, true},
    {"P2SH with too deep a stack", P2SH, "00*1001", {NULL}, false, true},
    {"witness on a script without program", P2PKH, "01 01", {"11"}, true, false},
    {"P2WPKH", "00 14 11*20", NULL, {"11*71", "02*33"}, true, true},
    {"P2SH-P2WPKH", P2SH, "16 00 14 11*20", {"11*71", "02*33"}, true, true},
    {"P2SH witness without program", P2SH, "01 51", {"11"}, true, false},
    {"P2WSH at its limits", P2WSH, NULL, {"11*80", "61*3600"}, true, true},
    {"P2WSH item", P2WSH, NULL, {"11*81", "61*10"}, true, false},
    {"P2WSH script", P2WSH, NULL, {"11", "61*3601"}, true, false},
    {"key path", P2TR, NULL, {"11*64"}, true, true},
    {"annex", P2TR, NULL, {"11*64", "50 01"}, true, false},
    {"script path", P2TR, NULL, {"11*80", "51", "c0 11*32"}, true, true},
    {"tapscript item", P2TR, NULL, {"11*81", "51", "c1 11*32"}, true, false},
    {"another leaf version", P2TR, NULL, {"11*81", "51", "c2 11*32"}, true, true},
    {"empty control block", P2TR, NULL, {"11", "51", ""}, true, false},
};

START_TEST(inputs_and_witnesses)
{
    const struct input_row *row = &input_rows[_i];
    struct shape shape = {.version = 2, .script_sig = row->script_sig, .value_sat = VALUE};
    struct fail why = {0};
    struct buf script;
    memcpy(shape.witness, row->witness, sizeof shape.witness);
    struct tx *tx = build(&shape);
    script_write(&script, row->spent);
    struct coin spent = {.value_sat = VALUE, .height = 1, .script = buf_span(&script)};
    ck_assert_msg(policy_check_inputs(tx, &spent, &why) == row->inputs, "%s: inputs: %s", row->name,
        why.code);
    if (!row->inputs)
        ck_assert_str_eq(why.code, "bad-txns-nonstandard-inputs");
    fail_clear(&why);
    ck_assert_msg(policy_check_witness(tx, &spent, &why) == row->is_standard_witness,
        "%s: witness: %s", row->name, why.code);
    if (!row->is_standard_witness)
        ck_assert_str_eq(why.code, "bad-witness-nonstandard");
    tx_unref(tx);
    buf_clear(&script);
}
END_TEST

/* BIP54: 2500 signature operations outside the witness, 167 inputs of 15. */
START_TEST(legacy_sigops_are_bounded)
{
    for (uint32_t inputs = 166; inputs <= 167; inputs++) {
        struct tx_draft draft;
        struct fail why = {0};
        struct tx *tx = NULL;
        struct buf script, redeem;
        struct coin spent[167];
        script_write(&script, P2SH);
        script_write(&redeem, REDEEM_15);
        tx_draft_init(&draft);
        for (uint32_t i = 0; i < inputs; i++) {
            struct outpoint from = {.index = i};
            ck_assert_ptr_nonnull(tx_draft_add_in(&draft, &from, SEQUENCE_FINAL));
            ck_assert(tx_draft_set_script_sig(&draft, i, buf_span(&redeem)));
            spent[i] = (struct coin){.value_sat = VALUE, .script = buf_span(&script)};
        }
        ck_assert_ptr_nonnull(tx_draft_add_out(&draft, VALUE, buf_span(&script)));
        ck_assert(tx_draft_finish(&tx, &draft, &why));
        ck_assert_int_eq(policy_check_inputs(tx, spent, &why), inputs == 166); /* 2490 and 2505 */
        tx_draft_clear(&draft);
        tx_unref(tx);
        buf_clear(&script);
        buf_clear(&redeem);
    }
}
END_TEST

START_TEST(stripped_witnesses_are_noticed)
{
    static const struct {
        const char *spent, *script_sig, *witness;
        bool stripped;
    } rows[] = {
        {P2WSH, NULL, NULL, true},
        {P2WSH, NULL, "11", false},
        {P2TR, NULL, NULL, true},
        {P2SH, "16 00 14 11*20", NULL, true},
        {P2SH, "01 51", NULL, false},
        {P2PKH, "01 01", NULL, false},
        {"51 02 4e 73", NULL, NULL, false},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct shape shape = {.version = 2,
            .script_sig = rows[i].script_sig,
            .witness = {rows[i].witness},
            .value_sat = VALUE};
        struct buf script;
        script_write(&script, rows[i].spent);
        struct tx *tx = build(&shape);
        struct coin spent = {.value_sat = VALUE, .script = buf_span(&script)};
        ck_assert_msg(policy_is_stripped(tx, &spent) == rows[i].stripped, "row %u", i);
        tx_unref(tx);
        buf_clear(&script);
    }
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof(table)[0])

int main(void)
{
    Suite *suite = suite_create("policy");
    TCase *tc = tcase_create("policy");
    tcase_add_loop_test(tc, standard_transactions, 0, ROWS(standard_rows));
    tcase_add_test(tc, no_carrier_means_no_data);
    tcase_add_loop_test(tc, dust_thresholds, 0, ROWS(dust_rows));
    tcase_add_test(tc, fees_round_up);
    tcase_add_loop_test(tc, inputs_and_witnesses, 0, ROWS(input_rows));
    tcase_add_test(tc, legacy_sigops_are_bounded);
    tcase_add_test(tc, stripped_witnesses_are_noticed);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
