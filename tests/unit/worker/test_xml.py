"""XML answers as JSON values."""

from typing import Any

import pytest

from flowmesh.executors.failures import TaskFailure
from flowmesh.executors.http.xml import xml_value
from flowmesh.executors.limits import XML_BYTES_MAX, XML_DEPTH_MAX


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<a/>", {"a": None}),
        ("<a>x</a>", {"a": "x"}),
        ("<a> x </a>", {"a": "x"}),
        ("<a><b>1</b></a>", {"a": {"b": "1"}}),
        ("<a><b>1</b><b>2</b><b/></a>", {"a": {"b": ["1", "2", None]}}),
        ("<a i='1'>x</a>", {"a": {"@i": "1", "#text": "x"}}),
        ("<n:a xmlns:n='u' n:i='1'><n:b/></n:a>", {"a": {"@i": "1", "b": None}}),
        ("<a><![CDATA[<b>]]></a>", {"a": "<b>"}),
        ("<?xml version='1.0' encoding='utf-8'?><a>é</a>", {"a": "é"}),
        ("<a><!-- no -->x<?p i?></a>", {"a": "x"}),
    ],
)
def test_elements_become_members(text: str, value: Any) -> None:
    """Attributes under @, repeated children as lists, text as text."""
    assert xml_value(text.encode()) == value


@pytest.mark.parametrize("text", ["", "<a>", "<a></b>", "text", "<a/><b/>", "<a>&undefined;</a>"])
def test_what_is_not_xml_is_a_validation_error(text: str) -> None:
    """No parser's text comes through."""
    with pytest.raises(TaskFailure, match="cannot be parsed") as failed:
        xml_value(text.encode())
    assert failed.value.class_ == "ValidationError"


def test_depth_and_size_are_bounded() -> None:
    """The limit passes, one more does not; a hundred thousand levels end early."""
    deep = "<a>" * XML_DEPTH_MAX + "</a>" * XML_DEPTH_MAX
    assert xml_value(deep.encode())
    for text in ("<a>" * (XML_DEPTH_MAX + 1), "<a>" * 100_000, "<a>" + " " * XML_BYTES_MAX):
        with pytest.raises(TaskFailure) as failed:
            xml_value(text.encode())
        assert failed.value.details == {"reason": "XML_FORBIDDEN"}
