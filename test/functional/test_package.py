"""One parent, one child: a transaction that pays too little comes in with the child that pays for both, in whatever order they come,
spreads to other nodes, and is mined; a bad child does not keep the good one out."""
from blocks import Out, Rig, spend
from framework import wait_until, CoinTest
from p2p import compact

WTX = b"\5\0\0\0"


def txid(tx):
    return tx.txid()[::-1].hex()


class Package(CoinTest):
    def rig(self):
        rig = Rig(self, "-acceptnonstdtxn")
        rig.grow(110)
        return rig

    def pair(self, rig, parent_fee=0, child_fee=5000):
        coin = rig.mature()
        parent = spend(coin, outs=[Out((coin.value - parent_fee) // 2)] * 2)
        return parent, spend(parent.coin(0), outs=[Out(parent.coin(0).value - child_fee), Out(0, b"\x6a\x04abcd")])

    def pool(self, rig):
        rig.peer.sync()
        return set(rig.node.getrawmempool())

    def child_then_parent(self, rig, parent, child):
        rig.peer.send("tx", child.encode())
        while parent.txid() not in rig.peer.wait_for("getdata"):
            pass
        rig.peer.send("tx", parent.encode())

    def test_child_first(self):
        rig = self.rig()
        parent, child = self.pair(rig)
        self.child_then_parent(rig, parent, child)
        self.assertEqual(self.pool(rig), {txid(parent), txid(child)})
        entry = rig.node.getmempoolentry(txid(parent))
        self.assertEqual((float(entry["fees"]["base"]), float(entry["fees"]["descendant"])), (0, 0.00005))
        mined = rig.node.generatetodescriptor(1, "raw(51)#8lvh9jxk")[0]
        self.assertEqual(rig.node.getblock(mined)["tx"][1:], [txid(parent), txid(child)])
        rig.close()

    def test_parent_first(self):
        """Refused alone, it is asked for again when its child comes."""
        rig = self.rig()
        parent, child = self.pair(rig)
        rig.peer.send("tx", parent.encode())
        self.assertEqual(self.pool(rig), set())
        rig.peer.send("inv", compact(1) + WTX + parent.wtxid())
        rig.peer.sync()
        self.assertNotIn("getdata", [name for name, _ in rig.peer.seen])  # not for nothing
        self.child_then_parent(rig, parent, child)
        self.assertEqual(self.pool(rig), {txid(parent), txid(child)})
        rig.close()

    def test_not_enough_for_both(self):
        rig = self.rig()
        parent, child = self.pair(rig, child_fee=10)
        for tx in (parent, child, parent, child, parent):
            rig.peer.send("tx", tx.encode())
            self.assertEqual(self.pool(rig), set())
        rig.close()

    def test_anothers_bad_child(self):
        """Another peer's worthless child stands in nobody's way."""
        rig = self.rig()
        parent, child = self.pair(rig)
        worthless = spend(parent.coin(0), outs=[Out(parent.coin(0).value), Out(0, b"\x6a\x04abcd")])
        with rig.connect() as bad:
            bad.send("tx", worthless.encode())
            bad.sync()
            rig.peer.send("tx", child.encode())
            rig.peer.sync()
            rig.peer.send("tx", parent.encode())
            self.assertEqual(self.pool(rig), {txid(parent), txid(child)})
        rig.close()

    def test_spreads(self):
        """From node to node: the child is announced, its parent asked for."""
        rig = self.rig()
        other = self.node("-acceptnonstdtxn", "-maxtipage=2000000000", "-mocktime=1700000000").start()
        other.connect(rig.node)
        self.agree(other, rig.node)
        parent, child = self.pair(rig)
        self.child_then_parent(rig, parent, child)
        self.assertEqual(self.pool(rig), {txid(parent), txid(child)})

        def spread():
            for node in (rig.node, other):
                node.mockscheduler(5)
            return set(other.getrawmempool()) == {txid(parent), txid(child)}
        wait_until(spread, "the pair at the other node")
        rig.close()
