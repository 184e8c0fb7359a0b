/* The log. One process, one sink: a file descriptor and perhaps stdout behind a lock, a line a write, so
 * lines of different threads never mix and nothing is lost in a buffer when the process dies. Control
 * characters are escaped: what a peer calls itself must not forge a line.
 *
 * A plain line:  2026-01-02T03:04:05Z [net:warning] text      ("[net]" below warning, nothing for info)
 * A JSON line:   {"time":"2026-01-02T03:04:05.006Z","level":"warning","category":"net","message":"text"} */
#include "coin/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "coin/base/file.h"
#include "coin/base/json.h"

#define LOG_TEXT_MAX_B 2048u              /* of one message; longer ones are cut */
#define LOG_LINE_MAX_B (8u * LOG_TEXT_MAX_B) /* with escapes and what stands around it */
#define LOG_FD_NONE (-1)

static struct {
    pthread_mutex_t lock;
    int fd;
    bool is_open, to_stdout, json, timestamps;
    char path[PATH_SIZE_B];
    int64_t (*wall_ms)(void *ctx);
    void *clock_ctx;
} sink = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = LOG_FD_NONE };
static atomic_bool sink_is_open; /* so that a silent process does not even format */
static atomic_uint_fast64_t enabled_mask;

static int open_file(const char *path, struct fail *why);
static void write_line(enum log_level level, enum log_category category, const char *text);
static size_t plain_line(char *line, size_t size_b, enum log_level level, enum log_category category,
    const char *text, int64_t now_ms);
static void json_line(struct buf *line, enum log_level level, enum log_category category,
    const char *text, int64_t now_ms);
static void time_text(char out[64], int64_t now_ms, bool with_ms);
static void write_all(int fd, const void *data, size_t size_b);

static const char *const category_names[LOG_CATEGORIES] = {
    [LOG_ALWAYS] = "", [LOG_NET] = "net", [LOG_MEMPOOL] = "mempool", [LOG_HTTP] = "http",
    [LOG_BENCH] = "bench", [LOG_ZMQ] = "zmq", [LOG_WALLETDB] = "walletdb", [LOG_RPC] = "rpc",
    [LOG_ESTIMATEFEE] = "estimatefee", [LOG_ADDRMAN] = "addrman", [LOG_SELECTCOINS] = "selectcoins",
    [LOG_REINDEX] = "reindex", [LOG_CMPCTBLOCK] = "cmpctblock", [LOG_RAND] = "rand",
    [LOG_PRUNE] = "prune", [LOG_PROXY] = "proxy", [LOG_MEMPOOLREJ] = "mempoolrej",
    [LOG_LIBEVENT] = "libevent", [LOG_COINDB] = "coindb", [LOG_QT] = "qt", [LOG_LEVELDB] = "leveldb",
    [LOG_VALIDATION] = "validation", [LOG_I2P] = "i2p", [LOG_IPC] = "ipc", [LOG_LOCK] = "lock",
    [LOG_BLOCKSTORAGE] = "blockstorage", [LOG_TXRECONCILIATION] = "txreconciliation",
    [LOG_SCAN] = "scan", [LOG_TXPACKAGES] = "txpackages", [LOG_KERNEL] = "kernel",
    [LOG_MINING] = "mining", [LOG_TOR] = "tor", [LOG_PRIVATEBROADCAST] = "privatebroadcast",
};
_Static_assert(LOG_CATEGORIES <= 64, "one bit each");

static const char *const level_names[] = {
    [LOG_ERROR] = "error", [LOG_WARNING] = "warning", [LOG_INFO] = "info", [LOG_DEBUG] = "debug",
};

void log_write(enum log_level level, enum log_category category, const char *format, ...)
{
    if (!atomic_load_explicit(&sink_is_open, memory_order_acquire) ||
        (level == LOG_DEBUG && !log_enabled(category)))
        return;
    char text[LOG_TEXT_MAX_B];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    write_line(level, category, text);
}

const char *log_category_name(enum log_category category)
{
    return category_names[category];
}

bool log_enable(const char *name, bool on)
{
    bool all = name[0] == '\0' || strcmp(name, "1") == 0 || strcmp(name, "all") == 0;
    if (strcmp(name, "0") == 0 || strcmp(name, "none") == 0) {
        all = true;
        on = false;
    }
    if (all) {
        atomic_store(&enabled_mask, on ? ~UINT64_C(0) : 0);
        return true;
    }
    for (unsigned i = LOG_ALWAYS + 1; i < LOG_CATEGORIES; i++) {
        if (strcmp(name, category_names[i]) != 0)
            continue;
        if (on)
            atomic_fetch_or(&enabled_mask, UINT64_C(1) << i);
        else
            atomic_fetch_and(&enabled_mask, ~(UINT64_C(1) << i));
        return true;
    }
    return false;
}

bool log_enabled(enum log_category category)
{
    return category == LOG_ALWAYS ||
        (atomic_load_explicit(&enabled_mask, memory_order_relaxed) >> category & 1) != 0;
}

bool log_open(const struct log_options *options, struct fail *why)
{
    log_close();
    char path[PATH_SIZE_B] = "";
    int fd = LOG_FD_NONE;
    if (options->path != NULL) {
        if (strlen(options->path) >= sizeof path)
            return fail_set(why, FAIL_LOCAL, "path-too-long", "path too long: %s", options->path);
        memcpy(path, options->path, strlen(options->path) + 1);
        fd = open_file(path, why);
        if (fd < 0)
            return false;
    }
    pthread_mutex_lock(&sink.lock);
    sink.fd = fd;
    memcpy(sink.path, path, sizeof path);
    sink.to_stdout = options->to_stdout;
    sink.json = options->json;
    sink.timestamps = options->timestamps;
    sink.wall_ms = options->wall_ms;
    sink.clock_ctx = options->clock_ctx;
    sink.is_open = true;
    pthread_mutex_unlock(&sink.lock);
    atomic_store_explicit(&sink_is_open, true, memory_order_release);
    return true;
}

bool log_reopen(struct fail *why)
{
    char path[PATH_SIZE_B];
    pthread_mutex_lock(&sink.lock);
    memcpy(path, sink.path, sizeof path);
    bool has_file = sink.is_open && sink.fd != LOG_FD_NONE;
    pthread_mutex_unlock(&sink.lock);
    if (!has_file)
        return true;
    int fd = open_file(path, why);
    if (fd < 0)
        return false; /* the old one stays: better there than nowhere */
    pthread_mutex_lock(&sink.lock);
    int old = sink.fd;
    sink.fd = fd;
    pthread_mutex_unlock(&sink.lock);
    close(old);
    return true;
}

void log_close(void)
{
    atomic_store_explicit(&sink_is_open, false, memory_order_release);
    pthread_mutex_lock(&sink.lock);
    if (sink.fd != LOG_FD_NONE)
        close(sink.fd);
    sink.fd = LOG_FD_NONE;
    sink.is_open = false;
    pthread_mutex_unlock(&sink.lock);
}

bool log_allow(struct log_limit *limit, int64_t now_us, uint32_t burst, int64_t window_us)
{
    if (limit->window_start_us == 0 || now_us - limit->window_start_us >= window_us ||
        now_us < limit->window_start_us) {
        limit->window_start_us = now_us;
        limit->count = 0;
    }
    if (limit->count >= burst) {
        if (limit->suppressed < UINT32_MAX)
            limit->suppressed++;
        return false;
    }
    limit->count++;
    return true;
}

static int open_file(const char *path, struct fail *why)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        fail_io(why, errno, "cannot open log file %s", path);
    return fd;
}

static void write_line(enum log_level level, enum log_category category, const char *text)
{
    char line[LOG_LINE_MAX_B];
    struct buf json;
    buf_init(&json, LOG_LINE_MAX_B);
    pthread_mutex_lock(&sink.lock);
    if (sink.is_open) {
        struct timespec now = { 0 };
        if (sink.wall_ms == NULL)
            clock_gettime(CLOCK_REALTIME, &now);
        int64_t now_ms = sink.wall_ms != NULL ? sink.wall_ms(sink.clock_ctx)
                                              : (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
        struct span out;
        if (sink.json) {
            json_line(&json, level, category, text, now_ms);
            out = buf_span(&json);
        } else {
            out = span_of(line, plain_line(line, sizeof line, level, category, text, now_ms));
        }
        if (sink.fd != LOG_FD_NONE)
            write_all(sink.fd, out.data, out.size_b);
        if (sink.to_stdout)
            write_all(STDOUT_FILENO, out.data, out.size_b);
    }
    pthread_mutex_unlock(&sink.lock);
    buf_clear(&json);
}

static size_t plain_line(char *line, size_t size_b, enum log_level level, enum log_category category,
    const char *text, int64_t now_ms)
{
    size_t at = 0;
    if (sink.timestamps) {
        char when[64];
        time_text(when, now_ms, false);
        at += (size_t)snprintf(line, size_b, "%s ", when);
    }
    const char *name = category_names[category];
    bool has_name = name[0] != '\0', loud = level == LOG_ERROR || level == LOG_WARNING;
    if (has_name || loud)
        at += (size_t)snprintf(line + at, size_b - at, "[%s%s%s] ", name, has_name && loud ? ":" : "",
            loud ? level_names[level] : "");
    for (const char *c = text; *c != '\0' && size_b - at > 8; c++) {
        uint8_t byte = (uint8_t)*c;
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
            at += (size_t)snprintf(line + at, size_b - at, "\\x%02x", byte);
        else
            line[at++] = *c;
    }
    line[at++] = '\n';
    return at;
}

static void json_line(struct buf *line, enum log_level level, enum log_category category,
    const char *text, int64_t now_ms)
{
    struct json_writer w;
    char when[64];
    jw_init(&w, line, 0);
    jw_object(&w);
    if (sink.timestamps) {
        time_text(when, now_ms, true);
        jw_key_text(&w, "time", when);
    }
    jw_key_text(&w, "level", level_names[level]);
    if (category != LOG_ALWAYS)
        jw_key_text(&w, "category", category_names[category]);
    jw_key_text(&w, "message", text);
    jw_end_object(&w);
    buf_put_u8(line, '\n');
}

static void time_text(char out[64], int64_t now_ms, bool with_ms)
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    if (now_ms < 0 || gmtime_r(&seconds, &utc) == NULL) {
        snprintf(out, 64, "%lld", (long long)now_ms);
        return;
    }
    size_t used_b = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &utc);
    if (with_ms)
        used_b += (size_t)snprintf(out + used_b, 64 - used_b, ".%03d", (int)(now_ms % 1000));
    snprintf(out + used_b, 64 - used_b, "Z");
}

/* A log that cannot be written must not stop what it tells about. */
static void write_all(int fd, const void *data, size_t size_b)
{
    const uint8_t *at = data;
    while (size_b > 0) {
        ssize_t wrote_b = write(fd, at, size_b);
        if (wrote_b < 0 && errno == EINTR)
            continue;
        if (wrote_b <= 0)
            return;
        at += wrote_b;
        size_b -= (size_t)wrote_b;
    }
}
