"""Readiness: everything this process needs to serve, asked at most once a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

Check = Callable[[], Awaitable[None]]
CHECK_TIMEOUT_S = 1.0
FRESH_S = 1.0


class Checks:
    """Named checks; one that raises or takes longer than a second makes the process not ready."""

    def __init__(self) -> None:
        self.phase = "starting"
        self._checks: dict[str, Check] = {}
        self._results: dict[str, str] = {}
        self._asked_at = 0.0
        self._asking = asyncio.Lock()

    def add(self, name: str, check: Check) -> None:
        self._checks[name] = check

    def remove(self, name: str) -> None:
        self._checks.pop(name, None)

    async def report(self) -> tuple[bool, dict[str, Any]]:
        """Whether the process is ready, and what a probe is told."""
        if self.phase != "serving":
            return False, {"status": self.phase, "checks": {}}
        async with self._asking:
            if time.monotonic() - self._asked_at > FRESH_S:
                names = list(self._checks)
                found = await asyncio.gather(*(self._ask(name) for name in names))
                self._results = dict(zip(names, found, strict=True))
                self._asked_at = time.monotonic()
        ready = all(result == "ok" for result in self._results.values())
        return ready, {"status": "ready" if ready else "not ready", "checks": self._results}

    async def _ask(self, name: str) -> str:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await self._checks[name]()
        except TimeoutError:
            return "no answer"
        except Exception as error:  # noqa: BLE001 whatever it is, it is not ready
            # The kind of the problem only: its text may hold addresses and names.
            return type(error).__name__
        return "ok"
