"""Snapshots from outside: a file of the coins of one node starts another, which verifies the history behind its tip."""
import hashlib
import json
import os
import shutil
import struct
import unittest

from framework import CoinTest, Node, RpcError, wait_until
from p2p import Peer, compact

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "genesis", "regtest.json")
BASE = 120


class Snapshot(CoinTest):
    def expect_error(self, code, words, call, *args):
        with self.assertRaises(RpcError) as caught:
            call(*args)
        self.assertEqual(caught.exception.code, code)
        self.assertIn(words, caught.exception.message)

    def giver(self):
        """A chain of 150 blocks with payments, and the file of the coins at height 120."""
        node = self.node().start()
        node.createwallet("w")
        node.mine(105, node.getnewaddress())
        for _ in range(15):
            node.sendtoaddress(node.getnewaddress(), 1)
            node.mine(1)
        self.assertEqual(node.getblockcount(), BASE)
        told = node.dumptxoutset("utxo.dat", "latest")
        for _ in range(5):
            node.sendtoaddress(node.getnewaddress(), 1)
            node.mine(6)
        return node, told

    def taker(self, told, *options, hash_serialized=None):
        """A node whose chain file vouches for these coins."""
        with open(SOURCE) as f:
            chain = json.load(f)
        chain["snapshots"] = [{"height": told["base_height"], "block": told["base_hash"],
                               "hash_serialized": hash_serialized or told["txoutset_hash"],
                               "chain_tx_count": told["nchaintx"]}]
        node = self.node(*options)
        path = os.path.join(node.dir, "regtest.json")
        with open(path, "w") as f:
            json.dump(chain, f)
        node.command = lambda *extra: [f"-chain={path}" if x == "-chain=regtest" else x
                                       for x in Node.command(node, *extra)]
        return node.start()

    def send_headers(self, giver, node):
        count = giver.getblockcount()
        headers = b"".join(bytes.fromhex(giver.getblockheader(giver.getblockhash(h), False)) + b"\0"
                           for h in range(1, count + 1))
        with Peer(node) as peer:
            peer.send("headers", compact(count) + headers)
            wait_until(lambda: node.getblockchaininfo()["headers"] == count, "the headers")

    def test_file(self):
        node, told = self.giver()
        path = os.path.join(node.chain_dir, "utxo.dat")
        with open(path, "rb") as f:
            data = f.read()
        self.assertEqual(told["path"], path)
        self.assertEqual(data[:7] + data[7:11], b"utxo\xff\x02\x00" + bytes.fromhex("fabfb5da"))
        self.assertEqual(data[11:43][::-1].hex(), told["base_hash"])
        self.assertEqual(struct.unpack("<Q", data[43:51])[0], told["coins_written"])
        self.assertEqual(told["nchaintx"], 1 + BASE + 15)
        self.expect_error(-8, "already exists", node.dumptxoutset, "utxo.dat", "latest")
        self.expect_error(-8, 'Please specify "rollback" or "latest"', node.dumptxoutset, "a.dat")
        self.expect_error(-8, "specified with rollback option", node.dumptxoutset, "a.dat", "latest", {"rollback": 5})
        self.expect_error(-8, "after current tip", node.dumptxoutset, "a.dat", "", {"rollback": 500})
        self.expect_error(-5, "Block not found", node.dumptxoutset, "a.dat", "", {"rollback": "00" * 32})
        again = node.dumptxoutset("again.dat", "rollback", {"rollback": BASE})
        with open(again["path"], "rb") as f:
            self.assertEqual(hashlib.sha256(f.read()).digest(), hashlib.sha256(data).digest())
        self.assertEqual({k: again[k] for k in again if k != "path"}, {k: told[k] for k in told if k != "path"})
        listed = node.dumptxoutset("listed.dat", "rollback")  # regtest's own list knows heights 110 and more
        self.assertEqual(listed["base_height"], 110)
        here = node.dumptxoutset("here.dat", "latest")
        self.assertEqual(here["txoutset_hash"], node.gettxoutsetinfo()["hash_serialized_3"])
        self.assertEqual(here["coins_written"], node.gettxoutsetinfo()["txouts"])
        self.assertEqual([n for n in os.listdir(node.chain_dir) if n.endswith(".incomplete")], [])
        self.assertEqual(len(node.getchainstates()["chainstates"]), 1)

    def test_start_from_it(self):
        giver, told = self.giver()
        node = self.taker(told, "-coinstatsindex", "-txindex")
        path = os.path.join(node.chain_dir, "coins.dat")
        self.expect_error(-8, "Couldn't open file", node.loadtxoutset, "coins.dat")
        shutil.copy(told["path"], path)
        self.expect_error(-32603, "must appear in the headers chain", node.loadtxoutset, path)
        self.send_headers(giver, node)
        loaded = node.loadtxoutset("coins.dat")
        self.assertEqual(loaded, {"coins_loaded": told["coins_written"], "tip_hash": told["base_hash"],
                                  "base_height": BASE, "path": path})
        self.assertEqual(node.getbestblockhash(), told["base_hash"])
        self.expect_error(-32603, "more than once", node.loadtxoutset, path)
        states = node.getchainstates()
        self.assertEqual([(s["blocks"], s["validated"], s.get("snapshot_blockhash")) for s in states["chainstates"]],
                         [(0, True, None), (BASE, False, told["base_hash"])])
        self.assertEqual(node.getblockchaininfo()["backgroundvalidation"]["snapshotheight"], BASE)
        wait_until(lambda: "NETWORK" not in node.getnetworkinfo()["localservicesnames"], "the services")
        self.expect_error(-1, "Block not available (not fully downloaded)", node.getblock, node.getblockhash(50))
        self.expect_error(-1, "not verified yet", node.invalidateblock, node.getblockhash(50))
        self.assertEqual(node.gettxoutsetinfo()["hash_serialized_3"], told["txoutset_hash"])
        node.stop()
        node.start()  # from what was begun
        self.assertEqual(node.getbestblockhash(), told["base_hash"])
        node.connect(giver)
        wait_until(lambda: node.getbestblockhash() == giver.getbestblockhash(), "the tip")
        wait_until(lambda: len(node.getchainstates()["chainstates"]) == 1, "the history")
        self.assertTrue(node.getchainstates()["chainstates"][0]["validated"])
        self.assertNotIn("backgroundvalidation", node.getblockchaininfo())
        wait_until(lambda: "NETWORK" in node.getnetworkinfo()["localservicesnames"], "the services")
        wait_until(lambda: all(i["synced"] for i in node.getindexinfo().values()), "the indexes")
        self.assertEqual(node.gettxoutsetinfo("muhash")["muhash"], giver.gettxoutsetinfo("muhash")["muhash"])
        self.assertTrue(node.verifychain(4, 0))
        node.stop()
        node.start()
        self.assertFalse(os.path.exists(os.path.join(node.chain_dir, "chainstate_snapshot")))
        self.assertNotIn("snapshot_blockhash", node.getchainstates()["chainstates"][0])
        self.assertEqual(node.coins(), giver.coins())
        self.assertTrue(node.verifychain(4, 0))

    def test_lie(self):
        giver, told = self.giver()
        lie = giver.dumptxoutset("lie.dat", "", {"rollback": BASE - 1})
        with open(lie["path"], "r+b") as f:  # the coins of another block under the name of this one
            f.seek(11)
            f.write(bytes.fromhex(told["base_hash"])[::-1])
        node = self.taker(told, hash_serialized=lie["txoutset_hash"])
        self.send_headers(giver, node)
        self.expect_error(-32603, "Bad snapshot content hash", node.loadtxoutset, told["path"])
        node.loadtxoutset(lie["path"])
        self.assertEqual(node.gettxoutsetinfo()["hash_serialized_3"], lie["txoutset_hash"])
        node.addnode(f"127.0.0.1:{giver.port}", "onetry")
        self.assertIn("does not agree with the chain", node.expect_end(1))
        node.start()
        node.connect(giver)
        self.agree(node, giver)
        self.assertEqual(node.coins(), giver.coins())

    def test_leaving_it(self):
        giver, told = self.giver()
        node = self.taker(told)
        self.send_headers(giver, node)
        node.loadtxoutset(told["path"])
        node.stop()
        node.options.append("-reindex-chainstate")
        node.start()
        node.options.pop()
        self.assertEqual((node.getblockcount(), len(node.getchainstates()["chainstates"])), (0, 1))
        node.connect(giver)
        self.agree(node, giver)

    def test_wallet_waits(self):
        giver, told = self.giver()
        node = self.taker(told)
        node.createwallet("old")
        self.send_headers(giver, node)
        node.loadtxoutset(told["path"])
        node.createwallet("new")
        address = node.call("getnewaddress", wallet="new")
        self.expect_error(-1, "Failed to rescan unavailable blocks", lambda: node.call("rescanblockchain", wallet="new"))
        node.connect(giver)
        giver.sendtoaddress(address, 2)
        giver.mine(1)
        wait_until(lambda: node.call("getbalance", wallet="new") == 2, "the payment")
        wait_until(lambda: len(node.getchainstates()["chainstates"]) == 1, "the history")
        node.call("rescanblockchain", wallet="old")


if __name__ == "__main__":
    unittest.main()
