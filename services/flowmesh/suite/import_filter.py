"""Imports libraries without optional parts that the suite does not use.

Each part would load another large library in every process: redis the metrics of OpenTelemetry,
nats the HTTP client for its WebSocket transport, structlog the pretty tracebacks of rich, uvicorn
its reload of changed sources. The parts can still be imported afterwards.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Final

# A library and the modules that are hidden from it.
OPTIONAL: Final = {
    "structlog": ("rich",),
    "redis": ("opentelemetry.sdk",),
    "nats": ("aiohttp", "multidict"),
    "uvicorn": ("watchfiles",),
}


class _Finder(MetaPathFinder):
    """Finds these libraries as ever, and hides their optional parts while one is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        unused = OPTIONAL.get(fullname)
        found = PathFinder.find_spec(fullname, path, target) if unused else None
        if unused is None or found is None or found.loader is None:
            return None
        load = found.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            with without(*unused):
                load(module)

        found.loader.exec_module = exec_module  # type: ignore[method-assign]
        return found


def hide_optional_parts() -> None:
    """Import these libraries without them from now on; called first by what starts servers."""
    sys.meta_path.insert(0, _Finder())


@contextmanager
def without(*modules: str) -> Iterator[None]:
    """Hide these modules from first imports inside the block."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: not importable
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
