/* Script verdicts: which transactions' scripts are known to be good, and the job that finds out.
 * A wtxid commits to the witness and to all outpoints, and an outpoint to its coin, so a verdict once found
 * under the standard flags holds wherever the transaction appears. Two tables: new verdicts go into the
 * first; when it is full the second is dropped and the first takes its place, so what is in use stays. */
#include <stdio.h>

#include "state.h"

static void script_check_run(struct job *job);

bool ledger_verdict_known(const struct ledger *ledger, const struct wtxid *id)
{
    return table_find(&ledger->verdicts[0], id) != NULL ||
           table_find(&ledger->verdicts[1], id) != NULL;
}

void ledger_verdict_add(struct ledger *ledger, const struct wtxid *id)
{
    if (table_put(&ledger->verdicts[0], id, NULL) != NULL)
        return;
    struct table full = ledger->verdicts[0];
    ledger->verdicts[0] = ledger->verdicts[1];
    ledger->verdicts[1] = full;
    table_clear(&ledger->verdicts[0]);
    if (table_put(&ledger->verdicts[0], id, NULL) == NULL)
        return; /* no memory: it is checked again when it comes in a block */
}

void script_check_init(struct script_check *check, struct tx *tx, const struct coin *spent,
    uint32_t flags, void (*done)(struct job *job))
{
    check->job = (struct job){.run = script_check_run, .done = done, .lane = JOB_VERIFY};
    check->tx = tx;
    check->spent = spent;
    check->flags = flags;
    check->ok = false;
    check->failed_input = 0;
    check->error = SCRIPT_OK;
}

static void script_check_run(struct job *job)
{
    struct script_check *check = (struct script_check *)job;
    struct sighash_pre pre;
    sighash_pre_init(&pre, check->tx, check->spent);
    check->ok = true;
    for (uint32_t i = 0; i < check->tx->in_count && check->ok; i++) {
        enum script_error error = script_verify_input(&pre, i, check->flags);
        check->ok = error == SCRIPT_OK;
        check->failed_input = i;
        check->error = (int)error;
    }
}
