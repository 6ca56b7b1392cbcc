"""Blocking gRPC code, as many users write it, works with our contracts and our statuses."""

from collections.abc import Callable
from typing import Any, cast

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.api.registry.v1 import registry_service_pb2_grpc as pb_grpc
from flowmesh.errors import NotFound
from flowmesh.rpc import status_of


class Blocking(pb_grpc.RegistryServiceServicer):
    """A servicer without asyncio that refuses the way ours do."""

    def GetInstance(
        self, request: pb.GetInstanceRequest, context: grpc.ServicerContext
    ) -> pb.GetInstanceResponse:
        if request.id == "absent":
            status = status_of(NotFound("INSTANCE_NOT_FOUND", "no 'absent'"))
            context.abort_with_status(rpc_status.to_status(status))
        return pb.GetInstanceResponse(instance=pb.Instance(id=request.id))


@pytest.fixture(scope="module")
def grpc_add_to_server() -> Callable[..., None]:
    return cast(Callable[..., None], pb_grpc.add_RegistryServiceServicer_to_server)


@pytest.fixture(scope="module")
def grpc_servicer() -> Blocking:
    servicer: Blocking = cast(Any, Blocking)()
    return servicer


@pytest.fixture(scope="module")
def grpc_stub_cls(grpc_channel: grpc.Channel) -> Callable[..., Any]:
    return pb_grpc.RegistryServiceStub


def test_a_blocking_client_is_answered(grpc_stub: Any) -> None:
    """Generated stubs need no asyncio."""
    assert grpc_stub.GetInstance(pb.GetInstanceRequest(id="a")).instance.id == "a"


def test_a_blocking_client_reads_the_reason(grpc_stub: Any) -> None:
    """The standard helper finds ErrorInfo in what we refuse with."""
    with pytest.raises(grpc.RpcError) as caught:
        grpc_stub.GetInstance(pb.GetInstanceRequest(id="absent"))
    status = rpc_status.from_call(cast(Any, caught.value))
    info = error_details_pb2.ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("INSTANCE_NOT_FOUND", "flowmesh")
