"""A server of all methods that gives the answers of a test and keeps the requests."""

import base64
import importlib
import io
import json
import pkgutil
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

import flowmesh.api
from flowmesh.cli.command_line import run
from flowmesh.errors import REASONS, FlowmeshError, Unimplemented, Violation
from flowmesh.rpc.status import DETAILS_KEY, status_of

THREADS = 8
ADDRESS = "127.0.0.1:7450"
"""In transcripts, the address of the suite."""
RANDOM_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LARGE = (
    FieldDescriptor.TYPE_INT64,
    FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_SINT64,
    FieldDescriptor.TYPE_FIXED64,
    FieldDescriptor.TYPE_SFIXED64,
)


class ScriptedSuite(grpc.GenericRpcHandler):
    """Answers by method name: a message as JSON, `{"error": REASON, "message": …}`, or a list.

    A list is the whole of a stream, or the answers of successive calls, the last one repeated.
    Bytes are text, and random request ids are left out. A payload is the JSON of its value, as
    `{"data": "[1]"}`.
    """

    def __init__(self) -> None:
        self.address = ""
        self.answers: Mapping[str, Any] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def play(self, answers: Mapping[str, Any]) -> None:
        """Give these answers from now on, and forget the calls so far."""
        self.answers, self.calls = answers, []

    def requests(self, method: str) -> list[dict[str, Any]]:
        """Return what was sent to a method."""
        return [sent for name, sent in self.calls if name == method]

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        method = _methods().get(details.method)
        if method is None:
            return None
        kinds = {
            (False, False): (grpc.unary_unary_rpc_method_handler, self._unary),
            (False, True): (grpc.unary_stream_rpc_method_handler, self._stream),
            (True, False): (grpc.stream_unary_rpc_method_handler, self._unary),
            (True, True): (grpc.stream_stream_rpc_method_handler, self._stream),
        }
        make, behave = kinds[method.client_streaming, method.server_streaming]
        return make(
            lambda request, context: behave(method, request, context),
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=GetMessageClass(method.output_type).SerializeToString,
        )

    def _unary(self, method: MethodDescriptor, request: Any, context: Any) -> Message:
        before = len(self.requests(method.name))
        for each in request if method.client_streaming else (request,):
            self._keep(method, each)
        given = self._given(method, context)
        if isinstance(given, list):
            given = given[min(before, len(given) - 1)]
        return _message(method, given, context)

    def _stream(self, method: MethodDescriptor, request: Any, context: Any) -> Iterator[Message]:
        if not method.client_streaming:
            self._keep(method, request)
        else:
            self._keep(method, next(request))
        for each in self._given(method, context):
            yield _message(method, each, context)
        if method.client_streaming:
            for each in request:
                self._keep(method, each)

    def _keep(self, method: MethodDescriptor, request: Message) -> None:
        sent = as_json(request)
        if RANDOM_ID.fullmatch(sent.get("requestId", "")):
            del sent["requestId"]
        self.calls.append((method.name, sent))

    def _given(self, method: MethodDescriptor, context: Any) -> Any:
        if method.name not in self.answers:
            _abort(context, Unimplemented("UNIMPLEMENTED", f"no answer of {method.name}"))
        return self.answers[method.name]

    @contextmanager
    def serving(self) -> Iterator["ScriptedSuite"]:
        """Serve inside the block at `address`."""
        with ThreadPoolExecutor(THREADS) as threads:
            server = grpc.server(threads, handlers=[self])
            port = server.add_insecure_port("127.0.0.1:0")
            self.address = f"127.0.0.1:{port}"
            server.start()
            try:
                yield self
            finally:
                server.stop(grace=None).wait()


@cache
def _methods() -> Mapping[str, MethodDescriptor]:
    """Return the methods of all services by path."""
    modules = (
        importlib.import_module(each.name)
        for each in pkgutil.walk_packages(flowmesh.api.__path__, "flowmesh.api.")
        if each.name.endswith("_service_pb2")
    )
    return {
        f"/{service.full_name}/{method.name}": method
        for module in modules
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


def _message(method: MethodDescriptor, given: Any, context: Any) -> Message:
    if "error" in given and "error" not in method.output_type.fields_by_name:
        reason = given["error"]
        violations = tuple(Violation("", each) for each in given.get("violations", ()))
        kind = REASONS[reason].error
        _abort(context, kind(reason, given["message"], violations=violations))
    message = GetMessageClass(method.output_type)()
    return ParseDict(_with_bytes(given, method.output_type, _encoded), message)


def _abort(context: Any, error: FlowmeshError) -> None:
    status = status_of(error).SerializeToString()
    context.set_trailing_metadata(((DETAILS_KEY, status),))
    context.abort(grpc.StatusCode[error.grpc_code], error.message)


def as_json(message: Message) -> dict[str, Any]:
    """Return a message as the JSON that a test writes: bytes are text, integers are numbers."""
    shown = _with_bytes(MessageToDict(message), message.DESCRIPTOR, _decoded)
    assert isinstance(shown, dict)
    return shown


def _encoded(value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.b64encode(text.encode()).decode()


def _decoded(value: Any) -> Any:
    return base64.b64decode(value).decode(errors="replace")


def _with_bytes(value: Any, kind: Any, change: Callable[[Any], Any]) -> Any:
    """Return the JSON of a message with its bytes changed, and all integers as numbers."""
    if not isinstance(value, Mapping):
        return value  # a wrapper, such as a duration, is text
    fields = {field.json_name: field for field in kind.fields}
    return {
        name: _field(fields[name], each, change) if name in fields else each
        for name, each in value.items()
    }


def _field(field: FieldDescriptor, value: Any, change: Callable[[Any], Any]) -> Any:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        own = kind.fields_by_name["value"]
        return {name: _field(own, each, change) for name, each in value.items()}
    if isinstance(value, list):
        return [_field(field, each, change) for each in value]
    if field.type == FieldDescriptor.TYPE_BYTES:
        return change(value)
    if field.type in LARGE:
        return int(value)
    return value if kind is None else _with_bytes(value, kind, change)


def placed(text: str, scripted: ScriptedSuite) -> str:
    """Return the text with the address that the suite has in transcripts."""
    return text.replace(scripted.address, ADDRESS)


def called(
    words: str, entry: Mapping[str, Any], scripted: ScriptedSuite, monkeypatch: pytest.MonkeyPatch
) -> int:
    """Run a command with the standard input and the answers of an entry; return its code."""
    stdin = io.TextIOWrapper(io.BytesIO(entry.get("stdin", entry.get("types", "")).encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    if "types" in entry:
        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    scripted.play(entry.get("answers", {}))
    return run(shlex.split(words))
