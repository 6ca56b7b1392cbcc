"""A codec server: opens sealed values for the console of one origin.

Run it behind a proxy that encrypts and that knows its users, with the keys of one project:

    python examples/sdk_codec_server.py values.keys https://flow.example.com
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from flowmesh.errors import Invalid
from flowmesh.sdk import SealingKeys

PORT = 8090
BYTES_MAX = 8 << 20


class CodecServer(ThreadingHTTPServer):
    """Listens on this machine, with its keys and the only origin that may ask."""

    def __init__(self, keys: SealingKeys, origin: str, port: int = PORT) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.keys, self.origin = keys, origin


class _Handler(BaseHTTPRequestHandler):
    server: CodecServer

    def do_OPTIONS(self) -> None:
        self._answer(204)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Origin") != self.server.origin:
            self._answer(403)
        elif not self.path.endswith("/decode"):
            self._answer(404)
        elif not (length.isascii() and length.isdigit() and int(length) <= BYTES_MAX):
            self._answer(413)
        else:
            try:
                self._answer(200, self.server.keys.decode(self.rfile.read(int(length))))
            except Invalid:
                self._answer(422)

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Access-Control-Allow-Origin", self.server.origin)
        self.send_header("Access-Control-Allow-Credentials", "true")
        self.send_header("Access-Control-Allow-Headers", "content-type")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: lines of a proxy name the user, too."""


if __name__ == "__main__":
    path, allowed = sys.argv[1:]
    CodecServer(SealingKeys.read(path), allowed).serve_forever()
