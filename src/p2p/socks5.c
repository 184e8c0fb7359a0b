/* The talk with a SOCKS5 proxy: greeting, password when it wants one, request; each answer is gathered in a buffer of
 * fixed size until it is whole. */
#include "socks5.h"

#include <stdio.h>
#include <string.h>

#define VERSION 5
#define AUTH_VERSION 1 /* RFC 1929 */
#define METHOD_NONE 0
#define METHOD_PASSWORD 2
#define COMMAND_CONNECT 1
#define TYPE_IPV4 1
#define TYPE_NAME 3
#define TYPE_IPV6 4

static uint32_t wanted_b(const struct socks5 *s);
static enum socks5_result act(struct socks5 *s, struct buf *out, struct fail *why);
static void put_text(struct buf *out, const char *text);
static void request(const struct socks5 *s, struct buf *out);
static const char *reply_text(uint8_t reply);

bool socks5_init(struct socks5 *s, const char *name, uint16_t port, const char *user, const char *password)
{
    memset(s, 0, sizeof *s);
    if (strlen(name) > SOCKS5_NAME_MAX_B || strlen(user) >= sizeof s->user || strlen(password) >= sizeof s->password)
        return false;
    snprintf(s->name, sizeof s->name, "%s", name);
    snprintf(s->user, sizeof s->user, "%s", user);
    snprintf(s->password, sizeof s->password, "%s", password);
    s->port = port;
    return true;
}

void socks5_hello(const struct socks5 *s, struct buf *out)
{
    buf_put_u8(out, VERSION);
    buf_put_u8(out, s->user[0] != 0 ? 2 : 1);
    buf_put_u8(out, METHOD_NONE);
    if (s->user[0] != 0)
        buf_put_u8(out, METHOD_PASSWORD);
}

enum socks5_result socks5_feed(struct socks5 *s, struct span bytes, size_t *taken_b, struct buf *out, struct fail *why)
{
    *taken_b = 0;
    while (*taken_b < bytes.size_b) {
        s->answer[s->answer_b++] = bytes.data[(*taken_b)++];
        if (s->answer_b < wanted_b(s))
            continue;
        enum socks5_result result = act(s, out, why);
        if (result != SOCKS5_MORE)
            return result;
    }
    return SOCKS5_MORE;
}

/* Size of the answer that is being read, as far as its beginning tells. */
static uint32_t wanted_b(const struct socks5 *s)
{
    if (s->stage != SOCKS5_REPLY)
        return 2;
    if (s->answer_b < 5)
        return s->answer_b >= 2 && s->answer[1] != 0 ? 2 : 5; /* a refusal may end early */
    switch (s->answer[3]) {
    case TYPE_IPV4:
        return 4 + 4 + 2;
    case TYPE_IPV6:
        return 4 + 16 + 2;
    case TYPE_NAME:
        return 5 + s->answer[4] + 2u;
    default:
        return 5; /* act refuses it */
    }
}

static enum socks5_result act(struct socks5 *s, struct buf *out, struct fail *why)
{
    const uint8_t *a = s->answer;
    uint8_t version = s->stage == SOCKS5_AUTH ? AUTH_VERSION : VERSION;
    s->answer_b = 0;
    if (a[0] != version) {
        fail_set(why, FAIL_PROTOCOL, "proxy", "the proxy does not speak SOCKS5");
        return SOCKS5_FAILED;
    }
    switch (s->stage) {
    case SOCKS5_METHOD:
        if (a[1] == METHOD_PASSWORD && s->user[0] != 0) {
            buf_put_u8(out, AUTH_VERSION);
            put_text(out, s->user);
            put_text(out, s->password);
            s->stage = SOCKS5_AUTH;
        } else if (a[1] == METHOD_NONE) {
            request(s, out);
            s->stage = SOCKS5_REPLY;
        } else {
            fail_set(why, FAIL_PROTOCOL, "proxy", "the proxy wants an authentication that we do not have");
            return SOCKS5_FAILED;
        }
        return SOCKS5_MORE;
    case SOCKS5_AUTH:
        if (a[1] != 0) {
            fail_set(why, FAIL_PROTOCOL, "proxy", "the proxy refuses our name and password");
            return SOCKS5_FAILED;
        }
        request(s, out);
        s->stage = SOCKS5_REPLY;
        return SOCKS5_MORE;
    case SOCKS5_REPLY:
        break;
    }
    if (a[1] != 0) {
        fail_set(why, FAIL_PROTOCOL, "proxy", "the proxy says: %s", reply_text(a[1]));
        return SOCKS5_FAILED;
    }
    if (a[3] != TYPE_IPV4 && a[3] != TYPE_IPV6 && a[3] != TYPE_NAME) {
        fail_set(why, FAIL_PROTOCOL, "proxy", "the proxy answers with an address of type %u", a[3]);
        return SOCKS5_FAILED;
    }
    return SOCKS5_OPEN;
}

static void put_text(struct buf *out, const char *text)
{
    size_t size_b = strlen(text);
    buf_put_u8(out, (uint8_t)size_b);
    buf_put(out, text, size_b);
}

static void request(const struct socks5 *s, struct buf *out)
{
    buf_put_u8(out, VERSION);
    buf_put_u8(out, COMMAND_CONNECT);
    buf_put_u8(out, 0);
    buf_put_u8(out, TYPE_NAME);
    put_text(out, s->name);
    buf_put_u16be(out, s->port);
}

static const char *reply_text(uint8_t reply)
{
    static const char *const words[] = {"all is well", "general failure", "connection not allowed", "network unreachable",
        "host unreachable", "connection refused", "TTL expired", "protocol error", "address type not supported"};
    if (reply < sizeof words / sizeof *words)
        return words[reply];
    switch (reply) { /* Tor's own (its proposal 304) */
    case 0xf0:
        return "onion service descriptor can not be found";
    case 0xf1:
        return "onion service descriptor is invalid";
    case 0xf2:
        return "onion service introduction failed";
    case 0xf3:
        return "onion service rendezvous failed";
    case 0xf4:
        return "onion service missing client authorization";
    case 0xf5:
        return "onion service wrong client authorization";
    case 0xf6:
        return "onion service invalid address";
    case 0xf7:
        return "onion service introduction timed out";
    default:
        return "an unknown error";
    }
}
