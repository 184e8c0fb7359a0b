"""The pages of doc/ are true: what is made from the programs is current, commands run, figures can be computed again."""
import os
import re
import shutil
import subprocess
import unittest
from math import comb

from framework import BUILD, ROOT, CoinTest, code_blocks, free_port

DOC = os.path.join(ROOT, "doc")


def read(*path):
    with open(os.path.join(*path)) as f:
        return f.read()


class Docs(CoinTest):
    def shell(self, script):
        """Runs a page's commands with a home of their own and a free port."""
        home, rpc_port = os.path.join(self.folder, "home"), str(free_port())
        os.makedirs(os.path.join(home, ".coin"))
        with open(os.path.join(home, ".coin", "coin.conf"), "w") as f:
            f.write(f"rpcport={rpc_port}\nlisten=0\nconnect=0\nlandiscovery=0\n")
        env = dict(os.environ, HOME=home, PATH=BUILD + os.pathsep + os.environ["PATH"])
        pid = os.path.join(home, ".coin", "coind.pid")
        try:
            done = subprocess.run(["sh", "-eux", "-c", script.replace("28776", rpc_port)], env=env, cwd=ROOT,
                                  capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL, check=False)
        finally:
            if os.path.exists(pid):
                subprocess.run(["kill", "-KILL", read(pid).strip()], check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-3000:])
        return done.stdout

    def test_operating(self):
        out = self.shell("\n".join(code_blocks(os.path.join(DOC, "operating.md"))))
        self.assertRegex(out, r"rpcauth=alice:[0-9a-f]{32}\$[0-9a-f]{64}")
        self.assertEqual(len(re.findall(r"^(?:[a-z]{3,8} ){11}[a-z]{3,8}$", out, re.M)), 1)

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_rpc_examples(self):
        blocks = code_blocks(os.path.join(DOC, "rpc.md"))
        out = self.shell("coind -daemon\ncoin-cli -rpcwait getblockcount\n" + "\n".join(blocks) + "\ncoin-cli stop\n")
        self.assertIn('{"jsonrpc":"2.0","result":0,"id":1}', out)

    def test_rpc_list_is_current(self):
        made = subprocess.run([os.path.join(ROOT, "contrib", "rpc-doc"), "--print"], check=True, capture_output=True,
                              text=True, timeout=300, env=dict(os.environ, COIN_BUILD=BUILD)).stdout
        self.assertIn("\n### getblock\n", made)
        self.assertTrue(made == read(DOC, "rpc.md"), "doc/rpc.md is out of date: run contrib/rpc-doc")

    def test_man_pages_are_current(self):
        subprocess.run([os.path.join(ROOT, "contrib", "man-pages"), self.folder], check=True, timeout=60,
                       env=dict(os.environ, COIN_BUILD=BUILD))
        for program in ("coind", "coin-cli", "coin-genesis"):
            made = read(self.folder, program + ".1")
            self.assertIn(".SH OPTIONS\n", made)
            self.assertGreater(made.count("\n.TP\n"), 5)
            self.assertTrue(made == read(DOC, "man", program + ".1"),
                            f"doc/man/{program}.1 is out of date: run contrib/man-pages")

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_man_pages_are_well_formed(self):
        for name in sorted(os.listdir(os.path.join(DOC, "man"))):
            done = subprocess.run(["groff", "-man", "-ww", "-Tascii", os.path.join(DOC, "man", name)],
                                  capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)

    def test_every_documented_option_exists(self):
        """Options that a page names are options of one of the programs."""
        known = set()
        for program in ("coind", "coin-cli", "coin-genesis"):
            for flag in ("-help", "-help-debug"):
                text = subprocess.run([os.path.join(BUILD, program), flag], capture_output=True, text=True,
                                      timeout=60, check=False).stdout
                known |= set(re.findall(r"^ +-([a-z0-9-]+)", text, re.M))
        self.assertIn("dbcache", known)
        for name in [os.path.join(ROOT, "README.md")] + [os.path.join(DOC, n) for n in ("operating.md", "chains.md")]:
            for option in re.findall(r"`-([a-z][a-z0-9]*)", read(name)):
                self.assertTrue(option in known or option.removeprefix("no") in known, f"{name}: -{option}")

    def test_options_without_effect_are_listed(self):
        """design.md, "Not yet", has exactly the options that no source reads."""
        table = read(ROOT, "src", "node", "options.c")
        options = {name for name, where in re.findall(r'^    \{"([a-z0-9-]+)", OPT_\w+, ([^"]*)', table, re.M)
                   if "IGNORED" not in where}
        self.assertGreater(len(options), 100)
        used = {"regtest", "signet", "testnet4"}  # read as a table by place.c
        for folder, _, files in os.walk(os.path.join(ROOT, "src")):
            for name in files:
                if name.endswith(".c"):
                    used |= set(re.findall(r'(?:config|options), "([a-z0-9-]+)"', read(folder, name)))
        listed = set(re.findall(r"`-([a-z0-9-]+)`", read(DOC, "design.md").split("## 11. Not yet")[1]))
        self.assertEqual(sorted(options - used), sorted(listed), "doc/design.md, Not yet: what is read, or not, has changed")

    def test_every_named_file_exists(self):
        """Pages name source files from the root, or from src/ or include/coin/."""
        pages = [os.path.join(ROOT, n) for n in os.listdir(ROOT) if n.endswith(".md")]
        pages += [os.path.join(DOC, n) for n in os.listdir(DOC) if n.endswith(".md")]
        roots = ("", "src", os.path.join("include", "coin"))
        for page in pages:
            for path in re.findall(r"`([a-z0-9_-]+/[a-z0-9_./-]+\.(?:c|h|py|json))`", read(page)):
                self.assertTrue(any(os.path.exists(os.path.join(ROOT, root, path)) for root in roots),
                                f"{page}: {path}")

    def test_consensus_table_is_true(self):
        """Each function and reject reason is in the source, each proof is a file; and no reason is left out."""
        page, sources = read(DOC, "consensus.md"), {}
        for folder, _, names in list(os.walk(os.path.join(ROOT, "src"))) + list(os.walk(os.path.join(ROOT, "include"))):
            for name in names:
                sources[os.path.join(folder, name)] = read(folder, name)
        everything = "\n".join(sources.values())
        rows = [row.split("|") for row in page.split("\n") if row.startswith("| ") and "---" not in row]
        self.assertGreater(len(rows), 40)
        for row in rows:
            for name in re.findall(r"`([a-z0-9]+_[a-z0-9_]+)`", row[-3]):
                self.assertRegex(everything, r"\b%s\(" % name, row)
            for path in re.findall(r"(test/[a-z0-9_/.]+)", row[-2]):
                self.assertTrue(os.path.exists(os.path.join(ROOT, path)), path)
        reasons = set()
        for path, text in sources.items():
            if "/consensus/" in path or path.endswith("ledger/connect.c") or path.endswith("ledger/headers.c"):
                reasons |= set(re.findall(r'FAIL_(?:INVALID|MUTATED|TOO_EARLY),\s*"([a-zA-Z0-9-]+)"', text))
        self.assertGreater(len(reasons), 35)
        for reason in reasons - {"duplicate-invalid"}:
            self.assertIn(f"`{reason}`", page)
        for reason in re.findall(r"`(bad-[a-zA-Z0-9-]+|time-[a-z-]+|high-hash)`", page):
            self.assertIn(f'"{reason}"', everything)

    @unittest.skipUnless(os.path.basename(BUILD) == "build", "a sanitized build is not installed")
    def test_install(self):
        env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
        subprocess.run(["make", "-s", "install", f"DESTDIR={self.folder}/root", "bindir=/bin", "mandir=/man"], cwd=ROOT,
                       env=env, check=True, timeout=580, capture_output=True)
        for program in ("coind", "coin-cli", "coin-genesis"):
            self.assertTrue(os.access(os.path.join(self.folder, "root", "bin", program), os.X_OK))
            self.assertEqual(read(self.folder, "root", "man", "man1", program + ".1"), read(DOC, "man", program + ".1"))
        subprocess.run(["make", "-s", "uninstall", f"DESTDIR={self.folder}/root", "bindir=/bin", "mandir=/man"], cwd=ROOT,
                       env=env, check=True, timeout=60, capture_output=True)
        self.assertEqual([files for _, _, files in os.walk(os.path.join(self.folder, "root")) if files], [])

    def test_confirmations(self):
        """The table of operating.md by Rosenfeld's formula: the chance to overtake n confirmations with share q."""
        def chance(n, q):
            p = 1 - q
            return 1 - sum(comb(m + n - 1, m) * (p ** n * q ** m - p ** m * q ** n) for m in range(n + 1))
        text = read(DOC, "operating.md")
        head = re.search(r"\| share \|(.*)\|", text)[1]
        risks = [float(cell.split()[1]) / 100 for cell in head.split("|")]
        rows = re.findall(r"^\| (\d+) % \|(.*)\|$", text, re.M)
        self.assertEqual((len(risks), len(rows)), (4, 9))
        for share, cells in rows:
            for risk, cell in zip(risks, cells.split("|")):
                least = next(n for n in range(1, 1000) if chance(n, int(share) / 100) < risk)
                self.assertEqual(int(cell), least, f"{share} %, {risk}")


if __name__ == "__main__":
    unittest.main()
