"""A built module, and what its builder gets."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from flowmesh.apps.catalog.retries import read_retry
from flowmesh.apps.catalog.values import ValueMismatch
from flowmesh.apps.components.plugins import PluginType
from flowmesh.apps.document.model import AppDocument, ModuleSpec
from flowmesh.apps.http.application import HttpApplication
from flowmesh.apps.http.chain import Middleware
from flowmesh.apps.modules.operators import OperatorsOnly
from flowmesh.apps.observing.hub import Hub
from flowmesh.apps.observing.logs import LogHub
from flowmesh.apps.scheduling.clock import Clock
from flowmesh.apps.wiring.ports import Port
from flowmesh.apps.wiring.registry import ServiceRegistry
from flowmesh.contract.json_value import Json
from flowmesh.contract.retries import Retry
from flowmesh.egress.policy import OPEN, PUBLIC, Policy
from flowmesh.errors import Invalid

T = TypeVar("T")
UNSUPPORTED = "APP_UNSUPPORTED"
"""The reason of a part that is known, and does not run here."""


async def _nothing() -> None:
    return None


class Mounts(Protocol):
    """The servers of an application while routes are added."""

    def servers(self, name: str = "") -> list[HttpApplication]:
        """Return the server of a name, or all servers."""

    def of_router(self, router: str) -> HttpApplication | None:
        """Return the server of a router."""

    def prefix(self, router: str) -> str:
        """Return the path that all routes of a router begin with."""

    def middlewares(self, router: str, server: str = "") -> tuple[Middleware, ...]:
        """Return the middlewares of the server and the router; of `server` without a router."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A module with its services by kind.

    `mount` adds routes after all modules are built; `health` returns the problem, or an empty
    string. A name such as `.main` in `services` is a service below the name of the module.
    """

    name: str
    services: Mapping[str, Any] = field(default_factory=dict)
    start: Callable[[], Awaitable[None]] = _nothing
    stop: Callable[[], Awaitable[None]] = _nothing
    health: Callable[[], Awaitable[str]] | None = None
    mount: Callable[[Mounts], None] | None = None
    # Further services by kind and name.
    named: Mapping[tuple[str, str], Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleContext:
    """The parts of the host that modules use."""

    folder: Path
    log: LogHub
    hub: Hub
    registry: ServiceRegistry
    document: AppDocument
    public: bool = False
    # The addresses that modules may call.
    policy: Policy = OPEN
    # True on the host of a closed installation, whose applications are strangers to each other.
    closed: bool = False
    # Returns the modules with a health check; complete when the application runs.
    checks: Callable[[], Mapping[str, Callable[[], Awaitable[str]]]]
    clock: Clock = field(default_factory=Clock)
    # The module types of installed plugins by name; None without a host.
    plugins: Mapping[str, PluginType] | None = None

    def operators(self) -> Middleware:
        """Return the middleware of routes for operators."""
        return OperatorsOnly(self.registry, closed=self.closed)

    def readers(self) -> tuple[Middleware, ...]:
        """Return the middlewares of logs and metrics: in a closed installation, for operators."""
        return (self.operators(),) if self.closed else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A module to build."""

    spec: ModuleSpec
    context: ModuleContext
    partners: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def config(self) -> Mapping[str, Json]:
        return self.spec.config

    @property
    def policy(self) -> Policy:
        """The addresses that this module may call: those of the host, or public ones only.

        Raises Invalid for `allow_private: true` on a host that allows public addresses only.
        """
        allows = self.config.get("allow_private", self.config.get("allowPrivate"))
        if allows and self.context.policy.public_only:
            raise self.invalid("allow_private: this host allows calls to public addresses only")
        return PUBLIC if allows is False else self.context.policy

    def partner(self, port: Port[T]) -> T | None:
        """Return the service of the partner that the plan found; None without one."""
        name = self.partners.get(port.name)
        return self.context.registry.get(port, name) if name else None

    def later(self, port: Port[T], name: str) -> Callable[[], T]:
        return self.context.registry.later(port, name)

    def retry(self) -> Retry:
        """Return the policy of the key `retry`. Raises Invalid."""
        try:
            return read_retry(self.config.get("retry"))
        except ValueMismatch as error:
            raise self.invalid(f"retry {error}") from None

    def invalid(self, text: str) -> Invalid:
        """Return the error of a wrong configuration."""
        return Invalid("APP_CONFIG_INVALID", f"{self.name}: {text}")

    def log(self, level: str, message: str, **fields: Json) -> None:
        self.context.log.write(level, self.name, message, **fields)

    def path(self, text: str) -> Path:
        """Return a path of the configuration, relative to the folder of the application."""
        return self.context.folder / text


Build = Callable[[Setting], Module]
