/* interpreter.h - Bitcoin's script: legacy, P2SH, segwit v0, taproot, tapscript. Thread: any (pure).
 * Error names are those of script_tests.json. */
#ifndef COIN_SCRIPT_INTERPRETER_H
#define COIN_SCRIPT_INTERPRETER_H

#include "coin/primitives/coin.h"
#include "coin/script/sighash.h"

enum script_flag {
    SCRIPT_VERIFY_NONE = 0,
    SCRIPT_VERIFY_P2SH = 1u << 0,
    SCRIPT_VERIFY_STRICTENC = 1u << 1,
    SCRIPT_VERIFY_DERSIG = 1u << 2,
    SCRIPT_VERIFY_LOW_S = 1u << 3,
    SCRIPT_VERIFY_NULLDUMMY = 1u << 4,
    SCRIPT_VERIFY_SIGPUSHONLY = 1u << 5,
    SCRIPT_VERIFY_MINIMALDATA = 1u << 6,
    SCRIPT_VERIFY_DISCOURAGE_UPGRADABLE_NOPS = 1u << 7,
    SCRIPT_VERIFY_CLEANSTACK = 1u << 8,
    SCRIPT_VERIFY_CHECKLOCKTIMEVERIFY = 1u << 9,
    SCRIPT_VERIFY_CHECKSEQUENCEVERIFY = 1u << 10,
    SCRIPT_VERIFY_WITNESS = 1u << 11,
    SCRIPT_VERIFY_DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM = 1u << 12,
    SCRIPT_VERIFY_MINIMALIF = 1u << 13,
    SCRIPT_VERIFY_NULLFAIL = 1u << 14,
    SCRIPT_VERIFY_WITNESS_PUBKEYTYPE = 1u << 15,
    SCRIPT_VERIFY_CONST_SCRIPTCODE = 1u << 16,
    SCRIPT_VERIFY_TAPROOT = 1u << 17,
    SCRIPT_VERIFY_DISCOURAGE_UPGRADABLE_TAPROOT_VERSION = 1u << 18,
    SCRIPT_VERIFY_DISCOURAGE_OP_SUCCESS = 1u << 19,
    SCRIPT_VERIFY_DISCOURAGE_UPGRADABLE_PUBKEYTYPE = 1u << 20
};
/* What consensus has required since taproot; and what relay asks on top (Bitcoin's standard flags). */
#define SCRIPT_FLAGS_CONSENSUS                                                                        \
    (SCRIPT_VERIFY_P2SH | SCRIPT_VERIFY_DERSIG | SCRIPT_VERIFY_NULLDUMMY |                            \
        SCRIPT_VERIFY_CHECKLOCKTIMEVERIFY | SCRIPT_VERIFY_CHECKSEQUENCEVERIFY | SCRIPT_VERIFY_WITNESS | \
        SCRIPT_VERIFY_TAPROOT)
#define SCRIPT_FLAGS_STANDARD                                                                         \
    (SCRIPT_FLAGS_CONSENSUS | SCRIPT_VERIFY_STRICTENC | SCRIPT_VERIFY_LOW_S | SCRIPT_VERIFY_MINIMALDATA | \
        SCRIPT_VERIFY_DISCOURAGE_UPGRADABLE_NOPS | SCRIPT_VERIFY_CLEANSTACK | SCRIPT_VERIFY_MINIMALIF | \
        SCRIPT_VERIFY_NULLFAIL | SCRIPT_VERIFY_DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM |                \
        SCRIPT_VERIFY_WITNESS_PUBKEYTYPE | SCRIPT_VERIFY_CONST_SCRIPTCODE |                           \
        SCRIPT_VERIFY_DISCOURAGE_UPGRADABLE_TAPROOT_VERSION | SCRIPT_VERIFY_DISCOURAGE_OP_SUCCESS |   \
        SCRIPT_VERIFY_DISCOURAGE_UPGRADABLE_PUBKEYTYPE)

enum script_error {
    SCRIPT_OK = 0,
    SCRIPT_ERR_UNKNOWN_ERROR, SCRIPT_ERR_EVAL_FALSE, SCRIPT_ERR_OP_RETURN,
    SCRIPT_ERR_SCRIPT_SIZE, SCRIPT_ERR_PUSH_SIZE, SCRIPT_ERR_OP_COUNT, SCRIPT_ERR_STACK_SIZE,
    SCRIPT_ERR_SIG_COUNT, SCRIPT_ERR_PUBKEY_COUNT,
    SCRIPT_ERR_VERIFY, SCRIPT_ERR_EQUALVERIFY, SCRIPT_ERR_CHECKMULTISIGVERIFY,
    SCRIPT_ERR_CHECKSIGVERIFY, SCRIPT_ERR_NUMEQUALVERIFY,
    SCRIPT_ERR_BAD_OPCODE, SCRIPT_ERR_DISABLED_OPCODE, SCRIPT_ERR_INVALID_STACK_OPERATION,
    SCRIPT_ERR_INVALID_ALTSTACK_OPERATION, SCRIPT_ERR_UNBALANCED_CONDITIONAL,
    SCRIPT_ERR_NEGATIVE_LOCKTIME, SCRIPT_ERR_UNSATISFIED_LOCKTIME,
    SCRIPT_ERR_SIG_HASHTYPE, SCRIPT_ERR_SIG_DER, SCRIPT_ERR_MINIMALDATA, SCRIPT_ERR_SIG_PUSHONLY,
    SCRIPT_ERR_SIG_HIGH_S, SCRIPT_ERR_SIG_NULLDUMMY, SCRIPT_ERR_PUBKEYTYPE, SCRIPT_ERR_CLEANSTACK,
    SCRIPT_ERR_MINIMALIF, SCRIPT_ERR_SIG_NULLFAIL,
    SCRIPT_ERR_DISCOURAGE_UPGRADABLE_NOPS, SCRIPT_ERR_DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM,
    SCRIPT_ERR_DISCOURAGE_UPGRADABLE_TAPROOT_VERSION, SCRIPT_ERR_DISCOURAGE_OP_SUCCESS,
    SCRIPT_ERR_DISCOURAGE_UPGRADABLE_PUBKEYTYPE,
    SCRIPT_ERR_WITNESS_PROGRAM_WRONG_LENGTH, SCRIPT_ERR_WITNESS_PROGRAM_WITNESS_EMPTY,
    SCRIPT_ERR_WITNESS_PROGRAM_MISMATCH, SCRIPT_ERR_WITNESS_MALLEATED,
    SCRIPT_ERR_WITNESS_MALLEATED_P2SH, SCRIPT_ERR_WITNESS_UNEXPECTED, SCRIPT_ERR_WITNESS_PUBKEYTYPE,
    SCRIPT_ERR_SCHNORR_SIG_SIZE, SCRIPT_ERR_SCHNORR_SIG_HASHTYPE, SCRIPT_ERR_SCHNORR_SIG,
    SCRIPT_ERR_TAPROOT_WRONG_CONTROL_SIZE, SCRIPT_ERR_TAPSCRIPT_VALIDATION_WEIGHT,
    SCRIPT_ERR_TAPSCRIPT_CHECKMULTISIG, SCRIPT_ERR_TAPSCRIPT_MINIMALIF,
    SCRIPT_ERR_TAPSCRIPT_EMPTY_PUBKEY, SCRIPT_ERR_OP_CODESEPARATOR, SCRIPT_ERR_SIG_FINDANDDELETE,
    SCRIPT_ERR_SCRIPTNUM,
    SCRIPT_ERR_COUNT
};
const char *script_error_name(enum script_error e); /* "EVAL_FALSE", as in script_tests.json */
const char *script_error_text(enum script_error e); /* Bitcoin's sentence, for reject reasons */

/* One input of a transaction against the coin it spends. `pre`: the hashes that the inputs of one
 * transaction share (script/sighash.h), made once; it holds all spent outputs, which taproot signs. */
enum script_error script_verify_input(const struct sighash_pre *pre, uint32_t input, uint32_t flags);

/* The general form, for tests and tools. */
enum script_error script_verify(struct span script_sig, struct span script_pubkey,
    const struct span *witness, uint32_t witness_count, uint32_t flags, const struct sighash_pre *pre,
    uint32_t input);

/* Signature operations: legacy count (accurate: multisig counted by its n), and BIP141 cost of one
 * transaction given its spent scripts (prevouts[i] for input i; NULL for a coinbase). */
uint32_t script_sigops(struct span script, bool accurate);
int64_t tx_sigop_cost(const struct tx *tx, const struct coin *prevouts, uint32_t flags);
uint32_t tx_legacy_sigops(const struct tx *tx);
uint32_t tx_p2sh_sigops(const struct tx *tx, const struct coin *prevouts);
/* BIP54's count: what may run when the inputs are spent (scriptSig, spent script, P2SH), counted accurately;
 * not what outputs hold, not witnesses. */
uint32_t tx_spending_sigops(const struct tx *tx, const struct coin *prevouts);

#endif
