"""A gRPC server that answers by script, for peers that a running suite never is."""

import asyncio
import base64
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any, Self

import grpc
import grpc.aio
from google.protobuf import any_pb2, duration_pb2, json_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from flowmesh.api.worker.v1.worker_service_pb2 import WorkRequest
from flowmesh.contract.json_value import Json
from flowmesh.gateway.grpc_proxy import PUBLIC
from flowmesh.rpc.status import CELL_ADDRESS, DETAILS_KEY
from flowmesh.testing.polling import pause

STEP_TIMEOUT_S = 30.0
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
CONNECTION_GRACE_MS = 200


def _bytes_of(value: Json) -> Json:
    """Replace `{"$json": …}` by base64, as protobuf's JSON has bytes, and `{"$x": n}` by text."""
    if isinstance(value, dict):
        if "$json" in value:
            return base64.b64encode(json.dumps(value["$json"]).encode()).decode()
        if "$x" in value:
            return "x" * value["$x"]
        return {key: _bytes_of(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_bytes_of(item) for item in value]
    return value


def status_of(answer: Json) -> status_pb2.Status:
    """Return the status of an answer with `code`, as services of the suite send it."""
    code: int = grpc.StatusCode[answer["code"]].value[0]
    status = status_pb2.Status(code=code, message=answer.get("message", "scripted"))
    details: list[Message] = []
    if reason := answer.get("reason"):
        info = error_details_pb2.ErrorInfo(reason=reason, domain="flowmesh")
        if address := answer.get("address"):
            info.metadata["address"] = address
        details.append(info)
    if retry_ms := answer.get("retryMs"):
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(retry_ms)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


async def refuse(context: Any, answer: Json) -> None:
    """End a call with the status of the answer."""
    status = status_of(answer)
    metadata: list[tuple[str, str | bytes]] = []
    if status.details:
        metadata.append((DETAILS_KEY, status.SerializeToString()))
    if address := answer.get("address"):
        metadata.append((CELL_ADDRESS, address))
    await context.abort(grpc.StatusCode[answer["code"]], status.message, tuple(metadata))


class Method:
    """One method with its script and the requests it received."""

    def __init__(self, descriptor: Any) -> None:
        self.descriptor = descriptor
        self.answers: list[Json] = []
        self.calls: list[Json] = []
        self._response = GetMessageClass(descriptor.output_type)
        self._taken = 0

    def script(self, answers: list[Json]) -> None:
        self.answers, self.calls, self._taken = answers, [], 0

    def received(self, request: Message) -> None:
        call = json_format.MessageToDict(request)
        call["atMs"] = round(time.monotonic() * 1000)
        self.calls.append(call)

    def next_answer(self) -> Json:
        if not self.answers:
            return {"code": "UNIMPLEMENTED"}
        answer = self.answers[min(self._taken, len(self.answers) - 1)]
        self._taken += 1
        return answer

    def message(self, fields: Json) -> Message:
        return json_format.ParseDict(_bytes_of(fields), self._response())

    async def unary(self, request: Any, context: Any) -> Message:
        if self.descriptor.client_streaming:
            async for part in request:
                self.received(part)
        else:
            self.received(request)
        answer = self.next_answer()
        if answer.get("silent"):
            await asyncio.Event().wait()
        if "code" in answer:
            await refuse(context, answer)
        return self.message(answer["ok"])

    async def stream(self, request: Any, context: Any) -> AsyncIterator[Message]:
        inbox = _Inbox(self)
        reading = None
        if self.descriptor.client_streaming:
            reading = asyncio.create_task(inbox.read(request))
        else:
            self.received(request)
        try:
            answer = self.next_answer()
            for item in answer if isinstance(answer, list) else [answer]:
                if "send" in item:
                    yield self.message(item["send"])
                elif "code" in item:
                    await refuse(context, item)
                elif item.get("silent"):
                    await asyncio.Event().wait()
                elif "pauseMs" in item:
                    await pause(item["pauseMs"] / 1000)
                elif "end" in item:
                    await refuse(context, {"code": item["end"]})
                else:
                    await inbox.until(item)
        finally:
            if reading is not None:
                reading.cancel()


class _Inbox:
    """The requests of one stream, on which its script waits."""

    def __init__(self, method: Method) -> None:
        self._method = method
        self._changed = asyncio.Condition()
        self._hellos = 0
        self._results = 0
        self._heartbeats = 0

    async def read(self, requests: AsyncIterator[Message]) -> None:
        async for request in requests:
            self._method.received(request)
            if isinstance(request, WorkRequest):
                self._hellos += request.HasField("hello")
                self._results += len(request.results)
                self._heartbeats += len(request.heartbeats)
            async with self._changed:
                self._changed.notify_all()

    async def until(self, item: Json) -> None:
        def reached() -> bool:
            return (
                self._hellos >= int(item.get("hello", 0))
                and self._results >= item.get("results", 0)
                and self._heartbeats >= item.get("heartbeats", 0)
            )

        async with asyncio.timeout(STEP_TIMEOUT_S), self._changed:
            await self._changed.wait_for(reached)


class Stub:
    """All public services of the gateway by script; `script` sets the answers by method name.

    With `connection_age_ms` it ends each connection with a GOAWAY after that time.
    """

    def __init__(self, connection_age_ms: int = 0) -> None:
        self._methods: dict[str, Method] = {}
        aging = [
            ("grpc.max_connection_age_ms", connection_age_ms),
            ("grpc.max_connection_age_grace_ms", CONNECTION_GRACE_MS),
        ]
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
                ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
                *(aging if connection_age_ms else ()),
            ]
        )
        self.address = ""

    async def __aenter__(self) -> Self:
        for _, file, name in PUBLIC:
            service = file.DESCRIPTOR.services_by_name[name]
            handlers = {method.name: self._handler(method) for method in service.methods}
            generic = grpc.method_handlers_generic_handler(service.full_name, handlers)
            self._server.add_generic_rpc_handlers((generic,))
        port = self._server.add_insecure_port("127.0.0.1:0")
        self.address = f"127.0.0.1:{port}"
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(0)

    def script(self, answers: dict[str, list[Json]]) -> None:
        """Forget the former script and its calls."""
        given = defaultdict(list, answers)
        for name, method in self._methods.items():
            method.script(given[name])
        unknown = answers.keys() - self._methods.keys()
        assert not unknown, f"no such methods: {sorted(unknown)}"

    def calls(self, method: str) -> list[Json]:
        """Return the requests that a method received."""
        return self._methods[method].calls

    def _handler(self, descriptor: Any) -> Any:
        method = self._methods[descriptor.name] = Method(descriptor)
        request = GetMessageClass(descriptor.input_type)
        kinds = {
            (False, False): (grpc.unary_unary_rpc_method_handler, method.unary),
            (True, False): (grpc.stream_unary_rpc_method_handler, method.unary),
            (False, True): (grpc.unary_stream_rpc_method_handler, method.stream),
            (True, True): (grpc.stream_stream_rpc_method_handler, method.stream),
        }
        make, serve = kinds[descriptor.client_streaming, descriptor.server_streaming]
        return make(
            serve,
            request_deserializer=request.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
