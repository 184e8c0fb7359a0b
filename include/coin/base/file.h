/* file.h - the disk as the core sees it. Two implementations: disk_posix (here), and the simulation's
 * in-memory disk that loses or tears unsynced writes at a crash. Paths use '/'.
 * Thread: any, one thread at a time per handle for writes; read_at may run beside other reads. All of
 * these may wait, so on the loop they are called only before it starts and after it ends. */
#ifndef COIN_BASE_FILE_H
#define COIN_BASE_FILE_H

#include "coin/base/bytes.h"

enum file_mode {
    FILE_READ,   /* must exist */
    FILE_APPEND, /* created (mode 0600) when missing; read and written */
    FILE_NEW     /* created or emptied */
};

struct file; /* an implementation embeds this first */
struct disk {
    void *ctx;
    struct file *(*open)(void *ctx, const char *path, enum file_mode mode, struct fail *why);
    bool (*write_at)(struct file *file, uint64_t offset_b, struct span bytes, struct fail *why);
    /* Short reads are failures (code "short-read"). */
    bool (*read_at)(struct file *file, uint64_t offset_b, void *out, size_t size_b, struct fail *why);
    bool (*size)(struct file *file, uint64_t *size_b, struct fail *why);
    bool (*truncate)(struct file *file, uint64_t size_b, struct fail *why);
    bool (*sync)(struct file *file, struct fail *why); /* data is durable afterwards */
    void (*close)(struct file *file);                  /* NULL is accepted */
    bool (*rename)(void *ctx, const char *from, const char *to, struct fail *why);
    bool (*remove)(void *ctx, const char *path, struct fail *why);
    bool (*exists)(void *ctx, const char *path);
    bool (*make_dir)(void *ctx, const char *path, struct fail *why); /* and its parents; existing is fine */
    bool (*sync_dir)(void *ctx, const char *path, struct fail *why); /* names in it are durable */
    /* Calls each(arg, name) for every entry, sorted by name; false from each ends it early. */
    bool (*list)(void *ctx, const char *path, bool (*each)(void *arg, const char *name), void *arg,
        struct fail *why);
    bool (*free_space)(void *ctx, const char *path, uint64_t *free_b, struct fail *why);
};
struct file {
    const struct disk *disk;
};

extern const struct disk disk_posix;

#define PATH_SIZE_B 1024 /* longest path that we build, NUL included */

bool file_write_at(struct file *file, uint64_t offset_b, struct span bytes, struct fail *why) MUST_USE;
bool file_read_at(struct file *file, uint64_t offset_b, void *out, size_t size_b, struct fail *why) MUST_USE;
bool file_size(struct file *file, uint64_t *size_b, struct fail *why) MUST_USE;
bool file_truncate(struct file *file, uint64_t size_b, struct fail *why) MUST_USE;
bool file_sync(struct file *file, struct fail *why) MUST_USE;
void file_close(struct file *file);

/* The whole file into out (out->limit_b bounds it). */
bool file_read_all(const struct disk *disk, const char *path, struct buf *out, struct fail *why) MUST_USE;
/* path.new is written and synced, then renamed over path, then the folder is synced: at any instant
 * path holds the old or the new content, whole. */
bool file_replace(const struct disk *disk, const char *path, struct span bytes, struct fail *why) MUST_USE;
/* Joins folder and name into out[PATH_SIZE_B]; fails when it would not fit. */
bool path_join(char *out, const char *folder, const char *name, struct fail *why) MUST_USE;

#endif
