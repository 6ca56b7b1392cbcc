"""Faults of applications that were found and repaired: one test each, named by its commit."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from flowmesh.apps.document.loading import Loading
from flowmesh.apps.offline.checking import check
from flowmesh.testing.suite import Suite
from tests.features.apps import eventually, running, written

WEB: dict[str, Any] = {"name": "web", "type": "http.server", "config": {"address": ":0"}}


def app(folder: Path, *modules: dict[str, Any], **rest: Any) -> Path:
    return written(folder, yaml.safe_dump({"name": "faults", "modules": [WEB, *modules], **rest}))


def route(method: str, path: str, *steps: dict[str, Any]) -> dict[str, Any]:
    return {"method": method, "path": path, "pipeline": {"steps": list(steps)}}


@pytest.mark.feature("S1-135")
async def test_a_key_travels_over_the_broker_of_the_suite(tmp_path: Path, suite: Suite) -> None:
    """`apps: link applications in one process and over a suite`.

    The broker keeps headers that begin with fm- for itself, and refused every message with a key.
    """
    config = {"engine": "suite", "address": suite.grpc_address}
    send = {"topic": "kept.one", "key": "k-1", "headers": {"fm-key": "h-1"}, "payload": {"a": 1}}
    path = app(
        tmp_path,
        {"name": "bus", "type": "messaging.broker", "config": config},
        {"name": "seen", "type": "messaging.handler", "config": {"topic": "kept.*"}},
        workflows={
            "http": {
                "routes": [
                    route("POST", "/send", {"name": "s", "type": "step.publish", "config": send}),
                    {"method": "GET", "path": "/seen", "handler": "seen"},
                ]
            }
        },
    )
    async with running(path) as served:
        sent = await served.call("POST", "/send", {})
        assert sent.status == 200, sent.body

        async def arrived() -> bool:
            return bool((await served.call("GET", "/seen")).body["handled"] == 1)

        await eventually(arrived)


@pytest.mark.feature("S1-135")
async def test_the_length_of_a_list_is_read_in_conditions(tmp_path: Path) -> None:
    """`apps: run steps as modules, in flows of dependsOn and branches`.

    CEL reads `items.length` as a member that no list has, and every request failed with 422.
    """
    config = {
        "expression": "request.body.items.length > 1",
        "routes": {"true": "many", "false": "few"},
    }
    answers = [
        {"name": name, "type": "step.json_response", "config": {"body": {"is": name}}}
        for name in ("many", "few")
    ]
    steps: list[dict[str, Any]] = [
        {"name": "c", "type": "step.conditional", "config": config},
        *answers,
    ]
    path = app(tmp_path, workflows={"http": {"routes": [route("POST", "/count", *steps)]}})
    async with running(path) as served:
        for items, expected in (([1, 2], "many"), ([1], "few"), ([], "few")):
            found = await served.call("POST", "/count", {"items": items})
            assert found.body == {"is": expected}


@pytest.mark.feature("S1-135")
def test_a_wrong_service_of_a_step_is_a_finding(tmp_path: Path) -> None:
    """`apps: run steps as modules, in flows of dependsOn and branches`.

    A check of `step.delegate` with a service that is no text ended with a KeyError.
    """
    step = {"name": "d", "type": "step.delegate", "config": {"service": [1]}}
    path = app(tmp_path, workflows={"http": {"routes": [route("GET", "/", step)]}})
    found = check(path, Loading(environment={})).problems
    assert ("APP_CONFIG_INVALID", "service") in [(e.code, e.path[-1]) for e in found]


@pytest.mark.feature("S1-135")
async def test_connections_by_name_run_their_migrations(tmp_path: Path) -> None:
    """`tests: drive the modular types, and a machine on two hosts`.

    The migrations of a connection of database.modular were read and never run.
    """
    connection = {"driver": "sqlite", "dsn": "a.db", "migrations": ["CREATE TABLE t (id INTEGER)"]}
    query = {"database": "all.one", "query": "SELECT id FROM t"}
    path = app(
        tmp_path,
        {"name": "all", "type": "database.modular", "config": {"connections": {"one": connection}}},
        workflows={
            "http": {
                "routes": [
                    route("GET", "/rows", {"name": "q", "type": "step.db_query", "config": query})
                ]
            }
        },
    )
    async with running(path) as served:
        found = await served.call("GET", "/rows")
        assert (found.status, found.body["rows"]) == (200, [])
