/* All groups of calls, in the order of `help`. */

#include "coin/rpc/groups.h"

const struct rpc_group rpc_groups[] = {
    {"Blockchain", rpc_blockchain_methods},
    {"Control", rpc_control_methods},
    {"Indexes", rpc_index_methods},
    {"Mempool", rpc_mempool_methods},
    {"Mining", rpc_mining_methods},
    {"Network", rpc_net_methods},
    {"Rawtransactions", rpc_rawtransaction_methods},
    {"Snapshots", rpc_snapshot_methods},
    {"Storage", rpc_storage_methods},
    {"Util", rpc_util_methods},
    {"Wallet", rpc_wallet_methods},
    {"Wallet money", rpc_wallet_money_methods},
    {NULL, NULL},
};
