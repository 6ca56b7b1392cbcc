"""The expectations of a message of a SAML provider, and the content of a verified one."""

import msgspec


class Expected(msgspec.Struct, frozen=True):
    """The settings of a provider, and the login that a message has to be of.

    `address` is the one that gets the message.
    """

    issuer: str
    audience: str
    address: str
    certificates: tuple[str, ...]
    request_id: str = ""


class Subject(msgspec.Struct, frozen=True):
    """The user of a verified answer. `expires_at` in seconds, 0 for none."""

    subject: str
    format: str
    session: str
    expires_at: float
    message_id: str
    attributes: dict[str, list[str | None]]


class LogoutRequest(msgspec.Struct, frozen=True):
    """A verified request to end sessions of a user; without sessions, all."""

    id: str
    subject: str
    sessions: list[str]
