"""Compilation of pipelines; everything that can be known before a run is a finding."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from flowmesh.apps.catalog import STEPS, nearest_names
from flowmesh.apps.catalog.retries import read_retry
from flowmesh.apps.catalog.values import ValueMismatch
from flowmesh.apps.data.database import Database
from flowmesh.apps.document.findings import Findings, SourcePath
from flowmesh.apps.document.flows import CALL
from flowmesh.apps.document.model import PipelineSpec, StepSpec
from flowmesh.apps.document.steps import StepReader
from flowmesh.apps.pipeline.conditions import compile_condition_text
from flowmesh.apps.pipeline.context import Log, Services, StepContext
from flowmesh.apps.pipeline.journal import has_effect, journaled, logged_once
from flowmesh.apps.pipeline.program import CompiledStep, Program, RunObserver
from flowmesh.apps.pipeline.run import Run, StepCall
from flowmesh.apps.pipeline.steps.modules import call_module
from flowmesh.apps.pipeline.templates import Compiling, Render, compile_value
from flowmesh.apps.pipeline.tracing import Tracing
from flowmesh.apps.wiring.ports import DATABASE
from flowmesh.contract.json_value import Json
from flowmesh.contract.retries import Retry

SUITE_MISSING = "SUITE_MISSING"
_SUITE_TEXT = (
    "a durable pipeline is an execution of a suite, and none is attached; set FLOWMESH_ADDRESS to"
    " the host:port of its gRPC, such as that of `flowmesh dev`, or host the application in it with"
    " `flowmesh app deploy`"
)
_SQL_STEPS = frozenset({"step.db_query", "step.db_exec"})
_IN_TRANSACTION = _SQL_STEPS | {
    *("step.set", "step.conditional", "step.validate", "step.json_response", "step.log"),
    *("step.request_parse", "step.raw_response", "step.transform"),
}


class PipelineCompiler:
    """Compiles the pipelines of one application."""

    def __init__(
        self,
        *,
        services: Services,
        log: Log,
        findings: Findings,
        observers: Sequence[RunObserver] = (),
        strict: bool = False,
        tracing: Tracing | None = None,
        suite: bool = False,
    ) -> None:
        self._tracing = tracing
        self._suite = suite
        self._services = services
        self._log = log
        self._findings = findings
        self._observers = observers
        self._strict = strict

    def compile(self, spec: PipelineSpec) -> Program:
        """Compile a pipeline; report its problems."""
        if spec.durable and not self._suite:
            self._findings.warn(SUITE_MISSING, _SUITE_TEXT, spec.at / "durable")
        compiling = Compiling(
            steps=[each.name for each in spec.steps], strict=spec.strict or self._strict
        )
        outputs: dict[str, tuple[str, ...] | None] = {}
        steps = []
        for each in spec.steps:
            steps.append(self._step(each, spec.name, compiling))
            outputs[each.name] = known_outputs(each)
        compensation = [self._step(each, spec.name, compiling) for each in spec.compensation]
        output = self._output(spec, compiling)
        self._check_references(spec, compiling, outputs)
        database, transaction = self._transaction(spec)
        return Program(
            name=spec.name,
            steps=tuple(steps),
            index={each.name: number for number, each in enumerate(steps)},
            on_error=spec.on_error,
            timeout_s=spec.timeout_s,
            compensation=tuple(compensation),
            output=output,
            detach=spec.detach,
            transaction=transaction,
            transaction_database=database,
            observers=self._observers,
            around=self._tracing.pipeline if self._tracing is not None else None,
            journaled=_journaled(spec.steps, steps),
            journaled_compensation=_journaled(spec.compensation, compensation),
        )

    def _step(self, spec: StepSpec, pipeline: str, compiling: Compiling) -> CompiledStep:
        context = StepContext(
            spec=spec,
            pipeline=pipeline,
            services=self._services,
            log=self._log,
            findings=self._findings,
            compiling=compiling,
            inner=self._inner(pipeline),
        )
        call: StepCall = _incomplete
        if _complete(spec):
            compile_step = call_module if spec.type == CALL else STEPS[spec.type].builder()
            call = compile_step(context)
        if spec.on_error not in ("", "stop", "skip", "compensate", *compiling.steps):
            near = nearest_names(spec.on_error, compiling.steps)
            message = f"on_error is stop, skip or a step, not {spec.on_error!r}{near}"
            self._findings.error("STEP_UNKNOWN", message, spec.at / "on_error")
        if self._tracing is not None:
            call = self._tracing.step(pipeline, spec.name, spec.type, call)
        return CompiledStep(
            name=spec.name,
            call=call,
            condition=_reached(spec)
            if spec.after or spec.branch_of
            else self._condition(spec.condition, spec.at / "if", compiling),
            skip=self._condition(spec.skip, spec.at / "skip_if", compiling),
            on_error=spec.on_error,
            timeout_s=spec.timeout_s,
            retry=self._retry(spec),
            retried=frozenset(spec.retry.get("on") or ()),
        )

    def _inner(self, pipeline: str) -> Any:
        def compiled(raw: list[Json], at: SourcePath) -> Program:
            steps = StepReader(self._findings).steps(raw, at)
            inner = Compiling(steps=[each.name for each in steps], strict=self._strict)
            built = [self._step(each, pipeline, inner) for each in steps]
            index = {each.name: number for number, each in enumerate(built)}
            return Program(
                name=pipeline, steps=tuple(built), index=index, journaled=_journaled(steps, built)
            )

        return compiled

    def _condition(self, text: str, at: SourcePath, compiling: Compiling) -> Any:
        if not text:
            return None
        before = len(compiling.problems)
        condition = compile_condition_text(text, compiling)
        for message in compiling.problems[before:]:
            self._findings.error("EXPRESSION_INVALID", message, at)
        return condition

    def _output(self, spec: PipelineSpec, compiling: Compiling) -> Render | None:
        if spec.output is None:
            return None
        before = len(compiling.problems)
        render = compile_value(spec.output, compiling)
        for message in compiling.problems[before:]:
            self._findings.error("TEMPLATE_INVALID", message, spec.at / "output")
        return render

    def _retry(self, spec: StepSpec) -> Retry | None:
        try:
            return read_retry(dict(spec.retry), spec.retry) if spec.retry else None
        except ValueMismatch as error:
            self._findings.error("APP_CONFIG_INVALID", f"retry {error}", spec.at / "retry")
            return None

    def _check_references(
        self,
        spec: PipelineSpec,
        compiling: Compiling,
        outputs: dict[str, tuple[str, ...] | None],
    ) -> None:
        for fields in dict.fromkeys(compiling.references):
            if len(fields) < 2 or fields[0] != "steps":
                continue
            step = str(fields[1])
            if step not in outputs:
                near = nearest_names(step, outputs)
                message = f"a template reads .steps.{step}, and there is no such step{near}"
                self._findings.error("STEP_UNKNOWN", message, spec.at)
                continue
            known = outputs[step]
            if known is not None and len(fields) > 2 and str(fields[2]) not in known:
                near = nearest_names(str(fields[2]), known) or f"; it has {', '.join(known)}"
                message = f"unknown field .steps.{step}.{fields[2]}{near}"
                self._findings.warn("FIELD_UNKNOWN", message, spec.at)

    def _transaction(self, spec: PipelineSpec) -> tuple[str, Any]:
        if not spec.transaction:
            return "", None
        databases = {str(s.config.get("database")) for s in spec.steps if s.type in _SQL_STEPS}
        others = [each for each in spec.steps if each.type not in _IN_TRANSACTION]
        if len(databases) != 1 or others:
            message = "a transaction needs SQL steps of one database, without calls of others"
            if others:
                message += f": {others[0].name} is {others[0].type}"
            self._findings.error("APP_CONFIG_INVALID", message, spec.at / "transaction")
            return "", None
        name = databases.pop()
        find = self._services.later(DATABASE, name)

        def database() -> Database:
            found: Database = find()
            return found

        return name, database


def _journaled(
    specs: Sequence[StepSpec], steps: Sequence[CompiledStep]
) -> tuple[CompiledStep, ...]:
    """Return the forms of steps in durable runs."""
    found = []
    for spec, step in zip(specs, steps, strict=True):
        if has_effect(spec):
            call = journaled(step.name, step.call, step.timeout_s)
            step = replace(step, call=call, timeout_s=0.0)
        elif spec.type == "step.log":
            step = replace(step, call=logged_once(step.call))
        found.append(step)
    return tuple(found)


def _reached(spec: StepSpec) -> Callable[[Run], bool]:
    """Return the condition of a step of a flow: one of the steps before it has led to it."""
    name, after, branch_of = spec.name, spec.after, spec.branch_of

    def holds(run: Run) -> bool:
        outputs = run.steps
        return any(each in outputs for each in after) or any(
            outputs[each]["next_step"] == name for each in branch_of if each in outputs
        )

    return holds


def _complete(spec: StepSpec) -> bool:
    """Return whether a step has its required keys; the document has a finding of each other one."""
    descriptor = STEPS.get(spec.type)
    fields = descriptor.fields if descriptor is not None else ()
    return all(each.key in spec.config for each in fields if each.required)


def _incomplete(_run: Run) -> NoReturn:
    raise AssertionError("an application with errors does not run")


def known_outputs(step: StepSpec) -> tuple[str, ...] | None:
    """Return the fields of a step's output; None if they are not known before a run."""
    config = step.config
    rules = ("_error", "_skipped")
    match step.type:
        case "step.set":
            values = config.get("values")
            return (*values, *rules) if isinstance(values, dict) else None
        case "step.request_parse":
            return (
                "path_params",
                "query",
                "body",
                "headers",
                *(config.get("fields") or ()),
                *rules,
            )
        case "step.db_query":
            single = config.get("mode") == "single"
            return (*(("row", "found") if single else ("rows", "count")), *rules)
        case "step.db_exec":
            return ("affected_rows", "last_id", "rows", *rules)
        case "step.conditional":
            return ("matched_value", "next_step", "used_default", *rules)
        case "step.http_call":
            return ("status_code", "status", "headers", "body", *rules)
        case "step.publish":
            return ("published", "topic", "id", *rules)
        case "step.transform":
            return ("data", *rules)
    return None
