/* Tor's control protocol, as much of it as an onion service takes. A reply is lines "250-KEY=value" and a last one
 * "250 OK"; other numbers refuse, 650 tells of something nobody asked for. Of the ways to prove that we may ask, a
 * password comes first when the user gave one, then none at all, then the cookie file in its safe form, which shows
 * the cookie to nobody who does not know it: HMACs of both sides' nonces with it as the message's beginning. */
#include "tor_control.h"

#include <stdio.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/crypto/hash.h"

#define SERVER_LABEL "Tor safe cookie authentication server-to-controller hash"
#define CLIENT_LABEL "Tor safe cookie authentication controller-to-server hash"
#define DEFAULT_SOCKS "127.0.0.1:9050"
#define ONION_SUFFIX ".onion"

static enum tor_result on_line(struct tor_control *t, struct span line, struct buf *out, struct fail *why);
static void on_detail(struct tor_control *t, struct span text);
static enum tor_result on_end(struct tor_control *t, struct buf *out, struct fail *why);
static enum tor_result choose_method(struct tor_control *t, struct buf *out, struct fail *why);
static void read_methods(struct tor_control *t, struct span text);
static bool check_challenge(struct tor_control *t, struct span text);
static void safe_hash(uint8_t out[32], const struct tor_control *t, const char *label, const uint8_t server_nonce[TOR_NONCE_SIZE_B]);
static bool value_of(struct span *out, struct span text, const char *key);
static bool unquote(char *out, size_t room, struct span text);
static void put_quoted(struct buf *out, const char *text);
static bool hex_value(uint8_t *out, size_t size_b, struct span text, const char *key);

bool tor_control_begin(struct tor_control *t, const char *password, const char *key, uint16_t port,
    const uint8_t nonce[TOR_NONCE_SIZE_B], struct buf *out, struct fail *why)
{
    memset(t, 0, sizeof *t);
    if (strlen(password) >= sizeof t->password)
        return fail_request(why, 0, "-torpassword is longer than %u bytes", TOR_PASSWORD_MAX_B - 1);
    if (strlen(key) >= sizeof t->key)
        return fail_request(why, 0, "the onion service's key is longer than %d bytes", TOR_KEY_SIZE_B - 1);
    snprintf(t->password, sizeof t->password, "%s", password);
    snprintf(t->key, sizeof t->key, "%s", key);
    t->port = port;
    memcpy(t->nonce, nonce, sizeof t->nonce);
    if (!net_addr_parse(&t->proxy, span_text(DEFAULT_SOCKS), 0))
        return fail_request(why, 0, "no address: " DEFAULT_SOCKS);
    for (const char *c = t->key; *c != 0; c++)
        if (*c <= ' ' || *c > '~')
            return fail_request(why, 0, "the onion service's key is no text that Tor would have written");
    buf_put_text(out, "PROTOCOLINFO 1\r\n");
    return true;
}

void tor_control_wipe(struct tor_control *t)
{
    mem_wipe(t, sizeof *t);
}

enum tor_result tor_control_feed(struct tor_control *t, struct span bytes, size_t *taken, struct buf *out, struct fail *why)
{
    *taken = 0;
    while (*taken < bytes.size_b) {
        char c = (char)bytes.data[(*taken)++];
        if (c != '\n') {
            if (t->line_b == TOR_LINE_MAX_B) {
                fail_set(why, FAIL_PROTOCOL, "tor", "Tor's control port sent a line of over %u bytes", TOR_LINE_MAX_B);
                return TOR_FAILED;
            }
            t->line[t->line_b++] = c;
            continue;
        }
        while (t->line_b > 0 && t->line[t->line_b - 1] == '\r')
            t->line_b--;
        enum tor_result result = on_line(t, span_of(t->line, t->line_b), out, why);
        t->line_b = 0;
        if (result != TOR_MORE)
            return result;
    }
    return TOR_MORE;
}

void tor_control_cookie(struct tor_control *t, const uint8_t cookie[TOR_COOKIE_SIZE_B], struct buf *out)
{
    memcpy(t->cookie, cookie, sizeof t->cookie);
    if (t->by_safe_cookie) {
        buf_put_text(out, "AUTHCHALLENGE SAFECOOKIE ");
        buf_put_hex(out, t->nonce, sizeof t->nonce);
        t->state = TOR_CHALLENGED;
    } else {
        buf_put_text(out, "AUTHENTICATE ");
        buf_put_hex(out, t->cookie, sizeof t->cookie);
        t->state = TOR_AUTHENTICATING;
    }
    buf_put_text(out, "\r\n");
}

static enum tor_result on_line(struct tor_control *t, struct span line, struct buf *out, struct fail *why)
{
    if (line.size_b < 4 || line.data[0] < '0' || line.data[0] > '9') {
        fail_set(why, FAIL_PROTOCOL, "tor", "this is not Tor's control port");
        return TOR_FAILED;
    }
    bool last = line.data[3] == ' ';
    struct span text = span_of(line.data + 4, line.size_b - 4);
    if (line.data[0] == '6')
        return TOR_MORE; /* an event */
    if (line.data[0] != '2') {
        if (t->state == TOR_ASKED_PROXY) { /* an old Tor, or one without: the usual port is as good a guess */
            t->state = TOR_WANTS_TARGET;
            return TOR_PROXY;
        }
        fail_set(why, FAIL_PROTOCOL, "tor", "Tor's control port refused %s: %.*s",
            t->state == TOR_ADDING ? "the onion service" : "us", (int)line.size_b, (const char *)line.data);
        return TOR_FAILED;
    }
    on_detail(t, text);
    return last ? on_end(t, out, why) : TOR_MORE;
}

static void on_detail(struct tor_control *t, struct span text)
{
    struct span value;
    char address[NET_ADDR_TEXT_SIZE_B];
    if (t->state == TOR_ASKED_METHODS && value_of(&value, text, "METHODS")) {
        read_methods(t, text);
    } else if (t->state == TOR_CHALLENGED && value_of(&value, text, "SERVERHASH")) {
        t->has_answer = check_challenge(t, text);
    } else if (t->state == TOR_ASKED_PROXY && value_of(&value, text, "net/listeners/socks")) {
        struct net_addr proxy; /* of several the first; a socket in the file system is none for us */
        if (unquote(address, sizeof address, value) && net_addr_parse(&proxy, span_text(address), 0) && proxy.port != 0)
            t->proxy = proxy;
    } else if (t->state == TOR_ADDING && value_of(&value, text, "ServiceID")) {
        int n = snprintf(address, sizeof address, "%.*s" ONION_SUFFIX, (int)value.size_b, (const char *)value.data);
        if (n < 0 || (size_t)n >= sizeof address || !net_addr_parse(&t->service, span_text(address), t->port))
            t->service.network = 0;
    } else if (t->state == TOR_ADDING && value_of(&value, text, "PrivateKey") && value.size_b < sizeof t->key) {
        memcpy(t->key, value.data, value.size_b);
        t->key[value.size_b] = 0;
    }
}

static enum tor_result on_end(struct tor_control *t, struct buf *out, struct fail *why)
{
    switch (t->state) {
    case TOR_ASKED_METHODS:
        return choose_method(t, out, why);
    case TOR_CHALLENGED:
        if (!t->has_answer) {
            fail_set(why, FAIL_PROTOCOL, "tor", "whoever answers on Tor's control port does not know the cookie in %s", t->cookie_path);
            return TOR_FAILED;
        }
        buf_put_text(out, "AUTHENTICATE ");
        buf_put_hex(out, t->answer, sizeof t->answer);
        buf_put_text(out, "\r\n");
        t->state = TOR_AUTHENTICATING;
        return TOR_MORE;
    case TOR_AUTHENTICATING:
        buf_put_text(out, "GETINFO net/listeners/socks\r\n");
        t->state = TOR_ASKED_PROXY;
        return TOR_MORE;
    case TOR_ASKED_PROXY:
        t->state = TOR_WANTS_TARGET;
        return TOR_PROXY;
    case TOR_ADDING:
        if (t->service.network != NET_TORV3 || t->key[0] == 0) {
            fail_set(why, FAIL_PROTOCOL, "tor", "Tor made an onion service without telling its address and key");
            return TOR_FAILED;
        }
        t->state = TOR_SERVING;
        return TOR_THERE;
    case TOR_WANTS_COOKIE:
    case TOR_WANTS_TARGET:
    case TOR_SERVING:
        break;
    }
    return TOR_MORE;
}

static enum tor_result choose_method(struct tor_control *t, struct buf *out, struct fail *why)
{
    if (t->password[0] != 0 && !t->by_password) {
        fail_set(why, FAIL_PROTOCOL, "tor", "-torpassword is given, but Tor takes no password (HashedControlPassword in torrc)");
        return TOR_FAILED;
    }
    if (t->password[0] != 0 || t->by_nothing) {
        buf_put_text(out, "AUTHENTICATE");
        if (t->password[0] != 0)
            put_quoted(out, t->password);
        buf_put_text(out, "\r\n");
        t->state = TOR_AUTHENTICATING;
        return TOR_MORE;
    }
    if ((t->by_safe_cookie || t->by_cookie) && t->cookie_path[0] != 0) {
        t->state = TOR_WANTS_COOKIE;
        return TOR_COOKIE;
    }
    fail_set(why, FAIL_PROTOCOL, "tor",
        t->by_password ? "Tor wants a password: give -torpassword" : "Tor offers no way to authenticate that is known here");
    return TOR_FAILED;
}

/* AUTH METHODS=NULL,COOKIE,... COOKIEFILE="..." */
static void read_methods(struct tor_control *t, struct span text)
{
    struct span methods, path;
    if (!value_of(&methods, text, "METHODS"))
        return;
    for (size_t i = 0; i < methods.size_b;) {
        size_t end = i;
        while (end < methods.size_b && methods.data[end] != ',')
            end++;
        struct span method = span_of(methods.data + i, end - i);
        t->by_nothing |= span_is(method, "NULL");
        t->by_password |= span_is(method, "HASHEDPASSWORD");
        t->by_cookie |= span_is(method, "COOKIE");
        t->by_safe_cookie |= span_is(method, "SAFECOOKIE");
        i = end + 1;
    }
    if (!value_of(&path, text, "COOKIEFILE") || !unquote(t->cookie_path, sizeof t->cookie_path, path))
        t->cookie_path[0] = 0;
}

/* AUTHCHALLENGE SERVERHASH=... SERVERNONCE=...: false when it does not know the cookie. */
static bool check_challenge(struct tor_control *t, struct span text)
{
    uint8_t hash[32], nonce[TOR_NONCE_SIZE_B], expected[32];
    if (!hex_value(hash, sizeof hash, text, "SERVERHASH") || !hex_value(nonce, sizeof nonce, text, "SERVERNONCE"))
        return false;
    safe_hash(expected, t, SERVER_LABEL, nonce);
    safe_hash(t->answer, t, CLIENT_LABEL, nonce);
    return mem_equal_secret(expected, hash, sizeof hash);
}

static void safe_hash(uint8_t out[32], const struct tor_control *t, const char *label, const uint8_t server_nonce[TOR_NONCE_SIZE_B])
{
    uint8_t message[TOR_COOKIE_SIZE_B + 2 * TOR_NONCE_SIZE_B];
    memcpy(message, t->cookie, TOR_COOKIE_SIZE_B);
    memcpy(message + TOR_COOKIE_SIZE_B, t->nonce, TOR_NONCE_SIZE_B);
    memcpy(message + TOR_COOKIE_SIZE_B + TOR_NONCE_SIZE_B, server_nonce, TOR_NONCE_SIZE_B);
    hmac_sha256(out, span_text(label), span_of(message, sizeof message));
    mem_wipe(message, sizeof message);
}

void tor_control_add(struct tor_control *t, const struct net_addr *target, struct buf *out)
{
    char text[NET_ADDR_TEXT_SIZE_B];
    net_addr_to_text(text, target, true);
    buf_printf(out, "ADD_ONION %s Port=%u,%s\r\n", t->key[0] != 0 ? t->key : "NEW:ED25519-V3", t->port, text);
    t->state = TOR_ADDING;
}

/* The value of KEY=value among others, up to the next blank outside of quotes. */
static bool value_of(struct span *out, struct span text, const char *key)
{
    size_t key_b = strlen(key), at = 0;
    while (at < text.size_b) {
        size_t end = at;
        for (bool quoted = false; end < text.size_b && (quoted || text.data[end] != ' '); end++) {
            if (text.data[end] == '\\' && quoted && end + 1 < text.size_b)
                end++;
            else if (text.data[end] == '"')
                quoted = !quoted;
        }
        if (end - at > key_b && memcmp(text.data + at, key, key_b) == 0 && text.data[at + key_b] == '=') {
            *out = span_of(text.data + at + key_b + 1, end - at - key_b - 1);
            return true;
        }
        at = end + 1;
    }
    return false;
}

/* "text" with C's escapes; octal ones too. */
static bool unquote(char *out, size_t room, struct span text)
{
    size_t used = 0, i = 1;
    if (text.size_b < 2 || text.data[0] != '"')
        return false;
    for (; i < text.size_b && text.data[i] != '"'; i++) {
        unsigned c = text.data[i];
        if (c == '\\' && i + 1 < text.size_b) {
            c = text.data[++i];
            if (c >= '0' && c <= '7') {
                unsigned value = 0, digits = 0;
                for (; digits < 3 && i < text.size_b && text.data[i] >= '0' && text.data[i] <= '7'; digits++)
                    value = value * 8 + text.data[i++] - '0';
                i--;
                c = value & 0xff;
            } else {
                c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
            }
        }
        if (used + 1 >= room || c == 0)
            return false;
        out[used++] = (char)c;
    }
    out[used] = 0;
    return i < text.size_b;
}

static void put_quoted(struct buf *out, const char *text)
{
    buf_put_text(out, " \"");
    for (; *text != 0; text++) {
        if (*text == '"' || *text == '\\')
            buf_put_u8(out, '\\');
        buf_put_u8(out, (uint8_t)*text);
    }
    buf_put_u8(out, '"');
}

static bool hex_value(uint8_t *out, size_t size_b, struct span text, const char *key)
{
    struct span value;
    return value_of(&value, text, key) && hex_decode(out, size_b, value);
}
