/* place.h - where a node lives: data directory, configuration file, chain. coind and coin-cli find it the
 * same way, so that one speaks to the other without being told. Thread: before the loop. */
#ifndef COIN_NODE_PLACE_H
#define COIN_NODE_PLACE_H

#include "coin/base/config.h"
#include "coin/base/file.h"
#include "coin/chain/chain.h"

#define PLACE_CONF_NAME "coin.conf"

struct place {
    char root[PATH_SIZE_B]; /* the data directory */
    char dir[PATH_SIZE_B];  /* the chain's folder: root itself on the program's own chain */
    char conf[PATH_SIZE_B];
    struct chain *chain;    /* owned */
};
/* config holds the command line; the configuration file is read into it, and its chain selected. Nothing
 * is created. FAIL_REQUEST: the sentence for the user, after "Error: ". */
bool place_find(struct place *place, struct config *config, struct fail *why) MUST_USE;
void place_clear(struct place *place);
/* out[PATH_SIZE_B]: name itself when it is absolute, else in dir. */
bool place_resolve(char *out, const char *dir, const char *name, struct fail *why) MUST_USE;
/* Applies -testactivationheight, -vbparams, -signetchallenge to the chain. FAIL_REQUEST. */
bool place_override_rules(struct place *place, const struct config *config, struct fail *why) MUST_USE;

#endif
