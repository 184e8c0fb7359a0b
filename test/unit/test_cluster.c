/* Proves that clusters are ordered, chunked, split and heaped as a brute-force model says, on random
 * graphs; that no set of transactions beats the first chunk by more than greed loses; and that diagrams
 * are compared as if drawn point by point. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/mempool/internal.h"
#include "../sim/disk.h"
#include "unit.h"

#define ROUNDS 400
#define SMALL_MAX 10
#define HEAP_CLUSTERS 300

static uint64_t bit(uint32_t i)
{
    return UINT64_C(1) << i;
}

/* A random graph; links go from lower to higher places of a hidden shuffle, so indices tell nothing. */
static struct mempool_cluster *random_cluster(
    struct sim_random *random, uint32_t count, uint32_t links)
{
    struct mempool_cluster *cluster = cluster_new(count);
    uint32_t place[CLUSTER_COUNT_MAX];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = (uint32_t)sim_random_below(random, i + 1);
        place[i] = place[k];
        place[k] = i;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct cluster_tx *tx = &cluster->txs[place[i]];
        tx->fee_sat = (int64_t)sim_random_below(random, 50) - 5;
        tx->size_wu = 1 + sim_random_below(random, 20);
        for (uint32_t n = 0; i > 0 && n < links; n++)
            if (n == 0 || sim_random_below(random, 3) == 0)
                tx->parents |= bit(place[sim_random_below(random, i)]);
    }
    return cluster;
}

static uint64_t naive_ancestors(const struct mempool_cluster *cluster, uint32_t i)
{
    uint64_t set = bit(i);
    for (bool grown = true; grown;) {
        grown = false;
        for (uint32_t k = 0; k < cluster->count; k++)
            if ((set & bit(k)) != 0 && (cluster->txs[k].parents & ~set) != 0) {
                set |= cluster->txs[k].parents;
                grown = true;
            }
    }
    return set;
}

static void sum_of(
    const struct mempool_cluster *cluster, uint64_t set, int64_t *fee_sat, int64_t *size_wu)
{
    *fee_sat = *size_wu = 0;
    for (uint32_t i = 0; i < cluster->count; i++)
        if ((set & bit(i)) != 0) {
            *fee_sat += cluster->txs[i].fee_sat;
            *size_wu += (int64_t)cluster->txs[i].size_wu;
        }
}

static void expect_valid(const struct mempool_cluster *cluster)
{
    uint64_t seen = 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i < cluster->count; i++) {
        ck_assert_uint_eq(cluster->txs[i].ancestors, naive_ancestors(cluster, i));
        for (uint32_t k = 0; k < cluster->count; k++)
            ck_assert_uint_eq(
                cluster->txs[i].descendants >> k & 1, cluster->txs[k].ancestors >> i & 1);
    }
    for (uint32_t c = 0; c < cluster->chunk_count; c++) {
        const struct cluster_chunk *chunk = &cluster->chunks[c];
        int64_t fee_sat, size_wu;
        ck_assert_uint_eq(chunk->first, at);
        ck_assert_uint_eq(chunk->count, bits_count(chunk->set));
        for (uint32_t i = 0; i < chunk->count; i++, at++) {
            uint32_t member = cluster->order[at];
            ck_assert_uint_eq(seen & bit(member), 0);
            ck_assert_uint_eq(cluster->txs[member].parents & ~seen, 0); /* parents come first */
            ck_assert((chunk->set & bit(member)) != 0);
            ck_assert_uint_eq(cluster_chunk_index(cluster, member), c);
            seen |= bit(member);
        }
        sum_of(cluster, chunk->set, &fee_sat, &size_wu);
        ck_assert_int_eq(chunk->fee_sat, fee_sat);
        ck_assert_int_eq((int64_t)chunk->size_wu, size_wu);
        if (c > 0) {
            const struct cluster_chunk *before = &cluster->chunks[c - 1];
            ck_assert_int_ge(before->fee_sat * (int64_t)chunk->size_wu,
                chunk->fee_sat * (int64_t)before->size_wu);
        }
    }
    ck_assert_uint_eq(seen, cluster_all(cluster));
    ck_assert_uint_eq(at, cluster->count);
}

START_TEST(order_and_chunks_are_valid)
{
    struct sim_random random = {7};
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t count = 1 + (uint32_t)sim_random_below(&random, CLUSTER_COUNT_MAX);
        struct mempool_cluster *cluster = random_cluster(&random, count, 1 + round % 4);
        cluster_build(cluster);
        expect_valid(cluster);
        mem_free(cluster);
    }
}
END_TEST

/* Bounds on the first chunk: at least the best set of a transaction with its ancestors, at most the best
 * of all sets that could be mined first. */
START_TEST(first_chunk_against_all_subsets)
{
    struct sim_random random = {11};
    uint32_t optimal = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t count = 1 + (uint32_t)sim_random_below(&random, SMALL_MAX);
        struct mempool_cluster *cluster = random_cluster(&random, count, 1 + round % 3);
        cluster_build(cluster);
        int64_t best_fee = INT64_MIN / 1000, best_size = 1, fee_sat, size_wu;
        for (uint64_t set = 1; set < bit(count); set++) {
            uint64_t needed = 0;
            for (uint32_t i = 0; i < count; i++)
                if ((set & bit(i)) != 0)
                    needed |= cluster->txs[i].parents;
            sum_of(cluster, set, &fee_sat, &size_wu);
            if ((needed & ~set) == 0 && fee_sat * best_size > best_fee * size_wu) {
                best_fee = fee_sat;
                best_size = size_wu;
            }
        }
        const struct cluster_chunk *first = &cluster->chunks[0];
        ck_assert_int_le(first->fee_sat * best_size, best_fee * (int64_t)first->size_wu);
        optimal += first->fee_sat * best_size == best_fee * (int64_t)first->size_wu;
        for (uint32_t i = 0; i < count; i++) {
            sum_of(cluster, cluster->txs[i].ancestors, &fee_sat, &size_wu);
            ck_assert_int_ge(first->fee_sat * size_wu, fee_sat * (int64_t)first->size_wu);
        }
        mem_free(cluster);
    }
    ck_assert_uint_ge(optimal, ROUNDS * 8 / 10); /* greed is nearly always right */
}
END_TEST

START_TEST(split_gives_the_components)
{
    struct sim_random random = {13};
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t count = 1 + (uint32_t)sim_random_below(&random, CLUSTER_COUNT_MAX);
        struct mempool_cluster *cluster = random_cluster(&random, count, 1 + round % 2),
                               *parts = NULL;
        uint64_t within = sim_random_next(&random) & cluster_all(cluster);
        uint32_t label[CLUSTER_COUNT_MAX], components = 0, members = 0, made = 0;
        for (uint32_t i = 0; i < count; i++)
            cluster->txs[i].fee_sat = (int64_t)i; /* tells who is who */
        for (uint32_t i = 0; i < count; i++)
            label[i] = i;
        for (uint32_t pass = 0; pass < count; pass++)
            for (uint32_t i = 0; i < count; i++)
                for (uint32_t k = 0; k < count; k++)
                    if ((within & bit(i)) != 0 && (within & bit(k)) != 0 &&
                        (cluster->txs[i].parents & bit(k)) != 0)
                        label[i] = label[k] = label[i] < label[k] ? label[i] : label[k];
        for (uint32_t i = 0; i < count; i++)
            components += (within & bit(i)) != 0 && label[i] == i;
        cluster_split(&parts, cluster, within);
        for (const struct mempool_cluster *part = parts; part != NULL; part = part->next, made++) {
            expect_valid(part);
            members += part->count;
            for (uint32_t i = 0; i < part->count; i++) {
                uint32_t self = (uint32_t)part->txs[i].fee_sat;
                ck_assert((within & bit(self)) != 0);
                ck_assert_uint_eq(label[self], label[part->txs[0].fee_sat]);
                uint64_t parents = 0;
                for (uint64_t up = part->txs[i].parents; up != 0; up &= up - 1)
                    parents |= bit((uint32_t)part->txs[bits_first(up)].fee_sat);
                ck_assert_uint_eq(parents, cluster->txs[self].parents & within);
            }
        }
        ck_assert_uint_eq(made, components);
        ck_assert_uint_eq(members, bits_count(within));
        cluster_free_list(parts);
        mem_free(cluster);
    }
}
END_TEST

START_TEST(heaps_hold_best_and_worst_first)
{
    struct sim_random random = {17};
    struct cluster_heap heaps[HEAP_KINDS] = {{.kind = HEAP_BEST}, {.kind = HEAP_WORST}};
    struct mempool_cluster *inside[HEAP_CLUSTERS];
    uint32_t count = 0;
    for (uint32_t round = 0; round < 4000; round++) {
        if (count < HEAP_CLUSTERS && sim_random_below(&random, 5) < 3) {
            struct mempool_cluster *cluster = random_cluster(&random, 1 + round % 5, 1);
            cluster_build(cluster);
            for (uint32_t i = 0; i < cluster->chunk_count; i++)
                cluster->chunks[i].sequence = round * 10 + i;
            for (uint32_t k = 0; k < HEAP_KINDS; k++) {
                ck_assert(heap_reserve(&heaps[k], count + 1));
                heap_add(&heaps[k], cluster);
            }
            inside[count++] = cluster;
        } else if (count > 0) {
            uint32_t i = (uint32_t)sim_random_below(&random, count);
            heap_remove(&heaps[HEAP_BEST], inside[i]);
            heap_remove(&heaps[HEAP_WORST], inside[i]);
            mem_free(inside[i]);
            inside[i] = inside[--count];
        }
        ck_assert_uint_eq(heaps[HEAP_BEST].count, count);
        ck_assert_uint_eq(heaps[HEAP_WORST].count, count);
        for (uint32_t i = 0; i < count; i++) {
            const struct mempool_cluster *best = heaps[HEAP_BEST].items[0],
                                         *worst = heaps[HEAP_WORST].items[0];
            ck_assert(inside[i] == best || chunk_precedes(HEAP_BEST, best, 0, inside[i], 0));
            ck_assert(
                inside[i] == worst || chunk_precedes(HEAP_WORST, worst, worst->chunk_count - 1,
                                          inside[i], inside[i]->chunk_count - 1));
            ck_assert_ptr_eq(heaps[HEAP_BEST].items[inside[i]->slot[HEAP_BEST]], inside[i]);
        }
    }
    while (count > 0)
        mem_free(inside[--count]);
    mem_free(heaps[HEAP_BEST].items);
    mem_free(heaps[HEAP_WORST].items);
}
END_TEST

/* Fees of the best chunks up to `size`, as a fraction over *scale. */
static int64_t naive_height(
    const struct diagram_chunk *chunks, uint32_t count, uint64_t size, int64_t *scale)
{
    struct diagram_chunk sorted[8];
    int64_t fee = 0;
    memcpy(sorted, chunks, count * sizeof *chunks);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = i + 1; k < count; k++)
            if (sorted[k].fee_sat * (int64_t)sorted[i].size_wu >
                sorted[i].fee_sat * (int64_t)sorted[k].size_wu) {
                struct diagram_chunk swap = sorted[i];
                sorted[i] = sorted[k];
                sorted[k] = swap;
            }
    for (uint32_t i = 0; i < count; i++) {
        if (size < sorted[i].size_wu) {
            *scale = (int64_t)sorted[i].size_wu;
            return fee * *scale + sorted[i].fee_sat * (int64_t)size;
        }
        fee += sorted[i].fee_sat;
        size -= sorted[i].size_wu;
    }
    *scale = 1;
    return fee;
}

START_TEST(diagrams_against_points)
{
    struct sim_random random = {19};
    uint32_t better = 0, worse = 0;
    for (uint32_t round = 0; round < 20000; round++) {
        struct diagram_chunk lists[2][8];
        uint32_t counts[2];
        for (uint32_t l = 0; l < 2; l++) {
            counts[l] = (uint32_t)sim_random_below(&random, 4);
            for (uint32_t i = 0; i < counts[l]; i++)
                lists[l][i] = (struct diagram_chunk){
                    (int64_t)sim_random_below(&random, 12), 1 + sim_random_below(&random, 4)};
        }
        bool above = false, below = false;
        for (uint64_t size = 0; size < 20; size++) {
            int64_t scale_a, scale_b;
            int64_t a = naive_height(lists[1], counts[1], size, &scale_a);
            int64_t b = naive_height(lists[0], counts[0], size, &scale_b);
            above |= a * scale_b > b * scale_a;
            below |= a * scale_b < b * scale_a;
        }
        bool expected = above && !below;
        ck_assert_int_eq(diagram_improves(lists[0], counts[0], lists[1], counts[1]), expected);
        better += expected;
        worse += !expected;
    }
    ck_assert_uint_gt(better, 1000);
    ck_assert_uint_gt(worse, 1000);
}
END_TEST

START_TEST(feerates_do_not_overflow)
{
    int64_t most = INT64_C(2100000000000000);
    ck_assert_int_eq(feerate_compare(most, 4000000, most, 4000000), 0);
    ck_assert_int_gt(feerate_compare(most, 3999999, most, 4000000), 0);
    ck_assert_int_lt(feerate_compare(-most, 3999999, -most, 4000000), 0);
    ck_assert_int_lt(feerate_compare(-most, 1, most, 4000000), 0);
    ck_assert_int_gt(feerate_compare(most, 4000000, most - 1, 4000000), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cluster");
    TCase *tc = tcase_create("cluster");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, order_and_chunks_are_valid);
    tcase_add_test(tc, first_chunk_against_all_subsets);
    tcase_add_test(tc, split_gives_the_components);
    tcase_add_test(tc, heaps_hold_best_and_worst_first);
    tcase_add_test(tc, diagrams_against_points);
    tcase_add_test(tc, feerates_do_not_overflow);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
