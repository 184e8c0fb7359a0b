/* Blocks read back from our files. What has been validated once is validated no more, but that the bytes are
 * still those: a flipped bit would otherwise become a wrong coin, or a wrong row of an index. */
#include "stored.h"

#include <string.h>

#include "codec.h"

#define UNDO_READ_MAX_B ((size_t)BLOCK_SIZE_MAX_B * 64)

bool stored_block_find(struct stored_block *b, struct block_index *index, enum stored_need need)
{
    memset(b, 0, sizeof *b);
    b->index = index;
    b->file = index->file;
    b->data_pos_b = index->data_pos_b;
    b->data_size_b = index->data_size_b;
    b->undo_pos_b = index->undo_pos_b;
    b->undo_size_b = index->undo_size_b;
    b->has_undo = (index->status & BLOCK_HAVE_UNDO) != 0;
    if (need == NEED_NOTHING)
        return true;
    if ((index->status & BLOCK_HAVE_DATA) == 0 || index->data_size_b == 0)
        return false;
    return need != NEED_UNDO || b->has_undo || index->prev == NULL;
}

static bool read_data(struct stored_block *b, const struct blockfiles *files, struct fail *why)
{
    struct buf raw;
    uint8_t root[32];
    bool mutated;
    buf_init(&raw, BLOCK_SIZE_MAX_B + RECORD_HEAD_B);
    bool ok = blockfiles_read(files, b->file, b->data_pos_b, b->data_size_b, &raw, why) &&
              block_decode(&b->block, &raw, why);
    buf_clear(&raw);
    if (!ok)
        return false;
    block_merkle_root(root, b->block, &mutated);
    return (block_id_equal(&b->block->id, &b->index->id) &&
               memcmp(root, b->block->header.merkle_root, sizeof root) == 0) ||
           fail_set(why, FAIL_LOCAL, "damaged", "its bytes are not those of the block");
}

static bool read_undo(struct stored_block *b, const struct blockfiles *files, struct fail *why)
{
    struct buf raw;
    buf_init(&raw, UNDO_READ_MAX_B);
    bool ok = blockfiles_read_undo(
                  files, b->file, b->undo_pos_b, b->undo_size_b, &b->index->prev->id, &raw, why) &&
              undo_unpack(&b->undo, b->block, buf_span(&raw), why);
    buf_clear(&raw);
    return ok;
}

bool stored_block_read(
    struct stored_block *b, const struct blockfiles *files, enum stored_need need, struct fail *why)
{
    struct fail cause;
    if (need == NEED_NOTHING)
        return true;
    if ((b->block != NULL || read_data(b, files, &cause)) &&
        (need != NEED_UNDO || !b->has_undo || b->undo != NULL || read_undo(b, files, &cause)))
        return true;
    *why = cause;
    if (cause.kind != FAIL_NO_ROOM)
        fail_set(why, FAIL_LOCAL, "damaged", "block %d in %s is damaged (%s); start with -reindex",
            (int)b->index->height, files->dir, cause.detail);
    return false;
}

void stored_block_clear(struct stored_block *b)
{
    block_undo_free(b->undo);
    block_unref(b->block);
    b->undo = NULL;
    b->block = NULL;
}
