"""Files of workflow tests (`*.test.yaml`): reading, checking, running."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path as FilePath

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.contract.json_value import Json
from flowmesh.definitions import Task, Workflow, check, plan_workflow
from flowmesh.definitions.problems import Path, Problem, Problems, errors_in, nearest
from flowmesh.definitions.reading.documents import Source, parse
from flowmesh.definitions.reading.reader import Reader, kind_of
from flowmesh.definitions.reading.yaml_text import Unreadable
from flowmesh.definitions.sources import Read, Reading, read_source
from flowmesh.dryrun.expectations import Expected, read_expected
from flowmesh.dryrun.mocks import (
    Mock,
    Mocks,
    Signal,
    check_names,
    known_names,
    read_mocks,
    read_signals,
)
from flowmesh.dryrun.names import is_made
from flowmesh.dryrun.report import Report
from flowmesh.dryrun.run import START_US, Workflows, dry_run
from flowmesh.dryrun.source import bundled_task
from flowmesh.errors import FlowmeshError
from flowmesh.expressions import (
    MOMENT,
    Moment,
    RenderError,
    TemplateInvalid,
    compile_template,
)
from flowmesh.plan import compile_plan
from flowmesh.sandbox import Sandbox

ENDINGS = (".test.yaml", ".test.yml", ".test.json")
DEFINITIONS = (".yaml", ".yml", ".json")
_CODE = "DEFINITION_INVALID"
_FIXTURES = frozenset({"fixtures"})


def is_test(path: FilePath) -> bool:
    return path.name.endswith(ENDINGS)


@dataclass(frozen=True, slots=True)
class Case:
    """One test of one workflow."""

    name: str
    plan: plan_pb2.Plan
    given: Json
    mocks: Mapping[str, Sequence[Mock]]
    fixtures: Mapping[str, Json]
    signals: tuple[Signal, ...]
    expected: Expected
    start_us: int
    line: int
    # The plans of its child workflows.
    workflows: Workflows


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a test: its differences, or the error that prevented the run."""

    case: Case
    report: Report | None
    failures: tuple[str, ...]
    error: str = ""

    @property
    def passed(self) -> bool:
        return not self.failures and not self.error


@dataclass(frozen=True, slots=True)
class FileProblem:
    """A problem with its file."""

    file: FilePath
    text: str
    problem: Problem


@dataclass(slots=True)
class Suite:
    """One file of tests; it runs only without problems."""

    file: FilePath
    cases: list[Case] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)


async def run_case(case: Case, sandbox: Sandbox) -> Outcome:
    """Run one test and compare its report with the expectations."""
    mocks = Mocks(case.mocks, case.fixtures)
    try:
        report = await dry_run(
            case.plan,
            case.given,
            sandbox=sandbox,
            mocks=mocks,
            signals=case.signals,
            start_us=case.start_us,
            workflows=case.workflows,
        )
    except FlowmeshError as error:
        return Outcome(case, None, (), f"{error.message} [{error.reason}]")
    return Outcome(case, report, tuple(case.expected.against(report, case.given)))


def read_suite(file: FilePath) -> Suite:
    """Read a file of tests with its definitions. Raises OSError."""
    return _read(Suite(file), file.read_bytes(), {}, folder=file.parent)


def read_tests(data: bytes, plan: plan_pb2.Plan) -> Suite:
    """Read tests of a definition that is in no file: `files` is passed over."""
    name = "tests.json" if data.lstrip()[:1] == b"{" else "tests.yaml"
    return _read(Suite(FilePath(name)), data, {plan.workflow_id: plan}, folder=None)


def _read(
    suite: Suite, data: bytes, plans: dict[str, plan_pb2.Plan], *, folder: FilePath | None
) -> Suite:
    file = suite.file
    text = data.decode("utf-8", "replace")
    try:
        source = parse(data, "application/json" if file.suffix == ".json" else "application/yaml")
    except Unreadable as error:
        suite.problems.append(FileProblem(file, text, error.problem))
        return suite
    problems = Problems()
    _Loader(suite, source, problems, plans=plans, folder=folder).load()
    suite.problems += (FileProblem(file, text, found) for found in source.place(problems.found))
    if any(not each.problem.warning for each in suite.problems):
        suite.cases.clear()
    return suite


class _Loader:
    """A reader of one file; shared members are read once."""

    def __init__(
        self,
        suite: Suite,
        source: Source,
        problems: Problems,
        *,
        plans: dict[str, plan_pb2.Plan],
        folder: FilePath | None,
    ) -> None:
        self._suite = suite
        self._source = source
        self._problems = problems
        # Without a folder, the plans are given.
        self._folder = folder
        self._tasks: dict[str, Task] = {}
        self._workflows: dict[str, Read] = {}
        self._plans = plans

    def load(self) -> None:
        documents = self._source.documents
        if len(documents) != 1 or not isinstance(documents[0], dict):
            what = kind_of(documents[0]) if len(documents) == 1 else f"{len(documents)} documents"
            self._problems.add(_CODE, f"a test file must be one object with tests, not {what}")
            return
        reader = Reader(documents[0], (), self._problems)
        reader.text("description")
        self._read_definitions(reader)
        shared = _Shared(
            workflow=reader.text("workflow"),
            fixtures=self._fixtures(reader),
            mocks=read_mocks(reader.object("mocks")),
            signals=read_signals(reader),
            start_us=_start_us(reader),
        )
        if not reader.has("tests"):
            reader.missing("tests", "the list of tests")
        for number, item in enumerate(reader.items("tests")):
            path = ("tests", number)
            if isinstance(item, dict):
                self._case(Reader(item, path, self._problems), shared)
            else:
                self._problems.add(_CODE, f"a test must be an object, not {kind_of(item)}", path)
        reader.refuse_unknown()
        known = frozenset[str]().union(
            *(known_names(compile_plan(plan)) for plan in self._plans.values())
        )
        if known:
            check_names(shared.mocks, known, ("mocks",), self._problems)

    # --- definitions ---

    def _read_definitions(self, reader: Reader) -> None:
        if self._folder is None:
            reader.raw("files")
            return
        if not reader.has("files"):
            reader.missing("files", "the list of files with definitions, from here")
        found: list[tuple[FilePath, Reading]] = []
        for number, name in enumerate(reader.items("files")):
            path = ("files", number)
            if not isinstance(name, str):
                self._problems.add(_CODE, f"files must be file names, not {kind_of(name)}", path)
                continue
            files = self._named(name)
            if not files:
                self._problems.add(_CODE, f"there is no definition at {name}", path)
            found += ((file, _reading(file)) for file in files)
        for _, reading in found:
            for read in reading.resources:
                if isinstance(read.resource, Task):
                    self._tasks[read.name] = read.resource
                elif isinstance(read.resource, Workflow):
                    self._workflows[read.name] = read
        for file, reading in found:
            self._tell(file, reading)

    def _named(self, name: str) -> list[FilePath]:
        if self._folder is None:
            return []
        path = self._folder / name
        if path.is_dir():
            every = sorted(path.rglob("*"))
            return [one for one in every if one.suffix in DEFINITIONS and not is_test(one)]
        return [path] if path.is_file() else []

    def _resolve(self, name: str) -> Task | None:
        return self._tasks.get(name) or bundled_task(name)

    def _tell(self, file: FilePath, reading: Reading) -> None:
        problems = errors_in([*reading.problems, *check(reading, self._resolve)])
        if problems:
            text = file.read_text(encoding="utf-8", errors="replace")
            self._suite.problems += (FileProblem(file, text, problem) for problem in problems)

    def _plan(self, name: str) -> plan_pb2.Plan | None:
        if name in self._plans and not self._suite.problems:
            return self._plans[name]
        read = self._workflows.get(name)
        if self._suite.problems or read is None or not isinstance(read.resource, Workflow):
            return None
        self._plans[name] = plan_workflow(
            read.resource,
            self._resolve,
            namespace="default",
            version=1,
            version_digest=read.digest,
        )
        return self._plans[name]

    def _fixtures(self, reader: Reader) -> dict[str, Json]:
        """Read values by name; `@file` reads the value from a file."""
        found = dict(reader.object("fixtures").value)
        for name, value in found.items():
            if isinstance(value, str) and value.startswith("@"):
                path = ("fixtures", name)
                try:
                    if self._folder is None:
                        raise FileNotFoundError
                    (found[name],) = parse((self._folder / value[1:]).read_bytes()).documents
                except OSError:
                    self._problems.add(_CODE, f"there is no file {value[1:]}", path)
                except (Unreadable, ValueError):
                    self._problems.add(_CODE, f"{value[1:]} must contain one value", path)
        return found

    # --- tests ---

    def _case(self, reader: Reader, shared: "_Shared") -> None:
        name = reader.required_text("name", "what the test shows")
        workflow = reader.text("workflow") or shared.workflow
        known = self._workflows.keys() | self._plans.keys()
        if not workflow and len(known) == 1:
            (workflow,) = known
        if workflow not in known and known:
            what = f"there is no workflow {workflow!r}" if workflow else "name the workflow"
            message = what + (nearest(workflow, known) if workflow else "")
            here = "workflow" in reader.value
            path = (*reader.path, "workflow") if here or not shared.workflow else ("workflow",)
            self._problems.add("WORKFLOW_NOT_FOUND", message, path, at_key=not here)
        plan = self._plan(workflow)
        nodes = _nodes_of(plan) if plan is not None else None
        mocks = read_mocks(reader.object("mocks"))
        given = self._given(reader, shared.fixtures)
        signals = (*shared.signals, *read_signals(reader))
        start_us = _start_us(reader) if reader.has("now") else shared.start_us
        expected = read_expected(reader.object("expect"), nodes)
        reader.refuse_unknown()
        if plan is None:
            return
        check_names(mocks, known_names(compile_plan(plan)), (*reader.path, "mocks"), self._problems)
        self._suite.cases.append(
            Case(
                name=name,
                plan=plan,
                given=given,
                mocks={**shared.mocks, **mocks},
                fixtures=shared.fixtures,
                signals=signals,
                expected=expected,
                start_us=start_us,
                workflows=self._plan,
                line=self._line(reader.path),
            )
        )

    def _given(self, reader: Reader, fixtures: Mapping[str, Json]) -> Json:
        given = reader.raw("input") if reader.has("input") else {}
        path = (*reader.path, "input")
        try:
            return compile_template(given, _FIXTURES).render(
                {"fixtures": fixtures, MOMENT: Moment("/".join(map(str, path)), START_US)}
            )
        except TemplateInvalid as error:
            self._problems.add(error.reason, error.message, path)
        except RenderError as error:
            message = f"{error}{nearest(error.path.rpartition('.')[2], fixtures)}"
            self._problems.add("TEMPLATE_UNKNOWN_REFERENCE", message, path)
        return None

    def _line(self, path: Path) -> int:
        (placed,) = self._source.place([Problem("", "", path)])
        return placed.line


@dataclass(frozen=True, slots=True)
class _Shared:
    """Members of a file that apply to all its tests."""

    workflow: str
    fixtures: Mapping[str, Json]
    mocks: Mapping[str, Sequence[Mock]]
    signals: tuple[Signal, ...]
    start_us: int


def _reading(file: FilePath) -> Reading:
    kind = "application/json" if file.suffix == ".json" else "application/yaml"
    return read_source(file.read_bytes(), kind)


def _nodes_of(plan: plan_pb2.Plan) -> frozenset[str]:
    """Return the node names of a plan as tests use them: `a`, in a map `each/a`."""
    found: set[str] = set()
    waiting = [("", compile_plan(plan).nodes)]
    while waiting:
        prefix, nodes = waiting.pop()
        for node in nodes:
            if not is_made(prefix + node.id):
                found.add(prefix + node.id)
            if node.body is not None:
                waiting.append((f"{prefix}{node.id}/", node.body.nodes))
    return frozenset(found)


def _start_us(reader: Reader) -> int:
    """Read the start of the virtual clock: `now`, an RFC 3339 instant."""
    text = reader.text("now")
    if not text:
        return START_US
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return int(at.timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        pass
    message = "now is an instant such as 2026-01-01T00:00:00Z"
    reader.problems.add(_CODE, message, (*reader.path, "now"))
    return START_US
