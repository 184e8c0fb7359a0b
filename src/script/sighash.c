/* sighash.c - what a signature signs, in three generations.
 *
 * legacy   the whole transaction with the other inputs' scripts emptied; hashing is quadratic in inputs.
 * BIP143   segwit v0: hashes of all prevouts, sequences and outputs are made once per transaction.
 * BIP341   taproot: as BIP143 with single SHA-256, and every spent amount and script is signed too.
 *
 * The hashes that inputs share live in struct sighash_pre. BIP143's are the SHA-256 of BIP341's, so one
 * pass over the transaction serves both. Nothing here allocates: bytes go straight into the hash. */
#include "coin/script/sighash.h"

#include <string.h>

#include "coin/crypto/sha256.h"
#include "coin/primitives/tx.h"
#include "coin/script/script.h"

#define OUTPUT_TYPE_MASK 0x1fu /* legacy and v0: which outputs; taproot uses the low two bits */
#define TAP_OUTPUT_MASK 0x03u
#define COMPACT_SIZE_MAX_B 9

static void add_u32(struct sha256 *s, uint32_t v);
static void add_u64(struct sha256 *s, uint64_t v);
static void add_count(struct sha256 *s, uint64_t n);
static void add_string(struct sha256 *s, struct span bytes);
static void add_outpoint(struct sha256 *s, const struct outpoint *o);
static void add_output(struct sha256 *s, const struct tx_out *out);
static void hash_shared(struct sighash_pre *pre);
static void hash_spent(struct sighash_pre *pre);
static void legacy_input(struct sha256 *s, const struct tx *tx, uint32_t i, uint32_t signing,
    struct span script_code, uint32_t hash_type);
static void legacy_script_code(struct sha256 *s, struct span script_code);

void sighash_pre_init(struct sighash_pre *pre, const struct tx *tx, const struct coin *spent)
{
    memset(pre, 0, sizeof *pre);
    pre->tx = tx;
    pre->spent = spent;
    if (spent == NULL) {
        pre->has_v0 = tx->has_witness;
    } else {
        for (uint32_t i = 0; i < tx->in_count; i++) {
            uint32_t version;
            struct span program;
            if (script_is_p2sh(spent[i].script)) {
                pre->has_v0 = true; /* may hide a witness program */
            } else if (script_witness_program(spent[i].script, &version, &program)) {
                pre->has_v0 |= version == 0;
                pre->has_taproot |= version == 1 && program.size_b == 32;
            }
        }
    }
    if (pre->has_v0 || pre->has_taproot)
        hash_shared(pre);
    if (pre->has_taproot)
        hash_spent(pre);
}

static void hash_shared(struct sighash_pre *pre)
{
    const struct tx *tx = pre->tx;
    struct sha256 prevouts, sequences, outputs;
    sha256_begin(&prevouts);
    sha256_begin(&sequences);
    sha256_begin(&outputs);
    for (uint32_t i = 0; i < tx->in_count; i++) {
        add_outpoint(&prevouts, &tx->in[i].prevout);
        add_u32(&sequences, tx->in[i].sequence);
    }
    for (uint32_t i = 0; i < tx->out_count; i++)
        add_output(&outputs, &tx->out[i]);
    sha256_end(&prevouts, pre->prevouts);
    sha256_end(&sequences, pre->sequences);
    sha256_end(&outputs, pre->outputs);
    sha256(pre->prevouts_d, pre->prevouts, sizeof pre->prevouts);
    sha256(pre->sequences_d, pre->sequences, sizeof pre->sequences);
    sha256(pre->outputs_d, pre->outputs, sizeof pre->outputs);
}

static void hash_spent(struct sighash_pre *pre)
{
    struct sha256 amounts, scripts;
    sha256_begin(&amounts);
    sha256_begin(&scripts);
    for (uint32_t i = 0; i < pre->tx->in_count; i++) {
        add_u64(&amounts, (uint64_t)pre->spent[i].value_sat);
        add_string(&scripts, pre->spent[i].script);
    }
    sha256_end(&amounts, pre->amounts);
    sha256_end(&scripts, pre->scripts);
}

/* ---- legacy ---- */

void sighash_legacy(uint8_t out[32], const struct tx *tx, uint32_t input, struct span script_code,
    uint32_t hash_type)
{
    uint32_t outputs = hash_type & OUTPUT_TYPE_MASK;
    struct sha256 s;

    /* Satoshi's bug, now consensus: SIGHASH_SINGLE without its output signs the number one. */
    if (input >= tx->in_count || (outputs == SIGHASH_SINGLE && input >= tx->out_count)) {
        memset(out, 0, 32);
        out[0] = 1;
        return;
    }
    sha256_begin(&s);
    add_u32(&s, tx->version);
    if (hash_type & SIGHASH_ANYONECANPAY) {
        add_count(&s, 1);
        legacy_input(&s, tx, input, input, script_code, hash_type);
    } else {
        add_count(&s, tx->in_count);
        for (uint32_t i = 0; i < tx->in_count; i++)
            legacy_input(&s, tx, i, input, script_code, hash_type);
    }
    if (outputs == SIGHASH_NONE) {
        add_count(&s, 0);
    } else if (outputs == SIGHASH_SINGLE) {
        static const struct tx_out blank = { .value_sat = -1 };
        add_count(&s, (uint64_t)input + 1);
        for (uint32_t i = 0; i < input; i++)
            add_output(&s, &blank);
        add_output(&s, &tx->out[input]);
    } else {
        add_count(&s, tx->out_count);
        for (uint32_t i = 0; i < tx->out_count; i++)
            add_output(&s, &tx->out[i]);
    }
    add_u32(&s, tx->lock_time);
    add_u32(&s, hash_type);
    sha256d_end(&s, out);
}

static void legacy_input(struct sha256 *s, const struct tx *tx, uint32_t i, uint32_t signing,
    struct span script_code, uint32_t hash_type)
{
    const struct tx_in *in = &tx->in[i];
    uint32_t outputs = hash_type & OUTPUT_TYPE_MASK;

    if (i == signing) {
        add_outpoint(s, &in->prevout);
        legacy_script_code(s, script_code);
        add_u32(s, in->sequence);
        return;
    }
    /* The others: an empty script, and no sequence where outputs are left open to change. */
    bool open = outputs == SIGHASH_NONE || outputs == SIGHASH_SINGLE;
    uint8_t record[32 + 4 + 1 + 4];
    memcpy(record, in->prevout.txid.b, 32);
    put_u32le(record + 32, in->prevout.index);
    record[36] = 0;
    put_u32le(record + 37, open ? 0 : in->sequence);
    sha256_add(s, record, sizeof record);
}

/* The script without its OP_CODESEPARATORs. Bytes behind a truncated push are kept as they are. */
static void legacy_script_code(struct sha256 *s, struct span script_code)
{
    struct reader r;
    uint8_t op;
    struct span push;
    size_t separators = 0;

    if (script_code.size_b > 0 && memchr(script_code.data, OP_CODESEPARATOR, script_code.size_b) != NULL) {
        rd_init(&r, script_code);
        while (script_next(&r, &op, &push))
            separators += op == OP_CODESEPARATOR;
    }
    if (separators == 0) {
        add_string(s, script_code);
        return;
    }
    add_count(s, script_code.size_b - separators);
    const uint8_t *from = script_code.data;
    rd_init(&r, script_code);
    while (script_next(&r, &op, &push)) {
        if (op == OP_CODESEPARATOR) {
            sha256_add(s, from, (size_t)(r.at - 1 - from));
            from = r.at;
        }
    }
    sha256_add(s, from, (size_t)(script_code.data + script_code.size_b - from));
}

/* ---- BIP143 ---- */

void sighash_v0(uint8_t out[32], const struct sighash_pre *pre, uint32_t input, struct span script_code,
    int64_t amount_sat, uint32_t hash_type)
{
    static const uint8_t zero[32];
    const struct tx *tx = pre->tx;
    const struct tx_in *in = &tx->in[input];
    uint32_t outputs = hash_type & OUTPUT_TYPE_MASK;
    bool all_inputs = !(hash_type & SIGHASH_ANYONECANPAY);
    bool all_outputs = outputs != SIGHASH_SINGLE && outputs != SIGHASH_NONE;
    struct sighash_pre made;
    struct sha256 s;

    if (!pre->has_v0 && !pre->has_taproot) { /* a shape that sighash_pre_init could not foresee */
        made = *pre;
        hash_shared(&made);
        pre = &made;
    }
    sha256_begin(&s);
    add_u32(&s, tx->version);
    sha256_add(&s, all_inputs ? pre->prevouts_d : zero, 32);
    sha256_add(&s, all_inputs && all_outputs ? pre->sequences_d : zero, 32);
    add_outpoint(&s, &in->prevout);
    add_string(&s, script_code);
    add_u64(&s, (uint64_t)amount_sat);
    add_u32(&s, in->sequence);
    if (all_outputs) {
        sha256_add(&s, pre->outputs_d, 32);
    } else if (outputs == SIGHASH_SINGLE && input < tx->out_count) {
        struct sha256 one;
        uint8_t hash[32];
        sha256_begin(&one);
        add_output(&one, &tx->out[input]);
        sha256d_end(&one, hash);
        sha256_add(&s, hash, 32);
    } else {
        sha256_add(&s, zero, 32);
    }
    add_u32(&s, tx->lock_time);
    add_u32(&s, hash_type);
    sha256d_end(&s, out);
}

/* ---- BIP341 ---- */

bool sighash_taproot(uint8_t out[32], const struct sighash_pre *pre, uint32_t input, uint32_t hash_type,
    const struct sighash_tap *tap)
{
    const struct tx *tx = pre->tx;
    const struct tx_in *in = &tx->in[input];
    bool one_input = (hash_type & SIGHASH_ANYONECANPAY) != 0;
    uint32_t outputs = hash_type == SIGHASH_DEFAULT ? SIGHASH_ALL : hash_type & TAP_OUTPUT_MASK;
    uint8_t type = (uint8_t)hash_type;
    struct sha256 s;

    if (!pre->has_taproot || (hash_type & ~(SIGHASH_ANYONECANPAY | TAP_OUTPUT_MASK)) != 0 ||
        hash_type == SIGHASH_ANYONECANPAY)
        return false;
    if (outputs == SIGHASH_SINGLE && input >= tx->out_count)
        return false;

    sha256_tagged_begin(&s, "TapSighash");
    sha256_add(&s, (const uint8_t[]){ 0 }, 1); /* epoch */
    sha256_add(&s, &type, 1);
    add_u32(&s, tx->version);
    add_u32(&s, tx->lock_time);
    if (!one_input) {
        sha256_add(&s, pre->prevouts, 32);
        sha256_add(&s, pre->amounts, 32);
        sha256_add(&s, pre->scripts, 32);
        sha256_add(&s, pre->sequences, 32);
    }
    if (outputs == SIGHASH_ALL)
        sha256_add(&s, pre->outputs, 32);
    uint8_t spend_type = (uint8_t)((tap->leaf_hash != NULL ? 2 : 0) | (tap->annex_hash != NULL ? 1 : 0));
    sha256_add(&s, &spend_type, 1);
    if (one_input) {
        add_outpoint(&s, &in->prevout);
        add_u64(&s, (uint64_t)pre->spent[input].value_sat);
        add_string(&s, pre->spent[input].script);
        add_u32(&s, in->sequence);
    } else {
        add_u32(&s, input);
    }
    if (tap->annex_hash != NULL)
        sha256_add(&s, tap->annex_hash, 32);
    if (outputs == SIGHASH_SINGLE) {
        struct sha256 one;
        uint8_t hash[32];
        sha256_begin(&one);
        add_output(&one, &tx->out[input]);
        sha256_end(&one, hash);
        sha256_add(&s, hash, 32);
    }
    if (tap->leaf_hash != NULL) {
        sha256_add(&s, tap->leaf_hash, 32);
        sha256_add(&s, (const uint8_t[]){ 0 }, 1); /* BIP342: key version */
        add_u32(&s, tap->codeseparator_position);
    }
    sha256_end(&s, out);
    return true;
}

/* ---- pieces ---- */

static void add_u32(struct sha256 *s, uint32_t v)
{
    uint8_t bytes[4];
    put_u32le(bytes, v);
    sha256_add(s, bytes, sizeof bytes);
}

static void add_u64(struct sha256 *s, uint64_t v)
{
    uint8_t bytes[8];
    put_u64le(bytes, v);
    sha256_add(s, bytes, sizeof bytes);
}

static void add_count(struct sha256 *s, uint64_t n)
{
    uint8_t bytes[COMPACT_SIZE_MAX_B];
    put_u64le(bytes + 1, n);
    bytes[0] = n < 0xfd ? (uint8_t)n : n <= UINT16_MAX ? 0xfd : n <= UINT32_MAX ? 0xfe : 0xff;
    sha256_add(s, bytes, n < 0xfd ? 1 : n <= UINT16_MAX ? 3 : n <= UINT32_MAX ? 5 : 9);
}

static void add_string(struct sha256 *s, struct span bytes)
{
    add_count(s, bytes.size_b);
    if (bytes.size_b > 0)
        sha256_add(s, bytes.data, bytes.size_b);
}

static void add_outpoint(struct sha256 *s, const struct outpoint *o)
{
    uint8_t bytes[36];
    memcpy(bytes, o->txid.b, 32);
    put_u32le(bytes + 32, o->index);
    sha256_add(s, bytes, sizeof bytes);
}

static void add_output(struct sha256 *s, const struct tx_out *out)
{
    add_u64(s, (uint64_t)out->value_sat);
    add_string(s, out->script);
}
