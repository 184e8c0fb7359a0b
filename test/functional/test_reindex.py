"""-reindex and -reindex-chainstate build again what was lost, from the block files alone."""
import os
import shutil
import unittest

from framework import CoinTest, wait_until


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

    def test_reindex_chainstate(self):
        self.rebuild("-reindex-chainstate", "chainstate")


if __name__ == "__main__":
    unittest.main()
