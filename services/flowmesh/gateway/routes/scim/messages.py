"""Requests, responses and errors in the form of SCIM."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flowmesh.errors import FlowmeshError, Invalid, UnsupportedMediaType, Violation
from flowmesh.gateway.bodies.answers import Answer as Value
from flowmesh.gateway.bodies.answers import Instant
from flowmesh.gateway.http.errors import error_response
from flowmesh.gateway.http.limits import INT32_MAX
from flowmesh.gateway.http.operation_docs import Body, Endpoint, Operation, Route
from flowmesh.gateway.http.parameters import Query, whole
from flowmesh.gateway.http.requests import JSON, Headers, Request, Response
from flowmesh.jsontext import parse_json

SCIM: Final = "application/scim+json"
BASE: Final = "/scim/v2"
COUNT: Final = 100
_BODY_BYTES_MAX: Final = 256 << 10
_MESSAGES = "urn:ietf:params:scim:api:messages:2.0"
_FILTER = re.compile(r'\s*(\w+)\s+eq\s+("(?:[^"\\]|\\.)*")\s*', re.IGNORECASE)
# The problem of a request by the field that has it (RFC 7644, 3.12).
_TYPES = {"filter": "invalidFilter", "path": "invalidPath", "Operations": "invalidSyntax"}

PAGE = (
    Query("filter", 'One comparison, such as `userName eq "ada@corp.example"`.'),
    Query("startIndex", "The first resource of the page, from 1.", whole(INT32_MAX)),
    Query("count", "Resources of the page, at most 1,000.", whole(INT32_MAX)),
)
EXCLUDED = Query("excludedAttributes", "`members` leaves the members of groups out.")
_OBJECT = {"type": "object"}
BODY = Body(None, media_types=(SCIM, JSON), schemas={SCIM: _OBJECT, JSON: _OBJECT})


class MetaValue(Value, kw_only=True):
    """The kind of a resource, its address and its times."""

    resource_type: str
    created: Instant
    last_modified: Instant
    location: str


class EmailValue(Value, kw_only=True):
    """An email address of a user."""

    value: str
    primary: bool = True
    type: str = "work"


class ScimNameValue(Value, kw_only=True):
    """The whole name of a user."""

    formatted: str


class ScimUserValue(Value, kw_only=True):
    """A user as SCIM describes it."""

    schemas: list[str]
    id: str
    external_id: str | UnsetType = UNSET
    user_name: str
    name: ScimNameValue
    display_name: str
    emails: list[EmailValue]
    active: bool
    meta: MetaValue


class ScimMemberValue(Value, kw_only=True):
    """A member of a group."""

    value: str
    display: str


class ScimGroupValue(Value, kw_only=True):
    """A group as SCIM describes it."""

    schemas: list[str]
    id: str
    external_id: str | UnsetType = UNSET
    display_name: str
    members: list[ScimMemberValue] | UnsetType = UNSET
    meta: MetaValue


class _List(Value, kw_only=True):
    schemas: list[str]
    total_results: int
    start_index: int
    items_per_page: int


class ScimUserList(_List, kw_only=True):
    """Users that match a filter."""

    resources: list[ScimUserValue] = msgspec.field(name="Resources")


class ScimGroupList(_List, kw_only=True):
    """Groups that match a filter."""

    resources: list[ScimGroupValue] = msgspec.field(name="Resources")


class ScimError(Value, kw_only=True):
    """An error as SCIM describes it."""

    schemas: list[str]
    status: str
    scim_type: Annotated[str, Meta(description="RFC 7644, 3.12.")] | UnsetType = UNSET
    detail: str


def refusal(error: FlowmeshError) -> Response:
    """Return an error in the form of SCIM (RFC 7644, 3.12)."""
    kind: str | UnsetType = UNSET
    if error.http_status == HTTPStatus.CONFLICT:
        kind = "uniqueness"
    elif error.http_status == HTTPStatus.BAD_REQUEST:
        field = error.violations[0].field if error.violations else ""
        kind = _TYPES.get(field, "invalidValue")
    body = ScimError(
        schemas=[f"{_MESSAGES}:Error"],
        status=str(error.http_status),
        scim_type=kind,
        detail=f"{error.reason}: {error.message}",
    )
    return scim_response(body, error.http_status, error_response(error).headers)


def scim_response(value: object, status: int = HTTPStatus.OK, headers: Headers = ()) -> Response:
    return Response(status, msgspec.json.encode(value), SCIM, headers)


def scim_route(method: str, path: str, endpoint: Endpoint, operation: Operation) -> Route:
    described = replace(operation, error_shape=ScimError, error_media_type=SCIM)
    return Route(method, path, endpoint, described, refusal=refusal)


def listed(start: int, total: int, found: Sequence[object]) -> dict[str, object]:
    """Return the resources of a page."""
    return {
        "schemas": [f"{_MESSAGES}:ListResponse"],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": len(found),
        "Resources": found,
    }


def meta(request: Request, kind: str, id: str, created_us: int, changed_us: int) -> MetaValue:
    return MetaValue(
        resource_type=kind,
        created=_instant(created_us),
        last_modified=_instant(changed_us),
        location=f"{request.origin}{BASE}/{kind}s/{id}",
    )


def filtered(request: Request, *attributes: str) -> dict[str, str]:
    """Return the attribute that a filter compares, by the name of its field."""
    text = request.text("filter")
    if not text:
        return {}
    found = _FILTER.fullmatch(text)
    names = {each.lower(): each for each in attributes}
    if found is None or found[1].lower() not in names:
        known = " or ".join(f'{each} eq "..."' for each in attributes)
        raise wrong("filter", f"the filter is not {known}")
    name = names[found[1].lower()]
    value = parse_json(found[2].encode())
    if not isinstance(value, str) or "\0" in value:
        raise wrong("filter", "the value of the filter is no text, or holds NUL")
    return {snake(name): value}


def page(request: Request) -> tuple[int, int]:
    """Return the index of the first resource, from 1, and the number of resources."""
    return max(1, request.whole("startIndex")), request.whole("count", default=COUNT)


async def resource(request: Request) -> dict[str, object]:
    """Return the object of a body."""
    raw = await request.body(_BODY_BYTES_MAX)
    if request.media_type not in (SCIM, JSON):
        raise UnsupportedMediaType("CONTENT_TYPE_UNSUPPORTED", f"The content type is not {SCIM}.")
    found = parse_json(raw)
    if not isinstance(found, dict):
        raise wrong("Operations", "the body is no JSON object")
    return found


def lowered(value: dict[str, object]) -> dict[str, object]:
    """Return an object with the names of its attributes in lower case (RFC 7643, 2.1)."""
    return {name.lower(): each for name, each in value.items()}


def operations(body: dict[str, object]) -> list[tuple[str, str, object]]:
    """Return the operations of a PATCH: their verb, their path and their value."""
    found = lowered(body).get("operations")
    if not isinstance(found, list) or not found:
        raise wrong("Operations", "the body has no list of Operations")
    read = []
    for each in found:
        operation = lowered(each) if isinstance(each, dict) else {}
        verb, path = str(operation.get("op", "")).lower(), operation.get("path", "")
        if verb not in ("add", "remove", "replace") or not isinstance(path, str):
            raise wrong("Operations", "an operation is not add, remove or replace")
        read.append((verb, path, operation.get("value")))
    return read


def text_of(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise wrong(field, f"{field} is no text")
    return value


def wrong(field: str, message: str) -> Invalid:
    violation = Violation(field, message, "REQUEST_INVALID")
    return Invalid("REQUEST_INVALID", message, violations=(violation,))


def snake(name: str) -> str:
    return re.sub("([A-Z])", r"_\1", name).lower()


def _instant(at_us: int) -> str:
    moment = datetime.fromtimestamp(at_us / 1_000_000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
