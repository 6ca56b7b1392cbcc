"""Applications act on messages: brokers, the event bus, handlers, triggers, senders."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.messaging.messages import Message, Subscribed, fits
from flowmesh.apps.offline.checking import check, silent_log
from flowmesh.apps.runtime.application import Application
from flowmesh.apps.wiring.ports import DEAD_LETTERS
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid
from tests.features.apps import RunningApp, eventually, running, written

WEB = {"name": "web", "type": "http.server", "config": {"address": ":0"}}
DATABASE = {
    "name": "db",
    "type": "database.workflow",
    "config": {
        "driver": "sqlite",
        "dsn": "a.db",
        "migrations": ["CREATE TABLE seen (id INTEGER PRIMARY KEY, value TEXT, topic TEXT)"],
    },
}
SAVE = {
    "steps": [
        {
            "name": "save",
            "type": "step.db_exec",
            "config": {
                "database": "db",
                "query": "INSERT INTO seen (value, topic) VALUES (?, ?)",
                "params": ["{{ .value }}", "{{ .meta.topic }}"],
            },
        }
    ]
}
PUBLISH = {
    "method": "POST",
    "path": "/publish/{topic}",
    "pipeline": [
        {"name": "body", "type": "step.request_parse", "config": {"parse_body": True}},
        {
            "name": "send",
            "type": "step.publish",
            "config": {"topic": "{{ .topic }}", "payload": "{{ .body }}", "broker": "broker"},
        },
    ],
}
SEEN = {
    "method": "GET",
    "path": "/seen",
    "pipeline": [
        {
            "name": "read",
            "type": "step.db_query",
            "config": {"database": "db", "query": "SELECT value, topic FROM seen ORDER BY id"},
        },
        {
            "name": "answer",
            "type": "step.json_response",
            "config": {"body_from": "steps.read.rows"},
        },
    ],
}


def app(
    broker: dict[str, Json] | None = None, *, modules: Sequence[Json] = (), **parts: Json
) -> str:
    """An application with a broker, a database of seen values, and the routes above."""
    first = broker or {"name": "broker", "type": "messaging.broker"}
    workflows = {"http": {"routes": [PUBLISH, SEEN]}, **parts.pop("workflows", {})}
    pipelines = {"save": SAVE, **parts.pop("pipelines", {})}
    return json.dumps(
        {
            "name": "acting",
            "modules": [WEB, DATABASE, first, *modules],
            "workflows": workflows,
            "pipelines": pipelines,
            **parts,
        }
    )


async def seen(running_app: RunningApp, count: int) -> list[Json]:
    """The seen values, once there are that many."""

    async def look() -> list[Json] | None:
        rows: list[Json] = (await running_app.call("GET", "/seen")).body
        return rows if len(rows) >= count else None

    found: list[Json] = await eventually(look)
    return found


HANDLER: Json = {
    "name": "saver",
    "type": "messaging.handler",
    "config": {"topic": "orders.*", "pipeline": "save", "broker": "broker"},
}


@pytest.mark.feature("S1-35", "S1-37", "S1-49")
async def test_a_message_reaches_the_handlers_of_its_topic(tmp_path: Path) -> None:
    """A wildcard is one word; the order of a publisher is kept; counts are served."""
    routes = [PUBLISH, SEEN, {"method": "GET", "path": "/saver", "handler": "saver"}]
    text = app(modules=[HANDLER], workflows={"http": {"routes": routes}})
    async with running(written(tmp_path, text)) as found:
        for number in range(20):
            await found.call("POST", "/publish/orders.new", {"value": str(number)})
        await found.call("POST", "/publish/orders.new.late", {"value": "no"})
        await found.call("POST", "/publish/other", {"value": "no"})
        rows = await seen(found, 20)
        assert [row["value"] for row in rows] == [str(number) for number in range(20)]
        assert {row["topic"] for row in rows} == {"orders.new"}
        assert (await found.call("GET", "/saver")).body["handled"] == 20
        wrong = await found.call("POST", "/publish/a..b", {"value": "x"})
        assert (wrong.status, wrong.body["code"]) == (422, "TOPIC_INVALID")


@pytest.mark.feature("S1-37")
async def test_a_message_that_always_fails_becomes_a_dead_letter(tmp_path: Path) -> None:
    """It is tried as often as the broker says, then published on the topic of dead letters."""
    broker = {
        "name": "broker",
        "type": "messaging.broker",
        "config": {"maxAttempts": 2, "deadLetterTopic": "dead"},
    }
    broken = {
        "steps": [{"name": "no", "type": "step.validate", "config": {"required_fields": ["x"]}}]
    }
    modules = [
        {
            "name": "failing",
            "type": "messaging.handler",
            "config": {"topic": "in", "pipeline": "no"},
        },
        {
            "name": "buried",
            "type": "messaging.handler",
            "config": {"topic": "dead", "pipeline": "save"},
        },
    ]
    text = app(broker, modules=modules, pipelines={"no": broken})
    async with running(written(tmp_path, text)) as found:
        await found.call("POST", "/publish/in", {"value": "poison"})
        assert (await seen(found, 1))[0] == {"value": "poison", "topic": "dead"}
        letters = found.application.built.registry.need(DEAD_LETTERS, "broker").list()
        assert [(e.message.topic, e.message.attempt) for e in letters] == [("in", 2)]
        assert "x is missing" in letters[0].reason


@pytest.mark.feature("S1-86")
async def test_producers_forward_results_and_failures(tmp_path: Path) -> None:
    """A messaging workflow subscribes handlers and publishes what they emit."""
    check_it = {
        "steps": [
            {"name": "check", "type": "step.validate", "config": {"required_fields": ["value"]}},
            {"name": "set", "type": "step.set", "config": {"values": {"value": "{{ .value }}!"}}},
        ]
    }
    modules = [
        {"name": "checker", "type": "messaging.handler", "config": {"pipeline": "check"}},
        {"name": "good", "type": "messaging.handler", "config": {"pipeline": "save"}},
        {"name": "bad", "type": "messaging.handler", "config": {"pipeline": "failed"}},
    ]
    failed: Json = json.loads(json.dumps(SAVE))
    failed["steps"][0]["config"]["params"] = ["{{ .error }}", "{{ .meta.topic }}"]
    messaging = {
        "subscriptions": [
            {"topic": "raw", "handler": "checker"},
            {"topic": "checked", "handler": "good"},
            {"topic": "check-errors", "handler": "bad"},
        ],
        "producers": [{"name": "checker", "forwardTo": ["checked", "check-errors"]}],
    }
    text = app(
        modules=modules,
        pipelines={"check": check_it, "failed": failed},
        workflows={"messaging": messaging},
    )
    async with running(written(tmp_path, text)) as found:
        await found.call("POST", "/publish/raw", {"value": "a"})
        await found.call("POST", "/publish/raw", {"other": "b"})
        rows = {(row["topic"], row["value"]) for row in await seen(found, 2)}
        assert rows == {("checked", "a!"), ("check-errors", "value is missing")}


@pytest.mark.feature("S1-91", "S1-92", "S1-81", "S1-36", "S1-05")
async def test_events_start_workflows(tmp_path: Path) -> None:
    """An event trigger filters by type; an eventbus trigger takes the event bus."""
    bus = {"name": "broker", "type": "eventbus.modular", "config": {"deliveryMode": "block"}}
    bridge = {"name": "bridge", "type": "messaging.broker.eventbus"}
    triggers = {
        "event": {
            "subscriptions": [
                {"topic": "t", "event": "made", "workflow": "save", "broker": "bridge"}
            ]
        },
        "eventbus": {
            "subscriptions": [
                {"topic": "bus.>", "workflow": "save", "params": {"value": "fixed"}, "async": True}
            ]
        },
    }
    text = app(bus, modules=[bridge], triggers=triggers)
    async with running(written(tmp_path, text)) as found:
        await found.call("POST", "/publish/t", {"type": "made", "value": "1"})
        await found.call("POST", "/publish/t", {"type": "other", "value": "2"})
        await found.call("POST", "/publish/bus.a.b", {"value": "3"})
        rows = {row["value"] for row in await seen(found, 2)}
        assert rows == {"1", "fixed"}


@pytest.mark.feature("S1-81")
async def test_an_event_bus_routes_topics_to_engines(tmp_path: Path) -> None:
    """Topics choose their engine; a wildcard subscription covers all engines; custom is refused."""
    config = {
        "engines": [{"name": "a", "type": "memory"}, {"name": "b", "type": "memory"}],
        "routing": [{"topics": ["b.*"], "engine": "b"}],
        "deliveryMode": "block",
    }
    bus = {"name": "broker", "type": "eventbus.modular", "config": config}
    all_ = {
        "name": "all",
        "type": "messaging.handler",
        "config": {"topic": ">", "pipeline": "save"},
    }
    async with running(written(tmp_path, app(bus, modules=[all_]))) as found:
        await found.call("POST", "/publish/a.x", {"value": "1"})
        await found.call("POST", "/publish/b.x", {"value": "2"})
        assert {row["value"] for row in await seen(found, 2)} == {"1", "2"}
    custom = {"name": "broker", "type": "eventbus.modular", "config": {"engine": "custom"}}
    found_problems = check(written(tmp_path, app(custom)), Loading(environment={})).problems
    assert any("engine custom" in each.message for each in found_problems)


@pytest.mark.feature("S1-89")
async def test_patterns_of_events_count_order_and_miss(tmp_path: Path) -> None:
    """Three failures of one user, a sequence, and an absence reach their handlers once each."""
    patterns: list[dict[str, Json]] = [
        {"patternId": "many", "eventTypes": ["fail"], "minOccurs": 3, "key": "user"},
        {"patternId": "chain", "eventTypes": ["a", "b"], "condition": "sequence"},
        {
            "patternId": "silent",
            "eventTypes": ["asked", "answered"],
            "condition": "absence",
            "windowTime": "100ms",
        },
    ]
    named: Json = json.loads(json.dumps(SAVE))
    named["steps"][0]["config"]["params"] = ["{{ .patternId }}", "{{ .count }}"]
    event = {
        "patterns": patterns,
        "handlers": [{"patternId": str(e["patternId"]), "handler": "alarm"} for e in patterns],
        "adapters": [{"broker": "broker", "topic": "events"}],
    }
    alarm = {"name": "alarm", "type": "messaging.handler", "config": {"pipeline": "named"}}
    text = app(modules=[alarm], pipelines={"named": named}, workflows={"event": event})
    async with running(written(tmp_path, text)) as found:
        for user in ("x", "y", "x", "x"):
            await found.call("POST", "/publish/events", {"type": "fail", "user": user})
        for kind in ("b", "a", "b", "asked"):
            await found.call("POST", "/publish/events", {"type": kind})
        rows = {(row["value"], row["topic"]) for row in await seen(found, 3)}
        assert rows == {("many", "3"), ("chain", "2"), ("silent", "1")}


@pytest.mark.feature("S1-37")
async def test_files_of_a_folder_become_messages(tmp_path: Path) -> None:
    """The rows of a CSV file are messages; the file is renamed, also one that fails."""
    handler = {
        "name": "input",
        "type": "messaging.handler",
        "config": {"inputType": "csv", "watchPath": "in", "pipeline": "save"},
    }
    (tmp_path / "in").mkdir()
    async with running(written(tmp_path, app(modules=[handler]))) as found:
        (tmp_path / "in" / "a.csv").write_text("value,other\n1,x\n2,y\n")
        assert [row["value"] for row in await seen(found, 2)] == ["1", "2"]

        async def renamed() -> bool:
            return (tmp_path / "in" / "a.csv.done").exists()

        assert await eventually(renamed)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"messaging": {"subscriptions": [{"topic": "a..b", "handler": "h"}]}}, "words"),
        ({"messaging": {"broker": "no", "subscriptions": [{"topic": "a", "handler": "h"}]}}, "no"),
        ({"messaging": {"producers": [{"name": "no", "forwardTo": ["a"]}]}}, "no module"),
        ({"event": {"patterns": [{"patternId": "p", "eventTypes": []}]}}, "eventTypes"),
        ({"event": {"handlers": [{"patternId": "q", "handler": "h"}]}}, "unknown pattern"),
        ({"integration": {"connectors": [{"name": "c", "type": "ftp"}]}}, "connector"),
        ({"integration": {"steps": [{"name": "s", "connector": "c"}]}}, "connector"),
        ({"scheduler": {"jobs": [{"scheduler": "no", "job": "h"}]}}, "no scheduler"),
        ({"statemachine": {"engine": "no", "definitions": []}}, "unknown state machine"),
    ],
)
def test_wrong_workflows_are_findings_with_their_line(
    tmp_path: Path, part: dict[str, Json], message: str
) -> None:
    """Every kind of workflow names what is wrong in it, and nothing starts."""
    handler = {"name": "h", "type": "messaging.handler"}
    path = written(tmp_path, app(modules=[handler], workflows=part))
    with pytest.raises(Invalid, match=r"app\.yaml:1") as caught:
        Application(load(path, Loading(environment={})), log=silent_log("wrong"))
    assert any(message in each.description for each in caught.value.violations)


def test_wildcards_are_words() -> None:
    """`*` is one word and `>` one or more at the end."""
    fitting = [("a.*", "a.b"), ("a.>", "a.b.c"), (">", "x"), ("a", "a")]
    others = [("a.*", "a.b.c"), ("a.*", "a"), ("a.>", "a"), ("a", "b")]
    assert all(fits(*each) for each in fitting)
    assert not any(fits(*each) for each in others)


async def test_a_full_queue_makes_the_publisher_wait_and_then_refuses() -> None:
    """Nothing is dropped silently: 503 after the time, and the queue is in the health."""
    from flowmesh.apps.http.problems import HttpProblem
    from flowmesh.apps.messaging.delivery import Delivery
    from flowmesh.apps.messaging.memory import MemoryBroker

    release = asyncio.Event()
    got: list[Json] = []

    async def slow(message: Message) -> None:
        await release.wait()
        got.append(message.value)

    made = MemoryBroker(delivery=Delivery(log=lambda *_, **__: None), room=1, wait_s=0.05)
    made.subscribe(Subscribed("t", "slow", slow))
    await made.open()
    await made.publish("t", 1)

    async def taken() -> bool:
        return made.depth() == 0

    await eventually(taken)
    await made.publish("t", 2)
    with pytest.raises(HttpProblem) as caught:
        await made.publish("t", 3)
    assert (caught.value.status, await made.health()) == (503, "the queue of slow is full")
    release.set()
    await made.close()
    assert got == [1, 2]
