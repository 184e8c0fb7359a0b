/* Coins and undo data on disk, in the packed forms of Bitcoin's chainstate and rev files, so that other
 * tools read them and a home computer's disk lasts: amounts without trailing zeroes, standard scripts
 * without what every one of their kind repeats.
 *   packed script: varint kind, then
 *     0 P2PKH: hash 20 | 1 P2SH: hash 20 | 2, 3 P2PK: the key's x, its parity in the kind
 *     4, 5 P2PK of an uncompressed key: x, parity | n >= 6: n - 6 bytes of script */
#include "codec.h"

#include <string.h>

#include "coin/base/mem.h"
#include "coin/crypto/secp.h"
#include "coin/script/script.h"

#define PACK_P2PKH 0u
#define PACK_P2SH 1u
#define PACK_P2PK 2u /* 2 or 3 */
#define PACK_P2PK_LONG 4u /* 4 or 5 */
#define PACK_KINDS 6u
#define P2PK_SIZE_B 35u
#define P2PK_LONG_SIZE_B 67u
#define PUSH_33 33u
#define PUSH_65 65u
#define UNDO_COINS_MAX (BLOCK_SIZE_MAX_B / TX_INPUT_SIZE_MIN_B)
#define PACKED_COIN_SIZE_MIN_B 3u

static uint64_t amount_pack(uint64_t n);
static uint64_t amount_unpack(uint64_t x);
static void undo_coin_pack(struct buf *out, const struct coin *coin);
static void undo_coin_unpack(struct coin *coin, struct reader *r, struct arena *arena);
static void rd_height(struct coin *coin, struct reader *r);
static struct block_undo *undo_new(uint32_t count, struct fail *why);
static uint32_t block_spends(const struct block *block);

void put_varint(struct buf *out, uint64_t v)
{
    uint8_t bytes[10];
    size_t at = sizeof bytes;
    bytes[--at] = (uint8_t)(v & 0x7f);
    while (v > 0x7f) {
        v = (v >> 7) - 1;
        bytes[--at] = (uint8_t)(0x80 | (v & 0x7f));
    }
    buf_put(out, bytes + at, sizeof bytes - at);
}

uint64_t rd_varint(struct reader *r)
{
    uint64_t v = 0;
    for (;;) {
        uint8_t byte = rd_u8(r);
        if (r->failed)
            return 0;
        if (v > UINT64_MAX >> 7) {
            rd_fail(r, "number too large");
            return 0;
        }
        v = v << 7 | (byte & 0x7f);
        if ((byte & 0x80) == 0)
            return v;
        if (v == UINT64_MAX) {
            rd_fail(r, "number too large");
            return 0;
        }
        v++;
    }
}

void script_pack(struct buf *out, struct span s)
{
    const uint8_t *b = s.data;
    uint8_t packed[33];
    if (s.size_b == 25 && b[0] == OP_DUP && b[1] == OP_HASH160 && b[2] == 20 &&
        b[23] == OP_EQUALVERIFY && b[24] == OP_CHECKSIG) {
        packed[0] = PACK_P2PKH;
        memcpy(packed + 1, b + 3, 20);
        buf_put(out, packed, 21);
    } else if (s.size_b == 23 && b[0] == OP_HASH160 && b[1] == 20 && b[22] == OP_EQUAL) {
        packed[0] = PACK_P2SH;
        memcpy(packed + 1, b + 2, 20);
        buf_put(out, packed, 21);
    } else if (s.size_b == P2PK_SIZE_B && b[0] == PUSH_33 && b[34] == OP_CHECKSIG &&
               (b[1] == 2 || b[1] == 3)) {
        buf_put(out, b + 1, 33); /* the key's first byte is the kind */
    } else if (s.size_b == P2PK_LONG_SIZE_B && b[0] == PUSH_65 && b[66] == OP_CHECKSIG &&
               b[1] == 4 && secp_pubkey_is_valid(span_of(b + 1, PUSH_65))) {
        packed[0] = (uint8_t)(PACK_P2PK_LONG | (b[65] & 1));
        memcpy(packed + 1, b + 2, 32);
        buf_put(out, packed, 33);
    } else {
        put_varint(out, s.size_b + PACK_KINDS);
        buf_put(out, s.data, s.size_b);
    }
}

struct span script_unpack(struct reader *r, struct arena *arena)
{
    static const struct span nothing = {NULL, 0};
    uint64_t kind = rd_varint(r);
    bool is_hash = kind == PACK_P2PKH || kind == PACK_P2SH;
    struct span body = rd_bytes(r, kind >= PACK_KINDS ? (size_t)(kind - PACK_KINDS)
                                   : is_hash          ? 20
                                                      : 32);
    if (r->failed)
        return nothing;
    size_t size_b = kind >= PACK_KINDS      ? body.size_b
                    : kind == PACK_P2PKH    ? 25
                    : kind == PACK_P2SH     ? 23
                    : kind < PACK_P2PK_LONG ? P2PK_SIZE_B
                                            : P2PK_LONG_SIZE_B;
    uint8_t *s = arena_new(arena, size_b);
    if (s == NULL) {
        rd_fail(r, "no memory for a script");
        return nothing;
    }
    if (kind >= PACK_KINDS) {
        if (size_b > 0)
            memcpy(s, body.data, size_b);
    } else if (kind == PACK_P2PKH) {
        s[0] = OP_DUP;
        s[1] = OP_HASH160;
        s[2] = 20;
        memcpy(s + 3, body.data, 20);
        s[23] = OP_EQUALVERIFY;
        s[24] = OP_CHECKSIG;
    } else if (kind == PACK_P2SH) {
        s[0] = OP_HASH160;
        s[1] = 20;
        memcpy(s + 2, body.data, 20);
        s[22] = OP_EQUAL;
    } else {
        uint8_t key[33];
        key[0] = (uint8_t)(PACK_P2PK | (kind & 1));
        memcpy(key + 1, body.data, 32);
        s[0] = (uint8_t)(size_b - 2);
        s[size_b - 1] = OP_CHECKSIG;
        if (kind < PACK_P2PK_LONG)
            memcpy(s + 1, key, 33);
        else if (!secp_pubkey_convert(s + 1, PUSH_65, span_of(key, 33)))
            rd_fail(r, "a packed key is not on the curve");
    }
    return span_of(s, size_b);
}

void coin_pack(struct buf *out, const struct coin *coin)
{
    put_varint(out, (uint64_t)coin->height * 2 + coin->is_coinbase);
    put_varint(out, amount_pack((uint64_t)coin->value_sat));
    script_pack(out, coin->script);
}

void rd_coin(struct coin *coin, struct reader *r, struct arena *arena)
{
    rd_height(coin, r);
    coin->value_sat = (int64_t)amount_unpack(rd_varint(r));
    coin->script = script_unpack(r, arena);
}

bool coin_unpack(struct coin *coin, struct span bytes, struct arena *arena, struct fail *why)
{
    struct reader r;
    rd_init(&r, bytes);
    rd_coin(coin, &r, arena);
    if (!rd_done(&r, "coin", why))
        return fail_set(why, FAIL_LOCAL, "database",
            "a coin in chainstate/ is damaged (%s); start with -reindex-chainstate",
            r.complaint != NULL ? r.complaint : "trailing bytes");
    return true;
}

size_t coin_key(uint8_t out[COIN_KEY_MAX_B], const struct outpoint *outpoint)
{
    out[0] = 'C';
    memcpy(out + 1, outpoint->txid.b, 32);
    uint8_t groups[5];
    size_t at = sizeof groups;
    uint32_t v = outpoint->index;
    groups[--at] = (uint8_t)(v & 0x7f);
    while (v > 0x7f) {
        v = (v >> 7) - 1;
        groups[--at] = (uint8_t)(0x80 | (v & 0x7f));
    }
    memcpy(out + 33, groups + at, sizeof groups - at);
    return 33 + sizeof groups - at;
}

bool coin_key_parse(struct outpoint *outpoint, struct span key)
{
    struct reader r;
    rd_init(&r, key);
    if (rd_u8(&r) != 'C')
        return false;
    rd_copy(&r, outpoint->txid.b, 32);
    uint64_t index = rd_varint(&r);
    outpoint->index = (uint32_t)index;
    return !r.failed && rd_left(&r) == 0 && index <= UINT32_MAX;
}

/* ---- undo ---- */
void undo_pack(struct buf *out, const struct block *block, const struct coin *spent)
{
    buf_put_count(out, block->tx_count - 1u);
    for (uint32_t t = 1; t < block->tx_count; t++) {
        buf_put_count(out, block->txs[t].in_count);
        for (uint32_t i = 0; i < block->txs[t].in_count; i++)
            undo_coin_pack(out, spent++);
    }
}

bool undo_unpack(
    struct block_undo **out, const struct block *block, struct span bytes, struct fail *why)
{
    struct block_undo *undo = undo_new(block_spends(block), why);
    if (undo == NULL)
        return false;
    struct reader r;
    rd_init(&r, bytes);
    if (rd_compact(&r, block->tx_count) + 1 != block->tx_count)
        rd_fail(&r, "another count of transactions than the block's");
    struct coin *coin = undo->coins;
    for (uint32_t t = 1; t < block->tx_count && !r.failed; t++) {
        if (rd_compact(&r, UINT32_MAX) != block->txs[t].in_count)
            rd_fail(&r, "another count of inputs than the block's");
        for (uint32_t i = 0; i < block->txs[t].in_count && !r.failed; i++)
            undo_coin_unpack(coin++, &r, &undo->arena);
    }
    if (!rd_done(&r, "undo data", why)) {
        block_undo_free(undo);
        return false;
    }
    *out = undo;
    return true;
}

bool undo_unpack_alone(struct block_undo **out, struct span bytes, struct fail *why)
{
    struct block_undo *undo = undo_new((uint32_t)(bytes.size_b / PACKED_COIN_SIZE_MIN_B), why);
    if (undo == NULL)
        return false;
    uint32_t room = undo->count;
    undo->count = 0;
    struct reader r;
    rd_init(&r, bytes);
    uint64_t txs = rd_compact(&r, UNDO_COINS_MAX);
    for (uint64_t t = 0; t < txs && !r.failed; t++) {
        uint64_t inputs = rd_count(&r, PACKED_COIN_SIZE_MIN_B, UNDO_COINS_MAX);
        for (uint64_t i = 0; i < inputs && !r.failed && undo->count < room; i++)
            undo_coin_unpack(&undo->coins[undo->count++], &r, &undo->arena);
    }
    if (!rd_done(&r, "undo data", why)) {
        block_undo_free(undo);
        return false;
    }
    *out = undo;
    return true;
}

void block_undo_free(struct block_undo *undo)
{
    if (undo == NULL)
        return;
    arena_clear(&undo->arena);
    mem_free(undo->coins);
    mem_free(undo);
}

static struct block_undo *undo_new(uint32_t count, struct fail *why)
{
    struct block_undo *undo = mem_new(sizeof *undo);
    arena_init(&undo->arena, 0);
    undo->count = count;
    undo->coins = mem_try_array(count, sizeof *undo->coins);
    if (undo->coins == NULL) {
        fail_oom(why, "undo data");
        block_undo_free(undo);
        return NULL;
    }
    return undo;
}

static void undo_coin_pack(struct buf *out, const struct coin *coin)
{
    put_varint(out, (uint64_t)coin->height * 2 + coin->is_coinbase);
    if (coin->height > 0)
        buf_put_u8(out, 0); /* where Bitcoin once kept the transaction's version */
    put_varint(out, amount_pack((uint64_t)coin->value_sat));
    script_pack(out, coin->script);
}

static void undo_coin_unpack(struct coin *coin, struct reader *r, struct arena *arena)
{
    rd_height(coin, r);
    if (coin->height > 0)
        rd_varint(r);
    coin->value_sat = (int64_t)amount_unpack(rd_varint(r));
    coin->script = script_unpack(r, arena);
}

static void rd_height(struct coin *coin, struct reader *r)
{
    uint64_t code = rd_varint(r);
    if (code >> 1 > INT32_MAX)
        rd_fail(r, "impossible height");
    coin->height = (int32_t)(code >> 1 & INT32_MAX);
    coin->is_coinbase = (code & 1) != 0;
}

static uint32_t block_spends(const struct block *block)
{
    uint32_t count = 0;
    for (uint32_t t = 1; t < block->tx_count; t++)
        count += block->txs[t].in_count;
    return count;
}

/* With e trailing decimal zeroes (at most 9) and d the last digit before them: a number whose last digit
 * says e, so round amounts become short ones. */
static uint64_t amount_pack(uint64_t n)
{
    if (n == 0)
        return 0;
    uint64_t e = 0;
    while (n % 10 == 0 && e < 9) {
        n /= 10;
        e++;
    }
    if (e == 9)
        return 1 + (n - 1) * 10 + 9;
    uint64_t d = n % 10;
    return 1 + (n / 10 * 9 + d - 1) * 10 + e;
}

static uint64_t amount_unpack(uint64_t x)
{
    if (x == 0)
        return 0;
    x--;
    uint64_t e = x % 10;
    x /= 10;
    uint64_t n;
    if (e < 9) {
        uint64_t d = x % 9 + 1;
        n = x / 9 * 10 + d;
    } else {
        n = x + 1;
    }
    while (e-- > 0)
        n *= 10;
    return n;
}
