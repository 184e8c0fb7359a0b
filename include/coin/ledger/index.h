/* index.h - every header we know, as a tree; and where its block lies on disk.
 * Owner: the ledger. Thread: loop. Entries never move and are never freed while the ledger lives; others
 * hold `struct block_index *` freely and read, only the ledger writes. */
#ifndef COIN_LEDGER_INDEX_H
#define COIN_LEDGER_INDEX_H

#include "coin/chain/chain.h"
#include "coin/consensus/pow.h"
#include "coin/primitives/block.h"
#include "coin/primitives/u256.h"

enum block_status { /* or-ed */
    BLOCK_HAVE_DATA = 1u << 0,      /* in a blk file, context-free checks passed */
    BLOCK_HAVE_UNDO = 1u << 1,      /* in a rev file: it was connected once */
    BLOCK_SCRIPTS_OK = 1u << 2,     /* fully valid */
    BLOCK_FAILED = 1u << 3,         /* it breaks a rule, for ever */
    BLOCK_FAILED_PARENT = 1u << 4,  /* an ancestor does */
    BLOCK_PRUNED = 1u << 5          /* data was there and has been deleted */
};

struct block_index {
    struct block_id id;
    struct block_index *prev; /* NULL for genesis */
    struct block_index *skip; /* an ancestor far back, for fast walks */
    struct u256 chain_work;   /* genesis to here */
    int32_t height;
    int32_t version;
    uint8_t merkle_root[32];
    uint32_t time_s, bits, nonce;
    uint32_t status;
    uint32_t tx_count;        /* 0: not known yet */
    uint64_t chain_tx_count;  /* genesis to here; 0: some block between is missing */
    uint32_t file;            /* blk/rev file number */
    uint32_t data_pos_b, undo_pos_b, data_size_b, undo_size_b;
    uint32_t sequence;        /* order of arrival among equal work; preciousblock lowers it */
    /* private to the ledger: */
    struct block_index *child, *sibling; /* newest child; the child of prev that came before this one */
    struct held_block *held;             /* its block in memory, or NULL */
    uint32_t candidate;                  /* place + 1 among the candidates for the tip; 0: none */
    uint32_t writer_file;                /* the writer's: the file it appended the block to */
    uint16_t in_flight;                  /* copies of its block that are being decoded */
    bool is_dirty;                       /* the stored row is behind */
};

struct block_index *index_ancestor(struct block_index *from, int32_t height); /* NULL: out of range */
const struct block_index *index_fork(const struct block_index *a, const struct block_index *b);
int64_t index_median_time_past_s(const struct block_index *index);
struct header index_header(const struct block_index *index);

/* What difficulty sees of the branch that ends in tip. Fill with index_view; view.ctx points into the
 * struct, so it must not move. Thread: loop. */
#define INDEX_VIEW_NEAR 128 /* windows up to this many headers are walked once, not searched */
struct index_view {
    struct pow_view view;
    const struct block_index *tip;
    uint32_t near_count; /* filled at the first question */
    const struct block_index *near[INDEX_VIEW_NEAR + 1];
};
void index_view_init(struct index_view *view, const struct block_index *tip);

#endif
