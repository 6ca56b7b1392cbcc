"""gRPC as every service and client of the suite uses it.

Server side: handlers wrapped once, that turn domain errors into `google.rpc.Status` and let no
exception's text out. Client side: channels that raise the same domain errors, carry deadline
and trace on, and reach a service of the same process without a socket.
"""

from flowmesh.rpc.channel import Channel, LocalTarget, Target, fixed
from flowmesh.rpc.forward import forwarding
from flowmesh.rpc.handlers import Handlers
from flowmesh.rpc.limits import CHANNEL_OPTIONS, SERVER_OPTIONS
from flowmesh.rpc.local import EOF
from flowmesh.rpc.remote import RemoteTarget
from flowmesh.rpc.requests import namespace_of, valid_id
from flowmesh.rpc.status import error_of, status_of

__all__ = [
    "CHANNEL_OPTIONS",
    "EOF",
    "SERVER_OPTIONS",
    "Channel",
    "Handlers",
    "LocalTarget",
    "RemoteTarget",
    "Target",
    "error_of",
    "fixed",
    "forwarding",
    "namespace_of",
    "status_of",
    "valid_id",
]
