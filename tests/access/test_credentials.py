"""Credentials that look right and are not: access tokens, API keys, tokens between services."""

import asyncio
import base64
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flowmesh.access.keys import read_key_file
from flowmesh.access.principal import Principal
from flowmesh.access.sealing import Sealer
from flowmesh.access.service_tokens import LIFETIME_S, METADATA_KEY, ServiceTokens, service_key
from flowmesh.api.common.v1.access_pb2 import IdKind
from flowmesh.api.event.v1 import event_service_pb2
from flowmesh.api.event.v1.event_service_pb2_grpc import EventServiceStub
from flowmesh.api.identity.v1 import key_service_pb2
from flowmesh.identity.credentials.access_tokens import ISSUER, TOKEN_BYTES_MAX
from flowmesh.testing.polling import until
from tests.access.answers import Answer, call, rest
from tests.access.contracts import BY_NAME
from tests.access.crossing import Pair
from tests.access.samples import sample
from tests.features import store
from tests.features.closed import Caller, Closed

pytestmark = [pytest.mark.feature("S1-112", "S3-129")]
GET_ME = BY_NAME["AuthService.GetMe"]
AUTH = GET_ME.rule.service
HOUR_S = 3_600
Claims = dict[str, Any]
# Changes of the claims of a valid token.
CHANGES: Mapping[str, Callable[[Claims, str], Claims]] = {
    "another audience": lambda claims, _: claims | {"aud": "another"},
    "another issuer": lambda claims, _: claims | {"iss": "another"},
    "a clock an hour behind": lambda claims, _: claims | {"exp": int(time.time()) - HOUR_S},
    "a clock an hour ahead": lambda claims, _: claims | {"iat": int(time.time()) + HOUR_S},
    "another user's session": lambda claims, user: claims | {"sub": user},
    "a session that never was": lambda claims, _: claims | {"sid": "ses_00000000000000000000"},
}
REQUIRED = ("aud", "iss", "sub", "sid", "iat", "exp", "jti")


class Forge:
    """Signs access tokens with the newest key of the suite, or another one."""

    def __init__(self, closed: Closed, kid: str, private: Ed25519PrivateKey) -> None:
        self._closed, self._kid, self._private = closed, kid, private
        self.valid: Claims = jwt.decode(
            closed.owner.credential, options={"verify_signature": False}
        )

    def token(self, claims: Claims, *, key: Any = None, kid: str = "", alg: str = "EdDSA") -> str:
        headers = {"kid": kid or self._kid}
        return jwt.encode(claims, key or self._private, algorithm=alg, headers=headers)

    async def answer(self, token: str) -> Answer:
        return await call(self._closed.caller(token), GET_ME, GET_ME.request())


@pytest.fixture(scope="module")
async def forge(closed: Closed) -> Forge:
    sealer = Sealer(read_key_file(_key_file(closed)).wrapping)
    async with store.database(closed.suite, "identity") as connection:
        row = await connection.fetchrow("select * from signing_keys order by created_at desc")
    assert row is not None
    opened = sealer.open(row["sealed_key"], f"signing key {row['kid']}")
    return Forge(closed, row["kid"], Ed25519PrivateKey.from_private_bytes(opened))


def _key_file(closed: Closed) -> Path:
    return Path(closed.suite.environment["FLOWMESH_KEY_FILE"])


async def test_the_key_of_the_forge_is_the_right_one(forge: Forge) -> None:
    """The unchanged token is accepted, so the others are refused for their change alone."""
    assert (await forge.answer(forge.token(forge.valid))).code == "OK"


@pytest.mark.parametrize("change", CHANGES)
async def test_a_token_with_other_claims_is_refused(forge: Forge, pair: Pair, change: str) -> None:
    """Although it is signed with the key of the installation."""
    other = pair.other.ids[IdKind.ID_KIND_USER]
    answer = await forge.answer(forge.token(CHANGES[change](forge.valid, other)))
    assert (answer.code, answer.reason) == ("UNAUTHENTICATED", "CREDENTIALS_INVALID")


@pytest.mark.parametrize("name", REQUIRED)
async def test_a_token_without_a_claim_is_refused(forge: Forge, name: str) -> None:
    """Each claim is required."""
    claims = {key: value for key, value in forge.valid.items() if key != name}
    assert (await forge.answer(forge.token(claims))).reason == "CREDENTIALS_INVALID"


async def test_a_retired_key_verifies_for_twenty_minutes(closed: Closed, forge: Forge) -> None:
    """A token of a key that ended ten minutes ago is valid, one of an hour ago is not."""
    sealer = Sealer(read_key_file(_key_file(closed)).wrapping)
    tokens = {}
    connection = await asyncpg.connect(str(closed.suite.about["postgres"]))
    try:
        for kid, minutes in (("recent", 10), ("retired", 60)):
            private = Ed25519PrivateKey.generate()
            await connection.execute(
                "insert into identity.signing_keys (kid, public_key, sealed_key, not_after)"
                " values ($1, $2, $3, now() - make_interval(mins => $4))",
                kid,
                private.public_key().public_bytes_raw(),
                sealer.seal(private.private_bytes_raw(), f"signing key {kid}"),
                minutes,
            )
            tokens[kid] = forge.token(forge.valid, key=private, kid=kid)
    finally:
        await connection.close()

    async def known() -> bool:
        return (await forge.answer(tokens["recent"])).code == "OK"

    await until("a key that is known", known, within_s=10, poll_s=0.5)
    assert (await forge.answer(tokens["retired"])).reason == "CREDENTIALS_INVALID"


async def test_a_token_of_another_signature_is_refused(forge: Forge) -> None:
    """Another key, an unknown or retired key id, none, and HMAC with the public key."""
    own = Ed25519PrivateKey.generate()
    public = forge._private.public_key().public_bytes_raw()
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode())
    body = forge.token(forge.valid).split(".")[1]
    tokens = (
        forge.token(forge.valid, key=own),
        forge.token(forge.valid, key=own, kid="retired"),
        forge.token(forge.valid, kid="retired"),
        forge.token(forge.valid, key=public, alg="HS256"),
        f"{header.decode().rstrip('=')}.{body}.",
        forge.token(forge.valid)[:-4] + "AAAA",
    )
    for token in tokens:
        answer = await forge.answer(token)
        assert (answer.code, answer.reason) == ("UNAUTHENTICATED", "CREDENTIALS_INVALID"), token


async def test_a_token_of_more_than_8_kib_is_refused(closed: Closed, forge: Forge) -> None:
    """Before it is parsed: over gRPC by the bound of the metadata, over REST by its own."""
    token = forge.token(forge.valid | {"more": "x" * TOKEN_BYTES_MAX})
    assert (await forge.answer(token)).code == "RESOURCE_EXHAUSTED"
    assert (await closed.caller(token).rest("GET", "/api/v1/auth/me"))[0] == 401


async def test_a_token_between_services_is_no_access_token(closed: Closed, forge: Forge) -> None:
    """A valid one in `authorization` is refused, over gRPC and REST."""
    tokens = ServiceTokens(key=read_key_file(_key_file(closed)).services, service="gateway")
    principal = Principal(id=forge.valid["sub"], kind="user", name="", session=forge.valid["sid"])
    for token in (tokens.token(None, AUTH), tokens.token(principal, AUTH)):
        assert (await forge.answer(token)).reason == "CREDENTIALS_INVALID"
        assert (await closed.caller(token).rest("GET", "/api/v1/auth/me"))[0] == 401


@pytest.mark.feature("S3-131")
async def test_a_forged_or_old_service_token_is_refused(closed: Closed, pair: Pair) -> None:
    """One of another key, one after its minute, one for another service, and text; REST: none."""
    keys = read_key_file(_key_file(closed))
    old = ServiceTokens(
        key=keys.services, service="gateway", now=lambda: time.time() - LIFETIME_S - 1
    )
    foreign = ServiceTokens(key=b"\1" * 32, service="gateway")
    access = jwt.encode(
        {"iss": ISSUER, "aud": "flowmesh", "exp": int(time.time()) + 60, "sub": ""},
        service_key(keys.services, "flowmesh"),
        algorithm="EdDSA",
    )
    method = BY_NAME["AccessService.GetPrincipal"]
    called = method.rule.service
    valid = ServiceTokens(key=keys.services, service="gateway")
    forged = (old.token(None, called), foreign.token(None, called), valid.token(None, AUTH))
    for token in (*forged, access, "text", ""):
        caller = _Stating(pair.caller.admin, ((METADATA_KEY, token),))
        answer = await call(caller, method, sample(method, pair.other))
        assert answer.code in ("UNAUTHENTICATED", "PERMISSION_DENIED"), answer
    token = valid.token(None, BY_NAME["ExecutionService.ListExecutions"].rule.service)
    status, _ = await closed.caller("").rest("GET", "/api/v1/executions", flowmesh_principal=token)
    assert status == 401


class _Stating(Caller):
    """A caller whose calls state more than their credential."""

    def __init__(self, caller: Caller, stated: tuple[tuple[str, str], ...]) -> None:
        super().__init__(caller.suite, caller.credential)
        self._stated = stated

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (*super().metadata, *self._stated)


async def test_a_stated_peer_changes_nothing(closed: Closed, pair: Pair) -> None:
    """A key of another network stays refused; the peer is stated by services only."""
    key = await _key(closed, pair, networks=["10.0.0.0/8"])
    for stated in ("ipv4:10.0.0.1:5000", "10.0.0.1"):
        for name, reason in (
            ("flowmesh-peer", "SERVICE_CERTIFICATE_REQUIRED"),
            ("x-forwarded-for", "CREDENTIALS_INVALID"),
        ):
            answer = await call(_Stating(key, ((name, stated),)), GET_ME, GET_ME.request())
            assert answer.reason == reason
    near = await _key(closed, pair, networks=["127.0.0.0/8", "::1/128"])
    assert (await call(near, GET_ME, GET_ME.request())).code == "OK"


async def test_a_changed_api_key_is_refused(closed: Closed, pair: Pair) -> None:
    """Cut, with other characters, with the id of another key and its own secret."""
    own, other = await _key(closed, pair), await _key(closed, pair)
    text = own.credential
    _, _, secret = text.split("_", 2)
    changed = (
        text[:-1],
        text[:-7],
        text + "0",
        text.upper(),
        text[:-1] + ("0" if text[-1] != "0" else "1"),
        f"fm_{other.credential.split('_')[1]}_{secret}",
        "fm_",
        f"fm_{'a' * 12}_{'b' * 43}",
    )
    for credential in changed:
        answer = await call(closed.caller(credential), GET_ME, GET_ME.request())
        assert (answer.code, answer.reason) == ("UNAUTHENTICATED", "CREDENTIALS_INVALID")
    assert (await call(own, GET_ME, GET_ME.request())).code == "OK"


async def test_an_api_key_in_a_url_is_refused(closed: Closed, pair: Pair) -> None:
    """With the advice to rotate it, as logs have it."""
    key = await _key(closed, pair)
    async with aiohttp.ClientSession() as session:
        for name in ("api_key", "access_token", "token"):
            path = f"/api/v1/executions?{name}={key.credential}"
            answer = await rest(closed.caller(""), session, "GET", path)
            assert answer.code == "400", answer
            assert b"rotate" in answer.data
            assert key.credential.encode() not in answer.data


async def test_a_revoked_key_ends_its_stream_between_two_frames(closed: Closed, pair: Pair) -> None:
    """The stream that it opened ends with UNAUTHENTICATED, within a second."""
    key = await _key(closed, pair, role="viewer")
    namespace = pair.caller.namespace
    watch = event_service_pb2.WatchEventsRequest(namespace=namespace)
    stub: Any = EventServiceStub(key.channel)
    events = stub.WatchEvents(watch)
    await events.read()
    me = await key.auth.GetMe(GET_ME.request())
    await closed.owner.keys.DeleteApiKey(
        key_service_pb2.DeleteApiKeyRequest(key_id=me.principal.id)
    )
    began = time.monotonic()
    async with asyncio.timeout(5):
        answer = await call(key, GET_ME, GET_ME.request())
        code = await events.code()
    assert answer.code == "UNAUTHENTICATED"
    assert code.name == "UNAUTHENTICATED"
    assert time.monotonic() - began < 1


async def _key(closed: Closed, pair: Pair, *, role: str = "editor", **more: Any) -> Caller:
    return await closed.key(pair.caller.ids[IdKind.ID_KIND_PROJECT], role, **more)
