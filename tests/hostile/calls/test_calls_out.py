"""No application calls an address that the egress policy does not admit, by any type it has."""

import asyncio
import json
import os
import selectors
import socket
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flowmesh.apps.catalog import DESCRIPTORS, STEPS
from flowmesh.contract.json_value import Json
from tests.hostile.calls.outgoing_calls import BESIDE, OF_THE_CATALOG, SUITE, Calling

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[3]
ALL = {**OF_THE_CATALOG, **BESIDE}
# Keys of the catalog that are addresses; a lower number means that one was lost.
KEYS = 26
ADDRESSES = frozenset({"address", "target", "dsn"})
# Their driver tries for five seconds; they are called in one form.
PATIENT = frozenset({"messaging.nats.url", "eventbus.modular.engines.*.config.url"})
# An address of loopback that the policy admits, and what is served there.
ISSUER = "127.0.0.2"
TOKEN = b'{"access_token": "t"}'
REFUSAL = "the address is not one that steps may call"

# Loopback in all its forms: plain, by name, any address, mapped, translated, compatible, short,
# decimal, hexadecimal and octal. Some of them no driver can connect to.
FORMS = (
    *("127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]"),
    *("[64:ff9b::7f00:1]", "[::ffff:0:7f00:1]", "[::7f00:1]", "[2002:7f00:1::]", "127.1"),
    *("2130706433", "0x7f000001", "0177.0.0.1", "localhost.", "169.254.169.254", "10.0.0.1"),
)


class Listeners:
    """Servers on loopback, one for each call; `reached` counts the connections, which end."""

    def __init__(self, names: Iterable[str]) -> None:
        self.reached: Counter[str] = Counter()
        self._selector = selectors.DefaultSelector()
        # Also loopback of IPv4, as mapped addresses.
        self._servers = {
            name: socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
            for name in names
        }
        self._ending, theirs = socket.socketpair()
        self._selector.register(theirs, selectors.EVENT_READ)
        for name, server in self._servers.items():
            self._selector.register(server, selectors.EVENT_READ, name)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def ports(self) -> dict[str, int]:
        return {name: each.getsockname()[1] for name, each in self._servers.items()}

    def close(self) -> None:
        self._ending.close()
        self._thread.join()
        for each in self._servers.values():
            each.close()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                self._servers[key.data].accept()[0].close()
                self.reached[key.data] += 1


@pytest.fixture
def listeners() -> Iterator[Listeners]:
    made = Listeners((*ALL, "suite"))
    yield made
    made.close()


@asynccontextmanager
async def issuing() -> AsyncIterator[str]:
    """Serve the address of an OAuth2 provider that gives a token to every caller."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(TOKEN)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + TOKEN)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, ISSUER, 0) as server:
        yield f"{ISSUER}:{server.sockets[0].getsockname()[1]}"


async def said_by(
    calls: Mapping[str, tuple[Calling, str]], folder: Path, *, egress: str
) -> dict[str, str]:
    """Run applications that call addresses; return what each says."""
    async with issuing() as issuer:
        cases = {name: calling.case(at, issuer) for name, (calling, at) in calls.items()}
        given = {"egress": egress, "allowed": [f"{ISSUER}/32"], "cases": cases}
        return await driven(given, folder)


async def driven(given: Mapping[str, Json], folder: Path) -> dict[str, str]:
    """Run the cases in a process of their own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.hostile.calls.calling_out"),
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate(json.dumps(given).encode())
    assert process.returncode == 0, errors.decode()
    found: dict[str, str] = json.loads(output)
    return found


def addresses() -> set[str]:
    """Return the keys of the catalog that are addresses to call."""
    return {
        f"{kind}.{each.key}{'.' if place else ''}{place}"
        for kind, descriptor in {**DESCRIPTORS, **STEPS}.items()
        for each in descriptor.fields
        for place, rule in each.rules.items()
        if rule in ADDRESSES
    }


def test_each_address_of_the_catalog_is_called() -> None:
    """A type with an address that no test drives is found here."""
    print(f"{len(addresses())} addresses, {len(BESIDE) + 1} other calls")
    assert addresses() == set(OF_THE_CATALOG)
    assert len(addresses()) >= KEYS


async def test_each_call_reaches_a_server_without_a_policy(
    listeners: Listeners, tmp_path: Path
) -> None:
    """The applications do call: what the other tests count would be there."""
    ports = listeners.ports
    calls = {n: (each, f"127.0.0.1:{ports[n]}") for n, each in ALL.items()}
    said = await said_by(calls, tmp_path, egress="open")
    said |= await said_by(
        {"suite": (SUITE, f"127.0.0.1:{ports['suite']}")}, tmp_path, egress="open"
    )
    reached = listeners.reached
    for name, each in {**ALL, "suite": SUITE}.items():
        if each.refused:
            assert (each.refused in said[name], reached[name]) == (True, 0), (name, said[name])
        else:
            assert reached[name], (name, said[name])


def forms(number: int, *, patient: bool) -> tuple[str, ...]:
    """Return the plain form, and two others in turn, so that several drivers meet each."""
    further = len(FORMS) - 1
    turns = (2 * number, 2 * number + 1)
    return FORMS[:1] if patient else (FORMS[0], *(FORMS[1 + each % further] for each in turns))


async def test_no_call_reaches_loopback(listeners: Listeners, tmp_path: Path) -> None:
    """Each is refused for its reason, in the forms that an address has."""
    ports = listeners.ports
    calls = {
        f"{name} {form}": (each, f"{form}:{ports[name]}")
        for number, (name, each) in enumerate(ALL.items())
        for form in forms(number, patient=name in PATIENT)
    }
    said = await said_by(calls, tmp_path, egress="public")
    at = f"127.0.0.1:{ports['suite']}"
    said |= await said_by({"suite 127.0.0.1": (SUITE, at)}, tmp_path, egress="public")
    print(f"{len(said)} calls refused, of {len(ALL) + 1} kinds")
    assert sum(listeners.reached.values()) == 0
    unclear = {
        name: text
        for name, text in said.items()
        if name.endswith(" 127.0.0.1")
        and (ALL.get(name.removesuffix(" 127.0.0.1"), SUITE).refused or REFUSAL) not in text
    }
    assert unclear == {}
