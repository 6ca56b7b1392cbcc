"""Whether what a task does can be done: its templates, code, conditions and pipelines."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from flowmesh.definitions.builtins import TRANSFORM
from flowmesh.definitions.checks.parts import Parts
from flowmesh.definitions.checks.templates import check_input_field, note_invalid, split_path
from flowmesh.definitions.model import Dialect, Json, Node, Task
from flowmesh.definitions.problems import Path, Problems
from flowmesh.definitions.references import config_roots, ids_in
from flowmesh.expressions import (
    ExpressionInvalid,
    Reference,
    TemplateInvalid,
    compile_condition,
    compile_template,
    compile_text,
)
from flowmesh.sandbox.syntax import check_syntax
from flowmesh.transforms import PipelineProblem, pipeline_problems

_JSON_BEGINNINGS = ("{", "[")
Mode = Literal["json", "text", "url", "header"]


class Bodies:
    """Checks tasks one by one; code that occurs often is parsed once."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._syntax: dict[str, str] = {}
        self._conditions: dict[tuple[Dialect, str], ExpressionInvalid | None] = {}

    def check(self, task: Task, steps: frozenset[str], problems: Problems) -> None:
        """Notes what is wrong with a task that is written in the document of `problems`."""
        checks: dict[str, Callable[[], None]] = {
            "http.request": partial(self._http, task, problems),
            "webhook": partial(self._http, task, problems),
            "transform": partial(self._transform, task, problems),
            "function": partial(self._code, task, problems),
            "condition": partial(self._condition, task, steps, problems),
            "delay": partial(self._delay, task, problems),
            "noop": lambda: None,
        }
        checks.get(task.executor, partial(self._custom, task, problems))()

    def _http(self, task: Task, problems: Problems) -> None:
        config, base = task.config, task.config_path
        self._text(task, config.get("url", ""), "url", (*base, "url"), problems)
        for name, value in (config.get("headers") or {}).items():
            self._text(task, value, "header", (*base, "headers", name), problems)
        for key in ("body", "payload"):
            body = config.get(key)
            if isinstance(body, str):
                is_json = body.lstrip().startswith(_JSON_BEGINNINGS)
                self._text(task, body, "json" if is_json else "text", (*base, key), problems)
            elif body is not None:
                self._value(task, body, (*base, key), problems)

    def _text(self, task: Task, text: str, mode: Mode, path: Path, problems: Problems) -> None:
        try:
            template = compile_text(text, config_roots(task), mode)
        except TemplateInvalid as error:
            note_invalid(error, path, problems)
            return
        self._references(task, template.references, path, problems)

    def _value(self, task: Task, value: Json, path: Path, problems: Problems) -> None:
        try:
            template = compile_template(value, config_roots(task))
        except TemplateInvalid as error:
            note_invalid(error, path, problems)
            return
        self._references(task, template.references, path, problems)

    def _references(
        self, task: Task, references: tuple[Reference, ...], path: Path, problems: Problems
    ) -> None:
        """Only a closed input has no other fields; an open one may be given more."""
        part = self._parts.of(task.input_schema)
        if task.dialect is Dialect.STEPS or part is None:
            return
        what = f"the input of {task.name or 'the task'}"
        for reference in references:
            if reference.path and self._parts.lacks(part, reference.path[0]):
                place = (*path, *split_path(reference.at))
                check_input_field(reference, part, self._parts, place, problems, what)

    def _transform(self, task: Task, problems: Problems) -> None:
        if "code" in task.config:
            self._code(task, problems)
        elif "pipeline" in task.config:
            path = (*task.config_path, "pipeline")
            _note_pipeline(pipeline_problems(task.config["pipeline"]), path, problems)

    def _code(self, task: Task, problems: Problems) -> None:
        code = str(task.config.get("code", ""))
        if code not in self._syntax:
            self._syntax[code] = check_syntax(code)
        if self._syntax[code]:
            message = f"not JavaScript: {self._syntax[code]}"
            problems.add("EXPRESSION_INVALID", message, (*task.config_path, "code"))

    def _condition(self, task: Task, steps: frozenset[str], problems: Problems) -> None:
        source = str(task.config.get("expression", ""))
        if not source:
            return
        key = (task.dialect, source)
        if key not in self._conditions:
            self._conditions[key] = _compiled(source, task, ids_in(source, steps))
        error = self._conditions[key]
        if error is not None:
            problems.add(error.reason, error.message, (*task.config_path, "expression"))

    def _delay(self, task: Task, problems: Problems) -> None:
        value = task.config.get("duration")
        if isinstance(value, str):
            self._value(task, value, (*task.config_path, "duration"), problems)

    def _custom(self, task: Task, problems: Problems) -> None:
        """A remote worker's own business, but templates in step JSON are rendered here."""
        if task.dialect is Dialect.STEPS:
            self._value(task, task.config, task.config_path, problems)


def _compiled(source: str, task: Task, steps: list[str]) -> ExpressionInvalid | None:
    native = task.dialect is Dialect.NATIVE
    try:
        compile_condition(
            source,
            dialect="cel" if native else "javascript",
            steps=steps,
            roots=("input",) if native else ("context", "input"),
        )
    except ExpressionInvalid as error:
        return error
    return None


def _note_pipeline(found: tuple[PipelineProblem, ...], base: Path, problems: Problems) -> None:
    for problem in found:
        problems.add(problem.code, problem.message, (*base, *split_path(problem.path)))


def check_built_in(node: Node, problems: Problems) -> None:
    """The input of a built-in task, which no schema describes."""
    given: Any = node.input if node.has_input else {}
    path = (*node.path, "input")
    if node.task_ref == TRANSFORM:
        pipeline = given.get("pipeline") if isinstance(given, dict) else None
        if pipeline is None and not (isinstance(given, str) and "{{" in given):
            message = "the transform task needs source and pipeline in its input"
            problems.add("DEFINITION_INVALID", message, path)
        elif pipeline is not None:
            _note_pipeline(pipeline_problems(pipeline), (*path, "pipeline"), problems)
    elif node.task_ref == "delay" and not (isinstance(given, dict) and "duration" in given):
        problems.add("DEFINITION_INVALID", "the delay task needs duration in its input", path)
