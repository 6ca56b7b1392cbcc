"""A running application: starts in levels, servers last; stops in reverse."""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from flowmesh.apps.components.plugins import PluginType
from flowmesh.apps.document.findings import refuse
from flowmesh.apps.document.model import AppDocument
from flowmesh.apps.http.messages import Request, Response
from flowmesh.apps.http.server import Listener
from flowmesh.apps.modules.module import UNSUPPORTED
from flowmesh.apps.observing.logs import LogHub
from flowmesh.apps.pipeline.compile import SUITE_MISSING
from flowmesh.apps.runtime.building import LANGUAGE, Built, build
from flowmesh.apps.runtime.durables import RUN_WORKER
from flowmesh.apps.runtime.links import ALONE, SUITE_LINKS, Peers, SuiteLinks
from flowmesh.apps.scheduling.clock import Clock
from flowmesh.apps.wiring.ports import BROKER, CONSUMER, LISTENER, Consumer
from flowmesh.definitions.problems import Problem
from flowmesh.egress.policy import OPEN, Policy
from flowmesh.errors import FlowmeshError, NotFound, Unavailable

if TYPE_CHECKING:
    from flowmesh.apps.durable.worker import RunWorker


START_S = 30.0
DRAIN_S = 25.0
# Warnings of a check that prevent a start.
BLOCKING = frozenset({UNSUPPORTED, LANGUAGE, SUITE_MISSING})


class Application:
    """One application. `start` and `stop` are called once each."""

    def __init__(
        self,
        document: AppDocument,
        *,
        log: LogHub,
        public: bool = False,
        policy: Policy = OPEN,
        closed: bool = False,
        peers: Peers = ALONE,
        clock: Clock | None = None,
        plugins: Mapping[str, PluginType] | None = None,
    ) -> None:
        """Build the application. Raises Invalid with all findings that prevent a start.

        `policy` has the addresses that it may call. `closed` says that this machine is shared
        with strangers: its own address opens no route of operators. `peers` are the applications
        of this process, which links join; `clock` is one that tests move. `plugins` are the module
        types of installed plugins, where a host runs it.
        """
        self._built = build(
            document,
            log=log,
            public=public,
            policy=policy,
            closed=closed,
            peers=peers,
            clock=clock,
            plugins=plugins,
        )
        self.findings: Sequence[Problem] = document.findings.placed(document.files)
        blocking = [e for e in self.findings if e.code in BLOCKING or not e.warning]
        refuse([_as_error(each) for each in blocking], document.files)
        self._started: list[str] = []
        self._listening: list[Listener] = []
        self._opened: list[Consumer] = []

    @property
    def built(self) -> Built:
        return self._built

    @property
    def name(self) -> str:
        return self._built.document.name

    @property
    def addresses(self) -> dict[str, str]:
        """The address of each server."""
        registry = self._built.registry
        listeners = registry.of_modules(LISTENER)
        return {name: each.address for name, each in listeners.items()}

    def sockets(self) -> dict[str, socket.socket]:
        """Return duplicates of the listening sockets by server, for an application after it."""
        registry = self._built.registry
        listeners = registry.of_modules(LISTENER)
        found = {n: each.duplicate() for n, each in listeners.items()}
        return {name: each for name, each in found.items() if each is not None}

    async def start(
        self, *, listen: bool = True, sockets: Mapping[str, socket.socket] | None = None
    ) -> None:
        """Start all modules, then listen. If a module fails, stop those already started.

        `sockets` are listening ones, by server, in place of sockets of its own.
        """
        log = self._built.log
        log.write("info", "host", f"starting {self.name}", modules=len(self._built.modules))
        try:
            for level in self._built.plan.levels:
                await self._start_level(level)
            worker: RunWorker | None = self._built.registry.get(RUN_WORKER)
            if worker is not None:
                await worker.open()
            for consumer in self._consumers():
                self._opened.append(consumer)
                await consumer.open()
            for name in self._built.modules if listen else ():
                listener: Listener | None = self._built.registry.get(LISTENER, name)
                if listener is not None:
                    listener.bind((sockets or {}).get(name))
                    self._listening.append(listener)
            for listener in self._listening:
                await listener.start()
        except BaseException:
            await self.stop()
            raise
        for name, address in self.addresses.items() if listen else ():
            log.write("info", "host", f"{name} listens on {address}", address=address)

    async def stop(self, *, linger_s: float = 0.0, runs_s: float = DRAIN_S) -> None:
        """Stop listening, let running work end, and stop modules in reverse.

        Idle connections stay open for `linger_s`, or until their next request is answered.
        Durable runs of this process have `runs_s` to end; then they continue elsewhere. Until the
        modules stop, runs may publish, and what they publish in memory or for a link is delivered.
        """
        log = self._built.log
        await asyncio.gather(*(each.stop(linger_s=linger_s) for each in self._listening))
        self._listening.clear()
        opened, self._opened = self._opened[::-1], []
        await asyncio.gather(*map(self._close, opened))
        await self._built.background.drain(DRAIN_S)
        worker: RunWorker | None = self._built.registry.get(RUN_WORKER)
        if worker is not None:
            await worker.close(runs_s)
        brokers = self._built.registry.all(BROKER)
        await asyncio.gather(*(self._close(each) for each in opened if each in brokers))
        if worker is not None:
            await worker.stop()
        for name in reversed(self._started):
            try:
                async with asyncio.timeout(DRAIN_S):
                    await self._built.modules[name].stop()
            except Exception as error:  # noqa: BLE001 - the others are stopped too
                log.write("error", name, f"the module did not stop: {error}")
        self._started.clear()
        links: SuiteLinks | None = self._built.registry.get(SUITE_LINKS)
        if links is not None:
            await links.stop()
        await self._built.client.stop()
        log.write("info", "host", f"stopped {self.name}")
        log.flush()

    async def call(self, request: Request, server: str = "") -> Response:
        """Answer a request without a socket. Raises NotFound if there is no such server."""
        servers = self._built.table.servers(server)
        if not servers:
            raise NotFound("SERVER_NOT_FOUND", f"there is no server {server!r}")
        return await servers[0].answer(request)

    def _consumers(self) -> list[Consumer]:
        """Return what takes messages, effects and times, each once."""
        return list(dict.fromkeys(self._built.registry.all(CONSUMER)))

    async def _close(self, consumer: Consumer) -> None:
        try:
            async with asyncio.timeout(DRAIN_S):
                await consumer.close()
        except Exception as error:  # noqa: BLE001 - the others are closed too
            self._built.log.write("error", "host", f"a consumer did not close: {error}")

    async def _start_level(self, names: Sequence[str]) -> None:
        """Start the modules of a level at once; the first failure is raised with its module."""
        modules = [name for name in names if name in self._built.modules]
        results = await asyncio.gather(*map(self._start_one, modules), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _start_one(self, name: str) -> None:
        try:
            async with asyncio.timeout(START_S):
                await self._built.modules[name].start()
        except TimeoutError:
            text = f"the module {name} did not start within {START_S:g} s"
            raise Unavailable("MODULE_START_FAILED", text) from None
        except FlowmeshError as error:
            spec = self._built.document.module(name)
            kind = spec.type if spec is not None else ""
            text = f"the module {name} ({kind}) did not start: {error.message}"
            raise Unavailable("MODULE_START_FAILED", text) from error
        self._started.append(name)


def _as_error(problem: Problem) -> Problem:
    from dataclasses import replace

    return replace(problem, warning=False)
