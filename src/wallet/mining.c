/* Where mined coins go: a receive address labelled "mining". One that was handed out and never paid is taken
 * again, so that starting a miner often uses up no addresses. */

#include "internal.h"

#define MINING_LABEL "mining"

void wallets_mining_script(struct wallets *all, void (*done)(void *ctx, struct span script, const struct fail *why),
    void *ctx)
{
    static const struct fail none = {.kind = FAIL_NONE};
    struct span empty = {NULL, 0};
    struct fail why;
    bool has_label;
    if (all->count == 0) {
        fail_request(&why, -18, "there is no wallet to pay to; create one with coin-cli createwallet NAME, or give "
                                "-mineaddress=ADDRESS");
        done(ctx, empty, &why);
        return;
    }
    struct wallet *wallet = all->loaded[0];
    int32_t branch = addresses_branch(wallet, WALLET_BIP84, false);
    if (branch >= 0 && wallet->branches[branch].next > 0) {
        struct span last = script_key_span(&wallet->branches[branch].scripts[wallet->branches[branch].next - 1]);
        struct script_key key;
        const struct script_home *home = script_key_of(&key, last) ? table_find(&wallet->scripts, &key) : NULL;
        if (home != NULL && !home->used && span_is(wallet_label(wallet, last, &has_label), MINING_LABEL)) {
            done(ctx, last, &none);
            return;
        }
    }
    wallet_new_address(wallet, WALLET_BIP84, false, span_text(MINING_LABEL), (struct wallet_address_done){done, ctx});
}
