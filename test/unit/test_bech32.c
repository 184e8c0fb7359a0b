/* Proves bech32, bech32m and witness addresses against BIP173's and BIP350's own lists, that any change of
 * up to two characters is seen, and that nothing invalid is ever written. */
#include <check.h>
#include <string.h>

#include "coin/crypto/base58.h"
#include "unit.h"

static const struct { const char *text; enum bech32_kind kind; } valid[] = {
    { "A12UEL5L", BECH32 }, { "a12uel5l", BECH32 },
    { "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs", BECH32 },
    { "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", BECH32 },
    { "11qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqc8247j", BECH32 },
    { "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w", BECH32 }, { "?1ezyfcl", BECH32 },
    { "A1LQFN3A", BECH32M }, { "a1lqfn3a", BECH32M },
    { "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6", BECH32M },
    { "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx", BECH32M },
    { "11llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllludsr8", BECH32M },
    { "split1checkupstagehandshakeupstreamerranterredcaperredlc445v", BECH32M }, { "?1v759aa", BECH32M },
};

static const char *const invalid[] = {
    " 1nwldj5", "\x7f" "1axkwrx", "\x80" "1eym55h",
    "an84characterslonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1569pvx",
    "pzry9x0s0muk", "1pzry9x0s0muk", "x1b4n0q5v", "li1dgmt3", "de1lg7wt\xff", "A1G7SGD8", "10a06t8", "1qzzfhee",
    " 1xj0phk", "\x7f" "1g6xzxy", "\x80" "1vctc34",
    "an84characterslonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11d6pts4",
    "qyrz8wqd2c9m", "1qyrz8wqd2c9m", "y1b0jsk6g", "lt1igcx5c0", "in1muywd", "mm1crxm3i", "au1s5cgom", "M1VUXWEZ",
    "16plkw9", "1p2gdwpf", "", "1", "a", "A12uEL5L", "a12UEL5L",
};

static bool decode(struct buf *values, char hrp[84], enum bech32_kind *kind, struct span text)
{
    buf_init(values, BECH32_TEXT_MAX);
    return bech32_decode(values, hrp, kind, text);
}

START_TEST(valid_text)
{
    char hrp[84], lower[BECH32_TEXT_MAX + 1] = { 0 };
    enum bech32_kind kind;
    struct buf values, out;
    struct span text = span_text(valid[_i].text);
    ck_assert(decode(&values, hrp, &kind, text));
    ck_assert_int_eq(kind, valid[_i].kind);
    for (size_t i = 0; i < text.size_b; i++)
        lower[i] = (char)(text.data[i] >= 'A' && text.data[i] <= 'Z' ? text.data[i] + 32 : text.data[i]);
    ck_assert_uint_eq(strlen(hrp) + 1 + values.size_b + 6, text.size_b);
    ck_assert_int_eq(strncmp(hrp, lower, strlen(hrp)), 0);
    buf_init(&out, BECH32_TEXT_MAX);
    ck_assert(bech32_encode(&out, hrp, buf_span(&values), kind));
    ck_assert(span_is(buf_span(&out), lower));
    buf_clear(&out);
    buf_clear(&values);
}
END_TEST

START_TEST(invalid_text)
{
    char hrp[84];
    enum bech32_kind kind;
    struct buf values;
    ck_assert_msg(!decode(&values, hrp, &kind, span_text(invalid[_i])), "row %d", _i);
    buf_clear(&values);
}
END_TEST

/* The code finds any two changed characters (four, by BIP173; two are tried). */
START_TEST(changes_are_seen)
{
    static const char charset[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    char text[] = "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w", hrp[84];
    enum bech32_kind kind;
    struct buf values;
    size_t length = strlen(text), from = 6;
    for (size_t i = from; i < length; i++) {
        char was = text[i];
        for (const char *c = charset; *c != 0; c++) {
            if (*c == was)
                continue;
            text[i] = *c;
            ck_assert(!decode(&values, hrp, &kind, span_of(text, length)));
            buf_clear(&values);
            for (size_t j = i + 1; j < length; j += 5) {
                char also = text[j];
                text[j] = also == 'q' ? 'p' : 'q';
                ck_assert(!decode(&values, hrp, &kind, span_of(text, length)));
                buf_clear(&values);
                text[j] = also;
            }
        }
        text[i] = was;
    }
    for (size_t i = 0; i < length; i++) {
        ck_assert(!decode(&values, hrp, &kind, span_of(text, i)));
        buf_clear(&values);
    }
}
END_TEST

START_TEST(nothing_invalid_is_written)
{
    uint8_t values[90] = { 0 };
    char hrp84[85];
    struct buf out;
    buf_init(&out, 200);
    memset(hrp84, 'a', 84);
    hrp84[84] = 0;
    ck_assert(!bech32_encode(&out, "", span_of(values, 1), BECH32));
    ck_assert(!bech32_encode(&out, "BC", span_of(values, 1), BECH32));
    ck_assert(!bech32_encode(&out, "a b", span_of(values, 1), BECH32));
    ck_assert(!bech32_encode(&out, "a\x7f", span_of(values, 1), BECH32));
    ck_assert(!bech32_encode(&out, "\xc3\xa9", span_of(values, 1), BECH32));
    ck_assert(!bech32_encode(&out, hrp84, span_of(values, 0), BECH32));
    ck_assert(!bech32_encode(&out, "bc", span_of(values, 82), BECH32)); /* 91 characters */
    ck_assert(bech32_encode(&out, "bc", span_of(values, 81), BECH32));
    values[3] = 32;
    ck_assert(!bech32_encode(&out, "bc", span_of(values, 5), BECH32));
    buf_clear(&out);
    buf_init(&out, 8);
    ck_assert(!bech32_encode(&out, "bc", span_of(values, 3), BECH32)); /* 12 characters into 8 */
    buf_clear(&out);
}
END_TEST

/* ---- witness addresses ---- */

static const struct { const char *hrp, *text; uint32_t version; const char *program; } addresses[] = {
    { "bc", "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", 0, "751e76e8199196d454941c45d1b3a323f1433bd6" },
    { "tb", "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7", 0,
        "1863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262" },
    { "bc", "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y", 1,
        "751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6" },
    { "bc", "BC1SW50QGDZ25J", 16, "751e" },
    { "bc", "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", 2, "751e76e8199196d454941c45d1b3a323" },
    { "tb", "tb1qqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesrxh6hy", 0,
        "000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433" },
    { "tb", "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c", 1,
        "000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433" },
    { "bc", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", 1,
        "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798" },
};

static const struct { const char *hrp, *text; } not_addresses[] = { /* BIP350 */
    { "bc", "tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut" },
    { "bc", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd" },
    { "tb", "tb1z0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqglt7rf" },
    { "bc", "BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL" },
    { "bc", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh" },
    { "tb", "tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47" },
    { "bc", "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4" },
    { "bc", "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R" },
    { "bc", "bc1pw5dgrnzv" },
    { "bc", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav" },
    { "bc", "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P" },
    { "tb", "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq" },
    { "bc", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf" },
    { "tb", "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j" }, { "bc", "bc1gmk9yu" },
    { "tb", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0" }, /* right, for the other chain */
    { "bc", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5" }, { "bc", "" },
};

START_TEST(address)
{
    uint32_t version = 99;
    char lower[BECH32_TEXT_MAX + 1] = { 0 };
    struct buf program, want, text;
    buf_init(&program, 40);
    buf_init(&want, 40);
    buf_init(&text, BECH32_TEXT_MAX);
    ck_assert(hex_to_buf(&want, span_text(addresses[_i].program)));
    ck_assert(segwit_decode(&version, &program, addresses[_i].hrp, span_text(addresses[_i].text)));
    ck_assert_uint_eq(version, addresses[_i].version);
    ck_assert(span_equal(buf_span(&program), buf_span(&want)));
    ck_assert(segwit_encode(&text, addresses[_i].hrp, version, buf_span(&want)));
    for (size_t i = 0; addresses[_i].text[i] != 0; i++) {
        char c = addresses[_i].text[i];
        lower[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    ck_assert(span_is(buf_span(&text), lower));
    buf_clear(&program);
    buf_clear(&want);
    buf_clear(&text);
}
END_TEST

START_TEST(no_address)
{
    uint32_t version;
    struct buf program;
    buf_init(&program, 40);
    ck_assert_msg(!segwit_decode(&version, &program, not_addresses[_i].hrp, span_text(not_addresses[_i].text)),
        "%s", not_addresses[_i].text);
    buf_clear(&program);
}
END_TEST

START_TEST(programs) /* every version and length: written exactly when BIP141 knows it, and read back */
{
    uint8_t program[42];
    for (size_t i = 0; i < sizeof program; i++)
        program[i] = (uint8_t)(i * 37 + 1);
    for (uint32_t version = 0; version <= 18; version++) {
        for (size_t size_b = 0; size_b <= sizeof program; size_b++) {
            bool want = version == 0 ? size_b == 20 || size_b == 32 : version <= 16 && size_b >= 2 && size_b <= 40;
            uint32_t got = 99;
            struct buf text, back;
            buf_init(&text, BECH32_TEXT_MAX);
            buf_init(&back, 40);
            ck_assert_int_eq(segwit_encode(&text, "coin", version, span_of(program, size_b)), want);
            if (want) {
                ck_assert(segwit_decode(&got, &back, "coin", buf_span(&text)));
                ck_assert_uint_eq(got, version);
                ck_assert(span_equal(buf_span(&back), span_of(program, size_b)));
                ck_assert(!segwit_decode(&got, &back, "tcoin", buf_span(&text)));
            }
            buf_clear(&text);
            buf_clear(&back);
        }
    }
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof *(table))

int main(void)
{
    Suite *suite = suite_create("bech32");
    TCase *tc = tcase_create("bech32");
    tcase_add_loop_test(tc, valid_text, 0, ROWS(valid));
    tcase_add_loop_test(tc, invalid_text, 0, ROWS(invalid));
    tcase_add_test(tc, changes_are_seen);
    tcase_add_test(tc, nothing_invalid_is_written);
    tcase_add_loop_test(tc, address, 0, ROWS(addresses));
    tcase_add_loop_test(tc, no_address, 0, ROWS(not_addresses));
    tcase_add_test(tc, programs);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
