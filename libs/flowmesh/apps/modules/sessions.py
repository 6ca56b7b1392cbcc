"""Sessions of users of applications: families of tokens that begin with a login, and cookies."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any

from flowmesh.apps.http.messages import Request
from flowmesh.apps.modules.databases import RecordStore
from flowmesh.apps.modules.users import User, public
from flowmesh.contract.json_value import Json

TOKEN_CHARACTERS_MAX = 16 * 1024
# Of one user; the oldest ends when another one begins.
SESSIONS_MAX = 100
_TABLE, _KIND = "users", "session"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Session:
    """A family of tokens; `use` is the id of its only valid refresh token."""

    family: str
    user: str
    use: str
    until: float

    @property
    def record(self) -> dict[str, Any]:
        return {"user": self.user, "use": self.use, "until": self.until}

    @classmethod
    def of(cls, family: str, record: Mapping[str, Any]) -> "Session":
        return cls(family, str(record["user"]), str(record["use"]), float(record["until"]))


class Tokens:
    """Signs tokens and checks their signatures and times."""

    def __init__(
        self,
        *,
        secret: str,
        algorithm: str,
        issuer: str,
        expiry_s: float,
        refresh_s: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        import jwt

        self._jwt = jwt
        self._secret = secret
        self._algorithm = algorithm
        self._issuer = issuer
        self.expiry_s = int(expiry_s)
        self.refresh_s = int(refresh_s)
        self._now = now

    def pair(self, user: User, session: Session) -> dict[str, Json]:
        """Return a token and the refresh token that follows it."""
        now = int(self._now())
        claims = {"sub": user["id"], "iss": self._issuer, "iat": now, "family": session.family}
        access = {**public(user), **claims, "exp": now + self.expiry_s, "type": "access"}
        refresh = {**claims, "exp": now + self.refresh_s, "type": "refresh", "jti": session.use}
        return {"access": self._signed(access), "refresh": self._signed(refresh)}

    def sealed(self, kind: str, life_s: int, **claims: Json) -> str:
        """Return claims that are valid for a time, as a token of another kind than `pair`."""
        now = int(self._now())
        own = {"iss": self._issuer, "iat": now, "exp": now + life_s, "type": kind}
        return self._signed({**claims, **own})

    def check(self, token: str, kind: str = "access") -> dict[str, Json] | None:
        """Return the claims of a token; None for one that is not valid."""
        if len(token) > TOKEN_CHARACTERS_MAX:
            return None
        try:
            claims: dict[str, Json] = self._jwt.decode(
                token,
                self._secret,
                algorithms=[self._algorithm],
                issuer=self._issuer,
                options={"require": ["exp", "iat", "sub"]},
            )
        except self._jwt.InvalidTokenError:
            return None
        return claims if claims.get("type") == kind else None

    def _signed(self, claims: dict[str, Json]) -> str:
        return str(self._jwt.encode(claims, self._secret, self._algorithm))


class Sessions:
    """Open sessions, in memory or written through; each is kept until it ends or expires.

    A session that is not here has ended. So a refresh token that was used, and a session that was
    ended, are refused after a restart too; without a store all sessions end with the process.
    """

    def __init__(
        self, *, store: RecordStore | None, life_s: float, now: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._life_s = life_s
        self._now = now
        # In the order in which they expire.
        self._open: dict[str, Session] = {}
        self._of_user: dict[str, dict[str, None]] = {}

    async def start(self) -> None:
        """Read the sessions, and delete those that have expired."""
        if self._store is None:
            return
        found = [Session.of(*each) for each in (await self._store.load(_TABLE, _KIND)).items()]
        for session in sorted(found, key=lambda each: each.until):
            self._keep(session)
        await self._expire()

    def is_open(self, family: str) -> bool:
        session = self._open.get(family)
        return session is not None and session.until > self._now()

    async def begin(self, user: str) -> Session:
        await self._expire()
        of_user = self._of_user.get(user, {})
        if len(of_user) >= SESSIONS_MAX:
            await self.end(next(iter(of_user)))
        session = Session(secrets.token_hex(8), user, secrets.token_hex(8), self._until())
        await self._write(session)
        self._keep(session)
        return session

    async def refresh(self, family: str, use: str) -> Session | None:
        """Return the session with its next refresh token; one that was used before ends it."""
        session = self._open.get(family)
        if session is None or session.use != use:
            # Another process of the application may have changed it.
            session = await self._read(family)
        if session is None or session.until <= self._now():
            return None
        if session.use != use:
            await self.end(family)
            return None
        following = Session(family, session.user, secrets.token_hex(8), self._until())
        # Kept before the write, so that of two uses at once only one succeeds.
        self._keep(following)
        try:
            await self._write(following)
        except BaseException:
            self._keep(session)
            raise
        return following

    async def end(self, family: str) -> None:
        self._drop(family)
        if self._store is not None:
            await self._store.delete(_TABLE, _KIND, family)

    async def end_all(self, user: str) -> None:
        for family in list(self._of_user.get(user, ())):
            await self.end(family)

    def _until(self) -> float:
        return self._now() + self._life_s

    async def _expire(self) -> None:
        now = self._now()
        while (first := next(iter(self._open.values()), None)) and first.until <= now:
            await self.end(first.family)

    async def _read(self, family: str) -> Session | None:
        if self._store is None:
            return self._open.get(family)
        record = await self._store.get(_TABLE, _KIND, family)
        return Session.of(family, record) if record is not None else None

    async def _write(self, session: Session) -> None:
        if self._store is not None:
            await self._store.put(_TABLE, _KIND, session.family, session.record)

    def _keep(self, session: Session) -> None:
        self._drop(session.family)
        self._open[session.family] = session
        self._of_user.setdefault(session.user, {})[session.family] = None

    def _drop(self, family: str) -> None:
        session = self._open.pop(family, None)
        if session is not None:
            of_user = self._of_user[session.user]
            del of_user[family]
            if not of_user:
                del self._of_user[session.user]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookies:
    """The cookie of a session."""

    name: str = "session"
    max_age_s: int = 86_400
    secure: bool = True
    http_only: bool = True
    same_site: str = "Lax"

    def given(self, request: Request) -> str:
        """Return the value that a request has; "" without one, and for a foreign origin.

        A browser sends the cookie with requests of other pages too, which name their origin.
        """
        origin = request.header(b"origin").partition("://")[2]
        if request.method not in _SAFE and origin and origin != request.header(b"host"):
            return ""
        return cookie_of(request, self.name)

    def setting(self, value: str) -> tuple[bytes, bytes]:
        """Return the header that sets the cookie."""
        return self._header(value, self.max_age_s)

    def clearing(self) -> tuple[bytes, bytes]:
        return self._header("", 0)

    def _header(self, value: str, age_s: int) -> tuple[bytes, bytes]:
        text = f"{self.name}={value}; Path=/; Max-Age={age_s}; SameSite={self.same_site}"
        text += "; Secure" * self.secure + "; HttpOnly" * self.http_only
        return b"set-cookie", text.encode("latin-1")


def cookie_of(request: Request, name: str) -> str:
    """Return the value of a cookie; "" without one."""
    try:
        found = SimpleCookie(request.header(b"cookie")).get(name)
    except CookieError:
        return ""
    return found.value if found is not None else ""
