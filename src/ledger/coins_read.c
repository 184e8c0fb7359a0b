/* Coins from the store: chunks of look-ups in jobs, and the requests of mempool and RPC.
 * A chunk skips outpoints that its own block creates. What it found is learnt by the cache only if no
 * generation was retired since the fetch began: otherwise a coin spent meanwhile would come back.
 * A request is answered only between committed blocks: at a moment when no block is half-way in. */
#include <string.h>

#include "state.h"

static void chunk_run(struct job *job);
static void chunk_done(struct job *job);
static bool request_answer(
    struct ledger *ledger, struct coins_request *request, const struct coins_wait *wait);
static bool request_copy(struct coins_request *request, uint32_t i, const struct coin *coin);
static bool request_read(struct ledger *ledger, struct coins_wait *wait);
static void request_fetched(struct fetch *fetch);
static void request_finish(struct ledger *ledger, struct coins_wait *wait, const struct fail *why);
static bool is_committed(const struct ledger *ledger);

bool fetch_begin(struct fetch *fetch, struct ledger *ledger, struct arena *arena,
    void (*done)(struct fetch *fetch), void *ctx)
{
    fetch->ledger = ledger;
    fetch->done = done;
    fetch->ctx = ctx;
    fetch->generation = ledger->coins.generation;
    fetch->coins = arena_array(arena, fetch->count, sizeof *fetch->coins);
    fetch->found = arena_array(arena, fetch->count, sizeof *fetch->found);
    uint32_t chunks = (fetch->count + FETCH_CHUNK - 1) / FETCH_CHUNK;
    fetch->chunks = arena_array(arena, chunks, sizeof *fetch->chunks);
    if (fetch->coins == NULL || fetch->found == NULL || fetch->chunks == NULL)
        return false;
    fetch->chunk_count = fetch->pending = chunks;
    for (uint32_t i = 0; i < chunks; i++) {
        struct fetch_chunk *chunk = &fetch->chunks[i];
        chunk->job = (struct job){.run = chunk_run, .done = chunk_done, .lane = JOB_READ};
        chunk->fetch = fetch;
        chunk->first = i * FETCH_CHUNK;
        chunk->count =
            fetch->count - chunk->first < FETCH_CHUNK ? fetch->count - chunk->first : FETCH_CHUNK;
        arena_init(&chunk->arena, 0);
        ledger_submit(ledger, &chunk->job);
    }
    return true;
}

void fetch_clear(struct fetch *fetch)
{
    for (uint32_t i = 0; i < fetch->chunk_count; i++)
        arena_clear(&fetch->chunks[i].arena);
    fetch->chunk_count = 0;
}

static void chunk_run(struct job *job)
{
    struct fetch_chunk *chunk = (struct fetch_chunk *)job;
    struct fetch *fetch = chunk->fetch;
    struct kv *kv = fetch->ledger->coins_kv; /* any thread may read it */
    struct buf value;
    buf_init(&value, BLOCK_SIZE_MAX_B);
    for (uint32_t i = chunk->first; i < chunk->first + chunk->count; i++) {
        uint8_t key[COIN_KEY_MAX_B];
        bool found = false;
        value.size_b = 0;
        if (!kv_get(
                kv, span_of(key, coin_key(key, &fetch->outpoints[i])), &value, &found, &chunk->why))
            break;
        if (found && !coin_unpack(&fetch->coins[i], buf_span(&value), &chunk->arena, &chunk->why))
            break;
        fetch->found[i] = found;
    }
    buf_clear(&value);
}

static void chunk_done(struct job *job)
{
    struct fetch_chunk *chunk = (struct fetch_chunk *)job;
    struct fetch *fetch = chunk->fetch;
    struct ledger *ledger = fetch->ledger;
    ledger_job_back(ledger);
    if (chunk->why.kind != FAIL_NONE)
        fetch->why = chunk->why;
    if (--fetch->pending > 0)
        return;
    ledger->stats.coins_read += fetch->count;
    if (fetch->why.kind == FAIL_LOCAL)
        ledger_die(ledger, &fetch->why);
    bool fresh = fetch->generation == ledger->coins.generation && fetch->why.kind == FAIL_NONE;
    for (uint32_t i = 0; i < fetch->count && fresh; i++)
        if (fetch->found[i] &&
            !coins_learn(&ledger->coins, &fetch->outpoints[i], &fetch->coins[i])) {
            fail_oom(&fetch->why, "coins");
            break;
        }
    fetch->done(fetch);
    ledger_pump(ledger);
}

/* ---- requests ---- */
enum coins_answer ledger_coins(struct ledger *ledger, struct coins_request *request)
{
    if (ledger->stopping || ledger->fatal || ledger->coins_count >= COINS_REQUESTS_MAX)
        return COINS_REFUSED;
    arena_init(&request->arena, 0);
    if (is_committed(ledger) && request_answer(ledger, request, NULL))
        return COINS_READY;
    struct coins_wait *wait = mem_new(sizeof *wait);
    wait->request = request;
    request->state = wait;
    arena_init(&wait->arena, 0);
    if (is_committed(ledger) && !request_read(ledger, wait)) { /* no memory: nothing would wake it later */
        request->state = NULL;
        fetch_clear(&wait->fetch);
        arena_clear(&wait->arena);
        mem_free(wait);
        return COINS_REFUSED;
    }
    if (ledger->coins_last != NULL)
        ledger->coins_last->next = wait;
    else
        ledger->coins_first = wait;
    ledger->coins_last = wait;
    ledger->coins_count++;
    return COINS_PENDING;
}

/* Called by the pump between blocks. */
void coins_requests_advance(struct ledger *ledger)
{
    if (!is_committed(ledger))
        return;
    struct coins_wait *wait = ledger->coins_first;
    ledger->coins_first = ledger->coins_last = NULL;
    while (wait != NULL) {
        struct coins_wait *next = wait->next;
        wait->next = NULL;
        bool answered = !wait->reading && request_answer(ledger, wait->request, wait);
        if (answered || wait->fetch.why.kind != FAIL_NONE) {
            request_finish(ledger, wait, answered ? NULL : &wait->fetch.why);
        } else {
            if (ledger->coins_last != NULL)
                ledger->coins_last->next = wait;
            else
                ledger->coins_first = wait;
            ledger->coins_last = wait;
            if (!wait->reading && !request_read(ledger, wait)) {
                fail_oom(&wait->fetch.why, "coins");
                ledger->pump_again = true;
            }
        }
        wait = next;
    }
}

/* Somebody waits for a moment between blocks: no further block is begun before it has come. */
bool coins_requests_need_quiet(const struct ledger *ledger)
{
    for (const struct coins_wait *wait = ledger->coins_first; wait != NULL; wait = wait->next)
        if (!wait->reading)
            return true;
    return false;
}

/* At the stop: those being read are finished by their job's return. */
void coins_requests_drop(struct ledger *ledger)
{
    struct fail why;
    fail_set(&why, FAIL_NO_ROOM, "stopping", "the node is stopping");
    struct coins_wait **link = &ledger->coins_first;
    ledger->coins_last = NULL;
    while (*link != NULL) {
        struct coins_wait *wait = *link;
        if (wait->reading) {
            ledger->coins_last = wait;
            link = &wait->next;
            continue;
        }
        *link = wait->next;
        request_finish(ledger, wait, &why);
    }
}

static bool is_committed(const struct ledger *ledger)
{
    return ledger->applied_count == 0 && !ledger->switching;
}

/* true: every outpoint is known without the store, and request is filled. */
static bool request_answer(
    struct ledger *ledger, struct coins_request *request, const struct coins_wait *wait)
{
    bool read = wait != NULL && wait->read && wait->fetch.generation == ledger->coins.generation;
    arena_clear(&request->arena);
    for (uint32_t i = 0; i < request->count; i++) {
        struct coin coin;
        enum coins_answer_kind answer = coins_find(&ledger->coins, &request->outpoints[i], &coin);
        /* Read from the store under this generation and still unknown: it is not there. */
        if (answer == COINS_UNKNOWN && !read)
            return false;
        request->found[i] = answer == COINS_PRESENT;
        if (answer == COINS_PRESENT && !request_copy(request, i, &coin))
            return false;
    }
    request->tip_sequence = ledger->tip_sequence;
    return true;
}

static bool request_copy(struct coins_request *request, uint32_t i, const struct coin *coin)
{
    uint8_t *script = arena_new(&request->arena, coin->script.size_b);
    if (script == NULL)
        return false;
    if (coin->script.size_b > 0)
        memcpy(script, coin->script.data, coin->script.size_b);
    request->coins[i] = *coin;
    request->coins[i].script.data = script;
    return true;
}

static bool request_read(struct ledger *ledger, struct coins_wait *wait)
{
    const struct coins_request *request = wait->request;
    fetch_clear(&wait->fetch);
    arena_clear(&wait->arena);
    memset(&wait->fetch, 0, sizeof wait->fetch);
    wait->fetch.outpoints =
        arena_array(&wait->arena, request->count, sizeof *wait->fetch.outpoints);
    if (wait->fetch.outpoints == NULL)
        return false;
    for (uint32_t i = 0; i < request->count; i++) {
        struct coin coin;
        if (coins_find(&ledger->coins, &request->outpoints[i], &coin) == COINS_UNKNOWN)
            wait->fetch.outpoints[wait->fetch.count++] = request->outpoints[i];
    }
    if (wait->fetch.count ==
        0) { /* all known by now, but memory was short: a failure, not a loop */
        return false;
    }
    wait->reading = true;
    if (fetch_begin(&wait->fetch, ledger, &wait->arena, request_fetched, wait))
        return true;
    wait->reading = false;
    return false;
}

static void request_fetched(struct fetch *fetch)
{
    struct coins_wait *wait = fetch->ctx;
    wait->reading = false;
    wait->read = true;
    if (fetch->ledger->stopping)
        fail_set(&fetch->why, FAIL_NO_ROOM, "stopping", "the node is stopping");
    fetch->ledger->pump_again = true;
}

static void request_finish(struct ledger *ledger, struct coins_wait *wait, const struct fail *why)
{
    ledger->coins_count--;
    struct coins_request *request = wait->request;
    request->state = NULL;
    wait->next = NULL;
    if (why != NULL)
        wait->fetch.why = *why;
    if (ledger->answers_last != NULL)
        ledger->answers_last->next = wait;
    else
        ledger->answers_first = wait;
    ledger->answers_last = wait;
}

/* From the pump's end, when the state is whole: done may call us again. */
void coins_requests_deliver(struct ledger *ledger)
{
    while (ledger->answers_first != NULL) {
        struct coins_wait *wait = ledger->answers_first;
        ledger->answers_first = wait->next;
        if (ledger->answers_first == NULL)
            ledger->answers_last = NULL;
        struct coins_request *request = wait->request;
        struct fail why = wait->fetch.why;
        fetch_clear(&wait->fetch);
        arena_clear(&wait->arena);
        mem_free(wait);
        request->done(request, &why);
    }
}
