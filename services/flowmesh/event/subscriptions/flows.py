"""SignalFlow events, derived from the dependencies of a scheduled task."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from flowmesh.api.event.v1 import event_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2, execution_service_pb2_grpc

GRAPHS_MAX: Final = 256

Dependencies = Mapping[str, Sequence[str]]


class Flows:
    """Dependencies of recently watched executions."""

    def __init__(
        self, *, executions: "execution_service_pb2_grpc.ExecutionServiceAsyncStub"
    ) -> None:
        self._executions = executions
        self._graphs: OrderedDict[tuple[str, str], Dependencies] = OrderedDict()

    async def of(self, scheduled: pb.LifecycleEvent) -> AsyncIterator[pb.LifecycleEvent]:
        """Yield an event per dependency of the scheduled node."""
        graph = await self._graph(scheduled.namespace, scheduled.execution_id)
        node = scheduled.event.task_scheduled.node
        for dependency in graph.get(node, ()):
            flow = pb.LifecycleEvent()
            flow.CopyFrom(scheduled)
            flow.signal_flow.from_node = dependency
            flow.signal_flow.to_node = node
            yield flow

    async def _graph(self, namespace: str, execution_id: str) -> Dependencies:
        key = (namespace, execution_id)
        graph = self._graphs.get(key)
        if graph is None:
            request = execution_service_pb2.GetExecutionRequest(
                namespace=namespace, execution_id=execution_id
            )
            answer = await self._executions.GetExecution(request)
            graph = {node.id: tuple(node.dependencies) for node in answer.execution.nodes}
            self._graphs[key] = graph
            if len(self._graphs) > GRAPHS_MAX:
                self._graphs.popitem(last=False)
        self._graphs.move_to_end(key)
        return graph
