"""A check of documents whose variables are not set: warnings of them, and nothing else of them."""

from pathlib import Path

import pytest
import yaml

from flowmesh.apps.catalog import DESCRIPTORS, STEPS, Descriptor
from flowmesh.apps.catalog.descriptor import Field
from flowmesh.apps.release_process.checking import checked
from flowmesh.apps.release_process.conversation import Begin, Placed
from flowmesh.contract.json_value import Json

UNSET = "${UNSET}"
SERVER = [
    {"name": "web", "type": "http.server", "config": {"address": ":0"}},
    {"name": "router", "type": "http.router"},
]


def findings(folder: Path, document: Json) -> list[Placed]:
    path = folder / "app.yaml"
    path.write_text(yaml.safe_dump(document))
    begin = Begin(
        app="app",
        document=str(path),
        data=str(folder / "data"),
        environment={},
        memory_bytes=2**28,
        files_max=100,
        egress="public",
        check=True,
    )
    return list(checked(begin).findings)


def unset(field: Field) -> Json:
    if field.kind == "array":
        return [{"name": UNSET}] if field.item == "object" else [UNSET]
    return {"name": UNSET} if field.kind == "map" else UNSET


@pytest.mark.parametrize(
    "descriptor", [*DESCRIPTORS.values(), *STEPS.values()], ids=lambda each: each.type
)
async def test_every_key_may_name_a_variable_that_is_not_set(
    descriptor: Descriptor, tmp_path: Path
) -> None:
    """The check ends with findings, whichever keys are unset: each, and all of them."""
    configs = [{each.key: unset(each) for each in descriptor.fields}]
    configs += [{**descriptor.example, each.key: unset(each)} for each in descriptor.fields]
    is_step = descriptor.type in STEPS
    for config in configs:
        part = {"name": "part", "type": descriptor.type, "config": config}
        document = {
            "modules": SERVER if is_step else [*SERVER, part],
            "pipelines": {"run": {"steps": [part]}} if is_step else {},
        }
        found = findings(tmp_path, document)
        assert not config or any(each.code == "ENV_MISSING" for each in found)


AWS_KEYS = {"accessKeyId": "a", "secretAccessKey": "s"}


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("database.workflow", {"driver": "postgres", "dsn": "${DSN}"}),
        ("database.modular", {"connections": {"a": {"driver": "postgres", "dsn": "${DSN}"}}}),
        ("database.workflow", {"driver": "postgres", "dsn": "${DSN}?sslmode=require"}),
        (
            "storage.s3",
            {"bucket": "b", "endpoint": "${DSN}", "accessKeyId": "a", "secretAccessKey": "s"},
        ),
    ],
)
async def test_an_unset_address_is_a_warning_alone(kind: str, config: Json, tmp_path: Path) -> None:
    """What a start would know is not judged without it."""
    found = findings(tmp_path, {"modules": [{"name": "db", "type": kind, "config": config}]})
    assert {(each.code, each.warning) for each in found} == {("ENV_MISSING", True)}


async def test_modules_that_need_an_unset_one_are_not_judged(tmp_path: Path) -> None:
    """A store, its users and its machine stand on a database whose DSN is not set."""
    database = {"driver": "postgres", "dsn": "${DSN}"}
    modules = [
        *SERVER,
        {"name": "db", "type": "database.workflow", "config": database},
        {"name": "store", "type": "persistence.store", "config": {"database": "db"}},
        {"name": "users", "type": "auth.user-store", "config": {"database": "db"}},
        {"name": "auth", "type": "auth.jwt", "config": {"secret": "x" * 32}},
        {"name": "engine", "type": "statemachine.engine", "config": {"store": "store"}},
        {"name": "things", "type": "api.handler", "config": {"workflowEngine": "engine"}},
    ]
    definition = {"name": "d", "initialState": "a", "states": {"a": {}}}
    routes = [{"method": "GET", "path": "/things", "handler": "things"}]
    workflows = {
        "http": {"routes": routes},
        "statemachine": {"engine": "engine", "definitions": [definition]},
    }
    found = findings(tmp_path, {"modules": modules, "workflows": workflows})
    assert {each.code for each in found if not each.warning} == set()
