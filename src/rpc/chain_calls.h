/* chain_calls.h - calls that have a file of their own. Thread: loop. */
#ifndef COIN_RPC_CHAIN_CALLS_H
#define COIN_RPC_CHAIN_CALLS_H

#include "coin/ledger/ledger.h"
#include "coin/rpc/rpc.h"

/* show_block.c */
void rpc_getblock(struct rpc_call *call);
void rpc_getblockheader(struct rpc_call *call);
/* "bits", "target" of a header. */
void rpc_show_bits(struct json_writer *w, uint32_t bits);
double rpc_difficulty(const struct block_index *index);
/* 1 at the tip, -1 off the active chain. */
int32_t rpc_confirmations(const struct ledger *ledger, const struct block_index *index);
/* The block that argument i names; -5 "Block not found". */
struct block_index *rpc_arg_block(const struct rpc_call *call, uint32_t i, struct fail *why);
/* The same, or a height of the active chain. */
struct block_index *rpc_arg_hash_or_height(const struct rpc_call *call, uint32_t i, struct fail *why);
struct block_index *rpc_hash_or_height_value(const struct rpc_call *call, const struct json *v, const char *name,
    struct fail *why);

/* snapshots.c: "backgroundvalidation" of getblockchaininfo, while there is one */
void rpc_show_background(struct json_writer *w, const struct ledger *ledger);

/* tip_wait.c */
void rpc_waitfornewblock(struct rpc_call *call);
void rpc_waitforblock(struct rpc_call *call);
void rpc_waitforblockheight(struct rpc_call *call);
/* null, once what a reorganisation gave back has been judged again. */
void rpc_answer_when_pool_is_idle(struct rpc_call *call);

/* warnings.c: "warnings", an array */
void rpc_show_warnings(struct json_writer *w, const struct rpc_ctx *ctx);

/* deployments.c */
void rpc_getdeploymentinfo(struct rpc_call *call);

/* decodescript.c */
void rpc_decodescript(struct rpc_call *call);

/* scan.c */
void rpc_scantxoutset(struct rpc_call *call);
void rpc_scan_on_stop(struct rpc_ctx *ctx);

/* set_info.c */
void rpc_gettxoutsetinfo(struct rpc_call *call);

/* spenders.c */
void rpc_gettxspendingprevout(struct rpc_call *call);

/* scanblocks.c */
void rpc_scanblocks(struct rpc_call *call);
void rpc_scanblocks_on_stop(struct rpc_ctx *ctx);

/* indexes.c: argument i asks for basic filters, and there are some. */
bool rpc_wants_filters(const struct rpc_call *call, uint32_t i, struct fail *why) MUST_USE;

#endif
