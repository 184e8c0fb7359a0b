/* threads.h - what the process must know of the options before a node exists. Thread: any. */
#ifndef COIN_NODE_THREADS_H
#define COIN_NODE_THREADS_H

#include "coin/base/config.h"

uint32_t setup_workers(const struct config *config);      /* -par: threads that verify; at least 1 */
uint32_t setup_mine_threads(const struct config *config); /* -mine: 0 when this node does not mine */

#endif
