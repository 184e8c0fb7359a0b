/* script.h - script bytes: opcodes, pushes, templates. Thread: any (pure). */
#ifndef COIN_SCRIPT_SCRIPT_H
#define COIN_SCRIPT_SCRIPT_H

#include "coin/base/bytes.h"
#include "coin/base/json.h"

#define SCRIPT_SIZE_MAX_B 10000   /* legacy and v0; tapscript has no such limit */
#define SCRIPT_ELEMENT_MAX_B 520
#define SCRIPT_OPS_MAX 201
#define SCRIPT_STACK_MAX 1000
#define SCRIPT_PUBKEYS_MAX 20

enum opcode {
    OP_0 = 0x00, OP_PUSHDATA1 = 0x4c, OP_PUSHDATA2, OP_PUSHDATA4, OP_1NEGATE, OP_RESERVED, OP_1, OP_2,
    OP_3, OP_4, OP_5, OP_6, OP_7, OP_8, OP_9, OP_10, OP_11, OP_12, OP_13, OP_14, OP_15, OP_16,
    OP_NOP, OP_VER, OP_IF, OP_NOTIF, OP_VERIF, OP_VERNOTIF, OP_ELSE, OP_ENDIF, OP_VERIFY, OP_RETURN,
    OP_TOALTSTACK, OP_FROMALTSTACK, OP_2DROP, OP_2DUP, OP_3DUP, OP_2OVER, OP_2ROT, OP_2SWAP, OP_IFDUP,
    OP_DEPTH, OP_DROP, OP_DUP, OP_NIP, OP_OVER, OP_PICK, OP_ROLL, OP_ROT, OP_SWAP, OP_TUCK,
    OP_CAT, OP_SUBSTR, OP_LEFT, OP_RIGHT, OP_SIZE, OP_INVERT, OP_AND, OP_OR, OP_XOR, OP_EQUAL,
    OP_EQUALVERIFY, OP_RESERVED1, OP_RESERVED2, OP_1ADD, OP_1SUB, OP_2MUL, OP_2DIV, OP_NEGATE, OP_ABS,
    OP_NOT, OP_0NOTEQUAL, OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MOD, OP_LSHIFT, OP_RSHIFT, OP_BOOLAND,
    OP_BOOLOR, OP_NUMEQUAL, OP_NUMEQUALVERIFY, OP_NUMNOTEQUAL, OP_LESSTHAN, OP_GREATERTHAN,
    OP_LESSTHANOREQUAL, OP_GREATERTHANOREQUAL, OP_MIN, OP_MAX, OP_WITHIN, OP_RIPEMD160, OP_SHA1,
    OP_SHA256, OP_HASH160, OP_HASH256, OP_CODESEPARATOR, OP_CHECKSIG, OP_CHECKSIGVERIFY,
    OP_CHECKMULTISIG, OP_CHECKMULTISIGVERIFY, OP_NOP1, OP_CHECKLOCKTIMEVERIFY, OP_CHECKSEQUENCEVERIFY,
    OP_NOP4, OP_NOP5, OP_NOP6, OP_NOP7, OP_NOP8, OP_NOP9, OP_NOP10, OP_CHECKSIGADD = 0xba,
    OP_INVALIDOPCODE = 0xff
};

/* One opcode at the cursor; push: its data. false: end or truncated (r->failed tells). */
bool script_next(struct reader *r, uint8_t *op, struct span *push);
const char *opcode_name(uint8_t op);
bool opcode_is_success(uint8_t op); /* OP_SUCCESSx of tapscript (BIP342) */
void script_put_push(struct buf *out, struct span data); /* minimal encoding */
void script_put_data(struct buf *out, struct span data); /* a push by size alone: never OP_1.. */
void script_put_number(struct buf *out, int64_t n);      /* OP_1.. or a minimal push */
bool script_push_is_minimal(uint8_t op, struct span push); /* BIP62: could no shorter opcode do it? */
bool script_is_push_only(struct span script);
bool script_is_unspendable(struct span script); /* OP_RETURN first or too long */
void script_to_asm(struct buf *out, struct span script, bool sighash_names); /* as Bitcoin's RPC */

/* ---- templates ---- */
enum script_kind {
    SCRIPT_NONSTANDARD, SCRIPT_PUBKEY, SCRIPT_PUBKEYHASH, SCRIPT_SCRIPTHASH, SCRIPT_MULTISIG,
    SCRIPT_NULLDATA, SCRIPT_WITNESS_V0_KEYHASH, SCRIPT_WITNESS_V0_SCRIPTHASH, SCRIPT_WITNESS_V1_TAPROOT,
    SCRIPT_ANCHOR, SCRIPT_WITNESS_UNKNOWN
};
struct script_match {
    enum script_kind kind;
    struct span payload;      /* hash, key or program: a view */
    uint32_t witness_version; /* of witness programs */
    uint32_t required, keys;  /* multisig m of n */
};
struct script_match script_match(struct span script);
const char *script_kind_name(enum script_kind kind); /* "witness_v0_keyhash", as Bitcoin's RPC */
bool script_witness_program(struct span script, uint32_t *version, struct span *program);
bool script_is_p2sh(struct span script);
bool script_is_anchor(struct span script);         /* pay to anchor: OP_1 <4e73> */
bool script_pubkey_size_fits(struct span key);     /* first byte and length agree; not: on the curve */
/* The keys of a multisig template, as views; returns how many, 0: not that template. */
uint32_t script_multisig_keys(struct span script, struct span keys[SCRIPT_PUBKEYS_MAX]);

/* ---- making ---- */
void script_put_p2pkh(struct buf *out, const uint8_t hash[20]);
void script_put_p2sh(struct buf *out, const uint8_t hash[20]);
void script_put_witness(struct buf *out, uint32_t version, struct span program);
void script_put_multisig(struct buf *out, uint32_t required, const struct span *keys, uint32_t count);

#endif
