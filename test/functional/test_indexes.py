"""The indexes from outside: what they add to the calls, that they follow the chain, and their errors."""
import hashlib
import unittest

from framework import CoinTest, RpcError, wait_until

ALL = ("-txindex", "-txospenderindex", "-blockfilterindex", "-coinstatsindex")
NAMES = {"txindex", "txospenderindex", "basic block filter index", "coinstatsindex"}


def sha256d(data):
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


class Indexes(CoinTest):
    def expect_error(self, code, words, call, *args, **named):
        with self.assertRaises(RpcError) as caught:
            call(*args, **named)
        self.assertEqual(caught.exception.code, code)
        self.assertIn(words, caught.exception.message)

    def synced(self, node):
        wait_until(lambda: all(i["synced"] and i["best_block_height"] == node.getblockcount()
                               for i in node.getindexinfo().values()), "the indexes")
        return node

    def paying(self, *options):
        """A node with a chain of 120 blocks and a payment in the last one."""
        node = self.node(*options).start()
        node.createwallet("w")
        node.mine(110, node.getnewaddress())
        address = node.getnewaddress()
        txid = node.sendtoaddress(address, 3)
        node.mine(10)
        return node, address, txid

    def test_without_them(self):
        node, address, txid = self.paying()
        block = node.getbestblockhash()
        self.assertEqual(node.getindexinfo(), {})
        self.expect_error(-5, "Use -txindex or provide a block hash", node.getrawtransaction, txid)
        self.expect_error(-1, "Index is not enabled for filtertype basic", node.getblockfilter, block)
        self.expect_error(-5, "Unknown filtertype", node.getblockfilter, block, "odd")
        self.expect_error(-1, "Index is not enabled", node.scanblocks, "start", [f"addr({address})"])
        self.expect_error(-8, "requires coinstatsindex", node.gettxoutsetinfo, "none", 5)
        prevout = [{"txid": txid, "vout": 0}]
        self.assertEqual(node.gettxspendingprevout(prevout), prevout)
        self.expect_error(-1, "txospenderindex is unavailable", node.gettxspendingprevout, prevout,
                          {"mempool_only": False})
        self.expect_error(-5, "not considered an ordinary transaction", node.getrawtransaction,
                          node.getblock(node.getblockhash(0))["tx"][0])

    def test_transactions(self):
        node, address, txid = self.paying(*ALL)
        self.assertEqual(set(node.getindexinfo()), NAMES)
        self.assertEqual(set(node.getindexinfo("txindex")), {"txindex"})
        self.assertEqual(node.getindexinfo("nothing"), {})
        block = node.getblockhash(111)
        raw = node.getrawtransaction(txid)
        shown = node.getrawtransaction(txid, 1)
        self.assertEqual((shown["txid"], shown["blockhash"], shown["confirmations"]), (txid, block, 10))
        self.assertNotIn("in_active_chain", shown)
        self.assertEqual(shown["hex"], raw)
        self.assertEqual(raw, node.getrawtransaction(txid, 0, block))
        prevout = node.getrawtransaction(txid, 2)["vin"][0]["prevout"]
        self.assertGreater(prevout["value"], 3)
        spent = {k: shown["vin"][0][k] for k in ("txid", "vout")}
        free = {"txid": txid, "vout": 0}
        answer = node.gettxspendingprevout([spent, free], {"return_spending_tx": True})
        self.assertEqual(answer, [dict(spent, spendingtxid=txid, spendingtx=raw, blockhash=block), free])
        self.assertEqual(node.gettxspendingprevout([spent], {"mempool_only": True}), [spent])
        waiting = node.sendtoaddress(address, 1)
        used = {k: node.getrawtransaction(waiting, 1)["vin"][0][k] for k in ("txid", "vout")}
        self.assertEqual(node.gettxspendingprevout([used, spent]),
                         [dict(used, spendingtxid=waiting), dict(spent, spendingtxid=txid, blockhash=block)])
        self.expect_error(-5, "No such mempool or blockchain transaction", node.getrawtransaction, "77" * 32)

    def test_reorganisation(self):
        node, _, txid = self.paying(*ALL)
        block = node.getblockhash(111)
        spent = {k: node.getrawtransaction(txid, 1)["vin"][0][k] for k in ("txid", "vout")}
        before = self.synced(node).gettxoutsetinfo("muhash", 105)
        node.invalidateblock(block)
        wait_until(lambda: txid in node.getrawmempool(), "the payment")
        self.synced(node)
        self.assertEqual(node.gettxspendingprevout([spent]), [dict(spent, spendingtxid=txid)])
        self.assertNotIn("blockhash", node.getrawtransaction(txid, 1))
        other = node.generatetodescriptor(12, "raw(51)")
        self.synced(node)
        self.assertEqual(node.getrawtransaction(txid, 1)["blockhash"], other[0])
        self.assertEqual(node.gettxspendingprevout([spent])[0]["blockhash"], other[0])
        self.assertEqual(node.gettxoutsetinfo("muhash", 105), before)
        self.assertEqual(node.gettxoutsetinfo("muhash")["muhash"],
                         node.gettxoutsetinfo("muhash", None, False)["muhash"])
        self.assertEqual(node.getblockfilter(block)["filter"][:2], "04")  # four scripts; still known, though dead

    def test_filters(self):
        node, address, txid = self.paying(*ALL)
        header = bytes(32)
        for height in range(node.getblockcount() + 1):
            answer = node.getblockfilter(node.getblockhash(height))
            header = sha256d(sha256d(bytes.fromhex(answer["filter"])) + header)
            self.assertEqual(answer["header"], header[::-1].hex())
        self.expect_error(-5, "Block not found", node.getblockfilter, "00" * 32)
        wanted = [f"addr({address})"]
        found = node.scanblocks("start", wanted)
        block = node.getblockhash(111)
        self.assertIn(block, found["relevant_blocks"])
        self.assertEqual((found["from_height"], found["to_height"], found["completed"]), (0, 120, True))
        exact = node.scanblocks("start", wanted, 0, 120, "basic", {"filter_false_positives": True})
        self.assertEqual(exact["relevant_blocks"], [block])
        self.assertEqual(node.scanblocks("start", wanted, 112)["relevant_blocks"], [])
        self.assertEqual(node.scanblocks("start", wanted, 0, 110)["relevant_blocks"], [])
        mined = node.scanblocks("start", [{"desc": d["desc"], "range": 10}
                                          for d in node.listdescriptors()["descriptors"]])
        self.assertGreater(len(mined["relevant_blocks"]), 100)
        self.assertIsNone(node.scanblocks("status"))
        self.assertFalse(node.scanblocks("abort"))
        self.expect_error(-1, "Invalid start_height", node.scanblocks, "start", wanted, 121)
        self.expect_error(-1, "Invalid stop_height", node.scanblocks, "start", wanted, 5, 4)
        self.expect_error(-8, "Invalid action", node.scanblocks, "stop")
        self.expect_error(-5, "Unknown filtertype", node.scanblocks, "start", wanted, 0, 5, "odd")

    def test_statistics(self):
        node, _, txid = self.paying(*ALL)
        node.mine(60)  # past a halving of regtest's subsidy
        walked, indexed = node.gettxoutsetinfo("muhash", None, False), node.gettxoutsetinfo("muhash")
        for key in ("height", "bestblock", "txouts", "bogosize", "muhash", "total_amount"):
            self.assertEqual(walked[key], indexed[key])
        self.assertIn("transactions", walked)
        self.assertNotIn("transactions", indexed)
        self.assertIn("hash_serialized_3", node.gettxoutsetinfo())
        subsidy = sum(50 * 10 ** 8 >> h // 150 for h in range(181))
        self.assertEqual(round((indexed["total_amount"] + indexed["total_unspendable_amount"]) * 10 ** 8), subsidy)
        genesis = node.gettxoutsetinfo("none", 0)
        self.assertEqual((genesis["txouts"], genesis["block_info"]["unspendables"]["genesis_block"]), (0, 50))
        self.assertNotIn("muhash", genesis)
        info = node.gettxoutsetinfo("muhash", node.getblockhash(111))["block_info"]
        fee = -node.gettransaction(txid)["fee"]
        self.assertAlmostEqual(float(info["coinbase"]), 50 + float(fee), 8)
        self.assertAlmostEqual(float(info["prevout_spent"]), float(info["new_outputs_ex_coinbase"]) + float(fee), 8)
        self.assertEqual(info["unspendable"], 0)
        self.expect_error(-8, "cannot be queried for a specific block", node.gettxoutsetinfo, "hash_serialized_3", 5)
        self.expect_error(-8, "Cannot set use_index to false", node.gettxoutsetinfo, "none", 5, False)
        self.expect_error(-8, "after current tip", node.gettxoutsetinfo, "none", 5000)
        self.expect_error(-8, "is negative", node.gettxoutsetinfo, "none", -1)
        self.expect_error(-5, "Block not found", node.gettxoutsetinfo, "none", "00" * 32)

    def test_switched_on_later_and_rebuilt(self):
        node, _, txid = self.paying()
        node.stop()
        node.options += ALL
        node.start()
        self.synced(node)
        info = node.gettxoutsetinfo("muhash")
        block = node.getrawtransaction(txid, 1)["blockhash"]
        node.stop()
        node.options.append("-reindex")
        node.start()
        wait_until(lambda: node.getblockcount() == 120, "the reindex")
        self.synced(node)
        self.assertEqual(node.gettxoutsetinfo("muhash"), info)
        self.assertEqual(node.getrawtransaction(txid, 1)["blockhash"], block)
        node.stop()
        node.options[-1] = "-reindex-chainstate"
        node.start()
        wait_until(lambda: node.getblockcount() == 120, "the chainstate")
        self.synced(node)
        self.assertEqual(node.gettxoutsetinfo("muhash"), info)

    def test_options_that_do_not_go_together(self):
        for options, words in ((("-prune=1", "-txindex"), "Prune mode is incompatible with -txindex."),
                               (("-prune=1", "-txospenderindex"), "incompatible with -txospenderindex"),
                               (("-blockfilterindex=odd",), "Unknown -blockfilterindex value odd.")):
            node = self.node(*options).start(wait=False)
            self.assertIn(words, node.expect_end(1))


if __name__ == "__main__":
    unittest.main()
