"""Imports libraries without optional parts that the suite does not use.

Each part would load another large library in every process: redis the metrics of OpenTelemetry,
nats the HTTP client for its WebSocket transport, structlog the pretty tracebacks of rich. The parts
can still be imported afterwards.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# A library and the modules that are hidden from it.
OPTIONAL = (
    ("structlog", ("rich",)),
    ("redis.asyncio", ("opentelemetry.sdk",)),
    ("nats.aio.client", ("aiohttp", "multidict")),
)


def load_libraries() -> None:
    """Import the libraries; called first by a command that starts servers."""
    for library, unused in OPTIONAL:
        with without(*unused):
            importlib.import_module(library)


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
