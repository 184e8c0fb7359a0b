/* status.h - the one live line on a terminal. Thread: loop. */
#ifndef COIN_NODE_STATUS_H
#define COIN_NODE_STATUS_H

#include "coin/node/node.h"

#define STATUS_SIZE_B 256
struct status { /* what a rate is measured against */
    int64_t since_us;
    int32_t since_height;
    double blocks_per_s;
};
/* Sync progress with rate and time left, height, peers, mempool, hash rate, balances; no newline. */
void status_line(char out[STATUS_SIZE_B], struct status *status, struct node *node, int64_t now_us);

#endif
