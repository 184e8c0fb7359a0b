"""Reorganisations: the branch with most work wins, its payments come back or vanish."""
from framework import REGTEST_ADDRESS, CoinTest, wait_until


class Reorg(CoinTest):
    def split(self, depth):
        """Two nodes that agree on 120 blocks, then mine apart: a `depth` blocks with payments, b one more."""
        a, b = self.node().start(), self.node().start()
        a.createwallet("w")
        a.mine(120, a.getnewaddress())
        b.connect(a)
        self.agree(a, b)
        b.disconnectnode(f"127.0.0.1:{a.port}")
        wait_until(lambda: a.getconnectioncount() == 0 and b.getconnectioncount() == 0, "the split")
        return a, b

    def check(self, depth):
        a, b = self.split(depth)
        txids = [a.sendtoaddress(REGTEST_ADDRESS, 1 + i) for i in range(3)]
        a.mine(depth)
        self.assertEqual(a.getrawmempool(), [])
        old_tip = a.getbestblockhash()
        b.mine(depth + 1, "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry")
        b.connect(a)
        wait_until(lambda: a.getbestblockhash() == b.getbestblockhash(), "the reorganisation")
        self.assertEqual(a.coins(), b.coins())
        self.assertEqual(sorted(a.getrawmempool()), sorted(txids))  # undone payments wait again
        self.assertEqual([a.gettransaction(t)["confirmations"] for t in txids], [0, 0, 0])
        self.assertEqual(a.getblock(old_tip)["confirmations"], -1)
        tips = {t["hash"]: t for t in a.getchaintips()}
        self.assertEqual((tips[old_tip]["status"], tips[old_tip]["branchlen"]), ("valid-fork", depth))
        a.mine(1)
        self.agree(a, b)
        self.assertEqual([b.getrawtransaction(t, 1, a.getbestblockhash())["confirmations"] for t in txids], [1, 1, 1])
        balances, fees = a.getbalances()["mine"], sum(a.gettransaction(t)["fee"] for t in txids)
        self.assertEqual(balances["trusted"] + balances["immature"], 120 * 50 - 6 + fees)
        coins = a.coins()
        a.stop()
        a.start()
        self.assertEqual(a.coins(), coins)

    def test_3_deep(self):
        self.check(3)

    def test_101_deep(self):
        self.check(101)

    def test_invalidate_and_reconsider(self):
        a = self.node().start()
        a.createwallet("w")
        hashes = a.mine(110, a.getnewaddress())
        coins = a.coins()
        txid = a.sendtoaddress(REGTEST_ADDRESS, 2)
        top = a.mine(2)
        a.invalidateblock(top[0])
        self.assertEqual(a.getbestblockhash(), hashes[-1])
        self.assertEqual(a.coins(), coins)
        self.assertEqual(a.getrawmempool(), [txid])
        self.assertEqual([t["status"] for t in a.getchaintips()], ["invalid", "active"])
        a.reconsiderblock(top[0])
        wait_until(lambda: a.getbestblockhash() == top[1], "the branch to come back")
        self.assertEqual(a.getrawmempool(), [])
        a.invalidateblock(hashes[50])  # payments whose coins vanish leave the mempool
        self.assertEqual(a.getblockcount(), 50)
        self.assertEqual(a.getrawmempool(), [])
        a.reconsiderblock(hashes[50])
        wait_until(lambda: a.getbestblockhash() == top[1], "the branch to come back")

    def test_coinbase_that_vanishes(self):
        """A payment of a coinbase that a reorganisation removes can never confirm."""
        a, b = self.split(0)
        a.mine(1, a.getnewaddress())
        a.mine(100)
        spent = [u for u in a.listunspent() if u["confirmations"] == 101]
        b.mine(102)
        b.connect(a)
        wait_until(lambda: a.getbestblockhash() == b.getbestblockhash(), "the reorganisation")
        self.assertEqual(a.gettransaction(spent[0]["txid"])["confirmations"], 0)
        self.assertNotIn(spent[0]["txid"], a.getrawmempool())
        self.assertNotIn(spent[0]["txid"], [u["txid"] for u in a.listunspent(0)])
