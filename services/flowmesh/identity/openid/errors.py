"""Errors of logins at identity providers."""

from flowmesh.errors import Unauthenticated, Unavailable


class LoginRefused(Unauthenticated):
    """The answer of a provider does not log in a user."""

    def __init__(self, message: str) -> None:
        super().__init__("LOGIN_REFUSED", message)


class ProviderUnavailable(Unavailable):
    """A provider does not respond, or not as its protocol says."""

    def __init__(self, message: str) -> None:
        super().__init__("PROVIDER_UNAVAILABLE", message)
