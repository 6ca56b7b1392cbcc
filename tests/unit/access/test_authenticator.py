"""Credentials, tokens between services, and their revocation."""

import asyncio
from dataclasses import dataclass, field

import pytest

from flowmesh.access import Principal
from flowmesh.access.authenticator import (
    ANY_SERVICE,
    KEPT_S,
    KEPT_UNHEARD_S,
    UNHEARD_AFTER_S,
    Authenticator,
    PeerService,
)
from flowmesh.access.service_tokens import LIFETIME_S, METADATA_KEY, ServiceTokens
from flowmesh.errors import Unauthenticated

CALLED = "flowmesh.api.execution.v1.ExecutionService"
KEY = bytes(32)
BEARER = (("authorization", "Bearer good"),)


def opened() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


@dataclass
class Identity:
    """An identity service that knows one credential."""

    asked: list[str] = field(default_factory=list)
    # The end of the credential, of the day in microseconds; 0 is none.
    expires_us: int = 0
    # Answers wait for it.
    gate: asyncio.Event = field(default_factory=opened)

    async def authenticate(self, credential: str, address: str) -> Principal:
        self.asked.append(f"{credential} {address}")
        await self.gate.wait()
        if credential != "good":
            raise Unauthenticated("CREDENTIALS_INVALID", "the credential is not valid")
        return Principal(
            id="usr_1", kind="user", name="ada", session="ses_1", expires_us=self.expires_us
        )

    async def principal(self, principal_id: str, session: str) -> Principal:
        self.asked.append(f"{principal_id} {session}")
        return Principal(
            id=principal_id,
            kind="user",
            name="ada",
            session=session,
            expires_us=self.expires_us,
        )

    async def offline(self, principal_id: str) -> Principal:
        return await self.principal(principal_id, "")


@dataclass
class Time:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


async def turns() -> None:
    """Let the other tasks go on until they wait."""
    for _ in range(5):
        await asyncio.sleep(0)


def made(identity: Identity, time: Time) -> Authenticator:
    tokens = ServiceTokens(key=KEY, service="orchestrator", now=time)
    return Authenticator(
        resolver=identity,
        tokens=tokens,
        peer_service=lambda _: ANY_SERVICE,
        now=time,
        clock=time,
    )


async def test_a_call_without_a_credential_is_refused() -> None:
    """The message says which header to send."""
    with pytest.raises(Unauthenticated, match="authorization: Bearer") as refused:
        await made(Identity(), Time()).caller((), "", CALLED)
    assert refused.value.reason == "CREDENTIALS_REQUIRED"


@pytest.mark.parametrize("value", ["Basic YTpi", "good", "Bearer bad", "Bearer " + "x" * 9_000])
async def test_a_wrong_credential_is_refused(value: str) -> None:
    """Another scheme, none, an unknown one, one that is too long."""
    with pytest.raises(Unauthenticated) as refused:
        await made(Identity(), Time()).caller((("authorization", value),), "", CALLED)
    assert refused.value.reason == "CREDENTIALS_INVALID"


async def test_a_known_credential_is_asked_for_once() -> None:
    """It is kept for a while, apart for each address."""
    identity, time = Identity(), Time()
    authenticator = made(identity, time)
    for _ in range(3):
        authenticator.heard()
        assert (await authenticator.caller(BEARER, "10.0.0.1", CALLED)).principal is not None
    await authenticator.caller(BEARER, "10.0.0.2", CALLED)
    assert identity.asked == ["good 10.0.0.1", "good 10.0.0.2"]
    time.now += KEPT_S
    await authenticator.caller(BEARER, "10.0.0.1", CALLED)
    assert len(identity.asked) == 3


@pytest.mark.parametrize("door", ["external", "service", "offline"])
async def test_nothing_is_kept_past_the_end_of_its_credential(door: str) -> None:
    """The expiry of a key, the end of a rotated secret, the `exp` of a token: by every door."""
    identity, time = Identity(), Time()
    identity.expires_us = int((time.now + 5) * 1_000_000)
    authenticator = made(identity, time)
    tokens = ServiceTokens(key=KEY, service="gateway", now=time)
    ada = Principal(id="usr_1", kind="user", name="ada", session="ses_1")

    async def call() -> None:
        if door == "offline":
            await authenticator.offline("usr_1")
            return
        service = ((METADATA_KEY, tokens.token(ada, CALLED)),)
        await authenticator.caller(BEARER if door == "external" else service, "", CALLED)

    await call()
    time.now += 4.9
    authenticator.heard()
    await call()
    assert len(identity.asked) == 1
    time.now += 0.1
    authenticator.heard()
    await call()
    assert len(identity.asked) == 2


async def test_a_revocation_forgets_the_principal_and_the_session() -> None:
    """The next call asks the identity service again."""
    for gone in ("usr_1", "ses_1"):
        identity, time = Identity(), Time()
        authenticator = made(identity, time)
        await authenticator.caller(BEARER, "", CALLED)
        authenticator.revoke(["usr_other"])
        await authenticator.caller(BEARER, "", CALLED)
        assert len(identity.asked) == 1
        authenticator.revoke([gone])
        await authenticator.caller(BEARER, "", CALLED)
        assert len(identity.asked) == 2


async def test_calls_wait_for_one_answer_together() -> None:
    """Also if one of them gives up; a refusal is that of all, and is not kept."""
    identity, time = Identity(gate=asyncio.Event()), Time()
    authenticator = made(identity, time)
    calls = [
        asyncio.create_task(authenticator.caller(BEARER, "10.0.0.1", CALLED)) for _ in range(50)
    ]
    await turns()
    calls.pop().cancel()
    identity.gate.set()
    assert {each.principal.name for each in await asyncio.gather(*calls) if each.principal} == {
        "ada"
    }
    assert len(identity.asked) == 1

    wrong = [authenticator.external("Bearer bad", "") for _ in range(2)]
    refused = await asyncio.gather(*wrong, return_exceptions=True)
    assert [type(each) for each in refused] == [Unauthenticated, Unauthenticated]
    assert len(identity.asked) == 2
    with pytest.raises(Unauthenticated):
        await authenticator.external("Bearer bad", "")
    assert len(identity.asked) == 3


async def test_a_call_after_a_revocation_takes_no_answer_to_an_earlier_question() -> None:
    """It asks for itself, and what was asked before is not kept."""
    identity, time = Identity(gate=asyncio.Event()), Time()
    authenticator = made(identity, time)
    before = asyncio.create_task(authenticator.caller(BEARER, "", CALLED))
    await turns()
    authenticator.revoke(["usr_1"])
    after = asyncio.create_task(authenticator.caller(BEARER, "", CALLED))
    await turns()
    assert len(identity.asked) == 2
    identity.gate.set()
    await asyncio.gather(before, after)


async def test_without_the_bus_a_credential_is_kept_for_a_second() -> None:
    """A revocation may have been missed."""
    identity, time = Identity(), Time()
    authenticator = made(identity, time)
    time.now += UNHEARD_AFTER_S + 1
    await authenticator.caller(BEARER, "", CALLED)
    time.now += KEPT_UNHEARD_S
    await authenticator.caller(BEARER, "", CALLED)
    assert len(identity.asked) == 2


async def test_a_token_between_services_names_service_and_principal() -> None:
    """The permissions are looked up, not taken from the token."""
    identity, time = Identity(), Time()
    tokens = ServiceTokens(key=KEY, service="gateway", now=time)
    ada = Principal(id="usr_1", kind="user", name="ada", everywhere=0xFF, session="ses_1")
    caller = await made(identity, time).caller(
        ((METADATA_KEY, tokens.token(ada, CALLED)),), "", CALLED
    )
    assert (caller.service, caller.principal) == (
        "gateway",
        Principal(id="usr_1", kind="user", name="ada", session="ses_1"),
    )
    own = await made(identity, time).caller(
        ((METADATA_KEY, tokens.token(None, CALLED)),), "", CALLED
    )
    assert (own.service, own.principal) == ("gateway", None)


async def test_a_token_of_another_key_or_of_the_past_is_refused() -> None:
    """A forged one, one that has expired, a truncated one."""
    time = Time()
    forged = ServiceTokens(key=b"\1" * 32, service="gateway", now=time)
    good = ServiceTokens(key=KEY, service="gateway", now=time).token(None, CALLED)
    authenticator = made(Identity(), time)
    for token in (forged.token(None, CALLED), good[:-4], "", "a.b.c"):
        with pytest.raises(Unauthenticated):
            await authenticator.caller(((METADATA_KEY, token),), "", CALLED)
    await authenticator.caller(((METADATA_KEY, good),), "", CALLED)
    time.now += LIFETIME_S
    with pytest.raises(Unauthenticated):
        await authenticator.caller(((METADATA_KEY, good),), "", CALLED)


async def test_a_token_between_services_counts_for_the_service_that_is_called() -> None:
    """Replayed at another one it is refused, within its minute."""
    time = Time()
    proof = (
        (METADATA_KEY, ServiceTokens(key=KEY, service="gateway", now=time).token(None, CALLED)),
    )
    authenticator = made(Identity(), time)
    for _ in range(2):
        assert (await authenticator.caller(proof, "", CALLED)).service == "gateway"
        other = "flowmesh.api.identity.v1.AccessService"
        with pytest.raises(Unauthenticated, match="for this service"):
            await authenticator.caller(proof, "", other)


def certified(service: str) -> PeerService:
    """Connections whose certificate names a service."""
    return lambda _: service


async def test_a_token_between_services_counts_from_its_sender() -> None:
    """The certificate of the connection names the service that made the token."""
    time = Time()
    proof = (
        (METADATA_KEY, ServiceTokens(key=KEY, service="gateway", now=time).token(None, CALLED)),
    )
    for peer, reason in (
        ("gateway", ""),
        ("worker", "CREDENTIALS_INVALID"),
        ("", "SERVICE_CERTIFICATE_REQUIRED"),
    ):
        tokens = ServiceTokens(key=KEY, service="orchestrator", now=time)
        authenticator = Authenticator(
            resolver=Identity(), tokens=tokens, peer_service=certified(peer), now=time
        )
        if not reason:
            assert (await authenticator.caller(proof, "", CALLED)).service == "gateway"
            continue
        with pytest.raises(Unauthenticated) as refused:
            await authenticator.caller(proof, "", CALLED)
        assert refused.value.reason == reason
