#!/usr/bin/env python3
"""Makes the seeds of the fuzz targets (test/fuzz/seeds/NAME.hex, one input a line) with the project's own programs: blocks and payments of a regtest
chain, the chain files, the forms of descriptors, addresses, messages and requests.

usage: test/fuzz/seeds.py (after make)"""
import glob
import json
import os
import struct
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'test/functional'))
from framework import Node  # noqa: E402
import p2p  # noqa: E402

MESSAGES = ['version', 'verack', 'wtxidrelay', 'sendaddrv2', 'sendheaders', 'sendcmpct', 'feefilter', 'ping',
            'pong', 'addr', 'addrv2', 'getaddr', 'inv', 'getdata', 'notfound', 'getheaders', 'getblocks',
            'headers', 'tx', 'block', 'mempool', 'cmpctblock', 'getblocktxn', 'blocktxn', 'getcfilters', 'getcfheaders',
            'getcfcheckpt', 'cfilter', 'cfheaders', 'cfcheckpt', 'filterload', 'filteradd', 'filterclear']  # the table's order
KEY = '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'
OTHER = '02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5'
STANDARD = (1 << 21) - 1
seeds = {}


def add(name, data):
    seeds.setdefault(name, set()).add(data if isinstance(data, bytes) else data.encode())


def string(data):
    return p2p.compact(len(data)) + data


def from_node(node):
    """Payments of every address type, with the coins they spend; the blocks that hold them."""
    node.createwallet('seeds')
    addresses = [node.getnewaddress('', kind) for kind in ('bech32', 'bech32m')]
    for address in addresses:
        add('address', address)
    node.generatetoaddress(101, addresses[0])
    for _ in range(3):
        for address in addresses:
            node.sendtoaddress(address, 1.5)
        node.generatetoaddress(1, addresses[1])
    for height in (1, 101, 102, 103, 104):
        block = node.getblock(node.getblockhash(height), 2)
        raw = bytes.fromhex(node.getblock(block['hash'], 0))
        add('block', raw)
        add('message', bytes([MESSAGES.index('headers')]) + b'\1' + raw[:80] + b'\0')
        cmpct = raw[:80] + struct.pack('<Q', 5) + b'\1' + b'\1\2\3\4\5\6' + b'\1\0' + bytes.fromhex(block['tx'][0]['hex'])
        add('message', bytes([MESSAGES.index('cmpctblock')]) + cmpct)
        for tx in block['tx']:
            from_tx(node, tx)


def from_tx(node, tx):
    raw = bytes.fromhex(tx['hex'])
    add('tx', raw)
    add('message', bytes([MESSAGES.index('blocktxn')]) + bytes(32) + b'\1' + raw)
    coins = b''
    for spent in tx['vin']:
        if 'txid' not in spent:
            return
        before = node.gettransaction(spent['txid'])
        out = node.decoderawtransaction(before['hex'])['vout'][spent['vout']]
        coins += struct.pack('<q', round(float(out['value']) * 1e8)) + string(bytes.fromhex(out['scriptPubKey']['hex']))
    for flags, fewer in ((STANDARD, 0), (STANDARD, STANDARD), (STANDARD, 1 << 17)):
        add('script', struct.pack('<II', flags, fewer) + string(raw) + coins)


def from_scripts():
    """One input that spends a script without signatures, for each group of opcodes."""
    for sig, script in (('51', '51'), ('0151', '87'), ('5152', '935387'), ('00', '6351675168'), ('5100', '6376517c7568'),
                        ('', '0000ae'), ('000000', '5151ae'), ('51', 'b175'), ('51', 'b275'), ('', '6a'), ('', 'ab51'),
                        ('04deadbeef', 'a820' + '00' * 32 + '88'), ('51525354', '6d6d51'), ('5152', '7c7b6e7175'),
                        ('', '5120' + KEY[2:]), ('', '0020' + '11' * 32), ('', '0014' + '11' * 20), ('0151', 'a914' + '22' * 20 + '87')):
        sig, script = bytes.fromhex(sig), bytes.fromhex(script)
        for witness in (b'', b'\2\1\1\1\x51', b'\3\x40' + b'\7' * 64 + b'\1\x51\x21\xc0' + bytes.fromhex(KEY[2:])):
            tx = struct.pack('<I', 2) + (b'\0\1' if witness else b'') + b'\1' + b'\x33' * 32 + b'\0\0\0\0' + string(sig)
            tx += b'\xfe\xff\xff\xff\1' + struct.pack('<q', 900) + string(b'\x51') + witness + struct.pack('<I', 7)
            for flags in (0, 0x20e11, STANDARD):
                add('script', struct.pack('<II', flags, 0x1801) + string(tx) + struct.pack('<q', 1000) + string(script))


def from_texts():
    forms = ['pk(%s)', 'pkh(%s)', 'wpkh(%s)', 'sh(wpkh(%s))', 'combo(%s)', 'tr(%s)', 'rawtr(%s)', 'wsh(pkh(%s))',
             'sh(wsh(multi(1,%s,' + OTHER + ')))', 'sortedmulti(2,' + OTHER + ',%s)', 'pkh([d34db33f/44h/0\'/7]%s)']
    xpub = 'xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8'
    for form in forms:
        for key in (KEY, xpub + '/1/*', xpub + '/<0;1>/*h'):
            add('descriptor', form % key)
    for text in ('addr(1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa)', 'raw(51)', 'wpkh(' + KEY + ')#8zl0zxma'):
        add('descriptor', text)
    for text in ('1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa', '3P14159f73E4gFr7JterCCQh9QjiTjiZrG',
                 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4', '5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ',
                 'bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0'):
        add('address', text)
    for path in sorted(glob.glob(ROOT + '/genesis/*.json')):
        add('chain', open(path, 'rb').read())
        add('json', open(path, 'rb').read()[:700])
    for text in ('{"a":[1,-2.5e3,null,true,{"b":"\\u00e9\\ud83d\\ude00\\n"}]}', '[]', '0', '"\\""', '1e400', '-0', '[[[[]]]]'):
        add('json', text)


def from_wires():
    body = json.dumps({'method': 'help', 'params': [], 'id': 1})
    for head in ('POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YTpi\r\nContent-Length: %d\r\n\r\n%s' % (len(body), body),
                 'POST /wallet/a%%20b HTTP/1.0\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n',
                 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n4;x=y\r\nabcd\r\n0\r\nA: b\r\n\r\n',
                 'GET /rest/chaininfo.json?x=%41 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'):
        add('http', head)
        add('http', head + head)
    item = struct.pack('<I', 1) + b'\x44' * 32
    address = struct.pack('<IQ', 7, 9) + bytes(10) + b'\xff\xff\x7f\0\0\1\x20\x8d'
    bodies = {'version': p2p.version_payload(), 'sendcmpct': b'\1\2' + bytes(7), 'feefilter': bytes(8), 'ping': bytes(8),
              'addr': b'\1' + address, 'addrv2': b'\2' + b'\0\0\0\0\1\1\4\x7f\0\0\1\x20\x8d' + b'\0\0\0\0\1\4\x20' + b'\5' * 32 + b'\0\1',
              'inv': b'\2' + item + item, 'getdata': b'\1' + item, 'notfound': b'\1' + item,
              'getheaders': struct.pack('<I', 70016) + b'\1' + b'\3' * 32 + bytes(32),
              'getblocktxn': b'\3' * 32 + b'\3\0\1\xfd\xfe\0'}
    for command, payload in bodies.items():
        add('message', bytes([MESSAGES.index(command)]) + payload)
        add('message', bytes([MESSAGES.index(command)]) + p2p.message(command, payload) * 2)


class Session:
    """Writes inputs of fuzz_session.c, whose first lines and `things` say what they mean."""
    CHOP, NO_HANDSHAKE, PLAIN, DIALED, MATURE = 1, 2, 4, 8, 16
    HEADER, ID, BLOCK, COMPACT = range(4)  # from A = 16, B = 20, C = 24
    A, B, C, BLOCKTXN_C, ORPHAN, ORPHAN_WTXID, SPEND, SPEND_WTXID, VERSION = 16, 20, 24, 28, 29, 30, 31, 32, 33

    def __init__(self, flags):
        self.data = bytes([flags])

    def send(self, command, payload=b''):
        self.data += bytes([MESSAGES.index(command)]) + struct.pack('<H', len(payload)) + payload
        return self

    def spoilt(self, command, payload=b''):
        self.data += bytes([0x82, MESSAGES.index(command)]) + struct.pack('<H', len(payload)) + payload
        return self

    def noise(self, payload):
        self.data += b'\x81' + struct.pack('<H', len(payload)) + payload
        return self

    def wait(self, seconds):
        self.data += bytes([0x80, seconds])
        return self

    def mine(self):
        self.data += b'\x83'
        return self

    def call_again(self):
        self.data += b'\x84'
        return self


def from_sessions():
    S = Session

    def the(thing):
        return b'\xee\xee' + bytes([thing])

    def inv(kind, thing):
        return b'\1' + struct.pack('<I', kind) + the(thing)

    locator = struct.pack('<I', 70016) + b'\1' + the(0) + bytes(32)
    witness = 1 << 30
    stories = []
    for flags in range(16):
        stories.append(S(flags).send('ping', bytes(8)).wait(3))
    stories += [
        S(0).send('getheaders', locator).send('getblocks', locator).send('getdata', inv(2 | witness, 2)).send('getdata', inv(4, 3)),
        S(0).send('headers', b'\1' + the(S.A) + b'\0').wait(2).send('block', the(S.A + S.BLOCK)).wait(2).mine(),
        S(0).send('headers', b'\2' + the(S.A) + b'\0' + the(S.B) + b'\0').wait(2).send('block', the(S.B + S.BLOCK)).send('block', the(S.A + S.BLOCK)),
        S(0).send('block', the(S.B + S.BLOCK)).send('block', the(S.A + S.BLOCK)).send('getdata', inv(2, S.A + S.ID)),
        S(0).send('sendcmpct', b'\1\2' + bytes(7)).send('cmpctblock', the(S.A + S.COMPACT)).wait(1).send('cmpctblock', the(S.B + S.COMPACT)).mine(),
        S(0).send('cmpctblock', the(S.C + S.COMPACT)).send('blocktxn', the(S.BLOCKTXN_C)).wait(1).call_again().send('ping', bytes(8)),
        S(0).send('headers', b'\1' + the(S.C) + b'\0').wait(1).send('block', the(S.C + S.BLOCK)).wait(1).call_again().wait(200),
        S(0).send('headers', b'\1' + the(S.A) + b'\0').wait(1).send('notfound', inv(2 | witness, S.A + S.ID)).wait(90),
        S(0).send('inv', inv(2, S.A + S.ID)).wait(1).send('headers', b'\0').wait(70),
        S(0).send('inv', inv(5, S.ORPHAN_WTXID)).wait(5).send('tx', the(S.ORPHAN)).wait(5).send('inv', inv(1, S.ORPHAN_WTXID)).wait(61),
        S(0).send('tx', the(S.SPEND)).wait(2).send('inv', inv(5, S.SPEND_WTXID)).send('getdata', inv(5, S.SPEND_WTXID)).send('mempool'), S(0).wait(200).send('mempool'),
        S(S.MATURE).send('tx', the(S.SPEND)).wait(2).send('getdata', inv(5, S.SPEND_WTXID)).send('cmpctblock', the(S.C + S.COMPACT)).wait(2).mine(),
        S(S.MATURE).send('cmpctblock', the(S.C + S.COMPACT)).wait(1).send('blocktxn', the(S.BLOCKTXN_C)).wait(2).send('tx', the(S.SPEND)),
        S(S.MATURE).send('inv', inv(5, S.SPEND_WTXID)).wait(10).send('tx', the(S.SPEND)).wait(9).mine().send('inv', inv(5, S.SPEND_WTXID)),
        S(0).send('getblocktxn', the(1) + b'\1\0').send('getblocktxn', the(2) + b'\1\1').wait(1),
        S(0).send('getcfilters', b'\0' + struct.pack('<I', 0) + the(3)).send('getcfheaders', b'\0' + struct.pack('<I', 1) + the(3)).send('getcfcheckpt', b'\0' + the(3)),
        S(0).send('sendheaders').send('feefilter', struct.pack('<q', 5000)).send('getaddr').mine().wait(30),
        S(S.NO_HANDSHAKE).send('version', the(S.VERSION)).send('sendaddrv2').send('verack').send('addrv2', b'\2' + b'\0\0\0\x65\1\1\4\x2f\1\2\3\x20\x8d' + b'\0\0\0\x65\1\4\x20' + b'\5' * 32 + b'\0\1').wait(40),
        S(S.NO_HANDSHAKE).send('version', the(S.VERSION)).send('wtxidrelay').send('sendaddrv2').send('verack').send('addrv2', b'\0').send('getaddr'),
        S(S.NO_HANDSHAKE).send('verack').send('version', the(S.VERSION)).send('version', the(S.VERSION)),
        S(S.NO_HANDSHAKE).wait(61), S(S.NO_HANDSHAKE).noise(bytes(range(200))).wait(20), S(S.NO_HANDSHAKE | S.CHOP).noise(b'\xfa\xbf\xb5\xda' * 9),
        S(S.NO_HANDSHAKE | S.DIALED).noise(bytes(range(64))).noise(bytes(200)).wait(30),
        S(0).spoilt('ping', bytes(8)).spoilt('block', the(S.A + S.BLOCK)).spoilt('tx', the(S.SPEND)).send('ping', bytes(8)),
        S(S.CHOP | S.PLAIN | S.DIALED).send('headers', b'\1' + the(S.A) + b'\0').wait(1).send('block', the(S.A + S.BLOCK)).wait(130),
        S(0).send('ping', bytes(8)).send('pong', bytes(8)).wait(130).send('pong', bytes(8)).wait(255).wait(255).wait(255).wait(255).wait(255),
        S(0).send('filterload', bytes(20)).call_again().send('filterclear').call_again().send('filteradd', b'\1\1'),
    ]
    for story in stories:
        add('session', story.data)


def from_filters():
    """Elements, and filters of a form that an encoder writes or never would (test_filter.c says why)."""
    for elements in ((), (b'',), (b'\x51', b'\0\x14' + b'\x22' * 20), (b'\x51',) * 3, tuple(bytes([i]) * i for i in range(40))):
        head = bytes(range(32)) + p2p.compact(len(elements)) + b''.join(string(e) for e in elements)
        for form in ('', '00', '01123450', '019fd110', '019fd118', '01123451', '0112345000', '0112', '02123450', 'fd0100123450',
                     '0200001000010000', '03ffffff', '01ffffffffffffffff7f', 'feffffffff', '0a' + '12345' * 10 + '00'):
            add('filter', head + bytes.fromhex(form if len(form) % 2 == 0 else form[:-1]))


def main():
    with tempfile.TemporaryDirectory() as folder:
        node = Node(folder)
        node.start()
        try:
            from_node(node)
        finally:
            node.stop()
    from_scripts()
    from_texts()
    from_wires()
    from_sessions()
    from_filters()
    for name, found in seeds.items():
        with open(os.path.join(ROOT, 'test/fuzz/seeds', name + '.hex'), 'w') as f:
            f.write('\n'.join(sorted({data.hex() for data in found}, key=lambda line: (len(line), line))) + '\n')
        print('%-12s %5d inputs' % (name, len(found)))


if __name__ == '__main__':
    main()
