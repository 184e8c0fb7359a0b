/* Proves that the JSON reader takes RFC 8259 and nothing else, keeps numbers exact and views honest, is
 * never quadratic, and that the writer's text is Bitcoin's and reads back as what was written. */
#include "coin/base/json.h"
#include "unit.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WITH_ZERO(text) { (const uint8_t *)(text), sizeof(text) - 1 }

static const char *const accepted[] = {
    "null", "true", "false", "0", "-0", "1", "-1", "10", "0.0", "0.10", "1e5", "1E5", "1e+5", "1e-5",
    "0e0", "-1.5e-10", "123456789012345678901234567890", "\"\"", "\"a\"", "[]", "{}", "[ ]", "{ }",
    " [ 1 , 2 ] ", "\t\r\n 1 \n", "[[]]", "[{}]", "{\"a\":1}", "{\"\":1}", "{\"a\":{\"a\":1}}",
    "{\"a\":1,\"b\":2}", "[1,\"1\",null,true,false,[],{}]", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u0000\"", "\"\\u00e9\\u20ac\"", "\"\\ud83d\\ude00\"", "\"\\uD83D\\uDE00\"", "\"\x7f\"",
    "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", "\"\xef\xbf\xbf\"", "{\"a\":1,\"A\":2}",
    "\"0123456789012345678901234567890123456789\"", "\"01234567\\n01234567\\u0041\"",
};

static const char *const refused[] = {
    "", " ", "nul", "nulll", "True", "NULL", "tru", "falsey", "+1", "01", "-01", "-", ".5", "1.", "1.e5",
    "1e", "1e+", "--1", "1-", "0x10", "1 2", "NaN", "Infinity", "-Infinity", "1_000", "\"", "\"a", "a",
    "'a'", "\"\\\"", "\"\\x\"", "\"\\u\"", "\"\\u12\"", "\"\\u123\"", "\"\\u12G4\"", "\"\\u 123\"",
    "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\\ud800x\"", "\"\\ud800\\n\"",
    "\"\\ud800\\ud800\"", "\"\n\"", "\"\t\"", "\"\x01\"", "\"\x1f\"", "\"\x80\"", "\"\xc0\x80\"",
    "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe2\x82\"", "\"\xff\"", "[", "]", "[1", "[1,", "[1,]",
    "[,1]", "[,]", "[1 2]", "[1;2]", "[1]]", "[1}", "{", "}", "{]", "{\"a\"", "{\"a\":", "{\"a\":1",
    "{\"a\":1,", "{\"a\":1,}", "{,}", "{\"a\" 1}", "{\"a\":}", "{a:1}", "{1:1}", "{\"a\":1 \"b\":2}",
    "{\"a\":1]", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "{\"b\":{\"a\":1,\"a\":1}}",
    "[1] x", "// x\n1", "/* x */ 1", "[1,/**/2]", "\xef\xbb\xbf" "1", "\f1", "\v1", "\xa0" "1",
    "\"a\"\"b\"", "\"\\", "\"\\u0041", "[\"a\",\"", "truefalse", "1,2", ",", ":", "\"\\U0041\"", "\"\\\n\"",
};

START_TEST(accepts)
{
    struct json_doc doc;
    struct fail why = { 0 };
    ck_assert_msg(json_parse(&doc, span_text(accepted[_i]), &why), "%s: %s", accepted[_i], why.detail);
    json_doc_clear(&doc);
}
END_TEST

START_TEST(refuses)
{
    struct json_doc doc;
    struct fail why = { 0 };
    ck_assert_msg(!json_parse(&doc, span_text(refused[_i]), &why), "accepted: %s", refused[_i]);
    ck_assert_int_eq(why.kind, FAIL_REQUEST);
    ck_assert_str_eq(why.code, "json");
    ck_assert_ptr_nonnull(strstr(why.detail, "expected"));
    json_doc_clear(&doc);
}
END_TEST

/* Every beginning of a good text that is not good itself is refused: no read beyond the end. The copy is
 * as long as the text, so that a sanitizer sees a read behind it. */
START_TEST(every_truncation)
{
    static const char text[] = "{\"a\":[1.5e-3,true,false,null,\"x\\u20ac\\ud83d\\ude00\xe2\x82\xac\\n\"],\"b\":{}}";
    for (size_t size_b = 0; size_b < sizeof text - 1; size_b++) {
        struct json_doc doc;
        struct fail why = { 0 };
        uint8_t *copy = mem_try_new(size_b);
        memcpy(copy, text, size_b);
        ck_assert(!json_parse(&doc, span_of(copy, size_b), &why));
        mem_free(copy);
    }
}
END_TEST

START_TEST(zero_bytes)
{
    static const struct span wrong[] = { WITH_ZERO("\0"), WITH_ZERO("1\0"), WITH_ZERO("\"\0\""),
        WITH_ZERO("\"\\\0\""), WITH_ZERO("[1\0]") };
    struct json_doc doc;
    struct fail why = { 0 };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert(!json_parse(&doc, wrong[i], &why));
    ck_assert(!json_parse(&doc, span_of(NULL, 0), &why));
}
END_TEST

START_TEST(tells_where)
{
    struct json_doc doc;
    struct fail why = { 0 };
    ck_assert(!json_parse(&doc, span_text("{\n  \"a\": 1,\n  \"b\" 2\n}"), &why));
    ck_assert_str_eq(why.detail, "line 3, column 7: expected ':'");
    ck_assert(!json_parse(&doc, span_text("{\"key\":1,\"key\":2}"), &why));
    ck_assert_ptr_nonnull(strstr(why.detail, "\"key\""));
    ck_assert_ptr_nonnull(strstr(why.detail, "line 1, column 16"));
}
END_TEST

START_TEST(depth_is_bounded)
{
    char text[2 * (JSON_DEPTH_MAX + 1) + 1];
    for (size_t depth = 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
        struct json_doc doc;
        struct fail why = { 0 };
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        ck_assert(json_parse(&doc, span_of(text, 2 * depth), &why) == (depth <= JSON_DEPTH_MAX));
        json_doc_clear(&doc);
    }
}
END_TEST

START_TEST(tree)
{
    static const char text[] =
        " {\"n\": -1.50 , \"s\":\"a\\u00e9\\ud83d\\ude00\\/\", \"l\":[ 1, [2] ,{} ], \"t\":true,\"z\":null}";
    struct json_doc doc;
    struct fail why = { 0 };
    ck_assert(json_parse(&doc, span_text(text), &why));
    const struct json *root = doc.root, *list = json_get(root, "l");
    ck_assert_int_eq(root->type, JSON_OBJECT);
    ck_assert_uint_eq(root->count, 5);
    ck_assert(span_is(root->raw, text + 1));
    ck_assert(span_is(json_get(root, "n")->text, "-1.50"));
    ck_assert(span_is(json_get(root, "s")->text, "a\xc3\xa9\xf0\x9f\x98\x80/"));
    ck_assert(span_is(json_get(root, "s")->raw, "\"a\\u00e9\\ud83d\\ude00\\/\""));
    ck_assert(span_is(list->raw, "[ 1, [2] ,{} ]"));
    ck_assert(span_is(list->key, "l"));
    ck_assert_uint_eq(list->count, 3);
    ck_assert_int_eq(json_at(list, 1)->type, JSON_ARRAY);
    ck_assert(span_is(json_at(json_at(list, 1), 0)->text, "2"));
    ck_assert_int_eq(json_at(list, 2)->type, JSON_OBJECT);
    ck_assert_ptr_null(json_at(list, 3));
    ck_assert_ptr_null(json_at(root, 0));
    ck_assert_ptr_null(json_get(list, "l"));
    ck_assert_ptr_null(json_get(json_get(root, "none"), "deeper"));
    ck_assert_ptr_null(json_at(NULL, 0));
    ck_assert(json_is_bool(json_get(root, "t")));
    ck_assert(!json_is_bool(json_get(root, "z")));
    ck_assert_str_eq(json_type_name(json_get(root, "t")), "bool");
    ck_assert_str_eq(json_type_name(NULL), "null");
    json_doc_clear(&doc);
}
END_TEST

static const struct {
    const char *text;
    int64_t value;
    bool good;
} int_rows[] = {
    { "0", 0, true }, { "-0", 0, true }, { "9223372036854775807", INT64_MAX, true },
    { "-9223372036854775808", INT64_MIN, true }, { "9223372036854775808", 0, false },
    { "-9223372036854775809", 0, false }, { "1.0", 0, false }, { "1e2", 0, false }, { "\"1\"", 0, false },
    { "true", 0, false }, { "null", 0, false }, { "[]", 0, false },
    { "100000000000000000000000000000000000000000", 0, false },
};

START_TEST(whole_numbers)
{
    struct json_doc doc;
    struct fail why = { 0 };
    int64_t value = 77;
    ck_assert(json_parse(&doc, span_text(int_rows[_i].text), &why));
    ck_assert_msg(json_to_i64(&value, doc.root, "height", &why) == int_rows[_i].good, "row %d", _i);
    if (int_rows[_i].good)
        ck_assert_int_eq(value, int_rows[_i].value);
    else
        ck_assert_int_eq(why.kind, FAIL_REQUEST);
    json_doc_clear(&doc);
}
END_TEST

START_TEST(typed_access)
{
    struct json_doc doc;
    struct fail why = { 0 };
    uint32_t u;
    bool b;
    double d;
    struct span s;
    ck_assert(json_parse(&doc, span_text("[4294967295,4294967296,-1,false,\"x\",1.5,1e400]"), &why));
    const struct json *v = doc.root;
    ck_assert(json_to_u32(&u, json_at(v, 0), "n", &why) && u == UINT32_MAX);
    ck_assert(!json_to_u32(&u, json_at(v, 1), "n", &why));
    ck_assert_str_eq(why.detail, "n: JSON integer out of range");
    ck_assert_int_eq(why.rpc_code, -1);
    ck_assert(!json_to_u32(&u, json_at(v, 2), "n", &why));
    ck_assert(json_to_bool(&b, json_at(v, 3), "f", &why) && !b);
    ck_assert(!json_to_bool(&b, json_at(v, 4), "f", &why));
    ck_assert_str_eq(why.detail, "f: JSON value of type string is not of expected type bool");
    ck_assert_int_eq(why.rpc_code, -3);
    ck_assert(json_to_text(&s, json_at(v, 4), NULL, &why) && span_is(s, "x"));
    ck_assert(!json_to_text(&s, json_at(v, 5), NULL, &why));
    ck_assert_str_eq(why.detail, "JSON value of type number is not of expected type string");
    ck_assert(json_to_double(&d, json_at(v, 5), "d", &why) && d == 1.5);
    ck_assert(!json_to_double(&d, json_at(v, 6), "d", &why));
    ck_assert(!json_to_double(&d, NULL, "d", &why));
    json_doc_clear(&doc);
}
END_TEST

static const struct {
    const char *text;
    uint32_t decimals;
    int64_t value;
    bool good;
} decimal_rows[] = {
    { "0", 8, 0, true }, { "1", 8, 100000000, true }, { "0.1", 8, 10000000, true },
    { "0.00000001", 8, 1, true }, { "-0.00000001", 8, -1, true }, { "0.000000001", 8, 0, false },
    { "0.100000000000000000000000000000000000", 8, 10000000, true }, { "1e-8", 8, 1, true },
    { "1e-9", 8, 0, false }, { "10e-9", 8, 1, true }, { "1E8", 0, 100000000, true }, { "1e+1", 0, 10, true },
    { "21000000.00000000", 8, 2100000000000000, true }, { "92233720368.54775807", 8, INT64_MAX, true },
    { "92233720368.54775808", 8, 0, false }, { "-92233720368.54775808", 8, INT64_MIN, true },
    { "-92233720368.54775809", 8, 0, false }, { "1e11", 8, 0, false }, { "1e1000000000000000000000", 8, 0, false },
    { "0e1000000000000000000000", 8, 0, true }, { "1e-1000000000000000000000", 8, 0, false },
    { "1.1", 0, 0, false }, { "1.0", 0, 1, true }, { "100000000000000000000e-20", 0, 1, true },
    { "18446744073709551616", 0, 0, false }, { "-0", 8, 0, true }, { "", 8, 0, false }, { "-", 8, 0, false },
    { "+1", 8, 0, false }, { "01", 8, 0, false }, { "1.", 8, 0, false }, { ".1", 8, 0, false },
    { "1e", 8, 0, false }, { "1e+", 8, 0, false }, { " 1", 8, 0, false }, { "1 ", 8, 0, false },
    { "1,5", 8, 0, false }, { "0x1", 8, 0, false }, { "1.5.5", 8, 0, false }, { "nan", 8, 0, false },
};

START_TEST(decimals)
{
    int64_t value = 0;
    ck_assert_msg(decimal_parse(&value, span_text(decimal_rows[_i].text), decimal_rows[_i].decimals) ==
            decimal_rows[_i].good, "%s", decimal_rows[_i].text);
    if (decimal_rows[_i].good)
        ck_assert_int_eq(value, decimal_rows[_i].value);
}
END_TEST

START_TEST(decimals_print)
{
    static const struct {
        int64_t value;
        uint32_t decimals;
        const char *text;
    } rows[] = {
        { 0, 8, "0.00000000" }, { 1, 8, "0.00000001" }, { -1, 8, "-0.00000001" },
        { 123456789, 8, "1.23456789" }, { 100000000, 8, "1.00000000" }, { 0, 0, "0" }, { -15, 0, "-15" },
        { INT64_MAX, 8, "92233720368.54775807" }, { INT64_MIN, 8, "-92233720368.54775808" },
        { INT64_MIN, 18, "-9.223372036854775808" }, { INT64_MIN, 0, "-9223372036854775808" }, { 5, 3, "0.005" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[32];
        int64_t back;
        decimal_print(text, rows[i].value, rows[i].decimals);
        ck_assert_str_eq(text, rows[i].text);
        ck_assert(decimal_parse(&back, span_text(text), rows[i].decimals));
        ck_assert_int_eq(back, rows[i].value);
    }
}
END_TEST

static void write_sample(struct json_writer *w)
{
    jw_object(w);
    jw_key_text(w, "text", "a\"\\/\b\f\n\r\t\x01\x7f\xc3\xa9");
    jw_key_i64(w, "min", INT64_MIN);
    jw_key_u64(w, "max", UINT64_MAX);
    jw_key_bool(w, "yes", true);
    jw_key(w, "none");
    jw_null(w);
    jw_key_amount(w, "amount", 12345);
    jw_key_hex(w, "hex", "\x01\xff", 2);
    jw_key(w, "list");
    jw_array(w);
    jw_i64(w, 1);
    jw_array(w);
    jw_end_array(w);
    jw_object(w);
    jw_end_object(w);
    jw_raw(w, span_text("{\"r\":1}"));
    jw_end_array(w);
    jw_key_double(w, "half", 0.5);
    jw_end_object(w);
}

START_TEST(writes_compact)
{
    struct buf out;
    struct json_writer w;
    buf_init(&out, 10000);
    jw_init(&w, &out, 0);
    write_sample(&w);
    buf_put_u8(&out, '\0');
    ck_assert_str_eq((char *)out.data,
        "{\"text\":\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u007f\xc3\xa9\",\"min\":-9223372036854775808,"
        "\"max\":18446744073709551615,\"yes\":true,\"none\":null,\"amount\":0.00012345,\"hex\":\"01ff\","
        "\"list\":[1,[],{},{\"r\":1}],\"half\":0.5}");
    buf_clear(&out);
}
END_TEST

START_TEST(writes_pretty)
{
    struct buf out;
    struct json_writer w;
    buf_init(&out, 10000);
    jw_init(&w, &out, 2);
    jw_object(&w);
    jw_key_i64(&w, "a", 1);
    jw_key(&w, "b");
    jw_array(&w);
    jw_i64(&w, 1);
    jw_i64(&w, 2);
    jw_end_array(&w);
    jw_key(&w, "c");
    jw_array(&w);
    jw_end_array(&w);
    jw_end_object(&w);
    buf_put_u8(&out, '\0');
    ck_assert_str_eq((char *)out.data,
        "{\n  \"a\": 1,\n  \"b\": [\n    1,\n    2\n  ],\n  \"c\": [\n  ]\n}");
    buf_clear(&out);
}
END_TEST

START_TEST(doubles)
{
    static const struct {
        double v;
        const char *text;
    } rows[] = {
        { 0, "0" }, { 1, "1" }, { 0.5, "0.5" }, { 4.656542373906925e-10, "4.656542373906925e-10" },
        { 1e16, "1e+16" }, { 1e15, "1000000000000000" }, { -2.25, "-2.25" }, { 0.1, "0.1" },
        { 1.0 / 3, "0.3333333333333333" }, { DBL_MAX, "1.797693134862316e+308" }, { INFINITY, "null" },
        { NAN, "null" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        struct json_writer w;
        buf_init(&out, 100);
        jw_init(&w, &out, 0);
        jw_double(&w, rows[i].v);
        buf_put_u8(&out, '\0');
        ck_assert_str_eq((char *)out.data, rows[i].text);
        buf_clear(&out);
    }
}
END_TEST

START_TEST(strings_of_any_bytes)
{
    struct buf out;
    struct json_writer w;
    buf_init(&out, 1000);
    jw_init(&w, &out, 0);
    jw_string(&w, span_of("a\xff\xc3\xa9\xe2\x82\0", 7));
    ck_assert(span_is(buf_span(&out), "\"a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\\u0000\""));
    buf_clear(&out);
    for (unsigned c = 0; c < 256; c++) { /* whatever goes in, valid JSON comes out */
        uint8_t byte = (uint8_t)c;
        struct json_doc doc;
        struct fail why = { 0 };
        jw_init(&w, &out, 0);
        jw_string(&w, span_of(&byte, 1));
        ck_assert(json_parse(&doc, buf_span(&out), &why));
        ck_assert(c >= 0x80 || span_equal(doc.root->text, span_of(&byte, 1)));
        json_doc_clear(&doc);
        buf_clear(&out);
    }
}
END_TEST

START_TEST(values_print_again)
{
    static const char *const rows[] = { "1.50", "\"a\\n\"", "[]", "{}", "[[],[[]],{}]", "null",
        "{\"a\":[1,{\"b\":[true,false,null,\"x\"]},[]],\"c\":-1e5}" };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json_doc doc, again;
        struct json_writer w;
        struct buf out, pretty;
        struct fail why = { 0 };
        buf_init(&out, 10000);
        buf_init(&pretty, 10000);
        ck_assert(json_parse(&doc, span_text(rows[i]), &why));
        jw_init(&w, &pretty, 2);
        jw_value(&w, doc.root);
        ck_assert(json_parse(&again, buf_span(&pretty), &why));
        jw_init(&w, &out, 0);
        jw_value(&w, again.root);
        ck_assert(span_is(buf_span(&out), rows[i]));
        json_doc_clear(&doc);
        json_doc_clear(&again);
        buf_clear(&out);
        buf_clear(&pretty);
    }
}
END_TEST

/* Objects whose names agree in length and in all but the last bytes: what a quadratic look for
 * duplicates would choke on. */
START_TEST(many_names)
{
    enum { NAMES = 200000 };
    struct buf text;
    struct json_doc doc;
    struct fail why = { 0 };
    buf_init(&text, (size_t)NAMES * 64);
    buf_put_text(&text, "{");
    for (unsigned i = 0; i < NAMES; i++)
        buf_printf(&text, "%s\"name-that-is-the-same-at-first-%08u\":0", i > 0 ? "," : "", i * 7919 % NAMES);
    size_t size_b = text.size_b;
    buf_put_text(&text, "}");
    clock_t start = clock();
    ck_assert_msg(json_parse(&doc, buf_span(&text), &why), "%s", why.detail);
    ck_assert_uint_eq(doc.root->count, NAMES);
    json_doc_clear(&doc);
    text.size_b = size_b;
    buf_put_text(&text, ",\"name-that-is-the-same-at-first-00000000\":1}");
    ck_assert(!json_parse(&doc, buf_span(&text), &why));
    ck_assert_ptr_nonnull(strstr(why.detail, "name-that-is"));
    /* 4 * 10^10 comparisons would take minutes */
    ck_assert_msg(clock() - start < 20 * CLOCKS_PER_SEC, "took too long");
    buf_clear(&text);
}
END_TEST

START_TEST(memory_is_bounded)
{
    struct buf text;
    struct json_doc doc;
    struct fail why = { 0 };
    buf_init(&text, 16 * 1024 * 1024);
    buf_put_u8(&text, '[');
    for (unsigned i = 0; i < 5000000; i++)
        buf_put(&text, "0,", 2);
    buf_put_text(&text, "0]");
    ck_assert(buf_ok(&text, "text", &why));
    ck_assert(!json_parse(&doc, buf_span(&text), &why));
    ck_assert_int_eq(why.kind, FAIL_NO_ROOM);
    buf_clear(&text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *cases = tcase_create("json");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, accepts, 0, (int)(sizeof accepted / sizeof *accepted));
    tcase_add_loop_test(cases, refuses, 0, (int)(sizeof refused / sizeof *refused));
    tcase_add_test(cases, every_truncation);
    tcase_add_test(cases, zero_bytes);
    tcase_add_test(cases, tells_where);
    tcase_add_test(cases, depth_is_bounded);
    tcase_add_test(cases, tree);
    tcase_add_loop_test(cases, whole_numbers, 0, (int)(sizeof int_rows / sizeof *int_rows));
    tcase_add_test(cases, typed_access);
    tcase_add_loop_test(cases, decimals, 0, (int)(sizeof decimal_rows / sizeof *decimal_rows));
    tcase_add_test(cases, decimals_print);
    tcase_add_test(cases, writes_compact);
    tcase_add_test(cases, writes_pretty);
    tcase_add_test(cases, doubles);
    tcase_add_test(cases, strings_of_any_bytes);
    tcase_add_test(cases, values_print_again);
    tcase_add_test(cases, many_names);
    tcase_add_test(cases, memory_is_bounded);
    suite_add_tcase(suite, cases);
    return unit_run(suite);
}
