/* Options. What the user said is kept as a list of entries in the order it was said: where it
 * stood (arguments, or a file's section), for which rule, with which value. A look-up walks the
 * list by precedence, so the chain may be chosen after the files were read, from what they say
 * themselves.
 *
 * The syntax is Bitcoin's (its bitcoin.conf must read the same here); one thing is stricter: an
 * unknown name in a file is refused as it is on the command line, because a misspelt `rpcallowip`
 * that is silently dropped is how nodes end up open or deaf. Complaints about the section of a
 * chain are kept until that chain is chosen. */
#include "coin/base/config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "coin/base/file.h"
#include "coin/base/json.h"
#include "coin/base/mem.h"

#define CONFIG_FILE_MAX_B ((size_t)1024 * 1024)
#define CONFIG_ENTRY_MAX 100000u
#define CONFIG_MEMORY_MAX_B ((size_t)16 * 1024 * 1024)
#define NAME_MAX_B 64u
#define HELP_WIDTH 79u
#define HELP_INDENT 7u

enum source { SOURCE_ARGS, SOURCE_FILE, SOURCE_SOFT };

struct entry {
    enum source source;
    const char *section; /* SOURCE_FILE: NULL at the top */
    const char *only_for; /* NULL, or the section whose includeconf brought it */
    const struct option_rule *rule; /* NULL: a complaint, `value` is its text */
    const char *value;
    bool negated;
};

struct config {
    const struct option_rule *rules;
    struct arena texts;
    struct entry *entries;
    uint32_t count, capacity;
    const char *section; /* chosen chain; NULL: not chosen yet */
    bool skips_unknown;
    bool is_default_chain;
};

/* A file being read. */
struct reading {
    struct config *config;
    const char *path;
    const char *only_for; /* as in struct entry */
    bool included;
    const char *section; /* of the lines now read */
    uint32_t line;
};

/* A name as written, taken apart. */
struct key {
    char section[NAME_MAX_B], name[NAME_MAX_B];
    bool negated;
    const struct option_rule *rule; /* NULL: unknown */
};

static bool parse_arg(struct config *config, const char *arg, struct fail *why);
static void key_split(const struct config *config, struct key *key, struct span text);
static bool add_value(
    struct config *config, struct entry *entry, const char *value, bool negated, struct fail *why);
static bool add_entry(struct config *config, const struct entry *entry, struct fail *why);
static bool read_text(struct reading *r, struct span text, struct fail *why);
static bool read_line(struct reading *r, struct span line, struct fail *why);
static bool read_option(struct reading *r, struct span name, struct span value, struct fail *why);
static bool read_include(
    struct reading *r, const char *section, const char *name, struct fail *why);
static bool complain(struct reading *r, const char *section, const char *text, struct fail *why);
static void unknown_text(const struct config *config, const char *name, char *out, size_t size_b);
static char *keep(struct config *config, struct span text, struct fail *why);
static struct span trim(struct span text);
static const struct option_rule *find_rule(const struct config *config, const char *name);
static bool entry_counts(const struct config *config, const struct entry *entry);
static int entry_rank(const struct entry *entry);
static const struct entry *find_single(
    const struct config *config, const struct option_rule *rule, int rank_max);
static bool find_in_list(const struct config *config, const struct option_rule *rule,
    uint32_t index, const char **value);
static bool text_to_bool(const char *text);
static int64_t text_to_int(const char *text);
static void print_group(
    const struct config *config, struct buf *out, const char *group, bool debug);
static void print_option(struct buf *out, const struct option_rule *rule);
static void print_wrapped(struct buf *out, const char *text);
static uint32_t distance(const char *a, const char *b);

#define RANK_SOFT 3

struct config *config_new(const struct option_rule *rules)
{
    struct config *config = mem_new(sizeof *config);
    config->rules = rules;
    config->is_default_chain = true;
    arena_init(&config->texts, CONFIG_MEMORY_MAX_B);
    return config;
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    arena_clear(&config->texts);
    mem_free(config->entries);
    mem_free(config);
}

bool config_parse_args(struct config *config, int argc, char *const argv[], struct fail *why)
{
    for (int i = 1; i < argc; i++)
        if (!parse_arg(config, argv[i], why))
            return false;
    return true;
}

bool config_read_file(struct config *config, const char *path, bool must_exist, struct fail *why)
{
    if (!disk_posix.exists(disk_posix.ctx, path)) {
        if (!must_exist)
            return true;
        return fail_request(why, 0, "specified config file \"%s\" could not be opened.", path);
    }
    struct reading reading = { .config = config, .path = path };
    struct buf text;
    buf_init(&text, CONFIG_FILE_MAX_B);
    bool good =
        file_read_all(&disk_posix, path, &text, why) && read_text(&reading, buf_span(&text), why);
    buf_clear(&text);
    if (!good)
        why->kind = FAIL_REQUEST;
    return good;
}

void config_skip_unknown(struct config *config)
{
    config->skips_unknown = true;
}

void config_select_chain(struct config *config, const char *section, bool is_default_chain)
{
    config->section = keep(config, span_text(section), NULL);
    config->is_default_chain = is_default_chain;
}

bool config_check(const struct config *config, struct fail *why)
{
    for (uint32_t i = 0; i < config->count; i++) {
        const struct entry *entry = &config->entries[i];
        if (entry->rule == NULL && entry_counts(config, entry))
            return fail_request(why, 0, "%s", entry->value);
    }
    return true;
}

const char *config_misplaced(const struct config *config, uint32_t index)
{
    for (const struct option_rule *rule = config->rules; rule->name != NULL; rule++) {
        bool at_top = false, elsewhere = false;
        for (uint32_t i = 0; i < config->count; i++) {
            const struct entry *entry = &config->entries[i];
            if (entry->rule != rule || entry->source == SOURCE_SOFT)
                continue;
            elsewhere |= entry_counts(config, entry);
            at_top |= entry->source == SOURCE_FILE && entry->section == NULL;
        }
        if (at_top && !elsewhere && index-- == 0)
            return rule->name;
    }
    return NULL;
}

bool config_is_set(const struct config *config, const char *name)
{
    return find_single(config, find_rule(config, name), RANK_SOFT - 1) != NULL;
}

bool config_is_implied(const struct config *config, const char *name)
{
    return find_single(config, find_rule(config, name), RANK_SOFT) != NULL;
}

bool config_is_negated(const struct config *config, const char *name)
{
    const struct entry *entry = find_single(config, find_rule(config, name), RANK_SOFT - 1);
    return entry != NULL && entry->negated;
}

const char *config_text(const struct config *config, const char *name)
{
    const struct option_rule *rule = find_rule(config, name);
    const struct entry *entry = find_single(config, rule, RANK_SOFT);
    if (entry != NULL)
        return entry->value;
    return rule != NULL ? rule->default_text : NULL;
}

bool config_flag(const struct config *config, const char *name)
{
    const char *text = config_text(config, name);
    return text != NULL && text_to_bool(text);
}

int64_t config_int(const struct config *config, const char *name, int64_t otherwise)
{
    const struct option_rule *rule = find_rule(config, name);
    const char *text = config_text(config, name);
    int64_t amount_sat;
    if (text == NULL)
        return otherwise;
    if (rule->type == OPT_AMOUNT)
        return decimal_parse(&amount_sat, span_text(text), 8) ? amount_sat : otherwise;
    return text_to_int(text);
}

const char *config_list(const struct config *config, const char *name, uint32_t index)
{
    const struct option_rule *rule = find_rule(config, name);
    const char *value = NULL;
    if (rule == NULL)
        return NULL;
    if (find_in_list(config, rule, index, &value))
        return value;
    return index == 0 ? rule->default_text : NULL;
}

void config_soft_set(struct config *config, const char *name, const char *value)
{
    struct entry entry = { .source = SOURCE_SOFT, .rule = find_rule(config, name) };
    entry.value = keep(config, span_text(value), NULL);
    struct fail ignored; /* our own few values: when they do not fit, nothing else does either */
    if (entry.rule != NULL && entry.value != NULL)
        (void)!add_entry(config, &entry, &ignored);
}

void config_print_help(const struct config *config, struct buf *out, bool debug)
{
    for (const struct option_rule *rule = config->rules; rule->name != NULL; rule++) {
        bool is_first = true;
        for (const struct option_rule *before = config->rules; before < rule; before++)
            is_first = is_first && strcmp(before->group, rule->group) != 0;
        if (is_first)
            print_group(config, out, rule->group, debug);
    }
}

const char *config_suggest(const struct config *config, const char *name)
{
    if (name[0] == 'n' && name[1] == 'o' && strlen(name) > 4)
        name = find_rule(config, name) == NULL && name[2] != '\0' ? name + 2 : name;
    size_t length = strlen(name);
    uint32_t best = length < 4 ? 2 : length < 8 ? 3 : 4; /* must stay below */
    const char *nearest = NULL;
    for (const struct option_rule *rule = config->rules; rule->name != NULL; rule++) {
        uint32_t d = distance(name, rule->name);
        if (d < best) {
            best = d;
            nearest = rule->name;
        }
    }
    return nearest;
}

/* ---- the command line ---- */

static bool parse_arg(struct config *config, const char *arg, struct fail *why)
{
    if (arg[0] != '-' || arg[1] == '\0')
        return fail_request(why, 0,
            "Command line contains unexpected token '%s', see -help for a list of options.", arg);
    const char *name = arg + (arg[1] == '-' ? 2 : 1);
    const char *equals = strchr(name, '=');
    size_t name_b = equals != NULL ? (size_t)(equals - name) : strlen(name);
    struct key key;
    key_split(config, &key, span_of(name, name_b));
    if (key.rule == NULL || key.section[0] != '\0') {
        const char *near = key.rule == NULL ? config_suggest(config, key.name) : NULL;
        fail_request(why, 0, "Invalid parameter %s", arg);
        if (near != NULL)
            fail_request(why, 0, "Invalid parameter %s (did you mean -%s%s?)", arg,
                key.negated ? "no" : "", near);
        return false;
    }
    if (strcmp(key.rule->name, "includeconf") == 0 && !key.negated)
        return fail_request(why, 0,
            "-includeconf cannot be used from commandline; -includeconf=\"%s\"",
            equals != NULL ? equals + 1 : "");
    struct entry entry = { .source = SOURCE_ARGS, .rule = key.rule };
    return add_value(config, &entry, equals != NULL ? equals + 1 : NULL, key.negated, why);
}

/* "regtest.nolisten" is section "regtest", name "listen", negated. A name too long to be known
 * stays unknown. */
static void key_split(const struct config *config, struct key *key, struct span text)
{
    memset(key, 0, sizeof *key);
    const uint8_t *dot = text.size_b > 0 ? memchr(text.data, '.', text.size_b) : NULL;
    struct span section = { text.data, dot != NULL ? (size_t)(dot - text.data) : 0 };
    if (dot != NULL)
        text = span_of(dot + 1, text.size_b - section.size_b - 1);
    snprintf(key->section, sizeof key->section, "%.*s",
        (int)(section.size_b < NAME_MAX_B ? section.size_b : 0), (const char *)section.data);
    bool fits = text.size_b < NAME_MAX_B;
    snprintf(key->name, sizeof key->name, "%.*s", (int)(fits ? text.size_b : NAME_MAX_B - 1),
        (const char *)text.data);
    key->rule = fits ? find_rule(config, key->name) : NULL;
    if (key->rule == NULL && key->name[0] == 'n' && key->name[1] == 'o') {
        key->negated = true;
        memmove(key->name, key->name + 2, strlen(key->name + 2) + 1);
        key->rule = fits ? find_rule(config, key->name) : NULL;
    }
}

/* Bitcoin's reading of a value: `-nox` is x=0, and so is `-nox=1`; `-nox=0` is x=1. */
static bool add_value(
    struct config *config, struct entry *entry, const char *value, bool negated, struct fail *why)
{
    const char *text = value != NULL ? value : "";
    if (negated) {
        entry->negated = text_to_bool(text);
        text = entry->negated ? "0" : "1";
    }
    int64_t amount_sat;
    if (entry->rule->type == OPT_AMOUNT &&
        (!decimal_parse(&amount_sat, span_text(text), 8) || amount_sat < 0))
        return fail_request(
            why, 0, "Invalid amount for -%s=<amount>: '%s'", entry->rule->name, text);
    entry->value = keep(config, span_text(text), why);
    return entry->value != NULL && add_entry(config, entry, why);
}

static bool add_entry(struct config *config, const struct entry *entry, struct fail *why)
{
    if (!mem_try_grow(&config->entries, &config->capacity, config->count + 1, CONFIG_ENTRY_MAX,
            sizeof *config->entries))
        return fail_oom(why, "the options");
    config->entries[config->count++] = *entry;
    return true;
}

/* ---- files ---- */

static bool read_text(struct reading *r, struct span text, struct fail *why)
{
    while (text.size_b > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.size_b);
        size_t size_b = end != NULL ? (size_t)(end - text.data) : text.size_b;
        r->line++;
        if (!read_line(r, span_of(text.data, size_b), why))
            return false;
        size_t used_b = size_b + (end != NULL ? 1 : 0);
        text = span_of(text.data + used_b, text.size_b - used_b);
    }
    return true;
}

static bool read_line(struct reading *r, struct span line, struct fail *why)
{
    const uint8_t *hash = line.size_b > 0 ? memchr(line.data, '#', line.size_b) : NULL;
    if (hash != NULL)
        line.size_b = (size_t)(hash - line.data);
    line = trim(line);
    if (line.size_b == 0)
        return true;
    int shown = (int)(line.size_b < 100 ? line.size_b : 100);
    const char *text = (const char *)line.data;
    if (memchr(line.data, '\0', line.size_b) != NULL)
        return fail_request(why, 0, "parse error on line %u: it holds a zero byte", r->line);
    if (text[0] == '[' && text[line.size_b - 1] == ']' && line.size_b >= 2) {
        r->section = keep(r->config, span_of(line.data + 1, line.size_b - 2), why);
        return r->section != NULL;
    }
    if (text[0] == '-')
        return fail_request(why, 0,
            "parse error on line %u: %.*s, options in configuration file must be specified without "
            "leading -",
            r->line, shown, text);
    const uint8_t *equals = memchr(line.data, '=', line.size_b);
    if (equals == NULL) {
        bool is_no = line.size_b >= 2 && memcmp(text, "no", 2) == 0;
        fail_request(why, 0, "parse error on line %u: %.*s", r->line, shown, text);
        if (is_no)
            fail_request(why, 0,
                "parse error on line %u: %.*s, if you intended to specify a negated option, use "
                "%.*s=1 "
                "instead",
                r->line, shown, text, shown, text);
        return false;
    }
    struct span name = trim(span_of(line.data, (size_t)(equals - line.data)));
    struct span value = trim(span_of(equals + 1, line.size_b - (size_t)(equals - line.data) - 1));
    if (hash != NULL &&
        memmem(name.data, name.size_b, "rpcpassword", strlen("rpcpassword")) != NULL)
        return fail_request(why, 0,
            "parse error on line %u, using # in rpcpassword can be ambiguous and should be avoided",
            r->line);
    return read_option(r, name, value, why);
}

static bool read_option(struct reading *r, struct span name, struct span value, struct fail *why)
{
    struct config *config = r->config;
    struct key key;
    key_split(config, &key, name);
    const char *section = r->section;
    if (key.section[0] != '\0') {
        if (section != NULL) /* "a.b" in a section: no option has a dot in its name */
            key.rule = NULL;
        else
            section = keep(config, span_text(key.section), why);
        if (section == NULL)
            return false;
    }
    char text[FAIL_DETAIL_SIZE_B];
    if (key.rule == NULL && config->skips_unknown)
        return true;
    if (key.rule == NULL) {
        char near[FAIL_DETAIL_SIZE_B / 2];
        unknown_text(config, key.name, near, sizeof near);
        snprintf(text, sizeof text, "unknown option %.*s on line %u of %.100s%.100s",
            (int)(name.size_b < 80 ? name.size_b : 80), (const char *)name.data, r->line, r->path,
            near);
        return complain(r, section, text, why);
    }
    char *kept = keep(config, value, why);
    if (kept == NULL)
        return false;
    if (strcmp(key.rule->name, "includeconf") == 0 && !key.negated)
        return read_include(r, section, kept, why);
    if ((key.rule->where & OPT_COMMAND_LINE) != 0) {
        bool is_conf = strcmp(key.rule->name, "conf") == 0;
        snprintf(text, sizeof text, "%s cannot be set in the configuration file%s", key.rule->name,
            is_conf ? "; use includeconf= if you want to include additional config files" : "");
        return complain(r, section, text, why);
    }
    struct entry entry = {
        .source = SOURCE_FILE, .section = section, .only_for = r->only_for, .rule = key.rule
    };
    struct fail wrong;
    if (add_value(config, &entry, kept, key.negated, &wrong))
        return true;
    if (wrong.kind == FAIL_REQUEST)
        return complain(r, section, wrong.detail, why);
    *why = wrong;
    return false;
}

static bool read_include(struct reading *r, const char *section, const char *name, struct fail *why)
{
    struct config *config = r->config;
    char path[PATH_SIZE_B], folder[PATH_SIZE_B], text[FAIL_DETAIL_SIZE_B];
    const struct entry *said = find_single(config, find_rule(config, "includeconf"), 0);
    if (said != NULL && said->negated) /* -noincludeconf */
        return true;
    if (r->included) {
        snprintf(text, sizeof text,
            "includeconf cannot be used from included files (line %u of %.150s)", r->line, r->path);
        return complain(r, section, text, why);
    }
    const char *slash = strrchr(r->path, '/');
    snprintf(
        folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - r->path + 1) : 0, r->path);
    if (!path_join(path, name[0] == '/' ? "" : folder, name, why))
        return false;
    struct buf content;
    buf_init(&content, CONFIG_FILE_MAX_B);
    struct fail wrong = { 0 };
    struct reading inner = {
        .config = config, .path = path, .only_for = section, .included = true
    };
    bool good = file_read_all(&disk_posix, path, &content, &wrong);
    if (!good) {
        snprintf(text, sizeof text, "Failed to include configuration file %.200s", name);
        good = complain(r, section, text, why);
    } else {
        good = read_text(&inner, buf_span(&content), &wrong);
        if (!good) {
            fail_prefix(&wrong, "%.100s: ", name);
            good = wrong.kind == FAIL_REQUEST && complain(r, section, wrong.detail, why);
        }
        if (!good && wrong.kind != FAIL_REQUEST)
            *why = wrong;
    }
    buf_clear(&content);
    return good;
}

/* What stands at the top counts for every chain and fails now; the rest when its chain is chosen. */
static bool complain(struct reading *r, const char *section, const char *text, struct fail *why)
{
    if (section == NULL && r->only_for == NULL)
        return fail_request(why, 0, "%s", text);
    struct entry entry = { .source = SOURCE_FILE, .section = section, .only_for = r->only_for };
    entry.value = keep(r->config, span_text(text), why);
    return entry.value != NULL && add_entry(r->config, &entry, why);
}

static void unknown_text(const struct config *config, const char *name, char *out, size_t size_b)
{
    const char *near = config_suggest(config, name);
    snprintf(out, size_b, "%s%s%s", near != NULL ? " (did you mean " : "", near != NULL ? near : "",
        near != NULL ? "?)" : "");
}

static char *keep(struct config *config, struct span text, struct fail *why)
{
    char *copy = arena_text(&config->texts, (const char *)text.data, text.size_b);
    if (copy == NULL)
        fail_oom(why, "the options");
    return copy;
}

static struct span trim(struct span text)
{
    while (text.size_b > 0 && strchr(" \t\r\n", text.data[0]) != NULL && text.data[0] != '\0')
        text = span_of(text.data + 1, text.size_b - 1);
    while (text.size_b > 0 && strchr(" \t\r\n", text.data[text.size_b - 1]) != NULL &&
           text.data[text.size_b - 1] != '\0')
        text.size_b--;
    return text;
}

/* ---- look-ups ---- */

static const struct option_rule *find_rule(const struct config *config, const char *name)
{
    for (const struct option_rule *rule = config->rules; rule->name != NULL; rule++)
        if (strcmp(rule->name, name) == 0)
            return rule;
    return NULL;
}

static bool entry_counts(const struct config *config, const struct entry *entry)
{
    if (entry->source != SOURCE_FILE)
        return true;
    if (entry->only_for != NULL &&
        (config->section == NULL || strcmp(entry->only_for, config->section) != 0))
        return false;
    if (entry->section != NULL)
        return config->section != NULL && strcmp(entry->section, config->section) == 0;
    return config->is_default_chain || entry->rule == NULL ||
           (entry->rule->where & OPT_NETWORK) == 0;
}

static int entry_rank(const struct entry *entry)
{
    switch (entry->source) {
    case SOURCE_ARGS:
        return 0;
    case SOURCE_FILE:
        return entry->section != NULL ? 1 : 2;
    case SOURCE_SOFT:
        break;
    }
    return RANK_SOFT;
}

/* The last entry of the best rank, or NULL. */
static const struct entry *find_single(
    const struct config *config, const struct option_rule *rule, int rank_max)
{
    const struct entry *best = NULL;
    for (uint32_t i = 0; rule != NULL && i < config->count; i++) {
        const struct entry *entry = &config->entries[i];
        if (entry->rule != rule || !entry_counts(config, entry) || entry_rank(entry) > rank_max)
            continue;
        if (best == NULL || entry_rank(entry) <= entry_rank(best))
            best = entry;
    }
    return best;
}

/* false: nobody said anything about this list, so its default counts. */
static bool find_in_list(
    const struct config *config, const struct option_rule *rule, uint32_t index, const char **value)
{
    bool said = false, cut = false;
    for (int rank = 0; rank <= RANK_SOFT && !cut; rank++) {
        if (rank == RANK_SOFT && said)
            break;
        uint32_t from =
            0; /* behind the last negation of this source; it hides lesser sources too */
        for (uint32_t i = 0; i < config->count; i++) {
            const struct entry *entry = &config->entries[i];
            if (entry->rule == rule && entry->negated && entry_rank(entry) == rank &&
                entry_counts(config, entry)) {
                from = i + 1;
                said = cut = true;
            }
        }
        for (uint32_t i = from; i < config->count; i++) {
            const struct entry *entry = &config->entries[i];
            if (entry->rule != rule || entry_rank(entry) != rank || !entry_counts(config, entry))
                continue;
            said = true;
            if (*value == NULL && index-- == 0)
                *value = entry->value;
        }
    }
    return said;
}

static bool text_to_bool(const char *text)
{
    return text[0] == '\0' || text_to_int(text) != 0;
}

/* Bitcoin's: leading spaces and one plus are skipped, digits count as far as they go, too large
 * becomes the largest, no number is 0. */
static int64_t text_to_int(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    bool negative = *text == '-';
    if (*text == '-' || *text == '+')
        text++;
    int64_t value = 0;
    for (; isdigit((unsigned char)*text); text++) {
        int64_t digit = *text - '0';
        if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_sub_overflow(value, digit, &value))
            return negative ? INT64_MIN : INT64_MAX;
    }
    if (negative)
        return value; /* counted downwards, because the smallest has no positive twin */
    return value == INT64_MIN ? INT64_MAX : -value;
}

/* ---- help ---- */

static void print_group(const struct config *config, struct buf *out, const char *group, bool debug)
{
    bool has_heading = false;
    for (const struct option_rule *rule = config->rules; rule->name != NULL; rule++) {
        bool hidden = (rule->where & (OPT_DEBUG | OPT_NO_EFFECT)) != 0 && !debug;
        if (hidden || strcmp(rule->group, group) != 0)
            continue;
        if (!has_heading)
            buf_printf(out, "%s:\n\n", group);
        has_heading = true;
        print_option(out, rule);
    }
}

static void print_option(struct buf *out, const struct option_rule *rule)
{
    struct buf text;
    buf_init(&text, 16 * 1024);
    buf_printf(out, "  -%s%s%s\n", rule->name, rule->argument != NULL ? "=" : "",
        rule->argument != NULL ? rule->argument : "");
    buf_put_text(&text, rule->help != NULL ? rule->help : "");
    if (rule->default_text != NULL && rule->default_text[0] != '\0')
        buf_printf(&text, " (default: %s)", rule->default_text);
    if ((rule->where & OPT_NO_EFFECT) != 0)
        buf_put_text(&text, " (accepted, no effect)");
    buf_put_u8(&text, '\0');
    if (!text.failed)
        print_wrapped(out, (const char *)text.data);
    buf_put_text(out, "\n");
    buf_clear(&text);
}

static void print_wrapped(struct buf *out, const char *text)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t word_b = strcspn(text, " \n");
        if (column > 0 && column + 1 + word_b > HELP_WIDTH) {
            buf_put_u8(out, '\n');
            column = 0;
        }
        if (column == 0) {
            buf_printf(out, "%*s", (int)HELP_INDENT, "");
            column = HELP_INDENT;
        } else {
            buf_put_u8(out, ' ');
            column++;
        }
        buf_put(out, text, word_b);
        column += word_b;
        text += word_b;
        if (*text == '\n') {
            buf_put_u8(out, '\n');
            column = 0;
        }
        if (*text != '\0')
            text++;
    }
    if (column > 0)
        buf_put_u8(out, '\n');
}

/* Edits (insert, drop, replace, swap two neighbours) that turn a into b; long names are far from
 * all. */
static uint32_t distance(const char *a, const char *b)
{
    size_t a_b = strlen(a), b_b = strlen(b);
    if (a_b >= NAME_MAX_B || b_b >= NAME_MAX_B)
        return UINT32_MAX;
    uint32_t rows[3][NAME_MAX_B + 1];
    uint32_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b_b; j++)
        last[j] = (uint32_t)j;
    for (size_t i = 1; i <= a_b; i++) {
        now[0] = (uint32_t)i;
        for (size_t j = 1; j <= b_b; j++) {
            uint32_t best = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
        uint32_t *oldest = before;
        before = last;
        last = now;
        now = oldest;
    }
    return last[b_b];
}
