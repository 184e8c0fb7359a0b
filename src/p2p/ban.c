/* Who is kept out, and who is owed patience.
 *
 * Banned: subnets that the user named, until a time; they live in banlist.json, in the reference node's
 * format. Discouraged: hosts that broke a rule; remembered in memory only, not dialed, and refused when
 * inbound room is short, so that a shared address is not shut out for one bad tenant. The whitelist gives
 * permissions by subnet. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "coin/base/mem.h"
#include "internal.h"

#define BANLIST_NAME "banlist.json"
#define BANLIST_MAX_B (BANS_MAX * 256u)
#define BAN_ENTRY_VERSION 1

#define RPC_INVALID_SUBNET (-30)
#define RPC_ALREADY_ADDED (-23)

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
/* What a subnet without a list of permissions gets, as in Bitcoin. */
#define PERMIT_IMPLICIT (PERMIT_NOBAN | PERMIT_RELAY | PERMIT_MEMPOOL)

static bool read_list(struct p2p *p2p, const struct json *root, struct fail *why);
static bool add_ban(struct p2p *p2p, const struct net_subnet *subnet, int64_t created_s, int64_t until_s);
static struct ban *find_ban(struct p2p *p2p, const struct net_subnet *subnet);
static bool same_subnet(const struct net_subnet *a, const struct net_subnet *b);
static void sweep(struct p2p *p2p);
static size_t host_key(uint8_t out[NET_ADDR_BYTES_MAX + 1], const struct net_addr *addr);
static bool parse_permissions(struct whitelist_entry *out, struct span list, struct fail *why);

bool ban_is_banned(const struct p2p *p2p, const struct net_addr *addr)
{
    int64_t now_s = env_wall_s(p2p->env);
    for (uint32_t i = 0; i < p2p->ban_count; i++)
        if (p2p->bans[i].until_s > now_s && net_subnet_has(&p2p->bans[i].subnet, addr))
            return true;
    return false;
}

bool ban_is_discouraged(const struct p2p *p2p, const struct net_addr *addr)
{
    uint8_t key[NET_ADDR_BYTES_MAX + 1];
    return rolling_has(&p2p->discouraged, key, host_key(key, addr));
}

void ban_discourage(struct p2p *p2p, const struct net_addr *addr)
{
    uint8_t key[NET_ADDR_BYTES_MAX + 1];
    rolling_add(&p2p->discouraged, key, host_key(key, addr));
}

/* Before the loop runs, so it may wait. */
void ban_load(struct p2p *p2p)
{
    char path[PATH_SIZE_B];
    struct fail why;
    struct buf text;
    struct json_doc doc;
    const struct disk *disk = p2p->env->disk;
    if (p2p->options.dir == NULL || !path_join(path, p2p->options.dir, BANLIST_NAME, &why) ||
        !disk->exists(disk->ctx, path))
        return;
    buf_init(&text, BANLIST_MAX_B);
    bool ok = file_read_all(disk, path, &text, &why);
    if (ok) {
        ok = json_parse(&doc, buf_span(&text), &why) && read_list(p2p, doc.root, &why);
        json_doc_clear(&doc);
    }
    if (!ok)
        log_warning("%s is damaged (%s): the bans that could be read stand", path, why.detail);
    buf_clear(&text);
    sweep(p2p);
}

void ban_encode(const struct p2p *p2p, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out, 2);
    jw_object(&w);
    jw_key(&w, "banned_nets");
    jw_array(&w);
    for (uint32_t i = 0; i < p2p->ban_count; i++) {
        char text[NET_ADDR_TEXT_SIZE_B];
        net_subnet_to_text(text, &p2p->bans[i].subnet);
        jw_object(&w);
        jw_key_i64(&w, "version", BAN_ENTRY_VERSION);
        jw_key_i64(&w, "ban_created", p2p->bans[i].created_s);
        jw_key_i64(&w, "banned_until", p2p->bans[i].until_s);
        jw_key_text(&w, "address", text);
        jw_end_object(&w);
    }
    jw_end_array(&w);
    jw_end_object(&w);
    buf_put_u8(out, '\n');
}

void ban_save(struct p2p *p2p)
{
    struct buf bytes;
    sweep(p2p);
    p2p->bans_dirty = false;
    buf_init(&bytes, BANLIST_MAX_B);
    ban_encode(p2p, &bytes);
    save_file(p2p, BANLIST_NAME, &bytes);
}

bool p2p_ban(struct p2p *p2p, struct span text, bool add, int64_t until_s, struct fail *why)
{
    struct net_subnet subnet;
    if (!net_subnet_parse(&subnet, text))
        return fail_request(why, RPC_INVALID_SUBNET, "Error: Invalid IP/Subnet");
    sweep(p2p);
    struct ban *ban = find_ban(p2p, &subnet);
    if (!add) {
        if (ban == NULL)
            return fail_request(why, RPC_INVALID_SUBNET,
                "Error: Unban failed. Requested address/subnet was not previously manually banned.");
        *ban = p2p->bans[--p2p->ban_count];
        ban_save(p2p);
        return true;
    }
    bool is_subnet = memchr(text.data, '/', text.size_b) != NULL;
    if (ban != NULL || (!is_subnet && ban_is_banned(p2p, &subnet.base)))
        return fail_request(why, RPC_ALREADY_ADDED, "Error: IP/Subnet already banned");
    if (!add_ban(p2p, &subnet, env_wall_s(p2p->env), until_s))
        return fail_request(why, -1, "Error: there is no room for more than %u bans", BANS_MAX);
    for (uint32_t i = 0; i < p2p->peer_count; i++)
        if (net_subnet_has(&subnet, &p2p->peers[i]->addr))
            peer_close(p2p->peers[i], "banned");
    ban_save(p2p);
    p2p_reap(p2p);
    return true;
}

void p2p_clear_bans(struct p2p *p2p)
{
    p2p->ban_count = 0;
    ban_save(p2p);
}

void p2p_show_bans(const struct p2p *p2p, struct json_writer *w)
{
    int64_t now_s = env_wall_s(p2p->env);
    jw_array(w);
    for (uint32_t i = 0; i < p2p->ban_count; i++) {
        const struct ban *ban = &p2p->bans[i];
        char text[NET_ADDR_TEXT_SIZE_B];
        if (ban->until_s <= now_s)
            continue;
        net_subnet_to_text(text, &ban->subnet);
        jw_object(w);
        jw_key_text(w, "address", text);
        jw_key_i64(w, "ban_created", ban->created_s);
        jw_key_i64(w, "banned_until", ban->until_s);
        jw_key_i64(w, "ban_duration", ban->until_s - ban->created_s);
        jw_key_i64(w, "time_remaining", ban->until_s - now_s);
        jw_end_object(w);
    }
    jw_end_array(w);
}

/* "noban,in,out@10.0.0.0/8", or a subnet alone. Inbound connections only, unless "out" is there. */
bool whitelist_parse(struct whitelist_entry *out, const char *text, struct fail *why)
{
    const char *at = strchr(text, '@');
    memset(out, 0, sizeof *out);
    if (at == NULL)
        out->permissions = PERMIT_IMPLICIT;
    else if (!parse_permissions(out, span_of(text, (size_t)(at - text)), why))
        return false;
    if (!out->in && !out->out)
        out->in = true;
    const char *subnet = at != NULL ? at + 1 : text;
    if (!net_subnet_parse(&out->subnet, span_text(subnet)))
        return fail_request(why, 0, "Invalid netmask specified in -whitelist: '%s'", subnet);
    return true;
}

unsigned whitelist_permissions(const struct p2p *p2p, const struct net_addr *addr, bool inbound)
{
    unsigned permissions = 0;
    for (uint32_t i = 0; i < p2p->whitelist_count; i++) {
        const struct whitelist_entry *e = &p2p->whitelist[i];
        if ((inbound ? e->in : e->out) && net_subnet_has(&e->subnet, addr))
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

/* ---- helpers ---- */
static bool read_list(struct p2p *p2p, const struct json *root, struct fail *why)
{
    const struct json *list = json_get(root, "banned_nets");
    if (list == NULL || list->type != JSON_ARRAY)
        return fail_set(why, FAIL_LOCAL, "banlist", "it has no list banned_nets");
    for (const struct json *v = list->first; v != NULL; v = v->next) {
        int64_t version, created_s, until_s;
        struct span text;
        struct net_subnet subnet;
        if (!json_to_i64(&version, json_get(v, "version"), "version", why) ||
            !json_to_i64(&created_s, json_get(v, "ban_created"), "ban_created", why) ||
            !json_to_i64(&until_s, json_get(v, "banned_until"), "banned_until", why) ||
            !json_to_text(&text, json_get(v, "address"), "address", why))
            return false;
        if (version != BAN_ENTRY_VERSION || !net_subnet_parse(&subnet, text))
            continue; /* of a later version, or of a network that we do not know */
        if (find_ban(p2p, &subnet) == NULL && !add_ban(p2p, &subnet, created_s, until_s))
            return fail_set(why, FAIL_LOCAL, "banlist", "more than %u entries", BANS_MAX);
    }
    return true;
}

static bool add_ban(struct p2p *p2p, const struct net_subnet *subnet, int64_t created_s, int64_t until_s)
{
    if (!mem_try_grow(&p2p->bans, &p2p->ban_capacity, p2p->ban_count + 1, BANS_MAX, sizeof *p2p->bans))
        return false;
    p2p->bans[p2p->ban_count++] = (struct ban){ *subnet, created_s, until_s };
    p2p->bans_dirty = true;
    return true;
}

static struct ban *find_ban(struct p2p *p2p, const struct net_subnet *subnet)
{
    for (uint32_t i = 0; i < p2p->ban_count; i++)
        if (same_subnet(&p2p->bans[i].subnet, subnet))
            return &p2p->bans[i];
    return NULL;
}

static bool same_subnet(const struct net_subnet *a, const struct net_subnet *b)
{
    return a->prefix_bits == b->prefix_bits && net_addr_same_host(&a->base, &b->base);
}

static void sweep(struct p2p *p2p)
{
    int64_t now_s = env_wall_s(p2p->env);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p2p->ban_count; i++)
        if (p2p->bans[i].until_s > now_s)
            p2p->bans[kept++] = p2p->bans[i];
    p2p->bans_dirty = p2p->bans_dirty || kept != p2p->ban_count;
    p2p->ban_count = kept;
}

static size_t host_key(uint8_t out[NET_ADDR_BYTES_MAX + 1], const struct net_addr *addr)
{
    size_t size_b = addr->size_b <= NET_ADDR_BYTES_MAX ? addr->size_b : 0;
    out[0] = addr->network;
    memcpy(out + 1, addr->bytes, size_b);
    return 1 + size_b;
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
