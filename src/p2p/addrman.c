/* The address manager. After Bitcoin's: an address lies in at most ADDRMAN_NEW_PLACES places of the new
 * table, each chosen by (key, its group, the group of its source), or in exactly one of the tried table,
 * chosen by (key, itself, its group). An occupied place is given up only when its holder is terrible or
 * has other places; a tried one only after a feeler found it dead.
 *
 * Entries lie in one array that grows; places hold index + 1. Random choice walks from a random place.
 *
 * peers.dat (all integers little-endian):
 *   magic "CPAD" 4 | version u8 | key 32 | count u32 | entries | SHA256d over all before 32
 *   entry: network u8 | size u8 | bytes | port u16 | services u64 | time i64 | last_success i64 |
 *          last_try i64 | attempts u32 | tried u8 | source network u8 | size u8 | bytes
 * Places are computed again from the key on reading. */
#include "addrman.h"

#include <math.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/base/table.h"
#include "coin/crypto/sha256.h"
#include "coin/p2p/limits.h"

#define NEW_BUCKETS 1024u
#define TRIED_BUCKETS 256u
#define BUCKET_PLACES 64u
#define NEW_BUCKETS_PER_SOURCE 64u /* a source group reaches only so many */
#define TRIED_BUCKETS_PER_GROUP 8u
#define NEW_PLACES_MAX 8u /* of one address */
#define ENTRIES_MAX (NEW_BUCKETS * BUCKET_PLACES + TRIED_BUCKETS * BUCKET_PLACES)
#define HORIZON_S (30 * 24 * 60 * 60) /* older is forgotten */
#define RETRIES 3                     /* after so many attempts without ever a success it is terrible */
#define FAILURES_MAX 10
#define FAILURES_AGE_S (7 * 24 * 60 * 60)
#define RETRY_GRACE_S 60
#define REPLACE_AFTER_S (4 * 60 * 60) /* a tried one alive this lately keeps its place */
#define COLLISION_AGE_MAX_S (40 * 60)
#define COLLISIONS_MAX 10u
#define SELECT_WALKS_MAX 256u /* the odds grow by a fifth each time: 0.01 * 0.66^8 is certain after 43 */
#define FILE_MAGIC "CPAD"
#define FILE_VERSION 1
#define FILE_ENTRY_MIN_B 45u

struct entry {
    struct addrman_entry a;
    struct net_addr source;
    int64_t last_counted_s; /* last attempt that counted as a failure */
    uint32_t attempts;
    uint16_t places; /* in the new table */
    bool tried, used;
    uint32_t next_free;
};
struct host_key { /* address and port as a table's key */
    uint8_t network, size_b;
    uint8_t bytes[NET_ADDR_BYTES_MAX];
    uint16_t port;
};
struct occupied { /* which buckets hold anything, so that choosing one needs no searching */
    uint16_t list[NEW_BUCKETS], where[NEW_BUCKETS]; /* where: its place in list */
    uint8_t used[NEW_BUCKETS];                      /* places taken in it */
    uint32_t count;
};
struct addrman {
    const struct env *env;
    uint8_t key[32];
    struct entry *entries;
    uint32_t capacity, used, free_first; /* index + 1 */
    struct table by_addr;                /* struct host_key -> u32 index */
    uint32_t new_places[NEW_BUCKETS][BUCKET_PLACES];
    uint32_t tried_places[TRIED_BUCKETS][BUCKET_PLACES];
    struct occupied new_occupied, tried_occupied;
    uint32_t new_count, tried_count;
    int64_t last_good_s;
    struct net_addr collisions[COLLISIONS_MAX]; /* new ones that wait for a tried place */
    uint32_t collision_count;
};

static struct host_key key_of(const struct net_addr *addr);
static struct entry *find(const struct addrman *am, const struct net_addr *addr);
static struct entry *create(struct addrman *am, const struct net_addr *addr, const struct net_addr *source);
static void destroy(struct addrman *am, struct entry *e);
static uint64_t cheap_hash(const struct addrman *am, const void *a, size_t a_size_b, const void *b,
    size_t b_size_b, uint64_t salt);
static uint32_t *new_place(struct addrman *am, const struct entry *e, const struct net_addr *source);
static uint32_t *tried_place(struct addrman *am, const struct entry *e);
static void set_place(struct addrman *am, uint32_t *place, uint32_t value);
static bool is_terrible(const struct entry *e, int64_t now_s);
static double chance(const struct entry *e, int64_t now_s);
static bool place_new(struct addrman *am, struct entry *e, const struct net_addr *source, int64_t now_s);
static void make_tried(struct addrman *am, struct entry *e);
static void leave_new(struct addrman *am, struct entry *e);

struct addrman *addrman_new(const struct env *env)
{
    struct addrman *am = mem_new(sizeof *am);
    am->env = env;
    env_random(env, am->key, sizeof am->key);
    uint64_t seed[2];
    env_random(env, seed, sizeof seed);
    table_init(&am->by_addr, sizeof(struct host_key), sizeof(uint32_t), ENTRIES_MAX, seed);
    am->last_good_s = 1; /* something "never tried" is always older than */
    return am;
}

void addrman_free(struct addrman *am)
{
    if (am == NULL)
        return;
    table_clear(&am->by_addr);
    mem_free(am->entries);
    mem_free(am);
}

uint32_t addrman_count(const struct addrman *am, uint8_t network, bool is_new, bool is_tried)
{
    if (network == 0)
        return (is_new ? am->new_count : 0) + (is_tried ? am->tried_count : 0);
    uint32_t count = 0;
    for (uint32_t i = 0; i < am->used; i++)
        count += am->entries[i].used && am->entries[i].a.addr.network == network &&
                 (am->entries[i].tried ? is_tried : is_new);
    return count;
}

bool addrman_add(struct addrman *am, const struct net_addr *addr, uint64_t services, int64_t time_s,
    const struct net_addr *source, int64_t penalty_s)
{
    int64_t now_s = env_wall_s(am->env);
    if (!net_addr_is_routable(addr) || addr->port == 0)
        return false;
    if (net_addr_same_host(addr, source))
        penalty_s = 0; /* it speaks for itself */
    if (time_s > now_s)
        time_s = now_s;
    struct entry *e = find(am, addr);
    bool is_new = e == NULL;
    if (e != NULL) {
        int64_t interval_s = now_s - time_s < 24 * 60 * 60 ? 60 * 60 : 24 * 60 * 60;
        bool fresher = e->a.time_s < time_s - interval_s - penalty_s;
        if (fresher)
            e->a.time_s = time_s - penalty_s > 0 ? time_s - penalty_s : 0;
        e->a.services |= services;
        if (e->tried || e->places >= NEW_PLACES_MAX || time_s <= e->a.time_s)
            return false;
        /* Each further place is twice as hard to get, so that repetition does not multiply. */
        if (env_random_below(am->env, UINT64_C(1) << e->places) != 0)
            return false;
    } else {
        e = create(am, addr, source);
        if (e == NULL)
            return false;
        e->a.time_s = time_s - penalty_s > 0 ? time_s - penalty_s : 0;
        e->a.services = services;
        am->new_count++;
    }
    return place_new(am, e, source, now_s) && is_new;
}

void addrman_attempt(struct addrman *am, const struct net_addr *addr, bool count_failure)
{
    struct entry *e = find(am, addr);
    if (e == NULL)
        return;
    e->a.last_try_s = env_wall_s(am->env);
    if (count_failure && e->last_counted_s < am->last_good_s) {
        e->last_counted_s = e->a.last_try_s;
        e->attempts++;
    }
}

bool addrman_good(struct addrman *am, const struct net_addr *addr)
{
    int64_t now_s = env_wall_s(am->env);
    am->last_good_s = now_s;
    struct entry *e = find(am, addr);
    if (e == NULL)
        return false;
    e->a.last_success_s = e->a.last_try_s = now_s;
    e->attempts = 0;
    if (e->tried || e->places == 0)
        return false;
    if (*tried_place(am, e) == 0) {
        make_tried(am, e);
        return true;
    }
    for (uint32_t i = 0; i < am->collision_count; i++)
        if (net_addr_equal(&am->collisions[i], addr))
            return false;
    if (am->collision_count < COLLISIONS_MAX)
        am->collisions[am->collision_count++] = *addr;
    return false;
}

void addrman_connected(struct addrman *am, const struct net_addr *addr)
{
    struct entry *e = find(am, addr);
    int64_t now_s = env_wall_s(am->env);
    /* Not more often than every 20 minutes: times in addr messages shall not tell whom we talk to. */
    if (e != NULL && now_s - e->a.time_s > 20 * 60)
        e->a.time_s = now_s;
}

void addrman_set_services(struct addrman *am, const struct net_addr *addr, uint64_t services)
{
    struct entry *e = find(am, addr);
    if (e != NULL)
        e->a.services = services;
}

bool addrman_select(struct addrman *am, struct addrman_entry *out, bool new_only, uint8_t network)
{
    uint32_t in_new = addrman_count(am, network, true, false);
    uint32_t in_tried = new_only ? 0 : addrman_count(am, network, false, true);
    if (in_new + in_tried == 0)
        return false;
    bool tried = in_tried > 0 && (in_new == 0 || env_random_below(am->env, 2) == 0);
    const struct occupied *occupied = tried ? &am->tried_occupied : &am->new_occupied;
    int64_t now_s = env_wall_s(am->env);
    double factor = 1.0;
    const struct entry *last = NULL;
    for (uint32_t walk = 0; walk < SELECT_WALKS_MAX && occupied->count > 0; walk++) {
        uint32_t bucket = occupied->list[env_random_below(am->env, occupied->count)];
        uint32_t start = (uint32_t)env_random_below(am->env, BUCKET_PLACES);
        const struct entry *e = NULL;
        for (uint32_t i = 0; i < BUCKET_PLACES && e == NULL; i++) {
            uint32_t at = (start + i) % BUCKET_PLACES;
            uint32_t place = tried ? am->tried_places[bucket][at] : am->new_places[bucket][at];
            if (place != 0 && (network == 0 || am->entries[place - 1].a.addr.network == network))
                e = &am->entries[place - 1];
        }
        if (e == NULL)
            continue;
        last = e;
        double draw = (double)env_random_below(am->env, 1u << 30) / (double)(1u << 30);
        if (draw < factor * chance(e, now_s))
            break;
        factor *= 1.2; /* so that something is chosen even when all are poor */
    }
    for (uint32_t i = 0; last == NULL && i < am->used; i++)
        if (am->entries[i].used && am->entries[i].tried == tried &&
            (network == 0 || am->entries[i].a.addr.network == network))
            last = &am->entries[i];
    if (last == NULL)
        return false;
    *out = last->a;
    return true;
}

bool addrman_collision(struct addrman *am, struct addrman_entry *out)
{
    if (am->collision_count == 0)
        return false;
    uint32_t pick = (uint32_t)env_random_below(am->env, am->collision_count);
    struct entry *e = find(am, &am->collisions[pick]);
    uint32_t place = e != NULL && !e->tried ? *tried_place(am, e) : 0;
    if (place == 0) {
        am->collisions[pick] = am->collisions[--am->collision_count];
        return false;
    }
    *out = am->entries[place - 1].a;
    return true;
}

void addrman_resolve_collisions(struct addrman *am)
{
    int64_t now_s = env_wall_s(am->env);
    for (uint32_t i = 0; i < am->collision_count;) {
        struct entry *e = find(am, &am->collisions[i]);
        bool done = true;
        uint32_t place = e != NULL && !e->tried ? *tried_place(am, e) : 0;
        if (e != NULL && !e->tried && place == 0) {
            make_tried(am, e);
        } else if (place != 0) {
            const struct entry *old = &am->entries[place - 1];
            if (now_s - old->a.last_success_s < REPLACE_AFTER_S)
                done = true; /* the old one lives: it stays */
            else if (now_s - old->a.last_try_s < REPLACE_AFTER_S && now_s - old->a.last_try_s > 60)
                make_tried(am, e); /* it was tested and did not answer within a minute */
            else if (now_s - e->a.last_success_s > COLLISION_AGE_MAX_S)
                make_tried(am, e); /* nobody came to test it */
            else
                done = false;
        }
        if (done)
            am->collisions[i] = am->collisions[--am->collision_count];
        else
            i++;
    }
}

uint32_t addrman_sample(const struct addrman *am, struct addrman_entry *out, uint32_t max,
    uint32_t max_percent, uint8_t network)
{
    int64_t now_s = env_wall_s(am->env);
    uint32_t total = am->new_count + am->tried_count;
    if (max_percent > 0 && max > total * max_percent / 100)
        max = total * max_percent / 100;
    uint32_t *order = mem_try_array(am->used, sizeof *order);
    if (order == NULL)
        return 0;
    for (uint32_t i = 0; i < am->used; i++)
        order[i] = i;
    uint32_t count = 0;
    for (uint32_t i = 0; i < am->used && count < max; i++) {
        uint32_t other = i + (uint32_t)env_random_below(am->env, am->used - i);
        uint32_t pick = order[other];
        order[other] = order[i];
        const struct entry *e = &am->entries[pick];
        if (e->used && (network == 0 || e->a.addr.network == network) && !is_terrible(e, now_s))
            out[count++] = e->a;
    }
    mem_free(order);
    return count;
}

/* ---- the file ---- */
static void put_host(struct buf *out, const struct net_addr *a)
{
    buf_put_u8(out, a->network);
    buf_put_u8(out, a->size_b);
    buf_put(out, a->bytes, a->size_b);
}

static void rd_host(struct reader *r, struct net_addr *a)
{
    a->network = rd_u8(r);
    a->size_b = rd_u8(r);
    if (a->size_b > NET_ADDR_BYTES_MAX)
        rd_fail(r, "address too long");
    else
        rd_copy(r, a->bytes, a->size_b);
}

bool addrman_decode(struct addrman *am, struct span bytes, struct fail *why)
{
    struct reader r;
    uint8_t hash[32], magic[4], key[32];
    if (bytes.size_b < 4 + 1 + 32 + 4 + 32)
        return fail_set(why, FAIL_LOCAL, "peers-file", "the file is too short");
    sha256d(hash, bytes.data, bytes.size_b - 32);
    if (memcmp(hash, bytes.data + bytes.size_b - 32, 32) != 0)
        return fail_set(why, FAIL_LOCAL, "peers-file", "its checksum does not match");
    rd_init(&r, span_of(bytes.data, bytes.size_b - 32));
    rd_copy(&r, magic, sizeof magic);
    if (memcmp(magic, FILE_MAGIC, 4) != 0 || rd_u8(&r) != FILE_VERSION)
        return fail_set(why, FAIL_LOCAL, "peers-file", "it is of another program or version");
    rd_copy(&r, key, sizeof key);
    uint32_t count = rd_u32le(&r);
    if (count > ENTRIES_MAX || rd_left(&r) / FILE_ENTRY_MIN_B < count)
        rd_fail(&r, "more entries than bytes");
    memcpy(am->key, key, sizeof key);
    int64_t now_s = env_wall_s(am->env);
    for (uint32_t i = 0; i < count && !r.failed; i++) {
        struct entry in = { 0 };
        rd_host(&r, &in.a.addr);
        in.a.addr.port = rd_u16le(&r);
        in.a.services = rd_u64le(&r);
        in.a.time_s = rd_i64le(&r);
        in.a.last_success_s = rd_i64le(&r);
        in.a.last_try_s = rd_i64le(&r);
        in.attempts = rd_u32le(&r);
        in.tried = rd_u8(&r) != 0;
        rd_host(&r, &in.source);
        if (r.failed || find(am, &in.a.addr) != NULL || !net_addr_is_routable(&in.a.addr))
            continue;
        struct entry *e = create(am, &in.a.addr, &in.source);
        if (e == NULL)
            break;
        e->a = in.a;
        e->attempts = in.attempts;
        am->new_count++;
        if (place_new(am, e, &in.source, now_s) && in.tried && *tried_place(am, e) == 0)
            make_tried(am, e);
    }
    return rd_done(&r, "peers.dat", why);
}

void addrman_encode(const struct addrman *am, struct buf *out)
{
    uint8_t hash[32];
    buf_put(out, FILE_MAGIC, 4);
    buf_put_u8(out, FILE_VERSION);
    buf_put(out, am->key, sizeof am->key);
    buf_put_u32le(out, am->new_count + am->tried_count);
    for (uint32_t i = 0; i < am->used; i++) {
        const struct entry *e = &am->entries[i];
        if (!e->used)
            continue;
        put_host(out, &e->a.addr);
        buf_put_u16le(out, e->a.addr.port);
        buf_put_u64le(out, e->a.services);
        buf_put_i64le(out, e->a.time_s);
        buf_put_i64le(out, e->a.last_success_s);
        buf_put_i64le(out, e->a.last_try_s);
        buf_put_u32le(out, e->attempts);
        buf_put_u8(out, e->tried);
        put_host(out, &e->source);
    }
    if (out->failed)
        return;
    sha256d(hash, out->data, out->size_b);
    buf_put(out, hash, sizeof hash);
}

/* ---- helpers ---- */
static struct host_key key_of(const struct net_addr *addr)
{
    struct host_key key;
    memset(&key, 0, sizeof key);
    key.network = addr->network;
    key.size_b = addr->size_b;
    memcpy(key.bytes, addr->bytes, addr->size_b <= NET_ADDR_BYTES_MAX ? addr->size_b : 0);
    key.port = addr->port;
    return key;
}

static struct entry *find(const struct addrman *am, const struct net_addr *addr)
{
    struct host_key key = key_of(addr);
    const uint32_t *index = table_find(&am->by_addr, &key);
    return index != NULL ? &am->entries[*index] : NULL;
}

static struct entry *create(struct addrman *am, const struct net_addr *addr, const struct net_addr *source)
{
    uint32_t index;
    if (am->free_first != 0) {
        index = am->free_first - 1;
        am->free_first = am->entries[index].next_free;
    } else if (mem_try_grow(
                   &am->entries, &am->capacity, am->used + 1, ENTRIES_MAX, sizeof *am->entries)) {
        index = am->used++;
    } else {
        return NULL;
    }
    struct entry *e = &am->entries[index];
    struct host_key key = key_of(addr);
    uint32_t *value = table_put(&am->by_addr, &key, NULL);
    memset(e, 0, sizeof *e);
    if (value == NULL) {
        e->next_free = am->free_first;
        am->free_first = index + 1;
        return NULL;
    }
    *value = index;
    e->used = true;
    e->a.addr = *addr;
    e->source = *source;
    return e;
}

/* Only of new entries that have no place left. */
static void destroy(struct addrman *am, struct entry *e)
{
    uint32_t index = (uint32_t)(e - am->entries);
    struct host_key key = key_of(&e->a.addr);
    table_remove(&am->by_addr, &key);
    memset(e, 0, sizeof *e);
    e->next_free = am->free_first;
    am->free_first = index + 1;
    am->new_count--;
}

static uint64_t cheap_hash(const struct addrman *am, const void *a, size_t a_size_b, const void *b,
    size_t b_size_b, uint64_t salt)
{
    struct sha256 s;
    uint8_t hash[32], bytes[8];
    put_u64le(bytes, salt);
    sha256_begin(&s);
    sha256_add(&s, am->key, sizeof am->key);
    sha256_add(&s, bytes, sizeof bytes);
    put_u64le(bytes, a_size_b);
    sha256_add(&s, bytes, sizeof bytes);
    sha256_add(&s, a, a_size_b);
    sha256_add(&s, b, b_size_b);
    sha256_end(&s, hash);
    return get_u64le(hash);
}

static uint32_t *new_place(struct addrman *am, const struct entry *e, const struct net_addr *source)
{
    uint8_t group[8], source_group[8];
    uint32_t size_b = net_addr_group(group, &e->a.addr);
    uint32_t source_size_b = net_addr_group(source_group, source);
    struct host_key key = key_of(&e->a.addr);
    uint64_t which = cheap_hash(am, group, size_b, source_group, source_size_b, 1) %
                     NEW_BUCKETS_PER_SOURCE;
    uint64_t bucket = cheap_hash(am, source_group, source_size_b, &which, sizeof which, 2) % NEW_BUCKETS;
    uint64_t at = cheap_hash(am, &key, sizeof key, &bucket, sizeof bucket, 3) % BUCKET_PLACES;
    return &am->new_places[bucket][at];
}

static uint32_t *tried_place(struct addrman *am, const struct entry *e)
{
    uint8_t group[8];
    uint32_t size_b = net_addr_group(group, &e->a.addr);
    struct host_key key = key_of(&e->a.addr);
    uint64_t which = cheap_hash(am, &key, sizeof key, NULL, 0, 4) % TRIED_BUCKETS_PER_GROUP;
    uint64_t bucket = cheap_hash(am, group, size_b, &which, sizeof which, 5) % TRIED_BUCKETS;
    uint64_t at = cheap_hash(am, &key, sizeof key, &bucket, sizeof bucket, 6) % BUCKET_PLACES;
    return &am->tried_places[bucket][at];
}

static void set_place(struct addrman *am, uint32_t *place, uint32_t value)
{
    bool is_new = place >= &am->new_places[0][0] && place < &am->new_places[0][0] + NEW_BUCKETS * BUCKET_PLACES;
    struct occupied *o = is_new ? &am->new_occupied : &am->tried_occupied;
    size_t bucket = (size_t)(place - (is_new ? &am->new_places[0][0] : &am->tried_places[0][0])) / BUCKET_PLACES;
    bool was = *place != 0, is = value != 0;
    *place = value;
    if (is && !was && o->used[bucket]++ == 0) {
        o->where[bucket] = (uint16_t)o->count;
        o->list[o->count++] = (uint16_t)bucket;
    } else if (was && !is && --o->used[bucket] == 0) {
        uint16_t last = o->list[--o->count];
        o->list[o->where[bucket]] = last;
        o->where[last] = o->where[bucket];
    }
}

static bool is_terrible(const struct entry *e, int64_t now_s)
{
    if (now_s - e->a.last_try_s <= RETRY_GRACE_S)
        return false; /* just tried: its fate is open */
    if (e->a.time_s > now_s + 10 * 60 || now_s - e->a.time_s > HORIZON_S)
        return true;
    if (e->a.last_success_s == 0 && e->attempts >= RETRIES)
        return true;
    return now_s - e->a.last_success_s > FAILURES_AGE_S && e->attempts >= FAILURES_MAX;
}

static double chance(const struct entry *e, int64_t now_s)
{
    double c = 1.0;
    if (now_s - e->a.last_try_s < 10 * 60)
        c *= 0.01; /* tried very lately */
    return c * pow(0.66, e->attempts < 8 ? e->attempts : 8);
}

/* Gives e one more place in the new table; when it gets none at all it goes. */
static bool place_new(struct addrman *am, struct entry *e, const struct net_addr *source, int64_t now_s)
{
    uint32_t self = (uint32_t)(e - am->entries) + 1;
    uint32_t *place = new_place(am, e, source);
    if (*place == self)
        return false;
    if (*place != 0) {
        struct entry *old = &am->entries[*place - 1];
        if (!is_terrible(old, now_s) && !(old->places > 1 && e->places == 0)) {
            if (e->places == 0)
                destroy(am, e);
            return false;
        }
        set_place(am, place, 0);
        if (--old->places == 0)
            destroy(am, old);
    }
    set_place(am, place, self);
    e->places++;
    return true;
}

static void make_tried(struct addrman *am, struct entry *e)
{
    int64_t now_s = env_wall_s(am->env);
    uint32_t *place = tried_place(am, e);
    leave_new(am, e);
    am->new_count--;
    if (*place != 0) { /* the holder goes back among the new */
        struct entry *old = &am->entries[*place - 1];
        set_place(am, place, 0);
        old->tried = false;
        am->tried_count--;
        am->new_count++;
        struct net_addr source = old->source;
        place_new(am, old, &source, now_s);
    }
    set_place(am, place, (uint32_t)(e - am->entries) + 1);
    e->tried = true;
    am->tried_count++;
}

static void leave_new(struct addrman *am, struct entry *e)
{
    uint32_t self = (uint32_t)(e - am->entries) + 1;
    for (uint32_t b = 0; b < NEW_BUCKETS && e->places > 0; b++) {
        for (uint32_t i = 0; i < BUCKET_PLACES; i++) {
            if (am->new_places[b][i] == self) {
                set_place(am, &am->new_places[b][i], 0);
                e->places--;
            }
        }
    }
}

void addrman_show_raw(const struct addrman *am, struct json_writer *w)
{
    jw_object(w);
    for (int tried = 0; tried < 2; tried++) {
        jw_key(w, tried ? "tried" : "new");
        jw_object(w);
        for (uint32_t b = 0; b < (tried ? TRIED_BUCKETS : NEW_BUCKETS); b++) {
            for (uint32_t i = 0; i < BUCKET_PLACES; i++) {
                uint32_t place = tried ? am->tried_places[b][i] : am->new_places[b][i];
                if (place == 0)
                    continue;
                const struct entry *e = &am->entries[place - 1];
                char key[32], text[NET_ADDR_TEXT_SIZE_B];
                struct buf name;
                buf_init(&name, sizeof key);
                buf_printf(&name, "%u/%u", b, i);
                jw_key_span(w, buf_span(&name));
                buf_clear(&name);
                jw_object(w);
                net_addr_to_text(text, &e->a.addr, false);
                jw_key_text(w, "address", text);
                jw_key_i64(w, "port", e->a.addr.port);
                jw_key_text(w, "network", net_network_name(e->a.addr.network));
                jw_key_u64(w, "services", e->a.services);
                jw_key_i64(w, "time", e->a.time_s);
                net_addr_to_text(text, &e->source, false);
                jw_key_text(w, "source", text);
                jw_key_text(w, "source_network", net_network_name(e->source.network));
                jw_end_object(w);
            }
        }
        jw_end_object(w);
    }
    jw_end_object(w);
}
