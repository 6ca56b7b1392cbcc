"""The table of formats agrees with the model, the wire, the CLI, the REST API and the pages."""

import inspect
from pathlib import Path
from typing import get_args

import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.cli.definitions.checking import Kind
from flowmesh.cli.definitions.formats import To
from flowmesh.definitions.formats.table import FORMATS, SCHEMA_FUNCTIONS, Format, load_function
from flowmesh.definitions.model import Dialect
from flowmesh.dryrun.editor import SCHEMAS
from flowmesh.gateway.routes.definitions import formats

DOCS = Path(__file__).parents[4] / "docs"
EACH = pytest.mark.parametrize("each", FORMATS.values(), ids=FORMATS)
READ = [each for each in FORMATS.values() if each.importer]


@EACH
def test_functions_of_a_record_exist(each: Format) -> None:
    """Every named function is imported and takes the arguments that its caller passes."""
    exporter = inspect.signature(load_function(each.exporter))
    assert len(exporter.parameters) == 4
    if each.importer:
        assert len(inspect.signature(load_function(each.importer)).parameters) == 1
    for schema in each.schemas.values():
        assert load_function(schema)()["type"] == "object"


@EACH
def test_a_page_describes_each_format(each: Format) -> None:
    """The page exists, and the overview of formats names the format."""
    assert (DOCS / each.documentation).is_file()
    overview = (DOCS / "formats.md").read_text()
    if each.importer:
        assert f"| `{each.marks[0]}` |" in overview
        assert f"| `{each.name}` |" in overview


def test_dialects_are_the_formats_that_are_read() -> None:
    """In the model and in the plan; a format that is only written uses the dialect of another."""
    assert {each.value for each in Dialect} == {each.dialect for each in READ}
    assert {each.name for each in READ} == {each.dialect for each in FORMATS.values()}
    wire = {name.removeprefix("DIALECT_").lower() for name in list(plan_pb2.Dialect.keys())}
    assert wire == {each.value for each in Dialect} | {"unspecified"}


def test_marks_belong_to_one_format() -> None:
    """A document cannot be of two formats by one member."""
    marks = [mark for each in READ for mark in each.marks]
    assert all(each.marks for each in READ)
    assert len(marks) == len(set(marks))


def test_the_command_and_the_gateway_offer_every_format() -> None:
    """`convert --to`, `schema` and the query `format` take the names of the table."""
    assert get_args(get_args(To)[0]) == ("yaml", "json", *FORMATS)
    assert get_args(get_args(Kind)[0]) == (*SCHEMA_FUNCTIONS, "test") == tuple(SCHEMAS)
    (route,) = (each for each in formats.ROUTES if each.path.endswith(":export"))
    (query,) = (each for each in route.operation.query if each.name == "format")
    assert query.kind.schema["enum"] == list(FORMATS)
