"""A minimal model of the public API: workflows and executions in dicts."""

from dataclasses import dataclass, field

from flowmesh.api.execution.v1 import execution_pb2 as pb
from flowmesh.contract.json_value import Json

RUNNING = pb.EXECUTION_STATUS_RUNNING
COMPLETED = pb.EXECUTION_STATUS_COMPLETED
FAILED = pb.EXECUTION_STATUS_FAILED
CANCELED = pb.EXECUTION_STATUS_CANCELED
TERMINATED = pb.EXECUTION_STATUS_TERMINATED

KINDS: dict[str, list[Json]] = {
    "nothing": [{"id": "a"}],
    "chain": [
        {"id": "a"},
        {"id": "b", "action": "delay", "params": {"duration": 1}, "dependencies": ["a"]},
        {"id": "c", "dependencies": ["b"]},
    ],
    "doubles": [
        {"id": "a", "action": "function", "params": {"code": "return context.n * 2"}},
        {"id": "b", "dependencies": ["a"]},
    ],
    "fails": [
        {"id": "a", "action": "function", "params": {"code": "throw new TypeError('no')"}},
        {"id": "b", "dependencies": ["a"]},
    ],
    "waits": [{"id": "a", "action": "nobody.serves"}, {"id": "b", "dependencies": ["a"]}],
}


class Refused(Exception):
    """The API refuses, with this reason."""


@dataclass(slots=True)
class Run:
    """One execution. `signals` are names in order, `answers` what each request id was answered."""

    id: str
    workflow: str
    version: int
    kind: str
    n: int
    status: int = RUNNING
    signals: list[str] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)

    @property
    def ends_by_itself(self) -> bool:
        return self.kind != "waits"

    @property
    def end(self) -> int:
        """Return the final status without further commands."""
        return FAILED if self.kind == "fails" else COMPLETED

    @property
    def results(self) -> dict[str, Json]:
        """Outputs of the steps that have one."""
        return {"a": 2 * self.n} if self.kind == "doubles" else {}


class Reference:
    """Workflows by name as the kinds of their versions, executions in the order of their starts."""

    def __init__(self) -> None:
        self.workflows: dict[str, list[str]] = {}
        self.runs: list[Run] = []
        self._starts: dict[str, tuple[tuple[str, int], Run]] = {}

    def register(self, name: str, kind: str) -> tuple[int, bool]:
        """The version, and whether it is new."""
        versions = self.workflows.setdefault(name, [])
        if versions and versions[-1] == kind:
            return len(versions), False
        versions.append(kind)
        return len(versions), True

    def start(self, name: str, n: int, request_id: str) -> Run | None:
        """The execution that such a start made before; None is a new one."""
        if name not in self.workflows:
            raise Refused("WORKFLOW_NOT_FOUND")
        if request_id not in self._starts:
            return None
        content, run = self._starts[request_id]
        if content != (name, n):
            raise Refused("REQUEST_ID_REUSED")
        return run

    def started(self, name: str, n: int, request_id: str, execution_id: str) -> None:
        versions = self.workflows[name]
        run = Run(execution_id, name, len(versions), versions[-1], n)
        self.runs.append(run)
        if request_id:
            self._starts[request_id] = ((name, n), run)

    def ended(self, run: Run) -> None:
        """It came to its end by itself."""
        if run.status == RUNNING:
            run.status = run.end

    def change(self, run: Run, request_id: str, status: int = RUNNING, signal: str = "") -> int:
        """Applies a command once per request id: 0 for one applied now, else its first answer.

        Raises Refused when the execution has ended.
        """
        if request_id and request_id in run.answers:
            return run.answers[request_id]
        if run.status != RUNNING:
            raise Refused("EXECUTION_ENDED")
        run.status = status
        if signal:
            run.signals.append(signal)
        return 0
