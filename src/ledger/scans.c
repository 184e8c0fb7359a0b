/* Walks over all coins: each is on a snapshot of the store, taken right after a flush, so that it sees the coins of
 * one tip while the chain goes on. */
#include "codec.h"
#include "state.h"

struct scan_job {
    struct job job;
    struct ledger *ledger;
    struct coins_scan *scan;
    struct kv_iter *snapshot;
    struct fail why;
};

static void scan_run(struct job *job);
static bool walk_all(struct scan_job *job, struct fail *why);
static void scan_done(struct job *job);

bool ledger_scan_coins(struct ledger *ledger, struct coins_scan *scan)
{
    if (ledger->stopping || ledger->fatal ||
        ledger->scans_waiting_count + ledger->scans_flushing_count + ledger->scans_running_count >=
            SCANS_MAX)
        return false;
    scan->progress = 0;
    ledger->scans_waiting[ledger->scans_waiting_count++] = scan;
    ledger_pump(ledger);
    return true;
}

void scans_begin(struct ledger *ledger, struct kv_iter *const *snapshots, const struct fail *why)
{
    uint32_t count = ledger->scans_flushing_count;
    ledger->scans_flushing_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct scan_job *job = mem_new(sizeof *job);
        job->job = (struct job){.run = scan_run, .done = scan_done, .lane = JOB_SLOW};
        job->ledger = ledger;
        job->scan = ledger->scans_flushing[i];
        ledger->scans_running[ledger->scans_running_count++] = job->scan;
        job->snapshot = snapshots[i];
        job->why = *why;
        job->scan->state = job;
        if (job->scan->begun != NULL)
            job->scan->begun(job->scan);
        ledger_submit(ledger, &job->job);
    }
}

static void scan_run(struct job *job) /* worker */
{
    struct scan_job *scan_job = (struct scan_job *)job;
    struct coins_scan *scan = scan_job->scan;
    struct kv *kv = scan_job->ledger->coins_kv;
    struct fail why, broken;
    if (scan_job->snapshot == NULL)
        return;
    bool ok = scan->walk != NULL ? scan->walk(scan, scan_job->snapshot, &why) : walk_all(scan_job, &why);
    if (!ok)
        scan_job->why = why;
    if (!kv->ops->iter_close(scan_job->snapshot, &broken))
        scan_job->why = broken; /* the cause, if the walk failed as well */
}

static bool walk_all(struct scan_job *job, struct fail *why) /* worker */
{
    struct coins_scan *scan = job->scan;
    const struct kv_ops *ops = job->ledger->coins_kv->ops;
    struct arena arena;
    struct span key, value;
    bool ok = true, more = true;
    arena_init(&arena, 0);
    while (more && ok && !scan->abort && ops->iter_get(job->snapshot, &key, &value) && key.size_b > 0 &&
           key.data[0] == 'C') {
        struct outpoint outpoint;
        struct coin coin;
        arena_clear(&arena);
        if (!coin_key_parse(&outpoint, key)) {
            ok = fail_set(why, FAIL_LOCAL, "damaged",
                "chainstate/ has a damaged key; start with -reindex-chainstate");
        } else if (!coin_unpack(&coin, value, &arena, why)) {
            ok = false;
        } else {
            scan->progress = (uint32_t)outpoint.txid.b[0] << 8 | outpoint.txid.b[1];
            more = scan->each(scan, &outpoint, &coin);
            ops->iter_next(job->snapshot);
        }
    }
    arena_clear(&arena);
    return ok;
}

static void scan_done(struct job *job)
{
    struct scan_job *scan_job = (struct scan_job *)job;
    struct ledger *ledger = scan_job->ledger;
    struct coins_scan *scan = scan_job->scan;
    struct fail why = scan_job->why;
    mem_free(scan_job);
    ledger_job_back(ledger);
    for (uint32_t i = 0; i < ledger->scans_running_count; i++)
        if (ledger->scans_running[i] == scan)
            ledger->scans_running[i] = ledger->scans_running[--ledger->scans_running_count];
    scan->state = NULL;
    scan->done(scan, &why);
    ledger_pump(ledger);
}

void scans_abort(struct ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->scans_waiting_count; i++)
        ledger->scans_waiting[i]->abort = true;
    for (uint32_t i = 0; i < ledger->scans_flushing_count; i++)
        ledger->scans_flushing[i]->abort = true;
    for (uint32_t i = 0; i < ledger->scans_running_count; i++)
        ledger->scans_running[i]->abort = true;
}
