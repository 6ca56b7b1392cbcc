"""The cost of the authorization for a call whose credential is known."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from flowmesh.access import PERMISSIONS, Principal, Role, rule_of
from flowmesh.access.authenticator import ANY_SERVICE, Authenticator
from flowmesh.access.authorization import Authorization
from flowmesh.access.refusals import Refusals
from flowmesh.access.service_tokens import METADATA_KEY, ServiceTokens
from flowmesh.api.execution.v1 import execution_service_pb2
from flowmesh.telemetry.metrics import Metrics
from flowmesh.testing.polling import target_s

CALLS = 2_000
TRIES = 5
KNOWN_S_MAX = 10e-6
PRINCIPAL = Principal(
    id="key_1", kind="key", name="shop", namespaces={"shop": PERMISSIONS[Role.EDITOR]}
)


class Identity:
    """An identity service that knows every credential."""

    async def authenticate(self, credential: str, address: str) -> Principal:
        return PRINCIPAL

    async def principal(self, principal_id: str, session: str) -> Principal:
        return PRINCIPAL

    async def offline(self, principal_id: str) -> Principal:
        return PRINCIPAL


@pytest.mark.feature("S3-129")
@pytest.mark.parametrize("sender", ["caller", "service"])
def test_a_known_credential_costs_ten_microseconds(sender: str) -> None:
    """Authentication, the check of the rule, and the attribution of the request."""
    tokens = ServiceTokens(key=bytes(32), service="gateway")
    authenticator = Authenticator(
        resolver=Identity(), tokens=tokens, peer_service=lambda _: ANY_SERVICE
    )
    authorization = Authorization(authenticator, Refusals(Metrics()))
    rule = rule_of("/flowmesh.api.execution.v1.ExecutionService/StartExecution")
    assert rule is not None
    proof = {
        "caller": ("authorization", "Bearer fm_" + "a" * 62),
        "service": (METADATA_KEY, tokens.token(PRINCIPAL, rule.service)),
    }[sender]
    metadata = (("user-agent", "grpc"), proof)
    request = execution_service_pb2.StartExecutionRequest(namespace="shop", workflow_id="orders")

    async def calls() -> None:
        for _ in range(CALLS):
            await authorization.admit(rule, metadata, "127.0.0.1")
            authorization.check(rule, request)

    _run(calls())
    assert request.actor == "shop"
    assert target_s(lambda: _run(calls()), TRIES) / CALLS <= KNOWN_S_MAX


def _run(work: Coroutine[Any, Any, None]) -> None:
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(work)
    finally:
        loop.close()
