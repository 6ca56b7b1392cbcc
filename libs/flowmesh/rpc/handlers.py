"""Methods of servicers with common handling of errors, deadline, trace, access and metrics.

A gRPC server and in-process channels use the same wrapped methods, so that both behave equally.
A wrapped method raises only FlowmeshError and cancellation.
"""

from __future__ import annotations  # grpc.aio types take parameters in stubs only

import asyncio
import inspect
import math
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
)
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import Any, Final

import asyncpg
import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError
from prometheus_client import Counter, Histogram

from flowmesh.access.audited import enter_audited, leave_audited
from flowmesh.access.authorization import Authorization
from flowmesh.access.principal import DEFAULT_NAMESPACE, acting_as, http_address
from flowmesh.access.refusals import REFUSED
from flowmesh.access.rules import Rule, rule_of
from flowmesh.errors import FlowmeshError, Invalid, Unavailable, Unimplemented
from flowmesh.rpc.addresses import address_of
from flowmesh.rpc.coroutines import as_generator, as_stream_unary
from flowmesh.rpc.forward import caller_address
from flowmesh.rpc.scope import enter_call
from flowmesh.rpc.status import abort, deadline_error, internal_error
from flowmesh.telemetry.context import current_traceparent, trace_id_of
from flowmesh.telemetry.metrics import Metrics
from flowmesh.telemetry.signals import KeptCall

STORAGE_RETRY_MS = 500
EXEMPLAR_S = 0.025
"""Calls that take longer leave their trace id beside the histogram of durations."""

STORAGE_ERRORS = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    # None of the servers in an address is the primary.
    asyncpg.TargetServerAttributeNotMatched,
    ConnectionError,
)


class Malformed:
    """The placeholder for bytes that are not a message of the method."""


MALFORMED = Malformed()


STARTS: Final = "ExecutionService.StartExecution"
"""The call that is kept although it was quick and good, as the beginning of an execution."""


class Method:
    """A method of a servicer with its common handling."""

    def __init__(
        self,
        path: str,
        handler: grpc.RpcMethodHandler[Any, Any],
        metrics: Metrics,
        authorization: Authorization | None = None,
    ) -> None:
        self.path = path
        self._signals = metrics.signals
        slow_ms = self._signals.slow_ms
        self._slow_s = math.inf if slow_ms is None else slow_ms / 1_000
        self._authorization = authorization
        # Also without access control: it raises for a method without an access rule.
        self._rule = rule_of(path)
        self.request_streaming = bool(handler.request_streaming)
        self.response_streaming = bool(handler.response_streaming)
        self.deserialize = handler.request_deserializer
        self.serialize = handler.response_serializer
        call = _behaviour(handler)
        # Answers that are forwarded as bytes are masked where they are made.
        self._shows = (
            authorization is not None
            and self._rule is not None
            and self._rule.shows_values
            and self.deserialize is not bytes
        )
        # The process that serves a call notes a refusal, and the caller of an internal method.
        self._notes = False
        if authorization is not None and self._rule is not None:
            self._notes = self.deserialize is not bytes and not self._rule.is_for_services
            if self._rule.audit and not self.response_streaming:
                call = _audited(call, self._rule)
            call = _as_service(call) if self._rule.is_public else call
        self._call = call
        service, _, name = path.lstrip("/").rpartition("/")
        self._log = structlog.get_logger("flowmesh.rpc").bind(service=service, method=name)
        labels = (service.rpartition(".")[2], name)
        self._name = ".".join(labels)
        self._starts = self._name == STARTS and self.deserialize is not bytes
        calls = metrics.counter(
            "flowmesh_rpc_total", "Calls served, by outcome.", ("service", "method", "code")
        )
        self._calls = calls
        self._labels = labels
        self._counts: dict[str, Counter] = {}
        self._all_seconds = metrics.histogram(
            "flowmesh_rpc_seconds", "Time to serve a unary call.", ("service", "method")
        )
        # Made at the first call: most methods of a process are never called.
        self._seconds: Histogram | None = None

    async def unary(self, request: Any, context: Any) -> Any:
        """Serve a call with one response."""
        started, admitted = time.perf_counter(), False
        try:
            asked = self._admitted(request, context)
            admitted = True
            response = await self._call(asked, context)
            if self._shows:
                response = self._shown(request, response, context)
        except BaseException as error:  # noqa: BLE001 translated, never dropped
            # Not in a name: the frame that its traceback has would hold itself, and the request.
            about = request if admitted else None
            raise self._kept(error, request, context, about, started) from None
        self._counted("OK")
        seconds = time.perf_counter() - started
        self._timed(seconds)
        if seconds >= self._slow_s and not _waits(request):
            self._keep(request, "OK", seconds)
        elif self._starts:
            self._keep(request, "OK", seconds, response.execution_id)
        return response

    async def stream(self, request: Any, context: Any) -> AsyncGenerator[Any, None]:
        """Serve a call with a stream of responses."""
        try:
            async with aclosing(self._call(self._admitted(request, context), context)) as responses:
                async for response in responses:
                    yield self._shown(request, response, context) if self._shows else response
        except GeneratorExit:
            self._counted("CANCELLED")
            raise
        except BaseException as error:  # noqa: BLE001 translated, never dropped
            raise self._translated(error, request, context) from None
        self._counted("OK")

    async def authenticate(self, context: Any) -> None:
        """Set the principal of a call from a socket."""
        if self._authorization is not None:
            metadata, address = context.invocation_metadata(), address_of(context.peer())
            try:
                await self._authorization.admit(self._rule, metadata, address, context.auth_context)
            except REFUSED as error:
                self._authorization.refusals.note(error, self._name, address=address)
                raise

    def revocable(self) -> AbstractContextManager[None]:
        """Inside the block, the call ends when its credential is revoked."""
        return nullcontext() if self._authorization is None else self._authorization.revocable()

    def _admitted(self, request: Any, context: Any) -> Any:
        """Return the request or the stream of requests after the access check."""
        if request is MALFORMED:
            raise _malformed(self.path)
        if self._authorization is None or self._rule is None:
            return request
        if self.request_streaming:
            return self._checked(self._authorization, self._rule, request, context)
        try:
            self._authorization.check(self._rule, request)
        except REFUSED as error:
            self._note_refusal(error, request, context)
            raise
        return request

    async def _checked(
        self, authorization: Authorization, rule: Rule, requests: Any, context: Any
    ) -> AsyncIterator[Any]:
        """Yield the messages of a stream, each after its check."""
        first = True
        async for request in requests:
            try:
                authorization.check(rule, request, first=first)
            except REFUSED as error:
                self._note_refusal(error, request, context)
                raise
            first = False
            yield request

    def _shown(self, request: Any, response: Any, context: Any) -> Any:
        """Return what the caller may see of a response."""
        assert self._authorization is not None
        assert self._rule is not None
        return self._authorization.shown(
            self._rule, request, response, lambda: caller_address(context, http_address())
        )

    def _counted(self, code: str) -> None:
        child = self._counts.get(code)
        if child is None:
            child = self._counts[code] = self._calls.labels(*self._labels, code)
        child.inc()

    def _timed(self, seconds: float) -> None:
        if self._seconds is None:
            self._seconds = self._all_seconds.labels(*self._labels)
        trace_id = trace_id_of(current_traceparent()) if seconds >= EXEMPLAR_S else ""
        self._seconds.observe(seconds, {"trace_id": trace_id} if trace_id else None)

    def _kept(
        self, error: BaseException, request: Any, context: Any, about: Any, started: float
    ) -> BaseException:
        """Return the translated error of a call, which is kept; `about` is an admitted request."""
        failure = self._translated(error, request, context)
        self._keep(about, getattr(failure, "grpc_code", ""), time.perf_counter() - started)
        return failure

    def _keep(self, request: Any, code: str, seconds: float, started: str = "") -> None:
        """Keep a call that was slow or failed, or has started an execution; "" is the code of a
        canceled one.

        One without a request, which was refused, is that of no tenant: it may name any.
        """
        rule = self._rule
        if self._slow_s == math.inf or not code or rule is None or rule.is_for_services:
            return
        if not self._signals.has_room(started=bool(started)):
            return
        service, method = self._labels
        namespace = getattr(request, "namespace", None)
        self._signals.calls.append(
            KeptCall(
                at_us=time.time_ns() // 1_000,
                service=service,
                method=method,
                code=code,
                duration_ms=seconds * 1_000,
                # Of a request without namespace it is that of no tenant.
                namespace="" if namespace is None else str(namespace) or DEFAULT_NAMESPACE,
                execution_id=started or str(getattr(request, "execution_id", "")),
                trace_id=trace_id_of(current_traceparent()),
            )
        )

    def _note_refusal(self, error: FlowmeshError, request: Any, context: Any) -> None:
        """Count an error that is a refusal, and keep it for the audit log."""
        if self._authorization is not None and isinstance(error, REFUSED):
            # A request that is forwarded is bytes here.
            default = "" if self.deserialize is bytes else DEFAULT_NAMESPACE
            namespace = str(getattr(request, "namespace", "")) or default
            address = caller_address(context, http_address())
            self._authorization.refusals.note(
                error, self._name, namespace=namespace, address=address
            )

    def _translated(self, error: BaseException, request: Any, context: Any) -> BaseException:
        """Return the error for the caller."""
        if isinstance(error, FlowmeshError):
            found: FlowmeshError = error
            if self._notes:
                self._note_refusal(error, request, context)
        elif isinstance(error, (asyncio.CancelledError, GeneratorExit, grpc.aio.AbortError)):
            self._counted("CANCELLED")
            return error
        elif isinstance(error, TimeoutError):
            self._log.warning("call_timed_out")
            found = deadline_error()
        elif isinstance(error, NotImplementedError):
            found = Unimplemented("UNIMPLEMENTED", f"{self.path} is not served here")
        elif isinstance(error, STORAGE_ERRORS):
            self._log.warning("storage_unavailable", problem=type(error).__name__)
            text = "no response from the database; try again"
            found = Unavailable("STORAGE_UNAVAILABLE", text, retry_after_ms=STORAGE_RETRY_MS)
        elif isinstance(error, asyncpg.CharacterNotInRepertoireError):
            found = Invalid("STRING_HAS_NUL", "a text of the request contains a NUL character")
        elif isinstance(error, Exception):
            self._log.error("call_failed", exc_info=error)
            found = internal_error()
        else:
            return error
        self._counted(found.grpc_code)
        return found


def _waits(request: Any) -> bool:
    """Return whether the caller asked to wait for an end, which is not slow."""
    return bool(getattr(request, "wait_ms", 0) or getattr(request, "timeout_ms", 0))


def _behaviour(handler: grpc.RpcMethodHandler[Any, Any]) -> Callable[..., Any]:
    found = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    assert found is not None
    if not inspect.iscoroutinefunction(found):
        return found
    if handler.response_streaming:
        return as_generator(found)
    return as_stream_unary(found) if handler.request_streaming else found


def _as_service(call: Callable[..., Any]) -> Callable[..., Any]:
    """Let a public method, which verifies the token in its request itself, call other services."""

    async def unary(request: Any, context: Any) -> Any:
        with acting_as(None):
            return await call(request, context)

    return unary


def _audited(call: Callable[..., Any], rule: Rule) -> Callable[..., Any]:
    """Attribute the changes that the call makes to its caller and method."""

    async def unary(request: Any, context: Any) -> Any:
        address = _CallerAddress(context)
        entered = enter_audited(rule, address.read)
        try:
            return await call(request, context)
        finally:
            leave_audited(entered)
            address.end()

    return unary


class _CallerAddress:
    """The address of the caller of an audited call, found when a change first needs it.

    Tasks that the call started may outlive it, and gRPC frees the context at its end: reading the
    peer of a freed context crashes the process.
    """

    def __init__(self, context: Any) -> None:
        self._context = context
        self._known = ""

    def read(self) -> str:
        if self._context is not None:
            self._known = caller_address(self._context, http_address())
            self._context = None
        return self._known

    def end(self) -> None:
        self._context = None


def _malformed(path: str) -> Invalid:
    return Invalid("MESSAGE_MALFORMED", f"the bytes are not a request of {path}")


Behaviour = Callable[[Any, Any], Any]
# Returns what serves the calls of a method from a socket: its own behaviour, or one around it.
Around = Callable[[Method, Behaviour], Behaviour]


class Handlers:
    """The methods of all servicers; an argument of the generated `add_..._to_server` functions."""

    def __init__(self, metrics: Metrics, authorization: Authorization | None = None) -> None:
        self.methods: dict[str, Method] = {}
        self.services: set[str] = set()
        self._metrics = metrics
        self._authorization = authorization
        self._around: Around | None = None

    def surround(self, around: Around) -> None:
        """Serve the calls from sockets by what `around` returns; before `install`."""
        self._around = around

    def add_generic_rpc_handlers(self, handlers: Iterable[object]) -> None:
        """Do nothing: `add_registered_method_handlers` receives the same methods."""

    def add_registered_method_handlers(
        self, service: str, handlers: dict[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        self.services.add(service)
        for name, handler in handlers.items():
            path = f"/{service}/{name}"
            self.methods[path] = Method(path, handler, self._metrics, self._authorization)

    def install(self, server: grpc.aio.Server) -> None:
        """Add all methods to a gRPC server before it starts."""
        served = {path: _served(method, self._around) for path, method in self.methods.items()}
        server.add_generic_rpc_handlers((_ByPath(served),))


class _ByPath(grpc.GenericRpcHandler):
    """All methods of a server by path. gRPC would ask a handler of each service in turn."""

    def __init__(self, served: Mapping[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        self._served = served

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        return self._served.get(details.method)


def _served(method: Method, around: Around | None = None) -> grpc.RpcMethodHandler[Any, Any]:
    """Return the handler of the method for a gRPC server."""
    deserialize = _lenient(method.deserialize)
    serialize = method.serialize
    if method.request_streaming:
        make = grpc.stream_stream_rpc_method_handler
        if not method.response_streaming:
            make = grpc.stream_unary_rpc_method_handler
    else:
        make = grpc.unary_stream_rpc_method_handler
        if not method.response_streaming:
            make = grpc.unary_unary_rpc_method_handler
    behaviour: Any = _serve_stream(method) if method.response_streaming else _serve_unary(method)
    if around is not None:
        behaviour, serialize = around(method, behaviour), _bytes_or(serialize)
    return make(behaviour, request_deserializer=deserialize, response_serializer=serialize)


def _bytes_or(serialize: Callable[[Any], bytes] | None) -> Callable[[Any], bytes]:
    """Return a serializer that leaves the bytes of a forwarded answer as they are."""
    assert serialize is not None

    def serialized(answer: Any) -> bytes:
        return answer if isinstance(answer, bytes) else serialize(answer)

    return serialized


def _serve_unary(method: Method) -> Callable[..., Any]:
    async def serve(request: Any, context: Any) -> Any:
        enter_call(context.invocation_metadata(), context.time_remaining())
        if method.request_streaming:
            request = _well_formed(request, method.path)
        try:
            await method.authenticate(context)
            return await method.unary(request, context)
        except FlowmeshError as error:
            failure = error.with_traceback(None)
        del request  # gRPC references this frame until a garbage collection
        return await abort(context, failure)

    return serve


def _serve_stream(method: Method) -> Callable[..., Any]:
    async def serve(request: Any, context: Any) -> AsyncIterator[Any]:
        enter_call(context.invocation_metadata(), context.time_remaining())
        if method.request_streaming:
            request = _well_formed(request, method.path)
        failure = None
        try:
            await method.authenticate(context)
            with method.revocable():
                async with aclosing(method.stream(request, context)) as responses:
                    async for response in responses:
                        yield response
        except FlowmeshError as error:
            failure = error.with_traceback(None)
        del request  # as above
        if failure is not None:
            await abort(context, failure)

    return serve


async def _well_formed(requests: AsyncIterable[Any], path: str) -> AsyncIterator[Any]:
    messages: Any = aiter(requests)
    # Close the iterator: gRPC's own one references the last message until a collection.
    async with aclosing(messages):
        async for request in messages:
            if request is MALFORMED:
                raise _malformed(path)
            yield request


def _lenient(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """Return a parser that yields MALFORMED, so that the method responds with its own error."""
    assert deserialize is not None

    def parse(data: bytes) -> Any:
        try:
            return deserialize(data)
        except (DecodeError, UnicodeDecodeError, ValueError):
            return MALFORMED

    return parse
