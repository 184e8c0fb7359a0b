/* Files by POSIX calls, and what every disk can do with them. Writes and reads are positioned, so
 * a handle has no cursor that two jobs could fight over. New files are readable by their owner
 * alone: some hold keys. Replacing a file goes through a synced neighbour and a rename, so that a
 * crash leaves the old content or the new, never a part. */
#include "coin/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "coin/base/mem.h"

#define LIST_MAX 1000000u /* names in one folder; guess: a block folder of all Bitcoin has 10,000 */

struct posix_file {
    struct file file; /* first */
    int fd;
    char *path; /* for messages */
};

static struct file *posix_open(void *ctx, const char *path, enum file_mode mode, struct fail *why);
static bool posix_write_at(
    struct file *file, uint64_t offset_b, struct span bytes, struct fail *why);
static bool posix_read_at(
    struct file *file, uint64_t offset_b, void *out, size_t size_b, struct fail *why);
static bool posix_size(struct file *file, uint64_t *size_b, struct fail *why);
static bool posix_truncate(struct file *file, uint64_t size_b, struct fail *why);
static bool posix_sync(struct file *file, struct fail *why);
static void posix_close(struct file *file);
static bool posix_rename(void *ctx, const char *from, const char *to, struct fail *why);
static bool posix_remove(void *ctx, const char *path, struct fail *why);
static bool posix_exists(void *ctx, const char *path);
static bool posix_make_dir(void *ctx, const char *path, struct fail *why);
static bool posix_sync_dir(void *ctx, const char *path, struct fail *why);
static bool posix_list(void *ctx, const char *path, bool (*each)(void *arg, const char *name),
    void *arg, struct fail *why);
static bool posix_free_space(void *ctx, const char *path, uint64_t *free_b, struct fail *why);
static bool read_names(
    DIR *dir, const char *path, char ***names, uint32_t *count, struct fail *why);
static int compare_texts(const void *a, const void *b);
static struct posix_file *posix(struct file *file);
static bool folder_of(char *out, const char *path, struct fail *why);

const struct disk disk_posix = {
    .open = posix_open,
    .write_at = posix_write_at,
    .read_at = posix_read_at,
    .size = posix_size,
    .truncate = posix_truncate,
    .sync = posix_sync,
    .close = posix_close,
    .rename = posix_rename,
    .remove = posix_remove,
    .exists = posix_exists,
    .make_dir = posix_make_dir,
    .sync_dir = posix_sync_dir,
    .list = posix_list,
    .free_space = posix_free_space,
};

bool file_write_at(struct file *file, uint64_t offset_b, struct span bytes, struct fail *why)
{
    return file->disk->write_at(file, offset_b, bytes, why);
}

bool file_read_at(struct file *file, uint64_t offset_b, void *out, size_t size_b, struct fail *why)
{
    return file->disk->read_at(file, offset_b, out, size_b, why);
}

bool file_size(struct file *file, uint64_t *size_b, struct fail *why)
{
    return file->disk->size(file, size_b, why);
}

bool file_truncate(struct file *file, uint64_t size_b, struct fail *why)
{
    return file->disk->truncate(file, size_b, why);
}

bool file_sync(struct file *file, struct fail *why)
{
    return file->disk->sync(file, why);
}

void file_close(struct file *file)
{
    if (file != NULL)
        file->disk->close(file);
}

bool file_read_all(const struct disk *disk, const char *path, struct buf *out, struct fail *why)
{
    struct file *file = disk->open(disk->ctx, path, FILE_READ, why);
    if (file == NULL)
        return false;
    uint64_t size_b = 0;
    bool good = file_size(file, &size_b, why);
    if (good && size_b > out->limit_b - out->size_b)
        good = fail_set(why, FAIL_LOCAL, "too-large", "%s: %llu bytes; at most %zu were expected",
            path, (unsigned long long)size_b, out->limit_b - out->size_b);
    if (good) {
        uint8_t *room = buf_reserve(out, (size_t)size_b);
        good = room != NULL || fail_oom(why, path);
        good = good && file_read_at(file, 0, room, (size_t)size_b, why);
        if (good)
            out->size_b += (size_t)size_b;
    }
    file_close(file);
    return good;
}

bool file_replace(const struct disk *disk, const char *path, struct span bytes, struct fail *why)
{
    char fresh[PATH_SIZE_B], folder[PATH_SIZE_B];
    int length = snprintf(fresh, sizeof fresh, "%s.new", path);
    if (length < 0 || (size_t)length >= sizeof fresh)
        return fail_set(why, FAIL_LOCAL, "path-too-long", "path too long: %s", path);
    if (!folder_of(folder, path, why))
        return false;
    struct file *file = disk->open(disk->ctx, fresh, FILE_NEW, why);
    if (file == NULL)
        return false;
    bool good = file_write_at(file, 0, bytes, why) && file_sync(file, why);
    file_close(file);
    good = good && disk->rename(disk->ctx, fresh, path, why) &&
        disk->sync_dir(disk->ctx, folder, why);
    if (!good) {
        struct fail ignored; /* the first one is what to tell; a leftover is overwritten next time */
        if (disk->exists(disk->ctx, fresh))
            (void)!disk->remove(disk->ctx, fresh, &ignored);
    }
    return good;
}

bool path_join(char *out, const char *folder, const char *name, struct fail *why)
{
    size_t folder_b = strlen(folder);
    const char *slash = folder_b > 0 && folder[folder_b - 1] != '/' ? "/" : "";
    char text[PATH_SIZE_B]; /* out may be folder itself */
    int length = snprintf(text, sizeof text, "%s%s%s", folder, slash, name);
    if (length < 0 || (size_t)length >= sizeof text)
        return fail_set(why, FAIL_LOCAL, "path-too-long", "path too long: %s in %s", name, folder);
    memcpy(out, text, (size_t)length + 1);
    return true;
}

/* ---- POSIX ---- */

static struct file *posix_open(void *ctx, const char *path, enum file_mode mode, struct fail *why)
{
    (void)ctx;
    int flags = O_CLOEXEC;
    switch (mode) {
    case FILE_READ:
        flags |= O_RDONLY;
        break;
    case FILE_APPEND:
        flags |= O_RDWR | O_CREAT;
        break;
    case FILE_NEW:
        flags |= O_RDWR | O_CREAT | O_TRUNC;
        break;
    }
    int fd = open(path, flags, 0600);
    if (fd < 0) {
        fail_io(why, errno, "cannot open %s", path);
        return NULL;
    }
    struct posix_file *file = mem_new(sizeof *file);
    file->file.disk = &disk_posix;
    file->fd = fd;
    file->path = mem_text(path);
    return &file->file;
}

static bool posix_write_at(
    struct file *file, uint64_t offset_b, struct span bytes, struct fail *why)
{
    struct posix_file *f = posix(file);
    size_t done_b = 0;
    while (done_b < bytes.size_b) {
        ssize_t wrote_b =
            pwrite(f->fd, bytes.data + done_b, bytes.size_b - done_b, (off_t)(offset_b + done_b));
        if (wrote_b < 0 && errno == EINTR)
            continue;
        if (wrote_b <= 0)
            return fail_io(why, wrote_b < 0 ? errno : EIO, "cannot write %s", f->path);
        done_b += (size_t)wrote_b;
    }
    return true;
}

static bool posix_read_at(
    struct file *file, uint64_t offset_b, void *out, size_t size_b, struct fail *why)
{
    struct posix_file *f = posix(file);
    size_t done_b = 0;
    while (done_b < size_b) {
        ssize_t read_b =
            pread(f->fd, (uint8_t *)out + done_b, size_b - done_b, (off_t)(offset_b + done_b));
        if (read_b < 0 && errno == EINTR)
            continue;
        if (read_b < 0)
            return fail_io(why, errno, "cannot read %s", f->path);
        if (read_b == 0)
            return fail_set(why, FAIL_LOCAL, "short-read",
                "%s ends at byte %llu, needed up to %llu", f->path,
                (unsigned long long)(offset_b + done_b), (unsigned long long)(offset_b + size_b));
        done_b += (size_t)read_b;
    }
    return true;
}

static bool posix_size(struct file *file, uint64_t *size_b, struct fail *why)
{
    struct posix_file *f = posix(file);
    struct stat info;
    if (fstat(f->fd, &info) != 0)
        return fail_io(why, errno, "cannot inspect %s", f->path);
    *size_b = (uint64_t)info.st_size;
    return true;
}

static bool posix_truncate(struct file *file, uint64_t size_b, struct fail *why)
{
    struct posix_file *f = posix(file);
    if (ftruncate(f->fd, (off_t)size_b) != 0)
        return fail_io(why, errno, "cannot cut %s", f->path);
    return true;
}

static bool posix_sync(struct file *file, struct fail *why)
{
    struct posix_file *f = posix(file);
    if (fdatasync(f->fd) != 0) /* the size is data; only times are left out */
        return fail_io(why, errno, "cannot sync %s", f->path);
    return true;
}

static void posix_close(struct file *file)
{
    if (file == NULL)
        return;
    struct posix_file *f = posix(file);
    close(f->fd);
    mem_free(f->path);
    mem_free(f);
}

static bool posix_rename(void *ctx, const char *from, const char *to, struct fail *why)
{
    (void)ctx;
    if (rename(from, to) != 0)
        return fail_io(why, errno, "cannot rename %s to %s", from, to);
    return true;
}

static bool posix_remove(void *ctx, const char *path, struct fail *why)
{
    (void)ctx;
    if (remove(path) != 0)
        return fail_io(why, errno, "cannot remove %s", path);
    return true;
}

static bool posix_exists(void *ctx, const char *path)
{
    (void)ctx;
    return access(path, F_OK) == 0;
}

static bool posix_make_dir(void *ctx, const char *path, struct fail *why)
{
    (void)ctx;
    char part[PATH_SIZE_B];
    size_t size_b = strlen(path);
    if (size_b == 0 || size_b >= sizeof part)
        return fail_set(why, FAIL_LOCAL, "path-too-long", "not a usable folder name: %s", path);
    memcpy(part, path, size_b + 1);
    for (size_t i = 1; i <= size_b; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        part[i] = '\0';
        /* What exists may be in a place where we could not create anything: ask before judging. */
        struct stat info;
        if (mkdir(part, 0700) != 0) {
            int error = errno;
            if (stat(part, &info) != 0)
                return fail_io(why, error, "cannot create folder %s", part);
            if (!S_ISDIR(info.st_mode))
                return fail_io(why, ENOTDIR, "cannot create folder %s", part);
        }
        part[i] = i < size_b ? '/' : '\0';
    }
    return true;
}

static bool posix_sync_dir(void *ctx, const char *path, struct fail *why)
{
    (void)ctx;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_io(why, errno, "cannot open folder %s", path);
    int status = fsync(fd), error = errno;
    close(fd);
    /* Some file systems have nothing to sync here and say EINVAL. */
    if (status != 0 && error != EINVAL)
        return fail_io(why, error, "cannot sync folder %s", path);
    return true;
}

static bool posix_list(void *ctx, const char *path, bool (*each)(void *arg, const char *name),
    void *arg, struct fail *why)
{
    (void)ctx;
    DIR *dir = opendir(path);
    if (dir == NULL)
        return fail_io(why, errno, "cannot list %s", path);
    char **names = NULL;
    uint32_t count = 0;
    bool good = read_names(dir, path, &names, &count, why);
    closedir(dir);
    if (good && count > 0)
        qsort(names, count, sizeof *names, compare_texts);
    for (uint32_t i = 0; good && i < count; i++)
        if (!each(arg, names[i]))
            break;
    for (uint32_t i = 0; i < count; i++)
        mem_free(names[i]);
    mem_free(names);
    return good;
}

static bool posix_free_space(void *ctx, const char *path, uint64_t *free_b, struct fail *why)
{
    (void)ctx;
    struct statvfs info;
    if (statvfs(path, &info) != 0)
        return fail_io(why, errno, "cannot ask for free space at %s", path);
    *free_b = (uint64_t)info.f_bavail * (uint64_t)info.f_frsize;
    return true;
}

static bool read_names(DIR *dir, const char *path, char ***names, uint32_t *count, struct fail *why)
{
    uint32_t capacity = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL && errno != 0)
            return fail_io(why, errno, "cannot list %s", path);
        if (entry == NULL)
            return true;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!mem_try_grow(names, &capacity, *count + 1, LIST_MAX, sizeof **names))
            return fail_oom(why, path);
        (*names)[(*count)++] = mem_text(entry->d_name);
    }
}

static int compare_texts(const void *a, const void *b)
{
    const char *x, *y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return strcmp(x, y);
}

static struct posix_file *posix(struct file *file)
{
    return (struct posix_file *)file;
}

static bool folder_of(char *out, const char *path, struct fail *why)
{
    const char *slash = strrchr(path, '/');
    size_t size_b = slash == NULL ? 0 : (size_t)(slash - path);
    if (size_b >= PATH_SIZE_B)
        return fail_set(why, FAIL_LOCAL, "path-too-long", "path too long: %s", path);
    if (slash == NULL || slash == path) {
        out[0] = slash == NULL ? '.' : '/';
        out[1] = '\0';
        return true;
    }
    memcpy(out, path, size_b);
    out[size_b] = '\0';
    return true;
}
