# coind - the only build file. `make` alone works in a fresh clone: it makes ./configure and
# config.mk when they are missing. `make help` lists the targets.
#
# Modes, each with a build folder of its own: ASAN=1 UBSAN=1 TSAN=1 DEBUG=1, and CC=clang.

.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
all:

# Targets that need no configured tree.
NO_CONFIG := clean distclean lint format help dist
ifneq ($(if $(MAKECMDGOALS),$(filter-out $(NO_CONFIG),$(MAKECMDGOALS)),all),)
include config.mk
endif

configure: configure.ac
	@command -v autoconf >/dev/null || { echo "autoconf is missing: run contrib/install-deps (as root), or: apt-get install autoconf" >&2; exit 1; }
	autoconf

config.mk: configure config.mk.in
	./configure --quiet

# ---- modes -------------------------------------------------------------------------------------
MODE := $(if $(ASAN),-asan)$(if $(UBSAN),-ubsan)$(if $(TSAN),-tsan)$(if $(DEBUG),-debug)$(if $(FUZZ),-fuzz)$(if $(findstring clang,$(CC)),-clang)
BUILD := build$(MODE)

SANITIZE := $(if $(ASAN),-fsanitize=address) $(if $(UBSAN),-fsanitize=undefined -fno-sanitize-recover=undefined) \
            $(if $(TSAN),-fsanitize=thread) $(if $(FUZZ),-fsanitize=fuzzer-no-link)
OPTIMISE := $(if $(DEBUG),-O0,-O2) -g

WARN := -Wall -Wextra -Wconversion -Wshadow -Wswitch-enum -Wstrict-prototypes -Wmissing-prototypes \
        -Wvla -Wpointer-arith -Wwrite-strings -Wundef -Wformat=2 -Werror
# libsecp256k1 0.2 names functions that a later version renamed; its own notes advise this.
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -pthread $(WARN) $(OPTIMISE) -fno-strict-aliasing \
              -fstack-protector-strong $(SANITIZE) -Iinclude -I$(BUILD) -DCOIN_VERSION='"$(VERSION)"' $(if $(HAVE_NATPMP),-DHAVE_NATPMP) $(CFLAGS)
ALL_LDFLAGS := -pthread $(SANITIZE) $(CONFIGURED_LDFLAGS) $(LDFLAGS)
LIBS := -lsecp256k1 -lleveldb -lsqlite3 -levent_core -levent_extra $(if $(HAVE_NATPMP),-lnatpmp) -lcrypto -lm

# ---- what there is to build --------------------------------------------------------------------
LAYERS := base crypto primitives chain script descriptor consensus ledger mempool mine p2p wallet rpc node net
LIB_SRC := $(sort $(foreach l,$(LAYERS),$(wildcard src/$(l)/*.c)))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o) $(BUILD)/genesis.o
LIB := $(BUILD)/libcoin.a

PROGRAMS := $(patsubst src/%.c,$(BUILD)/%,$(wildcard src/*.c))
UNIT := $(patsubst %.c,$(BUILD)/%,$(wildcard test/unit/test_*.c))
VECTORS := $(patsubst %.c,$(BUILD)/%,$(wildcard test/vectors/vec_*.c))
SIM_LIB_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(filter-out test/sim/sim_%.c,$(wildcard test/sim/*.c)))
SIM := $(patsubst %.c,$(BUILD)/%,$(wildcard test/sim/sim_*.c))
FUZZERS := $(patsubst %.c,$(BUILD)/%,$(wildcard test/fuzz/fuzz_*.c))
BENCH := $(patsubst %.c,$(BUILD)/%,$(wildcard test/bench/bench_*.c))

all: $(PROGRAMS) $(if $(MODE),,links)

# The programs of the default build are reached without knowing the build folder.
.PHONY: links
links: $(PROGRAMS)
	@for p in $(notdir $(PROGRAMS)); do ln -sf $(BUILD)/$$p $$p; done

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(EXTRA_$(notdir $*)) -MMD -MP -c -o $@ $<

# One translation unit per instruction set: each is compiled for its own and chosen at run time.
# On other processors these files are empty but for their names.
ifneq ($(findstring x86_64,$(shell $(CC) -dumpmachine 2>/dev/null)),)
EXTRA_sha256_shani := -msse4.1 -msha
EXTRA_sha256_avx2 := -mavx2
EXTRA_sha256_avx512 := -mavx512f -mavx512bw -mavx512vl
endif

# The chain files are embedded, so that a node needs nothing beside itself.
$(BUILD)/genesis.c: $(wildcard genesis/*.json) contrib/embed-chains
	@mkdir -p $(@D)
	contrib/embed-chains genesis > $@
$(BUILD)/genesis.o: $(BUILD)/genesis.c
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(LIB): $(LIB_OBJ)
	@rm -f $@
	ar rcs $@ $^

$(PROGRAMS): $(BUILD)/%: $(BUILD)/src/%.o $(LIB)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# test/unit/unit.h is shared by the unit tests; each test_x.c is a program of its own.
$(UNIT): $(BUILD)/%: $(BUILD)/%.o $(SIM_LIB_OBJ) $(LIB)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ -lcheck -lsubunit -lrt $(LIBS)
MAKE_CHAIN := $(BUILD)/test/bench/make_chain
$(VECTORS) $(SIM) $(BENCH) $(MAKE_CHAIN): $(BUILD)/%: $(BUILD)/%.o $(SIM_LIB_OBJ) $(LIB)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)
# A fuzz target replays its corpus, or lets libFuzzer look for more (FUZZ=1, see `make fuzz`).
$(FUZZERS): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/test/fuzz/start.o $(if $(FUZZ),,$(BUILD)/test/fuzz/replay.o) $(SIM_LIB_OBJ) $(LIB)
	$(CC) $(ALL_LDFLAGS) $(if $(FUZZ),-fsanitize=fuzzer) -o $@ $^ $(LIBS)
# What test_killpoints.py puts before libc (see its first lines). It has no part in sanitizing: it comes first.
KILL_LIB := $(BUILD)/test/kill/preload.so
$(KILL_LIB): test/kill/preload.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE $(WARN) -O2 -g -shared -fPIC -o $@ $< -ldl
.SECONDARY:

# ---- tests -------------------------------------------------------------------------------------
export COIN_VECTORS ?= ../shared/vectors
export COIN_BUILD := $(BUILD)

.PHONY: all check check-unit check-vectors check-sim check-fuzz check-functional check-interop check-full fuzz fuzzers bench lint format docs install uninstall dist clean distclean help
check: lint check-unit check-vectors check-fuzz check-sim check-functional

check-unit: $(UNIT)
	@contrib/run-each $(UNIT)
check-vectors: $(VECTORS)
	@test/vectors/run $(VECTORS)
check-sim: $(SIM)
	@contrib/run-each $(SIM)
check-fuzz: $(FUZZERS)
	@for t in $(FUZZERS); do $$t test/fuzz/*/$${t##*/fuzz_}.hex || exit 1; done
check-functional: all $(KILL_LIB)
	@python3 test/functional/run.py --build $(BUILD)

# Independent nodes of this protocol: needs npm, which fetches them.
INTEROP := $(BUILD)/interop
check-interop: all $(INTEROP)/node_modules
	@python3 test/functional/run.py --build $(BUILD) --folder test/interop
$(INTEROP)/node_modules: test/interop/package.json test/interop/package-lock.json
	@mkdir -p $(@D)
	cp $^ $(@D)
	cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# Everything that a release must pass: both compilers, the sanitizers, and other people's nodes.
check-full: check check-interop
	$(MAKE) CC=clang check-unit check-vectors check-sim
	$(MAKE) ASAN=1 UBSAN=1 check-unit check-vectors check-fuzz check-sim check-functional
	$(MAKE) TSAN=1 check-unit check-sim check-functional
# Looks for new inputs, FUZZ_MINUTES in all; what is found joins the corpus (contrib/fuzz -h).
FUZZ_MINUTES ?= 10
fuzz:
	$(MAKE) CC=clang FUZZ=1 ASAN=1 UBSAN=1 fuzzers
	contrib/fuzz --minutes $(FUZZ_MINUTES)
fuzzers: $(FUZZERS)
bench: $(BENCH) $(MAKE_CHAIN) all
	@contrib/run-each $(BENCH)
	@python3 test/bench/bench_node.py --build $(BUILD)
	@python3 test/bench/bench_sync.py --build $(BUILD)

lint:
	@python3 test/lint/lint.py
format:
	clang-format -i $$(git ls-files '*.c' '*.h')
# What is made from the programs themselves.
docs: all
	contrib/man-pages
	contrib/rpc-doc

# ---- install -----------------------------------------------------------------------------------
DESTDIR ?=
install: all
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(mandir)/man1
	install -m 755 $(PROGRAMS) $(DESTDIR)$(bindir)
	install -m 644 doc/man/*.1 $(DESTDIR)$(mandir)/man1
uninstall:
	rm -f $(addprefix $(DESTDIR)$(bindir)/,$(notdir $(PROGRAMS))) $(addprefix $(DESTDIR)$(mandir)/man1/,$(notdir $(wildcard doc/man/*.1)))
dist:
	git archive --prefix=coind/ -o coind.tar.gz HEAD
clean:
	rm -rf build build-* $(notdir $(patsubst src/%.c,%,$(wildcard src/*.c)))
distclean: clean
	rm -rf config.mk config.log config.status configure autom4te.cache
help:
	@echo "all check check-unit check-vectors check-sim check-fuzz check-functional check-full fuzz fuzzers bench lint format docs install uninstall dist clean distclean"
	@echo "modes: ASAN=1 UBSAN=1 TSAN=1 DEBUG=1 CC=clang"

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
