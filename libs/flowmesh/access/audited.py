"""The audited call that is being served: its caller and its method.

Statements that change audited tables carry it to the database, which records it with the change.
"""

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import NamedTuple

import orjson

from flowmesh.access.principal import Principal, current
from flowmesh.access.rules import Rule

ANONYMOUS = "anonymous"
SYSTEM = "system"


class AuditedCall(NamedTuple):
    """A call of a method that its contract marks as audited."""

    rule: Rule
    principal: Principal | None
    # Returns the address of the caller.
    address: Callable[[], str]

    @property
    def actor(self) -> str:
        if self.principal is None:
            return ANONYMOUS if self.rule.is_public else SYSTEM
        return self.principal.name


_call: ContextVar[AuditedCall | None] = ContextVar("flowmesh_audited_call", default=None)


def audited_call() -> str:
    """Return the caller and method of this call as JSON; empty outside an audited one."""
    call = _call.get()
    if call is None:
        return ""
    return orjson.dumps(
        {"actor": call.actor, "method": call.rule.method, "address": call.address()}
    ).decode()


def enter_audited(rule: Rule, address: Callable[[], str]) -> Token[AuditedCall | None]:
    """Attribute changes to the current caller and this method until `leave_audited`."""
    return _call.set(AuditedCall(rule, current(), address))


def leave_audited(entered: Token[AuditedCall | None]) -> None:
    """Attribute changes as before `enter_audited`."""
    _call.reset(entered)
