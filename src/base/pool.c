/* The worker pool: threads that run jobs, and the queue their results come back in. One lock
 * guards all of it; a worker takes it once per job, to hand back what it did and to take what
 * comes next in the same breath, so small jobs cost about a hundred nanoseconds and no system call
 * while work is there.
 *
 * A worker is woken only when one sleeps that was not woken already: a thousand jobs submitted in
 * a row make as many wake-ups as there are idle workers, not a thousand.
 *
 * A job of a serial waits in that serial's list while an earlier one is queued or runs, and moves
 * to its lane when that one has finished. Result and release happen under the same lock, because
 * the owner may free both job and serial as soon as it has seen the last result.
 *
 * JOB_SLOW never holds every worker when there are two or more: a tip must not wait for a report. */
#include "coin/base/job.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "coin/base/mem.h"

#define NICE_LOWEST 19

struct job_list {
    struct job *first, *last;
};

/* A kind of worker; those that mine are strictly apart from the others. */
struct crew {
    struct pool *pool;
    pthread_cond_t work;
    uint32_t sleeping, woken; /* woken: of those sleeping, signalled and on their way */
    bool mines;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t result;
    struct job_list lanes[JOB_LANES];
    uint32_t waiting[JOB_LANES]; /* in the lane, or behind a serial of it */
    uint32_t slow_running, slow_max;
    struct job_list results;
    bool stopping, draining;
    struct crew workers, miners;
    void (*wake)(void *ctx);
    void *ctx;
    /* the loop's own, outside the lock */
    struct job_list ready;
    uint64_t outstanding; /* submitted and not collected */
    pthread_t *threads;
    uint32_t thread_count, mine_count;
};

static bool start_threads(struct pool *pool, uint32_t threads, uint32_t mine_threads);
static void stop_threads(struct pool *pool);
static void *worker_main(void *arg);
static void lower_priority(void);
static struct job *take_job(struct crew *crew);
static bool finish_job(struct pool *pool, struct job *job);
static void queue_job(struct pool *pool, struct job *job);
static void wake_worker(struct crew *crew);
static bool crew_has_work(const struct crew *crew);
static void list_append(struct job_list *list, struct job *job);
static struct job *list_take(struct job_list *list);

static int64_t now_us(void);
static uint32_t collect(struct pool *pool, uint32_t max, int64_t until_us);

struct pool *pool_new(uint32_t threads, uint32_t mine_threads, void (*wake)(void *ctx), void *ctx)
{
    struct pool *pool = mem_new(sizeof *pool);
    if (threads == 0)
        threads = 1;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->result, NULL);
    pthread_cond_init(&pool->workers.work, NULL);
    pthread_cond_init(&pool->miners.work, NULL);
    pool->workers.pool = pool;
    pool->miners.pool = pool;
    pool->miners.mines = true;
    pool->slow_max = threads > 1 ? threads - 1 : 1;
    pool->wake = wake;
    pool->ctx = ctx;
    if (!start_threads(pool, threads, mine_threads)) {
        pool_free(pool);
        return NULL;
    }
    return pool;
}

bool pool_submit(struct pool *pool, struct job *job)
{
    if (job->lane == JOB_MINE && pool->mine_count == 0)
        return false;
    pthread_mutex_lock(&pool->lock);
    if (pool->waiting[job->lane] >= JOB_LANE_MAX) {
        pthread_mutex_unlock(&pool->lock);
        return false;
    }
    pool->waiting[job->lane]++;
    job->next = NULL;
    struct job_serial *serial = job->serial;
    if (serial != NULL && serial->running) {
        if (serial->last != NULL)
            serial->last->next = job;
        else
            serial->first = job;
        serial->last = job;
    } else {
        if (serial != NULL)
            serial->running = true;
        queue_job(pool, job);
        wake_worker(job->lane == JOB_MINE ? &pool->miners : &pool->workers);
    }
    pthread_mutex_unlock(&pool->lock);
    pool->outstanding++;
    return true;
}

uint32_t pool_collect(struct pool *pool, uint32_t max)
{
    return collect(pool, max, INT64_MAX);
}

uint32_t pool_collect_for(struct pool *pool, int64_t limit_us)
{
    return collect(pool, UINT32_MAX, now_us() + limit_us);
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint32_t collect(struct pool *pool, uint32_t max, int64_t until_us)
{
    pthread_mutex_lock(&pool->lock);
    if (pool->results.first != NULL) {
        if (pool->ready.last != NULL)
            pool->ready.last->next = pool->results.first;
        else
            pool->ready.first = pool->results.first;
        pool->ready.last = pool->results.last;
        pool->results = (struct job_list){ NULL, NULL };
    }
    pthread_mutex_unlock(&pool->lock);
    uint32_t count = 0;
    while (count < max && (count == 0 || until_us == INT64_MAX || now_us() < until_us)) {
        struct job *job = list_take(&pool->ready);
        if (job == NULL)
            break;
        count++;
        pool->outstanding--;
        job->done(job); /* owns the struct again: not touched afterwards */
    }
    if (pool->ready.first != NULL && pool->wake != NULL)
        pool->wake(pool->ctx);
    return count;
}

void pool_drain(struct pool *pool)
{
    while (pool->outstanding > 0) {
        if (pool->ready.first == NULL) {
            pthread_mutex_lock(&pool->lock);
            pool->draining = true;
            while (pool->results.first == NULL)
                pthread_cond_wait(&pool->result, &pool->lock);
            pool->draining = false;
            pthread_mutex_unlock(&pool->lock);
        }
        pool_collect(pool, UINT32_MAX);
    }
}

uint32_t pool_waiting(const struct pool *pool, enum job_lane lane)
{
    struct pool *shared = (struct pool *)pool; /* to take the lock is no change that anyone can see */
    pthread_mutex_lock(&shared->lock);
    uint32_t waiting = shared->waiting[lane];
    pthread_mutex_unlock(&shared->lock);
    return waiting;
}

void pool_free(struct pool *pool)
{
    if (pool == NULL)
        return;
    pool_drain(pool);
    stop_threads(pool);
    pthread_cond_destroy(&pool->miners.work);
    pthread_cond_destroy(&pool->workers.work);
    pthread_cond_destroy(&pool->result);
    pthread_mutex_destroy(&pool->lock);
    mem_free(pool);
}

static bool start_threads(struct pool *pool, uint32_t threads, uint32_t mine_threads)
{
    pool->threads = mem_try_array((size_t)threads + mine_threads, sizeof *pool->threads);
    if (pool->threads == NULL)
        return false;
    /* Signals are the loop's business. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool good = true;
    for (uint32_t i = 0; good && i < threads + mine_threads; i++) {
        struct crew *crew = i < threads ? &pool->workers : &pool->miners;
        good = pthread_create(&pool->threads[i], NULL, worker_main, crew) == 0;
        if (good) {
            pool->thread_count++;
            pool->mine_count += crew->mines ? 1 : 0;
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return good;
}

static void stop_threads(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->workers.work);
    pthread_cond_broadcast(&pool->miners.work);
    pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    mem_free(pool->threads);
}

static void *worker_main(void *arg)
{
    struct crew *crew = arg;
    struct pool *pool = crew->pool;
    pthread_setname_np(pthread_self(), crew->mines ? "coin-mine" : "coin-work");
    if (crew->mines)
        lower_priority();
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct job *job = take_job(crew);
        if (job == NULL) {
            if (pool->stopping)
                break;
            crew->sleeping++;
            pthread_cond_wait(&crew->work, &pool->lock);
            crew->sleeping--;
            if (crew->woken > 0)
                crew->woken--;
            continue;
        }
        pthread_mutex_unlock(&pool->lock);
        job->run(job);
        pthread_mutex_lock(&pool->lock);
        bool was_empty = finish_job(pool, job);
        if (was_empty) {
            if (pool->draining)
                pthread_cond_signal(&pool->result);
            pthread_mutex_unlock(&pool->lock);
            if (pool->wake != NULL)
                pool->wake(pool->ctx);
            pthread_mutex_lock(&pool->lock);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Mining takes what nobody else wants. Where neither is allowed, it is merely impolite. */
static void lower_priority(void)
{
    struct sched_param none = { 0 };
    if (pthread_setschedparam(pthread_self(), SCHED_IDLE, &none) != 0)
        pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
    setpriority(PRIO_PROCESS, 0, NICE_LOWEST); /* 0: on Linux, the calling thread */
}

static struct job *take_job(struct crew *crew)
{
    struct pool *pool = crew->pool;
    unsigned first = crew->mines ? JOB_MINE : JOB_VERIFY;
    unsigned end = crew->mines ? JOB_LANES : JOB_MINE;
    for (unsigned lane = first; lane < end; lane++) {
        if (lane == JOB_SLOW && pool->slow_running >= pool->slow_max)
            continue;
        struct job *job = list_take(&pool->lanes[lane]);
        if (job == NULL)
            continue;
        pool->waiting[lane]--;
        if (lane == JOB_SLOW)
            pool->slow_running++;
        /* A job that moved up from its serial woke nobody: who takes one looks out for the rest. */
        if (crew_has_work(crew))
            wake_worker(crew);
        return job;
    }
    return NULL;
}

/* true: the result queue was empty. */
static bool finish_job(struct pool *pool, struct job *job)
{
    struct job_serial *serial = job->serial;
    if (job->lane == JOB_SLOW)
        pool->slow_running--;
    if (serial != NULL) {
        struct job *next = serial->first;
        if (next != NULL) {
            serial->first = next->next;
            if (serial->first == NULL)
                serial->last = NULL;
            queue_job(pool, next);
            /* The next one may be for the other crew, none of which need be awake. */
            if ((next->lane == JOB_MINE) != (job->lane == JOB_MINE))
                wake_worker(next->lane == JOB_MINE ? &pool->miners : &pool->workers);
        } else {
            serial->running = false;
        }
    }
    bool was_empty = pool->results.first == NULL;
    list_append(&pool->results, job);
    return was_empty;
}

static void queue_job(struct pool *pool, struct job *job)
{
    list_append(&pool->lanes[job->lane], job);
}

static void wake_worker(struct crew *crew)
{
    if (crew->sleeping <= crew->woken)
        return;
    crew->woken++;
    pthread_cond_signal(&crew->work);
}

static bool crew_has_work(const struct crew *crew)
{
    const struct pool *pool = crew->pool;
    if (crew->mines)
        return pool->lanes[JOB_MINE].first != NULL;
    return pool->lanes[JOB_VERIFY].first != NULL || pool->lanes[JOB_READ].first != NULL ||
        pool->lanes[JOB_WRITE].first != NULL ||
        (pool->lanes[JOB_SLOW].first != NULL && pool->slow_running < pool->slow_max);
}

static void list_append(struct job_list *list, struct job *job)
{
    job->next = NULL;
    if (list->last != NULL)
        list->last->next = job;
    else
        list->first = job;
    list->last = job;
}

static struct job *list_take(struct job_list *list)
{
    struct job *job = list->first;
    if (job == NULL)
        return NULL;
    list->first = job->next;
    if (list->first == NULL)
        list->last = NULL;
    return job;
}
