"""The start of processes of applications: behind the walls that the setting demands."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from flowmesh.apphost.running.folders import Folders
from flowmesh.apphost.running.process import AppProcess
from flowmesh.apphost.running.users import Users
from flowmesh.embedded.child import plain_environment
from flowmesh.errors import WrongState
from flowmesh.walls.plan import Connections, Granted, Plan
from flowmesh.walls.probing import NONE, Report, probe

Isolation = Literal["required", "best", "none"]


class Strangers:
    """Starts processes that cannot read, reach or stop anything but their application."""

    def __init__(
        self,
        *,
        isolation: Isolation,
        egress: str,
        allowed: Sequence[str],
        gateways: Callable[[], Awaitable[Sequence[str]]],
        data_dir: Path,
        log: Any,
    ) -> None:
        self._isolation = isolation
        # The policy of outgoing connections, and the networks that it admits besides.
        self.egress, self.allowed = egress, tuple(allowed)
        self._gateways = gateways
        self._users = Users(data_dir)
        self._log = log
        self._probing: asyncio.Task[Report] | None = None

    async def spawn(
        self, folders: Folders, document: Path, take: Callable[[bytes], None]
    ) -> AppProcess:
        """Start the process of a release. Raises WrongState where a demanded wall is missing."""
        report = await self.report()
        if self._isolation == "required" and not report.enough:
            text = f"this host lacks walls around applications: {report.missing()}"
            raise WrongState("APP_ISOLATION_MISSING", text)
        own_user = report.walls.own_user
        uid = await asyncio.to_thread(self._users.own, folders, own_user=own_user)
        plan = Plan(
            walls=report.walls,
            granted=Granted(
                read=(str(document.parent),), write=(str(folders.data), str(folders.temporary))
            ),
            connections=Connections(self.egress, self.allowed, tuple(await self._gateways())),
            uid=uid,
            interpreter=report.interpreter,
        )
        return await AppProcess.spawn(plan, document.parent, environment(folders), take)

    async def report(self) -> Report:
        """Return the walls of this host, which are probed once."""
        if self._probing is None:
            self._probing = asyncio.create_task(self._probed())
        return await asyncio.shield(self._probing)

    async def _probed(self) -> Report:
        report = NONE if self._isolation == "none" else await probe()
        standing = [each.name for each in report.found if each.stands]
        self._log.info("app_walls", standing=standing, missing=report.missing())
        return report


def environment(folders: Folders) -> dict[str, str]:
    """Return the whole environment of a process; the release's variables come by a message."""
    return {
        **plain_environment(),
        "HOME": str(folders.temporary),
        "TMPDIR": str(folders.temporary),
        "USER": "app",
        # Names are resolved over TCP, as connections are judged and datagrams are not.
        "RES_OPTIONS": "use-vc",
        "GRPC_DNS_RESOLVER": "native",
    }
