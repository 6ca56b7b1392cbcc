"""Values on their way: what is written is what is read, and the rest is refused."""

import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any

import pytest

from flowmesh import errors
from flowmesh.cli import output
from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client, SyncClient
from flowmesh.sdk.values.payloads import decode_bytes, encode
from tests.unit.sdk.stand_ins import StandIn

LARGE = {"id": 2**64, "parts": [-(2**63) - 1, 10**30, 2**64 - 1, 1.5], "more": {"id": 2**70}}


KEPT = {"id": 2**64 - 1, "parts": [-(2**63), 12345678901234567890, 1.5]}
NAN, INFINITY = float("nan"), float("inf")


@dataclass
class Mean:
    """A value that the encoder understands by itself."""

    mean: float
    of: None = None


class Rate(Enum):
    """One whose value is not finite."""

    HIGHEST = INFINITY


NOT_FINITE = [
    ({"mean": NAN}, "value.mean is not a finite number"),
    ({"a": None, "most": [1.5, -INFINITY]}, "value.most[1] is not a finite number"),
    (INFINITY, "value is not a finite number"),
    ([Mean(NAN)], "cannot be written as JSON"),
    ({"rate": Rate.HIGHEST}, "cannot be written as JSON"),
    ({"set": {NAN}}, "cannot be written as JSON"),
]


async def test_integers_of_64_bits_are_what_they_were(client: Client) -> None:
    """None is rounded on its way through the suite and back."""
    assert await client.run("order", KEPT) == KEPT


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**30])
def test_a_larger_integer_is_refused(number: int) -> None:
    """With its place, and with what would be right."""
    with pytest.raises(errors.Invalid, match=r"value\.parts\[1\] is an integer .* as strings"):
        encode({"parts": [1, number]})


@pytest.mark.parametrize(("value", "problem"), NOT_FINITE, ids=[each for _, each in NOT_FINITE])
def test_a_number_that_is_not_finite_is_refused(value: Json, problem: str) -> None:
    """It would become null, which is another value."""
    with pytest.raises(errors.Invalid, match=re.escape(problem)):
        encode(value)


def test_values_with_nulls_are_written() -> None:
    """With any other contents."""
    value = [None, "null", Mean(0.5), {date(2026, 1, 2)}, uuid.UUID(int=1), {"a": (None, 1e300)}]
    written = decode_bytes(encode(value))
    assert written[:3] == [None, "null", {"mean": 0.5, "of": None}]
    assert written[3:5] == [["2026-01-02"], "00000000-0000-0000-0000-000000000001"]


async def in_session(client: Client, value: Json) -> None:
    async with client.session() as session:
        await session.run("order", value)


CALLS: dict[str, Callable[[Client, Json], Awaitable[Any]]] = {
    "start": lambda client, value: client.start("order", value),
    "run": lambda client, value: client.run("order", value),
    "signal": lambda client, value: client.handle("exec-1").signal("paid", value),
    "signal by key": lambda client, value: client.signal_by_key("paid", "k", value),
    "publish": lambda client, value: client.publish("order.paid", value),
    "dry run": lambda client, value: client.dry_run("order", value),
    "definition": lambda client, value: client.register({"id": "a", "steps": value}),
    "session": in_session,
}


@pytest.mark.parametrize("value", [{"n": NAN}, {"n": 2**64}], ids=["not finite", "too large"])
@pytest.mark.parametrize("call", CALLS)
async def test_every_call_refuses_what_cannot_be_kept(
    client: Client, call: str, value: Json
) -> None:
    """Before anything is sent, by the name of the place."""
    with pytest.raises(errors.Invalid, match=r"\bn is ") as refused:
        await CALLS[call](client, value)
    assert refused.value.reason == "JSON_INVALID"


def test_the_blocking_client_refuses_it_too(server: StandIn) -> None:
    """It is the same client."""
    with SyncClient(server.address) as client, pytest.raises(errors.Invalid, match=r"value\.n is "):
        client.start("order", {"n": NAN})


def test_large_integers_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """On one line, and indented."""
    output.stream_document(LARGE)
    output.document(LARGE)
    written = capsys.readouterr().out
    assert str(10**30) in output.compact(LARGE)
    assert written.count(str(2**70)) == 2
    assert decode_bytes(written.partition("\n")[2].encode()) == LARGE


@pytest.mark.parametrize(
    "value", [10**5000, {"at": object(), "id": 2**64}], ids=["too many digits", "an object"]
)
def test_what_cannot_be_written_is_invalid(value: Json) -> None:
    """A number of thousands of digits is rejected."""
    with pytest.raises(errors.Invalid, match="cannot be written as JSON"):
        encode(value)


def test_a_circle_is_invalid() -> None:
    """With a large integer in it too."""
    circle: list[Json] = [2**64]
    circle.append(circle)
    with pytest.raises(errors.Invalid, match="cannot be written as JSON"):
        encode(circle)
