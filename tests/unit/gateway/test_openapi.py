"""The description of what is served."""

import re
from typing import Any

from jsonschema import Draft202012Validator

from flowmesh.definitions.drawing import DRAWINGS
from flowmesh.definitions.exports import TARGETS
from flowmesh.gateway.openapi import document
from flowmesh.gateway.probes import PROBES
from flowmesh.gateway.routes import ROUTES, SOCKETS, formats

DOCUMENT = document()


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]


def test_everything_that_is_served_is_described() -> None:
    """Routes, WebSockets and probes are there, and nothing else is."""
    served = {(route.path, route.method.lower()) for route in ROUTES}
    served |= {(socket.path, "get") for socket in SOCKETS}
    served |= {(path, "get") for path in PROBES}
    assert served == {(path, method) for path, method, _ in operations()}


def test_operations_fall_into_three_groups() -> None:
    """Execute, Test and Manage, as the source documents name them; ids are there once."""
    assert [tag["name"] for tag in DOCUMENT["tags"]] == ["Execute", "Test", "Manage"]
    assert {operation["tags"][0] for _, _, operation in operations()} == {
        "Execute",
        "Test",
        "Manage",
    }
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))


def test_references_and_schemas_hold() -> None:
    """Every reference leads to a component, and every component is a JSON Schema."""
    components = DOCUMENT["components"]["schemas"]
    named = set(re.findall(r"#/components/schemas/([\w.]+)", str(DOCUMENT)))
    assert named <= set(components)
    for schema in components.values():
        Draft202012Validator.check_schema(schema)


def test_path_parameters_are_described_and_errors_have_one_shape() -> None:
    """Whatever stands in braces is a parameter; every refusal is an ErrorAnswer."""
    for path, _, operation in operations():
        named = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path))
        for status, response in operation["responses"].items():
            if (
                int(status) in (400, 404, 405, 410, 413, 415, 429, 500, 503)
                and "content" in response
            ):
                schema = response["content"]["application/json"]["schema"]
                assert schema["$ref"].endswith("/ErrorAnswer"), (path, status)


def test_formats_are_those_of_the_library() -> None:
    """The gateway names them without loading what writes them."""
    assert (tuple(TARGETS), DRAWINGS) == (formats.FORMATS, formats.DRAWINGS)
