"""Bridges: a plugin moves data, and RabbitMQ and Flowmesh exchange messages."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aio_pika
import pytest

from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from flowmesh.testing.rabbitmq import rabbitmq
from flowmesh.testing.suite import Suite
from tests.features.broker.oracle import needs_rabbitmq
from tests.features.commands import command

from .test_broker import PATIENCE_S, named

PLUGIN = '''
"""Lines of a file; positions are numbers of lines."""

from pathlib import Path

from flowmesh.connectors import Batch, Record


class Source:
    def __init__(self, options, context):
        self.path = Path(options["path"])

    async def read(self, position):
        lines = self.path.read_bytes().splitlines()
        for number in range(int(position or 0), len(lines), 2):
            records = tuple(Record(line, "line") for line in lines[number : number + 2])
            yield Batch(records, str(min(number + 2, len(lines))))

    async def stored(self, batch):
        pass

    async def close(self):
        pass


class Sink:
    def __init__(self, options, context):
        self.path = Path(options["path"])

    async def position(self):
        return ""

    async def write(self, batch):
        with self.path.open("ab") as file:
            file.writelines(record.body + b"\\n" for record in batch.records)

    async def close(self):
        pass
'''


@pytest.fixture
async def client(suite: Suite) -> AsyncIterator[Client]:
    async with Client(suite.grpc_address) as opened:
        yield opened


@pytest.fixture
def plugins(tmp_path: Path) -> dict[str, str]:
    """The environment of a command with a package that has a connector."""
    folder = tmp_path / "packages"
    about = folder / "lines_connector-1.dist-info"
    about.mkdir(parents=True)
    (folder / "lines_connector.py").write_text(PLUGIN)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: lines-connector\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[flowmesh.connectors]\nlines = lines_connector\n")
    return {"PYTHONPATH": os.pathsep.join((str(folder), os.environ.get("PYTHONPATH", "")))}


@asynccontextmanager
async def running(suite: Suite, file: Path, environment: dict[str, str]) -> AsyncIterator[Any]:
    """A bridge as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "flowmesh.suite",
        "bridge",
        str(file),
        "--address",
        suite.grpc_address,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.long
@pytest.mark.feature("S1-178")
async def test_a_connector_of_another_package_moves_data(
    suite: Suite, client: Client, plugins: dict[str, str], tmp_path: Path
) -> None:
    """Lines into a queue, only new ones the next time, and messages of a queue into a file."""
    queue, name = named("lines"), named("bridge")
    await client.broker.declare_queue(queue)
    lines, copy, file = tmp_path / "lines", tmp_path / "copy", tmp_path / "bridges.yaml"
    lines.write_text("1\n2\n3\n")
    file.write_text(
        f"bridges: [{{name: {name}, source: {{type: lines, path: '{lines}'}},"
        f" sink: {{type: flowmesh, key: {queue}}}}}]"
    )
    done = await command(suite, "bridge", str(file), environment=plugins)
    assert (done.code, done.out.strip()) == (0, "1 bridges ended"), done.err
    lines.write_text("1\n2\n3\n4\n")
    done = await command(suite, "bridge", str(file), environment=plugins)
    assert done.code == 0, done.err
    assert [each.body async for each in client.messages.browse_all(queue)] == [1, 2, 3, 4]
    file.write_text(
        f"bridges: [{{name: {name}, source: {{type: flowmesh, queue: {queue}}},"
        f" sink: {{type: lines, path: '{copy}'}}}}]"
    )
    async with running(suite, file, plugins):

        async def empty() -> bool:
            return (await client.broker.queue(queue)).depth == 0

        await until("the copy", empty, within_s=PATIENCE_S)
    assert copy.read_text() == "1\n2\n3\n4\n"


@pytest.mark.long
async def test_refused_records_are_put_aside(
    suite: Suite, client: Client, plugins: dict[str, str], tmp_path: Path
) -> None:
    """Without a sink for them they end the bridge; with one they have their reason there."""
    queue, aside, name = named("strict"), named("aside"), named("bridge")
    await client.broker.declare_queue(queue, schema={"type": "number"})
    await client.broker.declare_queue(aside)
    lines, file = tmp_path / "lines", tmp_path / "bridges.yaml"
    lines.write_text('1\n2\n"x"\n4\n')
    bridge = {
        "name": name,
        "source": {"type": "lines", "path": str(lines)},
        "sink": {"type": "flowmesh", "key": queue},
    }
    file.write_text(json.dumps({"bridges": [bridge]}))
    done = await command(suite, "bridge", str(file), environment=plugins)
    assert done.code == 1
    assert "MESSAGE_INVALID" in done.err
    bridge["refused"] = {"type": "flowmesh", "key": aside}
    file.write_text(json.dumps({"bridges": [bridge]}))
    for _ in range(2):
        done = await command(suite, "bridge", str(file), environment=plugins)
        assert done.code == 0, done.err
    assert [each.body async for each in client.messages.browse_all(queue)] == [1, 2, 4]
    (found,) = [each async for each in client.messages.browse_all(aside)]
    assert found.body == "x"
    assert found.headers["bridge-key"] == "line"
    assert "MESSAGE_INVALID" in str(found.headers["bridge-error"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("bridges: []", "1 to 100"),
        ("bridges: [{name: a}]", "bridges[0]"),
        ("bridges: [{name: a, source: {}, sink: {}, refused: 1}]", "mappings"),
        ("bridges: [{name: a, source: {}, sink: {}, sinks: {}}]", "may have `refused`"),
        ("[", "cannot read"),
        ("bridges: [{name: a, source: {type: none}, sink: {type: flowmesh}}]", "no connector"),
        ("bridges: [{name: a, source: {type: flowmesh}, sink: {type: flowmesh}}]", "'queue'"),
        (
            "bridges: [{name: a, source: {type: flowmesh, queue: q, x: 1},"
            " sink: {type: flowmesh}}]",
            "'x'",
        ),
    ],
)
@pytest.mark.long
async def test_an_invalid_file_is_refused(
    suite: Suite, tmp_path: Path, text: str, problem: str
) -> None:
    """The error names the file, the bridge or the option."""
    file = tmp_path / "bridges.yaml"
    file.write_text(text)
    done = await command(suite, "bridge", str(file))
    assert done.code == 1
    assert problem in done.err


@pytest.mark.long
@needs_rabbitmq
@pytest.mark.feature("S3-45")
async def test_messages_cross_between_rabbitmq_and_flowmesh(
    suite: Suite, client: Client, tmp_path: Path
) -> None:
    """In both directions, with id, key and headers; kill -9 of the bridge loses none."""
    count = 1_000
    exchange, queue, out = named("in"), named("arrived"), named("out")
    await client.broker.declare_exchange(exchange)
    for each in (queue, out):
        await client.broker.declare_queue(each)
    await client.broker.bind(queue, exchange, "order.#")
    file = tmp_path / "bridges.yaml"
    async with rabbitmq(tmp_path / "rabbitmq") as url:
        file.write_text(
            "bridges:\n"
            f"- {{name: inward, source: {{type: rabbitmq, url: '{url}', queue: orders}},"
            f" sink: {{type: flowmesh, exchange: {exchange}}}}}\n"
            f"- {{name: outward, source: {{type: flowmesh, queue: {out}}},"
            f" sink: {{type: rabbitmq, url: '{url}', key: back}}}}\n"
        )
        connection = await aio_pika.connect(url)
        async with connection, connection.channel() as channel:
            orders = await channel.declare_queue("orders", durable=True)
            back = await channel.declare_queue("back", durable=True)
            topic = await channel.declare_exchange("shop", aio_pika.ExchangeType.TOPIC)
            await orders.bind(topic, "order.*")
            for number in range(count):
                body, id = str(number).encode(), f"order-{number}"
                message = aio_pika.Message(
                    body, message_id=id, content_type="application/json", headers={"n": number}
                )
                await topic.publish(message, "order.paid")
            await client.messages.publish({"n": 7}, out, id="reply-7", headers={"kind": "reply"})
            for _ in range(3):
                async with running(suite, file, {}):
                    before = (await client.broker.queue(queue)).depth

                    async def more(before: int = before) -> bool:
                        return (await client.broker.queue(queue)).depth > before

                    if before < count:
                        await until("further messages", more, within_s=PATIENCE_S)
            async with running(suite, file, {}):

                async def all_there() -> bool:
                    return (await client.broker.queue(queue)).depth == count

                await until("all messages", all_there, within_s=PATIENCE_S)
                answers: asyncio.Queue[Any] = asyncio.Queue()
                await back.consume(answers.put, no_ack=True)
                async with asyncio.timeout(PATIENCE_S):
                    answer = await answers.get()
        assert (answer.body, answer.message_id) == (b'{"n":7}', "reply-7")
        assert answer.headers["kind"] == "reply"
    found = [each async for each in client.messages.browse_all(queue)]
    assert sorted(each.body for each in found) == list(range(count))
    first = found[0]
    assert (first.routing_key, first.id) == ("order.paid", f"order-{first.body}")
    assert first.headers == {"n": first.body}
