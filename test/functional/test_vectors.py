"""Public vectors that are answers of RPC calls. Skipped aloud where they are not."""
import json
import os
import unittest

from framework import ROOT, CoinTest

VECTORS = os.environ.get("COIN_VECTORS", os.path.join(ROOT, "..", "shared", "vectors"))
DECODED = os.path.join(ROOT, VECTORS, "script", "decodescript.json")


class Vectors(CoinTest):
    @unittest.skipUnless(os.path.exists(DECODED), "the test vectors are not here")
    def test_decodescript(self):
        a = self.node().start()
        with open(DECODED) as f:
            rows = json.load(f)
        self.assertGreater(len(rows), 0)
        for script, expected in rows:
            answer = a.decodescript(script)
            self.assertEqual(answer, expected, script)
