"""Peers: handshake, gossip, and what a node does with bad ones."""
import random
import struct

from blocks import TRUE, Key, Rig, push, spend
from framework import CoinTest, wait_until
from p2p import Peer, compact, message, sha256d, version_payload


class Neighbours(CoinTest):
    def test_handshake_order(self):
        node = self.node().start()
        with Peer(node, handshake=False) as peer:
            peer.socket.settimeout(1)
            with self.assertRaises(TimeoutError):
                peer.read()  # an inbound peer speaks first
            peer.socket.settimeout(60)
            peer.send("version", version_payload())
            before = []
            while not before or before[-1] != "verack":
                before.append(peer.read()[0])
            self.assertEqual(before[0], "version")
            self.assertLessEqual(set(before), {"version", "wtxidrelay", "sendaddrv2", "verack"})
            peer.send("verack")
            peer.wait_for("ping")
            peer.sync()
            info = node.getpeerinfo()
            self.assertEqual(len(info), 1)
            self.assertEqual((info[0]["subver"], info[0]["inbound"], info[0]["version"]), ("/python:1/", True, 70016))
        wait_until(lambda: not node.getpeerinfo(), "the peer to be forgotten")

    def test_serves_headers_and_blocks(self):
        node = self.node().start()
        tip = node.mine(3)[-1]
        genesis = bytes.fromhex(node.getblockhash(0))[::-1]
        with Peer(node) as peer:
            peer.send("getheaders", struct.pack("<I", 70016) + compact(1) + genesis + b"\0" * 32)
            headers = peer.wait_for("headers")
            self.assertEqual(headers[0], 3)
            self.assertEqual(sha256d(headers[1 + 162:1 + 162 + 80])[::-1].hex(), tip)
            peer.send("getdata", compact(1) + struct.pack("<I", 0x40000002) + bytes.fromhex(tip)[::-1])
            self.assertEqual(peer.wait_for("block").hex(), node.getblock(tip, 0))

    def test_serves_what_it_just_announced(self):
        """A block is announced before its scripts are checked; whoever then asks for it waits for the verdict."""
        rig = Rig(self)
        rig.grow(101)
        key = Key(7)
        check = push(key.der(b"another digest".ljust(32))) + push(key.pub) + b"\xac\x75"  # CHECKSIG DROP
        coins = rig.fund(*[check * 10 + TRUE] * 200, value=1000)
        slow = rig.block(spend(*coins))
        next_one = rig.block(parent=slow)
        with rig.connect() as watcher:
            watcher.send("sendcmpct", b"\1" + struct.pack("<Q", 2))
            watcher.send("getheaders", struct.pack("<I", 70016) + compact(1) + rig.genesis_id + b"\0" * 32)
            watcher.sync()
            rig.announce(rig.peer, slow, next_one)
            rig.peer.sync()
            for block in slow, next_one:
                rig.peer.send("block", block.encode())
                self.assertEqual(sha256d(watcher.wait_for("cmpctblock")[:80]), block.hash())
            both = [slow.hash(), next_one.hash()]
            watcher.send("getdata", compact(2) + b"".join(struct.pack("<I", 0x40000002) + h for h in both))
            watcher.sync()
            self.assertEqual([sha256d(p[:80]) for command, p in watcher.seen if command == "block"], both)
        rig.close()

    def test_bad_peers_are_dropped(self):
        """Each says one wrong thing; the node hangs up and goes on."""
        bad = {
            "other magic": message("ping", b"\0" * 8, magic=b"\xf9\xbe\xb4\xd9"),
            "noise": bytes(range(256)) * 40,
            "an oversized message": message("tx", b"", length=5_000_000),
            "too many inv": message("inv", compact(50001) + b"\0" * 36 * 50001),
            "too many headers": message("headers", compact(2001) + b"\0" * 81 * 2001),
            "too many addresses": message("addr", compact(1001) + b"\0" * 30 * 1001),
            "a second version": message("version", version_payload()) * 2 + message("version", b"\0"),
            "headers that do not connect in themselves": message("headers", compact(2) + b"\1" * 80 + b"\0" + b"\2" * 80 + b"\0"),
            "a cut block": message("block", b"\0" * 79),
        }
        node = self.node().start()
        node.mine(1)
        for name, data in bad.items():
            with self.subTest(name), Peer(node) as peer:
                peer.send_bytes(data)
                dropped = peer.is_dropped()
                if name in ("a second version",):
                    continue  # ignored or dropped: both are allowed
                self.assertTrue(dropped, f"still connected after {name}")
        with Peer(node) as peer:  # a wrong checksum is only ignored or dropped, never obeyed
            peer.send("ping", b"\1" * 8, checksum=b"\0\0\0\0")
            peer.send("nosuch", b"anything")  # unknown messages are ignored
        self.assertEqual(node.getblockcount(), 1)
        with Peer(node) as peer:
            peer.sync()

    def test_noise_in_every_message(self):
        """Random payloads under every name: the node stays up."""
        node = self.node().start()
        node.mine(1)
        rng = random.Random(1)
        names = ("version verack addr addrv2 inv getdata notfound getblocks getheaders headers tx block getaddr mempool ping "
                 "pong feefilter sendheaders sendcmpct cmpctblock getblocktxn blocktxn wtxidrelay sendaddrv2 filterload "
                 "merkleblock getcfilters feature alert").split()
        for name in names:
            for size in (0, 1, 8, 36, 37, 80, 200, 3000):
                with Peer(node) as peer:
                    peer.send(name, rng.randbytes(size))
                    peer.is_dropped()
        self.assertEqual(node.getblockcount(), 1)
        with Peer(node) as peer:
            peer.sync()

    def test_bytes_in_pieces(self):
        node = self.node().start()
        with Peer(node, handshake=False) as peer:
            for byte in message("version", version_payload()):
                peer.send_bytes(bytes([byte]))
            peer.wait_for("verack")
            peer.send("verack")
            peer.sync()

    def test_added_nodes_come_back(self):
        a, b = self.node().start(), self.node().start()
        a.addnode(f"127.0.0.1:{b.port}", "add")
        self.expect_error(-23, "already added", a.addnode, f"127.0.0.1:{b.port}", "add")
        wait_until(lambda: a.getconnectioncount() == 1, "the connection")
        b.stop()
        wait_until(lambda: a.getconnectioncount() == 0, "its end")
        b.start()
        wait_until(lambda: a.getconnectioncount() == 1, "the connection again")
        self.assertTrue(a.getaddednodeinfo()[0]["connected"])
        a.addnode(f"127.0.0.1:{b.port}", "remove")
        self.expect_error(-24, "has not been added", a.addnode, f"127.0.0.1:{b.port}", "remove")
        a.disconnectnode(f"127.0.0.1:{b.port}")
        self.expect_error(-29, "not found in connected nodes", a.disconnectnode, f"127.0.0.1:{b.port}")
        wait_until(lambda: a.getconnectioncount() == 0, "the end")

    def test_connect_option(self):
        b = self.node().start()
        a = self.node(f"-connect=127.0.0.1:{b.port}").start()
        wait_until(lambda: a.getconnectioncount() == 1, "the connection")
        b.mine(2)
        self.agree(a, b)

    def test_addresses_spread(self):
        a, b = (self.node().start() for _ in range(2))
        # An address has one place in a table keyed by chance: of sixty, one in forty runs finds a taken one.
        known = {address for address in (f"{n}.8.4.4" for n in range(20, 80))
                 if a.addpeeraddress(address, 18444)["success"]}
        self.assertGreater(len(known), 55)
        self.assertEqual({x["address"] for x in a.getnodeaddresses(0)}, known)
        self.assertEqual({x["address"] for x in a.getrawaddrman()["new"].values()}, known)
        self.assertEqual(a.getaddrmaninfo()["all_networks"]["total"], len(known))
        b.connect(a)  # b dials and asks; at most 23 % are told to one who asks
        learnt = wait_until(lambda: {x["address"] for x in b.getnodeaddresses(0)}, "addresses to spread")
        self.assertLess(learnt, known)

    def test_bans(self):
        node = self.node().start()
        with Peer(node) as peer:
            node.setban("127.0.0.1", "add")
            self.assertTrue(peer.is_dropped())
        self.assertEqual(node.listbanned()[0]["address"], "127.0.0.1/32")
        node.stop()
        node.start()
        self.assertEqual(len(node.listbanned()), 1)
        node.clearbanned()
        with Peer(node) as peer:
            peer.sync()
