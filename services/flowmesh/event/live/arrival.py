"""A commit as it arrives from the stream or from an outbox."""

from dataclasses import dataclass

from flowmesh.api.history.v1 import history_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class Arrival:
    """A received commit or part of it; `stream_sequence` is 0 if it came from an outbox."""

    batch: pb.EventBatch
    part: int
    last_part: bool
    stream_sequence: int
    size: int
    # Creation time of the stream: a recreated stream counts from 1 again.
    stream_created_us: int = 0
