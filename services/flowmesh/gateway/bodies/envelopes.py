"""Bodies of requests. A struct is both the validation and the OpenAPI description.

Unknown members are rejected. Definitions are not envelopes: they are passed to the definition
service unparsed.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta

from flowmesh.errors import Invalid, Violation
from flowmesh.gateway.http.ids import (
    ID_PATTERN,
    OPTIONAL_ID_PATTERN,
    VERSION_MAX,
    checked_id,
    checked_optional_id,
    checked_text,
)
from flowmesh.gateway.http.limits import INT64_MAX, SIGNAL_TTL_MS_MAX, SYNC_WAIT_MS_MAX
from flowmesh.jsontext import dump_json
from flowmesh.records import Check, Source

Id = Annotated[str, Meta(extra_json_schema={"pattern": ID_PATTERN})]
OptionalId = Annotated[str, Meta(extra_json_schema={"pattern": OPTIONAL_ID_PATTERN})]
RequestId = Annotated[
    str,
    Meta(
        description="Idempotency key: a repeated request with it returns the first response.",
        extra_json_schema={"pattern": OPTIONAL_ID_PATTERN},
    ),
]
# Checked when a route binds them, with the name of the member in the error.
CheckedId = Annotated[Id, Check(checked_id)]
CheckedOptionalId = Annotated[OptionalId, Check(checked_optional_id)]
CheckedText = Annotated[str, Check(checked_text)]
Input = Annotated[
    dict[str, Any],
    Meta(
        description='The input, or `{"$payload": {"digest", "sizeBytes"}}` for a stored value.',
        examples=[{"orderId": "order-123", "amount": 99.99}],
    ),
]


class Envelope(
    msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True
):
    """Base of all request bodies."""


_VERSION_SCHEMA = {"pattern": OPTIONAL_ID_PATTERN, "minimum": 0, "maximum": VERSION_MAX}
# A version number or a label.
Version = Annotated[
    int | str,
    Meta(
        description="A version number or a label; 0 means the newest version.",
        extra_json_schema=_VERSION_SCHEMA,
    ),
]


Labels = Annotated[dict[str, str], Meta(description="Labels for searching the execution.")]


def version_choice(version: int | str) -> dict[str, Any]:
    """Return the request fields that select a version."""
    if isinstance(version, int):
        if not 0 <= version <= VERSION_MAX:
            raise invalid_version(f"must be from 0 to {VERSION_MAX}")
        return {"version": version}
    if version.isascii() and version.isdecimal() and len(version) <= len(str(VERSION_MAX)):
        return version_choice(int(version))
    return {"version_label": version and checked_id("version", version)}


def version_text(version: int | str) -> str:
    """Return the text form of a version."""
    chosen = version_choice(version)
    return str(chosen.get("version") or chosen.get("version_label", ""))


def invalid_version(what: str) -> Invalid:
    violation = Violation("version", what, "REQUEST_INVALID")
    return Invalid("REQUEST_INVALID", f"version: {what}.", violations=(violation,))


class StartStepsRequest(Envelope, frozen=True, kw_only=True):
    """The body of `POST /executions/start`."""

    workflow_id: Id
    context: Input = {}
    request_id: RequestId = ""
    version: Version = 0
    labels: Labels = {}


class StartRequest(Envelope, frozen=True, kw_only=True):
    """A start of the workflow in the path."""

    input: Input = {}
    request_id: RequestId = ""
    version: Version = 0
    labels: Labels = {}


class ExecuteRequest(StartRequest, frozen=True, kw_only=True):
    """A start of the workflow in the path, with waiting for its end."""

    timeout_ms: Annotated[
        int, Meta(ge=1, le=SYNC_WAIT_MS_MAX, description="Maximum waiting time for the end.")
    ] = SYNC_WAIT_MS_MAX


class DryRunRequest(Envelope, frozen=True, kw_only=True):
    """A dry run of a stored workflow; see docs/testing.md for mocks and signals."""

    input: Annotated[Any, Meta(description="The input; any JSON value.")] = {}
    mocks: Annotated[
        dict[str, Any],
        Meta(
            description="Mocked results by node, task or task type.",
            examples=[{"charge": {"output": {"id": "p-1"}}}],
        ),
    ] = {}
    signals: Annotated[
        list[Any],
        Meta(description='Signals: `{"name", "payload", "after"}`; `after` counts from the start.'),
    ] = []
    version: Version = 0


class DryRunSourceRequest(DryRunRequest, frozen=True, kw_only=True):
    """A dry run of a definition in the request."""

    definition: Annotated[
        dict[str, Any] | str, Meta(description="A JSON object, or YAML or JSON text.")
    ]
    workflow: Annotated[
        OptionalId, Meta(description="The workflow to run if the source has several.")
    ] = ""


class TestSourceRequest(Envelope, frozen=True, kw_only=True):
    """Tests of a definition in the request; see docs/testing.md for their text."""

    definition: Annotated[
        dict[str, Any] | str, Meta(description="A JSON object, or YAML or JSON text.")
    ]
    tests: Annotated[
        dict[str, Any] | Annotated[str, Meta(min_length=1)],
        Meta(description="The tests, a JSON object or a text as of a test file; without `files`."),
    ]
    workflow: Annotated[
        OptionalId, Meta(description="The workflow to test if the source has several.")
    ] = ""


class StopRequest(Envelope, frozen=True, kw_only=True):
    """A pause or resumption of an execution."""

    reason: CheckedText = ""
    request_id: RequestId = ""


class EndRequest(StopRequest, frozen=True, kw_only=True):
    """A cancellation or termination of an execution."""

    compensate: Annotated[
        bool | None,
        Meta(description="Run compensations first (default: as the workflow declares)."),
    ] = None


class SteerRequest(Envelope, frozen=True, kw_only=True):
    """An action on a node."""

    input: Annotated[
        Any, Meta(description="The input of the next attempt, for `retry` and `continue`.")
    ] = UNSET
    output: Annotated[
        Any, Meta(description="The output of the node, for `complete` and `override`.")
    ] = UNSET
    reason: str = ""
    request_id: RequestId = ""


class DecisionRequest(Envelope, frozen=True, kw_only=True):
    """A decision on an approval."""

    approved: bool
    by: Annotated[
        str, Meta(description="The deciding person (default: the `Flowmesh-Actor` header).")
    ] = ""
    comment: str = ""
    form: Annotated[Any, Meta(description="The submitted values of the form.")] = UNSET
    request_id: RequestId = ""


def _inline(value: Any) -> dict[str, bytes]:
    return {"data": dump_json(value)}


class VariableRequest(Envelope, frozen=True, kw_only=True):
    """A new value of a variable."""

    value: Annotated[
        Any, Meta(description="A value that fits the schema of the variable."), Source(read=_inline)
    ]
    reason: CheckedText = ""
    request_id: RequestId = ""


class LinkRequest(Envelope, frozen=True, kw_only=True):
    """A link for deciding an approval."""

    by: Annotated[str, Meta(min_length=1, description="The person who decides by the link.")]
    decision: Annotated[
        Literal["any", "approve", "reject"], Meta(description="The decisions that the link allows.")
    ] = "any"
    valid_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=INT64_MAX,
            description="Validity, at most until the deadline (default: that, or 7 days).",
        ),
    ] = 0


class RotateKeyRequest(Envelope, frozen=True, kw_only=True):
    """A rotation of the signing key of links."""

    revoke: Annotated[bool, Meta(description="Invalidate the links of all older keys.")] = False
    reason: Annotated[CheckedText, Meta(description="The reason, stored with the key.")] = ""
    request_id: RequestId = ""


class BreakpointsRequest(Envelope, frozen=True, kw_only=True):
    """The new breakpoints; without any, all are removed and stopped nodes continue."""

    all: Annotated[bool, Meta(description="Stop before every node.")] = False
    nodes: Annotated[
        list[str], Meta(description="Stop before these nodes; `map/node` names one in a body.")
    ] = []
    request_id: RequestId = ""


class RerunRequest(Envelope, frozen=True, kw_only=True):
    """A rerun of an ended execution."""

    from_nodes: Annotated[
        list[str], Meta(description="Nodes to run again with their successors (default: all).")
    ] = []
    from_failed: Annotated[
        bool,
        Meta(description="Also run again nodes that failed, were canceled or have no result."),
    ] = False
    input: Annotated[Any, Meta(description="A new input (default: the original one).")] = UNSET
    node_inputs: Annotated[
        dict[str, Any], Meta(description="New inputs of nodes, by node id.")
    ] = {}
    newest_version: Annotated[bool, Meta(description="Use the newest version of the workflow.")] = (
        False
    )
    dry_run: Annotated[bool, Meta(description="Return the plan without starting an execution.")] = (
        False
    )
    reason: str = ""
    request_id: RequestId = ""


class ReasonRequest(Envelope, frozen=True, kw_only=True):
    """A change with a reason."""

    reason: Annotated[str, Meta(description="The reason, stored with the change.")] = ""
    request_id: RequestId = ""


class InstantiateRequest(ReasonRequest, frozen=True, kw_only=True):
    """An instantiation of a template."""

    name: Annotated[Id, Meta(description="The name of the new workflow.")]
    parameters: dict[str, Any] = {}
    version: Annotated[
        int,
        Meta(ge=0, le=VERSION_MAX, description="The version of the template; 0 means the newest."),
    ] = 0
    dry_run: Annotated[bool, Meta(description="Return the result without applying it.")] = False


class LabelRequest(ReasonRequest, frozen=True, kw_only=True):
    """The target of a label."""

    version: Annotated[
        int | str,
        Meta(
            description="A version number from 1, or another label.",
            extra_json_schema=_VERSION_SCHEMA,
        ),
        Source(read=version_text),
    ]


class SignalRequest(Envelope, frozen=True, kw_only=True):
    """A signal to an execution."""

    name: Id
    payload: Annotated[Any, Meta(description="Any JSON value.")] = None
    request_id: RequestId = ""


class KeyedSignalRequest(SignalRequest, frozen=True, kw_only=True):
    """A signal to all executions that wait for it with a key."""

    key: Annotated[
        str, Meta(min_length=1, max_length=256, description="The key of the waiting executions.")
    ]
    ttl_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=SIGNAL_TTL_MS_MAX,
            description="Time to keep the signal for the first execution that waits for it.",
        ),
    ] = 0
