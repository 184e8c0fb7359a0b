/* Opening what is on disk: markers, the tree of headers, the tip, and the end of the block files.
 *
 * blocks/index/, LevelDB:
 *   'M' "schema" -> u32 version of this layout        'M' "rules" -> 32 bytes, the chain's rules hash
 *   'M' "reindex" -> u64, while the files are read again (import.c): file << 32 | byte to go on from
 *   'b' u32be height, id 32 -> header 80 | u32 status, tx_count, file, data_pos, data_size, undo_pos, undo_size
 * chainstate/, LevelDB: 'C' ... -> coins (codec.h)     'B' -> id of the tip that they belong to
 *
 * The index may know less than the files: blocks are appended at once, rows are written by the flush. So
 * whole records behind the last known one are checked as if they came from a peer and taken in; torn ones
 * among them are passed over, and what follows the last whole record is cut off. */
#include <stdio.h>
#include <string.h>

#include "coin/base/log.h"
#include "state.h"

#define ROW_SIZE_B (HEADER_SIZE_B + 7u * 4u)
#define ROW_KEY_SIZE_B 37u
#define REINDEX_KEY "Mreindex"
#define META_BATCH_MAX_B (1u << 20)
#define STRAYS_MAX 1000000u /* records whose parents were not seen yet */

struct stray { /* a record whose parent is not known yet; strays of one parent form a list */
    uint32_t file, pos_b, size_b;
    uint32_t next; /* index + 1 */
};
struct file_end {
    uint64_t data_b, undo_b;
};
struct loader {
    struct ledger *ledger;
    struct file_end *ends;
    uint32_t end_count, end_capacity;
    struct table strays_by_parent; /* block_id -> index + 1 of the first */
    struct stray *strays;
    uint32_t stray_count, stray_capacity;
    uint32_t taken;
    struct fail why;
};

static bool markers_write(struct ledger *ledger, struct fail *why);
static bool load_rows(struct loader *loader, struct fail *why);
static bool load_row(struct loader *loader, struct span key, struct span value, struct fail *why);
static bool note_end(struct loader *loader, const struct block_index *index);
static bool make_genesis(struct ledger *ledger, struct fail *why);
static bool store_genesis(struct ledger *ledger, struct fail *why);
static bool recover_files(struct loader *loader, struct fail *why);
static bool recover_tail(
    struct loader *loader, uint32_t file, uint64_t from_b, uint64_t *end_b, struct fail *why);
static bool take_record(void *ctx, uint32_t file, uint32_t pos_b, struct buf *raw);
static bool take_block(struct loader *loader, uint32_t file, uint32_t pos_b, struct buf *raw,
    bool *unknown_parent, struct block_id *id);
static void take_strays_of(struct loader *loader, struct block_id id);
static bool load_tip(struct ledger *ledger, struct fail *why);
static void link_all(struct ledger *ledger);

bool ledger_load(struct ledger *ledger, struct fail *why)
{
    struct loader loader = {.ledger = ledger};
    uint64_t seed[2];
    env_random(ledger->env, seed, sizeof seed);
    table_init(
        &loader.strays_by_parent, sizeof(struct block_id), sizeof(uint32_t), STRAYS_MAX, seed);
    bool ok = load_rows(&loader, why) && make_genesis(ledger, why) &&
              recover_files(&loader, why) && load_tip(ledger, why) &&
              snapshot_resume(ledger, why);
    table_clear(&loader.strays_by_parent);
    mem_free(loader.strays);
    mem_free(loader.ends);
    if (!ok)
        return false;
    link_all(ledger);
    if (!prune_load(ledger, why))
        return false;
    candidates_rebuild(ledger);
    headers_rebuild_best(ledger);
    if (ledger->fatal) {
        *why = ledger->fatal_why;
        return false;
    }
    if (ledger->tip->chain_tx_count == 0)
        return fail_set(why, FAIL_LOCAL, "damaged",
            "%s/chainstate belongs to block %d, but %s lacks a block on the way to it; start with "
            "-reindex",
            ledger->dir, (int)ledger->tip->height, ledger->blocks_dir);
    ledger->effect_first = ledger->effect_count =
        0; /* nobody has heard anything before the start */
    ledger->disk_b = blockfiles_size_b(&ledger->files);
    ledger->chainstate_size_b = ledger->coins_kv->ops->size_b(ledger->coins_kv);
    log_info("Chain %s: height %d, %u headers, tip %s", ledger->chain->name,
        (int)ledger->tip->height, (unsigned)ledger->tree.by_id.count, hash_show(ledger->tip->id.b));
    return verify_at_start(ledger, why);
}

/* ---- rows ---- */
static size_t row_key(uint8_t key[ROW_KEY_SIZE_B], int32_t height, const struct block_id *id)
{
    key[0] = 'b';
    put_u32be(key + 1, (uint32_t)height); /* parents come before children in a walk */
    memcpy(key + 5, id->b, sizeof id->b);
    return ROW_KEY_SIZE_B;
}

void index_row_put(struct kv_batch *batch, const struct block_index *index)
{
    uint8_t key[ROW_KEY_SIZE_B], row[ROW_SIZE_B];
    struct header header = index_header(index);
    header_encode(row, &header);
    uint32_t status = index->status;
    bool pruned = (status & BLOCK_PRUNED) != 0;
    bool stored = index->data_size_b > 0; /* in memory only: the row must not promise it */
    if (!stored)
        status &= ~(uint32_t)BLOCK_HAVE_DATA;
    if (!pruned && (!stored || ((status & BLOCK_HAVE_UNDO) == 0 && index->prev != NULL)))
        status &= ~(uint32_t)BLOCK_SCRIPTS_OK; /* connected, its undo data not written yet: once more */
    const uint32_t numbers[7] = {status, stored || pruned ? index->tx_count : 0, index->file,
        index->data_pos_b, index->data_size_b, index->undo_pos_b, index->undo_size_b};
    for (size_t i = 0; i < 7; i++)
        put_u32le(row + HEADER_SIZE_B + 4 * i, numbers[i]);
    kv_batch_put(
        batch, span_of(key, row_key(key, index->height, &index->id)), span_of(row, sizeof row));
}

void tip_row_put(struct kv_batch *batch, const struct block_id *tip)
{
    kv_batch_put(batch, span_text("B"), span_of(tip->b, sizeof tip->b));
}

static bool load_rows(struct loader *loader, struct fail *why)
{
    struct kv *kv = loader->ledger->index_kv;
    struct kv_iter *it = kv->ops->iterate(kv, span_text("b"));
    struct span key, value;
    bool ok = true;
    while (ok && kv->ops->iter_get(it, &key, &value) && key.size_b > 0 && key.data[0] == 'b') {
        ok = load_row(loader, key, value, why);
        kv->ops->iter_next(it);
    }
    struct fail closing;
    if (!kv->ops->iter_close(it, &closing) && ok) {
        *why = closing;
        ok = false;
    }
    return ok;
}

static bool load_row(struct loader *loader, struct span key, struct span value, struct fail *why)
{
    struct ledger *ledger = loader->ledger;
    struct header header;
    struct block_id id;
    bool sizes = key.size_b == ROW_KEY_SIZE_B && value.size_b == ROW_SIZE_B;
    struct block_index *prev = NULL;
    if (sizes) {
        header_decode(&header, value.data);
        memcpy(id.b, key.data + 5, sizeof id.b);
        prev = tree_find(&ledger->tree, &header.prev);
    }
    bool is_genesis = sizes && ledger->tree.by_id.count == 0;
    if (!sizes || (prev == NULL && !is_genesis))
        return fail_set(why, FAIL_LOCAL, "damaged",
            "%s/index has a row that does not fit the others; start with -reindex",
            ledger->blocks_dir);
    struct block_index *index = tree_add(&ledger->tree, ledger->chain, &header, &id, prev);
    if (index == NULL)
        return fail_oom(why, "block index");
    uint32_t *const fields[7] = {&index->status, &index->tx_count, &index->file, &index->data_pos_b,
        &index->data_size_b, &index->undo_pos_b, &index->undo_size_b};
    for (size_t i = 0; i < 7; i++)
        *fields[i] = get_u32le(value.data + HEADER_SIZE_B + 4 * i);
    if (is_genesis)
        ledger->genesis = index;
    index->writer_file = index->file;
    return note_end(loader, index) || fail_oom(why, "block index");
}

static bool note_end(struct loader *loader, const struct block_index *index)
{
    if ((index->status & BLOCK_HAVE_DATA) == 0)
        return true;
    if (!mem_try_grow(&loader->ends, &loader->end_capacity, index->file + 1, BLOCKFILES_MAX,
            sizeof *loader->ends))
        return false;
    if (index->file >= loader->end_count)
        loader->end_count = index->file + 1;
    struct file_end *end = &loader->ends[index->file];
    uint64_t data_end_b = (uint64_t)index->data_pos_b + index->data_size_b;
    if (data_end_b > end->data_b)
        end->data_b = data_end_b;
    uint64_t undo_end_b = (uint64_t)index->undo_pos_b + index->undo_size_b + UNDO_CHECKSUM_B;
    if ((index->status & BLOCK_HAVE_UNDO) != 0 && undo_end_b > end->undo_b)
        end->undo_b = undo_end_b;
    return true;
}

/* ---- markers ---- */
bool markers_check(struct ledger *ledger, uint64_t *reindex_from, struct fail *why)
{
    struct buf schema, rules, reindex;
    bool has_schema = false, has_rules = false, has_reindex = false;
    buf_init(&schema, 64);
    buf_init(&rules, 64);
    buf_init(&reindex, 64);
    bool ok = kv_get(ledger->index_kv, span_text("Mschema"), &schema, &has_schema, why) &&
              kv_get(ledger->index_kv, span_text("Mrules"), &rules, &has_rules, why) &&
              kv_get(ledger->index_kv, span_text(REINDEX_KEY), &reindex, &has_reindex, why);
    uint32_t version = ok && has_schema && schema.size_b == 4 ? get_u32le(schema.data) : 0;
    bool fresh = !has_schema && !has_rules;
    bool whole = version != 0 && rules.size_b == sizeof ledger->chain->rules_hash &&
                 (!has_reindex || reindex.size_b == 8);
    if (ok && !fresh && version > SCHEMA_VERSION)
        ok = fail_request(why, -1,
            "%s was written by a newer coind (layout %u, this one knows %u): use that, or start "
            "with -reindex",
            ledger->dir, (unsigned)version, (unsigned)SCHEMA_VERSION);
    else if (ok && !fresh && !whole)
        ok = fail_set(why, FAIL_LOCAL, "damaged", "%s/index lacks its markers; start with -reindex",
            ledger->blocks_dir);
    else if (ok && !fresh && memcmp(rules.data, ledger->chain->rules_hash, rules.size_b) != 0)
        ok = fail_request(why, -1,
            "%s holds a chain of other rules than \"%s\": use another -datadir, or the chain file "
            "that it was made with",
            ledger->dir, ledger->chain->name);
    if (ok && has_reindex) {
        ledger->reindexing = ledger->reindex_marked = true;
        *reindex_from = get_u64le(reindex.data);
    }
    buf_clear(&schema);
    buf_clear(&rules);
    buf_clear(&reindex);
    if (!ok || !fresh)
        return ok;
    ledger->reindexing = blockfiles_size_b(&ledger->files) > 0;
    return markers_write(ledger, why);
}

static bool markers_write(struct ledger *ledger, struct fail *why)
{
    struct kv_batch batch;
    uint8_t version[4];
    put_u32le(version, SCHEMA_VERSION);
    kv_batch_init(&batch, META_BATCH_MAX_B);
    kv_batch_put(&batch, span_text("Mschema"), span_of(version, sizeof version));
    kv_batch_put(&batch, span_text("Mrules"),
        span_of(ledger->chain->rules_hash, sizeof ledger->chain->rules_hash));
    if (ledger->reindexing)
        reindex_row_put(&batch, 0);
    bool ok = kv_write(ledger->index_kv, &batch, true, why);
    kv_batch_clear(&batch);
    return ok;
}

void reindex_row_put(struct kv_batch *batch, uint64_t place)
{
    uint8_t value[8];
    put_u64le(value, place);
    kv_batch_put(batch, span_text(REINDEX_KEY), span_of(value, sizeof value));
}

void reindex_row_delete(struct kv_batch *batch)
{
    kv_batch_delete(batch, span_text(REINDEX_KEY));
}

/* ---- genesis ---- */
static bool make_genesis(struct ledger *ledger, struct fail *why)
{
    const struct block *genesis = ledger->chain->genesis;
    if (ledger->genesis != NULL && !block_id_equal(&ledger->genesis->id, &genesis->id))
        return fail_set(why, FAIL_LOCAL, "damaged",
            "%s/index begins with another block than this chain's; start with "
            "-reindex",
            ledger->blocks_dir);
    if (ledger->genesis == NULL) {
        ledger->genesis =
            tree_add(&ledger->tree, ledger->chain, &genesis->header, &genesis->id, NULL);
        if (ledger->genesis == NULL)
            return fail_oom(why, "genesis");
        index_mark_dirty(ledger, ledger->genesis);
    }
    ledger->tip = ledger->best_header = ledger->genesis;
    if ((ledger->genesis->status & (BLOCK_HAVE_DATA | BLOCK_PRUNED)) != 0)
        return true;
    ledger->genesis->tx_count = genesis->tx_count;
    return true;
}

/* A new folder, or one whose first write was lost, or whose files are read again. */
static bool store_genesis(struct ledger *ledger, struct fail *why)
{
    struct block_index *genesis = ledger->genesis;
    const struct buf *raw = &ledger->chain->genesis->raw;
    if ((genesis->status & (BLOCK_HAVE_DATA | BLOCK_PRUNED)) != 0)
        return true;
    if (ledger->files.data_end_b[0] > 0) {
        struct buf first;
        buf_init(&first, BLOCK_SIZE_MAX_B + RECORD_HEAD_B);
        bool same = ledger->reindexing &&
                    blockfiles_read(&ledger->files, 0, RECORD_HEAD_B, (uint32_t)raw->size_b, &first, why) &&
                    span_equal(buf_span(&first), buf_span(raw));
        buf_clear(&first);
        if (!same)
            return fail_set(why, FAIL_LOCAL, "damaged",
                "%s does not begin with this chain's first block; move the folder away and start again",
                ledger->blocks_dir);
        genesis->file = 0;
        genesis->data_pos_b = RECORD_HEAD_B;
    } else if (!blockfiles_append(
                   &ledger->files, buf_span(raw), &genesis->file, &genesis->data_pos_b, why) ||
               !blockfiles_sync(&ledger->files, why)) {
        return false;
    }
    genesis->data_size_b = (uint32_t)raw->size_b;
    genesis->status |= BLOCK_HAVE_DATA;
    genesis->writer_file = genesis->file;
    return true;
}

/* ---- block files ---- */
static bool recover_files(struct loader *loader, struct fail *why)
{
    struct ledger *ledger = loader->ledger;
    struct blockfiles *files = &ledger->files;
    uint32_t first = loader->end_count > 0 ? loader->end_count - 1 : 0;
    if (loader->end_count > files->count)
        return fail_set(why, FAIL_LOCAL, "damaged",
            "%s/blk%05u.dat is missing; restore it, or start with -reindex", files->dir,
            (unsigned)first);
    for (uint32_t i = 0; i < files->count; i++) {
        struct file_end known = {0, 0};
        if (i < loader->end_count)
            known = loader->ends[i];
        uint64_t end_b = files->data_end_b[i];
        bool is_last = i + 1 == files->count;
        bool unsure = is_last || (i >= first && !ledger->reindexing);
        if (i >= first && !ledger->reindexing && !recover_tail(loader, i, known.data_b, &end_b, why))
            return false;
        if (!is_last) /* only the last one grows, so only its tail can stand in the way */
            end_b = files->data_end_b[i];
        if ((unsure || files->undo_end_b[i] > known.undo_b) &&
            !blockfiles_cut(files, i, end_b, known.undo_b, why))
            return false;
    }
    if (!store_genesis(ledger, why))
        return false;
    if (loader->taken > 0)
        log_info("%u blocks found in the block files that the index did not know",
            (unsigned)loader->taken);
    return true;
}

/* Records behind the last known one. A long way of them is reindexing's (import.c). */
static bool recover_tail(
    struct loader *loader, uint32_t file, uint64_t from_b, uint64_t *end_b, struct fail *why)
{
    struct blockfiles *files = &loader->ledger->files;
    if (!blockfiles_scan(files, file, from_b, take_record, loader, end_b, why))
        return false;
    if (loader->why.kind != FAIL_NONE) {
        *why = loader->why;
        return false;
    }
    if (files->data_end_b[file] > *end_b && file + 1 == files->count)
        log_warning("%s/blk%05u.dat: %llu bytes after the last whole block are cut off", files->dir,
            (unsigned)file, (unsigned long long)(files->data_end_b[file] - *end_b));
    return true;
}

static bool take_record(void *ctx, uint32_t file, uint32_t pos_b, struct buf *raw)
{
    struct loader *loader = ctx;
    if (loader->why.kind != FAIL_NONE)
        return false;
    uint32_t size_b = (uint32_t)raw->size_b;
    struct header header;
    header_decode(&header, raw->data);
    bool unknown_parent = false;
    struct block_id id;
    if (!take_block(loader, file, pos_b, raw, &unknown_parent, &id))
        return false;
    if (!unknown_parent) {
        take_strays_of(loader, id);
        return loader->why.kind == FAIL_NONE;
    }
    uint32_t *first = table_put(&loader->strays_by_parent, &header.prev, NULL);
    if (first == NULL || !mem_try_grow(&loader->strays, &loader->stray_capacity,
                             loader->stray_count + 1, STRAYS_MAX, sizeof *loader->strays))
        return true; /* it stays in the file, unknown; it will be fetched from peers again */
    loader->strays[loader->stray_count++] = (struct stray){file, pos_b, size_b, *first};
    *first = loader->stray_count;
    return true;
}

/* false: the record is not a whole, valid block. */
static bool take_block(struct loader *loader, uint32_t file, uint32_t pos_b, struct buf *raw,
    bool *unknown_parent, struct block_id *id)
{
    struct ledger *ledger = loader->ledger;
    struct fail why;
    struct block *block = NULL;
    uint32_t size_b = (uint32_t)raw->size_b;
    if (!block_decode(&block, raw, &why))
        return false;
    *id = block->id;
    struct block_index *index = tree_find(&ledger->tree, &block->id);
    *unknown_parent = index == NULL && tree_find(&ledger->tree, &block->header.prev) == NULL;
    bool good = *unknown_parent || check_block(ledger->chain, block, &why);
    bool take = good && !*unknown_parent &&
                (index != NULL || header_admit(ledger, &block->header, &block->id, &index, &why));
    if (take && index->prev != NULL) {
        struct block_context context = {
            .height = index->height, .median_time_past_s = index_median_time_past_s(index->prev)};
        take = good = check_block_context(ledger->chain, block, &context, &why);
    }
    if (take && (index->status & BLOCK_HAVE_DATA) == 0) {
        index->status |= BLOCK_HAVE_DATA;
        index->tx_count = block->tx_count;
        index->file = index->writer_file = file;
        index->data_pos_b = pos_b;
        index->data_size_b = size_b;
        index_mark_dirty(ledger, index);
        loader->taken += index->prev != NULL;
        if (!note_end(loader, index))
            fail_oom(&loader->why, "block files");
    }
    block_unref(block);
    return good;
}

static void take_strays_of(struct loader *loader, struct block_id id)
{
    /* A stack of ids: each block that is taken may free others. */
    struct block_id *stack = NULL;
    uint32_t depth = 0, capacity = 0;
    bool room = mem_try_grow(&stack, &capacity, 1, STRAYS_MAX, sizeof *stack);
    if (room)
        stack[depth++] = id;
    while (room && depth > 0) {
        struct block_id parent = stack[--depth];
        const uint32_t *first = table_find(&loader->strays_by_parent, &parent);
        uint32_t at = first != NULL ? *first : 0;
        table_remove(&loader->strays_by_parent, &parent);
        while (at != 0 && room) {
            struct stray stray = loader->strays[at - 1];
            struct buf raw;
            struct block_id child;
            bool unknown = false;
            at = stray.next;
            buf_init(&raw, BLOCK_SIZE_MAX_B + RECORD_HEAD_B);
            room = blockfiles_read(
                &loader->ledger->files, stray.file, stray.pos_b, stray.size_b, &raw, &loader->why);
            if (room && take_block(loader, stray.file, stray.pos_b, &raw, &unknown, &child)) {
                room = mem_try_grow(&stack, &capacity, depth + 1, STRAYS_MAX, sizeof *stack);
                if (room)
                    stack[depth++] = child;
            }
            buf_clear(&raw);
        }
    }
    mem_free(stack);
}

/* ---- tip ---- */
bool ledger_read_tip(struct ledger *ledger, struct kv *kv, struct block_index **tip, struct fail *why)
{
    struct buf value;
    bool found = false;
    *tip = ledger->genesis;
    buf_init(&value, 64);
    bool ok = kv_get(kv, span_text("B"), &value, &found, why);
    if (ok && found) {
        struct block_id id;
        *tip = NULL;
        if (value.size_b == sizeof id.b) {
            memcpy(id.b, value.data, sizeof id.b);
            *tip = tree_find(&ledger->tree, &id);
        }
        if (*tip == NULL)
            ok = fail_set(why, FAIL_LOCAL, "damaged",
                "%s/chainstate belongs to a block that %s/index does not know; start "
                "with -reindex",
                ledger->dir, ledger->blocks_dir);
    }
    buf_clear(&value);
    return ok;
}

static bool load_tip(struct ledger *ledger, struct fail *why)
{
    struct block_index *tip = NULL;
    bool ok = ledger_read_tip(ledger, ledger->coins_kv, &tip, why);
    if (ok)
        ledger->tip = tip;
    for (struct block_index *at = ledger->tip; ok && at != NULL; at = at->prev)
        ok = ledger_set_active(ledger, at, why);
    return ok;
}

static void link_all(struct ledger *ledger)
{
    struct block_index *at = ledger->genesis;
    while (at != NULL) {
        bool there = (at->status & BLOCK_HAVE_DATA) != 0 ||
                     ((at->status & BLOCK_PRUNED) != 0 && ledger_is_active(ledger, at));
        bool linked = there && (at->prev == NULL || at->prev->chain_tx_count > 0);
        if (linked) {
            at->chain_tx_count = at->tx_count + (at->prev != NULL ? at->prev->chain_tx_count : 0);
            at->sequence = ledger_is_active(ledger, at) ? SEQUENCE_FIRST : SEQUENCE_FIRST + 1;
        } else if (ledger->background != NULL && at == background_base(ledger->background)) {
            at->chain_tx_count = background_tx_count(ledger->background); /* what lies below is still to come */
        }
        at = tree_next(ledger->genesis, at, false);
    }
}
