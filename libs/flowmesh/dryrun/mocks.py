"""Mocks of tasks: outputs and failures, each with a delay."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.contract.durations import duration_ms
from flowmesh.contract.json_value import Json
from flowmesh.definitions.problems import Path, Problems, nearest
from flowmesh.definitions.reading.reader import Reader, kind_of
from flowmesh.dryrun.limits import MOCKS_MAX
from flowmesh.dryrun.names import plain
from flowmesh.engine import NodeState
from flowmesh.expressions import Template, TemplateInvalid, compile_template
from flowmesh.plan import Graph, PlanNode

_CODE = "MOCKS_INVALID"
# Roots in the template of a mocked output.
ROOTS = frozenset({"input", "attempt", "fixtures"})
_DURATION = 'a duration such as "200ms" or "1h", or a number of ms'


@dataclass(frozen=True, slots=True)
class Mock:
    """One answer: an output with templates over `input`, or a failure."""

    output: Template | None = None
    failure: failure_pb2.Failure | None = None
    after_us: int = 0


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal, sent at a time after the start."""

    name: str
    payload: Json
    after_us: int
    key: str = ""


@dataclass(slots=True)
class Mocks:
    """Answers by name, one per attempt; the last one repeats.

    A name is that of a node (`charge`, in a map `each/charge`, for one item `each[2]/charge`), of a
    WorkflowTask, or of a task type; the first match in this order applies.
    """

    answers: Mapping[str, Sequence[Mock]] = field(default_factory=dict)
    fixtures: Mapping[str, Json] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    _given: dict[tuple[str, str], int] = field(default_factory=dict)

    def has(self, node: NodeState) -> bool:
        """Return whether a mock matches the node; does not count as use."""
        return any(self.answers.get(name) for name in _names(node))

    def of(self, node: NodeState) -> Mock | None:
        """Return the answer to the node's current attempt; None without a mock."""
        for name in _names(node):
            if answers := self.answers.get(name):
                self.used.add(name)
                # Each item of a map has its own sequence of answers.
                count = self._given.get((name, node.id), 0)
                self._given[name, node.id] = count + 1
                return answers[min(count, len(answers) - 1)]
        return None

    def answers_for(self, node: NodeState) -> bool:
        """Return whether a mock matches the node, and count it as used."""
        return any(name in self.answers for name in _names(node))

    @property
    def unused(self) -> list[str]:
        return sorted(self.answers.keys() - self.used)


def _names(node: NodeState) -> Iterator[str]:
    yield node.id
    path = plain(node.id)
    if path != node.id:
        yield path
    yield node.planned.id
    if node.planned.spec is not None:
        if node.planned.spec.task_name:
            yield node.planned.spec.task_name
        yield node.planned.spec.task_type


def known_names(plan: Graph) -> set[str]:
    """Return all valid names of mocks for a plan, except single items of a map."""
    return set(_known(plan, ""))


def _known(graph: Graph, prefix: str) -> Iterator[str]:
    for node in graph.nodes:
        yield node.id
        yield prefix + node.id
        yield from _kinds(node)
        if node.body is not None:
            yield from _known(node.body, f"{prefix}{node.id}/")


def _kinds(node: PlanNode) -> Iterator[str]:
    if node.spec is not None:
        yield node.spec.task_type
        if node.spec.task_name:
            yield node.spec.task_name


def check_names(mocks: Mapping[str, Json], known: Collection[str], at: Path, to: Problems) -> None:
    """Report mocks with unknown names, which would be ignored otherwise."""
    for name in mocks:
        if plain(name) not in known:
            message = f"no node, task or task type is named {name!r}{nearest(name, known)}"
            to.add(_CODE, message, (*at, name), at_key=True)


def read_mocks(reader: Reader) -> dict[str, tuple[Mock, ...]]:
    """Read the members of an object as mocks by name and report problems."""
    found: dict[str, tuple[Mock, ...]] = {}
    if len(reader.value) > MOCKS_MAX:
        message = f"at most {MOCKS_MAX:,} mocks, found {len(reader.value):,}"
        reader.problems.add(_CODE, message, reader.path)
        return found
    for name, value in reader.value.items():
        path = (*reader.path, name)
        given = value if isinstance(value, list) else [value]
        if not given:
            reader.problems.add(_CODE, f"the mock of {name} has no answer", path)
        found[name] = tuple(
            _mock(item, (*path, number) if isinstance(value, list) else path, reader.problems)
            for number, item in enumerate(given)
        )
    return found


def _mock(value: Json, path: Path, problems: Problems) -> Mock:
    if not isinstance(value, dict):
        message = f"a mock must be an object with output or failure, not {kind_of(value)}"
        problems.add(_CODE, message, path)
        return Mock()
    reader = Reader(value, path, problems)
    if reader.has("output") == reader.has("failure"):
        problems.add(_CODE, "a mock has either output or failure", path)
    after_us = duration_us(reader, "after")
    failure = _failure(reader.object("failure")) if reader.has("failure") else None
    output = None
    if failure is None:
        try:
            output = compile_template(reader.raw("output"), ROOTS)
        except TemplateInvalid as error:
            problems.add(error.reason, error.message, (*path, "output"))
    reader.refuse_unknown()
    return Mock(output, failure, after_us)


def _failure(reader: Reader) -> failure_pb2.Failure:
    failure = failure_pb2.Failure(
        message=reader.text("message") or "mocked",
        retry_after_ms=duration_us(reader, "retryAfter") // 1000,
    )
    setattr(failure, "class", reader.identifier("class", "ServerError, Timeout, ClientError …"))
    reader.refuse_unknown()
    return failure


def duration_us(reader: Reader, key: str) -> int:
    value = reader.raw(key)
    if value is None:
        return 0
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53:
        return int(value * 1000)
    found = duration_ms(value) if isinstance(value, str) else None
    if found is None:
        reader.wrong(key, _DURATION, _CODE)
    return (found or 0) * 1000


def read_signals(reader: Reader, key: str = "signals") -> tuple[Signal, ...]:
    """Read the list of signals under a key."""
    found = []
    for number, item in enumerate(reader.items(key)):
        path = (*reader.path, key, number)
        if not isinstance(item, dict):
            reader.problems.add(_CODE, f"a signal must be an object, not {kind_of(item)}", path)
            continue
        one = Reader(item, path, reader.problems)
        name = one.identifier("name", "the name of the signal")
        key = one.text("key")
        found.append(Signal(name, one.raw("payload"), duration_us(one, "after"), key))
        one.refuse_unknown()
    return tuple(found)
