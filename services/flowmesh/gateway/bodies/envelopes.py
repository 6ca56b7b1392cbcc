"""Bodies of requests. A struct is both the check and, in the OpenAPI document, the description.

Unknown members are refused by name. Definitions are not envelopes: they go to the definition
service as they came.
"""

import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta

from flowmesh.errors import Invalid, Violation
from flowmesh.gateway.http.ids import ID_PATTERN, OPTIONAL_ID_PATTERN, checked_id
from flowmesh.gateway.http.limits import INT64_MAX, SYNC_WAIT_MS_MAX
from flowmesh.jsontext import parse_json

Id = Annotated[str, Meta(extra_json_schema={"pattern": ID_PATTERN})]
OptionalId = Annotated[str, Meta(extra_json_schema={"pattern": OPTIONAL_ID_PATTERN})]
RequestId = Annotated[
    str,
    Meta(
        description="Again with the same id answers as the first time and changes nothing.",
        extra_json_schema={"pattern": OPTIONAL_ID_PATTERN},
    ),
]
Input = Annotated[
    dict[str, Any],
    Meta(
        description='The input, or `{"$payload": {"digest", "sizeBytes"}}` for a stored one.',
        examples=[{"orderId": "order-123", "amount": 99.99}],
    ),
]


class Envelope(
    msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True
):
    """Base of all request bodies."""


E_ = TypeVar("E_", bound=msgspec.Struct)


VERSION_MAX = 2**32 - 1
_VERSION_SCHEMA = {"pattern": OPTIONAL_ID_PATTERN, "minimum": 0, "maximum": VERSION_MAX}
# A number, or the label that points to it.
Version = Annotated[
    int | str,
    Meta(
        description="A version by its number or by a label; 0 is the newest.",
        extra_json_schema=_VERSION_SCHEMA,
    ),
]


Labels = Annotated[dict[str, str], Meta(description="What the execution is found by.")]


class StartStepsRequest(Envelope, frozen=True, kw_only=True):
    """`POST /executions/start`."""

    workflow_id: Id
    context: Input = {}
    request_id: RequestId = ""
    version: Version = 0
    labels: Labels = {}


class StartRequest(Envelope, frozen=True, kw_only=True):
    """Starts a workflow named in the path."""

    input: Input = {}
    request_id: RequestId = ""
    version: Version = 0
    labels: Labels = {}


class ExecuteRequest(StartRequest, frozen=True, kw_only=True):
    """Starts a workflow named in the path and waits for its end."""

    timeout_ms: Annotated[
        int, Meta(ge=1, le=SYNC_WAIT_MS_MAX, description="How long to wait for the end.")
    ] = SYNC_WAIT_MS_MAX


class DryRunRequest(Envelope, frozen=True, kw_only=True):
    """Runs a stored workflow dry; see docs/testing.md for mocks and signals."""

    input: Annotated[Any, Meta(description="The input, any JSON value.")] = {}
    mocks: Annotated[
        dict[str, Any],
        Meta(
            description="Answers by node, task or task type.",
            examples=[{"charge": {"output": {"id": "p-1"}}}],
        ),
    ] = {}
    signals: Annotated[
        list[Any], Meta(description='`{"name", "payload", "after"}`, from the start on.')
    ] = []
    version: Version = 0


class DryRunSourceRequest(DryRunRequest, frozen=True, kw_only=True):
    """Runs a definition dry that need not be stored."""

    definition: Annotated[
        dict[str, Any] | str, Meta(description="JSON, or a text in YAML or JSON.")
    ]
    workflow: Annotated[
        OptionalId, Meta(description="Which of its workflows, where there are several.")
    ] = ""


class StopRequest(Envelope, frozen=True, kw_only=True):
    """Pauses or resumes an execution."""

    reason: str = ""
    request_id: RequestId = ""


class EndRequest(StopRequest, frozen=True, kw_only=True):
    """Cancels or terminates an execution."""

    compensate: Annotated[
        bool | None,
        Meta(description="Whether what was done is undone first; else as the workflow says."),
    ] = None


class SteerRequest(Envelope, frozen=True, kw_only=True):
    """Says what becomes of a node."""

    input: Annotated[
        Any, Meta(description="What its next attempt gets, for `retry` and `continue`.")
    ] = UNSET
    output: Annotated[Any, Meta(description="For `complete` and `override`.")] = UNSET
    reason: str = ""
    request_id: RequestId = ""


class DecisionRequest(Envelope, frozen=True, kw_only=True):
    """Approves or rejects."""

    approved: bool
    by: Annotated[str, Meta(description="Who decides; else the `Flowmesh-Actor`.")] = ""
    comment: str = ""
    form: Annotated[Any, Meta(description="What was filled in.")] = UNSET
    request_id: RequestId = ""


class VariableRequest(Envelope, frozen=True, kw_only=True):
    """Another value of a variable."""

    value: Annotated[Any, Meta(description="As the schema of the variable takes it.")]
    reason: str = ""
    request_id: RequestId = ""


class LinkRequest(Envelope, frozen=True, kw_only=True):
    """A link by which somebody decides."""

    by: Annotated[str, Meta(min_length=1, description="Who decides by it.")]
    decision: Annotated[
        Literal["any", "approve", "reject"], Meta(description="What the link lets them say.")
    ] = "any"
    valid_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=INT64_MAX,
            description="At most until the deadline; without it until then, or 7 days.",
        ),
    ] = 0


class RotateRequest(Envelope, frozen=True, kw_only=True):
    """A new key for links."""

    revoke: Annotated[
        bool, Meta(description="Links of all older keys are invalid from now on.")
    ] = False
    reason: Annotated[str, Meta(description="Why; kept with the key.")] = ""
    request_id: RequestId = ""


class BreakpointsRequest(Envelope, frozen=True, kw_only=True):
    """Where to stop; with neither nowhere any more, and what has stopped goes on."""

    all: Annotated[bool, Meta(description="Before every node.")] = False
    nodes: Annotated[list[str], Meta(description="Before these; of one in a body `map/node`.")] = []
    request_id: RequestId = ""


class RerunRequest(Envelope, frozen=True, kw_only=True):
    """Runs an execution again that has ended."""

    from_nodes: Annotated[
        list[str], Meta(description="These run again with all behind them; none is every node.")
    ] = []
    from_failed: Annotated[
        bool,
        Meta(description="From those that failed, were canceled or have no result, beside those."),
    ] = False
    input: Annotated[Any, Meta(description="In place of the input it had.")] = UNSET
    node_inputs: Annotated[
        dict[str, Any], Meta(description="Inputs of nodes in place of their definition's.")
    ] = {}
    newest_version: Annotated[bool, Meta(description="Of the workflow, not the one it ran.")] = (
        False
    )
    dry_run: Annotated[bool, Meta(description="Answers the plan and starts nothing.")] = False
    reason: str = ""
    request_id: RequestId = ""


class ReasonRequest(Envelope, frozen=True, kw_only=True):
    """Changes something that needs no more than to be asked for."""

    reason: Annotated[str, Meta(description="Why; kept with the change.")] = ""
    request_id: RequestId = ""


class InstantiateRequest(ReasonRequest, frozen=True, kw_only=True):
    """Makes a workflow of a template."""

    name: Annotated[Id, Meta(description="Of what is made.")]
    parameters: dict[str, Any] = {}
    version: Annotated[int, Meta(ge=0, le=VERSION_MAX, description="Of the template.")] = 0
    dry_run: Annotated[bool, Meta(description="Applies nothing.")] = False


class LabelRequest(ReasonRequest, frozen=True, kw_only=True):
    """Points a label to a version."""

    version: Annotated[
        int | str,
        Meta(
            description="A version by its number or by another label; 0 is none.",
            extra_json_schema=_VERSION_SCHEMA,
        ),
    ]


class SignalRequest(Envelope, frozen=True, kw_only=True):
    """Sends a signal to an execution."""

    name: Id
    payload: Annotated[Any, Meta(description="Any JSON value.")] = None
    request_id: RequestId = ""


class KeyedSignalRequest(SignalRequest, frozen=True, kw_only=True):
    """Sends a signal to those who wait for it with a key."""

    key: Annotated[str, Meta(min_length=1, max_length=256, description="What they wait with.")]


def version_choice(version: int | str) -> dict[str, Any]:
    """The fields of a request that choose a version."""
    if isinstance(version, int):
        if not 0 <= version <= VERSION_MAX:
            raise invalid_version(f"must be from 0 to {VERSION_MAX}")
        return {"version": version}
    if version.isascii() and version.isdecimal() and len(version) <= len(str(VERSION_MAX)):
        return version_choice(int(version))
    return {"version_label": version and checked_id("version", version)}


def version_text(version: int | str) -> str:
    """The same as one text."""
    chosen = version_choice(version)
    return str(chosen.get("version") or chosen.get("version_label", ""))


def invalid_version(what: str) -> Invalid:
    violation = Violation("version", what, "REQUEST_INVALID")
    return Invalid("REQUEST_INVALID", f"version: {what}.", violations=(violation,))


def decode(raw: bytes, envelope: type[E_]) -> E_:
    """The envelope; an empty body is one without members."""
    value = parse_json(raw) if raw.strip() else {}
    try:
        return msgspec.convert(value, envelope)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from error


# msgspec says what is wrong in one of these two sentences, then where.
_MEMBER = re.compile(r"^Object (?P<what>contains unknown|missing required) field `(?P<name>.*?)`")
_TYPE = re.compile(r"`(.*?)`")
_JSON_NAMES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")


def _refusal(message: str) -> Invalid:
    place = _PLACE.search(message)
    path = place["path"] if place else ""
    said = _PLACE.sub("", message)
    if member := _MEMBER.match(said):
        path = f"{path}.{member['name']}" if path else member["name"]
        unknown = member["what"].startswith("contains")
        said = "unknown member" if unknown else "required member is missing"
    said = _TYPE.sub(lambda found: _JSON_NAMES.get(found[1], found[1]), said)
    said = said[0].lower() + said[1:]
    text = f"{path or 'body'}: {said}."
    return Invalid("REQUEST_INVALID", text, violations=(Violation(path, said, "REQUEST_INVALID"),))
