/* Payloads of messages, encode under decode in the same order. Counts are believed only after the bytes
 * that are left cover them, so the memory of a message is bounded by its size on the wire. */
#include "codec.h"

#include <string.h>

#define ADDR_SIZE_MIN_B 30   /* time 4, services 8, ip 16, port 2 */
#define ADDRV2_SIZE_MIN_B 9  /* time 4, services 1, network 1, size 1, port 2 */
#define INV_SIZE_B 36
#define HEADER_ITEM_SIZE_B 81 /* header, then a transaction count of zero */
#define SHORT_ID_SIZE_B 6
#define PREFILLED_SIZE_MIN_B 11 /* index 1, the smallest transaction 10 */
#define COMPACT_INDEX_MAX UINT16_MAX /* BIP152 */

static void rd_addr_v1(struct reader *r, struct net_addr *out);
static void put_addr_v1(struct buf *out, const struct net_addr *a);
static uint8_t network_size_b(uint8_t network);
static bool tx_read_one(struct tx *out, struct reader *r, struct arena *mem, struct fail *why);

/* ---- version ---- */
bool version_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why)
{
    (void)mem;
    struct msg_version *v = &out->version;
    v->version = rd_i32le(r);
    v->services = rd_u64le(r);
    v->time_s = rd_i64le(r);
    v->remote_services = rd_u64le(r);
    rd_addr_v1(r, &v->remote);
    /* Peers of long ago end here or later; each part is read only when it is there, as Bitcoin does. */
    v->relay = true;
    if (rd_left(r) > 0) {
        v->local_services = rd_u64le(r);
        rd_addr_v1(r, &v->local);
        v->nonce = rd_u64le(r);
    }
    if (rd_left(r) > 0)
        v->user_agent = rd_string(r, USER_AGENT_MAX_B);
    if (rd_left(r) > 0)
        v->start_height = rd_i32le(r);
    if (rd_left(r) > 0)
        v->relay = rd_u8(r) != 0;
    return rd_ok(r, "version", why);
}

void version_encode(struct buf *out, const union message *m)
{
    const struct msg_version *v = &m->version;
    buf_put_i32le(out, v->version);
    buf_put_u64le(out, v->services);
    buf_put_i64le(out, v->time_s);
    buf_put_u64le(out, v->remote_services);
    put_addr_v1(out, &v->remote);
    buf_put_u64le(out, v->local_services);
    put_addr_v1(out, &v->local);
    buf_put_u64le(out, v->nonce);
    buf_put_string(out, v->user_agent);
    buf_put_i32le(out, v->start_height);
    buf_put_u8(out, v->relay);
}

/* ---- ping, pong ---- */
bool nonce_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why)
{
    (void)mem;
    out->nonce.has_nonce = rd_left(r) > 0;
    if (out->nonce.has_nonce)
        out->nonce.nonce = rd_u64le(r);
    return rd_ok(r, "nonce", why);
}

void nonce_encode(struct buf *out, const union message *m)
{
    buf_put_u64le(out, m->nonce.nonce);
}

/* ---- addr ---- */
bool addr_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why)
{
    struct msg_addr *a = &out->addr;
    a->count = rd_count(r, ADDR_SIZE_MIN_B, ADDR_COUNT_MAX);
    a->entries = arena_array(mem, a->count, sizeof *a->entries);
    if (a->entries == NULL)
        return fail_oom(why, "addr");
    for (uint32_t i = 0; i < a->count; i++) {
        a->entries[i].time_s = rd_u32le(r);
        a->entries[i].services = rd_u64le(r);
        rd_addr_v1(r, &a->entries[i].addr);
    }
    return rd_ok(r, "addr", why);
}

void addr_encode(struct buf *out, const union message *m)
{
    const struct msg_addr *a = &m->addr;
    buf_put_count(out, a->count);
    for (uint32_t i = 0; i < a->count; i++) {
        buf_put_u32le(out, a->entries[i].time_s);
        buf_put_u64le(out, a->entries[i].services);
        put_addr_v1(out, &a->entries[i].addr);
    }
}

/* ---- addrv2 (BIP155) ---- */
bool addrv2_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why)
{
    struct msg_addr *a = &out->addr;
    a->count = rd_count(r, ADDRV2_SIZE_MIN_B, ADDR_COUNT_MAX);
    a->entries = arena_array(mem, a->count, sizeof *a->entries);
    if (a->entries == NULL)
        return fail_oom(why, "addrv2");
    for (uint32_t i = 0; i < a->count; i++) {
        struct addr_entry *e = &a->entries[i];
        e->time_s = rd_u32le(r);
        e->services = rd_compact(r, UINT64_MAX);
        uint8_t network = rd_u8(r);
        struct span bytes = rd_string(r, ADDRV2_BYTES_MAX);
        uint16_t port = rd_u16be(r);
        uint8_t size_b = network_size_b(network);
        if (size_b == 0 || r->failed)
            continue; /* BIP155: unknown networks are ignored */
        if (bytes.size_b != size_b) {
            rd_fail(r, "address of wrong length for its network");
            continue;
        }
        if (network == NET_IPV6) {
            net_addr_from_ip16(&e->addr, bytes.data, port);
            if (e->addr.network != NET_IPV6)
                memset(&e->addr, 0, sizeof e->addr); /* BIP155: no second way to write IPv4 */
        } else if (network != NET_TORV2) {
            e->addr.network = network;
            e->addr.size_b = size_b;
            e->addr.port = port;
            memcpy(e->addr.bytes, bytes.data, size_b);
        }
    }
    return rd_ok(r, "addrv2", why);
}

void addrv2_encode(struct buf *out, const union message *m)
{
    const struct msg_addr *a = &m->addr;
    buf_put_count(out, a->count);
    for (uint32_t i = 0; i < a->count; i++) {
        const struct addr_entry *e = &a->entries[i];
        buf_put_u32le(out, e->time_s);
        buf_put_count(out, e->services);
        buf_put_u8(out, e->addr.network);
        buf_put_string(out, span_of(e->addr.bytes, e->addr.size_b));
        buf_put_u16be(out, e->addr.port);
    }
}

/* ---- inv, getdata, notfound ---- */
bool inv_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why)
{
    struct msg_inv *inv = &out->inv;
    inv->count = rd_count(r, INV_SIZE_B, INV_COUNT_MAX);
    inv->items = arena_array(mem, inv->count, sizeof *inv->items);
    if (inv->items == NULL)
        return fail_oom(why, "inv");
    for (uint32_t i = 0; i < inv->count; i++) {
        inv->items[i].type = rd_u32le(r);
        rd_copy(r, inv->items[i].hash, sizeof inv->items[i].hash);
    }
    return rd_ok(r, "inv", why);
}

void inv_encode(struct buf *out, const union message *m)
{
    const struct msg_inv *inv = &m->inv;
    buf_put_count(out, inv->count);
    for (uint32_t i = 0; i < inv->count; i++) {
        buf_put_u32le(out, inv->items[i].type);
        buf_put(out, inv->items[i].hash, sizeof inv->items[i].hash);
    }
}

/* ---- getheaders, getblocks ---- */
bool locator_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why)
{
    struct msg_locator *l = &out->locator;
    l->version = rd_u32le(r);
    l->count = rd_count(r, sizeof l->ids[0].b, LOCATOR_COUNT_MAX);
    l->ids = arena_array(mem, l->count, sizeof *l->ids);
    if (l->ids == NULL)
        return fail_oom(why, "locator");
    for (uint32_t i = 0; i < l->count; i++)
        rd_copy(r, l->ids[i].b, sizeof l->ids[i].b);
    rd_copy(r, l->stop.b, sizeof l->stop.b);
    return rd_ok(r, "locator", why);
}

void locator_encode(struct buf *out, const union message *m)
{
    const struct msg_locator *l = &m->locator;
    buf_put_u32le(out, l->version);
    buf_put_count(out, l->count);
    for (uint32_t i = 0; i < l->count; i++)
        buf_put(out, l->ids[i].b, sizeof l->ids[i].b);
    buf_put(out, l->stop.b, sizeof l->stop.b);
}

/* ---- headers ---- */
bool headers_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why)
{
    struct msg_headers *h = &out->headers;
    h->count = rd_count(r, HEADER_ITEM_SIZE_B, HEADERS_COUNT_MAX);
    h->headers = arena_array(mem, h->count, sizeof *h->headers);
    if (h->headers == NULL)
        return fail_oom(why, "headers");
    for (uint32_t i = 0; i < h->count; i++) {
        if (!rd_header(r, &h->headers[i]))
            break;
        rd_compact(r, 0); /* a transaction count, always zero */
    }
    return rd_ok(r, "headers", why);
}

void headers_encode(struct buf *out, const union message *m)
{
    const struct msg_headers *h = &m->headers;
    buf_put_count(out, h->count);
    for (uint32_t i = 0; i < h->count; i++) {
        uint8_t bytes[HEADER_SIZE_B];
        header_encode(bytes, &h->headers[i]);
        buf_put(out, bytes, sizeof bytes);
        buf_put_count(out, 0);
    }
}

/* ---- tx, block ---- */
bool bytes_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why)
{
    (void)mem;
    if (rd_left(r) == 0)
        return fail_set(why, FAIL_PROTOCOL, "empty-message", "it has no bytes");
    out->bytes.bytes = rd_bytes(r, rd_left(r));
    return rd_ok(r, "payload", why);
}

void bytes_encode(struct buf *out, const union message *m)
{
    buf_put(out, m->bytes.bytes.data, m->bytes.bytes.size_b);
}

/* ---- feefilter (BIP133) ---- */
bool feefilter_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why)
{
    (void)mem;
    out->feefilter.sat_kvb = rd_i64le(r);
    return rd_ok(r, "feefilter", why);
}

void feefilter_encode(struct buf *out, const union message *m)
{
    buf_put_i64le(out, m->feefilter.sat_kvb);
}

/* ---- block filters (BIP157) ---- */
bool getcf_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why)
{
    (void)mem;
    out->getcf.type = rd_u8(r);
    out->getcf.start = rd_u32le(r);
    rd_copy(r, out->getcf.stop.b, sizeof out->getcf.stop.b);
    return rd_ok(r, "getcfilters", why);
}

void getcf_encode(struct buf *out, const union message *m)
{
    buf_put_u8(out, m->getcf.type);
    buf_put_u32le(out, m->getcf.start);
    buf_put(out, m->getcf.stop.b, sizeof m->getcf.stop.b);
}

bool getcfcheckpt_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why)
{
    (void)mem;
    out->getcf.type = rd_u8(r);
    rd_copy(r, out->getcf.stop.b, sizeof out->getcf.stop.b);
    return rd_ok(r, "getcfcheckpt", why);
}

void getcfcheckpt_encode(struct buf *out, const union message *m)
{
    buf_put_u8(out, m->getcf.type);
    buf_put(out, m->getcf.stop.b, sizeof m->getcf.stop.b);
}

/* ---- compact blocks (BIP152) ---- */
bool sendcmpct_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why)
{
    (void)mem;
    out->sendcmpct.high_bandwidth = rd_u8(r) != 0;
    out->sendcmpct.version = rd_u64le(r);
    return rd_ok(r, "sendcmpct", why);
}

void sendcmpct_encode(struct buf *out, const union message *m)
{
    buf_put_u8(out, m->sendcmpct.high_bandwidth);
    buf_put_u64le(out, m->sendcmpct.version);
}

bool cmpctblock_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why)
{
    struct msg_cmpctblock *c = &out->cmpctblock;
    (void)rd_header(r, &c->header);
    c->nonce = rd_u64le(r);
    c->short_count = rd_count(r, SHORT_ID_SIZE_B, COMPACT_TX_MAX);
    c->short_ids = arena_array(mem, c->short_count, sizeof *c->short_ids);
    if (c->short_ids == NULL)
        return fail_oom(why, "cmpctblock");
    for (uint32_t i = 0; i < c->short_count; i++) {
        uint32_t low = rd_u32le(r);
        c->short_ids[i] = (uint64_t)rd_u16le(r) << 32 | low;
    }
    c->prefilled_count = rd_count(r, PREFILLED_SIZE_MIN_B, COMPACT_TX_MAX);
    c->prefilled = arena_array(mem, c->prefilled_count, sizeof *c->prefilled);
    if (c->prefilled == NULL)
        return fail_oom(why, "cmpctblock");
    uint64_t next = 0;
    for (uint32_t i = 0; i < c->prefilled_count && !r->failed; i++) {
        next += rd_compact(r, COMPACT_INDEX_MAX);
        if (next > (uint64_t)c->short_count + i || next > COMPACT_INDEX_MAX)
            rd_fail(r, "prefilled transaction beyond the block");
        c->prefilled[i].index = (uint32_t)next++;
        if (!r->failed && !tx_read_one(&c->prefilled[i].tx, r, mem, why))
            return false;
    }
    return rd_ok(r, "cmpctblock", why);
}

void cmpctblock_encode(struct buf *out, const union message *m)
{
    const struct msg_cmpctblock *c = &m->cmpctblock;
    uint8_t header[HEADER_SIZE_B];
    header_encode(header, &c->header);
    buf_put(out, header, sizeof header);
    buf_put_u64le(out, c->nonce);
    buf_put_count(out, c->short_count);
    for (uint32_t i = 0; i < c->short_count; i++) {
        buf_put_u32le(out, (uint32_t)c->short_ids[i]);
        buf_put_u16le(out, (uint16_t)(c->short_ids[i] >> 32));
    }
    buf_put_count(out, c->prefilled_count);
    uint32_t next = 0;
    for (uint32_t i = 0; i < c->prefilled_count; i++) {
        buf_put_count(out, c->prefilled[i].index - next);
        next = c->prefilled[i].index + 1;
        buf_put(out, c->prefilled[i].tx.raw.data, c->prefilled[i].tx.raw.size_b);
    }
}

bool getblocktxn_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why)
{
    struct msg_getblocktxn *g = &out->getblocktxn;
    rd_copy(r, g->id.b, sizeof g->id.b);
    g->count = rd_count(r, 1, COMPACT_TX_MAX);
    g->indexes = arena_array(mem, g->count, sizeof *g->indexes);
    if (g->indexes == NULL)
        return fail_oom(why, "getblocktxn");
    uint64_t next = 0;
    for (uint32_t i = 0; i < g->count && !r->failed; i++) {
        next += rd_compact(r, COMPACT_INDEX_MAX);
        if (next > COMPACT_INDEX_MAX)
            rd_fail(r, "index beyond 16 bits");
        g->indexes[i] = (uint32_t)next++;
    }
    return rd_ok(r, "getblocktxn", why);
}

void getblocktxn_encode(struct buf *out, const union message *m)
{
    const struct msg_getblocktxn *g = &m->getblocktxn;
    buf_put(out, g->id.b, sizeof g->id.b);
    buf_put_count(out, g->count);
    uint32_t next = 0;
    for (uint32_t i = 0; i < g->count; i++) {
        buf_put_count(out, g->indexes[i] - next);
        next = g->indexes[i] + 1;
    }
}

bool blocktxn_decode(union message *out, struct reader *r, struct arena *mem, struct fail *why)
{
    struct msg_blocktxn *b = &out->blocktxn;
    rd_copy(r, b->id.b, sizeof b->id.b);
    b->count = rd_count(r, PREFILLED_SIZE_MIN_B - 1, COMPACT_TX_MAX);
    b->txs = arena_array(mem, b->count, sizeof *b->txs);
    if (b->txs == NULL)
        return fail_oom(why, "blocktxn");
    for (uint32_t i = 0; i < b->count && !r->failed; i++)
        if (!tx_read_one(&b->txs[i], r, mem, why))
            return false;
    return rd_ok(r, "blocktxn", why);
}

void blocktxn_encode(struct buf *out, const union message *m)
{
    const struct msg_blocktxn *b = &m->blocktxn;
    buf_put(out, b->id.b, sizeof b->id.b);
    buf_put_count(out, b->count);
    for (uint32_t i = 0; i < b->count; i++)
        buf_put(out, b->txs[i].raw.data, b->txs[i].raw.size_b);
}

/* ---- helpers ---- */
static bool tx_read_one(struct tx *out, struct reader *r, struct arena *mem, struct fail *why)
{
    if (tx_read(out, r, mem, true))
        return true;
    if (!rd_ok(r, "transaction", why))
        return false;
    return fail_oom(why, "transaction");
}

void net_addr_to_ip16(uint8_t out[16], const struct net_addr *a)
{
    memset(out, 0, 16);
    if (a->network == NET_IPV4) {
        out[10] = out[11] = 0xff;
        memcpy(out + 12, a->bytes, 4);
    } else if (a->network == NET_IPV6) {
        memcpy(out, a->bytes, 16);
    }
}

void net_addr_from_ip16(struct net_addr *out, const uint8_t ip[16], uint16_t port)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    static const uint8_t onioncat[6] = { 0xfd, 0x87, 0xd8, 0x7e, 0xeb, 0x43 }; /* Tor v2 is gone */
    memset(out, 0, sizeof *out);
    if (memcmp(ip, onioncat, sizeof onioncat) == 0)
        return;
    bool is_v4 = memcmp(ip, mapped, sizeof mapped) == 0;
    out->network = is_v4 ? NET_IPV4 : NET_IPV6;
    out->size_b = is_v4 ? 4 : 16;
    out->port = port;
    memcpy(out->bytes, is_v4 ? ip + 12 : ip, out->size_b);
}

static void rd_addr_v1(struct reader *r, struct net_addr *out)
{
    uint8_t ip[16];
    rd_copy(r, ip, sizeof ip);
    uint16_t port = rd_u16be(r);
    net_addr_from_ip16(out, ip, port);
}

static void put_addr_v1(struct buf *out, const struct net_addr *a)
{
    uint8_t ip[16];
    net_addr_to_ip16(ip, a);
    buf_put(out, ip, sizeof ip);
    buf_put_u16be(out, a->port);
}

static uint8_t network_size_b(uint8_t network)
{
    switch (network) {
    case NET_IPV4:
        return 4;
    case NET_IPV6:
    case NET_CJDNS:
        return 16;
    case NET_TORV2:
        return 10;
    case NET_TORV3:
    case NET_I2P:
        return 32;
    default:
        return 0;
    }
}
