/* Proves that both key-value stores, LevelDB and the simulated one, keep the same contract: order,
 * atomic batches in their order, snapshots under iterators, durability of synced batches, words on failure. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../sim/disk.h"
#include "coin/base/mem.h"
#include "coin/ledger/kv.h"
#include "unit.h"

#define BATCH_MAX_B (1u << 20)

struct fixture {
    struct sim_disk *sim;
    char folder[64], path[96];
};

static struct kv *open_kv(struct fixture *f, int kind)
{
    struct kv_options options = { .cache_b = 1u << 20, .write_buffer_b = 1u << 18 };
    struct fail why;
    struct kv *kv = kind == 0 ? kv_leveldb_open(NULL, f->path, &options, &why)
                              : sim_kv_open(f->sim, f->path, &options, &why);
    ck_assert_msg(kv != NULL, "%s", why.detail);
    return kv;
}

static void setup(struct fixture *f)
{
    f->sim = sim_disk_new(1);
    snprintf(f->folder, sizeof f->folder, "/tmp/coin-test-kv-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/store", f->folder);
}

static void teardown(struct fixture *f)
{
    char command[160];
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    ck_assert_int_eq(system(command), 0);
    sim_disk_free(f->sim);
}

static void write_ops(struct kv *kv, const char *ops, bool sync)
{
    /* "+k=v" puts, "-k" deletes, separated by blanks */
    struct kv_batch batch;
    kv_batch_init(&batch, BATCH_MAX_B);
    char text[256];
    snprintf(text, sizeof text, "%s", ops);
    for (char *save, *word = strtok_r(text, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
        char *equals = strchr(word, '=');
        if (*word == '-') {
            kv_batch_delete(&batch, span_text(word + 1));
            continue;
        }
        ck_assert_ptr_nonnull(equals);
        *equals = 0;
        kv_batch_put(&batch, span_text(word + 1), span_text(equals + 1));
    }
    struct fail why;
    ck_assert_msg(kv_write(kv, &batch, sync, &why), "%s", why.detail);
    kv_batch_clear(&batch);
}

static void expect_get(struct kv *kv, const char *key, const char *value)
{
    struct buf out;
    buf_init(&out, BATCH_MAX_B);
    bool found = false;
    struct fail why;
    ck_assert(kv_get(kv, span_text(key), &out, &found, &why));
    ck_assert_msg(found == (value != NULL), "key %s", key);
    if (value != NULL)
        ck_assert(span_is(buf_span(&out), value));
    buf_clear(&out);
}

static void expect_walk(struct kv *kv, struct kv_iter *it, const char *expected)
{
    char text[256] = "";
    struct span key, value;
    for (; kv->ops->iter_get(it, &key, &value); kv->ops->iter_next(it)) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%.*s=%.*s ", (int)key.size_b, (const char *)key.data,
            (int)value.size_b, (const char *)value.data);
    }
    struct fail why;
    ck_assert(kv->ops->iter_close(it, &why));
    ck_assert_str_eq(text, expected);
}

static const struct {
    const char *name, *writes[4], *from, *walk;
} rows[] = {
    { "order is by bytes, shorter first", { "+b=2 +a=1 +ab=x +B=0" }, "", "B=0 a=1 ab=x b=2 " },
    { "later rows of a batch win", { "+a=1 +a=2 -a +b=1 -b +b=3" }, "", "b=3 " },
    { "deleting what is absent", { "-a", "+a=1", "-zz" }, "", "a=1 " },
    { "a value may be empty", { "+a= +b=" }, "", "a= b= " },
    { "iterating from the middle", { "+a=1 +c=3 +d=4" }, "b", "c=3 d=4 " },
    { "iterating from a present key", { "+a=1 +c=3 +d=4" }, "c", "c=3 d=4 " },
    { "iterating past the end", { "+a=1" }, "b", "" },
    { "replaced across batches", { "+a=1 +b=2", "+a=3", "-b", "+c=4" }, "", "a=3 c=4 " },
};

START_TEST(table)
{
    for (int kind = 0; kind < 2; kind++) {
        struct fixture f;
        setup(&f);
        struct kv *kv = open_kv(&f, kind);
        for (size_t i = 0; i < 4 && rows[_i].writes[i] != NULL; i++)
            write_ops(kv, rows[_i].writes[i], i % 2 == 0);
        expect_walk(kv, kv->ops->iterate(kv, span_text(rows[_i].from)), rows[_i].walk);
        kv_close(kv);
        kv = open_kv(&f, kind); /* all of it again, from what was kept */
        expect_walk(kv, kv->ops->iterate(kv, span_text(rows[_i].from)), rows[_i].walk);
        kv_close(kv);
        teardown(&f);
    }
}
END_TEST

START_TEST(snapshot_and_get)
{
    struct fixture f;
    setup(&f);
    struct kv *kv = open_kv(&f, _i);
    write_ops(kv, "+a=1 +b=2", false);
    struct kv_iter *it = kv->ops->iterate(kv, span_text(""));
    write_ops(kv, "+a=9 -b +c=3", false);
    expect_get(kv, "a", "9");
    expect_get(kv, "b", NULL);
    expect_get(kv, "c", "3");
    expect_walk(kv, it, "a=1 b=2 "); /* as it was when the walk began */
    kv_close(kv);
    teardown(&f);
}
END_TEST

START_TEST(second_opener_is_refused)
{
    struct fixture f;
    setup(&f);
    struct kv *kv = open_kv(&f, _i);
    struct kv_options options = { .cache_b = 1u << 20, .write_buffer_b = 1u << 18 };
    struct fail why;
    struct kv *second = _i == 0 ? kv_leveldb_open(NULL, f.path, &options, &why)
                                : sim_kv_open(f.sim, f.path, &options, &why);
    ck_assert_ptr_null(second);
    ck_assert_int_eq(why.kind, FAIL_LOCAL);
    ck_assert_ptr_nonnull(strstr(why.detail, f.path));
    ck_assert_ptr_nonnull(strstr(why.detail, "another program uses it"));
    kv_close(kv);
    teardown(&f);
}
END_TEST

START_TEST(batch_over_its_limit)
{
    struct fixture f;
    setup(&f);
    struct kv *kv = open_kv(&f, _i);
    struct kv_batch batch;
    kv_batch_init(&batch, 16);
    kv_batch_put(&batch, span_text("a"), span_text("1"));
    kv_batch_put(&batch, span_text("bbbbbbbb"), span_text("cccccccccccc"));
    struct fail why;
    ck_assert(!kv_write(kv, &batch, true, &why)); /* half a batch is never applied */
    kv_batch_clear(&batch);
    expect_get(kv, "a", NULL);
    kv_close(kv);
    teardown(&f);
}
END_TEST

START_TEST(damage_is_noticed)
{
    struct fixture f;
    setup(&f);
    struct kv *kv = open_kv(&f, 0);
    struct kv_batch batch;
    kv_batch_init(&batch, BATCH_MAX_B);
    uint8_t value[1000];
    memset(value, 7, sizeof value);
    for (uint32_t i = 0; i < 600; i++)
        kv_batch_put(&batch, span_of(&i, sizeof i), span_of(value, sizeof value));
    struct fail why;
    ck_assert(kv_write(kv, &batch, true, &why));
    kv_batch_clear(&batch);
    kv_close(kv);
    kv_close(open_kv(&f, 0)); /* the log becomes a table */
    char command[400];
    snprintf(command, sizeof command,
        "for f in %s/*.ldb; do printf XXXXXXXX | dd of=$f bs=1 seek=5000 conv=notrunc status=none; done", f.path);
    ck_assert_int_eq(system(command), 0);
    kv = open_kv(&f, 0);
    bool failed = false;
    for (uint32_t i = 0; i < 600 && !failed; i++) {
        struct buf out;
        buf_init(&out, BATCH_MAX_B);
        bool found;
        failed = !kv_get(kv, span_of(&i, sizeof i), &out, &found, &why);
        buf_clear(&out);
    }
    ck_assert(failed);
    ck_assert_int_eq(why.kind, FAIL_LOCAL);
    ck_assert_ptr_nonnull(strstr(why.detail, "-reindex"));
    kv_close(kv);
    teardown(&f);
}
END_TEST

/* A power cut keeps all synced batches and, of the later ones, a number of the first: never a gap. */
START_TEST(power_cut)
{
    uint32_t seen[4] = { 0 };
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct fixture f = { .sim = sim_disk_new(seed) };
        snprintf(f.path, sizeof f.path, "store");
        struct kv *kv = open_kv(&f, 1);
        write_ops(kv, "+a=1", true);
        write_ops(kv, "+b=1", false);
        write_ops(kv, "+c=1", false);
        write_ops(kv, "+d=1 -a", false);
        kv_close(kv);
        sim_disk_restart(f.sim, true);
        kv = open_kv(&f, 1);
        static const char *const states[4] = { "a=1 ", "a=1 b=1 ", "a=1 b=1 c=1 ", "b=1 c=1 d=1 " };
        char text[64] = "";
        struct kv_iter *it = kv->ops->iterate(kv, span_text(""));
        struct span key, value;
        for (; kv->ops->iter_get(it, &key, &value); kv->ops->iter_next(it))
            snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s=%.*s ", (int)key.size_b,
                (const char *)key.data, (int)value.size_b, (const char *)value.data);
        struct fail why;
        ck_assert(kv->ops->iter_close(it, &why));
        int state = -1;
        for (int i = 0; i < 4; i++)
            if (strcmp(text, states[i]) == 0)
                state = i;
        ck_assert_msg(state >= 0, "seed %u: %s", (unsigned)seed, text);
        seen[state]++;
        kv_close(kv);
        sim_disk_free(f.sim);
    }
    for (int i = 0; i < 4; i++)
        ck_assert_uint_gt(seen[i], 10);
}
END_TEST

/* Files of the simulated disk: what was synced survives, what was not may be whole, torn or gone, and a
 * name lives only after its folder was synced. */
START_TEST(files_at_a_power_cut)
{
    uint32_t whole = 0, torn = 0, gone = 0, unnamed = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct sim_disk *sim = sim_disk_new(seed);
        const struct disk *disk = sim_disk_ops(sim);
        struct fail why;
        struct file *file = disk->open(disk->ctx, "d/a", FILE_APPEND, &why);
        ck_assert_ptr_nonnull(file);
        ck_assert(file_write_at(file, 0, span_text("first"), &why) && file_sync(file, &why));
        ck_assert(disk->sync_dir(disk->ctx, "d", &why));
        ck_assert(file_write_at(file, 5, span_text("second"), &why));
        file_close(file);
        struct file *other = disk->open(disk->ctx, "d/b", FILE_APPEND, &why);
        ck_assert_ptr_nonnull(other);
        ck_assert(file_write_at(other, 0, span_text("b"), &why) && file_sync(other, &why));
        file_close(other);
        sim_disk_restart(sim, true);
        unnamed += !disk->exists(disk->ctx, "d/b");
        struct buf all;
        buf_init(&all, 100);
        ck_assert(file_read_all(disk, "d/a", &all, &why));
        ck_assert_uint_ge(all.size_b, 5);
        ck_assert_int_eq(memcmp(all.data, "first", 5), 0);
        ck_assert_int_eq(memcmp(all.data + 5, "second", all.size_b - 5), 0);
        whole += all.size_b == 11;
        gone += all.size_b == 5;
        torn += all.size_b > 5 && all.size_b < 11;
        buf_clear(&all);
        sim_disk_free(sim);
    }
    ck_assert(whole > 20 && gone > 20 && torn > 20 && unnamed > 20);
}
END_TEST

START_TEST(operations_fail_and_die)
{
    struct sim_disk *sim = sim_disk_new(3);
    const struct disk *disk = sim_disk_ops(sim);
    struct fail why;
    struct file *file = disk->open(disk->ctx, "a", FILE_APPEND, &why);
    sim_disk_fail_at(sim, 2);
    ck_assert(file_write_at(file, 0, span_text("1"), &why));
    ck_assert(!file_write_at(file, 1, span_text("2"), &why));
    ck_assert_int_eq(why.kind, FAIL_LOCAL);
    ck_assert(file_write_at(file, 1, span_text("2"), &why)); /* once only */
    sim_disk_die_at(sim, 1);
    ck_assert(!file_write_at(file, 2, span_text("345"), &why));
    ck_assert(!file_write_at(file, 2, span_text("345"), &why));
    ck_assert(sim_disk_is_dead(sim));
    file_close(file);
    sim_disk_restart(sim, false); /* only the process died: what was written stays */
    struct buf all;
    buf_init(&all, 100);
    ck_assert(file_read_all(disk, "a", &all, &why));
    ck_assert_uint_ge(all.size_b, 2);
    ck_assert_int_eq(memcmp(all.data, "12345", all.size_b), 0);
    buf_clear(&all);
    sim_disk_free(sim);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kv");
    TCase *tc = tcase_create("kv");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, table, 0, (int)(sizeof rows / sizeof *rows));
    tcase_add_loop_test(tc, snapshot_and_get, 0, 2);
    tcase_add_loop_test(tc, second_opener_is_refused, 0, 2);
    tcase_add_loop_test(tc, batch_over_its_limit, 0, 2);
    tcase_add_test(tc, damage_is_noticed);
    tcase_add_test(tc, power_cut);
    tcase_add_test(tc, files_at_a_power_cut);
    tcase_add_test(tc, operations_fail_and_die);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
