"""Manual control of single nodes of a running execution."""

from collections.abc import Collection
from typing import Any

from flowmesh.api.execution.v1 import control_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.contract.json_value import Json
from flowmesh.sdk.client.stubs import ExecutionStubs
from flowmesh.sdk.transport.connection import Connection
from flowmesh.sdk.values.payloads import UNSET


class NodeControl:
    """The nodes of one execution; each change is recorded in the history with actor and reason.

    The calls return the sequence of the event. They raise NotFound for an unknown node and
    WrongState if the state of the node does not allow the change.
    """

    def __init__(self, connection: Connection, stubs: ExecutionStubs, execution_id: str) -> None:
        self._connection = connection
        self._stubs = stubs
        self._execution_id = execution_id

    async def retry(self, node: str, *, input: Json = UNSET, reason: str = "") -> int:
        """Retry a failed node, with another input if one is given."""
        return await self._change(node, "RETRY", reason, input=input)

    async def skip(self, node: str, *, reason: str = "") -> int:
        """Skip a node; its successors start as if it had completed."""
        return await self._change(node, "SKIP", reason)

    async def complete(self, node: str, output: Json = None, *, reason: str = "") -> int:
        """Complete a node with this output without running it."""
        return await self._change(node, "COMPLETE", reason, output=output)

    async def override_output(self, node: str, output: Json, *, reason: str = "") -> int:
        """Replace the output of a completed node before any successor has started."""
        return await self._change(node, "OVERRIDE", reason, output=output)

    async def continue_(self, node: str, *, input: Json = UNSET, reason: str = "") -> int:
        """Continue a node stopped at a breakpoint, with another input if one is given."""
        return await self._change(node, "CONTINUE", reason, input=input)

    async def fail(self, node: str, *, reason: str = "") -> int:
        """Fail a held node."""
        return await self._change(node, "FAIL", reason)

    async def _change(self, node: str, action: str, reason: str, **values: Json) -> int:
        given: dict[str, Any] = {
            field: await self._connection.payloads.pack_given(value)
            for field, value in values.items()
        }
        request = pb.SteerNodeRequest(
            execution_id=self._execution_id,
            node=node,
            action=execution_pb2.NodeAction.Value(f"NODE_ACTION_{action}"),
            reason=reason,
            **given,
        )
        response = await self._connection.change(self._stubs.control.SteerNode, request)
        return response.sequence

    async def set_breakpoints(
        self, nodes: Collection[str] = (), *, everywhere: bool = False
    ) -> int:
        """Set breakpoints before these nodes, or before every node.

        Without arguments, remove all breakpoints and continue the stopped nodes.
        """
        request = pb.SetBreakpointsRequest(
            execution_id=self._execution_id, all=everywhere, nodes=sorted(nodes)
        )
        response = await self._connection.change(self._stubs.control.SetBreakpoints, request)
        return response.sequence
