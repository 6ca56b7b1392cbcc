"""Connections are opened by the connector of the egress policy, or in a place listed here."""

import ast
from collections.abc import Iterator, Mapping

import pytest

from tests.tidy import sources

# The last names of calls that open connections, those of drivers, and those that do with a certain
# object only; names are resolved through the imports of a module.
OPENING = frozenset(
    {"ClientSession", "TCPConnector", "UnixConnector", "HTTPConnection", "HTTPSConnection",
     "create_connection", "create_unix_connection", "open_connection", "open_unix_connection",
     "urlopen", "urlretrieve", "from_url", "create_pool", "insecure_channel", "secure_channel",
     "SMTP", "SMTP_SSL", "FTP", "IMAP4", "IMAP4_SSL", "POP3", "Telnet", "AIOKafkaConsumer",
     "AIOKafkaProducer", "create_client", "OTLPSpanExporter", "OTLPMetricExporter"}
)  # fmt: skip
DRIVERS = frozenset(
    {"asyncpg", "nats", "psycopg", "aiomysql", "pymysql", "websockets", "aio_pika", "pika"}
)
CONNECTING = frozenset({"connect", "connect_robust", "AsyncConnection", "BlockingConnection"})
# Every call of these packages.
CLIENTS = frozenset({"boto3", "requests", "httpx", "aiomqtt", "paho", "ftplib", "telnetlib"})
WHOLE = frozenset(
    {"socket.socket", "redis.Redis", "redis.StrictRedis", "redis.asyncio.Redis",
     "redis.asyncio.client.Redis", "redis.asyncio.RedisCluster"}
)  # fmt: skip

DOOR = "the door itself"
HOSTED = "a driver of an application, whose process the wall of the egress policy judges"
OWN = "the servers of the suite, which its settings name"
NAMED = "a database that the operator names in the settings"
USER = "a program of the user, with the rights of the user"
TESTS = "help for tests"
PLACES: Mapping[str, str] = {
    "libs/flowmesh/sdk/agents/state.py": USER,
    "libs/flowmesh/apps/data/locks.py": HOSTED,
    "libs/flowmesh/apps/data/postgres.py": HOSTED,
    "libs/flowmesh/apps/release_process/process.py": "the socket that its host handed over",
    "libs/flowmesh/apps/messaging/kafka.py": HOSTED,
    "libs/flowmesh/apps/messaging/nats.py": HOSTED,
    "libs/flowmesh/apps/messaging/redis_streams.py": HOSTED,
    "libs/flowmesh/apps/modules/outbound/caches.py": HOSTED,
    "libs/flowmesh/apps/modules/outbound/tracing.py": HOSTED,
    "libs/flowmesh/apps/secrets/aws.py": HOSTED,
    "services/flowmesh/fleet/driving/process_driver.py": "the socket of the supervisor of agents",
    "services/flowmesh/fleet/driving/supervisor.py": "a socket that it listens on, for its fleet",
    "libs/flowmesh/models/copilot.py": "an address that the egress policy has checked",
    "libs/flowmesh/storage/redis_cache.py": OWN,
    "libs/flowmesh/changes/slots.py": NAMED,
    "libs/flowmesh/cli/operations/doctor.py": USER,
    "libs/flowmesh/cli/operations/guarantees.py": USER,
    "libs/flowmesh/cli/operations/mcp.py": USER,
    "libs/flowmesh/cli/operations/outboxes.py": USER,
    "libs/flowmesh/connectors/mqtt.py": USER,
    "libs/flowmesh/connectors/rabbitmq.py": USER,
    "libs/flowmesh/egress/connector.py": DOOR,
    "libs/flowmesh/egress/wall.py": DOOR,
    "libs/flowmesh/embedded/nats.py": OWN,
    "libs/flowmesh/embedded/ports.py": OWN,
    "libs/flowmesh/embedded/postgres.py": OWN,
    "libs/flowmesh/embedded/redis.py": OWN,
    "libs/flowmesh/executors/databases/postgres.py": NAMED,
    "libs/flowmesh/executors/rpc/channels.py": "channels to addresses that the connector resolved",
    "libs/flowmesh/mesh/instances.py": USER,
    "libs/flowmesh/rpc/remote.py": "other services of the suite",
    "libs/flowmesh/runtime/http/embedded.py": "listening",
    "libs/flowmesh/sdk/transport/endpoint.py": USER,
    "libs/flowmesh/sdk/discovery/blocking.py": USER,
    "libs/flowmesh/storage/pool.py": OWN,
    "libs/flowmesh/telemetry/export.py": OWN,
    "libs/flowmesh/telemetry/otlp_metrics.py": OWN,
    "libs/flowmesh/testing/audit.py": TESTS,
    "libs/flowmesh/testing/checker.py": TESTS,
    "libs/flowmesh/testing/databases.py": TESTS,
    "libs/flowmesh/testing/rabbitmq.py": TESTS,
    "libs/flowmesh/testing/suite.py": TESTS,
    "services/flowmesh/event/outbox/relay.py": NAMED,
    "services/flowmesh/gateway/routes/tunnel.py": "the gRPC port of the gateway itself",
    "services/flowmesh/registry/probes.py": "addresses that the egress policy checked",
    "services/flowmesh/suite/ports.py": "listening",
    "services/flowmesh/suite/probe.py": OWN,
}


def openings(text: str) -> set[str]:
    """Return the calls of a module that open connections."""
    tree = ast.parse(text)
    imported = dict(imports(tree))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, *rest = ast.unparse(node.func).split(".")
            name = ".".join((imported.get(first, first), *rest))
            package, last = name.partition(".")[0], name.rpartition(".")[2]
            if (
                last in OPENING
                or name in WHOLE
                or (package in DRIVERS and last in CONNECTING)
                or (package in CLIENTS and first in imported)
            ):
                found.add(name)
    return found


def imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the names that a module imports, each with its whole name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                yield (each.asname, each.name) if each.asname else (each.name.split(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom):
            for each in node.names:
                yield each.asname or each.name, f"{node.module}.{each.name}"


def problems(modules: Mapping[str, str]) -> list[str]:
    """Return the modules that open connections and are not listed, and those listed in vain."""
    found = {name: calls for name, text in modules.items() if (calls := openings(text))}
    unknown = [f"{name}: {', '.join(sorted(found[name]))}" for name in found if name not in PLACES]
    return unknown + [f"{name}: opens none" for name in PLACES if name not in found]


def product() -> dict[str, str]:
    folders = ("libs/", "services/")
    return {name: sources.text(name) for name in sources.python() if name.startswith(folders)}


def test_connections_are_opened_in_listed_places_only() -> None:
    """Every other module calls out through `flowmesh.egress`."""
    found = problems(product())
    assert not found, sources.lines(found)


HOLES = (
    "import socket\nsocket.create_connection(('h', 1))",
    "import socket as s\ns.socket()",
    "from socket import socket\nsocket()",
    "import aiohttp\naiohttp.ClientSession()",
    "from aiohttp import ClientSession as Session\nSession()",
    "import asyncpg\nasyncpg.connect('postgresql://h/d')",
    "from asyncpg import connect\nconnect('postgresql://h/d')",
    "from psycopg import AsyncConnection\nAsyncConnection.connect('postgresql://h/d')",
    "from urllib.request import urlopen\nurlopen('http://h')",
    "import urllib.request as r\nr.urlopen('http://h')",
    "import http.client\nhttp.client.HTTPConnection('h')",
    "from redis.asyncio import Redis\nRedis(host='h')",
    "from redis import asyncio as redis\nredis.Redis(host='h')",
    "import httpx\nhttpx.get('http://h')",
    "import requests\nrequests.put('http://h')",
    "from requests import Session\nSession()",
    "import boto3\nboto3.session.Session()",
    "from aiomqtt import Client\nClient('h')",
    "import aio_pika\naio_pika.connect_robust('amqp://h')",
    "from smtplib import SMTP as mail\nmail('h')",
    "from asyncio import open_connection\nopen_connection('h', 1)",
    "from grpc import aio\naio.insecure_channel('h:1')",
    "from websockets.asyncio.client import connect\nconnect('ws://h')",
)


@pytest.mark.parametrize("text", HOLES)
def test_a_planted_client_is_found(text: str) -> None:
    """A module that opens its own socket, an HTTP session or a driver, however it is imported."""
    name = "libs/flowmesh/apps/modules/hole.py"
    assert problems({name: text})[0].startswith(f"{name}:")


def test_a_stale_row_is_found() -> None:
    """A listed module that opens no connection."""
    name = "services/flowmesh/suite/ports.py"
    assert f"{name}: opens none" in problems({name: ""})
