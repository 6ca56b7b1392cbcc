"""Checks of a task's work: templates, code, conditions and pipelines."""

from collections.abc import Sequence
from typing import Any, Literal, cast

from flowmesh.contract.durations import duration_ms, is_instant
from flowmesh.contract.json_value import Json
from flowmesh.definitions import constant_parts
from flowmesh.definitions.builtins import DELAY, SIGNAL, TRANSFORM
from flowmesh.definitions.checks.calls import check_statement
from flowmesh.definitions.checks.parts import Parts
from flowmesh.definitions.checks.templates import (
    check_input_field,
    note_invalid,
    note_sealed,
    passes_on,
)
from flowmesh.definitions.limits import DELAY_MS_MAX
from flowmesh.definitions.model import Dialect, Node, Task
from flowmesh.definitions.problems import Path, Problems, split_path
from flowmesh.definitions.reading.reader import is_id, shown
from flowmesh.definitions.references import config_roots, ids_in
from flowmesh.expressions import (
    ExpressionInvalid,
    Reference,
    TemplateInvalid,
    compile_condition,
    compile_template,
    compile_text,
)
from flowmesh.expressions.conditions import Dialect as ConditionDialect
from flowmesh.expressions.secrets import ROOT as SECRETS
from flowmesh.expressions.secrets import key_of
from flowmesh.sandbox.syntax import check_syntax, jq_errors
from flowmesh.tasktypes import TASK_TYPES, CheckKind
from flowmesh.transforms import PipelineProblem, pipeline_problems

_JSON_BEGINNINGS = ("{", "[")
CONDITIONS_MAX = 100
"""Limit of one decision."""
_LANGUAGES = {"javascript": "JavaScript", "python": "Python"}
Mode = Literal["json", "text", "url", "header"]


class Bodies:
    """Checks of single tasks; repeated code is parsed once."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._syntax: dict[tuple[str, str], str] = {}
        self._conditions: dict[tuple[Dialect, str, str], ExpressionInvalid | None] = {}

    def check(self, task: Task, steps: frozenset[str], problems: Problems) -> None:
        """Note the problems of a task that is written in the document of `problems`."""
        task_type = TASK_TYPES.get(task.executor)
        match CheckKind.CONFIG if task_type is None else task_type.check:
            case CheckKind.NONE:
                pass
            case CheckKind.CONFIG:
                self._custom(task, problems)
            case CheckKind.TEMPLATES:
                self._values(task, problems, *task.config)
            case CheckKind.HTTP:
                self._http(task, problems)
            case CheckKind.TRANSFORM:
                self._transform(task, problems)
            case CheckKind.JAVASCRIPT:
                self._code(task, problems)
            case CheckKind.PYTHON:
                self._code(task, problems, "python")
            case CheckKind.CONDITION:
                self._condition(task, steps, problems)
            case CheckKind.DECISION:
                self._decision(task, steps, problems)
            case CheckKind.DELAY:
                self._delay(task, problems)
            case CheckKind.DATABASE:
                self._database(task, problems)
            case CheckKind.UNARY:
                self._unary(task, problems)

    def _http(self, task: Task, problems: Problems) -> None:
        config = task.config
        self._text(task, config.get("url", ""), "url", task.at("url"), problems)
        for name, value in (config.get("headers") or {}).items():
            self._text(task, value, "header", task.at("headers", name), problems)
        for key, value in (config.get("authentication") or {}).items():
            path = task.at("authentication", "config", key)
            self._text(task, value, "header", path, problems)
        for key in ("body", "payload"):
            body = config.get(key)
            if isinstance(body, str):
                is_json = body.lstrip().startswith(_JSON_BEGINNINGS)
                self._text(task, body, "json" if is_json else "text", task.at(key), problems)
            elif body is not None:
                self._value(task, body, task.at(key), problems)
        constant_parts.check_http(task, problems)

    def _text(self, task: Task, text: str, mode: Mode, path: Path, problems: Problems) -> None:
        try:
            template = compile_text(text, config_roots(task), mode)
        except TemplateInvalid as error:
            note_invalid(error, path, problems)
            return
        whole = template.references if mode == "json" else ()
        self._references(task, template.references, whole, path, problems)

    def _value(self, task: Task, value: Json, path: Path, problems: Problems) -> None:
        try:
            template = compile_template(value, config_roots(task))
        except TemplateInvalid as error:
            note_invalid(error, path, problems)
            return
        whole = [each for each in template.references if passes_on(template, each)]
        self._references(task, template.references, whole, path, problems)

    def _references(
        self,
        task: Task,
        references: Sequence[Reference],
        whole: Sequence[Reference],
        path: Path,
        problems: Problems,
    ) -> None:
        """Check references against a closed input; an open one may hold more fields.

        Those of `whole` pass their value on as it is.
        """
        for reference in references:
            if reference.root == SECRETS:
                _check_secret(reference, (*path, *split_path(reference.at)), problems)
        part = self._parts.of(task.input_schema)
        if task.dialect is Dialect.STEPS or part is None:
            return
        what = f"the input of {task.name or 'the task'}"
        for reference in references:
            if reference.root == SECRETS:
                continue
            place = (*path, *split_path(reference.at))
            first = self._parts.at(part, reference.path[:1]).part
            if not self._parts.possible(first):
                check_input_field(reference, part, self._parts, place, problems, what)
            elif self._parts.sealed(first) and reference not in whole:
                note_sealed(reference, place, problems)

    def _transform(self, task: Task, problems: Problems) -> None:
        if "code" in task.config:
            self._code(task, problems)
        elif "pipeline" in task.config:
            path = task.at("pipeline")
            _note_pipeline(pipeline_problems(task.config["pipeline"]), path, problems)

    def _code(
        self,
        task: Task,
        problems: Problems,
        language: Literal["javascript", "python"] = "javascript",
    ) -> None:
        code = str(task.config.get("code", ""))
        if (language, code) not in self._syntax:
            self._syntax[language, code] = check_syntax(language, code)
        if wrong := self._syntax[language, code]:
            message = f"not {_LANGUAGES[language]}: {wrong}"
            problems.add("EXPRESSION_INVALID", message, task.at("code"))

    def _condition(self, task: Task, steps: frozenset[str], problems: Problems) -> None:
        source = str(task.config.get("expression", ""))
        if not source:
            return
        language = "cel" if task.dialect is Dialect.NATIVE else "javascript"
        self._compile(source, language, task, steps, task.at("expression"), problems)

    def _decision(self, task: Task, steps: frozenset[str], problems: Problems) -> None:
        conditions = task.config.get("conditions", [])
        if len(conditions) > CONDITIONS_MAX:
            message = f"a decision has at most {CONDITIONS_MAX} conditions"
            problems.add("EXPRESSION_TOO_COMPLEX", message, task.at("conditions"))
            return
        programs = {}
        for index, condition in enumerate(conditions):
            path = task.at("conditions", index, "expression")
            source, language = condition["expression"], condition["language"]
            if language == "jq":
                programs[path] = source
            elif source:
                self._compile(source, language, task, steps, path, problems)
        for path, problem in zip(programs, jq_errors([*programs.values()]), strict=True):
            if problem:
                problems.add("EXPRESSION_INVALID", f"not a jq program: {problem}", path)

    def _compile(
        self,
        source: str,
        language: str,
        task: Task,
        steps: frozenset[str],
        path: Path,
        problems: Problems,
    ) -> None:
        key = (task.dialect, language, source)
        if key not in self._conditions:
            self._conditions[key] = _compiled(source, language, task, ids_in(source, steps))
        error = self._conditions[key]
        if error is not None:
            problems.add(error.reason, error.message, path, offset=error.offset, inside=source)

    def _delay(self, task: Task, problems: Problems) -> None:
        value = task.config.get("duration")
        if isinstance(value, str):
            self._value(task, value, task.at("duration"), problems)

    def _database(self, task: Task, problems: Problems) -> None:
        check_statement(task, problems)
        constant_parts.check_identifiers(task, problems)
        self._values(task, problems, "parameters", "identifiers")

    def _values(self, task: Task, problems: Problems, *keys: str) -> None:
        for key in keys:
            self._value(task, task.config.get(key), task.at(key), problems)

    def _unary(self, task: Task, problems: Problems) -> None:
        config = task.config
        self._text(task, str(config.get("target", "")), "text", task.at("target"), problems)
        for name, value in (config.get("metadata") or {}).items():
            self._text(task, value, "header", task.at("metadata", name), problems)
        self._value(task, config.get("request"), task.at("request"), problems)
        constant_parts.check_unary(task, problems)

    def _custom(self, task: Task, problems: Problems) -> None:
        """Check the templates of step JSON, which are rendered here; the rest is the remote
        worker's.
        """
        if task.dialect is Dialect.STEPS:
            self._value(task, task.config, task.config_path, problems)


def _compiled(source: str, language: str, task: Task, steps: list[str]) -> ExpressionInvalid | None:
    native = task.dialect is Dialect.NATIVE
    try:
        compile_condition(
            source,
            dialect=cast(ConditionDialect, language),
            steps=steps,
            roots=("input",) if native else ("context", "input"),
        )
    except ExpressionInvalid as error:
        return error
    return None


def _note_pipeline(found: tuple[PipelineProblem, ...], base: Path, problems: Problems) -> None:
    for problem in found:
        problems.add(problem.code, problem.message, (*base, *split_path(problem.path)))


def _check_secret(reference: Reference, path: Path, problems: Problems) -> None:
    try:
        key_of(reference)
    except ValueError as error:
        message = str(error)
        problems.add("TEMPLATE_UNKNOWN_REFERENCE", message, path, offset=reference.offset)


def check_built_in(node: Node, problems: Problems) -> None:
    """Check the input of a built-in task, which no schema describes."""
    given: Any = node.input if node.has_input else {}
    path = (*node.path, "input")
    if node.task_ref == TRANSFORM:
        pipeline = given.get("pipeline") if isinstance(given, dict) else None
        if pipeline is None and not (isinstance(given, str) and "{{" in given):
            message = "the transform task needs source and pipeline in its input"
            problems.add("DEFINITION_INVALID", message, path)
        elif pipeline is not None:
            _note_pipeline(pipeline_problems(pipeline), (*path, "pipeline"), problems)
    elif node.task_ref == SIGNAL:
        name = given.get("name") if isinstance(given, dict) else None
        if not isinstance(name, str) or not is_id(name):
            message = (
                'the signal task needs the name of a signal in its input, as in {name: "paid"}'
            )
            problems.add("DEFINITION_INVALID", message, path)
    elif node.task_ref == DELAY and isinstance(given, dict) and "duration" in given:
        _check_delay(given["duration"], (*path, "duration"), problems)
    elif node.task_ref == DELAY:
        problems.add("DEFINITION_INVALID", "the delay task needs duration in its input", path)


def _check_delay(value: Json, path: Path, problems: Problems) -> None:
    if isinstance(value, str) and ("{{" in value or is_instant(value)):
        return
    found = duration_ms(value) if isinstance(value, str) else value
    if isinstance(found, bool) or not isinstance(found, int | float) or found != int(found):
        expected = (
            'a duration such as "500ms", "30s", "5m" or "1h", a whole number of ms, '
            "or an instant such as 2030-01-31T08:00:00Z"
        )
        problems.add("TIMEOUT_INVALID", f"duration must be {expected}, not {shown(value)}", path)
    elif not 0 <= found <= DELAY_MS_MAX:
        message = f"duration is {found:.15g} ms; it must be from 0 to {DELAY_MS_MAX}"
        problems.add("TIMEOUT_INVALID", message, path)
