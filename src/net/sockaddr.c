/* Between the core's addresses and the system's. */

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "internal.h"

static const uint8_t v4_in_v6[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool addr_from_sockaddr(struct net_addr *out, const struct sockaddr *sa)
{
    memset(out, 0, sizeof *out);
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
        out->network = NET_IPV4;
        out->size_b = 4;
        memcpy(out->bytes, &in->sin_addr, 4);
        out->port = ntohs(in->sin_port);
        return true;
    }
    if (sa->sa_family != AF_INET6)
        return false;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
    out->port = ntohs(in6->sin6_port);
    if (memcmp(&in6->sin6_addr, v4_in_v6, sizeof v4_in_v6) == 0) {
        out->network = NET_IPV4;
        out->size_b = 4;
        memcpy(out->bytes, (const uint8_t *)&in6->sin6_addr + sizeof v4_in_v6, 4);
    } else {
        out->network = NET_IPV6;
        out->size_b = 16;
        memcpy(out->bytes, &in6->sin6_addr, 16);
    }
    return true;
}

socklen_t addr_to_sockaddr(struct sockaddr_storage *out, const struct net_addr *a)
{
    memset(out, 0, sizeof *out);
    if (a->network == NET_IPV4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(a->port);
        memcpy(&in->sin_addr, a->bytes, 4);
        return sizeof *in;
    }
    if (a->network == NET_IPV6 || a->network == NET_CJDNS) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(a->port);
        memcpy(&in6->sin6_addr, a->bytes, 16);
        return sizeof *in6;
    }
    return 0;
}

uint32_t net_own_addresses(struct net_addr *out, uint32_t max, uint16_t port)
{
    struct ifaddrs *all;
    uint32_t count = 0;
    if (getifaddrs(&all) != 0)
        return 0;
    for (const struct ifaddrs *i = all; i != NULL && count < max; i = i->ifa_next) {
        if (i->ifa_addr == NULL || !(i->ifa_flags & IFF_UP) || i->ifa_flags & IFF_LOOPBACK ||
            !addr_from_sockaddr(&out[count], i->ifa_addr))
            continue;
        out[count++].port = port;
    }
    freeifaddrs(all);
    return count;
}
