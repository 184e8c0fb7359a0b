"""Two nodes that were told nothing of each other meet by the beacon, on a chain of their own."""
import os
import socket
import struct
import subprocess
import unittest

from framework import BUILD, CoinTest, Node, wait_until

GROUP = "239.192.28.77"


def multicast_works():
    """Does this machine hear its own datagrams to the group? Some containers do not."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.bind(("", 0))
            s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                         struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton("127.0.0.1")))
            s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            s.settimeout(3)
            s.sendto(b"hello", (GROUP, s.getsockname()[1]))
            return s.recv(16) == b"hello"
        except OSError:
            return False


class LanNode(Node):
    """Of a chain in a file: its folder has the chain's name."""

    @property
    def chain_dir(self):
        return os.path.join(self.dir, "lantest")


class Lan(CoinTest):
    def test_nodes_find_each_other(self):
        if not multicast_works():
            self.skipTest("no multicast on the loopback interface")
        chain = os.path.join(self.folder, "lantest.json")
        subprocess.run([os.path.join(BUILD, "coin-genesis"), "-name=lantest", f"-output={chain}"], check=True,
                       capture_output=True, timeout=60)
        a, b, deaf = (LanNode(os.path.join(self.folder, name), option, chain=chain)
                      for name, option in (("a", "-landiscovery=1"), ("b", "-landiscovery=1"), ("deaf", "-landiscovery=0")))
        self.nodes += [a, b, deaf]
        for node in self.nodes:
            node.start()
        wait_until(lambda: a.getconnectioncount() > 0 and b.getconnectioncount() > 0, "the beacon to be heard")
        made = a.generatetoaddress(3, a.getnewaddress(), 10 ** 9)  # tries: a block takes about a million
        self.assertEqual((len(made), a.getblockcount()), (3, 3))
        self.agree(a, b)
        self.assertEqual(b.getblockcount(), 3)
        self.assertEqual(deaf.getconnectioncount(), 0)
        for node in self.nodes:
            node.stop()


if __name__ == "__main__":
    unittest.main()
