"""Selection of the suite: flag, environment, profile, running suite, default."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from flowmesh.cli.targets import target
from flowmesh.sdk import Client, Tls
from tests.unit.cli.conftest import Run
from tests.unit.sdk.stand_ins import StandIn


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def runs_at(folder: Path, address: str, pid: int) -> Path:
    file = folder / ".flowmesh" / "dev.json"
    file.parent.mkdir()
    file.write_bytes(orjson.dumps({"pid": pid, "grpc": address, "http": "http://127.0.0.1:1"}))
    return file


async def address_of(flowmesh: Run, *tokens: str) -> tuple[str, str]:
    """Return the address of a command, and its source."""
    found = (await flowmesh("config", *tokens, "--json")).json["settings"]
    address = next(setting for setting in found if setting["name"] == "address")
    return address["value"], address["source"]


async def test_a_suite_of_a_parent_folder_is_found(
    flowmesh: Run, server: StandIn, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Command and SDK client use it without an explicit address."""
    monkeypatch.delenv("FLOWMESH_ADDRESS")
    runs_at(folder, server.address, os.getpid())
    below = folder / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert (await flowmesh("list", "workflows")).code == 0
    assert (await address_of(flowmesh))[1] == f"running suite ({folder}/.flowmesh/dev.json)"
    async with Client() as client:
        assert client.address == server.address


def test_the_command_trusts_the_authority_of_a_running_suite(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for another address."""
    for name in ("ADDRESS", "CA", "CLIENT_CERT", "CLIENT_KEY", "PROFILE"):
        monkeypatch.delenv(f"FLOWMESH_{name}", raising=False)
    file = runs_at(folder, "", os.getpid())
    file.write_bytes(orjson.dumps({"pid": os.getpid(), "grpc": "127.0.0.1:1", "ca": "/ca.pem"}))
    assert target(address="", namespace="", profile="").tls == Tls("/ca.pem")
    assert target(address="127.0.0.1:2", namespace="", profile="").tls is None


async def test_flag_environment_profile_suite_and_default_decide_in_this_order(
    flowmesh: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first with an address is used; `config` shows it."""
    monkeypatch.delenv("FLOWMESH_ADDRESS")
    assert await address_of(flowmesh) == ("127.0.0.1:7450", "default")
    runs_at(folder, "found:1", os.getpid())
    assert (await address_of(flowmesh))[0] == "found:1"
    await flowmesh("profile", "set", "near", "--address", "profile:1", "-n", "payments")
    assert (await address_of(flowmesh))[0] == "found:1"
    value, source = await address_of(flowmesh, "--profile", "near")
    assert (value, source.startswith("profile near (")) == ("profile:1", True)
    monkeypatch.setenv("FLOWMESH_ADDRESS", "environment:1")
    assert await address_of(flowmesh, "--profile", "near") == (
        "environment:1",
        "environment FLOWMESH_ADDRESS",
    )
    assert await address_of(flowmesh, "--address", "flag:1") == ("flag:1", "--address")


async def test_profiles_are_set_used_shown_and_deleted(flowmesh: Run, folder: Path) -> None:
    """They are in the user's configuration folder, readable by the user only."""
    assert (await flowmesh("profile", "set", "far", "--address", "far:1", "-o", "yaml")).code == 0
    await flowmesh("profile", "set", "far", "--namespace", "payments")
    file = folder.parent / ".config" / "flowmesh" / "profiles.yaml"
    assert file.stat().st_mode & 0o077 == 0
    assert (await flowmesh("profile", "use", "far")).out == "profile far is in use\n"
    shown = (await flowmesh("profile", "show", "--json")).json
    values = {"address": "far:1", "namespace": "payments", "output": "yaml"}
    assert shown == {"name": "far", **values, "ca": "", "client_cert": "", "client_key": ""}
    settings = (await flowmesh("config", "-o", "json")).json["settings"]
    assert {s["name"]: s["value"] for s in settings}["profile"] == "far"
    assert (await flowmesh("get", "operation", "select")).out.startswith("name: select\n")
    assert (await flowmesh("profile", "delete", "far")).code == 0
    assert (await flowmesh("profile", "list", "--json")).json == []


async def test_an_unknown_profile_is_wrong_usage(flowmesh: Run, folder: Path) -> None:
    """The message lists the existing ones; an invalid file is named too."""
    await flowmesh("profile", "set", "near", "--address", "near:1")
    outcome = await flowmesh("list", "tasks", "--profile", "nera")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "there is no profile 'nera' (profiles: near)" in outcome.err
    file = folder.parent / ".config" / "flowmesh" / "profiles.yaml"
    file.write_text("profiles: {near: {adress: x}}\n")
    outcome = await flowmesh("list", "tasks")
    assert outcome.code == 2
    assert (
        f"{file} is not a valid file of profiles: the members of profile near must be address"
        in outcome.err
    )


@pytest.fixture
async def rest() -> AsyncIterator[str]:
    """A port that answers REST like a gateway."""

    async def services(_request: web.Request) -> web.Response:
        return web.json_response({"services": [{"endpoint": "127.0.0.1:7777"}]})

    application = web.Application()
    application.router.add_get("/api/v1/services", services)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield "{}:{}".format(*runner.addresses[0])
    await runner.cleanup()


@pytest.mark.parametrize("scheme", ["", "http://"])
async def test_the_rest_port_is_distinguished_from_no_response(
    flowmesh: Run, folder: Path, rest: str, scheme: str
) -> None:
    """The message names the REST port and the gRPC address."""
    outcome = await flowmesh("services", "--address", f"{scheme}{rest}")
    assert outcome.code == 3
    assert f"{rest} is a REST port (HTTP); the gRPC address is 127.0.0.1:7777" in outcome.err
    assert "nothing answers" not in outcome.err
