"""The key of the installation makes no service: its holder is a stranger on every port.

The suite is closed and has no certificates; the tests sign tokens as a thief of the key file could.
"""

import re
from pathlib import Path

import aiohttp
import pytest

from flowmesh.access.keys import read_key_file
from flowmesh.access.service_tokens import FORWARDED, METADATA_KEY, PEER, ServiceTokens
from flowmesh.gateway.http.operation_docs import Route
from flowmesh.gateway.routes import ROUTES
from flowmesh.runtime.sockets import InternalSockets
from flowmesh.testing.cluster import Cluster
from tests.access.answers import Answer, call
from tests.access.contracts import BY_NAME, METHODS, Method
from tests.features.closed import Caller, Closed, closed_suite

SERVICES = ("gateway", "identity", "orchestrator", "worker")
CERTIFICATE = "SERVICE_CERTIFICATE_REQUIRED"
# Answers of methods and routes that are not served.
ABSENT = "UNIMPLEMENTED"


class Stating(Caller):
    """A caller with metadata of services beside its credential."""

    def __init__(self, caller: Caller, **stated: str) -> None:
        super().__init__(caller.suite, caller.credential)
        self._stated = tuple((key.replace("_", "-"), value) for key, value in stated.items())

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (*super().metadata, *self._stated)


def key_of(installation: Closed) -> bytes:
    return read_key_file(Path(installation.suite.environment["FLOWMESH_KEY_FILE"])).services


def token(installation: Closed, method: Method, service: str = "gateway") -> str:
    return ServiceTokens(key=key_of(installation), service=service).token(None, method.rule.service)


async def refused(caller: Caller, method: Method) -> Answer | None:
    """Return the answer of a call that was not refused for its metadata."""
    answer = await call(caller, method, method.request())
    is_refused = (answer.code, answer.reason) == ("UNAUTHENTICATED", CERTIFICATE)
    return None if is_refused or answer.code == ABSENT else answer


@pytest.mark.feature("S4-62")
async def test_the_key_makes_no_service_on_any_public_method(installation: Closed) -> None:
    """Each method of the contracts, as a stranger and as the owner; none is called."""
    found = {}
    for method in METHODS:
        for caller in (installation.caller(""), installation.owner):
            stating = Stating(caller, flowmesh_principal=token(installation, method))
            found[method.name, bool(caller.credential)] = await refused(stating, method)
    assert len(found) > 480
    assert {key: answer for key, answer in found.items() if answer is not None} == {}


@pytest.mark.parametrize("service", SERVICES)
async def test_the_key_makes_none_of_the_services(installation: Closed, service: str) -> None:
    """The name in the token does not matter."""
    method = BY_NAME["AccessService.GetPrincipal"]
    stating = Stating(
        installation.caller(""), flowmesh_principal=token(installation, method, service)
    )
    assert await refused(stating, method) is None


@pytest.mark.parametrize("name", [PEER, FORWARDED])
async def test_other_metadata_of_services_is_refused_too(installation: Closed, name: str) -> None:
    """The address of a forwarded call, and the mark of one that an orchestrator passes on."""
    for method in (BY_NAME["ExecutionService.ListExecutions"], BY_NAME["AuthService.Login"]):
        stating = Stating(installation.owner, **{name.replace("-", "_"): "ipv4:9.9.9.9:1"})
        assert await refused(stating, method) is None


def path_of(route: Route) -> str:
    """Return a path of the route, with a name for each parameter."""
    return re.sub(r"\{[^}]*\}", "x", route.path)


async def test_the_key_makes_no_service_over_rest(installation: Closed) -> None:
    """Each route, public ones too, with each header that only services may send."""
    method = BY_NAME["ExecutionService.ListExecutions"]
    found, count = [], 0
    async with aiohttp.ClientSession() as session:
        for route in ROUTES:
            for name in (METADATA_KEY, PEER, FORWARDED):
                headers = {name: token(installation, method), **dict(installation.owner.metadata)}
                url = f"{installation.suite.http_url}{path_of(route)}"
                async with session.request(route.method, url, headers=headers) as response:
                    count += 1
                    if response.status != 401 or CERTIFICATE not in await response.text():
                        found.append((route.method, route.path, name, response.status))
    assert count > 900
    assert found == []


@pytest.mark.long
@pytest.mark.feature("S3-131")
async def test_processes_without_certificates_serve_each_other_by_private_sockets(
    tmp_path: Path,
) -> None:
    """A cluster works, each of its ports refuses the token of a service, and its sockets are in a
    folder that only their user can enter."""
    method = BY_NAME["ExecutionService.ListExecutions"]
    async with closed_suite(tmp_path, kind=Cluster) as installation:
        status, body = await installation.owner.rest("GET", "/api/v1/executions")
        assert status == 200, body
        folder = tmp_path / "data" / "sockets"
        assert folder.stat().st_mode & 0o077 == 0
        for row in installation.suite.processes:
            assert (folder / f"{row['grpc'].rpartition(':')[2]}.sock").is_socket(), row
            port = Stating(installation.caller(""), flowmesh_principal=token(installation, method))
            port.suite = _At(row["grpc"])  # type: ignore[assignment]
            assert await refused(port, method) is None, row["name"]


class _At:
    """The address of one process."""

    def __init__(self, grpc_address: str) -> None:
        self.grpc_address = grpc_address


def test_a_folder_of_sockets_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    """The process does not start."""
    from flowmesh.runtime import StartError

    tmp_path.chmod(0o755)
    with pytest.raises(StartError, match="chmod 700"):
        InternalSockets.of(str(tmp_path))


def test_each_service_signs_with_a_key_of_its_own() -> None:
    """The signature of one service does not verify as that of another."""
    import jwt

    from flowmesh.access.service_tokens import service_key

    secret = bytes(32)
    claims = {"iss": "gateway", "aud": "x", "exp": 2**40, "sub": "", "sid": ""}
    forged = jwt.encode(claims, service_key(secret, "worker"), algorithm="EdDSA")
    right = jwt.encode(claims, service_key(secret, "gateway"), algorithm="EdDSA")
    tokens = ServiceTokens(key=secret, service="identity")
    assert tokens.verified(forged, "x") is None
    assert tokens.verified(right, "x") is not None
