"""No method of any service answers a caller whose credential is missing or forged."""

import asyncio
import time
from collections.abc import Callable, Mapping

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flowmesh.access.service_tokens import METADATA_KEY, ServiceTokens
from tests.access.answers import call
from tests.access.contracts import METHODS, Method
from tests.access.samples import sample
from tests.features.closed import Caller, Closed
from tests.hostile.conftest import Company

OWN_KEY = Ed25519PrivateKey.generate()
TRIED = [method for method in METHODS if not method.rule.is_public]
AT_ONCE = 20
# A stream has to be refused; one that is quiet for so long is not.
REFUSED_S = 10.0
Stated = tuple[tuple[str, str], ...]


class _Stating(Caller):
    """A caller that states its own metadata."""

    def __init__(self, closed: Closed, stated: Stated) -> None:
        super().__init__(closed.suite, "")
        self._stated = stated

    @property
    def metadata(self) -> Stated:
        return self._stated


def forged_service(method: Method) -> str:
    """Return a token of a service for a method, of a key that is not the installation's."""
    return ServiceTokens(key=OWN_KEY.private_bytes_raw(), service="gateway").token(
        None, method.rule.service
    )


def forged_user() -> str:
    claims = {"iss": "flowmesh", "aud": "flowmesh", "sub": "usr_1", "sid": "ses_1", "jti": "1"}
    now = int(time.time())
    head = {"kid": "1", "jku": "http://127.0.0.1:1/keys"}
    return jwt.encode({**claims, "iat": now, "exp": now + 60}, OWN_KEY, "EdDSA", headers=head)


KINDS: Mapping[str, Callable[[Method], Stated]] = {
    "no credential": lambda method: (),
    "a forged user": lambda method: (("authorization", f"Bearer {forged_user()}"),),
    "a forged service": lambda method: ((METADATA_KEY, forged_service(method)),),
    "a service as bearer": lambda method: (("authorization", f"Bearer {forged_service(method)}"),),
    "an unknown key": lambda method: (("authorization", f"Bearer fm_{'a' * 60}"),),
}


@pytest.mark.feature("S3-129", "S3-131")
@pytest.mark.parametrize("kind", KINDS)
async def test_no_method_answers_a_forged_caller(
    kind: str, installation: Closed, victim: Company
) -> None:
    """Each method that is not public: UNAUTHENTICATED, whether it takes a stream or not."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def tried(method: Method) -> str:
        async with gate:
            caller = _Stating(installation, KINDS[kind](method))
            request = sample(method, victim.tenant)
            answer = await call(caller, method, request, quiet_s=REFUSED_S)
        refused = answer.code in ("UNAUTHENTICATED", "UNIMPLEMENTED")
        return "" if refused else f"{method}: {answer.code} {answer.reason}"

    found = await asyncio.gather(*map(tried, TRIED))
    assert len(TRIED) > 200
    assert [each for each in found if each] == []


@pytest.mark.parametrize("path", ["/api/v1/auth/me", "/api/v1/executions", "/nothing", "/health"])
async def test_no_cache_keeps_an_answer(installation: Closed, attacker: Company, path: str) -> None:
    """Nor does a browser guess its type; refusals have the same headers."""
    for credential in (attacker.caller().credential, "fm_unknown", ""):
        headers = {"authorization": f"Bearer {credential}"} if credential else {}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(installation.suite.http_url + path) as answer,
        ):
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
