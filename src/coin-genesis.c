/* coin-genesis: makes a chain of one's own. It takes coin's chain file, puts the founder's words and
 * numbers in the place of coin's, mines the genesis block with every processor and writes a file that
 * `coind -chain=FILE` runs. Keys it knows nothing of stay as coin has them, so a new key of chain files
 * needs no change here. What is written was read back first, by the code that nodes read it with.
 *
 * Names that must not clash with other chains (magic, ports) follow from the name by a hash, so two
 * founders of one name and message get the same file up to the time they chose. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "coin/base/config.h"
#include "coin/base/file.h"
#include "coin/base/json.h"
#include "coin/base/mem.h"
#include "coin/chain/chain.h"
#include "coin/chain/embedded.h"
#include "coin/chain/genesis.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/sha256.h"

#define BASE_CHAIN "coin"
#define TEXT_MAX_B 65536
#define MONEY_MAX_SAT INT64_C(9007199254740991) /* as chain files allow: exact in a double */
#define BASE_HALVING_S INT64_C(126000000)       /* coin's 2,100,000 blocks of 60 s */
#define BASE_SUBSIDY_MINUTE_SAT (20 * COIN_SAT) /* with it, 84 million in all whatever the spacing */
#define FUTURE_SPACINGS 5                       /* coin's 300 s of 60 */
#define FUTURE_MAX_S 7200                       /* Bitcoin's */
#define PORT_FIRST 20000u
#define PORT_COUNT 4000u
#define THREADS_MAX 256
#define GRIND_BITS 18 /* nonces that a thread takes at a time: a millisecond or so */
#define BLOCKS_A_DAY_S 86400

static const struct option_rule rules[] = {
    { "name", OPT_TEXT, OPT_COMMAND_LINE, "The chain", "<name>", NULL,
        "Name: letters a to z, digits, - and _; also the folder of its data" },
    { "ticker", OPT_TEXT, OPT_COMMAND_LINE, "The chain", "<text>", NULL, "Ticker (default: the name in capitals)" },
    { "message", OPT_TEXT, OPT_COMMAND_LINE, "The chain", "<text>", NULL,
        "What the genesis block says, up to 91 bytes (default: the name and today's date)" },
    { "hrp", OPT_TEXT, OPT_COMMAND_LINE, "The chain", "<text>", NULL,
        "First part of segwit addresses (default: the letters of the name)" },
    { "spacing", OPT_INT, OPT_COMMAND_LINE, "The money", "<seconds>", "60", "Time between blocks" },
    { "subsidy", OPT_AMOUNT, OPT_COMMAND_LINE, "The money", "<amount>", NULL,
        "What a block pays at first (default: 20 a minute)" },
    { "halving", OPT_INT, OPT_COMMAND_LINE, "The money", "<blocks>", NULL,
        "Blocks between halvings of it (default: about four years)" },
    { "p2pport", OPT_INT, OPT_COMMAND_LINE, "The network", "<port>", NULL, "Default port for peers (default: from the name)" },
    { "rpcport", OPT_INT, OPT_COMMAND_LINE, "The network", "<port>", NULL, "Default port for RPC (default: below p2pport)" },
    { "time", OPT_INT, OPT_COMMAND_LINE, "The network", "<seconds>", NULL,
        "Time of the genesis block, seconds since 1970 (default: now)" },
    { "output", OPT_TEXT, OPT_COMMAND_LINE, "The program", "<file>", NULL,
        "File to write, - for standard output (default: NAME.json)" },
    { "threads", OPT_INT, OPT_COMMAND_LINE, "The program", "<n>", NULL, "Threads that mine (default: one per processor)" },
    { "verify", OPT_TEXT, OPT_COMMAND_LINE, "The program", "<file>", NULL,
        "Check a chain file, or a built-in chain by its name, and tell what it says; nothing is written" },
    { "help", OPT_FLAG, OPT_COMMAND_LINE, "The program", NULL, "0", "This text" },
    { "version", OPT_FLAG, OPT_COMMAND_LINE, "The program", NULL, "0", "The version" },
    { NULL, OPT_FLAG, 0, NULL, NULL, NULL, NULL },
};

struct founding { /* what the founder chose, or what follows from it */
    const char *name;
    char ticker[16], hrp[16], message[GENESIS_MESSAGE_MAX_B + 1], message_prefix[64];
    uint8_t magic[4];
    int64_t spacing_s, subsidy_sat, halving_blocks, max_money_sat, p2p_port, rpc_port;
    uint32_t threads;
    struct genesis_recipe recipe;
    struct block_id id;
};

struct grinding { /* shared by the threads; only the atomics change */
    uint8_t header[HEADER_SIZE_B];
    uint8_t target_le[32];
    uint32_t first_time_s;
    _Atomic uint64_t next;   /* portion: nonces in its low bits, then time */
    _Atomic uint64_t found;  /* portion number + 1 of the first that was found, or 0 */
    _Atomic uint32_t nonce;
};

static bool read_founding(struct founding *f, const struct config *config, const struct chain *base, struct fail *why) MUST_USE;
static bool read_money(struct founding *f, const struct config *config, struct fail *why) MUST_USE;
static bool read_network(struct founding *f, const struct config *config, struct fail *why) MUST_USE;
static bool read_number(int64_t *out, const struct config *config, const char *name, int64_t otherwise, int64_t min,
    int64_t max, struct fail *why) MUST_USE;
static bool mine_genesis(struct founding *f, const struct chain *base, struct fail *why) MUST_USE;
static bool write_chain(struct buf *out, const struct founding *f, struct fail *why) MUST_USE;
static bool found(const struct config *config, struct fail *why) MUST_USE;
static bool verify(const char *name_or_file, struct fail *why) MUST_USE;

int main(int argc, char **argv)
{
    /* "-verify FILE" reads better than "-verify=FILE": both are taken. */
    char joined[PATH_SIZE_B];
    char *verify_argv[2] = { argv[0], joined };
    if (argc == 3 && (strcmp(argv[1], "-verify") == 0 || strcmp(argv[1], "--verify") == 0)) {
        snprintf(joined, sizeof joined, "-verify=%.900s", argv[2]);
        argv = verify_argv;
        argc = 2;
    }
    struct config *config = config_new(rules);
    struct fail why = { 0 };
    bool ok = sha256_init(NULL, &why) && hash_init(&why) && config_parse_args(config, argc, argv, &why);
    if (ok && config_flag(config, "help")) {
        struct buf text;
        buf_init(&text, TEXT_MAX_B);
        config_print_help(config, &text, false);
        printf("coin-genesis %s makes a chain file and mines its genesis block.\n\n"
               "Usage: coin-genesis -name=NAME [options]\n       coin-genesis -verify FILE\n\n%.*s",
            COIN_VERSION, (int)text.size_b, (const char *)text.data);
        buf_clear(&text);
    } else if (ok && config_flag(config, "version")) {
        printf("coin-genesis %s\n", COIN_VERSION);
    } else if (ok) {
        const char *file = config_text(config, "verify");
        ok = file != NULL ? verify(file, &why) : found(config, &why);
    }
    config_free(config);
    if (!ok)
        fprintf(stderr, "Error: %s\n", why.detail);
    return ok ? 0 : 1;
}

static bool found(const struct config *config, struct fail *why)
{
    struct founding f;
    struct chain *base = chain_load(BASE_CHAIN, why), *chain = NULL;
    char path[PATH_SIZE_B];
    struct buf text;
    buf_init(&text, TEXT_MAX_B);
    bool ok = base != NULL && read_founding(&f, config, base, why);
    if (ok) {
        const char *output = config_text(config, "output");
        if (output != NULL)
            snprintf(path, sizeof path, "%.1000s", output);
        else
            snprintf(path, sizeof path, "%.64s.json", f.name);
        if (strcmp(path, "-") != 0 && disk_posix.exists(disk_posix.ctx, path))
            ok = fail_set(why, FAIL_REQUEST, "output", "%s is there already: move it away or give another -output", path);
    }
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    ok = ok && mine_genesis(&f, base, why) && write_chain(&text, &f, why);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (ok) {
        chain = chain_parse(buf_span(&text), why);
        ok = chain != NULL;
    }
    if (ok && strcmp(path, "-") == 0)
        fwrite(text.data, 1, text.size_b, stdout);
    else if (ok && (ok = file_replace(&disk_posix, path, buf_span(&text), why)))
        printf("%s: genesis block %s, mined in %.1f s by %u threads\nrun it: coind -chain=%s%s -mine\n", path,
            hash_show(chain->genesis->id.b),
            (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9, f.threads,
            strchr(path, '/') == NULL ? "./" : "", path);
    buf_clear(&text);
    chain_free(chain);
    chain_free(base);
    return ok;
}

static bool verify(const char *name_or_file, struct fail *why)
{
    struct chain *chain = chain_load(name_or_file, why);
    if (chain == NULL)
        return false;
    char rules_hash[65], total_text[32], subsidy[32];
    int64_t total = 0;
    for (int32_t era = 0; era < 64; era++)
        total += (chain->subsidy_sat >> era) * chain->halving_interval;
    hex_encode(rules_hash, chain->rules_hash, sizeof chain->rules_hash);
    decimal_print(total_text, total, 8);
    decimal_print(subsidy, chain->subsidy_sat, 8);
    printf("%s (%s) is in order.\n  genesis block  %s\n  rules hash     %s\n  a block every  %lld s, %lld a day, "
           "of at most %u weight units\n  pays           %s, halved every %d blocks, %s in all\n  ports          "
           "%u for peers, %u for RPC\n",
        chain->name, chain->ticker, hash_show(chain->genesis->id.b), rules_hash, (long long)chain->spacing_s,
        (long long)(BLOCKS_A_DAY_S / chain->spacing_s), chain->block_weight_max_wu, subsidy,
        chain->halving_interval, total_text, chain->p2p_port, chain->rpc_port);
    chain_free(chain);
    return true;
}

static bool read_text(char *out, size_t size_b, const struct config *config, const char *name, const char *otherwise,
    struct fail *why)
{
    const char *text = config_text(config, name);
    if (text == NULL || *text == 0)
        text = otherwise;
    if (*text == 0 || strlen(text) >= size_b)
        return fail_set(why, FAIL_REQUEST, "option", "-%s must have 1 to %zu bytes", name, size_b - 1);
    snprintf(out, size_b, "%s", text);
    return true;
}

static bool read_founding(struct founding *f, const struct config *config, const struct chain *base, struct fail *why)
{
    memset(f, 0, sizeof *f);
    f->name = config_text(config, "name");
    if (f->name == NULL || *f->name == 0)
        return fail_set(why, FAIL_REQUEST, "option", "-name=NAME is missing: what shall the chain be called? (-help has the rest)");
    for (const struct embedded_chain *e = embedded_chains; e->name != NULL; e++) {
        if (strcmp(e->name, f->name) == 0)
            return fail_set(why, FAIL_REQUEST, "option", "-name=%s is the name of a built-in chain", f->name);
    }
    if (strlen(f->name) >= CHAIN_NAME_SIZE_B)
        return fail_set(why, FAIL_REQUEST, "option", "-name must have at most %d bytes", CHAIN_NAME_SIZE_B - 1);
    char ticker[16] = "", hrp[16] = "", message[GENESIS_MESSAGE_MAX_B + 1], date[16];
    size_t letters = 0;
    for (const char *c = f->name; *c != 0 && letters + 1 < sizeof hrp; c++) {
        if (*c < 'a' || *c > 'z')
            continue;
        hrp[letters] = *c;
        ticker[letters++] = (char)(*c - 'a' + 'A');
    }
    int64_t time_s;
    if (!read_number(&time_s, config, "time", (int64_t)time(NULL), 1, UINT32_MAX, why))
        return false;
    time_t clock = (time_t)time_s;
    struct tm tm;
    gmtime_r(&clock, &tm);
    strftime(date, sizeof date, "%Y-%m-%d", &tm);
    snprintf(message, sizeof message, "%.31s %s", f->name, date);
    if (!read_text(f->ticker, sizeof f->ticker, config, "ticker", ticker, why) ||
        !read_text(f->hrp, sizeof f->hrp, config, "hrp", hrp, why) ||
        !read_text(f->message, sizeof f->message, config, "message", message, why))
        return false;
    snprintf(f->message_prefix, sizeof f->message_prefix, "%.31s Signed Message:\n", f->name);
    int64_t threads, processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (!read_number(&threads, config, "threads", processors < 1 ? 1 : processors, 1, THREADS_MAX, why) ||
        !read_money(f, config, why) || !read_network(f, config, why))
        return false;
    f->threads = (uint32_t)(threads < THREADS_MAX ? threads : THREADS_MAX);
    const struct tx_out *out = &base->genesis->txs[0].out[0];
    f->recipe = (struct genesis_recipe){ .version = base->genesis->header.version, .time_s = (uint32_t)time_s,
        .bits = base->pow_limit_bits, .message = span_text(f->message), .reward_sat = f->subsidy_sat,
        .script = out->script };
    return true;
}

static bool read_money(struct founding *f, const struct config *config, struct fail *why)
{
    const char *subsidy = config_text(config, "subsidy");
    if (!read_number(&f->spacing_s, config, "spacing", 60, 1, 86400, why) ||
        !read_number(&f->halving_blocks, config, "halving",
            BASE_HALVING_S / f->spacing_s, 1, INT32_MAX - 1, why))
        return false;
    f->subsidy_sat = BASE_SUBSIDY_MINUTE_SAT * f->spacing_s / 60;
    if (subsidy != NULL && (!decimal_parse(&f->subsidy_sat, span_text(subsidy), 8) || f->subsidy_sat < 0))
        return fail_set(why, FAIL_REQUEST, "option", "-subsidy must be an amount of at most 8 decimals");
    int64_t half;
    if (__builtin_mul_overflow(f->subsidy_sat, f->halving_blocks, &half) || half > MONEY_MAX_SAT / 2)
        return fail_set(why, FAIL_REQUEST, "option", "-subsidy times -halving gives more than 90,071,992 coins in all: "
            "client software could not count them exactly");
    f->max_money_sat = half * 2;
    if (f->max_money_sat < COIN_SAT)
        f->max_money_sat = COIN_SAT;
    return true;
}

static bool read_network(struct founding *f, const struct config *config, struct fail *why)
{
    uint8_t hash[32];
    struct sha256 s;
    sha256_begin(&s);
    sha256_add(&s, f->name, strlen(f->name) + 1);
    sha256_add(&s, f->message, strlen(f->message));
    sha256d_end(&s, hash);
    memcpy(f->magic, hash, sizeof f->magic);
    f->magic[0] |= 0x80; /* not ASCII: such bytes are rare in what goes by */
    int64_t port = PORT_FIRST + 2 * (get_u32le(hash + 4) % PORT_COUNT) + 1;
    return read_number(&f->p2p_port, config, "p2pport", port, 2, 65535, why) &&
           read_number(&f->rpc_port, config, "rpcport", f->p2p_port - 1, 1, 65535, why) &&
           (f->rpc_port != f->p2p_port ||
               fail_set(why, FAIL_REQUEST, "option", "-rpcport must differ from -p2pport"));
}

static bool read_number(int64_t *out, const struct config *config, const char *name, int64_t otherwise, int64_t min,
    int64_t max, struct fail *why)
{
    const char *text = config_text(config, name);
    *out = otherwise;
    if (text != NULL && (!decimal_parse(out, span_text(text), 0) || *out < min || *out > max))
        return fail_set(why, FAIL_REQUEST, "option", "-%s must be a whole number from %lld to %lld", name,
            (long long)min, (long long)max);
    return true;
}

static void *grind(void *arg)
{
    struct grinding *g = arg;
    uint8_t header[HEADER_SIZE_B];
    memcpy(header, g->header, sizeof header);
    while (atomic_load(&g->found) == 0) {
        uint64_t portion = atomic_fetch_add(&g->next, 1);
        uint32_t nonce;
        put_u32le(header + 68, g->first_time_s + (uint32_t)(portion >> (32 - GRIND_BITS)));
        if (!sha256d_grind(&nonce, header, (uint32_t)(portion << GRIND_BITS), 1u << GRIND_BITS, g->target_le))
            continue;
        uint64_t none = 0;
        if (atomic_compare_exchange_strong(&g->found, &none, portion + 1))
            atomic_store(&g->nonce, nonce);
    }
    return NULL;
}

static bool mine_genesis(struct founding *f, const struct chain *base, struct fail *why)
{
    struct block *block;
    struct grinding g;
    if (!genesis_build(&block, &f->recipe, why))
        return false;
    memset(&g, 0, sizeof g);
    header_encode(g.header, &block->header);
    block_unref(block);
    u256_to_le(g.target_le, &base->pow_limit);
    g.first_time_s = f->recipe.time_s;

    pthread_t threads[THREADS_MAX];
    uint32_t started = 0;
    while (started < f->threads && pthread_create(&threads[started], NULL, grind, &g) == 0)
        started++;
    if (started == 0) /* no threads to be had: this one does it */
        grind(&g);
    f->threads = started > 0 ? started : 1;
    for (uint32_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    f->recipe.nonce = atomic_load(&g.nonce);
    f->recipe.time_s = g.first_time_s + (uint32_t)((atomic_load(&g.found) - 1) >> (32 - GRIND_BITS));
    if (!genesis_build(&block, &f->recipe, why))
        return false;
    f->id = block->id;
    block_unref(block);
    return true;
}

static void write_genesis(struct json_writer *w, const struct founding *f)
{
    char bits[16], id[ID_HEX_SIZE_B];
    snprintf(bits, sizeof bits, "%08x", f->recipe.bits);
    hash_to_hex(id, f->id.b);
    jw_object(w);
    jw_key_i64(w, "version", f->recipe.version);
    jw_key_u64(w, "time", f->recipe.time_s);
    jw_key_text(w, "bits", bits);
    jw_key_u64(w, "nonce", f->recipe.nonce);
    jw_key_text(w, "message", f->message);
    jw_key_i64(w, "reward_sat", f->recipe.reward_sat);
    jw_key_hex(w, "script", f->recipe.script.data, f->recipe.script.size_b);
    jw_key_text(w, "id", id);
    jw_end_object(w);
}

static bool write_chain(struct buf *out, const struct founding *f, struct fail *why)
{
    int64_t future_s = f->spacing_s * FUTURE_SPACINGS;
    const struct { const char *key, *text; } texts[] = {
        { "name", f->name }, { "ticker", f->ticker }, { "hrp", f->hrp }, { "message_prefix", f->message_prefix },
    };
    const struct { const char *key; int64_t number; } numbers[] = {
        { "p2p_port", f->p2p_port }, { "rpc_port", f->rpc_port }, { "spacing_s", f->spacing_s },
        { "future_limit_s", future_s < FUTURE_MAX_S ? future_s : FUTURE_MAX_S }, { "subsidy_sat", f->subsidy_sat },
        { "halving_interval", f->halving_blocks }, { "max_money_sat", f->max_money_sat },
    };
    const struct embedded_chain *e = embedded_chains;
    while (strcmp(e->name, BASE_CHAIN) != 0)
        e++;
    struct json_doc doc;
    if (!json_parse(&doc, span_of(e->text, e->size_b), why))
        return false;
    struct json_writer w;
    jw_init(&w, out, 4);
    jw_object(&w);
    for (const struct json *v = doc.root->first; v != NULL; v = v->next) {
        jw_key_span(&w, v->key);
        size_t i = 0, k = 0;
        while (i < sizeof texts / sizeof *texts && !span_is(v->key, texts[i].key))
            i++;
        while (k < sizeof numbers / sizeof *numbers && !span_is(v->key, numbers[k].key))
            k++;
        if (i < sizeof texts / sizeof *texts)
            jw_text(&w, texts[i].text);
        else if (k < sizeof numbers / sizeof *numbers)
            jw_i64(&w, numbers[k].number);
        else if (span_is(v->key, "magic"))
            jw_hex(&w, f->magic, sizeof f->magic);
        else if (span_is(v->key, "genesis"))
            write_genesis(&w, f);
        else
            jw_value(&w, v);
    }
    jw_end_object(&w);
    buf_put_text(out, "\n");
    json_doc_clear(&doc);
    return buf_ok(out, "chain file", why);
}
