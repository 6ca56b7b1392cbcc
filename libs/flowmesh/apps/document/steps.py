"""Pipelines and steps of documents."""

from flowmesh.apps.catalog import STEPS, foreign_hint, nearest_names
from flowmesh.apps.catalog.descriptor import duration
from flowmesh.apps.catalog.values import ValueMismatch, convert
from flowmesh.apps.document.configuration import configured
from flowmesh.apps.document.findings import Findings, SourcePath
from flowmesh.apps.document.limits import STEPS_MAX
from flowmesh.apps.document.model import PipelineSpec, StepSpec
from flowmesh.contract.json_value import Json
from flowmesh.expressions.references import kind_of

_STEP_KEYS = (
    *("name", "type", "config", "if", "skip_if", "on_error", "timeout", "retry", "ignore_error"),
    *("description", "ui"),
)
_PIPELINE_KEYS = (
    *("trigger", "steps", "on_error", "timeout", "compensation", "durable", "transaction"),
    *("wait", "input", "output", "strict", "detach", "track", "description", "ui", "name"),
)
WAIT_S, WAIT_S_MAX = 10.0, 30.0
_ON_ERROR = ("stop", "skip", "compensate")
_TIMEOUT = duration("timeout", "Time of the step or pipeline.")


class StepReader:
    """Reads pipelines and their steps."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def pipeline(self, name: str, raw: Json, at: SourcePath) -> PipelineSpec | None:
        """Return the pipeline: an object with steps, or the list of steps itself."""
        if isinstance(raw, list):
            raw = {"steps": raw}
        if not isinstance(raw, dict):
            message = f"a pipeline is an object with steps, not {kind_of(raw)}"
            self._findings.error("APP_INVALID", message, at)
            return None
        for key in raw:
            if key not in _PIPELINE_KEYS:
                near = nearest_names(key, _PIPELINE_KEYS)
                message = f"a pipeline has no key {key!r}{near}"
                self._findings.warn("APP_KEY_UNKNOWN", message, at / key, at_key=True)
        on_error = str(raw.get("on_error") or "stop")
        if on_error not in _ON_ERROR:
            message = f"on_error is one of {', '.join(_ON_ERROR)}, not {on_error!r}"
            self._findings.error("APP_CONFIG_INVALID", message, at / "on_error")
        trigger = raw.get("trigger")
        return PipelineSpec(
            name=name,
            steps=self.steps(raw.get("steps"), at / "steps"),
            at=at,
            trigger=trigger if isinstance(trigger, dict) else {},
            on_error=on_error,
            timeout_s=self._seconds(raw.get("timeout"), at / "timeout"),
            compensation=self.steps(raw.get("compensation") or [], at / "compensation"),
            durable=self._durable(raw, at),
            wait_s=self._wait(raw, at),
            transaction=bool(raw.get("transaction")),
            output=raw.get("output"),
            strict=raw.get("strict") is True,
            detach=raw.get("detach") is True,
        )

    def _durable(self, raw: dict[str, Json], at: SourcePath) -> bool:
        found = raw.get("durable", False)
        if not isinstance(found, bool):
            message = f"durable is true or false, not {kind_of(found)}"
            self._findings.error("APP_CONFIG_INVALID", message, at / "durable")
        elif "wait" in raw and not found:
            message = "wait is of durable pipelines; other requests always wait for their run"
            self._findings.error("APP_CONFIG_INVALID", message, at / "wait")
        return found is True

    def _wait(self, raw: dict[str, Json], at: SourcePath) -> float:
        if "wait" not in raw:
            return WAIT_S
        seconds = self._seconds(raw["wait"], at / "wait")
        if seconds > WAIT_S_MAX:
            message = f"wait is at most {WAIT_S_MAX:g} s; the client asks again at Location"
            self._findings.error("APP_CONFIG_INVALID", message, at / "wait")
        return seconds

    def steps(self, raw: Json, at: SourcePath) -> tuple[StepSpec, ...]:
        if not isinstance(raw, list):
            self._findings.error("APP_INVALID", f"steps is a list, not {kind_of(raw)}", at)
            return ()
        if len(raw) > STEPS_MAX:
            message = f"a pipeline has at most {STEPS_MAX} steps, not {len(raw)}"
            self._findings.error("APP_TOO_LARGE", message, at)
            return ()
        found: dict[str, StepSpec] = {}
        for index, item in enumerate(raw):
            step = self._step(item, at / index, index)
            if step is None:
                continue
            if step.name in found:
                message = f"a step {step.name!r} already exists"
                self._findings.error("APP_NAME_TAKEN", message, step.at / "name")
                continue
            found[step.name] = step
        return tuple(found.values())

    def _step(self, raw: Json, at: SourcePath, index: int) -> StepSpec | None:
        if not isinstance(raw, dict):
            self._findings.error("APP_INVALID", f"a step is an object, not {kind_of(raw)}", at)
            return None
        for key in raw:
            if key not in _STEP_KEYS:
                message = f"a step has no key {key!r}{nearest_names(key, _STEP_KEYS)}"
                self._findings.warn("APP_KEY_UNKNOWN", message, at / key, at_key=True)
        kind = raw.get("type")
        kind = kind if not isinstance(kind, str) or kind.startswith("step.") else f"step.{kind}"
        descriptor = STEPS.get(kind) if isinstance(kind, str) else None
        if descriptor is None:
            why = (
                foreign_hint(str(kind)) or f"there is no such type{nearest_names(str(kind), STEPS)}"
            )
            place = at / "type" if "type" in raw else at
            self._findings.error("MODULE_TYPE_UNKNOWN", f"unknown step type {kind!r}: {why}", place)
            return None
        retry = raw.get("retry")
        return StepSpec(
            name=str(raw.get("name") or f"step-{index + 1}"),
            type=descriptor.type,
            config=configured(
                descriptor, raw.get("config"), at / "config", self._findings, templates=True
            ),
            at=at,
            condition=_text(raw.get("if")),
            skip=_text(raw.get("skip_if")),
            on_error="skip" if raw.get("ignore_error") is True else str(raw.get("on_error") or ""),
            timeout_s=self._seconds(raw.get("timeout"), at / "timeout"),
            retry=retry if isinstance(retry, dict) else {},
        )

    def _seconds(self, raw: Json, at: SourcePath) -> float:
        if raw is None:
            return 0.0
        try:
            return float(convert(_TIMEOUT, raw))
        except ValueMismatch as error:
            self._findings.error("APP_CONFIG_INVALID", f"{at.keys[-1]} {error}", at)
            return 0.0


def _text(raw: Json) -> str:
    if raw is None:
        return ""
    return raw if isinstance(raw, str) else ("true" if raw else "false")
