"""Sessions of `flowmesh login`: tokens by profile and address, beside the profiles.

The tokens are in the key store of the system where the package `keyring` is installed and has one
(extra `keyring`), otherwise in `sessions.json`, readable by its owner only. A session is used for
the address that it was opened at and for no other.
"""

import asyncio
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from flowmesh.cli.exit_codes import USAGE
from flowmesh.cli.profile_store import FOLDER_MODE, profiles_path
from flowmesh.cli.refusals import Refused
from flowmesh.sdk import Login, Tokens
from flowmesh.sdk.transport.credentials import Refresh

try:
    import fcntl
except ImportError:  # not available on Windows, where commands do not wait for each other
    fcntl = None  # type: ignore[assignment]

_KEY_STORE = "flowmesh"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Place:
    """The profile and the address that a session is for; the profile may be empty."""

    profile: str
    address: str

    def __str__(self) -> str:
        return f"{self.profile}@{self.address}"


@dataclass(frozen=True, slots=True)
class Session:
    """A session and the email address of its user."""

    email: str
    tokens: Tokens


class StoredLogin(Login):
    """A session whose tokens other commands use and refresh too."""

    def __init__(self, place: Place, session: Session) -> None:
        super().__init__(session.tokens)
        self._place, self._session = place, session

    async def newest(self, refresh: Refresh, rejected: str = "") -> Tokens:
        """Return tokens that are valid now; of several commands one refreshes them."""
        with await asyncio.to_thread(_locked):
            stored = read_session(self._place)
            if stored is not None:
                self._session, self.tokens = stored, stored.tokens
            before = self.tokens
            tokens = await super().newest(refresh, rejected)
            if tokens is not before:
                self._session = replace(self._session, tokens=tokens)
                _write(self._place, self._session)
        return tokens


def read_session(place: Place) -> Session | None:
    """Return the session of a place; None without one."""
    entry = _entries().get(str(place))
    if entry is None:
        return None
    try:
        email, secret = entry["email"], entry.get("tokens") or _from_key_store(place)
        tokens = orjson.loads(secret) if isinstance(secret, str) else secret
        found = Tokens(tokens["access"], tokens["refresh"], float(tokens["renewAt"]))
    except (KeyError, TypeError, ValueError):
        return None
    return Session(email, found)


def write_session(place: Place, session: Session) -> None:
    """Keep a session, in place of an earlier one."""
    with _locked():
        _write(place, session)


def delete_session(place: Place) -> None:
    """Forget a session."""
    with _locked():
        _forget([place])


def delete_sessions(profile: str) -> None:
    """Forget the sessions of a profile."""
    with _locked():
        named = (name.partition("@") for name in _entries())
        _forget([Place(each, address) for each, _, address in named if each == profile])


def _forget(places: list[Place]) -> None:
    entries = _entries()
    gone = [place for place in places if entries.pop(str(place), None) is not None]
    for place in gone:
        _to_key_store(place, "")
    if gone:
        _save(entries)


def _write(place: Place, session: Session) -> None:
    tokens = session.tokens
    secret = {
        "access": tokens.access_token,
        "refresh": tokens.refresh_token,
        "renewAt": tokens.renew_at,
    }
    stored = _to_key_store(place, orjson.dumps(secret).decode())
    entries = _entries()
    entries[str(place)] = {"email": session.email} | ({} if stored else {"tokens": secret})
    _save(entries)


def _path() -> Path:
    return profiles_path().with_name("sessions.json")


@contextmanager
def _held(file: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(file)  # which releases the lock


def _locked() -> Any:
    """Wait until no other command changes sessions; the lock ends with the returned block."""
    path = _path().with_suffix(".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, stat.S_IRUSR | stat.S_IWUSR)
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}", code=USAGE) from None
    return _held(file)


def _entries() -> dict[str, Any]:
    path = _path()
    try:
        if path.stat().st_mode & _OTHERS:
            raise Refused(f"other users can read {path}", f"chmod 600 {path}", USAGE)
        found = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}", code=USAGE) from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refused(f"{path} is not a file of sessions", "remove it and log in again", USAGE)
    return found


def _save(entries: dict[str, Any]) -> None:
    path = _path()
    try:
        # Such a file is readable by its owner only.
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, delete=False) as file:
            file.write(orjson.dumps(entries, option=orjson.OPT_INDENT_2))
        Path(file.name).replace(path)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}", code=USAGE) from None


def _from_key_store(place: Place) -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return ""
    try:
        return keyring.get_password(_KEY_STORE, str(place)) or ""
    except KeyringError:
        return ""


def _to_key_store(place: Place, secret: str) -> bool:
    """Store a secret, or delete it if it is empty. Return False if there is no key store."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return False
    try:
        if secret:
            keyring.set_password(_KEY_STORE, str(place), secret)
        elif keyring.get_password(_KEY_STORE, str(place)) is not None:
            keyring.delete_password(_KEY_STORE, str(place))
    except KeyringError:
        return False
    return True
