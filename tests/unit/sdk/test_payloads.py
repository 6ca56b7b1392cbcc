"""Values on their way: what is written is what is read, integers of any size too."""

import pytest

from flowmesh import errors
from flowmesh.cli import output
from flowmesh.sdk import Client
from flowmesh.sdk.payloads import Json, decode_bytes, encode

LARGE = {"id": 2**64, "parts": [-(2**63) - 1, 10**30, 2**64 - 1, 1.5], "more": {"id": 2**70}}


async def test_integers_are_what_they_were(client: Client) -> None:
    """The suite keeps them as they are, and so does its client; 64 bits are no limit."""
    assert await client.run("order", LARGE) == LARGE


def test_large_integers_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """On one line, and indented."""
    output.json_line(LARGE)
    output.document(LARGE)
    written = capsys.readouterr().out
    assert str(10**30) in output.compact(LARGE)
    assert written.count(str(2**70)) == 2
    assert decode_bytes(written.partition("\n")[2].encode()) == LARGE


@pytest.mark.parametrize(
    "value", [10**5000, {"at": object(), "id": 2**64}], ids=["too many digits", "an object"]
)
def test_what_cannot_be_written_is_invalid(value: Json) -> None:
    """A number of thousands of digits is no number that anybody reads."""
    with pytest.raises(errors.Invalid, match="cannot be written as JSON"):
        encode(value)


def test_a_circle_is_invalid() -> None:
    """With a large integer in it too."""
    circle: list[Json] = [2**64]
    circle.append(circle)
    with pytest.raises(errors.Invalid, match="cannot be written as JSON"):
        encode(circle)
