"""What the node gives away and to whom: upload target, permissions by port, buffers, own addresses, network off."""
import struct
import time
import unittest

from framework import CoinTest, free_port, wait_until
from p2p import Peer

WEEK_S = 7 * 24 * 3600
BLOCK = 2 | 1 << 30


class Limits(CoinTest):
    def ask_block(self, peer, block):
        peer.send("getdata", b"\x01" + struct.pack("<I", BLOCK) + bytes.fromhex(block)[::-1])

    def test_upload_target(self):
        node = self.node("-maxuploadtarget=600M", "-whitelist=noban@127.0.0.2").start()
        node.mine(1)
        old = node.getbestblockhash()
        node.setmocktime(node.getblockheader(old)["time"] + WEEK_S + 3600)
        node.mine(1)
        self.assertEqual(node.getnettotals()["uploadtarget"], {
            "timeframe": 86400, "target": 600 << 20, "target_reached": False, "serve_historical_blocks": True,
            "bytes_left_in_cycle": 600 << 20, "time_left_in_cycle": 86400})
        with Peer(node) as peer:
            self.ask_block(peer, old)
            self.assertEqual(len(peer.wait_for("block")) > 80, True)
        totals = node.getnettotals()
        self.assertEqual(totals["uploadtarget"]["bytes_left_in_cycle"], (600 << 20) - totals["totalbytessent"])
        node.stop()
        # Less than what 144 full blocks to come may need: old ones are refused at once, new ones are not.
        node.options = ["-maxuploadtarget=500M", f"-mocktime={after_a_week()}"]
        node.start()
        self.assertEqual(node.getnettotals()["uploadtarget"]["serve_historical_blocks"], False)
        tip = node.getbestblockhash()
        with Peer(node) as peer:
            self.ask_block(peer, tip)
            peer.wait_for("block")
            self.ask_block(peer, old)
            self.assertTrue(peer.is_dropped())
        node.stop()
        node.options.append("-whitelist=download@127.0.0.1")
        node.start()
        with Peer(node) as peer:
            self.ask_block(peer, old)
            peer.wait_for("block")

    def test_units(self):
        for text, size in (("1", 1 << 20), ("5k", 5000), ("5K", 5 << 10), ("2g", 2 * 10**9), ("1T", 1 << 40), ("0", 0)):
            with self.subTest(text=text):
                node = self.node(f"-maxuploadtarget={text}").start()
                self.assertEqual(node.getnettotals()["uploadtarget"]["target"], size)
                node.stop()

    def test_white_ports(self):
        port = free_port()
        node = self.node(f"-whitebind=mempool,noban@127.0.0.1:{port}").start()
        with Peer(node) as plain:
            self.assertEqual(node.getpeerinfo()[0]["permissions"], [])
            plain.send("mempool")
            self.assertTrue(plain.is_dropped())
        wait_until(lambda: not node.getpeerinfo(), "the end")
        node.port = port
        with Peer(node) as friend:
            self.assertEqual(node.getpeerinfo()[0]["permissions"], ["noban", "mempool", "download"])
            friend.send("mempool")
            self.assertFalse(friend.is_dropped())

    def test_implied_permissions(self):
        for options, expected in (((), ["noban", "relay", "mempool", "download"]),
                                  (("-whitelistrelay=0",), ["noban", "mempool", "download"]),
                                  (("-whitelistforcerelay",), ["noban", "forcerelay", "relay", "mempool", "download"])):
            with self.subTest(options=options):
                node = self.node("-whitelist=127.0.0.0/8", *options).start()
                with Peer(node):
                    self.assertEqual(node.getpeerinfo()[0]["permissions"], expected)
                node.stop()

    def test_buffers(self):
        node = self.node("-maxreceivebuffer=1", "-maxsendbuffer=1").start()
        node.mine(50)
        with Peer(node) as peer:
            for height in range(1, 51):  # more than the buffers hold: one after the other
                self.ask_block(peer, node.getblockhash(height))
            for _ in range(50):
                peer.wait_for("block")
            peer.send("unknown", b"x" * 500000)
            self.assertFalse(peer.is_dropped())

    def test_own_addresses(self):
        node = self.node("-externalip=5.6.7.8", "-externalip=[2a00::1]:99", "-externalip=10.0.0.1").start()
        self.assertEqual(node.getnetworkinfo()["localaddresses"], [
            {"address": "5.6.7.8", "port": node.port, "score": 4}, {"address": "2a00::1", "port": 99, "score": 4}])
        node.mine(1)
        with Peer(node) as peer:  # who speaks of addresses hears ours
            peer.send("getaddr")
            node.mockscheduler(60)
            heard = peer.wait_for("addr")
            self.assertIn(b"\xff\xff\5\6\7\x08" + struct.pack(">H", node.port), heard)

    def test_network_off(self):
        node = self.node("-networkactive=0").start()
        self.assertEqual(node.getnetworkinfo()["networkactive"], False)
        with Peer(node, handshake=False) as peer:
            self.assertIsNone(peer.read())
        node.setnetworkactive(True)
        with Peer(node) as peer:
            self.assertFalse(peer.is_dropped())


def after_a_week():
    """A little after the mock time at which its second block was made."""
    return int(time.time()) + WEEK_S + 3700


if __name__ == "__main__":
    unittest.main()
