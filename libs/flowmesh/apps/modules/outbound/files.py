"""Folders whose files become messages: CSV rows, or JSON documents."""

import asyncio
import csv
import io
from pathlib import Path

import orjson

from flowmesh.apps.messaging.messages import Message, new_id, reason_of
from flowmesh.apps.modules.module import Setting
from flowmesh.apps.wiring.ports import EMITTING
from flowmesh.contract.json_value import Json
from flowmesh.errors import TooLarge

POLL_S = 0.2
FILE_BYTES_MAX = 64 * 1024 * 1024
DONE, FAILED = ".done", ".failed"


class WatchedFolder:
    """Reads each new file of a folder once; it is renamed afterwards.

    A file is read when its size has not changed between two looks.
    """

    def __init__(self, setting: Setting, folder: Path, form: str) -> None:
        if form not in ("csv", "json"):
            raise setting.invalid(f"inputType is csv or json, not {form!r}")
        self._setting = setting
        self._folder = folder
        self._form = form
        self._receive = setting.later(EMITTING, setting.name)
        self._sizes: dict[Path, int] = {}
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            for path in self._ready():
                await self._read(path)
            await asyncio.sleep(POLL_S)

    def _ready(self) -> list[Path]:
        found = {
            path: path.stat().st_size
            for path in sorted(self._folder.glob(f"*.{self._form}"))
            if path.is_file() and not path.is_symlink()
        }
        ready = [path for path, size in found.items() if self._sizes.get(path) == size]
        self._sizes = found
        return ready

    async def _read(self, path: Path) -> None:
        outcome = DONE
        try:
            for index, value in enumerate(self._values(path)):
                message = Message(self._setting.name, value, f"{path.name}-{index}-{new_id()}")
                await self._receive()(message)
        except Exception as error:  # noqa: BLE001 - the file keeps the outcome in its name
            outcome = FAILED
            self._setting.log("error", f"{path.name} failed: {reason_of(error)}")
        await asyncio.to_thread(path.rename, path.with_name(path.name + outcome))
        self._sizes.pop(path, None)

    def _values(self, path: Path) -> list[Json]:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise TooLarge("APP_TOO_LARGE", f"{path.name} is larger than {FILE_BYTES_MAX} bytes")
        raw = path.read_bytes()
        if self._form == "csv":
            return list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"))))
        value = orjson.loads(raw)
        return value if isinstance(value, list) else [value]
