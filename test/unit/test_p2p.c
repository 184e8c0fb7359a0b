/* Proves that nodes find, greet and sync each other, that blocks and transactions reach all of them whole
 * and the shortest way, and that what the user says about connections holds. Hostile peers: test_peer.c. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sim/rig.h"
#include "coin/base/mem.h"
#include "unit.h"

#define ADDR_A "10.0.0.1:18444"
#define ADDR_B "10.0.0.2:18444"
#define ADDR_C "10.0.0.3:18444"
#define FEE_SAT 20000
#define SECOND INT64_C(1000000)

static const char *const to_a[] = { ADDR_A, NULL };
static const char *const to_b[] = { ADDR_B, NULL };

/* What getpeerinfo says; the text lives until the next call. */
static const struct json *peers_of(const struct rig_node *node)
{
    static struct buf text;
    static struct json_doc doc;
    struct json_writer w;
    struct fail why;
    buf_clear(&text);
    json_doc_clear(&doc);
    buf_init(&text, 1u << 20);
    jw_init(&w, &text, 0);
    p2p_show_peers(node->p2p, &w);
    ck_assert_msg(json_parse(&doc, buf_span(&text), &why), "%s", why.detail);
    return doc.root;
}

static uint64_t sent_b(const struct rig_node *node, uint32_t peer, const char *message)
{
    int64_t v = 0;
    struct fail why;
    const struct json *bytes = json_get(json_get(json_at(peers_of(node), peer), "bytessent_per_msg"), message);
    ck_assert(bytes == NULL || json_to_i64(&v, bytes, message, &why));
    return (uint64_t)v;
}

static bool flag_of(const struct rig_node *node, uint32_t peer, const char *key)
{
    const struct json *v = json_get(json_at(peers_of(node), peer), key);
    ck_assert_ptr_nonnull(v);
    return v->type == JSON_TRUE;
}

static bool text_is(const struct rig_node *node, uint32_t peer, const char *key, const char *want)
{
    const struct json *v = json_get(json_at(peers_of(node), peer), key);
    ck_assert_msg(v != NULL, "%s is missing", key);
    return span_is(v->text, want);
}

/* b dials a; both run. */
static void pair(struct rig *rig, struct rig_node **a, struct rig_node **b)
{
    *a = rig_add(rig, ADDR_A);
    *b = rig_add(rig, ADDR_B);
    (*b)->options.connect = to_a;
    rig_start(*a);
    rig_start(*b);
    ck_assert(rig_until_peers(*a, 1));
    ck_assert(rig_until_peers(*b, 1));
}

START_TEST(test_handshake)
{
    struct rig *rig = rig_new(1);
    struct rig_node *a, *b;
    pair(rig, &a, &b);
    rig_run(rig, 2 * SECOND);
    ck_assert_uint_eq(p2p_count(a->p2p, true, false), 1);
    ck_assert_uint_eq(p2p_count(a->p2p, false, true), 0);
    ck_assert_uint_eq(p2p_count(b->p2p, false, true), 1);
    ck_assert(text_is(a, 0, "subver", "/rig:1/"));
    ck_assert(text_is(a, 0, "connection_type", "inbound"));
    ck_assert(text_is(b, 0, "connection_type", "manual"));
    ck_assert(text_is(b, 0, "addr", ADDR_A));
    ck_assert(text_is(b, 0, "version", "70016"));
    ck_assert(text_is(b, 0, "services", "0000000000000409"));
    ck_assert(text_is(b, 0, "transport_protocol_type", "v1"));
    ck_assert(flag_of(a, 0, "inbound") && !flag_of(b, 0, "inbound"));
    ck_assert(flag_of(a, 0, "relaytxes"));
    ck_assert_ptr_nonnull(json_get(json_at(peers_of(b), 0), "pingtime"));
    ck_assert_ptr_null(json_get(json_at(peers_of(b), 0), "pingwait"));
    struct p2p_totals ta = p2p_totals(a->p2p), tb = p2p_totals(b->p2p);
    ck_assert_uint_eq(ta.sent_b, tb.received_b);
    ck_assert_uint_eq(tb.sent_b, ta.received_b);
    rig_free(rig);
}
END_TEST

START_TEST(test_self)
{
    struct rig *rig = rig_new(2);
    struct rig_node *a = rig_add(rig, ADDR_A);
    a->options.connect = to_a;
    rig_start(a);
    rig_run(rig, 20 * SECOND);
    ck_assert_uint_eq(p2p_count(a->p2p, true, true), 0);
    rig_free(rig);
}
END_TEST

START_TEST(test_sync)
{
    struct rig *rig = rig_new(3);
    struct rig_node *a = rig_add(rig, ADDR_A), *b = rig_add(rig, ADDR_B);
    b->options.connect = to_a;
    rig_start(a);
    rig_mine_many(a, 2101); /* more than one message of headers */
    rig_start(b);
    ck_assert(rig_until_height(b, 2101));
    ck_assert(!ledger_is_initial_download(b->ledger));
    ck_assert(p2p_has_agreed(a->p2p) && p2p_has_agreed(b->p2p));
    ck_assert_int_eq(p2p_best_known_height(b->p2p), 2101);
    /* No block came twice. */
    rig_run(rig, SECOND);
    ck_assert_uint_lt(sent_b(a, 0, "block"), 2101 * 300);
    rig_free(rig);
}
END_TEST

START_TEST(test_reorganisation)
{
    struct rig *rig = rig_new(4);
    struct rig_node *a, *b;
    pair(rig, &a, &b);
    rig_mine_many(a, 5);
    ck_assert(rig_until_height(b, 5));
    network_split(rig->network, 1);
    rig_mine_many(a, 3);
    rig_mine_many(b, 4);
    rig_run(rig, 5 * SECOND);
    ck_assert_int_eq(ledger_tip(a->ledger)->height, 8);
    ck_assert_int_eq(ledger_tip(b->ledger)->height, 9);
    /* What was sent while apart is lost, so the connection is stale; a new one heals it. */
    network_split(rig->network, 0);
    struct fail why;
    ck_assert(p2p_disconnect(b->p2p, span_text(ADDR_A), -1, &why));
    ck_assert(rig_until_height(a, 9));
    ck_assert(block_id_equal(&ledger_tip(a->ledger)->id, &ledger_tip(b->ledger)->id));
    rig_free(rig);
}
END_TEST

/* a <- b <- c: what a has must pass through b. */
static void line(struct rig *rig, struct rig_node *n[3])
{
    n[0] = rig_add(rig, ADDR_A);
    n[1] = rig_add(rig, ADDR_B);
    n[2] = rig_add(rig, ADDR_C);
    n[1]->options.connect = to_a;
    n[2]->options.connect = to_b;
    for (int i = 0; i < 3; i++)
        rig_start(n[i]);
    ck_assert(rig_until_peers(n[1], 2));
    ck_assert(rig_until_peers(n[2], 1));
    rig_mine_many(n[0], 10);
    ck_assert(rig_until_height(n[2], 10));
}

START_TEST(test_block_relay)
{
    struct rig *rig = rig_new(5);
    struct rig_node *n[3];
    line(rig, n);
    for (int i = 0; i < 5; i++) {
        struct block_index *tip = rig_mine(n[0], NULL, 0, 0);
        ck_assert(rig_until_height(n[2], tip->height));
    }
    rig_run(rig, 5 * SECOND);
    /* By now b wants a's blocks in high bandwidth, and c b's. */
    ck_assert(flag_of(n[0], 0, "bip152_hb_from"));
    ck_assert(flag_of(n[2], 0, "bip152_hb_to"));
    uint64_t blocks = sent_b(n[0], 0, "block"), compact = sent_b(n[0], 0, "cmpctblock");
    ck_assert_uint_gt(compact, 0);
    rig_mine(n[0], NULL, 0, 0);
    ck_assert(rig_until_height(n[2], ledger_tip(n[0]->ledger)->height));
    ck_assert_uint_eq(sent_b(n[0], 0, "block"), blocks);
    ck_assert_uint_gt(sent_b(n[0], 0, "cmpctblock"), compact);
    rig_free(rig);
}
END_TEST


/* ---- transactions ---- */
struct judged {
    bool called;
    struct fail why;
};

static void on_judged(void *ctx, struct tx *tx, const struct mempool_entry *entry, const struct fail *why)
{
    struct judged *j = ctx;
    (void)tx, (void)entry;
    j->called = true;
    j->why = *why;
}

static bool is_judged(void *ctx)
{
    return ((struct judged *)ctx)->called;
}

/* As a wallet does. */
static void give(struct rig_node *node, struct tx *tx)
{
    struct judged j = { .called = false };
    ck_assert(mempool_offer(node->mempool, tx, 0, 0, (struct tx_verdict){ on_judged, &j }));
    ck_assert(rig_until(node->rig, is_judged, &j));
    ck_assert_msg(j.why.kind == FAIL_NONE, "%s %s", j.why.code, j.why.detail);
}

START_TEST(test_tx_relay)
{
    struct rig *rig = rig_new(6);
    struct rig_node *n[3];
    line(rig, n);
    struct tx *parent = rig_spend_coinbase(n[0], 1, 2, FEE_SAT);
    struct outpoint from = { parent->txid, 0 };
    struct tx *child = maker_spend(&from, 1, parent->out[0].value_sat - FEE_SAT, 2);
    give(n[0], parent);
    give(n[0], child);
    ck_assert(rig_until_tx(n[2], &child->txid));
    ck_assert_ptr_nonnull(mempool_find(n[2]->mempool, &parent->txid));
    /* Mined at one end, it leaves the pool at the other, without having been sent again. */
    uint64_t sent = sent_b(n[1], 1, "tx") + sent_b(n[1], 0, "tx"), blocks = sent_b(n[1], 1, "block");
    struct tx *const txs[] = { parent, child };
    for (int i = 0; i < 3; i++)
        rig_mine(n[0], NULL, 0, 0);
    ck_assert(rig_until_height(n[2], 13));
    rig_run(rig, SECOND);
    blocks = sent_b(n[1], 1, "block");
    rig_mine(n[0], txs, 2, 2 * FEE_SAT);
    ck_assert(rig_until_height(n[2], 14));
    rig_run(rig, SECOND);
    ck_assert_ptr_null(mempool_find(n[2]->mempool, &parent->txid));
    ck_assert_uint_eq(sent_b(n[1], 1, "tx") + sent_b(n[1], 0, "tx"), sent);
    ck_assert_uint_eq(sent_b(n[1], 1, "block"), blocks);
    ck_assert_uint_eq(sent_b(n[1], 1, "blocktxn"), 0); /* it had all of them */
    tx_unref(parent);
    tx_unref(child);
    rig_free(rig);
}
END_TEST

/* A block with transactions that nobody heard of: the compact form asks for them. */
START_TEST(test_compact_missing)
{
    struct rig *rig = rig_new(7);
    struct rig_node *n[3];
    line(rig, n);
    for (int i = 0; i < 4; i++)
        rig_mine(n[0], NULL, 0, 0);
    ck_assert(rig_until_height(n[2], 14));
    rig_run(rig, SECOND);
    uint64_t blocks = sent_b(n[0], 0, "block");
    struct tx *tx = rig_spend_coinbase(n[0], 2, 40, FEE_SAT);
    rig_mine(n[0], &tx, 1, FEE_SAT);
    ck_assert(rig_until_height(n[2], 15));
    ck_assert_uint_eq(sent_b(n[0], 0, "block"), blocks);
    ck_assert_uint_gt(sent_b(n[0], 0, "blocktxn"), 0);
    ck_assert_uint_gt(sent_b(n[1], 1, "blocktxn"), 0);
    tx_unref(tx);
    rig_free(rig);
}
END_TEST

START_TEST(test_fee_filter)
{
    struct rig *rig = rig_new(8);
    struct rig_node *a, *b;
    pair(rig, &a, &b);
    rig_mine_many(a, 5);
    ck_assert(rig_until_height(b, 5));
    rig_run(rig, 15 * 60 * SECOND);
    struct fail why;
    struct span fee = json_get(json_at(peers_of(a), 0), "minfeefilter")->text;
    int64_t sat = 0;
    ck_assert(decimal_parse(&sat, fee, 8));
    ck_assert_int_eq(sat, 100);
    (void)why;
    rig_free(rig);
}
END_TEST

/* ---- what the user says ---- */
START_TEST(test_added_nodes)
{
    struct rig *rig = rig_new(9);
    struct rig_node *a = rig_add(rig, ADDR_A), *b = rig_add(rig, ADDR_B);
    struct fail why;
    struct span name = span_text("node-a.example:18444"), number = span_text(ADDR_A);
    network_name(rig->network, "node-a.example", &a->addr);
    rig_start(b);
    ck_assert(p2p_add_node(b->p2p, name, "add", true, &why));
    ck_assert(!p2p_add_node(b->p2p, name, "add", true, &why));
    ck_assert_int_eq(why.rpc_code, -23);
    ck_assert(!p2p_add_node(b->p2p, number, "remove", true, &why));
    ck_assert_int_eq(why.rpc_code, -24);
    rig_run(rig, 30 * SECOND);
    ck_assert_uint_eq(p2p_count(b->p2p, true, true), 0);
    rig_start(a); /* found as soon as it is there, and again when it comes back */
    ck_assert(rig_until_peers(b, 1));
    ck_assert(p2p_is_added(b->p2p, name));
    rig_stop(a);
    ck_assert(rig_until_peers(b, 0));
    rig_start(a);
    ck_assert(rig_until_peers(b, 1));
    ck_assert(!p2p_disconnect(b->p2p, span_text("1.2.3.4:5"), -1, &why));
    ck_assert_int_eq(why.rpc_code, -29);
    ck_assert(p2p_disconnect(b->p2p, name, -1, &why));
    ck_assert(p2p_add_node(b->p2p, name, "remove", true, &why));
    rig_run(rig, 600 * SECOND);
    ck_assert_uint_eq(p2p_count(b->p2p, true, true), 0);
    ck_assert(p2p_add_node(b->p2p, number, "onetry", true, &why));
    ck_assert(rig_until_peers(b, 1));
    p2p_set_active(b->p2p, false);
    ck_assert(rig_until_peers(a, 0));
    rig_run(rig, 60 * SECOND);
    ck_assert_uint_eq(p2p_count(b->p2p, true, true), 0);
    rig_free(rig);
}
END_TEST

START_TEST(test_bans)
{
    struct rig *rig = rig_new(10);
    struct rig_node *a, *b;
    struct fail why;
    pair(rig, &a, &b);
    int64_t until_s = RIG_START_S + 3600;
    ck_assert(!p2p_ban(a->p2p, span_text("nonsense"), true, until_s, &why));
    ck_assert_int_eq(why.rpc_code, -30);
    ck_assert(!p2p_ban(a->p2p, span_text("10.0.0.0/24"), false, 0, &why));
    ck_assert_int_eq(why.rpc_code, -30);
    ck_assert(p2p_ban(a->p2p, span_text("10.0.0.0/24"), true, until_s, &why));
    ck_assert(!p2p_ban(a->p2p, span_text("10.0.0.2"), true, until_s, &why));
    ck_assert_int_eq(why.rpc_code, -23);
    ck_assert_uint_eq(p2p_count(a->p2p, true, true), 0);
    rig_run(rig, 60 * SECOND);
    ck_assert_uint_eq(p2p_count(b->p2p, true, true), 0);
    rig_stop(a); /* it is remembered */
    rig_start(a);
    rig_run(rig, 400 * SECOND);
    ck_assert_uint_eq(p2p_count(b->p2p, true, true), 0);
    rig_run(rig, 3600 * SECOND); /* and ends */
    ck_assert(rig_until_peers(b, 1));
    ck_assert(p2p_ban(a->p2p, span_text("10.0.0.2"), true, until_s + 7200, &why));
    p2p_clear_bans(a->p2p);
    ck_assert(rig_until_peers(b, 1));
    rig_free(rig);
}
END_TEST

/* Neighbours find each other without being told, over one connection. */
START_TEST(test_beacons)
{
    struct rig *rig = rig_new(11);
    struct rig_node *n[3];
    static const char *const addrs[] = { ADDR_A, ADDR_B, ADDR_C };
    for (int i = 0; i < 3; i++) {
        n[i] = rig_add(rig, addrs[i]);
        n[i]->options.connect_only = false;
        n[i]->options.lan_discovery = true;
        rig_start(n[i]);
    }
    for (int i = 0; i < 3; i++)
        ck_assert(rig_until_peers(n[i], 2));
    rig_run(rig, 120 * SECOND);
    ck_assert_uint_eq(network_connections(rig->network), 3);
    rig_mine_many(n[0], 3);
    ck_assert(rig_until_height(n[2], 3));
    rig_free(rig);
}
END_TEST

/* Addresses are learnt from a peer, kept over a restart, and dialed. */
START_TEST(test_addresses)
{
    struct rig *rig = rig_new(12);
    struct rig_node *a = rig_add(rig, "8.1.0.1:18444"), *b = rig_add(rig, "8.2.0.1:18444");
    struct rig_node *c = rig_add(rig, "8.3.0.1:18444");
    b->options.connect_only = c->options.connect_only = false;
    rig_start(a);
    rig_start(b);
    ck_assert(p2p_add_address(b->p2p, &a->addr, false));
    ck_assert(!p2p_add_address(b->p2p, &a->addr, false));
    ck_assert(rig_until_peers(a, 1));
    rig_start(c);
    ck_assert(p2p_add_address(c->p2p, &b->addr, true));
    ck_assert(rig_until_peers(b, 2)); /* b: a, and c who dialed it */
    rig_stop(c);
    rig_start(c);
    ck_assert(rig_until_peers(b, 2)); /* from peers.dat */
    rig_free(rig);
}
END_TEST

START_TEST(test_seeds)
{
    struct rig *rig = rig_new(13);
    struct rig_node *a = rig_add(rig, "8.1.0.1:18444"), *b = rig_add(rig, "8.2.0.1:18444");
    snprintf(rig->chain->seeds[0], sizeof rig->chain->seeds[0], "seed.example");
    rig->chain->seed_count = 1;
    network_name(rig->network, "seed.example", &a->addr);
    b->options.connect_only = false;
    b->options.dns_seed = true;
    rig_start(a);
    rig_start(b);
    ck_assert(rig_until_peers(a, 1));
    rig_free(rig);
}
END_TEST

START_TEST(test_fixed_seeds)
{
    struct rig *rig = rig_new(14);
    struct rig_node *a = rig_add(rig, "8.1.0.1:18444"), *b = rig_add(rig, "8.2.0.1:18444");
    snprintf(rig->chain->fixed_seeds[0], sizeof rig->chain->fixed_seeds[0], "8.1.0.1:18444");
    rig->chain->fixed_seed_count = 1;
    b->options.connect_only = false;
    b->options.fixed_seeds = true;
    rig_start(a);
    rig_start(b);
    ck_assert(rig_until_peers(a, 1));
    rig_free(rig);
}
END_TEST

START_TEST(test_messages_by_hand)
{
    struct rig *rig = rig_new(15);
    struct rig_node *a, *b;
    struct fail why;
    pair(rig, &a, &b);
    ck_assert(!p2p_send_message(b->p2p, 99, span_text("ping"), span_text(""), &why));
    ck_assert(!p2p_send_message(b->p2p, 0, span_text("averylongcommand"), span_text(""), &why));
    ck_assert_int_eq(why.rpc_code, -8);
    ck_assert(p2p_send_message(b->p2p, 0, span_text("hello"), span_text("world"), &why));
    rig_run(rig, SECOND);
    ck_assert_uint_eq(p2p_count(a->p2p, true, true), 1); /* what is not known is ignored */
    ck_assert(p2p_add_connection(b->p2p, span_text("9.9.9.9:1"), CONN_FULL, true, &why));
    ck_assert(!p2p_add_connection(b->p2p, span_text("9.9.9.9:1"), CONN_FULL, true, &why));
    ck_assert_int_eq(why.rpc_code, -34);
    rig_free(rig);
}
END_TEST

/* The same seed, the same run: whatever fails here can be seen again. */
START_TEST(test_replay)
{
    uint64_t events[2];
    for (int i = 0; i < 2; i++) {
        struct rig *rig = rig_new(77);
        struct rig_node *n[3];
        line(rig, n);
        rig_run(rig, 30 * SECOND);
        events[i] = world_events(rig->world);
        rig_free(rig);
    }
    ck_assert_uint_eq(events[0], events[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("p2p");
    TCase *tcase = tcase_create("core");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_handshake);
    tcase_add_test(tcase, test_self);
    tcase_add_test(tcase, test_sync);
    tcase_add_test(tcase, test_reorganisation);
    tcase_add_test(tcase, test_block_relay);
    tcase_add_test(tcase, test_tx_relay);
    tcase_add_test(tcase, test_compact_missing);
    tcase_add_test(tcase, test_fee_filter);
    tcase_add_test(tcase, test_added_nodes);
    tcase_add_test(tcase, test_bans);
    tcase_add_test(tcase, test_beacons);
    tcase_add_test(tcase, test_addresses);
    tcase_add_test(tcase, test_seeds);
    tcase_add_test(tcase, test_fixed_seeds);
    tcase_add_test(tcase, test_messages_by_hand);
    tcase_add_test(tcase, test_replay);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
