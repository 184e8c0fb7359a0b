/* Proves that ids compare, reverse once, and refuse hex that is not an id. */
#include <check.h>
#include <string.h>

#include "coin/primitives/ids.h"
#include "unit.h"

static const char genesis_hex[] = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";

START_TEST(hex_round_trip)
{
    struct block_id id;
    char text[ID_HEX_SIZE_B];
    ck_assert(hash_from_hex(id.b, span_text(genesis_hex)));
    ck_assert_uint_eq(id.b[0], 0x6f); /* wire order */
    ck_assert_uint_eq(id.b[31], 0);
    hash_to_hex(text, id.b);
    ck_assert_str_eq(text, genesis_hex);
    ck_assert_str_eq(hash_show(id.b), genesis_hex);
}
END_TEST

static const char *const bad_hex[] = {
    "", "00", "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26",
    "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f0",
    "g00000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
    "0x0000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
    " 00000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
};

START_TEST(hex_refused)
{
    uint8_t id[32];
    ck_assert(!hash_from_hex(id, span_text(bad_hex[_i])));
}
END_TEST

START_TEST(ring_keeps_eight)
{
    uint8_t id[32] = { 0 };
    const char *shown[8];
    for (uint8_t i = 0; i < 8; i++) {
        id[0] = i;
        shown[i] = hash_show(id);
    }
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(shown[i][63], '0' + i);
}
END_TEST

START_TEST(equality)
{
    struct txid a = { { 0 } }, b = { { 0 } };
    struct wtxid wa = { { 0 } }, wb = { { 0 } };
    struct block_id ia = { { 0 } }, ib = { { 0 } };
    ck_assert(txid_equal(&a, &b) && wtxid_equal(&wa, &wb) && block_id_equal(&ia, &ib));
    ck_assert(block_id_is_zero(&ia));
    b.b[31] = 1;
    wb.b[31] = 1;
    ib.b[31] = 1;
    ck_assert(!txid_equal(&a, &b) && !wtxid_equal(&wa, &wb) && !block_id_equal(&ia, &ib));
    ck_assert(!block_id_is_zero(&ib));
}
END_TEST

START_TEST(outpoints)
{
    struct outpoint o = { .index = 0xffffffffu }, p = o;
    ck_assert(outpoint_is_null(&o));
    ck_assert(outpoint_equal(&o, &p));
    p.index = 0;
    ck_assert(!outpoint_is_null(&p));
    ck_assert(!outpoint_equal(&o, &p));
    o.txid.b[7] = 1;
    ck_assert(!outpoint_is_null(&o));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ids");
    TCase *tc = tcase_create("ids");
    tcase_add_test(tc, hex_round_trip);
    tcase_add_loop_test(tc, hex_refused, 0, (int)(sizeof bad_hex / sizeof *bad_hex));
    tcase_add_test(tc, ring_keeps_eight);
    tcase_add_test(tc, equality);
    tcase_add_test(tc, outpoints);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
