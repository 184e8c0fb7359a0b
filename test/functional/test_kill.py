"""kill -9 at any moment: the node starts again, with the ledger it had or an earlier one, and goes on."""
import random
import time

from framework import CoinTest, wait_until

KILLS = 10


class Kill(CoinTest):
    def test_during_sync(self):
        source = self.node().start()
        source.createwallet("w")
        address = source.getnewaddress()
        source.mine(150, address)
        for _ in range(30):  # blocks with payments in them
            for _ in range(8):
                source.sendtoaddress(source.getnewaddress(), 0.5)
            source.mine(1)
        source.mine(1200)
        rng, node = random.Random(1), self.node("-dbcache=4", f"-addnode=127.0.0.1:{source.port}")
        heights = []
        for _ in range(KILLS):
            node.start(wait=rng.random() < 0.7)
            time.sleep(rng.random() * 0.6)
            if rng.random() < 0.3 and node.process.poll() is None and heights:
                node.is_ready() and node.call("gettxoutsetinfo", "none")  # flushes
            node.kill()
            heights.append(0)
        node.start()
        wait_until(lambda: node.getbestblockhash() == source.getbestblockhash(), "the sync to end")
        self.assertEqual(node.coins(), source.coins())
        node.stop()
        self.assertEqual(node.stderr_text(), "")

    def test_during_mining(self):
        rng = random.Random(2)
        node = self.node("-mine=1", "-connect=0", chain="coin")
        mined = 0
        for _ in range(KILLS):
            node.start()
            wait_until(lambda: node.getblockcount() > mined, "a block")
            time.sleep(rng.random())
            mined = max(0, node.getblockcount() - 50)
            node.kill()
        node.options[0] = "-mine=0"
        node.start()
        # Blocks whose coins were not on the disk yet are connected again while calls are answered already.
        wait_until(lambda: len(set(map(node.getblockchaininfo().get, ("blocks", "headers")))) == 1, "the old tip")
        count = node.getblockcount()
        self.assertGreater(count, 0)
        # One node mined all: every reward is the wallet's, mature ones may be spent.
        wait_until(lambda: node.getwalletinfo()["scanning"] is False, "the wallet")
        balances = node.getbalances()["mine"]
        self.assertEqual(balances["trusted"] + balances["immature"], 20 * count)
        self.assertEqual(balances["immature"], 20 * min(count, 100))
        # What the chain says, without the wallet's help (the genesis coin is unspendable).
        self.assertEqual(node.gettxoutsetinfo()["total_amount"], 20 * count)
        node.stop()
