/* address.c - scripts as people pass them on: base58check (P2PKH, P2SH), bech32 and bech32m (witness
 * programs), and private keys as WIF. Error sentences are Bitcoin's: they reach the user of an RPC as
 * they are.
 *
 * Base58 is tried first even when the text begins like the chain's bech32 prefix: on `coin` both begin
 * with a c, and one base58 address in 25,000 reads "Coin" in some mixture of cases. */
#include "coin/script/address.h"

#include <string.h>
#include <strings.h>

#include "coin/base/mem.h"
#include "coin/crypto/base58.h"
#include "coin/crypto/secp.h"

#define RPC_INVALID_ADDRESS_OR_KEY (-5)
#define BASE58_ADDRESS_B 21 /* version, hash */
#define BASE58_CHECKSUM_B 4   /* decoded along, so it needs room */
#define BASE58_TEXT_MAX_B 100 /* what may still be a mistyped address */
#define WIF_B 33            /* version, key; one byte 01 more when compressed */
#define WITNESS_VERSION_MAX 16
#define PROGRAM_MIN_B 2
#define PROGRAM_MAX_B 40

static bool finish_text(char out[ADDRESS_SIZE_B], struct buf *text);
static bool decode_base58(struct buf *script, const struct chain *chain, struct span text);
static bool explain_base58(const struct chain *chain, struct span text, struct fail *why);
static bool decode_bech32(struct buf *script, const struct chain *chain, struct span text, struct fail *why);
static bool put_program(struct buf *script, uint32_t version, struct span program, struct fail *why);
static bool explain_bech32(struct span text, struct fail *why);
static bool from_five_bits(struct buf *out, struct span values);
static bool refuse(struct fail *why, const char *sentence);

bool address_from_script(char out[ADDRESS_SIZE_B], const struct chain *chain, struct span script)
{
    struct script_match m = script_match(script);
    uint8_t bytes[BASE58_ADDRESS_B];
    struct buf text;
    bool ok = false;

    buf_init(&text, ADDRESS_SIZE_B - 1);
    switch (m.kind) {
    case SCRIPT_PUBKEYHASH:
    case SCRIPT_SCRIPTHASH:
        bytes[0] = m.kind == SCRIPT_PUBKEYHASH ? chain->base58_p2pkh : chain->base58_p2sh;
        memcpy(bytes + 1, m.payload.data, sizeof bytes - 1);
        ok = base58check_encode(&text, span_of(bytes, sizeof bytes));
        break;
    case SCRIPT_WITNESS_V0_KEYHASH:
    case SCRIPT_WITNESS_V0_SCRIPTHASH:
    case SCRIPT_WITNESS_V1_TAPROOT:
    case SCRIPT_ANCHOR:
    case SCRIPT_WITNESS_UNKNOWN:
        ok = segwit_encode(&text, chain->hrp, m.witness_version, m.payload);
        break;
    case SCRIPT_NONSTANDARD:
    case SCRIPT_PUBKEY:
    case SCRIPT_MULTISIG:
    case SCRIPT_NULLDATA:
        break;
    }
    return finish_text(out, &text) && ok;
}

static bool finish_text(char out[ADDRESS_SIZE_B], struct buf *text)
{
    bool ok = !text->failed && text->size_b > 0 && text->size_b < ADDRESS_SIZE_B;
    if (ok)
        memcpy(out, text->data, text->size_b);
    out[ok ? text->size_b : 0] = 0;
    buf_clear(text);
    return ok;
}

bool address_to_script(struct buf *script, const struct chain *chain, struct span text, struct fail *why)
{
    size_t hrp_b = strlen(chain->hrp);
    if (decode_base58(script, chain, text))
        return buf_ok(script, "address", why);
    if (text.size_b < hrp_b || strncasecmp((const char *)text.data, chain->hrp, hrp_b) != 0)
        return explain_base58(chain, text, why);
    return decode_bech32(script, chain, text, why) && buf_ok(script, "address", why);
}

/* ---- base58 ---- */

static bool decode_base58(struct buf *script, const struct chain *chain, struct span text)
{
    struct buf bytes;
    bool ok = false;
    buf_init(&bytes, BASE58_ADDRESS_B + BASE58_CHECKSUM_B);
    if (base58check_decode(&bytes, text) && bytes.size_b == BASE58_ADDRESS_B) {
        ok = bytes.data[0] == chain->base58_p2pkh || bytes.data[0] == chain->base58_p2sh;
        if (ok && bytes.data[0] == chain->base58_p2pkh)
            script_put_p2pkh(script, bytes.data + 1);
        else if (ok)
            script_put_p2sh(script, bytes.data + 1);
    }
    buf_clear(&bytes);
    return ok;
}

static bool explain_base58(const struct chain *chain, struct span text, struct fail *why)
{
    const char *sentence = "Invalid or unsupported Segwit (Bech32) or Base58 encoding.";
    struct buf bytes, raw;
    buf_init(&bytes, BASE58_ADDRESS_B + BASE58_CHECKSUM_B);
    buf_init(&raw, BASE58_TEXT_MAX_B);
    if (base58check_decode(&bytes, text) && bytes.size_b <= BASE58_ADDRESS_B) {
        bool ours = bytes.size_b > 0 &&
                    (bytes.data[0] == chain->base58_p2pkh || bytes.data[0] == chain->base58_p2sh);
        sentence = ours ? "Invalid length for Base58 address (P2PKH or P2SH)"
                        : "Invalid or unsupported Base58-encoded address.";
    } else if (base58_decode(&raw, text)) {
        sentence = "Invalid checksum or length of Base58 address (P2PKH or P2SH)";
    }
    buf_clear(&bytes);
    buf_clear(&raw);
    return refuse(why, sentence);
}

/* ---- bech32 ---- */

static bool decode_bech32(struct buf *script, const struct chain *chain, struct span text, struct fail *why)
{
    char hrp[84];
    enum bech32_kind kind;
    struct buf values, program;
    bool ok = false;

    buf_init(&values, BECH32_TEXT_MAX);
    buf_init(&program, BECH32_TEXT_MAX);
    if (!bech32_decode(&values, hrp, &kind, text)) {
        explain_bech32(text, why);
    } else if (values.size_b == 0) {
        refuse(why, "Empty Bech32 data section");
    } else if (strcmp(hrp, chain->hrp) != 0) {
        fail_request(why, RPC_INVALID_ADDRESS_OR_KEY,
            "Invalid or unsupported prefix for Segwit (Bech32) address (expected %s, got %s).", chain->hrp,
            hrp);
    } else if (values.data[0] == 0 && kind != BECH32) {
        refuse(why, "Version 0 witness address must use Bech32 checksum");
    } else if (values.data[0] != 0 && kind != BECH32M) {
        refuse(why, "Version 1+ witness address must use Bech32m checksum");
    } else if (!from_five_bits(&program, span_of(values.data + 1, values.size_b - 1))) {
        refuse(why, "Invalid padding in Bech32 data section");
    } else {
        ok = put_program(script, values.data[0], buf_span(&program), why);
    }
    buf_clear(&values);
    buf_clear(&program);
    return ok;
}

static bool put_program(struct buf *script, uint32_t version, struct span program, struct fail *why)
{
    const char *unit = program.size_b == 1 ? "byte" : "bytes";
    if (version == 0 && program.size_b != 20 && program.size_b != 32)
        return fail_request(why, RPC_INVALID_ADDRESS_OR_KEY,
            "Invalid Bech32 v0 address program size (%zu %s), per BIP141", program.size_b, unit);
    if (version > WITNESS_VERSION_MAX)
        return refuse(why, "Invalid Bech32 address witness version");
    if (program.size_b < PROGRAM_MIN_B || program.size_b > PROGRAM_MAX_B)
        return fail_request(why, RPC_INVALID_ADDRESS_OR_KEY, "Invalid Bech32 address program size (%zu %s)",
            program.size_b, unit);
    script_put_witness(script, version, program);
    return true;
}

/* What is wrong with a text that did not decode. */
static bool explain_bech32(struct span text, struct fail *why)
{
    static const char charset[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    bool lower = false, upper = false;
    size_t separator = text.size_b;

    if (text.size_b > BECH32_TEXT_MAX)
        return refuse(why, "Bech32 string too long");
    for (size_t i = 0; i < text.size_b; i++) {
        uint8_t c = text.data[i];
        lower |= c >= 'a' && c <= 'z';
        upper |= c >= 'A' && c <= 'Z';
        if (c < 33 || c > 126 || (lower && upper))
            return refuse(why, "Invalid character or mixed case");
        if (c == '1')
            separator = i;
    }
    if (separator == text.size_b)
        return refuse(why, "Missing separator");
    if (separator == 0 || separator + 7 > text.size_b)
        return refuse(why, "Invalid separator position");
    for (size_t i = separator + 1; i < text.size_b; i++) {
        if (memchr(charset, text.data[i] | 0x20, sizeof charset - 1) == NULL)
            return refuse(why, "Invalid Base 32 character");
    }
    return refuse(why, (text.data[separator + 1] | 0x20) == 'q' ? "Invalid Bech32 checksum"
                                                               : "Invalid Bech32m checksum");
}

static bool from_five_bits(struct buf *out, struct span values)
{
    uint32_t held = 0, bits = 0;
    for (size_t i = 0; i < values.size_b; i++) {
        held = (held << 5 | values.data[i]) & 0xfff;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            buf_put_u8(out, (uint8_t)(held >> bits & 0xff));
        }
    }
    return bits < 5 && (held & ((1u << bits) - 1)) == 0 && !out->failed;
}

/* ---- WIF ---- */

bool wif_encode(char out[ADDRESS_SIZE_B], const struct chain *chain, const uint8_t key[32], bool compressed)
{
    uint8_t bytes[WIF_B + 1];
    struct buf text;
    buf_init(&text, ADDRESS_SIZE_B - 1);
    bytes[0] = chain->base58_wif;
    memcpy(bytes + 1, key, 32);
    bytes[WIF_B] = 1;
    bool ok = base58check_encode(&text, span_of(bytes, compressed ? sizeof bytes : WIF_B));
    mem_wipe(bytes, sizeof bytes);
    ok = ok && text.size_b < ADDRESS_SIZE_B;
    if (ok)
        memcpy(out, text.data, text.size_b);
    out[ok ? text.size_b : 0] = 0;
    if (text.data != NULL)
        mem_wipe(text.data, text.size_b);
    buf_clear(&text);
    return ok;
}

bool wif_decode(uint8_t key[32], bool *compressed, const struct chain *chain, struct span text)
{
    struct buf bytes;
    buf_init(&bytes, WIF_B + 1 + BASE58_CHECKSUM_B);
    bool ok = base58check_decode(&bytes, text) && bytes.size_b >= WIF_B &&
              bytes.data[0] == chain->base58_wif &&
              (bytes.size_b == WIF_B || (bytes.size_b == WIF_B + 1 && bytes.data[WIF_B] == 1));
    if (ok) {
        memcpy(key, bytes.data + 1, 32);
        *compressed = bytes.size_b == WIF_B + 1;
        ok = secp_key_is_valid(key);
    }
    if (bytes.data != NULL)
        mem_wipe(bytes.data, bytes.size_b);
    buf_clear(&bytes);
    return ok;
}

static bool refuse(struct fail *why, const char *sentence)
{
    return fail_request(why, RPC_INVALID_ADDRESS_OR_KEY, "%s", sentence);
}
