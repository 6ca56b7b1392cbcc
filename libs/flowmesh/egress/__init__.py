"""HTTP to the outside, for steps and callbacks: a client that cannot be talked into the inside.

It is for calls whose address a user wrote. Calls between the suite's own services are gRPC and
do not pass here.
"""

from flowmesh.egress.client import Egress, Response, check_method, check_url
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
from flowmesh.egress.headers import check_headers
from flowmesh.egress.policy import OPEN, PUBLIC, Policy

__all__ = [
    "OPEN",
    "PUBLIC",
    "Egress",
    "EgressBlocked",
    "EgressFailure",
    "HeaderInvalid",
    "Interrupted",
    "Policy",
    "RequestInvalid",
    "Response",
    "ResponseTooLarge",
    "TimedOut",
    "TooManyRedirects",
    "Unreachable",
    "check_headers",
    "check_method",
    "check_url",
]
