"""-reindex and -reindex-chainstate build again what was lost, from the block files alone; -loadblock takes in
the files of others. Both bear files in which blocks come out of order, twice, damaged, and with rubbish."""
import os
import random
import shutil
import struct
import time
import unittest

from framework import CoinTest, RpcError, wait_until

MAGIC = bytes.fromhex("fabfb5da")


def records(path):
    """The blocks of a file that is not XORed."""
    with open(path, "rb") as f:
        data = f.read()
    blocks, at = [], 0
    while at + 8 <= len(data):
        assert data[at:at + 4] == MAGIC
        size, = struct.unpack_from("<I", data, at + 4)
        blocks.append(data[at + 8:at + 8 + size])
        at += 8 + size
    return blocks


def record(block):
    return MAGIC + struct.pack("<I", len(block)) + block


class Reindex(CoinTest):
    def rebuild(self, option, *lost):
        node = self.node().start()
        node.mine(30)
        before = node.coins()
        node.stop()
        for name in lost:
            shutil.rmtree(os.path.join(node.chain_dir, name))
        node.start(option)
        wait_until(lambda: node.getblockcount() == 30, "the chain to be connected again")
        self.assertEqual(node.coins(), before)
        node.stop()
        node.start()  # and once it is there, it stays
        self.assertEqual(node.coins(), before)
        node.stop()

    def test_reindex(self):
        self.rebuild("-reindex", os.path.join("blocks", "index"), "chainstate")

    def test_reindex_whole(self):
        """Nothing is lost, and yet all is built again: the node begins at the genesis block."""
        node = self.node().start()
        node.mine(30)
        before = node.coins()
        node.stop()
        marker = os.path.join(node.chain_dir, "chainstate", "marker")
        for option in ("-reindex", "-reindex-chainstate"):
            with open(marker, "w") as f:
                f.write("of the old folder")
            node.start(option)
            self.assertFalse(os.path.exists(marker), option)
            wait_until(lambda: node.getblockcount() == 30, "the chain to be connected again")
            self.assertEqual(node.coins(), before)
            node.stop()

    def spoil(self, blocks):
        """Out of order, some twice, one damaged copy before its whole one, rubbish between, a torn end."""
        order = blocks[1:] + blocks[5:9]
        random.Random(7).shuffle(order)
        damaged = blocks[12][:-3] + b"xyz"
        swallowing = MAGIC + struct.pack("<I", 600)  # a size that reaches over the records behind it
        parts = [record(blocks[0]), record(damaged), b"rubbish" + MAGIC[:3], swallowing]
        parts += [record(b) for b in order]
        parts.append(record(blocks[3])[:-10])
        return b"".join(parts)

    def plain_chain(self):
        node = self.node("-blocksxor=0").start()
        node.mine(60)
        coins = node.coins()
        node.stop()
        path = os.path.join(node.chain_dir, "blocks", "blk00000.dat")
        return node, path, coins

    def test_reindex_of_a_spoilt_file(self):
        node, path, coins = self.plain_chain()
        spoilt = self.spoil(records(path))
        with open(path, "wb") as f:
            f.write(spoilt)
        node.start("-reindex")
        wait_until(lambda: node.getblockcount() == 60, "the chain to be connected again")
        wait_until(lambda: "import" not in node.getblockchaininfo(), "the end of the import")
        self.assertEqual(node.coins(), coins)
        node.mine(1)
        coins = node.coins()
        node.stop()
        node.start("-checkblocks=100")
        self.assertEqual(node.coins(), coins)
        node.stop()

    def test_lost_index(self):
        """Without its index the node reads the files by itself."""
        node, path, coins = self.plain_chain()
        shutil.rmtree(os.path.join(node.chain_dir, "blocks", "index"))
        node.start()
        wait_until(lambda: node.getblockcount() == 60, "the chain to be connected again")
        self.assertEqual(node.coins(), coins)
        node.stop()

    def test_killed_reindex_goes_on(self):
        node = self.node("-fastprune").start()
        node.mine(600)
        coins = node.coins()
        node.stop()
        node.start("-reindex", wait=False)
        for pause_s in (0.005, 0.01, 0.02, 0.04, 0.08, 0.16):
            wait_until(lambda: node.log().count("coind version") > 1, "the start")
            time.sleep(pause_s)  # any instant will do
            node.kill()
            node.start(wait=False)  # without the option
        wait_until(node.is_ready, "the start")
        wait_until(lambda: node.getblockcount() == 600, "the chain to be connected again")
        wait_until(lambda: "import" not in node.getblockchaininfo(), "the end of the import")
        self.assertEqual(node.coins(), coins)
        node.stop()
        node.start()
        self.assertEqual(node.coins(), coins)
        self.assertNotIn("import", node.getblockchaininfo())
        node.stop()

    def test_loadblock(self):
        source, path, coins = self.plain_chain()
        blocks = records(path)
        spoilt, rest = os.path.join(self.folder, "spoilt.dat"), os.path.join(self.folder, "rest.dat")
        with open(spoilt, "wb") as f:
            f.write(self.spoil(blocks[:40]))
        with open(rest, "wb") as f:
            f.write(b"".join(record(b) for b in blocks[30:]))
        node = self.node().start("-loadblock=" + rest, "-loadblock=" + spoilt)
        wait_until(lambda: node.getblockcount() == 60, "all blocks to be taken")
        self.assertEqual(node.coins(), coins)
        node.mine(1)
        node.stop()
        node.start("-loadblock=" + spoilt)  # nothing new in it
        wait_until(lambda: "import" not in node.getblockchaininfo(), "the end of the import")
        self.assertEqual(node.getblockcount(), 61)
        node.stop()
        node.start("-loadblock=" + os.path.join(self.folder, "nowhere.dat"), wait=False)
        self.assertIn("nowhere.dat", node.expect_end(1))

    def test_nothing_is_offered_meanwhile(self):
        """A reindex shows how far it is, and takes no block beside it."""
        node, path, coins = self.plain_chain()
        blocks = records(path)
        with open(path, "ab") as f:  # a long file: each copy is looked at and passed over
            for _ in range(3000):
                f.write(b"".join(record(b) for b in blocks))
        node.start("-reindex")
        info = node.getblockchaininfo()
        if "import" in info:  # a fast machine may be through
            self.assertTrue(info["import"]["reindex"])
            self.assertLessEqual(info["import"]["bytes"], info["import"]["bytes_all"])
            try:
                node.mine(1)
            except RpcError as e:
                self.assertIn("again", e.message)
        wait_until(lambda: "import" not in node.getblockchaininfo(), "the end of the import")
        wait_until(lambda: node.getblockcount() >= 60, "the chain")
        node.stop()

    def test_reindex_chainstate(self):
        self.rebuild("-reindex-chainstate", "chainstate")

    def test_verifychain(self):
        node = self.node().start()
        node.createwallet("w")
        node.mine(110, node.getnewaddress())
        node.sendtoaddress(node.getnewaddress(), 1)
        node.mine(5)
        for level in range(-1, 6):
            self.assertTrue(node.verifychain(level, 0))
        self.assertTrue(node.verifychain())
        node.stop()
        node.options += ["-checkblocks=0", "-checklevel=4"]  # 0: all
        node.start()
        node.stop()
        node.options[-2] = "-checkblocks=1000"
        node.start()
        self.assertEqual(node.getblockcount(), 115)


if __name__ == "__main__":
    unittest.main()
