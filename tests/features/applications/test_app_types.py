"""The contract of module types: build, start, health, stop and wrong configurations."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from flowmesh.apps.catalog import DESCRIPTORS, STEPS, Descriptor
from flowmesh.apps.catalog.schema import app_schema, config_schema, module_form
from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.offline.checking import check, silent_log
from flowmesh.apps.runtime.application import Application
from tests.features.apps import SECRET, written

TYPES = list(DESCRIPTORS.values())
# Types that need a server of others: those of application_hosts/test_app_servers.py.
OUTSIDE = frozenset(
    {
        *("messaging.kafka", "messaging.nats", "storage.s3", "storage.gcs"),
        *("secrets.vault", "secrets.aws"),
    }
)
RUN = [each for each in TYPES if not each.type.startswith("step.") and each.type not in OUTSIDE]
# Partners that types find by themselves.
PARTNERS: list[dict[str, Any]] = [
    {"name": "web", "type": "http.server", "config": {"address": ":0"}},
    {"name": "router", "type": "http.router"},
    {
        "name": "database",
        "type": "database.workflow",
        "config": {"driver": "sqlite", "dsn": "a.db"},
    },
]
COMPONENT = {
    "name": "inventory-checker",
    "type": "dynamic.component",
    "config": {"source": "def execute(params):\n    return params\n"},
}


def minimal(descriptor: Descriptor) -> dict[str, Any]:
    """The example of a type, or a value for each key that it needs."""
    if descriptor.example:
        return dict(descriptor.example)
    values = {"map": {"a": 1}, "array": ["a"], "string": "a", "sql": "SELECT 1", "json": []}
    return {
        each.key: [{"type": "step.log"}]
        if each.item == "object"
        else "database"
        if each.refers == "Database"
        else values[each.kind]
        for each in descriptor.fields
        if each.required
    }


def document(descriptor: Descriptor, config: dict[str, Any]) -> str:
    offered = set(descriptor.offers) & {"Server", "Router", "Database"}
    kinds = {"Server": "web", "Router": "router", "Database": "database"}
    left = {kinds[each] for each in offered}
    partners: list[dict[str, Any]] = [each for each in PARTNERS if each["name"] not in left]
    if descriptor.type == "processing.step":
        partners.append(COMPONENT)
    module = {"name": "tested", "type": descriptor.type, "config": config}
    return yaml.safe_dump({"name": "contract", "modules": [*partners, module]})


def names(descriptor: Descriptor) -> str:
    return descriptor.type


ENVIRONMENT = {
    **dict.fromkeys(("JWT_SECRET", "VAULT_TOKEN"), SECRET),
    "SLACK_WEBHOOK": "http://127.0.0.1:9/hook",
}
SERVICE = """{"openapi": "3.1.0", "servers": [{"url": "http://127.0.0.1:9"}], "paths": {}}"""


@pytest.mark.feature("S1-04")
def test_the_catalog_has_the_68_types() -> None:
    """There are 68 types, and each is built as a module or compiled as a step."""
    assert len(DESCRIPTORS) == 68
    for each in (*DESCRIPTORS.values(), *STEPS.values()):
        assert callable(each.builder())


@pytest.mark.long
@pytest.mark.feature("S1-04", "S1-06")
@pytest.mark.parametrize("descriptor", RUN, ids=names)
async def test_a_type_starts_is_healthy_and_stops_twice(
    tmp_path: Path, descriptor: Descriptor
) -> None:
    """A module starts, reports health and stops; the folder it leaves serves a second start."""
    path = written(tmp_path, document(descriptor, minimal(descriptor)))
    (tmp_path / "public").mkdir()
    (tmp_path / "service.yaml").write_text(SERVICE)
    for _ in range(2):
        how = Loading(environment=ENVIRONMENT, required=True)
        loaded = load(path, how)
        application = Application(loaded, log=silent_log("contract"))
        await application.start(listen=False)
        module = application.built.modules["tested"]
        assert set(module.services) >= set(descriptor.offers)
        if module.health is not None:
            assert await module.health() == ""
        await application.stop()


@pytest.mark.long
@pytest.mark.feature("S1-03")
@pytest.mark.parametrize("descriptor", TYPES, ids=names)
def test_a_wrong_configuration_is_reported_at_its_key(
    tmp_path: Path, descriptor: Descriptor
) -> None:
    """Each key refuses a value of another kind; an unknown key is a warning."""
    wrong = {"string": [1], "filepath": [1], "sql": [1], "array": "x", "map": "x"}
    for field in descriptor.fields:
        value = wrong.get(field.kind, {"a": 1})
        if field.kind == "json":
            continue
        config = {**minimal(descriptor), field.key: value, "unknownKey": 1}
        path = written(tmp_path, document(descriptor, config))
        found = check(path, Loading(environment=ENVIRONMENT)).problems
        at = [p for p in found if p.code == "APP_CONFIG_INVALID" and p.path[-1] == field.key]
        assert at, (field.key, found)
        assert at[0].line > 0
        assert any(p.code == "APP_KEY_UNKNOWN" and "unknownKey" in p.message for p in found)


def test_schemas_of_all_types_are_valid_json_schemas() -> None:
    """The schema of the document and of every type are schemas themselves; examples fit them."""
    import jsonschema_rs

    jsonschema_rs.validator_for(app_schema())
    for descriptor in (*TYPES, *STEPS.values()):
        validator = jsonschema_rs.validator_for(config_schema(descriptor))
        validator.validate(minimal(descriptor))
        form = module_form(descriptor)
        assert [each["key"] for each in form["configFields"]] == [f.key for f in descriptor.fields]
