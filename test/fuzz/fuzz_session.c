/* Peers: whole sessions. The bytes are a stranger's doings towards a node with a short chain: messages, noise, time that
 * passes, blocks that the node mines meanwhile, hanging up and calling again. Whatever they are, the node lives, answers
 * its RPC, keeps its chain, and gives all memory back.
 *
 *   0 flags | then doings:  row of the message table, size u16, payload
 *                           0x80 seconds u8 | 0x81 size u16, bytes as they are | 0x82 row, size, payload: bad checksum
 *                           0x83: a block is mined | 0x84: hang up and call again | others: as their remainder's row
 * A payload names what bytes cannot guess: 0xee 0xee and an index of `things`, in its place. */
#include "../../src/p2p/messages.h"
#include "../sim/maker.h"
#include "../sim/swarm.h"
#include "coin/base/table.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/secp.h"
#include "coin/crypto/sha256.h"
#include "coin/ledger/ledger.h"
#include "fuzz.h"

#define BASE_BLOCKS 3
#define MATURE_BLOCKS 101
#define NAMED_MAX_B 100000u /* of one message, with what it names */
#define DOINGS_MAX 64
#define SECOND_US INT64_C(1000000)

enum flags { FLAG_CHOP = 1, FLAG_NO_HANDSHAKE = 2, FLAG_PLAIN = 4, FLAG_DIALED = 8, FLAG_MATURE = 16 };
enum doing { DO_WAIT = 0x80, DO_NOISE, DO_BAD_CHECKSUM, DO_MINE, DO_CALL_AGAIN };
enum thing {
    THING_ID,  /* + height: of the node's blocks */
    THING_HEADER_A = 16, THING_ID_A, THING_BLOCK_A, THING_COMPACT_A, /* on its tip; A holds its coinbase only */
    THING_HEADER_B, THING_ID_B, THING_BLOCK_B, THING_COMPACT_B,      /* on A */
    THING_HEADER_C, THING_ID_C, THING_BLOCK_C, THING_COMPACT_C,      /* on its tip, spends the first coin: too early, but for FLAG_MATURE */
    THING_BLOCKTXN_C, THING_ORPHAN, THING_ORPHAN_WTXID, THING_SPEND, THING_SPEND_WTXID, THING_VERSION,
    THING_COUNT
};

struct session {
    struct swarm *sim;
    struct swarm_node *node;
    struct world_node *place; /* the stranger's */
    uint64_t conn_id, calls;
    bool open, chop;
    struct buf things[THING_COUNT];
    struct reader in;
};

/* ---- what payloads may name ---- */

static struct buf *thing(struct session *s, enum thing which)
{
    buf_init(&s->things[which], NAMED_MAX_B);
    return &s->things[which];
}

/* Short ids for all but the coinbase: the node has to ask for them. */
static void put_compact(struct buf *out, const struct block *block)
{
    union message m = {.cmpctblock = {.header = block->header, .nonce = 7, .prefilled_count = 1}};
    struct msg_cmpctblock *c = &m.cmpctblock;
    struct compact_prefilled first = {.tx = block->txs[0]};
    uint8_t head[HEADER_SIZE_B + 8], digest[32];
    uint64_t ids[2];
    header_encode(head, &block->header);
    memset(head + HEADER_SIZE_B, 0, 8);
    head[HEADER_SIZE_B] = 7;
    sha256(digest, head, sizeof head);
    uint64_t key[2] = {get_u64le(digest), get_u64le(digest + 8)};
    for (uint32_t i = 1; i < block->tx_count && i <= 2; i++)
        ids[c->short_count++] = siphash_u256(key, block->txs[i].wtxid.b) & 0xffffffffffff;
    c->short_ids = ids;
    c->prefilled = &first;
    cmpctblock_encode(out, &m);
}

static struct block_id add_block(struct session *s, enum thing first, struct maker_block spec)
{
    struct block *block = maker_build(s->sim->chain, &spec);
    uint8_t head[HEADER_SIZE_B];
    struct block_id id = header_id(&block->header);
    header_encode(head, &block->header);
    buf_put(thing(s, first), head, sizeof head);
    buf_put(thing(s, first + 1), id.b, sizeof id.b);
    buf_put(thing(s, first + 2), block->raw.data, block->raw.size_b);
    put_compact(thing(s, first + 3), block);
    if (block->tx_count > 1) {
        union message m = {.blocktxn = {.id = id, .count = block->tx_count - 1, .txs = block->txs + 1}};
        blocktxn_encode(thing(s, THING_BLOCKTXN_C), &m);
    }
    block_unref(block);
    return id;
}

static void add_tx(struct session *s, enum thing first, const struct tx *tx)
{
    buf_put(thing(s, first), tx->raw.data, tx->raw.size_b);
    buf_put(thing(s, first + 1), tx->wtxid.b, sizeof tx->wtxid.b);
}

static void make_things(struct session *s)
{
    const struct ledger *ledger = node_ledger(s->node->node);
    const struct block_index *tip = ledger_tip(ledger);
    for (int i = 0; i < THING_HEADER_A; i++) {
        const struct block_index *at = ledger_at(ledger, i);
        struct buf *out = thing(s, THING_ID + (enum thing)i);
        if (at != NULL)
            buf_put(out, at->id.b, sizeof at->id.b);
    }
    struct outpoint coin = {.index = 0}, none = {.txid = {{9}}, .index = 0};
    struct maker_block spec = {.prev = tip->id, .height = tip->height + 1, .bits = tip->bits,
        .time_s = tip->time_s + 60, .salt = 77};
    spec.prev = add_block(s, THING_HEADER_A, spec);
    spec.height++;
    spec.time_s += 60;
    add_block(s, THING_HEADER_B, spec);
    struct swarm_answer answer;
    char params[ID_HEX_SIZE_B + 8], hex[ID_HEX_SIZE_B];
    hash_to_hex(hex, ledger_at(ledger, 1)->id.b);
    snprintf(params, sizeof params, "[\"%s\",1]", hex);
    const struct json *block = swarm_ask(s->node, &answer, "getblock", params);
    FUZZ_HOLDS(hash_from_hex(coin.txid.b, json_at(json_get(block, "tx"), 0)->text));
    swarm_forget(&answer);
    struct tx *spend = maker_spend(&coin, 1, COIN_SAT, 1), *orphan = maker_spend(&none, 1, COIN_SAT, 2);
    spec = (struct maker_block){.prev = tip->id, .height = tip->height + 1, .bits = tip->bits, .time_s = spec.time_s,
        .salt = 78, .txs = &spend, .tx_count = 1};
    add_block(s, THING_HEADER_C, spec);
    add_tx(s, THING_SPEND, spend);
    add_tx(s, THING_ORPHAN, orphan);
    tx_unref(spend);
    tx_unref(orphan);
    union message m = {.version = {.version = 70016, .services = SERVICE_NETWORK | SERVICE_WITNESS, .nonce = 99,
        .time_s = world_wall_ms(s->sim->world) / 1000, .user_agent = span_text("/stranger/"), .start_height = 2, .relay = true}};
    version_encode(thing(s, THING_VERSION), &m);
}

static struct span take(struct session *s)
{
    uint16_t size_b = rd_u16le(&s->in);
    size_t left_b = rd_left(&s->in);
    return rd_bytes(&s->in, size_b < left_b ? size_b : left_b);
}

static void put_payload(struct session *s, struct buf *out, struct span bytes)
{
    for (size_t i = 0; i < bytes.size_b && out->size_b < NAMED_MAX_B;) {
        const uint8_t *at = bytes.data + i;
        if (bytes.size_b - i < 3 || at[0] != 0xee || at[1] != 0xee) {
            buf_put_u8(out, at[0]);
            i++;
            continue;
        }
        const struct buf *named = &s->things[at[2] % THING_COUNT];
        buf_put(out, named->data, named->size_b);
        i += 3;
    }
}

/* ---- the stranger ---- */

static void stranger_closed(void *ctx, uint64_t conn_id, const char *reason)
{
    struct session *s = ctx;
    (void)reason;
    if (conn_id == s->conn_id)
        s->open = false;
}

static size_t stranger_reads(void *ctx, uint64_t conn_id, struct span bytes)
{
    (void)ctx, (void)conn_id;
    return bytes.size_b;
}

static bool stranger_accepts(void *ctx, uint64_t conn_id, const struct net_addr *remote, const struct net_addr *local)
{
    struct session *s = ctx;
    (void)remote, (void)local;
    if (s->open)
        return false;
    s->conn_id = conn_id;
    s->open = true;
    return true;
}

static void call(struct session *s)
{
    if (s->open)
        s->place->env.close(s->place->env.ctx, s->conn_id, false);
    s->conn_id = ++s->calls;
    s->open = true;
    s->place->env.dial(s->place->env.ctx, s->conn_id, &s->node->addr);
    swarm_run_us(s->sim, SECOND_US);
}

static void send_bytes(struct session *s, struct buf *bytes)
{
    size_t piece_b = s->chop ? 1 + bytes->size_b / 7 : bytes->size_b;
    for (size_t at = 0; at < bytes->size_b && s->open; at += piece_b) {
        struct buf piece;
        buf_init(&piece, UINT32_MAX);
        buf_put(&piece, bytes->data + at, piece_b < bytes->size_b - at ? piece_b : bytes->size_b - at);
        s->place->env.send(s->place->env.ctx, s->conn_id, &piece);
        buf_clear(&piece);
        if (s->chop)
            swarm_run_us(s->sim, SECOND_US / 50);
    }
    swarm_run_us(s->sim, SECOND_US / 5);
}

static void send_message(struct session *s, uint8_t row, struct span payload, bool spoil)
{
    struct buf bytes;
    buf_init(&bytes, NAMED_MAX_B * 2);
    frame_begin(&bytes);
    put_payload(s, &bytes, payload);
    frame_end(&bytes, s->sim->chain->magic, message_rules[row % MSG_COUNT].command);
    if (spoil)
        bytes.data[FRAME_HEADER_SIZE_B - 1] ^= 1;
    send_bytes(s, &bytes);
    buf_clear(&bytes);
}

static void greet(struct session *s)
{
    send_message(s, MSG_VERSION, buf_span(&s->things[THING_VERSION]), false);
    send_message(s, MSG_WTXIDRELAY, span_of(NULL, 0), false);
    send_message(s, MSG_VERACK, span_of(NULL, 0), false);
}

static void act(struct session *s, uint8_t what)
{
    struct buf bytes;
    struct span noise;
    switch (what) {
    case DO_WAIT:
        swarm_run_us(s->sim, rd_u8(&s->in) * SECOND_US);
        break;
    case DO_NOISE:
        noise = take(s);
        buf_init(&bytes, UINT32_MAX);
        buf_put(&bytes, noise.data, noise.size_b);
        send_bytes(s, &bytes);
        buf_clear(&bytes);
        break;
    case DO_BAD_CHECKSUM:
        what = rd_u8(&s->in);
        send_message(s, what, take(s), true);
        break;
    case DO_MINE:
        swarm_mine(s->node, 1);
        break;
    case DO_CALL_AGAIN:
        call(s);
        break;
    default:
        send_message(s, what, take(s), false);
    }
}

/* ---- a session ---- */

static void session_open(struct session *s, uint8_t flags)
{
    struct net_addr addr;
    const char *options[] = {flags & FLAG_PLAIN ? "-v2transport=0" : "-v2transport=1", "-blockfilterindex=1", "-peerblockfilters=1",
        flags & FLAG_DIALED ? "-addnode=99.1.2.3:18444" : NULL, NULL};
    struct network_events events = {.ctx = s, .on_accept = stranger_accepts, .on_closed = stranger_closed, .on_bytes = stranger_reads};
    s->sim = swarm_new(1, "regtest");
    s->place = world_add_node(s->sim->world);
    FUZZ_HOLDS(net_addr_parse(&addr, span_text("99.1.2.3"), SWARM_PORT));
    s->chop = flags & FLAG_CHOP;
    s->node = swarm_add(s->sim, "20.1.2.3", true, options);
    swarm_mine(s->node, flags & FLAG_MATURE ? MATURE_BLOCKS : BASE_BLOCKS);
    make_things(s);
    network_attach(s->sim->network, s->place, &addr, true, &events);
    swarm_run_us(s->sim, flags & FLAG_DIALED ? 30 * SECOND_US : 0);
    if (!s->open)
        call(s);
    if (!(flags & FLAG_NO_HANDSHAKE))
        greet(s);
}

static void session_close(struct session *s)
{
    struct swarm_answer answer;
    swarm_ask(s->node, &answer, "getpeerinfo", "[]");
    swarm_forget(&answer);
    FUZZ_HOLDS(swarm_tip(s->node)->height >= BASE_BLOCKS);
    network_detach(s->sim->network, s->place);
    swarm_run_us(s->sim, SECOND_US);
    for (int i = 0; i < THING_COUNT; i++)
        buf_clear(&s->things[i]);
    swarm_free(s->sim);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_b)
{
    static bool ready;
    struct session s = {.calls = 0};
    struct fail why;
    if (size_b < 2)
        return 0;
    if (!ready)
        FUZZ_HOLDS(sha256_init(NULL, &why) && hash_init(&why));
    ready = true;
    rd_init(&s.in, span_of(data, size_b));
    session_open(&s, rd_u8(&s.in));
    for (int i = 0; i < DOINGS_MAX && rd_left(&s.in) > 0; i++)
        act(&s, rd_u8(&s.in));
    session_close(&s);
    return 0;
}
