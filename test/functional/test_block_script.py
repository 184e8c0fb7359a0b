"""Scripts that fail or pass by a hair: limits, disabled opcodes, signatures of old outputs, P2SH, version 0 witnesses."""
from blocks import (P2A, SCRIPT, TRUE, Key, Rig, hash160, p2sh, p2wpkh, p2wsh, push, report, script, sighash_legacy, sighash_v0,
                    spend)
from framework import CoinTest

KEY, OTHER = Key(21), Key(22)
FALSE = "Script evaluated without error but finished with a false/empty top stack element"
BAD_OPCODE, DISABLED = "Opcode missing or not understood", "Attempted to use a disabled opcode"
OP_COUNT, PUSH_SIZE = "Operation limit exceeded", "Push value size limit exceeded"
SCRIPT_SIZE, STACK_SIZE = "Script is too big", "Stack size limit exceeded"
UNBALANCED, STACK = "Invalid OP_IF construction", "Operation not valid with the current stack size"
DER, DUMMY = "Non-canonical DER signature", "Dummy CHECKMULTISIG argument must be zero"
MISMATCH, EMPTY = "Witness program hash mismatch", "Witness program was passed an empty witness"
LENGTH, UNEXPECTED = "Witness program has incorrect length", "Witness provided for non-witness script"
CLEAN, NUMBER = "Stack size must be exactly one after execution", "Script number overflowed or is non-minimally encoded"


def tearDownModule():
    report()


def sig(script_sig=b"", witness=()):
    """Unlocks with constants."""
    def unlock(tx, _):
        tx.ins[0].script_sig, tx.ins[0].witness = script_sig, list(witness)
    return unlock


def signed(make, code=None, hash_type=1, key=KEY, **options):
    """make(signature) is the input's script; code: what is signed, if not the output's script."""
    def unlock(tx, coin):
        digest = sighash_legacy(tx, 0, coin.script if code is None else code, hash_type)
        tx.ins[0].script_sig = make(key.der(digest, hash_type, **options))
    return unlock


def signed_v0(make, code, hash_type=1, key=KEY, value=0, **options):
    def unlock(tx, coin):
        digest = sighash_v0(tx, 0, code, coin.value + value, hash_type)
        tx.ins[0].witness = make(key.der(digest, hash_type, **options))
    return unlock


def run(test, title, cases):
    """cases: (name, output script, unlock, error or None). Each is a block of its own."""
    rig = Rig(test)
    rig.grow(102)
    coins = rig.fund(*[case[1] for case in cases], value=10_000)
    for coin, (name, _, unlock, error) in zip(coins, cases):
        tx = spend(coin, fee=1000)
        unlock(tx, coin)
        if error:
            rig.bad(f"{title}: {name}", rig.block(tx), SCRIPT(error))
        else:
            rig.ok(f"{title}: {name}", rig.block(tx))
    rig.close()


def big(size):
    """A script of this size that leaves true."""
    out = b"\x51"
    while size - len(out) > 500:
        out += push(b"\0" * 400) + b"\x75"
    rest = size - len(out)
    data = rest - 2 if rest - 2 < 76 else rest - 3 if rest - 3 < 256 else rest - 4
    out += push(b"\0" * data) + b"\x75"
    assert len(out) == size
    return out


def relaxed(signature):
    """The same numbers, with a zero before the first that DER forbids."""
    size = signature[3]
    return b"\x30" + bytes([signature[1] + 1, 2, size + 1]) + b"\0" + signature[4:]


class Bare(CoinTest):
    def test_limits(self):
        nops = b"\x61"
        run(self, "limits", [
            ("false", script(0), sig(), FALSE),
            ("true", TRUE, sig(), None),
            ("negative zero is false", script(b"\x80"), sig(), FALSE),
            ("an empty script", b"", sig(), FALSE),
            ("more than one on the stack", script(1), sig(script(0, 0)), None),
            ("201 operations", nops * 201 + TRUE, sig(), None),
            ("202 operations", nops * 202 + TRUE, sig(), OP_COUNT),
            ("202 operations, not executed", b"\0\x63" + nops * 200 + b"\x68" + TRUE, sig(), OP_COUNT),
            ("201 operations, not executed", b"\0\x63" + nops * 199 + b"\x68" + TRUE, sig(), None),
            ("201 operations in each of two scripts", nops * 201 + TRUE, sig(nops * 201), None),
            ("keys count as operations: 181 and 20", nops * 180 + script(0, 0, *[KEY.pub] * 20, 20, "CHECKMULTISIG"), sig(), None),
            ("keys count as operations: 182 and 20", nops * 181 + script(0, 0, *[KEY.pub] * 20, 20, "CHECKMULTISIG"), sig(),
             OP_COUNT),
            ("a push of 520 bytes", script(b"\0" * 520, "DROP", 1), sig(), None),
            ("a push of 521 bytes", script(b"\0" * 521, "DROP", 1), sig(), PUSH_SIZE),
            ("a push of 521 bytes, not executed", script(0, "IF", b"\0" * 521, "ENDIF", 1), sig(), PUSH_SIZE),
            ("a stack of 1000", TRUE * 1000, sig(), None),
            ("a stack of 1001", TRUE * 1001, sig(), STACK_SIZE),
            ("1000 of both stacks", script("TOALTSTACK", "TOALTSTACK") + TRUE * 998, sig(script(1, 1)), None),
            ("1001 of both stacks", script("TOALTSTACK", "TOALTSTACK") + TRUE * 999, sig(script(1, 1)), STACK_SIZE),
            ("an input script of 10,000 bytes", script(1), sig(big(10_000)), None),
            ("an input script of 10,001 bytes", script(1), sig(big(10_001)), SCRIPT_SIZE),
            ("a number of 4 bytes", script(b"\xff\xff\xff\x7f", "1ADD", "DROP", 1), sig(), None),
            ("a number of 5 bytes", script(b"\0\0\0\x80\0", "1ADD", "DROP", 1), sig(), NUMBER),
            ("a number of 5 bytes as result", script(b"\xff\xff\xff\x7f", "1ADD"), sig(), None),
            ("20 keys", script(0, 0, *[b""] * 20, 20, "CHECKMULTISIG"), sig(), None),
            ("21 keys", script(0, 0, *[b""] * 21, 21, "CHECKMULTISIG"), sig(), "Pubkey count negative or limit exceeded"),
            ("more signatures than keys", script(0, 0, 0, 2, KEY.pub, 1, "CHECKMULTISIG"), sig(),
             "Signature count negative or greater than pubkey count"),
            ("a push that is longer than needed", b"\x4c\x01\x01", sig(), None),
            ("an input script that is no push", TRUE, sig(b"\x61"), None),
        ])

    def test_opcodes(self):
        disabled = (0x7e, 0x7f, 0x80, 0x81, 0x83, 0x84, 0x85, 0x86, 0x8d, 0x8e, 0x95, 0x96, 0x97, 0x98, 0x99)
        cases = [(f"disabled {op:02x}, not executed", script(0, "IF") + bytes([op]) + script("ENDIF", 1), sig(), DISABLED)
                 for op in disabled]
        cases += [(f"disabled {op:02x}, executed", script(1, 1) + bytes([op]), sig(), DISABLED) for op in disabled[::5]]
        cases += [(f"unknown {op:02x}, not executed", script(0, "IF") + bytes([op]) + script("ENDIF", 1), sig(), None)
                  for op in (0x50, 0x62, 0x89, 0x8a, 0xba, 0xff)]
        cases += [(f"unknown {op:02x}, executed", script(1) + bytes([op]), sig(), BAD_OPCODE)
                  for op in (0x50, 0x62, 0x89, 0x8a, 0xba, 0xff)]
        cases += [(f"{op:02x} fails where it stands", script(0, "IF") + bytes([op]) + script("ENDIF", 1), sig(), BAD_OPCODE)
                  for op in (0x65, 0x66)]
        cases += [(f"NOP {op:02x}", script(1) + bytes([op]), sig(), None) for op in (0xb0, 0xb3, 0xb9)]
        cases += [
            ("OP_RETURN, not executed", script(0, "IF", "RETURN", "ENDIF", 1), sig(), None),
            ("OP_RETURN, executed", script(1, "IF", "RETURN", "ENDIF", 1), sig(), "OP_RETURN was encountered"),
            ("OP_RETURN in the input's script", TRUE, sig(script("RETURN")), "OP_RETURN was encountered"),
            ("IF without ENDIF", script(1, "IF", 1), sig(), UNBALANCED),
            ("ENDIF without IF", script(1, "ENDIF"), sig(), UNBALANCED),
            ("an IF that ends in the other script", script("ENDIF", 1), sig(script(1, "IF")), UNBALANCED),
            ("the other stack does not cross over", script("FROMALTSTACK"), sig(script(1, "TOALTSTACK")),
             "Operation not valid with the current altstack size"),
            ("a cut push", b"\x51\x02\x00", sig(), BAD_OPCODE),
            ("a cut push, not executed", b"\x51\0\x63\x68\x4c", sig(), BAD_OPCODE),
            ("IF of 2 is true before tapscript", script(2, "IF", 1, "ENDIF"), sig(), None),
            ("DUP of nothing", script("DUP"), sig(), STACK),
            ("VERIFY of false", script(0, "VERIFY", 1), sig(), "Script failed an OP_VERIFY operation"),
            ("EQUALVERIFY", script(1, 2, "EQUALVERIFY", 1), sig(), "Script failed an OP_EQUALVERIFY operation"),
        ]
        run(self, "opcodes", cases)

    def test_signatures(self):
        pay, multi = script(KEY.pub, "CHECKSIG"), script(1, KEY.pub, OTHER.pub, 2, "CHECKMULTISIG")
        p2pkh = script("DUP", "HASH160", hash160(KEY.pub), "EQUALVERIFY", "CHECKSIG")
        hybrid = bytes([6 + (KEY.point[1] & 1)]) + KEY.uncompressed[1:]
        two = script(2, KEY.pub, OTHER.pub, 2, "CHECKMULTISIG")

        def both(first, second):
            def unlock(tx, coin):
                digest = sighash_legacy(tx, 0, coin.script)
                tx.ins[0].script_sig = script(0, first.der(digest), second.der(digest))
            return unlock
        run(self, "signatures", [
            ("good", pay, signed(script), None),
            ("of another key", pay, signed(script, key=OTHER), FALSE),
            ("none", pay, sig(script(0)), FALSE),
            ("one byte", pay, sig(script(b"\1")), DER),
            ("a zero too many", pay, signed(lambda s: script(relaxed(s))), DER),
            ("a length that lies", pay, signed(lambda s: script(s[:1] + bytes([s[1] + 1]) + s[2:])), DER),
            ("another first byte", pay, signed(lambda s: script(b"\x31" + s[1:])), DER),
            ("bytes behind", pay, signed(lambda s: script(s[:-1] + b"\0" + s[-1:])), DER),
            ("a negative R", pay, signed(lambda s: script(s[:4] + bytes([s[4] | 0x80]) + s[5:]) if s[3] < 33 else
                                         script(s[:1] + bytes([s[1] - 1, 2, 32]) + bytes([s[5] | 0x80]) + s[6:])), DER),
            ("a high S is no matter of consensus", pay, signed(script, high_s=True), None),
            ("hash type 0 is none either", pay, signed(script, hash_type=0), None),
            ("hash type NONE", pay, signed(script, hash_type=2), None),
            ("hash type SINGLE and ANYONECANPAY", pay, signed(script, hash_type=0x83), None),
            ("hash type of another value", pay, signed(lambda s: script(s[:-1] + b"\2")), FALSE),
            ("not DER, and only then an empty key", script(b"", "CHECKSIG"), signed(lambda s: script(relaxed(s))), DER),
            ("an uncompressed key", script(KEY.uncompressed, "CHECKSIG"), signed(script), None),
            ("a hybrid key", script(hybrid, "CHECKSIG"), signed(script), None),
            ("a hybrid key of the wrong half", script(bytes([hybrid[0] ^ 1]) + hybrid[1:], "CHECKSIG"), signed(script), FALSE),
            ("a key that is none, for a NOT", script(b"\2" * 10, "CHECKSIG", "NOT"), signed(script), None),
            ("P2PKH", p2pkh, signed(lambda s: script(s, KEY.pub)), None),
            ("P2PKH, another key", p2pkh, signed(lambda s: script(s, OTHER.pub)), "Script failed an OP_EQUALVERIFY operation"),
            ("1 of 2", multi, signed(lambda s: script(0, s)), None),
            ("1 of 2, the second", multi, signed(lambda s: script(0, s), key=OTHER), None),
            ("1 of 2, dummy 1", multi, signed(lambda s: script(1, s)), DUMMY),
            ("1 of 2, dummy 00", multi, signed(lambda s: script(b"\0", s)), DUMMY),
            ("1 of 2, no dummy", multi, signed(script), STACK),
            ("2 of 2", two, both(KEY, OTHER), None),
            ("2 of 2, in the wrong order", two, both(OTHER, KEY), FALSE),
            ("2 of 2, one twice", two, both(KEY, KEY), FALSE),
            ("a signature in the code is taken out of it", script("SWAP", "DROP", KEY.pub, "CHECKSIG"),
             signed(lambda s: script(s, s), code=script("SWAP", "DROP", KEY.pub, "CHECKSIG")), None),
            ("CODESEPARATOR cuts what is signed", script("NOP", "CODESEPARATOR", KEY.pub, "CHECKSIG"),
             signed(script, code=pay), None),
            ("CODESEPARATOR, the whole signed", script("NOP", "CODESEPARATOR", KEY.pub, "CHECKSIG"), signed(script), FALSE),
        ])

    def test_p2sh(self):
        redeem = script(5, "EQUAL")
        wide = script(b"\0" * 515, "DROP", 1)  # 3 + 515 + 2
        self.assertEqual(len(wide), 520)
        too_wide = script(b"\0" * 516, "DROP", 1)
        run(self, "P2SH", [
            ("good", p2sh(redeem), sig(script(5, redeem)), None),
            ("another script", p2sh(redeem), sig(script(5, redeem + b"\x61")), FALSE),
            ("the script fails", p2sh(redeem), sig(script(4, redeem)), FALSE),
            ("an operation in the input's script", p2sh(redeem), sig(script(5, "NOP", redeem)),
             "Only push operators allowed in signatures"),
            ("OP_RESERVED, which counts as a push, fails by itself", p2sh(redeem), sig(b"\x50" + script(5, redeem)), BAD_OPCODE),
            ("more on the stack", p2sh(redeem), sig(script(1, 1, 5, redeem)), None),
            ("a script of 520 bytes", p2sh(wide), sig(script(wide)), None),
            ("a script of 521 bytes", p2sh(too_wide), sig(script(too_wide)), PUSH_SIZE),
            ("P2SH in P2SH is not run", p2sh(p2sh(script(0))), sig(script(script(0), p2sh(script(0)))), None),
            ("no form of P2SH: another push of the hash", b"\xa9\x4c\x14" + hash160(script(0)) + b"\x87",
             sig(script(script(0))), None),
            ("a witness for P2SH of no program", p2sh(redeem), sig(script(5, redeem), [b"\1"]), UNEXPECTED),
            ("a witness for a bare script", TRUE, sig(b"", [b"\1"]), UNEXPECTED),
        ])


class Version0(CoinTest):
    def test_p2wsh(self):
        def locked(*parts):
            code = script(*parts)
            return code, p2wsh(code)

        def case(name, parts, stack, error=None, script_sig=b""):
            code = parts if isinstance(parts, bytes) else script(*parts)
            return name, p2wsh(code), sig(script_sig, [*stack, code]), error
        true, drop = locked(1), ("DROP", 1)
        data = b"\0" * 520
        run(self, "P2WSH", [
            case("good", (1,), ()),
            case("false", (0,), (), FALSE),
            case("an empty script", b"", (), "Stack size must be exactly one after execution"),
            case("an empty script and a true", b"", (b"\1",)),
            case("two on the stack", (1,), (b"\1",), CLEAN),
            case("none on the stack", ("DROP",), (b"\1",), CLEAN),
            case("an element of 520 bytes", drop, (data,)),
            case("an element of 521 bytes", drop, (data + b"\0",), PUSH_SIZE),
            case("a script of 10,000 bytes", big(10_000), ()),
            case("a script of 10,001 bytes", big(10_001), (), SCRIPT_SIZE),
            case("201 operations", b"\x61" * 201 + TRUE, ()),
            case("202 operations", b"\x61" * 202 + TRUE, (), OP_COUNT),
            case("a stack of 1001 before the first operation", ("DROP", *["2DROP"] * 199, "RETURN"), [b"\1"] * 1001, STACK_SIZE),
            case("a stack of 1000", ("2DROP", "RETURN"), [b"\1"] * 1000, "OP_RETURN was encountered"),
            case("IF of 2 is no matter of consensus", ("IF", 1, "ELSE", 0, "ENDIF"), (b"\2",)),
            case("an input script", (1,), (), "Witness requires empty scriptSig", script(1)),
            ("another script", true[1], sig(b"", [script(2)]), MISMATCH),
            ("no witness", true[1], sig(), EMPTY),
            ("a program of 31 bytes", b"\0\x1f" + b"\1" * 31, sig(), LENGTH),
            ("a program of 33 bytes", b"\0\x21" + b"\1" * 33, sig(), LENGTH),
            ("a program of 2 bytes", b"\0\2\1\1", sig(), LENGTH),
            ("1 byte is no program", b"\0\1\1", sig(), None),
            ("41 bytes are no program", b"\0\x29" + b"\1" * 41, sig(), None),
            ("P2SH of it", p2sh(true[1]), sig(push(true[1]), [true[0]]), None),
            ("P2SH of it and one push more", p2sh(true[1]), sig(script(1) + push(true[1]), [true[0]]),
             "Witness requires only-redeemscript scriptSig"),
            ("P2SH of it, pushed otherwise", p2sh(true[1]), sig(b"\x4c\x22" + true[1], [true[0]]),
             "Witness requires only-redeemscript scriptSig"),
            ("P2SH of it without witness", p2sh(true[1]), sig(push(true[1])), EMPTY),
        ])

    def test_signatures(self):
        p2pkh = script("DUP", "HASH160", hash160(KEY.pub), "EQUALVERIFY", "CHECKSIG")
        wpkh, code = p2wpkh(KEY), script(KEY.pub, "CHECKSIG")
        uncompressed = b"\0\x14" + hash160(KEY.uncompressed)
        u_code = script("DUP", "HASH160", hash160(KEY.uncompressed), "EQUALVERIFY", "CHECKSIG")
        separated = script("NOP", "CODESEPARATOR", KEY.pub, "CHECKSIG")
        multi = script(1, KEY.pub, OTHER.pub, 2, "CHECKMULTISIG")
        inverted = script(KEY.pub, "CHECKSIG", "NOT")
        run(self, "version 0", [
            ("P2WPKH", wpkh, signed_v0(lambda s: [s, KEY.pub], p2pkh), None),
            ("P2WPKH, another amount signed", wpkh, signed_v0(lambda s: [s, KEY.pub], p2pkh, value=1), FALSE),
            ("P2WPKH, another key", wpkh, signed_v0(lambda s: [s, OTHER.pub], p2pkh), "Script failed an OP_EQUALVERIFY operation"),
            ("P2WPKH with the old hash", wpkh, lambda tx, coin: tx.ins[0].witness.extend(
                [KEY.der(sighash_legacy(tx, 0, p2pkh)), KEY.pub]), FALSE),
            ("P2WPKH with three elements", wpkh, signed_v0(lambda s: [b"", s, KEY.pub], p2pkh), MISMATCH),
            ("P2WPKH with one element", wpkh, sig(b"", [KEY.pub]), MISMATCH),
            ("P2WPKH, an uncompressed key is no matter of consensus", uncompressed,
             signed_v0(lambda s: [s, KEY.uncompressed], u_code), None),
            ("P2WPKH, not DER", wpkh, signed_v0(lambda s: [relaxed(s), KEY.pub], p2pkh), DER),
            ("P2WPKH, SINGLE and ANYONECANPAY", wpkh, signed_v0(lambda s: [s, KEY.pub], p2pkh, 0x83), None),
            ("P2WPKH, NONE", wpkh, signed_v0(lambda s: [s, KEY.pub], p2pkh, 2), None),
            ("P2WSH signature", p2wsh(code), signed_v0(lambda s: [s, code], code), None),
            ("P2WSH, the code after CODESEPARATOR", p2wsh(separated), signed_v0(lambda s: [s, separated], code), None),
            ("P2WSH, the whole code with CODESEPARATOR", p2wsh(separated), signed_v0(lambda s: [s, separated], separated), FALSE),
            ("P2WSH 1 of 2", p2wsh(multi), signed_v0(lambda s: [b"", s, multi], multi), None),
            ("P2WSH 1 of 2, dummy 1", p2wsh(multi), signed_v0(lambda s: [b"\1", s, multi], multi), DUMMY),
            ("P2WSH, a wrong signature that is wanted wrong", p2wsh(inverted), signed_v0(lambda s: [s, inverted], code), None),
        ])

    def test_unknown_versions(self):
        cases = []
        for version in range(2, 17):
            program = bytes([0x50 + version, 0x20]) + b"\1" * 32
            cases.append((f"version {version} without witness", program, sig(), None))
        cases += [
            ("version 2 with a witness", script(2) + push(b"\1" * 32), sig(b"", [b"\0" * 600, b"\xff"]), None),
            ("version 16 of 2 bytes", script(16) + push(b"\1\1"), sig(), None),
            ("version 16 of 40 bytes", script(16) + push(b"\1" * 40), sig(), None),
            ("version 16 of zeroes: nobody looks at it", script(16) + push(b"\0" * 40), sig(), FALSE),
            ("version 2 with an input script", script(2) + push(b"\1" * 32), sig(script(1)), "Witness requires empty scriptSig"),
            ("version 1 of 31 bytes", script(1) + push(b"\1" * 31), sig(), None),
            ("version 1 of 33 bytes", script(1) + push(b"\1" * 33), sig(b"", [b""]), None),
            ("version 2 in P2SH", p2sh(script(2) + push(b"\1" * 32)), sig(push(script(2) + push(b"\1" * 32)), [b"x"]), None),
            ("version 1 of 32 bytes in P2SH is not taproot", p2sh(script(1) + push(b"\1" * 32)),
             sig(push(script(1) + push(b"\1" * 32)), [b"x"]), None),
            ("pay to anchor", P2A, sig(), None),
            ("pay to anchor with a witness", P2A, sig(b"", [b"x"]), None),
            ("pay to anchor with an input script", P2A, sig(script(1)), "Witness requires empty scriptSig"),
            ("pay to anchor in P2SH", p2sh(P2A), sig(push(P2A)), None),
        ]
        run(self, "witness", cases)
