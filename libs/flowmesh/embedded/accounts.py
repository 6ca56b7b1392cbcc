"""The accounts that an embedded NATS and Redis have beside that of the administrator."""

from typing import Protocol


class ServerAccounts(Protocol):
    """The users of the configurations of both servers."""

    def nats_users(self) -> list[dict[str, object]]:
        """Return the users of NATS, as its configuration writes them."""

    def redis_users(self) -> list[str]:
        """Return the users of Redis: lines of its configuration."""
