"""The examples and the conformance scenarios of Serverless Workflow on the running suite."""

import json
import os
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import jsonschema_rs
import pytest
import pytest_asyncio

from flowmesh.contract.json_value import Json
from flowmesh.definitions.reading.yaml_text import read_yaml
from flowmesh.dryrun.editor import SCHEMAS
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.conformance.gherkin import Scenario, Step, scenarios
from tests.conformance.services import Services

Record = Callable[[str, object], None]

ROOT = Path(__file__).parents[2] / os.environ["CONFORMANCE_DATA"] / "serverless-workflow"
SCENARIOS = scenarios(ROOT / "ctk" / "features")
EXAMPLES = {
    # YAML 1.2 as in the suite; in YAML 1.1 `on` is a boolean.
    file.stem: read_yaml(file.read_text())[0]
    for file in sorted((ROOT / "examples").glob("*.yaml"))
}

# Unsupported examples, and the features that the refusal names.
REFUSED_SCENARIOS: dict[str, str] = {}
REFUSED_EXAMPLES = {
    "call-asyncapi-publish": "call asyncapi",
    "call-asyncapi-subscribe-consume-forever-foreach": "call asyncapi",
    "call-asyncapi-subscribe-consume-while": "call asyncapi",
    "mock-service-extension": "use.extensions",
    "run-container": "run.container",
    "run-container-cleanup-eventually": "run.container",
    "run-container-with-name": "run.container",
    "run-return-code": "run.container",
    "run-return-stderr": "run.container",
    "run-shell-stdin-and-arguments": "run.shell",
}
# Inputs of the examples, and their final status.
INPUTS: dict[str, Json] = {
    "authentication-bearer": {"petId": 1, "token": "secret"},
    "call-http-query-headers-expressions": {"searchQuery": "R2-D2"},
    "call-http-redirect": {"searchQuery": "R2-D2"},
    "conditional-task": {"customer": {"age": 40}, "bet": "draw"},
    "for": {"pets": [{"id": 1}], "vet": None},
    "star-wars-homeworld": {"id": 1},
    "try-catch-then": {"petId": "none"},
}
# The event that starts an example instead of a call.
STARTED_BY = {"set-expression": {"type": "io.serverlessworkflow.samples.events.trigger.v1"}}
# Events for the examples that listen.
_ROOM = {"source": "https://my.home.com/sensor", "extensions": {"roomid": 1}}
_VITALS = "com.fake-hospital.vitals.measurements"
_HOT, _FAST = (
    {"type": f"{_VITALS}.temperature", "data": {"temperature": 39}},
    {"type": f"{_VITALS}.bpm", "data": {"bpm": 120}},
)
EVENTS: dict[str, list[Json]] = {
    "accumulate-room-readings": [
        {"type": "my.home.sensors.temperature", **_ROOM},
        {"type": "my.home.sensors.humidity", **_ROOM},
    ],
    "listen-to-all read-envelope": [_HOT, _FAST],
    "listen-to-any": [_HOT],
    "listen-to-any-filter": [{"type": f"{_VITALS}.bpm", "data": {"bpm": 80}}, _FAST],
    "listen-to-any-until-condition": [_HOT, _HOT, _FAST, _FAST],
}
FAILS = {
    "raise-reusable": "https://serverlessworkflow.io/errors/not-implemented",
    # Its `output.as` uses the list of events as one event.
    "accumulate-room-readings": "https://serverlessworkflow.io/spec/1.0.0/errors/expression",
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def services() -> AsyncIterator[Services]:
    async with Services() as running:
        yield running


class Run:
    """One execution of a document from registration to end."""

    def __init__(self, suite: Suite, services: Services) -> None:
        self._suite = suite
        self._services = services
        self.execution: Json = None
        self.order: list[str] = []

    async def register(self, document: Json) -> str:
        """Return the id of the workflow, or the refusal with a leading `!`."""
        answer = await self._suite.post("/workflows", self._services.local(document))
        if answer.status in (200, 201):
            return str(answer.json["id"])
        assert answer.status == 400, answer.text
        error = answer.json["error"]
        assert error["reason"] == "FEATURE_UNSUPPORTED", answer.text
        told = dict.fromkeys(detail["description"] for detail in error["details"])
        return "!" + "; ".join(told)

    async def begun_by(self, workflow_id: str, event: Json) -> str:
        """Return the execution started by the event, published until the trigger exists."""

        async def fires() -> bool:
            answer = await self._suite.post("/api/v1/events", event)
            return bool(answer.json["triggers"])

        async def executions() -> list[str]:
            answer = await self._suite.get(f"/api/v1/executions?workflow={workflow_id}")
            return [str(each["executionId"]) for each in answer.json["executions"]]

        before = len(await executions())

        async def started() -> bool:
            return len(await executions()) > before

        await until(f"a trigger of {workflow_id}", fires, within_s=20)
        await until(f"an execution of {workflow_id}", started, within_s=20)
        return (await executions())[0]

    async def tell(self, execution_id: str, events: list[Json]) -> None:
        """Publish events as soon as the execution listens."""

        async def listens() -> bool:
            answer = await self._suite.get(f"/api/v1/executions/{execution_id}/history")
            return any(event["type"] == "WaitKeyed" for event in answer.json["events"])

        await until(f"{execution_id} listens", listens, within_s=20)
        for event in events:
            await self._suite.post("/api/v1/events", event)

    async def to_its_end(
        self, workflow_id: str, given: Json, event: Json = None, events: list[Json] | None = None
    ) -> None:
        if event is None:
            execution_id = await self._suite.begin(workflow_id, given)
        else:
            execution_id = await self.begun_by(workflow_id, event)
        if events:
            await self.tell(execution_id, events)
        await self._suite.wait(execution_id)
        answer = await self._suite.get(f"/api/v1/executions/{execution_id}")
        self.execution = answer.json
        events = await self._suite.events(execution_id)
        named = (re.search(r'"main\[\d+\]/([^"]+)"', json.dumps(event)) for event in events)
        self.order = list(dict.fromkeys(match.group(1) for match in named if match))

    @property
    def status(self) -> str:
        return str(self.execution["status"]).lower()

    @property
    def output(self) -> Json:
        return self.execution.get("output")

    def at(self, path: str) -> Json:
        value = self.output
        for key in path.split("."):
            assert key in value, f"{path} is not in {self.output}"
            value = value[key]
        return value


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: f"{s.feature}: {s.name}")
async def test_scenario(
    scenario: Scenario, suite: Suite, services: Services, record_property: Record
) -> None:
    """The workflow of a scenario behaves as described, or is refused by feature."""
    run = Run(suite, services)
    document = next(s.value for s in scenario.steps if "with definition" in s.text)
    given: Json = next((s.value for s in scenario.steps if "workflow input is" in s.text), {})
    workflow_id = await run.register(document)
    feature = REFUSED_SCENARIOS.get(scenario.name)
    told = workflow_id.removeprefix("!")
    if feature:
        assert feature in told
    else:
        assert not workflow_id.startswith("!"), workflow_id
        await run.to_its_end(workflow_id, given)
        for step in scenario.steps:
            _check(step, run)
        told = "passes"
    record_property("conformance", f"scenario {scenario.feature}: {scenario.name}: {told}")


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - REFUSED_EXAMPLES.keys()))
def test_the_editor_schema_accepts_every_example(name: str) -> None:
    """The schema of the format takes every example that runs."""
    document = json.loads(json.dumps(EXAMPLES[name]))
    errors = jsonschema_rs.validator_for(SCHEMAS["serverless"]()).iter_errors(document)
    assert [error.message for error in errors] == []


@pytest.mark.parametrize("name", EXAMPLES)
async def test_example(
    name: str, suite: Suite, services: Services, record_property: Record
) -> None:
    """An example is registered and runs to its end, or is refused by feature."""
    run = Run(suite, services)
    document = _in_milliseconds(EXAMPLES[name])
    workflow_id = await run.register(document)
    feature = REFUSED_EXAMPLES.get(name)
    told = workflow_id.removeprefix("!")
    if feature:
        assert feature in told
    else:
        assert not workflow_id.startswith("!"), workflow_id
        given = INPUTS.get(name, {"petId": 1})
        await run.to_its_end(workflow_id, given, STARTED_BY.get(name), EVENTS.get(name))
        _check_end(run, FAILS.get(name))
        told = "imported and runs"
    record_property("conformance", f"example {name}: {told}")


def _check_end(run: Run, failure: str | None) -> None:
    if failure:
        assert run.status == "failed"
        assert run.execution["error"]["class"] == failure
    else:
        assert run.status == "completed", run.execution


def _in_milliseconds(value: Json) -> Json:
    """Return the document with its waits shortened by a factor of a thousand."""
    if isinstance(value, list):
        return [_in_milliseconds(item) for item in value]
    if isinstance(value, dict):
        if set(value) == {"seconds"}:
            return {"milliseconds": value["seconds"]}
        return {key: _in_milliseconds(item) for key, item in value.items()}
    return value


def _check(step: Step, run: Run) -> None:
    for pattern, check in _CHECKS.items():
        if match := re.fullmatch(pattern, step.text):
            check(run, step, *match.groups())
            return
    raise AssertionError(f"no check for {step.text!r}")


def _completes(run: Run, step: Step, with_output: str | None) -> None:
    assert run.status == "completed", run.execution
    if with_output:
        assert run.output == step.value


def _faults(run: Run, step: Step, with_error: str | None) -> None:
    assert run.status == "failed"
    if with_error:
        assert run.execution["error"]["details"]["problem"] == step.value


def _has(run: Run, _: Step, names: str) -> None:
    for name in re.findall(r"'([^']+)'", names):
        run.at(name)


def _has_value(run: Run, step: Step, name: str) -> None:
    assert run.at(name) == step.value


def _has_count(run: Run, _: Step, name: str, count: str) -> None:
    assert len(run.at(name)) == int(count)


def _is_at(run: Run, _: Step, name: str, place: str) -> None:
    assert run.order[0 if place == "first" else -1] == name, run.order


def _is_beside(run: Run, _: Step, name: str, side: str, other: str) -> None:
    before, after = (name, other) if side == "before" else (other, name)
    assert run.order.index(before) < run.order.index(after)


_CHECKS: dict[str, Callable[..., None]] = {
    r"(?:a workflow with definition|given the workflow input is):": lambda *_: None,
    r"the workflow is executed": lambda *_: None,
    r"the workflow should complete( with output:)?": _completes,
    r"the workflow should fault( with error:)?": _faults,
    r"the workflow output should have properties (.+)": _has,
    r"the workflow output should have a '(.+)' property with value:": _has_value,
    r"the workflow output should have a '(.+)' property containing (\d+) items": _has_count,
    r"(\w+) should run (first|last)": _is_at,
    r"(\w+) should run (before|after) (\w+)": _is_beside,
}
