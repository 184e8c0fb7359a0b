/* fail.h - how a failure travels from where it happened to who can act on it.
 * Everything that can fail returns bool and takes `struct fail *why` last. The struct lives on the
 * caller's stack and has a fixed size, so even "out of memory" can be reported. Thread: any. */
#ifndef COIN_BASE_FAIL_H
#define COIN_BASE_FAIL_H

#include <stdbool.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt_arg, first) __attribute__((format(printf, fmt_arg, first)))

/* What the one who handles the failure must do. */
enum fail_kind {
    FAIL_NONE,      /* nothing failed (or nobody said yet) */
    FAIL_INVALID,   /* breaks consensus for ever: remember the hash, drop the peer */
    FAIL_MUTATED,   /* this copy is bad, the hash may be good: never remember it (CVE-2012-2459) */
    FAIL_TOO_EARLY, /* cannot be judged yet: parent unknown, clock ahead; try again */
    FAIL_POLICY,    /* legal but unwanted: drop it, blame nobody */
    FAIL_PROTOCOL,  /* the peer broke the wire format: disconnect */
    FAIL_REQUEST,   /* the user asked for something wrong: tell them which argument */
    FAIL_NO_ROOM,   /* we cannot afford it now (memory, full table): undo, live on, blame nobody */
    FAIL_LOCAL      /* our disk or database: stop cleanly before anything is torn */
};

#define FAIL_CODE_SIZE_B 128
#define FAIL_DETAIL_SIZE_B 320

struct fail {
    enum fail_kind kind;
    int32_t rpc_code;                /* for FAIL_REQUEST: the JSON-RPC error number; else 0 */
    char code[FAIL_CODE_SIZE_B];     /* stable: what software matches ("bad-txns-vin-empty") */
    char detail[FAIL_DETAIL_SIZE_B]; /* what a person reads */
};

/* Each sets *why and returns false, so that failing is one line. */
bool fail_set(struct fail *why, enum fail_kind kind, const char *code, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* FAIL_REQUEST with its JSON-RPC error number; code becomes "request". */
bool fail_request(struct fail *why, int32_t rpc_code, const char *format, ...) PRINTF_LIKE(3, 4);
/* FAIL_NO_ROOM, code "no-memory". what: the thing that did not fit. */
bool fail_oom(struct fail *why, const char *what);
/* FAIL_LOCAL, code "io-error", detail ends in strerror(error_number). */
bool fail_io(struct fail *why, int error_number, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts a level of context before the detail; leaves kind and code. Returns false. */
bool fail_prefix(struct fail *why, const char *format, ...) PRINTF_LIKE(2, 3);

void fail_clear(struct fail *why);

#endif
