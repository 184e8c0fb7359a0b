#!/usr/bin/env python3
"""An independent implementation of the `lwma` difficulty, written from its formula (doc/difficulty.md)
and not from the C code. Python's integers have no width, so nothing here can overflow.

  lwma.py            writes lwma_vectors.json beside itself
  lwma.py --check    fails when the file is not what would be written
"""
import json
import os
import sys

SOLVE_MAX_SPACINGS = 20
STEP_MIN = 10
HERE = os.path.dirname(os.path.abspath(__file__))
PATH = os.path.join(HERE, "lwma_vectors.json")
MASK64 = (1 << 64) - 1


def from_bits(bits):
    size, digits = bits >> 24, bits & 0x7FFFFF
    return digits >> (8 * (3 - size)) if size <= 3 else digits << (8 * (size - 3))


def to_bits(target):
    size = (target.bit_length() + 7) // 8
    digits = target << (8 * (3 - size)) if size <= 3 else target >> (8 * (size - 3))
    if digits & 0x800000:
        digits, size = digits >> 8, size + 1
    return size << 24 | digits


def bits_due(times, bits, window, spacing, limit):
    """For the block after those given (times[0] and bits[0] are the genesis block's)."""
    height = len(times)
    if height <= window:
        return to_bits(limit)
    k = window * (window + 1) // 2 * spacing
    weighted, total = 0, 0
    prev = times[height - window - 1]
    for i in range(1, window + 1):
        block = height - window - 1 + i
        t = max(times[block], prev + 1)
        weighted += i * min(t - prev, SOLVE_MAX_SPACINGS * spacing)
        total += from_bits(bits[block]) // (window * k)
        prev = t
    return to_bits(min(total * max(weighted, k // STEP_MIN), limit))


def relieved(bits, time, parent_time, spacing, relief, limit):
    late = max(time - parent_time, 0)
    return min(from_bits(bits) << (late // (relief * spacing)), limit)


class Dice:
    """splitmix64: the same numbers on every machine and version."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK64
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK64
        return (z ^ (z >> 31)) % n


def steady(dice, spacing, height):
    return spacing // 2 + dice.below(spacing + 1)


def rising(dice, spacing, height):
    return 1 + dice.below(max(2, spacing * 60 // (60 + height)))


def falling(dice, spacing, height):
    """Four times too fast, then ever slower."""
    return dice.below(spacing // 2) if height < 200 else dice.below(spacing * (1 + (height - 200) // 20) + 1)


def forged(dice, spacing, height):
    """Times that go back, stand still and leap."""
    kind = dice.below(8)
    if kind < 3:
        return -dice.below(spacing)
    if kind == 3:
        return 0
    if kind == 4:
        return spacing * 40
    return dice.below(spacing)


def pauses(dice, spacing, height):
    return 14 * 86400 if height % 97 == 96 else 1 + dice.below(spacing)


def rush(dice, spacing, height):
    return 0 if height < 250 else spacing * 30


SCENARIOS = [
    ("steady", 90, 60, 0x1E0FFFFF, 320, steady), ("rising", 90, 60, 0x1E0FFFFF, 420, rising),
    ("falling", 90, 60, 0x1E0FFFFF, 420, falling), ("forged", 90, 60, 0x1E0FFFFF, 420, forged),
    ("pauses", 90, 60, 0x1E0FFFFF, 420, pauses), ("rush", 90, 60, 0x1E0FFFFF, 420, rush),
    ("small window", 10, 600, 0x1D00FFFF, 200, falling), ("widest limit", 45, 15, 0x207FFFFF, 300, rush),
    ("widest limit, rising", 45, 15, 0x207FFFFF, 300, rising), ("long spacing", 144, 3600, 0x1B0404CB, 400, rising),
]


def scenario(number, name, window, spacing, limit_bits, count, gap):
    dice, limit = Dice(number), from_bits(limit_bits)
    times, bits, gaps = [1700000000], [limit_bits], []
    for height in range(1, count):
        bits.append(bits_due(times, bits, window, spacing, limit))
        gaps.append(gap(dice, spacing, height))
        times.append(times[-1] + gaps[-1])
    return {"name": name, "window": window, "spacing": spacing, "limit_bits": limit_bits, "start": times[0],
            "gaps": gaps, "bits": bits[1:]}


def relief_cases():
    dice, limit = Dice(99), from_bits(0x1E0FFFFF)
    cases = []
    for i in range(60):
        bits = to_bits(limit >> dice.below(200))
        parent = 1700000000 + dice.below(1000000)
        late = [0, 1199, 1200, 1201, 2399, 2400, 1200 * 30, 1200 * 255, 1200 * 256, 1200 * 3000, -5000][i % 11]
        target = relieved(bits, parent + late, parent, 60, 20, limit)
        cases.append([bits, parent + late, parent, "%x" % target, "%x" % ((1 << 256) // (target + 1))])
    return cases


def text():
    rows = [json.dumps(scenario(i, *row), separators=(",", ":")) for i, row in enumerate(SCENARIOS)]
    cases = [json.dumps(case, separators=(",", ":")) for case in relief_cases()]
    return '{"scenarios":[\n%s\n],"relief":[\n%s\n]}\n' % (",\n".join(rows), ",\n".join(cases))


def main():
    if "--check" in sys.argv[1:]:
        with open(PATH) as f:
            if f.read() != text():
                sys.exit("lwma_vectors.json is not what lwma.py makes")
        return
    with open(PATH, "w") as f:
        f.write(text())


main()
