/* Announcements lie in one array and are linked three ways: all of a hash, all of a peer, and a peer's
 * queue of those that wait for their time or were asked. Times of a queue rise (delays of one peer differ
 * by seconds at most), so what is due is found at its head and no tick costs more than what it does.
 *
 *   WAITING --its time--> ASKED (nobody else is asked) or PARKED (somebody is)
 *   ASKED --too late, notfound, peer gone--> removed, and the best PARKED of the hash WAITs with no delay */
#include "tx_request.h"

#include <string.h>

#include "coin/base/mem.h"

enum announce_state { ANNOUNCE_FREE, ANNOUNCE_WAITING, ANNOUNCE_ASKED, ANNOUNCE_PARKED };

struct links {
    uint32_t prev, next;
};
struct tx_announce {
    struct tx_key key;
    uint8_t state;
    bool preferred;
    int64_t peer, time_us; /* ready at, or asked until */
    uint32_t next_of_tx;   /* also the free list */
    struct links of_peer, of_queue;
};
struct list {
    uint32_t first, last;
};
struct tx_wanted {
    uint32_t first;
    bool asked;
};
struct tx_peer {
    struct list all, waiting, asked;
    uint32_t count, asked_count;
};

static uint32_t slot_new(struct tx_requests *r);
static void drop(struct tx_requests *r, uint32_t slot);
static void unlink_of_tx(struct tx_requests *r, uint32_t slot);
static void promote(struct tx_requests *r, const struct tx_key *key);
static uint32_t find(const struct tx_requests *r, int64_t peer, const struct tx_key *key);
static void queue_leave(struct tx_requests *r, struct tx_peer *peer, uint32_t slot);
static void all_append(struct tx_requests *r, struct list *list, uint32_t slot);
static void all_remove(struct tx_requests *r, struct list *list, uint32_t slot);
static void queue_append(struct tx_requests *r, struct list *list, uint32_t slot);
static void queue_prepend(struct tx_requests *r, struct list *list, uint32_t slot);
static void queue_remove(struct tx_requests *r, struct list *list, uint32_t slot);

void tx_requests_init(struct tx_requests *r, const uint64_t seed[2])
{
    memset(r, 0, sizeof *r);
    r->used = 1;
    table_init(&r->wanted, sizeof(struct tx_key), sizeof(struct tx_wanted), TX_WANTED_MAX, seed);
    table_init(&r->peers, sizeof(int64_t), sizeof(struct tx_peer), UINT16_MAX, seed);
}

void tx_requests_clear(struct tx_requests *r)
{
    mem_free(r->slots);
    r->slots = NULL;
    r->capacity = r->free_first = r->count = 0;
    r->used = 1;
    table_clear(&r->wanted);
    table_clear(&r->peers);
}

bool tx_requests_announce(
    struct tx_requests *r, int64_t peer, const struct tx_key *key, bool preferred, int64_t ready_us)
{
    if (find(r, peer, key) != 0)
        return false;
    struct tx_peer *p = table_put(&r->peers, &peer, NULL);
    if (p == NULL || p->count >= TX_ANNOUNCE_MAX)
        return false;
    uint32_t slot = slot_new(r);
    if (slot == 0)
        return false;
    struct tx_wanted *wanted = table_put(&r->wanted, key, NULL);
    if (wanted == NULL) {
        r->slots[slot].next_of_tx = r->free_first;
        r->free_first = slot;
        return false;
    }
    struct tx_announce *a = &r->slots[slot];
    *a = (struct tx_announce){ .key = *key, .state = ANNOUNCE_WAITING, .preferred = preferred,
        .peer = peer, .time_us = ready_us, .next_of_tx = wanted->first };
    wanted->first = slot;
    all_append(r, &p->all, slot);
    queue_append(r, &p->waiting, slot);
    p->count++;
    r->count++;
    return true;
}

uint32_t tx_requests_due(
    struct tx_requests *r, int64_t peer, int64_t now_us, struct tx_key *out, uint32_t max)
{
    struct tx_peer *p = table_find(&r->peers, &peer);
    uint32_t count = 0;
    if (p == NULL)
        return 0;
    while (p->asked.first != 0 && r->slots[p->asked.first].time_us <= now_us)
        drop(r, p->asked.first); /* too late: somebody else may have it */
    while (count < max && p->waiting.first != 0) {
        uint32_t slot = p->waiting.first;
        struct tx_announce *a = &r->slots[slot];
        if (a->time_us > now_us)
            break;
        queue_leave(r, p, slot);
        struct tx_wanted *wanted = table_find(&r->wanted, &a->key);
        if (wanted->asked) {
            a->state = ANNOUNCE_PARKED;
            continue;
        }
        wanted->asked = true;
        a->state = ANNOUNCE_ASKED;
        a->time_us = now_us + TX_REQUEST_MAX_US;
        queue_append(r, &p->asked, slot);
        p->asked_count++;
        out[count++] = a->key;
    }
    return count;
}

void tx_requests_failed(struct tx_requests *r, int64_t peer, const struct tx_key *key)
{
    uint32_t slot = find(r, peer, key);
    if (slot != 0)
        drop(r, slot);
}

void tx_requests_forget(struct tx_requests *r, const struct tx_key *key)
{
    struct tx_wanted *wanted;
    while ((wanted = table_find(&r->wanted, key)) != NULL) {
        /* From the front, and asked announcements promote nobody who is dropped next anyway. */
        wanted->asked = false;
        drop(r, wanted->first);
    }
}

void tx_requests_forget_peer(struct tx_requests *r, int64_t peer)
{
    struct tx_peer *p = table_find(&r->peers, &peer);
    if (p == NULL)
        return;
    while (p->all.first != 0)
        drop(r, p->all.first);
    table_remove(&r->peers, &peer);
}

bool tx_requests_was_asked(const struct tx_requests *r, int64_t peer, const struct tx_key *key)
{
    uint32_t slot = find(r, peer, key);
    return slot != 0 && r->slots[slot].state == ANNOUNCE_ASKED;
}

uint32_t tx_requests_in_flight(const struct tx_requests *r, int64_t peer)
{
    const struct tx_peer *p = table_find(&r->peers, &peer);
    return p != NULL ? p->asked_count : 0;
}

uint32_t tx_requests_of_peer(const struct tx_requests *r, int64_t peer)
{
    const struct tx_peer *p = table_find(&r->peers, &peer);
    return p != NULL ? p->count : 0;
}

/* ---- helpers ---- */
static uint32_t slot_new(struct tx_requests *r)
{
    if (r->free_first != 0) {
        uint32_t slot = r->free_first;
        r->free_first = r->slots[slot].next_of_tx;
        return slot;
    }
    if (!mem_try_grow(&r->slots, &r->capacity, r->used + 1, TX_ANNOUNCES_MAX, sizeof *r->slots))
        return 0;
    return r->used++;
}

/* Removes an announcement; was it the one asked, another announcer takes its place. */
static void drop(struct tx_requests *r, uint32_t slot)
{
    struct tx_announce *a = &r->slots[slot];
    struct tx_key key = a->key;
    bool was_asked = a->state == ANNOUNCE_ASKED;
    struct tx_peer *p = table_find(&r->peers, &a->peer);
    if (a->state != ANNOUNCE_PARKED)
        queue_leave(r, p, slot);
    all_remove(r, &p->all, slot);
    p->count--;
    unlink_of_tx(r, slot);
    a->state = ANNOUNCE_FREE;
    a->next_of_tx = r->free_first;
    r->free_first = slot;
    r->count--;
    struct tx_wanted *wanted = table_find(&r->wanted, &key);
    if (wanted->first == 0) {
        table_remove(&r->wanted, &key);
    } else if (was_asked && wanted->asked) {
        wanted->asked = false;
        promote(r, &key);
    }
}

static void unlink_of_tx(struct tx_requests *r, uint32_t slot)
{
    struct tx_wanted *wanted = table_find(&r->wanted, &r->slots[slot].key);
    uint32_t *at = &wanted->first;
    while (*at != slot)
        at = &r->slots[*at].next_of_tx;
    *at = r->slots[slot].next_of_tx;
}

/* Those who still wait come up by themselves; of the parked the best goes to the head of its peer's queue. */
static void promote(struct tx_requests *r, const struct tx_key *key)
{
    const struct tx_wanted *wanted = table_find(&r->wanted, key);
    uint32_t best = 0;
    for (uint32_t slot = wanted->first; slot != 0; slot = r->slots[slot].next_of_tx) {
        const struct tx_announce *a = &r->slots[slot], *b = &r->slots[best];
        if (a->state != ANNOUNCE_PARKED)
            continue;
        if (best == 0 || (a->preferred && !b->preferred) ||
            (a->preferred == b->preferred && a->time_us < b->time_us))
            best = slot;
    }
    if (best == 0)
        return;
    struct tx_announce *a = &r->slots[best];
    struct tx_peer *p = table_find(&r->peers, &a->peer);
    a->state = ANNOUNCE_WAITING;
    a->time_us = 0;
    queue_prepend(r, &p->waiting, best);
}

static uint32_t find(const struct tx_requests *r, int64_t peer, const struct tx_key *key)
{
    const struct tx_wanted *wanted = table_find(&r->wanted, key);
    uint32_t slot = wanted != NULL ? wanted->first : 0;
    while (slot != 0 && r->slots[slot].peer != peer)
        slot = r->slots[slot].next_of_tx;
    return slot;
}

static void queue_leave(struct tx_requests *r, struct tx_peer *peer, uint32_t slot)
{
    if (r->slots[slot].state == ANNOUNCE_ASKED) {
        queue_remove(r, &peer->asked, slot);
        peer->asked_count--;
    } else {
        queue_remove(r, &peer->waiting, slot);
    }
}

static void all_append(struct tx_requests *r, struct list *list, uint32_t slot)
{
    r->slots[slot].of_peer = (struct links){ list->last, 0 };
    if (list->last != 0)
        r->slots[list->last].of_peer.next = slot;
    else
        list->first = slot;
    list->last = slot;
}

static void all_remove(struct tx_requests *r, struct list *list, uint32_t slot)
{
    struct links l = r->slots[slot].of_peer;
    if (l.prev != 0)
        r->slots[l.prev].of_peer.next = l.next;
    else
        list->first = l.next;
    if (l.next != 0)
        r->slots[l.next].of_peer.prev = l.prev;
    else
        list->last = l.prev;
}

static void queue_append(struct tx_requests *r, struct list *list, uint32_t slot)
{
    r->slots[slot].of_queue = (struct links){ list->last, 0 };
    if (list->last != 0)
        r->slots[list->last].of_queue.next = slot;
    else
        list->first = slot;
    list->last = slot;
}

static void queue_prepend(struct tx_requests *r, struct list *list, uint32_t slot)
{
    r->slots[slot].of_queue = (struct links){ 0, list->first };
    if (list->first != 0)
        r->slots[list->first].of_queue.prev = slot;
    else
        list->last = slot;
    list->first = slot;
}

static void queue_remove(struct tx_requests *r, struct list *list, uint32_t slot)
{
    struct links l = r->slots[slot].of_queue;
    if (l.prev != 0)
        r->slots[l.prev].of_queue.next = l.next;
    else
        list->first = l.next;
    if (l.next != 0)
        r->slots[l.next].of_queue.prev = l.prev;
    else
        list->last = l.prev;
}
