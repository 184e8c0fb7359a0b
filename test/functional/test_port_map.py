"""The way in through the router (NAT-PMP, RFC 6886): what is asked, what is told to others, what a router's refusals lead to."""
import socket
import struct
import threading

from framework import CoinTest, wait_until

PUBLIC, PORT = "47.1.2.3", 5351


class Router:
    """Answers on the port of the protocol, of which there is one on a machine. code: of its refusals; 0: it agrees."""

    def __init__(self, code=0, maps_to=None):
        self.code, self.maps_to, self.asked = code, maps_to, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", PORT))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                request, client = self.socket.recvfrom(100)
            except OSError:
                return
            if not request:
                return
            operation = request[1]
            if operation == 0:
                self.asked.append("address")
                answer = socket.inet_aton(PUBLIC)
            else:
                inside, outside, life_s = struct.unpack(">HHI", request[4:])
                self.asked.append((operation, inside, outside, life_s))
                answer = struct.pack(">HHI", inside, self.maps_to or outside, life_s)
            self.socket.sendto(struct.pack(">BBHI", 0, 128 + operation, self.code, 1) + answer, client)

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", ("127.0.0.1", PORT))
        self.thread.join()
        self.socket.close()


class PortMap(CoinTest):
    def router(self, **how):
        router = Router(**how)
        self.addCleanup(router.close)
        return router

    def start(self):
        return self.node("-natpmp", "-natpmpgateway=127.0.0.1", "-discover=1").start()

    def mapped(self, node):
        return [a for a in node.getnetworkinfo()["localaddresses"] if a["address"] == PUBLIC]

    def test_mapped(self):
        router = self.router(maps_to=4242)
        node = self.start()
        wait_until(lambda: self.mapped(node), "the mapping")
        self.assertEqual(self.mapped(node)[0], {"address": PUBLIC, "port": 4242, "score": 3})
        self.assertEqual(router.asked, ["address", (2, node.port, node.port, 7200)])
        self.assertIn(f"The router forwards {PUBLIC}:4242 to us for 7200 s", node.log())
        node.stop()
        wait_until(lambda: len(router.asked) == 3, "the mapping to be given back")
        self.assertEqual(router.asked[2], (2, node.port, 0, 0))

    def test_refused(self):
        self.router(code=2)
        node = self.start()
        wait_until(lambda: "No port mapping: the router refuses" in node.log(), "its word")
        self.assertEqual(self.mapped(node), [])
        node.stop()

    def test_no_such_router(self):
        node = self.start()
        wait_until(lambda: "No port mapping: the router does not speak NAT-PMP" in node.log(), "its silence")
        node.stop()

    def test_bad_option(self):
        node = self.node("-natpmp", "-natpmpgateway=::1")
        node.start(wait=False)
        self.assertIn("Invalid -natpmpgateway: '::1'", node.expect_end(1))

    def test_not_when_nobody_listens(self):
        router = self.router()
        node = self.node("-natpmp", "-natpmpgateway=127.0.0.1", "-listen=0").start()
        self.assertEqual(node.getnetworkinfo()["localaddresses"], [])
        node.stop()
        self.assertEqual(router.asked, [])
