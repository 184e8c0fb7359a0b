/* Our onion service: a connection to Tor's control port that lives as long as the node, since Tor takes the service down
 * with it. Lost ones are dialed again, later each time. The service's key is kept in a file, so that its address stays. */
#include <inttypes.h>
#include <string.h>

#include "coin/base/mem.h"
#include "internal.h"

#define KEY_FILE "onion_v3_private_key"  /* Bitcoin's name and content */
#define RETRY_MIN_US SECOND_US           /* Bitcoin: RECONNECT_TIMEOUT_START */
#define RETRY_MAX_US (10 * MINUTE_US)    /* Bitcoin: RECONNECT_TIMEOUT_MAX */
#define COMMANDS_MAX_B 4096u
#define COOKIE_FILE_MAX_B 64u

struct cookie_job {
    struct job job; /* first */
    struct p2p *p2p;
    const struct disk *disk;
    uint64_t conn_id; /* that it is for */
    char path[PATH_SIZE_B];
    uint8_t cookie[TOR_COOKIE_SIZE_B];
    bool ok;
    struct fail why;
};

static void dial(struct p2p *p2p);
static void read_cookie(struct p2p *p2p);
static void cookie_run(struct job *job);
static void cookie_done(struct job *job);
static void use_tor(struct p2p *p2p);
static void add_service(struct p2p *p2p);
static void advertise(struct p2p *p2p);
static void hang_up(struct p2p *p2p, const char *reason);
static void send_commands(struct p2p *p2p, struct buf *bytes);

void p2p_serve_onion(struct p2p *p2p, const struct net_addr *target, bool only_tor)
{
    if (target == NULL) {
        if (p2p_wants_onion_port(p2p))
            hang_up(p2p, "there is no port that Tor could forward to");
        return;
    }
    p2p->onion.target = *target;
    p2p->onion.only_tor = only_tor;
    add_service(p2p);
}

bool p2p_wants_onion_port(const struct p2p *p2p)
{
    return p2p->onion.conn_id != 0 && p2p->onion.control.state == TOR_WANTS_TARGET && p2p->onion.target.network == 0;
}

bool onion_came_in(const struct p2p *p2p, const struct net_addr *local)
{
    return p2p->onion.only_tor && net_addr_equal(&p2p->onion.target, local);
}

void onion_load(struct p2p *p2p)
{
    struct onion *o = &p2p->onion;
    struct fail why;
    char path[PATH_SIZE_B];
    struct buf text;
    buf_init(&text, TOR_KEY_SIZE_B);
    if (p2p->options.dir != NULL && path_join(path, p2p->options.dir, KEY_FILE, &why) &&
        file_read_all(p2p->env->disk, path, &text, &why)) {
        while (text.size_b > 0 && text.data[text.size_b - 1] <= ' ')
            text.size_b--;
        if (text.size_b < sizeof o->key)
            memcpy(o->key, text.data, text.size_b);
    }
    if (text.size_b > 0)
        mem_wipe(text.data, text.size_b);
    buf_clear(&text);
}

void onion_on_tick(struct p2p *p2p, int64_t now_us)
{
    struct onion *o = &p2p->onion;
    if (p2p->options.tor_control.network != 0 && o->conn_id == 0 && now_us >= o->next_dial_us)
        dial(p2p);
}

bool onion_is_control(const struct p2p *p2p, uint64_t conn_id)
{
    return conn_id != 0 && conn_id == p2p->onion.conn_id;
}

void onion_on_dialed(struct p2p *p2p)
{
    struct onion *o = &p2p->onion;
    uint8_t nonce[TOR_NONCE_SIZE_B];
    struct fail why;
    struct buf out;
    buf_init(&out, COMMANDS_MAX_B);
    env_random(p2p->env, nonce, sizeof nonce);
    const char *password = p2p->options.tor_password != NULL ? p2p->options.tor_password : "";
    if (tor_control_begin(&o->control, password, o->key, p2p->options.listen_port, nonce, &out, &why))
        send_commands(p2p, &out);
    else
        hang_up(p2p, why.detail);
    buf_clear(&out);
}

size_t onion_on_bytes(struct p2p *p2p, struct span bytes)
{
    struct onion *o = &p2p->onion;
    size_t used_b = 0;
    while (used_b < bytes.size_b && o->conn_id != 0) {
        struct fail why;
        struct buf out;
        size_t taken_b;
        buf_init(&out, COMMANDS_MAX_B);
        enum tor_result result = tor_control_feed(&o->control, span_of(bytes.data + used_b, bytes.size_b - used_b), &taken_b, &out, &why);
        used_b += taken_b;
        send_commands(p2p, &out);
        buf_clear(&out);
        if (result == TOR_COOKIE)
            read_cookie(p2p);
        else if (result == TOR_PROXY)
            use_tor(p2p);
        else if (result == TOR_THERE)
            advertise(p2p);
        else if (result == TOR_FAILED)
            hang_up(p2p, why.detail);
    }
    return bytes.size_b;
}

void onion_on_closed(struct p2p *p2p, const char *reason)
{
    struct onion *o = &p2p->onion;
    bool was_there = o->control.state == TOR_SERVING;
    if (was_there) {
        p2p_remove_local(p2p, &o->control.service);
        log_warning("Tor's control port closed the connection (%s): the onion service is gone until it comes back", reason);
    } else {
        log_debug(LOG_TOR, "Tor's control port: %s", reason);
    }
    o->retry_us = was_there || o->retry_us == 0 ? RETRY_MIN_US : o->retry_us * 3 / 2;
    if (o->retry_us > RETRY_MAX_US)
        o->retry_us = RETRY_MAX_US;
    o->next_dial_us = p2p_now_us(p2p) + o->retry_us;
    o->conn_id = 0;
    tor_control_wipe(&o->control);
}

void onion_clear(struct p2p *p2p)
{
    tor_control_wipe(&p2p->onion.control);
    mem_wipe(p2p->onion.key, sizeof p2p->onion.key);
}

static void dial(struct p2p *p2p)
{
    p2p->onion.conn_id = p2p->next_conn++;
    p2p->env->dial(p2p->env->ctx, p2p->onion.conn_id, &p2p->options.tor_control);
}

/* By a job: a file may wait. */
static void read_cookie(struct p2p *p2p)
{
    struct cookie_job *read = mem_new(sizeof *read);
    read->job.run = cookie_run;
    read->job.done = cookie_done;
    read->job.lane = JOB_READ;
    read->p2p = p2p;
    read->disk = p2p->env->disk;
    read->conn_id = p2p->onion.conn_id;
    memcpy(read->path, p2p->onion.control.cookie_path, sizeof read->path);
    if (!env_submit(p2p->env, &read->job)) {
        mem_free(read);
        hang_up(p2p, "the disk is busy");
        return;
    }
    p2p->saves++;
}

static void cookie_run(struct job *job)
{
    struct cookie_job *read = (struct cookie_job *)job;
    struct buf bytes;
    buf_init(&bytes, COOKIE_FILE_MAX_B);
    read->ok = file_read_all(read->disk, read->path, &bytes, &read->why);
    if (read->ok && bytes.size_b != sizeof read->cookie)
        read->ok = fail_request(&read->why, 0, "the cookie %s has %zu bytes, not %d", read->path, bytes.size_b, TOR_COOKIE_SIZE_B);
    if (read->ok)
        memcpy(read->cookie, bytes.data, sizeof read->cookie);
    if (bytes.size_b > 0)
        mem_wipe(bytes.data, bytes.size_b);
    buf_clear(&bytes);
}

static void cookie_done(struct job *job)
{
    struct cookie_job *read = (struct cookie_job *)job;
    struct p2p *p2p = read->p2p;
    p2p->saves--;
    if (onion_is_control(p2p, read->conn_id)) {
        struct buf out;
        buf_init(&out, COMMANDS_MAX_B);
        if (read->ok) {
            tor_control_cookie(&p2p->onion.control, read->cookie, &out);
            send_commands(p2p, &out);
        } else {
            hang_up(p2p, read->why.detail);
        }
        buf_clear(&out);
    }
    mem_wipe(read->cookie, sizeof read->cookie);
    mem_free(read);
}

/* Tor is there: onion addresses are reached by it, unless the user has said how; and it may forward to us. */
static void use_tor(struct p2p *p2p)
{
    struct net_addr *known = &p2p->options.proxies[NET_TORV3];
    add_service(p2p);
    if (known->network != 0 || p2p->options.no_onion_proxy)
        return;
    char text[NET_ADDR_TEXT_SIZE_B];
    *known = p2p->onion.control.proxy;
    net_addr_to_text(text, known, true);
    log_info("Onion addresses are reached by Tor at %s", text);
}

/* As soon as there are both a Tor that listens to us and a port for it. */
static void add_service(struct p2p *p2p)
{
    struct onion *o = &p2p->onion;
    struct buf out;
    if (o->conn_id == 0 || o->control.state != TOR_WANTS_TARGET || o->target.network == 0)
        return;
    buf_init(&out, COMMANDS_MAX_B);
    tor_control_add(&o->control, &o->target, &out);
    send_commands(p2p, &out);
    buf_clear(&out);
}

static void advertise(struct p2p *p2p)
{
    struct onion *o = &p2p->onion;
    char text[NET_ADDR_TEXT_SIZE_B];
    net_addr_to_text(text, &o->control.service, true);
    log_info("Onion service: others reach us at %s", text);
    o->retry_us = 0;
    p2p_add_local(p2p, &o->control.service, LOCAL_MANUAL);
    if (strcmp(o->key, o->control.key) != 0) {
        struct buf bytes;
        memcpy(o->key, o->control.key, sizeof o->key);
        buf_init(&bytes, TOR_KEY_SIZE_B);
        buf_put_text(&bytes, o->key);
        save_file(p2p, KEY_FILE, &bytes);
        buf_clear(&bytes);
    }
}

static void hang_up(struct p2p *p2p, const char *reason)
{
    log_warning("No onion service: %s", reason);
    p2p->env->close(p2p->env->ctx, p2p->onion.conn_id, false);
    onion_on_closed(p2p, reason);
}

static void send_commands(struct p2p *p2p, struct buf *bytes)
{
    if (bytes->size_b > 0)
        p2p->env->send(p2p->env->ctx, p2p->onion.conn_id, bytes);
}
