/* The world of a simulation: a heap of events over virtual time, and for each node an env whose clock,
 * randomness, jobs and disk hang on it. A job passes through two events: it runs (a worker would) after
 * one delay and its result is heard after another, so that whatever a real pool may reorder is reordered
 * here too. Jobs of one serial run one at a time, in order.
 * Invariant: a job is in the heap, or waits in its serial, until its done has been called. */
#include "world.h"

#include <string.h>

#include "coin/base/mem.h"

#define WORLD_NODES_MAX 4096u
#define WORLD_EVENTS_MAX (1u << 24)
#define WORLD_STEPS_PER_DRAIN_MAX (1u << 24)

enum event_kind { EVENT_CALL, EVENT_JOB_RUN, EVENT_JOB_DONE };

struct event {
    int64_t at_us;
    uint64_t sequence;
    enum event_kind kind;
    struct world_node *node;
    uint64_t life;
    struct job *job;
    void (*fn)(void *ctx, uint64_t arg);
    void *ctx;
    uint64_t arg;
};

struct world {
    int64_t now_us, wall_start_ms;
    uint64_t sequence, handled;
    struct event *heap;
    uint32_t count, capacity;
    struct world_node **nodes;
    uint32_t node_count, node_capacity;
    struct sim_random random;
    struct world_net net;
    int64_t run_us, done_us, mine_us, extra_us[JOB_LANES];
    void (*on_done)(struct world_node *node);
};

static void push(struct world *world, struct event event);
static bool pop(struct world *world, struct event *out);
static void sift_down(struct world *world, uint32_t i);
static void handle(struct world *world, struct event *event);
static void job_start(struct world_node *node, struct job *job);
static int64_t delay(struct world_node *node, int64_t max_us);
static bool before(const struct event *a, const struct event *b);

/* ---- env ---- */
static int64_t env_wall(void *ctx)
{
    struct world_node *node = ctx;
    return world_wall_ms(node->world) + node->clock_skew_ms;
}

static int64_t env_steady(void *ctx)
{
    struct world_node *node = ctx;
    return node->world->now_us;
}

static void env_fill_random(void *ctx, void *out, size_t size_b)
{
    struct world_node *node = ctx;
    uint8_t *at = out;
    while (size_b > 0) {
        uint64_t word = sim_random_next(&node->random);
        size_t part_b = size_b < sizeof word ? size_b : sizeof word;
        memcpy(at, &word, part_b);
        at += part_b;
        size_b -= part_b;
    }
}

static bool env_submit_job(void *ctx, struct job *job)
{
    struct world_node *node = ctx;
    node->jobs++;
    job->next = NULL;
    if (job->serial == NULL) {
        job_start(node, job);
        return true;
    }
    if (job->serial->last != NULL)
        job->serial->last->next = job;
    else
        job->serial->first = job;
    job->serial->last = job;
    if (!job->serial->running) {
        job->serial->running = true;
        job_start(node, job);
    }
    return true;
}

static struct kv *env_kv_open(
    void *ctx, const char *path, const struct kv_options *options, struct fail *why)
{
    struct world_node *node = ctx;
    return sim_kv_open(node->disk, path, options, why);
}

static void env_dial(void *ctx, uint64_t conn_id, const struct net_addr *to)
{
    struct world_node *node = ctx;
    const struct world_net *net = &node->world->net;
    if (net->dial != NULL)
        net->dial(net->ctx, node, conn_id, to);
}

static void env_send(void *ctx, uint64_t conn_id, struct buf *bytes)
{
    struct world_node *node = ctx;
    const struct world_net *net = &node->world->net;
    if (net->send != NULL)
        net->send(net->ctx, node, conn_id, bytes);
    buf_clear(bytes);
}

static void env_close(void *ctx, uint64_t conn_id, bool flush)
{
    struct world_node *node = ctx;
    const struct world_net *net = &node->world->net;
    if (net->close != NULL)
        net->close(net->ctx, node, conn_id, flush);
}

static void env_pause(void *ctx, uint64_t conn_id, bool paused)
{
    struct world_node *node = ctx;
    const struct world_net *net = &node->world->net;
    if (net->pause != NULL)
        net->pause(net->ctx, node, conn_id, paused);
}

static void env_resolve(void *ctx, uint64_t token, const char *name, uint16_t port)
{
    struct world_node *node = ctx;
    const struct world_net *net = &node->world->net;
    if (net->resolve != NULL)
        net->resolve(net->ctx, node, token, name, port);
}

static void env_beacon(void *ctx, struct span datagram)
{
    struct world_node *node = ctx;
    const struct world_net *net = &node->world->net;
    if (net->beacon != NULL)
        net->beacon(net->ctx, node, datagram);
}

static void env_again(void *ctx)
{
    struct world_node *node = ctx;
    const struct world_net *net = &node->world->net;
    if (net->again != NULL)
        net->again(net->ctx, node);
}

/* ---- the world ---- */
struct world *world_new(uint64_t seed, int64_t wall_start_ms)
{
    struct world *world = mem_new(sizeof *world);
    world->random.state = seed;
    world->wall_start_ms = wall_start_ms;
    world_set_delays(world, 200, 100, 0);
    return world;
}

void world_free(struct world *world)
{
    if (world == NULL)
        return;
    for (uint32_t i = 0; i < world->node_count; i++) {
        sim_disk_free(world->nodes[i]->disk);
        mem_free(world->nodes[i]);
    }
    mem_free(world->nodes);
    mem_free(world->heap);
    mem_free(world);
}

struct world_node *world_add_node(struct world *world)
{
    if (!mem_try_grow(&world->nodes, &world->node_capacity, world->node_count + 1, WORLD_NODES_MAX,
            sizeof *world->nodes))
        return NULL;
    struct world_node *node = mem_new(sizeof *node);
    node->world = world;
    node->id = world->node_count;
    node->random.state = sim_random_next(&world->random);
    node->disk = sim_disk_new(sim_random_next(&world->random));
    node->env = (struct env){
        .ctx = node,
        .wall_ms = env_wall,
        .steady_us = env_steady,
        .random = env_fill_random,
        .submit = env_submit_job,
        .disk = sim_disk_ops(node->disk),
        .kv_open = env_kv_open,
        .dial = env_dial,
        .send = env_send,
        .close = env_close,
        .pause = env_pause,
        .resolve = env_resolve,
        .beacon = env_beacon,
        .again = env_again,
    };
    world->nodes[world->node_count++] = node;
    return node;
}

struct world_node *world_node_at(struct world *world, uint32_t id)
{
    return id < world->node_count ? world->nodes[id] : NULL;
}

uint32_t world_node_count(const struct world *world)
{
    return world->node_count;
}

void world_set_net(struct world *world, const struct world_net *net)
{
    world->net = *net;
}

int64_t world_now_us(const struct world *world)
{
    return world->now_us;
}

int64_t world_wall_ms(const struct world *world)
{
    return world->wall_start_ms + world->now_us / 1000;
}

struct sim_random *world_random(struct world *world)
{
    return &world->random;
}

void world_set_delays(struct world *world, int64_t run_us, int64_t done_us, int64_t mine_us)
{
    world->run_us = run_us;
    world->done_us = done_us;
    world->mine_us = mine_us;
}

void world_on_done(struct world *world, void (*fn)(struct world_node *node))
{
    world->on_done = fn;
}

void world_hold_back(struct world *world, enum job_lane lane, int64_t extra_us)
{
    world->extra_us[lane] = extra_us;
}

void world_at(struct world *world, struct world_node *node, int64_t delay_us,
    void (*fn)(void *ctx, uint64_t arg), void *ctx, uint64_t arg)
{
    push(world, (struct event){.at_us = world->now_us + delay_us,
                    .kind = EVENT_CALL,
                    .node = node,
                    .life = node != NULL ? node->life : 0,
                    .fn = fn,
                    .ctx = ctx,
                    .arg = arg});
}

bool world_step(struct world *world)
{
    struct event event;
    if (!pop(world, &event))
        return false;
    if (event.at_us > world->now_us)
        world->now_us = event.at_us;
    handle(world, &event);
    return true;
}

void world_run_us(struct world *world, int64_t duration_us)
{
    int64_t end_us = world->now_us + duration_us;
    while (world->count > 0 && world->heap[0].at_us <= end_us)
        world_step(world);
    world->now_us = end_us;
}

bool world_run_until(struct world *world, bool (*is_done)(void *ctx), void *ctx, int64_t limit_us)
{
    int64_t end_us = world->now_us + limit_us;
    while (!is_done(ctx)) {
        if (world->count == 0 || world->heap[0].at_us > end_us)
            return false;
        world_step(world);
    }
    return true;
}

uint64_t world_events(const struct world *world)
{
    return world->handled;
}

void world_node_drain(struct world_node *node)
{
    struct world *world = node->world;
    for (uint32_t steps = 0; node->jobs > 0 && steps < WORLD_STEPS_PER_DRAIN_MAX; steps++) {
        uint32_t best = UINT32_MAX;
        for (uint32_t i = 0; i < world->count; i++) {
            const struct event *e = &world->heap[i];
            if (e->kind == EVENT_CALL || e->node != node)
                continue;
            if (best == UINT32_MAX || before(e, &world->heap[best]))
                best = i;
        }
        if (best == UINT32_MAX)
            return;
        struct event event = world->heap[best];
        /* Removing from the middle: the last takes its place, then the heap is put in order again. */
        world->heap[best] = world->heap[--world->count];
        for (uint32_t i = world->count / 2 + 1; i-- > 0;)
            sift_down(world, i);
        handle(world, &event);
    }
}

void world_node_forget(struct world_node *node)
{
    node->life++;
}

static void handle(struct world *world, struct event *event)
{
    world->handled++;
    struct job *job = event->job;
    switch (event->kind) {
    case EVENT_CALL:
        if (event->node == NULL || event->life == event->node->life)
            event->fn(event->ctx, event->arg);
        break;
    case EVENT_JOB_RUN:
        job->run(job);
        push(world, (struct event){.at_us = world->now_us + delay(event->node, world->done_us) +
                                            world->extra_us[job->lane],
                        .kind = EVENT_JOB_DONE,
                        .node = event->node,
                        .job = job});
        break;
    case EVENT_JOB_DONE: {
        struct world_node *node = event->node;
        struct job_serial *serial = job->serial;
        if (serial != NULL) { /* before done, which may free the job */
            serial->first = job->next;
            if (serial->first == NULL)
                serial->last = NULL;
            serial->running = serial->first != NULL;
            if (serial->running)
                job_start(node, serial->first);
        }
        node->jobs--;
        job->done(job);
        if (world->on_done != NULL)
            world->on_done(node);
        break;
    }
    }
}

static void job_start(struct world_node *node, struct job *job)
{
    struct world *world = node->world;
    int64_t wait_us = job->lane == JOB_MINE ? world->mine_us : delay(node, world->run_us);
    push(world,
        (struct event){
            .at_us = world->now_us + wait_us, .kind = EVENT_JOB_RUN, .node = node, .job = job});
}

static int64_t delay(struct world_node *node, int64_t max_us)
{
    return max_us <= 0 ? 0 : (int64_t)sim_random_below(&node->random, (uint64_t)max_us + 1);
}

/* ---- the heap ---- */
static bool before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->sequence < b->sequence;
}

static void push(struct world *world, struct event event)
{
    if (!mem_try_grow(
            &world->heap, &world->capacity, world->count + 1, WORLD_EVENTS_MAX, sizeof event))
        return; /* a test that floods the world sees its events missing and fails */
    event.sequence = world->sequence++;
    uint32_t i = world->count++;
    while (i > 0 && before(&event, &world->heap[(i - 1) / 2])) {
        world->heap[i] = world->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    world->heap[i] = event;
}

static bool pop(struct world *world, struct event *out)
{
    if (world->count == 0)
        return false;
    *out = world->heap[0];
    world->heap[0] = world->heap[--world->count];
    sift_down(world, 0);
    return true;
}

static void sift_down(struct world *world, uint32_t i)
{
    if (i >= world->count)
        return;
    struct event event = world->heap[i];
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= world->count)
            break;
        if (child + 1 < world->count && before(&world->heap[child + 1], &world->heap[child]))
            child++;
        if (!before(&world->heap[child], &event))
            break;
        world->heap[i] = world->heap[child];
        i = child;
    }
    world->heap[i] = event;
}
