/* Finds data directory, configuration file and chain, in that order: the file may name another data
 * directory and the chain, but not another file. */

#include "coin/node/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_CHAIN "coin"
#define DEFAULT_FOLDER ".coin"

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool find_root(struct place *place, const struct config *config, struct fail *why)
{
    const char *home = getenv("HOME");
    if (!config_is_set(config, "datadir"))
        return path_join(place->root, home != NULL && *home != 0 ? home : "/", DEFAULT_FOLDER, why);
    const char *given = config_text(config, "datadir");
    size_t length = given != NULL ? strlen(given) : 0;
    if (length == 0 || length >= PATH_SIZE_B || !is_folder(given))
        return fail_request(why, 0, "Specified data directory \"%s\" does not exist.", length > 0 ? given : "");
    snprintf(place->root, sizeof place->root, "%s", given);
    return true;
}

bool place_resolve(char *out, const char *dir, const char *name, struct fail *why)
{
    if (name[0] != '/')
        return path_join(out, dir, name, why);
    if (strlen(name) >= PATH_SIZE_B)
        return fail_request(why, 0, "The path %.100s... is too long", name);
    snprintf(out, PATH_SIZE_B, "%s", name);
    return true;
}

static bool read_conf(struct place *place, struct config *config, struct fail *why)
{
    struct fail wrong;
    const char *name = config_text(config, "conf");
    if (config_is_negated(config, "conf"))
        return true;
    if (!place_resolve(place->conf, place->root, name != NULL && *name != 0 ? name : PLACE_CONF_NAME, why))
        return false;
    if (!config_read_file(config, place->conf, config_is_set(config, "conf"), &wrong))
        return fail_request(why, 0, "Error reading configuration file: %s", wrong.detail);
    return true;
}

/* At most one of the four may speak. */
static bool choose_chain(const char **name, const struct config *config, struct fail *why)
{
    static const char *const flags[] = {"regtest", "signet", "testnet4"};
    uint32_t chosen = 0;
    *name = DEFAULT_CHAIN;
    if (config_is_set(config, "chain") && config_text(config, "chain") != NULL) {
        *name = config_text(config, "chain");
        chosen++;
    }
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (config_is_set(config, flags[i]) && config_flag(config, flags[i])) {
            *name = flags[i];
            chosen++;
        }
    }
    return chosen <= 1 || fail_request(why, 0,
                              "Invalid combination of -regtest, -signet, -testnet4 and -chain. Can use at most one.");
}

bool place_find(struct place *place, struct config *config, struct fail *why)
{
    struct fail wrong;
    const char *name;
    *place = (struct place){.chain = NULL};
    if (!find_root(place, config, why) || !read_conf(place, config, why) || !find_root(place, config, why) ||
        !choose_chain(&name, config, why))
        return false;
    place->chain = chain_load(name, why);
    if (place->chain == NULL)
        return false;
    bool is_default = strcmp(place->chain->name, DEFAULT_CHAIN) == 0;
    config_select_chain(config, place->chain->rpc_name, is_default);
    if (!config_check(config, &wrong)) {
        fail_request(why, 0, "Error reading configuration file: %s", wrong.detail);
    } else if (is_default) {
        snprintf(place->dir, sizeof place->dir, "%s", place->root);
        return true;
    } else if (path_join(place->dir, place->root, place->chain->name, why)) {
        return true;
    }
    place_clear(place);
    return false;
}

void place_clear(struct place *place)
{
    chain_free(place->chain);
    place->chain = NULL;
}

bool place_override_rules(struct place *place, const struct config *config, struct fail *why)
{
    const char *text;
    for (uint32_t i = 0; (text = config_list(config, "testactivationheight", i)) != NULL; i++) {
        if (!chain_set_activation_height(place->chain, text, why))
            return false;
    }
    for (uint32_t i = 0; (text = config_list(config, "vbparams", i)) != NULL; i++) {
        if (!chain_set_deployment(place->chain, text, why))
            return false;
    }
    for (uint32_t i = 0; (text = config_list(config, "test", i)) != NULL; i++) {
        if (!chain_set_test_rule(place->chain, text, why))
            return false;
    }
    text = config_text(config, "signetchallenge");
    return text == NULL || chain_set_signet_challenge(place->chain, text, why);
}
