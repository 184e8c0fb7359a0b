/* Difficulty against public data: aserti3-2d's runs (bits due after each block of a given height and
 * time), and an alternative chain of Bitcoin's first 2016 headers, whose proof of work is checked from
 * the genesis block through the first retarget; a real ledger takes them, and none that differs by a bit. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coin/base/file.h"
#include "coin/base/json.h"
#include "coin/consensus/pow.h"
#include "vec_ledger.h"

#define FILE_MAX_B (8u * 1024u * 1024u)
#define COMPLAINTS_MAX 20
#define HEADERS_MAX 4096

static uint32_t complaints;

struct tally { uint32_t passed, failed; };
struct single { struct pow_point point; };

static void count(struct tally *tally, bool ok, const char *file, const char *row)
{
    if (ok)
        tally->passed++;
    else
        tally->failed++;
    if (!ok && complaints++ < COMPLAINTS_MAX)
        fprintf(stderr, "%s: %s\n", file, row);
}

static struct pow_point single_at(const void *ctx, int32_t height)
{
    (void)height;
    return ((const struct single *)ctx)->point;
}

static bool header_number(const char *line, const char *name, int64_t *out)
{
    const char *at = strstr(line, name);
    if (at == NULL)
        return false;
    *out = strtoll(at + strlen(name), NULL, 0);
    return true;
}

/* Heights are made relative to the anchor's: only their difference counts, and run09 goes beyond what a
 * height can be here. */
static struct tally asert_run(const char *name, char *text)
{
    struct tally tally = { 0, 0 };
    struct chain chain;
    memset(&chain, 0, sizeof chain);
    chain.difficulty.kind = DIFFICULTY_ASERT;
    chain.difficulty.half_life_s = 2 * 86400;
    chain.spacing_s = 600;
    chain.pow_limit = compact_decode(0x1d00ffff, NULL, NULL);
    int64_t anchor_height = 0, parent_time = 0, bits = 0;
    for (char *save, *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        if (header_number(line, "anchor height:", &anchor_height) ||
            header_number(line, "anchor parent time:", &parent_time) ||
            header_number(line, "anchor nBits:", &bits) || *line == '#')
            continue;
        int64_t iteration, height, time_s;
        unsigned due;
        if (sscanf(line, "%" SCNd64 " %" SCNd64 " %" SCNd64 " 0x%x", &iteration, &height, &time_s, &due) != 4) {
            count(&tally, false, name, line);
            continue;
        }
        chain.difficulty.anchor_height = 0;
        chain.difficulty.anchor_bits = (uint32_t)bits;
        chain.difficulty.anchor_parent_time_s = parent_time;
        struct single tip = { { .height = (int32_t)(height - anchor_height), .time_s = (uint32_t)time_s } };
        struct pow_view view = { .ctx = &tip, .at = single_at, .tip_height = tip.point.height };
        uint32_t got = pow_bits_due(&chain, &view, 0);
        char row[160];
        snprintf(row, sizeof row, "%.80s, not 0x%08x", line, got);
        count(&tally, got == due, name, row);
    }
    return tally;
}

static struct pow_point points[HEADERS_MAX];
static struct pow_point points_at(const void *ctx, int32_t height)
{
    (void)ctx;
    return points[height];
}

/* The block of that chain at a height: a coinbase of a known form, so that times and nonces are all that
 * must be told. */
static bool alternative_header(struct header *out, int32_t height, struct block_id prev, uint32_t time_s,
    uint32_t bits, uint32_t nonce)
{
    static const uint8_t script[] = { 0x76, 0xa9, 0x14, 0xea, 0xdb, 0xac, 0x7f, 0x36, 0xc3, 0x7e, 0x39, 0x36,
        0x11, 0x68, 0xb7, 0xaa, 0xee, 0x3c, 0xb2, 0x4a, 0x25, 0x31, 0x2d, 0x88, 0xac };
    uint8_t coinbase[4] = { (uint8_t)(0x50 + height), 0 }; /* OP_1 to OP_16, OP_0 */
    size_t size_b = 2;
    if (height > 16) {
        bool two = height > 0x7f;
        coinbase[0] = two ? 2 : 1;
        coinbase[1] = (uint8_t)height;
        coinbase[2] = (uint8_t)(height >> 8);
        size_b = two ? 3 : 2;
    }
    struct tx_draft draft;
    struct tx *tx = NULL;
    struct fail why;
    const struct outpoint none = { .index = 0xffffffffu };
    tx_draft_init(&draft);
    bool ok = tx_draft_add_in(&draft, &none, SEQUENCE_FINAL) != NULL &&
              tx_draft_set_script_sig(&draft, 0, span_of(coinbase, size_b)) &&
              tx_draft_add_out(&draft, 50 * COIN_SAT, span_of(script, sizeof script)) != NULL &&
              tx_draft_finish(&tx, &draft, &why);
    if (ok) {
        *out = (struct header){ .version = 0x20000000, .prev = prev, .time_s = time_s, .bits = bits, .nonce = nonce };
        memcpy(out->merkle_root, tx->txid.b, sizeof out->merkle_root);
    }
    tx_unref(tx);
    tx_draft_clear(&draft);
    return ok;
}

static bool ledger_takes(struct vec_ledger *l, const struct header *header, int32_t height, struct fail *why)
{
    struct header changed = *header;
    struct block_index *last = NULL;
    uint32_t accepted = 0;
    changed.nonce ^= 1u << height % 32;
    if (ledger_accept_headers(l->ledger, &changed, 1, &last, &accepted, why))
        return fail_set(why, FAIL_INVALID, "vectors", "a changed header was taken");
    changed = *header;
    changed.bits -= 1; /* harder than due: the hash may do, the bits are wrong */
    if (ledger_accept_headers(l->ledger, &changed, 1, &last, &accepted, why))
        return fail_set(why, FAIL_INVALID, "vectors", "a header with other bits was taken");
    return ledger_accept_headers(l->ledger, header, 1, &last, &accepted, why) && last != NULL &&
           last->height == height && ledger_best_header(l->ledger) == last;
}

static struct tally alternative_chain(const char *name, struct span text)
{
    struct tally tally = { 0, 0 };
    struct json_doc doc;
    struct fail why;
    struct chain *chain = chain_load("bitcoin", &why);
    if (chain == NULL || !json_parse(&doc, text, &why)) {
        count(&tally, false, name, why.detail);
        chain_free(chain);
        return tally;
    }
    const struct json *times = json_get(doc.root, "timestamps"), *nonces = json_get(doc.root, "nonces");
    const struct json *time = times != NULL ? times->first : NULL, *nonce = nonces != NULL ? nonces->first : NULL;
    struct block_id prev = chain->genesis->id;
    struct vec_ledger ledger;
    count(&tally, vec_ledger_init(&ledger, chain, &why), name, "a ledger");
    uint32_t parent_s = chain->genesis->header.time_s;
    points[0] = (struct pow_point){ .time_s = parent_s, .bits = chain->genesis->header.bits };
    for (int32_t h = 1; time != NULL && nonce != NULL && h < HEADERS_MAX; h++, time = time->next, nonce = nonce->next) {
        uint32_t time_s, nonce_word;
        struct header header;
        char row[200];
        struct pow_view view = { .at = points_at, .tip_height = h - 1 };
        bool ok = json_to_u32(&time_s, time, "timestamp", &why) && json_to_u32(&nonce_word, nonce, "nonce", &why);
        uint32_t bits = ok ? pow_bits_due(chain, &view, time_s) : 0;
        ok = ok && alternative_header(&header, h, prev, time_s, bits, nonce_word);
        if (ok) {
            prev = header_id(&header);
            ok = pow_check(chain, &prev, bits, time_s, parent_s, &why) &&
                 pow_permitted(chain, h, points[h - 1].bits, bits) && ledger_takes(&ledger, &header, h, &why);
        }
        snprintf(row, sizeof row, "height %d, bits %08x: %.120s", h, bits, ok ? "" : why.detail);
        count(&tally, ok, name, row);
        if (!ok)
            break;
        parent_s = time_s;
        points[h] = (struct pow_point){ .height = h, .time_s = time_s, .bits = bits };
    }
    vec_ledger_clear(&ledger);
    json_doc_clear(&doc);
    chain_free(chain);
    return tally;
}

struct walk {
    const char *root, *folder;
    uint32_t cases, failed;
};

static void run_file(struct walk *walk, const char *name, bool is_asert)
{
    char path[PATH_SIZE_B], shown[PATH_SIZE_B];
    snprintf(shown, sizeof shown, "%.200s/%.200s", walk->folder, name);
    snprintf(path, sizeof path, "%.500s/%.400s", walk->root, shown);
    struct buf text;
    struct fail why;
    struct tally tally = { 0, 0 };
    buf_init(&text, FILE_MAX_B);
    if (!file_read_all(&disk_posix, path, &text, &why)) {
        count(&tally, false, shown, why.detail);
    } else if (is_asert) {
        buf_put_u8(&text, 0);
        tally = asert_run(shown, (char *)text.data);
    } else {
        tally = alternative_chain(shown, buf_span(&text));
    }
    buf_clear(&text);
    printf("%s: %u passed, %u failed\n", shown, tally.passed, tally.failed);
    walk->cases += tally.passed + tally.failed;
    walk->failed += tally.failed;
}

static bool each_run(void *arg, const char *name)
{
    if (strncmp(name, "run", 3) == 0)
        run_file(arg, name, true);
    return true;
}

static bool each_chain(void *arg, const char *name)
{
    size_t length = strlen(name);
    if (length > 17 && strcmp(name + length - 17, "_alt_headers.json") == 0)
        run_file(arg, name, false);
    return true;
}

static bool run_folder(const char *root, const char *folder, bool (*each)(void *, const char *))
{
    char path[PATH_SIZE_B];
    struct walk walk = { .root = root, .folder = folder };
    struct fail why;
    snprintf(path, sizeof path, "%.500s/%.400s", root, folder);
    if (!disk_posix.exists(disk_posix.ctx, path)) {
        printf("SKIPPED: %s is not here\n", path);
        return true;
    }
    if (!disk_posix.list(disk_posix.ctx, path, each, &walk, &why)) {
        fprintf(stderr, "%s\n", why.detail);
        return false;
    }
    if (walk.cases == 0)
        fprintf(stderr, "%s: no case found\n", path);
    return walk.cases > 0 && walk.failed == 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: vec_difficulty FOLDER\n");
        return 1;
    }
    bool ok = run_folder(argv[1], "consensus/aserti3-2d", each_run);
    ok = run_folder(argv[1], "consensus", each_chain) && ok;
    return ok ? 0 : 1;
}
