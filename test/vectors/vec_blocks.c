/* Real blocks: each one that is found (blocks/<name>.raw but for undo files, blocks/<name>.bz2 of blocks behind magic
 * and length) must decode, meet its own proof of work, give its own merkle root and witness commitment,
 * and read back, transaction by transaction, to the same bytes. Blocks that follow each other are connected by a
 * real ledger of their chain, restart included; and of each a copy with one bit changed is refused. */
#include <inttypes.h>

#include "coin/consensus/pow.h"
#include "coin/primitives/block.h"
#include "vec.h"
#include "vec_ledger.h"

#define FRAME_MAX_B ((uint64_t)BLOCK_SIZE_MAX_B)
#define RESTART_EVERY 100 /* blocks */

static struct chain *chain;

static bool reencodes(const struct block *block, struct fail *why)
{
    struct buf out, stripped;
    struct tx_draft draft;
    bool ok = true;
    buf_init(&out, BLOCK_SIZE_MAX_B);
    buf_init(&stripped, BLOCK_SIZE_MAX_B);
    tx_draft_init(&draft);
    for (uint32_t i = 0; ok && i < block->tx_count; i++) {
        const struct tx *tx = &block->txs[i];
        struct tx *again = NULL;
        out.size_b = stripped.size_b = 0;
        ok = tx_draft_from_tx(&draft, tx);
        tx_draft_encode(&out, &draft, true);
        tx_encode_stripped(&stripped, tx);
        ok = ok && span_equal(buf_span(&out), tx->raw) && stripped.size_b == tx->stripped_size_b &&
             tx_decode(&again, tx->raw, why) && wtxid_equal(&again->wtxid, &tx->wtxid) &&
             txid_equal(&again->txid, &tx->txid);
        tx_unref(again);
        if (!ok)
            fail_set(why, FAIL_INVALID, "round-trip", "transaction %u", i);
    }
    tx_draft_clear(&draft);
    buf_clear(&out);
    buf_clear(&stripped);
    return ok;
}

static bool commitment_holds(const struct block *block)
{
    int32_t index = block_commitment_index(block);
    if (index < 0)
        return true;
    const struct tx *coinbase = &block->txs[0];
    if (coinbase->in[0].witness_count != 1 || coinbase->in[0].witness[0].size_b != 32)
        return false;
    uint8_t pair[64], want[32];
    block_witness_root(pair, block);
    memcpy(pair + 32, coinbase->in[0].witness[0].data, 32);
    sha256d(want, pair, sizeof pair);
    return memcmp(want, coinbase->out[index].script.data + 6, sizeof want) == 0;
}

static bool check_block_bytes(struct span bytes, struct fail *why)
{
    struct buf raw;
    struct block *block;
    buf_init(&raw, BLOCK_SIZE_MAX_B);
    buf_put(&raw, bytes.data, bytes.size_b);
    if (!block_decode(&block, &raw, why))
        return false;
    uint8_t root[32], header[HEADER_SIZE_B];
    bool mutated = false;
    header_encode(header, &block->header);
    block_merkle_root(root, block, &mutated);
    struct block_id id = header_id(&block->header);
    struct u256 target = compact_decode(block->header.bits, NULL, NULL), hash = u256_from_le(block->id.b);
    bool ok = true;
    if (memcmp(header, bytes.data, sizeof header) != 0 || !block_id_equal(&id, &block->id))
        ok = fail_set(why, FAIL_INVALID, "header", "the header does not read back");
    else if (u256_compare(&hash, &target) > 0)
        ok = fail_set(why, FAIL_INVALID, "high-hash", "%s", hash_show(block->id.b));
    else if (mutated || memcmp(root, block->header.merkle_root, sizeof root) != 0)
        ok = fail_set(why, FAIL_INVALID, "bad-txnmrklroot", "%s", hash_show(root));
    else if (!commitment_holds(block))
        ok = fail_set(why, FAIL_INVALID, "bad-witness-merkle-match", "the commitment is another");
    else if (block->size_b != bytes.size_b || !span_equal(buf_span(&block->raw), bytes))
        ok = fail_set(why, FAIL_INVALID, "size", "%u bytes of %zu", block->size_b, bytes.size_b);
    else
        ok = reencodes(block, why);
    block_unref(block);
    return ok;
}

static bool one_block(struct vec *v, struct span content)
{
    struct fail why;
    if (strstr(v->name, "-undo") != NULL)
        return false;
    bool ok = check_block_bytes(content, &why);
    vec_case(v, ok, "%s", ok ? "" : why.detail);
    return true;
}

static bool read_packed(struct buf *out, const char *path)
{
    char command[1200];
    uint8_t chunk[65536];
    size_t got;
    snprintf(command, sizeof command, "bzip2 -dc '%s' 2>/dev/null || python3 -c 'import bz2,sys; "
        "sys.stdout.buffer.write(bz2.open(sys.argv[1]).read())' '%s' 2>/dev/null", path, path);
    FILE *f = popen(command, "r");
    if (f == NULL)
        return false;
    buf_init(out, VEC_FILE_MAX_B);
    while ((got = fread(chunk, 1, sizeof chunk, f)) > 0)
        buf_put(out, chunk, got);
    return pclose(f) == 0 && out->size_b > 0 && !out->failed;
}

/* One bit changed: in a transaction, the root, the time and the bits; the header stays good in the first only,
 * and that must not poison the block's id. */
static void refuse_copies(struct vec *v, struct vec_ledger *l, struct span block, uint32_t i)
{
    static const struct { size_t offset; const char *code; } places[] = {
        { HEADER_SIZE_B + 60, "bad-txnmrklroot" }, { 36, "high-hash" }, { 68, "high-hash" }, { 74, "high-hash" },
    };
    const struct block_index *tip = ledger_tip(l->ledger);
    for (size_t k = 0; k < sizeof places / sizeof *places; k++) {
        struct buf copy;
        buf_init(&copy, BLOCK_SIZE_MAX_B);
        buf_put(&copy, block.data, block.size_b);
        copy.data[places[k].offset] ^= (uint8_t)(1u << i % 8);
        bool taken = vec_ledger_offer(l, buf_span(&copy));
        vec_case(v, !taken && strcmp(l->why.code, places[k].code) == 0 && ledger_tip(l->ledger) == tip,
            "block %u with a bit changed at %zu: %s", i, places[k].offset, l->why.code);
        buf_clear(&copy);
    }
}

static void connect_block(struct vec *v, struct vec_ledger *l, struct span block, uint32_t i)
{
    struct fail why;
    struct vec_sum sum;
    refuse_copies(v, l, block, i);
    bool ok = vec_ledger_offer(l, block);
    vec_case(v, ok && ledger_tip(l->ledger)->height == (int32_t)i, "block %u is not connected: %s", i, l->why.detail);
    if (i % RESTART_EVERY != 0)
        return;
    vec_ledger_stop(l);
    ok = vec_ledger_open(l, &why);
    vec_case(v, ok && ledger_tip(l->ledger)->height == (int32_t)i, "after a restart at block %u: %s", i, why.detail);
    /* no fee was lost yet: what exists is what was minted */
    vec_case(v, ok && vec_ledger_sum(l, &sum) && sum.sat == (int64_t)i * 50 * COIN_SAT, "the coins at block %u", i);
}

/* Frames: magic 4, length 4, block; each block's parent is the one before, the first's is the genesis block. */
static bool many_blocks(struct vec *v, struct span content)
{
    (void)content; /* packed: read again through a program that unpacks */
    char path[1100];
    struct buf bytes;
    snprintf(path, sizeof path, "%s/%s", v->dir, v->name);
    if (!read_packed(&bytes, path)) {
        vec_case(v, false, "does not unpack");
        buf_clear(&bytes);
        return true;
    }
    struct reader r;
    struct block_id last = chain->genesis->id;
    struct vec_ledger ledger;
    struct fail opened;
    vec_case(v, vec_ledger_init(&ledger, chain, &opened), "%s", opened.detail);
    rd_init(&r, buf_span(&bytes));
    for (uint32_t i = 1; rd_left(&r) > 0; i++) {
        struct fail why;
        rd_u32le(&r);
        uint32_t size_b = rd_u32le(&r);
        struct span block = rd_bytes(&r, size_b <= FRAME_MAX_B ? size_b : 0);
        bool ok = !r.failed && block.size_b >= HEADER_SIZE_B ? check_block_bytes(block, &why)
                                                             : fail_set(&why, FAIL_INVALID, "frame", "cut");
        if (ok && memcmp(block.data + 4, last.b, sizeof last.b) != 0)
            ok = fail_set(&why, FAIL_INVALID, "parent", "not on the block before");
        vec_case(v, ok, "block %u: %s", i, ok ? "" : why.detail);
        if (!ok)
            break;
        connect_block(v, &ledger, block, i);
        sha256d(last.b, block.data, HEADER_SIZE_B);
    }
    vec_ledger_clear(&ledger);
    buf_clear(&bytes);
    return true;
}

int main(int argc, char **argv)
{
    struct vec v;
    struct fail why;
    if (!vec_start(&v, argc, argv))
        return 1;
    chain = chain_load("bitcoin", &why);
    if (chain == NULL) {
        fprintf(stderr, "%s\n", why.detail);
        return 1;
    }
    vec_folder(&v, "blocks", "", ".raw", one_block);
    if (system("command -v bzip2 >/dev/null 2>&1 || command -v python3 >/dev/null 2>&1") == 0)
        vec_folder(&v, "blocks", "", ".bz2", many_blocks);
    else
        printf("SKIPPED: blocks/*.bz2: neither bzip2 nor python3 is here to unpack them\n");
    chain_free(chain);
    return vec_end(&v);
}
