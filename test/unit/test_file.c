/* Proves that the POSIX disk does what file.h promises, and that replacing a file, stopped at any of its
 * steps, leaves the old content or the new, whole. */
#include "coin/base/file.h"
#include "coin/base/mem.h"
#include "unit.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char folder[] = "/tmp/coin-test-file-XXXXXX";
static struct fail why;

static const char *in_folder(const char *name)
{
    static char paths[4][PATH_SIZE_B];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    ck_assert(path_join(path, folder, name, &why));
    return path;
}

static struct file *open_file(const char *path, enum file_mode mode)
{
    return disk_posix.open(disk_posix.ctx, path, mode, &why);
}

static void check_content(const char *path, const char *expect)
{
    struct buf text;
    buf_init(&text, 1000);
    ck_assert_msg(file_read_all(&disk_posix, path, &text, &why), "%s", why.detail);
    ck_assert(span_is(buf_span(&text), expect));
    buf_clear(&text);
}

START_TEST(reading_and_writing)
{
    const char *path = in_folder("data");
    uint64_t size_b = 9;
    uint8_t bytes[10];
    ck_assert_ptr_null(open_file(path, FILE_READ));
    ck_assert_int_eq(why.kind, FAIL_LOCAL);
    ck_assert_str_eq(why.code, "io-error");
    ck_assert_ptr_nonnull(strstr(why.detail, "No such file"));
    struct file *file = open_file(path, FILE_APPEND);
    ck_assert_ptr_nonnull(file);
    ck_assert(file_size(file, &size_b, &why) && size_b == 0);
    ck_assert(file_write_at(file, 0, span_text("hello world"), &why));
    ck_assert(file_write_at(file, 6, span_text("W"), &why));
    ck_assert(file_write_at(file, 20, span_text("x"), &why)); /* a hole reads as zeroes */
    ck_assert(file_size(file, &size_b, &why) && size_b == 21);
    ck_assert(file_read_at(file, 6, bytes, 5, &why));
    ck_assert_int_eq(memcmp(bytes, "World", 5), 0);
    ck_assert(file_read_at(file, 11, bytes, 10, &why));
    ck_assert_int_eq(bytes[0], 0);
    ck_assert_int_eq(bytes[9], 'x');
    ck_assert(!file_read_at(file, 15, bytes, 10, &why));
    ck_assert_str_eq(why.code, "short-read");
    ck_assert(file_truncate(file, 5, &why));
    ck_assert(file_sync(file, &why));
    file_close(file);
    file_close(NULL);
    check_content(path, "hello");
    file = open_file(path, FILE_APPEND); /* keeps what is there */
    ck_assert(file_size(file, &size_b, &why) && size_b == 5);
    file_close(file);
    file = open_file(path, FILE_READ);
    ck_assert(!file_write_at(file, 0, span_text("x"), &why));
    file_close(file);
    file = open_file(path, FILE_NEW);
    ck_assert(file_size(file, &size_b, &why) && size_b == 0);
    file_close(file);
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0600);
    ck_assert(disk_posix.remove(disk_posix.ctx, path, &why));
    ck_assert(!disk_posix.exists(disk_posix.ctx, path));
    ck_assert(!disk_posix.remove(disk_posix.ctx, path, &why));
}
END_TEST

START_TEST(whole_files_are_bounded)
{
    const char *path = in_folder("bounded");
    struct buf text;
    ck_assert(file_replace(&disk_posix, path, span_text("0123456789"), &why));
    buf_init(&text, 9);
    ck_assert(!file_read_all(&disk_posix, path, &text, &why));
    ck_assert_str_eq(why.code, "too-large");
    buf_clear(&text);
    buf_init(&text, 10);
    ck_assert(file_read_all(&disk_posix, path, &text, &why));
    buf_clear(&text);
    ck_assert(file_replace(&disk_posix, path, span_text(""), &why));
    check_content(path, "");
    ck_assert(disk_posix.remove(disk_posix.ctx, path, &why));
}
END_TEST

static bool add_name(void *arg, const char *name)
{
    struct buf *names = arg;
    buf_printf(names, "%s ", name);
    return strcmp(name, "c") != 0;
}

START_TEST(folders)
{
    const char *deep = in_folder("a/b//c/");
    ck_assert_msg(disk_posix.make_dir(disk_posix.ctx, deep, &why), "%s", why.detail);
    ck_assert(disk_posix.make_dir(disk_posix.ctx, deep, &why));
    ck_assert(disk_posix.exists(disk_posix.ctx, in_folder("a/b/c")));
    static const char *const names[] = { "a/d", "a/c", "a/a" };
    for (size_t i = 0; i < 3; i++)
        ck_assert(file_replace(&disk_posix, in_folder(names[i]), span_text("x"), &why));
    struct buf seen;
    buf_init(&seen, 100);
    ck_assert(disk_posix.list(disk_posix.ctx, in_folder("a"), add_name, &seen, &why));
    ck_assert(span_is(buf_span(&seen), "a b c ")); /* sorted, and ended early */
    buf_clear(&seen);
    ck_assert(!disk_posix.list(disk_posix.ctx, in_folder("none"), add_name, &seen, &why));
    ck_assert(!disk_posix.make_dir(disk_posix.ctx, in_folder("a/a/x"), &why));
    ck_assert(!disk_posix.make_dir(disk_posix.ctx, in_folder("a/a"), &why));
    ck_assert(!disk_posix.make_dir(disk_posix.ctx, "", &why));
    ck_assert(disk_posix.sync_dir(disk_posix.ctx, in_folder("a"), &why));
    ck_assert(!disk_posix.sync_dir(disk_posix.ctx, in_folder("none"), &why));
    uint64_t free_b = 0;
    ck_assert(disk_posix.free_space(disk_posix.ctx, folder, &free_b, &why));
    ck_assert_uint_gt(free_b, 0);
    static const char *const all[] = { "a/d", "a/c", "a/a", "a/b/c", "a/b", "a" };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ck_assert(disk_posix.remove(disk_posix.ctx, in_folder(all[i]), &why));
}
END_TEST

START_TEST(joining_paths)
{
    static const struct {
        const char *folder, *name, *expect;
    } rows[] = { { "/a", "b", "/a/b" }, { "/a/", "b", "/a/b" }, { "/", "b", "/b" }, { "", "b", "b" },
        { "a", "b/c", "a/b/c" } };
    char path[PATH_SIZE_B], name[PATH_SIZE_B];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert(path_join(path, rows[i].folder, rows[i].name, &why));
        ck_assert_str_eq(path, rows[i].expect);
    }
    memset(name, 'n', sizeof name - 1);
    for (size_t length = PATH_SIZE_B - 10; length < PATH_SIZE_B; length++) {
        name[length] = '\0';
        ck_assert(path_join(path, "/a", name, &why) == (length + 3 < PATH_SIZE_B));
        name[length] = 'n';
    }
    memcpy(path, "/x", 3);
    ck_assert(path_join(path, path, "y", &why)); /* onto itself */
    ck_assert_str_eq(path, "/x/y");
}
END_TEST

/* A disk whose nth step fails, as a full or dying one does; the process lives on. */
static struct disk weak;
static uint32_t steps_left;

static bool step(void)
{
    if (steps_left == 0)
        return fail_set(&why, FAIL_LOCAL, "io-error", "no more steps");
    steps_left--;
    return true;
}

static struct file *weak_open(void *ctx, const char *path, enum file_mode mode, struct fail *reason)
{
    struct file *file = step() ? disk_posix.open(ctx, path, mode, reason) : NULL;
    if (file != NULL)
        file->disk = &weak;
    return file;
}

static bool weak_write(struct file *file, uint64_t offset_b, struct span bytes, struct fail *reason)
{
    struct span half = span_of(bytes.data, bytes.size_b / 2);
    if (!step()) {
        (void)!disk_posix.write_at(file, offset_b, half, reason);
        return false;
    }
    return disk_posix.write_at(file, offset_b, bytes, reason);
}

static bool weak_sync(struct file *file, struct fail *reason)
{
    return step() && disk_posix.sync(file, reason);
}

static bool weak_rename(void *ctx, const char *from, const char *to, struct fail *reason)
{
    return step() && disk_posix.rename(ctx, from, to, reason);
}

static bool weak_sync_dir(void *ctx, const char *path, struct fail *reason)
{
    return step() && disk_posix.sync_dir(ctx, path, reason);
}

START_TEST(replacing_is_all_or_nothing)
{
    char path[PATH_SIZE_B], fresh[PATH_SIZE_B];
    ck_assert(path_join(path, folder, "whole", &why) && path_join(fresh, folder, "whole.new", &why));
    weak = disk_posix;
    weak.open = weak_open;
    weak.write_at = weak_write;
    weak.sync = weak_sync;
    weak.rename = weak_rename;
    weak.sync_dir = weak_sync_dir;
    uint32_t steps = 0;
    for (bool good = false; !good; steps++) {
        ck_assert_uint_lt(steps, 20);
        ck_assert(file_replace(&disk_posix, path, span_text("old content"), &why));
        steps_left = steps;
        good = file_replace(&weak, path, span_text("new content"), &why);
        /* renamed, but the name not synced: either may be there after a power cut, both are whole */
        check_content(path, good || steps == 4 ? "new content" : "old content");
        ck_assert(!disk_posix.exists(disk_posix.ctx, fresh));
    }
    ck_assert_uint_eq(steps, 6); /* open, write, sync, rename, sync the folder; then all went well */
    ck_assert(disk_posix.remove(disk_posix.ctx, path, &why));
}
END_TEST

int main(void)
{
    if (mkdtemp(folder) == NULL)
        return EXIT_FAILURE;
    Suite *suite = suite_create("file");
    TCase *cases = tcase_create("file");
    tcase_add_test(cases, reading_and_writing);
    tcase_add_test(cases, whole_files_are_bounded);
    tcase_add_test(cases, folders);
    tcase_add_test(cases, joining_paths);
    tcase_add_test(cases, replacing_is_all_or_nothing);
    suite_add_tcase(suite, cases);
    int status = unit_run(suite);
    remove(folder);
    return status;
}
