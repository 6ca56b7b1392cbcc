"""HTML pages of approval links, without external resources and scripts. Pure."""

import base64
import hashlib
import json
from collections.abc import Mapping
from html import escape
from typing import Any

from flowmesh.api.execution.v1 import control_service_pb2 as pb
from flowmesh.gateway.bodies.forms import PREFIX, Field
from flowmesh.gateway.http.requests import Response
from flowmesh.views import instant, json_value

HTML = "text/html; charset=utf-8"
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}"
    "label{display:block;margin:1rem 0 .2rem;font-weight:600}"
    "input:not([type=checkbox]),textarea,select{width:100%;box-sizing:border-box;font:inherit}"
    "textarea{min-height:5rem}pre{background:#f3f3f3;padding:.7rem;overflow:auto}"
    "button{font:inherit;padding:.5rem 1.5rem;margin:1.5rem 1rem 0 0}"
    ".problem{border-left:4px solid #b00;padding-left:.7rem}.quiet{color:#666}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
# The URL is a credential and must not leak to other sites. Without any referrer, however,
# browsers would submit the form of the page with `Origin: null`.
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-robots-tag", b"noindex"),
)


def notice(status: int, title: str, text: str) -> Response:
    """Return a page with a title and a text."""
    return _page(status, title, f"<h1>{escape(title)}</h1>\n<p>{escape(text)}</p>")


def decision_page(
    link: pb.ReadApprovalLinkResponse,
    fields: list[Field],
    *,
    given: Mapping[str, str] | None = None,
    status: int = 200,
    problems: tuple[str, ...] = (),
) -> Response:
    """Return the page of a decision with its inputs; `given` are submitted values."""
    asked = link.approval
    details = json_value(asked.approval.details)
    members = details if isinstance(details, dict) else {}
    title = str(members.get("title") or asked.name or asked.node)
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(link.by)}, please decide <b>{escape(asked.node)}</b> "
        f"of <b>{escape(asked.workflow_id)}</b>.</p>",
        *(f'<p class="problem">{escape(each)}</p>' for each in problems),
        _shown(members.get("data")),
        '<form method="post">',
        *(_input(each, given) for each in fields),
        _comment(given or {}),
        *_buttons(link.scope),
        "</form>",
        f'<p class="quiet">{escape(asked.execution_id)}, requested {instant(asked.asked_at_us)};  '
        f"this link is valid until {instant(link.expires_at_us)}.</p>",
    ]
    return _page(status, title, "\n".join(part for part in parts if part))


def _shown(data: Any) -> str:
    if data is None:
        return ""
    return f"<pre>{escape(json.dumps(data, indent=2, ensure_ascii=False))}</pre>"


def _comment(given: Mapping[str, str]) -> str:
    area = f'<textarea id="comment" name="comment">{escape(given.get("comment", ""))}</textarea>'
    return f'<label for="comment">Comment</label>\n{area}'


def _buttons(scope: int) -> list[str]:
    approve = '<button name="decision" value="approve">Approve</button>'
    # A rejection does not need the form.
    reject = '<button name="decision" value="reject" formnovalidate>Reject</button>'
    if scope == pb.LINK_SCOPE_APPROVE:
        return [approve]
    return [reject] if scope == pb.LINK_SCOPE_REJECT else [approve, reject]


def _input(each: Field, given: Mapping[str, str] | None) -> str:
    name = escape(PREFIX + each.name)
    value = each.value if given is None else given.get(PREFIX + each.name, "")
    label = f'<label for="{name}">{escape(each.title)}{" *" if each.required else ""}</label>'
    hint = f'<p class="quiet">{escape(each.description)}</p>' if each.description else ""
    must = " required" if each.required and each.kind != "checkbox" else ""
    common = f'id="{name}" name="{name}"{must}'
    match each.kind:
        case "checkbox":
            checked = " checked" if value and value != "false" else ""
            control = f'<input type="checkbox" value="true" {common}{checked}>'
        case "select":
            options = ["", *each.choices] if not each.required or not value else each.choices
            control = f"<select {common}>{''.join(_option(one, value) for one in options)}</select>"
        case "textarea" | "json":
            control = f"<textarea {common}>{escape(value)}</textarea>"
        case "integer" | "number":
            control = f'<input inputmode="decimal" {common} value="{escape(value)}">'
        case kind:
            control = f'<input type="{kind}" {common} value="{escape(value)}">'
    return f"{label}\n{hint}{control}"


def _option(choice: str, value: str) -> str:
    """Return an option. A choice is JSON; text is shown without quotes."""
    selected = " selected" if choice == value else ""
    known = json.loads(choice) if choice else ""
    shown = known if isinstance(known, str) else choice
    return f'<option value="{escape(choice)}"{selected}>{escape(shown)}</option>'


def _page(status: int, title: str, body: str) -> Response:
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )
    return Response(status, text.encode("utf-8", "replace"), HTML, HEADERS)
