/* Clusters: transactions connected by spending, at most 64, so that a set of them is one word.
 * A cluster is built once and then replaced, never edited: members come and go by building the next one,
 * which is cheap (O(n^2) word operations) and leaves no half-changed state.
 * Order: ancestor sets, best feerate first (what miners have done since CPFP), then cut into chunks: a
 * transaction joins the chunk before it while that raises the chunk's feerate. So chunks fall in feerate,
 * which is what mining (from the front), eviction (from the back) and replacement go by.
 * Two heaps hold all clusters, by best first and by worst last chunk. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

__extension__ typedef __int128 wide;

static void close_relations(struct mempool_cluster *cluster);
static void linearise(struct mempool_cluster *cluster);
static void cut_chunks(struct mempool_cluster *cluster);
static void take(struct mempool_cluster *cluster, uint64_t set, uint32_t at);
static int compare_chunks(const void *a, const void *b);
static void heap_up(struct cluster_heap *heap, uint32_t at);
static void heap_down(struct cluster_heap *heap, uint32_t at);
static bool heap_before(const struct cluster_heap *heap, const struct mempool_cluster *a,
    const struct mempool_cluster *b);

int feerate_compare(int64_t fee_a_sat, uint64_t size_a_wu, int64_t fee_b_sat, uint64_t size_b_wu)
{
    wide a = (wide)fee_a_sat * (wide)size_b_wu, b = (wide)fee_b_sat * (wide)size_a_wu;
    return (a > b) - (a < b);
}

uint32_t bits_count(uint64_t set)
{
    return (uint32_t)__builtin_popcountll(set);
}

uint32_t bits_first(uint64_t set)
{
    return (uint32_t)__builtin_ctzll(set);
}

uint64_t cluster_all(const struct mempool_cluster *cluster)
{
    return cluster->count == 64 ? UINT64_MAX : (UINT64_C(1) << cluster->count) - 1;
}

struct mempool_cluster *cluster_new(uint32_t count)
{
    size_t size_b = sizeof(struct mempool_cluster) +
                    count * (sizeof(struct cluster_tx) + sizeof(struct cluster_chunk) + 1);
    struct mempool_cluster *cluster = mem_new(size_b);
    cluster->count = count;
    cluster->usage_b = size_b;
    cluster->txs = (struct cluster_tx *)(cluster + 1);
    cluster->chunks = (struct cluster_chunk *)(cluster->txs + count);
    cluster->order = (uint8_t *)(cluster->chunks + count);
    return cluster;
}

void cluster_append(
    struct mempool_cluster *to, uint32_t at, const struct mempool_cluster *from, uint64_t set)
{
    uint32_t place[CLUSTER_COUNT_MAX];
    uint32_t next = at;
    for (uint64_t left = set; left != 0; left &= left - 1)
        place[bits_first(left)] = next++;
    for (uint64_t left = set; left != 0; left &= left - 1) {
        const struct cluster_tx *source = &from->txs[bits_first(left)];
        struct cluster_tx *target = &to->txs[place[bits_first(left)]];
        *target = (struct cluster_tx){
            .entry = source->entry, .fee_sat = source->fee_sat, .size_wu = source->size_wu};
        if (source->entry != NULL)
            target->fee_sat = source->entry->modified_fee_sat;
        for (uint64_t up = source->parents & set; up != 0; up &= up - 1)
            target->parents |= UINT64_C(1) << place[bits_first(up)];
    }
}

void cluster_build(struct mempool_cluster *cluster)
{
    cluster->size_wu = 0;
    for (uint32_t i = 0; i < cluster->count; i++)
        cluster->size_wu += cluster->txs[i].size_wu;
    close_relations(cluster);
    linearise(cluster);
    cut_chunks(cluster);
}

uint64_t cluster_component(const struct mempool_cluster *cluster, uint64_t within, uint32_t start)
{
    uint64_t found = UINT64_C(1) << start, fresh = found;
    while (fresh != 0) {
        uint64_t near = 0;
        for (uint64_t left = fresh; left != 0; left &= left - 1)
            near |= cluster->txs[bits_first(left)].parents;
        for (uint64_t left = within & ~found; left != 0; left &= left - 1)
            if ((cluster->txs[bits_first(left)].parents & fresh) != 0)
                near |= UINT64_C(1) << bits_first(left);
        fresh = near & within & ~found;
        found |= fresh;
    }
    return found;
}

void cluster_split(
    struct mempool_cluster **list, const struct mempool_cluster *cluster, uint64_t within)
{
    while (within != 0) {
        uint64_t part = cluster_component(cluster, within, bits_first(within));
        struct mempool_cluster *made = cluster_new(bits_count(part));
        cluster_append(made, 0, cluster, part);
        cluster_build(made);
        made->next = *list;
        *list = made;
        within &= ~part;
    }
}

void cluster_free_list(struct mempool_cluster *list)
{
    while (list != NULL) {
        struct mempool_cluster *next = list->next;
        mem_free(list);
        list = next;
    }
}

uint32_t cluster_chunk_index(const struct mempool_cluster *cluster, uint32_t member)
{
    uint32_t i = 0;
    while ((cluster->chunks[i].set >> member & 1) == 0)
        i++;
    return i;
}

/* Warshall's closure, a row at a time. */
static void close_relations(struct mempool_cluster *cluster)
{
    struct cluster_tx *txs = cluster->txs;
    for (uint32_t i = 0; i < cluster->count; i++) {
        txs[i].ancestors = txs[i].parents | UINT64_C(1) << i;
        txs[i].descendants = 0;
    }
    for (uint32_t via = 0; via < cluster->count; via++)
        for (uint32_t i = 0; i < cluster->count; i++)
            if ((txs[i].ancestors >> via & 1) != 0)
                txs[i].ancestors |= txs[via].ancestors;
    for (uint32_t i = 0; i < cluster->count; i++)
        for (uint64_t up = txs[i].ancestors; up != 0; up &= up - 1)
            txs[bits_first(up)].descendants |= UINT64_C(1) << i;
}

static void linearise(struct mempool_cluster *cluster)
{
    int64_t fee_sat[CLUSTER_COUNT_MAX]; /* of the ancestors that are left */
    uint64_t size_wu[CLUSTER_COUNT_MAX];
    memset(fee_sat, 0, sizeof fee_sat);
    memset(size_wu, 0, sizeof size_wu);
    for (uint32_t i = 0; i < cluster->count; i++)
        for (uint64_t up = cluster->txs[i].ancestors; up != 0; up &= up - 1) {
            fee_sat[i] += cluster->txs[bits_first(up)].fee_sat;
            size_wu[i] += cluster->txs[bits_first(up)].size_wu;
        }
    uint64_t left = cluster_all(cluster);
    uint32_t placed = 0;
    while (left != 0) {
        uint32_t best = bits_first(left);
        for (uint64_t at = left & (left - 1); at != 0; at &= at - 1) {
            uint32_t i = bits_first(at);
            int order = feerate_compare(fee_sat[i], size_wu[i], fee_sat[best], size_wu[best]);
            if (order > 0 || (order == 0 && size_wu[i] < size_wu[best]))
                best = i;
        }
        uint64_t chosen = cluster->txs[best].ancestors & left;
        take(cluster, chosen, placed);
        placed += bits_count(chosen);
        left &= ~chosen;
        for (uint64_t at = left; at != 0; at &= at - 1) {
            uint32_t i = bits_first(at);
            for (uint64_t up = cluster->txs[i].ancestors & chosen; up != 0; up &= up - 1) {
                fee_sat[i] -= cluster->txs[bits_first(up)].fee_sat;
                size_wu[i] -= cluster->txs[bits_first(up)].size_wu;
            }
        }
    }
}

/* Puts the set in order, parents first: who has fewer ancestors cannot be a descendant. */
static void take(struct mempool_cluster *cluster, uint64_t set, uint32_t at)
{
    while (set != 0) {
        uint32_t best = bits_first(set);
        for (uint64_t left = set; left != 0; left &= left - 1) {
            uint32_t i = bits_first(left);
            if (bits_count(cluster->txs[i].ancestors) < bits_count(cluster->txs[best].ancestors))
                best = i;
        }
        cluster->order[at++] = (uint8_t)best;
        set &= ~(UINT64_C(1) << best);
    }
}

static void cut_chunks(struct mempool_cluster *cluster)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < cluster->count; i++) {
        uint32_t member = cluster->order[i];
        const struct cluster_tx *tx = &cluster->txs[member];
        struct cluster_chunk *chunks = cluster->chunks;
        chunks[n++] = (struct cluster_chunk){.set = UINT64_C(1) << member,
            .fee_sat = tx->fee_sat,
            .size_wu = tx->size_wu,
            .first = (uint8_t)i,
            .count = 1};
        while (n > 1 && feerate_compare(chunks[n - 1].fee_sat, chunks[n - 1].size_wu,
                            chunks[n - 2].fee_sat, chunks[n - 2].size_wu) > 0) {
            chunks[n - 2].set |= chunks[n - 1].set;
            chunks[n - 2].fee_sat += chunks[n - 1].fee_sat;
            chunks[n - 2].size_wu += chunks[n - 1].size_wu;
            chunks[n - 2].count = (uint8_t)(chunks[n - 2].count + chunks[n - 1].count);
            n--;
        }
    }
    cluster->chunk_count = n;
}

/* ---- heaps ---- */
bool chunk_precedes(enum cluster_heap_kind kind, const struct mempool_cluster *a, uint32_t chunk_a,
    const struct mempool_cluster *b, uint32_t chunk_b)
{
    const struct cluster_chunk *x = &a->chunks[chunk_a], *y = &b->chunks[chunk_b];
    int order = feerate_compare(x->fee_sat, x->size_wu, y->fee_sat, y->size_wu);
    if (order == 0)
        order = (x->sequence < y->sequence) - (x->sequence > y->sequence);
    return kind == HEAP_BEST ? order > 0 : order < 0;
}

bool heap_reserve(struct cluster_heap *heap, uint32_t count)
{
    return count <= heap->capacity || mem_try_grow(&heap->items, &heap->capacity, count,
                                          POOL_ENTRIES_MAX, sizeof *heap->items);
}

void heap_add(struct cluster_heap *heap, struct mempool_cluster *cluster)
{
    heap->items[heap->count] = cluster;
    cluster->slot[heap->kind] = heap->count;
    heap_up(heap, heap->count++);
}

void heap_remove(struct cluster_heap *heap, struct mempool_cluster *cluster)
{
    uint32_t at = cluster->slot[heap->kind];
    struct mempool_cluster *last = heap->items[--heap->count];
    if (last == cluster)
        return;
    heap->items[at] = last;
    last->slot[heap->kind] = at;
    heap_up(heap, at);
    heap_down(heap, last->slot[heap->kind]);
}

static void heap_up(struct cluster_heap *heap, uint32_t at)
{
    struct mempool_cluster *moved = heap->items[at];
    while (at > 0 && heap_before(heap, moved, heap->items[(at - 1) / 2])) {
        heap->items[at] = heap->items[(at - 1) / 2];
        heap->items[at]->slot[heap->kind] = at;
        at = (at - 1) / 2;
    }
    heap->items[at] = moved;
    moved->slot[heap->kind] = at;
}

static void heap_down(struct cluster_heap *heap, uint32_t at)
{
    struct mempool_cluster *moved = heap->items[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count &&
            heap_before(heap, heap->items[child + 1], heap->items[child]))
            child++;
        if (!heap_before(heap, heap->items[child], moved))
            break;
        heap->items[at] = heap->items[child];
        heap->items[at]->slot[heap->kind] = at;
        at = child;
    }
    heap->items[at] = moved;
    moved->slot[heap->kind] = at;
}

static bool heap_before(const struct cluster_heap *heap, const struct mempool_cluster *a,
    const struct mempool_cluster *b)
{
    bool best = heap->kind == HEAP_BEST;
    return chunk_precedes(
        heap->kind, a, best ? 0 : a->chunk_count - 1, b, best ? 0 : b->chunk_count - 1);
}

/* ---- feerate diagrams ---- */
/* Fees against size, the chunks in falling feerate; flat behind the last. */
struct diagram {
    const struct diagram_chunk *chunks;
    uint32_t count, at;
    int64_t fee_sat; /* of the chunks before `at` */
    uint64_t size_wu;
};

static bool diagram_step(struct diagram *d)
{
    if (d->at == d->count)
        return false;
    d->fee_sat += d->chunks[d->at].fee_sat;
    d->size_wu += d->chunks[d->at].size_wu;
    d->at++;
    return true;
}

/* Sign of (a corner of one diagram) - (the other one there); advances the other to that place. */
static int corner_above(const struct diagram *corner, struct diagram *other)
{
    while (other->at < other->count &&
           other->size_wu + other->chunks[other->at].size_wu <= corner->size_wu)
        diagram_step(other);
    wide fee = corner->fee_sat - other->fee_sat, slope_fee = 0, slope_size = 1;
    if (other->at < other->count) {
        slope_fee = other->chunks[other->at].fee_sat;
        slope_size = (wide)other->chunks[other->at].size_wu;
    }
    wide a = fee * slope_size, b = slope_fee * (wide)(corner->size_wu - other->size_wu);
    return (a > b) - (a < b);
}

bool diagram_improves(struct diagram_chunk *before, uint32_t before_count,
    struct diagram_chunk *after, uint32_t after_count)
{
    if (before_count > 1)
        qsort(before, before_count, sizeof *before, compare_chunks);
    if (after_count > 1)
        qsort(after, after_count, sizeof *after, compare_chunks);
    bool above = false, below = false;
    struct diagram corner = {.chunks = after, .count = after_count};
    struct diagram other = {.chunks = before, .count = before_count};
    while (diagram_step(&corner)) {
        int sign = corner_above(&corner, &other);
        above |= sign > 0;
        below |= sign < 0;
    }
    corner = (struct diagram){.chunks = before, .count = before_count};
    other = (struct diagram){.chunks = after, .count = after_count};
    while (diagram_step(&corner)) {
        int sign = corner_above(&corner, &other);
        above |= sign < 0;
        below |= sign > 0;
    }
    return above && !below;
}

static int compare_chunks(const void *a, const void *b)
{
    const struct diagram_chunk *x = a, *y = b;
    return feerate_compare(y->fee_sat, y->size_wu, x->fee_sat, x->size_wu);
}
