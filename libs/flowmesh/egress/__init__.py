"""The door for calls to addresses that users name, guarded against SSRF.

`client` sends HTTP requests, `connector` makes checked connections for other clients, and `wall`
checks all connections of a process. Services of the suite call each other by gRPC, without it.
"""

from flowmesh.egress.client import Egress, Pool, Response, check_method, check_server, check_url
from flowmesh.egress.errors import (
    EgressBlocked,
    EgressFailure,
    HeaderInvalid,
    Interrupted,
    RequestInvalid,
    ResponseTooLarge,
    TimedOut,
    TooManyRedirects,
    Unreachable,
)
from flowmesh.egress.events import EVENT_STREAM, data_of_events
from flowmesh.egress.headers import check_headers
from flowmesh.egress.policy import LINK_LOCAL, OPEN, PUBLIC, Policy

__all__ = [
    "EVENT_STREAM",
    "LINK_LOCAL",
    "OPEN",
    "PUBLIC",
    "Egress",
    "EgressBlocked",
    "EgressFailure",
    "HeaderInvalid",
    "Interrupted",
    "Policy",
    "Pool",
    "RequestInvalid",
    "Response",
    "ResponseTooLarge",
    "TimedOut",
    "TooManyRedirects",
    "Unreachable",
    "check_headers",
    "check_method",
    "check_server",
    "check_url",
    "data_of_events",
]
