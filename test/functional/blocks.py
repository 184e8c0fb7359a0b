"""Blocks made by hand, one rule broken at a time, and the rig that shows them to a live node.

Transactions, scripts, blocks, keys and the three kinds of signature hash are written from the BIPs and share nothing
with the node. A Rig owns one node and knows its best chain: `ok` sends a block over P2P (headers, getdata, block) that
must become the tip, `bad` one that must not move it, whose reason in the log must be the expected one, and which
submitblock refuses too. CASES counts all of them."""
import hashlib
import json
import os
import re
import struct

from framework import ROOT, Node, wait_until
from p2p import MAGIC, Peer, compact, sha256d

COIN = 100_000_000
MAX_MONEY = 21_000_000 * COIN
FINAL = 0xffffffff
SCRIPT = "block-script-verify-flag-failed ({})".format
CASES = {"run": 0, "good": 0}


def report():
    """For tearDownModule: the count of all modules so far."""
    print(f"blocks: {CASES['run']} cases, {CASES['good']} as expected", flush=True)


# ---- secp256k1 ----

P = 2**256 - 2**32 - 977
N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141
G = (0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798,
     0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8)


def add(a, b):
    """Affine points; None is infinity."""
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if a[1] != b[1]:
            return None
        slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P) % P
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P) % P
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


POWERS = [G]
for _ in range(255):
    POWERS.append(add(POWERS[-1], POWERS[-1]))


def times_g(k):
    """k*G, from the powers of two of G, in Jacobian coordinates with one inversion at the end."""
    x, y, z = 0, 1, 0
    for i in range(k.bit_length()):
        if not k >> i & 1:
            continue
        x2, y2 = POWERS[i]
        if z == 0:
            x, y, z = x2, y2, 1
            continue
        zz = z * z % P
        h, r = (x2 * zz - x) % P, (y2 * zz * z - y) % P
        hh = h * h % P
        hhh, v = h * hh % P, x * hh % P
        x3 = (r * r - hhh - 2 * v) % P
        x, y, z = x3, (r * (v - x3) - y * hhh) % P, z * h % P
    zi = pow(z, -1, P)
    return x * zi * zi % P, y * zi * zi * zi % P


def tagged(tag, data):
    t = hashlib.sha256(tag.encode()).digest()
    return hashlib.sha256(t + t + data).digest()


def der_int(n):
    b = n.to_bytes((n.bit_length() + 8) // 8, "big")
    return b"\x02" + bytes([len(b)]) + b


class Key:
    def __init__(self, secret):
        self.secret = secret % N
        self.point = times_g(self.secret)
        self.x = self.point[0].to_bytes(32, "big")
        self.pub = bytes([2 + (self.point[1] & 1)]) + self.x
        self.uncompressed = b"\x04" + self.x + self.point[1].to_bytes(32, "big")

    def ecdsa(self, digest):
        """(r, s) with a low s."""
        z = int.from_bytes(digest, "big")
        k = int.from_bytes(tagged("nonce", self.secret.to_bytes(32, "big") + digest), "big") % N
        r = times_g(k)[0] % N
        s = pow(k, -1, N) * (z + r * self.secret) % N
        return r, min(s, N - s)

    def der(self, digest, hash_type=1, high_s=False):
        r, s = self.ecdsa(digest)
        body = der_int(r) + der_int(N - s if high_s else s)
        return b"\x30" + bytes([len(body)]) + body + bytes([hash_type])

    def schnorr(self, digest):
        """BIP340."""
        d = self.secret if self.point[1] % 2 == 0 else N - self.secret
        k = int.from_bytes(tagged("nonce", d.to_bytes(32, "big") + digest), "big") % N
        r = times_g(k)
        k = k if r[1] % 2 == 0 else N - k
        rx = r[0].to_bytes(32, "big")
        e = int.from_bytes(tagged("BIP0340/challenge", rx + self.x + digest), "big") % N
        return rx + ((k + e * d) % N).to_bytes(32, "big")

    def tweaked(self, root=b""):
        """BIP341's output key, as a Key."""
        d = self.secret if self.point[1] % 2 == 0 else N - self.secret
        return Key(d + int.from_bytes(tagged("TapTweak", self.x + root), "big"))


# ---- scripts ----

OPS = {"0": 0x00, "1NEGATE": 0x4f, "RESERVED": 0x50, "NOP": 0x61, "VER": 0x62, "IF": 0x63, "NOTIF": 0x64, "VERIF": 0x65,
       "ELSE": 0x67, "ENDIF": 0x68, "VERIFY": 0x69, "RETURN": 0x6a, "TOALTSTACK": 0x6b, "FROMALTSTACK": 0x6c,
       "2DROP": 0x6d, "2DUP": 0x6e, "3DUP": 0x6f, "DROP": 0x75, "DUP": 0x76, "NIP": 0x77, "SWAP": 0x7c, "CAT": 0x7e,
       "SIZE": 0x82, "INVERT": 0x83, "EQUAL": 0x87, "EQUALVERIFY": 0x88, "1ADD": 0x8b, "2MUL": 0x8d, "NOT": 0x91,
       "ADD": 0x93, "SUB": 0x94, "MUL": 0x95, "LSHIFT": 0x98, "NUMEQUAL": 0x9c, "NUMEQUALVERIFY": 0x9d, "HASH160": 0xa9,
       "CODESEPARATOR": 0xab, "CHECKSIG": 0xac, "CHECKSIGVERIFY": 0xad, "CHECKMULTISIG": 0xae,
       "CHECKMULTISIGVERIFY": 0xaf, "NOP1": 0xb0, "CLTV": 0xb1, "CSV": 0xb2, "NOP10": 0xb9, "CHECKSIGADD": 0xba,
       "INVALID": 0xff}


def number(n):
    """A script number."""
    if n == 0:
        return b""
    b, left = bytearray(), abs(n)
    while left:
        b.append(left & 255)
        left >>= 8
    if b[-1] & 0x80:
        b.append(0)
    if n < 0:
        b[-1] |= 0x80
    return bytes(b)


def push(data):
    """The shortest push that is not OP_1..16."""
    if len(data) < 76:
        return bytes([len(data)]) + data
    if len(data) < 256:
        return b"\x4c" + bytes([len(data)]) + data
    return (b"\x4d" + struct.pack("<H", len(data)) if len(data) < 65536 else
            b"\x4e" + struct.pack("<I", len(data))) + data


def script(*parts):
    """'CHECKSIG' is an opcode, an int a number, bytes a push; b'' pushes nothing."""
    out = b""
    for part in parts:
        if isinstance(part, str):
            out += bytes([OPS[part]])
        elif isinstance(part, int):
            out += bytes([0x50 + part]) if 1 <= part <= 16 else b"\0" if part == 0 else \
                b"\x4f" if part == -1 else push(number(part))
        else:
            out += push(part)
    return out


def hash160(data):
    try:
        return hashlib.new("ripemd160", hashlib.sha256(data).digest()).digest()
    except ValueError as e:
        raise RuntimeError("this Python's hashlib has no RIPEMD-160") from e


TRUE = b"\x51"
P2A = bytes.fromhex("51024e73")


def p2sh(redeem):
    return b"\xa9\x14" + hash160(redeem) + b"\x87"


def p2wsh(witness_script):
    return b"\0\x20" + hashlib.sha256(witness_script).digest()


def p2wpkh(key):
    return b"\0\x14" + hash160(key.pub)


def p2tr(key):
    """Of an output key."""
    return b"\x51\x20" + key.x


# ---- transactions ----

class In:
    def __init__(self, txid, index, script_sig=b"", sequence=FINAL, witness=()):
        self.txid, self.index, self.script_sig, self.sequence = txid, index, script_sig, sequence
        self.witness = list(witness)

    def outpoint(self):
        return self.txid + struct.pack("<I", self.index)


class Out:
    def __init__(self, value, script_pubkey=TRUE):
        self.value, self.script = value, script_pubkey

    def encode(self):
        return struct.pack("<q", self.value) + compact(len(self.script)) + self.script


class Tx:
    def __init__(self, ins=(), outs=(), version=2, lock_time=0):
        self.version, self.lock_time, self.ins, self.outs = version, lock_time, list(ins), list(outs)
        self.raw = None  # bytes to send in place of the encoding

    def has_witness(self):
        return any(i.witness for i in self.ins)

    def encode(self, witness=True):
        if self.raw is not None:
            return self.raw
        witness = witness and self.has_witness()
        out = struct.pack("<I", self.version & 0xffffffff) + (b"\0\1" if witness else b"") + compact(len(self.ins))
        for i in self.ins:
            out += i.outpoint() + compact(len(i.script_sig)) + i.script_sig + struct.pack("<I", i.sequence)
        out += compact(len(self.outs)) + b"".join(o.encode() for o in self.outs)
        if witness:
            for i in self.ins:
                out += compact(len(i.witness)) + b"".join(compact(len(w)) + w for w in i.witness)
        return out + struct.pack("<I", self.lock_time)

    def txid(self):
        return sha256d(self.encode(False))

    def wtxid(self):
        return sha256d(self.encode())

    def coin(self, index=0):
        return Coin(self.txid(), index, self.outs[index].value, self.outs[index].script)


class Coin:
    def __init__(self, txid, index, value, script_pubkey, height=0):
        self.txid, self.index, self.value, self.script, self.height = txid, index, value, script_pubkey, height


def spend(*coins, outs=None, fee=0, version=2, lock_time=0, sequence=FINAL):
    """One transaction that spends coins without satisfying their scripts yet."""
    outs = outs if outs is not None else [Out(sum(c.value for c in coins) - fee)]
    return Tx([In(c.txid, c.index, sequence=sequence) for c in coins], outs, version, lock_time)


def sighash_legacy(tx, index, script_code, hash_type=1):
    kind = hash_type & 31
    if kind == 3 and index >= len(tx.outs):
        return b"\1" + b"\0" * 31
    copy = Tx(version=tx.version, lock_time=tx.lock_time)
    for n, i in enumerate(tx.ins):
        if hash_type & 0x80 and n != index:
            continue
        own = n == index
        copy.ins.append(In(i.txid, i.index, script_code if own else b"", i.sequence if own or kind not in (2, 3) else 0))
    if kind == 3:
        copy.outs = [Out(-1, b"") for _ in range(index)] + [tx.outs[index]]
    elif kind != 2:
        copy.outs = tx.outs
    return sha256d(copy.encode(False) + struct.pack("<I", hash_type))


def sighash_v0(tx, index, script_code, value, hash_type=1):
    """BIP143."""
    kind, zero = hash_type & 31, b"\0" * 32
    anyone = hash_type & 0x80
    prevouts = zero if anyone else sha256d(b"".join(i.outpoint() for i in tx.ins))
    sequences = zero if anyone or kind in (2, 3) else sha256d(b"".join(struct.pack("<I", i.sequence) for i in tx.ins))
    outs = zero
    if kind not in (2, 3):
        outs = sha256d(b"".join(o.encode() for o in tx.outs))
    elif kind == 3 and index < len(tx.outs):
        outs = sha256d(tx.outs[index].encode())
    own = tx.ins[index]
    return sha256d(struct.pack("<I", tx.version & 0xffffffff) + prevouts + sequences + own.outpoint() +
                   compact(len(script_code)) + script_code + struct.pack("<qI", value, own.sequence) + outs +
                   struct.pack("<II", tx.lock_time, hash_type))


def sighash_v1(tx, index, coins, hash_type=0, annex=None, leaf=None, codesep=FINAL):
    """BIP341 and 342; leaf is the hash of a tapscript's leaf."""
    def sha(data):
        return hashlib.sha256(data).digest()
    kind, anyone = hash_type & 3, hash_type & 0x80
    own = tx.ins[index]
    data = bytes([0, hash_type]) + struct.pack("<II", tx.version & 0xffffffff, tx.lock_time)
    if not anyone:
        data += sha(b"".join(i.outpoint() for i in tx.ins)) + sha(b"".join(struct.pack("<q", c.value) for c in coins))
        data += sha(b"".join(compact(len(c.script)) + c.script for c in coins))
        data += sha(b"".join(struct.pack("<I", i.sequence) for i in tx.ins))
    if kind not in (2, 3):
        data += sha(b"".join(o.encode() for o in tx.outs))
    data += bytes([(2 if leaf else 0) + (annex is not None)])
    if anyone:
        coin = coins[index]
        data += own.outpoint() + struct.pack("<q", coin.value) + compact(len(coin.script)) + coin.script
        data += struct.pack("<I", own.sequence)
    else:
        data += struct.pack("<I", index)
    if annex is not None:
        data += sha(compact(len(annex)) + annex)
    if kind == 3:
        data += sha(tx.outs[index].encode())
    if leaf:
        data += leaf + b"\0" + struct.pack("<I", codesep)
    return tagged("TapSighash", b"\0" + data[1:])


def leaf_hash(leaf_script, version=0xc0):
    return tagged("TapLeaf", bytes([version]) + compact(len(leaf_script)) + leaf_script)


class Leaf:
    """An output of one leaf under an internal key, or of one leaf below a path of siblings."""

    def __init__(self, leaf_script, version=0xc0, internal=None, path=()):
        self.script, self.internal = leaf_script, internal or Key(11)
        self.hash = root = leaf_hash(leaf_script, version)
        for sibling in path:
            root = tagged("TapBranch", min(root, sibling) + max(root, sibling))
        self.output = self.internal.tweaked(root)
        self.root, self.script_pubkey = root, p2tr(self.output)
        self.control = bytes([version | (self.output.point[1] & 1)]) + self.internal.x + b"".join(path)


# ---- blocks ----

def merkle_root(hashes):
    while len(hashes) > 1:
        if len(hashes) % 2:
            hashes = hashes + hashes[-1:]
        hashes = [sha256d(hashes[i] + hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0] if hashes else b"\0" * 32


def target_of(bits):
    size = bits >> 24
    digits = bits & 0x7fffff
    return digits << 8 * (size - 3) if size > 3 else digits >> 8 * (3 - size)


class Block:
    def __init__(self, prev, height, time, bits, txs, version=0x20000000):
        self.version, self.prev, self.height, self.time, self.bits = version, prev, height, time, bits
        self.txs, self.nonce, self.root = txs, 0, None

    def header(self):
        root = self.root if self.root is not None else b"\0" * 32
        return struct.pack("<I", self.version & 0xffffffff) + self.prev + root + \
            struct.pack("<III", self.time, self.bits, self.nonce)

    def hash(self):
        return sha256d(self.header())

    def id(self):
        return self.hash()[::-1].hex()

    def work_on(self, target=None, miss=False):
        """Looks for a nonce that meets the target, or (miss) that does not."""
        target = target_of(self.bits) if target is None else target
        head = self.header()[:76]
        while (int.from_bytes(sha256d(head + struct.pack("<I", self.nonce)), "little") <= target) == miss:
            self.nonce += 1
        return self

    def seal(self, **options):
        """Merkle root and work for the transactions as they are now."""
        self.root = merkle_root([t.txid() for t in self.txs])
        return self.work_on(**options)

    def commit(self, nonce=b"\0" * 32, extra=b""):
        """BIP141: the commitment, in a new last output of the coinbase."""
        self.txs[0].ins[0].witness = [nonce]
        self.txs[0].outs.append(Out(0, self.commitment(nonce) + extra))
        return self

    def commitment(self, nonce=b"\0" * 32):
        root = merkle_root([b"\0" * 32] + [t.wtxid() for t in self.txs[1:]])
        return bytes.fromhex("6a24aa21a9ed") + sha256d(root + nonce)

    def encode(self, witness=True):
        return self.header() + compact(len(self.txs)) + b"".join(t.encode(witness) for t in self.txs)

    def weight(self):
        return 3 * len(self.encode(False)) + len(self.encode())


# Refusals of this copy only, or of the header: the hash is not remembered, so submitblock tells the reason again.
MUTATED = {"bad-txnmrklroot", "bad-txns-duplicate", "unexpected-witness", "bad-witness-nonce-size",
           "bad-witness-merkle-match"}
OF_HEADER = {"high-hash", "bad-diffbits", "time-too-old", "time-too-new", "time-timewarp-attack", "bad-prevblk", "prev-blk-not-found"}
NOT_YET = {"time-too-new", "prev-blk-not-found"}  # nobody is blamed


class FileNode(Node):
    """A node on a chain of a file: one of genesis/ with changes."""

    def __init__(self, test, base, changes, *options):
        with open(os.path.join(ROOT, "genesis", f"{base}.json")) as f:
            chain = json.load(f)
        chain.pop("snapshots", None)
        chain.update(changes, name="handmade")
        path = os.path.join(test.folder, "handmade.json")
        with open(path, "w") as f:
            json.dump(chain, f)
        super().__init__(os.path.join(test.folder, f"node{len(test.nodes)}"), *options, chain=path)
        test.nodes.append(self)

    @property
    def chain_dir(self):
        return os.path.join(self.dir, "handmade")


class ChainPeer(Peer):
    """A peer of any chain."""

    def __init__(self, node, magic):
        self.magic = magic
        super().__init__(node)
        self.socket.settimeout(15)

    def send(self, command, payload=b"", **options):
        super().send(command, payload, **{"magic": self.magic, **options})


class Rig:
    """A node, a peer of it, and the blocks of its best chain."""

    def __init__(self, test, *options, chain="regtest", changes=None, magic=None, now=1_700_000_000, spacing=600):
        self.test, self.spacing = test, spacing
        options += ("-maxtipage=2000000000", f"-mocktime={now}")
        self.node = (FileNode(test, chain, changes, *options) if changes else test.node(*options, chain=chain)).start()
        self.magic = magic or MAGIC
        self.peer = self.connect()
        self.log = open(f"{self.node.chain_dir}/debug.log", errors="replace")
        self.log.read()
        g = self.node.getblockheader(self.node.getbestblockhash())
        self.bits = int(g["bits"], 16)
        self.chain = [Block(None, 0, g["time"], self.bits, [])]
        self.genesis_id = bytes.fromhex(g["hash"])[::-1]
        self.coins = []

    def connect(self):
        return ChainPeer(self.node, self.magic)

    def close(self):
        """With a clean end of the node: whatever a sanitizer found, it would say now."""
        self.peer.close()
        self.log.close()
        self.node.stop()

    def restart(self, now):
        """With another clock, where setmocktime is not to be had."""
        self.close()
        self.node.options[-1] = f"-mocktime={now}"
        self.node.start()
        self.peer = self.connect()
        self.log = open(f"{self.node.chain_dir}/debug.log", errors="replace")

    # -- making --

    @property
    def tip(self):
        return self.chain[-1]

    @property
    def height(self):
        return self.tip.height + 1

    def hash_of(self, block):
        return block.hash() if block.prev is not None else self.genesis_id

    def subsidy(self, height):
        return 50 * COIN >> height // 150

    def median_time(self, chain=None):
        times = sorted(b.time for b in (chain or self.chain)[-11:])
        return times[len(times) // 2]

    def coinbase(self, height, value=None, outs=None, script_sig=None):
        if script_sig is None:
            script_sig = script(height) + b"\0\0\0\0"  # and none of 64 bytes
        return Tx([In(b"\0" * 32, FINAL, script_sig)],
                  outs if outs is not None else [Out(self.subsidy(height) if value is None else value)])

    def block(self, *txs, parent=None, coinbase=None, time=None, seal=True, version=0x20000000, bits=None, commit=None):
        """A good block on the tip, sealed unless told not to be."""
        parent = parent or self.tip
        height = parent.height + 1
        block = Block(self.hash_of(parent), height, parent.time + self.spacing if time is None else time,
                      self.bits if bits is None else bits, [coinbase or self.coinbase(height), *txs], version)
        if commit if commit is not None else any(t.has_witness() for t in txs):
            block.commit()
        return block.seal() if seal else block

    # -- showing --

    def best(self):
        return self.node.getbestblockhash()

    @staticmethod
    def announce(peer, *blocks):
        peer.send("headers", compact(len(blocks)) + b"".join(b.header() + b"\0" for b in blocks))

    def deliver(self, peer, block):
        """As a good peer does: header first, the block when it is asked for."""
        self.announce(peer, block)
        while block.hash() not in peer.wait_for("getdata"):
            pass
        peer.send("block", block.encode())

    def extend(self, block):
        """Now the tip is this block, as far as we know."""
        self.chain.append(block)
        self.coins.append(block.txs[0].coin())
        self.coins[-1].height = block.height

    def grow(self, count, **options):
        """count plain blocks, sent in one go."""
        for _ in range(count):
            block = self.block(**options)
            self.peer.send("block", block.encode())
            self.extend(block)
        self.wait_tip(self.tip)

    def wait_tip(self, block):
        wait_until(lambda: self.best() == block.id(), f"the tip {block.id()}", 20)

    def mature(self):
        """The oldest coinbase that we have not spent yet; it can be spent in the next block."""
        coin = self.coins.pop(0)
        assert self.height - coin.height >= 100
        return coin

    def fund(self, *scripts, value=100_000):
        """Mines one block that makes a coin of each script."""
        coin = self.mature()
        tx = spend(coin, outs=[Out(value, s) for s in scripts])
        block = self.block(tx)
        self.peer.send("block", block.encode())
        self.extend(block)
        self.wait_tip(block)
        return [tx.coin(i) for i in range(len(scripts))]

    def case(self, name, check):
        CASES["run"] += 1
        with self.test.subTest(name):
            check()
            CASES["good"] += 1

    def ok(self, name, block):
        """The node takes the block, and it becomes the tip."""
        def check():
            self.log.read()
            self.deliver(self.peer, block)
            try:
                wait_until(lambda: self.best() == block.id() or "Misbehaving" in self.peek(), "a verdict", 20)
            finally:
                said = self.log.read()
            if self.best() != block.id():
                self.peer.close()
                self.peer = self.connect()  # so that one failure is not many
            self.test.assertEqual(self.best(), block.id(), said)
            self.extend(block)
        self.case(name, check)

    def peek(self):
        at = self.log.tell()
        text = self.log.read()
        self.log.seek(at)
        return text

    def verdict(self, before):
        """The reason in the next complaint of the log."""
        def look():
            self.test.assertEqual(self.best(), before, "the tip moved")
            return re.search(r"Misbehaving: peer=\d+: [^\n]*? \(((?:[a-zA-Z0-9-]+)(?: \([^\n]*\)|\(0x[0-9a-f]+\))?)\)\n",
                             self.peek())
        return wait_until(look, "a complaint in the log", 20).group(1)

    def bad(self, name, block, reason, again=None):
        """The node refuses the block for this reason, hangs up, refuses it by submitblock too, and stays where it was."""
        def check():
            before = self.best()
            self.log.read()
            of_header = reason in OF_HEADER or reason.startswith("bad-version")
            with self.connect() as peer:
                if of_header or reason == "decode":
                    peer.send("block", block.encode())
                else:
                    self.deliver(peer, block)
                if reason not in NOT_YET:
                    said = self.verdict(before)
                    self.test.assertTrue(said == reason or reason == "decode", f"{said}, not {reason}")
                    self.test.assertTrue(peer.is_dropped(), "the peer is still there")
                else:
                    peer.sync()
            self.test.assertEqual(self.best(), before)
            self.refused_again(block, reason, again)
            self.test.assertEqual(self.best(), before)
            status = {t["hash"]: t["status"] for t in self.node.getchaintips()}.get(block.id())
            if of_header:
                self.test.assertIsNone(status)
            elif reason in MUTATED or again == reason or reason == "decode":
                self.test.assertIn(status, ("headers-only", None))  # another copy may be good
            else:
                self.test.assertEqual(status, "invalid")
        self.case(name, check)

    def refused_again(self, block, reason, again):
        if reason == "decode":
            self.test.expect_error(-22, "Block decode failed", self.node.submitblock, block.encode().hex())
            return
        if again is None:
            again = reason if reason in MUTATED or reason in OF_HEADER or reason.startswith("bad-version") \
                else "duplicate-invalid"
        self.test.assertEqual(self.node.submitblock(block.encode().hex()), again)

    def pair(self, name, good, bad, reason):
        """Both sides of a limit: the block beyond it first, then its good sibling."""
        self.bad(f"{name}: beyond", bad, reason)
        self.ok(f"{name}: at the limit", good)
