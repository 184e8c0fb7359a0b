/* Key-value stores: what all implementations share, the encoding of batches and the words of a failure.
 * A batch is one buffer in the order of the calls (kv.h has its layout), so that it can be made on one
 * thread, handed to a job whole, and applied by an implementation without an allocation per row. */
#include "coin/ledger/kv.h"

#include <string.h>

#define OP_DELETE 0u
#define OP_PUT 1u
#define KV_KEY_MAX_B (1u << 16)
#define KV_VALUE_MAX_B (1u << 30)

void kv_batch_init(struct kv_batch *batch, size_t limit_b)
{
    buf_init(&batch->ops, limit_b);
    batch->count = 0;
}

void kv_batch_clear(struct kv_batch *batch)
{
    buf_clear(&batch->ops);
    batch->ops.failed = false;
    batch->count = 0;
}

void kv_batch_reset(struct kv_batch *batch)
{
    batch->ops.size_b = 0;
    batch->ops.failed = false;
    batch->count = 0;
}

void kv_batch_put(struct kv_batch *batch, struct span key, struct span value)
{
    buf_put_u8(&batch->ops, OP_PUT);
    buf_put_string(&batch->ops, key);
    buf_put_string(&batch->ops, value);
    batch->count++;
}

void kv_batch_delete(struct kv_batch *batch, struct span key)
{
    buf_put_u8(&batch->ops, OP_DELETE);
    buf_put_string(&batch->ops, key);
    batch->count++;
}

bool kv_batch_next(struct reader *r, struct kv_op *out)
{
    if (r->failed || rd_left(r) == 0)
        return false;
    out->is_put = rd_u8(r) == OP_PUT;
    out->key = rd_string(r, KV_KEY_MAX_B);
    out->value = out->is_put ? rd_string(r, KV_VALUE_MAX_B) : span_of(NULL, 0);
    return !r->failed;
}

bool kv_get(struct kv *kv, struct span key, struct buf *value, bool *found, struct fail *why)
{
    return kv->ops->get(kv, key, value, found, why);
}

bool kv_write(struct kv *kv, const struct kv_batch *batch, bool sync, struct fail *why)
{
    /* A batch that did not fit its limit lacks rows: applying the rest would tear what must be whole. */
    if (!buf_ok(&batch->ops, "database batch", why))
        return false;
    return kv->ops->write(kv, batch, sync, why);
}

bool kv_iter_find(
    struct kv *kv, struct kv_iter *it, struct span key, struct buf *value, bool *found, struct fail *why)
{
    struct span at, row;
    kv->ops->iter_seek(it, key);
    *found = kv->ops->iter_get(it, &at, &row) && span_equal(at, key);
    if (*found)
        buf_put(value, row.data, row.size_b);
    return buf_ok(value, "database value", why);
}

void kv_close(struct kv *kv)
{
    if (kv != NULL)
        kv->ops->close(kv);
}

bool kv_fail(struct fail *why, const char *path, const char *text)
{
    const char *remedy = "stop the node, check the disk, and start with -reindex";
    if (strstr(text, "/LOCK") != NULL)
        remedy = "another program uses it; stop that first";
    else if (strstr(text, "No space") != NULL)
        remedy = "free some disk space and start again";
    else if (strstr(text, "Permission denied") != NULL)
        remedy = "give this user the right to read and write there";
    return fail_set(why, FAIL_LOCAL, "database", "%s: %s; %s", path, text, remedy);
}
