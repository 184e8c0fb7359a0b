"""A peer written in Python: just enough of Bitcoin's wire protocol to be a good or a bad neighbour."""
import hashlib
import random
import socket
import struct
import time

MAGIC = bytes.fromhex("fabfb5da")  # regtest
VERSION = 70016
NODE_NETWORK, NODE_WITNESS = 1, 8


def sha256d(data):
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def compact(n):
    if n < 253:
        return bytes([n])
    return b"\xfd" + struct.pack("<H", n) if n < 1 << 16 else b"\xfe" + struct.pack("<I", n)


def message(command, payload=b"", magic=MAGIC, checksum=None, length=None):
    """One framed message; checksum and length may be wrong on purpose."""
    return (magic + command.encode().ljust(12, b"\0") + struct.pack("<I", len(payload) if length is None else length) +
            (sha256d(payload)[:4] if checksum is None else checksum) + payload)


def version_payload(height=0, services=NODE_NETWORK | NODE_WITNESS, version=VERSION, relay=True):
    address = struct.pack("<Q", services) + b"\0" * 10 + b"\xff\xff" + b"\x7f\0\0\1" + struct.pack(">H", 0)
    agent = b"/python:1/"
    return (struct.pack("<iQq", version, services, int(time.time())) + address + address +
            struct.pack("<Q", random.getrandbits(64)) + compact(len(agent)) + agent + struct.pack("<i?", height, relay))


class Peer:
    """Dials a node. Everything received is kept in `seen`, in order."""

    def __init__(self, node, handshake=True):
        self.socket = socket.create_connection(("127.0.0.1", node.port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.seen = b"", []
        if handshake:
            self.send("version", version_payload())
            self.wait_for("version")
            self.send("verack")
            self.wait_for("verack")

    def send(self, command, payload=b"", **options):
        self.send_bytes(message(command, payload, **options))

    def send_bytes(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # the other side hung up: the next read says so

    def read(self):
        """The next message (command, payload), or None when the node has hung up."""
        while True:
            if len(self.buffer) >= 24:
                length = struct.unpack("<I", self.buffer[16:20])[0]
                if len(self.buffer) >= 24 + length:
                    command = self.buffer[4:16].rstrip(b"\0").decode()
                    payload, self.buffer = self.buffer[24:24 + length], self.buffer[24 + length:]
                    if command == "ping":
                        self.send("pong", payload)
                    self.seen.append((command, payload))
                    return command, payload
            try:
                data = self.socket.recv(1 << 20)
            except ConnectionError:
                data = b""
            if not data:
                return None
            self.buffer += data

    def wait_for(self, command):
        while True:
            got = self.read()
            if got is None:
                raise ConnectionError(f"the node hung up instead of sending {command}")
            if got[0] == command:
                return got[1]

    def sync(self):
        """Comes back when the node has acted on all that was sent before."""
        nonce = random.randbytes(8)
        self.send("ping", nonce)
        while self.wait_for("pong") != nonce:
            pass

    def is_dropped(self):
        """Reads until the node hangs up (True) or answers a ping (False)."""
        nonce = random.randbytes(8)
        self.send("ping", nonce)
        while True:
            got = self.read()
            if got is None:
                return True
            if got == ("pong", nonce):
                return False

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
