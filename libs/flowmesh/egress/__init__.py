"""The HTTP client for external calls of steps and callbacks, guarded against SSRF.

It sends requests whose address a user wrote. Services of the suite call each other by gRPC.
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
