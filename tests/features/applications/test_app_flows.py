"""Steps as modules: flows that dependsOn, branches and routes make of them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from flowmesh.apps.document.loading import Loading
from flowmesh.apps.offline.checking import check
from tests.features.apps import eventually, running, written

Module = dict[str, Any]
WEB: list[Module] = [
    {"name": "web", "type": "http.server", "config": {"address": ":0"}},
    {"name": "routes", "type": "http.router"},
]


def module(name: str, kind: str, *after: str, branches: Any = None, **config: Any) -> Module:
    found = {"name": name, "type": kind, "config": config, "dependsOn": list(after)}
    return {**found, "branches": branches} if branches else found


def app(folder: Path, *modules: Module, **rest: Any) -> Path:
    parts = {"name": "flows", "modules": [*WEB, *modules], **rest}
    return written(folder, yaml.safe_dump(parts, sort_keys=False))


def problems(path: Path) -> list[tuple[str, str]]:
    """The code and the place of each error."""
    found = check(path, Loading(environment={})).problems
    return [(each.code, each.place) for each in found if not each.warning]


def merged(name: str, *after: str, **values: Any) -> Module:
    return module(name, "data.transformer", *after, pipeline=[{"type": "merge", "with": values}])


@pytest.mark.feature("S1-44", "S1-45", "S1-48", "S1-49", "S1-50", "S1-54", "S1-55")
async def test_steps_of_every_kind_answer_a_request_as_modules(tmp_path: Path) -> None:
    """Each step leads to the one that depends on it, and the last one answers."""
    table = ["CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)"]
    path = app(
        tmp_path,
        module("db", "database.workflow", driver="sqlite", dsn="a.db", migrations=table),
        module("bus", "messaging.broker"),
        module("seen", "messaging.handler", topic="items.stored"),
        module("items", "http.handler", path="/items", method="POST"),
        module("parse", "step.request_parse", "items", parse_body=True, fields=["name"]),
        module("check", "step.validate", "parse", required_fields=["name"]),
        module("mark", "step.set", "check", values={"label": "{{ .name }}!"}),
        module("say", "step.log", "mark", message="storing {{ .label }}"),
        module(
            "store",
            "step.db_exec",
            "say",
            database="db",
            query="INSERT INTO items (name) VALUES (?)",
            params=["{{ .label }}"],
        ),
        module("send", "step.publish", "store", topic="items.stored", payload={"n": "{{ .name }}"}),
        module(
            "read",
            "step.db_query",
            "send",
            database="db",
            query="SELECT name FROM items",
        ),
        module("answer", "step.json_response", "read", status=201, body_from="steps.read.rows"),
        workflows={"http": {"routes": [{"method": "GET", "path": "/seen", "handler": "seen"}]}},
    )
    async with running(path) as served:
        stored = await served.call("POST", "/items", {"name": "lamp"})
        assert (stored.status, stored.body) == (201, [{"name": "lamp!"}])
        refused = await served.call("POST", "/items", {})
        assert (refused.status, refused.body["step"]) == (422, "check")

        async def seen() -> bool:
            return bool((await served.call("GET", "/seen")).body["handled"] == 1)

        await eventually(seen)


@pytest.mark.feature("S1-46", "S1-142")
async def test_branches_lead_to_one_module_each_and_meet_again(tmp_path: Path) -> None:
    """Routes, cases and the default choose; a module that follows all of them runs once."""
    path = app(
        tmp_path,
        module("orders", "http.handler", path="/orders"),
        module(
            "by-priority",
            "step.conditional",
            "orders",
            expression="order.priority",
            field="priority",
            cases=["express", "bulk"],
            default="by-road",
            branches={"case-0": "by-air", "case-1": "by-ship"},
        ),
        merged("by-air", lane="air"),
        merged("by-ship", lane="ship"),
        merged("by-road", lane="road"),
        module("stamp", "step.set", "by-air", "by-ship", "by-road", values={"stamp": "{{.lane}}"}),
    )
    async with running(path) as served:
        for priority, lane in (("express", "air"), ("bulk", "ship"), ("slow", "road")):
            found = await served.call("POST", "/orders", {"id": 1, "priority": priority})
            assert found.status == 200
            assert found.body == {"id": 1, "priority": priority, "lane": lane, "stamp": lane}


async def test_a_route_a_trigger_and_a_message_begin_a_flow_at_a_step(tmp_path: Path) -> None:
    """A step without a handler before it is named by what begins it."""
    path = app(
        tmp_path,
        module("bus", "messaging.broker"),
        module("engine", "statemachine.engine", "kind", initial_state="new", adminPath="/seen"),
        module("kind", "step.conditional", expression="event.type", field="type",
               routes={"job.made": "engine", "": "direct"}, default="direct"),
        module("direct", "http.handler", status=202, body={"direct": True}),
        workflows={
            "http": {"routes": [{"method": "POST", "path": "/direct", "handler": "kind"}]},
            "messaging": {"subscriptions": [{"topic": "job.*", "handler": "kind"}]},
        },
        triggers={
            "http": {"routes": [
                {"path": "/started", "method": "POST", "workflow": "kind", "wait": True}
            ]},
        },
        pipelines={"publish": {
            "trigger": {"type": "http", "config": {"path": "/jobs", "method": "POST"}},
            "steps": [{"name": "p", "type": "step.publish", "config": {
                "topic": "job.made", "payload": {"id": "j-1"}}}],
        }},
    )  # fmt: skip
    async with running(path) as served:
        found = await served.call("POST", "/direct", {"a": 1})
        assert (found.status, found.body) == (202, {"direct": True})
        assert (await served.call("POST", "/started", {})).body == {"direct": True}
        await served.call("POST", "/jobs", {})

        async def opened() -> bool:
            return bool((await served.call("GET", "/seen/instances/j-1")).status == 200)

        await eventually(opened)


@pytest.mark.parametrize(
    ("modules", "expected"),
    [
        (
            [module("a", "step.conditional", "h", field="x", routes={"1": "gone"})],
            ("STEP_UNKNOWN", "modules[3].config.routes"),
        ),
        (
            [module("a", "step.set", "h", values={"b": 1}),
             module("machine", "statemachine.engine", "a")],
            ("APP_CONFIG_INVALID", "modules[4]"),
        ),
        (
            [module("a", "step.conditional", "h", field="x", branches={"case-2": "h2"}),
             module("h2", "http.handler")],
            ("APP_CONFIG_INVALID", "modules[3].branches.case-2"),
        ),
        (
            [module("a", "step.conditional", "h", field="x", routes={"1": "web"})],
            ("SERVICE_KIND", "modules[3].config.routes"),
        ),
        (
            [module("a", "step.conditional", "h", field="x", routes={"1": "b"},
                    branches={"1": "c"}), merged("b"), merged("c")],
            ("APP_CONFIG_INVALID", "modules[3].branches.1"),
        ),
        (
            [module("a", "step.conditional", "h", field="x", routes={"1": "b"}),
             module("b", "step.conditional", field="y", routes={"1": "a"})],
            ("WIRING_CYCLE", "modules[3]"),
        ),
        (
            [module("a", "step.set", "h", values={"x": 1}), module("bus", "messaging.broker", "a")],
            ("APP_CONFIG_INVALID", "modules[4]"),
        ),
        (
            [module("a", "step.conditional", "h")],
            ("APP_CONFIG_INVALID", "modules[3].config"),
        ),
    ],
    ids=["unknown", "machine", "case", "kind", "contradiction", "cycle", "topics", "value"],
)  # fmt: skip
def test_a_wrong_flow_is_refused_at_its_place(
    tmp_path: Path, modules: list[Module], expected: tuple[str, str]
) -> None:
    """Targets, cases, cycles and ends that cannot run are errors with their place."""
    path = app(tmp_path, module("h", "http.handler", path="/h"), *modules)
    assert expected in [(code, place) for code, place in problems(path)]
