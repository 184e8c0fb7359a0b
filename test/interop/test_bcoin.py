"""bcoin, an independent full node in JavaScript, and coind on one regtest: each syncs from the other, mines for it, takes its payments
and compact blocks, and both come to the same branch. bcoin counts signals as BIP9 says and knows no taproot, so segwit and CSV begin
at 432 here; it speaks the plain transport only."""
import base64
import http.client
import json
import os
import socket
import subprocess

from blocks import Coin, Key, Out, hash160, p2wpkh, sighash_v0, spend
from framework import BUILD, CoinTest, free_port, wait_until

PROGRAM = os.path.join(BUILD, "interop/node_modules/bcoin/bin/node")
RULES = ("-testactivationheight=segwit@432", "-testactivationheight=csv@432", "-blockversion=536870915")
ACTIVE = 440  # blocks: segwit counts
KEY = Key(11)
FEE = 10_000


class Bcoin:
    """One bcoin with its chain in memory."""

    def __init__(self, folder, dial=None):
        os.makedirs(folder)
        self.port, self.rpc_port = free_port(), free_port()
        self.log_path = os.path.join(folder, "log")
        self.log = open(self.log_path, "wb")
        self.process = subprocess.Popen(
            ["node", PROGRAM, "--network=regtest", "--memory=true", f"--prefix={folder}/data", "--no-dns=true", "--discover=false",
             "--no-wallet=true", "--listen=true", "--host=127.0.0.1", f"--port={self.port}", "--http-host=127.0.0.1",
             f"--http-port={self.rpc_port}", "--api-key=test", f"--only=127.0.0.1:{dial.port if dial else free_port()}"],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, env={**os.environ, "NODE_BACKEND": "js"})
        wait_until(self.is_ready, "bcoin to start")

    def is_ready(self):
        assert self.process.poll() is None, open(self.log_path).read()
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()  # seconds after its RPC
            return self.call("getblockcount") is not None
        except OSError:
            return False

    def call(self, method, *params):
        connection = http.client.HTTPConnection("127.0.0.1", self.rpc_port, timeout=60)
        try:
            connection.request("POST", "/", json.dumps({"method": method, "params": params, "id": 1}), {
                "Authorization": "Basic " + base64.b64encode(b"x:test").decode(), "Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        assert answer["error"] is None, answer["error"]
        return answer["result"]

    def __getattr__(self, name):
        return lambda *params: self.call(name, *params)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


class Interop(CoinTest):
    def bcoin(self, dial=None):
        bcoin = Bcoin(os.path.join(self.folder, f"bcoin{free_port()}"), dial)
        self.addCleanup(bcoin.stop)
        return bcoin

    def coind(self):
        return self.node(*RULES).start()

    def mine(self, node, count):
        answer = node.decodescript(p2wpkh(KEY).hex())  # each writes addresses in its own way
        return node.generatetoaddress(count, answer.get("address") or answer["addresses"][0])

    def pay(self, coin):
        """Two outputs of half the coin."""
        tx = spend(coin, outs=[Out((coin.value - FEE) // 2, p2wpkh(KEY))] * 2)
        code = b"\x76\xa9\x14" + hash160(KEY.pub) + b"\x88\xac"
        tx.ins[0].witness = [KEY.der(sighash_v0(tx, 0, code, coin.value)), KEY.pub]
        return tx

    def coin_at(self, node, height):
        block = node.getblock(node.getblockhash(height), 2)
        out = block["tx"][0]["vout"][0]
        return Coin(bytes.fromhex(block["tx"][0]["txid"])[::-1], 0, round(float(out["value"]) * 10**8), p2wpkh(KEY))

    def agree(self, a, b):
        wait_until(lambda: a.getbestblockhash() == b.getbestblockhash(), "the same tip")

    def dial(self, node, bcoin):
        node.addnode(f"127.0.0.1:{bcoin.port}", "onetry", False)
        wait_until(lambda: any("bcoin" in p["subver"] for p in node.getpeerinfo()), "a handshake")

    def test_it_syncs_from_us(self):
        node = self.coind()
        self.mine(node, ACTIVE)
        bcoin = self.bcoin(node)
        self.agree(node, bcoin)
        self.assertEqual(bcoin.getblockcount(), ACTIVE)

    def test_we_sync_from_it(self):
        node, bcoin = self.coind(), self.bcoin()
        self.mine(bcoin, ACTIVE)
        self.dial(node, bcoin)
        self.agree(node, bcoin)
        self.assertEqual(node.getblockcount(), ACTIVE)

    def test_payments_and_blocks(self):
        """Payments both ways; blocks with them and with unknown ones both ways, as compact blocks."""
        node = self.coind()
        self.mine(node, ACTIVE)
        bcoin = self.bcoin(node)
        self.agree(node, bcoin)
        ours, its, hidden = (self.pay(self.coin_at(node, height)) for height in (1, 2, 3))
        self.assertEqual(node.sendrawtransaction(ours.encode().hex()), ours.txid()[::-1].hex())
        self.assertEqual(bcoin.sendrawtransaction(its.encode().hex()), its.txid()[::-1].hex())
        both = {ours.txid()[::-1].hex(), its.txid()[::-1].hex()}
        wait_until(lambda: set(node.getrawmempool()) == both, "its payment here")
        wait_until(lambda: set(bcoin.getrawmempool()) == both, "our payment there")
        # A block with both and one that it never heard of: it has to ask for that.
        node.generateblock(node.decodescript(p2wpkh(KEY).hex())["address"], [*sorted(both), hidden.encode().hex()])
        self.agree(node, bcoin)
        self.assertEqual((node.getrawmempool(), bcoin.getrawmempool()), ([], []))
        sent = node.getpeerinfo()[0]["bytessent_per_msg"]
        self.assertGreater(sent["cmpctblock"], 0)
        self.assertGreater(sent["blocktxn"], 0)
        child = self.pay(hidden.coin(1))
        bcoin.sendrawtransaction(child.encode().hex())
        wait_until(lambda: node.getrawmempool(), "its second payment")
        self.mine(bcoin, 1)
        self.agree(node, bcoin)
        self.assertEqual(node.getrawmempool(), [])
        self.assertIn(child.txid()[::-1].hex(), node.getblock(node.getbestblockhash())["tx"])
        self.assertEqual(node.gettxout(child.txid()[::-1].hex(), 0)["confirmations"], 1)

    def test_branches_meet(self):
        node = self.coind()
        self.mine(node, ACTIVE)
        bcoin = self.bcoin(node)
        self.agree(node, bcoin)
        node.setnetworkactive(False)
        wait_until(lambda: not node.getpeerinfo() and not bcoin.getpeerinfo(), "the split")
        lost = self.mine(node, 2)
        self.mine(bcoin, 4)
        node.setnetworkactive(True)
        self.dial(node, bcoin)
        self.agree(node, bcoin)
        self.assertEqual(node.getblockcount(), ACTIVE + 4)
        self.assertEqual(node.getblockheader(lost[-1])["confirmations"], -1)
        node.disconnectnode(f"127.0.0.1:{bcoin.port}")
        wait_until(lambda: not bcoin.getpeerinfo(), "the split")
        self.mine(bcoin, 1)
        self.mine(node, 3)
        self.dial(node, bcoin)
        self.agree(node, bcoin)
        self.assertEqual(bcoin.getblockcount(), ACTIVE + 7)
