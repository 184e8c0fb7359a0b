/* The LAN beacon: a datagram to a multicast group on every interface, so that nodes of one network find each
 * other without a configuration. Trusted for nothing: what comes in is one more address to try. Nodes on one
 * machine hear each other through the loopback of multicast. */

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "coin/base/log.h"
#include "internal.h"

#define BEACON_GROUP "239.192.28.77" /* organisation-local scope (RFC 2365) */
#define BEACON_PORT 28778
#define BEACON_SIZE_MAX_B 128
#define BEACONS_PER_EVENT 16         /* a flood on the LAN gets no more of a turn than this */

static void on_datagram(evutil_socket_t fd, short what, void *ctx);
static struct sockaddr_in group(void);

void beacon_open(struct net *net)
{
    int on = 1;
    unsigned char one = 1;
    struct ifaddrs *interfaces = NULL;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(BEACON_PORT)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &one, sizeof one);
    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &one, sizeof one);
    if (bind(fd, (const struct sockaddr *)&any, sizeof any) != 0) {
        log_info("LAN discovery is off: port %d cannot be bound: %s", BEACON_PORT, strerror(errno));
        close(fd);
        return;
    }
    if (getifaddrs(&interfaces) == 0) {
        for (const struct ifaddrs *i = interfaces; i != NULL; i = i->ifa_next) {
            if (i->ifa_addr == NULL || i->ifa_addr->sa_family != AF_INET || !(i->ifa_flags & IFF_UP))
                continue;
            struct ip_mreq join = {.imr_multiaddr = group().sin_addr,
                .imr_interface = ((const struct sockaddr_in *)i->ifa_addr)->sin_addr};
            setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof join); /* refused: not a multicast link */
        }
        freeifaddrs(interfaces);
    }
    net->beacon_fd = fd;
    net->beacon = event_new(net->base, fd, EV_READ | EV_PERSIST, on_datagram, net);
    if (net->beacon != NULL)
        event_add(net->beacon, NULL);
}

void beacon_send(void *ctx, struct span datagram)
{
    struct net *net = ctx;
    struct ifaddrs *interfaces = NULL;
    const struct sockaddr_in to = group();
    bool sent = false;
    if (net->beacon_fd < 0 || getifaddrs(&interfaces) != 0)
        return;
    for (const struct ifaddrs *i = interfaces; i != NULL; i = i->ifa_next) {
        if (i->ifa_addr == NULL || i->ifa_addr->sa_family != AF_INET || !(i->ifa_flags & IFF_UP))
            continue;
        struct in_addr from = ((const struct sockaddr_in *)i->ifa_addr)->sin_addr;
        if (setsockopt(net->beacon_fd, IPPROTO_IP, IP_MULTICAST_IF, &from, sizeof from) == 0 &&
            sendto(net->beacon_fd, datagram.data, datagram.size_b, MSG_NOSIGNAL, (const struct sockaddr *)&to,
                sizeof to) == (ssize_t)datagram.size_b)
            sent = true;
    }
    freeifaddrs(interfaces);
    if (!sent && !net->beacon_failed)
        log_info("LAN discovery: no interface takes the beacon (%s)", strerror(errno));
    net->beacon_failed = !sent;
}

void beacon_close(struct net *net)
{
    if (net->beacon != NULL)
        event_free(net->beacon);
    if (net->beacon_fd >= 0)
        close(net->beacon_fd);
}

static void on_datagram(evutil_socket_t fd, short what, void *ctx)
{
    struct net *net = ctx;
    (void)what;
    for (int i = 0; i < BEACONS_PER_EVENT; i++) {
        uint8_t bytes[BEACON_SIZE_MAX_B];
        struct sockaddr_storage from;
        struct net_addr addr;
        socklen_t size = sizeof from;
        ssize_t n = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &size);
        if (n < 0)
            break;
        if (addr_from_sockaddr(&addr, (const struct sockaddr *)&from) && net->events.on_beacon != NULL)
            net->events.on_beacon(net->events.ctx, &addr, span_of(bytes, (size_t)n));
    }
    net_touch(net);
}

static struct sockaddr_in group(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(BEACON_PORT)};
    inet_pton(AF_INET, BEACON_GROUP, &to.sin_addr);
    return to;
}
