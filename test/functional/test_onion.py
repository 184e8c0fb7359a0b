"""The onion service: what is said to Tor's control port, in each way to authenticate; who comes in through it; a Tor that goes and
comes back. Tor itself is played by a few lines here, after its control-spec."""
import base64
import hashlib
import hmac
import os
import socket
import threading

from framework import CoinTest, free_port, wait_until
from p2p import Peer

KEY = "ED25519-V3:" + base64.b64encode(bytes(range(64))).decode()
SOCKS = "127.0.0.1:19050"


def onion_name(public):
    check = hashlib.sha3_256(b".onion checksum" + public + b"\3").digest()[:2]
    return base64.b32encode(public + check + b"\3").decode().lower()


NAME = onion_name(bytes(range(32)))


class Tor:
    """A control port. methods: how one may authenticate; answers: other replies by command."""

    def __init__(self, methods="NULL", cookie=None, password=None, answers=None, port=0):
        self.methods, self.cookie, self.password, self.answers = methods, cookie, password, answers or {}
        self.server = socket.create_server(("127.0.0.1", port))
        self.port = self.server.getsockname()[1]
        self.commands, self.connection, self.lies = [], None, False
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                self.connection, _ = self.server.accept()
            except OSError:
                return
            lines = self.connection.makefile("rb")
            try:
                for line in lines:
                    line = line.decode().rstrip("\r\n")
                    self.commands.append(line)
                    self.connection.sendall("".join(text + "\r\n" for text in self.answer(line)).encode())
            except OSError:
                pass
            lines.close()
            self.connection.close()

    def answer(self, line):
        word, _, rest = line.partition(" ")
        if word in self.answers:
            return self.answers[word]
        if word == "PROTOCOLINFO":
            where = ' COOKIEFILE="%s"' % self.cookie.replace('"', '\\"').replace("c", "\\143") if self.cookie else ""
            return ["250-PROTOCOLINFO 1", f"250-AUTH METHODS={self.methods}{where}", '250-VERSION Tor="0.4.7.16"', "250 OK"]
        if word == "AUTHCHALLENGE":
            with open(self.cookie, "rb") as f:
                cookie = f.read()
            client, server = bytes.fromhex(rest.split()[1]), os.urandom(32)

            def of(label):
                return hmac.new(label, cookie + client + server, hashlib.sha256).hexdigest().upper()
            self.expected = of(b"Tor safe cookie authentication controller-to-server hash")
            told = of(b"Tor safe cookie authentication server-to-controller hash")
            return [f"250 AUTHCHALLENGE SERVERHASH={'00' * 32 if self.lies else told} SERVERNONCE={server.hex().upper()}"]
        if word == "AUTHENTICATE":
            right = {"NULL": "", "SAFECOOKIE": getattr(self, "expected", None), "HASHEDPASSWORD": self.password}
            if self.methods == "COOKIE":
                with open(self.cookie, "rb") as f:
                    right["COOKIE"] = f.read().hex().upper()
            good = right.get(self.methods.split(",")[0])
            return ["250 OK"] if rest.upper() == (good or "").upper() else ["515 Authentication failed"]
        if word == "GETINFO":
            return ["650 STATUS_CLIENT NOTICE nobody asked", f'250-net/listeners/socks="{SOCKS}" "unix:/run/tor/socks"', "250 OK"]
        if word == "ADD_ONION":
            return [f"250-ServiceID={NAME}", *([f"250-PrivateKey={KEY}"] if rest.startswith("NEW") else []), "250 OK"]
        return ["510 Unrecognized command"]

    def hang_up(self):
        self.connection.shutdown(socket.SHUT_RDWR)

    def close(self):
        try:
            self.server.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # closed before
        self.server.close()
        if self.connection is not None:
            try:
                self.hang_up()
            except OSError:
                pass


class Onion(CoinTest):
    def tor(self, **how):
        tor = Tor(**how)
        self.addCleanup(tor.close)
        return tor

    def start(self, tor, *options):
        node = self.node("-listenonion", f"-torcontrol=127.0.0.1:{tor.port}", "-debug=tor", *options)
        return node.start()

    def serving(self, node):
        return wait_until(lambda: [a for a in node.getnetworkinfo()["localaddresses"] if a["address"].endswith(".onion")], "the service")

    def test_service_and_proxy(self):
        tor = self.tor()
        node = self.start(tor)
        self.assertEqual(self.serving(node)[0], {"address": NAME + ".onion", "port": node.port, "score": 4})
        self.assertEqual(tor.commands, ["PROTOCOLINFO 1", "AUTHENTICATE", "GETINFO net/listeners/socks",
                                        f"ADD_ONION NEW:ED25519-V3 Port={node.port},127.0.0.1:{node.port}"])
        networks = {n["name"]: n for n in node.getnetworkinfo()["networks"]}
        self.assertEqual((networks["onion"]["proxy"], networks["onion"]["reachable"], networks["ipv4"]["proxy"]), (SOCKS, True, ""))
        path = os.path.join(node.chain_dir, "onion_v3_private_key")
        wait_until(lambda: os.path.exists(path), "the key's file")
        with open(path) as f:
            self.assertEqual(f.read(), KEY)
        self.assertEqual(os.stat(path).st_mode & 0o77, 0)
        node.stop()
        node.start()  # with the same address
        self.serving(node)
        self.assertEqual(tor.commands[-1], f"ADD_ONION {KEY} Port={node.port},127.0.0.1:{node.port}")

    def test_user_knows_the_proxy(self):
        for option, proxy in ("-onion=127.0.0.1:1234", "127.0.0.1:1234"), ("-onion=0", ""):
            with self.subTest(option):
                node = self.start(self.tor(), option)
                self.serving(node)
                self.assertEqual({n["name"]: n["proxy"] for n in node.getnetworkinfo()["networks"]}["onion"], proxy)
                node.stop()

    def test_safe_cookie(self):
        cookie = os.path.join(self.folder, 'a "cookie"')
        with open(cookie, "wb") as f:
            f.write(os.urandom(32))
        tor = self.tor(methods="SAFECOOKIE,COOKIE,HASHEDPASSWORD", cookie=cookie)
        node = self.start(tor)
        self.serving(node)
        self.assertEqual([c.split()[0] for c in tor.commands], ["PROTOCOLINFO", "AUTHCHALLENGE", "AUTHENTICATE", "GETINFO", "ADD_ONION"])

    def test_plain_cookie(self):
        cookie = os.path.join(self.folder, "cookie")
        with open(cookie, "wb") as f:
            f.write(os.urandom(32))
        self.serving(self.start(self.tor(methods="COOKIE", cookie=cookie)))

    def test_password(self):
        tor = self.tor(methods="HASHEDPASSWORD", password='"a \\"b\\" \\\\c"')
        self.serving(self.start(tor, '-torpassword=a "b" \\c'))

    def test_refusals(self):
        """Each is logged in words that help, tried again later, and the node does without."""
        short = os.path.join(self.folder, "short")
        with open(short, "wb") as f:
            f.write(b"short")
        cookie = os.path.join(self.folder, "cookie")
        with open(cookie, "wb") as f:
            f.write(os.urandom(32))
        noise = ["250-" + "x" * 5000]
        for how, options, words in (
                ({"methods": "HASHEDPASSWORD", "password": '"right"'}, ("-torpassword=wrong",), "515 Authentication failed"),
                ({"methods": "HASHEDPASSWORD", "password": '"right"'}, (), "give -torpassword"),
                ({}, ("-torpassword=x",), "Tor takes no password"),
                ({"methods": "RIDDLE"}, (), "no way to authenticate"),
                ({"methods": "SAFECOOKIE", "cookie": short + ".none"}, (), "short.none"),
                ({"methods": "SAFECOOKIE", "cookie": short}, (), "has 5 bytes, not 32"),
                ({"methods": "SAFECOOKIE", "cookie": cookie, "lies": True}, (), "does not know the cookie"),
                ({"answers": {"ADD_ONION": ["550 Unspecified Tor error"]}}, (), "refused the onion service: 550"),
                ({"answers": {"ADD_ONION": ["250-ServiceID=nonsense", "250 OK"]}}, (), "without telling its address"),
                ({"answers": {"PROTOCOLINFO": ["SSH-2.0-OpenSSH"]}}, (), "this is not Tor's control port"),
                ({"answers": {"PROTOCOLINFO": noise}}, (), "a line of over 4096 bytes")):
            with self.subTest(words):
                lies = how.pop("lies", False)
                tor = self.tor(**how)
                tor.lies = lies
                node = self.start(tor, *options)
                wait_until(lambda: words in node.log(), words)
                count = len(tor.commands)
                wait_until(lambda: len(tor.commands) > count, "another try")
                self.assertEqual(node.getnetworkinfo()["localaddresses"], [])
                node.stop()

    def test_old_tor(self):
        """One that does not tell its SOCKS port is taken to have the usual one."""
        node = self.start(self.tor(answers={"GETINFO": ["552 Unrecognized key"]}))
        self.serving(node)
        self.assertEqual({n["name"]: n["proxy"] for n in node.getnetworkinfo()["networks"]}["onion"], "127.0.0.1:9050")

    def test_it_comes_back(self):
        tor = self.tor()
        node = self.start(tor)
        self.serving(node)
        tor.hang_up()
        wait_until(lambda: not node.getnetworkinfo()["localaddresses"], "the service to be forgotten")
        self.serving(node)
        self.assertEqual(tor.commands[-1].split()[1], KEY)

    def test_who_comes_in(self):
        """Behind a port of its own a peer counts as of the onion network, and has nobody's permissions."""
        port = free_port()
        node = self.node("-listenonion", f"-bind=127.0.0.1:{port}=onion", "-whitelist=127.0.0.1", f"-torcontrol=127.0.0.1:{free_port()}").start()
        near = Peer(node)
        node.port = port
        with near, Peer(node):
            info = node.getpeerinfo()
            self.assertEqual([p["network"] for p in info], ["not_publicly_routable", "onion"])
            self.assertEqual([bool(p["permissions"]) for p in info], [True, False])

    def test_port_of_its_own(self):
        """Whoever does not bind gets one, and only when Tor is there."""
        tor = self.tor()
        node = self.node("-listenonion", "-nobind", "-whitelist=127.0.0.1", f"-torcontrol=127.0.0.1:{tor.port}")
        node.options.append(f"-whitebind=relay@127.0.0.1:{node.port}")
        node.start()
        self.serving(node)
        self.assertEqual(tor.commands[-1], f"ADD_ONION NEW:ED25519-V3 Port={node.port},127.0.0.1:{node.port + 1}")
        node.port += 1
        with Peer(node):
            self.assertEqual([(p["network"], p["permissions"]) for p in node.getpeerinfo()], [("onion", [])])
        tor.hang_up()
        wait_until(lambda: not node.getnetworkinfo()["localaddresses"], "the service to be forgotten")
        self.serving(node)
        node.stop()
        tor.close()
        node.start()
        with self.assertRaises(ConnectionRefusedError):
            Peer(node)

    def test_no_port_to_be_had(self):
        tor = self.tor()
        node = self.node("-listenonion", "-nobind", f"-torcontrol=127.0.0.1:{tor.port}")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", node.port + 1))
            taken.listen()
            node.options.append(f"-whitebind=relay@127.0.0.1:{node.port}")
            node.start()
            wait_until(lambda: "No onion service: there is no port that Tor could forward to" in node.log(), "the complaint")
        self.serving(node)  # free now

    def test_shared_port(self):
        """With -bind and none for Tor it forwards there; who comes in cannot be told from somebody here."""
        tor = self.tor()
        node = self.node("-listenonion", f"-torcontrol=127.0.0.1:{tor.port}", "-whitelist=127.0.0.1").start()
        self.serving(node)
        with Peer(node):
            self.assertNotEqual(node.getpeerinfo()[0]["permissions"], [])

    def test_bad_option(self):
        node = self.node("-listenonion", "-torcontrol=nowhere")
        node.start(wait=False)
        self.assertIn("Invalid -torcontrol address: 'nowhere'", node.expect_end(1))
