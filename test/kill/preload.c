/* preload.c - a shared library for LD_PRELOAD that ends a process at a chosen disk operation. Tests only.
 * It stands before libc and so sees the node's own files, LevelDB's and SQLite's alike: write, pwrite, writev,
 * pwritev, fdatasync, fsync, ftruncate, fallocate, rename, unlink and remove of files below one folder are
 * numbered from 1 in the order in which they begin, over all threads. The log is left out: its lines follow
 * the clock, and nothing is read back from it. Environment:
 *     COIN_KILL_DIR    the folder, an absolute path; without it nothing is counted
 *     COIN_KILL_AT     which operation; 0 or absent: only count
 *     COIN_KILL_MODE   before  the process ends (SIGKILL) before the operation (the default)
 *                      torn    a write is done by half, then the process ends; others as with before
 *                      full    the disk is full from there on: writing, syncing, growing and renaming fail
 *                              with ENOSPC; removing and cutting do not, as on a real disk
 *     COIN_KILL_COUNT  a file outside the folder: the number of operations is written there at the exit
 *     COIN_KILL_TRACE  a file outside the folder: each operation is written there, "NUMBER NAME PATH"
 * Paths must be absolute, as coind's are; descriptors are told apart by /proc/self/fd, so nothing need be remembered when files are opened. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == sizeof(off64_t), "pwrite64 is pwrite here");

#define PARTS_MAX 1024 /* of a gathered write: what Linux allows */

enum mode { MODE_BEFORE, MODE_TORN, MODE_FULL };
enum verdict { GO_ON, TEAR, REFUSE };

static struct {
    char dir[PATH_MAX];
    size_t dir_b;
    unsigned long at;
    enum mode mode;
    int trace_fd;
    pid_t pid; /* a child that the process starts is none of ours */
} setup;
static _Atomic unsigned long count;

/* The function of this name that would be called without us. */
#define NEXT(name) ((__typeof__(&name))find_next(#name))
static void *find_next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        kill(getpid(), SIGABRT);
    return found;
}

static const char *from_env(const char *name)
{
    const char *text = getenv(name);
    return text != NULL ? text : "";
}

__attribute__((constructor)) static void begin(void)
{
    const char *mode = from_env("COIN_KILL_MODE"), *trace = from_env("COIN_KILL_TRACE");
    size_t dir_b = strlen(from_env("COIN_KILL_DIR"));
    setup.trace_fd = trace[0] != '\0' ? open(trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    setup.at = strtoul(from_env("COIN_KILL_AT"), NULL, 10);
    setup.mode = strcmp(mode, "torn") == 0 ? MODE_TORN : strcmp(mode, "full") == 0 ? MODE_FULL : MODE_BEFORE;
    setup.pid = getpid();
    if (dir_b > 0 && dir_b < sizeof setup.dir) {
        memcpy(setup.dir, from_env("COIN_KILL_DIR"), dir_b);
        setup.dir_b = dir_b;
    }
}

__attribute__((destructor)) static void end(void)
{
    const char *path = from_env("COIN_KILL_COUNT");
    char text[32];
    if (path[0] == '\0' || getpid() != setup.pid)
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int size_b = snprintf(text, sizeof text, "%lu\n", atomic_load(&count));
    if (fd < 0 || NEXT(write)(fd, text, (size_t)size_b) != size_b)
        kill(getpid(), SIGABRT);
    close(fd);
}

/* Below the folder, in this process. */
static bool is_ours(const char *path)
{
    return setup.dir_b > 0 && strncmp(path, setup.dir, setup.dir_b) == 0 && path[setup.dir_b] == '/' &&
           setup.pid == getpid();
}

static bool is_log(const char *path)
{
    const char *name = strrchr(path, '/');
    return name != NULL && strcmp(name, "/debug.log") == 0;
}

static void trace(unsigned long number, const char *name, const char *path)
{
    char line[PATH_MAX + 64];
    int size_b = snprintf(line, sizeof line, "%lu %s %s\n", number, name, path + setup.dir_b + 1);
    if (setup.trace_fd >= 0 && size_b > 0 && NEXT(write)(setup.trace_fd, line, (size_t)size_b) != size_b)
        kill(getpid(), SIGABRT);
}

_Noreturn static void die(void)
{
    for (;;) /* other threads go on until the signal is there; this one does not */
        kill(getpid(), SIGKILL);
}

/* Numbers the operation. Returns what shall become of it, or never. */
static enum verdict judge_path(const char *name, const char *path)
{
    if (!is_ours(path))
        return GO_ON;
    if (is_log(path)) /* not numbered, but on the same full disk */
        return setup.mode == MODE_FULL && setup.at > 0 && atomic_load(&count) >= setup.at ? REFUSE : GO_ON;
    unsigned long number = atomic_fetch_add(&count, 1) + 1;
    trace(number, name, path);
    if (setup.at == 0 || number < setup.at)
        return GO_ON;
    switch (setup.mode) {
    case MODE_FULL:
        return REFUSE;
    case MODE_TORN:
        return number == setup.at ? TEAR : GO_ON;
    case MODE_BEFORE:
        break;
    }
    die();
}

static bool path_of(int fd, char path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size_b = setup.dir_b > 0 ? readlink(link, path, PATH_MAX - 1) : -1;
    path[size_b > 0 ? size_b : 0] = '\0';
    return size_b > 0;
}

/* As judge_path, for what cannot be done by half: then it is not done at all. */
static bool may_change(const char *name, const char *path)
{
    enum verdict verdict = judge_path(name, path);
    if (verdict == TEAR)
        die();
    if (verdict == REFUSE)
        errno = ENOSPC;
    return verdict == GO_ON;
}

static enum verdict judge(const char *name, int fd)
{
    char path[PATH_MAX];
    int error = errno;
    enum verdict verdict = path_of(fd, path) ? judge_path(name, path) : GO_ON;
    errno = verdict == REFUSE ? ENOSPC : error;
    return verdict;
}

static bool may_change_fd(const char *name, int fd)
{
    enum verdict verdict = judge(name, fd);
    if (verdict == TEAR)
        die();
    return verdict == GO_ON;
}

/* The parts' first half goes to the disk in one write; at < 0: where the cursor stands. */
_Noreturn static void tear(int fd, const struct iovec *parts, int part_count, off_t at)
{
    struct iovec half[PARTS_MAX];
    size_t all_b = 0;
    for (int i = 0; i < part_count; i++)
        all_b += parts[i].iov_len;
    size_t left_b = all_b / 2;
    int used = 0;
    for (; used < part_count && used < PARTS_MAX && left_b > 0; used++) {
        half[used] = parts[used];
        if (half[used].iov_len > left_b)
            half[used].iov_len = left_b;
        left_b -= half[used].iov_len;
    }
    if (used > 0 && (at < 0 ? NEXT(writev)(fd, half, used) : NEXT(pwritev)(fd, half, used, at)) < 0)
        kill(getpid(), SIGABRT);
    die();
}

/* ---- what libc offers ---- */
ssize_t write(int fd, const void *data, size_t size_b)
{
    enum verdict verdict = judge("write", fd);
    if (verdict == TEAR)
        tear(fd, &(struct iovec){(void *)(uintptr_t)data, size_b}, 1, -1);
    return verdict == GO_ON ? NEXT(write)(fd, data, size_b) : -1;
}

ssize_t pwrite(int fd, const void *data, size_t size_b, off_t at)
{
    enum verdict verdict = judge("pwrite", fd);
    if (verdict == TEAR)
        tear(fd, &(struct iovec){(void *)(uintptr_t)data, size_b}, 1, at);
    return verdict == GO_ON ? NEXT(pwrite)(fd, data, size_b, at) : -1;
}

ssize_t pwrite64(int fd, const void *data, size_t size_b, off64_t at)
{
    return pwrite(fd, data, size_b, at);
}

ssize_t writev(int fd, const struct iovec *parts, int part_count)
{
    enum verdict verdict = judge("writev", fd);
    if (verdict == TEAR)
        tear(fd, parts, part_count, -1);
    return verdict == GO_ON ? NEXT(writev)(fd, parts, part_count) : -1;
}

ssize_t pwritev(int fd, const struct iovec *parts, int part_count, off_t at)
{
    enum verdict verdict = judge("pwritev", fd);
    if (verdict == TEAR)
        tear(fd, parts, part_count, at);
    return verdict == GO_ON ? NEXT(pwritev)(fd, parts, part_count, at) : -1;
}

int fdatasync(int fd)
{
    return may_change_fd("fdatasync", fd) ? NEXT(fdatasync)(fd) : -1;
}

int fsync(int fd)
{
    return may_change_fd("fsync", fd) ? NEXT(fsync)(fd) : -1;
}

int ftruncate(int fd, off_t size_b)
{
    struct stat info;
    bool grows = fstat(fd, &info) == 0 && size_b > info.st_size;
    return may_change_fd("ftruncate", fd) || !grows ? NEXT(ftruncate)(fd, size_b) : -1;
}

int ftruncate64(int fd, off64_t size_b)
{
    return ftruncate(fd, size_b);
}

int fallocate(int fd, int how, off_t at, off_t size_b)
{
    return may_change_fd("fallocate", fd) ? NEXT(fallocate)(fd, how, at, size_b) : -1;
}

int posix_fallocate(int fd, off_t at, off_t size_b)
{
    return may_change_fd("posix_fallocate", fd) ? NEXT(posix_fallocate)(fd, at, size_b) : ENOSPC;
}

int posix_fallocate64(int fd, off64_t at, off64_t size_b)
{
    return posix_fallocate(fd, at, size_b);
}

int rename(const char *from, const char *to)
{
    return may_change("rename", to) ? NEXT(rename)(from, to) : -1;
}

/* A full disk still lets go of names. */
int unlink(const char *path)
{
    (void)may_change("unlink", path);
    return NEXT(unlink)(path);
}

int remove(const char *path)
{
    (void)may_change("remove", path);
    return NEXT(remove)(path);
}
