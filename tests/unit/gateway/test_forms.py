"""Conversion of approval forms to inputs, and of submitted values to JSON."""

import json
from typing import Any

import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import control_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.errors import Invalid
from flowmesh.gateway.bodies.forms import fields_of, filled_in
from flowmesh.gateway.bodies.pages import decision_page

HOSTILE = "<script>alert(1)</script>\"'&"
FORM = {
    "type": "object",
    "required": ["limit", "note"],
    "properties": {
        "limit": {"type": "integer", "title": "Limit", "default": 5},
        "share": {"type": "number"},
        "note": {"type": "string", "maxLength": 1_000},
        "who": {"type": "string", "format": "email"},
        "urgent": {"type": "boolean"},
        "level": {"enum": ["low", "high", 3]},
        "lines": {"type": "array"},
    },
}


def fields(form: Any) -> Any:
    return fields_of(json.dumps(form).encode())


def link(form: Any = None, details: Any = None, **more: Any) -> pb.ReadApprovalLinkResponse:
    asked = pb.PendingApproval(
        execution_id="exec-1",
        workflow_id=HOSTILE,
        node=HOSTILE,
        name="ok",
        asked_at_us=1,
        approval=execution_pb2.Approval(
            details=payload_pb2.Payload(data=json.dumps(details or {}).encode()),
            form=json.dumps(form).encode() if form else b"",
        ),
    )
    return pb.ReadApprovalLinkResponse(approval=asked, by=HOSTILE, expires_at_us=2, **more)


def test_members_have_inputs_of_their_types() -> None:
    """In the order of the schema; complex values are JSON."""
    kinds = {each.name: each.kind for each in fields(FORM)}
    assert kinds == {
        "limit": "integer",
        "share": "number",
        "note": "textarea",
        "who": "email",
        "urgent": "checkbox",
        "level": "select",
        "lines": "json",
    }


def test_submitted_values_become_json() -> None:
    """Empty values are omitted, except required text."""
    given = {
        "form.limit": "50",
        "form.share": "0.5",
        "form.level": '"high"',
        "form.lines": "[1, 2]",
        "form.urgent": "true",
        "form.who": "",
        "form.other": "ignored",
    }
    assert filled_in(fields(FORM), given) == {
        "limit": 50,
        "share": 0.5,
        "note": "",
        "urgent": True,
        "level": "high",
        "lines": [1, 2],
    }


@pytest.mark.parametrize("text", ["x", "1e", "true", '"1"', "[1]"])
def test_invalid_numbers_are_left_to_the_schema(text: str) -> None:
    """The schema check reports it."""
    assert filled_in(fields(FORM), {"form.limit": text})["limit"] == text


def test_json_that_does_not_parse_is_refused_with_its_place() -> None:
    """It is not kept as text."""
    with pytest.raises(Invalid, match=r"form\.lines: is not JSON"):
        filled_in(fields(FORM), {"form.lines": "[1"})


@pytest.mark.parametrize("form", [{"type": "string"}, {"type": "object"}, True, {"properties": 1}])
def test_another_form_is_one_input(form: Any) -> None:
    """A JSON input."""
    assert [each.kind for each in fields(form)] == ["json"]
    assert filled_in(fields(form), {"form.": '"x"'}) == "x"


def test_without_a_form_there_are_no_inputs() -> None:
    """No value is submitted."""
    assert fields_of(b"") == []
    assert filled_in([], {"form.x": "1"}) is None


def test_a_page_escapes_all_foreign_text() -> None:
    """Names, titles, data, choices, and submitted values."""
    form = {
        "properties": {
            HOSTILE: {"type": "string", "title": HOSTILE, "description": HOSTILE},
            "pick": {"enum": [HOSTILE]},
            "text": {"type": "string", "maxLength": 500},
        }
    }
    page = decision_page(
        link(form, {"title": HOSTILE, "data": {HOSTILE: HOSTILE}}),
        fields(form),
        given={
            "comment": HOSTILE,
            "form.text": f"</textarea>{HOSTILE}",
            f"form.{HOSTILE}": HOSTILE,
        },
        problems=(HOSTILE,),
        status=400,
    )
    text = page.body.decode()
    assert "<script" not in text
    assert "</textarea>&lt;" not in text
    assert f'"{HOSTILE}"' not in text
    assert text.count("&lt;script&gt;") >= 10


def test_a_page_loads_nothing_and_is_not_cached() -> None:
    """No scripts, no external URLs; the URL of the page is not sent as referrer."""
    page = decision_page(link(FORM), fields(FORM))
    headers = dict(page.headers)
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"referrer-policy"] == b"same-origin"
    assert headers[b"content-security-policy"].startswith(b"default-src 'none'")
    text = page.body.decode()
    assert "http" not in text
    assert "src=" not in text
    assert "<script" not in text


def test_a_page_offers_what_its_link_allows() -> None:
    """Approve, reject, or both."""
    for scope, words in (
        (pb.LINK_SCOPE_UNSPECIFIED, {"approve", "reject"}),
        (pb.LINK_SCOPE_APPROVE, {"approve"}),
        (pb.LINK_SCOPE_REJECT, {"reject"}),
    ):
        text = decision_page(link(scope=scope), []).body.decode()
        assert {word for word in ("approve", "reject") if f'value="{word}"' in text} == words
