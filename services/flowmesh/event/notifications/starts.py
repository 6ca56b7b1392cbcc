"""Positions from which new subscriptions read."""

from flowmesh.api.event.v1 import subscription_service_pb2 as pb
from flowmesh.event.intake.intake import Intake
from flowmesh.event.intake.stream import EventStream
from flowmesh.event.live.cursors import Cursor, Place, decode, encode
from flowmesh.event.notifications.checks import check_instant
from flowmesh.event.notifications.store import Start
from flowmesh.event.subscriptions.watch_events import NamespaceWatch


class Starts:
    """Finds the position of a new subscription."""

    def __init__(self, *, intake: Intake, stream: EventStream, watch: NamespaceWatch) -> None:
        self._intake = intake
        self._stream = stream
        self._watch = watch

    async def of(self, request: pb.PutSubscriptionRequest) -> Start:
        """Return the position that a request names. Raises CURSOR_INVALID or CURSOR_EXPIRED."""
        await self._intake.until_started()
        kind = request.WhichOneof("start")
        if kind == "cursor":
            await self._watch.checked(decode(request.cursor))
            return Start(request.cursor)
        if kind == "from_us":
            check_instant("from_us", request.from_us)
            state = await self._stream.state()
            oldest = Cursor(state.made_us, Place(max(0, state.first - 1)))
            return Start(encode(oldest), request.from_us, request.from_us)
        return Start(encode(self._intake.here))
