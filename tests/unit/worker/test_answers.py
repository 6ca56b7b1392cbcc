"""Whatever a service answers is an output, or a failure of a class of its own."""

import time

import pytest

from flowmesh.egress import Response
from flowmesh.executors.failures import TaskFailure
from flowmesh.executors.http.answers import failure_of, output_of, retry_after_ms, value_of


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


@pytest.mark.parametrize("date", ["Thu Jan  1 00:01:00 1970", "Thu, 01 Jan 1970 00:01:00 GMT"])
def test_a_date_is_in_universal_time(monkeypatch: pytest.MonkeyPatch, date: str) -> None:
    """In each form that HTTP has for dates, wherever the worker runs."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "America/New_York")
        time.tzset()
        assert retry_after_ms(date, now_us) == 60_000
    time.tzset()


def test_a_number_that_would_be_rounded_is_no_value() -> None:
    """Who goes on with the value of an answer is told where it is."""
    headers = {"content-type": "application/json"}
    good = Response(200, headers, b'{"n": 18446744073709551615}', "")
    assert value_of(good, now_us) == {"n": 18446744073709551615}
    with pytest.raises(TaskFailure, match=r"answer\.n\[0\] is an integer") as failed:
        value_of(Response(200, headers, b'{"n": [18446744073709551616]}', ""), now_us)
    assert failed.value.class_ == "ValidationError"
