/* Proves that a failure carries kind, code and detail, is cut rather than overrun, and that context goes
 * in front without losing kind or code. */
#include "coin/base/fail.h"
#include "unit.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

START_TEST(setting)
{
    struct fail why = { 0 };
    ck_assert(!fail_set(&why, FAIL_INVALID, "bad-thing", "height %d", 7));
    ck_assert_int_eq(why.kind, FAIL_INVALID);
    ck_assert_str_eq(why.code, "bad-thing");
    ck_assert_str_eq(why.detail, "height 7");
    ck_assert_int_eq(why.rpc_code, 0);
    ck_assert(!fail_request(&why, -8, "argument %s", "x"));
    ck_assert_int_eq(why.kind, FAIL_REQUEST);
    ck_assert_int_eq(why.rpc_code, -8);
    ck_assert_str_eq(why.code, "request");
    ck_assert_str_eq(why.detail, "argument x");
    ck_assert(!fail_oom(&why, "coins"));
    ck_assert_int_eq(why.kind, FAIL_NO_ROOM);
    ck_assert_int_eq(why.rpc_code, 0);
    ck_assert_str_eq(why.code, "no-memory");
    ck_assert_ptr_nonnull(strstr(why.detail, "coins"));
    fail_clear(&why);
    ck_assert_int_eq(why.kind, FAIL_NONE);
    ck_assert_str_eq(why.code, "");
    ck_assert_str_eq(why.detail, "");
}
END_TEST

START_TEST(system_errors_keep_their_reason)
{
    struct fail why;
    char path[1000];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    ck_assert(!fail_io(&why, ENOSPC, "cannot write %s", "/a/b"));
    ck_assert_int_eq(why.kind, FAIL_LOCAL);
    ck_assert_str_eq(why.code, "io-error");
    ck_assert_str_eq(why.detail, "cannot write /a/b: No space left on device");
    ck_assert(!fail_io(&why, ENOSPC, "cannot write %s", path));
    const char *reason = ": No space left on device";
    ck_assert_str_eq(why.detail + strlen(why.detail) - strlen(reason), reason);
}
END_TEST

START_TEST(long_texts_are_cut)
{
    struct fail why;
    char text[2 * FAIL_DETAIL_SIZE_B];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    fail_set(&why, FAIL_POLICY, text, "%s", text);
    ck_assert_uint_eq(strlen(why.code), FAIL_CODE_SIZE_B - 1);
    ck_assert_uint_eq(strlen(why.detail), FAIL_DETAIL_SIZE_B - 1);
    ck_assert(!fail_prefix(&why, "block %d: ", 3));
    ck_assert_uint_eq(strlen(why.detail), FAIL_DETAIL_SIZE_B - 1);
    ck_assert_int_eq(strncmp(why.detail, "block 3: xxx", 12), 0);
    fail_prefix(&why, "%s", text);
    ck_assert_uint_eq(strlen(why.detail), FAIL_DETAIL_SIZE_B - 1);
}
END_TEST

START_TEST(context_goes_in_front)
{
    struct fail why;
    fail_set(&why, FAIL_MUTATED, "bad-txnmrklroot", "root differs");
    ck_assert(!fail_prefix(&why, "tx %d: ", 2));
    ck_assert(!fail_prefix(&why, "block %s: ", "ab"));
    ck_assert_str_eq(why.detail, "block ab: tx 2: root differs");
    ck_assert_int_eq(why.kind, FAIL_MUTATED);
    ck_assert_str_eq(why.code, "bad-txnmrklroot");
}
END_TEST

START_TEST(nobody_listens)
{
    ck_assert(!fail_set(NULL, FAIL_INVALID, "x", "y"));
    ck_assert(!fail_request(NULL, -1, "y"));
    ck_assert(!fail_io(NULL, EIO, "y"));
    ck_assert(!fail_oom(NULL, "y"));
    ck_assert(!fail_prefix(NULL, "y"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fail");
    TCase *cases = tcase_create("fail");
    tcase_add_test(cases, setting);
    tcase_add_test(cases, system_errors_keep_their_reason);
    tcase_add_test(cases, long_texts_are_cut);
    tcase_add_test(cases, context_goes_in_front);
    tcase_add_test(cases, nobody_listens);
    suite_add_tcase(suite, cases);
    return unit_run(suite);
}
