/* Proves what reaches the log: levels, categories, both line forms, no forged lines, files only for their
 * owner, rotation, and that an outsider's lines are limited. */
#include "coin/base/file.h"
#include "coin/base/json.h"
#include "coin/base/log.h"
#include "unit.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char folder[] = "/tmp/coin-test-log-XXXXXX";
static char path[PATH_SIZE_B];
static struct buf text;

static int64_t fixed_ms(void *ctx)
{
    return *(const int64_t *)ctx;
}

static int64_t now_ms = 1767323045006; /* 2026-01-02T03:04:05.006Z */

static void open_log(bool json, bool timestamps)
{
    struct fail why = { 0 };
    struct log_options options = {
        .path = path, .json = json, .timestamps = timestamps, .wall_ms = fixed_ms, .clock_ctx = &now_ms
    };
    ck_assert_msg(log_open(&options, &why), "%s", why.detail);
}

static const char *content(void)
{
    struct fail why = { 0 };
    buf_clear(&text);
    ck_assert_msg(file_read_all(&disk_posix, path, &text, &why), "%s", why.detail);
    buf_put_u8(&text, '\0');
    return (const char *)text.data;
}

static void setup(void)
{
    snprintf(path, sizeof path, "%s/debug.log", folder);
    remove(path);
    buf_init(&text, 10 * 1024 * 1024);
    ck_assert(log_enable("none", true));
}

static void teardown(void)
{
    log_close();
    buf_clear(&text);
    remove(path);
}

START_TEST(plain_lines)
{
    log_info("before the log is open");
    open_log(false, true);
    log_info("a %d", 1);
    log_warning("b");
    log_error("c");
    log_write(LOG_INFO, LOG_NET, "d");
    log_write(LOG_WARNING, LOG_NET, "e");
    log_close();
    log_info("after it was closed");
    ck_assert_str_eq(content(),
        "2026-01-02T03:04:05Z a 1\n2026-01-02T03:04:05Z [warning] b\n2026-01-02T03:04:05Z [error] c\n"
        "2026-01-02T03:04:05Z [net] d\n2026-01-02T03:04:05Z [net:warning] e\n");
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0600);
}
END_TEST

START_TEST(categories)
{
    uint32_t evaluated = 0;
    open_log(false, false);
    log_debug(LOG_NET, "hidden %u", ++evaluated);
    ck_assert_uint_eq(evaluated, 0);
    ck_assert(log_enable("net", true));
    ck_assert(log_enabled(LOG_NET) && !log_enabled(LOG_RPC) && log_enabled(LOG_ALWAYS));
    log_debug(LOG_NET, "shown %u", ++evaluated);
    log_debug(LOG_RPC, "hidden");
    log_write(LOG_INFO, LOG_RPC, "info is shown whatever the category");
    ck_assert(log_enable("", true));
    ck_assert(log_enabled(LOG_RPC));
    ck_assert(log_enable("rpc", false));
    ck_assert(!log_enabled(LOG_RPC) && log_enabled(LOG_MEMPOOL));
    ck_assert(!log_enable("nonsense", true));
    ck_assert(log_enable("0", true));
    ck_assert(!log_enabled(LOG_NET));
    ck_assert_str_eq(content(), "[net] shown 1\n[rpc] info is shown whatever the category\n");
    for (unsigned i = LOG_ALWAYS + 1; i < LOG_CATEGORIES; i++) {
        ck_assert(log_enable(log_category_name((enum log_category)i), true));
        ck_assert(log_enabled((enum log_category)i));
    }
}
END_TEST

START_TEST(no_forged_lines)
{
    open_log(false, false);
    log_info("peer says %s", "hi\n[error] all is lost\r\x1b[2J\x7f\ttab");
    ck_assert_str_eq(content(), "peer says hi\\x0a[error] all is lost\\x0d\\x1b[2J\\x7f\ttab\n");
}
END_TEST

START_TEST(json_lines)
{
    open_log(true, true);
    log_write(LOG_WARNING, LOG_NET, "a \"%s\"\n", "\xff");
    ck_assert_str_eq(content(), "{\"time\":\"2026-01-02T03:04:05.006Z\",\"level\":\"warning\","
        "\"category\":\"net\",\"message\":\"a \\\"\xef\xbf\xbd\\\"\\n\"}\n");
}
END_TEST

START_TEST(long_messages_are_cut)
{
    for (int json = 0; json < 2; json++) {
        char message[100000];
        memset(message, '\n', sizeof message - 1); /* each takes four characters, or six */
        message[sizeof message - 1] = '\0';
        remove(path);
        open_log(json != 0, true);
        log_info("%s", message);
        log_info("next");
        const char *all = content();
        ck_assert_uint_lt(strlen(all), 20000);
        ck_assert_uint_gt(strlen(all), 2000);
        const char *second = strchr(all, '\n') + 1;
        ck_assert_ptr_nonnull(strstr(second, "next"));
        ck_assert_uint_eq(strcspn(second, "\n"), strlen(second) - 1);
    }
}
END_TEST

START_TEST(rotation)
{
    struct fail why = { 0 };
    char old[PATH_SIZE_B + 8];
    open_log(false, false);
    log_info("one");
    snprintf(old, sizeof old, "%s.1", path);
    ck_assert_int_eq(rename(path, old), 0);
    log_info("two");
    ck_assert(log_reopen(&why));
    log_info("three");
    ck_assert_str_eq(content(), "three\n");
    remove(old);
}
END_TEST

START_TEST(cannot_open)
{
    struct fail why = { 0 };
    struct log_options options = { .path = "/nonexistent/debug.log" };
    ck_assert(!log_open(&options, &why));
    ck_assert_int_eq(why.kind, FAIL_LOCAL);
    ck_assert(log_reopen(&why)); /* nothing to reopen */
}
END_TEST

static void *write_many(void *arg)
{
    for (int i = 0; i < 500; i++)
        log_info("%s %d", (const char *)arg, i);
    return NULL;
}

START_TEST(threads_never_mix_lines)
{
    pthread_t threads[4];
    static char names[4][8] = { "aaaa", "bbbb", "cccc", "dddd" };
    open_log(false, false);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_many, names[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    int next[4] = { 0 }, lines = 0;
    for (const char *line = content(); *line != '\0'; line = strchr(line, '\n') + 1, lines++) {
        char name[8];
        int number;
        ck_assert_int_eq(sscanf(line, "%4s %d\n", name, &number), 2);
        ck_assert_int_eq(number, next[name[0] - 'a']++);
    }
    ck_assert_int_eq(lines, 2000);
}
END_TEST

START_TEST(outsiders_are_limited)
{
    struct log_limit limit = { 0 };
    int64_t now_us = 5000000;
    for (uint32_t i = 0; i < 3; i++)
        ck_assert(log_allow(&limit, now_us + i, 3, 1000000));
    ck_assert(!log_allow(&limit, now_us + 10, 3, 1000000));
    ck_assert(!log_allow(&limit, now_us + 999999, 3, 1000000));
    ck_assert_uint_eq(limit.suppressed, 2);
    ck_assert(log_allow(&limit, now_us + 1000000, 3, 1000000));
    ck_assert(log_allow(&limit, 1, 3, 1000000)); /* a clock that went back does not mute for ever */
}
END_TEST

int main(void)
{
    if (mkdtemp(folder) == NULL)
        return EXIT_FAILURE;
    Suite *suite = suite_create("log");
    TCase *cases = tcase_create("log");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, plain_lines);
    tcase_add_test(cases, categories);
    tcase_add_test(cases, no_forged_lines);
    tcase_add_test(cases, json_lines);
    tcase_add_test(cases, long_messages_are_cut);
    tcase_add_test(cases, rotation);
    tcase_add_test(cases, cannot_open);
    tcase_add_test(cases, threads_never_mix_lines);
    tcase_add_test(cases, outsiders_are_limited);
    suite_add_tcase(suite, cases);
    int status = unit_run(suite);
    remove(folder);
    return status;
}
