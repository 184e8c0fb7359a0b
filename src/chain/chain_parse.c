/* A chain file: one JSON object, read by tables (keys.c), then checked as a whole. A chain that parses
 * can be run: its genesis block is rebuilt and must have the id and the work that the file claims.
 *
 * The rules hash is SHA-256 over every row marked KEY_RULE in table order; a change of that order or of a name
 * is a change of everyone's hash, and a test pins them. */
#include <stdio.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/chain/genesis.h"
#include "keys.h"
#include "parse.h"

#define LWMA_WINDOW_MAX 10000
#define SPACING_MAX_S 86400
#define MONEY_MAX_SAT INT64_C(9007199254740991) /* 2^53 - 1: exact in the doubles of client software */
#define PART_PATH_MAX_B 96
#define BIP9_BIT_MAX 28 /* BIP9: the upper three bits are the marker */
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

#define ROW(name, type, flags, st, field) { name, type, flags, offsetof(struct st, field), sizeof(((struct st *)0)->field), 0, 0, NULL, NULL }
#define ROW_RANGE(name, type, flags, st, field, min, max) { name, type, flags, offsetof(struct st, field), sizeof(((struct st *)0)->field), min, max, NULL, NULL }
#define ROW_PART(name, flags, read, hash) { name, KEY_PART, flags, 0, 0, 0, 0, read, hash }

#define MUST KEY_REQUIRED
#define RULE (KEY_REQUIRED | KEY_RULE)
#define MAY 0u
#define MAY_RULE KEY_RULE

static bool read_genesis(void *base, const struct json *v, const char *path, struct fail *why);
static bool read_difficulty(void *base, const struct json *v, const char *path, struct fail *why);
static bool read_seeds(void *base, const struct json *v, const char *path, struct fail *why);
static bool read_fixed_seeds(void *base, const struct json *v, const char *path, struct fail *why);
static bool read_exceptions(void *base, const struct json *v, const char *path, struct fail *why);
static bool read_bip30(void *base, const struct json *v, const char *path, struct fail *why);
static bool read_deployments(void *base, const struct json *v, const char *path, struct fail *why);
static bool read_snapshots(void *base, const struct json *v, const char *path, struct fail *why);
static void hash_genesis(struct sha256 *s, const void *base);
static void hash_difficulty(struct sha256 *s, const void *base);
static void hash_exceptions(struct sha256 *s, const void *base);
static void hash_bip30(struct sha256 *s, const void *base);
static void hash_deployments(struct sha256 *s, const void *base);

static const struct key chain_rows[] = {
    ROW_RANGE("name", KEY_TEXT, MUST, chain, name, 1, 0),
    ROW_RANGE("rpc_name", KEY_TEXT, MAY, chain, rpc_name, 1, 0),
    ROW_RANGE("ticker", KEY_TEXT, MUST, chain, ticker, 1, 0),
    ROW("bitcoin", KEY_BOOL, MAY, chain, is_bitcoin),
    ROW("magic", KEY_BYTES, MUST, chain, magic),
    ROW_RANGE("p2p_port", KEY_INT, MUST, chain, p2p_port, 1, 65535),
    ROW_RANGE("rpc_port", KEY_INT, MUST, chain, rpc_port, 1, 65535),
    ROW("lan_discovery", KEY_BOOL, MAY, chain, lan_discovery),
    ROW_PART("seeds", MAY, read_seeds, NULL),
    ROW_PART("fixed_seeds", MAY, read_fixed_seeds, NULL),
    ROW_RANGE("base58_p2pkh", KEY_INT, MUST, chain, base58_p2pkh, 0, 255),
    ROW_RANGE("base58_p2sh", KEY_INT, MUST, chain, base58_p2sh, 0, 255),
    ROW_RANGE("base58_wif", KEY_INT, MUST, chain, base58_wif, 0, 255),
    ROW("xpub", KEY_BYTES, MUST, chain, xpub),
    ROW("xprv", KEY_BYTES, MUST, chain, xprv),
    ROW_RANGE("hrp", KEY_TEXT, MUST, chain, hrp, 1, 0),
    ROW_RANGE("bip44_type", KEY_INT, MUST, chain, bip44_type, 0, 0x7fffffff),
    ROW_RANGE("message_prefix", KEY_TEXT, MUST, chain, message_prefix, 1, 0),
    ROW_PART("genesis", RULE, read_genesis, hash_genesis),
    ROW("pow_limit", KEY_U256, RULE, chain, pow_limit),
    ROW_PART("difficulty", RULE, read_difficulty, hash_difficulty),
    ROW_RANGE("spacing_s", KEY_INT, RULE, chain, spacing_s, 1, SPACING_MAX_S),
    ROW_RANGE("future_limit_s", KEY_INT, MUST, chain, future_limit_s, 1, SPACING_MAX_S),
    ROW("minimum_chain_work", KEY_U256, MAY, chain, minimum_chain_work),
    ROW("assumed_valid", KEY_HASH, MAY, chain, assumed_valid),
    ROW_RANGE("subsidy_sat", KEY_INT, RULE, chain, subsidy_sat, 0, MONEY_MAX_SAT),
    ROW_RANGE("halving_interval", KEY_INT, RULE, chain, halving_interval, 1, INT32_MAX),
    ROW_RANGE("max_money_sat", KEY_INT, RULE, chain, max_money_sat, 1, MONEY_MAX_SAT),
    ROW_RANGE("coinbase_maturity", KEY_INT, RULE, chain, coinbase_maturity, 1, 1000000),
    ROW_RANGE("block_weight_max_wu", KEY_INT, RULE, chain, block_weight_max_wu, 4000, BLOCK_SIZE_MAX_B),
    ROW_RANGE("block_sigop_cost_max", KEY_INT, RULE, chain, block_sigop_cost_max, 400, 1000000),
    ROW("bip16_height", KEY_HEIGHT, RULE, chain, bip16_height),
    ROW("bip34_height", KEY_HEIGHT, RULE, chain, buried[BURIED_BIP34]),
    ROW("bip34_id", KEY_HASH, MAY_RULE, chain, bip34_id),
    ROW("bip65_height", KEY_HEIGHT, RULE, chain, buried[BURIED_BIP65]),
    ROW("bip66_height", KEY_HEIGHT, RULE, chain, buried[BURIED_BIP66]),
    ROW("csv_height", KEY_HEIGHT, RULE, chain, buried[BURIED_CSV]),
    ROW("segwit_height", KEY_HEIGHT, RULE, chain, buried[BURIED_SEGWIT]),
    ROW("taproot_height", KEY_HEIGHT, RULE, chain, buried[BURIED_TAPROOT]),
    ROW_PART("exceptions", MAY_RULE, read_exceptions, hash_exceptions),
    ROW_PART("bip30_exceptions", MAY_RULE, read_bip30, hash_bip30),
    ROW_PART("deployments", MAY_RULE, read_deployments, hash_deployments),
    ROW("bip54", KEY_BOOL, MAY_RULE, chain, bip54),
    ROW_RANGE("signet_challenge", KEY_HEX, MAY_RULE, chain, signet_challenge, 0, CHAIN_CHALLENGE_MAX_B),
    ROW("require_standard", KEY_BOOL, MAY, chain, require_standard),
    ROW_PART("snapshots", MAY, read_snapshots, NULL),
    { 0 },
};

struct genesis_text {
    int32_t version;
    uint32_t time_s, bits, nonce;
    char message[GENESIS_MESSAGE_MAX_B + 1];
    int64_t reward_sat;
    struct buf script;
    struct block_id id;
};
static const struct key genesis_rows[] = {
    ROW_RANGE("version", KEY_INT, MUST, genesis_text, version, INT32_MIN, INT32_MAX),
    ROW_RANGE("time", KEY_INT, MUST, genesis_text, time_s, 0, UINT32_MAX),
    ROW("bits", KEY_BITS, MUST, genesis_text, bits),
    ROW_RANGE("nonce", KEY_INT, MUST, genesis_text, nonce, 0, UINT32_MAX),
    ROW_RANGE("message", KEY_TEXT, MUST, genesis_text, message, 0, 0),
    ROW_RANGE("reward_sat", KEY_INT, MUST, genesis_text, reward_sat, 0, MONEY_MAX_SAT),
    ROW_RANGE("script", KEY_HEX, MUST, genesis_text, script, 0, GENESIS_SCRIPT_MAX_B),
    ROW("id", KEY_HASH, MUST, genesis_text, id),
    { 0 },
};

#define D chain_difficulty
static const struct key none_rows[] = {
    ROW("algorithm", KEY_ALGORITHM, RULE, D, kind),
    { 0 },
};
static const struct key bitcoin_rows[] = {
    ROW("algorithm", KEY_ALGORITHM, RULE, D, kind),
    ROW_RANGE("window", KEY_INT, RULE, D, window, 2, 1000000),
    ROW("min_blocks", KEY_BOOL, MAY_RULE, D, allow_min_blocks),
    ROW("bip94", KEY_BOOL, MAY_RULE, D, bip94),
    { 0 },
};
static const struct key lwma_rows[] = {
    ROW("algorithm", KEY_ALGORITHM, RULE, D, kind),
    ROW_RANGE("window", KEY_INT, RULE, D, window, 2, LWMA_WINDOW_MAX),
    ROW_RANGE("relief_spacings", KEY_INT, RULE, D, relief_spacings, 0, 1000000),
    { 0 },
};
static const struct key asert_rows[] = {
    ROW("algorithm", KEY_ALGORITHM, RULE, D, kind),
    ROW_RANGE("half_life_s", KEY_INT, RULE, D, half_life_s, 1, INT32_MAX),
    ROW_RANGE("anchor_height", KEY_INT, RULE, D, anchor_height, 0, INT32_MAX),
    ROW("anchor_bits", KEY_BITS, RULE, D, anchor_bits),
    ROW_RANGE("anchor_parent_time", KEY_INT, RULE, D, anchor_parent_time_s, 0, UINT32_MAX),
    { 0 },
};
#undef D
static const struct key *const difficulty_tables[] = {
    [DIFFICULTY_NONE] = none_rows, [DIFFICULTY_BITCOIN] = bitcoin_rows,
    [DIFFICULTY_LWMA] = lwma_rows, [DIFFICULTY_ASERT] = asert_rows,
};

static const struct key exception_rows[] = {
    ROW("id", KEY_HASH, RULE, chain_exception, id),
    ROW("flags", KEY_FLAGS, RULE, chain_exception, flags),
    { 0 },
};
static const struct key deployment_rows[] = {
    ROW_RANGE("name", KEY_TEXT, RULE, chain_deployment, name, 1, 0),
    ROW_RANGE("bit", KEY_INT, RULE, chain_deployment, bit, 0, BIP9_BIT_MAX),
    ROW("start", KEY_TIME, RULE, chain_deployment, start_time_s),
    ROW_RANGE("timeout", KEY_INT, RULE, chain_deployment, timeout_s, 0, INT64_MAX),
    ROW_RANGE("min_activation_height", KEY_INT, RULE, chain_deployment, min_activation_height, 0, INT32_MAX),
    ROW_RANGE("period", KEY_INT, RULE, chain_deployment, period, 1, 1000000),
    ROW_RANGE("threshold", KEY_INT, RULE, chain_deployment, threshold, 1, 1000000),
    { 0 },
};
static const struct key snapshot_rows[] = {
    ROW_RANGE("height", KEY_INT, MUST, chain_snapshot, height, 1, INT32_MAX),
    ROW("block", KEY_HASH, MUST, chain_snapshot, block),
    ROW("hash_serialized", KEY_HASH, MUST, chain_snapshot, hash_serialized),
    ROW_RANGE("chain_tx_count", KEY_INT, MUST, chain_snapshot, chain_tx_count, 1, INT64_MAX),
    { 0 },
};

const char *chain_key_name(uint32_t index)
{
    return index < COUNT_OF(chain_rows) ? chain_rows[index].name : NULL;
}

bool chain_read(struct chain *chain, const struct json *file, struct fail *why)
{
    if (!keys_read(chain, chain_rows, file, "", why) || !chain_check(chain, why))
        return false;
    if (chain->rpc_name[0] == 0)
        memcpy(chain->rpc_name, chain->name, sizeof chain->rpc_name);
    chain_hash_rules(chain);
    return true;
}

void chain_hash_rules(struct chain *chain)
{
    struct sha256 s;
    sha256_begin(&s);
    keys_hash(&s, chain_rows, chain);
    sha256_end(&s, chain->rules_hash);
}

static bool read_genesis(void *base, const struct json *v, const char *path, struct fail *why)
{
    struct chain *chain = base;
    struct genesis_text text;
    char inner[PART_PATH_MAX_B];
    snprintf(inner, sizeof inner, "%s.", path);
    memset(&text, 0, sizeof text);
    bool ok = keys_read(&text, genesis_rows, v, inner, why);
    if (ok) {
        struct genesis_recipe recipe = { .version = text.version, .time_s = text.time_s, .bits = text.bits,
            .nonce = text.nonce, .message = span_text(text.message), .reward_sat = text.reward_sat,
            .script = buf_span(&text.script) };
        ok = genesis_build(&chain->genesis, &recipe, why);
    }
    if (ok && !block_id_equal(&chain->genesis->id, &text.id))
        ok = fail_set(why, FAIL_REQUEST, "chain-file", "key \"%s.id\" is not the id of this genesis block, %s",
            path, hash_show(chain->genesis->id.b));
    chain->genesis_reward_sat = text.reward_sat;
    buf_clear(&text.script);
    return ok;
}

static bool read_difficulty(void *base, const struct json *v, const char *path, struct fail *why)
{
    struct chain_difficulty *difficulty = &((struct chain *)base)->difficulty;
    char inner[PART_PATH_MAX_B];
    snprintf(inner, sizeof inner, "%s.", path);
    const struct json *algorithm = v->type == JSON_OBJECT ? json_get(v, "algorithm") : NULL;
    if (algorithm == NULL)
        return key_failed(why, inner, "algorithm", "is missing");
    /* Which keys there may be depends on it, so it is read first, by the shortest table, alone. */
    struct json alone = *v, copy = *algorithm;
    copy.next = NULL;
    alone.first = &copy;
    alone.count = 1;
    return keys_read(difficulty, none_rows, &alone, inner, why) &&
           keys_read(difficulty, difficulty_tables[difficulty->kind], v, inner, why);
}

/* An array of objects or texts of one table or width, into a field of fixed size. */
static bool check_array(const struct json *v, size_t max, const char *path, struct fail *why)
{
    if (v->type != JSON_ARRAY)
        return fail_set(why, FAIL_REQUEST, "chain-file", "key \"%s\" must be an array, not %s", path,
            json_type_name(v));
    return v->count <= max ||
           fail_set(why, FAIL_REQUEST, "chain-file", "key \"%s\" has more than %zu entries", path, max);
}

static bool read_objects(uint8_t *out, size_t stride_b, size_t max, const struct key *table,
    const struct json *v, const char *path, struct fail *why)
{
    if (!check_array(v, max, path, why))
        return false;
    uint32_t i = 0;
    for (const struct json *e = v->first; e != NULL; e = e->next, i++) {
        char inner[PART_PATH_MAX_B];
        snprintf(inner, sizeof inner, "%s[%u].", path, i);
        if (!keys_read(out + i * stride_b, table, e, inner, why))
            return false;
    }
    return true;
}

static bool read_texts(char *out, size_t stride_b, const struct json *v, const char *path, struct fail *why)
{
    if (!check_array(v, CHAIN_SEEDS_MAX, path, why))
        return false;
    for (const struct json *e = v->first; e != NULL; e = e->next, out += stride_b) {
        struct span text;
        if (!json_to_text(&text, e, path, why))
            return false;
        if (text.size_b == 0 || text.size_b >= stride_b)
            return key_failed(why, "", path, "has an entry that is empty or too long");
        memcpy(out, text.data, text.size_b);
    }
    return true;
}

static bool read_seeds(void *base, const struct json *v, const char *path, struct fail *why)
{
    struct chain *chain = base;
    chain->seed_count = v->count;
    return read_texts(chain->seeds[0], sizeof chain->seeds[0], v, path, why);
}

static bool read_fixed_seeds(void *base, const struct json *v, const char *path, struct fail *why)
{
    struct chain *chain = base;
    chain->fixed_seed_count = v->count;
    return read_texts(chain->fixed_seeds[0], sizeof chain->fixed_seeds[0], v, path, why);
}

static bool read_exceptions(void *base, const struct json *v, const char *path, struct fail *why)
{
    struct chain *chain = base;
    chain->exception_count = v->count;
    return read_objects((uint8_t *)chain->exceptions, sizeof *chain->exceptions, CHAIN_EXCEPTIONS_MAX,
        exception_rows, v, path, why);
}

static bool read_bip30(void *base, const struct json *v, const char *path, struct fail *why)
{
    struct chain *chain = base;
    if (!check_array(v, COUNT_OF(chain->bip30_exceptions), path, why))
        return false;
    uint32_t i = 0;
    for (const struct json *e = v->first; e != NULL; e = e->next, i++) {
        if (e->type != JSON_STRING || !hash_from_hex(chain->bip30_exceptions[i].b, e->text))
            return key_failed(why, "", path, "must hold ids of blocks");
    }
    return true;
}

static bool read_deployments(void *base, const struct json *v, const char *path, struct fail *why)
{
    struct chain *chain = base;
    chain->deployment_count = v->count;
    return read_objects((uint8_t *)chain->deployments, sizeof *chain->deployments, CHAIN_DEPLOYMENTS_MAX,
        deployment_rows, v, path, why);
}

static bool read_snapshots(void *base, const struct json *v, const char *path, struct fail *why)
{
    struct chain *chain = base;
    chain->snapshot_count = v->count;
    return read_objects((uint8_t *)chain->snapshots, sizeof *chain->snapshots,
        CHAIN_CHECKPOINT_SNAPSHOTS_MAX, snapshot_rows, v, path, why);
}

static void hash_genesis(struct sha256 *s, const void *base)
{
    const struct chain *chain = base;
    sha256_add(s, chain->genesis->id.b, sizeof chain->genesis->id.b);
}

static void hash_difficulty(struct sha256 *s, const void *base)
{
    const struct chain_difficulty *difficulty = &((const struct chain *)base)->difficulty;
    keys_hash(s, difficulty_tables[difficulty->kind], difficulty);
}

static void hash_exceptions(struct sha256 *s, const void *base)
{
    const struct chain *chain = base;
    keys_hash_u64(s, chain->exception_count);
    for (uint32_t i = 0; i < chain->exception_count; i++)
        keys_hash(s, exception_rows, &chain->exceptions[i]);
}

static void hash_bip30(struct sha256 *s, const void *base)
{
    const struct chain *chain = base;
    for (size_t i = 0; i < COUNT_OF(chain->bip30_exceptions); i++)
        sha256_add(s, chain->bip30_exceptions[i].b, sizeof chain->bip30_exceptions[i].b);
}

static void hash_deployments(struct sha256 *s, const void *base)
{
    const struct chain *chain = base;
    keys_hash_u64(s, chain->deployment_count);
    for (uint32_t i = 0; i < chain->deployment_count; i++)
        keys_hash(s, deployment_rows, &chain->deployments[i]);
}
