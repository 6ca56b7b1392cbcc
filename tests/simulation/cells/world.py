"""One run with three cells: gateways, the directory, networks and faults, drawn from a seed."""

import hashlib
from collections.abc import Callable
from random import Random

from flowmesh.cells import Cell, Home, Pin
from tests.simulation.actors.faults import CALM, Faults, Rates
from tests.simulation.cells.bucket import Bucket
from tests.simulation.cells.gateway import Gateway
from tests.simulation.cells.suite import Suite
from tests.simulation.servers.loop import VirtualLoop, process_of_step

NAMES = (("us0", "us"), ("us1", "us"), ("eu2", "eu"))
GATEWAYS = 2
"""Gateways of a cell."""

SLOW_S_MAX = 0.5
"""Most delay of a message; calls that began before a switch end within the time that it waits."""

PREFIX = "$KV.fm-cells"


class CellWorld:
    """Everything of one run."""

    def __init__(
        self, loop: VirtualLoop, seed: str, traced: Callable[..., object] | None = None
    ) -> None:
        self.loop, self.seed, self.traced = loop, seed, traced
        self.random = Random(seed)
        self.faults = Faults(Random(f"{seed}/faults"))
        self.bucket = Bucket(loop)
        self.disks: dict[str, bytes] = {}
        self.gateways: dict[str, Gateway] = {}
        self.problems: list[str] = []
        self.late_s = 0.0
        self.entries = 0
        self._number = 0
        self._digest = hashlib.blake2b(digest_size=16)
        self.cells = [
            Cell(
                number=number, name=name, region=region, http=f"http://{name}:80", grpc=f"{name}:1"
            )
            for number, (name, region) in enumerate(NAMES)
        ]
        self.suites = [Suite(self, each.number) for each in self.cells]
        for cell in self.cells:
            self.bucket.put(f"{PREFIX}.cell.{cell.number}", cell.encoded())
            for number in range(GATEWAYS):
                self.start(f"{cell.name}-g{number}")

    # --- gateways ---

    def start(self, name: str) -> None:
        """Start a gateway; one that was killed has the directory of its disk."""
        cell = next(each for each in self.cells if each.name == name.partition("-")[0])
        self.gateways[name] = Gateway(self, self.suites[cell.number], cell, name)

    def gateway_at(self, address: str) -> Gateway | None:
        """Return the gateway behind an address; that of a cell leads to any of them."""
        host = address.removeprefix("http://").partition(":")[0]
        if host in self.gateways:
            found = self.gateways[host]
            return found if found.ready else None
        names = sorted(each for each in self.gateways if each.startswith(f"{host}-"))
        ready = [each for each in names if self.gateways[each].ready]
        return self.gateways[self.random.choice(ready)] if ready else None

    def pin(self, project: str, cell: int, *, strict: bool) -> None:
        """Give a project its first home."""
        digest = hashlib.sha256(project.encode()).hexdigest()[:32]
        pin = Pin(project, Home(cell, strict))
        self.bucket.put(f"{PREFIX}.project.{digest}", pin.encoded())

    # --- faults ---

    def latency(self) -> float:
        """Draw the delay of a message."""
        return min(self.faults.latency(), SLOW_S_MAX)

    def lateness(self) -> float:
        """Draw the delay of a change of the directory at one gateway."""
        if self.late_s and self.random.random() < 0.4:
            self.faults.injected["late_entry"] += 1
            return self.random.uniform(0.0, self.late_s)
        return self.latency()

    def loses_call(self) -> bool:
        return self.faults.breaks_stream()

    def disturb(self, rates: Rates, late_s: float) -> None:
        self.faults.rates, self.late_s = rates, late_s

    def heal(self) -> None:
        """End all faults; each gateway runs again."""
        self.disturb(CALM, 0.0)
        self.bucket.away = False
        self.bucket.wake()
        for name, gateway in list(self.gateways.items()):
            gateway.process.resume()
            if not gateway.process.alive:
                self.start(name)

    # --- what happened ---

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def trace(self, *what: object) -> None:
        """Trace a step of a replayed run."""
        if self.traced is not None:
            process = process_of_step()
            name = process.name if process is not None else "-"
            self.traced(f"{self.loop.time():9.4f} {name:12}", *what)

    def happened(self, *what: object) -> None:
        """Add to the digest of the run."""
        self.trace(*what)
        self.entries += 1
        self._digest.update(f"{self.loop.time():.9f} {what}\n".encode())

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def problem(self, invariant: str, what: str) -> None:
        self.trace("PROBLEM", invariant, what)
        self.problems.append(f"{invariant}: {what}")
