"""The service stubs that several parts of a client use, created once per client."""

import grpc

from flowmesh.api.event.v1.event_service_pb2_grpc import EventServiceStub
from flowmesh.api.execution.v1.control_service_pb2_grpc import ControlServiceStub
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub


class ExecutionStubs:
    """Stubs of the services that start, watch and change executions."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.executions = ExecutionServiceStub(channel)
        self.control = ControlServiceStub(channel)
        self.events = EventServiceStub(channel)
