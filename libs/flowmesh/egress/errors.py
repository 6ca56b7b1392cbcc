"""Errors of external calls.

FlowmeshError
├── EgressBlocked        403 EGRESS_BLOCKED      the policy does not admit the address
├── HeaderInvalid        400 HEADER_INVALID      characters or names that no header may have
├── RequestInvalid       400 REQUEST_INVALID     the url or method is not usable
└── ResponseTooLarge     413 RESPONSE_TOO_LARGE  over the limit once decompressed
EgressFailure
├── TimedOut             no complete answer within the time given
├── Unreachable          no connection: refused, no such host, TLS
├── Interrupted          the connection broke, or the response was not HTTP
└── TooManyRedirects     more than three

The first four are errors of the user and are never retried. Messages of `EgressBlocked` contain
no address, because it would reveal internal hosts.
"""

from flowmesh.errors import Forbidden, Invalid, TooLarge


class EgressBlocked(Forbidden):
    def __init__(self) -> None:
        text = (
            "the address is not one that steps may call; --egress or FLOWMESH_EGRESS says which are"
        )
        super().__init__("EGRESS_BLOCKED", text)


class HeaderInvalid(Invalid):
    def __init__(self, message: str) -> None:
        super().__init__("HEADER_INVALID", message)


class RequestInvalid(Invalid):
    def __init__(self, message: str) -> None:
        super().__init__("REQUEST_INVALID", message)


class ResponseTooLarge(TooLarge):
    def __init__(self, message: str) -> None:
        super().__init__("RESPONSE_TOO_LARGE", message)


class EgressFailure(Exception):
    """A failure of the network or the upstream; the message can be shown to users."""


class TimedOut(EgressFailure):
    pass


class Unreachable(EgressFailure):
    pass


class Interrupted(EgressFailure):
    pass


class TooManyRedirects(EgressFailure):
    pass
