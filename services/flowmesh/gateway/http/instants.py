"""Times in queries and bodies."""

from datetime import UTC, datetime

from flowmesh.gateway.http.ids import invalid_field

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def us_of(name: str, text: str) -> int:
    """Parse a time in RFC 3339; return microseconds since the epoch."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise invalid_field(name, "must be a time such as 2026-01-31T12:00:00Z") from error
    if moment.tzinfo is None:
        raise invalid_field(name, "must have an offset, such as 2026-01-31T12:00:00Z")
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def optional_us(name: str, text: str) -> int:
    """Parse a time in RFC 3339; return 0 for an empty text."""
    return us_of(name, text) if text else 0


def instant_us(name: str, text: str) -> int:
    """Parse a time of a query, where an unencoded plus sign arrives as a space."""
    return us_of(name, text.replace(" ", "+"))
