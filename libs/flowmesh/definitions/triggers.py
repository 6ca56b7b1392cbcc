"""Triggers of a workflow in the canonical model."""

from dataclasses import dataclass
from typing import Final

from flowmesh.api.definition.v1 import trigger_pb2 as pb
from flowmesh.contract.json_value import Json
from flowmesh.definitions.problems import Path

TRIGGERS_MAX: Final = 100
CATCH_UP_MAX: Final = 1_000
MESSAGES_BATCH_MAX: Final = 200
BATCH_WITHIN_MS: Final = 1_000
BATCH_WITHIN_MS_MAX: Final = 30_000
CATCH_UP_DEFAULT: Final = 100
# Write-ahead log that a database keeps for a paused trigger.
RETAIN_BYTES: Final = 1024**3
RETAIN_BYTES_MIN: Final = 16 * 1024**2
RETAIN_BYTES_MAX: Final = 1024**4
# As PostgreSQL limits identifiers.
IDENTIFIER_BYTES_MAX: Final = 63

PROVIDERS: Final = {
    "none": pb.WEBHOOK_PROVIDER_TYPE_UNSPECIFIED,
    "standard": pb.WEBHOOK_PROVIDER_TYPE_STANDARD,
    "github": pb.WEBHOOK_PROVIDER_TYPE_GITHUB,
    "stripe": pb.WEBHOOK_PROVIDER_TYPE_STRIPE,
    "slack": pb.WEBHOOK_PROVIDER_TYPE_SLACK,
    "hmac": pb.WEBHOOK_PROVIDER_TYPE_HMAC,
}
OPERATIONS: Final = {
    "insert": pb.CHANGE_OPERATION_INSERT,
    "update": pb.CHANGE_OPERATION_UPDATE,
    "delete": pb.CHANGE_OPERATION_DELETE,
}
CATCH_UPS: Final = {
    "none": pb.CATCH_UP_UNSPECIFIED,
    "one": pb.CATCH_UP_ONE,
    "all": pb.CATCH_UP_ALL,
}


@dataclass(frozen=True, slots=True)
class Cron:
    """A schedule; `catch_up`, a key of CATCH_UPS, decides about missed runs."""

    expression: str
    time_zone: str = ""
    catch_up: str = "none"
    catch_up_max: int = CATCH_UP_DEFAULT


@dataclass(frozen=True, slots=True)
class Events:
    """An event subscription; an event must match all fields."""

    type: str = ""
    source: str = ""
    filter: str = ""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Accepted calls; `provider` is a key of PROVIDERS."""

    provider: str = "none"
    secret: str = ""
    payload_schema: Json = None
    signature_header: str = ""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Calls of a URL; each is also sent as `signal` to the execution it starts, if set."""

    hook: str
    receiver: Receiver
    signal: str = ""


@dataclass(frozen=True, slots=True)
class Messages:
    """The messages of a queue or stream; a message must pass the filter."""

    queue: str
    filter: str = ""
    # Messages that start one execution together; 0 is one execution each.
    batch: int = 0
    batch_within_ms: int = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of the rows of a table; `operations` are keys of OPERATIONS, empty for all."""

    database: str
    table: str
    operations: tuple[str, ...] = ()
    filter: str = ""
    # An existing publication; one is created without it.
    publication: str = ""
    signal: str = ""
    retain_bytes_max: int = RETAIN_BYTES


@dataclass(frozen=True, slots=True)
class Trigger:
    """A start condition of executions; `path` leads to the `source`.

    `member` is the name of the schedule's expression in the document.
    """

    id: str
    source: Cron | Events | Webhook | Messages | Changes
    path: Path
    input: Json = None
    has_input: bool = False
    member: str = "expression"
