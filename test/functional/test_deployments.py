"""Soft forks: what getdeploymentinfo says while miners signal, and the switches that bend regtest only."""
from framework import CoinTest

NEVER = 9223372036854775807
GENESIS_TIME = 1296688602


class Deployments(CoinTest):
    def dummy(self, node, *block):
        return node.getdeploymentinfo(*block)["deployments"]["testdummy"]

    def test_signals_from_first_to_active(self):
        a = self.node().start()
        info = a.getdeploymentinfo()
        self.assertEqual(list(info), ["hash", "height", "script_flags", "deployments"])
        self.assertEqual(info["script_flags"], ["NULLDUMMY", "P2SH", "TAPROOT", "WITNESS"])  # genesis
        self.assertEqual(list(info["deployments"]), ["bip34", "bip66", "bip65", "csv", "segwit", "testdummy", "taproot"])
        self.assertEqual(info["deployments"]["bip34"], {"type": "buried", "active": True, "height": 1})
        self.assertEqual(info["deployments"]["taproot"], {
            "type": "bip9", "height": 0, "active": True, "bip9": {
                "start_time": -1, "timeout": NEVER, "min_activation_height": 0, "status": "active", "since": 0,
                "status_next": "active"}})
        bip9 = {"start_time": 0, "timeout": NEVER, "min_activation_height": 0}
        self.assertEqual(self.dummy(a), {"type": "bip9", "active": False, "bip9": {
            **bip9, "status": "defined", "since": 0, "status_next": "defined"}})
        a.mine(143)
        self.assertEqual(a.getdeploymentinfo()["script_flags"], ["CHECKLOCKTIMEVERIFY", "CHECKSEQUENCEVERIFY", "DERSIG",
                                                                 "NULLDUMMY", "P2SH", "TAPROOT", "WITNESS"])
        self.assertEqual(self.dummy(a)["bip9"]["status_next"], "started")
        self.assertEqual(a.getblock(a.getbestblockhash())["versionHex"], "20000000")
        a.mine(108)
        self.assertEqual(a.getblock(a.getbestblockhash())["versionHex"], "30000000")
        self.assertEqual(self.dummy(a), {"type": "bip9", "active": False, "bip9": {
            "bit": 28, **bip9, "status": "started", "since": 144, "status_next": "started",
            "statistics": {"period": 144, "threshold": 108, "elapsed": 108, "count": 108, "possible": True},
            "signalling": "#" * 108}})
        a.mine(36)
        self.assertEqual(self.dummy(a)["bip9"]["status_next"], "locked_in")
        a.mine(143)
        locked = self.dummy(a)
        self.assertEqual(locked["bip9"]["status"], "locked_in")
        self.assertEqual(locked["bip9"]["statistics"], {"period": 144, "elapsed": 143, "count": 143})
        self.assertEqual((locked["active"], "height" in locked), (False, False))
        a.mine(1)
        self.assertEqual(self.dummy(a)["height"], 432)
        self.assertTrue(self.dummy(a)["active"])
        a.mine(1)
        self.assertEqual(self.dummy(a), {"type": "bip9", "height": 432, "active": True, "bip9": {
            **bip9, "status": "active", "since": 432, "status_next": "active"}})
        self.assertEqual(a.getblock(a.getbestblockhash())["versionHex"], "20000000")
        self.assertEqual(self.dummy(a, a.getblockhash(143))["bip9"]["status_next"], "started")
        self.expect_error(-5, "Block not found", a.getdeploymentinfo, "00" * 32)

    def test_minimum_height_and_timeout(self):
        a = self.node(f"-vbparams=testdummy:0:{NEVER}:600").start()
        a.mine(432)
        self.assertEqual(self.dummy(a)["bip9"]["status"], "locked_in")
        a.mine(143)
        self.assertEqual(self.dummy(a)["bip9"]["status_next"], "locked_in")  # 576 < 600
        a.mine(144)
        self.assertEqual(self.dummy(a)["bip9"]["status_next"], "active")
        self.assertEqual(self.dummy(a)["height"], 720)
        b = self.node(f"-vbparams=testdummy:{GENESIS_TIME}:{GENESIS_TIME + 1}", "-blockversion=536870912").start()
        b.mine(143)
        self.assertEqual(self.dummy(b)["bip9"]["status_next"], "started")
        b.mine(143)
        self.assertEqual(self.dummy(b)["bip9"]["statistics"]["possible"], False)
        b.mine(1)
        self.assertEqual(self.dummy(b)["bip9"]["status_next"], "failed")
        c = self.node("-vbparams=testdummy:-2:0").start()
        self.assertNotIn("testdummy", c.getdeploymentinfo()["deployments"])

    def test_only_regtest_bends(self):
        for option in ("-testactivationheight=segwit@5", "-vbparams=testdummy:0:1", "-test=bip94"):
            a = self.node(option, chain="coin")
            a.start(wait=False)
            self.assertIn("bends the rules of test chains", a.expect_end(1))
        b = self.node("-test=nonsense")
        b.start(wait=False)
        self.assertIn("Unrecognised option", b.expect_end(1))
        c = self.node("-testactivationheight=segwit@5").start()
        self.assertEqual(c.getdeploymentinfo()["deployments"]["segwit"], {"type": "buried", "active": False, "height": 5})
        c.mine(4)
        self.assertNotIn("NULLDUMMY", c.getdeploymentinfo()["script_flags"])
        self.assertTrue(c.getdeploymentinfo()["deployments"]["segwit"]["active"])
