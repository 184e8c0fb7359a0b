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
#include "values.h"

#define MIB (INT64_C(1) << 20)
#define PRUNE_MIN_MIB 550 /* Bitcoin: MIN_DISK_SPACE_FOR_BLOCK_FILES; 288 full blocks with their undo data */
#define MEGABYTE INT64_C(1000000)
#define DBCACHE_MIN_MIB 4
#define DBCACHE_MAX_MIB 65536
#define MINE_THREADS_MAX 1024
#define FALLBACK_SAT_KVB 1000 /* our own chains: a young chain has no fee history to learn from */

static bool read_ledger(struct setup *s, const struct config *config, struct fail *why);
static bool read_prune(struct ledger_options *o, const struct config *config, struct fail *why);
static bool read_indexes(struct ledger_options *o, const struct config *config, struct fail *why);
static bool read_assumptions(struct setup *s, const struct config *config, struct fail *why);
static bool read_mempool(struct setup *s, const struct config *config, const struct chain *chain,
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
           read_mempool(setup, config, chain, why) && setup_p2p(setup, config, chain, why) &&
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
    if (!value_number(&dbcache, config, "dbcache", 450, DBCACHE_MIN_MIB, DBCACHE_MAX_MIB, why) ||
        !value_number(&par, config, "par", 0, -1024, 1024, why) ||
        !value_number(&age, config, "maxtipage", 24 * 60 * 60, 1, INT32_MAX, why) ||
        !value_number(&check_blocks, config, "checkblocks", 6, 0, INT32_MAX, why) ||
        !value_number(&check_level, config, "checklevel", 1, 0, 4, why) ||
        !value_number(&stop_at, config, "stopatheight", 0, 0, INT32_MAX, why) || !read_prune(o, config, why) ||
        !read_indexes(o, config, why))
        return false;
    value_list(s->load_files, config, "loadblock");
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
    if (!value_number(&mib, config, "prune", 0, INT64_MIN, INT64_MAX / MIB, why))
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
    if (!value_number(&par, config, "par", 0, -1024, 1024, &ignored))
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
    if (!value_number(&limit, config, "maxmempool", 300, 1, 1 << 20, why) ||
        !value_number(&expiry, config, "mempoolexpiry", 336, 1, 1 << 20, why) ||
        !value_number(&carrier, config, "datacarriersize", 100000, 0, 4000000, why) ||
        !value_number(&sigop, config, "bytespersigop", 20, 1, 10000, why) ||
        !value_number(&cluster_count, config, "limitclustercount", CLUSTER_COUNT_MAX, 1, CLUSTER_COUNT_MAX,
            why) ||
        !value_number(&cluster_kvb, config, "limitclustersize", CLUSTER_SIZE_MAX_VB / 1000, 1,
            CLUSTER_SIZE_MAX_VB / 1000, why) ||
        !value_number(&weight, config, "blockmaxweight", chain->block_weight_max_wu, 4000,
            chain->block_weight_max_wu, why) ||
        !value_number(&version, config, "blockversion", 0, INT32_MIN, INT32_MAX, why) ||
        !value_number(&reserved, config, "blockreservedweight", 8000, 2000, chain->block_weight_max_wu, why) ||
        !value_fee_rate(&o->min_relay_sat_kvb, config, "minrelaytxfee", 100, why) ||
        !value_fee_rate(&o->incremental_sat_kvb, config, "incrementalrelayfee", 100, why) ||
        !value_fee_rate(&o->dust_relay_sat_kvb, config, "dustrelayfee", 3000, why) ||
        !value_fee_rate(&s->template.min_fee_sat_kvb, config, "blockmintxfee", 1, why))
        return false;
    o->limit_b = (size_t)(limit * MEGABYTE);
    o->expiry_s = expiry * 60 * 60;
    o->datacarrier_size_b = value_flag(config, "datacarrier", true) ? (uint32_t)carrier : 0;
    o->permit_bare_multisig = value_flag(config, "permitbaremultisig", true);
    o->require_standard = !value_flag(config, "acceptnonstdtxn", !chain->require_standard);
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

static bool read_wallets(struct setup *s, const struct config *config, const struct chain *chain,
    struct fail *why)
{
    struct wallets_options *o = &s->wallets;
    int64_t keypool;
    const char *dir = config_text(config, "walletdir");
    const char *settings = config_text(config, "settings");
    if (!value_number(&keypool, config, "keypool", 1000, 1, 100000, why) ||
        !value_fee_rate(&o->fallback_sat_kvb, config, "fallbackfee",
            chain->is_bitcoin ? 0 : FALLBACK_SAT_KVB, why) ||
        !value_fee_rate(&o->discard_sat_kvb, config, "discardfee", 10000, why) ||
        !value_fee_rate(&o->max_fee_sat, config, "maxtxfee", COIN_SAT / 10, why))
        return false;
    if (dir != NULL && *dir != 0)
        snprintf(s->wallet_dir, sizeof s->wallet_dir, "%s", dir);
    else if (!path_join(s->wallet_dir, s->datadir, "wallets", why))
        return false;
    if (!path_join(s->settings_path, s->datadir,
            settings != NULL && *settings != 0 ? settings : "settings.json", why))
        return false;
    value_list(s->wallets_load, config, "wallet");
    o->dir = s->wallet_dir;
    o->settings_path = s->settings_path;
    o->load = s->wallets_load;
    o->autowallet =
        value_flag(config, "autowallet", !chain->is_bitcoin && !config_is_set(config, "wallet"));
    o->keypool = (uint32_t)keypool;
    o->spend_zero_conf_change = value_flag(config, "spendzeroconfchange", true);
    o->broadcast = value_flag(config, "walletbroadcast", true);
    return true;
}

static bool read_mining(struct setup *s, const struct config *config, const struct chain *chain,
    struct fail *why)
{
    s->mine_threads = setup_mine_threads(config);
    int64_t threads;
    const char *mine = config_text(config, "mine");
    if (mine != NULL && *mine != 0 && !value_number(&threads, config, "mine", 0, 0, MINE_THREADS_MAX, why))
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
    if (*mine != 0 && value_number(&threads, config, "mine", 0, 1, MINE_THREADS_MAX, &ignored))
        return (uint32_t)threads;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (uint32_t)cores : 1;
}
