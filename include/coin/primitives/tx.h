/* tx.h - transactions, parsed in one pass with both ids computed from the raw bytes while they are hot.
 * A tx is immutable once built and reference-counted (atomic): workers and the loop may hold it.
 * Scripts and witnesses are views into `raw`, which the tx (or the block it came in) keeps alive.
 * Thread: any (pure). */
#ifndef COIN_PRIMITIVES_TX_H
#define COIN_PRIMITIVES_TX_H

#include "coin/base/bytes.h"
#include "coin/base/mem.h"
#include "coin/primitives/ids.h"

#define COIN_SAT INT64_C(100000000) /* satoshis of one coin */
#define TX_VERSION_DEFAULT 2
#define SEQUENCE_FINAL 0xffffffffu
#define TX_INPUT_SIZE_MIN_B 41  /* outpoint 36, empty script 1, sequence 4 */
#define TX_OUTPUT_SIZE_MIN_B 9  /* value 8, empty script 1 */

struct tx_in {
    struct outpoint prevout;
    struct span script_sig;
    uint32_t sequence;
    uint32_t witness_count;      /* items */
    const struct span *witness;  /* NULL when witness_count is 0 */
};
struct tx_out {
    int64_t value_sat;
    struct span script;
};
struct block;
struct tx {
    uint32_t version; /* compared as unsigned by today's policy, as signed by BIP68: cast there */
    uint32_t lock_time;
    uint32_t in_count, out_count;
    struct tx_in *in;   /* nobody writes after decoding; not const so that builders can fill it */
    struct tx_out *out;
    struct txid txid;
    struct wtxid wtxid; /* equals txid without witness */
    bool has_witness;
    uint32_t size_b, stripped_size_b; /* with and without witness */
    struct span raw;                  /* the whole serialisation, with witness */
    /* private: */
    _Atomic uint32_t refs;
    struct block *block; /* the block whose arena this lies in, or NULL: own arena */
    struct arena arena;
};

uint32_t tx_weight_wu(const struct tx *tx);   /* BIP141: 3 * stripped + total */
uint32_t tx_vsize_b(const struct tx *tx);     /* weight / 4, rounded up */
bool tx_is_coinbase(const struct tx *tx);

/* Takes a copy of bytes. Fails as FAIL_PROTOCOL ("tx-decode") or FAIL_NO_ROOM. decode: no trailing bytes. */
bool tx_decode(struct tx **out, struct span bytes, struct fail *why) MUST_USE;
/* As Bitcoin's RPC reads hex: tries with witness, then without (a tx with no inputs looks like one with).*/
bool tx_decode_lenient(struct tx **out, struct span bytes, struct fail *why) MUST_USE;
/* Without witness only: no inputs means no inputs. */
bool tx_decode_stripped(struct tx **out, struct span bytes, struct fail *why) MUST_USE;
/* Parses one tx at the cursor into the arena (no copy: views into r's bytes); used for blocks. */
bool tx_read(struct tx *out, struct reader *r, struct arena *arena, bool allow_witness) MUST_USE;
struct tx *tx_ref(struct tx *tx);
void tx_unref(struct tx *tx); /* NULL is accepted */

/* ---- building ---- */
struct tx_draft { /* owned by its maker; spans inside point to memory of the arena */
    uint32_t version, lock_time, in_count, out_count;
    struct tx_in *in;
    struct tx_out *out;
    struct arena arena;
};
void tx_draft_init(struct tx_draft *draft);
void tx_draft_clear(struct tx_draft *draft);
/* Copies what it is given. Return the new element or NULL (out of memory). */
struct tx_in *tx_draft_add_in(struct tx_draft *draft, const struct outpoint *prevout, uint32_t sequence);
struct tx_out *tx_draft_add_out(struct tx_draft *draft, int64_t value_sat, struct span script);
/* Replaces input i's scriptSig / witness with copies. */
bool tx_draft_set_script_sig(struct tx_draft *draft, uint32_t i, struct span script) MUST_USE;
bool tx_draft_set_witness(struct tx_draft *draft, uint32_t i, const struct span *items, uint32_t count) MUST_USE;
bool tx_draft_from_tx(struct tx_draft *draft, const struct tx *tx) MUST_USE; /* deep copy */
void tx_draft_encode(struct buf *out, const struct tx_draft *draft, bool with_witness);
bool tx_draft_finish(struct tx **out, const struct tx_draft *draft, struct fail *why) MUST_USE;

/* ---- money ---- */
/* *sum += add; false beyond max_money or below zero (CVE-2010-5139). */
bool amount_add(int64_t *sum, int64_t add, int64_t max_money_sat) MUST_USE;
bool amount_in_range(int64_t sat, int64_t max_money_sat);

void tx_encode_stripped(struct buf *out, const struct tx *tx); /* without witness */
void outpoint_encode(struct buf *out, const struct outpoint *o);
void rd_outpoint(struct reader *r, struct outpoint *o);

#endif
