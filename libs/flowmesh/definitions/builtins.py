"""Tasks that every workflow can refer to without a resource in the library."""

from flowmesh.definitions.model import Dialect, Task

TRANSFORM = "transform"
SIGNAL = "signal"
_BUILT_IN = {
    name: Task(type=name, executor=name, config={}, dialect=Dialect.NATIVE, name=name)
    for name in (TRANSFORM, "noop", "delay", SIGNAL)
}
BUILT_IN_NAMES = frozenset(_BUILT_IN)


def built_in(name: str) -> Task | None:
    return _BUILT_IN.get(name)
