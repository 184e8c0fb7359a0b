"""What a wallet must not lose: coins beyond its range, payments of a dead branch, its file, its answers."""
import os
import shutil
import sqlite3

from framework import REGTEST_ADDRESS, CoinTest, wait_until


class WalletCare(CoinTest):
    def balance(self, node, **options):
        return node.getbalances(**options)["mine"]["trusted"]

    def test_restore_beyond_the_range_of_one_block(self):
        """Forty payments in one block, each fifth of which makes a wallet with a gap of five watch further."""
        a, b = self.node("-keypool=100").start(), self.node("-keypool=5").start()
        a.createwallet("money")
        a.createwallet("far")
        words = a.call("getwalletwords", wallet="far")
        a.mine(101, a.call("getnewaddress", wallet="money"))
        addresses = [a.call("getnewaddress", wallet="far") for _ in range(40)]
        a.call("sendmany", "", {address: 1 for address in reversed(addresses)}, wallet="money")
        a.mine(1)
        for address in addresses[::4]:
            a.call("sendtoaddress", address, 0.5, wallet="money")
        a.mine(2)
        self.assertEqual(a.call("getbalances", wallet="far")["mine"]["trusted"], 45)
        b.connect(a)
        self.agree(a, b)
        text = words if isinstance(words, str) else words["words"]
        b.restorewords("again", text)
        wait_until(lambda: self.balance(b) == 45, "all payments to be found")
        b.stop()
        b.start()
        wait_until(lambda: self.balance(b) == 45, "all payments to be known")
        # live: nine more than it watches, in one block again
        more = [a.call("getnewaddress", wallet="far") for _ in range(20)]
        b.connect(a)
        a.call("sendmany", "", {address: 1 for address in reversed(more)}, wallet="money")
        a.mine(1)
        self.agree(a, b)
        wait_until(lambda: self.balance(b) == 65, "the new ones to be found")

    def twins(self):
        """Two nodes, apart, whose wallets have the same words and one coin to spend."""
        a, b = self.node().start(), self.node().start()
        a.createwallet("w")
        words = a.getwalletwords()
        address = a.getnewaddress()
        a.mine(1, address)
        a.mine(100)
        b.connect(a)
        self.agree(a, b)
        b.restorewords("w", words if isinstance(words, str) else words["words"])
        wait_until(lambda: self.balance(b) == 50, "the coin")
        for peer in b.getpeerinfo():
            b.call("disconnectnode", "", peer["id"])
        wait_until(lambda: not b.getpeerinfo() and not a.getpeerinfo(), "the nodes to be apart")
        return a, b

    def test_children_of_a_conflict(self):
        a, b = self.twins()
        parent = a.sendtoaddress(REGTEST_ADDRESS, 10)
        child = a.sendtoaddress(REGTEST_ADDRESS, 20)  # spends the change
        self.assertEqual(a.gettransaction(child)["confirmations"], 0)
        b.sendtoaddress(REGTEST_ADDRESS, 1)
        b.mine(2)
        b.connect(a)
        self.agree(a, b)
        wait_until(lambda: a.gettransaction(parent)["confirmations"] == -2, "the conflict")
        self.assertEqual(a.gettransaction(child)["confirmations"], -2)
        self.assertEqual(self.balance(a), self.balance(b))
        block = a.getblockhash(102)
        a.invalidateblock(block)
        wait_until(lambda: a.gettransaction(parent)["confirmations"] == 0, "the parent to live again")
        self.assertEqual(a.gettransaction(child)["confirmations"], 0)
        a.reconsiderblock(block)
        wait_until(lambda: a.gettransaction(child)["confirmations"] == -2, "the conflict again")

    def test_children_of_the_abandoned(self):
        a = self.node("-walletbroadcast=0").start()
        a.createwallet("w")
        a.mine(1, a.getnewaddress())
        a.mine(100)
        parent = a.sendtoaddress(a.getnewaddress(), 10)
        self.assertEqual(self.balance(a), 0)
        a.abandontransaction(parent)
        self.assertEqual(self.balance(a), 50)
        self.assertTrue(a.gettransaction(parent)["details"][0]["abandoned"])

    def test_a_wallet_that_comes_later_looks_into_the_pool(self):
        a = self.node().start()
        a.createwallet("money")
        a.mine(101, a.call("getnewaddress", wallet="money"))
        a.createwallet("late")
        address = a.call("getnewaddress", wallet="late")
        a.unloadwallet("late")
        txid = a.call("sendtoaddress", address, 3, wallet="money")
        a.loadwallet("late")
        self.assertEqual(a.call("getbalances", wallet="late")["mine"]["untrusted_pending"], 3)
        self.assertEqual(a.call("gettransaction", txid, wallet="late")["confirmations"], 0)

    def test_settings_that_cannot_be_read_stop_the_start(self):
        for text in ('{"wallet": ["w"', '{"wallet": "w"}', '{"wallet": [7]}', '{"wallet": ["../w"]}'):
            a = self.node()
            os.makedirs(a.chain_dir, exist_ok=True)
            path = os.path.join(a.chain_dir, "settings.json")
            with open(path, "w") as f:
                f.write(text)
            a.start(wait=False)
            self.assertIn("settings.json could not be read", a.expect_end(1))
            with open(path) as f:
                self.assertEqual(f.read(), text)

    def test_backup_restored(self):
        a = self.node().start()
        a.createwallet("w")
        a.mine(101, a.getnewaddress())
        copy = os.path.join(self.folder, "copy.dat")
        a.backupwallet(copy)
        a.sendtoaddress(REGTEST_ADDRESS, 1)
        a.mine(1)
        self.assertEqual(a.restorewallet("again", copy), {"name": "again"})
        wait_until(lambda: a.call("getbalances", wallet="again")["mine"]["trusted"] ==
                   a.call("getbalances", wallet="w")["mine"]["trusted"], "what came after the copy")
        self.expect_error(-36, "already exists", a.restorewallet, "again", copy)
        self.expect_error(-8, "Backup file does not exist", a.restorewallet, "b", copy + ".none")
        with open(copy, "r+b") as f:
            f.truncate(5000)
        self.expect_error(-20, "copy.dat", a.restorewallet, "c", copy)
        self.assertNotIn("c", [w["name"] for w in a.listwalletdir()["wallets"]])

    def test_an_unfinished_wallet_is_none(self):
        """A kill while a wallet is made leaves nothing that has its name."""
        a = self.node().start()
        folder = os.path.join(a.chain_dir, "wallets", "w")
        os.makedirs(folder)
        with open(os.path.join(folder, "wallet.dat.part"), "wb") as f:
            f.write(b"half")
        self.assertEqual(a.listwalletdir()["wallets"], [])
        a.createwallet("w")
        self.assertEqual(sorted(os.listdir(folder)), ["wallet.dat"])
        self.assertTrue(a.getnewaddress().startswith("bcrt1"))

    def test_load_on_startup(self):
        a = self.node().start()
        a.call("createwallet", "yes")
        a.call("createwallet", named={"wallet_name": "no", "load_on_startup": False})
        self.assertEqual(sorted(a.listwallets()), ["no", "yes"])
        a.stop()
        a.start()
        self.assertEqual(a.listwallets(), ["yes"])

    def test_damaged_files_are_named(self):
        a = self.node().start()
        a.createwallet("w")
        a.unloadwallet("w")
        path = os.path.join(a.chain_dir, "wallets", "w", "wallet.dat")
        good = path + ".good"
        shutil.copy(path, good)
        changes = ("DELETE FROM meta WHERE key = CAST('genesis' AS BLOB)", "DELETE FROM descriptors",
                   "DELETE FROM scripts WHERE script = (SELECT max(script) FROM scripts)",
                   "UPDATE scripts SET idx = 4000000 WHERE script = (SELECT max(script) FROM scripts)",
                   "UPDATE scripts SET descriptor = 63 WHERE script = (SELECT max(script) FROM scripts)")
        for change in changes:
            shutil.copy(good, path)
            db = sqlite3.connect(path)
            db.execute(change)
            db.commit()
            db.close()
            self.expect_error(-4, "", a.loadwallet, "w")
        shutil.copy(good, path)
        a.loadwallet("w")
        self.assertEqual(a.listwallets(), ["w"])
