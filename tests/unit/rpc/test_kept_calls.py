"""Slow and failed calls are kept for their namespace, if their caller may be in it."""

from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from flowmesh.access.rules import Rule
from flowmesh.api.history.v1 import history_service_pb2 as pb
from flowmesh.errors import Forbidden, NotFound
from flowmesh.rpc.handlers import Method
from flowmesh.telemetry import Metrics
from flowmesh.telemetry.signals import SignalQueues

PATH = "/flowmesh.api.history.v1.HistoryService/ListHistoryEvents"
ASKED = pb.ListHistoryEventsRequest(namespace="shop", execution_id="exec-1")


class Gate:
    """An access check that refuses all callers, or none."""

    def __init__(self, *, refuses: bool) -> None:
        self._refuses = refuses
        self.refusals = SimpleNamespace(note=lambda *_, **__: None)

    def check(self, rule: Rule, request: Any) -> None:
        """Refuse the call."""
        if self._refuses:
            raise Forbidden("ACCESS_DENIED", "no")


async def _missing(request: Any, _context: Any) -> Any:
    raise NotFound("EXECUTION_NOT_FOUND", "no")


@pytest.mark.parametrize(
    ("refuses", "error", "namespace"), [(False, NotFound, "shop"), (True, Forbidden, "")]
)
async def test_a_refused_call_is_of_no_namespace(
    refuses: bool, error: type[Exception], namespace: str
) -> None:
    """A caller would otherwise write into the list of another tenant, whose name is in the call."""
    metrics, gate = Metrics(SignalQueues(slow_ms=500.0)), Gate(refuses=refuses)
    handler = grpc.unary_unary_rpc_method_handler(
        _missing, pb.ListHistoryEventsRequest.FromString, bytes
    )
    checked: Any = gate
    method = Method(PATH, handler, metrics, checked)
    context: Any = SimpleNamespace(peer=lambda: "", invocation_metadata=lambda: ())
    with pytest.raises(error):
        await method.unary(ASKED, context)
    (kept,) = metrics.signals.calls
    assert (kept.method, kept.namespace) == ("ListHistoryEvents", namespace)
    assert kept.execution_id == ("" if refuses else "exec-1")
