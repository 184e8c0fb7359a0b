/* bip324.h - the packet cipher of the encrypted transport (BIP324): ChaCha20 for lengths, ChaCha20-Poly1305
 * (RFC 8439) for contents, new keys every 224 packets. Packets are worked on in pieces and in place, so that
 * bytes are decrypted as they arrive; nothing decrypted may be believed before its tag was checked.
 * Owner of the contexts: the struct; clear wipes the keys. Thread: the owner of the struct. */
#ifndef COIN_CRYPTO_BIP324_H
#define COIN_CRYPTO_BIP324_H

#include "coin/base/bytes.h"

#define BIP324_LENGTH_SIZE_B 3
#define BIP324_HEADER_SIZE_B 1
#define BIP324_TAG_SIZE_B 16
#define BIP324_OVERHEAD_B (BIP324_LENGTH_SIZE_B + BIP324_HEADER_SIZE_B + BIP324_TAG_SIZE_B)
#define BIP324_CONTENT_MAX_B ((1u << 24) - 1)
#define BIP324_IGNORE 0x80 /* of the header: a decoy */
#define BIP324_REKEY_PACKETS 224
#define BIP324_GARBAGE_MAX_B 4095
#define BIP324_TERMINATOR_SIZE_B 16

struct evp_cipher_ctx_st; /* OpenSSL's */
struct bip324_cipher { /* one direction */
    struct evp_cipher_ctx_st *length, *packet;
    uint8_t key[32]; /* of packets */
    uint64_t lengths, packets;
    bool encrypts, failed;
};
struct bip324_keys {
    struct bip324_cipher send, receive;
    uint8_t send_terminator[BIP324_TERMINATOR_SIZE_B], receive_terminator[BIP324_TERMINATOR_SIZE_B];
    uint8_t session_id[32];
};

/* All keys of a connection from the secret of ellswift_secret. false: out of memory (nothing to clear). */
bool bip324_keys_init(struct bip324_keys *keys, const uint8_t secret[32], const uint8_t magic[4], bool initiating,
    struct fail *why) MUST_USE;
void bip324_keys_clear(struct bip324_keys *keys); /* also of zeroes */

/* Length of the next packet's contents, to or from the wire; one call per packet, before the packet. */
void bip324_put_length(struct bip324_cipher *cipher, uint8_t out[BIP324_LENGTH_SIZE_B], uint32_t size_b);
uint32_t bip324_get_length(struct bip324_cipher *cipher, const uint8_t in[BIP324_LENGTH_SIZE_B]);
/* One packet: begin, then the header and the contents in pieces of any size (out may be in), then the tag. */
void bip324_begin(struct bip324_cipher *cipher, struct span extra);
void bip324_crypt(struct bip324_cipher *cipher, uint8_t *out, const uint8_t *in, size_t size_b);
void bip324_end_send(struct bip324_cipher *cipher, uint8_t tag[BIP324_TAG_SIZE_B]);
bool bip324_end_receive(struct bip324_cipher *cipher, const uint8_t tag[BIP324_TAG_SIZE_B]) MUST_USE;

#endif
