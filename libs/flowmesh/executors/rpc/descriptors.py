"""Message types of a gRPC service, from server reflection or from a descriptor set.

Descriptors are untrusted: their number and size are limited, and inconsistent ones fail the
attempt. Messages use protobuf's JSON mapping, with defaults for absent fields.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc.aio
from google.protobuf import (
    any_pb2,
    api_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    message_factory,
    source_context_pb2,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.message import DecodeError, EncodeError, Message

from flowmesh.contract.json_value import Json
from flowmesh.executors import failures
from flowmesh.executors.failures import TaskFailure, invalid

DESCRIPTOR_BYTES_MAX = 1024 * 1024
FILES_MAX = 500
NESTING_MAX = 64
_REFLECTION = "/grpc.reflection.{}.ServerReflection/ServerReflectionInfo"
_VERSIONS = ("v1", "v1alpha")
# grpc.aio's error for a write into a call that the server has just ended; the status of the
# server is lost then (github.com/grpc/grpc/issues/36066).
_WROTE_TOO_LATE = "Internal error from Core"
_TRIES = 5
# The files of protobuf itself, by name.
_OWN: dict[str, bytes] = {
    module.DESCRIPTOR.name: module.DESCRIPTOR.serialized_pb
    for module in (
        any_pb2, api_pb2, descriptor_pb2, duration_pb2, empty_pb2, field_mask_pb2,
        source_context_pb2, struct_pb2, timestamp_pb2, type_pb2, wrappers_pb2,
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Method:
    """Encodes requests and decodes responses of one method."""

    request: type[Message]
    response: type[Message]
    pool: descriptor_pool.DescriptorPool

    def encoded(self, value: Json) -> bytes:
        """Encode a request. Raises TaskFailure if the value does not fit the message type."""
        if value is not None and not isinstance(value, dict):
            raise invalid("the request is a JSON object")
        try:
            message = json_format.ParseDict(
                value or {},
                self.request(),
                descriptor_pool=self.pool,
                max_recursion_depth=NESTING_MAX,
            )
            return message.SerializeToString()
        except (
            json_format.ParseError, EncodeError, ValueError, TypeError, AttributeError
        ) as error:  # fmt: skip
            raise invalid(f"the request does not fit: {_short(error)}") from error

    def decoded(self, data: bytes) -> Json:
        try:
            return json_format.MessageToDict(
                self.response.FromString(data),
                always_print_fields_with_no_presence=True,
                descriptor_pool=self.pool,
            )
        except (DecodeError, json_format.Error, TypeError, ValueError) as error:
            message = f"the response does not match its descriptor: {_short(error)}"
            raise TaskFailure(failures.SERVER, message) from error


class Methods:
    """The methods of the services in a pool of descriptors."""

    def __init__(self, pool: descriptor_pool.DescriptorPool) -> None:
        self._pool = pool

    def method(self, name: str) -> Method:
        """Return the method `package.Service/Method`. Raises TaskFailure unless it is unary."""
        service_name, _, method_name = name.partition("/")
        try:
            service = self._pool.FindServiceByName(service_name)
        except KeyError:
            raise invalid(f"there is no service {service_name[:128]}") from None
        found = service.methods_by_name.get(method_name)
        if found is None:
            listed = ", ".join(sorted(service.methods_by_name)[:20])
            message = f"{service_name[:128]} has no method {method_name[:64]!r}; it has {listed}"
            raise invalid(message)
        if found.client_streaming or found.server_streaming:
            raise invalid(f"{name[:200]} is a stream; only unary methods can be called")
        get = message_factory.GetMessageClass
        return Method(get(found.input_type), get(found.output_type), self._pool)


def methods_in(data: bytes) -> Methods:
    """Read a serialized FileDescriptorSet; it can omit the files of protobuf itself."""
    if len(data) > DESCRIPTOR_BYTES_MAX:
        raise invalid(f"descriptors have at most {DESCRIPTOR_BYTES_MAX} bytes")
    try:
        files = descriptor_pb2.FileDescriptorSet.FromString(data).file
    except DecodeError:
        raise invalid("the descriptors are not a FileDescriptorSet") from None
    return _methods({file.name: file for file in files})


async def reflected(channel: grpc.aio.Channel, service: str) -> Methods:
    """Read the methods of a service by reflection. Raises AioRpcError without reflection."""
    for version in _VERSIONS:
        try:
            return _methods(await _answered(channel, service, version))
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise
    message = "the server has no reflection; give `descriptors`, or enable reflection"
    raise invalid(message)


Files = dict[str, descriptor_pb2.FileDescriptorProto]


async def _answered(channel: grpc.aio.Channel, service: str, version: str) -> Files:
    """Ask by reflection, again if the status of the server was lost."""
    for _ in range(_TRIES - 1):
        try:
            return await _asked(channel, service, version)
        except grpc.aio.AioRpcError as error:
            if not (error.details() or "").startswith(_WROTE_TOO_LATE):
                raise
    return await _asked(channel, service, version)


async def _asked(channel: grpc.aio.Channel, service: str, version: str) -> Files:
    """Read the file of the service and its imports by reflection."""
    from grpc_reflection.v1alpha import reflection_pb2

    stream: Any = channel.stream_stream(
        _REFLECTION.format(version),
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    call = stream()
    files: Files = {}
    asked = {service}
    requests = [reflection_pb2.ServerReflectionRequest(file_containing_symbol=service)]
    size = 0
    try:
        while requests:
            await call.write(requests.pop())
            answer = await call.read()
            if answer is grpc.aio.EOF or not answer.HasField("file_descriptor_response"):
                raise invalid(f"the server does not know {service[:128]}")
            for data in answer.file_descriptor_response.file_descriptor_proto:
                size += len(data)
                file = _file(data)
                files[file.name] = file
            for name in _missing(files):
                if name not in asked:
                    asked.add(name)
                    requests.append(reflection_pb2.ServerReflectionRequest(file_by_filename=name))
            if size > DESCRIPTOR_BYTES_MAX or len(asked) > FILES_MAX:
                raise invalid(f"the descriptors of {service[:128]} are too large")
    finally:
        call.cancel()
    return files


def _file(data: bytes) -> descriptor_pb2.FileDescriptorProto:
    try:
        return descriptor_pb2.FileDescriptorProto.FromString(data)
    except DecodeError:
        raise TaskFailure(failures.SERVER, "the server's reflection is damaged") from None


def _missing(files: Files) -> Iterator[str]:
    for file in list(files.values()):
        for name in file.dependency:
            if name not in files and name not in _OWN:
                yield name


def _methods(files: Files) -> Methods:
    if len(files) > FILES_MAX:
        raise invalid(f"there are at most {FILES_MAX} files of descriptors")
    pool = descriptor_pool.DescriptorPool()
    try:
        for name in _in_order(files):
            own = name not in files and name in _OWN
            pool.AddSerializedFile(_OWN[name] if own else files[name].SerializeToString())
    except (TypeError, KeyError, ValueError) as error:
        raise invalid(f"the descriptors do not fit together: {_short(error)}") from error
    return Methods(pool)


def _in_order(files: Files) -> Iterable[str]:
    """Yield every file after its imports; the pool rejects an import cycle."""
    done: dict[str, None] = {}
    begun: set[str] = set()
    waiting = [*files]
    while waiting:
        name = waiting[-1]
        imports = files[name].dependency if name in files else _imports_of_own(name)
        more = [each for each in imports if each not in begun]
        if name in begun or not more:
            done.setdefault(waiting.pop())
        begun.add(name)
        waiting += more if name not in done else []
    return done


def _imports_of_own(name: str) -> Iterable[str]:
    data = _OWN.get(name)
    return descriptor_pb2.FileDescriptorProto.FromString(data).dependency if data else ()


def _short(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
