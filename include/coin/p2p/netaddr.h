/* netaddr.h - network addresses as BIP155 knows them. Thread: any (pure). */
#ifndef COIN_P2P_NETADDR_H
#define COIN_P2P_NETADDR_H

#include "coin/base/bytes.h"

enum net_network { NET_IPV4 = 1, NET_IPV6 = 2, NET_TORV2 = 3, NET_TORV3 = 4, NET_I2P = 5, NET_CJDNS = 6, NET_NAME = 200 };
#define NET_ADDR_BYTES_MAX 32
#define NET_NAME_SIZE_B 256

struct net_addr {
    uint8_t network;  /* enum net_network; NET_NAME: a host name not resolved yet, see name */
    uint8_t size_b;   /* of bytes: 4, 16 or 32 */
    uint8_t bytes[NET_ADDR_BYTES_MAX];
    uint16_t port;
};
#define NET_ADDR_TEXT_SIZE_B 96
void net_addr_to_text(char out[NET_ADDR_TEXT_SIZE_B], const struct net_addr *a, bool with_port);
/* "1.2.3.4", "[::1]:8333", "abc.onion:port"; numeric only, never a look-up. default_port when none. */
bool net_addr_parse(struct net_addr *out, struct span text, uint16_t default_port) MUST_USE;
/* host and port of "host:port", "[v6]:port", "host"; host is written to out. */
bool net_split_host(char out[NET_NAME_SIZE_B], uint16_t *port, struct span text, uint16_t default_port) MUST_USE;
/* "ipv4", "ipv6", "onion", "i2p", "cjdns"; 0 and unknown ones: "not_publicly_routable". */
const char *net_network_name(uint8_t network);
uint8_t net_network_by_name(struct span name); /* 0: no such */
bool net_addr_equal(const struct net_addr *a, const struct net_addr *b); /* with port */
bool net_addr_same_host(const struct net_addr *a, const struct net_addr *b);
bool net_addr_is_routable(const struct net_addr *a);
bool net_addr_is_local(const struct net_addr *a); /* loopback */
/* Keyed-bucket group: /16 of IPv4, /32 of IPv6, ...; for eclipse resistance. Returns size, at most 6. */
uint32_t net_addr_group(uint8_t out[8], const struct net_addr *a);

struct net_subnet { struct net_addr base; uint8_t prefix_bits; };
bool net_subnet_parse(struct net_subnet *out, struct span text) MUST_USE; /* "10.0.0.0/8", "::1", "1.2.3.4/255.255.0.0" */
bool net_subnet_has(const struct net_subnet *subnet, const struct net_addr *a);
void net_subnet_to_text(char out[NET_ADDR_TEXT_SIZE_B], const struct net_subnet *subnet);

#endif
