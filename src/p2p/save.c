/* Files of the data directory are written by one job after the other, each as a new file that replaces
 * the old one (base/file.h), so that a crash leaves either. */
#include <string.h>

#include "coin/base/mem.h"
#include "internal.h"

struct save_job {
    struct job job; /* first */
    struct p2p *p2p;
    const struct disk *disk;
    char path[PATH_SIZE_B];
    struct buf bytes;
    bool ok;
    struct fail why;
};

static void save_run(struct job *job);
static void save_done(struct job *job);

void save_file(struct p2p *p2p, const char *name, struct buf *bytes)
{
    struct fail why;
    struct save_job *save = mem_new(sizeof *save);
    if (p2p->options.dir == NULL || !buf_ok(bytes, name, &why) ||
        !path_join(save->path, p2p->options.dir, name, &why)) {
        buf_clear(bytes);
        mem_free(save);
        return;
    }
    save->job.run = save_run;
    save->job.done = save_done;
    save->job.lane = JOB_WRITE;
    save->job.serial = &p2p->save_serial;
    save->p2p = p2p;
    save->disk = p2p->env->disk;
    buf_init(&save->bytes, bytes->limit_b);
    buf_move(&save->bytes, bytes);
    if (!env_submit(p2p->env, &save->job)) { /* the disk is busy: the next save brings it up to date */
        buf_clear(&save->bytes);
        mem_free(save);
        return;
    }
    p2p->saves++;
}

static void save_run(struct job *job)
{
    struct save_job *save = (struct save_job *)job;
    save->ok = file_replace(save->disk, save->path, buf_span(&save->bytes), &save->why);
}

static void save_done(struct job *job)
{
    struct save_job *save = (struct save_job *)job;
    save->p2p->saves--;
    if (!save->ok)
        log_warning("%s was not saved: %s", save->path, save->why.detail);
    if (save->bytes.size_b > 0)
        mem_wipe(save->bytes.data, save->bytes.size_b); /* one of them is a secret */
    buf_clear(&save->bytes);
    mem_free(save);
}
