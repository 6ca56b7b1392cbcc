"""Times in queries."""

from datetime import UTC, datetime

from flowmesh.gateway.messages import Request, invalid_field

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant_us(request: Request, name: str) -> int:
    """A query parameter in RFC 3339 as microseconds since the epoch; 0 without one."""
    # A plus sign of an offset that was not encoded arrives as a space.
    text = request.text(name).replace(" ", "+")
    return us_of(name, text) if text else 0


def us_of(name: str, text: str) -> int:
    """A time in RFC 3339, as a field has it, in microseconds since the epoch."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise invalid_field(name, "must be a time like 2026-01-31T12:00:00Z") from error
    if moment.tzinfo is None:
        raise invalid_field(name, "must say its offset, like 2026-01-31T12:00:00Z")
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
