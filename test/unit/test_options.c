/* Proves that the option tables are sound, and that every option that software passes to Bitcoin's node is
 * accepted here. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "coin/node/options.h"
#include "unit.h"

static const char *const expected[] = {
    "-datadir=/x", "-conf=c", "-blocksdir=/x", "-walletdir=/x", "-settings=s", "-chain=regtest", "-regtest", "-test=bip94",
    "-server", "-daemon=0", "-disablewallet", "-wallet=w", "-addresstype=bech32m", "-changetype=bech32", "-keypool=10",
    "-fallbackfee=0.0002", "-mintxfee=0.00001", "-discardfee=0.0001", "-maxtxfee=0.1", "-maxapsfee=0", "-avoidpartialspends",
    "-spendzeroconfchange=0", "-walletrbf=1", "-walletbroadcast=0", "-walletnotify=x", "-walletrejectlongchains=0", "-par=2",
    "-dbcache=4", "-dbbatchsize=1000", "-prune=550", "-fastprune", "-txindex", "-txospenderindex", "-blockfilterindex=basic",
    "-coinstatsindex", "-peerblockfilters", "-reindex", "-reindex-chainstate", "-loadblock=f", "-checkblocks=6",
    "-checklevel=3", "-stopatheight=5", "-assumevalid=0", "-minimumchainwork=00", "-maxtipage=1", "-blocksxor=0",
    "-persistmempool=0", "-maxmempool=5", "-mempoolexpiry=1", "-acceptnonstdtxn", "-minrelaytxfee=0.00001",
    "-incrementalrelayfee=0.00001", "-dustrelayfee=0.00003", "-datacarrier=0", "-datacarriersize=83", "-bytespersigop=20",
    "-permitbaremultisig=0", "-limitclustercount=10", "-limitclustersize=10", "-limitancestorcount=25",
    "-blockmaxweight=4000", "-blockmintxfee=0.00001", "-blockreservedweight=2000", "-blockversion=4", "-printpriority",
    "-testactivationheight=segwit@1", "-vbparams=testdummy:0:999", "-signetchallenge=51", "-mocktime=1", "-deprecatedrpc=x",
    "-port=1", "-bind=127.0.0.1", "-whitebind=127.0.0.1", "-whitelist=127.0.0.1", "-whitelistrelay=0",
    "-whitelistforcerelay=1", "-listen=0", "-listenonion=0", "-connect=0", "-addnode=a", "-seednode=a", "-dnsseed=0",
    "-forcednsseed=0", "-fixedseeds=0", "-discover=0", "-externalip=1.2.3.4", "-onlynet=ipv4", "-maxconnections=5",
    "-maxuploadtarget=5", "-maxreceivebuffer=1", "-maxsendbuffer=1", "-peertimeout=5", "-timeout=5", "-blocksonly",
    "-networkactive=0", "-bantime=5", "-v2transport=0", "-proxy=a", "-proxyrandomize=0", "-onion=a", "-torcontrol=a",
    "-torpassword=a", "-i2psam=a", "-cjdnsreachable", "-natpmp=0", "-uacomment=a", "-rest", "-rpcport=1", "-rpcbind=a",
    "-rpcallowip=a", "-rpcuser=a", "-rpcpassword=a", "-rpcauth=a:b$c", "-rpccookiefile=f", "-rpccookieperms=owner",
    "-rpcwhitelist=a:b", "-rpcthreads=4", "-rpcworkqueue=16", "-zmqpubhashblock=a", "-zmqpubhashtx=a", "-zmqpubrawblock=a",
    "-zmqpubrawtx=a", "-zmqpubsequence=a", "-blocknotify=a", "-alertnotify=a", "-startupnotify=a", "-shutdownnotify=a",
    "-debug=net", "-debugexclude=net", "-printtoconsole=0", "-debuglogfile=f", "-logips", "-logtimestamps=0", "-pid=f",
    "-mine=2", "-mineaddress=a", "-autowallet=0", "-stratum=a", "-landiscovery=0", "-logformat=json", "-logtimemicros",
    "-logthreadnames", "-logsourcelocations", "-loglevel=debug", "-nologratelimit", "-shrinkdebugfile", "-unsafesqlitesync",
    "-rpcdoccheck", "-rpcservertimeout=5", "-prevoutfetchthreads=1", "-upnp=0", "-checkblockindex=1", "-checkmempool=1",
    "-checkaddrman=1", "-signer=a", "-asmap=a", "-peerbloomfilters", "-privatebroadcast", "-i2pacceptincoming",
    "-capturemessages", "-txreconciliation", "-txsendrate=1", "-inboundrelaypercent=1", "-acceptstalefeeestimates",
    "-allowignoredconf",
};

START_TEST(accepted)
{
    struct fail why;
    char program[] = "coind", option[128];
    snprintf(option, sizeof option, "%s", expected[_i]);
    char *argv[] = {program, option, NULL};
    struct config *config = config_new(node_options);
    ck_assert_msg(config_parse_args(config, 2, argv, &why), "%s: %s", expected[_i], why.detail);
    config_free(config);
}
END_TEST

START_TEST(sound)
{
    const struct option_rule *tables[] = {node_options, cli_options};
    for (int t = 0; t < 2; t++) {
        for (const struct option_rule *a = tables[t]; a->name != NULL; a++) {
            for (const struct option_rule *b = a + 1; b->name != NULL; b++)
                ck_assert_msg(strcmp(a->name, b->name) != 0, "%s stands twice", a->name);
            ck_assert_msg(strncmp(a->name, "no", 2) != 0 || strcmp(a->name, "no") == 0, "%s looks negated", a->name);
            ck_assert_msg((a->where & OPT_NO_EFFECT) != 0 || (a->help != NULL && *a->help != 0), "%s has no help", a->name);
            ck_assert_msg(a->type == OPT_FLAG || (a->where & OPT_NO_EFFECT) != 0 || a->argument != NULL,
                "%s does not say what it takes", a->name);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, accepted, 0, (int)(sizeof expected / sizeof *expected));
    tcase_add_test(tests, sound);
    suite_add_tcase(suite, tests);
    return unit_run(suite);
}
