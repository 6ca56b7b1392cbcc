"""Readiness: the checks of a process, which run at most once a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

Check = Callable[[], Awaitable[None]]
CHECK_TIMEOUT_S = 1.0
RESULT_VALID_S = 1.0


class Checks:
    """Named checks. A check that raises or takes more than a second makes the process not ready."""

    def __init__(self) -> None:
        self.phase = "starting"
        self._checks: dict[str, Check] = {}
        self._results: dict[str, str] = {}
        self._checked_at = 0.0
        self._lock = asyncio.Lock()

    def add(self, name: str, check: Check) -> None:
        self._checks[name] = check

    def remove(self, name: str) -> None:
        self._checks.pop(name, None)

    async def report(self) -> tuple[bool, dict[str, Any]]:
        """Return whether the process is ready, and the body for a probe."""
        if self.phase != "serving":
            return False, {"status": self.phase, "checks": {}}
        async with self._lock:
            if time.monotonic() - self._checked_at > RESULT_VALID_S:
                names = list(self._checks)
                found = await asyncio.gather(*(self._run(name) for name in names))
                self._results = dict(zip(names, found, strict=True))
                self._checked_at = time.monotonic()
        ready = all(result == "ok" for result in self._results.values())
        return ready, {"status": "ready" if ready else "not ready", "checks": self._results}

    async def _run(self, name: str) -> str:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await self._checks[name]()
        except TimeoutError:
            return "no response"
        except Exception as error:  # noqa: BLE001 any failure means not ready
            # Only the class of the error: its message may contain addresses and names.
            return type(error).__name__
        return "ok"
