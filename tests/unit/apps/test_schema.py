"""The published JSON Schema requires what the check requires."""

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from flowmesh.apps.catalog import DESCRIPTORS, STEPS, Descriptor
from flowmesh.apps.catalog.schema import app_schema, config_schema
from flowmesh.apps.document.loading import Loading, load
from flowmesh.contract.json_value import Json

REQUIRED = [
    (each, field.key)
    for each in (*DESCRIPTORS.values(), *STEPS.values())
    for field in each.fields
    if field.required
]


def value_of(kind: str) -> Json:
    return {"array": [], "map": {}, "number": 1, "boolean": True}.get(kind, "x")


@pytest.mark.parametrize(
    ("descriptor", "key"), REQUIRED, ids=[f"{d.type}-{key}" for d, key in REQUIRED]
)
def test_a_required_key_is_required_in_each_spelling(descriptor: Descriptor, key: str) -> None:
    """A configuration without it does not fit, and one with another spelling does."""
    validator = Draft202012Validator(config_schema(descriptor))
    fields = {f.key: f for f in descriptor.fields if f.required}
    whole = {
        name: field.options[0] if field.options else value_of(field.kind)
        for name, field in fields.items()
    }
    assert validator.is_valid(whole)
    assert not validator.is_valid({name: v for name, v in whole.items() if name != key})
    for other in fields[key].aliases:
        assert validator.is_valid(
            {**{n: v for n, v in whole.items() if n != key}, other: whole[key]}
        )


def test_required_keys_are_those_of_the_check() -> None:
    """25 types and more have some."""
    assert len({descriptor.type for descriptor, _ in REQUIRED}) >= 25


@pytest.mark.parametrize(
    "module",
    [
        {"name": "a", "type": "http.simple_proxy"},
        {"name": "a", "type": "http.simple_proxy", "config": {}},
        {"name": "a", "type": "step.set", "config": {"value": {}}},
        {"name": "a", "type": "database.workflow", "config": {"dsn": "a.db"}},
    ],
)
def test_an_editor_and_the_check_refuse_the_same_module(module: Json, tmp_path: Path) -> None:
    """A module without a required key fits neither."""
    document = {"name": "app", "modules": [module]}
    assert not Draft202012Validator(app_schema()).is_valid(document)
    path = tmp_path / "app.yaml"
    path.write_text(yaml.safe_dump(document))
    assert load(path, Loading(environment={})).findings.failed


def test_no_key_is_required_that_has_a_default() -> None:
    """A page would mark what the check never misses."""
    both = [
        f"{each.type} {field.key}"
        for each in (*DESCRIPTORS.values(), *STEPS.values())
        for field in each.fields
        if field.required and field.default is not None
    ]
    assert both == []
