/* Proves that every job runs once and comes back, serials keep their order and never overlap, lanes are
 * taken in their order, a full lane refuses, slow jobs leave a worker free, and wake-ups are not lost. */
#include "coin/base/job.h"
#include "coin/base/mem.h"
#include "unit.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct gate { /* holds workers until the test opens it */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    uint32_t inside;
};
static struct gate gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0 };

struct step {
    struct job job; /* first */
    uint32_t number;
    atomic_int *overlap;
    uint32_t spin;
};

static atomic_uint ran, wakes;
static uint32_t order[16384], order_count, done_order[16384], done_count;
static pthread_mutex_t order_lock = PTHREAD_MUTEX_INITIALIZER;
static struct pool *resubmit_pool;

static void on_wake(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&wakes, 1);
}

static void run_step(struct job *job)
{
    struct step *step = (struct step *)job;
    if (step->overlap != NULL)
        ck_assert_int_eq(atomic_fetch_add(step->overlap, 1), 0);
    for (volatile uint32_t i = 0; i < step->spin; i++)
        ;
    pthread_mutex_lock(&order_lock);
    order[order_count++] = step->number;
    pthread_mutex_unlock(&order_lock);
    if (step->overlap != NULL)
        atomic_fetch_sub(step->overlap, 1);
    atomic_fetch_add(&ran, 1);
}

static void done_step(struct job *job)
{
    done_order[done_count++] = ((struct step *)job)->number;
}

static void done_again(struct job *job)
{
    struct step *step = (struct step *)job;
    done_count++;
    if (step->number-- > 0)
        ck_assert(pool_submit(resubmit_pool, job));
}

static void run_gate(struct job *job)
{
    (void)job;
    pthread_mutex_lock(&gate.lock);
    gate.inside++;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.inside--;
    pthread_mutex_unlock(&gate.lock);
}

static void done_nothing(struct job *job)
{
    (void)job;
}

static void gate_wait_inside(uint32_t count)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.inside < count)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void gate_set(bool open)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = open;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void setup(void)
{
    atomic_store(&ran, 0);
    atomic_store(&wakes, 0);
    order_count = 0;
    done_count = 0;
    gate.inside = 0;
    gate_set(false);
}

static struct step *steps_new(uint32_t count, enum job_lane lane)
{
    struct step *steps = mem_try_array(count, sizeof *steps);
    ck_assert_ptr_nonnull(steps);
    for (uint32_t i = 0; i < count; i++) {
        steps[i].job = (struct job){ .run = run_step, .done = done_step, .lane = lane };
        steps[i].number = i;
    }
    return steps;
}

START_TEST(all_jobs_come_back)
{
    struct pool *pool = pool_new(3, 1, on_wake, NULL);
    ck_assert_ptr_nonnull(pool);
    struct step *steps = steps_new(4000, JOB_VERIFY);
    for (uint32_t i = 0; i < 4000; i++) {
        steps[i].job.lane = (enum job_lane)(i % JOB_LANES);
        ck_assert(pool_submit(pool, &steps[i].job));
    }
    pool_drain(pool);
    ck_assert_uint_eq(atomic_load(&ran), 4000);
    ck_assert_uint_eq(done_count, 4000);
    ck_assert_uint_ge(atomic_load(&wakes), 1);
    for (unsigned lane = 0; lane < JOB_LANES; lane++)
        ck_assert_uint_eq(pool_waiting(pool, (enum job_lane)lane), 0);
    pool_free(pool);
    mem_free(steps);
}
END_TEST

START_TEST(serials_keep_order)
{
    struct pool *pool = pool_new(4, 0, on_wake, NULL);
    struct job_serial serials[3] = { { 0 } };
    atomic_int overlap[3] = { 0 };
    struct step *steps = steps_new(3000, JOB_WRITE);
    for (uint32_t i = 0; i < 3000; i++) {
        steps[i].job.serial = &serials[i % 3];
        steps[i].overlap = &overlap[i % 3];
        steps[i].spin = (i * 7919) % 50;
        ck_assert(pool_submit(pool, &steps[i].job));
    }
    pool_drain(pool);
    uint32_t next_run[3] = { 0, 1, 2 }, next_done[3] = { 0, 1, 2 };
    for (uint32_t i = 0; i < 3000; i++) {
        ck_assert_uint_eq(order[i], next_run[order[i] % 3]);
        next_run[order[i] % 3] += 3;
        ck_assert_uint_eq(done_order[i], next_done[done_order[i] % 3]);
        next_done[done_order[i] % 3] += 3;
    }
    for (uint32_t i = 0; i < 3; i++)
        ck_assert(!serials[i].running && serials[i].first == NULL);
    pool_free(pool);
    mem_free(steps);
}
END_TEST

START_TEST(lanes_by_priority)
{
    struct pool *pool = pool_new(1, 0, on_wake, NULL);
    struct job stopper = { .run = run_gate, .done = done_nothing, .lane = JOB_VERIFY };
    ck_assert(pool_submit(pool, &stopper));
    gate_wait_inside(1);
    static const enum job_lane lanes[] = { JOB_SLOW, JOB_WRITE, JOB_READ, JOB_VERIFY, JOB_SLOW, JOB_VERIFY };
    static const uint32_t expect[] = { 3, 5, 2, 1, 0, 4 };
    struct step *steps = steps_new(6, JOB_VERIFY);
    for (uint32_t i = 0; i < 6; i++) {
        steps[i].job.lane = lanes[i];
        ck_assert(pool_submit(pool, &steps[i].job));
    }
    ck_assert_uint_eq(pool_waiting(pool, JOB_VERIFY), 2);
    ck_assert_uint_eq(pool_waiting(pool, JOB_SLOW), 2);
    gate_set(true);
    pool_drain(pool);
    for (uint32_t i = 0; i < 6; i++)
        ck_assert_uint_eq(order[i], expect[i]);
    pool_free(pool);
    mem_free(steps);
}
END_TEST

START_TEST(full_lane_refuses)
{
    struct pool *pool = pool_new(1, 0, on_wake, NULL);
    struct job stopper = { .run = run_gate, .done = done_nothing, .lane = JOB_READ };
    ck_assert(pool_submit(pool, &stopper));
    gate_wait_inside(1);
    struct job_serial serial = { 0 };
    struct step *steps = steps_new(JOB_LANE_MAX + 2, JOB_READ);
    for (uint32_t i = 0; i < JOB_LANE_MAX; i++) {
        steps[i].job.serial = i % 2 ? &serial : NULL; /* waiting behind a serial counts as well */
        ck_assert(pool_submit(pool, &steps[i].job));
    }
    ck_assert(!pool_submit(pool, &steps[JOB_LANE_MAX].job));
    ck_assert_uint_eq(pool_waiting(pool, JOB_READ), JOB_LANE_MAX);
    steps[JOB_LANE_MAX + 1].job.lane = JOB_WRITE; /* other lanes have their own room */
    ck_assert(pool_submit(pool, &steps[JOB_LANE_MAX + 1].job));
    gate_set(true);
    pool_drain(pool);
    ck_assert_uint_eq(atomic_load(&ran), JOB_LANE_MAX + 1);
    ck_assert(pool_submit(pool, &steps[JOB_LANE_MAX].job));
    pool_free(pool);
    mem_free(steps);
}
END_TEST

START_TEST(slow_jobs_leave_a_worker)
{
    struct pool *pool = pool_new(2, 0, on_wake, NULL);
    struct job slow[3];
    for (uint32_t i = 0; i < 3; i++) {
        slow[i] = (struct job){ .run = run_gate, .done = done_nothing, .lane = JOB_SLOW };
        ck_assert(pool_submit(pool, &slow[i]));
    }
    gate_wait_inside(1);
    struct step *steps = steps_new(1, JOB_VERIFY);
    ck_assert(pool_submit(pool, &steps[0].job));
    while (atomic_load(&ran) == 0) /* would wait for ever if slow jobs held both */
        sched_yield();
    ck_assert_uint_eq(pool_waiting(pool, JOB_SLOW), 2);
    gate_set(true);
    pool_free(pool);
    mem_free(steps);
}
END_TEST

START_TEST(mining_has_its_own_threads)
{
    struct pool *pool = pool_new(1, 0, on_wake, NULL);
    struct job mine = { .run = run_gate, .done = done_nothing, .lane = JOB_MINE };
    ck_assert(!pool_submit(pool, &mine));
    pool_free(pool);
    pool = pool_new(1, 1, on_wake, NULL);
    ck_assert(pool_submit(pool, &mine));
    gate_wait_inside(1);
    struct step *steps = steps_new(1, JOB_SLOW);
    ck_assert(pool_submit(pool, &steps[0].job));
    while (atomic_load(&ran) == 0)
        sched_yield();
    gate_set(true);
    pool_free(pool);
    mem_free(steps);
}
END_TEST

START_TEST(collect_in_portions)
{
    struct pool *pool = pool_new(1, 0, on_wake, NULL);
    struct step *steps = steps_new(10, JOB_VERIFY);
    struct job last = { .run = run_gate, .done = done_nothing, .lane = JOB_SLOW };
    for (uint32_t i = 0; i < 10; i++)
        ck_assert(pool_submit(pool, &steps[i].job));
    ck_assert(pool_submit(pool, &last));
    gate_wait_inside(1); /* the only worker is here: ten results are in the queue */
    for (uint32_t left = 10; left > 0;) {
        uint32_t before = atomic_load(&wakes), expect = left < 3 ? left : 3;
        ck_assert_uint_eq(pool_collect(pool, 3), expect);
        left -= expect;
        ck_assert_uint_eq(atomic_load(&wakes), before + (left > 0 ? 1 : 0)); /* asks to come again */
    }
    ck_assert_uint_eq(pool_collect(pool, 3), 0);
    gate_set(true);
    pool_free(pool);
    mem_free(steps);
}
END_TEST

START_TEST(done_may_submit)
{
    struct pool *pool = pool_new(2, 0, NULL, NULL);
    resubmit_pool = pool;
    struct step *steps = steps_new(1, JOB_READ);
    steps[0].job.done = done_again;
    steps[0].number = 500;
    ck_assert(pool_submit(pool, &steps[0].job));
    pool_drain(pool);
    ck_assert_uint_eq(done_count, 501);
    pool_free(pool);
    mem_free(steps);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("job");
    TCase *cases = tcase_create("pool");
    tcase_add_checked_fixture(cases, setup, NULL);
    tcase_add_test(cases, all_jobs_come_back);
    tcase_add_test(cases, serials_keep_order);
    tcase_add_test(cases, lanes_by_priority);
    tcase_add_test(cases, full_lane_refuses);
    tcase_add_test(cases, slow_jobs_leave_a_worker);
    tcase_add_test(cases, mining_has_its_own_threads);
    tcase_add_test(cases, collect_in_portions);
    tcase_add_test(cases, done_may_submit);
    suite_add_tcase(suite, cases);
    return unit_run(suite);
}
