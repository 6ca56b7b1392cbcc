"""Calls about exchanges, queues and bindings."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc

from flowmesh.api.broker.v1 import broker_service_pb2 as pb
from flowmesh.api.broker.v1 import broker_service_pb2_grpc as rpc
from flowmesh.api.broker.v1 import topology_pb2
from flowmesh.records import value_from, values_from
from flowmesh.sdk.transport.connection import Connection
from flowmesh.sdk.values import limits
from flowmesh.sdk.values import messages as values
from flowmesh.sdk.values.messages import (
    Binding,
    Exchange,
    ExchangeType,
    Match,
    OnExpiry,
    Overflow,
    QueueChanges,
    QueueFinding,
    QueueState,
    Ttl,
)
from flowmesh.sdk.values.payloads import encode


class BrokerCalls:
    """The topology of the client's namespace. `version` is the highest that this client saw."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = rpc.BrokerServiceStub(connection.caller.channel)
        self.version = 0

    async def declare_exchange(
        self, name: str, type: ExchangeType = "topic", *, alternate: str = ""
    ) -> bool:
        """Declare an exchange; return False if it exists already.

        `alternate` names the exchange of messages that match no binding.
        """
        exchange = topology_pb2.Exchange(
            exchange=name, type=values.exchange_type(type), alternate=alternate
        )
        request = pb.DeclareExchangeRequest(exchange=exchange)
        response = await self._connection.call(self._stub.DeclareExchange, request)
        self._saw(response)
        return response.created

    async def delete_exchange(self, name: str) -> None:
        """Delete an exchange with its bindings."""
        request = pb.DeleteExchangeRequest(exchange=name)
        self._saw(await self._connection.call(self._stub.DeleteExchange, request))

    async def declare_queue(
        self,
        name: str,
        *,
        durable: bool = True,
        max_size: int = 0,
        max_bytes: int = 0,
        overflow: Overflow = "reject",
        message_ttl: Ttl = None,
        on_expiry: OnExpiry = "drop",
        max_priority: int = 0,
        max_attempts: int = 0,
        retry_delay: Ttl = None,
        retry_factor: float = 0,
        retry_max_delay: Ttl = None,
        visibility_timeout: Ttl = None,
        dead_letter_queue: str | bool | None = None,
        stream: bool = False,
        schema: Any = None,
        exclusive: bool = False,
        auto_delete: bool = False,
        single_active: bool = False,
        encrypt: bool = False,
    ) -> bool:
        """Declare a queue; return False if it exists already with these arguments.

        Times are in seconds. `dead_letter_queue` is created if it does not exist; True names it
        `<name>.dlq`. A `stream` keeps its messages for all groups of consumers. An `exclusive`
        queue has one consumer; it and an `auto_delete` queue are deleted when their consumers have
        left. With `single_active` one of several consumers gets all messages. `encrypt` encrypts
        bodies at rest.
        """
        dead = f"{name}.dlq" if dead_letter_queue is True else dead_letter_queue or ""
        queue = topology_pb2.Queue(
            queue=name,
            kind=topology_pb2.QUEUE_KIND_STREAM if stream else topology_pb2.QUEUE_KIND_UNSPECIFIED,
            transient=not durable,
            max_size=max_size,
            max_bytes=max_bytes,
            overflow=values.overflow(overflow),
            message_ttl_ms=values.milliseconds("message_ttl", message_ttl),
            on_expiry=values.on_expiry(on_expiry),
            max_priority=max_priority,
            visibility_timeout_ms=values.milliseconds("visibility_timeout", visibility_timeout),
            dead_letter_queue=dead,
            schema=b"" if schema is None else encode(schema),
            exclusive=exclusive,
            auto_delete=auto_delete,
            single_active=single_active,
            encrypt=encrypt,
        )
        queue.retry.max_attempts, queue.retry.factor = max_attempts, retry_factor
        queue.retry.max_delay_ms = values.milliseconds("retry_max_delay", retry_max_delay)
        if retry_delay is not None:
            queue.retry.initial_delay_ms = values.milliseconds("retry_delay", retry_delay)
        request = pb.DeclareQueueRequest(queue=queue)
        response = await self._connection.call(self._stub.DeclareQueue, request)
        self._saw(response)
        return response.created

    async def delete_queue(self, name: str, *, if_empty: bool = False) -> None:
        """Delete a queue with its messages and bindings."""
        request = pb.DeleteQueueRequest(queue=name, if_empty=if_empty)
        self._saw(await self._connection.call(self._stub.DeleteQueue, request))

    async def bind(
        self,
        queue: str,
        exchange: str,
        key: str = "",
        *,
        headers: Mapping[str, Any] | None = None,
        match: Match = "all",
    ) -> bool:
        """Bind a queue to an exchange; return False if it is bound already."""
        binding = topology_pb2.Binding(source=exchange, queue=queue, key=key)
        return await self._bind(binding, headers, match)

    async def bind_exchange(
        self,
        exchange: str,
        source: str,
        key: str = "",
        *,
        headers: Mapping[str, Any] | None = None,
        match: Match = "all",
    ) -> bool:
        """Bind an exchange to another one; return False if it is bound already."""
        binding = topology_pb2.Binding(source=source, exchange=exchange, key=key)
        return await self._bind(binding, headers, match)

    async def unbind(
        self,
        queue: str,
        exchange: str,
        key: str = "",
        *,
        headers: Mapping[str, Any] | None = None,
        match: Match = "all",
    ) -> bool:
        """Remove a binding of a queue; return False without one."""
        binding = topology_pb2.Binding(source=exchange, queue=queue, key=key)
        _set_arguments(binding, headers, match)
        response = await self._connection.call(self._stub.Unbind, pb.UnbindRequest(binding=binding))
        self._saw(response)
        return response.removed

    async def exchanges(self) -> tuple[Exchange, ...]:
        """Return the exchanges by name."""
        response = await self._connection.call(self._stub.ListExchanges, pb.ListExchangesRequest())
        return values_from(Exchange, response.exchanges)

    async def bindings(self, *, exchange: str = "", queue: str = "") -> tuple[Binding, ...]:
        """Return the bindings of an exchange, of a queue, or all."""
        request = pb.ListBindingsRequest(exchange=exchange, queue=queue)
        response = await self._connection.call(self._stub.ListBindings, request)
        return values_from(Binding, response.bindings)

    async def queues(self, *, page_size: int = limits.PAGE_SIZE) -> AsyncIterator[QueueState]:
        """Iterate over the queues by name."""
        request = pb.ListQueuesRequest(page_size=page_size)
        async for state in self._connection.pages(self._stub.ListQueues, request, "queues"):
            yield value_from(QueueState, state)

    async def queue(self, name: str) -> QueueState:
        """Return a queue and its content."""
        response = await self._connection.call(self._stub.GetQueue, pb.GetQueueRequest(queue=name))
        return value_from(QueueState, response.state)

    async def watch_queues(self, *names: str) -> AsyncIterator[QueueChanges]:
        """Iterate over the states of queues, of all without names: all of them first, then those
        that changed. Ends with the connection; raises Unavailable if it breaks.
        """
        request = pb.WatchQueuesRequest(namespace=self._connection.namespace, queues=names)
        await self._connection.caller.authorize()
        call = self._stub.WatchQueues(request)
        try:
            async for response in call:
                yield value_from(QueueChanges, response)
        except grpc.aio.AioRpcError as error:
            raise self._connection.caller.explained(error) from error
        finally:
            call.cancel()

    async def diagnose(self, queue: str) -> tuple[QueueFinding, ...]:
        """Return the reasons why the messages of a queue are not processed."""
        request = pb.DiagnoseQueueRequest(queue=queue)
        response = await self._connection.call(self._stub.DiagnoseQueue, request)
        return values_from(QueueFinding, response.findings)

    async def _bind(
        self, binding: topology_pb2.Binding, headers: Mapping[str, Any] | None, match: Match
    ) -> bool:
        _set_arguments(binding, headers, match)
        response = await self._connection.call(self._stub.Bind, pb.BindRequest(binding=binding))
        self._saw(response)
        return response.created

    def _saw(self, response: Any) -> None:
        self.version = max(self.version, response.topology_version)


def _set_arguments(
    binding: topology_pb2.Binding, headers: Mapping[str, Any] | None, match: Match
) -> None:
    for name, value in (headers or {}).items():
        binding.arguments[name].CopyFrom(values.header_message(value, name))
    binding.match = values.headers_match(match)
