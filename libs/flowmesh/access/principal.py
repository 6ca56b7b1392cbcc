"""The caller of the call that is being served.

A call without a principal comes from a service of the suite, or the process is open.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

EVERY_BIT = (1 << 16) - 1
DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, an API key or a trigger, with its permissions at the time of the check."""

    id: str
    kind: str
    name: str
    # Permission bits in every namespace, and those in single ones.
    everywhere: int = 0
    namespaces: Mapping[str, int] = field(default_factory=dict)
    # Permission bits on at least one level of the hierarchy, also where it has no namespace yet.
    tenants: int = 0
    # The login session; revoking it ends the principal's calls.
    session: str = ""
    # Names that tasks may require of the starter.
    permissions: tuple[str, ...] = ()
    # Queues and task types of a worker; empty is any.
    queues: frozenset[str] = frozenset()
    task_types: frozenset[str] = frozenset()
    # Namespaces of its companies, whose public tasks it may use.
    shared: frozenset[str] = frozenset()
    # End of the credential in microseconds since 1970; 0 if it has none.
    expires_us: int = 0
    # The user on whose rights those of an API key depend; empty for users.
    maker: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids whose revocation ends the calls of the principal."""
        return tuple(filter(None, (self.id, self.session, self.maker)))

    @property
    def home(self) -> str:
        """The namespace of requests that name none, if it is not `default`: the only one."""
        if self.everywhere or len(self.namespaces) != 1 or DEFAULT_NAMESPACE in self.namespaces:
            return ""
        return next(iter(self.namespaces))

    def bits(self, namespace: str) -> int:
        """Return the permissions in a namespace."""
        return self.everywhere | self.namespaces.get(namespace, 0)

    def shares(self, namespace: str) -> bool:
        """Return whether the principal may use what a namespace publishes."""
        return namespace in self.shared or bool(self.bits(namespace))

    def bits_anywhere(self) -> int:
        """Return the permissions that the principal has in a namespace or on a tenant."""
        found = self.everywhere | self.tenants
        for bits in self.namespaces.values():
            found |= bits
        return found


LOCAL = Principal(id="local", kind="local", name="local", everywhere=EVERY_BIT)
"""The caller of an open installation."""

# True if the call was sent by a service, which states the address of its own caller.
_forwarded: ContextVar[bool] = ContextVar("flowmesh_forwarded", default=True)
# The IP address of the HTTP client whose request is served; empty for gRPC calls.
_address: ContextVar[str] = ContextVar("flowmesh_address", default="")
_current: ContextVar[Principal | None] = ContextVar("flowmesh_principal", default=None)


def current() -> Principal | None:
    """Return the principal of the call that is being served."""
    return _current.get()


def enter_principal(
    principal: Principal | None, *, forwarded: bool = True, address: str = ""
) -> None:
    """Set the principal of the task that serves a call, and whether a service sent the call.

    `address` is that of the client of an HTTP request.
    """
    _current.set(principal)
    _forwarded.set(forwarded)
    _address.set(address)


def is_forwarded() -> bool:
    """Return whether the call was sent by a service, always so in an open process."""
    return _forwarded.get()


def http_address() -> str:
    """Return the IP address of the HTTP client whose request is served, in a closed process."""
    return _address.get()


@contextmanager
def acting_as(principal: Principal | None) -> Iterator[None]:
    """Inside the block, calls carry this principal; None stands for the service itself."""
    token = _current.set(principal)
    try:
        yield
    finally:
        _current.reset(token)
