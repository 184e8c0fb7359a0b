/* config.h - options: one table, from which parsing, -help, man page and completion come.
 * Precedence: command line, settings, the file's section of the chosen chain, the file's top, default.
 * Single values: the last one wins; lists collect all. `-nox` is `-x=0`; for a list it empties what came
 * before. Unknown names are refused with the nearest known one. Thread: filled before the loop starts,
 * immutable afterwards. */
#ifndef COIN_BASE_CONFIG_H
#define COIN_BASE_CONFIG_H

#include "coin/base/bytes.h"

enum option_type { OPT_FLAG, OPT_INT, OPT_AMOUNT, OPT_TEXT, OPT_LIST };
enum option_where {
    OPT_ANYWHERE = 0,
    OPT_COMMAND_LINE = 1, /* -conf, -version, -help: not in a file */
    OPT_NETWORK = 2,      /* at the top of a file it applies to the default chain only */
    OPT_NO_EFFECT = 4,    /* accepted for Bitcoin's sake */
    OPT_DEBUG = 8         /* listed by -help-debug only */
};
struct option_rule {
    const char *name; /* without dash */
    enum option_type type;
    unsigned where; /* enum option_where, or-ed */
    const char *group;        /* heading in -help */
    const char *argument;     /* "<dir>", NULL for none */
    const char *default_text; /* NULL: none */
    const char *help;
};

struct config;
/* rules: ends with a row whose name is NULL; must outlive the config. */
struct config *config_new(const struct option_rule *rules);
void config_free(struct config *config);

/* FAIL_REQUEST; detail is the sentence for the user, without "Error: ...:" in front. */
bool config_parse_args(struct config *config, int argc, char *const argv[], struct fail *why) MUST_USE;
/* Reads one file (and -includeconf in it, one level). must_exist false: a missing file is fine. The text
 * is kept per section; config_select_chain decides which sections count. */
bool config_read_file(struct config *config, const char *path, bool must_exist, struct fail *why) MUST_USE;
/* Names in files that are not in the rules are passed over: a program that reads another's file. */
void config_skip_unknown(struct config *config);
/* section: "main", "regtest", ...; is_default_chain: network options at the file's top count. */
void config_select_chain(struct config *config, const char *section, bool is_default_chain);
/* After config_select_chain: refuses what is wrong in the chosen chain's section (unknown names there; at
 * the top they fail at once). FAIL_REQUEST. */
bool config_check(const struct config *config, struct fail *why) MUST_USE;
/* Network options that stand at a file's top only, and so do nothing on the chosen chain: names from
 * index 0, NULL past the end. Bitcoin warns: "Config setting for -port only applied on ...". */
const char *config_misplaced(const struct config *config, uint32_t index);

bool config_is_set(const struct config *config, const char *name); /* given anywhere, not by default */
bool config_is_implied(const struct config *config, const char *name); /* or by config_soft_set */
bool config_is_negated(const struct config *config, const char *name); /* the last word was -nox */
const char *config_text(const struct config *config, const char *name); /* NULL: no value, no default */
bool config_flag(const struct config *config, const char *name);        /* Bitcoin's: "", non-zero = true */
/* Not set: the table's default, and `otherwise` where that has none. OPT_AMOUNT: in 10^-8. */
int64_t config_int(const struct config *config, const char *name, int64_t otherwise);
/* Lists: index from 0; NULL past the end. */
const char *config_list(const struct config *config, const char *name, uint32_t index);
/* Makes a later look-up answer `value` unless the user said something (-connect implies -listen=0). */
void config_soft_set(struct config *config, const char *name, const char *value);

void config_print_help(const struct config *config, struct buf *out, bool debug);
/* Nearest known option name, or NULL when nothing is near. */
const char *config_suggest(const struct config *config, const char *name);

#endif
