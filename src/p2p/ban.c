/* Who is kept out.
 *
 * Banned: subnets that the user named, until a time; they live in banlist.json, in the reference node's
 * format. Discouraged: hosts that broke a rule; remembered in memory only, not dialed, and refused when
 * inbound room is short, so that a shared address is not shut out for one bad tenant. */
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

static bool read_list(struct p2p *p2p, const struct json *root, struct fail *why);
static bool add_ban(struct p2p *p2p, const struct net_subnet *subnet, int64_t created_s, int64_t until_s);
static struct ban *find_ban(struct p2p *p2p, const struct net_subnet *subnet);
static bool same_subnet(const struct net_subnet *a, const struct net_subnet *b);
static void sweep(struct p2p *p2p);
static size_t host_key(uint8_t out[NET_ADDR_BYTES_MAX + 1], const struct net_addr *addr);

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
