/* What the person who runs the node should know, in the "warnings" of several calls. */

#include "chain_calls.h"
#include "coin/mine/miner.h"
#include "coin/p2p/p2p.h"
#include "coin/wallet/wallet.h"

void rpc_show_warnings(struct json_writer *w, const struct rpc_ctx *ctx)
{
    jw_key(w, "warnings");
    jw_array(w);
    if (miner_is_running(ctx->miner) && !p2p_has_agreed(ctx->p2p))
        jw_text(w, "This node mines alone: no peer has agreed with its chain yet, and a longer chain would replace "
                   "its blocks and their coins.");
    if (p2p_clock_is_off(ctx->p2p))
        jw_text(w, "This computer's clock seems to be wrong: it differs from those of most peers (timeoffset in "
                   "getnetworkinfo). Set it right, or good blocks may be refused.");
    if (ctx->wallets != NULL && wallets_summary(ctx->wallets).unprotected)
        jw_text(w, "A wallet holds coins and was never backed up: write down its recovery words (getwalletwords).");
    jw_end_array(w);
}
