/* vec_bip324.c - proves the encrypted transport's parts against BIP324's rows: ElligatorSwift there and back,
 * shared secrets, keys, and packets up to and beyond a change of keys. */
#include "vec.h"

#include "coin/crypto/bip324.h"
#include "coin/crypto/ellswift.h"

#define COLUMNS_MAX 24
#define CONTENT_MAX_B ((size_t)16 << 20)

struct table {
    const char *first; /* name of the first column */
    uint32_t columns;
    void (*row)(struct vec *v, const struct span *f);
};

static bool run_table(struct vec *v, struct span content, const struct table *table)
{
    bool header = true;
    for (size_t at = 0; at < content.size_b;) {
        const uint8_t *line = content.data + at, *end = memchr(line, '\n', content.size_b - at);
        size_t size_b = end != NULL ? (size_t)(end - line) : content.size_b - at;
        struct span fields[COLUMNS_MAX];
        uint32_t count = 0;
        at += size_b + 1;
        if (size_b > 0 && line[size_b - 1] == '\r')
            size_b--;
        for (size_t from = 0, i = 0; i <= size_b && count < COLUMNS_MAX; i++)
            if (i == size_b || line[i] == ',') {
                fields[count++] = span_of(line + from, i - from);
                from = i + 1;
            }
        if (size_b == 0)
            continue;
        if (header && (count < table->columns || !span_is(fields[0], table->first)))
            return false;
        if (!header && count < table->columns)
            vec_case(v, false, "no row: %s", vec_text(span_of(line, size_b)));
        else if (!header)
            table->row(v, fields);
        header = false;
    }
    return !header;
}

static void decode_row(struct vec *v, const struct span *f)
{
    uint8_t encoded[64], want[32], got[32];
    vec_case(v, hex_decode(encoded, 64, f[0]) && hex_decode(want, 32, f[1]) && ellswift_decode(got, encoded) &&
                    memcmp(got, want, 32) == 0, "%s", vec_text(f[0]));
}

static void inverse_row(struct vec *v, const struct span *f)
{
    uint8_t u[32], x[32], want[32], got[32], back[32], encoded[64];
    bool read = hex_decode(u, 32, f[0]) && hex_decode(x, 32, f[1]);
    for (unsigned i = 0; i < 8; i++) {
        bool found = read && ellswift_invert(got, x, u, i);
        if (f[2 + i].size_b == 0) {
            vec_case(v, read && !found, "u %s: case %u has no solution", vec_text(f[0]), i);
            continue;
        }
        memcpy(encoded, u, 32);
        memcpy(encoded + 32, got, 32);
        vec_case(v, found && hex_decode(want, 32, f[2 + i]) && memcmp(got, want, 32) == 0 &&
                        ellswift_decode(back, encoded) && memcmp(back, x, 32) == 0, "u %s: case %u", vec_text(f[0]), i);
    }
}

enum { INDEX, KEY, OURS, THEIRS, INITIATING, CONTENTS, MULTIPLY, EXTRA, IGNORE, X_OURS, X_THEIRS, X_SHARED, SECRET,
       INITIATOR_L, INITIATOR_P, RESPONDER_L, RESPONDER_P, SEND_TERMINATOR, RECEIVE_TERMINATOR, SESSION, CIPHERTEXT,
       CIPHERTEXT_END, PACKET_COLUMNS };

static uint32_t number(struct span text)
{
    uint32_t n = 0;
    for (size_t i = 0; i < text.size_b; i++)
        n = n * 10 + (uint32_t)(text.data[i] - '0');
    return n;
}

/* A packet with these contents; those before it were empty, and their bytes go nowhere. */
static void seal(struct bip324_cipher *cipher, struct buf *out, uint8_t header, struct span contents, struct span extra)
{
    uint8_t length[3], tag[16];
    bip324_put_length(cipher, length, (uint32_t)contents.size_b);
    buf_put(out, length, sizeof length);
    bip324_begin(cipher, extra);
    size_t at = out->size_b;
    buf_put_u8(out, header);
    buf_put(out, contents.data, contents.size_b);
    bip324_crypt(cipher, out->data + at, out->data + at, 1);
    for (size_t done = 0; done < contents.size_b;) { /* in pieces of all sizes */
        size_t piece_b = contents.size_b - done < 1 + done / 3 ? contents.size_b - done : 1 + done / 3;
        bip324_crypt(cipher, out->data + at + 1 + done, out->data + at + 1 + done, piece_b);
        done += piece_b;
    }
    bip324_end_send(cipher, tag);
    buf_put(out, tag, sizeof tag);
}

static bool ends_as_told(const struct buf *sealed, const struct span *f)
{
    struct buf want;
    buf_init(&want, CONTENT_MAX_B);
    bool whole = f[CIPHERTEXT].size_b > 0;
    bool ok = hex_to_buf(&want, whole ? f[CIPHERTEXT] : f[CIPHERTEXT_END]) && want.size_b <= sealed->size_b &&
              (!whole || want.size_b == sealed->size_b) &&
              memcmp(sealed->data + sealed->size_b - want.size_b, want.data, want.size_b) == 0;
    buf_clear(&want);
    return ok;
}

static void packet_row(struct vec *v, const struct span *f)
{
    static const uint8_t magic[4] = {0xf9, 0xbe, 0xb4, 0xd9};
    uint8_t key[32], ours[64], theirs[64], secret[32], want[32];
    struct bip324_keys keys;
    struct fail why;
    struct buf once, contents, extra, sealed;
    bool initiating = span_is(f[INITIATING], "1");
    bool ok = hex_decode(key, 32, f[KEY]) && hex_decode(ours, 64, f[OURS]) && hex_decode(theirs, 64, f[THEIRS]) &&
              ellswift_secret(secret, key, ours, theirs, initiating) && hex_decode(want, 32, f[SECRET]) &&
              memcmp(secret, want, 32) == 0;
    vec_case(v, ok, "row %s: shared secret", vec_text(f[INDEX]));
    vec_case(v, ellswift_decode(key, theirs) && hex_decode(want, 32, f[X_THEIRS]) && memcmp(key, want, 32) == 0 &&
                    ellswift_decode(key, ours) && hex_decode(want, 32, f[X_OURS]) && memcmp(key, want, 32) == 0,
        "row %s: public keys", vec_text(f[INDEX]));
    if (!ok || !bip324_keys_init(&keys, secret, magic, initiating, &why))
        return;
    vec_case(v, hex_decode(want, 16, f[SEND_TERMINATOR]) && memcmp(want, keys.send_terminator, 16) == 0 &&
                    hex_decode(want, 16, f[RECEIVE_TERMINATOR]) && memcmp(want, keys.receive_terminator, 16) == 0 &&
                    hex_decode(want, 32, f[SESSION]) && memcmp(want, keys.session_id, 32) == 0,
        "row %s: terminators and session", vec_text(f[INDEX]));
    buf_init(&once, CONTENT_MAX_B);
    buf_init(&contents, CONTENT_MAX_B);
    buf_init(&extra, CONTENT_MAX_B);
    buf_init(&sealed, CONTENT_MAX_B * 2);
    ok = hex_to_buf(&once, f[CONTENTS]) && hex_to_buf(&extra, f[EXTRA]);
    for (uint32_t i = number(f[MULTIPLY]); i > 0; i--)
        buf_put(&contents, once.data, once.size_b);
    for (uint32_t i = number(f[INDEX]); i > 0; i--) {
        sealed.size_b = 0;
        seal(&keys.send, &sealed, 0, span_of(NULL, 0), span_of(NULL, 0));
    }
    sealed.size_b = 0;
    seal(&keys.send, &sealed, span_is(f[IGNORE], "1") ? BIP324_IGNORE : 0, buf_span(&contents), buf_span(&extra));
    vec_case(v, ok && !sealed.failed && ends_as_told(&sealed, f), "row %s: packet", vec_text(f[INDEX]));
    buf_clear(&once);
    buf_clear(&contents);
    buf_clear(&extra);
    buf_clear(&sealed);
    bip324_keys_clear(&keys);
}

static bool run_decode(struct vec *v, struct span content)
{
    static const struct table table = {"ellswift", 2, decode_row};
    return run_table(v, content, &table);
}

static bool run_inverse(struct vec *v, struct span content)
{
    static const struct table table = {"u", 10, inverse_row};
    return run_table(v, content, &table);
}

static bool run_packets(struct vec *v, struct span content)
{
    static const struct table table = {"in_idx", PACKET_COLUMNS, packet_row};
    return run_table(v, content, &table);
}

int main(int argc, char **argv)
{
    struct vec v;
    if (!vec_start(&v, argc, argv))
        return 2;
    vec_folder(&v, "p2p", "bip324_ellswift", ".csv", run_decode);
    vec_folder(&v, "p2p", "bip324_xswiftec", ".csv", run_inverse);
    vec_folder(&v, "p2p", "bip324_packet", ".csv", run_packets);
    return vec_end(&v);
}
