"""Every key of every type is read by the code that builds the type."""

import dataclasses
import sys
from collections.abc import Iterable
from pathlib import Path

import orjson
import pytest

from flowmesh.apps.catalog import DESCRIPTORS, STEPS, Descriptor
from flowmesh.apps.catalog.descriptor import Field, string
from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.document.model import AppDocument
from flowmesh.apps.observing.logs import LogHub
from flowmesh.apps.runtime.building import build
from flowmesh.contract.json_value import Json
from flowmesh.egress.policy import OPEN

# Code that handles keys by their descriptors, whatever they mean.
_GENERIC = ("flowmesh.apps.wiring", "flowmesh.apps.document", "flowmesh.apps.runtime.building")
# Keys that no code has to read, by type, with the reason. It only shrinks.
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("secrets.vault", "mode"): "its only value is remote",
    ("http.router", "routes"): "they are read as routes of the document",
    ("chimux.router", "routes"): "they are read as routes of the document",
    ("api.command", "routes"): "they are read as routes of the document",
    ("api.query", "routes"): "they are read as routes of the document",
    ("messaging.handler", "broker"): "its subscription is on the broker that the plan found",
    ("messaging.broker", "topics"): "they are read of a broker that ends a flow of modules",
}
PARTNERS: list[Json] = [
    {"name": "web", "type": "http.server", "config": {"address": ":0"}},
    {"name": "router", "type": "http.router"},
    {"name": "db", "type": "database.workflow", "config": {"driver": "sqlite", "dsn": "a.db"}},
    {"name": "store", "type": "persistence.store", "config": {"database": "db"}},
    {"name": "broker", "type": "messaging.broker"},
    {"name": "machine", "type": "statemachine.engine", "config": {"store": "store"}},
    {"name": "handler", "type": "http.handler", "config": {"body": "x"}},
    {"name": "limit", "type": "http.middleware.ratelimit"},
    {"name": "auth", "type": "auth.jwt", "config": {"secret": "x" * 32}},
    {"name": "cache", "type": "cache.modular"},
    {"name": "client", "type": "httpclient.modular"},
    {"name": "component", "type": "dynamic.component", "config": {"source": "a.py"}},
    {"name": "shape", "type": "data.transformer", "config": {"pipelines": {"p": []}}},
]
REFERRED = {
    "Server": "web",
    "Router": "router",
    "Database": "db",
    "Store": "store",
    "Broker": "broker",
    "Machine": "machine",
    "Handler": "handler",
    "Middleware": "limit",
    "AuthProvider": "auth",
    "Cache": "cache",
    "HttpClient": "client",
    "Component": "component",
    "Transformer": "shape",
}
# Values that fit, where those of the kind do not.
VALUES: dict[str, dict[str, Json]] = {
    "http.server": {"address": ":0", "tls": {"enabled": False}, "middlewares": ["limit"]},
    "httpserver.modular": {"host": "127.0.0.1", "tls": {"enabled": False}, "middlewares": []},
    "http.router": {
        "routes": [],
        "allowed_origins": ["https://a.example"],
        "middlewares": ["limit"],
    },
    "chimux.router": {
        "routes": [],
        "allowed_origins": ["https://a.example"],
        "middlewares": ["limit"],
    },
    "http.handler": {"path": "/h", "method": "GET"},
    "http.proxy": {"default_backend": "", "cache_enabled": True},
    "reverseproxy": {"default_backend": "", "cache_enabled": True},
    "http.simple_proxy": {"targets": {"/a": "http://127.0.0.1:9"}},
    "httpclient.modular": {
        "baseURL": "http://127.0.0.1:9",
        "retry": {"attempts": 2},
        "verbose_options": {"log_body": True},
    },
    "static.fileserver": {"root": "files", "prefix": "/files"},
    "http.middleware.ratelimit": {"store": ""},
    "api.command": {"routes": []},
    "api.query": {"routes": []},
    "http.middleware.cors": {"allowedOrigins": ["https://a.example"]},
    "auth.jwt": {"secret": "x" * 32, "seedFile": ""},
    "auth.modular": {
        "jwt": {"secret": "x" * 32},
        "session": {"cookie_name": "a"},
        "password": {"min_length": 9},
        "oauth2": {"providers": {}},
    },
    "api.handler": {"seedFile": "", "fieldMapping": {"id": "key"}, "schema": {"type": "object"}},
    "database.workflow": {"driver": "postgres", "dsn": "postgresql://u:p@127.0.0.1:9/d"},
    "database.modular": {
        "default": "a",
        "connections": {"a": {"driver": "sqlite", "dsn": "a.db"}},
    },
    "storage.gcs": {"credentialsFile": "", "endpoint": "http://127.0.0.1:9"},
    "storage.s3": {"region": "us-east-1", "endpoint": "http://127.0.0.1:9"},
    "cache.modular": {"engine": "redis", "redisURL": "redis://127.0.0.1:9", "redisPassword": "p"},
    "jsonschema.modular": {"schemas": {"a": {"type": "object"}}},
    "data.transformer": {"pipelines": {"p": []}, "pipeline": "p"},
    "dynamic.component": {
        "source": "a.py",
        "limits": {},
        "capabilities": [],
        "api": "",
        "requires": ["web"],
    },
    "statemachine.engine": {"redisURL": "redis://127.0.0.1:9", "redisPassword": "p"},
    "state.connector": {"mappings": [], "links": []},
    "messaging.broker": {"topics": ["a"], "engine": "suite", "address": "127.0.0.1:9"},
    "messaging.handler": {
        "inputType": "csv",
        "component": "",
        "pipeline": "named",
        "retry": {"attempts": 2},
    },
    "messaging.kafka": {
        "brokers": ["127.0.0.1:9"],
        "startFrom": "latest",
        "security": {},
        "acks": "all",
    },
    "messaging.nats": {"url": "nats://127.0.0.1:9", "credentials": ""},
    "eventbus.modular": {"deliveryMode": "drop", "engines": [], "routing": []},
    "webhook.sender": {"url": "http://127.0.0.1:9", "method": "POST"},
    "notification.slack": {"webhookURL": "http://127.0.0.1:9"},
    "openapi.consumer": {
        "specUrl": "",
        "specFile": "spec.json",
        "auth": {"type": "bearer", "token": "t"},
        "baseURL": "http://127.0.0.1:9",
    },
    "openapi.generator": {"servers": ["http://127.0.0.1:9"]},
    "scheduler.modular": {
        "cronExpression": "* * * * *",
        "storageType": "db",
        "jobs": [{"name": "a", "command": "named"}],
        "timezone": "UTC",
        "catchUp": "skip",
        "overlap": "skip",
    },
    "metrics.collector": {"enabledMetrics": ["http"]},
    "eventlogger.modular": {
        "logLevel": "INFO",
        "format": "json",
        "outputTargets": [{"type": "console"}],
    },
    "observability.otel": {"endpoint": "127.0.0.1:4318", "attributes": {"a": "b"}},
    "secrets.aws": {"region": "us-east-1", "endpoint": "http://127.0.0.1:9"},
    "secrets.vault": {"address": "http://127.0.0.1:9"},
    "step.validate": {"required_fields": ["a"], "schema": {"type": "object"}, "source": "a"},
    "step.transform": {"transformer": "", "pipeline": "", "operations": [], "source": "a"},
    "step.conditional": {"field": "a", "expression": "", "routes": {}, "default": "", "cases": []},
    "step.http_call": {"url": "http://127.0.0.1:9", "retry": {"attempts": 2}, "success": [404]},
    "step.db_query": {"query": "SELECT 1", "params": []},
    "step.db_exec": {"query": "DELETE FROM a RETURNING b", "params": []},
    "step.json_response": {"status": 200, "body_from": ""},
    "step.raw_response": {"status": 200},
    "step.foreach": {"items": [], "steps": []},
    "step.pipeline": {"name": "named"},
    "step.delegate": {"service": "shape"},
    "step.jq": {"program": "."},
}


# The other values of keys that choose what else is read.
OTHERWISE: dict[str, dict[str, Json]] = {
    "messaging.broker": {"engine": "memory"},
    "cache.modular": {"engine": "memory"},
    "api.handler": {"fieldMapping": {}, "sourceResourceName": ""},
}


class Recording(dict[str, Json]):
    """A configuration that remembers which of its keys the code of the type has read."""

    def __init__(self, values: dict[str, Json]) -> None:
        super().__init__(values)
        self.read: set[str] = set()
        self.planned: set[str] = set()

    def _note(self, key: str) -> None:
        reader = sys._getframe(2).f_globals["__name__"]
        (self.planned if reader.startswith(_GENERIC) else self.read).add(key)

    def __getitem__(self, key: str) -> Json:
        self._note(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Json = None) -> Json:
        self._note(key)
        return super().get(key, default)


def value_of(field: Field) -> Json:
    if field.refers:
        return REFERRED[field.refers]
    if field.default is not None:
        return field.default
    given: dict[str, Json] = {
        "number": field.least or 1,
        "boolean": False,
        "duration": "1s",
        "bytes": 1024,
        "array": [],
        "map": {},
        "json": "x",
    }
    return field.options[0] if field.options else given.get(field.kind, "x")


def whole(descriptor: Descriptor, otherwise: dict[str, Json]) -> dict[str, Json]:
    """Return a configuration with every key of a type."""
    values = {each.key: value_of(each) for each in descriptor.fields}
    given = VALUES.get(descriptor.type, {}) | otherwise
    return values | {key: value for key, value in given.items() if key in values}


def partners_of(descriptor: Descriptor) -> list[Json]:
    """Return the modules that a part needs or names, and a router with its server."""
    kinds = {each.refers for each in descriptor.fields} | {each.kind for each in descriptor.needs}
    kinds |= {"Database"} if "Store" in kinds else set()
    # A second module of a kind that the part offers is named by its keys alone.
    names = {REFERRED[kind] for kind in kinds if kind in REFERRED}
    names |= {"router", "web", "handler", *VALUES.get(descriptor.type, {}).get("middlewares", [])}
    names |= {"broker"} if any(each.key == "topic" for each in descriptor.fields) else set()
    # The part is the server or the router itself.
    names -= {REFERRED[kind] for kind in ("Server", "Router") if kind in descriptor.offers}
    names |= {"store", "db"} if "machine" in names else set()
    return [each for each in PARTNERS if each["name"] in names]


def recorded(descriptor: Descriptor, folder: Path) -> Recording:
    """Build applications with a part of a type, and return the reads of its keys."""
    recording = built(descriptor, folder, {})
    if other := OTHERWISE.get(descriptor.type):
        recording.read |= built(descriptor, folder, other).read
    return recording


def workflows_of(descriptor: Descriptor) -> Json:
    """Return a route of the part, and a machine of an engine."""
    found: Json = {"http": {"routes": [{"path": "/of", "handler": "handler", "method": "GET"}]}}
    if descriptor.type == "statemachine.engine":
        definition = {"name": "d", "states": {"x": {}}}
        found["statemachine"] = {"engine": "part", "definitions": [definition]}
    return found


def built(descriptor: Descriptor, folder: Path, otherwise: dict[str, Json]) -> Recording:
    for name, text in {"a.py": "def execute(p):\n    return p\n", "spec.json": SPEC}.items():
        (folder / name).write_text(text)
    (folder / "files").mkdir(exist_ok=True)
    part = {"name": "part", "type": descriptor.type, "config": whole(descriptor, otherwise)}
    is_step = descriptor.type in STEPS
    partners = partners_of(descriptor)
    document: Json = {
        "name": "app",
        "modules": partners if is_step else [*partners, part],
        "workflows": workflows_of(descriptor),
        "pipelines": {
            "named": {"steps": [{"name": "s", "type": "step.set", "config": {"values": {}}}]},
            **({"run": {"steps": [part]}} if is_step else {}),
        },
    }
    path = folder / "app.yaml"
    path.write_bytes(orjson.dumps(document))
    found = load(path, Loading(environment={}, required=False))
    recording, replaced = placed(found, is_step=is_step)
    build(replaced, log=LogHub(app="app", write=lambda _line: None), policy=OPEN)
    problems = [each.message for each in replaced.findings.found if not each.warning]
    assert problems == []
    return recording


def placed(document: AppDocument, *, is_step: bool) -> tuple[Recording, AppDocument]:
    """Return the document with the recording in place of the configuration of its part."""
    if is_step:
        pipelines = list(document.pipelines)
        step = pipelines[1].steps[0]
        recording = Recording(dict(step.config))
        pipelines[1] = dataclasses.replace(
            pipelines[1], steps=(dataclasses.replace(step, config=recording),)
        )
        return recording, dataclasses.replace(document, pipelines=tuple(pipelines))
    modules = list(document.modules)
    recording = Recording(dict(modules[-1].config))
    modules[-1] = dataclasses.replace(modules[-1], config=recording)
    return recording, dataclasses.replace(document, modules=tuple(modules))


def unread(descriptor: Descriptor, recording: Recording) -> Iterable[str]:
    """Return the keys that nothing has read; a partner is found by the key of a need."""
    needs = {each.key for each in descriptor.needs} & recording.planned
    keys = {each.key for each in descriptor.fields} - recording.read - needs
    return sorted(key for key in keys if (descriptor.type, key) not in EXCEPTIONS)


SPEC = orjson.dumps(
    {"openapi": "3.0.0", "info": {"title": "a", "version": "1"}, "paths": {}}
).decode()
TYPES = {d.type: d for d in (*DESCRIPTORS.values(), *STEPS.values())}


@pytest.mark.feature("S1-95", "S1-03")
@pytest.mark.parametrize("name", TYPES)
async def test_every_key_of_a_type_is_read(name: str, tmp_path: Path) -> None:
    """Nothing that a configuration may say is dropped without a word."""
    assert unread(TYPES[name], recorded(TYPES[name], tmp_path)) == []


def test_all_types_and_keys_are_covered() -> None:
    """68 types of the docs with their keys, and seven steps beyond them."""
    assert len(TYPES) == len(DESCRIPTORS) + len(STEPS) - len(DESCRIPTORS.keys() & STEPS.keys())
    assert (len(DESCRIPTORS), len(TYPES)) == (68, 75)
    assert sum(len(each.fields) for each in TYPES.values()) >= 390
    assert set(EXCEPTIONS) <= {(d.type, f.key) for d in TYPES.values() for f in d.fields}


@pytest.mark.parametrize("name", ["http.handler", "cache.modular", "step.set"])
async def test_a_key_that_nothing_reads_is_found(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted key of a schema is reported."""
    descriptor = TYPES[name]
    fields = (*descriptor.fields, string("planted", "A key of no code.", default="x"))
    planted = dataclasses.replace(descriptor, fields=fields)
    for table in (DESCRIPTORS, STEPS):
        if name in table:
            monkeypatch.setitem(table, name, planted)
    assert unread(planted, recorded(planted, tmp_path)) == ["planted"]
