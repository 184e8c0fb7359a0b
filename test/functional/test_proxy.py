"""Through a SOCKS5 proxy: who is dialed how, isolation of streams, names that are never looked up, refusals; and the
networks that are reached."""
import socket
import struct
import threading
import unittest

from framework import CoinTest, wait_until

ONION = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"


class Proxy(threading.Thread):
    """A SOCKS5 server. It notes what it was asked for, and leads everything to one port, or refuses with a reply."""

    def __init__(self, port=None, reply=0, password=True):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.target, self.reply, self.password = port, reply, password
        self.asked, self.secrets = [], []
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            with client:
                self.talk(client)
        except (OSError, EOFError):
            pass

    @staticmethod
    def take(client, size):
        data = b""
        while len(data) < size:
            part = client.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def talk(self, client):
        methods = self.take(client, self.take(client, 2)[1])
        if self.password and 2 in methods:
            client.sendall(b"\5\2")
            self.take(client, 1)
            user = self.take(client, self.take(client, 1)[0])
            self.secrets.append((user, self.take(client, self.take(client, 1)[0])))
            client.sendall(b"\1\0")
        else:
            client.sendall(b"\5\0")
        version, command, _, kind = self.take(client, 4)
        assert (version, command, kind) == (5, 1, 3), "the destination must go as a name"
        name = self.take(client, self.take(client, 1)[0]).decode()
        self.asked.append((name, struct.unpack(">H", self.take(client, 2))[0]))
        client.sendall(bytes([5, self.reply, 0, 1]) + bytes(6))
        if self.reply or self.target is None:
            return
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            threading.Thread(target=self.pump, args=(server, client), daemon=True).start()
            self.pump(client, server)

    @staticmethod
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.socket.close()


class Proxies(CoinTest):
    def proxy(self, *args, **options):
        proxy = Proxy(*args, **options)
        self.addCleanup(proxy.close)
        return proxy

    def connected(self, node):
        wait_until(lambda: any(p["version"] for p in node.getpeerinfo()), "a handshake")

    def network(self, node, name):
        return next(n for n in node.getnetworkinfo()["networks"] if n["name"] == name)

    def test_everything_goes_through_it(self):
        server = self.node().start()
        server.mine(5)
        proxy = self.proxy(server.port)
        node = self.node(f"-proxy={proxy.address}", "-listen=0").start()
        for name in ("ipv4", "ipv6", "onion"):
            self.assertEqual(self.network(node, name), {
                "name": name, "limited": False, "reachable": True, "proxy": proxy.address,
                "proxy_randomize_credentials": True})
        self.assertEqual(self.network(node, "i2p")["reachable"], False)
        for destination, asked in (("1.2.3.4:18444", ("1.2.3.4", 18444)), ("[2a00::5]:7", ("2a00::5", 7)),
                                   (f"{ONION}:8333", (ONION, 8333)), ("peer.example:99", ("peer.example", 99))):
            with self.subTest(destination=destination):
                proxy.asked.clear()
                node.addnode(destination, "onetry")
                self.connected(node)
                self.assertEqual(proxy.asked, [asked])
                peer = node.getpeerinfo()[0]
                self.assertEqual(peer["addr"], destination)
                self.assertEqual(peer["transport_protocol_type"], "v2")
                wait_until(lambda: node.getblockcount() == 5, "the blocks")
                node.disconnectnode(destination)
                wait_until(lambda: not node.getpeerinfo(), "the end of the connection")
        self.assertEqual(len(set(proxy.secrets)), 4, "each connection has credentials of its own")
        node.stop()

    def test_added_names_and_seeds(self):
        server = self.node().start()
        proxy = self.proxy(server.port)
        node = self.node(f"-proxy={proxy.address}", "-proxyrandomize=0", "-addnode=a.example:5",
                         "-seednode=b.example").start()
        self.connected(node)
        wait_until(lambda: len(proxy.asked) == 2, "both names")
        self.assertEqual(sorted(n for n, _ in proxy.asked), ["a.example", "b.example"])
        self.assertEqual(proxy.secrets, [])
        added = node.getaddednodeinfo()[0]
        self.assertEqual((added["addednode"], added["connected"]), ("a.example:5", True))
        # The peer comes back after it was lost.
        first = len(proxy.asked)
        for peer in server.getpeerinfo():  # one of the two is it
            server.disconnectnode(peer["addr"])
        wait_until(lambda: ("a.example", 5) in proxy.asked[first:], "another dial")

    def test_plain_peer_behind_it(self):
        server = self.node("-v2transport=0").start()
        proxy = self.proxy(server.port, password=False)
        node = self.node(f"-proxy={proxy.address}", "-listen=0").start()
        node.addnode("1.2.3.4:5", "onetry")
        self.connected(node)
        self.assertEqual(node.getpeerinfo()[0]["transport_protocol_type"], "v1")
        self.assertEqual(proxy.asked, [("1.2.3.4", 5)] * 2)

    def test_refusals(self):
        refusing = self.proxy(reply=5)
        noise = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(noise.close)
        node = self.node(f"-proxy={refusing.address}", "-debug=net").start()
        node.addnode("1.2.3.4:5", "onetry")
        wait_until(lambda: "the proxy says: connection refused" in node.log(), "the refusal")
        wait_until(lambda: not node.getpeerinfo(), "the end of the peer")
        node.stop()
        other = self.node("-proxy=127.0.0.1:%d" % noise.getsockname()[1], "-debug=net").start()
        other.addnode("1.2.3.4:5", "onetry")
        client, _ = noise.accept()
        client.sendall(b"HTTP/1.1 400 What?\r\n" * 100)
        wait_until(lambda: "does not speak SOCKS5" in other.log(), "the other refusal")
        client.close()
        other.stop()

    def test_by_network(self):
        server = self.node().start()
        onion = self.proxy(server.port)
        node = self.node(f"-onion={onion.address}", "-onlynet=onion").start()
        self.assertEqual(self.network(node, "onion")["proxy"], onion.address)
        self.assertEqual((self.network(node, "ipv4")["limited"], self.network(node, "ipv4")["proxy"]), (True, ""))
        node.addnode(f"{ONION}:1", "onetry")
        self.connected(node)
        self.assertEqual(node.getpeerinfo()[0]["network"], "onion")
        self.assertEqual(onion.asked, [(ONION, 1)])
        mixed = self.node("-proxy=127.0.0.1:9", f"-proxy={onion.address}=onion", "-onion=0").start()
        self.assertEqual(self.network(mixed, "ipv4")["proxy"], "127.0.0.1:9")
        self.assertEqual(self.network(mixed, "onion")["reachable"], False)

    def test_bad_options(self):
        for options, words in (
                (["-proxy=nowhere.example"], "Invalid -proxy address or hostname"),
                (["-proxy=127.0.0.1:1="], "ends with '='"),
                (["-proxy=127.0.0.1:1=moon"], "Unrecognized network in -proxy"),
                (["-onion=127.0.0.1:x"], "Invalid -onion address or hostname"),
                (["-onlynet=moon"], "Unknown network specified in -onlynet: 'moon'"),
                (["-onlynet=onion"], "none of -proxy, -onion or -listenonion is given"),
                (["-onlynet=onion", "-onion=0"], "explicitly forbidden: -onion=0"),
                (["-onlynet=i2p"], "I2P"),
                (["-onlynet=cjdns"], "-cjdnsreachable"),
                (["-forcednsseed", "-dnsseed=0"], "Cannot set -forcednsseed to true when setting -dnsseed to false."),
                (["-maxuploadtarget=much"], "Unable to parse -maxuploadtarget"),
                (["-externalip=me"], "Cannot resolve -externalip address: 'me'"),
                (["-whitebind=127.0.0.1"], "Need to specify a port with -whitebind"),
                (["-whitebind=out@127.0.0.1:1"], "Only direction was set"),
                (["-whitebind=noban,out@127.0.0.1:1"], "incoming connections"),
                (["-whitebind=fly@127.0.0.1:1"], "Invalid P2P permission: 'fly'")):
            with self.subTest(options=options):
                node = self.node(*options).start(wait=False)
                self.assertIn(words, node.expect_end(1))

    def test_names_are_not_looked_up(self):
        node = self.node("-dns=0", "-debug=net").start()
        node.addnode("localhost", "add")
        wait_until(lambda: "localhost is not looked up: -dns=0" in node.log(), "the refusal")


if __name__ == "__main__":
    unittest.main()
