"""Keys of AWS KMS: requests that the chain of credentials of this process signs."""

import asyncio
import base64
from typing import Any, Final

import orjson

from flowmesh.egress import Egress, EgressFailure
from flowmesh.extras import needed_by
from flowmesh.identity.storage.records import Wrapped
from flowmesh.identity.wrapping.keys import WrappingFailed, broken

CALL_MS: Final = 5_000
ANSWER_BYTES_MAX: Final = 64 << 10
PROBLEM_CHARS_MAX: Final = 200
SERVICE: Final = "kms"
_PREFIX = "aws-kms:"
_NOT_AUTHENTIC = "InvalidCiphertextException"


class AwsKey:
    """A symmetric key, by id, ARN or alias; values keep the ARN of the one that wrapped them."""

    def __init__(
        self, egress: Egress, *, region: str, key: str, endpoint: str, credentials_file: str
    ) -> None:
        with needed_by("a wrapping key of AWS KMS", "apps"):
            from botocore.session import Session

        self._egress = egress
        self._region, self._key = region, key
        self._url = endpoint or f"https://{SERVICE}.{region}.amazonaws.com"
        self._session: Any = Session()
        if credentials_file:
            self._session.set_config_variable("credentials_file", credentials_file)

    def unwraps(self, by: str) -> bool:
        return by.startswith(_PREFIX)

    async def wrap(self, secret: bytes, place: str) -> Wrapped:
        found = await self._call(
            "Encrypt", KeyId=self._key, Plaintext=_text(secret), EncryptionContext=_context(place)
        )
        return Wrapped(_PREFIX + found["KeyId"], base64.b64decode(found["CiphertextBlob"]))

    async def unwrap(self, wrapped: Wrapped, place: str) -> bytes:
        found = await self._call(
            "Decrypt",
            KeyId=wrapped.by.removeprefix(_PREFIX),
            CiphertextBlob=_text(wrapped.value),
            EncryptionContext=_context(place),
        )
        if found.get("refused"):
            raise broken(place)
        return base64.b64decode(found["Plaintext"])

    async def _call(self, operation: str, **body: object) -> dict[str, str]:
        """Return the answer; `refused` in it states that the value is not authentic."""
        sent = orjson.dumps(body)
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"TrentService.{operation}",
        }
        try:
            answer = await self._egress.send(
                "POST",
                f"{self._url}/",
                headers=await asyncio.to_thread(self._signed, sent, headers),
                body=sent,
                timeout_ms=CALL_MS,
                redirects_max=0,
                response_bytes_max=ANSWER_BYTES_MAX,
            )
        except EgressFailure as error:
            raise WrappingFailed(f"{_PREFIX}{self._key}: {error}") from error
        try:
            found: dict[str, str] = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            found = {}
        if answer.status == 200:
            return found
        kind = str(found.get("__type", "")).rpartition("#")[2]
        if kind == _NOT_AUTHENTIC:
            return {"refused": kind}
        message = str(found.get("message") or found.get("Message") or "")[:PROBLEM_CHARS_MAX]
        text = f"{operation} answered {answer.status} {kind}: {message}".rstrip(": ")
        raise WrappingFailed(f"{_PREFIX}{self._key}: {text}")

    def _signed(self, body: bytes, headers: dict[str, str]) -> dict[str, str]:
        """Return headers with a signature (Signature Version 4). Blocks for credentials."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import BotoCoreError

        try:
            found = self._session.get_credentials()
            frozen = found.get_frozen_credentials() if found else None
        except (BotoCoreError, OSError) as error:
            text = f"its credentials cannot be read: {type(error).__name__}"
            raise WrappingFailed(f"{_PREFIX}{self._key}: {text}") from error
        if frozen is None:
            text = "no credentials; name credentials_file, or give this process a role"
            raise WrappingFailed(f"{_PREFIX}{self._key}: {text}")
        request = AWSRequest("POST", f"{self._url}/", data=body, headers=headers)
        SigV4Auth(frozen, SERVICE, self._region).add_auth(request)
        return dict(request.headers.items())


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _context(place: str) -> dict[str, str]:
    """Return what has to be the same to decrypt; CloudTrail shows it."""
    return {"flowmesh": place}
