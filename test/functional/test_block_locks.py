"""Time and height: headers, absolute and relative locks, their opcodes, and the heights at which soft forks begin."""
from blocks import FINAL, TRUE, Key, Rig, report, script, sighash_legacy, spend
from framework import CoinTest

NONFINAL = "bad-txns-nonfinal"
UNSATISFIED = "block-script-verify-flag-failed (Locktime requirement not satisfied)"
NEGATIVE = "block-script-verify-flag-failed (Negative locktime)"
STACK = "block-script-verify-flag-failed (Operation not valid with the current stack size)"
NUMBER = "block-script-verify-flag-failed (Script number overflowed or is non-minimally encoded)"
BY_TIME, DISABLED = 1 << 22, 1 << 31


def tearDownModule():
    report()


def final_except_last(*coins, **options):
    tx = spend(*coins, **options)
    tx.ins[-1].sequence = FINAL - 1
    return tx


class Headers(CoinTest):
    def test_work_and_bits(self):
        rig = Rig(self)
        rig.grow(2)
        rig.bad("hash above the target", rig.block(seal=False).seal(miss=True), "high-hash")
        for bits, target, reason in ((0x207ffffe, None, "bad-diffbits"), (0x2000ffff, None, "bad-diffbits"),
                                     (0x1f7fffff, 2**255, "high-hash"), (0x217fffff, 2**255, "high-hash"),
                                     (0x20ffffff, 2**255, "high-hash"), (0, 2**255, "high-hash"),
                                     (0x207fffff | 0x00800000, 2**255, "high-hash"), (0x21008000, 2**255, "high-hash")):
            block = rig.block(bits=bits, seal=False)
            if (bits, reason) == (0x1f7fffff, "high-hash"):
                block.seal(miss=True)
            else:
                block.seal(target=target)
            rig.bad(f"bits {bits:08x}", block, reason)
        rig.bad("bits of another spelling", rig.block(bits=0x2100007f), "bad-diffbits")
        rig.ok("the bits that are due", rig.block())
        rig.close()

    def test_time(self):
        rig = Rig(self)
        rig.grow(15)
        for offset in (-6000, -1, 0):
            rig.bad(f"time: median {offset:+d}", rig.block(time=rig.median_time() + offset), "time-too-old")
        rig.ok("time: median +1", rig.block(time=rig.median_time() + 1))
        rig.bad("time: median of a list that is not in order", rig.block(time=rig.median_time()), "time-too-old")
        rig.ok("time: that median +1", rig.block(time=rig.median_time() + 1))
        now = rig.tip.time + 100_000
        rig.node.setmocktime(now)
        late = rig.block(time=now + 7201)
        rig.bad("time: 7201 s ahead", late, "time-too-new")
        rig.bad("time: the last of all times", rig.block(time=FINAL), "time-too-new")
        rig.ok("time: 7200 s ahead", rig.block(time=now + 7200))
        late = rig.block(time=now + 7201)
        rig.bad("time: 7201 s ahead again", late, "time-too-new")
        rig.node.setmocktime(now + 1)
        rig.ok("time: the same block a second later", late)
        rig.ok("time: then back to median +1", rig.block(time=rig.median_time() + 1))
        rig.close()

    def test_version(self):
        rig = Rig(self, "-testactivationheight=bip34@5", "-testactivationheight=dersig@7", "-testactivationheight=cltv@9")
        for height in range(1, 10):
            least = 4 if height >= 9 else 3 if height >= 7 else 2 if height >= 5 else None
            if least is None:
                rig.ok(f"version {height - 3} at height {height}", rig.block(version=height - 3))
                continue
            for version in (least - 1, 0, -1, -2**31)[:4 if height in (5, 9) else 1]:
                rig.bad(f"version {version} at height {height}", rig.block(version=version),
                        f"bad-version(0x{version & 0xffffffff:08x})")
            rig.ok(f"version {least} at height {height}", rig.block(version=least))
        rig.ok("version 0x7fffffff", rig.block(version=0x7fffffff))
        rig.close()


class Absolute(CoinTest):
    def test_locktime(self):
        rig = Rig(self)
        rig.grow(102)
        coins = iter(rig.fund(*[TRUE] * 12))
        coin, height = next(coins), rig.height

        def locked(lock, sequence=0, **options):
            return rig.block(spend(coin, lock_time=lock, sequence=sequence, **options))
        rig.bad("locked for ever, by height", locked(499_999_999), NONFINAL)
        rig.bad("locked for ever, by time", locked(FINAL), NONFINAL)
        rig.bad("locked with sequence 0xfffffffe", locked(height, FINAL - 1), NONFINAL)
        rig.bad("locked with version 1", locked(height, version=1), NONFINAL)
        rig.pair("lock by height", locked(height - 1), locked(height), NONFINAL)
        coin, other = next(coins), next(coins)
        rig.bad("one of two inputs is not final", rig.block(final_except_last(coin, other, lock_time=FINAL)), NONFINAL)
        rig.ok("all inputs are final", rig.block(spend(coin, other, lock_time=FINAL)))
        coin = next(coins)
        rig.ok("the first second of locks by time", locked(500_000_000))
        coin = next(coins)
        median = rig.median_time()
        rig.pair("lock by time: the median", locked(median - 1), locked(median), NONFINAL)
        coin = next(coins)
        ahead = spend(coin, lock_time=rig.median_time(), sequence=0)
        rig.bad("the block's own time does not count", rig.block(ahead, time=rig.tip.time + 5000), NONFINAL)
        rig.close()

    def test_before_bip113(self):
        rig = Rig(self, "-testactivationheight=csv@108")
        rig.grow(103)
        coins = iter(rig.fund(*[TRUE] * 6))
        coin = next(coins)
        time = rig.tip.time + 600

        def locked(lock):
            return rig.block(spend(coin, lock_time=lock, sequence=0), time=time)
        rig.pair("before BIP113: the block's time", locked(time - 1), locked(time), NONFINAL)
        coin = next(coins)
        rig.ok("before BIP68: a relative lock", rig.block(spend(coin, sequence=65535)))
        coin, time = next(coins), rig.tip.time + 600
        rig.ok("before BIP113, its last block", locked(time - 1))
        coin, time = next(coins), rig.tip.time + 600
        self.assertEqual(rig.height, 108)
        rig.bad("with BIP113: the block's time", locked(time - 1), NONFINAL)
        rig.bad("with BIP68: a relative lock", rig.block(spend(coin, sequence=65535)), NONFINAL)
        rig.pair("with BIP113: the median", locked(rig.median_time() - 1), locked(rig.median_time()), NONFINAL)
        rig.close()

    def test_cltv(self):
        rig = Rig(self)
        rig.grow(102)
        height, median = 106, rig.median_time()

        def case(name, lock_script, reason=None, lock=50, sequence=0, **options):
            coin = coins[lock_script].pop()
            block = rig.block(spend(coin, lock_time=lock, sequence=sequence, **options))
            if reason:
                rig.bad(f"CLTV: {name}", block, reason)
            else:
                rig.ok(f"CLTV: {name}", block)

        def cltv(n):
            return script(n, "CLTV", "DROP", 1)
        scripts = {n: cltv(n) for n in (0, 50, 51, -1, 499_999_999, 500_000_000, median - 5000, 2**39 - 1, 2**32, 17)}
        scripts["6 bytes"] = script(b"\x32\0\0\0\0\0", "CLTV", "DROP", 1)
        scripts["5 bytes"] = script(b"\x32\0\0\0\0", "CLTV", "DROP", 1)
        scripts["empty"] = script("CLTV", 1)
        made = list(scripts.values()) * 4
        coins = {}
        for coin in rig.fund(*made):
            coins.setdefault(coin.script, []).append(coin)
        self.assertLess(rig.height, height)
        case("one more than the lock", scripts[51], UNSATISFIED)
        case("just the lock", scripts[50])
        case("less than the lock", scripts[17])
        case("a final input", scripts[50], UNSATISFIED, sequence=FINAL)
        case("sequence 0xfffffffe", scripts[50], sequence=FINAL - 1)
        case("-1", scripts[-1], NEGATIVE)
        case("0 of 0", scripts[0], lock=0)
        case("a height for a time", scripts[499_999_999], UNSATISFIED, lock=median - 1)
        case("a time for a height", scripts[500_000_000], UNSATISFIED, lock=50)
        case("a time for a time", scripts[median - 5000], lock=median - 5000)
        case("a time, 1 s early", scripts[median - 5000], UNSATISFIED, lock=median - 5001)
        case("5 bytes, the largest", scripts[2**39 - 1], UNSATISFIED, lock=median - 1)
        case("5 bytes, beyond 32 bits", scripts[2**32], UNSATISFIED, lock=median - 1)
        case("5 bytes", scripts["5 bytes"])
        case("6 bytes", scripts["6 bytes"], NUMBER)
        case("an empty stack", scripts["empty"], STACK)
        case("version 1 has locks as well", scripts[50], version=1)
        rig.close()


class Relative(CoinTest):
    def test_by_height(self):
        rig = Rig(self)
        rig.grow(102)
        made = rig.height
        coins = rig.fund(*[TRUE] * 10)
        rig.grow(4)
        depth = rig.height - made

        def block(coin, *sequences, **options):
            tx = spend(*coin, **options)
            for i, sequence in zip(tx.ins, sequences):
                i.sequence = sequence
            return rig.block(tx)
        rig.bad("lock of 65535 blocks", block(coins[:1], 65535), NONFINAL)
        rig.bad("versions that are negative as signed count as well", block(coins[:1], depth + 1, version=-1), NONFINAL)
        rig.bad("version 2^31", block(coins[:1], depth + 1, version=-2**31), NONFINAL)
        rig.bad("bits that mean nothing", block(coins[:1], depth + 1 | 0x7fbf0000 & ~BY_TIME), NONFINAL)
        rig.bad("the longest lock of two", block(coins[:2], 0, depth + 1), NONFINAL)
        rig.pair("lock by height", block(coins[:1], depth), block(coins[:1], depth + 1), NONFINAL)
        rig.ok("both of two locks are over", block(coins[1:3], depth, depth + 1))
        rig.ok("version 1 has none", block(coins[3:4], 65535, version=1))
        rig.ok("version 0 has none", block(coins[4:5], 65535, version=0))
        rig.ok("the bit that turns it off", block(coins[5:6], DISABLED | 65535))
        rig.ok("bits that mean nothing, over", block(coins[6:7], rig.height - made | 0x7fbf0000 & ~BY_TIME))
        parent = spend(coins[7])
        rig.pair("a coin of the same block", rig.block(parent, spend(parent.coin(), sequence=0)),
                 rig.block(parent, spend(parent.coin(), sequence=1)), NONFINAL)
        rig.close()

    def test_by_time(self):
        rig = Rig(self, spacing=512)
        rig.grow(102)
        start = rig.median_time()  # of the block before the coins
        coins = iter(rig.fund(*[TRUE] * 8))
        rig.grow(8)
        rig.ok("a block one second early", rig.block(time=rig.tip.time + 511))
        rig.grow(1, time=rig.tip.time + 513)
        rig.grow(4)
        past = rig.median_time() - start
        self.assertEqual(past % 512, 511)
        coin, steps = next(coins), past // 512

        def locked(n, **options):
            return rig.block(spend(coin, sequence=BY_TIME | n, **options))
        rig.bad("lock by time: 65535", locked(65535), NONFINAL)
        rig.pair("lock by time, one second is missing", locked(steps), locked(steps + 1), NONFINAL)
        coin = next(coins)
        self.assertEqual(rig.median_time() - start, 512 * (steps + 2))
        rig.bad("lock by time, the next step", locked(steps + 3), NONFINAL)
        rig.bad("lock by time with version -1", locked(steps + 3, version=-1), NONFINAL)
        rig.ok("lock by time, to the second", locked(steps + 2))
        coin = next(coins)
        rig.ok("lock by time with version 1", locked(65535, version=1))
        parent = spend(next(coins))
        rig.pair("a coin of the same block, by time", rig.block(parent, spend(parent.coin(), sequence=BY_TIME)),
                 rig.block(parent, spend(parent.coin(), sequence=BY_TIME | 20)), NONFINAL)
        rig.close()

    def test_csv(self):
        rig = Rig(self)
        rig.grow(102)
        scripts = {n: script(n, "CSV", "DROP", 1) for n in (0, 3, 4, -1, BY_TIME | 1, DISABLED, DISABLED | BY_TIME | 99, 3 | 1 << 16)}
        scripts["6 bytes"] = script(b"\3\0\0\0\0\0", "CSV", "DROP", 1)
        scripts["empty"] = script("CSV", 1)
        coins = {}
        for coin in rig.fund(*list(scripts.values()) * 8):
            coins.setdefault(coin.script, []).append(coin)
        rig.grow(12)

        def case(name, key, reason=None, sequence=3, **options):
            coin = coins[scripts[key]].pop()
            block = rig.block(spend(coin, sequence=sequence, **options))
            if reason:
                rig.bad(f"CSV: {name}", block, reason)
            else:
                rig.ok(f"CSV: {name}", block)
        case("one more than the sequence", 4, UNSATISFIED)
        case("just the sequence", 3)
        case("0 of 0", 0, sequence=0)
        case("0 of 3", 0)
        case("version 1", 3, UNSATISFIED, version=1)
        case("version 0", 0, UNSATISFIED, version=0)
        case("version -1 is a high one", 3, version=-1)
        case("the sequence turned off", 3, UNSATISFIED, sequence=DISABLED | 3)
        case("a final input", 3, UNSATISFIED, sequence=FINAL)
        case("blocks for a time", 3, UNSATISFIED, sequence=BY_TIME | 3)
        case("a time for blocks", BY_TIME | 1, UNSATISFIED)
        case("a time for a time", BY_TIME | 1, sequence=BY_TIME | 1)
        case("turned off in the script", DISABLED, sequence=FINAL)
        case("turned off in the script, version 1", DISABLED | BY_TIME | 99, sequence=0, version=1)
        case("bits that mean nothing", 3 | 1 << 16)
        case("-1", -1, NEGATIVE)
        case("6 bytes", "6 bytes", NUMBER)
        case("an empty stack", "empty", STACK)
        rig.close()


class Forks(CoinTest):
    """What each soft fork forbids is allowed one block before."""

    def test_heights(self):
        rig = Rig(self, "-testactivationheight=dersig@106", "-testactivationheight=cltv@107", "-testactivationheight=csv@108",
                  "-testactivationheight=segwit@109")
        rig.grow(103)
        key = Key(7)
        signed, dummy = script(key.pub, "CHECKSIG"), script(1, key.pub, 1, "CHECKMULTISIG")
        kinds = (("a signature that is not DER", 106, signed, "Non-canonical DER signature"),
                 ("CLTV of a lock that is not over", 107, script(9, "CLTV", "DROP", 1), "Locktime requirement not satisfied"),
                 ("CSV of a lock that is not over", 108, script(9, "CSV", "DROP", 1), "Locktime requirement not satisfied"),
                 ("CHECKMULTISIG with a dummy", 109, dummy, "Dummy CHECKMULTISIG argument must be zero"))
        coins = rig.fund(*[k[2] for k in kinds], *[k[2] for k in kinds])
        self.assertEqual(rig.height, 105)
        for (name, height, locking, text), early, late in zip(kinds, coins[:4], coins[4:]):
            rig.ok(f"{name}, one block before", rig.block(self.payment(key, early, locking)))
            self.assertEqual(rig.height, height)
            rig.bad(f"{name}, at the height", rig.block(self.payment(key, late, locking)),
                    f"block-script-verify-flag-failed ({text})")
        rig.grow(1)
        rig.close()

    @staticmethod
    def payment(key, coin, locking):
        tx = spend(coin)
        if locking.endswith(b"\xac"):
            sig = key.der(sighash_legacy(tx, 0, locking))
            size = sig[3]
            padded = b"\x30" + bytes([sig[1] + 1]) + b"\2" + bytes([size + 1]) + b"\0" + sig[4:]
            tx.ins[0].script_sig = script(padded)
        elif locking.endswith(b"\xae"):
            tx.ins[0].script_sig = script(1, key.der(sighash_legacy(tx, 0, locking)))
        return tx
