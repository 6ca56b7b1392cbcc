"""What callers ask of executions: start, look, wait, change; forwarded to whoever owns them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as pb_grpc
from flowmesh.engine import (
    Asked,
    Breakpoints,
    Cancel,
    Pause,
    Resume,
    Signal,
    Start,
    State,
    Terminate,
)
from flowmesh.engine.state import EXECUTION_CONTINUED
from flowmesh.errors import Unavailable
from flowmesh.orchestrator.commit.starts import start_key
from flowmesh.orchestrator.model.commands import (
    Answer,
    Reply,
    Started,
    StartWork,
    Work,
    no_reply,
    start_digest,
    undo_of,
)
from flowmesh.orchestrator.model.errors import (
    Moved,
    RequestReused,
    execution_not_found,
    execution_unreadable,
    partition_unavailable,
)
from flowmesh.orchestrator.model.ids import partition_of, partition_of_key, partition_of_request
from flowmesh.orchestrator.model.messages import execution_message
from flowmesh.orchestrator.model.plans import check_breakpoints, name_of
from flowmesh.orchestrator.model.request_checks import (
    REQUEST_ID_MAX,
    TEXT_MAX,
    check_start,
    check_text,
)
from flowmesh.orchestrator.model.search_attributes import Values, start_values
from flowmesh.orchestrator.operations.deliveries import Deliveries, only_by_callers
from flowmesh.orchestrator.operations.repeats import answer_of, known_input
from flowmesh.orchestrator.owner import Orchestrator
from flowmesh.orchestrator.ownership.peers import FORWARDED, Peers
from flowmesh.orchestrator.storage.payloads import check_inline
from flowmesh.plan import Plan
from flowmesh.rpc import namespace_of, valid_id
from flowmesh.telemetry import current_traceparent

WAIT_DEFAULT_MS = 30_000
WAIT_MAX_MS = 300_000
ENDED_SHOWN_US = 60_000_000
"""An ended execution is shown from memory for as long: no namespace keeps one for less."""

FORWARD_FOR_MS = 8_000
"""How long a call looks for the owner of a partition that is changing hands."""

FORWARD_PAUSE_S = 0.05
RETRIED_REASONS = frozenset({"PARTITION_UNAVAILABLE", "SERVICE_UNAVAILABLE", "DRAINING"})

M = TypeVar("M")
if TYPE_CHECKING:
    Stub = pb_grpc.ExecutionServiceAsyncStub


class Executions:
    """The calls of ExecutionService, without their messages' wire form."""

    def __init__(self, *, core: Orchestrator, stub_at: Callable[[str], Stub]) -> None:
        self._core = core
        self.stub_at = stub_at
        self.peers = Peers(stub_at)
        self.deliveries = Deliveries(executions=self, core=core)
        core.messenger.deliver = self.deliveries.deliver
        core.on_renewed.append(self._look_at_peers)

    async def close(self) -> None:
        """Ends the streams to other orchestrators."""
        await self.peers.close()

    def _look_at_peers(self) -> None:
        self.peers.keep(self._core.ownership.peers())

    # --- start ---

    async def start(
        self, request: pb.StartExecutionRequest, *, forwarded: bool
    ) -> pb.StartExecutionResponse:
        self._core.committer.admit()
        if not forwarded:
            only_by_callers(request)
        plan = await self.plan_for(request)
        started = await self.start_planned(request, plan, forwarded=forwarded)
        execution = None
        if request.wait_ms > 0:
            asked = pb.WaitExecutionRequest(
                namespace=plan.namespace,
                execution_id=started.execution_id,
                timeout_ms=request.wait_ms,
                without_nodes=request.without_nodes,
            )
            waited = await self.wait(asked, forwarded=forwarded, begun=started.created)
            execution = waited.execution if waited.ended else None
        return pb.StartExecutionResponse(
            execution_id=started.execution_id, created=started.created, execution=execution
        )

    async def plan_for(self, request: pb.StartExecutionRequest) -> Plan:
        """The plan a start uses; refuses what is wrong with the request itself."""
        plans = self._core.plans
        name = name_of(request)
        plan = None
        if request.plan_digest:
            plan = await plans.stored(request.plan_digest, self._core.store)
        plan = plan or plans.cached(name) or await plans.resolve(name)
        check_start(request)
        if request.plan_digest:
            # What it begins with was checked by the run before it.
            return plan
        if request.breakpoints:
            check_breakpoints(plan, request.breakpoints)
        plans.check_input(plan, await self._core.payloads.given(plan.namespace, request.input))
        return plan

    async def start_planned(
        self, request: pb.StartExecutionRequest, plan: Plan, *, forwarded: bool
    ) -> Started:
        partition, key = await self.place_for(request, plan, request.input)

        async def here() -> Started:
            search: Values = ()
            if plan.search or request.labels:
                search = await self.search_values(request.labels, plan, request.input)
            known = await known_input(self._core.payloads, plan, request.input)
            return await self.begun(
                plan,
                lambda reply: self.work_for(request, plan, partition, reply, search, key, known),
            )

        async def there(address: str) -> Started:
            asked = pb.StartExecutionRequest()
            asked.CopyFrom(request)
            asked.wait_ms = 0
            if not current_traceparent():
                return await self.peers.at(address).start(asked)
            made = self.stub_at(address).StartExecution(asked, metadata=FORWARDED)
            response = await self.peers.call(address, made)
            return Started(response.execution_id, response.created)

        return await self.at_owner(partition, here, there, forwarded=forwarded)

    def partition_for(self, request: Any, plan: Plan) -> int:
        """Where an execution lives that has no line: by its request id.

        A start that came without gets an id that belongs to us: it may be sent again where no
        answer comes, or elsewhere, and creates one execution.
        """
        if not request.request_id:
            request.request_id = self._id_of_ours(plan.namespace)
        return partition_of_request(plan.namespace, request.request_id)

    def _id_of_ours(self, namespace: str) -> str:
        mine = self._core.ownership.epochs
        if not mine:
            raise partition_unavailable(0)
        while True:
            drawn = self._core.new_id(0)
            if partition_of_request(namespace, drawn) in mine:
                return drawn

    async def place_for(
        self, request: Any, plan: Plan, given: payload_pb2.Payload
    ) -> tuple[int, str]:
        """Where the execution will live, and its key where its workflow's starts are ordered.

        Whoever came without a request id has one afterwards, as with `partition_for`.
        """
        if plan.start is None or not plan.start_shared:
            return self.partition_for(request, plan), ""
        data = given.data
        if plan.start.key is not None and given.HasField("reference"):
            data = await self._core.payloads.read(plan.namespace, given.reference.digest)
        key = start_key(plan.start, data)
        partition = partition_of_key(plan.namespace, plan.workflow_id, key)
        request.request_id = request.request_id or self._core.new_id(partition)
        return partition, key

    async def begun(self, plan: Plan, made: Callable[[Reply], StartWork]) -> Started:
        """Starts an execution here, or finds the one that answers it. Raises QUEUE_FULL."""
        try:
            return await self._begun(plan, made)
        except RequestReused as reused:
            return await answer_of(self, self._core.payloads, made(no_reply), reused)

    async def _begun(self, plan: Plan, made: Callable[[Reply], StartWork]) -> Started:
        answer: Answer | None = None
        admitted, epoch = self._core.queue_sizes.admitted, 0
        if plan.start_shared:
            asked = made(no_reply)
            answer, epoch = await self._core.committer.starts.known(asked), asked.epoch

        def work(reply: Reply) -> StartWork:
            start = made(admitted(plan, reply))
            start.epoch = epoch
            return start

        answer = answer or await self.submitted(work)
        assert isinstance(answer, Started)
        return answer

    async def search_values(
        self, labels: Mapping[str, str], plan: Plan, given: payload_pb2.Payload
    ) -> Values:
        """What an execution with this input is found by from its start on."""
        data = given.data
        if plan.search and given.HasField("reference"):
            data = await self._core.payloads.read(plan.namespace, given.reference.digest)
        return start_values(labels, plan, data)

    def work_for(
        self,
        request: pb.StartExecutionRequest,
        plan: Plan,
        partition: int,
        reply: Reply,
        search: Values,
        key: str = "",
        known: payload_pb2.Payload | None = None,
    ) -> StartWork:
        traceparent = current_traceparent()
        command = Start(
            request.input, request.request_id, request.actor, traceparent, search=search, key=key
        )
        if request.permissions:
            command.permissions = tuple(sorted(set(request.permissions)))
        if request.HasField("link"):
            command.link, command.signals = request.link, request.signals
        if request.stop_everywhere or request.breakpoints:
            command.breakpoints = Breakpoints(
                request.stop_everywhere, frozenset(request.breakpoints), actor=request.actor
            )
        of = partial(start_digest, request)
        own = of(known or request.input)
        return StartWork(partition, command, reply, plan=plan, start_digest=own, digest_of=of)

    # --- look ---

    async def state(self, namespace: str, execution_id: str) -> State:
        """The state of an execution as last committed, from memory or from its rows.

        Memory is believed only while the lease is: somebody else may have gone on since. And of
        what has ended only for a minute: after that anybody may have deleted it.
        """
        await self._core.committer.settled(execution_id)
        partition, ownership = partition_of(execution_id), self._core.ownership
        entry = None
        if partition in ownership.epochs and ownership.lease_valid:
            entry = self._core.states.get(execution_id)
        if entry is not None and 0 < entry.state.ended_at_us < ownership.now_us() - ENDED_SHOWN_US:
            entry = None
        if entry is None and partition is not None:
            found = await self._core.states.load([execution_id])
            if execution_id in found.broken:
                raise execution_unreadable(execution_id)
            entry = found.get(execution_id)
        if entry is None or entry.state.plan.namespace != namespace or not entry.state.sequence:
            raise execution_not_found(execution_id)
        return entry.state

    async def wait(
        self, request: pb.WaitExecutionRequest, *, forwarded: bool, begun: bool = False
    ) -> pb.WaitExecutionResponse:
        """Waits for the end of the last run, at most as long as the request says; see `outcome`."""
        namespace, execution_id = namespace_of(request), request.execution_id
        timeout_ms = min(request.timeout_ms or WAIT_DEFAULT_MS, WAIT_MAX_MS)
        until = asyncio.get_running_loop().time() + timeout_ms / 1000
        while True:
            watch = pb.SessionWatch(
                namespace=namespace,
                execution_id=execution_id,
                want_execution=True,
                without_nodes=request.without_nodes,
            )
            ended = await self.outcome(watch, timeout_ms, forwarded=forwarded, begun=begun)
            if ended is None or ended.status != EXECUTION_CONTINUED:
                break
            execution_id = await self.deliveries.last_run(namespace, execution_id, until)
            timeout_ms = max(1, int((until - asyncio.get_running_loop().time()) * 1000))
            begun = False
        if ended is None:
            return pb.WaitExecutionResponse()
        if isinstance(ended, pb.SessionResult):
            if ended.HasField("execution"):
                return pb.WaitExecutionResponse(ended=True, execution=ended.execution)
            # Its owner runs a version that does not send it.
            ended = await self.state(namespace, execution_id)
        execution = execution_message(ended, nodes=not request.without_nodes)
        return pb.WaitExecutionResponse(ended=True, execution=execution)

    async def outcome(
        self, watch: pb.SessionWatch, timeout_ms: int, *, forwarded: bool, begun: bool = False
    ) -> State | pb.SessionResult | None:
        """The end of an execution, as its owner has it; None if it has not come in time.

        A new owner is asked when the partition moves meanwhile. Unless it has just `begun` it may
        have ended long ago, or not be there: its rows say so, whoever owns it.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_ms / 1000
        namespace, execution_id = watch.namespace, watch.execution_id
        if not begun and not self._runs_here(namespace, execution_id):
            state = await self.state(namespace, execution_id)
            if state.ended:
                return state

        async def here() -> State | pb.SessionResult | None:
            future = self._core.waiters.future(execution_id)
            timer = loop.call_at(until, _expire, future)
            try:
                if not self._runs_here(namespace, execution_id):
                    state = await self.state(namespace, execution_id)
                    if state.ended:
                        return state
                return await future
            except TimeoutError:
                return None
            finally:
                timer.cancel()
                future.cancel()

        async def there(address: str) -> State | pb.SessionResult | None:
            try:
                async with asyncio.timeout_at(until):
                    return await self.peers.at(address).outcome(watch)
            except TimeoutError:
                return None

        partition = _partition(execution_id)
        try:
            return await self.at_owner(partition, here, there, forwarded=forwarded, until=until)
        except Unavailable:
            if loop.time() >= until:
                return None
            raise

    def _runs_here(self, namespace: str, execution_id: str) -> bool:
        """Whether it is ours, in memory, and its end is still to be decided and told."""
        ownership = self._core.ownership
        entry = self._core.states.get(execution_id)
        if entry is None or not ownership.lease_valid:
            return False
        state = entry.state
        ours = partition_of(execution_id) in ownership.epochs and not state.ended
        return ours and bool(state.sequence) and state.plan.namespace == namespace

    # --- change ---

    async def cancel(self, request: pb.CancelExecutionRequest, *, forwarded: bool) -> None:
        command = Cancel(request.reason, request.request_id, request.actor, undo_of(request))
        await self._steer(request, command, "CancelExecution", forwarded)

    async def pause(self, request: pb.PauseExecutionRequest, *, forwarded: bool) -> None:
        command = Pause(request.reason, request.request_id, request.actor)
        await self._steer(request, command, "PauseExecution", forwarded)

    async def resume(self, request: pb.ResumeExecutionRequest, *, forwarded: bool) -> None:
        command = Resume(request.reason, request.request_id, request.actor)
        await self._steer(request, command, "ResumeExecution", forwarded)

    async def terminate(self, request: pb.TerminateExecutionRequest, *, forwarded: bool) -> None:
        command = Terminate(request.reason, request.request_id, request.actor, undo_of(request))
        await self._steer(request, command, "TerminateExecution", forwarded)

    async def _steer(self, request: Any, command: Asked, rpc: str, forwarded: bool) -> None:
        check_text(request.reason, "reason", TEXT_MAX)

        def call(stub: Any) -> Awaitable[Any]:
            answer: Awaitable[Any] = getattr(stub, rpc)(request, metadata=FORWARDED)
            return answer

        await self.change(request, command, call, forwarded)

    async def signal(
        self, request: pb.SignalExecutionRequest, *, forwarded: bool, keyed: bool = False
    ) -> pb.SignalExecutionResponse:
        if not (forwarded or keyed):
            valid_id(request.name, "name")
        check_inline(request.payload, "payload")
        await self._core.payloads.require(namespace_of(request), request.payload)
        command = Signal(request.name, request.payload, request.request_id, request.actor)
        sequence = await self.change(
            request,
            command,
            lambda stub: stub.SignalExecution(request, metadata=FORWARDED),
            forwarded,
        )
        if isinstance(sequence, pb.SignalExecutionResponse):
            return sequence
        return pb.SignalExecutionResponse(sequence=sequence)

    async def change(
        self,
        request: Any,
        command: Asked,
        call: Callable[[Any], Awaitable[Any]],
        forwarded: bool,
        stub_at: Callable[[str], Any] | None = None,
    ) -> Any:
        """Applies a command once, where its execution is owned; `call` asks another owner the same.

        One that came without a request id gets one: it may be sent again where no answer comes.
        """
        namespace = namespace_of(request)
        check_text(request.request_id, "request_id", REQUEST_ID_MAX)
        check_text(request.actor, "actor", TEXT_MAX)
        execution_id = request.execution_id
        await self.state(namespace, execution_id)
        partition = _partition(execution_id)
        if not request.request_id:
            request.request_id = command.request_id = self._core.new_id(partition)
        stub_at = stub_at or self.stub_at

        async def here() -> Answer:
            return await self.submitted(lambda reply: Work(execution_id, partition, command, reply))

        async def there(address: str) -> Any:
            return await self.peers.call(address, call(stub_at(address)))

        return await self.at_owner(partition, here, there, forwarded=forwarded)

    # --- owners ---

    async def submitted(self, work: Callable[[Reply], Work]) -> Answer:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def reply(answer: Answer | Exception) -> None:
            if future.done():
                return
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

        self._core.committer.submit(work(reply))
        return await future

    async def at_owner(
        self,
        partition: int,
        here: Callable[[], Awaitable[M]],
        there: Callable[[str], Awaitable[M]],
        *,
        forwarded: bool,
        until: float | None = None,
    ) -> M:
        """Runs a call where the partition is owned, looking for the owner while it changes."""
        ownership = self._core.ownership
        loop = asyncio.get_running_loop()
        limit = until or loop.time() + FORWARD_FOR_MS / 1000
        while True:
            try:
                if partition in ownership.epochs:
                    return await here()
                if forwarded:
                    raise partition_unavailable(partition)
                address = ownership.owner_address(partition)
                if address is not None:
                    return await there(address)
            except Moved:
                if forwarded:
                    raise partition_unavailable(partition) from None
            except Unavailable as error:
                if forwarded or error.reason not in RETRIED_REASONS:
                    raise
            if loop.time() >= limit:
                raise partition_unavailable(partition)
            await asyncio.sleep(FORWARD_PAUSE_S)


def _expire(future: asyncio.Future[State]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())


def _partition(execution_id: str) -> int:
    partition = partition_of(execution_id)
    if partition is None:
        raise execution_not_found(execution_id)
    return partition
