"""The audited call that is being served: its caller and its method.

Changes in a database carry it into their audit records.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import orjson

from flowmesh.access.principal import current
from flowmesh.access.rules import Rule

ANONYMOUS = "anonymous"
SYSTEM = "system"

_call: ContextVar[str] = ContextVar("flowmesh_audited_call", default="")


def audited_call() -> str:
    """Return the caller and method of this call as JSON; empty outside an audited one."""
    return _call.get()


@contextmanager
def auditing(rule: Rule, address: str, *, open_to_all: bool) -> Iterator[None]:
    """Inside the block, changes are recorded as those of the current caller and this method."""
    actor = "local" if open_to_all else _actor(rule)
    text = orjson.dumps({"actor": actor, "method": rule.method, "address": address}).decode()
    token = _call.set(text)
    try:
        yield
    finally:
        _call.reset(token)


def _actor(rule: Rule) -> str:
    principal = current()
    if principal is None:
        return ANONYMOUS if rule.is_public else SYSTEM
    return principal.name
