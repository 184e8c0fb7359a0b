/* vec_bip340.c - proves Schnorr signing and verifying against BIP340's rows, messages of all lengths and
 * keys off the curve included. */
#include "vec.h"

enum { INDEX, SECRET, PUBKEY, AUX, MESSAGE, SIGNATURE, RESULT, COMMENT, COLUMNS };

#define MESSAGE_MAX_B 1024

static bool split(struct span out[COLUMNS], struct span line) /* the comment may hold commas */
{
    const uint8_t *at = line.data, *end = line.data + line.size_b;
    for (int i = 0; i < COLUMNS; i++) {
        const uint8_t *from = at;
        while (at < end && (*at != ',' || i == COMMENT))
            at++;
        out[i] = span_of(from, (size_t)(at - from));
        if (at == end)
            return i == COMMENT;
        at++;
    }
    return true;
}

static void row(struct vec *v, const struct span f[COLUMNS])
{
    uint8_t key[32], x[32], aux[32], sig[64], made[64], pubkey[33];
    struct buf message;
    bool want = span_is(f[RESULT], "TRUE");
    buf_init(&message, MESSAGE_MAX_B);
    bool read = hex_decode(x, 32, f[PUBKEY]) && hex_decode(sig, 64, f[SIGNATURE]) && hex_to_buf(&message, f[MESSAGE]) &&
                (want || span_is(f[RESULT], "FALSE"));
    vec_case(v, read && secp_schnorr_verify(x, sig, buf_span(&message)) == want, "row %s, verify: %s",
        vec_text(f[INDEX]), vec_text(f[COMMENT]));
    if (read && f[SECRET].size_b > 0) {
        bool ok = hex_decode(key, 32, f[SECRET]) && secp_pubkey_create(pubkey, key) && memcmp(pubkey + 1, x, 32) == 0;
        if (message.size_b == 32) /* what this project signs: hashes */
            ok = ok && hex_decode(aux, 32, f[AUX]) && secp_schnorr_sign(made, key, NULL, message.data, aux) &&
                 memcmp(made, sig, 64) == 0;
        vec_case(v, ok, "row %s, sign: %s", vec_text(f[INDEX]), vec_text(f[COMMENT]));
    }
    buf_clear(&message);
}

static bool run(struct vec *v, struct span content)
{
    const uint8_t *at = content.data, *end = content.data + content.size_b;
    bool header = true;
    while (at < end) {
        const uint8_t *from = at;
        struct span fields[COLUMNS];
        while (at < end && *at != '\n')
            at++;
        struct span line = span_of(from, (size_t)(at - from));
        if (line.size_b > 0 && line.data[line.size_b - 1] == '\r')
            line.size_b--;
        at += at < end;
        if (line.size_b == 0)
            continue;
        bool fits = split(fields, line);
        if (header) {
            if (!fits || !span_is(fields[SECRET], "secret key"))
                return false;
            header = false;
        } else if (fits) {
            row(v, fields);
        } else {
            vec_case(v, false, "no row: %s", vec_text(line));
        }
    }
    return !header;
}

int main(int argc, char **argv)
{
    struct vec v;
    if (!vec_start(&v, argc, argv))
        return 2;
    vec_folder(&v, "keys", "bip340", ".csv", run);
    return vec_end(&v);
}
