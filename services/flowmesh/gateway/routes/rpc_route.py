"""Routes that are one call: a row binds the request to the message of an RPC, and shows its reply.

The fields of the message are those of the path, the query, the headers and the body with the same
name; the answer is the struct of the row, filled from the reply. A name that leads nowhere is an
error at import.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from http import HTTPStatus
from typing import Any, cast

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from msgspec import UNSET

from flowmesh.errors import WrongState
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.operation_docs import PATH_PARAMETER, Operation, Route
from flowmesh.gateway.http.parameters import Query
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import (
    ACTOR,
    IDEMPOTENCY_KEY,
    PERMISSIONS,
    actor_of,
    json_response,
    permissions_of,
    request_id_of,
    secret_response,
    wrong_state,
)
from flowmesh.gateway.routes.identity import etags
from flowmesh.records import (
    Tree,
    build,
    descriptor_of,
    numbers_of,
    put,
    reader,
    shape_of,
    target,
    value_writer,
)

_STUBS = {
    str(each.type).rpartition(".")[2].removesuffix("AsyncStub"): each.name
    for each in fields(Backends)
}
_NO_NAMES: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class _Call:
    request: Request
    body: Any


def rpc_route(
    method: str,
    path: str,
    message: type[Message],
    operation: Operation | None = None,
    /,
    *,
    name: str = "",
    names: Mapping[str, str] = _NO_NAMES,
    into: str = "",
    part: str = "",
    fixed: Mapping[str, Any] = _NO_NAMES,
    given: Mapping[str, Any] = _NO_NAMES,
    secret: bool = False,
    tagged: bool = False,
    stateful: bool = False,
    report: bool = False,
    **details: Any,
) -> Route:
    """Return the route that calls the RPC of a request message.

    - `name`: of the operation, if it is not that of the RPC.
    - `names`: fields of the messages by parameters, or fields of the answer, with other names.
    - `into`: the inner message that the body describes.
    - `fixed`: further fields of the message.
    - `part`: the field of the reply that is shown. Fields that it lacks are those beside it, or
      those of the path.
    - `given`: further fields of the answer.
    - `secret`: neither proxies nor browsers store the answer.
    - `tagged`: the `etag` of the answer is a header too.
    - `stateful`: the error of a wrong state shows that of the execution.
    - `report`: the answer is the JSON in the field of this name.
    """
    operation = operation or Operation(**details)
    fields_of = descriptor_of(message)
    rpc = _rpc(fields_of)
    binder = _Binder(fields_of, names, into, f"{method} {path}")
    binder.bind(path, operation)
    for field, value in fixed.items():
        binder.fix(field, value)
    tree = binder.tree
    respond = etags.tagged if tagged else secret_response if secret else json_response
    show = _report if report else _answer(rpc, (path, operation), part, given, respond, names)
    body = operation.body.shape if operation.body else None
    stub = _STUBS[rpc.containing_service.name]

    async def endpoint(backends: Backends, request: Request) -> Response:
        call = _Call(request, await request.envelope(body) if body else None)
        send = getattr(getattr(backends, stub), rpc.name)
        try:
            reply = await send(message(**build(tree, call)))
        except WrongState as error:
            if not stateful:
                raise
            execution_id = request.param("executionId")
            return await wrong_state(backends, request.namespace, execution_id, error)
        return show(call, reply)

    endpoint.__name__ = name or _snake(rpc.name)
    return Route(method, path, endpoint, operation)


def _report(_: _Call, reply: Any) -> Response:
    return Response(HTTPStatus.OK, reply.report)


def _answer(
    rpc: MethodDescriptor,
    route: tuple[str, Operation],
    part: str,
    given: Mapping[str, Any],
    respond: Callable[[Any, int], Response],
    names: Mapping[str, str],
) -> Callable[[_Call, Any], Response]:
    """Return the response of a reply; the second status is that of one that created nothing."""
    path, operation = route
    first, *others = operation.answers
    if first.shape is None:
        return lambda _call, _reply: Response(first.status)
    shown = rpc.output_type
    if part:
        shown = cast("Descriptor", target(shown, part, rpc.full_name).message_type)
    more = _others(first.shape, shown, rpc.output_type, path, names)
    read = reader(first.shape, GetMessageClass(shown), given={*given, *more})
    other = others[0].status if others else first.status

    def show(call: _Call, reply: Any) -> Response:
        message = getattr(reply, part) if part else reply
        status = first.status if not others or reply.created else other
        found = {name: get(call, reply) for name, get in more.items()}
        return respond(read(message, **given, **found), status)

    return show


def _others(
    struct: type[msgspec.Struct],
    shown: Descriptor,
    reply: Descriptor,
    path: str,
    names: Mapping[str, str],
) -> dict[str, Callable[[_Call, Any], Any]]:
    """Return the getters of fields that the shown message lacks: of the reply, or of the path."""
    found: dict[str, Callable[[_Call, Any], Any]] = {}
    parameters = {_snake(name): name for name in PATH_PARAMETER.findall(path)}
    for field in msgspec.structs.fields(struct):
        name, shape = field.name, shape_of(field.type)
        if shape.source.path or name in shown.fields_by_name:
            continue
        own = names.get(name, name)
        if own in reply.fields_by_name:
            found[name] = partial(_beside, own, UNSET if shape.absent else None)
        elif name in parameters:
            found[name] = partial(_of_path, parameters[name])
    return found


def _beside(name: str, absent: Any, _: _Call, reply: Any) -> Any:
    value = getattr(reply, name)
    return value if absent is None else value or absent


def _of_path(parameter: str, call: _Call, _: Any) -> str:
    return call.request.param(parameter)


def _rpc(message: Descriptor) -> MethodDescriptor:
    """Return the RPC that has this request."""
    services = message.file.services_by_name.values()
    methods = (method for service in services for method in service.methods)
    return next(method for method in methods if method.input_type is message)


class _Binder:
    """The getters of the fields of a message, by the places in a request."""

    def __init__(self, message: Descriptor, names: Mapping[str, str], into: str, at: str) -> None:
        self.tree: Tree = {}
        self._message = message
        self._names = names
        self._into = into
        self._at = at

    def bind(self, path: str, operation: Operation) -> None:
        if self._has("namespace") or self._has(f"{self._into}.namespace"):
            self._put("namespace", lambda call: call.request.namespace)
        for parameter in PATH_PARAMETER.findall(path):
            text = self._find(parameter)[1].cpp_type == FieldDescriptor.CPPTYPE_STRING
            self._put(parameter, partial(_param if text else _number, parameter))
        for query in operation.query:
            field = self._find(query.name)[1]
            self._put(query.name, _query(query, field))
        if operation.body is not None:
            self._body(operation.body.shape)
        for header in operation.headers:
            if header.name in _HEADERS:
                self._put(*_HEADERS[header.name])

    def fix(self, path: str, value: Any) -> None:
        target(self._message, path, self._at)
        put(self.tree, path, lambda _: value)

    def _body(self, struct: type[msgspec.Struct]) -> None:
        for field in msgspec.structs.fields(struct):
            if shape_of(field.type).source.apart:
                continue
            if field.name == "request_id":
                self._put(field.name, _request_id)
                continue
            name = shape_of(field.type).source.path or field.name
            write = value_writer(field, self._find(name)[1])
            self._put(name, partial(_written, write))

    def _put(self, name: str, get: Callable[[_Call], Any]) -> None:
        put(self.tree, self._find(name)[0], get)

    def _find(self, name: str) -> tuple[str, FieldDescriptor]:
        """Return the path of a field, and the field: of the request or of the inner message."""
        name = self._names.get(name) or _snake(name)
        for path in (name, f"{name}_us", f"{self._into}.{name}"):
            if self._has(path):
                return path, target(self._message, path, self._at)
        return name, target(self._message, name, self._at)

    def _has(self, path: str) -> bool:
        try:
            target(self._message, path, self._at)
        except TypeError:
            return False
        return True


def _written(write: Callable[[Any], Any], call: _Call) -> Any:
    return write(call.body)


def _param(name: str, call: _Call) -> str:
    return call.request.param(name)


def _number(name: str, call: _Call) -> int:
    return int(call.request.param(name))


def _request_id(call: _Call) -> str:
    return request_id_of(call.request, getattr(call.body, "request_id", ""))


def _query(query: Query, field: FieldDescriptor) -> Callable[[_Call], Any]:
    name = query.name
    if field.has_presence:
        get = _query_value(query, field)
        return lambda call: get(call) if call.request.text(name) else None
    return _query_value(query, field)


def _query_value(query: Query, field: FieldDescriptor) -> Callable[[_Call], Any]:
    name = query.name
    if field.enum_type is not None:
        numbers = numbers_of(field.enum_type)
        if field.is_repeated:
            return lambda call: [numbers[each.lower()] for each in call.request.texts(name)]
        return lambda call: numbers[call.request.text(name).lower()]
    if field.is_repeated:
        return lambda call: call.request.texts(name)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return lambda call: call.request.text(name)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return lambda call: call.request.flag(name)
    if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        return lambda call: float(call.request.text(name) or 0)
    if field.name.endswith("_us"):
        return lambda call: call.request.instant_us(name)
    return lambda call: call.request.whole(name)


def _snake(name: str) -> str:
    return re.sub("(?<!^)([A-Z])", r"_\1", name).lower()


_HEADERS: Mapping[str, tuple[str, Callable[[_Call], Any]]] = {
    ACTOR.name: ("actor", lambda call: actor_of(call.request)),
    IDEMPOTENCY_KEY.name: ("request_id", _request_id),
    etags.IF_MATCH.name: ("etag", lambda call: etags.etag_of(call.request)),
    PERMISSIONS.name: ("permissions", lambda call: permissions_of(call.request)),
}
