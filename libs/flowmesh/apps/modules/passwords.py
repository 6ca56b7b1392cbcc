"""Passwords of users of applications: rules, hashes, and the limit of guesses."""

import asyncio
import ipaddress
import secrets
import string
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from flowmesh.apps.http.problems import HttpProblem
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid
from flowmesh.extras import needed_by

PASSWORD_CHARACTERS_MAX = 1_024
PASSWORD_CHARACTERS_MIN = 8
BCRYPT = ("$2a$", "$2b$", "$2y$")
BCRYPT_BYTES = 72
_BCRYPT_COSTS = (10, 15)
# The strength of a longer password is judged by its beginning.
_JUDGED_CHARACTERS = 72
# Below this a password is guessed in seconds.
_SCORE_MIN = 2
WINDOW_S = 60
FAILURES_MAX = 10
# Of a network over all addresses, and of an address over all networks.
FAILURES_MANY_MAX = 100
COUNTS_MAX = 100_000
# Logins of an address from one network that wait for the one that is verified.
WAITING_MAX = 50
_IPV4_NETWORK, _IPV6_NETWORK = 24, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordRules:
    """Demands on new passwords, beside that common ones are refused."""

    characters_min: int = PASSWORD_CHARACTERS_MIN
    upper: bool = False
    lower: bool = False
    digit: bool = False
    special: bool = False
    # The cost of hashes with bcrypt; 0 for argon2.
    bcrypt_cost: int = 0

    @classmethod
    def read(cls, module: str, config: Mapping[str, Json]) -> "PasswordRules":
        """Read the keys of auth.modular. Raises Invalid."""
        demands = ("upper", "lower", "digit", "special")
        known = {"algorithm", "min_length", "bcrypt_cost", *(f"require_{each}" for each in demands)}
        for key in config:
            if key not in known:
                text = f"password.{key} is unknown; known are {', '.join(sorted(known))}"
                raise _wrong(module, text)
        for each in demands:
            if not isinstance(config.get(f"require_{each}", False), bool):
                raise _wrong(module, f"password.require_{each} must be true or false")
        algorithm = config.get("algorithm", "bcrypt" if "bcrypt_cost" in config else "argon2")
        if algorithm not in ("argon2", "argon2id", "bcrypt"):
            raise _wrong(module, "password.algorithm is one of argon2id and bcrypt")
        cost = _number(module, "bcrypt_cost", config.get("bcrypt_cost", 12), *_BCRYPT_COSTS)
        if algorithm != "bcrypt" and "bcrypt_cost" in config:
            raise _wrong(module, "password.bcrypt_cost needs the algorithm bcrypt")
        least = config.get("min_length", PASSWORD_CHARACTERS_MIN)
        most = BCRYPT_BYTES if algorithm == "bcrypt" else PASSWORD_CHARACTERS_MAX
        return cls(
            characters_min=_number(module, "min_length", least, PASSWORD_CHARACTERS_MIN, most),
            bcrypt_cost=cost if algorithm == "bcrypt" else 0,
            **{each: config.get(f"require_{each}", False) for each in demands},
        )

    def check(self, password: Json, *known: str) -> str:
        """Return the new password of a request; `known` are words of its user.

        Raises HttpProblem before anything is hashed.
        """
        if not isinstance(password, str) or not password:
            raise _refused("password is missing")
        if not self.characters_min <= len(password) <= PASSWORD_CHARACTERS_MAX:
            text = f"a password has {self.characters_min} to {PASSWORD_CHARACTERS_MAX} characters"
            raise _refused(text)
        if self.bcrypt_cost and len(password.encode()) > BCRYPT_BYTES:
            raise _refused(f"a password has at most {BCRYPT_BYTES} bytes")
        for wanted, has, text in (
            (self.upper, str.isupper, "an upper-case letter"),
            (self.lower, str.islower, "a lower-case letter"),
            (self.digit, str.isdecimal, "a digit"),
            (self.special, _is_special, "a special character"),
        ):
            if wanted and not any(map(has, password)):
                raise _refused(f"a password needs {text}")
        # Its lists of words take 11 MiB, and most processes never judge a password.
        from zxcvbn import zxcvbn

        judged = zxcvbn(password[:_JUDGED_CHARACTERS], user_inputs=[each for each in known if each])
        if judged["score"] < _SCORE_MIN:
            raise _refused("the password is easy to guess; use several unrelated words")
        return password


def _is_special(character: str) -> bool:
    return character in string.punctuation or not (character.isalnum() or character.isspace())


def _number(module: str, key: str, value: Json, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise _wrong(module, f"password.{key} must be a whole number from {least} to {most}")
    return value


def _wrong(module: str, text: str) -> Invalid:
    return Invalid("APP_CONFIG_INVALID", f"{module}: {text}")


def _refused(text: str) -> HttpProblem:
    return HttpProblem(422, "VALIDATION_FAILED", text)


class Passwords:
    """Hashes and checks passwords in a thread: argon2, and bcrypt of imported users."""

    def __init__(self, rules: PasswordRules) -> None:
        from argon2 import PasswordHasher

        self._rules = rules
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        # At most this many at once, each with 19 MiB.
        self._gate = asyncio.Semaphore(4)
        # Checked for unknown addresses, so that their answers take as long.
        self._decoy = ""

    async def new(self, password: Json, *known: str) -> str:
        """Check a new password and return its hash. Raises HttpProblem."""
        async with self._gate:
            checked = await asyncio.to_thread(self._rules.check, password, *known)
            return await asyncio.to_thread(self._hash, checked)

    async def hash(self, password: str) -> str:
        """Return the hash of a password that the deployer has chosen."""
        async with self._gate:
            return await asyncio.to_thread(self._hash, password)

    async def matches(self, password: str, hashed: str) -> bool:
        if not hashed:
            if not self._decoy:
                self._decoy = await self.hash(secrets.token_hex(8))
            await self.matches(password, self._decoy)
            return False
        async with self._gate:
            return await asyncio.to_thread(self._verify, password, hashed)

    def _hash(self, password: str) -> str:
        if not self._rules.bcrypt_cost:
            return self._hasher.hash(password)
        with needed_by("passwords hashed with bcrypt", "apps"):
            import bcrypt

        salt = bcrypt.gensalt(self._rules.bcrypt_cost)
        return bcrypt.hashpw(password.encode()[:BCRYPT_BYTES], salt).decode()

    def _verify(self, password: str, hashed: str) -> bool:
        from argon2.exceptions import Argon2Error, InvalidHashError

        if hashed.startswith(BCRYPT):
            return _bcrypt_fits(password, hashed)
        try:
            return bool(self._hasher.verify(hashed, password))
        except (Argon2Error, InvalidHashError):
            return False


def _bcrypt_fits(password: str, hashed: str) -> bool:
    """Compare with a hash of bcrypt, which takes the first 72 bytes."""
    with needed_by("passwords hashed with bcrypt", "apps"):
        import bcrypt

    try:
        return bcrypt.checkpw(password.encode()[:BCRYPT_BYTES], hashed.encode())
    except ValueError:
        return False


@dataclass(slots=True)
class _Queue:
    first: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class LoginLimit:
    """Counts logins in a minute, before their passwords are verified; a success is given back.

    An address has ten failures from one network. It has a hundred from all networks together,
    which networks that it has logged in from pass, and a network has a hundred for all addresses.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # In the order in which the windows began.
        self._counts: dict[tuple[str, str], tuple[int, float]] = {}
        self._known: dict[tuple[str, str], None] = {}
        self._queues: dict[tuple[str, str], _Queue] = {}

    @asynccontextmanager
    async def turn(self, address: str, client: str) -> AsyncIterator[None]:
        """Wait until no other login of the address from this network is verified."""
        key = (address, _network(client))
        queue = self._queues.setdefault(key, _Queue())
        if queue.waiting >= WAITING_MAX:
            raise _limited(1)
        queue.waiting += 1
        try:
            async with queue.first:
                yield
        finally:
            queue.waiting -= 1
            if not queue.waiting:
                del self._queues[key]

    def begin(self, address: str, client: str) -> None:
        """Count a login. Raises HttpProblem with 429, and then counts nothing."""
        now = self._clock()
        limits = self._limits(address, client)
        found = {key: self._count(key, now) for key in limits}
        left = [
            WINDOW_S - (now - since)
            for key, (count, since) in found.items()
            if count >= limits[key]
        ]
        if left:
            raise _limited(int(max(left)) + 1)
        for key, (count, since) in found.items():
            self._counts[key] = (count + 1, since)
        self._forget(now)

    def passed(self, address: str, client: str) -> None:
        """Give a login back, and let its network pass the bound of the address."""
        network = _network(client)
        for key in self._limits(address, client):
            count, since = self._counts.get(key, (0, 0.0))
            if count > 1:
                self._counts[key] = (count - 1, since)
            else:
                self._counts.pop(key, None)
        self._counts.pop((address, network), None)
        self._known[address, network] = None
        if len(self._known) > COUNTS_MAX:
            del self._known[next(iter(self._known))]

    def _limits(self, address: str, client: str) -> dict[tuple[str, str], int]:
        network = _network(client)
        limits = {(address, network): FAILURES_MAX, ("", network): FAILURES_MANY_MAX}
        if (address, network) not in self._known:
            limits[address, "*"] = FAILURES_MANY_MAX
        return limits

    def _count(self, key: tuple[str, str], now: float) -> tuple[int, float]:
        count, since = self._counts.get(key, (0, now))
        if now - since < WINDOW_S:
            return count, since
        self._counts.pop(key, None)
        return 0, now

    def _forget(self, now: float) -> None:
        """Drop windows that have ended; while there are too many, also the oldest."""
        while self._counts:
            key, (_, since) = next(iter(self._counts.items()))
            if now - since < WINDOW_S and len(self._counts) <= COUNTS_MAX:
                return
            del self._counts[key]


def _limited(after_s: int) -> HttpProblem:
    headers = [(b"retry-after", str(after_s).encode())]
    text = "too many failed logins; try again later"
    return HttpProblem(429, "LOGIN_LIMITED", text, headers=headers)


def _network(client: str) -> str:
    """Return the network that is limited together."""
    try:
        found = ipaddress.ip_address(client)
    except ValueError:
        return client
    bits = _IPV4_NETWORK if found.version == 4 else _IPV6_NETWORK
    return str(ipaddress.ip_network(f"{found}/{bits}", strict=False))
