/* blockchain.h - what the node tells the calls that wait for the chain (waitfornewblock and so on).
 * Thread: loop. */
#ifndef COIN_RPC_BLOCKCHAIN_H
#define COIN_RPC_BLOCKCHAIN_H

#include "coin/rpc/rpc.h"

void rpc_blockchain_on_tip(struct rpc_ctx *ctx);
void rpc_blockchain_on_tick(struct rpc_ctx *ctx); /* about ten times a second: timeouts */
void rpc_blockchain_on_stop(struct rpc_ctx *ctx); /* whoever waits is answered, scans are aborted */

#endif
