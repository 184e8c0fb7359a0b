"""Hostile peers over real sockets: every message cut short, too large, with lying counts and checksums, too early, too often; peers
that dawdle, flood and hoard. The node stays up, in its memory, in good company, and a pong says that all before it is done."""
import itertools
import os
import socket
import struct
import time

from blocks import COIN, FINAL, Block, In, Out, Rig, Tx, spend
from framework import CoinTest, wait_until
from p2p import Peer, compact, message, version_payload

WITNESS = 1 << 30
SANITIZED = "san" in os.environ.get("COIN_BUILD", "")
OUTBOX_B, INBOX_B, MESSAGE_MAX_B = 1_000_000, 5_000_000, 4_000_000  # include/coin/p2p/limits.h
REPLIES = {"ping": "pong", "getheaders": "headers", "getdata": "block", "getblocks": "inv", "getaddr": "addr", "getblocktxn": "blocktxn"}
# What is refused by its announced size alone: names with a ceiling of their own, one more than its bytes.
CEILINGS = {"verack": 1024, "ping": 1024, "feefilter": 1024, "sendcmpct": 1024, "version": 1024, "inv": 50000 * 36 + 9,
            "headers": 2000 * 81 + 9, "addr": 1000 * 30 + 9, "getheaders": 1024 + 101 * 32, "tx": MESSAGE_MAX_B,
            "block": MESSAGE_MAX_B, "nosuch": MESSAGE_MAX_B}


def specimens(node):
    """One good payload of each message that has one; none is asked for, none does harm."""
    tip = bytes.fromhex(node.getbestblockhash())[::-1]
    genesis = bytes.fromhex(node.getblockhash(0))[::-1]
    known = node.getblockheader(node.getbestblockhash())
    coinbase = Tx([In(bytes(32), FINAL, b"\x51\4side")], [Out(50 * COIN)])
    block = Block(genesis, 1, known["time"] + 1, int(known["bits"], 16), [coinbase]).seal().encode()  # of no more work than the tip
    coinbase = coinbase.encode()
    locator = struct.pack("<I", 70016) + compact(1) + genesis + bytes(32)
    address = struct.pack("<IQ", int(time.time()), 9) + bytes(10) + b"\xff\xff\x2f\1\2\3\x20\x8d"
    orphan = struct.pack("<I", 2) + b"\1" + b"\x33" * 32 + bytes(4) + b"\0" + b"\xff" * 4 + b"\1" + bytes(8) + b"\1\x51" + bytes(4)
    return {
        "ping": bytes(8), "feefilter": struct.pack("<q", 1000), "sendcmpct": b"\0" + struct.pack("<Q", 2),
        "addr": b"\1" + address, "addrv2": b"\1" + address[:4] + b"\x09\1\4\x2f\1\2\3\x20\x8d",
        "inv": b"\1" + struct.pack("<I", 2) + tip, "getdata": b"\1" + struct.pack("<I", 2 | WITNESS) + tip,
        "notfound": b"\1" + struct.pack("<I", 1) + b"\4" * 32, "getheaders": locator, "getblocks": locator,
        "headers": b"\1" + block[:80] + b"\0", "tx": orphan, "block": block,
        "cmpctblock": block[:80] + bytes(8) + b"\0\1\0" + coinbase, "getblocktxn": tip + b"\1\0",
        "blocktxn": tip + b"\1" + coinbase, "getcfilters": b"\0" + bytes(4) + tip, "getcfheaders": b"\0" + bytes(4) + tip,
        "getcfcheckpt": b"\0" + tip,
    }


def resident_b(node):
    with open(f"/proc/{node.process.pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Hostile(CoinTest):
    def start(self, *options):
        """A node with a block, and a good peer of it."""
        node = self.node(*options).start()
        node.mine(1)
        self.good = Peer(node)
        self.addCleanup(self.good.close)
        return node

    def still_good(self, node):
        """Nobody else has noticed anything."""
        self.good.sync()
        self.assertEqual(node.getblockcount(), 1)

    def expect_dropped(self, node, name, data):
        with self.subTest(name), Peer(node) as peer:
            peer.send_bytes(data)
            self.assertTrue(peer.is_dropped(), f"still connected after {name}")

    def test_cut_short(self):
        node = self.start("-blockfilterindex=1", "-peerblockfilters=1")
        for command, payload in specimens(node).items():
            sizes = {len(payload) * n // 8 for n in range(8)} | {1, len(payload) - 1}
            if command == "ping":
                sizes = {1, 7}  # BIP31: before it, pings were empty
            for size in sorted(s for s in sizes if s < len(payload)):
                self.expect_dropped(node, f"{command} of {size} bytes", message(command, payload[:size]))
        self.still_good(node)

    def test_too_large(self):
        """The size in the header is enough; nothing waits for the bytes."""
        node = self.start()
        for command, most in CEILINGS.items():
            for size in most + 1, 0xffffffff:
                self.expect_dropped(node, f"{command} of {size} bytes", message(command, length=size))
        self.still_good(node)

    def test_longer_than_known(self):
        """Later versions may append to a message: what is known of it counts."""
        node = self.start()
        for command, payload in specimens(node).items():
            if command in ("block", "tx", "blocktxn", "cmpctblock") or command.startswith("getcf"):
                continue
            with self.subTest(command), Peer(node) as peer:
                peer.send(command, payload + b"later")
                self.assertFalse(peer.is_dropped())
        self.still_good(node)

    def test_lying_counts(self):
        """A count is believed as far as bytes follow, up to the message's limit, in its shortest form."""
        node = self.start()
        good = specimens(node)
        before = {"addr": b"", "addrv2": b"", "inv": b"", "getdata": b"", "notfound": b"", "headers": b"",
                  "getheaders": good["getheaders"][:4], "getblocks": good["getblocks"][:4], "getblocktxn": good["getblocktxn"][:32],
                  "blocktxn": good["blocktxn"][:32], "cmpctblock": good["cmpctblock"][:88], "block": good["block"][:80], "tx": good["tx"][:4]}
        counts = {"2": b"\2", "65,535": b"\xfd\xff\xff", "2^32 - 1": b"\xfe" + b"\xff" * 4, "2^64 - 1": b"\xff" * 9,
                  "2^61": b"\xff" + struct.pack("<Q", 1 << 61), "1 in three bytes": b"\xfd\1\0", "1 in nine bytes": b"\xff\1" + bytes(7)}
        for (command, head), (name, count) in itertools.product(before.items(), counts.items()):
            if (command, name) == ("cmpctblock", "2"):
                continue  # two short ids that nobody knows: a fair question
            self.expect_dropped(node, f"{command} with a count of {name}", message(command, head + count + good[command][len(head) + 1:]))
        self.still_good(node)

    def test_spoilt(self):
        """What has a wrong checksum was not said; what comes behind it was."""
        node = self.start()
        for command, payload in {**specimens(node), "getaddr": b""}.items():
            with self.subTest(command), Peer(node) as peer:
                peer.sync()
                del peer.seen[:]
                peer.send(command, payload, checksum=b"\xde\xad\xbe\xef")
                nonce = os.urandom(8)
                peer.send("ping", nonce)
                self.assertEqual(peer.wait_for("pong"), nonce)
                self.assertNotIn(REPLIES.get(command), [seen for seen, _ in peer.seen[:-1]])
        self.still_good(node)

    def test_too_early(self):
        """Nothing counts before the version, and only the handshake before the verack."""
        node = self.start("-v2transport=0")  # with it, what does not begin as a version is a key (BIP324)
        for command, payload in {**specimens(node), "verack": b"", "getaddr": b"", "mempool": b""}.items():
            with self.subTest(command), Peer(node, handshake=False) as peer:
                peer.send(command, payload)
                peer.send("version", version_payload())
                seen = [peer.read()[0]]
                peer.wait_for("verack")
                if command != "verack":
                    peer.send(command, payload)
                peer.send("verack")
                peer.sync()
                self.assertEqual(seen, ["version"])
                self.assertFalse({"headers", "block", "addr", "blocktxn"} & {name for name, _ in peer.seen})
                self.assertEqual([name for name, _ in peer.seen].count("pong"), 1)
        self.still_good(node)

    def test_handshake_out_of_order(self):
        node = self.start()
        for command in "wtxidrelay", "sendaddrv2":
            with self.subTest(command), Peer(node) as peer:
                peer.send(command)
                self.assertTrue(peer.is_dropped(), "BIP155, BIP339: only before verack")
        with Peer(node) as peer:
            for _ in range(100):
                peer.send("version", version_payload())
                peer.send("verack")
            self.assertFalse(peer.is_dropped())
            self.assertEqual([name for name, _ in peer.seen].count("version"), 1)
        self.still_good(node)

    def test_too_often(self):
        """A thousand of the same in one go: each is answered or none, in order, and others are served meanwhile."""
        node = self.start()
        for command, payload in {**specimens(node), **dict.fromkeys(("getaddr", "sendheaders", "verack"), b"")}.items():
            if command.startswith("getcf"):
                continue  # not offered here
            with self.subTest(command), Peer(node) as peer:
                peer.sync()
                del peer.seen[:]
                peer.send_bytes(message(command, payload) * 1000)
                self.good.sync()
                self.assertFalse(peer.is_dropped())
                names = [name for name, _ in peer.seen]
                if command in ("getheaders", "getdata", "getblocktxn"):
                    self.assertEqual(names.count(REPLIES[command]), 1000)
                self.assertLessEqual(names.count("addr"), 1)
        self.still_good(node)

    def test_services_not_offered(self):
        node = self.start()
        good = specimens(node)
        for command, payload in {"mempool": b"", "filterload": b"\1\1" + bytes(9), "filteradd": b"\1\1", "filterclear": b"",
                                 **{name: good[name] for name in ("getcfilters", "getcfheaders", "getcfcheckpt")}}.items():
            self.expect_dropped(node, command, message(command, payload))
        self.still_good(node)

    def test_dawdlers(self):
        """A handshake has its time, however many bytes come in it; a message may take as long as bytes come."""
        node = self.start("-peertimeout=2")
        silent, slow, shy, dribbling = Peer(node, False), Peer(node, False), Peer(node, False), Peer(node)
        shy.send("version", version_payload())
        greeting, endless = message("version", version_payload()), message("tx", bytes(100_000))
        self.assertEqual(len(node.getpeerinfo()), 5)
        sent = iter(greeting + greeting)
        late = iter(endless)

        def only_two_left():
            slow.send_bytes(bytes([next(sent)]))
            dribbling.send_bytes(bytes([next(late)]))
            return len(node.getpeerinfo()) == 2
        wait_until(only_two_left, "the end of the dawdlers")
        for peer in silent, slow, shy:
            self.assertIsNone(next((m for m in iter(peer.read, None) if m[0] == "pong"), None))
            peer.close()
        dribbling.send_bytes(bytes(late))
        self.assertTrue(dribbling.is_dropped())  # zeroes are no transaction
        dribbling.close()
        self.still_good(node)

    def test_floods(self):
        """All slots taken by silent strangers: who has served stays, who was added by hand stays, and a newcomer finds room."""
        most = 80  # eviction spares the best twenty of each kind and half of the others
        node = self.node(f"-maxconnections={most}").start()
        friend = self.node().start()
        node.connect(friend)
        tip = node.mine(1)[0]
        with Peer(node) as useful:
            info = node.getblockheader(tip)
            child = Block(bytes.fromhex(tip)[::-1], 2, info["time"] + 1, int(info["bits"], 16), [Tx([In(bytes(32), FINAL, b"\x52\4good")], [Out(50 * COIN)])])
            useful.send("block", child.seal().encode())
            wait_until(lambda: node.getblockcount() == 2, "the block")
            flood = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(200)]
            self.addCleanup(lambda: [s.close() for s in flood])
            for s in flood:
                try:
                    s.sendall(message("version", version_payload()) + message("verack"))
                except OSError:
                    pass  # no room for it
            useful.sync()
            self.assertLessEqual(len(node.getpeerinfo()), most)
            for _ in range(5):
                with Peer(node) as newcomer:
                    newcomer.sync()
            self.assertFalse(useful.is_dropped())
            self.assertIn(f"127.0.0.1:{friend.port}", [p["addr"] for p in node.getpeerinfo()])
        node.mine(1)
        self.agree(node, friend)

    def test_memory(self):
        """Peers that read nothing and say all they may: each costs what it sent, at most an inbox, a message and an outbox."""
        node = self.start()
        locator = message("getheaders", specimens(node)["getheaders"])
        started_b = resident_b(node)
        count, most_b = 20, INBOX_B + MESSAGE_MAX_B + OUTBOX_B
        hoarders = [Peer(node) for _ in range(count)]
        request = message("getdata", compact(2000) + (struct.pack("<I", 2 | WITNESS) + bytes.fromhex(node.getbestblockhash())[::-1]) * 2000)
        for peer in hoarders:
            peer.socket.setblocking(False)
        for bytes_of in (request * 200, locator * 1000, message("block", bytes(MESSAGE_MAX_B - 1)) * 4):
            left = {peer: memoryview(bytes_of) for peer in hoarders}
            idle = 0
            while left and idle < 20:
                moved = 0
                for peer in list(left):
                    try:
                        sent = peer.socket.send(left[peer][:1 << 20])
                    except BlockingIOError:
                        continue
                    except OSError:
                        del left[peer]
                        continue
                    moved += sent
                    left[peer] = left[peer][sent:]
                    if not left[peer]:
                        del left[peer]
                idle = 0 if moved else idle + 1
                time.sleep(0 if moved else 0.01)
        self.good.sync()
        grown_b = resident_b(node) - started_b
        if not SANITIZED:
            self.assertLess(grown_b, count * most_b)
        for peer in hoarders:
            peer.close()
        wait_until(lambda: len(node.getpeerinfo()) == 1, "the hoarders to be forgotten")
        self.still_good(node)

    def test_pong_is_last(self):
        """A ping behind blocks, payments and requests is answered when all of them are done."""
        rig = Rig(self, "-acceptnonstdtxn")
        rig.grow(110)
        for _ in range(5):
            tx = spend(rig.mature(), fee=1000)
            block = rig.block(tx)
            rig.peer.send("block", block.encode())
            rig.extend(block)
            rig.peer.sync()
            self.assertEqual(rig.best(), block.id())
            coin = block.txs[1].coin()
            loose = spend(coin, outs=[Out(coin.value // 2 - 1000)] * 2)
            rig.peer.send("tx", loose.encode())
            rig.peer.sync()
            self.assertEqual(rig.node.getrawmempool(), [loose.txid()[::-1].hex()])
            follower = rig.block(loose)
            rig.announce(rig.peer, follower)
            rig.peer.send("getdata", compact(1) + struct.pack("<I", 2 | WITNESS) + block.hash())
            del rig.peer.seen[:]
            rig.peer.sync()
            names = [name for name, _ in rig.peer.seen]
            self.assertLess(names.index("getdata"), names.index("pong"))
            self.assertLess(names.index("block"), names.index("pong"))
            rig.peer.send("block", follower.encode())
            rig.extend(follower)
            rig.peer.sync()
            self.assertEqual(rig.best(), follower.id())
        rig.close()
