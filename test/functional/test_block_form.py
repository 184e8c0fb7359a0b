"""The form of a block: coinbase, merkle tree, encoding, what a transaction must have, witness commitment, weight."""
from blocks import FINAL, TRUE, In, Out, Rig, Tx, merkle_root, p2wsh, report, script, spend
from framework import CoinTest
from p2p import sha256d

WITNESS_SCRIPT = script("DROP", 1)
LOCKED = p2wsh(WITNESS_SCRIPT)


def tearDownModule():
    report()


class Raw:
    """Stands in for a transaction: any bytes, with a txid for the merkle tree."""

    def __init__(self, data, txid):
        self.data, self.id = data, txid

    def encode(self, _witness=True):
        return self.data

    def txid(self):
        return self.id

    wtxid = txid

    @staticmethod
    def has_witness():
        return False


def pay_witness(coin, data=b"x", **options):
    tx = spend(coin, **options)
    tx.ins[0].witness = [data, WITNESS_SCRIPT]
    return tx


class Form(CoinTest):
    def test_coinbase(self):
        rig = Rig(self)
        rig.grow(3)
        rig.pair("coinbase script 2 bytes", rig.block(coinbase=rig.coinbase(4, script_sig=b"\x54\0")),
                 rig.block(coinbase=rig.coinbase(4, script_sig=b"\x54")), "bad-cb-length")
        rig.pair("coinbase script 100 bytes", rig.block(coinbase=rig.coinbase(5, script_sig=b"\x55" + b"\0" * 99)),
                 rig.block(coinbase=rig.coinbase(5, script_sig=b"\x55" + b"\0" * 100)), "bad-cb-length")
        rig.grow(101)
        coins = rig.fund(*[TRUE] * 8)
        block = rig.block(seal=False)
        block.txs = []
        rig.bad("no transactions", block.seal(), "bad-blk-length")
        block = rig.block(spend(coins[0]), seal=False)
        block.txs.pop(0)
        rig.bad("no coinbase", block.seal(), "bad-cb-missing")
        block = rig.block(spend(coins[0]), seal=False)
        block.txs.reverse()
        rig.bad("coinbase second", block.seal(), "bad-cb-missing")
        rig.bad("two coinbases", rig.block(rig.coinbase(rig.height, 0, script_sig=b"\0\0\0")), "bad-cb-multiple")
        small = spend(coins[0], outs=[Out(0, b"\x51\x51\x51\x51")])
        self.assertEqual(len(small.encode()), 64)
        block = rig.block(small, seal=False)
        block.txs.pop(0)
        rig.bad("64 bytes in place of the coinbase: perhaps two hashes, so not remembered", block.seal(), "bad-cb-missing",
                again="bad-cb-missing")
        rig.ok("a 64-byte transaction behind a coinbase", rig.block(small))
        tx = spend(coins[1])
        tx.ins.append(In(b"\0" * 32, FINAL))
        rig.bad("a null prevout beside a real one", rig.block(tx), "bad-txns-prevout-null")
        rig.bad("a zero txid, but another index", rig.block(Tx([In(b"\0" * 32, FINAL - 1)], [Out(0)])),
                "bad-txns-inputs-missingorspent")
        cb = rig.coinbase(rig.height)
        cb.ins.append(In(coins[1].txid, coins[1].index))
        rig.bad("a coinbase with a second input", rig.block(coinbase=cb), "bad-cb-missing")
        cb = rig.coinbase(rig.height)
        cb.ins[0].index = 0
        rig.bad("a coinbase with index 0", rig.block(coinbase=cb), "bad-cb-missing")
        rig.bad("a coinbase without outputs", rig.block(coinbase=rig.coinbase(rig.height, outs=[])), "bad-txns-vout-empty")
        cb = rig.coinbase(rig.height)
        cb.ins[0].sequence, cb.lock_time = 0, rig.height
        rig.bad("a coinbase that is not final", rig.block(coinbase=cb), "bad-txns-nonfinal")
        cb = rig.coinbase(rig.height)
        cb.ins[0].sequence, cb.lock_time, cb.version = 0, rig.height - 1, -1
        rig.ok("a coinbase with a lock that is over and version -1", rig.block(coinbase=cb))
        rig.close()

    def test_encoding(self):
        rig = Rig(self)
        rig.grow(102)
        coins = rig.fund(*[TRUE] * 20, LOCKED)
        rig.bad("no outputs", rig.block(spend(coins[0], outs=[])), "bad-txns-vout-empty")
        empty = bytes.fromhex("02000000" "0000" "00000000")
        rig.bad("no inputs", rig.block(Raw(empty, sha256d(empty))), "bad-txns-vin-empty")
        tx = spend(coins[0])
        raw = tx.encode()
        bare = raw[4:-4]
        for name, data in {
                "a witness that is empty": raw[:4] + b"\0\1" + bare + b"\0" + raw[-4:],
                "an unknown witness flag": raw[:4] + b"\0\2" + bare + raw[-4:],
                "witness flag 3": raw[:4] + b"\0\3" + bare + b"\1\1\x51" + raw[-4:],
                "a count in three bytes that fits one": raw[:4] + b"\xfd\1\0" + raw[5:],
                "one byte short": raw[:-1],
                "more inputs than bytes": raw[:4] + b"\xfe\xff\xff\xff\0" + raw[5:],
                "a script longer than the block": raw[:41] + b"\xfe\xff\xff\xff\1" + raw[42:]}.items():
            rig.bad(f"encoding: {name}", rig.block(Raw(data, tx.txid())), "decode")
        rig.ok("encoding: the same, whole", rig.block(tx))
        for count in (1, 16, 17):
            tx = spend(*coins[1:count + 1])
            twice = spend(*coins[1:count + 1], coins[1])
            for place in {count // 2 + 1, count} - {1}:
                rig.bad(f"{count} inputs, number {place} twice", rig.block(spend(coins[place], *coins[1:count + 1])),
                        "bad-txns-inputs-duplicate")
            rig.pair(f"{count} inputs, one of them twice (CVE-2018-17144)", rig.block(tx), rig.block(twice),
                     "bad-txns-inputs-duplicate")
            coins[1:18] = [tx.coin()] if count == 17 else rig.fund(*[TRUE] * 17)
        rig.close()

    def test_merkle(self):
        rig = Rig(self)
        rig.grow(102)
        coins = rig.fund(*[TRUE] * 12)
        for place in (0, 31):
            block = rig.block(seal=False)
            root = bytearray(merkle_root([t.txid() for t in block.txs]))
            root[place] ^= 1
            block.root = bytes(root)
            rig.bad(f"merkle root with a wrong bit in byte {place}", block.work_on(), "bad-txnmrklroot")
        block = rig.block(spend(coins[0]), spend(coins[1]))
        block.txs[1:] = block.txs[:0:-1]
        rig.bad("transactions in another order than the root's", block, "bad-txnmrklroot")
        block.txs[1:] = block.txs[:0:-1]
        rig.ok("and in that order", block)
        block = rig.block(spend(coins[2]), spend(coins[3]))
        block.txs.append(block.txs[-1])
        rig.bad("three transactions, the last doubled (CVE-2012-2459)", block, "bad-txns-duplicate")
        block.txs.pop()
        rig.ok("and the real block", block)
        block = rig.block(*[spend(c) for c in coins[4:9]])
        block.txs += block.txs[-2:]
        rig.bad("six transactions, the last two doubled", block, "bad-txns-duplicate")
        block.txs = block.txs[:-2]
        rig.ok("and the real block of six", block)
        tx = spend(coins[9])
        rig.bad("the same transaction twice, not at the end", rig.block(tx, tx, spend(coins[10])),
                "bad-txns-inputs-missingorspent")
        rig.bad("the same transaction twice, as a pair", rig.block(spend(coins[10]), tx, tx), "bad-txns-duplicate")
        rig.ok("once", rig.block(tx))
        rig.close()

    def test_commitment(self):
        rig = Rig(self)
        rig.grow(102)
        coins = iter(rig.fund(*[LOCKED] * 12))
        coin = next(coins)

        def block(tx=None, nonce=(b"\0" * 32,), change=None, commit=True):
            made = rig.block(tx or pay_witness(coin), seal=False, commit=False)
            if commit:
                made.commit()
            made.txs[0].ins[0].witness = list(nonce)
            if change:
                change(made)
            return made.seal()

        def cut(made):
            made.txs[0].outs[-1].script = made.txs[0].outs[-1].script[:-1]

        def other_prefix(made):
            made.txs[0].outs[-1].script = b"\x6a\x24\xaa\x21\xa9\xee" + made.txs[0].outs[-1].script[6:]

        def wrong(made):
            commitment = made.txs[0].outs[-1].script
            made.txs[0].outs[-1].script = commitment[:-1] + bytes([commitment[-1] ^ 1])

        def wrong_last(made):
            made.txs[0].outs.append(Out(0, made.txs[0].outs[-1].script[:6] + b"\0" * 32))

        def of_nothing(made):
            made.txs[0].outs.append(Out(0, made.txs[0].outs[-1].script + b"\0"))
            made.txs[0].outs[-2].script = b"\x6a"

        rig.bad("witness without a commitment", block(nonce=(), commit=False), "unexpected-witness")
        rig.bad("a coinbase's witness without a commitment", block(spend(rig.coins[0]), commit=False), "unexpected-witness")
        rig.bad("commitment of 37 bytes: none", block(change=cut), "unexpected-witness")
        rig.bad("commitment with other first bytes: none", block(change=other_prefix), "unexpected-witness")
        for size in (0, 31, 33):
            rig.bad(f"nonce of {size} bytes", block(nonce=(b"\0" * size,)), "bad-witness-nonce-size")
        rig.bad("no nonce", block(nonce=()), "bad-witness-nonce-size")
        rig.bad("two nonces", block(nonce=(b"\0" * 32, b"\0" * 32)), "bad-witness-nonce-size")
        rig.bad("another nonce than the one committed to", block(nonce=(b"\1" * 32,)), "bad-witness-merkle-match")
        rig.bad("commitment with a wrong byte", block(change=wrong), "bad-witness-merkle-match")
        rig.bad("two commitments, the last one wrong", block(change=wrong_last), "bad-witness-merkle-match")
        rig.ok("commitment as it should be", block())
        coin = next(coins)
        made = rig.block(pay_witness(coin), seal=False, commit=False)
        made.txs[0].outs.append(Out(0, bytes.fromhex("6a24aa21a9ed") + b"\0" * 32))
        rig.ok("two commitments, the first one wrong", made.commit().seal())
        coin = next(coins)
        made = rig.block(pay_witness(coin), seal=False, commit=False)
        rig.ok("bytes behind the commitment", made.commit(extra=b"more").seal())
        coin = next(coins)
        rig.ok("commitment not in the last output", block(change=of_nothing))
        coin = next(coins)
        made = rig.block(pay_witness(coin), seal=False, commit=False)
        rig.ok("any nonce", made.commit(b"\x5a" * 32).seal())
        rig.ok("commitment without any witness to commit to", rig.block(commit=True))
        made = rig.block(seal=False, commit=True)
        made.txs[0].ins[0].witness = []
        rig.bad("the same without nonce", made.seal(), "bad-witness-nonce-size")
        coin = next(coins)
        self.no_copy_spoils(rig, block(), coin)
        rig.close()

    def no_copy_spoils(self, rig, block, coin):
        """Witnesses can be changed by anybody on the way: the block's hash must not suffer."""
        own = block.txs[1].ins[0].witness
        for name, witness, reason in (("changed", [b"y", WITNESS_SCRIPT], "bad-witness-merkle-match"),
                                      ("invalid", [b"x", b"\x6a"], "bad-witness-merkle-match"),
                                      ("left out", [], "bad-witness-merkle-match"),
                                      ("padded beyond the weight", [b"x" * 3_999_500, WITNESS_SCRIPT],
                                       "bad-witness-merkle-match")):
            block.txs[1].ins[0].witness = witness
            self.assertLess(len(block.encode()), 4_000_000)
            rig.bad(f"copy with a witness {name}", block, reason)
            if name.startswith("padded"):
                self.assertGreater(block.weight(), 4_000_000)
        block.txs[1].ins[0].witness = own
        nonce, block.txs[0].ins[0].witness = block.txs[0].ins[0].witness, []
        rig.bad("copy without the nonce", block, "bad-witness-nonce-size")
        block.txs[1].ins[0].witness = []
        rig.bad("copy without any witness", block, "bad-witness-nonce-size")
        block.txs[0].ins[0].witness, block.txs[1].ins[0].witness = nonce, own
        rig.ok("the block itself after all these copies", block)

    def test_segwit_height(self):
        rig = Rig(self, "-testactivationheight=segwit@106")
        rig.grow(102)
        coins = rig.fund(LOCKED, LOCKED, LOCKED)
        self.assertEqual(rig.height, 104)
        rig.bad("P2WSH without witness before segwit: Bitcoin holds its whole history to it", rig.block(spend(coins[0])),
                "block-script-verify-flag-failed (Witness program was passed an empty witness)")
        rig.bad("witness two blocks before segwit", rig.block(pay_witness(coins[0])), "unexpected-witness")
        made = rig.block(seal=False)
        made.txs[0].outs.append(Out(0, bytes.fromhex("6a24aa21a9ed") + b"\0" * 32))
        rig.ok("a wrong commitment before segwit means nothing", made.seal())
        rig.bad("witness one block before segwit", rig.block(pay_witness(coins[0])), "unexpected-witness")
        rig.ok("no witness one block before segwit", rig.block())
        rig.ok("witness at segwit's height", rig.block(pay_witness(coins[0])))
        rig.close()

    def test_weight(self):
        rig = Rig(self)
        rig.grow(103)
        locked, *plain = rig.fund(LOCKED, TRUE, TRUE, TRUE)

        def filled(base, witness=None, extra=0):
            """A block of `base` bytes without witnesses (and `witness` weight in all), by an OP_RETURN output."""
            tx = pay_witness(locked, outs=[Out(0, b"")]) if witness else spend(plain[0], outs=[Out(0, b"")])
            block = rig.block(tx, seal=False)
            short = base - len(block.encode(False)) - 4  # the script's length takes five bytes, not one
            tx.outs[0].script = b"\x6a" + b"\0" * (short - 1)
            if witness:
                self.assertTrue(0 <= witness - block.weight() + 1 <= 500)
                tx.ins[0].witness[0] = b"x" * (witness - block.weight() + 1)
                block.txs[0].outs.pop()
                block.commit()
                self.assertEqual(block.weight(), witness)
            self.assertEqual(len(block.encode(False)), base)
            return block.seal()

        rig.pair("1,000,000 bytes without witness", filled(1_000_000), filled(1_000_001), "bad-blk-length")
        rig.bad("1,000,000 bytes and a witness", filled(1_000_000, 4_000_200), "bad-blk-weight")
        rig.bad("weight 4,000,001", filled(999_950, 4_000_001), "bad-blk-weight")
        rig.bad("weight 4,000,003", filled(999_950, 4_000_003), "bad-blk-weight")
        rig.ok("weight 4,000,000", filled(999_950, 4_000_000))
        rig.close()
