"""The JSON-RPC server under good, bad and hostile requests."""
import base64
import json
import os
import socket
import subprocess
import sys
import threading

from framework import ROOT, CoinTest, Node, RpcError, wait_until


class Server(CoinTest):
    def setUp(self):
        super().setUp()
        self.a = self.node().start()

    def raw(self, body, **options):
        status, headers, answer = self.a.post(body if isinstance(body, (str, bytes)) else json.dumps(body), **options)
        return status, json.loads(answer) if answer else None

    def test_versions_of_json_rpc(self):
        status, answer = self.raw({"method": "getblockcount", "id": "x"})
        self.assertEqual((status, answer), (200, {"result": 0, "error": None, "id": "x"}))
        status, answer = self.raw({"jsonrpc": "2.0", "method": "getblockcount", "id": 7})
        self.assertEqual((status, answer), (200, {"jsonrpc": "2.0", "result": 0, "id": 7}))
        status, answer = self.raw({"jsonrpc": "2.0", "method": "getblockcount"})
        self.assertEqual((status, answer), (204, None))
        status, answer = self.raw({"method": "getblockhash", "params": [5], "id": 1})
        self.assertEqual((status, answer["error"]["code"], answer["result"]), (500, -8, None))
        status, answer = self.raw({"jsonrpc": "2.0", "method": "getblockhash", "params": [5], "id": 1})
        self.assertEqual((status, answer["error"]["code"], "result" in answer), (200, -8, False))
        status, answer = self.raw({"method": "nosuch", "id": 1})
        self.assertEqual((status, answer["error"]["code"]), (404, -32601))

    def test_batches(self):
        status, answer = self.raw([{"method": "getblockcount", "id": 1}, {"method": "nosuch", "id": 2},
                                   {"jsonrpc": "2.0", "method": "getblockcount", "id": 3},
                                   {"jsonrpc": "2.0", "method": "getblockcount"}, 5])
        self.assertEqual(status, 200)
        self.assertEqual(answer[0], {"result": 0, "error": None, "id": 1})
        self.assertEqual(answer[1]["error"]["code"], -32601)
        self.assertEqual(answer[2], {"jsonrpc": "2.0", "result": 0, "id": 3})
        self.assertEqual(answer[3]["error"]["code"], -32600)
        self.assertEqual(len(answer), 4)

    def test_bad_requests(self):
        cases = {b"": -32700, b"{": -32700, b"[1,": -32700, b"{}": -32600, b'"x"': -32600, b'{"method":5}': -32600,
                 b'{"method":"getblockcount","params":5}': -32600, b"\xff\xfe": -32700, b"[" * 5000: -32700,
                 b'{"a":1,"a":2}': -32700}
        for body, code in cases.items():
            status, answer = self.raw(body)
            self.assertIn(status, (400, 500), body[:40])
            self.assertEqual(answer["error"]["code"], code, body[:40])
        self.assertEqual(self.a.getblockcount(), 0)

    def test_arguments(self):
        self.expect_error(-8, "Unknown named parameter", self.a.call, "getblockhash", named={"hite": 0})
        self.assertEqual(self.a.call("getblockhash", named={"height": 0}), self.a.getblockhash(0))
        self.assertEqual(self.a.call("getblockhash", named={"args": [0]}), self.a.getblockhash(0))
        self.expect_error(-8, "specified twice both as positional and named argument", self.a.call, "getblockhash", named={"args": [0], "height": 0})
        self.expect_error(-1, "getblockhash", self.a.getblockhash)
        self.expect_error(-1, "getblockhash", self.a.getblockhash, 1, 2)
        self.expect_error(-3, "not of expected type number", self.a.getblockhash, "0")
        self.expect_error(-8, "must be of length 64", self.a.getblock, "abc")
        self.expect_error(-8, "must be hexadecimal string", self.a.getblock, "g" * 64)
        self.expect_error(-5, "Block not found", self.a.getblock, "0" * 64)

    def test_http(self):
        self.assertEqual(self.a.post("{}", headers={})[0], 401)
        wrong = {"Authorization": "Basic " + base64.b64encode(b"__cookie__:wrong").decode()}
        self.assertEqual(self.a.post("{}", headers=wrong)[0], 401)
        self.assertEqual(self.a.post(None, method="GET")[0], 405)
        self.assertEqual(self.a.post("{}", path="/nosuch")[0], 404)
        _, headers, _ = self.a.post('{"method":"getblockcount"}')
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertIn("Content-Length", headers)

    def test_hostile_bytes(self):
        for sent in (b"\x00" * 100, b"GET " + b"a" * 100000, b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                     b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
                     b"POST / HTTP/1.1\r\n" + b"X: y\r\n" * 5000, b"POST / HTTP/9.9\r\n\r\n",
                     b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nzz\r\n"):
            with socket.create_connection(("127.0.0.1", self.a.rpc_port), timeout=30) as s:
                try:
                    s.sendall(sent)
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(65536):
                        pass
                except OSError:
                    pass
        self.assertEqual(self.a.getblockcount(), 0)

    def test_large_request(self):
        text = "x" * (10 << 20)
        self.assertEqual(len(self.a.echo(text)[0]), len(text))

    def test_waiting_calls_shut_nobody_out(self):
        waiting = []

        def wait():
            other = Node(self.a.dir)
            other.rpc_port = self.a.rpc_port
            waiting.append(other.waitforblockheight(1))
        threads = [threading.Thread(target=wait) for _ in range(30)]
        for t in threads:
            t.start()
        wait_until(lambda: sum(c["method"] == "waitforblockheight" for c in self.a.getrpcinfo()["active_commands"]) == 30)
        self.assertEqual(self.a.getblockcount(), 0)
        self.a.mine(1)
        for t in threads:
            t.join(60)
        self.assertEqual([w["height"] for w in waiting], [1] * 30)

    def test_stop_ends_waiting_calls(self):
        result = []

        def wait():
            other = Node(self.a.dir)
            other.rpc_port = self.a.rpc_port
            result.append(other.waitfornewblock())
        t = threading.Thread(target=wait)
        t.start()
        wait_until(lambda: any(c["method"] == "waitfornewblock" for c in self.a.getrpcinfo()["active_commands"]))
        self.a.stop()
        t.join(60)
        self.assertEqual(result[0]["height"], 0)


class Passwords(CoinTest):
    def test_user_password_and_rpcauth(self):
        made = subprocess.run([sys.executable, os.path.join(ROOT, "contrib", "rpcauth"), "carol", "pa:ss"],
                              capture_output=True, text=True, check=True).stdout
        line = next(x for x in made.split("\n") if x.startswith("rpcauth="))
        node = self.node("-rpcuser=bob", "-rpcpassword=word", "-" + line).start(wait=False)

        def count(pair):
            headers = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
            return node.post('{"method":"getblockcount"}', headers=headers)[0]

        def listens():
            try:
                return count("bob:word") == 200
            except OSError:
                return False
        wait_until(listens, "the node")
        self.assertEqual(count("carol:pa:ss"), 200)
        self.assertEqual(count("carol:pass"), 401)
        self.assertEqual(count("bob:"), 401)
        self.assertFalse(os.path.exists(os.path.join(node.chain_dir, ".cookie")))
        node.credentials = lambda: "bob:word"
        node.stop()
