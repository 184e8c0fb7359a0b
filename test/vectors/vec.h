/* vec.h - what the vector runners share: reading files, counting cases, scripts in assembly notation.
 * Header only; each runner is a program of its own. */
#ifndef COIN_TEST_VEC_H
#define COIN_TEST_VEC_H

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "coin/base/bytes.h"
#include "coin/base/json.h"
#include "coin/base/mem.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/secp.h"
#include "coin/crypto/sha256.h"
#include "coin/script/interpreter.h"
#include "coin/script/script.h"

#define VEC_FILE_MAX_B ((size_t)64 << 20)
#define VEC_SHOWN_MAX 20 /* failures that are printed */

struct vec {
    const char *dir;   /* the vectors folder */
    const char *name;  /* the file, relative to it */
    uint32_t passed, failed, skipped;
    uint32_t total_failed, shown;
    uint32_t files;
};

static inline bool vec_start(struct vec *v, int argc, char **argv)
{
    static const uint8_t blinding[32] = { 1 };
    struct fail why;
    *v = (struct vec){ 0 };
    if (argc != 2) {
        fprintf(stderr, "usage: %s VECTORS-FOLDER\n", argv[0]);
        return false;
    }
    v->dir = argv[1];
    if (!sha256_init(NULL, &why) || !hash_init(&why) || !secp_init(blinding, &why)) {
        fprintf(stderr, "%s\n", why.detail);
        return false;
    }
    return true;
}

static inline void vec_case(struct vec *v, bool ok, const char *format, ...) PRINTF_LIKE(3, 4);
static inline void vec_case(struct vec *v, bool ok, const char *format, ...)
{
    if (ok) {
        v->passed++;
        return;
    }
    v->failed++;
    v->total_failed++;
    if (v->shown++ >= VEC_SHOWN_MAX)
        return;
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", v->name);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
}

static inline bool vec_read(struct buf *out, const char *dir, const char *name)
{
    char path[1024];
    uint8_t chunk[65536];
    size_t got;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    buf_init(out, VEC_FILE_MAX_B);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return false;
    while ((got = fread(chunk, 1, sizeof chunk, f)) > 0)
        buf_put(out, chunk, got);
    fclose(f);
    return !out->failed;
}

/* Runs `each` for every file of the folder whose name ends so, in the order of names. The callback runs
 * the cases of one file and returns false when the file has another shape. */
static inline void vec_folder(struct vec *v, const char *folder, const char *prefix, const char *suffix,
    bool (*each)(struct vec *v, struct span content))
{
    char path[1024], full[1024];
    struct dirent **found;
    snprintf(path, sizeof path, "%s/%s", v->dir, folder);
    int count = scandir(path, &found, NULL, alphasort);
    if (count < 0) {
        printf("SKIPPED: %s is not there\n", folder);
        return;
    }
    uint32_t ran = 0;
    for (int i = 0; i < count; i++) {
        const char *name = found[i]->d_name;
        size_t length = strlen(name), tail = strlen(suffix);
        struct buf content;
        if (strncmp(name, prefix, strlen(prefix)) != 0 || length < tail ||
            strcmp(name + length - tail, suffix) != 0)
            continue;
        snprintf(full, sizeof full, "%s/%s", folder, name);
        v->name = full;
        v->passed = v->failed = v->skipped = 0;
        bool fits = false;
        if (vec_read(&content, v->dir, full))
            fits = each(v, buf_span(&content));
        buf_clear(&content);
        if (!fits)
            continue;
        if (v->skipped > 0)
            printf("%s: %u SKIPPED\n", full, v->skipped);
        printf("%s: %u passed, %u failed\n", full, v->passed, v->failed);
        if (v->passed + v->failed == 0)
            v->total_failed++;
        ran++;
    }
    for (int i = 0; i < count; i++)
        mem_free(found[i]);
    mem_free(found);
    if (ran == 0) {
        printf("%s: no file of this shape gave a case\n", folder);
        v->total_failed++;
    }
    v->files += ran;
}

static inline int vec_end(const struct vec *v)
{
    return v->total_failed == 0 ? 0 : 1;
}

/* ---- text ---- */

static inline const char *vec_text(struct span s) /* a short copy for messages */
{
    static char ring[4][400];
    static unsigned next;
    char *out = ring[next++ % 4];
    size_t n = s.size_b < sizeof ring[0] - 1 ? s.size_b : sizeof ring[0] - 1;
    if (n > 0)
        memcpy(out, s.data, n);
    out[n] = 0;
    return out;
}

static inline bool vec_hex(struct buf *out, const struct json *v)
{
    out->size_b = 0;
    return v != NULL && v->type == JSON_STRING && hex_to_buf(out, v->text);
}

static inline bool vec_word_opcode(struct span word, uint8_t *op)
{
    for (unsigned i = 0; i < 256; i++) {
        const char *name = opcode_name((uint8_t)i);
        if ((i < OP_NOP && i != OP_RESERVED) || strcmp(name, "OP_UNKNOWN") == 0)
            continue;
        if (span_is(word, name) || span_is(word, name + 3)) {
            *op = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static inline bool vec_number(int64_t *out, struct span word) /* leading zeros are fine */
{
    bool negative = word.size_b > 1 && word.data[0] == '-';
    int64_t n = 0;
    if (word.size_b - negative > 12)
        return false;
    for (size_t i = negative; i < word.size_b; i++) {
        if (word.data[i] < '0' || word.data[i] > '9')
            return false;
        n = n * 10 + (word.data[i] - '0');
    }
    *out = negative ? -n : n;
    return true;
}

/* The notation of script_tests.json: numbers, 0x raw bytes, 'text' pushes, opcode names. */
static inline bool vec_asm(struct buf *out, struct span text)
{
    const uint8_t *at = text.data, *end = text.data + text.size_b;
    while (at < end) {
        while (at < end && (*at == ' ' || *at == '\n' || *at == '\t'))
            at++;
        const uint8_t *from = at;
        while (at < end && *at != ' ' && *at != '\n' && *at != '\t')
            at++;
        struct span word = span_of(from, (size_t)(at - from));
        uint8_t op;
        int64_t n;
        if (word.size_b == 0)
            continue;
        if (vec_number(&n, word)) {
            script_put_number(out, n);
        } else if (word.size_b > 2 && word.data[0] == '0' && word.data[1] == 'x') {
            if (!hex_to_buf(out, span_of(word.data + 2, word.size_b - 2)))
                return false;
        } else if (word.size_b >= 2 && word.data[0] == '\'' && word.data[word.size_b - 1] == '\'') {
            script_put_data(out, span_of(word.data + 1, word.size_b - 2));
        } else if (vec_word_opcode(word, &op)) {
            buf_put_u8(out, op);
        } else {
            return false;
        }
    }
    return !out->failed;
}

/* ---- flags ---- */

static const struct { const char *name; uint32_t flag; } vec_flag_names[] = {
    { "NONE", 0 }, { "", 0 },
    { "P2SH", SCRIPT_VERIFY_P2SH }, { "STRICTENC", SCRIPT_VERIFY_STRICTENC },
    { "DERSIG", SCRIPT_VERIFY_DERSIG }, { "LOW_S", SCRIPT_VERIFY_LOW_S },
    { "NULLDUMMY", SCRIPT_VERIFY_NULLDUMMY }, { "SIGPUSHONLY", SCRIPT_VERIFY_SIGPUSHONLY },
    { "MINIMALDATA", SCRIPT_VERIFY_MINIMALDATA },
    { "DISCOURAGE_UPGRADABLE_NOPS", SCRIPT_VERIFY_DISCOURAGE_UPGRADABLE_NOPS },
    { "CLEANSTACK", SCRIPT_VERIFY_CLEANSTACK },
    { "CHECKLOCKTIMEVERIFY", SCRIPT_VERIFY_CHECKLOCKTIMEVERIFY },
    { "CHECKSEQUENCEVERIFY", SCRIPT_VERIFY_CHECKSEQUENCEVERIFY },
    { "WITNESS", SCRIPT_VERIFY_WITNESS },
    { "DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM", SCRIPT_VERIFY_DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM },
    { "MINIMALIF", SCRIPT_VERIFY_MINIMALIF }, { "NULLFAIL", SCRIPT_VERIFY_NULLFAIL },
    { "WITNESS_PUBKEYTYPE", SCRIPT_VERIFY_WITNESS_PUBKEYTYPE },
    { "CONST_SCRIPTCODE", SCRIPT_VERIFY_CONST_SCRIPTCODE }, { "TAPROOT", SCRIPT_VERIFY_TAPROOT },
    { "DISCOURAGE_UPGRADABLE_TAPROOT_VERSION", SCRIPT_VERIFY_DISCOURAGE_UPGRADABLE_TAPROOT_VERSION },
    { "DISCOURAGE_OP_SUCCESS", SCRIPT_VERIFY_DISCOURAGE_OP_SUCCESS },
    { "DISCOURAGE_UPGRADABLE_PUBKEYTYPE", SCRIPT_VERIFY_DISCOURAGE_UPGRADABLE_PUBKEYTYPE },
};
#define VEC_FLAGS (sizeof vec_flag_names / sizeof vec_flag_names[0])
#define VEC_FLAGS_ALL ((1u << 21) - 1)

static inline bool vec_flags(uint32_t *out, struct span text)
{
    *out = 0;
    const uint8_t *at = text.data, *end = text.data + text.size_b;
    for (;;) {
        const uint8_t *from = at;
        while (at < end && *at != ',')
            at++;
        size_t i = 0;
        while (i < VEC_FLAGS && !span_is(span_of(from, (size_t)(at - from)), vec_flag_names[i].name))
            i++;
        if (i == VEC_FLAGS)
            return false;
        *out |= vec_flag_names[i].flag;
        if (at == end)
            return true;
        at++;
    }
}

#endif
