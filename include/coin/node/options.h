/* options.h - the tables of accepted options: -help, man page and completion come from them. */
#ifndef COIN_NODE_OPTIONS_H
#define COIN_NODE_OPTIONS_H

#include "coin/base/config.h"

extern const struct option_rule node_options[]; /* coind */
extern const struct option_rule cli_options[];  /* coin-cli */

#endif
