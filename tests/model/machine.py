"""The running suite beside the reference: each rule asks both, and they must say the same."""

import json
import uuid
from collections.abc import Callable
from typing import Any, ClassVar

import grpc
from google.rpc import error_details_pb2, status_pb2
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
)

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as definitions
from flowmesh.api.definition.v1 import definition_service_pb2_grpc
from flowmesh.api.execution.v1 import execution_pb2, execution_service_pb2_grpc
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.history.v1 import history_service_pb2, history_service_pb2_grpc
from tests.model.reference import CANCELED, KINDS, RUNNING, TERMINATED, Reference, Refused, Run

CALL_S = 30.0
WAIT_MS = 20_000
DETAILS = "grpc-status-details-bin"
names = st.sampled_from(["one", "two"])
kinds = st.sampled_from([*sorted(KINDS), "waits", "waits"])  # these can be changed
numbers = st.integers(0, 3)
request_ids = st.sampled_from(["", "r1", "r2", "r3"])
changes = st.sampled_from(["", "c1", "c2"])


def reason_of(error: grpc.RpcError) -> str:
    """The reason in the details of a refusal."""
    info = error_details_pb2.ErrorInfo()
    for entry in error.trailing_metadata() or ():
        if entry.key == DETAILS:
            for detail in status_pb2.Status.FromString(entry.value).details:
                detail.Unpack(info)
    return info.reason or f"{error.code()}: {error.details()}"


class Api(RuleBasedStateMachine):
    """Any sequence of calls of one client, in a namespace of its own."""

    address: ClassVar[str] = ""
    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        self.channel = grpc.insecure_channel(self.address)
        self.executions: Any = execution_service_pb2_grpc.ExecutionServiceStub(self.channel)
        self.definitions: Any = definition_service_pb2_grpc.DefinitionServiceStub(self.channel)
        self.histories: Any = history_service_pb2_grpc.HistoryServiceStub(self.channel)
        self.model = Reference()
        self.namespace = f"model-{uuid.uuid4().hex[:12]}"

    def ask(self, method: Any, request: Any, expected: Callable[[], Any]) -> tuple[Any, Any]:
        """Compare both answers; a rejection must be the same and counts as None."""
        request.namespace = self.namespace
        said, due, found = None, "", ""
        try:
            said = expected()
        except Refused as refusal:
            due = str(refusal)
        answer = None
        try:
            answer = method(request, timeout=CALL_S)
        except grpc.RpcError as error:
            found = reason_of(error)
        assert found == due
        return answer, said

    # --- definitions ---

    @initialize(kind=kinds)
    def first(self, kind: str) -> None:
        self.register("one", kind)
        self.register("two", "waits")

    @rule(name=names, kind=kinds)
    def register(self, name: str, kind: str) -> None:
        source = json.dumps({"id": name, "steps": KINDS[kind]}).encode()
        answer, (version, created) = self.ask(
            self.definitions.RegisterWorkflow,
            definitions.RegisterWorkflowRequest(source=source),
            lambda: self.model.register(name, kind),
        )
        assert (answer.version, answer.created) == (version, created)

    # --- executions ---

    @rule(target=runs, name=names, n=numbers, request_id=request_ids)
    def start(self, name: str, n: int, request_id: str) -> Any:
        payload = payload_pb2.Payload(data=b'{"n":%d}' % n)
        answer, known = self.ask(
            self.executions.StartExecution,
            pb.StartExecutionRequest(workflow_id=name, input=payload, request_id=request_id),
            lambda: self.model.start(name, n, request_id),
        )
        if answer is None:
            return multiple()
        assert answer.created == (known is None)
        if known is not None:
            assert answer.execution_id == known.id
            return multiple()
        assert answer.execution_id not in {run.id for run in self.model.runs}
        self.model.started(name, n, request_id, answer.execution_id)
        return self.model.runs[-1]

    @rule(run=runs)
    def wait(self, run: Run) -> None:
        """Every execution that ends by itself has ended with the expected results."""
        wait_ms = WAIT_MS if run.ends_by_itself else 1
        request = pb.WaitExecutionRequest(execution_id=run.id, timeout_ms=wait_ms)
        answer, _ = self.ask(self.executions.WaitExecution, request, lambda: self._settled(run))
        assert answer.ended == (run.status != RUNNING)
        if answer.ended:
            self.compare(run, answer.execution)

    def _settled(self, run: Run) -> None:
        if run.ends_by_itself:
            self.model.ended(run)

    @rule(run=runs)
    def get(self, run: Run) -> None:
        request = pb.GetExecutionRequest(execution_id=run.id)
        answer, _ = self.ask(self.executions.GetExecution, request, lambda: None)
        self.compare(run, answer.execution)

    def compare(self, run: Run, found: execution_pb2.Execution) -> None:
        if run.status == RUNNING and run.ends_by_itself and found.status != RUNNING:
            self.model.ended(run)
        assert found.status == run.status
        assert (found.execution_id, found.workflow_id) == (run.id, run.workflow)
        assert found.workflow_version == run.version
        assert [signal.name for signal in found.signals] == run.signals
        assert [node.id for node in found.nodes] == [step["id"] for step in KINDS[run.kind]]
        ended = run.status not in (RUNNING, CANCELED, TERMINATED)
        outputs = {node.id: node.output.data for node in found.nodes if node.output.data}
        for step, value in (run.results if ended else {}).items():
            assert json.loads(outputs[step]) == value
        if run.kind == "fails" and ended:
            failure = next(node.failure for node in found.nodes if node.id == "a")
            assert getattr(failure, "class") == "TypeError"
        assert bool(found.ended_at_us) == (run.status != RUNNING)

    # --- changes ---

    def changed(self, run: Run, request_id: str, call: Any, request: Any, **change: Any) -> None:
        """A command of a caller; what ends by itself has ended before, so both know the same."""
        if run.ends_by_itself:
            self.wait(run)
        request.execution_id, request.request_id = run.id, request_id
        answer, first = self.ask(
            call, request, lambda: self.model.change(run, request_id, **change)
        )
        if answer is None:
            return
        sequence = getattr(answer, "sequence", 1)
        assert sequence > 0
        assert not first or sequence == first
        if request_id:
            run.answers.setdefault(request_id, sequence)

    @rule(run=runs, sent=st.lists(st.tuples(names, changes), min_size=1, max_size=4))
    def signal(self, run: Run, sent: list[tuple[str, str]]) -> None:
        for name, request_id in sent:
            request_id = request_id and f"s-{request_id}"
            request = pb.SignalExecutionRequest(name=name)
            self.changed(run, request_id, self.executions.SignalExecution, request, signal=name)
        self.get(run)

    @rule(run=runs, request_id=changes)
    def cancel(self, run: Run, request_id: str) -> None:
        request_id = request_id and f"c-{request_id}"
        request = pb.CancelExecutionRequest(reason="no more")
        self.changed(run, request_id, self.executions.CancelExecution, request, status=CANCELED)

    @rule(run=runs, request_id=changes)
    def terminate(self, run: Run, request_id: str) -> None:
        request_id = request_id and f"t-{request_id}"
        request = pb.TerminateExecutionRequest(reason="no more")
        self.changed(
            run, request_id, self.executions.TerminateExecution, request, status=TERMINATED
        )

    # --- reads ---

    @rule(size=st.integers(1, 3), name=st.sampled_from(["", "one", "two"]))
    def list_all(self, size: int, name: str) -> None:
        """Every execution once, newest first, for any page size."""
        found: list[str] = []
        token = ""
        while True:
            request = pb.ListExecutionsRequest(workflow_id=name, page_size=size, page_token=token)
            answer, _ = self.ask(self.executions.ListExecutions, request, lambda: None)
            found += [each.execution_id for each in answer.executions]
            token = answer.next_page_token
            if not token:
                break
        mine = [run.id for run in self.model.runs if name in ("", run.workflow)]
        assert found == mine[::-1]

    @rule(run=runs, size=st.integers(1, 5))
    def history(self, run: Run, size: int) -> None:
        """No gap and no repeat; the signals in it are those that were sent."""
        events: list[Any] = []
        while True:
            request = history_service_pb2.ListHistoryEventsRequest(
                execution_id=run.id, after=len(events), page_size=size
            )
            answer, _ = self.ask(self.histories.ListHistoryEvents, request, lambda: None)
            events += answer.events
            if not answer.next_after:
                break
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        signals = [e.signal_received.name for e in events if e.HasField("signal_received")]
        assert signals == run.signals

    @rule(name=st.sampled_from(["nobody", "no-such-thing"]))
    def unknown(self, name: str) -> None:
        def refuse() -> None:
            raise Refused("EXECUTION_NOT_FOUND")

        request = pb.GetExecutionRequest(execution_id=name)
        self.ask(self.executions.GetExecution, request, refuse)

    def teardown(self) -> None:
        """At the end each execution is what the reference says, and none is left open."""
        for run in self.model.runs:
            self.wait(run)
            if run.status == RUNNING:
                self.terminate(run, "")
        self.channel.close()
