/* log.h - one log for the process: levelled, by category, bounded per source.
 * The sink is one of the few things threads share (a lock inside). A line is written by the one who
 * handles an event, once, with who, what, which rule and the numbers. Thread: any. */
#ifndef COIN_BASE_LOG_H
#define COIN_BASE_LOG_H

#include "coin/base/fail.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Bitcoin's category names (-debug=net, ...): see log_category_name. */
enum log_category {
    LOG_ALWAYS, /* shown whatever -debug says */
    LOG_NET, LOG_MEMPOOL, LOG_HTTP, LOG_BENCH, LOG_ZMQ, LOG_WALLETDB, LOG_RPC, LOG_ESTIMATEFEE,
    LOG_ADDRMAN, LOG_SELECTCOINS, LOG_REINDEX, LOG_CMPCTBLOCK, LOG_RAND, LOG_PRUNE, LOG_PROXY,
    LOG_MEMPOOLREJ, LOG_LIBEVENT, LOG_COINDB, LOG_QT, LOG_LEVELDB, LOG_VALIDATION, LOG_I2P, LOG_IPC,
    LOG_LOCK, LOG_BLOCKSTORAGE, LOG_TXRECONCILIATION, LOG_SCAN, LOG_TXPACKAGES, LOG_KERNEL, LOG_MINING,
    LOG_TOR, LOG_PRIVATEBROADCAST,
    LOG_CATEGORIES
};

void log_write(enum log_level level, enum log_category category, const char *format, ...)
    PRINTF_LIKE(3, 4);
#define log_error(...) log_write(LOG_ERROR, LOG_ALWAYS, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, LOG_ALWAYS, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, LOG_ALWAYS, __VA_ARGS__)
/* The arguments are not evaluated while the category is off. */
#define log_debug(category, ...) \
    (log_enabled(category) ? log_write(LOG_DEBUG, category, __VA_ARGS__) : (void)0)

const char *log_category_name(enum log_category category);
/* "1", "all" and "" mean every category, "0" and "none" turn all off; false: no such name. */
bool log_enable(const char *name, bool on);
bool log_enabled(enum log_category category);

struct log_options {
    const char *path;  /* NULL: no file; created with mode 0600, appended */
    bool to_stdout;    /* plain lines there too */
    bool json;         /* one JSON object a line */
    bool timestamps;   /* ISO 8601 UTC in front */
    int64_t (*wall_ms)(void *ctx); /* NULL: the system's clock */
    void *clock_ctx;
};
/* Before the first log_open, and after log_close, lines go nowhere. */
bool log_open(const struct log_options *options, struct fail *why) MUST_USE;
bool log_reopen(struct fail *why) MUST_USE; /* after rotation (SIGHUP) */
void log_close(void);

/* Rate limit for lines that an outsider can cause: true at most `burst` times per window. */
struct log_limit {
    int64_t window_start_us;
    uint32_t count, suppressed;
};
bool log_allow(struct log_limit *limit, int64_t now_us, uint32_t burst, int64_t window_us);

#endif
