"""Addresses of NATS servers with their TLS settings and the key of the user.

`tls://` encrypts. Query parameters name the files, as for PostgreSQL: `sslrootcert` contains the
authorities of the servers, `sslcert` and `sslkey` the certificate of the client, `nkey` the seed
of the user.
"""

import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import nats.errors
from nats.aio.client import DEFAULT_INBOX_PREFIX, Client
from nats.aio.subscription import Subscription

from flowmesh.certificates.nkeys import Nkey, inbox_prefix

SECURE = "tls"
_NKEY = "nkey"
_FILES = frozenset({"sslrootcert", "sslcert", "sslkey", _NKEY})


@dataclass(frozen=True, slots=True)
class Addresses:
    """Servers, the context of connections to them, None for plain text, and the key, if any."""

    servers: list[str]
    tls: ssl.SSLContext | None
    nkey: Nkey | None = None

    @classmethod
    def parse(cls, text: str) -> "Addresses":
        """Return the servers of an address; raise ValueError, without secrets, if it is invalid."""
        servers, files, schemes = [], {}, set()
        for address in text.split(","):
            parts = urlsplit(address)
            files.update(dict(parse_qsl(parts.query)))
            schemes.add(parts.scheme)
            servers.append(parts._replace(query="").geturl() if parts.query else address)
        if unknown := sorted(files.keys() - _FILES):
            raise ValueError(f"a NATS address has no parameter {unknown[0]!r}")
        nkey = Nkey.read(files.pop(_NKEY)) if _NKEY in files else None
        if SECURE not in schemes:
            if files:
                raise ValueError("a NATS address with certificates begins with tls://")
            return cls(servers, None, nkey)
        if schemes != {SECURE}:
            raise ValueError("of several NATS addresses either all or none begin with tls://")
        return cls(servers, _context(files), nkey)


def _context(files: dict[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=files.get("sslrootcert"))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if "sslcert" in files:
            context.load_cert_chain(files["sslcert"], files.get("sslkey"))
    except OSError as error:
        raise ValueError(f"the certificates of the NATS address do not load: {error}") from error
    return context


class NatsClient(Client):
    """A client that sends no credential in plain text if TLS is required.

    The library continues without TLS if the server, or a machine in between, offers none. It
    signs with the key of its user, if it has one.
    """

    def __init__(self, nkey: Nkey | None = None) -> None:
        super().__init__()
        self._public_nkey = nkey.public if nkey is not None else None
        # The first words of subjects of replies.
        self.replies = (
            inbox_prefix(nkey.public) if nkey is not None else DEFAULT_INBOX_PREFIX.decode()
        )
        self._inbox_prefix = bytearray(self.replies.encode())

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection and "tls" in self.options and not info.get("tls_required"):
            raise nats.errors.SecureConnWantedError
        await super()._process_info(info, initial_connection)

    async def end_interest(self, subscription: Subscription) -> None:
        """Get no further messages from the server; those that it has sent still arrive."""
        await self._send_unsubscribe(subscription._id)
