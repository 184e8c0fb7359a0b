/* A way in through the router: NAT-PMP (RFC 6886) by libnatpmp, whose socket and timeouts the loop watches. First the
 * public address, then the port, then nothing until half of the mapping's life is over; what fails is tried again later. */
#include <stdio.h>
#include <string.h>

#include "coin/base/log.h"
#include "coin/base/mem.h"
#include "internal.h"

#ifndef HAVE_NATPMP

void net_map_port(struct net *net, uint16_t port, const struct net_addr *gateway)
{
    (void)net, (void)port, (void)gateway;
    log_warning("-natpmp: this program was built without libnatpmp (Debian: libnatpmp-dev)");
}

void port_map_free(struct net *net)
{
    (void)net;
}

#else

#include <natpmp.h>

#define LIFETIME_S 7200u    /* RFC 6886 recommends it */
#define RETRY_S 300         /* Bitcoin: PORT_MAPPING_RETRY_PERIOD */
#define LIFETIME_MIN_S 60u  /* a router that wants to be asked more often is asked so often */

enum port_map_state { MAP_OFF, MAP_ASKED_ADDRESS, MAP_ASKED_PORT, MAP_THERE };
struct port_map {
    struct net *net;
    natpmp_t natpmp;
    struct event *answer, *timer;
    enum port_map_state state;
    uint16_t port;
    bool has_gateway, is_open;
    struct in_addr gateway;
    struct net_addr public; /* network 0: not known to others */
};

static void begin(struct port_map *m);
static void ask(struct port_map *m, enum port_map_state state, int sent);
static void on_answer(evutil_socket_t fd, short what, void *ctx);
static void on_timer(evutil_socket_t fd, short what, void *ctx);
static void wait_s(struct port_map *m, uint32_t seconds);
static void take_address(struct port_map *m, const natpmpresp_t *answer);
static void take_port(struct port_map *m, const natpmpresp_t *answer);
static void give_up(struct port_map *m, const char *what, int code);
static void close_socket(struct port_map *m);

void net_map_port(struct net *net, uint16_t port, const struct net_addr *gateway)
{
    struct port_map *m = mem_new(sizeof *m);
    m->net = net;
    m->port = port;
    m->has_gateway = gateway != NULL;
    if (gateway != NULL)
        memcpy(&m->gateway, gateway->bytes, sizeof m->gateway);
    m->timer = event_new(net->base, -1, 0, on_timer, m);
    net->port_map = m;
    if (m->timer == NULL)
        log_warning("No port mapping: out of memory");
    else
        begin(m);
}

void port_map_free(struct net *net)
{
    struct port_map *m = net->port_map;
    if (m == NULL)
        return;
    if (m->state == MAP_THERE) /* it goes out at once, or the mapping ends by itself */
        (void)sendnewportmappingrequest(&m->natpmp, NATPMP_PROTOCOL_TCP, m->port, 0, 0);
    close_socket(m);
    if (m->timer != NULL)
        event_free(m->timer);
    mem_free(m);
    net->port_map = NULL;
}

static void begin(struct port_map *m)
{
    close_socket(m);
    int code = initnatpmp(&m->natpmp, m->has_gateway, m->gateway.s_addr);
    if (code != 0) {
        give_up(m, "there is no router to ask", code);
        return;
    }
    m->is_open = true;
    m->answer = event_new(m->net->base, m->natpmp.s, EV_READ, on_answer, m);
    if (m->answer == NULL)
        give_up(m, "out of memory", 0);
    else
        ask(m, MAP_ASKED_ADDRESS, sendpublicaddressrequest(&m->natpmp));
}

/* The library tells how long to wait before it wants to send again. */
static void ask(struct port_map *m, enum port_map_state state, int sent)
{
    struct timeval patience;
    m->state = state;
    if (sent < 0 || getnatpmprequesttimeout(&m->natpmp, &patience) != 0)
        give_up(m, "the router cannot be asked", sent);
    else
        event_add(m->answer, &patience);
}

static void on_answer(evutil_socket_t fd, short what, void *ctx)
{
    struct port_map *m = ctx;
    natpmpresp_t answer;
    (void)fd, (void)what;
    int code = readnatpmpresponseorretry(&m->natpmp, &answer);
    if (code == NATPMP_TRYAGAIN)
        ask(m, m->state, 0);
    else if (code != 0)
        give_up(m, code == NATPMP_ERR_NOGATEWAYSUPPORT ? "the router does not speak NAT-PMP" : "the router refuses", code);
    else if (m->state == MAP_ASKED_ADDRESS && answer.type == NATPMP_RESPTYPE_PUBLICADDRESS)
        take_address(m, &answer);
    else if (m->state == MAP_ASKED_PORT && answer.type == NATPMP_RESPTYPE_TCPPORTMAPPING)
        take_port(m, &answer);
    else
        give_up(m, "the router answers something else", 0);
    net_touch(m->net);
}

static void take_address(struct port_map *m, const natpmpresp_t *answer)
{
    struct sockaddr_in public = {.sin_family = AF_INET, .sin_addr = answer->pnu.publicaddress.addr};
    struct net_addr known = m->public;
    if (!addr_from_sockaddr(&m->public, (const struct sockaddr *)&public)) {
        give_up(m, "the router's public address is none", 0);
        return;
    }
    if (known.network != 0 && !net_addr_same_host(&known, &m->public))
        m->net->events.on_mapped(m->net->events.ctx, &known, false);
    m->public.port = known.port;
    ask(m, MAP_ASKED_PORT, sendnewportmappingrequest(&m->natpmp, NATPMP_PROTOCOL_TCP, m->port, m->port, LIFETIME_S));
}

static void take_port(struct port_map *m, const natpmpresp_t *answer)
{
    char text[NET_ADDR_TEXT_SIZE_B];
    uint32_t life_s = answer->pnu.newportmapping.lifetime;
    bool is_new = m->public.port != answer->pnu.newportmapping.mappedpublicport;
    m->public.port = answer->pnu.newportmapping.mappedpublicport;
    m->state = MAP_THERE;
    net_addr_to_text(text, &m->public, true);
    if (is_new)
        log_info("The router forwards %s to us for %u s", text, life_s);
    m->net->events.on_mapped(m->net->events.ctx, &m->public, true);
    wait_s(m, life_s / 2 > LIFETIME_MIN_S ? life_s / 2 : LIFETIME_MIN_S);
}

static void give_up(struct port_map *m, const char *what, int code)
{
    log_info("No port mapping: %s (%d); tried again in %d s", what, code, RETRY_S);
    if (m->public.network != 0 && m->public.port != 0)
        m->net->events.on_mapped(m->net->events.ctx, &m->public, false);
    memset(&m->public, 0, sizeof m->public);
    close_socket(m);
    m->state = MAP_OFF;
    wait_s(m, RETRY_S);
}

static void wait_s(struct port_map *m, uint32_t seconds)
{
    struct timeval pause = {.tv_sec = seconds};
    event_add(m->timer, &pause);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    begin(ctx);
}

static void close_socket(struct port_map *m)
{
    if (m->answer != NULL)
        event_free(m->answer);
    if (m->is_open)
        closenatpmp(&m->natpmp);
    m->answer = NULL;
    m->is_open = false;
}

#endif
