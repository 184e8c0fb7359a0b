#!/usr/bin/env python3
"""A whole node: how long until it answers, what it takes idle (anonymous and resident memory), and how fast a
second node takes over a chain of 2,000 blocks. bench_node.py [--build DIR]"""
import argparse
import os
import statistics
import sys
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("--build", default="build")
given = parser.parse_args()
os.environ["COIN_BUILD"] = os.path.abspath(given.build)
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "functional"))
from framework import Node, wait_until  # noqa: E402


def memory_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        fields = dict(line.split(":", 1) for line in f)
    return int(fields["RssAnon"].split()[0]), int(fields["VmRSS"].split()[0])


def main():
    with tempfile.TemporaryDirectory(prefix="coin-bench-") as folder:
        node, times = Node(os.path.join(folder, "a"), "-connect=0"), []
        for _ in range(5):
            began = time.monotonic()
            node.start()
            times.append(time.monotonic() - began)
            node.stop()
        print(f"node: starts and answers in {statistics.median(times) * 1000:.0f} ms")
        node.options = []
        node.start()
        time.sleep(1)
        anonymous, resident = memory_kb(node.process.pid)
        print(f"node: idle memory {anonymous / 1024:.1f} MiB anonymous, {resident / 1024:.1f} MiB resident")
        node.mine(2000)
        other = Node(os.path.join(folder, "b")).start()
        began = time.monotonic()
        other.connect(node)
        wait_until(lambda: other.getblockcount() == 2000, "the sync")
        print(f"node: {2000 / (time.monotonic() - began):.0f} small blocks per second from a peer on this machine")
        other.stop()
        node.stop()


if __name__ == "__main__":
    main()
