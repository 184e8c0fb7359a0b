/* tor_control.h - talks to Tor's control port until an onion service forwards to us (Tor's control-spec).
 * A pure byte machine: replies in, commands out. Lines end in CRLF; one reply is answered before the next command.
 *
 *   PROTOCOLINFO -> AUTHENTICATE, or AUTHCHALLENGE -> AUTHENTICATE -> GETINFO net/listeners/socks, then ADD_ONION
 *
 * Thread: the owner of the struct. Bounded: a line by TOR_LINE_MAX_B; what is not understood is skipped. */
#ifndef COIN_P2P_TOR_CONTROL_H
#define COIN_P2P_TOR_CONTROL_H

#include "coin/base/bytes.h"
#include "coin/base/file.h"
#include "coin/p2p/netaddr.h"

#define TOR_LINE_MAX_B 4096u
#define TOR_COOKIE_SIZE_B 32
#define TOR_NONCE_SIZE_B 32
#define TOR_KEY_SIZE_B 128 /* "ED25519-V3:" and 88 characters of base64, with the zero */
#define TOR_PASSWORD_MAX_B 256

enum tor_state { TOR_ASKED_METHODS, TOR_WANTS_COOKIE, TOR_CHALLENGED, TOR_AUTHENTICATING, TOR_ASKED_PROXY, TOR_WANTS_TARGET, TOR_ADDING, TOR_SERVING };
enum tor_result {
    TOR_MORE,   /* all bytes were taken */
    TOR_COOKIE, /* cookie_path is to be read and given to tor_control_cookie */
    TOR_PROXY,  /* proxy is Tor's SOCKS port; tor_control_add makes the service; bytes may be left */
    TOR_THERE,  /* service is our address; key its secret */
    TOR_FAILED  /* why: it refused, or says what nobody understands */
};
struct tor_control {
    enum tor_state state;
    char password[TOR_PASSWORD_MAX_B];
    char key[TOR_KEY_SIZE_B]; /* as Tor writes it; "": a new one is made */
    uint16_t port;            /* of the service */
    struct net_addr proxy, service;
    char cookie_path[PATH_SIZE_B];
    uint8_t cookie[TOR_COOKIE_SIZE_B], nonce[TOR_NONCE_SIZE_B];
    bool by_nothing, by_password, by_cookie, by_safe_cookie;
    char line[TOR_LINE_MAX_B + 1];
    uint32_t line_b;
    uint8_t answer[32]; /* to the challenge */
    bool has_answer;
};
/* password, key: may be ""; false: one is too long. nonce: fresh chance. The first command goes to out. */
bool tor_control_begin(struct tor_control *t, const char *password, const char *key, uint16_t port,
    const uint8_t nonce[TOR_NONCE_SIZE_B], struct buf *out, struct fail *why) MUST_USE;
enum tor_result tor_control_feed(struct tor_control *t, struct span bytes, size_t *taken, struct buf *out, struct fail *why);
void tor_control_cookie(struct tor_control *t, const uint8_t cookie[TOR_COOKIE_SIZE_B], struct buf *out);
void tor_control_add(struct tor_control *t, const struct net_addr *target, struct buf *out); /* where it forwards to */
void tor_control_wipe(struct tor_control *t);

#endif
