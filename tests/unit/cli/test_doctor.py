"""`doctor`, `config`, `completion`: what they find on a machine."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flowmesh.cli.operations import doctor
from flowmesh.cli.operations.configuration import read_settings, unknown_names
from tests.unit.cli.conftest import Run

SOCKETS = ["/run/a/.s.PGSQL.5433", "/run/b/.s.PGSQL.5433"]


def test_a_port_taken_by_something_else_is_found() -> None:
    """Free, taken by a suite, or in the way."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        assert doctor.port("HTTP", "127.0.0.1", number, False).verdict == "failed"
        assert doctor.port("HTTP", "127.0.0.1", number, True).verdict == "ok"
    assert doctor.port("HTTP", "127.0.0.1", number, False).verdict == "ok"


def test_the_folder_that_is_not_there_yet_is_judged_by_its_parent(tmp_path: Path) -> None:
    """A new data folder under one that exists is fine."""
    assert doctor.disk(tmp_path / "new" / "deep").text.endswith(str(tmp_path))


def test_clocks_are_compared() -> None:
    """A fresh heartbeat far from now is a warning."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert doctor.clock(now - timedelta(seconds=2), now).verdict == "ok"
    assert doctor.clock(now + timedelta(minutes=2), now).verdict == "warning"


async def test_a_server_that_does_not_answer_is_named() -> None:
    """With its address and without the password in it."""
    found = await doctor.server("NATS", "nats://secret@127.0.0.1:9")
    assert (found.verdict, found.text) == ("failed", "127.0.0.1:9 does not answer")


async def test_of_several_servers_those_are_named_that_do_not_answer() -> None:
    """One that answers is enough to work with, which is worth a warning; none is a failure."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        there = f"127.0.0.1:{listening.getsockname()[1]}"
        nats = await doctor.server("NATS", f"nats://{there},nats://127.0.0.1:9")
        database = f"postgresql://flowmesh@127.0.0.1:9,{there}/flowmesh"
        postgres = await doctor.server("PostgreSQL", database)
        whole = await doctor.server("NATS", f"nats://{there}")
    none = await doctor.server("NATS", "nats://127.0.0.1:9,nats://127.0.0.1:10")

    assert (nats.verdict, nats.text) == ("warning", "127.0.0.1:9 does not answer")
    assert (postgres.verdict, postgres.text) == ("warning", "127.0.0.1:9 does not answer")
    assert (whole.verdict, whole.text) == ("ok", f"{there} answers")
    assert (none.verdict, none.text) == ("failed", "127.0.0.1:9, 127.0.0.1:10 does not answer")


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
    """By host, by socket, with the port that is usual, and never with the password."""
    assert doctor.places(address) == found


async def test_the_doctor_refuses_a_port_that_is_none() -> None:
    """With what is wrong, and no traceback."""
    found = await doctor.server("Redis", "redis://127.0.0.1:99999/0")
    assert found.verdict == "failed"
    assert found.text == "the address is none: Port out of range 0-65535"


async def test_the_doctor_sees_the_suite(flowmesh: Run) -> None:
    """One that answers is ok with its instances."""
    outcome = await flowmesh("doctor", "--json")
    checks = {check["check"]: check for check in outcome.json["checks"]}
    assert checks["suite"]["verdict"] == "ok"
    assert "1 instances" in checks["suite"]["text"]
    assert {"Python", "disk", "gRPC port", "PostgreSQL", "NATS", "Redis"} <= set(checks)


def test_settings_say_where_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Default or environment; passwords are not shown."""
    monkeypatch.setenv("FLOWMESH_POSTGRES", "postgresql://me:secret@db/x")
    environment = {"FLOWMESH_POSTGRES": "postgresql://me:secret@db/x"}
    settings = {setting.name: setting for setting in read_settings(environment)}
    assert settings["postgres"].value == "postgresql://***@db/x"
    assert settings["postgres"].source == "environment FLOWMESH_POSTGRES"
    assert settings["grpc_port"].source == "default"


def test_a_misspelled_variable_is_found() -> None:
    """Those of the client are known too."""
    given = {"FLOWMESH_GRPC_PROT": "1", "FLOWMESH_ADDRESS": "a:1", "HOME": "/"}
    assert unknown_names(given) == ["FLOWMESH_GRPC_PROT"]


async def test_config_is_json_too(flowmesh: Run) -> None:
    """Every setting with name, value, source and meaning."""
    outcome = await flowmesh("config", "--json")
    names = [setting["name"] for setting in outcome.json["settings"]]
    assert names[:2] == ["address", "namespace"]
    assert "http_port" in names


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_completion_scripts_name_the_commands(flowmesh: Run, shell: str) -> None:
    """For each shell, without asking a server."""
    outcome = await flowmesh("completion", shell)
    assert outcome.code == 0
    assert "terminate" in outcome.out
