"""Approval links: their creation, and the page behind them.

Reading the page has no effect, because mail scanners follow links; submitting its form decides.
"""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl
from uuid import uuid4

from flowmesh.api.execution.v1 import control_service_pb2 as pb
from flowmesh.errors import FlowmeshError, Invalid, UnsupportedMediaType
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import control_answers as answers
from flowmesh.gateway.bodies import pages
from flowmesh.gateway.bodies.envelopes import LinkRequest
from flowmesh.gateway.bodies.forms import fields_of, filled_in
from flowmesh.gateway.http.errors import error_response
from flowmesh.gateway.http.ids import checked_text, invalid_field
from flowmesh.gateway.http.limits import FORM_BYTES_MAX, FORM_FIELDS_MAX, TEXT_CHARACTERS_MAX
from flowmesh.gateway.http.operation_docs import EXECUTE, Answer, Body, Operation, Route
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import json_response
from flowmesh.jsontext import dump_json
from flowmesh.views import instant

_DECISIONS = ("approve", "reject")
FORM = "application/x-www-form-urlencoded"
_TITLES = {
    "LINK_INVALID": "This link is not valid",
    "LINK_EXPIRED": "This link has expired",
    "LINK_USED": "This has already been decided",
    "EXECUTION_NOT_FOUND": "This no longer exists",
    "EXECUTION_PAUSED": "The execution is paused",
    "EXECUTION_ENDED": "The execution has ended",
}


async def create_approval_link(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(LinkRequest)
    scope = "UNSPECIFIED" if envelope.decision == "any" else envelope.decision.upper()
    made = await backends.control.CreateApprovalLink(
        pb.CreateApprovalLinkRequest(
            namespace=request.namespace,
            execution_id=request.param("executionId"),
            node=request.param("node"),
            by=checked_text("by", envelope.by),
            scope=pb.LinkScope.Value(f"LINK_SCOPE_{scope}"),
            valid_ms=envelope.valid_ms,
        )
    )
    link = answers.ApprovalLink(
        url=made.url, by=envelope.by, expires_at=instant(made.expires_at_us)
    )
    return json_response(link, HTTPStatus.CREATED)


async def show_approval_link(backends: Backends, request: Request) -> Response:
    try:
        link = await _read(backends, request)
        return pages.decision_page(link, fields_of(link.approval.approval.form))
    except FlowmeshError as error:
        return _refusal(request, error)


async def decide_by_link(backends: Backends, request: Request) -> Response:
    try:
        given = await _form(request)
        link = await _read(backends, request)
        return await _decide(backends, request, link, given)
    except FlowmeshError as error:
        return _refusal(request, error)


async def _read(backends: Backends, request: Request) -> pb.ReadApprovalLinkResponse:
    call = pb.ReadApprovalLinkRequest(token=request.param("token"))
    return await backends.control.ReadApprovalLink(call)


async def _decide(
    backends: Backends,
    request: Request,
    link: pb.ReadApprovalLinkResponse,
    given: Mapping[str, str],
) -> Response:
    approved = given.get("decision") == "approve"
    fields = fields_of(link.approval.approval.form)
    call = pb.DecideByLinkRequest(
        token=request.param("token"),
        approved=approved,
        comment=checked_text("comment", given.get("comment", "")),
        request_id=uuid4().hex,
    )
    try:
        if approved and fields:
            call.form.data = dump_json(filled_in(fields, given))
        decided = await backends.control.DecideByLink(call)
    except Invalid as error:
        if not _reads_html(request):
            raise
        problems = tuple(f"{each.field}: {each.description}" for each in error.violations)
        return pages.decision_page(
            link,
            fields,
            given=given,
            status=error.http_status,
            problems=problems or (error.message,),
        )
    word = "approved" if approved else "rejected"
    shown = (
        f"{link.approval.node} is {decided.outcome}."
        if decided.outcome
        else "Further decisions are pending."
    )
    return pages.notice(HTTPStatus.OK, f"You have {word} this", shown)


async def _form(request: Request) -> dict[str, str]:
    """Return the submitted fields. Raise Invalid or UnsupportedMediaType."""
    if request.media_type != FORM:
        raise UnsupportedMediaType("CONTENT_TYPE_UNSUPPORTED", f"Send a body of type {FORM}.")
    raw = await request.body(FORM_BYTES_MAX)
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=FORM_FIELDS_MAX,
        )
    except UnicodeDecodeError as error:
        raise Invalid("INVALID_UTF8", "The form is not UTF-8.") from error
    except ValueError as error:
        raise Invalid(
            "REQUEST_INVALID", f"The form has more than {FORM_FIELDS_MAX} fields."
        ) from error
    given = {name: value.replace("\r\n", "\n") for name, value in pairs}
    for name, value in pairs:
        if "\0" in value:
            raise Invalid("STRING_HAS_NUL", f"{name[:64]} holds a NUL character.")
    if given.get("decision") not in _DECISIONS:
        raise invalid_field("decision", "must be approve or reject")
    return given


def _reads_html(request: Request) -> bool:
    return "text/html" in request.header(b"accept")


def _refusal(request: Request, error: FlowmeshError) -> Response:
    """Return an HTML page to a browser, and a JSON error to other clients."""
    if not _reads_html(request):
        return error_response(error, headers=pages.HEADERS)
    title = _TITLES.get(error.reason, "The request failed")
    return pages.notice(error.http_status, title, error.message)


_PAGE = Answer(200, "An HTML page.", None, "text/html")
_FIELDS = {
    "type": "object",
    "required": ["decision"],
    "properties": {
        "decision": {"type": "string", "enum": list(_DECISIONS)},
        "comment": {"type": "string", "maxLength": TEXT_CHARACTERS_MAX},
    },
    "additionalProperties": {"type": "string"},
}
_ERRORS = (403, 404, 409, 410)
ROUTES = (
    Route(
        "POST",
        "/api/v1/executions/{executionId}/nodes/{node}:link",
        create_approval_link,
        Operation(
            tag=EXECUTE,
            summary="Create a link for deciding an approval",
            body=Body(LinkRequest),
            answers=(Answer(201, "A link; every holder can decide.", answers.ApprovalLink),),
            errors=(404, 409, 415),
        ),
    ),
    Route(
        "GET",
        "/approve/{token}",
        show_approval_link,
        Operation(
            tag=EXECUTE,
            summary="Show the approval of a link, without effect",
            answers=(_PAGE,),
            errors=_ERRORS,
            error_pages=True,
        ),
        public=True,
    ),
    Route(
        "POST",
        "/approve/{token}",
        decide_by_link,
        Operation(
            tag=EXECUTE,
            summary="Decide an approval by a link",
            description="Fields `decision` (approve or reject), `comment` and `form.<member>`.",
            body=Body(None, media_types=(FORM,), schemas={FORM: _FIELDS}),
            answers=(_PAGE,),
            errors=_ERRORS,
            error_pages=True,
        ),
        public=True,
    ),
)
