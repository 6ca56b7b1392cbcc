"""The official test suite of JSON Schema on what checks inputs, alone and in the running suite."""

import asyncio
import json
import re
import tarfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import grpc.aio
import orjson
import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import definition_service_pb2, definition_service_pb2_grpc
from flowmesh.api.execution.v1 import execution_service_pb2, execution_service_pb2_grpc
from flowmesh.contract.json_value import Json
from flowmesh.definitions.problems import Problems
from flowmesh.definitions.schema_checks import check_schema
from flowmesh.errors import FlowmeshError
from flowmesh.plan.schemas import Schema
from flowmesh.testing.suite import Suite

HERE = Path(__file__).parent
# `make setup` puts it there: the suite comes inside the sources of the package jsonschema.
ARCHIVES = HERE.parents[2] / "build/data"
DRAFTS = {
    "draft4": "http://json-schema.org/draft-04/schema#",
    "draft6": "http://json-schema.org/draft-06/schema#",
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}
# Groups refused for what they point at, by file and name, with the drafts they are in.
REFUSED = HERE / "refused_schemas.toml"
NAME_CHARACTERS = 70
# What the suite has today; a suite that lost its files would agree with everything.
GROUPS_MIN = 1_300
AT_ONCE = 16
REFUSAL = "INVALID_ARGUMENT/INPUT_INVALID"


@dataclass(frozen=True, slots=True)
class Group:
    """A schema and the values that do and do not fit it."""

    draft: str
    file: str
    name: str
    schema: Json
    tests: tuple[Json, ...]
    optional: bool

    def large(self) -> bool:
        """Whether the schema holds a number that its document could not be read with."""
        return re.search(r"\d{19}", json.dumps(self.schema)) is not None

    def refusals(self) -> set[str]:
        """Why the schema may not be declared; empty where it may."""
        problems = Problems()
        check_schema(self.schema, ("inputSchema",), problems)
        return {problem.code for problem in problems.found}

    def disagreements(self) -> list[str]:
        """The values of which our validator says what the suite does not."""
        schema = Schema(orjson.dumps(self.schema))
        return [
            f"{self.draft} {self.file}: {self.name}: {test['description']}"
            for test in self.tests
            if test["valid"] == bool(schema.problems(test["data"]))
        ]


@cache
def groups() -> tuple[Group, ...]:
    return tuple(_read())


def _read() -> Iterator[Group]:
    (path,) = ARCHIVES.glob("jsonschema-*.tar.gz")
    with tarfile.open(path) as archive:
        for member in archive:
            found = re.search(r"/json/tests/([^/]+)/(optional/)?(.+)\.json$", member.name)
            if found is None or found[1] not in DRAFTS:
                continue
            file = archive.extractfile(member)
            assert file is not None
            for group in json.load(file):
                schema = group["schema"]
                if isinstance(schema, dict):
                    schema = {"$schema": DRAFTS[found[1]], **schema}
                yield Group(
                    draft=found[1],
                    file=found[3],
                    name=group["description"][:NAME_CHARACTERS],
                    schema=schema,
                    tests=tuple(group["tests"]),
                    optional=bool(found[2]),
                )


def required() -> list[Group]:
    return [group for group in groups() if not group.optional]


@pytest.mark.long
@pytest.mark.feature("S0-20")
def test_what_the_official_suite_requires_is_done() -> None:
    """Every value of every schema that may be declared, in all five drafts."""
    wrong = []
    for group in required():
        if not group.refusals():
            wrong += group.disagreements()
    assert wrong == []
    assert len(required()) > GROUPS_MIN


@pytest.mark.feature("S0-20")
def test_only_schemas_that_point_elsewhere_are_refused() -> None:
    """Each by name: another document, a metaschema of their own."""
    known = {
        (f"draft{draft}", file, name)
        for file, names in tomllib.loads(REFUSED.read_text()).items()
        for name, drafts in names.items()
        for draft in drafts.split()
    }
    codes = {(group.draft, group.file, group.name): group.refusals() for group in required()}
    assert len(codes) == len(required())
    refused = {key: found for key, found in codes.items() if found}
    assert refused.keys() == known
    assert [key for key, found in refused.items() if found != {"SCHEMA_REMOTE_REF"}] == []


def test_what_the_official_suite_leaves_open_is_counted() -> None:
    """Formats, large numbers, other regular expressions: nothing breaks, most agrees."""
    told: Counter[str] = Counter()
    for group in groups():
        if not group.optional:
            continue
        if group.large() or group.refusals():
            told["refused"] += len(group.tests)
            continue
        wrong = len(group.disagreements())
        told["otherwise"] += wrong
        told["agreed"] += len(group.tests) - wrong
    print(dict(told))
    assert told["agreed"] > told["otherwise"]


def sample() -> list[Group]:
    """The first group of each file that the suite can be asked about."""
    first: dict[tuple[str, str], Group] = {}
    for group in required():
        if not group.refusals():
            first.setdefault((group.draft, group.file), group)
    return list(first.values())


@pytest.mark.long
@pytest.mark.feature("S0-20", "S0-21", "S0-139")
async def test_the_running_suite_takes_and_refuses_the_same_inputs(
    suite: Suite, channel: grpc.aio.Channel
) -> None:
    """A workflow with the schema is started with each value: it begins, or INPUT_INVALID."""
    definitions: Any = definition_service_pb2_grpc.DefinitionServiceStub(suite.channel)
    executions: Any = execution_service_pb2_grpc.ExecutionServiceStub(suite.channel)
    room = asyncio.Semaphore(AT_ONCE)

    async def refusal(name: str, value: Json) -> str:
        request = execution_service_pb2.StartExecutionRequest(
            workflow_id=name, input=payload_pb2.Payload(data=json.dumps(value).encode())
        )
        try:
            await executions.StartExecution(request)
        except FlowmeshError as error:
            return f"{error.grpc_code}/{error.reason}"
        return ""

    async def ask(number: int, group: Group) -> list[str]:
        name = f"json-schema-{number}"
        document = {
            "apiVersion": "workflow.io/v1",
            "kind": "Workflow",
            "metadata": {"name": name},
            "spec": {"inputSchema": group.schema, "tasks": [{"id": "a", "taskRef": "noop"}]},
        }
        async with room:
            await definitions.RegisterWorkflow(
                definition_service_pb2.RegisterWorkflowRequest(
                    source=json.dumps(document).encode(), content_type="application/json"
                )
            )
            return [
                f"{group.draft} {group.file}: {test['description']}"
                for test in group.tests
                if await refusal(name, test["data"]) != ("" if test["valid"] else REFUSAL)
            ]

    asked = [ask(number, group) for number, group in enumerate(sample())]
    assert len(asked) > 150
    assert [wrong for found in await asyncio.gather(*asked) for wrong in found] == []
