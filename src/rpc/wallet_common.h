/* wallet_common.h - what the wallet's groups of calls share. Thread: loop. */
#ifndef COIN_RPC_WALLET_COMMON_H
#define COIN_RPC_WALLET_COMMON_H

#include "coin/ledger/ledger.h"
#include "coin/rpc/rpc.h"
#include "coin/wallet/wallet.h"

/* The wallet that the call is for: /wallet/<name>, or the only one. Answers -18 / -19 itself and gives NULL. */
struct wallet *wallet_of_call(struct rpc_call *call);
/* {"hash", "height"} under "lastprocessedblock". */
void wallet_show_last_block(struct json_writer *w, const struct wallet *wallet);
/* The fields that listtransactions, gettransaction and listsinceblock share, from "confirmations" to
 * "bip125-replaceable". */
void wallet_show_tx_fields(struct json_writer *w, struct rpc_call *call, const struct wallet *wallet,
    const struct wallet_tx *wtx);
/* The rows ("send", "receive", ...) of one transaction, each an object of an array that is open. label: only
 * this one, or data NULL for all. with_tx: the shared fields too. */
void wallet_show_tx_rows(struct json_writer *w, struct rpc_call *call, const struct wallet *wallet,
    const struct wallet_tx *wtx, struct span label, bool with_tx);
/* A done for calls that only wait: answers null, or the failure. ctx: the call. */
void wallet_answer_null(void *ctx, const struct fail *why);
/* address argument i as a script, appended; -5. */
bool wallet_arg_address(struct buf *script, struct rpc_call *call, uint32_t i, struct fail *why) MUST_USE;
void wallet_show_address(struct json_writer *w, const struct chain *chain, struct span script);
/* "desc" of a descriptor of the wallet, in an array under "parent_descs". */
void wallet_show_parent_descs(struct json_writer *w, const struct wallet *wallet, struct span script);

#endif
