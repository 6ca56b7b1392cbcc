"""Results and failures of tasks as messages."""

import pytest

from flowmesh.errors import Invalid
from flowmesh.sdk import TaskFailure
from flowmesh.sdk.values.limits import HEARTBEAT_BYTES_MAX
from flowmesh.sdk.values.payloads import encode
from flowmesh.sdk.worker.results import heartbeat_data, result_of_error


def test_details_of_a_heartbeat_are_bounded() -> None:
    """As many bytes as the limit says go, one more is refused."""
    assert len(heartbeat_data("x" * (HEARTBEAT_BYTES_MAX - 2))) == HEARTBEAT_BYTES_MAX
    with pytest.raises(ValueError, match="limited to 65536 bytes"):
        heartbeat_data("x" * (HEARTBEAT_BYTES_MAX - 1))


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("\ud800", "value"),
        ({"a": [{"b": 1}, ("x", "\udfff")]}, "value.a[1][1]"),
        ({"a": {"\ud800": 1}}, "a key of value.a"),
    ],
)
def test_text_that_is_not_unicode_is_no_value(value: object, place: str) -> None:
    """Nothing stands in for it; the error says where it is."""
    with pytest.raises(Invalid) as refused:
        encode(value)
    assert refused.value.message.endswith(
        f"{place} is not Unicode, it has half of a surrogate pair"
    )


class _Odd(Exception):
    """One that cannot be looked at."""

    def __str__(self) -> str:
        raise RuntimeError("in str")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("\ud800 is half a character"), ("ValueError", "? is half a character")),
        (_Odd(), ("_Odd", "_Odd without details: reading it raised RuntimeError")),
        (TaskFailure("m", details=object()), ("ValidationError", "details of a failure: ")),
        (TaskFailure("Half\ud800", "\udfff"), ("Half?", "?")),
    ],
)
def test_any_exception_of_a_handler_is_a_failure(
    error: Exception, expected: tuple[str, str]
) -> None:
    """Never an exception of its own, which would end the worker and the next one with it."""
    failure = result_of_error("token", error).failure
    class_, message = expected
    assert getattr(failure, "class") == class_
    assert failure.message.startswith(message)


def test_details_that_no_message_holds_are_left_out() -> None:
    """The stream of the worker would break on them, and on every try to send them again."""
    result = result_of_error("token", TaskFailure("Refused", "no", details="x" * 10_000_000))
    assert getattr(result.failure, "class") == "Refused"
    assert result.failure.message == (
        "Refused: no: its details have 10000002 bytes, more than the limit of 256 KiB"
    )
    assert not result.failure.details
