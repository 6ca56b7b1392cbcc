"""Keys of the transit secrets engine of HashiCorp Vault."""

import base64
from pathlib import Path
from typing import Final

import orjson

from flowmesh.egress import Egress, EgressFailure
from flowmesh.identity.storage.records import Wrapped
from flowmesh.identity.wrapping.keys import WrappingFailed, broken

CALL_MS: Final = 5_000
ANSWER_BYTES_MAX: Final = 64 << 10
PROBLEM_CHARS_MAX: Final = 200
_BAD_REQUEST = 400
_NOT_AUTHENTIC: Final = ("message authentication failed", "invalid ciphertext")


class VaultKey:
    """A key of a mount. The token file is read at each call, so an agent can renew it."""

    def __init__(
        self, egress: Egress, *, url: str, mount: str, key: str, namespace: str, token_file: Path
    ) -> None:
        self._egress = egress
        self._base, self._mount, self._key = f"{url}/v1/{mount}", mount, key
        self._name = f"vault:{mount}/{key}"
        self._headers = {"x-vault-request": "true", "content-type": "application/json"}
        if namespace:
            self._headers["x-vault-namespace"] = namespace
        self._token_file = token_file

    def unwraps(self, by: str) -> bool:
        return by.partition("#")[0] == self._name

    async def wrap(self, secret: bytes, place: str) -> Wrapped:
        found = await self._call(
            "encrypt", plaintext=_text(secret), associated_data=_text(place.encode())
        )
        ciphertext = found["ciphertext"]
        # vault:v3:…
        version = ciphertext.split(":")[1].removeprefix("v")
        return Wrapped(f"{self._name}#{version}", ciphertext.encode())

    async def unwrap(self, wrapped: Wrapped, place: str) -> bytes:
        ciphertext = wrapped.value.decode("ascii", "replace")
        try:
            found = await self._call(
                "decrypt", ciphertext=ciphertext, associated_data=_text(place.encode())
            )
        except _Refused as error:
            if any(each in str(error) for each in _NOT_AUTHENTIC):
                raise broken(place) from error
            raise
        return base64.b64decode(found["plaintext"])

    async def _call(self, operation: str, **body: str) -> dict[str, str]:
        try:
            token = self._token_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            text = f"its token file {self._token_file} cannot be read: {type(error).__name__}"
            raise WrappingFailed(f"{self._name}: {text}") from error
        try:
            answer = await self._egress.send(
                "POST",
                f"{self._base}/{operation}/{self._key}",
                headers={**self._headers, "x-vault-token": token},
                body=orjson.dumps(body),
                timeout_ms=CALL_MS,
                redirects_max=0,
                response_bytes_max=ANSWER_BYTES_MAX,
            )
        except EgressFailure as error:
            raise WrappingFailed(f"{self._name}: {error}") from error
        if answer.status != 200:
            kind = _Refused if answer.status == _BAD_REQUEST else WrappingFailed
            raise kind(f"{self._name}: {operation} answered {answer.status}{_why(answer.body)}")
        try:
            data: dict[str, str] = orjson.loads(answer.body)["data"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise WrappingFailed(f"{self._name}: {operation} answered no data") from error
        return data


class _Refused(WrappingFailed):
    """The engine refuses this value, or this version of the key."""


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _why(body: bytes) -> str:
    """Return what the errors of an answer say."""
    try:
        errors = orjson.loads(body)["errors"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
    return f": {'; '.join(map(str, errors))[:PROBLEM_CHARS_MAX].strip()}" if errors else ""
