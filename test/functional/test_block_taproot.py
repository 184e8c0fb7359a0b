"""Taproot and tapscript (BIP340 to 342): keys, signatures, control blocks, leaf versions, and the limits that are new."""
from blocks import P, SCRIPT, Key, Leaf, Rig, Tx, p2tr, report, script, sighash_v1, spend
from framework import CoinTest

KEY, OTHER = Key(31), Key(32)
SIG, SIZE, TYPE = "Invalid Schnorr signature", "Invalid Schnorr signature size", "Invalid Schnorr signature hash type"
FALSE = "Script evaluated without error but finished with a false/empty top stack element"
MISMATCH, CONTROL = "Witness program hash mismatch", "Invalid Taproot control block size"
WEIGHT = "Too much signature validation relative to witness weight"
CLEAN, EMPTY_KEY = "Stack size must be exactly one after execution", "Empty public key in tapscript"
MINIMAL_IF = "OP_IF/NOTIF argument must be minimal in tapscript"
MULTISIG = "OP_CHECKMULTISIG(VERIFY) is not available in tapscript"
BAD_OPCODE, STACK = "Opcode missing or not understood", "Operation not valid with the current stack size"
PUSH_SIZE, STACK_SIZE = "Push value size limit exceeded", "Stack size limit exceeded"
NUMBER = "Script number overflowed or is non-minimally encoded"


def tearDownModule():
    report()


def flip(data, place=-1):
    out = bytearray(data)
    out[place] ^= 1
    return bytes(out)


def run(test, title, cases):
    """cases: (name, output script, unlock(tx, coin), error or None). Each is a block of its own."""
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


class KeyPath(CoinTest):
    def test_key_path(self):
        output = KEY.tweaked()
        spk = p2tr(output)

        def by(change=lambda s: s, hash_type=0, key=output, annex=None, signed_annex=None, amount=0):
            def unlock(tx, coin):
                coin.value += amount
                digest = sighash_v1(tx, 0, [coin], hash_type, annex if signed_annex is None else signed_annex)
                coin.value -= amount
                signature = key.schnorr(digest) + (bytes([hash_type]) if hash_type else b"")
                tx.ins[0].witness = [change(signature)] + ([annex] if annex is not None else [])
            return unlock

        def witness(*items, script_sig=b""):
            def unlock(tx, _):
                tx.ins[0].witness, tx.ins[0].script_sig = list(items), script_sig
            return unlock
        cases = [
            ("good", spk, by(), None),
            ("a wrong bit in R", spk, by(lambda s: flip(s, 0)), SIG),
            ("a wrong bit in s", spk, by(lambda s: flip(s)), SIG),
            ("s of the group's order", spk, by(lambda s: s[:32] + b"\xff" * 32), SIG),
            ("R of the field's size", spk, by(lambda s: P.to_bytes(32, "big") + s[32:]), SIG),
            ("the internal key", spk, by(key=KEY), SIG),
            ("63 bytes", spk, by(lambda s: s[:-1]), SIZE),
            ("66 bytes", spk, by(lambda s: s + b"\1\1"), SIZE),
            ("an empty signature", spk, witness(b""), SIZE),
            ("no witness", spk, witness(), "Witness program was passed an empty witness"),
            ("hash type 0 in a byte of its own", spk, by(lambda s: s + b"\0"), TYPE),
            ("hash type 4", spk, by(lambda s: s + b"\4"), TYPE),
            ("hash type 0x80", spk, by(lambda s: s + b"\x80"), TYPE),
            ("hash type 0x84", spk, by(lambda s: s + b"\x84"), TYPE),
            ("hash type that was not signed", spk, by(lambda s: s + b"\1"), SIG),
            ("another amount signed", spk, by(amount=1), SIG),
            ("an annex", spk, by(annex=b"\x50" + b"x" * 9), None),
            ("an annex of one byte", spk, by(annex=b"\x50"), None),
            ("another annex than signed", spk, by(annex=b"\x50a", signed_annex=b"\x50b"), SIG),
            ("an annex of 600 bytes", spk, by(annex=b"\x50" + b"x" * 599), None),
            ("an annex alone is the signature", spk, witness(b"\x50"), SIZE),
            ("two elements, the last no annex", spk, by(annex=b"\x51"), CONTROL),
            ("an input script", spk, witness(b"x", script_sig=script(1)), "Witness requires empty scriptSig"),
            ("an output key that is no point", script(1) + b"\x20" + b"\xff" * 32, witness(b"\1" * 64), SIG),
        ]
        cases += [(f"hash type {t:02x}", spk, by(hash_type=t), None) for t in (1, 2, 3, 0x81, 0x82, 0x83)]
        run(self, "key path", cases)

    def test_single_without_output(self):
        """BIP341: SIGHASH_SINGLE without an output of that number is invalid, not 1."""
        rig = Rig(self)
        rig.grow(102)
        output = KEY.tweaked()
        coins = rig.fund(p2tr(output), p2tr(output))
        for kind in (3, 0x83):
            tx = spend(*coins)
            tx.ins[0].witness = [output.schnorr(sighash_v1(tx, 0, coins))]
            tx.ins[1].witness = [output.schnorr(b"\1" + b"\0" * 31) + bytes([kind])]
            rig.bad(f"SINGLE {kind:02x} without its output", rig.block(tx), SCRIPT(TYPE))
        tx = spend(*coins)
        for i in range(2):
            tx.ins[i].witness = [output.schnorr(sighash_v1(tx, i, coins))]
        swapped = Tx(tx.ins, tx.outs)
        swapped.ins[0].witness, swapped.ins[1].witness = swapped.ins[1].witness, swapped.ins[0].witness
        rig.bad("signatures of two inputs swapped", rig.block(swapped), SCRIPT(SIG))
        tx.ins[0].witness, tx.ins[1].witness = tx.ins[1].witness, tx.ins[0].witness
        rig.ok("and in their places", rig.block(tx))
        rig.close()


def script_path(leaf, *stack, change=None, annex=None, codesep=0xffffffff, hash_type=0):
    """stack: bytes, or Keys that sign there."""
    def unlock(tx, coin):
        digest = sighash_v1(tx, 0, [coin], hash_type, annex, leaf.hash, codesep)
        items = [s.schnorr(digest) + (bytes([hash_type]) if hash_type else b"") if isinstance(s, Key) else s for s in stack]
        control = change(leaf.control) if change else leaf.control
        tx.ins[0].witness = [*items, leaf.script, control, *([annex] if annex is not None else [])]
    return unlock


class ScriptPath(CoinTest):
    def test_control(self):
        true = Leaf(script(1))
        fail, many = script(0), [Leaf(script(1), internal=Key(n)) for n in range(40, 60)]
        parity = {leaf.output.point[1] & 1: leaf for leaf in many}
        cases = [
            ("good", true.script_pubkey, script_path(true), None),
            ("an output key with even y", parity[0].script_pubkey, script_path(parity[0]), None),
            ("an output key with odd y", parity[1].script_pubkey, script_path(parity[1]), None),
            ("the wrong parity", true.script_pubkey, script_path(true, change=lambda c: flip(c, 0)), MISMATCH),
            ("another internal key", true.script_pubkey, script_path(true, change=lambda c: c[:1] + OTHER.x), MISMATCH),
            ("an internal key that is no point", true.script_pubkey,
             script_path(true, change=lambda c: c[:1] + b"\xff" * 32), MISMATCH),
            ("32 bytes", true.script_pubkey, script_path(true, change=lambda c: c[:-1]), CONTROL),
            ("34 bytes", true.script_pubkey, script_path(true, change=lambda c: c + b"\0"), CONTROL),
            ("a step that is not there", true.script_pubkey, script_path(true, change=lambda c: c + b"\0" * 32), MISMATCH),
            ("empty", true.script_pubkey, script_path(true, change=lambda c: b""), CONTROL),
        ]
        for depth in (1, 2, 127, 128):
            leaf = Leaf(script(1), path=[bytes([n]) * 32 for n in range(depth)])
            cases.append((f"path of {depth}", leaf.script_pubkey, script_path(leaf), None))
        leaf = Leaf(script(1), path=[bytes([n]) * 32 for n in range(129)])
        cases.append(("path of 129", leaf.script_pubkey, script_path(leaf), CONTROL))
        leaf = Leaf(script(1), path=[b"\1" * 32, b"\2" * 32])
        cases.append(("a wrong sibling", leaf.script_pubkey, script_path(leaf, change=lambda c: flip(c)), MISMATCH))
        cases.append(("the siblings swapped", leaf.script_pubkey,
                      script_path(leaf, change=lambda c: c[:33] + c[65:] + c[33:65]), MISMATCH))
        for version in (0x00, 0x66, 0x7e, 0x80, 0xbe, 0xc2, 0xfe):
            leaf = Leaf(fail, version)
            cases.append((f"unknown leaf version {version:02x}", leaf.script_pubkey, script_path(leaf), None))
        leaf = Leaf(fail)
        cases.append(("a false script of version c0", leaf.script_pubkey, script_path(leaf), FALSE))
        cases.append(("version c0 spent as c2", leaf.script_pubkey,
                      script_path(leaf, change=lambda c: bytes([c[0] ^ 2]) + c[1:]), MISMATCH))
        leaf = Leaf(b"\xff\xff", 0xc2)
        cases.append(("an unknown version with 1500 elements of 600 bytes", leaf.script_pubkey,
                      script_path(leaf, *[b"\0" * 600] * 1500), None))
        leaf = Leaf(script(1))
        cases.append(("with an annex", leaf.script_pubkey, script_path(leaf, annex=b"\x50xyz"), None))
        run(self, "script path", cases)

    def test_rules(self):
        def case(name, parts, stack=(), error=None, **options):
            leaf = Leaf(parts if isinstance(parts, bytes) else script(*parts))
            return name, leaf.script_pubkey, script_path(leaf, *stack, **options), error
        nop, data = b"\x61", b"\0" * 520
        cases = [
            case("more than one on the stack", (1, 1), (), CLEAN),
            case("nothing on the stack", (1, "DROP"), (), CLEAN),
            case("an element of 520 bytes", ("DROP", 1), (data,)),
            case("an element of 521 bytes", ("DROP", 1), (data + b"\0",), PUSH_SIZE),
            case("a push of 521 bytes", (data + b"\0", "DROP", 1), (), PUSH_SIZE),
            case("a stack of 1000", b"\x6d" * 499 + b"\x75", [b"\1"] * 1000),
            case("a stack of 1001", b"\x6d" * 500, [b"\1"] * 1001, STACK_SIZE),
            case("a stack that grows to 1000", b"\x51\x75" + b"\x6d" * 499, [b"\1"] * 999),
            case("a stack that grows to 1001", b"\x51\x75" + b"\x6d" * 499 + b"\x75", [b"\1"] * 1000, STACK_SIZE),
            case("more than 201 operations", nop * 20_000 + b"\x51"),
            case("a script of more than 10,000 bytes", script(*[data, "DROP"] * 40, 1)),
            case("IF of 1", ("IF", 1, "ELSE", 0, "ENDIF"), (b"\1",)),
            case("IF of nothing", ("IF", 0, "ELSE", 1, "ENDIF"), (b"",)),
            case("IF of 2", ("IF", 1, "ELSE", 0, "ENDIF"), (b"\2",), MINIMAL_IF),
            case("IF of 00", ("IF", 0, "ELSE", 1, "ENDIF"), (b"\0",), MINIMAL_IF),
            case("IF of 0100", ("IF", 1, "ELSE", 0, "ENDIF"), (b"\1\0",), MINIMAL_IF),
            case("NOTIF of 2", ("NOTIF", 0, "ELSE", 1, "ENDIF"), (b"\2",), MINIMAL_IF),
            case("CHECKMULTISIG", (0, 0, 0, "CHECKMULTISIG"), (), MULTISIG),
            case("CHECKMULTISIGVERIFY", (0, 0, 0, "CHECKMULTISIGVERIFY", 1), (), MULTISIG),
            case("CHECKMULTISIG, not executed", (0, "IF", "CHECKMULTISIG", "ENDIF", 1)),
            case("an opcode that stays unknown", (1, "VERIF"), (), BAD_OPCODE),
            case("OP_RETURN", ("RETURN", 1), (), "OP_RETURN was encountered"),
            case("OP_RESERVED is a success now", ("RESERVED",)),
            case("OP_VER is a success now", ("VER", "RETURN")),
            case("CAT is a success now", (0, "IF", "CAT", "ENDIF", 0)),
            case("ff is no success", (1, "INVALID"), (), BAD_OPCODE),
            case("fe is", b"\xfe"), case("bb is", b"\0\x63\xbb"), case("80 is", b"\x6a\x80"),
            case("success in a push is none", (b"\x50", "DROP", 0), (), FALSE),
            case("success before a cut push", b"\x50\x4c"),
            case("a cut push before success", b"\x02\x50", (), BAD_OPCODE),
            case("success before an element of 521 bytes", b"\x50", (data + b"\0",)),
            case("success before 1001 elements", b"\x50", [b""] * 1001),
            case("an unbalanced IF", (1, "IF", 1), (), "Invalid OP_IF construction"),
        ]
        run(self, "tapscript", cases)

    def test_signatures(self):
        def case(name, parts, stack=(), error=None, **options):
            leaf = Leaf(parts if isinstance(parts, bytes) else script(*parts))
            return name, leaf.script_pubkey, script_path(leaf, *stack, **options), error
        one, unknown = (KEY.x, "CHECKSIG"), b"\2" + KEY.x
        of_two = (KEY.x, "CHECKSIG", OTHER.x, "CHECKSIGADD")
        cases = [
            case("good", one, (KEY,)),
            case("with an annex", one, (KEY,), annex=b"\x50zzz"),
            case("another key", one, (OTHER,), SIG),
            case("an empty signature is false", one, (b"",), FALSE),
            case("an empty signature, NOT", (*one, "NOT"), (b"",)),
            case("a wrong signature fails at once", (*one, "NOT"), (b"\1" * 64,), SIG),
            case("63 bytes", one, (b"\1" * 63,), SIZE),
            case("hash type 1", one, (KEY,), hash_type=1),
            case("hash type 0x83", one, (KEY,), hash_type=0x83),
            case("hash type 0 of its own", one, (b"\1" * 64 + b"\0",), TYPE),
            case("CHECKSIGVERIFY", (KEY.x, "CHECKSIGVERIFY", 1), (KEY,)),
            case("CHECKSIGVERIFY of an empty signature", (KEY.x, "CHECKSIGVERIFY", 1), (b"",),
                 "Script failed an OP_CHECKSIGVERIFY operation"),
            case("an empty key", (b"", "CHECKSIG", "NOT"), (b"",), EMPTY_KEY),
            case("an empty key for CHECKSIGADD", (0, b"", "CHECKSIGADD", "NOT"), (b"",), EMPTY_KEY),
            case("a key of 33 bytes is of a kind to come", (unknown, "CHECKSIG"), (b"\1",)),
            case("a key of 1 byte as well", (b"\1", "CHECKSIG"), (b"any",)),
            case("such a key and an empty signature", (unknown, "CHECKSIG"), (b"",), FALSE),
            case("such a key for CHECKSIGADD", (7, unknown, "CHECKSIGADD", 8, "NUMEQUAL"), (b"\1",)),
            case("a key of 32 bytes that is no point", (b"\xff" * 32, "CHECKSIG"), (b"\1" * 64,), SIG),
            case("2 of 2 by CHECKSIGADD", (*of_two, 2, "NUMEQUAL"), (OTHER, KEY)),
            case("2 of 2, one missing", (*of_two, 2, "NUMEQUAL"), (b"", KEY), FALSE),
            case("2 of 2, swapped", (*of_two, 2, "NUMEQUAL"), (KEY, OTHER), SIG),
            case("1 of 2", (*of_two, 1, "NUMEQUAL"), (b"", KEY)),
            case("CHECKSIGADD of two elements", (KEY.x, "CHECKSIGADD"), (b"",), STACK),
            case("CHECKSIGADD to a number of 5 bytes", (b"\0\0\0\0\1", KEY.x, "CHECKSIGADD"), (b"",), NUMBER),
            case("CODESEPARATOR signed", ("NOP", "CODESEPARATOR", *one), (KEY,), codesep=1),
            case("CODESEPARATOR not signed", ("NOP", "CODESEPARATOR", *one), (KEY,), SIG),
            case("CODESEPARATOR not executed", (0, "IF", "CODESEPARATOR", "ENDIF", *one), (KEY,)),
        ]
        run(self, "tapscript signatures", cases)

    def test_budget(self):
        """50 for each signature that is checked, out of 50 and the size of the witness."""
        def code(count, pad):
            return script(b"\1" * pad, "DROP", *["2DUP", "CHECKSIGVERIFY"] * (count - 1), "CHECKSIG")

        def size(inner):
            items = (64, 32, len(inner), 33)
            return 1 + sum(n + (1 if n < 253 else 3) for n in items)
        cases = []
        for count in (8, 12):
            for spare, error in ((0, None), (-1, WEIGHT), (1, None)):
                pad = next(n for n in range(1, 520) if size(code(count, n)) + 50 == 50 * count + spare)
                leaf = Leaf(code(count, pad), internal=KEY)
                cases.append((f"{count} signatures, {spare:+d} to spare", leaf.script_pubkey,
                              script_path(leaf, KEY, KEY.x), error))
        leaf = Leaf(code(8, 1), internal=KEY)
        short = 50 * 8 - size(leaf.script) - 50
        cases.append(("8 signatures, an annex makes up for it", leaf.script_pubkey,
                      script_path(leaf, KEY, KEY.x, annex=b"\x50" + b"a" * (short - 2)), None))
        cases.append(("8 signatures, an annex one byte too short", leaf.script_pubkey,
                      script_path(leaf, KEY, KEY.x, annex=b"\x50" + b"a" * (short - 3)), WEIGHT))
        empty = Leaf(script("DROP", *["2DUP", "CHECKSIG", "DROP"] * 100, "2DROP", 1), internal=KEY)
        cases.append(("empty signatures cost nothing", empty.script_pubkey, script_path(empty, b"", KEY.x, b""), None))
        other = Leaf(script(*["2DUP", "CHECKSIGVERIFY"] * 19, "CHECKSIG"), internal=KEY)
        cases.append(("keys of a kind to come cost as much", other.script_pubkey,
                      script_path(other, b"\1", b"\2" + KEY.x), WEIGHT))
        run(self, "budget", cases)
