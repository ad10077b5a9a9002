"""Somebody between agent and server: passes everything on, and changes, loses or repeats what a test says."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import httpx

Change = Callable[[str, int, Any], tuple[int, Any]]


class Between:
    """Listens on a port of its own. `change` is given path, status and JSON of each answer, and returns what is sent instead."""

    def __init__(self, url: str) -> None:
        self.seen: list[tuple[str, str | None, bytes]] = []
        #: The `traceparent` of each request.
        self.traces: list[str | None] = []
        self.change: Change | None = None
        #: Is given path and body of each request, and returns what is passed on instead.
        self.swap: Callable[[str, bytes], bytes] | None = None
        #: How many of the next answers are lost after the server gave them.
        self.lose = 0
        #: How many of the next requests are answered 503 without being passed on.
        self.unavailable = 0
        between = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                self.pass_on()

            def do_POST(self) -> None:
                self.pass_on()

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                between.seen.append((self.path, self.headers.get("idempotency-key"), body))
                between.traces.append(self.headers.get("traceparent"))
                if between.unavailable > 0:
                    between.unavailable -= 1
                    return self.answer(503, "text/plain", b"busy")
                if between.swap is not None:
                    body = between.swap(self.path, body)
                names = ("authorization", "idempotency-key", "content-type")
                headers = {name: self.headers[name] for name in names if name in self.headers}
                reply = httpx.request(self.command, url + self.path, headers=headers, content=body, trust_env=False)
                if between.lose > 0:
                    between.lose -= 1
                    self.close_connection = True
                    return None
                status, content = reply.status_code, reply.content
                if between.change is not None and "json" in reply.headers.get("content-type", ""):
                    status, changed = between.change(self.path, status, reply.json())
                    content = json.dumps(changed).encode()
                return self.answer(status, reply.headers.get("content-type", ""), content)

            def answer(self, status: int, kind: str, content: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Between:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def payload_of(receipt: dict[str, Any]) -> dict[str, Any]:
    """Returns the statement of a receipt."""
    found: dict[str, Any] = json.loads(base64.b64decode(receipt["envelope"]["payload"]))
    return found
