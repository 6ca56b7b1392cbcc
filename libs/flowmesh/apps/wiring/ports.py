"""The kinds of services of an application, each with its type.

A module offers a service by the name of its port, as the catalog has it; `Port` gives the type to
those that ask the registry for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from flowmesh.apps.http.messages import Request
from flowmesh.contract.json_value import Json

if TYPE_CHECKING:
    from flowmesh.apps.data.database import Database
    from flowmesh.apps.document.model import TriggerSpec
    from flowmesh.apps.http.application import HttpApplication
    from flowmesh.apps.http.chain import Middleware
    from flowmesh.apps.http.messages import Handle, Response
    from flowmesh.apps.http.server import Listener
    from flowmesh.apps.machines.engine import Hook, HookEvent, MachineEngine, Next
    from flowmesh.apps.messaging.delivery import DeadLetters
    from flowmesh.apps.messaging.event_bus import EventBus
    from flowmesh.apps.messaging.messages import Broker, Receive
    from flowmesh.apps.scheduling.scheduler import Scheduler

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Port(Generic[T]):
    """A kind of services of the type `T`."""

    name: str


class Startable(Protocol):
    """A workflow that triggers start. It is the service `Workflow` under its name."""

    async def start(self, action: str, data: dict[str, Json]) -> Json:
        """Run the action and return its result. Raises HttpProblem."""


class DurableStartable(Startable, Protocol):
    """A workflow of the suite; the service `DurableWorkflow` under its name."""

    @property
    def place(self) -> str:
        """The path template at which an execution is read; empty if it is not."""

    def location(self, execution_id: str) -> bytes: ...

    async def read(self, request: Request) -> Response:
        """Answer with the state of an execution, or with its answer."""

    async def begin(
        self, trigger: TriggerSpec, data: dict[str, Json], cause: str, caller: str = ""
    ) -> Any:
        """Start an execution and return its handle; a repeated cause starts nothing."""


class Callee(Protocol):
    """A component, or what is called like one."""

    async def call(self, operation: str, value: Json) -> Json: ...


class Transforming(Protocol):
    """Named pipelines of transform operations."""

    async def transform(self, pipeline: str, value: Json) -> Json: ...


class Users(Protocol):
    """A provider of users: the claims of their credentials, None for invalid ones."""

    def check_token(self, token: str) -> dict[str, Json] | None: ...

    def check_cookie(self, request: Request) -> dict[str, Json] | None: ...


class Outbox(Protocol):
    """Calls of a webhook sender that were given up."""

    async def dead(self) -> Sequence[dict[str, Json]]: ...

    async def revive(self, id: str) -> bool:
        """Send a dead letter again; False if this outbox does not have it."""


class SecretSource(Protocol):
    """Secrets by name."""

    async def get(self, name: str) -> Json: ...


class Answer(Protocol):
    """The answer to an HTTP call."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> dict[str, str]: ...

    @property
    def body(self) -> bytes: ...


class Caller(Protocol):
    """An HTTP client."""

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float,
        retries: Any = ...,
    ) -> Answer: ...


class Cache(Protocol):
    """Values by key, for a time."""

    async def get(self, key: str) -> Json: ...

    async def set(self, key: str, value: Json, ttl_s: float | None) -> None: ...

    async def delete(self, key: str) -> bool: ...


class Consumer(Protocol):
    """Takes messages, effects or times from outside while the application runs."""

    async def open(self) -> None: ...

    async def close(self) -> None:
        """Stop consuming; wait for messages in progress. Called twice on brokers."""


class Evaluator(Protocol):
    """Runs programs of expression languages in a sandbox."""

    async def evaluate(
        self, language: str, program: Json, value: Json, names: Mapping[str, Json], limit_ms: int
    ) -> Sequence[Json]: ...


class Loaded(Protocol):
    """A component that the application has loaded."""

    @property
    def name(self) -> str: ...

    def document(self) -> dict[str, Json]: ...


Delegate = Callable[[str, Json, Request | None], Awaitable[Json]]

AUTH_PROVIDER: Port[Users] = Port("AuthProvider")
BROKER: Port[Broker] = Port("Broker")
CACHE: Port[Cache] = Port("Cache")
COLLECTION: Port[dict[str, Json]] = Port("Collection")
COMPONENT: Port[Callee] = Port("Component")
COMPONENT_SOURCE: Port[Loaded] = Port("ComponentSource")
CONSUMER: Port[Consumer] = Port("Consumer")
DATABASE: Port[Database] = Port("Database")
DEAD_LETTERS: Port[DeadLetters] = Port("DeadLetters")
DELEGATE: Port[Delegate] = Port("Delegate")
DURABLE_AT: Port[DurableStartable] = Port("DurableAt")
DURABLE_WORKFLOW: Port[DurableStartable] = Port("DurableWorkflow")
EMITTING: Port[Receive] = Port("Emitting")
EVENT_BUS: Port[EventBus] = Port("EventBus")
HANDLER: Port[Handle] = Port("Handler")
HOOK_STEP: Port[Callable[[HookEvent], Awaitable[Next | None]]] = Port("HookStep")
HTTP_CLIENT: Port[Caller] = Port("HttpClient")
LISTENER: Port[Listener] = Port("Listener")
MACHINE: Port[MachineEngine] = Port("Machine")
MACHINE_HOOKS: Port[Callable[[], Sequence[Hook]]] = Port("MachineHooks")
MACHINE_LINKS: Port[Callable[[], Sequence[tuple[str, Hook]]]] = Port("MachineLinks")
MIDDLEWARE: Port[Middleware] = Port("Middleware")
PLACEHOLDER: Port[Handle] = Port("Placeholder")
RECEIVER: Port[Receive] = Port("Receiver")
REGISTRY: Port[object] = Port("Registry")
RESOURCE_MAPPINGS: Port[Mapping[str, Mapping[str, Json]]] = Port("ResourceMappings")
SANDBOX: Port[Evaluator] = Port("Sandbox")
SCHEDULER: Port[Scheduler] = Port("Scheduler")
SECRETS: Port[SecretSource] = Port("Secrets")
SERVER: Port[HttpApplication] = Port("Server")
SUBSCRIBED_TOPICS: Port[dict[str, list[str]]] = Port("SubscribedTopics")
TRANSFORMER: Port[Transforming] = Port("Transformer")
VALIDATOR: Port[Callable[[Json], Any]] = Port("Validator")
WEBHOOK: Port[Handle] = Port("Webhook")
WEBHOOK_OUTBOX: Port[Outbox] = Port("WebhookOutbox")
WORKFLOW: Port[Startable] = Port("Workflow")
