/* auth.h - who may call: the cookie file, -rpcuser/-rpcpassword, -rpcauth. Thread: loop. */
#ifndef COIN_RPC_AUTH_H
#define COIN_RPC_AUTH_H

#include "coin/base/config.h"
#include "coin/base/env.h"

#define RPC_AUTH_DELAY_MS 250  /* a wrong password is answered this late */
#define RPC_USERS_MAX 256

struct rpc_auth;
/* Writes the cookie (user:password, mode 0600, renamed into place) unless -rpcpassword is set.
 * cookie_path: where. FAIL_REQUEST names a malformed -rpcauth; FAIL_LOCAL. May wait: before the loop. */
struct rpc_auth *rpc_auth_new(const struct config *config, const struct env *env, const char *cookie_path,
    struct fail *why);
void rpc_auth_free(struct rpc_auth *auth); /* removes the cookie */
/* value of the Authorization header. NULL: refused; else the user's name. Constant time per user. */
const char *rpc_auth_check(struct rpc_auth *auth, struct span header);
/* Basic credentials for a client: "Basic ..." */
void rpc_auth_basic(struct buf *out, struct span user_colon_password);

#endif
