/* Chains: where their files come from (built in, or a path), the test switches that change one before it
 * is used, and the two formulas that follow from its numbers. */
#include "coin/chain/chain.h"

#include <string.h>

#include "coin/base/file.h"
#include "coin/base/json.h"
#include "coin/base/mem.h"
#include "coin/chain/embedded.h"
#include "parse.h"

#define CHAIN_FILE_MAX_B (256u * 1024u) /* ours have 4 kB; a file with every seed and snapshot has 20 */
#define REGTEST_WINDOW 144             /* blocks: what regtest calls a difficulty period (a day) */
#define HALVINGS_MAX 64                 /* a shift by more is undefined in C; Bitcoin pays nothing from here on */

static bool may_override(const struct chain *chain, const char *option, struct fail *why);
static bool parse_number(int64_t *out, const char **text, char end);
static struct chain *load_file(const char *path, struct fail *why);

struct chain *chain_load(const char *name_or_file, struct fail *why)
{
    const char *name = strcmp(name_or_file, "main") == 0 ? "bitcoin" : name_or_file;
    for (const struct embedded_chain *e = embedded_chains; e->name != NULL; e++) {
        if (strcmp(e->name, name) != 0)
            continue;
        struct chain *chain = chain_parse(span_of(e->text, e->size_b), why);
        if (chain == NULL)
            fail_prefix(why, "built-in chain %s: ", name);
        return chain;
    }
    size_t length = strlen(name);
    if (length > 5 && strcmp(name + length - 5, ".json") == 0)
        return load_file(name, why);
    fail_set(why, FAIL_REQUEST, "chain-unknown", "Unknown chain %.64s: neither built in nor a path that ends in .json",
        name);
    return NULL;
}

struct chain *chain_parse(struct span json, struct fail *why)
{
    struct json_doc doc;
    if (json.size_b > CHAIN_FILE_MAX_B) {
        fail_set(why, FAIL_REQUEST, "chain-file", "larger than %u bytes", CHAIN_FILE_MAX_B);
        return NULL;
    }
    if (!json_parse(&doc, json, why))
        return NULL;
    struct chain *chain = mem_new(sizeof *chain);
    buf_init(&chain->signet_challenge, CHAIN_CHALLENGE_MAX_B);
    if (!chain_read(chain, doc.root, why)) {
        chain_free(chain);
        chain = NULL;
    }
    json_doc_clear(&doc);
    return chain;
}

void chain_free(struct chain *chain)
{
    if (chain == NULL)
        return;
    block_unref(chain->genesis);
    buf_clear(&chain->signet_challenge);
    mem_free(chain);
}

/* The rules hash stays that of the file: these are switches of tests, which restart one datadir with
 * other heights as Bitcoin's allow. */
bool chain_set_activation_height(struct chain *chain, const char *text, struct fail *why)
{
    static const struct { const char *name; enum buried which; } names[] = {
        { "segwit", BURIED_SEGWIT }, { "bip34", BURIED_BIP34 }, { "dersig", BURIED_BIP66 },
        { "cltv", BURIED_BIP65 }, { "csv", BURIED_CSV },
    };
    const char *at = strchr(text, '@');
    if (!may_override(chain, "testactivationheight", why))
        return false;
    if (at == NULL)
        return fail_set(why, FAIL_REQUEST, "activation-height",
            "Invalid format (%.64s) for -testactivationheight=name@height.", text);
    const char *number = at + 1;
    int64_t height;
    if (!parse_number(&height, &number, 0) || height < 0 || height >= INT32_MAX)
        return fail_set(why, FAIL_REQUEST, "activation-height",
            "Invalid height value (%.64s) for -testactivationheight=name@height.", text);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (span_is(span_of(text, (size_t)(at - text)), names[i].name)) {
            chain->buried[names[i].which] = (int32_t)height;
            return true;
        }
    }
    return fail_set(why, FAIL_REQUEST, "activation-height",
        "Invalid name (%.64s) for -testactivationheight=name@height.", text);
}

bool chain_set_deployment(struct chain *chain, const char *text, struct fail *why)
{
    if (!may_override(chain, "vbparams", why))
        return false;
    const char *colon = strchr(text, ':');
    int64_t start = 0, timeout = 0, height = 0;
    const char *number = colon != NULL ? colon + 1 : text;
    bool ok = colon != NULL && parse_number(&start, &number, ':');
    bool three = ok && strchr(number, ':') != NULL;
    ok = ok && parse_number(&timeout, &number, three ? ':' : 0);
    if (ok && three)
        ok = parse_number(&height, &number, 0) && height >= 0 && height <= INT32_MAX;
    if (!ok || start < BIP9_NEVER_ACTIVE)
        return fail_set(why, FAIL_REQUEST, "deployment", "Version bits parameters malformed (%.64s), "
            "expecting deployment:start:end[:min_activation_height]", text);
    for (uint32_t i = 0; i < chain->deployment_count; i++) {
        struct chain_deployment *d = &chain->deployments[i];
        if (!span_is(span_of(text, (size_t)(colon - text)), d->name))
            continue;
        d->start_time_s = start;
        d->timeout_s = timeout;
        d->min_activation_height = (int32_t)height;
        return true;
    }
    return fail_set(why, FAIL_REQUEST, "deployment", "Invalid deployment (%.*s)",
        (int)(colon - text < 64 ? colon - text : 64), text);
}

bool chain_set_test_rule(struct chain *chain, const char *text, struct fail *why)
{
    static const char *const without_rule[] = { "addrman", "reindex_after_failure_noninteractive_yes" };
    for (size_t i = 0; i < sizeof without_rule / sizeof *without_rule; i++) {
        if (strcmp(text, without_rule[i]) == 0)
            return true;
    }
    if (strcmp(text, "bip94") != 0)
        return fail_set(why, FAIL_REQUEST, "test-option", "Unrecognised option \"%.64s\" provided in -test=<option>.",
            text);
    if (!may_override(chain, "test=bip94", why))
        return false;
    chain->difficulty.bip94 = true;
    chain->difficulty.window = REGTEST_WINDOW;
    return true;
}

bool chain_set_signet_challenge(struct chain *chain, const char *hex, struct fail *why)
{
    struct buf challenge;
    buf_init(&challenge, CHAIN_CHALLENGE_MAX_B);
    if (chain->signet_challenge.size_b == 0)
        return fail_set(why, FAIL_REQUEST, "signet-challenge", "-signetchallenge: %s is not a signet", chain->name);
    if (!hex_to_buf(&challenge, span_text(hex)) || challenge.size_b == 0) {
        buf_clear(&challenge);
        return fail_set(why, FAIL_REQUEST, "signet-challenge", "-signetchallenge must be hex, '%.64s' given.", hex);
    }
    buf_move(&chain->signet_challenge, &challenge);
    signet_magic(chain->magic, buf_span(&chain->signet_challenge));
    /* Another network: nothing known about the old one counts. */
    chain->minimum_chain_work = u256_from_u64(0);
    memset(&chain->assumed_valid, 0, sizeof chain->assumed_valid);
    chain->seed_count = 0;
    chain->fixed_seed_count = 0;
    chain->snapshot_count = 0;
    chain_hash_rules(chain);
    return true;
}

int64_t chain_subsidy_sat(const struct chain *chain, int32_t height)
{
    int32_t halvings = height / chain->halving_interval;
    return halvings >= HALVINGS_MAX ? 0 : chain->subsidy_sat >> halvings;
}

int64_t chain_scaled_s(const struct chain *chain, int64_t spacings)
{
    return chain->spacing_s * spacings;
}

bool chain_is_for_tests(const struct chain *chain)
{
    return chain->difficulty.kind == DIFFICULTY_NONE;
}

static bool may_override(const struct chain *chain, const char *option, struct fail *why)
{
    return chain_is_for_tests(chain) || fail_set(why, FAIL_REQUEST, "test-option",
        "-%s bends the rules of test chains (-regtest) only, not of %s", option, chain->name);
}

static struct chain *load_file(const char *path, struct fail *why)
{
    struct buf text;
    buf_init(&text, CHAIN_FILE_MAX_B);
    struct chain *chain = NULL;
    if (file_read_all(&disk_posix, path, &text, why))
        chain = chain_parse(buf_span(&text), why);
    if (chain == NULL) {
        why->kind = FAIL_REQUEST; /* the user named it: no disk of ours is in trouble */
        fail_prefix(why, "chain file %.200s: ", path);
    }
    buf_clear(&text);
    return chain;
}

/* A whole decimal number that ends at `end`; *text moves behind that character. */
static bool parse_number(int64_t *out, const char **text, char end)
{
    const char *stop = strchr(*text, end);
    if (stop == NULL || !decimal_parse(out, span_of(*text, (size_t)(stop - *text)), 0))
        return false;
    *text = end == 0 ? stop : stop + 1;
    return true;
}
