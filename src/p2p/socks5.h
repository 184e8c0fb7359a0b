/* socks5.h - what is said to a SOCKS5 proxy before it hands our bytes on (RFC 1928, RFC 1929). The destination
 * always goes as a name, so that nothing is looked up on our side. Thread: any (pure). */
#ifndef COIN_P2P_SOCKS5_H
#define COIN_P2P_SOCKS5_H

#include "coin/base/bytes.h"
#include "coin/base/fail.h"

#define SOCKS5_NAME_MAX_B 255
#define SOCKS5_ANSWER_MAX_B 262 /* version, reply, reserved, type, length, name, port */
#define SOCKS5_SECRET_SIZE_B 17 /* text of a user's name or password, with its end */
#define SOCKS5_HELLO_MAX_B 1024

enum socks5_result { SOCKS5_MORE, SOCKS5_OPEN, SOCKS5_FAILED };
struct socks5 {
    enum { SOCKS5_METHOD, SOCKS5_AUTH, SOCKS5_REPLY } stage;
    char name[SOCKS5_NAME_MAX_B + 1];
    uint16_t port;
    char user[SOCKS5_SECRET_SIZE_B], password[SOCKS5_SECRET_SIZE_B]; /* user empty: none is offered */
    uint8_t answer[SOCKS5_ANSWER_MAX_B];
    uint32_t answer_b;
};

/* name: at most SOCKS5_NAME_MAX_B. Connections with other credentials take other ways through Tor. */
bool socks5_init(struct socks5 *s, const char *name, uint16_t port, const char *user, const char *password) MUST_USE;
void socks5_hello(const struct socks5 *s, struct buf *out);
/* Takes bytes of the proxy; what comes after SOCKS5_OPEN is the destination's. out: what to send. FAIL_PROTOCOL. */
enum socks5_result socks5_feed(struct socks5 *s, struct span bytes, size_t *taken_b, struct buf *out, struct fail *why);

#endif
