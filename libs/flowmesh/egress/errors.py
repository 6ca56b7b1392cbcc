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
    def __init__(self, failed: str = "") -> None:
        """`failed` is what could not be done without the connection."""
        text = (
            "the address is not one that steps may call; --egress or FLOWMESH_EGRESS says which are"
        )
        super().__init__("EGRESS_BLOCKED", f"{failed}: {text}" if failed else text)


def is_blocked(error: BaseException | None) -> bool:
    """Return whether an error, or one that it hides, is EgressBlocked."""
    while error is not None:
        if isinstance(error, EgressBlocked):
            return True
        error = error.__cause__ or error.__context__
    return False


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
