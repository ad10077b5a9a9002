"""A service that remembers what was done to it: `shop.py LEDGER` prints its port.

Each request but GET and HEAD becomes a line of the ledger, so that what was done twice is seen. Beside the ledger lie switches: `LEDGER.slow` lets
it take its time between the effect and the answer, `LEDGER.status` holds the status of the answers, `LEDGER.cut` lets answers break off.
"""

import http.server
import json
import os
import sys
import time

LEDGER = sys.argv[1]


class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, {"path": self.path, "headers": self.told()})

    def do_HEAD(self):
        self.answer(200, {})

    def act(self):
        length = self.headers.get("content-length")
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(length or 0))
        text = body.decode("utf-8", "replace")
        shown = text if len(text) < 200 else f"{len(body)} bytes"
        with open(LEDGER, "a") as ledger:
            ledger.write(f"{self.command} {self.path} {shown}\n")
        while os.path.exists(LEDGER + ".slow"):
            time.sleep(0.05)
        status = 201
        if os.path.exists(LEDGER + ".status"):
            with open(LEDGER + ".status") as file:
                status = int(file.read())
        self.answer(status, {"path": self.path, "body": shown, "headers": self.told()})

    do_POST = do_PUT = do_PATCH = do_DELETE = act

    def told(self):
        return {name.lower(): value for name, value in self.headers.items()}

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("set-cookie", "shop=secret")
        self.send_header("gantral-executed", "forged")
        self.end_headers()
        if self.command == "HEAD":
            return
        if os.path.exists(LEDGER + ".cut"):
            self.wfile.write(body[:10])
            self.wfile.flush()
            self.connection.close()
            self.close_connection = True
            return
        try:
            self.wfile.write(body)
        except BrokenPipeError:
            pass  # Whoever asked was killed.

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 0), Shop)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
