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
            'headers', 'tx', 'block', 'mempool', 'cmpctblock', 'getblocktxn', 'blocktxn']  # the table's order
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
    from_filters()
    for name, found in seeds.items():
        with open(os.path.join(ROOT, 'test/fuzz/seeds', name + '.hex'), 'w') as f:
            f.write('\n'.join(sorted({data.hex() for data in found}, key=lambda line: (len(line), line))) + '\n')
        print('%-12s %5d inputs' % (name, len(found)))


if __name__ == '__main__':
    main()
