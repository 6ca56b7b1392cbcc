"""`flowmesh dev --cells N`: whole suites side by side on this machine, with one directory."""

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from flowmesh.embedded.child import Child, Program
from flowmesh.embedded.ports import free_port
from flowmesh.runtime import Settings, StartError
from flowmesh.runtime.settings import ENV_PREFIX
from flowmesh.suite.dev import DEV_FILE, SERVERS, temporary_folder
from flowmesh.suite.files import data_folder, print_line
from flowmesh.suite.probe import is_ready
from flowmesh.suite.processes import READY_TIMEOUT_S, SIGTERM_TIMEOUT_S

REGIONS = ("us", "eu", "ap")


async def run_cells(
    settings: Settings, count: int, *, ephemeral: bool, orchestrators: int, workers: int, tls: bool
) -> None:
    """Run the cells until a signal. Raises StartError for settings that cells cannot share."""
    shared = [name for name in SERVERS if getattr(settings, name)]
    if tls or shared or settings.cell_name:
        text = "each cell has servers and addresses of its own, and plain text between them"
        raise StartError(f"--cells goes without --tls, --postgres, --nats and --redis: {text}")
    async with AsyncExitStack() as stack:
        folder = temporary_folder(stack) if ephemeral else data_folder(settings)
        scaled = ("--orchestrators", str(orchestrators), "--workers", str(workers))
        cells = [_DevCell(settings, folder, number, scaled) for number in range(count)]
        stack.push_async_callback(_stop, cells)
        await cells[0].start("")
        directory = str(cells[0].about()["directory"])
        await asyncio.gather(*(cell.start(directory) for cell in cells[1:]))
        print_line(_table(cells, folder))
        await asyncio.Event().wait()


class _DevCell:
    """A suite as a child process, with a folder and ports of its own."""

    def __init__(
        self, settings: Settings, folder: Path, number: int, scaled: tuple[str, ...]
    ) -> None:
        self.region = REGIONS[number % len(REGIONS)]
        self.name = f"{self.region}{number}"
        self._settings = settings
        self._number = number
        self._scaled = scaled
        self._folder = folder / self.name
        self._log = folder / "logs" / f"{self.name}.log"
        self._child: Child | None = None

    async def start(self, directory: str) -> None:
        """Return when the suite is ready. Raises ServerFailed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._log.parent.mkdir(exist_ok=True)
        (self._folder / DEV_FILE).unlink(missing_ok=True)
        self._child = Child(self._program(directory), lambda: None)
        await self._child.start()

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.stop()

    def about(self) -> dict[str, object]:
        """Return the addresses of the suite."""
        return dict(json.loads((self._folder / DEV_FILE).read_text()))

    def row(self) -> str:
        about = self.about()
        return f"  {self.name:<8} {self._number:>6}  {about['http']!s:<26} {about['grpc']}"

    def _program(self, directory: str) -> Program:
        settings = self._settings
        http_port = _port(settings.http_port, self._number)
        own = {
            "data_dir": self._folder,
            "http_port": http_port,
            "grpc_port": _port(settings.grpc_port, self._number),
            "cell": self._number,
            "cell_name": self.name,
            "cell_region": self.region,
            "cell_directory": directory,
        }
        given = {**settings.model_dump(), **own}
        return Program(
            name=self.name,
            argv=(sys.executable, "-m", "flowmesh.suite", "dev", *self._scaled),
            folder=self._folder,
            log=self._log,
            ready=partial(self._is_ready, settings.host, http_port),
            before_start=lambda: None,
            environment={
                **os.environ,
                **{f"{ENV_PREFIX}{name}".upper(): str(value) for name, value in given.items()},
            },
            ready_timeout_s=READY_TIMEOUT_S,
            stop_timeout_s=SIGTERM_TIMEOUT_S,
            poll_s=0.1,
        )

    async def _is_ready(self, host: str, port: int) -> bool:
        written = (self._folder / DEV_FILE).exists()
        return written and await is_ready(host, port, tls=False)


def _port(first: int, number: int) -> int:
    """Return the port of a cell: they follow each other, or each is a free one."""
    return first + number if first else free_port()


async def _stop(cells: list[_DevCell]) -> None:
    await asyncio.gather(*(cell.stop() for cell in cells))


def _table(cells: list[_DevCell], folder: Path) -> str:
    return "\n".join(
        (
            f"{len(cells)} cells are ready. Data: {folder}.",
            "",
            f"  {'cell':<8} {'number':>6}  {'REST':<26} gRPC",
            *(cell.row() for cell in cells),
            "",
            f"flowmesh cells pin PROJECT --cell NAME --directory {folder / cells[0].name}",
            "Ctrl-C stops everything.",
        )
    )
