"""Readiness of a process on this machine; as a program, the health check of the images.

It proves nothing about the other side: it sends no secret, and asks this machine only.
"""

import asyncio
import os
import ssl
import sys

TIMEOUT_S = 1.0
REQUEST = b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# A process with one of these speaks TLS.
TLS_VARIABLES = ("FLOWMESH_CERTS", "FLOWMESH_TLS_CERT")
HTTP_PORT = "3000"


async def is_ready(host: str, port: int, *, tls: bool) -> bool:
    """Return whether the HTTP port of a process reports that it is ready."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            context = _context() if tls else None
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
            writer.write(REQUEST)
            line = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in line


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def main() -> int:
    """Return the exit code of a health check of this container."""
    port = int(os.environ.get("FLOWMESH_HTTP_PORT", HTTP_PORT))
    tls = any(os.environ.get(name) for name in TLS_VARIABLES)
    return 0 if asyncio.run(is_ready("127.0.0.1", port, tls=tls)) else 1


if __name__ == "__main__":
    sys.exit(main())
