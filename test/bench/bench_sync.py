#!/usr/bin/env python3
"""The ledger inside a whole node: chains of three kinds taken in from a file (-loadblock), from a peer, and from what
is on disk (-reindex-chainstate, -reindex); how long the stop after it and the next start take; what an RPC client
waits meanwhile; memory. Where there is a bare library or a bare read to compare with, it is measured in the same run.
    bench_sync.py [--build DIR] [--full] [--only KIND]
--full: 200,000 signatures, 1.5 million coins, 20,000 blocks; otherwise a quarter."""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("--build", default="build")
parser.add_argument("--full", action="store_true")
parser.add_argument("--only")
given = parser.parse_args()
BUILD = os.path.abspath(given.build)
os.environ["COIN_BUILD"] = BUILD
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "functional"))
from framework import Node, wait_until  # noqa: E402

MAKE_CHAIN = os.path.join(BUILD, "test", "bench", "make_chain")
SIZES = {"signed": 201000, "coins": 1500000, "small": 20000}
OPTIONS = ("-assumevalid=0", "-dbcache=450", "-connect=0", "-checkblocks=6")
POLL_S = 0.002


class Delay(threading.Thread):
    """A client that asks for the height over one connection, again and again."""

    def __init__(self, node):
        super().__init__()
        self.node, self.times, self.over = node, [], False

    def run(self):
        while not self.over:
            began = time.monotonic()
            try:
                self.node.call("getblockcount")
            except Exception:
                break
            self.times.append(time.monotonic() - began)
            time.sleep(POLL_S)

    def end(self):
        self.over = True
        self.join()
        times = sorted(self.times) or [0]
        return times[len(times) // 2] * 1000, times[min(len(times) - 1, len(times) * 99 // 100)] * 1000


def memory_mib(node):
    with open(f"/proc/{node.process.pid}/status") as f:
        fields = dict(line.split(":", 1) for line in f)
    return int(fields["VmHWM"].split()[0]) / 1024, int(fields["RssAnon"].split()[0]) / 1024


def cpu_s(node):
    with open(f"/proc/{node.process.pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until_height(node, height):
    """Seconds until the tip is there, by a connection of its own."""
    began = time.monotonic()
    node.call("waitforblockheight", height, 600000)
    return time.monotonic() - began


def read_rate(path):
    with open(path, "rb") as f:
        while f.read(1 << 20):
            pass
    began, size = time.monotonic(), 0
    with open(path, "rb") as f:
        while data := f.read(1 << 20):
            size += len(data)
    return size / (time.monotonic() - began) / 1e6


def started(node, *options):
    """From the exec of the process to the first answer."""
    began = time.monotonic()
    node.start(*options, wait=False)
    wait_until(node.is_ready, "the start")
    return time.monotonic() - began


def stopped(node):
    began = time.monotonic()
    node.stop()
    return time.monotonic() - began


class Run:
    def __init__(self, folder, kind, rate):
        self.kind, self.rate, self.folder = kind, rate, folder
        count = SIZES[kind] if given.full else SIZES[kind] // 4
        self.path = os.path.join(folder, f"{kind}.dat")
        out = subprocess.run([MAKE_CHAIN, kind, str(count), self.path], check=True, capture_output=True, text=True)
        words = out.stdout.split()
        self.height, self.inputs, self.count = int(words[0]), int(words[2]), count
        self.size_mb = os.path.getsize(self.path) / 1e6

    def row(self, what, seconds, more=""):
        rates = {"signed": f"{self.inputs / seconds:,.0f} signatures/s", "coins": f"{self.count / seconds:,.0f} coins/s",
                 "small": f"{self.height / seconds:,.0f} blocks/s"}
        ratio = ""
        if self.kind == "signed" and self.rate:
            ratio = f", {self.inputs / seconds / self.rate:.2f} of the bare rate (goal 0.90)"
        print(f"{self.kind:7} {what:24} {seconds:7.2f} s  {self.size_mb / seconds:6.0f} MB/s  "
              f"{rates[self.kind]}{ratio}{more}", flush=True)

    def go(self):
        node = Node(os.path.join(self.folder, self.kind), *OPTIONS)
        other = Node(os.path.join(self.folder, self.kind + "-peer"), *OPTIONS[:-2])
        began = time.monotonic()
        node.start(f"-loadblock={self.path}", wait=False)
        wait_until(node.is_ready, "the start")
        delay = Delay(node)
        delay.start()
        waiter = Node.__new__(Node)
        waiter.__dict__.update(node.__dict__, connection=None)
        until_height(waiter, self.height)
        self.row("-loadblock", time.monotonic() - began,
                 f"; CPU {cpu_s(node):.2f} s, peak {memory_mib(node)[0]:.0f} MiB; reading alone {read_rate(self.path):.0f} MB/s")
        p50, p99 = delay.end()
        print(f"{self.kind:7} an RPC client waits meanwhile {p50:.1f} ms, 99 of 100 below {p99:.1f} ms (goal 20)")
        self.serve(node, other)
        took = stopped(node)
        starts = []
        for _ in range(3):
            starts.append(started(node))
            node.stop()
        print(f"{self.kind:7} stop {took * 1000:.0f} ms; start until the first answer {statistics.median(starts) * 1000:.0f} ms")
        for option in ("-reindex-chainstate", "-reindex"):
            began = time.monotonic()
            node.start(option)
            until_height(node, self.height)
            self.row(option, time.monotonic() - began)
            node.stop()
        for n in (node, other):
            shutil.rmtree(n.dir)
        os.remove(self.path)

    def serve(self, node, other):
        """A second node takes the chain over by the network."""
        other.start()
        began = time.monotonic()
        other.call("addnode", f"127.0.0.1:{node.port}", "onetry")
        until_height(other, self.height)
        self.row("from a peer", time.monotonic() - began, f"; CPU {cpu_s(other):.2f} s, peak {memory_mib(other)[0]:.0f} MiB")
        took = stopped(other)
        print(f"{self.kind:7} stop after that {took * 1000:.0f} ms")


def main():
    with tempfile.TemporaryDirectory(prefix="coin-bench-") as folder:
        rate = float(subprocess.run([MAKE_CHAIN, "rate"], check=True, capture_output=True, text=True).stdout)
        print(f"bare libsecp256k1 on all cores: {rate:,.0f} signatures/s")
        for kind in SIZES:
            if given.only in (None, kind):
                Run(folder, kind, rate).go()


if __name__ == "__main__":
    main()
