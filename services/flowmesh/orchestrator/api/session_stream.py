"""The stream of a session, as gRPC serves it."""

from collections.abc import AsyncIterator

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.orchestrator.api.session import Session


async def answers(
    session: Session, requests: AsyncIterator[pb.SessionRequest]
) -> AsyncIterator[pb.SessionResponse]:
    """Yield the responses of a session until all calls are answered or the client is gone."""
    session.read(requests)
    try:
        while await session.more():
            while (frame := session.next_frame()) is not None:
                yield frame
    finally:
        session.close()
