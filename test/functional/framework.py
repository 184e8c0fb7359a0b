"""Real nodes in temporary folders: what every functional test stands on.

Each test gets its own nodes, which listen on 127.0.0.1 on free ports only, and are ended with it. When a
test fails, the ends of its nodes' logs are printed."""
import base64
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.parse
from decimal import Decimal

BUILD = os.path.abspath(os.environ.get("COIN_BUILD", "build"))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Sanitizers make everything slower; no test measures time, so waiting longer costs nothing when all is well.
PATIENCE_S = 120
REGTEST_ADDRESS = "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202"  # of no key: coins that nobody spends


class RpcError(Exception):
    def __init__(self, error, status):
        super().__init__(f"{error.get('message')} ({error.get('code')})")
        self.code, self.message, self.status = error.get("code"), error.get("message"), status


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, what="a condition", patience_s=PATIENCE_S):
    """Polls until condition() is true; its value is returned."""
    end, pause_s = time.monotonic() + patience_s, 0.01
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience_s} s in vain for {what}")
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.25)


class Node:
    """One coind. Options given here count for every start."""

    def __init__(self, folder, *options, chain="regtest"):
        self.dir, self.chain, self.options = folder, chain, list(options)
        os.makedirs(folder, exist_ok=True)
        self.port, self.rpc_port = free_port(), free_port()
        self.process, self.connection = None, None
        self.environment = {}  # more variables for the process

    @property
    def chain_dir(self):
        return self.dir if self.chain == "coin" else os.path.join(self.dir, self.chain)

    def command(self, *extra):
        return [os.path.join(BUILD, "coind"), f"-datadir={self.dir}", f"-chain={self.chain}", f"-port={self.port}",
                f"-bind=127.0.0.1:{self.port}", f"-rpcport={self.rpc_port}", "-landiscovery=0", "-dnsseed=0",
                "-fixedseeds=0", "-listenonion=0", *(["-fallbackfee=0.0001"] if self.chain == "regtest" else []), *self.options, *extra]

    def start(self, *extra, wait=True):
        assert self.process is None
        self.output = open(os.path.join(self.dir, "stdout"), "ab")
        self.errors = open(os.path.join(self.dir, "stderr"), "w+b")
        self.process = subprocess.Popen(self.command(*extra), stdout=self.output, stderr=self.errors,
                                        stdin=subprocess.DEVNULL, env={**os.environ, **self.environment})
        if wait:
            wait_until(self.is_ready, f"{self.dir} to start")
        return self

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"coind ended with {self.process.returncode}: {self.stderr_text()}")
        try:
            self.call("getblockcount")
            return True
        except RpcError as e:
            if e.code != -28:
                raise
            return False
        except (OSError, http.client.HTTPException):
            return False

    def stderr_text(self):
        try:
            with open(os.path.join(self.dir, "stderr"), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def stop(self):
        """A clean end: status 0, nothing on stderr."""
        self.call("stop")
        self.expect_end(0)

    def expect_end(self, status):
        got = self.process.wait(PATIENCE_S)
        self.forget()
        text = self.stderr_text()
        assert got == status, f"coind ended with {got}, not {status}: {text}"
        if status == 0:
            assert text == "", f"stderr of a good run: {text}"
        return text

    def kill(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.forget()

    def forget(self):
        self.process = None
        self.output.close()
        self.errors.close()
        if self.connection:
            self.connection.close()
            self.connection = None

    def credentials(self):
        with open(os.path.join(self.chain_dir, ".cookie")) as f:
            return f.read()

    def post(self, body, path="/", headers=None, method="POST", timeout=PATIENCE_S):
        """One HTTP exchange: (status, headers, body)."""
        if self.connection is None or self.connection.timeout != timeout:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.rpc_port, timeout=timeout)
        if headers is None:
            headers = {"Authorization": "Basic " + base64.b64encode(self.credentials().encode()).decode(),
                       "Content-Type": "application/json"}
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise

    def call(self, method, *params, wallet=None, named=None):
        path = "/" if wallet is None else "/wallet/" + urllib.parse.quote(wallet, safe="")
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": named if named is not None else list(params)}
        status, _, body = self.post(json.dumps(request, default=str), path)
        if not body:
            raise http.client.HTTPException(f"HTTP {status} without a body")
        answer = json.loads(body, parse_float=Decimal)
        if answer.get("error"):
            raise RpcError(answer["error"], status)
        return answer["result"]

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *params, **options: self.call(name, *params, **options)

    def cli(self, *args, stdin=None):
        """coin-cli: (status, stdout, stderr)."""
        command = [os.path.join(BUILD, "coin-cli"), f"-datadir={self.dir}", f"-chain={self.chain}",
                   f"-rpcport={self.rpc_port}", *args]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=PATIENCE_S)
        return done.returncode, done.stdout, done.stderr

    def log(self):
        try:
            with open(os.path.join(self.chain_dir, "debug.log"), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def mine(self, count, address=REGTEST_ADDRESS):
        return self.call("generatetoaddress", count, address)

    def connect(self, other):
        self.call("addnode", f"127.0.0.1:{other.port}", "onetry")
        wait_until(lambda: any(p["version"] for p in self.call("getpeerinfo")) and
                   any(p["version"] for p in other.call("getpeerinfo")), "a handshake")

    def coins(self):
        """A fingerprint of chain and coins."""
        info = self.call("gettxoutsetinfo")
        return info["bestblock"], info["txouts"], info["hash_serialized_3"], info["total_amount"]


class CoinTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="coin-test-")
        self.nodes = []

    def tearDown(self):
        failed = any(error for _, error in getattr(self._outcome, "errors", [])) or \
            any(case is self for case, _ in self._outcome.result.failures + self._outcome.result.errors)
        for node in self.nodes:
            if failed:
                print(f"--- {node.dir}: stderr\n{node.stderr_text()[-2000:]}\n--- debug.log\n{node.log()[-4000:]}")
            node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def node(self, *options, chain="regtest"):
        """A new node, not started yet."""
        node = Node(os.path.join(self.folder, f"node{len(self.nodes)}"), *options, chain=chain)
        self.nodes.append(node)
        return node

    def pair(self, *options):
        a, b = self.node(*options).start(), self.node(*options).start()
        a.connect(b)
        return a, b

    def expect_error(self, code, words, run, *args, **options):
        with self.assertRaises(RpcError) as caught:
            run(*args, **options)
        self.assertEqual(caught.exception.code, code, caught.exception.message)
        self.assertIn(words, caught.exception.message)
        return caught.exception

    def agree(self, *nodes):
        """Waits until all have the same tip and the same mempool."""
        wait_until(lambda: len({n.getbestblockhash() for n in nodes}) == 1, "the same tip")
        wait_until(lambda: len({tuple(sorted(n.getrawmempool())) for n in nodes}) == 1, "the same mempool")


def code_blocks(path, language="sh"):
    """The fenced blocks of a Markdown file."""
    with open(path) as f:
        return re.findall(rf"```{language}\n(.*?)```", f.read(), re.S)
