"""The kinds of services of an application, each with its type.

A module offers a service by the name of its port, as the catalog has it; `Port` gives the type to
those that ask the registry for it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from flowmesh.apps.data.database import Database
from flowmesh.apps.document.model import TriggerSpec
from flowmesh.apps.http.application import HttpApplication
from flowmesh.apps.http.chain import Middleware
from flowmesh.apps.http.messages import Handle, Request, Response
from flowmesh.apps.http.server import Listener
from flowmesh.apps.machines.engine import Hook, HookEvent, MachineEngine, Next
from flowmesh.apps.messaging.delivery import DeadLetters
from flowmesh.apps.messaging.event_bus import EventBus
from flowmesh.apps.messaging.messages import Broker, Receive
from flowmesh.apps.scheduling.scheduler import Scheduler

Json = Any
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

AUTH_PROVIDER = Port[Users]("AuthProvider")
BROKER = Port[Broker]("Broker")
CACHE = Port[Cache]("Cache")
COLLECTION = Port[dict[str, Json]]("Collection")
COMPONENT = Port[Callee]("Component")
COMPONENT_SOURCE = Port[Loaded]("ComponentSource")
CONSUMER = Port[Consumer]("Consumer")
DATABASE = Port[Database]("Database")
DEAD_LETTERS = Port[DeadLetters]("DeadLetters")
DELEGATE = Port[Delegate]("Delegate")
DURABLE_AT = Port[DurableStartable]("DurableAt")
DURABLE_WORKFLOW = Port[DurableStartable]("DurableWorkflow")
EMITTING = Port[Receive]("Emitting")
EVENT_BUS = Port[EventBus]("EventBus")
HANDLER = Port[Handle]("Handler")
HOOK_STEP = Port[Callable[[HookEvent], Awaitable[Next | None]]]("HookStep")
HTTP_CLIENT = Port[Caller]("HttpClient")
LISTENER = Port[Listener]("Listener")
MACHINE = Port[MachineEngine]("Machine")
MACHINE_HOOKS = Port[Callable[[], Sequence[Hook]]]("MachineHooks")
MACHINE_LINKS = Port[Callable[[], Sequence[tuple[str, Hook]]]]("MachineLinks")
MIDDLEWARE = Port[Middleware]("Middleware")
PLACEHOLDER = Port[Handle]("Placeholder")
RECEIVER = Port[Receive]("Receiver")
REGISTRY = Port[object]("Registry")
RESOURCE_MAPPINGS = Port[Mapping[str, Mapping[str, Json]]]("ResourceMappings")
SANDBOX = Port[Evaluator]("Sandbox")
SCHEDULER = Port[Scheduler]("Scheduler")
SECRETS = Port[SecretSource]("Secrets")
SERVER = Port[HttpApplication]("Server")
SUBSCRIBED_TOPICS = Port[dict[str, list[str]]]("SubscribedTopics")
TRANSFORMER = Port[Transforming]("Transformer")
VALIDATOR = Port[Callable[[Json], Any]]("Validator")
WEBHOOK = Port[Handle]("Webhook")
WEBHOOK_OUTBOX = Port[Outbox]("WebhookOutbox")
WORKFLOW = Port[Startable]("Workflow")
