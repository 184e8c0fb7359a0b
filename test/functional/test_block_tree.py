"""Branches: who comes first, what is not known yet, and invalid blocks at the end and in the middle of better branches."""
from blocks import TRUE, Rig, report, script, spend
from framework import CoinTest


def tearDownModule():
    report()


def wait_drop(peer):
    """Verdicts come when they are ready, so no ping may be answered first."""
    while peer.read() is not None:
        pass


class Tree(CoinTest):
    def branch(self, rig, parent, count, tag, bad_at=None, spoil=None):
        """count blocks on parent, apart from other branches by tag; the one at bad_at pays itself 1 too much."""
        blocks = []
        for n in range(count):
            height = parent.height + 1
            value = rig.subsidy(height) + (n == bad_at and spoil is None)
            coinbase = rig.coinbase(height, value, script_sig=script(height) + tag)
            parent = rig.block(*([spoil] if n == bad_at and spoil else []), parent=parent, coinbase=coinbase)
            blocks.append(parent)
        return blocks

    def serve(self, rig, blocks, others=()):
        """A peer that has all these blocks and gives what it is asked for; until it gave all, or was dropped."""
        known = {b.hash(): b for b in [*blocks, *others]}
        left = {b.hash() for b in blocks}
        peer = rig.connect()
        rig.announce(peer, *blocks)
        while left:
            got = peer.read()
            if got is None:
                break
            if got[0] != "getdata":
                continue
            for i in range(len(got[1]) // 36):
                at = got[1][5 + 36 * i:37 + 36 * i]
                if at in known:
                    peer.send("block", known[at].encode())
                    left.discard(at)
        return peer

    def expect(self, rig, name, check):
        def look():
            self.assertTrue(check())
        rig.case(name, look)

    def status(self, rig, block):
        return {t["hash"]: t["status"] for t in rig.node.getchaintips()}.get(block.id())

    def follow(self, rig, name, blocks, tip, drops):
        """After these blocks the tip is `tip`; the peer that gave them is dropped or stays."""
        def look():
            with self.serve(rig, blocks) as peer:
                if drops:
                    wait_drop(peer)
                rig.wait_tip(tip)
                if not drops:
                    peer.sync()
            self.assertEqual(rig.best(), tip.id())
        rig.case(name, look)

    def test_equal_work(self):
        rig = Rig(self)
        rig.grow(5)
        base = rig.tip
        a, b = self.branch(rig, base, 3, b"a"), self.branch(rig, base, 4, b"b")
        self.follow(rig, "one of two", a[:1], a[0], False)
        self.follow(rig, "the other of two with the same work: the first seen stays", b[:1], a[0], False)
        self.expect(rig, "the other is a valid fork or not looked at", lambda: self.status(rig, b[0]) in ("valid-headers", "valid-fork"))
        self.follow(rig, "the other grows", b[1:2], b[1], False)
        self.follow(rig, "the first catches up: too late now", a[1:2], b[1], False)
        self.follow(rig, "the first is ahead", a[2:], a[2], False)
        self.follow(rig, "and behind again", b[2:], b[3], False)
        self.expect(rig, "submitblock knows all of them",
                    lambda: {rig.node.submitblock(x.encode().hex()) for x in a + b} == {"duplicate"})
        rig.close()

    def test_order(self):
        rig = Rig(self)
        rig.grow(3)
        blocks = self.branch(rig, rig.tip, 40, b"o")
        rig.bad("a block on an unknown one", blocks[1], "prev-blk-not-found")
        before = rig.best()
        rig.announce(rig.peer, *blocks)
        for block in reversed(blocks[1:]):
            rig.peer.send("block", block.encode())
        rig.peer.sync()
        self.expect(rig, "39 blocks backwards, without the first", lambda: rig.best() == before)
        self.expect(rig, "all their headers are known", lambda: rig.node.getblockheader(blocks[-1].id())["height"] == 43)
        rig.peer.send("block", blocks[0].encode())
        self.expect(rig, "the first brings them all", lambda: rig.wait_tip(blocks[-1]) is None)
        rig.chain += blocks
        far = self.branch(rig, rig.tip, 2000, b"f")
        rig.announce(rig.peer, *far)
        rig.peer.sync()
        self.expect(rig, "2000 headers ahead of any block", lambda: rig.node.getblockchaininfo()["headers"] == 2043)
        rig.peer.send("block", far[1999].encode())  # not asked for, and far ahead
        rig.peer.sync()
        self.expect(rig, "they do not move the tip", lambda: rig.best() == rig.tip.id())
        self.expect(rig, "and are headers only", lambda: self.status(rig, far[-1]) == "headers-only")
        rig.peer.close()
        rig.peer = rig.connect()  # one that has not announced better blocks than it gives
        rig.ok("a block that is not of them", rig.block())
        rig.close()

    def test_invalid_parent(self):
        rig = Rig(self)
        rig.grow(3)
        parent = self.branch(rig, rig.tip, 1, b"p", bad_at=0)[0]
        child, grandchild = self.branch(rig, parent, 2, b"c")
        rig.bad("one satoshi too much", parent, "bad-cb-amount")
        rig.bad("its child", child, "bad-prevblk")

        def by_header():
            with rig.connect() as peer:
                rig.announce(peer, parent, child, grandchild)
                self.assertTrue(peer.is_dropped())
            self.assertIsNone(self.status(rig, grandchild))
        rig.case("its descendants' headers", by_header)

        def after_headers():
            """The headers first: nothing is wrong with them yet."""
            bad, below = self.branch(rig, rig.tip, 2, b"q", bad_at=0)
            with rig.connect() as peer:
                rig.announce(peer, bad, below)
                peer.sync()
                self.assertEqual(self.status(rig, below), "headers-only")
                peer.send("block", bad.encode())
                wait_drop(peer)
            self.assertEqual(self.status(rig, below), "invalid")
            self.assertEqual(rig.node.submitblock(below.encode().hex()), "duplicate-invalid")
        rig.case("a child whose header came before the parent's verdict", after_headers)
        rig.ok("a good sibling", rig.block())
        rig.close()

    def test_middle(self):
        rig = Rig(self)
        rig.grow(105)
        coin = rig.fund(TRUE)[0]
        base = rig.tip
        rig.ok("a short branch that spends a coin", rig.block(spend(coin)))
        coins, top = rig.node.coins(), rig.tip
        for place, best in ((0, None), (1, None), (2, 1), (7, 6)):
            blocks = self.branch(rig, base, 8, b"m%d" % place, bad_at=place)
            tip = rig.tip if best is None else blocks[best]
            self.follow(rig, f"better by 7, but block {place + 1} of 8 is invalid", blocks, tip, True)
            if best is None:
                self.expect(rig, f"the coins are as before (block {place + 1})", lambda: rig.node.coins() == coins)
            else:
                rig.chain = rig.chain[:base.height + 1] + blocks[:best + 1]
            self.expect(rig, f"those behind block {place + 1} are known to be bad", lambda: self.status(rig, blocks[7]) == "invalid")
            last = self.branch(rig, blocks[7], 1, b"l")[0]
            rig.bad(f"one more on them (block {place + 1})", last, "bad-prevblk")
        self.assertNotEqual(rig.tip, top)
        rig.ok("the coin is there on the branch that won", rig.block(spend(coin)))
        rig.close()

    def test_deep(self):
        """150 blocks back and forth, and the tip of the better branch is invalid."""
        rig = Rig(self)
        rig.grow(104)
        coins = rig.fund(*[TRUE] * 4)
        base = rig.tip
        for n in range(150):
            block = rig.block(*([spend(coins[n])] if n < 3 else []))
            rig.peer.send("block", block.encode())
            rig.extend(block)
        rig.wait_tip(rig.tip)
        main, top, before = rig.chain[:], rig.tip, rig.node.coins()
        equal = self.branch(rig, base, 151, b"1", bad_at=150)
        self.follow(rig, "151 blocks, the last too greedy: as much work is not more", equal, top, True)
        self.expect(rig, "the coins after it", lambda: rig.node.coins() == before)
        twice = self.branch(rig, base, 151, b"2", bad_at=150, spoil=spend(coins[3], fee=-1))
        self.follow(rig, "151 blocks, the last with a bad payment", twice, top, True)
        self.expect(rig, "the coins after that", lambda: rig.node.coins() == before)
        more = self.branch(rig, base, 153, b"3", bad_at=152)
        self.follow(rig, "153 blocks, the last invalid: the 152 before it win", more, more[151], True)
        self.expect(rig, "the old tip is a fork", lambda: self.status(rig, top) == "valid-fork")
        rig.chain = main[:]
        back = self.branch(rig, top, 3, b"4")
        self.follow(rig, "the old branch grows by 3 and wins, 152 deep", back, back[2], False)
        rig.chain += back
        rig.ok("and goes on", rig.block(spend(coins[3])))
        rig.close()

    def test_same_peer(self):
        """A peer that relays before it has checked (BIP152 allows that) may announce the good sibling next."""
        rig = Rig(self, "-whitelist=noban@127.0.0.1")
        rig.grow(3)
        bad, good = self.branch(rig, rig.tip, 1, b"b", bad_at=0)[0], self.branch(rig, rig.tip, 1, b"g")[0]

        def look():
            rig.deliver(rig.peer, bad)
            rig.verdict(rig.best())
            rig.deliver(rig.peer, good)
            rig.wait_tip(good)
        rig.case("a good sibling of the same work from a peer that is not dropped", look)
        rig.close()
