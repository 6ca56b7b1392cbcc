"""Connections that say nothing, too much, or what no client says: others are served."""

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc.aio
import psutil
import pytest

from flowmesh.api.execution.v1 import execution_service_pb2 as executions
from flowmesh.rpc.limits import HANDSHAKE_TIMEOUT_MS, PUBLIC_STREAMS_MAX
from flowmesh.runtime.http.protocol import HEAD_BYTES_MAX, HEAD_S
from flowmesh.testing.polling import allowed_s, pause
from flowmesh.testing.suite import Suite, raw_channel
from tests.badinput import frames
from tests.badinput.bench import EXECUTIONS, Bench
from tests.features.hostile import send
from tests.features.steps import step

ROOT = Path(__file__).resolve().parents[2]
MIB = 2**20
SILENT = 1_000
SHORT_S = 2.0
# Connections of an attacker that stay open.
HELD = 20
BETWEEN_S = 0.02
# What was begun is dealt with first.
RECOVERED_S = 5.0
# Most of it what has been read and not looked at, of headers that go on and on.
ATTACKED_MIB_MAX = 512
# On a machine that does other things too.
SERVED_S = 2.0
GROWTH_MIB_MAX = 64
CLOSED_S = 10.0
IDLE_S = 30.0
GET = f"{EXECUTIONS}/GetExecution"
UNKNOWN = executions.GetExecutionRequest(execution_id="no-such-thing").SerializeToString()


def addresses(suite: Suite) -> dict[str, str]:
    return {"http": suite.http_url.removeprefix("http://"), "grpc": suite.grpc_address}


@asynccontextmanager
async def opened(
    address: str, count: int, hello: bytes = b""
) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Connections over which nothing else is said."""
    host, _, port = address.rpartition(":")
    made = await asyncio.gather(*(asyncio.open_connection(host, int(port)) for _ in range(count)))
    for _, writer in made:
        writer.write(hello)
    try:
        yield [reader for reader, _ in made]
    finally:
        for _, writer in made:
            writer.close()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What came until the other side closed."""
    with suppress(ConnectionError):
        return await reader.read()
    return b""


async def served(suite: Suite) -> None:
    """A new client of each kind is answered soon."""
    async with asyncio.timeout(SERVED_S):
        assert (await suite.get("/workflows/no-such-thing")).status == 404
        async with raw_channel(suite) as channel:
            assert (await send(channel, GET, UNKNOWN)).reason == "EXECUTION_NOT_FOUND"


@pytest.mark.parametrize("kind", ["grpc", pytest.param("http", marks=pytest.mark.slow)])
async def test_silent_connections(victim: Suite, kind: str) -> None:
    """A thousand delay nobody, and are closed when nothing comes."""
    wait_s = HEAD_S if kind == "http" else HANDSHAKE_TIMEOUT_MS / 1_000
    async with opened(addresses(victim)[kind], SILENT) as readers:
        await served(victim)
        async with asyncio.timeout(wait_s + CLOSED_S):
            await asyncio.gather(*(ended(reader) for reader in readers))
    await served(victim)


@pytest.mark.long
async def test_connections_that_fall_silent(victim: Suite) -> None:
    """They have said hello, have no call open and answer no ping: closed like the others."""
    hello = frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0)
    async with opened(victim.grpc_address, SILENT, hello) as readers:
        await served(victim)
        async with asyncio.timeout(IDLE_S):
            await asyncio.gather(*(ended(reader) for reader in readers))
    await served(victim)


@pytest.mark.parametrize("begun", [b"GET /", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nx: "])
async def test_a_head_without_an_end_is_refused(victim: Suite, begun: bytes) -> None:
    """Its bytes are bounded, in one header and in many; nobody waits for it."""
    process = psutil.Process(victim.pid)
    before = process.memory_info().rss
    host, _, port = addresses(victim)["http"].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    more = b"x-a: b\r\n" if begun.endswith(b"\n") else b"x"
    writer.write(begun)
    with suppress(ConnectionError):
        for _ in range(100):
            writer.write(more * (HEAD_BYTES_MAX // len(more)))
            await writer.drain()
    async with asyncio.timeout(CLOSED_S):
        answer = await ended(reader)
    writer.close()
    status = 431 if b"\n" in begun else 414
    assert answer == b"" or refusal(answer) == (status, "REQUEST_INVALID")
    assert process.memory_info().rss - before < GROWTH_MIB_MAX * MIB
    await served(victim)


def refusal(answer: bytes) -> tuple[int, str]:
    """Of bytes that came over a connection: status and reason, in the one shape of refusals."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head
    error = json.loads(body)["error"]
    assert set(error) == {"code", "reason", "message", "details"}
    assert int(head.split()[1]) == error["code"]
    return error["code"], error["reason"]


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00hello\r\n\r\n",
        b"FOO BAR\r\n\r\n",
        b"GET / HTTP/9.9\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\na b: c\r\n\r\n",
        b"GET / HTTP/1.1\r\na: b\0c\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_a_malformed_request_is_refused_with_a_reason(victim: Suite, said: bytes) -> None:
    """As JSON with a reason; whoever sends it does not fill the log."""
    logged = victim.log.stat().st_size
    host, _, port = addresses(victim)["http"].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(said)
    async with asyncio.timeout(CLOSED_S):
        assert refusal(await ended(reader)) == (400, "REQUEST_INVALID")
    writer.close()
    await served(victim)
    assert b"Invalid HTTP" not in victim.log.read_bytes()[logged:]


def resets() -> bytes:
    """Streams that are opened and reset at once."""
    headers = frames.call_headers(GET)
    return b"".join(
        frames.frame(frames.HEADERS, frames.END_HEADERS, number, headers)
        + frames.frame(frames.RST_STREAM, 0, number, (8).to_bytes(4, "big"))
        for number in range(1, 12_001, 2)
    )


def continuations() -> bytes:
    """Headers that go on and on."""
    more = frames.literal("x-a", "b" * 4_000)
    start = frames.frame(frames.HEADERS, 0, 1, frames.call_headers(GET))
    return start + frames.frame(frames.CONTINUATION, 0, 1, more) * 2_000


def settings() -> bytes:
    return frames.frame(frames.SETTINGS, 0, 0, b"\0\3\0\0\0\1") * 20_000


def pings() -> bytes:
    return frames.frame(frames.PING, 0, 0, bytes(8)) * 20_000


def no_window() -> bytes:
    """Calls whose answers have no room: the peer says that it takes no byte."""
    headers = frames.call_headers(GET)
    message = b"\0" + len(UNKNOWN).to_bytes(4, "big") + UNKNOWN
    return frames.frame(frames.SETTINGS, 0, 0, b"\0\4\0\0\0\0") + b"".join(
        frames.frame(frames.HEADERS, frames.END_HEADERS, number, headers)
        + frames.frame(frames.DATA, frames.END_STREAM, number, message)
        for number in range(1, 1_001, 2)
    )


def compressed() -> bytes:
    """A header of 4 KB that is kept, and named by one byte again and again."""
    kept = b"\x40" + frames.literal("x-a", "b" * 3_900)[1:]
    start = frames.frame(frames.HEADERS, 0, 1, frames.call_headers(GET) + kept)
    return start + frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, b"\xbe" * 16_000)


ATTACKS = (resets, continuations, settings, pings, no_window, compressed)


ATTACKER = """
import asyncio, sys
from tests.badinput.test_connections import ATTACKS, attacked
attack = next(each for each in ATTACKS if each.__name__ == sys.argv[2])
print(asyncio.run(attacked(sys.argv[1], attack(), float(sys.argv[3]))))
"""


async def attacked(address: str, data: bytes, seconds: float) -> int:
    """The same on one new connection after the other, many of which stay open; how often."""
    count, until = 0, time.monotonic() + seconds
    held: deque[frames.Connection] = deque()
    while (left := until - time.monotonic()) > 0:
        connection = await frames.connect(address)
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(left):
                connection.writer.write(data)
                await connection.writer.drain()
        held.append(connection)
        if len(held) > HELD:
            held.popleft().writer.close()
        count += 1
        await pause(BETWEEN_S)
    return count


@pytest.mark.parametrize(
    "attack", [resets, *(pytest.param(each, marks=pytest.mark.slow) for each in ATTACKS[1:])]
)
async def test_work_continues_after_an_attack(victim: Suite, attack: Callable[[], bytes]) -> None:
    """By another process for two seconds: new clients are served soon after it ends."""
    process = psutil.Process(victim.pid)
    before = process.memory_info().rss
    attacker = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", ATTACKER, victim.grpc_address, attack.__name__, str(SHORT_S)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await attacker.communicate()
    assert int(said) > 0
    async with asyncio.timeout(allowed_s(RECOVERED_S)), raw_channel(victim) as channel:
        while (await send(channel, GET, UNKNOWN)).reason != "EXECUTION_NOT_FOUND":
            pass
    assert process.memory_info().rss - before < ATTACKED_MIB_MAX * MIB


async def test_many_calls(victim: Suite, bench: Bench) -> None:
    """As many calls wait on one connection as it has room for; one more waits for its turn."""
    name = await bench.registered({"steps": [step("a", "nobody.serves", {})]})
    execution_id = await victim.begin(name)
    wait = executions.WaitExecutionRequest(execution_id=execution_id, timeout_ms=60_000)
    data = wait.SerializeToString()
    async with raw_channel(victim) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            f"{EXECUTIONS}/WaitExecution"
        )
        waiting = [call(data, timeout=100) for _ in range(PUBLIC_STREAMS_MAX + 1)]
        about = executions.TerminateExecutionRequest(execution_id=execution_id)
        assert await bench.call(f"{EXECUTIONS}/TerminateExecution", about) == ""
        answers = await asyncio.gather(*waiting)
    assert all(executions.WaitExecutionResponse.FromString(each).ended for each in answers)
