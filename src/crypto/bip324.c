/* The packet cipher. The contexts are OpenSSL's and made once per connection: a packet sets a nonce, every
 * 224th a key. Should OpenSSL ever fail, that sticks to the cipher: zeroes leave instead of plain text, and
 * no tag is good any more. */
#include "coin/crypto/bip324.h"

#include <openssl/evp.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/crypto/hash.h"

#define PIECE_MAX_B (1u << 30) /* OpenSSL counts in int */

static bool cipher_init(struct bip324_cipher *cipher, const uint8_t length_key[32], const uint8_t packet_key[32],
    bool encrypts);
static void cipher_clear(struct bip324_cipher *cipher);
static void start_lengths(struct bip324_cipher *cipher, const uint8_t key[32]);
static void start_packet(struct bip324_cipher *cipher, const uint8_t first[4], bool encrypts);
static void packet_done(struct bip324_cipher *cipher);
static void must(struct bip324_cipher *cipher, bool ok);

bool bip324_keys_init(struct bip324_keys *keys, const uint8_t secret[32], const uint8_t magic[4], bool initiating,
    struct fail *why)
{
    static const char *const info[] = {"initiator_L", "initiator_P", "responder_L", "responder_P",
        "garbage_terminators", "session_id"};
    enum { INITIATOR_L, INITIATOR_P, RESPONDER_L, RESPONDER_P, TERMINATORS, SESSION, COUNT };
    static const char salt_text[] = "bitcoin_v2_shared_secret";
    uint8_t salt[sizeof salt_text - 1 + 4], prk[32], out[COUNT][32];
    memset(keys, 0, sizeof *keys);
    memcpy(salt, salt_text, sizeof salt_text - 1);
    memcpy(salt + sizeof salt_text - 1, magic, 4);
    hmac_sha256(prk, span_of(salt, sizeof salt), span_of(secret, 32)); /* HKDF (RFC 5869) */
    for (unsigned i = 0; i < COUNT; i++) {
        uint8_t text[32];
        size_t length = strlen(info[i]);
        memcpy(text, info[i], length);
        text[length] = 1;
        hmac_sha256(out[i], span_of(prk, sizeof prk), span_of(text, length + 1));
    }
    struct bip324_cipher *initiator = initiating ? &keys->send : &keys->receive;
    struct bip324_cipher *responder = initiating ? &keys->receive : &keys->send;
    bool ok = cipher_init(initiator, out[INITIATOR_L], out[INITIATOR_P], initiating) &&
              cipher_init(responder, out[RESPONDER_L], out[RESPONDER_P], !initiating);
    memcpy(initiating ? keys->send_terminator : keys->receive_terminator, out[TERMINATORS], 16);
    memcpy(initiating ? keys->receive_terminator : keys->send_terminator, out[TERMINATORS] + 16, 16);
    memcpy(keys->session_id, out[SESSION], sizeof keys->session_id);
    mem_wipe(prk, sizeof prk);
    mem_wipe(out, sizeof out);
    if (ok)
        return true;
    bip324_keys_clear(keys);
    return fail_oom(why, "ciphers");
}

void bip324_keys_clear(struct bip324_keys *keys)
{
    cipher_clear(&keys->send);
    cipher_clear(&keys->receive);
    mem_wipe(keys, sizeof *keys);
}

void bip324_put_length(struct bip324_cipher *cipher, uint8_t out[BIP324_LENGTH_SIZE_B], uint32_t size_b)
{
    uint8_t plain[BIP324_LENGTH_SIZE_B] = {(uint8_t)size_b, (uint8_t)(size_b >> 8), (uint8_t)(size_b >> 16)};
    uint8_t next_key[32] = {0};
    int n;
    must(cipher, EVP_EncryptUpdate(cipher->length, out, &n, plain, sizeof plain) == 1);
    if (++cipher->lengths % BIP324_REKEY_PACKETS != 0)
        return;
    must(cipher, EVP_EncryptUpdate(cipher->length, next_key, &n, next_key, sizeof next_key) == 1);
    start_lengths(cipher, next_key);
    mem_wipe(next_key, sizeof next_key);
}

uint32_t bip324_get_length(struct bip324_cipher *cipher, const uint8_t in[BIP324_LENGTH_SIZE_B])
{
    uint8_t out[BIP324_LENGTH_SIZE_B]; /* a stream cipher: the same way back */
    bip324_put_length(cipher, out, (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16);
    return (uint32_t)out[0] | (uint32_t)out[1] << 8 | (uint32_t)out[2] << 16;
}

void bip324_begin(struct bip324_cipher *cipher, struct span extra)
{
    uint8_t first[4];
    int n;
    put_u32le(first, (uint32_t)(cipher->packets % BIP324_REKEY_PACKETS));
    start_packet(cipher, first, cipher->encrypts);
    if (extra.size_b > 0)
        must(cipher, EVP_CipherUpdate(cipher->packet, NULL, &n, extra.data, (int)extra.size_b) == 1);
}

void bip324_crypt(struct bip324_cipher *cipher, uint8_t *out, const uint8_t *in, size_t size_b)
{
    int n;
    if (size_b == 0)
        return;
    must(cipher, size_b <= PIECE_MAX_B && EVP_CipherUpdate(cipher->packet, out, &n, in, (int)size_b) == 1 &&
                     (size_t)n == size_b);
    if (cipher->failed)
        memset(out, 0, size_b);
}

void bip324_end_send(struct bip324_cipher *cipher, uint8_t tag[BIP324_TAG_SIZE_B])
{
    int n;
    must(cipher, EVP_CipherFinal_ex(cipher->packet, tag, &n) == 1 &&
         EVP_CIPHER_CTX_ctrl(cipher->packet, EVP_CTRL_AEAD_GET_TAG, BIP324_TAG_SIZE_B, tag) == 1);
    packet_done(cipher);
}

bool bip324_end_receive(struct bip324_cipher *cipher, const uint8_t tag[BIP324_TAG_SIZE_B])
{
    uint8_t copy[BIP324_TAG_SIZE_B], none[BIP324_TAG_SIZE_B];
    int n;
    memcpy(copy, tag, sizeof copy);
    must(cipher, EVP_CIPHER_CTX_ctrl(cipher->packet, EVP_CTRL_AEAD_SET_TAG, sizeof copy, copy) == 1);
    bool good = EVP_CipherFinal_ex(cipher->packet, none, &n) == 1;
    packet_done(cipher);
    return good && !cipher->failed;
}

static bool cipher_init(struct bip324_cipher *cipher, const uint8_t length_key[32], const uint8_t packet_key[32],
    bool encrypts)
{
    cipher->encrypts = encrypts;
    cipher->length = EVP_CIPHER_CTX_new();
    cipher->packet = EVP_CIPHER_CTX_new();
    if (cipher->length == NULL || cipher->packet == NULL ||
        EVP_EncryptInit_ex(cipher->length, EVP_chacha20(), NULL, NULL, NULL) != 1 ||
        EVP_CipherInit_ex(cipher->packet, EVP_chacha20_poly1305(), NULL, NULL, NULL, encrypts) != 1)
        return false;
    memcpy(cipher->key, packet_key, sizeof cipher->key);
    start_lengths(cipher, length_key);
    return true;
}

static void cipher_clear(struct bip324_cipher *cipher)
{
    EVP_CIPHER_CTX_free(cipher->length); /* wipes its keys */
    EVP_CIPHER_CTX_free(cipher->packet);
    mem_wipe(cipher, sizeof *cipher);
}

/* Nonce: 4 bytes of block counter for OpenSSL, 4 zeroes, the count of keys used up. */
static void start_lengths(struct bip324_cipher *cipher, const uint8_t key[32])
{
    uint8_t iv[16] = {0};
    put_u64le(iv + 8, cipher->lengths / BIP324_REKEY_PACKETS);
    must(cipher, EVP_EncryptInit_ex(cipher->length, NULL, NULL, key, iv) == 1);
}

static void start_packet(struct bip324_cipher *cipher, const uint8_t first[4], bool encrypts)
{
    uint8_t nonce[12];
    memcpy(nonce, first, 4);
    put_u64le(nonce + 4, cipher->packets / BIP324_REKEY_PACKETS);
    must(cipher, EVP_CipherInit_ex(cipher->packet, NULL, NULL, cipher->key, nonce, encrypts) == 1);
}

static void packet_done(struct bip324_cipher *cipher)
{
    static const uint8_t last[4] = {0xff, 0xff, 0xff, 0xff};
    uint8_t zero[32] = {0};
    int n;
    if ((cipher->packets + 1) % BIP324_REKEY_PACKETS == 0) {
        start_packet(cipher, last, true);
        must(cipher, EVP_CipherUpdate(cipher->packet, cipher->key, &n, zero, sizeof zero) == 1);
    }
    cipher->packets++;
}

static void must(struct bip324_cipher *cipher, bool ok)
{
    cipher->failed = cipher->failed || !ok;
}
