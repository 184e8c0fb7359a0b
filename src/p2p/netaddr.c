/* Network addresses: their text, their ranges, their groups and subnets. Text is numeric only; whoever
 * wants a name looked up asks the env. IPv4-mapped IPv6 becomes IPv4 on entry, so that one host has one
 * form and counts once in every limit.
 *
 * Groups (for eclipse resistance) are what one party gets cheaply: a /16 of IPv4, a /32 of IPv6 (a /36 of
 * Hurricane Electric's tunnels), 4 bits of Tor and I2P, 12 of CJDNS. */
#include "coin/p2p/netaddr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "sha3.h"

#define ONION_KEY_B 32u
#define ONION_BYTES 35u /* key, checksum 2, version 1 */
#define ONION_VERSION 3
#define GROUP_UNROUTABLE 0

struct range { /* of IPv4 or IPv6 */
    uint8_t network, prefix_bits;
    uint8_t bytes[16];
};

static bool in_range(const struct net_addr *a, const struct range *r);
static bool in_any(const struct net_addr *a, const struct range *ranges, size_t count);
static bool is_valid(const struct net_addr *a);
static void ipv6_to_text(char *out, size_t size_b, const uint8_t bytes[16]);
static void base32_encode(char *out, const uint8_t *data, size_t size_b);
static bool base32_decode(uint8_t *out, size_t size_b, struct span text);
static void onion_bytes(uint8_t out[ONION_BYTES], const uint8_t key[ONION_KEY_B]);
static bool parse_host(struct net_addr *out, const char *host);
static bool ends_with(const char *text, const char *tail);
static bool parse_decimal(uint32_t *out, struct span digits, uint32_t max);
static void mask_bits(uint8_t *bytes, size_t size_b, uint32_t prefix_bits);

/* RFC 1122, 4291: this host */
static const struct range loopback_ranges[] = {
    { NET_IPV4, 8, { 127 } },
    { NET_IPV4, 8, { 0 } },
    { NET_IPV6, 128, { [15] = 1 } },
};
static const struct range unroutable_ranges[] = {
    { NET_IPV4, 8, { 10 } },                            /* RFC 1918 */
    { NET_IPV4, 16, { 192, 168 } },                     /* RFC 1918 */
    { NET_IPV4, 12, { 172, 16 } },                      /* RFC 1918 */
    { NET_IPV4, 15, { 198, 18 } },                      /* RFC 2544: benchmarks */
    { NET_IPV4, 16, { 169, 254 } },                     /* RFC 3927: link-local */
    { NET_IPV4, 10, { 100, 64 } },                      /* RFC 6598: carrier NAT */
    { NET_IPV4, 24, { 192, 0, 2 } },                    /* RFC 5737: documentation */
    { NET_IPV4, 24, { 198, 51, 100 } },                 /* RFC 5737 */
    { NET_IPV4, 24, { 203, 0, 113 } },                  /* RFC 5737 */
    { NET_IPV6, 64, { 0xfe, 0x80 } },                   /* RFC 4862: link-local */
    { NET_IPV6, 7, { 0xfc } },                          /* RFC 4193: unique local */
    { NET_IPV6, 28, { 0x20, 0x01, 0x00, 0x10 } },       /* RFC 4843: ORCHID */
    { NET_IPV6, 28, { 0x20, 0x01, 0x00, 0x20 } },       /* RFC 7343: ORCHIDv2 */
    { NET_IPV6, 32, { 0x20, 0x01, 0x0d, 0xb8 } },       /* RFC 3849: documentation */
};

void net_addr_to_text(char out[NET_ADDR_TEXT_SIZE_B], const struct net_addr *a, bool with_port)
{
    char host[NET_ADDR_TEXT_SIZE_B - 8] = "";
    const char *tail = "";
    uint8_t onion[ONION_BYTES];
    bool bracket = false;
    switch (a->network) {
    case NET_IPV4:
        snprintf(host, sizeof host, "%u.%u.%u.%u", a->bytes[0], a->bytes[1], a->bytes[2], a->bytes[3]);
        break;
    case NET_IPV6:
    case NET_CJDNS:
        ipv6_to_text(host, sizeof host, a->bytes);
        bracket = with_port;
        break;
    case NET_TORV3:
        onion_bytes(onion, a->bytes);
        base32_encode(host, onion, sizeof onion);
        tail = ".onion";
        break;
    case NET_I2P:
        base32_encode(host, a->bytes, 32);
        tail = ".b32.i2p";
        break;
    default:
        snprintf(host, sizeof host, "unknown-network-%u", a->network);
        break;
    }
    if (with_port)
        snprintf(out, NET_ADDR_TEXT_SIZE_B, "%s%s%s%s:%u", bracket ? "[" : "", host, tail,
            bracket ? "]" : "", a->port);
    else
        snprintf(out, NET_ADDR_TEXT_SIZE_B, "%s%s", host, tail);
}

bool net_addr_parse(struct net_addr *out, struct span text, uint16_t default_port)
{
    char host[NET_NAME_SIZE_B];
    uint16_t port;
    memset(out, 0, sizeof *out);
    if (!net_split_host(host, &port, text, default_port) || !parse_host(out, host))
        return false;
    out->port = port;
    return true;
}

bool net_split_host(char out[NET_NAME_SIZE_B], uint16_t *port, struct span text, uint16_t default_port)
{
    size_t colon = text.size_b; /* of the last ':' */
    uint32_t colons = 0;
    for (size_t i = 0; i < text.size_b; i++) {
        if (text.data[i] == 0)
            return false;
        if (text.data[i] == ':') {
            colon = i;
            colons++;
        }
    }
    struct span host = text;
    *port = default_port;
    bool bracketed = text.size_b > 0 && text.data[0] == '[';
    bool has_port = colons > 0 && (bracketed ? text.data[colon - 1] == ']' : colons == 1);
    if (has_port) {
        uint32_t number;
        if (!parse_decimal(&number, span_of(text.data + colon + 1, text.size_b - colon - 1), UINT16_MAX))
            return false;
        *port = (uint16_t)number;
        host.size_b = colon;
    }
    if (bracketed) {
        if (host.size_b < 2 || host.data[host.size_b - 1] != ']')
            return false;
        host = span_of(host.data + 1, host.size_b - 2);
    }
    if (host.size_b == 0 || host.size_b >= NET_NAME_SIZE_B)
        return false;
    memcpy(out, host.data, host.size_b);
    out[host.size_b] = 0;
    return true;
}

const char *net_network_name(uint8_t network)
{
    switch (network) {
    case NET_IPV4:
        return "ipv4";
    case NET_IPV6:
        return "ipv6";
    case NET_TORV3:
        return "onion";
    case NET_I2P:
        return "i2p";
    case NET_CJDNS:
        return "cjdns";
    default:
        return "not_publicly_routable";
    }
}

uint8_t net_network_by_name(struct span name)
{
    static const uint8_t known[] = { NET_IPV4, NET_IPV6, NET_TORV3, NET_I2P, NET_CJDNS };
    for (size_t i = 0; i < sizeof known; i++)
        if (span_is(name, net_network_name(known[i])))
            return known[i];
    return 0;
}

bool net_addr_equal(const struct net_addr *a, const struct net_addr *b)
{
    return a->port == b->port && net_addr_same_host(a, b);
}

bool net_addr_same_host(const struct net_addr *a, const struct net_addr *b)
{
    return a->network == b->network && a->size_b == b->size_b && a->size_b <= NET_ADDR_BYTES_MAX &&
           memcmp(a->bytes, b->bytes, a->size_b) == 0;
}

bool net_addr_is_routable(const struct net_addr *a)
{
    return is_valid(a) && !net_addr_is_local(a) &&
           !in_any(a, unroutable_ranges, sizeof unroutable_ranges / sizeof unroutable_ranges[0]);
}

bool net_addr_is_local(const struct net_addr *a)
{
    return in_any(a, loopback_ranges, sizeof loopback_ranges / sizeof loopback_ranges[0]);
}

uint32_t net_addr_group(uint8_t out[8], const struct net_addr *a)
{
    static const struct range hurricane = { NET_IPV6, 32, { 0x20, 0x01, 0x04, 0x70 } };
    static const struct range six_to_four = { NET_IPV6, 16, { 0x20, 0x02 } };
    static const struct range teredo = { NET_IPV6, 32, { 0x20, 0x01, 0, 0 } };
    memset(out, 0, 8);
    if (!net_addr_is_routable(a)) {
        out[0] = GROUP_UNROUTABLE;
        return 1;
    }
    uint32_t bits = 0;
    uint8_t network = a->network;
    uint8_t bytes[4] = { a->bytes[0], a->bytes[1], a->bytes[2], a->bytes[3] };
    switch (a->network) {
    case NET_IPV4:
        bits = 16;
        break;
    case NET_IPV6:
        bits = 32;
        if (in_range(a, &hurricane)) { /* a /32 of tunnels that anybody gets: one nibble more */
            out[0] = network;
            memcpy(out + 1, a->bytes, 4);
            out[5] = a->bytes[4] | 0x0f;
            return 6;
        }
        if (in_range(a, &six_to_four)) { /* the IPv4 host behind it counts */
            network = NET_IPV4;
            memcpy(bytes, a->bytes + 2, 4);
            bits = 16;
        } else if (in_range(a, &teredo)) { /* RFC 4380: the client's IPv4, inverted */
            network = NET_IPV4;
            for (unsigned i = 0; i < 4; i++)
                bytes[i] = a->bytes[12 + i] ^ 0xff;
            bits = 16;
        }
        break;
    case NET_TORV3:
    case NET_I2P:
        bits = 4;
        break;
    case NET_CJDNS: /* the first byte is fc for all */
        bits = 12;
        break;
    default:
        break;
    }
    out[0] = network;
    uint32_t size_b = (bits + 7) / 8;
    memcpy(out + 1, bytes, size_b);
    if (bits % 8 != 0)
        out[size_b] = (uint8_t)(out[size_b] | ((1u << (8 - bits % 8)) - 1));
    return 1 + size_b;
}

/* ---- subnets ---- */
bool net_subnet_parse(struct net_subnet *out, struct span text)
{
    memset(out, 0, sizeof *out);
    size_t slash = 0;
    while (slash < text.size_b && text.data[slash] != '/')
        slash++;
    char host[NET_NAME_SIZE_B];
    size_t size_b = slash;
    const uint8_t *start = text.data;
    if (size_b >= 2 && start[0] == '[' && start[size_b - 1] == ']') {
        start++;
        size_b -= 2;
    }
    if (size_b == 0 || size_b >= sizeof host || memchr(start, 0, size_b) != NULL)
        return false;
    memcpy(host, start, size_b);
    host[size_b] = 0;
    if (!parse_host(&out->base, host))
        return false;
    uint32_t bits_max = out->base.size_b * 8u, bits = bits_max;
    if (slash < text.size_b) {
        if (out->base.network != NET_IPV4 && out->base.network != NET_IPV6)
            return false; /* a part of a key names nobody */
        struct span tail = span_of(text.data + slash + 1, text.size_b - slash - 1);
        struct net_addr mask;
        if (!parse_decimal(&bits, tail, bits_max)) {
            if (!net_addr_parse(&mask, tail, 0) || mask.network != out->base.network)
                return false;
            for (bits = 0; bits < bits_max && (mask.bytes[bits / 8] >> (7 - bits % 8) & 1) != 0;)
                bits++;
            for (uint32_t i = bits; i < bits_max; i++)
                if ((mask.bytes[i / 8] >> (7 - i % 8) & 1) != 0)
                    return false; /* holes in a mask are a slip, never a wish */
        }
    }
    /* 32-byte keys have 256 bits, which do not fit: 255 there means the whole. */
    out->prefix_bits = bits > UINT8_MAX ? UINT8_MAX : (uint8_t)bits;
    if (out->base.size_b <= 16)
        mask_bits(out->base.bytes, out->base.size_b, bits);
    return true;
}

bool net_subnet_has(const struct net_subnet *subnet, const struct net_addr *a)
{
    if (subnet->base.network != a->network || subnet->base.size_b != a->size_b)
        return false;
    if (a->size_b > 16)
        return memcmp(subnet->base.bytes, a->bytes, a->size_b) == 0;
    uint8_t masked[16];
    memcpy(masked, a->bytes, a->size_b);
    mask_bits(masked, a->size_b, subnet->prefix_bits);
    return memcmp(masked, subnet->base.bytes, a->size_b) == 0;
}

void net_subnet_to_text(char out[NET_ADDR_TEXT_SIZE_B], const struct net_subnet *subnet)
{
    char host[NET_ADDR_TEXT_SIZE_B];
    net_addr_to_text(host, &subnet->base, false);
    if (subnet->base.network == NET_IPV4 || subnet->base.network == NET_IPV6)
        snprintf(out, NET_ADDR_TEXT_SIZE_B, "%.*s/%u", NET_ADDR_TEXT_SIZE_B - 8, host,
            subnet->prefix_bits);
    else
        memcpy(out, host, sizeof host);
}

/* ---- helpers ---- */
static bool in_range(const struct net_addr *a, const struct range *r)
{
    if (a->network != r->network || a->size_b > 16)
        return false;
    uint8_t masked[16];
    memcpy(masked, a->bytes, a->size_b);
    mask_bits(masked, a->size_b, r->prefix_bits);
    return memcmp(masked, r->bytes, a->size_b) == 0;
}

static bool in_any(const struct net_addr *a, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (in_range(a, &ranges[i]))
            return true;
    return false;
}

static bool is_valid(const struct net_addr *a)
{
    static const uint8_t zeroes[NET_ADDR_BYTES_MAX];
    static const uint8_t broadcast[4] = { 255, 255, 255, 255 };
    /* fd6b:88c0:8724::/48 is how Bitcoin's address files name DNS seeds, fd87:d87e:eb43::/48 Tor v2. */
    static const struct range reserved[] = {
        { NET_IPV6, 48, { 0xfd, 0x6b, 0x88, 0xc0, 0x87, 0x24 } },
        { NET_IPV6, 48, { 0xfd, 0x87, 0xd8, 0x7e, 0xeb, 0x43 } },
    };
    switch (a->network) {
    case NET_IPV4:
        return a->size_b == 4 && memcmp(a->bytes, zeroes, 4) != 0 && memcmp(a->bytes, broadcast, 4) != 0;
    case NET_IPV6:
        return a->size_b == 16 && memcmp(a->bytes, zeroes, 16) != 0 &&
               !in_any(a, reserved, sizeof reserved / sizeof reserved[0]);
    case NET_TORV3:
    case NET_I2P:
        return a->size_b == 32;
    case NET_CJDNS:
        return a->size_b == 16 && a->bytes[0] == 0xfc;
    default:
        return false;
    }
}

/* RFC 5952: lower case, the longest run of at least two zero groups as "::". */
static void ipv6_to_text(char *out, size_t size_b, const uint8_t bytes[16])
{
    uint32_t groups[8], best = 8, best_count = 1;
    for (uint32_t i = 0; i < 8; i++)
        groups[i] = (uint32_t)bytes[2 * i] << 8 | bytes[2 * i + 1];
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t count = 0;
        while (i + count < 8 && groups[i + count] == 0)
            count++;
        if (count > best_count) {
            best = i;
            best_count = count;
        }
    }
    size_t used = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < 8 && used < size_b;) {
        int n;
        if (i == best) {
            n = snprintf(out + used, size_b - used, "::");
            i += best_count;
        } else {
            bool colon = i > 0 && i != best + best_count;
            n = snprintf(out + used, size_b - used, "%s%x", colon ? ":" : "", groups[i]);
            i++;
        }
        used += n > 0 ? (size_t)n : 0;
    }
}

static void base32_encode(char *out, const uint8_t *data, size_t size_b)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint32_t window = 0, bits = 0;
    for (size_t i = 0; i < size_b; i++) {
        window = window << 8 | data[i];
        for (bits += 8; bits >= 5; bits -= 5)
            *out++ = digits[window >> (bits - 5) & 31];
    }
    if (bits > 0)
        *out++ = digits[window << (5 - bits) & 31];
    *out = 0;
}

static bool base32_decode(uint8_t *out, size_t size_b, struct span text)
{
    uint32_t window = 0, bits = 0;
    size_t used = 0;
    if (text.size_b != (size_b * 8 + 4) / 5)
        return false;
    for (size_t i = 0; i < text.size_b; i++) {
        uint8_t c = text.data[i];
        uint32_t digit;
        if (c >= 'a' && c <= 'z')
            digit = (uint32_t)c - 'a';
        else if (c >= 'A' && c <= 'Z')
            digit = (uint32_t)c - 'A';
        else if (c >= '2' && c <= '7')
            digit = (uint32_t)c - '2' + 26;
        else
            return false;
        window = window << 5 | digit;
        bits += 5;
        if (bits >= 8 && used < size_b) {
            bits -= 8;
            out[used++] = (uint8_t)(window >> bits);
        }
    }
    return used == size_b && (window & ((1u << bits) - 1)) == 0;
}

/* rend-spec-v3, 6: key | SHA3-256(".onion checksum" | key | version) cut to 2 | version */
static void onion_bytes(uint8_t out[ONION_BYTES], const uint8_t key[ONION_KEY_B])
{
    static const char prefix[] = ".onion checksum";
    uint8_t text[sizeof prefix - 1 + ONION_KEY_B + 1], hash[32];
    memcpy(text, prefix, sizeof prefix - 1);
    memcpy(text + sizeof prefix - 1, key, ONION_KEY_B);
    text[sizeof text - 1] = ONION_VERSION;
    sha3_256_short(hash, text, sizeof text);
    memcpy(out, key, ONION_KEY_B);
    out[ONION_KEY_B] = hash[0];
    out[ONION_KEY_B + 1] = hash[1];
    out[ONION_BYTES - 1] = ONION_VERSION;
}

static bool parse_host(struct net_addr *out, const char *host)
{
    static const struct range mapped = { NET_IPV6, 96, { [10] = 0xff, [11] = 0xff } };
    size_t length = strlen(host);
    if (inet_pton(AF_INET, host, out->bytes) == 1) {
        out->network = NET_IPV4;
        out->size_b = 4;
        return true;
    }
    if (inet_pton(AF_INET6, host, out->bytes) == 1) {
        out->network = NET_IPV6;
        out->size_b = 16;
        if (in_range(out, &mapped)) {
            uint8_t v4[4];
            memcpy(v4, out->bytes + 12, 4);
            memset(out->bytes, 0, sizeof out->bytes);
            memcpy(out->bytes, v4, 4);
            out->network = NET_IPV4;
            out->size_b = 4;
        }
        return true;
    }
    memset(out->bytes, 0, sizeof out->bytes);
    uint8_t onion[ONION_BYTES], again[ONION_BYTES];
    if (ends_with(host, ".onion") && base32_decode(onion, sizeof onion, span_of(host, length - 6))) {
        onion_bytes(again, onion);
        if (memcmp(onion, again, sizeof onion) != 0)
            return false;
        memcpy(out->bytes, onion, ONION_KEY_B);
        out->network = NET_TORV3;
        out->size_b = 32;
        return true;
    }
    if (ends_with(host, ".b32.i2p") && base32_decode(out->bytes, 32, span_of(host, length - 8))) {
        out->network = NET_I2P;
        out->size_b = 32;
        return true;
    }
    memset(out->bytes, 0, sizeof out->bytes);
    return false;
}

static bool ends_with(const char *text, const char *tail)
{
    size_t a = strlen(text), b = strlen(tail);
    return a >= b && strcmp(text + a - b, tail) == 0;
}

static bool parse_decimal(uint32_t *out, struct span digits, uint32_t max)
{
    uint64_t v = 0;
    if (digits.size_b == 0 || digits.size_b > 9)
        return false;
    for (size_t i = 0; i < digits.size_b; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(digits.data[i] - '0');
    }
    if (v > max)
        return false;
    *out = (uint32_t)v;
    return true;
}

static void mask_bits(uint8_t *bytes, size_t size_b, uint32_t prefix_bits)
{
    for (size_t i = 0; i < size_b; i++) {
        if (i * 8 >= prefix_bits)
            bytes[i] = 0;
        else if (prefix_bits - i * 8 < 8)
            bytes[i] &= (uint8_t)(0xffu << (8 - (prefix_bits - i * 8)));
    }
}
