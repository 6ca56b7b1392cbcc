"""Applications and releases, as callers change them."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TypeVar

from flowmesh.access.principal import current
from flowmesh.access.roles import PERMISSIONS, Role
from flowmesh.api.apphost.v1 import app_pb2 as pb
from flowmesh.apphost import limits
from flowmesh.apphost.storage.contents import Contents
from flowmesh.apphost.storage.records import (
    AppRow,
    Content,
    Deployer,
    Key,
    NewRelease,
    ReleaseRow,
)
from flowmesh.apphost.storage.store import AppStore
from flowmesh.errors import (
    FlowmeshError,
    Forbidden,
    Invalid,
    NotFound,
    TooLarge,
    Violation,
    WrongState,
)

T = TypeVar("T")

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
# Roles that the key of an application may have.
KEY_ROLES = (Role.VIEWER, Role.EDITOR, Role.ADMIN)
_POLL_MIN_S, _POLL_MAX_S = 0.02, 0.04


class Apps:
    """Checks calls and stores what they want; the host follows, and calls wait for it."""

    def __init__(
        self,
        *,
        store: AppStore,
        contents: Contents,
        announce: Callable[[], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._contents, self._announce = store, contents, announce
        self._clock = clock

    async def deploy(
        self, key: Key, content: Content, *, base: int = 0, role: str = ""
    ) -> tuple[ReleaseRow, bool]:
        """Store a release and wait for it; return it, and whether it is new.

        With `base`, files and variables of this release are kept; it must be the present one.
        `role` is that of the key of the application.
        """
        new = self._packed(key, await self.completed(key, content, base), role)
        app = await self._store.app(key)
        if app is not None and app.release == app.wanted and app.release and not app.stopped:
            serving = await self._store.release(key, app.release)
            if serving is not None and serving.digest == new.digest:
                return serving, False
        number = await self._store.add_release(key, new, base=base)
        if number is None:
            raise _deleting(key)
        await self._announce()
        return await self._result(key, number), True

    async def store_stopped(self, key: Key, content: Content, role: str) -> tuple[ReleaseRow, bool]:
        """Store a release of a stopped application; return it, and whether it is new."""
        new = self._packed(key, await self.completed(key, content, 0), role)
        newest = next(iter(await self._store.releases(key)), None)
        # One that was refused is tried again.
        if newest and newest.digest == new.digest and newest.state != pb.RELEASE_STATE_REFUSED:
            return newest, False
        number = await self._store.add_release(key, new, stopped=True)
        found = await self._store.release(key, number) if number else None
        if found is None:
            raise _deleting(key)
        await self._announce()
        return found, True

    def _packed(self, key: Key, content: Content, role: str) -> NewRelease:
        """Return a release of the caller. Raises Forbidden for a role above its own."""
        caller = current()
        role = "" if caller is None else role_of_key(role, caller.bits(key[0]))
        deployer = Deployer(caller.id, caller.name) if caller else Deployer()
        return self._contents.pack(key, content, deployer, role)

    async def completed(self, key: Key, content: Content, base: int) -> Content:
        """Return a content with the files and variables of a release that it does not give.

        Raises Invalid and TooLarge for one that cannot be stored, NotFound for an unknown release,
        Forbidden if it keeps variables of a caller with more rights.
        """
        check_name(key[1])
        caller = current()
        own = PERMISSIONS[Role.OWNER] if caller is None else caller.bits(key[0])
        content = replace(content, rights=own if content.environment else 0)
        if base:
            await self.app(key)
            before = await self._loaded(key, base)
            kept = frozenset(before.environment.keys() - content.environment.keys())
            rights = await self._rights(key, base) if kept else 0
            check_kept(kept, rights, own)
            content = Content(
                document=content.document,
                files={**before.files, **content.files},
                environment={**before.environment, **content.environment},
                kept=kept,
                rights=content.rights | rights,
            )
        check_content(content)
        return content

    async def source(self, key: Key, release: int) -> tuple[ReleaseRow, str]:
        """Return a release with its document; 0 is the present one."""
        number = release or (await self.app(key)).present
        content = await self._loaded(key, number)
        row = await self._store.release(key, number)
        if row is None:
            raise NotFound("RELEASE_NOT_FOUND", f"{key[1]} has no release {number}")
        return row, content.document

    async def _rights(self, key: Key, release: int) -> int:
        """Return the permission bits of the callers that set the variables of a release."""
        row = await self._store.release(key, release)
        return PERMISSIONS[Role.OWNER] if row is None else row.rights

    async def _loaded(self, key: Key, release: int) -> Content:
        if not 0 < release <= limits.RELEASE_MAX:
            raise NotFound("RELEASE_NOT_FOUND", f"{key[1]} has no release {release}")
        return await self._contents.load(key, release)

    async def rollback(self, key: Key, release: int) -> ReleaseRow:
        """Return to a release that served; 0 is the one before the present one."""
        app = await self.app(key)
        number = release or await self._store.previous(key, app.release)
        found = None
        if 0 < number <= limits.RELEASE_MAX:
            found = await self._store.release(key, number)
        if found is None or found.state in (0, pb.RELEASE_STATE_PENDING):
            wanted = f"release {release}" if release else "release that served before"
            raise NotFound("RELEASE_NOT_FOUND", f"{key[1]} has no {wanted}")
        if found.state == pb.RELEASE_STATE_SERVING and not app.stopped:
            return found
        await self._store.want_again(key, number)
        await self._announce()
        return await self._result(key, number)

    async def set_stopped(self, key: Key, stopped: bool) -> AppRow:
        """Stop or start an application, and wait for it."""
        await self.app(key)
        await self._store.set_stopped(key, stopped)
        await self._announce()
        passing = (pb.APP_STATE_STOPPED, pb.APP_STATE_STARTING)

        async def settled() -> AppRow | None:
            row = await self.app(key)
            done = row.state == pb.APP_STATE_STOPPED if stopped else row.state not in passing
            return row if done or (not stopped and not row.release) else None

        return await self._until(settled) or await self.app(key)

    async def delete(self, key: Key) -> None:
        """Delete an application, and wait until it is removed."""
        await self.app(key)
        await self._store.set_deleted(key)
        await self._announce()

        async def removed() -> bool | None:
            rows = await self._store.all_apps()
            return True if all(row.key != key for row in rows) else None

        await self._until(removed)

    async def app(self, key: Key) -> AppRow:
        found = await self._store.app(key)
        if found is None:
            raise NotFound("APP_NOT_FOUND", f"there is no application {key[1]!r}")
        return found

    async def apps(self, namespace: str) -> list[AppRow]:
        return await self._store.apps(namespace)

    async def of_plugin(self, plugin: str, namespace: str) -> list[Key]:
        """Return the applications that use a plugin; without a namespace, those of all."""
        uses = await self._store.uses_of_plugin(plugin, namespace)
        return list(dict.fromkeys(key for key, _ in uses))

    async def releases(self, key: Key) -> list[ReleaseRow]:
        await self.app(key)
        return await self._store.releases(key)

    async def _result(self, key: Key, number: int) -> ReleaseRow:
        """Return a release once it serves, or after the time of an answer. Raises its refusal."""

        async def settled() -> ReleaseRow | None:
            row = await self._store.release(key, number)
            if row is None:
                raise NotFound("RELEASE_NOT_FOUND", f"{key[1]} has no release {number}")
            return row if row.state != pb.RELEASE_STATE_PENDING else None

        row = await self._until(settled) or await self._store.release(key, number)
        assert row is not None
        if row.state == pb.RELEASE_STATE_REFUSED:
            raise _refused(row)
        return row

    async def _until(self, found: Callable[[], Awaitable[T | None]]) -> T | None:
        """Ask until there is an answer; None after the time of an answer."""
        until, pause = self._clock() + limits.ANSWER_S, _POLL_MIN_S
        while (answer := await found()) is None and self._clock() < until:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _POLL_MAX_S)
        return answer


def check_name(name: str) -> None:
    """Raise Invalid for a name that is none."""
    if len(name) > limits.NAME_CHARACTERS_MAX or not _NAME.fullmatch(name):
        text = f"app {name[:80]!r} must be lower-case letters, digits and hyphens"
        raise Invalid("APP_INVALID", f"{text}, at most {limits.NAME_CHARACTERS_MAX}")


def check_kept(kept: Collection[str], rights: int, own: int) -> None:
    """Raise Forbidden for variables that a caller with more rights has set."""
    if kept and rights & ~own:
        names = ", ".join(sorted(kept))
        text = f"{names}: set by a caller with more rights than yours; give the values anew"
        raise Forbidden("ROLE_REQUIRED", text)


def role_of_key(role: str, bits: int) -> str:
    """Return the role of the key of an application; raise Forbidden above that of the caller."""
    if role and role not in KEY_ROLES:
        text = f"role {role[:20]!r} is not one of {', '.join(KEY_ROLES)}"
        raise Invalid("APP_INVALID", text)
    wanted = Role(role or Role.EDITOR)
    if PERMISSIONS[wanted] & ~bits:
        raise Forbidden("ROLE_REQUIRED", f"you may not give an application the role {wanted.value}")
    return wanted.value


def _deleting(key: Key) -> FlowmeshError:
    return WrongState("APP_DELETING", f"{key[1]} is being deleted; try again in a second")


def _refused(row: ReleaseRow) -> FlowmeshError:
    violations = tuple(Violation(each.place, each.message, each.code) for each in row.findings)
    text = f"release {row.release} is refused: {row.problem}"
    return WrongState("RELEASE_REFUSED", text, violations=violations)


def check_content(content: Content) -> None:
    """Raise TooLarge or Invalid for a release that cannot be stored."""
    size = len(content.document.encode()) + sum(map(len, content.files.values()))
    if size > limits.SOURCE_BYTES_MAX:
        most = limits.SOURCE_BYTES_MAX >> 20
        raise TooLarge("APP_TOO_LARGE", f"document and files have at most {most} MiB together")
    if len(content.files) > limits.FILES_MAX:
        raise TooLarge("APP_TOO_LARGE", f"a release has at most {limits.FILES_MAX} files")
    if not content.document.strip():
        raise Invalid("APP_INVALID", "document is empty; it is the YAML of an application")
    for path in content.files:
        _check_path(path)
    _check_environment(content.environment)


def _check_path(path: str) -> None:
    parts = PurePosixPath(path).parts
    fits = path == "/".join(parts) and 0 < len(path) <= limits.PATH_CHARACTERS_MAX
    strange = path.startswith("/") or ".." in parts or "\\" in path or not path.isprintable()
    if not fits or strange or path == "app.yaml":
        text = f"files: {path[:80]!r} is no relative path with slashes beside app.yaml"
        raise Invalid("APP_INVALID", f"{text}, at most {limits.PATH_CHARACTERS_MAX} characters")


def _check_environment(environment: Mapping[str, str]) -> None:
    if len(environment) > limits.VARIABLES_MAX:
        raise TooLarge("APP_TOO_LARGE", f"a release has at most {limits.VARIABLES_MAX} variables")
    for name, value in environment.items():
        if not _VARIABLE.fullmatch(name):
            text = f"environment: {name[:80]!r} is no name such as JWT_SECRET"
            raise Invalid("APP_INVALID", text)
        if len(value.encode()) > limits.VARIABLE_BYTES_MAX:
            most = limits.VARIABLE_BYTES_MAX
            raise TooLarge("APP_TOO_LARGE", f"environment: {name} has more than {most} bytes")
