/* Failures as values. Everything is formatted into the caller's fixed struct, so no path here can
 * fail itself: a text that is too long is cut, which costs a few words and never the verdict.
 * `why` may be NULL for callers that only want the yes or no. */
#include "coin/base/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void fail_begin(struct fail *why, enum fail_kind kind, int32_t rpc_code, const char *code);

bool fail_set(struct fail *why, enum fail_kind kind, const char *code, const char *format, ...)
{
    if (why == NULL)
        return false;
    fail_begin(why, kind, 0, code);
    va_list args;
    va_start(args, format);
    vsnprintf(why->detail, sizeof why->detail, format, args);
    va_end(args);
    return false;
}

bool fail_request(struct fail *why, int32_t rpc_code, const char *format, ...)
{
    if (why == NULL)
        return false;
    fail_begin(why, FAIL_REQUEST, rpc_code, "request");
    va_list args;
    va_start(args, format);
    vsnprintf(why->detail, sizeof why->detail, format, args);
    va_end(args);
    return false;
}

bool fail_oom(struct fail *why, const char *what)
{
    return fail_set(why, FAIL_NO_ROOM, "no-memory", "out of memory: %s", what);
}

bool fail_io(struct fail *why, int error_number, const char *format, ...)
{
    if (why == NULL)
        return false;
    fail_begin(why, FAIL_LOCAL, 0, "io-error");
    va_list args;
    va_start(args, format);
    vsnprintf(why->detail, sizeof why->detail, format, args);
    va_end(args);
    char text[128];
    const char *reason = strerror_r(error_number, text, sizeof text);
    size_t used_b = strlen(why->detail);
    /* The reason is what the operator needs most: a long path gives way to it. */
    size_t need_b = strlen(reason) + sizeof ": ";
    if (used_b + need_b > sizeof why->detail)
        used_b = sizeof why->detail - need_b;
    snprintf(why->detail + used_b, sizeof why->detail - used_b, ": %s", reason);
    return false;
}

bool fail_prefix(struct fail *why, const char *format, ...)
{
    if (why == NULL)
        return false;
    char front[FAIL_DETAIL_SIZE_B];
    va_list args;
    va_start(args, format);
    vsnprintf(front, sizeof front, format, args);
    va_end(args);
    size_t front_b = strlen(front);
    size_t rest_b = strlen(why->detail);
    if (rest_b > sizeof why->detail - 1 - front_b)
        rest_b = sizeof why->detail - 1 - front_b;
    memmove(why->detail + front_b, why->detail, rest_b);
    memcpy(why->detail, front, front_b);
    why->detail[front_b + rest_b] = '\0';
    return false;
}

void fail_clear(struct fail *why)
{
    memset(why, 0, sizeof *why);
}

static void fail_begin(struct fail *why, enum fail_kind kind, int32_t rpc_code, const char *code)
{
    why->kind = kind;
    why->rpc_code = rpc_code;
    snprintf(why->code, sizeof why->code, "%s", code);
}
