/* Proves who may call: the cookie, -rpcuser and -rpcauth, and nobody else. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../sim/world.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/sha256.h"
#include "coin/node/options.h"
#include "coin/rpc/auth.h"
#include "unit.h"

struct rig {
    struct world *world;
    struct env env;
    struct config *config;
    char folder[64], cookie[128];
};

static void rig_init(struct rig *rig, const char *a, const char *b)
{
    struct fail why;
    char program[] = "coind", first[256], second[256];
    char *argv[] = {program, first, second, NULL};
    snprintf(first, sizeof first, "%s", a != NULL ? a : "");
    snprintf(second, sizeof second, "%s", b != NULL ? b : "");
    ck_assert(sha256_init(NULL, &why) && hash_init(&why));
    rig->world = world_new(1, INT64_C(1700000000000));
    rig->env = world_add_node(rig->world)->env;
    rig->env.disk = &disk_posix;
    rig->config = config_new(node_options);
    int count = 1 + (a != NULL) + (b != NULL);
    ck_assert(config_parse_args(rig->config, count, argv, &why));
    config_select_chain(rig->config, "regtest", false);
    snprintf(rig->folder, sizeof rig->folder, "/tmp/coin-test-auth-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(rig->folder));
    snprintf(rig->cookie, sizeof rig->cookie, "%s/.cookie", rig->folder);
}

static void rig_clear(struct rig *rig)
{
    config_free(rig->config);
    world_free(rig->world);
    rmdir(rig->folder);
}

static const char *check(struct rpc_auth *auth, const char *pair)
{
    struct buf header;
    buf_init(&header, 4096);
    rpc_auth_basic(&header, span_text(pair));
    const char *user = rpc_auth_check(auth, buf_span(&header));
    buf_clear(&header);
    return user;
}

START_TEST(cookie)
{
    struct rig rig;
    struct fail why;
    struct buf pair;
    struct stat info;
    rig_init(&rig, NULL, NULL);
    struct rpc_auth *auth = rpc_auth_new(rig.config, &rig.env, rig.cookie, &why);
    ck_assert_msg(auth != NULL, "%s", why.detail);
    ck_assert_int_eq(stat(rig.cookie, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0600);
    buf_init(&pair, 1024);
    ck_assert(file_read_all(&disk_posix, rig.cookie, &pair, &why));
    buf_put_u8(&pair, 0);
    ck_assert_ptr_nonnull(strstr((const char *)pair.data, "__cookie__:"));
    ck_assert_str_eq(check(auth, (const char *)pair.data), "__cookie__");
    pair.data[pair.size_b - 2] ^= 1;
    ck_assert_ptr_null(check(auth, (const char *)pair.data));
    ck_assert_ptr_null(check(auth, ""));
    ck_assert_ptr_null(check(auth, "__cookie__:"));
    ck_assert_ptr_null(rpc_auth_check(auth, span_text("")));
    ck_assert_ptr_null(rpc_auth_check(auth, span_text("Basic ")));
    ck_assert_ptr_null(rpc_auth_check(auth, span_text("Basic !!!!")));
    ck_assert_ptr_null(rpc_auth_check(auth, span_text("Bearer x")));
    buf_clear(&pair);
    rpc_auth_free(auth);
    ck_assert_int_ne(stat(rig.cookie, &info), 0);
    rig_clear(&rig);
}
END_TEST

START_TEST(passwords)
{
    struct rig rig;
    struct fail why;
    struct stat info;
    rig_init(&rig, "-rpcuser=bob", "-rpcpassword=pa:ss");
    struct rpc_auth *auth = rpc_auth_new(rig.config, &rig.env, rig.cookie, &why);
    ck_assert_msg(auth != NULL, "%s", why.detail);
    ck_assert_int_ne(stat(rig.cookie, &info), 0); /* no cookie beside a password */
    ck_assert_str_eq(check(auth, "bob:pa:ss"), "bob");
    ck_assert_ptr_null(check(auth, "bob:pa"));
    ck_assert_ptr_null(check(auth, "bob:pa:ss "));
    ck_assert_ptr_null(check(auth, "alice:pa:ss"));
    rpc_auth_free(auth);
    rig_clear(&rig);
}
END_TEST

/* The line is what contrib/rpcauth makes: HMAC-SHA256 of "word", keyed with the text "salt". */
START_TEST(salted)
{
    struct rig rig;
    struct fail why;
    uint8_t digest[32];
    char hex[65], option[160];
    ck_assert(sha256_init(NULL, &why) && hash_init(&why));
    hmac_sha256(digest, span_text("salt"), span_text("word"));
    hex_encode(hex, digest, sizeof digest);
    snprintf(option, sizeof option, "-rpcauth=carol:salt$%s", hex);
    rig_init(&rig, option, NULL);
    struct rpc_auth *auth = rpc_auth_new(rig.config, &rig.env, rig.cookie, &why);
    ck_assert_msg(auth != NULL, "%s", why.detail);
    ck_assert_str_eq(check(auth, "carol:word"), "carol");
    ck_assert_ptr_null(check(auth, "carol:words"));
    rpc_auth_free(auth);
    rig_clear(&rig);
}
END_TEST

static const char *const malformed[] = {
    "-rpcauth=x", "-rpcauth=a:b", "-rpcauth=a:b$", "-rpcauth=a:b$zz", "-rpcauth=:b$00", "-rpcauth=a$b",
};

START_TEST(malformed_lines)
{
    struct rig rig;
    struct fail why;
    rig_init(&rig, malformed[_i], NULL);
    struct rpc_auth *auth = rpc_auth_new(rig.config, &rig.env, rig.cookie, &why);
    ck_assert_msg(auth == NULL, "%s was taken", malformed[_i]);
    ck_assert_int_eq(why.kind, FAIL_REQUEST);
    ck_assert_ptr_nonnull(strstr(why.detail, "rpcauth"));
    rig_clear(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("auth");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, cookie);
    tcase_add_test(tests, passwords);
    tcase_add_test(tests, salted);
    tcase_add_loop_test(tests, malformed_lines, 0, (int)(sizeof malformed / sizeof *malformed));
    suite_add_tcase(suite, tests);
    return unit_run(suite);
}
