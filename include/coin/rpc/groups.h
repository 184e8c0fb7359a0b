/* groups.h - the tables of methods, one per file of src/rpc; methods.c lists them. Thread: any (constant). */
#ifndef COIN_RPC_GROUPS_H
#define COIN_RPC_GROUPS_H

#include "coin/rpc/rpc.h"

extern const struct rpc_method rpc_blockchain_methods[];
extern const struct rpc_method rpc_control_methods[];
extern const struct rpc_method rpc_index_methods[];
extern const struct rpc_method rpc_mempool_methods[];
extern const struct rpc_method rpc_mining_methods[];
extern const struct rpc_method rpc_net_methods[];
extern const struct rpc_method rpc_rawtransaction_methods[];
extern const struct rpc_method rpc_snapshot_methods[];
extern const struct rpc_method rpc_storage_methods[];
extern const struct rpc_method rpc_util_methods[];
extern const struct rpc_method rpc_wallet_methods[];
extern const struct rpc_method rpc_wallet_money_methods[];

#endif
