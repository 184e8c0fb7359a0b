"""The encrypted transport (BIP324): between nodes, with those that do not know it, and what a stranger sees."""
import os
import socket

from framework import CoinTest, wait_until
from p2p import Peer, message


class Transport(CoinTest):
    def kinds(self, node):
        return sorted((p["inbound"], p["transport_protocol_type"]) for p in node.getpeerinfo())

    def test_two_nodes(self):
        a, b = self.node().start(), self.node().start()
        b.connect(a)
        self.assertEqual((self.kinds(a), self.kinds(b)), ([(True, "v2")], [(False, "v2")]))
        one, other = a.getpeerinfo()[0], b.getpeerinfo()[0]
        self.assertEqual(one["session_id"], other["session_id"])
        self.assertEqual(len(one["session_id"]), 64)
        self.assertIn("P2P_V2", one["servicesnames"])
        a.mine(300)  # more packets than a key lasts
        self.agree(a, b)
        self.assertIn("P2P_V2", a.getnetworkinfo()["localservicesnames"])

    def test_one_without_it(self):
        old, new = self.node("-v2transport=0").start(), self.node().start()
        new.connect(old)  # hangs up on what it takes for noise; then the plain way
        self.assertEqual(self.kinds(new), [(False, "v1")])
        self.assertEqual(new.getpeerinfo()[0]["session_id"], "")
        self.assertNotIn("P2P_V2", old.getnetworkinfo()["localservicesnames"])
        self.expect_error(-8, "v2transport requested but not enabled", old.addnode, "127.0.0.1:1", "onetry", True)
        old.mine(3)
        self.agree(old, new)
        new.disconnectnode(new.getpeerinfo()[0]["addr"])
        wait_until(lambda: not old.getpeerinfo(), "the end of the connection")
        old.connect(new)
        self.assertEqual(self.kinds(new), [(True, "v1")])

    def test_plain_when_asked_for(self):
        a, b = self.node().start(), self.node().start()
        b.addnode(f"127.0.0.1:{a.port}", "onetry", False)
        wait_until(lambda: [k for _, k in self.kinds(a)] == ["v1"] == [k for _, k in self.kinds(b)], "a plain connection")

    def test_strangers(self):
        """The first byte that no plain peer sends is answered by what looks like noise."""
        node = self.node().start()
        with socket.create_connection(("127.0.0.1", node.port), timeout=60) as stranger:
            stranger.sendall(b"\xfa\xbf\xb5\xdaversion\0\0\0\0")  # so far as plain as can be
            wait_until(lambda: self.kinds(node) == [(True, "detecting")], "the connection")
            stranger.sendall(b"\1")
            got = b""
            while len(got) < 64:
                got += stranger.recv(4096)
            self.assertEqual(self.kinds(node), [(True, "v2")])
            stranger.sendall(os.urandom(64 - 16) + bytes(4095 + 15))
            self.assertEqual(len(node.getpeerinfo()), 1)
            stranger.sendall(b"\0")  # a key, then no terminator
            while stranger.recv(4096):
                pass
        wait_until(lambda: not node.getpeerinfo(), "the stranger to be dropped")
        with socket.create_connection(("127.0.0.1", node.port), timeout=60) as other_chain:
            other_chain.sendall(message("version", b"", magic=b"\xf9\xbe\xb4\xd9"))
            while other_chain.recv(4096):
                pass
        with Peer(node) as plain:
            plain.sync()
            self.assertEqual(self.kinds(node), [(True, "v1")])
