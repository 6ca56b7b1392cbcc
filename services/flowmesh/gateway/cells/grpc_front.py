"""gRPC calls of the gateway that are for another cell: unary and streams, as bytes."""

from __future__ import annotations  # grpc's types take parameters in stubs only

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from google.protobuf import message_factory
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import DecodeError, Message

from flowmesh.access.rules import Rule, rule_of
from flowmesh.access.service_tokens import METADATA_KEY, PEER
from flowmesh.api.common.v1.access_pb2 import AccessGroup
from flowmesh.api.execution.v1.execution_service_pb2 import SessionRequest
from flowmesh.cells import (
    DEFAULT,
    MOVE_HEADER,
    SOURCE_HEADER,
    Cell,
    cell_of,
    place_of_token,
)
from flowmesh.errors import FlowmeshError
from flowmesh.gateway.cells.front import HOP, Front, answered_by_another, silent
from flowmesh.rpc.status import Unreachable, abort, error_of
from flowmesh.runtime.projects.cell_targets import CellTargets

if TYPE_CHECKING:
    from flowmesh.rpc.handlers import Behaviour, Method

# Fields with an id that says its cell.
_LINK = "token"
_IDS = ("execution_id", "bulk_id", "task_token", _LINK)
# Metadata of a connection, or of a caller inside the suite; all else is forwarded.
_NOT_FORWARDED = (":", "grpc-", "user-agent", PEER, METADATA_KEY, HOP)
# Calls that change a project; those of workers go on while it moves.
_UNCHANGING = frozenset(
    {AccessGroup.ACCESS_GROUP_PUBLIC, AccessGroup.ACCESS_GROUP_READ, AccessGroup.ACCESS_GROUP_WORK}
)
HOME_CHECK_S = 1.0
"""Time between two looks at the home of the project of a stream that is served here."""

# An agent is one of the fleet that has started it, also while its project moves.
_OF_THIS_CELL = frozenset({"AgentService.Attend"})
LAST_ANSWERS_S = 1.0
"""Time for the answers of what a stream has sent before its project has another home."""


class GrpcFront:
    """Serves the calls of this cell, and forwards the others on one connection to each cell."""

    def __init__(self, front: Front, targets: CellTargets) -> None:
        self._front = front
        self._targets = targets

    def around(self, method: Method, serve: Behaviour) -> Behaviour:
        """Return what serves the calls of a method from a socket."""
        rule = rule_of(method.path)
        if rule is None or rule.is_for_services or rule.method in _OF_THIS_CELL:
            return serve
        aim = _Aim(method.path, rule)
        if method.response_streaming:
            return self._streaming(method, aim, serve)
        return self._answering(method, aim, serve)

    def _answering(self, method: Method, aim: _Aim, serve: Behaviour) -> Behaviour:
        async def answer(request: Any, context: Any) -> Any:
            try:
                cell, sent = await self._routed(method, aim, request, context)
                if cell is not None:
                    call = self._call(method, cell, sent, context)
                    return await self._one(cell, call)
            except FlowmeshError as error:
                failure = error.with_traceback(None)
            else:
                return await serve(sent, context)
            return await abort(context, failure)

        return answer

    def _streaming(self, method: Method, aim: _Aim, serve: Behaviour) -> Behaviour:
        async def answer(request: Any, context: Any) -> AsyncIterator[Any]:
            failure = None
            try:
                cell, sent = await self._routed(method, aim, request, context)
                if cell is not None:
                    async for response in self._many(cell, self._call(method, cell, sent, context)):
                        yield response
                    return
            except FlowmeshError as error:
                failure = error.with_traceback(None)
            if failure is not None:
                await abort(context, failure)
            responses = serve(sent, context)
            if not method.request_streaming:
                responses = self._while_here(aim, sent, context, responses)
            try:
                async with aclosing(responses):
                    async for response in responses:
                        yield response
            except FlowmeshError as error:
                failure = error.with_traceback(None)
            if failure is not None:
                await abort(context, failure)

        return answer

    async def _while_here(
        self, aim: _Aim, request: Any, context: Any, responses: AsyncGenerator[Any, None]
    ) -> AsyncGenerator[Any, None]:
        """Yield responses until their project has another home; then refuse with its address."""
        own, move = str(self._front.own.number), _value(context.invocation_metadata(), MOVE_HEADER)
        following: asyncio.Future[Any] | None = None
        try:
            while True:
                following = following or asyncio.ensure_future(anext(responses, None))
                await asyncio.wait({following}, timeout=HOME_CHECK_S)
                if following.done():
                    response, following = following.result(), None
                    if response is None:
                        return
                    yield response
                else:
                    self._place(aim, request, own, move)
        finally:
            if following is not None:
                following.cancel()
                await asyncio.wait({following})
            await responses.aclose()

    async def _routed(
        self, method: Method, aim: _Aim, request: Any, context: Any
    ) -> tuple[Cell | None, Any]:
        """Return the other cell of a call, or None, and its request or stream of requests."""
        metadata = context.invocation_metadata()
        hop, move, source = (_value(metadata, name) for name in (HOP, MOVE_HEADER, SOURCE_HEADER))
        if hop:
            await context.send_initial_metadata(((HOP, str(self._front.own.number)),))
        if not method.request_streaming:
            return self._place(aim, request, hop, move, source), request
        requests = aiter(request)
        first = await anext(requests, None)
        cell = self._place(aim, first, hop, move, source) if first is not None else None
        return cell, self._again(aim, first, requests, hop or move, here=cell is None)

    def _place(
        self,
        aim: _Aim,
        request: Any,
        hop: str,
        move: str = "",
        source: str = "",
        *,
        first: bool = True,
    ) -> Cell | None:
        message = aim.message(request)
        if message is None:
            # It is answered as malformed.
            return None
        return self._front.elsewhere(
            aim.namespaces(message, self._front.own.number, first=first),
            id_cell=aim.cell(message),
            hop=hop,
            changes=aim.rule.group not in _UNCHANGING,
            move=move,
            source=source,
        )

    async def _again(
        self, aim: _Aim, first: Any, others: AsyncIterator[Any], hop: str, *, here: bool
    ) -> AsyncIterator[Any]:
        """Yield the messages of a stream; one that is served here has none of other cells."""
        if first is None:
            return
        yield first
        async for each in others:
            try:
                if here:
                    # Not forwarded in the middle of a stream: the caller gets the address.
                    self._place(aim, each, hop or str(self._front.own.number), first=False)
            except FlowmeshError:
                # The caller repeats what has no answer, at another cell.
                await asyncio.sleep(LAST_ANSWERS_S)
                raise
            yield each

    def _call(self, method: Method, cell: Cell, sent: Any, context: Any) -> Any:
        ways = ("stream" if method.request_streaming else "unary") + (
            "_stream" if method.response_streaming else "_unary"
        )
        call = self._targets.at(cell.grpc).callable(ways, method.path, None, None)
        data = _each(sent) if method.request_streaming else _bytes_of(sent)
        metadata = (*_forwarded(context.invocation_metadata() or ()), (HOP, str(cell.number)))
        return call(data, timeout=context.time_remaining(), metadata=metadata)

    async def _one(self, cell: Cell, call: Any) -> Any:
        try:
            answer = await call
            await self._check(cell, call)
        except grpc.aio.AioRpcError as error:
            raise await self._failure(cell, call, error) from None
        return answer

    async def _many(self, cell: Cell, call: Any) -> AsyncIterator[Any]:
        try:
            await self._check(cell, call)
            async for response in call:
                yield response
        except grpc.aio.AioRpcError as error:
            raise await self._failure(cell, call, error) from None
        finally:
            call.cancel()

    async def _failure(self, cell: Cell, call: Any, error: grpc.aio.AioRpcError) -> FlowmeshError:
        failure = error_of(error)
        if isinstance(failure, Unreachable):
            return silent(cell)
        if _number(await call.initial_metadata()) != str(cell.number):
            return answered_by_another(cell)
        return failure

    async def _check(self, cell: Cell, call: Any) -> None:
        if _number(await call.initial_metadata()) != str(cell.number):
            # A call that has failed says why.
            if call.done() and await call.code() is not grpc.StatusCode.OK:
                await call
            raise answered_by_another(cell)


class _Aim:
    """Reads from the requests of a method where they belong."""

    def __init__(self, path: str, rule: Rule) -> None:
        service, _, name = path.lstrip("/").rpartition("/")
        kind = Default().FindServiceByName(service).methods_by_name[name].input_type
        self.rule = rule
        self._class = message_factory.GetMessageClass(kind)
        self._ids = tuple(name for name in _IDS if name in kind.fields_by_name)

    def message(self, request: Any) -> Message | None:
        """Return a request as a message; None if it is malformed."""
        if isinstance(request, bytes):
            try:
                return self._class.FromString(request)
            except DecodeError:
                return None
        return request if isinstance(request, Message) else None

    def namespaces(self, message: Message, own: int, *, first: bool) -> list[str]:
        """Return the namespaces of a request; a watch of an execution of this cell names none."""
        if not isinstance(message, SessionRequest):
            place = self._place_of_token(message)
            return list(self.rule.named_in(message, first)) or ([place[0]] if place else [])
        starts = [each.start.namespace for each in message.starts]
        watches = [w.namespace for w in message.watches if cell_of(w.execution_id) != own]
        return [each or DEFAULT for each in (*starts, *watches)]

    def cell(self, message: Message) -> int | None:
        """Return the cell of an id of a request."""
        for name in self._ids:
            found = cell_of(str(getattr(message, name)))
            if found is not None:
                return found
        place = self._place_of_token(message)
        return place[1] if place is not None else None

    def _place_of_token(self, message: Message) -> tuple[str, int] | None:
        return place_of_token(str(getattr(message, _LINK))) if _LINK in self._ids else None


async def _each(requests: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    async for request in requests:
        yield _bytes_of(request)


def _bytes_of(request: Any) -> bytes:
    return request if isinstance(request, bytes) else request.SerializeToString()


def _number(metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
    return _value(metadata, HOP)


def _value(metadata: Iterable[tuple[str, str | bytes]] | None, name: str) -> str:
    return next((str(value) for key, value in metadata or () if key == name), "")


def _forwarded(
    metadata: Iterable[tuple[str, str | bytes]],
) -> Iterable[tuple[str, str | bytes]]:
    return [(key, value) for key, value in metadata if not key.startswith(_NOT_FORWARDED)]
