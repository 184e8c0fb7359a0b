/* Descriptors that a scan looks for. They are read on the loop and expanded by a job, because a range means
 * thousands of key derivations; then their scripts lie sorted in one array. */

#include "scan_objects.h"

#include <stdlib.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/descriptor/descriptor.h"

#define SCAN_OBJECTS_MAX 10000
#define SCAN_RANGE_DEFAULT 1000
#define SCAN_RANGE_MAX 1000000
#define SCAN_SCRIPTS_MAX 4000000

struct scan_wanted { /* a descriptor with its range */
    struct span text;
    uint32_t first, last;
};

static int by_script(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    if (x->size_b != y->size_b)
        return x->size_b < y->size_b ? -1 : 1;
    return x->size_b == 0 ? 0 : memcmp(x->data, y->data, x->size_b);
}

void scan_objects_init(struct scan_objects *objects)
{
    memset(objects, 0, sizeof *objects);
    arena_init(&objects->arena, 0);
}

void scan_objects_clear(struct scan_objects *objects)
{
    mem_free(objects->wanted);
    mem_free(objects->scripts);
    arena_clear(&objects->arena);
    scan_objects_init(objects);
}

/* "range": n, or [first, last]. */
static bool read_object(struct scan_objects *objects, const struct json *v, struct scan_wanted *wanted, struct fail *why)
{
    wanted->last = SCAN_RANGE_DEFAULT;
    struct span text = v->text;
    if (v->type == JSON_OBJECT) {
        const struct json *desc = json_get(v, "desc");
        if (desc == NULL || desc->type != JSON_STRING)
            return fail_request(why, RPC_INVALID_PARAMETER, "Descriptor needs to be provided in scan object");
        text = desc->text;
        const struct json *range = json_get(v, "range");
        if (range != NULL && !rpc_range_value(&wanted->first, &wanted->last, range, SCAN_RANGE_MAX, why))
            return false;
    } else if (v->type != JSON_STRING) {
        return fail_request(why, RPC_INVALID_PARAMETER, "Scan object needs to be either a string or an object");
    }
    char *copy = arena_text(&objects->arena, (const char *)text.data, text.size_b);
    wanted->text = span_of(copy, copy == NULL ? 0 : text.size_b);
    return copy != NULL || fail_oom(why, "scanobjects");
}

bool scan_objects_read(struct scan_objects *objects, const struct rpc_call *call, uint32_t i, struct fail *why)
{
    const struct json *list = call->args[i];
    if (!rpc_has_arg(call, i))
        return fail_request(why, RPC_MISC_ERROR, "scanobjects argument is required for the start action");
    if (list->count > SCAN_OBJECTS_MAX)
        return fail_request(why, RPC_INVALID_PARAMETER, "At most %d scanobjects", SCAN_OBJECTS_MAX);
    objects->wanted = mem_try_array(list->count > 0 ? list->count : 1, sizeof *objects->wanted);
    if (objects->wanted == NULL)
        return fail_oom(why, "scanobjects");
    for (const struct json *v = list->first; v != NULL; v = v->next) {
        if (!read_object(objects, v, &objects->wanted[objects->wanted_count], why))
            return false;
        objects->wanted_count++;
    }
    return true;
}

static bool add_scripts(struct scan_objects *objects, const struct descriptor *d, uint32_t index, struct fail *why)
{
    struct descriptor_expansion e;
    if (!descriptor_expand(&e, d, index, why))
        return false;
    bool ok = true;
    for (uint32_t i = 0; ok && i < e.script_count; i++) {
        struct span script = e.scripts[i].script;
        char *copy = arena_text(&objects->arena, (const char *)script.data, script.size_b);
        ok = copy != NULL && mem_try_grow(&objects->scripts, &objects->script_capacity, objects->script_count + 1,
                                 SCAN_SCRIPTS_MAX, sizeof *objects->scripts);
        if (ok)
            objects->scripts[objects->script_count++] = span_of(copy, script.size_b);
        else
            fail_oom(why, "the scripts to look for");
    }
    descriptor_expansion_clear(&e);
    return ok;
}

static bool expand(struct scan_objects *objects, const struct chain *chain, const struct scan_wanted *wanted,
    const _Atomic bool *abort, struct fail *why)
{
    struct descriptor *d;
    if (!descriptor_parse(&d, chain, wanted->text, false, why))
        return false;
    uint32_t last = descriptor_is_range(d) ? wanted->last : wanted->first;
    bool ok = true;
    for (uint32_t i = wanted->first; ok && i <= last && !*abort; i++)
        ok = add_scripts(objects, d, i, why);
    descriptor_free(d);
    return ok;
}

bool scan_objects_expand(struct scan_objects *objects, const struct chain *chain, const _Atomic bool *abort,
    struct fail *why)
{
    for (uint32_t i = 0; i < objects->wanted_count && !*abort; i++) {
        if (!expand(objects, chain, &objects->wanted[i], abort, why))
            return false;
    }
    if (objects->script_count > 0)
        qsort(objects->scripts, objects->script_count, sizeof *objects->scripts, by_script);
    return true;
}

bool scan_objects_have(const struct scan_objects *objects, struct span script)
{
    return objects->script_count > 0 &&
           bsearch(&script, objects->scripts, objects->script_count, sizeof script, by_script) != NULL;
}
