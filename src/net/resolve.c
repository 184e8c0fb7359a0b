/* DNS, by libevent's own resolver: it never blocks the loop. */

#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "coin/base/log.h"
#include "coin/base/mem.h"
#include "internal.h"

struct query {
    struct net *net;
    uint64_t token;
    uint16_t port;
};

static void on_answer(int error, struct evutil_addrinfo *list, void *ctx);

void resolve_start(void *ctx, uint64_t token, const char *name, uint16_t port)
{
    struct net *net = ctx;
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    struct query *query = mem_new(sizeof *query);
    *query = (struct query){net, token, port};
    if (net->dns == NULL)
        net->dns = evdns_base_new(net->base,
            EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (net->dns == NULL) {
        on_answer(EVUTIL_EAI_FAIL, NULL, query);
        return;
    }
    evdns_getaddrinfo(net->dns, name, NULL, &hints, on_answer, query);
}

static void on_answer(int error, struct evutil_addrinfo *list, void *ctx)
{
    struct query *query = ctx;
    struct net *net = query->net;
    struct net_addr *found = mem_new(NET_RESOLVED_MAX * sizeof *found);
    uint32_t count = 0;
    if (error == EVUTIL_EAI_CANCEL) { /* the resolver is being freed: the core is gone */
        mem_free(found);
        mem_free(query);
        return;
    }
    if (error != 0)
        log_debug(LOG_NET, "DNS look-up failed: %s", evutil_gai_strerror(error));
    for (const struct evutil_addrinfo *at = list; at != NULL && count < NET_RESOLVED_MAX; at = at->ai_next) {
        if (addr_from_sockaddr(&found[count], at->ai_addr))
            found[count++].port = query->port;
    }
    if (list != NULL)
        evutil_freeaddrinfo(list);
    if (net->events.on_resolved != NULL)
        net->events.on_resolved(net->events.ctx, query->token, found, count);
    net_touch(net);
    mem_free(found);
    mem_free(query);
}
