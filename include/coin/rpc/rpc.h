/* rpc.h - JSON-RPC: a call, its declarative table, and how it is answered.
 * A new call is one row in a group's table (src/rpc/<group>.c) and one function. The row makes type checks,
 * named arguments, `help`, the CLI's conversions and doc/rpc.md.
 *
 * Thread: loop. A method answers exactly once, now or later, by rpc_ok or rpc_fail; until then it owns the
 * call. What touches the disk or takes over a millisecond is a job. */
#ifndef COIN_RPC_RPC_H
#define COIN_RPC_RPC_H

#include "coin/base/config.h"
#include "coin/base/env.h"
#include "coin/base/json.h"
#include "coin/chain/chain.h"

/* Bitcoin's error numbers (rpc/protocol.h there). */
enum rpc_error {
    RPC_MISC_ERROR = -1, RPC_TYPE_ERROR = -3, RPC_WALLET_ERROR = -4, RPC_INVALID_ADDRESS_OR_KEY = -5,
    RPC_WALLET_INSUFFICIENT_FUNDS = -6, RPC_OUT_OF_MEMORY = -7, RPC_INVALID_PARAMETER = -8,
    RPC_CLIENT_NOT_CONNECTED = -9, RPC_CLIENT_IN_INITIAL_DOWNLOAD = -10,
    RPC_WALLET_INVALID_LABEL_NAME = -11, RPC_WALLET_KEYPOOL_RAN_OUT = -12,
    RPC_WALLET_UNLOCK_NEEDED = -13, RPC_WALLET_PASSPHRASE_INCORRECT = -14,
    RPC_WALLET_WRONG_ENC_STATE = -15, RPC_WALLET_ENCRYPTION_FAILED = -16,
    RPC_WALLET_ALREADY_UNLOCKED = -17, RPC_WALLET_NOT_FOUND = -18, RPC_WALLET_NOT_SPECIFIED = -19,
    RPC_DATABASE_ERROR = -20, RPC_DESERIALIZATION_ERROR = -22, RPC_CLIENT_NODE_ALREADY_ADDED = -23,
    RPC_CLIENT_NODE_NOT_ADDED = -24, RPC_VERIFY_ERROR = -25, RPC_VERIFY_REJECTED = -26,
    RPC_VERIFY_ALREADY_IN_UTXO_SET = -27, RPC_IN_WARMUP = -28, RPC_CLIENT_NODE_NOT_CONNECTED = -29,
    RPC_CLIENT_INVALID_IP_OR_SUBNET = -30, RPC_CLIENT_P2P_DISABLED = -31,
    RPC_CLIENT_MEMPOOL_DISABLED = -33, RPC_WALLET_ALREADY_LOADED = -35, RPC_WALLET_ALREADY_EXISTS = -36,
    RPC_INVALID_REQUEST = -32600, RPC_METHOD_NOT_FOUND = -32601, RPC_INTERNAL_ERROR = -32603,
    RPC_PARSE_ERROR = -32700
};

struct tip_wait;
struct coin_scan;
struct block_scan;

/* The node as methods see it: pointers, borrowed; all set before the first call runs. */
struct rpc_ctx {
    const struct env *env;
    const struct chain *chain;
    const struct config *config;
    struct ledger *ledger;
    struct mempool *mempool;
    struct miner *miner;
    struct p2p *p2p;
    struct wallets *wallets; /* NULL: -disablewallet */
    const char *datadir;     /* the chain's folder */
    int64_t start_us;        /* steady clock */
    struct rpc_server *server;
    struct tip_wait *tip_waits; /* calls that wait for the tip (tip_wait.c) */
    struct coin_scan *scan;     /* the one walk over all coins, or NULL (scan.c) */
    struct block_scan *block_scan; /* the one walk over block filters (scanblocks.c) */
    void *node; /* for the three below */
    void (*stop)(void *node);
    void (*set_mock_time)(void *node, int64_t time_s); /* 0: the real clock again */
    void (*mock_forward)(void *node, int64_t seconds);  /* mockscheduler */
};

enum rpc_type { RPC_ANY, RPC_STRING, RPC_NUMBER, RPC_BOOL, RPC_ARRAY, RPC_OBJECT, RPC_AMOUNT /* number or string */,
    RPC_HEX /* string */, RPC_RANGE /* number or array */ , RPC_VERBOSITY /* bool or number */ };
struct rpc_arg {
    const char *name; /* with aliases: "verbosity|verbose" */
    enum rpc_type type;
    bool required;
    const char *default_text; /* for help */
    const char *help;
};
#define RPC_ARGS_END {NULL, RPC_ANY, false, NULL, NULL}
#define RPC_ARGS_MAX 16
struct rpc_call;
struct rpc_method {
    const char *name; /* NULL ends a table */
    const char *summary;
    const struct rpc_arg *args; /* ends with name NULL; NULL: takes none */
    const char *result;         /* help: what comes back */
    const char *example;        /* arguments as typed after the name in coin-cli; "" for none */
    bool hidden;                /* not in the list of `help` */
    bool during_warmup;         /* allowed before the node is ready */
    void (*run)(struct rpc_call *call);
};
struct rpc_group {
    const char *title; /* "Blockchain" */
    const struct rpc_method *methods;
};
extern const struct rpc_group rpc_groups[]; /* ends with title NULL */

struct rpc_call {
    struct rpc_ctx *ctx;
    const struct rpc_method *method;
    const struct json *args[RPC_ARGS_MAX]; /* by position; NULL or JSON null: left out */
    struct span wallet_name;               /* from /wallet/<name>, decoded; data NULL: not given */
    struct json_writer out;                /* write exactly one value here, then rpc_ok */
    bool cancelled;                        /* the client has gone: answer when convenient, it is dropped */
    void (*on_cancel)(struct rpc_call *call); /* optional: set by a waiting method; it still must answer */
    void *state;                              /* the method's own */
    /* private to the dispatcher: */
    struct rpc_request *request;
    uint32_t slot;
    int64_t start_us;
    struct buf result;
    char *long_error; /* a message longer than a struct fail holds: the help text */
};
void rpc_ok(struct rpc_call *call);
/* kind FAIL_REQUEST: its rpc_code; others map to Bitcoin's numbers (POLICY, INVALID: -26, ...). */
void rpc_fail(struct rpc_call *call, const struct fail *why);
/* fail_request and rpc_fail in one. */
void rpc_error(struct rpc_call *call, int32_t code, const char *format, ...) PRINTF_LIKE(3, 4);
/* Answers -1 "... is for regression testing ..." on other chains. */
bool rpc_for_tests(struct rpc_call *call, const char *name);
bool rpc_has_arg(const struct rpc_call *call, uint32_t i); /* present and not null */

/* Typed arguments; on failure *why carries Bitcoin's words and code. Types were checked from the table. */
bool rpc_arg_i64(int64_t *out, const struct rpc_call *call, uint32_t i, int64_t otherwise, struct fail *why) MUST_USE;
bool rpc_arg_bool(bool *out, const struct rpc_call *call, uint32_t i, bool otherwise, struct fail *why) MUST_USE;
bool rpc_arg_text(struct span *out, const struct rpc_call *call, uint32_t i, const char *otherwise, struct fail *why) MUST_USE;
/* 64 hex digits; -8 "blockhash must be of length 64 (not 3, for 'abc')". */
bool rpc_arg_hash(uint8_t out[32], const struct rpc_call *call, uint32_t i, struct fail *why) MUST_USE;
bool rpc_hash_value(uint8_t out[32], const struct json *v, const char *name, struct fail *why) MUST_USE;
/* -3 "Amount out of range", "Invalid amount". */
bool rpc_amount_value(int64_t *sat, const struct rpc_call *call, const struct json *v, struct fail *why) MUST_USE;
/* -3 "JSON value of type number is not of expected type string" */
bool rpc_expect(const struct json *v, enum json_type type, struct fail *why) MUST_USE;
/* END or [BEGIN,END], at most count_max numbers; -8 with Bitcoin's words. *first is 0 for END alone. */
bool rpc_range_value(uint32_t *first, uint32_t *last, const struct json *v, uint32_t count_max,
    struct fail *why) MUST_USE;
/* hex string into buf: -22 "TX decode failed..." is the caller's; here -8 "<name> must be hexadecimal string". */
bool rpc_hex_value(struct buf *out, const struct json *v, const char *name, struct fail *why) MUST_USE;

/* ---- the server side: bytes of a request in, bytes of an answer out (rpc/http.h drives it) ---- */
struct rpc_server;
struct rpc_server *rpc_server_new(struct rpc_ctx *ctx);
void rpc_server_free(struct rpc_server *server);
/* Not ready yet: every call but those marked answers -28 with this text; NULL: ready. */
void rpc_server_set_warmup(struct rpc_server *server, const char *text);
/* body: one JSON-RPC request or batch. reply is called once, on the loop, with the HTTP status (200, 204,
 * 400, 404, 500) and the body (moved out of the buf by the callee). wallet: see rpc_call.wallet_name.
 * Returns a handle for rpc_server_cancel, or NULL when the reply was already given. */
struct rpc_reply {
    void (*fn)(void *ctx, int http_status, struct buf *body);
    void *ctx;
};
struct rpc_request *rpc_server_handle(struct rpc_server *server, struct buf *body, struct span wallet,
    const char *user, struct rpc_reply reply);
void rpc_server_cancel(struct rpc_server *server, struct rpc_request *request); /* no reply follows */
uint32_t rpc_server_active(const struct rpc_server *server);

/* ---- helpers that several groups share (src/rpc/show.c) ---- */
struct tx;
struct coin;
struct block_index;
/* {"asm":…,"desc":…,"hex":…,"address":…,"type":…} */
void rpc_show_script(struct json_writer *w, const struct chain *chain, struct span script, bool with_hex);
/* The same without the braces; inner: what a P2WSH script stands for, where it is known. */
void rpc_show_script_fields(struct json_writer *w, const struct chain *chain, struct span script, struct span inner,
    bool with_hex);
/* The object of decoderawtransaction / getrawtransaction 1, without the block's fields; the caller has
 * opened the object. spent: coins by input, for "fee" and (with_prevout) "prevout", or NULL. */
struct rpc_tx_view {
    bool with_hex, with_prevout;
    const struct coin *spent;
};
void rpc_show_tx(struct json_writer *w, const struct chain *chain, const struct tx *tx,
    const struct rpc_tx_view *view);

#endif
