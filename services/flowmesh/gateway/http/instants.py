"""Times in queries and bodies."""

from datetime import UTC, datetime

from flowmesh.gateway.http.ids import invalid_field

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


def instant_us(name: str, text: str) -> int:
    """The same from a query, where the plus sign of an offset that was not encoded is a space."""
    return us_of(name, text.replace(" ", "+"))
