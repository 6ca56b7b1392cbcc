"""`doctor`, `config`, `completion`: what they find on a machine."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flowmesh.cli.operations import doctor
from flowmesh.cli.operations.configuration import read_settings, unknown_names
from tests.unit.cli.conftest import Run

pytestmark = pytest.mark.long

SOCKETS = ["/run/a/.s.PGSQL.5433", "/run/b/.s.PGSQL.5433"]


def test_a_port_used_by_another_process_is_reported() -> None:
    """A port is free, used by a suite, or blocked."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        assert doctor.port("HTTP", "127.0.0.1", number, False).verdict == "failed"
        assert doctor.port("HTTP", "127.0.0.1", number, True).verdict == "ok"
    assert doctor.port("HTTP", "127.0.0.1", number, False).verdict == "ok"


def test_a_missing_folder_is_checked_by_its_parent(tmp_path: Path) -> None:
    """A new data folder in an existing folder is valid."""
    assert doctor.disk(tmp_path / "new" / "deep").text.endswith(str(tmp_path))


def test_clocks_are_compared() -> None:
    """A recent heartbeat with a different time is a warning."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert doctor.clock(now - timedelta(seconds=2), now).verdict == "ok"
    assert doctor.clock(now + timedelta(minutes=2), now).verdict == "warning"


async def test_a_server_without_response_is_named() -> None:
    """The message has the address without its password."""
    found = await doctor.server("NATS", "nats://secret@127.0.0.1:9")
    assert (found.verdict, found.text) == ("failed", "no response from 127.0.0.1:9")


async def test_servers_without_response_are_named() -> None:
    """With one response the verdict is a warning, without any a failure."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        there = f"127.0.0.1:{listening.getsockname()[1]}"
        nats = await doctor.server("NATS", f"nats://{there},nats://127.0.0.1:9")
        database = f"postgresql://flowmesh@127.0.0.1:9,{there}/flowmesh"
        postgres = await doctor.server("PostgreSQL", database)
        whole = await doctor.server("NATS", f"nats://{there}")
    none = await doctor.server("NATS", "nats://127.0.0.1:9,nats://127.0.0.1:10")

    assert (nats.verdict, nats.text) == ("warning", "no response from 127.0.0.1:9")
    assert (postgres.verdict, postgres.text) == ("warning", "no response from 127.0.0.1:9")
    assert (whole.verdict, whole.text) == ("ok", f"{there} responds")
    assert (none.verdict, none.text) == ("failed", "no response from 127.0.0.1:9, 127.0.0.1:10")


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("postgresql://u:p,w@db1,db2:6432/flowmesh", ["db1:5432", "db2:6432"]),
        ("postgresql://u@/flowmesh?host=/run/a,/run/b&port=5433", SOCKETS),
        ("nats://secret@a:1,b", ["a:1", "b:4222"]),
        ("redis://cache/0", ["cache:6379"]),
        ("unix:///run/redis.sock", ["/run/redis.sock"]),
    ],
)
def test_an_address_may_name_several_servers(address: str, found: list[str]) -> None:
    """By host or socket, with the default port, and without the password."""
    assert doctor.places(address) == found


async def test_the_doctor_rejects_an_invalid_port() -> None:
    """The finding has the reason, without a traceback."""
    found = await doctor.server("Redis", "redis://127.0.0.1:99999/0")
    assert found.verdict == "failed"
    assert found.text == "invalid address: Port out of range 0-65535"


async def test_the_doctor_checks_the_suite(flowmesh: Run) -> None:
    """A suite that responds is reported with its instances."""
    outcome = await flowmesh("doctor", "--json")
    checks = {check["check"]: check for check in outcome.json["checks"]}
    assert checks["suite"]["verdict"] == "ok"
    assert "1 instance" in checks["suite"]["text"]
    assert {"Python", "disk", "gRPC port", "PostgreSQL", "NATS", "Redis"} <= set(checks)


def test_settings_have_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Default or environment; passwords are masked."""
    monkeypatch.setenv("FLOWMESH_POSTGRES", "postgresql://me:secret@db/x")
    environment = {"FLOWMESH_POSTGRES": "postgresql://me:secret@db/x"}
    settings = {setting.name: setting for setting in read_settings(environment)}
    assert settings["postgres"].value == "postgresql://***@db/x"
    assert settings["postgres"].source == "environment FLOWMESH_POSTGRES"
    assert settings["grpc_port"].source == "default"


def test_an_unknown_variable_is_reported() -> None:
    """Variables of client commands are known too."""
    given = {"FLOWMESH_GRPC_PROT": "1", "FLOWMESH_ADDRESS": "a:1", "HOME": "/"}
    assert unknown_names(given) == ["FLOWMESH_GRPC_PROT"]


async def test_config_is_json_too(flowmesh: Run) -> None:
    """Every setting with name, value, source and meaning."""
    outcome = await flowmesh("config", "--json")
    names = [setting["name"] for setting in outcome.json["settings"]]
    assert names[:2] == ["address", "namespace"]
    assert "http_port" in names
