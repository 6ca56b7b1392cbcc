"""Resource definitions of Kubernetes, derived from the schemas of the editors."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from flowmesh.api.fleet.v1 import agent_pb2
from flowmesh.definitions.editor.kubernetes import (
    Resource,
    agents,
    definitions,
    resource_definition,
    resources,
)
from tools import resources as tool

OPEN = "x-kubernetes-preserve-unknown-fields"


def parts(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema inside a schema, with its path."""
    yield path, schema
    for name, member in schema.get("properties", {}).items():
        yield from parts(member, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from parts(schema[key], f"{path}[{key}]")


def spec_of(resource: Resource) -> dict[str, Any]:
    (version,) = resource_definition(resource)["spec"]["versions"]
    spec: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return spec


@pytest.mark.parametrize("resource", definitions(), ids=lambda each: each.kind)
def test_a_definition_is_structural(resource: Resource) -> None:
    """Each part has one type or is left open, and no keyword that the API server lacks."""
    foreign = {"$ref", "anyOf", "oneOf", "allOf", "if", "not", "const", "default", "examples"}
    for path, part in parts(spec_of(resource)):
        assert isinstance(part.get("type"), str) or part.get(OPEN), path
        assert not foreign & part.keys(), path
        assert not (part.get("nullable") and part.get("enum")), path
        re.compile(part.get("pattern", ""))
        assert "(?" not in part.get("pattern", ""), path


@pytest.mark.parametrize("resource", resources(), ids=lambda each: each.kind)
def test_each_field_is_explained(resource: Resource) -> None:
    """By `kubectl explain`, at every depth, without links of the pages."""
    (version,) = resource_definition(resource)["spec"]["versions"]
    for path, part in parts(version["schema"]["openAPIV3Schema"]):
        for name, member in part.get("properties", {}).items():
            assert member.get("description", "").endswith((".", ")")), f"{path}.{name}"
            assert "](" not in member["description"], f"{path}.{name}"


@pytest.mark.parametrize("resource", definitions(), ids=lambda each: each.kind)
def test_an_object_keeps_what_it_does_not_know(resource: Resource) -> None:
    """The webhook names a misspelt member; the API server would drop it without a word."""
    for path, part in parts(spec_of(resource)):
        if part.get("type") == "object" and "additionalProperties" not in part:
            assert part[OPEN], path


def test_nodes_are_merged_by_their_ids() -> None:
    """Of a server-side apply; a repeated id is refused."""
    workflow = next(each for each in definitions() if each.kind == "Workflow")
    tasks = spec_of(workflow)["properties"]["tasks"]
    assert tasks["x-kubernetes-list-map-keys"] == ["id"]
    assert "id" in tasks["items"]["required"]


def test_the_files_of_the_chart_are_fresh() -> None:
    """`make gen` writes them."""
    assert not tool.main("--check")


@pytest.mark.parametrize(
    ("kind", "message", "named"),
    [
        ("AgentSpec", agent_pb2.AgentSpec, {"spec"}),
        ("ScalingPolicy", agent_pb2.ScalingPolicy, {"spec", "policy"}),
    ],
)
def test_the_resources_of_agents_have_the_members_of_their_messages(
    kind: str, message: Any, named: set[str]
) -> None:
    """Besides names; a policy names its spec `agentSpec`."""
    resource = next(each for each in agents() if each.kind == kind)
    fields = {each.json_name for each in message.DESCRIPTOR.fields if each.name not in named}
    assert spec_of(resource)["properties"].keys() - {"agentSpec"} == fields
