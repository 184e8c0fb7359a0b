/* chain.h - everything that makes a currency, read from one JSON file (genesis/, or -chain=FILE).
 * Owner: the node; immutable once loaded. Thread: any. */
#ifndef COIN_CHAIN_CHAIN_H
#define COIN_CHAIN_CHAIN_H

#include "coin/primitives/block.h"
#include "coin/primitives/u256.h"

#define CHAIN_NAME_SIZE_B 32
#define CHAIN_SEEDS_MAX 32
#define CHAIN_EXCEPTIONS_MAX 8
#define CHAIN_CHECKPOINT_SNAPSHOTS_MAX 8

enum difficulty_kind { DIFFICULTY_NONE, DIFFICULTY_BITCOIN, DIFFICULTY_LWMA, DIFFICULTY_ASERT };

struct chain_difficulty {
    enum difficulty_kind kind;
    uint32_t window;          /* lwma: N blocks; bitcoin: blocks between retargets (2016) */
    bool allow_min_blocks;    /* bitcoin: testnet's 20-minute rule */
    bool bip94;               /* bitcoin: testnet4's timewarp rules */
    int64_t half_life_s;      /* asert */
    int32_t anchor_height;    /* asert */
    uint32_t anchor_bits;     /* asert */
    int64_t anchor_parent_time_s; /* asert */
    uint32_t relief_spacings; /* lwma: the target doubles per this many spacings of waiting; 0: never */
};

/* Buried deployments: rules that count from a height on. */
enum buried { BURIED_BIP34, BURIED_BIP65, BURIED_BIP66, BURIED_CSV, BURIED_SEGWIT, BURIED_TAPROOT, BURIED_COUNT };

enum bip9_limits { BIP9_ALWAYS_ACTIVE = -1, BIP9_NEVER_ACTIVE = -2 };
#define CHAIN_DEPLOYMENTS_MAX 8
struct chain_deployment { /* BIP9 */
    char name[24];
    int32_t bit;
    int64_t start_time_s; /* or BIP9_ALWAYS_ACTIVE / BIP9_NEVER_ACTIVE */
    int64_t timeout_s;
    int32_t min_activation_height;
    int32_t period, threshold;
};

struct chain_exception { /* a block that is checked with fewer script flags (history's accidents) */
    struct block_id id;
    uint32_t flags;
};
struct chain_snapshot {
    int32_t height;
    struct block_id block;
    uint8_t hash_serialized[32];
    uint64_t chain_tx_count;
};

struct chain {
    /* names */
    char name[CHAIN_NAME_SIZE_B];     /* folder and -chain= name: "coin", "regtest", "bitcoin" ... */
    char rpc_name[CHAIN_NAME_SIZE_B]; /* getblockchaininfo.chain: "main" for bitcoin */
    char ticker[16];
    bool is_bitcoin; /* one of Bitcoin's own: its identity on the wire, wallets not made by themselves */

    /* wire */
    uint8_t magic[4];
    uint16_t p2p_port, rpc_port;
    bool lan_discovery;
    uint32_t seed_count;
    char seeds[CHAIN_SEEDS_MAX][64]; /* DNS names */
    uint32_t fixed_seed_count;
    char fixed_seeds[CHAIN_SEEDS_MAX][72]; /* host:port */

    /* addresses */
    uint8_t base58_p2pkh, base58_p2sh, base58_wif;
    uint8_t xpub[4], xprv[4];
    char hrp[16];
    uint32_t bip44_type;
    char message_prefix[64];

    /* genesis */
    struct block *genesis;
    int64_t genesis_reward_sat;

    /* proof of work */
    struct u256 pow_limit;
    uint32_t pow_limit_bits;
    struct chain_difficulty difficulty;
    int64_t spacing_s;
    int64_t future_limit_s;
    struct u256 minimum_chain_work;
    struct block_id assumed_valid; /* zero: none */

    /* money */
    int64_t subsidy_sat;
    int32_t halving_interval;
    int64_t max_money_sat;
    int32_t coinbase_maturity;

    /* size */
    uint32_t block_weight_max_wu;
    uint32_t block_sigop_cost_max;

    /* rules */
    int32_t buried[BURIED_COUNT];    /* first height at which it counts; INT32_MAX: never */
    int32_t bip16_height;            /* P2SH from here on; Bitcoin: 0 with an exception */
    struct block_id bip34_id;        /* zero: none; with it BIP30 look-ups may be skipped above */
    uint32_t exception_count;
    struct chain_exception exceptions[CHAIN_EXCEPTIONS_MAX];
    struct block_id bip30_exceptions[2];
    uint32_t deployment_count;
    struct chain_deployment deployments[CHAIN_DEPLOYMENTS_MAX];
    bool bip54;
    bool require_standard; /* policy: refuse non-standard transactions (regtest: false? see file) */
    struct buf signet_challenge; /* empty: none */
    uint32_t snapshot_count;
    struct chain_snapshot snapshots[CHAIN_CHECKPOINT_SNAPSHOTS_MAX];

    uint8_t rules_hash[32]; /* over all that decides validity; not ports, seeds, assumed_valid */
};

/* name_or_file: a built-in name ("main" is Bitcoin's), or a path that ends in
 * .json. FAIL_REQUEST names the key or the file. */
struct chain *chain_load(const char *name_or_file, struct fail *why) MUST_USE;
struct chain *chain_parse(struct span json, struct fail *why) MUST_USE;
void chain_free(struct chain *chain);

/* Its difficulty never changes, so it guards nothing: regtest. Such chains alone can be bent. */
bool chain_is_for_tests(const struct chain *chain);
/* Their overrides: "segwit@432" (-testactivationheight), "testdummy:start:end[:height]" (-vbparams),
 * "bip94" (-test). FAIL_REQUEST for other chains. */
bool chain_set_test_rule(struct chain *chain, const char *text, struct fail *why) MUST_USE;
bool chain_set_activation_height(struct chain *chain, const char *text, struct fail *why) MUST_USE;
bool chain_set_deployment(struct chain *chain, const char *text, struct fail *why) MUST_USE;
/* BIP325 (-signetchallenge): another signet, with its own magic; forgets what was known of the old. */
bool chain_set_signet_challenge(struct chain *chain, const char *hex, struct fail *why) MUST_USE;

int64_t chain_subsidy_sat(const struct chain *chain, int32_t height);

/* Bitcoin derives time-outs from 600 s; ours follow the spacing: 20 spacings, and so on. */
int64_t chain_scaled_s(const struct chain *chain, int64_t spacings);

/* The keys that a chain file may have, in the order of doc/chains.md; NULL past the end. */
const char *chain_key_name(uint32_t index);

#endif
