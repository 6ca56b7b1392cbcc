"""NATS JetStream for what must not be lost, NATS core for what may; no place for ownership."""

from flowmesh.bus.bus import Ack, Bus
from flowmesh.bus.consumer import Message

__all__ = ["Ack", "Bus", "Message"]
