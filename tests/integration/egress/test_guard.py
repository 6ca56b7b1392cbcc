"""The guarded client against sockets on loopback, which stand for everything inside."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from flowmesh.egress import (
    OPEN,
    PUBLIC,
    Egress,
    EgressBlocked,
    Policy,
    RequestInvalid,
    TooManyRedirects,
    Unreachable,
)
from flowmesh.testing.world import World

HOSTS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "0",
    "0.0.0.0",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "①②⑦.⓪.⓪.①",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[::a9fe:a9fe]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::]",
    "[fec0::1]",
    "[fe80::1%25lo]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "169.254.169.254",
    "100.100.100.200",
    "192.0.0.192",
    "10.0.0.5",
    "224.0.0.1",
    "255.255.255.255",
    "user:password@127.0.0.1",
    "example.com@127.0.0.1",
    "example.com:80@127.0.0.1",
    "example.com%40127.0.0.1",
    "example.com\\@127.0.0.1",
]

UNKNOWN_NAME = "Unreachable: the host name {} cannot be resolved"


class Canary:
    """Listens on loopback, or where it is told, in both families, and counts connections."""

    def __init__(self, v4: str = "127.0.0.1", v6: str = "::1") -> None:
        self._v4_address, self._v6_address = v4, v6
        self.connections = 0

    async def __aenter__(self) -> "Canary":
        self._server = await asyncio.start_server(self._connected, self._v4_address, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._v6 = await asyncio.start_server(self._connected, self._v6_address, self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._v6.close()

    async def _connected(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


class Names(AbstractResolver):
    """Answers names as it is told, one list of addresses per question."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    async with Canary() as canary:
        yield canary


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as world:
        yield world


@pytest.fixture
async def client() -> AsyncIterator[Egress]:
    async with Egress(OPEN) as client:
        yield client


@pytest.mark.parametrize("host", HOSTS)
async def test_no_literal_reaches_inside(canary: Canary, host: str) -> None:
    """Whatever way an inner address is written, nothing connects."""
    url = f"http://{host}:{canary.port}/"
    async with Egress(PUBLIC) as client:
        # Unreachable: a name that this machine's resolver does not know.
        with pytest.raises((EgressBlocked, RequestInvalid, Unreachable)) as blocked:
            await client.send("GET", url, headers={}, timeout_ms=2_000)
    assert canary.connections == 0
    assert str(canary.port) not in str(blocked.value)


@pytest.mark.slow
def test_no_literal_reaches_an_address_that_answers() -> None:
    """Where every address there is leads to a canary, those of clouds too, it hears nobody.

    Takes root, for a network of its own.
    """
    done = subprocess.run(
        ("unshare", "--net", sys.executable, "-m", "tests.integration.egress.everywhere"),
        input=json.dumps(HOSTS),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for host, outcome in found["outcomes"].items():
        assert outcome in ("EgressBlocked", "RequestInvalid", UNKNOWN_NAME.format(host)), outcome
    assert found["reached"] == 0
    assert found["control"] >= found["asked"]


async def test_open_and_closed_ports_look_the_same(canary: Canary) -> None:
    """The answer tells nothing about what listens."""
    messages = set()
    async with Egress(PUBLIC) as client:
        for port in (canary.port, 1):
            with pytest.raises(EgressBlocked) as blocked:
                await client.send("GET", f"http://127.0.0.1:{port}/", headers={}, timeout_ms=2_000)
            messages.add(str(blocked.value))
    assert len(messages) == 1


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["2606:4700:4700::1111", "::1"], ["10.0.0.1"]],
)
async def test_every_address_of_a_name_must_be_public(canary: Canary, addresses: list[str]) -> None:
    """A name with one inner address is not called at all."""
    async with Egress(PUBLIC, Names(addresses)) as client:
        with pytest.raises(EgressBlocked):
            await client.send(
                "GET", f"http://name.test:{canary.port}/", headers={}, timeout_ms=2_000
            )
    assert canary.connections == 0


async def test_a_name_that_turns_inside_later_is_blocked_then(world: World) -> None:
    """Rebinding: the address that is connected to is the one that was checked."""
    policy = Policy.named("public", ("127.0.0.1/32",))
    port = world.address.rpartition(":")[2]
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    async with Egress(policy, names) as client:
        answer = await client.send("GET", f"http://one.test:{port}/a", headers={}, timeout_ms=2_000)
        assert answer.status == 200
        with pytest.raises(EgressBlocked):
            await client.send("GET", f"http://two.test:{port}/a", headers={}, timeout_ms=2_000)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_inside_is_blocked(world: World, canary: Canary, status: int) -> None:
    """Every hop is checked as the first one is."""
    policy = Policy.named("public", ("127.0.0.1/32",))
    location = f"http://127.0.0.2:{canary.port}/secret"
    world.answers("go", status=status, headers={"Location": location})
    async with Egress(policy) as client:
        with pytest.raises(EgressBlocked):
            await client.send("POST", world.url("go"), headers={}, body=b"data", timeout_ms=2_000)
    assert canary.connections == 0


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://x/", "javascript:1"]
)
async def test_a_redirect_may_not_leave_http(world: World, client: Egress, location: str) -> None:
    """http and https only, at every hop."""
    world.answers("go", status=302, headers={"Location": location})
    with pytest.raises(RequestInvalid):
        await client.send("GET", world.url("go"), headers={}, timeout_ms=2_000)


async def test_three_redirects_are_followed_and_not_four(world: World, client: Egress) -> None:
    """The bound holds for loops too."""
    for number in range(3):
        world.answers(f"r{number}", status=302, headers={"Location": f"/r{number + 1}"})
    world.answers("r3", text="there")
    answer = await client.send("GET", world.url("r0"), headers={}, timeout_ms=2_000)
    assert (answer.body, answer.url) == (b"there", world.url("r3"))
    world.answers("loop", status=302, headers={"Location": "/loop"})
    with pytest.raises(TooManyRedirects):
        await client.send("GET", world.url("loop"), headers={}, timeout_ms=2_000)
    assert len(world.calls("loop")) == 4


async def test_credentials_do_not_follow_to_another_host(world: World, client: Egress) -> None:
    """The same origin keeps all headers, another one gets only the harmless."""
    headers = {"Authorization": "Bearer x", "X-Api-Key": "k", "Accept": "text/plain"}
    async with World() as elsewhere:
        world.answers("near", status=307, headers={"Location": "/here"})
        world.answers("far", status=307, headers={"Location": elsewhere.url("there")})
        for route in ("near", "far"):
            await client.send(
                "POST", world.url(route), headers=headers, body=b"b", timeout_ms=2_000
            )
        [here], [there] = world.calls("here"), elsewhere.calls("there")
    assert here.headers["authorization"] == "Bearer x"
    assert (here.method, here.body, there.body) == ("POST", b"b", b"b")
    assert "authorization" not in there.headers
    assert "x-api-key" not in there.headers
    assert there.headers["accept"] == "text/plain"


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET")])
async def test_a_post_becomes_a_get_as_browsers_do(
    world: World, client: Egress, status: int, method: str
) -> None:
    """301, 302 and 303 drop the body; 307 and 308 keep it."""
    world.answers("go", status=status, headers={"Location": "/to"})
    await client.send("POST", world.url("go"), headers={}, body=b"b", timeout_ms=2_000)
    [call] = world.calls("to")
    assert (call.method, call.body) == (method, b"")


async def test_the_environment_sets_no_proxy(
    world: World, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies of the environment are not used."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    async with Egress(OPEN) as client:
        answer = await client.send("GET", world.url("a"), headers={}, timeout_ms=2_000)
    assert answer.status == 200
    assert canary.connections == 0


async def test_no_cookie_is_kept_between_calls(world: World, client: Egress) -> None:
    """One step's session never becomes another's."""
    world.answers("login", headers={"Set-Cookie": "session=1"})
    await client.send("GET", world.url("login"), headers={}, timeout_ms=2_000)
    await client.send("GET", world.url("login"), headers={}, timeout_ms=2_000)
    assert all("cookie" not in call.headers for call in world.calls("login"))
