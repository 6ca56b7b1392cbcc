"""The OpenAPI document."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator

from flowmesh.definitions.drawing import DRAWINGS
from flowmesh.errors import Invalid
from flowmesh.gateway import asyncapi
from flowmesh.gateway.http.operation_docs import Route, SocketRoute
from flowmesh.gateway.http.parameters import Kind
from flowmesh.gateway.http.probes import PROBES
from flowmesh.gateway.openapi import document
from flowmesh.gateway.routes import ROUTES, SOCKETS
from flowmesh.gateway.routes.definitions import formats

ROOT = Path(__file__).parents[3]
DOCUMENT = document()
FORMATS = FormatChecker(["date-time"])
TRIED = (
    *("", "a", "a b", "A.b_c:d-e", "each[3]/charge", "x" * 128, "x" * 129, "x" * 4_097, "\0"),
    *("0", "1", "200", "201", "1000", "1001", "10001", "4294967295", "4294967296", "-1", "1.5"),
    *("9223372036854775807", "9223372036854775808", "true", "yes", "failed", "HEALTHY", "svg"),
    *("2026-01-31T12:00:00Z", "2026-01-31T12:00:00", "yesterday", "0" * 64, "0" * 63),
)


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]


def test_all_routes_are_described() -> None:
    """Exactly the routes, WebSockets and probes."""
    served = {(route.path, route.method.lower()) for route in ROUTES}
    served |= {(socket.path, "get") for socket in SOCKETS}
    served |= {(path, "get") for path in PROBES}
    assert served == {(path, method) for path, method, _ in operations()}


def test_operations_fall_into_groups() -> None:
    """Execute, Test and Manage, as in the requirements, and Administer; ids are unique."""
    names = ["Execute", "Test", "Manage", "Administer"]
    assert [tag["name"] for tag in DOCUMENT["tags"]] == names
    assert {operation["tags"][0] for _, _, operation in operations()} == set(names)
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))


def test_references_and_schemas_hold() -> None:
    """Each reference resolves, and each component is a JSON Schema."""
    components = DOCUMENT["components"]["schemas"]
    named = set(re.findall(r"#/components/schemas/([\w.]+)", str(DOCUMENT)))
    assert named <= set(components)
    for schema in components.values():
        Draft202012Validator.check_schema(schema)


def test_path_parameters_are_described_and_errors_have_one_shape() -> None:
    """Each name in braces is a parameter; each error is an ErrorAnswer, or that of SCIM."""
    for path, _, operation in operations():
        scim = path.startswith("/scim/")
        media_type, shape = (
            ("application/scim+json", "ScimError") if scim else ("application/json", "ErrorAnswer")
        )
        named = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path))
        for status, response in operation["responses"].items():
            if (
                int(status) in (400, 404, 405, 410, 413, 415, 429, 500, 503)
                and "content" in response
            ):
                schema = response["content"][media_type]["schema"]
                assert schema["$ref"].endswith(f"/{shape}"), (path, status)


def test_drawings_are_those_of_the_library() -> None:
    """The gateway lists them without importing the drawing code."""
    assert formats.DRAWINGS == DRAWINGS


@pytest.mark.long
def test_the_document_is_valid() -> None:
    """Against the schemas of OpenAPI 3.1 and of JSON Schema, with defaults and examples."""
    decoded = msgspec.json.decode(msgspec.json.encode(DOCUMENT))
    assert list(OpenAPIV31SpecValidator(decoded).iter_errors()) == []
    for path, _, operation in operations():
        for content in operation.get("requestBody", {}).get("content", {}).values():
            if "example" in content:
                schema = content["schema"] | {"components": DOCUMENT["components"]}
                Draft202012Validator(schema).validate(content["example"])
        assert {"400", "403", "500", "503"} <= set(operation["responses"]), path


def test_credentials_are_declared_and_not_required() -> None:
    """A token or key, a cookie, or none: an open installation needs no credential."""
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert (schemes["bearer"]["scheme"], schemes["cookie"]["in"]) == ("bearer", "cookie")
    assert DOCUMENT["security"] == [{}, {"bearer": []}, {"cookie": []}]


@pytest.mark.parametrize("route", [*ROUTES, *SOCKETS], ids=lambda route: route.operation_id)
def test_parameters_are_described_as_they_are_checked(route: Route | SocketRoute) -> None:
    """The check accepts a value exactly if the schema does."""
    rules = route.rules()
    kinds = {**rules.paths, **{query.name: query.kind for query in rules.queries.values()}}
    for name, kind in kinds.items():
        schema = Draft202012Validator(dict(kind.schema), format_checker=FORMATS)
        for text in TRIED:
            described = any(schema.is_valid(value) for value in readings(text))
            assert described == taken(kind, name, text), (name, text)


def readings(text: str) -> list[Any]:
    """The possible values of a parameter text: a string, a number or a flag."""
    flags = {"true": True, "1": True, "false": False, "0": False}
    whole: list[float] = [int(text)] if re.fullmatch("0|[1-9][0-9]*", text) else []
    numbers = whole or ([float(text)] if re.fullmatch("[0-9]+[.][0-9]+", text) else [])
    return [text, *numbers, *([flags[text]] if text in flags else [])]


def taken(kind: Kind, name: str, text: str) -> bool:
    try:
        kind.check(name, text)
    except Invalid:
        return False
    return True


@pytest.mark.parametrize("described", [DOCUMENT, asyncapi.document()])
def test_names_are_plain_words(described: dict[str, Any]) -> None:
    """No component or operation has the path of a module, as two shapes of one name would."""
    for kind in ("schemas", "messages"):
        for name in described["components"].get(kind, ()):
            assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", name), name
    for path, _, operation in operations() if described is DOCUMENT else ():
        assert re.fullmatch(r"[a-z][A-Za-z0-9]*", operation["operationId"]), path


@pytest.mark.parametrize("described", [DOCUMENT, asyncapi.document()])
def test_the_version_is_that_of_the_suite(described: dict[str, Any]) -> None:
    """A generated client says for which release it is."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert described["info"]["version"] == project["version"]
