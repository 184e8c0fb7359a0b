/* Addresses: handing out the next one of a branch, watching ahead of the last one used, labels.
 * A branch watches `keypool` scripts beyond the next one to be handed out, so that a copy of the wallet that
 * has missed some hand-outs (a restored backup) still sees what they received. */

#include <string.h>

#include "coin/base/log.h"
#include "internal.h"

struct derive_job {
    struct job job;
    struct wallet *wallet;
    struct wallet_branch branch; /* a copy: workers never read the wallet */
    uint32_t branch_number, first, count;
    struct script_key *scripts;
    bool ok;
    struct fail why;
};
struct hand_out {
    struct wallet *wallet;
    struct script_key script;
    struct wallet_address_done done;
};
struct key_job {
    struct job job;
    struct wallet *wallet;
    struct wallet_branch branch;
    uint32_t index;
    uint8_t pubkey[33];
    bool ok;
    struct fail why;
    struct wallet_key_done done;
};

static void derive_run(struct job *job);
static void derive_done(struct job *job);
static void on_address_written(void *ctx, const struct fail *why);
static void key_run(struct job *job);
static void key_done(struct job *job);
static void advance_next(struct wallet *wallet, uint32_t branch, uint32_t next);

void wallet_new_address(struct wallet *wallet, enum wallet_kind kind, bool internal, struct span label,
    struct wallet_address_done done)
{
    struct fail why;
    struct span none = {NULL, 0};
    struct script_key key;
    int32_t branch = addresses_branch(wallet, kind, internal);
    if (branch < 0) {
        fail_request(&why, -4, "Error: This wallet has no available keys");
        done.fn(done.ctx, none, &why);
        return;
    }
    struct wallet_branch *b = &wallet->branches[branch];
    if (b->next >= b->range_end) {
        addresses_top_up(wallet, (uint32_t)branch);
        fail_request(&why, -12, "Error: Keypool ran out, please call keypoolrefill first");
        done.fn(done.ctx, none, &why);
        return;
    }
    key = b->scripts[b->next];
    advance_next(wallet, (uint32_t)branch, b->next + 1);
    if (!internal) { /* a receive address always has a label, maybe an empty one: it is not change */
        if (!label_put(wallet, script_key_span(&key), label, span_text("receive"))) {
            fail_oom(&why, "label");
            done.fn(done.ctx, none, &why);
            return;
        }
        label_store(wallet, script_key_span(&key), label, span_text("receive"));
    }
    struct hand_out *out = mem_new(sizeof *out);
    *out = (struct hand_out){.wallet = wallet, .script = key, .done = done};
    wallet_write(wallet, on_address_written, out);
}

static uint32_t watched_end(const struct wallet *wallet, const struct wallet_branch *b)
{
    uint64_t end = (uint64_t)b->next + wallet->all->options.keypool;
    return end < WALLET_SCRIPTS_MAX ? (uint32_t)end : WALLET_SCRIPTS_MAX;
}

bool addresses_are_short(const struct wallet *wallet)
{
    for (uint32_t i = 0; i < wallet->branch_count; i++) {
        if (wallet->branches[i].range_end < watched_end(wallet, &wallet->branches[i]))
            return true;
    }
    return false;
}

void addresses_top_up_all(struct wallet *wallet)
{
    for (uint32_t i = 0; i < wallet->branch_count; i++)
        addresses_top_up(wallet, i);
}

void addresses_top_up(struct wallet *wallet, uint32_t branch)
{
    struct wallet_branch *b = &wallet->branches[branch];
    uint32_t want = watched_end(wallet, b);
    if (b->topping_up || b->range_end >= want || wallet->unloading)
        return;
    struct derive_job *derive = mem_new(sizeof *derive);
    derive->job = (struct job){.run = derive_run, .done = derive_done, .lane = JOB_SLOW};
    derive->wallet = wallet;
    derive->branch = *b;
    derive->branch_number = branch;
    derive->first = b->range_end;
    derive->count = want - b->range_end;
    derive->scripts = mem_try_array(derive->count, sizeof *derive->scripts);
    if (derive->scripts == NULL || !env_submit(wallet->all->env, &derive->job)) {
        mem_free(derive->scripts); /* the next tick tries again */
        mem_wipe(derive, sizeof *derive);
        mem_free(derive);
        return;
    }
    b->topping_up = true;
    wallet->jobs++;
}

void addresses_on_used(struct wallet *wallet, struct span script)
{
    struct script_key key;
    struct script_home *home;
    if (!script_key_of(&key, script) || (home = table_find(&wallet->scripts, &key)) == NULL || home->used)
        return;
    home->used = true;
    if (wallet->branches[home->descriptor].next <= home->index)
        advance_next(wallet, home->descriptor, home->index + 1);
}

int32_t addresses_branch(const struct wallet *wallet, enum wallet_kind kind, bool internal)
{
    for (uint32_t i = 0; i < wallet->branch_count; i++) {
        const struct wallet_branch *b = &wallet->branches[i];
        if (b->active && b->kind == kind && b->internal == internal)
            return (int32_t)i;
    }
    return -1;
}

uint32_t wallet_keypool_left(const struct wallet *wallet, bool internal)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < wallet->branch_count; i++) {
        const struct wallet_branch *b = &wallet->branches[i];
        if (b->active && b->internal == internal)
            sum += b->range_end - b->next;
    }
    return sum;
}

bool wallet_is_mine(const struct wallet *wallet, struct span script, struct wallet_key_info *info)
{
    struct script_key key;
    const struct script_home *home;
    if (!script_key_of(&key, script) || (home = table_find(&wallet->scripts, &key)) == NULL)
        return false;
    if (info != NULL) {
        const struct wallet_branch *b = &wallet->branches[home->descriptor];
        *info = (struct wallet_key_info){
            .descriptor = home->descriptor, .index = home->index, .internal = b->internal, .kind = b->kind};
    }
    return true;
}

bool wallet_is_change(const struct wallet *wallet, struct span script)
{
    struct wallet_key_info info;
    bool has_label;
    if (!wallet_is_mine(wallet, script, &info))
        return false;
    wallet_label(wallet, script, &has_label);
    return info.internal && !has_label;
}

bool wallet_descriptor(const struct wallet *wallet, uint32_t i, bool with_secret, struct buf *text,
    struct wallet_descriptor_info *info)
{
    if (i >= wallet->branch_count)
        return false;
    const struct wallet_branch *b = &wallet->branches[i];
    *info = (struct wallet_descriptor_info){
        .active = b->active,
        .internal = b->internal,
        .kind = b->kind,
        .next = b->next,
        .range_end = b->range_end,
        .created_s = b->created_s,
    };
    return text == NULL || keys_descriptor_text(text, wallet->all->chain, b, with_secret);
}

void wallet_key(struct wallet *wallet, struct span script, struct wallet_key_done done)
{
    struct wallet_key_info info;
    struct fail why;
    if (!wallet_is_mine(wallet, script, &info)) {
        fail_request(&why, -5, "This address is not one of this wallet");
        done.fn(done.ctx, NULL, NULL, NULL, &why);
        return;
    }
    struct key_job *ask = mem_new(sizeof *ask);
    ask->job = (struct job){.run = key_run, .done = key_done, .lane = JOB_SLOW};
    ask->wallet = wallet;
    ask->branch = wallet->branches[info.descriptor];
    ask->index = info.index;
    ask->done = done;
    if (!env_submit(wallet->all->env, &ask->job)) {
        mem_wipe(ask, sizeof *ask);
        mem_free(ask);
        fail_set(&why, FAIL_NO_ROOM, "busy", "Too many requests wait for keys: try again");
        done.fn(done.ctx, NULL, NULL, NULL, &why);
        return;
    }
    wallet->jobs++;
}

bool wallet_words(const struct wallet *wallet, struct buf *out, struct fail *why)
{
    char words[BIP39_TEXT_SIZE_B];
    if (!bip39_words_from_entropy(words, span_of(wallet->entropy, wallet->entropy_size_b)))
        return fail_request(why, -4, "This wallet was not made from recovery words");
    buf_put_text(out, words);
    mem_wipe(words, sizeof words);
    return buf_ok(out, "recovery words", why);
}

/* ---- labels ---- */

struct span wallet_label(const struct wallet *wallet, struct span script, bool *has)
{
    struct script_key key;
    const struct label_entry *entry =
        script_key_of(&key, script) ? table_find(&wallet->labels, &key) : NULL;
    if (has != NULL)
        *has = entry != NULL;
    return span_text(entry != NULL ? entry->label : "");
}

void wallet_set_label(struct wallet *wallet, struct span script, struct span label, struct span purpose,
    struct ledger_done done)
{
    struct fail why;
    if (label.size_b > WALLET_LABEL_MAX_B) {
        fail_request(&why, -11, "Invalid label name");
        done.fn(done.ctx, &why);
    } else if (!label_put(wallet, script, label, purpose)) {
        fail_oom(&why, "label");
        done.fn(done.ctx, &why);
    } else {
        label_store(wallet, script, label, purpose);
        wallet_write(wallet, done.fn, done.ctx);
    }
}

bool wallet_next_label(const struct wallet *wallet, uint32_t *cursor, struct span *script,
    struct span *label, struct span *purpose)
{
    const void *key;
    void *value;
    if (!table_next(&wallet->labels, cursor, &key, &value))
        return false;
    const struct label_entry *entry = value;
    *script = script_key_span(key);
    *label = span_text(entry->label);
    *purpose = span_text(entry->purpose);
    return true;
}

bool label_put(struct wallet *wallet, struct span script, struct span label, struct span purpose)
{
    struct script_key key;
    struct label_entry *entry;
    if (!script_key_of(&key, script) || (entry = table_put(&wallet->labels, &key, NULL)) == NULL)
        return false;
    mem_free(entry->label);
    mem_free(entry->purpose);
    entry->label = mem_new(label.size_b + 1); /* bounded by WALLET_LABEL_MAX_B */
    entry->purpose = mem_new(purpose.size_b + 1);
    if (label.size_b > 0)
        memcpy(entry->label, label.data, label.size_b);
    if (purpose.size_b > 0)
        memcpy(entry->purpose, purpose.data, purpose.size_b);
    return true;
}

void label_store(struct wallet *wallet, struct span script, struct span label, struct span purpose)
{
    struct store_row row = {.table = STORE_LABEL, .key = script, .a = label, .b = purpose};
    store_batch_put(&wallet->batch, &row);
}

/* ---- below ---- */

static void advance_next(struct wallet *wallet, uint32_t branch, uint32_t next)
{
    wallet->branches[branch].next = next;
    image_put_branch(wallet, &wallet->batch, branch);
    addresses_top_up(wallet, branch);
}

static void on_address_written(void *ctx, const struct fail *why)
{
    struct hand_out *out = ctx;
    out->done.fn(out->done.ctx, script_key_span(&out->script), why);
    mem_free(out);
}

static void derive_run(struct job *job)
{
    struct derive_job *derive = (struct derive_job *)job;
    derive->ok =
        keys_derive_range(&derive->branch, derive->first, derive->count, derive->scripts, &derive->why);
}

static void derive_done(struct job *job)
{
    struct derive_job *derive = (struct derive_job *)job;
    struct wallet *wallet = derive->wallet;
    struct wallet_branch *b = &wallet->branches[derive->branch_number];
    b->topping_up = false;
    wallet->jobs--;
    bool all = derive->ok;
    if (!derive->ok) /* the next tick tries again */
        log_error("Wallet \"%s\": addresses cannot be derived: %s", wallet->name, derive->why.detail);
    for (uint32_t i = 0; derive->ok && i < derive->count; i++) {
        struct script_home home = {.descriptor = derive->branch_number, .index = derive->first + i};
        if (!wallet_add_script(wallet, &derive->scripts[i], home.descriptor, home.index)) {
            all = false;
            break;
        }
        image_put_script(&wallet->batch, &derive->scripts[i], &home);
        b->range_end = home.index + 1;
    }
    image_put_branch(wallet, &wallet->batch, derive->branch_number);
    wallet_write(wallet, NULL, NULL);
    if (all) {
        addresses_top_up(wallet, derive->branch_number);
        scan_follow(wallet); /* it may have waited for these */
    }
    mem_free(derive->scripts);
    mem_wipe(derive, sizeof *derive);
    mem_free(derive);
    wallets_check_unload(wallet);
}

static void key_run(struct job *job)
{
    struct key_job *ask = (struct key_job *)job;
    ask->ok = keys_derive(&ask->branch, ask->index, NULL, ask->pubkey, NULL, &ask->why);
}

static void key_done(struct job *job)
{
    struct key_job *ask = (struct key_job *)job;
    struct wallet *wallet = ask->wallet;
    char path[64];
    wallet->jobs--;
    if (ask->ok)
        fail_clear(&ask->why);
    keys_path(path, wallet->all->chain, &ask->branch, ask->index);
    ask->done.fn(ask->done.ctx, path, ask->pubkey, ask->branch.master_fingerprint, &ask->why);
    mem_wipe(ask, sizeof *ask);
    mem_free(ask);
    wallets_check_unload(wallet);
}
