"""MuHash3072 from its definition alone, with Python's integers: what src/crypto/muhash.c is compared with.

A set's hash is SHA-256 over the little-endian bytes of (product of what was added / product of what was removed) modulo
2^3072 - 1103717, where an element is the first 384 bytes of ChaCha20's keystream under the element's SHA-256.

usage: muhash.py (prints the constants of test/unit/test_muhash.c)"""
import hashlib
import struct

SIZE_B = 384
MODULUS = 2**3072 - 1103717


def chacha20_block(key, counter):
    """RFC 8439, 2.3, with a nonce of zeroes."""
    start = list(struct.unpack('<4I', b'expand 32-byte k')) + list(struct.unpack('<8I', key)) + [counter, 0, 0, 0]
    x = start[:]
    for _ in range(10):
        for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                           (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            for p, q, r, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[p] = (x[p] + x[q]) & 0xffffffff
                x[r] ^= x[p]
                x[r] = (x[r] << by | x[r] >> (32 - by)) & 0xffffffff
    return struct.pack('<16I', *((v + s) & 0xffffffff for v, s in zip(x, start)))


def number(element):
    key = hashlib.sha256(element).digest()
    return int.from_bytes(b''.join(chacha20_block(key, i) for i in range(SIZE_B // 64)), 'little')


def finish(numerator, denominator=1):
    """The hash as people write it: bytes reversed, in hex."""
    value = numerator * pow(denominator, -1, MODULUS) % MODULUS
    return hashlib.sha256(value.to_bytes(SIZE_B, 'little')).digest()[::-1].hex()


def muhash(added, removed=()):
    numerator = denominator = 1
    for element in added:
        numerator = numerator * number(element) % MODULUS
    for element in removed:
        denominator = denominator * number(element) % MODULUS
    return finish(numerator, denominator)


def compact(n):
    return bytes([n]) if n < 253 else b'\xfd' + struct.pack('<H', n) if n < 0x10000 else b'\xfe' + struct.pack('<I', n)


def coin(txid, index, height, is_coinbase, value_sat, script):
    """An unspent output as an element of the set: its outpoint, height and kind, amount and script."""
    return bytes.fromhex(txid)[::-1] + struct.pack('<IIq', index, height * 2 + is_coinbase, value_sat) + compact(len(script)) + script


def main():
    def small(i):
        return bytes([i]) + bytes(31)
    print('empty          ', muhash([]))
    print('0 * 1 / 2      ', muhash([small(0), small(1)], [small(2)]))
    print('0 .. 99        ', muhash([small(i) for i in range(100)]))
    print('3 * 4 / 5 6    ', muhash([small(3), small(4)], [small(5), small(6)]))
    print('/ 7            ', muhash([], [small(7)]))
    print('lengths 0..299 ', muhash([bytes((i * 7 + j) % 256 for j in range(i)) for i in range(300)]))
    top = 2**3072 - 1
    for name, pair in (('top * top', (top * top, 1)), ('1 / top', (1, top)), ('top / top', (top, top)), ('p + 1', (MODULUS + 1, 1)),
                       ('(p - 1)^2', ((MODULUS - 1)**2, 1)), ('p - 1', (MODULUS - 1, 1)), ('2 / 3', (2, 3)), ('p', (MODULUS, 1)),
                       ('2^1536 ^2', (2**3072, 1)), ('top * 0', (number(small(0)) * top, 1))):
        print('%-15s' % name, finish(*pair))


if __name__ == '__main__':
    main()
