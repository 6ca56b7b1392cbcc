"""Credentials, tokens between services, and their revocation."""

from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flowmesh.access import Principal
from flowmesh.access.authenticator import KEPT_S, KEPT_UNHEARD_S, UNHEARD_AFTER_S, Authenticator
from flowmesh.access.service_tokens import LIFETIME_S, METADATA_KEY, ServiceTokens
from flowmesh.errors import Unauthenticated

KEY = Ed25519PrivateKey.generate()
BEARER = (("authorization", "Bearer good"),)


@dataclass
class Identity:
    """An identity service that knows one credential."""

    asked: list[str] = field(default_factory=list)

    async def authenticate(self, credential: str, address: str) -> Principal:
        self.asked.append(f"{credential} {address}")
        if credential != "good":
            raise Unauthenticated("CREDENTIALS_INVALID", "the credential is not valid")
        return Principal(id="usr_1", kind="user", name="ada", session="ses_1")

    async def principal(self, principal_id: str, session: str) -> Principal:
        self.asked.append(f"{principal_id} {session}")
        return Principal(id=principal_id, kind="user", name="ada", session=session)

    async def absent(self, principal_id: str) -> Principal:
        return await self.principal(principal_id, "")


@dataclass
class Time:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def made(identity: Identity, time: Time) -> Authenticator:
    tokens = ServiceTokens(key=KEY, service="orchestrator", now=time)
    return Authenticator(resolver=identity, tokens=tokens, now=time)


async def test_a_call_without_a_credential_is_refused() -> None:
    """The message says which header to send."""
    with pytest.raises(Unauthenticated, match="authorization: Bearer") as refused:
        await made(Identity(), Time()).caller((), "")
    assert refused.value.reason == "CREDENTIALS_REQUIRED"


@pytest.mark.parametrize("value", ["Basic YTpi", "good", "Bearer bad", "Bearer " + "x" * 9_000])
async def test_a_wrong_credential_is_refused(value: str) -> None:
    """Another scheme, none, an unknown one, one that is too long."""
    with pytest.raises(Unauthenticated) as refused:
        await made(Identity(), Time()).caller((("authorization", value),), "")
    assert refused.value.reason == "CREDENTIALS_INVALID"


async def test_a_known_credential_is_asked_for_once() -> None:
    """It is kept for a while, apart for each address."""
    identity, time = Identity(), Time()
    authenticator = made(identity, time)
    for _ in range(3):
        authenticator.heard()
        assert (await authenticator.caller(BEARER, "10.0.0.1")).principal is not None
    await authenticator.caller(BEARER, "10.0.0.2")
    assert identity.asked == ["good 10.0.0.1", "good 10.0.0.2"]
    time.now += KEPT_S
    await authenticator.caller(BEARER, "10.0.0.1")
    assert len(identity.asked) == 3


async def test_a_revocation_forgets_the_principal_and_the_session() -> None:
    """The next call asks the identity service again."""
    for gone in ("usr_1", "ses_1"):
        identity, time = Identity(), Time()
        authenticator = made(identity, time)
        await authenticator.caller(BEARER, "")
        authenticator.revoke(["usr_other"])
        await authenticator.caller(BEARER, "")
        assert len(identity.asked) == 1
        authenticator.revoke([gone])
        await authenticator.caller(BEARER, "")
        assert len(identity.asked) == 2


async def test_without_the_bus_a_credential_is_kept_for_a_second() -> None:
    """A revocation may have been missed."""
    identity, time = Identity(), Time()
    authenticator = made(identity, time)
    time.now += UNHEARD_AFTER_S + 1
    await authenticator.caller(BEARER, "")
    time.now += KEPT_UNHEARD_S
    await authenticator.caller(BEARER, "")
    assert len(identity.asked) == 2


async def test_a_token_between_services_names_service_and_principal() -> None:
    """The permissions are looked up, not taken from the token."""
    identity, time = Identity(), Time()
    tokens = ServiceTokens(key=KEY, service="gateway", now=time)
    ada = Principal(id="usr_1", kind="user", name="ada", everywhere=0xFF, session="ses_1")
    caller = await made(identity, time).caller(((METADATA_KEY, tokens.token(ada)),), "")
    assert (caller.service, caller.principal) == (
        "gateway",
        Principal(id="usr_1", kind="user", name="ada", session="ses_1"),
    )
    own = await made(identity, time).caller(((METADATA_KEY, tokens.token(None)),), "")
    assert (own.service, own.principal) == ("gateway", None)


async def test_a_token_of_another_key_or_of_the_past_is_refused() -> None:
    """A forged one, one that has expired, a truncated one."""
    time = Time()
    forged = ServiceTokens(key=Ed25519PrivateKey.generate(), service="gateway", now=time)
    good = ServiceTokens(key=KEY, service="gateway", now=time).token(None)
    authenticator = made(Identity(), time)
    for token in (forged.token(None), good[:-4], "", "a.b.c"):
        with pytest.raises(Unauthenticated):
            await authenticator.caller(((METADATA_KEY, token),), "")
    await authenticator.caller(((METADATA_KEY, good),), "")
    time.now += LIFETIME_S
    with pytest.raises(Unauthenticated):
        await authenticator.caller(((METADATA_KEY, good),), "")
