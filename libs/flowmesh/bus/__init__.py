"""The message bus: durable messages over NATS JetStream, transient ones over NATS core.

Ownership never depends on it.
"""

from flowmesh.bus.bus import Ack, Bus
from flowmesh.bus.confirmed import Announcer, confirm
from flowmesh.bus.consumer import Message

__all__ = ["Ack", "Announcer", "Bus", "Message", "confirm"]
