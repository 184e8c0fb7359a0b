/* Who may call. Passwords are compared in constant time; -rpcauth holds only a salted HMAC of them
 * (user:salt$hmac, hex, HMAC-SHA256 with the salt as key). */

#include "coin/rpc/auth.h"

#include <stdio.h>
#include <string.h>

#include "coin/base/log.h"
#include "coin/base/mem.h"
#include "coin/crypto/hash.h"
#include "coin/rpc/rpc.h"
#include "server.h"

#define COOKIE_USER "__cookie__"
#define CREDENTIALS_MAX_B 1024

struct user {
    char name[64];
    char salt[64];
    uint8_t hash[32]; /* HMAC of the password, keyed with salt */
};
struct rpc_auth {
    const struct env *env;
    struct user users[RPC_USERS_MAX];
    uint32_t count;
    char cookie_path[PATH_SIZE_B];
    bool has_cookie;
};

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool add_rpcauth(struct rpc_auth *auth, const char *text, struct fail *why);
static void add_password(struct rpc_auth *auth, const char *name, const char *password);
static bool write_cookie(struct rpc_auth *auth, struct fail *why);
static bool base64_decode(struct buf *out, struct span text);

struct rpc_auth *rpc_auth_new(const struct config *config, const struct env *env, const char *cookie_path,
    struct fail *why)
{
    struct rpc_auth *auth = mem_new(sizeof *auth);
    const char *password = config_text(config, "rpcpassword"), *user = config_text(config, "rpcuser"), *text;
    auth->env = env;
    for (uint32_t i = 0; (text = config_list(config, "rpcauth", i)) != NULL; i++) {
        if (*text != 0 && !add_rpcauth(auth, text, why)) {
            mem_free(auth);
            return NULL;
        }
    }
    if (password != NULL && *password != 0) {
        add_password(auth, user != NULL ? user : "", password);
        return auth;
    }
    snprintf(auth->cookie_path, sizeof auth->cookie_path, "%s", cookie_path);
    if (write_cookie(auth, why))
        return auth;
    mem_free(auth);
    return NULL;
}

void rpc_auth_free(struct rpc_auth *auth)
{
    struct fail ignored;
    if (auth == NULL)
        return;
    if (auth->has_cookie)
        auth->env->disk->remove(auth->env->disk->ctx, auth->cookie_path, &ignored);
    mem_wipe(auth, sizeof *auth);
    mem_free(auth);
}

const char *rpc_auth_check(struct rpc_auth *auth, struct span header)
{
    struct buf plain;
    const char *found = NULL;
    if (header.size_b < 6 || memcmp(header.data, "Basic ", 6) != 0)
        return NULL;
    buf_init(&plain, CREDENTIALS_MAX_B);
    const uint8_t *colon;
    if (base64_decode(&plain, span_of(header.data + 6, header.size_b - 6)) && plain.size_b > 0 &&
        (colon = memchr(plain.data, ':', plain.size_b)) != NULL) {
        struct span name = span_of(plain.data, (size_t)(colon - plain.data));
        struct span password = span_of(colon + 1, plain.size_b - name.size_b - 1);
        for (uint32_t i = 0; i < auth->count; i++) {
            uint8_t hash[32];
            hmac_sha256(hash, span_text(auth->users[i].salt), password);
            bool same = mem_equal_secret(hash, auth->users[i].hash, sizeof hash);
            if (same && span_is(name, auth->users[i].name))
                found = auth->users[i].name;
        }
    }
    if (plain.data != NULL)
        mem_wipe(plain.data, plain.size_b);
    buf_clear(&plain);
    return found;
}

void rpc_auth_basic(struct buf *out, struct span in)
{
    buf_put_text(out, "Basic ");
    for (size_t i = 0; i < in.size_b; i += 3) {
        size_t left = in.size_b - i;
        uint32_t v = (uint32_t)in.data[i] << 16 | (left > 1 ? (uint32_t)in.data[i + 1] << 8 : 0) |
                     (left > 2 ? in.data[i + 2] : 0);
        buf_put_u8(out, (uint8_t)base64[v >> 18]);
        buf_put_u8(out, (uint8_t)base64[v >> 12 & 63]);
        buf_put_u8(out, (uint8_t)(left > 1 ? base64[v >> 6 & 63] : '='));
        buf_put_u8(out, (uint8_t)(left > 2 ? base64[v & 63] : '='));
    }
}

/* -rpcwhitelist=user:method,method ...: who is named may call only these; who is not may call all, unless
 * -rpcwhitelistdefault says otherwise. Whitespace around names is accepted. */
bool rpc_user_may(const struct rpc_ctx *ctx, const char *user, struct span method)
{
    const char *text;
    bool listed = false, allowed = false;
    for (uint32_t i = 0; (text = config_list(ctx->config, "rpcwhitelist", i)) != NULL; i++) {
        size_t length = strcspn(text, ":");
        if (strlen(user) != length || memcmp(text, user, length) != 0)
            continue;
        listed = true;
        const char *at = text[length] == ':' ? text + length + 1 : text + length;
        while (*at != 0) {
            at += strspn(at, " ,");
            size_t n = strcspn(at, " ,");
            allowed = allowed || span_equal(span_of(at, n), method);
            at += n;
        }
    }
    if (listed)
        return allowed;
    return !config_is_set(ctx->config, "rpcwhitelist") ||
           (config_is_set(ctx->config, "rpcwhitelistdefault") && !config_flag(ctx->config, "rpcwhitelistdefault"));
}

static bool add_rpcauth(struct rpc_auth *auth, const char *text, struct fail *why)
{
    struct user *user = &auth->users[auth->count];
    size_t name = strcspn(text, ":");
    size_t salt = text[name] == ':' ? strcspn(text + name + 1, "$") : 0;
    const char *hash = text + name + 1 + salt;
    if (auth->count == RPC_USERS_MAX)
        return fail_request(why, 0, "At most %d -rpcauth users can be given", RPC_USERS_MAX);
    if (text[name] != ':' || name >= sizeof user->name || salt == 0 || salt >= sizeof user->salt || *hash != '$' ||
        !hex_decode(user->hash, sizeof user->hash, span_text(hash + 1)))
        return fail_request(why, 0, "Invalid -rpcauth argument: expected <user>:<salt>$<hash>");
    memcpy(user->name, text, name);
    memcpy(user->salt, text + name + 1, salt);
    auth->count++;
    return true;
}

/* A plain password is kept as its HMAC too, under a salt of this process. */
static void add_password(struct rpc_auth *auth, const char *name, const char *password)
{
    struct user *user = &auth->users[auth->count < RPC_USERS_MAX ? auth->count++ : RPC_USERS_MAX - 1];
    uint8_t salt[16];
    env_random(auth->env, salt, sizeof salt);
    hex_encode(user->salt, salt, sizeof salt);
    snprintf(user->name, sizeof user->name, "%s", name);
    hmac_sha256(user->hash, span_text(user->salt), span_text(password));
}

static bool write_cookie(struct rpc_auth *auth, struct fail *why)
{
    uint8_t secret[32];
    char password[65], line[80], temporary[PATH_SIZE_B];
    const struct disk *disk = auth->env->disk;
    env_random(auth->env, secret, sizeof secret);
    hex_encode(password, secret, sizeof secret);
    snprintf(line, sizeof line, COOKIE_USER ":%s", password);
    int n = snprintf(temporary, sizeof temporary, "%s.tmp", auth->cookie_path);
    if (n < 0 || (size_t)n >= sizeof temporary)
        return fail_request(why, 0, "The path of the cookie file is too long");
    struct file *file = disk->open(disk->ctx, temporary, FILE_NEW, why);
    bool ok = file != NULL && file_write_at(file, 0, span_text(line), why);
    file_close(file);
    ok = ok && disk->rename(disk->ctx, temporary, auth->cookie_path, why);
    if (ok) {
        add_password(auth, COOKIE_USER, password);
        auth->has_cookie = true;
    }
    mem_wipe(secret, sizeof secret);
    mem_wipe(password, sizeof password);
    mem_wipe(line, sizeof line);
    return ok;
}

static bool base64_decode(struct buf *out, struct span text)
{
    uint32_t held = 0, bits = 0;
    while (text.size_b > 0 && text.data[text.size_b - 1] == '=')
        text.size_b--;
    for (size_t i = 0; i < text.size_b; i++) {
        const char *at = text.data[i] != 0 ? strchr(base64, text.data[i]) : NULL;
        if (at == NULL)
            return false;
        held = (held << 6 | (uint32_t)(at - base64)) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            buf_put_u8(out, (uint8_t)(held >> bits));
        }
    }
    return !out->failed;
}
