/* Who is owed patience or trust: permissions by the peer's subnet (-whitelist) or by the address of ours that it
 * connected to (-whitebind). */
#include <string.h>

#include "internal.h"

struct permission_name {
    const char *name;
    unsigned permissions;
};
static const struct permission_name permission_names[] = {
    { "bloomfilter", PERMIT_BLOOM },
    { "bloom", PERMIT_BLOOM },
    { "noban", PERMIT_NOBAN },
    { "forcerelay", PERMIT_FORCERELAY },
    { "mempool", PERMIT_MEMPOOL },
    { "download", PERMIT_DOWNLOAD },
    { "relay", PERMIT_RELAY },
    { "addr", PERMIT_ADDR },
    { "all", PERMIT_BLOOM | PERMIT_FORCERELAY | PERMIT_NOBAN | PERMIT_MEMPOOL | PERMIT_ADDR },
};

static bool parse_entry(struct whitelist_entry *out, const char *text, const struct p2p_options *o, const char **rest,
    struct fail *why);
static bool parse_permissions(struct whitelist_entry *out, struct span list, struct fail *why);
static bool is_bound(const struct net_addr *bound, const struct net_addr *local);

/* "noban,in,out@10.0.0.0/8", or a subnet alone. Inbound connections only, unless "out" is there. */
bool whitelist_parse(struct whitelist_entry *out, const char *text, const struct p2p_options *o, struct fail *why)
{
    const char *subnet;
    if (!parse_entry(out, text, o, &subnet, why))
        return false;
    if (!out->in && !out->out)
        out->in = true;
    if (!net_subnet_parse(&out->subnet, span_text(subnet)))
        return fail_request(why, 0, "Invalid netmask specified in -whitelist: '%s'", subnet);
    return true;
}

/* "noban@127.0.0.1:8333": whoever connects there. */
bool whitebind_parse(struct whitelist_entry *out, const char *text, const struct p2p_options *o, struct fail *why)
{
    const char *where;
    if (!parse_entry(out, text, o, &where, why))
        return false;
    if (out->in || out->out)
        return fail_request(why, 0, "whitebind may only be used for incoming connections (\"out\" was passed)");
    if (!net_addr_parse(&out->bound, span_text(where), 0))
        return fail_request(why, 0, "Cannot resolve -whitebind address: '%s'", where);
    if (out->bound.port == 0)
        return fail_request(why, 0, "Need to specify a port with -whitebind: '%s'", where);
    return true;
}

unsigned whitelist_permissions(const struct p2p *p2p, const struct net_addr *addr, const struct net_addr *local)
{
    unsigned permissions = 0;
    for (uint32_t i = 0; i < p2p->whitelist_count; i++) {
        const struct whitelist_entry *e = &p2p->whitelist[i];
        if (e->bound.network != 0 ? local != NULL && is_bound(&e->bound, local)
                                  : (local != NULL ? e->in : e->out) && net_subnet_has(&e->subnet, addr))
            permissions |= e->permissions;
    }
    return permissions;
}

void whitelist_show(struct json_writer *w, unsigned permissions)
{
    static const struct permission_name shown[] = {
        { "bloomfilter", PERMIT_BLOOM },
        { "noban", PERMIT_NOBAN },
        { "forcerelay", PERMIT_FORCERELAY },
        { "relay", PERMIT_RELAY },
        { "mempool", PERMIT_MEMPOOL },
        { "download", PERMIT_DOWNLOAD },
        { "addr", PERMIT_ADDR },
    };
    jw_array(w);
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
        if ((permissions & shown[i].permissions) == shown[i].permissions)
            jw_text(w, shown[i].name);
    jw_end_array(w);
}

/* A subnet or address without a list of permissions gets those that -whitelistrelay and -whitelistforcerelay say. */
static bool parse_entry(struct whitelist_entry *out, const char *text, const struct p2p_options *o, const char **rest,
    struct fail *why)
{
    const char *at = strchr(text, '@');
    memset(out, 0, sizeof *out);
    *rest = at != NULL ? at + 1 : text;
    if (at != NULL)
        return parse_permissions(out, span_of(text, (size_t)(at - text)), why);
    out->permissions = PERMIT_NOBAN | PERMIT_MEMPOOL | (o->whitelist_no_relay ? 0u : (unsigned)PERMIT_RELAY) |
                       (o->whitelist_forcerelay ? (unsigned)PERMIT_FORCERELAY : 0u);
    return true;
}

static bool parse_permissions(struct whitelist_entry *out, struct span list, struct fail *why)
{
    while (list.size_b > 0) {
        size_t size_b = 0;
        while (size_b < list.size_b && list.data[size_b] != ',')
            size_b++;
        struct span word = span_of(list.data, size_b);
        bool known = word.size_b == 0; /* Bitcoin skips empty words */
        size_t step_b = size_b < list.size_b ? size_b + 1 : size_b;
        list = span_of(list.data + step_b, list.size_b - step_b);
        if (span_is(word, "in"))
            out->in = known = true;
        else if (span_is(word, "out"))
            out->out = known = true;
        for (size_t i = 0; i < sizeof permission_names / sizeof permission_names[0] && !known; i++) {
            if (!span_is(word, permission_names[i].name))
                continue;
            out->permissions |= permission_names[i].permissions;
            known = true;
        }
        if (!known)
            return fail_request(why, 0, "Invalid P2P permission: '%.*s'",
                word.size_b > 64 ? 64 : (int)word.size_b, (const char *)word.data);
    }
    if (out->permissions == 0 && (out->in || out->out))
        return fail_request(why, 0, "Only direction was set, no permissions");
    return true;
}

/* 0.0.0.0 and :: stand for all of our addresses. */
static bool is_bound(const struct net_addr *bound, const struct net_addr *local)
{
    static const uint8_t any[NET_ADDR_BYTES_MAX];
    return bound->port == local->port && bound->network == local->network &&
           (memcmp(bound->bytes, any, bound->size_b) == 0 || net_addr_same_host(bound, local));
}
