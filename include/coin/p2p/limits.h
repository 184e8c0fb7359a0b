/* limits.h - every ceiling of the peer-to-peer side, with unit, reason and source. Thread: any. */
#ifndef COIN_P2P_LIMITS_H
#define COIN_P2P_LIMITS_H

#include <stdint.h>

/* ---- protocol ---- */
#define PROTOCOL_VERSION 70016      /* BIP339 */
#define PROTOCOL_VERSION_MIN 31800  /* Bitcoin: getheaders */
#define PROTOCOL_SENDHEADERS 70012  /* BIP130 */
#define PROTOCOL_FEEFILTER 70013    /* BIP133 */
#define PROTOCOL_SHORT_IDS 70014    /* BIP152 */
#define PROTOCOL_WTXID_RELAY 70016  /* BIP339 */
#define PROTOCOL_PONG 60001         /* BIP31: a ping has a nonce */

/* ---- wire ---- */
#define FRAME_HEADER_SIZE_B 24
#define PAYLOAD_MAX_B 4000000u   /* Bitcoin: MAX_PROTOCOL_MESSAGE_LENGTH */
#define MESSAGE_SMALL_MAX_B 1024 /* room for what later versions append to fixed messages */
#define USER_AGENT_MAX_B 256     /* Bitcoin: MAX_SUBVERSION_LENGTH */
#define INV_COUNT_MAX 50000      /* protocol */
#define HEADERS_COUNT_MAX 2000   /* protocol */
#define ADDR_COUNT_MAX 1000      /* protocol, BIP155 */
#define ADDRV2_BYTES_MAX 512     /* BIP155 */
#define GETBLOCKS_INV_MAX 500    /* protocol */
#define GETCFILTERS_MAX 1000     /* BIP157 */
#define GETCFHEADERS_MAX 2000    /* BIP157 */
#define CFCHECKPT_INTERVAL 1000  /* BIP157 */
#define COMPACT_TX_MAX 66667     /* smallest transaction is 60 bytes: block bytes / 60 */

/* ---- per peer ---- */
#define INBOX_MAX_B 5000000u     /* Bitcoin: -maxreceivebuffer */
#define INBOX_FRAMES_MAX 2048u   /* guess: measure; small frames cost memory beyond their bytes */
#define OUTBOX_MAX_B 1000000u    /* Bitcoin: -maxsendbuffer; beyond, nothing more is served */
#define PINGS_WAITING_MAX 7u     /* answers held back by the barrier; then the inbox waits */
#define WORK_PENDING_MAX 256u    /* transactions and blocks of one peer being judged at once */
#define SERVE_QUEUE_MAX INV_COUNT_MAX /* getdata items not answered yet */
#define SERVE_READS_MAX 4u       /* blocks read from disk ahead, per peer */
#define SERVE_MEMORY_MAX_B (16u << 20) /* bytes of blocks read ahead for all peers */
#define BLOCKS_IN_FLIGHT_MAX 64u
#define BLOCKS_IN_FLIGHT_MIN 2u
#define BLOCKS_IN_FLIGHT_START 16u /* Bitcoin: always 16 */
#define BLOCK_WINDOW 1024          /* Bitcoin: BLOCK_DOWNLOAD_WINDOW; blocks ahead of the first missing */
#define TX_ANNOUNCE_MAX 5000u      /* Bitcoin: MAX_PEER_TX_ANNOUNCEMENTS */
#define TX_IN_FLIGHT_MAX 100u      /* Bitcoin: MAX_PEER_TX_REQUEST_IN_FLIGHT */
#define TX_TO_SEND_MAX 50000u      /* announcements waiting for a peer's timer; the pool is asked then */
#define TX_KNOWN_MAX 25000u        /* per generation of the rolling set */
#define ADDR_KNOWN_MAX 2500u       /* per generation */
#define ORPHAN_WEIGHT_PER_PEER_WU 404000u /* Bitcoin: one transaction of the largest standard size */
#define ORPHANS_PER_PEER_MAX 100u
#define LOW_WORK_RESTARTS_MAX 3u   /* of the header presync, per peer */

/* ---- for the whole node ---- */
#define ORPHANS_MAX 1000u
#define TX_WANTED_MAX 100000u    /* hashes with at least one announcer */
#define TX_ANNOUNCES_MAX 200000u /* over all peers */
#define TX_JUDGING_MAX 20000u    /* ids of transactions that the pool is judging */
#define REJECTS_MAX 60000u       /* per generation; Bitcoin: 120,000 in its filter */
#define DISCOURAGED_MAX 25000u   /* per generation; Bitcoin: 50,000 */
#define BANS_MAX 10000u          /* guess: entries a user makes */
#define ADDED_NODES_MAX 256u
#define LOCAL_ADDRS_MAX 32u       /* own addresses */
#define EARLY_HEADERS_MAX 32u    /* headers ahead of our clock, tried again */
#define CLOCK_SAMPLES_MAX 50u    /* Bitcoin: TimeOffsets */
#define RESOLVES_MAX 64u         /* look-ups on their way */
#define WHITELIST_MAX 256u
#define OUTBOUND_FULL_MAX 8u     /* Bitcoin */
#define OUTBOUND_BLOCKS_MAX 2u   /* Bitcoin: block-relay-only */
#define ANCHORS_MAX 2u           /* Bitcoin */
#define LAN_PEERS_MAX 4u         /* outbound ones found by beacon */
#define LAN_CANDIDATES_MAX 16u

/* ---- time ---- */
#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)
#define HOUR_US (60 * MINUTE_US)
#define PING_INTERVAL_US (2 * MINUTE_US)       /* Bitcoin */
#define INACTIVITY_MAX_US (20 * MINUTE_US)     /* Bitcoin: TIMEOUT_INTERVAL */
#define DIAL_MAX_US (10 * SECOND_US)           /* guess: twice Bitcoin's -timeout */
#define PROXY_DIAL_MAX_US (60 * SECOND_US)     /* guess: an onion service answers in some tens of seconds */
#define HISTORICAL_AGE_S (7 * 24 * 60 * 60)    /* Bitcoin: HISTORICAL_BLOCK_AGE */
#define TX_REQUEST_MAX_US (60 * SECOND_US)     /* Bitcoin: GETDATA_TX_INTERVAL */
#define TX_DELAY_US (2 * SECOND_US)            /* Bitcoin: NONPREF_PEER_TX_DELAY and its kin */
#define TRICKLE_INBOUND_US (5 * SECOND_US)     /* mean */
#define TRICKLE_OUTBOUND_US (2 * SECOND_US)    /* mean */
#define FEE_FILTER_LOADING_SAT_KVB 9000000 /* who asks for so much is loading blocks: transactions wait for it */
#define TRICKLE_BATCH 70u                      /* Bitcoin: INVENTORY_BROADCAST_TARGET */
#define TRICKLE_BATCH_MAX 1000u                /* Bitcoin: INVENTORY_BROADCAST_MAX */
#define ORPHAN_AGE_MAX_US (20 * MINUTE_US)     /* Bitcoin */
#define STALL_START_US (2 * SECOND_US)         /* Bitcoin: BLOCK_STALLING_TIMEOUT_DEFAULT */
#define STALL_MAX_US (64 * SECOND_US)          /* Bitcoin */
#define HEADERS_ANSWER_US (10 * SECOND_US)     /* then somebody else is asked as well */
#define GETHEADERS_AGAIN_US (2 * MINUTE_US)    /* Bitcoin: HEADERS_RESPONSE_TIME */
#define ADDR_SEND_US (30 * SECOND_US)          /* mean; Bitcoin */
#define SELF_ADVERTISE_US (24 * HOUR_US)       /* mean; Bitcoin */
#define FEELER_US (2 * MINUTE_US)              /* mean; Bitcoin */
#define EXTRA_BLOCKS_US (5 * MINUTE_US)        /* mean; Bitcoin: EXTRA_BLOCK_RELAY_ONLY_PEER_INTERVAL */
#define FEEFILTER_US (10 * MINUTE_US)          /* mean; Bitcoin */
#define PEERS_SAVE_US (15 * MINUTE_US)         /* Bitcoin: DUMP_PEERS_INTERVAL */
#define RECONNECT_MIN_US SECOND_US             /* to nodes that the user named */
#define RECONNECT_MAX_US (5 * MINUTE_US)

_Static_assert(HEADERS_COUNT_MAX * 81u + 3 <= PAYLOAD_MAX_B, "a full headers message fits a frame");
_Static_assert(INV_COUNT_MAX * 36u + 3 <= PAYLOAD_MAX_B, "a full inv fits a frame");
_Static_assert(PAYLOAD_MAX_B + FRAME_HEADER_SIZE_B <= INBOX_MAX_B, "the largest frame fits the inbox");

#endif
