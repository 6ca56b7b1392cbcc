"""What is fuzzed: each parser as one function of bytes that answers or refuses, nothing else."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import orjson

from flowmesh.definitions import Task, Workflow, analyse, check, errors_in, read_source
from flowmesh.definitions.drawing import DRAWINGS, draw
from flowmesh.definitions.exports import export
from flowmesh.definitions.formats.table import FORMATS
from flowmesh.definitions.lint import lint
from flowmesh.definitions.problems import Problems
from flowmesh.definitions.reading.documents import parse
from flowmesh.definitions.reading.reader import Reader
from flowmesh.definitions.reading.yaml_text import Unreadable
from flowmesh.dryrun.mocks import read_mocks, read_signals
from flowmesh.errors import FlowmeshError
from flowmesh.executors.failures import TaskFailure
from flowmesh.executors.http.xml import xml_value
from flowmesh.expressions import (
    MOMENT,
    Moment,
    RenderError,
    compile_condition,
    compile_go_template,
    compile_template,
)
from flowmesh.expressions.jsonpath import compile_jsonpath
from flowmesh.expressions.texts import compile_text
from flowmesh.jsontext import parse_json
from flowmesh.transforms import PipelineInvalid, TransformError, compile_pipeline

CORPUS = Path(__file__).parent / "corpus"
SEPARATOR = b"\n%%\n"
# A call of any parser, with room for a machine that does other things too.
CALL_S = 1.0
ROOTS = ("input", "tasks", "context")
SCOPE = {
    "input": {"a": {"b": [1, "{{input.a}}"]}, "list": [{"n": 1}], "amount": 1e300, "t": '"\n'},
    "tasks": {"t": {"output": {"b": "x"}}, "t-1": {"output": [None, True]}},
    "context": {"a": 2, "list": [{"n": 2}], "b": "é\u2028", "amount": 150},
    MOMENT: Moment("execution/node", 1_700_000_000_000_000),
}
NO_TASKS: dict[str, Task] = {}
REFUSALS = (FlowmeshError, RenderError, Unreadable, PipelineInvalid, TransformError, TaskFailure)


def template(data: bytes) -> None:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        value = data.decode("utf-8", "replace")
    compile_template(value, ROOTS).render(SCOPE)


def text(data: bytes) -> None:
    source = data.decode("utf-8", "replace")
    for mode in ("url", "header", "text", "json"):
        try:
            compile_text(source, ROOTS, mode).render(SCOPE)
        except REFUSALS:
            continue


def go(data: bytes) -> None:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        value = data.decode("utf-8", "replace")
    compile_go_template(value).render({**SCOPE, "data": SCOPE})


def jsonpath(data: bytes) -> None:
    compile_jsonpath(data.decode("utf-8", "replace")).select(SCOPE["context"])


def cel(data: bytes) -> None:
    compiled = compile_condition(data.decode("utf-8", "replace"), dialect="cel", steps=("t-1",))
    assert compiled is not None
    compiled.evaluate(SCOPE)


def javascript(data: bytes) -> None:
    compiled = compile_condition(data.decode("utf-8", "replace"), dialect="javascript")
    if compiled is not None:
        compiled.evaluate(SCOPE)


def steps(data: bytes) -> None:
    check(read_source(data, "application/json"), NO_TASKS.get)


def graph(data: bytes) -> None:
    """Read, checked, and what is sound also analysed, drawn and written in other formats."""
    reading = read_source(data, "application/json")
    if errors_in([*reading.problems, *check(reading, NO_TASKS.get)]):
        return
    for read in reading.resources:
        if isinstance(read.resource, Workflow):
            analyse(read.resource)
            for kind in DRAWINGS:
                draw(read.resource, kind)
            for target in FORMATS:
                with suppress(*REFUSALS):
                    export(read, target)


def native(data: bytes) -> None:
    reading = read_source(data, "application/yaml")
    check(reading, NO_TASKS.get)
    lint(reading, NO_TASKS.get)


def mocks(data: bytes) -> None:
    """Answers of tasks and signals, as a dry run gets them."""
    for document in parse(data, "application/yaml").documents:
        reader = Reader({"mocks": document, "signals": document}, (), Problems())
        read_mocks(reader.object("mocks"))
        read_signals(reader)


def json(data: bytes) -> None:
    parse_json(data)


def pipeline(data: bytes) -> None:
    try:
        operations = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    compile_pipeline(operations).apply([{"a": 1, "b": "x"}, {"a": None}, 3])


def xml(data: bytes) -> None:
    xml_value(data)


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each
    for each in (
        template,
        text,
        go,
        jsonpath,
        cel,
        javascript,
        steps,
        graph,
        native,
        mocks,
        json,
        pipeline,
        xml,
    )
}


def corpus(name: str) -> list[bytes]:
    return (CORPUS / f"{name}.txt").read_bytes().rstrip(b"\n").split(SEPARATOR)


def tried(name: str, data: bytes) -> None:
    """One call: an answer or a refusal with a known reason, soon."""
    begun = time.process_time()
    with suppress(*REFUSALS):
        TARGETS[name](data)
    took = time.process_time() - begun
    assert took < CALL_S, f"{name} took {took:.1f} s for {data[:200]!r}"
