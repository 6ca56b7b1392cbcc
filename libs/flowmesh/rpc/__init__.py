"""gRPC for all services and clients of the suite.

Server side: handlers that translate domain errors into `google.rpc.Status` and hide the texts of
other exceptions. Client side: channels that raise the same domain errors, propagate deadline and
trace, and reach a service of the same process without a socket. A name is imported when it is
first used, so that clients load no server code.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowmesh.rpc.channel import Channel, LocalTarget, Target, channel_to
    from flowmesh.rpc.forward import forwarding_handlers
    from flowmesh.rpc.handlers import Handlers
    from flowmesh.rpc.limits import CHANNEL_OPTIONS, SERVER_OPTIONS
    from flowmesh.rpc.local import LOCAL_PEER
    from flowmesh.rpc.pages import invalid_page_token, last_of_token, list_key, page_token
    from flowmesh.rpc.pauses import stream_retry_s
    from flowmesh.rpc.pipe import EOF
    from flowmesh.rpc.refusals import error_of_refused_start
    from flowmesh.rpc.remote import Identify, RemoteTarget
    from flowmesh.rpc.requests import (
        after_sequence,
        check_enum_values,
        is_id,
        namespace_of,
        valid_id,
    )
    from flowmesh.rpc.status import error_of, status_of
else:
    HOMES = {
        "CHANNEL_OPTIONS": "limits",
        "EOF": "pipe",
        "SERVER_OPTIONS": "limits",
        "Channel": "channel",
        "Handlers": "handlers",
        "Identify": "remote",
        "LOCAL_PEER": "local",
        "LocalTarget": "channel",
        "RemoteTarget": "remote",
        "Target": "channel",
        "error_of": "status",
        "error_of_refused_start": "refusals",
        "channel_to": "channel",
        "forwarding_handlers": "forward",
        "is_id": "requests",
        "check_enum_values": "requests",
        "last_of_token": "pages",
        "list_key": "pages",
        "after_sequence": "requests",
        "namespace_of": "requests",
        "page_token": "pages",
        "status_of": "status",
        "stream_retry_s": "pauses",
        "valid_id": "requests",
        "invalid_page_token": "pages",
    }

    def __getattr__(name: str) -> object:
        if name not in HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)


__all__ = [
    "CHANNEL_OPTIONS",
    "EOF",
    "LOCAL_PEER",
    "SERVER_OPTIONS",
    "Channel",
    "Handlers",
    "Identify",
    "LocalTarget",
    "RemoteTarget",
    "Target",
    "after_sequence",
    "channel_to",
    "check_enum_values",
    "error_of",
    "error_of_refused_start",
    "forwarding_handlers",
    "invalid_page_token",
    "is_id",
    "last_of_token",
    "list_key",
    "namespace_of",
    "page_token",
    "status_of",
    "stream_retry_s",
    "valid_id",
]
