"""On a terminal coind shows one live line and no log; ^C ends it."""
import os
import pty
import re
import select
import subprocess
import time

from framework import PATIENCE_S, CoinTest, wait_until


class Terminal(CoinTest):
    def on_terminal(self, node, *extra):
        master, slave = pty.openpty()
        node.output = open(os.devnull, "wb")
        node.errors = open(os.path.join(node.dir, "stderr"), "w+b")

        def own_terminal():
            os.setsid()
            import fcntl
            import termios
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        node.process = subprocess.Popen(node.command(*extra), stdin=slave, stdout=slave, stderr=node.errors,
                                        preexec_fn=own_terminal)
        os.close(slave)
        self.addCleanup(os.close, master)
        return master

    def read_until(self, master, pattern):
        text, end = "", time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if select.select([master], [], [], 0.2)[0]:
                try:
                    text += os.read(master, 65536).decode(errors="replace")
                except OSError:
                    break
            found = re.search(pattern, text)
            if found:
                return found, text
        self.fail(f"no {pattern} in {text!r}")

    def test_live_line(self):
        node = self.node("-mine=1", "-connect=0", chain="coin")
        master = self.on_terminal(node)
        found, text = self.read_until(master, r"height (\d+)[^\r]*[kM]H/s[^\r]*immature")
        self.assertNotIn("New tip", text)  # the log goes to its file
        self.assertIn("\r\x1b[K", text)
        self.assertIn("New tip", node.log() + "New tip" * (int(found.group(1)) == 0))
        os.write(master, b"\x03")
        node.expect_end(0)

    def test_ctrl_c_while_calls_wait(self):
        node = self.node()
        master = self.on_terminal(node)
        wait_until(node.is_ready, "the node")
        waiting = subprocess.Popen([os.path.join(os.environ["COIN_BUILD"], "coin-cli"), f"-datadir={node.dir}",
                                    "-regtest", f"-rpcport={node.rpc_port}", "waitfornewblock"],
                                   stdout=subprocess.PIPE)
        wait_until(lambda: any(c["method"] == "waitfornewblock" for c in node.getrpcinfo()["active_commands"]))
        os.write(master, b"\x03")
        node.expect_end(0)
        self.assertIn(b'"height": 0', waiting.communicate(timeout=PATIENCE_S)[0])

    def test_plain_lines_elsewhere(self):
        node = self.node().start()
        node.mine(1)
        node.stop()
        with open(os.path.join(node.dir, "stdout")) as f:
            text = f.read()
        self.assertIn("New tip", text)
        self.assertNotIn("\x1b", text)
