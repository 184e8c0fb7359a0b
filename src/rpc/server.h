/* server.h - what the files of the RPC framework share. Thread: loop. */
#ifndef COIN_RPC_SERVER_H
#define COIN_RPC_SERVER_H

#include "coin/rpc/rpc.h"

const struct rpc_method *rpc_find_method(struct span name);
/* `help NAME`: usage line, summary, arguments, result, example. */
void rpc_help_text(struct buf *out, const struct rpc_method *method);
void rpc_usage_line(struct buf *out, const struct rpc_method *method);
/* -rpcwhitelist: may this user call it? */
bool rpc_user_may(const struct rpc_ctx *ctx, const char *user, struct span method);
/* Calls that are being answered; returns how many. */
uint32_t rpc_server_each_active(struct rpc_server *server,
    void (*each)(void *ctx, const char *method, int64_t since_us), void *ctx);

#endif
