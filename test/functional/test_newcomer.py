"""The README's words: its commands, run as a newcomer does, with a home of their own and free ports."""
import json
import os
import re
import subprocess
import unittest

from framework import BUILD, ROOT, CoinTest, code_blocks, free_port

PORTS = ("28777", "28776", "28977", "28976")
QUIET = "bind=127.0.0.1:{port}\nport={port}\nrpcport={rpc_port}\nlandiscovery=0\ndnsseed=0\nfixedseeds=0\nlistenonion=0\n"
TOUR_S = 580


class Newcomer(CoinTest):
    def setUp(self):
        super().setUp()
        self.home = os.path.join(self.folder, "home")
        self.env = dict(os.environ, HOME=self.home)
        self.ports = {port: str(free_port()) for port in PORTS}
        own = os.path.join(self.home, ".coin")
        os.makedirs(own)
        with open(os.path.join(own, "coin.conf"), "w") as f:
            f.write(QUIET.format(port=self.ports["28777"], rpc_port=self.ports["28776"]))
            f.write(f"[mycoin]\nrpcport={free_port()}\nconnect=0\nlisten=0\nlandiscovery=0\n")

    def tearDown(self):
        for folder, _, files in os.walk(self.home):
            if "coind.pid" in files:
                with open(os.path.join(folder, "coind.pid")) as f:
                    subprocess.run(["kill", "-KILL", f.read().strip()], check=False)
        super().tearDown()

    def blocks(self):
        """The commands of the README, with this test's ports and programs."""
        text = "\n".join(code_blocks(os.path.join(ROOT, "README.md")))
        second = "printf 'port=28977\\nrpcport=28976\\n'"
        self.assertIn(second, text)
        quiet = QUIET.format(port="28977", rpc_port="28976").replace("\n", "\\n")
        text = text.replace(second, f"printf '{quiet}'")
        for name, port in self.ports.items():
            text = text.replace(name, port)
        return text.replace("build/", BUILD + "/")

    def run_words(self, script):
        with open(os.path.join(self.folder, "out"), "w+") as out:
            done = subprocess.run(["sh", "-eux", "-c", script], env=self.env, cwd=ROOT, stdout=out,
                                  stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=TOUR_S, check=False)
            out.seek(0)
            return done.returncode, out.read()

    def test_tour(self):
        script = self.blocks()
        for words in ("-daemon", "-mine=1", "getbalance", "getnewaddress", "addnode", "sendtoaddress", "stop"):
            self.assertIn(words, script)
        status, out = self.run_words(script)
        self.assertEqual(status, 0, out[-6000:])
        said = re.split(r"^\+ ", out, flags=re.M)  # what each command printed, after its name

        def answer(*words):
            return [part.split("\n", 1)[1] for part in said if all(w in part.split("\n", 1)[0] for w in words)]
        self.assertRegex(answer("coin-cli getbalance")[-1], r"^\d+\.\d{8}\n")
        self.assertNotIn("0.00000000\n", answer("coin-cli getbalance")[-1:])
        self.assertEqual(len(answer("getwalletwords")[0].split()), 12)
        self.assertEqual(len(json.loads(answer("getpeerinfo")[0])), 1)
        self.assertRegex(answer("sendtoaddress")[0], r"^[0-9a-f]{64}\n")
        mine = json.loads(answer(".coin-second", "getbalances")[-1])["mine"]
        self.assertIn("1.00000000", (str(mine["trusted"]), str(mine["untrusted_pending"]),
                                     f'{mine["trusted"]:.8f}', f'{mine["untrusted_pending"]:.8f}'))
        self.assertEqual(json.loads(answer("getblockchaininfo")[0])["chain"], "mycoin")

    def test_first_commands(self):
        """The two commands that come first are what the project offers."""
        with open(os.path.join(ROOT, "README.md")) as f:
            commands = re.findall(r"^    (\S.*)$", f.read(), re.M)
        self.assertEqual(commands, ["contrib/install-deps && make -j2 && contrib/demo", "make check"])
        for script in ("contrib/install-deps", "contrib/demo"):
            self.assertTrue(os.access(os.path.join(ROOT, script), os.X_OK), script)

    def test_demo(self):
        env = dict(self.env, COIN_BUILD=BUILD, TMPDIR=self.folder)
        done = subprocess.run([os.path.join(ROOT, "contrib", "demo"), "15"], env=env, capture_output=True, text=True,
                              timeout=TOUR_S, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        rows = [line.split() for line in done.stdout.splitlines() if re.match(r"^ +\d+ +\d+ ", line)]
        self.assertEqual([row[0] for row in rows], ["0", "5", "10"])
        blocks, immature = [int(row[1]) for row in rows], [float(row[2]) + float(row[3]) for row in rows]
        self.assertGreater(blocks[-1], blocks[0])
        self.assertGreater(immature[-1], immature[0])
        self.assertEqual(os.listdir(self.home), [".coin"])
        self.assertFalse([name for name in os.listdir(self.folder) if name.startswith("tmp.")])

    def test_links(self):
        """Every file that a page points to is there."""
        pages = [name for name in os.listdir(ROOT) if name.endswith(".md")]
        pages += ["doc/" + name for name in os.listdir(os.path.join(ROOT, "doc")) if name.endswith(".md")]
        for page in pages:
            with open(os.path.join(ROOT, page)) as f:
                for target in re.findall(r"\]\(([^)#:]+)\)", f.read()):
                    path = os.path.join(ROOT, os.path.dirname(page), target)
                    self.assertTrue(os.path.exists(path), f"{page} points to {target}")


if __name__ == "__main__":
    unittest.main()
