"""Block filters for light wallets (BIP157), against what getblockfilter says of the same blocks."""
import struct
import unittest

from framework import CoinTest, wait_until
from p2p import Peer, compact, sha256d

COMPACT_FILTERS = 1 << 6
NOBODY = b"\x11" * 32


def ask(peer, command, block, start=None, kind=0):
    start = b"" if start is None else struct.pack("<I", start)
    peer.send(command, bytes([kind]) + start + bytes.fromhex(block)[::-1])


def read_count(data):
    """(number, rest) of a compact size."""
    if data[0] < 253:
        return data[0], data[1:]
    return (struct.unpack("<H", data[1:3])[0], data[3:]) if data[0] == 253 else (None, data)


class LightWallets(CoinTest):
    def serving(self, blocks):
        node = self.node("-blockfilterindex", "-peerblockfilters").start()
        for done in range(0, blocks, 500):
            node.mine(min(500, blocks - done))
        wait_until(lambda: node.getindexinfo()["basic block filter index"]["best_block_height"] == blocks, "the index")
        wait_until(lambda: "COMPACT_FILTERS" in node.getnetworkinfo()["localservicesnames"], "the service")
        return node

    def filters(self, node, start, stop):
        """(block hash, filter, header) by RPC; hashes as on the wire."""
        for height in range(start, stop + 1):
            block = node.getblockhash(height)
            got = node.getblockfilter(block)
            yield bytes.fromhex(block)[::-1], bytes.fromhex(got["filter"]), bytes.fromhex(got["header"])[::-1]

    def test_service_is_named(self):
        with Peer(self.serving(1)) as peer:
            services = struct.unpack("<Q", next(p for c, p in peer.seen if c == "version")[4:12])[0]
            self.assertTrue(services & COMPACT_FILTERS)

    def test_filters(self):
        node = self.serving(30)
        expected = list(self.filters(node, 7, 25))
        with Peer(node) as peer:
            ask(peer, "getcfilters", node.getblockhash(25), 7)
            for block, content, _ in expected:
                self.assertEqual(peer.wait_for("cfilter"), b"\0" + block + compact(len(content)) + content)
            ask(peer, "getcfilters", node.getblockhash(0), 0)
            self.assertEqual(peer.wait_for("cfilter")[1:33], bytes.fromhex(node.getblockhash(0))[::-1])
            # A pong says that all before it was answered, and several requests are answered in their order.
            for height in (3, 2, 1):
                ask(peer, "getcfilters", node.getblockhash(height), height)
            peer.seen.clear()
            peer.sync()
            self.assertEqual([p[1:33] for c, p in peer.seen if c == "cfilter"],
                             [bytes.fromhex(node.getblockhash(h))[::-1] for h in (3, 2, 1)])

    def test_headers(self):
        node = self.serving(30)
        everything = list(self.filters(node, 0, 30))
        with Peer(node) as peer:
            for start, stop in ((0, 30), (0, 0), (1, 1), (12, 30), (30, 30)):
                ask(peer, "getcfheaders", node.getblockhash(stop), start)
                answer = peer.wait_for("cfheaders")
                before = everything[start - 1][2] if start > 0 else bytes(32)
                self.assertEqual(answer[:65], b"\0" + everything[stop][0] + before)
                count, hashes = read_count(answer[65:])
                self.assertEqual(count, stop - start + 1)
                self.assertEqual(len(hashes), 32 * count)
                header = before
                for i in range(count):
                    self.assertEqual(hashes[32 * i:32 * i + 32], sha256d(everything[start + i][1]))
                    header = sha256d(hashes[32 * i:32 * i + 32] + header)
                    self.assertEqual(header, everything[start + i][2])

    def test_checkpoints(self):
        node = self.serving(2001)
        with Peer(node) as peer:
            for stop, count in ((999, 0), (1000, 1), (1999, 1), (2000, 2), (2001, 2)):
                block = node.getblockhash(stop)
                ask(peer, "getcfcheckpt", block)
                headers = b"".join(next(self.filters(node, 1000 * k, 1000 * k))[2] for k in range(1, count + 1))
                self.assertEqual(peer.wait_for("cfcheckpt"), b"\0" + bytes.fromhex(block)[::-1] + compact(count) + headers)
            # The largest requests that are allowed, whole.
            ask(peer, "getcfilters", node.getblockhash(1999), 1000)
            ask(peer, "getcfheaders", node.getblockhash(2000), 1)
            peer.seen.clear()
            peer.sync()
            self.assertEqual(sum(c == "cfilter" for c, _ in peer.seen), 1000)
            self.assertEqual(read_count(next(p for c, p in peer.seen if c == "cfheaders")[65:])[0], 2000)
            ask(peer, "getcfilters", node.getblockhash(2000), 1000)
            self.assertTrue(peer.is_dropped())
        with Peer(node) as peer:
            ask(peer, "getcfheaders", node.getblockhash(2000), 0)
            self.assertTrue(peer.is_dropped())

    def test_refusals(self):
        node = self.serving(10)
        tip = node.getblockhash(10)
        for command, start in (("getcfilters", 0), ("getcfheaders", 0), ("getcfcheckpt", None)):
            with self.subTest(command=command):
                with Peer(node) as peer:
                    ask(peer, command, tip, start, kind=1)
                    self.assertTrue(peer.is_dropped(), "another kind of filter")
                with Peer(node) as peer:
                    ask(peer, command, NOBODY.hex(), start)
                    self.assertTrue(peer.is_dropped(), "an unknown block")
                with Peer(node) as peer:
                    peer.send(command, b"\0")
                    self.assertTrue(peer.is_dropped(), "half a message")
        with Peer(node) as peer:
            ask(peer, "getcfilters", tip, 11)
            self.assertTrue(peer.is_dropped(), "an empty range")
        with Peer(node) as peer:
            for command in ("cfilter", "cfheaders", "cfcheckpt"):
                peer.send(command, b"\0" * 70)
            self.assertFalse(peer.is_dropped(), "an answer that nobody asked for")
        # One who leaves while the answer is on its way does no harm.
        for _ in range(20):
            with Peer(node) as peer:
                ask(peer, "getcfilters", tip, 0)
        self.assertEqual(node.getblockcount(), 10)
        node.stop()

    def test_not_offered(self):
        node = self.node("-blockfilterindex").start()
        node.mine(3)
        self.assertNotIn("COMPACT_FILTERS", node.getnetworkinfo()["localservicesnames"])
        with Peer(node) as peer:
            ask(peer, "getcfilters", node.getblockhash(3), 0)
            self.assertTrue(peer.is_dropped())
        alone = self.node("-peerblockfilters").start(wait=False)
        self.assertIn("Cannot set -peerblockfilters without -blockfilterindex.", alone.expect_end(1))


if __name__ == "__main__":
    unittest.main()
