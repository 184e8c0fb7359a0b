"""Wallets: addresses, balances, payments, and what survives."""
import os
from decimal import Decimal

from framework import REGTEST_ADDRESS, CoinTest, wait_until

SWIFT = "-whitelist=noban@127.0.0.1"


class Wallets(CoinTest):
    def test_create_load_unload(self):
        node = self.node().start()
        self.assertEqual(node.listwallets(), [])
        self.expect_error(-18, "No wallet is loaded", node.getbalance)
        node.createwallet("a")
        node.createwallet("b")
        self.assertEqual(sorted(node.listwallets()), ["a", "b"])
        self.expect_error(-19, "Multiple wallets are loaded", node.getbalance)
        self.assertEqual(node.getbalance(wallet="a"), 0)
        self.expect_error(-18, "does not exist or is not loaded", node.getbalance, wallet="nosuch")
        self.expect_error(-36, "already exists", node.createwallet, "a")
        self.expect_error(-35, "already loaded", node.loadwallet, "a")
        for name in ("../x", "a/b", "", "."):
            with self.assertRaises(Exception):
                node.createwallet(name)
        node.unloadwallet("a")
        self.assertEqual(node.listwallets(), ["b"])
        self.assertEqual(sorted(w["name"] for w in node.listwalletdir()["wallets"]), ["a", "b"])
        self.expect_error(-18, "", node.loadwallet, "nosuch")
        node.loadwallet("a")
        node.stop()
        node.start("-wallet=a", "-wallet=a")  # settings.json remembers both; named three times it is loaded once
        self.assertEqual(sorted(node.listwallets()), ["a", "b"])

    def test_autowallet(self):
        node = self.node("-connect=0", chain="coin").start()
        self.assertEqual(len(node.listwallets()), 1)
        node.stop()
        off = self.node("-connect=0", "-autowallet=0", chain="coin").start()
        self.assertEqual(off.listwallets(), [])
        self.assertTrue(os.path.isdir(os.path.join(off.chain_dir, "wallets")))

    def test_addresses_and_labels(self):
        node = self.node().start()
        node.createwallet("w")
        plain, labelled = node.getnewaddress(), node.getnewaddress("rent", "bech32m")
        self.assertTrue(plain.startswith("bcrt1q"))
        self.assertTrue(labelled.startswith("bcrt1p"))
        info = node.getaddressinfo(labelled)
        self.assertTrue(info["ismine"])
        self.assertFalse(info["ischange"])
        self.assertEqual(info["labels"], ["rent"])
        self.assertEqual(info["witness_version"], 1)
        self.assertFalse(node.getaddressinfo(REGTEST_ADDRESS)["ismine"])
        self.assertEqual(list(node.getaddressesbylabel("rent")), [labelled])
        node.setlabel(plain, "food")
        self.assertEqual(sorted(node.listlabels()), ["food", "rent"])
        self.expect_error(-5, "", node.getnewaddress, "", "nosuch")
        self.assertEqual(len({node.getnewaddress() for _ in range(50)}), 50)


class Payments(CoinTest):
    def rich(self, *options):
        node = self.node(*options).start()
        node.createwallet("w")
        node.mine(3, node.getnewaddress())
        node.mine(100)
        return node

    def test_balances(self):
        node = self.rich()
        self.assertEqual(node.getbalance(), 150)
        node.mine(1, node.getnewaddress())
        mine = node.getbalances()["mine"]
        self.assertEqual((mine["trusted"], mine["untrusted_pending"], mine["immature"]), (150, 0, 50))
        coins = node.listunspent()
        self.assertEqual([c["amount"] for c in coins], [50, 50, 50])
        self.assertTrue(all(c["spendable"] and c["solvable"] and c["safe"] for c in coins))

    def test_send(self):
        node = self.rich()
        txid = node.sendtoaddress(REGTEST_ADDRESS, "10.00000001")
        tx = node.gettransaction(txid)
        fee = -tx["fee"]
        self.assertEqual((tx["amount"], tx["confirmations"]), (Decimal("-10.00000001"), 0))
        self.assertEqual(node.getbalance(), 150 - Decimal("10.00000001") - fee)
        entry = node.getmempoolentry(txid)
        self.assertEqual(entry["fees"]["base"], fee)
        decoded = node.decoderawtransaction(tx["hex"])
        self.assertEqual(len(decoded["vout"]), 2)
        self.assertEqual(sum(o["value"] for o in decoded["vout"]) + fee, 50 * len(decoded["vin"]))
        change = next(o for o in decoded["vout"] if o["scriptPubKey"]["address"] != REGTEST_ADDRESS)
        self.assertTrue(node.getaddressinfo(change["scriptPubKey"]["address"])["ischange"])
        sent = [t for t in node.listtransactions("*", 1000) if t["txid"] == txid]
        self.assertEqual([t["category"] for t in sent], ["send"])  # change is not shown
        node.mine(1)
        self.assertEqual(node.gettransaction(txid)["confirmations"], 1)

    def test_send_all_of_a_coin(self):
        node = self.rich()
        txid = node.call("sendtoaddress", named={"address": REGTEST_ADDRESS, "amount": 150, "subtractfeefromamount": True})
        decoded = node.decoderawtransaction(node.gettransaction(txid)["hex"])
        self.assertEqual((len(decoded["vin"]), len(decoded["vout"])), (3, 1))
        self.assertEqual(decoded["vout"][0]["value"], 150 + node.gettransaction(txid)["fee"])
        self.assertEqual(node.getbalance(), 0)

    def test_both_kinds_of_coins(self):
        node = self.node().start()
        node.createwallet("w")
        for kind in ("bech32", "bech32m"):
            node.mine(1, node.getnewaddress("", kind))
        node.mine(100)
        txid = node.sendtoaddress(node.getnewaddress("", "bech32m"), 75)
        tx = node.decoderawtransaction(node.gettransaction(txid)["hex"])
        self.assertEqual(sorted(len(i["txinwitness"]) for i in tx["vin"]), [1, 2])
        node.mine(1)
        self.assertEqual(node.gettransaction(txid)["confirmations"], 1)

    def test_refusals(self):
        node = self.rich()
        self.expect_error(-6, "Insufficient funds", node.sendtoaddress, REGTEST_ADDRESS, 151)
        self.expect_error(-5, "Invalid", node.sendtoaddress, "nonsense", 1)
        self.expect_error(-3, "Amount out of range", node.sendtoaddress, REGTEST_ADDRESS, -1)
        self.expect_error(-3, "Invalid amount", node.sendtoaddress, REGTEST_ADDRESS, "1.000000001")
        with self.assertRaises(Exception):
            node.sendtoaddress(REGTEST_ADDRESS, "0.00000001")  # dust
        self.assertEqual(node.getrawmempool(), [])
        self.assertEqual(node.getbalance(), 150)
        for coin in node.listunspent():
            self.assertTrue(node.lockunspent(False, [{"txid": coin["txid"], "vout": coin["vout"]}]))
        self.expect_error(-6, "", node.sendtoaddress, REGTEST_ADDRESS, 1)
        self.assertEqual(len(node.listlockunspent()), 3)
        node.lockunspent(True)
        node.sendtoaddress(REGTEST_ADDRESS, 1)

    def test_chain_of_unconfirmed(self):
        node = self.rich()
        for _ in range(20):
            node.sendtoaddress(REGTEST_ADDRESS, 5)
        self.assertEqual(len(node.getrawmempool()), 20)
        node.mine(1)
        self.assertEqual(node.getrawmempool(), [])
        self.assertLess(node.getbalance(), 50)

    def test_many_coins(self):
        node = self.node().start()
        node.createwallet("w")
        node.mine(130, node.getnewaddress())
        node.mine(100)
        txid = node.sendtoaddress(REGTEST_ADDRESS, 120 * 50)
        self.assertGreater(len(node.decoderawtransaction(node.gettransaction(txid)["hex"])["vin"]), 120)
        node.mine(1)
        self.assertEqual(node.gettransaction(txid)["confirmations"], 1)

    def test_conflict(self):
        """One wallet on two nodes spends the same coins: the payment in a block wins, the other is conflicted."""
        a, b = self.rich(SWIFT), self.node(SWIFT).start()
        b.connect(a)
        self.agree(a, b)
        self.restore(b, a.getwalletwords())
        self.assertEqual(b.getbalance(), 150)
        b.disconnectnode(f"127.0.0.1:{a.port}")
        wait_until(lambda: not a.getpeerinfo() and not b.getpeerinfo(), "the split")
        lost, kept = a.sendtoaddress(REGTEST_ADDRESS, 149), b.sendtoaddress(REGTEST_ADDRESS, 140)
        b.mine(1)
        b.connect(a)
        wait_until(lambda: a.getbestblockhash() == b.getbestblockhash(), "the block")
        self.assertEqual(a.gettransaction(lost)["confirmations"], -1)
        self.assertIn(kept, a.gettransaction(lost)["walletconflicts"])
        self.assertEqual(a.gettransaction(kept)["confirmations"], 1)
        self.assertEqual(a.getrawmempool(), [])
        self.assertEqual(a.getbalance(), b.getbalance())

    def restore(self, node, words):
        self.assertEqual(len(words.split()), 12)
        node.call("restorewords", named={"wallet_name": "again", "words": words})
        wait_until(lambda: node.getwalletinfo()["scanning"] is False, "the scan")

    def test_abandon(self):
        node = self.rich("-walletbroadcast=0")
        txid = node.sendtoaddress(REGTEST_ADDRESS, 10)
        self.assertEqual(node.getrawmempool(), [])
        self.assertLess(node.getbalance(), 150)
        node.abandontransaction(txid)
        self.assertEqual(node.getbalance(), 150)
        self.expect_error(-5, "", node.abandontransaction, "0" * 64)

    def test_words_restore_everything(self):
        a = self.node(SWIFT).start()
        a.createwallet("w")
        for kind in ("bech32", "bech32m"):
            a.mine(2, a.getnewaddress("", kind))
        a.mine(100)
        a.sendtoaddress(REGTEST_ADDRESS, 60)
        a.mine(1)
        b = self.node(SWIFT).start()
        b.connect(a)
        self.agree(a, b)
        self.restore(b, a.getwalletwords())
        self.assertEqual(b.getbalances()["mine"], a.getbalances()["mine"])
        self.assertEqual(len(b.listtransactions("*", 1000)), len(a.listtransactions("*", 1000)))

    def test_kill_loses_no_answer(self):
        node = self.rich()
        address = node.getnewaddress()
        txid = node.sendtoaddress(REGTEST_ADDRESS, 7)
        node.kill()
        node.start()
        self.assertTrue(node.getaddressinfo(address)["ismine"])
        self.assertNotEqual(node.getnewaddress(), address)
        self.assertEqual(node.gettransaction(txid)["amount"], -7)
        wait_until(lambda: node.getrawmempool() == [txid], "the payment to be offered again")

    def test_rescan(self):
        node = self.rich()
        balance = node.getbalance()
        got = node.rescanblockchain()
        self.assertEqual((got["start_height"], got["stop_height"]), (0, 103))
        self.assertEqual(node.getbalance(), balance)
