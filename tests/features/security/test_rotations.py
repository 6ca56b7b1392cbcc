"""Keys of a closed suite that are rotated under load: no call fails."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import asyncpg
import grpc.aio
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flowmesh.access.keys import read_key_file
from flowmesh.access.sealing import Sealer
from flowmesh.api.execution.v1 import execution_service_pb2 as executions
from flowmesh.api.execution.v1 import execution_service_pb2_grpc
from flowmesh.api.identity.v1 import auth_service_pb2, key_service_pb2
from flowmesh.testing.polling import pause, until
from tests.features.closed import PASSWORD, Caller, Closed, closed_suite

pytestmark = [pytest.mark.long]

CALLS_PER_S = 200
CALLS = 2_000
ROTATIONS = 4
WITHIN_S = 10
EXPIRED_WITHIN_S = 60


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    async with closed_suite(tmp_path_factory.mktemp("rotations")) as made:
        yield made


class Load:
    """Calls at a steady rate, each by the next of the present callers."""

    def __init__(self, namespace: str, callers: Callable[[], list[Caller]]) -> None:
        self._namespace = namespace
        self._callers = callers
        self.made = 0
        self.failures: list[str] = []

    async def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Make all calls while something else is done; raise its failure."""
        loop = asyncio.get_running_loop()
        begins, other = loop.time(), asyncio.create_task(work)
        tasks = []
        for number in range(CALLS):
            await pause(begins + number / CALLS_PER_S - loop.time())
            tasks.append(asyncio.create_task(self._call(number)))
        await asyncio.gather(other, *tasks)

    async def _call(self, number: int) -> None:
        callers = self._callers()
        stub: Any = execution_service_pb2_grpc.ExecutionServiceStub(
            callers[number % len(callers)].channel
        )
        request = executions.ListExecutionsRequest(namespace=self._namespace, page_size=1)
        try:
            await stub.ListExecutions(request, timeout=10)
        except Exception as error:  # noqa: BLE001 each failure counts
            self.failures.append(repr(error))
        self.made += 1


@pytest.mark.feature("S3-129")
async def test_an_api_key_is_rotated_and_no_call_fails(closed: Closed) -> None:
    """200 calls a second by the former and the new secret; the overlap ends the former one."""
    project = await closed.project("rotated")
    key = await closed.key(project.id, "viewer")
    me = await key.auth.GetMe(auth_service_pb2.GetMeRequest())
    callers = [key]
    load = Load("rotated", lambda: callers[-2:])

    async def rotate() -> None:
        for _ in range(ROTATIONS):
            request = key_service_pb2.RotateApiKeyRequest(
                key_id=me.principal.id, overlap_seconds=EXPIRED_WITHIN_S
            )
            made = await closed.owner.keys.RotateApiKey(request)
            callers.append(closed.caller(made.secret))
            await pause(CALLS / CALLS_PER_S / (ROTATIONS + 1))

    await load.beside(rotate())
    assert (load.made, load.failures, len(callers)) == (CALLS, [], ROTATIONS + 1)


def _kid(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


class SigningKeys:
    """The signing keys of a suite, as rows."""

    def __init__(self, closed: Closed) -> None:
        self._closed = closed
        path = Path(closed.suite.environment["FLOWMESH_KEY_FILE"])
        self._sealer = Sealer(read_key_file(path).wrapping)

    async def add(self, kid: str, age_s: int) -> None:
        """Add a key of this age, in place of all others, which verify for a while."""
        private = Ed25519PrivateKey.generate()
        connection = await asyncpg.connect(str(self._closed.suite.about["postgres"]))
        try:
            await connection.execute(
                "insert into identity.signing_keys"
                " (kid, public_key, sealed_key, created_at, not_after)"
                " values ($1, $2, $3, now() - make_interval(secs => $4), now() + '30 days')",
                kid,
                private.public_key().public_bytes_raw(),
                self._sealer.seal(private.private_bytes_raw(), f"signing key {kid}"),
                age_s,
            )
        finally:
            await connection.close()

    async def read(self) -> None:
        """Make the identity service read its keys, as it does for a key that it does not know."""
        token = jwt.encode({}, Ed25519PrivateKey.generate(), "EdDSA", headers={"kid": "another"})
        caller = self._closed.caller(token)
        with pytest.raises(grpc.aio.AioRpcError, match="forged"):
            await caller.auth.GetMe(auth_service_pb2.GetMeRequest())


@pytest.mark.feature("S1-112", "S3-129")
async def test_signing_keys_are_rotated_and_no_call_fails(closed: Closed) -> None:
    """200 calls a second by tokens of the former keys and the newest one.

    A key signs when every process has had the time to read it, not at once.
    """
    keys = SigningKeys(closed)
    login = auth_service_pb2.LoginRequest(email="owner@example.com", password=PASSWORD)
    anyone = closed.caller("")
    session = await anyone.auth.Login(login)
    tokens = [session.tokens]
    callers = [closed.caller(session.tokens.access_token)]

    async def refreshed() -> str:
        request = auth_service_pb2.RefreshRequest(refresh_token=tokens[-1].refresh_token)
        tokens.append((await anyone.auth.Refresh(request)).tokens)
        callers.append(closed.caller(tokens[-1].access_token))
        return _kid(tokens[-1].access_token)

    async def rotate() -> None:
        first = await refreshed()
        await keys.add("unread", 0)
        await keys.read()
        assert await refreshed() == first
        for number in range(ROTATIONS):
            kid = f"rotated-{number}"
            await keys.add(kid, 600 - number)

            async def signs(kid: str = kid) -> bool:
                await keys.read()
                return await refreshed() == kid

            await until(f"tokens of {kid}", signs, within_s=WITHIN_S, poll_s=0.5)

    load = Load("default", lambda: callers)
    await load.beside(rotate())
    assert (load.made, load.failures) == (CALLS, [])
    assert len({_kid(each.access_token) for each in tokens}) == ROTATIONS + 1
