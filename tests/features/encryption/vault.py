"""A server with the API of Vault's transit engine, as far as wrapping uses it.

It checks the token and the associated data, keeps versions of the key and refuses those below
`minimum`. No registry of packages has the real server.
"""

import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from flowmesh.embedded.ports import free_port
from flowmesh.testing.polling import pause

TOKEN = "hvs.wraps"
KEY = "transit/flowmesh"
NONCE_BYTES = 12


class Vault:
    """One key with its versions."""

    def __init__(self, folder: Path) -> None:
        self.token_file = folder / "token"
        self.token_file.write_text(TOKEN + "\n")
        self._versions = [AESGCM.generate_key(256)]
        # Versions below are refused, as by min_decryption_version.
        self.minimum = 1
        self.away = False
        self.wrap_s = 0.0
        self.calls: list[str] = []
        self.port = 0

    @property
    def address(self) -> str:
        """Return the value of FLOWMESH_WRAPPING_KEY."""
        return f"vault+http://127.0.0.1:{self.port}/{KEY}?token_file={self.token_file}"

    def name(self, version: int) -> str:
        return f"vault:{KEY}#{version}"

    def rotate(self) -> int:
        """Add a version; return its number."""
        self._versions.append(AESGCM.generate_key(256))
        return len(self._versions)

    async def encrypt(self, request: web.Request) -> web.Response:
        await pause(self.wrap_s)
        body = await self._body(request, "encrypt")
        nonce, number = os.urandom(NONCE_BYTES), len(self._versions)
        sealed = AESGCM(self._versions[-1]).encrypt(
            nonce,
            base64.b64decode(body["plaintext"]),
            base64.b64decode(body["associated_data"]),
        )
        text = f"vault:v{number}:{base64.b64encode(nonce + sealed).decode()}"
        return web.json_response({"data": {"ciphertext": text, "key_version": number}})

    async def decrypt(self, request: web.Request) -> web.Response:
        body = await self._body(request, "decrypt")
        _, version, text = body["ciphertext"].split(":")
        number = int(version.removeprefix("v"))
        if number < self.minimum:
            raise _error(400, "ciphertext or signature version is disallowed by policy (too old)")
        sealed = base64.b64decode(text)
        try:
            plain = AESGCM(self._versions[number - 1]).decrypt(
                sealed[:NONCE_BYTES],
                sealed[NONCE_BYTES:],
                base64.b64decode(body["associated_data"]),
            )
        except InvalidTag:
            raise _error(400, "cipher: message authentication failed") from None
        return web.json_response({"data": {"plaintext": base64.b64encode(plain).decode()}})

    async def _body(self, request: web.Request, operation: str) -> dict[str, str]:
        self.calls.append(operation)
        if self.away:
            raise _error(503, "Vault is sealed")
        if request.headers.get("x-vault-token") != TOKEN:
            raise _error(403, "permission denied")
        body: dict[str, str] = await request.json()
        return body


_ERRORS = {400: web.HTTPBadRequest, 403: web.HTTPForbidden, 503: web.HTTPServiceUnavailable}


def _error(status: int, text: str) -> web.HTTPException:
    body = web.json_response({"errors": [text]}).text
    return _ERRORS[status](text=body, content_type="application/json")


@asynccontextmanager
async def vault_server(folder: Path) -> AsyncIterator[Vault]:
    """Serve a key on a free port of this machine."""
    vault = Vault(folder)
    app = web.Application()
    app.router.add_post(f"/v1/{KEY.replace('/', '/encrypt/')}", vault.encrypt)
    app.router.add_post(f"/v1/{KEY.replace('/', '/decrypt/')}", vault.decrypt)
    runner = web.AppRunner(app)
    await runner.setup()
    vault.port = free_port()
    await web.TCPSite(runner, "127.0.0.1", vault.port).start()
    try:
        yield vault
    finally:
        await runner.cleanup()
