"""Bytes to any method of any service, and how the calls end."""

import asyncio
from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor
from google.rpc import error_details_pb2, status_pb2

from flowmesh.errors import REASONS

GENERATED = Path(__file__).resolve().parents[2] / "gen" / "python"
MODULES: tuple[Any, ...] = tuple(
    import_module(file.relative_to(GENERATED).with_suffix("").as_posix().replace("/", "."))
    for file in sorted(GENERATED.glob("flowmesh/api/*/v1/*_service_pb2.py"))
)
METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
KEY = "grpc-status-details-bin"
# What stays open for so long has taken the message.
OPEN_S = 1.0
ANSWERED_S = 10.0
# Unary calls that may be asked to wait for the end of an execution.
WAITS = ("StartExecution", "WaitExecution")


class Outcome:
    """How a call ended: its code, and the reason that its ErrorInfo names."""

    def __init__(self, code: str, reason: str = "", domain: str = "") -> None:
        self.code, self.reason, self.domain = code, reason, domain

    def __repr__(self) -> str:
        return f"{self.code}/{self.reason}"


def kind_of(method: MethodDescriptor) -> str:
    """How the method is called: `unary_unary` and so on."""
    kinds = ("unary", "stream")
    return f"{kinds[method.client_streaming]}_{kinds[method.server_streaming]}"


async def send(
    channel: grpc.aio.Channel,
    path: str,
    data: bytes,
    *,
    kind: str = "",
    open_s: float = OPEN_S,
    **options: Any,
) -> Outcome:
    """Sends bytes as the only request of a call and waits for its end; `open_s` for a stream's."""
    method = METHODS.get(path)
    waits = method is not None and (method.server_streaming or method.name in WAITS)
    kind = kind or kind_of(METHODS[path])
    request: Any = _only(data) if kind.startswith("stream") else data
    call = getattr(channel, kind)(path)(request, **options)
    try:
        async with asyncio.timeout(open_s if waits else ANSWERED_S):
            if kind.endswith("unary"):
                await call
            else:
                while await call.read() is not grpc.aio.EOF:
                    pass
    except TimeoutError:
        return Outcome("OPEN" if waits else "SILENT")
    except grpc.aio.AioRpcError as error:
        return _outcome(error)
    finally:
        call.cancel()
    return Outcome("OK")


async def _only(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _outcome(error: grpc.aio.AioRpcError) -> Outcome:
    info = error_details_pb2.ErrorInfo()
    for key, value in error.trailing_metadata() or ():
        if key == KEY:
            for detail in status_pb2.Status.FromString(value).details:
                detail.Unpack(info)
    return Outcome(error.code().name, info.reason, info.domain)


def documented(outcome: Outcome) -> bool:
    """Served, held open, or refused with a known reason whose code this is."""
    if outcome.code in ("OK", "OPEN"):
        return True
    known = REASONS.get(outcome.reason)
    fits = known is not None and known.error.grpc_code == outcome.code
    return fits and outcome.domain == "flowmesh" and outcome.reason != "INTERNAL"
