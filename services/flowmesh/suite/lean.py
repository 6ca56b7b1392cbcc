"""Loads libraries without those optional parts of theirs that the suite does not use.

Each of them would load another large library, in every process, to have it at hand: redis the
metrics of OpenTelemetry, nats the HTTP client for its WebSocket transport, structlog the pretty
tracebacks of rich. What they miss here can still be imported afterwards by who needs it.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# A library, and what it is not to find.
OPTIONAL = (
    ("structlog", ("rich",)),
    ("redis.asyncio", ("opentelemetry.sdk",)),
    ("nats.aio.client", ("aiohttp", "multidict")),
)


def load_libraries() -> None:
    """Called first thing by a command that starts servers, before anything loads these."""
    for library, unused in OPTIONAL:
        with without(*unused):
            importlib.import_module(library)


@contextmanager
def without(*modules: str) -> Iterator[None]:
    """Inside the block, these modules are not there for who imports them for the first time."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: not importable
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
