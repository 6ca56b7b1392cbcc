"""The access rule of each method, read from the options of the contracts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message

from flowmesh.access.principal import DEFAULT_NAMESPACE, Principal
from flowmesh.access.roles import ACT_AS, REVEAL, REVEAL_NAME, WORK, bit, roles_with
from flowmesh.api.common.v1 import access_pb2
from flowmesh.api.common.v1.access_pb2 import AccessGroup, AccessScope
from flowmesh.errors import Forbidden, NotFound
from flowmesh.views.masking import has_payloads

NAMESPACES_SHOWN_MAX = 10
# Looked up once: an attribute of an enum of protobuf costs a microsecond.
_PUBLIC = AccessGroup.ACCESS_GROUP_PUBLIC
_SERVICE = AccessGroup.ACCESS_GROUP_SERVICE
_WORK = AccessGroup.ACCESS_GROUP_WORK
_CLUSTER = AccessScope.ACCESS_SCOPE_CLUSTER
_TENANT = AccessScope.ACCESS_SCOPE_TENANT


class RuleMissing(TypeError):
    """A method or an identifier of the contracts states no access rule."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The access rule of one method."""

    method: str
    # The full name of its gRPC service.
    service: str
    group: int
    # Permissions, one of which the caller needs; 0 for public methods and those of services.
    bits: int
    scope: int
    # Paths of the fields that hold namespaces.
    namespaces: tuple[tuple[str, ...], ...]
    audit: bool
    states_actor: bool
    # Whether answers may hold payloads that are shown to the caller.
    shows_values: bool
    # Paths of the fields that only services set, and whether each is a single message.
    internal: tuple[tuple[tuple[str, ...], bool], ...] = ()

    @property
    def is_public(self) -> bool:
        return self.group == _PUBLIC

    @property
    def is_for_services(self) -> bool:
        return self.group == _SERVICE

    def check(self, principal: Principal, request: Any, *, first: bool = True) -> None:
        """Raise Forbidden or NotFound if the caller may not send this request.

        A request that names no namespace gets the only one of the caller. `first` is False for
        later messages of a stream, which may leave their namespace out.
        """
        if self.is_for_services:
            raise Forbidden("SERVICES_ONLY", f"{self.method} is for services of the suite only")
        if not self.bits:
            return
        self._check_internal(request)
        if self.scope == _CLUSTER:
            if not principal.everywhere & self.bits:
                raise self._refused("the whole installation")
        elif self.scope == _TENANT or not isinstance(request, Message):
            if not principal.bits_anywhere() & self.bits:
                raise self._refused("any namespace")
        else:
            self._check_namespaces(principal, request, first)

    def attribute(self, principal: Principal, request: Message) -> None:
        """Set the actors and the permissions in a request from its caller.

        A caller that may act for others keeps what it states.
        """
        for message in self._holders(request):
            fields = message.DESCRIPTOR.fields_by_name
            if "actor" not in fields:
                continue
            stated: Any = message
            if principal.bits(getattr(message, "namespace", "") or DEFAULT_NAMESPACE) & ACT_AS:
                stated.actor = stated.actor or principal.name
                continue
            stated.actor = principal.name
            if "permissions" in fields:
                stated.permissions[:] = principal.permissions

    def reveals(self, principal: Principal, request: Any) -> bool:
        """Return whether the caller sees sensitive values in the answers to a request.

        Where the request names no namespace, the permission is needed in each of the caller's.
        """
        if principal.everywhere & REVEAL or REVEAL_NAME in principal.permissions:
            return True
        named = list(self.named_in(request, True)) if isinstance(request, Message) else []
        places = named or list(principal.namespaces)
        return bool(places) and all(principal.bits(each) & REVEAL for each in places)

    def _holders(self, request: Message) -> Iterator[Message]:
        """Yield the messages of a request that may state an actor."""
        if self.states_actor:
            yield request
        for path in self.namespaces:
            if len(path) > 1:
                yield from _messages(request, path[:-1])

    def _check_internal(self, request: Any) -> None:
        for path, is_message in self.internal if isinstance(request, Message) else ():
            name = path[-1]
            for holder in _holding(request, path):
                if holder.HasField(name) if is_message else getattr(holder, name):
                    text = f"`{'.'.join(path)}` is set by services of the suite only"
                    raise Forbidden("SERVICES_ONLY", text)

    def _check_namespaces(self, principal: Principal, request: Message, first: bool) -> None:
        if home := principal.home:
            self._settle(request, home, first)
        for namespace in self.named_in(request, first):
            bits = principal.bits(namespace)
            if not bits:
                message = f"there is no namespace `{namespace}`{_own(principal)}"
                raise NotFound("NAMESPACE_NOT_FOUND", message)
            if not bits & self.bits:
                raise self._refused(f"namespace `{namespace}`")

    def _settle(self, request: Message, home: str, first: bool) -> None:
        """Set the namespace of a request where it is empty."""
        for path in self.namespaces:
            for holder in _holding(request, path) if first or len(path) > 1 else ():
                if getattr(holder, path[-1]) == "":
                    setattr(holder, path[-1], home)

    def named_in(self, request: Message, first: bool = True) -> Iterator[str]:
        """Yield the namespaces that a request names; `default` for an empty one."""
        for path in self.namespaces:
            if len(path) > 1 or first or getattr(request, path[0]):
                yield from (found or DEFAULT_NAMESPACE for found in _values(request, path))

    def _refused(self, where: str) -> Forbidden:
        roles = " or ".join(roles_with(self.bits))
        return Forbidden("ROLE_REQUIRED", f"{self.method} needs the role {roles} in {where}")


def _own(principal: Principal) -> str:
    """Return where a caller has its rights, to follow on a refusal."""
    if not principal.namespaces or principal.everywhere:
        return ""
    names = sorted(principal.namespaces)
    shown = ", ".join(f"`{name}`" for name in names[:NAMESPACES_SHOWN_MAX])
    more = ", …" if len(names) > NAMESPACES_SHOWN_MAX else ""
    what = "namespace is" if len(names) == 1 else "namespaces are"
    return f" for this {principal.kind}; its {what} {shown}{more}"


def rule_of(path: str) -> Rule | None:
    """Return the rule of a method, such as `/flowmesh.api.execution.v1.X/Y`; None if not ours."""
    service, _, name = path.lstrip("/").rpartition("/")
    if not service.startswith("flowmesh.api."):
        return None
    descriptor = Default().FindServiceByName(service).methods_by_name[name]
    return rule_of_method(descriptor)


def rule_of_method(method: MethodDescriptor) -> Rule:
    """Return the rule that the options of a method state; raise RuleMissing without one."""
    options = method.GetOptions()
    access = options.Extensions[access_pb2.access]
    if not access.group:
        raise RuleMissing(f"{method.full_name} has no `access` option in its contract")
    namespaces = tuple(tuple(path.split(".")) for path in access.namespaces)
    if not namespaces and access.scope == AccessScope.ACCESS_SCOPE_UNSPECIFIED:
        if "namespace" in method.input_type.fields_by_name:
            namespaces = (("namespace",),)
        elif bit(access.group):
            raise RuleMissing(f"{method.full_name} names no namespace: set `scope` or `namespaces`")
    fields = method.input_type.fields_by_name
    return Rule(
        method=f"{method.containing_service.name}.{method.name}",
        service=method.containing_service.full_name,
        group=access.group,
        bits=bit(access.group) | (WORK if access.workers else 0),
        scope=access.scope,
        namespaces=namespaces,
        audit=access.audit,
        states_actor="actor" in fields,
        shows_values=access.group not in (_SERVICE, _WORK) and has_payloads(method.output_type),
        internal=tuple(_internal(method.input_type, ())),
    )


def _internal(
    message: Descriptor, above: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield the paths of the internal fields of a message of the contracts."""
    for field in message.fields:
        path = (*above, field.name)
        if field.GetOptions().Extensions[access_pb2.internal]:
            yield path, field.message_type is not None and not field.is_repeated
        elif field.message_type is not None and field.message_type.file is message.file:
            # Messages of other files are nouns without internal fields, and may hold themselves.
            yield from _internal(field.message_type, path)


def _holding(message: Message, path: tuple[str, ...]) -> Iterable[Message]:
    """Return the messages that hold the field at a path."""
    return (message,) if len(path) == 1 else _messages(message, path[:-1])


def _messages(message: Message, path: tuple[str, ...]) -> Iterator[Message]:
    """Yield the messages at a path; one that is not set is left out."""
    if not path:
        yield message
        return
    field = message.DESCRIPTOR.fields_by_name[path[0]]
    value = getattr(message, path[0])
    if field.is_repeated:
        for item in value:
            yield from _messages(item, path[1:])
    elif message.HasField(path[0]):
        yield from _messages(value, path[1:])


def _values(message: Message, path: tuple[str, ...]) -> Iterator[str]:
    """Yield the texts at a path."""
    for holder in _holding(message, path):
        value = getattr(holder, path[-1])
        if isinstance(value, str):
            yield value
        else:
            yield from value
