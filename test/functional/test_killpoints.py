"""The process is killed at a chosen disk operation, or finds the disk full from there on; whichever it is, the next
start finds a valid ledger and wallet with all that was promised, and goes on.

test/kill/preload.c counts and kills. The scripted run is done once to count its operations, then once per point.
    COIN_KILL_POINTS  all: every point in every mode; a number: so many points, spread evenly;
                      POINT:MODE[,POINT:MODE...]: just these (a failure names its own). Default: 96."""
import concurrent.futures
import hashlib
import http.client
import os
import random
import shutil
import time
import traceback

from framework import BUILD, PATIENCE_S, REGTEST_ADDRESS, CoinTest, Node, RpcError, wait_until

LIBRARY = os.path.join(BUILD, "test", "kill", "preload.so")
SANITIZED = any(word in os.path.basename(BUILD) for word in ("asan", "tsan"))
POINTS = 96 if not SANITIZED else 16
MODES = ("before", "torn", "before", "torn", "full")  # in turn, when not all are tried
WRITES = ("write", "pwrite", "writev", "pwritev")
OPTIONS = ("-fastprune", "-checkblocks=6", "-listen=0", "-dbcache=4")
EVERY_BLOCK = ("-checkblocks=100000", "-checklevel=4")  # at the start that is judged
RECOVERY_OPS = 60  # about what a start, a block and a flush need
NOT_FOUND = -18  # no wallet of that name
GONE = (OSError, http.client.HTTPException)


def base58_address(number):
    """A P2PKH address of regtest that nobody has the key of."""
    data = b"\x6f" + number.to_bytes(20, "big")
    data += hashlib.sha256(hashlib.sha256(data).digest()).digest()[:4]
    value, text = int.from_bytes(data, "big"), ""
    while value > 0:
        value, digit = divmod(value, 58)
        text = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"[digit] + text
    return text


MANY = {base58_address(n): "0.001" for n in range(1000)}  # 34 kB: three begin another block file under -fastprune


class Ended(Exception):
    """The node's process is no more."""


class Known:
    """What the answers have promised so far."""

    def __init__(self, genesis):
        self.blocks = {genesis: 0}
        self.unheard = 0        # blocks that calls without an answer may have made
        self.floor = 0          # the height that a finished flush held, and nobody has asked to leave
        self.wallet = None      # "asked", "made"
        self.addresses, self.txids = [], []
        self.last = genesis     # the tip by the last answer


class Life:
    """One process under the library, or without it (point None)."""

    def __init__(self, node, known, point=None, mode="before", trace=None, count=None):
        self.node, self.known, self.is_full = node, known, mode == "full"
        node.environment = {}
        if point is not None:
            node.environment = {"LD_PRELOAD": LIBRARY, "COIN_KILL_DIR": os.path.realpath(node.chain_dir),
                                "COIN_KILL_AT": str(point), "COIN_KILL_MODE": mode, "COIN_KILL_TRACE": trace or "",
                                "COIN_KILL_COUNT": count or "",
                                "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
        self.point, self.refused = point, False

    def start(self, *options):
        self.node.start(*options, wait=False)
        wait_until(self.is_up, f"{self.node.dir} to start")
        tip, new = self.ask("getbestblockhash"), []
        at = tip
        while at not in self.known.blocks:
            new.append(at)
            at = self.ask("getblockheader", at)["previousblockhash"]
        assert len(new) <= self.known.unheard, f"{len(new)} blocks of nobody above {at}, {self.known.unheard} may be"
        for height, block in enumerate(reversed(new), self.known.blocks[at] + 1):
            self.known.blocks[block] = height
        self.known.last = tip

    def is_up(self):
        if self.node.process.poll() is not None:
            raise Ended
        try:
            self.node.call("getblockcount")
            return True
        except RpcError as e:
            assert e.code == -28, e
        except GONE:
            pass
        return False

    def ask(self, method, *params):
        """The answer; None: refused, which only a full disk may cause."""
        try:
            return self.node.call(method, *params)
        except RpcError as e:
            if not self.is_full:
                raise
            self.refused = True
            return None
        except GONE:
            raise Ended from None

    def mine(self, count, address=REGTEST_ADDRESS):
        self.known.unheard += count
        blocks = self.ask("generatetoaddress", count, address or REGTEST_ADDRESS)
        if blocks is None:
            return None
        self.known.unheard -= count
        for block in blocks:
            self.known.blocks[block] = self.known.blocks[self.known.last] + 1
            self.known.last = block
        return blocks

    def flush(self):
        info = self.ask("gettxoutsetinfo", "none")
        self.known.floor = info["height"] if info is not None else self.known.floor

    def new_address(self):
        address = self.ask("getnewaddress")
        self.known.addresses += [address] if address is not None else []
        return address

    def pay(self, address, amount):
        txid = self.ask("sendtoaddress", address or REGTEST_ADDRESS, amount)
        self.known.txids += [txid] if txid is not None else []

    def pay_many(self, outputs):
        txid = self.ask("sendmany", "", outputs)
        self.known.txids += [txid] if txid is not None else []

    def invalidate(self, block):
        self.known.floor = min(self.known.floor, self.known.blocks[block] - 1)
        if self.ask("invalidateblock", block) is not None or not self.refused:
            self.known.last = self.ask("getbestblockhash") or self.known.last

    def stop(self):
        try:
            self.ask("stop")
        except Ended:
            pass
        raise Ended

    def live(self, script):
        """The script, to its end or the process's. Returns the exit status."""
        try:
            self.start()
            script(self)
            self.stop()
        except Ended:
            pass
        status = self.node.process.wait(PATIENCE_S)
        self.node.forget()
        return status


def whole_script(life):
    """A wallet, blocks, payments, a second block file, two flushes, a reorganisation there and back."""
    life.known.wallet = "asked"
    if life.ask("createwallet", "w") is not None:
        life.known.wallet = "made"
    mine, theirs = life.new_address(), life.new_address()
    life.mine(8, mine)
    life.mine(101)
    life.pay(theirs, 1)
    life.mine(1, mine)
    life.flush()
    for _ in range(3):
        life.pay_many(MANY)
        life.mine(1)
    life.pay(REGTEST_ADDRESS, 0.5)
    first = life.mine(3, theirs)
    if first is not None:
        life.invalidate(first[0])
        life.mine(1, mine)
        life.flush()
        life.mine(1)
        life.ask("reconsiderblock", first[0])
        life.known.last = life.ask("getbestblockhash") or life.known.last
    life.new_address()
    life.mine(2, mine)


def short_script(life):
    """What a start after a crash is followed by; killed in turn."""
    life.mine(2)
    life.flush()
    life.mine(1)


def subsidies(height):
    return sum(50 / 2 ** (h // 150) for h in range(1, height + 1))


def is_settled(node):
    """No block that is here waits to be connected."""
    tips = node.getchaintips()
    height = next(t["height"] for t in tips if t["status"] == "active")
    return not any(t["status"] == "valid-headers" and t["height"] > height for t in tips)


def check_ledger(test, node, known, must_be):
    wait_until(lambda: is_settled(node), "what is stored to be connected")
    info = node.getblockchaininfo()
    test.assertGreaterEqual(info["blocks"], known.floor)
    if must_be is not None:
        test.assertEqual(info["bestblockhash"], must_be,
                         f"an orderly end lost the tip: {info['blocks']}, not {known.blocks[must_be]}")
    coins = node.gettxoutsetinfo()
    test.assertEqual((coins["bestblock"], coins["height"]), (info["bestblockhash"], info["blocks"]))
    test.assertEqual(coins["total_amount"], subsidies(coins["height"]))


def check_wallet(test, node, known):
    if known.wallet is None:
        return
    if "w" not in node.listwallets():
        test.assertEqual(known.wallet, "asked", "the wallet is not loaded")
        try:
            node.loadwallet("w")
        except RpcError as e:  # no trace of it: it must be possible to make it now
            test.assertEqual(e.code, NOT_FOUND, e.message)
            node.createwallet("w")
    wait_until(lambda: node.getwalletinfo()["scanning"] is False, "the wallet")
    for address in known.addresses:
        test.assertTrue(node.getaddressinfo(address)["ismine"], address)
    for txid in known.txids:
        test.assertEqual(node.gettransaction(txid)["txid"], txid)
    balances, height = node.getbalances()["mine"], node.getblockcount()
    node.rescanblockchain()
    test.assertEqual(node.getbalances()["mine"], balances, "a rescan changes the balance")
    address = node.getnewaddress()
    test.assertNotIn(address, known.addresses, "an address was given twice")
    node.mine(1, address)
    test.assertEqual(node.getblockcount(), height + 1)
    test.assertGreaterEqual(sum(node.getbalances()["mine"].values()), sum(balances.values()) + 50)


def last_error(node):
    return node.stderr_text().strip()


class KillPoints(CoinTest):
    def fresh(self, name):
        node = Node(os.path.join(self.folder, name), *OPTIONS)
        os.makedirs(node.chain_dir)
        self.nodes.append(node)
        return node

    def measure(self):
        """The names of the script's operations, in order."""
        node = self.fresh("measure")
        trace, count = os.path.join(self.folder, "trace"), os.path.join(self.folder, "count")
        self.genesis = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"
        known = Known(self.genesis)
        self.assertEqual(Life(node, known, 0, trace=trace, count=count).live(whole_script), 0)
        self.check(node, known, known.last)
        with open(trace) as f:
            names = [line.split()[1] for line in f]
        with open(count) as f:
            self.assertEqual(int(f.read()), len(names))
        for name in ("write", "pwrite", "fdatasync", "fsync", "rename", "unlink"):
            self.assertIn(name, names)
        files = os.listdir(os.path.join(node.chain_dir, "blocks"))
        self.assertGreater(len([f for f in files if f.startswith("blk")]), 1, "one block file only")
        shutil.rmtree(node.dir)
        return names

    def choose(self, names):
        wanted = os.environ.get("COIN_KILL_POINTS", str(POINTS))
        if ":" in wanted:
            return [(int(p.split(":")[0]), p.split(":")[1]) for p in wanted.split(",")]
        if wanted == "all":
            return [(at, mode) for at in range(1, len(names) + 1) for mode in ("before", "torn", "full")
                    if mode != "torn" or names[at - 1] in WRITES]
        count = int(wanted)
        chosen = []
        for i in range(count):
            at, mode = 1 + (2 * i + 1) * len(names) // (2 * count), MODES[i % len(MODES)]
            while mode == "torn" and names[at - 1] not in WRITES and at > 1:
                at -= 1
            chosen.append((at, mode))
        return chosen

    def check(self, node, known, must_be=None):
        Life(node, known).start(*EVERY_BLOCK)
        check_ledger(self, node, known, must_be)
        check_wallet(self, node, known)
        node.mine(1)
        coins = node.coins()
        node.stop()
        node.start("-reindex-chainstate")  # the same coins by the block files alone
        wait_until(lambda: node.getbestblockhash() == coins[0], "the chainstate to be made again")
        self.assertEqual(node.coins(), coins)
        node.stop()

    def try_point(self, at, mode):
        """Returns whether the point was reached (the number of operations differs a little from run to run)."""
        node, known, rng = self.fresh(f"{at}-{mode}"), Known(self.genesis), random.Random(f"{at}:{mode}")
        life = Life(node, known, at, mode)
        status = life.live(whole_script)
        reached = status != 0 or life.refused
        if mode != "full":
            self.assertIn(status, (0, -9), last_error(node))
            if status != 0 and rng.random() < 0.5:  # and once more, while it recovers or soon after
                again = Life(node, known, rng.randrange(1, RECOVERY_OPS), rng.choice(("before", "torn")))
                self.assertIn(again.live(short_script), (0, -9), last_error(node))
                status = -9
        elif status != 0:  # it ends by itself, in order, and says why
            self.assertGreater(status, 0)
            self.assertRegex(last_error(node), "(?s)^Error: .*(No space left on device|disk is full|disk I/O error)")
        self.check(node, known, known.last if status == 0 else None)
        shutil.rmtree(node.dir)
        self.nodes.remove(node)
        return reached

    def try_named(self, point):
        try:
            return self.try_point(*point)
        except Exception as e:
            name = f"{point[0]}:{point[1]}"
            folder = os.path.join(self.folder, name.replace(":", "-"))
            with open(os.path.join(folder, "regtest", "debug.log"), errors="replace") as f:
                log = f.read()[-3000:]
            raise AssertionError(f"{name}: {traceback.format_exc()}replay: COIN_KILL_POINTS={name} python3 "
                                 f"test/functional/run.py --build {os.path.basename(BUILD)} test_killpoints\n{log}") from e

    def test_points(self):
        self.assertTrue(os.path.exists(LIBRARY), f"{LIBRARY} is missing: make check-functional builds it")
        began = time.monotonic()
        names = self.measure()
        points = self.choose(names)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            tries = [(point, pool.submit(self.try_named, point)) for point in points]
            failures = [(point, done.exception()) for point, done in tries if done.exception() is not None]
            reached = sum(done.exception() is None and done.result() for _, done in tries)
        for _, error in failures[:5]:
            print(f"--- {error}")
        self.assertEqual([f"{at}:{mode}" for (at, mode), _ in failures], [], "points that were not recovered")
        print(f"kill points: {len(points)} of {len(names)} operations tried, {reached} reached, all recovered, "
              f"{time.monotonic() - began:.1f} s")
        self.assertGreater(reached, len(points) * 3 // 4)
