"""Connections are opened by the connector of the egress policy, or in a place listed here."""

import ast
from collections.abc import Mapping

from tests.tidy import sources

# The last names of calls that open connections, and those that do with a certain object only.
OPENING = frozenset(
    {"ClientSession", "TCPConnector", "UnixConnector", "HTTPConnection", "HTTPSConnection",
     "create_connection", "create_unix_connection", "open_connection", "open_unix_connection",
     "urlopen", "from_url", "create_pool", "insecure_channel", "secure_channel", "SMTP", "SMTP_SSL",
     "AIOKafkaConsumer", "AIOKafkaProducer", "create_client", "OTLPSpanExporter",
     "OTLPMetricExporter"}
)  # fmt: skip
CONNECTING = frozenset({"asyncpg", "nats", "psycopg", "aiomysql", "pymysql", "websockets"})
WHOLE = frozenset(
    {"socket.socket", "Redis", "redis.Redis", "boto3.client", "boto3.resource", "requests.get",
     "requests.post", "requests.request", "requests.Session", "httpx.Client", "httpx.AsyncClient"}
)  # fmt: skip

DOOR = "the door itself"
HOSTED = "a driver of an application, whose process the wall of the egress policy judges"
OWN = "the servers of the suite, which its settings name"
NAMED = "a database that the operator names in the settings"
USER = "a program of the user, with the rights of the user"
TESTS = "help for tests"
PLACES: Mapping[str, str] = {
    "libs/flowmesh/apps/data/locks.py": HOSTED,
    "libs/flowmesh/apps/data/postgres.py": HOSTED,
    "libs/flowmesh/apps/hosted/process.py": "the socket that its host handed over",
    "libs/flowmesh/apps/messaging/kafka.py": HOSTED,
    "libs/flowmesh/apps/messaging/nats.py": HOSTED,
    "libs/flowmesh/apps/messaging/redis_streams.py": HOSTED,
    "libs/flowmesh/apps/modules/acting/caches.py": HOSTED,
    "libs/flowmesh/apps/modules/acting/tracing.py": HOSTED,
    "libs/flowmesh/apps/secrets/aws.py": HOSTED,
    "libs/flowmesh/cache/__init__.py": OWN,
    "libs/flowmesh/changes/slots.py": NAMED,
    "libs/flowmesh/cli/operations/doctor.py": USER,
    "libs/flowmesh/cli/operations/guarantees.py": USER,
    "libs/flowmesh/cli/operations/outboxes.py": USER,
    "libs/flowmesh/egress/connector.py": DOOR,
    "libs/flowmesh/egress/wall.py": DOOR,
    "libs/flowmesh/embedded/nats.py": OWN,
    "libs/flowmesh/embedded/postgres.py": OWN,
    "libs/flowmesh/embedded/redis.py": OWN,
    "libs/flowmesh/embedded/servers.py": OWN,
    "libs/flowmesh/executors/databases/postgres.py": NAMED,
    "libs/flowmesh/executors/rpc/channels.py": "channels to addresses that the connector resolved",
    "libs/flowmesh/mesh/instances.py": USER,
    "libs/flowmesh/rpc/remote.py": "other services of the suite",
    "libs/flowmesh/runtime/http/embedded.py": "listening",
    "libs/flowmesh/sdk/client/endpoint.py": USER,
    "libs/flowmesh/sdk/discovery/blocking.py": USER,
    "libs/flowmesh/storage/pool.py": OWN,
    "libs/flowmesh/telemetry/export.py": OWN,
    "libs/flowmesh/telemetry/otlp_metrics.py": OWN,
    "libs/flowmesh/testing/audit.py": TESTS,
    "libs/flowmesh/testing/checker.py": TESTS,
    "libs/flowmesh/testing/cluster.py": TESTS,
    "libs/flowmesh/testing/databases.py": TESTS,
    "libs/flowmesh/testing/rabbitmq.py": TESTS,
    "libs/flowmesh/testing/suite.py": TESTS,
    "services/flowmesh/event/outbox/relay.py": NAMED,
    "services/flowmesh/registry/probes.py": "addresses that the egress policy checked",
    "services/flowmesh/suite/ports.py": "listening",
    "services/flowmesh/suite/probe.py": OWN,
}


def openings(text: str) -> set[str]:
    """Return the calls of a module that open connections."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            first, _, _ = name.partition(".")
            last = name.rpartition(".")[2]
            is_driver = last == "connect" and first in CONNECTING
            if last in OPENING or name in WHOLE or is_driver:
                found.add(name)
    return found


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


def test_a_planted_client_is_found() -> None:
    """A module that opens its own socket, an HTTP session or a driver; and a row that is stale."""
    holes = {
        "libs/flowmesh/apps/modules/hole.py": "import socket\nsocket.create_connection(('h', 1))",
        "services/flowmesh/worker/hole.py": "import aiohttp\naiohttp.ClientSession()",
        "libs/flowmesh/connectors/hole.py": "import asyncpg\nasyncpg.connect('postgresql://h/d')",
        "libs/flowmesh/insight/hole.py": "from urllib.request import urlopen\nurlopen('http://h')",
    }
    modules = product()
    modules["services/flowmesh/suite/ports.py"] = ""
    found = problems({**modules, **holes})
    assert {each.partition(":")[0] for each in found} == {
        *holes,
        "services/flowmesh/suite/ports.py",
    }
