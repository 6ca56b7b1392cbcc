"""The surroundings of steps: services found late, so that compiling needs no running module."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from flowmesh.apps.document.findings import Findings, SourcePath
from flowmesh.apps.document.model import StepSpec
from flowmesh.apps.pipeline.templates import Compiling, Render, compile_path, compile_value
from flowmesh.apps.wiring.ports import Port
from flowmesh.contract.json_value import Json
from flowmesh.sql import Dialect

T = TypeVar("T")
S = TypeVar("S")


class Log(Protocol):
    """The log of an application."""

    def write(self, level: str, module: str, message: str, **fields: Json) -> None: ...


class Services(Protocol):
    """The services of an application, by kind and name."""

    def later(self, port: Port[S], name: str) -> Callable[[], S]:
        """Return a function that returns the service when the application runs."""

    def dialect(self, database: str) -> Dialect | None:
        """Return the dialect of a database; None if there is no such database."""


@dataclass(frozen=True, slots=True)
class StepContext:
    """The surroundings of one step while it is compiled."""

    spec: StepSpec
    pipeline: str
    services: Services
    log: Log
    findings: Findings
    compiling: Compiling
    # Compiles the steps inside of a step.
    inner: Callable[[list[Json], SourcePath], Any]
    known_outputs: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def value(self, key: str) -> Render | None:
        """Compile the value of a key; None if it is not there."""
        raw = self.spec.config.get(key)
        return (
            None if raw is None else self.checked(key, lambda: compile_value(raw, self.compiling))
        )

    def path(self, key: str) -> Render | None:
        raw = self.spec.config.get(key)
        if not isinstance(raw, str) or not raw:
            return None
        return self.checked(key, lambda: compile_path(raw, self.compiling))

    def checked(self, key: str, compiled: Callable[[], T]) -> T:
        """Run a compilation; its problems become findings of the key."""
        before = len(self.compiling.problems)
        result = compiled()
        for message in self.compiling.problems[before:]:
            self.error("TEMPLATE_INVALID", message, key)
        return result

    def error(self, code: str, message: str, key: str = "") -> None:
        at = self.spec.at / "config"
        self.findings.error(code, message, at / key if key else at)

    def warn(self, code: str, message: str, key: str = "") -> None:
        at = self.spec.at / "config"
        self.findings.warn(code, message, at / key if key else at)
