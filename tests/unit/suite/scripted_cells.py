"""Two cells whose services answer from a table, and what a move changes in them."""

from collections.abc import AsyncIterator, Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from google.protobuf import message_factory
from google.protobuf.descriptor_pool import Default
from google.protobuf.json_format import MessageToDict, ParseDict

from flowmesh.cells import Cell
from flowmesh.errors import FlowmeshError
from flowmesh.suite.cells.calls import CellCalls
from flowmesh.suite.cells.parts import Part, Route

PROJECT = "shop"
READS = ("List", "Get", "Export", "Prepare", "Read", "Search", "Load")
# Fields of requests that are the same in all of them, or drawn.
OMITTED = ("namespace", "request_id", "reason", "project_id")

AnyPart = TypeVar("AnyPart", bound=Part)
# The answer of a method as JSON, an error, answers in their order, or a function of the request.
Answers = Mapping[str, Any]


@cache
def answer_class(path: str) -> Any:
    service, _, name = path.lstrip("/").rpartition("/")
    method = Default().FindServiceByName(service).methods_by_name[name]
    return message_factory.GetMessageClass(method.output_type)


def fields(message: Any) -> dict[str, Any]:
    """Return a request as JSON, without the fields that all have."""
    found = MessageToDict(message, preserving_proto_field_name=True)
    return {name: value for name, value in found.items() if name not in OMITTED}


class _Stream:
    """The messages of one file."""

    def __init__(self, messages: list[Any]) -> None:
        self._messages = messages
        self.canceled = False

    async def __aiter__(self) -> AsyncIterator[Any]:
        for each in self._messages:
            if isinstance(each, Exception):
                raise each
            yield each

    def cancel(self) -> None:
        self.canceled = True


class _Caller:
    """The calls of the SDK without their retries; also the connection that has it."""

    def __init__(self, channel: Any) -> None:
        self.caller = self
        self.channel = channel

    async def ready(self, timeout: float) -> None:
        return None

    async def close(self) -> None:
        return None

    async def headers(self) -> dict[str, str]:
        return {}

    async def call(self, method: Any, request: Any) -> Any:
        return await method(request, timeout=1.0)

    async def retried(self, once: Callable[[], Any]) -> Any:
        return await once()


class ScriptedCalls(CellCalls):
    """The calls at a cell, answered from a table; others have an empty answer."""

    def __init__(self, cell: Cell, answers: Answers) -> None:
        self.cell, self.project = cell, PROJECT
        self.answers = dict(answers)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        connection: Any = _Caller(self)
        self._connection = connection

    @property
    def changes(self) -> list[tuple[str, dict[str, Any]]]:
        """The calls that change something."""
        return [each for each in self.calls if not each[0].startswith(READS)]

    def unary_unary(self, path: str, *_: Any, **__: Any) -> Any:
        async def answered(request: Any, **_: Any) -> Any:
            return self._answer(path, request)

        return answered

    def unary_stream(self, path: str, *_: Any, **__: Any) -> Any:
        def answered(request: Any, **_: Any) -> _Stream:
            try:
                answer = self._answer(path, request)
            except FlowmeshError as error:
                return _Stream([error])
            return _Stream([answer, type(answer)(data=b"more")])

        return answered

    def stream_unary(self, path: str, *_: Any, **__: Any) -> Any:
        async def answered(requests: Any, **_: Any) -> Any:
            whole = None
            async for each in requests:
                if whole is None:
                    whole = each
                else:
                    whole.data += each.data
            return self._answer(path, whole)

        return answered

    stream_stream = unary_unary

    def _answer(self, path: str, request: Any) -> Any:
        name = path.rpartition("/")[2]
        self.calls.append((name, fields(request)))
        answer = self.answers.get(name, {})
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        return ParseDict(answer, answer_class(path)())


class Cells:
    """The source and the target of a move, and a part of it."""

    def __init__(self, source: Answers, target: Answers) -> None:
        self.source = ScriptedCalls(cell("us0", 0), source)
        self.target = ScriptedCalls(cell("eu1", 1), target)
        self.reports: list[str] = []

    def part(self, kind: type[AnyPart]) -> AnyPart:
        return kind(Route(self.source, self.target, self.reports.append))


def cell(name: str, number: int, **more: str) -> Cell:
    address = f"{name}.example"
    given: dict[str, Any] = {"region": name[:2], "http": f"http://{address}:3000", **more}
    return Cell(name=name, number=number, grpc=f"{address}:7450", **given)
