"""What the servers keep through a crash is printed, and what they do not is told."""

import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from flowmesh.embedded import EmbeddedServers
from flowmesh.embedded.postgres import SETTINGS
from flowmesh.storage import open_database
from tests.integration.suite.test_commands import flowmesh

pytestmark = pytest.mark.long


@pytest.fixture
async def careless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A PostgreSQL that forces nothing to its disk, as one's own may be set."""
    monkeypatch.setitem(SETTINGS, "fsync", "off")
    monkeypatch.setitem(SETTINGS, "synchronous_commit", "off")
    async with EmbeddedServers(tmp_path / "data") as servers:
        monkeypatch.setenv("FLOWMESH_POSTGRES", servers.postgres)
        yield servers.postgres


def durability(config: "subprocess.CompletedProcess[str]") -> dict[str, dict[str, str]]:
    """Of `config --json`, by setting."""
    assert config.returncode == 0, config.stderr
    return {row["setting"]: row for row in json.loads(config.stdout)["durability"]}


def check(doctor: "subprocess.CompletedProcess[str]") -> dict[str, str]:
    """What `doctor --json` says of durability."""
    [found] = [c for c in json.loads(doctor.stdout)["checks"] if c["check"] == "durability"]
    return dict(found)


def test_config_prints_what_keeps_the_servers_durable() -> None:
    """The safe ones, for the servers that `flowmesh dev` starts; for people and for programs."""
    rows = durability(flowmesh("config", "--json"))
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        assert (rows[name]["server"], rows[name]["value"]) == ("PostgreSQL", "on")
    assert (rows["storage"]["server"], rows["storage"]["value"]) == ("NATS", "file")
    table = flowmesh("config").stdout.partition("DURABILITY")[2]
    assert [line.split()[:3] for line in table.splitlines()[1:3]] == [
        ["PostgreSQL", "fsync", "on"],
        ["PostgreSQL", "synchronous_commit", "on"],
    ]


async def test_a_server_without_durability_is_reported(careless: str, tmp_path: Path) -> None:
    """By `config`, by `doctor` and in the log, once; what a session may insist on, it does."""
    rows = durability(flowmesh("config", "--json"))
    assert (rows["fsync"]["value"], rows["fsync"]["source"]) == ("off", "the server")
    assert rows["synchronous_commit"]["value"] == "on"

    found = check(flowmesh("doctor", "--json"))
    assert found["verdict"] == "warning"
    assert found["text"] == "fsync off, synchronous_commit on, full_page_writes on"
    assert found["hint"].endswith("alter system set fsync = on")

    (none := tmp_path / "none").mkdir()
    with capture_logs() as told:
        for schema in ("one", "two"):
            async with open_database(careless, schema=schema, migrations=none) as pool:
                assert await pool.fetchval("show synchronous_commit") == "on"
    [line] = [line for line in told if line["event"] == "database_not_durable"]
    assert line["off"] == "fsync"
    assert "@" not in line["at"]


async def test_a_server_that_refuses_connections_promises_nothing(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers at its port, and still: what is wrong is said, and no secret."""
    nowhere = database.replace("/t_", "/no_", 1)
    password = urlsplit(database).password
    assert password
    monkeypatch.setenv("FLOWMESH_POSTGRES", nowhere)
    config, doctor = flowmesh("config", "--json"), flowmesh("doctor", "--json")
    assert durability(config)["fsync"]["value"] == "unknown"
    found = check(doctor)
    assert found["verdict"] == "failed"
    assert 'database "no_' in found["text"]
    assert found["text"].endswith("does not exist")
    assert password not in config.stdout + doctor.stdout
    assert doctor.returncode == 1
