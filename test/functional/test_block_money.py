"""What a block may pay and spend: amounts, rewards, maturity, order, double spends, BIP30, BIP34, signature operations."""
from blocks import (COIN, FINAL, MAX_MONEY, TRUE, In, Key, Leaf, Out, Rig, Tx, p2sh, p2wpkh, p2wsh, push, report, script,
                    sighash_v0, sighash_v1, spend)
from framework import CoinTest

MISSING = "bad-txns-inputs-missingorspent"
SIGOPS = "bad-blk-sigops"


def tearDownModule():
    report()


def sized(size):
    """A script of this size, of pushes that are dropped, that leaves true."""
    out = b"\x51"
    while size - len(out) > 500:
        out += push(b"\0" * 400) + b"\x75"
    rest = size - len(out) - 1
    data = rest - 1 if rest - 1 < 76 else rest - 2 if rest - 2 < 256 else rest - 3
    out += push(b"\0" * data) + b"\x75"
    assert len(out) == size
    return out


class Money(CoinTest):
    def test_amounts(self):
        rig = Rig(self)
        rig.grow(102)
        coin, other = rig.fund(TRUE, TRUE, value=COIN)
        for name, values, reason in (
                ("an output of -1", (-1,), "bad-txns-vout-negative"),
                ("the least of all outputs", (-2**63,), "bad-txns-vout-negative"),
                ("an output of MAX_MONEY + 1", (MAX_MONEY + 1,), "bad-txns-vout-toolarge"),
                ("the greatest of all outputs", (2**63 - 1,), "bad-txns-vout-toolarge"),
                ("two outputs that overflow (CVE-2010-5139)", (2**63 - 10_000, 2**63 - 10_000), "bad-txns-vout-toolarge"),
                ("MAX_MONEY and 1 more", (MAX_MONEY, 1), "bad-txns-txouttotal-toolarge"),
                ("three times a third of MAX_MONEY and 1", (MAX_MONEY // 3, MAX_MONEY // 3, MAX_MONEY // 3 + 1),
                 "bad-txns-txouttotal-toolarge"),
                ("just MAX_MONEY, which nobody has", (MAX_MONEY,), "bad-txns-in-belowout"),
                ("MAX_MONEY in two, which nobody has", (MAX_MONEY - 1, 1), "bad-txns-in-belowout"),
                ("1 more than the input", (COIN + 1,), "bad-txns-in-belowout"),
                ("1 more than the input in two", (COIN, 1), "bad-txns-in-belowout")):
            rig.bad(name, rig.block(spend(coin, outs=[Out(v) for v in values])), reason)
        rig.ok("all of the input", rig.block(spend(coin, outs=[Out(COIN - 1), Out(1), Out(0)])))
        top = rig.subsidy(rig.height)
        for name, values, reason in (
                ("1 too much", (top + 1,), "bad-cb-amount"), ("1 too much in two", (top, 1), "bad-cb-amount"),
                ("-1", (-1,), "bad-txns-vout-negative"), ("MAX_MONEY + 1", (MAX_MONEY + 1,), "bad-txns-vout-toolarge"),
                ("MAX_MONEY", (MAX_MONEY,), "bad-cb-amount"),
                ("MAX_MONEY and 1", (MAX_MONEY, 1), "bad-txns-txouttotal-toolarge")):
            rig.bad(f"coinbase: {name}", rig.block(coinbase=rig.coinbase(rig.height, outs=[Out(v) for v in values])), reason)
        rig.ok("coinbase: the whole subsidy", rig.block(coinbase=rig.coinbase(rig.height, outs=[Out(top - 1), Out(1)])))
        fee = spend(other, fee=777)
        child = spend(fee.coin(), fee=23)

        def paid(value):
            return rig.block(fee, child, coinbase=rig.coinbase(rig.height, value))
        rig.pair("coinbase: subsidy and the fees of two", paid(top + 800), paid(top + 801), "bad-cb-amount")
        rig.ok("coinbase: less than it may", rig.block(coinbase=rig.coinbase(rig.height, 0)))
        rig.grow(149 - rig.tip.height)
        rig.pair("coinbase: half at the first halving", rig.block(coinbase=rig.coinbase(150, 25 * COIN)),
                 rig.block(coinbase=rig.coinbase(150, 25 * COIN + 1)), "bad-cb-amount")
        rig.close()

    def test_sums(self):
        """On a chain of little money the sums of inputs and of fees can be too large, too."""
        rig = Rig(self, changes={"bitcoin": False, "max_money_sat": 60 * COIN, "halving_interval": 10**6,
                                 "coinbase_maturity": 2})
        rig.subsidy = lambda height: 50 * COIN
        rig.grow(8)
        a, b, c, d = rig.coins[:4]
        rig.bad("inputs of more than there is", rig.block(spend(a, b, outs=[Out(1)])), "bad-txns-inputvalues-outofrange")
        split = spend(a, outs=[Out(10 * COIN), Out(1), Out(40 * COIN - 1)])
        rig.bad("50, 10 and 1 satoshi: one more than there is",
                rig.block(split, spend(b, split.coin(0), split.coin(1), outs=[Out(1)])), "bad-txns-inputvalues-outofrange")
        rig.ok("50 and 10: all there is", rig.block(split, spend(b, split.coin(0), outs=[Out(60 * COIN)])))
        rig.bad("fees of more than there is", rig.block(spend(c, outs=[Out(0)]), spend(d, outs=[Out(0)])),
                "bad-txns-accumulated-fee-outofrange")
        rig.bad("fees of 1 more than there is", rig.block(spend(c, outs=[Out(0)]), spend(d, fee=10 * COIN + 1)),
                "bad-txns-accumulated-fee-outofrange")
        rig.ok("fees of all there is", rig.block(spend(c, outs=[Out(0)]), spend(d, fee=10 * COIN)))
        rig.close()

    def test_spending(self):
        rig = Rig(self)
        rig.grow(100)
        first, second = rig.coins[0], rig.coins[1]
        rig.bad("coinbase of 99 blocks ago, two blocks early", rig.block(spend(second)), "bad-txns-premature-spend-of-coinbase")
        rig.ok("coinbase of 100 blocks ago", rig.block(spend(first)))
        third = rig.coins[2]
        rig.pair("maturity 100", rig.block(spend(second)), rig.block(spend(third)), "bad-txns-premature-spend-of-coinbase")
        block = rig.block(seal=False)
        block.txs.append(spend(block.txs[0].coin()))
        rig.bad("the block's own coinbase", block.seal(), "bad-txns-premature-spend-of-coinbase")
        rig.mature(), rig.mature()
        long, too_long = sized(10_000), sized(10_001)
        coins = rig.fund(TRUE, TRUE, TRUE, TRUE, b"\x6a", b"\x6a\x51", long, too_long, b"\x51\x6a")
        parent = spend(coins[0])
        child = spend(parent.coin())
        rig.pair("a child behind its parent", rig.block(parent, child), rig.block(child, parent), MISSING)
        rig.bad("spent in an earlier block", rig.block(spend(coins[0], outs=[Out(1)])), MISSING)
        rig.bad("the earlier transaction once more", rig.block(parent), MISSING)
        a, b = spend(coins[1]), spend(coins[1], outs=[Out(1)])
        rig.pair("one coin spent by two of a block", rig.block(a), rig.block(a, b), MISSING)
        far = spend(coins[2])
        far.ins[0].index = 9
        rig.bad("an output one past the last", rig.block(far), MISSING)
        far.ins[0].index = FINAL
        rig.bad("output 0xffffffff of a real transaction", rig.block(far), MISSING)
        rig.bad("an unknown transaction", rig.block(Tx([In(b"\1" * 32, 0)], [Out(0)])), MISSING)
        two = Tx([In(coins[2].txid, coins[2].index), In(b"\1" * 32, 0)], [Out(0)])
        rig.bad("a good input and an unknown one", rig.block(two), MISSING)
        rig.bad("an OP_RETURN output", rig.block(spend(coins[4])), MISSING)
        rig.bad("an OP_RETURN output with an OP_1", rig.block(spend(coins[5])), MISSING)
        rig.bad("an output that returns later: it is there, but fails", rig.block(spend(coins[8])),
                "block-script-verify-flag-failed (OP_RETURN was encountered)")
        rig.pair("an output script of 10,000 bytes", rig.block(spend(coins[6])), rig.block(spend(coins[7])), MISSING)
        chain = [spend(coins[2])]
        for _ in range(59):
            chain.append(spend(chain[-1].coin()))
        rig.bad("60 in a row without the first", rig.block(*chain[1:]), MISSING)
        rig.bad("60 in a row with two swapped", rig.block(*chain[:30], chain[31], chain[30], *chain[32:]), MISSING)
        rig.ok("60 in a row", rig.block(*chain))
        zero = spend(coins[3], outs=[Out(0), Out(coins[3].value)])
        rig.ok("an output of nothing is spent", rig.block(zero, spend(zero.coin(0))))
        rig.bad("and is gone then", rig.block(spend(zero.coin(0), zero.coin(1))), MISSING)
        rig.ok("its sibling is not", rig.block(spend(zero.coin(1))))
        rig.close()

    def test_bip30(self):
        rig = Rig(self, "-testactivationheight=bip34@250")
        cb = Tx([In(b"\0" * 32, FINAL, b"\1\2\3\4")], [Out(40 * COIN), Out(10 * COIN)])
        rig.ok("a coinbase without its height before BIP34", rig.block(coinbase=cb))
        rig.bad("the same coinbase, unspent", rig.block(coinbase=cb), "bad-txns-BIP30")
        rig.grow(100)
        a, b = cb.coin(0), cb.coin(1)
        rig.ok("one of its outputs is spent", rig.block(spend(a)))
        rig.bad("the same coinbase, half spent", rig.block(coinbase=cb), "bad-txns-BIP30")
        rig.bad("the same coinbase in the block that spends the rest", rig.block(spend(b), coinbase=cb), "bad-txns-BIP30")
        rig.ok("the rest is spent", rig.block(spend(b)))
        made = rig.height
        rig.ok("the same coinbase, all spent", rig.block(coinbase=cb))
        rig.bad("the same payment again: it is unspent itself", rig.block(spend(a)), "bad-txns-BIP30")
        rig.bad("the new one is as young as its block", rig.block(spend(a, outs=[Out(2)])), "bad-txns-premature-spend-of-coinbase")
        rig.grow(made + 99 - rig.height)
        rig.bad("one block early", rig.block(spend(a, outs=[Out(3)])), "bad-txns-premature-spend-of-coinbase")
        rig.grow(1)
        rig.ok("and is spent anew", rig.block(spend(a, outs=[Out(4)])))
        again = spend(b, outs=[Out(5), Out(6)])
        rig.ok("a transaction of it", rig.block(again))
        rig.close()

    def test_bip34(self):
        rig = Rig(self, "-testactivationheight=bip34@3")
        rig.ok("height 1 before BIP34: any script", rig.block(coinbase=rig.coinbase(1, script_sig=b"\0\0")))
        rig.ok("height 2 before BIP34: another height", rig.block(coinbase=rig.coinbase(2, script_sig=b"\x53\0\0")))
        wrong = {3: [b"\0\0", b"\x52\0", b"\x54\0", b"\1\3"], 16: [b"\1\x10", b"\x5f\0"], 17: [b"\x61\0", b"\2\x11\0", b"\x4c\1\x11"],
                 127: [b"\2\x7f\0", b"\1\x7e"], 128: [b"\1\x80", b"\3\x80\0\0", b"\2\0\x80"], 255: [b"\1\xff", b"\2\xfe\0"],
                 256: [b"\2\0\0", b"\3\0\1\0", b"\2\0\2"], 32767: [b"\3\xff\x7f\0", b"\2\xfe\x7f"],
                 32768: [b"\2\0\x80", b"\4\0\x80\0\0", b"\3\0\x80\x80"]}
        right = {3: b"\x53", 16: b"\x60", 17: b"\1\x11", 127: b"\1\x7f", 128: b"\2\x80\0", 255: b"\2\xff\0", 256: b"\2\0\1",
                 32767: b"\2\xff\x7f", 32768: b"\3\0\x80\0"}
        for height, starts in wrong.items():
            rig.grow(height - rig.height)
            for start in starts:
                rig.bad(f"height {height} as {start.hex()}", rig.block(coinbase=rig.coinbase(height, script_sig=start + b"\0\0")),
                        "bad-cb-height")
            rig.bad(f"height {height}, cut", rig.block(coinbase=rig.coinbase(height, script_sig=b"\0" + right[height])),
                    "bad-cb-height")
            alone = right[height] if len(right[height]) > 1 else right[height] + b"\0"
            rig.ok(f"height {height} as {right[height].hex()}", rig.block(coinbase=rig.coinbase(height, script_sig=alone)))
        rig.close()


class Sigops(CoinTest):
    """20,000 in outputs and input scripts, 80,000 with those of P2SH (4 each) and witnesses (1 each)."""

    def full(self, rig, legacy, *txs, coinbase=None):
        """A block with so many CHECKSIGs in an output that nobody can spend, and txs."""
        return rig.block(spend(self.carrier, outs=[Out(0, b"\x6a" + b"\xac" * legacy)]), *txs, coinbase=coinbase)

    def rig(self):
        rig = Rig(self)
        rig.grow(105)
        return rig

    def test_legacy(self):
        rig = self.rig()
        coins = iter(rig.fund(*[TRUE] * 20))
        tail = next(coins)

        def both(name, good, bad):
            self.carrier = next(coins)
            rig.pair(f"sigops: {name}", good(), bad(), SIGOPS)

        def output(*parts):
            return rig.block(spend(self.carrier, outs=[Out(0, b"".join(parts))]))
        checksig, verify, multi, multi_verify = b"\xac", b"\xad", b"\xae", b"\xaf"
        both("20,000 CHECKSIG", lambda: output(checksig * 20_000), lambda: output(checksig * 20_001))
        both("CHECKSIGVERIFY", lambda: output(verify * 20_000), lambda: output(verify * 20_001))
        both("1,000 CHECKMULTISIG of 20", lambda: output(multi * 1_000), lambda: output(multi * 1_000, checksig))
        both("CHECKMULTISIGVERIFY", lambda: output(multi_verify * 1_000), lambda: output(multi_verify * 1_000, checksig))
        both("1 CHECKMULTISIG counts 20 here", lambda: output(b"\x51\xae", checksig * 19_980),
             lambda: output(b"\x51\xae", checksig * 19_981))
        both("CHECKSIGADD does not count", lambda: output(b"\xba" * 9, checksig * 20_000),
             lambda: output(b"\xba" * 9, checksig * 20_001))
        both("those in pushes do not count", lambda: output(push(checksig * 75), checksig * 20_000),
             lambda: output(push(checksig * 75), checksig * 20_001))
        both("those after a cut push do not count", lambda: output(checksig * 20_000, b"\x4b", checksig * 74),
             lambda: output(checksig * 20_001, b"\x4b", checksig * 74))
        both("after OP_RETURN and in branches not taken", lambda: output(b"\0\x63\x6a", checksig * 20_000, b"\x68"),
             lambda: output(b"\0\x63\x6a", checksig * 20_001, b"\x68"))
        both("in the coinbase's script",
             lambda: self.full(rig, 19_910, coinbase=rig.coinbase(rig.height, script_sig=script(rig.height) + checksig * 90)),
             lambda: self.full(rig, 19_911, coinbase=rig.coinbase(rig.height, script_sig=script(rig.height) + checksig * 90)))
        both("in the coinbase's outputs",
             lambda: self.full(rig, 19_990, coinbase=rig.coinbase(rig.height, outs=[Out(0, checksig * 10)])),
             lambda: self.full(rig, 19_991, coinbase=rig.coinbase(rig.height, outs=[Out(0, checksig * 10)])))
        signed = spend(tail)
        signed.ins[0].script_sig = b"\0\x63" + checksig * 100 + b"\x68"
        both("in an input's script", lambda: self.full(rig, 19_900, signed), lambda: self.full(rig, 19_901, signed))
        rig.close()

    def test_cost(self):
        rig = self.rig()
        key = Key(5)
        self.carrier, *_ = rig.fund(TRUE)

        def both(name, script_pubkey, count, spare, finish):
            """count coins of a kind; with `spare` legacy operations less than 20,000 all is well, with one less not."""
            self.carrier, *coins = rig.fund(TRUE, *[script_pubkey] * count)
            tx = spend(*coins)
            for i in range(count):
                finish(tx, i, coins)
            rig.pair(f"sigop cost: {name}", self.full(rig, 20_000 - spare, tx), self.full(rig, 20_001 - spare, tx), SIGOPS)

        def redeem(inner):
            def finish(tx, i, _):
                tx.ins[i].script_sig = push(inner)
            return p2sh(inner), finish

        def witness(inner):
            def finish(tx, i, _):
                tx.ins[i].witness = [inner]
            return p2wsh(inner), finish

        def unexecuted(*ops):
            return script(0, "IF", *ops, "ENDIF", 1)
        for name, maker, ops, count, spare in (
                ("P2SH CHECKSIG", redeem, ("CHECKSIG",) * 7, 1, 7),
                ("P2SH 16 CHECKMULTISIG", redeem, (16, "CHECKMULTISIG"), 1, 16),
                ("P2SH 1 CHECKMULTISIG", redeem, (1, "CHECKMULTISIG"), 1, 1),
                ("P2SH 0 CHECKMULTISIG counts 20", redeem, (0, "CHECKMULTISIG"), 1, 20),
                ("P2SH 17 CHECKMULTISIG counts 20", redeem, (17, "CHECKMULTISIG"), 1, 20),
                ("P2SH 3 NOP CHECKMULTISIGVERIFY counts 20", redeem, (3, "NOP", "CHECKMULTISIGVERIFY"), 1, 20),
                ("P2WSH CHECKSIG, four", witness, ("CHECKSIG",) * 4, 1, 1),
                ("P2WSH 2 CHECKMULTISIG, two", witness, (2, "CHECKMULTISIG"), 2, 1),
                ("P2WSH CHECKMULTISIG counts 20", witness, ("CHECKMULTISIG",), 1, 5)):
            script_pubkey, finish = maker(unexecuted(*ops))
            both(name, script_pubkey, count, spare, finish)

        def nested(tx, i, _):
            inner = unexecuted(*("CHECKSIG",) * 4)
            tx.ins[i].script_sig, tx.ins[i].witness = push(p2wsh(inner)), [inner]
        both("P2SH-P2WSH", p2sh(p2wsh(unexecuted(*("CHECKSIG",) * 4))), 1, 1, nested)
        p2pkh = b"\x76\xa9\x14" + p2wpkh(key)[2:] + b"\x88\xac"

        def keyhash(tx, i, coins):
            tx.ins[i].witness = [key.der(sighash_v0(tx, i, p2pkh, coins[i].value)), key.pub]
        both("P2WPKH, four", p2wpkh(key), 4, 1, keyhash)

        def nested_keyhash(tx, i, coins):
            tx.ins[i].script_sig = push(p2wpkh(key))
            keyhash(tx, i, coins)
        both("P2SH-P2WPKH, four", p2sh(p2wpkh(key)), 4, 1, nested_keyhash)
        leaf = Leaf(script(key.x, "CHECKSIG"))

        def taproot(tx, i, coins):
            sig = key.schnorr(sighash_v1(tx, i, coins, leaf=leaf.hash))
            tx.ins[i].witness = [sig, leaf.script, leaf.control]
        both("taproot costs nothing, key or script", leaf.script_pubkey, 2, 0, taproot)
        rig.close()
