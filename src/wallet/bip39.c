/* Recovery words. Entropy of 32 * n bits gets a checksum of n bits (the front of its SHA-256); the sum is cut
 * into groups of eleven bits, each naming a word. A mistyped word is found by the sorted list, two swapped
 * ones by the checksum, which is checked before a wallet is made from them. */

#include "coin/wallet/bip39.h"

#include <stdio.h>
#include <string.h>

#include "bip39_words.h"
#include "coin/base/mem.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/sha256.h"

#define WORD_BITS 11
#define WORDS_MIN 12
#define WORDS_MAX 24
#define WORD_LENGTH_MAX 8
#define SEED_ITERATIONS 2048

static int32_t find_word(const char *word);
static bool next_word(struct span *rest, struct span *word);

bool bip39_words_from_entropy(char out[BIP39_TEXT_SIZE_B], struct span entropy)
{
    uint8_t bits[BIP39_ENTROPY_MAX_B + 1], check[32];
    if (entropy.size_b < 16 || entropy.size_b > BIP39_ENTROPY_MAX_B || entropy.size_b % 4 != 0)
        return false;
    sha256(check, entropy.data, entropy.size_b);
    memcpy(bits, entropy.data, entropy.size_b);
    bits[entropy.size_b] = check[0];
    size_t words = entropy.size_b * 8 / 32 * 3, used = 0;
    for (size_t i = 0; i < words; i++) {
        uint32_t index = 0;
        for (size_t b = i * WORD_BITS; b < (i + 1) * WORD_BITS; b++)
            index = index << 1 | ((uint32_t)bits[b / 8] >> (7 - b % 8) & 1u);
        int n = snprintf(out + used, BIP39_TEXT_SIZE_B - used, "%s%s", i > 0 ? " " : "", bip39_words[index]);
        used += (size_t)n;
    }
    mem_wipe(bits, sizeof bits);
    return true;
}

bool bip39_entropy_from_words(uint8_t out[BIP39_ENTROPY_MAX_B], size_t *size_b, struct span words,
    struct fail *why)
{
    uint8_t bits[BIP39_ENTROPY_MAX_B + 1] = {0}, check[32];
    struct span word;
    uint32_t count = 0;
    while (next_word(&words, &word)) {
        char text[WORD_LENGTH_MAX + 1] = "";
        if (word.size_b <= WORD_LENGTH_MAX)
            memcpy(text, word.data, word.size_b);
        int32_t index = find_word(text);
        if (index < 0)
            return fail_request(why, -8, "Word %u (\"%.*s\") is not in the English BIP39 word list",
                (unsigned)count + 1, word.size_b > 32 ? 32 : (int)word.size_b, (const char *)word.data);
        if (count == WORDS_MAX)
            return fail_request(why, -8, "Too many recovery words: 12, 15, 18, 21 or 24 are expected");
        for (uint32_t b = 0; b < WORD_BITS; b++) {
            uint32_t at = count * WORD_BITS + b;
            if ((uint32_t)index >> (WORD_BITS - 1 - b) & 1u)
                bits[at / 8] = (uint8_t)(bits[at / 8] | 0x80u >> at % 8);
        }
        count++;
    }
    if (count < WORDS_MIN || count % 3 != 0)
        return fail_request(
            why, -8, "%u recovery words given: 12, 15, 18, 21 or 24 are expected", (unsigned)count);
    *size_b = count / 3 * 4;
    uint8_t mask = (uint8_t)(0xff00u >> count / 3); /* one bit of checksum per three words */
    sha256(check, bits, *size_b);
    bool good = (check[0] & mask) == (bits[*size_b] & mask);
    memcpy(out, bits, *size_b);
    mem_wipe(bits, sizeof bits);
    if (!good)
        return fail_request(
            why, -8, "The checksum of the recovery words does not fit: is a word wrong or out of order?");
    return true;
}

bool bip39_seed(uint8_t seed[BIP39_SEED_SIZE_B], struct span words, struct span passphrase, struct fail *why)
{
    struct buf salt;
    buf_init(&salt, 4096);
    buf_put_text(&salt, "mnemonic");
    buf_put(&salt, passphrase.data, passphrase.size_b);
    bool ok = buf_ok(&salt, "passphrase", why) &&
              pbkdf2_sha512(seed, BIP39_SEED_SIZE_B, words, buf_span(&salt), SEED_ITERATIONS, why);
    if (salt.data != NULL)
        mem_wipe(salt.data, salt.size_b);
    buf_clear(&salt);
    return ok;
}

static int32_t find_word(const char *word)
{
    int32_t low = 0, high = BIP39_WORDS - 1;
    while (low <= high) {
        int32_t middle = (low + high) / 2;
        int order = strcmp(word, bip39_words[middle]);
        if (order == 0)
            return middle;
        if (order < 0)
            high = middle - 1;
        else
            low = middle + 1;
    }
    return -1;
}

static bool next_word(struct span *rest, struct span *word)
{
    size_t start = 0, end;
    while (start < rest->size_b && rest->data[start] <= ' ')
        start++;
    end = start;
    while (end < rest->size_b && rest->data[end] > ' ')
        end++;
    *word = span_of(rest->data + start, end - start);
    *rest = span_of(rest->data + end, rest->size_b - end);
    return end > start;
}
