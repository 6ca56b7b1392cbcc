"""The built-in task types, one module each in `builtin`.

A new built-in needs a module there, which binds `TASK_TYPES`, and its test. Without imports beyond
the standard library, so the engine and the plan can use the records.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Any

from flowmesh.tasktypes import builtin
from flowmesh.tasktypes.record import (
    TIMEOUT_MS,
    CheckKind,
    Effect,
    InputMode,
    Schema,
    TaskType,
    Upstream,
)

__all__ = [
    "TASK_TYPES",
    "TIMEOUT_MS",
    "CheckKind",
    "Effect",
    "InputMode",
    "Schema",
    "TaskType",
    "Upstream",
    "load",
    "timeout_of",
]


def _task_types() -> Iterator[TaskType]:
    for module in sorted(iter_modules(builtin.__path__), key=lambda each: each.name):
        yield from import_module(f"{builtin.__name__}.{module.name}").TASK_TYPES


TASK_TYPES: Mapping[str, TaskType] = MappingProxyType({each.name: each for each in _task_types()})
"""Every built-in task type by its name."""


def timeout_of(name: str) -> int:
    """Return the default limit in ms of an attempt of a task type."""
    found = TASK_TYPES.get(name)
    return TIMEOUT_MS if found is None else found.timeout_ms


@cache
def load(path: str) -> Any:
    """Import the object at `package.module:name`."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
