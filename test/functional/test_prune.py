"""-prune: old block files go, the rest of the node goes on without them: restart, reorganisation, wallet, peers."""
import os
import struct
import unittest

from framework import CoinTest, RpcError, wait_until
from p2p import Peer, compact, sha256d


class Prune(CoinTest):
    def files(self, node):
        folder = os.path.join(node.chain_dir, "blocks")
        return sorted(n for n in os.listdir(folder) if n[:3] in ("blk", "rev"))

    def expect_error(self, code, words, call, *args):
        with self.assertRaises(RpcError) as caught:
            call(*args)
        self.assertEqual(caught.exception.code, code)
        self.assertIn(words, caught.exception.message)

    def pruned(self, *options):
        node = self.node("-fastprune", "-prune=1", *options).start()
        node.mine(1000)
        before = self.files(node)
        last = node.pruneblockchain(600)
        self.assertGreater(last, 200)
        self.assertLessEqual(last, 600)
        self.assertEqual([n for n in before if n not in self.files(node)][:2], ["blk00000.dat", "blk00001.dat"])
        return node, last

    def test_manual(self):
        node, last = self.pruned()
        coins = node.coins()
        info = node.getblockchaininfo()
        self.assertEqual((info["pruned"], info["pruneheight"], info["automatic_pruning"]), (True, last + 1, False))
        self.assertNotIn("prune_target_size", info)
        self.expect_error(-1, "Block not available (pruned data)", node.getblock, node.getblockhash(last))
        self.assertEqual(node.getblock(node.getblockhash(last + 1))["height"], last + 1)
        self.assertEqual(node.getblockheader(node.getblockhash(5))["nTx"], 1)
        self.expect_error(-8, "Negative block height.", node.pruneblockchain, -1)
        self.expect_error(-8, "shorter than the attempted", node.pruneblockchain, 1001)
        self.expect_error(-8, "Could not find block", node.pruneblockchain, 4000000000)
        self.assertEqual(node.pruneblockchain(10), last)  # long gone
        newest = node.pruneblockchain(1000)  # never the last 288
        self.assertLessEqual(newest, 1000 - 288)
        node.stop()
        node.start()
        self.assertEqual((node.getblockchaininfo()["pruneheight"], node.coins()), (newest + 1, coins))
        # a reorganisation near the tip needs nothing that is gone, one far below does
        node.invalidateblock(node.getblockhash(990))
        self.assertEqual(node.getblockcount(), 989)
        node.reconsiderblock(node.getbestblockhash())
        node.mine(15)
        self.assertEqual(node.getblockcount(), 1015)
        self.expect_error(-1, "pruned", node.invalidateblock, node.getblockhash(100))
        node.stop()
        node.options.remove("-prune=1")
        node.start(wait=False)
        self.assertIn("go back to unpruned mode", node.expect_end(1))

    def test_by_time_and_not_at_all(self):
        node = self.node("-fastprune", "-prune=1").start()
        self.expect_error(-1, "too short for pruning", node.pruneblockchain, 1)
        now = node.getblockheader(node.getbestblockhash())["time"]
        for _ in range(8):
            node.setmocktime(max(now, 1700000000) + 36000)
            now = max(now, 1700000000) + 36000
            node.mine(100)
        middle = node.getblockheader(node.getblockhash(450))["time"]
        last = node.pruneblockchain(middle + 7200)
        self.assertGreater(last, 100)
        self.assertLess(last, 450)
        other = self.node().start()
        self.expect_error(-1, "not in prune mode", other.pruneblockchain, 1)
        self.assertFalse(other.getblockchaininfo()["pruned"])
        other.stop()
        for option, words in (("-prune=-1", "negative value"), ("-prune=549", "below the minimum of 550 MiB")):
            other.start(option, wait=False)
            self.assertIn(words, other.expect_end(1))
        other.start("-prune=550")
        info = other.getblockchaininfo()
        self.assertEqual((info["automatic_pruning"], info["prune_target_size"]), (True, 550 << 20))
        self.assertEqual(info["pruneheight"], 0)

    def test_wallet(self):
        node, last = self.pruned()
        node.createwallet("w")
        self.expect_error(-1, "beyond pruned data", lambda: node.call("rescanblockchain", last, wallet="w"))
        self.assertEqual(node.call("rescanblockchain", last + 1, wallet="w")["start_height"], last + 1)
        node.unloadwallet("w")
        node.mine(900)
        node.pruneblockchain(1900)
        self.expect_error(-4, "goes beyond pruned data", node.loadwallet, "w")

    def test_peers(self):
        node, last = self.pruned("-listen=1")
        services = node.getnetworkinfo()["localservicesnames"]
        self.assertNotIn("NETWORK", services)
        self.assertIn("NETWORK_LIMITED", services)
        deep, near = (bytes.fromhex(node.getblockhash(h))[::-1] for h in (1000 - 288 - 3, 1000 - 288 - 2))
        ask = compact(1) + struct.pack("<I", 0x40000002)
        with Peer(node) as peer:
            peer.send("getdata", ask + near)
            self.assertEqual(sha256d(peer.wait_for("block")[:80]), near)
            peer.send("getdata", ask + deep)  # whether it is here or not
            self.assertTrue(peer.is_dropped())

    def test_near_the_tip_it_serves_as_well_as_any(self):
        node, other = self.node("-fastprune").start(), self.node().start()
        node.mine(700)
        other.connect(node)
        wait_until(lambda: other.getblockcount() == 700, "the chain")
        other.stop()
        node.stop()
        node.start("-prune=1")
        node.pruneblockchain(400)
        node.mine(200)
        other.start()
        other.connect(node)
        wait_until(lambda: other.getblockcount() == 900, "the newest blocks")

    def test_reindex_fetches_all_again(self):
        """What was pruned cannot be read again: the files go, and peers have the chain."""
        full = self.node("-listen=1").start()
        node = self.node("-fastprune", "-prune=1").start()
        full.mine(1000)
        node.connect(full)
        wait_until(lambda: node.getblockcount() == 1000, "the chain")
        node.pruneblockchain(700)
        node.stop()
        node.start("-reindex", "-prune=0")
        self.assertEqual(node.getblockcount(), 0)
        node.connect(full)
        wait_until(lambda: node.getblockcount() == 1000, "the chain once more")
        self.assertEqual(node.coins(), full.coins())
        self.assertEqual(node.getblock(node.getblockhash(1))["height"], 1)
        node.stop()


if __name__ == "__main__":
    unittest.main()
