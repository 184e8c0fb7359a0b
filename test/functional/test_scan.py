"""scantxoutset: the unspent outputs of descriptors are found wherever they lie, no others, and the forms it refuses."""
from framework import REGTEST_ADDRESS, CoinTest

XPUB = "tpubD6NzVbkrYhZ4WaWSyoBvQwbpLkojyoTZPRsgXELWz3Popb3qkjcJyJUGLnL4qHHoQvao8ESaAstxYSnhyswJ76uZPStJRJCTKvosUCJZL5B"


class ScanCoins(CoinTest):
    def test_finds_what_is_asked(self):
        node = self.node().start()
        node.createwallet("w")
        address = node.getnewaddress()
        node.mine(102, address)
        first, second = (node.deriveaddresses(node.getdescriptorinfo(f"wpkh({XPUB}/0/*)")["descriptor"], [i, i])[0]
                         for i in (3, 1500))
        txids = [node.sendtoaddress(first, 1), node.sendtoaddress(second, "2.5"), node.sendtoaddress(REGTEST_ADDRESS, 4)]
        block = node.mine(1)[0]

        def scan(*objects):
            answer = node.scantxoutset("start", list(objects))
            self.assertEqual((answer["success"], answer["height"], answer["bestblock"], answer["txouts"]),
                             (True, 103, block, node.gettxoutsetinfo("none")["txouts"]))
            self.assertEqual(answer["total_amount"], sum(found["amount"] for found in answer["unspents"]))
            return answer["unspents"]
        found = scan(f"addr({first})")
        self.assertEqual(len(found), 1)
        info = node.getaddressinfo(first)
        self.assertEqual({k: v for k, v in found[0].items() if k not in ("vout", "desc")},
                         {"txid": txids[0], "scriptPubKey": info["scriptPubKey"], "amount": 1, "coinbase": False, "height": 103,
                          "blockhash": block, "confirmations": 1})
        self.assertEqual(scan(found[0]["desc"]), found)
        self.assertEqual(scan(f"raw({info['scriptPubKey']})"), found)
        ranged = f"wpkh({XPUB}/0/*)"
        self.assertEqual(scan(ranged), found)  # 0 to 1000
        self.assertEqual(scan({"desc": ranged, "range": 2}), [])
        self.assertEqual(scan({"desc": ranged, "range": 3}), found)
        self.assertEqual([u["txid"] for u in scan({"desc": ranged, "range": [1500, 1500]})], [txids[1]])
        self.assertEqual({u["txid"] for u in scan({"desc": ranged, "range": [3, 1500]}, f"addr({REGTEST_ADDRESS})")} - set(txids),
                         {node.getblock(block)["tx"][0]})  # and the coinbase of the block
        coinbases = scan(f"addr({address})")
        self.assertTrue(all(u["coinbase"] and u["amount"] == 50 for u in coinbases))
        self.assertEqual(scan(), [])

    def test_forms(self):
        node = self.node().start()
        self.assertIsNone(node.scantxoutset("status"))
        self.assertIs(node.scantxoutset("abort"), False)
        for code, words, objects in (
                (-1, "scanobjects argument is required for the start action", None),
                (-8, "Descriptor needs to be provided in scan object", [{"range": 3}]),
                (-8, "Scan object needs to be either a string or an object", [7]),
                (-8, "End of range is too high", [{"desc": f"wpkh({XPUB}/*)", "range": [0, 2**31]}]),
                (-8, "Range specified as [begin,end] must not have begin after end", [{"desc": f"wpkh({XPUB}/*)", "range": [3, 2]}]),
                (-5, "not valid", ["addr(nonsense)"])):
            self.expect_error(code, words, node.scantxoutset, "start", objects)
        self.expect_error(-8, "Invalid action 'begin'", node.scantxoutset, "begin")
        self.assertEqual(node.scantxoutset("start", [])["unspents"], [])  # none of them left a scan behind
