"""Calls of one tenant that name objects of another, compared with names of nothing.

Each function returns the leaks that it finds, as sentences; a wall without holes has none.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from flowmesh.access import PERMISSIONS, Role
from tests.access.answers import Answer, call
from tests.access.contracts import Method, fill
from tests.access.samples import sample, value_of
from tests.access.tenants import Tenant

# The first of two requests creates the object with its filter, which the second then contradicts;
# a stream in a filter need not exist.
CREATED_WITH = {
    ("EventGroupService.PutEventGroup", ("filter", "stream")),
    ("ProjectionService.PutProjection", ("filter", "stream")),
}


@dataclass(frozen=True, slots=True)
class Crossing:
    """Two requests that differ only in names: of another tenant, and of nothing."""

    what: str
    foreign: Any
    missing: Any


@dataclass(frozen=True, slots=True)
class Pair:
    """A tenant that calls, one that it must not see, and one that never was."""

    caller: Tenant
    other: Tenant
    nothing: Tenant

    def blind(self, answer: Answer) -> bytes:
        """Return an answer without the names that differ between the two requests."""
        names = [*self.other.secrets, *self.nothing.secrets]
        return answer.blind((*names, self.other.namespace, self.nothing.namespace))

    def revealed(self, answer: Answer, sent: bytes = b"") -> list[str]:
        """Return what an answer has of the other tenant that the request did not name."""
        named = (*self.other.secrets, self.other.namespace)
        return [
            secret
            for secret in named
            if secret.encode() in answer.data and secret.encode() not in sent
        ]


def crossings(method: Method, pair: Pair) -> Iterator[Crossing]:
    """Yield the requests of a tenant with each name replaced, and with all of them."""
    for field in method.fields:
        if (method.name, field.path[-2:]) in CREATED_WITH:
            continue
        made = [sample(method, pair.caller) for _ in range(2)]
        for request, tenant in zip(made, (pair.other, pair.nothing), strict=True):
            fill(request, field.path, value_of(field, tenant))
        yield Crossing(f"its own but {field}", *made)
    for path in method.rule.namespaces:
        made = [sample(method, pair.caller) for _ in range(2)]
        for request, tenant in zip(made, (pair.other, pair.nothing), strict=True):
            fill(request, path, tenant.namespace)
        yield Crossing(f"its own but {'.'.join(path)}", *made)
    yield Crossing("all", sample(method, pair.other), sample(method, pair.nothing))


async def leaks(method: Method, pair: Pair, role: Role) -> list[str]:
    """Return how the answers about another tenant differ from those about nothing."""
    found = []
    caller = pair.caller.keys[role]
    for crossing in crossings(method, pair):
        about = f"{method} as {role} with foreign names ({crossing.what})"
        for before in _messages_before(method, pair, role):
            foreign = await call(caller, method, *before, crossing.foreign)
            missing = await call(caller, method, *before, crossing.missing)
            found += _differences(about, pair, crossing, foreign, missing)
    return found


def _differences(
    about: str, pair: Pair, crossing: Crossing, foreign: Answer, missing: Answer
) -> list[str]:
    found = []
    if pair.blind(foreign) != pair.blind(missing):
        found.append(f"{about}: {foreign}\n  instead of {missing}")
    if seen := pair.revealed(foreign, crossing.foreign.SerializeToString()):
        found.append(f"{about}: the answer has {seen}: {foreign}")
    return found


async def own_leaks(method: Method, pair: Pair, role: Role) -> list[str]:
    """Return what the answers about the caller's own objects have of another tenant."""
    found = []
    for request in (sample(method, pair.caller), _wide(method, pair.caller)):
        answer = await call(pair.caller.keys[role], method, request)
        if seen := pair.revealed(answer):
            found.append(f"{method} as {role}: the answer has {seen}: {answer}")
    return found


def _messages_before(method: Method, pair: Pair, role: Role) -> list[tuple[Any, ...]]:
    """Return what is sent first: a foreign name comes in the first message or in a later one."""
    if method.descriptor.client_streaming and PERMISSIONS[role] & method.rule.bits:
        return [(), (sample(method, pair.caller),)]
    return [()]


def _wide(method: Method, tenant: Tenant) -> Any:
    """Return a request for as much as there is: no names, and every flag set."""
    request = method.request()
    for path in method.rule.namespaces:
        fill(request, path, tenant.namespace)
    for field in method.descriptor.input_type.fields:
        if field.type == FieldDescriptor.TYPE_BOOL and not field.is_repeated:
            setattr(request, field.name, True)
    return request
