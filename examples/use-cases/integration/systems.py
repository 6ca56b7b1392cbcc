"""Stubs of a CRM, a billing system and a help desk, each an HTTP server on a port of its own.

`python systems.py` serves them, `python systems.py show LEAD` prints a lead of the CRM.
"""

import json
import sys
import threading
import urllib.request
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

CRM, BILLING, HELPDESK = 8101, 8102, 8103


class System(BaseHTTPRequestHandler):
    """The common base of the three systems."""

    def received(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def answer(self, status: int, body: str, content_type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())


class Crm(System):
    leads: ClassVar[dict[str, Any]] = {
        "l-17": {"name": "Analytical Engines", "country": "GB", "email": "ada@example.com"}
    }

    @property
    def lead(self) -> str:
        return self.path.rpartition("/")[2]

    def do_GET(self) -> None:
        found = self.lead in self.leads
        self.answer(200 if found else 404, json.dumps(self.leads.get(self.lead)))

    def do_PATCH(self) -> None:
        self.leads[self.lead] |= json.loads(self.received())
        self.answer(200, json.dumps(self.leads[self.lead]))


class Billing(System):
    def do_POST(self) -> None:
        self.received()
        self.answer(201, "<account><number>B-1001</number></account>", "application/xml")


class Helpdesk(System):
    """Creates one user per idempotency key; answers the first two requests with 503."""

    users: ClassVar[dict[str, Any]] = {}
    requests: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        user = json.loads(self.received())
        self.requests.append(user)
        if len(self.requests) <= 2:
            self.answer(503, '{"error": "overloaded"}')
            return
        key = self.headers["Idempotency-Key"]
        self.users.setdefault(key, {"id": f"U-{len(self.users) + 1}", **user})
        self.answer(201, json.dumps(self.users[key]))


def serve() -> None:
    systems = {CRM: Crm, BILLING: Billing, HELPDESK: Helpdesk}
    for port, system in systems.items():
        server = ThreadingHTTPServer(("127.0.0.1", port), system)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("serving on ports", *systems, flush=True)
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


def show(lead: str) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{CRM}/leads/{lead}") as answer:
        print(answer.read().decode())


if __name__ == "__main__":
    show(sys.argv[2]) if sys.argv[1:2] == ["show"] else serve()
