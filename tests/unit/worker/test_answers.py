"""Whatever a service answers is an output, or a failure of a class of its own."""

import pytest

from flowmesh.egress import Response
from flowmesh.executors.answers import failure_of, output_of, retry_after_ms


def now_us() -> int:
    return 0


@pytest.mark.parametrize("charset", ["idna", "undefined", "punycode", "unicode-escape", "nowhere"])
def test_a_charset_that_is_none_of_text_is_read_as_utf_8(charset: str) -> None:
    """Codecs of Python that are no charset of the web decode nothing."""
    headers = {"content-type": f"text/plain; charset={charset}"}
    body = "é \\ud800".encode()
    assert output_of(Response(200, headers, body, ""), now_us).value == "é \\ud800"
    told = failure_of(Response(500, headers, body, ""), now_us).result("t1", "w1")
    assert told.failure.message == "the service answered 500"


def test_a_retry_after_beyond_all_years_is_none() -> None:
    """A date that no calendar has asks for nothing."""
    assert retry_after_ms("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", now_us) == 0
