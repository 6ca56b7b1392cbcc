"""Users of applications: records in memory, or written through to a store."""

import secrets
from collections.abc import Mapping

from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.modules.databases import RecordStore
from flowmesh.apps.modules.module import Module, Setting
from flowmesh.apps.wiring.ports import DATABASE, Port
from flowmesh.contract.json_value import Json

User = dict[str, Json]

USERS_MAX = 1_000_000
_ADDRESS_CHARACTERS_MAX = 254
HIDDEN = frozenset({"passwordHash", "password"})
_TABLE, _KIND = "users", "user"


class UserStore:
    """Users by id and by address; addresses are compared without case."""

    def __init__(self, *, store: RecordStore | None) -> None:
        self._store = store
        self._users: dict[str, User] = {}
        self._ids: dict[str, str] = {}
        self._admins: set[str] = set()

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

    @property
    def store(self) -> RecordStore | None:
        return self._store

    @property
    def has_admin(self) -> bool:
        return bool(self._admins)

    def __len__(self) -> int:
        return len(self._users)

    async def add(self, user: User) -> None:
        """Add a user. Raises HttpProblem if the address is taken."""
        if self.find(str(user["email"])) is not None:
            raise HttpProblem(409, "USER_EXISTS", "a user with this address already exists")
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
        (self._admins.add if user.get("role") == "admin" else self._admins.discard)(user["id"])
        self._ids[str(user["email"]).strip().lower()] = user["id"]

    def _drop(self, user: User) -> None:
        self._users.pop(user["id"], None)
        self._admins.discard(user["id"])
        self._ids.pop(str(user["email"]).strip().lower(), None)


def user_store(setting: Setting) -> Module:
    """Build auth.user-store."""
    database = setting.partner(DATABASE)
    records = RecordStore(database) if database is not None else None
    store = UserStore(store=records)

    async def start() -> None:
        if records is not None:
            await records.start()
        await store.start()

    return Module(name=setting.name, services={"Users": store}, start=start)


def checked_address(value: Json) -> str:
    """Return the address of a request. Raises HttpProblem."""
    text = value.strip() if isinstance(value, str) else ""
    name, at, host = text.partition("@")
    if not (name and at and host) or len(text) > _ADDRESS_CHARACTERS_MAX or "\0" in text:
        raise HttpProblem(422, "VALIDATION_FAILED", "email must be an address")
    return text


def new_id() -> str:
    return f"user-{secrets.token_hex(8)}"


def shown(user: Mapping[str, Json]) -> User:
    """Return a user without the hash of the password."""
    return {key: value for key, value in user.items() if key not in HIDDEN}


def public(user: Mapping[str, Json]) -> User:
    """Return the fields of a user that its tokens and their claims have."""
    return {key: value for key, value in shown(user).items() if key not in ("id", "createdAt")}


USERS: Port[UserStore] = Port("Users")
