"""The rules of coin's own difficulty (LWMA, relief, 300 s of future), and of testnet's (20-minute blocks, BIP94): regtest
with another algorithm, so that work stays cheap."""
import os
import sys

from blocks import Rig, report, target_of
from framework import ROOT, CoinTest

sys.path.insert(0, os.path.join(ROOT, "test", "reference"))
from lwma import bits_due, to_bits  # noqa: E402  (written from the formula, not from the node)

LIMIT = 2**255 - 1
LIMIT_BITS = 0x207fffff
LIMIT_TARGET = target_of(LIMIT_BITS)
GENESIS_S = 1296688602
WINDOW, SPACING_S, RELIEF_S = 20, 60, 20 * 60
LWMA = {"bitcoin": False, "future_limit_s": 300, "spacing_s": SPACING_S,
        "difficulty": {"algorithm": "lwma", "window": WINDOW, "relief_spacings": 20}}
PERIOD = 12
TESTNET = {"bitcoin": False, "spacing_s": 600,
           "difficulty": {"algorithm": "bitcoin", "window": PERIOD, "min_blocks": True, "bip94": True}}


def tearDownModule():
    report()


def harder(bits, by=1):
    """The next target down, or (by=-1) up."""
    return to_bits(target_of(bits) - (by << 8 * ((bits >> 24) - 3)))


def work_between(block, low, high):
    """A hash above low that is at most high."""
    while True:
        block.work_on(target=high)
        if int.from_bytes(block.hash(), "little") > low:
            return block
        block.nonce += 1


class Lwma(CoinTest):
    def due(self, rig):
        return bits_due([b.time for b in rig.chain], [b.bits for b in rig.chain], WINDOW, SPACING_S, LIMIT)

    def grow(self, rig, count, gap_s):
        for _ in range(count):
            rig.bits = self.due(rig)
            rig.grow(1, time=rig.tip.time + gap_s)

    def rig(self, **options):
        rig = Rig(self, changes=LWMA, spacing=SPACING_S, **options)
        self.assertEqual(rig.tip.bits, LIMIT_BITS)
        return rig

    def test_bits(self):
        rig = self.rig()
        rig.bad("before the window is full: harder than due", rig.block(bits=harder(LIMIT_BITS)), "bad-diffbits")
        rig.grow(WINDOW - 1)
        rig.ok("the last block at the limit", rig.block(bits=LIMIT_BITS, time=rig.tip.time + 1))
        self.grow(rig, 2 * WINDOW, 20)
        seen = set()
        for gap_s in (1, 0, -30, 5000, 1, 1, 30, 1, 1, 1, 1, 1200, 1201, 1, 1):
            bits = self.due(rig)
            if target_of(bits) < LIMIT // 2:
                rig.bad(f"gap {gap_s}: one step easier than due", rig.block(bits=harder(bits, -1)), "bad-diffbits")
            rig.bad(f"gap {gap_s}: one step harder than due", rig.block(bits=harder(bits)), "bad-diffbits")
            time = max(rig.tip.time + gap_s, rig.median_time() + 1)
            rig.ok(f"gap {gap_s}: the bits due", rig.block(bits=bits, time=time))
            seen.add(bits)
        self.assertGreater(len(seen), 10)
        rig.close()

    def test_relief(self):
        rig = self.rig()
        self.grow(rig, WINDOW * 4, 20)
        for doublings in (1, 2):
            bits = self.due(rig)
            target = target_of(bits)
            self.assertLess(target << 3, LIMIT)
            late = rig.block(bits=bits, time=rig.tip.time + RELIEF_S * doublings, seal=False)
            early = rig.block(bits=bits, time=late.time - 1, seal=False)
            for block in (late, early):
                block.seal()
                work_between(block, target << doublings - 1, target << doublings)
            rig.pair(f"relief {doublings}: {late.time - rig.tip.time} s", late, early, "high-hash")
            self.grow(rig, WINDOW, 20)
        bits = self.due(rig)
        target = target_of(bits)
        late = rig.block(bits=bits, time=rig.tip.time + RELIEF_S, seal=False).seal()
        rig.bad("relief: a hash above the relieved target", work_between(late, target << 1, target << 2), "high-hash")
        eased = rig.block(bits=to_bits(target << 1), time=rig.tip.time + RELIEF_S)
        rig.bad("relief: it does not go into the bits", eased, "bad-diffbits")
        end = rig.block(bits=bits, time=rig.tip.time + RELIEF_S * 200, seal=False).seal(target=LIMIT)
        rig.ok("relief: after 200 doublings the limit", work_between(end, LIMIT - (LIMIT >> 1), LIMIT))
        rig.close()

    def test_work_of_relief(self):
        """Chain work counts what the hash had to meet: two late blocks are not more than one in time."""
        rig = self.rig()
        self.grow(rig, WINDOW * 4, 20)
        bits, parent = self.due(rig), rig.tip
        late = rig.block(bits=bits, time=parent.time + RELIEF_S * 3)
        rig.ok("a late block", late)
        quick = rig.block(bits=bits, time=parent.time + 60, parent=parent)
        rig.chain.pop()
        rig.ok("a sibling in time has more work and wins", quick)
        rig.close()

    def test_future(self):
        rig = self.rig(now=GENESIS_S + 100_000)
        now = GENESIS_S + 100_000
        self.grow(rig, 3, 60)
        late = rig.block(bits=LIMIT_BITS, time=now + 301)
        rig.bad("future: 301 s", late, "time-too-new")
        rig.ok("future: 300 s", rig.block(bits=LIMIT_BITS, time=now + 300))
        late = rig.block(bits=LIMIT_BITS, time=now + 301)
        rig.bad("future: 301 s again", late, "time-too-new")
        rig.restart(now + 1)
        rig.ok("future: the same a second later", late)
        rig.close()


class Testnet(CoinTest):
    def test_bip94(self):
        """A retarget counts from the period's first bits, and its first block may not go back more than 600 s."""
        rig = Rig(self, changes=TESTNET)
        rig.grow(PERIOD - 1, time=None)
        for block in rig.chain[1:]:
            self.assertEqual(block.bits, LIMIT_BITS)
        span = rig.tip.time - rig.chain[0].time
        due = to_bits(LIMIT_TARGET * span // (PERIOD * 600))
        rig.bad("retarget: the old bits", rig.block(bits=LIMIT_BITS), "bad-diffbits")
        rig.bad("retarget: one step harder", rig.block(bits=harder(due)), "bad-diffbits")
        rig.ok("retarget: the bits due", rig.block(bits=due))
        rig.bits = due
        rig.pair("20-minute blocks: 1201 s", rig.block(bits=LIMIT_BITS, time=rig.tip.time + 1201),
                 rig.block(bits=LIMIT_BITS, time=rig.tip.time + 1200), "bad-diffbits")
        rig.bad("20-minute blocks: after 1201 s the limit is a must", rig.block(bits=due, time=rig.tip.time + 1201), "bad-diffbits")
        rig.bad("the next one has the old bits again", rig.block(bits=LIMIT_BITS), "bad-diffbits")
        rig.ok("the old bits, after 1200 s", rig.block(bits=due, time=rig.tip.time + 1200))
        rig.grow(PERIOD - 2 - rig.tip.height % PERIOD)
        rig.ok("the period's last at the limit, far ahead", rig.block(bits=LIMIT_BITS, time=rig.tip.time + 6000))
        self.assertEqual(rig.height % PERIOD, 0)
        first = rig.chain[-PERIOD]
        self.assertEqual(first.bits, due)
        span = min(max(rig.tip.time - first.time, PERIOD * 600 // 4), PERIOD * 600 * 4)
        from_first = to_bits(min(LIMIT_TARGET, target_of(first.bits) * span // (PERIOD * 600)))
        rig.bits = from_first
        self.assertLess(rig.median_time(), rig.tip.time - 601)
        rig.pair("timewarp: 600 s back", rig.block(time=rig.tip.time - 600), rig.block(time=rig.tip.time - 601),
                 "time-timewarp-attack")
        rig.ok("any other block may go back to the median", rig.block(time=rig.median_time() + 1))
        rig.close()

    def test_first_bits(self):
        """As before, with a quick period: last bits (the limit) and first bits give different retargets."""
        rig = Rig(self, changes=TESTNET, spacing=60)
        rig.grow(PERIOD - 1)
        quarter = to_bits(LIMIT_TARGET // 4)
        rig.bad("a quarter at most: one step harder", rig.block(bits=harder(quarter)), "bad-diffbits")
        rig.ok("a quarter at most", rig.block(bits=quarter))
        rig.bits = quarter
        rig.grow(PERIOD - 2)
        rig.ok("the last at the limit", rig.block(bits=LIMIT_BITS, time=rig.tip.time + 1201))
        span = rig.tip.time - rig.chain[-PERIOD].time
        self.assertGreater(span, PERIOD * 600 // 4)
        of_first, of_last = (to_bits(target_of(bits) * span // (PERIOD * 600)) for bits in (quarter, LIMIT_BITS))
        rig.bad("what is due from the last bits", rig.block(bits=of_last), "bad-diffbits")
        rig.bad("the first bits themselves", rig.block(bits=quarter), "bad-diffbits")
        rig.bad("the limit, though late", rig.block(bits=LIMIT_BITS, time=rig.tip.time + 1201), "bad-diffbits")
        rig.ok("what is due from the first bits", rig.block(bits=of_first))
        rig.close()
