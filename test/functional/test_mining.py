"""Mining: blocks on request, blocks from outside, and the built-in miner."""
from framework import REGTEST_ADDRESS, CoinTest, wait_until


class Mining(CoinTest):
    def test_generate(self):
        a = self.node().start()
        a.createwallet("w")
        self.assertEqual(a.mine(0), [])
        first = a.generatetoaddress(2, REGTEST_ADDRESS)
        self.assertEqual(a.getblockhash(2), first[1])
        script = a.validateaddress(REGTEST_ADDRESS)["scriptPubKey"]
        checked = a.getdescriptorinfo(f"raw({script})")["descriptor"]
        last = a.generatetodescriptor(1, checked)[0]
        coinbase = a.getblock(last, 2)["tx"][0]
        self.assertEqual(coinbase["vout"][0]["scriptPubKey"]["hex"], script)
        self.assertEqual(coinbase["vout"][0]["value"], 50)
        self.assertEqual(a.gettxout(coinbase["txid"], 0)["value"], 50)
        self.expect_error(-5, "Invalid address", a.generatetoaddress, 1, "nonsense")
        self.expect_error(-5, "", a.generatetodescriptor, 1, "nonsense")
        self.assertEqual(a.cli("-generate", "1")[0], 0)
        self.assertEqual(a.getblockcount(), 4)

    def test_generateblock(self):
        a = self.node().start()
        a.createwallet("w")
        a.mine(101, a.getnewaddress())
        txids = [a.sendtoaddress(REGTEST_ADDRESS, 1), a.sendtoaddress(REGTEST_ADDRESS, 2)]
        made = a.generateblock(REGTEST_ADDRESS, [txids[0]], False)
        self.assertEqual(a.getblockcount(), 101)
        self.assertIsNone(a.submitblock(made["hex"]))
        self.assertEqual(a.getblock(made["hash"])["tx"][1:], txids[:1])
        self.assertEqual(a.getrawmempool(), txids[1:])
        self.assertEqual(a.submitblock(made["hex"]), "duplicate")
        self.expect_error(-5, "not in mempool", a.generateblock, REGTEST_ADDRESS, ["0" * 64])
        self.expect_error(-25, "TestBlockValidity failed: bad-txns-inputs-missingorspent", a.generateblock,
                          REGTEST_ADDRESS, [a.getblock(made["hash"], 2)["tx"][1]["hex"]])
        self.assertEqual(a.generateblock(REGTEST_ADDRESS, [])["hash"], a.getbestblockhash())

    def test_submitblock_refuses(self):
        a = self.node().start()
        a.mine(1)
        good = bytes.fromhex(a.generateblock(REGTEST_ADDRESS, [], False)["hex"])
        self.expect_error(-22, "Block decode failed", a.submitblock, "00" * 79)
        self.expect_error(-22, "Block decode failed", a.submitblock, "zz")

        def with_bytes(at, value):
            return (good[:at] + value + good[at + len(value):]).hex()
        self.assertIn(a.submitblock(with_bytes(36, b"\1" * 32)), ("bad-txnmrklroot", "high-hash"))
        self.assertEqual(a.submitblock(with_bytes(4, b"\1" * 32)), "prev-blk-not-found")
        self.assertEqual(a.getblockcount(), 1)
        self.assertIsNone(a.submitblock(good.hex()))
        self.assertEqual(a.getblockcount(), 2)

    def test_miner_on_coin(self):
        node = self.node("-mine=2", "-connect=0", chain="coin").start()
        wait_until(lambda: node.getblockcount() >= 3, "three blocks")
        self.assertEqual(node.getmininginfo()["minerthreads"], 2)
        wait_until(lambda: node.getmininginfo()["minerhashps"] > 0, "the hash rate")
        self.assertGreaterEqual(node.getbalances()["mine"]["immature"], 60)
        info = node.getblockchaininfo()
        self.assertEqual(info["chain"], "coin")
        self.assertIn("mines alone", " ".join(info["warnings"]))
        node.stop()

    def test_mine_to_an_address(self):
        node = self.node("-mine=1", "-connect=0", "-mineaddress=coin1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqwz5kjl",
                         "-disablewallet", chain="coin")
        node.start(wait=False)
        err = node.expect_end(1)
        self.assertIn("-mineaddress", err)  # the checksum is wrong

    def test_payments_are_mined_by_fee(self):
        a = self.node().start()
        a.createwallet("w")
        a.mine(103, a.getnewaddress())
        low = a.call("sendtoaddress", named={"address": REGTEST_ADDRESS, "amount": 1, "fee_rate": 1})
        high = a.call("sendtoaddress", named={"address": REGTEST_ADDRESS, "amount": 1, "fee_rate": 20})
        self.assertEqual(sorted(a.getrawmempool()), sorted([low, high]))
        block = a.getblock(a.mine(1)[0], 2)
        self.assertEqual(set(tx["txid"] for tx in block["tx"][1:]), {low, high})
        fees = sum(tx["fee"] for tx in block["tx"][1:])
        self.assertEqual(sum(o["value"] for o in block["tx"][0]["vout"]), 50 + fees)
