/* `help`: everything comes from the method's row. */

#include <stdio.h>
#include <string.h>

#include "server.h"

static const char *type_name(enum rpc_type type)
{
    switch (type) {
    case RPC_ANY:
        return "any";
    case RPC_STRING:
    case RPC_HEX:
        return "string";
    case RPC_NUMBER:
        return "numeric";
    case RPC_BOOL:
        return "boolean";
    case RPC_ARRAY:
        return "json array";
    case RPC_OBJECT:
        return "json object";
    case RPC_AMOUNT:
        return "numeric or string";
    case RPC_RANGE:
        return "numeric or array";
    case RPC_VERBOSITY:
        return "boolean or numeric";
    }
    return "any";
}

/* getblock "blockhash" ( verbosity ) */
void rpc_usage_line(struct buf *out, const struct rpc_method *method)
{
    bool optional = false;
    buf_put_text(out, method->name);
    for (const struct rpc_arg *arg = method->args; arg != NULL && arg->name != NULL; arg++) {
        int length = (int)strcspn(arg->name, "|");
        bool quoted = arg->type == RPC_STRING || arg->type == RPC_HEX;
        buf_put_text(out, !arg->required && !optional ? " ( " : " ");
        optional = optional || !arg->required;
        buf_printf(out, quoted ? "\"%.*s\"" : "%.*s", length, arg->name);
    }
    if (optional)
        buf_put_text(out, " )");
}

void rpc_help_text(struct buf *out, const struct rpc_method *method)
{
    uint32_t number = 0;
    rpc_usage_line(out, method);
    buf_printf(out, "\n\n%s\n", method->summary);
    for (const struct rpc_arg *arg = method->args; arg != NULL && arg->name != NULL; arg++) {
        int length = (int)strcspn(arg->name, "|");
        buf_put_text(out, number == 0 ? "\nArguments:\n" : "");
        buf_printf(out, "%u. %.*s    (%s, %s", (unsigned)++number, length, arg->name, type_name(arg->type),
            arg->required ? "required" : "optional");
        if (!arg->required && arg->default_text != NULL)
            buf_printf(out, ", default=%s", arg->default_text);
        buf_printf(out, ") %s\n", arg->help);
    }
    if (method->result != NULL)
        buf_printf(out, "\nResult:\n%s\n", method->result);
    buf_printf(out, "\nExamples:\n> coin-cli %s%s%s\n", method->name,
        method->example != NULL && method->example[0] != 0 ? " " : "", method->example != NULL ? method->example : "");
}
