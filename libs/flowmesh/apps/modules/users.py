"""Users of applications: records with hashed passwords, in memory or written through."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.modules.databases import RecordStore
from flowmesh.apps.modules.module import Module, Setting
from flowmesh.extras import needed_by

Json = Any
User = dict[str, Json]

USERS_MAX = 1_000_000
PASSWORD_CHARACTERS_MAX = 1_024
PASSWORD_CHARACTERS_MIN = 6
HIDDEN = frozenset({"passwordHash", "password"})
_TABLE, _KIND = "users", "user"


class UserStore:
    """Users by id and by address; addresses are compared without case."""

    def __init__(self, *, store: RecordStore | None) -> None:
        self._store = store
        self._users: dict[str, User] = {}
        self._ids: dict[str, str] = {}

    async def start(self) -> None:
        if self._store is not None:
            for user in (await self._store.load(_TABLE, _KIND)).values():
                self._keep(user)

    def get(self, id: str) -> User | None:
        return self._users.get(id)

    def find(self, address: str) -> User | None:
        id = self._ids.get(address.strip().lower())
        return self._users.get(id) if id else None

    def all(self) -> list[User]:
        return list(self._users.values())

    def __len__(self) -> int:
        return len(self._users)

    async def add(self, user: User) -> None:
        """Add a user. Raises HttpProblem if the address is taken."""
        if self.find(str(user["email"])) is not None:
            raise HttpProblem(409, "USER_EXISTS", "a user with this address is there already")
        if len(self._users) >= USERS_MAX:
            raise HttpProblem(503, "USERS_FULL", f"there are {USERS_MAX} users already")
        # Reserved before the write, so that two registrations at once cannot both succeed.
        self._keep(user)
        try:
            await self._write(user)
        except BaseException:
            self._drop(user)
            raise

    async def put(self, user: User) -> None:
        await self._write(user)
        self._keep(user)

    async def delete(self, user: User) -> None:
        if self._store is not None:
            await self._store.delete(_TABLE, _KIND, user["id"])
        self._drop(user)

    async def _write(self, user: User) -> None:
        if self._store is not None:
            await self._store.put(_TABLE, _KIND, user["id"], user)

    def _keep(self, user: User) -> None:
        self._users[user["id"]] = user
        self._ids[str(user["email"]).strip().lower()] = user["id"]

    def _drop(self, user: User) -> None:
        self._users.pop(user["id"], None)
        self._ids.pop(str(user["email"]).strip().lower(), None)


def user_store(setting: Setting) -> Module:
    """Build auth.user-store."""
    database = setting.partner("Database")
    records = RecordStore(database) if database is not None else None
    store = UserStore(store=records)

    async def start() -> None:
        if records is not None:
            await records.start()
        await store.start()

    return Module(name=setting.name, services={"Users": store}, start=start)


def new_id() -> str:
    return f"user-{secrets.token_hex(8)}"


def shown(user: Mapping[str, Json]) -> User:
    """Return a user without the hash of the password."""
    return {key: value for key, value in user.items() if key not in HIDDEN}


BCRYPT = ("$2a$", "$2b$", "$2y$")
BCRYPT_BYTES = 72


class Passwords:
    """Hashes and checks passwords in a thread: argon2, and bcrypt of imported users."""

    def __init__(self) -> None:
        from argon2 import PasswordHasher

        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        # At most this many at once, each with 19 MiB.
        self._gate = asyncio.Semaphore(4)
        # Checked for unknown addresses, so that their answers take as long.
        self._decoy = ""

    async def hash(self, password: str) -> str:
        async with self._gate:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, password: str, hashed: str) -> bool:
        if not hashed:
            if not self._decoy:
                self._decoy = await self.hash(secrets.token_hex(8))
            await self.matches(password, self._decoy)
            return False
        async with self._gate:
            return await asyncio.to_thread(self._verify, password, hashed)

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


def check_password_text(password: Json) -> str:
    """Return the password of a request. Raises HttpProblem before anything is hashed."""
    if not isinstance(password, str) or not password:
        raise HttpProblem(422, "VALIDATION_FAILED", "password is missing")
    if not PASSWORD_CHARACTERS_MIN <= len(password) <= PASSWORD_CHARACTERS_MAX:
        text = f"a password has {PASSWORD_CHARACTERS_MIN} to {PASSWORD_CHARACTERS_MAX} characters"
        raise HttpProblem(422, "VALIDATION_FAILED", text)
    return password


class LoginLimit:
    """Failed logins by address: ten in a minute, then 429."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: dict[str, tuple[int, float]] = {}

    def check(self, address: str) -> None:
        count, since = self._failed.get(address, (0, 0.0))
        left = 60 - (self._clock() - since)
        if count >= 10 and left > 0:
            headers = [(b"retry-after", str(int(left) + 1).encode())]
            text = "too many failed logins; try again later"
            raise HttpProblem(429, "LOGIN_LIMITED", text, headers=headers)

    def failed(self, address: str) -> None:
        now = self._clock()
        count, since = self._failed.get(address, (0, now))
        if now - since > 60:
            count, since = 0, now
        if len(self._failed) > 100_000:
            self._failed.clear()
        self._failed[address] = (count + 1, since)

    def passed(self, address: str) -> None:
        self._failed.pop(address, None)
