/* Proves that the tree of headers answers what a walk from parent to parent would: ancestors, forks, median
 * times, the view that difficulty sees, and every entry of a subtree exactly once, parents first. */
#include "coin/ledger/index.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/ledger/tree.h"
#include "../sim/disk.h"
#include "unit.h"

#define ENTRIES 3000

struct fixture {
    struct tree tree;
    struct chain *chain;
    struct block_index *entries[ENTRIES];
    struct sim_random random;
};

/* A trunk with branches of every depth; times jitter. */
static void setup(struct fixture *f, uint64_t seed)
{
    static const uint64_t key[2] = {3, 4};
    struct fail why;
    f->random.state = seed;
    f->chain = chain_load("regtest", &why);
    ck_assert_msg(f->chain != NULL, "%s", why.detail);
    tree_init(&f->tree, key);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        struct block_index *prev = NULL;
        if (i > 0)
            prev = f->entries[sim_random_below(&f->random, 20) != 0
                                  ? i - 1
                                  : sim_random_below(&f->random, i)];
        struct header header = {.version = (int32_t)i,
            .time_s = (prev != NULL ? prev->time_s : 1000) + (uint32_t)sim_random_below(&f->random, 90) -
                      (prev != NULL ? 20 : 0),
            .bits = f->chain->genesis->header.bits};
        struct block_id id;
        memset(&id, 0, sizeof id);
        memcpy(id.b, &i, sizeof i);
        f->entries[i] = tree_add(&f->tree, f->chain, &header, &id, prev);
        ck_assert_ptr_nonnull(f->entries[i]);
    }
}

static void teardown(struct fixture *f)
{
    tree_clear(&f->tree);
    chain_free(f->chain);
}

static struct block_index *walk_to(struct block_index *at, int32_t height)
{
    while (at != NULL && at->height > height)
        at = at->prev;
    return at;
}

static struct block_index *any(struct fixture *f)
{
    return f->entries[sim_random_below(&f->random, ENTRIES)];
}

START_TEST(ancestors_and_forks)
{
    struct fixture f;
    setup(&f, (uint64_t)_i + 1);
    for (int n = 0; n < 3000; n++) {
        struct block_index *a = any(&f), *b = any(&f);
        int32_t height = (int32_t)sim_random_below(&f.random, (uint64_t)a->height + 1);
        ck_assert_ptr_eq(index_ancestor(a, height), walk_to(a, height));
        struct block_index *x = a, *y = b;
        while (x != y) {
            if (x->height >= y->height)
                x = x->prev;
            else
                y = y->prev;
        }
        ck_assert_ptr_eq(index_fork(a, b), x);
        ck_assert_ptr_eq(tree_find(&f.tree, &a->id), a);
    }
    ck_assert_ptr_null(index_ancestor(f.entries[5], -1));
    ck_assert_ptr_null(index_ancestor(f.entries[5], f.entries[5]->height + 1));
    ck_assert_ptr_null(index_ancestor(NULL, 0));
    struct block_id unknown;
    memset(&unknown, 0xff, sizeof unknown);
    ck_assert_ptr_null(tree_find(&f.tree, &unknown));
    teardown(&f);
}
END_TEST

static int by_time(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

START_TEST(median_and_header)
{
    struct fixture f;
    setup(&f, 7);
    for (int n = 0; n < 500; n++) {
        struct block_index *at = n < 15 ? f.entries[n] : any(&f);
        uint32_t times[11], count = 0;
        for (struct block_index *w = at; w != NULL && count < 11; w = w->prev)
            times[count++] = w->time_s;
        qsort(times, count, sizeof *times, by_time);
        ck_assert_int_eq(index_median_time_past_s(at), times[count / 2]);
        struct header header = index_header(at);
        ck_assert_int_eq(header.version, at->version);
        ck_assert_uint_eq(header.time_s, at->time_s);
        ck_assert(at->prev == NULL ? block_id_is_zero(&header.prev)
                                   : block_id_equal(&header.prev, &at->prev->id));
    }
    teardown(&f);
}
END_TEST

START_TEST(view_of_difficulty)
{
    struct fixture f;
    setup(&f, 9);
    struct index_view view;
    for (int n = 0; n < 50; n++) {
        struct block_index *tip = any(&f);
        index_view_init(&view, tip);
        ck_assert_int_eq(view.view.tip_height, tip->height);
        for (int k = 0; k < 200; k++) { /* near and far, in any order */
            int32_t height = tip->height - (int32_t)sim_random_below(&f.random, k % 2 == 0 ? 130 : 3000);
            height = height < 0 ? 0 : height;
            struct pow_point point = view.view.at(view.view.ctx, height);
            struct block_index *expected = walk_to(tip, height);
            ck_assert_int_eq(point.height, expected->height);
            ck_assert_uint_eq(point.time_s, expected->time_s);
            ck_assert_uint_eq(point.bits, expected->bits);
        }
    }
    teardown(&f);
}
END_TEST

START_TEST(walks)
{
    struct fixture f;
    setup(&f, 11);
    static bool seen[ENTRIES];
    for (int n = 0; n < 60; n++) {
        struct block_index *root = n == 0 ? f.entries[0] : any(&f), *skipped = n % 2 == 0 ? NULL : any(&f);
        memset(seen, 0, sizeof seen);
        for (struct block_index *at = root; at != NULL; at = tree_next(root, at, at == skipped)) {
            ck_assert(!seen[at->version]); /* once */
            ck_assert(at == root || seen[at->prev->version]); /* after its parent */
            seen[at->version] = true;
        }
        for (uint32_t i = 0; i < ENTRIES; i++) {
            struct block_index *e = f.entries[i];
            bool below = walk_to(e, root->height) == root;
            bool cut = skipped != NULL && e != skipped && walk_to(e, skipped->height) == skipped &&
                       walk_to(skipped, root->height) == root;
            ck_assert_int_eq(seen[i], below && !cut);
        }
    }
    for (uint32_t i = 1; i < ENTRIES; i++) {
        ck_assert_int_eq(f.entries[i]->height, f.entries[i]->prev->height + 1);
        ck_assert_int_gt(u256_compare(&f.entries[i]->chain_work, &f.entries[i]->prev->chain_work), 0);
    }
    teardown(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("index");
    TCase *tc = tcase_create("index");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, ancestors_and_forks, 0, 4);
    tcase_add_test(tc, median_and_header);
    tcase_add_test(tc, view_of_difficulty);
    tcase_add_test(tc, walks);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
