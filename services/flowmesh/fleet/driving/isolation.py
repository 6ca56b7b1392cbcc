"""Isolation of agents: never less than was asked for, nor than the settings demand."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.errors import Invalid, WrongState
from flowmesh.walls.plan import Connections, Granted, Plan
from flowmesh.walls.probing import UIDS, Report, free_uid, probe

WORDS = {
    "none": pb.ISOLATION_NONE,
    "user": pb.ISOLATION_USER,
    "sandbox": pb.ISOLATION_SANDBOX,
}


class IsolationRules:
    """The walls of this machine, and the least that its settings demand."""

    def __init__(
        self, *, least: pb.Isolation.ValueType, egress: str, allowed: Sequence[str]
    ) -> None:
        self.least = least
        self._egress, self._allowed = egress, tuple(allowed)
        self._probing: asyncio.Task[Report] | None = None

    def check_bounds(self, spec: pb.AgentSpec) -> None:
        """Raise Invalid for a bound of a spec that nothing holds."""
        if spec.HasField("connections") and spec.isolation != pb.ISOLATION_SANDBOX:
            text = "connections: only the isolation sandbox holds them"
            raise Invalid("AGENT_SPEC_INVALID", text)

    async def check(
        self, wanted: pb.Isolation.ValueType, program: str = ""
    ) -> pb.Isolation.ValueType:
        """Return the isolation to use. Raises WrongState where this machine cannot give it."""
        chosen = wanted or self.least
        if int(chosen) < int(self.least):
            least = pb.Isolation.Name(self.least).removeprefix("ISOLATION_").lower()
            text = f"this fleet runs no agent with less isolation than {least}"
            raise WrongState("AGENT_ISOLATION_UNAVAILABLE", text)
        if chosen == pb.ISOLATION_USER and os.geteuid() != 0:
            text = "only a fleet of root can give an agent a user of its own"
            raise WrongState("AGENT_ISOLATION_UNAVAILABLE", text)
        if chosen == pb.ISOLATION_USER and program == "python":
            closed = await asyncio.to_thread(_closed_to_others, Path(sys.executable))
            if closed is not None:
                text = f"{closed} is closed to other users, and the interpreter is below it"
                raise WrongState("AGENT_ISOLATION_UNAVAILABLE", text)
        if chosen == pb.ISOLATION_SANDBOX:
            report = await self._report()
            if not report.enough:
                text = f"this machine lacks walls around agents: {report.missing()}"
                raise WrongState("AGENT_ISOLATION_UNAVAILABLE", text)
        return chosen

    async def sandbox(
        self,
        folder: Path,
        program: str,
        uid: int,
        endpoints: Sequence[str],
        only: Sequence[str] | None,
    ) -> Plan:
        """Return the walls around an agent: its folder, the interpreter, and the suite.

        `only` are the endpoints that it may connect to beside the suite; None is all of the policy.
        """
        report = await self._report()
        outside = () if program == sys.executable else (program,)
        return Plan(
            walls=report.walls,
            granted=Granted(read=outside, write=(str(folder),)),
            connections=Connections(
                self._egress,
                self._allowed,
                tuple(endpoints),
                None if only is None else tuple(only),
            ),
            uid=uid,
            interpreter=report.interpreter,
        )

    def free_user(self, root: Path) -> int:
        """Return a user id that no agent has."""
        used = {each.stat().st_uid for each in root.iterdir()}
        return free_uid({each for each in used if each in UIDS})

    async def _report(self) -> Report:
        if self._probing is None:
            self._probing = asyncio.create_task(probe())
        return await asyncio.shield(self._probing)


def _closed_to_others(program: Path) -> Path | None:
    """Return a folder above a program that other users cannot enter."""
    above = [*program.parents, *program.resolve().parents]
    return next((each for each in above if not each.stat().st_mode & 0o001), None)


class PodIsolation(IsolationRules):
    """The walls of a pod, which are those of a sandbox: files, processes, calls, connections."""

    def check_bounds(self, spec: pb.AgentSpec) -> None:
        if spec.HasField("connections"):
            raise Invalid("AGENT_SPEC_INVALID", "connections: a pod has no such bound")
        for name in ("pids", "files"):
            if getattr(spec.limits, name):
                raise Invalid("AGENT_SPEC_INVALID", f"limits.{name}: a pod has no such limit")

    async def check(
        self, wanted: pb.Isolation.ValueType, program: str = ""
    ) -> pb.Isolation.ValueType:
        return pb.ISOLATION_SANDBOX
