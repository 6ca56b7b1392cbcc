"""Checks of documents that are not released: each in a process and a folder of its own."""

import asyncio
import secrets
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from flowmesh.apphost import limits
from flowmesh.apphost.running.folders import Folders
from flowmesh.apphost.running.module_types import ModuleTypes
from flowmesh.apphost.running.strangers import Strangers
from flowmesh.apphost.storage.records import Content, Key
from flowmesh.apps.components.plugins import PluginType
from flowmesh.apps.release_process.conversation import Begin, Placed
from flowmesh.errors import Overloaded, WrongState

RETRY_AFTER_MS = 1_000
# The variables by which an application reaches the suite.
SuiteOf = Callable[[Key], Awaitable[Mapping[str, str]]]


class Checks:
    """Runs few checks at a time; further ones wait, and are refused beyond a bound."""

    def __init__(
        self, *, data_dir: Path, suite: SuiteOf, strangers: Strangers, module_types: ModuleTypes
    ) -> None:
        self._root, self._suite = data_dir / "checks", suite
        self._strangers, self._module_types = strangers, module_types
        self._slots = asyncio.Semaphore(limits.CHECKS_RUNNING)
        self._waiting = 0

    async def clear(self) -> None:
        """Remove the folders that a killed host has left."""
        await asyncio.to_thread(shutil.rmtree, self._root, ignore_errors=True)

    async def check(
        self, key: Key, content: Content, others: Mapping[str, PluginType] | None = None
    ) -> Sequence[Placed]:
        """Return the findings of a document with its files and environment.

        `others` are module types of plugins in place of the installed ones.
        """
        if self._waiting >= limits.CHECKS_WAITING:
            text = "too many documents are being checked"
            raise Overloaded("OVERLOADED", text, retry_after_ms=RETRY_AFTER_MS)
        self._waiting += 1
        try:
            async with self._slots:
                return await self._checked(key, content, others or {})
        finally:
            self._waiting -= 1

    async def _checked(
        self, key: Key, content: Content, others: Mapping[str, PluginType]
    ) -> Sequence[Placed]:
        folders = Folders(self._root / secrets.token_hex(8))
        writing = asyncio.create_task(asyncio.to_thread(self._written, folders, content))
        try:
            document = await asyncio.shield(writing)
            return await self._answer(key, document, folders, content, others)
        finally:
            # The thread of a cancelled call still writes.
            await asyncio.wait([writing])
            await asyncio.to_thread(shutil.rmtree, folders.root, ignore_errors=True)

    def _written(self, folders: Folders, content: Content) -> Path:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folders.write(1, content)

    async def _answer(
        self,
        key: Key,
        document: Path,
        folders: Folders,
        content: Content,
        others: Mapping[str, PluginType],
    ) -> Sequence[Placed]:
        process = await self._strangers.spawn(folders, document, lambda _line: None)
        try:
            async with asyncio.timeout(limits.CHECK_S):
                found = await process.check(
                    Begin(
                        app=key[1],
                        document=str(document),
                        data=str(folders.data),
                        environment=content.environment,
                        memory_bytes=limits.MEMORY_BYTES,
                        files_max=limits.OPEN_FILES_MAX,
                        egress=self._strangers.egress,
                        egress_allow=self._strangers.allowed,
                        suite=await self._suite(key),
                        hidden=sorted(content.kept),
                        plugins={**await self._module_types.of(key, content), **others},
                        check=True,
                    )
                )
        except TimeoutError:
            text = f"the document was not checked within {limits.CHECK_S:g} s"
            raise WrongState("RELEASE_REFUSED", text) from None
        finally:
            await process.kill()
        return found.findings
