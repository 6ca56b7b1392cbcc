"""Why a call to the outside did not give an answer.

FlowmeshError
├── EgressBlocked        403 EGRESS_BLOCKED      the address is not one that steps may call
├── HeaderInvalid        400 HEADER_INVALID      characters or names that no header may have
├── RequestInvalid       400 REQUEST_INVALID     the url or method is not usable
└── ResponseTooLarge     413 RESPONSE_TOO_LARGE  over the limit once decompressed
EgressFailure
├── TimedOut             no complete answer within the time given
├── Unreachable          no connection: refused, no such host, TLS
├── Interrupted          the connection broke, or what came was not HTTP
└── TooManyRedirects     more than three

The first four tell the user what to mend and are never worth a retry. Messages of
`EgressBlocked` name no address, so that they tell nothing about what listens where.
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
    """The network or the other side failed; the message is ours and may be shown."""


class TimedOut(EgressFailure):
    pass


class Unreachable(EgressFailure):
    pass


class Interrupted(EgressFailure):
    pass


class TooManyRedirects(EgressFailure):
    pass
