/* Proves that options are read as Bitcoin reads them: spellings, precedence, sections, includes, network
 * options, and that every refusal says what was wrong, where, and what was perhaps meant. */
#include "coin/base/config.h"
#include "coin/base/file.h"
#include "unit.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_rule rules[] = {
    { "conf", OPT_TEXT, OPT_COMMAND_LINE, "Options", "<file>", "coin.conf", "Read options from here" },
    { "includeconf", OPT_LIST, OPT_ANYWHERE, "Options", "<file>", NULL, "Read this file as well" },
    { "datadir", OPT_TEXT, OPT_ANYWHERE, "Options", "<dir>", NULL, "Keep everything here" },
    { "dbcache", OPT_INT, OPT_ANYWHERE, "Options", "<n>", "450",
        "Maximum size of the database cache in MiB; what is not used for coins is lent to the memory pool" },
    { "listen", OPT_FLAG, OPT_ANYWHERE, "Connection options", NULL, "1", "Accept connections" },
    { "server", OPT_FLAG, OPT_ANYWHERE, "RPC server options", NULL, NULL, "Accept commands" },
    { "port", OPT_INT, OPT_NETWORK, "Connection options", "<port>", NULL, "Listen here" },
    { "addnode", OPT_LIST, OPT_NETWORK, "Connection options", "<ip>", NULL, "Connect to this node" },
    { "debug", OPT_LIST, OPT_ANYWHERE, "Options", "<category>", NULL, "Log this" },
    { "rpcpassword", OPT_TEXT, OPT_ANYWHERE, "RPC server options", "<pw>", NULL, "Password" },
    { "fallbackfee", OPT_AMOUNT, OPT_ANYWHERE, "Options", "<amt>", "0.00", "Fee rate" },
    { "logratelimit", OPT_FLAG, OPT_NO_EFFECT, "Options", NULL, NULL, "Limit the log" },
    { "stopatheight", OPT_INT, OPT_DEBUG, "Options", "<n>", "0", "Stop there" },
    { NULL, OPT_FLAG, 0, NULL, NULL, NULL, NULL },
};

#define ARGS_MAX 8
static char folder[] = "/tmp/coin-test-config-XXXXXX";

static struct config *with_args(const char *const *args, bool *good, struct fail *why)
{
    struct config *config = config_new(rules);
    char copies[ARGS_MAX][100], *argv[ARGS_MAX] = { copies[0] };
    int argc = 1;
    snprintf(copies[0], sizeof copies[0], "coind");
    for (; args[argc - 1] != NULL; argc++) {
        snprintf(copies[argc], sizeof copies[argc], "%s", args[argc - 1]);
        argv[argc] = copies[argc];
    }
    fail_clear(why);
    *good = config_parse_args(config, argc, argv, why);
    return config;
}

static const char *write_file(const char *name, const char *text)
{
    static char path[PATH_SIZE_B];
    struct fail why;
    ck_assert(path_join(path, folder, name, &why));
    ck_assert_msg(file_replace(&disk_posix, path, span_text(text), &why), "%s", why.detail);
    return path;
}

static const struct {
    const char *args[ARGS_MAX];
    const char *name, *text; /* NULL: not set and no default */
    bool flag;
} arg_rows[] = {
    { { "-datadir=/a" }, "datadir", "/a", false },
    { { "--datadir=/a" }, "datadir", "/a", false },
    { { "-datadir=a=b" }, "datadir", "a=b", false },
    { { "-datadir=a", "-datadir=b" }, "datadir", "b", false },
    { { NULL }, "datadir", NULL, false },
    { { NULL }, "dbcache", "450", true },
    { { "-server" }, "server", "", true },
    { { "-server=0" }, "server", "0", false },
    { { "-server=1" }, "server", "1", true },
    { { "-server=true" }, "server", "true", false }, /* as in Bitcoin: not a number, so 0 */
    { { "-noserver" }, "server", "0", false },
    { { "-noserver=1" }, "server", "0", false },
    { { "-noserver=0" }, "server", "1", true },
    { { "--nolisten" }, "listen", "0", false },
    { { "-server", "-noserver" }, "server", "0", false },
    { { "-noserver", "-server" }, "server", "", true },
    { { "-nologratelimit" }, "logratelimit", "0", false },
};

START_TEST(arguments)
{
    struct fail why;
    bool good;
    struct config *config = with_args(arg_rows[_i].args, &good, &why);
    ck_assert_msg(good, "row %d: %s", _i, why.detail);
    const char *text = config_text(config, arg_rows[_i].name);
    if (arg_rows[_i].text == NULL)
        ck_assert_msg(text == NULL, "row %d", _i);
    else
        ck_assert_str_eq(text, arg_rows[_i].text);
    ck_assert_msg(config_flag(config, arg_rows[_i].name) == arg_rows[_i].flag, "row %d", _i);
    ck_assert_msg(config_is_set(config, arg_rows[_i].name) == (arg_rows[_i].args[0] != NULL), "row %d", _i);
    config_free(config);
}
END_TEST

static const struct {
    const char *args[ARGS_MAX];
    const char *detail;
} refused_rows[] = {
    { { "-foo" }, "Invalid parameter -foo" },
    { { "-qqqqqqqqq=3" }, "Invalid parameter -qqqqqqqqq=3" },
    { { "-dbcahce=3" }, "Invalid parameter -dbcahce=3 (did you mean -dbcache?)" },
    { { "-lisen" }, "Invalid parameter -lisen (did you mean -listen?)" },
    { { "-nolisen" }, "Invalid parameter -nolisen (did you mean -nolisten?)" },
    { { "-regtest.port=1" }, "Invalid parameter -regtest.port=1" },
    { { "-includeconf=x" }, "-includeconf cannot be used from commandline; -includeconf=\"x\"" },
    { { "-fallbackfee=abc" }, "Invalid amount for -fallbackfee=<amount>: 'abc'" },
    { { "-fallbackfee=-1" }, "Invalid amount for -fallbackfee=<amount>: '-1'" },
    { { "-fallbackfee=0.000000001" }, "Invalid amount for -fallbackfee=<amount>: '0.000000001'" },
    { { "stop" }, "Command line contains unexpected token 'stop', see -help for a list of options." },
    { { "-" }, "Command line contains unexpected token '-', see -help for a list of options." },
};

START_TEST(arguments_refused)
{
    struct fail why;
    bool good;
    struct config *config = with_args(refused_rows[_i].args, &good, &why);
    ck_assert_msg(!good, "row %d was accepted", _i);
    ck_assert_int_eq(why.kind, FAIL_REQUEST);
    ck_assert_str_eq(why.detail, refused_rows[_i].detail);
    config_free(config);
}
END_TEST

static const struct {
    const char *value;
    int64_t number;
} int_rows[] = {
    { "-dbcache=7", 7 }, { "-dbcache=-7", -7 }, { "-dbcache=+7", 7 }, { "-dbcache=7x", 7 },
    { "-dbcache=x", 0 }, { "-dbcache", 0 }, { "-nodbcache", 0 },
    { "-dbcache=99999999999999999999", INT64_MAX }, { "-dbcache=-99999999999999999999", INT64_MIN },
    { "-dbcache=9223372036854775808", INT64_MAX }, { "-dbcache=-9223372036854775808", INT64_MIN },
    { "-dbcache=9223372036854775807", INT64_MAX },
};

START_TEST(numbers)
{
    struct fail why;
    bool good;
    const char *args[] = { int_rows[_i].value, NULL };
    struct config *config = with_args(args, &good, &why);
    ck_assert(good);
    ck_assert_int_eq(config_int(config, "dbcache", 1), int_rows[_i].number);
    ck_assert_int_eq(config_int(config, "port", 28777), 28777); /* no default in the table */
    ck_assert_int_eq(config_int(config, "stopatheight", 5), 0);
    ck_assert_int_eq(config_int(config, "fallbackfee", 5), 0);
    config_free(config);
}
END_TEST

START_TEST(amounts)
{
    struct fail why;
    bool good;
    const char *args[] = { "-fallbackfee=0.0002", NULL };
    struct config *config = with_args(args, &good, &why);
    ck_assert_int_eq(config_int(config, "fallbackfee", 0), 20000);
    config_free(config);
}
END_TEST

/* The list as one text, its values separated by blanks. */
static void check_list(const struct config *config, const char *name, const char *expect)
{
    char text[200] = "";
    const char *value;
    for (uint32_t i = 0; (value = config_list(config, name, i)) != NULL; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i > 0 ? " " : "", value);
    ck_assert_str_eq(text, expect);
}

START_TEST(lists)
{
    struct fail why;
    bool good;
    const char *args[] = { "-addnode=a", "-addnode=b", "-debug", NULL };
    struct config *config = with_args(args, &good, &why);
    const char *path = write_file("lists.conf", "addnode=top\n[regtest]\naddnode=own\naddnode=more\n");
    ck_assert(config_read_file(config, path, true, &why));
    config_select_chain(config, "regtest", false);
    check_list(config, "addnode", "a b own more");
    config_select_chain(config, "main", true);
    check_list(config, "addnode", "a b top");
    ck_assert_str_eq(config_list(config, "debug", 0), "");
    ck_assert_ptr_null(config_list(config, "debug", 1));
    config_free(config);

    const char *negated[] = { "-addnode=a", "-noaddnode", "-addnode=c", NULL };
    config = with_args(negated, &good, &why);
    ck_assert(config_read_file(config, path, true, &why));
    check_list(config, "addnode", "c"); /* hides what the file says, too */
    ck_assert(!config_is_negated(config, "addnode"));
    config_free(config);

    const char *none[] = { "-noaddnode", NULL };
    config = with_args(none, &good, &why);
    ck_assert(config_read_file(config, path, true, &why));
    check_list(config, "addnode", "");
    ck_assert(config_is_set(config, "addnode") && config_is_negated(config, "addnode"));
    config_free(config);
}
END_TEST

START_TEST(file_precedence)
{
    struct fail why;
    bool good;
    const char *args[] = { "-server=3", NULL };
    struct config *config = with_args(args, &good, &why);
    const char *path = write_file("a.conf",
        "# a comment\n"
        "  datadir = /some where/ # behind it\r\n"
        "\n"
        "server=9\n"
        "dbcache=10\n"
        "port=1000\n"
        "regtest.dbcache=20\n"
        "noserver=1\n"
        "[regtest]\n"
        "port=2000\n"
        "nolisten=1\n"
        "[test]\n"
        "dbcache=30\n"
        "port=3000");
    ck_assert_msg(config_read_file(config, path, true, &why), "%s", why.detail);
    ck_assert_int_eq(config_int(config, "dbcache", 0), 10); /* no chain chosen yet: the top */
    config_select_chain(config, "regtest", false);
    ck_assert_str_eq(config_text(config, "datadir"), "/some where/");
    ck_assert_int_eq(config_int(config, "server", 0), 3);
    ck_assert_int_eq(config_int(config, "dbcache", 0), 20);
    ck_assert_int_eq(config_int(config, "port", 0), 2000);
    ck_assert(!config_flag(config, "listen"));
    config_select_chain(config, "main", true);
    ck_assert_int_eq(config_int(config, "port", 0), 1000);
    ck_assert(config_flag(config, "listen"));
    config_select_chain(config, "signet", false);
    ck_assert_int_eq(config_int(config, "port", 4), 4); /* a network option at the top */
    ck_assert(!config_is_set(config, "port"));
    ck_assert_str_eq(config_misplaced(config, 0), "port");
    ck_assert_ptr_null(config_misplaced(config, 1));
    config_select_chain(config, "test", false);
    ck_assert_int_eq(config_int(config, "port", 4), 3000);
    ck_assert_ptr_null(config_misplaced(config, 0));
    ck_assert(config_check(config, &why));
    config_free(config);
}
END_TEST

static const struct {
    const char *text, *detail; /* detail: its beginning */
} file_rows[] = {
    { "server=1\n\nfoo\n", "parse error on line 3: foo" },
    { "server=1\nnolisten\n", "parse error on line 2: nolisten, if you intended to specify a negated option, "
                             "use nolisten=1 instead" },
    { "-server=1\n", "parse error on line 1: -server=1, options in configuration file must be specified "
                    "without leading -" },
    { "rpcpassword=a#b\n", "parse error on line 1, using # in rpcpassword can be ambiguous and should be "
                          "avoided" },
    { "[main]\nrpcpassword=a # b", "parse error on line 2, using # in rpcpassword" },
    { "conf=x\n", "conf cannot be set in the configuration file; use includeconf= if you want to include "
                  "additional config files" },
    { "\nsever=1\n", "unknown option sever on line 2 of /tmp/coin-test-config-" },
    { "fallbackfee=x\n", "Invalid amount for -fallbackfee=<amount>: 'x'" },
    { "includeconf=missing.conf\n", "Failed to include configuration file missing.conf" },
    { "includeconf=bad.inc\n", "bad.inc: parse error on line 2: oops" },
    { "includeconf=nested.inc\n", "nested.inc: includeconf cannot be used from included files" },
    { "a=\xff" "b", "unknown option a on line 1" },
};

START_TEST(file_refused)
{
    struct fail why = { 0 };
    write_file("bad.inc", "server=1\noops\n");
    write_file("nested.inc", "includeconf=bad.inc\n");
    struct config *config = config_new(rules);
    const char *path = write_file("bad.conf", file_rows[_i].text);
    ck_assert_msg(!config_read_file(config, path, true, &why), "row %d was accepted", _i);
    ck_assert_int_eq(why.kind, FAIL_REQUEST);
    ck_assert_msg(strncmp(why.detail, file_rows[_i].detail, strlen(file_rows[_i].detail)) == 0,
        "row %d: %s", _i, why.detail);
    config_free(config);
}
END_TEST

START_TEST(sections_of_other_chains)
{
    struct fail why = { 0 };
    struct config *config = config_new(rules);
    const char *path = write_file("other.conf",
        "server=1\n[test]\nfuture=1\n[regtest]\nlisen=1\n[signet]\nincludeconf=gone.conf\n");
    ck_assert_msg(config_read_file(config, path, true, &why), "%s", why.detail);
    config_select_chain(config, "main", true);
    ck_assert(config_check(config, &why));
    config_select_chain(config, "regtest", false);
    ck_assert(!config_check(config, &why));
    ck_assert_ptr_nonnull(strstr(why.detail, "unknown option lisen on line 5 of "));
    ck_assert_ptr_nonnull(strstr(why.detail, "(did you mean listen?)"));
    config_select_chain(config, "signet", false);
    ck_assert(!config_check(config, &why));
    ck_assert_str_eq(why.detail, "Failed to include configuration file gone.conf");
    config_free(config);
}
END_TEST

START_TEST(includes)
{
    struct fail why = { 0 };
    bool good;
    write_file("one.inc", "dbcache=1\n[regtest]\naddnode=x\n");
    write_file("two.inc", "dbcache=2\n");
    const char *path = write_file("inc.conf", "includeconf=one.inc\n[test]\nincludeconf=two.inc\n");
    struct config *config = config_new(rules);
    ck_assert_msg(config_read_file(config, path, true, &why), "%s", why.detail);
    config_select_chain(config, "regtest", false);
    ck_assert_int_eq(config_int(config, "dbcache", 0), 1);
    check_list(config, "addnode", "x");
    config_select_chain(config, "test", false);
    ck_assert_int_eq(config_int(config, "dbcache", 0), 2);
    check_list(config, "addnode", "");
    config_free(config);

    const char *args[] = { "-noincludeconf", NULL };
    config = with_args(args, &good, &why);
    ck_assert(good && config_read_file(config, path, true, &why));
    ck_assert_int_eq(config_int(config, "dbcache", 0), 450);
    config_free(config);
}
END_TEST

START_TEST(missing_file)
{
    struct fail why = { 0 };
    struct config *config = config_new(rules);
    ck_assert(config_read_file(config, "/nonexistent/coin.conf", false, &why));
    ck_assert(!config_read_file(config, "/nonexistent/coin.conf", true, &why));
    ck_assert_str_eq(why.detail, "specified config file \"/nonexistent/coin.conf\" could not be opened.");
    ck_assert(!config_read_file(config, folder, true, &why));
    ck_assert_int_eq(why.kind, FAIL_REQUEST);
    config_free(config);
}
END_TEST

START_TEST(soft_values)
{
    struct fail why;
    bool good;
    const char *args[] = { "-server=0", NULL };
    struct config *config = with_args(args, &good, &why);
    config_soft_set(config, "listen", "0");
    config_soft_set(config, "server", "1");
    config_soft_set(config, "debug", "net");
    ck_assert(!config_flag(config, "listen") && !config_is_set(config, "listen"));
    ck_assert(!config_flag(config, "server"));
    check_list(config, "debug", "net");
    config_free(config);
}
END_TEST

START_TEST(help_fits_a_terminal)
{
    struct config *config = config_new(rules);
    struct buf out;
    buf_init(&out, 65536);
    config_print_help(config, &out, false);
    buf_put_u8(&out, '\0');
    const char *text = (const char *)out.data;
    ck_assert_ptr_nonnull(strstr(text, "Options:\n\n  -conf=<file>\n       Read options from here (default: coin.conf)\n\n"));
    ck_assert_ptr_nonnull(strstr(text, "Connection options:\n\n  -listen\n"));
    ck_assert_ptr_null(strstr(text, "stopatheight"));
    ck_assert_ptr_null(strstr(text, "logratelimit"));
    for (const char *line = text; line != NULL; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        ck_assert_uint_le(strcspn(line, "\n"), 79);
    buf_clear(&out);
    config_print_help(config, &out, true);
    buf_put_u8(&out, '\0');
    ck_assert_ptr_nonnull(strstr((const char *)out.data, "-stopatheight=<n>"));
    ck_assert_ptr_nonnull(strstr((const char *)out.data, "(accepted, no effect)"));
    buf_clear(&out);
    config_free(config);
}
END_TEST

int main(void)
{
    if (mkdtemp(folder) == NULL)
        return EXIT_FAILURE;
    Suite *suite = suite_create("config");
    TCase *cases = tcase_create("config");
    tcase_add_loop_test(cases, arguments, 0, (int)(sizeof arg_rows / sizeof *arg_rows));
    tcase_add_loop_test(cases, arguments_refused, 0, (int)(sizeof refused_rows / sizeof *refused_rows));
    tcase_add_loop_test(cases, numbers, 0, (int)(sizeof int_rows / sizeof *int_rows));
    tcase_add_test(cases, amounts);
    tcase_add_test(cases, lists);
    tcase_add_test(cases, file_precedence);
    tcase_add_loop_test(cases, file_refused, 0, (int)(sizeof file_rows / sizeof *file_rows));
    tcase_add_test(cases, sections_of_other_chains);
    tcase_add_test(cases, includes);
    tcase_add_test(cases, missing_file);
    tcase_add_test(cases, soft_values);
    tcase_add_test(cases, help_fits_a_terminal);
    suite_add_tcase(suite, cases);
    int status = unit_run(suite);
    static const char *const names[] = { "lists.conf", "a.conf", "bad.inc", "nested.inc", "bad.conf",
        "other.conf", "one.inc", "two.inc", "inc.conf" };
    char path[PATH_SIZE_B];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    remove(folder);
    return status;
}
