/* Addresses passed on. What comes in goes through a token bucket per peer into the address manager; fresh
 * single addresses travel on to two peers, chosen by a keyed hash of address and day, so that an address
 * seen often still takes few ways. A getaddr is answered once, to inbound peers only, and all who ask
 * within a day get the same answer, so that nobody can list what we know or follow changes. */
#include <string.h>

#include "coin/base/mem.h"
#include "internal.h"

#define TOKENS_MAX 1000.0       /* Bitcoin: MAX_ADDR_PROCESSING_TOKEN_BUCKET */
#define TOKENS_PER_SECOND 0.1   /* Bitcoin: MAX_ADDR_RATE_PER_SECOND */
#define RELAY_COUNT_MAX 10u     /* larger messages are answers, not news */
#define RELAY_AGE_MAX_S (10 * 60)
#define RELAY_PEERS 3u        /* Bitcoin: 2, which reaches four nodes of five; 3 reach nineteen of twenty */
#define TIME_OLDEST_S 100000000 /* Bitcoin: what is older is no time */
#define TIME_AHEAD_S (10 * 60)
#define TIME_UNKNOWN_AGE_S (5 * 24 * 60 * 60)
#define TIME_PENALTY_S (2 * 60 * 60) /* Bitcoin */
#define GETADDR_PERCENT 23u     /* Bitcoin: MAX_PCT_ADDR_TO_SEND */
#define CACHE_WORTH 100u             /* addresses: with fewer there is nothing to hide, and newcomers need all there are */
#define CACHE_SMALL_US MINUTE_US
#define CACHE_MIN_US (21 * HOUR_US)
#define CACHE_SPREAD_US (6 * HOUR_US)
#define ADDR_FETCH_MAX_US (5 * MINUTE_US)
#define ADDR_FETCH_MORE_US (10 * SECOND_US) /* behind a peer's own address, which comes first */
#define DAY_S (24 * 60 * 60)
#define ADDR_KEY_SIZE_B (NET_ADDR_BYTES_MAX + 3)

static void greet(struct peer *peer);
static void refill(struct peer *peer, int64_t now_us);
static void shuffle(const struct p2p *p2p, struct addr_entry *entries, uint32_t count);
static bool take_entry(struct peer *peer, struct addr_entry *e, bool is_news);
static void relay_entry(struct p2p *p2p, const struct peer *from, const struct addr_entry *e);
static bool can_name(const struct peer *peer, const struct net_addr *addr);
static void push(struct peer *peer, const struct addr_entry *e);
static void push_sample(struct peer *peer);
static const struct addr_answer *fresh_answer(struct p2p *p2p, uint8_t network);
static uint32_t sample(struct p2p *p2p, struct addr_entry *out);
static void advertise_self(struct peer *peer, int64_t now_us);
static void send_queue(struct peer *peer);
static size_t addr_key(uint8_t out[ADDR_KEY_SIZE_B], const struct net_addr *addr);

void gossip_greet(struct peer *peer)
{
    if (peer->type == CONN_INBOUND || peer->type == CONN_BLOCKS || peer->type == CONN_FEELER)
        return; /* inbound ones begin when they speak of addresses first */
    greet(peer);
    peer->addr_tokens += ADDR_COUNT_MAX; /* the answer to getaddr is welcome whole */
    peer->sent_getaddr = true;
    peer_send(peer, MSG_GETADDR, NULL);
}

enum message_result gossip_on_addr(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    struct msg_addr *a = &m->addr;
    (void)frame, (void)why;
    if (peer->type == CONN_BLOCKS || peer->type == CONN_FEELER)
        return MESSAGE_DONE; /* no addresses there, so that the link stays unseen */
    greet(peer);
    if (peer->addr_heard_us == 0)
        peer->addr_heard_us = p2p_now_us(peer->p2p);
    refill(peer, p2p_now_us(peer->p2p));
    shuffle(peer->p2p, a->entries, a->count); /* what the bucket lets through is not the sender's choice */
    bool is_news = a->count <= RELAY_COUNT_MAX && !peer->sent_getaddr;
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->entries[i].addr.network == 0)
            continue;
        if (peer->addr_tokens < 1.0 && !peer_permits(peer, PERMIT_ADDR)) {
            peer->addr_limited++;
            continue;
        }
        if (peer->addr_tokens >= 1.0)
            peer->addr_tokens -= 1.0;
        peer->addr_processed += take_entry(peer, &a->entries[i], is_news);
    }
    if (a->count < ADDR_COUNT_MAX)
        peer->sent_getaddr = false;
    if (peer->type == CONN_ADDR_FETCH && a->count > 1)
        peer_close(peer, "its addresses have come");
    return MESSAGE_DONE;
}

enum message_result gossip_on_getaddr(struct peer *peer, union message *m, struct frame *frame, struct fail *why)
{
    (void)m, (void)frame, (void)why;
    if (peer->type != CONN_INBOUND || peer->getaddr_answered)
        return MESSAGE_DONE; /* Bitcoin: asking those we chose would tell them apart from the rest */
    greet(peer);
    peer->getaddr_answered = true;
    peer->addr_send_count = 0;
    push_sample(peer);
    peer->next_addr_us = p2p_now_us(peer->p2p);
    gossip_on_tick(peer, peer->next_addr_us); /* at once: a full node may have to give its place away soon */
    return MESSAGE_DONE;
}

void gossip_on_tick(struct peer *peer, int64_t now_us)
{
    if (peer->type == CONN_ADDR_FETCH && peer->addr_heard_us != 0 && now_us - peer->addr_heard_us > ADDR_FETCH_MORE_US) {
        peer_close(peer, "it knows no addresses but its own"); /* and may itself be dialed for good now */
        return;
    }
    if (peer->type == CONN_ADDR_FETCH && now_us - peer->ready_us > ADDR_FETCH_MAX_US) {
        peer_close(peer, "it sent no addresses");
        return;
    }
    if (!peer->addr_relay)
        return;
    if (now_us >= peer->next_self_us)
        advertise_self(peer, now_us);
    if (now_us < peer->next_addr_us)
        return;
    peer->next_addr_us = now_us + p2p_poisson_us(peer->p2p, ADDR_SEND_US);
    if (peer->addr_send_count > 0)
        send_queue(peer);
}

static void greet(struct peer *peer)
{
    if (peer->addr_relay)
        return;
    peer->addr_relay = true;
    peer->addr_tokens = 1.0;
    peer->addr_tokens_us = p2p_now_us(peer->p2p);
}

/* ---- in ---- */
static void refill(struct peer *peer, int64_t now_us)
{
    double more = (double)(now_us - peer->addr_tokens_us) / (double)SECOND_US * TOKENS_PER_SECOND;
    peer->addr_tokens_us = now_us;
    if (peer->addr_tokens < TOKENS_MAX) {
        peer->addr_tokens += more;
        if (peer->addr_tokens > TOKENS_MAX)
            peer->addr_tokens = TOKENS_MAX;
    }
}

static void shuffle(const struct p2p *p2p, struct addr_entry *entries, uint32_t count)
{
    for (uint32_t i = count; i > 1; i--) {
        uint32_t other = (uint32_t)env_random_below(p2p->env, i);
        struct addr_entry e = entries[i - 1];
        entries[i - 1] = entries[other];
        entries[other] = e;
    }
}

/* true: it was looked at. */
static bool take_entry(struct peer *peer, struct addr_entry *e, bool is_news)
{
    struct p2p *p2p = peer->p2p;
    uint8_t key[ADDR_KEY_SIZE_B];
    int64_t now_s = env_wall_s(p2p->env), time_s = e->time_s;
    if ((e->services & (SERVICE_NETWORK | SERVICE_NETWORK_LIMITED)) == 0)
        return false; /* nobody could use it */
    if (time_s <= TIME_OLDEST_S || time_s > now_s + TIME_AHEAD_S)
        time_s = now_s - TIME_UNKNOWN_AGE_S;
    e->time_s = (uint32_t)time_s;
    rolling_add(&peer->addr_known, key, addr_key(key, &e->addr));
    if (ban_is_banned(p2p, &e->addr) || ban_is_discouraged(p2p, &e->addr))
        return false;
    if (is_news && now_s - time_s < RELAY_AGE_MAX_S && net_addr_is_routable(&e->addr))
        relay_entry(p2p, peer, e);
    addrman_add(p2p->addrman, &e->addr, e->services, time_s, &peer->addr, TIME_PENALTY_S);
    return true;
}

static void relay_entry(struct p2p *p2p, const struct peer *from, const struct addr_entry *e)
{
    uint8_t key[ADDR_KEY_SIZE_B];
    size_t size_b = addr_key(key, &e->addr);
    struct peer *best[RELAY_PEERS] = { NULL };
    uint64_t best_score[RELAY_PEERS] = { 0 };
    uint64_t hash = siphash(p2p->seed, key, size_b);
    /* The day changes at another moment for each address. */
    uint64_t day = ((uint64_t)env_wall_s(p2p->env) + hash % DAY_S) / DAY_S;
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        struct peer *peer = p2p->peers[i];
        if (peer == from || peer->state != PEER_READY || !peer->addr_relay || !can_name(peer, &e->addr))
            continue;
        uint64_t words[3] = { hash, day, (uint64_t)peer->id };
        uint64_t score = siphash(p2p->seed, words, sizeof words);
        for (uint32_t b = 0; b < RELAY_PEERS; b++) {
            if (best[b] != NULL && score <= best_score[b])
                continue;
            for (uint32_t k = RELAY_PEERS - 1; k > b; k--) {
                best[k] = best[k - 1];
                best_score[k] = best_score[k - 1];
            }
            best[b] = peer;
            best_score[b] = score;
            break;
        }
    }
    /* Networks that we cannot reach ourselves go to one peer only (Bitcoin). */
    uint32_t count = e->addr.network == NET_IPV4 || e->addr.network == NET_IPV6 ? RELAY_PEERS : 1;
    for (uint32_t b = 0; b < count; b++)
        if (best[b] != NULL)
            push(best[b], e);
}

/* ---- out ---- */
static bool can_name(const struct peer *peer, const struct net_addr *addr)
{
    return peer->addrv2 || addr->network == NET_IPV4 || addr->network == NET_IPV6;
}

static void push(struct peer *peer, const struct addr_entry *e)
{
    uint8_t key[ADDR_KEY_SIZE_B];
    if (!can_name(peer, &e->addr) || rolling_has(&peer->addr_known, key, addr_key(key, &e->addr)))
        return;
    if (peer->addr_send_count >= ADDR_COUNT_MAX) { /* full: one at random gives way */
        peer->addrs_to_send[env_random_below(peer->p2p->env, ADDR_COUNT_MAX)] = *e;
        return;
    }
    if (mem_try_grow(&peer->addrs_to_send, &peer->addr_send_capacity, peer->addr_send_count + 1,
            ADDR_COUNT_MAX, sizeof *peer->addrs_to_send))
        peer->addrs_to_send[peer->addr_send_count++] = *e;
}

static void push_sample(struct peer *peer)
{
    struct p2p *p2p = peer->p2p;
    if (peer_permits(peer, PERMIT_ADDR)) { /* whom the user trusts may see what is true now */
        struct addr_entry *fresh = arena_array(&p2p->scratch, ADDR_COUNT_MAX, sizeof *fresh);
        uint32_t count = fresh != NULL ? sample(p2p, fresh) : 0;
        for (uint32_t i = 0; i < count; i++)
            push(peer, &fresh[i]);
        return;
    }
    const struct addr_answer *answer = fresh_answer(p2p, peer_network(peer));
    for (uint32_t i = 0; i < answer->count; i++)
        push(peer, &answer->entries[i]);
}

static const struct addr_answer *fresh_answer(struct p2p *p2p, uint8_t network)
{
    int64_t now_us = p2p_now_us(p2p);
    struct addr_answer *answer = &p2p->answers[network < P2P_NETWORKS ? network : 0];
    if (answer->entries != NULL && now_us < answer->until_us)
        return answer;
    if (answer->entries == NULL)
        answer->entries = mem_try_array(ADDR_COUNT_MAX, sizeof *answer->entries);
    answer->count = answer->entries != NULL ? sample(p2p, answer->entries) : 0;
    answer->until_us = answer->count < CACHE_WORTH
        ? now_us + CACHE_SMALL_US
        : now_us + CACHE_MIN_US + (int64_t)env_random_below(p2p->env, (uint64_t)CACHE_SPREAD_US);
    return answer;
}

static uint32_t sample(struct p2p *p2p, struct addr_entry *out)
{
    uint32_t kept = 0;
    struct addrman_entry *found = mem_try_array(ADDR_COUNT_MAX, sizeof *found);
    if (found == NULL)
        return 0;
    uint32_t count = addrman_sample(p2p->addrman, found, ADDR_COUNT_MAX, GETADDR_PERCENT, 0);
    for (uint32_t i = 0; i < count; i++)
        if (!ban_is_banned(p2p, &found[i].addr) && !ban_is_discouraged(p2p, &found[i].addr))
            out[kept++] = (struct addr_entry){ (uint32_t)found[i].time_s, found[i].services, found[i].addr };
    mem_free(found);
    return kept;
}

static void advertise_self(struct peer *peer, int64_t now_us)
{
    struct p2p *p2p = peer->p2p;
    struct addr_entry self = { .services = p2p->services };
    if (p2p->options.listen_port == 0 || ledger_is_initial_download(p2p->ledger))
        return; /* and as soon as that is over */
    peer->next_self_us = now_us + p2p_poisson_us(p2p, SELF_ADVERTISE_US);
    if (!local_for_peer(peer, &self.addr))
        return;
    self.time_s = (uint32_t)env_wall_s(p2p->env);
    rolling_clear(&peer->addr_known); /* it may hear of us, and of what else is alive, once more */
    push(peer, &self);
}

static void send_queue(struct peer *peer)
{
    union message m;
    uint32_t kept = 0;
    memset(&m, 0, sizeof m);
    for (uint32_t i = 0; i < peer->addr_send_count; i++) {
        uint8_t key[ADDR_KEY_SIZE_B];
        size_t size_b = addr_key(key, &peer->addrs_to_send[i].addr);
        if (rolling_has(&peer->addr_known, key, size_b))
            continue;
        rolling_add(&peer->addr_known, key, size_b);
        peer->addrs_to_send[kept++] = peer->addrs_to_send[i];
    }
    m.addr = (struct msg_addr){ kept, peer->addrs_to_send };
    if (kept > 0)
        peer_send(peer, peer->addrv2 ? MSG_ADDRV2 : MSG_ADDR, &m);
    peer->addr_send_count = 0;
}

static size_t addr_key(uint8_t out[ADDR_KEY_SIZE_B], const struct net_addr *addr)
{
    size_t size_b = addr->size_b <= NET_ADDR_BYTES_MAX ? addr->size_b : 0;
    out[0] = addr->network;
    out[1] = (uint8_t)(addr->port >> 8);
    out[2] = (uint8_t)addr->port;
    memcpy(out + 3, addr->bytes, size_b);
    return 3 + size_b;
}
