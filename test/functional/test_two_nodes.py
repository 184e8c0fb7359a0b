"""Two nodes: one ledger, payments both ways, restarts."""
from decimal import Decimal

from framework import REGTEST_ADDRESS, CoinTest, wait_until


class TwoNodes(CoinTest):
    def test_sync_pay_restart(self):
        swift = "-whitelist=noban@127.0.0.1"  # payments leave at once
        a, b = self.node(swift).start(), self.node(swift).start()
        for node in (a, b):
            node.createwallet("w")
        a.mine(400, a.getnewaddress())
        b.connect(a)
        self.agree(a, b)
        b.mine(100, b.getnewaddress())
        self.agree(a, b)
        a.mine(100)
        self.agree(a, b)
        self.assertEqual(a.getblockcount(), 600)
        self.assertEqual(a.coins(), b.coins())

        def pay(payer, payee, amount):
            before, paid = payee.getbalances()["mine"], payer.getbalance()
            txid = payer.sendtoaddress(payee.getnewaddress(), amount)
            self.agree(a, b)
            self.assertEqual(payee.getbalances()["mine"]["untrusted_pending"], before["untrusted_pending"] + amount)
            block = payer.mine(1)[0]
            self.agree(a, b)
            self.assertEqual(payee.getbalance(), before["trusted"] + amount)
            self.assertLess(payer.getbalance(), paid - amount + 50)  # a coinbase may have matured
            self.assertIn(txid, payee.getblock(block)["tx"])
            self.assertEqual(payee.gettransaction(txid)["amount"], amount)
            self.assertLess(payer.gettransaction(txid)["fee"], 0)

        for kind in ("bech32", "bech32m"):
            pay(a, b, Decimal("12.34567890"))
            pay(b, a, Decimal("3.21"))
        coins, balances = a.coins(), [n.getbalances() for n in (a, b)]
        for node in (a, b):
            node.stop()
            node.start()
        self.assertEqual((a.coins(), b.coins()), (coins, coins))
        self.assertEqual([n.getbalances() for n in (a, b)], balances)
        b.connect(a)
        pay(b, a, Decimal("1"))

    def test_mempool_survives_restart(self):
        a = self.node().start()
        a.createwallet("w")
        a.mine(101, a.getnewaddress())
        txid = a.sendtoaddress(REGTEST_ADDRESS, 1)
        a.stop()
        a.start()
        wait_until(lambda: a.getrawmempool() == [txid], "the mempool to load")
        a.mine(1)
        self.assertEqual(a.getrawmempool(), [])
        self.assertEqual(a.gettransaction(txid)["confirmations"], 1)

    def test_late_comers_and_a_chain_of_nodes(self):
        """Blocks and payments pass through a node in the middle."""
        a, b, c = (self.node().start() for _ in range(3))
        a.createwallet("w")
        b.connect(a)
        c.connect(b)
        a.mine(110, a.getnewaddress())
        self.agree(a, b, c)
        for _ in range(3):
            a.sendtoaddress(REGTEST_ADDRESS, 1)
        self.agree(a, b, c)
        self.assertEqual(len(c.getrawmempool()), 3)
        c.mine(1)
        self.agree(a, b, c)
        self.assertEqual(a.getrawmempool(), [])
