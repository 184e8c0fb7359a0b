/* script_number.h - numbers on the script stack: little-endian, sign in the top bit, at most four bytes as
 * operands (five for lock times), nine as results. Private to script/. Thread: any (pure). */
#ifndef COIN_SRC_SCRIPT_NUMBER_H
#define COIN_SRC_SCRIPT_NUMBER_H

#include "coin/base/bytes.h"

#define SCRIPT_NUMBER_MAX_B 4   /* operands of arithmetic */
#define SCRIPT_LOCKTIME_MAX_B 5 /* BIP65, BIP112 */
#define SCRIPT_NUMBER_SIZE_B 9  /* longest encoding of an int64_t */

/* false: longer than max_b, or minimal asked and not so. */
bool script_number_decode(int64_t *out, struct span bytes, bool minimal, size_t max_b);
/* Up to eight bytes, whatever their form (assembly shows them). */
int64_t script_number_read(struct span bytes);
/* Returns how many bytes were written; 0 for zero. */
size_t script_number_encode(uint8_t out[SCRIPT_NUMBER_SIZE_B], int64_t n);

#endif
