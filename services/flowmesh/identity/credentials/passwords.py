"""Passwords: judged, hashed by Argon2id and verified, a bounded number at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from flowmesh.errors import Invalid, Overloaded, Violation
from flowmesh.identity.limits import (
    HASHES_AT_ONCE,
    HASHES_WAITING_MAX,
    PASSWORD_BYTES_MAX,
    PASSWORD_CHARS_JUDGED,
    PASSWORD_CHARS_MIN,
)

# Below this a password is guessed in seconds.
_SCORE_MIN = 2


@dataclass(slots=True)
class _Queue:
    """Hashes of one source: one is made, the others wait."""

    first: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class Passwords:
    """One hasher of the process. A hash takes 64 MiB, so few are made at once.

    Of each source one hash at a time waits for the few turns, so that no source takes them all.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._free = asyncio.Semaphore(HASHES_AT_ONCE)
        self._queues: dict[str, _Queue] = {}
        self._unknown = self._hasher.hash("the password of a user that does not exist")

    @asynccontextmanager
    async def turn(self, source: str) -> AsyncIterator[None]:
        """Wait for a turn to hash. Raise LOGIN_DELAYED if many hashes of the source wait."""
        queue = self._queues.setdefault(source, _Queue())
        if queue.waiting >= HASHES_WAITING_MAX:
            text = "too many logins of this network at once; try again in a second"
            raise Overloaded("LOGIN_DELAYED", text, retry_after_ms=1_000)
        queue.waiting += 1
        try:
            async with queue.first, self._free:
                yield
        finally:
            queue.waiting -= 1
            if not queue.waiting:
                del self._queues[source]

    async def hashed(self, password: str) -> str:
        """Return the hash of a password. Called within a turn."""
        return await asyncio.to_thread(self._hasher.hash, password)

    async def is_right(self, password: str, password_hash: str | None) -> bool:
        """Return whether a password fits; without a hash it takes as long and is wrong.

        Users of identity providers have an empty one. Called within a turn.
        """
        if len(password.encode()) > PASSWORD_BYTES_MAX:
            return False
        fits = await asyncio.to_thread(self._verify, password, password_hash or self._unknown)
        return fits and bool(password_hash)

    def _verify(self, password: str, password_hash: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False


def check_password(password: str, *known: str) -> None:
    """Raise PASSWORD_WEAK for a short or a common password; `known` are words of its user."""
    if len(password.encode()) > PASSWORD_BYTES_MAX:
        raise _weak(f"the password has more than {PASSWORD_BYTES_MAX:,} bytes")
    if len(password) < PASSWORD_CHARS_MIN:
        raise _weak(f"the password has fewer than {PASSWORD_CHARS_MIN} characters")
    # Its lists of words take 11 MiB, and most processes never judge a password.
    from zxcvbn import zxcvbn

    judged = zxcvbn(password[:PASSWORD_CHARS_JUDGED], user_inputs=list(known))
    if judged["score"] < _SCORE_MIN:
        raise _weak("the password is easy to guess; use several unrelated words")


def _weak(message: str) -> Invalid:
    return Invalid(
        "PASSWORD_WEAK", message, violations=(Violation("password", message, "PASSWORD_WEAK"),)
    )
