/* Turns options into the structs that the layers take. Every range is checked here, so that no layer below
 * meets a number that a user mistyped. */

#include "setup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "coin/base/json.h"
#include "coin/base/mem.h"
#include "coin/script/address.h"

#define MIB (INT64_C(1) << 20)
#define PRUNE_MIN_MIB 550 /* Bitcoin: MIN_DISK_SPACE_FOR_BLOCK_FILES; 288 full blocks with their undo data */
#define MEGABYTE INT64_C(1000000)
#define DBCACHE_MIN_MIB 4
#define DBCACHE_MAX_MIB 65536
#define MINE_THREADS_MAX 1024
#define CONNECTIONS_LIMIT 10000
#define FALLBACK_SAT_KVB 1000 /* our own chains: a young chain has no fee history to learn from */

static bool number(int64_t *out, const struct config *config, const char *name, int64_t otherwise,
    int64_t min, int64_t max, struct fail *why);
static bool fee_rate(int64_t *out, const struct config *config, const char *name, int64_t otherwise,
    struct fail *why);
static void list(const char *out[SETUP_LIST_MAX + 1], const struct config *config, const char *name);
static bool flag_or(const struct config *config, const char *name, bool otherwise);
static bool read_ledger(struct setup *s, const struct config *config, struct fail *why);
static bool read_prune(struct ledger_options *o, const struct config *config, struct fail *why);
static bool read_indexes(struct ledger_options *o, const struct config *config, struct fail *why);
static bool read_assumptions(struct setup *s, const struct config *config, struct fail *why);
static bool read_mempool(struct setup *s, const struct config *config, const struct chain *chain,
    struct fail *why);
static bool read_p2p(struct setup *s, const struct config *config, const struct chain *chain,
    struct fail *why);
static bool make_user_agent(struct setup *s, const struct config *config, const struct chain *chain,
    struct fail *why);
static bool read_wallets(struct setup *s, const struct config *config, const struct chain *chain,
    struct fail *why);
static bool read_mining(struct setup *s, const struct config *config, const struct chain *chain,
    struct fail *why);

bool setup_read(struct setup *setup, const struct config *config, const struct chain *chain,
    const char *datadir, struct fail *why)
{
    memset(setup, 0, sizeof *setup);
    buf_init(&setup->mine_script, SCRIPT_SIZE_MAX_B);
    snprintf(setup->datadir, sizeof setup->datadir, "%s", datadir);
    return read_ledger(setup, config, why) && read_assumptions(setup, config, why) &&
           read_mempool(setup, config, chain, why) && read_p2p(setup, config, chain, why) &&
           read_wallets(setup, config, chain, why) && read_mining(setup, config, chain, why);
}

void setup_clear(struct setup *setup)
{
    buf_clear(&setup->mine_script);
}

static bool read_ledger(struct setup *s, const struct config *config, struct fail *why)
{
    struct ledger_options *o = &s->ledger;
    int64_t dbcache, par, age, check_blocks, check_level, stop_at;
    if (!number(&dbcache, config, "dbcache", 450, DBCACHE_MIN_MIB, DBCACHE_MAX_MIB, why) ||
        !number(&par, config, "par", 0, -1024, 1024, why) ||
        !number(&age, config, "maxtipage", 24 * 60 * 60, 1, INT32_MAX, why) ||
        !number(&check_blocks, config, "checkblocks", 6, 0, INT32_MAX, why) ||
        !number(&check_level, config, "checklevel", 1, 0, 4, why) ||
        !number(&stop_at, config, "stopatheight", 0, 0, INT32_MAX, why) || !read_prune(o, config, why) ||
        !read_indexes(o, config, why))
        return false;
    list(s->load_files, config, "loadblock");
    o->load_files = s->load_files;
    o->dir = s->datadir;
    o->blocks_dir = config_text(config, "blocksdir");
    o->dbcache_b = (size_t)(dbcache * MIB);
    o->workers = setup_workers(config);
    o->xor_blocks = config_flag(config, "blocksxor");
    o->fastprune = config_flag(config, "fastprune");
    o->tip_age_max_s = age;
    o->check_blocks = check_blocks == 0 ? INT32_MAX : (int32_t)check_blocks;
    o->check_level = (int32_t)check_level;
    o->stop_at_height = (int32_t)stop_at;
    o->reindex = config_flag(config, "reindex");
    o->reindex_chainstate = config_flag(config, "reindex-chainstate");
    return true;
}

static bool read_indexes(struct ledger_options *o, const struct config *config, struct fail *why)
{
    const char *filters = config_text(config, "blockfilterindex");
    bool basic = strcmp(filters, "basic") == 0 || strcmp(filters, "1") == 0 || *filters == 0;
    if (!basic && strcmp(filters, "0") != 0)
        return fail_request(why, 0, "Unknown -blockfilterindex value %s.", filters);
    o->indexes = (config_flag(config, "txindex") ? 1u << INDEX_TX : 0u) |
                 (config_flag(config, "txospenderindex") ? 1u << INDEX_SPENDER : 0u) |
                 (basic ? 1u << INDEX_FILTER : 0u) |
                 (config_flag(config, "coinstatsindex") ? 1u << INDEX_STATS : 0u);
    if (config_flag(config, "peerblockfilters") && !basic)
        return fail_request(why, 0, "Cannot set -peerblockfilters without -blockfilterindex.");
    return true;
}

static bool read_prune(struct ledger_options *o, const struct config *config, struct fail *why)
{
    int64_t mib;
    if (!number(&mib, config, "prune", 0, INT64_MIN, INT64_MAX / MIB, why))
        return false;
    if (mib < 0)
        return fail_request(why, 0, "Prune cannot be configured with a negative value.");
    if (mib > 1 && mib < PRUNE_MIN_MIB)
        return fail_request(why, 0,
            "Prune configured below the minimum of %d MiB.  Please use a higher number.", PRUNE_MIN_MIB);
    if (mib > 0 && config_flag(config, "reindex-chainstate"))
        return fail_request(why, 0,
            "Prune mode is incompatible with -reindex-chainstate. Use full -reindex instead.");
    o->prune_target_b = mib == 1 ? PRUNE_MANUAL : (uint64_t)(mib * MIB);
    return true;
}

uint32_t setup_workers(const struct config *config)
{
    struct fail ignored;
    int64_t par = 0;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (!number(&par, config, "par", 0, -1024, 1024, &ignored))
        par = 0;                              /* setup_read reports it */
    int64_t workers = par > 0 ? par : (int64_t)cores + par; /* -par=-1 leaves one core free */
    return workers < 1 ? 1 : (uint32_t)workers;
}

static bool read_assumptions(struct setup *s, const struct config *config, struct fail *why)
{
    struct ledger_options *o = &s->ledger;
    const char *assumed = config_text(config, "assumevalid");
    if (assumed != NULL && config_is_set(config, "assumevalid")) {
        o->has_assumed_valid = true;
        if (strcmp(assumed, "0") != 0 && !hash_from_hex(o->assumed_valid.b, span_text(assumed)))
            return fail_request(why, 0,
                "Invalid assumevalid block hash specified (%s), must be up to 64 hex digits (or 0 to disable)",
                assumed);
    }
    const char *work = config_text(config, "minimumchainwork");
    if (work != NULL && config_is_set(config, "minimumchainwork")) {
        struct span digits = span_text(work);
        if (digits.size_b > 2 && work[0] == '0' && work[1] == 'x')
            digits = span_text(work + 2);
        if (!u256_from_hex(&s->minimum_chain_work, digits))
            return fail_request(
                why, 0, "Invalid minimum work specified (%s), must be up to 64 hex digits", work);
        o->minimum_chain_work = &s->minimum_chain_work;
    }
    return true;
}

static bool read_mempool(struct setup *s, const struct config *config, const struct chain *chain,
    struct fail *why)
{
    struct mempool_options *o = &s->mempool;
    int64_t limit, expiry, carrier, sigop, cluster_count, cluster_kvb, weight, reserved, version;
    if (!number(&limit, config, "maxmempool", 300, 1, 1 << 20, why) ||
        !number(&expiry, config, "mempoolexpiry", 336, 1, 1 << 20, why) ||
        !number(&carrier, config, "datacarriersize", 100000, 0, 4000000, why) ||
        !number(&sigop, config, "bytespersigop", 20, 1, 10000, why) ||
        !number(&cluster_count, config, "limitclustercount", CLUSTER_COUNT_MAX, 1, CLUSTER_COUNT_MAX,
            why) ||
        !number(&cluster_kvb, config, "limitclustersize", CLUSTER_SIZE_MAX_VB / 1000, 1,
            CLUSTER_SIZE_MAX_VB / 1000, why) ||
        !number(&weight, config, "blockmaxweight", chain->block_weight_max_wu, 4000,
            chain->block_weight_max_wu, why) ||
        !number(&version, config, "blockversion", 0, INT32_MIN, INT32_MAX, why) ||
        !number(&reserved, config, "blockreservedweight", 8000, 2000, chain->block_weight_max_wu, why) ||
        !fee_rate(&o->min_relay_sat_kvb, config, "minrelaytxfee", 100, why) ||
        !fee_rate(&o->incremental_sat_kvb, config, "incrementalrelayfee", 100, why) ||
        !fee_rate(&o->dust_relay_sat_kvb, config, "dustrelayfee", 3000, why) ||
        !fee_rate(&s->template.min_fee_sat_kvb, config, "blockmintxfee", 1, why))
        return false;
    o->limit_b = (size_t)(limit * MEGABYTE);
    o->expiry_s = expiry * 60 * 60;
    o->datacarrier_size_b = flag_or(config, "datacarrier", true) ? (uint32_t)carrier : 0;
    o->permit_bare_multisig = flag_or(config, "permitbaremultisig", true);
    o->require_standard = !flag_or(config, "acceptnonstdtxn", !chain->require_standard);
    o->bytes_per_sigop = (uint32_t)sigop;
    o->cluster_count_max = (uint32_t)cluster_count;
    o->cluster_size_max_vb = (uint32_t)cluster_kvb * 1000;
    s->template.weight_max_wu = (uint32_t)weight;
    s->template.reserved_wu = (uint32_t)reserved;
    s->template.has_version = chain_is_for_tests(chain) && config_text(config, "blockversion") != NULL;
    s->template.version = (int32_t)version;
    s->template.reserved_sigops = 400; /* as the reference node keeps for a pool's coinbase */
    return true;
}

static bool read_p2p(struct setup *s, const struct config *config, const struct chain *chain,
    struct fail *why)
{
    struct p2p_options *o = &s->p2p;
    int64_t port, connections, timeout, ban;
    if (!number(&port, config, "port", chain->p2p_port, 1, 65535, why) ||
        !number(&connections, config, "maxconnections", 125, 0, CONNECTIONS_LIMIT, why) ||
        !number(&timeout, config, "peertimeout", 60, 1, INT32_MAX, why) ||
        !number(&ban, config, "bantime", 86400, 1, INT32_MAX, why) ||
        !make_user_agent(s, config, chain, why))
        return false;
    list(s->add_nodes, config, "addnode");
    list(s->connect, config, "connect");
    list(s->seed_nodes, config, "seednode");
    list(s->whitelist, config, "whitelist");
    bool connect_only = config_is_set(config, "connect");
    o->dir = s->datadir;
    o->user_agent = s->user_agent;
    o->listen_port = flag_or(config, "listen", true) ? (uint16_t)port : 0;
    o->connections_max = (uint32_t)connections;
    o->discover = flag_or(config, "discover", true);
    o->dns_seed = flag_or(config, "dnsseed", !connect_only);
    o->fixed_seeds = flag_or(config, "fixedseeds", !connect_only);
    o->lan_discovery = flag_or(config, "landiscovery", chain->lan_discovery && !connect_only);
    o->blocks_only = flag_or(config, "blocksonly", false);
    o->v2_transport = flag_or(config, "v2transport", true);
    o->block_filters = config_flag(config, "peerblockfilters");
    o->connect_only = connect_only;
    o->peer_timeout_s = (uint32_t)timeout;
    o->ban_time_s = (uint32_t)ban;
    o->add_nodes = s->add_nodes;
    o->connect = s->connect;
    o->seed_nodes = s->seed_nodes;
    o->whitelist = s->whitelist;
    return true;
}

/* BIP14. Bitcoin's chains are told Bitcoin's version first: clients gate features on that prefix. */
static bool make_user_agent(struct setup *s, const struct config *config, const struct chain *chain,
    struct fail *why)
{
    char comments[128] = "";
    size_t used = 0;
    const char *comment;
    for (uint32_t i = 0; (comment = config_list(config, "uacomment", i)) != NULL; i++) {
        if (comment[strspn(comment, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,;-_?@")] != 0)
            return fail_request(
                why, 0, "User Agent comment (%s) contains unsafe characters.", comment);
        size_t room = sizeof comments - used;
        int n = snprintf(comments + used, room, "%s%s", used == 0 ? "(" : "; ", comment);
        if (n < 0 || (size_t)n + 2 > room)
            return fail_request(why, 0,
                "Total length of network version string exceeds maximum length. Reduce the number or size "
                "of uacomments.");
        used += (size_t)n;
    }
    if (used > 0)
        snprintf(comments + used, sizeof comments - used, ")");
    snprintf(s->user_agent, sizeof s->user_agent, "%s/coind:" COIN_VERSION "%s/",
        chain->is_bitcoin ? "/Satoshi:31.0.0" : "", comments);
    return true;
}

static bool read_wallets(struct setup *s, const struct config *config, const struct chain *chain,
    struct fail *why)
{
    struct wallets_options *o = &s->wallets;
    int64_t keypool;
    const char *dir = config_text(config, "walletdir");
    const char *settings = config_text(config, "settings");
    if (!number(&keypool, config, "keypool", 1000, 1, 100000, why) ||
        !fee_rate(&o->fallback_sat_kvb, config, "fallbackfee",
            chain->is_bitcoin ? 0 : FALLBACK_SAT_KVB, why) ||
        !fee_rate(&o->discard_sat_kvb, config, "discardfee", 10000, why) ||
        !fee_rate(&o->max_fee_sat, config, "maxtxfee", COIN_SAT / 10, why))
        return false;
    if (dir != NULL && *dir != 0)
        snprintf(s->wallet_dir, sizeof s->wallet_dir, "%s", dir);
    else if (!path_join(s->wallet_dir, s->datadir, "wallets", why))
        return false;
    if (!path_join(s->settings_path, s->datadir,
            settings != NULL && *settings != 0 ? settings : "settings.json", why))
        return false;
    list(s->wallets_load, config, "wallet");
    o->dir = s->wallet_dir;
    o->settings_path = s->settings_path;
    o->load = s->wallets_load;
    o->autowallet =
        flag_or(config, "autowallet", !chain->is_bitcoin && !config_is_set(config, "wallet"));
    o->keypool = (uint32_t)keypool;
    o->spend_zero_conf_change = flag_or(config, "spendzeroconfchange", true);
    o->broadcast = flag_or(config, "walletbroadcast", true);
    return true;
}

static bool read_mining(struct setup *s, const struct config *config, const struct chain *chain,
    struct fail *why)
{
    s->mine_threads = setup_mine_threads(config);
    int64_t threads;
    const char *mine = config_text(config, "mine");
    if (mine != NULL && *mine != 0 && !number(&threads, config, "mine", 0, 0, MINE_THREADS_MAX, why))
        return false;
    const char *address = config_text(config, "mineaddress");
    if (address != NULL && *address != 0 &&
        !address_to_script(&s->mine_script, chain, span_text(address), why))
        return fail_prefix(why, "-mineaddress=%s: ", address);
    return true;
}

uint32_t setup_mine_threads(const struct config *config)
{
    struct fail ignored;
    int64_t threads = 0;
    const char *mine = config_text(config, "mine");
    if (mine == NULL || strcmp(mine, "0") == 0)
        return 0;
    if (*mine != 0 && number(&threads, config, "mine", 0, 1, MINE_THREADS_MAX, &ignored))
        return (uint32_t)threads;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (uint32_t)cores : 1;
}

static bool number(int64_t *out, const struct config *config, const char *name, int64_t otherwise,
    int64_t min, int64_t max, struct fail *why)
{
    *out = otherwise;
    const char *text = config_text(config, name);
    if (text == NULL || !config_is_set(config, name))
        return true;
    if (!decimal_parse(out, span_text(text), 0))
        return fail_request(why, 0, "-%s=%s is not a whole number", name, text);
    if (*out < min || *out > max)
        return fail_request(why, 0, "-%s=%s is out of range: it must be from %" PRId64 " to %" PRId64,
            name, text, min, max);
    return true;
}

static bool fee_rate(int64_t *out, const struct config *config, const char *name, int64_t otherwise,
    struct fail *why)
{
    *out = otherwise;
    const char *text = config_text(config, name);
    if (text == NULL || !config_is_set(config, name))
        return true;
    if (!decimal_parse(out, span_text(text), 8) || *out < 0)
        return fail_request(why, 0, "Invalid amount for -%s=<amount>: '%s'", name, text);
    return true;
}

static bool flag_or(const struct config *config, const char *name, bool otherwise)
{
    return config_is_set(config, name) ? config_flag(config, name) : otherwise;
}

static void list(const char *out[SETUP_LIST_MAX + 1], const struct config *config, const char *name)
{
    uint32_t n = 0;
    const char *value;
    while (n < SETUP_LIST_MAX && (value = config_list(config, name, n)) != NULL)
        out[n++] = value;
    out[n] = NULL;
}
