"""coind and coin-cli from the outside: options, files, errors, exit statuses."""
import json
import os
import signal
import subprocess
import unittest

from framework import BUILD, ROOT, CoinTest, Node, free_port, wait_until


def coind(*args, home=None):
    env = dict(os.environ, HOME=home) if home else None
    done = subprocess.run([os.path.join(BUILD, "coind"), *args], capture_output=True, text=True, timeout=60, env=env)
    return done.returncode, done.stdout, done.stderr


class Options(CoinTest):
    def test_help_and_version(self):
        for flag in ("-help", "-h", "-?", "--help", "-help-debug"):
            status, out, err = coind(flag)
            self.assertEqual((status, err), (0, ""))
            self.assertIn("-datadir=<dir>", out)
        status, out, err = coind("-version")
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, r"^coind version v\d")

    def test_bad_arguments(self):
        cases = {
            ("-nosuchthing",): "Error: Error parsing command line arguments: Invalid parameter -nosuchthing",
            ("-dbcahce=5",): "-dbcache",
            ("-datadir=/nonexistent/dir",): 'Error: Specified data directory "/nonexistent/dir" does not exist.',
            ("-regtest", "-signet"): "Can use at most one",
            ("-chain=nosuch",): "nosuch",
        }
        for args, words in cases.items():
            status, out, err = coind(*args, home=self.folder)
            self.assertEqual(status, 1, args)
            self.assertIn(words, err)
            self.assertEqual(err.count("\n"), 1, err)
            self.assertTrue(err.startswith("Error: "), err)

    def test_bad_files(self):
        cases = {
            "nosuchthing=1\n": "unknown option nosuchthing",
            "regtest\n": "parse error on line 1",
            "-server=1\n": "without leading -",
            "[regtest]\nnosuch=1\n": "nosuch",
        }
        for text, words in cases.items():
            with open(os.path.join(self.folder, "coin.conf"), "w") as f:
                f.write(text)
            status, _, err = coind(f"-datadir={self.folder}", "-regtest" if "[" in text else "-server=1")
            self.assertEqual(status, 1, text)
            self.assertIn("Error: Error reading configuration file: ", err)
            self.assertIn(words, err)

    def test_bitcoin_conf(self):
        """Bitcoin's own file works as it is."""
        node = self.node()
        with open(os.path.join(node.dir, "bitcoin.conf"), "w") as f:
            f.write(f"# a comment\nregtest=1\nserver=1\nincludeconf=more.conf\n[regtest]\nrpcport={node.rpc_port}\n"
                    f"rpcuser=u\nrpcpassword=p\nport={node.port}\nbind=127.0.0.1\n[main]\nrpcport=1\n")
        with open(os.path.join(node.dir, "more.conf"), "w") as f:
            f.write("uacomment=included\n")
        command = [os.path.join(BUILD, "coind"), f"-datadir={node.dir}", "-conf=bitcoin.conf"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            done = subprocess.run([os.path.join(BUILD, "coin-cli"), f"-datadir={node.dir}", "-conf=bitcoin.conf",
                                   "-rpcwait", "getnetworkinfo"], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("included", json.loads(done.stdout)["subversion"])
            self.assertFalse(os.path.exists(os.path.join(node.dir, "regtest", ".cookie")))
        finally:
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, err), (0, b""))

    def test_one_node_per_folder(self):
        node = self.node().start()
        status, _, err = coind(*node.command(f"-rpcport={free_port()}")[1:])
        self.assertEqual(status, 1)
        self.assertIn("Cannot obtain a lock on directory", err)
        self.assertIn("coind is probably already running", err)
        node.stop()

    def test_port_in_use(self):
        first, second = self.node().start(), self.node()
        second.port = first.port
        second.start(wait=False)
        err = second.expect_end(1)
        self.assertIn("Unable to bind to 127.0.0.1", err)
        first.stop()

    def test_files_and_signals(self):
        node = self.node().start()
        for name in ("blocks/blk00000.dat", "blocks/index", "chainstate", "wallets", ".cookie", "debug.log", "coind.pid", ".lock"):
            self.assertTrue(os.path.exists(os.path.join(node.chain_dir, name)), name)
        for name in (".cookie", "debug.log"):
            self.assertEqual(os.stat(os.path.join(node.chain_dir, name)).st_mode & 0o777, 0o600, name)
        with open(os.path.join(node.chain_dir, "coind.pid")) as f:
            self.assertEqual(int(f.read()), node.process.pid)
        node.process.send_signal(signal.SIGHUP)  # after log rotation
        node.getblockcount()
        for number in (signal.SIGINT, signal.SIGTERM):
            if node.process is None:
                node.start()
            node.process.send_signal(number)
            node.expect_end(0)
        for name in (".cookie", "coind.pid"):
            self.assertFalse(os.path.exists(os.path.join(node.chain_dir, name)), name)

    def test_other_rules_are_refused(self):
        """A chain file may change its ports, but not its rules, under a ledger that was built by them."""
        with open(os.path.join(ROOT, "genesis", "regtest.json")) as f:
            rules = json.load(f)
        rules["name"] = "mine"
        path = os.path.join(self.folder, "mine.json")

        def write(**changes):
            with open(path, "w") as f:
                json.dump(dict(rules, **changes), f)
        write()
        node = self.node(f"-chain={path}")
        node.chain = "mine"
        node.command = lambda *extra: [x for x in Node.command(node, *extra) if x != "-chain=mine"]
        node.start()
        node.mine(1)
        node.stop()
        write(p2p_port=1234)
        node.start()
        node.stop()
        write(halving_interval=151)
        node.start(wait=False)
        self.assertIn("rules", node.expect_end(1))

    def test_daemon(self):
        node = self.node()
        status, out, err = coind(*node.command("-daemon")[1:])
        self.assertEqual((status, out, err), (0, "coind starting\n", ""))
        status, out, err = node.cli("-rpcwait", "getblockcount")
        self.assertEqual((status, out, err), (0, "0\n", ""))
        with open(os.path.join(node.chain_dir, "coind.pid")) as f:
            pid = int(f.read())
        self.assertEqual(node.cli("stop")[:2], (0, "coind stopping\n"))
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the daemon's end")


class CoinCli(CoinTest):
    def test_no_node(self):
        node = self.node()
        status, out, err = node.cli("getblockcount")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("error: Could not connect to the server 127.0.0.1", err)
        self.assertIn("coind -daemon", err)

    def test_results_and_statuses(self):
        node = self.node().start()
        genesis = node.getblockhash(0)
        self.assertEqual(node.cli("getblockhash", "0"), (0, genesis + "\n", ""))
        self.assertEqual(node.cli("-named", "getblockhash", "height=0"), (0, genesis + "\n", ""))
        self.assertEqual(node.cli("-stdin", "getblockhash", stdin="0\n"), (0, genesis + "\n", ""))
        self.assertEqual(json.loads(node.cli("getblock", genesis, "1")[1])["height"], 0)
        self.assertEqual(json.loads(node.cli("-named", "getblock", genesis, "verbosity=1")[1])["height"], 0)
        status, out, err = node.cli("getblockhash", "7")
        self.assertEqual((status, out), (8, ""))
        self.assertEqual(err, "error code: -8\nerror message:\nBlock height out of range\n")
        status, _, err = node.cli("nosuchcall")
        self.assertEqual(status, 32601 % 256 if status < 256 else 32601)
        self.assertIn("Method not found", err)
        self.assertIn("Error parsing JSON", node.cli("getblockhash", "zero")[2])
        self.assertEqual(node.cli("-rpcuser=u", "-rpcpassword=wrong", "getblockcount")[0], 1)
        self.assertIn("Authorization failed", node.cli("-rpcuser=u", "-rpcpassword=wrong", "getblockcount")[2])
        self.assertEqual(node.cli("-stdinrpcpass", "-rpcuser=__cookie__", "getblockcount",
                                  stdin=node.credentials().split(":")[1] + "\n")[:2], (0, "0\n"))
        self.assertEqual(node.cli("setmocktime", "1700000000"), (0, "", ""))  # null prints nothing
        node.setmocktime(0)
        self.assertIn("Chain: regtest", node.cli("-getinfo")[1])
        node.stop()

    def test_every_call_has_help(self):
        node = self.node().start()
        listed = [line.split()[0] for line in node.help().split("\n") if line and not line.startswith("==")]
        self.assertGreater(len(listed), 60)
        for name in listed:
            text = node.help(name)
            self.assertTrue(text.startswith(name), text)
            self.assertIn("Result", text)
            self.assertIn("coin-cli " + name, text)
        node.stop()


if __name__ == "__main__":
    unittest.main()
