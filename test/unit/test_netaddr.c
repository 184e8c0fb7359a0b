/* Proves that addresses and subnets survive the way through text, that ranges and groups are those of the
 * RFCs, and that bad text is refused. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "coin/p2p/netaddr.h"
#include "unit.h"

START_TEST(test_text)
{
    static const struct {
        const char *in, *out; /* out NULL: refused */
        int network;
    } rows[] = {
        { "1.2.3.4", "1.2.3.4:8333", NET_IPV4 },
        { "1.2.3.4:18444", "1.2.3.4:18444", NET_IPV4 },
        { "1.2.3.4:0", "1.2.3.4:0", NET_IPV4 },
        { "1.2.3.4:65536", NULL, 0 },
        { "1.2.3.4:", NULL, 0 },
        { "1.2.3.4:8x", NULL, 0 },
        { "1.2.3", NULL, 0 },
        { "256.1.1.1", NULL, 0 },
        { "", NULL, 0 },
        { "example.org", NULL, 0 },
        { "::1", "[::1]:8333", NET_IPV6 },
        { "[::1]", "[::1]:8333", NET_IPV6 },
        { "[::1]:7", "[::1]:7", NET_IPV6 },
        { "[::1", NULL, 0 },
        { "::ffff:1.2.3.4", "1.2.3.4:8333", NET_IPV4 },
        { "2001:DB8:0:0:1:0:0:1", "[2001:db8::1:0:0:1]:8333", NET_IPV6 },
        { "1:0:2:3:4:5:6:7", "[1:0:2:3:4:5:6:7]:8333", NET_IPV6 },
        { "::", "[::]:8333", NET_IPV6 },
        { "1::", "[1::]:8333", NET_IPV6 },
        { "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion",
            "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion:8333", NET_TORV3 },
        { "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscrye.onion", NULL, 0 },
        { "ukeu3k5oycgaauneqgtnvselmt4yemvoilkln7jpvamvfx7dnkdq.b32.i2p:0",
            "ukeu3k5oycgaauneqgtnvselmt4yemvoilkln7jpvamvfx7dnkdq.b32.i2p:0", NET_I2P },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct net_addr a, b;
        char text[NET_ADDR_TEXT_SIZE_B];
        bool ok = net_addr_parse(&a, span_text(rows[i].in), 8333);
        ck_assert_msg(ok == (rows[i].out != NULL), "row %zu: %s", i, rows[i].in);
        if (!ok)
            continue;
        ck_assert_int_eq(a.network, rows[i].network);
        net_addr_to_text(text, &a, true);
        ck_assert_str_eq(text, rows[i].out);
        ck_assert(net_addr_parse(&b, span_text(text), 1));
        ck_assert(net_addr_equal(&a, &b));
    }
}
END_TEST

START_TEST(test_split)
{
    static const struct {
        const char *in, *host;
        uint16_t port;
    } rows[] = {
        { "www.bitcoincore.org", "www.bitcoincore.org", 9 },
        { "www.bitcoincore.org:80", "www.bitcoincore.org", 80 },
        { "[www.bitcoincore.org]:80", "www.bitcoincore.org", 80 },
        { "127.0.0.1:8333", "127.0.0.1", 8333 },
        { "[::ffff:127.0.0.1]:8333", "::ffff:127.0.0.1", 8333 },
        { "::8333", "::8333", 9 },
        { ":8333", NULL, 0 },
        { "[]:8333", NULL, 0 },
        { "a:70000", NULL, 0 },
        { "a:-1", NULL, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char host[NET_NAME_SIZE_B];
        uint16_t port;
        bool ok = net_split_host(host, &port, span_text(rows[i].in), 9);
        ck_assert_msg(ok == (rows[i].host != NULL), "%s", rows[i].in);
        if (ok) {
            ck_assert_str_eq(host, rows[i].host);
            ck_assert_uint_eq(port, rows[i].port);
        }
    }
    char long_text[NET_NAME_SIZE_B + 8], host[NET_NAME_SIZE_B];
    uint16_t port;
    memset(long_text, 'a', sizeof long_text);
    ck_assert(!net_split_host(host, &port, span_of(long_text, NET_NAME_SIZE_B), 9));
    ck_assert(net_split_host(host, &port, span_of(long_text, NET_NAME_SIZE_B - 1), 9));
    ck_assert(!net_split_host(host, &port, span_of("a\0b", 3), 9));
}
END_TEST

START_TEST(test_ranges)
{
    static const struct {
        const char *text;
        bool routable, local;
        const char *group; /* hex */
    } rows[] = {
        { "127.0.0.1", false, true, "00" },
        { "::1", false, true, "00" },
        { "0.0.0.0", false, true, "00" },
        { "10.1.2.3", false, false, "00" },
        { "172.16.0.1", false, false, "00" },
        { "172.31.255.255", false, false, "00" },
        { "172.32.0.1", true, false, "01ac20" },
        { "192.168.1.1", false, false, "00" },
        { "198.18.0.1", false, false, "00" },
        { "198.20.0.1", true, false, "01c614" },
        { "169.254.1.1", false, false, "00" },
        { "100.64.0.1", false, false, "00" },
        { "203.0.113.7", false, false, "00" },
        { "255.255.255.255", false, false, "00" },
        { "8.7.6.5", true, false, "010807" },
        { "fe80::1", false, false, "00" },
        { "fd00::1", false, false, "00" },
        { "2001:db8::1", false, false, "00" },
        { "2001:10::1", false, false, "00" },
        { "2001:20::1", false, false, "00" },
        { "2a00:1450::1", true, false, "022a001450" },
        { "2001:470:abcd::1", true, false, "0220010470af" },
        { "2002:102:304::1", true, false, "010102" },
        { "2001:0:9999:9999:9999:9999:fefd:fcfb", true, false, "010102" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct net_addr a;
        uint8_t group[8];
        char hex[17];
        ck_assert(net_addr_parse(&a, span_text(rows[i].text), 1));
        ck_assert_msg(net_addr_is_routable(&a) == rows[i].routable, "%s", rows[i].text);
        ck_assert_msg(net_addr_is_local(&a) == rows[i].local, "%s", rows[i].text);
        hex_encode(hex, group, net_addr_group(group, &a));
        ck_assert_msg(strcmp(hex, rows[i].group) == 0, "%s: group %s", rows[i].text, hex);
    }
}
END_TEST

START_TEST(test_subnets)
{
    static const struct {
        const char *subnet, *text; /* text NULL: refused */
        const char *in, *out;
    } rows[] = {
        { "10.0.0.0/8", "10.0.0.0/8", "10.255.1.2", "11.0.0.0" },
        { "1.2.3.4", "1.2.3.4/32", "1.2.3.4", "1.2.3.5" },
        { "1.2.3.4/255.255.0.0", "1.2.0.0/16", "1.2.9.9", "1.3.0.0" },
        { "1.2.3.4/255.0.255.0", NULL, NULL, NULL },
        { "1.2.3.4/33", NULL, NULL, NULL },
        { "1.2.3.4/-1", NULL, NULL, NULL },
        { "1.2.3.4/", NULL, NULL, NULL },
        { "1.2.3.4:80", NULL, NULL, NULL },
        { "0.0.0.0/0", "0.0.0.0/0", "9.9.9.9", "::1" },
        { "::1", "::1/128", "::1", "::2" },
        { "[2001:db8::]/32", "2001:db8::/32", "2001:db8:1::", "2001:db9::" },
        { "2001:db8::/ffff:ffff::", "2001:db8::/32", "2001:db8:1::", "2001:db9::" },
        { "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion",
            "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion",
            "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion", "1.1.1.1" },
        { "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion/8", NULL, NULL, NULL },
        { "nonsense", NULL, NULL, NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct net_subnet subnet;
        struct net_addr a;
        char text[NET_ADDR_TEXT_SIZE_B];
        bool ok = net_subnet_parse(&subnet, span_text(rows[i].subnet));
        ck_assert_msg(ok == (rows[i].text != NULL), "%s", rows[i].subnet);
        if (!ok)
            continue;
        net_subnet_to_text(text, &subnet);
        ck_assert_str_eq(text, rows[i].text);
        ck_assert(net_addr_parse(&a, span_text(rows[i].in), 0));
        ck_assert_msg(net_subnet_has(&subnet, &a), "%s has %s", rows[i].subnet, rows[i].in);
        ck_assert(net_addr_parse(&a, span_text(rows[i].out), 0));
        ck_assert_msg(!net_subnet_has(&subnet, &a), "%s has not %s", rows[i].subnet, rows[i].out);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("netaddr");
    TCase *tcase = tcase_create("core");
    tcase_add_test(tcase, test_text);
    tcase_add_test(tcase, test_split);
    tcase_add_test(tcase, test_ranges);
    tcase_add_test(tcase, test_subnets);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
