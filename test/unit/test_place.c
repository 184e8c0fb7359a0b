/* Proves how data directory, configuration file and chain are found, and what is refused. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coin/crypto/hash.h"
#include "coin/crypto/sha256.h"
#include "coin/node/options.h"
#include "coin/node/place.h"
#include "unit.h"

static char folder[64];

static void setup(void)
{
    struct fail why;
    ck_assert(sha256_init(NULL, &why) && hash_init(&why));
    snprintf(folder, sizeof folder, "/tmp/coin-test-place-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    setenv("HOME", folder, 1);
}

static void teardown(void)
{
    static const char *const names[] = {"coin.conf", "bitcoin.conf"};
    char path[128];
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

/* Arguments: up to three; NULL for none. */
static bool find(struct place *place, struct config **config, const char *a, const char *b, const char *c,
    struct fail *why)
{
    const char *given[] = {"coind", a, b, c};
    char text[4][256];
    char *argv[5];
    int count = 0;
    for (int i = 0; i < 4; i++) {
        if (given[i] == NULL)
            continue;
        snprintf(text[count], sizeof text[count], given[i][0] == '@' ? "-datadir=%s" : "%s",
            given[i][0] == '@' ? folder : given[i]);
        argv[count] = text[count];
        count++;
    }
    argv[count] = NULL;
    *config = config_new(node_options);
    ck_assert(config_parse_args(*config, count, argv, why));
    return place_find(place, *config, why);
}

START_TEST(places)
{
    static const struct { const char *chain, *below; } cases[] = {
        {NULL, ""}, {"-chain=coin", ""}, {"-chain=cointest", "/cointest"}, {"-regtest", "/regtest"},
        {"-chain=regtest", "/regtest"}, {"-signet", "/signet"}, {"-testnet4", "/testnet4"}, {"-chain=bitcoin", "/bitcoin"},
        {"-chain=main", "/bitcoin"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct place place;
        struct config *config;
        struct fail why;
        char expected[128];
        ck_assert_msg(find(&place, &config, "@", cases[i].chain, NULL, &why), "%s", why.detail);
        snprintf(expected, sizeof expected, "%s%s", folder, cases[i].below);
        ck_assert_str_eq(place.dir, expected);
        ck_assert_str_eq(place.root, folder);
        place_clear(&place);
        config_free(config);
    }
}
END_TEST

START_TEST(default_folder)
{
    struct place place;
    struct config *config;
    struct fail why;
    char expected[128];
    ck_assert(find(&place, &config, NULL, NULL, NULL, &why)); /* it need not exist yet */
    snprintf(expected, sizeof expected, "%s/.coin", folder);
    ck_assert_str_eq(place.dir, expected);
    place_clear(&place);
    config_free(config);
}
END_TEST

START_TEST(file_chooses)
{
    struct place place;
    struct config *config;
    struct fail why;
    put("bitcoin.conf", "regtest=1\nport=1\nuacomment=top\n[regtest]\nport=2\n");
    ck_assert_msg(find(&place, &config, "@", "-conf=bitcoin.conf", NULL, &why), "%s", why.detail);
    ck_assert_str_eq(place.chain->name, "regtest");
    ck_assert_int_eq(config_int(config, "port", 0), 2);
    ck_assert_str_eq(config_list(config, "uacomment", 0), "top");
    place_clear(&place);
    config_free(config);
}
END_TEST

static const struct {
    const char *file, *a, *b, *words;
} refused[] = {
    {NULL, "-datadir=/nonexistent", NULL, "Specified data directory \"/nonexistent\" does not exist."},
    {NULL, "-regtest", "-signet", "at most one"},
    {NULL, "-chain=nosuch", NULL, "nosuch"},
    {"regtest=1\n", "-signet", NULL, "at most one"},
    {"nosuch=1\n", NULL, NULL, "Error reading configuration file: unknown option nosuch"},
    {"[regtest]\nnosuch=1\n", "-regtest", NULL, "unknown option nosuch"},
    {NULL, "-conf=missing.conf", NULL, "missing.conf"},
};

START_TEST(refusals)
{
    struct place place;
    struct config *config;
    struct fail why;
    if (refused[_i].file != NULL)
        put("coin.conf", refused[_i].file);
    bool own_dir = refused[_i].a != NULL && strncmp(refused[_i].a, "-datadir", 8) == 0;
    ck_assert(!find(&place, &config, own_dir ? NULL : "@", refused[_i].a, refused[_i].b, &why));
    ck_assert_int_eq(why.kind, FAIL_REQUEST);
    ck_assert_msg(strstr(why.detail, refused[_i].words) != NULL, "%s", why.detail);
    ck_assert_ptr_null(place.chain);
    config_free(config);
}
END_TEST

START_TEST(rules_overridden)
{
    struct place place;
    struct config *config;
    struct fail why;
    ck_assert(find(&place, &config, "@", "-regtest", "-testactivationheight=segwit@432", &why));
    ck_assert_msg(place_override_rules(&place, config, &why), "%s", why.detail);
    ck_assert_int_eq(place.chain->buried[BURIED_SEGWIT], 432);
    place_clear(&place);
    config_free(config);
    ck_assert(find(&place, &config, "@", "-regtest", "-testactivationheight=nosuch@1", &why));
    ck_assert(!place_override_rules(&place, config, &why));
    place_clear(&place);
    config_free(config);
}
END_TEST

START_TEST(resolving)
{
    char out[PATH_SIZE_B], big[PATH_SIZE_B + 8];
    struct fail why;
    ck_assert(place_resolve(out, "/a", "b", &why));
    ck_assert_str_eq(out, "/a/b");
    ck_assert(place_resolve(out, "/a", "/c", &why));
    ck_assert_str_eq(out, "/c");
    memset(big, 'x', sizeof big - 1);
    big[0] = '/';
    big[sizeof big - 1] = 0;
    ck_assert(!place_resolve(out, "/a", big, &why));
    ck_assert(!place_resolve(out, "/a", big + 1, &why));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("place");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, places);
    tcase_add_test(tests, default_folder);
    tcase_add_test(tests, file_chooses);
    tcase_add_loop_test(tests, refusals, 0, (int)(sizeof refused / sizeof *refused));
    tcase_add_test(tests, rules_overridden);
    tcase_add_test(tests, resolving);
    suite_add_tcase(suite, tests);
    return unit_run(suite);
}
