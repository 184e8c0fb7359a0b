"""gettxoutsetinfo: the hash of all coins is that of the set alone, however a node came to it, and equals one worked out from the blocks."""
import os
import sys

from framework import REGTEST_ADDRESS, ROOT, CoinTest, wait_until

sys.path.insert(0, os.path.join(ROOT, "test/reference"))
import muhash  # noqa: E402


def coins_of(node):
    """The unspent outputs as the blocks alone tell them: {(txid, index): element}, and their sum in satoshis."""
    coins, values = {}, {}
    for height in range(1, node.getblockcount() + 1):  # the genesis coin was never one
        for tx in node.getblock(node.getblockhash(height), 2)["tx"]:
            is_coinbase = "coinbase" in tx["vin"][0]
            for spent in tx["vin"] if not is_coinbase else []:
                del coins[spent["txid"], spent["vout"]], values[spent["txid"], spent["vout"]]
            for out in tx["vout"]:
                script = bytes.fromhex(out["scriptPubKey"]["hex"])
                if script[:1] == b"\x6a":  # OP_RETURN: spendable by nobody
                    continue
                place = tx["txid"], out["n"]
                values[place] = int(out["value"] * 100000000)
                coins[place] = muhash.coin(tx["txid"], out["n"], height, is_coinbase, values[place], script)
    return coins, sum(values.values())


class SetHash(CoinTest):
    def info(self, node, kind="muhash"):
        """Without the size on disk, which depends on the history."""
        return {k: v for k, v in node.gettxoutsetinfo(kind).items() if k != "disk_size"}

    def test_of_a_chain_of_payments(self):
        node = self.node().start()
        node.createwallet("w")
        node.mine(103, node.getnewaddress())
        for kind in ("bech32", "bech32m"):
            node.sendtoaddress(node.getnewaddress("", kind), 1.5)
        node.sendtoaddress(REGTEST_ADDRESS, 2)
        node.mine(1)
        before = self.info(node)
        coins, total_sat = coins_of(node)
        self.assertEqual(before["muhash"], muhash.muhash(coins.values()))
        self.assertEqual((before["txouts"], before["total_amount"] * 100000000), (len(coins), total_sat))
        self.assertEqual(before["transactions"], len({txid for txid, _ in coins}))
        self.assertNotIn("hash_serialized_3", before)
        other = self.info(node, "hash_serialized_3")
        self.assertEqual({k: v for k, v in before.items() if k != "muhash"},
                         {k: v for k, v in other.items() if k != "hash_serialized_3"})
        self.assertEqual(self.info(node, "none"), {k: v for k, v in before.items() if k != "muhash"})
        # A block changes it; without the block it is what it was.
        node.sendtoaddress(REGTEST_ADDRESS, 3)
        block = node.mine(1)[0]
        after = self.info(node)
        self.assertNotEqual(after["muhash"], before["muhash"])
        new, _ = coins_of(node)
        gone = [coins[place] for place in coins if place not in new]
        made = [new[place] for place in new if place not in coins]
        self.assertGreater(len(gone), 0)
        self.assertEqual(after["muhash"], muhash.muhash(list(coins.values()) + made, gone))
        node.invalidateblock(block)
        self.assertEqual(self.info(node), before)
        node.reconsiderblock(block)
        wait_until(lambda: node.getbestblockhash() == block, "the block to come back")
        self.assertEqual(self.info(node), after)
        node.stop()
        node.start()
        self.assertEqual(self.info(node)["muhash"], after["muhash"])

    def test_histories_that_differ(self):
        """One node goes through two branches before it has the coins that the other had at once."""
        a, b = self.node().start(), self.node().start()
        a.createwallet("w")
        a.mine(102, a.getnewaddress())
        b.connect(a)
        self.agree(a, b)
        b.disconnectnode(f"127.0.0.1:{a.port}")
        wait_until(lambda: a.getconnectioncount() == 0 and b.getconnectioncount() == 0, "the split")
        a.sendtoaddress(REGTEST_ADDRESS, 1)
        a.mine(2)
        self.assertNotEqual(self.info(a)["muhash"], self.info(b)["muhash"])
        b.mine(3, "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry")
        b.connect(a)
        wait_until(lambda: a.getbestblockhash() == b.getbestblockhash(), "the reorganisation")
        self.assertEqual(self.info(a), self.info(b))
        self.assertEqual(self.info(a)["muhash"], muhash.muhash(coins_of(b)[0].values()))

    def test_no_coins(self):
        info = self.info(self.node().start())
        self.assertEqual(info["muhash"], muhash.muhash([]))
        self.assertEqual(info["txouts"], 0)

    def test_what_is_refused(self):
        node = self.node().start()
        for kind in ("foo", "", "MUHASH", "hash_serialized_2"):
            self.expect_error(-8, f"'{kind}' is not a valid hash_type", node.gettxoutsetinfo, kind)
